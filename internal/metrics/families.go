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

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Family is a metric with all its series, as docs/metrics.md lists it.
type Family struct {
	Name string
	Type prometheus.ValueType
	Help string
	// Labels of each series.
	Labels []string

	desc *prometheus.Desc
}

// resultSucceeded is the result of an attempt that succeeded. An attempt that failed has the reason of the failure as its result.
const resultSucceeded = "Succeeded"

var (
	// results are the values of the label "result".
	results = []string{
		resultSucceeded, drainv1alpha1.ReasonJobFailed, drainv1alpha1.ReasonNotProven,
		drainv1alpha1.ReasonJobDeleted, drainv1alpha1.ReasonPodChanged,
	}
	// actions are the values of the label "action", and memberResults those of the label "result" beside them.
	actions       = []string{drainv1alpha1.ActionLeave, drainv1alpha1.ActionRejoin}
	memberResults = []string{resultSucceeded, drainv1alpha1.ReasonJobFailed, drainv1alpha1.ReasonNotProven, drainv1alpha1.ReasonJobDeleted}
	// states are the values of the label "state".
	states = []drainv1alpha1.DrainState{
		drainv1alpha1.DrainWaiting, drainv1alpha1.DrainDraining, drainv1alpha1.DrainFailed,
		drainv1alpha1.DrainBlocked, drainv1alpha1.DrainRetained, drainv1alpha1.DrainDrained,
	}
	// durations are the buckets of the histogram: from a drain that finds nothing to do to one that takes a day.
	durations = []float64{1, 10, 60, 5 * 60, 15 * 60, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600}

	policyInfo = gauge("drain_operator_policy_info",
		"A DrainPolicy and its StatefulSet, with the value 1, to join other metrics by.", "statefulset")
	policyCondition = gauge("drain_operator_policy_condition",
		"A condition of a DrainPolicy (Ready, Drained, Stalled or Scaled) with its present status and reason, with the value 1.", "condition", "status", "reason")
	ordinals = gauge("drain_operator_ordinals",
		"Ordinals in each state of a drain. Drained are those whose claims are drained and kept.", "state")
	orphanedBytes = gauge("drain_operator_orphaned_bytes",
		"Capacity of all claims of orphaned ordinals, including drained claims.")
	oldestOrphan = gauge("drain_operator_oldest_orphan_timestamp_seconds",
		"When the oldest of the orphaned ordinals in a state went out of range. Absent if there is none.", "state")
	scaleUpBlocked = gauge("drain_operator_scale_up_blocked_timestamp_seconds",
		"Since when a lock has kept the pod of an ordinal that is back in range from starting. Absent if no lock does.")
	strandedClaims = gauge("drain_operator_stranded_claims",
		"Claims that are named like the StatefulSet's and that the operator does not drain. 100 means 100 or more.")
	locks = gauge("drain_operator_locks",
		"Locks that a DrainPolicy holds, even if it was deleted.")

	attempts = counter("drain_operator_attempts_total",
		"Attempts that have ended, by result: Succeeded, or the reason of the failure.", "namespace", "policy", "result")
	claimsDeleted = counter("drain_operator_claims_deleted_total",
		"Drained claims that the operator has deleted.", "namespace", "policy")
	decisions = counter("drain_operator_decisions_total",
		"Steps that the operator has taken, by the rule of the protocol that asked for them.", "rule")
	drainDuration = family("drain_operator_drain_duration_seconds", prometheus.UntypedValue,
		"Time from the start to the end of the Job of an attempt that succeeded.", "namespace", "policy")
	memberAttempts = counter("drain_operator_member_attempts_total",
		"Attempts of members to leave or to join again that have ended, by result. Absent while spec.leave is unset.", "namespace", "policy", "action", "result")
	memberDuration = family("drain_operator_member_duration_seconds", prometheus.UntypedValue,
		"Time from the start to the end of the Job of such an attempt that succeeded.", "namespace", "policy", "action")
)

// Families returns all metrics of this package, in the order of the page about them.
func Families() []*Family {
	return []*Family{
		ordinals, oldestOrphan, orphanedBytes, scaleUpBlocked, strandedClaims, locks, policyCondition, policyInfo,
		attempts, drainDuration, claimsDeleted, memberAttempts, memberDuration, decisions,
	}
}

// Kind is how Prometheus calls the type of the family.
func (f *Family) Kind() string {
	switch f.Type {
	case prometheus.CounterValue:
		return "counter"
	case prometheus.GaugeValue:
		return "gauge"
	}
	return "histogram"
}

func family(name string, kind prometheus.ValueType, help string, labels ...string) *Family {
	return &Family{Name: name, Type: kind, Help: help, Labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
}

// gauge returns a family about policies.
func gauge(name, help string, labels ...string) *Family {
	return family(name, prometheus.GaugeValue, help, append([]string{"namespace", "policy"}, labels...)...)
}

func counter(name, help string, labels ...string) *Family {
	return family(name, prometheus.CounterValue, help, labels...)
}

func (f *Family) sample(to chan<- prometheus.Metric, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(f.desc, f.Type, value, labels...)
}
