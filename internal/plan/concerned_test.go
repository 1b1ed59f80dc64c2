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
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

func TestPodsThatConcernAPolicy(t *testing.T) {
	snapshot := Snapshot{
		Policy: &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: policyUID}},
		Target: statefulset.Target{Name: "web", UID: setUID},
		Claims: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data-web-2"}}, {ObjectMeta: metav1.ObjectMeta{Name: "tool-scratch"}}},
	}
	mounting := func(name string, source corev1.VolumeSource) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{
			{Name: "conf", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
			{Name: "scratch", VolumeSource: source},
		}}}
	}
	claim := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}
	pods := map[string]corev1.Pod{
		"the StatefulSet's":                  {ObjectMeta: metav1.ObjectMeta{Name: "web-7"}},
		"one that only its label makes ours": {ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{drainv1alpha1.PolicyUIDLabel: string(policyUID)}}},
		"one that only its owner makes ours": {ObjectMeta: metav1.ObjectMeta{Name: "x", OwnerReferences: []metav1.OwnerReference{{UID: policyUID, Controller: ptr.To(true)}}}},
		"one that uses a claim":              mounting("x", claim("data-web-2")),
		"one that uses a claim as ephemeral": mounting("tool", corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}),
	}
	others := map[string]corev1.Pod{
		"another StatefulSet's":                             {ObjectMeta: metav1.ObjectMeta{Name: "webshop-2"}},
		"another policy's":                                  {ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{drainv1alpha1.PolicyUIDLabel: "other"}}},
		"one that uses other claims":                        mounting("x", claim("data-web-3")),
		"one with an ephemeral claim that is none of these": mounting("job", corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}),
	}
	for name, pod := range pods {
		if got := snapshot.Concerned([]corev1.Pod{pod}); len(got) != 1 {
			t.Errorf("%s: left out", name)
		}
	}
	for name, pod := range others {
		if got := snapshot.Concerned([]corev1.Pod{pod}); len(got) != 0 {
			t.Errorf("%s: not left out", name)
		}
	}
	// Other policies have the same list.
	list := []corev1.Pod{pods["the StatefulSet's"], others["another policy's"]}
	before := slices.Clone(list)
	snapshot.Concerned(list)[0].Name = "changed"
	if list[0].Name != before[0].Name || list[1].Name != before[1].Name {
		t.Errorf("the list is %s and %s now", list[0].Name, list[1].Name)
	}
}
