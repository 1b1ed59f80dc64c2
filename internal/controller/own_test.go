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
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

func TestAReconcileWaitsForItsOwnWrites(t *testing.T) {
	key := types.NamespacedName{Namespace: "ns", Name: "web"}
	start := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "policy", ResourceVersion: "10"}}
	pod := func(version string, going bool) *corev1.Pod {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web-1", UID: "lock", ResourceVersion: version}}
		if going {
			pod.DeletionTimestamp = &metav1.Time{Time: start}
		}
		return pod
	}
	lock := pod("20", false)
	for name, tc := range map[string]struct {
		step   plan.Step
		wrote  client.Object
		cached []corev1.Pod
		after  time.Duration
		want   time.Duration
	}{
		"nothing was written":               {},
		"a created object is not there":     {step: plan.TakeLock{}, wrote: lock, after: 100 * time.Millisecond, want: awaitOwnStep},
		"a created object is there":         {step: plan.TakeLock{}, wrote: lock, cached: []corev1.Pod{*lock}},
		"a changed object is as before":     {step: plan.NoteAttempt{}, wrote: lock, cached: []corev1.Pod{*pod("19", false)}, want: awaitOwnStep},
		"a changed object has changed":      {step: plan.NoteAttempt{}, wrote: lock, cached: []corev1.Pod{*pod("20", false)}},
		"a changed object has changed more": {step: plan.NoteAttempt{}, wrote: lock, cached: []corev1.Pod{*pod("100", false)}},
		"a changed object is gone":          {step: plan.NoteAttempt{}, wrote: lock},
		"a deleted object is there":         {step: plan.DeleteLock{}, wrote: pod("20", true), cached: []corev1.Pod{*pod("20", false)}, want: awaitOwnStep},
		"a deleted object is going":         {step: plan.DeleteLock{}, wrote: pod("20", true), cached: []corev1.Pod{*pod("21", true)}},
		"a released lock is there":          {step: plan.RemoveLockFinalizer{Lock: pod("20", true)}, cached: []corev1.Pod{*pod("21", true)}, want: awaitOwnStep},
		"a released lock is gone":           {step: plan.RemoveLockFinalizer{Lock: pod("20", true)}},
		"the status is as before":           {wrote: &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{UID: "policy", ResourceVersion: "11"}}, want: awaitOwnStep},
		"it never shows":                    {step: plan.TakeLock{}, wrote: lock, after: awaitOwn},
	} {
		t.Run(name, func(t *testing.T) {
			own := &ownWrites{}
			own.note(key, tc.step, tc.wrote, start)
			cached := plan.Snapshot{Policy: policy, Pods: tc.cached}
			if got := own.unseen(key, cached, start.Add(tc.after)); got != tc.want {
				t.Errorf("it waits for %s, want %s", got, tc.want)
			}
			if tc.want == 0 && len(own.policies) > 0 {
				t.Error("what the caches show is remembered still")
			}
			own.forget(key)
			if got := own.unseen(key, cached, start.Add(tc.after)); got != 0 {
				t.Errorf("it waits for %s for a policy that is gone", got)
			}
		})
	}
}
