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
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// TestCachedObjectsAreSmall bounds what an object takes in the caches, to a fourth above what it took when this was written. The
// operator has all StatefulSets and claims of the cluster there, and what a transform keeps by mistake is kept for each of them.
func TestCachedObjectsAreSmall(t *testing.T) {
	note := strings.Repeat("x", 4000) // What kubectl apply leaves.
	managed := []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)}}
	set := fullSet()
	set.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": note}
	set.ManagedFields = managed
	for range 3 {
		set.Spec.Template.Spec.Containers = append(set.Spec.Template.Spec.Containers, corev1.Container{
			Name: "more", Image: "more", Env: make([]corev1.EnvVar, 20), VolumeMounts: make([]corev1.VolumeMount, 5),
		})
	}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "data-store-0", UID: "claim", ResourceVersion: "8", ManagedFields: managed,
			Labels: map[string]string{"app": "store"}, Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes"},
			Finalizers: []string{"kubernetes.io/pvc-protection"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			VolumeName: "pvc-1", AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		},
		Status: corev1.PersistentVolumeClaimStatus{
			Phase: corev1.ClaimBound, Capacity: corev1.ResourceList{"storage": resource.MustParse("1Gi")},
			Conditions: []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimUnused, Status: corev1.ConditionFalse}},
		},
	}
	policy := fullPolicy()
	policy.Annotations["kubectl.kubernetes.io/last-applied-configuration"] = note
	policy.ManagedFields = managed

	for name, tc := range map[string]struct {
		full   any
		into   func() any
		strip  func(any) (any, error)
		atMost uint64
	}{
		"StatefulSet":           {set, func() any { return &appsv1.StatefulSet{} }, new(setStripper).strip, 3150},
		"PersistentVolumeClaim": {claim, func() any { return &corev1.PersistentVolumeClaim{} }, new(claimStripper).strip, 860},
		"DrainPolicy":           {policy, func() any { return &drainv1alpha1.DrainPolicy{} }, stripPolicy, 5700},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(tc.full)
			if err != nil {
				t.Fatal(err)
			}
			const many = 500
			kept := make([]any, many)
			before := heap()
			for i := range kept {
				object := tc.into()
				if err := json.Unmarshal(text, object); err != nil {
					t.Fatal(err)
				}
				if kept[i], err = tc.strip(object); err != nil {
					t.Fatal(err)
				}
			}
			each := (heap() - before) / many
			runtime.KeepAlive(kept)
			if each > tc.atMost {
				t.Errorf("a %s takes %d bytes in the cache, want %d at most", name, each, tc.atMost)
			}
		})
	}
}

// heap returns how many bytes of the heap are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
