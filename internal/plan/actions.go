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
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// action makes the step of a rule from the evidence that the rule applies to.
type action struct {
	// step is what it makes, for tables.
	step string
	of   func(*evidence) Step
}

var (
	addFinalizer       = &action{"AddFinalizer", func(e *evidence) Step { return AddFinalizer{e.Policy} }}
	removeFinalizer    = &action{"RemoveFinalizer", func(e *evidence) Step { return RemoveFinalizer{e.Policy} }}
	takeLock           = &action{"TakeLock", func(e *evidence) Step { return TakeLock{e.number} }}
	startJob           = &action{"StartJob", func(e *evidence) Step { return StartJob{e.jobName(e, e.next()), e.number, e.next(), e.lock.UID} }}
	noteOpen           = &action{"NoteAttempt", (*evidence).noteOpen}
	noteFailure        = &action{"NoteAttempt", func(e *evidence) Step { return NoteAttempt{Lock: e.lock, Attempt: *e.failure} }}
	noteJob            = &action{"NoteJob", func(e *evidence) Step { return NoteJob{e.lock, e.job.UID, e.run.gated.UID, e.open()} }}
	noteUnused         = &action{"NoteUnused", func(e *evidence) Step { return NoteUnused{e.lock, e.seenUnused()} }}
	noteDeletion       = &action{"NoteDeletion", func(e *evidence) Step { return NoteDeletion{e.lock, deletionNoteOn(e.lock).with(staying(e.held))} }}
	ungatePod          = &action{"UngatePod", func(e *evidence) Step { return UngatePod{e.run.gated} }}
	deleteJob          = &action{"DeleteJob", func(e *evidence) Step { return DeleteJob{Job: e.job} }}
	deleteStrayJob     = &action{"DeleteJob", func(e *evidence) Step { return DeleteJob{Job: e.stray} }}
	disposeOfJob       = &action{"DisposeOfJob", func(e *evidence) Step { return DeleteJob{Job: e.job, Ended: true} }}
	disposeOfOldJob    = &action{"DisposeOfJob", func(e *evidence) Step { return DeleteJob{Job: &e.others[0], Ended: true} }}
	deleteSurplus      = &action{"DeleteJob", func(e *evidence) Step { return DeleteJob{Job: &e.surplus[0]} }}
	deleteOwnerlessJob = &action{"DeleteJob", func(e *evidence) Step { return DeleteJob{Job: e.ownerlessJob} }}
	deleteOwnerlessPod = &action{"DeletePod", func(e *evidence) Step { return DeletePod{e.ownerlessPod} }}
	deleteStrayPod     = &action{"DeletePod", func(e *evidence) Step { return DeletePod{e.strayPod} }}
	deleteEndedPod     = &action{"DeletePod", func(e *evidence) Step { return DeletePod{e.endedPod} }}
	deleteClaim        = &action{"DeleteClaim", func(e *evidence) Step { return DeleteClaim{*firstStaying(e.held)} }}
	markClaim          = &action{"MarkClaim", (*evidence).mark}
	renewMark          = &action{"RenewMark", (*evidence).renew}
	voidMark           = &action{"VoidMark", func(e *evidence) Step { return e.void(firstStaying(e.held)) }}
	voidKept           = &action{"VoidMark", func(e *evidence) Step { return e.void(e.revivable()) }}
	voidRerun          = &action{"VoidMark", func(e *evidence) Step { return e.void(e.rerunClaim()) }}
	voidUnread         = &action{"VoidMark", (*evidence).voidUnread}
	release            = &action{"release", func(e *evidence) Step { return e.release(e.lock, e.user != nil || e.unread) }}
	releaseVoid        = &action{"release", func(e *evidence) Step { return e.release(e.lock, true) }}
	discard            = &action{"DeleteLock, RemoveLockFinalizer", (*evidence).discard}
)

// noteOpen has the lock remember the attempt that its Job is. If it remembers a Job of the same attempt, that one was deleted, and this one's
// creation hung: the lock goes on remembering that a pod may have run.
func (e *evidence) noteOpen() Step {
	return NoteAttempt{Lock: e.lock, Attempt: e.open(), New: e.last.Number != e.attempt}
}

// mark records on the first claim that awaits it that the claim was drained.
func (e *evidence) mark() Step {
	i := slices.IndexFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool { return awaitsMark(e, &claim) })
	claim := e.claims[i]
	since, _ := claims.UnusedSince(&claim)
	mark := claims.Mark{
		ClaimUID: claim.UID, LockUID: e.lock.UID, JobUID: e.job.UID, UnusedSince: since,
		Job: e.job.Name, Attempts: e.attempt, Repeats: e.repeats(&claim),
		Time: metav1.NewTime(e.markTime()), Outcome: e.outcome,
	}
	switch {
	case !e.Target.Exists():
		mark.Absent, mark.StatefulSetUID = true, e.Target.UID
	case e.Target.Excludes(e.number) && !behind(e):
		mark.StatefulSetUID, mark.Generation = e.Target.UID, e.Target.Generation
	}
	return WriteMark{MarkClaim, claim, mark}
}

// renew carries the first mark that names another generation on to the StatefulSet's present one.
func (e *evidence) renew() Step {
	claim := e.outdated()
	mark := *e.markOn(claim)
	mark.Generation = e.Target.Generation
	return WriteMark{RenewMark, *claim, mark}
}

// void makes the mark on a claim void.
func (e *evidence) void(claim *corev1.PersistentVolumeClaim) Step {
	return WriteMark{VoidMark, *claim, e.voided(e.markOn(claim))}
}

// voidUnread takes the place of a mark that can't be read: it may say that the success of the present Job is void.
func (e *evidence) voidUnread() Step {
	claim := e.unreadMark()
	return WriteMark{VoidMark, *claim, e.voided(unread(claim))}
}

// unread returns a mark that says nothing of a claim whose mark can't be read.
func unread(claim *corev1.PersistentVolumeClaim) *claims.Mark {
	return &claims.Mark{ClaimUID: claim.UID}
}

// voided returns a mark that is void, and names the Job whose success the same use makes void: that of the present lock, if
// there is one, which may be another than the one that the mark was written for.
func (e *evidence) voided(mark *claims.Mark) claims.Mark {
	void := mark.Void()
	if e.job != nil {
		void.Job, void.JobUID = e.job.Name, e.job.UID
	}
	return void
}

// release makes the next write of a release, the last part of every drain, whether it succeeded or is given up. Claims that
// are kept are written to first: a deletion that was decided under this lock and hangs, in a slow webhook or a manager that
// lost its lease, then fails on their resourceVersion.
func (e *evidence) release(lock *corev1.Pod, void bool) Step {
	if lock == nil {
		return nil
	}
	kept := slices.Concat(e.claims, e.notedElsewhere(lock))
	for i := range kept {
		claim := &kept[i]
		mark := claims.ParseMark(claim)
		if claims.Unreadable(claim) {
			mark = unread(claim)
		}
		if mark == nil || mark.ReleasedUID == lock.UID || claim.DeletionTimestamp != nil {
			continue
		}
		if void {
			*mark = e.voided(mark)
		}
		return WriteMark{ReleaseMark, *claim, mark.Release(lock.UID)}
	}
	if lock.DeletionTimestamp == nil {
		return DeleteLock{lock}
	}
	return RemoveLockFinalizer{lock}
}

// notedElsewhere returns the claims that a deletion under a lock was noted of and that are the ordinal's no more: the
// StatefulSet was created again with other claim templates or another selector, for example. A deletion of one may hang.
func (e *evidence) notedElsewhere(lock *corev1.Pod) []corev1.PersistentVolumeClaim {
	note := deletionNoteOn(lock)
	var noted []corev1.PersistentVolumeClaim
	for i := range e.Claims {
		own := slices.ContainsFunc(e.claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == e.Claims[i].Name })
		if _, named := note[e.Claims[i].Name]; named && !own {
			noted = append(noted, e.Claims[i])
		}
	}
	return noted
}

// discard makes the next write that removes a lock which protects nothing, or would stay forever.
func (e *evidence) discard() Step {
	if pod := e.namesake; pod.DeletionTimestamp == nil || slices.Contains(pod.Finalizers, drainv1alpha1.LockFinalizer) {
		return e.release(pod, true)
	}
	return nil
}
