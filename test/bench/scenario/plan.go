package scenario

import (
	"context"
	"slices"

	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
)

// KubernetesVersion is the version of the control plane.
const KubernetesVersion = cluster.KubernetesVersion

// Names of the scenarios, in the order in which they run.
func Names() []string {
	return []string{"one", "burst", "spread", "foreign", "ordinals", "tenants", "steady"}
}

// Plan holds the sizes of the scenarios.
type Plan struct {
	// Sizes are the numbers of StatefulSets of the bursts.
	Sizes []int
	// Ordinals are the numbers of ordinals of one StatefulSet.
	Ordinals []int
	// Scale is a factor for the numbers of other objects.
	Scale       float64
	Concurrency int
}

// DefaultPlan has the sizes of docs/performance.md.
func DefaultPlan() Plan {
	return Plan{Sizes: []int{10, 50, 100, 300, 500}, Ordinals: []int{100, 1000}, Scale: 1, Concurrency: 1}
}

// Measurements returns the measurements of some scenarios, ready to be made.
func (p Plan) Measurements(b *Bench, names []string) []func(context.Context) (report.Measurement, error) {
	var all []func(context.Context) (report.Measurement, error)
	add := func(measure func(context.Context, report.Shape) (report.Measurement, error), shape report.Shape) {
		all = append(all, func(ctx context.Context) (report.Measurement, error) { return measure(ctx, shape) })
	}
	for _, scenario := range Names() {
		if !slices.Contains(names, scenario) {
			continue
		}
		shape := report.Shape{Scenario: scenario, Namespaces: 1, From: 3, To: 1, Concurrency: p.Concurrency}
		switch scenario {
		case "one":
			shape.Sets, shape.From = 1, 2
			add(b.One, shape)
		case "burst", "spread":
			for _, shape.Sets = range p.Sizes {
				if scenario == "spread" {
					shape.Namespaces = 50
				}
				add(b.Burst, shape)
			}
		case "foreign":
			shape.Sets, shape.Foreign = 50, p.scaled(3000)
			add(b.Burst, shape)
		case "ordinals":
			for _, ordinals := range p.Ordinals {
				shape.Sets, shape.From = 1, int32(ordinals)+1
				for _, shape.Concurrency = range []int{1, 10} {
					add(b.Burst, shape)
				}
			}
		}
	}
	return all
}

func (p Plan) scaled(n int) int { return max(1, int(float64(n)*p.Scale)) }
