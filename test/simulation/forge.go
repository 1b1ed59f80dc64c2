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

package simulation

import (
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// forge is a user who may create pods and Jobs and knows how the operator's look. Only the controller reference is
// nothing that one comes by without having meant to.
func (w *world) forge() {
	c := w.choices
	policy := get[*drainv1alpha1.DrainPolicy](w.store, w.policyNames()[0])
	claim, ok := some(w, everything[*corev1.PersistentVolumeClaim])
	if policy == nil || !ok {
		return
	}
	_, ordinal, _ := cutOrdinal(claim.Name)
	labels := map[string]string{
		drainv1alpha1.PolicyUIDLabel: string(policy.UID), drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain,
		drainv1alpha1.OrdinalLabel: strconv.Itoa(int(ordinal)), drainv1alpha1.AttemptLabel: "1",
	}
	pod := get[*corev1.Pod](w.store, lockName(ordinal))
	switch {
	case pod != nil && pod.Labels["app"] == setName:
	case pod == nil || !isLock(pod) || c.pick(2) == 0:
		w.note("user: forges the labels of a drain pod")
		w.debugWith(claim.Name, labels)
	default:
		w.forgeJob(policy, pod, ordinal, labels)
	}
}

// forgeJob makes a Job that is like the operator's next one, or the one after that, for a lock that stands.
func (w *world) forgeJob(policy *drainv1alpha1.DrainPolicy, lock *corev1.Pod, ordinal int32, labels map[string]string) {
	c := w.choices
	attempt := int32(1 + c.pick(3))
	var uids []types.UID
	spec := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: []string{imageFake, imageShell}[c.pick(2)]}}}
	for _, template := range w.templates {
		claim := get[*corev1.PersistentVolumeClaim](w.store, fmt.Sprintf("%s-%s", template, lock.Name))
		if claim == nil {
			return
		}
		uids = append(uids, claim.UID)
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: template, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
		}})
	}
	spec.Containers[0].VolumeMounts = mounts(w.templates)
	if c.pick(2) == 1 {
		spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: drainv1alpha1.DrainSchedulingGate}}
	}
	name := plan.JobName(setName, policy.UID, ordinal, lock.UID, uids, attempt)
	if c.pick(4) == 1 {
		name = "forged"
	}
	if spec.Containers[0].Image == imageFake {
		spec.Containers[0].Env = []corev1.EnvVar{{Name: "DRAIN_RECEIPT", Value: plan.Receipt(name)}}
	}
	labels[drainv1alpha1.AttemptLabel], labels["app"] = strconv.Itoa(int(attempt)), debugRole
	notes := map[string]string{
		drainv1alpha1.PolicyAnnotation: policy.Name, drainv1alpha1.LockAnnotation: string(lock.UID),
		drainv1alpha1.TemplateHashAnnotation: policy.Status.TemplateHash,
	}
	var owners []metav1.OwnerReference
	if set := get[*appsv1.StatefulSet](w.store, setName); set != nil && c.pick(3) == 1 {
		owners = []metav1.OwnerReference{setReference(set)}
	}
	_, err := w.store.create(&batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: notes, OwnerReferences: owners},
		Spec: batchv1.JobSpec{
			BackoffLimit: ptr.To[int32](0), PodReplacementPolicy: ptr.To(batchv1.Failed),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: notes}, Spec: spec},
		},
	})
	if err == nil {
		w.note("user: forges Job %s of ordinal %d", name, ordinal)
	}
}

// suspendJob suspends a Job or lets it go on, as a queueing system does.
func (w *world) suspendJob() {
	if job, ok := some(w, everything[*batchv1.Job]); ok && !finished(job) {
		suspended := !ptr.Deref(job.Spec.Suspend, false)
		w.note("user: suspends Job %s: %t", job.Name, suspended)
		update(w.store, job.Name, func(job *batchv1.Job) { job.Spec.Suspend = ptr.To(suspended) })
	}
}
