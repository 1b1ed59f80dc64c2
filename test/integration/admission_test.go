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
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

var (
	edit   = []string{"create", "get", "update", "patch", "delete"}
	create = []string{"create"}
	change = []string{"get", "patch", "update"}
)

// accepts waits until a write is accepted: rights take a moment to be known.
func accepts(write func() error) {
	GinkgoHelper()
	Eventually(write).Should(Succeed())
}

// refuses waits until a write is refused with these words. One that is accepted is never refused: it must not be
// possible to repeat it.
func refuses(write func() error, words string) {
	GinkgoHelper()
	var err error
	Eventually(func() bool {
		err = write()
		// Until the rights are known, it is refused for the lack of those.
		return err == nil || !strings.Contains(err.Error(), "cannot")
	}).Should(BeTrue())
	Expect(err).To(MatchError(ContainSubstring(words)))
	Expect(apierrors.IsForbidden(err) || apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
}

// merge patches an object as a user.
func (w *world) merge(user client.Client, object client.Object, patch string) func() error {
	return func() error {
		return user.Patch(w.ctx, object.DeepCopyObject().(client.Object),
			client.RawPatch(types.MergePatchType, []byte(patch)))
	}
}

// mergeStatus patches the status of an object as a user.
func (w *world) mergeStatus(user client.Client, object client.Object, patch string) func() error {
	return func() error {
		return user.Status().
			Patch(w.ctx, object.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, []byte(patch)))
	}
}

var _ = Describe("The author of a DrainPolicy", func() {
	const (
		noPods    = "may not create pods and jobs"
		noAccount = "may not impersonate it"
		noClaims  = "may not delete persistentvolumeclaims"
	)
	var w *world
	BeforeEach(func() { w = newWorld() })

	account := func(name string) func(*drainv1alpha1.DrainPolicy) {
		return func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.ServiceAccountName = name }
	}
	deprecated := func(name string) func(*drainv1alpha1.DrainPolicy) {
		return func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.DeprecatedServiceAccount = name }
	}
	annotation := func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template = corev1.PodTemplateSpec{}
		p.Spec.TemplateFrom.StatefulSetAnnotation = drainv1alpha1.ScaledownPodTemplateAnnotation
	}
	creates := func(user client.Client, mutate ...func(*drainv1alpha1.DrainPolicy)) func() error {
		return func() error {
			policy := w.newPolicy("", mutate...)
			policy.GenerateName = "policy-"
			return user.Create(w.ctx, policy)
		}
	}

	It("may do all of it with the rights to edit the namespace", func() {
		user := w.editor()
		accepts(creates(user, account("mover"), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		accepts(creates(user, annotation, whenDrained(drainv1alpha1.WhenDrainedDelete)))
	})

	It("must be allowed to create pods and jobs", func() {
		refuses(creates(w.user(may(edit, "drainpolicies"))), noPods)
		refuses(creates(w.user(may(edit, "drainpolicies"), may(create, "pods"))), noPods)
		refuses(creates(w.user(may(edit, "drainpolicies"), may(create, "jobs"))), noPods)
		refuses(creates(w.user(may(edit, "drainpolicies")), annotation), noPods)
		accepts(creates(w.user(may(edit, "drainpolicies"), may(create, "pods", "jobs"))))
	})

	It("must be allowed to scale the StatefulSet, and to impersonate the ServiceAccount under which members leave", func() {
		scaled := func(p *drainv1alpha1.DrainPolicy) { wants(2)(p) }
		leaves := func(p *drainv1alpha1.DrainPolicy) {
			scaled(p)
			leave(p)
			p.Spec.Leave.Template.Spec.ServiceAccountName = "mover"
		}
		rights := []rbacv1.PolicyRule{may(edit, "drainpolicies"), may(create, "pods", "jobs")}
		refuses(creates(w.user(rights...), scaled), "may not update statefulsets/scale")
		rights = append(rights, may([]string{"update"}, "statefulsets/scale"))
		accepts(creates(w.user(rights...), scaled))
		refuses(creates(w.user(rights...), leaves), noAccount)
		rights = append(rights, onlyNamed("mover", may([]string{"impersonate"}, "serviceaccounts")))
		accepts(creates(w.user(rights...), leaves))
	})

	It("must be allowed to impersonate the ServiceAccount that the template names", func() {
		rights := []string{"pods", "jobs"}
		user := w.user(may(edit, "drainpolicies"), may(create, rights...))
		accepts(creates(user, account("default")))
		refuses(creates(user, account("mover")), noAccount)
		refuses(creates(user, deprecated("mover")), noAccount)
		user = w.user(may(edit, "drainpolicies"), may(create, rights...),
			onlyNamed("mover", may([]string{"impersonate"}, "serviceaccounts")))
		accepts(creates(user, account("mover")))
		accepts(creates(user, deprecated("mover")))
		refuses(creates(user, account("other")), noAccount)
		refuses(creates(user, account("other"), deprecated("mover")), noAccount)
		refuses(creates(user, account("mover"), deprecated("other")), noAccount)
	})

	It("must be allowed to delete claims for whenDrained: Delete", func() {
		refuses(creates(w.user(may(edit, "drainpolicies"), may(create, "pods", "jobs")),
			whenDrained(drainv1alpha1.WhenDrainedDelete)), noClaims)
		accepts(creates(w.user(may(edit, "drainpolicies"), may(create, "pods", "jobs"),
			may([]string{"delete"}, "persistentvolumeclaims")), whenDrained(drainv1alpha1.WhenDrainedDelete)))
	})

	It("is the user who changes its spec, not one who changes its labels", func() {
		policy := w.policy()
		user := w.user(may(change, "drainpolicies", "drainpolicies/status"))
		accepts(w.merge(user, policy, `{"metadata": {"labels": {"team": "a"}}}`))
		accepts(w.mergeStatus(user, policy, `{"status": {"observedGeneration": 1}}`))
		refuses(w.merge(user, policy, `{"spec": {"whenDrained": "Delete"}}`), noPods)
		refuses(w.merge(user, policy, `{"spec": {"template": {"spec": {"serviceAccountName": "mover"}}}}`), noPods)
		refuses(w.merge(w.user(may(change, "drainpolicies"), may(create, "pods", "jobs")),
			policy, `{"spec": {"whenDrained": "Delete"}}`), noClaims)
	})
})

var _ = Describe("The author of an annotation with a template", func() {
	const noPods, noAccount = "may not create pods and delete persistentvolumeclaims", "under a ServiceAccount that"
	var w *world
	BeforeEach(func() {
		w = newWorld()
		w.statefulSet(1)
	})

	// text is the JSON of a pod with these fields in its spec.
	text := func(fields string) string {
		return `{"spec": {` + fields + `"containers": [{"name": "main", "image": "drain", ` +
			`"volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}`
	}
	annotates := func(user client.Client, key, value string) func() error {
		return w.merge(user, w.set, fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, key, value))
	}

	It("may do all of it with the rights to edit the namespace", func() {
		accepts(annotates(w.editor(), scaledown, text(`"serviceAccountName": "mover", `)))
		Eventually(func() *drainv1alpha1.DrainPolicy { return w.named(managed) }).
			ShouldNot(BeNil(), "the operator may keep a policy for it")
	})

	It("must be allowed to create pods and to delete claims", func() {
		for _, user := range []client.Client{
			w.user(may(edit, "statefulsets")),
			w.user(may(edit, "statefulsets"), may(create, "pods")),
			w.user(may(edit, "statefulsets"), may([]string{"delete"}, "persistentvolumeclaims")),
		} {
			refuses(annotates(user, scaledown, text("")), noPods)
			refuses(annotates(user, drainer, text("")), noPods)
		}
		accepts(annotates(w.user(may(edit, "statefulsets"),
			may(create, "pods"), may([]string{"delete"}, "persistentvolumeclaims")), scaledown, text("")))
	})

	It("can't bypass the checks through the status", func() {
		user := w.user(may(change, "statefulsets/status"))
		refuses(w.mergeStatus(user, w.set, fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, scaledown, text(""))),
			noPods)
		accepts(w.mergeStatus(user, w.set, `{"status": {"observedGeneration": 1}}`))
	})

	It("can be another operator that creates the StatefulSet with it", func() {
		user := w.user(may(edit, "statefulsets"))
		again := func(annotations map[string]string) func() error {
			return func() error {
				set := w.set.DeepCopy()
				set.ObjectMeta = metav1.ObjectMeta{GenerateName: "copied-", Namespace: w.namespace, Annotations: annotations}
				return user.Create(w.ctx, set)
			}
		}
		refuses(again(map[string]string{scaledown: text("")}), noPods)
		accepts(again(map[string]string{"example.com/other": text("")}))
	})

	It("must be allowed to impersonate the ServiceAccount in it, however it is written", func() {
		rights := []rbacv1.PolicyRule{may(edit, "statefulsets"),
			may(create, "pods"), may([]string{"delete"}, "persistentvolumeclaims")}
		user := w.user(rights...)
		accepts(annotates(user, scaledown, text(`"serviceAccountName": "default", `)))
		for _, fields := range []string{
			`"serviceAccountName": "mover", `, "\"serviceAccountName\"\n\t:\n\t\"mover\", ", `"serviceAccount": "mover", `,
			`"serviceAccountN\u0061me": "mover", `,
			`"\u0073erviceAccountName" : "mover", `, `"\u0073\u0065rviceAccount": "mover", `,
		} {
			refuses(annotates(user, scaledown, text(fields)), noAccount)
			refuses(annotates(user, drainer, text(fields)), noAccount)
		}
		accepts(annotates(user, scaledown, text(`"hostname": "\u003cx\u003e", `)))

		user = w.user(append(rights, onlyNamed("mover", may([]string{"impersonate"}, "serviceaccounts")))...)
		accepts(annotates(user, scaledown, text(`"serviceAccountName": "mover", "serviceAccount": "mover", `)))
		refuses(annotates(user, scaledown, text(`"serviceAccountName": "other", `)), noAccount)
		refuses(annotates(user, scaledown, text(`"serviceAccountName": "m\u006fver", `)), noAccount)
		refuses(annotates(user, scaledown, text(`"serviceAccountN\u0061me": "mover", `)), noAccount)
		refuses(annotates(user, drainer, text(`"serviceAccount": "other", "serviceAccountName": "mover", `)), noAccount)
	})

	It("needs no rights to keep it, to remove it or to scale", func() {
		w.annotate(scaledown, text(""))
		w.annotate(drainer, text(`"serviceAccountName": "mover", `))
		user := w.user(may(change, "statefulsets", "statefulsets/scale"))
		accepts(w.merge(user, w.set, `{"spec": {"replicas": 2}, "metadata": {"annotations": {"example.com/other": "x"}}}`))
		refuses(annotates(user, drainer, text("")), noPods)
		accepts(w.merge(user, w.set, fmt.Sprintf(`{"metadata": {"annotations": {%q: null}}}`, scaledown)))
		accepts(w.merge(user, w.set, fmt.Sprintf(`{"metadata": {"annotations": {%q: ""}}}`, drainer)))
		refuses(annotates(user, drainer, text("")), noPods)
	})

	It("may write one of the maximum size with the rights to", func() {
		long := text(`"hostname": "` + strings.Repeat(`\u0061`, 40000) + `", `)
		accepts(annotates(w.editor(), scaledown, long))
		refuses(annotates(w.user(may(edit, "statefulsets")), scaledown, long+" "), noPods)
	})
})

var _ = Describe("The author of a mark", func() {
	const refused = "may not delete it"
	var w *world
	var claim *corev1.PersistentVolumeClaim
	BeforeEach(func() {
		w = newWorld()
		w.statefulSet(1)
		claim = w.claim("data-store-0")
	})
	mark := func(value string) string {
		return fmt.Sprintf(`{"metadata": {"annotations": {%q: %s}}}`, drainv1alpha1.DrainedAnnotation, value)
	}

	It("must be allowed to delete the claim", func() {
		user := w.user(may(change, "persistentvolumeclaims", "persistentvolumeclaims/status"))
		accepts(w.merge(user, claim, `{"metadata": {"annotations": {"example.com/other": "x"}}}`))
		refuses(w.merge(user, claim, mark(`"{}"`)), refused)
		refuses(w.mergeStatus(user, claim, mark(`"{}"`)), refused)
		accepts(w.mergeStatus(user, claim, `{"status": {"phase": "Bound"}}`))
		deletes := may([]string{"delete"}, "persistentvolumeclaims")
		refuses(w.merge(w.user(may(change, "persistentvolumeclaims"), onlyNamed("data-store-1", deletes)),
			claim, mark(`"{}"`)), refused)
		accepts(w.merge(w.user(may(change, "persistentvolumeclaims"), onlyNamed("data-store-0", deletes)),
			claim, mark(`"{}"`)))
	})

	It("needs no rights to keep it or to remove it", func() {
		accepts(w.merge(k8s, claim, mark(`"{}"`)))
		user := w.user(may(change, "persistentvolumeclaims"))
		accepts(w.merge(user, claim, `{"metadata": {"labels": {"a": "b"}}}`))
		refuses(w.merge(user, claim, mark(`"{ }"`)), refused)
		accepts(w.merge(user, claim, mark(`null`)))
	})
})

var _ = Describe("The operator's labels and annotations", func() {
	const (
		labels      = "labels of drain.statefulset.dev on Jobs and Pods are written by drain-operator only"
		annotations = "annotations of drain.statefulset.dev on Jobs and Pods of drain-operator are written by drain-operator only"
		templates   = "labels of drain.statefulset.dev on the Pods of Jobs are given by drain-operator only"
	)
	var w *world
	BeforeEach(func() { w = newWorld() })

	forged := map[string]string{drainv1alpha1.PolicyUIDLabel: "forged", drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain}
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "x", Image: "x"}},
	}
	pod := func(user client.Client, labels map[string]string, owners ...metav1.OwnerReference) func() error {
		return func() error {
			return user.Create(w.ctx,
				&corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{GenerateName: "x-", Namespace: w.namespace, Labels: labels, OwnerReferences: owners},
					Spec:       spec,
				})
		}
	}
	job := func(user client.Client, labels, ofPods map[string]string, owners ...metav1.OwnerReference) func() error {
		return func() error {
			return user.Create(w.ctx, &batchv1.Job{
				ObjectMeta: metav1.ObjectMeta{GenerateName: "x-", Namespace: w.namespace, Labels: labels, OwnerReferences: owners},
				Spec: batchv1.JobSpec{
					Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: ofPods}, Spec: spec},
				},
			})
		}
	}
	controllers := map[string]client.Client{}
	BeforeEach(func() {
		controllers["job-controller"] = clientAs(as("system:serviceaccount:kube-system:job-controller",
			serviceAccountGroups("kube-system")...))
		controllers["kube-controller-manager"] = clientAs(as("system:kube-controller-manager"))
		controllers["replicaset-controller"] = clientAs(as("system:serviceaccount:kube-system:replicaset-controller",
			serviceAccountGroups("kube-system")...))
	})

	It("can't be forged by a user who may edit the namespace", func() {
		user := w.editor()
		accepts(pod(user, map[string]string{"app": "x"}))
		accepts(job(user, map[string]string{"app": "x"}, map[string]string{"app": "x"}))
		refuses(pod(user, forged), labels)
		refuses(pod(user, map[string]string{drainv1alpha1.PolicyUIDLabel: "forged"}), labels)
		refuses(job(user, forged, nil), labels)
		// A Job without labels gets those of its template.
		refuses(job(user, nil, forged), "labels of drain.statefulset.dev")
		refuses(job(user, map[string]string{"app": "x"}, forged), templates)
		refuses(job(user, map[string]string{"app": "x"}, map[string]string{drainv1alpha1.OrdinalLabel: "1"}), templates)
		By("putting them on what is there")
		plain := &corev1.Pod{ObjectMeta: w.meta("plain"), Spec: spec}
		Expect(k8s.Create(w.ctx, plain)).To(Succeed())
		refuses(w.merge(user, plain,
			fmt.Sprintf(`{"metadata": {"labels": {%q: "forged"}}}`, drainv1alpha1.PolicyUIDLabel)), labels)
	})

	It("may be given to the Pods of Jobs by the Job controller", func() {
		owner := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: "x", UID: "x", Controller: ptr.To(true)}
		other := metav1.OwnerReference{
			APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "x", UID: "x", Controller: ptr.To(true),
		}
		cron := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "CronJob", Name: "x", UID: "x", Controller: ptr.To(true)}
		// Bindings of the controllers' own ClusterRoles are there from the start.
		accepts(pod(controllers["job-controller"], forged, owner))
		refuses(pod(controllers["job-controller"], forged, other), labels)
		refuses(pod(controllers["job-controller"], forged, cron), labels)
		refuses(pod(controllers["replicaset-controller"], forged, other), labels)
		refuses(pod(controllers["replicaset-controller"], forged, owner), labels)
		all := w.user(may(edit, "pods", "jobs"))
		refuses(pod(all, forged, owner), labels)
		By("without credentials of its own for each controller, all controllers are one user")
		w.grant("system:kube-controller-manager", may(edit, "pods", "jobs"))
		accepts(pod(controllers["kube-controller-manager"], forged, owner))
		refuses(pod(controllers["kube-controller-manager"], forged, other), labels)
		refuses(job(controllers["kube-controller-manager"], forged, nil), labels)
		refuses(job(controllers["kube-controller-manager"], forged, nil, owner), labels)
		refuses(job(controllers["kube-controller-manager"], map[string]string{"app": "x"}, forged), templates)
	})

	It("stay as they are when others update such Pods and Jobs", func() {
		running := w.draining()
		created := &corev1.Pod{
			ObjectMeta: *running.Spec.Template.ObjectMeta.DeepCopy(), Spec: *running.Spec.Template.Spec.DeepCopy(),
		}
		created.Namespace, created.GenerateName = w.namespace, running.Name+"-"
		created.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(running,
			batchv1.SchemeGroupVersion.WithKind("Job"))}
		Expect(controllers["job-controller"].Create(w.ctx, created)).
			To(Succeed(), "the Job controller creates the drain's Pod")
		Eventually(w.gates(created)).Should(BeEmpty(), "and the operator lets it run")

		controller := w.user(may(edit, "pods", "pods/status", "jobs", "jobs/status"))
		for _, object := range []client.Object{created, w.lock(1), running} {
			accepts(w.merge(controller, object,
				`{"metadata": {"labels": {"team": "a"}, "annotations": {"example.com/note": "x"}}}`))
			refuses(w.merge(controller, object,
				fmt.Sprintf(`{"metadata": {"labels": {%q: "7"}}}`, drainv1alpha1.OrdinalLabel)), labels)
			refuses(w.merge(controller, object,
				fmt.Sprintf(`{"metadata": {"labels": {%q: null}}}`, drainv1alpha1.PolicyUIDLabel)), labels)
			refuses(w.mergeStatus(controller, object,
				fmt.Sprintf(`{"metadata": {"labels": {%q: "7"}}}`, drainv1alpha1.OrdinalLabel)), labels)
			refuses(w.merge(controller, object,
				fmt.Sprintf(`{"metadata": {"annotations": {%q: "7"}}}`, drainv1alpha1.LockAnnotation)), annotations)
			refuses(w.merge(controller, object,
				fmt.Sprintf(`{"metadata": {"annotations": {%q: null}}}`, drainv1alpha1.PolicyAnnotation)), annotations)
		}
		refuses(w.merge(controllers["job-controller"],
			created, fmt.Sprintf(`{"metadata": {"labels": {%q: "7"}}}`, drainv1alpha1.OrdinalLabel)), labels)
		refuses(w.merge(controller, w.lock(1), `{"spec": {"schedulingGates": null}}`),
			"scheduling gates of drain.statefulset.dev are taken off by drain-operator only")
		By("as the kubelet, the Job controller and the garbage collector do")
		accepts(w.mergeStatus(controller, created, `{"status": {"phase": "Running"}}`))
		accepts(w.mergeStatus(controller, running, `{"status": {"active": 1}}`))
		accepts(w.merge(controller, created, `{"metadata": {"finalizers": ["example.com/x"]}}`))
		accepts(w.merge(controller, created, `{"metadata": {"finalizers": null, "ownerReferences": null}}`))
	})
})

var _ = Describe("The fence around the operator's account", func() {
	var w *world
	var operator client.Client
	BeforeEach(func() {
		w = newWorld()
		operator = clientAs(as(operatorUser, serviceAccountGroups("drain-operator-system")...))
	})

	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "x", Image: "x"}},
	}
	lock := func(mutate ...func(*corev1.Pod)) *corev1.Pod {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				GenerateName: "x-", Namespace: w.namespace,
				Labels: map[string]string{drainv1alpha1.PolicyUIDLabel: "x", drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock},
			},
			Spec: *spec.DeepCopy(),
		}
		pod.Spec.AutomountServiceAccountToken = ptr.To(false)
		pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: drainv1alpha1.LockSchedulingGate}}
		for _, m := range mutate {
			m(pod)
		}
		return pod
	}
	job := func(mutate ...func(*batchv1.Job)) *batchv1.Job {
		job := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{
				GenerateName: "x-", Namespace: w.namespace,
				Labels: map[string]string{
					drainv1alpha1.PolicyUIDLabel: "x", drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain,
				},
				OwnerReferences: []metav1.OwnerReference{{
					APIVersion: "drain.statefulset.dev/v1alpha1", Kind: "DrainPolicy", Name: "x", UID: "x",
					Controller: ptr.To(true),
				}},
			},
			Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: *spec.DeepCopy()}},
		}
		job.Spec.Template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: drainv1alpha1.DrainSchedulingGate}}
		for _, m := range mutate {
			m(job)
		}
		return job
	}
	creates := func(object client.Object) func() error {
		return func() error { return operator.Create(w.ctx, object.DeepCopyObject().(client.Object)) }
	}
	deletes := func(object client.Object) func() error {
		return func() error { return operator.Delete(w.ctx, object.DeepCopyObject().(client.Object)) }
	}

	It("lets it create locks, and no other Pods but for trial", func() {
		const refused = "drain-operator creates no Pods but locks"
		accepts(creates(lock()))
		refuses(creates(lock(func(p *corev1.Pod) { p.Spec.SchedulingGates = nil })), refused)
		refuses(creates(lock(func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = nil })), refused)
		refuses(creates(lock(func(p *corev1.Pod) { p.Labels = nil })), refused)
		refuses(creates(lock(func(p *corev1.Pod) { p.Labels[drainv1alpha1.RoleLabel] = drainv1alpha1.RoleDrain })), refused)
		accepts(func() error {
			return operator.Create(w.ctx, lock(func(p *corev1.Pod) { p.Labels, p.Spec.SchedulingGates = nil, nil }),
				client.DryRunAll)
		})
	})

	It("lets it create the Jobs of drains, whose Pods wait for it", func() {
		const refused = "drain-operator creates no Jobs but those of drains"
		accepts(creates(job()))
		refuses(creates(job(func(j *batchv1.Job) { j.Spec.Template.Spec.SchedulingGates = nil })), refused)
		refuses(creates(job(func(j *batchv1.Job) { j.OwnerReferences = nil })), refused)
		refuses(creates(job(func(j *batchv1.Job) { j.Labels = nil })), refused)
	})

	It("keeps it out of system namespaces, in dry runs too", func() {
		for _, namespace := range []string{"kube-system", "kube-public", "drain-operator-system"} {
			words := "drain-operator drains nothing in namespace " + namespace
			if namespace != "drain-operator-system" { // Pod Security comes first there.
				refuses(creates(lock(func(p *corev1.Pod) { p.Namespace = namespace })), words)
			}
			refuses(creates(job(func(j *batchv1.Job) { j.Namespace = namespace })), words)
			refuses(func() error {
				return operator.Create(w.ctx, job(func(j *batchv1.Job) { j.Namespace = namespace }), client.DryRunAll)
			}, words)
		}
	})

	It("keeps it from Pods and Jobs of others", func() {
		const refused = "drain-operator changes and deletes no Pods and Jobs but its own"
		pod := &corev1.Pod{ObjectMeta: w.meta("theirs"), Spec: spec}
		Expect(k8s.Create(w.ctx, pod)).To(Succeed())
		refuses(deletes(pod), refused)
		refuses(w.merge(operator, pod, `{"metadata": {"annotations": {"a": "b"}}}`), refused)
		refuses(w.merge(operator, pod,
			fmt.Sprintf(`{"metadata": {"labels": {%q: "x"}}}`, drainv1alpha1.PolicyUIDLabel)), refused)
		job := &batchv1.Job{ObjectMeta: w.meta("theirs"), Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: spec}}}
		Expect(k8s.Create(w.ctx, job)).To(Succeed())
		refuses(deletes(job), refused)
	})

	It("keeps it from changing what its own Pods are", func() {
		const refused = "drain-operator changes neither labels nor images"
		pod := lock()
		Expect(k8s.Create(w.ctx, pod)).To(Succeed())
		accepts(w.merge(operator, pod, `{"metadata": {"annotations": {"drain.statefulset.dev/job": "x"}}}`))
		accepts(w.merge(operator, pod, `{"metadata": {"labels": {"team": "a"}}}`))
		refuses(w.merge(operator, pod, `{"metadata": {"labels": {"team": "b"}}}`), refused)
		refuses(w.merge(operator, pod, `{"metadata": {"labels": {"drain.statefulset.dev/role": "drain"}}}`), refused)
		refuses(w.merge(operator, pod, `{"metadata": {"labels": {"drain.statefulset.dev/attempt": "7"}}}`), refused)
		refuses(w.merge(operator, pod, `{"spec": {"containers": [{"name": "x", "image": "y"}]}}`), refused)
		refuses(w.merge(operator, pod, `{"spec": {"schedulingGates": null}}`), refused)
		By("but not out of a lock that a person let run")
		accepts(w.merge(k8s, pod, `{"spec": {"schedulingGates": null}}`))
		accepts(w.merge(operator, pod, `{"metadata": {"annotations": {"drain.statefulset.dev/job": "y"}}}`))
		drain := lock(func(p *corev1.Pod) {
			p.Labels[drainv1alpha1.RoleLabel] = drainv1alpha1.RoleDrain
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: drainv1alpha1.DrainSchedulingGate}}
		})
		Expect(k8s.Create(w.ctx, drain)).To(Succeed())
		refuses(w.merge(operator, drain, `{"spec": {"containers": [{"name": "x", "image": "y"}]}}`), refused)
		accepts(w.merge(operator, drain, `{"spec": {"schedulingGates": null}}`))
		accepts(deletes(drain))
	})

	It("lets it mark claims, and delete marked ones", func() {
		const unmarked = "drain-operator deletes no claims but marked ones"
		const refused = "drain-operator changes nothing of claims but marks"
		w.statefulSet(1)
		claim := w.claim("data-store-0")
		refuses(deletes(claim), unmarked)
		refuses(w.merge(operator, claim,
			fmt.Sprintf(`{"metadata": {"annotations": {%q: "true"}}}`, drainv1alpha1.SkipAnnotation)), refused)
		refuses(w.merge(operator, claim, `{"metadata": {"labels": {"app": "other"}}}`), refused)
		By("what webhooks add to its writes")
		accepts(w.merge(operator, claim, `{"metadata": {"labels": {"team": "a"}, "annotations": {"example.com/note": "x"}}}`))
		refuses(w.merge(operator, claim, `{"metadata": {"annotations": {"example.com/note": "y"}}}`), refused)
		refuses(w.merge(operator, claim, `{"metadata": {"finalizers": null}}`), refused)
		refuses(w.merge(operator, claim, `{"spec": {"resources": {"requests": {"storage": "2Gi"}}}}`), "")
		accepts(w.merge(k8s, claim, `{"metadata": {"annotations": {"example.com/a": "b"}}}`))
		refuses(w.merge(operator, claim, `{"metadata": {"annotations": {"example.com/a": null}}}`), refused)
		accepts(w.merge(operator, claim,
			fmt.Sprintf(`{"metadata": {"annotations": {%q: "{}"}}}`, drainv1alpha1.DrainedAnnotation)))
		accepts(deletes(claim))
	})

	It("lets it write policies that follow an annotation, and of others the finalizer", func() {
		const refused = "drain-operator changes and deletes no DrainPolicies but"
		refuses(creates(w.newPolicy("own")), "drain-operator creates no DrainPolicies but")
		refuses(creates(w.newPolicy("own", func(p *drainv1alpha1.DrainPolicy) {
			p.Labels = map[string]string{drainv1alpha1.ManagedByLabel: drainv1alpha1.ManagedByOperator}
		})), "drain-operator creates no DrainPolicies but")
		policy := w.policy()
		accepts(w.merge(operator, policy, `{"metadata": {"finalizers": ["drain.statefulset.dev/locks"]}}`))
		refuses(w.merge(operator, policy, `{"spec": {"whenDrained": "Delete"}}`), refused)
		refuses(deletes(policy), refused)
	})

	It("holds no other user back", func() {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "x-", Namespace: "kube-system"}, Spec: spec}
		Expect(k8s.Create(w.ctx, pod, client.DryRunAll)).To(Succeed())
		user := w.editor()
		accepts(func() error {
			return user.Create(w.ctx, &corev1.Pod{ObjectMeta: w.meta("x"), Spec: spec})
		})
		accepts(func() error {
			claim := claimTemplate("x")
			claim.Namespace = w.namespace
			return user.Create(w.ctx, &claim)
		})
		accepts(func() error {
			return user.Delete(w.ctx, &corev1.PersistentVolumeClaim{ObjectMeta: w.meta("x")})
		})
	})
})

var _ = Describe("A template that is too large", func() {
	It("is refused when the policy is applied, and nothing of the policy is lost", func() {
		w := newWorld()
		w.statefulSet(2)
		policy := w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Labels, p.Annotations = map[string]string{"team": "a"}, map[string]string{"example.com/note": "x"}
		})
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		w.scale(1)
		job := w.runningJob(1)
		w.startPod(job)
		Expect(w.get().Labels).To(Equal(policy.Labels), "the finalizer was added, and nothing was taken away")
		Expect(w.get().Annotations).To(Equal(policy.Annotations))
		By("during a drain")
		long := strings.Repeat("x", drainv1alpha1.MaxTemplateBytes)
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].Args = []string{long} })
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/InvalidTemplate"))
		Consistently(w.jobs).Should(HaveLen(1), "what runs goes on")
		Expect(w.runningJob(1).UID).To(Equal(job.UID))
		got := w.get()
		Expect(got.Spec.Template.Spec.Containers).To(HaveLen(1), "the template is still there")
		Expect(got.Spec.Template.Spec.Containers[0].Args).To(Equal([]string{long}))
		Expect(got.Annotations).To(Equal(policy.Annotations), "what only the cache has isn't written")
		Expect(got.Labels).To(Equal(policy.Labels))
		Expect(got.Finalizers).To(ConsistOf(drainv1alpha1.PolicyFinalizer))
		By("the policy can be deleted")
		Expect(k8s.Delete(w.ctx, got)).To(Succeed())
		Eventually(w.policies).Should(BeEmpty())
	})
})
