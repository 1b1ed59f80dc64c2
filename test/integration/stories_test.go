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

package integration

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// recreate deletes the StatefulSet and creates it again at once; the claims of the one before stay.
func (w *world) recreate(mutate ...func(*appsv1.StatefulSet)) {
	GinkgoHelper()
	again := &appsv1.StatefulSet{ObjectMeta: w.meta("store"), Spec: *w.set.Spec.DeepCopy()}
	for _, m := range mutate {
		m(again)
	}
	Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
	Expect(k8s.Create(w.ctx, again)).To(Succeed())
	w.set = again
	w.report()
}

// stranded returns the names of the claims that the status lists as stranded.
func (w *world) stranded() []string {
	var names []string
	for _, claim := range w.get().Status.StrandedClaims {
		names = append(names, claim.Name)
	}
	return names
}

func replicas(n int32) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) { set.Spec.Replicas = &n }
}

func selector(value string) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) {
		set.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": value}}
		set.Spec.Template.Labels = set.Spec.Selector.MatchLabels
	}
}

// mounting lets the drain mount the claims of another template.
func mounting(template string) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].VolumeMounts[0].Name = template }
}

func whenDeletedDrain(p *drainv1alpha1.DrainPolicy) {
	p.Spec.WhenDeleted, p.Spec.MinReadyReplicas = drainv1alpha1.WhenDeletedDrain, ptr.To[int32](0)
}

var _ = Describe("A StatefulSet that is created again", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("with other claim templates leaves the claims of the old ones, which are reported and left alone", func() {
		w.statefulSet(3)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete), whenDeletedDrain)
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		w.recreate(claimTemplates("index"))
		for ordinal := range int32(3) {
			w.createClaims(ordinal)
		}
		w.edit(mounting("index"))
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("False/ClaimsStranded"))
		Expect(w.stranded()).To(Equal([]string{"data-store-0", "data-store-1", "data-store-2"}))
		Eventually(w.events("DrainPolicy", drainv1alpha1.ReasonClaimsStranded)).Should(Equal(1))

		By("scaling down: only what the StatefulSet has now is drained and deleted")
		w.scale(2)
		job := w.runningJob(2)
		Expect(job.Spec.Template.Spec.Volumes).
			To(HaveExactElements(HaveField("VolumeSource.PersistentVolumeClaim.ClaimName", "index-store-2")))
		w.finish(job, "")
		w.expectNoClaim("index-store-2")
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("False/ClaimsStranded"))
		Expect(w.jobs()).To(BeEmpty(), "it went before its claim")
		for ordinal := range 3 {
			claim := w.claim(fmt.Sprintf("data-store-%d", ordinal))
			Expect(claim).NotTo(BeNil())
			Expect(claim.DeletionTimestamp).To(BeNil())
			Expect(claim.Annotations).NotTo(HaveKey(drainv1alpha1.DrainedAnnotation))
		}
		Expect(w.events("DrainPolicy", drainv1alpha1.ReasonClaimsStranded)()).To(Equal(1), "once is enough")
	})

	It("with other claim templates during a drain stops that drain, and its claims stay", func() {
		w.statefulSet(1)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete), whenDeletedDrain)
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
		w.startPod(w.runningJob(0))
		again := &appsv1.StatefulSet{ObjectMeta: w.meta("store"), Spec: *w.set.Spec.DeepCopy()}
		claimTemplates("index")(again)
		Expect(k8s.Create(w.ctx, again)).To(Succeed())
		w.set = again
		w.createClaims(0)
		Eventually(w.jobs).Should(BeEmpty(), "what drains is of another StatefulSet")
		Eventually(func() *corev1.Pod { return w.lock(0) }).Should(BeNil(), "the new StatefulSet's pod can start")
		Eventually(w.stranded).Should(Equal([]string{"data-store-0"}))
		Expect(w.marked("data-store-0")).To(BeFalse())
	})

	It("with another selector and the claims of the old one says so, and drains them when they are labeled", func() {
		w.statefulSet(2)
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		// The StatefulSet controller takes claims by name, whatever their labels say.
		w.recreate(selector("store-v2"))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).
			Should(Equal("False/ClaimsStranded"), "before the data is at stake")
		Expect(w.stranded()).To(Equal([]string{"data-store-0", "data-store-1"}))
		w.scale(1)
		Consistently(w.jobs).Should(BeEmpty())
		claim := w.claim("data-store-1")
		claim.Labels["app"] = "store-v2"
		Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		w.runningJob(1)
		Eventually(w.stranded).Should(Equal([]string{"data-store-0"}))
	})

	It("with fewer replicas is drained like one that is scaled down, whatever was drained before", func() {
		w.statefulSet(3)
		w.policy()
		w.scale(2)
		before := w.runningJob(2)
		w.finish(before, "")
		Eventually(w.drain(2)).Should(Equal("Drained/ClaimsKept"))
		w.recreate(replicas(1))
		// The mark is of another StatefulSet, whose pods are not known.
		again := w.runningJob(2)
		Expect(again.Name).NotTo(Equal(before.Name))
		w.finish(again, "")
		w.finish(w.runningJob(1), "")
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/AllDrained"))
	})
})

var _ = Describe("A StatefulSet that is deleted", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("before the policy was made leaves claims that are reported, and drained once it is created with no replicas",
		func() {
			w.statefulSet(2)
			Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
			w.policy(whenDeletedDrain)
			Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/StatefulSetNotFound"))
			Eventually(w.stranded).Should(Equal([]string{"data-store-0", "data-store-1"}))
			Expect(w.get().Status.Conditions).
				To(ContainElement(HaveField("Message", ContainSubstring("2 claims named like its own"))))
			Consistently(w.jobs).Should(BeEmpty(), "the claim templates that it had are not known")

			again := &appsv1.StatefulSet{ObjectMeta: w.meta("store"), Spec: *w.set.Spec.DeepCopy()}
			replicas(0)(again)
			Expect(k8s.Create(w.ctx, again)).To(Succeed())
			w.set = again
			w.report()
			for ordinal := int32(1); ordinal >= 0; ordinal-- {
				w.finish(w.runningJob(ordinal), "")
			}
			Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/AllDrained"))
			Expect(w.stranded()).To(BeEmpty())
		})

	It("in the foreground is drained when it is gone, and not before", func() {
		w.statefulSet(1)
		w.policy(whenDeletedDrain)
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Expect(k8s.Delete(w.ctx, w.set, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		Eventually(w.drain(0)).Should(Equal("Waiting/StatefulSetNotFound"))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("False/StatefulSetNotFound"))
		Consistently(w.jobs).Should(BeEmpty())
		// The garbage collector would, once its pods are gone.
		Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(w.set), w.set)).To(Succeed())
		w.set.Finalizers = nil
		Expect(k8s.Update(w.ctx, w.set)).To(Succeed())
		w.runningJob(0)
	})

	It("and whose pods go on, orphaned, is drained when they are gone", func() {
		w.statefulSet(2)
		w.policy(whenDeletedDrain)
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		pod := w.ownPod(1)
		Expect(k8s.Delete(w.ctx, w.set, client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
		Expect(client.IgnoreNotFound(k8s.Patch(w.ctx, w.set,
			client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
		Eventually(w.drain(1)).Should(Equal("Waiting/PodStillExists"))
		Consistently(func() *corev1.Pod { return w.lock(1) }).Should(BeNil())
		Expect(k8s.Delete(w.ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		w.runningJob(1)
	})

	It("and takes its claims with it contradicts whenDeleted Drain, which is said at once", func() {
		takesClaims := func(what appsv1.PersistentVolumeClaimRetentionPolicyType) func(*appsv1.StatefulSet) {
			return func(set *appsv1.StatefulSet) {
				set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
					WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType, WhenDeleted: what,
				}
			}
		}
		w.statefulSet(2, takesClaims(appsv1.DeletePersistentVolumeClaimRetentionPolicyType))
		w.policy(whenDeletedDrain)
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/ClaimsDeletedWithStatefulSet"))
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(Equal("True/ClaimsDeletedWithStatefulSet"))
		Eventually(w.events("StatefulSet", drainv1alpha1.ReasonClaimsDeletedWithStatefulSet)).Should(Equal(1))
		w.change(takesClaims(appsv1.RetainPersistentVolumeClaimRetentionPolicyType))
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
	})
})

var _ = Describe("Claims", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("without the labels of the selector are left alone, and drained once they are labeled", func() {
		w.statefulSet(2)
		claim := w.claim("data-store-1")
		claim.Labels = nil
		Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.scale(1)
		Eventually(w.stranded).Should(Equal([]string{"data-store-1"}))
		Consistently(w.jobs).Should(BeEmpty())
		claim = w.claim("data-store-1")
		claim.Labels = w.set.Spec.Selector.MatchLabels
		Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		w.finish(w.runningJob(1), "")
		w.expectNoClaim("data-store-1")
	})

	It("whose name fits two StatefulSets are drained when their labels say whose they are", func() {
		// "data" + "x-store" and "data-x" + "store" are one name, and both selectors take the label.
		w.statefulSet(2, claimTemplates("data-x"))
		other := &appsv1.StatefulSet{ObjectMeta: w.meta("x-store"), Spec: *w.set.Spec.DeepCopy()}
		claimTemplates("data")(other)
		Expect(k8s.Create(w.ctx, other)).To(Succeed())
		w.policy(mounting("data-x"), whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.scale(1)
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/AmbiguousClaims"))
		Consistently(w.jobs).Should(BeEmpty())

		By("giving the other one a selector of its own")
		Expect(k8s.Delete(w.ctx, other)).To(Succeed())
		other = &appsv1.StatefulSet{ObjectMeta: w.meta("x-store"), Spec: other.Spec}
		selector("x-store")(other)
		Expect(k8s.Create(w.ctx, other)).To(Succeed())
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		w.finish(w.runningJob(1), "")
		w.expectNoClaim("data-x-store-1")
	})

	It("of another StatefulSet with the same selector are left alone", func() {
		w.statefulSet(2)
		mine := w.set
		w.set = &appsv1.StatefulSet{ObjectMeta: w.meta("stock"), Spec: *mine.Spec.DeepCopy()}
		Expect(k8s.Create(w.ctx, w.set)).To(Succeed())
		for ordinal := range int32(4) {
			w.createClaims(ordinal) // Two of them out of its range.
		}
		w.set = mine
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/NoOrphans"))
		w.scale(1)
		w.finish(w.runningJob(1), "")
		w.expectNoClaim("data-store-1")
		for ordinal := range 4 {
			claim := w.claim(fmt.Sprintf("data-stock-%d", ordinal))
			Expect(claim).NotTo(BeNil())
			Expect(claim.Annotations).NotTo(HaveKey(drainv1alpha1.DrainedAnnotation))
		}
	})

	It("that never had a volume hold nothing, and need no drain", func() {
		w.statefulSet(1, claimTemplates("data", "logs"))
		for _, name := range []string{"data-store-1", "logs-store-1", "data-store-2", "logs-store-2"} {
			claim := &corev1.PersistentVolumeClaim{ObjectMeta: w.meta(name), Spec: claimTemplate("any").Spec}
			claim.Labels = w.set.Spec.Selector.MatchLabels
			Expect(k8s.Create(w.ctx, claim)).To(Succeed())
			claim.Status.Phase = corev1.ClaimPending
			Expect(k8s.Status().Update(w.ctx, claim)).To(Succeed())
		}
		w.policy()
		Eventually(w.drain(1)).Should(Equal("Retained/NeverBound"))
		Eventually(w.drain(2)).Should(Equal("Retained/NeverBound"))
		Expect(w.get().Status.Undrained).To(HaveValue(BeZero()))
		Consistently(w.jobs).Should(BeEmpty())

		By("binding one of two, which may hold data then")
		bound := w.claim("data-store-2")
		bound.Spec.VolumeName = "some-volume"
		Expect(k8s.Update(w.ctx, bound)).To(Succeed())
		bound.Status.Phase = corev1.ClaimBound
		Expect(k8s.Status().Update(w.ctx, bound)).To(Succeed())
		w.runningJob(2)
		Expect(w.drain(1)()).To(Equal("Retained/NeverBound"))
	})
})

var _ = Describe("A change of the StatefulSet during a drain", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("of whenScaled to Delete lets the drain end, and starts no other", func() {
		deletesClaims := func(set *appsv1.StatefulSet) {
			set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenScaled:  appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
				WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			}
		}
		w.statefulSet(3)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.scale(1)
		job := w.runningJob(2)
		pod := w.startPod(job)
		w.change(deletesClaims)
		w.report()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/ClaimsDeletedOnScaleDown"))
		Expect(w.drain(2)()).To(Equal("Draining/JobRunning"))
		w.succeed(job, pod, "moved all")
		w.expectNoClaim("data-store-2")
		Eventually(w.drain(2)).Should(Equal("Drained/ClaimsDeleted"))
		Eventually(w.drain(1)).Should(Equal("Waiting/ClaimsDeletedOnScaleDown"))
		Consistently(w.jobs).Should(BeEmpty())
		Expect(w.claim("data-store-1").DeletionTimestamp).To(BeNil())
	})

	It("of spec.ordinals.start back releases the lock of the ordinal at the low end", func() {
		start := func(first, n int32) func(*appsv1.StatefulSet) {
			return func(set *appsv1.StatefulSet) {
				set.Spec.Ordinals, set.Spec.Replicas = &appsv1.StatefulSetOrdinals{Start: first}, &n
			}
		}
		w.statefulSet(3, start(5, 3))
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaledUp = drainv1alpha1.WhenScaledUpCancel })
		w.change(start(7, 2))
		w.report()
		w.finish(w.runningJob(6), "")
		w.startPod(w.runningJob(5))
		w.change(start(5, 4))
		w.report()
		Eventually(w.jobs).Should(HaveLen(1), "the drain of ordinal 5 is stopped, that of 6 had ended")
		w.expectNoLock(5)
		Eventually(w.drain(6)).Should(BeEmpty())
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/NoOrphans"))
	})

	It("by its deletion lets the drain end, and retains what is not drained yet", func() {
		w.statefulSet(3)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.scale(2)
		job := w.runningJob(2)
		pod := w.startPod(job)
		Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
		Eventually(w.drain(1)).Should(Equal("Retained/StatefulSetNotFound"))
		Expect(w.drain(2)()).To(Equal("Draining/JobRunning"))
		w.succeed(job, pod, "moved all")
		w.expectNoClaim("data-store-2")
		w.expectNoLock(2)
		Consistently(w.jobs).Should(BeEmpty())
		Expect(w.claim("data-store-1").DeletionTimestamp).To(BeNil())
	})
})
