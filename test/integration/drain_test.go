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
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

var _ = Describe("A drain", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("takes a lock, runs a Job, marks the claims and releases the lock", func() {
		w.statefulSet(3)
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/NoOrphans"))
		w.scale(2)

		job := w.runningJob(2)
		lock := w.lock(2)
		Expect(lock).NotTo(BeNil(), "the lock is held before the Job exists")
		Expect(lock.CreationTimestamp.After(job.CreationTimestamp.Time)).To(BeFalse())
		Expect(lock.Labels).NotTo(HaveKey("app"), "outside the StatefulSet's selector")
		Expect(w.get().Finalizers).To(ConsistOf(drainv1alpha1.PolicyFinalizer))
		spec := job.Spec.Template.Spec
		Expect(spec.Volumes).To(ContainElement(HaveField("VolumeSource.PersistentVolumeClaim.ClaimName", "data-store-2")))
		Expect(spec.SecurityContext.FSGroup).To(HaveValue(BeEquivalentTo(2000)), "taken over from the StatefulSet")
		Expect(spec.Containers[0].Env).To(ContainElement(corev1.EnvVar{Name: "DRAIN_PEERS",
			Value: fmt.Sprintf("store-0.store.%[1]s.svc,store-1.store.%[1]s.svc", w.namespace)}))

		pod := w.startPod(job)
		Eventually(w.drain(2)).Should(Equal("Draining/JobRunning"))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("False/JobRunning"))
		w.succeed(job, pod, "moved 17 records")

		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/AllDrained"))
		Eventually(w.drain(2)).Should(Equal("Drained/ClaimsKept"))
		Expect(w.marked("data-store-2")).To(BeTrue())
		Expect(w.lock(2)).To(BeNil(), "the lock is released")
		Eventually(func() []string { return w.get().Finalizers }).Should(BeEmpty())
		entry := w.get().Status.Drains[0]
		Expect(entry.Message).To(Equal("moved 17 records"))
		Expect(entry.JobName).To(Equal(job.Name))
		Expect(entry.Attempts).To(BeEquivalentTo(1))
		Expect(entry.CompletionTime).NotTo(BeNil())
		Eventually(w.events("DrainPolicy", "DrainStarted")).Should(Equal(1))
		for _, kind := range []string{"DrainPolicy", "StatefulSet"} {
			Eventually(w.events(kind, "Drained")).Should(Equal(1), kind)
		}
		Expect(w.events("StatefulSet", "DrainStarted")()).To(BeZero(), "the policy's readers are told")
	})

	It("deletes exactly the claims that it drained, if asked to", func() {
		w.statefulSet(2, claimTemplates("data", "logs"))
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.scale(1)
		w.finish(w.runningJob(1), "done")
		w.expectNoClaim("data-store-1")
		w.expectNoClaim("logs-store-1")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsDeleted"))
		Expect(w.get().Status.Drains[0].Message).To(Equal("done"))
		Expect(w.get().Status.Drains[0].Claims).To(HaveLen(2), "both are named on")
		Expect(w.lock(1)).To(BeNil())
		Expect(w.claim("data-store-0")).NotTo(BeNil(), "ordinals in range are left alone")
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/NoOrphans"))
	})

	It("is needed again when the ordinal came back in the meantime", func() {
		first := w.draining(retriedAtOnce)
		w.finish(first, "")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		w.scale(2)
		Eventually(w.drain(1)).Should(BeEmpty())
		w.scale(1)
		second := w.runningJob(1)
		Expect(second.Name).NotTo(Equal(first.Name))
		Expect(w.claim("data-store-1").DeletionTimestamp).To(BeNil())
	})

	It("keeps its mark while the StatefulSet changes otherwise, one step at a time", func() {
		w.finish(w.draining(), "")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		for i := range 3 {
			w.change(func(set *appsv1.StatefulSet) { set.Spec.Template.Spec.Containers[0].Image = fmt.Sprint("store:", i) })
			Eventually(func() string { return w.claim("data-store-1").Annotations[drainv1alpha1.DrainedAnnotation] }).
				Should(ContainSubstring(fmt.Sprintf(`"generation":%d,`, w.set.Generation)))
			Expect(w.drain(1)()).To(Equal("Drained/ClaimsKept"))
		}
		Expect(w.jobs()).To(HaveLen(1), "nothing was drained again")
	})

	It("is repeated before its retained claims are deleted when whenDrained becomes Delete", func() {
		job := w.draining()
		w.finish(job, "")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		w.edit(whenDrained(drainv1alpha1.WhenDrainedDelete))
		again := w.runningJob(1)
		Expect(again.Name).NotTo(Equal(job.Name), "another pod could have used the claim meanwhile")
		Expect(w.claim("data-store-1").DeletionTimestamp).To(BeNil())
		w.finish(again, "")
		w.expectNoClaim("data-store-1")
		w.expectNoLock(1)
	})

	It("starts with the highest ordinal and respects maxConcurrentDrains", func() {
		w.statefulSet(5)
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.MaxConcurrentDrains = ptr.To[int32](2) })
		w.scale(1)
		four, three := w.runningJob(4), w.runningJob(3)
		Eventually(w.drain(2)).Should(Equal("Waiting/WaitingForSlot"))
		Consistently(w.jobs).Should(HaveLen(2))
		w.finish(three, "")
		w.runningJob(2)
		Eventually(w.drain(1)).Should(Equal("Waiting/WaitingForSlot"))
		w.finish(four, "")
		w.runningJob(1)
	})

	It("respects spec.ordinals.start, at the low end too", func() {
		w.statefulSet(3, func(set *appsv1.StatefulSet) { set.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 5} })
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/NoOrphans"))
		w.change(func(set *appsv1.StatefulSet) { set.Spec.Ordinals.Start, set.Spec.Replicas = 6, ptr.To[int32](2) })
		w.report()
		job := w.runningJob(5)
		Expect(job.Spec.Template.Spec.Containers[0].Env).To(ContainElements(
			corev1.EnvVar{Name: "DRAIN_START_ORDINAL", Value: "6"}, corev1.EnvVar{Name: "DRAIN_REPLICAS", Value: "2"}))
	})

	It("waits until the StatefulSet's pod is gone", func() {
		w.statefulSet(2)
		pod := w.ownPod(1)
		w.policy()
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Waiting/PodStillExists"))
		Consistently(w.jobs).Should(BeEmpty())
		Expect(k8s.Delete(w.ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		w.runningJob(1)
	})

	It("waits for another pod that uses the claim, and names it", func() {
		w.statefulSet(2)
		stranger := w.ownPod(7)
		w.policy()
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Waiting/ClaimInUse"))
		Expect(w.get().Status.Drains[0].Message).To(ContainSubstring(`"store-7"`))
		Expect(w.lock(1)).To(BeNil())
		Expect(k8s.Delete(w.ctx, stranger, client.GracePeriodSeconds(0))).To(Succeed())
		w.runningJob(1)
	})

	It("sees who uses the claim among more pods than one answer of a list has", func() {
		w.statefulSet(2)
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		for i := range 1001 {
			// The API server lists them before the StatefulSet's.
			w.podOfDeployment(fmt.Sprintf("front-%d-x", i))
		}
		stranger := w.ownPod(7)
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Waiting/ClaimInUse"))
		Expect(w.lock(1)).To(BeNil())
		Expect(k8s.Delete(w.ctx, stranger, client.GracePeriodSeconds(0))).To(Succeed())
		w.runningJob(1)
	})

	It("waits for replicas that can take the data, unless it needs none", func() {
		w.statefulSet(2)
		w.policy()
		w.scale(0)
		Eventually(w.drain(1)).Should(Equal("Waiting/WaitingForReadyReplicas"))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("False/WaitingForReadyReplicas"))
		Consistently(w.jobs).Should(BeEmpty())
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinReadyReplicas = ptr.To[int32](0) })
		w.runningJob(1)
	})

	It("whose progress can't be read goes on, and says so where it is asked for", func() {
		job := w.draining(func(p *drainv1alpha1.DrainPolicy) { p.Spec.ProgressDeadlineSeconds = ptr.To[int32](60) })
		w.startPod(job)
		Eventually(func() string { return w.get().Status.Drains[0].Message }).
			Should(ContainSubstring("is running (attempt 1); its progress can't be read: "), "there is no kubelet here")
		Expect(w.drain(1)()).To(Equal("Draining/JobRunning"))
		Expect(w.condition(drainv1alpha1.ConditionStalled)()).To(Equal("False/Progressing"))
	})

	It("leaves time to undo a mistaken scale-down", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinOrphanedSeconds = ptr.To[int32](3600) })
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Waiting/WaitingForMinOrphanedSeconds"))
		since := w.get().Status.Drains[0].OrphanedTime
		Expect(since).NotTo(BeNil())
		w.change(func(set *appsv1.StatefulSet) { set.Spec.Template.Spec.Containers[0].Image = "store:new" })
		w.report()
		Eventually(func() int64 { return *w.get().Status.StatefulSet.Generation }).Should(Equal(w.set.Generation))
		Expect(w.get().Status.Drains[0].OrphanedTime).
			To(Equal(since), "the time runs on while the StatefulSet changes otherwise")
		Expect(w.lock(1)).To(BeNil(), "a scale-up would start the pod at once")
		Consistently(w.jobs).Should(BeEmpty())
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinOrphanedSeconds = ptr.To[int32](1) })
		w.runningJob(1)
	})

	It("has the identity of the pod that it stands in for, if asked to", func() {
		spec := w.draining(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Identity = drainv1alpha1.IdentityStatefulSetPod
		}).Spec.Template.Spec
		Expect(spec.Hostname).To(Equal("store-1"))
		Expect(spec.Subdomain).To(Equal("store"))
	})

	It("does not start when the StatefulSet is deleted with whenDeleted: Retain", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinReadyReplicas = ptr.To[int32](0) })
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
		Eventually(w.drain(0)).Should(Equal("Retained/StatefulSetNotFound"))
		Eventually(w.drain(1)).Should(Equal("Retained/StatefulSetNotFound"))
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/StatefulSetNotFound"))
		Consistently(w.jobs).Should(BeEmpty())
	})

	DescribeTable("starts when the StatefulSet is deleted with whenDeleted: Drain",
		func(what drainv1alpha1.WhenDrained, end string) {
			w.statefulSet(2, claimTemplates("data", "logs"))
			w.policy(whenDrained(what), func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.WhenDeleted = drainv1alpha1.WhenDeletedDrain
				p.Spec.MinReadyReplicas = ptr.To[int32](0)
			})
			Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
			Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
			for ordinal := int32(1); ordinal >= 0; ordinal-- {
				job := w.runningJob(ordinal)
				spec := job.Spec.Template.Spec
				Expect(spec.Volumes).To(HaveLen(2), "the claim templates are remembered")
				Expect(spec.SecurityContext.FSGroup).To(HaveValue(BeEquivalentTo(2000)), "and who may read the data")
				Expect(spec.Containers[0].Env).
					To(ContainElements(corev1.EnvVar{Name: "DRAIN_REPLICAS", Value: "0"},
						corev1.EnvVar{Name: "DRAIN_PEERS", Value: ""}))
				w.finish(job, "uploaded")
				Eventually(w.drain(ordinal)).Should(Equal(end))
			}
			Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(HavePrefix("True/"))
			Consistently(func() string { return fmt.Sprint(w.drain(0)(), w.drain(1)()) }).Should(Equal(end + end))
		},
		Entry("and keeps the claims", drainv1alpha1.WhenDrainedRetain, "Drained/ClaimsKept"),
		Entry("and deletes the claims", drainv1alpha1.WhenDrainedDelete, "Drained/ClaimsDeleted"),
	)

	It("is stopped when the StatefulSet is created again", func() {
		w.statefulSet(1)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.WhenDeleted, p.Spec.WhenScaledUp = drainv1alpha1.WhenDeletedDrain, drainv1alpha1.WhenScaledUpCancel
			p.Spec.MinReadyReplicas = ptr.To[int32](0)
		})
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
		w.startPod(w.runningJob(0))
		again := &appsv1.StatefulSet{ObjectMeta: w.meta("store"), Spec: w.set.Spec}
		Expect(k8s.Create(w.ctx, again)).To(Succeed())
		Eventually(w.jobs).Should(BeEmpty())
		w.expectNoLock(0)
		Expect(w.claim("data-store-0")).NotTo(BeNil())
	})

	It("does not start with whenScaled: Retain", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaled = drainv1alpha1.WhenScaledRetain })
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Retained/WhenScaledRetain"))
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/RetainsClaims"))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("False/Retained"))
		Consistently(w.jobs).Should(BeEmpty())
		Expect(w.get().Status.Undrained).To(HaveValue(BeEquivalentTo(1)))
	})

	It("leaves skipped claims alone", func() {
		w.statefulSet(2)
		w.policy()
		claim := w.claim("data-store-1")
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.SkipAnnotation, "true")
		Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Retained/Skipped"))
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).
			Should(Equal("False/Retained"), "the skipped claim holds undrained data")
		Consistently(w.jobs).Should(BeEmpty())
	})

	It("is blocked by a claim that is missing, lost or being deleted by a user", func() {
		w.statefulSet(4, claimTemplates("data", "logs"))
		for _, name := range []string{"logs-store-1", "logs-store-3"} {
			claim := w.claim(name)
			if name == "logs-store-3" {
				claim.Finalizers = append(claim.Finalizers, "example.com/hold")
				Expect(k8s.Update(w.ctx, claim)).To(Succeed())
			}
			Expect(k8s.Delete(w.ctx, claim)).To(Succeed())
		}
		lost := w.claim("data-store-2")
		lost.Status.Phase = corev1.ClaimLost
		Expect(k8s.Status().Update(w.ctx, lost)).To(Succeed())
		w.policy()
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Blocked/ClaimMissing"))
		Eventually(w.drain(2)).Should(Equal("Blocked/ClaimLost"))
		Eventually(w.drain(3)).Should(Equal("Blocked/ClaimTerminating"))
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(HavePrefix("True/"))
		Consistently(w.jobs).Should(BeEmpty())
		held := w.claim("logs-store-3")
		held.Finalizers = nil
		Expect(k8s.Update(w.ctx, held)).To(Succeed())
	})

	It("tries again after a failure, at once when the template is fixed", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](1), MaxAttempts: ptr.To[int32](2)}
		})
		w.scale(1)
		first := w.runningJob(1)
		w.fail(first)
		second := w.runningJob(1)
		Expect(second.Name).NotTo(Equal(first.Name))
		Expect(second.Spec.Template.Spec.Containers[0].Env).
			To(ContainElement(corev1.EnvVar{Name: "DRAIN_ATTEMPT", Value: "2"}))
		Expect(w.lock(1)).NotTo(BeNil(), "the lock is held between two attempts")
		w.fail(second)
		Eventually(w.drain(1)).Should(Equal("Failed/AttemptsExhausted"))
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(Equal("True/AttemptsExhausted"))
		Consistently(w.jobs).Should(HaveLen(2))
		Expect(w.marked("data-store-1")).To(BeFalse())
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].Image = "fixed" })
		w.finish(w.runningJob(1), "")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
	})

	It("says how it ended when its claims are deleted, also after an attempt that failed", func() {
		w.statefulSet(2)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete), func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](1)}
		})
		w.scale(1)
		first := w.runningJob(1)
		w.fail(first)
		// The past Job lives on while the claim is being deleted, and must not take its place in the status.
		second := w.runningJob(1)
		w.finish(second, "moved 4 records")
		w.expectNoClaim("data-store-1")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsDeleted"))
		entry := w.get().Status.Drains[0]
		Expect(entry.Message).To(Equal("moved 4 records"))
		Expect(entry.JobName).To(Equal(second.Name))
		Expect(entry.Attempts).To(BeEquivalentTo(2))
	})

	It("delays a scale-up under Wait", func() {
		job := w.draining()
		pod := w.startPod(job)
		Eventually(w.drain(1)).Should(Equal("Draining/JobRunning"))
		w.scale(2)
		Eventually(w.drain(1)).Should(Equal("Draining/BackInRange"))
		Eventually(w.events("StatefulSet", drainv1alpha1.ReasonBackInRange)).Should(Equal(1))
		Consistently(func() *corev1.Pod { return w.lock(1) }).ShouldNot(BeNil())
		w.succeed(job, pod, "")
		w.expectNoLock(1)
		Expect(w.claim("data-store-1")).NotTo(BeNil())
	})

	It("is stopped by a scale-up under Cancel, and the lock stays until its pod is gone", func() {
		job := w.draining(func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaledUp = drainv1alpha1.WhenScaledUpCancel })
		pod := w.startPod(job)
		pod.Finalizers = append(pod.Finalizers, "example.com/slow-to-end")
		Expect(k8s.Update(w.ctx, pod)).To(Succeed())
		w.scale(2)
		Eventually(w.jobs).Should(BeEmpty())
		Eventually(w.drain(1)).Should(Equal("Draining/StoppingJob"))
		Consistently(func() *corev1.Pod { return w.lock(1) }).ShouldNot(BeNil(), "the pod may still write")
		Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		pod.Finalizers = nil
		Expect(k8s.Update(w.ctx, pod)).To(Succeed())
		w.expectNoLock(1)
		Expect(w.marked("data-store-1")).To(BeFalse())
	})

	It("is stopped by a scale-up while its pod has not started", func() {
		w.draining()
		w.scale(2)
		w.expectNoLock(1)
		Expect(w.jobs()).To(BeEmpty())
	})

	It("is stopped, and its lock released, when the policy is deleted", func() {
		w.startPod(w.draining())
		policy := w.get()
		Expect(k8s.Delete(w.ctx, policy)).To(Succeed())
		Eventually(func() error { return k8s.Get(w.ctx, client.ObjectKeyFromObject(policy), policy) }).
			Should(MatchError(ContainSubstring("not found")))
		Expect(w.lock(1)).To(BeNil())
		Expect(w.jobs()).To(BeEmpty())
		Expect(w.claim("data-store-1")).NotTo(BeNil())
	})
})

// ownPod creates a pod named store-<ordinal> that uses claim data-store-1.
func (w *world) ownPod(ordinal int) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{ObjectMeta: w.meta(fmt.Sprintf("store-%d", ordinal)), Spec: corev1.PodSpec{
		NodeName:   "somewhere",
		Containers: []corev1.Container{{Name: "store", Image: "store"}},
		Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-store-1"}}}},
	}}
	Expect(k8s.Create(w.ctx, pod)).To(Succeed())
	return pod
}

// podOfDeployment creates a pod as a Deployment has them.
func (w *world) podOfDeployment(name string) {
	GinkgoHelper()
	pod := &corev1.Pod{ObjectMeta: w.meta(name), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "front", Image: "front"}}}}
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "front", UID: "front", Controller: ptr.To(true)}}
	Expect(k8s.Create(w.ctx, pod)).To(Succeed())
}

var _ = Describe("Safety", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	DescribeTable("holds when the response to a write is lost", func(write string) {
		w.statefulSet(2, claimTemplates("data", "logs"))
		lost := 0
		operatorGate.loseResponses(w.namespace, func(w string) bool {
			if w != write || lost == 3 {
				return false
			}
			lost++
			return true
		})
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.scale(1)
		job := w.runningJob(1)
		Expect(w.lock(1)).NotTo(BeNil())
		w.finish(job, "")
		w.expectNoClaim("logs-store-1")
		w.expectNoLock(1)
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsDeleted"))
		created := 0
		for _, written := range operatorGate.written(w.namespace) {
			if written == "create Job" {
				created++
			}
		}
		Expect(created).To(Equal(1), "one Job, whatever was lost")
		Expect(lost).To(BeNumerically(">", 0), "something was lost")
	},
		Entry("the lock's creation", "create Pod"),
		Entry("the Job's creation", "create Job"),
		Entry("a mark", "patch PersistentVolumeClaim"),
		Entry("the Job's deletion", "delete Job"),
		Entry("a claim's deletion", "delete PersistentVolumeClaim"),
		Entry("the lock's deletion", "delete Pod"),
		Entry("the lock's finalizer", "patch Pod"),
		Entry("the status", "patch status DrainPolicy"),
	)

	It("holds when the cache still says that an ordinal is out of range", func() {
		w.statefulSet(1)
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		operatorGate.freeze(w.namespace, w.set.DeepCopy())
		// The StatefulSet controller creates the claim before the pod.
		w.scale(2)
		w.createClaims(1)
		Consistently(w.jobs).Should(BeEmpty())
		Expect(operatorGate.written(w.namespace)).NotTo(ContainElement("create Pod"), "no lock either")
		operatorGate.freeze(w.namespace, nil)
	})

	It("takes no finished Job of another lock for evidence", func() {
		w.finish(w.draining(whenDrained(drainv1alpha1.WhenDrainedRetain)), "")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		w.scale(2)
		Eventually(w.drain(1)).Should(BeEmpty())
		w.edit(whenDrained(drainv1alpha1.WhenDrainedDelete))
		// The mark would tell that its Job is an old one, too.
		claim := w.claim("data-store-1")
		delete(claim.Annotations, drainv1alpha1.DrainedAnnotation)
		Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		w.scale(1)
		w.runningJob(1)
		Consistently(func() *metav1.Time { return w.claim("data-store-1").DeletionTimestamp }).Should(BeNil())
	})

	It("does not delete a new claim of the same name", func() {
		job := w.draining(whenDrained(drainv1alpha1.WhenDrainedDelete))
		pod := w.startPod(job)
		// The operator stops the Job when its claim is another one; it completes all the same.
		for _, object := range []client.Object{job, pod} {
			Expect(k8s.Patch(w.ctx, object,
				client.RawPatch("application/merge-patch+json",
					[]byte(`{"metadata":{"finalizers":["example.com/slow-to-end"]}}`)))).To(Succeed())
		}
		w.podStatus(pod, corev1.PodSucceeded,
			corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.Now()}})
		old := w.claim("data-store-1")
		old.Finalizers = nil
		Expect(k8s.Update(w.ctx, old)).To(Succeed())
		Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, old))).To(Succeed())
		w.expectNoClaim("data-store-1")
		w.createClaims(1)
		w.complete(job)
		Consistently(func() *metav1.Time { return w.claim("data-store-1").DeletionTimestamp }).Should(BeNil())
		Expect(w.marked("data-store-1")).To(BeFalse())
	})

	It("believes no mark that was copied from another claim", func() {
		w.statefulSet(3)
		w.policy()
		w.scale(2)
		w.finish(w.runningJob(2), "")
		Eventually(w.drain(2)).Should(Equal("Drained/ClaimsKept"))
		claim := w.claim("data-store-1")
		claim.Annotations = w.claim("data-store-2").Annotations
		Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		w.scale(1)
		w.runningJob(1)
	})

	It("stops a Job whose lock was removed, before anything else", func() {
		job := w.draining()
		pod := w.startPod(job)
		pod.Finalizers = append(pod.Finalizers, "example.com/slow-to-end")
		Expect(k8s.Update(w.ctx, pod)).To(Succeed())
		lock := w.lock(1)
		lock.Finalizers = nil
		Expect(k8s.Update(w.ctx, lock)).To(Succeed())
		Expect(k8s.Delete(w.ctx, lock, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(w.jobs).Should(BeEmpty(), "the Job is being deleted")
		Consistently(w.jobs).Should(BeEmpty(), "and no other is created while its pod is there")
		Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		pod.Finalizers = nil
		Expect(k8s.Update(w.ctx, pod)).To(Succeed())
		Expect(w.runningJob(1).Annotations[drainv1alpha1.LockAnnotation]).NotTo(Equal(string(lock.UID)))
	})

	It("survives the deletion of the lock, by force too", func() {
		job := w.draining()
		pod := w.startPod(job)
		lock := w.lock(1)
		Expect(k8s.Delete(w.ctx, lock, client.GracePeriodSeconds(0))).To(Succeed())
		Consistently(func() types.UID { return w.lock(1).UID }).Should(Equal(lock.UID))
		w.succeed(job, pod, "")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		Expect(w.lock(1)).To(BeNil())
	})

	It("ungates no pod that appears while the lock is being deleted or gone", func() {
		late := w.draining()
		Expect(k8s.Delete(w.ctx, w.lock(1))).To(Succeed())
		pod := w.createPod(late)
		Eventually(func() bool { return w.runningJob(1).UID != late.UID }).Should(BeTrue(), "another Job under another lock")
		Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(pod), pod)).To(MatchError(ContainSubstring("not found")))

		// A Job whose creation hung until the ordinal had gone back to the StatefulSet.
		w.scale(2)
		w.expectNoLock(1)
		Eventually(w.jobs).Should(BeEmpty())
		late.ObjectMeta = metav1.ObjectMeta{
			Name: late.Name, Namespace: late.Namespace, Labels: late.Labels, Annotations: late.Annotations,
			OwnerReferences: late.OwnerReferences,
		}
		late.Spec.Selector, late.Status = nil, batchv1.JobStatus{}
		for _, label := range []string{"controller-uid", "job-name", batchv1.ControllerUidLabel, batchv1.JobNameLabel} {
			delete(late.Spec.Template.Labels, label)
		}
		Expect(k8s.Create(w.ctx, late)).To(Succeed())
		pod = w.createPod(late)
		Consistently(func() error {
			err := k8s.Get(w.ctx, client.ObjectKeyFromObject(pod), pod)
			Expect(pod.Spec.SchedulingGates).NotTo(BeEmpty())
			return client.IgnoreNotFound(err)
		}).Should(Succeed())
		Eventually(w.jobs).Should(BeEmpty(), "it is stopped")
	})

	It("starts no second drain pod beside one that was orphaned", func() {
		job := w.draining(retriedAtOnce)
		pod := w.startPod(job)
		Expect(k8s.Delete(w.ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		Eventually(w.drain(1)).Should(Equal("Draining/StoppingJob"))
		Consistently(w.jobs).Should(BeEmpty())
		Expect(k8s.Delete(w.ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		w.runningJob(1)
	})

	It("releases the lock of a policy whose finalizer was removed by force", func() {
		job := w.draining()
		policy := w.get()
		Expect(k8s.Patch(w.ctx, policy,
			client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/finalizers"}]`)))).To(Succeed())
		Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, policy))).To(Succeed())
		// The garbage collector would take the Job.
		Expect(client.IgnoreNotFound(k8s.Delete(w.ctx,
			job, client.PropagationPolicy(metav1.DeletePropagationForeground)))).To(Succeed())
		w.expectNoLock(1)
	})
})

var _ = Describe("A steady cluster", func() {
	It("costs no writes", func() {
		w := newWorld()
		w.statefulSet(3)
		w.policy()
		w.scale(2)
		w.finish(w.runningJob(2), "")
		Eventually(w.drain(2)).Should(Equal("Drained/ClaimsKept"))
		Eventually(func() []string { return w.get().Finalizers }).Should(BeEmpty())
		settled := 0
		Eventually(func() bool {
			before := settled
			settled = len(operatorGate.written(w.namespace))
			return settled == before
		}).WithPolling(time.Second).
			Should(BeTrue(), "a write that met a conflict is done again a moment later, and then all is written")
		// Events that change nothing that matters.
		for i := range 5 {
			claim := w.claim("data-store-2")
			metav1.SetMetaDataAnnotation(&claim.ObjectMeta, "example.com/touched", fmt.Sprint(i))
			Expect(k8s.Update(w.ctx, claim)).To(Succeed())
			Eventually(func() error {
				Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(w.set), w.set)).To(Succeed())
				metav1.SetMetaDataAnnotation(&w.set.ObjectMeta, "example.com/touched", fmt.Sprint(i))
				w.set.Status.ReadyReplicas = int32(i % 2)
				return k8s.Status().Update(w.ctx, w.set)
			}).Should(Succeed())
		}
		Consistently(func() string { return strings.Join(operatorGate.written(w.namespace)[settled:], ", ") }).
			Should(BeEmpty())
	})
})
