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

package audit

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const user = "system:serviceaccount:ns:operator"

// line is an audit event as the API server writes it.
func line(stage, verb, uri, object string, code int, received string) string {
	return fmt.Sprintf(`{"kind":"Event","level":"Metadata","stage":%q,"requestURI":%q,"verb":%q,"user":{"username":%q},"userAgent":"operator/v1",`+
		`"objectRef":{%s},"responseStatus":{"code":%d},"requestReceivedTimestamp":%q,"stageTimestamp":%q}`+"\n",
		stage, uri, verb, user, object, code, received, received)
}

var log = strings.Join([]string{
	line("ResponseStarted", "watch", "/api/v1/pods?watch=true", `"resource":"pods"`, 200, "2026-01-01T00:00:01.000000Z"),
	line("ResponseComplete", "watch", "/api/v1/pods?watch=true", `"resource":"pods"`, 200, "2026-01-01T00:00:01.000000Z"),
	line("ResponseComplete", "list", "/api/v1/namespaces/a/pods", `"resource":"pods","namespace":"a"`, 200, "2026-01-01T00:00:02.000000Z"),
	line("ResponseComplete", "list", "/api/v1/pods?limit=500&resourceVersion=0", `"resource":"pods"`, 200, "2026-01-01T00:00:02.100000Z"),
	line("ResponseComplete", "get", "/x", `"resource":"statefulsets","namespace":"a","name":"web"`, 404, "2026-01-01T00:00:02.200000Z"),
	line("ResponseComplete", "create", "/x?dryRun=All", `"resource":"jobs","namespace":"a"`, 201, "2026-01-01T00:00:03.000000Z"),
	line("ResponseComplete", "create", "/x", `"resource":"jobs","namespace":"a","name":"j"`, 201, "2026-01-01T00:00:03.100000Z"),
	line("ResponseComplete", "patch", "/x", `"resource":"drainpolicies","subresource":"status","namespace":"a","name":"p"`, 409, "2026-01-01T00:00:03.200000Z"),
	line("ResponseComplete", "create", "/x", `"resource":"events","namespace":"a"`, 201, "2026-01-01T00:00:03.300000Z"),
	line("ResponseComplete", "update", "/x", `"resource":"leases","namespace":"a","name":"l"`, 200, "2026-01-01T00:00:03.400000Z"),
	line("ResponseComplete", "delete", "/x", `"resource":"pods","namespace":"a","name":"web-1"`, 429, "2026-01-01T00:00:09.000000Z"),
}, "")

func TestReadCountsEachRequestOnce(t *testing.T) {
	requests, err := Read(strings.NewReader(log + `{"kind":"Event","the rest is still being wri`))
	if err != nil {
		t.Fatal(err)
	}
	if len(requests) != 10 {
		t.Fatalf("got %d requests, want 10: the watch counts once, and the incomplete line not at all", len(requests))
	}
	if got := requests[4]; got.Verb != "create" || !got.DryRun() || got.Write() || got.Namespace != "a" {
		t.Errorf("got %+v, want the dry run of a Job's creation", got)
	}
}

func TestReadNamesTheLineThatIsNoJSON(t *testing.T) {
	if _, err := Read(strings.NewReader("no JSON\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v, want an error that names line 1", err)
	}
}

func TestSum(t *testing.T) {
	requests, err := Read(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	got := Sum(append(requests, Request{User: "another", Verb: "create", Resource: "pods"}), user)
	kinds := got.Kinds
	got.Kinds = nil
	want := Counts{Requests: 10, Writes: 3, StatusWrites: 1, Events: 1, DryRuns: 1, Conflicts: 1, LiveLooks: 1, Lists: 2, Gets: 1, Throttled: 1}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(kinds) != 10 {
		t.Errorf("got %d kinds, want 10: %+v", len(kinds), kinds)
	}
}

func TestWindow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(file, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 1, 1, 0, 0, 3, 0, time.UTC)
	requests, err := Window(file, from, from.Add(6*time.Second))
	if err != nil || len(requests) != 5 {
		t.Errorf("got %d requests, %v, want the 5 of the third second: the end is not part of the window", len(requests), err)
	}
}

func TestLiveLook(t *testing.T) {
	for query, want := range map[string]bool{
		"":                                true,
		"labelSelector=a%3Db":             true,
		"resourceVersion=0":               false,
		"limit=500&continue=x":            false,
		"limit=1000":                      true,
		"resourceVersion=&labelSelector=": true,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&Request{Verb: "list", Resource: "pods", Query: values}).LiveLook(); got != want {
			t.Errorf("a list of pods with the query %q: got %t, want %t", query, got, want)
		}
	}
	if (&Request{Verb: "list", Resource: "jobs"}).LiveLook() {
		t.Error("a list of Jobs counts as a live look")
	}
}

func TestSelector(t *testing.T) {
	for _, tc := range []struct{ namespace, query, want string }{
		{"a", "labelSelector=x", "by labels"},
		{"a", "fieldSelector=x", "by fields"},
		{"a", "fieldSelector=x&labelSelector=y", "by labels and fields"},
		{"a", "", "of a namespace"},
		{"", "", "of the cluster"},
	} {
		values, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&Request{Namespace: tc.namespace, Query: values}).Selector(); got != tc.want {
			t.Errorf("a list in namespace %q with the query %q is %q, want %q", tc.namespace, tc.query, got, tc.want)
		}
	}
}
