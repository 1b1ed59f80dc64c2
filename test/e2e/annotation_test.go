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
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	templateAnnotation = "statefulsets.kubernetes.io/scaledown-pod-template"
	// managedPolicy is the name of the policy that the operator keeps for the store.
	managedPolicy = storeName + "-managed"
)

// podTemplate is the JSON of a Pod in the shape of the published example, as a user would write it.
func podTemplate(flags ...string) string {
	args := `"drain", "--data=/var/lib/datastore/data", "--retry-interval=200ms"`
	for _, flag := range flags {
		args += fmt.Sprintf(", %q", flag)
	}
	return `{
  "metadata": {
    "labels": {
      "app": "datastore-cleanup"
    }
  },
  "spec": {
    "terminationGracePeriodSeconds": 5,
    "containers": [
      {
        "name": "main",
        "image": "localhost/datastore:dev",
        "args": [` + args + `],
        "volumeMounts": [
          {
            "name": "data",
            "mountPath": "/var/lib/datastore/data"
          }
        ],
        "securityContext": {
          "allowPrivilegeEscalation": false,
          "readOnlyRootFilesystem": true,
          "capabilities": {"drop": ["ALL"]}
        }
      }
    ]
  }
}
`
}

func annotated(template string) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) {
		metav1.SetMetaDataAnnotation(&set.ObjectMeta, templateAnnotation, template)
	}
}

// annotate edits the annotation as kubectl annotate does; an empty one takes it off.
func (w *world) annotate(ctx context.Context, template string) {
	GinkgoHelper()
	set := &appsv1.StatefulSet{}
	Expect(cluster.Get(ctx, w.key(w.set), set)).To(Succeed())
	before := client.MergeFrom(set.DeepCopy())
	if template == "" {
		delete(set.Annotations, templateAnnotation)
	} else {
		annotated(template)(set)
	}
	Expect(cluster.Patch(ctx, set, before)).To(Succeed())
}

// managedUID is the UID of the managed policy and that of the StatefulSet that owns it; empty where there is none.
func (w *world) managedUID(ctx context.Context) (policy, owner types.UID) {
	GinkgoHelper()
	p := &drainv1alpha1.DrainPolicy{}
	err := cluster.Get(ctx, w.key(managedPolicy), p)
	if apierrors.IsNotFound(err) {
		return "", ""
	}
	Expect(err).NotTo(HaveOccurred())
	if controller := metav1.GetControllerOf(p); controller != nil {
		owner = controller.UID
	}
	return p.UID, owner
}

// expectManagedDrain waits for an ordinal's entry in the status of the managed policy, given as "State Reason".
func (w *world) expectManagedDrain(ctx context.Context, ordinal int32, want string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) string {
		p := &drainv1alpha1.DrainPolicy{}
		g.Expect(cluster.Get(ctx, w.key(managedPolicy), p)).To(Succeed())
		if entry := drainOf(p, ordinal); entry != nil {
			return fmt.Sprintf("%s %s: %s", entry.State, entry.Reason, entry.Message)
		}
		return "none"
	}).Should(HavePrefix(want+":"), "the drain of ordinal %d", ordinal)
}

var _ = Describe("A StatefulSet with the annotation of statefulset-scaledown-controller", func() {
	It("waits while the annotation has a mistake, which is named, and is drained when it is fixed", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.create(ctx, service(), statefulSet(3, annotated(strings.Replace(podTemplate(), `"name": "main",`, `"name": "main"`, 1))))
		w.expectReplicas(ctx, 3)
		w.expectCondition(ctx, managedPolicy, drainv1alpha1.ConditionReady, "False "+drainv1alpha1.ReasonInvalidTemplate+
			": The template can't be read: annotation "+templateAnnotation+` of StatefulSet "datastore", line 12, column 9`)
		records := w.fillAll(ctx, 3, 12)
		w.scale(ctx, 2)
		w.expectReplicas(ctx, 2)
		w.expectManagedDrain(ctx, 2, "Waiting "+drainv1alpha1.ReasonInvalidTemplate)
		w.expectUntouched()

		w.annotate(ctx, podTemplate())
		w.expectNoClaim(ctx, claim("data", 2))
		w.expectManagedDrain(ctx, 2, "Drained "+drainv1alpha1.ReasonClaimsDeleted)
		w.expectCondition(ctx, managedPolicy, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectRecords(ctx, records, 0, 1)
		w.expectNoLocks(ctx)
		for _, reason := range []string{drainv1alpha1.ReasonInvalidTemplate, "DrainPolicyCreated", "Drained"} {
			w.expectOneEvent(ctx, "StatefulSet", storeName, reason)
			w.expectOneEvent(ctx, "DrainPolicy", managedPolicy, reason)
		}
		Expect(w.recorder.drainPods()).To(HaveExactElements(And(
			HaveField("Labels", HaveKeyWithValue("app", "datastore-cleanup")),
			HaveField("Spec.Hostname", replica(2)),
			HaveField("Spec.Subdomain", storeName),
		)))

		By("editing the managed policy")
		w.changePolicy(ctx, managedPolicy, func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDrained = drainv1alpha1.WhenDrainedRetain })
		Eventually(ctx, func() drainv1alpha1.WhenDrained { return w.policy(ctx, managedPolicy).Spec.WhenDrained }).Should(Equal(drainv1alpha1.WhenDrainedDelete))
		w.expectNoLoop(managedPolicy)

		By("taking the annotation off")
		w.annotate(ctx, "")
		Eventually(ctx, func() types.UID { uid, _ := w.managedUID(ctx); return uid }).Should(BeEmpty())
		w.scale(ctx, 1)
		w.expectReplicas(ctx, 1)
		Expect(w.claimUID(ctx, claim("data", 1))).NotTo(BeEmpty())
		Expect(w.recorder.drainPods()).To(HaveLen(1), "no drain of it starts any more")
	})

	It("is drained by a policy that a user creates for it during a drain by the annotation", SpecTimeout(specTimeout), func(ctx SpecContext) {
		const each = 8
		w.create(ctx, service(), statefulSet(2, annotated(podTemplate("--hold="+holdKey))))
		w.expectReplicas(ctx, 2)
		records := w.fillAll(ctx, 2, each)
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 1, each, 0)

		w.create(ctx, drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
		w.expectNoClaim(ctx, claim("data", 1))
		w.release(ctx)
		w.expectRecords(ctx, records, 0)
		uid, _ := w.managedUID(ctx)
		Expect(uid).To(BeEmpty())
		w.expectOneEvent(ctx, "StatefulSet", storeName, "AnnotationIgnored")
		w.expectOneEvent(ctx, "DrainPolicy", storeName, "AnnotationIgnored")
	})

	DescribeTable("can be deleted during a drain, and created again",
		func(ctx SpecContext, how metav1.DeletionPropagation) {
			const each = 8
			w.create(ctx, service(), statefulSet(2, annotated(podTemplate("--hold="+holdKey))))
			w.expectReplicas(ctx, 2)
			records := w.fillAll(ctx, 2, each)
			w.hold(ctx)
			w.scale(ctx, 1)
			w.expectHalfWay(ctx, 1, each, 0)
			policy, owner := w.managedUID(ctx)

			By("deleting the StatefulSet")
			set := &appsv1.StatefulSet{}
			Expect(cluster.Get(ctx, w.key(storeName), set)).To(Succeed())
			Expect(cluster.Delete(ctx, set, &client.DeleteOptions{PropagationPolicy: &how})).To(Succeed())
			Eventually(ctx, func() bool {
				return apierrors.IsNotFound(cluster.Get(ctx, w.key(storeName), &appsv1.StatefulSet{}))
			}).Should(BeTrue(), "the StatefulSet must be gone")
			if how != metav1.DeletePropagationOrphan {
				Eventually(ctx, func() types.UID { uid, _ := w.managedUID(ctx); return uid }).Should(BeEmpty(), "the garbage collector must be able to take the policy")
				w.expectNoLocks(ctx)
				Expect(w.claimUID(ctx, claim("data", 1))).NotTo(BeEmpty(), "the half-drained claim must stay")
				Eventually(ctx, func(g Gomega) {
					g.Expect(apierrors.IsNotFound(cluster.Get(ctx, w.key(replica(0)), &corev1.Pod{}))).To(BeTrue())
				}).Should(Succeed(), "the StatefulSet's Pod must be gone")
			}

			By("creating the StatefulSet again")
			w.create(ctx, statefulSet(1, annotated(podTemplate("--hold="+holdKey))))
			w.expectReplicas(ctx, 1)
			Eventually(ctx, func(g Gomega) {
				again, other := w.managedUID(ctx)
				g.Expect(other).NotTo(BeElementOf(owner, types.UID("")), "the new StatefulSet must own the policy")
				if how == metav1.DeletePropagationOrphan {
					g.Expect(again).To(Equal(policy), "the policy must stay")
				} else {
					g.Expect(again).NotTo(Equal(policy))
				}
			}).Should(Succeed())
			w.release(ctx)
			w.expectNoClaim(ctx, claim("data", 1))
			w.expectRecords(ctx, records, 0)
			w.expectNoLocks(ctx)
			if how == metav1.DeletePropagationOrphan {
				Expect(w.recorder.drainPods()).To(HaveLen(1), "the drain must have gone on")
			}
		},
		Entry("with its Pods, in the foreground", SpecTimeout(specTimeout), metav1.DeletePropagationForeground),
		Entry("with its Pods, in the background", SpecTimeout(specTimeout), metav1.DeletePropagationBackground),
		Entry("without them", SpecTimeout(specTimeout), metav1.DeletePropagationOrphan),
	)
})
