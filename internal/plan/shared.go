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
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// StalledAttempts is the number of failed attempts in a row after which a person should look.
const StalledAttempts = stalledAttempts

// Recheck is how often something is looked at that no watch tells of.
const Recheck = recheck

// Finished returns the condition by which a Job has ended, or nil.
func Finished(job *batchv1.Job) *batchv1.JobCondition { return finished(job) }

// Terminal reports whether a pod has ended.
func Terminal(pod *corev1.Pod) bool { return terminal(pod) }

// Started reports whether a container of a pod has run.
func Started(pod *corev1.Pod) bool { return started(pod) }

// Said returns the termination message of a pod, without its receipt.
func Said(pod *corev1.Pod) string { return outcome(pod) }

// Trouble returns why a pod does not run until a person acts, or "".
func Trouble(pod *corev1.Pod) (reason, message string) { return trouble(pod) }

// Gated reports whether a pod has the gate that its Job gave it.
func Gated(pod *corev1.Pod) bool { return awaitsLock(pod) }

// Controls reports whether the policy with this UID is the controller of a Job.
func Controls(policy types.UID, job *batchv1.Job) bool { return controls(policy, job) }

// NotYet reports whether a time is so far in the future that the clock that it is from was wrong.
func NotYet(t, now time.Time) bool { return t.After(now.Add(clockSkew)) }

// Over reports whether nothing is left to do about an ordinal: its claims are drained and kept, or kept undrained as
// requested.
func (d *Drain) Over() bool {
	return d.Lock == nil && d.Next == nil && (d.State == drainv1alpha1.DrainDrained || d.State == drainv1alpha1.DrainRetained)
}

// Pending returns the drain to wait for before the StatefulSet may shrink further, the most urgent one, or nil.
func (p *Plan) Pending() *Drain {
	var head *Drain
	for i := range p.Drains {
		if d := &p.Drains[i]; !d.Over() && (head == nil || urgency[d.State] < urgency[head.State]) {
			head = d
		}
	}
	return head
}

// withoutLeaving returns the Jobs that are not those by which members leave.
func withoutLeaving(jobs []batchv1.Job) []batchv1.Job {
	leaves := func(job batchv1.Job) bool { return job.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLeave }
	if !slices.ContainsFunc(jobs, leaves) {
		return jobs
	}
	return slices.DeleteFunc(slices.Clone(jobs), leaves)
}
