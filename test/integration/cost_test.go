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
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// price is what one drain with whenDrained: Delete costs at most, from the acceptance of its policy to its end, by verb and
// resource. Dry runs and watches are not in it. The steps of the protocol make each write but those of the finalizer, the status
// and the events.
var price = map[string]int{
	"patch drainpolicies":           2, // the finalizer comes and goes
	"create pods":                   1, // the lock
	"create jobs":                   1,
	"patch pods":                    4, // the lock names the Job's pod; its gate goes; the lock names what is deleted; its finalizer goes
	"patch persistentvolumeclaims":  1, // the mark
	"delete persistentvolumeclaims": 1,
	"delete jobs":                   1,
	"delete pods":                   1, // the lock
	"patch drainpolicies/status":    5, // accepted, scaled down, ended, drained; progress, if the machine is slow
	"create events":                 6, // accepted and drained, each on the policy and the StatefulSet; started; a controller that is behind
	// A drain takes five looks: before the lock, before its pod may run, before the mark, before the claim is deleted, and before
	// the lock is released. Two more are for a machine that is slow.
	"get drainpolicies":          7,
	"get pods":                   7,
	"get statefulsets":           7,
	"get persistentvolumeclaims": 9,
	"list drainpolicies":         3, // before the lock only
	"list jobs":                  7,
	"list pods":                  7,
	// The record: the operator looks whether there is one, creates it when the container has ended, completes it when the Job has, and
	// looks how many there are.
	"get pods/log":        2, // one: the API server writes down when it starts and when it ends
	"get drainrecords":    2,
	"create drainrecords": 1,
	"update drainrecords": 1,
	"list drainrecords":   1,
}

var _ = Describe("The requests of the operator", func() {
	It("are as few for a drain as the protocol needs, and none at rest", func() {
		w := newWorld()
		w.statefulSet(2)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		w.scale(1)
		job := w.runningJob(1)
		pod := w.startPod(job)
		w.exit(pod, "done\n"+receipt(pod))
		// The part of the operator that writes records may start last of all.
		Eventually(w.records).Should(HaveLen(1))
		w.complete(job)
		Eventually(w.drain(1)).Should(Equal("Drained/ClaimsDeleted"))
		Eventually(func() []string { return w.get().Finalizers }).Should(BeEmpty())

		requests := func() map[string]int {
			counts := map[string]int{}
			for _, request := range operatorRequests(auditLog) {
				if request.ObjectRef.Namespace == w.namespace && !strings.Contains(request.RequestURI, "dryRun=All") {
					counts[request.Verb+" "+request.resource()]++
				}
			}
			return counts
		}
		Eventually(requests).Should(HaveKeyWithValue("create events", BeNumerically(">=", 4)), "events are written in the background")
		counts := requests()
		Consistently(requests).WithTimeout(3*time.Second).Should(Equal(counts), "at rest it asks for nothing")
		for what, n := range counts {
			Expect(price).To(HaveKey(what))
			Expect(n).To(BeNumerically("<=", price[what]), what)
		}
		for what := range price {
			Expect(counts).To(HaveKey(what), "the price of what is not needed")
		}
	})

	It("do not grow with the ordinals that wait, and the policy stays small with 1,000", Serial, func() {
		const ordinals = 1000
		w := newWorld()
		w.statefulSet(ordinals)
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.MinReadyReplicas = ptr.To[int32](0) })
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))

		writes := func() int {
			count := 0
			for _, request := range operatorRequests(auditLog) {
				if request.ObjectRef.Namespace == w.namespace && request.Verb+" "+request.resource() == "patch drainpolicies/status" {
					count++
				}
			}
			return count
		}
		size := func() int {
			text, err := json.Marshal(w.get())
			Expect(err).NotTo(HaveOccurred())
			return len(text)
		}
		accepted := writes()
		w.scale(0)
		job := w.runningJob(ordinals - 1)
		Eventually(w.drain(ordinals - 1)).Should(Equal("Draining/PodNotStarted"))
		Eventually(func() string {
			return meta.FindStatusCondition(w.get().Status.Conditions, drainv1alpha1.ConditionDrained).Message
		}).
			Should(HaveSuffix(" (and 999 more: 999 WaitingForSlot)"))
		settled := writes()
		Consistently(writes).WithTimeout(3*time.Second).Should(Equal(settled), "nothing is written while 1,000 ordinals wait")
		status := w.get().Status
		Expect(status.Undrained).To(HaveValue(BeEquivalentTo(ordinals)))
		Expect(status.Drains).To(HaveLen(100))
		waiting := size()

		w.finish(job, "done")
		next := w.runningJob(ordinals - 2)
		Eventually(w.drain(ordinals - 2)).Should(Equal("Draining/PodNotStarted"))
		drained := writes()
		AddReportEntry("1,000 orphaned ordinals", fmt.Sprintf("the policy takes %d bytes of JSON; %d writes of the status from the scale-down to the first Job, %d for the drain of one ordinal; next: %s",
			waiting, settled-accepted, drained-settled, next.Name), ReportEntryVisibilityAlways)
		Expect(waiting).To(BeNumerically("<", 70_000))
		Expect(settled - accepted).To(BeNumerically("<=", 6))
		Expect(drained - settled).To(BeNumerically("<=", 6))
	})
})
