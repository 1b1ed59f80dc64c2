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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Whatever is wrong: a condition that says so, one event, no claim touched, no loop, and all is well by itself once the cause is gone.
var _ = Describe("A policy that can't work", func() {
	// expectRefused waits for Ready=False with the reason and a message that contains the given words.
	expectRefused := func(ctx SpecContext, policy, reason string, words ...string) {
		GinkgoHelper()
		w.expectCondition(ctx, policy, drainv1alpha1.ConditionReady, "False "+reason)
		for _, word := range words {
			Expect(describeCondition(w.policy(ctx, policy), drainv1alpha1.ConditionReady)).To(ContainSubstring(word))
		}
		w.expectOneEvent(ctx, "DrainPolicy", policy, reason)
	}
	// expectArmed waits until the policy has recovered, and looks that nothing happened until then.
	expectArmed := func(ctx SpecContext, policy, reason string) {
		GinkgoHelper()
		w.expectCondition(ctx, policy, drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)
		w.expectOneEvent(ctx, "DrainPolicy", policy, reason)
		w.expectUntouched()
		w.expectNoLoop(policy)
	}

	It("names a StatefulSet that doesn't exist", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.create(ctx, service(), drainPolicy())
		expectRefused(ctx, storeName, drainv1alpha1.ReasonStatefulSetNotFound, storeName)
		w.create(ctx, statefulSet(1))
		expectArmed(ctx, storeName, drainv1alpha1.ReasonStatefulSetNotFound)
	})

	It("names a StatefulSet without claim templates", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.create(ctx, service(), statefulSet(1, withoutClaimTemplates()), drainPolicy())
		expectRefused(ctx, storeName, drainv1alpha1.ReasonNoClaimTemplates, storeName)

		By("replacing the StatefulSet")
		foreground := metav1.DeletePropagationForeground
		set := &appsv1.StatefulSet{}
		Expect(cluster.Get(ctx, w.key(storeName), set)).To(Succeed())
		Expect(cluster.Delete(ctx, set, &client.DeleteOptions{PropagationPolicy: &foreground})).To(Succeed())
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, w.key(storeName), set))
		}).Should(BeTrue(), "the StatefulSet must be gone")
		w.create(ctx, statefulSet(1))
		expectArmed(ctx, storeName, drainv1alpha1.ReasonNoClaimTemplates)
	})

	It("names a StatefulSet that deletes its claims on scale-down", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.create(ctx, service(), statefulSet(1, withClaimsDeletedOnScaleDown()), drainPolicy())
		expectRefused(ctx, storeName, drainv1alpha1.ReasonClaimsDeletedOnScaleDown, "persistentVolumeClaimRetentionPolicy")

		set := &appsv1.StatefulSet{}
		Expect(cluster.Get(ctx, w.key(storeName), set)).To(Succeed())
		before := client.MergeFrom(set.DeepCopy())
		set.Spec.PersistentVolumeClaimRetentionPolicy.WhenScaled = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
		Expect(cluster.Patch(ctx, set, before)).To(Succeed())
		expectArmed(ctx, storeName, drainv1alpha1.ReasonClaimsDeletedOnScaleDown)
	})

	It("has a template that the API server refuses, and says so in the API server's words within seconds", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.create(ctx, service(), statefulSet(1))
		w.expectReplicas(ctx, 1)
		start := time.Now()
		w.create(ctx, drainPolicy(func(p *drainv1alpha1.DrainPolicy) {
			container := &p.Spec.Template.Spec.Containers[0]
			container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "nowhere", MountPath: "/nowhere"})
		}))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionReady, "False "+drainv1alpha1.ReasonInvalidTemplate)
		Expect(time.Since(start)).To(BeNumerically("<", 3*time.Second), "it must be known long before a scale-down")
		expectRefused(ctx, storeName, drainv1alpha1.ReasonInvalidTemplate, `volumeMounts[1].name`, `"nowhere"`)

		w.changePolicy(ctx, storeName, func(p *drainv1alpha1.DrainPolicy) {
			container := &p.Spec.Template.Spec.Containers[0]
			container.VolumeMounts = container.VolumeMounts[:1]
		})
		expectArmed(ctx, storeName, drainv1alpha1.ReasonInvalidTemplate)
	})

	It("has a template that the namespace's Pod Security refuses", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.create(ctx, service(), statefulSet(1), drainPolicy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers[0].SecurityContext = nil
		}))
		expectRefused(ctx, storeName, drainv1alpha1.ReasonInvalidTemplate, "violates PodSecurity", "allowPrivilegeEscalation")

		w.changePolicy(ctx, storeName, func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers[0].SecurityContext = restricted()
		})
		expectArmed(ctx, storeName, drainv1alpha1.ReasonInvalidTemplate)
	})

	It("has a volume of a claim template's name, and what is scaled down meanwhile waits untouched", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.create(ctx, service(), statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete), func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Volumes = []corev1.Volume{emptyDir("data")}
		}))
		expectRefused(ctx, storeName, drainv1alpha1.ReasonInvalidTemplate, `"data"`)
		w.expectReplicas(ctx, 2)
		records := w.fillAll(ctx, 2, 6)

		w.scale(ctx, 1)
		w.expectReplicas(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonInvalidTemplate)
		w.expectUntouched()

		w.changePolicy(ctx, storeName, func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Volumes = nil })
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
		w.expectOneEvent(ctx, "DrainPolicy", storeName, drainv1alpha1.ReasonInvalidTemplate)
		w.expectNoLoop(storeName)
	})

	It("is the second one for its StatefulSet, and leaves a scale-down to the first", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(named("first"), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 2, 6)
		// Policies of one second are distinguished by name; another second makes it the younger one beyond doubt.
		first := w.policy(ctx, "first")
		Eventually(ctx, time.Now).Should(BeTemporally(">", first.CreationTimestamp.Add(time.Second)))
		w.create(ctx, drainPolicy(named("a-second")))
		expectRefused(ctx, "a-second", drainv1alpha1.ReasonPolicyConflict, `"first"`)
		w.expectCondition(ctx, "first", drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)

		w.scale(ctx, 1)
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
		Expect(w.recorder.drainJobs()).To(HaveExactElements(HaveField("ObjectMeta.OwnerReferences", ConsistOf(HaveField("Name", "first")))))

		Expect(cluster.Delete(ctx, first)).To(Succeed())
		w.expectCondition(ctx, "a-second", drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)
		w.expectOneEvent(ctx, "DrainPolicy", "a-second", drainv1alpha1.ReasonPolicyConflict)
		w.expectNoLoop("a-second")
	})

	It("has restartPolicy Always, and is refused at once", SpecTimeout(specTimeout), func(ctx SpecContext) {
		policy := drainPolicy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways })
		policy.Namespace = w.namespace
		err := cluster.Create(ctx, policy)
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "got %v", err)
		Expect(err).To(MatchError(ContainSubstring("restartPolicy must be OnFailure or Never")))
	})

	It("names an image that doesn't exist: the claim stays as it is, and the drain starts when the template is fixed", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete), func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers[0].Image = "localhost/no-such-image:dev"
		}))
		records := w.fillAll(ctx, 2, 6)

		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonImagePullFailed)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionStalled, "True "+drainv1alpha1.ReasonImagePullFailed)
		w.expectOneEvent(ctx, "DrainPolicy", storeName, drainv1alpha1.ReasonImagePullFailed)
		Expect(w.claimUID(ctx, claim("data", 1))).NotTo(BeEmpty())

		w.changePolicy(ctx, storeName, func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].Image = storeImage })
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionStalled, "False "+drainv1alpha1.ReasonProgressing)
		w.expectNoLoop(storeName)
	})
})
