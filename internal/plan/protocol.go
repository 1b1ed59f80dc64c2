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
	"time"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// phase is a part of the protocol. An ordinal is in one at a time.
type phase uint8

const (
	// unlocked: the ordinal has no lock.
	unlocked phase = 1 << iota
	// underway: it has a lock, and the Job under it is unfinished.
	underway
	// locked: it has a lock, and no Job under it is unfinished.
	locked
	// abandoned: it has a lock, and the policy of that lock is gone.
	abandoned
	// policy: the policy as a whole, not an ordinal.
	policy
	// history: the Jobs of drains that have ended.
	history

	// anywhere is every phase of a policy that is there.
	anywhere = unlocked | underway | locked
)

// rule is one row of the protocol. It never calls another one.
type rule struct {
	// id is its name in logs, stories, tables and mutants.
	id string
	// upholds names the invariants of doc.go and docs/safety.md that it is there for.
	upholds string
	// idle says why the simulation shows no promise broken without it, and is empty if it must show one.
	idle string
	// rare says why the simulation does not come across it, and is empty if it must.
	rare string
	// in are the phases in which it applies.
	in phase
	// given says in words when it applies, for the table in docs/design.md.
	given string
	// when is given as code.
	when func(*evidence) bool

	// state, reason and say are what the status says. tell takes the place of reason and say where something else gives
	// the reason: Ready's, the pods', or that of an attempt that failed. Without a state, the ordinal has no entry.
	state  drainv1alpha1.DrainState
	reason string
	say    func(*evidence) string
	tell   func(*evidence) (reason, message string)

	// then is the step that is taken, or nil to wait.
	then *action
	// releases says that a lock, if there is one, is released: then is the next write of that, and the status says so.
	releases bool
	// again is the time after which to look again although nothing that is watched changes, or nil.
	again func(*evidence) time.Duration
}

// Protocol is an ordered table of rules: the first one that applies to an ordinal is what happens next. It is the whole
// decision. Each phase ends in a rule that always applies.
type Protocol []rule

// protocol is read from the top. Its groups: a use to be written down; what must not run; a Job under way; a drain that has succeeded; what needs no
// drain; why none is asked for; attempts; what an orphan waits for; locks whose policy is gone.
var protocol = Protocol{
	// A use of the claims that a look shows is written down before anything else: the next look may not show it.
	{
		id: "void-used", upholds: "I7", in: underway | locked, when: usedMarked, then: voidMark,
		given: "A pod uses a claim whose mark holds",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonClaimInUse, say: (*evidence).sayUsed,
	},
	{
		id: "void-kept", upholds: "I7", in: unlocked, when: usedOrphan, then: voidKept,
		given: "A pod uses a claim whose mark holds, or one that is not the StatefulSet's uses a claim whose mark is not void, and this policy drains the StatefulSet",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonClaimInUse, say: (*evidence).sayUsed,
	},
	{
		id: "doubt-used", upholds: "I6", in: locked, when: unprovenByUse, then: noteFailure,
		given: "A pod uses a claim, the attempt failed or proves nothing because of that, and the lock does not remember it",
		state: drainv1alpha1.DrainFailed, tell: (*evidence).tellFailure,
	},

	{
		id: "void-unread", upholds: "I6", in: underway | locked, when: unreadMark, then: voidUnread,
		rare:  "needs a manager of another version",
		idle:  "the managers of the simulation are of one version",
		given: "A claim's mark can't be read: it may say that the drain under this lock proves nothing",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonMarkingClaims, say: (*evidence).sayUnreadMark,
	},

	// What must not run is stopped.
	{
		id: "keep-policy", upholds: "I2", in: anywhere, when: noFinalizerBusy, then: addFinalizer,
		given: "The policy lacks the operator's finalizer, and the ordinal has a lock, an unfinished Job or a live drain pod",
		idle:  "hold-policy adds the finalizer before the first lock; this rule is for a person who removes it later",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonStarting, say: says("Adding the finalizer to the policy"),
	},
	{
		id: "drained-job-going", in: anywhere, when: drainedJobGoing,
		given: "A finished Job is being deleted, every claim's mark holds, and the claims are to be deleted",
		idle:  "job-going waits as well, but says less",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonDeletingClaims, say: (*evidence).sayDrainedJobGoing,
	},
	{
		id: "job-going", upholds: "I2, I4", in: anywhere, when: going,
		given: "A Job is being deleted: its pods may still run",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayJobGoing,
	},
	{
		id: "stop-stray-job", upholds: "I1", in: anywhere, when: strayJob, then: deleteStrayJob,
		given: "An unfinished Job is not the lock's on the claims of today",
		idle:  "stop-stray-pod ends its pods one after the other until the Job fails",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayStrayJob,
	},
	{
		id: "stop-stray-pod", upholds: "I1", in: anywhere, when: endableStrayPod, then: deleteStrayPod,
		given: "A drain pod has not ended, and its Job is over or gone",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayStrayPod,
	},
	{
		id: "await-stray-pod", upholds: "I2, I4", in: anywhere, when: strayPod, again: (*evidence).untilBareLook,
		given: "Such a pod is being deleted, or another controller owns it",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayStrayPodGoing,
	},
	{
		id: "free-claim-of-job", in: anywhere, when: jobHoldsGoingClaim, then: disposeOfOldJob,
		given: "A claim is being deleted, no drained one is left to delete, and a past Job may hold it: the StatefulSet's pod can't start until it is gone",
		state: drainv1alpha1.DrainDraining, tell: (*evidence).tellClaimHeld,
	},
	{
		id: "free-claim-of-pod", in: anywhere, when: podHoldsGoingClaim, then: deleteEndedPod,
		given: "A claim is being deleted, no drained one is left to delete, and an ended drain pod without a Job holds it",
		state: drainv1alpha1.DrainDraining, tell: (*evidence).tellClaimHeld,
	},
	{
		id: "discard-lock", upholds: "I3", in: unlocked | locked, when: misfit, then: discard,
		given: "The lock that was just created lacks what makes it one",
		state: drainv1alpha1.DrainBlocked, reason: drainv1alpha1.ReasonLockRefused, say: (*evidence).sayMisfit,
	},

	// A Job is under way.
	{
		id: "stop-unread", upholds: "I6", in: underway, when: unreadLock, then: deleteJob,
		rare:  "needs a manager of another version",
		idle:  "the managers of the simulation are of one version",
		given: "What the lock remembers can't be read",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: stopping("What the lock remembers can't be read"),
	},
	{
		id: "stop-rerun", upholds: "I7", in: underway, when: rerunNotStarted, then: deleteJob,
		rare:  "needs the creation of a Job to hang until another manager's Job of the same name has succeeded and is gone; story late-job-after-mark",
		idle:  "the simulation does not come across such a creation; story late-job-after-mark",
		given: "A claim bears the mark of another Job under this lock, and no container of a drain pod has started",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: stopping("The claims were drained under this lock by another Job"),
	},
	{
		id: "void-rerun", upholds: "I7", in: underway, when: rerun, then: voidRerun,
		rare:  "stop-rerun stops such a Job, unless the mark lands when its pod has been ungated",
		idle:  "stop-rerun stops such a Job before its pod is ungated",
		given: "A claim bears the mark of another Job under this lock: a drain pod has used it since",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonClaimInUse, say: (*evidence).sayRerun,
	},
	{
		id: "stop-for-policy", in: underway, when: policyDeleted, then: deleteJob,
		given: "The policy is being deleted",
		idle:  "the policy waits until the drain ends",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: stopping("The policy is being deleted"),
	},
	{
		id: "stop-before-start", in: underway, when: notStartedInRange, then: deleteJob,
		given: "The ordinal is back in range, and no container of a drain pod has started",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: stopping("The ordinal is back in range and the drain pod has not started"),
	},
	{
		id: "cancel", in: underway, when: cancelled, then: deleteJob,
		given: "The ordinal is back in range, and spec.whenScaledUp is Cancel",
		idle:  "the ordinal waits until the drain ends, as under Wait",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: stopping("The ordinal is back in range and spec.whenScaledUp is Cancel"),
	},
	{
		id: "stop-suspended", in: underway, when: suspendedInRange, then: deleteJob,
		given: "The ordinal is back in range, and the Job is suspended without a live pod",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: stopping("The ordinal is back in range and the Job is suspended"),
	},
	{
		id: "stop-without-claim", in: underway, when: claimGoingUnmounted, then: deleteJob,
		given: "A claim is being deleted, and no drain pod runs that could go on: the kubelet starts no pod on such a claim",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayStopWithoutClaim,
	},
	{
		id: "stop-without-lock", upholds: "I1", in: underway, when: lockGoingIdle, then: deleteJob,
		given: "The lock is being deleted, and no drain pod runs",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: stopping("The lock is being deleted and no drain pod runs"),
	},
	{
		id: "replace-edited", in: underway, when: editedNotStarted, then: deleteJob,
		given: "The template was edited, and no container of a drain pod has started",
		idle:  "the Job goes on with the template that it was created from",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: stopping("The template was changed and the drain pod has not started"),
	},
	{
		id: "note-changed-pod", upholds: "I6, I8", in: underway, when: unnoted, then: noteFailure,
		given: "Something changed the gated pod so that its success could not be believed, and the lock does not remember that",
		state: drainv1alpha1.DrainFailed, tell: (*evidence).tellChanged,
	},
	{
		id: "stop-changed-pod", upholds: "I6", in: underway, when: attemptFailed, then: deleteJob,
		given: "Something changed the gated pod so that its success could not be believed",
		state: drainv1alpha1.DrainFailed, tell: (*evidence).tellChanged,
	},
	{
		id: "note-late-job", upholds: "I8", in: underway, when: lateJob, then: noteOpen,
		given: "The Job was created although one like it may have been created and deleted before",
		idle:  "the lock remembers the attempt when its pod is ungated; only a Job that is deleted before that is created again with haste",
		state: drainv1alpha1.DrainDraining, tell: progress,
	},
	{
		id: "ungate-awaits-user", upholds: "I7", in: underway, when: mayUngateUsed, again: soon,
		given: "A pod of the Job is gated, none runs, and another pod uses a claim",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonClaimInUse, say: (*evidence).sayUngateAwaitsUser,
	},
	{
		id: "note-job", upholds: "I2", in: underway, when: mayUngateUnnoted, then: noteJob,
		given: "A pod of the Job is gated, none runs, and the lock does not name the Job",
		state: drainv1alpha1.DrainDraining, tell: progress,
	},
	{
		id: "ungate", in: underway, when: mayUngate, then: ungatePod,
		given: "A pod of the Job is gated, and none runs",
		state: drainv1alpha1.DrainDraining, tell: progress,
	},
	{
		id: "job-runs", in: underway, when: always,
		given: "Otherwise",
		idle:  "no rule of the phase follows and no step is lost, but the status lacks the ordinal",
		state: drainv1alpha1.DrainDraining, tell: progress,
	},

	// What the lock remembers of its drain is lost, so the drain is given up.
	{
		id: "await-unread", upholds: "I8", in: locked, when: unreadLockYoung, again: (*evidence).untilUnreadRelease,
		rare:  "needs a manager of another version",
		idle:  "the managers of the simulation are of one version",
		given: "What the lock remembers can't be read, the ordinal is out of range, and the delay of a first retry is not over since the lock was created",
		state: drainv1alpha1.DrainBlocked, reason: drainv1alpha1.ReasonLockRefused, say: (*evidence).sayUnreadLock,
	},
	{
		id: "release-unread", upholds: "I6", in: locked, when: unreadLock, releases: true,
		rare:  "needs a manager of another version",
		idle:  "the managers of the simulation are of one version",
		given: "What the lock remembers can't be read: it may say that the attempt failed",
		say:   says("What the lock remembers can't be read, so its drain proves nothing; another lock is taken"),
	},

	// A drain that has succeeded: its claims are marked, then deleted or kept.
	{
		id: "claims-gone", in: locked, when: noClaims, releases: true,
		given: "The claims are gone", say: says("The claims are gone"),
		idle: "release-drained applies too: no claim lacks its mark",
	},
	{
		id: "mark-awaits-controller", upholds: "I7", in: locked, when: unmarkedBehind,
		given: "The attempt succeeded, the claims are to be kept, and the StatefulSet controller has not observed the present spec",
		idle:  "the mark names no generation then, and holds no longer than the lock",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStatefulSetNotObserved, say: (*evidence).sayBehind,
	},
	{
		id: "give-up-mark", in: locked, when: unmarkedUnwanted, releases: true,
		given: "The attempt succeeded, Kubernetes does not report a claim as unused, and the ordinal is back in range or the policy being deleted",
		idle:  "the ordinal waits until Kubernetes reports the claims as unused",
		say:   (*evidence).sayInUse,
	},
	{
		id: "note-unused", in: locked, when: unmarkedSeenUnused, then: noteUnused,
		given: "The attempt succeeded, Kubernetes is late to report a claim as unused, no pod uses one, and the look before was long enough ago",
		idle:  "a late report is not believed, and the drain is repeated",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonMarkingClaims, say: (*evidence).sayInUse,
	},
	{
		id: "mark-awaits-unused", upholds: "I7", in: locked, when: unmarkedInUse, again: (*evidence).untilLook,
		given: "The attempt succeeded, and Kubernetes does not report a claim as unused",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonMarkingClaims, say: (*evidence).sayInUse,
	},
	{
		id: "mark-awaits-report", in: locked, when: unmarkedUnnoticed, again: func(e *evidence) time.Duration { return e.noticedBy().Sub(e.now) },
		given: "The attempt succeeded a moment ago, and Kubernetes has reported a claim as unused since before that, so it has not noticed the drain's own use",
		idle:  "the late report makes the mark void, and the drain is repeated",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonMarkingClaims, say: (*evidence).sayUnnoticed,
	},
	{
		id: "mark", in: locked, when: unmarked, then: markClaim,
		given: "The attempt succeeded, and a claim lacks its mark",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonMarkingClaims, say: (*evidence).sayMarking,
	},
	{
		id: "free-undrained-claim", in: locked, when: undrainedClaimGoing, then: deleteJob,
		given: "A claim is being deleted, and not by the operator; a pod of the Job holds it",
		idle:  "claim-going releases the lock, and free-claim-of-job deletes the Job then",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonStoppingJob, say: (*evidence).sayUndrainedClaimHeld,
	},
	{
		id: "note-deletion", upholds: "I5", in: locked, when: disposableUnnoted, then: noteDeletion,
		given: "The claims are drained and to be deleted, and the lock does not name their versions",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonDeletingClaims, say: (*evidence).sayDisposing,
	},
	{
		id: "delete-claim", in: locked, when: disposableClaim, then: deleteClaim,
		given: "The claims are drained and to be deleted",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonDeletingClaims, say: (*evidence).sayDisposing,
	},
	{
		id: "dispose-of-job", in: locked, when: disposableJob, then: disposeOfJob,
		given: "The drained claims are being deleted, and a pod of the Job that drained them holds them",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonDeletingClaims, say: (*evidence).sayDisposing,
	},
	{
		id: "await-deletion", in: locked, when: disposable,
		given: "The drained claims are being deleted",
		idle:  "release-drained releases the lock sooner; no pod can use a claim that is being deleted",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonDeletingClaims, say: (*evidence).sayDisposing,
	},
	{
		id: "release-drained", in: locked, when: through, releases: true,
		given: "The claims are drained and none may be deleted under this lock (Retain, or the lock or the policy is being deleted), or the ordinal is back in range: a mark would hold no longer than the lock",
		say:   (*evidence).sayKept,
	},

	// What needs no drain. Without a lock there is nothing to say.
	{
		id: "back-in-range", in: unlocked | locked, when: backInRange, releases: true,
		given: "The ordinal is in range", say: says("The ordinal is back in range and no drain runs"),
	},
	{
		id: "no-claims", in: unlocked, when: noClaims,
		given: "The ordinal has no claims",
		idle:  "never-bound applies instead, and takes no step either",
	},
	{
		id: "policy-deleted", in: unlocked | locked, when: policyDeleted, releases: true,
		given: "The policy is being deleted", say: says("The policy is being deleted and no drain runs"),
	},
	{
		id: "lock-going", upholds: "I1", in: locked, when: lockGoing, releases: true,
		given: "The lock is being deleted", say: says("The lock is being deleted and no drain runs"),
	},
	{
		id: "outranked", in: unlocked | locked, when: outranked, releases: true,
		given: "Another policy for the StatefulSet counts", say: says("Another policy drains the StatefulSet"),
		idle: "not-accepted or failed-not-accepted applies instead, but a failed drain keeps its lock",
	},

	// Claims that are drained and kept.
	{
		id: "renew-mark", in: unlocked, when: keptBehind, then: renewMark,
		given: "Every claim's mark holds, and one names another generation than the StatefulSet's present one",
		idle:  "the marks become void, which costs another drain",
		state: drainv1alpha1.DrainDrained, reason: drainv1alpha1.ReasonClaimsKept, say: (*evidence).sayKept,
	},
	{
		id: "kept", in: unlocked, when: keptForGood,
		given: "Every claim's mark holds, and spec.whenDrained is Retain",
		state: drainv1alpha1.DrainDrained, reason: drainv1alpha1.ReasonClaimsKept, say: (*evidence).sayKept,
	},
	{
		id: "kept-for-now", in: unlocked, when: keptForNow, again: (*evidence).untilAsked,
		given: "Every claim's mark holds, and the drain that must precede their deletion can't start: a rule from `skipped` to `few-replicas` applies, other than `claim-missing`",
		idle:  "the rule that it waits for applies instead, and says Waiting instead of Drained",
		state: drainv1alpha1.DrainDrained, reason: drainv1alpha1.ReasonClaimsKept, say: (*evidence).sayKept,
	},

	// Why no drain is asked for.
	{
		id: "skipped", in: unlocked | locked, when: skippedClaim, releases: true,
		given: "A claim carries the annotation drain.statefulset.dev/skip",
		state: drainv1alpha1.DrainRetained, reason: drainv1alpha1.ReasonSkipped, say: (*evidence).saySkipped,
	},
	{
		id: "set-going", in: unlocked | locked, when: setGoingDrain, releases: true,
		given: "The StatefulSet is being deleted, and spec.whenDeleted is Drain",
		idle:  "set-gone applies instead, and says Retained until the StatefulSet is gone",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonStatefulSetNotFound,
		say: says("The StatefulSet is being deleted; the drain starts when it is gone, because spec.whenDeleted is Drain"),
	},
	{
		id: "set-gone", in: unlocked | locked, when: noSet, releases: true,
		given: "There is no StatefulSet, or it is being deleted, and spec.whenDeleted is not Drain or the operator never saw it",
		idle:  "not-accepted applies instead, and says Waiting instead of Retained",
		state: drainv1alpha1.DrainRetained, reason: drainv1alpha1.ReasonStatefulSetNotFound, say: says("Retained without draining: the StatefulSet is gone"),
	},
	{
		id: "scaled-retain", in: unlocked | locked, when: scaledRetain, releases: true,
		given: "spec.whenScaled is Retain, and the StatefulSet is there",
		state: drainv1alpha1.DrainRetained, reason: drainv1alpha1.ReasonWhenScaledRetain, say: says("Retained without draining: spec.whenScaled is Retain"),
	},
	{
		id: "never-bound", in: unlocked | locked, when: neverBound, releases: true,
		given: "No claim ever had a volume",
		idle:  "a volume would be created to be drained empty",
		state: drainv1alpha1.DrainRetained, reason: drainv1alpha1.ReasonNeverBound, say: says("Retained without draining: the claims never had a volume, so they hold no data"),
	},
	{
		id: "ambiguous", in: unlocked | locked, when: ambiguous, releases: true,
		given: "The operator can't tell which StatefulSet some claims belong to, and those that seem to be missing may be among them",
		idle:  "claim-missing applies instead, and says Blocked",
		state: drainv1alpha1.DrainWaiting, tell: (*evidence).tellReady,
	},
	{
		id: "claim-missing", upholds: "I6", in: unlocked | locked, when: claimMissing, releases: true,
		given: "A claim of the ordinal does not exist",
		state: drainv1alpha1.DrainBlocked, reason: drainv1alpha1.ReasonClaimMissing, say: (*evidence).sayMissing,
	},
	{
		id: "claim-going", in: unlocked | locked, when: claimGoing, releases: true,
		given: "A claim is being deleted, and not by the operator",
		idle:  "the claim is soon gone, and claim-missing applies then",
		state: drainv1alpha1.DrainBlocked, reason: drainv1alpha1.ReasonClaimTerminating, say: (*evidence).sayClaimGoing,
	},
	{
		id: "claim-lost", in: unlocked | locked, when: claimLost, releases: true,
		given: "A claim has lost its volume",
		idle:  "the drain's pod can't start, which the status says later",
		state: drainv1alpha1.DrainBlocked, reason: drainv1alpha1.ReasonClaimLost, say: (*evidence).sayLost,
	},

	// An attempt has failed.
	{
		id: "note-failure", upholds: "I6, I8", in: locked, when: unnoted, then: noteFailure,
		given: "The attempt failed, and the lock does not remember that",
		state: drainv1alpha1.DrainFailed, tell: (*evidence).tellFailure,
	},
	{
		id: "failed-not-asked", in: locked, when: failedNotAsked, again: soon,
		given: "The attempt failed, and the API server was not asked about the template and the StatefulSet of now",
		idle:  "failed-not-accepted applies instead, but says less",
		state: drainv1alpha1.DrainFailed, tell: (*evidence).tellFailedNotAsked,
	},
	{
		id: "failed-not-accepted", in: locked, when: failedNotAccepted,
		given: "The attempt failed, and the policy is not accepted or suspended",
		state: drainv1alpha1.DrainFailed, tell: (*evidence).tellFailedNotAccepted,
	},
	{
		id: "attempts-exhausted", upholds: "I8", in: locked, when: exhausted,
		given: "spec.retry.maxAttempts or more attempts failed under the lock, and the last one with the template of today: each edit of the template allows one more",
		state: drainv1alpha1.DrainFailed, reason: drainv1alpha1.ReasonAttemptsExhausted, say: (*evidence).sayExhausted,
	},
	{
		id: "back-off", upholds: "I8", in: locked, when: backingOff, again: func(e *evidence) time.Duration { return e.due().Sub(e.now) },
		given: "The attempt failed with the template of today, and its delay is not over",
		state: drainv1alpha1.DrainFailed, tell: (*evidence).tellBackoff,
	},
	{
		id: "retry-awaits-user", upholds: "I7", in: locked, when: failedInUse, again: soon,
		given: "The attempt failed, and another pod uses a claim",
		state: drainv1alpha1.DrainFailed, reason: drainv1alpha1.ReasonClaimInUse, say: (*evidence).sayAwaitsUser,
	},
	{
		id: "retry", in: locked, when: attemptFailed, then: startJob,
		given: "The attempt failed",
		idle:  "start takes the same step, but says Draining instead of Failed",
		state: drainv1alpha1.DrainFailed, tell: (*evidence).tellRetry,
	},

	// What an orphan waits for. With a lock, the lock is released or the first attempt starts.
	{
		id: "not-asked", in: unlocked | locked, when: notAsked, again: soon,
		given: "The API server was not asked about the template and the StatefulSet of now: one of them changed after the preflight",
		idle:  "not-accepted applies instead, but says less",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonPreflightFailed, say: (*evidence).sayNotAsked,
	},
	{
		id: "not-accepted", in: unlocked | locked, when: notAccepted, releases: true,
		given: "The policy is not accepted, or is suspended",
		state: drainv1alpha1.DrainWaiting, tell: (*evidence).tellReady,
	},
	{
		id: "young", in: unlocked, when: young, again: func(e *evidence) time.Duration { return e.oldEnough().Sub(e.now) },
		given: "The ordinal has been out of range for less than spec.minOrphanedSeconds",
		idle:  "the drain starts sooner than asked for",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonWaitingForMinOrphanedSeconds, say: (*evidence).sayYoung,
	},
	{
		id: "drained-before", in: unlocked, when: drainedBefore, again: func(e *evidence) time.Duration { return e.drainedAgainAt(e.voidSince()).Sub(e.now) },
		given: "The ordinal was drained a moment ago, and only the StatefulSet's generation, or a use reported since, makes its marks void",
		idle:  "the drain is repeated sooner",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonDrainedBefore, say: (*evidence).sayDrainedBefore,
	},
	{
		id: "few-replicas", in: unlocked, when: fewReplicas,
		given: "Fewer replicas than spec.minReadyReplicas are ready to take the data",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonWaitingForReadyReplicas, say: (*evidence).sayFewReplicas,
	},
	{
		id: "controller-behind", upholds: "I7", in: unlocked, when: behind,
		given: "The StatefulSet controller has not observed the present spec",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonStatefulSetNotObserved, say: (*evidence).sayBehind,
	},
	{
		id: "lock-of-another", upholds: "I3", in: unlocked, when: lockOfAnother, again: soon,
		given: "The lock of another policy stands",
		idle:  "pod-exists waits as well, but says less",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonLockHeld, say: (*evidence).sayLockHeld,
	},
	{
		id: "pod-exists", upholds: "I3", in: unlocked, when: podExists, again: soon,
		given: "The ordinal's own pod exists",
		idle:  "pod names are unique, so the lock can't be created; a pod that uses a claim makes claim-in-use apply",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonPodStillExists, say: (*evidence).sayPodExists,
	},
	{
		id: "claim-in-use", upholds: "I7", in: unlocked, when: inUse, again: soon,
		given: "A pod uses a claim",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonClaimInUse, say: (*evidence).sayAwaitsUser,
	},
	{
		id: "await-lock", in: unlocked, when: lockRefused, again: (*evidence).untilLock,
		given: "The status says that the lock was refused a moment ago",
		idle:  "the lock is asked for again sooner",
		state: drainv1alpha1.DrainBlocked, reason: drainv1alpha1.ReasonLockRefused, say: (*evidence).sayLockRefused,
	},
	{
		id: "wait-for-slot", in: unlocked, when: noSlot,
		given: "spec.maxConcurrentDrains ordinals have locks, or take them before this one",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonWaitingForSlot, say: (*evidence).sayNoSlot,
	},
	{
		id: "hold-policy-kept", upholds: "I2", in: unlocked, when: noFinalizerKept, then: addFinalizer,
		given: "The policy lacks the operator's finalizer, and the claims are drained and kept",
		idle:  "hold-policy takes the same step, but says Waiting instead of Drained",
		state: drainv1alpha1.DrainDrained, reason: drainv1alpha1.ReasonClaimsKept, say: (*evidence).sayKept,
	},
	{
		id: "hold-policy", upholds: "I2", in: unlocked, when: noFinalizer, then: addFinalizer,
		given: "The policy lacks the operator's finalizer",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonStarting, say: says("Adding the finalizer to the policy"),
	},
	{
		id: "lock-kept", in: unlocked, when: kept, then: takeLock,
		given: "The claims are drained and kept, and are to be deleted by now: they are drained once more for that",
		idle:  "take-lock takes the same step, but says Waiting instead of Drained",
		state: drainv1alpha1.DrainDrained, reason: drainv1alpha1.ReasonClaimsKept, say: (*evidence).sayKept,
	},
	{
		id: "take-lock", in: unlocked, when: always, then: takeLock,
		given: "Otherwise",
		state: drainv1alpha1.DrainWaiting, reason: drainv1alpha1.ReasonStarting, say: says("Taking the lock"),
	},
	{
		id: "start-awaits-user", upholds: "I7", in: locked, when: inUse, again: soon,
		given: "Another pod uses a claim",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonClaimInUse, say: (*evidence).sayAwaitsUser,
	},
	{
		id: "job-vanished", upholds: "I8", in: locked, when: vanished, again: func(e *evidence) time.Duration { return e.last.Asked.Add(askAgain).Sub(e.now) },
		given: "The Job was created a moment ago, and is gone",
		idle:  "the Job is created again without the short wait; a pod that ran makes it an attempt that failed",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonLocked, say: (*evidence).sayVanished,
	},
	{
		id: "start", in: locked, when: always, then: startJob,
		given: "Otherwise",
		state: drainv1alpha1.DrainDraining, reason: drainv1alpha1.ReasonLocked, say: says("The ordinal is locked; creating the Job"),
	},

	// A lock whose policy is gone, because a person removed its finalizer or two managers met at a leader change. Nothing
	// else would release it.
	{
		id: "abandoned-job", upholds: "I1", in: abandoned, when: hasOwnerlessJob, then: deleteOwnerlessJob,
		given: "An unfinished Job has no controller, so that the garbage collector does not stop it", say: says("Its Job has no controller"),
	},
	{
		id: "abandoned-pod", upholds: "I1", in: abandoned, when: hasOwnerlessPod, then: deleteOwnerlessPod,
		given: "A drain pod has not ended and has no Job, so that nothing else ends it", say: says("Its drain pod has no Job"),
	},
	{
		id: "abandoned-busy", upholds: "I2", in: abandoned, when: stillBusy,
		given: "A Job or drain pod of the ordinal is not over", say: (*evidence).sayStillBusy,
	},
	{
		id: "abandoned", in: abandoned, when: always, then: releaseVoid,
		given: "Otherwise: the marks are made void, because the next policy must find out whether a pod uses the claims",
		say:   says("The policy is gone and no drain runs"),
	},

	// The policy as a whole.
	{
		id: "policy-needed", upholds: "I2", in: policy, when: policyNeeded,
		given: "An ordinal has a lock, an unfinished Job or a live drain pod, or is about to take a lock",
	},
	{
		id: "let-policy-go", in: policy, when: hasFinalizer, then: removeFinalizer,
		given: "The policy has the operator's finalizer",
	},
	{
		id: "policy-free", in: policy, when: always,
		given: "Otherwise",
		idle:  "no step is taken either way",
	},
	{
		id: "drop-surplus-job", in: history, when: surplus, then: deleteSurplus,
		given: "More finished Jobs belong to no drain under way than the ten that are kept for their logs",
	},
	{
		id: "keep-jobs", in: history, when: always,
		given: "Otherwise",
		idle:  "no step is taken either way",
	},
}

// decide returns the first rule that applies to the evidence, carried out.
func (protocol Protocol) decide(e *evidence, in phase) Drain {
	for i := range protocol {
		if r := &protocol[i]; r.in&in != 0 && r.when(e) {
			return r.apply(e)
		}
	}
	// TestTheProtocolIsTotal holds that each phase ends in a rule that always applies.
	return e.entry()
}

// apply says what a rule says and makes its step.
func (r *rule) apply(e *evidence) Drain {
	d := e.entry()
	d.Rule, d.State, d.Reason = r.id, r.state, r.reason
	switch {
	case r.tell != nil:
		d.Reason, d.Message = r.tell(e)
	case r.say != nil:
		d.Message = r.say(e)
	}
	if r.reason == drainv1alpha1.ReasonPodStillExists {
		d.Overdue = overdueSince(e.namesake)
	}
	if r.again != nil {
		d.RetryAfter = r.again(e)
	}
	then := r.then
	if r.releases && e.lock != nil {
		then = release
		d.State, d.Reason, d.RetryAfter = drainv1alpha1.DrainDraining, drainv1alpha1.ReasonReleasingLock, 0
		if e.failure != nil && !released(e) {
			d.Message = fmt.Sprintf("%s; attempt %d had failed: %s", d.Message, e.failure.Number, e.failure.Why)
		}
	}
	if then != nil {
		d.Next = then.of(e)
	}
	if d.Next == nil && d.RetryAfter == 0 && slices.ContainsFunc(e.pods, hanging) {
		// Nothing in the cluster changes any more when a node is gone; only the time does.
		d.RetryAfter = recheck
	}
	return d
}

// entry returns what is known of an ordinal, whichever rule applies.
func (e *evidence) entry() Drain {
	d := Drain{Ordinal: e.number, InRange: e.inRange, Claims: e.claims, Lock: e.lock, Job: e.job, Outcome: e.outcome, Succeeded: e.succeeded}
	d.Attempts = max(e.attempt, e.last.Number)
	if e.failure != nil {
		d.Attempts = max(d.Attempts, e.failure.Number)
	}
	if !e.inRange && len(e.claims) > 0 && e.Policy != nil {
		d.OrphanedSince = e.orphanedSince()
	}
	if len(e.held) > 0 {
		d.Mark = e.markOn(&e.held[0])
	}
	d.Overdue = e.longestOverdue()
	return d
}

// Row is a rule as the documentation shows it.
type Row struct {
	// Rule is its name, and Upholds the invariants that it is there for, separated by commas, or empty.
	Rule, Upholds string
	// Phases are those in which it applies.
	Phases []string
	// Given says when it applies; each row supposes that none before it does.
	Given string
	// State and Reason are what the status says, or empty where something else gives them.
	State, Reason string
	// Releases says that a lock, if there is one, is released; State and Reason are those without a lock then.
	Releases bool
	// Step is the next write, or empty to wait.
	Step string
	// Idle says why the simulation shows no promise broken without the rule, and is empty if it must show one.
	Idle string
	// Rare says why the simulation does not come across the rule, and is empty if it must.
	Rare string
}

// phaseNames are the phases in the order of an ordinal's way through them.
var phaseNames = []struct {
	phase phase
	name  string
}{
	{unlocked, "unlocked"},
	{underway, "underway"},
	{locked, "locked"},
	{abandoned, "abandoned"},
	{policy, "policy"},
	{history, "history"},
}

// Rows returns the rules for the documentation, in their order.
func (protocol Protocol) Rows() []Row {
	rows := make([]Row, 0, len(protocol))
	for i := range protocol {
		r := &protocol[i]
		row := Row{Rule: r.id, Upholds: r.upholds, Given: r.given, State: string(r.state), Reason: r.reason, Releases: r.releases, Idle: r.idle, Rare: r.rare}
		for _, p := range phaseNames {
			if r.in&p.phase != 0 {
				row.Phases = append(row.Phases, p.name)
			}
		}
		switch {
		case r.then != nil:
			row.Step = r.then.step
		case r.releases:
			row.Step = release.step
		}
		rows = append(rows, row)
	}
	return rows
}

// Names returns the names of the rules, in their order.
func (protocol Protocol) Names() []string {
	names := make([]string, 0, len(protocol))
	for i := range protocol {
		names = append(names, protocol[i].id)
	}
	return names
}

// Without returns the protocol without a rule, for the tests that show which promise it keeps.
func (protocol Protocol) Without(id string) Protocol {
	return slices.DeleteFunc(slices.Clone(protocol), func(r rule) bool { return r.id == id })
}

// Observed returns the protocol as one that tells of each rule that applies.
func (protocol Protocol) Observed(applies func(rule string)) Protocol {
	observed := slices.Clone(protocol)
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
