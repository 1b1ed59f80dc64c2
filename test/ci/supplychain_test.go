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

package ci

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// tracked returns the files of the tree that git lists for a pattern, new ones included.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	args := append([]string{"ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"}, patterns...)
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = top
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.FieldsFunc(string(output), func(r rune) bool { return r == 0 })
	if len(files) == 0 {
		t.Fatalf("no file is like %q", patterns)
	}
	return files
}

func TestDependabotUpdatesEveryModuleActionAndImage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, ".github", "dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Updates []struct {
			Ecosystem   string   `json:"package-ecosystem"`
			Directory   string   `json:"directory"`
			Directories []string `json:"directories"`
		} `json:"updates"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, update := range config.Updates {
		got[update.Ecosystem] = append(got[update.Ecosystem], update.Directories...)
		if update.Directory != "" {
			got[update.Ecosystem] = append(got[update.Ecosystem], update.Directory)
		}
		slices.Sort(got[update.Ecosystem])
	}
	for _, directories := range got {
		slices.Sort(directories)
	}
	folders := func(patterns ...string) []string {
		var all []string
		for _, file := range tracked(t, patterns...) {
			text, err := os.ReadFile(filepath.Join(top, file))
			if err != nil {
				t.Fatal(err)
			}
			// Their versions belong to one release of Kubernetes, in replace directives that Dependabot doesn't move.
			if bytes.Contains(text, []byte("pin.sh writes this file")) {
				continue
			}
			all = append(all, path.Join("/", path.Dir(file)))
		}
		slices.Sort(all)
		return all
	}
	want := map[string][]string{
		"gomod":          folders("go.mod", "*/go.mod"),
		"docker":         folders("Dockerfile", "*/Dockerfile"),
		"github-actions": {"/"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
}

var (
	uses   = regexp.MustCompile(`^\s*(?:- )?uses:\s*(.*)$`)
	pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$`)
	// untrusted matches what the person who starts a workflow can write, put into a script as code. In the environment it is only a value.
	untrusted = regexp.MustCompile(`\$\{\{[^}]*\b(github|inputs|secrets|steps)\.`)
	// from is the image of a stage, and the stage's name if it has one.
	from   = regexp.MustCompile(`(?mi)^FROM (?:--platform=\S+ )?(\S+)(?: AS (\S+))?$`)
	digest = regexp.MustCompile(`:[^@]+@sha256:[0-9a-f]{64}$`)
)

func TestWorkflowsPinActionsAndLimitTheirToken(t *testing.T) {
	for _, file := range tracked(t, ".github/workflows/*") {
		text, err := os.ReadFile(filepath.Join(top, file))
		if err != nil {
			t.Fatal(err)
		}
		used := 0
		for line := range strings.Lines(string(text)) {
			if match := uses.FindStringSubmatch(strings.TrimRight(line, "\n")); match != nil {
				used++
				if !pinned.MatchString(match[1]) {
					t.Errorf("%s: %q must be <action>@<commit> # <version>", file, match[1])
				}
			}
		}
		if used == 0 {
			t.Errorf("%s uses no action, so this test doesn't understand it", file)
		}
		var content struct {
			Permissions *map[string]string `json:"permissions"`
			Jobs        map[string]struct {
				Permissions map[string]string `json:"permissions"`
				Steps       []struct {
					Run string `json:"run"`
				} `json:"steps"`
			} `json:"jobs"`
		}
		if err := yaml.Unmarshal(text, &content); err != nil {
			t.Fatal(err)
		}
		if content.Permissions == nil {
			t.Errorf("%s gives its jobs the default permissions", file)
		} else {
			for scope, access := range *content.Permissions {
				if access == "write" {
					t.Errorf("%s: every job may write %s: say so in the job that must", file, scope)
				}
			}
		}
		for name, job := range content.Jobs {
			for _, step := range job.Steps {
				if untrusted.MatchString(step.Run) {
					t.Errorf("%s: job %s puts a value into code: pass it by the environment in\n%s", file, name, step.Run)
				}
			}
		}
	}
}

func TestDockerfilesPinTheirImages(t *testing.T) {
	for _, file := range tracked(t, "Dockerfile", "*/Dockerfile") {
		text, err := os.ReadFile(filepath.Join(top, file))
		if err != nil {
			t.Fatal(err)
		}
		images := from.FindAllSubmatch(text, -1)
		if len(images) == 0 {
			t.Errorf("%s has no FROM", file)
		}
		// An earlier stage, nothing at all, and what only the person who builds knows need no digest.
		known := map[string]bool{"scratch": true, "${BASE_IMAGE}": true}
		for _, match := range images {
			if image := string(match[1]); !known[image] && !digest.MatchString(image) {
				t.Errorf("%s: %s must be pinned as <name>:<tag>@sha256:<digest>", file, image)
			}
			known[string(match[2])] = true
		}
	}
}

// TestTheImageIsBuiltWithTheToolchainOfTheModule holds the two places that name a version of Go to one.
func TestTheImageIsBuiltWithTheToolchainOfTheModule(t *testing.T) {
	module, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile(filepath.Join(top, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindSubmatch(module)
	if toolchain == nil {
		t.Fatal("go.mod has no toolchain line")
	}
	if !bytes.Contains(dockerfile, []byte("/golang:"+string(toolchain[1])+"@")) {
		t.Errorf("the Dockerfile doesn't build with Go %s, which go.mod asks for", toolchain[1])
	}
}
