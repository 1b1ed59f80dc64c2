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

package controller

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// drainingStatus is the status of a policy with one drain.
func drainingStatus(state drainv1alpha1.DrainState, reason string) drainv1alpha1.DrainPolicyStatus {
	return drainv1alpha1.DrainPolicyStatus{
		Conditions: []metav1.Condition{
			{Type: drainv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: drainv1alpha1.ReasonAccepted},
			{Type: drainv1alpha1.ConditionDrained, Status: metav1.ConditionFalse, Reason: reason},
		},
		Drains: []drainv1alpha1.DrainStatus{{Ordinal: ptr.To[int32](1), State: state, Reason: reason}},
	}
}

func TestWhatAPersonWaitsForIsWrittenAtOnce(t *testing.T) {
	locked := func() drainv1alpha1.DrainPolicyStatus {
		return drainingStatus(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonLocked)
	}
	for name, tc := range map[string]struct {
		after func(*drainv1alpha1.DrainPolicyStatus)
		want  bool
	}{
		"the drain is one step further": {func(s *drainv1alpha1.DrainPolicyStatus) {
			*s = drainingStatus(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
		}, false},
		"the drain has another message": {func(s *drainv1alpha1.DrainPolicyStatus) { s.Drains[0].Message = "pulling" }, false},
		"the drain fails":               {func(s *drainv1alpha1.DrainPolicyStatus) { s.Drains[0].State = drainv1alpha1.DrainFailed }, true},
		"the drain is blocked":          {func(s *drainv1alpha1.DrainPolicyStatus) { s.Drains[0].State = drainv1alpha1.DrainBlocked }, true},
		"the Job has ended":             {func(s *drainv1alpha1.DrainPolicyStatus) { s.Drains[0].CompletionTime = &metav1.Time{} }, false},
		"the claims are being deleted": {func(s *drainv1alpha1.DrainPolicyStatus) {
			s.Drains[0].CompletionTime, s.Drains[0].Reason = &metav1.Time{}, drainv1alpha1.ReasonDeletingClaims
		}, true},
		"all are drained":         {func(s *drainv1alpha1.DrainPolicyStatus) { s.Conditions[1].Status = metav1.ConditionTrue }, true},
		"the policy is not ready": {func(s *drainv1alpha1.DrainPolicyStatus) { s.Conditions[0].Reason = drainv1alpha1.ReasonInvalidTemplate }, true},
		"there is a new condition": {func(s *drainv1alpha1.DrainPolicyStatus) {
			s.Conditions = append(s.Conditions, metav1.Condition{Type: drainv1alpha1.ConditionStalled})
		}, true},
		"the spec has changed":         {func(s *drainv1alpha1.DrainPolicyStatus) { s.ObservedGeneration = 2 }, true},
		"the template has changed":     {func(s *drainv1alpha1.DrainPolicyStatus) { s.TemplateHash = "other" }, true},
		"the StatefulSet has changed":  {func(s *drainv1alpha1.DrainPolicyStatus) { s.StatefulSet = &drainv1alpha1.ObservedStatefulSet{} }, true},
		"there are stranded claims":    {func(s *drainv1alpha1.DrainPolicyStatus) { s.StrandedClaims = []drainv1alpha1.ClaimReference{{}} }, true},
		"another ordinal has no drain": {func(s *drainv1alpha1.DrainPolicyStatus) { s.Drains = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			after := locked()
			tc.after(&after)
			if got := urgent(locked(), after); got != tc.want {
				t.Errorf("it is urgent: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestProgressWaitsAndIsBounded(t *testing.T) {
	start := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	before := drainingStatus(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonLocked)
	after := drainingStatus(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
	urgent := drainingStatus(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed)
	key := func(i int) types.NamespacedName { return types.NamespacedName{Name: fmt.Sprint(i)} }
	p := &reports{}
	for i := range progressBurst + 2 {
		if due := p.due(key(i), before, after, start); due != progressDelay {
			t.Fatalf("policy %d waits for %s first, want %s", i, due, progressDelay)
		}
		if due := p.due(key(i), before, after, start.Add(300*time.Millisecond)); due != progressDelay-300*time.Millisecond {
			t.Fatalf("policy %d waits for %s then, want the rest of %s", i, due, progressDelay)
		}
	}
	written := 0
	for i := range progressBurst + 2 {
		if p.due(key(i), before, after, start.Add(progressDelay)) == 0 {
			written++
		}
	}
	if written != progressBurst {
		t.Errorf("%d statuses were written at once, want %d", written, progressBurst)
	}
	last := key(progressBurst + 1)
	if due := p.due(last, before, urgent, start.Add(progressDelay)); due != 0 {
		t.Errorf("what a person waits for waits for %s", due)
	}
	if due := p.due(last, before, before, start.Add(progressDelay)); due != 0 {
		t.Errorf("a status that is as it should be waits for %s", due)
	}
	if due := p.due(last, before, after, start.Add(progressDelay)); due != progressDelay {
		t.Errorf("what changes next waits for %s, want %s again", due, progressDelay)
	}
}
