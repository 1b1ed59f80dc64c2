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

// watchJob decides about a Job that is under way: stop it, ungate its pod, or wait.
func (p *planner) watchJob(o *ordinal, failure *Attempt, d *Drain) {
	pods := p.podsOfJob(o)
	if why := p.stopJob(o, pods); why != "" {
		d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "%s; stopping Job %q", why, o.job.Name)
		d.Next = deleteJob(o.job)
		return
	}
	if failure != nil {
		d.say(drainv1alpha1.DrainFailed, failure.Reason, "Attempt %d failed: %s; deleting Job %q", failure.Number, failure.Why, o.job.Name)
		d.Next = deleteJob(o.job)
		if !remembered(o, failure) {
			d.Next = Step{Kind: NoteAttempt, Note: failure}
		}
		return
	}
	reason, message := p.tellJob(o, pods, d.Outcome)
	d.say(drainv1alpha1.DrainDraining, reason, "%s", message)
	if pods.gated != nil && !pods.alive && !pods.succeeded && o.lock.DeletionTimestamp == nil {
		if user := p.user(o); user != nil {
			d.say(d.State, drainv1alpha1.ReasonClaimInUse, "Waiting for pod %q, which uses a claim of the ordinal, to terminate before pod %q is let run", user.Name, pods.gated.Name)
			d.RetryAfter = recheck
			return
		}
		d.Next = Step{Kind: AdmitPod, JobUID: o.job.UID, Pod: pods.gated, Note: new(p.open(o))}
	}
}

// stopJob says why a Job that is under way must be stopped, or "".
func (p *planner) stopJob(o *ordinal, pods jobPods) (why string) {
	switch {
	case p.Policy.DeletionTimestamp != nil:
		return "The policy is being deleted"
	case o.inRange && !pods.started:
		return "The ordinal is back in range and the drain pod has not started"
	case o.inRange && p.Policy.Spec.WhenScaledUp == drainv1alpha1.WhenScaledUpCancel:
		return "The ordinal is back in range and spec.whenScaledUp is Cancel"
	case o.inRange && ptr.Deref(o.job.Spec.Suspend, false) && !pods.alive && !pods.succeeded:
		return "The ordinal is back in range and the Job is suspended"
	case !pods.running && !pods.succeeded && terminating(o) != "":
		// The kubelet starts no pod on such a claim, also no further one after one that failed. It
		// restarts the containers of one that has started.
		return fmt.Sprintf("Claim %q is being deleted and no drain pod has started that could go on", terminating(o))
	case o.lock.DeletionTimestamp != nil && !pods.alive && !pods.succeeded:
		// No further pod is let run under such a lock. In a namespace that is being deleted, none
		// could be made either: Kubernetes deletes the pods first, and waits until all are gone.
		return "The lock is being deleted and no drain pod runs"
	case !pods.started && p.edited(o.job):
		return "The template was changed and the drain pod has not started"
	}
	return ""
}

// tellJob says where a Job stands that goes on.
func (p *planner) tellJob(o *ordinal, pods jobPods, outcome string) (reason, message string) {
	switch {
	case pods.trouble != "":
		return pods.trouble, fmt.Sprintf("%s; fix it, or edit %s to replace the Job", pods.message, p.templateName())
	case pods.failed >= failingPods && pods.hindrance == "":
		return drainv1alpha1.ReasonPodsFailing, fmt.Sprintf("Job %q goes on although its pods have failed %d times; their last words: %s", o.job.Name, pods.failed, cmp.Or(outcome, "none"))
	case pods.hindrance != "" && o.inRange:
		return pods.hindrance, pods.message + "; the ordinal is back in range, and its pod starts when the Job has ended"
	case pods.hindrance != "":
		return pods.hindrance, pods.message
	case o.inRange:
		return drainv1alpha1.ReasonWantedBack, fmt.Sprintf("The ordinal is back in range; its pod starts when Job %q has ended, because spec.whenScaledUp is Wait", o.job.Name)
	case ptr.Deref(o.job.Spec.Suspend, false):
		return drainv1alpha1.ReasonQueued, fmt.Sprintf("Job %q is suspended, by a queueing controller for example", o.job.Name)
	case !pods.started:
		return drainv1alpha1.ReasonPodNotStarted, fmt.Sprintf("The pod of Job %q has not started yet", o.job.Name)
	case outcome != "":
		return drainv1alpha1.ReasonJobRunning, fmt.Sprintf("Job %q runs (attempt %d); its pod said last: %s", o.job.Name, o.attempt, outcome)
	default:
		return drainv1alpha1.ReasonJobRunning, fmt.Sprintf("Job %q runs (attempt %d)", o.job.Name, o.attempt)
	}
}

// jobPods is what the pods of the present Job say together.
type jobPods struct {
	// gated is the oldest pod that awaits to be let run, and alive says that another one runs.
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
	// failed is how often a pod, or a container in one that goes on, has failed.
	failed int32
}

func (p *planner) podsOfJob(o *ordinal) jobPods {
	ready := ptr.Deref(o.job.Status.Ready, 0) > 0
	pods := jobPods{started: ready, running: ready}
	for i := range o.pods {
		pod := &o.pods[i]
		if !metav1.IsControlledBy(pod, o.job) {
			continue
		}
		pods.started = pods.started || started(pod)
		pods.running = pods.running || (started(pod) && !terminal(pod))
		pods.failed += failuresIn(pod)
		switch {
		case terminal(pod):
			pods.succeeded = pods.succeeded || pod.Status.Phase == corev1.PodSucceeded
			continue
		case !awaitsLock(pod):
			pods.alive = true
		case pods.gated == nil && pod.DeletionTimestamp == nil:
			pods.gated = pod
		}
		if reason, message := trouble(pod); reason != "" {
			pods.trouble, pods.message = reason, message
		} else if reason, message := p.hindrance(o, pod); reason != "" && pods.trouble == "" {
			pods.hindrance, pods.message = reason, message
		}
	}
	return pods
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

// edited says whether the template is another than the one that a Job was made from. One that can't
// be read is none.
func (p *planner) edited(job *batchv1.Job) bool {
	return p.TemplateHash != "" && job.Annotations[drainv1alpha1.TemplateHashAnnotation] != p.TemplateHash
}

// giveUp says why a lock without a running Job must be released: no drain of its ordinal is
// wanted, or none can be had.
func (p *planner) giveUp(o *ordinal, d *Drain) (why string) {
	switch {
	case o.inRange:
		return "The ordinal is back in range and no drain runs"
	case p.Policy.DeletionTimestamp != nil:
		return "The policy is being deleted and no drain runs"
	case o.lock.DeletionTimestamp != nil:
		return "The lock is being deleted and no drain runs"
	case p.Rival != "":
		return "Another policy is in charge of the StatefulSet"
	case p.unasked(o, d):
		return d.Message
	}
	return ""
}

// start decides about a lock without a Job.
func (p *planner) start(o *ordinal, d *Drain) {
	if why := p.giveUp(o, d); why != "" {
		p.release(o, d, why)
		return
	}
	if p.awaitPreflight(o, d) {
		return
	}
	if p.unarmed(d) {
		p.release(o, d, d.Message)
		return
	}
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonLocked, "The lock is held; creating the Job")
	p.startAttempt(o, d, max(1, attemptUnder(o.lock).Number), o.lock.CreationTimestamp.Time)
}

func deleteJob(job *batchv1.Job) Step {
	return Step{Kind: DeleteJob, Job: job.Name, JobUID: job.UID}
}

// newestOutcome returns the last words of the newest pod that has any.
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

// outcomeOf returns the last words of the newest pod of the ordinal's Job that has any.
func (p *planner) outcomeOf(o *ordinal) string {
	return newestOutcome(podsOf(o))
}

// podsOf returns the pods that the ordinal's Job controls.
func podsOf(o *ordinal) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(o.pods), func(pod corev1.Pod) bool { return !metav1.IsControlledBy(&pod, o.job) })
}

// hindrance returns why a pod that has not ended does not run, or does not end, and the reason for that, or "".
func (p *planner) hindrance(o *ordinal, pod *corev1.Pod) (reason, message string) {
	if pod.DeletionTimestamp != nil {
		return drainv1alpha1.ReasonPodNotStarted, fmt.Sprintf("Pod %q is being deleted, and node %q has not reported yet that it has ended%s", pod.Name, pod.Spec.NodeName, p.ifNodeIsDown(pod))
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
	if added := outlasting(pod, p.expected(o).Containers); added != "" {
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

// ifNodeIsDown returns what to do about a pod that should have ended a while ago. Nobody but a
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
func (p *planner) whichHangs(o *ordinal) string {
	for i := range o.pods {
		pod := &o.pods[i]
		if why := p.ifNodeIsDown(pod); hanging(*pod) && why != "" {
			return fmt.Sprintf(": pod %q is still on node %q%s", pod.Name, pod.Spec.NodeName, why)
		}
	}
	return ""
}

// hanging says whether a pod is being deleted and its node has not said yet that it has ended.
func hanging(pod corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && pod.Spec.NodeName != "" && !terminal(&pod)
}

// awaitsLock says whether a drain pod still has the operator's gate.
func awaitsLock(pod *corev1.Pod) bool {
	return holdsGate(pod, drainv1alpha1.DrainSchedulingGate)
}
