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
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// A drain of thirteen hours, in the namespace "shop": its lock is cart-2, its Job cart-2-drain, and it mounts data-cart-2, which is nearly
// full. A Job of another attempt, cart-3-drain, has failed and is kept. Meanwhile, an autoscaler has scaled the StatefulSet up again. What is
// called "other" has the same problems, and no drain.
const long = "x800"

// muted is a usual alert that a drain sets off, the label "mutes" of the alert that mutes it, and the label that names what it is about.
type muted struct {
	alert, mutes, label, drain, other string
}

var mutes = []muted{
	{"KubePodNotReady", "pods", "pod", "cart-2", "other-2"},
	{"KubeJobNotCompleted", "jobs", "job_name", "cart-2-drain", "other-running"},
	{"KubeJobFailed", "jobs", "job_name", "cart-3-drain", "other-failed"},
	{"KubeStatefulSetReplicasMismatch", "statefulsets", "statefulset", "cart", "other"},
	{"KubeHpaReplicasMismatch", "horizontalpodautoscalers", "horizontalpodautoscaler", "cart-scaler", "other-scaler"},
	{"KubePersistentVolumeFillingUp", "persistentvolumeclaims", "persistentvolumeclaim", "data-cart-2", "data-other-2"},
	{"KubePersistentVolumeInodesFillingUp", "persistentvolumeclaims", "persistentvolumeclaim", "data-cart-2", "data-other-2"},
}

// series returns what kube-state-metrics, the kubelet and the operator report during that drain. Older versions of kube-state-metrics don't
// report that a pod is gated.
func series(reportsGates bool) []map[string]string {
	var all []map[string]string
	add := func(name, labels string, value any) {
		job := "kube-state-metrics"
		if strings.HasPrefix(name, "kubelet") {
			job = "kubelet"
		}
		all = append(all, map[string]string{
			"series": fmt.Sprintf(`%s{job=%q, namespace="shop", %s}`, name, job, labels), "values": fmt.Sprint(value) + long,
		})
	}
	for _, pod := range []struct{ name, owner, ownerName, phase string }{
		{"cart-2", "DrainPolicy", "carts", "Pending"}, {"cart-2-drain-x", "Job", "cart-2-drain", "Running"}, {"other-2", "StatefulSet", "other", "Pending"},
	} {
		add("kube_pod_owner", fmt.Sprintf(`pod=%q, owner_kind=%q, owner_name=%q, owner_is_controller="true"`, pod.name, pod.owner, pod.ownerName), 1)
		for _, phase := range []string{"Pending", "Running"} {
			value := 0
			if phase == pod.phase {
				value = 1
			}
			add("kube_pod_status_phase", fmt.Sprintf(`pod=%q, phase=%q`, pod.name, phase), value)
		}
	}
	if reportsGates {
		add("kube_pod_status_reason", `pod="cart-2", reason="SchedulingGated"`, 1)
		add("kube_pod_status_reason", `pod="other-2", reason="SchedulingGated"`, 0)
	}
	for _, job := range []struct{ name, owner string }{{"cart-2-drain", "DrainPolicy"}, {"cart-3-drain", "DrainPolicy"}, {"other-running", "CronJob"}, {"other-failed", "CronJob"}} {
		add("kube_job_owner", fmt.Sprintf(`job_name=%q, owner_kind=%q, owner_name="carts", owner_is_controller="true"`, job.name, job.owner), 1)
		add("kube_job_status_start_time", fmt.Sprintf(`job_name=%q`, job.name), 0)
		if job.name == "cart-3-drain" || job.name == "other-failed" {
			add("kube_job_failed", fmt.Sprintf(`job_name=%q, condition="true"`, job.name), 1)
			add("kube_job_status_active", fmt.Sprintf(`job_name=%q`, job.name), 0)
		} else {
			add("kube_job_status_active", fmt.Sprintf(`job_name=%q`, job.name), 1)
		}
	}
	for _, set := range []string{"cart", "other"} {
		of := fmt.Sprintf("statefulset=%q", set)
		add("kube_statefulset_replicas", of, 3)
		add("kube_statefulset_status_replicas_ready", of, 2)
		add("kube_statefulset_status_replicas_updated", of, 2)
		of = fmt.Sprintf("horizontalpodautoscaler=%q", set+"-scaler")
		add("kube_horizontalpodautoscaler_info", of+fmt.Sprintf(`, scaletargetref_kind="StatefulSet", scaletargetref_name=%q`, set), 1)
		add("kube_horizontalpodautoscaler_status_desired_replicas", of, 3)
		add("kube_horizontalpodautoscaler_status_current_replicas", of, 2)
		add("kube_horizontalpodautoscaler_spec_min_replicas", of, 1)
		add("kube_horizontalpodautoscaler_spec_max_replicas", of, 9)
		of = fmt.Sprintf("persistentvolumeclaim=%q", "data-"+set+"-2")
		for _, kind := range []string{"kubelet_volume_stats_available_bytes", "kubelet_volume_stats_inodes_free"} {
			add(kind, of, 1)
		}
		for _, kind := range []string{"kubelet_volume_stats_capacity_bytes", "kubelet_volume_stats_used_bytes", "kubelet_volume_stats_inodes", "kubelet_volume_stats_inodes_used"} {
			add(kind, of, 100)
		}
	}
	add("kube_pod_spec_volumes_persistentvolumeclaims_info", `pod="cart-2-drain-x", persistentvolumeclaim="data-cart-2", volume="data"`, 1)
	add("kube_pod_spec_volumes_persistentvolumeclaims_info", `pod="other-2", persistentvolumeclaim="data-other-2", volume="data"`, 1)
	add("drain_operator_policy_info", `policy="carts", statefulset="cart"`, 1)
	add("drain_operator_scale_up_blocked_timestamp_seconds", `policy="carts"`, 0)
	return all
}

// TestTheInhibitionFitsTheUsualAlerts runs the usual alerts on a drain of thirteen hours: each of them fires about the drain, has the labels by
// which DrainInhibitor mutes it, and fires about other objects all the same.
//
// STOCK_RULES names files with the rules of a real installation, separated by colons: those of kube-prometheus, for example.
func TestTheInhibitionFitsTheUsualAlerts(t *testing.T) {
	t.Parallel()
	files := []string{filepath.Join("testdata", "stock-gated.yaml"), filepath.Join("testdata", "stock.yaml")}
	if more := os.Getenv("STOCK_RULES"); more != "" {
		files = append(files, strings.Split(more, ":")...)
	}
	for _, file := range files {
		for _, reportsGates := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gates reported: %t", filepath.Base(file), reportsGates), func(t *testing.T) {
				t.Parallel()
				folder := t.TempDir()
				writeRules(t, folder, "rules.yaml", rulesFile())
				data, err := os.ReadFile(writeRules(t, folder, "stock.yaml", file))
				if err != nil {
					t.Fatal(err)
				}
				leavesGatedOut := strings.Contains(string(data), "SchedulingGated")
				var expressions []map[string]any
				for _, m := range mutes {
					expect := func(operator, object string) {
						samples := []map[string]any{}
						if object != "" {
							samples = append(samples, map[string]any{"labels": fmt.Sprintf(`{namespace="shop", %s=%q}`, m.label, object), "value": 1})
						}
						expressions = append(expressions, map[string]any{
							"eval_time": "12h30m", "exp_samples": samples,
							"expr": fmt.Sprintf(`group by (namespace, %[2]s) (ALERTS{alertname=%[1]q, alertstate="firing"}) %[3]s on (namespace, %[2]s) ALERTS{alertname="DrainInhibitor", alertstate="firing", mutes=%[4]q}`,
								m.alert, m.label, operator, m.mutes),
						})
					}
					drain := m.drain
					if m.alert == "KubePodNotReady" && leavesGatedOut && reportsGates {
						drain = "" // Nothing to mute.
					}
					expect("and", drain)
					expect("unless", m.other)
				}
				test := map[string]any{
					"rule_files": []string{"rules.yaml", "stock.yaml"}, "evaluation_interval": "1m",
					"tests": []map[string]any{{"interval": "1m", "input_series": series(reportsGates), "promql_expr_test": expressions}},
				}
				if data, err = yaml.Marshal(test); err != nil {
					t.Fatal(err)
				}
				unit := filepath.Join(folder, "inhibition.yaml")
				if err := os.WriteFile(unit, data, 0o600); err != nil {
					t.Fatal(err)
				}
				if output, ok := promtool(t, "test", "rules", unit); !ok {
					t.Error(output)
				}
			})
		}
	}
}

// TestAlertmanagerMutesTheUsualAlertsOfADrain gives the configuration of docs/monitoring.md to a real Alertmanager, and asks it which alerts
// it mutes.
func TestAlertmanagerMutesTheUsualAlertsOfADrain(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(top, "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?m)^```yaml\n(# alertmanager.yaml\n(?:.*\n)*?)```$").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/monitoring.md has no alertmanager.yaml")
	}
	url := startAlertmanager(t, block[1])

	type alert struct {
		Labels map[string]string `json:"labels"`
	}
	var sent []alert
	for _, m := range mutes {
		for _, object := range []string{m.drain, m.other} {
			sent = append(sent, alert{map[string]string{"alertname": m.alert, "namespace": "shop", m.label: object, "severity": "warning"}})
		}
		sent = append(sent,
			// The same name in another namespace.
			alert{map[string]string{"alertname": m.alert, "namespace": "elsewhere", m.label: m.drain, "severity": "warning"}},
			alert{map[string]string{"alertname": "DrainInhibitor", "mutes": m.mutes, "namespace": "shop", m.label: m.drain, "severity": "none"}})
	}
	body, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	request(t, http.MethodPost, url+"/api/v2/alerts", body)
	var received []struct {
		alert
		Status struct {
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
		Receivers []struct {
			Name string `json:"name"`
		} `json:"receivers"`
	}
	// The inhibitor learns of an alert a moment after it was received.
	await(t, "Alertmanager has all alerts", func() bool {
		received = nil
		if err := json.Unmarshal(request(t, http.MethodGet, url+"/api/v2/alerts", nil), &received); err != nil {
			t.Fatal(err)
		}
		inhibited := 0
		for i := range received {
			if len(received[i].Status.InhibitedBy) > 0 {
				inhibited++
			}
		}
		return inhibited >= len(mutes)
	})
	seen := 0
	for i := range received {
		labels := received[i].Labels
		if labels["alertname"] == "DrainInhibitor" {
			if got := received[i].Receivers[0].Name; got != "discard" {
				t.Errorf("DrainInhibitor goes to %q", got)
			}
			continue
		}
		for _, m := range mutes {
			if m.alert != labels["alertname"] {
				continue
			}
			seen++
			want := labels["namespace"] == "shop" && labels[m.label] == m.drain
			if got := len(received[i].Status.InhibitedBy) > 0; got != want {
				t.Errorf("%v: muted %t, want %t", labels, got, want)
			}
		}
	}
	if seen != 3*len(mutes) {
		t.Errorf("Alertmanager has %d alerts, want %d", seen, 3*len(mutes))
	}
}

// startAlertmanager starts Alertmanager with a configuration, and returns its URL.
func startAlertmanager(t *testing.T, configuration []byte) string {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "alertmanager.yaml")
	if err := os.WriteFile(file, configuration, 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	command := exec.CommandContext(t.Context(), program(t, "alertmanager"), "--config.file="+file, "--storage.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+address, "--cluster.listen-address=")
	var log bytes.Buffer
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("Alertmanager's log:\n%s", &log)
		}
	})
	await(t, "Alertmanager is ready", func() bool {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	})
	return "http://" + address
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// await waits for a condition, and fails after half a minute.
func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within 30 s", what)
		case <-ticker.C:
		}
	}
}

func request(t *testing.T, method, url string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %s", method, url, response.Status, &answer)
	}
	return answer.Bytes()
}
