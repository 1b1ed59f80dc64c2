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
	"maps"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
)

// startPatience is how long a pod may take to start before a person should look.
const startPatience = 10 * time.Minute

// readyPatience is how long a replica that remains may not be ready before a person should look.
const readyPatience = 15 * time.Minute

// stopPatience is how long a pod may take to end after it should have, before a person should look. Its node may be down.
const stopPatience = 30 * time.Minute

// contestedWrites is how often the operator gives the StatefulSet the same number of replicas before it slows down and calls a person, and
// firstContest and lastContest bound the delay.
const (
	contestedWrites = 3
	firstContest    = 30 * time.Second
	lastContest     = 10 * time.Minute
)

// lookEvery is how often the pod of a member that leaves is looked at. No cache holds it.
const lookEvery = 30 * time.Second

// evidence is what the cluster shows about the replicas and the members of a StatefulSet. It is computed once, before the first
// rule is tried, and no rule changes it.
type evidence struct {
	plan.Snapshot
	past Past
	now  time.Time
	// live says that the snapshot has the pods of the StatefulSet. The caches don't, so on them all is taken to be well with the pods.
	live bool
	// ready is whether a scale-down would be drained, and pending the most urgent drain that is not over, or nil.
	ready   plan.Condition
	pending *plan.Drain
	// wanted is spec.replicas, and top the highest ordinal in range, or -1.
	wanted, top int32
	// own are the pods of the StatefulSet by ordinal, on a live look.
	own map[int32]*corev1.Pod
	// notes are those of the policy, and unreadable says why they can't be read.
	notes      Notes
	unreadable string
	// drained reports whether nothing is left to do about an ordinal.
	drained func(ordinal int32) bool

	// older is a Job in whose place a later one of its ordinal has come, and olderGoing says that it is being deleted.
	older      *job
	olderGoing bool
	// loose is a pod by which a member leaves or joins again, that runs and whose Job is gone, or nil.
	loose *corev1.Pod
	// unasked is a Job that the policy does not ask for any more, or nil.
	unasked *job
	// outside is the Job of an ordinal that is out of range, and can go, or nil, and gone is a member of such an ordinal of which only
	// the note is left, or nil.
	outside *job
	gone    *member
	// back is a member that began to leave, that stays, and is not back yet, or nil.
	back *member
	// returned is a member that is back and whose Job or note is there still, or nil.
	returned *member
	// highest is the member of the highest ordinal, which leaves next on the way down.
	highest *member
	// changing are the members of which a pod runs that takes them out or in.
	changing []*member
}

// member is one ordinal, the Jobs by which its member has left or joined again, and what the policy remembers of it.
type member struct {
	ordinal int32
	// latest is the newest Job, or nil.
	latest *job
	older  []*job
	note   *Note
}

// job is a Job by which a member leaves or joins again.
type job struct {
	*batchv1.Job
	number, failures int32
	action, hash     string
	pod              types.UID
	// end is how it has ended, or nil, doubt says why its success proves nothing, and shown that a pod is left that shows how it ended.
	end   *batchv1.JobCondition
	doubt string
	shown bool
	// gated is a pod of it that has its gate still, or nil, and running one that has none, and has not ended.
	gated, running *corev1.Pod
	// started says that a container of its newest pod has run, and asked when that pod was created, or else the Job.
	started bool
	asked   time.Time
	// said is the last termination message, and trouble is why a pod does not run until a person acts.
	said, trouble string
}

// observe computes the evidence.
func observe(snapshot plan.Snapshot, drains *plan.Plan, past Past, now time.Time) *evidence {
	e := &evidence{
		Snapshot: snapshot, past: past, now: now, live: !snapshot.Taken.IsZero(), ready: drains.Ready, pending: drains.Pending(),
		wanted: ptr.Deref(snapshot.Policy.Spec.Replicas, 0), top: snapshot.Target.Start + snapshot.Target.Replicas - 1,
	}
	if snapshot.Target.Replicas == 0 {
		e.top = -1
	}
	e.drained = func(ordinal int32) bool {
		d := drains.Drain(ordinal)
		return len(e.Undrainable(ordinal)) == 0 && (d == nil || d.Over() && d.State != drainv1alpha1.DrainRetained)
	}
	if e.live {
		e.own = e.ownPods()
	}
	var err error
	if e.notes, err = NotesOf(snapshot.Policy); err != nil {
		e.unreadable = err.Error()
	}
	members := e.members()
	e.loose = e.loosePod()
	for _, m := range members {
		e.findSpare(m)
		if m.running() != nil {
			e.changing = append(e.changing, m)
		}
	}
	e.findMembers(members)
	return e
}

// findSpare finds the Jobs of an ordinal that must not run, and what is evidence of nothing any more.
func (e *evidence) findSpare(m *member) {
	for _, j := range m.older {
		if e.older == nil || e.olderGoing && j.DeletionTimestamp == nil {
			e.older, e.olderGoing = j, j.DeletionTimestamp != nil
		}
	}
	outside := !e.Target.InRange(m.ordinal)
	if m.latest == nil {
		if e.gone == nil && outside && e.isOver(m.ordinal) {
			e.gone = m
		}
		return
	}
	if m.latest.DeletionTimestamp != nil {
		return
	}
	if e.unasked == nil && e.isUnasked(m.latest) {
		e.unasked = m.latest
	}
	if e.outside == nil && outside && (m.latest.end == nil || e.isOver(m.ordinal)) {
		e.outside = m.latest
	}
}

// findMembers finds the member that is to leave, and one that is to join again.
func (e *evidence) findMembers(members []*member) {
	e.highest = &member{ordinal: e.top}
	down := e.Policy.Spec.Replicas != nil && e.Target.Replicas > e.wanted
	best := 0
	for _, m := range members {
		switch {
		case down && m.ordinal == e.top:
			e.highest = m
		case !e.Target.InRange(m.ordinal):
		case noLeave(e):
			// One that goes anyway is not missed. Without spec.replicas, none goes.
			if m.note != nil && (unset(e) || m.ordinal < e.Target.Start+e.wanted) {
				e.back = cmp.Or(e.back, m)
			}
		case m.note == nil && m.latest.over():
			// The rest of it goes by itself.
		case e.isBack(m):
			e.returned = cmp.Or(e.returned, m)
		case e.back == nil:
			e.back, best = m, e.turn(m)
		default:
			// One that waits must not keep those after it away from what they need.
			turn := e.turn(m)
			earlier := best == turnWaits && e.retryAt(m).Before(e.retryAt(e.back))
			if turn < best || turn == best && earlier {
				e.back, best = m, turn
			}
		}
	}
}

// The order in which members join again, one at a time: a system of which two members change at once can lose its quorum. So the one of
// which a pod runs has its turn first, also when that pod takes it out and is to be stopped.
const (
	turnRuns = iota
	turnStarts
	turnStuck
	turnWaits
	turnNoPod
)

// turn returns when a member that is to join again has its turn among all of them.
func (e *evidence) turn(m *member) int {
	switch {
	case m.running() != nil:
		return turnRuns
	case e.noPod(m.ordinal) && (e.needsJob(m) || m.latest.gated != nil):
		return turnNoPod
	case !e.needsJob(m) && e.stuck(m):
		return turnStuck
	case e.needsJob(m) && e.now.Before(e.retryAt(m)):
		return turnWaits
	}
	return turnStarts
}

// isBack reports whether a member has joined again, with the pod that lives now. A pod that came later may have started before its member
// was in. Without a note, a completed Job shows that this was seen: the note outlives the pods of the Job, which others may delete. But
// the note may have been taken off, so a pod that is left must not speak against it.
func (e *evidence) isBack(m *member) bool {
	j := m.latest
	if j == nil || j.action != drainv1alpha1.ActionRejoin {
		return false
	}
	return m.note == nil && j.completed() && (j.doubt == "" || !j.shown) || j.succeeded() && (!e.live || j.pod == e.podUID(m.ordinal))
}

// needsJob reports whether a Job is to be created by which a member joins again.
func (e *evidence) needsJob(m *member) bool {
	j := m.latest
	return j == nil || j.action != drainv1alpha1.ActionRejoin || j.end != nil || j.edited(e) || j.DeletionTimestamp != nil
}

// vanished returns the note of the Job of a member that was let run and is gone, or nil. Its attempt counts as failed.
func (m *member) vanished(e *evidence, action string) *Note {
	if m.note == nil || m.note.Action != action || m.note.Template != objects.LeaveHash(e.Policy, e.Target) || m.latest != nil && m.latest.number >= m.note.Job {
		return nil
	}
	return m.note
}

// retryAt returns when the next attempt of a member to join again may start, which is in the past if nothing failed.
func (e *evidence) retryAt(m *member) time.Time { return m.retryAt(e, drainv1alpha1.ActionRejoin) }

func (m *member) retryAt(e *evidence, action string) time.Time {
	if gone := m.vanished(e, action); gone != nil {
		if plan.NotYet(gone.Time.Time, e.now) {
			return e.now
		}
		return gone.Time.Add(plan.Backoff(e.Policy.Spec.Retry, gone.Failures+1))
	}
	if j := m.latest; j != nil && j.action == action && j.failed() && !j.edited(e) {
		return j.due(e)
	}
	return time.Time{}
}

// failures returns how many attempts with an action have failed in a row.
func (m *member) failures(e *evidence, action string) int32 {
	if gone := m.vanished(e, action); gone != nil {
		return gone.Failures + 1
	}
	if j := m.latest; j != nil && j.action == action && j.failed() && !j.edited(e) {
		return j.failures + 1
	}
	return 0
}

// noted reports whether the policy remembers that the latest Job of a member was let run.
func (m *member) noted() bool {
	return m.note != nil && m.note.Job == m.latest.number && m.note.Action == m.latest.action
}

// noPod reports whether an ordinal has no pod, or one that is being deleted. Only a live look can tell.
func (e *evidence) noPod(ordinal int32) bool {
	pod := e.own[ordinal]
	return e.live && (pod == nil || pod.DeletionTimestamp != nil)
}

// ownPods returns the pods of the StatefulSet by ordinal.
func (e *evidence) ownPods() map[int32]*corev1.Pod {
	own := map[int32]*corev1.Pod{}
	for i := range e.Pods {
		pod := &e.Pods[i]
		owner := metav1.GetControllerOfNoCopy(pod)
		if ordinal, named := e.Target.Ordinal(pod.Name); named && owner != nil && owner.UID == e.Target.UID {
			own[ordinal] = pod
		}
	}
	return own
}

// loosePod returns a pod by which a member leaves or joins again, that was let run and whose Job is gone, or nil. One that is not
// being deleted comes first. Those of another policy for this StatefulSet count too: this one scales it only when that policy is gone, and
// deleting it with --cascade=orphan leaves its Jobs. Such a Job creates another pod, which keeps its gate.
func (e *evidence) loosePod() *corev1.Pod {
	var loose *corev1.Pod
	for i := range e.Pods {
		pod := &e.Pods[i]
		if pod.Labels[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleLeave || plan.Terminal(pod) || plan.Gated(pod) {
			continue
		}
		if pod.Labels[drainv1alpha1.PolicyUIDLabel] != string(e.Policy.UID) {
			if e.Rival != "" || !objects.LeavesStatefulSet(pod, e.Target.Name) {
				continue
			}
		} else if slices.ContainsFunc(e.Jobs, func(job batchv1.Job) bool {
			_, ours := e.ordinalOf(&job)
			return ours && metav1.IsControlledBy(pod, &job)
		}) {
			continue
		}
		if loose == nil || loose.DeletionTimestamp != nil {
			loose = pod
		}
	}
	return loose
}

// ordinalOf returns the ordinal whose member leaves or joins again by a Job, and whether the Job is one of this policy. Someone may have
// removed its labels.
func (e *evidence) ordinalOf(job *batchv1.Job) (ordinal int32, ours bool) {
	if job.Labels[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleLeave || !plan.Controls(e.Policy.UID, job) {
		return 0, false
	}
	number, err := strconv.ParseInt(job.Labels[drainv1alpha1.OrdinalLabel], 10, 32)
	return int32(number), err == nil
}

// members returns the ordinals that have Jobs by which members leave, or notes, the highest first.
func (e *evidence) members() []*member {
	byOrdinal := map[int32]*member{}
	for ordinal, note := range e.notes {
		byOrdinal[ordinal] = &member{ordinal: ordinal, note: &note}
	}
	for i := range e.Jobs {
		ordinal, ours := e.ordinalOf(&e.Jobs[i])
		if !ours {
			continue
		}
		j, m := e.read(&e.Jobs[i]), byOrdinal[ordinal]
		if m == nil {
			m = &member{ordinal: ordinal}
			byOrdinal[m.ordinal] = m
		}
		switch {
		case m.latest == nil:
			m.latest = j
		case m.latest.before(j):
			m.older, m.latest = append(m.older, m.latest), j
		default:
			m.older = append(m.older, j)
		}
	}
	members := slices.Collect(maps.Values(byOrdinal))
	for _, m := range members {
		slices.SortFunc(m.older, func(a, b *job) int { return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.Name, b.Name)) })
	}
	slices.SortFunc(members, func(a, b *member) int { return cmp.Compare(b.ordinal, a.ordinal) })
	return members
}

// read returns what a Job and its pods say.
func (e *evidence) read(from *batchv1.Job) *job {
	j := &job{
		Job: from, number: number(from.Labels[drainv1alpha1.AttemptLabel]), failures: number(from.Annotations[drainv1alpha1.FailuresAnnotation]),
		action: from.Annotations[drainv1alpha1.ActionAnnotation], hash: from.Annotations[drainv1alpha1.TemplateHashAnnotation],
		pod: types.UID(from.Annotations[drainv1alpha1.PodAnnotation]), end: plan.Finished(from), doubt: "no pod of it is left that shows how it ended",
		asked: from.CreationTimestamp.Time,
	}
	var newest time.Time
	for i := range e.Pods {
		pod := &e.Pods[i]
		if !metav1.IsControlledBy(pod, from) {
			continue
		}
		if !pod.CreationTimestamp.Time.Before(newest) {
			newest, j.started = pod.CreationTimestamp.Time, plan.Started(pod)
		}
		if plan.Gated(pod) && !plan.Terminal(pod) && pod.DeletionTimestamp == nil && j.gated == nil {
			j.gated = pod
		}
		if !plan.Gated(pod) && !plan.Terminal(pod) && (j.running == nil || pod.DeletionTimestamp != nil) {
			j.running = pod
		}
		if _, trouble := plan.Trouble(pod); trouble != "" {
			j.trouble = trouble
		}
		j.said = cmp.Or(plan.Said(pod), j.said)
		if e.Policy.Spec.Leave != nil && pod.Status.Phase == corev1.PodSucceeded && j.doubt != "" {
			j.shown = true
			j.doubt = proof.Doubt(pod, objects.LeaveProof(e.Policy, e.Target, from))
		}
	}
	j.started = j.started || ptr.Deref(from.Status.Ready, 0) > 0
	if newest.After(j.asked) {
		j.asked = newest
	}
	return j
}

// hangsSince returns since when a pod of the Job should have ended, or zero. Its node may be down.
func (j *job) hangsSince() time.Time {
	if j.running == nil || j.running.DeletionTimestamp == nil {
		return time.Time{}
	}
	return j.running.DeletionTimestamp.Time
}

// running returns the pod that runs of any Job of a member, or nil.
func (m *member) running() *corev1.Pod {
	for _, j := range append(slices.Clip(m.older), m.latest) {
		if j != nil && j.running != nil {
			return j.running
		}
	}
	return nil
}

// maxNumber is the largest number of a Job, or of its failures, that is believed.
const maxNumber = 1 << 30

// number reads what a label or an annotation counts; 0 if it can't be read.
func number(text string) int32 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 || n > maxNumber {
		return 0
	}
	return int32(n)
}

// before reports whether another Job of the same ordinal has taken the place of this one.
func (j *job) before(other *job) bool {
	return cmp.Or(cmp.Compare(j.number, other.number), cmp.Compare(j.Name, other.Name)) < 0
}

func (j *job) succeeded() bool {
	return j.completed() && j.doubt == ""
}

func (j *job) failed() bool { return j.end != nil && !j.succeeded() }

func (j *job) completed() bool { return j.end != nil && j.end.Type == batchv1.JobComplete }

// over reports whether a Job by which a member joined again was seen to succeed, and is being deleted for that. Its pods go first.
func (j *job) over() bool {
	return j.action == drainv1alpha1.ActionRejoin && j.DeletionTimestamp != nil && j.completed()
}

// edited reports whether the template was edited since the Job was created.
func (j *job) edited(e *evidence) bool { return j.hash != objects.LeaveHash(e.Policy, e.Target) }

// due returns when a Job that failed is followed by the next.
func (j *job) due(e *evidence) time.Time {
	if plan.NotYet(j.end.LastTransitionTime.Time, e.now) {
		return e.now
	}
	return j.end.LastTransitionTime.Add(plan.Backoff(e.Policy.Spec.Retry, j.failures+1))
}

// isUnasked reports whether the policy does not ask for a Job any more. One that has ended is evidence still, unless members do
// not leave any more.
func (e *evidence) isUnasked(j *job) bool {
	return e.Policy.Spec.Leave == nil || j.end == nil && (e.Policy.DeletionTimestamp != nil || e.Rival != "")
}

// isOver reports whether nothing is left to do about an ordinal, and nothing is left of its member: one that comes back on undrained
// claims must join again.
func (e *evidence) isOver(ordinal int32) bool { return e.drained(ordinal) && e.own[ordinal] == nil }

// podUID returns the UID of an ordinal's pod, or "" if it is not there or not known.
func (e *evidence) podUID(ordinal int32) types.UID {
	if pod := e.own[ordinal]; pod != nil {
		return pod.UID
	}
	return ""
}

// The rest is what the rules ask of the evidence.

func always(*evidence) bool { return true }

func soon(*evidence) time.Duration { return plan.Recheck }

func replaced(e *evidence) bool { return e.older != nil && !e.olderGoing }

func replacedGoing(e *evidence) bool { return e.older != nil }

func loosePod(e *evidence) bool { return e.loose != nil && e.loose.DeletionTimestamp == nil }

func loosePodGoing(e *evidence) bool { return e.loose != nil }

// stopsBy returns when a person should look at what is being stopped, or zero.
func (e *evidence) stopsBy() time.Time {
	switch {
	case e.older != nil && e.olderGoing:
		return e.older.DeletionTimestamp.Add(stopPatience)
	case e.loose != nil && e.loose.DeletionTimestamp != nil:
		return e.loose.DeletionTimestamp.Add(stopPatience)
	}
	return time.Time{}
}

func (e *evidence) untilStopped() time.Duration { return e.stopsBy().Sub(e.now) }

func (e *evidence) neverStops() bool { return !e.now.Before(e.stopsBy()) }

// neverEnds reports whether the member's pod should have ended for so long that a person should look.
func (e *evidence) neverEnds() bool {
	pod := e.own[e.highest.ordinal]
	return pod != nil && pod.DeletionTimestamp != nil && !e.now.Before(pod.DeletionTimestamp.Add(stopPatience))
}

func unasked(e *evidence) bool { return e.unasked != nil }

func noTarget(e *evidence) bool {
	return e.Policy.DeletionTimestamp != nil || e.Rival != "" || !e.Target.Stands()
}

func pastRunning(e *evidence) bool { return e.outside != nil && e.outside.end == nil }

func pastOver(e *evidence) bool { return e.outside != nil }

func unset(e *evidence) bool { return e.Policy.Spec.Replicas == nil }

func leftBehind(e *evidence) bool { return unset(e) && e.back != nil }

func tooFew(e *evidence) bool { return e.Target.Replicas < e.wanted }

func goneOver(e *evidence) bool { return e.gone != nil }

func notesUnreadable(e *evidence) bool { return e.unreadable != "" }

func cantRejoin(e *evidence) bool { return e.back != nil && noLeave(e) }

func awaitsRejoinPod(e *evidence) bool {
	return e.back != nil && e.noPod(e.back.ordinal) && (e.needsJob(e.back) || e.back.latest.gated != nil)
}

func rejoinBackingOff(e *evidence) bool { return mustRejoin(e) && e.now.Before(e.retryAt(e.back)) }

func mustRejoin(e *evidence) bool { return e.back != nil && e.needsJob(e.back) }

// rejoinRefused reports whether the Job by which a member joins again would be made from a template that a policy is refused for. The way
// down waits for the policy to be accepted; the way back must not run what that forbids either.
func rejoinRefused(e *evidence) bool { return mustRejoin(e) && plan.LeaveProblem(&e.Snapshot) != "" }

func rejoinUnnoted(e *evidence) bool { return rejoinGated(e) && !e.back.noted() }

// other returns another member than this one of which a pod runs that takes it out or in, or nil.
func (e *evidence) other(than *member) *member {
	for _, m := range e.changing {
		if m.ordinal != than.ordinal {
			return m
		}
	}
	return nil
}

func rejoinAwaitsTurn(e *evidence) bool { return rejoinGated(e) && e.other(e.back) != nil }

func leaveAwaitsTurn(e *evidence) bool { return leaveGated(e) && e.other(e.highest) != nil }

func rejoinGated(e *evidence) bool { return rejoining(e) && e.back.latest.gated != nil }

func rejoining(e *evidence) bool { return e.back != nil && !e.needsJob(e.back) }

func returnedNoted(e *evidence) bool { return e.returned != nil && e.returned.note != nil }

func returned(e *evidence) bool { return e.returned != nil }

func reached(e *evidence) bool { return e.Target.Replicas == e.wanted }

// suspended reports whether something would be written that the policy asks not to be: replicas, or a Job. One that runs goes on.
func suspended(e *evidence) bool {
	return ptr.Deref(e.Policy.Spec.Suspend, false) && (e.Target.Replicas != e.wanted || mustRejoin(e) || rejoinGated(e))
}

// contestEnds returns when the replicas may be changed once more although something else has changed them back again and again, or zero.
func (e *evidence) contestEnds() time.Time {
	next := e.wanted
	switch {
	case e.Target.Replicas == e.wanted:
		return time.Time{}
	case e.Target.Replicas > e.wanted:
		next = e.Target.Replicas - 1
	}
	delay := firstContest
	for n := contestedWrites; n < e.past.Writes[next] && delay < lastContest; n++ {
		delay *= 2
	}
	if e.past.Writes[next] < contestedWrites || plan.NotYet(e.past.Last, e.now) {
		return time.Time{}
	}
	return e.past.Last.Add(min(delay, lastContest))
}

func contested(e *evidence) bool { return e.now.Before(e.contestEnds()) }

func (e *evidence) untilContested() time.Duration { return e.contestEnds().Sub(e.now) }

func notAccepted(e *evidence) bool { return e.ready.Status != metav1.ConditionTrue }

func drainPending(e *evidence) bool { return e.pending != nil }

func behind(e *evidence) bool { return e.Target.Behind() }

// tooFewRemain reports whether the drain of the next ordinal would wait for replicas that are not there.
func tooFewRemain(e *evidence) bool {
	return e.Policy.Spec.WhenScaled != drainv1alpha1.WhenScaledRetain && e.Target.Replicas <= ptr.Deref(e.Policy.Spec.MinReadyReplicas, 1)
}

// strands reports whether the next ordinal has claims that would not be drained, although the policy asks for that.
func strands(e *evidence) bool {
	return e.Policy.Spec.WhenScaled != drainv1alpha1.WhenScaledRetain && len(e.Undrainable(e.top)) > 0
}

// pastPods returns the pods of ordinals that are out of range, the highest first.
func (e *evidence) pastPods() []*corev1.Pod {
	var past []*corev1.Pod
	for ordinal, pod := range e.own {
		if !e.Target.InRange(ordinal) {
			past = append(past, pod)
		}
	}
	slices.SortFunc(past, func(a, b *corev1.Pod) int { return cmp.Or(len(b.Name)-len(a.Name), cmp.Compare(b.Name, a.Name)) })
	return past
}

func pastPod(e *evidence) bool { return len(e.pastPods()) > 0 }

// notReady returns how many of the replicas that remain are not ready, and the names of the first few. Their number is anyone's to say who
// may scale the StatefulSet, so it takes no longer than there are pods.
func (e *evidence) notReady() (count int, first []string) {
	ready := map[int32]bool{}
	for ordinal, pod := range e.own {
		if ordinal >= e.Target.Start && ordinal < e.top && pod.DeletionTimestamp == nil && isReady(pod) {
			ready[ordinal] = true
		}
	}
	count = max(0, int(e.top)-int(e.Target.Start)) - len(ready)
	for ordinal := e.Target.Start; len(first) < min(count, maxNamed); ordinal++ {
		if !ready[ordinal] {
			first = append(first, e.Target.PodName(ordinal))
		}
	}
	return count, first
}

func notAllReady(e *evidence) bool {
	if !e.live {
		return e.Target.ReadyReplicas < e.Target.Replicas-1
	}
	count, _ := e.notReady()
	return count > 0
}

// unreadySince returns since when one of the pods that remain has not been ready, the longest such time, or zero.
func (e *evidence) unreadySince() time.Time {
	var longest time.Time
	for ordinal, pod := range e.own {
		since, unready := unreadySince(pod)
		if ordinal >= e.Target.Start && ordinal < e.top && unready && (longest.IsZero() || since.Before(longest)) {
			longest = since
		}
	}
	return longest
}

func (e *evidence) untilUnready() time.Duration {
	if since := e.unreadySince(); !since.IsZero() {
		return sooner(lookEvery, since.Add(readyPatience).Sub(e.now))
	}
	return lookEvery
}

func (e *evidence) neverReady() bool {
	since := e.unreadySince()
	return !since.IsZero() && !e.now.Before(since.Add(readyPatience))
}

func noLeave(e *evidence) bool { return e.Policy.Spec.Leave == nil }

// isReady reports whether a pod is ready.
func isReady(pod *corev1.Pod) bool {
	ready := readyCondition(pod)
	return ready != nil && ready.Status == corev1.ConditionTrue
}

func readyCondition(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// deadAt returns when the member that is to leave counts as dead, and whether its pod is not ready. The kubelet says since when
// that is so, or the node controller when the node is not heard of.
func (e *evidence) deadAt() (at time.Time, counts bool) {
	pod := e.own[e.highest.ordinal]
	if pod == nil || noLeave(e) || e.Policy.Spec.Leave.DeadAfterSeconds == nil {
		return time.Time{}, false
	}
	since, unready := unreadySince(pod)
	return since.Add(time.Duration(*e.Policy.Spec.Leave.DeadAfterSeconds) * time.Second), unready
}

// unreadySince returns since when a pod is not ready, and whether that is so and known. Not every kubelet says since when.
func unreadySince(pod *corev1.Pod) (since time.Time, unready bool) {
	at := pod.CreationTimestamp
	if ready := readyCondition(pod); ready != nil {
		at = ready.LastTransitionTime
	}
	return at.Time, !isReady(pod) && !at.IsZero()
}

func dead(e *evidence) bool {
	at, counts := e.deadAt()
	return counts && !e.now.Before(at)
}

// untilDead returns the time until the member counts as dead, or 0 if its pod is well.
func (e *evidence) untilDead() time.Duration {
	if at, counts := e.deadAt(); counts {
		return at.Sub(e.now)
	}
	return 0
}

func podMissing(e *evidence) bool { return e.noPod(e.highest.ordinal) }

// leaves reports whether the latest Job is one by which the pod that lives now leaves. Which pod that is, only a live look shows.
func (e *evidence) leaves() bool {
	j := e.highest.latest
	return j != nil && j.DeletionTimestamp == nil && j.action == drainv1alpha1.ActionLeave && (!e.live || j.pod == e.podUID(e.highest.ordinal))
}

// leaveFailures returns how many attempts of the member that is to leave have failed in a row, with the pod that lives now.
func (e *evidence) leaveFailures() int32 {
	if !e.leaves() && e.highest.vanished(e, drainv1alpha1.ActionLeave) == nil {
		return 0
	}
	return e.highest.failures(e, drainv1alpha1.ActionLeave)
}

func leaveExhausted(e *evidence) bool {
	most := e.Policy.Spec.Retry.MaxAttempts
	return most != nil && e.leaveFailures() >= *most
}

func leaveBackingOff(e *evidence) bool {
	return e.leaveFailures() > 0 && e.now.Before(e.highest.retryAt(e, drainv1alpha1.ActionLeave))
}

// mustLeave reports whether a Job by which the member leaves is to be created. A success counts whatever has become of the
// template since.
func mustLeave(e *evidence) bool {
	return !e.leaves() || e.highest.latest.failed() || e.highest.latest.end == nil && e.highest.latest.edited(e)
}

func leaveGated(e *evidence) bool { return leaving(e) && e.highest.latest.gated != nil }

func leaveUnnoted(e *evidence) bool { return leaveGated(e) && !e.highest.noted() }

func leaving(e *evidence) bool { return e.highest.latest != nil && e.highest.latest.end == nil }

func (e *evidence) untilLeave() time.Duration {
	return sooner(e.highest.retryAt(e, drainv1alpha1.ActionLeave).Sub(e.now), e.untilLook())
}

func (e *evidence) untilHighestStarts() time.Duration {
	return sooner(e.untilStart(e.highest), e.untilLook())
}

// untilLook returns the time after which to look again whether the member's pod is still the one that leaves, and alive.
func (e *evidence) untilLook() time.Duration { return sooner(lookEvery, e.untilDead()) }

// sooner returns the shorter of two times; 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// untilStart returns the time until a person should look at a pod that does not start, or 0.
func (e *evidence) untilStart(m *member) time.Duration {
	if since := m.latest.hangsSince(); !since.IsZero() {
		return max(0, since.Add(stopPatience).Sub(e.now))
	}
	if m.latest.started {
		return 0
	}
	return max(0, m.latest.asked.Add(startPatience).Sub(e.now))
}

// stuck reports whether a person should look at a Job that runs.
func (e *evidence) stuck(m *member) bool {
	hangs := m.latest.hangsSince()
	return m.latest.trouble != "" || m.latest.failures >= plan.StalledAttempts ||
		!hangs.IsZero() && !e.now.Before(hangs.Add(stopPatience)) ||
		!m.latest.started && !e.now.Before(m.latest.asked.Add(startPatience))
}

func (e *evidence) leaveStalls() bool { return e.leaveFailures() >= plan.StalledAttempts }

func (e *evidence) rejoinStalls() bool {
	return e.back.failures(e, drainv1alpha1.ActionRejoin) >= plan.StalledAttempts
}

// name names the pod of an ordinal.
func (e *evidence) name(ordinal int32) string { return fmt.Sprintf("%q", e.Target.PodName(ordinal)) }
