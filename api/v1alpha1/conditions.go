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
	// ConditionReady is True when the policy is accepted: its StatefulSet exists, nothing contradicts the policy, and the API
	// server accepts the Job and the pod that the template becomes.
	ConditionReady = "Ready"
	// ConditionDrained is True when no orphaned ordinal holds undrained data. It is the condition for "kubectl wait
	// --for=condition=Drained"; first wait until status.statefulSet describes the scale-down.
	ConditionDrained = "Drained"
	// ConditionScaled is True when the StatefulSet has the replicas of spec.replicas. It is absent while that is unset.
	ConditionScaled = "Scaled"
	// ConditionStalled is True when a person must act.
	ConditionStalled = "Stalled"
)

// Reasons of the Ready condition. With Accepted, RetainsClaims and Suspended its status is True, with PreflightFailed it is Unknown, and
// with all others it is False.
const (
	// ReasonAccepted means that the operator drains the ordinals that a scale-down orphans.
	ReasonAccepted = "Accepted"
	// ReasonRetainsClaims means that the policy is accepted and that spec.whenScaled is Retain, so a scale-down is not drained.
	ReasonRetainsClaims = "RetainsClaims"
	// ReasonStatefulSetNotFound means that the StatefulSet of spec.statefulSetRef does not exist or is being deleted.
	ReasonStatefulSetNotFound = "StatefulSetNotFound"
	// ReasonNoClaimTemplates means that the StatefulSet has no volumeClaimTemplates, so a scale-down leaves no claims behind.
	ReasonNoClaimTemplates = "NoClaimTemplates"
	// ReasonClaimsDeletedOnScaleDown means that the StatefulSet's own persistentVolumeClaimRetentionPolicy deletes the claims
	// before a drain could mount them.
	ReasonClaimsDeletedOnScaleDown = "ClaimsDeletedOnScaleDown"
	// ReasonClaimsDeletedWithStatefulSet means that spec.whenDeleted is Drain and that the StatefulSet's own
	// persistentVolumeClaimRetentionPolicy deletes the claims with the StatefulSet, before a drain could mount them.
	ReasonClaimsDeletedWithStatefulSet = "ClaimsDeletedWithStatefulSet"
	// ReasonGracePeriodZero means that the StatefulSet's pod template has terminationGracePeriodSeconds: 0. Such pods can
	// disappear while their containers run, so a drain could run at the same time.
	ReasonGracePeriodZero = "GracePeriodZero"
	// ReasonNoMatchLabels means that the StatefulSet's selector has no matchLabels. Its controller gives these to the claims that it
	// makes, and only they tell the claims from those of another workload.
	ReasonNoMatchLabels = "NoMatchLabels"
	// ReasonTooManyClaimTemplates means that the StatefulSet has more than 100 volumeClaimTemplates.
	ReasonTooManyClaimTemplates = "TooManyClaimTemplates"
	// ReasonPolicyConflict means that an older DrainPolicy names the same StatefulSet.
	ReasonPolicyConflict = "PolicyConflict"
	// ReasonManagedPolicyYielding means that the policy that the operator created for an annotation of the StatefulSet stops
	// its drains, because a user created a policy for the same StatefulSet. Both policies have this reason until the managed
	// one is deleted.
	ReasonManagedPolicyYielding = "ManagedPolicyYielding"
	// ReasonInvalidTemplate means that the template can't become a drain pod. The API server refuses it in a dry run, or a success
	// of it would prove nothing. Or a volume of it hides a claim, or the annotation of spec.templateFrom can't be read.
	ReasonInvalidTemplate = "InvalidTemplate"
	// ReasonPreflightFailed means that the operator could not ask the API server whether it accepts the template. The status of
	// Ready is Unknown.
	ReasonPreflightFailed = "PreflightFailed"
	// ReasonLookFailed means that the operator could not read what it needs to decide, for example because a right is missing.
	// The status of Ready is Unknown, and the other conditions are what was known last.
	ReasonLookFailed = "LookFailed"
	// ReasonAmbiguousClaims means that a claim can belong to more than one StatefulSet.
	ReasonAmbiguousClaims = "AmbiguousClaims"
	// ReasonSuspended means that the policy is accepted and that spec.suspend is true, so no drain starts. A drain with this reason waits for the policy to be resumed.
	ReasonSuspended = "Suspended"
	// ReasonPolicyDeleted means that the policy is being deleted, and that the operator stops its drains and releases its
	// locks.
	ReasonPolicyDeleted = "PolicyDeleted"
)

// Reasons of the Drained condition. While a drain is under way or waits, the condition has the reason of the most urgent drain
// instead; see the reasons of a drain below.
const (
	// ReasonNoOrphans means that no claim outside the StatefulSet's range holds data. The status is True.
	ReasonNoOrphans = "NoOrphans"
	// ReasonAllDrained means that all claims outside the StatefulSet's range are drained and kept. The status is True.
	ReasonAllDrained = "AllDrained"
	// ReasonRetained means that no drain is pending, and that undrained claims are kept as requested, by spec.whenScaled or by
	// an annotation. The status is False.
	ReasonRetained = "Retained"
	// ReasonClaimsStranded means that no drain is pending, and that status.strandedClaims lists claims that the operator does
	// not drain. The status is False.
	ReasonClaimsStranded = "ClaimsStranded"
)

// Reasons of the Stalled condition, other than reasons of Ready or of a drain.
const (
	// ReasonProgressing means that no action is required.
	ReasonProgressing = "Progressing"
)

// Reasons of the Scaled condition. It can also have the reason of Ready for which nothing is scaled, and StatefulSetNotObserved,
// WaitingForReadyReplicas, PodStillExists, StoppingJob, PodNotStarted or WriteRefused, which mean the same as for a drain. With
// ClaimsStranded, the operator would not drain claims of the next ordinal.
const (
	// ReasonReplicasReached means that the StatefulSet has spec.replicas, and that no member leaves or joins again. The status is True.
	ReasonReplicasReached = "ReplicasReached"
	// ReasonScalingUp means that the operator raises the replicas of the StatefulSet.
	ReasonScalingUp = "ScalingUp"
	// ReasonScalingDown means that the operator lowers the replicas of the StatefulSet by one.
	ReasonScalingDown = "ScalingDown"
	// ReasonWaitingForDrains means that the next ordinal waits until the drain of the last one is over.
	ReasonWaitingForDrains = "WaitingForDrains"
	// ReasonTooFewReplicas means that fewer than spec.minReadyReplicas would remain to take the data of the next ordinal.
	ReasonTooFewReplicas = "TooFewReplicas"
	// ReasonWaitingForPod means that the pod of the member that is to leave, or to join again, does not exist, or is being deleted.
	ReasonWaitingForPod = "WaitingForPod"
	// ReasonWaitingForMember means that a pod runs that takes the member of another ordinal out or in.
	ReasonWaitingForMember = "WaitingForMember"
	// ReasonLeaving means that the Job runs by which a member leaves.
	ReasonLeaving = "Leaving"
	// ReasonLeaveFailed means that this Job has failed. Another attempt follows.
	ReasonLeaveFailed = "LeaveFailed"
	// ReasonRejoining means that the Job runs by which a member joins again that had begun to leave.
	ReasonRejoining = "Rejoining"
	// ReasonRejoinFailed means that this Job has failed. Another attempt follows.
	ReasonRejoinFailed = "RejoinFailed"
	// ReasonMemberNotBack means that a member that began to leave is to stay, and that no Job can let it join again: spec.leave is
	// unset, or the annotation of the policy that names such members can't be read.
	ReasonMemberNotBack = "MemberNotBack"
	// ReasonReplicasContested means that something else sets the replicas of the StatefulSet again and again. The operator changes them
	// less and less often.
	ReasonReplicasContested = "ReplicasContested"
	// ReasonScaleForbidden means that the operator has no right to update statefulsets/scale. The component config/components/scaling
	// gives it.
	ReasonScaleForbidden = "ScaleForbidden"
)

// Reasons of a drain that waits. A drain can also wait for what the Ready condition reports, and then has its reason.
const (
	// ReasonPodStillExists means that the StatefulSet's own pod of the ordinal still exists.
	ReasonPodStillExists = "PodStillExists"
	// ReasonStatefulSetNotObserved means that the StatefulSet controller has not observed the latest generation of the
	// StatefulSet, so it may still act on an older one.
	ReasonStatefulSetNotObserved = "StatefulSetNotObserved"
	// ReasonWaitingForReadyReplicas means that fewer than spec.minReadyReplicas of the remaining replicas are ready.
	ReasonWaitingForReadyReplicas = "WaitingForReadyReplicas"
	// ReasonWaitingForMinOrphanedSeconds means that the ordinal has not been outside the range for spec.minOrphanedSeconds yet.
	ReasonWaitingForMinOrphanedSeconds = "WaitingForMinOrphanedSeconds"
	// ReasonDrainedBefore means that the ordinal was drained a moment ago, and that the StatefulSet has changed too often since
	// to prove that the ordinal stayed outside the range, or that Kubernetes has reported a use of the claims since.
	ReasonDrainedBefore = "DrainedBefore"
	// ReasonWaitingForSlot means that spec.maxConcurrentDrains drains are under way.
	ReasonWaitingForSlot = "WaitingForSlot"
	// ReasonLockHeld means that the ordinal's lock belongs to another DrainPolicy, or to one that was deleted.
	ReasonLockHeld = "LockHeld"
	// ReasonClaimInUse means that a pod other than the drain pod uses a claim of the ordinal.
	ReasonClaimInUse = "ClaimInUse"
	// ReasonStarting means that the operator has decided to drain the ordinal and takes its lock next.
	ReasonStarting = "Starting"
)

// Reasons of a drain that is under way.
const (
	// ReasonLocked means that the operator holds the lock and creates the Job next.
	ReasonLocked = "Locked"
	// ReasonJobRunning means that the Job runs.
	ReasonJobRunning = "JobRunning"
	// ReasonProgressDeadlineExceeded means that the Job runs, and has reported no progress for spec.progressDeadlineSeconds.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"
	// ReasonPodNotStarted means that the drain pod is not scheduled or that its containers have not started yet.
	ReasonPodNotStarted = "PodNotStarted"
	// ReasonQueued means that the Job is suspended, or that its pod has scheduling gates of others, such as a queueing
	// controller.
	ReasonQueued = "Queued"
	// ReasonPodUnschedulable means that the scheduler finds no node for the drain pod.
	ReasonPodUnschedulable = "PodUnschedulable"
	// ReasonPodsFailing means that containers of the Job's pods have failed ten times, and that the Job continues because of
	// its podFailurePolicy or a large backoffLimit.
	ReasonPodsFailing = "PodsFailing"
	// ReasonSidecarRunning means that all containers of the template have terminated, and that a container that something else
	// added keeps the drain pod running.
	ReasonSidecarRunning = "SidecarRunning"
	// ReasonImagePullFailed means that the kubelet can't pull an image of the drain pod.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonContainerConfigError means that the kubelet can't create a container of the drain pod.
	ReasonContainerConfigError = "ContainerConfigError"
	// ReasonBackInRange means that the StatefulSet was scaled up and that its pod waits for the running drain.
	ReasonBackInRange = "BackInRange"
	// ReasonStoppingJob means that the operator has deleted a Job and waits for its pods to terminate.
	ReasonStoppingJob = "StoppingJob"
	// ReasonMarkingClaims means that the Job has succeeded and that the operator marks the claims as drained next.
	ReasonMarkingClaims = "MarkingClaims"
	// ReasonDeletingClaims means that the operator deletes the drained claims.
	ReasonDeletingClaims = "DeletingClaims"
	// ReasonReleasingLock means that the operator releases the lock, as the last step of a drain.
	ReasonReleasingLock = "ReleasingLock"
)

// Reasons of a drain that is Failed, Blocked, Retained or Drained.
const (
	// ReasonJobFailed means that the Job of the latest attempt has failed. Another attempt follows.
	ReasonJobFailed = "JobFailed"
	// ReasonNotProven means that the latest attempt ended with exit code 0 and did not prove that it finished.
	ReasonNotProven = "NotProven"
	// ReasonJobDeleted means that the Job of the latest attempt was deleted before the operator observed how it ended.
	ReasonJobDeleted = "JobDeleted"
	// ReasonPodChanged means that a webhook or a LimitRange changed the drain pod so that its success would prove nothing.
	ReasonPodChanged = "PodChanged"
	// ReasonAttemptsExhausted means that spec.retry.maxAttempts attempts have failed.
	ReasonAttemptsExhausted = "AttemptsExhausted"
	// ReasonJobRefused means that the API server refuses the Job.
	ReasonJobRefused = "JobRefused"
	// ReasonLockRefused means that the API server refuses the lock, for example because of a quota.
	ReasonLockRefused = "LockRefused"
	// ReasonWriteRefused means that the API server refuses another write of the operator, for example because of an admission
	// policy.
	ReasonWriteRefused = "WriteRefused"
	// ReasonClaimMissing means that the ordinal has claims of some claim templates only.
	ReasonClaimMissing = "ClaimMissing"
	// ReasonClaimLost means that a claim has lost its volume.
	ReasonClaimLost = "ClaimLost"
	// ReasonClaimTerminating means that a claim of the ordinal is being deleted, and not by the operator.
	ReasonClaimTerminating = "ClaimTerminating"
	// ReasonWhenScaledRetain means that spec.whenScaled is Retain, so the claims are kept undrained.
	ReasonWhenScaledRetain = "WhenScaledRetain"
	// ReasonSkipped means that a claim of the ordinal has the annotation drain.statefulset.dev/skip: "true", so the claims are
	// kept undrained.
	ReasonSkipped = "Skipped"
	// ReasonClaimsKept means that the claims are drained and kept.
	ReasonClaimsKept = "ClaimsKept"
	// ReasonClaimsDeleted means that the claims are drained and deleted.
	ReasonClaimsDeleted = "ClaimsDeleted"
	// ReasonNeverBound means that the claims never had a volume, so they hold no data.
	ReasonNeverBound = "NeverBound"
)
