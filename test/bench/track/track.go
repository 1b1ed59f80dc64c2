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

package track

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"

	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

// Times are the moments of one drain, as far as they have come. Watch events arrive a few milliseconds after what they report.
type Times struct {
	PodGone    time.Time
	JobCreated time.Time
	ClaimGone  time.Time
	// Over is when the claim, the lock and the Job were gone.
	Over time.Time
}

// Sight is something that a watch reported.
type Sight struct {
	Time time.Time
	Text string
}

// Tracker follows drains.
type Tracker struct {
	// done is closed when the last drain is over.
	done chan struct{}
	// record makes the tracker keep what it sees.
	record bool
	stop   context.CancelFunc

	mu      sync.Mutex
	drains  map[key]*drain
	jobs    map[types.UID]*drain
	phases  map[types.UID]string
	pending int
	sights  []Sight
	err     error
}

// key names an object of a drain.
type key struct{ namespace, name string }

type drain struct {
	Times
	orphan workload.Orphan
	pod    bool
	claim  bool
	jobs   int
}

// Start watches from now on. The orphans' pods and claims must exist.
func Start(ctx context.Context, client kubernetes.Interface, orphans []workload.Orphan, record bool) (*Tracker, error) {
	ctx, stop := context.WithCancel(ctx)
	t := &Tracker{
		done: make(chan struct{}), record: record, stop: stop,
		drains: map[key]*drain{}, jobs: map[types.UID]*drain{}, phases: map[types.UID]string{}, pending: len(orphans),
	}
	t.expect(orphans)
	for _, source := range []struct {
		list  func(metav1.ListOptions) (runtime.Object, error)
		watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
		see   func(watch.Event)
	}{
		{
			func(o metav1.ListOptions) (runtime.Object, error) { return client.CoreV1().Pods("").List(ctx, o) },
			client.CoreV1().Pods("").Watch, t.seePod,
		},
		{
			func(o metav1.ListOptions) (runtime.Object, error) { return client.BatchV1().Jobs("").List(ctx, o) },
			client.BatchV1().Jobs("").Watch, t.seeJob,
		},
		{
			func(o metav1.ListOptions) (runtime.Object, error) {
				return client.CoreV1().PersistentVolumeClaims("").List(ctx, o)
			},
			client.CoreV1().PersistentVolumeClaims("").Watch, t.seeClaim,
		},
	} {
		if err := t.watch(ctx, source.list, source.watch, source.see); err != nil {
			stop()
			return nil, err
		}
	}
	return t, nil
}

// expect remembers the orphans, whose pods and claims exist.
func (t *Tracker) expect(orphans []workload.Orphan) {
	for _, orphan := range orphans {
		d := &drain{orphan: orphan, pod: true, claim: true}
		t.drains[key{orphan.Namespace, orphan.Pod()}] = d
		t.drains[key{orphan.Namespace, orphan.Claim()}] = d
	}
}

// watch starts one watch from the present version on.
func (t *Tracker) watch(ctx context.Context, list func(metav1.ListOptions) (runtime.Object, error),
	open func(context.Context, metav1.ListOptions) (watch.Interface, error), see func(watch.Event),
) error {
	first, err := list(metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	listed, ok := first.(metav1.ListInterface)
	if !ok {
		return fmt.Errorf("%T is not a list", first)
	}
	events, err := toolswatch.NewRetryWatcherWithContext(ctx, listed.GetResourceVersion(), &cache.ListWatch{WatchFuncWithContext: open})
	if err != nil {
		return err
	}
	go func() {
		for event := range events.ResultChan() {
			if event.Type == watch.Error {
				t.fail(fmt.Errorf("watching: %v", event.Object))
				return
			}
			see(event)
		}
	}()
	return nil
}

// Stop ends the watches.
func (t *Tracker) Stop() { t.stop() }

// Wait waits until the last drain is over, and returns an error that says how far the drains have come if the context ends
// before that.
func (t *Tracker) Wait(ctx context.Context) error {
	select {
	case <-t.done:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.err
	case <-ctx.Done():
		t.mu.Lock()
		defer t.mu.Unlock()
		return fmt.Errorf("%d drains are not over: %w", t.pending, context.Cause(ctx))
	}
}

// Drains returns the times of all drains.
func (t *Tracker) Drains() []Times {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Times
	for k, d := range t.drains {
		if k.name == d.orphan.Pod() {
			all = append(all, d.Times)
		}
	}
	return all
}

// Sights returns what was seen, if it was recorded.
func (t *Tracker) Sights() []Sight {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.sights)
}

func (t *Tracker) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
		if t.pending > 0 {
			close(t.done)
		}
		t.pending = 0
	}
}

func (t *Tracker) seePod(event watch.Event) {
	pod, ok := event.Object.(*corev1.Pod)
	if !ok {
		return
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note(now, event.Type, "pod", pod, podState(pod))
	d := t.drains[key{pod.Namespace, pod.Name}]
	if d == nil {
		return
	}
	switch event.Type {
	case watch.Added:
		d.pod = true
	case watch.Deleted:
		d.pod = false
		if d.PodGone.IsZero() {
			d.PodGone = now
		}
	}
	t.check(d, now)
}

func (t *Tracker) seeJob(event watch.Event) {
	job, ok := event.Object.(*batchv1.Job)
	if !ok {
		return
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note(now, event.Type, "Job", job, jobState(job))
	switch event.Type {
	case watch.Added:
		d := t.drainOf(job)
		if d == nil {
			return
		}
		t.jobs[job.UID] = d
		d.jobs++
		if d.JobCreated.IsZero() {
			d.JobCreated = now
		}
	case watch.Deleted:
		if d := t.jobs[job.UID]; d != nil {
			delete(t.jobs, job.UID)
			d.jobs--
			t.check(d, now)
		}
	}
}

// drainOf finds the drain of a Job by the claim that it mounts, which is the same whatever created it.
func (t *Tracker) drainOf(job *batchv1.Job) *drain {
	for _, volume := range job.Spec.Template.Spec.Volumes {
		if claim := volume.PersistentVolumeClaim; claim != nil {
			if d := t.drains[key{job.Namespace, claim.ClaimName}]; d != nil {
				return d
			}
		}
	}
	return nil
}

func (t *Tracker) seeClaim(event watch.Event) {
	claim, ok := event.Object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note(now, event.Type, "claim", claim, claimState(claim))
	d := t.drains[key{claim.Namespace, claim.Name}]
	if d == nil || event.Type != watch.Deleted {
		return
	}
	d.claim = false
	d.ClaimGone = now
	t.check(d, now)
}

// check finds out whether a drain is over.
func (t *Tracker) check(d *drain, now time.Time) {
	if d.pod || d.claim || d.jobs > 0 || !d.Over.IsZero() {
		return
	}
	d.Over = now
	t.pending--
	if t.pending == 0 {
		close(t.done)
	}
}

// note keeps what was seen, once for each state.
func (t *Tracker) note(now time.Time, event watch.EventType, kind string, object metav1.Object, state string) {
	if !t.record {
		return
	}
	if event == watch.Deleted {
		state = "is gone"
	}
	if t.phases[object.GetUID()] == state {
		return
	}
	t.phases[object.GetUID()] = state
	t.sights = append(t.sights, Sight{now, fmt.Sprintf("%s %s %s", kind, object.GetName(), state)})
}

func podState(pod *corev1.Pod) string {
	switch {
	case pod.DeletionTimestamp != nil:
		return "is being deleted"
	case pod.Status.Phase != corev1.PodPending:
		return "is " + string(pod.Status.Phase)
	case pod.Spec.NodeName != "":
		return "is scheduled"
	case len(pod.Spec.SchedulingGates) > 0:
		return "is gated"
	}
	return "is pending"
}

func jobState(job *batchv1.Job) string {
	if job.DeletionTimestamp != nil {
		return "is being deleted"
	}
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobComplete && condition.Status == corev1.ConditionTrue {
			return "is Complete"
		}
	}
	return "exists"
}

func claimState(claim *corev1.PersistentVolumeClaim) string {
	if claim.DeletionTimestamp != nil {
		return "is being deleted"
	}
	for _, condition := range claim.Status.Conditions {
		if condition.Type == corev1.PersistentVolumeClaimUnused && condition.Status == corev1.ConditionTrue {
			return "is reported as unused"
		}
	}
	return "is in use"
}
