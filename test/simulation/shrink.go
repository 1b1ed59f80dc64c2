/*
Copyright 2026 The drain-operator Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package simulation

import "time"

// shrink returns a shorter history that breaks the same invariant: whole steps are left out,
// then their choices are made tame, for as long as that changes nothing about the end or the
// time is up. Nothing is found by it that wasn't there.
func shrink(cache *managerCache, history schedule, invariant string, until func() bool) schedule {
	breaks := func(candidate schedule) bool {
		w, _ := simulate(cache, candidate, nil, nil)
		return w.broken != nil && w.broken.invariant == invariant
	}
	best := history.clone()
	if !breaks(best) {
		return best
	}
	for smaller := true; smaller && !until(); {
		smaller = false
		for size := len(best) / 2; size > 0; size /= 2 {
			for at := len(best) - size; at >= 1 && !until(); at -= size {
				candidate := append(best[:at:at].clone(), best[at+size:].clone()...)
				if breaks(candidate) {
					best, smaller = candidate, true
				}
			}
		}
		for i := range best {
			for j := range best[i] {
				if until() || best[i][j] == 0 {
					continue
				}
				candidate := best.clone()
				candidate[i][j] = 0
				if breaks(candidate) {
					best, smaller = candidate, true
				}
			}
		}
	}
	return best
}

// shrinkTime bounds the time that a failing history is made smaller in.
const shrinkTime = 20 * time.Second
