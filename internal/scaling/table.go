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
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// rule is one row of the table. It never calls another one.
type rule struct {
	// id is its name in logs, stories, tables and mutants.
	id string
	// upholds names the invariants of doc.go that it is there for.
	upholds string
	// idle says why the simulation shows nothing broken without it, and is empty if it must show that.
	idle string
	// rare says why the simulation does not come across it, and is empty if it must.
	rare string
	// given says in words when it applies, and when says it as code.
	given string
	when  func(*evidence) bool
	// reason and say are what the Scaled condition says; tell takes their place where something else gives the reason. Without
	// any of them, the condition is absent. done says that it is True.
	reason string
	say    func(*evidence) string
	tell   func(*evidence) (reason, message string)
	done   bool
	// then is the step that is taken, or nil to wait.
	then *action
	// looks says that only a live look can tell that it applies, also where it takes no step: the caches lack the member's pod.
	looks bool
	// again is the time after which to look again although nothing that is watched changes, or nil.
	again func(*evidence) time.Duration
	// stalls reports whether a person should look, or is nil if none needs to.
	stalls func(*evidence) bool
	// after is the member whose latest attempt is over when it applies, for people, or nil.
	after func(*evidence) *member
	// patience is how long it may apply without a break before a person should look, or 0 for no limit.
	patience time.Duration
}

// action makes the step of a rule from the evidence that the rule applies to.
type action struct {
	step string
	of   func(*evidence) Step
}

var (
	raise         = &action{"Raise", func(e *evidence) Step { return Raise{e.Target, e.wanted} }}
	lower         = &action{"Lower", func(e *evidence) Step { return Lower{e.Target} }}
	deleteOlder   = &action{"DeleteJob", func(e *evidence) Step { return DeleteJob{e.older.Job} }}
	deleteUnasked = &action{"DeleteJob", func(e *evidence) Step { return DeleteJob{e.unasked.Job} }}
	deleteLoose   = &action{"DeletePod", func(e *evidence) Step { return DeletePod{e.loose} }}
	deleteBack    = &action{"DeleteJob", func(e *evidence) Step { return DeleteJob{e.returned.latest.Job} }}
	deletePast    = &action{"DeleteJob", func(e *evidence) Step { return DeleteJob{e.outside.Job} }}
	startRejoin   = &action{"StartJob", func(e *evidence) Step { return StartJob{e.Target, e.back.next(e, drainv1alpha1.ActionRejoin)} }}
	startLeave    = &action{"StartJob", func(e *evidence) Step { return StartJob{e.Target, e.highest.next(e, drainv1alpha1.ActionLeave)} }}
	forgetGone    = &action{"ForgetMember", func(e *evidence) Step { return ForgetMember{e.Policy, e.gone.ordinal} }}
	forgetBack    = &action{"ForgetMember", func(e *evidence) Step { return ForgetMember{e.Policy, e.returned.ordinal} }}
	noteRejoin    = &action{"NoteMember", func(e *evidence) Step { return NoteMember{e.Policy, e.back.ordinal, e.back.noteOf(e)} }}
	noteLeave     = &action{"NoteMember", func(e *evidence) Step { return NoteMember{e.Policy, e.highest.ordinal, e.highest.noteOf(e)} }}
	ungateRejoin  = &action{"UngatePod", func(e *evidence) Step { return UngatePod{e.back.latest.gated} }}
	ungateLeave   = &action{"UngatePod", func(e *evidence) Step { return UngatePod{e.highest.latest.gated} }}
)

// Table is an ordered table of rules: the first one that applies is what happens next.
type Table []rule

// table is read from the top. Its groups: Jobs that must not run; up; Jobs that are being stopped; members that join again; what the way
// down waits for; down.
var table = Table{
	{
		id: "stop-replaced", upholds: "S6", when: replaced, then: deleteOlder,
		given:  "A later Job has taken the place of a Job of the same ordinal",
		reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayReplaced,
	},
	{
		id: "stop-loose-pod", upholds: "S6", when: loosePod, then: deleteLoose,
		given:  "A pod by which a member leaves or joins again runs, and its Job is gone",
		reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayLoose,
		idle: "the garbage collector or await-loose-pod stops most of them; one without an owner would hold up its ordinal until it ends",
	},
	{
		id: "stop-unasked", when: unasked, then: deleteUnasked,
		given:  "spec.leave is unset and a Job by which a member leaves is there, or the policy is being deleted or another one counts, and such a Job runs",
		reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayUnasked,
	},
	{
		id: "stop-past", when: pastRunning, then: deletePast,
		given:  "The Job of an ordinal that is out of range runs, or that of a StatefulSet that is gone",
		reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayPast,
		idle: "drop-past deletes it when the drain of the ordinal is over",
	},
	{
		id: "no-target", when: noTarget,
		given: "The policy is being deleted, another one counts, or there is no StatefulSet to scale",
		tell:  (*evidence).tellReady,
		idle:  "the rules after it would scale a StatefulSet for a policy that does not count, which ends as soon as that is gone",
	},
	{
		id: "drop-past", when: pastOver, then: deletePast,
		given:  "The drain of an ordinal that is out of range is over, and a Job by which its member left is there",
		reason: drainv1alpha1.ReasonScalingDown, say: (*evidence).sayPast,
	},
	{
		id: "forget-past", when: goneOver, then: forgetGone,
		given:  "The drain of an ordinal that is out of range is over, and the policy remembers that its member has left",
		reason: drainv1alpha1.ReasonScalingDown, say: (*evidence).sayForgetPast,
	},
	{
		id: "left-behind", upholds: "S5", when: leftBehind, stalls: func(*evidence) bool { return true },
		given:  "spec.replicas and spec.leave are unset, and a member has begun to leave",
		reason: drainv1alpha1.ReasonMemberNotBack, say: (*evidence).sayLeftBehind,
		rare: "no user of the simulation removes spec.replicas",
		idle: "no user of the simulation removes spec.replicas",
	},
	{
		id: "unset", when: unset,
		given: "spec.replicas is unset",
	},
	{
		id: "suspended", when: suspended,
		given:  "The policy is suspended, and the StatefulSet has another number of replicas than spec.replicas, or a member is to join again",
		reason: drainv1alpha1.ReasonSuspended, say: (*evidence).saySuspended,
	},
	{
		id: "contested", when: contested, again: (*evidence).untilContested, stalls: func(*evidence) bool { return true },
		given:  "The operator has given the StatefulSet the next number of replicas three times under the same spec within an hour, something else has changed them each time, and the delay is not over",
		reason: drainv1alpha1.ReasonReplicasContested, say: (*evidence).sayContested,
		rare: "few histories change the replicas so often while the spec of the policy stays as it is",
		idle: "it only delays what something else changes again",
	},
	{
		id: "raise", when: tooFew, then: raise,
		given:  "The StatefulSet has fewer replicas than spec.replicas",
		reason: drainv1alpha1.ReasonScalingUp, say: (*evidence).sayRaise,
	},

	// What is being stopped holds up no way up, which needs nothing of it.
	{
		id: "await-replaced", upholds: "S6", when: replacedGoing, again: (*evidence).untilStopped, stalls: (*evidence).neverStops,
		given:  "A Job whose place a later one has taken is being deleted: its pods may still run",
		reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayReplaced,
	},
	{
		id: "await-loose-pod", upholds: "S6", when: loosePodGoing, again: soon, stalls: (*evidence).neverStops,
		given:  "A pod by which a member leaves or joins again, and whose Job is gone, is being deleted",
		reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayLoose,
	},

	// Members that began to leave and whose ordinals stay.
	{
		id: "unread-members", when: notesUnreadable, stalls: func(*evidence) bool { return true },
		given:  "The annotation of the policy can't be read that names the members that have begun to leave",
		reason: drainv1alpha1.ReasonMemberNotBack, say: (*evidence).sayUnreadable,
		rare: "no user of the simulation edits it",
		idle: "no user of the simulation edits it",
	},
	{
		id: "cannot-rejoin", when: cantRejoin, stalls: func(*evidence) bool { return true },
		given:  "A member has begun to leave, its ordinal is in range, and spec.leave is unset",
		reason: drainv1alpha1.ReasonMemberNotBack, say: (*evidence).sayCantRejoin,
	},
	{
		id: "await-rejoin-pod", upholds: "S5", when: awaitsRejoinPod, again: soon, patience: stopPatience,
		given:  "The pod of such a member does not exist, or is being deleted",
		reason: drainv1alpha1.ReasonWaitingForPod, say: (*evidence).sayAwaitRejoin,
	},
	{
		id: "rejoin-backoff", when: rejoinBackingOff, again: func(e *evidence) time.Duration { return e.retryAt(e.back).Sub(e.now) }, stalls: (*evidence).rejoinStalls,
		given:  "The Job by which such a member joins again failed or was deleted, and its delay is not over",
		reason: drainv1alpha1.ReasonRejoinFailed, say: (*evidence).sayRejoinFailed,
		after: func(e *evidence) *member { return e.back },
	},
	{
		id: "rejoin-refused", when: rejoinRefused, stalls: func(*evidence) bool { return true },
		given:  "Such a member is to join again, and spec.leave.template is refused, because it mounts a claim of the StatefulSet for example",
		reason: drainv1alpha1.ReasonInvalidTemplate, say: func(e *evidence) string { return plan.LeaveProblem(&e.Snapshot) },
		rare: "no template of the simulation by which members leave mounts a claim",
		idle: "the simulation does not come across such a template",
	},
	{
		id: "rejoin", upholds: "S5", when: mustRejoin, then: startRejoin, stalls: (*evidence).rejoinStalls,
		given:  "A member has begun to leave, its ordinal is in range, and it is not to leave now; or the last attempt to join again failed, or its template was edited, or the member's pod was replaced",
		reason: drainv1alpha1.ReasonRejoining, say: (*evidence).sayRejoin,
		after: func(e *evidence) *member { return e.back },
	},
	{
		id: "await-turn", upholds: "S7", when: rejoinAwaitsTurn, again: soon, stalls: func(e *evidence) bool { return e.stuck(e.other(e.back)) },
		given:  "A pod of that Job is gated, and one runs that takes the member of another ordinal out or in",
		reason: drainv1alpha1.ReasonWaitingForMember, say: func(e *evidence) string { return e.sayAwaitTurn(e.back) },
		rare: "two members must be out at once, and one of them be asked to leave again",
	},
	{
		id: "note-rejoin", upholds: "S5", when: rejoinUnnoted, then: noteRejoin,
		given:  "A pod of the Job by which such a member joins again is gated, and the policy does not remember this Job",
		reason: drainv1alpha1.ReasonRejoining, say: (*evidence).sayNoteRejoin,
	},
	{
		id: "ungate-rejoin", when: rejoinGated, then: ungateRejoin,
		given:  "A pod of the Job by which such a member joins again is gated",
		reason: drainv1alpha1.ReasonRejoining, say: (*evidence).sayRejoining,
	},
	{
		id: "rejoining", when: rejoining, again: func(e *evidence) time.Duration { return e.untilStart(e.back) }, stalls: func(e *evidence) bool { return e.stuck(e.back) },
		given: "The Job by which such a member joins again runs",
		tell: func(e *evidence) (string, string) {
			return e.tellRunning(e.back, drainv1alpha1.ReasonRejoining, e.sayRejoining())
		},
		idle: "no step is taken by it, and the pods of other members await their turn; but the status would say too early that all is well",
	},
	{
		id: "forget-back", upholds: "S5", when: returnedNoted, then: forgetBack,
		given:  "A member has joined again with the pod that lives now, and the policy remembers that it had begun to leave",
		reason: drainv1alpha1.ReasonRejoining, say: (*evidence).sayForgetBack,
		after: func(e *evidence) *member { return e.returned },
	},
	{
		id: "drop-back", when: returned, then: deleteBack,
		given:  "A member has joined again, and its Job is there",
		reason: drainv1alpha1.ReasonRejoining, say: (*evidence).sayBack,
		idle: "a member that joins again once more is none the worse for it",
	},

	// Down, and what that waits for.
	{
		id: "reached", upholds: "S4", when: reached, done: true,
		given:  "The StatefulSet has spec.replicas",
		reason: drainv1alpha1.ReasonReplicasReached, say: (*evidence).sayReached,
	},
	{
		id: "await-acceptance", upholds: "S2", when: notAccepted, patience: readyPatience,
		given: "The policy is not accepted: what is lowered could not be drained",
		tell:  (*evidence).tellReady,
		idle:  "await-drains keeps the next ordinal: one is lowered, and its drain waits until the policy is accepted",
	},
	{
		id: "await-drains", upholds: "S2", when: drainPending,
		given:  "The drain of an orphaned ordinal is not over",
		reason: drainv1alpha1.ReasonWaitingForDrains, say: (*evidence).sayDrains,
	},
	{
		id: "await-controller", upholds: "S2", when: behind, patience: readyPatience,
		given:  "The StatefulSet controller has not observed the present spec",
		reason: drainv1alpha1.ReasonStatefulSetNotObserved, say: says("Waiting for the StatefulSet controller to observe the latest replicas"),
		idle: "await-past-pod and await-ready wait for what the controller is about to do",
	},
	{
		id: "too-few-remain", when: tooFewRemain, stalls: func(*evidence) bool { return true },
		given:  "Fewer than spec.minReadyReplicas would remain, so the drain of the next ordinal could not start",
		reason: drainv1alpha1.ReasonTooFewReplicas, say: (*evidence).sayTooFew,
		idle: "one ordinal is lowered, and its drain waits for replicas that are not there",
	},
	{
		id: "stranded", upholds: "S2", when: strands, stalls: func(*evidence) bool { return true },
		given:  "The pod of the highest ordinal has claims that the operator does not drain, because of their labels",
		reason: drainv1alpha1.ReasonClaimsStranded, say: (*evidence).sayStranded,
		rare: "the StatefulSets of the simulation keep their selector",
		idle: "the StatefulSets of the simulation keep their selector",
	},
	{
		id: "await-past-pod", upholds: "S2", when: pastPod, again: soon, patience: stopPatience,
		given:  "The pod of an ordinal that is out of range still exists",
		reason: drainv1alpha1.ReasonPodStillExists, say: (*evidence).sayPastPod,
		idle: "an ordinal with claims has a drain that waits for the same, and await-drains applies",
	},
	{
		id: "await-ready", upholds: "S2", when: notAllReady, looks: true, again: (*evidence).untilUnready, stalls: (*evidence).neverReady, patience: readyPatience,
		given:  "A replica that remains is not ready",
		reason: drainv1alpha1.ReasonWaitingForReadyReplicas, say: (*evidence).sayNotReady,
	},
	{
		id: "lower", upholds: "S1", when: noLeave, then: lower,
		given:  "spec.leave is unset",
		reason: drainv1alpha1.ReasonScalingDown, say: (*evidence).sayLower,
	},
	{
		id: "lower-dead", when: dead, then: lower,
		given:  "The pod of the highest ordinal has not been ready for spec.leave.deadAfterSeconds",
		reason: drainv1alpha1.ReasonScalingDown, say: (*evidence).sayDead,
		idle: "all nodes of the simulation come back in the end, and the member leaves then",
	},
	{
		id: "await-pod", upholds: "S3", when: podMissing, again: soon, stalls: (*evidence).neverEnds, patience: readyPatience,
		given:  "That pod does not exist, or is being deleted",
		reason: drainv1alpha1.ReasonWaitingForPod, say: (*evidence).sayMissing,
	},
	{
		id: "leave-exhausted", when: leaveExhausted, stalls: func(*evidence) bool { return true }, looks: true, again: (*evidence).untilLook,
		given:  "spec.retry.maxAttempts Jobs by which the member leaves have failed, or were deleted after they had started",
		reason: drainv1alpha1.ReasonLeaveFailed, say: (*evidence).sayExhausted,
		idle:  "further attempts follow, each after its delay",
		after: func(e *evidence) *member { return e.highest },
	},
	{
		id: "leave-backoff", when: leaveBackingOff, looks: true, again: (*evidence).untilLeave, stalls: (*evidence).leaveStalls,
		given:  "The Job by which the member leaves failed or was deleted, and its delay is not over",
		reason: drainv1alpha1.ReasonLeaveFailed, say: (*evidence).sayLeaveFailed,
		after: func(e *evidence) *member { return e.highest },
	},
	{
		id: "leave", upholds: "S3", when: mustLeave, then: startLeave, stalls: (*evidence).leaveStalls,
		given:  "No Job by which the member leaves is there for the pod that lives now; or the last one failed, or its template was edited",
		reason: drainv1alpha1.ReasonLeaving, say: (*evidence).sayLeave,
		after: func(e *evidence) *member { return e.highest },
	},
	{
		id: "await-turn-to-leave", upholds: "S7", when: leaveAwaitsTurn, again: soon, stalls: func(e *evidence) bool { return e.stuck(e.other(e.highest)) },
		given:  "A pod of that Job is gated, and one runs that takes the member of another ordinal out or in",
		reason: drainv1alpha1.ReasonWaitingForMember, say: func(e *evidence) string { return e.sayAwaitTurn(e.highest) },
		rare: "a pod that ran for an ordinal that was scaled away has nearly always ended before the next member's may",
		idle: "a pod that ran for an ordinal that was scaled away has nearly always ended before the next member's may",
	},
	{
		id: "note-leave", upholds: "S5", when: leaveUnnoted, then: noteLeave,
		given:  "A pod of that Job is gated, and the policy does not remember that its member begins to leave",
		reason: drainv1alpha1.ReasonLeaving, say: (*evidence).sayNoteLeave,
	},
	{
		id: "ungate-leave", when: leaveGated, then: ungateLeave,
		given:  "A pod of that Job is gated",
		reason: drainv1alpha1.ReasonLeaving, say: (*evidence).sayLeaving,
	},
	{
		id: "leaving", upholds: "S3", when: leaving, looks: true, again: (*evidence).untilHighestStarts, stalls: func(e *evidence) bool { return e.stuck(e.highest) },
		given: "That Job runs",
		tell: func(e *evidence) (string, string) {
			return e.tellRunning(e.highest, drainv1alpha1.ReasonLeaving, e.sayLeaving())
		},
	},
	{
		id: "lower-left", upholds: "S1, S3", when: always, then: lower,
		given:  "Otherwise: the member has left",
		reason: drainv1alpha1.ReasonScalingDown, say: (*evidence).sayLeft,
		after: func(e *evidence) *member { return e.highest },
	},
}

// Decision is what to do next about the replicas of the StatefulSet, and what to say about it.
type Decision struct {
	// Rule is the name of the rule that applies.
	Rule string
	// Scaled is the content of the condition; without a status, the condition is absent.
	Scaled plan.Condition
	// Stalled records that a person should look.
	Stalled bool
	// Next is the step to take now, or nil.
	Next Step
	// Look says that a decision on the caches is good for nothing but to look live.
	Look bool
	// Ended is the attempt of a member that is over by now, or nil. It is decided again and again, until another attempt starts.
	Ended *Attempt
	// RetryAfter is the time after which the step may be another although nothing in the caches changes; 0 if there is none.
	RetryAfter time.Duration
}

// Refused records that the API server refuses the step of a decision, because the operator lacks the right to scale, or for another
// reason. It is taken again after a while.
func (d *Decision) Refused(forbidden bool, err error) {
	reason, message := drainv1alpha1.ReasonWriteRefused, fmt.Sprintf("The API server refuses step %s of the operator: %v", StepName(d.Next), err)
	if forbidden {
		reason = drainv1alpha1.ReasonScaleForbidden
		message = fmt.Sprintf("The operator may not scale the StatefulSet; install the component config/components/scaling, or set scaling.enabled of the Helm chart: %v", err)
	}
	d.Stalled, d.RetryAfter = true, plan.RefusalRecheck
	d.Scaled = plan.Condition{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

// Past is what a manager remembers of its own decisions on a StatefulSet. It is gone with the manager, and no invariant rests on it: it
// says when a person should look, and slows down what something else changes back.
type Past struct {
	// Rule is the one that applied last, without a break since Since.
	Rule  string
	Since time.Time
	// Writes counts how often the operator gave the StatefulSet a number of replicas under the present spec of the policy, and Last is
	// when it did that last.
	Writes map[int32]int
	Last   time.Time
}

// Rules returns the table.
func Rules() Table { return slices.Clone(table) }

// Decide returns the first rule that applies to a snapshot and the plan of its drains, carried out. It is deterministic.
func (t Table) Decide(snapshot plan.Snapshot, drains *plan.Plan, past Past, now time.Time) Decision {
	e := observe(snapshot, drains, past, now)
	for i := range t {
		if r := &t[i]; r.when(e) {
			return r.apply(e)
		}
	}
	// TestTheTableIsTotal holds that the last rule always applies.
	return Decision{}
}

func (r *rule) apply(e *evidence) Decision {
	d := Decision{Rule: r.id}
	switch {
	case r.tell != nil:
		d.Scaled.Reason, d.Scaled.Message = r.tell(e)
	case r.say != nil:
		d.Scaled.Reason, d.Scaled.Message = r.reason, r.say(e)
	}
	switch {
	case d.Scaled.Reason == "":
	case e.Policy.Spec.Replicas == nil:
		// There is no such condition then; what stalls is said all the same.
	case r.done:
		d.Scaled.Status = metav1.ConditionTrue
	default:
		d.Scaled.Status = metav1.ConditionFalse
	}
	d.Stalled = r.stalls != nil && r.stalls(e)
	if r.then != nil {
		d.Next = r.then.of(e)
	}
	d.Look = r.looks || d.Next != nil
	if r.after != nil {
		d.Ended = e.attemptOf(r.after(e))
	}
	if r.again != nil {
		d.RetryAfter = max(0, r.again(e))
	}
	if r.patience > 0 {
		left := r.patience
		if e.past.Rule == r.id {
			left = e.past.Since.Add(r.patience).Sub(e.now)
		}
		d.Stalled = d.Stalled || left <= 0
		d.RetryAfter = sooner(d.RetryAfter, left)
	}
	return d
}

// next returns the Job that takes the place of a member's latest one.
func (m *member) next(e *evidence, action string) objects.Leave {
	leave := objects.Leave{Ordinal: m.ordinal, Number: 1, Action: action, PodUID: e.podUID(m.ordinal), Failures: m.failures(e, action)}
	if m.note != nil {
		leave.Number = m.note.Job + 1
	}
	if m.latest != nil {
		leave.Number = max(leave.Number, m.latest.number+1)
	}
	return leave
}

// noteOf returns what the policy is to remember of a member's latest Job.
func (m *member) noteOf(e *evidence) *Note {
	return &Note{Job: m.latest.number, Action: m.latest.action, Failures: m.latest.failures, Template: m.latest.hash, Time: metav1.NewTime(e.now.UTC().Truncate(time.Second))}
}

// Row is a rule as the documentation shows it.
type Row struct {
	Rule, Upholds, Given, Reason, Step, Idle, Rare string
}

// Rows returns the rules for the documentation, in their order.
func (t Table) Rows() []Row {
	rows := make([]Row, 0, len(t))
	for i := range t {
		row := Row{Rule: t[i].id, Upholds: t[i].upholds, Given: t[i].given, Reason: t[i].reason, Idle: t[i].idle, Rare: t[i].rare}
		if t[i].then != nil {
			row.Step = t[i].then.step
		}
		rows = append(rows, row)
	}
	return rows
}

// Names returns the names of the rules, in their order.
func (t Table) Names() []string {
	names := make([]string, 0, len(t))
	for i := range t {
		names = append(names, t[i].id)
	}
	return names
}

// Without returns the table without a rule, for the tests that show what it keeps.
func (t Table) Without(id string) Table {
	return slices.DeleteFunc(slices.Clone(t), func(r rule) bool { return r.id == id })
}

// Observed returns the table as one that tells of each rule that applies.
func (t Table) Observed(applies func(rule string)) Table {
	observed := slices.Clone(t)
	for i := range observed {
		id, when := observed[i].id, observed[i].when
		observed[i].when = func(e *evidence) bool {
			held := when(e)
			if held {
				applies(id)
			}
			return held
		}
	}
	return observed
}
