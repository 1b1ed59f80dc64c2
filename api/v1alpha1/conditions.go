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

package v1alpha1

// Condition types of a DrainPolicy.
const (
	// ConditionReady says whether the policy is armed: its StatefulSet exists, nothing
	// contradicts it, and the API server accepts the Job and the pod it would create.
	ConditionReady = "Ready"
	// ConditionDrained says whether no orphan awaits a drain. It is what
	// `kubectl wait --for=condition=Drained` waits on.
	ConditionDrained = "Drained"
	// ConditionStalled is True only when a person must act.
	ConditionStalled = "Stalled"
)

// Reasons of the Ready condition, of which all but Armed go with status False.
const (
	// ReasonArmed surfaces when a scale-down now would be drained.
	ReasonArmed = "Armed"
	// ReasonStatefulSetNotFound surfaces while no StatefulSet has the name that spec.statefulSetRef gives.
	ReasonStatefulSetNotFound = "StatefulSetNotFound"
	// ReasonNoClaimTemplates surfaces when the StatefulSet has no volumeClaimTemplates, so that nothing can be left behind.
	ReasonNoClaimTemplates = "NoClaimTemplates"
	// ReasonClaimsDeletedOnScaleDown surfaces when the StatefulSet's own
	// persistentVolumeClaimRetentionPolicy deletes the claims before a drain could mount them.
	ReasonClaimsDeletedOnScaleDown = "ClaimsDeletedOnScaleDown"
	// ReasonClaimsDeletedWithStatefulSet surfaces when spec.whenDeleted is Drain, and the StatefulSet's own
	// persistentVolumeClaimRetentionPolicy deletes the claims with it, before a drain could mount them.
	ReasonClaimsDeletedWithStatefulSet = "ClaimsDeletedWithStatefulSet"
	// ReasonGracePeriodZero surfaces when the StatefulSet's Pod template has terminationGracePeriodSeconds: 0. Such pod
	// objects disappear while their containers run, so that a drain could start beside them.
	ReasonGracePeriodZero = "GracePeriodZero"
	// ReasonTooManyClaimTemplates surfaces when the StatefulSet has more than 100 volumeClaimTemplates.
	ReasonTooManyClaimTemplates = "TooManyClaimTemplates"
	// ReasonPolicyConflict surfaces when an older DrainPolicy names the same StatefulSet.
	ReasonPolicyConflict = "PolicyConflict"
	// ReasonManagedPolicyYielding surfaces while the policy that the operator kept for an annotation
	// of the StatefulSet stops its drains and goes, because somebody's own names the StatefulSet too:
	// on both of them.
	ReasonManagedPolicyYielding = "ManagedPolicyYielding"
	// ReasonInvalidTemplate surfaces when the template can't become a drain pod: the API
	// server refused a dry run, a volume of the template hides a claim, or the annotation that
	// spec.templateFrom names can't be read.
	ReasonInvalidTemplate = "InvalidTemplate"
	// ReasonPreflightFailed surfaces, with status Unknown, when the API server could not be
	// asked about the template.
	ReasonPreflightFailed = "PreflightFailed"
	// ReasonLookFailed surfaces, with status Unknown, when the operator could not read what the decision needs, because a
	// right is missing for example. The other conditions are what was known last.
	ReasonLookFailed = "LookFailed"
	// ReasonAmbiguousClaims surfaces when a claim can belong to more than one StatefulSet.
	ReasonAmbiguousClaims = "AmbiguousClaims"
	// ReasonSuspended surfaces when spec.suspend is true; on a drain, it is what it waits for.
	ReasonSuspended = "Suspended"
	// ReasonPolicyDeleted surfaces while a policy that is being deleted stops its drains and gives back its locks.
	ReasonPolicyDeleted = "PolicyDeleted"
)

// Reasons of the Drained condition. While it is False, the reason is that of the drain that
// is under way, or else of the first that waits; see the reasons of a drain below.
const (
	// ReasonNoOrphans surfaces when no claim lies outside the StatefulSet's range.
	ReasonNoOrphans = "NoOrphans"
	// ReasonAllDrained surfaces when every claim outside the range is drained and kept.
	ReasonAllDrained = "AllDrained"
	// ReasonRetained surfaces when claims lie outside the range and nobody asked for their drain.
	ReasonRetained = "Retained"
	// ReasonClaimsStranded surfaces when all else is drained, and status.strandedClaims names claims that nobody drains.
	ReasonClaimsStranded = "ClaimsStranded"
)

// Reasons of the Stalled condition that aren't reasons of Ready or of a drain.
const (
	// ReasonProgressing surfaces when nobody needs to act.
	ReasonProgressing = "Progressing"
)

// Reasons of a drain that waits. It may also wait for what the Ready condition names.
const (
	// ReasonPodStillExists surfaces while the StatefulSet's own pod of the ordinal has not gone.
	ReasonPodStillExists = "PodStillExists"
	// ReasonStatefulSetNotObserved surfaces while the StatefulSet controller has not yet seen the
	// StatefulSet's present generation, so that it may still act on the one before.
	ReasonStatefulSetNotObserved = "StatefulSetNotObserved"
	// ReasonWaitingForReadyReplicas surfaces while fewer than spec.minReadyReplicas remaining replicas are ready.
	ReasonWaitingForReadyReplicas = "WaitingForReadyReplicas"
	// ReasonWaitingForMinOrphanedSeconds surfaces until the ordinal has been out of range for spec.minOrphanedSeconds.
	ReasonWaitingForMinOrphanedSeconds = "WaitingForMinOrphanedSeconds"
	// ReasonDrainedBefore surfaces when the ordinal was drained a moment ago, and the StatefulSet has changed too often since to
	// tell that it stayed out of range.
	ReasonDrainedBefore = "DrainedBefore"
	// ReasonWaitingForSlot surfaces while spec.maxConcurrentDrains drains are under way.
	ReasonWaitingForSlot = "WaitingForSlot"
	// ReasonLockHeld surfaces while the lock of another DrainPolicy, or of one that was deleted, has the name of the
	// ordinal's pod.
	ReasonLockHeld = "LockHeld"
	// ReasonClaimInUse surfaces while a pod that isn't the drain's uses a claim of the ordinal.
	ReasonClaimInUse = "ClaimInUse"
	// ReasonStarting surfaces between the decision to drain and the lock.
	ReasonStarting = "Starting"
)

// Reasons of a drain that is under way.
const (
	// ReasonLocked surfaces when the lock is held and the Job is about to be created.
	ReasonLocked = "Locked"
	// ReasonJobRunning surfaces while the Job runs.
	ReasonJobRunning = "JobRunning"
	// ReasonPodNotStarted surfaces while the drain pod is unscheduled or its containers are not started yet.
	ReasonPodNotStarted = "PodNotStarted"
	// ReasonQueued surfaces while the Job is suspended or its pod has scheduling gates of others, a queueing controller
	// for example.
	ReasonQueued = "Queued"
	// ReasonPodUnschedulable surfaces while the scheduler finds no node for the drain pod.
	ReasonPodUnschedulable = "PodUnschedulable"
	// ReasonPodsFailing surfaces when the containers of a Job's pods have failed ten times and the Job goes on, because of
	// its podFailurePolicy or a large backoffLimit.
	ReasonPodsFailing = "PodsFailing"
	// ReasonSidecarRunning surfaces when every container of the template has ended and the pod runs on, because of a
	// container that something else added to it.
	ReasonSidecarRunning = "SidecarRunning"
	// ReasonImagePullFailed surfaces when the kubelet can't pull an image of the drain pod.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonContainerConfigError surfaces when the kubelet can't create a container of the drain pod.
	ReasonContainerConfigError = "ContainerConfigError"
	// ReasonWantedBack surfaces when the StatefulSet was scaled up and waits for the running drain.
	ReasonWantedBack = "WantedBack"
	// ReasonStoppingJob surfaces while a Job is being deleted, until its pods are gone.
	ReasonStoppingJob = "StoppingJob"
	// ReasonMarkingClaims surfaces when the Job is complete and its claims are about to be marked as drained.
	ReasonMarkingClaims = "MarkingClaims"
	// ReasonDeletingClaims surfaces while drained claims are being deleted.
	ReasonDeletingClaims = "DeletingClaims"
	// ReasonReleasingLock surfaces when all is done but the lock.
	ReasonReleasingLock = "ReleasingLock"
)

// Reasons of a drain that failed, is blocked, retained or drained.
const (
	// ReasonJobFailed surfaces when the latest attempt failed and another one follows.
	ReasonJobFailed = "JobFailed"
	// ReasonNotProven surfaces when the latest attempt ended with exit code 0 and left no proof that it had finished.
	ReasonNotProven = "NotProven"
	// ReasonJobDeleted surfaces when the Job of the latest attempt was deleted before the operator knew how it had ended.
	ReasonJobDeleted = "JobDeleted"
	// ReasonPodChanged surfaces when a webhook or a LimitRange changed the drain pod so that its success could not be believed.
	ReasonPodChanged = "PodChanged"
	// ReasonAttemptsExhausted surfaces when spec.retry.maxAttempts attempts have failed.
	ReasonAttemptsExhausted = "AttemptsExhausted"
	// ReasonJobRefused surfaces when the API server refuses the Job.
	ReasonJobRefused = "JobRefused"
	// ReasonLockRefused surfaces when the API server refuses the lock, because of a quota for example.
	ReasonLockRefused = "LockRefused"
	// ReasonWriteRefused surfaces when the API server refuses another write of the operator, because of an admission policy
	// for example.
	ReasonWriteRefused = "WriteRefused"
	// ReasonClaimMissing surfaces when the ordinal has claims of some claim templates only.
	ReasonClaimMissing = "ClaimMissing"
	// ReasonClaimLost surfaces when a claim has lost its volume.
	ReasonClaimLost = "ClaimLost"
	// ReasonClaimTerminating surfaces when somebody else deletes a claim of the ordinal.
	ReasonClaimTerminating = "ClaimTerminating"
	// ReasonWhenScaledRetain surfaces when spec.whenScaled is Retain.
	ReasonWhenScaledRetain = "WhenScaledRetain"
	// ReasonSkipped surfaces when a claim carries the annotation drain.statefulset.dev/skip: "true".
	ReasonSkipped = "Skipped"
	// ReasonClaimsKept surfaces when the drained claims are kept.
	ReasonClaimsKept = "ClaimsKept"
	// ReasonClaimsDeleted surfaces when the drained claims are deleted.
	ReasonClaimsDeleted = "ClaimsDeleted"
	// ReasonNeverBound surfaces when the claims never had a volume, so that they hold nothing.
	ReasonNeverBound = "NeverBound"
)
