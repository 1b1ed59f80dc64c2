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
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// status plans for a world and returns the status that comes of it.
func (w *world) status() drainv1alpha1.DrainPolicyStatus {
	plan := Make(w.snapshot(), now)
	return plan.Status(w.Policy, metav1.NewTime(now))
}

// turn writes the status that comes of a world to its policy, as a reconcile does.
func (w *world) turn() { w.Policy.Status = w.status() }

func TestDrainedCondition(t *testing.T) {
	two := func(w *world) {
		w.claim("data", 2, skip)
		w.claim("data", 3, markedAt(4))
	}
	tests := map[string]struct {
		given      func(*world)
		wantStatus metav1.ConditionStatus
		wantReason string
		wantSays   string
	}{
		"True without orphaned ordinals": {wantStatus: "True", wantReason: drainv1alpha1.ReasonNoOrphans},
		"True when all are drained and kept": {
			given:      func(w *world) { w.claim("data", 2, markedAt(4)); w.claim("data", 3, markedAt(4)) },
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAllDrained, wantSays: "2 ordinals",
		},
		"False when one is retained undrained": {
			given:      two,
			wantStatus: "False", wantReason: drainv1alpha1.ReasonRetained, wantSays: "1 ordinals",
		},
		"False with whenScaled: Retain": {
			given:      all(orphan, retain),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonRetained, wantSays: "1 ordinals",
		},
		"True when the only claim was never bound": {
			given:      func(w *world) { w.claim("data", 2, withoutVolume) },
			wantStatus: "True", wantReason: drainv1alpha1.ReasonNoOrphans,
		},
		"True when the only claim was never bound, with whenScaled: Retain": {
			given:      all(retain, func(w *world) { w.claim("data", 2, withoutVolume) }),
			wantStatus: "True", wantReason: drainv1alpha1.ReasonNoOrphans,
		},
		"True when one is kept and the claim of another was never bound": {
			given:      func(w *world) { w.claim("data", 2, withoutVolume); w.claim("data", 3, markedAt(4)) },
			wantStatus: "True", wantReason: drainv1alpha1.ReasonAllDrained,
		},
		"False when claims are stranded": {
			given:      stranded,
			wantStatus: "False", wantReason: drainv1alpha1.ReasonClaimsStranded, wantSays: "1 claims",
		},
		"False when claims are stranded beside a kept ordinal": {
			given:      all(stranded, func(w *world) { w.claim("data", 2, markedAt(4)) }),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonClaimsStranded,
		},
		"False for a retained ordinal before stranded claims": {
			given:      all(two, stranded, ofTheSelector),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonRetained, wantSays: "1 ordinals",
		},
		"False for a waiting ordinal before stranded claims": {
			given:      all(stranded, func(w *world) { w.claim("data", 2, withLabel("web")) }),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonStarting,
		},
		"Unknown for stranded claims without a StatefulSet": {
			given:      all(stranded, func(w *world) { w.StatefulSet = nil }),
			wantStatus: "Unknown", wantReason: drainv1alpha1.ReasonStatefulSetNotFound,
		},
		"False when an ordinal waits": {
			given:      all(orphan, suspended),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonSuspended, wantSays: "Ordinal 2: No drain is started",
		},
		"False for a waiting ordinal before retained ones": {
			given:      all(two, func(w *world) { w.claim("data", 4) }),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonStarting, wantSays: "Ordinal 4: ",
		},
		"False with the reason of the most urgent ordinal": {given: func(w *world) {
			w.claim("data", 2)
			w.lock(2)
			w.job(2, 1, jobReady)
			w.claim("data", 3)
			w.claim("data", 4)
		}, wantStatus: "False", wantReason: drainv1alpha1.ReasonJobRunning, wantSays: " (and 2 more: 2 WaitingForSlot)"},
		"False with the counts of the other ordinals by reason, the most frequent first": {given: func(w *world) {
			w.claim("data", 2, volumeLost)
			w.claim("data", 3, skip)
			w.claim("data", 4, volumeLost)
			w.claim("data", 5, markedAt(4))
			w.claim("data", 6)
			w.claim("data", 7)
			w.claim("data", 8)
			w.claim("data", 9)
		}, wantStatus: "False", wantReason: drainv1alpha1.ReasonClaimLost, wantSays: " (and 5 more: 3 WaitingForSlot, 1 ClaimLost, 1 Starting)"},
		"False for a failed ordinal before a blocked one": {
			given:      func(w *world) { w.claim("data", 2); w.lock(2); w.job(2, 1, failed); w.claim("data", 3, volumeLost) },
			wantStatus: "False", wantReason: drainv1alpha1.ReasonJobFailed, wantSays: "Ordinal 2",
		},
		"False for the highest of ordinals in the same state": {
			given:      func(w *world) { w.claim("data", 2); w.claim("data", 3) },
			wantStatus: "False", wantReason: drainv1alpha1.ReasonStarting, wantSays: "Ordinal 3",
		},
		"Unknown without a StatefulSet": {
			given:      func(w *world) { w.StatefulSet = nil },
			wantStatus: "Unknown", wantReason: drainv1alpha1.ReasonStatefulSetNotFound,
		},
		"Unknown for orphaned ordinals of a StatefulSet that is gone": {
			given:      all(orphan, setGone),
			wantStatus: "Unknown", wantReason: drainv1alpha1.ReasonStatefulSetNotFound,
		},
		"Unknown while the StatefulSet is being deleted": {
			given:      setDeleted,
			wantStatus: "Unknown", wantReason: drainv1alpha1.ReasonStatefulSetNotFound,
		},
		"False while a StatefulSet whose ordinals will be drained is being deleted": {
			given:      all(orphan, setDeleted, whenDeleted),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonStatefulSetNotFound,
			wantSays: "Ordinal 2: The StatefulSet is being deleted",
		},
		"Unknown when an older policy is in charge": {
			given:      all(orphan, rival),
			wantStatus: "Unknown", wantReason: drainv1alpha1.ReasonPolicyConflict,
		},
		"Unknown while the policy is being deleted": {
			given:      all(orphan, deleted),
			wantStatus: "Unknown", wantReason: drainv1alpha1.ReasonPolicyDeleted,
		},
		"False while the policy is being deleted and a lock is left": {
			given:      all(lockedOrphan, deleted),
			wantStatus: "False", wantReason: drainv1alpha1.ReasonReleasingLock,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Make(given(tc.given).snapshot(), now).Drained
			if got.Status != tc.wantStatus || got.Reason != tc.wantReason ||
				!strings.Contains(got.Message, tc.wantSays) || got.Message == "" {
				t.Errorf("Drained = %+v, want %s/%s with %q", got, tc.wantStatus, tc.wantReason, tc.wantSays)
			}
		})
	}
}

// ofTheSelector gives the claims of ordinals 2 and up the labels of the StatefulSet's selector.
func ofTheSelector(w *world) {
	for i := range w.Claims {
		if _, n, _ := claims.Parse(w.Claims[i].Name); n >= 2 {
			withLabel("web")(&w.Claims[i])
		}
	}
}

func TestStalledOnlyWhenAPersonMustAct(t *testing.T) {
	tests := map[string]struct {
		given      func(*world)
		wantReason string
		wantTrue   bool
	}{
		"a running drain does not stall": {
			given:      all(lockedOrphan, func(w *world) { w.job(2, 1, jobReady) }),
			wantReason: drainv1alpha1.ReasonProgressing,
		},
		"a waiting drain does not stall": {
			given:      all(orphan, func(w *world) { w.StatefulSet.Status.ReadyReplicas = 0 }),
			wantReason: drainv1alpha1.ReasonProgressing,
		},
		"one failed attempt does not stall": {
			given:      all(lockedOrphan, func(w *world) { w.job(2, 1, failed) }),
			wantReason: drainv1alpha1.ReasonProgressing,
		},
		"a suspended policy does not stall": {given: all(orphan, suspended), wantReason: drainv1alpha1.ReasonProgressing},
		"a missing StatefulSet does not stall": {
			given:      func(w *world) { w.StatefulSet = nil },
			wantReason: drainv1alpha1.ReasonProgressing,
		},
		"an unanswered preflight does not stall": {
			given:      func(w *world) { w.Preflight.Unanswered = "timeout" },
			wantReason: drainv1alpha1.ReasonProgressing,
		},
		"a wrong image stalls": {
			given:      all(lockedOrphan, func(w *world) { w.job(2, 1); w.drainPod(2, waiting("ErrImagePull")) }),
			wantReason: drainv1alpha1.ReasonImagePullFailed, wantTrue: true,
		},
		"a container that can't be created stalls": {
			given:      all(lockedOrphan, func(w *world) { w.job(2, 1); w.drainPod(2, waiting("CreateContainerError")) }),
			wantReason: drainv1alpha1.ReasonContainerConfigError, wantTrue: true,
		},
		"exhausted attempts stall": {given: all(lockedOrphan, func(w *world) {
			w.note(2, failedAttempt(1, time.Minute))
			w.Policy.Spec.Retry.MaxAttempts = ptr.To[int32](1)
		}), wantReason: drainv1alpha1.ReasonAttemptsExhausted, wantTrue: true},
		"a blocked ordinal stalls": {
			given:      func(w *world) { w.claim("data", 2, volumeLost) },
			wantReason: drainv1alpha1.ReasonClaimLost, wantTrue: true,
		},
		"a blocked ordinal beside a waiting one stalls": {
			given:      func(w *world) { w.claim("data", 3); w.claim("data", 2, volumeLost) },
			wantReason: drainv1alpha1.ReasonClaimLost, wantTrue: true,
		},
		"a refused template stalls drains of a StatefulSet that is gone": {
			given:      all(whenDeleted, orphan, setGone, func(w *world) { w.Preflight.Refusal = "no such image" }),
			wantReason: drainv1alpha1.ReasonInvalidTemplate, wantTrue: true,
		},
		"a refused template of a StatefulSet that is gone does not stall where nothing is left to drain": {
			given:      all(whenDeleted, setGone, func(w *world) { w.Preflight.Refusal = "no such image" }),
			wantReason: drainv1alpha1.ReasonProgressing,
		},
		"a skipped ordinal does not stall": {
			given:      func(w *world) { w.claim("data", 2, skip) },
			wantReason: drainv1alpha1.ReasonProgressing,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Make(given(tc.given).snapshot(), now).Stalled
			if (got.Status == metav1.ConditionTrue) != tc.wantTrue || got.Reason != tc.wantReason || got.Message == "" {
				t.Errorf("Stalled = %+v, want %t/%s", got, tc.wantTrue, tc.wantReason)
			}
		})
	}
}

// endless are the reasons of a drain that waits or is under way for as long as it may, and why it may.
var endless = map[string]string{
	drainv1alpha1.ReasonWaitingForMinOrphanedSeconds: "the policy says how long",
	drainv1alpha1.ReasonDrainedBefore:                "ends by time alone",
	drainv1alpha1.ReasonWaitingForSlot:               "what holds the slot stalls",
	drainv1alpha1.ReasonJobRunning:                   "a drain takes as long as its data; spec.progressDeadlineSeconds and spec.job.activeDeadlineSeconds bound it",
	drainv1alpha1.ReasonBackInRange:                  "the same, by a person's or an autoscaler's decision",
	drainv1alpha1.ReasonQueued:                       "another controller decides",
}

// TestEveryWaitIsBoundedOrSaysWhyNot reads the reasons of drains that wait or are under way from the API's own list.
func TestEveryWaitIsBoundedOrSaysWhyNot(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/conditions.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, declaration := range file.Decls {
		block, ok := declaration.(*ast.GenDecl)
		if !ok || !strings.HasPrefix(block.Doc.Text(), "Reasons of a drain that waits") && !strings.HasPrefix(block.Doc.Text(), "Reasons of a drain that is under way") {
			continue
		}
		for _, spec := range block.Specs {
			reason := strings.Trim(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value, `"`)
			found++
			if _, bounded := patience[reason]; bounded == (endless[reason] != "") {
				t.Errorf("%s must have a time in patience, or say in this test why it has none", reason)
			}
		}
	}
	if found < 20 {
		t.Errorf("conditions.go has %d reasons of drains that wait or are under way where they were", found)
	}
}

// TestMessagesCountTheOtherOrdinalsHoweverLongTheyAre has a first ordinal that says more than a condition takes.
func TestMessagesCountTheOtherOrdinalsHoweverLongTheyAre(t *testing.T) {
	long := strings.Repeat("ß", 2000)
	w := given(all(orphan, func(w *world) { w.claim("data", 3); w.claim("data", 4, volumeLost) }))
	plan := Make(w.snapshot(), now)
	plan.Replace(w.snapshot(), Drain{Ordinal: 5, State: drainv1alpha1.DrainBlocked, Reason: drainv1alpha1.ReasonJobRefused, Message: long}, now)
	for want, got := range map[string]string{
		"… (and 3 more: 1 ClaimLost, 1 Starting, 1 WaitingForSlot)": plan.Drained.Message,
		"… (and 1 more: 1 ClaimLost)":                               plan.Stalled.Message,
	} {
		if n := utf8.RuneCountInString(got); n != maxMessage || !strings.HasSuffix(got, want) {
			t.Errorf("a message of %d characters ends with %q, want one of %d that ends with %q", n, got[max(0, len(got)-60):], maxMessage, want)
		}
	}
}

// TestAMessageCountsFiveReasonsAtMost has drains of seven reasons.
func TestAMessageCountsFiveReasonsAtMost(t *testing.T) {
	var drains []Drain
	for i, reason := range []string{"A", "B", "C", "D", "E", "F", "G"} {
		for range 8 - i {
			drains = append(drains, Drain{Reason: reason})
		}
	}
	const want = " (and 35 more: 8 A, 7 B, 6 C, 5 D, 4 E, 5 with other reasons)"
	if got := others(drains, func(*Drain) bool { return true }); got != want {
		t.Errorf("others = %q, want %q", got, want)
	}
	if got := others(drains, func(*Drain) bool { return false }); got != "" {
		t.Errorf("others = %q of no drain, want nothing", got)
	}
}

func TestStatusTellsSinceWhenTheOldestDrainIsPending(t *testing.T) {
	hourAgo, dayAgo := metav1.NewTime(now.Add(-time.Hour)), metav1.NewTime(now.Add(-24*time.Hour))
	remembered := func(ordinal int32, since metav1.Time, reason string) func(*world) {
		return func(w *world) {
			w.Policy.Status.Drains = append(w.Policy.Status.Drains, drainv1alpha1.DrainStatus{
				Ordinal: &ordinal, State: drainv1alpha1.DrainWaiting, Reason: reason, OrphanedTime: &since, LastTransitionTime: &since,
			})
			w.Policy.Status.StatefulSet = &drainv1alpha1.ObservedStatefulSet{
				UID: "set", Generation: ptr.To(w.StatefulSet.Generation), StartOrdinal: ptr.To[int32](0), Replicas: ptr.To[int32](2),
			}
		}
	}
	tests := map[string]struct {
		given func(*world)
		want  *metav1.Time
	}{
		"nothing without an orphaned ordinal": {},
		"nothing for drained and retained ordinals": {given: func(w *world) {
			w.claim("data", 2, markedAt(4))
			w.claim("data", 3, skip)
			remembered(3, dayAgo, drainv1alpha1.ReasonSkipped)(w)
		}},
		"now for an ordinal that has just been orphaned": {given: orphan, want: ptr.To(metav1.NewTime(now))},
		"the earliest of two": {given: all(orphan, func(w *world) { w.claim("data", 3) },
			remembered(2, dayAgo, drainv1alpha1.ReasonStarting), remembered(3, hourAgo, drainv1alpha1.ReasonStarting)), want: &dayAgo},
		"since when a pod of an ordinal in range waits": {
			given: all(lockedOrphan, scaledUp, func(w *world) { w.job(2, 1, jobReady) }), want: ptr.To(metav1.NewTime(now)),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := given(tc.given).status().OldestPendingTime; !got.Equal(tc.want) {
				t.Errorf("oldestPendingTime = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestWhatTheActorLearnsReplacesThePlan(t *testing.T) {
	w := given(all(orphan, func(w *world) { w.claim("data", 4); w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](2) }))
	plan := Make(w.snapshot(), now)
	plan.Replace(w.snapshot(),
		Drain{
			Ordinal: 4, State: drainv1alpha1.DrainBlocked, Reason: drainv1alpha1.ReasonLockRefused,
			Message: "no quota",
		}, now)
	plan.Replace(w.snapshot(),
		Drain{
			Ordinal: 3, State: drainv1alpha1.DrainBlocked, Reason: drainv1alpha1.ReasonJobRefused,
			Message: "no quota either",
		}, now)
	var got []string
	for i := range plan.Drains {
		got = append(got, fmt.Sprintf("%d %s", plan.Drains[i].Ordinal, plan.Drains[i].Reason))
	}
	if diff := cmp.Diff([]string{"4 LockRefused", "3 JobRefused", "2 Starting"}, got); diff != "" {
		t.Errorf("drains (-want +got):\n%s", diff)
	}
	if plan.Drained.Status != metav1.ConditionFalse || plan.Drained.Reason != drainv1alpha1.ReasonLockRefused ||
		plan.Stalled.Status != metav1.ConditionTrue || plan.Stalled.Reason != drainv1alpha1.ReasonLockRefused {
		t.Errorf("Drained = %+v, Stalled = %+v, want both to tell of the refused lock", plan.Drained, plan.Stalled)
	}
}

func TestARefusalStaysWhenTheActorLearnsOfAnOrdinal(t *testing.T) {
	w := given(all(whenDeleted, orphan, setGone, func(w *world) { w.claim("data", 4); w.Preflight.Refusal = "no such image" }))
	plan := Make(w.snapshot(), now)
	plan.Replace(w.snapshot(), Drain{Ordinal: 4, State: drainv1alpha1.DrainDraining, Reason: drainv1alpha1.ReasonStoppingJob, Message: "stopping"}, now)
	if plan.Stalled.Status != metav1.ConditionTrue || plan.Stalled.Reason != drainv1alpha1.ReasonInvalidTemplate {
		t.Errorf("Stalled = %+v, want it for the refused template, for which ordinal 2 waits", plan.Stalled)
	}
}

func TestStatusCountsWhatThereIs(t *testing.T) {
	tests := map[string]struct {
		given                                             func(*world)
		wantUndrained, wantDraining, wantKept, wantFailed int32
		wantCapacity                                      string
	}{
		"no orphaned ordinals": {wantCapacity: "0"},
		"an orphaned ordinal":  {given: orphan, wantUndrained: 1, wantCapacity: "1Gi"},
		"an orphaned ordinal with two claims": {
			given:         all(orphan, func(w *world) { w.templates("data", "logs"); w.claim("logs", 2) }),
			wantUndrained: 1, wantCapacity: "2Gi",
		},
		"a draining ordinal": {given: lockedOrphan, wantUndrained: 1, wantDraining: 1, wantCapacity: "1Gi"},
		"a failed ordinal": {
			given:         all(lockedOrphan, func(w *world) { w.job(2, 1, failed) }),
			wantUndrained: 1, wantDraining: 1, wantFailed: 1, wantCapacity: "1Gi",
		},
		"a kept ordinal":    {given: func(w *world) { w.claim("data", 2, markedAt(4)) }, wantKept: 1, wantCapacity: "1Gi"},
		"a skipped ordinal": {given: func(w *world) { w.claim("data", 2, skip) }, wantUndrained: 1, wantCapacity: "1Gi"},
		"an ordinal whose claim was never bound": {
			given:        func(w *world) { w.claim("data", 2, withoutVolume) },
			wantCapacity: "0",
		},
		"an ordinal whose claim was never bound, with whenScaled: Retain": {
			given:        all(retain, func(w *world) { w.claim("data", 2, withoutVolume) }),
			wantCapacity: "0",
		},
		"a locked ordinal back in range": {given: all(lockedOrphan, scaledUp), wantDraining: 1, wantCapacity: "0"},
		"a lock without claims":          {given: func(w *world) { w.lock(2) }, wantDraining: 1, wantCapacity: "0"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := given(tc.given).status()
			if *s.Undrained != tc.wantUndrained ||
				*s.Draining != tc.wantDraining || *s.Kept != tc.wantKept || *s.Failed != tc.wantFailed {
				t.Errorf("undrained, draining, kept, failed = %d, %d, %d, %d, want %d, %d, %d, %d",
					*s.Undrained, *s.Draining, *s.Kept, *s.Failed, tc.wantUndrained, tc.wantDraining, tc.wantKept, tc.wantFailed)
			}
			if want := resource.MustParse(tc.wantCapacity); s.OrphanedCapacity.Cmp(want) != 0 {
				t.Errorf("orphanedCapacity = %s, want %s", s.OrphanedCapacity, &want)
			}
		})
	}
}

func TestStatusKeepsTheTimesOfWhatDidNotChange(t *testing.T) {
	w := given(orphan, rival)
	w.turn()
	before := meta.FindStatusCondition(w.Policy.Status.Conditions, drainv1alpha1.ConditionReady).LastTransitionTime
	w.Policy.Generation = 8
	plan := Make(w.snapshot(), now)
	after := plan.Status(w.Policy, metav1.NewTime(now.Add(time.Hour)))
	for _, c := range after.Conditions {
		if !c.LastTransitionTime.Equal(&before) || c.ObservedGeneration != 8 {
			t.Errorf("%s has changed at %v and observed generation %d, want %v and 8",
				c.Type, c.LastTransitionTime, c.ObservedGeneration, before)
		}
	}
	w.Rival = ""
	plan = Make(w.snapshot(), now)
	after = plan.Status(w.Policy, metav1.NewTime(now.Add(time.Hour)))
	if got := meta.FindStatusCondition(after.Conditions,
		drainv1alpha1.ConditionReady).LastTransitionTime; !got.Equal(ptr.To(metav1.NewTime(now.Add(time.Hour)))) {
		t.Errorf("Ready became True at %v, want now", got)
	}
	if w.Policy.Status.Conditions[0].ObservedGeneration != 7 {
		t.Error("the previous status was written to")
	}
}

// TestStatusTellsADrainFromItsStartToItsEnd goes through a drain as it is seen from outside.
func TestStatusTellsADrainFromItsStartToItsEnd(t *testing.T) {
	w := given(orphan, deleteClaims)
	entry := func(wantState drainv1alpha1.DrainState, wantReason, wantSays string) *drainv1alpha1.DrainStatus {
		t.Helper()
		w.turn()
		got := find(w.Policy.Status.Drains, 2)
		if got == nil {
			t.Fatalf("there is no entry, want %s/%s", wantState, wantReason)
		}
		if got.State != wantState || got.Reason != wantReason || !strings.Contains(got.Message, wantSays) {
			t.Fatalf("the entry is %s/%s %q, want %s/%s with %q",
				got.State, got.Reason, got.Message, wantState, wantReason, wantSays)
		}
		return got
	}
	claim := drainv1alpha1.ClaimReference{Name: "data-web-2", UID: "uid-of-data-web-2"}

	if e := entry(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonStarting,
		""); len(e.Claims) != 1 || e.Claims[0] != claim || e.JobName != "" {
		t.Errorf("before its Job the entry is %+v", e)
	}
	w.lock(2)
	w.job(2, 1, func(j *batchv1.Job) { j.Status.StartTime = &noon })
	w.drainPod(2, running)
	job := w.Jobs[0].Name
	if e := entry(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning,
		job); e.JobName != job || e.Attempts != 1 || !e.StartTime.Equal(&noon) || e.CompletionTime != nil {
		t.Errorf("with its Job the entry is %+v", e)
	}
	complete(&w.Jobs[0])
	ended(0, "moved 12 records")(&w.Pods[1])
	w.Pods[1].Status.ContainerStatuses = w.Pods[1].Status.ContainerStatuses[1:]
	if e := entry(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonMarkingClaims, ""); !e.CompletionTime.Equal(&noon) {
		t.Errorf("with its Job complete the entry is %+v", e)
	}
	plan := Make(w.snapshot(), now)
	mark := as[WriteMark](plan.Drain(2).Next).Mark
	markedBy(mark)(&w.Claims[0])
	going := w.Jobs[0]
	going.DeletionTimestamp, going.Finalizers = &noon, []string{metav1.FinalizerDeleteDependents}
	w.Jobs, w.Pods = nil, w.Pods[:1]
	started := *w.Policy.Status.Drains[0].StartTime
	if e := entry(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonDeletingClaims,
		"moved 12 records"); e.JobName != job || e.Attempts != 1 ||
		!e.StartTime.Equal(&started) || !e.CompletionTime.Equal(&noon) {
		t.Errorf("with its mark the entry is %+v", e)
	}
	w.Claims = nil
	w.Jobs = []batchv1.Job{going}
	for range 2 { // The claims can go before the Job's pods do.
		if e := entry(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, "moved 12 records"); e.JobName != job {
			t.Errorf("without claims, and with its Job, the entry is %+v", e)
		}
	}
	w.Jobs = nil
	if e := entry(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonReleasingLock,
		"moved 12 records"); e.JobName != job || len(e.Claims) != 1 || e.Claims[0] != claim {
		t.Errorf("without claims the entry is %+v", e)
	}
	w.Pods = nil
	for range 2 { // It stays.
		if e := entry(drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted,
			"moved 12 records"); e.JobName != job ||
			!e.StartTime.Equal(&started) || e.CompletionTime == nil || e.Claims[0] != claim {
			t.Errorf("in the end the entry is %+v", e)
		}
	}
	scaledUp(w)
	w.turn()
	if e := find(w.Policy.Status.Drains, 2); e != nil {
		t.Errorf("the ordinal is in range again, and its entry is still %+v", e)
	}
}

func TestStatusNamesTheClaimsThatWentFirst(t *testing.T) {
	marks := func(claim *corev1.PersistentVolumeClaim) { markedUnder(2)(claim) }
	w := given(deleteClaims, func(w *world) {
		w.templates("data", "logs")
		w.claim("data", 2, marks)
		w.claim("logs", 2, marks)
		w.lock(2)
	})
	w.turn()
	w.Claims = w.Claims[1:]
	w.turn()
	entry := find(w.Policy.Status.Drains, 2)
	want := []drainv1alpha1.ClaimReference{{Name: "data-web-2", UID: "uid-of-data-web-2"},
		{Name: "logs-web-2", UID: "uid-of-logs-web-2"}}
	if diff := cmp.Diff(want, entry.Claims); diff != "" || entry.Reason != drainv1alpha1.ReasonDeletingClaims {
		t.Errorf("%s: claims (-want +got):\n%s", entry.Reason, diff)
	}
}

func TestStatusTakesTheStartOfNoOtherJob(t *testing.T) {
	for name, tc := range map[string]struct {
		job  string
		want *metav1.Time
	}{
		"the same": {job: "past-job", want: &noon},
		"another":  {job: "earlier-job"},
	} {
		w := given(func(w *world) { w.claim("data", 2, markedAt(4)) })
		w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{
			Ordinal: ptr.To[int32](2), State: drainv1alpha1.DrainDrained, Reason: drainv1alpha1.ReasonClaimsKept,
			JobName: tc.job, StartTime: &noon,
		}}
		if got := find(w.status().Drains, 2).StartTime; !got.Equal(tc.want) {
			t.Errorf("%s Job: startTime = %v, want %v", name, got, tc.want)
		}
	}
}

func TestStatusSaysWhatIsGoingOnWithoutClaims(t *testing.T) {
	w := given(func(w *world) { w.lock(2); w.job(2, 1, jobTerminating) })
	w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{
		Ordinal: ptr.To[int32](2), State: drainv1alpha1.DrainDraining, Reason: drainv1alpha1.ReasonJobRunning,
		Message: "what was before",
	}}
	if got := find(w.status().Drains,
		2); !strings.Contains(got.Message, "is being deleted") || got.Reason != drainv1alpha1.ReasonStoppingJob {
		t.Errorf("the entry says %s: %q, want what is going on now", got.Reason, got.Message)
	}
}

func TestADrainIsConcludedOnlyOnceItSucceeded(t *testing.T) {
	for name, tc := range map[string]struct {
		old  drainv1alpha1.DrainStatus
		want bool
	}{
		"a drain that was concluded before": {
			old:  drainv1alpha1.DrainStatus{State: drainv1alpha1.DrainDrained, Reason: drainv1alpha1.ReasonClaimsDeleted},
			want: true,
		},
		"a drain whose claims were being deleted": {
			old: drainv1alpha1.DrainStatus{
				State: drainv1alpha1.DrainDraining, Reason: drainv1alpha1.ReasonDeletingClaims, CompletionTime: &noon,
			},
			want: true,
		},
		"a drain whose lock was being released": {
			old: drainv1alpha1.DrainStatus{
				State: drainv1alpha1.DrainDraining, Reason: drainv1alpha1.ReasonReleasingLock, CompletionTime: &noon,
			},
			want: true,
		},
		"an ordinal whose lock was released undrained": {
			old: drainv1alpha1.DrainStatus{State: drainv1alpha1.DrainDraining, Reason: drainv1alpha1.ReasonReleasingLock},
		},
		"an ordinal whose claims were deleted undrained": {
			old: drainv1alpha1.DrainStatus{State: drainv1alpha1.DrainDraining, Reason: drainv1alpha1.ReasonDeletingClaims},
		},
		"a drain whose claims were kept": {
			old: drainv1alpha1.DrainStatus{
				State: drainv1alpha1.DrainDrained, Reason: drainv1alpha1.ReasonClaimsKept, CompletionTime: &noon,
			},
		},
		"a drain whose Job was being stopped": {
			old: drainv1alpha1.DrainStatus{
				State: drainv1alpha1.DrainDraining, Reason: drainv1alpha1.ReasonStoppingJob, CompletionTime: &noon,
			},
		},
	} {
		if got := Concluded(&tc.old); got != tc.want {
			t.Errorf("%s: it is concluded: %t, want %t", name, got, tc.want)
		}
	}
}

func TestStatusForgetsWhatWasNeverDrained(t *testing.T) {
	for name, build := range map[string]func(*world){
		"an orphaned ordinal whose claims a user deleted": all(orphan, suspended),
		"an ordinal whose lock was released":              lockedOrphan,
		"an ordinal whose kept claims a user deleted":     func(w *world) { w.claim("data", 2, markedAt(4)) },
	} {
		w := given(build)
		w.turn()
		if len(w.Policy.Status.Drains) != 1 {
			t.Fatalf("%s: %d entries, want 1", name, len(w.Policy.Status.Drains))
		}
		w.Claims, w.Pods = nil, nil
		w.turn()
		if len(w.Policy.Status.Drains) != 0 {
			t.Errorf("%s: the entry stays: %+v", name, w.Policy.Status.Drains)
		}
	}
}

func TestStatusKeepsEndedDrainsWhenTheStatefulSetIsGone(t *testing.T) {
	for name, observed := range map[string]bool{
		"with the StatefulSet in the status": true, "without the StatefulSet in the status": false,
	} {
		w := given()
		w.observedBefore()
		w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{
			Ordinal: ptr.To[int32](2), State: drainv1alpha1.DrainDrained, Reason: drainv1alpha1.ReasonClaimsDeleted,
			CompletionTime: &noon,
		}}
		w.StatefulSet = nil
		if !observed {
			w.Policy.Status.StatefulSet = nil
		}
		if got := w.status().Drains; len(got) != 1 {
			t.Errorf("%s: %d entries, want 1", name, len(got))
		}
	}
}

func TestStatusIsBounded(t *testing.T) {
	w := given(func(w *world) {
		w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](1000)
		w.Preflight.Refusal = strings.Repeat("ß", 3000)
		for ordinal := int32(2); ordinal < 150; ordinal++ {
			switch {
			case ordinal < 30:
				w.claim("data", ordinal, markedAt(4), func(c *corev1.PersistentVolumeClaim) {
					mark := fmt.Sprintf(
						`{"claimUID":%q,"statefulSetUID":"set","generation":4,"time":"2026-08-01T00:%02d:00Z","job":"j"}`, c.UID, ordinal)
					c.Annotations[drainv1alpha1.DrainedAnnotation] = mark
				})
			case ordinal < 35:
				w.claim("data", ordinal)
				w.lock(ordinal)
				w.job(ordinal, 1, jobReady)
			default:
				w.claim("data", ordinal)
			}
		}
	})
	s := w.status()
	if len(s.Drains) != shownDrains {
		t.Errorf("%d entries are shown, want %d", len(s.Drains), shownDrains)
	}
	var running, kept []int32
	for i := range s.Drains {
		if i > 0 && *s.Drains[i].Ordinal >= *s.Drains[i-1].Ordinal {
			t.Errorf("ordinal %d comes after %d", *s.Drains[i].Ordinal, *s.Drains[i-1].Ordinal)
		}
		if n := utf8.RuneCountInString(s.Drains[i].Message); n > maxMessage {
			t.Errorf("the message of ordinal %d has %d characters", *s.Drains[i].Ordinal, n)
		}
		switch s.Drains[i].State {
		case drainv1alpha1.DrainDraining:
			running = append(running, *s.Drains[i].Ordinal)
		case drainv1alpha1.DrainDrained:
			kept = append(kept, *s.Drains[i].Ordinal)
		case drainv1alpha1.DrainWaiting, drainv1alpha1.DrainFailed, drainv1alpha1.DrainBlocked, drainv1alpha1.DrainRetained:
		}
	}
	if !slices.Equal(running, []int32{34, 33, 32, 31, 30}) {
		t.Errorf("the drains under way that are shown are %v, want all of them", running)
	}
	if !slices.Equal(kept, []int32{29, 28, 27, 26, 25, 24, 23, 22, 21, 20}) {
		t.Errorf("the ended drains that are shown are %v, want the ten that ended last", kept)
	}
	if *s.Undrained != 120 || *s.Kept != 28 || *s.Draining != 5 {
		t.Errorf("undrained, kept, draining = %d, %d, %d, want all of them counted: 120, 28, 5",
			*s.Undrained, *s.Kept, *s.Draining)
	}
}

// TestStatusFitsIntoEtcd has as many orphaned ordinals, claims and words as there may be, in characters of four bytes.
func TestStatusFitsIntoEtcd(t *testing.T) {
	const limit = 1_100_000 // etcd takes 1.5 MiB, and a policy has a template of 64 KiB and annotations of 256 KiB at most.
	templates := make([]string, statefulset.MaxClaimTemplates)
	for i := range templates {
		templates[i] = fmt.Sprintf("%s%03d", strings.Repeat("t", 240), i)
	}
	w := given(func(w *world) {
		w.templates(templates...)
		w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](1000)
		w.Policy.Spec.ProgressDeadlineSeconds = ptr.To[int32](60)
		for ordinal := int32(2); ordinal < 302; ordinal++ {
			for _, template := range templates {
				w.claim(template, ordinal)
			}
		}
	})
	plan := Make(w.snapshot(), now)
	for i := range plan.Drains {
		plan.Drains[i].Message = strings.Repeat("🧺", 2000)
		plan.Drains[i].Progress = report(50, strings.Repeat("🧺", drainv1alpha1.MaxProgressMessage), time.Second)
	}
	status := plan.Status(w.Policy, metav1.NewTime(now))
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for i := range status.Drains {
		named += len(status.Drains[i].Claims)
	}
	t.Logf("%d entries that name %d claims take %d bytes", len(status.Drains), named, len(text))
	if len(text) > limit || len(status.Drains) != shownDrains || named != shownClaims {
		t.Errorf("%d entries that name %d claims take %d bytes, want %d and %d in at most %d", len(status.Drains), named, len(text), shownDrains, shownClaims, limit)
	}
}

func TestTruncateCutsWholeCharacters(t *testing.T) {
	for _, tc := range []struct {
		given string
		want  int
	}{{"", 0}, {strings.Repeat("ß", maxMessage), maxMessage},
		{strings.Repeat("ß", maxMessage+1), maxMessage}, {strings.Repeat("x", maxMessage-1) + "ßß", maxMessage}} {
		got := truncate(tc.given)
		if n := utf8.RuneCountInString(got); n != tc.want || !utf8.ValidString(got) {
			t.Errorf("%d characters become %d, want %d", utf8.RuneCountInString(tc.given), n, tc.want)
		}
		if cut := len(got) < len(tc.given); cut != strings.HasSuffix(got, "…") {
			t.Errorf("a message that was cut must say so: %q", got[max(0, len(got)-6):])
		}
	}
}
