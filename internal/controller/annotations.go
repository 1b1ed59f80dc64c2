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
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
)

// AnnotationReconciler keeps a DrainPolicy for every StatefulSet that bears an annotation with a
// template and that no user has created a DrainPolicy for. It reads by the indexes of the Reconciler.
type AnnotationReconciler struct {
	// Client reads from the caches and writes to the API server.
	client.Client
	// Live reads from the API server.
	Live client.Reader
	// Recorder for events on policies and StatefulSets.
	Recorder events.EventRecorder
	// Ignore says that annotations are not followed: policies that were kept for one are deleted.
	Ignore bool
}

// Blocking the deletion of the owner asks for the right to update its finalizers, where an admission plugin looks.
// +kubebuilder:rbac:groups=drain.statefulset.dev,resources=drainpolicies,verbs=create;delete
// +kubebuilder:rbac:groups=apps,resources=statefulsets/finalizers,verbs=update

// SetupWithManager registers the watches.
func (r *AnnotationReconciler) SetupWithManager(mgr ctrl.Manager, concurrency int) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("annotation").
		For(&appsv1.StatefulSet{}, builder.WithPredicates(changed(func(set client.Object) any { return templateAnnotations(set) }))).
		Watches(&drainv1alpha1.DrainPolicy{}, handler.EnqueueRequestsFromMapFunc(setOfPolicy), builder.WithPredicates(changed(policyEssence))).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency, ReconciliationTimeout: reconcileTimeout}).
		Complete(r)
}

// setOfPolicy returns the StatefulSet that a policy names.
func setOfPolicy(_ context.Context, object client.Object) []reconcile.Request {
	policy, ok := object.(*drainv1alpha1.DrainPolicy)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.StatefulSetRef.Name}}}
}

// policyEssence is what is kept of a managed policy. Its deletion raises the generation.
func policyEssence(object client.Object) any {
	return []any{object.GetGeneration(), object.GetLabels(), object.GetAnnotations(), object.GetOwnerReferences()}
}

// Reconcile takes one step for a StatefulSet. As with drains, the caches say where there is
// something to do, and what the API server has now says what.
func (r *AnnotationReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	evidence, err := r.gather(ctx, r.Client, request.NamespacedName, client.MatchingFields{statefulSetIndex: request.Name})
	if err != nil || annotation.Next(evidence) == (annotation.Step{}) {
		return outcome(ctx, 0, err)
	}
	if evidence, err = r.gather(ctx, r.Live, request.NamespacedName); err != nil {
		return outcome(ctx, 0, err)
	}
	return outcome(ctx, 0, r.take(ctx, evidence.StatefulSet, annotation.Next(evidence)))
}

// gather reads a StatefulSet and its policies, which the options may narrow down.
func (r *AnnotationReconciler) gather(ctx context.Context, reader client.Reader, name types.NamespacedName, options ...client.ListOption) (annotation.Evidence, error) {
	evidence := annotation.Evidence{Ignored: r.Ignore}
	set := &appsv1.StatefulSet{}
	if err := reader.Get(ctx, name, set); apierrors.IsNotFound(err) {
		return evidence, nil
	} else if err != nil {
		return evidence, fmt.Errorf("reading the StatefulSet: %w", err)
	}
	evidence.StatefulSet = set
	var list drainv1alpha1.DrainPolicyList
	if err := reader.List(ctx, &list, append(options, client.InNamespace(name.Namespace))...); err != nil {
		return evidence, fmt.Errorf("listing the DrainPolicies: %w", err)
	}
	for i := range list.Items {
		switch policy := &list.Items[i]; {
		case policy.Spec.StatefulSetRef.Name == name.Name:
			evidence.Policies = append(evidence.Policies, *policy)
		case policy.Name == annotation.Names(set)[0]:
			evidence.NameTaken = true
		}
	}
	return evidence, nil
}

// take takes a step. Each is taken once, so each has one event.
func (r *AnnotationReconciler) take(ctx context.Context, set *appsv1.StatefulSet, step annotation.Step) error {
	logger := log.FromContext(ctx)
	switch {
	case step.Create != nil:
		if err := r.Create(ctx, step.Create); err != nil {
			return fmt.Errorf("creating DrainPolicy %q: %w", step.Create.Name, err)
		}
		logger.Info("Created a DrainPolicy", "drainPolicy", klog.KObj(step.Create), "why", step.Why)
		r.tell(set, step.Create, corev1.EventTypeNormal, eventPolicyCreated, "Created DrainPolicy %q, because %s", step.Create.Name, step.Why)
	case step.Change != nil:
		if err := r.Patch(ctx, step.Change, client.MergeFromWithOptions(step.Before, client.MergeFromWithOptimisticLock{})); err != nil {
			return fmt.Errorf("changing DrainPolicy %q: %w", step.Change.Name, err)
		}
		logger.Info("Changed a DrainPolicy", "drainPolicy", klog.KObj(step.Change), "why", step.Why)
		r.tell(set, step.Change, corev1.EventTypeNormal, eventPolicyReverted, "Changed DrainPolicy %q, because %s", step.Change.Name, step.Why)
	case step.Delete != nil:
		err := r.Delete(ctx, step.Delete, client.Preconditions{UID: &step.Delete.UID, ResourceVersion: &step.Delete.ResourceVersion})
		if err != nil {
			return client.IgnoreNotFound(err)
		}
		logger.Info("Deleted a DrainPolicy", "drainPolicy", klog.KObj(step.Delete), "why", step.Why)
		r.tell(set, step.Delete, corev1.EventTypeNormal, eventPolicyDeleted, "Deleted DrainPolicy %q, because %s", step.Delete.Name, step.Why)
	}
	return nil
}

// tell tells the readers of the StatefulSet and of the policy.
func (r *AnnotationReconciler) tell(set *appsv1.StatefulSet, policy *drainv1alpha1.DrainPolicy, eventType, reason, format string, args ...any) {
	message := clip(fmt.Sprintf(format, args...))
	r.Recorder.Eventf(set, policy, eventType, reason, "Keep", "%s", message)
	r.Recorder.Eventf(policy, set, eventType, reason, "Keep", "%s", message)
}
