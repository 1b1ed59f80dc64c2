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

package objects

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// Lock returns the lock of an ordinal: a pod with the name of the StatefulSet's own, which
// never runs. Its labels are outside the StatefulSet's selector and its controller is the
// policy, so the StatefulSet controller neither adopts nor counts it; its scheduling gate
// keeps it from every node, and its finalizer from going before the operator lets it.
func Lock(policy *drainv1alpha1.DrainPolicy, template *corev1.PodTemplateSpec, target statefulset.Target, ordinal int32) *corev1.Pod {
	least := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("1m"),
		corev1.ResourceMemory: resource.MustParse("1Mi"),
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      target.PodName(ordinal),
			Namespace: policy.Namespace,
			Labels: map[string]string{
				drainv1alpha1.PolicyUIDLabel: string(policy.UID),
				drainv1alpha1.RoleLabel:      drainv1alpha1.RoleLock,
				drainv1alpha1.OrdinalLabel:   strconv.Itoa(int(ordinal)),
			},
			Annotations:     map[string]string{drainv1alpha1.PolicyAnnotation: policy.Name},
			Finalizers:      []string{drainv1alpha1.LockFinalizer},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(policy, drainv1alpha1.GroupVersion.WithKind("DrainPolicy"))},
		},
		Spec: corev1.PodSpec{
			SchedulingGates: []corev1.PodSchedulingGate{{Name: drainv1alpha1.LockSchedulingGate}},
			// The image is never pulled. It is the template's own, so
			// that an image policy which lets the drain in lets its lock in too.
			Containers: []corev1.Container{{
				Name:  "lock",
				Image: template.Spec.Containers[0].Image,
				// No image has it: should a person take the gate off, the drain's own program must not run under this name.
				Command: []string{"/drain-operator-lock-never-runs"},
				// Some quotas want both from every pod.
				Resources: corev1.ResourceRequirements{Requests: least, Limits: least.DeepCopy()},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					ReadOnlyRootFilesystem:   ptr.To(true),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				RunAsUser:      ptr.To[int64](65532),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			TerminationGracePeriodSeconds: ptr.To[int64](0),
		},
	}
}
