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

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	update = flag.Bool("update", false, "write the table of the flags into docs/flags.md")

	flagsPage   = filepath.Join("..", "..", "docs", "flags.md")
	metricsPage = filepath.Join("..", "..", "docs", "metrics.md")
)

// TestTheDocsHaveTheFlags compares the table in docs/flags.md with the flags, or writes it, which is what `make generate` does.
func TestTheDocsHaveTheFlags(t *testing.T) {
	data, err := os.ReadFile(flagsPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- flags: make generate -->\n", "<!-- /flags -->\n"
	before, rest, opened := strings.Cut(string(data), begin)
	got, behind, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no %q with %q after it", flagsPage, begin, end)
	}
	want := flagsTable()
	if *update {
		if err := os.WriteFile(flagsPage, []byte(before+begin+want+end+behind), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not what `make generate` writes (-want +got):\n%s", flagsPage, diff)
	}
}

func flagsTable() string {
	var table strings.Builder
	table.WriteString("| flag | default | |\n|---|---|---|\n")
	new(options).flags().VisitAll(func(f *flag.Flag) {
		value := "none"
		if f.DefValue != "" {
			value = "`" + f.DefValue + "`"
		}
		usage := strings.Join(strings.Fields(strings.ReplaceAll(f.Usage, "|", `\|`)), " ")
		fmt.Fprintf(&table, "| `--%s` | %s | %s |\n", f.Name, value, usage)
	})
	return table.String()
}

var (
	// metricRow is a row of a table in docs/metrics.md, which can name several.
	metricRow = regexp.MustCompile("(?m)^\\| (`[a-z_]+_[a-z_]+`(?:, `[a-z_]+`)*) \\|")
	metric    = regexp.MustCompile("`([a-z_]+)`")
	// family is how a manager serves a metric.
	family = regexp.MustCompile(`(?m)^# TYPE (\S+) `)
)

// TestTheDocsHaveTheMetrics compares the metrics that docs/metrics.md lists with those that a manager serves.
func TestTheDocsHaveTheMetrics(t *testing.T) {
	data, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range metricRow.FindAllStringSubmatch(string(data), -1) {
		for _, name := range metric.FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, name[1])
		}
	}

	environment := sharedAPIServer(t)
	address := freeAddress(t)
	manager := launch(t, newFront(t, environment.Config), "--metrics-bind-address="+address, "--metrics-secure=false",
		"--leader-elect", "--leader-elect-resource-namespace=default")
	manager.awaitProbe("/readyz", ok)
	expectWork(t, newClient(t, environment.Config), "default", "measured")
	var scraped string
	await(t, "the cache has the status, of which the metrics are made", func(context.Context) (bool, error) {
		scraped = scrape(t, address)
		return strings.Contains(scraped, "drain_operator_policy_condition{"), nil
	})
	manager.stop()

	if !strings.Contains(scraped, `drain_operator_build_info{`) || !strings.Contains(scraped, `revision="`) {
		t.Error("no metric has the version of the build")
	}
	var served []string
	for _, match := range family.FindAllStringSubmatch(scraped, -1) {
		if !strings.HasPrefix(match[1], "go_") && !strings.HasPrefix(match[1], "process_") {
			served = append(served, match[1])
		}
	}
	// The one policy here has no StatefulSet and no spec.leave, so there are no drains and no members that these could be about.
	documented = slices.DeleteFunc(documented, func(name string) bool {
		return slices.Contains([]string{
			"drain_operator_oldest_orphan_timestamp_seconds", "drain_operator_scale_up_blocked_timestamp_seconds", "drain_operator_decisions_total",
			"drain_operator_member_attempts_total", "drain_operator_member_duration_seconds",
		}, name)
	})
	slices.Sort(documented)
	slices.Sort(served)
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("%s doesn't list the metrics that a manager serves (-served +listed):\n%s", metricsPage, diff)
	}
}

func scrape(t *testing.T, address string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
