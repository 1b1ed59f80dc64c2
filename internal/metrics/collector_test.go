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

package metrics

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// noon is the time that the times of these tests are relative to, in minutes.
var noon = time.Unix(1_800_000_000, 0)

func at(minute int) *metav1.Time {
	return ptr.To(metav1.NewTime(noon.Add(time.Duration(minute) * time.Minute)))
}

func entry(ordinal int32, state drainv1alpha1.DrainState, reason string, orphaned *metav1.Time) drainv1alpha1.DrainStatus {
	return drainv1alpha1.DrainStatus{Ordinal: &ordinal, State: state, Reason: reason, OrphanedTime: orphaned, LastTransitionTime: at(5)}
}

// policyOf returns a policy for a StatefulSet with the ordinals 0 to 2.
func policyOf(name string, undrained, kept int32, drains ...drainv1alpha1.DrainStatus) drainv1alpha1.DrainPolicy {
	return drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-of-" + name)},
		Spec:       drainv1alpha1.DrainPolicySpec{StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "set-of-" + name}},
		Status: drainv1alpha1.DrainPolicyStatus{
			StatefulSet: &drainv1alpha1.ObservedStatefulSet{StartOrdinal: ptr.To[int32](0), Replicas: ptr.To[int32](3)},
			Undrained:   &undrained, Kept: &kept, Drains: drains,
		},
	}
}

// lead is a channel that says that this manager leads.
func lead() <-chan struct{} {
	leading := make(chan struct{})
	close(leading)
	return leading
}

// full is a look at which every family has a series, and the events that belong to it.
func full() (*Seen, *Events) {
	policy := policyOf("carts", 3, 1,
		entry(7, drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed, at(-60)),
		entry(6, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForSlot, at(-30)),
		entry(5, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForSlot, at(-45)),
		entry(4, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept, at(-90)),
		entry(3, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted, at(-120)),
		entry(2, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonBackInRange, nil),
	)
	policy.Status.OrphanedCapacity = ptr.To(resource.MustParse("4Gi"))
	policy.Status.StrandedClaims = []drainv1alpha1.ClaimReference{{Name: "old-set-of-carts-9", UID: "1"}}
	policy.Status.Conditions = []metav1.Condition{
		{Type: drainv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: drainv1alpha1.ReasonAccepted},
		{Type: drainv1alpha1.ConditionStalled, Status: metav1.ConditionFalse, Reason: drainv1alpha1.ReasonProgressing},
	}
	gone := Key{types.NamespacedName{Namespace: "shop", Name: "gone"}, "uid-of-gone"}
	events := &Events{}
	key := KeyOf(&policy)
	events.Decided("start")
	events.Decided("start")
	events.AttemptFailed(key, drainv1alpha1.ReasonJobFailed)
	events.AttemptSucceeded(key, 5*time.Second)
	events.AttemptSucceeded(key, 10*time.Hour)
	events.ClaimDeleted(key)
	policy.Spec.Leave = &drainv1alpha1.LeaveOptions{}
	events.MemberFailed(key, drainv1alpha1.ActionLeave, drainv1alpha1.ReasonNotProven)
	events.MemberSucceeded(key, drainv1alpha1.ActionLeave, 2*time.Second)
	events.MemberSucceeded(key, drainv1alpha1.ActionRejoin, 2*time.Minute)
	return &Seen{Policies: []drainv1alpha1.DrainPolicy{policy}, Locks: map[Key][]int32{key: {7, 2}, gone: {0}}}, events
}

func registryOf(seen *Seen, events *Events, leading <-chan struct{}) *prometheus.Registry {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(func() (*Seen, error) { return seen, nil }, events, leading))
	return registry
}

// TestMetricsFollowPrometheusConventions runs the linter of promtool, and holds the labels to those whose number of values has a bound.
func TestMetricsFollowPrometheusConventions(t *testing.T) {
	seen, events := full()
	registry := registryOf(seen, events, lead())
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(gathered) != len(Families()) {
		t.Errorf("gathered %d families, want all %d", len(gathered), len(Families()))
	}
	bounded := []string{"namespace", "policy", "statefulset", "state", "condition", "status", "reason", "result", "action", "rule"}
	for _, family := range gathered {
		if !strings.HasPrefix(family.GetName(), "drain_operator_") {
			t.Errorf("%s doesn't have the prefix of the operator's own metrics", family.GetName())
		}
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				if !slices.Contains(bounded, label.GetName()) {
					t.Errorf("%s has the label %s", family.GetName(), label.GetName())
				}
			}
		}
	}
}

var update = os.Getenv("UPDATE_GOLDEN") != ""

// TestCollect compares all that is served for one policy, and for the lock of one that was deleted, with a golden file. UPDATE_GOLDEN=1 writes it.
func TestCollect(t *testing.T) {
	seen, events := full()
	got := text(t, registryOf(seen, events, lead()))
	golden := filepath.Join("testdata", "full.txt")
	if update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// text returns what a registry serves, without the comments.
func text(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var served strings.Builder
	for _, family := range gathered {
		if _, err := expfmt.MetricFamilyToText(&served, family); err != nil {
			t.Fatal(err)
		}
	}
	return regexp.MustCompile(`(?m)^# .*\n`).ReplaceAllString(served.String(), "")
}

func TestMetricsOfAPolicyEndWithIt(t *testing.T) {
	seen, events := full()
	registry := registryOf(seen, events, lead())
	if got := text(t, registry); !strings.Contains(got, `policy="carts"`) {
		t.Fatalf("metrics lack the policy:\n%s", got)
	}
	carts := seen.Policies[0]
	seen.Policies, seen.Locks = nil, nil
	if got := text(t, registry); strings.Contains(got, "policy=") {
		t.Errorf("metrics have a policy that was deleted:\n%s", got)
	}

	key := KeyOf(&carts)
	again := key
	again.UID = "another"
	if got := events.of(again); got.deleted != 0 || got.count != 0 {
		t.Errorf("a policy that was created again has the counts %+v", got)
	}
	events.Forget(key.NamespacedName)
	if got := events.of(key); got.deleted != 0 || got.count != 0 || len(got.attempts) != 0 {
		t.Errorf("a policy that was forgotten has the counts %+v", got)
	}
	if len(events.policies) != 0 {
		t.Error("a policy that was forgotten takes memory")
	}
}

func TestAPolicyWithoutLeaveHasNoMetricsOfMembers(t *testing.T) {
	seen, events := full()
	const leaves = `drain_operator_member_attempts_total{action="leave",namespace="shop",policy="carts",result="Succeeded"} 1`
	if got := text(t, registryOf(seen, events, lead())); !strings.Contains(got, leaves) {
		t.Fatalf("a policy with leave lacks %s in\n%s", leaves, got)
	}
	seen.Policies[0].Spec.Leave = nil
	if got := text(t, registryOf(seen, events, lead())); strings.Contains(got, "_member_") {
		t.Errorf("a policy without leave has\n%s", got)
	}
}

func TestMetricsOfPoliciesAreServedOnlyByTheLeader(t *testing.T) {
	seen, events := full()
	if got := text(t, registryOf(seen, events, make(chan struct{}))); got != "" {
		t.Errorf("a manager that stands by serves:\n%s", got)
	}
}

func TestAScrapeFailsWhenTheCachesCannotBeRead(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(func() (*Seen, error) { return nil, errors.New("no caches") }, &Events{}, lead()))
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), "no caches") {
		t.Errorf("Gather() = %v, want the error of the caches", err)
	}
}

func TestEventsOfNothingCountNothing(t *testing.T) {
	var events *Events
	events.Decided("rule")
	events.ClaimDeleted(Key{})
	events.Forget(types.NamespacedName{})
	if got := events.of(Key{}); got.deleted != 0 {
		t.Errorf("deleted = %d", got.deleted)
	}
}

func TestByState(t *testing.T) {
	// manyOf are entries of one state from the ordinal 3 on.
	manyOf := func(number int, state drainv1alpha1.DrainState, reason string) []drainv1alpha1.DrainStatus {
		var drains []drainv1alpha1.DrainStatus
		for i := range int32(number) {
			drains = append(drains, entry(i+3, state, reason, at(0)))
		}
		return drains
	}
	for name, test := range map[string]struct {
		undrained, kept int32
		drains          []drainv1alpha1.DrainStatus
		want            map[drainv1alpha1.DrainState]int32
	}{
		"a status that lists all is counted from its entries": {2, 0,
			slices.Concat(manyOf(1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning), manyOf(1, drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimLost)),
			map[drainv1alpha1.DrainState]int32{drainv1alpha1.DrainDraining: 1, drainv1alpha1.DrainBlocked: 1},
		},
		"claims that were drained and deleted are not counted": {0, 1,
			slices.Concat(manyOf(4, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted), manyOf(1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)),
			map[drainv1alpha1.DrainState]int32{drainv1alpha1.DrainDrained: 1},
		},
		"ordinals that the status has no room for wait": {1000, 0,
			slices.Concat(manyOf(1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning), manyOf(99, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForSlot)),
			map[drainv1alpha1.DrainState]int32{drainv1alpha1.DrainDraining: 1, drainv1alpha1.DrainWaiting: 999},
		},
		"ordinals that the status has no room for are retained if one that it lists is": {1000, 0,
			slices.Concat(manyOf(10, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonSuspended), manyOf(90, drainv1alpha1.DrainRetained, drainv1alpha1.ReasonSkipped)),
			map[drainv1alpha1.DrainState]int32{drainv1alpha1.DrainWaiting: 10, drainv1alpha1.DrainRetained: 990},
		},
		"claims without data are in no counter of the status, and add nothing": {99, 0,
			slices.Concat(manyOf(99, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForSlot), manyOf(1, drainv1alpha1.DrainRetained, drainv1alpha1.ReasonNeverBound)),
			map[drainv1alpha1.DrainState]int32{drainv1alpha1.DrainWaiting: 99, drainv1alpha1.DrainRetained: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy := policyOf("carts", test.undrained, test.kept, test.drains...)
			got := byState(&policy.Status)
			for _, state := range states {
				if got[state] != test.want[state] {
					t.Errorf("%s: %d, want %d", state, got[state], test.want[state])
				}
			}
		})
	}
}

func TestBlockedSince(t *testing.T) {
	back := entry(2, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonBackInRange, nil)
	out := entry(3, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning, at(0))
	for name, test := range map[string]struct {
		drain  drainv1alpha1.DrainStatus
		locked []int32
		want   *metav1.Time
	}{
		"a locked ordinal that is back in range is blocked":           {back, []int32{2}, at(5)},
		"an ordinal in range whose lock is released is not blocked":   {back, []int32{3}, nil},
		"a locked ordinal that is out of range blocks no scale-up":    {out, []int32{3}, nil},
		"an ordinal that another policy of the name locks is ignored": {back, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			policy := policyOf("carts", 1, 0, test.drain)
			if got := blockedSince(&policy.Status, test.locked); !got.Equal(test.want) {
				t.Errorf("blocked since %v, want %v", got, test.want)
			}
		})
	}
}

// BenchmarkScrape is a scrape with 1,000 policies.
func BenchmarkScrape(b *testing.B) {
	seen, events := full()
	one := seen.Policies[0]
	seen.Policies = nil
	for i := range 1000 {
		one.Name = fmt.Sprintf("policy-%d", i)
		seen.Policies = append(seen.Policies, one)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(func() (*Seen, error) { return seen, nil }, events, lead()))
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
