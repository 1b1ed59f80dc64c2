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
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

// Tenants drains the sets of one tenant, first alone and then while another tenant keeps changing its policies and claims, each
// of which makes the operator look at them.
func (b *Bench) Tenants(ctx context.Context, shape report.Shape) (m []report.Measurement, err error) {
	s, err := b.session(ctx, shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()

	other := shape
	other.Sets = shape.Policies
	noisy := makeSets("noisy", other)
	if err := s.create(ctx, "noisy", noisy, 0, true); err != nil {
		return nil, err
	}
	quietly, beside := makeSets("alone", shape), makeSets("beside", shape)
	for _, sets := range [][]workload.Set{quietly, beside} {
		if err := s.create(ctx, sets[0].Namespace, sets, 0, true); err != nil {
			return nil, err
		}
	}
	if err := s.startOperator(ctx); err != nil {
		return nil, err
	}

	alone := shape
	alone.Flood = 0
	run, _, _, err := s.operatorBurst(ctx, name(alone)+"-alone", quietly, false)
	if err != nil {
		return nil, err
	}
	b.Report("%s: alone %.1f s", name(alone), run.Seconds)
	m = append(m, report.Measurement{Shape: alone, Operator: run})

	flooding, stop := context.WithCancel(ctx)
	defer stop()
	written, err := s.flood(flooding, noisy, shape.Flood)
	if err != nil {
		return m, err
	}
	begun := time.Now()
	// The queues fill first.
	if err := sleep(ctx, 10*time.Second); err != nil {
		return m, err
	}
	run, _, _, err = s.operatorBurst(ctx, name(shape)+"-flood", beside, false)
	if err != nil {
		return m, err
	}
	rate := float64(written.Load()) / time.Since(begun).Seconds()
	b.Report("%s: beside %.0f writes a second %.1f s", name(shape), rate, run.Seconds)
	return append(m, report.Measurement{Shape: shape, Operator: run, Note: fmt.Sprintf("%.0f writes a second", rate)}), nil
}

// floodWriters is the number of requests that the flood has under way at most.
const floodWriters = 16

// flood changes policies and claims of some sets in turn, at most so many a second. It returns a counter of its writes.
func (s *session) flood(ctx context.Context, sets []workload.Set, rate int) (*atomic.Int64, error) {
	kubeconfig, err := s.cluster.Kubeconfig("tenant", cluster.Tenant)
	if err != nil {
		return nil, err
	}
	config, err := cluster.ClientConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	applier, err := workload.NewApplier(config)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	w := workload.Workload{Client: client, Patch: applier.Patch, Policy: s.Policy}

	written := &atomic.Int64{}
	var next atomic.Int64
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	context.AfterFunc(ctx, ticker.Stop)
	for range floodWriters {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					n := int(next.Add(1))
					if err := w.Touch(ctx, sets[n/2%len(sets)], n, n%2 == 0); err == nil {
						written.Add(1)
					}
				}
			}
		}()
	}
	return written, nil
}
