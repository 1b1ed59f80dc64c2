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
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

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
}

var _ = Describe("The requests of the operator", func() {
	It("are as few for a drain as the protocol needs, and none at rest", func() {
		w := newWorld()
		w.statefulSet(2)
		w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete))
		Eventually(w.condition(drainv1alpha1.ConditionReady)).Should(Equal("True/Accepted"))
		w.scale(1)
		w.finish(w.runningJob(1), "done")
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
})
