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
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// What the rules say in the status. Nothing is decided here.

// maxNamed bounds how many ordinals a message names.
const maxNamed = 3

func says(text string) func(*evidence) string { return func(*evidence) string { return text } }

func stopping(why string) func(*evidence) string {
	return func(e *evidence) string { return fmt.Sprintf("%s; stopping Job %q", why, e.job.Name) }
}

// soon is when to look again at what no watch tells of.
func soon(*evidence) time.Duration { return recheck }

func (e *evidence) sayDrainedJobGoing() string {
	return cmp.Or(e.outcome, "Drained; waiting until the pods of Job "+e.going.Name+" are gone")
}

func (e *evidence) sayJobGoing() string {
	return fmt.Sprintf("Job %q is being deleted; waiting until its pods are gone%s", e.going.Name, e.whichHangs())
}

func (e *evidence) sayUsed() string {
	return fmt.Sprintf("Drained, but pod %q uses a claim of the ordinal; draining it again when that pod has terminated", e.user.Name)
}

func (e *evidence) sayUnreadMark() string {
	return fmt.Sprintf("The mark of claim %q can't be read; another version of the operator may have written it, so a drain that ended before proves nothing", e.unreadMark().Name)
}

func (e *evidence) sayUnreadLock() string {
	return fmt.Sprintf("The annotations of lock %q can't be read, so its drain proves nothing; another version of the operator, a webhook or a person changed them; another lock is taken after the delay of a retry", e.lock.Name)
}

func (e *evidence) sayRerun() string {
	return fmt.Sprintf("Drained, but Job %q runs on the claims again; they are drained when it has succeeded", e.job.Name)
}

func (e *evidence) sayStrayJob() string {
	return fmt.Sprintf("Job %q runs without the lock, or on other claims than the ordinal has now; stopping it", e.stray.Name)
}

func (e *evidence) sayStrayPod() string {
	return fmt.Sprintf("The Job of drain pod %q has ended or is gone; deleting the pod", e.strayPod.Name)
}

func (e *evidence) sayStrayPodGoing() string {
	return fmt.Sprintf("Waiting for drain pod %q on node %q, whose Job has ended or is gone, to terminate%s", e.strayPod.Name, e.strayPod.Spec.NodeName, e.ifNodeIsDown(e.strayPod))
}

func (e *evidence) tellClaimHeld() (reason, message string) {
	if e.lock != nil && disposable(e) {
		// The operator deletes it. The rest of a drain that failed before must not hide how this one ended.
		return drainv1alpha1.ReasonDeletingClaims, e.sayDisposing()
	}
	return drainv1alpha1.ReasonStoppingJob, fmt.Sprintf("Claim %q is being deleted; deleting the rest of a past drain, which holds it", terminating(e))
}

func (e *evidence) sayMisfit() string {
	return fmt.Sprintf("A webhook changes the lock, a pod that never runs: it lacks %s; exempt pods with the label %s=%s from it", LockLacks(e.namesake, e.Policy.UID), drainv1alpha1.RoleLabel, drainv1alpha1.RoleLock)
}

func (e *evidence) sayStopWithoutClaim() string {
	return fmt.Sprintf("Claim %q is being deleted and no drain pod has started that could go on; stopping Job %q", terminating(e), e.job.Name)
}

func (e *evidence) tellChanged() (reason, message string) {
	return e.failure.Reason, fmt.Sprintf("Attempt %d failed: %s; deleting Job %q", e.failure.Number, e.failure.Why, e.job.Name)
}

func (e *evidence) sayUngateAwaitsUser() string {
	return fmt.Sprintf("Waiting for pod %q, which uses a claim of the ordinal, to terminate; pod %q stays gated until then", e.user.Name, e.run.gated.Name)
}

func (e *evidence) sayBehind() string {
	return fmt.Sprintf("Waiting for the StatefulSet controller to see generation %d of the StatefulSet", e.Target.Generation)
}

func (e *evidence) sayInUse() string {
	claim := e.unreported()
	return fmt.Sprintf("Job %q is complete; waiting for Kubernetes to report claim %q as unused (%s)", e.job.Name, claim.Name, whyUsed(claim))
}

func (e *evidence) sayUnnoticed() string {
	return fmt.Sprintf("Job %q is complete; waiting for Kubernetes to report that it used claim %q", e.job.Name, e.unnoticed().Name)
}

func (e *evidence) sayMarking() string {
	return fmt.Sprintf("Job %q is complete; marking its claims as drained", e.job.Name)
}

func (e *evidence) sayUndrainedClaimHeld() string {
	return fmt.Sprintf("Claim %q is being deleted, and not by the operator; deleting Job %q, whose pod holds it", terminating(e), e.job.Name)
}

func (e *evidence) sayDisposing() string {
	return cmp.Or(e.outcome, "Drained; deleting "+claimNames(e.held))
}

// untilLock returns the time until the lock is created again after it was refused; 0 if it wasn't.
func (e *evidence) untilLock() time.Duration {
	entry := find(e.Policy.Status.Drains, e.number)
	if entry == nil || entry.Reason != drainv1alpha1.ReasonLockRefused || entry.LastTransitionTime == nil || e.planner.ahead(entry.LastTransitionTime.Time) {
		return 0
	}
	return max(0, entry.LastTransitionTime.Add(RefusalRecheck).Sub(e.now))
}

func (e *evidence) sayLockRefused() string { return find(e.Policy.Status.Drains, e.number).Message }

func (e *evidence) sayKept() string { return cmp.Or(e.outcome, "The claims are drained and kept") }

func (e *evidence) saySkipped() string {
	return fmt.Sprintf("Retained without draining: claim %q has the annotation %s", skipped(e), drainv1alpha1.SkipAnnotation)
}

func (e *evidence) tellReady() (reason, message string) {
	condition := e.accepted()
	return condition.Reason, condition.Message
}

func (e *evidence) sayMissing() string {
	if kept(e) {
		return fmt.Sprintf("Claim %q does not exist, so the others can't be drained once more for their deletion; they were drained, so delete them if no pod has used them since", e.missing())
	}
	return fmt.Sprintf("Claim %q does not exist; restore it, or annotate the others with %s: \"true\"", e.missing(), drainv1alpha1.SkipAnnotation)
}

func (e *evidence) sayClaimGoing() string {
	return fmt.Sprintf("Claim %q is being deleted, and not by the operator; no new pod can mount it, and data on it that was not drained is lost", terminating(e))
}

func (e *evidence) sayLost() string {
	claim := lostClaim(e)
	return fmt.Sprintf("Claim %q has lost its volume; restore the PersistentVolume %q, or annotate the claim with %s: \"true\"", claim.Name, claim.Spec.VolumeName, drainv1alpha1.SkipAnnotation)
}

func (e *evidence) tellFailure() (reason, message string) {
	return e.failure.Reason, fmt.Sprintf("Attempt %d failed: %s", e.failure.Number, e.failure.Why)
}

func (e *evidence) tellFailedNotAsked() (reason, message string) {
	return e.failure.Reason, fmt.Sprintf("Attempt %d failed: %s; no further attempt starts yet: %s", e.failure.Number, e.failure.Why, e.accepted().Message)
}

func (e *evidence) sayNotAsked() string { return e.accepted().Message }

func (e *evidence) tellFailedNotAccepted() (reason, message string) {
	reason, message = e.tellReady()
	return reason, fmt.Sprintf("Attempt %d failed: %s; no further attempt starts: %s", e.failure.Number, e.failure.Why, message)
}

func (e *evidence) sayExhausted() string {
	return fmt.Sprintf("All %d attempts failed, the last one: %s. To start another one, edit %s or raise spec.retry.maxAttempts", e.failure.Number, e.failure.Why, e.templateName())
}

func (e *evidence) tellBackoff() (reason, message string) {
	return e.failure.Reason, fmt.Sprintf("Attempt %d failed: %s. The next one starts at %s, or at once when %s is edited", e.failure.Number, e.failure.Why, e.due().UTC().Format(time.RFC3339), e.templateName())
}

func (e *evidence) tellRetry() (reason, message string) {
	return e.failure.Reason, fmt.Sprintf("Attempt %d failed: %s; starting another one", e.failure.Number, e.failure.Why)
}

func (e *evidence) sayAwaitsUser() string {
	return fmt.Sprintf("Waiting for pod %q, which uses a claim of the ordinal, to terminate", e.user.Name)
}

func (e *evidence) sayYoung() string {
	return fmt.Sprintf("The drain starts at %s; until then, scaling up undoes the scale-down", e.oldEnough().UTC().Format(time.RFC3339))
}

func (e *evidence) sayDrainedBefore() string {
	mark := e.voidSince()
	if e.Target.Exists() && mark.HoldsAt(e.Target.UID, e.Target.Generation) || !e.Target.Exists() {
		return fmt.Sprintf("Kubernetes has reported a use of the claims since the ordinal was drained at %s, perhaps the drain's own, too late; draining it again at %s", mark.Time.UTC().Format(time.RFC3339), e.drainedAgainAt(mark).UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("The StatefulSet has changed too often since the ordinal was drained at %s to tell that it stayed out of range; draining it again at %s", mark.Time.UTC().Format(time.RFC3339), e.drainedAgainAt(mark).UTC().Format(time.RFC3339))
}

func (e *evidence) sayFewReplicas() string {
	return fmt.Sprintf("Waiting for ready replicas: %d of those that remain are ready and spec.minReadyReplicas is %d; scale up, or set it to 0 if the drain takes the data elsewhere", e.remaining(), ptr.Deref(e.Policy.Spec.MinReadyReplicas, 1))
}

func (e *evidence) sayLockHeld() string {
	return fmt.Sprintf("Waiting for lock %q to be released; it belongs to %s", e.namesake.Name, holder(e.namesake))
}

func (e *evidence) sayPodExists() string {
	return fmt.Sprintf("Waiting for pod %q on node %q to terminate%s", e.namesake.Name, e.namesake.Spec.NodeName, e.ifItHangs(e.namesake))
}

// sayNoSlot names the ordinals that go first: one of them that is stuck keeps the others waiting.
func (e *evidence) sayNoSlot() string {
	var names []string
	for _, number := range e.ahead[:min(len(e.ahead), maxNamed)] {
		names = append(names, strconv.Itoa(int(number)))
	}
	if more := len(e.ahead) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("Waiting behind ordinal %s: spec.maxConcurrentDrains is %d, and the highest ordinal goes first", strings.Join(names, ", "), ptr.Deref(e.Policy.Spec.MaxConcurrentDrains, 1))
}

func (e *evidence) sayVanished() string {
	return fmt.Sprintf("Job %q was created and is gone; creating it again", e.jobName(e, e.next()))
}

func (e *evidence) sayMarkExpired(claim *corev1.PersistentVolumeClaim) string {
	return fmt.Sprintf("claim %q was marked as drained at %s and could not be deleted within %.0f s, so a pod may have used it since; find what refuses the deletion, or what kept the operator from it",
		claim.Name, e.markOn(claim).Time.UTC().Format(time.RFC3339), markLasts.Seconds())
}

func (e *evidence) sayStillBusy() string {
	return fmt.Sprintf("Waiting to release the lock of a policy that is gone: %s is not over", e.stillBusy())
}

// What the words and the times are made from.

// ahead reports whether a time can't have come from a clock that was right.
func (p *planner) ahead(when time.Time) bool { return when.After(p.now.Add(clockSkew)) }

// accepted returns whether the policy can start a drain: it is ready, or its StatefulSet is gone, which is what asks for the
// drain, and all else is well.
func (p *planner) accepted() Condition {
	if p.drainsDeleted() && p.ready.Reason == drainv1alpha1.ReasonStatefulSetNotFound {
		if len(p.Target.MatchLabels) == 0 {
			return refuse(drainv1alpha1.ReasonNoMatchLabels,
				"StatefulSet %q had no spec.selector.matchLabels, so its claims bear no labels that tell them from another workload's; the claims are retained without draining", p.Policy.Spec.StatefulSetRef.Name)
		}
		if p.Target.ZeroGracePeriod() {
			return refuse(drainv1alpha1.ReasonGracePeriodZero,
				"StatefulSet %q had terminationGracePeriodSeconds: 0, so containers of its pods may still run; the claims are retained without draining", p.Policy.Spec.StatefulSetRef.Name)
		}
		return p.template
	}
	return p.ready
}

// orphanedSince returns since when the ordinal is known to be out of range. The status is the memory of it, for as long as
// the StatefulSet's generation shows that it didn't come back in the meantime; a claim that was created or used later says
// more. When in doubt, the time starts again.
func (e *evidence) orphanedSince() metav1.Time {
	since := metav1.NewTime(e.now.UTC().Truncate(time.Second))
	last := e.Policy.Status.StatefulSet
	if !e.Target.Exists() || e.unbroken() {
		entry := find(e.Policy.Status.Drains, e.number)
		switch {
		case entry != nil && entry.OrphanedTime != nil && !e.planner.ahead(entry.OrphanedTime.Time):
			since = *entry.OrphanedTime
		case last != nil && last.LastScaleDownTime != nil && !e.planner.ahead(last.LastScaleDownTime.Time) && !inRange(last, e.number):
			// It was out of range before, and the status had no room for it.
			since = *last.LastScaleDownTime
			for i := range e.claims {
				if created := e.claims[i].CreationTimestamp; created.After(since.Time) {
					since = created
				}
			}
		}
	}
	if e.lock != nil {
		return since
	}
	for i := range e.claims {
		if unused, known := claims.UnusedSince(&e.claims[i]); known && unused != nil && unused.After(since.Time) && !e.planner.ahead(unused.Time) {
			since = *unused
		}
	}
	return since
}

// inRange reports whether an ordinal was in the range of a StatefulSet when it was last seen.
func inRange(last *drainv1alpha1.ObservedStatefulSet, ordinal int32) bool {
	start := int64(*last.StartOrdinal)
	return int64(ordinal) >= start && int64(ordinal) < start+int64(*last.Replicas)
}

// oldEnough returns when the ordinal has been out of range for spec.minOrphanedSeconds.
func (e *evidence) oldEnough() time.Time {
	return e.orphanedSince().Add(time.Duration(ptr.Deref(e.Policy.Spec.MinOrphanedSeconds, 0)) * time.Second)
}

// remaining returns how many ready replicas could take the data. While a scale-down is under way, pods that are about to be
// deleted still count as ready in the StatefulSet's status, hence the minimum.
func (p *planner) remaining() int32 { return min(p.Target.ReadyReplicas, p.Target.Replicas) }

// untilAsked returns when the rule that keeps a kept orphan from being drained once more ends by time alone; 0 if it doesn't.
func (e *evidence) untilAsked() time.Duration {
	switch {
	case anyOf(unasked)(e):
		return 0
	case notAsked(e):
		return recheck
	case notAccepted(e):
		return 0
	case young(e):
		return e.oldEnough().Sub(e.now)
	case drainedBefore(e):
		return e.drainedAgainAt(e.voidSince()).Sub(e.now)
	}
	return 0
}
