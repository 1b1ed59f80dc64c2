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

package cli

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/preflight"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// objects counts what a check must not create.
func (w *world) objects() int {
	w.t.Helper()
	count := 0
	for _, list := range []client.ObjectList{&drainv1alpha1.DrainPolicyList{}, &corev1.PodList{}, &batchv1.JobList{}, &corev1.PersistentVolumeClaimList{}} {
		w.Expect(k8s.List(w.t.Context(), list, client.InNamespace(w.namespace))).To(Succeed())
		text, err := json.Marshal(list)
		w.Expect(err).NotTo(HaveOccurred())
		count += strings.Count(string(text), `"uid"`)
	}
	return count
}

func (w *world) review(code int, args ...string) Review {
	w.t.Helper()
	output, _, got := w.kubectl(append([]string{"check", "-o", "json"}, args...)...)
	w.Expect(got).To(Equal(code))
	var r Review
	w.Expect(json.Unmarshal([]byte(output), &r)).To(Succeed())
	return r
}

func (w *world) accepted() bool {
	return meta.IsStatusConditionTrue(w.get().Status.Conditions, drainv1alpha1.ConditionReady)
}

func (r *Review) result(check string) string {
	for i := range r.Findings {
		if r.Findings[i].Check == check {
			return r.Findings[i].Result
		}
	}
	return ""
}

func TestCheckPlansAScaleDown(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	w.policy(deletes)
	w.Eventually(w.accepted).Should(BeTrue())
	w.create(&corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "volume-of-data-store-2"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: w.set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/nowhere"}},
		},
	})
	before := w.objects()
	r := w.review(0, "store")
	w.Expect(r.Safe).To(BeTrue())
	for _, check := range []string{"operator", "dry run", "replicas", "policy", "serviceaccount"} {
		w.Expect(r.result(check)).To(Equal(good), check)
	}
	w.Expect(r.result("image")).To(Equal(warning), "no node is known to have the image")
	w.Expect(r.Plan).To(HaveLen(1))
	w.Expect(r.Plan[0].Ordinal).To(BeEquivalentTo(2))
	w.Expect(r.Plan[0].Reason).To(Equal("Starting"), "the operator's planner would start it")
	w.Expect(r.Deleted).To(Equal([]string{"data-store-2 (1Gi), and its volume with it"}))

	text := w.answers(0, "check", "store", "--replicas=1")
	w.Expect(text).To(And(ContainSubstring("from 3 to 1 replicas"), ContainSubstring("Deleted when drained: 2 claims"),
		ContainSubstring("WaitingForSlot"), ContainSubstring("there is no time to undo"), ContainSubstring("Safe: nothing speaks against it.")))
	w.Expect(w.answers(exitNo, "check", "store", "--replicas=0")).To(ContainSubstring("0 of the 0 replicas that remain are ready, and spec.minReadyReplicas is 1"))
	w.Expect(w.objects()).To(Equal(before), "a check writes nothing")
	w.Expect(w.replicas()).To(BeEquivalentTo(3))
}

func TestCheckFindsWhatSpeaksAgainstIt(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(w *world, policy *drainv1alpha1.DrainPolicy)
		after func(w *world)
		check string
		want  string
	}{
		"a suspended policy": {
			spoil: func(_ *world, policy *drainv1alpha1.DrainPolicy) { policy.Spec.Suspend = ptr.To(true) }, check: "policy", want: "Suspended",
		},
		"a template that leaves a claim out": {
			spoil: func(_ *world, policy *drainv1alpha1.DrainPolicy) {
				policy.Spec.Template.Spec.Containers[0].VolumeMounts = nil
			},
			check: "dry run", want: "could not be believed",
		},
		"a ServiceAccount that does not exist": {
			spoil: func(_ *world, policy *drainv1alpha1.DrainPolicy) {
				policy.Spec.Template.Spec.ServiceAccountName = "drainer"
			},
			check: "serviceaccount", want: `"drainer" does not exist`,
		},
		"a Secret that does not exist": {
			spoil: func(_ *world, policy *drainv1alpha1.DrainPolicy) {
				policy.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{
					LocalObjectReference: corev1.LocalObjectReference{Name: "credentials"},
				}}}
			},
			check: "secret", want: `Secret "credentials" does not exist`,
		},
		"a claim that is being deleted": {
			after: func(w *world) {
				claim := &corev1.PersistentVolumeClaim{ObjectMeta: w.meta("data-store-1")}
				w.Expect(k8s.Delete(w.t.Context(), claim)).To(Succeed())
			},
			check: "ordinal 1", want: "ClaimTerminating",
		},
		"a claim that is skipped": {
			after: func(w *world) {
				claim := &corev1.PersistentVolumeClaim{}
				w.Expect(k8s.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "data-store-1"}, claim)).To(Succeed())
				metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.SkipAnnotation, "true")
				w.Expect(k8s.Update(w.t.Context(), claim)).To(Succeed())
			},
			check: "ordinal 1", want: "Skipped",
		},
		"an older policy for the same StatefulSet": {
			spoil: func(w *world, _ *drainv1alpha1.DrainPolicy) {
				older := w.newPolicy()
				older.Name = "older"
				w.create(older)
			},
			check: "policy", want: "PolicyConflict",
		},
		"replicas that are not ready": {
			after: func(w *world) {
				pod := &corev1.Pod{}
				w.Expect(k8s.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "store-0"}, pod)).To(Succeed())
				pod.Status.Conditions = nil
				w.Expect(k8s.Status().Update(w.t.Context(), pod)).To(Succeed())
			},
			check: "replicas", want: "0 of the 1 replicas that remain are ready",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.statefulSet(2)
			w.policy(func(policy *drainv1alpha1.DrainPolicy) {
				if test.spoil != nil {
					test.spoil(w, policy)
				}
			})
			if test.after != nil {
				test.after(w)
			}
			code, result := exitNo, bad
			if test.want == "Skipped" {
				code, result = 0, warning
			}
			r := w.review(code, "store")
			w.Expect(r.result(test.check)).To(Equal(result))
			w.Expect(w.answers(code, "check", "store")).To(ContainSubstring(test.want))
		})
	}
}

func TestCheckWithoutTheRightToTryTheDrain(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(2)
	w.policy()
	w.Eventually(w.accepted).Should(BeTrue())
	jane := w.user(
		may(drainGroup, "drainpolicies", "get", "list"), may("apps", "statefulsets", "get", "list"), may("batch", "jobs", "list"),
		may("", "pods", "list"), may("", "persistentvolumeclaims", "list"))
	text := w.answers(0, "check", "store", jane)
	w.Expect(text).To(And(ContainSubstring("but the API server accepted the operator's own dry run"), ContainSubstring("2 checks could not be made")))
}

func TestCheckOfAFileThatIsNotApplied(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(2)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(policy *drainv1alpha1.DrainPolicy) {
		policy.APIVersion, policy.Kind = drainv1alpha1.GroupVersion.String(), "DrainPolicy"
		text, err := yaml.Marshal(policy)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(os.WriteFile(file, text, 0o600)).To(Succeed())
	}
	before := w.objects()
	write(w.newPolicy(deletes))
	r := w.review(0, "-f", file)
	w.Expect(r.result("operator")).To(Equal(warning))
	w.Expect(r.result("dry run")).To(Equal(good))
	w.Expect(r.Plan).To(HaveLen(1))
	write(w.newPolicy(func(policy *drainv1alpha1.DrainPolicy) { policy.Spec.WhenDeleted = drainv1alpha1.WhenDeletedDrain }))
	w.Expect(w.answers(exitError, "check", "-f", file)).To(ContainSubstring("minReadyReplicas must be 0"), "the API server validates the file")
	w.Expect(w.objects()).To(Equal(before), "a check writes nothing")

	w.policy()
	write(w.newPolicy(func(policy *drainv1alpha1.DrainPolicy) { policy.Spec.Template.Spec.Containers[0].VolumeMounts = nil }))
	w.Expect(w.answers(exitNo, "check", "-f", file)).To(ContainSubstring("could not be believed"), "a change of a policy is checked, too")
	w.Expect(w.get().Spec.Template.Spec.Containers[0].VolumeMounts).To(HaveLen(1), "and not made")
}

func TestInitPrintsAPolicyThatMountsEveryClaim(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(2)
	text := w.answers(0, "init", "sts/store")
	w.Expect(text).To(And(ContainSubstring(`mountPath: "/var/lib/store"`), ContainSubstring("DRAIN_RECEIPT")))
	file := filepath.Join(t.TempDir(), "policy.yaml")
	w.Expect(os.WriteFile(file, []byte(text), 0o600)).To(Succeed())
	r := w.review(exitNo, "-f", file)
	w.Expect(r.result("dry run")).To(Equal(good))
	w.Expect(r.result("policy")).To(Equal(bad))
	w.Expect(w.answers(exitNo, "check", "-f", file)).To(ContainSubstring("Suspended"), "that it is suspended is the only objection")
	w.Expect(r.count(bad)).To(Equal(1))
	policy := &drainv1alpha1.DrainPolicy{}
	w.Expect(yaml.UnmarshalStrict([]byte(text), policy)).To(Succeed())
	w.create(policy)
}

func TestStarterMountsFilesAndDevices(t *testing.T) {
	volume := func(name string, mode corev1.PersistentVolumeMode) corev1.PersistentVolumeClaim {
		return corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{VolumeMode: &mode}}
	}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop"}, Spec: appsv1.StatefulSetSpec{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Image:         "db:v1",
			VolumeMounts:  []corev1.VolumeMount{{Name: "data", MountPath: "/data", SubPath: "part"}, {Name: "wal", MountPath: "/wal dir"}},
			VolumeDevices: []corev1.VolumeDevice{{Name: "raw", DevicePath: "/dev/xvda"}},
		}}}},
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{
			volume("data", corev1.PersistentVolumeFilesystem), volume("raw", corev1.PersistentVolumeBlock), volume("wal", corev1.PersistentVolumeFilesystem),
		},
	}}
	g := NewWithT(t)
	text, err := starter(set)
	g.Expect(err).NotTo(HaveOccurred())
	policy := &drainv1alpha1.DrainPolicy{}
	g.Expect(yaml.UnmarshalStrict([]byte(text), policy)).To(Succeed())
	container := policy.Spec.Template.Spec.Containers[0]
	g.Expect(container.VolumeMounts).To(Equal([]corev1.VolumeMount{{Name: "data", MountPath: "/data"}, {Name: "wal", MountPath: "/wal dir"}}))
	g.Expect(container.VolumeDevices).To(Equal([]corev1.VolumeDevice{{Name: "raw", DevicePath: "/dev/xvda"}}))
	g.Expect(preflight.Template(plan.Snapshot{Policy: policy, Target: statefulset.Of(set), Template: policy.Spec.Template})).To(BeEmpty())
}

func closed(w *world, archive io.Closer) { w.Expect(archive.Close()).To(Succeed()) }

func TestReportHasNoDataInIt(t *testing.T) {
	w := newWorld(t)
	w.draining(func(policy *drainv1alpha1.DrainPolicy) {
		c := &policy.Spec.Template.Spec.Containers[0]
		c.Env = []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}}
		c.Command, c.Args = []string{"sh", "-c", "curl -u admin:hunter2"}, []string{"hunter2"}
		policy.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}
	})
	w.create(&corev1.Secret{ObjectMeta: w.meta("store-credentials"), StringData: map[string]string{"password": "hunter2"}})
	other := w.newPolicy()
	other.Name, other.Spec.StatefulSetRef.Name = "other", "unrelated"
	w.create(other)
	file := filepath.Join(t.TempDir(), "report.zip")
	w.Expect(w.answers(0, "report", "store", "--file", file)).To(ContainSubstring("look at it before you send it"))
	archive, err := zip.OpenReader(file)
	w.Expect(err).NotTo(HaveOccurred())
	defer closed(w, archive)
	var names []string
	for _, member := range archive.File {
		names = append(names, member.Name)
		in, err := member.Open()
		w.Expect(err).NotTo(HaveOccurred())
		text, err := io.ReadAll(in)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(string(text)).NotTo(ContainSubstring("hunter2"), member.Name)
		if member.Name == "policies/store.yaml" {
			w.Expect(string(text)).To(And(ContainSubstring("REDACTED (7 bytes)"), ContainSubstring("name: PASSWORD"), ContainSubstring("reason: JobRunning")))
		}
	}
	w.Expect(names).To(ContainElements("policies/store.yaml", "statefulsets/store.yaml", "pods/store-2.yaml", "claims/data-store-2.yaml", "notes.txt"))
	w.Expect(names).To(ContainElement(HavePrefix("jobs/")))
	w.Expect(names).To(ContainElement(HavePrefix("events/")))
	w.Expect(names).NotTo(ContainElement("policies/other.yaml"))
	w.Expect(w.answers(exitError, "report", "--file", file)).To(ContainSubstring("exists"))

	jane := w.user(may(drainGroup, "drainpolicies", "get", "list"))
	file = filepath.Join(t.TempDir(), "report.zip")
	w.answers(0, "report", "--file", file, jane)
	archive, err = zip.OpenReader(file)
	w.Expect(err).NotTo(HaveOccurred())
	defer closed(w, archive)
	notes, err := archive.Open("notes.txt")
	w.Expect(err).NotTo(HaveOccurred())
	text, err := io.ReadAll(notes)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(string(text)).To(ContainSubstring(`cannot list resource "pods"`), "what the user may not read is a note")
}
