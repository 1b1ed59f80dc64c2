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
	set, err := r.gatherTarget(ctx, r.Client, &snapshot)
	if err != nil {
		return snapshot, nil, err
	}
	if err := gatherRival(ctx, r.Client, &snapshot); err != nil {
		return snapshot, nil, err
	}
	var pods corev1.PodList
	var jobs batchv1.JobList
	own := []client.ListOption{client.InNamespace(policy.Namespace), client.MatchingFields{policyUIDIndex: string(policy.UID)}}
	if err := r.List(ctx, &pods, own...); err != nil {
		return snapshot, nil, failedRead(err, "listing pods")
	}
	if err := r.List(ctx, &jobs, own...); err != nil {
		return snapshot, nil, failedRead(err, "listing Jobs")
	}
	snapshot.Pods, snapshot.Jobs = pods.Items, jobs.Items
	return snapshot, set, nil
}

// gatherTarget reads the StatefulSet, which it returns if there is one, and those others that its claims may belong to too.
func (r *Reconciler) gatherTarget(ctx context.Context, reader client.Reader, snapshot *plan.Snapshot) (*appsv1.StatefulSet, error) {
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
	return set, r.gatherOthers(ctx, reader, snapshot)
}

// gatherOthers reads the StatefulSets that claims of the snapshot's may belong to too.
func (r *Reconciler) gatherOthers(ctx context.Context, reader client.Reader, snapshot *plan.Snapshot) error {
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
	names := slices.Sorted(maps.Keys(others))
	read := make([]*appsv1.StatefulSet, len(names))
	err := r.each(len(names), func(i int) (err error) {
		read[i], err = readOne(ctx, reader, namespace, names[i], &appsv1.StatefulSet{})
		return err
	})
	for _, set := range read {
		if set != nil {
			snapshot.Others = append(snapshot.Others, claims.IdentityOf(set))
		}
	}
	return err
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

// gatherRival looks for an older policy for the same StatefulSet. Of the others, it only reads what names and dates them.
func gatherRival(ctx context.Context, reader client.Reader, snapshot *plan.Snapshot) error {
	policy := snapshot.Policy
	var list drainv1alpha1.DrainPolicyList
	if err := reader.List(ctx, &list, client.InNamespace(policy.Namespace),
		client.MatchingFields{statefulSetIndex: policy.Spec.StatefulSetRef.Name}, client.UnsafeDisableDeepCopy); err != nil {
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
