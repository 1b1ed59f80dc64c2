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
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// TestTheAlertsFireOnARealRun runs the alerts on the series of a run on the local cluster, in which everything went as in test/e2e: in the
// namespace "drained", one ordinal was drained, a second policy named the same StatefulSet, and a claim had other labels than those of the
// StatefulSet; in "failing", three attempts failed in a row; in "blocked", the StatefulSet was scaled up again during a drain. After the
// recording, everything stays as it was at its end.
func TestTheAlertsFireOnARealRun(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "recorded.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var recording struct {
		Interval string              `json:"interval"`
		Series   []map[string]string `json:"input_series"`
	}
	if err := yaml.Unmarshal(data, &recording); err != nil {
		t.Fatal(err)
	}
	step, err := time.ParseDuration(recording.Interval)
	if err != nil {
		t.Fatal(err)
	}
	const after = 90 * time.Minute
	samples := 0
	for _, series := range recording.Series {
		values := strings.Fields(series["values"])
		samples = max(samples, len(values))
		// The last sample may not have been taken yet.
		if last := slices.IndexFunc(values[len(values)-3:], func(value string) bool { return value != "_" }); last >= 0 {
			for values[len(values)-1] == "_" {
				values = values[:len(values)-1]
			}
			values = append(values, fmt.Sprintf("%sx%d", values[len(values)-1], after/step))
		}
		series["values"] = strings.Join(values, " ")
	}
	end := time.Duration(samples) * step

	expect := func(when time.Duration, alerts ...string) map[string]any {
		expected := []map[string]any{}
		for _, alert := range alerts {
			name, policy, _ := strings.Cut(alert, " ")
			namespace, policy, _ := strings.Cut(policy, "/")
			expected = append(expected, map[string]any{"labels": fmt.Sprintf("{alertname=%q, namespace=%q, policy=%q}", name, namespace, policy), "value": 1})
		}
		return map[string]any{
			"expr":      `group by (alertname, namespace, policy) (ALERTS{alertstate="firing", alertname!="DrainInhibitor"})`,
			"eval_time": when.String(), "exp_samples": expected,
		}
	}
	test := map[string]any{
		"rule_files": []string{"rules.yaml"}, "evaluation_interval": "5s",
		"tests": []map[string]any{{
			"interval": recording.Interval, "input_series": recording.Series,
			"promql_expr_test": []map[string]any{
				expect(time.Minute),
				expect(end, "DrainStalled failing/datastore"),
				// Drains that are in the way of a scale-up mute the usual alerts at once.
				{
					"expr":        `group by (namespace, statefulset) (ALERTS{alertname="DrainInhibitor", alertstate="firing"})`,
					"eval_time":   end.String(),
					"exp_samples": []map[string]any{{"labels": `{namespace="blocked", statefulset="datastore"}`, "value": 1}},
				},
				expect(end+20*time.Minute, "DrainStalled failing/datastore", "DrainPolicyNotReady drained/rival"),
				expect(end+40*time.Minute, "DrainStalled failing/datastore", "DrainPolicyNotReady drained/rival", "DrainScaleUpBlocked blocked/datastore"),
				expect(end+70*time.Minute, "DrainStalled failing/datastore", "DrainPolicyNotReady drained/rival", "DrainScaleUpBlocked blocked/datastore",
					"DrainClaimsStranded drained/datastore", "DrainClaimsStranded drained/rival"),
			},
		}},
	}
	folder := t.TempDir()
	writeRules(t, folder, "rules.yaml", rulesFile())
	if data, err = yaml.Marshal(test); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(folder, "recorded.yaml")
	if err := os.WriteFile(unit, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if output, ok := promtool(t, "test", "rules", unit); !ok {
		t.Error(output)
	}
}
