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

package statefulset

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

const (
	scaledown = drainv1alpha1.ScaledownPodTemplateAnnotation
	drainer   = drainv1alpha1.DrainerPodTemplateAnnotation
)

// makeSet returns a StatefulSet of two replicas that has all that a Target can hold.
func makeSet(change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "set", Generation: 4, ResourceVersion: "9"},
		Spec: appsv1.StatefulSetSpec{
			Replicas:    ptr.To[int32](2),
			ServiceName: "web-peers",
			Selector:    &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				SecurityContext:               &corev1.PodSecurityContext{FSGroup: ptr.To[int64](1000)},
				Tolerations:                   []corev1.Toleration{{Key: "disks"}},
				NodeSelector:                  map[string]string{"disks": "many"},
				ImagePullSecrets:              []corev1.LocalObjectReference{{Name: "registry"}},
				PriorityClassName:             "high",
				SchedulerName:                 "mine",
				RuntimeClassName:              ptr.To("gvisor"),
				TerminationGracePeriodSeconds: ptr.To[int64](30),
				ServiceAccountName:            "web",
			}},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{
				{ObjectMeta: metav1.ObjectMeta{Name: "data"}}, {ObjectMeta: metav1.ObjectMeta{Name: "logs"}},
			},
		},
		Status: appsv1.StatefulSetStatus{ObservedGeneration: 4, Replicas: 3, ReadyReplicas: 2},
	}
	for _, c := range change {
		c(set)
	}
	return set
}

func of(change ...func(*appsv1.StatefulSet)) Target { return Of(makeSet(change...)) }

// remembering returns a policy whose status remembers a StatefulSet, or none.
func remembering(last *drainv1alpha1.ObservedStatefulSet) *drainv1alpha1.DrainPolicy {
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}}
	policy.Spec.StatefulSetRef.Name = "web"
	policy.Status.StatefulSet = last
	return policy
}

func gone() Target { return Remembered(remembering(of().Observed())) }

func unknown() Target { return Remembered(remembering(nil)) }

func startsAt(start int32) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) { set.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: start} }
}

func replicas(n int32) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) { set.Spec.Replicas = &n }
}

func deleting(set *appsv1.StatefulSet) { set.DeletionTimestamp = &metav1.Time{} }

// wantTarget is what a Target of makeSet's StatefulSet holds.
func wantTarget() Target {
	spec := makeSet().Spec.Template.Spec
	return Target{
		Namespace: "shop", Name: "web", Presence: Present,
		UID: "set", Generation: 4, ObservedGeneration: 4, Replicas: 2, ReadyReplicas: 2,
		ResourceVersion: "9", Pods: 3, Selector: "app=web",
		ClaimTemplates: []string{"data", "logs"}, MatchLabels: map[string]string{"app": "web"}, ServiceName: "web-peers",
		PodDefaults: drainv1alpha1.PodDefaults{
			SecurityContext: spec.SecurityContext,
			Tolerations:     spec.Tolerations, NodeSelector: spec.NodeSelector, ImagePullSecrets: spec.ImagePullSecrets,
			PriorityClassName: "high", SchedulerName: "mine", RuntimeClassName: ptr.To("gvisor"),
		},
		TerminationGracePeriodSeconds: ptr.To[int64](30),
	}
}

func TestOfHoldsWhatDrainsNeed(t *testing.T) {
	retention := func(scaled, deleted appsv1.PersistentVolumeClaimRetentionPolicyType) func(*appsv1.StatefulSet) {
		return func(set *appsv1.StatefulSet) {
			set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenScaled: scaled, WhenDeleted: deleted,
			}
		}
	}
	const (
		keeps   = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
		deletes = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	)
	for name, tc := range map[string]struct {
		set  func(*appsv1.StatefulSet)
		want func(*Target)
	}{
		"a plain StatefulSet": {func(*appsv1.StatefulSet) {}, func(*Target) {}},
		"unset replicas mean one": {func(s *appsv1.StatefulSet) { s.Spec.Replicas = nil },
			func(w *Target) { w.Replicas = 1 }},
		"a first ordinal":                     {startsAt(5), func(w *Target) { w.Start = 5 }},
		"a StatefulSet that is being deleted": {deleting, func(w *Target) { w.Deleting = true }},
		"no selector": {func(s *appsv1.StatefulSet) { s.Spec.Selector = nil },
			func(w *Target) { w.MatchLabels, w.Selector = nil, "" }},
		"claims that a scale-down deletes": {retention(deletes, keeps),
			func(w *Target) { w.DeletesClaimsWhenScaled = true }},
		"claims that go with the StatefulSet": {retention(keeps, deletes),
			func(w *Target) { w.DeletesClaimsWhenDeleted = true }},
		"claims that a retention policy keeps": {retention(keeps, keeps), func(*Target) {}},
		"an unset grace period": {func(s *appsv1.StatefulSet) {
			s.Spec.Template.Spec.TerminationGracePeriodSeconds = nil
		}, func(w *Target) { w.TerminationGracePeriodSeconds = nil }},
		"two annotations with a template, in the order of preference": {annotated(drainer, scaledown),
			func(w *Target) { w.TemplateAnnotations = []drainv1alpha1.TemplateAnnotation{scaledown, drainer} }},
		"an empty annotation has no template": {func(s *appsv1.StatefulSet) {
			s.Annotations = map[string]string{string(scaledown): "", "other": "{}"}
		},
			func(*Target) {}},
	} {
		t.Run(name, func(t *testing.T) {
			want := wantTarget()
			tc.want(&want)
			if diff := cmp.Diff(want, of(tc.set)); diff != "" {
				t.Errorf("target (-want +got):\n%s", diff)
			}
		})
	}
}

func annotated(keys ...drainv1alpha1.TemplateAnnotation) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) {
		for _, key := range keys {
			metav1.SetMetaDataAnnotation(&set.ObjectMeta, string(key), "{}")
		}
	}
}

func TestRememberedKeepsAllButTheRange(t *testing.T) {
	want := wantTarget()
	want.Presence, want.Generation, want.ObservedGeneration = Gone, 0, 0
	want.Start, want.Replicas, want.ReadyReplicas, want.Pods = 0, 0, 0, 0
	want.ResourceVersion, want.Selector = "", ""
	if diff := cmp.Diff(want, Remembered(remembering(of(startsAt(3)).Observed()))); diff != "" {
		t.Errorf("a StatefulSet that is gone (-want +got):\n%s", diff)
	}
	without := of().Observed()
	without.PodDefaults = nil
	want.PodDefaults = drainv1alpha1.PodDefaults{}
	if diff := cmp.Diff(want, Remembered(remembering(without))); diff != "" {
		t.Errorf("without pod defaults (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Target{Namespace: "shop", Name: "web"}, unknown()); diff != "" {
		t.Errorf("a StatefulSet that was never seen (-want +got):\n%s", diff)
	}
}

func TestObservedIsTheStatefulSetAsItIs(t *testing.T) {
	defaults := wantTarget().PodDefaults
	want := &drainv1alpha1.ObservedStatefulSet{
		UID: "set", Generation: ptr.To[int64](4), StartOrdinal: ptr.To[int32](3),
		Replicas: ptr.To[int32](2), ClaimTemplates: []string{"data", "logs"},
		MatchLabels: map[string]string{"app": "web"},
		ServiceName: "web-peers", TerminationGracePeriodSeconds: ptr.To[int64](30), PodDefaults: &defaults,
	}
	if diff := cmp.Diff(want, of(startsAt(3)).Observed()); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	many := of(func(set *appsv1.StatefulSet) {
		set.Spec.VolumeClaimTemplates = make([]corev1.PersistentVolumeClaim, MaxClaimTemplates+1)
	})
	if got := many.Observed().ClaimTemplates; len(got) != 0 {
		t.Errorf("the status keeps %d of %d claim templates, want none rather than a part", len(got), MaxClaimTemplates+1)
	}
}

func TestATargetSharesNoMemory(t *testing.T) {
	set := makeSet()
	target := Of(set)
	observed := target.Observed()
	back := Remembered(remembering(observed))
	for _, defaults := range []*drainv1alpha1.PodDefaults{&back.PodDefaults, &target.PodDefaults} {
		*defaults.RuntimeClassName, *defaults.SecurityContext.FSGroup, defaults.NodeSelector["disks"] = "x", 0, "x"
		defaults.Tolerations[0].Key, defaults.ImagePullSecrets[0].Name = "x", "x"
	}
	for _, changed := range []Target{back, target} {
		changed.ClaimTemplates[0], changed.MatchLabels["app"], *changed.TerminationGracePeriodSeconds = "x", "x", 0
	}
	if diff := cmp.Diff(makeSet(), set); diff != "" {
		t.Errorf("the StatefulSet changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(of().Observed(), observed); diff != "" {
		t.Errorf("the status changed (-before +after):\n%s", diff)
	}
}

func TestInRange(t *testing.T) {
	tests := map[string]struct {
		target  Target
		ordinal int32
		want    bool
	}{
		"the first ordinal is in range":              {of(), 0, true},
		"the last ordinal is in range":               {of(), 1, true},
		"the ordinal after the last is out of range": {of(), 2, false},
		"no ordinal is in range of zero replicas":    {of(replicas(0)), 0, false},
		"ordinal 0 is in range of unset replicas": {of(func(s *appsv1.StatefulSet) {
			s.Spec.Replicas = nil
		}), 0, true},
		"ordinal 1 is out of range of unset replicas": {of(func(s *appsv1.StatefulSet) {
			s.Spec.Replicas = nil
		}), 1, false},
		"an ordinal below the start is out of range":             {of(startsAt(5)), 4, false},
		"the ordinal at the start is in range":                   {of(startsAt(5)), 5, true},
		"an ordinal beyond the end is out of range with a start": {of(startsAt(5)), 7, false},
		"an ordinal is in range of an end beyond int32": {of(startsAt(1<<31-2), replicas(100)),
			1<<31 - 1, true},
		"an ordinal below the start is out of range of an end beyond int32": {of(startsAt(1<<31-2), replicas(100)), 0, false},
		"no ordinal is in range of a StatefulSet that is being deleted":     {of(deleting), 0, false},
		"no ordinal is in range of a StatefulSet that is gone":              {gone(), 0, false},
		"no ordinal is in range of a StatefulSet that was never seen":       {unknown(), 0, false},
		"no ordinal is in range of the zero Target":                         {Target{}, 0, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.target.InRange(tc.ordinal); got != tc.want {
				t.Errorf("InRange(%d) = %t, want %t", tc.ordinal, got, tc.want)
			}
			if got, want := tc.target.Excludes(tc.ordinal), tc.target.Stands() && !tc.want; got != want {
				t.Errorf("Excludes(%d) = %t, want %t", tc.ordinal, got, want)
			}
		})
	}
}

func TestWhatBecameOfTheStatefulSet(t *testing.T) {
	type facts struct{ Exists, Gone, Stands, Behind, ZeroGracePeriod bool }
	notObserved := func(set *appsv1.StatefulSet) { set.Status.ObservedGeneration = 3 }
	noGrace := func(set *appsv1.StatefulSet) { set.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0) }
	unset := func(set *appsv1.StatefulSet) { set.Spec.Template.Spec.TerminationGracePeriodSeconds = nil }
	for name, tc := range map[string]struct {
		target Target
		want   facts
	}{
		"a StatefulSet that exists": {of(), facts{Exists: true, Stands: true}},
		"a StatefulSet that its controller has not observed": {of(notObserved),
			facts{Exists: true, Stands: true, Behind: true}},
		"a StatefulSet whose controller is ahead of the cache": {of(func(set *appsv1.StatefulSet) {
			set.Status.ObservedGeneration = 5
		}),
			facts{Exists: true, Stands: true}},
		"a StatefulSet that is being deleted": {of(deleting), facts{Exists: true}},
		"a StatefulSet that is being deleted and not observed": {of(deleting, notObserved),
			facts{Exists: true, Behind: true}},
		"a StatefulSet whose pods have no grace period": {of(noGrace),
			facts{Exists: true, Stands: true, ZeroGracePeriod: true}},
		"a StatefulSet whose grace period is unset": {of(unset), facts{Exists: true, Stands: true}},
		"a StatefulSet that is gone":                {gone(), facts{Gone: true}},
		"a StatefulSet that is gone and whose pods had no grace period": {Remembered(remembering(of(noGrace).Observed())),
			facts{Gone: true, ZeroGracePeriod: true}},
		"a StatefulSet that was never seen": {unknown(), facts{}},
		"the zero Target":                   {Target{}, facts{}},
	} {
		t.Run(name, func(t *testing.T) {
			target := tc.target
			got := facts{target.Exists(), target.Gone(), target.Stands(), target.Behind(), target.ZeroGracePeriod()}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestNamesOfPodsAndClaims(t *testing.T) {
	for name, target := range map[string]Target{"exists": of(), "gone": gone()} {
		if got := target.PodName(12); got != "web-12" {
			t.Errorf("%s: the pod is %q, want web-12", name, got)
		}
		if diff := cmp.Diff([]string{"data-web-12", "logs-web-12"}, target.ClaimNames(12)); diff != "" {
			t.Errorf("%s: claims (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(claims.IdentityOf(makeSet()), target.Identity()); diff != "" {
			t.Errorf("%s: identity (-want +got):\n%s", name, diff)
		}
		for claim, want := range map[string]bool{
			"data-web-0": true, "logs-web-99": true, "other-web-0": false, "data-web": false, "data-web-01": false,
			"data-another-0": false,
		} {
			if got := target.OwnsClaimName(claim); got != want {
				t.Errorf("%s: OwnsClaimName(%q) = %t, want %t", name, claim, got, want)
			}
		}
	}
	if got := unknown().ClaimNames(0); len(got) != 0 {
		t.Errorf("a StatefulSet that was never seen has the claims %q", got)
	}
}

func TestIgnoredByAPolicyAreTheAnnotationsThatItDoesNotRead(t *testing.T) {
	both, policy := of(annotated(scaledown, drainer)), remembering(nil)
	for from, want := range map[drainv1alpha1.TemplateAnnotation][]drainv1alpha1.TemplateAnnotation{
		"": {scaledown, drainer}, scaledown: {drainer}, drainer: {scaledown},
	} {
		policy.Spec.TemplateFrom.StatefulSetAnnotation = from
		if got := both.IgnoredBy(policy); !slices.Equal(got, want) {
			t.Errorf("a policy that reads %q ignores %q, want %q", from, got, want)
		}
	}
	if got := of().IgnoredBy(policy); got != nil {
		t.Errorf("without annotations, %q are ignored", got)
	}
}

func TestPeersAreTheReplicasThatRemain(t *testing.T) {
	tests := map[string]struct {
		target Target
		except int32
		want   []string
	}{
		"an ordinal out of range": {
			target: of(), except: 2, want: []string{"web-0.web-peers.shop.svc", "web-1.web-peers.shop.svc"},
		},
		"an ordinal back in range": {target: of(), except: 1, want: []string{"web-0.web-peers.shop.svc"}},
		"a range with a start": {
			target: of(startsAt(3)), except: 0, want: []string{"web-3.web-peers.shop.svc", "web-4.web-peers.shop.svc"},
		},
		"no governing Service": {
			target: of(func(s *appsv1.StatefulSet) { s.Spec.ServiceName = "" }), except: 2,
			want: []string{"web-0", "web-1"},
		},
		"unset replicas": {
			target: of(func(s *appsv1.StatefulSet) { s.Spec.Replicas = nil }), except: 2,
			want: []string{"web-0.web-peers.shop.svc"},
		},
		"scaled to zero": {target: of(replicas(0)), except: 2},
		"the end of the int32 numbers": {
			target: of(startsAt(1<<31-1), replicas(9)), except: 2, want: []string{"web-2147483647.web-peers.shop.svc"},
		},
		"a StatefulSet that is gone": {target: gone(), except: 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.target.Peers(tc.except)); diff != "" {
				t.Errorf("peers (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("too many for one variable", func(t *testing.T) {
		got := strings.Join(of(replicas(1<<30)).Peers(0), ",")
		if len(got) < maxPeers-64 || len(got) > maxPeers+64 {
			t.Errorf("the peers take %d bytes, want about %d", len(got), maxPeers)
		}
	})
}
