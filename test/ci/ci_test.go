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

// Package ci holds .ci/run, the workflow of GitHub and `make ci` to the one list of targets in .ci/targets. All three run here, with a stand-in for make.
package ci

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const top = "../.."

// bench has stand-ins for programs that a CI starts, and notes each call of make.
type bench struct {
	t   *testing.T
	dir string
}

// newBench returns a bench whose make fails for the target fail.
func newBench(t *testing.T, fail string) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	for name, text := range map[string]string{
		"make":       `echo "$@" >>"` + b.path("calls") + `"; [[ " $* " != *" ` + fail + ` "* ]]`,
		"dpkg-query": `echo "install ok installed"`,
	} {
		if err := os.WriteFile(b.path(name), []byte("#!/usr/bin/env bash\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// run runs a command at the top of the repository and returns its exit code and its output.
func (b *bench) run(name string, args ...string) (code int, output string) {
	b.t.Helper()
	command := exec.CommandContext(b.t.Context(), name, args...)
	command.Dir = top
	command.Env = append(os.Environ(), "PATH="+b.dir+":"+os.Getenv("PATH"), "GITHUB_OUTPUT="+b.path("output"), "MAKEFLAGS=", "MAKELEVEL=")
	text, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(text)
}

// calls returns what make was given, call by call, without options.
func (b *bench) calls() []string {
	b.t.Helper()
	text, err := os.ReadFile(b.path("calls"))
	if err != nil {
		b.t.Fatal(err)
	}
	var calls []string
	for line := range strings.Lines(string(text)) {
		goal := slices.DeleteFunc(strings.Fields(line), func(word string) bool { return strings.HasPrefix(word, "-") })
		calls = append(calls, strings.Join(goal, " "))
	}
	return calls
}

// targets returns the targets of .ci/targets with their variables.
func targets(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, ".ci", "targets"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			_, goal, _ := strings.Cut(strings.TrimSpace(line), " ")
			all = append(all, goal)
		}
	}
	if len(all) < 4 {
		t.Fatalf(".ci/targets names %q, which can't be all", all)
	}
	return all
}

func TestTheMakefileHasEveryTargetOfCI(t *testing.T) {
	t.Parallel()
	for _, goal := range targets(t) {
		command := exec.CommandContext(t.Context(), "make", append([]string{"--dry-run", "--no-print-directory"}, strings.Fields(goal)...)...)
		command.Dir, command.Env = top, append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=", "LC_ALL=C")
		// A target that is only declared phony has nothing to do.
		if output, err := command.CombinedOutput(); err != nil || strings.Contains(string(output), "Nothing to be done") {
			t.Errorf("make %s: %v\n%s", goal, err, output)
		}
	}
}

func TestCIRunRunsEveryTargetEvenAfterOneFailed(t *testing.T) {
	t.Parallel()
	for fail, wantCode := range map[string]int{"none": 0, "verify": 1, "test-e2e": 1} {
		b := newBench(t, fail)
		// A copy, beside which no cluster is that the script could ask about a failure.
		if err := os.CopyFS(b.path(".ci"), os.DirFS(filepath.Join(top, ".ci"))); err != nil {
			t.Fatal(err)
		}
		code, output := b.run(b.path(filepath.Join(".ci", "run")))
		if code != wantCode {
			t.Errorf("with %q failing, .ci/run exits with %d, want %d:\n%s", fail, code, wantCode, output)
		}
		if diff := cmp.Diff(append(targets(t), "cluster-down"), b.calls()); diff != "" {
			t.Errorf(".ci/run differs from .ci/targets (-want +got):\n%s", diff)
		}
		if summary := output[strings.LastIndex(output, "=== summary"):]; strings.Count(summary, "FAILED") != wantCode {
			t.Errorf("with %q failing, the summary is:\n%s", fail, summary)
		}
	}
}

func TestMakeCIRunsEveryTarget(t *testing.T) {
	t.Parallel()
	b := newBench(t, "none")
	path, err := exec.LookPath("make")
	if err != nil {
		t.Fatal(err)
	}
	if code, output := b.run(path, "ci", "MAKE="+b.path("make")); code != 0 {
		t.Errorf("make ci exits with %d:\n%s", code, output)
	}
	if diff := cmp.Diff(targets(t), b.calls()); diff != "" {
		t.Errorf("make ci differs from .ci/targets (-want +got):\n%s", diff)
	}
	b = newBench(t, "verify")
	if code, _ := b.run(path, "ci", "MAKE="+b.path("make")); code == 0 {
		t.Error("make ci succeeds though make verify fails")
	}
}

// workflow is what GitHub reads, as far as it says what runs.
type workflow struct {
	Jobs map[string]struct {
		Strategy struct {
			Matrix map[string]string `json:"matrix"`
		} `json:"strategy"`
		Outputs map[string]string `json:"outputs"`
		Steps   []struct {
			ID  string `json:"id"`
			Run string `json:"run"`
		} `json:"steps"`
	} `json:"jobs"`
}

// TestTheWorkflowRunsEveryTarget runs the steps of the workflow: once as they stand, and in the job with a matrix once for each of its values.
func TestTheWorkflowRunsEveryTarget(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(top, ".github", "workflows", "ci.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file workflow
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, "none")
	list := file.Jobs["targets"]
	if list.Outputs["targets"] != "${{ steps.list.outputs.targets }}" {
		t.Fatalf("the job targets has the outputs %q", list.Outputs)
	}
	for _, step := range list.Steps {
		if step.ID == "list" {
			if code, output := b.run("bash", "-ec", step.Run); code != 0 {
				t.Fatalf("the list of targets: exit code %d:\n%s", code, output)
			}
		}
	}
	output, err := os.ReadFile(b.path("output"))
	if err != nil {
		t.Fatal(err)
	}
	var matrix []string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(output), "targets=")), &matrix); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for name, job := range file.Jobs {
		values := []string{""}
		if len(job.Strategy.Matrix) > 0 {
			if diff := cmp.Diff(map[string]string{"target": "${{ fromJSON(needs.targets.outputs.targets) }}"}, job.Strategy.Matrix); diff != "" {
				t.Fatalf("the matrix of job %s (-want +got):\n%s", name, diff)
			}
			values = matrix
		}
		for _, value := range values {
			for _, step := range job.Steps {
				script := strings.ReplaceAll(step.Run, "${{ matrix.target }}", value)
				if step.ID == "list" || script == "" {
					continue
				}
				if !strings.HasPrefix(script, "make ") || strings.Contains(script, "${{") {
					t.Fatalf("job %s runs %q, which this test doesn't know", name, script)
				}
				if code, output := b.run("bash", "-ec", script); code != 0 {
					t.Errorf("%s: exit code %d:\n%s", script, code, output)
				}
			}
		}
	}
	if diff := cmp.Diff(targets(t), b.calls()); diff != "" {
		t.Errorf("the workflow differs from .ci/targets (-want +got):\n%s", diff)
	}
}

// A function that is the condition of an if goes on after a command that failed, so the last one alone would count.
func TestAStepOfVerifyFailsWithAnyOfItsCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(top, "hack", "verify.sh"))
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(text), "\nshell_scripts() {")
	if !found {
		t.Fatal("hack/verify.sh has no function shell_scripts behind the function step")
	}
	head = strings.Replace(head, `cd "$(dirname "${BASH_SOURCE[0]}")/.."`, "", 1)
	for body, want := range map[string]string{"true; true": "0", "false; true": "1", "true; false": "1"} {
		command := exec.CommandContext(t.Context(), "bash", "-c", head+"\nsome_check() { "+body+"; }\nstep some some_check\necho \"failed: ${#failed[@]}\"")
		command.Dir = top
		output, err := command.CombinedOutput()
		if err != nil || !strings.HasSuffix(string(output), "failed: "+want+"\n") {
			t.Errorf("with the commands %q, not %s step failed: %v\n%s", body, want, err, output)
		}
	}
}
