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

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// decision is what a row wants of ordinal 2, the only one outside the range.
type decision struct {
	given func(*world)
	// wantSilent means that the plan has no entry for the ordinal, and the rest is not looked at.
	wantSilent bool
	wantState  drainv1alpha1.DrainState
	wantReason string
	wantStep   string
	// wantSays is a part of the message.
	wantSays string
	// wantRetryAfter is when to look again; 0 if an event will come.
	wantRetryAfter time.Duration
	// check looks at the rest of the entry, if there is more to it.
	check func(*testing.T, *world, *Drain)
}

// decidedOn are the snapshots of all rows.
var decidedOn []Snapshot

func decide(t *testing.T, tests map[string]decision) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := given(tc.given)
			plan := Make(w.snapshot(), now)
			decidedOn = append(decidedOn, w.copy().snapshot())
			drain := plan.Drain(2)
			for drain != nil && StepName(drain.Next) != tc.wantStep {
				// The row is about what follows when the lock remembers it.
				if note, ok := drain.Next.(NoteAttempt); ok && drain.Job != nil && note.Attempt.Failed != nil {
					note.Attempt.Failed = &noon // When the Job was over.
					drain.Next = note
				}
				if !w.noted(drain.Next) {
					break
				}
				plan = Make(w.snapshot(), now)
				decidedOn = append(decidedOn, w.copy().snapshot())
				drain = plan.Drain(2)
			}
			if drain == nil || tc.wantSilent {
				if (drain == nil) != tc.wantSilent {
					t.Fatalf("the plan's entry is %+v, want none: %t", drain, tc.wantSilent)
				}
				return
			}
			if drain.State != tc.wantState || drain.Reason != tc.wantReason || StepName(drain.Next) != tc.wantStep {
				t.Errorf("the decision is %s/%s, next %q, want %s/%s, next %q; it says: %s",
					drain.State, drain.Reason, StepName(drain.Next), tc.wantState, tc.wantReason, tc.wantStep, drain.Message)
			}
			if !strings.Contains(drain.Message, tc.wantSays) || drain.Message == "" {
				t.Errorf("the message is %q, want %q in it", drain.Message, tc.wantSays)
			}
			if drain.RetryAfter != tc.wantRetryAfter {
				t.Errorf("RetryAfter = %v, want %v", drain.RetryAfter, tc.wantRetryAfter)
			}
			if tc.check != nil {
				tc.check(t, w, drain)
			}
		})
	}
}

// Parts that many rows share.

func orphan(w *world)       { w.claim("data", 2) }
func lockedOrphan(w *world) { w.claim("data", 2); w.lock(2) }
func scaledUp(w *world)     { w.StatefulSet.Spec.Replicas = ptr.To[int32](3) }
func deleted(w *world)      { w.Policy.DeletionTimestamp = &noon }
func suspended(w *world)    { w.Policy.Spec.Suspend = ptr.To(true) }
func deleteClaims(w *world) { w.Policy.Spec.WhenDrained = drainv1alpha1.WhenDrainedDelete }
func cancel(w *world)       { w.Policy.Spec.WhenScaledUp = drainv1alpha1.WhenScaledUpCancel }
func retain(w *world)       { w.Policy.Spec.WhenScaled = drainv1alpha1.WhenScaledRetain }
func changedSince(w *world) { w.changedSince = true }
func whenDeleted(w *world)  { w.Policy.Spec.WhenDeleted = drainv1alpha1.WhenDeletedDrain }
func rival(w *world)        { w.Rival = "older" }
func setGone(w *world)      { w.observedBefore(); w.StatefulSet = nil }
func setDeleted(w *world)   { w.StatefulSet.DeletionTimestamp = &noon }
func stranded(w *world)     { w.selector("web"); w.claim("old", 0, labelled("web")) }
func notObserved(w *world)  { w.StatefulSet.Status.ObservedGeneration = 3 }

// letGo is a release whose lock is being deleted already.
func letGo(d decision) decision { d.wantStep = "RemoveLockFinalizer"; return d }

func all(build ...func(*world)) func(*world) {
	return func(w *world) {
		for _, b := range build {
			b(w)
		}
	}
}

func TestDecideWithoutLock(t *testing.T) {
	starting := decision{wantState: drainv1alpha1.DrainWaiting, wantReason: drainv1alpha1.ReasonStarting, wantStep: "TakeLock"}
	kept := decision{wantState: drainv1alpha1.DrainDrained, wantReason: drainv1alpha1.ReasonClaimsKept}
	with := func(d decision, build ...func(*world)) decision { d.given = all(build...); return d }
	retained := func(reason, says string, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainRetained, wantReason: reason, wantSays: says}
	}
	blocked := func(reason, says string, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainBlocked, wantReason: reason, wantSays: says}
	}
	waits := func(reason, says string, after time.Duration, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainWaiting, wantReason: reason, wantSays: says, wantRetryAfter: after}
	}
	noAdvice := func(d decision) decision {
		d.check = func(t *testing.T, _ *world, d *Drain) {
			if strings.Contains(d.Message, "taint") {
				t.Errorf("the message gives up on a node too soon: %s", d.Message)
			}
		}
		return d
	}

	decide(t, map[string]decision{
		"an orphan gets a lock":                    with(starting, orphan),
		"an ordinal in range is nobody's business": {given: all(orphan, scaledUp), wantSilent: true},
		"an ordinal without claims neither":        {given: func(w *world) { w.job(2, 1, complete); w.drainPod(2, ended(0, "fine")) }, wantSilent: true},
		"the rival's orphans neither":              {given: all(orphan, rival), wantSilent: true},
		"nor any once the policy is being deleted": {given: all(orphan, deleted), wantSilent: true},
		"below the first ordinal is out of range":  with(starting, orphan, func(w *world) { w.StatefulSet.Spec.Ordinals = ordinals(3) }),
		"the range starts at spec.ordinals.start":  {given: all(orphan, func(w *world) { w.StatefulSet.Spec.Ordinals = ordinals(1) }), wantSilent: true},
		"unset replicas means one":                 with(starting, orphan, func(w *world) { w.StatefulSet.Spec.Replicas = nil }),
		"a skipped claim holds the ordinal":        retained(drainv1alpha1.ReasonSkipped, `"data-web-2"`, func(w *world) { w.claim("data", 2, skip) }),
		"one skipped claim of two does so too":     retained(drainv1alpha1.ReasonSkipped, `"logs-web-2"`, func(w *world) { w.templates("data", "logs"); w.claim("data", 2); w.claim("logs", 2, skip) }),
		"skip: false skips nothing": with(starting, func(w *world) {
			w.claim("data", 2, skip)
			w.Claims[0].Annotations[drainv1alpha1.SkipAnnotation] = "false"
		}),
		"a StatefulSet that is gone keeps its claims": retained(drainv1alpha1.ReasonStatefulSetNotFound, "gone", orphan, setGone),
		"so does one that is being deleted":           retained(drainv1alpha1.ReasonStatefulSetNotFound, "gone", orphan, setDeleted),
		"whenScaled: Retain":                          retained(drainv1alpha1.ReasonWhenScaledRetain, "whenScaled", orphan, retain),
		"claims that never had a volume":              retained(drainv1alpha1.ReasonNeverBound, "never", func(w *world) { w.claim("data", 2, withoutVolume) }),
		"one of two claims had one":                   with(starting, func(w *world) { w.templates("data", "logs"); w.claim("data", 2, withoutVolume); w.claim("logs", 2) }),
		"one whose phase nobody has told yet may": with(starting, func(w *world) {
			w.claim("data", 2, withoutVolume, func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = "" })
		}),
		"a pending claim that names a volume has one": with(starting, func(w *world) {
			w.claim("data", 2, withoutVolume, func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "restored" })
		}),
		"a claim is missing":                    blocked(drainv1alpha1.ReasonClaimMissing, `"logs-web-2"`, func(w *world) { w.templates("data", "logs"); w.claim("data", 2) }),
		"a claim is being deleted by somebody":  blocked(drainv1alpha1.ReasonClaimTerminating, `"data-web-2"`, func(w *world) { w.claim("data", 2, claimTerminating) }),
		"a claim has lost its volume":           blocked(drainv1alpha1.ReasonClaimLost, `"volume-of-data-web-2"`, func(w *world) { w.claim("data", 2, volumeLost) }),
		"suspended":                             waits(drainv1alpha1.ReasonSuspended, "suspend", 0, orphan, suspended),
		"no replica is ready to take the data":  waits(drainv1alpha1.ReasonWaitingForReadyReplicas, "0 of those that remain", 0, orphan, func(w *world) { w.StatefulSet.Status.ReadyReplicas = 0 }),
		"too few are ready":                     waits(drainv1alpha1.ReasonWaitingForReadyReplicas, "2 of those that remain", 0, orphan, func(w *world) { w.Policy.Spec.MinReadyReplicas = ptr.To[int32](3) }),
		"enough are ready":                      with(starting, orphan, func(w *world) { w.Policy.Spec.MinReadyReplicas = ptr.To[int32](2) }),
		"pods about to go don't count as ready": waits(drainv1alpha1.ReasonWaitingForReadyReplicas, "0 of those that remain", 0, orphan, func(w *world) { w.StatefulSet.Spec.Replicas = ptr.To[int32](0) }),
		"scaled to zero, and nobody is needed": with(starting, orphan, func(w *world) {
			w.StatefulSet.Spec.Replicas = ptr.To[int32](0)
			w.Policy.Spec.MinReadyReplicas = ptr.To[int32](0)
		}),
		"the StatefulSet controller is behind": waits(drainv1alpha1.ReasonStatefulSetNotObserved, "generation 4", 0, orphan, notObserved),
		"the ordinal's own pod is still there": waits(drainv1alpha1.ReasonPodStillExists, `"web-2" on node "node-1"`, recheck, orphan, func(w *world) { w.pod("web-2", "data-web-2") }),
		"that should have ended by now":        waits(drainv1alpha1.ReasonPodStillExists, "kubectl taint node node-1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute", recheck, orphan, func(w *world) { w.pod("web-2", "data-web-2", terminatingSince(time.Minute)) }),
		"that may still end by itself":         noAdvice(waits(drainv1alpha1.ReasonPodStillExists, "to terminate", recheck, orphan, func(w *world) { w.pod("web-2", "data-web-2", terminatingSince(time.Second)) })),
		"that is on a dead node, undeleted":    waits(drainv1alpha1.ReasonPodStillExists, "it has not been ready since 2026-", recheck, orphan, func(w *world) { w.pod("web-2", "data-web-2", readySince(corev1.ConditionFalse, overdue)) }),
		"that wasn't ready a moment ago":       noAdvice(waits(drainv1alpha1.ReasonPodStillExists, `"node-1" to terminate`, recheck, orphan, func(w *world) { w.pod("web-2", "data-web-2", readySince(corev1.ConditionFalse, overdue-time.Second)) })),
		"that is ready still":                  noAdvice(waits(drainv1alpha1.ReasonPodStillExists, `"node-1" to terminate`, recheck, orphan, func(w *world) { w.pod("web-2", "data-web-2", readySince(corev1.ConditionTrue, time.Hour)) })),
		"a lock without labels that was failed as it was deleted is let go": {
			given: func(w *world) {
				orphan(w)
				w.lock(2, func(pod *corev1.Pod) { pod.Labels = nil }, podTerminating, podPhase(corev1.PodFailed))
			},
			wantState: drainv1alpha1.DrainBlocked, wantReason: drainv1alpha1.ReasonLockRefused, wantStep: "RemoveLockFinalizer", wantSays: "it lacks the operator's labels",
		},
		"even if it has ended":                   waits(drainv1alpha1.ReasonPodStillExists, `"web-2"`, recheck, orphan, func(w *world) { w.pod("web-2", "", podPhase(corev1.PodSucceeded)) }),
		"somebody else's pod uses a claim":       waits(drainv1alpha1.ReasonClaimInUse, `"debug"`, recheck, orphan, func(w *world) { w.pod("debug", "data-web-2") }),
		"somebody else's pod has ended":          with(starting, orphan, func(w *world) { w.pod("debug", "data-web-2", podPhase(corev1.PodFailed)) }),
		"somebody else's pod uses another claim": with(starting, orphan, func(w *world) { w.pod("debug", "data-web-1") }),
		"all slots are taken":                    waits(drainv1alpha1.ReasonWaitingForSlot, "behind ordinal 5: spec.maxConcurrentDrains is 1,", 0, orphan, func(w *world) { w.lock(5) }),
		"more slots are taken than a message names": waits(drainv1alpha1.ReasonWaitingForSlot, "behind ordinal 9, 8, 7, 1 more:", 0, orphan, func(w *world) {
			for ordinal := int32(6); ordinal <= 9; ordinal++ {
				w.lock(ordinal)
			}
			w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](4)
		}),
		"a slot is free":                          with(starting, orphan, func(w *world) { w.lock(5); w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](2) }),
		"the highest ordinal goes first":          waits(drainv1alpha1.ReasonWaitingForSlot, "behind ordinal 3:", 0, orphan, func(w *world) { w.claim("data", 3) }),
		"one that waits for itself takes no slot": with(starting, orphan, func(w *world) { w.claim("data", 3, skip) }),
		"a finished Job of the past says nothing": with(starting, orphan, func(w *world) { w.job(2, 1, complete) }),
		"a Job without ordinal is nobody's":       with(starting, orphan, func(w *world) { w.job(2, 1); delete(w.Jobs[0].Labels, drainv1alpha1.OrdinalLabel) }),
		"another policy's drain pod isn't ours": with(starting, orphan, func(w *world) {
			w.drainPod(2, func(p *corev1.Pod) { p.Labels[drainv1alpha1.PolicyUIDLabel] = "x"; p.Spec.Volumes = nil })
		}),
		"a lock relabelled from another ordinal is none": with(starting, orphan, func(w *world) {
			w.lock(9, ours(2, drainv1alpha1.RoleLock))
			w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](2)
		}),
		"the lock of another policy is in the way": waits(drainv1alpha1.ReasonLockHeld, `"web-2"`, recheck, orphan, func(w *world) {
			w.lock(2, func(p *corev1.Pod) { p.OwnerReferences[0].UID = "x" })
		}),
		"a lock that the policy owns and doesn't control is none": waits(drainv1alpha1.ReasonLockHeld, `"web-2"`, recheck, orphan, func(w *world) {
			w.lock(2, func(p *corev1.Pod) { p.OwnerReferences[0].Controller, p.Finalizers = nil, nil })
		}),
		"an ambiguous claim isn't said to be missing": waits(drainv1alpha1.ReasonAmbiguousClaims, `"data-x-web-2"`, 0, func(w *world) {
			w.templates("data", "data-x")
			w.claim("data", 2)
			w.claim("data-x", 2)
			w.Others = []claims.Identity{{Name: "x-web", Templates: []string{"data"}}}
		}),

		// Drained before.
		"marked at this generation":           with(decision{wantState: kept.wantState, wantReason: kept.wantReason, wantSays: "moved all"}, func(w *world) { w.claim("data", 2, markedAt(4)) }),
		"marked, also while suspended":        with(kept, suspended, func(w *world) { w.claim("data", 2, markedAt(4)) }),
		"marked, also if no replica is ready": with(kept, func(w *world) { w.claim("data", 2, markedAt(4)); w.StatefulSet.Status.ReadyReplicas = 0 }),
		"marked two generations ago":          with(starting, func(w *world) { w.claim("data", 2, markedAt(2)) }),
		"marked at a generation to come":      with(starting, func(w *world) { w.claim("data", 2, markedAt(5)) }),
		"marked for another StatefulSet":      with(starting, func(w *world) { w.claim("data", 2, markedAt(4)); w.StatefulSet.UID = "anew" }),
		"marked generations ago, just now": waits(drainv1alpha1.ReasonDrainedBefore, "12:05:00", 4*time.Minute, func(w *world) {
			w.claim("data", 2, markedAt(2))
			w.Policy.Spec.Retry.InitialDelaySeconds = ptr.To[int32](300)
		}),
		"marked generations ago, and used since": with(starting, func(w *world) {
			w.claim("data", 2, markedAt(2), unusedSince(corev1.ConditionTrue, noon))
			w.Policy.Spec.Retry.InitialDelaySeconds = ptr.To[int32](300)
		}),
		"marked under a lock that is gone": with(starting, func(w *world) { w.claim("data", 2, markedUnder(2)) }),
		"marked, and a pod used it since":  with(starting, func(w *world) { w.claim("data", 2, markedAt(4), unusedSince(corev1.ConditionTrue, noon)) }),
		"another claim's mark": with(starting, func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{ClaimUID: "x", StatefulSetUID: setUID, Generation: 4}))
		}),
		"one of two claims is marked":             with(starting, func(w *world) { w.templates("data", "logs"); w.claim("data", 2, markedAt(4)); w.claim("logs", 2) }),
		"marked claims of a StatefulSet gone":     retained(drainv1alpha1.ReasonStatefulSetNotFound, "", func(w *world) { w.claim("data", 2, markedAt(4)) }, setGone),
		"marked, and the StatefulSet is going":    retained(drainv1alpha1.ReasonStatefulSetNotFound, "", func(w *world) { w.claim("data", 2, markedAt(4)) }, setDeleted),
		"marked, to be deleted":                   {given: all(deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)) }), wantState: kept.wantState, wantReason: kept.wantReason, wantStep: "TakeLock"},
		"marked, to be deleted, no replica ready": with(kept, deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)); w.StatefulSet.Status.ReadyReplicas = 0 }),
		"marked, to be deleted, suspended":        with(kept, deleteClaims, suspended, func(w *world) { w.claim("data", 2, markedAt(4)) }),
		"marked, to be deleted, skipped":          with(kept, deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4), skip) }),
		"marked, to be deleted, pod is there":     waits(drainv1alpha1.ReasonPodStillExists, "", recheck, deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)); w.pod("web-2", "") }),
		"marked, to be deleted, controller old":   waits(drainv1alpha1.ReasonStatefulSetNotObserved, "", 0, deleteClaims, notObserved, func(w *world) { w.claim("data", 2, markedAt(4)) }),
		"marked, to be deleted, no slot":          waits(drainv1alpha1.ReasonWaitingForSlot, "", 0, deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)); w.lock(5) }),
		"marked a generation ago, and in use":     {given: func(w *world) { w.claim("data", 2, markedAt(3)); w.pod("debug", "data-web-2") }, wantState: drainv1alpha1.DrainWaiting, wantReason: drainv1alpha1.ReasonClaimInUse, wantSays: `"debug"`, wantStep: "VoidMark"},
		"marked, in use, Kubernetes reports it": {given: func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{StatefulSetUID: setUID, Generation: 3, UnusedSince: &noon}), unusedSince(corev1.ConditionTrue, noon))
			w.pod("debug", "data-web-2")
		}, wantState: drainv1alpha1.DrainWaiting, wantReason: drainv1alpha1.ReasonClaimInUse, wantSays: `"debug"`, wantStep: "VoidMark"},
		"marked a generation ago, carried on": {
			given:     all(deleteClaims, func(w *world) { w.claim("data", 2, markedAt(3)) }),
			wantState: kept.wantState, wantReason: kept.wantReason, wantStep: "RenewMark",
			check: func(t *testing.T, w *world, d *Drain) {
				old := claims.ReadMark(&w.Claims[0])
				old.Generation = 4
				if step := as[WriteMark](d.Next); step.Claim.UID != w.Claims[0].UID || step.Mark.String() != old.String() {
					t.Errorf("the step is %+v, want the old mark at generation 4: %s", step, old)
				}
			},
		},
	})
}

func TestDecideWaitsForMinOrphanedSeconds(t *testing.T) {
	seconds := func(w *world) { w.Policy.Spec.MinOrphanedSeconds = ptr.To[int32](90) }
	// remembers puts into the status that the ordinal was out of range at noon, a minute ago,
	// when the StatefulSet had a generation.
	remembers := func(generation int64) func(*world) {
		return func(w *world) {
			w.observedBefore()
			w.Policy.Status.StatefulSet.Generation = ptr.To(generation)
			w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{Ordinal: ptr.To[int32](2), OrphanedTime: &noon}}
		}
	}
	// noRoom makes the status one that has no entry for the ordinal, and in which it is out of range since noon.
	noRoom := func(w *world) {
		w.Policy.Status.Drains, w.Policy.Status.StatefulSet.LastScaleDownTime = nil, &noon
	}
	waits := func(after time.Duration, build ...func(*world)) decision {
		return decision{
			given: all(append([]func(*world){orphan, seconds}, build...)...), wantState: drainv1alpha1.DrainWaiting,
			wantReason: drainv1alpha1.ReasonWaitingForMinOrphanedSeconds, wantSays: "undoes the scale-down", wantRetryAfter: after,
		}
	}
	starts := func(build ...func(*world)) decision {
		return decision{given: all(append([]func(*world){orphan, seconds}, build...)...), wantState: drainv1alpha1.DrainWaiting, wantReason: drainv1alpha1.ReasonStarting, wantStep: "TakeLock"}
	}
	later := func(w *world) { w.Policy.Spec.MinOrphanedSeconds = ptr.To[int32](60) }
	decide(t, map[string]decision{
		"seen for the first time":             waits(90 * time.Second),
		"seen a minute ago":                   waits(30*time.Second, remembers(4)),
		"seen a minute ago, a generation ago": waits(30*time.Second, remembers(3)),
		"seen two generations ago":            waits(90*time.Second, remembers(2)),
		"seen for another StatefulSet":        waits(90*time.Second, remembers(4), func(w *world) { w.StatefulSet.UID = "anew" }),
		"another ordinal was seen":            waits(90*time.Second, remembers(4), func(w *world) { w.Policy.Status.Drains[0].Ordinal = ptr.To[int32](3) }),
		"an entry that tells no time":         waits(90*time.Second, remembers(4), func(w *world) { w.Policy.Status.Drains[0].OrphanedTime = nil }),
		"a pod used its claim after that": waits(60*time.Second, remembers(4), func(w *world) {
			unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(30*time.Second)))(&w.Claims[0])
		}),
		"a pod used its claim before that":           waits(30*time.Second, remembers(4), func(w *world) { unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(-time.Hour)))(&w.Claims[0]) }),
		"a pod uses its claim":                       waits(30*time.Second, remembers(4), func(w *world) { unusedSince(corev1.ConditionFalse, metav1.NewTime(now))(&w.Claims[0]) }),
		"no room in the status, out of range before": waits(30*time.Second, remembers(4), noRoom),
		"no room in the status, in range before": waits(90*time.Second, remembers(4), noRoom, func(w *world) {
			w.Policy.Status.StatefulSet.Replicas = ptr.To[int32](3)
		}),
		"no room in the status, two generations ago": waits(90*time.Second, remembers(2), noRoom),
		"no room in the status, a claim created later": waits(60*time.Second, remembers(4), noRoom, func(w *world) {
			w.Claims[0].CreationTimestamp = metav1.NewTime(noon.Add(30 * time.Second))
		}),
		"no room in the status, of a StatefulSet that is gone": waits(30*time.Second, remembers(4), noRoom, whenDeleted, func(w *world) {
			w.StatefulSet, w.Policy.Status.StatefulSet.Replicas = nil, ptr.To[int32](0)
		}),
		"long enough":                           starts(remembers(4), later),
		"not asked for":                         starts(func(w *world) { w.Policy.Spec.MinOrphanedSeconds = nil }),
		"the lock is held already":              {given: all(lockedOrphan, seconds), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonLocked, wantStep: "StartJob"},
		"drained ones wait for nothing":         {given: all(seconds, func(w *world) { w.claim("data", 2, markedAt(4)) }), wantState: drainv1alpha1.DrainDrained, wantReason: drainv1alpha1.ReasonClaimsKept},
		"the StatefulSet is gone, and asks too": waits(30*time.Second, remembers(2), whenDeleted, func(w *world) { w.StatefulSet = nil }),
	})
}

func TestDecideAboutAStatefulSetThatIsGone(t *testing.T) {
	nobodyNeeded := func(w *world) { w.Policy.Spec.MinReadyReplicas = ptr.To[int32](0) }
	gone := func(build ...func(*world)) func(*world) {
		return all(append(append([]func(*world){whenDeleted, nobodyNeeded}, build...), setGone)...)
	}
	absent := func(unused *metav1.Time) func(*corev1.PersistentVolumeClaim) {
		return func(claim *corev1.PersistentVolumeClaim) {
			markedBy(claims.Mark{LockUID: "past-lock", Absent: true, StatefulSetUID: setUID, UnusedSince: unused, Outcome: "uploaded all"})(claim)
			if unused != nil {
				unusedSince(corev1.ConditionTrue, *unused)(claim)
			}
		}
	}
	marked := func(unused *metav1.Time) func(*world) {
		return func(w *world) { w.claim("data", 2, absent(unused)) }
	}
	is := func(state drainv1alpha1.DrainState, reason, says string, step string, given func(*world)) decision {
		return decision{given: given, wantState: state, wantReason: reason, wantSays: says, wantStep: step}
	}
	const (
		waiting  = drainv1alpha1.DrainWaiting
		draining = drainv1alpha1.DrainDraining
		drained  = drainv1alpha1.DrainDrained
		retained = drainv1alpha1.DrainRetained
	)
	decide(t, map[string]decision{
		"an ordinal gets its lock":               is(waiting, drainv1alpha1.ReasonStarting, "", "TakeLock", gone(orphan)),
		"also one that was in range":             is(waiting, drainv1alpha1.ReasonStarting, "", "TakeLock", gone(orphan, scaledUp)),
		"under its lock, the Job starts":         is(draining, drainv1alpha1.ReasonLocked, "", "StartJob", gone(lockedOrphan)),
		"whenScaled has no say":                  is(waiting, drainv1alpha1.ReasonStarting, "", "TakeLock", gone(orphan, retain)),
		"a replica would have to be ready":       is(waiting, drainv1alpha1.ReasonWaitingForReadyReplicas, "0 of those that remain", "", all(whenDeleted, orphan, setGone)),
		"whenDeleted: Retain":                    is(retained, drainv1alpha1.ReasonStatefulSetNotFound, "", "", all(nobodyNeeded, orphan, setGone)),
		"it is only being deleted":               is(waiting, drainv1alpha1.ReasonStatefulSetNotFound, "when it is gone", "", all(whenDeleted, nobodyNeeded, orphan, setDeleted)),
		"suspended":                              is(waiting, drainv1alpha1.ReasonSuspended, "", "", gone(orphan, suspended)),
		"the annotation can't be read":           is(waiting, drainv1alpha1.ReasonInvalidTemplate, "line 1", "", all(orphan, unreadable)),
		"it went with the StatefulSet":           is(waiting, drainv1alpha1.ReasonInvalidTemplate, "line 1", "", gone(all(orphan, unreadable))),
		"the preflight was about something else": {given: gone(orphan, changedSince), wantState: waiting, wantReason: drainv1alpha1.ReasonPreflightFailed, wantSays: "not been asked yet", wantRetryAfter: recheck},
		"the template is refused":                is(waiting, drainv1alpha1.ReasonInvalidTemplate, "no such image", "", gone(orphan, func(w *world) { w.Preflight.Refusal = "no such image" })),
		"a claim is missing":                     is(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimMissing, `"logs-web-2"`, "", gone(func(w *world) { w.templates("data", "logs"); w.claim("data", 2) })),
		"skipped":                                is(retained, drainv1alpha1.ReasonSkipped, "", "", gone(func(w *world) { w.claim("data", 2, skip) })),
		"never bound":                            is(retained, drainv1alpha1.ReasonNeverBound, "", "", gone(func(w *world) { w.claim("data", 2, withoutVolume) })),
		"its pod is still there":                 {given: gone(orphan, func(w *world) { w.pod("web-2", "data-web-2") }), wantState: waiting, wantReason: drainv1alpha1.ReasonPodStillExists, wantRetryAfter: recheck},
		"a failed attempt is repeated":           is(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed, "", "StartJob", gone(lockedOrphan, func(w *world) { w.job(2, 1, failed) })),
		"a failed attempt waits while suspended": is(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonSuspended, "", "", gone(lockedOrphan, suspended, func(w *world) { w.job(2, 1, failed) })),
		"a complete Job marks that none is there": {
			given: gone(lockedOrphan, func(w *world) { w.through(2, 1) }), wantState: draining, wantReason: drainv1alpha1.ReasonMarkingClaims, wantStep: "MarkClaim",
			check: func(t *testing.T, _ *world, d *Drain) {
				if mark := as[WriteMark](d.Next).Mark; !mark.Absent || mark.StatefulSetUID != setUID || mark.Generation != 0 {
					t.Errorf("the mark is %s, want one that says that the one last seen is gone", mark)
				}
			},
		},
		"drained then: kept": {
			given: gone(marked(nil)), wantState: drained, wantReason: drainv1alpha1.ReasonClaimsKept, wantSays: "uploaded all",
			check: func(t *testing.T, _ *world, d *Drain) {
				if d.Mark == nil || d.Mark.LockUID != "past-lock" {
					t.Errorf("the entry's mark is %v, want the claim's", d.Mark)
				}
			},
		},
		"drained when another one had gone: again":       is(waiting, drainv1alpha1.ReasonStarting, "", "TakeLock", gone(marked(&noon), func(w *world) { w.StatefulSet.UID = "anew" })),
		"drained then, to be deleted: once more":         is(drained, drainv1alpha1.ReasonClaimsKept, "", "TakeLock", gone(deleteClaims, marked(nil))),
		"its pods had no grace period":                   is(waiting, drainv1alpha1.ReasonGracePeriodZero, "containers of its pods may still run", "", all(whenDeleted, nobodyNeeded, noGrace, orphan, setGone)),
		"drained then, to be deleted, locked: once more": is(draining, drainv1alpha1.ReasonLocked, "", "StartJob", gone(deleteClaims, marked(&noon), func(w *world) { w.lock(2) })),
		"drained then, locked: given back":               is(draining, drainv1alpha1.ReasonReleasingLock, "", "ReleaseMark", gone(marked(nil), func(w *world) { w.lock(2) })),
		"marked under the lock: deleted":                 is(draining, drainv1alpha1.ReasonDeletingClaims, "", "DeleteClaim", gone(deleteClaims, func(w *world) { w.claim("data", 2, markedUnder(2)); w.lock(2) })),
		"used since: drained again": is(waiting, drainv1alpha1.ReasonStarting, "", "TakeLock", gone(func(w *world) {
			w.claim("data", 2, absent(&noon), unusedSince(corev1.ConditionTrue, metav1.NewTime(now)))
		})),
		"one of two drained: both again":         is(waiting, drainv1alpha1.ReasonStarting, "", "TakeLock", gone(func(w *world) { w.templates("data", "logs"); w.claim("data", 2, absent(nil)); w.claim("logs", 2) })),
		"drained before it went: again":          is(waiting, drainv1alpha1.ReasonStarting, "", "TakeLock", gone(func(w *world) { w.claim("data", 2, markedAt(4)) })),
		"it has come back: drained again":        is(waiting, drainv1alpha1.ReasonStarting, "", "TakeLock", all(whenDeleted, marked(&noon))),
		"it has come back and wants the ordinal": is(draining, drainv1alpha1.ReasonReleasingLock, "back in range", "DeleteLock", all(whenDeleted, lockedOrphan, scaledUp)),
		"nothing is remembered: nothing is done": {given: all(whenDeleted, nobodyNeeded, orphan, func(w *world) { w.StatefulSet = nil }), wantSilent: true},
	})
}

func TestDecideAboutStrays(t *testing.T) {
	stops := func(says string, step string, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonStoppingJob, wantSays: says, wantStep: step}
	}
	first := func(t *testing.T, w *world, d *Drain) {
		t.Helper()
		if job := as[DeleteJob](d.Next).Job; job == nil || job.Name != w.Jobs[0].Name || job.UID != w.Jobs[0].UID {
			t.Errorf("Job %v is to be deleted, want %q, UID %q", job, w.Jobs[0].Name, w.Jobs[0].UID)
		}
	}
	tests := map[string]decision{
		"a Job without its lock":                    stops("without the lock", "DeleteJob", orphan, func(w *world) { w.job(2, 1) }),
		"a Job without its lock, wanted back":       stops("without the lock", "DeleteJob", orphan, scaledUp, func(w *world) { w.job(2, 1) }),
		"a Job without its lock, rival":             stops("without the lock", "DeleteJob", orphan, rival, func(w *world) { w.job(2, 1) }),
		"a Job without its lock, no StatefulSet":    stops("without the lock", "DeleteJob", orphan, func(w *world) { w.job(2, 1) }, setGone),
		"a Job without its lock, policy deleted":    stops("without the lock", "DeleteJob", orphan, deleted, func(w *world) { w.job(2, 1) }),
		"a Job without its lock and claims":         stops("without the lock", "DeleteJob", func(w *world) { w.job(2, 1) }),
		"a Job of another lock":                     stops("without the lock", "DeleteJob", orphan, func(w *world) { w.job(2, 1); w.lock(2, func(p *corev1.Pod) { p.UID = "anew" }) }),
		"a Job on another claim of that name":       stops("other claims", "DeleteJob", lockedOrphan, func(w *world) { w.job(2, 1); w.Claims[0].UID = "anew" }),
		"a Job on fewer claims than there are":      stops("other claims", "DeleteJob", lockedOrphan, func(w *world) { w.templates("data", "logs"); w.job(2, 1); w.claim("logs", 2) }),
		"a Job whose attempt isn't the name's":      stops("other claims", "DeleteJob", lockedOrphan, func(w *world) { w.job(2, 1); w.Jobs[0].Labels[drainv1alpha1.AttemptLabel] = "2" }),
		"a Job whose attempt can't be read":         stops("other claims", "DeleteJob", lockedOrphan, func(w *world) { w.job(2, 1); w.Jobs[0].Labels[drainv1alpha1.AttemptLabel] = "one" }),
		"an older attempt that isn't over":          stops("other claims", "DeleteJob", lockedOrphan, func(w *world) { w.job(2, 1); w.job(2, 2) }),
		"an older attempt, listed after the newer":  stops("other claims", "DeleteJob", lockedOrphan, func(w *world) { w.job(2, 1); w.job(2, 2, failed); w.Jobs[0], w.Jobs[1] = w.Jobs[1], w.Jobs[0] }),
		"the lock's own Job is being deleted":       stops("being deleted", "", lockedOrphan, func(w *world) { w.job(2, 1, jobTerminating) }),
		"a stray Job is being deleted":              stops("being deleted", "", orphan, func(w *world) { w.job(2, 1, jobTerminating) }),
		"a finished Job is being deleted":           stops("being deleted", "", lockedOrphan, func(w *world) { w.job(2, 1, complete, jobTerminating) }),
		"a pod outlives its Job":                    stops("deleting the pod", "DeletePod", lockedOrphan, func(w *world) { w.drainPod(2) }),
		"a pod outlives its Job and lock":           stops("deleting the pod", "DeletePod", orphan, func(w *world) { w.drainPod(2) }),
		"a pod outlives its Job's failure":          stops("deleting the pod", "DeletePod", lockedOrphan, func(w *world) { w.job(2, 1, failed); w.drainPod(2) }),
		"a pod outlives its Job's completion":       stops("deleting the pod", "DeletePod", lockedOrphan, func(w *world) { w.job(2, 1, complete); w.drainPod(2) }),
		"a pod of no Job that awaits its lock":      stops("deleting the pod", "DeletePod", lockedOrphan, func(w *world) { w.drainPod(2, gated) }),
		"a past Job holds a claim that is to go":    stops("holds it", "DeleteJob", func(w *world) { w.claim("data", 2, claimTerminating); w.job(2, 1, complete) }),
		"an ended pod of no Job holds it":           stops("holds it", "DeletePod", func(w *world) { w.claim("data", 2, claimTerminating); w.drainPod(2, ended(0, "fine")) }),
		"the same, wanted back":                     stops("holds it", "DeleteJob", scaledUp, func(w *world) { w.claim("data", 2, claimTerminating); w.job(2, 1, complete) }),
		"a pod of no Job, the ordinal wanted back":  stops("deleting the pod", "DeletePod", lockedOrphan, scaledUp, func(w *world) { w.drainPod(2) }),
		"a pod of no Job, the policy being deleted": stops("deleting the pod", "DeletePod", lockedOrphan, deleted, func(w *world) { w.drainPod(2) }),
	}
	goes := func(w *world) {
		w.claim("data", 2, markedUnder(2))
		w.lock(2)
		w.job(2, 1, complete, jobTerminating)
	}
	tests["a drained ordinal's Job goes before its claims"] = decision{given: all(goes, deleteClaims), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonDeletingClaims, wantSays: "waiting until the pods of Job"}
	tests["a user deletes the Job of kept claims"] = stops("being deleted", "", goes)
	tests["a drained ordinal has a stray that goes"] = stops("being deleted", "", goes, deleteClaims, func(w *world) { w.Jobs[0].Status.Conditions = nil })
	for name, tc := range tests {
		if tc.wantStep == "DeleteJob" && !strings.HasPrefix(name, "an older attempt, listed") {
			tc.check = first
			tests[name] = tc
		}
	}
	decide(t, tests)

	for name, build := range map[string]func(*world){
		"unlocked": all(orphan, func(w *world) { w.job(2, 1); w.drainPod(2) }),
		"a pod":    all(orphan, func(w *world) { w.drainPod(2) }),
	} {
		if plan := Make(given(build).snapshot(), now); !plan.Finalizer {
			t.Errorf("%s: the policy must stay while a stray Job of it runs", name)
		}
	}
}

func TestDecideUnderALockWithoutJob(t *testing.T) {
	released := func(says string, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonReleasingLock, wantStep: "DeleteLock", wantSays: says}
	}
	decide(t, map[string]decision{
		"the first attempt starts": {
			given: lockedOrphan, wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonLocked, wantStep: "StartJob",
			check: func(t *testing.T, w *world, d *Drain) {
				if want := (StartJob{w.jobName(2, 1), 2, 1, lockUID(2)}); d.Next != want {
					t.Errorf("the step is %+v, want %+v", d.Next, want)
				}
			},
		},
		"with fewer ready replicas than at first": {given: all(lockedOrphan, func(w *world) { w.StatefulSet.Status.ReadyReplicas = 0 }), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonLocked, wantStep: "StartJob"},
		"wanted back":                         released("back in range", lockedOrphan, scaledUp),
		"the policy is being deleted":         released("policy is being deleted", lockedOrphan, deleted),
		"the lock is being deleted":           letGo(released("lock is being deleted", func(w *world) { w.claim("data", 2); w.lock(2, podTerminating) })),
		"another policy is in charge":         released("Another policy", lockedOrphan, rival),
		"skipped":                             released(drainv1alpha1.SkipAnnotation, func(w *world) { w.claim("data", 2, skip); w.lock(2) }),
		"whenScaled: Retain":                  released("whenScaled", lockedOrphan, retain),
		"the StatefulSet is gone":             released("gone", lockedOrphan, setGone),
		"the StatefulSet is being deleted":    released("gone", lockedOrphan, setDeleted),
		"suspended":                           released("suspend", lockedOrphan, suspended),
		"the annotation can't be read":        released("line 1", lockedOrphan, unreadable),
		"the template is refused":             released("no such image", lockedOrphan, func(w *world) { w.Preflight.Refusal = "no such image" }),
		"the template could not be tried out": released("timeout", lockedOrphan, func(w *world) { w.Preflight.Unanswered = "timeout" }),
		"the preflight was about something else": {
			given: all(lockedOrphan, changedSince), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonLocked,
			wantSays: "not been asked yet", wantRetryAfter: recheck,
		},
		"the preflight was about something else, and the ordinal is back in range": released("back in range", lockedOrphan, changedSince, scaledUp),
		"the claims are gone":                       released("gone", func(w *world) { w.lock(2) }),
		"a claim is gone":                           released(`"logs-web-2"`, lockedOrphan, func(w *world) { w.templates("data", "logs") }),
		"a claim is being deleted":                  released("being deleted", func(w *world) { w.claim("data", 2, claimTerminating); w.lock(2) }),
		"a claim has lost its volume":               released("lost", func(w *world) { w.claim("data", 2, volumeLost); w.lock(2) }),
		"the claims never had a volume":             released("never", func(w *world) { w.claim("data", 2, withoutVolume); w.lock(2) }),
		"another pod uses a claim":                  {given: all(lockedOrphan, func(w *world) { w.pod("debug", "data-web-2") }), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonClaimInUse, wantSays: `"debug"`, wantRetryAfter: recheck},
		"another pod uses a claim, and wanted back": released("back in range", lockedOrphan, scaledUp, func(w *world) { w.pod("debug", "data-web-2") }),
	})
}

func TestDecideAboutARunningJob(t *testing.T) {
	says := func(reason, words string, step string, build ...func(*world)) decision {
		return decision{given: all(append([]func(*world){lockedOrphan}, build...)...), wantState: drainv1alpha1.DrainDraining, wantReason: reason, wantSays: words, wantStep: step}
	}
	job := func(change ...func(*batchv1.Job)) func(*world) { return func(w *world) { w.job(2, 1, change...) } }
	pod := func(change ...func(*corev1.Pod)) func(*world) { return func(w *world) { w.drainPod(2, change...) } }
	suspendedJob := func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }
	lockGoing := func(w *world) { w.Pods[0].DeletionTimestamp = &noon }
	claimGoing := func(w *world) { w.Claims[0].DeletionTimestamp = &noon }
	admits := func(index int) func(*testing.T, *world, *Drain) {
		return func(t *testing.T, w *world, d *Drain) {
			t.Helper()
			if pod := as[UngatePod](d.Next).Pod; pod == nil || pod.UID != w.Pods[index].UID {
				t.Errorf("the step is %+v, want pod %q ungated", d.Next, w.Pods[index].Name)
			}
			if noted := w.Pods[0].Annotations[drainv1alpha1.JobAnnotation]; noted != string(d.Job.UID) {
				t.Errorf("the lock names Job %q before a pod is ungated, want %q", noted, d.Job.UID)
			}
		}
	}
	with := func(d decision, check func(*testing.T, *world, *Drain)) decision { d.check = check; return d }
	// Nothing tells that a node stays silent but the time.
	again := func(d decision) decision { d.wantRetryAfter = recheck; return d }
	const taint = "kubectl taint node node-1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"

	decide(t, map[string]decision{
		"no pod yet":                     says(drainv1alpha1.ReasonPodNotStarted, "not started", "", job()),
		"a pod that waits for its image": says(drainv1alpha1.ReasonPodNotStarted, "not started", "", job(), pod(podPhase(corev1.PodPending), waiting("ContainerCreating"))),
		"a pod that no node takes":       says(drainv1alpha1.ReasonPodUnschedulable, "0/3 nodes", "", job(), pod(unschedulable)),
		"a pod on a node that isn't ready yet": says(drainv1alpha1.ReasonPodNotStarted, "not started", "", job(), pod(podPhase(corev1.PodPending), func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{
				{Type: corev1.PodInitialized, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable},
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, Reason: corev1.PodReasonUnschedulable},
			}
		})),
		"the Job is suspended":                    says(drainv1alpha1.ReasonQueued, "suspended", "", job(suspendedJob)),
		"the image can't be pulled":               says(drainv1alpha1.ReasonImagePullFailed, `image "drain"`, "", job(), pod(waiting("ImagePullBackOff"))),
		"the container can't be made":             says(drainv1alpha1.ReasonContainerConfigError, "words of the kubelet", "", job(), pod(waiting("CreateContainerConfigError"))),
		"the pod runs":                            says(drainv1alpha1.ReasonJobRunning, "attempt 1", "", job(), pod(running)),
		"the Job says that its pod is ready":      says(drainv1alpha1.ReasonJobRunning, "attempt 1", "", job(jobReady)),
		"a pod failed and the next isn't there":   says(drainv1alpha1.ReasonJobRunning, "disk on fire", "", job(), pod(ended(1, "disk on fire"))),
		"the pod is going and its node is silent": again(says(drainv1alpha1.ReasonPodNotStarted, `node "node-1" has not reported`, "", job(), pod(running, podTerminating))),
		"for too long a time":                     again(says(drainv1alpha1.ReasonPodNotStarted, taint, "", job(), pod(running, terminatingSince(time.Minute)))),
		"of a Job that is being deleted":          again(says(drainv1alpha1.ReasonStoppingJob, taint, "", job(jobTerminating), pod(running, terminatingSince(time.Minute)))),
		"but not for long yet":                    again(says(drainv1alpha1.ReasonStoppingJob, "waiting until its pods are gone", "", job(jobTerminating), pod(running, terminatingSince(time.Second)))),
		"a pod that ended in trouble is past":     says(drainv1alpha1.ReasonJobRunning, "", "", job(), pod(waiting("ErrImagePull"), podPhase(corev1.PodFailed)), pod(running)),
		"another Job's pod says nothing":          says(drainv1alpha1.ReasonPodNotStarted, "not started", "", job(), pod(ended(1, "x"), func(p *corev1.Pod) { p.OwnerReferences[0].UID = "x" })),

		"a new pod is admitted":                      with(says(drainv1alpha1.ReasonPodNotStarted, "not started", "UngatePod", job(), pod(gated)), admits(1)),
		"the next pod is admitted after a failed":    with(says(drainv1alpha1.ReasonJobRunning, "", "UngatePod", job(), pod(ended(1, "x")), pod(gated)), admits(2)),
		"also while the ordinal is wanted back":      with(says(drainv1alpha1.ReasonBackInRange, "", "UngatePod", scaledUp, job(), pod(ended(1, "x")), pod(gated)), admits(2)),
		"a gated pod that is going is not":           says(drainv1alpha1.ReasonPodNotStarted, "", "", job(), pod(gated, podTerminating)),
		"another gate is not ours to lift":           says(drainv1alpha1.ReasonQueued, "kueue.x-k8s.io/admission", "", job(), pod(gated, func(p *corev1.Pod) { p.Spec.SchedulingGates[0].Name = "kueue.x-k8s.io/admission" })),
		"no second pod beside a live one":            says(drainv1alpha1.ReasonJobRunning, "", "", job(), pod(running), pod(gated)),
		"no pod under a lock that is going":          says(drainv1alpha1.ReasonStoppingJob, "lock", "DeleteJob", lockGoing, job(), pod(gated)),
		"no next pod under a lock that is going":     says(drainv1alpha1.ReasonStoppingJob, "lock", "DeleteJob", lockGoing, job(), pod(ended(1, "x")), pod(gated)),
		"nor beside one that has ended well":         says(drainv1alpha1.ReasonJobRunning, "", "", lockGoing, job(), pod(ended(0, "fine")), pod(gated)),
		"between two pods too":                       says(drainv1alpha1.ReasonStoppingJob, "lock", "DeleteJob", lockGoing, job(), pod(ended(1, "x"))),
		"one that has ended well may be told":        says(drainv1alpha1.ReasonJobRunning, "fine", "", lockGoing, job(), pod(ended(0, "fine"))),
		"but what runs under it goes on":             says(drainv1alpha1.ReasonJobRunning, "attempt 1", "", lockGoing, job(), pod(running)),
		"the template was edited before a pod ran":   says(drainv1alpha1.ReasonStoppingJob, "template", "DeleteJob", job(otherTemplate), pod(gated)),
		"the annotation can't be read, before":       says(drainv1alpha1.ReasonPodNotStarted, "", "UngatePod", unreadable, job(), pod(gated)),
		"the annotation can't be read, wrong image":  says(drainv1alpha1.ReasonImagePullFailed, "edit annotation statefulsets.kubernetes.io/scaledown-pod-template", "", unreadable, job(), pod(waiting("ErrImagePull"))),
		"the annotation can't be read, pod runs":     says(drainv1alpha1.ReasonJobRunning, "", "", unreadable, job(), pod(running)),
		"the template was edited while the pod ran":  says(drainv1alpha1.ReasonJobRunning, "", "", job(otherTemplate), pod(running)),
		"a wrong image is replaced by an edit":       says(drainv1alpha1.ReasonStoppingJob, "template", "DeleteJob", job(otherTemplate), pod(waiting("ErrImagePull"))),
		"a claim goes before a pod ran":              says(drainv1alpha1.ReasonStoppingJob, `"data-web-2"`, "DeleteJob", claimGoing, job(), pod(gated)),
		"a claim goes between two pods":              says(drainv1alpha1.ReasonStoppingJob, `"data-web-2"`, "DeleteJob", claimGoing, job(), pod(ended(1, "x"))),
		"and the next pod can't start":               says(drainv1alpha1.ReasonStoppingJob, `"data-web-2"`, "DeleteJob", claimGoing, job(), pod(ended(1, "x")), pod(unschedulable)),
		"a claim goes while the pod runs":            says(drainv1alpha1.ReasonJobRunning, "attempt 1", "", claimGoing, job(), pod(running)),
		"a claim goes when a pod has ended well":     says(drainv1alpha1.ReasonJobRunning, "fine", "", claimGoing, job(), pod(ended(0, "fine"))),
		"the policy is being deleted":                says(drainv1alpha1.ReasonStoppingJob, "policy", "DeleteJob", deleted, job(), pod(running)),
		"wanted back before a pod ran":               says(drainv1alpha1.ReasonStoppingJob, "back in range", "DeleteJob", scaledUp, job(), pod(unschedulable)),
		"wanted back, Wait":                          says(drainv1alpha1.ReasonBackInRange, "Wait", "", scaledUp, job(), pod(running)),
		"wanted back, Cancel":                        says(drainv1alpha1.ReasonStoppingJob, "Cancel", "DeleteJob", scaledUp, cancel, job(), pod(running)),
		"Cancel means nothing out of range":          says(drainv1alpha1.ReasonJobRunning, "", "", cancel, job(), pod(running)),
		"suspend lets a running drain go on":         says(drainv1alpha1.ReasonJobRunning, "", "", suspended, job(), pod(running)),
		"whenScaled: Retain lets it go on too":       says(drainv1alpha1.ReasonJobRunning, "", "", retain, job(), pod(running)),
		"JobSuccessCriteriaMet is not the end":       says(drainv1alpha1.ReasonJobRunning, "", "", job(jobReady, jobOver(batchv1.JobSuccessCriteriaMet))),
		"a Complete that isn't True is not the end":  says(drainv1alpha1.ReasonJobRunning, "", "", job(jobReady, complete, func(j *batchv1.Job) { j.Status.Conditions[0].Status = corev1.ConditionFalse })),
		"an older attempt that is over is no matter": says(drainv1alpha1.ReasonJobRunning, "attempt 2", "", job(failed), func(w *world) { w.job(2, 2, jobReady) }),
	})
}

func TestDecideAboutAFailedJob(t *testing.T) {
	failedOnce := all(lockedOrphan, func(w *world) { w.job(2, 1, failed) })
	is := func(reason, says string, step string, after time.Duration, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainFailed, wantReason: reason, wantSays: says, wantStep: step, wantRetryAfter: after}
	}
	released := func(says string, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonReleasingLock, wantStep: "DeleteLock", wantSays: says}
	}
	delay := func(initial int32) func(*world) {
		return func(w *world) { w.Policy.Spec.Retry.InitialDelaySeconds = &initial }
	}
	limit := func(attempts int32) func(*world) {
		return func(w *world) { w.Policy.Spec.Retry.MaxAttempts = &attempts }
	}
	starts := func(attempt int32) func(*testing.T, *world, *Drain) {
		return func(t *testing.T, w *world, d *Drain) {
			t.Helper()
			if want := (StartJob{w.jobName(2, attempt), 2, attempt, lockUID(2)}); d.Next != want {
				t.Errorf("the step is %+v, want %+v", d.Next, want)
			}
		}
	}
	with := func(d decision, check func(*testing.T, *world, *Drain)) decision { d.check = check; return d }

	decide(t, map[string]decision{
		"the backoff is over":                    with(is(drainv1alpha1.ReasonJobFailed, "words of the Job controller", "StartJob", 0, failedOnce), starts(2)),
		"the backoff is over this instant":       is(drainv1alpha1.ReasonJobFailed, "starting", "StartJob", 0, failedOnce, delay(60)),
		"the backoff isn't over":                 is(drainv1alpha1.ReasonJobFailed, "2026-08-01T12:01:01Z", "", time.Second, failedOnce, delay(61)),
		"the third attempt waits longer":         is(drainv1alpha1.ReasonJobFailed, "Attempt 3", "", time.Minute, lockedOrphan, delay(30), func(w *world) { w.job(2, 2, failed); w.job(2, 3, failed); w.job(2, 1, failed) }),
		"the drain's own words go first":         is(drainv1alpha1.ReasonJobFailed, "no peer takes it", "StartJob", 0, failedOnce, func(w *world) { w.drainPod(2, ended(3, "no peer takes it")) }),
		"an edit starts the next at once":        with(is(drainv1alpha1.ReasonJobFailed, "starting", "StartJob", 0, lockedOrphan, delay(3600), func(w *world) { w.job(2, 1, failed, otherTemplate) }), starts(2)),
		"the last attempt failed":                is(drainv1alpha1.ReasonAttemptsExhausted, "All 2 attempts", "", 0, lockedOrphan, limit(2), func(w *world) { w.job(2, 2, failed) }),
		"one more attempt is allowed":            with(is(drainv1alpha1.ReasonJobFailed, "", "StartJob", 0, failedOnce, limit(2)), starts(2)),
		"an edit allows one more":                with(is(drainv1alpha1.ReasonJobFailed, "", "StartJob", 0, lockedOrphan, limit(1), func(w *world) { w.job(2, 1, failed, otherTemplate) }), starts(2)),
		"suspended":                              is(drainv1alpha1.ReasonSuspended, "no further attempt starts", "", 0, failedOnce, suspended),
		"the preflight was about something else": is(drainv1alpha1.ReasonJobFailed, "no further attempt starts yet: The API server has not been asked yet", "", recheck, failedOnce, changedSince),
		"the template is refused":                is(drainv1alpha1.ReasonInvalidTemplate, "no further attempt starts", "", 0, failedOnce, func(w *world) { w.Preflight.Refusal = "x" }),
		"the annotation can't be read":           is(drainv1alpha1.ReasonInvalidTemplate, "no further attempt starts: The template can't be read: line 1", "", 0, failedOnce, unreadable),
		"the annotation is to be mended":         is(drainv1alpha1.ReasonAttemptsExhausted, "edit annotation statefulsets.kubernetes.io/scaledown-pod-template", "", 0, failedOnce, fromAnnotation, limit(1)),
		"another pod uses a claim":               is(drainv1alpha1.ReasonClaimInUse, `"debug"`, "", recheck, failedOnce, func(w *world) { w.pod("debug", "data-web-2") }),
		"wanted back":                            released("back in range", failedOnce, scaledUp),
		"the policy is being deleted":            released("policy is being deleted", failedOnce, deleted),
		"the lock is being deleted":              letGo(released("lock is being deleted", failedOnce, func(w *world) { w.Pods[0].DeletionTimestamp = &noon })),
		"another policy is in charge":            released("Another policy", failedOnce, rival),
		"a claim is skipped":                     released(drainv1alpha1.SkipAnnotation, failedOnce, func(w *world) { skip(&w.Claims[0]) }),
		"whenScaled is Retain by now":            released("whenScaled", failedOnce, retain),
		"a claim is being deleted":               {given: all(failedOnce, func(w *world) { w.Claims[0].DeletionTimestamp = &noon }), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonStoppingJob, wantSays: "whose pod holds it", wantStep: "DeleteJob"},
		"a claim has lost its volume":            released("lost", failedOnce, func(w *world) { volumeLost(&w.Claims[0]) }),
		"the StatefulSet is gone":                released("gone", failedOnce, setGone),
		"what the drain said is not lost":        released("disk on fire", failedOnce, scaledUp, func(w *world) { w.drainPod(2, ended(1, "disk on fire")) }),
		"marks of before hold, and are kept":     {given: func(w *world) { w.claim("data", 2, markedAt(4)); w.lock(2); w.job(2, 1, failed) }, wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonReleasingLock, wantStep: "ReleaseMark"},
	})
}

func TestDecideAboutACompleteJob(t *testing.T) {
	completed := all(lockedOrphan, func(w *world) { w.job(2, 3, complete); w.drainPod(2, ended(0, "moved 12 records")) })
	drained := func(change ...func(*corev1.PersistentVolumeClaim)) func(*world) {
		return func(w *world) {
			w.claim("data", 2, append([]func(*corev1.PersistentVolumeClaim){markedUnder(2)}, change...)...)
			w.lock(2)
		}
	}
	// knownUnused makes the cluster report when the claim became unused, as the mark says.
	knownUnused := func(claim *corev1.PersistentVolumeClaim) {
		unusedSince(corev1.ConditionTrue, noon)(claim)
		markedBy(claims.Mark{LockUID: lockUID(2), Job: "past-job", Attempts: 1, UnusedSince: &noon})(claim)
	}
	is := func(reason, says string, step string, after time.Duration, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainDraining, wantReason: reason, wantSays: says, wantStep: step, wantRetryAfter: after}
	}
	// late makes the lock remember that this many reports came late.
	late := func(count int32) func(*world) {
		return func(w *world) {
			before := failedAttempt(2, time.Minute)
			before.Late = count
			w.note(2, before)
		}
	}
	// unproven wants the failure noted on the lock.
	unproven := func(says string, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainFailed, wantReason: drainv1alpha1.ReasonNotProven, wantSays: says, wantStep: "NoteAttempt", check: func(t *testing.T, _ *world, d *Drain) {
			t.Helper()
			if note := as[NoteAttempt](d.Next).Attempt; note.Number != d.Attempts || note.Failed == nil || note.Reason != drainv1alpha1.ReasonNotProven {
				t.Errorf("the lock is to remember %v, want the failure of attempt %d", note, d.Attempts)
			}
		}}
	}
	with := func(d decision, check func(*testing.T, *world, *Drain)) decision { d.check = check; return d }
	marks := func(want claims.Mark) func(*testing.T, *world, *Drain) {
		return func(t *testing.T, w *world, d *Drain) {
			t.Helper()
			want.ClaimUID, want.LockUID, want.Time = w.Claims[0].UID, lockUID(2), metav1.NewTime(now)
			want.Job, want.JobUID, want.Attempts, want.Outcome = w.Jobs[0].Name, w.Jobs[0].UID, 3, "moved 12 records"
			if step := as[WriteMark](d.Next); step.Mark.String() != want.String() || step.Claim.ResourceVersion != "1" {
				t.Errorf("the step is %+v, want mark %s", step, want)
			}
		}
	}
	deletes := func(names ...string) func(*testing.T, *world, *Drain) {
		return func(t *testing.T, _ *world, d *Drain) {
			t.Helper()
			if got := as[DeleteClaim](d.Next).Claim.Name; got != names[0] {
				t.Errorf("claim %s is to be deleted, want %s", got, names[0])
			}
		}
	}
	twoDrained := func(w *world) {
		w.templates("data", "logs")
		w.claim("data", 2, markedUnder(2))
		w.claim("logs", 2, markedUnder(2))
		w.lock(2)
	}
	// used voids the mark of the claim that was added last: some pod has used it since.
	used := func(w *world) { unusedSince(corev1.ConditionTrue, noon)(&w.Claims[len(w.Claims)-1]) }

	decide(t, map[string]decision{
		"its claims are marked":                                     with(is(drainv1alpha1.ReasonMarkingClaims, "complete", "MarkClaim", 0, completed), marks(claims.Mark{StatefulSetUID: setUID, Generation: 4})),
		"with the time since which none uses them":                  with(is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, func(w *world) { unusedSince(corev1.ConditionTrue, noon)(&w.Claims[0]) }), marks(claims.Mark{StatefulSetUID: setUID, Generation: 4, UnusedSince: &noon})),
		"wanted back: no mark would hold longer than the lock":      is(drainv1alpha1.ReasonReleasingLock, "moved 12", "DeleteLock", 0, completed, scaledUp),
		"wanted back, to be deleted: the mark holds under its lock": with(is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, scaledUp, deleteClaims), marks(claims.Mark{})),
		"the StatefulSet is gone: it says so":                       with(is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, setGone), marks(claims.Mark{Absent: true, StatefulSetUID: setUID})),
		"the StatefulSet is being deleted: likewise":                with(is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, setDeleted), marks(claims.Mark{})),
		"the policy is being deleted":                               is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, deleted),
		"suspended":                                                 is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, suspended),
		"the StatefulSet controller is behind":                      is(drainv1alpha1.ReasonStatefulSetNotObserved, "generation 4", "", 0, completed, notObserved),
		"it is behind, and the policy being deleted":                with(is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, deleted, notObserved), marks(claims.Mark{})),
		"a claim is in use":                                         is(drainv1alpha1.ReasonMarkingClaims, `"data-web-2" as unused`, "", recheck, completed, func(w *world) { unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0]) }),
		"a claim is in use, wanted back":                            is(drainv1alpha1.ReasonReleasingLock, "unused", "DeleteLock", 0, completed, scaledUp, deleteClaims, func(w *world) { unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0]) }),
		"a claim is in use, policy being deleted":                   is(drainv1alpha1.ReasonReleasingLock, "unused", "DeleteLock", 0, completed, deleted, func(w *world) { unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0]) }),
		"unused a while after the Job's end is lag":                 is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, func(w *world) { unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(unusedLag)))(&w.Claims[0]) }),
		"unused long after the Job's end is use": unproven("a pod used claim", lockedOrphan, func(w *world) {
			w.through(2, 1)
			unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(unusedLag+time.Second)))(&w.Claims[0])
		}),
		"two late reports before it allow the next four times as long": is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, completed, late(2), func(w *world) {
			unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(4*unusedLag)))(&w.Claims[0])
		}),
		"and no longer": unproven("a pod used claim", completed, late(2), func(w *world) {
			unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(4*unusedLag+time.Second)))(&w.Claims[0])
		}),
		"other failures before it allow nothing": unproven("a pod used claim", completed, func(w *world) {
			unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(unusedLag+time.Second)))(&w.Claims[0])
		}),
		"its pod was told to end and exited 0":  unproven("was deleted before it ended", completed, func(w *world) { podTerminating(&w.Pods[1]) }),
		"the same, wanted back, to be deleted":  is(drainv1alpha1.ReasonReleasingLock, "was deleted before it ended", "DeleteLock", 0, completed, scaledUp, deleteClaims, func(w *world) { podTerminating(&w.Pods[1]) }),
		"its pod is gone":                       unproven("is gone", lockedOrphan, func(w *world) { w.job(2, 1, complete) }),
		"only a pod that failed is left":        unproven("is gone", lockedOrphan, func(w *world) { w.job(2, 1, complete); w.drainPod(2, ended(1, "disk")) }),
		"only another Job's pod has ended well": unproven("is gone", lockedOrphan, func(w *world) { w.through(2, 1); w.Pods[1].OwnerReferences[0].UID = "another" }),
		"a pod before it failed": is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, lockedOrphan, func(w *world) {
			w.job(2, 1, complete)
			w.drainPod(2, ended(1, "disk"))
			w.drainPod(2, ended(0, ""))
		}),
		"a mark of this Job that holds no more": unproven("a pod used claim", drained(unusedSince(corev1.ConditionTrue, noon)), func(w *world) {
			w.through(2, 1)
			markedBy(claims.Mark{LockUID: lockUID(2), JobUID: w.Jobs[0].UID})(&w.Claims[0])
		}),
		"a mark of this Job that was voided": unproven("a pod used claim", lockedOrphan, func(w *world) {
			w.through(2, 1)
			was := claims.Mark{ClaimUID: w.Claims[0].UID, LockUID: lockUID(2), JobUID: w.Jobs[0].UID}
			markedBy(was.Void())(&w.Claims[0])
		}),
		"a use that was seen while marks of before were released makes the Job's success void": unproven("a pod used claim", func(w *world) {
			w.claim("data", 2, markedAt(4))
			w.lock(2)
			w.through(2, 1)
			w.pod("debug", "data-web-2")
			step := as[WriteMark](new(Make(w.snapshot(), now)).Drain(2).Next)
			if step.Purpose != ReleaseMark {
				panic("the release of the lock does not write to the claim first: " + StepName(step))
			}
			// The operator crashed, and the pod is gone when it looks again.
			markedBy(step.Mark)(&w.Claims[0])
			w.Pods = w.Pods[:2]
		}),
		"a mark of an earlier Job under this lock, which held no more, is written over": is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, drained(unusedSince(corev1.ConditionTrue, noon)), func(w *world) { w.through(2, 1) }),
		"a mark of another lock is written over": is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{LockUID: "past"}))
			w.lock(2)
			w.through(2, 1)
		}),
		"a Job of another lock is no evidence":    is(drainv1alpha1.ReasonLocked, "", "StartJob", 0, lockedOrphan, func(w *world) { w.job(2, 1, complete); w.Pods[0].UID = "anew" }),
		"a Job on other claims is no evidence":    is(drainv1alpha1.ReasonLocked, "", "StartJob", 0, lockedOrphan, func(w *world) { w.job(2, 1, complete); w.Claims[0].UID = "anew" }),
		"a Job that only bears the label is none": is(drainv1alpha1.ReasonLocked, "", "StartJob", 0, lockedOrphan, func(w *world) { w.job(2, 1, complete, named("web-2-drain")) }),
		"a failed attempt before it is no matter": is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, lockedOrphan, func(w *world) { w.job(2, 1, failed); w.through(2, 2) }),
		"an attempt that failed after it counts":  {given: all(lockedOrphan, func(w *world) { w.job(2, 1, complete); w.job(2, 2, failed) }), wantState: drainv1alpha1.DrainFailed, wantReason: drainv1alpha1.ReasonJobFailed, wantStep: "StartJob"},
		"only the claims that aren't yet marked": with(is(drainv1alpha1.ReasonMarkingClaims, "", "MarkClaim", 0, func(w *world) {
			w.templates("data", "logs")
			w.claim("data", 2, markedUnder(2))
			w.claim("logs", 2)
			w.lock(2)
			w.through(2, 1)
		}), func(t *testing.T, _ *world, d *Drain) {
			if step := as[WriteMark](d.Next); step.Claim.Name != "logs-web-2" {
				t.Errorf("the step is %+v, want a mark for logs-web-2", step)
			}
		}),

		// Marked.
		"kept: the lock goes": is(drainv1alpha1.ReasonReleasingLock, "kept", "ReleaseMark", 0, drained()),
		"kept: the lock goes when its claims are written to": is(drainv1alpha1.ReasonReleasingLock, "kept", "DeleteLock", 0, func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{StatefulSetUID: setUID, Generation: 4, ReleasedUID: lockUID(2)}))
			w.lock(2)
		}),
		"kept: the drain's words are shown":                  is(drainv1alpha1.ReasonReleasingLock, "moved 12", "ReleaseMark", 0, completed, func(w *world) { markedUnder(2)(&w.Claims[0]) }),
		"kept: the Job stays":                                is(drainv1alpha1.ReasonReleasingLock, "", "ReleaseMark", 0, drained(), func(w *world) { w.job(2, 1, complete) }),
		"the Job goes before the claims":                     with(is(drainv1alpha1.ReasonDeletingClaims, "", "DeleteJob", 0, deleteClaims, drained(), func(w *world) { w.job(2, 1, complete) }), nil),
		"older Jobs go before the claims":                    is(drainv1alpha1.ReasonDeletingClaims, "", "DeleteJob", 0, deleteClaims, drained(), func(w *world) { w.job(2, 1, failed, named("older")) }),
		"then the claims go":                                 with(is(drainv1alpha1.ReasonDeletingClaims, "data-web-2, logs-web-2", "DeleteClaim", 0, deleteClaims, twoDrained), deletes("data-web-2", "logs-web-2")),
		"also when wanted back":                              with(is(drainv1alpha1.ReasonDeletingClaims, "", "DeleteClaim", 0, deleteClaims, scaledUp, twoDrained), deletes("data-web-2", "logs-web-2")),
		"also when suspended":                                is(drainv1alpha1.ReasonDeletingClaims, "", "DeleteClaim", 0, deleteClaims, suspended, drained()),
		"not on the mark of a generation: drained once more": is(drainv1alpha1.ReasonLocked, "", "StartJob", 0, deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)); w.lock(2) }),
		"those that are going already are waited for":        is(drainv1alpha1.ReasonDeletingClaims, "", "", 0, deleteClaims, drained(claimTerminating)),
		"after a pod whose Job was deleted without it":       is(drainv1alpha1.ReasonDeletingClaims, "", "DeletePod", 0, deleteClaims, drained(), func(w *world) { w.drainPod(2, ended(0, "fine")) }),
		"the rest of them":                                   with(is(drainv1alpha1.ReasonDeletingClaims, "", "DeleteClaim", 0, deleteClaims, twoDrained, func(w *world) { w.Claims[0].DeletionTimestamp = &noon }), deletes("logs-web-2")),
		"the rest of them, the first being gone":             with(is(drainv1alpha1.ReasonDeletingClaims, "", "DeleteClaim", 0, deleteClaims, twoDrained, func(w *world) { w.Claims = w.Claims[1:] }), deletes("logs-web-2")),
		"all are gone":                                       is(drainv1alpha1.ReasonReleasingLock, "gone", "DeleteLock", 0, deleteClaims, func(w *world) { w.lock(2) }),
		"another pod uses one":                               is(drainv1alpha1.ReasonClaimInUse, `"debug"`, "VoidMark", 0, deleteClaims, drained(knownUnused), func(w *world) { w.pod("debug", "data-web-2") }),
		"another pod uses one, wanted back":                  is(drainv1alpha1.ReasonClaimInUse, `"debug"`, "VoidMark", 0, deleteClaims, scaledUp, drained(knownUnused), func(w *world) { w.pod("debug", "data-web-2") }),
		"another pod uses one that is going":                 is(drainv1alpha1.ReasonDeletingClaims, "", "", 0, deleteClaims, drained(claimTerminating), func(w *world) { w.pod("debug", "data-web-2") }),
		"another pod uses one, and only we can tell":         is(drainv1alpha1.ReasonClaimInUse, `"debug"`, "VoidMark", 0, deleteClaims, drained(), func(w *world) { w.pod("debug", "data-web-2") }),
		"a user deletes one before it is marked":             is(drainv1alpha1.ReasonStoppingJob, "whose pod holds it", "DeleteJob", 0, completed, func(w *world) { claimTerminating(&w.Claims[0]) }),
		"another pod uses one before it is marked":           unproven(`"debug"`, completed, func(w *world) { w.pod("debug", "data-web-2") }),
		"nothing is deleted under a lock that is released": is(drainv1alpha1.ReasonReleasingLock, "kept", "DeleteLock", 0, deleteClaims, func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{StatefulSetUID: setUID, Generation: 4, ReleasedUID: lockUID(2)}))
			w.lock(2)
		}),
		"a skipped ordinal keeps its claims":            is(drainv1alpha1.ReasonReleasingLock, "", "ReleaseMark", 0, deleteClaims, drained(skip)),
		"a policy being deleted deletes none":           is(drainv1alpha1.ReasonReleasingLock, "", "ReleaseMark", 0, deleteClaims, deleted, drained()),
		"nothing is deleted under a lock that is going": is(drainv1alpha1.ReasonReleasingLock, "", "ReleaseMark", 0, deleteClaims, drained(), func(w *world) { w.Pods[0].DeletionTimestamp = &noon }),
		"no claim goes before all are drained":          is(drainv1alpha1.ReasonLocked, "", "StartJob", 0, deleteClaims, twoDrained, used),
		"no claim goes before all are drained, marked by generation": is(drainv1alpha1.ReasonLocked, "", "StartJob", 0, deleteClaims, func(w *world) {
			w.templates("data", "logs")
			w.claim("data", 2, markedAt(4))
			w.claim("logs", 2)
			w.lock(2)
		}),
		"wanted back, half of it drained: both are given back": is(drainv1alpha1.ReasonReleasingLock, "back in range", "ReleaseMark", 0, deleteClaims, scaledUp, twoDrained, used),
		"wanted back, and a claim was made anew meanwhile": with(is(drainv1alpha1.ReasonDeletingClaims, "", "DeleteClaim", 0, deleteClaims, scaledUp, func(w *world) {
			w.templates("data", "logs")
			w.claim("data", 2, bornAfterTheLock)
			w.claim("logs", 2, markedUnder(2))
			w.lock(2)
		}), deletes("logs-web-2")),
		"a void mark without Job: drained again": is(drainv1alpha1.ReasonLocked, "", "StartJob", 0, deleteClaims, drained(unusedSince(corev1.ConditionTrue, noon))),
	})
}

func TestBackoffDoublesUpToItsMaximum(t *testing.T) {
	options := func(initial, longest int32) drainv1alpha1.RetryOptions {
		return drainv1alpha1.RetryOptions{InitialDelaySeconds: &initial, MaxDelaySeconds: &longest}
	}
	tests := map[string]struct {
		retry   drainv1alpha1.RetryOptions
		attempt int32
		want    time.Duration
	}{
		"unset, after the first":   {attempt: 1, want: 30 * time.Second},
		"unset, after the second":  {attempt: 2, want: time.Minute},
		"unset, after the sixth":   {attempt: 6, want: 960 * time.Second},
		"unset, after the seventh": {attempt: 7, want: 1800 * time.Second},
		"unset, after very many":   {attempt: 1 << 30, want: 1800 * time.Second},
		"set":                      {retry: options(1, 5), attempt: 3, want: 4 * time.Second},
		"bounded":                  {retry: options(1, 5), attempt: 4, want: 5 * time.Second},
		"longer than its maximum":  {retry: options(9, 5), attempt: 1, want: 5 * time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Backoff(tc.retry, tc.attempt); got != tc.want {
				t.Errorf("Backoff = %v, want %v", got, tc.want)
			}
		})
	}
}

// terminatingSince says that a pod's grace period ended this long ago.
func terminatingSince(ago time.Duration) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		end := metav1.NewTime(now.Add(-ago))
		pod.DeletionTimestamp = &end
	}
}
