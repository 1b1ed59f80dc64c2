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
	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

// Steady watches the operator at rest on a large cluster, and then restarts it.
func (b *Bench) Steady(ctx context.Context, shape report.Shape) (m []report.Measurement, err error) {
	s, err := b.session(ctx, shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.populate(ctx, shape); err != nil {
		return nil, err
	}
	if err := s.startOperator(ctx); err != nil {
		return nil, err
	}
	rest, err := s.rest(ctx)
	if err != nil {
		return nil, err
	}
	b.Report("%s: %d requests in %.0f s, %.0f MiB", shape.Scenario, rest.Requests.Requests, rest.Seconds, rest.RestMiB)
	m = append(m, report.Measurement{Shape: shape, Operator: rest})
	if err := s.stopOperator(ctx); err != nil {
		return m, err
	}
	shape.Scenario = restart
	again, err := s.restart(ctx)
	if err != nil {
		return m, err
	}
	b.Report("%s: idle after %.1f s, %d requests, %.0f MiB at most", shape.Scenario, again.Seconds, again.Requests.Requests, again.PeakMiB)
	return append(m, report.Measurement{Shape: shape, Operator: again}), nil
}

// populate creates sets with policies, whose pods run, idle sets with claims, and pods of others.
func (s *session) populate(ctx context.Context, shape report.Shape) error {
	var live, idle []workload.Set
	namespaces := make([]string, 0, shape.Namespaces)
	for n := range shape.Namespaces {
		namespaces = append(namespaces, fmt.Sprintf("tenant-%d", n))
	}
	for i := range shape.Idle {
		set := workload.Set{
			Namespace: namespaces[i%shape.Namespaces], Name: fmt.Sprintf("set-%d", i), From: shape.From, To: shape.To, Concurrency: 1, Parallel: true,
		}
		if i < shape.Policies {
			live = append(live, set)
		} else {
			idle = append(idle, set)
		}
	}
	if err := s.workload.Namespaces(ctx, namespaces...); err != nil {
		return err
	}
	s.Report("steady: creating %d StatefulSets with policies", len(live))
	w := s.workload
	w.Policy = s.Policy
	if err := w.Sets(ctx, live); err != nil {
		return err
	}
	if err := s.cluster.StopBinding(ctx); err != nil {
		return err
	}
	s.Report("steady: creating %d idle StatefulSets with %d claims", len(idle), len(idle)*int(shape.From))
	if err := s.workload.Idle(ctx, idle, shape.From); err != nil {
		return err
	}
	s.Report("steady: creating %d pods of others", shape.Foreign)
	for n, namespace := range namespaces {
		if err := s.workload.Foreign(ctx, namespace, share(shape.Foreign, shape.Namespaces, n)); err != nil {
			return err
		}
	}
	s.Report("steady: waiting until the controllers have seen all of it")
	return s.workload.Settled(ctx)
}

// share is the size of part n when a number is split into parts.
func share(number, parts, n int) int { return number*(n+1)/parts - number*n/parts }

// rest watches an operator that has nothing to do.
func (s *session) rest(ctx context.Context) (*report.Run, error) {
	finish, err := s.operator.Profile(ctx, "rest")
	if err != nil {
		return nil, err
	}
	before, err := s.operator.CPU()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := sleep(ctx, s.Rest); err != nil {
		return nil, err
	}
	end := time.Now()
	after, err := s.operator.CPU()
	if err != nil {
		return nil, err
	}
	run := &report.Run{Seconds: end.Sub(start).Seconds(), CPUSeconds: (after - before).Seconds()}
	if run.RestMiB, run.PeakMiB, err = s.operator.Memory(); err != nil {
		return nil, err
	}
	requests, err := audit.Window(s.cluster.AuditLog(), start, end)
	run.Requests = audit.Sum(requests, cluster.Operator)
	return run, errors.Join(err, finish())
}

// restart starts the operator, and measures until it has sent its last request for now.
func (s *session) restart(ctx context.Context) (*report.Run, error) {
	start := time.Now()
	if err := s.startOperator(ctx); err != nil {
		return nil, err
	}
	last, err := s.idle(ctx, start)
	if err != nil {
		return nil, err
	}
	used, err := s.operator.CPU()
	if err != nil {
		return nil, err
	}
	run := &report.Run{Seconds: last.Sub(start).Seconds(), CPUSeconds: used.Seconds()}
	if run.RestMiB, run.PeakMiB, err = s.operator.Memory(); err != nil {
		return nil, err
	}
	requests, err := audit.Window(s.cluster.AuditLog(), start, time.Now())
	run.Requests = audit.Sum(requests, cluster.Operator)
	return run, err
}
