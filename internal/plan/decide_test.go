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

// What a row wants beside its state and reason reads from left to right: waits(reason, world).says(…).after(…).

func (d decision) when(build ...func(*world)) decision { d.given = all(build...); return d }

func (d decision) says(words string) decision { d.wantSays = words; return d }

func (d decision) next(step string) decision { d.wantStep = step; return d }

func (d decision) after(retry time.Duration) decision { d.wantRetryAfter = retry; return d }

func (d decision) checked(check func(*testing.T, *world, *Drain)) decision { d.check = check; return d }

// wants returns the row of a world that leads to a state and a reason.
func wants(state drainv1alpha1.DrainState, reason string, build ...func(*world)) decision {
	return decision{given: all(build...), wantState: state, wantReason: reason}
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
func stranded(w *world)     { w.selector("web"); w.claim("old", 0, withLabel("web")) }
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
	starting := decision{
		wantState: drainv1alpha1.DrainWaiting, wantReason: drainv1alpha1.ReasonStarting, wantStep: "TakeLock",
	}
	kept := decision{wantState: drainv1alpha1.DrainDrained, wantReason: drainv1alpha1.ReasonClaimsKept}
	retained := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainRetained, reason, build...)
	}
	blocked := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainBlocked, reason, build...)
	}
	waits := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainWaiting, reason, build...)
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
		"an orphaned ordinal gets a lock":        starting.when(orphan),
		"an ordinal in range is not in the plan": {given: all(orphan, scaledUp), wantSilent: true},
		"an ordinal without claims is not in the plan": {
			given:      func(w *world) { w.job(2, 1, complete); w.drainPod(2, ended(0, "fine")) },
			wantSilent: true,
		},
		"an orphaned ordinal of an older policy is not in the plan": {given: all(orphan, rival), wantSilent: true},
		"an orphaned ordinal of a policy that is being deleted is not in the plan": {
			given:      all(orphan, deleted),
			wantSilent: true,
		},
		"an ordinal below the first one is out of range": starting.when(orphan,
			func(w *world) { w.StatefulSet.Spec.Ordinals = ordinals(3) }),
		"the range starts at spec.ordinals.start": {
			given:      all(orphan, func(w *world) { w.StatefulSet.Spec.Ordinals = ordinals(1) }),
			wantSilent: true,
		},
		"unset replicas mean one replica": starting.when(orphan, func(w *world) { w.StatefulSet.Spec.Replicas = nil }),
		"a skipped claim retains its ordinal": retained(drainv1alpha1.ReasonSkipped,
			func(w *world) { w.claim("data", 2, skip) }).says(`"data-web-2"`),
		"one skipped claim of two retains their ordinal": retained(drainv1alpha1.ReasonSkipped,
			func(w *world) { w.templates("data", "logs"); w.claim("data", 2); w.claim("logs", 2, skip) }).says(`"logs-web-2"`),
		"a claim with skip: false is drained": starting.when(func(w *world) {
			w.claim("data", 2, skip)
			w.Claims[0].Annotations[drainv1alpha1.SkipAnnotation] = "false"
		}),
		"claims of a StatefulSet that is gone are retained": retained(drainv1alpha1.ReasonStatefulSetNotFound,
			orphan, setGone).says("gone"),
		"claims of a StatefulSet that is being deleted are retained": retained(drainv1alpha1.ReasonStatefulSetNotFound,
			orphan, setDeleted).says("gone"),
		"an orphaned ordinal is retained with whenScaled: Retain": retained(drainv1alpha1.ReasonWhenScaledRetain,
			orphan, retain).says("whenScaled"),
		"a claim that never had a volume is retained": retained(drainv1alpha1.ReasonNeverBound,
			func(w *world) { w.claim("data", 2, withoutVolume) }).says("never"),
		"an ordinal with one bound claim of two is drained": starting.when(func(w *world) {
			w.templates("data", "logs")
			w.claim("data", 2, withoutVolume)
			w.claim("logs", 2)
		}),
		"a claim without a phase may have a volume and is drained": starting.when(func(w *world) {
			w.claim("data", 2, withoutVolume, func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = "" })
		}),
		"a pending claim that names a volume is drained": starting.when(func(w *world) {
			w.claim("data", 2, withoutVolume, func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "restored" })
		}),
		"a missing claim blocks the deletion of those that are drained": blocked(drainv1alpha1.ReasonClaimMissing,
			deleteClaims, func(w *world) { w.templates("data", "logs"); w.claim("data", 2, markedAt(4)) }).says("delete them if no pod has used them since"),
		"a missing claim does not keep those that are drained and kept from that": wants(drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept,
			func(w *world) { w.templates("data", "logs"); w.claim("data", 2, markedAt(4)) }),
		"a missing claim blocks its ordinal": blocked(drainv1alpha1.ReasonClaimMissing,
			func(w *world) { w.templates("data", "logs"); w.claim("data", 2) }).says(`"logs-web-2"`),
		"a claim that is being deleted blocks its ordinal": blocked(drainv1alpha1.ReasonClaimTerminating,
			func(w *world) { w.claim("data", 2, claimTerminating) }).says(`"data-web-2"`),
		"a claim that lost its volume blocks its ordinal": blocked(drainv1alpha1.ReasonClaimLost,
			func(w *world) { w.claim("data", 2, volumeLost) }).says(`"volume-of-data-web-2"`),
		"an orphaned ordinal in a suspended policy waits": waits(drainv1alpha1.ReasonSuspended, orphan, suspended).
			says("suspend"),
		"an orphaned ordinal waits for a first ready replica": waits(drainv1alpha1.ReasonWaitingForReadyReplicas,
			orphan, func(w *world) { w.StatefulSet.Status.ReadyReplicas = 0 }).says("0 of those that remain"),
		"an orphaned ordinal waits for minReadyReplicas": waits(drainv1alpha1.ReasonWaitingForReadyReplicas, orphan,
			func(w *world) { w.Policy.Spec.MinReadyReplicas = ptr.To[int32](3) }).says("2 of those that remain"),
		"an orphaned ordinal starts with minReadyReplicas ready": starting.when(orphan,
			func(w *world) { w.Policy.Spec.MinReadyReplicas = ptr.To[int32](2) }),
		"ready pods that the StatefulSet removes next do not count": waits(drainv1alpha1.ReasonWaitingForReadyReplicas,
			orphan, func(w *world) { w.StatefulSet.Spec.Replicas = ptr.To[int32](0) }).says("0 of those that remain"),
		"an orphaned ordinal of zero replicas starts if minReadyReplicas is 0": starting.when(orphan, func(w *world) {
			w.StatefulSet.Spec.Replicas = ptr.To[int32](0)
			w.Policy.Spec.MinReadyReplicas = ptr.To[int32](0)
		}),
		"an orphaned ordinal waits for the StatefulSet controller": waits(drainv1alpha1.ReasonStatefulSetNotObserved,
			orphan, notObserved).says("generation 4"),
		"an orphaned ordinal waits for its own pod": waits(drainv1alpha1.ReasonPodStillExists,
			orphan, func(w *world) { w.pod("web-2", "data-web-2") }).says(`"web-2" on node "node-1"`).after(recheck),
		"a pod past its grace period gets advice to taint its node": waits(drainv1alpha1.ReasonPodStillExists, orphan,
			func(w *world) { w.pod("web-2", "data-web-2", terminatingSince(time.Minute)) }).
			says("kubectl taint node node-1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute").after(recheck),
		"a pod within its grace period gets no advice": noAdvice(waits(drainv1alpha1.ReasonPodStillExists, orphan,
			func(w *world) { w.pod("web-2", "data-web-2", terminatingSince(time.Second)) }).says("to terminate").after(recheck)),
		"a pod that is not ready for long gets advice although it is not deleted": waits(
			drainv1alpha1.ReasonPodStillExists, orphan, func(w *world) {
				w.pod("web-2", "data-web-2", readySince(corev1.ConditionFalse, overdue))
			}).says("it has not been ready since 2026-").after(recheck),
		"a pod that is not ready for a moment gets no advice": noAdvice(waits(drainv1alpha1.ReasonPodStillExists,
			orphan, func(w *world) {
				w.pod("web-2", "data-web-2", readySince(corev1.ConditionFalse, overdue-time.Second))
			}).says(`"node-1" to terminate`).after(recheck)),
		"a ready pod gets no advice": noAdvice(waits(drainv1alpha1.ReasonPodStillExists, orphan,
			func(w *world) { w.pod("web-2", "data-web-2", readySince(corev1.ConditionTrue, time.Hour)) }).
			says(`"node-1" to terminate`).after(recheck)),
		"a lock without labels that failed while it was deleted is released": {
			given: func(w *world) {
				orphan(w)
				w.lock(2, func(pod *corev1.Pod) { pod.Labels = nil }, podTerminating, podPhase(corev1.PodFailed))
			},
			wantState: drainv1alpha1.DrainBlocked, wantReason: drainv1alpha1.ReasonLockRefused,
			wantStep: "RemoveLockFinalizer", wantSays: "it lacks the operator's labels",
		},
		"an orphaned ordinal waits for its own pod also when it has ended": waits(drainv1alpha1.ReasonPodStillExists,
			orphan, func(w *world) { w.pod("web-2", "", podPhase(corev1.PodSucceeded)) }).says(`"web-2"`).after(recheck),
		"a foreign pod that uses a claim delays the drain": waits(drainv1alpha1.ReasonClaimInUse,
			orphan, func(w *world) { w.pod("debug", "data-web-2") }).says(`"debug"`).after(recheck),
		"a foreign pod that has ended does not delay the drain": starting.when(orphan,
			func(w *world) { w.pod("debug", "data-web-2", podPhase(corev1.PodFailed)) }),
		"a foreign pod that uses another claim does not delay the drain": starting.when(orphan,
			func(w *world) { w.pod("debug", "data-web-1") }),
		"an orphaned ordinal waits for a slot": waits(drainv1alpha1.ReasonWaitingForSlot,
			orphan, func(w *world) { w.lock(5) }).says("behind ordinal 5: spec.maxConcurrentDrains is 1,"),
		"the message names only some of the ordinals that hold slots": waits(drainv1alpha1.ReasonWaitingForSlot,
			orphan, func(w *world) {
				for ordinal := int32(6); ordinal <= 9; ordinal++ {
					w.lock(ordinal)
				}
				w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](4)
			}).says("behind ordinal 9, 8, 7, 1 more:"),
		"an orphaned ordinal takes a free slot": starting.when(orphan,
			func(w *world) { w.lock(5); w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](2) }),
		"an orphaned ordinal waits for a higher one": waits(drainv1alpha1.ReasonWaitingForSlot,
			orphan, func(w *world) { w.claim("data", 3) }).says("behind ordinal 3:"),
		"a retained ordinal takes no slot": starting.when(orphan,
			func(w *world) { w.claim("data", 3, skip) }),
		"a finished Job of an earlier lock does not matter": starting.when(orphan, func(w *world) { w.job(2, 1, complete) }),
		"a Job without an ordinal does not matter": starting.when(orphan,
			func(w *world) { w.job(2, 1); delete(w.Jobs[0].Labels, drainv1alpha1.OrdinalLabel) }),
		"a drain pod of another policy does not matter": starting.when(orphan, func(w *world) {
			w.drainPod(2, func(p *corev1.Pod) { p.Labels[drainv1alpha1.PolicyUIDLabel] = "x"; p.Spec.Volumes = nil })
		}),
		"another ordinal's lock with this ordinal's label does not matter": starting.when(orphan, func(w *world) {
			w.lock(9, ours(2, drainv1alpha1.RoleLock))
			w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](2)
		}),
		"an orphaned ordinal waits for another policy's lock": waits(drainv1alpha1.ReasonLockHeld, orphan, func(w *world) {
			w.lock(2, func(p *corev1.Pod) { p.OwnerReferences[0].UID = "x" })
		}).says(`"web-2"`).after(recheck),
		"a pod that the policy owns but does not control is not its lock": waits(drainv1alpha1.ReasonLockHeld,
			orphan, func(w *world) {
				w.lock(2, func(p *corev1.Pod) { p.OwnerReferences[0].Controller, p.Finalizers = nil, nil })
			}).says(`"web-2"`).after(recheck),
		"an ordinal with an ambiguous claim waits": waits(drainv1alpha1.ReasonAmbiguousClaims, func(w *world) {
			w.templates("data", "data-x")
			w.claim("data", 2)
			w.claim("data-x", 2)
			w.Others = []claims.Identity{{Name: "x-web", Templates: []string{"data"}, MatchLabels: map[string]string{"app": "web"}}}
		}).says(`"data-x-web-2"`),

		// Drained before.
		"claims marked at this generation are drained": kept.when(func(w *world) { w.claim("data", 2, markedAt(4)) }).
			says("moved all"),
		"marked claims are drained also in a suspended policy": kept.when(suspended,
			func(w *world) { w.claim("data", 2, markedAt(4)) }),
		"marked claims are drained also without a ready replica": kept.when(func(w *world) {
			w.claim("data", 2, markedAt(4))
			w.StatefulSet.Status.ReadyReplicas = 0
		}),
		"a mark of two generations ago does not hold": starting.when(func(w *world) { w.claim("data", 2, markedAt(2)) }),
		"a mark of a later generation does not hold":  starting.when(func(w *world) { w.claim("data", 2, markedAt(5)) }),
		"a mark for another StatefulSet does not hold": starting.when(func(w *world) {
			w.claim("data", 2, markedAt(4))
			w.StatefulSet.UID = "new"
		}),
		"a recent mark that does not hold delays the next drain": waits(drainv1alpha1.ReasonDrainedBefore, func(w *world) {
			w.claim("data", 2, markedAt(2))
			w.Policy.Spec.Retry.InitialDelaySeconds = ptr.To[int32](300)
		}).says("12:05:00").after(4 * time.Minute),
		"a use that was reported since a recent mark delays the next drain": waits(drainv1alpha1.ReasonDrainedBefore, func(w *world) {
			w.claim("data", 2, markedAt(4), unusedSince(corev1.ConditionTrue, noon))
			w.Policy.Spec.Retry.InitialDelaySeconds = ptr.To[int32](300)
		}).says("12:05:00").after(4 * time.Minute),
		"each such use in a row doubles the delay": waits(drainv1alpha1.ReasonDrainedBefore, func(w *world) {
			w.claim("data", 2, usedSinceRelease(2))
		}).says("12:02:00").after(time.Minute),
		"a recent mark under a lock that is void by use delays nothing": starting.when(func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{JobUID: "past-job"}), unusedSince(corev1.ConditionTrue, noon))
			w.Policy.Spec.Retry.InitialDelaySeconds = ptr.To[int32](300)
		}),
		"a mark under a lock that is gone does not hold": starting.when(func(w *world) {
			w.claim("data", 2, markedUnder(2))
		}),
		"a mark of a claim that a pod used since does not hold": starting.when(func(w *world) {
			w.claim("data", 2, markedAt(4), unusedSince(corev1.ConditionTrue, noon))
		}),
		"a mark copied from another claim does not hold": starting.when(func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{ClaimUID: "x", StatefulSetUID: setUID, Generation: 4}))
		}),
		"an ordinal with one marked claim of two is drained": starting.when(func(w *world) {
			w.templates("data", "logs")
			w.claim("data", 2, markedAt(4))
			w.claim("logs", 2)
		}),
		"marked claims of a StatefulSet that is gone are retained": retained(drainv1alpha1.ReasonStatefulSetNotFound,
			func(w *world) { w.claim("data", 2, markedAt(4)) }, setGone),
		"marked claims of a StatefulSet that is being deleted are retained": retained(
			drainv1alpha1.ReasonStatefulSetNotFound, func(w *world) {
				w.claim("data", 2, markedAt(4))
			}, setDeleted),
		"marked claims get a lock before they are deleted": wants(kept.wantState,
			kept.wantReason, deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)) }).next("TakeLock"),
		"marked claims are not deleted without a ready replica": kept.when(deleteClaims,
			func(w *world) { w.claim("data", 2, markedAt(4)); w.StatefulSet.Status.ReadyReplicas = 0 }),
		"marked claims are not deleted in a suspended policy": kept.when(deleteClaims,
			suspended, func(w *world) { w.claim("data", 2, markedAt(4)) }),
		"skipped claims are not deleted although they are marked": kept.when(deleteClaims,
			func(w *world) { w.claim("data", 2, markedAt(4), skip) }),
		"marked claims are not deleted while the ordinal's own pod exists": waits(drainv1alpha1.ReasonPodStillExists,
			deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)); w.pod("web-2", "") }).after(recheck),
		"marked claims are not deleted before the StatefulSet controller has caught up": waits(
			drainv1alpha1.ReasonStatefulSetNotObserved, deleteClaims, notObserved, func(w *world) {
				w.claim("data", 2, markedAt(4))
			}),
		"marked claims are not deleted without a free slot": waits(drainv1alpha1.ReasonWaitingForSlot,
			deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)); w.lock(5) }),
		"the mark of a claim in use is voided": waits(drainv1alpha1.ReasonClaimInUse,
			func(w *world) { w.claim("data", 2, markedAt(3)); w.pod("debug", "data-web-2") }).says(`"debug"`).next("VoidMark"),
		"a mark that is out of date is voided on a claim in use: a renewal that hangs would make it hold again": waits(
			drainv1alpha1.ReasonClaimInUse, func(w *world) { w.claim("data", 2, markedAt(2)); w.pod("debug", "data-web-2") }).
			says(`"debug"`).next("VoidMark"),
		"a mark that is out of date stays while the StatefulSet's own pod ends: no renewal makes it hold again": waits(
			drainv1alpha1.ReasonPodStillExists, func(w *world) {
				w.claim("data", 2, markedAt(2))
				w.pod("web-2", "data-web-2", func(pod *corev1.Pod) {
					pod.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: "web", UID: setUID, Controller: new(true)}}
				})
			}).after(recheck),
		"a mark that is out of date is voided on a claim that a pod of another name uses, although it names the StatefulSet as its owner": waits(
			drainv1alpha1.ReasonClaimInUse, func(w *world) {
				w.claim("data", 2, markedAt(2))
				w.pod("web-x2", "data-web-2", func(pod *corev1.Pod) {
					pod.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: "web", UID: setUID, Controller: new(true)}}
				})
			}).says(`"web-x2"`).next("VoidMark"),
		"a mark that is void is not voided once more on a claim in use": waits(drainv1alpha1.ReasonClaimInUse,
			func(w *world) { w.claim("data", 2, markedBy(claims.Mark{})); w.pod("debug", "data-web-2") }).after(recheck),
		"the mark of a claim in use is voided also if its use is reported": waits(drainv1alpha1.ReasonClaimInUse,
			func(w *world) {
				w.claim("data", 2, markedBy(claims.Mark{StatefulSetUID: setUID, Generation: 3, UnusedSince: &noon}),
					unusedSince(corev1.ConditionTrue, noon))
				w.pod("debug", "data-web-2")
			}).says(`"debug"`).next("VoidMark"),
		"a mark of the previous generation is not renewed on a claim that is being deleted": kept.when(
			func(w *world) { w.claim("data", 2, markedAt(3), claimTerminating) }),
		"a mark of the previous generation is renewed": {
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
		return wants(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForMinOrphanedSeconds,
			all(append([]func(*world){orphan, seconds}, build...)...)).says("undoes the scale-down").after(after)
	}
	starts := func(build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonStarting,
			all(append([]func(*world){orphan, seconds}, build...)...)).next("TakeLock")
	}
	later := func(w *world) { w.Policy.Spec.MinOrphanedSeconds = ptr.To[int32](60) }
	decide(t, map[string]decision{
		"an ordinal seen out of range for the first time waits in full":    waits(90 * time.Second),
		"an ordinal seen out of range a minute ago waits for the rest":     waits(30*time.Second, remembers(4)),
		"an ordinal seen out of range a generation ago waits for the rest": waits(30*time.Second, remembers(3)),
		"an ordinal seen out of range two generations ago waits in full":   waits(90*time.Second, remembers(2)),
		"an ordinal seen for another StatefulSet waits in full": waits(90*time.Second,
			remembers(4), func(w *world) { w.StatefulSet.UID = "new" }),
		"the time of another ordinal does not count": waits(90*time.Second,
			remembers(4), func(w *world) { w.Policy.Status.Drains[0].Ordinal = ptr.To[int32](3) }),
		"a status entry without a time does not count": waits(90*time.Second,
			remembers(4), func(w *world) { w.Policy.Status.Drains[0].OrphanedTime = nil }),
		"a use of the claim later starts the time again": waits(60*time.Second, remembers(4), func(w *world) {
			unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(30*time.Second)))(&w.Claims[0])
		}),
		"a use of the claim before does not start the time again": waits(30*time.Second, remembers(4),
			func(w *world) { unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(-time.Hour)))(&w.Claims[0]) }),
		"a use of the claim that has not ended does not start the time again": waits(30*time.Second,
			remembers(4), func(w *world) { unusedSince(corev1.ConditionFalse, metav1.NewTime(now))(&w.Claims[0]) }),
		"an ordinal without a status entry counts from the last scale-down": waits(30*time.Second, remembers(4), noRoom),
		"an ordinal that was in range and has no status entry waits in full": waits(90*time.Second,
			remembers(4), noRoom, func(w *world) {
				w.Policy.Status.StatefulSet.Replicas = ptr.To[int32](3)
			}),
		"an ordinal without a status entry for two generations waits in full": waits(90*time.Second, remembers(2), noRoom),
		"an ordinal without a status entry counts from its claim's creation": waits(60*time.Second,
			remembers(4), noRoom, func(w *world) {
				w.Claims[0].CreationTimestamp = metav1.NewTime(noon.Add(30 * time.Second))
			}),
		"an ordinal without a status entry counts from the StatefulSet's end": waits(30*time.Second,
			remembers(4), noRoom, whenDeleted, func(w *world) {
				w.StatefulSet, w.Policy.Status.StatefulSet.Replicas = nil, ptr.To[int32](0)
			}),
		"an ordinal that was out of range for long enough starts": starts(remembers(4), later),
		"an ordinal starts at once without minOrphanedSeconds": starts(func(w *world) {
			w.Policy.Spec.MinOrphanedSeconds = nil
		}),
		"an ordinal that has its lock does not wait": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonLocked, lockedOrphan, seconds).next("StartJob"),
		"a drained ordinal does not wait": wants(drainv1alpha1.DrainDrained,
			drainv1alpha1.ReasonClaimsKept, seconds, func(w *world) { w.claim("data", 2, markedAt(4)) }),
		"an ordinal of a StatefulSet that is gone waits": waits(30*time.Second,
			remembers(2), whenDeleted, func(w *world) { w.StatefulSet = nil }),
	})
}

func TestDecideAboutALateReport(t *testing.T) {
	over := func(ago time.Duration) func(*world) {
		return func(w *world) {
			w.Jobs[0].Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-ago))
		}
	}
	used := func(w *world) { unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0]) }
	reported := func(ago time.Duration) func(*world) {
		return func(w *world) { unusedSince(corev1.ConditionTrue, metav1.NewTime(now.Add(-ago)))(&w.Claims[0]) }
	}
	// seen makes the lock remember looks that showed the claims unused from some time on and until some time ago.
	seen := func(from, ago time.Duration, looks int32) func(*world) {
		return func(w *world) {
			w.note(2, Attempt{
				Number: 1, Asked: noon, TemplateHash: hash, Looks: looks,
				UnusedFrom: ptr.To(metav1.NewTime(now.Add(-from))), SeenUnused: ptr.To(metav1.NewTime(now.Add(-ago))),
			})
		}
	}
	begun := func(ago time.Duration) func(*world) {
		return func(w *world) { w.Taken = metav1.NewTime(now.Add(-ago)) }
	}
	notes := func(from, ago time.Duration, looks int32) func(*testing.T, *world, *Drain) {
		return func(t *testing.T, _ *world, d *Drain) {
			t.Helper()
			note := as[NoteUnused](d.Next).Attempt
			if note.Number != 1 || note.Failed != nil || !note.UnusedFrom.Time.Equal(now.Add(-from)) || !note.SeenUnused.Time.Equal(now.Add(-ago)) || note.Looks != looks {
				t.Errorf("the lock is to remember %s, want look %d of attempt 1, from %s ago until %s ago", note, looks, from, ago)
			}
		}
	}
	completed := func(w *world) { lockedOrphan(w); w.through(2, 1) }
	const marking = drainv1alpha1.ReasonMarkingClaims
	draining := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, reason, build...)
	}
	const sec = time.Second
	unproven := func(build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonNotProven, build...).next("NoteAttempt")
	}
	decide(t, map[string]decision{
		"a look soon after the Job is not worth a note": draining(marking, completed, used, over(lookFirst-sec)).after(sec),
		"a look is noted": draining(marking, completed, used, over(lookFirst)).next("NoteUnused").checked(notes(0, 0, 1)),
		"the time of a look is that at which it began": draining(marking, completed, used, over(9*sec), begun(2*sec)).
			next("NoteUnused").checked(notes(2*sec, 2*sec, 1)),
		"the first look is remembered as no earlier than it was": draining(marking, completed, used, over(9*sec), begun(2*sec+sec/2)).
			next("NoteUnused").checked(notes(2*sec, 2*sec, 1)),
		"a look that began too early is not noted":  draining(marking, completed, used, over(9*sec), begun(8*sec)).after(recheck),
		"a look that comes too late proves nothing": draining(marking, completed, used, over(unusedLag+sec)).after(recheck),
		"a further look is noted":                   draining(marking, completed, used, over(20*sec), seen(18*sec, 7*sec, 2)).next("NoteUnused").checked(notes(18*sec, 0, 3)),
		"a further look is remembered as no later than it was": draining(marking, completed, used, over(20*sec), seen(18*sec, 9*sec, 2), begun(sec/2)).
			next("NoteUnused").checked(notes(18*sec, sec, 3)),
		"a further look waits": draining(marking, completed, used, over(20*sec), seen(18*sec, 4*sec, 2)).after(2 * sec),
		"a further look waits no longer for a first one that is remembered as later than it was": draining(marking, completed, used, over(2*sec), seen(-sec, -sec, 1)).
			after(7 * sec),
		"a further look that comes too late proves nothing": draining(marking, completed, used, over(20*sec), seen(18*sec, unusedLag+sec, 2)).
			after(recheck),
		"so many looks are enough": draining(marking, completed, used, over(time.Minute), seen(58*sec, 7*sec, maxLooks)).after(recheck),
		"the claims are marked if the report comes soon after a look": draining(marking, completed, over(20*sec), seen(18*sec, 8*sec, 2), reported(sec)).
			next("MarkClaim"),
		"the minute in which claims are marked that are to be deleted begins with the last look": draining(marking, completed, deleteClaims,
			over(300*sec), seen(298*sec, 70*sec, maxLooks), reported(72*sec)).next("MarkClaim"),
		"claims are not marked later than that to be deleted": unproven(completed, deleteClaims, over(300*sec), seen(298*sec, 71*sec, maxLooks), reported(72*sec)).
			says("within 70 s"),
		"a report that comes long after the last look is not believed": unproven(
			completed, over(40*sec), seen(38*sec, 20*sec, 2), reported(sec)).says("late to report"),
		"a first look alone gives a report no more time": unproven(completed, over(20*sec), seen(8*sec, 8*sec, 1), reported(sec)),
		"the clock of the operator does not give a report more time": unproven(
			completed, over(12*sec), seen(8*sec, 8*sec, 1), reported(sec)),
		"a report that comes long after the Job is not believed without a look": unproven(completed, over(20*sec), reported(sec)).says("late to report"),
		"looks that end before they begin prove nothing":                        unproven(completed, over(20*sec), seen(8*sec, 18*sec, 2), reported(sec)),
		"a look during an earlier attempt proves nothing": unproven(
			lockedOrphan, func(w *world) { w.through(2, 2) }, over(20*sec), seen(18*sec, 8*sec, 2), reported(sec)),
		"the lock of an ordinal back in range is released instead": wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonReleasingLock,
			completed, scaledUp, used, over(lookFirst)).next("DeleteLock"),
		"a pod that uses a claim is a doubt": unproven(completed, used, over(lookFirst), func(w *world) { w.pod("debug", "data-web-2") }),
	})
}

func TestDecideAboutAStatefulSetThatIsGone(t *testing.T) {
	noneReady := func(w *world) { w.Policy.Spec.MinReadyReplicas = ptr.To[int32](0) }
	gone := func(build ...func(*world)) func(*world) {
		return all(append(append([]func(*world){whenDeleted, noneReady}, build...), setGone)...)
	}
	absent := func(unused *metav1.Time) func(*corev1.PersistentVolumeClaim) {
		return func(claim *corev1.PersistentVolumeClaim) {
			markedBy(claims.Mark{
				LockUID: "past-lock", Absent: true, StatefulSetUID: setUID, UnusedSince: unused,
				Outcome: "uploaded all",
			})(claim)
			if unused != nil {
				unusedSince(corev1.ConditionTrue, *unused)(claim)
			}
		}
	}
	marked := func(unused *metav1.Time) func(*world) {
		return func(w *world) { w.claim("data", 2, absent(unused)) }
	}
	const (
		waiting  = drainv1alpha1.DrainWaiting
		draining = drainv1alpha1.DrainDraining
		drained  = drainv1alpha1.DrainDrained
		retained = drainv1alpha1.DrainRetained
	)
	decide(t, map[string]decision{
		"an orphaned ordinal gets its lock": wants(waiting, drainv1alpha1.ReasonStarting, gone(orphan)).next("TakeLock"),
		"an ordinal that was in range gets its lock": wants(waiting,
			drainv1alpha1.ReasonStarting, gone(orphan, scaledUp)).next("TakeLock"),
		"a locked ordinal gets its Job": wants(draining, drainv1alpha1.ReasonLocked, gone(lockedOrphan)).next("StartJob"),
		"whenScaled: Retain does not matter": wants(waiting, drainv1alpha1.ReasonStarting, gone(orphan, retain)).
			next("TakeLock"),
		"an ordinal waits for a ready replica if minReadyReplicas is not 0": wants(waiting,
			drainv1alpha1.ReasonWaitingForReadyReplicas, all(whenDeleted, orphan, setGone)).says("0 of those that remain"),
		"an ordinal is retained with whenDeleted: Retain": wants(retained,
			drainv1alpha1.ReasonStatefulSetNotFound, all(noneReady, orphan, setGone)),
		"an ordinal waits while the StatefulSet is being deleted": wants(waiting,
			drainv1alpha1.ReasonStatefulSetNotFound, all(whenDeleted, noneReady, orphan, setDeleted)).says("when it is gone"),
		"an ordinal of a suspended policy waits": wants(waiting, drainv1alpha1.ReasonSuspended, gone(orphan, suspended)),
		"an ordinal waits for an annotation that can be read": wants(waiting,
			drainv1alpha1.ReasonInvalidTemplate, all(orphan, unreadable)).says("line 1"),
		"an ordinal waits if the annotation went with the StatefulSet": wants(waiting,
			drainv1alpha1.ReasonInvalidTemplate, gone(all(orphan, unreadable))).says("line 1"),
		"an ordinal waits for a preflight of the present template": wants(waiting,
			drainv1alpha1.ReasonPreflightFailed, gone(orphan, changedSince)).says("not been asked yet").after(recheck),
		"an ordinal waits for a template that the API server accepts": wants(waiting,
			drainv1alpha1.ReasonInvalidTemplate,
			gone(orphan, func(w *world) { w.Preflight.Refusal = "no such image" })).says("no such image"),
		"a missing claim blocks its ordinal": wants(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimMissing,
			gone(func(w *world) { w.templates("data", "logs"); w.claim("data", 2) })).says(`"logs-web-2"`),
		"an ordinal with a skipped claim is retained": wants(retained,
			drainv1alpha1.ReasonSkipped, gone(func(w *world) { w.claim("data", 2, skip) })),
		"an ordinal whose claim was never bound is retained": wants(retained,
			drainv1alpha1.ReasonNeverBound, gone(func(w *world) { w.claim("data", 2, withoutVolume) })),
		"an ordinal waits for its own pod": wants(waiting, drainv1alpha1.ReasonPodStillExists,
			gone(orphan, func(w *world) { w.pod("web-2", "data-web-2") })).after(recheck),
		"a failed attempt is repeated": wants(drainv1alpha1.DrainFailed,
			drainv1alpha1.ReasonJobFailed, gone(lockedOrphan, func(w *world) { w.job(2, 1, failed) })).next("StartJob"),
		"a failed attempt waits while suspended": wants(drainv1alpha1.DrainFailed,
			drainv1alpha1.ReasonSuspended, gone(lockedOrphan, suspended, func(w *world) { w.job(2, 1, failed) })),
		"a complete Job marks that none is there": {
			given:     gone(lockedOrphan, func(w *world) { w.through(2, 1) }),
			wantState: draining, wantReason: drainv1alpha1.ReasonMarkingClaims, wantStep: "MarkClaim",
			check: func(t *testing.T, _ *world, d *Drain) {
				if mark := as[WriteMark](d.Next).Mark; !mark.Absent || mark.StatefulSetUID != setUID || mark.Generation != 0 {
					t.Errorf("the mark is %s, want one that says that the one last seen is gone", mark)
				}
			},
		},
		"claims drained after the StatefulSet was gone are kept": {
			given: gone(marked(nil)), wantState: drained, wantReason: drainv1alpha1.ReasonClaimsKept, wantSays: "uploaded all",
			check: func(t *testing.T, _ *world, d *Drain) {
				if d.Mark == nil || d.Mark.LockUID != "past-lock" {
					t.Errorf("the entry's mark is %v, want the claim's", d.Mark)
				}
			},
		},
		"claims drained while another StatefulSet was gone are drained again": wants(waiting,
			drainv1alpha1.ReasonStarting, gone(marked(&noon), func(w *world) { w.StatefulSet.UID = "new" })).next("TakeLock"),
		"claims drained before are locked again before they are deleted": wants(drained,
			drainv1alpha1.ReasonClaimsKept, gone(deleteClaims, marked(nil))).next("TakeLock"),
		"an ordinal whose pods had no grace period waits": wants(waiting, drainv1alpha1.ReasonGracePeriodZero,
			all(whenDeleted, noneReady, noGrace, orphan, setGone)).says("containers of its pods may still run"),
		"an ordinal whose claims bear no labels waits": wants(waiting, drainv1alpha1.ReasonNoMatchLabels,
			all(whenDeleted, noneReady, expressionsOnly, orphan, setGone)).says("tell them from another workload's"),
		"claims drained under an earlier lock are drained again before they are deleted": wants(draining,
			drainv1alpha1.ReasonLocked, gone(deleteClaims, marked(&noon), func(w *world) { w.lock(2) })).next("StartJob"),
		"the lock of drained claims that are kept is released": wants(draining,
			drainv1alpha1.ReasonReleasingLock, gone(marked(nil), func(w *world) { w.lock(2) })).next("ReleaseMark"),
		"claims marked under their lock are deleted": wants(draining, drainv1alpha1.ReasonDeletingClaims,
			gone(deleteClaims, func(w *world) { w.claim("data", 2, markedUnder(2)); w.lock(2) })).next("DeleteClaim"),
		"claims that were used since their drain are drained again": wants(waiting,
			drainv1alpha1.ReasonStarting, gone(func(w *world) {
				w.claim("data", 2, absent(&noon), unusedSince(corev1.ConditionTrue, metav1.NewTime(now)))
			})).next("TakeLock"),
		"both claims are drained again if only one is marked": wants(waiting, drainv1alpha1.ReasonStarting,
			gone(func(w *world) { w.templates("data", "logs"); w.claim("data", 2, absent(nil)); w.claim("logs", 2) })).
			next("TakeLock"),
		"claims drained before the StatefulSet was gone are drained again": wants(waiting,
			drainv1alpha1.ReasonStarting, gone(func(w *world) { w.claim("data", 2, markedAt(4)) })).next("TakeLock"),
		"claims are drained again when the StatefulSet is back": wants(waiting,
			drainv1alpha1.ReasonStarting, all(whenDeleted, marked(&noon))).next("TakeLock"),
		"the lock is released when the ordinal is back in range": wants(draining, drainv1alpha1.ReasonReleasingLock,
			all(whenDeleted, lockedOrphan, scaledUp)).says("back in range").next("DeleteLock"),
		"an ordinal of a StatefulSet that was never observed is not in the plan": {
			given:      all(whenDeleted, noneReady, orphan, func(w *world) { w.StatefulSet = nil }),
			wantSilent: true,
		},
	})
}

func TestDecideAboutStrays(t *testing.T) {
	stops := func(build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob, build...)
	}
	first := func(t *testing.T, w *world, d *Drain) {
		t.Helper()
		if job := as[DeleteJob](d.Next).Job; job == nil || job.Name != w.Jobs[0].Name || job.UID != w.Jobs[0].UID {
			t.Errorf("Job %v is to be deleted, want %q, UID %q", job, w.Jobs[0].Name, w.Jobs[0].UID)
		}
	}
	letRun := func(pod string) func(*world) {
		return func(w *world) {
			w.lock(2, func(lock *corev1.Pod) {
				metav1.SetMetaDataAnnotation(&lock.ObjectMeta, drainv1alpha1.PodAnnotation, pod)
			})
		}
	}
	tests := map[string]decision{
		"a gated pod that lost its Job is deleted beside a Job under way: each would wait for the other": stops(lockedOrphan,
			func(w *world) { w.job(2, 1); w.drainPod(2, gated, ownerlessPod); w.drainPod(2, gated) }).next("DeletePod"),
		"a running pod that lost its Job is a user beside a Job under way": wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonClaimInUse,
			lockedOrphan, func(w *world) { w.job(2, 1); w.drainPod(2, running, ownerlessPod); w.drainPod(2, gated) }).after(recheck),
		"a pod that was let run and lost its Job and its labels keeps the lock": stops(orphan, scaledUp, letRun("uid-of-bare"),
			func(w *world) { w.pod("bare", "data-web-2") }).says(`Waiting for drain pod "bare"`).after(recheck),
		"such a pod keeps it also while a finished Job is there": stops(orphan, scaledUp, letRun("uid-of-bare"),
			func(w *world) { w.job(2, 1, failed); w.pod("bare", "data-web-2") }).says(`Waiting for drain pod "bare"`).after(recheck),
		"another pod does not keep the lock": wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonReleasingLock, orphan, scaledUp,
			letRun("uid-of-another"), func(w *world) { w.pod("bare", "data-web-2") }).next("DeleteLock"),
		"a Job without its lock is deleted": stops(orphan, func(w *world) { w.job(2, 1) }).
			says("without the lock").next("DeleteJob"),
		"a Job without its lock is deleted also when its ordinal is back in range": stops(orphan,
			scaledUp, func(w *world) { w.job(2, 1) }).says("without the lock").next("DeleteJob"),
		"a Job without its lock is deleted also beside an older policy": stops(orphan,
			rival, func(w *world) { w.job(2, 1) }).says("without the lock").next("DeleteJob"),
		"a Job without its lock is deleted also without the StatefulSet": stops(orphan,
			func(w *world) { w.job(2, 1) }, setGone).says("without the lock").next("DeleteJob"),
		"a Job without its lock is deleted also while its policy is being deleted": stops(orphan,
			deleted, func(w *world) { w.job(2, 1) }).says("without the lock").next("DeleteJob"),
		"a Job without its lock is deleted also without claims": stops(func(w *world) { w.job(2, 1) }).
			says("without the lock").next("DeleteJob"),
		"a Job of another lock is deleted": stops(orphan,
			func(w *world) { w.job(2, 1); w.lock(2, func(p *corev1.Pod) { p.UID = "new" }) }).
			says("without the lock").next("DeleteJob"),
		"a Job on another claim of the same name is deleted": stops(lockedOrphan,
			func(w *world) { w.job(2, 1); w.Claims[0].UID = "new" }).says("other claims").next("DeleteJob"),
		"a Job that lacks a claim is deleted": stops(lockedOrphan,
			func(w *world) { w.templates("data", "logs"); w.job(2, 1); w.claim("logs", 2) }).
			says("other claims").next("DeleteJob"),
		"a Job whose attempt is not that of its name is deleted": stops(lockedOrphan,
			func(w *world) { w.job(2, 1); w.Jobs[0].Labels[drainv1alpha1.AttemptLabel] = "2" }).
			says("other claims").next("DeleteJob"),
		"a Job whose attempt can't be read is deleted": stops(lockedOrphan,
			func(w *world) { w.job(2, 1); w.Jobs[0].Labels[drainv1alpha1.AttemptLabel] = "one" }).
			says("other claims").next("DeleteJob"),
		"a Job of an older attempt that runs is deleted": stops(lockedOrphan,
			func(w *world) { w.job(2, 1); w.job(2, 2) }).says("other claims").next("DeleteJob"),
		"a Job of an older attempt that runs is deleted also if it is listed last": stops(lockedOrphan,
			func(w *world) { w.job(2, 1); w.job(2, 2, failed); w.Jobs[0], w.Jobs[1] = w.Jobs[1], w.Jobs[0] }).
			says("other claims").next("DeleteJob"),
		"a Job under its lock that is being deleted is awaited": stops(lockedOrphan,
			func(w *world) { w.job(2, 1, jobTerminating) }).says("being deleted"),
		"a Job without its lock that is being deleted is awaited": stops(orphan,
			func(w *world) { w.job(2, 1, jobTerminating) }).says("being deleted"),
		"a finished Job that is being deleted is awaited": stops(lockedOrphan,
			func(w *world) { w.job(2, 1, complete, jobTerminating) }).says("being deleted"),
		"a drain pod without a Job is deleted": stops(lockedOrphan, func(w *world) { w.drainPod(2) }).
			says("deleting the pod").next("DeletePod"),
		"a drain pod without a Job and a lock is deleted": stops(orphan, func(w *world) { w.drainPod(2) }).
			says("deleting the pod").next("DeletePod"),
		"a drain pod that outlives its failed Job is deleted": stops(lockedOrphan,
			func(w *world) { w.job(2, 1, failed); w.drainPod(2) }).says("deleting the pod").next("DeletePod"),
		"a drain pod that outlives its complete Job is deleted": stops(lockedOrphan,
			func(w *world) { w.job(2, 1, complete); w.drainPod(2) }).says("deleting the pod").next("DeletePod"),
		"a gated drain pod without a Job is deleted": stops(lockedOrphan, func(w *world) { w.drainPod(2, gated) }).
			says("deleting the pod").next("DeletePod"),
		"a finished Job that holds a claim being deleted is deleted": stops(func(w *world) {
			w.claim("data", 2, claimTerminating)
			w.job(2, 1, complete)
		}).says("holds it").next("DisposeOfJob"),
		"an ended pod without a Job that holds a claim being deleted is deleted": stops(func(w *world) {
			w.claim("data", 2, claimTerminating)
			w.drainPod(2, ended(0, "fine"))
		}).says("holds it").next("DeletePod"),
		"a finished Job that holds a claim being deleted is deleted also when back in range": stops(scaledUp,
			func(w *world) { w.claim("data", 2, claimTerminating); w.job(2, 1, complete) }).
			says("holds it").next("DisposeOfJob"),
		"a drain pod without a Job is deleted also when its ordinal is back in range": stops(lockedOrphan,
			scaledUp, func(w *world) { w.drainPod(2) }).says("deleting the pod").next("DeletePod"),
		"a drain pod without a Job is deleted also while its policy is being deleted": stops(lockedOrphan,
			deleted, func(w *world) { w.drainPod(2) }).says("deleting the pod").next("DeletePod"),
	}
	goes := func(w *world) {
		w.claim("data", 2, markedUnder(2))
		w.lock(2)
		w.job(2, 1, complete, jobTerminating)
	}
	tests["the Job of drained claims that is being deleted is awaited before they are deleted"] = wants(
		drainv1alpha1.DrainDraining, drainv1alpha1.ReasonDeletingClaims, goes, deleteClaims).
		says("waiting until the pods of Job")
	tests["the Job of kept claims that a user deletes is awaited"] = stops(goes).says("being deleted")
	tests["a running Job of drained claims that is being deleted is awaited"] = stops(goes,
		deleteClaims, func(w *world) { w.Jobs[0].Status.Conditions = nil }).says("being deleted")
	for name, tc := range tests {
		if strings.HasSuffix(tc.wantStep, "Job") && !strings.HasSuffix(name, "if it is listed last") {
			tc.check = first
			tests[name] = tc
		}
	}
	decide(t, tests)

	for name, build := range map[string]func(*world){
		"a Job without its lock":    all(orphan, func(w *world) { w.job(2, 1); w.drainPod(2) }),
		"a drain pod without a Job": all(orphan, func(w *world) { w.drainPod(2) }),
	} {
		if plan := Make(given(build).snapshot(), now); !plan.Finalizer {
			t.Errorf("%s: the policy must stay while a stray Job of it runs", name)
		}
	}
}

func TestDecideUnderALockWithoutJob(t *testing.T) {
	released := func(says string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonReleasingLock, build...).
			says(says).next("DeleteLock")
	}
	decide(t, map[string]decision{
		"a lock without a Job gets its first Job": {
			given: lockedOrphan, wantState: drainv1alpha1.DrainDraining,
			wantReason: drainv1alpha1.ReasonLocked, wantStep: "StartJob",
			check: func(t *testing.T, w *world, d *Drain) {
				if want := (StartJob{w.jobName(2, 1), 2, 1, lockUID(2)}); d.Next != want {
					t.Errorf("the step is %+v, want %+v", d.Next, want)
				}
			},
		},
		"the first Job starts also if replicas are no longer ready": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonLocked, lockedOrphan, func(w *world) { w.StatefulSet.Status.ReadyReplicas = 0 }).
			next("StartJob"),
		"the lock is released when its ordinal is back in range": released("back in range", lockedOrphan, scaledUp),
		"the lock is released when its policy is being deleted": released("policy is being deleted",
			lockedOrphan, deleted),
		"a lock that is being deleted loses its finalizer": letGo(released("lock is being deleted",
			func(w *world) { w.claim("data", 2); w.lock(2, podTerminating) })),
		"the lock is released when an older policy is in charge": released("Another policy", lockedOrphan, rival),
		"the lock is released when a claim is skipped": released(drainv1alpha1.SkipAnnotation,
			func(w *world) { w.claim("data", 2, skip); w.lock(2) }),
		"the lock is released with whenScaled: Retain":               released("whenScaled", lockedOrphan, retain),
		"the lock is released when the StatefulSet is gone":          released("gone", lockedOrphan, setGone),
		"the lock is released when the StatefulSet is being deleted": released("gone", lockedOrphan, setDeleted),
		"the lock is released when the policy is suspended":          released("suspend", lockedOrphan, suspended),
		"the lock is released when the annotation can't be read":     released("line 1", lockedOrphan, unreadable),
		"the lock is released when the API server refuses the template": released("no such image",
			lockedOrphan, func(w *world) { w.Preflight.Refusal = "no such image" }),
		"the lock is released when the API server gives no answer about the template": released("timeout",
			lockedOrphan, func(w *world) { w.Preflight.Unanswered = "timeout" }),
		"the first Job waits for a preflight of the present template": wants(drainv1alpha1.DrainWaiting,
			drainv1alpha1.ReasonPreflightFailed, lockedOrphan, changedSince).says("not been asked yet").after(recheck),
		"the lock of an ordinal back in range is released without a preflight": released("back in range",
			lockedOrphan, changedSince, scaledUp),
		"the lock is released when the claims are gone": released("gone", func(w *world) { w.lock(2) }),
		"the lock is released when one claim is gone": released(`"logs-web-2"`,
			lockedOrphan, func(w *world) { w.templates("data", "logs") }),
		"the lock is released when a claim is being deleted": released("being deleted",
			func(w *world) { w.claim("data", 2, claimTerminating); w.lock(2) }),
		"the lock is released when a claim has lost its volume": released("lost",
			func(w *world) { w.claim("data", 2, volumeLost); w.lock(2) }),
		"the lock is released when the claims never had a volume": released("never",
			func(w *world) { w.claim("data", 2, withoutVolume); w.lock(2) }),
		"the first Job waits while a foreign pod uses a claim": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonClaimInUse, lockedOrphan, func(w *world) { w.pod("debug", "data-web-2") }).
			says(`"debug"`).after(recheck),
		"the lock of an ordinal back in range is released while a foreign pod uses a claim": released("back in range",
			lockedOrphan, scaledUp, func(w *world) { w.pod("debug", "data-web-2") }),
	})
}

func TestDecideAboutARunningJob(t *testing.T) {
	draining := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, reason, lockedOrphan, all(build...))
	}
	job := func(change ...func(*batchv1.Job)) func(*world) { return func(w *world) { w.job(2, 1, change...) } }
	pod := func(change ...func(*corev1.Pod)) func(*world) { return func(w *world) { w.drainPod(2, change...) } }
	suspendedJob := func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }
	lockGoing := func(w *world) { w.Pods[0].DeletionTimestamp = &noon }
	claimGoing := func(w *world) { w.Claims[0].DeletionTimestamp = &noon }
	ungates := func(index int) func(*testing.T, *world, *Drain) {
		return func(t *testing.T, w *world, d *Drain) {
			t.Helper()
			if pod := as[UngatePod](d.Next).Pod; pod == nil || pod.UID != w.Pods[index].UID {
				t.Errorf("the step is %+v, want pod %q ungated", d.Next, w.Pods[index].Name)
			}
			if noted := w.Pods[0].Annotations[drainv1alpha1.JobAnnotation]; noted != string(d.Job.UID) {
				t.Errorf("the lock names Job %q before a pod is ungated, want %q", noted, d.Job.UID)
			}
			if noted := w.Pods[0].Annotations[drainv1alpha1.PodAnnotation]; noted != string(w.Pods[index].UID) {
				t.Errorf("the lock names pod %q before it is ungated, want %q", noted, w.Pods[index].UID)
			}
		}
	}
	const taint = "kubectl taint node node-1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"

	decide(t, map[string]decision{
		"a Job without a pod has not started": draining(drainv1alpha1.ReasonPodNotStarted, job()).says("not started"),
		"a pod that waits for its image has not started": draining(drainv1alpha1.ReasonPodNotStarted,
			job(), pod(podPhase(corev1.PodPending), waiting("ContainerCreating"))).says("not started"),
		"a pod that no node takes is unschedulable": draining(drainv1alpha1.ReasonPodUnschedulable,
			job(), pod(unschedulable)).says("0/3 nodes"),
		"a pod that is scheduled and not ready is not unschedulable": draining(drainv1alpha1.ReasonPodNotStarted,
			job(), pod(podPhase(corev1.PodPending), func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{
					{Type: corev1.PodInitialized, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable},
					{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, Reason: corev1.PodReasonUnschedulable},
				}
			})).says("not started"),
		"a suspended Job is queued": draining(drainv1alpha1.ReasonQueued, job(suspendedJob)).says("suspended"),
		"an image that can't be pulled is reported": draining(drainv1alpha1.ReasonImagePullFailed,
			job(), pod(waiting("ImagePullBackOff"))).says(`image "drain"`),
		"a container that can't be created is reported": draining(drainv1alpha1.ReasonContainerConfigError,
			job(), pod(waiting("CreateContainerConfigError"))).says("words of the kubelet"),
		"a running pod is reported":         draining(drainv1alpha1.ReasonJobRunning, job(), pod(running)).says("attempt 1"),
		"a Job with a ready pod is running": draining(drainv1alpha1.ReasonJobRunning, job(jobReady)).says("attempt 1"),
		"a Job between two pods reports what the failed one said": draining(drainv1alpha1.ReasonJobRunning,
			job(), pod(ended(1, "disk on fire"))).says("disk on fire"),
		"a terminating pod on a silent node is named": draining(drainv1alpha1.ReasonPodNotStarted,
			job(), pod(running, podTerminating)).says(`node "node-1" has not reported`).after(recheck),
		"a terminating pod past its grace period gets advice to taint its node": draining(
			drainv1alpha1.ReasonPodNotStarted, job(), pod(running, terminatingSince(time.Minute))).says(taint).after(recheck),
		"a terminating pod of a Job being deleted gets advice to taint its node": draining(
			drainv1alpha1.ReasonStoppingJob, job(jobTerminating), pod(running, terminatingSince(time.Minute))).
			says(taint).after(recheck),
		"a terminating pod of a Job being deleted gets no advice within its grace period": draining(
			drainv1alpha1.ReasonStoppingJob, job(jobTerminating), pod(running, terminatingSince(time.Second))).
			says("waiting until its pods are gone").after(recheck),
		"a failed pod in trouble does not hide the running one": draining(drainv1alpha1.ReasonJobRunning,
			job(), pod(waiting("ErrImagePull"), podPhase(corev1.PodFailed)), pod(running)),
		"a pod of another Job does not matter": draining(drainv1alpha1.ReasonPodNotStarted,
			job(), pod(ended(1, "x"), func(p *corev1.Pod) { p.OwnerReferences[0].UID = "x" })).says("not started"),

		"a gated pod is ungated": draining(drainv1alpha1.ReasonPodNotStarted, job(), pod(gated)).
			says("not started").next("UngatePod").checked(ungates(1)),
		"a gated pod is ungated after a failed one": draining(drainv1alpha1.ReasonJobRunning,
			job(), pod(ended(1, "x")), pod(gated)).next("UngatePod").checked(ungates(2)),
		"a gated pod is ungated after a failed one also when back in range": draining(drainv1alpha1.ReasonBackInRange,
			scaledUp, job(), pod(ended(1, "x")), pod(gated)).next("UngatePod").checked(ungates(2)),
		"a gated pod that is being deleted is not ungated": draining(drainv1alpha1.ReasonPodNotStarted,
			job(), pod(gated, podTerminating)),
		"a gate of another controller stays": draining(drainv1alpha1.ReasonQueued, job(),
			pod(gated, func(p *corev1.Pod) { p.Spec.SchedulingGates[0].Name = "kueue.x-k8s.io/admission" })).
			says("kueue.x-k8s.io/admission"),
		"a gated pod is not ungated beside a running one": draining(drainv1alpha1.ReasonJobRunning,
			job(), pod(running), pod(gated)),
		"a lock that is being deleted stops a Job whose pod is gated": draining(drainv1alpha1.ReasonStoppingJob,
			lockGoing, job(), pod(gated)).says("lock").next("DeleteJob"),
		"a lock that is being deleted stops a Job between a failed and a gated pod": draining(
			drainv1alpha1.ReasonStoppingJob, lockGoing, job(), pod(ended(1, "x")), pod(gated)).says("lock").next("DeleteJob"),
		"a gated pod is not ungated beside one that succeeded": draining(drainv1alpha1.ReasonJobRunning,
			lockGoing, job(), pod(ended(0, "fine")), pod(gated)),
		"a lock that is being deleted stops a Job between two pods": draining(drainv1alpha1.ReasonStoppingJob,
			lockGoing, job(), pod(ended(1, "x"))).says("lock").next("DeleteJob"),
		"a lock that is being deleted does not stop a Job whose pod succeeded": draining(drainv1alpha1.ReasonJobRunning,
			lockGoing, job(), pod(ended(0, "fine"))).says("fine"),
		"a lock that is being deleted does not stop a running pod": draining(drainv1alpha1.ReasonJobRunning,
			lockGoing, job(), pod(running)).says("attempt 1"),
		"an edit of the template replaces a Job whose pod is gated": draining(drainv1alpha1.ReasonStoppingJob,
			job(otherTemplate), pod(gated)).says("template").next("DeleteJob"),
		"a pod is ungated also if the annotation can't be read by now": draining(drainv1alpha1.ReasonPodNotStarted,
			unreadable, job(), pod(gated)).next("UngatePod"),
		"a wrong image in an annotation that can't be read is reported": draining(drainv1alpha1.ReasonImagePullFailed,
			unreadable, job(), pod(waiting("ErrImagePull"))).
			says("edit annotation statefulsets.kubernetes.io/scaledown-pod-template"),
		"a running pod goes on also if the annotation can't be read by now": draining(drainv1alpha1.ReasonJobRunning,
			unreadable, job(), pod(running)),
		"an edit of the template does not replace a running Job": draining(drainv1alpha1.ReasonJobRunning,
			job(otherTemplate), pod(running)),
		"an edit of the template replaces a Job with a wrong image": draining(drainv1alpha1.ReasonStoppingJob,
			job(otherTemplate), pod(waiting("ErrImagePull"))).says("template").next("DeleteJob"),
		"a claim that is being deleted stops a Job whose pod is gated": draining(drainv1alpha1.ReasonStoppingJob,
			claimGoing, job(), pod(gated)).says(`"data-web-2"`).next("DeleteJob"),
		"a claim that is being deleted stops a Job between two pods": draining(drainv1alpha1.ReasonStoppingJob,
			claimGoing, job(), pod(ended(1, "x"))).says(`"data-web-2"`).next("DeleteJob"),
		"the next pod of a Job that the lock names is noted before it is ungated": draining(drainv1alpha1.ReasonJobRunning,
			job(), pod(ended(1, "x")), pod(gated), func(w *world) {
				w.annotate(&w.Pods[0], drainv1alpha1.JobAnnotation, string(w.Jobs[0].UID))
				w.annotate(&w.Pods[0], drainv1alpha1.PodAnnotation, string(w.Pods[1].UID))
			}).next("NoteJob"),
		"a claim that is being deleted stops a Job whose next pod is unschedulable": draining(
			drainv1alpha1.ReasonStoppingJob, claimGoing, job(), pod(ended(1, "x")), pod(unschedulable)).
			says(`"data-web-2"`).next("DeleteJob"),
		"a claim that is being deleted does not stop a running pod": draining(drainv1alpha1.ReasonJobRunning,
			claimGoing, job(), pod(running)).says("attempt 1"),
		"a claim that is being deleted does not stop a Job whose pod succeeded": draining(
			drainv1alpha1.ReasonJobRunning, claimGoing, job(), pod(ended(0, "fine"))).says("fine"),
		"a policy that is being deleted stops a running pod": draining(drainv1alpha1.ReasonStoppingJob,
			deleted, job(), pod(running)).says("policy").next("DeleteJob"),
		"an ordinal back in range stops a Job whose pod is unschedulable": draining(drainv1alpha1.ReasonStoppingJob,
			scaledUp, job(), pod(unschedulable)).says("back in range").next("DeleteJob"),
		"an ordinal back in range waits for a running pod with Wait": draining(drainv1alpha1.ReasonBackInRange,
			scaledUp, job(), pod(running)).says("Wait"),
		"an ordinal back in range stops a running pod with Cancel": draining(drainv1alpha1.ReasonStoppingJob,
			scaledUp, cancel, job(), pod(running)).says("Cancel").next("DeleteJob"),
		"an ordinal out of range does not stop a running pod with Cancel": draining(drainv1alpha1.ReasonJobRunning,
			cancel, job(), pod(running)),
		"suspend does not stop a running pod": draining(drainv1alpha1.ReasonJobRunning, suspended, job(), pod(running)),
		"whenScaled: Retain does not stop a running pod": draining(drainv1alpha1.ReasonJobRunning,
			retain, job(), pod(running)),
		"a Job with JobSuccessCriteriaMet is not over": draining(drainv1alpha1.ReasonJobRunning,
			job(jobReady, jobOver(batchv1.JobSuccessCriteriaMet))),
		"a Job whose condition Complete is False is not over": draining(drainv1alpha1.ReasonJobRunning,
			job(jobReady, complete, func(j *batchv1.Job) { j.Status.Conditions[0].Status = corev1.ConditionFalse })),
		"a failed Job of an older attempt does not matter": draining(drainv1alpha1.ReasonJobRunning,
			job(failed), func(w *world) { w.job(2, 2, jobReady) }).says("attempt 2"),
	})
}

func TestDecideAboutAFailedJob(t *testing.T) {
	failedOnce := all(lockedOrphan, func(w *world) { w.job(2, 1, failed) })
	fails := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainFailed, reason, build...)
	}
	released := func(says string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonReleasingLock, build...).
			says(says).next("DeleteLock")
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

	decide(t, map[string]decision{
		"the next attempt starts when the backoff is over": fails(drainv1alpha1.ReasonJobFailed, failedOnce).
			says("words of the Job controller").next("StartJob").checked(starts(2)),
		"the next attempt starts at the very end of the backoff": fails(drainv1alpha1.ReasonJobFailed,
			failedOnce, delay(60)).says("starting").next("StartJob"),
		"the next attempt waits for the end of the backoff": fails(drainv1alpha1.ReasonJobFailed,
			failedOnce, delay(61)).says("2026-08-01T12:01:01Z").after(time.Second),
		"the backoff grows with each attempt": fails(drainv1alpha1.ReasonJobFailed, lockedOrphan, delay(30),
			func(w *world) { w.job(2, 2, failed); w.job(2, 3, failed); w.job(2, 1, failed) }).
			says("Attempt 3").after(time.Minute),
		"the message of the drain comes before the Job's": fails(drainv1alpha1.ReasonJobFailed, failedOnce,
			func(w *world) { w.drainPod(2, ended(3, "no peer takes it")) }).says("no peer takes it").next("StartJob"),
		"an edit of the template starts the next attempt at once": fails(drainv1alpha1.ReasonJobFailed, lockedOrphan,
			delay(3600), func(w *world) { w.job(2, 1, failed, otherTemplate) }).
			says("starting").next("StartJob").checked(starts(2)),
		"no attempt starts after the last one": fails(drainv1alpha1.ReasonAttemptsExhausted,
			lockedOrphan, limit(2), func(w *world) { w.job(2, 2, failed) }).says("All 2 attempts"),
		"the last attempt starts": fails(drainv1alpha1.ReasonJobFailed, failedOnce, limit(2)).
			next("StartJob").checked(starts(2)),
		"an edit of the template allows one more attempt": fails(drainv1alpha1.ReasonJobFailed, lockedOrphan,
			limit(1), func(w *world) { w.job(2, 1, failed, otherTemplate) }).next("StartJob").checked(starts(2)),
		"no attempt starts in a suspended policy": fails(drainv1alpha1.ReasonSuspended, failedOnce, suspended).
			says("no further attempt starts"),
		"the next attempt waits for a preflight of the present template": fails(drainv1alpha1.ReasonJobFailed,
			failedOnce, changedSince).says("no further attempt starts yet: The API server has not been asked yet").
			after(recheck),
		"no attempt starts with a template that the API server refuses": fails(drainv1alpha1.ReasonInvalidTemplate,
			failedOnce, func(w *world) { w.Preflight.Refusal = "x" }).says("no further attempt starts"),
		"no attempt starts with an annotation that can't be read": fails(drainv1alpha1.ReasonInvalidTemplate,
			failedOnce, unreadable).says("no further attempt starts: The template can't be read: line 1"),
		"the message asks for an edit of the annotation after the last attempt": fails(
			drainv1alpha1.ReasonAttemptsExhausted, failedOnce, fromAnnotation, limit(1)).
			says("edit annotation statefulsets.kubernetes.io/scaledown-pod-template"),
		"the next attempt waits while a foreign pod uses a claim": fails(drainv1alpha1.ReasonClaimInUse,
			failedOnce, func(w *world) { w.pod("debug", "data-web-2") }).says(`"debug"`).after(recheck),
		"the lock is released when its ordinal is back in range": released("back in range", failedOnce, scaledUp),
		"the lock is released when its policy is being deleted":  released("policy is being deleted", failedOnce, deleted),
		"a lock that is being deleted loses its finalizer": letGo(released("lock is being deleted",
			failedOnce, func(w *world) { w.Pods[0].DeletionTimestamp = &noon })),
		"the lock is released when an older policy is in charge": released("Another policy", failedOnce, rival),
		"the lock is released when a claim is skipped": released(drainv1alpha1.SkipAnnotation,
			failedOnce, func(w *world) { skip(&w.Claims[0]) }),
		"the lock is released with whenScaled: Retain": released("whenScaled", failedOnce, retain),
		"the failed Job is deleted when its pod holds a claim being deleted": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonStoppingJob, failedOnce, func(w *world) { w.Claims[0].DeletionTimestamp = &noon }).
			says("whose pod holds it").next("DeleteJob"),
		"the lock is released when a claim has lost its volume": released("lost",
			failedOnce, func(w *world) { volumeLost(&w.Claims[0]) }),
		"the lock is released when the StatefulSet is gone": released("gone", failedOnce, setGone),
		"the release of the lock reports what the drain said": released("disk on fire",
			failedOnce, scaledUp, func(w *world) { w.drainPod(2, ended(1, "disk on fire")) }),
		"marks of an earlier drain hold after a failure": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonReleasingLock,
			func(w *world) { w.claim("data", 2, markedAt(4)); w.lock(2); w.job(2, 1, failed) }).next("ReleaseMark"),
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
	draining := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, reason, build...)
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
		d := wants(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonNotProven, build...).says(says).next("NoteAttempt")
		return d.checked(func(t *testing.T, _ *world, d *Drain) {
			t.Helper()
			note := as[NoteAttempt](d.Next).Attempt
			if note.Number != d.Attempts || note.Failed == nil || note.Reason != drainv1alpha1.ReasonNotProven {
				t.Errorf("the lock is to remember %v, want the failure of attempt %d", note, d.Attempts)
			}
		})
	}
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
	marksAsOf := func(ago time.Duration) func(*testing.T, *world, *Drain) {
		return func(t *testing.T, _ *world, d *Drain) {
			t.Helper()
			if mark := as[WriteMark](d.Next).Mark; !mark.Time.Equal(ptr.To(metav1.NewTime(now.Add(-ago)))) {
				t.Errorf("the mark is to be of %s, want %s ago", mark.Time, ago)
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
	// justNow lets the Job end two seconds ago, and unnoticed reports the claim as unused since before its pod ended.
	justNow := func(w *world) {
		w.Jobs[0].Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-2 * time.Second))
	}
	endedAgo := func(ago time.Duration) func(*world) {
		return func(w *world) { w.Jobs[0].Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-ago)) }
	}
	justBefore := metav1.NewTime(noon.Add(-time.Second))
	unnoticed := func(w *world) { unusedSince(corev1.ConditionTrue, justBefore)(&w.Claims[0]) }

	decide(t, map[string]decision{
		"the claims are marked": draining(drainv1alpha1.ReasonMarkingClaims, completed).
			says("complete").next("MarkClaim").checked(marks(claims.Mark{StatefulSetUID: setUID, Generation: 4})),
		"the mark holds the time since which the claim is unused": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, func(w *world) { unusedSince(corev1.ConditionTrue, noon)(&w.Claims[0]) }).next("MarkClaim").
			checked(marks(claims.Mark{StatefulSetUID: setUID, Generation: 4, UnusedSince: &noon})),
		"kept claims of an ordinal back in range are not marked": draining(drainv1alpha1.ReasonReleasingLock,
			completed, scaledUp).says("moved 12").next("DeleteLock"),
		"claims of an ordinal back in range that will be deleted are marked": draining(
			drainv1alpha1.ReasonMarkingClaims, completed, scaledUp, deleteClaims).
			next("MarkClaim").checked(marks(claims.Mark{})),
		"the mark records that the StatefulSet is gone": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, setGone).next("MarkClaim").checked(marks(claims.Mark{Absent: true, StatefulSetUID: setUID})),
		"the mark names no generation of a StatefulSet that is being deleted": draining(
			drainv1alpha1.ReasonMarkingClaims, completed, setDeleted).next("MarkClaim").checked(marks(claims.Mark{})),
		"the claims are marked also while the policy is being deleted": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, deleted).next("MarkClaim"),
		"the claims are marked also in a suspended policy": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, suspended).next("MarkClaim"),
		"a lock whose claims were written to is released without a word about a failure": draining(drainv1alpha1.ReasonReleasingLock,
			completed, func(w *world) {
				markedBy(claims.Mark{JobUID: w.Jobs[0].UID, ReleasedUID: lockUID(2), StatefulSetUID: setUID, Generation: 4, Attempts: 3})(&w.Claims[0])
			}).next("DeleteLock").checked(func(t *testing.T, _ *world, d *Drain) {
			t.Helper()
			if strings.Contains(d.Message, "failed") {
				t.Errorf("the message is %q, and no attempt failed", d.Message)
			}
		}),
		"the mark waits for the StatefulSet controller": draining(drainv1alpha1.ReasonStatefulSetNotObserved,
			completed, notObserved).says("generation 4"),
		"the mark waits for no StatefulSet controller while the policy is being deleted": draining(
			drainv1alpha1.ReasonMarkingClaims, completed, deleted, notObserved).next("MarkClaim").checked(marks(claims.Mark{})),
		"the mark waits for a claim that is reported as in use": draining(drainv1alpha1.ReasonMarkingClaims, completed,
			func(w *world) { unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0]) }).
			says(`"data-web-2" as unused`).after(recheck),
		"the mark waits for the report of the drain's own use": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, justNow, unnoticed).says(`that it used claim "data-web-2"`).after(noticeLag - 2*time.Second),
		"the mark waits longer by how late Kubernetes is elsewhere": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, func(w *world) { w.Lag = 4 * time.Second; justNow(w); unnoticed(w) }).
			says(`that it used claim "data-web-2"`).after(noticeLag + 2*time.Second),
		"the mark waits no longer than a report is believed": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, func(w *world) { w.Lag = 9 * time.Second; justNow(w); unnoticed(w) }).
			says(`that it used claim "data-web-2"`).after(unusedLag - 2*time.Second),
		"a mark that is due waits no longer because Kubernetes is late elsewhere": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, func(w *world) { w.Lag = 20 * time.Second }).next("MarkClaim"),
		"the mark waits twice as long after a report that came too late under the lock": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, late(1), unnoticed, func(w *world) {
				w.Jobs[0].Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-4 * time.Second))
			}).says(`that it used claim "data-web-2"`).after(2*noticeLag - 4*time.Second),
		"the mark waits four times as long after two that came when the lock was released": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, justNow, func(w *world) { usedSinceRelease(1)(&w.Claims[0]); unnoticed(w) }).
			says(`that it used claim "data-web-2"`).after(4*noticeLag - 2*time.Second),
		"the mark counts the reports that came when the lock was released": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, func(w *world) { usedSinceRelease(1)(&w.Claims[0]) }).next("MarkClaim").
			checked(marks(claims.Mark{StatefulSetUID: setUID, Generation: 4, UnusedSince: &noon, Repeats: 2})),
		"the mark of an ordinal that may have been in range counts none": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, func(w *world) {
				usedSinceRelease(1)(&w.Claims[0])
				w.StatefulSet.Generation, w.StatefulSet.Status.ObservedGeneration = 6, 6
			}).next("MarkClaim").
			checked(marks(claims.Mark{StatefulSetUID: setUID, Generation: 6, UnusedSince: &noon})),
		"the mark waits for a claim in use before it waits for a report": draining(drainv1alpha1.ReasonMarkingClaims,
			func(w *world) {
				w.templates("data", "logs")
				w.claim("logs", 2, unusedSince(corev1.ConditionFalse, noon))
			},
			completed, justNow, func(w *world) { unusedSince(corev1.ConditionTrue, justBefore)(&w.Claims[1]) }).
			says(`"logs-web-2" as unused`).next("NoteUnused"),
		"a report of the drain's own use that does not come is not waited for": draining(
			drainv1alpha1.ReasonMarkingClaims, completed, unnoticed).next("MarkClaim"),
		"a report of the drain's own use is not waited for in range": draining(
			drainv1alpha1.ReasonMarkingClaims, completed, justNow, unnoticed, scaledUp, deleteClaims).next("MarkClaim"),
		"a report of the drain's own use is not waited for while the policy is being deleted": draining(
			drainv1alpha1.ReasonMarkingClaims, completed, justNow, unnoticed, deleted).next("MarkClaim"),
		"a report of the second in which the drain pod ended is that of its own use": draining(
			drainv1alpha1.ReasonMarkingClaims, completed, justNow, func(w *world) {
				unusedSince(corev1.ConditionTrue, noon)(&w.Claims[0])
			}).next("MarkClaim"),
		"the lock of an ordinal back in range is released while a claim is in use": draining(
			drainv1alpha1.ReasonReleasingLock, completed, scaledUp, deleteClaims, func(w *world) {
				unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0])
			}).says("unused").next("DeleteLock"),
		"the lock of a policy being deleted is released while a claim is in use": draining(
			drainv1alpha1.ReasonReleasingLock, completed, deleted, func(w *world) {
				unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0])
			}).says("unused").next("DeleteLock"),
		"a claim reported as unused soon after the Job's end was not used": draining(drainv1alpha1.ReasonMarkingClaims,
			completed,
			func(w *world) { unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(unusedLag)))(&w.Claims[0]) }).
			next("MarkClaim"),
		"a claim reported as unused long after the Job's end was used": unproven("a pod used claim",
			lockedOrphan, func(w *world) {
				w.through(2, 1)
				unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(unusedLag+time.Second)))(&w.Claims[0])
			}),
		"two late reports allow the next one four times as long": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, late(2), func(w *world) {
				unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(4*unusedLag)))(&w.Claims[0])
			}).next("MarkClaim"),
		"two late reports allow the next one no more than four times as long": unproven("a pod used claim",
			completed, late(2), func(w *world) {
				unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(4*unusedLag+time.Second)))(&w.Claims[0])
			}),
		"failures other than late reports allow the next one no longer": unproven("a pod used claim",
			completed, func(w *world) {
				unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(unusedLag+time.Second)))(&w.Claims[0])
			}),
		"claims that are to be deleted are marked for a minute, and for as long as a report may take": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, deleteClaims, endedAgo(70*time.Second)).next("MarkClaim"),
		"claims that are to be deleted and could not be marked for longer are drained again": unproven("within 70 s of the end of Job",
			completed, deleteClaims, endedAgo(71*time.Second)).checked(func(t *testing.T, _ *world, d *Drain) {
			t.Helper()
			if late := as[NoteAttempt](d.Next).Attempt.Late; late != 0 {
				t.Errorf("the lock is to remember %d late reports, and none was late", late)
			}
		}),
		"claims that are to be deleted are drained again if the clocks are far apart": unproven("within 70 s of the end of Job",
			completed, deleteClaims, endedAgo(-71*time.Second)),
		"those of an ordinal back in range are not drained again, but kept": draining(drainv1alpha1.ReasonReleasingLock,
			completed, deleteClaims, scaledUp, endedAgo(71*time.Second)).says("within 70 s of the end of Job").next("DeleteLock"),
		"after two drains that came too late they may take as much longer as a report": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, deleteClaims, late(2), endedAgo(100*time.Second)).next("MarkClaim"),
		"after two drains that came too late they may take no longer than that": unproven("within 100 s of the end of Job",
			completed, deleteClaims, late(2), endedAgo(101*time.Second)),
		"claims that are kept are marked whenever the operator comes to it": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, endedAgo(time.Hour)).next("MarkClaim").checked(marksAsOf(time.Hour)),
		"a mark that comes in time names the time at which it is written": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, endedAgo(70*time.Second)).next("MarkClaim").checked(marksAsOf(0)),
		"a claim that was kept and marked late is not deleted": unproven("could not be deleted within 60 s", completed, deleteClaims,
			endedAgo(2*time.Minute), func(w *world) {
				markedBy(claims.Mark{LockUID: lockUID(2), JobUID: w.Jobs[0].UID, Attempts: 3})(&w.Claims[0])
				markedAgo(2 * time.Minute)(&w.Claims[0])
			}),
		"the mark of claims that are to be deleted waits for no StatefulSet controller": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, deleteClaims, notObserved).next("MarkClaim").checked(marks(claims.Mark{})),
		"claims that are to be deleted await the report that they are unused": draining(drainv1alpha1.ReasonMarkingClaims,
			completed, deleteClaims, endedAgo(time.Hour), func(w *world) { unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0]) }).
			says(`"data-web-2" as unused`).after(recheck),
		"a claim is deleted while its mark is young": draining(drainv1alpha1.ReasonDeletingClaims, completed, deleteClaims, func(w *world) {
			markedUnder(2)(&w.Claims[0])
			markedAgo(markLasts)(&w.Claims[0])
			w.Jobs[0].Labels[drainv1alpha1.AttemptLabel] = "1"
		}).next("NoteDeletion"),
		"a claim that could not be deleted for long is drained again": unproven("could not be deleted within 60 s", completed, deleteClaims, func(w *world) {
			markedBy(claims.Mark{LockUID: lockUID(2), JobUID: w.Jobs[0].UID, Attempts: 3})(&w.Claims[0])
			markedAgo(markLasts + time.Second)(&w.Claims[0])
		}),
		"a mark of long ago by another Job is voided while this one runs": draining(drainv1alpha1.ReasonClaimInUse, deleteClaims, func(w *world) {
			lockedOrphan(w)
			w.job(2, 3)
			w.drainPod(2, running)
			markedBy(claims.Mark{LockUID: lockUID(2), JobUID: "past", Attempts: 3})(&w.Claims[0])
			markedAgo(2 * markLasts)(&w.Claims[0])
		}).next("VoidMark"),
		"a mark of a clock that is far ahead is not young": unproven("could not be deleted within 60 s", completed, deleteClaims, func(w *world) {
			markedBy(claims.Mark{LockUID: lockUID(2), JobUID: w.Jobs[0].UID, Attempts: 3})(&w.Claims[0])
			markedAgo(-markLasts - time.Second)(&w.Claims[0])
		}),
		"a claim that could not be deleted for long is drained again when its Job is gone": unproven("could not be deleted within 60 s", lockedOrphan, deleteClaims, func(w *world) {
			markedBy(claims.Mark{LockUID: lockUID(2), JobUID: "past", Attempts: 1})(&w.Claims[0])
			markedAgo(2 * markLasts)(&w.Claims[0])
			w.note(2, Attempt{Number: 1, Asked: noon, TemplateHash: hash})
			w.Pods[0].Annotations[drainv1alpha1.JobAnnotation] = "past"
		}),
		"a mark of long ago keeps a claim that is not to be deleted": draining(drainv1alpha1.ReasonReleasingLock, completed, func(w *world) {
			markedBy(claims.Mark{LockUID: lockUID(2), JobUID: w.Jobs[0].UID, Attempts: 3})(&w.Claims[0])
			markedAgo(2 * markLasts)(&w.Claims[0])
		}).next("ReleaseMark"),
		"a pod that was deleted and exited with 0 proves nothing": unproven("was deleted before it ended",
			completed, func(w *world) { podTerminating(&w.Pods[1]) }),
		"the lock of an ordinal back in range is released after a pod that proves nothing": draining(
			drainv1alpha1.ReasonReleasingLock, completed, scaledUp, deleteClaims, func(w *world) {
				podTerminating(&w.Pods[1])
			}).says("was deleted before it ended").next("DeleteLock"),
		"a Job whose pod is gone proves nothing": unproven("is gone", lockedOrphan, func(w *world) { w.job(2, 1, complete) }),
		"a Job that has only a failed pod left proves nothing": unproven("is gone",
			lockedOrphan, func(w *world) { w.job(2, 1, complete); w.drainPod(2, ended(1, "disk")) }),
		"a succeeded pod of another Job proves nothing": unproven("is gone",
			lockedOrphan, func(w *world) { w.through(2, 1); w.Pods[1].OwnerReferences[0].UID = "another" }),
		"a failed pod before the succeeded one does not matter": draining(drainv1alpha1.ReasonMarkingClaims,
			lockedOrphan, func(w *world) {
				w.job(2, 1, complete)
				w.drainPod(2, ended(1, "disk"))
				w.drainPod(2, ended(0, ""))
			}).next("MarkClaim"),
		"a mark of this Job that no longer holds is not written again": unproven("a pod used claim",
			drained(unusedSince(corev1.ConditionTrue, noon)), func(w *world) {
				w.through(2, 1)
				markedBy(claims.Mark{LockUID: lockUID(2), JobUID: w.Jobs[0].UID})(&w.Claims[0])
			}),
		"a mark of this Job that was voided is not written again": unproven("a pod used claim", lockedOrphan, func(w *world) {
			w.through(2, 1)
			was := claims.Mark{ClaimUID: w.Claims[0].UID, LockUID: lockUID(2), JobUID: w.Jobs[0].UID}
			markedBy(was.Void())(&w.Claims[0])
		}),
		"a use seen while an earlier mark holds voids the Job's success": unproven("a pod used claim", func(w *world) {
			w.claim("data", 2, markedAt(4))
			w.lock(2)
			w.through(2, 1)
			w.pod("debug", "data-web-2")
			step := as[WriteMark](new(Make(w.snapshot(), now)).Drain(2).Next)
			if step.Purpose != VoidMark {
				panic("the use is not written down first: " + StepName(step))
			}
			// The operator crashed, and the pod is gone when it looks again.
			markedBy(step.Mark)(&w.Claims[0])
			w.Pods = w.Pods[:2]
		}),
		"a mark of an earlier Job that no longer holds is overwritten": draining(drainv1alpha1.ReasonMarkingClaims,
			drained(unusedSince(corev1.ConditionTrue, noon)), func(w *world) { w.through(2, 1) }).next("MarkClaim"),
		"a mark of another lock is overwritten": draining(drainv1alpha1.ReasonMarkingClaims, func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{LockUID: "past"}))
			w.lock(2)
			w.through(2, 1)
		}).next("MarkClaim"),
		"a complete Job of another lock proves nothing": draining(drainv1alpha1.ReasonLocked,
			lockedOrphan, func(w *world) { w.job(2, 1, complete); w.Pods[0].UID = "new" }).next("StartJob"),
		"a complete Job on other claims proves nothing": draining(drainv1alpha1.ReasonLocked,
			lockedOrphan, func(w *world) { w.job(2, 1, complete); w.Claims[0].UID = "new" }).next("StartJob"),
		"a complete Job with another name proves nothing": draining(drainv1alpha1.ReasonLocked,
			lockedOrphan, func(w *world) { w.job(2, 1, complete, named("web-2-drain")) }).next("StartJob"),
		"a failed attempt before does not matter": draining(drainv1alpha1.ReasonMarkingClaims,
			lockedOrphan, func(w *world) { w.job(2, 1, failed); w.through(2, 2) }).next("MarkClaim"),
		"an attempt that failed after the complete one counts": wants(drainv1alpha1.DrainFailed,
			drainv1alpha1.ReasonJobFailed, lockedOrphan, func(w *world) { w.job(2, 1, complete); w.job(2, 2, failed) }).
			next("StartJob"),
		"only claims without a mark are marked": draining(drainv1alpha1.ReasonMarkingClaims, func(w *world) {
			w.templates("data", "logs")
			w.claim("data", 2, markedUnder(2))
			w.claim("logs", 2)
			w.lock(2)
			w.through(2, 1)
		}).next("MarkClaim").checked(func(t *testing.T, _ *world, d *Drain) {
			if step := as[WriteMark](d.Next); step.Claim.Name != "logs-web-2" {
				t.Errorf("the step is %+v, want a mark for logs-web-2", step)
			}
		}),

		// Marked.
		"marks of kept claims are released before the lock": draining(drainv1alpha1.ReasonReleasingLock, drained()).
			says("kept").next("ReleaseMark"),
		"the lock of kept claims is deleted after their marks are released": draining(drainv1alpha1.ReasonReleasingLock,
			func(w *world) {
				w.claim("data", 2, markedBy(claims.Mark{StatefulSetUID: setUID, Generation: 4, ReleasedUID: lockUID(2)}))
				w.lock(2)
			}).says("kept").next("DeleteLock"),
		"the release of kept claims reports what the drain said": draining(drainv1alpha1.ReasonReleasingLock,
			completed, func(w *world) { markedUnder(2)(&w.Claims[0]) }).says("moved 12").next("ReleaseMark"),
		"the Job of kept claims stays": draining(drainv1alpha1.ReasonReleasingLock,
			drained(), func(w *world) { w.job(2, 1, complete) }).next("ReleaseMark"),
		"the claims are deleted before the Job": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, drained(), func(w *world) { w.job(2, 1, complete) }).next("DeleteClaim"),
		"the Job is deleted when its claims are being deleted": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, drained(claimTerminating), func(w *world) { w.job(2, 1, complete) }).next("DisposeOfJob"),
		"older Jobs are deleted when the claims are being deleted": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, drained(claimTerminating), func(w *world) { w.job(2, 1, failed, named("older")) }).next("DisposeOfJob"),
		"drained claims are deleted": draining(drainv1alpha1.ReasonDeletingClaims, deleteClaims, twoDrained).
			says("data-web-2, logs-web-2").next("DeleteClaim").checked(deletes("data-web-2", "logs-web-2")),
		"drained claims are deleted also when their ordinal is back in range": draining(
			drainv1alpha1.ReasonDeletingClaims, deleteClaims, scaledUp, twoDrained).
			next("DeleteClaim").checked(deletes("data-web-2", "logs-web-2")),
		"drained claims are deleted also in a suspended policy": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, suspended, drained()).next("DeleteClaim"),
		"claims marked at a generation are drained again before they are deleted": draining(drainv1alpha1.ReasonLocked,
			deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)); w.lock(2) }).next("StartJob"),
		"claims that are being deleted are awaited": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, drained(claimTerminating)),
		"an ended pod without a Job is deleted when its claims are being deleted": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, drained(claimTerminating), func(w *world) { w.drainPod(2, ended(0, "fine")) }).next("DeletePod"),
		"drained claims are deleted beside one that is being deleted": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, twoDrained, func(w *world) { w.Claims[0].DeletionTimestamp = &noon }).
			next("DeleteClaim").checked(deletes("logs-web-2")),
		"drained claims are deleted before the past Jobs that hold one which is being deleted": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, twoDrained, func(w *world) {
				w.Claims[0].DeletionTimestamp = &noon
				w.job(2, 1, failed)
				w.Jobs[0].Name += "-of-a-past-lock"
			}).
			next("DeleteClaim").checked(deletes("logs-web-2")),
		"drained claims are deleted after one that is gone": draining(drainv1alpha1.ReasonDeletingClaims, deleteClaims,
			twoDrained, func(w *world) { w.Claims = w.Claims[1:] }).next("DeleteClaim").checked(deletes("logs-web-2")),
		"the lock is deleted when all claims are gone": draining(drainv1alpha1.ReasonReleasingLock,
			deleteClaims, func(w *world) { w.lock(2) }).says("gone").next("DeleteLock"),
		"the mark of a claim that a foreign pod uses is voided": draining(drainv1alpha1.ReasonClaimInUse, deleteClaims,
			drained(knownUnused), func(w *world) { w.pod("debug", "data-web-2") }).says(`"debug"`).next("VoidMark"),
		"the mark of a used claim of an ordinal back in range is voided": draining(drainv1alpha1.ReasonClaimInUse,
			deleteClaims, scaledUp, drained(knownUnused), func(w *world) { w.pod("debug", "data-web-2") }).
			says(`"debug"`).next("VoidMark"),
		"a claim being deleted that a foreign pod uses is awaited": draining(drainv1alpha1.ReasonDeletingClaims,
			deleteClaims, drained(claimTerminating), func(w *world) { w.pod("debug", "data-web-2") }),
		"the mark of a used claim is voided also if no use is reported": draining(drainv1alpha1.ReasonClaimInUse,
			deleteClaims, drained(), func(w *world) { w.pod("debug", "data-web-2") }).says(`"debug"`).next("VoidMark"),
		"the Job is deleted when its pod holds a claim that a user deletes": draining(drainv1alpha1.ReasonStoppingJob,
			completed, func(w *world) { claimTerminating(&w.Claims[0]) }).says("whose pod holds it").next("DeleteJob"),
		"a claim that a foreign pod uses before its mark makes the success void": unproven(`"debug"`,
			completed, func(w *world) { w.pod("debug", "data-web-2") }),
		"no claim is deleted under a lock that is being released": draining(drainv1alpha1.ReasonReleasingLock,
			deleteClaims, func(w *world) {
				w.claim("data", 2, markedBy(claims.Mark{StatefulSetUID: setUID, Generation: 4, ReleasedUID: lockUID(2)}))
				w.lock(2)
			}).says("kept").next("DeleteLock"),
		"skipped claims are kept although they are drained": draining(drainv1alpha1.ReasonReleasingLock,
			deleteClaims, drained(skip)).next("ReleaseMark"),
		"a policy that is being deleted keeps drained claims": draining(drainv1alpha1.ReasonReleasingLock,
			deleteClaims, deleted, drained()).next("ReleaseMark"),
		"no claim is deleted under a lock that is being deleted": draining(drainv1alpha1.ReasonReleasingLock,
			deleteClaims, drained(), func(w *world) { w.Pods[0].DeletionTimestamp = &noon }).next("ReleaseMark"),
		"no claim is deleted before all are drained": draining(drainv1alpha1.ReasonLocked,
			deleteClaims, twoDrained, used).next("StartJob"),
		"no claim is deleted before one without a mark is drained": draining(drainv1alpha1.ReasonLocked,
			deleteClaims, func(w *world) {
				w.templates("data", "logs")
				w.claim("data", 2, markedAt(4))
				w.claim("logs", 2)
				w.lock(2)
			}).next("StartJob"),
		"claims of an ordinal back in range are kept if only one is drained": draining(
			drainv1alpha1.ReasonReleasingLock, deleteClaims, scaledUp, twoDrained, used).
			says("back in range").next("ReleaseMark"),
		"drained claims are deleted also beside a claim created after the lock": draining(
			drainv1alpha1.ReasonDeletingClaims, deleteClaims, scaledUp, func(w *world) {
				w.templates("data", "logs")
				w.claim("data", 2, bornAfterTheLock)
				w.claim("logs", 2, markedUnder(2))
				w.lock(2)
			}).next("DeleteClaim").checked(deletes("logs-web-2")),
		"a claim of the lock's own second may be older than the lock": draining(
			drainv1alpha1.ReasonReleasingLock, deleteClaims, scaledUp, func(w *world) {
				w.templates("data", "logs")
				w.claim("data", 2, bornWithTheLock)
				w.claim("logs", 2, markedUnder(2))
				w.lock(2)
			}).next("ReleaseMark"),
		"a claim whose mark is void is drained again": draining(drainv1alpha1.ReasonLocked,
			deleteClaims, drained(unusedSince(corev1.ConditionTrue, noon))).next("StartJob"),
	})
}

// TestLag is about what the drains of a policy show of how late Kubernetes is.
func TestLag(t *testing.T) {
	reported := func(status corev1.ConditionStatus, after time.Duration) func(*world) {
		return func(w *world) { unusedSince(status, metav1.NewTime(now.Add(after-20*time.Second)))(&w.Claims[0]) }
	}
	over := func(ago time.Duration) func(*world) {
		return func(w *world) { w.Jobs[0].Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-ago)) }
	}
	for name, tc := range map[string]struct {
		build func(*world)
		want  time.Duration
	}{
		"the report came seven seconds after the Job's end": {reported(corev1.ConditionTrue, 7*time.Second), 7 * time.Second},
		"the report came very late":                         {reported(corev1.ConditionTrue, 15*time.Second), unusedLag},
		"the report is from before the drain":               {reported(corev1.ConditionTrue, -time.Hour), 0},
		"the report is from a clock that is wrong":          {reported(corev1.ConditionTrue, time.Hour), 0},
		"there has been no report":                          {reported(corev1.ConditionFalse, 0), unusedLag},
		"there has been no report for nine seconds":         {all(reported(corev1.ConditionFalse, 0), over(9*time.Second)), 9 * time.Second},
		"the Job ended long ago":                            {all(reported(corev1.ConditionTrue, 7*time.Second), over(lagShown+time.Second)), 0},
		"the cluster has no such reports":                   {func(w *world) { w.Claims[0].Status.Conditions = nil }, 0},
		"the drain goes on":                                 {func(w *world) { reported(corev1.ConditionFalse, 0)(w); w.Jobs[0].Status.Conditions = nil }, 0},
	} {
		w := given(lockedOrphan, func(w *world) { w.job(2, 3, complete); w.drainPod(2, ended(0, "moved 12 records")) }, over(20*time.Second), tc.build)
		if p := Make(w.snapshot(), now); p.Lag != tc.want {
			t.Errorf("%s: late by %s, want %s", name, p.Lag, tc.want)
		}
	}
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
		"the default delay after attempt 1":                         {attempt: 1, want: 30 * time.Second},
		"the default delay after attempt 2":                         {attempt: 2, want: time.Minute},
		"the default delay after attempt 6":                         {attempt: 6, want: 960 * time.Second},
		"the default delay after attempt 7 is the maximum":          {attempt: 7, want: 1800 * time.Second},
		"the default delay after very many attempts is the maximum": {attempt: 1 << 30, want: 1800 * time.Second},
		"a configured delay doubles": {
			retry: options(1, 5), attempt: 3, want: 4 * time.Second,
		},
		"a configured delay stops at the maximum":        {retry: options(1, 5), attempt: 4, want: 5 * time.Second},
		"a first delay above the maximum is the maximum": {retry: options(9, 5), attempt: 1, want: 5 * time.Second},
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
