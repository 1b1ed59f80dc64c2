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
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const top = "../.."

// rule is an alert of a file of rules.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// groups is what a file of rules holds.
type groups struct {
	Groups []struct {
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

func rulesFile() string { return filepath.Join(top, "config", "prometheus", "rules.yaml") }

// writeRules writes the groups of a PrometheusRule or of a plain file of rules into a file that promtool reads, and returns its path.
func writeRules(t *testing.T, folder, name, from string) string {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Spec   map[string]any `json:"spec"`
		Groups any            `json:"groups"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatalf("%s: %v", from, err)
	}
	if file.Groups == nil {
		file.Groups = file.Spec["groups"]
	}
	if file.Groups == nil {
		t.Fatalf("%s has no groups of rules", from)
	}
	data, err = yaml.Marshal(map[string]any{"groups": file.Groups})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// alerts returns the operator's alerts.
func alerts(t *testing.T) []rule {
	t.Helper()
	data, err := os.ReadFile(writeRules(t, t.TempDir(), "rules.yaml", rulesFile()))
	if err != nil {
		t.Fatal(err)
	}
	var file groups
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// program returns the path of one of prometheus, promtool and alertmanager, which hack/prometheus.sh finds or downloads.
func program(t *testing.T, name string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(top, "hack", "prometheus.sh"))
	var problems bytes.Buffer
	command.Stderr = &problems
	folder, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &problems)
	}
	return filepath.Join(strings.TrimSpace(string(folder)), name)
}

// promtool runs promtool and returns what it prints, and whether it found nothing wrong.
func promtool(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), program(t, "promtool"), args...).CombinedOutput()
	return string(output), err == nil
}
