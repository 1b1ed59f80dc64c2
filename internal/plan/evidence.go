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
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// evidence is what the cluster shows about one ordinal. It is computed once, before the first rule is tried, and no rule
// changes it.
type evidence struct {
	// planner is what is the same for every ordinal.
	*planner

	number  int32
	inRange bool
	claims  []corev1.PersistentVolumeClaim
	// marks are those on the claims, in the same order; nil where there is none.
	marks []*claims.Mark
	lock  *corev1.Pod
	// job is that of the latest attempt under the lock; others are all other Jobs.
	job     *batchv1.Job
	attempt int32
	others  []batchv1.Job
	// pods are the drain pods, whatever Job they are of, the oldest first.
	pods []corev1.Pod

	// ahead are the ordinals that have a lock, or take one before this ordinal may, the highest first.
	ahead []int32
	// namesake is the pod with the name of the ordinal's own, be it the StatefulSet's, a lock or another, or nil.
	namesake *corev1.Pod
	// user is a pod that uses a claim of the ordinal, other than those of its Jobs, or nil.
	user *corev1.Pod
	// going is a Job of the ordinal that is being deleted, or nil.
	going *batchv1.Job
	// stray is an unfinished Job that is not the lock's on the claims of today, or nil.
	stray *batchv1.Job
	// strayPod is a drain pod that has not ended and whose Job is not under way, or nil.
	strayPod *corev1.Pod
	// ownerlessJob and ownerlessPod run under a lock whose policy is gone, and have no controller: nothing else stops them.
	ownerlessJob *batchv1.Job
	ownerlessPod *corev1.Pod
	// endedPod is a drain pod that has ended and whose Job was deleted without it, or nil.
	endedPod *corev1.Pod

	// last is what the lock remembers of the latest attempt; its Number is 0 without one.
	last Attempt
	// unread says that what the lock remembers can't be read. Another version of the operator may have written it.
	unread bool
	// run is what the pods of the Job say together.
	run jobPods
	// failure is how the latest attempt failed, or nil while it is open or has succeeded; noted says that the lock
	// remembers it.
	failure *Attempt
	noted   bool
	// succeeded says that the Job is complete, the latest attempt, and believed.
	succeeded bool

	// mayDelete says that claims may be deleted under the lock.
	mayDelete bool
	// held are the claims whose mark holds.
	held []corev1.PersistentVolumeClaim
	// outcome is what the drain said last.
	outcome string

	// needed and surplus are of no ordinal, but of the policy as a whole: whether it must stay, and the finished Jobs that
	// are not kept for their logs.
	needed  bool
	surplus []batchv1.Job
}

// observe computes what follows from the objects of the ordinal.
func (e *evidence) observe(p *planner) {
	e.planner = p
	e.inRange = p.Target.InRange(e.number)
	e.user = p.userOf(e)
	e.namesake = p.named[p.Target.PodName(e.number)]
	if e.lock != nil {
		var attempts, deletions bool
		e.last, attempts = attemptUnder(e.lock)
		_, deletions = readDeletionNote(e.lock)
		e.unread = !attempts || !deletions
		e.mayDelete = p.Policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete && p.Policy.DeletionTimestamp == nil &&
			e.lock.DeletionTimestamp == nil && skipped(e) == "" && !released(e)
	}
	for i := range e.claims {
		e.marks = append(e.marks, claims.ReadMark(&e.claims[i]))
		if holds(e, &e.claims[i]) {
			e.held = append(e.held, e.claims[i])
		}
	}
	if e.job != nil {
		e.run = e.podsOfJob()
	}
	if e.lock != nil {
		e.failure = failure(e)
		e.noted = e.failure != nil && e.last.Number == e.failure.Number && e.last.Failed != nil
	}
	e.succeeded = e.job != nil && finished(e.job) != nil && e.failure == nil && e.attempt >= e.last.Number
	e.findStrays()
	if e.strayPod == nil && e.phase() == locked {
		e.strayPod = e.bare()
	}
	e.outcome = newestOutcome(e.pods)
	if len(e.held) > 0 {
		e.outcome = cmp.Or(e.outcome, e.markOn(&e.held[0]).Outcome)
	}
}

// markOn returns the mark on a claim of the ordinal, or nil.
func (e *evidence) markOn(claim *corev1.PersistentVolumeClaim) *claims.Mark {
	for i := range e.marks {
		if e.claims[i].Name == claim.Name {
			return e.marks[i]
		}
	}
	return claims.ReadMark(claim)
}

// findStrays finds whatever runs on the ordinal's claims without being the Job of the present lock.
func (e *evidence) findStrays() {
	jobs := e.others
	if e.job != nil {
		jobs = append(slices.Clone(jobs), *e.job)
	}
	for i := range jobs {
		if jobs[i].DeletionTimestamp != nil && e.going == nil {
			e.going = &jobs[i]
		}
	}
	for i := range e.others {
		if finished(&e.others[i]) == nil && e.stray == nil {
			e.stray = &e.others[i]
		}
	}
	for i := range e.pods {
		pod := &e.pods[i]
		if terminal(pod) {
			if e.endedPod == nil && pod.DeletionTimestamp == nil && orphaned(pod) {
				e.endedPod = pod
			}
			continue
		}
		// A pod that only bears the labels beside a Job under way is a user of the claims, and is seen as one when the Job
		// has ended: no Job is started beside a drain pod. One that has its gate still would never end, and the Job's pod would
		// wait for it.
		stuck := orphaned(pod) && awaitsLock(pod)
		user := !e.controls(pod) && !stuck
		if open := e.job != nil && finished(e.job) == nil; open && (metav1.IsControlledBy(pod, e.job) || user) {
			continue
		}
		if e.strayPod == nil {
			e.strayPod = pod
		}
	}
}

// bare returns the pod that was let run last under the lock, if it uses the claims still and no Job of the ordinal is its owner; or nil. It may
// have lost its labels, too.
func (e *evidence) bare() *corev1.Pod {
	for i := range e.claims {
		for _, pod := range e.users[e.claims[i].Name] {
			if string(pod.UID) == e.lock.Annotations[drainv1alpha1.PodAnnotation] && !e.controls(pod) {
				return pod
			}
		}
	}
	return nil
}

// phase returns which part of the protocol the ordinal is in.
func (e *evidence) phase() phase {
	switch {
	case e.lock == nil:
		return unlocked
	case e.job != nil && finished(e.job) == nil:
		return underway
	}
	return locked
}

// controls reports whether a Job of the ordinal that has a controller, the policy, is a pod's.
func (e *evidence) controls(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(pod)
	return owner != nil && (e.job != nil && e.job.UID == owner.UID ||
		slices.ContainsFunc(e.others, func(job batchv1.Job) bool { return job.UID == owner.UID && !orphaned(&job) }))
}

// userOf returns a pod that uses a claim of the ordinal, other than those of the ordinal's Jobs. A drain pod that lost its
// Job is a user too: any pod can bear the operator's labels.
func (p *planner) userOf(e *evidence) *corev1.Pod {
	for i := range e.claims {
		for _, pod := range p.users[e.claims[i].Name] {
			if !e.controls(pod) {
				return pod
			}
		}
	}
	return nil
}

// claimOf returns the name of the claim that a volume is of, or "". That of a generic ephemeral volume is named after the pod
// (kubernetes/component-helpers, ephemeral.VolumeClaimName).
func claimOf(pod *corev1.Pod, volume *corev1.Volume) string {
	switch {
	case volume.PersistentVolumeClaim != nil:
		return volume.PersistentVolumeClaim.ClaimName
	case volume.Ephemeral != nil:
		return pod.Name + "-" + volume.Name
	}
	return ""
}

// The rest is what the rules ask of the evidence.

func always(*evidence) bool { return true }

// busy reports whether something runs, or may come to run, without a lock.
func (e *evidence) busy() bool {
	return slices.ContainsFunc(e.others, func(job batchv1.Job) bool { return finished(&job) == nil }) ||
		slices.ContainsFunc(e.pods, func(pod corev1.Pod) bool { return !terminal(&pod) })
}

func noFinalizer(e *evidence) bool {
	return e.Policy.DeletionTimestamp == nil && !slices.Contains(e.Policy.Finalizers, drainv1alpha1.PolicyFinalizer)
}

func noFinalizerKept(e *evidence) bool { return noFinalizer(e) && kept(e) }

func noFinalizerBusy(e *evidence) bool { return noFinalizer(e) && (e.lock != nil || e.busy()) }

func going(e *evidence) bool { return e.going != nil }

func drainedJobGoing(e *evidence) bool {
	return e.going != nil && finished(e.going) != nil && e.Policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete && len(e.claims) > 0 && kept(e)
}

// unprovenByUse reports whether a use of the claims that this look shows makes a success prove nothing, and the lock does not
// remember that.
func unprovenByUse(e *evidence) bool { return e.user != nil && e.job != nil && unnoted(e) }

func strayJob(e *evidence) bool { return e.stray != nil }

func strayPod(e *evidence) bool { return e.strayPod != nil }

func endableStrayPod(e *evidence) bool {
	return e.strayPod != nil && e.strayPod.DeletionTimestamp == nil && (orphaned(e.strayPod) || e.controls(e.strayPod)) &&
		!bared(e.strayPod) // The operator's rights end with its labels.
}

// bared reports whether a pod has lost the labels by which the caches hold it.
func bared(pod *corev1.Pod) bool { return pod.Labels[drainv1alpha1.PolicyUIDLabel] == "" }

// untilBareLook returns the time after which to look again at a stray pod that the caches don't hold, because it lost its labels; else 0.
func (e *evidence) untilBareLook() time.Duration {
	if bared(e.strayPod) {
		return soon(e)
	}
	return 0
}

func jobHoldsGoingClaim(e *evidence) bool {
	return terminating(e) != "" && len(e.others) > 0 && !moreToDelete(e)
}

func podHoldsGoingClaim(e *evidence) bool {
	return terminating(e) != "" && e.endedPod != nil && !moreToDelete(e)
}

// moreToDelete reports whether one drained claim of the ordinal is left to delete, or more. Marks last for a minute only, so what holds the claims
// that are being deleted can wait: without its other claims, one that is left could not be drained again.
func moreToDelete(e *evidence) bool { return e.phase() == locked && !e.unread && disposableClaim(e) }

// usedMarked reports whether a claim whose mark holds, and which is to stay, is used by a pod. The claims' Unused condition makes
// such a mark void by itself where Kubernetes reports it, but late, and not at all for a pod that is gone when Kubernetes
// looks.
func usedMarked(e *evidence) bool { return e.user != nil && firstStaying(e.held) != nil }

// unreadMark returns a claim that is to stay and whose mark can't be read, or nil.
func (e *evidence) unreadMark() *corev1.PersistentVolumeClaim {
	for i := range e.claims {
		if claim := &e.claims[i]; claim.DeletionTimestamp == nil && claims.Unreadable(claim) {
			return claim
		}
	}
	return nil
}

func unreadMark(e *evidence) bool { return e.unreadMark() != nil }

func unreadLock(e *evidence) bool { return e.unread }

// unreadLockYoung reports whether such a lock would be released and taken again in haste by something that changes each one.
func unreadLockYoung(e *evidence) bool {
	return e.unread && !e.inRange && !policyDeleted(e) && !lockGoing(e) && e.untilUnreadRelease() > 0
}

// untilUnreadRelease returns the time after which a lock is released whose memory can't be read.
func (e *evidence) untilUnreadRelease() time.Duration {
	return e.lock.CreationTimestamp.Add(Backoff(e.Policy.Spec.Retry, 1)).Sub(e.now)
}

func backInRange(e *evidence) bool { return e.inRange }

func noClaims(e *evidence) bool { return len(e.claims) == 0 }

func policyDeleted(e *evidence) bool { return e.Policy.DeletionTimestamp != nil }

func lockGoing(e *evidence) bool { return e.lock != nil && e.lock.DeletionTimestamp != nil }

func outranked(e *evidence) bool { return e.Rival != "" }

// misfit reports whether the lock that was just made, or that nothing was done under yet, lacks what makes it one.
func misfit(e *evidence) bool {
	if e.lock != nil {
		return LockLacks(e.lock, e.Policy.UID) != "" && (e.lock.UID == e.Made || !orphaned(e.lock)) && e.job == nil && e.last.Number == 0 && e.lock.Annotations[drainv1alpha1.JobAnnotation] == ""
	}
	return e.namesake != nil && (e.namesake.UID == e.Made || controls(e.Policy.UID, e.namesake) && !ofLaterFormat(e.namesake))
}

// ofLaterFormat reports whether a pod has a role that is not known. It may be a lock of another version of the operator, and what runs
// under it may not be known either. So it stands until something else removes it.
func ofLaterFormat(pod *corev1.Pod) bool {
	role, has := pod.Labels[drainv1alpha1.RoleLabel]
	return has && role != drainv1alpha1.RoleLock && role != drainv1alpha1.RoleDrain
}

// stillBusy returns what runs, or may come to run, under a lock whose policy is gone, or "".
func (e *evidence) stillBusy() string {
	for i := range e.others {
		if finished(&e.others[i]) == nil {
			return fmt.Sprintf("Job %q", e.others[i].Name)
		}
	}
	for i := range e.pods {
		if !terminal(&e.pods[i]) {
			return fmt.Sprintf("drain pod %q", e.pods[i].Name)
		}
	}
	return ""
}

func stillBusy(e *evidence) bool { return e.stillBusy() != "" }

func hasOwnerlessJob(e *evidence) bool { return e.ownerlessJob != nil }

func hasOwnerlessPod(e *evidence) bool { return e.ownerlessPod != nil }

func policyNeeded(e *evidence) bool { return e.needed }

func hasFinalizer(e *evidence) bool {
	return slices.Contains(e.Policy.Finalizers, drainv1alpha1.PolicyFinalizer)
}

func surplus(e *evidence) bool { return len(e.surplus) > 0 }

// A Job that is under way.

func notStartedInRange(e *evidence) bool { return e.inRange && !e.run.started }

func cancelled(e *evidence) bool {
	return e.inRange && e.Policy.Spec.WhenScaledUp == drainv1alpha1.WhenScaledUpCancel
}

func suspendedInRange(e *evidence) bool {
	return e.inRange && ptr.Deref(e.job.Spec.Suspend, false) && !e.run.alive && !e.run.succeeded
}

// rerunClaim returns the first claim that bears the mark of another Job under this lock, or nil: the creation of this one hung until that one
// had succeeded and was gone. In a look that took long, the lock can be older than the Job. Such a mark need not hold.
func (e *evidence) rerunClaim() *corev1.PersistentVolumeClaim {
	for i := range e.claims {
		claim := &e.claims[i]
		mark := e.markOn(claim)
		if mark.HoldsUnder(e.lock.UID) && mark.JobUID != e.job.UID && !refuted(e, mark) && claim.DeletionTimestamp == nil {
			return claim
		}
	}
	return nil
}

func rerun(e *evidence) bool { return e.rerunClaim() != nil }

func rerunNotStarted(e *evidence) bool { return rerun(e) && !e.run.started }

// claimGoingUnmounted reports whether a claim is being deleted on which the kubelet starts no pod, also no further one after
// one that failed. It restarts the containers of one that has started.
func claimGoingUnmounted(e *evidence) bool {
	return terminating(e) != "" && !e.run.running && !e.run.succeeded
}

// lockGoingIdle reports whether the lock is being deleted and nothing runs under it. No further pod is ungated under such a
// lock. In a namespace that is being deleted, none could be made either: Kubernetes deletes the pods first, and waits until
// all are gone.
func lockGoingIdle(e *evidence) bool { return lockGoing(e) && !e.run.alive && !e.run.succeeded }

func editedNotStarted(e *evidence) bool { return e.edited(e.job) && !e.run.started }

func unnoted(e *evidence) bool { return e.failure != nil && !e.noted }

func attemptFailed(e *evidence) bool { return e.failure != nil }

// lateJob reports whether the Job was created at a time at which it could have been created before: it may have been, and
// deleted as soon as it was. The lock then remembers when it was created, so that it isn't created again with haste.
func lateJob(e *evidence) bool {
	created := e.job.CreationTimestamp
	switch {
	case e.last.Number == e.attempt:
		return e.last.Failed == nil && e.last.Asked.Time.Before(created.Time)
	case e.last.Number > e.attempt:
		return false
	case e.last.Failed != nil:
		return !created.Time.Before(e.last.Failed.Add(Backoff(e.Policy.Spec.Retry, e.last.Number) + askAgain))
	}
	return !created.Time.Before(e.lock.CreationTimestamp.Add(askAgain))
}

// mayUngate reports whether a pod of the Job is the next to run. One pod at a time does: the next one only when the last has
// ended, and none once one has succeeded.
func mayUngate(e *evidence) bool {
	return e.run.gated != nil && !e.run.alive && !e.run.succeeded && e.lock.DeletionTimestamp == nil && !ptr.Deref(e.job.Spec.Suspend, false)
}

func mayUngateUsed(e *evidence) bool { return mayUngate(e) && e.user != nil }

func mayUngateUnnoted(e *evidence) bool {
	noted := e.lock.Annotations
	return mayUngate(e) && (noted[drainv1alpha1.JobAnnotation] != string(e.job.UID) || noted[drainv1alpha1.PodAnnotation] != string(e.run.gated.UID))
}

// A drain that has succeeded.

// unmarked reports whether claims await the marks of a success. Where they are kept and the ordinal is back in range, a
// mark would hold no longer than the lock.
func unmarked(e *evidence) bool {
	return e.succeeded && (e.mayDelete || !e.inRange) &&
		slices.ContainsFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool {
			return claim.DeletionTimestamp == nil && !holds(e, &claim)
		})
}

// unmarkedBehind reports whether the mark of claims that are to be kept can't name the StatefulSet's generation yet. Those that are to be deleted
// need none, and the operator would not look at the pods meanwhile.
func unmarkedBehind(e *evidence) bool {
	return unmarked(e) && !e.mayDelete && e.Target.Excludes(e.number) && !policyDeleted(e) && behind(e)
}

// unmarkedInUse reports whether Kubernetes does not report a claim as unused yet.
func unmarkedInUse(e *evidence) bool { return unmarked(e) && e.unreported() != nil }

// unmarkedSeenUnused reports whether a look at this time extends the chain of those that show the claims unused since the Job
// ended, or begins it. A pod that uses one is a doubt, and the attempt has failed then.
func unmarkedSeenUnused(e *evidence) bool {
	if !unmarkedInUse(e) || e.looks() >= maxLooks {
		return false
	}
	passed := e.lookedAt().Sub(e.lastLook())
	return passed >= e.lookEvery() && passed <= unusedLag
}

// lookedAt returns when the look began that the evidence is from. What the caches show asks for a look now.
func (e *evidence) lookedAt() time.Time {
	if e.Taken.IsZero() {
		return e.now
	}
	return e.Taken.Time
}

// lastLook returns when a look last showed the claims unused. Before the first one, it is the end of the Job. That is by the
// kube-controller-manager's clock, so it only decides when a look is worth a write.
func (e *evidence) lastLook() time.Time {
	if e.looks() > 0 {
		return e.last.SeenUnused.Time
	}
	return finished(e.job).LastTransitionTime.Time
}

// lookEvery returns how long after that the next look follows.
func (e *evidence) lookEvery() time.Duration {
	if e.looks() > 0 {
		return lookAgain
	}
	return lookFirst
}

// looks returns how many looks have shown the claims unused since the Job ended, in a chain.
func (e *evidence) looks() int32 {
	from, seen := e.last.UnusedFrom, e.last.SeenUnused
	if e.last.Number != e.attempt || from == nil || seen == nil || seen.Before(from) {
		return 0
	}
	return e.last.Looks
}

// watched returns for how long looks have shown the claims unused, by the operator's clock. If a manager with another clock took over in
// between, it is wrong by the difference.
func (e *evidence) watched() time.Duration {
	if e.looks() == 0 {
		return 0
	}
	return e.last.SeenUnused.Sub(e.last.UnusedFrom.Time)
}

// seenUnused returns the attempt as the lock is to remember it, with a look that showed the claims unused. Times are in whole
// seconds there: the first look is not remembered as earlier than it was, and the last not as later.
func (e *evidence) seenUnused() Attempt {
	this := e.open()
	this.Looks = e.looks() + 1
	this.SeenUnused = ptr.To(metav1.NewTime(e.lookedAt().UTC().Truncate(time.Second)))
	if this.UnusedFrom = e.last.UnusedFrom; this.Looks == 1 {
		this.UnusedFrom = ptr.To(metav1.NewTime(e.lookedAt().UTC().Add(time.Second - 1).Truncate(time.Second)))
		this.SeenUnused = this.UnusedFrom
	}
	return this
}

// untilLook returns the time after which to look again at claims that Kubernetes does not report as unused.
func (e *evidence) untilLook() time.Duration {
	// The first look is remembered as up to a second later than it was.
	if due := e.lastLook().Add(e.lookEvery()).Sub(e.now); due > 0 && due <= lookAgain+time.Second && e.looks() < maxLooks {
		return due
	}
	return soon(e)
}

func unmarkedUnwanted(e *evidence) bool { return unmarkedInUse(e) && (e.inRange || policyDeleted(e)) }

// unreported returns a claim that awaits its mark and that Kubernetes does not report as unused, or nil.
func (e *evidence) unreported() *corev1.PersistentVolumeClaim {
	for i := range e.claims {
		if _, known := claims.UnusedSince(&e.claims[i]); awaitsMark(e, &e.claims[i]) && !known {
			return &e.claims[i]
		}
	}
	return nil
}

// unmarkedUnnoticed reports whether the report of the drain's own use of a claim is still to come. One that comes after the mark
// makes it void. A use that was so short that the kube-controller-manager missed it is never reported. An end that is yet to come
// means that the clocks differ, and nothing is known.
func unmarkedUnnoticed(e *evidence) bool {
	if !unmarked(e) || e.unnoticed() == nil || e.inRange || policyDeleted(e) {
		return false
	}
	ended := finished(e.job).LastTransitionTime.Time
	return !e.now.Before(ended) && e.now.Before(e.noticedBy())
}

// unnoticed returns a claim that awaits its mark and has been reported as unused since before the drain pod ended, or nil. The
// first time is the kube-controller-manager's, and the second the kubelet's: if their clocks differ, a mark is late by
// noticeLag, or the report is not waited for.
func (e *evidence) unnoticed() *corev1.PersistentVolumeClaim {
	for i := range e.claims {
		since, _ := claims.UnusedSince(&e.claims[i])
		if awaitsMark(e, &e.claims[i]) && since != nil && since.Time.Before(e.run.ended) {
			return &e.claims[i]
		}
	}
	return nil
}

// lag returns how late Kubernetes is, or was, to report a claim as unused after the Job had ended; 0 if that is not known. Where it has
// reported, both times are the kube-controller-manager's.
func (e *evidence) lag() (lag time.Duration) {
	if e.job == nil || finished(e.job) == nil {
		return 0
	}
	ended := finished(e.job).LastTransitionTime.Time
	if e.now.Sub(ended) > lagShown {
		return 0
	}
	for i := range e.claims {
		since, known := claims.UnusedSince(&e.claims[i])
		switch {
		case !known:
			lag = max(lag, e.now.Sub(ended))
		case since != nil && !e.planner.ahead(since.Time):
			lag = max(lag, since.Sub(ended))
		}
	}
	return min(lag, unusedLag)
}

// noticedBy returns the time until which a report of the drain's own use is waited for: longer by how late Kubernetes is elsewhere, and
// twice as long after each report that came too late. The operator doesn't look at the pods meanwhile, so it is no longer than a report that comes
// is believed.
func (e *evidence) noticedBy() time.Time {
	late := e.late()
	return finished(e.job).LastTransitionTime.Add(min(doubled(noticeLag, late)+e.Lag, doubled(unusedLag, late)))
}

// late returns after how many drains in a row Kubernetes was too late to report that the claims are unused.
func (e *evidence) late() int32 {
	late := e.last.Late
	for i := range e.claims {
		late = max(late, e.repeats(&e.claims[i]))
	}
	return late
}

func undrainedClaimGoing(e *evidence) bool {
	return e.job != nil && len(e.held) < len(e.claims) && terminating(e) != ""
}

// disposable reports whether drained claims are to be deleted, and every claim of the ordinal that may hold data is drained.
func disposable(e *evidence) bool { return e.mayDelete && len(e.held) > 0 && restIsNew(e) }

func disposableJob(e *evidence) bool { return disposable(e) && e.job != nil }

func disposableClaim(e *evidence) bool { return disposable(e) && firstStaying(e.held) != nil }

// disposableUnnoted reports whether the lock does not remember yet which versions of the claims are to be deleted.
func disposableUnnoted(e *evidence) bool {
	note := deletionNoteOn(e.lock)
	return disposable(e) && slices.ContainsFunc(staying(e.held), func(claim corev1.PersistentVolumeClaim) bool { return !note.has(&claim) })
}

func through(e *evidence) bool { return e.succeeded || len(e.held) == len(e.claims) }

// Claims that are drained and kept, without a lock.

func kept(e *evidence) bool { return len(e.held) == len(e.claims) }

// revivable returns the first claim that is to stay and whose mark is not void, or nil. The mark need not hold: one that names an older
// generation holds again when a renewal arrives that hung.
func (e *evidence) revivable() *corev1.PersistentVolumeClaim {
	for i := range e.claims {
		claim := &e.claims[i]
		if mark := e.markOn(claim); claim.DeletionTimestamp == nil && mark != nil && !mark.IsVoid() {
			return claim
		}
	}
	return nil
}

// usedByOther reports whether a pod uses a claim that is neither of the ordinal's Jobs nor the StatefulSet's own for the ordinal. While that
// one was to be there, the generation went on by more than one, so no renewal that was decided before holds after it. Any other pod can name
// the StatefulSet as its owner, and the StatefulSet controller ignores it.
func (e *evidence) usedByOther() bool {
	return slices.ContainsFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool {
		return slices.ContainsFunc(e.users[claim.Name], func(pod *corev1.Pod) bool {
			owner := metav1.GetControllerOfNoCopy(pod)
			return !e.controls(pod) && (owner == nil || owner.UID != e.Target.UID || pod.Name != e.Target.PodName(e.number))
		})
	})
}

// usedOrphan reports whether a claim whose mark holds is used, or by another pod one whose mark may hold again, of an orphan that this
// policy drains.
func usedOrphan(e *evidence) bool {
	used := usedMarked(e) || !e.inRange && e.usedByOther() && e.revivable() != nil
	return used && !outranked(e) && !policyDeleted(e)
}

// keptBehind reports whether a mark names another generation than the StatefulSet's present one. It is renewed before the
// next one comes.
func keptBehind(e *evidence) bool { return kept(e) && e.outdated() != nil }

// outdated returns the first claim of those whose marks name another generation, or nil. One that is being deleted has no next time: a pod
// that uses it makes its mark void no more, so it is not renewed either.
func (e *evidence) outdated() *corev1.PersistentVolumeClaim {
	for i := range e.held {
		claim := &e.held[i]
		if claim.DeletionTimestamp == nil && e.Target.Exists() && e.markOn(claim).Generation != e.Target.Generation {
			return claim
		}
	}
	return nil
}

func keptForGood(e *evidence) bool {
	return kept(e) && e.Policy.Spec.WhenDrained != drainv1alpha1.WhenDrainedDelete
}

// keptForNow reports whether claims that are drained and kept are to be deleted by now, and can't be drained once more for
// that yet, under a lock. Without all of its claims the ordinal never can, and a person has to know.
func keptForNow(e *evidence) bool {
	return kept(e) && !claimMissing(e) && (anyOf(unasked)(e) || notAccepted(e) || young(e) || drainedBefore(e) || fewReplicas(e))
}

// unasked is why no drain of an orphan starts, whatever the time and the replicas.
var unasked = []func(*evidence) bool{
	skippedClaim, setGoingDrain, noSet, scaledRetain, neverBound, ambiguous, claimMissing, claimGoing, claimLost,
}

func anyOf(conditions []func(*evidence) bool) func(*evidence) bool {
	return func(e *evidence) bool {
		return slices.ContainsFunc(conditions, func(applies func(*evidence) bool) bool { return applies(e) })
	}
}

// Whether a drain is asked for.

func skippedClaim(e *evidence) bool { return skipped(e) != "" }

func setGoingDrain(e *evidence) bool {
	return e.Target.Deleting && e.Policy.Spec.WhenDeleted == drainv1alpha1.WhenDeletedDrain
}

func noSet(e *evidence) bool {
	return !e.drainsDeleted() && !e.Target.Stands()
}

func scaledRetain(e *evidence) bool {
	return !e.drainsDeleted() && e.Policy.Spec.WhenScaled == drainv1alpha1.WhenScaledRetain
}

func neverBound(e *evidence) bool {
	return !slices.ContainsFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool { return !unbound(&claim) })
}

// unbound reports whether a claim never had a volume.
func unbound(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeName == "" && claim.Status.Phase == corev1.ClaimPending
}

// ambiguous reports whether claims of the StatefulSet may be another one's. Those of the ordinal that seem to be missing may
// be among them.
func ambiguous(e *evidence) bool { return e.ready.Reason == drainv1alpha1.ReasonAmbiguousClaims }

func claimMissing(e *evidence) bool { return e.missing() != "" }

func claimGoing(e *evidence) bool { return terminating(e) != "" }

func claimLost(e *evidence) bool { return lostClaim(e) != nil }

func notAccepted(e *evidence) bool { return e.accepted().Status != metav1.ConditionTrue }

// notAsked reports whether all that keeps a drain from starting is that the API server was not asked about the template and
// the StatefulSet as this look sees them: one of them changed after the preflight. It is asked with the next reconcile, which
// the change brings about, so a lock is kept for as long.
func notAsked(e *evidence) bool {
	return !e.asked() && e.accepted().Reason == drainv1alpha1.ReasonPreflightFailed
}

// Attempts.

func failedNotAsked(e *evidence) bool { return e.failure != nil && notAsked(e) }

func failedNotAccepted(e *evidence) bool { return e.failure != nil && notAccepted(e) }

// failedUnedited reports whether the template is that of the attempt that failed. One that can't be read is none.
func failedUnedited(e *evidence) bool {
	return e.failure != nil && (e.TemplateHash == "" || e.failure.TemplateHash == e.TemplateHash)
}

func exhausted(e *evidence) bool {
	most := e.Policy.Spec.Retry.MaxAttempts
	return failedUnedited(e) && most != nil && e.failure.Number >= *most
}

func backingOff(e *evidence) bool { return failedUnedited(e) && e.now.Before(e.due()) }

func failedInUse(e *evidence) bool { return e.failure != nil && e.user != nil }

func inUse(e *evidence) bool { return e.user != nil }

// vanished reports whether the Job was created a moment ago and is gone.
func vanished(e *evidence) bool {
	return e.last.Number == e.next() && e.last.Failed == nil && !e.planner.ahead(e.last.Asked.Time) && e.now.Before(e.last.Asked.Add(askAgain))
}

// Before the lock is taken.

func young(e *evidence) bool { return e.now.Before(e.oldEnough()) }

func drainedBefore(e *evidence) bool { return e.voidSince() != nil }

func fewReplicas(e *evidence) bool {
	return e.remaining() < ptr.Deref(e.Policy.Spec.MinReadyReplicas, 1)
}

// behind reports whether the StatefulSet controller may still act on a spec from before the present one, and make a pod for
// the ordinal once its name is free.
func behind(e *evidence) bool { return e.Target.Behind() }

func lockOfAnother(e *evidence) bool {
	return e.namesake != nil && e.namesake.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock
}

func podExists(e *evidence) bool { return e.namesake != nil }

// lockRefused reports whether the status says that the lock was refused a moment ago. A webhook that changes the lock would
// otherwise have the operator create and delete it as fast as it hears of that.
func lockRefused(e *evidence) bool { return e.untilLock() > 0 }

func noSlot(e *evidence) bool {
	return len(e.ahead) >= int(ptr.Deref(e.Policy.Spec.MaxConcurrentDrains, 1))
}
