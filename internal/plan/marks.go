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
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/proof"
)

// holds reports whether a claim bears a mark that holds. A claim that may be deleted must have been drained under the lock
// that stands: nothing else excludes for sure that a pod used it since. Without the lock, a pod can come and be gone before
// Kubernetes or the operator looks, which is good enough to keep a claim and not to drain it again.
func holds(e *evidence, claim *corev1.PersistentVolumeClaim) bool {
	mark := e.markOn(claim)
	if e.lock != nil && mark.HoldsUnder(e.lock.UID) {
		return !refuted(e, mark) && !markExpired(e, claim)
	}
	if e.mayDelete {
		return false
	}
	if !e.Target.Exists() {
		return mark.HoldsAbsent(e.Target.UID)
	}
	return e.Target.Excludes(e.number) && mark.HoldsAt(e.Target.UID, e.Target.Generation)
}

// refuted reports whether a mark is of an attempt that the lock remembers as failed. A mark that was decided before, and
// hung, lands after that.
func refuted(e *evidence, mark *claims.Mark) bool {
	return mark.Attempts < e.last.Number || mark.Attempts == e.last.Number && e.last.Failed != nil
}

// markExpired reports whether a claim that is to be deleted has waited for so long since it was marked under the lock that a pod may have
// come and gone without a trace.
func markExpired(e *evidence, claim *corev1.PersistentVolumeClaim) bool {
	mark := e.markOn(claim)
	return e.mayDelete && claim.DeletionTimestamp == nil && mark.HoldsUnder(e.lock.UID) && !refuted(e, mark) && e.now.Sub(mark.Time.Time).Abs() > markLasts
}

// awaitsMark reports whether a claim has no mark that holds under the lock.
func awaitsMark(e *evidence, claim *corev1.PersistentVolumeClaim) bool {
	mark := e.markOn(claim)
	return claim.DeletionTimestamp == nil && (!mark.HoldsUnder(e.lock.UID) || refuted(e, mark))
}

// restIsNew reports whether every claim whose mark doesn't hold was created under the present lock. A StatefulSet that wants
// the ordinal back creates new claims while the drained ones are deleted; no pod can have used those, and the drained ones
// must not be left among them. Any other unmarked claim is drained before one of its ordinal is deleted.
func restIsNew(e *evidence) bool {
	return !slices.ContainsFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool {
		return !holds(e, &claim) && !claim.CreationTimestamp.After(e.lock.CreationTimestamp.Time)
	})
}

// released reports whether claims were written to in order to release the lock. Nothing is deleted under it any more: no
// second write would make a deletion fail that hangs.
func released(e *evidence) bool {
	return slices.ContainsFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool {
		mark := claims.ParseMark(&claim)
		return mark != nil && mark.ReleasedUID == e.lock.UID
	})
}

// expected returns what the operator asked for when it created the ordinal's Job.
func (e *evidence) expected() proof.Expected {
	want := proof.Expected{Proof: drainv1alpha1.ProofReceipt, Receipt: Receipt(e.job.Name)}
	if e.Policy.Spec.Proof == drainv1alpha1.ProofExitCode && e.job.Annotations[drainv1alpha1.ProofAnnotation] == string(drainv1alpha1.ProofExitCode) {
		// Not for a Job that was created before: its template was not checked for what lets the kubelet end it.
		want.Proof = drainv1alpha1.ProofExitCode
	}
	containers := e.job.Spec.Template.Spec.Containers
	if !e.edited(e.job) && e.TemplateHash != "" {
		containers = e.Template.Spec.Containers
	}
	for i := range containers {
		want.Containers = append(want.Containers, containers[i].Name)
	}
	for i := range e.claims {
		want.Claims = append(want.Claims, e.claims[i].Name)
	}
	return want
}

// changedPod returns why a drain pod that is about to be ungated could not be believed, or "".
func (e *evidence) changedPod() string {
	if e.run.gated == nil || e.run.alive || e.run.succeeded {
		return ""
	}
	if problems := proof.Job(e.job); len(problems) > 0 {
		return fmt.Sprintf("a webhook changed Job %q: %s", e.job.Name, problems[0])
	}
	if problems := proof.Pod(&e.run.gated.Spec, e.expected()); len(problems) > 0 {
		return fmt.Sprintf("a webhook or a LimitRange changed pod %q: %s", e.run.gated.Name, problems[0])
	}
	return ""
}

// doubt returns why the success of a complete Job is not believed, whatever Kubernetes reports of its claims, or "".
func (e *evidence) doubt() string {
	doubt := "the pod that succeeded is gone"
	for i := range e.pods {
		if pod := &e.pods[i]; metav1.IsControlledBy(pod, e.job) && pod.Status.Phase == corev1.PodSucceeded {
			if doubt = proof.Doubt(pod, e.expected()); doubt == "" {
				break
			}
		}
	}
	if doubt != "" {
		return doubt
	}
	if e.user != nil {
		return fmt.Sprintf("pod %q uses a claim of the ordinal and may have written to it since", e.user.Name)
	}
	for i := range e.claims {
		claim := &e.claims[i]
		if markExpired(e, claim) {
			return e.sayMarkExpired(claim)
		}
		if mark := claims.ParseMark(claim); awaitsMark(e, claim) && mark != nil && mark.JobUID == e.job.UID {
			return fmt.Sprintf("a pod used claim %q after it was marked as drained by Job %q", claim.Name, e.job.Name)
		}
	}
	return ""
}

// usedAfterMark returns a claim that the attempt in the lock's memory drained, and that a pod used after it was marked, or may have;
// nil if there is none.
func (e *evidence) usedAfterMark() *corev1.PersistentVolumeClaim {
	for i := range e.claims {
		mark := claims.ParseMark(&e.claims[i])
		if mark != nil && string(mark.JobUID) == e.lock.Annotations[drainv1alpha1.JobAnnotation] && mark.Attempts == e.last.Number && !holds(e, &e.claims[i]) {
			return &e.claims[i]
		}
	}
	return nil
}

// usedLate returns which claim a pod may have used after the Job had ended, in words, or "": it became unused long after the
// last pod of the Job did. Both times are the kube-controller-manager's. It may take as much longer as looks have shown the claim
// unused meanwhile. Where it is late each time, each attempt allows it twice as long, so that no drain is repeated forever.
func (e *evidence) usedLate() string {
	latest := finished(e.job).LastTransitionTime.Add(doubled(unusedLag, e.last.Late) + e.watched())
	for i := range e.claims {
		claim := &e.claims[i]
		if since, known := claims.UnusedSince(claim); awaitsMark(e, claim) && known && since != nil && since.After(latest) {
			return fmt.Sprintf("a pod used claim %q after Job %q had ended, or the kube-controller-manager was late to report that none did", claim.Name, e.job.Name)
		}
	}
	return ""
}

// markWithin returns how long after the Job's end, or after the last look that showed the claims unused, they can be marked so that they may be
// deleted. A pod that comes and goes later than that may leave no trace. It is longer only where Kubernetes reports uses, and does so late.
func (e *evidence) markWithin() time.Duration { return markLasts + doubled(unusedLag, e.late()) }

// tooLateToDelete reports whether that time is over, so that a mark which is written now is no reason to delete a claim.
func (e *evidence) tooLateToDelete() bool { return e.now.Sub(e.lastLook()).Abs() > e.markWithin() }

// markLate returns that claims which are to be deleted could not be marked in time, or "". A report that has not come yet is waited for first.
func (e *evidence) markLate() string {
	if !e.mayDelete || e.unreported() != nil || !e.tooLateToDelete() || !slices.ContainsFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool { return awaitsMark(e, &claim) }) {
		return ""
	}
	return fmt.Sprintf("the claims were not marked as drained within %.0f s of the end of Job %q, so a pod may have used one since; find what kept the operator from it, what refuses the mark, or whose clock is wrong",
		e.markWithin().Seconds(), e.job.Name)
}

// markTime returns the time that a mark is to name. Claims that are kept can be marked late, and spec.whenDrained can change under the lock:
// such a mark is too old from the start for a deletion.
func (e *evidence) markTime() time.Time {
	if e.tooLateToDelete() {
		return e.lastLook()
	}
	return e.now
}

// doubled returns what is allowed for a report that came too late some times in a row: twice as long after each, up to maxUnusedLag.
func doubled(lag time.Duration, late int32) time.Duration {
	for i := int32(0); i < late && lag < maxUnusedLag; i++ {
		lag *= 2
	}
	return min(lag, maxUnusedLag)
}

// whyUsed returns what may keep Kubernetes from reporting a claim as unused.
func whyUsed(claim *corev1.PersistentVolumeClaim) string {
	if claim.Status.Phase == corev1.ClaimLost {
		return "the claim has lost its volume"
	}
	return "if that takes minutes, the kube-controller-manager is down, or its feature gate PersistentVolumeClaimUnusedSinceTime was switched off; the claim's condition Unused is stale then, and must be removed"
}

// voidSince returns the mark of an ordinal that was drained, and which only the StatefulSet's generation makes void, or a use that
// Kubernetes has reported since; nil if there is none, or if its delay is over.
func (e *evidence) voidSince() *claims.Mark {
	for i := range e.claims {
		claim := &e.claims[i]
		mark := claims.ParseMark(claim)
		if mark == nil || holds(e, claim) || mark.StatefulSetUID != e.Target.UID {
			continue
		}
		fits := e.Target.Exists() && mark.Generation != 0 || !e.Target.Exists() && mark.Absent
		if fits && !e.planner.ahead(mark.Time.Time) && e.now.Before(e.drainedAgainAt(mark)) {
			return mark
		}
	}
	return nil
}

// maxRepeats bounds Mark.Repeats: the delays that it stands for have reached their limits long before.
const maxRepeats = 20

// repeats returns what the next mark on a claim is to say of the drains before: one more, if the present mark would hold, had
// Kubernetes not reported a use of the claim since the lock was released.
func (e *evidence) repeats(claim *corev1.PersistentVolumeClaim) int32 {
	mark := claims.ParseMark(claim)
	if mark == nil || mark.ReleasedUID == "" || e.markOn(claim) != nil {
		return 0
	}
	if holding := mark.HoldsAt(e.Target.UID, e.Target.Generation) || !e.Target.Exists() && mark.HoldsAbsent(e.Target.UID); !holding {
		// It may have been in range since, and used by its own pod.
		return 0
	}
	return min(mark.Repeats, maxRepeats-1) + 1
}

// drainedAgainAt returns when an ordinal with such a mark is drained again. It must be, because it may have been in range in between;
// something that changes the StatefulSet again and again must not drain it again and again.
func (e *evidence) drainedAgainAt(mark *claims.Mark) time.Time {
	return mark.Time.Add(Backoff(e.Policy.Spec.Retry, max(0, min(mark.Repeats, maxRepeats))+1))
}

// staying returns the claims that are not being deleted.
func staying(list []corev1.PersistentVolumeClaim) []corev1.PersistentVolumeClaim {
	return slices.DeleteFunc(slices.Clone(list), func(claim corev1.PersistentVolumeClaim) bool { return claim.DeletionTimestamp != nil })
}

// firstStaying returns the first claim that is not being deleted, or nil.
func firstStaying(list []corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	for i := range list {
		if list[i].DeletionTimestamp == nil {
			return &list[i]
		}
	}
	return nil
}

// terminating returns the name of a claim that is being deleted, or "".
func terminating(e *evidence) string {
	for i := range e.claims {
		if e.claims[i].DeletionTimestamp != nil {
			return e.claims[i].Name
		}
	}
	return ""
}

// lostClaim returns a claim that has lost its volume, or nil.
func lostClaim(e *evidence) *corev1.PersistentVolumeClaim {
	for i := range e.claims {
		if e.claims[i].Status.Phase == corev1.ClaimLost {
			return &e.claims[i]
		}
	}
	return nil
}

// missing returns the name of a claim that the ordinal should have and hasn't, or "".
func (e *evidence) missing() string {
	for _, name := range e.Target.ClaimNames(e.number) {
		if !slices.ContainsFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == name }) {
			return name
		}
	}
	return ""
}

// skipped returns the name of a claim that asks to be left alone, or "".
func skipped(e *evidence) string {
	for i := range e.claims {
		if e.claims[i].Annotations[drainv1alpha1.SkipAnnotation] == "true" {
			return e.claims[i].Name
		}
	}
	return ""
}

func claimNames(list []corev1.PersistentVolumeClaim) string {
	names := make([]string, 0, len(list))
	for i := range list {
		names = append(names, list[i].Name)
	}
	return strings.Join(names, ", ")
}
