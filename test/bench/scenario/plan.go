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

package scenario

import (
	"context"
	"slices"

	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
)

// KubernetesVersion is the version of the control plane.
const KubernetesVersion = cluster.KubernetesVersion

// The names of the scenarios.
const (
	one      = "one"
	burst    = "burst"
	defaults = "defaults"
	spread   = "spread"
	foreign  = "foreign"
	ordinals = "ordinals"
	tenants  = "tenants"
	steady   = "steady"
	restart  = "restart"
)

// Names returns the names of the scenarios, in the order in which they run. Steady measures a restart too, which needs the same
// objects.
func Names() []string {
	return []string{one, burst, defaults, spread, foreign, ordinals, tenants, steady}
}

// Plan holds the sizes of the scenarios.
type Plan struct {
	// Sizes are the numbers of StatefulSets of the bursts.
	Sizes []int
	// Ordinals are the numbers of ordinals of one StatefulSet.
	Ordinals []int
	// Scale is a factor for the numbers of all objects in the scenarios defaults, foreign, tenants and steady.
	Scale float64
	// Concurrency is spec.maxConcurrentDrains where a scenario does not say another number.
	Concurrency int
}

// DefaultPlan has the sizes of docs/performance.md.
func DefaultPlan() Plan {
	return Plan{Sizes: []int{10, 50, 100, 300, 500}, Ordinals: []int{100, 1000}, Scale: 1, Concurrency: 1}
}

// Scenario is a measurement, or several on the same cluster, that is ready to be made.
type Scenario struct {
	Shape   report.Shape
	Measure func(ctx context.Context, shape report.Shape) ([]report.Measurement, error)
}

// Scenarios returns the scenarios with some names, in all their sizes.
func (p Plan) Scenarios(b *Bench, names []string) []Scenario {
	var all []Scenario
	for _, name := range Names() {
		if !slices.Contains(names, name) {
			continue
		}
		shape := report.Shape{Scenario: name, Namespaces: 1, From: 3, To: 1, Concurrency: p.Concurrency}
		switch name {
		case one:
			shape.Sets, shape.From = 1, 2
			all = append(all, Scenario{shape, b.One})
		case burst, spread:
			if name == spread {
				shape.Namespaces = 50
			}
			for _, shape.Sets = range p.Sizes {
				all = append(all, Scenario{shape, b.Burst})
			}
		case defaults:
			shape.Sets, shape.DefaultLimits = p.scaled(50), true
			all = append(all, Scenario{shape, b.Burst})
		case foreign:
			shape.Sets, shape.Foreign = p.scaled(50), p.scaled(3000)
			all = append(all, Scenario{shape, b.Burst})
		case ordinals:
			shape.Sets = 1
			for _, n := range p.Ordinals {
				shape.From = int32(n) + shape.To
				for _, shape.Concurrency = range []int{max(1, n/100), max(1, n/10)} {
					all = append(all, Scenario{shape, b.Burst})
				}
			}
		case tenants:
			shape.Sets, shape.Policies, shape.Flood = p.scaled(10), p.scaled(50), 100
			all = append(all, Scenario{shape, b.Tenants})
		case steady:
			sets, policies := p.scaled(10_000), p.scaled(500)
			all = append(all, Scenario{report.Shape{
				Scenario: name, Namespaces: p.scaled(50), From: 3, To: 3, Idle: sets, Claims: 3 * sets, Policies: policies, Foreign: p.scaled(50_000),
			}, b.Steady})
		}
	}
	return all
}

func (p Plan) scaled(n int) int { return max(1, int(float64(n)*p.Scale)) }
