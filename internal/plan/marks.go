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
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/proof"
)

// restIsNew says whether every claim whose mark doesn't hold was made under the present lock. A
// StatefulSet that wants the ordinal back makes claims anew while the drained ones go; no pod
// can have used those, and the drained ones must not be left among them. Any other unmarked
// claim is drained before one of its ordinal is deleted.
func (p *planner) restIsNew(o *ordinal) bool {
	for i := range o.claims {
		claim := &o.claims[i]
		if !p.holds(o, claim) && !claim.CreationTimestamp.After(o.lock.CreationTimestamp.Time) {
			return false
		}
	}
	return true
}

// mark decides what to write on the claims of a complete Job whose success is believed.
func (p *planner) mark(o *ordinal, d *Drain) {
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonMarkingClaims, "Job %q is complete; marking its claims as drained", o.job.Name)
	step := Step{Kind: MarkClaims}
	stays := p.staysOut(o)
	if stays && p.Policy.DeletionTimestamp == nil && p.awaitController(d) {
		d.State = drainv1alpha1.DrainDraining
		return
	}
	for i := range o.claims {
		claim := &o.claims[i]
		if !p.awaitsMark(o, claim) {
			continue
		}
		since, known := claims.UnusedSince(claim)
		if !known {
			p.waitUnlessUnwanted(o, d, drainv1alpha1.ReasonMarkingClaims, fmt.Sprintf("Job %q is complete; waiting for Kubernetes to report claim %q as unused (%s)", o.job.Name, claim.Name, whyUsed(claim)))
			return
		}
		mark := claims.Mark{
			ClaimUID: claim.UID, LockUID: o.lock.UID, JobUID: o.job.UID, UnusedSince: since,
			Job: o.job.Name, Attempts: o.attempt, Time: metav1.NewTime(p.now), Outcome: d.Outcome,
		}
		switch {
		case !p.Target.Exists():
			mark.Absent, mark.StatefulSetUID = true, p.Target.UID
		case stays && !p.Target.Behind():
			mark.StatefulSetUID, mark.Generation = p.Target.UID, p.Target.Generation
		}
		step.Marks = append(step.Marks, ClaimMark{Claim: *claim, Mark: mark})
	}
	d.Next = step
}

// whyUsed says what may keep Kubernetes from reporting a claim as unused.
func whyUsed(claim *corev1.PersistentVolumeClaim) string {
	if claim.Status.Phase == corev1.ClaimLost {
		return "the claim has lost its volume"
	}
	return "if that takes minutes, the kube-controller-manager is down, or its feature gate PersistentVolumeClaimUnusedSinceTime was switched off; the claim's condition Unused is stale then, and must be removed"
}

// expected returns what the operator asked for when it made the ordinal's Job.
func (p *planner) expected(o *ordinal) proof.Expected {
	want := proof.Expected{Proof: drainv1alpha1.ProofReceipt, Receipt: Receipt(o.job.Name)}
	if p.Policy.Spec.Proof == drainv1alpha1.ProofExitCode && o.job.Annotations[drainv1alpha1.ProofAnnotation] == string(drainv1alpha1.ProofExitCode) {
		// Not for a Job that was made before: its template was not checked for what lets the kubelet end it.
		want.Proof = drainv1alpha1.ProofExitCode
	}
	containers := o.job.Spec.Template.Spec.Containers
	if !p.edited(o.job) && p.TemplateHash != "" {
		containers = p.Template.Spec.Containers
	}
	for i := range containers {
		want.Containers = append(want.Containers, containers[i].Name)
	}
	for i := range o.claims {
		want.Claims = append(want.Claims, o.claims[i].Name)
	}
	return want
}

// changedPod says why a drain pod that is about to be ungated could not be believed, or "".
func (p *planner) changedPod(o *ordinal) string {
	pods := p.podsOfJob(o)
	if pods.gated == nil || pods.alive || pods.succeeded {
		return ""
	}
	if problems := proof.Job(o.job); len(problems) > 0 {
		return fmt.Sprintf("a webhook changed Job %q: %s", o.job.Name, problems[0])
	}
	if problems := proof.Pod(&pods.gated.Spec, p.expected(o)); len(problems) > 0 {
		return fmt.Sprintf("a webhook or a LimitRange changed pod %q: %s", pods.gated.Name, problems[0])
	}
	return ""
}

// doubt says why the success of a complete Job is not believed, whatever Kubernetes reports of its claims, or "".
func (p *planner) doubt(o *ordinal) string {
	pods := podsOf(o)
	doubt := "the pod that succeeded is gone"
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodSucceeded {
			if doubt = proof.Doubt(&pods[i], p.expected(o)); doubt == "" {
				break
			}
		}
	}
	if doubt != "" {
		return doubt
	}
	if user := p.user(o); user != nil {
		return fmt.Sprintf("pod %q uses a claim of the ordinal and may have written to it since", user.Name)
	}
	for i := range o.claims {
		claim := &o.claims[i]
		if mark := claims.ParseMark(claim); p.awaitsMark(o, claim) && mark != nil && mark.JobUID == o.job.UID {
			return fmt.Sprintf("a pod used claim %q after it was marked as drained by Job %q", claim.Name, o.job.Name)
		}
	}
	return ""
}

// awaitsMark reports whether a claim of a complete Job has no mark that holds under the lock.
func (p *planner) awaitsMark(o *ordinal, claim *corev1.PersistentVolumeClaim) bool {
	mark := claims.ReadMark(claim)
	return claim.DeletionTimestamp == nil && (!mark.HoldsUnder(o.lock.UID) || refuted(o, mark))
}

// usedLate says which claim a pod may have used after the Job had ended, or "": it became unused long after the last pod
// of the Job did. Both times are the kube-controller-manager's. Where that is late each time, each attempt allows it
// twice as long, so that no drain is repeated for ever.
func (p *planner) usedLate(o *ordinal, late int32) string {
	lag := unusedLag
	for i := int32(0); i < late && lag < maxUnusedLag; i++ {
		lag *= 2
	}
	latest := finished(o.job).LastTransitionTime.Add(min(lag, maxUnusedLag))
	for i := range o.claims {
		claim := &o.claims[i]
		if since, known := claims.UnusedSince(claim); p.awaitsMark(o, claim) && known && since != nil && since.After(latest) {
			return fmt.Sprintf("a pod used claim %q after Job %q had ended, or the kube-controller-manager was late to report that none did", claim.Name, o.job.Name)
		}
	}
	return ""
}

// dispose deletes drained claims. Jobs go first, because a pod holds its claims for as long
// as it exists, a completed one too.
func (p *planner) dispose(o *ordinal, held []corev1.PersistentVolumeClaim, d *Drain) {
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonDeletingClaims, "%s", cmp.Or(d.Outcome, "Drained; deleting "+claimNames(held)))
	// The Job of this drain goes last: without it, an earlier attempt's would be the latest, and shown as such.
	if leftover(o, d) {
		return
	}
	if o.job != nil {
		d.Next = deleteJob(o.job)
		return
	}
	if p.voidIfUsed(o, held, d) {
		return
	}
	for i := range held {
		if held[i].DeletionTimestamp == nil {
			d.Next.Delete = append(d.Next.Delete, held[i])
		}
	}
	if len(d.Next.Delete) > 0 {
		d.Next.Kind = DeleteClaims
	}
}

// voidIfUsed voids marks on claims that a pod uses. The claims' Unused condition does that by
// itself where Kubernetes reports it, but late, and not at all for a pod that is gone when
// Kubernetes looks.
func (p *planner) voidIfUsed(o *ordinal, held []corev1.PersistentVolumeClaim, d *Drain) bool {
	user := p.user(o)
	if user == nil {
		return false
	}
	step := Step{Kind: VoidMarks}
	for i := range held {
		if held[i].DeletionTimestamp == nil {
			step.Marks = append(step.Marks, ClaimMark{Claim: held[i], Mark: claims.ReadMark(&held[i]).Void()})
		}
	}
	if len(step.Marks) == 0 {
		return false
	}
	state := drainv1alpha1.DrainWaiting
	if o.lock != nil {
		state = drainv1alpha1.DrainDraining
	}
	d.say(state, drainv1alpha1.ReasonClaimInUse, "Drained, but pod %q uses a claim of it; draining it again when that pod is gone", user.Name)
	d.Next = step
	return true
}

// unmarked says whether a claim that is to stay lacks a mark that holds.
func (p *planner) unmarked(o *ordinal) bool {
	for i := range o.claims {
		claim := &o.claims[i]
		if claim.DeletionTimestamp == nil && !p.holds(o, claim) {
			return true
		}
	}
	return false
}

// terminating returns the name of a claim that is being deleted, or "".
func terminating(o *ordinal) string {
	for i := range o.claims {
		if o.claims[i].DeletionTimestamp != nil {
			return o.claims[i].Name
		}
	}
	return ""
}

// staysOut says whether there is a StatefulSet whose generation shows that the ordinal is out
// of range.
func (p *planner) staysOut(o *ordinal) bool {
	return p.Target.Excludes(o.number)
}

// holds reports whether a claim bears a mark that holds. A claim that may be deleted must have been drained under the lock
// that stands: nothing else excludes for sure that a pod used it since. Without the lock, a pod can come and be gone before
// Kubernetes or the operator looks, which is good enough to keep a claim and not to drain it again.
func (p *planner) holds(o *ordinal, claim *corev1.PersistentVolumeClaim) bool {
	mark := claims.ReadMark(claim)
	if o.lock != nil && mark.HoldsUnder(o.lock.UID) {
		return !refuted(o, mark)
	}
	if o.lock != nil && p.deletes(o) {
		return false
	}
	if !p.Target.Exists() {
		return mark.HoldsAbsent(p.Target.UID)
	}
	return p.staysOut(o) && mark.HoldsAt(p.Target.UID, p.Target.Generation)
}

// refuted reports whether a mark is of an attempt that the lock remembers as failed. A mark that was decided before, and
// hung, lands after that.
func refuted(o *ordinal, mark *claims.Mark) bool {
	last := attemptUnder(o.lock)
	return mark.Attempts < last.Number || mark.Attempts == last.Number && last.Failed != nil
}

// marked returns the claims of the ordinal whose mark holds.
func (p *planner) marked(o *ordinal) (held []corev1.PersistentVolumeClaim) {
	for i := range o.claims {
		if p.holds(o, &o.claims[i]) {
			held = append(held, o.claims[i])
		}
	}
	return held
}

// carried renews the marks that name another generation than the StatefulSet's present one,
// before the next one comes.
func (p *planner) carried(held []corev1.PersistentVolumeClaim) []ClaimMark {
	if !p.Target.Exists() {
		return nil
	}
	var marks []ClaimMark
	for i := range held {
		mark := *claims.ReadMark(&held[i])
		if mark.Generation != p.Target.Generation {
			mark.Generation = p.Target.Generation
			marks = append(marks, ClaimMark{Claim: held[i], Mark: mark})
		}
	}
	return marks
}

func claimNames(list []corev1.PersistentVolumeClaim) string {
	names := make([]string, 0, len(list))
	for i := range list {
		names = append(names, list[i].Name)
	}
	return strings.Join(names, ", ")
}

// waitUnlessUnwanted waits for something that the caches don't show. A scale-up and the end of
// the policy don't wait along: what isn't marked is drained again another time.
func (p *planner) waitUnlessUnwanted(o *ordinal, d *Drain, reason, message string) {
	if o.inRange || p.Policy.DeletionTimestamp != nil {
		p.release(o, d, message)
		return
	}
	d.say(drainv1alpha1.DrainDraining, reason, "%s", message)
	d.RetryAfter = recheck
}
