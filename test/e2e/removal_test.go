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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// hangs is how long kubectl waits for a deletion that can't end: the operator, when it runs, needs a few seconds.
const hangs = "--timeout=8s"

// installManifest is what `make apply` has installed: a release's install.yaml, for the image of this tree.
func installManifest() string {
	GinkgoHelper()
	if path := os.Getenv("INSTALL_MANIFEST"); path != "" {
		return path
	}
	path, err := filepath.Abs(filepath.Join(top, "dist", "apply.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(path).To(BeAnExistingFile(), "`make apply` writes it")
	return path
}

// try runs a command and gives what it printed and whether it succeeded.
func try(ctx context.Context, name string, args ...string) (string, error) {
	GinkgoHelper()
	By(filepath.Base(name) + " " + strings.Join(args, " "))
	output, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(output), err
}

// do runs kubectl, which must succeed.
func do(ctx context.Context, args ...string) string {
	GinkgoHelper()
	output, err := try(ctx, "kubectl", args...)
	Expect(err).NotTo(HaveOccurred(), "kubectl %q: %s", args, output)
	return output
}

// hang runs kubectl, which must not be able to end what it was asked for.
func hang(ctx context.Context, args ...string) {
	GinkgoHelper()
	output, err := try(ctx, "kubectl", append(args, hangs)...)
	Expect(err).To(HaveOccurred(), "kubectl %q must wait for a finalizer: %s", args, output)
	Expect(output).To(ContainSubstring("timed out"))
}

// install installs the operator again, over whatever is left, and waits until it runs.
func install(ctx context.Context, manifest string) {
	GinkgoHelper()
	Eventually(ctx, func() error {
		output, err := exec.CommandContext(ctx, "kubectl", "apply", "-f", manifest).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	}).WithPolling(time.Second).Should(Succeed(), "what is being deleted must go before it can be installed again")
	Eventually(ctx, operatorIsReady(ctx)).Should(Succeed(), "the operator must run again")
}

// stopOperator scales the operator to 0, and waits until its Pods are gone.
func stopOperator(ctx context.Context) {
	GinkgoHelper()
	pods := operatorPods(ctx)
	do(ctx, "scale", "deployment", operatorDeployment, "--namespace="+operatorNamespace, "--replicas=0")
	expectGone(ctx, pods)
}

// expectGone waits until Pods of the operator are gone.
func expectGone(ctx context.Context, pods []corev1.Pod) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		for i := range pods {
			g.Expect(apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(&pods[i]), &corev1.Pod{}))).To(BeTrue(), "Pod %s must be gone", pods[i].Name)
		}
	}).Should(Succeed(), "the operator must have stopped")
}

func free(ctx context.Context, args ...string) (string, error) {
	GinkgoHelper()
	return try(ctx, filepath.Join(top, "hack", "free.sh"), args...)
}

// standing names every lock, Job, drain Pod, claim and policy of the namespace, and whether it is being deleted.
func (w *world) standing(ctx context.Context) []string {
	GinkgoHelper()
	var pods corev1.PodList
	var jobs batchv1.JobList
	var claims corev1.PersistentVolumeClaimList
	var policies drainv1alpha1.DrainPolicyList
	var names []string
	note := func(kind string, object client.Object) {
		names = append(names, fmt.Sprintf("%s %s %s going=%t", kind, object.GetName(), object.GetUID(), object.GetDeletionTimestamp() != nil))
	}
	Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace), client.HasLabels{drainv1alpha1.RoleLabel})).To(Succeed())
	for i := range pods.Items {
		note("Pod", &pods.Items[i])
	}
	Expect(cluster.List(ctx, &jobs, client.InNamespace(w.namespace))).To(Succeed())
	for i := range jobs.Items {
		note("Job", &jobs.Items[i])
	}
	Expect(cluster.List(ctx, &claims, client.InNamespace(w.namespace))).To(Succeed())
	for i := range claims.Items {
		note("PersistentVolumeClaim", &claims.Items[i])
	}
	Expect(cluster.List(ctx, &policies, client.InNamespace(w.namespace))).To(Succeed())
	for i := range policies.Items {
		note("DrainPolicy", &policies.Items[i])
	}
	slices.Sort(names)
	return names
}

func (w *world) locks(ctx context.Context) []string {
	GinkgoHelper()
	var names []string
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace), client.MatchingLabels{drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock})).To(Succeed())
	for i := range pods.Items {
		names = append(names, pods.Items[i].Name)
	}
	return names
}

func expectNoCRD(ctx context.Context) {
	GinkgoHelper()
	Eventually(ctx, func() (string, error) {
		output, err := exec.CommandContext(ctx, "kubectl", "get", "crd", crdName, "--ignore-not-found", "-o", "name").CombinedOutput()
		return strings.TrimSpace(string(output)), err
	}).Should(BeEmpty(), "the CRD must be gone")
}

const crdName = "drainpolicies.drain.statefulset.dev"

var _ = Describe("Removal", Label("removal"), Serial, func() {
	const each = 8

	// The StatefulSet has three replicas, and the drains of two of them are half-way when the removal starts.
	var (
		records map[string]string
		claims  = map[int32]string{}
	)
	start := func(ctx SpecContext) {
		manifest := installManifest()
		DeferCleanup(func(ctx SpecContext) { install(ctx, manifest) }, NodeTimeout(3*time.Minute))
		w.withoutCRD = true
		w.startStore(ctx, statefulSet(3), drainPolicy(held(), maxConcurrentDrains(2), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records = w.fillAll(ctx, 3, each)
		for ordinal := range int32(3) {
			claims[ordinal] = string(w.claimUID(ctx, claim("data", ordinal)))
		}
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectHalfWay(ctx, 2, each, 0)
		w.expectHalfWay(ctx, 1, each, 0)
	}
	removeDeployment := func(ctx SpecContext) {
		do(ctx, "delete", "deployment", operatorDeployment, "--namespace="+operatorNamespace, "--cascade=foreground")
	}
	deletePolicies := []string{"delete", "drainpolicies", "--all", "--all-namespaces"}
	// freed holds that a script frees everything, after it has said so without doing anything.
	freed := func(ctx SpecContext) {
		before := w.standing(ctx)
		said, err := free(ctx)
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(w.standing(ctx)).To(Equal(before), "without --yes, nothing must change")
		for _, lock := range w.locks(ctx) {
			Expect(said).To(ContainSubstring("release lock " + w.namespace + "/" + lock))
		}
		for _, job := range w.recorder.drainJobs() {
			Expect(said).To(ContainSubstring("delete Job " + w.namespace + "/" + job.Name + " (unfinished) with Pod "))
		}
		done, err := free(ctx, "--yes")
		Expect(err).NotTo(HaveOccurred(), done)
		for line := range strings.Lines(said) {
			if !strings.HasPrefix(line, "Nothing is changed") {
				Expect(done).To(ContainSubstring(line), "it must do what it said")
			}
		}
		seen("%s", done)
	}
	// nothingIsLost holds that no lock is left, that the StatefulSet scales up on its claims, and that all records are there.
	nothingIsLost := func(ctx SpecContext) {
		Expect(w.locks(ctx)).To(BeEmpty(), "locks")
		w.release(ctx)
		w.scale(ctx, 3)
		w.expectReplicas(ctx, 3)
		for ordinal, uid := range claims {
			Expect(string(w.claimUID(ctx, claim("data", ordinal)))).To(Equal(uid), "claim %d must be the old one", ordinal)
		}
		w.expectRecords(ctx, records, 0, 1, 2)
	}
	noPolicy := func(ctx SpecContext) {
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, w.key(storeName), &drainv1alpha1.DrainPolicy{}))
		}).Should(BeTrue(), "the policy must be gone")
	}

	It("in the documented order leaves nothing, and needs no help", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		do(ctx, append(deletePolicies, "--timeout=2m")...)
		Expect(w.locks(ctx)).To(BeEmpty(), "a policy must go after its last lock")
		do(ctx, "delete", "-f", installManifest(), "--timeout=2m")
		expectNoCRD(ctx)
		said, err := free(ctx)
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(said).To(HavePrefix("Nothing is changed"))
		Expect(strings.Count(said, "\n")).To(Equal(1), "nothing must be left to free: %s", said)
		Expect(do(ctx, "get", "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name")).
			NotTo(ContainSubstring("/drain-operator-"))
		nothingIsLost(ctx)
	})

	It("in the documented order, with the commands of the page, leaves nothing where a StatefulSet has an annotation of 2018", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		do(ctx, append(deletePolicies, "--timeout=2m")...)
		w.annotate(ctx, podTemplate("--hold="+holdKey))
		w.expectManagedDrain(ctx, 2, "Draining JobRunning")
		managed, _ := w.managedUID(ctx)

		By("deleting its policy alone, which the operator creates again")
		do(ctx, append(deletePolicies, "--timeout=2m")...)
		Eventually(ctx, func() types.UID {
			uid, _ := w.managedUID(ctx)
			return uid
		}).ShouldNot(Or(BeEmpty(), Equal(managed)), "the annotation must lead to a new policy")

		blocks := shellBlocks("docs/remove.md", 2)
		Expect(blocks[1]).To(ContainSubstring("--statefulset-annotations=false"), "the second block is for these StatefulSets")
		script := "set -euo pipefail\n" + blocks[1] + strings.ReplaceAll(blocks[0], "install.yaml", installManifest())
		output, err := try(ctx, "bash", "-c", script)
		Expect(err).NotTo(HaveOccurred(), output)
		expectNoCRD(ctx)
		said, err := free(ctx)
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(strings.Count(said, "\n")).To(Equal(1), "nothing must be left to free: %s", said)
		nothingIsLost(ctx)
		// The operator that the next test finds must not drain for it.
		w.annotate(ctx, "")
	})

	It("of everything at once, `kubectl delete -f install.yaml`, hangs until it is freed, and then ends by itself", SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		output, err := try(ctx, "kubectl", "delete", "-f", installManifest(), "--timeout=15s")
		// Whether the operator still gets to release its locks is a race with the end of its namespace.
		seen("kubectl delete -f install.yaml, hangs: %t, locks left: %v", err != nil, w.locks(ctx))
		if err != nil {
			Expect(output).To(ContainSubstring("timed out"))
		}
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKey{Name: operatorNamespace}, &corev1.Namespace{}))
		}).Should(BeTrue(), "the operator's own namespace must not hang")
		done, err := free(ctx, "--yes")
		Expect(err).NotTo(HaveOccurred(), done)
		seen("%s", done)
		expectNoCRD(ctx)
		nothingIsLost(ctx)
	})

	It("of the operator before the policies keeps the drains' locks until they are freed", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		said, err := free(ctx, "--yes")
		Expect(err).To(HaveOccurred(), "it must refuse while an operator runs")
		Expect(said).To(ContainSubstring("an operator runs: Pod " + operatorNamespace + "/"))
		removeDeployment(ctx)
		hang(ctx, deletePolicies...)
		freed(ctx)
		noPolicy(ctx)
		nothingIsLost(ctx)
	})

	It("of the CRD first needs no help while the operator runs", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		do(ctx, "delete", "crd", crdName, "--timeout=2m")
		do(ctx, "delete", "-f", installManifest(), "--ignore-not-found", "--timeout=2m")
		nothingIsLost(ctx)
	})

	It("of the operator's namespace leaves what has cluster scope, and locks until they are freed", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		do(ctx, "delete", "namespace", operatorNamespace, "--timeout=2m")
		rest := do(ctx, "get", "crd,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name")
		rest = strings.Join(slices.DeleteFunc(strings.Fields(rest), func(name string) bool {
			return !strings.Contains(name, "/drain-operator-") && !strings.Contains(name, crdName)
		}), "\n")
		for _, want := range []string{
			"customresourcedefinition.apiextensions.k8s.io/" + crdName, "clusterrole.rbac.authorization.k8s.io/drain-operator-manager-role",
			"clusterrolebinding.rbac.authorization.k8s.io/drain-operator-manager-rolebinding",
			"validatingadmissionpolicy.admissionregistration.k8s.io/drain-operator-fence",
			"validatingadmissionpolicybinding.admissionregistration.k8s.io/drain-operator-labels",
		} {
			Expect(rest).To(ContainSubstring(want))
		}
		seen("left of cluster scope:\n%s", rest)
		Expect(w.locks(ctx)).To(ConsistOf(replica(1), replica(2)))
		freed(ctx)
		Expect(w.policy(ctx, storeName).DeletionTimestamp).To(BeNil(), "a policy that was not deleted must stay")
		nothingIsLost(ctx)
		do(ctx, append(deletePolicies, "--timeout=1m")...)
		do(ctx, "delete", "-f", installManifest(), "--ignore-not-found", "--timeout=1m")
		expectNoCRD(ctx)
	})

	It("of everything after the operator was scaled to 0 hangs until it is freed", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		stopOperator(ctx)
		hang(ctx, "delete", "-f", installManifest())
		freed(ctx)
		expectNoCRD(ctx)
		nothingIsLost(ctx)
	})

	It("of the operator, installed again, goes on with the drains under way", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		hangsOrNot, _ := try(ctx, "kubectl", "delete", "namespace", operatorNamespace, "--timeout=2m")
		seen("%s", hangsOrNot)
		install(ctx, installManifest())
		w.release(ctx)
		w.expectNoClaim(ctx, claim("data", 2))
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectDrained(ctx, records, 0)
		Expect(w.recorder.drainJobs()).To(HaveLen(2), "the Jobs must be found again")
	})

	It("of everything at once, installed again, is ended by the operator", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		// The operator could be quick enough to release its locks: it must be gone before they are asked for.
		removeDeployment(ctx)
		hang(ctx, "delete", "-f", installManifest(), "--ignore-not-found")
		var said []byte
		Eventually(ctx, func() (err error) {
			said, err = exec.CommandContext(ctx, "kubectl", "apply", "-f", installManifest()).CombinedOutput()
			return err
		}).WithPolling(time.Second).Should(Succeed(), "the operator's namespace must go before it can be created again")
		seen("%s", said)
		expectNoCRD(ctx)
		nothingIsLost(ctx)
		do(ctx, "delete", "-f", installManifest(), "--ignore-not-found", "--timeout=2m")
	})

	It("of the policies' namespace without an operator hangs until it is freed", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		removeDeployment(ctx)
		// What the namespace takes with it, claims included, is not the operator's doing.
		w.checkHistory(ctx)
		w.recorder.stop()
		hang(ctx, "delete", "namespace", w.namespace)
		Expect(w.locks(ctx)).To(ConsistOf(replica(1), replica(2)), "their finalizers must keep them")
		done, err := free(ctx, "--yes", "--namespace", w.namespace)
		Expect(err).NotTo(HaveOccurred(), done)
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKey{Name: w.namespace}, &corev1.Namespace{}))
		}).Should(BeTrue(), "the namespace must be gone")
	})

	It("is left alone while a manager renews its lease, wherever it runs", Label("slow"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		start(ctx)
		stopOperator(ctx)
		renewing, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			defer GinkgoRecover()
			ticker := time.NewTicker(time.Second)
			defer ticker.Stop()
			for n := 0; renewing.Err() == nil; n++ {
				patch := fmt.Sprintf(`{"spec":{"holderIdentity":"elsewhere","leaseDurationSeconds":3,"renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
				_, _ = clientset.CoordinationV1().Leases(operatorNamespace).Patch(renewing, leaseName, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
				select {
				case <-renewing.Done():
				case <-ticker.C:
				}
			}
		}()
		Eventually(ctx, func(g Gomega) {
			lease, err := clientset.CoordinationV1().Leases(operatorNamespace).Get(ctx, leaseName, metav1.GetOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(lease.Spec.HolderIdentity).To(HaveValue(Equal("elsewhere")))
		}).Should(Succeed(), "another manager must have the lease")
		before := w.standing(ctx)
		said, err := free(ctx, "--yes")
		Expect(err).To(HaveOccurred(), said)
		Expect(said).To(ContainSubstring("elsewhere renews the lease"))
		Expect(w.standing(ctx)).To(Equal(before), "nothing must change")

		By("no longer renewing it")
		stop()
		done, err := free(ctx, "--yes")
		Expect(err).NotTo(HaveOccurred(), done)
		nothingIsLost(ctx)
	})
})
