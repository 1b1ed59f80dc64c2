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

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// decide returns where an ordinal stands and the step to take now. worthSaying is false for
// an ordinal that nobody needs to hear of.
func (p *planner) decide(o *ordinal) (drain Drain, worthSaying bool) {
	d := Drain{
		Ordinal: o.number, InRange: o.inRange, Claims: o.claims, Lock: o.lock,
		Job: o.job, Attempts: o.attempt, Outcome: newestOutcome(o.pods),
	}
	if o.lock != nil {
		d.Attempts = max(d.Attempts, attemptUnder(o.lock).Number)
	}
	if !o.inRange && len(o.claims) > 0 {
		d.OrphanedSince = p.orphanedSince(o)
	}
	held := p.marked(o)
	if len(held) > 0 {
		d.Mark = claims.ReadMark(&held[0])
		d.Outcome = cmp.Or(d.Outcome, d.Mark.Outcome)
	}
	switch {
	case p.stopStrays(o, &d), p.letClaimsGo(o, &d):
		worthSaying = true
	case o.lock != nil:
		p.decideLocked(o, &d)
		worthSaying = true
	default:
		worthSaying = p.decideUnlocked(o, &d)
	}
	if d.Next.Kind == "" && d.RetryAfter == 0 && slices.ContainsFunc(o.pods, hanging) {
		// Nothing in the cluster changes any more when a node is gone; only the time does.
		d.RetryAfter = recheck
	}
	p.age(&d, o)
	return d, worthSaying
}

// stopStrays deals with whatever runs on the ordinal's claims without being the Job of the
// present lock, before anything else is done about the ordinal.
func (p *planner) stopStrays(o *ordinal, d *Drain) bool {
	all := o.others
	if o.job != nil {
		all = append(slices.Clone(all), *o.job)
	}
	for i := range all {
		if all[i].DeletionTimestamp != nil {
			if finished(&all[i]) != nil && p.Policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete && len(p.marked(o)) == len(o.claims) {
				// It has ended well, and goes so that its claims can.
				d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonDeletingClaims, "%s", cmp.Or(d.Outcome, "Drained; waiting until the pods of Job "+all[i].Name+" are gone"))
				return true
			}
			d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "Job %q is being deleted; waiting until its pods are gone%s", all[i].Name, p.whichHangs(o))
			return true
		}
	}
	for i := range o.others {
		if finished(&o.others[i]) == nil {
			if p.noteUse(o, d) {
				return true
			}
			d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "Job %q runs without the lock or on other claims than the ordinal has now; stopping it", o.others[i].Name)
			d.Next = deleteJob(&o.others[i])
			return true
		}
	}
	for i := range o.pods {
		pod := &o.pods[i]
		if terminal(pod) || (o.job != nil && finished(o.job) == nil && metav1.IsControlledBy(pod, o.job)) {
			continue
		}
		if o.job != nil && finished(o.job) == nil && !o.controls(pod) {
			// No Job is started beside a drain pod, so this pod only bears the labels. It is a user of the claims, and is seen
			// as one when the Job has ended.
			continue
		}
		if p.noteUse(o, d) {
			return true
		}
		if pod.DeletionTimestamp == nil && (orphaned(pod) || o.controls(pod)) {
			// Its success would be worth nothing, and without its Job nothing else tells it to end.
			d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "Drain pod %q has no Job that is under way; deleting it", pod.Name)
			d.Next = Step{Kind: DeletePod, Pod: pod}
			return true
		}
		d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "Waiting for drain pod %q on node %q, whose Job is over, to terminate%s", pod.Name, pod.Spec.NodeName, p.ifNodeIsDown(pod))
		return true
	}
	return false
}

// noteUse writes down that a pod that no Job of the ordinal controls uses its claims, before that pod is told to end: on
// the marks, which are void then, or on the lock, for a Job whose success would still be believed.
func (p *planner) noteUse(o *ordinal, d *Drain) bool {
	if p.user(o) == nil {
		return false
	}
	if p.voidIfUsed(o, p.marked(o), d) {
		return true
	}
	if o.lock == nil || o.job == nil || finished(o.job) == nil {
		return false
	}
	failure := p.failure(o)
	if failure == nil || remembered(o, failure) {
		return false
	}
	d.say(drainv1alpha1.DrainFailed, failure.Reason, "Attempt %d failed: %s", failure.Number, failure.Why)
	d.Next = Step{Kind: NoteAttempt, Note: failure}
	return true
}

// letClaimsGo deletes what is left of past drains and holds a claim that is being deleted. The
// claim can't go before it does, and until it is gone the StatefulSet's pod can't start.
func (p *planner) letClaimsGo(o *ordinal, d *Drain) bool {
	claim := terminating(o)
	if claim == "" || !leftover(o, d) {
		return false
	}
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "Claim %q is being deleted; deleting what is left of a drain and holds it", claim)
	return true
}

// leftover chooses a finished Job of the past, or an ended pod whose Job was deleted without it,
// to be deleted next: a pod holds its claims for as long as it exists, a completed one too.
func leftover(o *ordinal, d *Drain) bool {
	if len(o.others) > 0 {
		d.Next = deleteJob(&o.others[0])
		return true
	}
	for i := range o.pods {
		if pod := &o.pods[i]; terminal(pod) && pod.DeletionTimestamp == nil && metav1.GetControllerOf(pod) == nil {
			d.Next = Step{Kind: DeletePod, Pod: pod}
			return true
		}
	}
	return false
}

// decideUnlocked is the part of the evidence without a lock.
func (p *planner) decideUnlocked(o *ordinal, d *Drain) bool {
	if o.inRange || len(o.claims) == 0 || p.Rival != "" || p.Policy.DeletionTimestamp != nil {
		return false
	}
	held := p.marked(o)
	kept := len(held) == len(o.claims)
	if kept {
		d.say(drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept, "%s", cmp.Or(d.Outcome, "The claims are drained and kept"))
		if p.voidIfUsed(o, held, d) {
			return true
		}
		if marks := p.carried(held); len(marks) > 0 {
			d.Next = Step{Kind: RenewMarks, Marks: marks}
			return true
		}
		if p.Policy.Spec.WhenDrained != drainv1alpha1.WhenDrainedDelete {
			return true
		}
		// They are to be deleted by now, and are drained once more for that, under a lock.
	}
	asked := *d
	if p.unasked(o, &asked) || p.awaitPreflight(o, &asked) || p.unarmed(&asked) || p.awaitAge(&asked) || p.awaitMark(o, &asked) || p.awaitReplicas(&asked) {
		if !kept {
			*d = asked
		}
		d.RetryAfter = asked.RetryAfter
		return true
	}
	if p.awaitController(d) || p.awaitOthers(o, d) {
		return true
	}
	if p.awaitTurn(d) {
		return true
	}
	p.locked = append(p.locked, o.number)
	if d.State != drainv1alpha1.DrainDrained {
		d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonStarting, "About to take the lock")
	}
	d.Next = Step{Kind: TakeLock}
	return true
}

// decideLocked is the part of the evidence with a lock.
func (p *planner) decideLocked(o *ordinal, d *Drain) {
	failure := p.failure(o)
	if o.job != nil && finished(o.job) == nil {
		p.watchJob(o, failure, d)
		return
	}
	held := p.marked(o)
	succeeded := o.job != nil && failure == nil && o.attempt >= attemptUnder(o.lock).Number
	deleting := p.deletes(o)
	switch {
	case len(o.claims) == 0:
		p.release(o, d, "The claims are gone")
	case succeeded && p.unmarked(o) && (deleting || !o.inRange):
		p.mark(o, d)
	case o.job != nil && len(held) < len(o.claims) && terminating(o) != "":
		d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "Claim %q is being deleted, and not by the operator; deleting Job %q, whose pod holds it", terminating(o), o.job.Name)
		d.Next = deleteJob(o.job)
	case deleting && len(held) > 0 && p.restIsNew(o):
		p.dispose(o, held, d)
	case len(held) == len(o.claims), succeeded:
		// Kept and back in range: a mark would hold no longer than the lock.
		p.release(o, d, cmp.Or(d.Outcome, "The claims are drained and kept"))
	case failure != nil:
		p.retry(o, failure, d)
	default:
		p.start(o, d)
	}
}

// deletes reports whether claims may be deleted under the ordinal's lock.
func (p *planner) deletes(o *ordinal) bool {
	return p.Policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete && p.Policy.DeletionTimestamp == nil &&
		o.lock.DeletionTimestamp == nil && skipped(o) == "" && !released(o)
}

// released says whether claims were written to in order to release the lock. Nothing is deleted
// under it any more: no second write would make a deletion fail that hangs.
func released(o *ordinal) bool {
	return slices.ContainsFunc(o.claims, func(claim corev1.PersistentVolumeClaim) bool {
		mark := claims.ParseMark(&claim)
		return mark != nil && mark.ReleasedUID == o.lock.UID
	})
}

// release is the last step of every drain, whether it succeeded or is given up. Claims that are
// kept are written to first: a deletion that was decided under this lock and hangs, in a slow
// webhook or a manager that lost its lease, then fails on their resourceVersion.
func (p *planner) release(o *ordinal, d *Drain, why string) {
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonReleasingLock, "%s", why)
	d.Next = Step{Kind: ReleaseLock}
	var kept []ClaimMark
	used := p.user(o) != nil
	for i := range o.claims {
		mark := claims.ParseMark(&o.claims[i])
		if mark == nil || mark.ReleasedUID == o.lock.UID || o.claims[i].DeletionTimestamp != nil {
			continue
		}
		if used {
			*mark = mark.Void()
		}
		kept = append(kept, ClaimMark{Claim: o.claims[i], Mark: mark.Release(o.lock.UID)})
	}
	if len(kept) > 0 {
		d.Next = Step{Kind: ReleaseMarks, Marks: kept}
	}
}

func (d *Drain) say(state drainv1alpha1.DrainState, reason, format string, args ...any) {
	d.State, d.Reason, d.Message = state, reason, fmt.Sprintf(format, args...)
}
