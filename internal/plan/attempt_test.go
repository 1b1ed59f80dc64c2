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
	is := func(reason, says string, step string, after time.Duration, build ...func(*world)) decision {
		state := drainv1alpha1.DrainFailed
		if reason == drainv1alpha1.ReasonLocked {
			state = drainv1alpha1.DrainDraining
		}
		return decision{given: all(build...), wantState: state, wantReason: reason, wantSays: says, wantStep: step, wantRetryAfter: after}
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
	locked, deletedJob, changed := drainv1alpha1.ReasonLocked, drainv1alpha1.ReasonJobDeleted, drainv1alpha1.ReasonPodChanged
	jobFailed := drainv1alpha1.ReasonJobFailed
	delayed := func(seconds int32) func(*world) {
		return func(w *world) { w.Policy.Spec.Retry.InitialDelaySeconds = &seconds }
	}
	anHourAgo := func(j *batchv1.Job) { j.Status.Conditions[0].LastTransitionTime = metav1.NewTime(noon.Add(-time.Hour)) }
	limit := func(w *world) { w.Policy.Spec.Retry.MaxAttempts = ptr.To[int32](2) }

	decide(t, map[string]decision{
		"a failure is noted on the lock":                      notes(is(jobFailed, "words of the Job controller", "NoteAttempt", 0, lockedWith(), func(w *world) { w.job(2, 3, failed) }), 3),
		"a noted failure without its Job waits for its delay": is(jobFailed, "Attempt 2 failed: the words of the drain", "", 50*time.Second, lockedWith(attempted(failedAttempt(2, 10*time.Second)))),
		"a noted failure whose delay is over is repeated":     starts(is(jobFailed, "starting another one", "StartJob", 0, lockedWith(attempted(failedAttempt(2, time.Minute)))), 3, false),
		"a repetition that may have been made is noted":       starts(is(jobFailed, "starting another one", "StartJob", 0, lockedWith(attempted(failedAttempt(2, time.Hour)))), 3, true),
		"attempts without a Job count for maxAttempts":        is(drainv1alpha1.ReasonAttemptsExhausted, "All 2 attempts", "", 0, limit, lockedWith(attempted(failedAttempt(2, time.Hour)))),
		"an edit starts the next attempt at once": starts(is(jobFailed, "starting another one", "StartJob", 0, limit, lockedWith(attempted(Attempt{
			Number: 2, Failed: ptr.To(metav1.NewTime(now)), Reason: jobFailed, Why: "x", TemplateHash: "another",
		}))), 3, false),
		"a Job that is gone after its pod was ungated has failed": notes(is(deletedJob, "was deleted", "NoteAttempt", 0, lockedWith(ungatedJob, attempted(Attempt{Number: 1, Asked: noon, TemplateHash: hash}))), 1),
		"a Job that is gone is repeated after its delay":          is(deletedJob, "12:01:30", "", 30*time.Second, lockedWith(ungatedJob, attempted(Attempt{Number: 1, Asked: noon, TemplateHash: hash}))),
		"a Job that is gone is not marked by an older one": notes(is(deletedJob, "was deleted", "NoteAttempt", 0, lockedWith(ungatedJob, attempted(Attempt{Number: 2, Asked: noon, TemplateHash: hash})), func(w *world) {
			w.through(2, 1)
		}), 2),
		"the first Job under a fresh lock is not noted":           starts(is(locked, "", "StartJob", 0, lockedWith(bornJustNow)), 1, false),
		"a Job that may have been made before is noted":           starts(is(locked, "", "StartJob", 0, lockedWith()), 1, true),
		"a Job that was made a moment ago and is gone is awaited": is(locked, "is gone; creating it again", "", 4*time.Second, lockedWith(attempted(Attempt{Number: 1, Asked: metav1.NewTime(now.Add(-time.Second))}))),
		"a Job that was made in vain is noted again":              starts(is(locked, "", "StartJob", 0, lockedWith(attempted(Attempt{Number: 1, Asked: noon}))), 1, true),
		"a note that can't be read is none": starts(is(locked, "", "StartJob", 0, lockedWith(bornJustNow, func(p *corev1.Pod) {
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, drainv1alpha1.AttemptAnnotation, "{")
		})), 1, false),
		"a number without a successor is none": starts(is(locked, "", "StartJob", 0, lockedWith(bornJustNow, attempted(Attempt{Number: 1<<31 - 1}))), 1, false),
		"a negative number is none":            starts(is(locked, "", "StartJob", 0, lockedWith(bornJustNow, attempted(Attempt{Number: -3}))), 1, false),
		"a failure under an earlier lock still counts": notes(is(jobFailed, "words of the Job controller", "NoteAttempt", 0, lockedWith(), delayed(120), func(w *world) {
			w.job(2, 2, failed, named("of-an-earlier-lock"))
		}), 2),
		"a failure under an earlier lock waits for its delay": is(jobFailed, "12:04:00", "", 3*time.Minute, lockedWith(), delayed(120), func(w *world) {
			w.job(2, 2, failed, named("of-an-earlier-lock"))
		}),
		"a failure under an earlier lock ends with its delay": starts(is(locked, "", "StartJob", 0, lockedWith(bornJustNow), func(w *world) { w.job(2, 1, failed, named("of-an-earlier-lock"), anHourAgo) }), 1, false),
		"a success under an earlier lock ends what failed before": starts(is(locked, "", "StartJob", 0, lockedWith(bornJustNow), delayed(120), func(w *world) {
			w.job(2, 1, failed, named("of-an-earlier-lock"), func(j *batchv1.Job) { j.CreationTimestamp = metav1.NewTime(noon.Add(-time.Minute)) })
			w.job(2, 2, complete, named("of-another-lock"))
		}), 1, false),
		"a pod that was changed fails its attempt before it runs": notes(is(changed, "is mounted by no container", "NoteAttempt", 0, lockedWith(), func(w *world) {
			w.job(2, 1)
			w.drainPod(2, gated, unmounted)
		}), 1),
		"a Job that was changed fails its attempt before it runs": notes(is(changed, "ttlSecondsAfterFinished", "NoteAttempt", 0, lockedWith(), func(w *world) {
			w.job(2, 1, func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = ptr.To[int32](0) })
			w.drainPod(2, gated)
		}), 1),
		"a changed pod's Job is deleted once the failure is noted": is(changed, "deleting Job", "DeleteJob", 0, lockedWith(), func(w *world) {
			w.job(2, 1)
			w.drainPod(2, gated, unmounted)
		}),
		"a failure that was noted is not undone by the Job's end": is(jobFailed, "starting another one", "StartJob", 0, lockedWith(attempted(failedAttempt(1, time.Minute))), func(w *world) { w.through(2, 1) }),
	})
}

func TestWhatASuccessMustProve(t *testing.T) {
	unproven := func(says string, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainFailed, wantReason: drainv1alpha1.ReasonNotProven, wantStep: "NoteAttempt", wantSays: says}
	}
	marked := func(build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonMarkingClaims, wantStep: "MarkClaim"}
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
		"a receipt proves it":                                     marked(lockedWith(), ends()),
		"without a receipt it is no success":                      unproven("left no receipt", lockedWith(), ends(noReceipt)),
		"with ExitCode the exit code is enough":                   marked(lockedWith(), exitCode, ends(noReceipt), madeUnderExitCode),
		"ExitCode says nothing of a Job that was made before":     unproven("left no receipt", lockedWith(), exitCode, ends(noReceipt)),
		"Receipt is wanted of a Job that was made under ExitCode": unproven("left no receipt", lockedWith(), ends(noReceipt), madeUnderExitCode),
		"a pod that was evicted proves nothing":                   unproven("was disrupted (TerminationByKubelet)", lockedWith(), ends(disrupted)),
		"with ExitCode a pod that was evicted proves nothing":     unproven("was disrupted", lockedWith(), exitCode, ends(disrupted), madeUnderExitCode),
		"a pod that mounted nothing proves nothing":               unproven("mounted by no container", lockedWith(), ends(unmounted)),
		"with ExitCode a pod that mounted nothing proves nothing": unproven("mounted by no container", lockedWith(), exitCode, ends(unmounted), madeUnderExitCode),
		"a pod that mounted one claim of two proves nothing":      unproven("wal-web-2", func(w *world) { w.templates("data", "wal") }, lockedWith(), ends(), func(w *world) { w.claimAfterwards("wal", 2) }),
		"the pod of another Job proves nothing":                   unproven("is gone", lockedWith(), ends(func(p *corev1.Pod) { p.OwnerReferences[0].UID = "another" })),
		"a Job that only bears the labels proves nothing":         {given: all(lockedWith(), func(w *world) { w.job(2, 1, complete, forged); w.drainPod(2, ended(0, "")) }), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonLocked, wantStep: "StartJob"},
		"a Job without a controller proves nothing":               {given: all(lockedWith(), func(w *world) { w.job(2, 1, complete, ownerless); w.drainPod(2, ended(0, "")) }), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonLocked, wantStep: "StartJob"},
		"a Job without a controller is stopped":                   {given: all(lockedWith(), func(w *world) { w.job(2, 1, ownerless); w.drainPod(2, running) }), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonStoppingJob, wantStep: "DeleteJob"},
		"a Job without a controller makes marks void first": {given: all(func(w *world) { w.claim("data", 2, markedUnder(2)) }, func(w *world) {
			w.lock(2)
			w.job(2, 1, ownerless)
			w.drainPod(2, running)
		}), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonClaimInUse, wantStep: "VoidMark"},
		"no pod is let run beside another one on the claim": {given: all(lockedWith(), func(w *world) {
			w.job(2, 1)
			w.drainPod(2, gated)
			w.pod("debug", "data-web-2")
		}), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonClaimInUse, wantSays: "stays gated", wantRetryAfter: recheck},
		"a pod with our labels beside a running drain is not told to end": {given: all(lockedWith(), func(w *world) {
			w.job(2, 1)
			w.drainPod(2, running)
			w.drainPod(2, running, func(p *corev1.Pod) { p.OwnerReferences = nil })
		}), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonJobRunning},
		"a lock without a controller is one still": {given: all(lockedWith(func(p *corev1.Pod) {
			p.OwnerReferences, p.Finalizers = nil, []string{drainv1alpha1.LockFinalizer}
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: drainv1alpha1.LockSchedulingGate}}
		}), scaledUp), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonReleasingLock, wantStep: "DeleteLock"},
		"a pod with our labels and another owner uses the claim": {given: all(lockedWith(), func(w *world) {
			w.drainPod(2, func(p *corev1.Pod) {
				p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", UID: "rs", Controller: ptr.To(true)}}
			})
		}), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonClaimInUse, wantSays: "uses a claim", wantRetryAfter: recheck},
		"a pod that lost its Job makes the marks void before it is told to end": {given: all(func(w *world) { w.claim("data", 2, markedUnder(2)) }, func(w *world) { w.lock(2); w.drainPod(2, running) }), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonClaimInUse, wantStep: "VoidMark"},
		"a pod that lost its Job makes a success void before it is told to end": unproven("uses a claim of the ordinal", lockedWith(), ends(), func(w *world) {
			w.drainPod(2, running, func(p *corev1.Pod) { p.OwnerReferences = nil })
		}),
		"a pod that lost its Job is told to end": {given: all(lockedWith(attempted(failedAttempt(1, time.Second))), ends(), func(w *world) {
			w.drainPod(2, running, func(p *corev1.Pod) { p.OwnerReferences = nil })
		}), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonStoppingJob, wantStep: "DeletePod"},
		"a pod with an ephemeral volume of that name uses the claim": {given: all(orphan, func(w *world) {
			w.pod("data", "", func(p *corev1.Pod) {
				p.Spec.Volumes = []corev1.Volume{{Name: "web-2", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
			})
		}), wantState: drainv1alpha1.DrainWaiting, wantReason: drainv1alpha1.ReasonClaimInUse, wantSays: `"data"`, wantRetryAfter: recheck},
		"an earlier attempt's Job goes before the one that drained": {
			given: all(deleteClaims, func(w *world) {
				w.claim("data", 2, markedBy(claims.Mark{LockUID: lockUID(2), Attempts: 2}))
				w.lock(2, attempted(failedAttempt(1, time.Minute)))
				w.job(2, 1, failed)
				w.through(2, 2)
			}), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonDeletingClaims, wantStep: "DeleteJob",
			check: func(t *testing.T, w *world, d *Drain) {
				if job := as[DeleteJob](d.Next).Job; job == nil || job.Name != w.Jobs[0].Name {
					t.Errorf("Job %v is to be deleted, want the first attempt's, %q", job, w.Jobs[0].Name)
				}
			},
		},
		"a mark that landed after its attempt had failed proves nothing": {given: all(deleteClaims, func(w *world) { w.claim("data", 2, markedUnder(2)) }, func(w *world) {
			w.lock(2, attempted(failedAttempt(1, time.Minute)))
		}), wantState: drainv1alpha1.DrainFailed, wantReason: drainv1alpha1.ReasonJobFailed, wantStep: "StartJob"},
		"a mark of a later attempt than the one that failed holds": {given: all(deleteClaims, func(w *world) {
			w.claim("data", 2, markedBy(claims.Mark{LockUID: lockUID(2), Attempts: 2}))
			w.lock(2, attempted(failedAttempt(1, time.Minute)))
		}), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonDeletingClaims, wantStep: "DeleteClaim"},
		"a pod labelled with another ordinal uses the claim":       {given: all(orphan, func(w *world) { w.drainPod(2, running, started("7")) }), wantState: drainv1alpha1.DrainWaiting, wantReason: drainv1alpha1.ReasonClaimInUse, wantSays: "uses a claim", wantRetryAfter: recheck},
		"a pod of a Job that only bears the labels uses the claim": {given: all(lockedWith(), func(w *world) { w.job(2, 1, forged); w.drainPod(2, running) }), wantState: drainv1alpha1.DrainDraining, wantReason: drainv1alpha1.ReasonClaimInUse, wantSays: "uses a claim", wantRetryAfter: recheck},
	})
}

// claimAfterwards adds a claim that the pods of the ordinal don't know, under the name of the Job that they do.
func (w *world) claimAfterwards(template string, ordinal int32) {
	w.claim(template, ordinal)
	for i := range w.Jobs {
		w.Jobs[i].Name = w.jobName(ordinal, 1)
	}
}

func TestJobsThatWouldWaitForEverAreStopped(t *testing.T) {
	suspendedJob := func(job *batchv1.Job) { job.Spec.Suspend = ptr.To(true) }
	draining := func(reason, says string, step string, build ...func(*world)) decision {
		return decision{given: all(build...), wantState: drainv1alpha1.DrainDraining, wantReason: reason, wantSays: says, wantStep: step}
	}
	decide(t, map[string]decision{
		"a suspended Job is stopped when its ordinal is back in range": draining(drainv1alpha1.ReasonStoppingJob, "is suspended", "DeleteJob", lockedWith(), scaledUp, func(w *world) {
			w.job(2, 1, suspendedJob)
			w.drainPod(2, ended(1, "killed"))
		}),
		"a suspended Job whose pod still runs is awaited": draining(drainv1alpha1.ReasonBackInRange, "", "", lockedWith(), scaledUp, func(w *world) {
			w.job(2, 1, suspendedJob)
			w.drainPod(2, running)
		}),
		"what keeps a drain from its end is named also when its ordinal is back in range": draining(drainv1alpha1.ReasonSidecarRunning, "back in range", "", lockedWith(), scaledUp, func(w *world) {
			w.job(2, 1)
			w.drainPod(2, container(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}), func(p *corev1.Pod) {
				p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
			})
		}),
		"a sidecar that outlives the drain is named": draining(drainv1alpha1.ReasonSidecarRunning, `"proxy"`, "", lockedWith(), func(w *world) {
			w.job(2, 1)
			w.drainPod(2, container(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}), func(p *corev1.Pod) {
				p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
			})
		}),
		"a pod that starts no further container is named": draining(drainv1alpha1.ReasonPodNotStarted, "no further one", "", lockedWith(), func(w *world) {
			w.job(2, 1)
			w.drainPod(2, func(p *corev1.Pod) {
				p.Spec.RestartPolicy, p.Status.Phase = corev1.RestartPolicyNever, corev1.PodPending
				p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "tool", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
			})
		}),
	})
}

func TestWhatDoesNotComeIsAskedForLessOften(t *testing.T) {
	for name, tc := range map[string]struct{ waited, want time.Duration }{
		"at first":       {want: recheck},
		"after a while":  {waited: 25 * time.Second, want: 25 * time.Second},
		"after an hour":  {waited: time.Hour, want: longestRecheck},
		"a future since": {waited: -time.Hour, want: recheck},
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
			w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{Ordinal: ptr.To[int32](2), State: state, Reason: reason, LastTransitionTime: ptr.To(metav1.NewTime(now.Add(-ago)))}}
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
		"an unschedulable pod has some minutes":  {given: all(lockedWith(), since(draining, drainv1alpha1.ReasonPodUnschedulable, 4*time.Minute), func(w *world) { w.job(2, 1); w.drainPod(2, unschedulable) }), wantAfter: time.Minute},
		"an unschedulable pod stalls after them": {given: all(lockedWith(), since(draining, drainv1alpha1.ReasonPodUnschedulable, 5*time.Minute), func(w *world) { w.job(2, 1); w.drainPod(2, unschedulable) }), want: drainv1alpha1.ReasonPodUnschedulable},
		"another reason starts the time anew":    {given: all(lockedWith(), since(draining, drainv1alpha1.ReasonJobRunning, time.Hour), func(w *world) { w.job(2, 1); w.drainPod(2, unschedulable) }), wantAfter: 5 * time.Minute},
		"a report of use that doesn't come":      {given: all(lockedWith(), since(draining, drainv1alpha1.ReasonMarkingClaims, 3*time.Minute), func(w *world) { w.through(2, 1) }, unused), want: drainv1alpha1.ReasonMarkingClaims, wantSays: "PersistentVolumeClaimUnusedSinceTime"},
		"a claim that lost its volume":           {given: all(lockedWith(), since(draining, drainv1alpha1.ReasonMarkingClaims, 3*time.Minute), func(w *world) { w.through(2, 1) }, unused, func(w *world) { volumeLost(&w.Claims[0]) }), want: drainv1alpha1.ReasonMarkingClaims, wantSays: "lost its volume"},
		"no ready replicas for long":             {given: all(orphan, since(waiting, drainv1alpha1.ReasonWaitingForReadyReplicas, 15*time.Minute), func(w *world) { w.StatefulSet.Status.ReadyReplicas = 0 }), want: drainv1alpha1.ReasonWaitingForReadyReplicas},
		"a pod that isn't told to go":            {given: all(orphan, since(waiting, drainv1alpha1.ReasonPodStillExists, 30*time.Minute), func(w *world) { w.pod("web-2", "") }), want: drainv1alpha1.ReasonPodStillExists},
		"a Job that doesn't go":                  {given: all(lockedWith(ungatedJob), since(draining, drainv1alpha1.ReasonStoppingJob, 30*time.Minute), func(w *world) { w.job(2, 1, jobTerminating) }), want: drainv1alpha1.ReasonStoppingJob},
		"a lock without a drain for long":        {given: all(lockedWith(func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-30 * time.Minute)) }), func(w *world) { w.job(2, 1) }), want: drainv1alpha1.ReasonPodNotStarted},
		"pods that fail again and again": {given: all(lockedWith(ungatedJob), func(w *world) {
			w.job(2, 1)
			for range 10 {
				w.drainPod(2, ended(1, "disk on fire"))
			}
		}), want: drainv1alpha1.ReasonPodsFailing, wantSays: "disk on fire"},
		"pods that fail now and then": {given: all(lockedWith(ungatedJob), func(w *world) {
			w.job(2, 1)
			for range 9 {
				w.drainPod(2, ended(1, "disk on fire"))
			}
		})},
		"a queue may take its time":       {given: all(lockedWith(), since(draining, drainv1alpha1.ReasonQueued, 24*time.Hour), func(w *world) { w.job(2, 1, func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }) })},
		"a drain may take its time":       {given: all(lockedWith(), since(draining, drainv1alpha1.ReasonJobRunning, 24*time.Hour), func(w *world) { w.job(2, 1, jobReady); w.drainPod(2, running) })},
		"two failed attempts don't stall": {given: lockedWith(attempted(failedAttempt(2, time.Second)))},
		"three failed attempts do":        {given: lockedWith(attempted(failedAttempt(3, time.Second))), want: drainv1alpha1.ReasonJobFailed, wantSays: "Attempt 3 failed"},
		"the fourth attempt runs": {given: all(lockedWith(ungatedJob, attempted(Attempt{Number: 4, Asked: noon, TemplateHash: hash})), func(w *world) {
			w.job(2, 4, jobReady)
			w.drainPod(2, running)
		}), want: drainv1alpha1.ReasonJobRunning, wantSays: "3 attempts in a row have failed"},
		"the fourth attempt has succeeded":              {given: all(lockedWith(ungatedJob, attempted(Attempt{Number: 4, Asked: noon, TemplateHash: hash})), func(w *world) { w.through(2, 4) }), wantAfter: 3 * time.Minute},
		"a pod that should have ended a moment ago":     {given: all(lockedWith(), hangs(time.Minute)), wantAfter: 4 * time.Minute},
		"a pod that should have ended some minutes ago": {given: all(lockedWith(), hangs(5*time.Minute)), want: drainv1alpha1.ReasonStoppingJob, wantSays: "taint"},
		"the lock of a policy that is gone stands": {given: all(orphan, since(waiting, drainv1alpha1.ReasonLockHeld, 5*time.Minute), func(w *world) {
			w.lock(2, func(p *corev1.Pod) { p.OwnerReferences[0].UID = "gone" })
		}), want: drainv1alpha1.ReasonLockHeld},
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
				t.Errorf("Stalled = %+v, want %s with %q; the drain is %s/%s: %s", plan.Stalled, want, tc.wantSays, drain.State, drain.Reason, drain.Message)
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
