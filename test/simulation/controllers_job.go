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

package simulation

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// jobController is the Job controller (kubernetes/pkg/controller/job). Of Jobs it has a cache that
// lags; of pods it knows what it made itself, which its expectations amount to.
type jobController struct {
	world *world
	view  *view
	// stuck is the step until which it does nothing.
	stuck int
}

func (j *jobController) step(c *choices) {
	if j.stuck > j.world.step {
		return
	}
	if c.pick(3) < 2 {
		j.view.deliver(jobs, len(j.world.store.log[jobs]))
	} else {
		j.view.deliver(jobs, c.pick(4))
	}
	for _, job := range seenAll[*batchv1.Job](j.view) {
		if !c.chance(25) {
			j.sync(job)
		}
	}
	j.freeOrphans()
	j.collectExpired()
}

// collectExpired is the TTL controller (processJob in kubernetes/pkg/controller/ttlafterfinished).
func (j *jobController) collectExpired() {
	w := j.world
	for _, job := range list[*batchv1.Job](w.store) {
		ttl := job.Spec.TTLSecondsAfterFinished
		if ttl == nil || job.DeletionTimestamp != nil || !finished(job) {
			continue
		}
		w.note("TTL controller: deletes Job %s", job.Name)
		_ = w.store.delete(jobs, job.Name, deletion{uid: job.UID, propagation: metav1.DeletePropagationForeground})
	}
}

func finished(job *batchv1.Job) bool {
	return hasCondition(job, batchv1.JobComplete) || hasCondition(job, batchv1.JobFailed)
}

func hasCondition(job *batchv1.Job, kind batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == kind && c.Status == corev1.ConditionTrue })
}

func (j *jobController) sync(job *batchv1.Job) {
	w := j.world
	if finished(job) || job.Spec.ManagedBy != nil {
		return
	}
	onlyFailed := ptr.Deref(job.Spec.PodReplacementPolicy, batchv1.TerminatingOrFailed) == batchv1.Failed
	var active, terminating []*corev1.Pod
	restarted := int32(0)
	succeeded, failed := int32(0), int32(0)
	for _, pod := range list[*corev1.Pod](w.store) {
		if ownerOf(pod) != job.UID {
			continue
		}
		restarted += restarts(pod)
		switch {
		case terminal(pod):
			if slices.Contains(pod.Finalizers, batchv1.JobTrackingFinalizer) {
				if pod.Status.Phase == corev1.PodSucceeded {
					succeeded++
				} else {
					failed++
				}
				update(w.store, pod.Name, func(pod *corev1.Pod) { pod.Finalizers = without(pod.Finalizers, batchv1.JobTrackingFinalizer) })
			}
		case pod.DeletionTimestamp != nil:
			terminating = append(terminating, pod)
			if !onlyFailed && slices.Contains(pod.Finalizers, batchv1.JobTrackingFinalizer) { // isPodFailed
				failed++
				update(w.store, pod.Name, func(pod *corev1.Pod) { pod.Finalizers = without(pod.Finalizers, batchv1.JobTrackingFinalizer) })
			}
		default:
			active = append(active, pod)
		}
	}
	live := get[*batchv1.Job](w.store, job.Name)
	if live == nil || live.UID != job.UID {
		live = job // The cache lags; what is written goes nowhere.
	}
	succeeded, failed = live.Status.Succeeded+succeeded, live.Status.Failed+failed
	limit := ptr.Deref(job.Spec.BackoffLimit, 6)
	tooMany := failed > limit || (restarted > 0 && restarted >= limit && job.Spec.Template.Spec.RestartPolicy == corev1.RestartPolicyOnFailure)
	failing := hasCondition(live, batchv1.JobFailureTarget) || (tooMany && succeeded == 0)
	if failing || job.DeletionTimestamp != nil {
		for _, pod := range active {
			if failing {
				w.note("Job controller: deletes pod %s", pod.Name)
				_ = w.store.delete(pods, pod.Name, deletion{uid: pod.UID})
			}
		}
	}
	suspended := ptr.Deref(job.Spec.Suspend, false)
	if suspended && !failing && job.DeletionTimestamp == nil { // manageJob
		for _, pod := range active {
			w.note("Job controller: deletes pod %s of a Job that is suspended", pod.Name)
			_ = w.store.delete(pods, pod.Name, deletion{uid: pod.UID})
		}
	}
	j.writeStatus(job, succeeded, failed, failing, len(active)+len(terminating) == 0)
	busy := len(active)
	if onlyFailed {
		busy += len(terminating)
	}
	if !suspended && !failing && succeeded == 0 && job.DeletionTimestamp == nil && busy == 0 {
		j.createPod(job)
	}
}

func (j *jobController) writeStatus(job *batchv1.Job, succeeded, failed int32, failing, ended bool) {
	w := j.world
	if live := get[*batchv1.Job](w.store, job.Name); live == nil || live.UID != job.UID {
		return
	}
	update(w.store, job.Name, func(live *batchv1.Job) {
		live.Status.Succeeded, live.Status.Failed = succeeded, failed
		if live.Status.StartTime == nil {
			live.Status.StartTime = ptr.To(w.store.timestamp())
		}
		say := func(kind batchv1.JobConditionType) {
			if !hasCondition(live, kind) {
				w.note("Job controller: Job %s: %s", job.Name, kind)
				live.Status.Conditions = append(live.Status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: w.store.timestamp()})
			}
		}
		switch {
		case succeeded > 0:
			say(batchv1.JobSuccessCriteriaMet)
			if ended {
				live.Status.CompletionTime = ptr.To(w.store.timestamp())
				say(batchv1.JobComplete)
				w.complete[live.UID] = live.DeepCopy()
			}
		case failing:
			say(batchv1.JobFailureTarget)
			if ended {
				say(batchv1.JobFailed)
			}
		}
	})
}

func (j *jobController) createPod(job *batchv1.Job) {
	w := j.world
	pod := &corev1.Pod{ObjectMeta: *job.Spec.Template.ObjectMeta.DeepCopy(), Spec: *job.Spec.Template.Spec.DeepCopy()}
	pod.GenerateName = job.Name + "-"
	pod.Name = fmt.Sprintf("%s-%d", job.Name, w.store.uids+1)
	pod.Finalizers = []string{batchv1.JobTrackingFinalizer}
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
	admitted, err := w.admit(pod, false)
	if err != nil {
		return
	}
	if _, err := w.store.create(admitted); err == nil {
		w.note("Job controller: creates pod %s", pod.Name)
	}
}

// freeOrphans takes the finalizer off pods whose Job is gone or going.
func (j *jobController) freeOrphans() {
	w := j.world
	for _, pod := range list[*corev1.Pod](w.store) {
		if !slices.Contains(pod.Finalizers, batchv1.JobTrackingFinalizer) {
			continue
		}
		job := owner(w.store, pod)
		if job == nil || job.DeletionTimestamp != nil || finished(job) {
			update(w.store, pod.Name, func(pod *corev1.Pod) { pod.Finalizers = without(pod.Finalizers, batchv1.JobTrackingFinalizer) })
		}
	}
}

// owner returns the Job that a pod is of, or nil.
func owner(s *store, pod *corev1.Pod) *batchv1.Job {
	for _, job := range list[*batchv1.Job](s) {
		if job.UID == ownerOf(pod) {
			return job
		}
	}
	return nil
}
