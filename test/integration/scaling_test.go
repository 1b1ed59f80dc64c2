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

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func wants(n int32) func(*drainv1alpha1.DrainPolicy) {
	return func(policy *drainv1alpha1.DrainPolicy) {
		policy.Spec.Replicas, policy.Spec.MinReadyReplicas = &n, ptr.To[int32](0)
	}
}

func leave(policy *drainv1alpha1.DrainPolicy) {
	policy.Spec.Leave = &drainv1alpha1.LeaveOptions{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "leave", Image: "leave"}}}},
	}
	policy.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](1), MaxDelaySeconds: ptr.To[int32](1)}
}

// mayScale gives the operator the right that the component config/components/scaling gives, in this namespace.
func (w *world) mayScale() {
	GinkgoHelper()
	Expect(k8s.Create(w.ctx, &rbacv1.Role{
		ObjectMeta: w.meta("scale"),
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"statefulsets/scale"}, Verbs: []string{"update"}}},
	})).To(Succeed())
	Expect(k8s.Create(w.ctx, &rbacv1.RoleBinding{
		ObjectMeta: w.meta("scale"),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "scale"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "drain-operator-system", Name: "drain-operator-controller-manager"}},
	})).To(Succeed())
}

// runSet creates the pods of the StatefulSet that are missing, deletes those that are out of range, and reports what there is, as its
// controller would.
func (w *world) runSet() {
	GinkgoHelper()
	Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(w.set), w.set)).To(Succeed())
	for ordinal := range int32(8) {
		pod := &corev1.Pod{ObjectMeta: w.meta(fmt.Sprintf("store-%d", ordinal)), Spec: *w.set.Spec.Template.Spec.DeepCopy()}
		pod.Labels = w.set.Spec.Template.Labels
		pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(w.set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}
		if ordinal >= *w.set.Spec.Replicas {
			if w.lock(ordinal) == nil {
				Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
			}
			continue
		}
		err := k8s.Create(w.ctx, pod)
		if apierrors.IsAlreadyExists(err) {
			continue
		}
		Expect(err).NotTo(HaveOccurred())
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
		Expect(k8s.Status().Update(w.ctx, pod)).To(Succeed())
	}
	w.report()
}

// replicasOf returns the replicas of the StatefulSet.
func (w *world) replicasOf() int32 {
	GinkgoHelper()
	var set appsv1.StatefulSet
	Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(w.set), &set)).To(Succeed())
	return *set.Spec.Replicas
}

// scalePolicy does what kubectl scale and autoscalers do.
func (w *world) scalePolicy(n int32) {
	GinkgoHelper()
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: w.meta("store")}
	var scale autoscalingv1.Scale
	// The operator may write to the policy in between, so it is a conflict at times, which kubectl also tries again.
	Eventually(func() error {
		Expect(k8s.SubResource("scale").Get(w.ctx, policy, &scale)).To(Succeed())
		scale.Spec.Replicas = n
		return k8s.SubResource("scale").Update(w.ctx, policy, client.WithSubResourceBody(&scale))
	}).Should(Succeed())
}

// member waits for the Job with an action of an ordinal.
func (w *world) member(ordinal int32, action string) *batchv1.Job {
	GinkgoHelper()
	var found *batchv1.Job
	Eventually(func() *batchv1.Job {
		found = nil
		for _, job := range w.jobs() {
			if job.Labels[drainv1alpha1.OrdinalLabel] == fmt.Sprint(ordinal) && job.Annotations[drainv1alpha1.ActionAnnotation] == action && len(job.Status.Conditions) == 0 {
				found = &job
			}
		}
		return found
	}).ShouldNot(BeNil(), func() string {
		return fmt.Sprintf("a Job by which the member of ordinal %d does %s; Scaled is %s", ordinal, action, w.condition(drainv1alpha1.ConditionScaled)())
	})
	return found
}

var _ = Describe("A policy that is scaled", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("shows autoscalers what they need, and has no condition Scaled without spec.replicas", func() {
		w.statefulSet(2)
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Expect(w.get().Status.Replicas).To(HaveValue(BeEquivalentTo(2)))
		Expect(w.get().Status.Selector).To(Equal("app=store"))
		Expect(meta.FindStatusCondition(w.get().Status.Conditions, drainv1alpha1.ConditionScaled)).To(BeNil())

		By("reading the scale, which needs spec.replicas")
		policy := &drainv1alpha1.DrainPolicy{ObjectMeta: w.meta("store")}
		var scale autoscalingv1.Scale
		Expect(k8s.SubResource("scale").Get(w.ctx, policy, &scale)).NotTo(Succeed(), "a policy without spec.replicas has no scale")
		w.edit(wants(2))
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))
		Expect(k8s.SubResource("scale").Get(w.ctx, policy, &scale)).To(Succeed())
		Expect(scale.Spec.Replicas).To(BeEquivalentTo(2))
		Expect(scale.Status.Replicas).To(BeEquivalentTo(2))
		Expect(scale.Status.Selector).To(Equal("app=store"))
	})

	It("goes up at once, and down by one when the last is drained", func() {
		w.mayScale()
		w.statefulSet(1)
		w.runSet()
		w.policy(wants(1), whenDrained(drainv1alpha1.WhenDrainedDelete))
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))
		w.scalePolicy(3)
		Eventually(w.replicasOf).Should(BeEquivalentTo(3), "the operator raises the replicas at once")
		w.createClaims(1)
		w.createClaims(2)
		w.runSet()
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))

		w.scalePolicy(1)
		Eventually(w.replicasOf).Should(BeEquivalentTo(2))
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("False/WaitingForDrains"))
		Consistently(w.replicasOf).Should(BeEquivalentTo(2), "the pod of ordinal 2 still exists")
		w.runSet()
		w.finish(w.runningJob(2), "")
		w.expectNoClaim("data-store-2")
		Eventually(w.replicasOf).Should(BeEquivalentTo(1), "ordinal 2 is drained")
		w.runSet()
		w.finish(w.runningJob(1), "")
		w.expectNoClaim("data-store-1")
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))
		Expect(w.events("DrainPolicy", drainv1alpha1.ReasonScalingDown)()).To(Equal(2))
		Expect(w.events("StatefulSet", drainv1alpha1.ReasonScalingUp)()).To(Equal(1))
	})

	It("waits for replicas that are not ready", func() {
		w.mayScale()
		w.statefulSet(3)
		w.runSet()
		pod := &corev1.Pod{}
		Expect(k8s.Get(w.ctx, w.key("store-0"), pod)).To(Succeed())
		pod.Status.Conditions[0].Status = corev1.ConditionFalse
		Expect(k8s.Status().Update(w.ctx, pod)).To(Succeed())
		w.policy(wants(2))
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("False/WaitingForReadyReplicas"))
		Consistently(w.replicasOf).Should(BeEquivalentTo(3))
	})

	It("says so when the operator may not scale, and no member leaves then", func() {
		w.statefulSet(3)
		w.runSet()
		w.policy(wants(2), leave)
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("False/ScaleForbidden"))
		Expect(w.condition(drainv1alpha1.ConditionStalled)()).To(Equal("True/ScaleForbidden"))
		Consistently(w.jobs).Should(BeEmpty(), "a member must not leave in vain")

		By("giving the right")
		w.mayScale()
		w.member(2, drainv1alpha1.ActionLeave)
	})

	It("lets a member leave, join again, and leave", func() {
		w.mayScale()
		w.statefulSet(2)
		w.runSet()
		w.policy(wants(2), leave)
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))
		w.scalePolicy(1)
		job := w.member(1, drainv1alpha1.ActionLeave)
		w.startPod(job)
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("False/Leaving"))

		By("changing one's mind")
		w.scalePolicy(2)
		back := w.member(1, drainv1alpha1.ActionRejoin)
		Eventually(func() error { return k8s.Get(w.ctx, client.ObjectKeyFromObject(job), job) }).Should(Satisfy(apierrors.IsNotFound), "the Job by which the member left is stopped")
		w.finish(back, "")
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))
		Expect(w.replicasOf()).To(BeEquivalentTo(2))
		attempts := func() []string {
			var all []string
			for _, record := range w.recordList() {
				all = append(all, fmt.Sprintf("%s %d of %d: %s", record.Action, record.Attempt, *record.Ordinal, record.Result))
			}
			return all
		}
		Eventually(attempts).Should(ConsistOf("Rejoin 1 of 1: Succeeded"), "no container of the Job that was stopped has ended")

		By("leaving without a receipt, which proves nothing")
		w.scalePolicy(1)
		job = w.member(1, drainv1alpha1.ActionLeave)
		w.exit(w.startPod(job), "bye")
		w.complete(job)
		// The delay of the next attempt is a second, so on a busy machine the status need not show LeaveFailed.
		var again *batchv1.Job
		Eventually(func() types.UID {
			again = w.member(1, drainv1alpha1.ActionLeave)
			return again.UID
		}).ShouldNot(Equal(job.UID), "the member must leave by another Job")

		By("leaving")
		w.finish(again, "")
		Eventually(w.replicasOf).Should(BeEquivalentTo(1))
		w.runSet()
		w.finish(w.runningJob(1), "")
		Eventually(func() []string {
			var left []string
			for _, job := range w.jobs() {
				left = append(left, job.Annotations[drainv1alpha1.ActionAnnotation])
			}
			return left
		}).ShouldNot(ContainElement(drainv1alpha1.ActionLeave), "when all is over, the Job by which the member left goes")
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))

		By("looking at what is left of that")
		Eventually(attempts).Should(ConsistOf("Leave 1 of 1: NotProven", "Leave 2 of 1: Succeeded", "Drain 1 of 1: Succeeded"))
		for _, kind := range []string{"DrainPolicy", "StatefulSet"} {
			for reason, want := range map[string]int{
				drainv1alpha1.ReasonLeaving: 3, drainv1alpha1.ReasonRejoining: 1, drainv1alpha1.ReasonLeaveFailed: 1, "MemberBack": 1, "MemberLeft": 1,
			} {
				Eventually(w.events(kind, reason)).Should(Equal(want), "%s of the %s", reason, kind)
			}
		}
	})

	It("remembers a member whose Job is deleted and whose ordinal is scaled away, until it is back", func() {
		w.mayScale()
		w.statefulSet(2)
		w.runSet()
		w.policy(wants(2), leave)
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))
		w.scalePolicy(1)
		job := w.member(1, drainv1alpha1.ActionLeave)
		pod := w.startPod(job)
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("False/Leaving"))
		Expect(w.get().Annotations).To(HaveKeyWithValue(drainv1alpha1.MembersAnnotation, ContainSubstring(`"action":"leave"`)))

		By("suspending the policy, deleting the Job, and scaling the StatefulSet; without a garbage collector, the pod of the Job stays")
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = ptr.To(true) })
		Expect(k8s.Delete(w.ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		Expect(k8s.SubResource("scale").Update(w.ctx, w.set.DeepCopy(), client.WithSubResourceBody(&autoscalingv1.Scale{
			ObjectMeta: w.meta("store"), Spec: autoscalingv1.ScaleSpec{Replicas: 1},
		}))).To(Succeed())
		w.edit(wants(2))
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("False/Suspended"))
		Consistently(w.replicasOf).Should(BeEquivalentTo(1), "a suspended policy scales nothing, up neither")

		By("letting the pod of the Job end, as the kubelet would, and the policy go on")
		Eventually(func() *metav1.Time {
			Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
			return pod.DeletionTimestamp
		}).ShouldNot(BeNil(), "the operator stops a pod whose Job is gone")
		Expect(k8s.Delete(w.ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = ptr.To(false) })
		Eventually(w.replicasOf).Should(BeEquivalentTo(2))
		w.runSet()
		w.finish(w.member(1, drainv1alpha1.ActionRejoin), "")
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))
		Expect(w.get().Annotations).NotTo(HaveKey(drainv1alpha1.MembersAnnotation))
		Eventually(w.jobs).Should(BeEmpty(), "no Job must be left that would take the member in or out")
	})

	It("goes further down while the Job is there by which the last member has left", func() {
		w.mayScale()
		w.statefulSet(3)
		w.runSet()
		w.policy(wants(3), leave, func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaled = drainv1alpha1.WhenScaledRetain })
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))
		w.scalePolicy(2)
		left := w.member(2, drainv1alpha1.ActionLeave)
		w.finish(left, "")
		Eventually(w.replicasOf).Should(BeEquivalentTo(2))
		w.runSet()
		Eventually(w.condition(drainv1alpha1.ConditionScaled)).Should(Equal("True/ReplicasReached"))

		w.scalePolicy(1)
		w.finish(w.member(1, drainv1alpha1.ActionLeave), "")
		Eventually(w.replicasOf).Should(BeEquivalentTo(1), "the edit must not make the policy unaccepted")
		Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(left), left)).To(Succeed(), "without its Job, this shows nothing")
	})

	It("is fenced by the component that gives the right", func() {
		for _, object := range kustomization("config/overlays/scaling") {
			if strings.HasSuffix(object.GetName(), "-fence-scale") {
				Expect(k8s.Create(w.ctx, &object)).To(Succeed(), "%s", object.GetKind())
			}
		}
		w.mayScale()
		w.statefulSet(5)
		operator := clientAs(as(operatorUser, serviceAccountGroups("drain-operator-system")...))
		scaleTo := func(n int32) error {
			return operator.SubResource("scale").Update(w.ctx, w.set.DeepCopy(), client.WithSubResourceBody(&autoscalingv1.Scale{
				ObjectMeta: w.meta("store"), Spec: autoscalingv1.ScaleSpec{Replicas: n},
			}))
		}
		Eventually(func() error {
			Expect(scaleTo(5)).To(Succeed())
			return scaleTo(3)
		}).Should(MatchError(ContainSubstring("by one at a time")), "the API server takes a moment to follow a new policy")
		Expect(scaleTo(4)).To(Succeed())
		Expect(scaleTo(7)).To(Succeed())
		Expect(operator.Patch(w.ctx, w.set.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":1}}`)))).
			To(Satisfy(apierrors.IsForbidden), "the right is for the scale only")
	})

	DescribeTable("refuses", func(policy func(*drainv1alpha1.DrainPolicy), message string) {
		w.statefulSet(2)
		Expect(k8s.Create(w.ctx, w.newPolicy("store", policy))).To(MatchError(ContainSubstring(message)))
	},
		Entry("members that leave without replicas", func(p *drainv1alpha1.DrainPolicy) { leave(p) }, "leave requires replicas"),
		Entry("negative replicas", func(p *drainv1alpha1.DrainPolicy) { wants(-1)(p) }, "spec.replicas"),
		Entry("more replicas than there can be", func(p *drainv1alpha1.DrainPolicy) { wants(1_000_001)(p) }, "spec.replicas"),
		Entry("a member that never ends leaving", func(p *drainv1alpha1.DrainPolicy) {
			wants(1)(p)
			leave(p)
			p.Spec.Leave.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
		}, "leaving has an end"),
		Entry("a template without containers", func(p *drainv1alpha1.DrainPolicy) {
			wants(1)(p)
			leave(p)
			p.Spec.Leave.Template.Spec.Containers = nil
		}, "spec.leave.template"),
		Entry("a member that is dead at once", func(p *drainv1alpha1.DrainPolicy) {
			wants(1)(p)
			leave(p)
			p.Spec.Leave.DeadAfterSeconds = ptr.To[int32](9)
		}, "deadAfterSeconds"),
	)

	It("does not accept a template that mounts a claim of the StatefulSet, or that the API server refuses", func() {
		w.statefulSet(2)
		w.policy(wants(2), leave, func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Leave.Template.Spec.Volumes = []corev1.Volume{{Name: "mine", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-store-1"},
			}}}
		})
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/InvalidTemplate"))
		w.edit(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Leave.Template.Spec.Volumes = nil
			p.Spec.Leave.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "nowhere", MountPath: "/nowhere"}}
		})
		Eventually(func() string {
			return meta.FindStatusCondition(w.get().Status.Conditions, drainv1alpha1.ConditionReady).Message
		}).Should(ContainSubstring("the Job by which a member leaves"))
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Leave.Template.Spec.Containers[0].VolumeMounts = nil })
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
	})
})
