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
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// Step is one write to the API server. It carries the objects as they were read, whose UID and resourceVersion are the
// write's preconditions. The actor is a type switch over the types in this file.
type Step interface{ name() string }

// StepName returns the type of a step, for logs and tables; "" for none.
func StepName(step Step) string {
	if step == nil {
		return ""
	}
	return step.name()
}

// FollowsOn reports whether a step may rest on a look that the operator's own last write has changed, instead of a look of
// its own.
func FollowsOn(step Step) bool { return followsOn[StepName(step)] }

// followsOn are the steps whose preconditions hold all that they rest on: the resourceVersion of a lock or a claim, or the UID
// of a lock that is being deleted, or of a Job that has ended. What a Job starts is gated, and who uses the claims is looked at
// again before the gate is removed. Before anything that runs is stopped, what runs is looked at again. Before a lock is taken,
// all other ordinals are: they share the slots. Before a claim is deleted, who uses it is looked at once more: the write of the
// mark can hang, and a pod can come meanwhile.
var followsOn = map[string]bool{
	"StartJob": true, "NoteAttempt": true, "UngatePod": true, "DeleteClaim": true,
	"DisposeOfJob": true, "DeleteLock": true, "RemoveLockFinalizer": true,
	string(MarkClaim): true, string(RenewMark): true, string(VoidMark): true, string(ReleaseMark): true,
}

type (
	// AddFinalizer adds the operator's finalizer to the policy, which then stays for as long as it has locks.
	AddFinalizer struct{ Policy *drainv1alpha1.DrainPolicy }
	// RemoveFinalizer removes it.
	RemoveFinalizer struct{ Policy *drainv1alpha1.DrainPolicy }
	// TakeLock creates the lock of an ordinal.
	TakeLock struct{ Ordinal int32 }
	// NoteAttempt writes to the lock what it is to remember of an attempt. If that is a new one, the lock forgets the Job of
	// the one before.
	NoteAttempt struct {
		Lock    *corev1.Pod
		Attempt Attempt
		New     bool
	}
	// NoteJob writes to the lock which pod of which Job is about to be ungated, so that a release that was decided before the
	// pod existed fails.
	NoteJob struct {
		Lock    *corev1.Pod
		Job     types.UID
		Pod     types.UID
		Attempt Attempt
	}
	// NoteUnused writes to the lock that a look showed the claims unused, while Kubernetes is late to report that.
	NoteUnused struct {
		Lock    *corev1.Pod
		Attempt Attempt
	}
	// NoteDeletion writes to the lock which versions of which claims are about to be deleted, so that a release that was
	// decided before fails, and one that is decided later writes to these claims first.
	NoteDeletion struct {
		Lock *corev1.Pod
		Note DeletionNote
	}
	// StartJob creates the Job of an attempt.
	StartJob struct {
		// Job is its name.
		Job     string
		Ordinal int32
		// Attempt counts from 1.
		Attempt int32
		LockUID types.UID
	}
	// DeleteJob deletes a Job in the foreground: it stays until its pods are gone, so that its absence means theirs.
	// Ended says that it has ended, and that its pods hold claims that are being deleted; the name is DisposeOfJob then.
	DeleteJob struct {
		Job   *batchv1.Job
		Ended bool
	}
	// UngatePod removes the operator's scheduling gate from a drain pod.
	UngatePod struct{ Pod *corev1.Pod }
	// DeletePod deletes a drain pod that has no Job under way.
	DeletePod struct{ Pod *corev1.Pod }
	// WriteMark writes a mark on a claim.
	WriteMark struct {
		Purpose MarkPurpose
		Claim   corev1.PersistentVolumeClaim
		Mark    claims.Mark
	}
	// DeleteClaim deletes a drained claim.
	DeleteClaim struct{ Claim corev1.PersistentVolumeClaim }
	// DeleteLock deletes a lock, which then stays until its finalizer is removed.
	DeleteLock struct{ Lock *corev1.Pod }
	// RemoveLockFinalizer lets go of a lock that is being deleted.
	RemoveLockFinalizer struct{ Lock *corev1.Pod }
)

// MarkPurpose says what a mark is written for. The write is the same for each.
type MarkPurpose string

const (
	// MarkClaim records that the claim was drained.
	MarkClaim MarkPurpose = "MarkClaim"
	// RenewMark carries a mark that holds on to the StatefulSet's present generation.
	RenewMark MarkPurpose = "RenewMark"
	// VoidMark takes out of a mark all that makes it hold.
	VoidMark MarkPurpose = "VoidMark"
	// ReleaseMark takes a mark out of the hands of a lock that is about to be released.
	ReleaseMark MarkPurpose = "ReleaseMark"
)

func (AddFinalizer) name() string        { return "AddFinalizer" }
func (RemoveFinalizer) name() string     { return "RemoveFinalizer" }
func (TakeLock) name() string            { return "TakeLock" }
func (NoteAttempt) name() string         { return "NoteAttempt" }
func (NoteJob) name() string             { return "NoteJob" }
func (NoteUnused) name() string          { return "NoteUnused" }
func (NoteDeletion) name() string        { return "NoteDeletion" }
func (StartJob) name() string            { return "StartJob" }
func (UngatePod) name() string           { return "UngatePod" }
func (DeletePod) name() string           { return "DeletePod" }
func (DeleteClaim) name() string         { return "DeleteClaim" }
func (DeleteLock) name() string          { return "DeleteLock" }
func (RemoveLockFinalizer) name() string { return "RemoveLockFinalizer" }
func (s WriteMark) name() string         { return string(s.Purpose) }
func (s DeleteJob) name() string {
	if s.Ended {
		return "DisposeOfJob"
	}
	return "DeleteJob"
}
