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
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/statefulset-dev/drain-operator/test/bench/agent"
	"github.com/statefulset-dev/drain-operator/test/bench/audit"
	"github.com/statefulset-dev/drain-operator/test/bench/bare"
	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
	"github.com/statefulset-dev/drain-operator/test/bench/track"
	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

const (
	// quiet is how long the operator must have sent no request until it counts as idle, and atRest the processor time that it may use between
	// two looks, of which the kernel counts hundredths of a second.
	quiet  = 3 * time.Second
	atRest = 30 * time.Millisecond
	// aftermath is how long requests are counted after the last drain: the last status is written then.
	aftermath = 2 * time.Second
)

// Bench is the configuration of all scenarios.
type Bench struct {
	// Top is the folder of the checkout.
	Top    string
	Binary agent.Binary
	// Policy is the template of the policies, and Manifests are files that are applied to each new cluster: CRDs and roles.
	Policy    string
	Manifests []string
	// Nodes is the number of fake nodes.
	Nodes int
	// Concurrency is spec.maxConcurrentDrains where a scenario does not say another number.
	Concurrency int
	// From and To are the replicas of a set before and after.
	From, To int32
	// Timeout is how long one agent may take for one burst.
	Timeout time.Duration
	// Rest is how long the operator is watched at rest.
	Rest time.Duration
	// WithBare measures the bare client too.
	WithBare bool
	// Report receives messages about the progress.
	Report func(format string, args ...any)
}

// session is one cluster and what is on it.
type session struct {
	*Bench
	cluster  *cluster.Cluster
	applier  *workload.Applier
	workload workload.Workload
	operator *agent.Agent
}

// session starts a cluster for measurements of a shape. The caller must close it.
func (b *Bench) session(ctx context.Context, shape report.Shape) (*session, error) {
	c, err := cluster.Start(ctx, cluster.Options{
		Source: filepath.Join(b.Top, "test", "infrastructure", "cluster", "binaries"), Nodes: b.Nodes, DefaultLimits: shape.DefaultLimits, Report: b.Report,
	})
	if err != nil {
		return nil, err
	}
	s := &session{Bench: b, cluster: c}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func (s *session) close(ctx context.Context) error { return s.cluster.Stop(ctx) }

func (s *session) prepare(ctx context.Context) error {
	var err error
	if s.applier, err = workload.NewApplier(s.cluster.Config); err != nil {
		return err
	}
	s.workload = workload.Workload{Client: s.cluster.Client, Apply: s.applier.Apply, Patch: s.applier.Patch}
	for _, file := range s.Manifests {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := s.applier.Apply(ctx, content); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return s.applier.Apply(ctx, []byte(bindings))
}

// bindings give the agents their rights: the operator those of its own role, and the others all.
const bindings = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: bench-operator
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: manager-role}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: "` + cluster.Operator + `"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: bench-others
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: "` + cluster.Bare + `"}
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: "` + cluster.Tenant + `"}
`

// startOperator starts the operator, and waits until it is idle.
func (s *session) startOperator(ctx context.Context) error {
	var err error
	if s.operator, err = agent.Start(s.cluster, s.Binary); err != nil {
		return err
	}
	_, err = s.idle(ctx, time.Now())
	return err
}

func (s *session) stopOperator(ctx context.Context) error {
	operator := s.operator
	s.operator = nil
	return operator.Stop(ctx)
}

// idle waits until the operator has sent requests, and has neither sent one nor worked for a while: what it lists at its start can take longer
// than that to read. It returns the time of the last request.
func (s *session) idle(ctx context.Context, since time.Time) (time.Time, error) {
	var last time.Time
	var size int64
	var used time.Duration
	changed := time.Now()
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 10*time.Minute, true, func(context.Context) (bool, error) {
		if err := errors.Join(s.cluster.Check(), s.operator.Check()); err != nil {
			return false, err
		}
		info, err := os.Stat(s.cluster.AuditLog())
		if err != nil {
			return false, err
		}
		now, err := s.operator.CPU()
		if err != nil {
			return false, err
		}
		if info.Size() != size || now-used > atRest {
			size, changed = info.Size(), time.Now()
		}
		used = now
		return size > 0 && time.Since(changed) > quiet, nil
	})
	if err != nil {
		return last, fmt.Errorf("waiting until the operator is idle: %w", err)
	}
	requests, err := audit.Window(s.cluster.AuditLog(), since, time.Now())
	for i := range requests {
		if requests[i].User == cluster.Operator && requests[i].Done.After(last) {
			last = requests[i].Done
		}
	}
	return last, err
}

// burst scales the sets down, and waits until the agent that runs has drained all orphans.
func (s *session) burst(ctx context.Context, sets []workload.Set, user string, record bool) (*report.Run, *track.Tracker, time.Time, error) {
	tracker, err := track.Start(ctx, s.cluster.Observer, workload.Orphans(sets), record)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	defer tracker.Stop()
	limited, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	before, err := s.cluster.Processors()
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	start := time.Now()
	if err := s.workload.Scale(limited, sets); err != nil {
		return nil, tracker, start, err
	}
	if err := s.wait(limited, tracker); err != nil {
		return nil, tracker, start, err
	}
	var end time.Time
	var delays []time.Duration
	for _, times := range tracker.Drains() {
		if times.Over.After(end) {
			end = times.Over
		}
		delays = append(delays, times.JobCreated.Sub(times.PodGone))
	}
	run := &report.Run{Seconds: end.Sub(start).Seconds(), JobDelay: report.QuantilesOf(delays)}
	if err := sleep(ctx, aftermath); err != nil {
		return nil, tracker, start, err
	}
	after, err := s.cluster.Processors()
	if err != nil {
		return nil, tracker, start, err
	}
	run.Processors = map[string]float64{}
	for name, used := range after {
		run.Processors[name] = (used - before[name]).Seconds()
	}
	requests, err := audit.Window(s.cluster.AuditLog(), start, end.Add(aftermath))
	run.Requests = audit.Sum(about(requests, sets), user)
	return run, tracker, start, err
}

// about returns the requests that are about no namespace or one of the sets'.
func about(requests []audit.Request, sets []workload.Set) []audit.Request {
	namespaces := map[string]bool{"": true}
	for _, set := range sets {
		namespaces[set.Namespace] = true
	}
	return slices.DeleteFunc(requests, func(r audit.Request) bool { return !namespaces[r.Namespace] })
}

// wait waits for the tracker, and ends early if a process ends.
func (s *session) wait(ctx context.Context, tracker *track.Tracker) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go wait.UntilWithContext(ctx, func(context.Context) {
		err := s.cluster.Check()
		if err == nil && s.operator != nil {
			err = s.operator.Check()
		}
		if err != nil {
			cancel(err)
		}
	}, time.Second)
	return tracker.Wait(ctx)
}

// operatorBurst measures the operator, which must run and be idle.
func (s *session) operatorBurst(ctx context.Context, name string, sets []workload.Set, record bool) (*report.Run, *track.Tracker, time.Time, error) {
	finish, err := s.operator.Profile(ctx, name)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	if err := s.operator.ResetPeak(); err != nil {
		return nil, nil, time.Time{}, err
	}
	rest, _, err := s.operator.Memory()
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	before, err := s.operator.CPU()
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	run, tracker, start, err := s.burst(ctx, sets, cluster.Operator, record)
	if err != nil {
		return nil, tracker, start, err
	}
	after, err := s.operator.CPU()
	if err != nil {
		return nil, tracker, start, err
	}
	run.CPUSeconds, run.RestMiB = (after - before).Seconds(), rest
	if _, run.PeakMiB, err = s.operator.Memory(); err != nil {
		return nil, tracker, start, err
	}
	return run, tracker, start, finish()
}

// bareBurst measures the bare client on sets of its own.
func (s *session) bareBurst(ctx context.Context, sets []workload.Set) (*report.Run, error) {
	kubeconfig, err := s.cluster.Kubeconfig("bare", cluster.Bare)
	if err != nil {
		return nil, err
	}
	config, err := cluster.ClientConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	client, err := bare.Start(running, config, workload.Orphans(sets))
	if err != nil {
		return nil, err
	}
	run, _, _, err := s.burst(ctx, sets, cluster.Bare, false)
	return run, errors.Join(err, client.Err())
}

func sleep(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
