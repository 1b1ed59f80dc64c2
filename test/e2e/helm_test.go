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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// chartRelease is the name of the chart's release. The objects don't have it in their names.
const chartRelease = "chart"

// helm runs helm on the suite's cluster, in the operator's namespace, and gives what it printed.
func helm(ctx context.Context, args ...string) (string, error) {
	program := os.Getenv("HELM")
	if program == "" {
		program = filepath.Join(top, "bin", "helm")
	}
	By("helm " + strings.Join(args, " "))
	output, err := exec.CommandContext(ctx, program, append(args, "--namespace="+operatorNamespace)...).CombinedOutput()
	return string(output), err
}

func mustHelm(ctx context.Context, args ...string) string {
	GinkgoHelper()
	output, err := helm(ctx, args...)
	Expect(err).NotTo(HaveOccurred(), output)
	return output
}

var _ = Describe("The Helm chart", Label("overlays"), Serial, func() {
	It("installs, drains, upgrades during a drain, and leaves policies and claims alone when it is removed", SpecTimeout(installTimeout), func(ctx SpecContext) {
		base := render(ctx, "config/default")
		containers, _, err := unstructured.NestedSlice(base.find("Deployment", operatorDeployment).Object, "spec", "template", "spec", "containers")
		Expect(err).NotTo(HaveOccurred())
		reference := containers[0].(map[string]any)["image"].(string) //nolint:forcetypeassert // Every container has an image.
		colon := strings.LastIndex(reference, ":")
		values := []string{
			chartRelease, filepath.Join(top, "charts", "drain-operator"), "--wait", "--timeout=2m",
			"--set=image.repository=" + reference[:colon] + ",image.tag=" + reference[colon+1:],
		}

		By("removing the operator and its namespace, but not its CRD, which the recorder watches")
		DeferCleanup(func(ctx SpecContext) {
			_, _ = helm(ctx, "uninstall", chartRelease, "--ignore-not-found", "--wait")
			base.kubectl(ctx, "apply")
			base.awaitManagers(ctx)
		}, NodeTimeout(3*time.Minute))
		crd := installation{*base.find("CustomResourceDefinition", "drainpolicies.drain.statefulset.dev")}
		base.without(crd).kubectl(ctx, "delete", "--timeout=90s")
		// As if it were an older one: the chart must upgrade it.
		w.kubectl(ctx, "patch", "crd/"+crd[0].GetName(), "--type=json", `--patch=[{"op":"remove","path":"/spec/names/shortNames"}]`)

		By("installing the chart where a StatefulSet has the annotation of 2018")
		annotatedStore := statefulSet(0, annotated(podTemplate()))
		w.create(ctx, annotatedStore)
		output, err := helm(ctx, append([]string{"install", "--create-namespace", "--take-ownership", "--force-conflicts"}, values...)...)
		Expect(err).To(HaveOccurred(), output)
		Expect(output).To(ContainSubstring("also those that are orphaned already: %s/%s. Set statefulSetAnnotations", w.namespace, storeName))
		Expect(cluster.Delete(ctx, annotatedStore)).To(Succeed())
		mustHelm(ctx, append([]string{"install", "--create-namespace", "--take-ownership", "--force-conflicts"}, values...)...)
		Expect(w.kubectl(ctx, "get", "crd", crd[0].GetName(), "--output=jsonpath={.spec.names.shortNames}")).To(Equal(`["dpol"]`), "the CRD must be upgraded")
		Expect(mustHelm(ctx, "test", chartRelease)).To(MatchRegexp(`Phase: +Succeeded`))

		By("upgrading it during a drain")
		// A change of the CRD ends the watches of policies, so the first recorder has gaps.
		w = newWorld(ctx)
		var uid string
		w.drainUnder(ctx, func() {
			uid = string(w.claimUID(ctx, claim("data", 0)))
			mustHelm(ctx, append([]string{"upgrade", "--set=logLevel=debug,replicas=2,podDisruptionBudget.enabled=true,crds.install=false"}, values...)...)
			var deployment appsv1.Deployment
			Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &deployment)).To(Succeed())
			Expect(deployment.Spec.Template.Spec.Containers[0].Args).To(ContainElement("--zap-log-level=debug"))
			Expect(deployment.Status.ReadyReplicas).To(BeEquivalentTo(2))
		}, held())
		var check corev1.Pod
		Expect(apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: "drain-operator-check"}, &check))).To(BeTrue())

		By("removing it")
		mustHelm(ctx, "uninstall", chartRelease, "--wait")
		var deployment appsv1.Deployment
		Expect(apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &deployment))).To(BeTrue())
		kept := metav1.PartialObjectMetadata{}
		kept.SetGroupVersionKind(crd[0].GroupVersionKind())
		Expect(cluster.Get(ctx, client.ObjectKey{Name: crd[0].GetName()}, &kept)).To(Succeed(), "the CRD must stay")
		Expect(kept.DeletionTimestamp).To(BeNil())
		policy := w.policy(ctx, storeName)
		Expect(policy.DeletionTimestamp).To(BeNil(), "the policy must stay")
		Expect(policy.Spec.WhenDrained).To(Equal(drainv1alpha1.WhenDrainedDelete))
		Expect(string(w.claimUID(ctx, claim("data", 0)))).To(Equal(uid), "the claim of the replica must stay")
		w.expectReplicas(ctx, 1)
	})
})
