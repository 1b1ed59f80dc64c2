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
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

var attempt = Attempt{Job: "web-2-drain-abc", Ordinal: 2, Number: 3, LockUID: "lock"}

// makePolicy returns a policy whose template says as little as it may.
func makePolicy(change ...func(*drainv1alpha1.DrainPolicy)) *drainv1alpha1.DrainPolicy {
	policy := &drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "empty-web", Namespace: "shop", UID: "policy"},
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "web"},
			Template: corev1.PodTemplateSpec{
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "drain", Image: "drain:1"}}},
			},
		},
	}
	for _, c := range change {
		c(policy)
	}
	return policy
}

// makeTarget returns a StatefulSet whose pods have all that a drain may take over, and a
// ServiceAccount, which it may not.
func makeTarget(change ...func(*appsv1.StatefulSet)) statefulset.Target {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "set"},
		Spec: appsv1.StatefulSetSpec{
			Replicas:    ptr.To[int32](2),
			ServiceName: "web-peers",
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
				Spec: corev1.PodSpec{
					ServiceAccountName: "web",
					SecurityContext:    &corev1.PodSecurityContext{FSGroup: ptr.To[int64](1000)},
					Tolerations:        []corev1.Toleration{{Key: "disks", Operator: corev1.TolerationOpExists}},
					NodeSelector:       map[string]string{"disks": "many"},
					ImagePullSecrets:   []corev1.LocalObjectReference{{Name: "registry"}},
					PriorityClassName:  "high",
					SchedulerName:      "mine",
					RuntimeClassName:   ptr.To("gvisor"),
					HostNetwork:        true,
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{
				{ObjectMeta: metav1.ObjectMeta{Name: "data"}}, {ObjectMeta: metav1.ObjectMeta{Name: "logs"}},
			},
		},
	}
	for _, c := range change {
		c(set)
	}
	return statefulset.Of(set)
}

// jobOf, lockOf and hashOf are for a policy whose template is its own.
func jobOf(policy *drainv1alpha1.DrainPolicy, target statefulset.Target, attempt Attempt) *batchv1.Job {
	return Job(policy, &policy.Spec.Template, target, attempt)
}

func lockOf(policy *drainv1alpha1.DrainPolicy, target statefulset.Target, ordinal int32) *corev1.Pod {
	return Lock(policy, &policy.Spec.Template, target, ordinal)
}

func hashOf(policy *drainv1alpha1.DrainPolicy, target statefulset.Target) string {
	return TemplateHash(policy, &policy.Spec.Template, target)
}
