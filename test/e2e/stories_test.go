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
	"context"
	"fmt"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/test/versions"
)

func whenDeleted(what drainv1alpha1.WhenDeleted) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDeleted = what }
}

// deleteStore deletes the StatefulSet as `kubectl delete statefulset --cascade` does, and waits until it is gone.
func (w *world) deleteStore(ctx context.Context, how metav1.DeletionPropagation) {
	GinkgoHelper()
	By(fmt.Sprintf("deleting the StatefulSet, propagation %s", how))
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: storeName}}
	Expect(cluster.Delete(ctx, set, &client.DeleteOptions{PropagationPolicy: &how})).To(Succeed())
	Eventually(ctx, func() bool {
		return apierrors.IsNotFound(cluster.Get(ctx, w.key(storeName), set))
	}).Should(BeTrue(), "the StatefulSet must be gone")
}

// changeStore edits the StatefulSet as `kubectl edit` does.
func (w *world) changeStore(ctx context.Context, change func(*appsv1.StatefulSet)) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var set appsv1.StatefulSet
		g.Expect(cluster.Get(ctx, w.key(storeName), &set)).To(Succeed())
		change(&set)
		g.Expect(cluster.Update(ctx, &set)).To(Succeed())
	}).Should(Succeed())
}

// claimUIDs are the claims of an ordinal range.
func (w *world) claimUIDs(ctx context.Context, template string, n int32) map[string]string {
	GinkgoHelper()
	uids := map[string]string{}
	for ordinal := range n {
		uids[claim(template, ordinal)] = string(w.claimUID(ctx, claim(template, ordinal)))
	}
	return uids
}

var propagations = []metav1.DeletionPropagation{
	metav1.DeletePropagationForeground, metav1.DeletePropagationBackground, metav1.DeletePropagationOrphan,
}

var _ = Describe("A StatefulSet that is deleted", func() {
	It("keeps its claims under whenDeleted Retain, however it is deleted, and finds its data when it is created again", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(inspecting("data"), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 2, 4)
		claims := w.claimUIDs(ctx, "data", 2)
		for _, how := range propagations {
			w.deleteStore(ctx, how)
			w.expectCondition(ctx, storeName, drainv1alpha1.ConditionReady, "False "+drainv1alpha1.ReasonStatefulSetNotFound)
			w.expectDrain(ctx, 1, drainv1alpha1.DrainRetained, drainv1alpha1.ReasonStatefulSetNotFound)
			w.expectDrain(ctx, 0, drainv1alpha1.DrainRetained, drainv1alpha1.ReasonStatefulSetNotFound)
			w.create(ctx, statefulSet(2))
			w.expectReplicas(ctx, 2)
			w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
			w.expectRecords(ctx, records, 0, 1)
			Expect(w.claimUIDs(ctx, "data", 2)).To(Equal(claims))
		}
		w.expectUntouched()
	})

	DescribeTable("is drained under whenDeleted Drain once its Pods are gone, deleted with propagation", func(ctx SpecContext, how metav1.DeletionPropagation) {
		w.startStore(ctx, statefulSet(2), drainPolicy(inspecting("data"), whenDeleted(drainv1alpha1.WhenDeletedDrain), maxConcurrentDrains(2)))
		records := w.fillAll(ctx, 2, 4)
		w.deleteStore(ctx, how)
		if how == metav1.DeletePropagationOrphan {
			// Its Pods go on without it, and write.
			w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists)
			maps.Copy(records, map[string]string{"late": w.putRecord(ctx, 1, "late", "written without a StatefulSet")})
			w.expectNothingStarted()
			By("deleting its Pods")
			Expect(cluster.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(w.namespace), client.MatchingLabels(storeLabels))).To(Succeed())
		}
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectDrain(ctx, 0, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonAllDrained)
		w.expectNoLocks(ctx)
		Expect(w.recorder.drainJobs()).To(HaveLen(2))

		By("creating it again: all is there, nothing was lost")
		w.create(ctx, statefulSet(2))
		w.expectReplicas(ctx, 2)
		w.expectRecords(ctx, records, 0, 1)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)

		By("deleting it for good: what its Pods had since is drained before it goes")
		w.changePolicy(ctx, storeName, whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.deleteStore(ctx, metav1.DeletePropagationBackground)
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectNoClaim(ctx, claim("data", 0))
		Expect(w.recorder.drainJobs()).To(HaveLen(4))
	},
		Entry("Background", SpecTimeout(specTimeout), metav1.DeletePropagationBackground),
		// Slower ones, on demand.
		Entry("Foreground", Label("faults"), SpecTimeout(specTimeout), metav1.DeletePropagationForeground),
		Entry("Orphan", Label("faults"), SpecTimeout(specTimeout), metav1.DeletePropagationOrphan),
	)

	It("and created again at once starts no drain, under whenDeleted Drain neither", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(inspecting("data"), whenDeleted(drainv1alpha1.WhenDeletedDrain), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 2, 4)
		var old appsv1.StatefulSet
		Expect(cluster.Get(ctx, w.key(storeName), &old)).To(Succeed())
		w.deleteStore(ctx, metav1.DeletePropagationBackground)
		w.create(ctx, statefulSet(2))
		Eventually(ctx, func() string { return w.policy(ctx, storeName).Status.StatefulSet.UID }).ShouldNot(Equal(string(old.UID)), "the policy must have seen the new one")
		w.expectReplicas(ctx, 2)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectRecords(ctx, records, 0, 1)
		w.expectNothingStarted()
	})

	It("and created again with other claim templates leaves claims that are reported, and kept", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
		left := w.fillAll(ctx, 2, 4)
		claims := w.claimUIDs(ctx, "data", 2)
		w.deleteStore(ctx, metav1.DeletePropagationForeground)
		w.create(ctx, statefulSet(2, withClaimTemplates("index")))
		w.changePolicy(ctx, storeName, draining("index"))
		w.expectReplicas(ctx, 2)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "False "+drainv1alpha1.ReasonClaimsStranded)
		w.expectOneEvent(ctx, "DrainPolicy", storeName, drainv1alpha1.ReasonClaimsStranded)
		named := map[string]string{}
		for _, stranded := range w.policy(ctx, storeName).Status.StrandedClaims {
			named[stranded.Name] = stranded.UID
		}
		Expect(named).To(Equal(claims))

		records := w.fillAll(ctx, 2, 4)
		w.scale(ctx, 1)
		w.expectNoClaim(ctx, claim("index", 1))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "False "+drainv1alpha1.ReasonClaimsStranded)
		w.expectRecords(ctx, records, 0)
		Expect(w.claimUIDs(ctx, "data", 2)).To(Equal(claims), "the claims of the old template must stay")

		By("creating it once more with the old claim templates: the data is there")
		w.deleteStore(ctx, metav1.DeletePropagationForeground)
		w.create(ctx, statefulSet(2))
		w.expectReplicas(ctx, 2)
		w.expectRecords(ctx, left, 0, 1)
	})
})

var _ = Describe("A claim", func() {
	It("that is ReadWriteOncePod and was made without labels is drained once it is labeled, by a Pod with the identity of its owner", SpecTimeout(specTimeout), func(ctx SpecContext) {
		exclusive := func(set *appsv1.StatefulSet) {
			set.Spec.VolumeClaimTemplates[0].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
		}
		set := statefulSet(2, exclusive)
		restored := set.Spec.VolumeClaimTemplates[0].DeepCopy()
		restored.Name = claim("data", 1)
		w.create(ctx, restored)
		w.startStore(ctx, set, drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete), func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Identity = drainv1alpha1.IdentityStatefulSetPod
		}))
		Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(restored.UID), "the StatefulSet takes it")
		records := w.fillAll(ctx, 2, 6)

		w.scale(ctx, 1)
		By("leaving alone what the StatefulSet controller didn't make")
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "False "+drainv1alpha1.ReasonClaimsStranded)
		Expect(w.claimUID(ctx, claim("data", 1))).To(Equal(restored.UID))
		for key, value := range set.Spec.Selector.MatchLabels {
			w.kubectl(ctx, "label", "pvc", claim("data", 1), key+"="+value)
		}
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
		Expect(w.onlyDrainPod().Spec.Hostname).To(Equal(replica(1)))
		Expect(w.onlyDrainPod().Spec.Subdomain).To(Equal(storeName))
	})

	It("that a stranger's Pod mounts is drained when that is gone, and once more when one has mounted it since", Label("versions"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(drainArgs("--keep")))
		records := w.fillAll(ctx, 2, 6)
		stranger := func() *corev1.Pod {
			store := statefulSet(2).Spec.Template
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "debug"}, Spec: *store.Spec.DeepCopy()}
			// It only looks at the volume's folder; a second server would be refused by the store's own lock.
			pod.Spec.Containers[0].Args = append([]string{"serve"}, dataArgs([]string{"scratch"})...)
			pod.Spec.Containers[0].VolumeMounts = append(mounts([]string{"scratch"}), corev1.VolumeMount{Name: "data", MountPath: "/looked-at"})
			pod.Spec.Volumes = []corev1.Volume{emptyDir("scratch"), {Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim("data", 1)}}}}
			return pod
		}
		running := func() {
			GinkgoHelper()
			Eventually(ctx, func(g Gomega) {
				var pod corev1.Pod
				g.Expect(cluster.Get(ctx, w.key("debug"), &pod)).To(Succeed())
				g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning))
			}).Should(Succeed(), "the stranger must run")
		}
		end := func() {
			GinkgoHelper()
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "debug"}}
			Expect(cluster.Delete(ctx, pod)).To(Succeed())
			Eventually(ctx, func() bool { return apierrors.IsNotFound(cluster.Get(ctx, w.key("debug"), pod)) }).Should(BeTrue())
		}
		w.create(ctx, stranger())
		running()
		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonClaimInUse)
		Expect(w.expectMessage(ctx, 1, `"debug"`)).NotTo(BeEmpty())
		w.expectNothingStarted()
		end()
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectRecords(ctx, records, 0)
		w.expectNoLocks(ctx)
		Expect(w.recorder.drainJobs()).To(HaveLen(1))

		By("mounting the drained claim")
		w.create(ctx, stranger())
		running()
		if !isOn(ctx, versions.Unused) {
			// No event tells the operator. It looks when it has something to do there, and before it deletes the claim.
			w.changePolicy(ctx, storeName, whenDrained(drainv1alpha1.WhenDrainedDelete))
		}
		w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonClaimInUse)
		end()
		Eventually(ctx, w.recorder.drainJobs).Should(HaveLen(2), "it may hold new data")
		if isOn(ctx, versions.Unused) {
			w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		} else {
			w.expectNoClaim(ctx, claim("data", 1))
		}
		w.expectRecords(ctx, records, 0)
	})
})

var _ = Describe("A change of the StatefulSet", func() {
	It("of spec.ordinals.start drains at the low end, and gives the ordinal back", Label("versions"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start := func(first, n int32) func(*appsv1.StatefulSet) {
			return func(set *appsv1.StatefulSet) {
				withOrdinalsFrom(first)(set)
				set.Spec.Replicas = new(n)
			}
		}
		w.startStore(ctx, statefulSet(3), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, 6)
		old := w.claimUID(ctx, claim("data", 0))

		By("raising it")
		w.changeStore(ctx, start(1, 2))
		w.expectNoClaim(ctx, claim("data", 0))
		w.expectDrained(ctx, records, 1, 2)

		By("lowering it")
		w.changeStore(ctx, start(0, 3))
		w.expectReplicas(ctx, 3)
		Expect(w.claimUID(ctx, claim("data", 0))).NotTo(BeElementOf(old, BeEmpty()), "it must be a new claim")
		w.expectRecords(ctx, records, 0, 1, 2)
	})

	It("of whenScaled to Delete during a drain lets that drain end, and keeps what is not drained", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3), drainPolicy(held(), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, 6)
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 2, 6, 0)
		w.expectReplicas(ctx, 1)

		w.changeStore(ctx, withClaimsDeletedOnScaleDown())
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionReady, "False "+drainv1alpha1.ReasonClaimsDeletedOnScaleDown)
		w.release(ctx)
		w.expectNoClaim(ctx, claim("data", 2))
		w.expectDrain(ctx, 1, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonClaimsDeletedOnScaleDown)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionStalled, "True "+drainv1alpha1.ReasonClaimsDeletedOnScaleDown)

		By("switching it off again")
		w.changeStore(ctx, func(set *appsv1.StatefulSet) { set.Spec.PersistentVolumeClaimRetentionPolicy = nil })
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectDrained(ctx, records, 0)
	})
})
