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

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gstruct"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// metrics returns the series of the policies of this world: their names with the labels other than the namespace and the policy, and their
// values. Of a histogram, it has the number of observations.
func (w *world) metrics() map[string]float64 {
	GinkgoHelper()
	families, err := operatorMetrics.Gather()
	Expect(err).NotTo(HaveOccurred())
	series := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name, here := strings.TrimPrefix(family.GetName(), "drain_operator_"), false
			for _, label := range metric.GetLabel() {
				switch label.GetName() {
				case "namespace":
					here = label.GetValue() == w.namespace
				case "policy":
				default:
					name += " " + label.GetValue()
				}
			}
			if here {
				series[name] = valueOf(metric)
			}
		}
	}
	return series
}

func valueOf(metric *dto.Metric) float64 {
	switch {
	case metric.GetCounter() != nil:
		return metric.GetCounter().GetValue()
	case metric.GetHistogram() != nil:
		return float64(metric.GetHistogram().GetSampleCount())
	default:
		return metric.GetGauge().GetValue()
	}
}

// decided returns how many steps a rule has asked for, for all policies.
func decided(rule string) float64 {
	GinkgoHelper()
	families, err := operatorMetrics.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "drain_operator_decisions_total" && metric.GetLabel()[0].GetValue() == rule {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

var _ = Describe("The metrics", func() {
	It("follow a drain whose first attempt fails, and end with the policy", func() {
		w := newWorld()
		w.statefulSet(3, claimTemplates("data", "logs"))
		policy := w.policy(whenDrained(drainv1alpha1.WhenDrainedDelete), retriedAtOnce)
		Eventually(w.metrics).Should(gstruct.MatchKeys(gstruct.IgnoreExtras, gstruct.Keys{
			"policy_condition Ready Accepted True":       BeEquivalentTo(1),
			"policy_condition Drained NoOrphans True":    BeEquivalentTo(1),
			"policy_condition Stalled Progressing False": BeEquivalentTo(1),
			"policy_info store":                          BeEquivalentTo(1),
			"attempts_total Succeeded":                   BeEquivalentTo(0),
			"attempts_total JobFailed":                   BeEquivalentTo(0),
			"locks":                                      BeEquivalentTo(0),
			"orphaned_bytes":                             BeEquivalentTo(0),
		}))
		started := decided("start")

		w.scale(1)
		first := w.runningJob(2)
		Eventually(w.metrics).Should(gstruct.MatchKeys(gstruct.IgnoreExtras, gstruct.Keys{
			"ordinals Draining": BeEquivalentTo(1),
			"ordinals Waiting":  BeEquivalentTo(1),
			"locks":             BeEquivalentTo(1),
			"orphaned_bytes":    BeEquivalentTo(4 << 30),
			"policy_condition Drained PodNotStarted False": BeEquivalentTo(1),
			"oldest_orphan_timestamp_seconds Draining":     BeEquivalentTo(w.get().Status.Drains[0].OrphanedTime.Unix()),
			"oldest_orphan_timestamp_seconds Waiting":      BeEquivalentTo(w.get().Status.Drains[1].OrphanedTime.Unix()),
		}))
		Expect(decided("start")).To(BeNumerically(">", started))

		w.fail(first)
		Eventually(w.metrics).Should(HaveKeyWithValue("attempts_total JobFailed", BeEquivalentTo(1)))
		second := w.runningJob(2)
		Expect(second.Name).NotTo(Equal(first.Name))
		w.finish(second, "")
		w.finish(w.runningJob(1), "")
		Eventually(w.metrics).Should(gstruct.MatchKeys(gstruct.IgnoreExtras, gstruct.Keys{
			"attempts_total JobFailed":                BeEquivalentTo(1),
			"attempts_total Succeeded":                BeEquivalentTo(2),
			"attempts_total NotProven":                BeEquivalentTo(0),
			"drain_duration_seconds":                  BeEquivalentTo(2),
			"claims_deleted_total":                    BeEquivalentTo(4),
			"ordinals Drained":                        BeEquivalentTo(0),
			"ordinals Draining":                       BeEquivalentTo(0),
			"locks":                                   BeEquivalentTo(0),
			"orphaned_bytes":                          BeEquivalentTo(0),
			"policy_condition Drained NoOrphans True": BeEquivalentTo(1),
		}))
		Expect(w.metrics()).NotTo(HaveKey(HavePrefix("oldest_orphan_timestamp_seconds")), "no orphan is left")

		Expect(k8s.Delete(w.ctx, policy)).To(Succeed())
		Eventually(w.metrics).Should(BeEmpty(), "the operator sees that the policy is gone")
		w.policy()
		Eventually(w.metrics).Should(HaveKeyWithValue("claims_deleted_total", BeZero()), "another policy of the name starts from 0")
	})

	It("say since when a scale-up waits for a running drain", func() {
		w := newWorld()
		w.statefulSet(2)
		w.policy()
		w.scale(1)
		job := w.runningJob(1)
		pod := w.startPod(job)
		Eventually(w.drain(1)).Should(Equal("Draining/JobRunning"))
		const blocked = "scale_up_blocked_timestamp_seconds"
		Expect(w.metrics()).NotTo(HaveKey(blocked))
		w.scale(2)
		Eventually(w.drain(1)).Should(Equal("Draining/BackInRange"))
		Eventually(w.metrics).Should(HaveKeyWithValue(blocked, BeEquivalentTo(w.get().Status.Drains[0].LastTransitionTime.Unix())))
		w.succeed(job, pod, "")
		Eventually(w.metrics).ShouldNot(HaveKey(blocked))
	})

	It("count the claims that the operator does not drain", func() {
		w := newWorld()
		w.statefulSet(1)
		w.createClaims(1)
		stray := w.claim("data-store-1")
		stray.Labels = nil
		Expect(k8s.Update(w.ctx, stray)).To(Succeed())
		w.policy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = ptr.To(true) })
		Eventually(w.metrics).Should(HaveKeyWithValue("stranded_claims", BeEquivalentTo(1)))
	})
})
