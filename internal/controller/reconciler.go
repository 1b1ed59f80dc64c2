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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
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

	preflights preflights
}

// +kubebuilder:rbac:groups=drain.statefulset.dev,resources=drainpolicies,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=drain.statefulset.dev,resources=drainpolicies/status,verbs=patch
// +kubebuilder:rbac:groups=drain.statefulset.dev,resources=drainpolicies/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=list;watch;create;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile takes one policy one step further. It writes nothing when there is nothing to do.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var policy drainv1alpha1.DrainPolicy
	if err := r.Get(ctx, request.NamespacedName, &policy); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, err
	}
	wait, abandoned := r.releaseAbandonedLocks(ctx, request.NamespacedName, policy.UID)
	if policy.UID == "" {
		r.preflights.forget(request.NamespacedName)
		return again(wait, 0), abandoned
	}
	snapshot, set, err := r.gather(ctx, &policy)
	if err != nil {
		return ctrl.Result{}, err
	}
	snapshot.Preflight = r.preflight(ctx, snapshot)
	next := plan.Make(snapshot, r.Clock.Now())
	err = errors.Join(r.act(ctx, snapshot, &next), r.report(ctx, snapshot.Policy, set, &next), abandoned)
	if apierrors.IsConflict(err) {
		// What this was decided on is no more. The caches will have what is soon; until then
		// nothing is gained by complaining.
		log.FromContext(ctx).V(1).Info("Deciding again", "why", err.Error())
		return ctrl.Result{RequeueAfter: cacheLag}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	return again(wait, next.RetryAfter()), nil
}

// again returns when to look again: after a while, or soon if something must be waited for that no watch tells of.
func again(wait bool, after time.Duration) ctrl.Result {
	if wait && (after == 0 || refusalRecheck < after) {
		after = refusalRecheck
	}
	return ctrl.Result{RequeueAfter: after}
}

// report writes the status if it is another than before, and then tells of what changed. A
// cache that hasn't seen the last status yet makes a conflict, or everything would be told twice.
func (r *Reconciler) report(ctx context.Context, before *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, p *plan.Plan) error {
	after := before.DeepCopy()
	after.Status = p.Status(before, metav1.NewTime(r.Clock.Now().UTC().Truncate(time.Second)))
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	if err := r.Status().Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		// A policy whose finalizer was just removed is gone.
		return client.IgnoreNotFound(err)
	}
	r.announce(before, set, before.Status, after.Status)
	return nil
}
