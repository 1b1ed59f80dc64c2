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
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/statefulset-dev/drain-operator/internal/metrics"
)

func TestTheRulesAreValid(t *testing.T) {
	t.Parallel()
	if output, ok := promtool(t, "check", "rules", "--lint=all", "--lint-fatal", writeRules(t, t.TempDir(), "rules.yaml", rulesFile())); !ok {
		t.Error(output)
	}
}

// TestTheAlertsFire runs the unit tests of testdata/alerts.yaml, and looks that each alert has one in which it fires and one in which it
// doesn't.
func TestTheAlertsFire(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeRules(t, folder, "rules.yaml", rulesFile())
	data, err := os.ReadFile(filepath.Join("testdata", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(folder, "alerts.yaml")
	if err := os.WriteFile(unit, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if output, ok := promtool(t, "test", "rules", unit); !ok {
		t.Error(output)
	}

	var file struct {
		Tests []struct {
			Expressions []struct {
				Expr    string `json:"expr"`
				Samples []any  `json:"exp_samples"`
			} `json:"promql_expr_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	about := regexp.MustCompile(`ALERTS\{alertname="(\w+)"`)
	for _, test := range file.Tests {
		for _, expression := range test.Expressions {
			if match := about.FindStringSubmatch(expression.Expr); match != nil {
				fires[match[1]] = fires[match[1]] || len(expression.Samples) > 0
				silent[match[1]] = silent[match[1]] || len(expression.Samples) == 0
			}
		}
	}
	for _, alert := range alerts(t) {
		// The inhibition has a test of its own.
		if alert.Alert != "DrainInhibitor" && (!fires[alert.Alert] || !silent[alert.Alert]) {
			t.Errorf("testdata/alerts.yaml must have series on which %s fires, and others on which it doesn't", alert.Alert)
		}
	}
}

// sections are those of every runbook page, in their order.
var sections = []string{"Meaning", "Impact", "Diagnosis", "Mitigation"}

const runbooks = "https://github.com/statefulset-dev/drain-operator/blob/main/docs/runbooks/"

func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(top, "docs", "runbooks")
	index, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"README.md"}
	for _, alert := range alerts(t) {
		name := alert.Alert + ".md"
		if alert.Annotations["runbook_url"] != runbooks+name {
			t.Errorf("%s has the runbook_url %q", alert.Alert, alert.Annotations["runbook_url"])
		}
		if alert.Annotations["summary"] == "" || alert.Annotations["description"] == "" {
			t.Errorf("%s lacks a summary or a description", alert.Alert)
		}
		if !slices.Contains([]string{"critical", "warning", "info", "none"}, alert.Labels["severity"]) {
			t.Errorf("%s has the severity %q", alert.Alert, alert.Labels["severity"])
		}
		if !strings.Contains(string(index), "]("+name+")") {
			t.Errorf("docs/runbooks/README.md doesn't list %s", name)
		}
		if !slices.Contains(want, name) {
			want = append(want, name)
		}
		page, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
			continue
		}
		var found []string
		for _, heading := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(string(page), -1) {
			found = append(found, heading[1])
		}
		if !slices.Equal(found, sections) || !strings.HasPrefix(string(page), "# "+alert.Alert+"\n") {
			t.Errorf("docs/runbooks/%s has the sections %q, want %q below its name", name, found, sections)
		}
	}
	pages, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !slices.Contains(want, page.Name()) {
			t.Errorf("docs/runbooks/%s is about no alert", page.Name())
		}
	}
}

// name is a metric in a query: a word that begins with the prefix of an exporter.
var name = regexp.MustCompile(`\b(?:drain_operator|controller_runtime|leader_election|workqueue|rest_client|process|go)_\w+\b`)

// unknown returns the names of metrics in a query that docs/metrics.md doesn't list. The page is compared with what a manager serves.
func unknown(t *testing.T, query string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(top, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, metric := range name.FindAllString(query, -1) {
		if strings.HasPrefix(metric, "go_") || strings.HasPrefix(metric, "process_") {
			continue
		}
		family := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(metric, "")
		if !strings.Contains(string(page), "`"+metric+"`") && !strings.Contains(string(page), "`"+family+"`") {
			missing = append(missing, metric)
		}
	}
	return missing
}

func TestTheAlertsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	used := ""
	for _, alert := range alerts(t) {
		if missing := unknown(t, alert.Expr); missing != nil {
			t.Errorf("%s is about %q, which docs/metrics.md doesn't list", alert.Alert, missing)
		}
		used += alert.Expr
	}
	if missing := unknown(t, "drain_operator_nothing"); missing == nil {
		t.Error("a metric that doesn't exist is not found out")
	}
	if !strings.Contains(used, metrics.Families()[0].Name[:len("drain_operator_")]) {
		t.Error("the alerts are about no metric of the operator")
	}
}

// TestTheCertificateIsTheOneThatIsTrusted holds what cert-manager is to make to what the manager mounts and the ServiceMonitor checks.
func TestTheCertificateIsTheOneThatIsTrusted(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(top, "config", "components", "cert-manager", "certificate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	issuer, second, _ := strings.Cut(string(data), "\n---\n")
	var certificate struct {
		Metadata struct {
			Namespace string `json:"namespace"`
		} `json:"metadata"`
		Spec struct {
			SecretName string   `json:"secretName"`
			DNSNames   []string `json:"dnsNames"`
			IssuerRef  struct {
				Name string `json:"name"`
			} `json:"issuerRef"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(second), &certificate); err != nil {
		t.Fatal(err)
	}
	var monitor struct {
		Spec struct {
			Endpoints []struct {
				HonorLabels bool `json:"honorLabels"`
				TLSConfig   struct {
					InsecureSkipVerify bool   `json:"insecureSkipVerify"`
					ServerName         string `json:"serverName"`
					CA                 struct {
						Secret struct {
							Name string `json:"name"`
						} `json:"secret"`
					} `json:"ca"`
				} `json:"tlsConfig"`
			} `json:"endpoints"`
		} `json:"spec"`
	}
	if data, err = os.ReadFile(filepath.Join(top, "config", "prometheus", "monitor.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &monitor); err != nil {
		t.Fatal(err)
	}
	endpoint := monitor.Spec.Endpoints[0]
	if !slices.Equal(certificate.Spec.DNSNames, []string{endpoint.TLSConfig.ServerName}) || endpoint.TLSConfig.InsecureSkipVerify {
		t.Errorf("the certificate is for %q, and the ServiceMonitor checks for %q", certificate.Spec.DNSNames, endpoint.TLSConfig.ServerName)
	}
	if !endpoint.HonorLabels {
		t.Error("without honorLabels, the label namespace of the metrics would be the operator's")
	}
	overlay, err := os.ReadFile(filepath.Join(top, "config", "components", "monitoring", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if certificate.Spec.SecretName != endpoint.TLSConfig.CA.Secret.Name || !strings.Contains(string(overlay), "secretName: "+certificate.Spec.SecretName+"\n") {
		t.Errorf("cert-manager writes the Secret %q, and the ServiceMonitor reads %q", certificate.Spec.SecretName, endpoint.TLSConfig.CA.Secret.Name)
	}
	if !strings.Contains(string(data), "serverName: drain-operator-controller-manager-metrics."+certificate.Metadata.Namespace+".svc") {
		t.Errorf("the certificate is in the namespace %q", certificate.Metadata.Namespace)
	}
	if !strings.Contains(issuer, "kind: Issuer\nmetadata:\n  name: "+certificate.Spec.IssuerRef.Name+"\n") {
		t.Errorf("there is no Issuer %q", certificate.Spec.IssuerRef.Name)
	}
}
