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

package progress

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/podlog"
)

const (
	// interval is the time between two looks at the drains of a policy. A status says nothing new about progress in between.
	interval = 10 * time.Second
	// perDrain is added for each drain, so that many are not many requests a second.
	perDrain = 500 * time.Millisecond
	// workers is how many policies are looked at side by side, and timeout ends a look that hangs.
	workers = 4
	timeout = time.Minute
)

// Poller knows how far running drains are.
type Poller struct {
	// Client reads policies and pods from the caches.
	client.Client
	// Logs reads logs.
	Logs podlog.Reader
	// Clock tells the time.
	Clock clock.PassiveClock

	mu       sync.Mutex
	looked   map[types.NamespacedName]time.Time
	readings map[types.UID]plan.Progress
	policies map[types.UID]types.NamespacedName
	changed  chan event.TypedGenericEvent[*drainv1alpha1.DrainPolicy]
}

// NewPoller returns a Poller.
func NewPoller(c client.Client, logs podlog.Reader, now clock.PassiveClock) *Poller {
	return &Poller{
		Client: c, Logs: logs, Clock: now,
		looked: map[types.NamespacedName]time.Time{}, readings: map[types.UID]plan.Progress{}, policies: map[types.UID]types.NamespacedName{},
		changed: make(chan event.TypedGenericEvent[*drainv1alpha1.DrainPolicy], 1024),
	}
}

// SetupWithManager registers the watches.
func (p *Poller) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("progress").
		For(&drainv1alpha1.DrainPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, pod client.Object) []ctrl.Request {
			name := pod.GetAnnotations()[drainv1alpha1.PolicyAnnotation]
			if name == "" || pod.GetLabels()[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleDrain {
				return nil
			}
			return []ctrl.Request{{NamespacedName: types.NamespacedName{Namespace: pod.GetNamespace(), Name: name}}}
		})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, ReconciliationTimeout: timeout}).
		Complete(p)
}

// Changed has the policies of which a drain has reported progress, or become silent.
func (p *Poller) Changed() <-chan event.TypedGenericEvent[*drainv1alpha1.DrainPolicy] {
	return p.changed
}

// Of returns what is known of the pods. A nil Poller knows why it knows nothing: a policy that asks for the progress of its drains must not
// seem to get it.
func (p *Poller) Of(pods []corev1.Pod) map[types.UID]plan.Progress {
	known := map[types.UID]plan.Progress{}
	if p == nil {
		for i := range pods {
			known[pods[i].UID] = plan.Progress{Unread: "the operator runs with --drain-logs=false"}
		}
		return known
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range pods {
		if reading, ok := p.readings[pods[i].UID]; ok {
			known[pods[i].UID] = reading
		}
	}
	return known
}

// Reconcile looks at the drains of one policy, if that is due.
func (p *Poller) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	policy := &drainv1alpha1.DrainPolicy{}
	if err := p.Get(ctx, request.NamespacedName, policy); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, err
	}
	var pods []corev1.Pod
	if policy.Spec.ProgressDeadlineSeconds != nil {
		var err error
		if pods, err = p.running(ctx, policy); err != nil {
			return ctrl.Result{}, err
		}
	}
	p.forget(request.NamespacedName, pods)
	if len(pods) == 0 {
		return ctrl.Result{}, nil
	}
	if after := p.due(request.NamespacedName, len(pods)); after > 0 {
		return ctrl.Result{RequeueAfter: after}, nil
	}
	limit, changed := time.Duration(*policy.Spec.ProgressDeadlineSeconds)*time.Second, false
	for i := range pods {
		if p.look(ctx, request.NamespacedName, &pods[i], limit) {
			changed = true
		}
	}
	if changed {
		select {
		case p.changed <- event.TypedGenericEvent[*drainv1alpha1.DrainPolicy]{Object: policy}:
		case <-ctx.Done():
		}
	}
	return ctrl.Result{RequeueAfter: p.pause(len(pods))}, nil
}

func (*Poller) pause(drains int) time.Duration { return max(interval, time.Duration(drains)*perDrain) }

// due returns how long to wait before the next look; if that is 0, it is now.
func (p *Poller) due(policy types.NamespacedName, drains int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Clock.Now()
	if left := p.looked[policy].Add(p.pause(drains)).Sub(now); left > 0 {
		return left
	}
	p.looked[policy] = now
	return 0
}

// running returns the drain pods of a policy in which a container of the drain runs.
func (p *Poller) running(ctx context.Context, policy *drainv1alpha1.DrainPolicy) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := p.List(ctx, &list, client.InNamespace(policy.Namespace), client.MatchingLabels{
		drainv1alpha1.PolicyUIDLabel: string(policy.UID), drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain,
	}); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool { return len(containersOf(&pod)) == 0 }), nil
}

// containersOf returns the names of the containers that run, without sidecars.
func containersOf(pod *corev1.Pod) []string {
	var names []string
	for _, kind := range []struct {
		specs    []corev1.Container
		statuses []corev1.ContainerStatus
	}{{pod.Spec.InitContainers, pod.Status.InitContainerStatuses}, {pod.Spec.Containers, pod.Status.ContainerStatuses}} {
		for i := range kind.statuses {
			status := &kind.statuses[i]
			sidecar := slices.ContainsFunc(kind.specs, func(c corev1.Container) bool {
				return c.Name == status.Name && ptr.Deref(c.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways
			})
			if status.State.Running != nil && !sidecar {
				names = append(names, status.Name)
			}
		}
	}
	return names
}

// look reads the logs of a pod, and reports whether the status has something new to say.
func (p *Poller) look(ctx context.Context, policy types.NamespacedName, pod *corev1.Pod, limit time.Duration) bool {
	p.mu.Lock()
	before := p.readings[pod.UID]
	p.mu.Unlock()
	after := before
	var from time.Time
	if before.Reported != nil {
		from = before.Reported.Time.Time
	}
	var unread []string
	for _, container := range containersOf(pod) {
		began := p.Clock.Now()
		lines, err := podlog.Since(ctx, p.Logs, podlog.Container{Pod: client.ObjectKeyFromObject(pod), Name: container}, from)
		if err != nil {
			unread = append(unread, podlog.WhyNot(err))
			continue
		}
		after.Read = began
		for _, line := range lines {
			if reported := parse(line); reported != nil && (after.Reported == nil || reported.Time.After(after.Reported.Time.Time)) {
				after.Reported = reported
			}
		}
	}
	after.Unread = strings.Join(slices.Compact(unread), "; ")
	if after.Unread != "" {
		after.Read = before.Read // Another container may have reported.
	}
	p.mu.Lock()
	p.readings[pod.UID], p.policies[pod.UID] = after, policy
	p.mu.Unlock()
	return before.Read.IsZero() != after.Read.IsZero() || before.Unread != after.Unread ||
		!equality.Semantic.DeepEqual(before.Reported, after.Reported) || silent(pod, before, limit) != silent(pod, after, limit)
}

// silent reports whether nothing was reported for so long, as the planner sees it.
func silent(pod *corev1.Pod, reading plan.Progress, limit time.Duration) bool {
	last := plan.StartOfRun(pod)
	if reading.Reported != nil && reading.Reported.Time.After(last) {
		last = reading.Reported.Time.Time
	}
	return !reading.Read.Before(last.Add(limit))
}

// forget drops what is known of pods that run no more.
func (p *Poller) forget(policy types.NamespacedName, running []corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for uid, of := range p.policies {
		if of == policy && !slices.ContainsFunc(running, func(pod corev1.Pod) bool { return pod.UID == uid }) {
			delete(p.policies, uid)
			delete(p.readings, uid)
		}
	}
	if len(running) == 0 {
		delete(p.looked, policy)
	}
}
