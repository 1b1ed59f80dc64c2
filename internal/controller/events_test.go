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
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func TestClipKeepsWhatAnEventTakes(t *testing.T) {
	for name, tc := range map[string]struct {
		message string
		want    int
	}{
		"a short message is kept":                          {"moved all", 9},
		"a message of the maximum length is kept":          {strings.Repeat("x", maxNote), maxNote},
		"a message above the maximum is cut":               {strings.Repeat("x", maxNote+1), maxNote},
		"a message is cut between characters":              {strings.Repeat("x", maxNote-4) + "ßßß", maxNote - 1},
		"a message of wide characters is cut by its bytes": {strings.Repeat("界", 1000), maxNote - 1},
		"an empty message is kept":                         {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := clip(tc.message)
			if len(got) != tc.want || !utf8.ValidString(got) {
				t.Errorf("clip gives %d bytes (valid: %t), want %d", len(got), utf8.ValidString(got), tc.want)
			}
		})
	}
}

// TestTransitionsTellEachThingOnce goes through the statuses of one drain, as they follow each other.
func TestTransitionsTellEachThingOnce(t *testing.T) {
	status := func(ready string, drains ...drainv1alpha1.DrainStatus) drainv1alpha1.DrainPolicyStatus {
		s := drainv1alpha1.DrainPolicyStatus{Drains: drains}
		if ready != "" {
			s.Conditions = []metav1.Condition{{Type: drainv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: ready}}
			if ready != drainv1alpha1.ReasonAccepted {
				s.Conditions[0].Status = metav1.ConditionFalse
			}
		}
		return s
	}
	drain := func(state drainv1alpha1.DrainState, reason, job string) drainv1alpha1.DrainStatus {
		return drainv1alpha1.DrainStatus{Ordinal: ptr.To[int32](2), State: state, Reason: reason, JobName: job}
	}
	withStranded := func(set string, s drainv1alpha1.DrainPolicyStatus, names ...string) drainv1alpha1.DrainPolicyStatus {
		if set != "" {
			s.StatefulSet = &drainv1alpha1.ObservedStatefulSet{UID: set}
		}
		for _, name := range names {
			s.StrandedClaims = append(s.StrandedClaims, drainv1alpha1.ClaimReference{Name: name})
		}
		return s
	}
	const accepted = drainv1alpha1.ReasonAccepted
	previous := status("")
	for _, step := range []struct {
		is   drainv1alpha1.DrainPolicyStatus
		want string
	}{
		{status(drainv1alpha1.ReasonStatefulSetNotFound), "Warning StatefulSetNotFound"},
		{status(drainv1alpha1.ReasonStatefulSetNotFound), ""},
		{status(accepted), "Normal Accepted"},
		{status(accepted, drain(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists, "")), ""},
		{status(accepted, drain(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonPodNotStarted, "a")), "Normal DrainStarted"},
		{status(accepted, drain(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonImagePullFailed, "a")),
			"Warning ImagePullFailed"},
		{status(accepted, drain(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning, "a")), ""},
		{status(accepted, drain(drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed, "a")), "Warning JobFailed"},
		{status(accepted, drain(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning, "b")), "Normal DrainStarted"},
		{status(accepted, drain(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonBackInRange, "b")), "Normal BackInRange"},
		{status(accepted, drain(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonDeletingClaims, "b")), ""},
		{status(accepted, drain(drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted, "b")), "Normal Drained"},
		{status(accepted, drain(drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted, "b")), ""},
		{withStranded("", status(accepted), "old-web-0"), ""},
		{withStranded("set", status(accepted), "old-web-0"), "Warning ClaimsStranded"},
		{withStranded("set", status(accepted), "old-web-0", "old-web-1"), ""},
		{withStranded("set", status(accepted)), ""},
		{withStranded("set", status(accepted), "old-web-0"), "Warning ClaimsStranded"},
		{status(drainv1alpha1.ReasonSuspended), "Normal Suspended"},
		{status(drainv1alpha1.ReasonPolicyDeleted), ""},
		{status(drainv1alpha1.ReasonManagedPolicyYielding), "Normal ManagedPolicyYielding"},
	} {
		var got []string
		for _, n := range transitions(previous, step.is) {
			got = append(got, n.eventType+" "+n.reason)
			if n.eventType != corev1.EventTypeNormal && n.eventType != corev1.EventTypeWarning || n.action == "" {
				t.Errorf("the event %+v would be refused", n)
			}
			if want := map[bool]string{true: "status.drains{2}"}[n.action == "Drain"]; n.part != want {
				t.Errorf("the event %+v is about %q of the policy, want %q", n, n.part, want)
			}
		}
		if s := strings.Join(got, ", "); s != step.want {
			t.Errorf("from %v to %v: told %q, want %q", previous, step.is, s, step.want)
		}
		previous = step.is
	}
}

// sink is where client-go's recorder writes events to. It hands their notes on, by the kind of what they are about.
type sink chan string

func (s sink) Create(_ context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	s <- event.Regarding.Kind + ": " + event.Note
	return event, nil
}

func (s sink) Update(_ context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	return nil, fmt.Errorf("event %q is updated", event.Name)
}

func (s sink) Patch(_ context.Context, event *eventsv1.Event, patch []byte) (*eventsv1.Event, error) {
	s <- fmt.Sprintf("the event with the note %q is patched: %s", event.Note, patch)
	return event, nil
}

// TestEachOrdinalHasEventsOfItsOwn tells of two drains that a status shows to be over at the same time, through the recorder that the manager has.
func TestEachOrdinalHasEventsOfItsOwn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	written := make(sink, 10)
	broadcaster := events.NewBroadcaster(written)
	defer broadcaster.Shutdown()
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	r := &Reconciler{Recorder: broadcaster.NewRecorder(fakeCluster(t, interceptor.Funcs{}).Scheme(), "drain-operator")}
	status := func(state drainv1alpha1.DrainState) (s drainv1alpha1.DrainPolicyStatus) {
		for ordinal := int32(1); ordinal <= 2; ordinal++ {
			s.Drains = append(s.Drains, drainv1alpha1.DrainStatus{Ordinal: &ordinal, State: state, Message: fmt.Sprintf("moved %d", ordinal)})
		}
		return s
	}
	r.announce(fullPolicy(), fullSet(), status(drainv1alpha1.DrainDraining), status(drainv1alpha1.DrainDrained))

	var got []string
	for range 4 {
		select {
		case one := <-written:
			got = append(got, one)
		case <-time.After(time.Minute):
			t.Fatalf("only these events were written: %q", got)
		}
	}
	slices.Sort(got)
	want := []string{"DrainPolicy: Ordinal 1: moved 1", "DrainPolicy: Ordinal 2: moved 2", "StatefulSet: Ordinal 1: moved 1", "StatefulSet: Ordinal 2: moved 2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestIgnoredTellsOnceOfAnAnnotation(t *testing.T) {
	const scaledown, drainer = drainv1alpha1.ScaledownPodTemplateAnnotation, drainv1alpha1.DrainerPodTemplateAnnotation
	status := func(keys ...drainv1alpha1.TemplateAnnotation) drainv1alpha1.DrainPolicyStatus {
		return drainv1alpha1.DrainPolicyStatus{StatefulSet: &drainv1alpha1.ObservedStatefulSet{IgnoredAnnotations: keys}}
	}
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}
	policy.Spec.StatefulSetRef.Name = "store"
	deleted := policy.DeepCopy()
	deleted.DeletionTimestamp = &metav1.Time{}
	for name, tc := range map[string]struct {
		policy        *drainv1alpha1.DrainPolicy
		before, after drainv1alpha1.DrainPolicyStatus
		want          string
	}{
		"a new policy reports an annotation that it ignores": {policy, drainv1alpha1.DrainPolicyStatus{}, status(scaledown),
			`StatefulSet "store": its annotation statefulsets.kubernetes.io/scaledown-pod-template is ignored, ` +
				`because DrainPolicy "mine" has a template of its own`},
		"a policy reports an annotation that is new": {policy, status(), status(drainer),
			`StatefulSet "store": its annotation statefulsets.kubernetes.io/drainer-pod-template is ignored, ` +
				`because DrainPolicy "mine" has a template of its own`},
		"a policy does not report an annotation twice":            {policy, status(scaledown), status(scaledown), ""},
		"a policy does not report an annotation that was removed": {policy, status(scaledown), status(), ""},
		"a new policy without an annotation reports nothing":      {policy, drainv1alpha1.DrainPolicyStatus{}, status(), ""},
		"a policy without a StatefulSet reports nothing": {policy,
			drainv1alpha1.DrainPolicyStatus{}, drainv1alpha1.DrainPolicyStatus{}, ""},
		"a policy that is being deleted reports nothing": {deleted, status(), status(scaledown), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, n := range ignored(tc.policy, tc.before, tc.after) {
				got = append(got, n.message)
				if n.eventType != corev1.EventTypeNormal || n.reason != eventAnnotationIgnored {
					t.Errorf("the event is %+v", n)
				}
			}
			if s := strings.Join(got, "; "); s != tc.want {
				t.Errorf("told %q, want %q", s, tc.want)
			}
		})
	}
}
