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

package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statefulset-dev/drain-operator/test/bench/audit"
)

func TestQuantilesOf(t *testing.T) {
	var times []time.Duration
	for n := 200; n > 0; n-- {
		times = append(times, time.Duration(n)*time.Second)
	}
	for name, tc := range map[string]struct {
		times []time.Duration
		want  Quantiles
	}{
		"of none":       {nil, Quantiles{}},
		"of one":        {[]time.Duration{time.Second}, Quantiles{1, 1, 1}},
		"of two":        {[]time.Duration{3 * time.Second, time.Second}, Quantiles{1, 3, 3}},
		"of 1 s to 200": {times, Quantiles{100, 198, 200}},
	} {
		if got := QuantilesOf(tc.times); got != tc.want {
			t.Errorf("quantiles %s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestBestKeepsTheFastestOfEachShape(t *testing.T) {
	small, large := Shape{Scenario: "burst", Sets: 10}, Shape{Scenario: "burst", Sets: 50}
	run := func(shape Shape, seconds float64) Measurement {
		return Measurement{Shape: shape, Operator: &Run{Seconds: seconds}}
	}
	best := Best([]Measurement{run(small, 3), run(large, 9), run(small, 2), run(large, 10)})
	if len(best) != 2 || best[0].Operator.Seconds != 2 || best[1].Operator.Seconds != 9 {
		t.Errorf("got %+v, want 2 s for 10 sets and 9 s for 50", best)
	}
}

// results returns a run with a measurement of every kind.
func results(label string) *Results {
	burst := func(sets int, operator, bare float64) Measurement {
		return Measurement{
			Shape: Shape{Scenario: "burst", Sets: sets, From: 3, To: 1, Namespaces: 1},
			Operator: &Run{Seconds: operator, Requests: audit.Counts{Writes: 28 * sets, LiveLooks: 14 * sets, Kinds: []audit.Count{
				{Kind: audit.Kind{Verb: "list", Resource: "pods", Selector: "of a namespace", Code: 200}, Requests: 14 * sets},
				{Kind: audit.Kind{Verb: "create", Resource: "jobs", DryRun: true, Code: 403}, Requests: sets},
			}}, PeakMiB: 80.4, Processors: map[string]float64{"operator": operator / 4, "kube-apiserver": operator}},
			Bare: &Run{Seconds: bare, Requests: audit.Counts{Writes: 14 * sets}, Processors: map[string]float64{"kube-apiserver": bare}},
		}
	}
	return &Results{
		Label: label, Revision: "v1-2-gabc", Kubernetes: "v1.37.0",
		Measurements: []Measurement{
			burst(100, 67, 15), burst(10, 8.04, 2),
			{
				Shape:    Shape{Scenario: "one", Sets: 1, From: 2, To: 1},
				Operator: &Run{Seconds: 1.25}, Timeline: []Moment{{1.5, "operator", "create pods web-1"}, {2.25, "cluster", "pod web-1 is gated"}},
			},
			{Shape: Shape{Scenario: "tenants", Sets: 10, From: 3, To: 1, Policies: 50, Flood: 100}, Operator: &Run{Seconds: 9}, Note: "99 writes a second"},
			{Shape: Shape{Scenario: "steady", Idle: 10_000, Claims: 30_000, Policies: 500, Foreign: 50_000}, Operator: &Run{Seconds: 60, RestMiB: 150}},
			{Shape: Shape{Scenario: "burst", Sets: 300, From: 3, To: 1}, Note: "not finished"},
		},
	}
}

func TestMarkdown(t *testing.T) {
	text := Markdown([]*Results{results("before"), results("after")})
	for _, want := range []string{
		"| 100 (200) | before | 67.0 | 15.0 | 4.5 | 14.0 (7) |",
		"| 10 (20) | after | 8.0 | 2.0 | 4.0 | 14.0 (7) |",
		"| list pods of a namespace | 7.00 | 7.00 |",
		"| create jobs, dry run, 403 | 0.50 | 0.50 |",
		"| N (orphans) | drained by | all programs | kube-apiserver | operator |",
		"| 100 (200) | after | 419 | 335 | 84 |",
		"| 100 (200) | bare client | 75 | 75 | 0 |",
		"50 policies, 99 writes a second",
		"| at rest | before | 10000 / 30000 / 500 / 50000 | 60.0 | 0 | 150 |",
		"     1.5  operator  create pods web-1\n     2.2            pod web-1 is gated\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the tables lack %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "| 300 (600)") {
		t.Error("a measurement that the operator did not finish has a row")
	}
	if strings.Index(text, "| 10 (20) |") > strings.Index(text, "| 100 (200) |") {
		t.Error("the rows are not sorted by size")
	}
}

func TestChartIsXMLWithALineForEachRun(t *testing.T) {
	svg := Chart([]*Results{results("before"), results("after & later")})
	if got := strings.Count(svg, "<polyline"); got != 4 {
		t.Errorf("got %d lines, want 4", got)
	}
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(Chart(nil), "</svg>") {
		t.Error("no results make no chart")
	}
}

func TestAxisBeginsAndEndsAtATick(t *testing.T) {
	for name, tc := range map[string]struct {
		points []point
		want   []float64
	}{
		"within a decade": {[]point{{x: 1.2}, {x: 3}}, []float64{1, 2, 5}},
		"at ticks":        {[]point{{x: 20}, {x: 200}}, []float64{20, 50, 100, 200}},
		"below 1":         {[]point{{x: 0.3}, {x: 1}}, []float64{0.2, 0.5, 1}},
		"one point":       {[]point{{x: 5}}, []float64{5, 10}},
	} {
		got := axisOf([]series{{points: tc.points}}, func(p point) float64 { return p.x }).ticks()
		equal := func(a, b float64) bool { return a/b > 0.999 && a/b < 1.001 }
		if !slices.EqualFunc(got, tc.want, equal) {
			t.Errorf("%s: got the ticks %v, want %v", name, got, tc.want)
		}
	}
}

func TestRender(t *testing.T) {
	folder := t.TempDir()
	document, file := filepath.Join(folder, "performance.md"), filepath.Join(folder, "before.json")
	if err := results("before").Save(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(document, []byte("# Title\n"+begin+"old\n"+end+"rest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(folder, "images", "performance.svg")
	for range 2 { // The second time, it finds what it wrote.
		if err := Render([]string{file}, document, chart); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(text, []byte("# Title\n"+begin+"**Runs**")) || !bytes.HasSuffix(text, []byte(end+"rest\n")) || bytes.Contains(text, []byte("old")) {
		t.Errorf("the document is\n%s", text)
	}
	if _, err := os.Stat(chart); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(document, []byte("no markers\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Render([]string{file}, document, chart); err == nil {
		t.Error("a document without the two lines has no error")
	}
}
