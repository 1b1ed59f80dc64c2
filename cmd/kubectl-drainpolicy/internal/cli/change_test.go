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
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
)

func (w *world) skipped(ordinal int32) bool {
	w.t.Helper()
	claim := &corev1.PersistentVolumeClaim{}
	w.Expect(k8s.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: w.set.Spec.VolumeClaimTemplates[0].Name + "-store-" + string('0'+ordinal)}, claim)).To(Succeed())
	return claim.Annotations[drainv1alpha1.SkipAnnotation] == "true"
}

func (w *world) replicas() int32 {
	w.t.Helper()
	w.refresh()
	return *w.set.Spec.Replicas
}

func TestSuspendAndResume(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	w.policy()
	w.Expect(w.answers(0, "suspend", "store", "--dry-run")).To(Equal("drainpolicy/store suspended (dry run)\n"))
	w.Expect(w.get().Spec.Suspend).To(HaveValue(BeFalse()), "a dry run changes nothing")
	w.Expect(w.answers(0, "suspend", "store")).To(Equal("drainpolicy/store suspended\n"))
	w.Expect(w.answers(0, "suspend", "store")).To(Equal("drainpolicy/store is already suspended\n"))
	w.scale(2)
	w.Eventually(w.drain(2)).Should(Equal("Waiting/Suspended"))
	w.Expect(w.answers(0, "resume", "store")).To(Equal("drainpolicy/store resumed\n"))
	w.start(w.job(2))
	w.Expect(w.answers(0, "suspend", "store")).To(ContainSubstring("1 drains are under way. A running attempt continues"))
}

func TestAManagedPolicyIsNotEdited(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(1)
	w.create(w.newPolicy(func(policy *drainv1alpha1.DrainPolicy) {
		policy.Labels = map[string]string{drainv1alpha1.ManagedByLabel: drainv1alpha1.ManagedByOperator}
		policy.Spec.Template = corev1.PodTemplateSpec{}
		policy.Spec.TemplateFrom.StatefulSetAnnotation = drainv1alpha1.ScaledownPodTemplateAnnotation
	}))
	w.Expect(annotation.IsManaged(w.get())).To(BeTrue())
	w.Expect(w.answers(exitNo, "suspend", "store")).To(And(ContainSubstring("is managed"), ContainSubstring("Edit the annotation")))
	w.Expect(w.get().Spec.Suspend).To(HaveValue(BeFalse()))
}

func TestSkipAndUnskip(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	w.policy(func(policy *drainv1alpha1.DrainPolicy) { policy.Spec.Suspend = ptr.To(true) })
	w.scale(2)
	w.Eventually(w.drain(2)).Should(Equal("Waiting/Suspended"))
	w.Expect(w.answers(0, "skip", "store", "2", "--dry-run")).To(Equal("persistentvolumeclaim/data-store-2 skipped (dry run)\n"))
	w.Expect(w.skipped(2)).To(BeFalse(), "a dry run changes nothing")
	w.Expect(w.answers(0, "skip", "store", "store-2")).To(Equal("persistentvolumeclaim/data-store-2 skipped\n"))
	w.Eventually(w.drain(2)).Should(Equal("Retained/Skipped"))
	w.Expect(w.answers(0, "skip", "store", "2")).To(Equal("ordinal 2 is already skipped\n"))
	w.Expect(w.answers(0, "unskip", "store", "2")).To(Equal("persistentvolumeclaim/data-store-2 no longer skipped\n"))
	w.Eventually(w.drain(2)).Should(Equal("Waiting/Suspended"))
	w.Expect(w.answers(0, "unskip", "store", "2")).To(Equal("ordinal 2 is already not skipped\n"))
	w.Expect(w.answers(exitNo, "skip", "store", "7")).To(ContainSubstring("reports no drain of ordinal 7"))
}

func TestRetryStartsTheNextAttemptWithoutItsDelay(t *testing.T) {
	w := newWorld(t)
	job, pod := w.draining(func(policy *drainv1alpha1.DrainPolicy) {
		policy.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](3600), MaxDelaySeconds: ptr.To[int32](3600)}
	})
	w.Expect(w.answers(exitNo, "retry", "store", "2")).To(ContainSubstring("ordinal 2 is Draining (JobRunning), so no attempt has failed"))
	w.fail(job, pod, "the disk is broken")
	w.Eventually(w.drain(2)).Should(Equal("Failed/JobFailed"))
	w.Expect(w.answers(0, "retry", "store", "2", "--dry-run")).To(ContainSubstring("(dry run)"))
	w.Consistently(w.drain(2), time.Second).Should(Equal("Failed/JobFailed"), "a dry run starts nothing")
	w.Expect(w.answers(0, "retry", "store", "2")).To(ContainSubstring("the next attempt of ordinal 2 starts now"))
	w.Expect(w.job(2).Labels).To(HaveKeyWithValue(drainv1alpha1.AttemptLabel, "2"))

	w.answers(0, "suspend", "store")
	pod = w.start(w.job(2))
	w.fail(w.job(2), pod, "the disk is broken")
	w.Eventually(w.drain(2)).Should(HavePrefix("Failed/"))
	w.Expect(w.answers(exitNo, "retry", "store", "2")).To(ContainSubstring("is suspended"))
}

func TestCancelStopsADrainAndKeepsItsClaims(t *testing.T) {
	w := newWorld(t)
	job, _ := w.draining(deletes)
	exists := func() error {
		return k8s.Get(t.Context(), client.ObjectKeyFromObject(job), &batchv1.Job{})
	}
	w.Expect(w.answers(0, "cancel", "store", "2", "--dry-run")).To(And(ContainSubstring("skipped (dry run)"), ContainSubstring("job/"+job.Name+" deleted")))
	w.Expect(exists()).To(Succeed(), "a dry run deletes nothing")
	w.Expect(w.answers(0, "cancel", "store")).To(And(ContainSubstring("data-store-2 skipped"), ContainSubstring("job/"+job.Name+" deleted")))
	w.Eventually(exists).ShouldNot(Succeed())
	w.Eventually(w.drain(2)).Should(Equal("Retained/Skipped"))
	w.Eventually(func() error {
		return k8s.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "store-2"}, &corev1.Pod{})
	}).ShouldNot(Succeed(), "the operator releases the lock")
	w.Expect(w.answers(exitNo, "cancel", "store")).To(ContainSubstring("has no running drain"))
	w.Expect(w.answers(exitNo, "cancel", "store", "2")).To(ContainSubstring("ordinal 2 is Retained (Skipped), so no drain runs"))

	w.answers(0, "unskip", "store", "2")
	w.succeed(w.job(2), w.start(w.job(2)), "moved 7 records")
	w.Eventually(w.drain(2)).Should(Equal("Drained/ClaimsDeleted"), "the drain starts again, and succeeds")
}

func TestCancelOfAnOrdinalThatIsBackInRange(t *testing.T) {
	w := newWorld(t)
	job, _ := w.draining()
	w.scale(3)
	w.Eventually(w.drain(2)).Should(Equal("Draining/BackInRange"))
	w.Expect(w.answers(exitNo, "undo", "store", "2")).To(ContainSubstring("back in range already; its pod waits for the running drain: --now stops that"))
	w.Expect(w.answers(0, "cancel", "store", "2")).To(ContainSubstring("spec.whenScaledUp is Cancel"))
	w.Eventually(func() error { return k8s.Get(t.Context(), client.ObjectKeyFromObject(job), &batchv1.Job{}) }).ShouldNot(Succeed())
	w.Eventually(w.drain(2)).Should(BeEmpty(), "the drain is stopped, and the lock released")
	w.Expect(w.skipped(2)).To(BeFalse())
}

func TestUndoScalesUpWhatCanBeHadBack(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	w.policy(func(policy *drainv1alpha1.DrainPolicy) { policy.Spec.MinOrphanedSeconds = ptr.To[int32](3600) })
	w.scale(1)
	w.Eventually(w.drain(2)).Should(Equal("Waiting/WaitingForMinOrphanedSeconds"))
	w.create(&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: w.meta("scaler"), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "StatefulSet", Name: "store", APIVersion: "apps/v1"}, MaxReplicas: 3,
	}})
	w.Expect(w.answers(0, "undo", "store", "2", "--dry-run")).To(ContainSubstring("statefulset/store scaled from 1 to 3 (dry run)"))
	w.Expect(w.replicas()).To(BeEquivalentTo(1), "a dry run changes nothing")
	w.Expect(w.answers(0, "undo", "store", "2")).To(And(
		ContainSubstring("statefulset/store scaled from 1 to 3"), ContainSubstring("1 lower ordinals are back as well"),
		ContainSubstring("its pod starts with all its data"), ContainSubstring(`HorizontalPodAutoscaler "scaler" also scales`)))
	w.Expect(w.replicas()).To(BeEquivalentTo(3))
	w.Expect(w.answers(exitNo, "undo", "store", "2")).To(ContainSubstring("nothing to undo"))
}

func TestUndoScalesThePolicyThatHasReplicas(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	w.policy(func(policy *drainv1alpha1.DrainPolicy) {
		// The operator scales nothing meanwhile.
		policy.Spec.Suspend, policy.Spec.Replicas = ptr.To(true), ptr.To[int32](1)
	})
	w.scale(1)
	w.Eventually(w.drain(2)).Should(Equal("Waiting/Suspended"))
	w.create(&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: w.meta("scaler"), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "DrainPolicy", Name: "store", APIVersion: drainv1alpha1.GroupVersion.String()}, MaxReplicas: 3,
	}})
	w.Expect(w.answers(0, "undo", "store", "2", "--dry-run")).To(ContainSubstring("drainpolicy/store scaled from 1 to 3 (dry run)"))
	w.Expect(w.answers(0, "undo", "store", "2")).To(And(
		ContainSubstring("drainpolicy/store scaled from 1 to 3"), ContainSubstring("its pod starts with all its data"), ContainSubstring(`HorizontalPodAutoscaler "scaler" also scales`)))
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: w.meta("store")}
	w.Expect(k8s.Get(t.Context(), client.ObjectKeyFromObject(policy), policy)).To(Succeed())
	w.Expect(policy.Spec.Replicas).To(HaveValue(BeEquivalentTo(3)))
}

func TestUndoOfARunningDrain(t *testing.T) {
	w := newWorld(t)
	w.draining()
	w.Expect(w.answers(0, "undo", "store", "2", "--dry-run")).To(ContainSubstring("the running drain finishes first"))
	w.Expect(w.answers(0, "undo", "store", "2", "--now")).To(And(ContainSubstring("spec.whenScaledUp is Cancel"), ContainSubstring("scaled from 2 to 3")))
	w.report()
	w.Eventually(w.drain(2)).Should(BeEmpty(), "the operator stops the drain and releases the lock")
}

func TestUndoOfDeletedClaims(t *testing.T) {
	w := newWorld(t)
	job, pod := w.draining(deletes)
	w.succeed(job, pod, "moved 7 records")
	w.Eventually(w.drain(2)).Should(Equal("Drained/ClaimsDeleted"))
	w.Expect(w.answers(exitNo, "undo", "store", "2")).To(And(ContainSubstring("that can't be undone"), ContainSubstring("scale statefulset/store --replicas=3")))
	w.Expect(w.replicas()).To(BeEquivalentTo(2), "nothing is changed")
}

// TestAnEditorOfTheNamespaceMayDoAllOfThis runs what writes under the operator's admission policies, as a user without other rights.
func TestAnEditorOfTheNamespaceMayDoAllOfThis(t *testing.T) {
	w := newWorld(t)
	w.statefulSet(3)
	jane := w.user(
		may(drainGroup, "drainpolicies", "get", "list", "watch", "create", "update", "patch"), may("apps", "statefulsets", "get", "list", "watch"),
		may("apps", "statefulsets/scale", "get", "update"), may("batch", "jobs", "get", "list", "watch", "create", "delete"),
		may("", "pods", "list", "watch", "create"), may("", "persistentvolumeclaims", "get", "list", "watch", "patch"), may("", "serviceaccounts", "get"))
	config := rest.CopyConfig(restConfig)
	config.Impersonate.UserName = strings.TrimPrefix(jane, "--as=")
	hers, err := client.New(config, client.Options{Scheme: Scheme()})
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(func() error {
		pod := &corev1.Pod{ObjectMeta: w.meta("forged"), Spec: *w.set.Spec.Template.Spec.DeepCopy()}
		pod.Spec.Containers[0].VolumeMounts = nil
		pod.Labels = map[string]string{drainv1alpha1.PolicyUIDLabel: "x"}
		return hers.Create(t.Context(), pod, client.DryRunAll)
	}).Should(MatchError(ContainSubstring("written by drain-operator only")), "the admission policies are in force")

	w.policy(func(policy *drainv1alpha1.DrainPolicy) {
		policy.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](3600), MaxDelaySeconds: ptr.To[int32](3600)}
	})
	w.Eventually(w.accepted).Should(BeTrue())
	w.Expect(w.answers(0, "check", "store", jane)).To(ContainSubstring("the API server accepts the drain's Job and pod"))
	w.answers(0, "suspend", "store", jane)
	w.answers(0, "resume", "store", jane)
	w.scale(2)
	job := w.job(2)
	w.fail(job, w.start(job), "the disk is broken")
	w.Eventually(w.drain(2)).Should(Equal("Failed/JobFailed"))
	w.answers(0, "retry", "store", "2", jane)
	w.start(w.job(2))
	w.answers(0, "cancel", "store", "2", jane)
	w.Eventually(w.drain(2)).Should(Equal("Retained/Skipped"))
	w.answers(0, "unskip", "store", "2", jane)
	w.start(w.job(2))
	w.Expect(w.answers(0, "undo", "store", "2", "--now", jane)).To(ContainSubstring("scaled from 2 to 3"))
	w.report()
	w.Eventually(w.drain(2)).Should(BeEmpty())
}
