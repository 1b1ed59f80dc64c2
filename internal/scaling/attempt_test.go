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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func tookAMinute(_ *world, job *batchv1.Job) {
	job.Status.StartTime = &metav1.Time{Time: noon.Add(-time.Minute)}
	job.Status.CompletionTime = &metav1.Time{Time: noon}
}

// TestAnAttemptThatIsOverIsTold looks at what a decision says of the attempt before it.
func TestAnAttemptThatIsOverIsTold(t *testing.T) {
	leaveFailed := &Attempt{Ordinal: 2, Number: 1, Action: leaves, Failed: drainv1alpha1.ReasonJobFailed,
		Message: `Job "web-2-leave-13a0e71e1e643382", by which the member of pod "web-2" leaves, failed (attempt 1): Because: bye`}
	leaveDeleted := &Attempt{Ordinal: 2, Number: 1, Action: leaves, Failed: drainv1alpha1.ReasonJobDeleted,
		Message: `Job "web-2-leave-13a0e71e1e643382", by which the member of pod "web-2" leaves, was deleted before it was seen to succeed (attempt 1)`}
	rejoinFailed := &Attempt{Ordinal: 2, Number: 2, Action: rejoins, Failed: drainv1alpha1.ReasonJobFailed,
		Message: `Job "web-2-rejoin-a713255dc4613261", by which the member of pod "web-2" joins again, failed (attempt 1): Because: bye`}
	for name, tc := range map[string]struct {
		world  *world
		caches bool
		rule   string
		want   *Attempt
	}{
		"no attempt yet":                                        {given(3, 1, withLeave), false, "leave", nil},
		"an attempt that runs":                                  {given(3, 1, withLeave, has(2, 1, leaves, runs)), false, "leaving", nil},
		"leaving failed":                                        {given(3, 1, withLeave, has(2, 1, leaves, fails)), false, "leave-backoff", leaveFailed},
		"leaving failed, and the delay is over":                 {given(3, 1, withLeave, has(2, 1, leaves, fails), later(time.Hour)), false, "leave", leaveFailed},
		"a Job that was deleted":                                {given(3, 1, withLeave, has(2, 1, leaves, runs, noted, vanishes)), false, "leave-backoff", leaveDeleted},
		"a Job that was deleted, in the caches":                 {given(3, 1, withLeave, has(2, 1, leaves, runs, noted, vanishes)), true, "leave-backoff", nil},
		"a Job that was stopped, of a member that is to return": {given(3, 3, withLeave, has(2, 1, leaves, runs, noted, vanishes)), false, "rejoin", nil},
		"joining again failed, in the caches":                   {given(3, 3, withLeave, has(2, 2, rejoins, noted, fails)), true, "rejoin-backoff", rejoinFailed},
		"no proof of joining again, in the caches":              {given(3, 3, withLeave, has(2, 2, rejoins, noted, unproven)), true, "rejoin-backoff", nil},
		"a member that left before it is to return": {given(3, 3, withLeave, has(2, 1, leaves, noted, succeeds)), false, "rejoin", &Attempt{
			Ordinal: 2, Number: 1, Action: leaves, Message: `The member of pod "web-2" has left by Job "web-2-leave-13a0e71e1e643382": bye`,
		}},
		"a member that left": {given(3, 1, withLeave, has(2, 1, leaves, noted, succeeds, tookAMinute)), false, "lower-left", &Attempt{
			Ordinal: 2, Number: 1, Action: leaves, Took: time.Minute, Message: `The member of pod "web-2" has left by Job "web-2-leave-13a0e71e1e643382": bye`,
		}},
		"a member that is back": {given(3, 3, withLeave, has(2, 2, rejoins, noted, succeeds, tookAMinute)), false, "forget-back", &Attempt{
			Ordinal: 2, Number: 2, Action: rejoins, Took: time.Minute, Message: `The member of pod "web-2" has joined again by Job "web-2-rejoin-a713255dc4613261": bye`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := tc.world.decide(table, !tc.caches)
			if d.Rule != tc.rule {
				t.Errorf("rule %s, want %s", d.Rule, tc.rule)
			}
			if diff := cmp.Diff(tc.want, d.Ended); diff != "" {
				t.Errorf("the attempt (-want +got):\n%s", diff)
			}
		})
	}
	unproved := given(3, 1, withLeave, has(2, 1, leaves, unproven)).decide(table, true)
	if unproved.Ended == nil || unproved.Ended.Failed != drainv1alpha1.ReasonNotProven {
		t.Errorf("without a receipt: %+v", unproved.Ended)
	}
}
