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
	"encoding/json"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// failingOn gives a policy's Job a podFailurePolicy with so many rules, each for an exit code of its own.
func failingOn(rules int32) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Job.PodFailurePolicy = &batchv1.PodFailurePolicy{}
		for code := range rules {
			p.Spec.Job.PodFailurePolicy.Rules = append(p.Spec.Job.PodFailurePolicy.Rules, batchv1.PodFailurePolicyRule{
				Action: batchv1.PodFailurePolicyActionFailJob,
				OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
					Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{code + 1},
				},
			})
		}
	}
}

// columns returns what "kubectl get" shows of an object, and what "-o wide" adds.
func (w *world) columns(path string) (columns, wide map[string]any) {
	GinkgoHelper()
	config := rest.CopyConfig(restConfig)
	config.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	core, err := rest.UnversionedRESTClientFor(config)
	Expect(err).NotTo(HaveOccurred())
	text, err := core.Get().AbsPath(path).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(w.ctx).Raw()
	Expect(err).NotTo(HaveOccurred())
	var table metav1.Table
	Expect(json.Unmarshal(text, &table)).To(Succeed())
	Expect(table.Rows).To(HaveLen(1))
	columns, wide = map[string]any{}, map[string]any{}
	for i, column := range table.ColumnDefinitions {
		if column.Priority > 0 {
			wide[column.Name] = table.Rows[0].Cells[i]
			continue
		}
		columns[column.Name] = table.Rows[0].Cells[i]
	}
	return columns, wide
}

var _ = Describe("The schema", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("shows its defaults in a minimal policy", func() {
		w.policy()
		spec := w.get().Spec
		Expect(spec.WhenScaled).To(Equal(drainv1alpha1.WhenScaledDrain))
		Expect(spec.WhenDrained).To(Equal(drainv1alpha1.WhenDrainedRetain))
		Expect(spec.WhenScaledUp).To(Equal(drainv1alpha1.WhenScaledUpWait))
		Expect(spec.WhenDeleted).To(Equal(drainv1alpha1.WhenDeletedRetain))
		Expect(spec.Identity).To(Equal(drainv1alpha1.IdentityJob))
		Expect(spec.MinOrphanedSeconds).To(HaveValue(BeZero()))
		Expect(spec.MaxConcurrentDrains).To(HaveValue(BeEquivalentTo(1)))
		Expect(spec.MinReadyReplicas).To(HaveValue(BeEquivalentTo(1)))
		Expect(spec.Suspend).To(HaveValue(BeFalse()))
		Expect(spec.Job.BackoffLimit).To(HaveValue(BeEquivalentTo(6)))
		Expect(spec.Retry.InitialDelaySeconds).To(HaveValue(BeEquivalentTo(30)))
		Expect(spec.Retry.MaxDelaySeconds).To(HaveValue(BeEquivalentTo(1800)))
		Expect(spec.Retry.MaxAttempts).To(BeNil())
	})

	It("marks a policy that no operator has observed, for tools that read its health", func() {
		created := w.newPolicy("store")
		Expect(k8s.Create(w.ctx, created)).To(Succeed())
		Expect(created.Status.ObservedGeneration).To(BeEquivalentTo(-1))
		Eventually(func() int64 { return w.get().Status.ObservedGeneration }).Should(Equal(created.Generation))
	})

	It("has what a person looks for first in the columns", func() {
		w.statefulSet(3)
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.ProgressDeadlineSeconds = ptr.To[int32](60) })
		w.scale(2)
		w.startPod(w.runningJob(2))
		Eventually(w.drain(2)).Should(Equal("Draining/JobRunning"))
		path := "/apis/drain.statefulset.dev/v1alpha1/namespaces/" + w.namespace + "/drainpolicies/store"
		columns, wide := w.columns(path)
		Expect(columns).To(HaveKeyWithValue("Failed", BeEquivalentTo(0)))
		Expect(columns).To(HaveKeyWithValue("Oldest", MatchRegexp(`^\d+s$`)))
		Expect(columns).To(HaveKeyWithValue("Status", "JobRunning"))
		Expect(wide).To(HaveKeyWithValue("Progress", BeNil()), "nothing is reported")
		policy := w.get()
		policy.Status.Drains[0].Progress = &drainv1alpha1.DrainProgress{Time: ptr.To(metav1.Now()), Percent: ptr.To[int32](40)}
		Expect(k8s.Status().Update(w.ctx, policy)).To(Succeed())
		_, wide = w.columns(path)
		Expect(wide).To(HaveKeyWithValue("Progress", BeEquivalentTo(40)))
	})

	DescribeTable("refuses", func(mutate func(*drainv1alpha1.DrainPolicy), want string) {
		err := k8s.Create(w.ctx, w.newPolicy("store", mutate))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		// Older API servers say more of the value.
		for words := range strings.SplitSeq(want, " … ") {
			Expect(err).To(MatchError(ContainSubstring(words)))
		}
	},
		Entry("no StatefulSet", func(p *drainv1alpha1.DrainPolicy) { p.Spec.StatefulSetRef.Name = "" },
			"spec.statefulSetRef"),
		Entry("an invalid StatefulSet name",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.StatefulSetRef.Name = "No_Name" }, "spec.statefulSetRef.name"),
		Entry("no containers", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers = []corev1.Container{}
		}, "at least one container"),
		Entry("restartPolicy Always", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
		}, "restartPolicy must be OnFailure or Never"),
		Entry("nodeName", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.NodeName = "node-1" },
			"nodeName may not be set"),
		Entry("activeDeadlineSeconds of the pod", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.ActiveDeadlineSeconds = ptr.To[int64](60)
		}, "use spec.job.activeDeadlineSeconds"),
		Entry("an unknown whenDeleted", func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDeleted = "Delete" },
			"spec.whenDeleted"),
		Entry("a progressDeadlineSeconds of less than a minute",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.ProgressDeadlineSeconds = ptr.To[int32](59) }, "spec.progressDeadlineSeconds"),
		Entry("an unknown identity", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Identity = "Pod" }, "spec.identity"),
		Entry("a negative minOrphanedSeconds",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinOrphanedSeconds = ptr.To[int32](-1) }, "spec.minOrphanedSeconds"),
		Entry("an unknown whenScaled", func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaled = "Delete" },
			"spec.whenScaled"),
		Entry("an unknown whenDrained", func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDrained = "Drop" },
			"spec.whenDrained"),
		Entry("an unknown whenScaledUp", func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaledUp = "Resume" },
			"spec.whenScaledUp"),
		Entry("maxConcurrentDrains 0",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.MaxConcurrentDrains = ptr.To[int32](0) }, "spec.maxConcurrentDrains"),
		Entry("minReadyReplicas -1", func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinReadyReplicas = ptr.To[int32](-1) },
			"spec.minReadyReplicas"),
		Entry("a negative backoffLimit",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.Job.BackoffLimit = ptr.To[int32](-1) }, "spec.job.backoffLimit"),
		Entry("activeDeadlineSeconds 0",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.Job.ActiveDeadlineSeconds = ptr.To[int64](0) },
			"spec.job.activeDeadlineSeconds"),
		Entry("an initial delay above the maximum", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](60), MaxDelaySeconds: ptr.To[int32](30)}
		}, "initialDelaySeconds must not be greater"),
		Entry("an initial delay beyond the default of the longest", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Retry.InitialDelaySeconds = ptr.To[int32](3600)
		}, "initialDelaySeconds must not be greater"),
		Entry("maxAttempts 0", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Retry.MaxAttempts = ptr.To[int32](0) },
			"spec.retry.maxAttempts"),
		Entry("a StatefulSet name of 254 characters",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.StatefulSetRef.Name = strings.Repeat("a", 254) },
			"spec.statefulSetRef.name"),
		Entry("an unknown proof", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Proof = "Word" }, "spec.proof"),
		Entry("maxConcurrentDrains 1001",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.MaxConcurrentDrains = ptr.To[int32](1001) }, "spec.maxConcurrentDrains"),
		Entry("minReadyReplicas 1000001",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinReadyReplicas = ptr.To[int32](1000001) }, "spec.minReadyReplicas"),
		Entry("minOrphanedSeconds of more than a year",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinOrphanedSeconds = ptr.To[int32](31536001) },
			"spec.minOrphanedSeconds"),
		Entry("backoffLimit 100001",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.Job.BackoffLimit = ptr.To[int32](100001) }, "spec.job.backoffLimit"),
		Entry("activeDeadlineSeconds of more than a year", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Job.ActiveDeadlineSeconds = ptr.To[int64](31536001)
		}, "spec.job.activeDeadlineSeconds"),
		Entry("initialDelaySeconds 0",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.Retry.InitialDelaySeconds = ptr.To[int32](0) },
			"spec.retry.initialDelaySeconds"),
		Entry("maxDelaySeconds of more than a day",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.Retry.MaxDelaySeconds = ptr.To[int32](86401) },
			"spec.retry.maxDelaySeconds"),
		Entry("maxAttempts 1000001",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.Retry.MaxAttempts = ptr.To[int32](1000001) }, "spec.retry.maxAttempts"),
		Entry("whenDeleted Drain with the default of minReadyReplicas", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.WhenDeleted = drainv1alpha1.WhenDeletedDrain
		}, "minReadyReplicas must be 0 when whenDeleted is Drain"),
		Entry("podFailurePolicy with restartPolicy OnFailure", func(p *drainv1alpha1.DrainPolicy) {
			failingOn(1)(p)
			p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		}, "spec.template.spec.restartPolicy: Invalid value: … "+
			"template.spec.restartPolicy must be Never or unset with job.podFailurePolicy"),
		Entry("podFailurePolicy with proof ExitCode", func(p *drainv1alpha1.DrainPolicy) {
			failingOn(1)(p)
			p.Spec.Proof = drainv1alpha1.ProofExitCode
		}, "job.podFailurePolicy can't be combined with proof ExitCode"),
		Entry("podFailurePolicy with 21 rules", failingOn(21), "podFailurePolicy must have at most 20 rules"),
	)

	DescribeTable("accepts", func(mutate func(*drainv1alpha1.DrainPolicy)) {
		Expect(k8s.Create(w.ctx, w.newPolicy("store", mutate))).To(Succeed())
	},
		Entry("restartPolicy Never", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
		}),
		Entry("minReadyReplicas 0, for an upload",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinReadyReplicas = ptr.To[int32](0) }),
		Entry("a StatefulSet name with dots", func(p *drainv1alpha1.DrainPolicy) { p.Spec.StatefulSetRef.Name = "store.v1" }),
		Entry("podFailurePolicy with 20 rules", failingOn(20)),
		Entry("podFailurePolicy with restartPolicy Never", func(p *drainv1alpha1.DrainPolicy) {
			failingOn(1)(p)
			p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
		}),
		Entry("podFailurePolicy with a template from an annotation", func(p *drainv1alpha1.DrainPolicy) {
			failingOn(1)(p)
			p.Spec.Template = corev1.PodTemplateSpec{}
			p.Spec.TemplateFrom.StatefulSetAnnotation = drainv1alpha1.ScaledownPodTemplateAnnotation
		}),
		Entry("proof ExitCode without a podFailurePolicy",
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.Proof = drainv1alpha1.ProofExitCode }),
		Entry("whenDeleted Drain with minReadyReplicas 0", whenDeletedDrain),
		Entry("equal delays", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](60), MaxDelaySeconds: ptr.To[int32](60)}
		}),
		Entry("the highest values", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.StatefulSetRef.Name = strings.Repeat("a", 253)
			p.Spec.MaxConcurrentDrains, p.Spec.MinReadyReplicas = ptr.To[int32](1000), ptr.To[int32](1000000)
			p.Spec.MinOrphanedSeconds = ptr.To[int32](31536000)
			p.Spec.Job.BackoffLimit, p.Spec.Job.ActiveDeadlineSeconds = ptr.To[int32](100000), ptr.To[int64](31536000)
			p.Spec.Retry = drainv1alpha1.RetryOptions{
				InitialDelaySeconds: ptr.To[int32](86400), MaxDelaySeconds: ptr.To[int32](86400),
				MaxAttempts: ptr.To[int32](1000000),
			}
		}),
	)

	DescribeTable("refuses in a status", func(status, want string) {
		// No StatefulSet of this name exists, so the operator has no drains to report.
		policy := w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/StatefulSetNotFound"))
		err := k8s.Status().Patch(w.ctx, policy, client.RawPatch(types.MergePatchType, []byte(status)))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring(want)))
	},
		Entry("two drains of one ordinal",
			`{"status": {"drains": [{"ordinal": 1, "state": "Waiting", "reason": "A"}, `+
				`{"ordinal": 1, "state": "Waiting", "reason": "B"}]}}`, "Duplicate value"),
		Entry("a drain without a state", `{"status": {"drains": [{"ordinal": 1, "reason": "A"}]}}`,
			"status.drains[0].state: Required value"),
		Entry("an unknown state", `{"status": {"drains": [{"ordinal": 1, "state": "Lost", "reason": "A"}]}}`,
			"status.drains[0].state: Unsupported value"),
		Entry("a message of 1025 characters",
			`{"status": {"drains": [{"ordinal": 1, "state": "Waiting", "reason": "A", "message": "`+
				strings.Repeat("x", 1025)+`"}]}}`, "status.drains[0].message"),
		Entry("a negative count", `{"status": {"undrained": -1}}`, "status.undrained"),
		Entry("a stranded claim without a UID", `{"status": {"strandedClaims": [{"name": "data-store-1"}]}}`,
			"status.strandedClaims[0].uid: Required value"),
	)

	It("applies with plain kubectl apply, which keeps it in an annotation, and explains its fields", func() {
		Expect(w.kubectl("kubectl apply -f " + filepath.Join("..", "..", "config", "crd", "bases"))).To(Succeed())
		Expect(w.kubectl("kubectl explain drainpolicy.spec.suspend | tr -s ' \\n' ' ' | " +
			"grep -F 'Running drains continue, and the status still reports orphaned ordinals.'")).
			To(Succeed())
	})

	It("does not let statefulSetRef change", func() {
		w.policy()
		Eventually(func() error {
			policy := w.get()
			policy.Spec.StatefulSetRef.Name = "another"
			return k8s.Update(w.ctx, policy)
		}).Should(MatchError(ContainSubstring("statefulSetRef is immutable")))
	})

	It("keeps the metadata of the template, down to the drain's pods", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Labels = map[string]string{"queue-name": "drains"}
			p.Spec.Template.Annotations = map[string]string{"example.com/note": "hello"}
		})
		w.scale(1)
		job := w.runningJob(1)
		for _, object := range []metav1.ObjectMeta{job.ObjectMeta, job.Spec.Template.ObjectMeta} {
			Expect(object.Labels).To(HaveKeyWithValue("queue-name", "drains"))
			Expect(object.Annotations).To(HaveKeyWithValue("example.com/note", "hello"))
		}
	})
})

// What docs/security.md says about those who write a policy.
var _ = Describe("A template", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("can't forge the operator's own labels and annotations", func() {
		own := []string{drainv1alpha1.PolicyUIDLabel,
			drainv1alpha1.RoleLabel, drainv1alpha1.OrdinalLabel, drainv1alpha1.AttemptLabel}
		notes := []string{drainv1alpha1.PolicyAnnotation, drainv1alpha1.LockAnnotation, drainv1alpha1.TemplateHashAnnotation}
		w.statefulSet(2)
		policy := w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Labels, p.Spec.Template.Annotations = map[string]string{}, map[string]string{}
			for _, key := range own {
				p.Spec.Template.Labels[key] = "0"
			}
			for _, key := range notes {
				p.Spec.Template.Annotations[key] = "forged"
			}
		})
		w.scale(1)
		job := w.runningJob(1)
		for _, object := range []metav1.ObjectMeta{job.ObjectMeta, job.Spec.Template.ObjectMeta} {
			Expect(object.Labels).To(HaveKeyWithValue(drainv1alpha1.PolicyUIDLabel, string(policy.UID)))
			Expect(object.Labels).To(HaveKeyWithValue(drainv1alpha1.RoleLabel, drainv1alpha1.RoleDrain))
			Expect(object.Labels).To(HaveKeyWithValue(drainv1alpha1.OrdinalLabel, "1"))
			Expect(object.Labels).To(HaveKeyWithValue(drainv1alpha1.AttemptLabel, "1"))
			Expect(object.Annotations).To(HaveKeyWithValue(drainv1alpha1.PolicyAnnotation, "store"))
			Expect(object.Annotations).To(HaveKeyWithValue(drainv1alpha1.LockAnnotation, string(w.lock(1).UID)))
			for _, key := range notes {
				Expect(object.Annotations[key]).NotTo(Equal("forged"), key)
			}
		}
	})

	It("can't give the drain owners, finalizers, a name or another namespace", func() {
		elsewhere := newWorld()
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Name, p.Spec.Template.Namespace = "store-0", elsewhere.namespace
			p.Spec.Template.Finalizers = []string{"example.com/for-ever"}
			p.Spec.Template.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"}}
		})
		w.scale(1)
		job := w.runningJob(1)
		Expect(job.OwnerReferences).To(HaveExactElements(HaveField("Kind", "DrainPolicy")))
		template := job.Spec.Template
		Expect([]string{template.Name, template.Namespace}).To(HaveEach(BeEmpty()))
		Expect(template.OwnerReferences).To(BeEmpty())
		Expect(job.Finalizers).To(BeEmpty())
		Expect(template.Finalizers).To(BeEmpty())
		Expect(elsewhere.jobs()).To(BeEmpty())
	})

	It("can't remove the operator's gate, and keeps gates of its own", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/queue"}}
		})
		w.scale(1)
		pod := w.createPod(w.runningJob(1))
		Expect(pod.Spec.SchedulingGates).
			To(ConsistOf(corev1.PodSchedulingGate{Name: "example.com/queue"},
				corev1.PodSchedulingGate{Name: drainv1alpha1.DrainSchedulingGate}))
		Eventually(w.gates(pod)).
			Should(ConsistOf(corev1.PodSchedulingGate{Name: "example.com/queue"}), "the queue lifts the other one")
	})

	It("runs under its own ServiceAccount or the namespace's default, never under the StatefulSet's or the operator's",
		func() {
			w.statefulSet(2, func(set *appsv1.StatefulSet) { set.Spec.Template.Spec.ServiceAccountName = "powerful" })
			w.policy()
			w.scale(1)
			Expect(w.runningJob(1).Spec.Template.Spec.ServiceAccountName).
				To(BeEmpty(), "the API server makes that the namespace's default")
			w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.ServiceAccountName = "drainer" })
			Eventually(func() string {
				if jobs := w.jobs(); len(jobs) == 1 {
					return jobs[0].Spec.Template.Spec.ServiceAccountName
				}
				return ""
			}).Should(Equal("drainer"))
		})

	It("reaches no StatefulSet of the same name in another namespace", func() {
		elsewhere := newWorld()
		elsewhere.statefulSet(2)
		w.statefulSet(2)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		elsewhere.scale(1)
		w.scale(1)
		w.finish(w.runningJob(1), "")
		w.expectNoClaim("data-store-1")
		Expect(elsewhere.jobs()).To(BeEmpty())
		Expect(elsewhere.lock(1)).To(BeNil())
		claim := elsewhere.claim("data-store-1")
		Expect(claim).NotTo(BeNil())
		Expect(claim.DeletionTimestamp).To(BeNil())
		Expect(claim.Annotations).NotTo(HaveKey(drainv1alpha1.DrainedAnnotation))
	})
})

var _ = Describe("A policy that can't be accepted", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	// untouched expects that the only thing that was written is the policy's status: no lock, no
	// Job, no claim.
	untouched := func() {
		GinkgoHelper()
		for _, write := range operatorGate.written(w.namespace) {
			Expect(write).To(Or(HavePrefix("try "), Equal("patch status DrainPolicy")))
		}
	}

	// quiet expects that nothing more is written while nothing happens: no hot loop.
	quiet := func() {
		GinkgoHelper()
		// What was already under way when the status was written may end first.
		var before int
		Eventually(func() bool {
			was := before
			before = len(operatorGate.written(w.namespace))
			return was == before
		}).WithPolling(300*time.Millisecond).Should(BeTrue(), "the writes come to an end")
		before = len(operatorGate.written(w.namespace))
		Consistently(func() int { return len(operatorGate.written(w.namespace)) }).
			Should(Equal(before), "no writes while nothing changes")
	}

	refused := func(want, stalled string) {
		GinkgoHelper()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("False/" + want))
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(Equal(stalled))
		Eventually(w.events("DrainPolicy", want)).Should(Equal(1), "one event")
		quiet()
		Expect(w.events("DrainPolicy", want)()).To(Equal(1), "still one event")
		untouched()
	}
	accepted := func() {
		GinkgoHelper()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(Equal("False/Progressing"))
	}

	It("says that its StatefulSet doesn't exist, and recovers when it does", func() {
		w.policy()
		refused(drainv1alpha1.ReasonStatefulSetNotFound, "False/Progressing")
		w.statefulSet(2)
		accepted()
	})

	It("says that the StatefulSet has no claim templates, and recovers when it is made with some", func() {
		w.statefulSet(1, claimTemplates())
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
		})
		refused(drainv1alpha1.ReasonNoClaimTemplates, "True/NoClaimTemplates")
		Expect(k8s.Delete(w.ctx, w.set)).To(Succeed())
		w.statefulSet(1)
		accepted()
	})

	It("says that the StatefulSet deletes the claims itself, and recovers when it doesn't", func() {
		retention := func(what appsv1.PersistentVolumeClaimRetentionPolicyType) func(*appsv1.StatefulSet) {
			return func(set *appsv1.StatefulSet) {
				set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
					WhenScaled: what, WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
				}
			}
		}
		w.statefulSet(2, retention(appsv1.DeletePersistentVolumeClaimRetentionPolicyType))
		w.policy()
		refused(drainv1alpha1.ReasonClaimsDeletedOnScaleDown, "True/ClaimsDeletedOnScaleDown")
		w.scale(1)
		Consistently(w.jobs).Should(BeEmpty())
		untouched()
		w.change(retention(appsv1.RetainPersistentVolumeClaimRetentionPolicyType))
		accepted()
	})

	It("says in the API server's words what is wrong with the template, and recovers when it is fixed", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "dta", MountPath: "/data"}}
		})
		Eventually(w.condition(drainv1alpha1.ConditionReady)).
			WithTimeout(5 * time.Second).Should(Equal("False/InvalidTemplate"))
		Expect(w.get().Status.Conditions).
			To(ContainElement(HaveField("Message", ContainSubstring(`volumeMounts[0].name: Not found: "dta"`))))
		refused(drainv1alpha1.ReasonInvalidTemplate, "True/InvalidTemplate")
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Waiting/InvalidTemplate"))
		w.edit(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Containers[0].VolumeMounts[0].Name = "data"
		})
		w.runningJob(1)
	})

	It("reports a pod that the API server would refuse although it accepts the Job", func() {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
		Expect(k8s.Patch(w.ctx, namespace,
			client.RawPatch("application/merge-patch+json",
				[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`)))).To(Succeed())
		w.statefulSet(2)
		w.policy()
		refused(drainv1alpha1.ReasonInvalidTemplate, "True/InvalidTemplate")
		Expect(w.get().Status.Conditions).To(ContainElement(HaveField("Message", ContainSubstring("violates PodSecurity"))))
	})

	It("refuses a volume that would hide a claim's data", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Volumes = []corev1.Volume{{
				Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
			}}
		})
		refused(drainv1alpha1.ReasonInvalidTemplate, "True/InvalidTemplate")
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Volumes = nil })
		accepted()
	})

	It("refuses a claim of another ordinal", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "other", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-store-0"}}}}
		})
		refused(drainv1alpha1.ReasonInvalidTemplate, "True/InvalidTemplate")
	})

	It("gives way to an older policy for the same StatefulSet, and takes over when that is deleted", func() {
		w.statefulSet(2)
		older := w.policy()
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		// Creation times have seconds; the name decides within one.
		Expect(k8s.Create(w.ctx, w.newPolicy("younger"))).To(Succeed())
		Eventually(w.conditionOf("younger", drainv1alpha1.ConditionReady)).Should(Equal("False/PolicyConflict"))
		Consistently(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		Expect(k8s.Delete(w.ctx, older)).To(Succeed())
		Eventually(w.conditionOf("younger", drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
	})

	It("doesn't guess whose an ambiguous claim is", func() {
		// "data" + "x-store" and "data-x" + "store" are one name.
		w.statefulSet(2, claimTemplates("data-x"))
		other := w.set.DeepCopy()
		other.ObjectMeta = w.meta("x-store")
		other.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{claimTemplate("data")}
		Expect(k8s.Create(w.ctx, other)).To(Succeed())
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].VolumeMounts[0].Name = "data-x" })
		refused(drainv1alpha1.ReasonAmbiguousClaims, "True/AmbiguousClaims")
		Expect(k8s.Delete(w.ctx, other)).To(Succeed())
		accepted()
	})

	It("starts nothing while it is suspended, and reports the orphans all the same", func() {
		w.statefulSet(2)
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = ptr.To(true) })
		w.scale(1)
		Eventually(w.drain(1)).Should(Equal("Waiting/Suspended"))
		Expect(w.get().Status.Undrained).To(HaveValue(BeEquivalentTo(1)))
		Expect(w.get().Status.OrphanedCapacity.String()).To(Equal("1Gi"))
		quiet()
		untouched()
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = ptr.To(false) })
		w.runningJob(1)
	})
})

var _ = Describe("An image that can't be pulled", func() {
	It("is reported in a condition and one event, and the Job is replaced when the template is fixed", func() {
		w := newWorld()
		job := w.draining()
		pod := w.startPod(job)
		w.podStatus(pod, corev1.PodPending,
			corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}})
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(Equal("True/ImagePullFailed"))
		for range 3 {
			w.podStatus(pod, corev1.PodPending,
				corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "backing off"}})
			w.podStatus(pod, corev1.PodPending,
				corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}})
		}
		Eventually(w.events("DrainPolicy", drainv1alpha1.ReasonImagePullFailed)).Should(Equal(1))
		Consistently(w.events("StatefulSet", drainv1alpha1.ReasonImagePullFailed)).Should(Equal(1))
		w.edit(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].Image = "fixed" })
		Eventually(func() string { return strings.Join(images(w.jobs()), " ") }).Should(Equal("fixed"))
		Eventually(w.condition(drainv1alpha1.ConditionStalled)).Should(Equal("False/Progressing"))
	})
})

func images(jobs []batchv1.Job) []string {
	var result []string
	for i := range jobs {
		result = append(result, jobs[i].Spec.Template.Spec.Containers[0].Image)
	}
	return result
}
