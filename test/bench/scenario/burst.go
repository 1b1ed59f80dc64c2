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
	"errors"
	"fmt"
	"time"

	"github.com/statefulset-dev/drain-operator/test/bench/audit"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

// Burst scales many sets down at once, first with the operator and then, on other sets, with the bare client.
func (b *Bench) Burst(ctx context.Context, shape report.Shape) ([]report.Measurement, error) {
	return b.drain(ctx, shape, false)
}

// One drains one ordinal on a quiet cluster, and lists what happened step by step.
func (b *Bench) One(ctx context.Context, shape report.Shape) ([]report.Measurement, error) {
	return b.drain(ctx, shape, true)
}

func (b *Bench) drain(ctx context.Context, shape report.Shape, record bool) (all []report.Measurement, err error) {
	s, err := b.session(ctx, shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()

	sets := makeSets("operator", shape)
	if err := s.create(ctx, "operator", sets, shape.Foreign, true); err != nil {
		return nil, err
	}
	if err := s.startOperator(ctx); err != nil {
		return nil, err
	}
	b.Report("%s: scaling with the operator", name(shape))
	run, tracker, start, err := s.operatorBurst(ctx, name(shape), sets, record)
	if err != nil {
		return nil, err
	}
	b.Report("%s: operator %.1f s", name(shape), run.Seconds)
	m := report.Measurement{Shape: shape, Operator: run}
	if record {
		requests, err := audit.Window(s.cluster.AuditLog(), start, time.Now())
		if err != nil {
			return nil, err
		}
		m.Timeline = timeline(start, requests, tracker.Sights())
	}
	if err := s.stopOperator(ctx); err != nil || !b.WithBare {
		return []report.Measurement{m}, err
	}

	sets = makeSets("bare", shape)
	if err := s.create(ctx, "bare", sets, shape.Foreign, false); err != nil {
		return []report.Measurement{m}, err
	}
	b.Report("%s: scaling with the bare client", name(shape))
	m.Bare, err = s.bareBurst(ctx, sets)
	if err == nil {
		b.Report("%s: bare client %.1f s, ratio %.1f", name(shape), m.Bare.Seconds, m.Ratio())
	}
	return []report.Measurement{m}, err
}

// create creates the sets of a burst, with their policies if the operator is to drain them.
func (s *session) create(ctx context.Context, prefix string, sets []workload.Set, foreign int, policies bool) error {
	namespaces := map[string]bool{}
	for _, set := range sets {
		namespaces[set.Namespace] = true
	}
	var names []string
	for namespace := range namespaces {
		names = append(names, namespace)
	}
	s.Report("%s: creating %d StatefulSets and %d pods of others", prefix, len(sets), foreign)
	if err := s.workload.Namespaces(ctx, names...); err != nil {
		return err
	}
	w := s.workload
	if policies {
		w.Policy = s.Policy
	}
	if foreign > 0 {
		if err := w.Foreign(ctx, sets[0].Namespace, foreign); err != nil {
			return err
		}
	}
	return w.Sets(ctx, sets)
}

// makeSets returns the sets of a burst, spread over its namespaces.
func makeSets(prefix string, shape report.Shape) []workload.Set {
	var sets []workload.Set
	for i := range shape.Sets {
		sets = append(sets, workload.Set{
			Namespace: fmt.Sprintf("%s-%d", prefix, i%max(1, shape.Namespaces)), Name: fmt.Sprintf("set-%d", i),
			From: shape.From, To: shape.To, Concurrency: shape.Concurrency,
			// A hundred pods one after another take longer to create than to drain.
			Parallel: shape.From > 10,
		})
	}
	return sets
}

// name is that of a measurement in messages and file names.
func name(shape report.Shape) string {
	text := fmt.Sprintf("%s-%d", shape.Scenario, shape.Sets)
	if shape.From > 10 {
		text += fmt.Sprintf("-ordinals-%d-concurrency-%d", shape.From-shape.To, shape.Concurrency)
	}
	return text
}
