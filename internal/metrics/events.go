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

// tally is what has happened for one policy: to its drains, and to the members of its StatefulSet by action.
type tally struct {
	uid     types.UID
	deleted uint64
	ended
	members map[string]*ended
}

// ended are attempts that have ended: how many by result, and how long those took that succeeded.
type ended struct {
	attempts map[string]uint64
	// upTo has the number of those that took no longer than each bound of durations, and count that of all.
	upTo    map[float64]uint64
	count   uint64
	seconds float64
}

func newTally(uid types.UID) *tally {
	t := &tally{uid: uid, ended: newEnded(), members: map[string]*ended{}}
	for _, action := range actions {
		e := newEnded()
		t.members[action] = &e
	}
	return t
}

func newEnded() ended {
	e := ended{attempts: map[string]uint64{}, upTo: map[float64]uint64{}}
	for _, bound := range durations {
		e.upTo[bound] = 0
	}
	return e
}

func (e *ended) succeeded(took time.Duration) {
	e.attempts[resultSucceeded]++
	e.count++
	e.seconds += took.Seconds()
	for _, bound := range durations {
		if took.Seconds() <= bound {
			e.upTo[bound]++
		}
	}
}

// clone returns a copy that shares nothing.
func (e *ended) clone() ended {
	c := *e
	c.attempts, c.upTo = maps.Clone(e.attempts), maps.Clone(e.upTo)
	return c
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
	e.count(policy, func(t *tally) { t.succeeded(took) })
}

// MemberFailed counts an attempt of a member to leave or to join again that failed.
func (e *Events) MemberFailed(policy Key, action, reason string) {
	e.count(policy, func(t *tally) {
		if m := t.members[action]; m != nil {
			m.attempts[reason]++
		}
	})
}

// MemberSucceeded counts such an attempt that succeeded, whose Job took so long.
func (e *Events) MemberSucceeded(policy Key, action string, took time.Duration) {
	e.count(policy, func(t *tally) {
		if m := t.members[action]; m != nil {
			m.succeeded(took)
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
	t := &tally{uid: known.uid, deleted: known.deleted, ended: known.clone(), members: map[string]*ended{}}
	for action, m := range known.members {
		c := m.clone()
		t.members[action] = &c
	}
	return t
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
