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

package controller

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

const (
	// progressDelay is how long a status waits that says only how far drains are. What is over by then is never written: a
	// person could not have read it.
	progressDelay = 2 * time.Second
	// progressRate and progressBurst bound how many such statuses of all policies are written in a second. What a person or
	// an alert waits for is written at once.
	progressRate  = 5
	progressBurst = 10
)

// reports remembers since when the statuses of policies lack something that can wait. It is lost with the process, which
// costs progressDelay.
type reports struct {
	mu      sync.Mutex
	since   map[types.NamespacedName]time.Time
	limiter *rate.Limiter
}

// due returns how long the write of a status waits; 0 if it is written now, or needn't be.
func (p *reports) due(policy types.NamespacedName, before, after drainv1alpha1.DrainPolicyStatus, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if equality.Semantic.DeepEqual(before, after) || urgent(before, after) {
		delete(p.since, policy)
		return 0
	}
	if p.since == nil {
		p.since, p.limiter = map[types.NamespacedName]time.Time{}, rate.NewLimiter(progressRate, progressBurst)
	}
	since, waits := p.since[policy]
	if !waits {
		p.since[policy] = now
		return progressDelay
	}
	if left := since.Add(progressDelay).Sub(now); left > 0 {
		return left
	}
	if !p.limiter.AllowN(now, 1) {
		return progressDelay
	}
	delete(p.since, policy)
	return 0
}

func (p *reports) forget(policy types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.since, policy)
}

// urgent reports whether a status says more than how far drains are: something that a person or an alert waits for, or that
// the operator remembers by it.
func urgent(before, after drainv1alpha1.DrainPolicyStatus) bool {
	if before.ObservedGeneration != after.ObservedGeneration || before.TemplateHash != after.TemplateHash ||
		!equality.Semantic.DeepEqual(before.StatefulSet, after.StatefulSet) ||
		!equality.Semantic.DeepEqual(before.StrandedClaims, after.StrandedClaims) {
		return true
	}
	for i := range after.Conditions {
		now := &after.Conditions[i]
		then := meta.FindStatusCondition(before.Conditions, now.Type)
		if then == nil || then.Status != now.Status || now.Type != drainv1alpha1.ConditionDrained && then.Reason != now.Reason {
			return true
		}
	}
	// When a lock was refused is what keeps it from being asked for in haste.
	return concludes(before, after) || slices.ContainsFunc(after.Drains, func(now drainv1alpha1.DrainStatus) bool {
		then := entryOf(before, *now.Ordinal)
		switch now.State {
		case drainv1alpha1.DrainFailed, drainv1alpha1.DrainBlocked, drainv1alpha1.DrainRetained:
			return then.State != now.State || then.Reason != now.Reason ||
				now.Reason == drainv1alpha1.ReasonLockRefused && !now.LastTransitionTime.Equal(then.LastTransitionTime)
		}
		return false
	})
}

// concludes reports whether a status is the first to say how a drain ended. Once the claims are gone, nothing in the cluster
// tells that.
func concludes(before, after drainv1alpha1.DrainPolicyStatus) bool {
	return slices.ContainsFunc(after.Drains, func(now drainv1alpha1.DrainStatus) bool {
		then := entryOf(before, *now.Ordinal)
		return plan.Concluded(&now) && !plan.Concluded(&then)
	})
}

// entryOf returns the entry of an ordinal, or an empty one.
func entryOf(status drainv1alpha1.DrainPolicyStatus, ordinal int32) drainv1alpha1.DrainStatus {
	at := slices.IndexFunc(status.Drains, func(entry drainv1alpha1.DrainStatus) bool { return *entry.Ordinal == ordinal })
	if at < 0 {
		return drainv1alpha1.DrainStatus{}
	}
	return status.Drains[at]
}
