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

package controller

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/metrics"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/progress"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
)

// Reconciler carries out DrainPolicies.
type Reconciler struct {
	// Client reads from the caches and writes to the API server.
	client.Client
	// Live reads from the API server. Every decision that can't be taken back rests on it.
	Live client.Reader
	// Recorder for events on policies and StatefulSets.
	Recorder events.EventRecorder
	// Clock tells the time.
	Clock clock.PassiveClock
	// Metrics counts what is done; nil for nothing.
	Metrics *metrics.Events
	// Protocol is what decides; nil for the one that plan.Make goes by.
	Protocol plan.Protocol
	// Scaling is what decides on the replicas; nil for the rules of its package.
	Scaling scaling.Table
	// Progress knows how far running drains are; nil if the operator reads no logs.
	Progress *progress.Poller
	// Order returns the indices of n requests that a reconcile would make at the same time, in the order in which it makes them instead,
	// for tests that decide what comes first; nil for all at the same time.
	Order func(n int) []int

	preflights preflights
	pods       podLists
	own        ownWrites
	reports    reports
	pasts      pasts
	lateness   lateness
}

// +kubebuilder:rbac:groups=drain.statefulset.dev,resources=drainpolicies,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=drain.statefulset.dev,resources=drainpolicies/status,verbs=patch
// +kubebuilder:rbac:groups=drain.statefulset.dev,resources=drainpolicies/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=list;watch;create;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile takes one policy one step further: gather, preflight, plan, act, report. It writes nothing when there is nothing
// to do.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	policy := &drainv1alpha1.DrainPolicy{}
	if err := r.Get(ctx, request.NamespacedName, policy); client.IgnoreNotFound(err) != nil {
		return outcome(ctx, 0, err)
	}
	abandonedAfter, abandoned := r.releaseAbandonedLocks(ctx, request.NamespacedName, policy.UID)
	if policy.UID == "" {
		r.preflights.forget(request.NamespacedName)
		r.own.forget(request.NamespacedName)
		r.reports.forget(request.NamespacedName)
		r.pasts.forget(request.NamespacedName)
		r.Metrics.Forget(request.NamespacedName)
		return outcome(ctx, abandonedAfter, abandoned)
	}
	snapshot, set, err := r.gather(ctx, policy)
	if err != nil {
		return outcome(ctx, abandonedAfter, err, abandoned, r.reportBlind(ctx, policy, err))
	}
	if unseen := r.own.unseen(request.NamespacedName, snapshot, r.Clock.Now()); unseen > 0 {
		return outcome(ctx, soonest(unseen, abandonedAfter), abandoned)
	}
	snapshot.Preflight = r.preflight(ctx, snapshot)
	snapshot.Progress = r.Progress.Of(snapshot.Pods)
	snapshot.Lag = r.lateness.recall(r.Clock.Now())
	next := r.protocol().Make(snapshot, r.Clock.Now())
	r.lateness.note(next.Lag, r.Clock.Now())
	policy, err = r.act(ctx, snapshot, &next)
	policy, scaled := r.scale(ctx, snapshot, policy, set, &next)
	err = errors.Join(err, scaled)
	showRefusals(&next, errors.Join(err, abandoned))
	statusAfter, reported := r.report(ctx, policy, set, &next)
	err = errors.Join(err, abandoned, reported)
	result, failed := outcome(ctx, soonest(next.RetryAfter(), next.ScaleAfter, abandonedAfter, statusAfter), err)
	return prioritized(result, &next, err), failed
}

// report writes the status that a plan makes, or returns the time after which to write it.
func (r *Reconciler) report(ctx context.Context, policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, p *plan.Plan) (after time.Duration, err error) {
	status := p.Status(policy, r.now())
	if after := r.reports.due(client.ObjectKeyFromObject(policy), policy.Status, status, r.Clock.Now()); after > 0 {
		return after, nil
	}
	err = r.writeStatus(ctx, policy, set, status)
	if !apierrors.IsConflict(err) || !concludes(policy.Status, status) {
		return 0, err
	}
	// A person edits the policy at this moment. The next plan can't tell how the drain ended once its claims are gone, so this one is
	// shown on the policy as it is now, as what was known of the generation that was planned for. Another manager's status is left alone.
	var latest drainv1alpha1.DrainPolicy
	if live := r.Live.Get(ctx, client.ObjectKeyFromObject(policy), &latest); live != nil || latest.UID != policy.UID || !equality.Semantic.DeepEqual(latest.Status, policy.Status) {
		return 0, err
	}
	latest.Generation = policy.Generation
	return 0, r.writeStatus(ctx, &latest, set, status)
}

// reportBlind says in the status that a read failed. The other conditions stay as they are: they are what was known last.
func (r *Reconciler) reportBlind(ctx context.Context, policy *drainv1alpha1.DrainPolicy, failed error) error {
	status, ready := policy.Status.DeepCopy(), blind(failed)
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: drainv1alpha1.ConditionReady, Status: ready.Status, Reason: ready.Reason, Message: clip(ready.Message),
		ObservedGeneration: policy.Generation, LastTransitionTime: r.now(),
	})
	return r.writeStatus(ctx, policy, nil, *status)
}

// writeStatus writes the status if it is another than before, and then tells of what changed. A
// cache that hasn't seen the last status yet makes a conflict, or everything would be told twice.
func (r *Reconciler) writeStatus(ctx context.Context, before *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, status drainv1alpha1.DrainPolicyStatus) error {
	if equality.Semantic.DeepEqual(before.Status, status) {
		return nil
	}
	after := before.DeepCopy()
	after.Status = status
	if err := r.Status().Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		// A policy whose finalizer was just removed is gone.
		return client.IgnoreNotFound(err)
	}
	r.own.note(client.ObjectKeyFromObject(after), nil, after, r.Clock.Now())
	r.announce(before, set, before.Status, after.Status)
	return nil
}

// now returns the time as a status holds it, to the second.
func (r *Reconciler) now() metav1.Time {
	return metav1.NewTime(r.Clock.Now().UTC().Truncate(time.Second))
}
