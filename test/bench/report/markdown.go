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
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/statefulset-dev/drain-operator/test/bench/audit"
)

// Markdown returns the tables of results. All results have their rows in the same tables.
func Markdown(all []*Results) string {
	var b strings.Builder
	for _, section := range []func(*strings.Builder, []*Results){writeRuns, writeDrains, writeProcessors, writeKinds, writeTenants, writeRest, writeTimeline} {
		section(&b, all)
	}
	return b.String()
}

// writeRuns says what was measured, and on what.
func writeRuns(b *strings.Builder, all []*Results) {
	heading(b, "Runs", "run", "operator", "date", "machine", "load before", "Kubernetes", "environment and arguments")
	for _, r := range all {
		row(b, r.Label, code(r.Revision), r.Time.Format("2006-01-02"),
			fmt.Sprintf("%s, %d cores, %s, Linux %s", strings.Join(strings.Fields(r.Machine.CPU), " "), r.Machine.Cores, r.Machine.Memory, r.Machine.Kernel),
			r.Machine.Load, r.Kubernetes, code(strings.Join(append(slices.Clone(r.Env), r.Args...), " ")))
	}
}

// sections are the tables of drains, in their order.
var sections = []struct {
	scenario, title string
}{
	{"one", "One drain on a quiet cluster"},
	{"burst", "Many StatefulSets of one namespace at once"},
	{"defaults", "Many StatefulSets of one namespace at once, with the default limits of Kubernetes' controllers"},
	{"spread", "Many StatefulSets in fifty namespaces at once"},
	{"foreign", "Beside pods of others in the namespace"},
	{"ordinals", "One StatefulSet with many ordinals"},
}

func writeDrains(b *strings.Builder, all []*Results) {
	for _, section := range sections {
		rows := gather(all, section.scenario)
		if len(rows) == 0 {
			continue
		}
		heading(b, section.title, "N (orphans)", "run", "operator s", "bare s", "ratio", "writes a drain (bare)", "of them status", "events a drain",
			"live looks a drain", "GETs a drain", "pod gone → Job created, p50 / p99 s (bare)", "operator CPU s", "peak RSS MiB")
		for _, r := range rows {
			m := r.m
			o, n := m.Operator, float64(max(1, m.Orphans()))
			bare, ratio, least, soonest := "", "", "", ""
			if m.Bare != nil {
				bare, ratio = seconds(m.Bare.Seconds), fmt.Sprintf("%.1f", m.Ratio())
				least = fmt.Sprintf(" (%.0f)", float64(m.Bare.Requests.Writes)/n)
				soonest = " (" + delay(m.Bare) + ")"
			}
			row(b, size(&m.Shape), r.run.Label, seconds(o.Seconds), bare, ratio,
				perDrain(o.Requests.Writes, n)+least, perDrain(o.Requests.StatusWrites, n), perDrain(o.Requests.Events, n),
				perDrain(o.Requests.LiveLooks, n), perDrain(o.Requests.Gets, n),
				delay(o)+soonest, seconds(o.CPUSeconds), fmt.Sprintf("%.0f", o.PeakMiB))
		}
	}
}

// delay is how long orphans waited for their Jobs.
func delay(r *Run) string { return seconds(r.JobDelay.P50) + " / " + seconds(r.JobDelay.P99) }

// writeProcessors says how much processor time a drain takes, of the operator and of all others that have work with it.
func writeProcessors(b *strings.Builder, all []*Results) {
	rows := slices.DeleteFunc(gather(all, "burst"), func(r measured) bool { return r.m.Operator.Processors == nil || r.m.Bare == nil })
	if len(rows) == 0 {
		return
	}
	programs := map[string]bool{}
	for _, r := range rows {
		for program := range r.m.Operator.Processors {
			programs[program] = true
		}
	}
	names := slices.Sorted(maps.Keys(programs))
	heading(b, "Processor time of a drain in ms, with many StatefulSets of one namespace at once", append([]string{"N (orphans)", "drained by", "all programs"}, names...)...)
	for _, r := range rows {
		for _, by := range []struct {
			agent string
			run   *Run
		}{{r.run.Label, r.m.Operator}, {"bare client", r.m.Bare}} {
			cells, sum := []string{}, 0.0
			for _, name := range names {
				millis := 1000 * by.run.Processors[name] / float64(max(1, r.m.Orphans()))
				sum += millis
				cells = append(cells, fmt.Sprintf("%.0f", millis))
			}
			row(b, append([]string{size(&r.m.Shape), by.agent, fmt.Sprintf("%.0f", sum)}, cells...)...)
		}
	}
}

// writeKinds counts the requests of the largest burst that all results with bursts have.
func writeKinds(b *strings.Builder, all []*Results) {
	rows := gather(all, "burst")
	all = slices.DeleteFunc(slices.Clone(all), func(run *Results) bool {
		return !slices.ContainsFunc(rows, func(r measured) bool { return r.run == run })
	})
	var largest Shape
	for _, r := range rows {
		if shared := slices.DeleteFunc(slices.Clone(rows), func(o measured) bool { return o.m.Shape != r.m.Shape }); len(shared) == len(all) && r.m.Sets > largest.Sets {
			largest = r.m.Shape
		}
	}
	if largest.Sets == 0 {
		return
	}
	columns := []string{"request"}
	kinds := map[string][]float64{}
	for _, r := range rows {
		if r.m.Shape != largest {
			continue
		}
		columns = append(columns, r.run.Label)
		for _, count := range r.m.Operator.Requests.Kinds {
			text := kindText(count.Kind)
			if kinds[text] == nil {
				kinds[text] = make([]float64, len(all))
			}
			kinds[text][len(columns)-2] += float64(count.Requests) / float64(largest.Orphans())
		}
	}
	heading(b, fmt.Sprintf("Requests a drain of the operator, %d StatefulSets at once", largest.Sets), columns...)
	for _, text := range slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		if kinds[a][0] != kinds[b][0] {
			return int(1000*kinds[b][0]) - int(1000*kinds[a][0])
		}
		return strings.Compare(a, b)
	}) {
		cells := []string{text}
		for _, number := range kinds[text] {
			cells = append(cells, fmt.Sprintf("%.2f", number))
		}
		row(b, cells...)
	}
}

func kindText(kind audit.Kind) string {
	text := kind.Verb + " " + kind.Resource
	if kind.Subresource != "" {
		text += "/" + kind.Subresource
	}
	if kind.Selector != "" {
		text += " " + kind.Selector
	}
	if kind.DryRun {
		text += ", dry run"
	}
	if kind.Code >= 300 {
		text += fmt.Sprintf(", %d", kind.Code)
	}
	return text
}

func writeTenants(b *strings.Builder, all []*Results) {
	rows := gather(all, "tenants")
	if len(rows) == 0 {
		return
	}
	heading(b, "Beside a tenant that floods", "N (orphans)", "run", "other tenant", "operator s", "pod gone → Job created, p50 / p99 s", "operator CPU s", "peak RSS MiB")
	for _, r := range rows {
		o, flood := r.m.Operator, "does nothing"
		if r.m.Flood > 0 {
			flood = fmt.Sprintf("%d policies, %s", r.m.Policies, r.m.Note)
		}
		row(b, size(&r.m.Shape), r.run.Label, flood, seconds(o.Seconds), delay(o),
			seconds(o.CPUSeconds), fmt.Sprintf("%.0f", o.PeakMiB))
	}
}

func writeRest(b *strings.Builder, all []*Results) {
	rows := append(gather(all, "steady"), gather(all, "restart")...)
	if len(rows) == 0 {
		return
	}
	heading(b, "At rest, and a restart", "what", "run", "sets / claims / policies / pods of others", "s", "requests", "RSS MiB", "peak RSS MiB", "CPU s")
	for _, r := range rows {
		what := "at rest"
		if r.m.Scenario == "restart" {
			what = "from the start to the last request"
		}
		o := r.m.Operator
		row(b, what, r.run.Label, fmt.Sprintf("%d / %d / %d / %d", r.m.Idle, r.m.Claims, r.m.Policies, r.m.Foreign), seconds(o.Seconds),
			fmt.Sprint(o.Requests.Requests), fmt.Sprintf("%.0f", o.RestMiB), fmt.Sprintf("%.0f", o.PeakMiB), seconds(o.CPUSeconds))
	}
}

// writeTimeline lists the steps of the drain in each result.
func writeTimeline(b *strings.Builder, all []*Results) {
	for _, r := range gather(all, "one") {
		if len(r.m.Timeline) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n<details>\n<summary>One drain, step by step (%s)</summary>\n\n```text\n      ms\n", r.run.Label)
		for _, moment := range r.m.Timeline {
			who := moment.Who
			if who == "cluster" {
				who = ""
			}
			fmt.Fprintf(b, "%8.1f  %-8s  %s\n", moment.Millis, who, moment.What)
		}
		fmt.Fprint(b, "```\n\n</details>\n")
	}
}

// measured is a measurement and the run that it is of.
type measured struct {
	run *Results
	m   *Measurement
}

// gather returns the measurements of a scenario, those of the same shape one after another. A shape that no operator finished
// has none.
func gather(all []*Results, scenario string) []measured {
	var shapes []Shape
	rows := map[Shape][]measured{}
	for _, r := range all {
		best := Best(r.Measurements)
		for i := range best {
			m := &best[i]
			if m.Scenario != scenario || m.Operator == nil {
				continue
			}
			if rows[m.Shape] == nil {
				shapes = append(shapes, m.Shape)
			}
			rows[m.Shape] = append(rows[m.Shape], measured{r, m})
		}
	}
	slices.SortStableFunc(shapes, func(a, b Shape) int { return a.Orphans() - b.Orphans() })
	var sorted []measured
	for _, shape := range shapes {
		sorted = append(sorted, rows[shape]...)
	}
	return sorted
}

// size says how many sets of how many orphans a row is about.
func size(shape *Shape) string {
	text := fmt.Sprintf("%d (%d)", shape.Sets, shape.Orphans())
	if shape.Concurrency > 1 {
		text += fmt.Sprintf(", %d at once", shape.Concurrency)
	}
	if shape.Foreign > 0 {
		text += fmt.Sprintf(" beside %d pods", shape.Foreign)
	}
	return text
}

func perDrain(number int, drains float64) string { return fmt.Sprintf("%.1f", float64(number)/drains) }

// seconds shows short times with more digits.
func seconds(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.2f", s)
	case s < 100:
		return fmt.Sprintf("%.1f", s)
	}
	return fmt.Sprintf("%.0f", s)
}

func heading(b *strings.Builder, title string, columns ...string) {
	if b.Len() > 0 {
		fmt.Fprintln(b)
	}
	fmt.Fprintf(b, "**%s**\n\n", title)
	row(b, columns...)
	fmt.Fprintln(b, strings.Repeat("|---", len(columns))+"|")
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
