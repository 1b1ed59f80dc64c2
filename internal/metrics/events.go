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
	"maps"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Events counts what the operator does. A nil Events counts nothing.
type Events struct {
	mu        sync.Mutex
	decisions map[string]uint64
	policies  map[types.NamespacedName]*tally
}

// Key names a policy. Its UID tells it from a later policy of the same name.
type Key struct {
	types.NamespacedName
	UID types.UID
}

// KeyOf returns the key of a policy.
func KeyOf(policy metav1.Object) Key {
	return Key{types.NamespacedName{Namespace: policy.GetNamespace(), Name: policy.GetName()}, policy.GetUID()}
}

// tally is what has happened for one policy.
type tally struct {
	uid      types.UID
	attempts map[string]uint64
	deleted  uint64
	// drained has the number of drains up to each bound of durations, and those of any length in count.
	drained map[float64]uint64
	count   uint64
	seconds float64
}

func newTally(uid types.UID) *tally {
	t := &tally{uid: uid, attempts: map[string]uint64{}, drained: map[float64]uint64{}}
	for _, bound := range durations {
		t.drained[bound] = 0
	}
	return t
}

// Decided counts a step that was taken by a rule of the protocol.
func (e *Events) Decided(rule string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.decisions == nil {
		e.decisions = map[string]uint64{}
	}
	e.decisions[rule]++
}

// AttemptFailed counts an attempt that failed, by its reason.
func (e *Events) AttemptFailed(policy Key, reason string) {
	e.count(policy, func(t *tally) { t.attempts[reason]++ })
}

// AttemptSucceeded counts an attempt that succeeded, whose Job took that long.
func (e *Events) AttemptSucceeded(policy Key, took time.Duration) {
	e.count(policy, func(t *tally) {
		t.attempts[resultSucceeded]++
		t.count++
		t.seconds += took.Seconds()
		for _, bound := range durations {
			if took.Seconds() <= bound {
				t.drained[bound]++
			}
		}
	})
}

// ClaimDeleted counts a drained claim that was deleted.
func (e *Events) ClaimDeleted(policy Key) {
	e.count(policy, func(t *tally) { t.deleted++ })
}

// Forget drops what was counted for a policy that is gone.
func (e *Events) Forget(policy types.NamespacedName) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.policies, policy)
}

func (e *Events) count(policy Key, add func(*tally)) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.policies == nil {
		e.policies = map[types.NamespacedName]*tally{}
	}
	if known := e.policies[policy.NamespacedName]; known == nil || known.uid != policy.UID {
		e.policies[policy.NamespacedName] = newTally(policy.UID)
	}
	add(e.policies[policy.NamespacedName])
}

// of returns a copy of what has happened for a policy; nothing, if it isn't known.
func (e *Events) of(policy Key) *tally {
	if e == nil {
		return newTally(policy.UID)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	known := e.policies[policy.NamespacedName]
	if known == nil || known.uid != policy.UID {
		return newTally(policy.UID)
	}
	t := *known
	t.attempts, t.drained = maps.Clone(known.attempts), maps.Clone(known.drained)
	return &t
}

// rules returns a copy of the steps by rule.
func (e *Events) rules() map[string]uint64 {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.decisions)
}
