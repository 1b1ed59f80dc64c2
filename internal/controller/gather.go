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
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// gather returns what the caches hold about a policy, and its StatefulSet, which events are about; nil if there is none.
func (r *Reconciler) gather(ctx context.Context, policy *drainv1alpha1.DrainPolicy) (plan.Snapshot, *appsv1.StatefulSet, error) {
	snapshot := plan.Snapshot{Policy: policy, Managed: annotation.IsManaged(policy)}
	var list corev1.PersistentVolumeClaimList
	if err := r.List(ctx, &list, client.InNamespace(policy.Namespace), client.MatchingFields{claimSetIndex: policy.Spec.StatefulSetRef.Name}); err != nil {
		return snapshot, nil, failedRead(err, "listing the claims that StatefulSet %q may have made", policy.Spec.StatefulSetRef.Name)
	}
	snapshot.Claims = list.Items
	set, err := gatherTarget(ctx, r.Client, &snapshot)
	if err != nil {
		return snapshot, nil, err
	}
	if err := gatherRival(ctx, r.Client, &snapshot); err != nil {
		return snapshot, nil, err
	}
	err = gatherOwn(ctx, r.Client, &snapshot, ownLabels(policy))
	return snapshot, set, err
}

// gatherLive returns what the API server holds about some ordinals, and about the locks and
// Jobs of all. It has all pods of the namespace, so that others who use the claims are seen;
// that is one list, which the API server answers from its watch cache.
func (r *Reconciler) gatherLive(ctx context.Context, cached plan.Snapshot, ordinals ...int32) (plan.Snapshot, error) {
	policy := &drainv1alpha1.DrainPolicy{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(cached.Policy), policy); apierrors.IsNotFound(err) {
		return plan.Snapshot{}, fmt.Errorf("%w: the policy is gone", errChanged)
	} else if err != nil {
		return plan.Snapshot{}, failedRead(err, "reading the policy")
	}
	if policy.UID != cached.Policy.UID {
		return plan.Snapshot{}, fmt.Errorf("%w: the policy with UID %s became one with UID %s", errChanged, cached.Policy.UID, policy.UID)
	}
	// The caches leave a template that is too large out, so this look does too.
	if err := boundTemplate(policy); err != nil {
		return plan.Snapshot{}, err
	}
	// The preflight is carried over: dry runs go through webhooks, and the rest of the look would grow old meanwhile. It names
	// what it is about, and the planner starts nothing on an answer about another template or StatefulSet than this look sees.
	// No promise rests on it. The planner looks at each drain pod again before it is ungated and when it has succeeded.
	snapshot := plan.Snapshot{Policy: policy, Managed: annotation.IsManaged(policy), Preflight: cached.Preflight}
	// A rival is read live, like all else that forbids a start: a cache may not have seen an older policy yet.
	if err := gatherRival(ctx, r.Live, &snapshot); err != nil {
		return snapshot, err
	}
	if _, err := gatherTarget(ctx, r.Live, &snapshot); err != nil {
		return snapshot, err
	}
	if err := r.gatherClaims(ctx, &snapshot, ordinals); err != nil {
		return snapshot, err
	}
	if err := gatherOwn(ctx, r.Live, &snapshot); err != nil {
		return snapshot, err
	}
	err := r.gatherNoted(ctx, &snapshot, ordinals)
	return snapshot, err
}

// fewReads is the number of objects up to which they are read one by one. A list of all objects of the kind in the
// namespace is one request, whose cost others decide.
const fewReads = 6

// gatherClaims reads the claims of some ordinals.
func (r *Reconciler) gatherClaims(ctx context.Context, snapshot *plan.Snapshot, ordinals []int32) error {
	namespace := snapshot.Policy.Namespace
	wanted := map[string]bool{}
	for _, ordinal := range ordinals {
		for _, name := range snapshot.Target.ClaimNames(ordinal) {
			wanted[name] = true
		}
	}
	if len(wanted) > fewReads {
		var list corev1.PersistentVolumeClaimList
		if err := r.Live.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return failedRead(err, "listing claims")
		}
		snapshot.Claims = slices.DeleteFunc(list.Items, func(claim corev1.PersistentVolumeClaim) bool { return !wanted[claim.Name] })
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if err := r.gatherClaim(ctx, snapshot, name); err != nil {
			return err
		}
	}
	return nil
}

// gatherClaim reads one claim, if it is there.
func (r *Reconciler) gatherClaim(ctx context.Context, snapshot *plan.Snapshot, name string) error {
	var claim corev1.PersistentVolumeClaim
	switch err := r.Live.Get(ctx, types.NamespacedName{Namespace: snapshot.Policy.Namespace, Name: name}, &claim); {
	case err == nil:
		snapshot.Claims = append(snapshot.Claims, claim)
	case !apierrors.IsNotFound(err):
		return failedRead(err, "reading claim %q", name)
	}
	return nil
}

// gatherNoted reads the claims that a deletion was noted of under the locks of some ordinals and that are not among those that
// were read, because they are not the StatefulSet's any more.
func (r *Reconciler) gatherNoted(ctx context.Context, snapshot *plan.Snapshot, ordinals []int32) error {
	for _, name := range plan.NotedClaims(*snapshot, ordinals) {
		if slices.ContainsFunc(snapshot.Claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == name }) {
			continue
		}
		if err := r.gatherClaim(ctx, snapshot, name); err != nil {
			return err
		}
	}
	return nil
}

// gatherTarget reads the StatefulSet, which it returns if there is one, and those others that its claims may belong to too.
func gatherTarget(ctx context.Context, reader client.Reader, snapshot *plan.Snapshot) (*appsv1.StatefulSet, error) {
	namespace, name := snapshot.Policy.Namespace, snapshot.Policy.Spec.StatefulSetRef.Name
	set := &appsv1.StatefulSet{}
	switch err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, set); {
	case err == nil:
		snapshot.Target = statefulset.Of(set)
	case apierrors.IsNotFound(err):
		set, snapshot.Target = nil, statefulset.Remembered(snapshot.Policy)
	default:
		return nil, failedRead(err, "reading StatefulSet %q", name)
	}
	readTemplate(snapshot, set)
	return set, gatherOthers(ctx, reader, snapshot)
}

// gatherOthers reads the StatefulSets that claims of the snapshot's may belong to too.
func gatherOthers(ctx context.Context, reader client.Reader, snapshot *plan.Snapshot) error {
	namespace := snapshot.Policy.Namespace
	others := otherSets(snapshot)
	if len(others) > fewReads {
		var list appsv1.StatefulSetList
		if err := reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return failedRead(err, "listing StatefulSets")
		}
		for i := range list.Items {
			if others[list.Items[i].Name] {
				snapshot.Others = append(snapshot.Others, claims.IdentityOf(&list.Items[i]))
			}
		}
		return nil
	}
	for _, other := range slices.Sorted(maps.Keys(others)) {
		set := &appsv1.StatefulSet{}
		switch err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: other}, set); {
		case err == nil:
			snapshot.Others = append(snapshot.Others, claims.IdentityOf(set))
		case !apierrors.IsNotFound(err):
			return failedRead(err, "reading StatefulSet %q", other)
		}
	}
	return nil
}

// otherSets returns the names of StatefulSets that claims of the snapshot's may belong to too, one for each dash in
// their names.
func otherSets(snapshot *plan.Snapshot) map[string]bool {
	name := snapshot.Policy.Spec.StatefulSetRef.Name
	others := map[string]bool{}
	see := func(base string) {
		for _, set := range claims.Sets(base) {
			if set != name {
				others[set] = true
			}
		}
	}
	for _, template := range snapshot.Target.ClaimTemplates {
		see(claims.Base(template, name))
	}
	for i := range snapshot.Claims {
		base, _, _ := claims.Parse(snapshot.Claims[i].Name)
		see(base)
	}
	return others
}

// gatherOwn reads pods as asked for, and the policy's Jobs.
func gatherOwn(ctx context.Context, reader client.Reader, snapshot *plan.Snapshot, podOptions ...client.ListOption) error {
	policy := snapshot.Policy
	// The two lists are not of one moment. Pods come first, and with them the lock: the Job of every pod that the lock names is
	// older than that list, so the later list of Jobs shows it, unless it was deleted. A pod that is ungated after the first list
	// changes the lock, and a release by the lock of that list fails.
	var pods corev1.PodList
	if err := reader.List(ctx, &pods, append(podOptions, client.InNamespace(policy.Namespace))...); err != nil {
		return failedRead(err, "listing pods")
	}
	var jobs batchv1.JobList
	if err := reader.List(ctx, &jobs, ownLabels(policy), client.InNamespace(policy.Namespace)); err != nil {
		return failedRead(err, "listing Jobs")
	}
	snapshot.Pods, snapshot.Jobs = pods.Items, jobs.Items
	return nil
}

// gatherAbandoned returns what the API server holds about a lock whose policy is gone; no lock if it is gone too, or if the
// policy is there.
func (r *Reconciler) gatherAbandoned(ctx context.Context, cached *corev1.Pod, owner metav1.OwnerReference) (*corev1.Pod, plan.Snapshot, error) {
	lock, policy := &corev1.Pod{}, &drainv1alpha1.DrainPolicy{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(cached), lock); err != nil || lock.UID != cached.UID {
		return nil, plan.Snapshot{}, client.IgnoreNotFound(err)
	}
	key := types.NamespacedName{Namespace: lock.Namespace, Name: owner.Name}
	if err := r.Live.Get(ctx, key, policy); client.IgnoreNotFound(err) != nil || policy.UID == owner.UID {
		return nil, plan.Snapshot{}, err
	}
	gone := plan.Snapshot{Policy: &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: lock.Namespace, Name: owner.Name, UID: owner.UID}}}
	if err := gatherOwn(ctx, r.Live, &gone, ownLabels(gone.Policy)); err != nil {
		return nil, gone, err
	}
	var list corev1.PersistentVolumeClaimList
	if err := r.Live.List(ctx, &list, client.InNamespace(lock.Namespace)); err != nil {
		return nil, gone, failedRead(err, "listing claims")
	}
	gone.Claims = list.Items
	return lock, gone, nil
}

// readTemplate puts the template into the snapshot, and why it can't be read. One from an annotation is read again for every
// look, so no copy has to be kept in step. The snapshot has a copy of its own: the answer to a patch is decoded into the
// policy in hand, slices and all.
func readTemplate(snapshot *plan.Snapshot, set *appsv1.StatefulSet) {
	policy := snapshot.Policy
	if key := policy.Spec.TemplateFrom.StatefulSetAnnotation; key != "" {
		if set == nil {
			snapshot.Unreadable = fmt.Sprintf("StatefulSet %q, whose annotation %s has it, does not exist", policy.Spec.StatefulSetRef.Name, key)
			return
		}
		template, err := annotation.Read(set, key)
		if err != nil {
			snapshot.Unreadable = err.Error()
			return
		}
		snapshot.Template = template
	} else {
		snapshot.Template = *policy.Spec.Template.DeepCopy()
	}
	snapshot.TemplateHash = objects.TemplateHash(policy, &snapshot.Template, snapshot.Target)
}

// gatherRival looks for an older policy for the same StatefulSet.
func gatherRival(ctx context.Context, reader client.Reader, snapshot *plan.Snapshot) error {
	policy := snapshot.Policy
	var list drainv1alpha1.DrainPolicyList
	if err := reader.List(ctx, &list, client.InNamespace(policy.Namespace),
		client.MatchingFields{statefulSetIndex: policy.Spec.StatefulSetRef.Name}); err != nil {
		return failedRead(err, "listing the policies for StatefulSet %q", policy.Spec.StatefulSetRef.Name)
	}
	oldest := slices.MinFunc(append(list.Items, *policy), func(a, b drainv1alpha1.DrainPolicy) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	if oldest.Name != policy.Name {
		snapshot.Rival, snapshot.RivalManaged = oldest.Name, annotation.IsManaged(&oldest)
	}
	return nil
}

func ownLabels(policy *drainv1alpha1.DrainPolicy) client.MatchingLabels {
	return client.MatchingLabels{drainv1alpha1.PolicyUIDLabel: string(policy.UID)}
}
