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
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Seen is what the caches hold at a scrape.
type Seen struct {
	// Policies are read, and must not be changed.
	Policies []drainv1alpha1.DrainPolicy
	// Locks are the ordinals that are locked, by policy. A policy that was deleted can still hold some.
	Locks map[Key][]int32
}

// collector implements prometheus.Collector.
type collector struct {
	look    func() (*Seen, error)
	events  *Events
	leading <-chan struct{}
}

// NewCollector returns a collector of all families. It calls look at each scrape, once leading is closed: of several managers only the one
// that acts shows metrics of policies, or each series would be there several times.
func NewCollector(look func() (*Seen, error), events *Events, leading <-chan struct{}) prometheus.Collector {
	return &collector{look: look, events: events, leading: leading}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range Families() {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	select {
	case <-c.leading:
	default:
		return
	}
	for rule, count := range c.events.rules() {
		decisions.sample(to, float64(count), rule)
	}
	seen, err := c.look()
	if err != nil {
		// The handler of the metrics fails the scrape then. Without these series, every alert on them would be resolved.
		to <- prometheus.NewInvalidMetric(ordinals.desc, err)
		return
	}
	held := map[types.NamespacedName]int{}
	for holder, locked := range seen.Locks {
		held[holder.NamespacedName] += len(locked)
	}
	for i := range seen.Policies {
		policy := &seen.Policies[i]
		key := KeyOf(policy)
		collectState(to, policy, seen.Locks[key])
		collectEvents(to, policy, c.events.of(key))
		held[key.NamespacedName] += 0
	}
	for policy, count := range held {
		locks.sample(to, float64(count), policy.Namespace, policy.Name)
	}
}

// collectState shows what a policy is like.
func collectState(to chan<- prometheus.Metric, policy *drainv1alpha1.DrainPolicy, locked []int32) {
	namespace, name, status := policy.Namespace, policy.Name, &policy.Status
	policyInfo.sample(to, 1, namespace, name, policy.Spec.StatefulSetRef.Name)
	for i := range status.Conditions {
		condition := &status.Conditions[i]
		policyCondition.sample(to, 1, namespace, name, condition.Type, string(condition.Status), condition.Reason)
	}
	counts := byState(status)
	for _, state := range states {
		ordinals.sample(to, float64(counts[state]), namespace, name, string(state))
		if oldest := oldestIn(status, state); oldest != nil {
			oldestOrphan.sample(to, float64(oldest.Unix()), namespace, name, string(state))
		}
	}
	if capacity := status.OrphanedCapacity; capacity != nil {
		orphanedBytes.sample(to, capacity.AsApproximateFloat64(), namespace, name)
	} else {
		orphanedBytes.sample(to, 0, namespace, name)
	}
	if since := blockedSince(status, locked); since != nil {
		scaleUpBlocked.sample(to, float64(since.Unix()), namespace, name)
	}
	strandedClaims.sample(to, float64(len(status.StrandedClaims)), namespace, name)
}

// collectEvents shows what has happened for a policy. What has not happened yet is shown as 0: an increase from nothing is none for
// Prometheus.
func collectEvents(to chan<- prometheus.Metric, policy *drainv1alpha1.DrainPolicy, t *tally) {
	for _, result := range results {
		attempts.sample(to, float64(t.attempts[result]), policy.Namespace, policy.Name, result)
	}
	claimsDeleted.sample(to, float64(t.deleted), policy.Namespace, policy.Name)
	to <- prometheus.MustNewConstHistogram(drainDuration.desc, t.count, t.seconds, t.upTo, policy.Namespace, policy.Name)
	if policy.Spec.Leave == nil {
		return
	}
	for _, action := range actions {
		m := t.members[action]
		for _, result := range memberResults {
			memberAttempts.sample(to, float64(m.attempts[result]), policy.Namespace, policy.Name, action, result)
		}
		to <- prometheus.MustNewConstHistogram(memberDuration.desc, m.count, m.seconds, m.upTo, policy.Namespace, policy.Name, action)
	}
}

// byState counts the ordinals in each state. status.drains has no room for more than 100, and leaves out the least urgent: the counters
// of the status tell how many those are.
func byState(status *drainv1alpha1.DrainPolicyStatus) map[drainv1alpha1.DrainState]int32 {
	counts := map[drainv1alpha1.DrainState]int32{}
	listed := int32(0)
	for i := range status.Drains {
		drain := &status.Drains[i]
		if drain.State == drainv1alpha1.DrainDrained {
			continue // status.kept has those that still have claims.
		}
		counts[drain.State]++
		if drain.Reason != drainv1alpha1.ReasonNeverBound && !inRange(status, *drain.Ordinal) {
			listed++
		}
	}
	counts[drainv1alpha1.DrainDrained] = ptr.Deref(status.Kept, 0)
	if missing := ptr.Deref(status.Undrained, 0) - listed; missing > 0 && len(status.Drains) == maxDrains {
		least := drainv1alpha1.DrainWaiting
		if counts[drainv1alpha1.DrainRetained] > 0 {
			least = drainv1alpha1.DrainRetained
		}
		counts[least] += missing
	}
	return counts
}

// maxDrains is the length of a status.drains that may leave out some.
const maxDrains = 100

// oldestIn returns when the oldest orphan in a state went out of range, or nil.
func oldestIn(status *drainv1alpha1.DrainPolicyStatus, state drainv1alpha1.DrainState) *metav1.Time {
	var oldest *metav1.Time
	for i := range status.Drains {
		drain := &status.Drains[i]
		// The claims of these are gone.
		if drain.State != state || drain.OrphanedTime == nil || drain.Reason == drainv1alpha1.ReasonClaimsDeleted {
			continue
		}
		if oldest == nil || drain.OrphanedTime.Before(oldest) {
			oldest = drain.OrphanedTime
		}
	}
	return oldest
}

// blockedSince returns since when a scale-up has waited for the release of a lock, or nil.
func blockedSince(status *drainv1alpha1.DrainPolicyStatus, locked []int32) *metav1.Time {
	var since *metav1.Time
	for i := range status.Drains {
		drain := &status.Drains[i]
		if drain.LastTransitionTime == nil || !inRange(status, *drain.Ordinal) || !slices.Contains(locked, *drain.Ordinal) {
			continue
		}
		if since == nil || drain.LastTransitionTime.Before(since) {
			since = drain.LastTransitionTime
		}
	}
	return since
}

// inRange reports whether the StatefulSet wants an ordinal, as the status has it.
func inRange(status *drainv1alpha1.DrainPolicyStatus, ordinal int32) bool {
	set := status.StatefulSet
	if set == nil {
		return false
	}
	start := int64(ptr.Deref(set.StartOrdinal, 0))
	return int64(ordinal) >= start && int64(ordinal) < start+int64(ptr.Deref(set.Replicas, 0))
}
