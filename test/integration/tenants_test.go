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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// hostileSet creates a StatefulSet whose claims' names fit some fifteen hundred others, and the policy for it. Its
// ordinal 1 is orphaned, and can't be drained because its pod never goes.
func (w *world) hostileSet(name string) {
	GinkgoHelper()
	labels := map[string]string{"app": name}
	container := corev1.Container{Name: "drain", Image: "drain"}
	set := &appsv1.StatefulSet{ObjectMeta: w.meta(name), Spec: appsv1.StatefulSetSpec{
		Replicas: ptr.To[int32](1), ServiceName: name, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}},
		},
	}}
	for i := range 100 {
		template := fmt.Sprintf("a-b-c-d-e-f-g-h-i-j-k-l-m-n-%d", i)
		set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, claimTemplate(template))
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: template, MountPath: "/" + template})
	}
	Expect(k8s.Create(w.ctx, set)).To(Succeed())
	set.Status = appsv1.StatefulSetStatus{Replicas: 1, ReadyReplicas: 1, ObservedGeneration: set.Generation}
	Expect(k8s.Status().Update(w.ctx, set)).To(Succeed())
	for i := range set.Spec.VolumeClaimTemplates {
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: w.meta(claims.Name(set.Spec.VolumeClaimTemplates[i].Name, name, 1)),
			Spec:       *set.Spec.VolumeClaimTemplates[i].Spec.DeepCopy(),
		}
		claim.Labels, claim.Spec.VolumeName = labels, "volume-of-"+claim.Name
		Expect(k8s.Create(w.ctx, claim)).To(Succeed())
		claim.Status.Phase = corev1.ClaimBound
		Expect(k8s.Status().Update(w.ctx, claim)).To(Succeed())
	}
	Expect(k8s.Create(w.ctx,
		&corev1.Pod{
			ObjectMeta: w.meta(name + "-1"),
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}},
		})).To(Succeed())
	Expect(k8s.Create(w.ctx, &drainv1alpha1.DrainPolicy{ObjectMeta: w.meta(name), Spec: drainv1alpha1.DrainPolicySpec{
		StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: name},
		Template:       corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{container}}},
	}})).To(Succeed())
}

var _ = Describe("Other tenants", func() {
	It("can't take the operator's time with names that fit many StatefulSets", func() {
		hostile, victim := newWorld(), newWorld()
		victim.statefulSet(2)
		victim.policy()
		Eventually(victim.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		for i := range 4 {
			hostile.hostileSet(fmt.Sprintf("hostile%d", i))
		}
		for i := range 4 {
			Eventually(hostile.conditionOf(fmt.Sprintf("hostile%d", i), drainv1alpha1.ConditionDrained)).
				WithTimeout(3*time.Minute).Should(Equal("False/PodStillExists"), "its ordinal is looked at, live, again and again")
		}
		before := operatorGate.reads(hostile.namespace)
		set := &appsv1.StatefulSet{}
		Expect(k8s.Get(hostile.ctx, hostile.key("hostile0"), set)).To(Succeed())
		set.Status.ReadyReplicas = 0
		Expect(k8s.Status().Update(hostile.ctx, set)).To(Succeed())
		set.Status.ReadyReplicas = 1
		Expect(k8s.Status().Update(hostile.ctx, set)).To(Succeed())
		start := time.Now()
		victim.scale(1)
		Eventually(func() *corev1.Pod { return victim.lock(1) }).
			WithTimeout(3 * time.Minute).WithPolling(10 * time.Millisecond).ShouldNot(BeNil())
		AddReportEntry("time to lock beside four hostile policies", time.Since(start).String())
		Eventually(func() int { return len(operatorGate.reads(hostile.namespace)) - len(before) }).
			Should(BeNumerically(">=", 6), "hostile0 was looked at")
		// Policy, StatefulSet, and one list each of policies, StatefulSets, claims, pods and Jobs.
		looks := strings.Count(strings.Join(operatorGate.reads(hostile.namespace), " "), "get DrainPolicy")
		reads := len(operatorGate.reads(hostile.namespace))
		AddReportEntry("live reads a look", fmt.Sprint(float64(reads)/float64(looks)))
		Expect(reads).
			To(BeNumerically("<=",
				7*looks+6), "a look costs the same however many StatefulSets a name fits; another one may be under way")
	})
})
