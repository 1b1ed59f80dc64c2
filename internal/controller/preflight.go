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
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/preflight"
)

const (
	// firstPreflightDelay and lastPreflightDelay bound how long a refused template waits to be tried again.
	firstPreflightDelay = 30 * time.Second
	lastPreflightDelay  = 10 * time.Minute
)

// preflights remembers what the API server said about the templates that it refused, so that a refused policy costs no
// dry runs with every reconcile. Nothing is decided by memory alone: what is forgotten is asked again.
type preflights struct {
	mu      sync.Mutex
	answers map[types.NamespacedName]answer
}

// answer is what the API server said about a policy's template.
type answer struct {
	about               string
	refusal, unanswered string
	delay               time.Duration
	again               time.Time
}

// preflight returns what the API server says, in a dry run, about the Job of this policy and that Job's pod: why they can't
// be had, or why their success could not be believed. A template must not turn out to be wrong when the data is at stake.
func (r *Reconciler) preflight(ctx context.Context, snapshot plan.Snapshot) plan.Preflight {
	policy, target, subject := snapshot.Policy, snapshot.Target, snapshot.Subject()
	key := client.ObjectKeyFromObject(policy)
	switch {
	case policy.DeletionTimestamp != nil || snapshot.Rival != "" || len(snapshot.Template.Spec.Containers) == 0 || !target.Stands() && !target.Gone():
		// No drain starts, whatever the answer would be.
		r.preflights.forget(key)
		return plan.Preflight{}
	case target.Gone():
		// Of a StatefulSet that is gone, all that can be said is what is wrong with the template itself.
		r.preflights.forget(key)
		return plan.Preflight{About: subject, Refusal: preflight.Template(snapshot)}
	case preflown(snapshot):
		r.preflights.forget(key)
		return plan.Preflight{About: subject}
	}
	about := fmt.Sprintf("%s/%d/%+v", policy.UID, policy.Generation, subject)
	now := r.Clock.Now()
	last, known := r.preflights.last(key, about)
	if !known || !now.Before(last.again) {
		delay := firstPreflightDelay
		if known {
			delay = min(2*last.delay, lastPreflightDelay)
		}
		last = answer{about: about, delay: delay, again: now.Add(delay)}
		last.refusal, last.unanswered = r.ask(ctx, snapshot)
		r.preflights.note(key, last)
	}
	said := plan.Preflight{About: subject, Refusal: last.refusal, Unanswered: last.unanswered}
	if said.Refusal != "" || said.Unanswered != "" {
		said.Again = last.again.Sub(now)
	}
	return said
}

// ask makes the dry runs and reads their answers.
func (r *Reconciler) ask(ctx context.Context, snapshot plan.Snapshot) (refusal, unanswered string) {
	refusal, err := preflight.Ask(snapshot, func(object preflight.Object) error { return r.Create(ctx, object, client.DryRunAll) })
	if err != nil {
		return unaccepted(err)
	}
	return refusal, ""
}

// unaccepted tells the API server's refusal of a dry run from trouble on the way to it.
func unaccepted(err error) (refusal, unanswered string) {
	if classify(err) == plan.Refused {
		return "The API server refuses the drain that the template would become: " + err.Error(), ""
	}
	return "", err.Error()
}

func (p *preflights) last(policy types.NamespacedName, about string) (answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.answers[policy]
	return last, known && last.about == about
}

func (p *preflights) note(policy types.NamespacedName, said answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answers == nil {
		p.answers = map[types.NamespacedName]answer{}
	}
	p.answers[policy] = said
}

func (p *preflights) forget(policy types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.answers, policy)
}

// preflown reports whether the template was accepted before and nothing has changed since in
// what it is made from.
func preflown(snapshot plan.Snapshot) bool {
	policy, target := snapshot.Policy, snapshot.Target
	ready := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration != policy.Generation {
		return false
	}
	switch ready.Reason {
	case drainv1alpha1.ReasonAccepted, drainv1alpha1.ReasonRetainsClaims, drainv1alpha1.ReasonSuspended:
	default:
		return false
	}
	last := policy.Status.StatefulSet
	return last != nil && last.UID == string(target.UID) && slices.Equal(last.ClaimTemplates, target.ClaimTemplates) &&
		// An annotation changes without a generation.
		policy.Status.TemplateHash == snapshot.TemplateHash
}
