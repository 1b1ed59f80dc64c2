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

import (
	"sync/atomic"

	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
)

// coverageSeeds is the number of histories after which every rule of the protocol is expected to have applied.
const coverageSeeds = 1000

// rules is the protocol that the managers go by, and counts says how often each of its rules has applied, in all histories.
var (
	counts = func() map[string]*atomic.Int64 {
		counts := map[string]*atomic.Int64{}
		for _, name := range plan.Rules().Names() {
			counts[name] = &atomic.Int64{}
		}
		for _, name := range scaling.Rules().Names() {
			counts[name] = &atomic.Int64{}
		}
		return counts
	}()
	scalingRules = scaling.Rules().Observed(func(rule string) { counts[rule].Add(1) })
	rules        = plan.Rules().Observed(func(rule string) { counts[rule].Add(1) })
)

// neverApplied returns the rules that have not applied yet, but for those of which the table says why.
func neverApplied() []string {
	var never []string
	for _, row := range rules.Rows() {
		if row.Rare == "" && counts[row.Rule].Load() == 0 {
			never = append(never, row.Rule)
		}
	}
	for _, row := range scalingRules.Rows() {
		if row.Rare == "" && counts[row.Rule].Load() == 0 {
			never = append(never, row.Rule)
		}
	}
	return never
}
