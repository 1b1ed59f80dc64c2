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
	"fmt"
	"math"
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
	// Reason is why, one of the reasons of a drain that failed, and Why is the same in words.
	Reason string `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
}

// attemptUnder returns what a lock remembers. What can't be read is nothing: the attempts are counted anew.
func attemptUnder(lock *corev1.Pod) Attempt {
	var attempt Attempt
	text, ok := lock.Annotations[drainv1alpha1.AttemptAnnotation]
	if !ok || json.Unmarshal([]byte(text), &attempt) != nil || attempt.Number < 0 || attempt.Number > maxAttempts {
		return Attempt{}
	}
	return attempt
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

// failure returns how the latest attempt failed, or nil while it is open or has succeeded. It is evidence; whether the
// lock remembers it already is for the caller to ask.
func (p *planner) failure(o *ordinal) *Attempt {
	last := attemptUnder(o.lock)
	if o.job == nil || o.attempt < last.Number {
		switch {
		case last.Number == 0:
			return p.failedBefore(o)
		case last.Failed != nil:
			return &last
		case o.lock.Annotations[drainv1alpha1.JobAnnotation] != "":
			// Its pod was ungated, and there is no telling how it ended.
			last.fail(p.now, drainv1alpha1.ReasonJobDeleted, "its Job was deleted before the operator knew how it had ended")
			return &last
		}
		return nil
	}
	if last.Number == o.attempt && last.Failed != nil {
		return &last
	}
	end := finished(o.job)
	this := p.open(o)
	switch {
	case end == nil:
		if changed := p.changedPod(o); changed != "" {
			this.fail(p.now, drainv1alpha1.ReasonPodChanged, changed)
			return &this
		}
		return nil
	case end.Type == batchv1.JobFailed:
		words := end.Reason + ": " + end.Message
		if said := p.outcomeOf(o); said != "" {
			words = end.Reason + ": " + said
		}
		this.fail(p.now, drainv1alpha1.ReasonJobFailed, words)
		return &this
	}
	doubt := p.doubt(o)
	if doubt == "" {
		if doubt = p.usedLate(o, last.Late); doubt == "" {
			return nil
		}
		this.Late++
	}
	this.fail(p.now, drainv1alpha1.ReasonNotProven, doubt)
	return &this
}

// open returns the attempt that the ordinal's Job is, as the lock is to remember it.
func (p *planner) open(o *ordinal) Attempt {
	return Attempt{
		Number: o.attempt, Asked: o.job.CreationTimestamp, Late: attemptUnder(o.lock).Late,
		TemplateHash: o.job.Annotations[drainv1alpha1.TemplateHashAnnotation],
	}
}

// failedBefore returns the failure of a Job under an earlier lock whose delay is not over, or nil. Locks are Pending pods, and
// something may delete those as a matter of routine.
func (p *planner) failedBefore(o *ordinal) *Attempt {
	var newest *batchv1.Job
	for i := range o.others {
		job := &o.others[i]
		if finished(job) != nil && !orphaned(job) && (newest == nil || job.CreationTimestamp.After(newest.CreationTimestamp.Time)) {
			newest = job
		}
	}
	if newest == nil || finished(newest).Type != batchv1.JobFailed || attemptOf(newest) == 0 {
		return nil
	}
	end, number := finished(newest), attemptOf(newest)
	if !p.now.Before(end.LastTransitionTime.Add(Backoff(p.Policy.Spec.Retry, number) + askAgain)) {
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

// remembered reports whether the lock remembers that an attempt failed.
func remembered(o *ordinal, failure *Attempt) bool {
	last := attemptUnder(o.lock)
	return last.Number == failure.Number && last.Failed != nil
}

// retry decides about a drain whose latest attempt failed. The lock is written to first, so that the failure outlives
// its Job.
func (p *planner) retry(o *ordinal, failure *Attempt, d *Drain) {
	d.Attempts = failure.Number
	if why := p.giveUp(o, d); why != "" {
		p.release(o, d, fmt.Sprintf("%s; attempt %d had failed: %s", why, failure.Number, failure.Why))
		return
	}
	edited := p.TemplateHash != "" && failure.TemplateHash != p.TemplateHash
	due := failure.Failed.Add(Backoff(p.Policy.Spec.Retry, failure.Number))
	limit := ptr.Deref(p.Policy.Spec.Retry.MaxAttempts, math.MaxInt32)
	switch {
	case !remembered(o, failure):
		d.say(drainv1alpha1.DrainFailed, failure.Reason, "Attempt %d failed: %s", failure.Number, failure.Why)
		d.Next = Step{Kind: NoteAttempt, Note: failure}
	case p.awaitPreflight(o, d):
		d.say(drainv1alpha1.DrainFailed, failure.Reason, "Attempt %d failed: %s; no further attempt starts yet: %s", failure.Number, failure.Why, d.Message)
	case p.unarmed(d):
		d.say(drainv1alpha1.DrainFailed, d.Reason, "Attempt %d failed: %s; no further attempt starts: %s", failure.Number, failure.Why, d.Message)
	case !edited && failure.Number >= limit:
		d.say(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonAttemptsExhausted, "All %d attempts failed, the last one: %s. To start another one, edit %s or raise spec.retry.maxAttempts", failure.Number, failure.Why, p.templateName())
	case !edited && p.now.Before(due):
		d.say(drainv1alpha1.DrainFailed, failure.Reason, "Attempt %d failed: %s. The next one starts at %s, or at once when %s is edited", failure.Number, failure.Why, due.UTC().Format(time.RFC3339), p.templateName())
		d.RetryAfter = due.Sub(p.now)
	default:
		d.say(drainv1alpha1.DrainFailed, failure.Reason, "Attempt %d failed: %s; starting another one", failure.Number, failure.Why)
		p.startAttempt(o, d, failure.Number+1, due)
	}
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

// startAttempt starts a Job unless another pod uses a claim of the ordinal. Since is when the Job could have been started
// first. A Job that is not there although it could have been for a while may have been deleted as soon as it was made: the
// lock then remembers when it is made, so that it is not made again with haste.
func (p *planner) startAttempt(o *ordinal, d *Drain, attempt int32, since time.Time) {
	if user := p.user(o); user != nil {
		d.say(d.State, drainv1alpha1.ReasonClaimInUse, "Waiting for pod %q, which uses a claim of the ordinal, to terminate", user.Name)
		d.RetryAfter = recheck
		return
	}
	last := attemptUnder(o.lock)
	asked := last.Number == attempt && last.Failed == nil
	if again := last.Asked.Add(askAgain); asked && p.now.Before(again) {
		d.Message = fmt.Sprintf("Job %q was created and is gone; creating it again", p.jobName(o, attempt))
		d.RetryAfter = again.Sub(p.now)
		return
	}
	d.Next = Step{Kind: StartJob, Job: p.jobName(o, attempt), Attempt: attempt}
	if asked || !p.now.Before(since.Add(askAgain)) {
		d.Next.Note = &Attempt{Number: attempt, Asked: metav1.NewTime(p.now), Late: last.Late, TemplateHash: p.TemplateHash}
	}
}
