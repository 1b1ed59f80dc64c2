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

// Labels and annotations on the objects that the operator creates or marks.
const (
	// PolicyUIDLabel holds the UID of the DrainPolicy, on its locks, Jobs and drain pods.
	PolicyUIDLabel = "drain.statefulset.dev/policy-uid"
	// OrdinalLabel holds the ordinal, in decimal, on locks, Jobs and drain pods.
	OrdinalLabel = "drain.statefulset.dev/ordinal"
	// AttemptLabel holds the number of the attempt, from 1, on Jobs and drain pods.
	AttemptLabel = "drain.statefulset.dev/attempt"
	// RoleLabel holds RoleLock or RoleDrain.
	RoleLabel = "drain.statefulset.dev/role"

	// PolicyAnnotation holds the name of the DrainPolicy, which may be longer than a label value.
	PolicyAnnotation = "drain.statefulset.dev/policy"
	// LockAnnotation holds, on a Job, the UID of the lock that it runs under.
	LockAnnotation = "drain.statefulset.dev/lock"
	// JobAnnotation holds, on a lock, the UID of the Job whose pods may run under it.
	JobAnnotation = "drain.statefulset.dev/job"
	// AttemptAnnotation holds, on a lock, the latest attempt of its drain and how it failed, so that both outlive the Job.
	AttemptAnnotation = "drain.statefulset.dev/latest-attempt"
	// DeletingAnnotation holds, on a lock, the resourceVersions of the claims that are being
	// deleted under it.
	DeletingAnnotation = "drain.statefulset.dev/deleting"
	// TemplateHashAnnotation holds, on a Job, a hash of what its pod was made from.
	TemplateHashAnnotation = "drain.statefulset.dev/template-hash"
	// ImagesAnnotation holds, on a drain pod, a hash of the images that it had when it was let run.
	ImagesAnnotation = "drain.statefulset.dev/images"
	// ProofAnnotation holds, on a Job, the spec.proof that it was made under.
	ProofAnnotation = "drain.statefulset.dev/proof"
	// DrainedAnnotation is the mark on a claim that a drain of it has succeeded.
	DrainedAnnotation = "drain.statefulset.dev/drained"
	// SkipAnnotation, with the value "true" on a claim, makes the operator leave the
	// claim's ordinal alone.
	SkipAnnotation = "drain.statefulset.dev/skip"
)

// MaxTemplateBytes and MaxTemplateObjects bound a template, as JSON. The operator has every template of the
// cluster in memory, and a container that is two bytes of JSON takes hundreds there.
const (
	MaxTemplateBytes   = 64 * 1024
	MaxTemplateObjects = 1024
)

// TemplateTooLargeAnnotation is on a DrainPolicy in the operator's caches, and nowhere else: the template
// is larger than the operator keeps, and isn't there. It says in what it is too large.
const TemplateTooLargeAnnotation = "drain.statefulset.dev/template-too-large"

// ManagedByLabel holds ManagedByOperator on a DrainPolicy that the operator keeps for an
// annotation of its StatefulSet.
const (
	ManagedByLabel    = "app.kubernetes.io/managed-by"
	ManagedByOperator = "drain-operator"
)

// DescriptionAnnotation says, on such a DrainPolicy, where it comes from.
const DescriptionAnnotation = "kubernetes.io/description"

// Values of RoleLabel.
const (
	// RoleLock marks the placeholder pod that holds the StatefulSet pod's name.
	RoleLock = "lock"
	// RoleDrain marks Jobs and their pods.
	RoleDrain = "drain"
)

const (
	// LockFinalizer keeps a lock in place until the operator releases it.
	LockFinalizer = "drain.statefulset.dev/lock"
	// LockSchedulingGate keeps a lock from ever being scheduled.
	LockSchedulingGate = "drain.statefulset.dev/lock"
	// DrainSchedulingGate keeps a drain pod from running until the operator has seen that the
	// lock of its Job stands.
	DrainSchedulingGate = "drain.statefulset.dev/awaits-lock"
	// PolicyFinalizer keeps a DrainPolicy in place until its last lock is released.
	PolicyFinalizer = "drain.statefulset.dev/locks"
)
