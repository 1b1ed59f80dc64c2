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

package proof

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// ReceiptVariable is the environment variable that holds the receipt of an attempt.
const ReceiptVariable = "DRAIN_RECEIPT"

// Revision changes with the rules of this package. A template that was accepted under other rules is tried again.
const Revision = 3

// Expected is what the operator asked for when it made a drain.
type Expected struct {
	// Proof is the evidence that the policy wants; empty means Receipt, as the schema defaults it.
	Proof drainv1alpha1.Proof
	// Receipt is the value that the attempt's containers write.
	Receipt string
	// Containers are the names of the template's containers.
	Containers []string
	// Claims are the names of the claims that the drain must mount.
	Claims []string
}

// Problem is a field of a Job or a pod because of which its success could not be believed.
type Problem struct {
	// Field is the path below the Job's or the pod's spec.
	Field string
	// Why says what is wrong with it and what to do, as a clause that follows the field.
	Why string
}

// String returns the problem as one clause.
func (p Problem) String() string { return "spec." + p.Field + " " + p.Why }

// jobRules are the fields of a Job that must be as the operator made them.
var jobRules = []struct {
	field  string
	broken func(*batchv1.Job) bool
	why    string
}{
	{
		"ttlSecondsAfterFinished", func(job *batchv1.Job) bool { return job.Spec.TTLSecondsAfterFinished != nil },
		"is set, so the Job could be deleted before the operator has seen how it ended; leave it unset",
	},
	{
		"managedBy", func(job *batchv1.Job) bool {
			return ptr.Deref(job.Spec.ManagedBy, batchv1.JobControllerName) != batchv1.JobControllerName
		},
		"is set, so another controller than Kubernetes' own says when the Job is complete; leave it unset",
	},
	{
		"podReplacementPolicy", func(job *batchv1.Job) bool { return ptr.Deref(job.Spec.PodReplacementPolicy, "") != batchv1.Failed },
		"is not Failed, so a second drain pod could start while the first one still ends; leave it as the operator sets it",
	},
	{
		"parallelism", func(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Parallelism, 1) > 1 },
		"is greater than 1, so several drain pods could run at once; leave it at 1",
	},
	{
		"completions", func(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Completions, 1) != 1 },
		"is not 1, so the Job needs more than one drain; leave it at 1",
	},
	{
		"template.spec.schedulingGates", func(job *batchv1.Job) bool { return !gated(&job.Spec.Template.Spec) },
		lostGate,
	},
}

const lostGate = "lack " + drainv1alpha1.DrainSchedulingGate + ", so a drain pod could run without its lock; leave them as the operator sets them"

// Gate returns what is wrong with the scheduling gates of a drain pod that is not ungated yet.
func Gate(spec *corev1.PodSpec) []Problem {
	if gated(spec) {
		return nil
	}
	return []Problem{{Field: "schedulingGates", Why: lostGate}}
}

// Job returns what is wrong with a drain's Job as the API server has it, or would have it.
func Job(job *batchv1.Job) []Problem {
	var problems []Problem
	for _, rule := range jobRules {
		if rule.broken(job) {
			problems = append(problems, Problem{Field: rule.field, Why: rule.why})
		}
	}
	return problems
}

// podRules are the fields of a drain pod that decide whether its success can be believed, and whether anything can tell
// that it has ended.
var podRules = []struct {
	// exitCode says that the rule is only about drains that leave no receipt.
	exitCode bool
	// broken returns the paths of the fields that break the rule.
	broken func(*corev1.PodSpec, Expected) []string
	why    string
}{
	{
		false, zeroGracePeriod,
		"is 0, so the pod object disappears while its containers still run; set it to 1 or more",
	},
	{
		false, restarts,
		"lets the kubelet start a container again that has succeeded; a drain has an end: leave it unset",
	},
	{
		false, addedContainers,
		"is not in the template: a container that something adds can keep the pod from ending, and can't leave a receipt; exempt the drain from it, or have it added as a sidecar (an init container with restartPolicy: Always)",
	},
	{
		false, missingContainers,
		"lack a container of the template; exempt the drain from what removes it",
	},
	{
		false, unmountedClaims,
		"is mounted by no container, so the drain would not see its data; mount it in a container or an init container (sidecars don't count)",
	},
	{
		false, otherReceipts,
		"is not the receipt of the attempt; leave it to the operator",
	},
	{
		true, probes,
		"lets the kubelet end the container before it is done, and an exit code of 0 would not show that; remove the probe, or let the drain leave a receipt (spec.proof: Receipt)",
	},
	{
		true, neverRestarts,
		"is Never, so containers that lost their sandbox are ended and not started again, and an exit code of 0 would not show that; use OnFailure (which a podFailurePolicy forbids), or let the drain leave a receipt (spec.proof: Receipt)",
	},
	{
		true, hooks,
		"lets the kubelet end the container before it is done, and an exit code of 0 would not show that; do without it, or let the drain leave a receipt (spec.proof: Receipt)",
	},
	{
		true, sizeLimits,
		"lets the kubelet evict the pod before it is done, and an exit code of 0 would not show that; remove the limit, or let the drain leave a receipt (spec.proof: Receipt)",
	},
	{
		true, deadline,
		"lets the kubelet end the pod before it is done, and an exit code of 0 would not show that; use spec.job.activeDeadlineSeconds, or let the drain leave a receipt (spec.proof: Receipt)",
	},
}

// Pod returns what is wrong with a drain pod's spec as the API server has it, or would have it.
func Pod(spec *corev1.PodSpec, want Expected) []Problem {
	var problems []Problem
	for _, rule := range podRules {
		if rule.exitCode && want.Proof != drainv1alpha1.ProofExitCode {
			continue
		}
		for _, field := range rule.broken(spec, want) {
			problems = append(problems, Problem{Field: field, Why: rule.why})
		}
	}
	return problems
}

// Doubt returns why the success of a drain pod is not believed, or "".
func Doubt(pod *corev1.Pod, want Expected) string {
	switch {
	case pod.Status.Phase != corev1.PodSucceeded:
		return fmt.Sprintf("pod %q did not succeed", pod.Name)
	case pod.DeletionTimestamp != nil:
		return fmt.Sprintf("pod %q was deleted before it ended", pod.Name)
	case disrupted(pod) != "":
		// Kubernetes sets the condition in the same status as the phase (kubelet: pkg/kubelet/eviction,
		// preemption and nodeshutdown), or before it deletes the pod (taint eviction, pod garbage collection, the API).
		return fmt.Sprintf("pod %q was disrupted (%s) before it ended", pod.Name, disrupted(pod))
	}
	if problems := Pod(&pod.Spec, want); len(problems) > 0 {
		return fmt.Sprintf("pod %q is not the one that the operator asked for: %s", pod.Name, problems[0])
	}
	if want.Proof == drainv1alpha1.ProofExitCode {
		if noted := pod.Annotations[drainv1alpha1.ImagesAnnotation]; noted != "" && noted != Images(&pod.Spec) {
			// The kubelet ends a container whose image was edited, and an image that can't be pulled leaves it at that.
			return fmt.Sprintf("an image of pod %q was changed while it ran", pod.Name)
		}
		return ""
	}
	for i := range pod.Spec.Containers {
		name := pod.Spec.Containers[i].Name
		if message := lastWords(pod, name); want.Receipt == "" || !strings.HasSuffix(message, want.Receipt) {
			return fmt.Sprintf("container %q of pod %q exited with code 0 and left no receipt: it was told to end before it was done, or it does not write $%s into its termination message as its last act", name, pod.Name, ReceiptVariable)
		}
	}
	return ""
}

// Images returns a hash of the images of a pod's containers. They can be edited while the pod runs.
func Images(spec *corev1.PodSpec) string {
	hash := sha256.New()
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			fmt.Fprintf(hash, "%s=%s\n", containers[i].Name, containers[i].Image)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// WithoutReceipt returns a termination message without the receipt at its end.
func WithoutReceipt(message, receipt string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(message), receipt))
}

// lastWords returns the termination message of a container that has ended, without the space around it.
func lastWords(pod *corev1.Pod, container string) string {
	for i := range pod.Status.ContainerStatuses {
		if status := &pod.Status.ContainerStatuses[i]; status.Name == container && status.State.Terminated != nil {
			return strings.TrimSpace(status.State.Terminated.Message)
		}
	}
	return ""
}

// disrupted returns the reason of a pod's disruption, or "".
func disrupted(pod *corev1.Pod) string {
	for i := range pod.Status.Conditions {
		if condition := &pod.Status.Conditions[i]; condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return cmp.Or(condition.Reason, "no reason given")
		}
	}
	return ""
}

func gated(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool {
		return gate.Name == drainv1alpha1.DrainSchedulingGate
	})
}

func zeroGracePeriod(spec *corev1.PodSpec, _ Expected) []string {
	if ptr.Deref(spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds) == 0 {
		return []string{"terminationGracePeriodSeconds"}
	}
	return nil
}

// restarts are what outlives an exit code of 0 in a container of its own (ContainerRestartRules, on since Kubernetes 1.35).
func restarts(spec *corev1.PodSpec, _ Expected) []string {
	var fields []string
	for i := range spec.Containers {
		if ptr.Deref(spec.Containers[i].RestartPolicy, "") == corev1.ContainerRestartPolicyAlways {
			fields = append(fields, fmt.Sprintf("containers[%d].restartPolicy", i))
		}
		if len(spec.Containers[i].RestartPolicyRules) > 0 {
			fields = append(fields, fmt.Sprintf("containers[%d].restartPolicyRules", i))
		}
	}
	return fields
}

func addedContainers(spec *corev1.PodSpec, want Expected) []string {
	var fields []string
	for i := range spec.Containers {
		if !slices.Contains(want.Containers, spec.Containers[i].Name) {
			fields = append(fields, fmt.Sprintf("containers[%d] (%q)", i, spec.Containers[i].Name))
		}
	}
	return fields
}

func missingContainers(spec *corev1.PodSpec, want Expected) []string {
	for _, name := range want.Containers {
		if !slices.ContainsFunc(spec.Containers, func(container corev1.Container) bool { return container.Name == name }) {
			return []string{"containers"}
		}
	}
	return nil
}

// unmountedClaims counts what containers mount that must end before the pod can succeed.
func unmountedClaims(spec *corev1.PodSpec, want Expected) []string {
	mounted := map[string]bool{}
	see := func(container *corev1.Container) {
		for i := range container.VolumeMounts {
			mounted[container.VolumeMounts[i].Name] = true
		}
		for i := range container.VolumeDevices {
			mounted[container.VolumeDevices[i].Name] = true
		}
	}
	for i := range spec.Containers {
		see(&spec.Containers[i])
	}
	for i := range spec.InitContainers {
		if !sidecar(&spec.InitContainers[i]) {
			see(&spec.InitContainers[i])
		}
	}
	var fields []string
	for _, claim := range want.Claims {
		at := slices.IndexFunc(spec.Volumes, func(volume corev1.Volume) bool {
			return volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claim && mounted[volume.Name]
		})
		if at < 0 {
			fields = append(fields, unmountedField(spec, claim))
		}
	}
	return fields
}

// unmountedField names the volume of a claim, or the claim if no volume has it.
func unmountedField(spec *corev1.PodSpec, claim string) string {
	for i := range spec.Volumes {
		if source := spec.Volumes[i].PersistentVolumeClaim; source != nil && source.ClaimName == claim {
			return fmt.Sprintf("volumes[%d] (%q)", i, spec.Volumes[i].Name)
		}
	}
	return fmt.Sprintf("volumes: claim %q", claim)
}

func otherReceipts(spec *corev1.PodSpec, want Expected) []string {
	if want.Proof == drainv1alpha1.ProofExitCode {
		return nil
	}
	var fields []string
	for i := range spec.Containers {
		variables := spec.Containers[i].Env
		at := slices.IndexFunc(variables, func(variable corev1.EnvVar) bool { return variable.Name == ReceiptVariable })
		if at < 0 || variables[at].Value != want.Receipt {
			fields = append(fields, fmt.Sprintf("containers[%d].env (%s)", i, ReceiptVariable))
		}
	}
	return fields
}

func probes(spec *corev1.PodSpec, _ Expected) []string {
	var fields []string
	for i := range spec.Containers {
		if spec.Containers[i].LivenessProbe != nil {
			fields = append(fields, fmt.Sprintf("containers[%d].livenessProbe", i))
		}
		if spec.Containers[i].StartupProbe != nil {
			fields = append(fields, fmt.Sprintf("containers[%d].startupProbe", i))
		}
	}
	return fields
}

// neverRestarts is what makes a lost sandbox the end of a pod: with OnFailure, the kubelet makes another one and starts all
// containers again (kubernetes/pkg/kubelet/kuberuntime, computePodActions).
func neverRestarts(spec *corev1.PodSpec, _ Expected) []string {
	if spec.RestartPolicy == corev1.RestartPolicyNever {
		return []string{"restartPolicy"}
	}
	return nil
}

// hooks are what else ends a container: a postStart hook that fails (kubernetes/pkg/kubelet/kuberuntime, startContainer), and
// a resize that restarts it (computePodResizeAction).
func hooks(spec *corev1.PodSpec, _ Expected) []string {
	var fields []string
	for i := range spec.Containers {
		if lifecycle := spec.Containers[i].Lifecycle; lifecycle != nil && lifecycle.PostStart != nil {
			fields = append(fields, fmt.Sprintf("containers[%d].lifecycle.postStart", i))
		}
		for _, policy := range spec.Containers[i].ResizePolicy {
			if policy.RestartPolicy == corev1.RestartContainer {
				fields = append(fields, fmt.Sprintf("containers[%d].resizePolicy (%s)", i, policy.ResourceName))
			}
		}
	}
	return fields
}

// sizeLimits are what the kubelet's local storage eviction goes by (kubernetes/pkg/kubelet/eviction,
// localStorageEviction).
func sizeLimits(spec *corev1.PodSpec, _ Expected) []string {
	const limit = "resources.limits." + string(corev1.ResourceEphemeralStorage)
	var fields []string
	for i := range spec.Volumes {
		if source := spec.Volumes[i].EmptyDir; source != nil && source.SizeLimit != nil {
			fields = append(fields, fmt.Sprintf("volumes[%d].emptyDir.sizeLimit", i))
		}
	}
	for kind, containers := range map[string][]corev1.Container{"containers": spec.Containers, "initContainers": spec.InitContainers} {
		for i := range containers {
			if _, limited := containers[i].Resources.Limits[corev1.ResourceEphemeralStorage]; limited {
				fields = append(fields, fmt.Sprintf("%s[%d].%s", kind, i, limit))
			}
		}
	}
	if spec.Resources != nil {
		if _, limited := spec.Resources.Limits[corev1.ResourceEphemeralStorage]; limited {
			fields = append(fields, limit)
		}
	}
	slices.Sort(fields)
	return fields
}

func deadline(spec *corev1.PodSpec, _ Expected) []string {
	if spec.ActiveDeadlineSeconds != nil {
		return []string{"activeDeadlineSeconds"}
	}
	return nil
}

// sidecar reports whether an init container runs beside the others until they have ended.
func sidecar(container *corev1.Container) bool {
	return ptr.Deref(container.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways
}
