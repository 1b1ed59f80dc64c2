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
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func TestJobsThatSucceededAreLookedAtFirst(t *testing.T) {
	job := func(condition batchv1.JobConditionType) *batchv1.Job {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "x", Annotations: map[string]string{drainv1alpha1.PolicyAnnotation: string(condition)}}}
		job.Status.Conditions = []batchv1.JobCondition{{Type: condition, Status: corev1.ConditionTrue}}
		return job
	}
	queue := priorityqueue.New[reconcile.Request]("test")
	defer queue.ShutDown()
	running, failed, succeeded := job(batchv1.JobSuspended), job(batchv1.JobFailed), job(batchv1.JobComplete)
	for _, now := range []*batchv1.Job{running, failed, succeeded} {
		before := now.DeepCopy()
		before.ResourceVersion = "1"
		jobEvents().Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: now}, queue)
	}
	want := map[string]int{string(batchv1.JobSuspended): 0, string(batchv1.JobFailed): 0, string(batchv1.JobComplete): prioritySucceeded}
	for range 3 {
		request, priority, _ := queue.GetWithPriority()
		if wanted, known := want[request.Name]; !known || priority != wanted {
			t.Errorf("the policy of a Job that is %s has priority %d, want %d", request.Name, priority, wanted)
		}
		delete(want, request.Name)
	}
}
