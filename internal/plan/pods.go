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
	"cmp"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// failingPods is the number of failures within one Job after which a person should look. The default backoffLimit ends a Job
// before.
const failingPods = 10

// progress returns where a Job that goes on stands: the reason, and the same in words.
func progress(e *evidence) (reason, message string) {
	pods := e.run
	switch {
	case pods.trouble != "":
		return pods.trouble, fmt.Sprintf("%s; fix it, or edit %s to replace the Job", pods.message, e.templateName())
	case pods.failed >= failingPods && pods.hindrance == "":
		return drainv1alpha1.ReasonPodsFailing, fmt.Sprintf("Job %q continues although its pods have failed %d times; last message: %s", e.job.Name, pods.failed, cmp.Or(e.outcome, "none"))
	case pods.hindrance != "" && e.inRange:
		return pods.hindrance, pods.message + "; the ordinal is back in range, and its pod starts when the Job has ended"
	case pods.hindrance != "":
		return pods.hindrance, pods.message
	case e.inRange:
		return drainv1alpha1.ReasonBackInRange, fmt.Sprintf("The ordinal is back in range; its pod starts when Job %q has ended, because spec.whenScaledUp is Wait", e.job.Name)
	case ptr.Deref(e.job.Spec.Suspend, false):
		return drainv1alpha1.ReasonQueued, fmt.Sprintf("Job %q is suspended, by a queueing controller for example", e.job.Name)
	case !pods.started:
		return drainv1alpha1.ReasonPodNotStarted, fmt.Sprintf("The pod of Job %q has not started yet", e.job.Name)
	case e.outcome != "":
		return drainv1alpha1.ReasonJobRunning, fmt.Sprintf("Job %q is running (attempt %d); last message of its pod: %s", e.job.Name, e.attempt, e.outcome)
	default:
		return drainv1alpha1.ReasonJobRunning, fmt.Sprintf("Job %q is running (attempt %d)", e.job.Name, e.attempt)
	}
}

// jobPods is what the pods of the present Job say together.
type jobPods struct {
	// gated is the oldest pod that the operator has not ungated, and alive says that another one runs.
	gated *corev1.Pod
	alive bool
	// succeeded says that a pod has ended well, so that the Job is about to be complete.
	succeeded bool
	// started says that a container of some pod has run.
	started bool
	// running says that one has run of a pod that has not ended.
	running bool
	// trouble is the reason for which a person must act, and hindrance that for which a pod does not run or does not end
	// by itself, or empty; message is about either.
	trouble, hindrance, message string
	// ended is when the last container of a pod that succeeded ended, by the clock of its node, or zero.
	ended time.Time
	// failed is how often a pod, or a container in one that goes on, has failed.
	failed int32
}

func (e *evidence) podsOfJob() jobPods {
	ready := ptr.Deref(e.job.Status.Ready, 0) > 0
	pods := jobPods{started: ready, running: ready}
	for i := range e.pods {
		pod := &e.pods[i]
		if !metav1.IsControlledBy(pod, e.job) {
			continue
		}
		pods.started = pods.started || started(pod)
		pods.running = pods.running || (started(pod) && !terminal(pod))
		pods.failed += failuresIn(pod)
		switch {
		case terminal(pod):
			if pod.Status.Phase == corev1.PodSucceeded {
				pods.succeeded, pods.ended = true, endOf(pod)
			}
			continue
		case !awaitsLock(pod):
			pods.alive = true
		case pods.gated == nil && pod.DeletionTimestamp == nil:
			pods.gated = pod
		}
		if reason, message := trouble(pod); reason != "" {
			pods.trouble, pods.message = reason, message
		} else if reason, message := e.hindrance(pod); reason != "" && pods.trouble == "" {
			pods.hindrance, pods.message = reason, message
		}
	}
	return pods
}

// endOf returns when the last container of a pod ended, or zero.
func endOf(pod *corev1.Pod) time.Time {
	var end time.Time
	for i := range pod.Status.ContainerStatuses {
		if ended := pod.Status.ContainerStatuses[i].State.Terminated; ended != nil && ended.FinishedAt.After(end) {
			end = ended.FinishedAt.Time
		}
	}
	return end
}

// failuresIn returns how often a pod, or a container in one that goes on, has failed.
func failuresIn(pod *corev1.Pod) int32 {
	if terminal(pod) {
		if pod.Status.Phase == corev1.PodFailed {
			return 1
		}
		return 0
	}
	var restarts int32
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			restarts += statuses[i].RestartCount
		}
	}
	return restarts
}

// edited reports whether the template is another than the one that a Job was made from. One that can't
// be read is none.
func (p *planner) edited(job *batchv1.Job) bool {
	return p.TemplateHash != "" && job.Annotations[drainv1alpha1.TemplateHashAnnotation] != p.TemplateHash
}

// newestOutcome returns the last message of the newest pod that has one.
func newestOutcome(pods []corev1.Pod) string {
	var newest *corev1.Pod
	for i := range pods {
		if outcome(&pods[i]) == "" {
			continue
		}
		if newest == nil || pods[i].CreationTimestamp.After(newest.CreationTimestamp.Time) {
			newest = &pods[i]
		}
	}
	if newest == nil {
		return ""
	}
	return outcome(newest)
}

// podsOf returns the ordinal's drain pods that a Job controls.
func (e *evidence) podsOf(job *batchv1.Job) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(e.pods), func(pod corev1.Pod) bool { return !metav1.IsControlledBy(&pod, job) })
}

// hindrance returns why a pod that has not ended does not run, or does not end, and the reason for that, or "".
func (e *evidence) hindrance(pod *corev1.Pod) (reason, message string) {
	if pod.DeletionTimestamp != nil {
		return drainv1alpha1.ReasonPodNotStarted, fmt.Sprintf("Pod %q is being deleted, and node %q has not reported yet that it has ended%s", pod.Name, pod.Spec.NodeName, e.ifNodeIsDown(pod))
	}
	if !awaitsLock(pod) && len(pod.Spec.SchedulingGates) > 0 {
		return drainv1alpha1.ReasonQueued, fmt.Sprintf("Pod %q has the scheduling gate %q of another controller", pod.Name, pod.Spec.SchedulingGates[0].Name)
	}
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return drainv1alpha1.ReasonPodUnschedulable, fmt.Sprintf("Pod %q can't be scheduled: %s", pod.Name, condition.Message)
		}
	}
	if pod.Spec.RestartPolicy == corev1.RestartPolicyNever && pod.Status.Phase == corev1.PodPending && started(pod) && !runs(pod) {
		// After a reboot, the kubelet starts no further container of a pod with restartPolicy Never, and leaves it Pending
		// (computePodActions in kubernetes/pkg/kubelet/kuberuntime).
		return drainv1alpha1.ReasonPodNotStarted, fmt.Sprintf("Pod %q on node %q has ended a container and started no further one; if that lasts, delete the pod", pod.Name, pod.Spec.NodeName)
	}
	if added := outlasting(pod, e.expected().Containers); added != "" {
		return drainv1alpha1.ReasonSidecarRunning, fmt.Sprintf("Every container of the template has ended in pod %q, and container %q, which something added, runs on; end it, and exempt the drain from what adds it", pod.Name, added)
	}
	return "", ""
}

// runs reports whether a container of the pod runs.
func runs(pod *corev1.Pod) bool {
	running := func(status corev1.ContainerStatus) bool { return status.State.Running != nil }
	return slices.ContainsFunc(pod.Status.InitContainerStatuses, running) || slices.ContainsFunc(pod.Status.ContainerStatuses, running)
}

// outlasting returns a container that runs although every container of the template has ended, or "".
func outlasting(pod *corev1.Pod, template []string) string {
	added := ""
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		if !slices.Contains(template, status.Name) {
			added = status.Name
		} else if status.State.Terminated == nil {
			return ""
		}
	}
	return added
}

// ifNodeIsDown returns what to do about a pod that should have ended a while ago. Only a
// person can tell a node that is down from one that can't be reached and still writes.
func (p *planner) ifNodeIsDown(pod *corev1.Pod) string {
	if pod.DeletionTimestamp == nil || p.now.Before(pod.DeletionTimestamp.Add(overdue)) {
		return ""
	}
	return fmt.Sprintf("; it should have ended at %s. If the node is down for good, say so: %s", pod.DeletionTimestamp.UTC().Format(time.RFC3339), outOfService(pod))
}

// outOfService is the command by which a person says that a pod's node is down for good.
func outOfService(pod *corev1.Pod) string {
	return fmt.Sprintf("kubectl taint node %s %s=nodeshutdown:NoExecute", pod.Spec.NodeName, corev1.TaintNodeOutOfService)
}

// whichHangs names a drain pod that should have ended a while ago, and says what to do about it, or "".
func (e *evidence) whichHangs() string {
	for i := range e.pods {
		pod := &e.pods[i]
		if why := e.ifNodeIsDown(pod); hanging(*pod) && why != "" {
			return fmt.Sprintf(": pod %q is still on node %q%s", pod.Name, pod.Spec.NodeName, why)
		}
	}
	return ""
}

// hanging reports whether a pod is being deleted and its node has not said yet that it has ended.
func hanging(pod corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && pod.Spec.NodeName != "" && !terminal(&pod)
}

// awaitsLock reports whether a drain pod still has the operator's gate.
func awaitsLock(pod *corev1.Pod) bool {
	return holdsGate(pod, drainv1alpha1.DrainSchedulingGate)
}

// holder names the policy whose lock a pod is.
func holder(lock *corev1.Pod) string {
	owner, ok := Holder(lock)
	if !ok {
		return "an unknown policy; if no operator runs that could release it, delete it and remove its finalizer"
	}
	return fmt.Sprintf("%s %q (UID %s), which is released when no drain runs under it", owner.Kind, owner.Name, owner.UID)
}

// overdueSince returns since when a pod should have ended, or zero. A StatefulSet's pod that is not ready and not deleted
// may be on a node that is down: an ordered StatefulSet's controller does not delete it then.
func overdueSince(pod *corev1.Pod) metav1.Time {
	if pod.DeletionTimestamp != nil {
		return *pod.DeletionTimestamp
	}
	for i := range pod.Status.Conditions {
		if ready := &pod.Status.Conditions[i]; ready.Type == corev1.PodReady && ready.Status == corev1.ConditionFalse {
			return ready.LastTransitionTime
		}
	}
	return metav1.Time{}
}

// ifItHangs returns what to do about the StatefulSet's pod of an ordinal that doesn't go. An ordered
// StatefulSet's controller deletes no pod while one before it isn't ready, so one on a node that is
// down may not even get a deletion timestamp (kubernetes/pkg/controller/statefulset, processCondemned).
func (p *planner) ifItHangs(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil {
		return p.ifNodeIsDown(pod)
	}
	for i := range pod.Status.Conditions {
		ready := &pod.Status.Conditions[i]
		if ready.Type == corev1.PodReady && ready.Status == corev1.ConditionFalse && !p.now.Before(ready.LastTransitionTime.Add(overdue)) {
			return fmt.Sprintf("; it has not been ready since %s and was not deleted. If its node is down for good, say so: %s",
				ready.LastTransitionTime.UTC().Format(time.RFC3339), outOfService(pod))
		}
	}
	return ""
}
