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
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
)

// contestForgotten is how long the operator must not have changed the replicas for what it wrote before to count no more.
const contestForgotten = time.Hour

// pasts remembers, for each policy, what this manager decided on the replicas before. No promise rests on it: what is forgotten delays
// only when a person is called.
type pasts struct {
	mu       sync.Mutex
	policies map[types.NamespacedName]*past
}

type past struct {
	uid        types.UID
	generation int64
	scaling.Past
	// told is, by ordinal, the number of the Job whose end was reported last; nil if this manager has reported none of the policy.
	told map[int32]int32
}

// of returns what is remembered of a policy. Writes count only under the spec that they were made for. The caller holds the mutex.
func (p *pasts) of(key types.NamespacedName, policy *drainv1alpha1.DrainPolicy, now time.Time) *past {
	known := p.policies[key]
	if known == nil || known.uid != policy.UID {
		known = &past{uid: policy.UID}
		if p.policies == nil {
			p.policies = map[types.NamespacedName]*past{}
		}
		p.policies[key] = known
	}
	if known.generation != policy.Generation || now.Sub(known.Last) > contestForgotten {
		known.generation, known.Writes = policy.Generation, nil
	}
	return known
}

// recall returns what is remembered of a policy.
func (p *pasts) recall(key types.NamespacedName, policy *drainv1alpha1.DrainPolicy, now time.Time) scaling.Past {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of(key, policy, now).Past
	known.Writes = maps.Clone(known.Writes)
	return known
}

// applied remembers which rule applied last.
func (p *pasts) applied(key types.NamespacedName, policy *drainv1alpha1.DrainPolicy, rule string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.of(key, policy, now); known.Rule != rule {
		known.Rule, known.Since = rule, now
	}
}

// wrote remembers that the operator gave the StatefulSet a number of replicas.
func (p *pasts) wrote(key types.NamespacedName, policy *drainv1alpha1.DrainPolicy, replicas int32, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of(key, policy, now)
	if known.Writes == nil {
		known.Writes = map[int32]int{}
	}
	known.Writes[replicas]++
	known.Last = now
}

// started remembers that a member has begun another attempt. Numbers of Jobs start again when an ordinal was drained.
func (p *pasts) started(key types.NamespacedName, policy *drainv1alpha1.DrainPolicy, ordinal int32, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of(key, policy, now)
	if known.told == nil {
		known.told = map[int32]int32{}
	}
	delete(known.told, ordinal)
}

// news reports whether the end of an attempt has not been reported yet. A manager that has reported none yet goes by the status: the manager
// before it may have reported the failure.
func (p *pasts) news(key types.NamespacedName, policy *drainv1alpha1.DrainPolicy, attempt *scaling.Attempt, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of(key, policy, now)
	before := known.told == nil && attempt.Failed != "" && saysFailed(policy)
	if known.told == nil {
		known.told = map[int32]int32{}
	}
	number, told := known.told[attempt.Ordinal]
	known.told[attempt.Ordinal] = attempt.Number
	return !before && (!told || number != attempt.Number)
}

// saysFailed reports whether the status says that an attempt of a member has failed.
func saysFailed(policy *drainv1alpha1.DrainPolicy) bool {
	scaled := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionScaled)
	return scaled != nil && (scaled.Reason == drainv1alpha1.ReasonLeaveFailed || scaled.Reason == drainv1alpha1.ReasonRejoinFailed)
}

// forget forgets a policy that is gone.
func (p *pasts) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.policies, key)
}
