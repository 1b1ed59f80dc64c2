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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// markedByAnother gives a claim the mark of a version whose marks can't be read: a field may limit what the others say.
func markedByAnother(claim *corev1.PersistentVolumeClaim) {
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.DrainedAnnotation,
		`{"claimUID":"`+string(claim.UID)+`","lockUID":"`+string(lockUID(2))+`","job":"past-job","attempts":1,"time":null,"onlyHalf":true}`)
}

// notedByAnother gives a lock the note of a version whose notes can't be read.
func notedByAnother(lock *corev1.Pod) {
	metav1.SetMetaDataAnnotation(&lock.ObjectMeta, drainv1alpha1.AttemptAnnotation, `{"number":1,"asked":null,"doubt":"a pod used the claim"}`)
}

// deletionNotedByAnother gives a lock a note of deletions that can't be read.
func deletionNotedByAnother(lock *corev1.Pod) {
	metav1.SetMetaDataAnnotation(&lock.ObjectMeta, drainv1alpha1.DeletingAnnotation, `[{"name":"data-web-2"}]`)
}

// ofAnotherRole gives a lock the role that a later version may give to its locks.
func ofAnotherRole(lock *corev1.Pod) { lock.Labels[drainv1alpha1.RoleLabel] = "shared-lock" }

func TestDecideAboutWhatAnotherVersionWrote(t *testing.T) {
	draining := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, reason, build...)
	}
	marked := func(change ...func(*corev1.Pod)) func(*world) {
		return func(w *world) { w.claim("data", 2, markedByAnother); w.lock(2, change...) }
	}
	noted := func(change ...func(*corev1.Pod)) func(*world) {
		return func(w *world) { w.claim("data", 2); w.lock(2, change...) }
	}
	through := func(w *world) { w.through(2, 1) }
	decide(t, map[string]decision{
		"an ordinal whose mark can't be read is drained": wants(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonStarting,
			func(w *world) { w.claim("data", 2, markedByAnother) }).next("TakeLock"),
		"a mark that can't be read deletes nothing, also under its lock": draining(drainv1alpha1.ReasonMarkingClaims,
			marked(deletionNoted), deleteClaims).says(`claim "data-web-2" can't be read`).next("VoidMark"),
		"a success beside a mark that can't be read is void: the mark may say so": draining(drainv1alpha1.ReasonMarkingClaims,
			marked(), through, deleteClaims).next("VoidMark").checked(func(t *testing.T, w *world, d *Drain) {
			t.Helper()
			step := as[WriteMark](d.Next)
			if step.Mark.JobUID != w.Jobs[0].UID || step.Mark.ClaimUID != w.Claims[0].UID || step.Mark.HoldsUnder(lockUID(2)) {
				t.Errorf("the mark is to be %s, want one that makes Job %q void", step.Mark, w.Jobs[0].UID)
			}
		}),
		"the void mark that takes its place is a doubt about that success": wants(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonNotProven,
			noted(), through, func(w *world) {
				markedBy(claims.Mark{JobUID: w.Jobs[0].UID})(&w.Claims[0])
			}).next("NoteAttempt"),
		"a mark that can't be read is replaced while the Job runs": draining(drainv1alpha1.ReasonMarkingClaims,
			marked(), func(w *world) { w.job(2, 1, jobReady) }).next("VoidMark"),
		"a claim that is being deleted keeps its mark": draining(drainv1alpha1.ReasonReleasingLock,
			func(w *world) { w.claim("data", 2, markedByAnother, claimTerminating); w.lock(2) }).next("DeleteLock"),
		"a lock whose note can't be read is given up although its Job succeeded: the note may say that it failed": draining(
			drainv1alpha1.ReasonReleasingLock, noted(notedByAnother), through).says("can't be read").next("DeleteLock"),
		"a lock whose note can't be read from the start is not taken again in haste": wants(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonLockRefused,
			noted(notedByAnother, bornJustNow)).says("can't be read").after(29 * time.Second),
		"a young lock whose note can't be read is released when the ordinal is back in range": draining(drainv1alpha1.ReasonReleasingLock,
			noted(notedByAnother, bornJustNow), scaledUp).next("DeleteLock"),
		"a lock whose note of deletions can't be read is given up": draining(drainv1alpha1.ReasonReleasingLock,
			noted(deletionNotedByAnother), through, deleteClaims).says("can't be read").next("DeleteLock"),
		"a Job under a lock whose note can't be read is stopped first": draining(drainv1alpha1.ReasonStoppingJob,
			noted(notedByAnother), func(w *world) { w.job(2, 1, jobReady); w.drainPod(2, running) }).next("DeleteJob"),
		"claims that were marked under such a lock are written to, and are not drained, before it is released": draining(
			drainv1alpha1.ReasonReleasingLock, func(w *world) {
				w.claim("data", 2, markedUnder(2))
				w.lock(2, notedByAnother)
			}).next("ReleaseMark").checked(func(t *testing.T, _ *world, d *Drain) {
			t.Helper()
			if step := as[WriteMark](d.Next); step.Mark.HoldsAt(setUID, 4) || step.Mark.ReleasedUID != lockUID(2) {
				t.Errorf("the mark is to be %s, want a void one that names the lock", step.Mark)
			}
		}),
		"a lock that names an attempt without a possible successor is given up": draining(drainv1alpha1.ReasonReleasingLock,
			noted(attempted(Attempt{Number: 1<<31 - 1}))).says("can't be read").next("DeleteLock"),
		"a lock that names an attempt with a negative number is given up": draining(drainv1alpha1.ReasonReleasingLock,
			noted(attempted(Attempt{Number: -3}))).says("can't be read").next("DeleteLock"),
		"a lock of another kind stands, although the policy is its controller": wants(drainv1alpha1.DrainWaiting,
			drainv1alpha1.ReasonPodStillExists, noted(ofAnotherRole)).after(recheck),
		"a lock of another kind stands also when its policy is being deleted": {given: all(deleted, noted(ofAnotherRole)), wantSilent: true},
	})
}

// TestAWrongClockDelaysNothing holds that what a manager wrote whose clock was ten years ahead is put right by those whose clock is right.
func TestAWrongClockDelaysNothing(t *testing.T) {
	const wrong = 10 * 365 * 24 * time.Hour
	ahead := metav1.NewTime(now.Add(wrong))
	writtenAhead := func(w *world) { w.Policy.Status = new(Make(w.snapshot(), now.Add(wrong))).Status(w.Policy, ahead) }
	for name, c := range map[string]struct {
		given *world
		want  string
	}{
		"a failed attempt": {given(func(w *world) {
			w.claim("data", 2)
			w.lock(2, attempted(failedAttempt(1, -wrong)), ungatedJob)
		}), "StartJob"},
		"an attempt whose Job vanished": {given(func(w *world) {
			w.claim("data", 2)
			w.lock(2, attempted(Attempt{Number: 1, Asked: ahead, TemplateHash: hash}))
		}), "StartJob"},
		"a mark that is void by the generation": {given(func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{ReleasedUID: "past-lock", StatefulSetUID: setUID, Generation: 1}), markedAgo(-wrong))
		}), "TakeLock"},
		"since when the ordinal is out of range": {given(orphan, writtenAhead, func(w *world) {
			if w.Policy.Status.Drains[0].OrphanedTime.Time != now.Add(wrong) {
				panic("the status is not of the wrong clock")
			}
		}), "TakeLock"},
		"when the StatefulSet shrank": {given(orphan, writtenAhead, func(w *world) { w.Policy.Status.Drains = nil }), "TakeLock"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Make(c.given.snapshot(), now)
			d := plan.Drain(2)
			if StepName(d.Next) != c.want {
				t.Errorf("rule %s, step %q: %s; want %s", d.Rule, StepName(d.Next), d.Message, c.want)
			}
			if last := plan.Observed.LastScaleDownTime; last.After(now) {
				t.Errorf("the status is to say that the StatefulSet shrank at %s", last)
			}
		})
	}
	t.Run("since when it waits", func(t *testing.T) {
		w := given(orphan, func(w *world) { w.StatefulSet.Status.ReadyReplicas = 0 }, writtenAhead)
		if plan := Make(w.snapshot(), now); plan.Drain(2).Since.Time != now {
			t.Errorf("the ordinal waits since %s, want %s", plan.Drain(2).Since, now)
		}
	})
}
