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

// lockedWith is an orphan under a lock that is as the functions make it.
func lockedWith(change ...func(*corev1.Pod)) func(*world) {
	return func(w *world) { w.claim("data", 2); w.lock(2, change...) }
}

func bornJustNow(pod *corev1.Pod) { pod.CreationTimestamp = metav1.NewTime(now.Add(-time.Second)) }

func TestAttemptsOutliveTheirJobs(t *testing.T) {
	is := func(reason string, build ...func(*world)) decision {
		state := drainv1alpha1.DrainFailed
		if reason == drainv1alpha1.ReasonLocked {
			state = drainv1alpha1.DrainDraining
		}
		return wants(state, reason, build...)
	}
	starts := func(d decision, attempt int32, noted bool) decision {
		d.check = func(t *testing.T, w *world, d *Drain) {
			t.Helper()
			if step := as[StartJob](d.Next); step.Attempt != attempt {
				t.Errorf("attempt %d is to start, want attempt %d", step.Attempt, attempt)
			}
			w.job(2, attempt, func(j *batchv1.Job) { j.CreationTimestamp = metav1.NewTime(now) })
			plan := Make(w.snapshot(), now)
			if step := StepName(plan.Drain(2).Next); (step == "NoteAttempt") != noted {
				t.Errorf("when the Job is there, the next step is %q, want the lock to remember it: %t", step, noted)
			}
		}
		return d
	}
	notes := func(d decision, number int32) decision {
		d.check = func(t *testing.T, _ *world, drain *Drain) {
			t.Helper()
			note := as[NoteAttempt](drain.Next).Attempt
			if note.Number != number || note.Failed == nil || note.Reason != d.wantReason || note.TemplateHash != hash {
				t.Errorf("the lock is to remember %v, want that attempt %d failed with %s", note, number, d.wantReason)
			}
		}
		return d
	}
	locked, jobFailed := drainv1alpha1.ReasonLocked, drainv1alpha1.ReasonJobFailed
	deletedJob, changed := drainv1alpha1.ReasonJobDeleted, drainv1alpha1.ReasonPodChanged
	delayed := func(seconds int32) func(*world) {
		return func(w *world) { w.Policy.Spec.Retry.InitialDelaySeconds = &seconds }
	}
	anHourAgo := func(j *batchv1.Job) { j.Status.Conditions[0].LastTransitionTime = metav1.NewTime(noon.Add(-time.Hour)) }
	limit := func(w *world) { w.Policy.Spec.Retry.MaxAttempts = ptr.To[int32](2) }

	decide(t, map[string]decision{
		"a failed Job is noted on the lock": notes(is(jobFailed, lockedWith(), func(w *world) { w.job(2, 3, failed) }).
			says("words of the Job controller").next("NoteAttempt"), 3),
		"a noted failure without its Job waits for its delay": is(jobFailed,
			lockedWith(attempted(failedAttempt(2, 10*time.Second)))).
			says("Attempt 2 failed: the words of the drain").after(50 * time.Second),
		"a noted failure whose delay is over is repeated": starts(is(jobFailed,
			lockedWith(attempted(failedAttempt(2, time.Minute)))).says("starting another one").next("StartJob"), 3, false),
		"a further attempt that may have been created is noted": starts(is(jobFailed,
			lockedWith(attempted(failedAttempt(2, time.Hour)))).says("starting another one").next("StartJob"), 3, true),
		"attempts without a Job count for maxAttempts": is(drainv1alpha1.ReasonAttemptsExhausted,
			limit, lockedWith(attempted(failedAttempt(2, time.Hour)))).says("All 2 attempts"),
		"an edit starts the next attempt at once": starts(is(jobFailed, limit, lockedWith(attempted(Attempt{
			Number: 2, Failed: ptr.To(metav1.NewTime(now)), Reason: jobFailed, Why: "x", TemplateHash: "another",
		}))).says("starting another one").next("StartJob"), 3, false),
		"a Job that is gone after its pod was ungated has failed": notes(is(deletedJob,
			lockedWith(ungatedJob, attempted(Attempt{Number: 1, Asked: noon, TemplateHash: hash}))).
			says("was deleted").next("NoteAttempt"), 1),
		"a Job that is gone is repeated after its delay": is(deletedJob,
			lockedWith(ungatedJob, attempted(Attempt{Number: 1, Asked: noon, TemplateHash: hash}))).
			says("12:01:30").after(30 * time.Second),
		"a Job that is gone is not marked by an older one": notes(is(deletedJob,
			lockedWith(ungatedJob, attempted(Attempt{Number: 2, Asked: noon, TemplateHash: hash})), func(w *world) {
				w.through(2, 1)
			}).says("was deleted").next("NoteAttempt"), 2),
		"the first Job under a fresh lock is not noted": starts(is(locked, lockedWith(bornJustNow)).next("StartJob"),
			1, false),
		"a Job that may have been created before is noted": starts(is(locked, lockedWith()).next("StartJob"), 1, true),
		"a Job created a moment ago that is gone is awaited": is(locked,
			lockedWith(attempted(Attempt{Number: 1, Asked: metav1.NewTime(now.Add(-time.Second))}))).
			says("is gone; creating it again").after(4 * time.Second),
		"a Job that never appeared is created again and noted": starts(is(locked,
			lockedWith(attempted(Attempt{Number: 1, Asked: noon}))).next("StartJob"), 1, true),
		"a failure under an earlier lock still counts": notes(is(jobFailed, lockedWith(), delayed(120), func(w *world) {
			w.job(2, 2, failed, named("of-an-earlier-lock"))
		}).says("words of the Job controller").next("NoteAttempt"), 2),
		"a failure under an earlier lock waits for its delay": is(jobFailed, lockedWith(), delayed(120), func(w *world) {
			w.job(2, 2, failed, named("of-an-earlier-lock"))
		}).says("12:04:00").after(3 * time.Minute),
		"a failure under an earlier lock does not count after its delay": starts(is(locked, lockedWith(bornJustNow),
			func(w *world) { w.job(2, 1, failed, named("of-an-earlier-lock"), anHourAgo) }).next("StartJob"), 1, false),
		"a failure before a success under an earlier lock does not count": starts(is(locked,
			lockedWith(bornJustNow), delayed(120), func(w *world) {
				w.job(2, 1, failed, named("of-an-earlier-lock"),
					func(j *batchv1.Job) { j.CreationTimestamp = metav1.NewTime(noon.Add(-time.Minute)) })
				w.job(2, 2, complete, named("of-another-lock"))
			}).next("StartJob"), 1, false),
		"a pod that was changed fails its attempt before it runs": notes(is(changed, lockedWith(), func(w *world) {
			w.job(2, 1)
			w.drainPod(2, gated, unmounted)
		}).says("is mounted by no container").next("NoteAttempt"), 1),
		"a Job that was changed fails its attempt before it runs": notes(is(changed, lockedWith(), func(w *world) {
			w.job(2, 1, func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = ptr.To[int32](0) })
			w.drainPod(2, gated)
		}).says("ttlSecondsAfterFinished").next("NoteAttempt"), 1),
		"a changed pod's Job is deleted once the failure is noted": is(changed, lockedWith(), func(w *world) {
			w.job(2, 1)
			w.drainPod(2, gated, unmounted)
		}).says("deleting Job").next("DeleteJob"),
		"a noted failure is not undone by the Job's success": is(jobFailed,
			lockedWith(attempted(failedAttempt(1, time.Minute))), func(w *world) { w.through(2, 1) }).
			says("starting another one").next("StartJob"),
	})
}

func TestWhatASuccessMustProve(t *testing.T) {
	unproven := func(says string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonNotProven, build...).says(says).next("NoteAttempt")
	}
	marked := func(build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonMarkingClaims, build...).next("MarkClaim")
	}
	ends := func(change ...func(*corev1.Pod)) func(*world) {
		return func(w *world) {
			w.job(2, 1, complete)
			w.drainPod(2, append([]func(*corev1.Pod){ended(0, "moved all")}, change...)...)
		}
	}
	exitCode := func(w *world) { w.Policy.Spec.Proof = drainv1alpha1.ProofExitCode }
	madeUnderExitCode := func(w *world) {
		for i := range w.Jobs {
			w.Jobs[i].Annotations[drainv1alpha1.ProofAnnotation] = string(drainv1alpha1.ProofExitCode)
		}
	}
	started := func(ordinal string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Labels[drainv1alpha1.OrdinalLabel] = ordinal }
	}

	decide(t, map[string]decision{
		"a receipt proves a success":                         marked(lockedWith(), ends()),
		"an exit code of 0 without a receipt proves nothing": unproven("left no receipt", lockedWith(), ends(noReceipt)),
		"an exit code of 0 proves a success with ExitCode": marked(lockedWith(),
			exitCode, ends(noReceipt), madeUnderExitCode),
		"ExitCode does not apply to a Job that was created before": unproven("left no receipt",
			lockedWith(), exitCode, ends(noReceipt)),
		"a Job created under ExitCode needs a receipt with Receipt": unproven("left no receipt",
			lockedWith(), ends(noReceipt), madeUnderExitCode),
		"a pod that was evicted proves nothing": unproven("was disrupted (TerminationByKubelet)",
			lockedWith(), ends(disrupted)),
		"with ExitCode a pod that was evicted proves nothing": unproven("was disrupted",
			lockedWith(), exitCode, ends(disrupted), madeUnderExitCode),
		"a pod that mounted nothing proves nothing": unproven("mounted by no container", lockedWith(), ends(unmounted)),
		"with ExitCode a pod that mounted nothing proves nothing": unproven("mounted by no container",
			lockedWith(), exitCode, ends(unmounted), madeUnderExitCode),
		"a pod that mounted one claim of two proves nothing": unproven("wal-web-2",
			func(w *world) { w.templates("data", "wal") }, lockedWith(), ends(), func(w *world) { w.claimAfterwards("wal", 2) }),
		"the pod of another Job proves nothing": unproven("is gone",
			lockedWith(), ends(func(p *corev1.Pod) { p.OwnerReferences[0].UID = "another" })),
		"a Job that only bears the labels proves nothing": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonLocked, lockedWith(),
			func(w *world) { w.job(2, 1, complete, forged); w.drainPod(2, ended(0, "")) }).next("StartJob"),
		"a Job without a controller proves nothing": wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonLocked,
			lockedWith(), func(w *world) { w.job(2, 1, complete, ownerless); w.drainPod(2, ended(0, "")) }).next("StartJob"),
		"a Job without a controller is stopped": wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob,
			lockedWith(), func(w *world) { w.job(2, 1, ownerless); w.drainPod(2, running) }).next("DeleteJob"),
		"a Job without a controller voids marks before it is stopped": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonClaimInUse, func(w *world) { w.claim("data", 2, markedUnder(2)) }, func(w *world) {
				w.lock(2)
				w.job(2, 1, ownerless)
				w.drainPod(2, running)
			}).next("VoidMark"),
		"a drain pod stays gated beside a foreign pod on the claim": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonClaimInUse, lockedWith(), func(w *world) {
				w.job(2, 1)
				w.drainPod(2, gated)
				w.pod("debug", "data-web-2")
			}).says("stays gated").after(recheck),
		"a pod with drain labels beside a running drain is not deleted": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonJobRunning, lockedWith(), func(w *world) {
				w.job(2, 1)
				w.drainPod(2, running)
				w.drainPod(2, running, func(p *corev1.Pod) { p.OwnerReferences = nil })
			}),
		"a lock without a controller is still a lock": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonReleasingLock, lockedWith(func(p *corev1.Pod) {
				p.OwnerReferences, p.Finalizers = nil, []string{drainv1alpha1.LockFinalizer}
				p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: drainv1alpha1.LockSchedulingGate}}
			}), scaledUp).next("DeleteLock"),
		"a pod with drain labels and another owner uses the claim": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonClaimInUse, lockedWith(), func(w *world) {
				w.drainPod(2, func(p *corev1.Pod) {
					p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", UID: "rs", Controller: ptr.To(true)}}
				})
			}).says("uses a claim").after(recheck),
		"a pod that lost its Job voids marks before it is deleted": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonClaimInUse, func(w *world) { w.claim("data", 2, markedUnder(2)) },
			func(w *world) { w.lock(2); w.drainPod(2, running) }).next("VoidMark"),
		"a pod that lost its Job voids a success before it is deleted": unproven("uses a claim of the ordinal",
			lockedWith(), ends(), func(w *world) {
				w.drainPod(2, running, func(p *corev1.Pod) { p.OwnerReferences = nil })
			}),
		"a pod that lost its Job is deleted": wants(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonStoppingJob,
			lockedWith(attempted(failedAttempt(1, time.Second))), ends(), func(w *world) {
				w.drainPod(2, running, func(p *corev1.Pod) { p.OwnerReferences = nil })
			}).next("DeletePod"),
		"a pod with an ephemeral volume of that name uses the claim": wants(drainv1alpha1.DrainWaiting,
			drainv1alpha1.ReasonClaimInUse, orphan, func(w *world) {
				w.pod("data", "", func(p *corev1.Pod) {
					p.Spec.Volumes = []corev1.Volume{{
						Name: "web-2", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}},
					}}
				})
			}).says(`"data"`).after(recheck),
		"the Job of an earlier attempt is deleted before the one that drained": {
			given: all(deleteClaims, func(w *world) {
				w.claim("data", 2, markedBy(claims.Mark{LockUID: lockUID(2), Attempts: 2}), claimTerminating)
				w.lock(2, attempted(failedAttempt(1, time.Minute)))
				w.job(2, 1, failed)
				w.through(2, 2)
			}), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonDeletingClaims, wantStep: "DisposeOfJob",
			check: func(t *testing.T, w *world, d *Drain) {
				if job := as[DeleteJob](d.Next).Job; job == nil || job.Name != w.Jobs[0].Name {
					t.Errorf("Job %v is to be deleted, want the first attempt's, %q", job, w.Jobs[0].Name)
				}
			},
		},
		"a mark written after its attempt had failed proves nothing": wants(drainv1alpha1.DrainFailed,
			drainv1alpha1.ReasonJobFailed, deleteClaims, func(w *world) { w.claim("data", 2, markedUnder(2)) }, func(w *world) {
				w.lock(2, attempted(failedAttempt(1, time.Minute)))
			}).next("StartJob"),
		"a mark of a later attempt than the one that failed holds": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonDeletingClaims, deleteClaims, func(w *world) {
				w.claim("data", 2, markedBy(claims.Mark{LockUID: lockUID(2), Attempts: 2}))
				w.lock(2, attempted(failedAttempt(1, time.Minute)))
			}).next("DeleteClaim"),
		"a drain pod with another ordinal's label uses the claim": wants(drainv1alpha1.DrainWaiting,
			drainv1alpha1.ReasonClaimInUse, orphan, func(w *world) { w.drainPod(2, running, started("7")) }).
			says("uses a claim").after(recheck),
		"a pod of a Job that only bears the labels uses the claim": wants(drainv1alpha1.DrainDraining,
			drainv1alpha1.ReasonClaimInUse, lockedWith(),
			func(w *world) { w.job(2, 1, forged); w.drainPod(2, running) }).says("uses a claim").after(recheck),
	})
}

// claimAfterwards adds a claim that the pods of the ordinal don't know, under the name of the Job that they do.
func (w *world) claimAfterwards(template string, ordinal int32) {
	w.claim(template, ordinal)
	for i := range w.Jobs {
		w.Jobs[i].Name = w.jobName(ordinal, 1)
	}
}

func TestJobsThatWouldNeverEndAreStopped(t *testing.T) {
	suspendedJob := func(job *batchv1.Job) { job.Spec.Suspend = ptr.To(true) }
	draining := func(reason string, build ...func(*world)) decision {
		return wants(drainv1alpha1.DrainDraining, reason, build...)
	}
	decide(t, map[string]decision{
		"a suspended Job is stopped when its ordinal is back in range": draining(drainv1alpha1.ReasonStoppingJob,
			lockedWith(), scaledUp, func(w *world) {
				w.job(2, 1, suspendedJob)
				w.drainPod(2, ended(1, "killed"))
			}).says("is suspended").next("DeleteJob"),
		"a suspended Job whose pod still runs is awaited": draining(drainv1alpha1.ReasonBackInRange,
			lockedWith(), scaledUp, func(w *world) {
				w.job(2, 1, suspendedJob)
				w.drainPod(2, running)
			}),
		"a sidecar that outlives the drain is named also when back in range": draining(
			drainv1alpha1.ReasonSidecarRunning, lockedWith(), scaledUp, func(w *world) {
				w.job(2, 1)
				w.drainPod(2, outlived)
			}).says("back in range"),
		"a sidecar that outlives the drain is named": draining(drainv1alpha1.ReasonSidecarRunning,
			lockedWith(), func(w *world) {
				w.job(2, 1)
				w.drainPod(2, outlived)
			}).says(`"proxy"`),
		"a pod that starts no further container is named": draining(drainv1alpha1.ReasonPodNotStarted,
			lockedWith(), func(w *world) {
				w.job(2, 1)
				w.drainPod(2, func(p *corev1.Pod) {
					p.Spec.RestartPolicy, p.Status.Phase = corev1.RestartPolicyNever, corev1.PodPending
					p.Status.InitContainerStatuses = []corev1.ContainerStatus{{
						Name: "tool", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}},
					}}
				})
			}).says("no further one"),
	})
}

func TestWhatDoesNotComeIsAskedForLessOften(t *testing.T) {
	for name, tc := range map[string]struct{ waited, want time.Duration }{
		"at once":                              {want: recheck},
		"after a while":                        {waited: 25 * time.Second, want: 25 * time.Second},
		"after an hour":                        {waited: time.Hour, want: longestRecheck},
		"with a transition time in the future": {waited: -time.Hour, want: recheck},
	} {
		w := given(orphan, func(w *world) {
			w.pod("web-2", "")
			w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{
				Ordinal: ptr.To[int32](2), State: drainv1alpha1.DrainWaiting, Reason: drainv1alpha1.ReasonPodStillExists,
				LastTransitionTime: ptr.To(metav1.NewTime(now.Add(-tc.waited))),
			}}
		})
		if got := new(Make(w.snapshot(), now)).Drain(2).RetryAfter; got != tc.want {
			t.Errorf("%s, the next look comes after %v, want %v", name, got, tc.want)
		}
	}
}

func TestStalledAfterABoundedTime(t *testing.T) {
	// since makes the status remember where the drain has been, and for how long.
	since := func(state drainv1alpha1.DrainState, reason string, ago time.Duration) func(*world) {
		return func(w *world) {
			w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{
				Ordinal: ptr.To[int32](2), State: state, Reason: reason,
				LastTransitionTime: ptr.To(metav1.NewTime(now.Add(-ago))),
			}}
		}
	}
	unused := func(w *world) { unusedSince(corev1.ConditionFalse, noon)(&w.Claims[0]) }
	draining, waiting := drainv1alpha1.DrainDraining, drainv1alpha1.DrainWaiting
	hangs := func(ago time.Duration) func(*world) {
		return func(w *world) {
			w.job(2, 1, jobTerminating)
			w.drainPod(2, running, func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(now.Add(-ago))) })
		}
	}
	for name, tc := range map[string]struct {
		given     func(*world)
		want      string
		wantSays  string
		wantAfter time.Duration
	}{
		"an unschedulable pod does not stall for some minutes": {
			given: all(lockedWith(), since(draining, drainv1alpha1.ReasonPodUnschedulable, 4*time.Minute),
				func(w *world) { w.job(2, 1); w.drainPod(2, unschedulable) }),
			wantAfter: time.Minute,
		},
		"an unschedulable pod stalls after some minutes": {
			given: all(lockedWith(), since(draining, drainv1alpha1.ReasonPodUnschedulable, 5*time.Minute),
				func(w *world) { w.job(2, 1); w.drainPod(2, unschedulable) }),
			want: drainv1alpha1.ReasonPodUnschedulable,
		},
		"another reason starts the time again": {
			given: all(lockedWith(), since(draining, drainv1alpha1.ReasonJobRunning, time.Hour),
				func(w *world) { w.job(2, 1); w.drainPod(2, unschedulable) }),
			wantAfter: 5 * time.Minute,
		},
		"a report of disuse that does not come stalls": {
			given: all(lockedWith(), since(draining, drainv1alpha1.ReasonMarkingClaims, 3*time.Minute),
				func(w *world) { w.through(2, 1) }, unused),
			want: drainv1alpha1.ReasonMarkingClaims, wantSays: "PersistentVolumeClaimUnusedSinceTime",
		},
		"a claim to be marked that lost its volume stalls": {
			given: all(lockedWith(), since(draining, drainv1alpha1.ReasonMarkingClaims, 3*time.Minute),
				func(w *world) { w.through(2, 1) }, unused, func(w *world) { volumeLost(&w.Claims[0]) }),
			want: drainv1alpha1.ReasonMarkingClaims, wantSays: "lost its volume",
		},
		"no ready replica for long stalls": {
			given: all(orphan, since(waiting, drainv1alpha1.ReasonWaitingForReadyReplicas, 15*time.Minute),
				func(w *world) { w.StatefulSet.Status.ReadyReplicas = 0 }),
			want: drainv1alpha1.ReasonWaitingForReadyReplicas,
		},
		"a pod that is not deleted stalls": {
			given: all(orphan, since(waiting, drainv1alpha1.ReasonPodStillExists, 30*time.Minute),
				func(w *world) { w.pod("web-2", "") }),
			want: drainv1alpha1.ReasonPodStillExists,
		},
		"a Job whose deletion does not end stalls": {
			given: all(lockedWith(ungatedJob), since(draining, drainv1alpha1.ReasonStoppingJob, 30*time.Minute),
				func(w *world) { w.job(2, 1, jobTerminating) }),
			want: drainv1alpha1.ReasonStoppingJob,
		},
		"a lock without a running drain for long stalls": {
			given: all(lockedWith(func(p *corev1.Pod) {
				p.CreationTimestamp = metav1.NewTime(now.Add(-30 * time.Minute))
			}), func(w *world) { w.job(2, 1) }),
			want: drainv1alpha1.ReasonPodNotStarted,
		},
		"a pod that a sidecar keeps alive does not stall for some minutes": {
			given: all(lockedWith(ungatedJob), since(draining, drainv1alpha1.ReasonSidecarRunning, 4*time.Minute), func(w *world) {
				w.job(2, 1, jobReady)
				w.drainPod(2, outlived)
			}),
			wantAfter: time.Minute,
		},
		"a pod that a sidecar keeps alive stalls after some minutes": {
			given: all(lockedWith(ungatedJob), since(draining, drainv1alpha1.ReasonSidecarRunning, 5*time.Minute), func(w *world) {
				w.job(2, 1, jobReady)
				w.drainPod(2, outlived)
			}),
			want: drainv1alpha1.ReasonSidecarRunning,
		},
		"pods that fail ten times stall": {given: all(lockedWith(ungatedJob), func(w *world) {
			w.job(2, 1)
			for range 10 {
				w.drainPod(2, ended(1, "disk on fire"))
			}
		}), want: drainv1alpha1.ReasonPodsFailing, wantSays: "disk on fire"},
		"pods that fail nine times do not stall": {given: all(lockedWith(ungatedJob), func(w *world) {
			w.job(2, 1)
			for range 9 {
				w.drainPod(2, ended(1, "disk on fire"))
			}
		})},
		"a queued Job never stalls": {
			given: all(lockedWith(), since(draining, drainv1alpha1.ReasonQueued, 24*time.Hour),
				func(w *world) { w.job(2, 1, func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }) }),
		},
		"a running drain never stalls": {
			given: all(lockedWith(), since(draining, drainv1alpha1.ReasonJobRunning, 24*time.Hour),
				func(w *world) { w.job(2, 1, jobReady); w.drainPod(2, running) }),
		},
		"two failed attempts don't stall": {given: lockedWith(attempted(failedAttempt(2, time.Second)))},
		"three failed attempts stall": {
			given: lockedWith(attempted(failedAttempt(3, time.Second))),
			want:  drainv1alpha1.ReasonJobFailed, wantSays: "Attempt 3 failed",
		},
		"a running attempt after three failed ones stalls": {
			given: all(lockedWith(ungatedJob, attempted(Attempt{Number: 4, Asked: noon, TemplateHash: hash})), func(w *world) {
				w.job(2, 4, jobReady)
				w.drainPod(2, running)
			}),
			want: drainv1alpha1.ReasonJobRunning, wantSays: "3 attempts in a row have failed",
		},
		"a success after three failed attempts does not stall": {
			given: all(lockedWith(ungatedJob, attempted(Attempt{Number: 4, Asked: noon, TemplateHash: hash})),
				func(w *world) { w.through(2, 4) }),
			wantAfter: 3 * time.Minute,
		},
		"a pod a minute past its grace period does not stall": {
			given:     all(lockedWith(), hangs(time.Minute)),
			wantAfter: 4 * time.Minute,
		},
		"a pod some minutes past its grace period stalls": {
			given: all(lockedWith(), hangs(5*time.Minute)),
			want:  drainv1alpha1.ReasonStoppingJob, wantSays: "taint",
		},
		"a lock that a policy left behind stalls": {
			given: all(orphan, since(waiting, drainv1alpha1.ReasonLockHeld, 5*time.Minute), func(w *world) {
				w.lock(2, func(p *corev1.Pod) { p.OwnerReferences[0].UID = "gone" })
			}),
			want: drainv1alpha1.ReasonLockHeld,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(tc.given)
			plan := Make(w.snapshot(), now)
			drain := plan.Drain(2)
			want := tc.want
			if want == "" {
				want = drainv1alpha1.ReasonProgressing
			}
			if plan.Stalled.Reason != want || !strings.Contains(plan.Stalled.Message, tc.wantSays) {
				t.Errorf("Stalled = %+v, want %s with %q; the drain is %s/%s: %s",
					plan.Stalled, want, tc.wantSays, drain.State, drain.Reason, drain.Message)
			}
			if drain.StallsAfter != tc.wantAfter {
				t.Errorf("StallsAfter = %v, want %v", drain.StallsAfter, tc.wantAfter)
			}
			if after := plan.RetryAfter(); tc.wantAfter > 0 && (after == 0 || after > tc.wantAfter) {
				t.Errorf("RetryAfter = %v, want %v at most", after, tc.wantAfter)
			}
		})
	}
}

// TestALateJobDoesNotHideTheOneBefore has a lock that names a Job whose pod ran, and a Job of the same attempt whose creation hung until that one
// was deleted.
func TestALateJobDoesNotHideTheOneBefore(t *testing.T) {
	for name, tc := range map[string]struct {
		remembered int32
		isNew      bool
	}{
		"the same attempt": {1, false},
		"the one after":    {0, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(lockedWith(func(lock *corev1.Pod) {
				metav1.SetMetaDataAnnotation(&lock.ObjectMeta, drainv1alpha1.JobAnnotation, "past")
			}), func(w *world) {
				w.note(2, Attempt{Number: tc.remembered, Asked: metav1.NewTime(noon.Add(-time.Minute)), TemplateHash: hash})
				w.job(2, 1, func(job *batchv1.Job) { job.CreationTimestamp = noon })
				w.drainPod(2, gated)
			})
			plan := Make(w.snapshot(), now)
			note := as[NoteAttempt](plan.Drain(2).Next)
			if note.Attempt.Number != 1 || note.Attempt.Failed != nil || note.New != tc.isNew {
				t.Errorf("the lock is to remember %+v, new: %t; want attempt 1, open, new: %t", note.Attempt, note.New, tc.isNew)
			}
		})
	}
}
