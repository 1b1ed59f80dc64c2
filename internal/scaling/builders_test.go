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

package scaling

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

const (
	policyUID = types.UID("policy")
	setUID    = types.UID("set")
)

var noon = time.Date(2026, time.August, 1, 12, 0, 0, 0, time.UTC)

// world is StatefulSet web, with the policy that scales it, and what is done to both. Its pods are ready, and its controller
// and the drains are as quick as a test wants them to be.
type world struct {
	now    time.Time
	policy *drainv1alpha1.DrainPolicy
	set    *appsv1.StatefulSet
	pods   map[string]*corev1.Pod
	jobs   map[string]*batchv1.Job
	claims []corev1.PersistentVolumeClaim
	// drains are what the plan says of ordinals.
	drains []plan.Drain
	ready  plan.Condition
	rival  string
	past   Past
	uids   int
}

// given returns a world with so many replicas, of which the policy wants some.
func given(replicas, wanted int32, build ...func(*world)) *world {
	w := &world{
		now: noon, pods: map[string]*corev1.Pod{}, jobs: map[string]*batchv1.Job{},
		ready: plan.Condition{Status: metav1.ConditionTrue, Reason: drainv1alpha1.ReasonAccepted, Message: "Accepted"},
		policy: &drainv1alpha1.DrainPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: policyUID, Generation: 1},
			Spec: drainv1alpha1.DrainPolicySpec{
				StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "web"}, Replicas: &wanted,
				WhenScaled: drainv1alpha1.WhenScaledDrain, WhenDrained: drainv1alpha1.WhenDrainedDelete, MinReadyReplicas: ptr.To[int32](0),
			},
		},
		set: &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: setUID, Generation: 1, ResourceVersion: "1"},
			Spec:       appsv1.StatefulSetSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
			Status:     appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: replicas, ReadyReplicas: replicas},
		},
	}
	for ordinal := range replicas {
		w.startPod(ordinal)
	}
	for _, b := range build {
		b(w)
	}
	return w
}

// withLeave gives the policy a Job by which members leave.
func withLeave(w *world) {
	w.policy.Spec.Leave = &drainv1alpha1.LeaveOptions{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "leave", Image: "leave"}}}},
	}
}

func (w *world) uid() types.UID {
	w.uids++
	return types.UID(fmt.Sprintf("uid-%d", w.uids))
}

// startPod starts the StatefulSet's pod of an ordinal, and makes it ready.
func (w *world) startPod(ordinal int32) {
	w.pods[fmt.Sprintf("web-%d", ordinal)] = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("web-%d", ordinal), Namespace: "shop", UID: w.uid(), CreationTimestamp: metav1.NewTime(w.now),
			OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "web", UID: setUID, Controller: ptr.To(true)}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	w.setReady(ordinal, true)
}

// setReady makes a pod ready, or not.
func (w *world) setReady(ordinal int32, ready bool) {
	status := map[bool]corev1.ConditionStatus{true: corev1.ConditionTrue, false: corev1.ConditionFalse}[ready]
	w.pod(ordinal).Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(w.now)}}
}

func (w *world) pod(ordinal int32) *corev1.Pod { return w.pods[fmt.Sprintf("web-%d", ordinal)] }

// snapshot returns what a look shows; the caches lack the pods of the StatefulSet.
func (w *world) snapshot(live bool) plan.Snapshot {
	s := plan.Snapshot{Policy: w.policy, Rival: w.rival, Claims: w.claims, Target: statefulset.Remembered(w.policy)}
	if w.set != nil {
		s.Target = statefulset.Of(w.set)
	}
	if live {
		s.Taken = metav1.NewTime(w.now)
	}
	for _, name := range slices.Sorted(maps.Keys(w.pods)) {
		if pod := w.pods[name]; live || pod.Labels[drainv1alpha1.PolicyUIDLabel] != "" {
			s.Pods = append(s.Pods, *pod)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		s.Jobs = append(s.Jobs, *w.jobs[name])
	}
	return s
}

func (w *world) decide(table Table, live bool) Decision {
	return table.Decide(w.snapshot(live), &plan.Plan{Ready: w.ready, Drains: w.drains}, w.past, w.now)
}

// startJob creates a Job and its gated pod.
func (w *world) startJob(leave objects.Leave) *batchv1.Job {
	job := objects.LeaveJob(w.policy, statefulset.Of(w.set), leave)
	job.UID, job.CreationTimestamp = w.uid(), metav1.NewTime(w.now)
	w.jobs[job.Name] = job
	pod := objects.Pod(job)
	pod.Name, pod.GenerateName, pod.UID = job.Name+"-pod", "", w.uid()
	pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: job.Name, UID: job.UID, Controller: ptr.To(true)}}
	pod.Status.Phase = corev1.PodPending
	w.pods[pod.Name] = pod
	return job
}

// jobOf returns the only Job of an ordinal.
func (w *world) jobOf(ordinal int32) *batchv1.Job {
	for _, job := range w.jobs {
		if job.Labels[drainv1alpha1.OrdinalLabel] == strconv.Itoa(int(ordinal)) {
			return job
		}
	}
	return nil
}

// note makes the policy remember the Job of a member, as it does before the pod of the Job runs.
func (w *world) note(job *batchv1.Job) {
	ordinal, note := number(job.Labels[drainv1alpha1.OrdinalLabel]), Note{
		Job: number(job.Labels[drainv1alpha1.AttemptLabel]), Action: job.Annotations[drainv1alpha1.ActionAnnotation],
		Failures: number(job.Annotations[drainv1alpha1.FailuresAnnotation]), Template: job.Annotations[drainv1alpha1.TemplateHashAnnotation], Time: metav1.NewTime(w.now),
	}
	if err := note.Set(w.policy, ordinal); err != nil {
		panic(err)
	}
}

// forget removes what the policy remembers of a member.
func (w *world) forget(ordinal int32) {
	if err := (*Note)(nil).Set(w.policy, ordinal); err != nil {
		panic(err)
	}
}

// run lets the pod of a Job run.
func (w *world) run(job *batchv1.Job) {
	w.note(job)
	pod := w.pods[job.Name+"-pod"]
	pod.Spec.SchedulingGates = nil
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "leave", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
}

// end ends a Job, with or without the receipt.
func (w *world) end(job *batchv1.Job, kind batchv1.JobConditionType, receipt bool) {
	w.note(job)
	pod := w.pods[job.Name+"-pod"]
	pod.Spec.SchedulingGates = nil
	message := "bye\n"
	if receipt {
		message += plan.Receipt(job.Name)
	}
	exit := int32(0)
	pod.Status.Phase = corev1.PodSucceeded
	if kind == batchv1.JobFailed {
		exit, pod.Status.Phase = 1, corev1.PodFailed
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "leave", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Message: message}}}}
	job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, Reason: "Because", Message: "It ended", LastTransitionTime: metav1.NewTime(w.now)})
}

// deleteJob removes a Job with its pods.
func (w *world) deleteJob(job *batchv1.Job) {
	delete(w.jobs, job.Name)
	delete(w.pods, job.Name+"-pod")
}

// scaled gives the StatefulSet a number of replicas.
func (w *world) scaled(replicas int32) {
	w.set.Spec.Replicas = &replicas
	w.set.Generation++
	w.set.ResourceVersion += "1"
}

// leave is a Job that the tests create by themselves.
func leave(ordinal, number int32, action string, pod types.UID) objects.Leave {
	return objects.Leave{Ordinal: ordinal, Number: number, Action: action, PodUID: pod}
}
