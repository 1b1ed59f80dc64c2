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

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Outcome is what became of a step, or of several; of these, the greatest counts.
type Outcome int

const (
	// Done: the API server carried it out, or there was nothing left to do.
	Done Outcome = iota
	// Conflict: the evidence is stale, or the name is taken. The step is planned again.
	Conflict
	// Refused: the API server refuses it, and a person must change something first.
	Refused
	// Lost: there was no answer, so the step may have been carried out or not. It is planned again, with backoff.
	Lost
)

// String returns the name of an outcome, for logs.
func (o Outcome) String() string {
	return [...]string{"Done", "Conflict", "Refused", "Lost"}[o]
}

// RefusalRecheck is how often a step is taken again that the API server refuses.
const RefusalRecheck = 10 * time.Second

// answers is what the status says of a step that was not carried out: the first row that fits. What no row fits is planned
// again without a word.
var answers = []struct {
	// step is its name, or empty for any.
	step    string
	outcome Outcome
	// state and reason are those of the ordinal from now on, or empty if they stay.
	state  drainv1alpha1.DrainState
	reason string
	say    func(d *Drain, err error) string
}{
	{takeLock.step, Conflict, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists, func(*Drain, error) string {
		// The StatefulSet's pod, or the lock of this operator before a restart.
		return "Waiting for the pod of the ordinal to terminate"
	}},
	{startJob.step, Conflict, "", "", func(d *Drain, _ error) string {
		// The name says which attempt it is, so one that exists already is this one, or another's.
		return fmt.Sprintf("Job %q exists already; if the policy is not its controller, delete it", d.Next.(StartJob).Job)
	}},
	{takeLock.step, Refused, drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonLockRefused, func(_ *Drain, err error) string {
		return fmt.Sprintf("The API server refuses the lock, a pod that never runs: %v", err)
	}},
	{startJob.step, Refused, drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonJobRefused, func(_ *Drain, err error) string {
		return fmt.Sprintf("The API server refuses the drain's Job: %v", err)
	}},
	{"", Refused, drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonWriteRefused, func(d *Drain, err error) string {
		return fmt.Sprintf("The API server refuses step %s of the operator: %v", StepName(d.Next), err)
	}},
}

// Answer records on a drain what became of its step, and reports whether the status says so. Where it does, the step is
// taken again after a while: there is nothing to gain by haste.
func (d *Drain) Answer(outcome Outcome, err error) bool {
	for i := range answers {
		a := &answers[i]
		if a.outcome != outcome || a.step != "" && a.step != StepName(d.Next) {
			continue
		}
		if a.state != "" {
			d.State, d.Reason = a.state, a.reason
		}
		d.Message, d.RetryAfter = a.say(d, err), RefusalRecheck
		return true
	}
	return false
}

// Seen returns the snapshot with an object as the API server has it after a write of the operator's own. An object that is
// being deleted has a deletion timestamp, and a lock that has no finalizer any more is gone.
func (s Snapshot) Seen(object metav1.Object) Snapshot {
	switch object := object.(type) {
	case *drainv1alpha1.DrainPolicy:
		s.Policy = object
	case *corev1.Pod:
		if object.DeletionTimestamp != nil && len(object.Finalizers) == 0 && object.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock {
			// It was on no node, so it went with its finalizer.
			s.Pods = slices.DeleteFunc(slices.Clone(s.Pods), func(pod corev1.Pod) bool { return pod.UID == object.UID })
			break
		}
		s.Pods = replaced(s.Pods, *object, func(pod *corev1.Pod) metav1.Object { return pod })
	case *corev1.PersistentVolumeClaim:
		s.Claims = replaced(s.Claims, *object, func(claim *corev1.PersistentVolumeClaim) metav1.Object { return claim })
	case *batchv1.Job:
		s.Jobs = replaced(s.Jobs, *object, func(job *batchv1.Job) metav1.Object { return job })
	}
	return s
}

// replaced returns a list with one object in the place of its former self, or at the end.
func replaced[T any](list []T, object T, meta func(*T) metav1.Object) []T {
	list = slices.Clone(list)
	for i := range list {
		if meta(&list[i]).GetUID() == meta(&object).GetUID() {
			list[i] = object
			return list
		}
	}
	return append(list, object)
}
