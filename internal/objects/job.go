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
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// Attempt names one attempt of one ordinal's drain.
type Attempt struct {
	// Job is the name of the Job, as plan.JobName gives it.
	Job string
	// Ordinal that is drained.
	Ordinal int32
	// Number of the attempt, from 1.
	Number int32
	// LockUID is the UID of the lock that the Job runs under.
	LockUID types.UID
}

// Job returns the Job of an attempt. The template that is given need not be the policy's own: see spec.templateFrom.
func Job(policy *drainv1alpha1.DrainPolicy, given *corev1.PodTemplateSpec, target statefulset.Target, attempt Attempt) *batchv1.Job {
	template := podTemplate(policy, given, target)
	addClaims(&template.Spec, target, attempt.Ordinal)
	if policy.Spec.Identity == drainv1alpha1.IdentityStatefulSetPod {
		template.Spec.Hostname = cmp.Or(template.Spec.Hostname, target.PodName(attempt.Ordinal))
		template.Spec.Subdomain = cmp.Or(template.Spec.Subdomain, target.ServiceName)
	}
	addEnvironment(&template.Spec, target, attempt)

	own := map[string]string{
		drainv1alpha1.PolicyUIDLabel: string(policy.UID),
		drainv1alpha1.RoleLabel:      drainv1alpha1.RoleDrain,
		drainv1alpha1.OrdinalLabel:   strconv.Itoa(int(attempt.Ordinal)),
		drainv1alpha1.AttemptLabel:   strconv.Itoa(int(attempt.Number)),
	}
	notes := map[string]string{
		drainv1alpha1.PolicyAnnotation:       policy.Name,
		drainv1alpha1.LockAnnotation:         string(attempt.LockUID),
		drainv1alpha1.TemplateHashAnnotation: TemplateHash(policy, given, target),
		drainv1alpha1.ProofAnnotation:        string(cmp.Or(policy.Spec.Proof, drainv1alpha1.ProofReceipt)),
	}
	template.Labels = merge(template.Labels, own)
	template.Annotations = merge(template.Annotations, notes)

	template.Spec.SchedulingGates = append(template.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: drainv1alpha1.DrainSchedulingGate})
	// The client decodes the API server's answer into the Job; the policy isn't its to write.
	options := policy.Spec.Job.DeepCopy()

	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name:      attempt.Job,
			Namespace: policy.Namespace,
			// The template's own labels and annotations go on the Job too, where queueing
			// controllers look for theirs.
			Labels:          maps.Clone(template.Labels),
			Annotations:     maps.Clone(template.Annotations),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(policy, drainv1alpha1.GroupVersion.WithKind("DrainPolicy"))},
		},
		Spec: batchv1.JobSpec{
			Parallelism:           ptr.To[int32](1),
			Completions:           ptr.To[int32](1),
			BackoffLimit:          options.BackoffLimit,
			ActiveDeadlineSeconds: options.ActiveDeadlineSeconds,
			PodFailurePolicy:      options.PodFailurePolicy,
			// The default creates the next pod while the last one is still terminating, which
			// would be two drains of one claim.
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			Template:             template,
		},
	}
}

// Pod returns the pod that a Job would create, for a dry run: much of what refuses a pod
// (Pod Security, a missing ServiceAccount, a quota) doesn't look at Jobs.
func Pod(job *batchv1.Job) *corev1.Pod {
	template := job.Spec.Template.DeepCopy()
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Namespace = job.Namespace
	pod.GenerateName = job.Name + "-"
	return pod
}

// TemplateHash returns a hash of all that a drain pod is made from and that can change
// while a drain runs: the template, the policy's Job options, and what is taken over from the
// StatefulSet. The number of replicas isn't part of it.
func TemplateHash(policy *drainv1alpha1.DrainPolicy, given *corev1.PodTemplateSpec, target statefulset.Target) string {
	text, err := json.Marshal(struct {
		Template corev1.PodTemplateSpec
		Job      drainv1alpha1.JobOptions
		Identity drainv1alpha1.Identity
		Proof    drainv1alpha1.Proof
		Rules    int
	}{podTemplate(policy, given, target), policy.Spec.Job, policy.Spec.Identity, policy.Spec.Proof, proof.Revision})
	if err != nil {
		// Both came from JSON.
		panic(fmt.Sprintf("encoding a pod template: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:16]
}

// podTemplate returns the given template with what it takes over from the StatefulSet.
// A ServiceAccount is never taken over: what a drain may do is for the policy to say.
func podTemplate(policy *drainv1alpha1.DrainPolicy, given *corev1.PodTemplateSpec, target statefulset.Target) corev1.PodTemplateSpec {
	return inheriting(given, &policy.Spec.Job, target)
}

// inheriting returns a template with what it takes over from the StatefulSet, for a Job with these options.
func inheriting(given *corev1.PodTemplateSpec, job *drainv1alpha1.JobOptions, target statefulset.Target) corev1.PodTemplateSpec {
	given = given.DeepCopy()
	// Finalizers would keep the pods, and a name or namespace isn't the template's to give.
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: given.Labels, Annotations: given.Annotations}, Spec: given.Spec}
	inherit(&template.Spec, target.PodDefaults.DeepCopy())
	if template.Spec.RestartPolicy == "" {
		template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		if job.PodFailurePolicy != nil {
			// Jobs take a podFailurePolicy only with Never (validateJobSpec in
			// kubernetes/pkg/apis/batch/validation).
			template.Spec.RestartPolicy = corev1.RestartPolicyNever
		}
	}
	return template
}

// inherit takes over what the template leaves unset.
func inherit(spec *corev1.PodSpec, from *drainv1alpha1.PodDefaults) {
	if spec.SecurityContext == nil {
		spec.SecurityContext = from.SecurityContext
	}
	if spec.Tolerations == nil {
		spec.Tolerations = from.Tolerations
	}
	if spec.NodeSelector == nil {
		spec.NodeSelector = from.NodeSelector
	}
	if spec.ImagePullSecrets == nil {
		spec.ImagePullSecrets = from.ImagePullSecrets
	}
	if spec.RuntimeClassName == nil {
		spec.RuntimeClassName = from.RuntimeClassName
	}
	spec.PriorityClassName = cmp.Or(spec.PriorityClassName, from.PriorityClassName)
	spec.SchedulerName = cmp.Or(spec.SchedulerName, from.SchedulerName)
}

// addClaims adds a volume for every claim of the ordinal, under the name of its template, so
// that volumeMounts copied from the StatefulSet fit. The planner has refused templates with a
// volume of such a name.
func addClaims(spec *corev1.PodSpec, target statefulset.Target, ordinal int32) {
	for _, template := range target.ClaimTemplates {
		spec.Volumes = append(spec.Volumes, corev1.Volume{
			Name: template,
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: target.ClaimName(template, ordinal),
			}},
		})
	}
}

func addEnvironment(spec *corev1.PodSpec, target statefulset.Target, attempt Attempt) {
	env := []corev1.EnvVar{
		{Name: "DRAIN_STATEFULSET", Value: target.Name},
		{Name: "DRAIN_NAMESPACE", Value: target.Namespace},
		{Name: "DRAIN_ORDINAL", Value: strconv.Itoa(int(attempt.Ordinal))},
		{Name: "DRAIN_POD_NAME", Value: target.PodName(attempt.Ordinal)},
		{Name: "DRAIN_SERVICE", Value: target.ServiceName},
		{Name: "DRAIN_REPLICAS", Value: strconv.Itoa(int(target.Replicas))},
		{Name: "DRAIN_START_ORDINAL", Value: strconv.Itoa(int(target.Start))},
		{Name: "DRAIN_PEERS", Value: strings.Join(target.Peers(attempt.Ordinal), ",")},
		{Name: "DRAIN_ATTEMPT", Value: strconv.Itoa(int(attempt.Number))},
		{Name: proof.ReceiptVariable, Value: plan.Receipt(attempt.Job)},
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			containers[i].Env = prepend(env, containers[i].Env)
		}
	}
}

// prepend puts ours before theirs, so that $(DRAIN_ORDINAL) can be used in theirs, and leaves
// out what they name themselves.
func prepend(ours, theirs []corev1.EnvVar) []corev1.EnvVar {
	var result []corev1.EnvVar
	for _, variable := range ours {
		if !slices.ContainsFunc(theirs, func(v corev1.EnvVar) bool { return v.Name == variable.Name }) {
			result = append(result, variable)
		}
	}
	return append(result, theirs...)
}

// merge returns a map with both; ours wins.
func merge(theirs, ours map[string]string) map[string]string {
	result := make(map[string]string, len(theirs)+len(ours))
	maps.Copy(result, theirs)
	maps.Copy(result, ours)
	return result
}
