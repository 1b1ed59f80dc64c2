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

package scenario

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/statefulset-dev/drain-operator/test/bench/audit"
	"github.com/statefulset-dev/drain-operator/test/bench/cluster"
	"github.com/statefulset-dev/drain-operator/test/bench/report"
	"github.com/statefulset-dev/drain-operator/test/bench/track"
	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

func TestTimelineSumsReadsUpInTheNextWrite(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(millis int) time.Time { return start.Add(time.Duration(millis) * time.Millisecond) }
	request := func(verb, resource, name string, done int) audit.Request {
		return audit.Request{User: cluster.Operator, Verb: verb, Resource: resource, Name: name, Code: 200, Query: url.Values{}, Received: at(done - 2), Done: at(done)}
	}
	moments := timeline(start, []audit.Request{
		request("patch", "pods", "web-1", 40),
		request("get", "drainpolicies", "web", 10),
		request("list", "pods", "", 12),
		request("create", "pods", "web-1", 20),
		request("watch", "pods", "", 15),
		{User: cluster.Bare, Verb: "create", Resource: "pods", Done: at(16)},
	}, []track.Sight{{Time: at(30), Text: "pod web-1 is gated"}})
	want := []string{
		"create pods web-1: 200 in 2.0 ms, after 2 reads, 1 of them lists of pods",
		"pod web-1 is gated",
		"patch pods web-1: 200 in 2.0 ms",
	}
	if len(moments) != len(want) {
		t.Fatalf("got %+v", moments)
	}
	for i := range want {
		if moments[i].What != want[i] {
			t.Errorf("moment %d is %q, want %q", i, moments[i].What, want[i])
		}
	}
	if moments[0].Millis != 20 || moments[1].Who == moments[2].Who {
		t.Errorf("got %+v", moments)
	}
}

func TestAboutLeavesOutOtherNamespaces(t *testing.T) {
	requests := about([]audit.Request{{Namespace: "a"}, {Namespace: "b"}, {}}, []workload.Set{{Namespace: "a"}})
	if len(requests) != 2 || requests[0].Namespace != "a" || requests[1].Namespace != "" {
		t.Errorf("got %+v", requests)
	}
}

func TestShareAddsUp(t *testing.T) {
	for _, tc := range []struct{ number, parts int }{{50_000, 50}, {7, 3}, {2, 5}} {
		sum := 0
		for n := range tc.parts {
			sum += share(tc.number, tc.parts, n)
		}
		if sum != tc.number {
			t.Errorf("%d in %d parts adds up to %d", tc.number, tc.parts, sum)
		}
	}
}

func TestScenarios(t *testing.T) {
	plan := DefaultPlan()
	plan.Sizes = []int{10, 50}
	names := map[string]int{}
	for _, scenario := range plan.Scenarios(&Bench{}, Names()) {
		names[scenario.Shape.Scenario]++
	}
	for name, want := range map[string]int{one: 1, burst: 2, spread: 2, foreign: 1, ordinals: 4, tenants: 1, steady: 1} {
		if names[name] != want {
			t.Errorf("%s has %d sizes, want %d", name, names[name], want)
		}
	}
	if got := plan.Scenarios(&Bench{}, []string{burst}); len(got) != 2 || got[1].Shape.Orphans() != 100 {
		t.Errorf("got %+v, want bursts of 10 and of 50 sets", got)
	}
}

func TestMakeSetsSpreadsOverNamespaces(t *testing.T) {
	sets := makeSets("operator", report.Shape{Sets: 5, Namespaces: 2, From: 3, To: 1})
	namespaces := map[string]int{}
	for _, set := range sets {
		if !strings.HasPrefix(set.Namespace, "operator-") {
			t.Errorf("a set is in namespace %q", set.Namespace)
		}
		namespaces[set.Namespace]++
	}
	if len(sets) != 5 || len(namespaces) != 2 || namespaces["operator-0"] != 3 {
		t.Errorf("got %v", namespaces)
	}
}
