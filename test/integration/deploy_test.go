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
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("What is deployed", func() {
	It("starts to follow annotations only when asked to", func() {
		w := newWorld()
		folder := GinkgoT().TempDir()
		write := func(name string, content []byte) string {
			path := filepath.Join(folder, name)
			Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
			return path
		}
		kubectl := fmt.Sprintf("%s/kubectl --kubeconfig=%s", os.Getenv("KUBEBUILDER_ASSETS"), write("kubeconfig", kubeConfig))
		follows := write("follows.yaml", []byte("        args:\n        - --leader-elect\n"))
		ignores := write("ignores.yaml",
			[]byte("        args:\n        - --leader-elect\n        - --statefulset-annotations=false\n"))
		guard := func(manifests string, env ...string) (string, error) {
			command := exec.Command(filepath.Join("..", "..", "hack", "guard-annotations.sh"), manifests)
			command.Env = append(append(os.Environ(), "KUBECTL="+kubectl), env...)
			output, err := command.CombinedOutput()
			return string(output), err
		}
		refused := func(words string) {
			GinkgoHelper()
			output, err := guard(follows)
			Expect(err).To(HaveOccurred(), output)
			Expect(output).To(ContainSubstring(words))
		}
		accepted := func(manifests string, env ...string) {
			GinkgoHelper()
			output, err := guard(manifests, env...)
			Expect(err).NotTo(HaveOccurred(), output)
		}

		By("it isn't installed yet, and an annotation was left over")
		w.statefulSet(1, withAnnotation(drainer, drainWith("drain")))
		refused("\n  " + w.namespace + "/store\n")
		accepted(follows, "FOLLOW_ANNOTATIONS=yes")
		accepted(ignores)
		other := newWorld()
		other.statefulSet(1, withAnnotation("example.com/other", "x"))
		output, _ := guard(follows)
		Expect(output).NotTo(ContainSubstring(other.namespace))

		install := func(args ...string) {
			labels := map[string]string{"app": "x"}
			deployment := &appsv1.Deployment{
				ObjectMeta: metav1.ObjectMeta{Name: "drain-operator-controller-manager", Namespace: "drain-operator-system"},
				Spec: appsv1.DeploymentSpec{
					Selector: &metav1.LabelSelector{MatchLabels: labels},
					Template: corev1.PodTemplateSpec{
						ObjectMeta: metav1.ObjectMeta{Labels: labels},
						Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "x", Args: args}}},
					},
				},
			}
			// The last one may be there.
			Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, deployment.DeepCopy()))).To(Succeed())
			Expect(k8s.Create(w.ctx, deployment)).To(Succeed())
			DeferCleanup(func() { Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, deployment))).To(Succeed()) })
		}
		By("it is installed, and ignores annotations")
		install("--leader-elect", "--statefulset-annotations=false")
		refused("The operator that is installed ignores the annotations")
		accepted(follows, "FOLLOW_ANNOTATIONS=yes")
		accepted(ignores)
		By("it is installed, and follows annotations")
		install("--leader-elect")
		accepted(follows)
	})

	It("has the flag that ignores annotations in the overlay for it, and not in the default", func() {
		args := func(path string) []string {
			GinkgoHelper()
			for _, object := range kustomization(path) {
				if object.GetKind() == "Deployment" {
					containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
					Expect(err).NotTo(HaveOccurred())
					list, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
					Expect(err).NotTo(HaveOccurred())
					return list
				}
			}
			return nil
		}
		Expect(args("config/overlays/ignore-annotations")).To(ContainElement("--statefulset-annotations=false"))
		Expect(args("config/default")).To(And(Not(BeEmpty()), Not(ContainElement("--statefulset-annotations=false"))))
	})

	It("is fenced by the namespace and the name that an overlay gives the operator", func() {
		// kustomize takes bases by relative path only.
		dist := filepath.Join("..", "..", "dist")
		Expect(os.MkdirAll(dist, 0o755)).To(Succeed())
		folder, err := os.MkdirTemp(dist, "test-")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(os.RemoveAll(folder)).To(Succeed()) })
		Expect(os.Mkdir(filepath.Join(folder, "inner"), 0o700)).To(Succeed())
		for path, content := range map[string]string{
			"inner/kustomization.yaml": "resources: [../../../config/operator]\nnamespace: elsewhere\nnamePrefix: my-\n",
			"kustomization.yaml":       "resources: [inner]\ncomponents: [../../config/admission]\n",
		} {
			Expect(os.WriteFile(filepath.Join(folder, path), []byte(content), 0o600)).To(Succeed())
		}
		for path, want := range map[string][]string{
			"config/default":                {"drain-operator-system", "drain-operator-controller-manager"},
			"config/overlays/namespaced":    {"drain-operator-system", "drain-operator-controller-manager"},
			"dist/" + filepath.Base(folder): {"elsewhere", "my-drain-operator-controller-manager"},
		} {
			found := map[string]int{}
			for _, object := range kustomization(path) {
				if object.GetKind() == "ServiceAccount" {
					Expect([]string{object.GetNamespace(), object.GetName()}).To(Equal(want), path)
				}
				if object.GetKind() != "ValidatingAdmissionPolicy" {
					continue
				}
				conditions, _, err := unstructured.NestedSlice(object.Object, "spec", "matchConditions")
				Expect(err).NotTo(HaveOccurred())
				for _, condition := range conditions {
					for _, operator := range []string{"==", "!="} {
						if condition.(map[string]any)["expression"] == fmt.Sprintf(
							"request.userInfo.username %s 'system:serviceaccount:' + '%s' + ':' + '%s'", operator, want[0], want[1]) {
							found[operator]++
						}
					}
				}
				variables, _, err := unstructured.NestedSlice(object.Object, "spec", "variables")
				Expect(err).NotTo(HaveOccurred())
				for _, variable := range variables {
					if variable.(map[string]any)["name"] == "home" {
						Expect(variable.(map[string]any)["expression"]).To(Equal("'"+want[0]+"'"), path)
						found["home"]++
					}
				}
			}
			Expect(found).To(Equal(map[string]int{"==": 1, "!=": 2, "home": 1}), path)
		}
	})
})
