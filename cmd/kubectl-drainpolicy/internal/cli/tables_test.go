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

package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/view"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

func set(replicas int32, mutate ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "set", Generation: 7}}
	s.Spec.Replicas = &replicas
	s.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	s.Status.ObservedGeneration = 7
	for _, m := range mutate {
		m(s)
	}
	return s
}

// judged returns a policy whose status describes set(2), with these conditions.
func judged(drained, stalled metav1.Condition, mutate ...func(*drainv1alpha1.DrainPolicy)) *drainv1alpha1.DrainPolicy {
	drained.Type, stalled.Type = drainv1alpha1.ConditionDrained, drainv1alpha1.ConditionStalled
	drained.ObservedGeneration, stalled.ObservedGeneration = 3, 3
	p := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "policy", Generation: 3}}
	p.Spec.StatefulSetRef.Name = "web"
	p.Status = drainv1alpha1.DrainPolicyStatus{
		ObservedGeneration: 3, Conditions: []metav1.Condition{drained, stalled},
		StatefulSet: &drainv1alpha1.ObservedStatefulSet{UID: "set", Generation: ptr.To[int64](7), Replicas: ptr.To[int32](2)},
	}
	for _, m := range mutate {
		m(p)
	}
	return p
}

// scaling returns a policy that asks for replicas, and whose status says this of it.
func scaling(replicas int32, drained, stalled metav1.Condition, status metav1.ConditionStatus, reason string, mutate ...func(*drainv1alpha1.DrainPolicy)) *drainv1alpha1.DrainPolicy {
	return judged(drained, stalled, append([]func(*drainv1alpha1.DrainPolicy){func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Replicas = &replicas
		p.Status.Conditions = append(p.Status.Conditions, metav1.Condition{
			Type: drainv1alpha1.ConditionScaled, Status: status, Reason: reason, Message: "the StatefulSet", ObservedGeneration: 3,
		})
	}}, mutate...)...)
}

func TestWaitIsNotEndedByAConditionFromBefore(t *testing.T) {
	yes := metav1.Condition{Status: metav1.ConditionTrue, Reason: "NoOrphans", Message: "no orphans"}
	no := metav1.Condition{Status: metav1.ConditionFalse, Reason: "JobRunning", Message: "the Job runs"}
	calm := metav1.Condition{Status: metav1.ConditionFalse, Reason: "Progressing"}
	const observe = "waiting for the operator to observe the StatefulSet and the policy as they are now"
	for name, test := range map[string]struct {
		set      *appsv1.StatefulSet
		policy   *drainv1alpha1.DrainPolicy
		replicas int32
		reached  bool
		want     string
		done     bool
		code     int
	}{
		"drained":                              {set: set(2), policy: judged(yes, calm), replicas: -1, want: "no orphans", done: true},
		"a drain runs":                         {set: set(2), policy: judged(no, calm), replicas: -1, want: "JobRunning: the Job runs"},
		"a status of an older StatefulSet":     {set: set(2, func(s *appsv1.StatefulSet) { s.Generation, s.Status.ObservedGeneration = 8, 8 }), policy: judged(yes, calm), replicas: -1, want: observe},
		"a status of another StatefulSet":      {set: set(2, func(s *appsv1.StatefulSet) { s.UID = "another" }), policy: judged(yes, calm), replicas: -1, want: observe},
		"a status of an older policy":          {set: set(2), policy: judged(yes, calm, func(p *drainv1alpha1.DrainPolicy) { p.Generation = 4 }), replicas: -1, want: observe},
		"a condition of an older policy":       {set: set(2), policy: judged(yes, calm, func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions[0].ObservedGeneration = 2 }), replicas: -1, want: observe},
		"no status":                            {set: set(2), policy: judged(yes, calm, func(p *drainv1alpha1.DrainPolicy) { p.Status = drainv1alpha1.DrainPolicyStatus{} }), replicas: -1, want: observe},
		"the StatefulSet controller is behind": {set: set(2, func(s *appsv1.StatefulSet) { s.Status.ObservedGeneration = 6 }), policy: judged(yes, calm), replicas: -1, want: `waiting for the StatefulSet controller to observe StatefulSet "web"`},
		"the autoscaler has not scaled yet":    {set: set(2), policy: judged(yes, calm), replicas: 1, want: `waiting for StatefulSet "web" to be scaled from 2 to 1 replicas`},
		"scaled up again":                      {set: set(3), policy: judged(yes, calm), replicas: 2, reached: true, code: exitGone},
		"stalled":                              {set: set(2), policy: judged(no, metav1.Condition{Status: metav1.ConditionTrue, Reason: "JobFailed"}), replicas: -1, code: exitStalled},
		"kept undrained":                       {set: set(2), policy: judged(metav1.Condition{Status: metav1.ConditionFalse, Reason: "Retained"}, calm), replicas: -1, code: exitStalled},
		"suspended":                            {set: set(2), policy: judged(metav1.Condition{Status: metav1.ConditionFalse, Reason: "Suspended"}, calm), replicas: -1, code: exitStalled},
		"stranded":                             {set: set(2), policy: judged(metav1.Condition{Status: metav1.ConditionFalse, Reason: "ClaimsStranded"}, calm), replicas: -1, code: exitStalled},
		"the policy is scaled, and the StatefulSet is on its way": {
			set: set(2), policy: scaling(1, yes, calm, "False", "WaitingForDrains"), replicas: -1, want: "WaitingForDrains: the StatefulSet",
		},
		"the policy is scaled, and all is drained": {
			set: set(2), policy: scaling(2, yes, calm, "True", "ReplicasReached"), replicas: -1, want: "the StatefulSet; no orphans", done: true,
		},
		"the policy is scaled up, and a member is not back": {
			set: set(2), policy: scaling(2, yes, calm, "False", "Rejoining"), replicas: -1, want: "Rejoining: the StatefulSet",
		},
		"the StatefulSet has the replicas, and its drain runs": {
			set: set(2), policy: scaling(2, no, calm, "True", "ReplicasReached"), replicas: -1, want: "JobRunning: the Job runs",
		},
		"a member fails to leave, and nothing is orphaned": {
			set: set(2), policy: scaling(1, yes, metav1.Condition{Status: metav1.ConditionTrue, Reason: "LeaveFailed"}, "False", "LeaveFailed"), replicas: -1, code: exitStalled,
		},
		"a suspended policy does not scale": {set: set(2), policy: scaling(1, yes, calm, "False", "Suspended"), replicas: -1, code: exitStalled},
		"Scaled is of before": {
			set: set(2), policy: scaling(2, yes, calm, "True", "ReplicasReached", func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions[2].ObservedGeneration = 2 }), replicas: -1, want: observe,
		},
		"Scaled is not there yet": {
			set: set(2), policy: scaling(2, yes, calm, "True", "ReplicasReached", func(p *drainv1alpha1.DrainPolicy) { p.Status.Conditions = p.Status.Conditions[:2] }), replicas: -1, want: observe,
		},
		"the autoscaler has not scaled the policy yet": {
			set: set(2), policy: scaling(2, yes, calm, "True", "ReplicasReached"), replicas: 1, want: `waiting for DrainPolicy "web" to be scaled from 2 to 1 replicas`,
		},
		"the policy is scaled up again":  {set: set(2), policy: scaling(2, yes, calm, "True", "ReplicasReached"), replicas: 1, reached: true, code: exitGone},
		"another policy of that name":    {set: set(2), policy: judged(yes, calm, func(p *drainv1alpha1.DrainPolicy) { p.UID = "another" }), replicas: -1, code: exitGone},
		"a policy that is being deleted": {set: set(2), policy: judged(yes, calm, func(p *drainv1alpha1.DrainPolicy) { p.DeletionTimestamp = ptr.To(metav1.Now()) }), replicas: -1, code: exitGone},
		"no StatefulSet":                 {policy: judged(yes, calm), replicas: -1, code: exitGone},
		"a deleted StatefulSet, not seen to be": {
			policy: judged(yes, calm, func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDeleted = drainv1alpha1.WhenDeletedDrain }), replicas: -1, want: observe,
		},
		"a deleted StatefulSet whose ordinals are drained": {
			policy: judged(yes, calm, func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.WhenDeleted, p.Status.StatefulSet.Replicas = drainv1alpha1.WhenDeletedDrain, ptr.To[int32](0)
				p.Status.Conditions = append(p.Status.Conditions, metav1.Condition{Type: drainv1alpha1.ConditionReady, Status: metav1.ConditionFalse})
			}), replicas: -1, want: "no orphans", done: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := waiting{policy: judged(yes, calm), replicas: test.replicas, reached: test.reached}
			text, done, err := w.judge(test.set, test.policy)
			if text != test.want || done != test.done || ExitCode(err) != test.code {
				t.Errorf("got %q, done %v, exit code %d (%v)", text, done, ExitCode(err), err)
			}
		})
	}
}

func TestUndoSaysWhatCanBeHadBack(t *testing.T) {
	drain := func(state drainv1alpha1.DrainState, reason string, attempts int32, mutate ...func(*drainv1alpha1.DrainPolicy)) *drainv1alpha1.DrainPolicy {
		p := judged(metav1.Condition{}, metav1.Condition{}, mutate...)
		p.Status.Drains = []drainv1alpha1.DrainStatus{{Ordinal: ptr.To[int32](3), State: state, Reason: reason, Attempts: attempts}}
		return p
	}
	replicas := func(n int32) func(*drainv1alpha1.DrainPolicy) {
		return func(p *drainv1alpha1.DrainPolicy) { p.Spec.Replicas = &n }
	}
	for name, test := range map[string]struct {
		set    *appsv1.StatefulSet
		policy *drainv1alpha1.DrainPolicy
		now    bool
		want   undoing
		code   int
	}{
		"a drain that waits":            {set: set(2), policy: drain("Waiting", "WaitingForSlot", 0), want: undoing{4, false, "no drain has run; its pod starts with all its data"}},
		"a pod that has not started":    {set: set(2), policy: drain("Draining", "PodNotStarted", 1), want: undoing{4, false, "the drain has not started, so the operator stops it, and the pod starts with all its data"}},
		"a second pod, not started":     {set: set(2), policy: drain("Draining", "PodNotStarted", 2), want: undoing{4, false, "the running drain finishes first, then the pod starts on what the drain leaves; --now stops the drain instead"}},
		"a running drain":               {set: set(2), policy: drain("Draining", "JobRunning", 1), want: undoing{4, false, "the running drain finishes first, then the pod starts on what the drain leaves; --now stops the drain instead"}},
		"a running drain, now":          {set: set(2), policy: drain("Draining", "JobRunning", 1), now: true, want: undoing{4, true, "the operator stops the drain, and the pod starts on the partly drained claims"}},
		"a running drain under Cancel":  {set: set(2), policy: drain("Draining", "JobRunning", 1, func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaledUp = "Cancel" }), want: undoing{4, false, "the operator stops the drain, and the pod starts on the partly drained claims"}},
		"a failed drain":                {set: set(2), policy: drain("Failed", "JobFailed", 2), want: undoing{4, false, "no drain runs; its pod starts on claims that failed attempts may have drained in part"}},
		"drained and kept":              {set: set(2), policy: drain("Drained", "ClaimsKept", 1), want: undoing{4, false, "its pod starts on the drained claims, with what the drain left there; the data is where the drain moved it"}},
		"another first ordinal":         {set: set(2, func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 1} }), policy: drain("Waiting", "WaitingForSlot", 0), want: undoing{3, false, "no drain has run; its pod starts with all its data"}},
		"below the first ordinal":       {set: set(2, func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 5} }), policy: drain("Waiting", "WaitingForSlot", 0), code: exitNo},
		"claims that are being deleted": {set: set(2), policy: drain("Draining", "DeletingClaims", 1), code: exitNo},
		"claims that are deleted":       {set: set(2), policy: drain("Drained", "ClaimsDeleted", 1), code: exitNo},
		"in range":                      {set: set(4), policy: drain("Waiting", "WaitingForSlot", 0), code: exitNo},
		"back in range":                 {set: set(4), policy: drain("Draining", "BackInRange", 1), code: exitNo},
		"back in range, now":            {set: set(4), policy: drain("Draining", "BackInRange", 1), now: true, want: undoing{0, true, "the operator stops the drain, and the pod starts on the partly drained claims"}},
		"an ordinal without a drain":    {set: set(2), policy: judged(metav1.Condition{}, metav1.Condition{}), code: exitNo},
		"a policy that is scaled":       {set: set(2), policy: drain("Waiting", "WaitingForSlot", 0, replicas(2)), want: undoing{4, false, "no drain has run; its pod starts with all its data"}},
		"one that asks for it already":  {set: set(2), policy: drain("Waiting", "WaitingForSlot", 0, replicas(4)), code: exitNo},
		"no StatefulSet":                {policy: drain("Waiting", "WaitingForSlot", 0), code: exitNo},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := undo(test.policy, test.set, 3, test.now)
			if got != test.want || ExitCode(err) != test.code {
				t.Errorf("got %+v, exit code %d (%v)", got, ExitCode(err), err)
			}
		})
	}
}

func TestOrphansAreWhatNoStatefulSetWants(t *testing.T) {
	claim := func(name string, labels map[string]string, mutate ...func(*corev1.PersistentVolumeClaim)) corev1.PersistentVolumeClaim {
		c := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: labels, UID: types.UID(name)}}
		c.Status.Phase = corev1.ClaimBound
		c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		for _, m := range mutate {
			m(&c)
		}
		return c
	}
	web := map[string]string{"app": "web"}
	volumes := []corev1.PersistentVolumeClaim{
		claim("data-web-0", web), claim("data-web-1", nil), claim("data-web-2", web),
		claim("data-web-9", web, func(c *corev1.PersistentVolumeClaim) {
			c.Annotations = map[string]string{drainv1alpha1.SkipAnnotation: "true"}
		}),
		claim("data-gone-0", nil), claim("cache-7", nil), claim("notes", nil), claim("data-busy-0", nil),
		claim("data-web-3", web, func(c *corev1.PersistentVolumeClaim) { c.Namespace = "other" }),
		claim("scratch-pod-0", nil, func(c *corev1.PersistentVolumeClaim) {
			c.OwnerReferences = []metav1.OwnerReference{{Kind: "Pod", Name: "pod", Controller: ptr.To(true)}}
		}),
	}
	pods := []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{{
		VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-busy-0"}},
	}}}}}
	found, total := orphansOf([]appsv1.StatefulSet{*set(2)}, volumes, pods)
	var got []string
	for _, o := range found {
		known := "?"
		if o.Known {
			known = ""
		}
		got = append(got, o.Namespace+"/"+o.Name+" of "+o.StatefulSet+known+" "+o.State)
	}
	want := []string{"other/data-web-3 of web? Bound", "shop/data-gone-0 of gone? Bound", "shop/data-web-9 of web Skipped", "shop/data-web-2 of web Bound"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if total.String() != "4Gi" {
		t.Errorf("the total is %s", total.String())
	}
}

func TestNearNamesAreThoseThatAPersonMayHaveMeant(t *testing.T) {
	for name, want := range map[string][]string{
		"datastroe": {"datastore"}, "data": {"datastore"}, "web-1": {"web"}, "unlike": nil,
	} {
		if got := near(name, []string{"datastore", "web", "kubia"}); !slices.Equal(got, want) {
			t.Errorf("near %q: got %v, want %v", name, got, want)
		}
	}
}

func TestAReviewOfAThousandOrdinalsIsShort(t *testing.T) {
	r := Review{Policy: "shop/web", StatefulSet: "web", Replicas: 1000}
	r.add(bad, "replicas", "none remains")
	for i := range int32(1000) {
		r.Plan = append(r.Plan, Planned{Ordinal: 999 - i, State: drainv1alpha1.DrainBlocked, Reason: "ClaimLost"})
		r.add(bad, fmt.Sprintf("ordinal %d", 999-i), "ClaimLost")
		r.Deleted = append(r.Deleted, "claim")
	}
	var out bytes.Buffer
	r.write(&out, view.Style{})
	for _, want := range []string{"980 more ordinals: no\n", "and 980 more ordinals; -o json has them\n", "and 980 more; -o json has them\n", "Not safe now: 1001 objections.\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines > 3*view.Shown+20 {
		t.Errorf("the answer has %d lines", lines)
	}
}

func TestOrphansOfAThousandOrdinalsAreCounted(t *testing.T) {
	var volumes []corev1.PersistentVolumeClaim
	for i := range int32(1000) {
		volumes = append(volumes, corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Name: claims.Name("data", "web", i), Namespace: "shop", Labels: map[string]string{"app": "web"},
		}})
	}
	var out bytes.Buffer
	s := &session{IOStreams: genericiooptions.IOStreams{Out: &out}, clock: clock.RealClock{}}
	found, total := orphansOf([]appsv1.StatefulSet{*set(2)}, volumes, nil)
	s.listOrphans(found, &total, false, false)
	if want := "978 more of shop/web; --all lists them\n998 claims, 0\n"; !strings.HasSuffix(out.String(), want) || strings.Count(out.String(), "\n") != view.Shown+3 {
		t.Errorf("got\n%s", &out)
	}
}

func TestAScreenIsDrawnAtOnce(t *testing.T) {
	var out bytes.Buffer
	s := &session{IOStreams: genericiooptions.IOStreams{Out: &out}, clock: clock.RealClock{}, color: "always"}
	draw := s.screen(&statusOptions{})
	draw([]view.Policy{view.Of(judged(metav1.Condition{}, metav1.Condition{}), view.Objects{})})
	if text := out.String(); !strings.HasPrefix(text, "\x1b[H\x1b[2J\x1b[1mDrainPolicy shop/web") {
		t.Errorf("got %q", text)
	}
}

func TestALineIsWrittenForAChangeOnly(t *testing.T) {
	var out bytes.Buffer
	s := &session{IOStreams: genericiooptions.IOStreams{Out: &out}, clock: clock.RealClock{}}
	write := s.lines()
	grown := func(policies ...view.Policy) int {
		before := strings.Count(out.String(), "\n")
		write(policies)
		return strings.Count(out.String(), "\n") - before
	}
	p := judged(metav1.Condition{Status: metav1.ConditionFalse}, metav1.Condition{Status: metav1.ConditionFalse})
	if n := grown(view.Of(p, view.Objects{})); n != 2 {
		t.Errorf("%d lines for two conditions", n)
	}
	if n := grown(view.Of(p, view.Objects{})); n != 0 {
		t.Errorf("%d lines for no change", n)
	}
	p.Status.Conditions[0].Status = metav1.ConditionTrue
	if n := grown(view.Of(p, view.Objects{})); n != 1 {
		t.Errorf("%d lines for one change", n)
	}
	if n := grown(); n != 2 || !strings.HasSuffix(out.String(), "is no longer reported\n") {
		t.Errorf("%d lines for a policy that is gone", n)
	}
	if n := grown(); n != 0 {
		t.Errorf("%d lines for no change", n)
	}
}
