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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/proof"
	"github.com/statefulset-dev/drain-operator/test/versions"
)

var _ = Describe("The API server", func() {
	It("has the features that docs/compatibility.md says its version has", func(ctx SpecContext) {
		clientset, err := kubernetes.NewForConfig(restConfig)
		Expect(err).NotTo(HaveOccurred())
		minor, name := serverVersion(clientset)
		metrics, err := clientset.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
		Expect(err).NotTo(HaveOccurred())
		gates, err := versions.Gates(string(metrics))
		Expect(err).NotTo(HaveOccurred())
		for _, feature := range versions.Features {
			what := fmt.Sprintf("%s, which is %s in %s", feature.Gate, feature.In(minor), name)
			on, known := gates[feature.Gate]
			switch feature.In(minor) {
			case versions.Absent:
				Expect(known).To(BeFalse(), what)
			case versions.GA:
				// Gates are removed from Kubernetes some releases later.
				Expect(on || !known).To(BeTrue(), what)
			default:
				Expect(known).To(BeTrue(), what)
				Expect(on).To(Equal(feature.On(minor)), what)
			}
		}
	}, NodeTimeout(time.Minute))

	It("drops podReplacementPolicy from a Job if the gate is off, and the operator's preflight sees that", func(ctx SpecContext) {
		clientset, err := kubernetes.NewForConfig(restConfig)
		Expect(err).NotTo(HaveOccurred())
		if minor, name := serverVersion(clientset); versions.JobPodReplacement.In(minor) == versions.GA {
			Skip("the gate can't be switched off in " + name)
		}
		environment := &envtest.Environment{}
		environment.ControlPlane.GetAPIServer().Configure().Append("feature-gates", versions.JobPodReplacement.Gate+"=false")
		config, err := environment.Start()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) })
		without, err := client.New(config, client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())

		job := newWorld().draining()
		fresh := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: job.Name}, Spec: *job.Spec.DeepCopy()}
		fresh.Spec.Selector = nil
		for _, label := range []string{"controller-uid", batchv1.ControllerUidLabel, "job-name", batchv1.JobNameLabel} {
			delete(fresh.Spec.Template.Labels, label) // the API server's own
		}
		Expect(proof.Job(fresh)).To(BeEmpty(), "what the operator asks for")
		Expect(without.Create(ctx, fresh, client.DryRunAll)).To(Succeed())
		Expect(proof.Job(fresh)).To(ConsistOf(HaveField("Field", "podReplacementPolicy")))
	}, NodeTimeout(time.Minute))
})

// serverVersion returns the minor number of the API server, and its version in words.
func serverVersion(clientset kubernetes.Interface) (minor int, name string) {
	GinkgoHelper()
	version, err := clientset.Discovery().ServerVersion()
	Expect(err).NotTo(HaveOccurred())
	minor, err = versions.Minor(version.Minor)
	Expect(err).NotTo(HaveOccurred())
	return minor, version.GitVersion
}

// reportUnused sets the claim's condition Unused, as the kube-controller-manager does.
func (w *world) reportUnused(name string, status corev1.ConditionStatus, since time.Time) {
	GinkgoHelper()
	claim := w.claim(name)
	claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
		Type: corev1.PersistentVolumeClaimUnused, Status: status, LastTransitionTime: metav1.NewTime(since.Truncate(time.Second)),
	}}
	Expect(k8s.Status().Update(w.ctx, claim)).To(Succeed())
}

// Every API server keeps the condition. Which Kubernetes sets it is in versions.Unused.
var _ = Describe("A claim's mark", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("names no time of use where Kubernetes reports none, and is made again when Kubernetes is upgraded to a version that does", func() {
		job := w.draining(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](1), MaxDelaySeconds: ptr.To[int32](1)}
		})
		w.finish(job, "")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		Expect(claims.ParseMark(w.claim("data-store-1")).UnusedSince).To(BeNil())

		By("reporting the claim as unused for the first time")
		w.reportUnused("data-store-1", corev1.ConditionTrue, time.Now())
		again := w.runningJob(1)
		Expect(again.Name).NotTo(Equal(job.Name), "a pod may have used the claim before Kubernetes reported that")

		By("reporting the use by the drain, and its end")
		pod := w.startPod(again)
		w.reportUnused("data-store-1", corev1.ConditionFalse, time.Now())
		w.succeed(again, pod, "")
		Eventually(w.drain(1)).Should(Equal("Draining/MarkingClaims"))
		Consistently(func() bool { return w.marked("data-store-1") }).Should(BeFalse(), "Kubernetes still reports a use")
		since := time.Now().Truncate(time.Second)
		w.reportUnused("data-store-1", corev1.ConditionTrue, since)
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		Expect(claims.ReadMark(w.claim("data-store-1"))).To(HaveValue(HaveField("UnusedSince", HaveValue(HaveField("Unix()", since.Unix())))))
		Expect(w.jobs()).To(HaveLen(2))

		By("reporting a use that the operator has not seen")
		Eventually(time.Now).Should(BeTemporally(">=", since.Add(time.Second)), "times in the API are whole seconds")
		w.reportUnused("data-store-1", corev1.ConditionTrue, time.Now())
		w.runningJob(1)
	})

	It("is not made while a report that was switched off still says that a pod uses the claim, until a person removes the condition", func() {
		w.statefulSet(2)
		w.policy()
		w.reportUnused("data-store-1", corev1.ConditionFalse, time.Now())
		w.scale(1)
		w.finish(w.runningJob(1), "")
		Eventually(w.drain(1)).Should(Equal("Draining/MarkingClaims"))
		Expect(w.get().Status.Drains[0].Message).To(ContainSubstring(versions.Unused.Gate), "a person is told what to look at")
		Consistently(func() bool { return w.marked("data-store-1") }).Should(BeFalse())

		By("removing the condition, as the message says")
		claim := w.claim("data-store-1")
		claim.Status.Conditions = nil
		Expect(k8s.Status().Update(w.ctx, claim)).To(Succeed())
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		Expect(claims.ReadMark(w.claim("data-store-1"))).To(HaveValue(HaveField("UnusedSince", BeNil())))
	})
})
