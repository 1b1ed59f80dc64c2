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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// stalledAttempts is the number of failed attempts in a row after which a person should look.
	stalledAttempts = 3
	// askAgain is how long a Job that was created and is not there waits to be created again.
	askAgain = 5 * time.Second
	// maxAttempts bounds what is believed of the annotation, so that its successor is a number still.
	maxAttempts = 1 << 30
	// maxWhy bounds what the lock remembers of a failure, in bytes.
	maxWhy = 512
)

// Attempt is what a lock remembers of the latest attempt of its drain. Jobs can be deleted by people and by controllers;
// what they did still counts towards the backoff and spec.retry.maxAttempts.
type Attempt struct {
	// Number of the attempt, from 1; 0 if none was made.
	Number int32 `json:"number"`
	// Asked is when its Job was created last, to the second.
	Asked metav1.Time `json:"asked"`
	// TemplateHash is that of the template that its Job was made from.
	TemplateHash string `json:"templateHash,omitempty"`
	// Failed is when the operator first saw that the attempt had failed, by its own clock, which the backoff goes by too; nil
	// while it isn't known to have.
	Failed *metav1.Time `json:"failed,omitempty"`
	// Late counts the attempts under this lock that were not believed only because Kubernetes reported their claims as
	// unused too late. Each of them allows the report twice as long.
	Late int32 `json:"late,omitempty"`
	// UnusedFrom and SeenUnused are when the operator first and last saw that no pod used the claims, while Kubernetes was late to
	// report that. Each such look came at most unusedLag after the one before, and the first one after the end of the Job. Nil if
	// there was none. Only their difference counts: the end of the Job is by another clock.
	UnusedFrom *metav1.Time `json:"unusedFrom,omitempty"`
	SeenUnused *metav1.Time `json:"seenUnused,omitempty"`
	// Looks counts these looks.
	Looks int32 `json:"looks,omitempty"`
	// Reason is why, one of the reasons of a drain that failed, and Why is the same in words.
	Reason string `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
}

// attemptUnder returns what a lock remembers, and whether it can be read. A field that is not known may limit what the others mean.
func attemptUnder(lock *corev1.Pod) (attempt Attempt, readable bool) {
	text, ok := lock.Annotations[drainv1alpha1.AttemptAnnotation]
	if !ok {
		return Attempt{}, true
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&attempt) != nil || attempt.Number < 0 || attempt.Number > maxAttempts {
		return Attempt{}, false
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Attempt{}, false
	}
	return attempt, true
}

// String returns the annotation's value.
func (a Attempt) String() string {
	a.Asked = metav1.NewTime(a.Asked.UTC().Truncate(time.Second))
	if len(a.Why) > maxWhy {
		a.Why = strings.ToValidUTF8(a.Why[:maxWhy], "")
	}
	text, err := json.Marshal(a)
	if err != nil {
		// Strings, an int32 and times of this century can always be encoded.
		panic(fmt.Sprintf("encoding an attempt: %v", err))
	}
	return string(text)
}

// failure returns how the latest attempt under the lock failed, or nil while it is open or has succeeded. It is evidence,
// whether the lock remembers it already or not.
func failure(e *evidence) *Attempt {
	last := e.last
	if e.job == nil || e.attempt < last.Number {
		switch {
		case last.Number == 0:
			return failedBefore(e)
		case last.Failed != nil:
			return &last
		case e.lock.Annotations[drainv1alpha1.JobAnnotation] != "" && len(e.held) < len(e.claims):
			if claim := e.usedAfterMark(); claim != nil {
				why := fmt.Sprintf("a pod used claim %q after it was marked as drained", claim.Name)
				if markExpired(e, claim) {
					why = e.sayMarkExpired(claim)
				}
				last.fail(e.now, drainv1alpha1.ReasonNotProven, why)
				return &last
			}
			// Its pod was ungated, and there is no telling how it ended.
			last.fail(e.now, drainv1alpha1.ReasonJobDeleted, "its Job was deleted before the operator knew how it had ended")
			return &last
		}
		return nil
	}
	if last.Number == e.attempt && last.Failed != nil {
		return &last
	}
	end := finished(e.job)
	this := e.open()
	switch {
	case end == nil:
		if changed := e.changedPod(); changed != "" {
			this.fail(e.now, drainv1alpha1.ReasonPodChanged, changed)
			return &this
		}
		return nil
	case end.Type == batchv1.JobFailed:
		words := end.Reason + ": " + end.Message
		if said := newestOutcome(e.podsOf(e.job)); said != "" {
			words = end.Reason + ": " + said
		}
		this.fail(e.now, drainv1alpha1.ReasonJobFailed, words)
		return &this
	}
	doubt := e.doubt()
	if doubt == "" {
		if doubt = e.usedLate(); doubt != "" {
			this.Late++
		} else if doubt = e.markLate(); doubt == "" {
			return nil
		}
	}
	this.fail(e.now, drainv1alpha1.ReasonNotProven, doubt)
	return &this
}

// open returns the attempt that the ordinal's Job is, as the lock is to remember it.
func (e *evidence) open() Attempt {
	return Attempt{
		Number: e.attempt, Asked: e.job.CreationTimestamp, Late: e.last.Late,
		TemplateHash: e.job.Annotations[drainv1alpha1.TemplateHashAnnotation],
	}
}

// failedBefore returns the failure of a Job under an earlier lock whose delay is not over, or nil. Locks are Pending pods, and
// something may delete those as a matter of routine.
func failedBefore(e *evidence) *Attempt {
	var newest *batchv1.Job
	for i := range e.others {
		job := &e.others[i]
		if finished(job) != nil && !orphaned(job) && (newest == nil || job.CreationTimestamp.After(newest.CreationTimestamp.Time)) {
			newest = job
		}
	}
	if newest == nil || finished(newest).Type != batchv1.JobFailed || attemptOf(newest) == 0 {
		return nil
	}
	end, number := finished(newest), attemptOf(newest)
	if e.planner.ahead(end.LastTransitionTime.Time) || !e.now.Before(end.LastTransitionTime.Add(Backoff(e.Policy.Spec.Retry, number)+askAgain)) {
		return nil
	}
	failure := Attempt{Number: number, Asked: newest.CreationTimestamp, TemplateHash: newest.Annotations[drainv1alpha1.TemplateHashAnnotation]}
	failure.fail(end.LastTransitionTime.Time, drainv1alpha1.ReasonJobFailed, end.Reason+": "+end.Message)
	return &failure
}

func (a *Attempt) fail(when time.Time, reason, why string) {
	a.Failed = ptr.To(metav1.NewTime(when.UTC().Truncate(time.Second)))
	a.Reason, a.Why = reason, why
}

// next returns the number of the attempt that starts next.
func (e *evidence) next() int32 {
	if e.failure != nil {
		return e.failure.Number + 1
	}
	return max(1, e.last.Number)
}

// due returns when the attempt after one that failed may start.
func (e *evidence) due() time.Time {
	if e.planner.ahead(e.failure.Failed.Time) {
		return e.now
	}
	return e.failure.Failed.Add(Backoff(e.Policy.Spec.Retry, e.failure.Number))
}

// Backoff returns the time between the end of a failed attempt and the start of the next.
func Backoff(retry drainv1alpha1.RetryOptions, attempt int32) time.Duration {
	initial := time.Duration(ptr.Deref(retry.InitialDelaySeconds, 30)) * time.Second
	longest := time.Duration(ptr.Deref(retry.MaxDelaySeconds, 1800)) * time.Second
	delay := initial
	for i := int32(1); i < attempt && delay < longest; i++ {
		delay *= 2
	}
	return min(delay, longest)
}
