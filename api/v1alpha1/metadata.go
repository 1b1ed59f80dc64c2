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

// Labels and annotations of the objects that the operator creates or marks.
const (
	// PolicyUIDLabel is the UID of the DrainPolicy, on its locks, Jobs, drain pods and DrainRecords.
	PolicyUIDLabel = "drain.statefulset.dev/policy-uid"
	// OrdinalLabel is the ordinal in decimal, on locks, Jobs, drain pods and DrainRecords.
	OrdinalLabel = "drain.statefulset.dev/ordinal"
	// AttemptLabel is the number of the attempt, starting from 1, on Jobs, drain pods and DrainRecords.
	AttemptLabel = "drain.statefulset.dev/attempt"
	// RoleLabel is RoleLock on locks, RoleDrain on Jobs and drain pods, and RoleLeave on the Jobs and pods by which members leave.
	RoleLabel = "drain.statefulset.dev/role"

	// PolicyAnnotation is the name of the DrainPolicy. It can be longer than the value of a label.
	PolicyAnnotation = "drain.statefulset.dev/policy"
	// LockAnnotation is, on a Job, the UID of the lock that the Job runs under.
	LockAnnotation = "drain.statefulset.dev/lock"
	// JobAnnotation is, on a lock, the UID of the Job whose pods can run under the lock.
	JobAnnotation = "drain.statefulset.dev/job"
	// AttemptAnnotation is, on a lock, the latest attempt of its drain and how it failed. Both outlive the Job.
	AttemptAnnotation = "drain.statefulset.dev/latest-attempt"
	// PodAnnotation is, on a lock, the UID of the drain pod that the operator ungated last under the lock, or is about to. On a
	// Job with the role RoleLeave, it is the UID of the StatefulSet's pod that is to leave or to join again.
	PodAnnotation = "drain.statefulset.dev/pod"

	// ActionAnnotation is, on a Job with the role RoleLeave, ActionLeave or ActionRejoin.
	ActionAnnotation = "drain.statefulset.dev/action"
	// FailuresAnnotation is, on such a Job, how many Jobs with the same action have failed before it, in a row.
	FailuresAnnotation = "drain.statefulset.dev/failures"

	// MembersAnnotation is, on a DrainPolicy, the members that have begun to leave and are not known to be back, as JSON by ordinal.
	// It outlives the Jobs by which they leave.
	MembersAnnotation = "drain.statefulset.dev/members"

	// DeletingAnnotation is, on a lock, the claims that the operator deletes under the lock, as a comma-separated list of
	// name=resourceVersion.
	DeletingAnnotation = "drain.statefulset.dev/deleting"
	// TemplateHashAnnotation is, on a Job, a hash of everything that its pod was made from.
	TemplateHashAnnotation = "drain.statefulset.dev/template-hash"
	// ImagesAnnotation is, on a drain pod, a hash of the images that the pod had when it was ungated.
	ImagesAnnotation = "drain.statefulset.dev/images"
	// ProofAnnotation is, on a Job, the spec.proof that the Job was created under.
	ProofAnnotation = "drain.statefulset.dev/proof"
	// DrainedAnnotation is the mark on a claim, which records a successful drain of that claim.
	DrainedAnnotation = "drain.statefulset.dev/drained"
	// SkipAnnotation prevents drains of an ordinal when one of its claims has it with the value "true".
	SkipAnnotation = "drain.statefulset.dev/skip"
)

// MaxTemplateBytes and MaxTemplateObjects are the maximum size of a template as JSON. The operator keeps all templates of the
// cluster in memory, where a container of two bytes takes hundreds.
const (
	MaxTemplateBytes   = 64 * 1024
	MaxTemplateObjects = 1024
)

// TemplateTooLargeAnnotation is how a template exceeds its maximum size. It exists only in the operator's caches, on a
// DrainPolicy whose template the operator has dropped.
const TemplateTooLargeAnnotation = "drain.statefulset.dev/template-too-large"

// ManagedByLabel is ManagedByOperator on a DrainPolicy that the operator created for an annotation of the StatefulSet.
const (
	ManagedByLabel    = "app.kubernetes.io/managed-by"
	ManagedByOperator = "drain-operator"
)

// DescriptionAnnotation is, on a DrainPolicy that the operator created, a sentence about its origin.
const DescriptionAnnotation = "kubernetes.io/description"

// Values of RoleLabel.
const (
	// RoleLock is the role of a lock, the placeholder pod that has the name of the StatefulSet's pod.
	RoleLock = "lock"
	// RoleDrain is the role of the Jobs and the pods that drain.
	RoleDrain = "drain"
	// RoleLeave is the role of the Jobs and the pods by which members leave and join again.
	RoleLeave = "leave"
)

// Values of ActionAnnotation, and of the environment variable DRAIN_ACTION.
const (
	// ActionLeave takes the member out of the application while its pod runs.
	ActionLeave = "leave"
	// ActionRejoin takes it in again.
	ActionRejoin = "rejoin"
)

const (
	// LockFinalizer keeps a lock until the operator releases it.
	LockFinalizer = "drain.statefulset.dev/lock"
	// LockSchedulingGate keeps a lock from being scheduled.
	LockSchedulingGate = "drain.statefulset.dev/lock"
	// DrainSchedulingGate keeps a drain pod from running until the operator has observed the lock of its Job.
	DrainSchedulingGate = "drain.statefulset.dev/awaits-lock"
	// PolicyFinalizer keeps a DrainPolicy until the operator has released its last lock.
	PolicyFinalizer = "drain.statefulset.dev/locks"
)
