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
	"math"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

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
	if held := p.marked(o); len(held) > 0 {
		d.Mark = claims.ReadMark(&held[0])
		d.Outcome = cmp.Or(d.Outcome, d.Mark.Outcome)
	}
	switch {
	case p.stopStrays(o, &d):
		worthSaying = true
	case o.lock != nil:
		p.decideLocked(o, &d)
		worthSaying = true
	default:
		worthSaying = p.decideUnlocked(o, &d)
	}
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
			d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "Job %q is being deleted; waiting until its pods are gone", all[i].Name)
			return true
		}
	}
	for i := range o.others {
		if finished(&o.others[i]) == nil {
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
		d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "Drain pod %q of a Job that is over still exists on node %q; waiting until it has ended", pod.Name, pod.Spec.NodeName)
		return true
	}
	return false
}

// decideUnlocked is the part of the evidence without a lock.
func (p *planner) decideUnlocked(o *ordinal, d *Drain) bool {
	if o.inRange || len(o.claims) == 0 || p.Rival != "" || p.Policy.DeletionTimestamp != nil {
		return false
	}
	if held := p.marked(o); len(held) == len(o.claims) {
		d.say(drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept, "%s", cmp.Or(d.Outcome, "The claims are drained and kept"))
		if marks := p.carried(held); len(marks) > 0 {
			d.Next = Step{Kind: MarkClaims, Marks: marks}
			return true
		}
		if p.Policy.Spec.WhenDrained != drainv1alpha1.WhenDrainedDelete || p.ready.Status != metav1.ConditionTrue || skipped(o) != "" {
			return true
		}
	} else if p.unasked(o, d) || p.unarmed(d) || p.awaitReplicas(d) {
		return true
	}
	if p.awaitController(d) || p.awaitOthers(o, d) {
		return true
	}
	if p.free <= 0 {
		d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForSlot, "Waiting for its turn: spec.maxConcurrentDrains is %d, and the highest ordinal goes first", ptr.Deref(p.Policy.Spec.MaxConcurrentDrains, 1))
		return true
	}
	p.free--
	if d.State != drainv1alpha1.DrainDrained {
		d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonStarting, "About to take the lock")
	}
	d.Next = Step{Kind: TakeLock}
	return true
}

// decideLocked is the part of the evidence with a lock.
func (p *planner) decideLocked(o *ordinal, d *Drain) {
	if o.job != nil && finished(o.job) == nil {
		p.watchJob(o, d)
		return
	}
	held := p.marked(o)
	complete := o.job != nil && finished(o.job).Type == batchv1.JobComplete
	deleting := p.Policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete && p.Policy.DeletionTimestamp == nil &&
		o.lock.DeletionTimestamp == nil && skipped(o) == ""
	switch {
	case len(o.claims) == 0:
		p.release(d, "The claims are gone")
	case complete && len(held) < len(o.claims):
		p.mark(o, d)
	case deleting && len(held) > 0 && p.restIsNew(o):
		p.dispose(o, held, d)
	case len(held) == len(o.claims):
		p.release(d, cmp.Or(d.Outcome, "The claims are drained and kept"))
	case o.job != nil:
		p.retry(o, d)
	default:
		p.start(o, d)
	}
}

// watchJob decides about a Job that is under way: stop it, let its pod run, or wait.
func (p *planner) watchJob(o *ordinal, d *Drain) {
	pods := o.podsOfJob()
	if why := p.stopJob(o, pods); why != "" {
		d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "%s; stopping Job %q", why, o.job.Name)
		d.Next = deleteJob(o.job)
		return
	}
	reason, message := p.tellJob(o, pods, d.Outcome)
	d.say(drainv1alpha1.DrainDraining, reason, "%s", message)
	if pods.gated != nil && !pods.alive {
		d.Next = Step{Kind: AdmitPod, JobUID: o.job.UID, Pod: pods.gated}
	}
}

// stopJob says why a Job that is under way must be stopped, or "".
func (p *planner) stopJob(o *ordinal, pods jobPods) (why string) {
	switch {
	case p.Policy.DeletionTimestamp != nil:
		return "The policy is being deleted"
	case o.inRange && !pods.started:
		return "The ordinal is wanted back and the drain pod has not started"
	case o.inRange && p.Policy.Spec.WhenScaledUp == drainv1alpha1.WhenScaledUpCancel:
		return "The ordinal is wanted back and spec.whenScaledUp is Cancel"
	case pods.gated != nil && o.lock.DeletionTimestamp != nil:
		return "The lock is being deleted and the drain pod has not started"
	case !pods.started && o.job.Annotations[drainv1alpha1.TemplateHashAnnotation] != p.TemplateHash:
		return "The template was changed and the drain pod has not started"
	}
	return ""
}

// tellJob says where a Job stands that goes on.
func (p *planner) tellJob(o *ordinal, pods jobPods, outcome string) (reason, message string) {
	switch {
	case o.inRange:
		return drainv1alpha1.ReasonWantedBack, fmt.Sprintf("The ordinal is wanted back; its pod starts when Job %q has ended, because spec.whenScaledUp is Wait", o.job.Name)
	case pods.trouble != "":
		return pods.trouble, pods.message + "; mend it, or edit spec.template and the Job is replaced"
	case ptr.Deref(o.job.Spec.Suspend, false):
		return drainv1alpha1.ReasonPodNotStarted, fmt.Sprintf("Job %q is suspended, by a queueing controller for example", o.job.Name)
	case pods.message != "":
		return drainv1alpha1.ReasonPodNotStarted, pods.message
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
	// started says that a container of some pod has run.
	started bool
	// trouble is the reason for which a person must act, or empty; message is about it, or
	// about what else keeps a pod from running.
	trouble, message string
}

func (o *ordinal) podsOfJob() jobPods {
	pods := jobPods{started: ptr.Deref(o.job.Status.Ready, 0) > 0}
	for i := range o.pods {
		pod := &o.pods[i]
		if !metav1.IsControlledBy(pod, o.job) {
			continue
		}
		pods.started = pods.started || started(pod)
		switch {
		case terminal(pod):
		case !awaitsLock(pod):
			pods.alive = true
		case pods.gated == nil && pod.DeletionTimestamp == nil:
			pods.gated = pod
		}
		if reason, message := trouble(pod); reason != "" {
			pods.trouble, pods.message = reason, message
		} else if message := hindrance(pod); message != "" && pods.trouble == "" {
			pods.message = message
		}
	}
	return pods
}

// mark decides what to write on the claims of a complete Job. A claim that some pod has used
// since the Job ended is drained again instead: it may hold new data.
func (p *planner) mark(o *ordinal, d *Drain) {
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonMarkingClaims, "Job %q is complete; marking its claims as drained", o.job.Name)
	step := Step{Kind: MarkClaims}
	stays := p.staysOut(o)
	if stays && p.Policy.DeletionTimestamp == nil && p.awaitController(d) {
		d.State = drainv1alpha1.DrainDraining
		return
	}
	for i := range o.claims {
		if claims.ReadMark(&o.claims[i]).HoldsUnder(o.lock.UID) {
			continue
		}
		since, known := claims.UnusedSince(&o.claims[i])
		if !known {
			p.waitUnlessUnwanted(o, d, drainv1alpha1.ReasonMarkingClaims, fmt.Sprintf("Job %q is complete; waiting until Kubernetes reports claim %q as unused", o.job.Name, o.claims[i].Name))
			return
		}
		if usedSince(&o.claims[i], o.lock.UID, finished(o.job), since) {
			d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "A pod used claim %q after Job %q had ended; draining it again", o.claims[i].Name, o.job.Name)
			d.Next = deleteJob(o.job)
			return
		}
		mark := claims.Mark{
			ClaimUID: o.claims[i].UID, LockUID: o.lock.UID, UnusedSince: since,
			Job: o.job.Name, Attempts: o.attempt, Time: metav1.NewTime(p.now), Outcome: d.Outcome,
		}
		if stays {
			mark.StatefulSetUID, mark.Generation = p.StatefulSet.UID, p.StatefulSet.Generation
		}
		step.Marks = append(step.Marks, ClaimMark{Claim: o.claims[i], Mark: mark})
	}
	d.Next = step
}

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

// usedSince says whether a pod may have used a claim after its Job ended: a mark of this
// lock was there and holds no more, or the claim became unused long after the last pod of
// the Job did. Both times are the kube-controller-manager's.
func usedSince(claim *corev1.PersistentVolumeClaim, lock types.UID, end *batchv1.JobCondition, since *metav1.Time) bool {
	if mark := claims.ParseMark(claim); mark != nil && mark.LockUID == lock {
		return true
	}
	return since != nil && since.After(end.LastTransitionTime.Add(unusedLag))
}

// dispose deletes drained claims. Jobs go first, because a pod holds its claims for as long
// as it exists, a completed one too.
func (p *planner) dispose(o *ordinal, held []corev1.PersistentVolumeClaim, d *Drain) {
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonDeletingClaims, "%s", cmp.Or(d.Outcome, "Drained; deleting "+claimNames(held)))
	if o.job != nil {
		d.Next = deleteJob(o.job)
		return
	}
	if len(o.others) > 0 {
		d.Next = deleteJob(&o.others[0])
		return
	}
	if user := p.user(o); user != nil {
		p.waitUnlessUnwanted(o, d, drainv1alpha1.ReasonClaimInUse, fmt.Sprintf("Drained, but pod %q uses a claim of it; its deletion waits until that pod is gone", user.Name))
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

// retry decides about a drain whose latest Job failed.
func (p *planner) retry(o *ordinal, d *Drain) {
	failure := finished(o.job)
	said := failure.Message
	if d.Outcome != "" {
		said = d.Outcome
	}
	if why := p.giveUp(o, d); why != "" {
		p.release(d, fmt.Sprintf("%s; Job %q had failed: %s", why, o.job.Name, said))
		return
	}
	edited := o.job.Annotations[drainv1alpha1.TemplateHashAnnotation] != p.TemplateHash
	delay := Backoff(p.Policy.Spec.Retry, o.attempt)
	due := failure.LastTransitionTime.Add(delay)
	limit := ptr.Deref(p.Policy.Spec.Retry.MaxAttempts, math.MaxInt32)
	switch {
	case p.ready.Status != metav1.ConditionTrue:
		d.say(drainv1alpha1.DrainFailed, p.ready.Reason, "Attempt %d failed (%s: %s); no further one starts: %s", o.attempt, failure.Reason, said, p.ready.Message)
	case !edited && o.attempt >= limit:
		d.say(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonAttemptsExhausted, "All %d attempts failed (%s: %s); edit spec.template or raise spec.retry.maxAttempts, and another one starts", o.attempt, failure.Reason, said)
	case !edited && p.now.Before(due):
		d.say(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed, "Attempt %d failed (%s: %s); the next one starts at %s, or at once if spec.template is edited", o.attempt, failure.Reason, said, due.UTC().Format(time.RFC3339))
		d.RetryAfter = due.Sub(p.now)
	default:
		d.say(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed, "Attempt %d failed (%s: %s); starting another one", o.attempt, failure.Reason, said)
		p.startAttempt(o, d, o.attempt+1)
	}
}

// Backoff returns the time between the end of a failed attempt and the start of the next.
func Backoff(retry drainv1alpha1.RetryOptions, attempt int32) time.Duration {
	initial := time.Duration(ptr.Deref(retry.InitialDelaySeconds, 30)) * time.Second
	longest := time.Duration(ptr.Deref(retry.MaxDelaySeconds, 1800)) * time.Second
	delay := initial
	for i := int32(1); i < attempt && delay < longest; i++ {
		delay *= 2
	}
	return min(delay, longest)
}

// giveUp says why a lock without a running Job must be released: no drain of its ordinal is
// wanted, or none can be had.
func (p *planner) giveUp(o *ordinal, d *Drain) (why string) {
	switch {
	case o.inRange:
		return "The ordinal is wanted back and no drain runs"
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
		p.release(d, why)
		return
	}
	if p.unarmed(d) {
		p.release(d, d.Message)
		return
	}
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonLocked, "The lock is held; creating the Job")
	p.startAttempt(o, d, 1)
}

// waitUnlessUnwanted waits for something that the caches don't show. A scale-up and the end of
// the policy don't wait along: what isn't marked is drained again another time.
func (p *planner) waitUnlessUnwanted(o *ordinal, d *Drain, reason, message string) {
	if o.inRange || p.Policy.DeletionTimestamp != nil {
		p.release(d, message)
		return
	}
	d.say(drainv1alpha1.DrainDraining, reason, "%s", message)
	d.RetryAfter = recheck
}

// startAttempt starts a Job unless somebody else uses a claim of the ordinal.
func (p *planner) startAttempt(o *ordinal, d *Drain, attempt int32) {
	if user := p.user(o); user != nil {
		d.say(d.State, drainv1alpha1.ReasonClaimInUse, "Pod %q uses a claim of the ordinal; waiting until it is gone", user.Name)
		d.RetryAfter = recheck
		return
	}
	d.Next = Step{Kind: StartJob, Job: p.jobName(o, attempt), Attempt: attempt}
}

// unasked says why no drain of the ordinal is asked for, or why there can be none.
func (p *planner) unasked(o *ordinal, d *Drain) bool {
	set := p.StatefulSet
	switch {
	case skipped(o) != "":
		d.say(drainv1alpha1.DrainRetained, drainv1alpha1.ReasonSkipped, "Claim %q carries the annotation %s, so the ordinal is left alone", skipped(o), drainv1alpha1.SkipAnnotation)
		return true
	case set == nil || set.DeletionTimestamp != nil:
		d.say(drainv1alpha1.DrainRetained, drainv1alpha1.ReasonStatefulSetNotFound, "The StatefulSet is gone; its claims are kept undrained")
		return true
	case p.Policy.Spec.WhenScaled == drainv1alpha1.WhenScaledRetain:
		d.say(drainv1alpha1.DrainRetained, drainv1alpha1.ReasonWhenScaledRetain, "The claims are kept undrained, because spec.whenScaled is Retain")
		return true
	case p.neverBound(o):
		d.say(drainv1alpha1.DrainRetained, drainv1alpha1.ReasonNeverBound, "The claims never had a volume, so they hold no data")
		return true
	}
	if p.ready.Reason == drainv1alpha1.ReasonAmbiguousClaims {
		// The claims that seem to be missing may be the ambiguous ones.
		return p.unarmed(d)
	}
	if len(o.claims) < len(p.identity.Templates) {
		d.say(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimMissing, "Claim %q does not exist; restore it, or annotate the others with %s: \"true\"", p.missing(o), drainv1alpha1.SkipAnnotation)
		return true
	}
	for i := range o.claims {
		claim := &o.claims[i]
		if claim.DeletionTimestamp != nil {
			d.say(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimTerminating, "Claim %q is being deleted by somebody else, and such a claim can be mounted by no new pod; its data goes with it undrained", claim.Name)
			return true
		}
		if claim.Status.Phase == corev1.ClaimLost {
			d.say(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimLost, "Claim %q has lost its volume; restore the PersistentVolume %q, or annotate the claim with %s: \"true\"", claim.Name, claim.Spec.VolumeName, drainv1alpha1.SkipAnnotation)
			return true
		}
	}
	return false
}

// unarmed says that the policy isn't ready to drain anything.
func (p *planner) unarmed(d *Drain) bool {
	if p.ready.Status == metav1.ConditionTrue {
		return false
	}
	d.say(drainv1alpha1.DrainWaiting, p.ready.Reason, "%s", p.ready.Message)
	return true
}

// awaitController says whether the StatefulSet controller may still act on a spec from before
// the present one, and make a pod for the ordinal once its name is free.
func (p *planner) awaitController(d *Drain) bool {
	if p.StatefulSet.Status.ObservedGeneration >= p.StatefulSet.Generation {
		return false
	}
	d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonStatefulSetNotObserved, "Waiting until the StatefulSet controller has seen generation %d of the StatefulSet", p.StatefulSet.Generation)
	return true
}

// awaitReplicas says whether too few replicas are there to take the data. While a scale-down
// is under way, pods that are about to go still count as ready in the StatefulSet's status,
// hence the minimum.
func (p *planner) awaitReplicas(d *Drain) bool {
	least := ptr.Deref(p.Policy.Spec.MinReadyReplicas, 1)
	remaining := min(p.StatefulSet.Status.ReadyReplicas, Replicas(p.StatefulSet))
	if remaining >= least {
		return false
	}
	d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForReadyReplicas,
		"%d of the replicas that remain are ready, and spec.minReadyReplicas is %d: nobody could take the data; scale up, or set it to 0 if the drain takes the data elsewhere", remaining, least)
	return true
}

// awaitOthers says whether pods other than the drain's stand in the way. Only a live
// snapshot shows them all.
func (p *planner) awaitOthers(o *ordinal, d *Drain) bool {
	name := fmt.Sprintf("%s-%d", p.identity.Name, o.number)
	for i := range p.Pods {
		pod := &p.Pods[i]
		if pod.Name != name {
			continue
		}
		d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists, "Waiting until pod %q on node %q is gone", pod.Name, pod.Spec.NodeName)
		d.RetryAfter = recheck
		return true
	}
	if user := p.user(o); user != nil {
		d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonClaimInUse, "Waiting until pod %q, which uses a claim of the ordinal, is gone", user.Name)
		d.RetryAfter = recheck
		return true
	}
	return false
}

// user returns a pod that uses a claim of the ordinal, other than the policy's own.
func (p *planner) user(o *ordinal) *corev1.Pod {
	for i := range p.Pods {
		pod := &p.Pods[i]
		if terminal(pod) || pod.Labels[drainv1alpha1.PolicyUIDLabel] == string(p.Policy.UID) {
			continue
		}
		for _, volume := range pod.Spec.Volumes {
			if volume.PersistentVolumeClaim == nil {
				continue
			}
			for j := range o.claims {
				if o.claims[j].Name == volume.PersistentVolumeClaim.ClaimName {
					return pod
				}
			}
		}
	}
	return nil
}

// staysOut says whether there is a StatefulSet whose generation shows that the ordinal is out
// of range.
func (p *planner) staysOut(o *ordinal) bool {
	return p.StatefulSet != nil && p.StatefulSet.DeletionTimestamp == nil && !o.inRange
}

// holds says whether a claim bears a mark that holds.
func (p *planner) holds(o *ordinal, claim *corev1.PersistentVolumeClaim) bool {
	mark := claims.ReadMark(claim)
	if o.lock != nil && mark.HoldsUnder(o.lock.UID) {
		return true
	}
	return p.staysOut(o) && mark.HoldsAt(p.StatefulSet.UID, p.StatefulSet.Generation)
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
	var marks []ClaimMark
	for i := range held {
		mark := *claims.ReadMark(&held[i])
		if mark.Generation != p.StatefulSet.Generation {
			mark.Generation = p.StatefulSet.Generation
			marks = append(marks, ClaimMark{Claim: held[i], Mark: mark})
		}
	}
	return marks
}

// release is the last step of every drain, whether it succeeded or is given up.
func (p *planner) release(d *Drain, why string) {
	d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonReleasingLock, "%s", why)
	d.Next = Step{Kind: ReleaseLock}
}

func (p *planner) neverBound(o *ordinal) bool {
	for i := range o.claims {
		if o.claims[i].Spec.VolumeName != "" || o.claims[i].Status.Phase != corev1.ClaimPending {
			return false
		}
	}
	return true
}

// missing returns the name of a claim that the ordinal should have and hasn't.
func (p *planner) missing(o *ordinal) string {
	for _, template := range p.identity.Templates {
		name := claims.Name(template, p.identity.Name, o.number)
		if !slices.ContainsFunc(o.claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == name }) {
			return name
		}
	}
	return ""
}

// skipped returns the name of a claim that asks to be left alone, or "".
func skipped(o *ordinal) string {
	for i := range o.claims {
		if o.claims[i].Annotations[drainv1alpha1.SkipAnnotation] == "true" {
			return o.claims[i].Name
		}
	}
	return ""
}

func deleteJob(job *batchv1.Job) Step {
	return Step{Kind: DeleteJob, Job: job.Name, JobUID: job.UID}
}

func (d *Drain) say(state drainv1alpha1.DrainState, reason, format string, args ...any) {
	d.State, d.Reason, d.Message = state, reason, fmt.Sprintf(format, args...)
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

// hindrance returns why a pod that nobody needs to mend doesn't run, or "".
func hindrance(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil && !terminal(pod) {
		return fmt.Sprintf("Pod %q is being deleted, and node %q has not said yet that it has ended", pod.Name, pod.Spec.NodeName)
	}
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return fmt.Sprintf("Pod %q can't be scheduled: %s", pod.Name, condition.Message)
		}
	}
	return ""
}

// awaitsLock says whether a drain pod still has the operator's gate.
func awaitsLock(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool {
		return gate.Name == drainv1alpha1.DrainSchedulingGate
	})
}

func claimNames(list []corev1.PersistentVolumeClaim) string {
	names := make([]string, 0, len(list))
	for i := range list {
		names = append(names, list[i].Name)
	}
	return strings.Join(names, ", ")
}
