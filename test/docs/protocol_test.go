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

package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statefulset-dev/drain-operator/internal/metrics"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
	"github.com/statefulset-dev/drain-operator/test/versions"
)

var update = flag.Bool("update", false, "write the tables that are generated from code into the docs")

// TestTheDocsHaveTheProtocolAsItIs compares the tables that are generated from internal/plan/protocol.go, the API's labels, the metrics and test/versions with
// the docs, or writes them there, which is what `make generate` does.
func TestTheDocsHaveTheProtocolAsItIs(t *testing.T) {
	rows := plan.Rules().Rows()
	for _, table := range []struct{ page, marker, want string }{
		{"design.md", "protocol", protocolTable(rows)},
		{"scaling.md", "scaling", scalingTable()},
		{"safety.md", "invariants", invariantsTable(t, rows)},
		{"labels.md", "labels", labelsTables(t)},
		{"compatibility.md", "features", featuresTable()},
		{"metrics.md", "metrics", metricsTable()},
	} {
		path := filepath.Join(top, "docs", table.page)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := "<!-- "+table.marker+": make generate -->\n", "<!-- /"+table.marker+" -->\n"
		before, rest, opened := strings.Cut(string(data), begin)
		got, behind, closed := strings.Cut(rest, end)
		if !opened || !closed {
			t.Errorf("%s has no %q with %q after it", path, begin, end)
			continue
		}
		if *update {
			if err := os.WriteFile(path, []byte(before+begin+table.want+end+behind), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(table.want, got); diff != "" {
			t.Errorf("%s is not what `make generate` writes (-want +got):\n%s", path, diff)
		}
	}
}

// metricsTable has a row for each family of the operator's own metrics.
func metricsTable() string {
	var table strings.Builder
	table.WriteString("| metric | type | labels | |\n|---|---|---|---|\n")
	for _, family := range metrics.Families() {
		fmt.Fprintf(&table, "| `%s` | %s | `%s` | %s |\n", family.Name, family.Kind(), strings.Join(family.Labels, "`, `"), family.Help)
	}
	return table.String()
}

// featuresTable has a row for each feature of Kubernetes and a column for each minor release.
func featuresTable() string {
	var table strings.Builder
	table.WriteString("| what Kubernetes does | feature gate |")
	for minor := versions.Oldest; minor <= versions.Newest; minor++ {
		fmt.Fprintf(&table, " 1.%d |", minor)
	}
	table.WriteString(" what the operator does without it |\n|---|---|" + strings.Repeat("---|", versions.Newest-versions.Oldest+1) + "---|\n")
	for _, feature := range versions.Features {
		fmt.Fprintf(&table, "| %s | `%s` |", feature.Name, feature.Gate)
		for minor := versions.Oldest; minor <= versions.Newest; minor++ {
			fmt.Fprintf(&table, " %s |", feature.In(minor))
		}
		fmt.Fprintf(&table, " %s |\n", feature.Without)
	}
	return table.String()
}

// protocolTable has a row for each rule, in their order.
func protocolTable(rows []plan.Row) string {
	var table strings.Builder
	table.WriteString("| rule | phase | given | status | next step |\n|---|---|---|---|---|\n")
	for _, row := range rows {
		phases := strings.Join(row.Phases, ", ")
		if slices.Equal(row.Phases, []string{"unlocked", "underway", "locked"}) {
			phases = "any"
		}
		status := row.State
		if status != "" {
			reason := row.Reason
			if reason == "" {
				reason = "…"
			}
			status += ", " + reason
		}
		if row.Releases {
			// Without a lock, the status says what the row says, if it says anything.
			releasing := "Draining, ReleasingLock"
			if slices.Contains(row.Phases, "unlocked") && status != "" {
				releasing = status + "; with a lock " + releasing
			}
			status = releasing
		}
		step := row.Step
		if step == "" {
			step = "none"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", row.Rule, phases, row.Given, status, step)
	}
	return table.String()
}

// scalingTable has a row for each rule of internal/scaling, in their order.
func scalingTable() string {
	var table strings.Builder
	table.WriteString("| rule | upholds | given | Scaled | next step |\n|---|---|---|---|---|\n")
	for _, row := range scaling.Rules().Rows() {
		step := row.Step
		if step == "" {
			step = "none"
		}
		reason := row.Reason
		if reason == "" && row.Rule != "unset" {
			reason = "…"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", row.Rule, row.Upholds, row.Given, reason, step)
	}
	return table.String()
}

// invariant is the line of an invariant in internal/plan/doc.go.
var invariant = regexp.MustCompile(`(?m)^// {3}- (I\d): (.*)\.$`)

// invariantsTable has a row for each invariant.
func invariantsTable(t *testing.T, rows []plan.Row) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, "internal", "plan", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| invariant | rules that are there for it |\n|---|---|\n")
	found := invariant.FindAllStringSubmatch(string(data), -1)
	if len(found) < 5 {
		t.Fatalf("internal/plan/doc.go lists %d invariants, which can't be all", len(found))
	}
	known := map[string]bool{}
	for _, match := range found {
		known[match[1]] = true
		var rules []string
		for _, row := range rows {
			if slices.Contains(strings.Split(row.Upholds, ", "), match[1]) {
				rules = append(rules, "`"+row.Rule+"`")
			}
		}
		if len(rules) == 0 {
			t.Errorf("no rule is there for invariant %s", match[1])
		}
		fmt.Fprintf(&table, "| %s: %s | %s |\n", match[1], match[2], strings.Join(rules, ", "))
	}
	for _, row := range rows {
		for name := range strings.SplitSeq(row.Upholds, ", ") {
			if name != "" && !known[name] {
				t.Errorf("rule %s upholds %s, which internal/plan/doc.go doesn't list", row.Rule, name)
			}
		}
	}
	return table.String()
}
