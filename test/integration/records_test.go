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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// keptRecords is how many records of a policy the operator keeps here.
const keptRecords = 3

// records returns the results of the records in the namespace, by their attempts.
func (w *world) records() map[string]drainv1alpha1.DrainResult {
	GinkgoHelper()
	results := map[string]drainv1alpha1.DrainResult{}
	for _, record := range w.recordList() {
		results[fmt.Sprintf("%d/%d", *record.Ordinal, record.Attempt)] = record.Result
	}
	return results
}

func (w *world) recordList() []drainv1alpha1.DrainRecord {
	GinkgoHelper()
	var list drainv1alpha1.DrainRecordList
	Expect(k8s.List(w.ctx, &list, client.InNamespace(w.namespace))).To(Succeed())
	return list.Items
}

var _ = Describe("A record", func() {
	var w *world
	BeforeEach(func() { w = newWorld() })

	It("outlives the Job of a drain whose claims are deleted", func() {
		w.statefulSet(3)
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDrained = drainv1alpha1.WhenDrainedDelete })
		w.scale(2)
		job := w.runningJob(2)
		w.succeed(job, w.startPod(job), "moved 17 records")
		Eventually(w.condition(drainv1alpha1.ConditionDrained)).Should(Equal("True/NoOrphans"))
		Eventually(w.records).Should(Equal(map[string]drainv1alpha1.DrainResult{"2/1": drainv1alpha1.DrainResultSucceeded}))
		Eventually(func() error { return k8s.Get(w.ctx, client.ObjectKeyFromObject(job), &batchv1.Job{}) }).
			Should(Satisfy(apierrors.IsNotFound), "the Job is gone")

		record := w.recordList()[0]
		Expect(record.PolicyName).To(Equal("store"))
		Expect(record.JobName).To(Equal(job.Name))
		Expect(record.Message).To(Equal("moved 17 records"))
		Expect(record.ClaimNames).To(ConsistOf("data-store-2"))
		Expect(record.Containers).To(HaveLen(1))
		Expect(record.Containers[0].LogMissing).NotTo(BeEmpty(), "no kubelet has the log")
		Expect(record.OwnerReferences).To(ConsistOf(HaveField("UID", w.get().UID)))
		Expect(record.Result).To(Equal(drainv1alpha1.DrainResultSucceeded), "the Job and its pod were deleted since")
	})

	It("is kept of the latest attempts only", func() {
		w.statefulSet(3)
		w.policy(func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](1), MaxDelaySeconds: ptr.To[int32](1)}
		})
		w.scale(2)
		want := map[string]drainv1alpha1.DrainResult{}
		for attempt := 1; attempt <= keptRecords+1; attempt++ {
			job := w.runningJob(2)
			Expect(job.Labels[drainv1alpha1.AttemptLabel]).To(Equal(fmt.Sprint(attempt)))
			w.podStatus(w.startPod(job), corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 1, Message: "disk on fire", FinishedAt: metav1.Now(),
			}})
			w.fail(job)
			if attempt > 1 {
				want[fmt.Sprintf("2/%d", attempt)] = drainv1alpha1.DrainResultFailed
			}
			Eventually(w.records).Should(HaveKeyWithValue(fmt.Sprintf("2/%d", attempt), drainv1alpha1.DrainResultFailed))
		}
		Eventually(w.records).Should(Equal(want))
	})

	It("is what the schema says", func() {
		record := func(change func(*drainv1alpha1.DrainRecord)) *drainv1alpha1.DrainRecord {
			r := &drainv1alpha1.DrainRecord{
				ObjectMeta: w.meta("record"), PolicyName: "store", Ordinal: ptr.To[int32](2), Attempt: 1, JobName: "job", JobUID: "uid",
				Result: drainv1alpha1.DrainResultRunning,
				Containers: []drainv1alpha1.ContainerRecord{{
					Name: "drain", PodName: "pod", ExitCode: ptr.To[int32](0),
					Log: strings.Repeat("ß", drainv1alpha1.MaxRecordedLog), Message: strings.Repeat("ß", drainv1alpha1.MaxRecordedMessage),
				}},
			}
			if change != nil {
				change(r)
			}
			return r
		}
		for why, change := range map[string]func(*drainv1alpha1.DrainRecord){
			"containers":            func(r *drainv1alpha1.DrainRecord) { r.Containers = make([]drainv1alpha1.ContainerRecord, 9) },
			"containers[0].log":     func(r *drainv1alpha1.DrainRecord) { r.Containers[0].Log += "x" },
			"containers[0].message": func(r *drainv1alpha1.DrainRecord) { r.Containers[0].Message += "x" },
			"result":                func(r *drainv1alpha1.DrainRecord) { r.Result = "Fine" },
			"attempt":               func(r *drainv1alpha1.DrainRecord) { r.Attempt = 0 },
			"action":                func(r *drainv1alpha1.DrainRecord) { r.Action = "leave" },
		} {
			err := k8s.Create(w.ctx, record(change), client.DryRunAll)
			Expect(err).To(Satisfy(apierrors.IsInvalid), why)
			Expect(err.Error()).To(ContainSubstring(why))
		}
		created := record(nil)
		Expect(k8s.Create(w.ctx, created)).To(Succeed())
		Expect(created.Action).To(Equal(drainv1alpha1.RecordedDrain), "the records of before have no action")
		for what, change := range map[string]func(*drainv1alpha1.DrainRecord){
			"policyName": func(r *drainv1alpha1.DrainRecord) { r.PolicyName = "other" },
			"ordinal":    func(r *drainv1alpha1.DrainRecord) { r.Ordinal = ptr.To[int32](3) },
			"attempt":    func(r *drainv1alpha1.DrainRecord) { r.Attempt = 2 },
			"action":     func(r *drainv1alpha1.DrainRecord) { r.Action = drainv1alpha1.RecordedLeave },
			"jobName":    func(r *drainv1alpha1.DrainRecord) { r.JobName = "other" },
			"jobUID":     func(r *drainv1alpha1.DrainRecord) { r.JobUID = "other" },
		} {
			edited := created.DeepCopy()
			change(edited)
			Expect(k8s.Update(w.ctx, edited)).To(MatchError(ContainSubstring("immutable")), what)
		}
		created.Result = drainv1alpha1.DrainResultFailed
		Expect(k8s.Update(w.ctx, created)).To(Succeed())
	})
})
