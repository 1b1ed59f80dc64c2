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

// Command dashboard writes the dashboard for Grafana, config/grafana/dashboard.json, which `make generate` calls it for.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

const (
	// chosen selects the series of the policies that the variables name.
	chosen = `namespace=~"$namespace", policy=~"$policy"`
	// pending are the states of drains that are to do.
	pending = `state=~"Waiting|Draining|Failed|Blocked"`
	// ours keeps the series of the operator's managers: other programs have metrics of the same names.
	ours = ` and on (instance, job) drain_operator_build_info`

	widthOfGrid, heightOfStat, heightOfGraph = 24, 4, 8
)

var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("$datasource")}

// query is an expression of PromQL and how its series are called.
type query struct{ expr, legend string }

func main() {
	built, err := build()
	if err == nil {
		err = write(os.Args[1], built)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func write(path string, built any) error {
	text, err := json.MarshalIndent(built, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

//nolint:staticcheck // Only the newest Grafana can import the newer schema.
func build() (dashboard.Dashboard, error) {
	return dashboard.NewDashboardBuilder("drain-operator").
		Uid("drain-operator").
		Description("Drains of StatefulSets, and the operator. Written by hack/tools/dashboard: an edit here is lost.").
		Tags([]string{"drain-operator", "kubernetes"}).
		Time("now-6h", "now").
		Refresh("1m").
		Timezone("browser").
		Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(labelVariable("namespace", `label_values(drain_operator_policy_info, namespace)`)).
		WithVariable(labelVariable("policy", `label_values(drain_operator_policy_info{namespace=~"$namespace"}, policy)`)).
		WithRow(dashboard.NewRowBuilder("Now")).
		WithPanel(number("Stalled policies", "Policies that go on only when a person acts.", units.Short, 1,
			`count(max by (namespace, policy) (drain_operator_policy_condition{condition="Stalled", status="True", `+chosen+`})) or vector(0)`)).
		WithPanel(number("Undrained ordinals", "Orphaned ordinals that are to be drained.", units.Short, 0,
			`sum(drain_operator_ordinals{`+pending+`, `+chosen+`}) or vector(0)`)).
		WithPanel(number("Oldest undrained data", "How long the oldest of them has been out of range.", units.Seconds, 24*3600,
			`time() - min(drain_operator_oldest_orphan_timestamp_seconds{`+pending+`, `+chosen+`})`)).
		WithPanel(number("Orphaned claims", "Capacity of all claims of orphaned ordinals, including drained claims.", units.BytesIEC, 0,
			`sum(drain_operator_orphaned_bytes{`+chosen+`}) or vector(0)`)).
		WithPanel(number("Blocked scale-ups", "Policies whose drain keeps a pod that is back in range from starting.", units.Short, 1,
			`count(drain_operator_scale_up_blocked_timestamp_seconds{`+chosen+`}) or vector(0)`)).
		WithPanel(number("Managers at work", "Managers that hold the Lease: 1, unless the operator is down.", units.Short, 0,
			`sum(leader_election_master_status{name="manager.drain.statefulset.dev"}) or vector(0)`)).
		WithPanel(policies()).
		WithRow(dashboard.NewRowBuilder("Drains")).
		WithPanel(graph("Ordinals by state", "Drained are those whose claims are kept.", units.Short,
			query{`sum by (state) (drain_operator_ordinals{` + chosen + `})`, "{{state}}"})).
		WithPanel(graph("Time out of range", "Of the oldest ordinal of each policy that is to be drained.", units.Seconds,
			query{`time() - min by (namespace, policy) (drain_operator_oldest_orphan_timestamp_seconds{` + pending + `, ` + chosen + `})`, "{{namespace}}/{{policy}}"})).
		WithPanel(graph("Orphaned capacity", "Capacity of all claims of orphaned ordinals, including drained claims.", units.BytesIEC,
			query{`sum by (namespace, policy) (drain_operator_orphaned_bytes{` + chosen + `})`, "{{namespace}}/{{policy}}"})).
		WithPanel(graph("Attempts by result, in an hour", "Succeeded, or the reason of the failure.", units.Short,
			query{`sum by (result) (increase(drain_operator_attempts_total{` + chosen + `}[1h]))`, "{{result}}"})).
		WithPanel(graph("Duration of drains", "Of the attempts that succeeded in the last 6 hours.", units.Seconds,
			query{`histogram_quantile(0.5, sum by (le) (increase(drain_operator_drain_duration_seconds_bucket{` + chosen + `}[6h])))`, "median"},
			query{`histogram_quantile(0.9, sum by (le) (increase(drain_operator_drain_duration_seconds_bucket{` + chosen + `}[6h])))`, "90 %"})).
		WithPanel(graph("Claims deleted, in an hour", "Drained claims of policies with whenDrained: Delete.", units.Short,
			query{`sum by (namespace, policy) (increase(drain_operator_claims_deleted_total{` + chosen + `}[1h]))`, "{{namespace}}/{{policy}}"})).
		WithPanel(graph("Locks", "Ordinals whose pod can't start while a drain may run.", units.Short,
			query{`sum by (namespace, policy) (drain_operator_locks{` + chosen + `})`, "{{namespace}}/{{policy}}"})).
		WithPanel(graph("Stranded claims", "Claims that look like the StatefulSet's and that the operator does not drain.", units.Short,
			query{`sum by (namespace, policy) (drain_operator_stranded_claims{` + chosen + `})`, "{{namespace}}/{{policy}}"})).
		WithPanel(graph("Members that leave or join again, in an hour", "Attempts of policies with spec.leave, by result.", units.Short,
			query{`sum by (action, result) (increase(drain_operator_member_attempts_total{` + chosen + `}[1h])) or on() vector(0)`, "{{action}} {{result}}"})).
		WithPanel(graph("Time to leave or join again", "90 % of the attempts that succeeded in the last 6 hours took no longer.", units.Seconds,
			query{`histogram_quantile(0.9, sum by (le, action) (increase(drain_operator_member_duration_seconds_bucket{` + chosen + `}[6h]))) or on() vector(0)`, "{{action}}"})).
		WithRow(dashboard.NewRowBuilder("Operator")).
		WithPanel(graph("Steps by rule", "The ten rules of the protocol that asked for most of the steps.", units.OpsPerSecond,
			query{`topk(10, sum by (rule) (rate(drain_operator_decisions_total[$__rate_interval])))`, "{{rule}}"})).
		WithPanel(graph("Reconciles by result", "", units.OpsPerSecond,
			query{`sum by (result) (rate(controller_runtime_reconcile_total{controller="drainpolicy"}[$__rate_interval]))`, "{{result}}"})).
		WithPanel(graph("Duration of reconciles", "99 of 100 take less.", units.Seconds,
			query{`histogram_quantile(0.99, sum by (le) (rate(controller_runtime_reconcile_time_seconds_bucket{controller="drainpolicy"}[$__rate_interval])))`, "99 %"})).
		WithPanel(graph("Policies in the queue", "", units.Short,
			query{`sum(workqueue_depth{name="drainpolicy"})`, "waiting"},
			query{`sum(controller_runtime_active_workers{controller="drainpolicy"})`, "being reconciled"})).
		WithPanel(graph("Requests to the API server", "By the code of the answer.", units.RequestsPerSecond,
			query{`sum by (code) (rate(rest_client_requests_total[$__rate_interval])` + ours + `)`, "{{code}}"})).
		WithPanel(graph("Memory", "", units.BytesIEC,
			query{`process_resident_memory_bytes` + ours, "{{instance}}"})).
		Build()
}

func labelVariable(name, values string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).
		Query(dashboard.StringOrMap{String: &values}).
		Datasource(source).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{
			Text: dashboard.StringOrArrayOfString{String: cog.ToPtr("All")}, Value: dashboard.StringOrArrayOfString{String: cog.ToPtr("$__all")},
		})
}

// number returns a panel with one number, which turns red from a value on; 0 is never.
func number(title, description, unit string, red float64, expr string) *stat.PanelBuilder {
	panel := stat.NewPanelBuilder().
		Title(title).Description(description).Unit(unit).Datasource(source).
		Span(widthOfGrid / 6).Height(heightOfStat).
		GraphMode(common.BigValueGraphModeNone).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		NoValue("none").
		WithTarget(prometheus.NewDataqueryBuilder().Expr(expr).RefId("A").Instant())
	steps := []dashboard.Threshold{{Color: "green"}}
	if red > 0 {
		steps = append(steps, dashboard.Threshold{Color: "red", Value: &red})
	}
	return panel.Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps))
}

func graph(title, description, unit string, queries ...query) *timeseries.PanelBuilder {
	panel := timeseries.NewPanelBuilder().
		Title(title).Unit(unit).Datasource(source).
		Span(widthOfGrid / 2).Height(heightOfGraph).Min(0).
		FillOpacity(10).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti))
	if description != "" {
		panel.Description(description)
	}
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range queries {
		targets = append(targets, prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend).RefId(string(rune('A'+i))).Range())
	}
	return panel.Targets(targets)
}

// policies returns a table of the conditions of all policies.
func policies() *table.PanelBuilder {
	return table.NewPanelBuilder().
		Title("Conditions of policies").Description("Stalled is True when a person must act.").Datasource(source).
		Span(widthOfGrid).Height(heightOfGraph).
		WithTarget(prometheus.NewDataqueryBuilder().
			Expr(`sort_desc(max by (namespace, policy, condition, status, reason) (drain_operator_policy_condition{` + chosen + `}))`).
			RefId("A").Instant().Format(prometheus.PromQueryFormatTable)).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true, "Value": true},
			"indexByName":   map[string]int{"namespace": 0, "policy": 1, "condition": 2, "status": 3, "reason": 4},
		}})
}
