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

package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/proof"
)

// maxJobNameLength keeps a Job's name usable as a label value and as the start of its
// pods' names (validation.DNS1123LabelMaxLength less the pod's random suffix).
const maxJobNameLength = 52

// jobHashLength is the number of hexadecimal digits of the hash in a Job's name. The name is
// evidence, so two attempts that meet in one by chance must be out of the question: 64 bits.
const jobHashLength = 16

// JobName returns the name of one attempt's Job. It is derived from all that makes the Job
// evidence: whose it is, the lock it runs under, the claims it mounts and the attempt. So
// two managers that create the same attempt meet in one name, and a finished Job can never
// be taken for that of another lock or other claims.
func JobName(set string, policy types.UID, ordinal int32, lock types.UID, claimUIDs []types.UID, attempt int32) string {
	sorted := slices.Sorted(slices.Values(claimUIDs))
	hash := sha256.New()
	fmt.Fprintf(hash, "%s/%d/%s/%d", policy, ordinal, lock, attempt)
	for _, uid := range sorted {
		fmt.Fprintf(hash, "/%s", uid)
	}
	suffix := fmt.Sprintf("-%d-drain-%s", ordinal, hex.EncodeToString(hash.Sum(nil))[:jobHashLength])
	if room := maxJobNameLength - len(suffix); len(set) > room {
		set = strings.TrimRight(set[:room], "-.")
	}
	return set + suffix
}

// Receipt returns the value of DRAIN_RECEIPT in an attempt's pods. It is derived from the Job's name, so no two
// attempts have the same, and a receipt of one is worth nothing to another.
func Receipt(job string) string {
	sum := sha256.Sum256([]byte("receipt/" + job))
	return "receipt-" + hex.EncodeToString(sum[:])[:32]
}

// attemptOf returns the attempt in a Job's label, or 0.
func attemptOf(job *batchv1.Job) int32 {
	n, err := strconv.ParseInt(job.Labels[drainv1alpha1.AttemptLabel], 10, 32)
	if err != nil || n < 1 {
		return 0
	}
	return int32(n)
}

// ordinalOf returns the ordinal in an object's label.
func ordinalOf(labels map[string]string) (int32, bool) {
	n, err := strconv.ParseInt(labels[drainv1alpha1.OrdinalLabel], 10, 32)
	return int32(n), err == nil && n >= 0
}

// finished returns the Job's final condition, or nil while it has none. Since Kubernetes
// 1.31 the Job controller sets it only when every pod of the Job is in a terminal phase.
func finished(job *batchv1.Job) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		condition := &job.Status.Conditions[i]
		if (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) && condition.Status == corev1.ConditionTrue {
			return condition
		}
	}
	return nil
}

// terminal reports whether none of the pod's containers runs or will run again.
func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// started reports whether any container of the pod has ever run.
func started(pod *corev1.Pod) bool {
	if terminal(pod) {
		return true
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			if statuses[i].State.Waiting == nil && (statuses[i].State.Running != nil || statuses[i].State.Terminated != nil) ||
				statuses[i].RestartCount > 0 || statuses[i].LastTerminationState.Terminated != nil {
				return true
			}
		}
	}
	return false
}

// outcome returns the message with which a container of the pod ended last; that of a
// failed container first, because it is what people look for. Native sidecars don't speak for
// the drain: they are ended when it has, and their exit codes don't count.
func outcome(pod *corev1.Pod) string {
	sidecars := map[string]bool{}
	for i := range pod.Spec.InitContainers {
		if policy := pod.Spec.InitContainers[i].RestartPolicy; policy != nil && *policy == corev1.ContainerRestartPolicyAlways {
			sidecars[pod.Spec.InitContainers[i].Name] = true
		}
	}
	var message string
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			ended := statuses[i].State.Terminated
			if ended == nil {
				ended = statuses[i].LastTerminationState.Terminated
			}
			if ended == nil || sidecars[statuses[i].Name] {
				continue
			}
			text := proof.WithoutReceipt(ended.Message, receiptOf(pod))
			if ended.ExitCode != 0 {
				if text == "" {
					text = fmt.Sprintf("container %s exited with code %d (%s)", statuses[i].Name, ended.ExitCode, ended.Reason)
					// A container that was restarted, and then stopped at a deadline, says nothing of what went wrong before.
					if before := statuses[i].LastTerminationState.Terminated; before != nil && before != ended && before.ExitCode != 0 {
						if words := proof.WithoutReceipt(before.Message, receiptOf(pod)); words != "" {
							text += "; its run before that ended with: " + words
						}
					}
				}
				return text
			}
			if text != "" {
				message = text
			}
		}
	}
	if message == "" && pod.Status.Message != "" && pod.Status.Phase == corev1.PodFailed {
		message = pod.Status.Reason + ": " + pod.Status.Message
	}
	return message
}

// receiptOf returns the receipt that a drain pod was to leave. It is only shown by this; what a pod proves is decided by
// the name of its Job.
func receiptOf(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return Receipt(owner.Name)
	}
	return ""
}

// trouble returns why a pod that should run doesn't, in a way that a person must fix.
func trouble(pod *corev1.Pod) (reason, message string) {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			waiting := statuses[i].State.Waiting
			if waiting == nil {
				continue
			}
			switch waiting.Reason {
			case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "SignatureValidationFailed":
				// The kubelet alternates between these reasons and their messages; one reason
				// and one message of ours keep the status still.
				return drainv1alpha1.ReasonImagePullFailed, fmt.Sprintf("the image %q of container %q of pod %q can't be pulled", statuses[i].Image, statuses[i].Name, pod.Name)
			case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
				return drainv1alpha1.ReasonContainerConfigError, fmt.Sprintf("container %q of pod %q can't be created: %s", statuses[i].Name, pod.Name, waiting.Message)
			}
		}
	}
	return "", ""
}
