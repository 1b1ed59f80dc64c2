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

package track

import (
	"context"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

func newTracker(orphans ...workload.Orphan) *Tracker {
	t := &Tracker{
		done: make(chan struct{}), record: true, stop: func() {},
		drains: map[key]*drain{}, jobs: map[types.UID]*drain{}, phases: map[types.UID]string{}, pending: len(orphans),
	}
	t.expect(orphans)
	return t
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "a", Name: name, UID: types.UID("uid-of-" + name)}
}

func TestADrainIsOverWhenItsClaimItsLockAndItsJobAreGone(t *testing.T) {
	tracker := newTracker(workload.Orphan{Namespace: "a", Set: "web", Ordinal: 1})
	pod := &corev1.Pod{ObjectMeta: meta("web-1")}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: meta("data-web-1")}
	job := &batchv1.Job{ObjectMeta: meta("any-name")}
	job.Spec.Template.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-web-1"},
	}}}
	other := &batchv1.Job{ObjectMeta: meta("of-another")}

	steps := []struct {
		see   func(watch.Event)
		event watch.Event
	}{
		{tracker.seePod, watch.Event{Type: watch.Deleted, Object: pod}},
		{tracker.seePod, watch.Event{Type: watch.Added, Object: pod}}, // The lock.
		{tracker.seeJob, watch.Event{Type: watch.Added, Object: other}},
		{tracker.seeJob, watch.Event{Type: watch.Added, Object: job}},
		{tracker.seeClaim, watch.Event{Type: watch.Deleted, Object: claim}},
		{tracker.seeJob, watch.Event{Type: watch.Deleted, Object: job}},
		{tracker.seePod, watch.Event{Type: watch.Deleted, Object: pod}},
	}
	for i, step := range steps {
		select {
		case <-tracker.done:
			t.Fatalf("the drain is over before step %d", i)
		default:
		}
		step.see(step.event)
	}
	if err := tracker.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	drains := tracker.Drains()
	if len(drains) != 1 {
		t.Fatalf("got %d drains, want 1", len(drains))
	}
	d := drains[0]
	if d.PodGone.IsZero() || d.JobCreated.Before(d.PodGone) || d.ClaimGone.Before(d.JobCreated) || d.Over.Before(d.ClaimGone) {
		t.Errorf("the times are not in order: %+v", d)
	}
	if len(tracker.Sights()) != 7 {
		t.Errorf("got %d sights, want 7: %v", len(tracker.Sights()), tracker.Sights())
	}
}

func TestWaitSaysHowManyDrainsAreNotOver(t *testing.T) {
	tracker := newTracker(workload.Orphan{Namespace: "a", Set: "web", Ordinal: 1}, workload.Orphan{Namespace: "a", Set: "web", Ordinal: 2})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := tracker.Wait(ctx); err == nil || !strings.Contains(err.Error(), "2 drains") {
		t.Errorf("got %v, want an error that names 2 drains", err)
	}
}
