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

package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/preflight"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// snapshot reads all that the operator would read to plan for a policy, live and with the user's rights, and asks the API server in dry
// runs about the drains. The set is nil if it does not exist. What can't be read is an error: a plan without it would be wrong.
func (s *session) snapshot(ctx context.Context, policy *drainv1alpha1.DrainPolicy) (plan.Snapshot, *appsv1.StatefulSet, error) {
	snapshot := plan.Snapshot{Policy: policy, Managed: annotation.IsManaged(policy), Taken: metav1.NewTime(s.clock.Now())}
	var sets appsv1.StatefulSetList
	var volumes corev1.PersistentVolumeClaimList
	var pods corev1.PodList
	var jobs batchv1.JobList
	var policies drainv1alpha1.DrainPolicyList
	for _, list := range []client.ObjectList{&policies, &sets, &volumes, &pods, &jobs} {
		if err := s.client.List(ctx, list, client.InNamespace(policy.Namespace)); err != nil {
			return snapshot, nil, err
		}
	}
	snapshot.Claims, snapshot.Pods = volumes.Items, pods.Items
	snapshot.Jobs = slices.DeleteFunc(jobs.Items, func(job batchv1.Job) bool {
		return job.Labels[drainv1alpha1.PolicyUIDLabel] != string(policy.UID)
	})
	rival(&snapshot, policies.Items)
	var set *appsv1.StatefulSet
	snapshot.Target = statefulset.Remembered(policy)
	for i := range sets.Items {
		if sets.Items[i].Name == policy.Spec.StatefulSetRef.Name {
			set = &sets.Items[i]
			snapshot.Target = statefulset.Of(set)
			continue
		}
		snapshot.Others = append(snapshot.Others, claims.IdentityOf(&sets.Items[i]))
	}
	readTemplate(&snapshot, set)
	snapshot.Preflight = plan.Preflight{About: snapshot.Subject()}
	if len(snapshot.Template.Spec.Containers) > 0 && snapshot.Target.Stands() {
		snapshot.Preflight.Refusal, snapshot.Preflight.Unanswered = s.preflight(ctx, snapshot)
	}
	return snapshot, set, nil
}

// rival finds an older policy for the same StatefulSet, which takes precedence.
func rival(snapshot *plan.Snapshot, policies []drainv1alpha1.DrainPolicy) {
	oldest := snapshot.Policy
	for i := range policies {
		p := &policies[i]
		if p.Spec.StatefulSetRef.Name == oldest.Spec.StatefulSetRef.Name &&
			cmp.Or(p.CreationTimestamp.Compare(oldest.CreationTimestamp.Time), strings.Compare(p.Name, oldest.Name)) < 0 {
			oldest = p
		}
	}
	if oldest.Name != snapshot.Policy.Name {
		snapshot.Rival, snapshot.RivalManaged = oldest.Name, annotation.IsManaged(oldest)
	}
}

// readTemplate puts the template into the snapshot, or why it can't be read.
func readTemplate(snapshot *plan.Snapshot, set *appsv1.StatefulSet) {
	policy := snapshot.Policy
	key := policy.Spec.TemplateFrom.StatefulSetAnnotation
	switch {
	case key == "":
		snapshot.Template = *policy.Spec.Template.DeepCopy()
	case set == nil:
		snapshot.Unreadable = fmt.Sprintf("StatefulSet %q, whose annotation %s has it, does not exist", policy.Spec.StatefulSetRef.Name, key)
		return
	default:
		read, err := annotation.Read(set, key)
		if err != nil {
			snapshot.Unreadable = err.Error()
			return
		}
		snapshot.Template = read
	}
	snapshot.TemplateHash = objects.TemplateHash(policy, &snapshot.Template, snapshot.Target)
}

// preflight asks the API server about the drains in dry runs. With the admission policies of the operator, only the operator may create
// objects with its labels, so the user's dry runs have none.
func (s *session) preflight(ctx context.Context, snapshot plan.Snapshot) (refusal, unanswered string) {
	refusal, err := preflight.Ask(snapshot, func(object preflight.Object) error {
		restore := plain(object)
		defer restore()
		return s.client.Create(ctx, object, client.DryRunAll)
	})
	switch {
	case err == nil:
		return refusal, ""
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsForbidden(err) && !strings.Contains(err.Error(), "cannot create resource"):
		// Pod Security and quotas forbid, too, and not for want of a right.
		return "The API server refuses the drain that the template would become: " + err.Error(), ""
	}
	return "", err.Error()
}

// plain takes the operator's labels and annotations off an object and off the pods of a Job, and returns what puts them back.
func plain(object metav1.Object) (restore func()) {
	parts := []metav1.Object{object}
	if job, ok := object.(*batchv1.Job); ok {
		parts = append(parts, &job.Spec.Template.ObjectMeta)
		// A user who names an owner that blocks its deletion needs a right to that owner's finalizers.
		job.OwnerReferences = nil
	}
	ours := func(key, _ string) bool { return strings.HasPrefix(key, drainv1alpha1.GroupVersion.Group+"/") }
	labels, annotations := make([]map[string]string, len(parts)), make([]map[string]string, len(parts))
	for i, part := range parts {
		labels[i], annotations[i] = maps.Clone(part.GetLabels()), maps.Clone(part.GetAnnotations())
		maps.DeleteFunc(part.GetLabels(), ours)
		maps.DeleteFunc(part.GetAnnotations(), ours)
	}
	back := func(of, from map[string]string) map[string]string {
		for key, value := range from {
			if ours(key, "") {
				if of == nil {
					of = map[string]string{}
				}
				of[key] = value
			}
		}
		return of
	}
	return func() {
		for i, part := range parts {
			part.SetLabels(back(part.GetLabels(), labels[i]))
			part.SetAnnotations(back(part.GetAnnotations(), annotations[i]))
		}
	}
}

// scaled returns the snapshot as it is soon after the StatefulSet was scaled, when the pods that it wants no more are gone.
func scaled(snapshot plan.Snapshot, set *appsv1.StatefulSet, replicas int32) plan.Snapshot {
	after := set.DeepCopy()
	after.Spec.Replicas = &replicas
	after.Generation++
	after.Status.ObservedGeneration = after.Generation
	after.Status.ReadyReplicas = 0
	target := statefulset.Of(after)
	pods := snapshot.Pods
	snapshot.Pods = nil
	for i := range pods {
		pod := &pods[i]
		if !metav1.IsControlledBy(pod, set) {
			snapshot.Pods = append(snapshot.Pods, *pod)
			continue
		}
		if _, ordinal, ok := claims.Parse(pod.Name); !ok || !target.InRange(ordinal) {
			continue
		}
		snapshot.Pods = append(snapshot.Pods, *pod)
		if ready(pod) {
			after.Status.ReadyReplicas++
		}
	}
	snapshot.Target = statefulset.Of(after)
	// The operator adds its finalizer before it does anything else, and that is not what a person wants to know.
	snapshot.Policy = snapshot.Policy.DeepCopy()
	if !slices.Contains(snapshot.Policy.Finalizers, drainv1alpha1.PolicyFinalizer) {
		snapshot.Policy.Finalizers = append(snapshot.Policy.Finalizers, drainv1alpha1.PolicyFinalizer)
	}
	return snapshot
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// accepted returns what the operator's own preflight said, and whether it said anything of the template of now.
func accepted(policy *drainv1alpha1.DrainPolicy, snapshot *plan.Snapshot) (condition *metav1.Condition, known bool) {
	condition = meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady)
	return condition, condition != nil && condition.ObservedGeneration == policy.Generation && policy.Status.TemplateHash == snapshot.TemplateHash
}
