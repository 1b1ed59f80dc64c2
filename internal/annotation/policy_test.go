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

package annotation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	scaledown = drainv1alpha1.ScaledownPodTemplateAnnotation
	drainer   = drainv1alpha1.DrainerPodTemplateAnnotation
)

func annotated(keys ...drainv1alpha1.TemplateAnnotation) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "store", UID: "set-uid"}}
	for _, key := range keys {
		metav1.SetMetaDataAnnotation(&set.ObjectMeta, string(key), published)
	}
	return set
}

// managed is what the operator makes of an annotation, written out.
func managed(mutate ...func(*drainv1alpha1.DrainPolicy)) drainv1alpha1.DrainPolicy {
	policy := drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "store-managed",
			Labels: map[string]string{"app.kubernetes.io/managed-by": "drain-operator"},
			Annotations: map[string]string{
				"kubernetes.io/description": "Kept by drain-operator for the annotation " +
					"statefulsets.kubernetes.io/scaledown-pod-template of StatefulSet store. " +
					"Edits are reverted, but for spec.suspend, spec.minOrphanedSeconds, spec.job, spec.retry, spec.replicas and spec.leave. " +
					"A DrainPolicy of your own that names the StatefulSet replaces this one.",
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "StatefulSet",
				Name: "store", UID: "set-uid", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef:      drainv1alpha1.StatefulSetReference{Name: "store"},
			TemplateFrom:        drainv1alpha1.TemplateSource{StatefulSetAnnotation: scaledown},
			WhenScaled:          drainv1alpha1.WhenScaledDrain,
			WhenDeleted:         drainv1alpha1.WhenDeletedRetain,
			WhenDrained:         drainv1alpha1.WhenDrainedDelete,
			Proof:               drainv1alpha1.ProofExitCode,
			WhenScaledUp:        drainv1alpha1.WhenScaledUpWait,
			Identity:            drainv1alpha1.IdentityStatefulSetPod,
			MaxConcurrentDrains: ptr.To[int32](1),
			MinReadyReplicas:    ptr.To[int32](0),
		},
	}
	for _, m := range mutate {
		m(&policy)
	}
	return policy
}

func theirs(name string) drainv1alpha1.DrainPolicy {
	return drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "store"},
			Template:       corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "drain"}}}},
		},
	}
}

func owner(uid types.UID) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.OwnerReferences[0].UID = uid }
}

func unowned(p *drainv1alpha1.DrainPolicy) { p.OwnerReferences = nil }

func withoutLabel(p *drainv1alpha1.DrainPolicy) { p.Labels = nil }

func called(name string) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Name = name }
}

func created(second int64) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.CreationTimestamp = metav1.Unix(second, 0) }
}

func terminating(p *drainv1alpha1.DrainPolicy) {
	p.DeletionTimestamp = ptr.To(metav1.NewTime(time.Unix(100, 0)))
}

func TestNext(t *testing.T) {
	gone := annotated(scaledown)
	gone.DeletionTimestamp = ptr.To(metav1.NewTime(time.Unix(100, 0)))
	empty := annotated()
	empty.Annotations = map[string]string{string(scaledown): ""}
	for name, tc := range map[string]struct {
		set            *appsv1.StatefulSet
		policies       []drainv1alpha1.DrainPolicy
		taken, ignored bool
		want, why      string
	}{
		"a managed policy stays without a StatefulSet":       {policies: []drainv1alpha1.DrainPolicy{managed()}},
		"a StatefulSet that is being deleted gets no policy": {set: gone},
		"a managed policy stays while its StatefulSet is being deleted": {
			set: gone, policies: []drainv1alpha1.DrainPolicy{managed(owner("other"))},
		},
		"a StatefulSet without an annotation gets no policy": {set: annotated()},
		"an unmanaged policy stays without an annotation": {
			set: annotated(), policies: []drainv1alpha1.DrainPolicy{theirs("store")},
		},
		"an annotation gets a policy": {
			set: annotated(scaledown), want: "create store-managed",
			why: "the StatefulSet has the annotation statefulsets.kubernetes.io/scaledown-pod-template",
		},
		"the older annotation gets a policy": {
			set: annotated(drainer), want: "create store-managed",
			why: "the StatefulSet has the annotation statefulsets.kubernetes.io/drainer-pod-template",
		},
		"an empty annotation gets no policy":                              {set: empty},
		"an annotation gets no policy if the manager ignores annotations": {set: annotated(scaledown), ignored: true},
		"an annotation gets a policy of another name if the first is taken": {
			set: annotated(scaledown), taken: true, want: "create store-managed-set-uid",
		},
		"an annotation gets no policy beside an unmanaged one": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{theirs("store")},
		},
		"a managed policy that is as it should be stays": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{managed()},
		},
		"a managed policy under another name stays": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{managed(called("x"))},
		},
		"a managed policy for the older of two annotations is changed": {
			set: annotated(scaledown, drainer),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.TemplateFrom.StatefulSetAnnotation = drainer
			})},
			want: "change store-managed",
		},
		"a managed policy is changed if the newer annotation is removed": {
			set: annotated(drainer), policies: []drainv1alpha1.DrainPolicy{managed()}, want: "change store-managed",
		},
		"edits of the fields that are for users stay": {
			set: annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.Suspend, p.Spec.MinOrphanedSeconds = ptr.To(true), ptr.To[int32](60)
				p.Spec.Job.ActiveDeadlineSeconds, p.Spec.Retry.MaxAttempts = ptr.To[int64](60), ptr.To[int32](3)
				p.Labels["team"], p.Annotations["note"] = "b", "hello"
			})},
		},
		"an edit of whenDrained is reverted": {
			set:      annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDrained = "Retain" })},
			want:     "change store-managed",
		},
		"an edit of proof is reverted": {
			set:      annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Proof = "Receipt" })},
			want:     "change store-managed",
		},
		"an edit of whenScaled is reverted": {
			set:      annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaled = "Retain" })},
			want:     "change store-managed",
		},
		"an edit of whenScaledUp is reverted": {
			set: annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.WhenScaledUp = "Cancel"
			})},
			want: "change store-managed",
		},
		"an edit of identity is reverted": {
			set:      annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Identity = "Job" })},
			want:     "change store-managed",
		},
		"an edit of minReadyReplicas is reverted": {
			set: annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.MinReadyReplicas = ptr.To[int32](1)
			})},
			want: "change store-managed",
		},
		"an edit of maxConcurrentDrains is reverted": {
			set: annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.MaxConcurrentDrains = ptr.To[int32](2)
			})},
			want: "change store-managed",
		},
		"a template in place of templateFrom is reverted": {
			set: annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.Template, p.Spec.TemplateFrom = theirs("").Spec.Template, drainv1alpha1.TemplateSource{}
			})},
			want: "change store-managed",
		},
		"an edit of the description is reverted": {
			set:      annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(func(p *drainv1alpha1.DrainPolicy) { p.Annotations = nil })},
			want:     "change store-managed",
		},
		"a managed policy without its owner gets it back": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{managed(unowned)},
			want: "change store-managed",
		},
		"a policy without the label is not managed and stays": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{managed(withoutLabel)},
		},
		"a managed policy that is being deleted is left alone": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{managed(terminating)},
		},
		"a managed policy is deleted when the annotation is removed": {
			set: annotated(), policies: []drainv1alpha1.DrainPolicy{managed()}, want: "delete store-managed",
			why: "the StatefulSet has no annotation with a template any more",
		},
		"a managed policy that is being deleted is not deleted again": {
			set: annotated(), policies: []drainv1alpha1.DrainPolicy{managed(terminating)},
		},
		"a managed policy without an owner is deleted when the annotation is removed": {
			set: annotated(), policies: []drainv1alpha1.DrainPolicy{managed(unowned)}, want: "delete store-managed",
		},
		"a managed policy is deleted if the manager ignores annotations": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{managed()}, ignored: true,
			want: "delete store-managed", why: "the manager runs with --statefulset-annotations=false",
		},
		"a managed policy is deleted beside an unmanaged one": {
			set:      annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{theirs("mine"), managed(), theirs("another")}, want: "delete store-managed",
			why: `DrainPolicy "another" names the StatefulSet too, and wins over its annotation ` +
				"statefulsets.kubernetes.io/scaledown-pod-template",
		},
		"a managed policy of an earlier StatefulSet is deleted": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{managed(owner("earlier"))},
			want: "delete store-managed",
			why:  "it was of a StatefulSet that was deleted, and of whose name there is another one now",
		},
		"a policy of an earlier StatefulSet that is being deleted is awaited": {
			set: annotated(scaledown), policies: []drainv1alpha1.DrainPolicy{managed(owner("earlier"), terminating)},
		},
		"a policy stays beside one of an earlier StatefulSet that is being deleted": {
			set: annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{
				managed(owner("earlier"), terminating, created(1)), managed(called("own"), created(2)),
			},
		},
		"the younger of two managed policies is deleted": {
			set:      annotated(scaledown),
			policies: []drainv1alpha1.DrainPolicy{managed(created(2)), managed(called("older"), created(1))},
			want:     "delete store-managed",
			why:      "there is another one for the same StatefulSet",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var before []drainv1alpha1.DrainPolicy
			for _, policy := range tc.policies {
				before = append(before, *policy.DeepCopy())
			}
			step := Next(Evidence{StatefulSet: tc.set, Policies: tc.policies, NameTaken: tc.taken, Ignored: tc.ignored})
			var got string
			switch {
			case step.Create != nil:
				got = "create " + step.Create.Name
			case step.Change != nil:
				got = "change " + step.Change.Name
			case step.Delete != nil:
				got = "delete " + step.Delete.Name
			}
			if got != tc.want {
				t.Errorf("step %q (%s), want %q", got, step.Why, tc.want)
			}
			if tc.why != "" && step.Why != tc.why || tc.want != "" && step.Why == "" {
				t.Errorf("why: %s\nwant %s", step.Why, tc.why)
			}
			if step.Change != nil {
				want := managed()
				if Key(tc.set) == drainer {
					want.Spec.TemplateFrom.StatefulSetAnnotation = drainer
					want.Annotations["kubernetes.io/description"] = strings.Replace(
						want.Annotations["kubernetes.io/description"], string(scaledown), string(drainer), 1)
				}
				if diff := cmp.Diff(want, *step.Change); diff != "" {
					t.Errorf("changed to (-want +got):\n%s", diff)
				}
				changed := []drainv1alpha1.DrainPolicy{*step.Change}
				if again := Next(Evidence{StatefulSet: tc.set, Policies: changed}); again != (Step{}) {
					t.Errorf("what it was changed to is changed again: %s", again.Why)
				}
			}
			if diff := cmp.Diff(before, tc.policies); diff != "" {
				t.Errorf("the evidence was written to:\n%s", diff)
			}
		})
	}
}

func TestNextCreatesTheOldSemantics(t *testing.T) {
	step := Next(Evidence{StatefulSet: annotated(drainer, scaledown)})
	if step.Create == nil {
		t.Fatal("no policy is created")
	}
	if diff := cmp.Diff(managed(), *step.Create); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}

func TestNamesFit(t *testing.T) {
	set := annotated()
	set.UID = "7a1f4d5c-2b6e-4c88-9d50-0a4f5e6b7c8d"
	for _, length := range []int{1, 52, 208, 209, 244, 245, 246, 253} {
		set.Name = strings.Repeat("s", length)
		names := Names(set)
		if len(names) != 2 || names[0] == names[1] {
			t.Errorf("names %v", names)
		}
		for _, name := range names {
			if len(name) > 253 || name == set.Name {
				t.Errorf("a StatefulSet's name of %d characters gives %q, of %d", length, name, len(name))
			}
		}
	}
}

func TestIsManaged(t *testing.T) {
	for name, tc := range map[string]struct {
		mutate func(*drainv1alpha1.DrainPolicy)
		want   bool
	}{
		"a policy as the operator creates it": {func(*drainv1alpha1.DrainPolicy) {}, true},
		"a policy without an owner":           {unowned, true},
		"a policy without its label":          {withoutLabel, false},
		"a policy with another manager's label": {func(p *drainv1alpha1.DrainPolicy) {
			p.Labels[drainv1alpha1.ManagedByLabel] = "Helm"
		}, false},
		"a policy that another StatefulSet owns": {func(p *drainv1alpha1.DrainPolicy) {
			p.OwnerReferences[0].Name = "other"
		}, false},
		"a policy that another kind of object owns": {func(p *drainv1alpha1.DrainPolicy) {
			p.OwnerReferences[0].Kind = "Database"
		},
			false},
		"a policy whose owner does not control it": {func(p *drainv1alpha1.DrainPolicy) {
			p.OwnerReferences[0].Controller = nil
		}, true},
		"a policy of an earlier StatefulSet": {owner("earlier"), true},
	} {
		t.Run(name, func(t *testing.T) {
			policy := managed(tc.mutate)
			if got := IsManaged(&policy); got != tc.want {
				t.Errorf("IsManaged gives %t", got)
			}
		})
	}
}
