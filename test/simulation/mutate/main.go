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

// Command mutate shows which guards of the operator the simulation needs: it takes one guard away
// after the other, without touching the tree, and counts the histories until an invariant
// breaks.
//
//	go run ./test/simulation/mutate [-seeds 3000] [-only expression] [-write docs/simulation.md]
//
// Run it at the repository's top. It exits 1 if a guard's text isn't found exactly once, or if a
// guard that must be needed isn't.
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
	"strings"
)

var (
	seeds = flag.Int("seeds", 3000, "the number of histories after which a guard counts as not needed")
	only  = flag.String("only", "", "try only the guards whose name this regular expression fits")
	write = flag.String("write", "", "the file in whose table the rows of the guards tried are replaced")
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
	surprises := 0
	for _, g := range guards {
		if !fits.MatchString(g.name) {
			continue
		}
		r, err := g.try(scratch)
		if err != nil {
			fmt.Fprintf(os.Stderr, "guard %q: %v\n", g.name, err)
			surprises++
			continue
		}
		said := r.invariant
		if r.histories == "" {
			r.histories, said = fmt.Sprintf("not in %d", g.budget()), g.unneeded
			if g.unneeded == "" {
				surprises++
				said = "**none**"
				if r.units != "" {
					said = "none yet; the unit tests of " + r.units + " fail without it"
				}
			}
		}
		row := fmt.Sprintf("| %s | %s | %s | %s |", g.name, strings.Join(g.files(), ", "), r.histories, said)
		fmt.Println(row)
		if *write == "" {
			continue
		}
		if err := replaceRow(*write, g.name, row); err != nil {
			return err
		}
	}
	if surprises > 0 {
		return fmt.Errorf("%d guards were not tried or not missed", surprises)
	}
	return nil
}

// edit replaces a text that a file must hold exactly once.
type edit struct{ file, old, new string }

// guard is something in the operator that can be taken away.
type guard struct {
	name  string
	edits []edit
	// liveness says that it keeps no promise about data and writers, but lets things come to rest.
	liveness bool
	// unneeded says why the simulation can't miss it, and is empty if it must.
	unneeded string
}

func (g *guard) files() []string {
	var files []string
	for _, e := range g.edits {
		if name := "`" + strings.TrimPrefix(e.file, "internal/") + "`"; len(files) == 0 || files[len(files)-1] != name {
			files = append(files, name)
		}
	}
	return files
}

// budget is less for what isn't expected to be missed.
func (g *guard) budget() int {
	if g.unneeded != "" {
		return *seeds / 6
	}
	return *seeds
}

// result is how many histories it took and what broke, or the packages whose unit tests fail.
type result struct{ histories, invariant, units string }

var broken = regexp.MustCompile(`seed (\d+): step \d+: broken: ([^:]+)`)

// failing finds the packages whose tests ran and failed, not those that don't compile.
var failing = regexp.MustCompile(`(?m)^FAIL\t\S*/(internal/\S+)\t[\d.]+s$`)

// try runs the simulation with the guard taken away.
func (g *guard) try(scratch string) (result, error) {
	contents := map[string]string{}
	for _, e := range g.edits {
		text, ok := contents[e.file]
		if !ok {
			data, err := os.ReadFile(e.file)
			if err != nil {
				return result{}, err
			}
			text = string(data)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return result{}, fmt.Errorf("%s has the text %d times, not once:\n%s", e.file, n, e.old)
		}
		contents[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range contents {
		from, err := filepath.Abs(file)
		if err != nil {
			return result{}, err
		}
		to := filepath.Join(scratch, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return result{}, err
		}
		overlay.Replace[from] = to
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		return result{}, err
	}
	file, binary := filepath.Join(scratch, "overlay.json"), filepath.Join(scratch, "simulation.test")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return result{}, err
	}
	if output, err := exec.Command("go", "test", "-vet=off", "-ldflags=-s -w", "-overlay", file, "-c", "-o", binary, "./test/simulation").CombinedOutput(); err != nil {
		return result{}, fmt.Errorf("%w\n%s", err, output)
	}
	output, err := exec.Command(binary, "-test.run=TestPromisesHold", "-test.timeout=0", fmt.Sprintf("-sim.seeds=%d", g.budget()), "-sim.fresh=0", "-sim.shrink=false", fmt.Sprintf("-sim.safety=%t", !g.liveness)).CombinedOutput()
	if err == nil {
		output, _ = exec.Command("go", "test", "-overlay", file, "./internal/...").CombinedOutput()
		var units []string
		for _, failed := range failing.FindAllSubmatch(output, -1) {
			units = append(units, "`"+string(failed[1])+"`")
		}
		return result{units: strings.Join(units, ", ")}, nil
	}
	found := broken.FindSubmatch(output)
	if found == nil {
		return result{}, fmt.Errorf("%w\n%s", err, output)
	}
	var seed int
	if _, err := fmt.Sscan(string(found[1]), &seed); err != nil {
		return result{}, err
	}
	return result{histories: fmt.Sprint(seed + 1), invariant: string(bytes.TrimSpace(found[2]))}, nil
}

// replaceRow puts a guard's row into the table between the markers of a document. The table has the
// order of the list, and no rows of guards that aren't in it any more.
func replaceRow(file, name, row string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const begin, end = "<!-- mutations -->", "<!-- /mutations -->"
	text := string(data)
	from, to := strings.Index(text, begin), strings.Index(text, end)
	if from < 0 || to < from {
		return fmt.Errorf("%s has no %s … %s", file, begin, end)
	}
	from += len(begin)
	rows := map[string]string{name: row}
	for line := range strings.Lines(text[from:to]) {
		if cells := strings.SplitN(line, " | ", 2); len(cells) == 2 && strings.TrimPrefix(cells[0], "| ") != name {
			rows[strings.TrimPrefix(cells[0], "| ")] = strings.TrimSpace(line)
		}
	}
	table := []string{"| guard taken away | file | histories until found | invariant broken |", "|---|---|---|---|"}
	for i := range guards {
		if row, ok := rows[guards[i].name]; ok {
			table = append(table, row)
		}
	}
	return os.WriteFile(file, []byte(text[:from]+"\n"+strings.Join(table, "\n")+"\n"+text[to:]), 0o600)
}
