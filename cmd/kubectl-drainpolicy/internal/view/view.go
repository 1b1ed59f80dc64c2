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
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// Policy is one DrainPolicy with all that belongs to it.
type Policy struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// StatefulSet has no numbers if it does not exist, or is not the user's to read.
	StatefulSet StatefulSet `json:"statefulSet"`
	// Observed is false while the operator has not seen the present generation of the policy, so all below is about an older one.
	Observed   bool               `json:"observed"`
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	Undrained  int32              `json:"undrained"`
	Draining   int32              `json:"draining"`
	Failed     int32              `json:"failed"`
	Kept       int32              `json:"kept"`
	Capacity   string             `json:"orphanedCapacity,omitempty"`
	// Members are those that leave or join again, sorted from the highest ordinal to the lowest.
	Members []Member `json:"members,omitempty"`
	// Ordinals are sorted from the highest to the lowest.
	Ordinals []Ordinal `json:"ordinals,omitempty"`
	// Unlisted is the number of undrained ordinals for which status.drains has no room.
	Unlisted int32    `json:"unlistedOrdinals,omitempty"`
	Stranded []string `json:"strandedClaims,omitempty"`
}

// StatefulSet is the StatefulSet of a policy, as it is now.
type StatefulSet struct {
	Name     string `json:"name"`
	Replicas *int32 `json:"replicas,omitempty"`
	Ready    *int32 `json:"readyReplicas,omitempty"`
}

// Ordinal is the drain of one ordinal.
type Ordinal struct {
	Ordinal   int32                    `json:"ordinal"`
	State     drainv1alpha1.DrainState `json:"state,omitempty"`
	Reason    string                   `json:"reason,omitempty"`
	Message   string                   `json:"message,omitempty"`
	Attempt   int32                    `json:"attempt,omitempty"`
	Since     *metav1.Time             `json:"since,omitempty"`
	Completed *metav1.Time             `json:"completionTime,omitempty"`
	Lock      *Object                  `json:"lock,omitempty"`
	Job       *Object                  `json:"job,omitempty"`
	Pods      []Object                 `json:"pods,omitempty"`
	Claims    []Claim                  `json:"claims,omitempty"`
}

// Object is a lock, a Job or a pod.
type Object struct {
	Name  string      `json:"name"`
	State string      `json:"state"`
	Since metav1.Time `json:"since"`
	Node  string      `json:"node,omitempty"`
}

// Claim is a claim of an ordinal.
type Claim struct {
	Name  string      `json:"name"`
	State string      `json:"state"`
	Size  string      `json:"size,omitempty"`
	Class string      `json:"storageClass,omitempty"`
	Since metav1.Time `json:"since"`
}

// Objects are what a view is made of. What could not be read is empty.
type Objects struct {
	Sets   []appsv1.StatefulSet
	Pods   []corev1.Pod
	Jobs   []batchv1.Job
	Claims []corev1.PersistentVolumeClaim
}

// Of returns the view of a policy.
func Of(policy *drainv1alpha1.DrainPolicy, in Objects) Policy {
	status := &policy.Status
	p := Policy{
		Namespace: policy.Namespace, Name: policy.Name, StatefulSet: StatefulSet{Name: policy.Spec.StatefulSetRef.Name}, Observed: status.ObservedGeneration == policy.Generation,
		Conditions: status.Conditions, Undrained: ptr.Deref(status.Undrained, 0), Draining: ptr.Deref(status.Draining, 0),
		Failed: ptr.Deref(status.Failed, 0), Kept: ptr.Deref(status.Kept, 0),
	}
	if status.OrphanedCapacity != nil && !status.OrphanedCapacity.IsZero() {
		p.Capacity = status.OrphanedCapacity.String()
	}
	for i := range in.Sets {
		if set := &in.Sets[i]; set.Namespace == policy.Namespace && set.Name == policy.Spec.StatefulSetRef.Name {
			p.StatefulSet.Replicas, p.StatefulSet.Ready = ptr.To(ptr.Deref(set.Spec.Replicas, 1)), &set.Status.ReadyReplicas
		}
	}
	for i := range status.StrandedClaims {
		p.Stranded = append(p.Stranded, status.StrandedClaims[i].Name)
	}
	p.Members, p.Ordinals = members(policy, in), ordinals(policy, in)
	p.Unlisted = unlisted(status)
	return p
}

// unlisted counts the undrained ordinals that status.drains leaves out. An ordinal in range whose drain still runs is listed and not
// counted as undrained, so the number can be too low by those.
func unlisted(status *drainv1alpha1.DrainPolicyStatus) int32 {
	rest := ptr.Deref(status.Undrained, 0)
	for i := range status.Drains {
		if d := &status.Drains[i]; d.State != drainv1alpha1.DrainDrained && d.Reason != drainv1alpha1.ReasonNeverBound {
			rest--
		}
	}
	return max(0, rest)
}

// ordinals joins the entries of the status with the objects of the cluster, which can be ahead of it.
func ordinals(policy *drainv1alpha1.DrainPolicy, in Objects) []Ordinal {
	found := map[int32]*Ordinal{}
	at := func(ordinal int32) *Ordinal {
		if found[ordinal] == nil {
			found[ordinal] = &Ordinal{Ordinal: ordinal}
		}
		return found[ordinal]
	}
	latest, claimed := map[int32]string{}, map[string]int32{}
	for i := range policy.Status.Drains {
		d := &policy.Status.Drains[i]
		o := at(ptr.Deref(d.Ordinal, 0))
		o.State, o.Reason, o.Message, o.Attempt = d.State, d.Reason, d.Message, d.Attempts
		o.Since, o.Completed = d.LastTransitionTime, d.CompletionTime
		latest[o.Ordinal] = d.JobName
		for j := range d.Claims {
			claimed[d.Claims[j].UID] = o.Ordinal
		}
	}
	for i := range in.Pods {
		pod := &in.Pods[i]
		ordinal, ok := OrdinalOf(policy, pod)
		switch {
		case !ok:
		case plan.IsLock(pod, policy.UID):
			at(ordinal).Lock = &Object{Name: pod.Name, State: held(pod), Since: pod.CreationTimestamp}
		case pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleDrain && !superseded(pod.Labels[batchv1.JobNameLabel], latest[ordinal]):
			o := at(ordinal)
			o.Pods = append(o.Pods, Object{Name: pod.Name, State: podState(pod), Since: pod.CreationTimestamp, Node: pod.Spec.NodeName})
		}
	}
	for i := range in.Jobs {
		job := &in.Jobs[i]
		if ordinal, ok := OrdinalOf(policy, job); ok && !ofMember(job) && !superseded(job.Name, latest[ordinal]) {
			at(ordinal).Job = &Object{Name: job.Name, State: jobState(job), Since: job.CreationTimestamp}
		}
	}
	for i := range in.Claims {
		claim := &in.Claims[i]
		if ordinal, ok := claimed[string(claim.UID)]; ok {
			o := at(ordinal)
			o.Claims = append(o.Claims, ClaimOf(claim))
		}
	}
	list := make([]Ordinal, 0, len(found))
	for _, ordinal := range slices.SortedFunc(maps.Keys(found), func(a, b int32) int { return cmp.Compare(b, a) }) {
		list = append(list, *found[ordinal])
	}
	return list
}

// OrdinalOf returns the ordinal of a lock, a Job or a drain pod of a policy.
func OrdinalOf(policy *drainv1alpha1.DrainPolicy, object metav1.Object) (int32, bool) {
	labels := object.GetLabels()
	if object.GetNamespace() != policy.Namespace || labels[drainv1alpha1.PolicyUIDLabel] != string(policy.UID) {
		return 0, false
	}
	ordinal, err := strconv.ParseInt(labels[drainv1alpha1.OrdinalLabel], 10, 32)
	return int32(ordinal), err == nil
}

// superseded reports whether a Job is of an earlier attempt. The status can also be behind, and name an earlier Job.
func superseded(job, latest string) bool { return latest != "" && job != latest }

func held(lock *corev1.Pod) string {
	if lock.DeletionTimestamp != nil {
		return "being released"
	}
	return "held"
}

func podState(pod *corev1.Pod) string {
	switch {
	case pod.DeletionTimestamp != nil:
		return "Terminating"
	case len(pod.Spec.SchedulingGates) > 0:
		return "SchedulingGated"
	}
	for i := range pod.Status.ContainerStatuses {
		if waiting := pod.Status.ContainerStatuses[i].State.Waiting; waiting != nil && waiting.Reason != "" {
			return waiting.Reason
		}
	}
	return string(cmp.Or(pod.Status.Phase, corev1.PodPending))
}

func jobState(job *batchv1.Job) string {
	for i := range job.Status.Conditions {
		c := &job.Status.Conditions[i]
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return string(c.Type)
		}
	}
	switch {
	case job.DeletionTimestamp != nil:
		return "Terminating"
	case ptr.Deref(job.Spec.Suspend, false):
		return "Suspended"
	}
	return "Running"
}

// ClaimOf returns the view of a claim.
func ClaimOf(claim *corev1.PersistentVolumeClaim) Claim {
	c := Claim{
		Name: claim.Name, State: ClaimState(claim), Since: claim.CreationTimestamp, Class: ptr.Deref(claim.Spec.StorageClassName, ""),
	}
	if size, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok {
		c.Size = size.String()
	}
	return c
}

// ClaimState returns the phase of a claim, and whether it is drained or to be skipped.
func ClaimState(claim *corev1.PersistentVolumeClaim) string {
	switch {
	case claim.DeletionTimestamp != nil:
		return "Terminating"
	case claim.Annotations[drainv1alpha1.SkipAnnotation] == "true":
		return "Skipped"
	case holds(claim):
		return "Drained"
	}
	return string(cmp.Or(claim.Status.Phase, corev1.ClaimPending))
}

// holds reports whether a claim has a mark that says so and that no pod's use has made void. Only the operator can tell
// whether it holds for the StatefulSet of now.
func holds(claim *corev1.PersistentVolumeClaim) bool {
	mark := claims.ReadMark(claim)
	return mark != nil && (mark.LockUID != "" || mark.Generation != 0 || mark.Absent)
}
