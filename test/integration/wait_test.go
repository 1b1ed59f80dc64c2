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
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// kubectl runs a command of the documentation in the world's namespace, with the test's kubectl, and returns its error.
func (w *world) kubectl(command string) error {
	GinkgoHelper()
	config := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(config, kubeConfig, 0o600)).To(Succeed())
	shell := exec.CommandContext(w.ctx, "bash", "-ec",
		`kubectl() { command kubectl --namespace="$NAMESPACE" "$@"; }`+"\n"+command)
	shell.Env = append(os.Environ(), "KUBECONFIG="+config,
		"NAMESPACE="+w.namespace, "PATH="+os.Getenv("KUBEBUILDER_ASSETS")+":"+os.Getenv("PATH"))
	output, err := shell.CombinedOutput()
	GinkgoWriter.Printf("$ %s\n%s", command, output)
	return err
}

// documentedWait returns the commands by which docs/troubleshooting.md waits for a scale-down, for policy and
// StatefulSet "store": one scales down, one waits until the operator has observed that, and one waits until all is drained.
func documentedWait() (scale, observed, drained string) {
	GinkgoHelper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "troubleshooting.md"))
	Expect(err).NotTo(HaveOccurred())
	_, block, found := strings.Cut(string(page), "```sh\nkubectl scale ")
	Expect(found).To(BeTrue(), "the page shows how to wait for a scale-down")
	block, _, _ = strings.Cut("kubectl scale "+block, "\n```")
	block = strings.ReplaceAll(strings.ReplaceAll(block, "\\\n", ""), "NAME", "store")
	commands := strings.Split(block, "\n")
	Expect(commands).To(HaveLen(3))
	return commands[0], commands[1], commands[2]
}

var _ = Describe("A scale-down that kubectl waits for", func() {
	It("is waited for in two steps, because Drained can be True from before", func() {
		scale, observed, drained := documentedWait()
		w := newWorld()
		w.statefulSet(3)
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/NoOrphans"))

		By("scaling down while the operator's cache still has the StatefulSet from before")
		operatorGate.freeze(w.namespace, w.set.DeepCopy())
		Expect(w.kubectl(scale)).To(Succeed())
		w.change(func(*appsv1.StatefulSet) {})
		Expect(w.set.Spec.Replicas).To(HaveValue(BeEquivalentTo(2)))
		w.report()
		Expect(w.kubectl(drained)).To(Succeed(), "the condition is True from before, so it alone proves nothing")
		waited := make(chan error, 1)
		go func() {
			defer GinkgoRecover()
			waited <- w.kubectl(observed)
		}()
		Consistently(waited).ShouldNot(Receive(), "the operator has not observed the scale-down")

		By("letting the operator observe the scale-down")
		operatorGate.freeze(w.namespace, nil)
		claim := w.claim("data-store-2")
		metav1.SetMetaDataLabel(&claim.ObjectMeta, "touched", "true")
		Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		Eventually(waited).Should(Receive(Succeed()))
		Expect(w.condition(drainv1alpha1.ConditionDrained)()).
			To(HavePrefix("False/"), "a status of the new generation knows of the orphan")

		By("draining")
		go func() {
			defer GinkgoRecover()
			waited <- w.kubectl(drained)
		}()
		job := w.runningJob(2)
		pod := w.startPod(job)
		Consistently(waited).ShouldNot(Receive(), "the drain runs")
		w.succeed(job, pod, "")
		Eventually(waited).Should(Receive(Succeed()))
		Expect(w.marked("data-store-2")).To(BeTrue())
	})
})
