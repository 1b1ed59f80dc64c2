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
	"fmt"
	"time"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Attempt is an attempt of a member to leave or to join again that is over. It is for people: nothing is decided by it.
type Attempt struct {
	Ordinal int32
	// Number is that of its Job among those of the ordinal.
	Number int32
	// Action is ActionLeave or ActionRejoin.
	Action string
	// Failed is JobFailed, NotProven or JobDeleted, or "" for an attempt that succeeded.
	Failed string
	// Took is the time from the start to the end of the Job, or 0 if that is not known.
	Took time.Duration
	// Message is how it went, in words.
	Message string
}

// attemptOf returns the latest attempt of a member if it is over, or nil. The caches can lack pods that a Job had: on them, only a Job that
// says itself that it failed counts. A Job that is gone is the end of an attempt only at what the member is to do: the operator stops one at
// the other by itself.
func (e *evidence) attemptOf(m *member) *Attempt {
	action, what := drainv1alpha1.ActionRejoin, "joins again"
	if m == e.highest {
		action, what = drainv1alpha1.ActionLeave, "leaves"
	}
	if gone := m.vanished(e, action); gone != nil && e.live {
		return &Attempt{
			Ordinal: m.ordinal, Number: gone.Job, Action: action, Failed: drainv1alpha1.ReasonJobDeleted,
			Message: fmt.Sprintf("Job %q, by which the member of pod %s %s, was deleted before it was seen to succeed (attempt %d)",
				e.jobName(m.ordinal, gone), e.name(m.ordinal), what, gone.Failures+1),
		}
	}
	j := m.latest
	if j == nil || j.end == nil || !e.live && j.completed() {
		return nil
	}
	a := &Attempt{Ordinal: m.ordinal, Number: j.number, Action: j.action}
	done, what := "joined again", "joins again"
	if j.action == drainv1alpha1.ActionLeave {
		done, what = "left", "leaves"
	}
	if j.succeeded() {
		a.Took = j.took()
		a.Message = fmt.Sprintf("The member of pod %s has %s by Job %q", e.name(m.ordinal), done, j.Name)
		if j.said != "" {
			a.Message += ": " + j.said
		}
		return a
	}
	a.Failed = drainv1alpha1.ReasonJobFailed
	if j.completed() {
		a.Failed = drainv1alpha1.ReasonNotProven
	}
	a.Message = fmt.Sprintf("Job %q, by which the member of pod %s %s, failed (attempt %d): %s", j.Name, e.name(m.ordinal), what, j.failures+1, j.why())
	return a
}

// took returns how long a Job took that is complete.
func (j *job) took() time.Duration {
	if j.Status.StartTime == nil || j.Status.CompletionTime == nil {
		return 0
	}
	return j.Status.CompletionTime.Sub(j.Status.StartTime.Time)
}
