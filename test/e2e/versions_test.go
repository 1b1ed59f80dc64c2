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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/test/versions"
)

// isOn reports whether the control plane has a feature. What its version says counts, unless the cluster was started with its gate set.
func isOn(ctx context.Context, feature versions.Feature) bool {
	GinkgoHelper()
	metrics, err := clientset.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	gates, err := versions.Gates(string(metrics))
	Expect(err).NotTo(HaveOccurred())
	server, err := clientset.Discovery().ServerVersion()
	Expect(err).NotTo(HaveOccurred())
	minor, err := versions.Minor(server.Minor)
	Expect(err).NotTo(HaveOccurred())
	on, known := gates[feature.Gate]
	switch feature.In(minor) {
	case versions.Absent:
		Expect(known).To(BeFalse(), "%s in %s", feature.Gate, server.GitVersion)
	case versions.Alpha, versions.Beta:
		Expect(known).To(BeTrue(), "%s in %s", feature.Gate, server.GitVersion)
	case versions.GA:
		on = true
	}
	seen("%s: %s is %s, and on: %t", server.GitVersion, feature.Gate, feature.In(minor), on)
	return on
}

// unusedSince returns since when Kubernetes reports the claim as unused, or nil.
func (w *world) unusedSince(ctx context.Context, name string) *metav1.Time {
	GinkgoHelper()
	var claim corev1.PersistentVolumeClaim
	Expect(cluster.Get(ctx, w.key(name), &claim)).To(Succeed())
	since, _ := claims.UnusedSince(&claim)
	return since
}

var _ = Describe("A claim that a stranger's Pod writes to and leaves while the operator is down", Label("versions"), Serial, func() {
	It("is drained again where Kubernetes reports that, and in any case before it is deleted", SpecTimeout(specTimeout), func(ctx SpecContext) {
		reported := isOn(ctx, versions.Unused)
		w.startStore(ctx, statefulSet(2), drainPolicy())
		records := w.fillAll(ctx, 2, 4)
		name := claim("data", 1)
		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectRecords(ctx, records, 0)
		w.expectNoLocks(ctx)
		Expect(w.recorder.drainJobs()).To(HaveLen(1))
		before := w.unusedSince(ctx, name)
		Expect(before != nil).To(Equal(reported), "whether Kubernetes reports since when the claim is unused")

		By("stopping the operator")
		managers := int32(len(operatorPods(ctx)))
		scaleOperator(ctx, 0)
		DeferCleanup(func(ctx SpecContext) { scaleOperator(ctx, managers) }, NodeTimeout(time.Minute))

		By("writing a record to the claim")
		stranger := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "stranger"}, Spec: *statefulSet(1).Spec.Template.Spec.DeepCopy()}
		stranger.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}}
		w.create(ctx, stranger)
		Eventually(ctx, func() error {
			_, err := clientset.CoreV1().RESTClient().Put().Namespace(w.namespace).Resource("pods").
				Name(fmt.Sprintf("%s:%d", stranger.Name, storePort)).SubResource("proxy").Suffix("records", "late").Body([]byte("news")).DoRaw(ctx)
			return err
		}).Should(Succeed(), "the stranger must serve")
		records["late"] = checksum([]byte("news"))
		Expect(cluster.Delete(ctx, stranger)).To(Succeed())
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(stranger), stranger))
		}).Should(BeTrue(), "the stranger must be gone")
		if reported {
			Eventually(ctx, func(g Gomega) {
				g.Expect(w.unusedSince(ctx, name)).To(HaveValue(HaveField("Time", BeTemporally(">", before.Time))))
			}).Should(Succeed(), "Kubernetes must report the use")
		} else {
			Expect(w.unusedSince(ctx, name)).To(BeNil())
		}

		By("starting the operator")
		scaleOperator(ctx, managers)
		drains := 1
		if reported {
			drains = 2
			Eventually(ctx, w.recorder.drainJobs).Should(HaveLen(drains), "the stranger may have written, and did")
			w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
			w.expectRecords(ctx, records, 0)
		}

		By("having the claim deleted")
		w.changePolicy(ctx, storeName, whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.expectNoClaim(ctx, name)
		Expect(w.recorder.drainJobs()).To(HaveLen(drains+1), "the drained claim is drained once more, and else no more than Kubernetes gave reason to")
		w.expectRecords(ctx, records, 0)
		w.expectNoLocks(ctx)
	})
})
