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
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// Step is one write to the API server, with the objects as they were read.
type Step interface{ name() string }

// StepName returns the type of a step, for logs and tables; "" for none.
func StepName(step Step) string {
	if step == nil {
		return ""
	}
	return step.name()
}

type (
	// Lower lowers the replicas of the StatefulSet by one, provided that it is still as it was read.
	Lower struct{ Target statefulset.Target }
	// Raise raises them to a number, under the same condition.
	Raise struct {
		Target   statefulset.Target
		Replicas int32
	}
	// StartJob creates a Job by which a member leaves or joins again.
	StartJob struct {
		Target statefulset.Target
		Leave  objects.Leave
	}
	// NoteMember writes to the policy that a member begins to leave, or joins again, before a pod of the Job runs.
	NoteMember struct {
		Policy  *drainv1alpha1.DrainPolicy
		Ordinal int32
		Note    *Note
	}
	// ForgetMember removes that note.
	ForgetMember struct {
		Policy  *drainv1alpha1.DrainPolicy
		Ordinal int32
	}
	// UngatePod lets a pod of such a Job run.
	UngatePod struct{ Pod *corev1.Pod }
	// DeletePod deletes a pod of such a Job that is gone.
	DeletePod struct{ Pod *corev1.Pod }
	// DeleteJob deletes such a Job in the foreground.
	DeleteJob struct{ Job *batchv1.Job }
)

func (Lower) name() string        { return "Lower" }
func (Raise) name() string        { return "Raise" }
func (StartJob) name() string     { return "StartJob" }
func (NoteMember) name() string   { return "NoteMember" }
func (ForgetMember) name() string { return "ForgetMember" }
func (UngatePod) name() string    { return "UngatePod" }
func (DeletePod) name() string    { return "DeletePod" }
func (DeleteJob) name() string    { return "DeleteJob" }

// To returns the replicas that a step gives the StatefulSet.
func (s Lower) To() int32 { return s.Target.Replicas - 1 }

// Replicas returns the replicas that a step gives the StatefulSet, and whether it changes them.
func Replicas(step Step) (to int32, scales bool) {
	switch step := step.(type) {
	case Lower:
		return step.To(), true
	case Raise:
		return step.Replicas, true
	}
	return 0, false
}
