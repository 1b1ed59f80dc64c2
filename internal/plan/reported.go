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
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Progress is what the log of a drain pod says of how far the drain is. It is shown. Nothing else follows from it.
type Progress struct {
	// Reported is the latest report in the log, or nil.
	Reported *drainv1alpha1.DrainProgress
	// Read is when the log was last read; zero if it never was.
	Read time.Time
	// Unread is why it can't be read at present, or empty.
	Unread string
}

// withProgress returns a drain with what its pod reports. A running drain that is silent for spec.progressDeadlineSeconds is Stalled. Silence
// is known only by a log that was read after that time.
func (p *planner) withProgress(d Drain, e *evidence) Drain {
	limit := p.Policy.Spec.ProgressDeadlineSeconds
	if limit == nil || d.Job == nil || d.Reason != drainv1alpha1.ReasonJobRunning && d.Reason != drainv1alpha1.ReasonBackInRange {
		return d
	}
	pod := e.runningPod()
	if pod == nil {
		return d
	}
	reading := p.Progress[pod.UID]
	d.Progress = reading.Reported
	if reading.Read.IsZero() {
		// The operator has just started: what was known before is still the latest.
		if old := find(p.Policy.Status.Drains, d.Ordinal); old != nil && old.JobName == d.Job.Name && old.State == d.State {
			d.Progress = old.Progress
			if old.Reason == drainv1alpha1.ReasonProgressDeadlineExceeded && d.Reason == drainv1alpha1.ReasonJobRunning {
				d.Reason, d.Message = old.Reason, old.Message
				return d
			}
		}
	}
	d.Message += sayProgress(d.Progress)
	if reading.Unread != "" {
		d.Message += "; its progress can't be read: " + reading.Unread
	}
	last := StartOfRun(pod)
	if d.Progress != nil && d.Progress.Time != nil && d.Progress.Time.After(last) {
		last = d.Progress.Time.Time
	}
	due := last.Add(time.Duration(*limit) * time.Second)
	if reading.Read.Before(due) {
		return d
	}
	d.Silent = true
	d.Message = fmt.Sprintf("Job %q is running, and has reported no progress since %s (spec.progressDeadlineSeconds is %d); look at the log of pod %q%s",
		d.Job.Name, last.UTC().Format(time.RFC3339), *limit, pod.Name, sayProgress(d.Progress))
	if d.Reason == drainv1alpha1.ReasonJobRunning {
		d.Reason = drainv1alpha1.ReasonProgressDeadlineExceeded
	}
	return d
}

// sayProgress returns a report in words, to follow others.
func sayProgress(reported *drainv1alpha1.DrainProgress) string {
	if reported == nil {
		return ""
	}
	words := reported.Message
	if reported.Percent != nil {
		words = fmt.Sprintf("%d%%", *reported.Percent)
		if reported.Message != "" {
			words += ", " + reported.Message
		}
	}
	return "; progress: " + cmp.Or(words, "reported")
}

// runningPod returns the pod of the ordinal's Job that runs, or nil.
func (e *evidence) runningPod() *corev1.Pod {
	for i := range e.pods {
		if pod := &e.pods[i]; metav1.IsControlledBy(pod, e.job) && !terminal(pod) && started(pod) {
			return pod
		}
	}
	return nil
}

// StartOfRun returns when the container of a pod that started last did so.
func StartOfRun(pod *corev1.Pod) time.Time {
	start := pod.CreationTimestamp.Time
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			if running := statuses[i].State.Running; running != nil && running.StartedAt.After(start) {
				start = running.StartedAt.Time
			}
		}
	}
	return start
}

// shownProgress returns what an entry shows of a report. The time is to the second, as the API server keeps it.
func shownProgress(reported *drainv1alpha1.DrainProgress) *drainv1alpha1.DrainProgress {
	shown := reported.DeepCopy()
	if shown != nil && shown.Time != nil {
		shown.Time = ptr.To(metav1.NewTime(shown.Time.UTC().Truncate(time.Second)))
	}
	return shown
}
