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

package scaling

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
)

func says(text string) func(*evidence) string { return func(*evidence) string { return text } }

// maxNamed bounds how many pods a message names.
const maxNamed = 3

func (e *evidence) tellReady() (reason, message string) {
	return e.ready.Reason, "The replicas are not lowered, because the policy is not accepted: " + e.ready.Message
}

func (e *evidence) sayReplaced() string {
	return fmt.Sprintf("Stopping Job %q, because another Job takes its place", e.older.Name)
}

func (e *evidence) sayLoose() string {
	return fmt.Sprintf("Stopping pod %q, whose Job is gone", e.loose.Name)
}

func (e *evidence) sayUnasked() string {
	return fmt.Sprintf("Deleting Job %q, which the policy does not ask for any more", e.unasked.Name)
}

func (e *evidence) sayPast() string {
	return fmt.Sprintf("Deleting Job %q: its ordinal is out of range", e.outside.Name)
}

func (e *evidence) saySuspended() string {
	if e.Target.Replicas == e.wanted {
		return fmt.Sprintf("The member of pod %s does not join again while spec.suspend is true", e.name(e.back.ordinal))
	}
	return fmt.Sprintf("StatefulSet %q has %d replicas and spec.replicas is %d; the operator does not scale it while spec.suspend is true", e.Target.Name, e.Target.Replicas, e.wanted)
}

func (e *evidence) sayContested() string {
	return fmt.Sprintf("StatefulSet %q has %d replicas and spec.replicas is %d: something else sets the replicas of the StatefulSet again and again, such as an autoscaler or a GitOps sync; "+
		"stop it, or set spec.suspend; the operator tries again at %s", e.Target.Name, e.Target.Replicas, e.wanted, e.contestEnds().UTC().Format(time.RFC3339))
}

func (e *evidence) sayRaise() string {
	return fmt.Sprintf("Raising the replicas of StatefulSet %q from %d to %d", e.Target.Name, e.Target.Replicas, e.wanted)
}

func (e *evidence) sayReached() string {
	return fmt.Sprintf("StatefulSet %q has %d replicas", e.Target.Name, e.wanted)
}

// toGo says how far the way down is.
func (e *evidence) toGo() string {
	return fmt.Sprintf("StatefulSet %q has %d replicas and goes down to %d", e.Target.Name, e.Target.Replicas, e.wanted)
}

func (e *evidence) sayDrains() string {
	return fmt.Sprintf("%s; waiting for the drain of ordinal %d: %s", e.toGo(), e.pending.Ordinal, e.pending.Message)
}

func (e *evidence) sayTooFew() string {
	return fmt.Sprintf("%s; only %d replicas would remain to take the data of ordinal %d, and spec.minReadyReplicas is %d: raise spec.replicas, or set "+
		"spec.minReadyReplicas to 0 if the drain moves the data out of the StatefulSet", e.toGo(), e.Target.Replicas-1, e.top, ptr.Deref(e.Policy.Spec.MinReadyReplicas, 1))
}

func (e *evidence) sayPastPod() string {
	return fmt.Sprintf("%s; waiting for pod %q to terminate", e.toGo(), e.pastPods()[0].Name)
}

func (e *evidence) sayNotReady() string {
	if !e.live {
		return fmt.Sprintf("%s; waiting for ready replicas: %d of %d are ready", e.toGo(), e.Target.ReadyReplicas, e.Target.Replicas)
	}
	count, names := e.notReady()
	more := ""
	if count > len(names) {
		more = fmt.Sprintf(" and %d more", count-len(names))
	}
	return fmt.Sprintf("%s; waiting for pods that remain to become ready: %s%s; if one is not created, look at the events of the StatefulSet", e.toGo(), strings.Join(names, ", "), more)
}

func (e *evidence) sayLower() string {
	return fmt.Sprintf("Lowering the replicas of StatefulSet %q from %d to %d", e.Target.Name, e.Target.Replicas, e.Target.Replicas-1)
}

func (e *evidence) sayLeft() string {
	return fmt.Sprintf("%s: the member of pod %s has left", e.sayLower(), e.name(e.highest.ordinal))
}

func (e *evidence) sayDead() string {
	return fmt.Sprintf("%s: pod %s has not been ready for %d seconds, so its member does not leave", e.sayLower(), e.name(e.highest.ordinal), *e.Policy.Spec.Leave.DeadAfterSeconds)
}

func (e *evidence) sayMissing() string {
	return fmt.Sprintf("%s; waiting for pod %s to exist, so that its member can leave; if it is not created, look at the events of the StatefulSet", e.toGo(), e.name(e.highest.ordinal))
}

func (e *evidence) sayLeave() string {
	return fmt.Sprintf("%s; creating the Job by which the member of pod %s leaves", e.toGo(), e.name(e.highest.ordinal))
}

func (e *evidence) sayLeaving() string {
	return fmt.Sprintf("%s; the member of pod %s leaves by Job %q", e.toGo(), e.name(e.highest.ordinal), e.highest.latest.Name)
}

func (e *evidence) sayRejoin() string {
	return fmt.Sprintf("Creating the Job by which the member of pod %s joins again", e.name(e.back.ordinal))
}

func (e *evidence) sayRejoining() string {
	return fmt.Sprintf("The member of pod %s joins again by Job %q", e.name(e.back.ordinal), e.back.latest.Name)
}

func (e *evidence) sayUnreadable() string {
	return fmt.Sprintf("The annotation %s of the policy names the members that have begun to leave, and can't be read: fix it, or remove it when all members are back: %s",
		drainv1alpha1.MembersAnnotation, e.unreadable)
}

func (e *evidence) sayForgetPast() string {
	return fmt.Sprintf("Forgetting that the member of pod %s has left: its ordinal is out of range, and its drain is over", e.name(e.gone.ordinal))
}

func (e *evidence) sayCantRejoin() string {
	return fmt.Sprintf("The member of pod %s has begun to leave, and spec.leave is unset: set it, so that the member joins again, or remove the annotation %s of the policy when all members are back",
		e.name(e.back.ordinal), drainv1alpha1.MembersAnnotation)
}

func (e *evidence) sayLeftBehind() string {
	return fmt.Sprintf("The member of pod %s has begun to leave, and spec.replicas and spec.leave are unset: set both, so that the member joins again, or remove the annotation %s of the policy when all members are back",
		e.name(e.back.ordinal), drainv1alpha1.MembersAnnotation)
}

func (e *evidence) sayStranded() string {
	names := e.Undrainable(e.top)
	return fmt.Sprintf("Not lowering the replicas: pod %s has %d claims that the operator would not drain, %q among them: add the labels of the StatefulSet's selector to them, or see status.strandedClaims",
		e.name(e.top), len(names), names[0])
}

func (e *evidence) sayAwaitRejoin() string {
	return fmt.Sprintf("Waiting for pod %s to exist, so that its member can join again; if it is not created, look at the events of the StatefulSet", e.name(e.back.ordinal))
}

func (e *evidence) sayAwaitTurn(m *member) string {
	other := e.other(m)
	text := fmt.Sprintf("The member of pod %s waits until pod %q has ended, which takes that of pod %s out or in: one member changes at a time",
		e.name(m.ordinal), other.running().Name, e.name(other.ordinal))
	if since := other.running().DeletionTimestamp; since != nil {
		text += fmt.Sprintf("; it should have ended at %s, so look at node %q", since.UTC().Format(time.RFC3339), other.running().Spec.NodeName)
	}
	return text
}

func (e *evidence) sayForgetBack() string {
	return fmt.Sprintf("Noting that the member of pod %s is back", e.name(e.returned.ordinal))
}

func (e *evidence) sayBack() string {
	return fmt.Sprintf("Deleting Job %q: the member of pod %s is back", e.returned.latest.Name, e.name(e.returned.ordinal))
}

func (e *evidence) sayNoteLeave() string {
	return fmt.Sprintf("%s; noting that the member of pod %s begins to leave, by Job %q", e.toGo(), e.name(e.highest.ordinal), e.highest.latest.Name)
}

func (e *evidence) sayNoteRejoin() string {
	return fmt.Sprintf("Noting that the member of pod %s joins again, by Job %q", e.name(e.back.ordinal), e.back.latest.Name)
}

// tellRunning says how a Job that runs is doing.
func (e *evidence) tellRunning(m *member, reason, message string) (shown, words string) {
	switch j := m.latest; {
	case j.trouble != "":
		return reason, fmt.Sprintf("%s, which does not run: %s; fix it, or edit spec.leave.template to replace the Job", message, j.trouble)
	case !j.hangsSince().IsZero():
		return reason, fmt.Sprintf("%s, whose pod %q should have ended at %s: if node %q is down for good, declare it out of service", message, j.running.Name,
			j.hangsSince().UTC().Format(time.RFC3339), j.running.Spec.NodeName)
	case !j.started:
		return drainv1alpha1.ReasonPodNotStarted, message + ", whose pod has not started yet"
	case j.said != "":
		return reason, fmt.Sprintf("%s; last message of its pod: %s", message, j.said)
	}
	return reason, message
}

// why says how a Job failed.
func (j *job) why() string {
	if j.end.Type == batchv1.JobComplete {
		return j.doubt
	}
	return j.end.Reason + ": " + cmp.Or(j.said, j.end.Message)
}

func (e *evidence) sayFailed(m *member, action, what string) string {
	if gone := m.vanished(e, action); gone != nil {
		return fmt.Sprintf("Job %q, by which the member of pod %s %s, was deleted before it was seen to succeed (attempt %d); the next attempt starts at %s",
			e.jobName(m.ordinal, gone), e.name(m.ordinal), what, gone.Failures+1, m.retryAt(e, action).UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("Job %q, by which the member of pod %s %s, failed (attempt %d): %s; the next attempt starts at %s", m.latest.Name, e.name(m.ordinal), what,
		m.latest.failures+1, m.latest.why(), m.latest.due(e).UTC().Format(time.RFC3339))
}

// jobName returns the name of the Job of a note.
func (e *evidence) jobName(ordinal int32, note *Note) string {
	return objects.LeaveName(e.Target.Name, e.Policy.UID, objects.Leave{Ordinal: ordinal, Number: note.Job, Action: note.Action})
}

func (e *evidence) sayLeaveFailed() string {
	return e.sayFailed(e.highest, drainv1alpha1.ActionLeave, "leaves")
}

func (e *evidence) sayRejoinFailed() string {
	return e.sayFailed(e.back, drainv1alpha1.ActionRejoin, "joins again")
}

func (e *evidence) sayExhausted() string {
	last := "the last one was deleted"
	if e.highest.vanished(e, drainv1alpha1.ActionLeave) == nil {
		last = "the last one: " + e.highest.latest.why()
	}
	return fmt.Sprintf("%d Jobs by which the member of pod %s leaves have failed, and spec.retry.maxAttempts is %d: fix spec.leave.template, or raise spec.replicas; %s",
		e.leaveFailures(), e.name(e.highest.ordinal), *e.Policy.Spec.Retry.MaxAttempts, last)
}
