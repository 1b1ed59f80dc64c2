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
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// randomWorlds is the number of random snapshots that the invariants are held against.
const randomWorlds = 2000

// TestInvariantsHoldForWhateverTheClusterHolds plans for random snapshots, most of which no
// cluster should ever hold, and asks of every step what doc.go promises. What it asks is
// read from the snapshot by itself, not taken from the planner.
func TestInvariantsHoldForWhateverTheClusterHolds(t *testing.T) {
	reasons, steps := map[string]int{}, map[string]int{}
	for seed := range uint64(randomWorlds) {
		w := randomWorld(rand.New(rand.NewPCG(seed, 0)))
		before := w.copy()
		snapshot := w.snapshot()
		plan := Make(snapshot, now)
		c := checker{T: t, seed: seed, world: w, plan: &plan}
		c.plans()
		for i := range plan.Drains {
			reasons[plan.Drains[i].Reason]++
			steps[StepName(plan.Drains[i].Next)]++
			c.drain(&plan.Drains[i])
		}
		c.status(plan.Status(w.Policy, metav1.NewTime(now)))
		if !equality.Semantic.DeepEqual(before.snapshot(), snapshot) {
			c.fail("the snapshot was changed")
		}
		if !equality.Semantic.DeepEqual(plan, Make(before.snapshot(), now)) {
			c.fail("the same snapshot makes two plans")
		}
		if t.Failed() {
			return
		}
	}
	// A promise about steps that never come is worth nothing.
	for _, kind := range []string{"TakeLock", "StartJob", "NoteJob", "UngatePod",
		"NoteAttempt", "DeleteJob", "DisposeOfJob", "MarkClaim", "NoteDeletion", "DeleteClaim", "ReleaseMark", "DeleteLock"} {
		if steps[kind] < randomWorlds/500 {
			t.Errorf("only %d of %d random worlds lead to %s", steps[kind], randomWorlds, kind)
		}
	}
	for _, reason := range []string{
		drainv1alpha1.ReasonPodStillExists, drainv1alpha1.ReasonWaitingForReadyReplicas,
		drainv1alpha1.ReasonWaitingForSlot, drainv1alpha1.ReasonClaimInUse, drainv1alpha1.ReasonStarting,
		drainv1alpha1.ReasonStatefulSetNotObserved, drainv1alpha1.ReasonLocked, drainv1alpha1.ReasonJobRunning,
		drainv1alpha1.ReasonPodNotStarted, drainv1alpha1.ReasonImagePullFailed, drainv1alpha1.ReasonBackInRange,
		drainv1alpha1.ReasonStoppingJob, drainv1alpha1.ReasonMarkingClaims, drainv1alpha1.ReasonDeletingClaims,
		drainv1alpha1.ReasonReleasingLock, drainv1alpha1.ReasonJobFailed, drainv1alpha1.ReasonAttemptsExhausted,
		drainv1alpha1.ReasonClaimMissing, drainv1alpha1.ReasonClaimLost, drainv1alpha1.ReasonClaimTerminating,
		drainv1alpha1.ReasonWhenScaledRetain, drainv1alpha1.ReasonSkipped, drainv1alpha1.ReasonClaimsKept,
		drainv1alpha1.ReasonNeverBound, drainv1alpha1.ReasonStatefulSetNotFound, drainv1alpha1.ReasonSuspended,
		drainv1alpha1.ReasonInvalidTemplate, drainv1alpha1.ReasonWaitingForMinOrphanedSeconds,
	} {
		if reasons[reason] == 0 {
			t.Errorf("no random world leads to reason %s", reason)
		}
	}
}

// randomWorld makes up a world in which anything may be anywhere.
func randomWorld(r *rand.Rand) *world {
	chance := func(percent int) bool { return r.IntN(100) < percent }
	w := given(func(w *world) {
		if chance(40) {
			w.templates("data", "logs")
		}
		set, spec := w.StatefulSet, &w.Policy.Spec
		set.Generation = 4 + r.Int64N(3)
		set.Status.ObservedGeneration = set.Generation
		if chance(10) {
			set.Status.ObservedGeneration--
		}
		set.Spec.Replicas = ptr.To(r.Int32N(4))
		if chance(20) {
			set.Spec.Ordinals = ordinals(r.Int32N(3))
		}
		set.Status.ReadyReplicas = r.Int32N(4)
		spec.MaxConcurrentDrains = ptr.To(1 + r.Int32N(4))
		spec.MinReadyReplicas = ptr.To(r.Int32N(2))
		spec.Retry.InitialDelaySeconds = ptr.To(1 + r.Int32N(120))
		if chance(40) {
			spec.Retry.MaxAttempts = ptr.To(1 + r.Int32N(3))
		}
		if chance(60) {
			deleteClaims(w)
		}
		if chance(30) {
			cancel(w)
		}
		if chance(20) {
			spec.Proof = drainv1alpha1.ProofExitCode
		}
		if chance(50) {
			spec.WhenDeleted = drainv1alpha1.WhenDeletedDrain
		}
		if chance(20) {
			spec.MinOrphanedSeconds = ptr.To(r.Int32N(2))
		}
		for _, rare := range []func(*world){setDeleted, deleted, suspended, retain, rival,
			func(w *world) { w.Preflight.Refusal = "refused" },
			func(w *world) { w.Preflight.Unanswered = "timeout" }, changedSince, unreadable} {
			if chance(4) {
				rare(w)
			}
		}
		for ordinal := range int32(5) {
			w.randomOrdinal(r, ordinal)
		}
	})
	if chance(15) {
		setGone(w)
	}
	for _, list := range []struct {
		n    int
		swap func(i, j int)
	}{
		{len(w.Claims), func(i, j int) { w.Claims[i], w.Claims[j] = w.Claims[j], w.Claims[i] }},
		{len(w.Pods), func(i, j int) { w.Pods[i], w.Pods[j] = w.Pods[j], w.Pods[i] }},
		{len(w.Jobs), func(i, j int) { w.Jobs[i], w.Jobs[j] = w.Jobs[j], w.Jobs[i] }},
	} {
		r.Shuffle(list.n, list.swap)
	}
	return w
}

// change is done to an object with a chance in percent.
type change[T any] struct {
	percent int
	do      func(*T)
}

// some returns those of the changes that chance wants.
func some[T any](r *rand.Rand, changes ...change[T]) []func(*T) {
	var chosen []func(*T)
	for _, c := range changes {
		if r.IntN(100) < c.percent {
			chosen = append(chosen, c.do)
		}
	}
	return chosen
}

func (w *world) randomOrdinal(r *rand.Rand, ordinal int32) {
	type claim = corev1.PersistentVolumeClaim
	generation := w.StatefulSet.Generation
	// Marks come to all claims of an ordinal or to none, more often than not.
	markChance := []int{0, 95, 50}[r.IntN(3)]
	marks := []func(*claim){
		markedUnder(ordinal), markedUnder(ordinal),
		markedAt(generation), markedAt(generation - 1), markedAt(generation - 2), markedAt(0),
		markedBy(claims.Mark{ClaimUID: "another", LockUID: lockUID(ordinal)}),
		markedBy(claims.Mark{LockUID: lockUID(ordinal), UnusedSince: &noon}),
		markedBy(claims.Mark{LockUID: "past-lock", Absent: true, StatefulSetUID: setUID}),
		markedBy(claims.Mark{LockUID: "past-lock", Absent: true, StatefulSetUID: setUID, UnusedSince: &noon}),
		markedBy(claims.Mark{LockUID: "past-lock", Absent: true, StatefulSetUID: "another", UnusedSince: &noon}),
		markedByAnother,
	}
	mark := marks[r.IntN(len(marks))]
	for i := range w.StatefulSet.Spec.VolumeClaimTemplates {
		if r.IntN(100) < 8 {
			continue
		}
		w.claim(w.StatefulSet.Spec.VolumeClaimTemplates[i].Name, ordinal, some(r,
			change[claim]{3, bornAfterTheLock}, change[claim]{markChance, mark}, change[claim]{3, skip},
			change[claim]{4, claimTerminating}, change[claim]{3, volumeLost}, change[claim]{4, withoutVolume},
			change[claim]{5, unusedSince(corev1.ConditionTrue, noon)},
			change[claim]{4, unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(time.Hour)))},
			change[claim]{4, unusedSince(corev1.ConditionFalse, noon)})...)
	}
	locked := r.IntN(100) < 60
	if locked {
		w.lock(ordinal,
			some(r, change[corev1.Pod]{10, podTerminating},
				change[corev1.Pod]{2, func(p *corev1.Pod) { p.UID = "new" }},
				change[corev1.Pod]{2, func(p *corev1.Pod) { p.OwnerReferences = nil }},
				change[corev1.Pod]{1, notedByAnother}, change[corev1.Pod]{1, deletionNotedByAnother},
				change[corev1.Pod]{20, attempted(failedAttempt(1+r.Int32N(3), time.Minute))},
				change[corev1.Pod]{5, attempted(Attempt{Number: 1 + r.Int32N(3), Asked: noon})},
				change[corev1.Pod]{10, ungatedJob}, change[corev1.Pod]{45, deletionNoted})...)
	} else if r.IntN(100) < 10 {
		w.pod(fmt.Sprintf("web-%d", ordinal), "")
	}
	if locked && r.IntN(100) < 10 {
		// What is as it should be is rare otherwise.
		w.job(ordinal, 1)
		w.drainPod(ordinal, gated)
		w.note(ordinal, Attempt{Number: 1, Asked: noon})
		if r.IntN(2) == 0 {
			lock := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: lockUID(ordinal)}}
			w.annotate(lock, drainv1alpha1.JobAnnotation, string(w.Jobs[len(w.Jobs)-1].UID))
			w.annotate(lock, drainv1alpha1.PodAnnotation, string(w.Pods[len(w.Pods)-1].UID))
		}
		return
	}
	attempts := []int32{0, 1, 1, 1, 2, 3}[r.IntN(6)]
	if !locked && r.IntN(100) < 80 {
		// Too many strays would hide the rest.
		attempts = 0
	}
	for attempt := range attempts {
		end := [][]func(*batchv1.Job){{failed}, {complete}, {jobReady}, nil}[r.IntN(4)]
		if r.IntN(100) < 70 && attempt == 0 {
			// An older attempt has failed, as a rule.
			end = [][]func(*batchv1.Job){{failed}, {complete}, nil, nil}[r.IntN(4)]
		}
		w.job(ordinal, attempt+1,
			append(end,
				some(r, change[batchv1.Job]{3, jobTerminating}, change[batchv1.Job]{10, otherTemplate},
					change[batchv1.Job]{3, forged}, change[batchv1.Job]{3, ownerless},
					change[batchv1.Job]{20, underExitCode},
					change[batchv1.Job]{3, named(fmt.Sprintf("another-lock-%d", ordinal))})...)...)
		for range r.IntN(3) {
			w.drainPod(ordinal, [][]func(*corev1.Pod){
				{gated}, {gated}, {gated, podTerminating}, {running}, {running, podTerminating}, {unschedulable},
				{waiting("ErrImagePull")}, {ended(0, "fine")},
				{ended(0, "fine")}, {ended(0, "fine"), podTerminating}, {ended(1, "disk")},
				{ended(0, "fine"), noReceipt}, {ended(0, "fine"), disrupted}, {ended(0, "fine"), unmounted}, {gated, unmounted},
			}[r.IntN(15)]...)
		}
	}
	if r.IntN(100) < 4 {
		w.pod(fmt.Sprintf("debug-%d", ordinal), claims.Name("data", "web", ordinal))
	}
}

func (w *world) copy() *world {
	c := &world{Snapshot: w.Snapshot, changedSince: w.changedSince}
	c.Policy, c.StatefulSet = w.Policy.DeepCopy(), w.StatefulSet.DeepCopy()
	c.Claims, c.Pods, c.Jobs = nil, nil, nil
	for i := range w.Claims {
		c.Claims = append(c.Claims, *w.Claims[i].DeepCopy())
	}
	for i := range w.Pods {
		c.Pods = append(c.Pods, *w.Pods[i].DeepCopy())
	}
	for i := range w.Jobs {
		c.Jobs = append(c.Jobs, *w.Jobs[i].DeepCopy())
	}
	return c
}

// checker holds one plan against the invariants.
type checker struct {
	*testing.T
	seed  uint64
	world *world
	plan  *Plan
}

func (c *checker) fail(format string, args ...any) {
	c.Helper()
	c.Errorf("seed %d: "+format, append([]any{c.seed}, args...)...)
}

// require reports a promise that a step breaks.
func (c *checker) require(kept bool, d *Drain, promise string) {
	c.Helper()
	if !kept {
		c.fail("%s of ordinal %d (%s: %s) breaks: %s", StepName(d.Next), d.Ordinal, d.Reason, d.Message, promise)
	}
}

// plans checks what is promised of a plan as a whole.
func (c *checker) plans() {
	locks, taken := 0, 0
	for i := range c.world.Pods {
		if IsLock(&c.world.Pods[i], policyUID) {
			locks++
		}
	}
	for i := range c.plan.Drains {
		if i > 0 && c.plan.Drains[i].Ordinal >= c.plan.Drains[i-1].Ordinal {
			c.fail("drains are out of order: %d after %d", c.plan.Drains[i].Ordinal, c.plan.Drains[i-1].Ordinal)
		}
		if StepName(c.plan.Drains[i].Next) == "TakeLock" {
			taken++
		}
	}
	if limit := int(*c.world.Policy.Spec.MaxConcurrentDrains); taken > 0 && locks+taken > limit {
		c.fail("%d locks stand and %d are to be taken, want at most %d", locks, taken, limit)
	}
	if locks+taken > 0 && !c.plan.Finalizer {
		c.fail("the policy has no finalizer although %d locks stand and %d are to be taken", locks, taken)
	}
	if job := as[DeleteJob](c.plan.History.Next).Job; job != nil && !over(job) {
		c.fail("Job %q is surplus and not over", job.Name)
	}
}

func (c *checker) drain(d *Drain) {
	if d.State == "" || d.Reason == "" || d.Message == "" {
		c.fail("ordinal %d has state %q, reason %q, message %q, want all of them", d.Ordinal, d.State, d.Reason, d.Message)
	}
	if d.RetryAfter < 0 || d.RetryAfter > 0 && d.Next != nil {
		c.fail("ordinal %d has step %q and RetryAfter %v, want one of the two", d.Ordinal, StepName(d.Next), d.RetryAfter)
	}
	switch step := d.Next.(type) {
	case TakeLock:
		c.quiet(d)
		c.require(d.Lock == nil && len(c.podsNamed(d.Ordinal)) == 0 && step.Ordinal == d.Ordinal,
			d, "the name of the lock is free")
		c.require(slices.Contains(c.world.Policy.Finalizers, drainv1alpha1.PolicyFinalizer),
			d, "the policy stays while it has a lock")
		c.require(c.outOfRange(d.Ordinal), d, "the ordinal is out of range")
		set := c.world.StatefulSet
		c.require(set == nil || set.Status.ObservedGeneration >= set.Generation,
			d, "the StatefulSet controller has seen the scale-down")
		c.accepted(d)
	case StartJob:
		c.quiet(d)
		c.lockStands(d)
		c.require(c.outOfRange(d.Ordinal), d, "the ordinal is out of range")
		c.accepted(d)
		c.require(len(d.Claims) == len(c.plan.Observed.ClaimTemplates), d, "all claims are there")
		for i := range d.Claims {
			c.require(d.Claims[i].DeletionTimestamp == nil && d.Claims[i].Status.Phase != corev1.ClaimLost,
				d, "no claim is going or lost")
		}
		c.require(step.Job == c.jobName(d, step.Attempt) && step.Attempt > 0 && step.LockUID == d.Lock.UID,
			d, "the Job's name is that of its lock, claims and attempt")
		c.require(!slices.ContainsFunc(c.world.Jobs,
			func(j batchv1.Job) bool { return j.Name == step.Job && owned(&j) }), d, "no Job of the policy has this name")
	case NoteJob:
		c.lockStands(d)
		job := c.job(step.Job)
		c.require(job != nil && !over(job) && job.Name == c.jobName(d, attemptOf(job)),
			d, "the Job is that of the lock and claims")
	case UngatePod:
		c.lockStands(d)
		c.require(c.world.Policy.DeletionTimestamp == nil, d, "the policy stays")
		job := c.job(metav1.GetControllerOf(step.Pod).UID)
		c.require(job != nil && !over(job) && job.DeletionTimestamp == nil && job.Name == c.jobName(d, attemptOf(job)),
			d, "the Job is that of the lock and claims")
		c.require(job != nil && d.Lock.Annotations[drainv1alpha1.JobAnnotation] == string(job.UID) &&
			d.Lock.Annotations[drainv1alpha1.PodAnnotation] == string(step.Pod.UID), d, "the lock names the Job and the pod")
		c.require(len(step.Pod.Spec.SchedulingGates) == 1 && step.Pod.DeletionTimestamp == nil, d, "the pod is gated")
		for _, other := range c.drainPods(d.Ordinal) {
			c.require(other.UID == step.Pod.UID || hasEnded(&other) || len(other.Spec.SchedulingGates) > 0,
				d, "no other drain pod of the ordinal runs")
		}
	case NoteAttempt:
		c.lockHeld(d)
		c.require(step.Attempt.Number > 0, d, "the lock is to remember an attempt")
		c.require(step.Attempt.Failed == nil || step.Attempt.Reason != "" && step.Attempt.Why != "",
			d, "the lock is to remember why an attempt failed")
	case NoteUnused:
		c.lockHeld(d)
		c.require(step.Attempt.Failed == nil && step.Attempt.SeenUnused != nil && !step.Attempt.SeenUnused.After(now), d, "the lock is to remember a look")
		c.quiet(d)
	case NoteDeletion:
		c.lockStands(d)
		c.require(slices.ContainsFunc(d.Claims, func(claim corev1.PersistentVolumeClaim) bool {
			return c.drained(d, &claim) && step.Note.has(&claim)
		}), d, "the lock is to name a claim whose mark holds")
	case DeleteClaim:
		c.quiet(d)
		c.lockStands(d)
		c.require(c.world.Policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete &&
			c.world.Policy.DeletionTimestamp == nil, d, "the policy asks for it")
		c.require(!slices.ContainsFunc(c.world.Jobs,
			func(j batchv1.Job) bool { return ordinalIs(j.Labels, d.Ordinal) && owned(&j) && !over(&j) }), d, "no Job is under way")
		c.require(c.drained(d, &step.Claim), d, "the mark holds")
		c.require(deletionNoteOn(d.Lock).has(&step.Claim), d, "the lock names the version that is deleted")
		for i := range d.Claims {
			c.require(c.drained(d, &d.Claims[i]) || d.Claims[i].UID == "new",
				d, "no claim of the ordinal that may hold data awaits its drain")
			c.require(d.Claims[i].Annotations[drainv1alpha1.SkipAnnotation] == "", d, "no claim is skipped")
		}
	case WriteMark:
		c.mark(d, step)
	case DeletePod:
		owner := metav1.GetControllerOf(step.Pod)
		c.require(owner == nil || d.Job == nil || owner.UID != d.Job.UID || over(d.Job),
			d, "the drain pod is of no Job that is under way")
	case DeleteLock:
		c.require(step.Lock.DeletionTimestamp == nil, d, "the lock isn't being deleted yet")
		c.released(d)
	case RemoveLockFinalizer:
		c.require(step.Lock.DeletionTimestamp != nil, d, "the lock is being deleted")
		c.released(d)
	case DeleteJob:
		job := c.job(step.Job.UID)
		c.require(job != nil && ordinalIs(job.Labels, d.Ordinal) && job.DeletionTimestamp == nil,
			d, "the Job is the ordinal's, and isn't going yet")
		if step.Ended {
			c.require(job != nil && over(job), d, "a Job that is disposed of is over")
			c.require(slices.ContainsFunc(d.Claims, func(claim corev1.PersistentVolumeClaim) bool {
				return claim.DeletionTimestamp != nil
			}), d, "it may hold a claim that is being deleted")
		}
	case AddFinalizer:
		c.require(c.world.Policy.DeletionTimestamp == nil, d, "the policy stays")
	case nil:
	default:
		c.fail("ordinal %d has a step that no promise is asked of: %s", d.Ordinal, StepName(step))
	}
}

// released requires of a lock that is let go that nothing runs, and that every kept claim was written to.
func (c *checker) released(d *Drain) {
	c.Helper()
	if d.Reason == drainv1alpha1.ReasonLockRefused {
		return
	}
	c.quiet(d)
	c.require(d.Lock != nil, d, "there is a lock")
	for i := range d.Claims {
		mark := claims.ParseMark(&d.Claims[i])
		c.require(mark == nil || mark.ReleasedUID == d.Lock.UID || d.Claims[i].DeletionTimestamp != nil,
			d, "every kept claim was written to under the lock")
		c.require(!claims.Unreadable(&d.Claims[i]) || d.Claims[i].DeletionTimestamp != nil,
			d, "a claim whose mark can't be read was written to under the lock")
	}
}

// mark requires of each mark what its purpose promises.
func (c *checker) mark(d *Drain, m WriteMark) {
	c.Helper()
	switch m.Purpose {
	case MarkClaim, RenewMark:
		c.quiet(d)
		c.require(!claims.Unreadable(&m.Claim), d, "a mark that can't be read may say that the Job proves nothing")
		if d.Lock != nil {
			_, attempts := attemptUnder(d.Lock)
			_, deletions := readDeletionNote(d.Lock)
			c.require(attempts && deletions, d, "what the lock remembers can be read: it may say that the attempt failed")
		}
		c.marks(d, m)
	case VoidMark:
		lock := types.UID("")
		if d.Lock != nil {
			lock = d.Lock.UID
		}
		void := m.Mark.HoldsAbsent("")
		c.require(!void && !m.Mark.HoldsUnder(lock) && !m.Mark.HoldsAt(setUID, 4), d, "a void mark never holds")
	case ReleaseMark:
		c.require(d.Lock != nil && m.Mark.ReleasedUID == d.Lock.UID && !m.Mark.HoldsUnder(d.Lock.UID),
			d, "the mark says under which lock the claim was kept")
	}
}

// quiet requires that nothing of the ordinal runs or may come to run.
func (c *checker) quiet(d *Drain) {
	c.Helper()
	for i := range c.world.Jobs {
		job := &c.world.Jobs[i]
		c.require(!ordinalIs(job.Labels, d.Ordinal) || !owned(job) || over(job) && job.DeletionTimestamp == nil,
			d, "no Job of the ordinal runs or goes")
	}
	for _, pod := range c.drainPods(d.Ordinal) {
		c.require(hasEnded(&pod), d, "no drain pod of the ordinal is alive")
	}
	if n := StepName(d.Next); n == "DeleteLock" || n == "RemoveLockFinalizer" || n == "MarkClaim" {
		return
	}
	for i := range c.world.Pods {
		pod := &c.world.Pods[i]
		for j := range d.Claims {
			mounts := len(pod.Spec.Volumes) > 1 && pod.Spec.Volumes[1].PersistentVolumeClaim.ClaimName == d.Claims[j].Name
			c.require(!mounts || hasEnded(pod), d, "no pod uses a claim")
		}
	}
}

func (c *checker) lockHeld(d *Drain) {
	c.Helper()
	c.require(d.Lock != nil && IsLock(d.Lock, policyUID), d, "a lock is held")
}

func (c *checker) lockStands(d *Drain) {
	c.Helper()
	c.require(d.Lock != nil && d.Lock.DeletionTimestamp == nil &&
		IsLock(d.Lock, policyUID) && d.Lock.Name == c.podName(d.Ordinal), d, "the lock stands")
}

func (c *checker) accepted(d *Drain) {
	c.Helper()
	w := c.world
	set := w.StatefulSet
	c.require(set != nil && set.DeletionTimestamp == nil ||
		set == nil && w.Policy.Spec.WhenDeleted == drainv1alpha1.WhenDeletedDrain, d, "the policy asks for the drain")
	c.require(w.Policy.DeletionTimestamp == nil && w.Rival == "" && w.Preflight.Refusal == "" &&
		w.Preflight.Unanswered == "" && !w.changedSince && w.Unreadable == "", d, "the policy is accepted")
	c.require(!ptr.Deref(w.Policy.Spec.Suspend, false), d, "the policy isn't suspended")
	for i := range d.Claims {
		c.require(d.Claims[i].Annotations[drainv1alpha1.SkipAnnotation] == "", d, "no claim is skipped")
	}
}

// marks requires of a mark to be written either that it is the evidence of a complete Job,
// or that it carries a mark that holds on to this generation.
func (c *checker) marks(d *Drain, m WriteMark) {
	c.Helper()
	c.require(m.Mark.ClaimUID == m.Claim.UID &&
		slices.ContainsFunc(d.Claims,
			func(claim corev1.PersistentVolumeClaim) bool { return claim.UID == m.Claim.UID }), d, "the mark names its claim")
	if m.Mark.Generation != 0 {
		set := c.world.StatefulSet
		c.require(set != nil && set.DeletionTimestamp == nil && m.Mark.StatefulSetUID == set.UID &&
			m.Mark.Generation == set.Generation && c.outOfRange(d.Ordinal),
			d, "the generation is that of a StatefulSet that doesn't want the ordinal")
	}
	c.require(m.Mark.Absent == (c.world.StatefulSet == nil), d, "the mark records whether there is a StatefulSet")
	if d.Lock == nil {
		c.require(c.drained(d, &m.Claim) && m.Mark.Generation != 0, d, "a mark without lock carries on one that holds")
		return
	}
	c.require(m.Mark.LockUID == d.Lock.UID, d, "the mark names the lock")
	c.require(slices.ContainsFunc(c.world.Jobs, func(j batchv1.Job) bool {
		return slices.ContainsFunc(j.Status.Conditions, func(x batchv1.JobCondition) bool {
			return x.Type == batchv1.JobComplete && x.Status == corev1.ConditionTrue
		}) &&
			j.Name == c.jobName(d, attemptOf(&j)) && j.Name == m.Mark.Job
	}), d, "a Job of this lock that mounted these claims is complete")
	c.require(slices.ContainsFunc(c.world.Pods, func(pod corev1.Pod) bool { return c.proves(&pod, d, m.Mark.Job) }),
		d, "a pod of that Job ended well by itself, left its receipt and mounted every claim")
	for i := range m.Claim.Status.Conditions {
		c.require(m.Claim.Status.Conditions[i].Status == corev1.ConditionTrue &&
			m.Mark.UnusedSince.Equal(&m.Claim.Status.Conditions[i].LastTransitionTime), d, "the claim is unused")
	}
}

// proves reports whether a pod is evidence for marks of a Job, by the snapshot alone.
func (c *checker) proves(pod *corev1.Pod, d *Drain, job string) bool {
	if pod.Status.Phase != corev1.PodSucceeded || pod.DeletionTimestamp != nil ||
		len(pod.OwnerReferences) != 1 || pod.OwnerReferences[0].Name != job {
		return false
	}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.DisruptionTarget {
			return false
		}
	}
	for i := range d.Claims {
		if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
			return v.PersistentVolumeClaim.ClaimName == d.Claims[i].Name &&
				slices.ContainsFunc(pod.Spec.Containers[0].VolumeMounts,
					func(mount corev1.VolumeMount) bool { return mount.Name == v.Name })
		}) {
			return false
		}
	}
	left := strings.HasSuffix(pod.Status.ContainerStatuses[0].State.Terminated.Message, Receipt(job))
	under := slices.ContainsFunc(c.world.Jobs, func(j batchv1.Job) bool {
		return j.Name == job && j.Annotations[drainv1alpha1.ProofAnnotation] == string(drainv1alpha1.ProofExitCode)
	})
	return left || under && c.world.Policy.Spec.Proof == drainv1alpha1.ProofExitCode
}

// owned reports whether a Job is the policy's, and not one that only bears its labels.
func owned(job *batchv1.Job) bool {
	return len(job.OwnerReferences) == 1 && job.OwnerReferences[0].UID == policyUID
}

// drained reports whether a claim's mark holds, by the snapshot alone.
func (c *checker) drained(d *Drain, claim *corev1.PersistentVolumeClaim) bool {
	var mark claims.Mark
	if json.Unmarshal([]byte(claim.Annotations[drainv1alpha1.DrainedAnnotation]), &mark) != nil ||
		mark.ClaimUID != claim.UID {
		return false
	}
	var unused *metav1.Time
	for i := range claim.Status.Conditions {
		if claim.Status.Conditions[i].Status != corev1.ConditionTrue {
			return false
		}
		unused = &claim.Status.Conditions[i].LastTransitionTime
	}
	if !mark.UnusedSince.Equal(unused) {
		return false
	}
	if d.Lock != nil && mark.LockUID == d.Lock.UID {
		return true
	}
	set := c.world.StatefulSet
	if set == nil {
		// Only the Unused condition proves that none came and went.
		return mark.Absent && mark.StatefulSetUID == setUID && mark.UnusedSince != nil
	}
	return set.DeletionTimestamp == nil && !mark.Absent && mark.StatefulSetUID == set.UID && c.outOfRange(d.Ordinal) &&
		mark.Generation > 0 && (mark.Generation == set.Generation || mark.Generation == set.Generation-1)
}

// status checks what the schema and the API conventions ask for.
func (c *checker) status(s drainv1alpha1.DrainPolicyStatus) {
	var types []string
	for _, condition := range s.Conditions {
		types = append(types, condition.Type)
		if condition.Reason == "" || condition.Message == "" || condition.Status == "" ||
			condition.ObservedGeneration != c.world.Policy.Generation || condition.LastTransitionTime.IsZero() {
			c.fail("condition %+v lacks something", condition)
		}
	}
	if !slices.Equal(types,
		[]string{drainv1alpha1.ConditionReady, drainv1alpha1.ConditionDrained, drainv1alpha1.ConditionStalled}) {
		c.fail("the conditions are %v", types)
	}
	seen := sets.New[int32]()
	for _, entry := range s.Drains {
		if entry.Reason == "" || len(entry.Reason) > 64 || entry.State == "" ||
			utf8.RuneCountInString(entry.Message) > 1024 || len(entry.Claims) > 100 || len(entry.JobName) > 253 {
			c.fail("the entry of ordinal %d is outside the schema: %+v", *entry.Ordinal, entry)
		}
		if seen.Has(*entry.Ordinal) {
			c.fail("ordinal %d has two entries", *entry.Ordinal)
		}
		seen.Insert(*entry.Ordinal)
	}
	if len(s.Drains) > 100 || s.Undrained == nil ||
		s.Draining == nil || s.Kept == nil || s.Failed == nil || s.OrphanedCapacity == nil {
		c.fail("the status is outside the schema: %+v", s)
	}
	if s.ObservedGeneration != c.world.Policy.Generation {
		c.fail("observedGeneration = %d, want %d", s.ObservedGeneration, c.world.Policy.Generation)
	}
}

func (c *checker) outOfRange(ordinal int32) bool {
	set := c.world.StatefulSet
	if set == nil {
		return true
	}
	start := int32(0)
	if set.Spec.Ordinals != nil {
		start = set.Spec.Ordinals.Start
	}
	return ordinal < start || ordinal >= start+*set.Spec.Replicas
}

func (c *checker) podName(ordinal int32) string { return fmt.Sprintf("web-%d", ordinal) }

func (c *checker) podsNamed(ordinal int32) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(c.world.Pods), func(p corev1.Pod) bool { return p.Name != c.podName(ordinal) })
}

func (c *checker) drainPods(ordinal int32) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(c.world.Pods), func(p corev1.Pod) bool {
		forged := slices.ContainsFunc(c.world.Jobs, func(job batchv1.Job) bool {
			return len(p.OwnerReferences) > 0 && p.OwnerReferences[0].UID == job.UID && !owned(&job)
		})
		return p.Labels[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleDrain || !ordinalIs(p.Labels, ordinal) || forged
	})
}

func (c *checker) job(uid types.UID) *batchv1.Job {
	for i := range c.world.Jobs {
		if c.world.Jobs[i].UID == uid {
			return &c.world.Jobs[i]
		}
	}
	return nil
}

func (c *checker) jobName(d *Drain, attempt int32) string {
	var uids []types.UID
	for i := range d.Claims {
		uids = append(uids, d.Claims[i].UID)
	}
	return JobName("web", policyUID, d.Ordinal, d.Lock.UID, uids, attempt)
}

func ordinalIs(labels map[string]string, ordinal int32) bool {
	return labels[drainv1alpha1.OrdinalLabel] == strconv.Itoa(int(ordinal))
}

func over(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed)
	})
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
