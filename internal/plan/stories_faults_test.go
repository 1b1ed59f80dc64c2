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
	"time"

	"k8s.io/utils/ptr"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Stories of crashes, of stale caches, and of requests that arrive late.
var talesOfFaults = []tale{
	{"crash-at-every-step", `
		The operator crashes after every single write, before it has written its status. Every step follows from what
		the cluster holds, so it goes on where it was.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(twoTemplates, 2)
		s.forgets = true
		s.goOn()
		return s
	}},
	{"crash-in-release", `
		The operator crashes between the two writes of a release: the claim is written to, and the lock stands. Then
		whenDrained becomes Delete. Nothing is deleted under a lock whose release has begun.
		The ordinal is drained once more, under a new lock. Nothing is lost: no second write would make a deletion fail
		that hangs.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("ReleaseMark")
		s.crash()
		s.deletes()
		s.goOn()
		return s
	}},
	{"late-job", `
		The creation of a Job hangs, the ordinal comes back, and the lock is released. The Job arrives after that. Its
		pod is gated, nothing ungates it, and the operator stops the Job.
		Never two writers.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("take-lock")
		late := s.hang(byOperator, "StartJob")
		s.scale(3)
		s.until("starts pod web-2")
		s.land(late)
		s.jobController()
		s.goOn()
		return s
	}},
	{"late-job-beside-use", `
		A Job arrives late, after the ordinal was drained and kept by another manager, and a pod uses the kept claim.
		The mark is made void before the late Job is stopped: the use could be over by then.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("take-lock")
		late := s.hang(byOperator, "StartJob")
		s.deleteLock(2)
		s.goOn()
		s.land(late)
		s.debug("data-web-2")
		s.until("stop-stray-job")
		s.debugEnds()
		s.until("take-lock")
		return s
	}},
	{"late-deletion", `
		The deletion of a claim hangs, and whenDrained becomes Retain. The claim is written to before the lock is
		released, so that the deletion fails when it arrives.
		Nothing is lost: by then the ordinal could be back, with new data on the claim.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("note-deletion")
		late := s.hang(byOperator, "DeleteClaim")
		s.retains()
		s.goOn()
		s.scale(3)
		s.goOn()
		s.land(late)
		s.goOn()
		return s
	}},
	{"late-release", `
		The deletion of a lock hangs, and the ordinal leaves again before it arrives. By then a drain runs under the
		lock, which was written to before its pod was ungated, so the deletion fails.
		Never two writers.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("take-lock")
		s.scale(3)
		late := s.hang(byOperator, "DeleteLock")
		s.scale(2)
		s.until("starts the pod")
		s.land(late)
		s.goOn()
		return s
	}},
	{"late-mark", `
		A mark hangs, and then another pod uses the claim. The attempt counts as failed, and the mark arrives after
		that. It is of an attempt that the lock remembers as failed, so it is worth nothing.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("is Complete")
		late := s.hang(byOperator, "MarkClaim")
		s.debug("data-web-2")
		s.operator()
		s.debugEnds()
		s.land(late)
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"two-managers", `
		Two managers run at a leader change, and both decide on the same steps. Names are unique and objects have
		versions, so each step is taken once.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		lock := s.hang(bySecond, "TakeLock")
		s.operator()
		s.land(lock)
		job := s.hang(bySecond, "StartJob")
		s.operator()
		s.land(job)
		s.until("note-job")
		ungating := s.hang(bySecond, "UngatePod")
		s.operator()
		s.land(ungating)
		s.until("is Complete")
		mark := s.hang(bySecond, "MarkClaim")
		s.operator()
		s.land(mark)
		s.goOn()
		return s
	}},
	{"stale-cache", `
		The operator's caches still hold the StatefulSet with two replicas, and the ordinal is back in range. The caches
		ask for the lock. The live look before the step shows what is true, and no step is taken.
		Never two writers.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		cached := s.look(s.policies[0])
		s.scale(3)
		s.until("starts pod web-2")
		s.afterLook(cached)
		s.goOn()
		return s
	}},
	{"controller-behind", `
		The StatefulSet controller does not see the scale-down for ten minutes. No lock is taken before it has observed
		the present spec: it could create the ordinal's pod again.
		Never two writers.
	`, func() *story {
		s := begin(nil, 2)
		s.goOn()
		s.blind = true
		s.scale(2)
		s.goOn()
		s.passes(10 * time.Minute)
		s.operator()
		s.blind = false
		s.goOn()
		return s
	}},
	{"controller-behind-at-mark", `
		The StatefulSet controller has not seen the latest scale-down when the drain of a higher ordinal has succeeded.
		The mark names a generation, and waits until the controller has observed it.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.blind = true
		s.scale(1)
		s.goOn()
		s.blind = false
		s.goOn()
		return s
	}},
	{"late-job-after-mark", `The creation of Job 1 by a second manager hangs, and lands when the first manager's Job 1 has drained the claim and a user has deleted it. Nothing but the name is the same: its pod is never ungated, and the Job is stopped.
		Nothing is lost: no drain runs on a claim that is about to be deleted.`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("take-lock")
		late := s.hang(bySecond, "StartJob")
		s.until("mark: MarkClaim")
		s.deleteJobByHand(0)
		s.land(late)
		s.goOn()
		return s
	}},
	{"deletion-lands-after-rename", `The deletion of a drained claim hangs. The StatefulSet is created again with another selector, so the claim is not its own any more, and the ordinal is in range. The lock remembers the claim, so the release writes to it first.
		Nothing is lost: the deletion fails, although the StatefulSet's new pod uses the claim.`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("note-deletion")
		late := s.hang(byOperator, "DeleteClaim")
		s.deleteSet()
		s.createSet(3)
		s.set.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "renamed"}}
		s.goOn()
		s.land(late)
		return s
	}},
	{"deletion-lands-after-discard", `The deletion of a drained claim hangs, and a user removes the role label from the lock. What is left of the lock is discarded, and the claim is written to first.
		Nothing is lost: the deletion fails, although the StatefulSet's pod uses the claim again.`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("note-deletion")
		late := s.hang(byOperator, "DeleteClaim")
		lock := s.podNamed("web-2")
		delete(lock.Labels, drainv1alpha1.RoleLabel)
		s.touch(lock)
		s.userDoes("removes the role label from the lock")
		s.scale(3)
		s.goOn()
		s.land(late)
		return s
	}},
	{"used-while-disposing", `Another pod uses the claim when the operator is about to delete it, and has ended when the operator looks again. The mark is made void before the claim is deleted.
		Nothing is lost: the ordinal is drained once more.`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("mark: MarkClaim")
		s.debug("data-web-2")
		s.operator()
		s.debugEnds()
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"used-while-away", `
		The operator and the kube-controller-manager are away when the claim is marked. A pod uses the claim and ends, and
		nothing tells of that. When the operator is back, the mark is too old to delete the claim on it.
		Nothing is lost: the ordinal is drained once more.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("mark: MarkClaim")
		s.debug("data-web-2")
		s.debugEnds()
		s.passes(2 * time.Minute)
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"away-before-mark", `
		The operator is away when the drain ends. A pod uses the claim and is gone before the operator is back. This Kubernetes does not report
		such a use. The drain is too long ago to delete the claim on it.
		Nothing is lost: the ordinal is drained once more.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("says that Job 1 is Complete")
		s.debug("data-web-2")
		s.debugEnds()
		s.passes(10 * time.Minute)
		s.goOn()
		s.passes(30 * time.Second)
		s.goOn()
		return s
	}},
	{"controller-deletes-lock", `
		The StatefulSet controller deletes pod web-2 by name, by a cache in which that is still its own. It is the lock
		by now. The finalizer keeps it while the drain runs. Under a lock that is going nothing is deleted,
		so the ordinal is drained once more. Never two writers, and nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(deleteClaims, 2)
		s.until("starts the pod")
		s.hitLock(2)
		s.goOn()
		return s
	}},
}

// Stories of users who act by force.
var talesOfForce = []tale{
	{"lock-deleted", `
		A user deletes the lock before the drain pod has started. No pod is ungated under a lock that is going, so the
		Job is stopped, the lock released, and the drain starts again. Then the user deletes the lock while the
		drain runs. The finalizer keeps it until the drain has ended. Never two writers.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("creates the pod")
		s.deleteLock(2)
		s.until("starts the pod")
		s.deleteLock(2)
		s.goOn()
		return s
	}},
	{"lock-stripped", `
		A user takes away the lock of a drain that runs, with its finalizer and gate. Nothing protects the claims now.
		The operator stops the Job before anything else, and starts again when its pod is gone.
		At most one drain pod runs for each ordinal.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.stripLock(2)
		s.goOn()
		return s
	}},
	{"policy-forced", `
		A user takes away the policy of a drain that runs, with its finalizer, and creates another of the same name. The
		old lock is released when nothing runs under it. The new policy waits for that, and drains the ordinal under a
		lock of its own.
		Never two writers.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.dropPolicy()
		s.createPolicy("web")
		s.goOn()
		return s
	}},
	{"policy-orphaned", `
		A user takes away the policy of a drain that runs by force, with --cascade=orphan. Neither the Job nor the lock
		has an owner now, so the garbage collector does not touch them. The operator stops the Job, and releases the
		lock
		when its pod is gone. Never two writers.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.orphanPolicy()
		s.goOn()
		return s
	}},
	{"policy-and-job-orphaned", `
		The same, and the Job is taken from its pod too. The operator deletes the pod, which nothing else would end,
		before it releases the lock.
		Never two writers.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.orphanPolicy()
		s.orphanJob(0)
		s.goOn()
		return s
	}},
	{"policy-forced-after-mark", `
		A user takes away a policy whose lock stands on marked claims. The lock is abandoned. Its marks are made void,
		because only the next policy can find out whether a pod uses the claims.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("MarkClaim")
		s.dropPolicy()
		s.goOn()
		s.createPolicy("web")
		s.goOn()
		return s
	}},
}

// Stories of policies and StatefulSets that come and go.
var talesOfPolicies = []tale{
	{"policy-deleted", `
		A user deletes the policy while a drain runs. The operator stops the drain and releases the lock, and the policy
		goes last.
		Never two writers: the finalizer keeps the policy for as long as its lock stands.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("starts the pod")
		s.deletePolicy()
		s.goOn()
		return s
	}},
	{"two-policies", `
		A second policy names the same StatefulSet. The older one counts, and the other one says so. When the older one
		is deleted, the other one takes over.
		At most one drain pod runs for each ordinal.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.createPolicy("second")
		s.until("starts the pod")
		s.deletePolicy()
		s.goOn()
		return s
	}},
	{"set-deleted-drain", `
		A user deletes the StatefulSet, and spec.whenDeleted is Drain. No replica is left to take the data, so the drain
		waits until spec.minReadyReplicas is 0. It is made from what the policy's status remembers.
		Never two writers: the lock is taken when the pod is gone.
	`, func() *story {
		s := begin(whenDeleted, 2)
		s.goOn()
		s.deleteSet()
		s.goOn()
		s.edit("sets spec.minReadyReplicas to 0",
			func(spec *drainv1alpha1.DrainPolicySpec) { spec.MinReadyReplicas = ptr.To[int32](0) })
		s.goOn()
		return s
	}},
	{"set-deleted-retain", `
		A user deletes the StatefulSet while a drain runs, and spec.whenDeleted is Retain. The drain that runs ends, and
		no other one starts.
	`, func() *story {
		s := begin(nil, 2, 3)
		s.goOn()
		s.scale(3)
		s.until("starts the pod")
		s.deleteSet()
		s.goOn()
		return s
	}},
	{"set-deleted-slowly", `
		A user deletes the StatefulSet in the foreground, and spec.whenDeleted is Drain. The drain waits until the
		StatefulSet is gone, and with it every pod that it could create.
	`, func() *story {
		s := begin(func(w *world) { whenDeleted(w); w.Policy.Spec.MinReadyReplicas = ptr.To[int32](0) }, 2)
		s.goOn()
		s.deleteSetSlowly()
		s.goOn()
		s.set = nil
		s.tell(byCollector, "deletes the StatefulSet")
		s.until("take-lock")
		return s
	}},
	{"set-replaced", `
		A user deletes the StatefulSet whose ordinal was drained and kept, and creates another one of the same name. Its
		UID is another, so the mark proves nothing: the ordinal could have been in range. It is drained once more.
		Nothing is lost.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.goOn()
		s.deleteSet()
		s.goOn()
		s.createSet(2)
		s.goOn()
		return s
	}},
	{"when-scaled-retain", `
		spec.whenScaled becomes Retain while an orphan has its lock and no drain has started. The lock is released, and
		the claims stay undrained.
	`, func() *story {
		s := orphanedOrdinals(nil, 2)
		s.until("take-lock")
		s.edit("sets spec.whenScaled to Retain",
			func(spec *drainv1alpha1.DrainPolicySpec) { spec.WhenScaled = drainv1alpha1.WhenScaledRetain })
		s.goOn()
		return s
	}},
}
