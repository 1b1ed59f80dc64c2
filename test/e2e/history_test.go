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
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// drainRecord returns the record of an attempt to drain, or nil.
func (w *world) drainRecord(ctx context.Context, g Gomega, ordinal, attempt int32) *drainv1alpha1.DrainRecord {
	var list drainv1alpha1.DrainRecordList
	g.Expect(cluster.List(ctx, &list, client.InNamespace(w.namespace))).To(Succeed())
	var found *drainv1alpha1.DrainRecord
	for i := range list.Items {
		if record := &list.Items[i]; record.Action == drainv1alpha1.RecordedDrain && *record.Ordinal == ordinal && record.Attempt == attempt {
			g.Expect(found).To(BeNil(), "two records of attempt %d", attempt)
			found = record
		}
	}
	return found
}

// expectRecord waits for the record of an attempt with this result, whose log has these words.
func (w *world) expectRecord(ctx context.Context, ordinal, attempt int32, result drainv1alpha1.DrainResult, words ...string) *drainv1alpha1.DrainRecord {
	GinkgoHelper()
	var record *drainv1alpha1.DrainRecord
	Eventually(ctx, func(g Gomega) {
		record = w.drainRecord(ctx, g, ordinal, attempt)
		g.Expect(record).NotTo(BeNil())
		g.Expect(record.Result).To(Equal(result), record.Message)
		g.Expect(record.Containers).To(HaveLen(1))
		for _, word := range words {
			g.Expect(record.Containers[0].Log).To(ContainSubstring(word), record.Containers[0].LogMissing)
		}
	}).Should(Succeed(), "attempt %d of ordinal %d", attempt, ordinal)
	return record
}

var _ = Describe("What a drain leaves behind", func() {
	It("has the end of its log when its Job, its pod and its claim are gone", Label("versions"), SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
		w.fillAll(ctx, 2, 6)
		w.scale(ctx, 1)
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		Eventually(ctx, func(g Gomega) {
			var jobs batchv1.JobList
			g.Expect(cluster.List(ctx, &jobs, client.InNamespace(w.namespace))).To(Succeed())
			g.Expect(jobs.Items).To(BeEmpty())
		}).Should(Succeed(), "the Job goes with the claim")

		record := w.expectRecord(ctx, 1, 1, drainv1alpha1.DrainResultSucceeded, "msg=Draining", "handled 6 of 6 records", "msg=Drained")
		Expect(record.Message).To(HavePrefix("moved 6 records, "))
		Expect(record.ClaimNames).To(ConsistOf(claim("data", 1)))
		Expect(record.Containers[0].Message).NotTo(ContainSubstring("receipt-"))
		Expect(record.CompletionTime).NotTo(BeNil())
		described := w.kubectl(ctx, "describe", "drainrecord", record.Name)
		Expect(described).To(ContainSubstring("handled 6 of 6 records"), "kubectl describe shows the log")
	})

	// With OnFailure, the Job controller deletes the pod of a Job that has failed, and its log with it.
	DescribeTable("has the log of an attempt that failed", func(ctx SpecContext, restart corev1.RestartPolicy) {
		w.startStore(ctx, statefulSet(2), drainPolicy(drainArgs("--fail-attempts=2"), whenDrained(drainv1alpha1.WhenDrainedDelete),
			func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.Template.Spec.RestartPolicy = restart
				p.Spec.Job.BackoffLimit = new(int32(0))
				p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: new(int32(1)), MaxDelaySeconds: new(int32(1))}
			}))
		w.fillAll(ctx, 2, 6)
		w.scale(ctx, 1)
		w.expectNoClaim(ctx, claim("data", 1))
		record := w.expectRecord(ctx, 1, 1, drainv1alpha1.DrainResultFailed, "attempt=1", "failing on request")
		Expect(record.Message).To(And(HavePrefix("BackoffLimitExceeded: "), ContainSubstring("failing on request")))
		Expect(record.Containers[0].ExitCode).To(HaveValue(BeEquivalentTo(1)))
		last := w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted).Attempts
		w.expectRecord(ctx, 1, last, drainv1alpha1.DrainResultSucceeded, fmt.Sprintf("attempt=%d", last), "msg=Drained")
	},
		Entry("with restartPolicy Never", SpecTimeout(specTimeout), corev1.RestartPolicyNever),
		Entry("with restartPolicy OnFailure", SpecTimeout(specTimeout), corev1.RestartPolicyOnFailure),
	)

	It("is told while it runs, and its silence as Stalled, and not as a failure", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(2), drainPolicy(held(), whenDrained(drainv1alpha1.WhenDrainedDelete),
			func(p *drainv1alpha1.DrainPolicy) { p.Spec.ProgressDeadlineSeconds = new(int32(60)) }))
		records := w.fillAll(ctx, 2, 6)
		w.hold(ctx)
		w.scale(ctx, 1)
		Eventually(ctx, func(g Gomega) {
			entry := drainOf(w.policy(ctx, storeName), 1)
			g.Expect(entry).NotTo(BeNil())
			g.Expect(entry.Progress).NotTo(BeNil(), entry.Message)
			g.Expect(entry.Progress.Percent).To(HaveValue(BeEquivalentTo(16)))
			g.Expect(entry.Progress.Message).To(Equal("handled 1 of 6 records"))
			g.Expect(entry.Reason).To(Equal(drainv1alpha1.ReasonJobRunning))
		}).Should(Succeed())
		wide := w.kubectl(ctx, "get", "drainpolicy", storeName, "-o", "wide")
		Expect(strings.Fields(wide)).To(ContainElement("16"), "the column PROGRESS")
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionStalled, "True "+drainv1alpha1.ReasonProgressDeadlineExceeded)
		entry := w.expectDrain(ctx, 1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonProgressDeadlineExceeded)
		Expect(entry.Attempts).To(BeEquivalentTo(1), "the drain goes on")
		Expect(entry.LastTransitionTime.Sub(entry.Progress.Time.Time).Seconds()).To(BeNumerically(">=", 60))

		w.release(ctx)
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionStalled, "False "+drainv1alpha1.ReasonProgressing)
		w.expectRecords(ctx, records, 0)
	})
})
