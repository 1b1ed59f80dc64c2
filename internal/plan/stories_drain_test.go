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
	"slices"
	"time"

	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// tales are all stories.
var tales = slices.Concat(talesOfDrains, talesOfWaiting,
	talesOfAttempts, talesOfUse, talesOfFaults, talesOfForce, talesOfPolicies)

// Parts of scripts.

func twoTemplates(w *world) { w.templates("data", "logs"); deleteClaims(w) }

func (s *story) retains() {
	s.edit("sets spec.whenDrained to Retain",
		func(spec *drainv1alpha1.DrainPolicySpec) { spec.WhenDrained = drainv1alpha1.WhenDrainedRetain })
}

func (s *story) deletes() {
	s.edit("sets spec.whenDrained to Delete",
		func(spec *drainv1alpha1.DrainPolicySpec) { spec.WhenDrained = drainv1alpha1.WhenDrainedDelete })
}

func (s *story) suspends(suspend bool) {
	s.edit("sets spec.suspend to "+map[bool]string{true: "true", false: "false"}[suspend],
		func(spec *drainv1alpha1.DrainPolicySpec) { spec.Suspend = ptr.To(suspend) })
}

func (s *story) fails() { s.drainEnds("fails with exit code 1", ended(1, "disk full")) }

// Stories of drains that succeed, and of ordinals that come back.
var talesOfDrains = []tale{
	{"drain-retain", `
		A scale-down under whenDrained: Retain. The ordinal is drained once, its claims are marked and kept, and nothing
		is left but the finished Job for its logs.
		Never two writers: the lock stands from before the Job until after the marks.
	`, func() *story {
		s := begin(nil, 2)
		s.goOn()
		s.scale(2)
		s.goOn()
		return s
	}},
	{"drain-delete", `
		A scale-down under whenDrained: Delete. The claim is deleted only under the lock that it was drained under, and
		after the Job that drained it.
		Nothing is lost: the mark comes before the deletion, and the lock names the version of the claim that is
		deleted.
	`, func() *story {
		s := begin(deleteClaims, 2)
		s.goOn()
		s.scale(2)
		s.goOn()
		return s
	}},
	{"two-templates", `
		An ordinal with two claims under whenDrained: Delete. One drain mounts both.
		Nothing is lost: no claim is deleted before both are marked.
	`, func() *story {
		s := orphanedOrdinals(twoTemplates, 2)
		s.goOn()
		return s
	}},
	{"scale-up-before-start", `
		The ordinal comes back while its drain pod is gated. Nothing has run, so the Job is stopped and the lock
		released, whatever spec.whenScaledUp says.
		Never two writers: the lock goes only when the Job's pod is gone.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("creates the pod")
		s.scale(3)
		s.goOn()
		return s
	}},
	{"scale-up-wait", `
		The ordinal comes back while its drain runs, under whenScaledUp: Wait. The StatefulSet controller can't create
		pod web-2 until the drain has ended and the lock is gone.
		Never two writers.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.scale(3)
		s.goOn()
		return s
	}},
	{"scale-up-cancel", `
		The ordinal comes back while its drain runs, under whenScaledUp: Cancel. The operator stops the Job.
		Never two writers: the lock outlives the Job and its pod.
	`, func() *story {
		s := orphanedOrdinals(cancel, 2)
		s.until("starts the pod")
		s.scale(3)
		s.goOn()
		return s
	}},
	{"scale-up-after-success", `
		The ordinal comes back right after its drain has succeeded, under whenDrained: Delete. The drained claim is
		deleted still, and the StatefulSet controller makes a new one.
		Nothing is lost, and no pod starts on a claim whose data was moved away.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("is Complete")
		s.scale(3)
		s.goOn()
		return s
	}},
	{"three-orphans", `
		Three orphans under maxConcurrentDrains: 2. The highest two are drained first, and the third when one of them
		has let go of its slot.
		At most one drain pod runs for each ordinal.
	`, func() *story {
		s := orphanedOrdinals(func(w *world) { w.Policy.Spec.MaxConcurrentDrains = ptr.To[int32](2) }, 2, 3, 4)
		s.goOn()
		return s
	}},
	{"ready-replicas", `
		Fewer replicas are ready than spec.minReadyReplicas asks for. No drain starts, because no replica could take the
		data, and the policy stalls after 15 minutes.
		The drain starts when enough replicas are ready.
	`, func() *story {
		s := orphanedOrdinals(func(w *world) { w.Policy.Spec.MinReadyReplicas = ptr.To[int32](2) }, 2)
		s.unready = 1
		s.reportReady()
		s.goOn()
		s.passes(15 * time.Minute)
		s.operator()
		s.unready = 0
		s.userDoes("fixes the replica that was not ready")
		s.goOn()
		return s
	}},
}

// Stories of what an orphan waits for, and of edits.
var talesOfWaiting = []tale{
	{"young", `
		An orphan is younger than spec.minOrphanedSeconds. A scale-up within that time undoes the scale-down, and
		nothing has happened to its claim.
	`, func() *story {
		s := begin(func(w *world) { w.Policy.Spec.MinOrphanedSeconds = ptr.To[int32](300) }, 2)
		s.goOn()
		s.scale(2)
		s.goOn()
		s.passes(time.Minute)
		s.scale(3)
		s.goOn()
		s.scale(2)
		s.goOn()
		s.passes(5 * time.Minute)
		s.until("take-lock")
		return s
	}},
	{"lock-refused", `
		A webhook takes the scheduling gate off the lock. Such a lock could be scheduled, so the operator takes it back
		at once, and says what to exempt.
		Never two writers: no Job is created under a lock that protects nothing.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.webhook = withoutGate
		s.until("RemoveLockFinalizer")
		s.webhook = nil
		s.userDoes("exempts locks from the webhook")
		s.operator()
		s.passes(RefusalRecheck)
		s.until("start: StartJob")
		return s
	}},
	{"edited-template", `
		A user edits the template before the drain pod has started. The Job is replaced by one from the template of
		today. An edit while the drain runs changes nothing.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("creates the pod")
		s.editTemplate()
		s.until("starts the pod")
		s.editTemplate()
		s.goOn()
		return s
	}},
	{"missing-claim", `
		A user deletes one of the two claims of an orphan, and restores it. Half of an ordinal is never drained: the
		drain waits, and stalls, until both claims are there.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(func(w *world) { w.templates("data", "logs") }, 2)
		s.deleteClaim("logs-web-2")
		s.goOn()
		s.createClaims(2)
		s.userDoes("restores claim logs-web-2 from a backup")
		s.goOn()
		return s
	}},
	{"lost-volume", `
		The volume of an orphan's claim is gone when the drain is about to start under its lock. The lock is released,
		the policy stalls, and the drain starts when the volume is back.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("take-lock")
		s.loseVolume("data-web-2", true)
		s.goOn()
		s.loseVolume("data-web-2", false)
		s.goOn()
		return s
	}},
	{"never-bound", `
		The claim of an orphan never had a volume, so it holds no data. It is left alone.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		unbound(s.claims[0])
		s.touch(s.claims[0])
		s.goOn()
		return s
	}},
}

// Stories of attempts that fail.
var talesOfAttempts = []tale{
	{"failed-twice", `
		Two attempts fail, and the third succeeds. The lock remembers each failure, so that the delay doubles whatever
		becomes of the Jobs.
		Nothing is lost: a failed attempt marks nothing.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.fails()
		s.goOn()
		s.passes(30 * time.Second)
		s.until("starts the pod")
		s.fails()
		s.goOn()
		s.passes(30 * time.Second)
		s.operator()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"attempts-exhausted", `
		As many attempts fail as spec.retry.maxAttempts allows. The policy stalls, and an edited template starts another
		attempt at once.
	`, func() *story {
		s := orphanedOrdinals(func(w *world) { w.Policy.Spec.Retry.MaxAttempts = ptr.To[int32](2) }, 2)
		s.until("starts the pod")
		s.fails()
		s.goOn()
		s.passes(30 * time.Second)
		s.until("starts the pod")
		s.fails()
		s.goOn()
		s.editTemplate()
		s.goOn()
		return s
	}},
	{"no-receipt", `
		A drain exits with 0 and leaves no receipt, three times. Each is a failed attempt, and the policy stalls after
		the third.
		Nothing is lost: exit code 0 does not prove that the drain finished, so the claim is not marked.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		for _, delay := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
			s.until("starts the pod")
			s.drainEnds("exits with 0 without its receipt", ended(0, ""), noReceipt)
			s.goOn()
			s.passes(delay)
		}
		s.goOn()
		return s
	}},
	{"evicted", `
		The kubelet evicts a drain pod, whose shell traps the signal, writes the receipt and exits with 0. The condition
		DisruptionTarget shows the eviction, and the attempt has failed.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("starts the pod")
		s.drainEnds("is evicted, and exits with 0", ended(0, ""), disrupted)
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"job-deleted", `
		A user deletes a Job whose pod runs. Without its Job, nothing says how the pod ends. The operator waits until
		the pod is gone, notes a failed attempt, and tries again
		after the delay. Never two writers: the next drain pod is ungated when this one is gone.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.deleteJobByHand(0)
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"job-vanishes", `
		A user deletes the Job of a second attempt before its pod is ungated. The lock remembers when the Job was
		created, so it is created again only after 5 seconds.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.fails()
		s.goOn()
		s.passes(40 * time.Second)
		s.until("note-late-job")
		s.deleteJobByHand(1)
		s.goOn()
		s.passes(5 * time.Second)
		s.goOn()
		return s
	}},
	{"job-orphaned", `
		A user deletes the Job of a drain that runs with --cascade=orphan. The pod has no owner now, and nothing else
		would end it. The operator deletes it before it starts another attempt.
		At most one drain pod runs for each ordinal.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.orphanJob(0)
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"job-orphaned-late", `
		A user deletes the Job of a drain that has succeeded with --cascade=orphan, under whenDrained: Delete. The pod
		that has ended refers to the claim still, which keeps it. The operator deletes the claim and then the pod.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("MarkClaim")
		s.orphanJob(0)
		s.goOn()
		return s
	}},
	{"failed-and-held-up", `
		An attempt fails. Its successor is held up by spec.suspend, and then by a pod that uses the claim.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.fails()
		s.goOn()
		s.suspends(true)
		s.goOn()
		s.suspends(false)
		s.passes(30 * time.Second)
		s.debug("data-web-2")
		s.goOn()
		s.debugEnds()
		s.goOn()
		return s
	}},
	{"changed-pod", `
		A webhook takes the claim's mount from the drain pod before it is ungated. Its success could not be believed, so
		it never runs, and the attempt has failed.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("take-lock")
		s.webhook = unmounted
		s.goOn()
		s.webhook = nil
		s.userDoes("exempts drain pods from the webhook")
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"suspend", `
		spec.suspend is set before the drain, and again while it runs. It keeps the first attempt from starting and
		stops nothing that runs. A queue that suspends the Job itself is waited for.
	`, func() *story {
		s := orphanedOrdinals(suspended, 2)
		s.goOn()
		s.suspends(false)
		s.until("creates the pod")
		s.suspendJob(true)
		s.goOn()
		s.suspendJob(false)
		s.until("starts the pod")
		s.suspends(true)
		s.goOn()
		return s
	}},
}

// Stories of other pods that use the claims, and of claims that are kept.
var talesOfUse = []tale{
	{"used-before-lock", `
		Another pod uses the claim before the lock is taken, again before the Job is created, and again before the drain
		pod is ungated. The drain waits each time.
		Nothing is lost, and no drain runs beside a pod that was there to be seen.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.debug("data-web-2")
		s.goOn()
		s.debugEnds()
		s.until("take-lock")
		s.debug("data-web-2")
		s.goOn()
		s.debugEnds()
		s.until("creates the pod")
		s.debug("data-web-2")
		s.goOn()
		s.debugEnds()
		s.goOn()
		return s
	}},
	{"used-after-success", `
		Another pod uses the claim after it was marked, under whenDrained: Delete. Its mark becomes void, and the
		ordinal is drained once more.
		Nothing is lost: what the pod wrote is drained before the claim is deleted.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("mark: MarkClaim")
		s.debug("data-web-2")
		s.goOn()
		s.debugEnds()
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"used-while-the-job-goes", `
		A user deletes the Job of a drain whose claim is marked. Another pod uses the claim while the Job is being
		deleted, and has ended when the Job is gone. The operator saw it, and makes the mark void although it waits for
		the Job.
		Nothing is lost: the ordinal is drained once more.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("mark: MarkClaim")
		s.deleteJobByHand(0)
		s.debug("data-web-2")
		s.operator()
		s.debugEnds()
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"used-and-gone", `
		A pod uses the claim after the drain, and is gone when the operator looks. The claim's Unused condition, which
		Kubernetes keeps since 1.37, shows that. The mark does not hold any more.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(func(w *world) { deleteClaims(w) }, 2)
		s.reportsUnused = true
		s.until("mark: MarkClaim")
		s.debug("data-web-2")
		s.claimProtection()
		s.debugEnds()
		s.passes(time.Minute)
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"kept-used", `
		A pod uses a claim that is drained and kept. The mark becomes void, and the ordinal is drained once more when
		the pod is gone.
		Nothing is lost: a kept claim that holds new data is not called drained.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.goOn()
		s.debug("data-web-2")
		s.goOn()
		s.debugEnds()
		s.goOn()
		return s
	}},
	{"crash-while-marks-released", `
		A pod uses the claim while marks of before are released, and the operator crashes after the first write. When it
		starts again the pod is gone, but the mark that it wrote is void and names the Job.
		Nothing is lost: the success of that Job is not believed any more.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.goOn()
		s.deletes()
		s.until("says that Job 2 is Complete")
		s.retains()
		s.debug("data-web-2")
		s.operator()
		s.crash()
		s.debugEnds()
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"autoscaler", `
		Claims are kept while an autoscaler changes the replicas. The operator renews the mark for each generation of
		the StatefulSet. Two changes at once could hide that the ordinal was in range, so it is
		drained again. When whenDrained becomes Delete, a kept claim is drained once more, under the lock that it is
		deleted under. Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.goOn()
		s.scale(1)
		s.goOn()
		s.scale(2)
		s.goOn()
		s.scale(1)
		s.scale(2)
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		s.deletes()
		s.goOn()
		return s
	}},
	{"skipped", `
		A user annotates a claim with drain.statefulset.dev/skip: before the drain, and again when it is drained and
		about to be deleted. The operator leaves it alone both times.
		Nothing is lost: a skipped claim is never deleted.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.skipClaim("data-web-2", true)
		s.goOn()
		s.skipClaim("data-web-2", false)
		s.until("note-deletion")
		s.skipClaim("data-web-2", true)
		s.goOn()
		return s
	}},
	{"unused-late", `
		Kubernetes does not report the claim as unused after its drain has succeeded. The mark waits for that. When the
		ordinal comes back, the mark is given up, and the lock is released.
		Nothing is lost: the condition could hide a pod that uses the claim.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.reportsUnused = true
		s.until("is Complete")
		s.reportsUnused = false
		s.goOn()
		s.passes(3 * time.Minute)
		s.operator()
		s.scale(3)
		s.goOn()
		return s
	}},
	{"report-late", `
		Kubernetes has much to do, and reports 17 seconds after the drain has succeeded that the claim is unused. The operator
		looks three times meanwhile, and notes on the lock that no pod used the claim. So the report is believed, and the drain
		is not repeated.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.reportsUnused = true
		s.until("is Complete")
		s.reportsUnused = false
		s.goOn()
		s.passes(time.Second)
		s.operator()
		for range 2 {
			s.passes(7 * time.Second)
			s.operator()
		}
		s.passes(2 * time.Second)
		s.reportsUnused = true
		s.goOn()
		return s
	}},
	{"use-reported-late", `
		Kubernetes reports the drain's own use of a claim five seconds after the drain, when the claim is marked and the lock
		released. That could be another pod's use, so the mark is void, and the ordinal is drained again after the delay of a
		retry. The next mark waits twice as long for the report, and holds.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.reportsUnusedNow("data-web-2")
		s.passes(time.Minute)
		s.goOn()
		s.passes(noticeLag)
		s.goOn()
		s.passes(2 * time.Second)
		s.reportsUnusedNow("data-web-2")
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		s.passes(5 * time.Second)
		s.reportsUnusedNow("data-web-2")
		s.passes(time.Second)
		s.goOn()
		return s
	}},
	{"kept-claim-deleted", `
		A user deletes a claim that is drained and kept. The finished Job's pod still refers to it, which would keep the
		claim forever. The operator deletes the Job.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.goOn()
		s.deleteClaim("data-web-2")
		s.goOn()
		return s
	}},
	{"claim-deleted-before-start", `
		A user deletes a claim before its drain pod starts. The kubelet starts no pod on such a claim, so the Job is
		stopped, and the claim goes undrained, as the user asked.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("creates the pod")
		s.deleteClaim("data-web-2")
		s.goOn()
		return s
	}},
	{"claim-deleted", `
		A user deletes a claim while its drain runs. The drain goes on, because the kubelet has mounted the claim, and
		its data is moved before the claim goes.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.deleteClaim("data-web-2")
		s.goOn()
		return s
	}},
}
