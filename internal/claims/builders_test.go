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

package claims

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// claimBuilder builds a claim.
type claimBuilder struct{ corev1.PersistentVolumeClaim }

func makeClaim(name string) *claimBuilder {
	return &claimBuilder{corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name)},
	}}
}

func (b *claimBuilder) label(key, value string) *claimBuilder {
	metav1.SetMetaDataLabel(&b.ObjectMeta, key, value)
	return b
}

func (b *claimBuilder) annotation(value string) *claimBuilder {
	metav1.SetMetaDataAnnotation(&b.ObjectMeta, drainv1alpha1.DrainedAnnotation, value)
	return b
}

func (b *claimBuilder) mark(mark Mark) *claimBuilder {
	return b.annotation(mark.String())
}

func (b *claimBuilder) unused(status corev1.ConditionStatus, since metav1.Time) *claimBuilder {
	b.Status.Conditions = append(b.Status.Conditions, corev1.PersistentVolumeClaimCondition{
		Type: corev1.PersistentVolumeClaimUnused, Status: status, LastTransitionTime: since,
	})
	return b
}

func (b *claimBuilder) obj() *corev1.PersistentVolumeClaim {
	return b.DeepCopy()
}

// makeIdentity returns the identity of a StatefulSet with one matchLabel, app=<name>.
func makeIdentity(name string, templates ...string) Identity {
	return Identity{Name: name, Templates: templates, MatchLabels: map[string]string{"app": name}}
}

func makeSet(name string, templates ...string) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, template := range templates {
		set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, *makeClaim(template).obj())
	}
	return set
}
