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

// Leave names one Job by which a member leaves, or joins again.
type Leave struct {
	Ordinal int32
	// Number counts the Jobs of the ordinal, from 1: a later one takes the place of all before it.
	Number int32
	// Action is ActionLeave or ActionRejoin.
	Action string
	// PodUID is the UID of the member's pod.
	PodUID types.UID
	// Failures is how many Jobs with this action have failed before this one, in a row.
	Failures int32
}

// maxLeaveName is the length of a Job's name that leaves room for the names of its pods.
const maxLeaveName = 52

// LeaveName returns the name of the Job. Two managers that decide the same make one Job.
func LeaveName(set string, policy types.UID, leave Leave) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s/%d", policy, leave.Ordinal, leave.Action, leave.Number))
	suffix := fmt.Sprintf("-%d-%s-%s", leave.Ordinal, leave.Action, hex.EncodeToString(sum[:])[:16])
	if room := maxLeaveName - len(suffix); len(set) > room {
		set = strings.TrimRight(set[:room], "-.")
	}
	return set + suffix
}

// LeaveJob returns the Job by which a member leaves, or joins again. Its pods have the gate of drain pods, which the operator
// removes when no other Job of the ordinal is left. They get no claims.
func LeaveJob(policy *drainv1alpha1.DrainPolicy, target statefulset.Target, leave Leave) *batchv1.Job {
	name, template := LeaveName(target.Name, policy.UID, leave), leaveTemplate(policy, target)
	addEnvironment(&template.Spec, target, Attempt{Job: name, Ordinal: leave.Ordinal, Number: leave.Number})
	action := []corev1.EnvVar{{Name: "DRAIN_ACTION", Value: leave.Action}}
	for _, containers := range [][]corev1.Container{template.Spec.InitContainers, template.Spec.Containers} {
		for i := range containers {
			containers[i].Env = prepend(action, containers[i].Env)
		}
	}
	template.Labels = merge(template.Labels, map[string]string{
		drainv1alpha1.PolicyUIDLabel: string(policy.UID),
		drainv1alpha1.RoleLabel:      drainv1alpha1.RoleLeave,
		drainv1alpha1.OrdinalLabel:   strconv.Itoa(int(leave.Ordinal)),
		drainv1alpha1.AttemptLabel:   strconv.Itoa(int(leave.Number)),
	})
	template.Annotations = merge(template.Annotations, map[string]string{
		drainv1alpha1.PolicyAnnotation:       policy.Name,
		drainv1alpha1.ActionAnnotation:       leave.Action,
		drainv1alpha1.PodAnnotation:          string(leave.PodUID),
		drainv1alpha1.FailuresAnnotation:     strconv.Itoa(int(leave.Failures)),
		drainv1alpha1.TemplateHashAnnotation: LeaveHash(policy, target),
		drainv1alpha1.ProofAnnotation:        string(cmp.Or(policy.Spec.Proof, drainv1alpha1.ProofReceipt)),
	})
	template.Spec.SchedulingGates = append(template.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: drainv1alpha1.DrainSchedulingGate})
	options := policy.Spec.Leave.Job.DeepCopy()
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: policy.Namespace, Labels: maps.Clone(template.Labels), Annotations: maps.Clone(template.Annotations),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(policy, drainv1alpha1.GroupVersion.WithKind("DrainPolicy"))},
		},
		Spec: batchv1.JobSpec{
			Parallelism: ptr.To[int32](1), Completions: ptr.To[int32](1),
			BackoffLimit: options.BackoffLimit, ActiveDeadlineSeconds: options.ActiveDeadlineSeconds, PodFailurePolicy: options.PodFailurePolicy,
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			Template:             template,
		},
	}
}

// LeaveHash returns a hash of all that the pod of such a Job is made from, but for its environment.
func LeaveHash(policy *drainv1alpha1.DrainPolicy, target statefulset.Target) string {
	if policy.Spec.Leave == nil {
		return ""
	}
	text, err := json.Marshal(struct {
		Template corev1.PodTemplateSpec
		Job      drainv1alpha1.JobOptions
		Proof    drainv1alpha1.Proof
		Rules    int
	}{leaveTemplate(policy, target), policy.Spec.Leave.Job, policy.Spec.Proof, proof.Revision})
	if err != nil {
		// Both came from JSON.
		panic(fmt.Sprintf("encoding a pod template: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:16]
}

// LeaveProof returns what is expected of the pod of such a Job. Its containers are those of the policy, because a webhook can have added others
// to the Job. When the template was edited since, they are those of the Job.
func LeaveProof(policy *drainv1alpha1.DrainPolicy, target statefulset.Target, job *batchv1.Job) proof.Expected {
	want := proof.Expected{Proof: drainv1alpha1.Proof(job.Annotations[drainv1alpha1.ProofAnnotation]), Receipt: plan.Receipt(job.Name)}
	containers := job.Spec.Template.Spec.Containers
	if policy.Spec.Leave != nil && job.Annotations[drainv1alpha1.TemplateHashAnnotation] == LeaveHash(policy, target) {
		containers = policy.Spec.Leave.Template.Spec.Containers
	}
	for i := range containers {
		want.Containers = append(want.Containers, containers[i].Name)
	}
	return want
}

// LeavesStatefulSet reports whether a pod of such a Job, of whatever policy, takes a member of a StatefulSet out or in.
func LeavesStatefulSet(pod *corev1.Pod, set string) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(container corev1.Container) bool {
		return slices.ContainsFunc(container.Env, func(env corev1.EnvVar) bool { return env.Name == "DRAIN_STATEFULSET" && env.Value == set })
	})
}

// leaveTemplate returns spec.leave.template with what it takes over from the StatefulSet.
func leaveTemplate(policy *drainv1alpha1.DrainPolicy, target statefulset.Target) corev1.PodTemplateSpec {
	return inheriting(&policy.Spec.Leave.Template, &policy.Spec.Leave.Job, target)
}
