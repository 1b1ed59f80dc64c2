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
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

const (
	// claimSetIndex finds claims by every name that their StatefulSet may have.
	claimSetIndex = "claimSet"
	// statefulSetIndex finds policies by the StatefulSet that they name. It is a selectable field of the CRD too, so the API
	// server answers the same selector.
	statefulSetIndex = "spec.statefulSetRef.name"

	// policyUIDIndex finds the pods and Jobs of a policy by its UID, and holderIndex locks by the name of their policy.
	policyUIDIndex = "policyUID"
	holderIndex    = "holder"

	// reconcileTimeout ends a reconcile that hangs; the next one goes on from the evidence.
	reconcileTimeout = time.Minute
	// cacheLag is how long a reconcile that met a newer object than its caches hold waits for them.
	cacheLag = 200 * time.Millisecond
)

// firstRetry and longestRetry bound how long a policy waits after a request that failed, twice as long after each one in a row. The
// default goes up to 17 minutes, and drains should go on soon after an API server is back.
const (
	firstRetry   = 5 * time.Millisecond
	longestRetry = time.Minute
)

// SetupWithManager registers the indexes and watches. Concurrency is the number of policies
// that are reconciled at the same time.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, concurrency int) error {
	if err := AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	watched := ctrl.NewControllerManagedBy(mgr)
	if r.Progress != nil {
		watched = watched.WatchesRawSource(source.TypedChannel(r.Progress.Changed(), handler.TypedEnqueueRequestsFromMapFunc(
			func(_ context.Context, policy *drainv1alpha1.DrainPolicy) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(policy)}}
			})))
	}
	return watched.
		Named("drainpolicy").
		For(&drainv1alpha1.DrainPolicy{}, builder.WithPredicates(changed(memberEssence))).
		// The next policy in line is reconciled when an older one is created or deleted.
		Watches(&drainv1alpha1.DrainPolicy{}, handler.EnqueueRequestsFromMapFunc(r.siblings), builder.WithPredicates(comesOrGoes())).
		Watches(&appsv1.StatefulSet{}, handler.EnqueueRequestsFromMapFunc(r.policiesOfSet), builder.WithPredicates(changed(setEssence))).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.policiesOfClaim), builder.WithPredicates(changed(claimEssence))).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(policyOf)).
		Watches(&batchv1.Job{}, jobEvents()).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency, ReconciliationTimeout: reconcileTimeout,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, longestRetry),
		}).
		Complete(r)
}

// jobEvents returns the handler of events of Jobs. A drain that has succeeded is looked at before all others (prioritized), and its
// Job's end is the first to tell of it.
func jobEvents() handler.EventHandler {
	enqueue := handler.EnqueueRequestsFromMapFunc(policyOf)
	update := func(ctx context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if queue, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok && complete(e.ObjectNew) {
			queue.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(prioritySucceeded)}, policyOf(ctx, e.ObjectNew)...)
			return
		}
		enqueue.Update(ctx, e, queue)
	}
	return handler.Funcs{CreateFunc: enqueue.Create, UpdateFunc: update, DeleteFunc: enqueue.Delete, GenericFunc: enqueue.Generic}
}

// complete reports whether an object is a Job that has succeeded.
func complete(object client.Object) bool {
	job, ok := object.(*batchv1.Job)
	return ok && slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue
	})
}

// AddIndexes registers the indexes that the reconciler reads by.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &corev1.PersistentVolumeClaim{}, claimSetIndex, func(object client.Object) []string {
		base, _, _ := claims.Parse(object.GetName())
		return claims.Sets(base)
	}); err != nil {
		return err
	}
	ofPolicy := func(object client.Object) []string { return []string{object.GetLabels()[drainv1alpha1.PolicyUIDLabel]} }
	for _, object := range []client.Object{&corev1.Pod{}, &batchv1.Job{}} {
		if err := indexer.IndexField(ctx, object, policyUIDIndex, ofPolicy); err != nil {
			return err
		}
	}
	if err := indexer.IndexField(ctx, &corev1.Pod{}, holderIndex, func(object client.Object) []string {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return nil
		}
		if holder, ok := plan.Holder(pod); ok {
			return []string{holder.Name}
		}
		return nil
	}); err != nil {
		return err
	}
	return indexer.IndexField(ctx, &drainv1alpha1.DrainPolicy{}, statefulSetIndex, func(object client.Object) []string {
		policy, ok := object.(*drainv1alpha1.DrainPolicy)
		if !ok {
			return nil
		}
		return []string{policy.Spec.StatefulSetRef.Name}
	})
}

// policiesOfSet returns the policies that name a StatefulSet, and those that name another one
// whose claims may be taken for its own.
func (r *Reconciler) policiesOfSet(ctx context.Context, object client.Object) []reconcile.Request {
	names := []string{object.GetName()}
	if set, ok := object.(*appsv1.StatefulSet); ok {
		for _, template := range claims.IdentityOf(set).Templates {
			names = append(names, claims.Sets(claims.Base(template, set.Name))...)
		}
	}
	return r.policies(ctx, object.GetNamespace(), slices.Compact(slices.Sorted(slices.Values(names)))...)
}

// policiesOfClaim returns the policies whose StatefulSet's name a claim may end in.
func (r *Reconciler) policiesOfClaim(ctx context.Context, claim client.Object) []reconcile.Request {
	base, _, ok := claims.Parse(claim.GetName())
	if !ok {
		return nil
	}
	return r.policies(ctx, claim.GetNamespace(), claims.Sets(base)...)
}

// siblings returns the other policies that name the same StatefulSet.
func (r *Reconciler) siblings(ctx context.Context, object client.Object) []reconcile.Request {
	policy, ok := object.(*drainv1alpha1.DrainPolicy)
	if !ok {
		return nil
	}
	return r.policies(ctx, policy.Namespace, policy.Spec.StatefulSetRef.Name)
}

// policies returns the policies that name one of some StatefulSets. Only their names are read, so they are not copied.
func (r *Reconciler) policies(ctx context.Context, namespace string, sets ...string) []reconcile.Request {
	var requests []reconcile.Request
	for _, set := range sets {
		var list drainv1alpha1.DrainPolicyList
		if err := r.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{statefulSetIndex: set}, client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Cannot find the policies of a StatefulSet", "namespace", namespace, "statefulSet", set)
			continue
		}
		for i := range list.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

// policyOf returns the policy that a lock, Job or drain pod is of.
func policyOf(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetAnnotations()[drainv1alpha1.PolicyAnnotation]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

// comesOrGoes lets creations and deletions through.
func comesOrGoes() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
}

// changed lets updates through in which the essence of an object changes.
func changed(essence func(client.Object) any) predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(essence(e.ObjectOld), essence(e.ObjectNew))
	}}
}

// memberEssence is what decides in a policy. The deletion of a policy raises its generation.
func memberEssence(object client.Object) any {
	return []any{object.GetUID(), object.GetGeneration(), object.GetAnnotations()[drainv1alpha1.MembersAnnotation]}
}

// setEssence is what a drain may wait for in a StatefulSet. Its deletion raises the generation.
func setEssence(object client.Object) any {
	set, ok := object.(*appsv1.StatefulSet)
	if !ok {
		return nil
	}
	return []any{set.Generation, set.Status.ObservedGeneration, set.Status.Replicas, set.Status.ReadyReplicas, templateAnnotations(set)}
}

// templateAnnotations are the annotations that hold a template.
func templateAnnotations(object client.Object) map[string]string {
	held := map[string]string{}
	for _, key := range drainv1alpha1.TemplateAnnotations() {
		if text := object.GetAnnotations()[string(key)]; text != "" {
			held[string(key)] = text
		}
	}
	return held
}

// claimEssence is all that the cache keeps of a claim, but for its resourceVersion.
func claimEssence(object client.Object) any {
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return nil
	}
	return []any{claim.UID, claim.DeletionTimestamp, maps.Clone(claim.Labels), maps.Clone(claim.Annotations), claim.Spec.VolumeName, claim.Status}
}
