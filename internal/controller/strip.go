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
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
)

// CacheOptions returns what the caches keep: of pods and Jobs only those of drains, of claims, StatefulSets
// and policies only what is read. No namespaces means all.
func CacheOptions(namespaces ...string) cache.Options {
	ours, err := labels.NewRequirement(drainv1alpha1.PolicyUIDLabel, selection.Exists, nil)
	if err != nil {
		panic(err) // The key is a constant.
	}
	selector := labels.NewSelector().Add(*ours)
	options := cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                   {Label: selector},
			&batchv1.Job{}:                  {Label: selector},
			&corev1.PersistentVolumeClaim{}: {Transform: new(claimStripper).strip},
			&appsv1.StatefulSet{}:           {Transform: new(setStripper).strip},
			&drainv1alpha1.DrainPolicy{}:    {Transform: stripPolicy},
		},
	}
	for _, namespace := range namespaces {
		if options.DefaultNamespaces == nil {
			options.DefaultNamespaces = map[string]cache.Config{}
		}
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options
}

// claimStripper strips claims for the cache. Every claim of the cluster is there, and most do not belong to an orphan.
type claimStripper struct {
	last atomic.Pointer[corev1.PersistentVolumeClaim]
}

// strip keeps of a claim what the planner reads. The claims of a StatefulSet mostly come one after another, and a small map takes as much
// as a third of what is kept. So a claim whose labels or capacity are those of the last one shares them: no reader may change what is in
// the cache.
func (s *claimStripper) strip(object any) (any, error) {
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return object, nil
	}
	stripped := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: claim.Name, Namespace: claim.Namespace, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			Labels: claim.Labels, OwnerReferences: claim.OwnerReferences,
			CreationTimestamp: claim.CreationTimestamp, DeletionTimestamp: claim.DeletionTimestamp,
		},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: claim.Spec.VolumeName},
		Status: corev1.PersistentVolumeClaimStatus{
			Phase: claim.Status.Phase, Capacity: claim.Status.Capacity,
		},
	}
	unused := func(c corev1.PersistentVolumeClaimCondition) bool {
		return c.Type == corev1.PersistentVolumeClaimUnused
	}
	if i := slices.IndexFunc(claim.Status.Conditions, unused); i >= 0 {
		is := &claim.Status.Conditions[i]
		stripped.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimUnused, Status: is.Status, LastTransitionTime: is.LastTransitionTime}}
	}
	for _, key := range []string{drainv1alpha1.DrainedAnnotation, drainv1alpha1.SkipAnnotation} {
		if value, has := claim.Annotations[key]; has {
			metav1.SetMetaDataAnnotation(&stripped.ObjectMeta, key, value)
		}
	}
	if last := s.last.Load(); last != nil {
		if maps.Equal(last.Labels, stripped.Labels) {
			stripped.Labels = last.Labels
		}
		if maps.Equal(last.Status.Capacity, stripped.Status.Capacity) {
			stripped.Status.Capacity = last.Status.Capacity
		}
	}
	s.last.Store(stripped)
	return stripped, nil
}

// setStripper strips StatefulSets for the cache.
type setStripper struct {
	last atomic.Pointer[appsv1.StatefulSet]
}

// strip keeps of a StatefulSet what decides about a drain and what a drain pod takes over. Other tenants
// decide how large the rest is. Claim templates with the names of the last one's are shared with it.
func (s *setStripper) strip(object any) (any, error) {
	set, ok := object.(*appsv1.StatefulSet)
	if !ok {
		return object, nil
	}
	stripped := &appsv1.StatefulSet{ObjectMeta: stripMeta(set), Spec: set.Spec, Status: set.Status}
	for key, text := range templateAnnotations(set) {
		if len(text) > drainv1alpha1.MaxTemplateBytes {
			text = tooLarge
		}
		metav1.SetMetaDataAnnotation(&stripped.ObjectMeta, key, text)
	}
	pod := set.Spec.Template.Spec
	stripped.Spec.Template = corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		SecurityContext:               pod.SecurityContext,
		Tolerations:                   pod.Tolerations,
		NodeSelector:                  pod.NodeSelector,
		ImagePullSecrets:              pod.ImagePullSecrets,
		PriorityClassName:             pod.PriorityClassName,
		SchedulerName:                 pod.SchedulerName,
		RuntimeClassName:              pod.RuntimeClassName,
		TerminationGracePeriodSeconds: pod.TerminationGracePeriodSeconds,
	}}
	stripped.Spec.VolumeClaimTemplates = nil
	for i := range set.Spec.VolumeClaimTemplates {
		stripped.Spec.VolumeClaimTemplates = append(stripped.Spec.VolumeClaimTemplates,
			corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: set.Spec.VolumeClaimTemplates[i].Name}})
	}
	stripped.Status.Conditions = nil
	named := func(a, b corev1.PersistentVolumeClaim) bool { return a.Name == b.Name }
	if last := s.last.Load(); last != nil && slices.EqualFunc(last.Spec.VolumeClaimTemplates, stripped.Spec.VolumeClaimTemplates, named) {
		stripped.Spec.VolumeClaimTemplates = last.Spec.VolumeClaimTemplates
	}
	s.last.Store(stripped)
	return stripped, nil
}

// tooLarge stands in the cache for every annotation that is refused for its size, and takes memory once.
var tooLarge = strings.Repeat(" ", drainv1alpha1.MaxTemplateBytes+1)

// stripPolicy keeps all of a policy that is read, and no template that is refused for its size. Patches are made from what is
// in the cache: they must change nothing that isn't kept. Of a list, which a patch replaces as a whole, all must be kept.
func stripPolicy(object any) (any, error) {
	policy, ok := object.(*drainv1alpha1.DrainPolicy)
	if !ok {
		return object, nil
	}
	stripped := &drainv1alpha1.DrainPolicy{ObjectMeta: stripMeta(policy), Spec: policy.Spec, Status: policy.Status}
	stripped.Finalizers = policy.Finalizers
	stripped.OwnerReferences = policy.OwnerReferences
	if value, has := policy.Labels[drainv1alpha1.ManagedByLabel]; has {
		metav1.SetMetaDataLabel(&stripped.ObjectMeta, drainv1alpha1.ManagedByLabel, value)
	}
	for _, key := range []string{drainv1alpha1.DescriptionAnnotation, drainv1alpha1.MembersAnnotation} {
		if value, has := policy.Annotations[key]; has {
			metav1.SetMetaDataAnnotation(&stripped.ObjectMeta, key, value)
		}
	}
	stripped.Spec.Template = corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: policy.Spec.Template.Labels, Annotations: policy.Spec.Template.Annotations},
		Spec:       policy.Spec.Template.Spec,
	}
	return stripped, boundTemplate(stripped)
}

// boundTemplate takes a template that is refused for its size out of a policy in hand, and says so in an annotation that
// only this function writes: the API server's is ignored.
func boundTemplate(policy *drainv1alpha1.DrainPolicy) error {
	delete(policy.Annotations, drainv1alpha1.TemplateTooLargeAnnotation)
	text, err := json.Marshal(&policy.Spec.Template)
	if err != nil {
		return fmt.Errorf("encoding the template of DrainPolicy %s/%s: %w", policy.Namespace, policy.Name, err)
	}
	if why := annotation.TooLarge(string(text)); why != "" {
		metav1.SetMetaDataAnnotation(&policy.ObjectMeta, drainv1alpha1.TemplateTooLargeAnnotation, why)
		policy.Spec.Template = corev1.PodTemplateSpec{}
	}
	return boundLeave(policy)
}

// boundLeave does the same with the template by which members leave. The planner refuses a policy with one that is empty.
func boundLeave(policy *drainv1alpha1.DrainPolicy) error {
	if policy.Spec.Leave == nil {
		return nil
	}
	text, err := json.Marshal(&policy.Spec.Leave.Template)
	if err != nil {
		return fmt.Errorf("encoding the template by which members of DrainPolicy %s/%s leave: %w", policy.Namespace, policy.Name, err)
	}
	if annotation.TooLarge(string(text)) != "" {
		policy.Spec.Leave = policy.Spec.Leave.DeepCopy()
		policy.Spec.Leave.Template = corev1.PodTemplateSpec{}
	}
	return nil
}

// stripMeta keeps what is read of every object's metadata.
func stripMeta(object metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: object.GetName(), Namespace: object.GetNamespace(), UID: object.GetUID(), ResourceVersion: object.GetResourceVersion(),
		Generation: object.GetGeneration(), CreationTimestamp: object.GetCreationTimestamp(), DeletionTimestamp: object.GetDeletionTimestamp(),
	}
}
