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

package bare

import (
	"fmt"
	"maps"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

// The objects have the shape of the operator's, so that the rest of the cluster does the same work for both. Only the gate of
// the drain pods is missing, which another write would have to remove.

const (
	receipt        = "receipt-0123456789abcdef"
	lockNeverRuns  = "/drain-operator-lock-never-runs"
	unprivileged   = 65532
	templateDigest = "0123456789abcdef"
)

func lock(o workload.Orphan, owner metav1.OwnerReference) *corev1.Pod {
	least := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("1Mi")}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: o.Pod(), Namespace: o.Namespace,
			Labels: map[string]string{
				drainv1alpha1.PolicyUIDLabel: string(owner.UID),
				drainv1alpha1.RoleLabel:      drainv1alpha1.RoleLock,
				drainv1alpha1.OrdinalLabel:   strconv.Itoa(int(o.Ordinal)),
			},
			Annotations:     map[string]string{drainv1alpha1.PolicyAnnotation: o.Set},
			Finalizers:      []string{drainv1alpha1.LockFinalizer},
			OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: corev1.PodSpec{
			SchedulingGates: []corev1.PodSchedulingGate{{Name: drainv1alpha1.LockSchedulingGate}},
			Containers: []corev1.Container{{
				Name: "lock", Image: "localhost/store:dev", Command: []string{lockNeverRuns},
				Resources: corev1.ResourceRequirements{Requests: least, Limits: least.DeepCopy()},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					ReadOnlyRootFilesystem:   ptr.To(true),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](unprivileged),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			TerminationGracePeriodSeconds: ptr.To[int64](0),
		},
	}
}

func job(o workload.Orphan, given *corev1.PodTemplateSpec, owner metav1.OwnerReference, lock *corev1.Pod) *batchv1.Job {
	template := *given.DeepCopy()
	template.Labels = map[string]string{
		drainv1alpha1.PolicyUIDLabel: string(owner.UID),
		drainv1alpha1.RoleLabel:      drainv1alpha1.RoleDrain,
		drainv1alpha1.OrdinalLabel:   strconv.Itoa(int(o.Ordinal)),
		drainv1alpha1.AttemptLabel:   "1",
	}
	template.Annotations = map[string]string{
		drainv1alpha1.PolicyAnnotation:       o.Set,
		drainv1alpha1.LockAnnotation:         string(lock.UID),
		drainv1alpha1.TemplateHashAnnotation: templateDigest,
		drainv1alpha1.ProofAnnotation:        string(drainv1alpha1.ProofReceipt),
	}
	spec := &template.Spec
	spec.RestartPolicy = corev1.RestartPolicyOnFailure
	spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](unprivileged), FSGroup: ptr.To[int64](unprivileged),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: o.Claim()},
	}}}
	spec.Containers[0].Env = []corev1.EnvVar{
		{Name: "DRAIN_STATEFULSET", Value: o.Set},
		{Name: "DRAIN_NAMESPACE", Value: o.Namespace},
		{Name: "DRAIN_ORDINAL", Value: strconv.Itoa(int(o.Ordinal))},
		{Name: "DRAIN_POD_NAME", Value: o.Pod()},
		{Name: "DRAIN_SERVICE", Value: o.Set},
		{Name: "DRAIN_REPLICAS", Value: "1"},
		{Name: "DRAIN_START_ORDINAL", Value: "0"},
		{Name: "DRAIN_PEERS", Value: fmt.Sprintf("%s-0.%s.%s.svc", o.Set, o.Set, o.Namespace)},
		{Name: "DRAIN_ATTEMPT", Value: "1"},
		{Name: "DRAIN_RECEIPT", Value: receipt},
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: o.Pod() + "-drain", Namespace: o.Namespace,
			Labels: maps.Clone(template.Labels), Annotations: maps.Clone(template.Annotations),
			OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: batchv1.JobSpec{
			Parallelism: ptr.To[int32](1), Completions: ptr.To[int32](1), BackoffLimit: ptr.To[int32](6),
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			Template:             template,
		},
	}
}

// mark is as long as the operator's.
func mark(claim *corev1.PersistentVolumeClaim, lock *corev1.Pod, job *batchv1.Job) string {
	return fmt.Sprintf(`{"claimUID":%q,"lockUID":%q,"jobUID":%q,"statefulSetUID":%q,"generation":2,"attempts":1,"job":%q,"time":%q}`,
		claim.UID, lock.UID, job.UID, lock.UID, job.Name, "2026-01-01T00:00:00Z")
}
