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

package plan

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// DeletionNote is what a lock remembers of the deletions that were decided under it: the resourceVersion by the claim's name.
type DeletionNote map[string]string

// deletionNoteOn returns what a lock remembers. What can't be read is left out: such a claim is not deleted.
func deletionNoteOn(lock *corev1.Pod) DeletionNote {
	note, _ := readDeletionNote(lock)
	return note
}

// readDeletionNote returns what a lock remembers, and whether all of it can be read.
func readDeletionNote(lock *corev1.Pod) (note DeletionNote, readable bool) {
	note, readable = DeletionNote{}, true
	text := lock.Annotations[drainv1alpha1.DeletingAnnotation]
	if text == "" {
		return note, true
	}
	for entry := range strings.SplitSeq(text, ",") {
		name, version, ok := strings.Cut(entry, "=")
		if !ok || name == "" || version == "" || strings.Contains(version, "=") {
			readable = false
			continue
		}
		note[name] = version
	}
	return note, readable
}

// with returns the note with claims as they are now. Others stay: a deletion that was decided earlier may hang.
func (n DeletionNote) with(list []corev1.PersistentVolumeClaim) DeletionNote {
	note := maps.Clone(n)
	for i := range list {
		note[list[i].Name] = list[i].ResourceVersion
	}
	return note
}

// has reports whether the note has a claim as it is now.
func (n DeletionNote) has(claim *corev1.PersistentVolumeClaim) bool {
	version, ok := n[claim.Name]
	return ok && version == claim.ResourceVersion
}

// String returns the annotation's value.
func (n DeletionNote) String() string {
	entries := make([]string, 0, len(n))
	for _, name := range slices.Sorted(maps.Keys(n)) {
		entries = append(entries, name+"="+n[name])
	}
	return strings.Join(entries, ",")
}

// NotedClaims returns the names of the claims that a deletion was noted of on the locks of some ordinals, or on what is left of
// one that something changed. A look must show them, whether they are the StatefulSet's by now or not.
func NotedClaims(snapshot Snapshot, ordinals []int32) []string {
	var names []string
	for i := range snapshot.Pods {
		pod := &snapshot.Pods[i]
		if slices.ContainsFunc(ordinals, func(ordinal int32) bool { return snapshot.Target.PodName(ordinal) == pod.Name }) {
			names = slices.AppendSeq(names, maps.Keys(deletionNoteOn(pod)))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
