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

package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/statefulset-dev/drain-operator/internal/metrics"
)

// panels returns the queries of the dashboard, by the title of their panel. Variables are replaced by what Grafana takes for all.
func panels(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, "config", "grafana", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Type    string `json:"type"`
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := map[string][]string{}
	for _, panel := range dashboard.Panels {
		if panel.Type == "row" {
			continue
		}
		for _, target := range panel.Targets {
			queries[panel.Title] = append(queries[panel.Title], strings.NewReplacer("$namespace", ".*", "$policy", ".*", "$__rate_interval", "4m").Replace(target.Expr))
		}
		if len(queries[panel.Title]) == 0 {
			t.Errorf("panel %q has no query", panel.Title)
		}
	}
	return queries
}

// TestTheDashboardNamesMetricsThatExist reads every query of the dashboard, and lets promtool parse it.
func TestTheDashboardNamesMetricsThatExist(t *testing.T) {
	t.Parallel()
	all := ""
	var rules []map[string]string
	for title, queries := range panels(t) {
		for _, query := range queries {
			if missing := unknown(t, query); missing != nil {
				t.Errorf("panel %q is about %q, which docs/metrics.md doesn't list", title, missing)
			}
			if strings.Contains(query, "$") {
				t.Errorf("panel %q has a variable that the dashboard lacks: %s", title, query)
			}
			rules = append(rules, map[string]string{"record": fmt.Sprintf("panel_%d", len(rules)), "expr": query})
			all += query + "\n"
		}
	}
	if len(rules) < 20 {
		t.Fatalf("found %d queries, which can't be all", len(rules))
	}
	for _, alert := range alerts(t) {
		all += alert.Expr + "\n"
	}
	for _, family := range metrics.Families() {
		if !strings.Contains(all, family.Name) {
			t.Errorf("no panel and no alert is about %s", family.Name)
		}
	}
	data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if output, ok := promtool(t, "check", "rules", file); !ok {
		t.Error(output)
	}
}
