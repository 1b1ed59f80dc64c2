//go:build e2e

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

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// recordStep is the time between two samples of a recording.
const recordStep = 5 * time.Second

// watchDrains lets a real Prometheus scrape the operator, as the overlay's ServiceMonitor says, and evaluate the overlay's rules, while drains
// succeed, fail, and are in the way of a scale-up. RECORD_SERIES is a file to write the series of the run to, for test/monitoring.
func (w *world) watchDrains(ctx context.Context, overlay installation) {
	GinkgoHelper()
	p := startPrometheus(ctx, w.target(ctx, overlay.find("ServiceMonitor", "drain-operator-controller-manager-metrics")), overlay.find("PrometheusRule", "drain-operator-alerts"))
	start := time.Now()
	failing, blocked := newWorld(ctx), newWorld(ctx)

	By("draining one ordinal, with a second policy for the same StatefulSet, and a claim that belongs to neither")
	w.startStore(ctx, statefulSet(2), drainPolicy(whenDrained(drainv1alpha1.WhenDrainedDelete)))
	w.create(ctx, drainPolicy(named("rival")), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim("data", 7)},
		Spec:       w.claimSpec(ctx, claim("data", 0)),
	})
	w.fillAll(ctx, 2, each)
	w.scale(ctx, 1)
	w.expectNoClaim(ctx, claim("data", 1))

	By("letting three attempts in a row fail")
	failing.startStore(ctx, statefulSet(2), drainPolicy(func(policy *drainv1alpha1.DrainPolicy) {
		policy.Spec.Template.Spec.Containers[0].Args = []string{"no-such-command"}
		policy.Spec.Job.BackoffLimit = new(int32(0))
		policy.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: new(int32(1)), MaxDelaySeconds: new(int32(5))}
	}))
	failing.scale(ctx, 1)
	failing.expectCondition(ctx, storeName, drainv1alpha1.ConditionStalled, "True "+drainv1alpha1.ReasonJobFailed)

	By("scaling up while a drain runs")
	blocked.startStore(ctx, statefulSet(2), drainPolicy(held()))
	blocked.fillAll(ctx, 2, each)
	blocked.hold(ctx)
	blocked.scale(ctx, 1)
	blocked.expectHalfWay(ctx, 1, each, 0)
	blocked.scale(ctx, 2)
	blocked.expectDrain(ctx, 1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonBackInRange)

	By("waiting for the alerts")
	Eventually(ctx, func(g Gomega) {
		g.Expect(p.firing(ctx, g)).To(ContainElements(
			"DrainStalled "+failing.namespace+"/"+storeName,
			"DrainInhibitor "+blocked.namespace+"/",
		))
	}).WithTimeout(2*time.Minute).Should(Succeed(), "the policy is stalled for a minute, and the scale-up waits")
	Expect(p.firing(ctx, Default)).NotTo(ContainElement(HavePrefix("DrainStalled " + w.namespace)))

	By("asking what the panels of the dashboard ask")
	for _, panel := range panels() {
		for _, target := range panel.Targets {
			query := strings.NewReplacer("$namespace", ".*", "$policy", ".*", "$__rate_interval", "20s").Replace(target.Expr)
			// Counts of nothing are 0, and durations of nothing are no number: neither is a failure to ask.
			var series []matrix
			Eventually(ctx, func(g Gomega) {
				series = p.over(ctx, g, query, start, time.Now(), recordStep)
				g.Expect(series).NotTo(BeEmpty())
			}).Should(Succeed(), "panel %q shows nothing: %s", panel.Title, query)
			seen("%-34s %s", panel.Title, drawing(series))
		}
	}
	if file := os.Getenv("RECORD_SERIES"); file != "" {
		if !filepath.IsAbs(file) {
			file = filepath.Join(top, file)
		}
		names := strings.NewReplacer(w.namespace, "drained", failing.namespace, "failing", blocked.namespace, "blocked")
		Expect(os.WriteFile(file, p.recording(ctx, start, time.Now(), names), 0o600)).To(Succeed())
	}

	By("diagnosing as the runbook says")
	var refused []string
	for page, commands := range runbookCommands() {
		of := failing
		if page == "DrainClaimsStranded.md" {
			of = w
		}
		values := strings.NewReplacer("NAMESPACE", of.namespace, "POLICY", storeName, "CLAIM", claim("data", 7))
		for _, command := range commands {
			output, err := exec.CommandContext(ctx, "bash", "-c", values.Replace(command)).CombinedOutput()
			if nothing := (*exec.ExitError)(nil); errors.As(err, &nothing) && nothing.ExitCode() == 1 && strings.Contains(command, "| grep") && len(output) == 0 {
				err = nil // grep found nothing.
			}
			if err != nil {
				refused = append(refused, fmt.Sprintf("%s: %s: %v\n%s", page, command, err, output))
			}
			seen("%s: %s\n%s", page, command, output)
		}
	}
	Expect(refused).To(BeEmpty(), "commands of the runbook that failed")

	By("ending what was blocked")
	blocked.release(ctx)
	Eventually(ctx, func(g Gomega) {
		g.Expect(p.firing(ctx, g)).NotTo(ContainElement("DrainInhibitor " + blocked.namespace + "/"))
		g.Expect(p.over(ctx, g, `drain_operator_scale_up_blocked_timestamp_seconds`, time.Now(), time.Now(), recordStep)).To(BeEmpty())
	}).WithTimeout(time.Minute).Should(Succeed(), "the scale-up is not blocked any more")
	Expect(cluster.Delete(ctx, failing.policy(ctx, storeName))).To(Succeed())
	Eventually(ctx, func(g Gomega) {
		g.Expect(p.over(ctx, g, fmt.Sprintf(`{namespace=%q}`, failing.namespace), time.Now(), time.Now(), recordStep)).To(BeEmpty())
	}).WithTimeout(time.Minute).Should(Succeed(), "no series is left of a policy that was deleted")
	for _, other := range []*world{failing, blocked} {
		other.checkHistory(ctx)
	}
}

// runbookCommands returns the commands in the blocks of the runbook's pages, by page.
func runbookCommands() map[string][]string {
	GinkgoHelper()
	pages, err := filepath.Glob(filepath.Join(top, "docs", "runbooks", "Drain*.md"))
	Expect(err).NotTo(HaveOccurred())
	commands := map[string][]string{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		Expect(err).NotTo(HaveOccurred())
		for _, block := range regexp.MustCompile("(?m)^```sh\n((?:.*\n)*?)```$").FindAllStringSubmatch(string(text), -1) {
			commands[filepath.Base(page)] = append(commands[filepath.Base(page)], strings.Split(strings.TrimSpace(block[1]), "\n")...)
		}
	}
	Expect(len(commands)).To(BeNumerically(">=", 8), "pages with commands")
	return commands
}

// claimSpec returns what a claim asks for, without its volume.
func (w *world) claimSpec(ctx context.Context, name string) corev1.PersistentVolumeClaimSpec {
	GinkgoHelper()
	var existing corev1.PersistentVolumeClaim
	Expect(cluster.Get(ctx, w.key(name), &existing)).To(Succeed())
	existing.Spec.VolumeName = ""
	return existing.Spec
}

// panel is a panel of the dashboard.
type panel struct {
	Type    string                  `json:"type"`
	Title   string                  `json:"title"`
	Targets []struct{ Expr string } `json:"targets"`
}

func panels() []panel {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join(top, "config", "grafana", "dashboard.json"))
	Expect(err).NotTo(HaveOccurred())
	var dashboard struct {
		Panels []panel `json:"panels"`
	}
	Expect(json.Unmarshal(data, &dashboard)).To(Succeed())
	Expect(len(dashboard.Panels)).To(BeNumerically(">", 15))
	return dashboard.Panels
}

// prometheusServer is a Prometheus on this machine.
type prometheusServer struct{ address string }

// startPrometheus starts a Prometheus that scrapes the target every second, and evaluates the rules as often.
func startPrometheus(ctx context.Context, from target, rule *unstructured.Unstructured) prometheusServer {
	GinkgoHelper()
	find := exec.CommandContext(ctx, "hack/prometheus.sh")
	find.Dir = top
	var problems bytes.Buffer
	find.Stderr = &problems
	folder, err := find.Output()
	Expect(err).NotTo(HaveOccurred(), problems.String())

	work := GinkgoT().TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(work, name)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		return path
	}
	rules, err := yaml.Marshal(rule.Object["spec"])
	Expect(err).NotTo(HaveOccurred())
	// As in docs/monitoring.md.
	configuration, err := yaml.Marshal(map[string]any{
		"global":     map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"},
		"rule_files": []string{write("rules.yaml", rules)},
		"scrape_configs": []any{map[string]any{
			"job_name": "drain-operator", "scheme": from.scheme, "metrics_path": from.path, "honor_labels": true,
			"authorization":  map[string]any{"credentials_file": write("token", []byte(from.token))},
			"tls_config":     map[string]any{"ca_file": write("ca.crt", from.ca), "server_name": from.serverName},
			"static_configs": []any{map[string]any{"targets": []string{forward(ctx, from.namespace, "service/"+from.service, from.port)}}},
		}},
	})
	Expect(err).NotTo(HaveOccurred())
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	address := listener.Addr().String()
	Expect(listener.Close()).To(Succeed())
	command := exec.CommandContext(ctx, filepath.Join(strings.TrimSpace(string(folder)), "prometheus"),
		"--config.file="+write("prometheus.yaml", configuration), "--storage.tsdb.path="+filepath.Join(work, "data"), "--web.listen-address="+address)
	var log bytes.Buffer
	command.Stderr = &log
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		_ = command.Process.Kill() // It may have ended with the test's context.
		_ = command.Wait()
		if CurrentSpecReport().Failed() {
			AddReportEntry("the log of Prometheus", log.String())
		}
	})
	p := prometheusServer{address}
	Eventually(ctx, func(g Gomega) {
		g.Expect(p.over(ctx, g, `drain_operator_build_info`, time.Now(), time.Now(), recordStep)).NotTo(BeEmpty())
	}).WithTimeout(time.Minute).Should(Succeed(), "Prometheus must scrape the operator")
	return p
}

// matrix is a series over some time.
type matrix struct {
	Metric map[string]string `json:"metric"`
	// Values are pairs of a time and a number in quotes.
	Values [][2]any `json:"values"`
}

// ask returns the data of an answer of the API.
func (p prometheusServer) ask(ctx context.Context, g Gomega, path string, query url.Values, data any) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+path+"?"+query.Encode(), http.NoBody)
	g.Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	g.Expect(json.NewDecoder(response.Body).Decode(&answer)).To(Succeed())
	g.Expect(answer.Status).To(Equal("success"), answer.Error)
	g.Expect(json.Unmarshal(answer.Data, data)).To(Succeed())
}

// over returns what a query says between two times.
func (p prometheusServer) over(ctx context.Context, g Gomega, query string, from, to time.Time, step time.Duration) []matrix {
	var data struct{ Result []matrix }
	unix := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	p.ask(ctx, g, "/api/v1/query_range", url.Values{"query": {query}, "start": {unix(from)}, "end": {unix(to)}, "step": {step.String()}}, &data)
	return data.Result
}

// firing returns the alerts that fire, each with the namespace and the policy that it is about.
func (p prometheusServer) firing(ctx context.Context, g Gomega) []string {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	p.ask(ctx, g, "/api/v1/alerts", nil, &data)
	var names []string
	for _, alert := range data.Alerts {
		if alert.State == "firing" {
			names = append(names, alert.Labels["alertname"]+" "+alert.Labels["namespace"]+"/"+alert.Labels["policy"])
		}
	}
	return names
}

// recording returns the series of a run in the form in which promtool takes them, with times that count from its start.
func (p prometheusServer) recording(ctx context.Context, start, end time.Time, names *strings.Replacer) []byte {
	GinkgoHelper()
	type recorded struct {
		Series string `json:"series"`
		Values string `json:"values"`
	}
	var all []recorded
	for _, found := range p.over(ctx, Default, `{__name__=~"drain_operator_.*|leader_election_master_status|controller_runtime_reconcile_(errors|panics)_total"}`, start, end, recordStep) {
		name := found.Metric["__name__"]
		var labels []string
		for label, value := range found.Metric {
			if label != "__name__" && label != "instance" {
				labels = append(labels, fmt.Sprintf("%s=%q", label, names.Replace(value)))
			}
		}
		slices.Sort(labels)
		at := map[int]string{}
		for _, value := range found.Values {
			number, err := strconv.ParseFloat(value[1].(string), 64)
			Expect(err).NotTo(HaveOccurred())
			if strings.HasSuffix(name, "_timestamp_seconds") {
				number -= float64(start.Unix())
			}
			at[int(value[0].(float64)-float64(start.Unix()))/int(recordStep.Seconds())] = strconv.FormatFloat(number, 'f', -1, 64)
		}
		var values []string
		for i := range int(end.Sub(start)/recordStep) + 1 {
			value, ok := at[i]
			if !ok {
				value = "_"
			}
			values = append(values, value)
		}
		all = append(all, recorded{name + "{" + strings.Join(labels, ", ") + "}", strings.Join(values, " ")})
	}
	Expect(len(all)).To(BeNumerically(">", 50), "series of a run")
	slices.SortFunc(all, func(a, b recorded) int { return strings.Compare(a.Series, b.Series) })
	text, err := yaml.Marshal(map[string]any{"interval": recordStep.String(), "input_series": all})
	Expect(err).NotTo(HaveOccurred())
	return append([]byte("# A run of the operator on the local cluster, written by `make record-series`.\n"), text...)
}

// drawing draws the sum of some series over time, one character a sample.
func drawing(series []matrix) string {
	sums := map[float64]float64{}
	for _, s := range series {
		for _, value := range s.Values {
			if number, err := strconv.ParseFloat(value[1].(string), 64); err == nil && !math.IsNaN(number) {
				sums[value[0].(float64)] += number
			}
		}
	}
	times := make([]float64, 0, len(sums))
	highest := 0.0
	for t, sum := range sums {
		times = append(times, t)
		highest = max(highest, sum)
	}
	slices.Sort(times)
	const levels = "▁▂▃▄▅▆▇█"
	var line strings.Builder
	for _, t := range times {
		level := 0
		if highest > 0 {
			level = int(sums[t] / highest * 7)
		}
		line.WriteRune([]rune(levels)[max(0, level)])
	}
	return fmt.Sprintf("%s highest %.4g, %d series", line.String(), highest, len(series))
}
