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
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
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
		return plan.Preflight{About: subject, Refusal: ownProblems(newTrial(snapshot))}
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

// trial is the Job that a policy's drains would be made from, for an ordinal that isn't there, and what is expected of it.
type trial struct {
	job  *batchv1.Job
	want proof.Expected
	// own are the problems of the template itself, and path is where its fields are.
	own  []proof.Problem
	path string
}

func newTrial(snapshot plan.Snapshot) trial {
	policy, target := snapshot.Policy, snapshot.Target
	ordinal := target.Start + target.Replicas
	attempt := objects.Attempt{
		Job:     plan.JobName(target.Name, policy.UID, ordinal, "", []types.UID{"preflight"}, 1),
		Ordinal: ordinal,
		Number:  1,
	}
	t := trial{path: "template.spec.", want: proof.Expected{
		Proof: policy.Spec.Proof, Receipt: plan.Receipt(attempt.Job), Claims: target.ClaimNames(ordinal),
	}}
	for i := range snapshot.Template.Spec.Containers {
		t.want.Containers = append(t.want.Containers, snapshot.Template.Spec.Containers[i].Name)
	}
	if policy.Spec.TemplateFrom.StatefulSetAnnotation != "" {
		t.path = ""
	}
	t.job = objects.Job(policy, &snapshot.Template, target, attempt)
	t.own = proof.Pod(&t.job.Spec.Template.Spec, t.want)
	return t
}

// ownProblems says what is wrong with the template of a trial itself, or "".
func ownProblems(t trial) string {
	if len(t.own) == 0 {
		return ""
	}
	return "The drain that the template would become could not be believed: " + list(t.path, t.own)
}

// ask makes the dry runs and reads their answers, which webhooks and LimitRanges have a say in.
func (r *Reconciler) ask(ctx context.Context, snapshot plan.Snapshot) (refusal, unanswered string) {
	t := newTrial(snapshot)
	job, want := t.job, t.want
	asked := job.DeepCopy()
	if err := r.Create(ctx, job, client.DryRunAll); err != nil {
		return unaccepted(err)
	}
	if own := ownProblems(t); own != "" {
		return own, ""
	}
	if problems := append(proof.Job(job), in("template.spec.", proof.Pod(&job.Spec.Template.Spec, want))...); len(problems) > 0 {
		return "A webhook changes the drain's Job: " + list("", problems), ""
	}
	if lost := lostKey(asked, job); lost != "" {
		return "A webhook changes the drain's Job: " + lost, ""
	}
	pod := objects.Pod(job)
	asked.ObjectMeta = *pod.ObjectMeta.DeepCopy()
	if err := r.Create(ctx, pod, client.DryRunAll); err != nil {
		return unaccepted(err)
	}
	if lost := lostKey(asked, pod); lost != "" {
		return "A webhook changes the drain pod: " + lost, ""
	}
	if problems := append(proof.Gate(&pod.Spec), proof.Pod(&pod.Spec, want)...); len(problems) > 0 {
		return "A webhook or a LimitRange changes the drain pod: " + list("", problems), ""
	}
	return "", ""
}

// unaccepted tells the API server's refusal of a dry run from trouble on the way to it.
func unaccepted(err error) (refusal, unanswered string) {
	if classify(err) == plan.Refused {
		return "The API server refuses the drain that the template would become: " + err.Error(), ""
	}
	return "", err.Error()
}

// lostKey says which of the operator's own labels and annotations the API server's answer lacks, or "". Its caches hold only objects
// that have the labels, so it would create a Job without them, never see it, and create it again.
func lostKey(asked, got metav1.Object) string {
	for _, keys := range []struct {
		field      string
		asked, got map[string]string
	}{{"labels", asked.GetLabels(), got.GetLabels()}, {"annotations", asked.GetAnnotations(), got.GetAnnotations()}} {
		for _, key := range slices.Sorted(maps.Keys(keys.asked)) {
			if strings.HasPrefix(key, drainv1alpha1.GroupVersion.Group+"/") && keys.got[key] != keys.asked[key] {
				return fmt.Sprintf("metadata.%s[%s] is %q and not %q; the operator would not find it: exempt the drain from what changes it", keys.field, key, keys.got[key], keys.asked[key])
			}
		}
	}
	return ""
}

// maxProblems bounds how many problems one message names.
const maxProblems = 3

func list(prefix string, problems []proof.Problem) string {
	texts := make([]string, 0, len(problems))
	for _, problem := range in(prefix, problems)[:min(len(problems), maxProblems)] {
		texts = append(texts, problem.String())
	}
	if more := len(problems) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, "; ")
}

// in puts the paths of problems below another one.
func in(prefix string, problems []proof.Problem) []proof.Problem {
	result := make([]proof.Problem, 0, len(problems))
	for _, problem := range problems {
		result = append(result, proof.Problem{Field: prefix + problem.Field, Why: problem.Why})
	}
	return result
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
