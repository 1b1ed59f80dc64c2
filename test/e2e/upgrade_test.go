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
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// testHold keeps claims and locks that are being deleted, and labels what is not to be written.
	testHold = "e2e.example.com/hold"
	// alternating is how long two managers of two versions take turns.
	alternating = time.Minute
	otherName   = "drain-operator-other"
)

// refuse makes the API server refuse writes to a kind in the test's namespace, dry runs excepted, until allow is called.
func refuse(ctx context.Context, name, group, version, resource string, operation admissionregistrationv1.OperationType, condition string) (allow func(context.Context)) {
	GinkgoHelper()
	name = w.namespace + "-" + name
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: new(admissionregistrationv1.Fail),
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{operation},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: "!(" + condition + ")", Message: "the test refuses it"}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace}}},
		},
	}
	allow = func(ctx context.Context) {
		GinkgoHelper()
		By("no longer refusing: " + condition)
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, binding))).To(Succeed())
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, policy))).To(Succeed())
	}
	DeferCleanup(func(ctx SpecContext) { allow(ctx) }, NodeTimeout(time.Minute))
	Expect(cluster.Create(ctx, policy)).To(Succeed())
	Expect(cluster.Create(ctx, binding)).To(Succeed())
	return allow
}

// holder names the Pod that holds the managers' lease, or "".
func holder(ctx context.Context, g Gomega) string {
	var lease coordinationv1.Lease
	g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: leaseName}, &lease)).To(Succeed())
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	name, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return name
}

// inFlight says for each ordinal in which phase of its drain it is, by the UIDs of what is there.
func (w *world) inFlight(ctx context.Context, g Gomega) map[string]string {
	phases := map[string]string{}
	note := func(ordinal, what string, object client.Object) {
		phases[ordinal] += fmt.Sprintf("%s %s going=%t; ", what, object.GetUID(), object.GetDeletionTimestamp() != nil)
	}
	var pods corev1.PodList
	g.Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace), client.HasLabels{drainv1alpha1.RoleLabel})).To(Succeed())
	for i := range pods.Items {
		pod := &pods.Items[i]
		note(pod.Labels[drainv1alpha1.OrdinalLabel], pod.Labels[drainv1alpha1.RoleLabel]+" Pod "+string(pod.Status.Phase), pod)
	}
	var jobs batchv1.JobList
	g.Expect(cluster.List(ctx, &jobs, client.InNamespace(w.namespace))).To(Succeed())
	for i := range jobs.Items {
		note(jobs.Items[i].Labels[drainv1alpha1.OrdinalLabel], "Job", &jobs.Items[i])
	}
	var claims corev1.PersistentVolumeClaimList
	g.Expect(cluster.List(ctx, &claims, client.InNamespace(w.namespace))).To(Succeed())
	for i := range claims.Items {
		pvc := &claims.Items[i]
		note(pvc.Name[strings.LastIndex(pvc.Name, "-")+1:], fmt.Sprintf("claim marked=%t", pvc.Annotations[drainv1alpha1.DrainedAnnotation] != ""), pvc)
	}
	return phases
}

// changeFinalizers edits the finalizers of an object.
func changeFinalizers(ctx context.Context, object client.Object, name string, change func([]string) []string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		g.Expect(cluster.Get(ctx, w.key(name), object)).To(Succeed())
		object.SetFinalizers(change(object.GetFinalizers()))
		g.Expect(cluster.Update(ctx, object)).To(Succeed())
	}).Should(Succeed(), "changing the finalizers of %s", name)
}

// expectHeld waits until the drain of an ordinal says that it is held half-way. Its volume may have records of others, which were moved
// there before, so that counting its own would not tell.
func (w *world) expectHeld(ctx context.Context, ordinal int32) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace), client.MatchingLabels{
			drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain, drainv1alpha1.OrdinalLabel: strconv.Itoa(int(ordinal)),
		})).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(1))
		log, err := clientset.CoreV1().Pods(w.namespace).GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{Container: "drain"}).DoRaw(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(log)).To(ContainSubstring("Held half-way"))
	}).Should(Succeed(), "the drain of ordinal %d must be half-way", ordinal)
}

// record writes what the namespace holds into a folder, for the tests of formats in internal/objects.
func (w *world) record(ctx context.Context, folder string) {
	GinkgoHelper()
	Expect(os.MkdirAll(folder, 0o755)).To(Succeed())
	for name, list := range map[string]client.ObjectList{
		"policies": &drainv1alpha1.DrainPolicyList{}, "statefulsets": &appsv1.StatefulSetList{}, "pods": &corev1.PodList{},
		"jobs": &batchv1.JobList{}, "claims": &corev1.PersistentVolumeClaimList{},
	} {
		options := []client.ListOption{client.InNamespace(w.namespace)}
		if name == "pods" {
			options = append(options, client.HasLabels{drainv1alpha1.RoleLabel})
		}
		Expect(cluster.List(ctx, list, options...)).To(Succeed())
		Expect(meta.EachListItem(list, func(item runtime.Object) error {
			item.(client.Object).SetManagedFields(nil) //nolint:forcetypeassert // Every list of ours has such items.
			return nil
		})).To(Succeed())
		text, err := json.MarshalIndent(list, "", "  ")
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(filepath.Join(folder, name+".json"), append(text, '\n'), 0o600)).To(Succeed())
	}
}

var _ = Describe("An upgrade", Label("upgrade"), Serial, func() {
	const (
		each     = 4
		replicas = 8
	)

	It("and its reverse, with a drain in each phase, and two versions taking turns, lose nothing and repeat nothing", SpecTimeout(12*time.Minute), func(ctx SpecContext) {
		before, after := os.Getenv("UPGRADE_FROM"), installManifest()
		if before == "" {
			Skip("UPGRADE_FROM names no manifests to upgrade from; `make test-upgrade` does")
		}
		DeferCleanup(func(ctx SpecContext) {
			Expect(client.IgnoreNotFound(cluster.Delete(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: otherName}}))).To(Succeed())
			install(ctx, after)
		}, NodeTimeout(3*time.Minute))
		install(ctx, before)
		var old appsv1.Deployment
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &old)).To(Succeed())

		w.startStore(ctx, statefulSet(replicas), drainPolicy(held(), maxConcurrentDrains(5), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, replicas, each)
		unmarkable := client.MergeFrom(&corev1.PersistentVolumeClaim{})
		Expect(cluster.Patch(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: claim("data", 5), Labels: map[string]string{testHold: "mark"},
		}}, unmarkable)).To(Succeed())
		allowMark := refuse(ctx, "mark", "", "v1", "persistentvolumeclaims", admissionregistrationv1.Update,
			fmt.Sprintf("object.metadata.?labels[?'%s'].orValue('') == 'mark' && object.metadata.?annotations[?'%s'].orValue('') != oldObject.metadata.?annotations[?'%s'].orValue('')",
				testHold, drainv1alpha1.DrainedAnnotation, drainv1alpha1.DrainedAnnotation))
		allowJob := refuse(ctx, "job", "batch", "v1", "jobs", admissionregistrationv1.Create,
			fmt.Sprintf("!(has(request.dryRun) && request.dryRun) && object.metadata.?labels[?'%s'].orValue('') == '3'", drainv1alpha1.OrdinalLabel))
		Eventually(ctx, func() error {
			pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
				Namespace: w.namespace, Name: claim("data", 5), Annotations: map[string]string{drainv1alpha1.DrainedAnnotation: "{}"},
			}}
			return cluster.Patch(ctx, pvc, client.MergeFrom(&corev1.PersistentVolumeClaim{}), client.DryRunAll)
		}).Should(MatchError(ContainSubstring("the test refuses it")), "the API server must know the policy before the claim is drained")

		By("ordinal 7: the lock is being released")
		w.hold(ctx)
		w.scale(ctx, 7)
		w.expectHeld(ctx, 7)
		add := func(list []string) []string { return append(list, testHold) }
		remove := func(list []string) []string {
			return slices.DeleteFunc(list, func(f string) bool { return f == testHold })
		}
		DeferCleanup(func(ctx SpecContext) {
			// Where the test has failed, the namespace must be able to go all the same.
			for name, object := range map[string]client.Object{replica(7): &corev1.Pod{}, claim("data", 6): &corev1.PersistentVolumeClaim{}} {
				if !apierrors.IsNotFound(cluster.Get(ctx, w.key(name), object)) {
					changeFinalizers(ctx, object, name, remove)
				}
			}
		}, NodeTimeout(time.Minute))
		changeFinalizers(ctx, &corev1.Pod{}, replica(7), add)
		w.release(ctx)
		w.expectNoClaim(ctx, claim("data", 7))
		Eventually(ctx, func(g Gomega) {
			var lock corev1.Pod
			g.Expect(cluster.Get(ctx, w.key(replica(7)), &lock)).To(Succeed())
			g.Expect(lock.DeletionTimestamp).NotTo(BeNil())
			g.Expect(lock.Finalizers).To(ConsistOf(testHold))
		}).Should(Succeed(), "the operator must have let the lock go")

		By("ordinal 6: the claim is being deleted")
		changeFinalizers(ctx, &corev1.PersistentVolumeClaim{}, claim("data", 6), add)
		w.scale(ctx, 6)
		Eventually(ctx, func(g Gomega) {
			var pvc corev1.PersistentVolumeClaim
			g.Expect(cluster.Get(ctx, w.key(claim("data", 6)), &pvc)).To(Succeed())
			g.Expect(pvc.DeletionTimestamp).NotTo(BeNil())
			g.Expect(pvc.Finalizers).To(ConsistOf(testHold))
		}).Should(Succeed(), "the claim must be deleted, and no Pod hold it any more")

		By("ordinal 5: its Pod has succeeded, and its claim can't be marked")
		w.scale(ctx, 5)
		w.expectDrain(ctx, 5, drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonWriteRefused)

		By("ordinal 4: its Job is running")
		w.hold(ctx)
		w.scale(ctx, 4)
		w.expectHeld(ctx, 4)

		By("ordinal 3: its lock is taken, and its Job can't be created")
		w.scale(ctx, 3)
		w.expectDrain(ctx, 3, drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonJobRefused)

		By("ordinal 2: waiting")
		w.scale(ctx, 2)
		w.expectDrain(ctx, 2, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForSlot)
		if folder := os.Getenv("RECORD"); folder != "" {
			// It is relative to where make runs, and a test runs in its package.
			if !filepath.IsAbs(folder) {
				folder = filepath.Join(top, folder)
			}
			w.record(ctx, folder)
		}
		var phases map[string]string
		Eventually(ctx, func(g Gomega) { phases = w.inFlight(ctx, g) }).Should(Succeed())
		seen("in flight: %v", phases)

		// looked lets the manager that leads go over the policy, by an edit that changes nothing of the drains.
		edits := int32(100)
		looked := func() {
			GinkgoHelper()
			edits++
			w.changePolicy(ctx, storeName, func(p *drainv1alpha1.DrainPolicy) { p.Spec.Retry.InitialDelaySeconds = new(edits) })
			Eventually(ctx, func(g Gomega) {
				p := &drainv1alpha1.DrainPolicy{}
				g.Expect(cluster.Get(ctx, w.key(storeName), p)).To(Succeed())
				g.Expect(p.Status.ObservedGeneration).To(Equal(p.Generation))
			}).Should(Succeed(), "the manager that leads must have gone over the policy")
		}
		unchanged := func(what string) {
			GinkgoHelper()
			looked()
			Eventually(ctx, func(g Gomega) { g.Expect(w.inFlight(ctx, g)).To(Equal(phases)) }).Should(Succeed(), what+" must leave every drain in its phase")
		}
		image := func(g Gomega, name string) string {
			var pod corev1.Pod
			g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: name}, &pod)).To(Succeed())
			return pod.Spec.Containers[0].Image
		}
		ledBy := func() (name, img string) {
			GinkgoHelper()
			Eventually(ctx, func(g Gomega) {
				name = holder(ctx, g)
				img = image(g, name)
			}).Should(Succeed(), "a manager must lead")
			return name, img
		}
		_, oldImage := ledBy()

		By("upgrading")
		install(ctx, after)
		Eventually(ctx, func(g Gomega) { g.Expect(image(g, holder(ctx, g))).NotTo(Equal(oldImage)) }).Should(Succeed(), "the new version must lead")
		_, newImage := ledBy()
		unchanged("the upgrade")
		By("going back")
		install(ctx, before)
		Eventually(ctx, func(g Gomega) { g.Expect(image(g, holder(ctx, g))).To(Equal(oldImage)) }).Should(Succeed(), "the old version must lead")
		unchanged("the way back")

		By("letting both take turns")
		install(ctx, after)
		other := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: otherName}, Spec: old.Spec}
		labels := map[string]string{"control-plane": "other"}
		other.Spec.Selector, other.Spec.Template.Labels = &metav1.LabelSelector{MatchLabels: labels}, labels
		Expect(cluster.Create(ctx, other)).To(Succeed())
		Eventually(ctx, func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(other), other)).To(Succeed())
			g.Expect(other.Status.ReadyReplicas).To(Equal(int32(1)))
		}).Should(Succeed(), "the other version must stand by")
		// What holds the drains is taken away one after the other, spread over the time in which the managers take turns.
		releases := []func(){
			func() { changeFinalizers(ctx, &corev1.Pod{}, replica(7), remove) },
			func() { changeFinalizers(ctx, &corev1.PersistentVolumeClaim{}, claim("data", 6), remove) },
			func() { allowMark(ctx) },
			func() { allowJob(ctx) },
			func() { w.release(ctx) },
		}
		turns := map[string]int{}
		begin, pause := time.Now(), alternating/time.Duration(len(releases)+1)
		for released := 0; time.Since(begin) < alternating || released < len(releases); {
			name, led := ledBy()
			turns[led]++
			if released < len(releases) && time.Since(begin) >= pause*time.Duration(released+1) {
				releases[released]()
				released++
			}
			looked()
			By(fmt.Sprintf("ending the manager that leads, %s of %s", name, led))
			Expect(client.IgnoreNotFound(cluster.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name}}))).To(Succeed())
			Eventually(ctx, func(g Gomega) {
				// As a rule it is the one that stood by, of the other version.
				next := holder(ctx, g)
				g.Expect(next).NotTo(BeElementOf(name, ""))
				image(g, next)
			}).Should(Succeed(), "another manager must take over")
		}
		seen("turns: %v", turns)
		Expect(turns[oldImage]).To(BeNumerically(">=", 2))
		Expect(turns[newImage]).To(BeNumerically(">=", 2))

		w.expectDrained(ctx, records, 0, 1)
		for ordinal := int32(2); ordinal < replicas; ordinal++ {
			w.expectNoClaim(ctx, claim("data", ordinal))
		}
		attempts := map[string]string{}
		for _, job := range w.recorder.drainJobs() {
			attempts[job.Labels[drainv1alpha1.OrdinalLabel]] += job.Labels[drainv1alpha1.AttemptLabel] + " "
		}
		Expect(attempts).To(Equal(map[string]string{"2": "1 ", "3": "1 ", "4": "1 ", "5": "1 ", "6": "1 ", "7": "1 "}), "attempts of each ordinal")
		Expect(w.recorder.drainPods()).To(HaveLen(6), "no drain must have been repeated")
		Expect(apierrors.IsNotFound(cluster.Get(ctx, w.key(replica(7)), &corev1.Pod{}))).To(BeTrue())
	})
})
