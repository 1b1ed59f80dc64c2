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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func wanting(replicas int32) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Spec.Replicas = &replicas }
}

// leaving is a script that asks the member itself whether it lives, before it writes the receipt.
func leaving() func(*drainv1alpha1.DrainPolicy) {
	script := `set -eu
trap 'exit 143' TERM
echo "$DRAIN_ACTION of $DRAIN_POD_NAME"
busybox wget -q -O- "http://$DRAIN_POD_NAME.$DRAIN_SERVICE:8080/healthz"
printf '%s\n' "$DRAIN_ACTION of $DRAIN_POD_NAME" "$DRAIN_RECEIPT" >>/dev/termination-log`
	return func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Leave = &drainv1alpha1.LeaveOptions{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(5)),
			Containers: []corev1.Container{{
				Name: "leave", Image: "localhost/busybox:dev", Command: []string{"sh", "-c", script}, SecurityContext: restricted(),
			}},
		}}}
	}
}

// scalePolicy is kubectl scale drainpolicy.
func (w *world) scalePolicy(ctx context.Context, replicas int32) {
	GinkgoHelper()
	w.kubectl(ctx, "scale", "drainpolicy/"+storeName, fmt.Sprintf("--replicas=%d", replicas))
}

// watchReplicas notes every number of replicas that the StatefulSet is given, until the returned function is called.
func (w *world) watchReplicas(ctx context.Context) func() []int32 {
	GinkgoHelper()
	watch, err := cluster.Watch(ctx, &appsv1.StatefulSetList{}, client.InNamespace(w.namespace))
	Expect(err).NotTo(HaveOccurred())
	var seen []int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watch.ResultChan() {
			if set, ok := event.Object.(*appsv1.StatefulSet); ok && (len(seen) == 0 || seen[len(seen)-1] != *set.Spec.Replicas) {
				seen = append(seen, *set.Spec.Replicas)
			}
		}
	}()
	return func() []int32 {
		watch.Stop()
		<-done
		return seen
	}
}

// mayScale gives the operator the right to scale for the specs of an ordered container.
func mayScale() {
	var base, scaling installation
	BeforeAll(func(ctx SpecContext) {
		base, scaling = render(ctx, "config/default"), render(ctx, "config/overlays/scaling")
		base.replaceWith(ctx, scaling)
	}, NodeTimeout(2*time.Minute))
	AfterAll(func(ctx SpecContext) { scaling.replaceWith(ctx, base) }, NodeTimeout(2*time.Minute))
}

// memberJobs returns the Jobs by which members leave or join again.
func (w *world) memberJobs(ctx context.Context) []batchv1.Job {
	GinkgoHelper()
	var jobs batchv1.JobList
	Expect(cluster.List(ctx, &jobs, client.InNamespace(w.namespace), client.MatchingLabels{drainv1alpha1.RoleLabel: drainv1alpha1.RoleLeave})).To(Succeed())
	return jobs.Items
}

var _ = Describe("A policy that is scaled", Label("scaling"), Serial, Ordered, func() {
	mayScale()

	It("goes down one ordinal at a time, and up at once, and keeps every record", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3), drainPolicy(wanting(3), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, 12)
		seen := w.watchReplicas(ctx)

		w.scalePolicy(ctx, 1)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		w.expectNoClaim(ctx, claim("data", 2))
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)
		Expect(w.recorder.mostDrainsAtOnce()).To(Equal(1), "drains at once, in the whole history")

		w.scalePolicy(ctx, 3)
		w.expectReplicas(ctx, 3)
		w.expectRecords(ctx, records, 0, 1, 2)
		Expect(seen()).To(Equal([]int32{3, 2, 1, 3}), "the replicas that the StatefulSet was given")
	})

	It("lets each member leave while it lives, and follows a HorizontalPodAutoscaler", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3), drainPolicy(wanting(3), leaving(), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, 12)
		seen := w.watchReplicas(ctx)
		// An autoscaler needs no metrics to bring a target that is out of its bounds into them.
		autoscaler := &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: storeName},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "drain.statefulset.dev/v1alpha1", Kind: "DrainPolicy", Name: storeName},
				MinReplicas:    new(int32(1)), MaxReplicas: 1,
			},
		}
		w.create(ctx, autoscaler)
		var actions []string
		Eventually(ctx, func(g Gomega) {
			for _, job := range w.memberJobs(ctx) {
				if what := job.Labels[drainv1alpha1.OrdinalLabel] + " " + job.Annotations[drainv1alpha1.ActionAnnotation]; !slices.Contains(actions, what) {
					actions = append(actions, what)
				}
			}
			policy := w.policy(ctx, storeName)
			g.Expect(policy.Spec.Replicas).To(HaveValue(BeEquivalentTo(1)))
			g.Expect(policy.Status.ObservedGeneration).To(Equal(policy.Generation), "observedGeneration")
			g.Expect(describeCondition(policy, drainv1alpha1.ConditionScaled)).To(HavePrefix("True " + drainv1alpha1.ReasonReplicasReached))
		}).Should(Succeed(), "the autoscaler scales the policy")
		Expect(actions).To(Equal([]string{"2 leave", "1 leave"}))
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectRecords(ctx, records, 0)

		By("raising the autoscaler's bounds")
		Expect(cluster.Get(ctx, w.key(storeName), autoscaler)).To(Succeed())
		autoscaler.Spec.MinReplicas, autoscaler.Spec.MaxReplicas = new(int32(3)), 3
		Expect(cluster.Update(ctx, autoscaler)).To(Succeed())
		w.expectReplicas(ctx, 3)
		Expect(seen()).To(Equal([]int32{3, 2, 1, 3}), "the replicas that the StatefulSet was given")
		w.expectRecords(ctx, records, 0, 1, 2)
	})
})
