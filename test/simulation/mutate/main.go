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

// Command mutate shows which rules and guards of the operator the simulation needs: it takes one
// after the other away, without touching the tree, and counts the histories until an invariant
// breaks. Rules of the protocol are dropped by name in one binary. Everything else is taken away
// by an edit of the source, as an overlay.
//
//	go run ./test/simulation/mutate [-seeds 3000] [-only expression] [-write docs/simulation.md]
//
// Run it at the repository's top. It exits 1 if a guard's text isn't found exactly once, or if
// something that must be needed isn't.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
)

var (
	seeds = flag.Int("seeds", 3000, "the number of histories after which something counts as not needed")
	only  = flag.String("only", "", "try only the rules and guards whose name this regular expression fits")
	write = flag.String("write", "", "the file in whose tables the rows of what was tried are replaced")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	scratch, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	fits, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	whole := filepath.Join(scratch, "whole.test")
	if err := compile(whole, ""); err != nil {
		return err
	}
	surprises := 0
	for _, t := range tables() {
		var tried []guard
		for _, g := range t.guards {
			if fits.MatchString(g.name) {
				tried = append(tried, g)
			}
		}
		for at, r := range tryAll(scratch, whole, tried) {
			g := &tried[at]
			if r.err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", g.name, r.err)
				surprises++
				continue
			}
			if r.histories == "" && g.unneeded == "" {
				surprises++
			}
			row := g.row(r)
			fmt.Println(row)
			if *write == "" {
				continue
			}
			if err := t.replaceRow(*write, g.name, row); err != nil {
				return err
			}
		}
	}
	if surprises > 0 {
		return fmt.Errorf("%d rules or guards were not tried or not missed", surprises)
	}
	return nil
}

// edit replaces a text that a file must hold exactly once.
type edit struct{ file, old, new string }

// guard is something in the operator that can be taken away: rules of the protocol, what the edits
// replace, or both.
type guard struct {
	name string
	// what says in words what is taken away; empty for guards, whose name says it.
	what  string
	drops []string
	edits []edit
	// about is the profile whose histories are tried, and no others: what this one is for is rare in the mixture. Empty for the mixture.
	about string
	// rare says that it is seldom needed there too, so it is tried in three times as many.
	rare bool
	// liveness says that it keeps no promise about data and writers, but lets things come to rest.
	liveness bool
	// unneeded says why the simulation can't miss it, and is empty if it must.
	unneeded string
}

// table is one of those in the document.
type table struct {
	// marker is the name of the comments that enclose it.
	marker, header string
	guards         []guard
}

// tables are those of both kinds of rules, and of the guards.
func tables() []table {
	return []table{
		{"rules", "| rule | applies when | histories until found | what breaks without it, or why nothing does |", rules()},
		{"scaling", "| rule of scaling | applies when | histories until found | what breaks without it, or why nothing does |", scalingRules()},
		{"mutations", "| guard taken away | where | histories until found | what breaks without it, or why nothing does |", guards},
	}
}

// rules are those of the protocol.
func rules() []guard {
	rows := plan.Rules().Rows()
	list := make([]guard, 0, len(rows))
	for i := range rows {
		name := rows[i].Rule
		list = append(list, guard{name: name, what: rows[i].Given, drops: []string{name}, about: rulesAbout[name], liveness: true, unneeded: rows[i].Idle})
	}
	return list
}

// scalingRules are those of internal/scaling, each with the histories that are about it.
func scalingRules() []guard {
	var list []guard
	for _, row := range scaling.Rules().Rows() {
		about := "members that leave"
		if slices.Contains([]string{"raise", "lower", "reached", "await-acceptance", "await-drains", "await-ready", "await-controller", "await-past-pod", "no-target", "too-few-remain"}, row.Rule) {
			about = "policies that are scaled"
		}
		if row.Rule == "unset" {
			about = "" // In those histories spec.replicas is always set.
		}
		list = append(list, guard{name: row.Rule, what: row.Given, drops: []string{row.Rule}, about: about, rare: row.Rare != "", liveness: true, unneeded: row.Idle})
	}
	return list
}

// rulesAbout are the profiles of the rules that the mixture of histories seldom needs.
var rulesAbout = map[string]string{
	"void-used":           "looks at what is kept",
	"stop-suspended":      "queueing systems",
	"note-deletion":       "releases that come late and deletions in the meantime",
	"policy-deleted":      "policies that leave orphans",
	"stop-without-claim":  "pods, Jobs and nodes that are taken away",
	"failed-not-accepted": "drains that the kubelet ends",
	"abandoned-job":       "policies that leave orphans",
}

// where are the files that it is edited out of, and the rules that are dropped with it.
func (g *guard) where() string {
	var parts []string
	for _, e := range g.edits {
		if name := "`" + strings.TrimPrefix(e.file, "internal/") + "`"; len(parts) == 0 || parts[len(parts)-1] != name {
			parts = append(parts, name)
		}
	}
	if len(g.drops) > 0 {
		parts = append(parts, "rules `"+strings.Join(g.drops, "`, `")+"`")
	}
	return strings.Join(parts, ", ")
}

// row is the guard's in its table.
func (g *guard) row(r result) string {
	what := g.what
	if what == "" {
		what = g.where()
	}
	histories, said := r.histories, r.invariant
	if g.about != "" && histories != "" {
		histories += " about " + g.about
	}
	if histories == "" {
		histories, said = fmt.Sprintf("not in %d", g.budget()), g.unneeded
		if said == "" {
			said = "**none**"
			if r.units != "" {
				said = "none yet; the unit tests of " + r.units + " fail without it"
			}
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", g.name, what, histories, said)
}

// budget is a sixth for what is known not to be missed: that it is missed after all shows early or by chance.
func (g *guard) budget() int {
	switch {
	case g.unneeded != "":
		return *seeds / 6
	case g.rare:
		return *seeds * 3
	}
	return *seeds
}

// result is how many histories it took and what broke, or the packages whose unit tests fail.
type result struct {
	histories, invariant, units string
	err                         error
}

var broken = regexp.MustCompile(`seed (\d+): step \d+: broken: ([^:]+)`)

// failing finds the packages whose tests ran and failed, not those that don't compile.
var failing = regexp.MustCompile(`(?m)^FAIL\t\S*/(internal/\S+)\t[\d.]+s$`)

// tryAll tries guards, one for each processor at a time, and yields the results in their order.
func tryAll(scratch, whole string, list []guard) func(yield func(int, result) bool) {
	return func(yield func(int, result) bool) {
		results := make([]chan result, len(list))
		for i := range results {
			results[i] = make(chan result, 1)
		}
		next := make(chan int, len(list))
		for i := range list {
			next <- i
		}
		close(next)
		var group sync.WaitGroup
		for worker := range runtime.NumCPU() {
			own := filepath.Join(scratch, fmt.Sprint(worker))
			group.Go(func() {
				for i := range next {
					results[i] <- list[i].try(own, whole)
				}
			})
		}
		defer group.Wait()
		for i := range results {
			if !yield(i, <-results[i]) {
				for range next { // Nothing more is begun.
				}
				return
			}
		}
	}
}

// overlay writes the source as it is without the guard, and returns the file that says so; "" without edits.
func (g *guard) overlay(scratch string) (string, error) {
	if len(g.edits) == 0 {
		return "", nil
	}
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return "", err
	}
	contents := map[string]string{}
	for _, e := range g.edits {
		text, ok := contents[e.file]
		if !ok {
			data, err := os.ReadFile(e.file)
			if err != nil {
				return "", err
			}
			text = string(data)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("%s has the text %d times, not once:\n%s", e.file, n, e.old)
		}
		contents[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range contents {
		from, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		to := filepath.Join(scratch, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[from] = to
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file := filepath.Join(scratch, "overlay.json")
	return file, os.WriteFile(file, data, 0o600)
}

// compile builds the simulation, with an overlay if there is one.
func compile(binary, overlay string) error {
	args := []string{"test", "-vet=off", "-ldflags=-s -w", "-c", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	if output, err := exec.Command("go", append(args, "./test/simulation")...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return nil
}

// try runs the simulation with the guard taken away. It simulates one history at a time, so that the first seed that breaks
// something is the one that is told.
func (g *guard) try(scratch, whole string) result {
	overlay, err := g.overlay(scratch)
	if err != nil {
		return result{err: err}
	}
	binary := whole
	if overlay != "" {
		binary = filepath.Join(scratch, "simulation.test")
		if err := compile(binary, overlay); err != nil {
			return result{err: err}
		}
	}
	simulation := exec.Command(binary, "-test.run=TestPromisesHold", "-test.timeout=0", fmt.Sprintf("-sim.seeds=%d", g.budget()),
		"-sim.fresh=0", "-sim.shrink=false", fmt.Sprintf("-sim.safety=%t", !g.liveness), "-sim.drop="+strings.Join(g.drops, ","), "-sim.coverage=false", "-sim.profile="+g.about)
	simulation.Env = append(os.Environ(), "GOMAXPROCS=1")
	output, err := simulation.CombinedOutput()
	if err == nil {
		return result{units: g.units(overlay)}
	}
	found := broken.FindSubmatch(output)
	if found == nil {
		return result{err: fmt.Errorf("%w\n%s", err, output)}
	}
	var seed int
	if _, err := fmt.Sscan(string(found[1]), &seed); err != nil {
		return result{err: err}
	}
	return result{histories: fmt.Sprint(seed + 1), invariant: string(bytes.TrimSpace(found[2]))}
}

// units returns the packages whose unit tests miss a guard that the simulation doesn't.
func (g *guard) units(overlay string) string {
	if overlay == "" || g.unneeded != "" {
		return ""
	}
	output, _ := exec.Command("go", "test", "-overlay", overlay, "./internal/...").CombinedOutput()
	var units []string
	for _, failed := range failing.FindAllSubmatch(output, -1) {
		units = append(units, "`"+string(failed[1])+"`")
	}
	return strings.Join(units, ", ")
}

// replaceRow puts a row into the table between its markers in a document. The table has the order of the
// list, and no rows of what isn't in it any more.
func (t *table) replaceRow(file, name, row string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+t.marker+" -->", "<!-- /"+t.marker+" -->"
	text := string(data)
	from, to := strings.Index(text, begin), strings.Index(text, end)
	if from < 0 || to < from {
		return fmt.Errorf("%s has no %s … %s", file, begin, end)
	}
	from += len(begin)
	rows := map[string]string{}
	for line := range strings.Lines(text[from:to]) {
		if first, _, ok := strings.Cut(line, " | "); ok {
			rows[strings.TrimPrefix(first, "| ")] = strings.TrimSpace(line)
		}
	}
	rows[name] = row
	lines := []string{t.header, "|---|---|---|---|"}
	for i := range t.guards {
		if row, ok := rows[t.guards[i].name]; ok {
			lines = append(lines, row)
		}
	}
	return os.WriteFile(file, []byte(text[:from]+"\n"+strings.Join(lines, "\n")+"\n"+text[to:]), 0o600)
}
