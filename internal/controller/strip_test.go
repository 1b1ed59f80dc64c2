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
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// template has what drain pods take over, and much else.
func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{"app": "store"}, Annotations: map[string]string{"note": "x"},
			Finalizers: []string{"example.com/f"},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "store", Image: "store", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
			}},
			SecurityContext:               &corev1.PodSecurityContext{FSGroup: ptr.To[int64](1)},
			Tolerations:                   []corev1.Toleration{{Key: "t"}},
			NodeSelector:                  map[string]string{"disk": "ssd"},
			ImagePullSecrets:              []corev1.LocalObjectReference{{Name: "pull"}},
			PriorityClassName:             "high",
			SchedulerName:                 "mine",
			RuntimeClassName:              ptr.To("gvisor"),
			TerminationGracePeriodSeconds: ptr.To[int64](0),
		},
	}
}

func fullSet() *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "store", UID: "set",
			ResourceVersion: "7", Generation: 4, CreationTimestamp: metav1.Unix(1, 0),
			Labels:        map[string]string{"app": "store"},
			Annotations:   map[string]string{scaledown: `{"spec":{}}`, "kubectl.kubernetes.io/last-applied-configuration": "{}"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](1), Ordinals: &appsv1.StatefulSetOrdinals{Start: 1}, ServiceName: "store-hs",
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "store"}},
			PersistentVolumeClaimRetentionPolicy: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenScaled:  appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
				WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			},
			Template: template(),
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"much": "more"}},
				Spec: corev1.PersistentVolumeClaimSpec{
					Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
				},
			}},
		},
		Status: appsv1.StatefulSetStatus{
			ObservedGeneration: 4, Replicas: 1, ReadyReplicas: 1,
			Conditions: []appsv1.StatefulSetCondition{{Type: "x", Message: "long"}},
		},
	}
}

const scaledown = string(drainv1alpha1.ScaledownPodTemplateAnnotation)

func fullPolicy() *drainv1alpha1.DrainPolicy {
	return &drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "store", UID: "policy",
			ResourceVersion: "9", Generation: 2, CreationTimestamp: metav1.Unix(2, 0),
			Labels: map[string]string{drainv1alpha1.ManagedByLabel: drainv1alpha1.ManagedByOperator, "team": "a"},
			Annotations: map[string]string{
				drainv1alpha1.DescriptionAnnotation: "kept", "kubectl.kubernetes.io/last-applied-configuration": "{}",
			},
			Finalizers:      []string{"example.com/theirs"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "store", UID: "set", Controller: ptr.To(true)}},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "store"},
			Template:       template(), MinReadyReplicas: ptr.To[int32](0),
		},
		Status: drainv1alpha1.DrainPolicyStatus{ObservedGeneration: 1, TemplateHash: "hash"},
	}
}

// huge makes the template of a policy as large as the API server takes it.
func huge() *drainv1alpha1.DrainPolicy {
	policy := fullPolicy()
	policy.Spec.Template.Spec.Containers[0].Args = []string{strings.Repeat("a", drainv1alpha1.MaxTemplateBytes)}
	return policy
}

func cached[T any](t *testing.T, transform func(any) (any, error), object T) T {
	t.Helper()
	transformed, err := transform(object)
	if err != nil {
		t.Fatal(err)
	}
	result, ok := transformed.(T)
	if !ok {
		t.Fatalf("the transform makes %T of %T", transformed, object)
	}
	return result
}

func TestCacheHoldsWhatThePlannerReads(t *testing.T) {
	snapshot := func(policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet) plan.Snapshot {
		target := statefulset.Of(set)
		s := plan.Snapshot{
			Policy: policy, Target: target, Template: policy.Spec.Template, Managed: annotation.IsManaged(policy),
			TemplateHash: objects.TemplateHash(policy, &policy.Spec.Template, target),
		}
		s.Preflight.About = s.Subject()
		return s
	}
	now := time.Unix(100, 0)
	fullSet, keptSet := fullSet(), cached(t, new(setStripper).strip, fullSet())
	full := snapshot(fullPolicy(), fullSet)
	kept := snapshot(cached(t, stripPolicy, fullPolicy()), keptSet)
	status := func(s plan.Snapshot) drainv1alpha1.DrainPolicyStatus {
		p := plan.Make(s, now)
		return p.Status(s.Policy, metav1.NewTime(now))
	}
	if diff := cmp.Diff(status(full), status(kept)); diff != "" {
		t.Errorf("status from the API server's objects and from the cache's (-full +cached):\n%s", diff)
	}
	if diff := cmp.Diff(full.Target, kept.Target); diff != "" {
		t.Errorf("target (-full +cached):\n%s", diff)
	}
	attempt := objects.Attempt{Job: "job", Ordinal: 2, Number: 1, LockUID: "lock"}
	if diff := cmp.Diff(objects.Job(full.Policy, &full.Template, full.Target, attempt),
		objects.Job(kept.Policy, &kept.Template, kept.Target, attempt)); diff != "" {
		t.Errorf("Job (-full +cached):\n%s", diff)
	}
	if diff := cmp.Diff(annotation.Next(annotation.Evidence{StatefulSet: fullSet}),
		annotation.Next(annotation.Evidence{StatefulSet: keptSet})); diff != "" {
		t.Errorf("managed policy (-full +cached):\n%s", diff)
	}
	if diff := cmp.Diff(setEssence(fullSet), setEssence(keptSet)); diff != "" {
		t.Errorf("essence (-full +cached):\n%s", diff)
	}
	if grace := keptSet.Spec.Template.Spec.TerminationGracePeriodSeconds; grace == nil || *grace != 0 {
		t.Errorf("the grace period of the StatefulSet's own pods is %v, want 0", grace)
	}
}

func TestCacheHoldsNothingThatIsNotRead(t *testing.T) {
	set := cached(t, new(setStripper).strip, fullSet())
	for name, size := range map[string]int{
		"labels": len(set.Labels), "managed fields": len(set.ManagedFields),
		"containers":     len(set.Spec.Template.Spec.Containers),
		"labels of pods": len(set.Spec.Template.Labels),
		"requests":       len(set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests),
		"conditions":     len(set.Status.Conditions), "other annotations": len(set.Annotations) - 1,
	} {
		if size != 0 {
			t.Errorf("StatefulSet: %d %s", size, name)
		}
	}
	policy := cached(t, stripPolicy, fullPolicy())
	for name, size := range map[string]int{
		"other labels": len(policy.Labels) - 1, "other annotations": len(policy.Annotations) - 1,
		"managed fields":             len(policy.ManagedFields),
		"finalizers of the template": len(policy.Spec.Template.Finalizers),
	} {
		if size != 0 {
			t.Errorf("DrainPolicy: %d %s", size, name)
		}
	}
	for _, object := range []client.Object{set, policy} {
		if object.GetResourceVersion() == "" || object.GetUID() == "" ||
			object.GetGeneration() == 0 || object.GetName() == "" || object.GetNamespace() == "" {
			t.Errorf("%T lacks what names it: %v", object, object)
		}
	}
}

func TestCacheHoldsNoTemplateThatIsTooLarge(t *testing.T) {
	policy := cached(t, stripPolicy, huge())
	if len(policy.Spec.Template.Spec.Containers) != 0 ||
		!strings.Contains(policy.Annotations[drainv1alpha1.TemplateTooLargeAnnotation], "larger than 65536 bytes") {
		t.Errorf("template %v, annotations %v", policy.Spec.Template, policy.Annotations)
	}
	if small := cached(t, stripPolicy, fullPolicy()); small.Annotations[drainv1alpha1.TemplateTooLargeAnnotation] != "" {
		t.Error("a small template is called too large")
	}
	named := fullPolicy()
	metav1.SetMetaDataAnnotation(&named.ObjectMeta, drainv1alpha1.TemplateTooLargeAnnotation, "forged")
	if forged := cached(t, stripPolicy, named); forged.Annotations[drainv1alpha1.TemplateTooLargeAnnotation] != "" {
		t.Error("what others write into the annotation is believed")
	}
	set := fullSet()
	tooLarge := strings.Repeat("a", 2*drainv1alpha1.MaxTemplateBytes)
	set.Annotations[scaledown] = `{"spec":{"containers":[{"name":"` + tooLarge + `"}]}}`
	_, inFull := annotation.Read(set, drainv1alpha1.ScaledownPodTemplateAnnotation)
	_, inCache := annotation.Read(cached(t, new(setStripper).strip, set), drainv1alpha1.ScaledownPodTemplateAnnotation)
	if inFull == nil || inCache == nil || inFull.Error() != inCache.Error() {
		t.Errorf("an annotation that is too large: %v from the API server, and %v from the cache", inFull, inCache)
	}
}

// TestPatchesFromTheCacheChangeNothingElse makes the patches of act.go and reconciler.go from what is in the cache.
func TestPatchesFromTheCacheChangeNothingElse(t *testing.T) {
	for name, policy := range map[string]*drainv1alpha1.DrainPolicy{"small": fullPolicy(), "too large": huge()} {
		for change, tc := range map[string]struct {
			mutate func(*drainv1alpha1.DrainPolicy)
			want   string
		}{
			"adding the finalizer": {
				func(p *drainv1alpha1.DrainPolicy) { controllerutil.AddFinalizer(p, drainv1alpha1.PolicyFinalizer) },
				`{"metadata":{"finalizers":["example.com/theirs","drain.statefulset.dev/locks"],"resourceVersion":"9"}}`,
			},
			"the status": {
				func(p *drainv1alpha1.DrainPolicy) { p.Status.ObservedGeneration = 2 },
				`{"metadata":{"resourceVersion":"9"},"status":{"observedGeneration":2}}`,
			},
		} {
			before := cached(t, stripPolicy, policy.DeepCopy())
			after := before.DeepCopy()
			tc.mutate(after)
			patch, err := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}).Data(after)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := json.Unmarshal(patch, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: patch (-want +got):\n%s", name, change, diff)
			}
		}
	}
}

// TestCacheHoldsWhenAClaimWasUsed compares what the planner reads of a claim's conditions.
func TestCacheHoldsWhenAClaimWasUsed(t *testing.T) {
	resizing := corev1.PersistentVolumeClaimCondition{Type: corev1.PersistentVolumeClaimResizing, Status: corev1.ConditionTrue, Message: "grows"}
	unused := func(status corev1.ConditionStatus) corev1.PersistentVolumeClaimCondition {
		return corev1.PersistentVolumeClaimCondition{
			Type: corev1.PersistentVolumeClaimUnused, Status: status, LastTransitionTime: metav1.Unix(5, 0), Reason: "NoPods", Message: "no pod uses it",
		}
	}
	for name, conditions := range map[string][]corev1.PersistentVolumeClaimCondition{
		"no condition": nil, "another": {resizing}, "unused": {resizing, unused(corev1.ConditionTrue)}, "in use": {unused(corev1.ConditionFalse), resizing},
	} {
		t.Run(name, func(t *testing.T) {
			full := &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Conditions: conditions}}
			kept := cached(t, new(claimStripper).strip, full.DeepCopy())
			since, known := claims.UnusedSince(full)
			keptSince, keptKnown := claims.UnusedSince(kept)
			if !since.Equal(keptSince) || known != keptKnown {
				t.Errorf("unused since %v, known: %t; in the cache since %v, known: %t", since, known, keptSince, keptKnown)
			}
			for _, c := range kept.Status.Conditions {
				if c.Type != corev1.PersistentVolumeClaimUnused || c.Message != "" {
					t.Errorf("the cache holds %+v", c)
				}
			}
		})
	}
}

// TestClaimsShareWhatIsTheSame strips claims one after another. A claim must never come to have what only another one has.
func TestClaimsShareWhatIsTheSame(t *testing.T) {
	claim := func(app, size string) *corev1.PersistentVolumeClaim {
		claim := &corev1.PersistentVolumeClaim{}
		if app != "" {
			claim.Labels = map[string]string{"app": app}
		}
		if size != "" {
			claim.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
		}
		return claim
	}
	same := func(a, b any) bool { return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() }
	strip := new(claimStripper).strip
	last := cached(t, strip, claim("store", "1Gi"))
	for _, step := range []struct {
		name             string
		is               *corev1.PersistentVolumeClaim
		labels, capacity bool
	}{
		{"the same", claim("store", "1Gi"), true, true},
		{"another size", claim("store", "2Gi"), true, false},
		{"other labels", claim("shop", "2Gi"), false, true},
		{"no labels", claim("", "2Gi"), false, true},
		{"no capacity", claim("shop", ""), false, false},
		{"all other", claim("store", "1Gi"), false, false},
	} {
		want := step.is.DeepCopy()
		got := cached(t, strip, step.is)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the claim in the cache (-want +got):\n%s", step.name, diff)
		}
		if labels, capacity := same(got.Labels, last.Labels), same(got.Status.Capacity, last.Status.Capacity); labels != step.labels || capacity != step.capacity {
			t.Errorf("%s: labels shared: %t, want %t; capacity shared: %t, want %t", step.name, labels, step.labels, capacity, step.capacity)
		}
		last = got
	}
}
