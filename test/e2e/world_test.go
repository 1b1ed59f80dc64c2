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
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// world is one test's namespace, and what can be done and seen in it.
type world struct {
	namespace string
	// set is the name of the StatefulSet that the test is about, and of its policy.
	set      string
	recorder *recorder
	// scaled is when the StatefulSet was last scaled.
	scaled time.Time
	// outage says that the API server was away in the test, so that it may have forgotten a little of the history.
	outage bool
	// withoutCRD says that the CRD was away in the test, so that the history of policies has a gap. That of all else must be complete.
	withoutCRD bool
}

// w is the world of the test that runs; a process runs one at a time.
var w *world

func (w *world) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: w.namespace, Name: name}
}

func (w *world) create(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		object.SetNamespace(w.namespace)
		Expect(cluster.Create(ctx, object)).To(Succeed())
	}
}

// startStore creates Service, StatefulSet and policies, and waits until all replicas are ready and all policies are accepted.
func (w *world) startStore(ctx context.Context, set *appsv1.StatefulSet, policies ...*drainv1alpha1.DrainPolicy) {
	GinkgoHelper()
	w.create(ctx, service(), set)
	for _, policy := range policies {
		w.create(ctx, policy)
	}
	w.expectReplicas(ctx, *set.Spec.Replicas)
	for _, policy := range policies {
		w.expectCondition(ctx, policy.Name, drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)
	}
}

// scale sets the number of replicas as `kubectl scale` does.
func (w *world) scale(ctx context.Context, replicas int32) {
	GinkgoHelper()
	By(fmt.Sprintf("scaling to %d", replicas))
	w.scaled = time.Now()
	Eventually(ctx, func(g Gomega) {
		set := &appsv1.StatefulSet{}
		g.Expect(cluster.Get(ctx, w.key(w.set), set)).To(Succeed())
		scale := &autoscalingv1.Scale{}
		g.Expect(cluster.SubResource("scale").Get(ctx, set, scale)).To(Succeed())
		scale.Spec.Replicas = replicas
		g.Expect(cluster.SubResource("scale").Update(ctx, set, client.WithSubResourceBody(scale))).To(Succeed())
	}).Should(Succeed())
}

// expectReplicas waits until exactly that many replicas are there and ready.
func (w *world) expectReplicas(ctx context.Context, n int32) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var set appsv1.StatefulSet
		g.Expect(cluster.Get(ctx, w.key(w.set), &set)).To(Succeed())
		g.Expect(set.Status.ObservedGeneration).To(Equal(set.Generation))
		g.Expect(set.Status.Replicas).To(Equal(n), "replicas")
		g.Expect(set.Status.ReadyReplicas).To(Equal(n), "ready replicas")
	}).Should(Succeed(), "%s must have %d ready replicas", w.set, n)
}

func (w *world) policy(ctx context.Context, name string) *drainv1alpha1.DrainPolicy {
	GinkgoHelper()
	var policy drainv1alpha1.DrainPolicy
	Expect(cluster.Get(ctx, w.key(name), &policy)).To(Succeed())
	return &policy
}

// changePolicy edits a policy as `kubectl edit` does.
func (w *world) changePolicy(ctx context.Context, name string, change func(*drainv1alpha1.DrainPolicy)) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var policy drainv1alpha1.DrainPolicy
		g.Expect(cluster.Get(ctx, w.key(name), &policy)).To(Succeed())
		change(&policy)
		g.Expect(cluster.Update(ctx, &policy)).To(Succeed())
	}).Should(Succeed())
}

// expectCondition waits for a condition, given as "Status Reason" and, if need be, the beginning of the message after ": ".
func (w *world) expectCondition(ctx context.Context, policy, conditionType, want string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) string {
		var p drainv1alpha1.DrainPolicy
		g.Expect(cluster.Get(ctx, w.key(policy), &p)).To(Succeed())
		g.Expect(p.Status.ObservedGeneration).To(Equal(p.Generation), "observedGeneration")
		return describeCondition(&p, conditionType)
	}).Should(HavePrefix(want+":"), "condition %s of policy %s", conditionType, policy)
}

func describeCondition(p *drainv1alpha1.DrainPolicy, conditionType string) string {
	c := meta.FindStatusCondition(p.Status.Conditions, conditionType)
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

// expectDrain waits for an ordinal's entry in the status, given as "State Reason", and gives it back.
func (w *world) expectDrain(ctx context.Context, ordinal int32, state drainv1alpha1.DrainState, reason string) drainv1alpha1.DrainStatus {
	GinkgoHelper()
	var found drainv1alpha1.DrainStatus
	Eventually(ctx, func(g Gomega) string {
		var p drainv1alpha1.DrainPolicy
		g.Expect(cluster.Get(ctx, w.key(w.set), &p)).To(Succeed())
		entry := drainOf(&p, ordinal)
		if entry == nil {
			return "none"
		}
		found = *entry
		return fmt.Sprintf("%s %s: %s", entry.State, entry.Reason, entry.Message)
	}).Should(HavePrefix("%s %s:", state, reason), "the drain of ordinal %d", ordinal)
	return found
}

func drainOf(p *drainv1alpha1.DrainPolicy, ordinal int32) *drainv1alpha1.DrainStatus {
	for i := range p.Status.Drains {
		if entry := &p.Status.Drains[i]; entry.Ordinal != nil && *entry.Ordinal == ordinal {
			return entry
		}
	}
	return nil
}

// everShown tells whether the status of the policy ever showed a drain in that state, however shortly.
func (w *world) everShown(ordinal int32, state drainv1alpha1.DrainState, reason string) bool {
	GinkgoHelper()
	for _, c := range w.recorder.history() {
		if p, ok := c.object.(*drainv1alpha1.DrainPolicy); ok {
			if entry := drainOf(p, ordinal); entry != nil && entry.State == state && entry.Reason == reason {
				return true
			}
		}
	}
	return false
}

// expectNoLoop holds that the policy was not written again and again: a handful of changes tells any story here.
func (w *world) expectNoLoop(name string) {
	GinkgoHelper()
	writes := 0
	for _, c := range w.recorder.history() {
		if p, ok := c.object.(*drainv1alpha1.DrainPolicy); ok && p.Name == name {
			writes++
		}
	}
	Expect(writes).To(BeNumerically("<", 30), "writes of policy %s", name)
}

// claimUID gives a claim's UID, or "" if it is gone.
func (w *world) claimUID(ctx context.Context, name string) types.UID {
	GinkgoHelper()
	var pvc corev1.PersistentVolumeClaim
	err := cluster.Get(ctx, w.key(name), &pvc)
	if apierrors.IsNotFound(err) {
		return ""
	}
	Expect(err).NotTo(HaveOccurred())
	return pvc.UID
}

func (w *world) expectNoClaim(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(ctx, func() types.UID { return w.claimUID(ctx, name) }).Should(BeEmpty(), "claim %s must be deleted after its drain", name)
}

// expectUntouched holds that no claim was marked or deleted, and no Job created, in all the test's time.
func (w *world) expectUntouched() {
	GinkgoHelper()
	Expect(w.recorder.drainJobs()).To(BeEmpty(), "no Job must have been created")
	for _, c := range w.recorder.history() {
		if pvc, ok := c.object.(*corev1.PersistentVolumeClaim); ok {
			Expect(pvc.DeletionTimestamp).To(BeNil(), "claim %s must not be deleted", pvc.Name)
			Expect(pvc.Annotations).NotTo(HaveKey(drainv1alpha1.DrainedAnnotation), "claim %s must not be marked", pvc.Name)
		}
	}
}

// expectNoLocks waits until no lock is left.
func (w *world) expectNoLocks(ctx context.Context) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace), client.MatchingLabels{
			drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock,
		})).To(Succeed())
		names := make([]string, 0, len(pods.Items))
		for i := range pods.Items {
			names = append(names, pods.Items[i].Name)
		}
		g.Expect(names).To(BeEmpty())
	}).Should(Succeed(), "every lock must be released")
}

// events counts the events about an object of the given kind that have that reason, repetitions included.
func (w *world) events(ctx context.Context, g Gomega, kind, name, reason string) int32 {
	var list eventsv1.EventList
	g.Expect(cluster.List(ctx, &list, client.InNamespace(w.namespace))).To(Succeed())
	var count int32
	for i := range list.Items {
		event := &list.Items[i]
		if event.Regarding.Kind != kind || event.Regarding.Name != name || event.Reason != reason {
			continue
		}
		if event.Series != nil {
			count += event.Series.Count
		} else {
			count += max(event.DeprecatedCount, 1)
		}
	}
	return count
}

// expectOneEvent waits for an event and holds that it is there once.
func (w *world) expectOneEvent(ctx context.Context, kind, name, reason string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) { g.Expect(w.events(ctx, g, kind, name, reason)).To(Equal(int32(1))) }).
		Should(Succeed(), "there must be one event %s on %s %s", reason, kind, name)
}

// checkHistory holds everything that happened against the promises.
func (w *world) checkHistory(ctx context.Context) {
	GinkgoHelper()
	Eventually(ctx, w.recorder.seen(ctx)).Should(Succeed(), "the recorder must catch up")
	Expect(w.recorder.brokenPromises(w.set)).To(BeEmpty())
	if !w.outage {
		gaps := slices.DeleteFunc(slices.Clone(w.recorder.gaps), func(gap string) bool { return w.withoutCRD && strings.Contains(gap, "DrainPolicy") })
		Expect(gaps).To(BeEmpty(), "without an outage of the API server, the history must be complete")
	}
	w.expectNoViolation(ctx)
}

// restartOperator deletes the operator's Pods and waits until others are ready.
func restartOperator(ctx context.Context) {
	GinkgoHelper()
	var deployment appsv1.Deployment
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &deployment)).To(Succeed())
	selector := client.MatchingLabels(deployment.Spec.Selector.MatchLabels)
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(operatorNamespace), selector)).To(Succeed())
	Expect(pods.Items).NotTo(BeEmpty())
	for i := range pods.Items {
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, &pods.Items[i]))).To(Succeed())
	}
	Eventually(ctx, func(g Gomega) {
		for i := range pods.Items {
			old := &pods.Items[i]
			g.Expect(apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(old), &corev1.Pod{}))).To(BeTrue(), "Pod %s must be gone", old.Name)
		}
		operatorIsReady(ctx)(g)
	}).Should(Succeed(), "the operator must come back")
}
