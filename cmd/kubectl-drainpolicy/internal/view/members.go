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

package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
)

// MemberState is where a member stands that leaves or joins again.
type MemberState string

const (
	// MemberLeaving means that the Job runs by which the member leaves.
	MemberLeaving MemberState = "Leaving"
	// MemberLeft means that this Job is complete.
	MemberLeft MemberState = "Left"
	// MemberLeaveFailed means that this Job failed, or proved nothing.
	MemberLeaveFailed MemberState = "LeaveFailed"
	// MemberRejoining means that the Job runs by which the member joins again.
	MemberRejoining MemberState = "Rejoining"
	// MemberBack means that this Job is complete.
	MemberBack MemberState = "Back"
	// MemberRejoinFailed means that this Job failed, or proved nothing.
	MemberRejoinFailed MemberState = "RejoinFailed"
	// MemberNotBack means that the policy remembers a member that has begun to leave, of which there is no Job.
	MemberNotBack MemberState = "NotBack"
)

// Member is a member that leaves, or joins again.
type Member struct {
	Ordinal int32       `json:"ordinal"`
	State   MemberState `json:"state"`
	// Action is leave or rejoin, and Attempt counts the attempts at it, from 1.
	Action  string      `json:"action,omitempty"`
	Attempt int32       `json:"attempt,omitempty"`
	Since   metav1.Time `json:"since"`
	// Message has the last words of the attempt, or of the one before it if that failed.
	Message string   `json:"message,omitempty"`
	Job     *Object  `json:"job,omitempty"`
	Pods    []Object `json:"pods,omitempty"`
}

// ofMember reports whether a Job or a pod is one by which a member leaves or joins again.
func ofMember(object metav1.Object) bool {
	return object.GetLabels()[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLeave
}

// members returns the members that leave or join again, the highest first. Those that have left and whose ordinal is out of range are not
// among them: what is left to do about them is a drain.
func members(policy *drainv1alpha1.DrainPolicy, in Objects) []Member {
	latest := map[int32]*batchv1.Job{}
	for i := range in.Jobs {
		job := &in.Jobs[i]
		ordinal, ok := OrdinalOf(policy, job)
		if ok && ofMember(job) && (latest[ordinal] == nil || number(latest[ordinal].Labels[drainv1alpha1.AttemptLabel]) < number(job.Labels[drainv1alpha1.AttemptLabel])) {
			latest[ordinal] = job
		}
	}
	found := map[int32]Member{}
	if notes, err := scaling.NotesOf(policy); err == nil {
		for ordinal, note := range notes {
			found[ordinal] = Member{Ordinal: ordinal, State: MemberNotBack, Action: note.Action, Attempt: note.Failures + 1, Since: note.Time}
		}
	}
	for ordinal, job := range latest {
		found[ordinal] = memberOf(policy, ordinal, job, in.Pods)
	}
	maps.DeleteFunc(found, func(ordinal int32, m Member) bool { return m.State == MemberLeft && outside(policy, ordinal) })
	return slices.SortedFunc(maps.Values(found), func(a, b Member) int { return cmp.Compare(b.Ordinal, a.Ordinal) })
}

// memberOf returns what the latest Job of a member and its pods say.
func memberOf(policy *drainv1alpha1.DrainPolicy, ordinal int32, job *batchv1.Job, pods []corev1.Pod) Member {
	m := Member{
		Ordinal: ordinal, Action: job.Annotations[drainv1alpha1.ActionAnnotation], Since: job.CreationTimestamp,
		Attempt: number(job.Annotations[drainv1alpha1.FailuresAnnotation]) + 1,
		Job:     &Object{Name: job.Name, State: jobState(job), Since: job.CreationTimestamp},
	}
	said := ""
	for i := range pods {
		if pod := &pods[i]; ofMember(pod) && metav1.IsControlledBy(pod, job) {
			m.Pods = append(m.Pods, Object{Name: pod.Name, State: podState(pod), Since: pod.CreationTimestamp, Node: pod.Spec.NodeName})
			said = cmp.Or(plan.Said(pod), said)
		}
	}
	runs, done, failed := MemberLeaving, MemberLeft, MemberLeaveFailed
	if m.Action == drainv1alpha1.ActionRejoin {
		runs, done, failed = MemberRejoining, MemberBack, MemberRejoinFailed
	}
	end := plan.Finished(job)
	switch {
	case end == nil:
		m.State, m.Message = runs, said
		return m
	case end.Type == batchv1.JobFailed:
		m.State, m.Message = failed, end.Reason+": "+cmp.Or(said, end.Message)
	default:
		m.State, m.Message = done, said
		// Only the operator can tell whether a success is proven.
		if doubt := doubted(policy, job); doubt != "" {
			m.State, m.Message = failed, doubt
		}
	}
	m.Since = end.LastTransitionTime
	return m
}

// doubted returns what the status says of a Job that is complete and that the operator takes for failed, or "".
func doubted(policy *drainv1alpha1.DrainPolicy, job *batchv1.Job) string {
	scaled := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionScaled)
	if scaled == nil || scaled.Reason != drainv1alpha1.ReasonLeaveFailed && scaled.Reason != drainv1alpha1.ReasonRejoinFailed ||
		!strings.Contains(scaled.Message, fmt.Sprintf("%q", job.Name)) {
		return ""
	}
	return scaled.Message
}

// outside reports whether an ordinal is outside the range that the status has.
func outside(policy *drainv1alpha1.DrainPolicy, ordinal int32) bool {
	set := policy.Status.StatefulSet
	return set != nil && set.StartOrdinal != nil && set.Replicas != nil && (ordinal < *set.StartOrdinal || ordinal >= *set.StartOrdinal+*set.Replicas)
}

// number reads what a label or an annotation counts; 0 if it can't be read.
func number(text string) int32 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// rows adds a member and its objects.
func (m *Member) rows(table *Table) {
	table.Row(memberColors[m.State], fmt.Sprintf("member %d", m.Ordinal), string(m.State), "", table.style.age(&m.Since), attempt(m.Attempt), m.Message)
	var children []child
	if m.Job != nil {
		children = append(children, table.style.job(m.Job))
	}
	for i := range m.Pods {
		children = append(children, table.style.pod(&m.Pods[i]))
	}
	table.branches(children)
}
