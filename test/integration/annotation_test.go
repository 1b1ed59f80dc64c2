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
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	scaledown = string(drainv1alpha1.ScaledownPodTemplateAnnotation)
	drainer   = string(drainv1alpha1.DrainerPodTemplateAnnotation)
	// managed is the name of the policy that the operator keeps for StatefulSet "store".
	managed = "store-managed"
)

// drainWith is an annotation's value, in the shape of the published example.
func drainWith(image string) string {
	return fmt.Sprintf(`{
  "metadata": {"labels": {"app": "store-cleanup"}, "annotations": {"example.com/note": "hello"}},
  "spec": {
    "terminationGracePeriodSeconds": 5,
    "containers": [{
      "name": "main",
      "image": %q,
      "volumeMounts": [{"name": "data", "mountPath": "/var/data"}]
    }]
  }
}
`, image)
}

// withAnnotation is a change to the StatefulSet before it is created.
func withAnnotation(key, value string) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) { metav1.SetMetaDataAnnotation(&set.ObjectMeta, key, value) }
}

// annotate changes annotations of the StatefulSet; an empty value takes one off. It makes no new generation.
func (w *world) annotate(key, value string) {
	GinkgoHelper()
	w.change(func(set *appsv1.StatefulSet) {
		if value == "" {
			delete(set.Annotations, key)
		} else {
			metav1.SetMetaDataAnnotation(&set.ObjectMeta, key, value)
		}
	})
}

// named returns a policy, or nil.
func (w *world) named(name string) *drainv1alpha1.DrainPolicy {
	GinkgoHelper()
	policy := &drainv1alpha1.DrainPolicy{}
	err := k8s.Get(w.ctx, w.key(name), policy)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return policy
}

// policies returns the names of the policies, and which are being deleted.
func (w *world) policies() []string {
	GinkgoHelper()
	var list drainv1alpha1.DrainPolicyList
	Expect(k8s.List(w.ctx, &list, client.InNamespace(w.namespace))).To(Succeed())
	names := []string{}
	for i := range list.Items {
		name := list.Items[i].Name
		if list.Items[i].DeletionTimestamp != nil {
			name += " (going)"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ready returns "Status/Reason: message" of the Ready condition of a policy.
func (w *world) ready(name string) func() string {
	return func() string {
		policy := w.named(name)
		if policy == nil {
			return "no policy"
		}
		expectSoundStatus(policy)
		c := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady)
		if c == nil || c.ObservedGeneration != policy.Generation {
			return ""
		}
		return fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
	}
}

// drainOf returns "State/Reason" of an ordinal in a policy's status.
func (w *world) drainOf(name string, ordinal int32) func() string {
	return func() string {
		policy := w.named(name)
		if policy == nil {
			return "no policy"
		}
		for _, d := range policy.Status.Drains {
			if *d.Ordinal == ordinal {
				return string(d.State) + "/" + d.Reason
			}
		}
		return ""
	}
}

// editPolicy changes a policy, whatever its name.
func (w *world) editPolicy(name string, change func(*drainv1alpha1.DrainPolicy)) {
	GinkgoHelper()
	Eventually(func() error {
		policy := w.named(name)
		change(policy)
		return k8s.Update(w.ctx, policy)
	}).Should(Succeed(), "editing policy %s", name)
}

// writes counts the operator's writes of one sort in the namespace.
func (w *world) writes(sort string) func() int {
	return func() int {
		count := 0
		for _, write := range operatorGate.written(w.namespace) {
			if write == sort {
				count++
			}
		}
		return count
	}
}

var _ = Describe("A policy whose template is in an annotation", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	fromAnnotation := func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template = corev1.PodTemplateSpec{}
		p.Spec.TemplateFrom.StatefulSetAnnotation = drainv1alpha1.ScaledownPodTemplateAnnotation
	}

	DescribeTable("is refused", func(mutate func(*drainv1alpha1.DrainPolicy), want string) {
		err := k8s.Create(w.ctx, w.newPolicy("store", mutate))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring(want)))
	},
		Entry("with a template beside it", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.TemplateFrom.StatefulSetAnnotation = drainv1alpha1.ScaledownPodTemplateAnnotation
		}, "exactly one of the fields in [template templateFrom] must be set"),
		Entry("with neither", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template = corev1.PodTemplateSpec{} },
			"exactly one of the fields in [template templateFrom] must be set"),
		Entry("in another annotation", func(p *drainv1alpha1.DrainPolicy) {
			fromAnnotation(p)
			p.Spec.TemplateFrom.StatefulSetAnnotation = "example.com/template"
		}, "spec.templateFrom.statefulSetAnnotation"),
		Entry("for when the StatefulSet is gone", func(p *drainv1alpha1.DrainPolicy) {
			fromAnnotation(p)
			p.Spec.WhenDeleted = drainv1alpha1.WhenDeletedDrain
		}, "whenDeleted must be Retain with templateFrom"),
	)

	It("is not managed, and drains with what the annotation says when the drain starts", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("first")))
		w.policy(fromAnnotation)
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		generation := w.set.Generation
		w.annotate(scaledown, drainWith("second"))
		Expect(w.set.Generation).To(Equal(generation), "an annotation makes no generation")
		w.scale(1)
		job := w.runningJob(1)
		Expect(images([]batchv1.Job{*job})).To(Equal([]string{"second"}))
		Expect(job.Labels).To(HaveKeyWithValue("app", "store-cleanup"))
		Expect(job.Spec.Template.Annotations).To(HaveKeyWithValue("example.com/note", "hello"))
		Expect(job.Spec.Template.Spec.TerminationGracePeriodSeconds).To(HaveValue(BeEquivalentTo(5)))
		Expect(job.Spec.Template.Spec.Volumes).
			To(ContainElement(HaveField("PersistentVolumeClaim.ClaimName", "data-store-1")))
		Expect(w.named("store").Spec.Template).
			To(Equal(corev1.PodTemplateSpec{}), "what was read isn't written to the policy")
		// The operator may have seen the StatefulSet before there was a policy for it.
		Eventually(w.policies).Should(Equal([]string{"store"}), "no other policy is needed")
	})

	It("replaces a Job whose pod has not started when the annotation is edited, but not for one that can't be read",
		func() {
			w.statefulSet(2, withAnnotation(scaledown, drainWith("wrong")))
			w.policy(fromAnnotation)
			w.scale(1)
			w.runningJob(1)
			w.annotate(scaledown, "{")
			Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/InvalidTemplate"))
			Consistently(func() []string { return images(w.jobs()) }).Should(Equal([]string{"wrong"}), "what runs goes on")
			w.annotate(scaledown, drainWith("right"))
			Eventually(func() []string { return images(w.jobs()) }).Should(Equal([]string{"right"}))
		})

	It("says so when there is no such annotation", func() {
		w.statefulSet(2)
		w.policy(fromAnnotation)
		Eventually(w.ready("store")).
			Should(HavePrefix("False/InvalidTemplate: The template can't be read: " +
				`StatefulSet "store" has no annotation ` + scaledown))
		w.annotate(scaledown, drainWith("drain"))
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
	})
})

var _ = Describe("An annotated StatefulSet", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	accepted := func() {
		GinkgoHelper()
		Eventually(w.ready(managed)).Should(HavePrefix("True/Accepted"))
	}

	DescribeTable("has a policy kept for it", func(key string) {
		w.statefulSet(2, withAnnotation(key, drainWith("drain")))
		accepted()
		policy := w.named(managed)
		Expect(policy.Labels).To(HaveKeyWithValue("app.kubernetes.io/managed-by", "drain-operator"))
		Expect(policy.Annotations["kubernetes.io/description"]).
			To(ContainSubstring("annotation " + key + " of StatefulSet store"))
		Expect(policy.OwnerReferences).To(ConsistOf(metav1.OwnerReference{
			APIVersion: "apps/v1", Kind: "StatefulSet",
			Name: "store", UID: w.set.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
		}))
		Expect(policy.Spec.TemplateFrom.StatefulSetAnnotation).To(BeEquivalentTo(key))
		Expect(policy.Spec.WhenScaled).To(Equal(drainv1alpha1.WhenScaledDrain))
		Expect(policy.Spec.WhenDrained).To(Equal(drainv1alpha1.WhenDrainedDelete))
		Expect(policy.Spec.WhenDeleted).To(Equal(drainv1alpha1.WhenDeletedRetain))
		Expect(policy.Spec.Identity).To(Equal(drainv1alpha1.IdentityStatefulSetPod))
		Expect(policy.Spec.MinReadyReplicas).To(HaveValue(BeZero()))
		Expect(policy.Spec.MaxConcurrentDrains).To(HaveValue(BeEquivalentTo(1)))
		Eventually(w.events("StatefulSet", "DrainPolicyCreated")).Should(Equal(1))
		Eventually(w.events("DrainPolicy", "DrainPolicyCreated")).Should(Equal(1))
		Expect(w.events("DrainPolicy", "AnnotationIgnored")()).To(BeZero())
	},
		Entry("by the annotation's last name", scaledown),
		Entry("by its first name", drainer),
	)

	It("is drained by a pod with the ordinal's host name, and its claim is deleted", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("drain")))
		w.scale(1)
		job := w.runningJob(1)
		Expect(job.Spec.Template.Spec.Hostname).To(Equal("store-1"))
		Expect(job.Spec.Template.Spec.Subdomain).To(Equal("store"))
		Expect(job.Spec.Template.Spec.RestartPolicy).To(Equal(corev1.RestartPolicyOnFailure))
		Expect(w.lock(1)).NotTo(BeNil())
		w.finish(job, "all done")
		Eventually(func() any { return w.claim("data-store-1") }).Should(BeNil())
		Eventually(w.drainOf(managed, 1)).Should(Equal("Drained/ClaimsDeleted"))
		Expect(w.claim("data-store-0")).NotTo(BeNil())
		w.expectNoLock(1)
	})

	It("is drained down to the last ordinal", func() {
		w.statefulSet(1, withAnnotation(drainer, drainWith("drain")))
		w.scale(0)
		w.finish(w.runningJob(0), "uploaded")
		Eventually(func() any { return w.claim("data-store-0") }).Should(BeNil())
	})

	It("is not written to, and its policy only once", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("drain")))
		accepted()
		before := w.named(managed)
		w.annotate("example.com/other", "note")
		w.scale(3)
		Eventually(func() int32 { return *w.named(managed).Status.StatefulSet.Replicas }).Should(BeEquivalentTo(3))
		Consistently(w.writes("patch DrainPolicy")).Should(BeZero())
		Expect(w.writes("create DrainPolicy")()).To(Equal(1))
		Expect(w.named(managed).Generation).To(Equal(before.Generation))
		for _, write := range operatorGate.written(w.namespace) {
			Expect(write).NotTo(HaveSuffix(" StatefulSet"))
		}
	})

	It("gets its policy back as it was when a user edits or deletes it", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("drain")))
		accepted()
		want := w.named(managed).Spec
		w.editPolicy(managed, func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.WhenDrained, p.Spec.Identity = drainv1alpha1.WhenDrainedRetain, drainv1alpha1.IdentityJob
			p.Spec.MinReadyReplicas = ptr.To[int32](1)
			p.Spec.TemplateFrom = drainv1alpha1.TemplateSource{}
			p.Spec.Template.Spec.Containers = []corev1.Container{{Name: "mine", Image: "mine"}}
			p.OwnerReferences, p.Annotations = nil, nil
			// Users may change these.
			p.Spec.Suspend, p.Spec.Retry.MaxAttempts = ptr.To(true), ptr.To[int32](3)
		})
		want.Suspend, want.Retry.MaxAttempts = ptr.To(true), ptr.To[int32](3)
		Eventually(func() drainv1alpha1.DrainPolicySpec { return w.named(managed).Spec }).Should(Equal(want))
		Expect(w.named(managed).OwnerReferences).To(HaveLen(1))
		Expect(w.named(managed).Annotations).To(HaveKey("kubernetes.io/description"))
		Eventually(w.ready(managed)).Should(HavePrefix("True/Suspended"))
		settled, writes := w.named(managed).Generation, w.writes("patch DrainPolicy")()
		Expect(settled).To(BeEquivalentTo(3), "made, edited and put back")
		Consistently(func() int64 { return w.named(managed).Generation }).Should(Equal(settled))
		Expect(w.writes("patch DrainPolicy")()).To(Equal(writes), "no loop")
		Eventually(w.events("StatefulSet", "DrainPolicyReverted")).Should(Equal(1))

		old := w.named(managed)
		Expect(k8s.Delete(w.ctx, old)).To(Succeed())
		Eventually(func() bool { p := w.named(managed); return p != nil && p.UID != old.UID }).
			Should(BeTrue(), "another one is made")
		accepted()
	})

	It("follows the annotation: fixed by an edit, gone when it is taken off, with what ran", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("wrong")))
		w.scale(1)
		w.runningJob(1)
		w.annotate(scaledown, drainWith("right"))
		Eventually(func() []string { return images(w.jobs()) }).Should(Equal([]string{"right"}))
		job := w.runningJob(1)
		w.startPod(job)

		w.annotate(scaledown, "")
		Eventually(w.policies).Should(BeEmpty())
		Eventually(w.jobs).Should(BeEmpty())
		w.expectNoLock(1)
		Expect(w.claim("data-store-1").DeletionTimestamp).To(BeNil(), "what isn't drained stays")
		Expect(w.marked("data-store-1")).To(BeFalse())
		Eventually(w.events("StatefulSet", "DrainPolicyDeleted")).Should(Equal(1))
	})

	It("with bad JSON reports where the mistake is, once, and nothing is drained until it is fixed", func() {
		w.statefulSet(2,
			withAnnotation(scaledown, strings.Replace(drainWith("drain"), `"name": "main",`, `"name": "main"`, 1)))
		Eventually(w.ready(managed)).
			Should(Equal(`False/InvalidTemplate: The template can't be read: annotation ` + scaledown +
				` of StatefulSet "store", line 7, column 7: invalid character '"' after object key:value pair`))
		w.scale(1)
		Eventually(w.drainOf(managed, 1)).Should(Equal("Waiting/InvalidTemplate"))
		Eventually(w.events("StatefulSet", drainv1alpha1.ReasonInvalidTemplate)).Should(Equal(1))
		Eventually(w.events("DrainPolicy", drainv1alpha1.ReasonInvalidTemplate)).Should(Equal(1))

		w.annotate(scaledown, strings.Replace(drainWith("drain"), `"image"`, `"imgae"`, 1))
		Eventually(w.ready(managed)).Should(HaveSuffix(`line 7, column 7: unknown field "spec.containers[0].imgae"`))
		Consistently(w.events("StatefulSet", drainv1alpha1.ReasonInvalidTemplate)).Should(Equal(1))
		Expect(w.jobs()).To(BeEmpty())
		Expect(w.lock(1)).To(BeNil())
		for _, write := range operatorGate.written(w.namespace) {
			Expect(write).To(BeElementOf("create DrainPolicy", "patch status DrainPolicy"))
		}

		w.annotate(scaledown, drainWith("drain"))
		w.runningJob(1)
	})

	It("is never drained with what only the cache says of its annotation", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("first")))
		accepted()
		stale := w.set.DeepCopy()
		stale.Spec.Replicas, stale.Status.Replicas, stale.Status.ReadyReplicas = ptr.To[int32](1), 1, 1
		operatorGate.freeze(w.namespace, stale)
		DeferCleanup(operatorGate.freeze, w.namespace, (*appsv1.StatefulSet)(nil))
		By("a mistake that the cache has not heard of")
		w.annotate(scaledown, "{")
		w.scale(1)
		Eventually(w.drainOf(managed, 1)).Should(Equal("Waiting/InvalidTemplate"))
		Consistently(func() *corev1.Pod { return w.lock(1) }).Should(BeNil())
		By("an edit that it has not heard of, so that the API server was not asked about it")
		w.annotate(scaledown, drainWith("second"))
		Eventually(w.drainOf(managed, 1)).Should(Equal("Waiting/PreflightFailed"))
		Consistently(func() *corev1.Pod { return w.lock(1) }).Should(BeNil())
		By("the cache hears of the edit")
		operatorGate.freeze(w.namespace, nil)
		Expect(images([]batchv1.Job{*w.runningJob(1)})).To(Equal([]string{"second"}))
	})

	It("keeps its policy while only the cache says that the annotation is gone", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("drain")))
		accepted()
		before := w.named(managed)
		stale := w.set.DeepCopy()
		stale.Annotations = nil
		operatorGate.freeze(w.namespace, stale)
		DeferCleanup(operatorGate.freeze, w.namespace, (*appsv1.StatefulSet)(nil))
		w.editPolicy(managed, func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDrained = drainv1alpha1.WhenDrainedRetain })
		Eventually(func() drainv1alpha1.WhenDrained { return w.named(managed).Spec.WhenDrained }).
			Should(Equal(drainv1alpha1.WhenDrainedDelete), "it was looked at, and put back")
		Expect(w.named(managed).UID).To(Equal(before.UID))
		Expect(w.writes("delete DrainPolicy")()).To(BeZero())
	})

	It("with a template that the API server refuses reports that in its words, before anything is at stake", func() {
		w.statefulSet(2,
			withAnnotation(scaledown, strings.Replace(drainWith("drain"), `{"name": "data"`, `{"name": "dta"`, 1)))
		Eventually(w.ready(managed)).
			Should(And(HavePrefix("False/InvalidTemplate: annotation "+scaledown+" is refused. "+
				"The API server refuses the drain that the template would become"),
				ContainSubstring(`volumeMounts[0].name: Not found: "dta"`)))
		w.annotate(scaledown, drainWith("drain"))
		accepted()
		By("an edit that the API server would refuse, though no generation changes")
		w.annotate(scaledown, strings.Replace(drainWith("drain"), `{"name": "data"`, `{"name": "dta"`, 1))
		Eventually(w.ready(managed)).Should(HavePrefix("False/InvalidTemplate"))
	})

	It("with both annotations has the newer one followed, and says so", func() {
		w.statefulSet(2, withAnnotation(drainer, drainWith("old")))
		accepted()
		Expect(w.events("StatefulSet", "AnnotationIgnored")()).To(BeZero())
		w.annotate(scaledown, drainWith("new"))
		Eventually(func() drainv1alpha1.TemplateAnnotation {
			return w.named(managed).Spec.TemplateFrom.StatefulSetAnnotation
		}).Should(BeEquivalentTo(scaledown))
		Eventually(w.ready(managed)).
			Should(HaveSuffix("its annotation " + drainer + " is ignored, because " + scaledown + " counts"))
		Expect(w.named(managed).Status.StatefulSet.IgnoredAnnotations).
			To(Equal([]drainv1alpha1.TemplateAnnotation{drainv1alpha1.DrainerPodTemplateAnnotation}))
		Eventually(w.events("StatefulSet", "AnnotationIgnored")).Should(BeNumerically(">=", 1))
		w.scale(1)
		Expect(images([]batchv1.Job{*w.runningJob(1)})).To(Equal([]string{"new"}))

		By("taking the newer one off")
		w.annotate(scaledown, "")
		Eventually(func() drainv1alpha1.TemplateAnnotation {
			return w.named(managed).Spec.TemplateFrom.StatefulSetAnnotation
		}).Should(BeEquivalentTo(drainer))
	})

	It("with an unmanaged policy has no other, and the policy says that the annotation is ignored", func() {
		w.policy()
		w.statefulSet(2, withAnnotation(scaledown, drainWith("annotated")))
		Eventually(w.ready("store")).
			Should(Equal(`True/Accepted: A scale-down of StatefulSet "store" will be drained; its annotation ` + scaledown +
				` is ignored, because DrainPolicy "store" has a template of its own`))
		Eventually(w.events("StatefulSet", "AnnotationIgnored")).Should(Equal(1))
		Eventually(w.events("DrainPolicy", "AnnotationIgnored")).Should(Equal(1))
		w.scale(1)
		Expect(images([]batchv1.Job{*w.runningJob(1)})).To(Equal([]string{"drain"}))
		Consistently(w.policies).Should(Equal([]string{"store"}))
		Expect(w.events("StatefulSet", "AnnotationIgnored")()).To(Equal(1), "still one event")
	})

	It("has its managed policy give way to an unmanaged one during a drain, and come back after it", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("annotated")))
		w.scale(1)
		job := w.runningJob(1)
		w.startPod(job)
		uid := w.claim("data-store-1").UID

		w.policy()
		Eventually(w.policies).Should(Equal([]string{"store"}))
		Eventually(func() []string { return images(w.jobs()) }).
			Should(Equal([]string{"drain"}), "the drain starts again under the other policy")
		Expect(w.claim("data-store-1").UID).To(Equal(uid))
		Expect(w.events("StatefulSet", drainv1alpha1.ReasonPolicyConflict)()).To(BeZero(), "that is no conflict")
		Eventually(w.events("StatefulSet", "DrainPolicyDeleted")).Should(Equal(1))
		Eventually(w.events("StatefulSet", "AnnotationIgnored")).Should(Equal(1))
		Eventually(w.events("DrainPolicy", "AnnotationIgnored")).Should(Equal(1))

		Expect(k8s.Delete(w.ctx, w.get())).To(Succeed())
		Eventually(w.policies).Should(Equal([]string{managed}))
	})

	It("whose policy's name is taken gets one of another name", func() {
		other := w.newPolicy(managed, func(p *drainv1alpha1.DrainPolicy) { p.Spec.StatefulSetRef.Name = "another" })
		Expect(k8s.Create(w.ctx, other)).To(Succeed())
		w.statefulSet(2, withAnnotation(scaledown, drainWith("drain")))
		unique := managed + "-" + string(w.set.UID)
		Eventually(w.ready(unique)).Should(HavePrefix("True/Accepted"))
		Consistently(w.policies).Should(Equal([]string{managed, unique}))
		Expect(w.named(managed).Spec.StatefulSetRef.Name).To(Equal("another"))
	})

	It("without claim templates reports that there is nothing to drain", func() {
		w.statefulSet(1, claimTemplates(), withAnnotation(scaledown, drainWith("drain")))
		Eventually(w.ready(managed)).Should(HavePrefix("False/NoClaimTemplates"))
	})

	It("waits for a drain pod of the old controller, which holds the name that the lock needs", func() {
		w.statefulSet(2, withAnnotation(scaledown, drainWith("drain")))
		accepted()
		old := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: "store-1", Namespace: w.namespace, Labels: map[string]string{"scaledown-pod": "store-1"},
				Annotations: map[string]string{"statefulsets.kubernetes.io/scaledown-pod-owner": "store"},
			},
			Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyOnFailure,
				Containers:    []corev1.Container{{Name: "main", Image: "drain"}},
				Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
					PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-store-1"},
				}}},
			},
		}
		Expect(k8s.Create(w.ctx, old)).To(Succeed())
		w.scale(1)
		Eventually(w.drainOf(managed, 1)).Should(Equal("Waiting/PodStillExists"))
		By("it has succeeded, and no controller is there to delete it and its claim")
		w.podStatus(old, corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})
		Consistently(w.drainOf(managed, 1)).Should(Equal("Waiting/PodStillExists"))
		Expect(w.jobs()).To(BeEmpty())
		Expect(k8s.Delete(w.ctx, old, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(func() int { return len(w.jobs()) }).
			WithTimeout(25*time.Second).Should(Equal(1), "it is drained again: drains are at least once")
	})

	Describe("that is deleted", func() {
		// collect deletes the policy as the garbage collector does once its owner is gone.
		collect := func(owner types.UID) {
			GinkgoHelper()
			policy := w.named(managed)
			Expect(metav1.GetControllerOf(policy).UID).To(Equal(owner))
			Expect(k8s.Delete(w.ctx, policy, client.Preconditions{UID: &policy.UID})).To(Succeed())
		}
		released := func() {
			GinkgoHelper()
			Eventually(func() []batchv1.Job { return w.jobs() }).Should(BeEmpty())
			Eventually(func() *corev1.Pod { return w.lock(1) }).Should(BeNil(), "the lock is released")
			Expect(w.claim("data-store-1").DeletionTimestamp).To(BeNil(), "what isn't drained stays")
		}
		BeforeEach(func() {
			w.statefulSet(2, withAnnotation(scaledown, drainWith("drain")))
			w.scale(1)
			w.startPod(w.runningJob(1))
			Expect(w.named(managed).Finalizers).To(ContainElement(drainv1alpha1.PolicyFinalizer))
		})

		It("in the background takes its policy and the drain with it, and one of the same name gets its own", func() {
			old := w.set.UID
			Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
			collect(old)
			Eventually(w.policies).Should(BeEmpty())
			released()
			w.createAgain()
			Eventually(func() types.UID { return ownerOf(w.named(managed)) }).Should(Equal(w.set.UID))
			w.runningJob(1)
		})

		It("and created again at once has the policy of the earlier one deleted, and then its own", func() {
			old := w.named(managed).UID
			Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
			w.createAgain()
			Eventually(func() types.UID { return ownerOf(w.named(managed)) }).Should(Equal(w.set.UID))
			Expect(w.named(managed).UID).NotTo(Equal(old))
			Eventually(func() int { return len(w.jobs()) }).Should(Equal(1))
			Expect(w.runningJob(1).OwnerReferences).To(ConsistOf(HaveField("UID", w.named(managed).UID)))
		})

		It("in the foreground goes when its policy is gone, and the policy when its lock is", func() {
			Expect(k8s.Delete(w.ctx, w.set, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
			Consistently(w.policies).Should(Equal([]string{managed}), "the operator leaves that to the garbage collector")
			collect(w.set.UID)
			Eventually(w.policies).Should(BeEmpty())
			released()
			Consistently(w.policies).Should(BeEmpty(), "no other one is made for a StatefulSet that is being deleted")
			set := &appsv1.StatefulSet{}
			Expect(k8s.Get(w.ctx, w.key("store"), set)).To(Succeed())
			Expect(set.Finalizers).To(Equal([]string{metav1.FinalizerDeleteDependents}), "nothing of the operator's keeps it")
			set.Finalizers = nil
			Expect(k8s.Update(w.ctx, set)).To(Succeed())
		})

		It("without what it owns leaves its policy to the one that is created again, and the drain goes on", func() {
			running := w.runningJob(1).UID
			// The garbage collector takes the owner off, then lets the StatefulSet go.
			Expect(k8s.Delete(w.ctx, w.set, client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
			w.editPolicy(managed, func(p *drainv1alpha1.DrainPolicy) { p.OwnerReferences = nil })
			uid := w.named(managed).UID
			set := &appsv1.StatefulSet{}
			Expect(k8s.Get(w.ctx, w.key("store"), set)).To(Succeed())
			set.Finalizers = nil
			Expect(k8s.Update(w.ctx, set)).To(Succeed())
			Consistently(w.policies).Should(Equal([]string{managed}))
			w.createAgain()
			Eventually(func() types.UID { return ownerOf(w.named(managed)) }).Should(Equal(w.set.UID))
			Expect(w.named(managed).UID).To(Equal(uid))
			Expect(w.runningJob(1).UID).To(Equal(running))
		})
	})
})

// createAgain creates the StatefulSet again, with the one replica and the annotations that it had.
func (w *world) createAgain() {
	GinkgoHelper()
	again := w.set.DeepCopy()
	again.ObjectMeta = metav1.ObjectMeta{Name: w.set.Name, Namespace: w.namespace, Annotations: w.set.Annotations}
	again.Status = appsv1.StatefulSetStatus{}
	Eventually(func() error { return k8s.Create(w.ctx, again) }).Should(Succeed(), "creating the StatefulSet again")
	w.set = again
	w.report()
}

func ownerOf(policy *drainv1alpha1.DrainPolicy) types.UID {
	if policy == nil || metav1.GetControllerOf(policy) == nil {
		return ""
	}
	return metav1.GetControllerOf(policy).UID
}
