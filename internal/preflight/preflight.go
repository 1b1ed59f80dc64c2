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

// Package preflight asks whether the drains that a policy's template would become can be had, and could be believed. The
// operator asks before it accepts a policy, and the kubectl plugin asks with its user's rights.
package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
)

// Object is what a client of either kind creates.
type Object interface {
	metav1.Object
	runtime.Object
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

// Template returns what is wrong with the template of a snapshot itself, or "".
func Template(snapshot plan.Snapshot) string { return newTrial(snapshot).problems() }

// problems says what is wrong with the template of a trial itself, or "".
func (t trial) problems() string {
	if len(t.own) == 0 {
		return ""
	}
	return "The drain that the template would become could not be believed: " + list(t.path, t.own)
}

// Ask returns why the Job of this snapshot's policy and that Job's pod can't be had, or why their success could not be believed, and ""
// if nothing speaks against them. try creates an object in a dry run, and leaves in it what webhooks and LimitRanges make of it. An error
// of try is returned as it is: it is a refusal, or trouble on the way to the API server.
func Ask(snapshot plan.Snapshot, try func(Object) error) (refusal string, err error) {
	t := newTrial(snapshot)
	job, want := t.job, t.want
	// try leaves in the Job what has become of it, and the pod that it would create is one of what was asked for.
	asked, askedPod := job.DeepCopy(), objects.Pod(job)
	if err := try(job); err != nil {
		return "", err
	}
	if own := t.problems(); own != "" {
		return own, nil
	}
	if problems := append(proof.Job(job), in("template.spec.", proof.Pod(&job.Spec.Template.Spec, want))...); len(problems) > 0 {
		return "A webhook changes the drain's Job: " + list("", problems), nil
	}
	if lost := lostKey(asked, job); lost != "" {
		return "A webhook changes the drain's Job: " + lost, nil
	}
	pod := objects.Pod(job)
	if err := try(pod); err != nil {
		return "", err
	}
	if lost := lostKey(askedPod, pod); lost != "" {
		return "A webhook changes the drain pod: " + lost, nil
	}
	if problems := append(proof.Gate(&pod.Spec), proof.Pod(&pod.Spec, want)...); len(problems) > 0 {
		return "A webhook or a LimitRange changes the drain pod: " + list("", problems), nil
	}
	return askLeave(snapshot, try)
}

// askLeave is Ask for the Job by which a member leaves.
func askLeave(snapshot plan.Snapshot, try func(Object) error) (refusal string, err error) {
	policy := snapshot.Policy
	if policy.Spec.Leave == nil || len(policy.Spec.Leave.Template.Spec.Containers) == 0 {
		return "", nil
	}
	// No real Job has the number 0, so the trial doesn't meet one of its name: that of the ordinal that was lowered last is there still.
	job := objects.LeaveJob(policy, snapshot.Target, objects.Leave{Ordinal: snapshot.Target.Start + snapshot.Target.Replicas, Action: drainv1alpha1.ActionLeave, PodUID: "preflight"})
	want := objects.LeaveProof(policy, snapshot.Target, job)
	if own := proof.Pod(&job.Spec.Template.Spec, want); len(own) > 0 {
		return "The end of the Job by which a member leaves could not be believed: " + list("leave.template.spec.", own), nil
	}
	asked, askedPod := job.DeepCopy(), objects.Pod(job)
	if err := try(job); err != nil {
		return "", fmt.Errorf("the Job by which a member leaves: %w", err)
	}
	pod := objects.Pod(job)
	if err := try(pod); err != nil {
		return "", fmt.Errorf("the pod by which a member leaves: %w", err)
	}
	for _, lost := range []string{lostKey(asked, job), lostKey(askedPod, pod)} {
		if lost != "" {
			return "A webhook changes the Job or the pod by which a member leaves: " + lost, nil
		}
	}
	if problems := slices.Concat(proof.Job(job), proof.Gate(&pod.Spec), proof.Pod(&pod.Spec, want)); len(problems) > 0 {
		return "A webhook or a LimitRange changes the Job or the pod by which a member leaves: " + list("", problems), nil
	}
	return "", nil
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
