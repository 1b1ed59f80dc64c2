//go:build e2e

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

package e2e

import (
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

var _ = Describe("A scale-down", func() {
	It("moves every record, deletes the claim and gives a fresh volume on the way up", Label("versions"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3, withOrderedPods()), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, 12)
		old := w.claimUID(ctx, claim("data", 2))

		w.scale(ctx, 2)
		w.expectNoClaim(ctx, claim("data", 2))
		entry := w.expectDrain(ctx, 2, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted)
		Expect(entry.Message).To(HavePrefix("moved 12 records, "), "the drain's own words")
		Expect(entry.Claims).To(Equal([]drainv1alpha1.ClaimReference{{Name: claim("data", 2), UID: string(old)}}))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionStalled, "False "+drainv1alpha1.ReasonProgressing)
		w.expectRecords(ctx, records, 0, 1)
		w.expectNoLocks(ctx)
		for _, kind := range []string{"DrainPolicy", "StatefulSet"} {
			w.expectOneEvent(ctx, kind, storeName, "Drained")
		}

		By("scaling up again")
		w.scale(ctx, 3)
		w.expectReplicas(ctx, 3)
		Expect(w.claimUID(ctx, claim("data", 2))).NotTo(BeElementOf(old, BeEmpty()), "it must be a new claim")
		w.expectRecords(ctx, nil, 2)
		w.expectRecords(ctx, records, 0, 1, 2)
	})

	It("keeps the drained claim, with the old data on the way up, under whenDrained Retain", Label("versions"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(drainArgs("--keep")))
		records := w.fillAll(ctx, 2, 6)
		leaving, err := w.recordsOf(ctx, 1)
		Expect(err).NotTo(HaveOccurred())
		uid := w.claimUID(ctx, claim("data", 1))

		w.scale(ctx, 1)
		entry := w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		Expect(entry.Message).To(HavePrefix("copied 6 records, "), "the drain's own words")
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonAllDrained)
		w.expectNoLocks(ctx)
		w.expectRecords(ctx, records, 0)
		Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(uid), "the claim must stay")

		By("scaling up again")
		w.scale(ctx, 2)
		w.expectReplicas(ctx, 2)
		Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(uid), "the claim must come back")
		w.expectRecords(ctx, leaving, 1)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)

		By("scaling down once more: what its Pod wrote since then is drained, too")
		maps.Copy(records, map[string]string{"late": w.putRecord(ctx, 1, "late", "written after the first drain")})
		w.scale(ctx, 1)
		Eventually(ctx, func(g Gomega) {
			got, err := w.recordsOf(ctx, 0)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(HaveKeyWithValue("late", records["late"]))
		}).Should(Succeed(), "the mark of the first drain must not hold for the second")
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectRecords(ctx, records, 0)
	})

	It("drains all the claims of an ordinal with two claim templates and another first ordinal", Label("versions"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2, withClaimTemplates("data", "index"), withOrdinalsFrom(5)),
			drainPolicy(draining("data", "index"), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fill(ctx, 5, 8)
		maps.Copy(records, w.fill(ctx, 6, 8))

		w.scale(ctx, 1)
		w.expectNoClaim(ctx, claim("data", 6))
		w.expectNoClaim(ctx, claim("index", 6))
		entry := w.expectDrain(ctx, 6, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted)
		Expect(entry.Message).To(HavePrefix("moved 8 records, "), "both volumes were mounted")
		Expect(entry.Claims).To(HaveLen(2))
		w.expectRecords(ctx, records, 5)
	})

	It("by two drains one after the other, the highest first, with maxConcurrentDrains 1", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3, withOrderedPods()), drainPolicy(held(), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, 6)
		w.hold(ctx)

		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 2, 6, 0)
		w.expectDrain(ctx, 2, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForSlot)
		w.release(ctx)

		w.expectNoClaim(ctx, claim("data", 2))
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectRecords(ctx, records, 0)
		Expect(w.recorder.drainedOrdinals()).To(Equal([]string{"2", "1"}), "the highest ordinal goes first")
		Expect(w.recorder.mostDrainsAtOnce()).To(Equal(1), "drains at once, in the whole history")
	})

	It("by two drains both at once with maxConcurrentDrains 2", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3), drainPolicy(held(), maxConcurrentDrains(2), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, 6)
		w.hold(ctx)

		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 2, 6, 0)
		w.expectHalfWay(ctx, 1, 6, 0)
		w.release(ctx)

		w.expectNoClaim(ctx, claim("data", 2))
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
		Expect(w.recorder.mostDrainsAtOnce()).To(Equal(2), "drains at once, in the whole history")
	})

	It("to zero waits with a reason, and drains when a replica is there again", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 2, 6)

		w.scale(ctx, 0)
		w.expectReplicas(ctx, 0)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForReadyReplicas)
		w.expectDrain(ctx, 0, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForReadyReplicas)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "False "+drainv1alpha1.ReasonWaitingForReadyReplicas)
		w.expectUntouched()

		w.scale(ctx, 1)
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectRecords(ctx, records, 0)
	})

	It("to zero drains every replica with minReadyReplicas 0, for drains that need none", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(inspecting("data"), maxConcurrentDrains(2)))
		w.fillAll(ctx, 2, 1)

		w.scale(ctx, 0)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectDrain(ctx, 0, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonAllDrained)
	})

	It("waits while the policy is suspended", SpecTimeout(specTimeout), func(ctx SpecContext) {
		policy := drainPolicy(suspended(), whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.create(ctx, service(), statefulSet(2), policy)
		w.expectReplicas(ctx, 2)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonSuspended)
		records := w.fillAll(ctx, 2, 6)

		w.scale(ctx, 1)
		w.expectReplicas(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonSuspended)
		Expect(w.policy(ctx, storeName).Status.Undrained).To(HaveValue(Equal(int32(1))), "orphans are reported all the same")
		w.expectUntouched()

		w.changePolicy(ctx, storeName, func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = new(false) })
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
	})
})

var _ = Describe("A drain that fails", func() {
	const failures = 2

	It("is repeated within its Job until it succeeds", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(drainArgs("--fail-attempts=2"), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 2, 8)

		w.scale(ctx, 1)
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
		Expect(w.recorder.drainJobs()).To(HaveLen(1))
		pods := w.recorder.drainPods()
		Expect(pods).To(HaveLen(1))
		Expect(pods[0].Status.ContainerStatuses).To(HaveExactElements(HaveField("RestartCount", BeEquivalentTo(failures))))
		entry := w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted)
		Expect(entry.Attempts).To(BeEquivalentTo(1))
	})

	It("is attempted again with another Job when its Job has failed", Label("versions"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		brief := func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Spec.Job.BackoffLimit = new(int32(0))
			p.Spec.Retry.InitialDelaySeconds = new(int32(1))
		}
		w.startStore(ctx, statefulSet(2), drainPolicy(drainArgs("--fail-attempts=2"), brief, whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 2, 8)
		old := w.claimUID(ctx, claim("data", 1))

		w.scale(ctx, 1)
		Eventually(ctx, w.recorder.drainJobs).Should(HaveLen(failures), "another attempt must be made")
		Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(old), "a failed drain must leave the claim alone")
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
		Expect(w.recorder.drainJobs()).To(HaveLen(failures + 1))
		entry := w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted)
		Expect(entry.Attempts).To(BeEquivalentTo(failures + 1))
		Expect(w.everShown(1, drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed)).To(BeTrue(), "the failure must have been shown")
	})
})

var _ = Describe("A scale-up during a drain", Label("versions"), func() {
	const each = 8

	It("waits for the drain's end under whenScaledUp Wait", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3), drainPolicy(held(), whenScaledUp(drainv1alpha1.WhenScaledUpWait)))
		records := w.fillAll(ctx, 3, each)
		uid := w.claimUID(ctx, claim("data", 2))
		w.hold(ctx)
		w.scale(ctx, 2)
		w.expectHalfWay(ctx, 2, each, 0, 1)

		w.scale(ctx, 3)
		w.expectDrain(ctx, 2, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonBackInRange)
		w.expectOneEvent(ctx, "StatefulSet", storeName, drainv1alpha1.ReasonBackInRange)
		// The StatefulSet controller has had its chance by now; the promises are held against the whole history at the end.
		w.release(ctx)
		w.expectReplicas(ctx, 3)
		w.expectRecords(ctx, nil, 2)
		w.expectRecords(ctx, records, 0, 1, 2)
		Expect(w.claimUID(ctx, claim("data", 2))).To(Equal(uid), "the claim was to be retained")
		Expect(w.recorder.drainJobs()).To(HaveLen(1))
		w.expectNoLocks(ctx)
	})

	It("waits for the drain's end and for a fresh volume under whenScaledUp Wait and whenDrained Delete", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(held(), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 2, each)
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 1, each, 0)

		w.scale(ctx, 2)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonBackInRange)
		w.release(ctx)
		w.expectReplicas(ctx, 2)
		w.expectRecords(ctx, nil, 1)
		w.expectRecords(ctx, records, 0, 1)
	})

	It("stops the drain under whenScaledUp Cancel, and the next scale-down goes on with it", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3), drainPolicy(held(), whenScaledUp(drainv1alpha1.WhenScaledUpCancel), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, each)
		uid := w.claimUID(ctx, claim("data", 2))
		w.hold(ctx)
		w.scale(ctx, 2)
		w.expectHalfWay(ctx, 2, each, 0, 1)

		w.scale(ctx, 3)
		w.expectReplicas(ctx, 3)
		Expect(w.claimUID(ctx, claim("data", 2))).To(Equal(uid), "the half-drained claim must come back")
		got, err := w.recordsOf(ctx, 2)
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(HaveLen(each/2), "records that were not moved yet")
		w.expectRecords(ctx, records, 0, 1, 2)
		w.expectNoLocks(ctx)

		w.release(ctx)
		w.scale(ctx, 2)
		w.expectNoClaim(ctx, claim("data", 2))
		w.expectRecords(ctx, records, 0, 1)
	})
})

var _ = Describe("The operator", func() {
	// Serial, because all tests share the operator.
	It("continues after a restart during a drain", Serial, SpecTimeout(specTimeout), func(ctx SpecContext) {
		const each = 8
		w.startStore(ctx, statefulSet(3), drainPolicy(held(), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, each)
		w.hold(ctx)
		w.scale(ctx, 2)
		w.expectHalfWay(ctx, 2, each, 0, 1)

		By("deleting the operator's Pods")
		restartOperator(ctx)
		w.release(ctx)
		w.expectNoClaim(ctx, claim("data", 2))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectRecords(ctx, records, 0, 1)
		w.expectNoLocks(ctx)
		Expect(w.recorder.drainJobs()).To(HaveLen(1), "the running Job must be found again, not started again")
		Expect(w.recorder.drainPods()).To(HaveLen(1))
	})

	It("stops what runs and releases its locks when the policy is deleted", Label("versions"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		const each = 8
		w.startStore(ctx, statefulSet(2), drainPolicy(held(), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 2, each)
		uid := w.claimUID(ctx, claim("data", 1))
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 1, each, 0)

		By("deleting the policy")
		Expect(cluster.Delete(ctx, w.policy(ctx, storeName))).To(Succeed())
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, w.key(storeName), &drainv1alpha1.DrainPolicy{}))
		}).Should(BeTrue(), "the policy must be gone")
		w.expectNoLocks(ctx)
		Eventually(ctx, func(g Gomega) {
			var jobs batchv1.JobList
			g.Expect(cluster.List(ctx, &jobs, client.InNamespace(w.namespace))).To(Succeed())
			g.Expect(jobs.Items).To(BeEmpty())
		}).Should(Succeed(), "the Job must be deleted")
		Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(uid), "the half-drained claim must stay")

		w.scale(ctx, 2)
		w.expectReplicas(ctx, 2)
		w.expectRecords(ctx, records, 0, 1)
	})

	It("does not hold up the deletion of the namespace during a drain", SpecTimeout(specTimeout), func(ctx SpecContext) {
		const each = 8
		w.startStore(ctx, statefulSet(2), drainPolicy(held(), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		w.fillAll(ctx, 2, each)
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 1, each, 0)
		// What the namespace takes with it, claims included, is not the operator's doing.
		w.checkHistory(ctx)
		w.recorder.stop()

		// The namespace controller deletes Pods first, and nothing else until they are gone: the policy and its Job still stand.
		By("deleting the namespace")
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
		Expect(cluster.Delete(ctx, ns)).To(Succeed())
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(ns), ns))
		}).Should(BeTrue(), "the namespace must be gone")
	})
})
