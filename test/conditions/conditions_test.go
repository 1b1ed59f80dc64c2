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

package conditions

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

var noon = metav1.NewTime(time.Date(2026, time.August, 1, 12, 0, 0, 0, time.UTC))

// waiting returns a policy with an ordinal that waits for its slot.
func waiting() *drainv1alpha1.DrainPolicy {
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{UID: "uid", Generation: 2}}
	policy.Status.ObservedGeneration = 2
	set := func(name string, status metav1.ConditionStatus, reason string) {
		policy.Status.Conditions = append(policy.Status.Conditions, metav1.Condition{
			Type: name, Status: status, Reason: reason, Message: "because", ObservedGeneration: 2, LastTransitionTime: noon,
		})
	}
	set(drainv1alpha1.ConditionReady, metav1.ConditionTrue, "Fine")
	set(drainv1alpha1.ConditionDrained, metav1.ConditionFalse, drainv1alpha1.ReasonWaitingForSlot)
	set(drainv1alpha1.ConditionStalled, metav1.ConditionFalse, drainv1alpha1.ReasonProgressing)
	policy.Status.Drains = []drainv1alpha1.DrainStatus{{
		Ordinal: ptr.To[int32](1), State: drainv1alpha1.DrainWaiting, Reason: drainv1alpha1.ReasonWaitingForSlot, Message: "because",
	}}
	return policy
}

func TestCheckFindsWhatIsUnsound(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*drainv1alpha1.DrainPolicy)
		// want is a part of the only problem; empty if there is none.
		want string
	}{
		"a sound status":                    {change: func(*drainv1alpha1.DrainPolicy) {}},
		"a policy that was not looked at":   {change: func(p *drainv1alpha1.DrainPolicy) { p.Status = drainv1alpha1.DrainPolicyStatus{} }},
		"a generation that is to come":      {func(p *drainv1alpha1.DrainPolicy) { p.Generation = 1 }, "observedGeneration is 2"},
		"a condition of another generation": {func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions[2].ObservedGeneration = 1 }, "is about generation 1"},
		"a condition without a message":     {func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions[0].Message = "" }, "lacks its reason"},
		"an entry without a reason":         {func(p *drainv1alpha1.DrainPolicy) { p.Status.Drains[0].Message = "" }, "ordinal 1, Waiting, lacks"},
		"a fourth condition": {func(p *drainv1alpha1.DrainPolicy) {
			p.Status.Conditions = append(p.Status.Conditions, metav1.Condition{Type: "More"})
		}, "4 conditions"},
		"Drained although an ordinal waits":        {func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions[1].Status = metav1.ConditionTrue }, "Drained is True and ordinal 1"},
		"Drained is False and no ordinal says why": {func(p *drainv1alpha1.DrainPolicy) { p.Status.Drains = nil }, "nothing else in the status"},
		"Stalled for the reason for which it is Ready": {func(p *drainv1alpha1.DrainPolicy) {
			p.Status.Conditions[2].Status, p.Status.Conditions[2].Reason = metav1.ConditionTrue, "Fine"
		}, "True for the same reason"},
		"not Ready until a person acts, and not Stalled": {func(p *drainv1alpha1.DrainPolicy) {
			p.Status.Conditions[0].Status, p.Status.Conditions[0].Reason = metav1.ConditionFalse, drainv1alpha1.ReasonInvalidTemplate
		}, "Ready is False for InvalidTemplate"},
		"Drained although claims are undrained": {func(p *drainv1alpha1.DrainPolicy) {
			p.Status.Conditions[1].Status, p.Status.Drains[0].State, p.Status.Undrained = metav1.ConditionTrue, drainv1alpha1.DrainRetained, ptr.To[int32](1)
		}, "Drained is True and 1 ordinals"},
		"not Drained because claims are retained": {change: func(p *drainv1alpha1.DrainPolicy) {
			p.Status.Conditions[1].Reason, p.Status.Drains[0].State = drainv1alpha1.ReasonRetained, drainv1alpha1.DrainRetained
		}},
		"an ordinal that waits for a person, and not Stalled": {func(p *drainv1alpha1.DrainPolicy) {
			p.Status.Conditions[1].Reason, p.Status.Drains[0].Reason = drainv1alpha1.ReasonInvalidTemplate, drainv1alpha1.ReasonInvalidTemplate
		}, "ordinal 1 waits for a person"},
		"Blocked and not Stalled": {func(p *drainv1alpha1.DrainPolicy) { p.Status.Drains[0].State = drainv1alpha1.DrainBlocked }, "Stalled is False and ordinal 1"},
	} {
		t.Run(name, func(t *testing.T) {
			policy := waiting()
			tc.change(policy)
			expect(t, Check(nil, policy), tc.want)
		})
	}
}

func TestCheckFindsWhatWentBack(t *testing.T) {
	later := metav1.NewTime(noon.Add(time.Minute))
	for name, tc := range map[string]struct {
		before, after func(*drainv1alpha1.DrainPolicy)
		want          string
	}{
		"another policy": {before: func(p *drainv1alpha1.DrainPolicy) { p.UID, p.Status.ObservedGeneration = "old", 9 }},
		"the generation of the status": {
			before: func(p *drainv1alpha1.DrainPolicy) { p.Status.ObservedGeneration = 3 }, want: "went back from 3 to 2",
		},
		"the generation of a condition": {
			before: func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions[0].ObservedGeneration = 3 }, want: "condition Ready went back",
		},
		"the time of a condition": {
			before: func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions[0].LastTransitionTime = later }, want: "time of condition Ready went back",
		},
		"a new time without a change": {
			after: func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions[0].LastTransitionTime = later }, want: "although it stayed True",
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := waiting(), waiting()
			if tc.before != nil {
				tc.before(before)
			}
			if tc.after != nil {
				tc.after(after)
			}
			expect(t, CheckWrite(before, after), tc.want)
		})
	}
}

func expect(t *testing.T, got error, want string) {
	t.Helper()
	switch {
	case got == nil && want != "":
		t.Errorf("nothing is unsound, want %q", want)
	case got != nil && (want == "" || !strings.Contains(got.Error(), want) || strings.Count(got.Error(), "\n") > 0):
		t.Errorf("unsound is %q, want only %q", got, want)
	}
}
