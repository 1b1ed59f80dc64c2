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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func report(percent int32, message string, ago time.Duration) *drainv1alpha1.DrainProgress {
	return &drainv1alpha1.DrainProgress{Time: ptr.To(metav1.NewTime(now.Add(-ago))), Percent: ptr.To(percent), Message: message}
}

func TestProgressIsShownAndSilenceStalls(t *testing.T) {
	const deadline = 600
	// runs is a drain whose container has run for so long, under a policy with the deadline.
	runs := func(since time.Duration) func(*world) {
		return all(lockedOrphan, func(w *world) {
			w.Policy.Spec.ProgressDeadlineSeconds = ptr.To[int32](deadline)
			w.job(2, 1, jobReady)
			w.drainPod(2, container(corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-since))}}))
		})
	}
	reads := func(p Progress) func(*world) {
		return func(w *world) { w.Progress = map[types.UID]Progress{w.Pods[len(w.Pods)-1].UID: p} }
	}
	// before is the entry that the status had.
	before := func(reason, message string, progress *drainv1alpha1.DrainProgress) func(*world) {
		return func(w *world) {
			w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{
				Ordinal: ptr.To[int32](2), State: drainv1alpha1.DrainDraining, Reason: reason, Message: message,
				JobName: w.Jobs[0].Name, Progress: progress, LastTransitionTime: ptr.To(metav1.NewTime(now.Add(-time.Minute))),
			}}
		}
	}
	ofAnother := func(w *world) { w.Policy.Status.Drains[0].JobName = "another" }
	for name, tc := range map[string]struct {
		given       func(*world)
		want        *drainv1alpha1.DrainProgress
		wantReason  string
		wantSays    string
		wantStalled bool
	}{
		"a drain that has just started": {
			given: runs(time.Second), wantReason: drainv1alpha1.ReasonJobRunning, wantSays: "(attempt 1)",
		},
		"a drain that reports": {
			given: all(runs(time.Hour), reads(Progress{Reported: report(40, "12 of 30 files", time.Minute), Read: now})),
			want:  report(40, "12 of 30 files", time.Minute), wantReason: drainv1alpha1.ReasonJobRunning, wantSays: "; progress: 40%, 12 of 30 files",
		},
		"a report of a policy that doesn't ask": {
			given: all(runs(time.Hour), reads(Progress{Reported: report(40, "", time.Hour), Read: now}),
				func(w *world) { w.Policy.Spec.ProgressDeadlineSeconds = nil }),
			wantReason: drainv1alpha1.ReasonJobRunning,
		},
		"a drain that has been silent for less than the deadline": {
			given: all(runs(time.Hour), reads(Progress{Reported: report(40, "", 599*time.Second), Read: now})),
			want:  report(40, "", 599*time.Second), wantReason: drainv1alpha1.ReasonJobRunning,
		},
		"a drain that has been silent for the deadline": {
			given: all(runs(time.Hour), reads(Progress{Reported: report(40, "half", 600*time.Second), Read: now})),
			want:  report(40, "half", 600*time.Second), wantReason: drainv1alpha1.ReasonProgressDeadlineExceeded,
			wantSays: "no progress since 2026-08-01T11:51:00Z (spec.progressDeadlineSeconds is 600)", wantStalled: true,
		},
		"a drain that has never reported": {
			given:      all(runs(600*time.Second), reads(Progress{Read: now})),
			wantReason: drainv1alpha1.ReasonProgressDeadlineExceeded, wantSays: "look at the log", wantStalled: true,
		},
		"a container that has just started after one that was silent": {
			given: all(runs(time.Second), reads(Progress{Reported: report(40, "", time.Hour), Read: now})),
			want:  report(40, "", time.Hour), wantReason: drainv1alpha1.ReasonJobRunning,
		},
		"a log that was last read before the deadline": {
			given:      all(runs(time.Hour), reads(Progress{Read: now.Add(-51 * time.Minute), Unread: "the node is down"})),
			wantReason: drainv1alpha1.ReasonJobRunning, wantSays: "can't be read: the node is down",
		},
		"a silent drain whose ordinal is back in range": {
			given: all(runs(time.Hour), scaledUp, reads(Progress{Read: now})), wantReason: drainv1alpha1.ReasonBackInRange,
			wantSays: "no progress since", wantStalled: true,
		},
		"a second pod after one that failed": {
			given: all(lockedOrphan, func(w *world) {
				w.Policy.Spec.ProgressDeadlineSeconds = ptr.To[int32](deadline)
				w.job(2, 1, jobReady)
				w.drainPod(2, ended(1, ""))
				w.drainPod(2, running)
			}, reads(Progress{Reported: report(40, "", time.Second), Read: now})),
			want: report(40, "", time.Second), wantReason: drainv1alpha1.ReasonJobRunning,
		},
		"a report that an operator knew before its restart": {
			given: all(runs(time.Hour), before(drainv1alpha1.ReasonJobRunning, "", report(40, "", time.Hour))),
			want:  report(40, "", time.Hour), wantReason: drainv1alpha1.ReasonJobRunning, wantSays: "40%",
		},
		"a silence that an operator knew before its restart": {
			given: all(runs(time.Hour), before(drainv1alpha1.ReasonProgressDeadlineExceeded, "silent since noon", report(40, "", time.Hour))),
			want:  report(40, "", time.Hour), wantReason: drainv1alpha1.ReasonProgressDeadlineExceeded, wantSays: "silent since noon", wantStalled: true,
		},
		"a silence of another Job": {
			given:      all(runs(time.Hour), before(drainv1alpha1.ReasonProgressDeadlineExceeded, "silent", report(40, "", time.Hour)), ofAnother),
			wantReason: drainv1alpha1.ReasonJobRunning,
		},
		"a silence that has ended": {
			given: all(runs(time.Hour), before(drainv1alpha1.ReasonProgressDeadlineExceeded, "silent", report(40, "", time.Hour)),
				reads(Progress{Reported: report(41, "", time.Second), Read: now})),
			want: report(41, "", time.Second), wantReason: drainv1alpha1.ReasonJobRunning,
		},
		"a pod that can't be scheduled": {
			given: all(lockedOrphan, func(w *world) {
				w.Policy.Spec.ProgressDeadlineSeconds = ptr.To[int32](deadline)
				w.job(2, 1)
				w.drainPod(2, unschedulable)
			}, reads(Progress{Read: now.Add(time.Hour)})),
			wantReason: drainv1alpha1.ReasonPodUnschedulable,
		},
		"a drain that has succeeded": {
			given: all(lockedWith(ungatedJob), func(w *world) {
				w.Policy.Spec.ProgressDeadlineSeconds = ptr.To[int32](deadline)
				w.through(2, 1)
			}, reads(Progress{Reported: report(99, "", time.Hour), Read: now})),
			wantReason: drainv1alpha1.ReasonMarkingClaims,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(tc.given)
			plan := Make(w.snapshot(), now)
			entry := find(plan.Status(w.Policy, metav1.NewTime(now)).Drains, 2)
			if diff := cmp.Diff(tc.want, entry.Progress); diff != "" {
				t.Errorf("progress (-want +got):\n%s", diff)
			}
			if entry.State != drainv1alpha1.DrainDraining || entry.Reason != tc.wantReason || !strings.Contains(entry.Message, tc.wantSays) {
				t.Errorf("the entry is %s/%s: %s; want %s with %q", entry.State, entry.Reason, entry.Message, tc.wantReason, tc.wantSays)
			}
			if got := plan.Stalled.Status == metav1.ConditionTrue; got != tc.wantStalled || got && plan.Stalled.Reason != tc.wantReason {
				t.Errorf("Stalled = %+v, want %t", plan.Stalled, tc.wantStalled)
			}
		})
	}
}

// TestProgressDecidesNothing plans with reports and without them.
func TestProgressDecidesNothing(t *testing.T) {
	w := given(all(lockedOrphan, func(w *world) {
		w.Policy.Spec.ProgressDeadlineSeconds = ptr.To[int32](60)
		w.job(2, 1, jobReady)
		w.drainPod(2, running)
	}))
	without := Make(w.snapshot(), now)
	w.Progress = map[types.UID]Progress{w.Pods[len(w.Pods)-1].UID: {Read: now.Add(time.Hour)}}
	with := Make(w.snapshot(), now)
	if !with.Drains[0].Silent || with.Drains[0].Rule != without.Drains[0].Rule || with.Drains[0].Next != without.Drains[0].Next {
		t.Errorf("with a silent drain: %+v, without a report: %+v", with.Drains[0], without.Drains[0])
	}
}
