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

// lateWrites are the writes of the operator that do most harm when they come late.
var lateWrites = []string{"delete pods", "delete persistentvolumeclaims", "create jobs", "patch pods", "patch persistentvolumeclaims", "delete jobs"}

// lateWrite is what most of the protocol's holes have in common: a write is decided and comes late,
// from a manager that stands still or from a request that hangs, while somebody changes their
// mind, the other manager goes on, and a pod starts.
func (w *world) lateWrite() {
	c := w.choices
	target, stalled := lateWrites[c.pick(len(lateWrites))], c.pick(2) == 0
	m := w.driveTo(target, 1+c.pick(30))
	if m == nil {
		return
	}
	if stalled {
		w.fail(m, stalls)
	} else {
		w.fail(m, hangs)
	}
	if c.chance(50) {
		w.changeMind()
	}
	started := len(w.containers)
	for range 1 + c.pick(25) {
		if c.chance(35) {
			w.stepUser()
		}
		w.settleKubernetes()
		w.settleManager(w.leader())
		w.clock.now = w.clock.now.Add(w.pause())
		w.check()
		if len(w.containers) > started {
			started = len(w.containers)
			if c.chance(60) {
				break
			}
		}
	}
	m.asleep = w.step
	if n := len(w.hanging); !stalled && n > 0 {
		last := w.hanging[n-1]
		w.hanging = w.hanging[:n-1]
		w.land(last)
	}
	m.finish()
}

// changeMind undoes the last scaling.
func (w *world) changeMind() { w.scale(w.before) }

// driveTo lets everything go on until the leader stands before a write, and returns the leader, or
// nil if it doesn't come to that.
func (w *world) driveTo(target string, rounds int) *manager {
	for range rounds {
		m := w.leader()
		if m.asleep > w.step || w.broken != nil {
			return nil
		}
		switch w.choices.weighted(80, 10, 10) {
		case 1:
			w.stepUser()
		case 2:
			w.changeMind()
		}
		w.settleKubernetes()
		m.view.deliverAll()
		if m.run == nil {
			w.reconcile(m)
		}
		for m.run != nil && w.broken == nil {
			if m.run.pending.key == target && !w.choices.chance(30) {
				return m
			}
			m.advance()
		}
		w.clock.now = w.clock.now.Add(w.pause())
		w.check()
	}
	return nil
}
