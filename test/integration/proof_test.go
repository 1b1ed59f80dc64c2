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
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

var (
	ofJobs = admissionregistrationv1.Rule{
		APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"},
	}
	ofPods = admissionregistrationv1.Rule{
		APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"},
	}
)

// sample returns an object of a kind that has all that the mutations change.
func (w *world) sample(rule admissionregistrationv1.Rule) client.Object {
	pod := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, SchedulingGates: []corev1.PodSchedulingGate{{Name: "example.com/gate"}},
		Volumes: []corev1.Volume{{
			Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		}},
		Containers: []corev1.Container{{
			Name: "x", Image: "x", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
		}},
	}
	if rule.Resources[0] == "pods" {
		return &corev1.Pod{ObjectMeta: w.meta("sample"), Spec: pod}
	}
	return &batchv1.Job{
		ObjectMeta: w.meta("sample"),
		Spec: batchv1.JobSpec{
			PodReplacementPolicy: ptr.To(batchv1.Failed), Template: corev1.PodTemplateSpec{Spec: pod},
		},
	}
}

// message returns the message of a condition of policy "store".
func (w *world) message(conditionType string) func() string {
	return func() string {
		if c := meta.FindStatusCondition(w.get().Status.Conditions, conditionType); c != nil {
			return c.Message
		}
		return ""
	}
}

// drainMessage returns what the status says of an ordinal in words.
func (w *world) drainMessage(ordinal int32) func() string {
	return func() string {
		for _, d := range w.get().Status.Drains {
			if *d.Ordinal == ordinal {
				return d.Message
			}
		}
		return ""
	}
}

// dryRuns returns how many dry runs the operator has made in the namespace.
func (w *world) dryRuns() int {
	return len(slices.DeleteFunc(operatorGate.written(w.namespace),
		func(write string) bool { return !strings.HasPrefix(write, "try ") }))
}

func exitCode(policy *drainv1alpha1.DrainPolicy) { policy.Spec.Proof = drainv1alpha1.ProofExitCode }

var _ = Describe("A policy whose drains could not be believed", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	DescribeTable("is not ready when the API server's answer to a dry run is another than what was asked for",
		func(rule admissionregistrationv1.Rule, patch patchOperation, says string) {
			w.statefulSet(2)
			w.mutate(rule, patch, nil)
			w.policy()
			Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/InvalidTemplate"))
			Expect(w.message(drainv1alpha1.ConditionReady)()).To(ContainSubstring(says))
			Expect(w.condition(drainv1alpha1.ConditionStalled)()).To(Equal("True/InvalidTemplate"))
			w.scale(1)
			Eventually(w.drain(1)).Should(Equal("Waiting/InvalidTemplate"))
			Expect(w.lock(1)).To(BeNil())
		},
		Entry("a Job with a TTL", ofJobs, add("/spec/ttlSecondsAfterFinished", 100),
			"spec.ttlSecondsAfterFinished is set"),
		Entry("a Job of another controller", ofJobs,
			add("/spec/managedBy", "example.com/queue"), "spec.managedBy is set"),
		Entry("a Job that replaces its pods early", ofJobs,
			add("/spec/podReplacementPolicy", "TerminatingOrFailed"),
			"spec.podReplacementPolicy is not Failed"),
		Entry("a Job without the gate", ofJobs,
			remove("/spec/template/spec/schedulingGates"),
			"whose Pods have its scheduling gate"), // The admission policy's words, which come first.
		Entry("a Job with another label than the operator's", ofJobs,
			add("/metadata/labels/drain.statefulset.dev~1ordinal", "other"),
			`metadata.labels[drain.statefulset.dev/ordinal] is "other" and not "2"`),
		Entry("a pod with another label than the operator's", ofPods,
			add("/metadata/labels/drain.statefulset.dev~1role", "other"),
			`metadata.labels[drain.statefulset.dev/role] is "other" and not "drain"`),
		Entry("a pod without the gate", ofPods, remove("/spec/schedulingGates"),
			"spec.schedulingGates lack "+drainv1alpha1.DrainSchedulingGate),
		Entry("a pod with a sidecar that is not native", ofPods,
			add("/spec/containers/-", corev1.Container{Name: "proxy", Image: "proxy"}),
			`spec.containers[1] ("proxy") is not in the template`),
		Entry("a pod without a grace period", ofPods,
			add("/spec/terminationGracePeriodSeconds", 0),
			"spec.terminationGracePeriodSeconds is 0"),
		Entry("a pod that mounts nothing", ofPods,
			remove("/spec/containers/0/volumeMounts"), "is mounted by no container"),
	)

	DescribeTable("is not ready when its own template could not be believed",
		func(change func(*drainv1alpha1.DrainPolicy), says string) {
			w.statefulSet(2, claimTemplates("data", "wal"))
			w.policy(change)
			Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/InvalidTemplate"))
			Expect(w.message(drainv1alpha1.ConditionReady)()).
				To(And(ContainSubstring(says), HavePrefix("spec.template is refused.")))
		},
		Entry("without a grace period", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
		}, "spec.template.spec.terminationGracePeriodSeconds is 0"),
		Entry("with a claim that only a sidecar mounts", func(p *drainv1alpha1.DrainPolicy) {
			spec := &p.Spec.Template.Spec
			spec.InitContainers = []corev1.Container{{
				Name: "proxy", Image: "proxy", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways),
				VolumeMounts: spec.Containers[0].VolumeMounts[1:],
			}}
			spec.Containers[0].VolumeMounts = spec.Containers[0].VolumeMounts[:1]
		}, `("wal") is mounted by no container`),
		Entry("with a receipt of its own", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "DRAIN_RECEIPT", Value: "mine"}}
		}, "spec.template.spec.containers[0].env (DRAIN_RECEIPT) is not the receipt"),
		Entry("with a liveness probe and exit codes", func(p *drainv1alpha1.DrainPolicy) {
			exitCode(p)
			p.Spec.Template.Spec.Containers[0].LivenessProbe = &corev1.Probe{
				ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}},
			}
		}, "spec.template.spec.containers[0].livenessProbe lets the kubelet end the container"),
	)

	It("is not ready when a LimitRange limits ephemeral storage and exit codes are believed, and is with receipts",
		func() {
			w.statefulSet(2)
			Expect(k8s.Create(w.ctx,
				&corev1.LimitRange{ObjectMeta: w.meta("limits"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
					Type:    corev1.LimitTypeContainer,
					Default: corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")},
				}}}})).To(Succeed())
			sample := w.sample(ofPods)
			Eventually(func() corev1.ResourceList {
				sample = w.sample(ofPods)
				Expect(k8s.Create(w.ctx, sample, client.DryRunAll)).To(Succeed())
				return sample.(*corev1.Pod).Spec.Containers[0].Resources.Limits
			}).ShouldNot(BeEmpty(), "the API server has heard of the LimitRange")
			w.policy(exitCode)
			Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/InvalidTemplate"))
			Expect(w.message(drainv1alpha1.ConditionReady)()).
				To(ContainSubstring("spec.containers[0].resources.limits.ephemeral-storage lets the kubelet evict the pod"))
			w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Proof = drainv1alpha1.ProofReceipt })
			Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		})

	It("is not ready when the StatefulSet's pods have no grace period", func() {
		w.statefulSet(2,
			func(set *appsv1.StatefulSet) { set.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0) })
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/GracePeriodZero"))
		w.change(func(set *appsv1.StatefulSet) {
			set.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](30)
		})
		w.report()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
	})

	It("starts no drain when the StatefulSet is gone", func() {
		w.statefulSet(1)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.WhenDeleted, p.Spec.MinReadyReplicas = drainv1alpha1.WhenDeletedDrain, ptr.To[int32](0)
			p.Spec.Suspend = ptr.To(true)
		})
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Suspended"))
		Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
		w.edit(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Suspend = ptr.To(false)
			p.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
		})
		Eventually(w.drain(0)).Should(Equal("Waiting/InvalidTemplate"))
		Expect(w.drainMessage(0)()).To(ContainSubstring("spec.template.spec.terminationGracePeriodSeconds is 0"))
		Consistently(w.jobs).Should(BeEmpty())
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.TerminationGracePeriodSeconds = nil })
		w.runningJob(0)
	})

	It("causes no dry run at every reconcile", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "dta", MountPath: "/data"}}
		})
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/InvalidTemplate"))
		asked := w.dryRuns()
		Expect(asked).To(BeNumerically(">", 0))
		for i := range 5 {
			claim := w.claim("data-store-1")
			metav1.SetMetaDataLabel(&claim.ObjectMeta, "touched", fmt.Sprint(i))
			Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		}
		Consistently(w.dryRuns).Should(Equal(asked))
	})
})

var _ = Describe("A drain that does not prove its success", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("is a failed attempt, stalls after three in a row, and deletes nothing", func() {
		w.statefulSet(2)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete), retriedAtOnce)
		w.scale(1)
		for attempt := 1; attempt <= 3; attempt++ {
			job := w.runningJob(1)
			Expect(job.Labels).To(HaveKeyWithValue(drainv1alpha1.AttemptLabel, fmt.Sprint(attempt)))
			w.exit(w.startPod(job), "killed")
			w.complete(job)
			Eventually(w.drainMessage(1)).Should(ContainSubstring("left no receipt"))
		}
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(HavePrefix("True/"))
		Expect(w.marked("data-store-1")).To(BeFalse())
		Expect(w.events("DrainPolicy", drainv1alpha1.ReasonNotProven)()).To(BeNumerically(">", 0))
		By("the fourth leaves its receipt")
		w.finish(w.runningJob(1), "moved all")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsDeleted"))
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(Equal("False/Progressing"))
	})

	It("is not believed when its pod was disrupted, receipt or not", func() {
		job := w.draining(whenDrained(drainv1alpha1.WhenDrainedDelete))
		pod := w.startPod(job)
		pod.Status.Conditions = append(pod.Status.Conditions,
			corev1.PodCondition{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
				Reason: corev1.PodReasonTerminationByKubelet,
			})
		w.succeed(job, pod, "moved all")
		Eventually(w.drain(1)).Should(Equal("Failed/NotProven"))
		Expect(w.drainMessage(1)()).To(ContainSubstring("was disrupted (TerminationByKubelet)"))
		Expect(w.claim("data-store-1").DeletionTimestamp).To(BeNil())
	})

	It("is a failed attempt when its Job is deleted, and the next one waits for its delay", func() {
		job := w.draining(whenDrained(drainv1alpha1.WhenDrainedDelete))
		w.startPod(job)
		Expect(k8s.Delete(w.ctx, job, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		Eventually(w.drain(1)).Should(Equal("Failed/JobDeleted"))
		Consistently(w.jobs).Should(BeEmpty())
		w.edit(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](1), MaxDelaySeconds: ptr.To[int32](1)}
		})
		Expect(w.runningJob(1).Labels).To(HaveKeyWithValue(drainv1alpha1.AttemptLabel, "2"))
	})

	It("is not let run when a webhook that came later changes its pod", func() {
		w.statefulSet(2)
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		w.scale(1)
		job := w.runningJob(1)
		w.mutate(ofPods, add("/spec/terminationGracePeriodSeconds", 0), nil)
		pod := w.createPod(job)
		Eventually(w.drain(1)).Should(Equal("Failed/PodChanged"))
		Expect(w.drainMessage(1)()).To(ContainSubstring("spec.terminationGracePeriodSeconds is 0"))
		Expect(client.IgnoreNotFound(k8s.Get(w.ctx, client.ObjectKeyFromObject(pod), pod))).To(Succeed())
		Expect(pod.Spec.NodeName).To(BeEmpty())
		Eventually(w.jobs).Should(BeEmpty(), "its Job is deleted")
	})
})

var _ = Describe("A lock that is not the policy's", func() {
	It("blocks its own ordinal, and no other", func() {
		w := newWorld()
		w.statefulSet(3)
		// A lock of a policy of the same name that is gone, with a Job that never ends.
		gone := w.newPolicy("store")
		gone.UID = types.UID("gone")
		labels := map[string]string{
			drainv1alpha1.PolicyUIDLabel: "gone", drainv1alpha1.OrdinalLabel: "2",
			drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain,
		}
		owner := *metav1.NewControllerRef(gone, drainv1alpha1.GroupVersion.WithKind("DrainPolicy"))
		job := w.sample(ofJobs).(*batchv1.Job)
		job.Labels, job.OwnerReferences = labels, []metav1.OwnerReference{owner}
		Expect(k8s.Create(w.ctx, job)).To(Succeed())
		lock := w.sample(ofPods).(*corev1.Pod)
		lock.Name, lock.OwnerReferences = "store-2", []metav1.OwnerReference{owner}
		lock.Labels = map[string]string{
			drainv1alpha1.PolicyUIDLabel: "gone", drainv1alpha1.OrdinalLabel: "2",
			drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock,
		}
		lock.Annotations = map[string]string{drainv1alpha1.PolicyAnnotation: "store"}
		Expect(k8s.Create(w.ctx, lock)).To(Succeed())

		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.MaxConcurrentDrains = ptr.To[int32](2) })
		w.scale(1)
		Eventually(w.drain(2)).Should(Equal("Waiting/LockHeld"))
		Expect(w.drainMessage(2)()).To(ContainSubstring(`it belongs to DrainPolicy "store" (UID gone)`))
		w.finish(w.runningJob(1), "moved all")
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsKept"))
		By("the Job is over, and the lock is released")
		Expect(k8s.Delete(w.ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		w.runningJob(2)
	})
})

var _ = Describe("A lock that a webhook changes", func() {
	DescribeTable("is not left behind", func(patch patchOperation) {
		w := newWorld()
		w.statefulSet(2)
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		w.mutate(ofPods, patch, map[string]string{drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock})
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Blocked/LockRefused"))
		Expect(w.condition(drainv1alpha1.ConditionStalled)()).To(Equal("True/LockRefused"))
		w.scale(2)
		Eventually(w.drain(1)).Should(BeEmpty())
		Expect(apierrors.IsNotFound(k8s.Get(w.ctx, w.key("store-1"), &corev1.Pod{}))).
			To(BeTrue(), "the StatefulSet's pod can come back")
	},
		Entry("without its finalizer", remove("/metadata/finalizers")),
		Entry("without its label", remove("/metadata/labels/drain.statefulset.dev~1policy-uid")),
		Entry("without its owner", remove("/metadata/ownerReferences")),
	)
})

var _ = Describe("A write that an admission policy refuses", func() {
	It("is reported in the status, and the drain continues when it is allowed", func() {
		w := newWorld()
		job := w.draining()
		name := w.namespace + "-deny"
		deny := &admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace}},
					ObjectSelector: &metav1.LabelSelector{
						MatchLabels: map[string]string{drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock},
					},
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
						RuleWithOperations: admissionregistrationv1.RuleWithOperations{
							Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update}, Rule: ofPods,
						},
					}},
				},
				Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: "no updates here"}},
			},
		}
		Expect(k8s.Create(w.ctx, deny)).To(Succeed())
		binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			},
		}
		Expect(k8s.Create(w.ctx, binding)).To(Succeed())
		DeferCleanup(func() {
			Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, binding))).To(Succeed())
			Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, deny))).To(Succeed())
		})
		Eventually(func() error {
			lock := w.lock(1)
			metav1.SetMetaDataLabel(&lock.ObjectMeta, "tried", "yes")
			return k8s.Update(w.ctx, lock, client.DryRunAll)
		}).Should(MatchError(ContainSubstring("no updates here")), "the API server has heard of the policy")
		pod := w.createPod(job)
		Eventually(w.drain(1)).Should(Equal("Blocked/WriteRefused"))
		Expect(w.drainMessage(1)()).To(ContainSubstring("no updates here"))
		Expect(w.condition(drainv1alpha1.ConditionStalled)()).To(Equal("True/WriteRefused"))
		Expect(k8s.Delete(w.ctx, binding)).To(Succeed())
		Eventually(w.gates(pod)).WithTimeout(30 * time.Second).Should(BeEmpty())
	})
})

var _ = Describe("Many kept orphans", func() {
	It("stay drained while an autoscaler changes the replicas every five seconds", func() {
		const kept = 300
		w := newWorld()
		w.statefulSet(2)
		for ordinal := int32(10); ordinal < 10+kept; ordinal++ {
			w.createClaims(ordinal)
			claim := w.claim(claims.Name("data", "store", ordinal))
			mark := claims.Mark{
				ClaimUID: claim.UID, StatefulSetUID: w.set.UID, Generation: w.set.Generation, Job: "past",
				Time: metav1.Now(),
			}
			metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.DrainedAnnotation, mark.String())
			Expect(k8s.Update(w.ctx, claim)).To(Succeed())
		}
		w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/AllDrained"))
		next := int32(2)
		Consistently(func() []batchv1.Job {
			next = 5 - next // 2 and 3 in turn; ordinal 2 has no claims when it is out of range.
			w.scale(next)
			return w.jobs()
		}).WithPolling(5*time.Second).WithTimeout(21*time.Second).
			Should(BeEmpty(), "a mark that was not renewed in time would make its ordinal drain again")
		Expect(w.get().Status.Kept).To(HaveValue(BeEquivalentTo(kept)), "no mark has become void")
		Eventually(func() int {
			renewed := 0
			for ordinal := int32(10); ordinal < 10+kept; ordinal++ {
				if mark := claims.ReadMark(w.claim(claims.Name("data", "store",
					ordinal))); mark.HoldsAt(w.set.UID, w.set.Generation) && mark.Generation == w.set.Generation {
					renewed++
				}
			}
			return renewed
		}).WithPolling(time.Second).Should(Equal(kept))
	})
})

var _ = Describe("A policy that is deleted with --cascade=orphan", func() {
	It("leaves no lock behind", func() {
		w := newWorld()
		job := w.draining()
		policy := w.get()
		pod := w.startPod(job)
		Expect(k8s.Delete(w.ctx, policy, client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
		// As the garbage collector does: it takes the policy off what it owns, and then its own finalizer off the policy.
		for _, orphan := range []client.Object{job, w.lock(1)} {
			Expect(k8s.Get(w.ctx, client.ObjectKeyFromObject(orphan), orphan)).To(Succeed())
			Expect(k8s.Patch(w.ctx, orphan,
				client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/ownerReferences"}]`)))).To(Succeed())
		}
		Eventually(func() error {
			Expect(k8s.Get(w.ctx, w.key("store"), policy)).To(Succeed())
			before := policy.DeepCopy()
			controllerutil.RemoveFinalizer(policy, metav1.FinalizerOrphanDependents)
			return k8s.Patch(w.ctx, policy, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		}).Should(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(k8s.Get(w.ctx, client.ObjectKeyFromObject(job), &batchv1.Job{}))
		}).Should(BeTrue(), "its Job is stopped")
		Expect(client.IgnoreNotFound(k8s.Delete(w.ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
		w.expectNoLock(1)
		Eventually(func() bool { return apierrors.IsNotFound(k8s.Get(w.ctx, w.key("store"), policy)) }).Should(BeTrue())
	})
})
