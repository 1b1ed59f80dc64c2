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

package main

import (
	"bytes"
	stdcmp "cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/cli"
)

var (
	update = flag.Bool("update", false, "write the reference of the commands into docs/plugin.md")

	page = filepath.Join("..", "..", "docs", "plugin.md")
)

// TestTheDocsHaveTheCommands compares the reference in docs/plugin.md with the commands, or writes it, which is what `make generate` does.
func TestTheDocsHaveTheCommands(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- commands: make generate -->\n", "<!-- /commands -->\n"
	before, rest, opened := strings.Cut(string(data), begin)
	got, behind, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no %q with %q after it", page, begin, end)
	}
	want := reference(cli.New(genericiooptions.NewTestIOStreamsDiscard(), clock.RealClock{}, ""))
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+behind), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not what `make generate` writes (-want +got):\n%s", page, diff)
	}
}

// reference is shorter than cobra's own, which repeats kubectl's flags with every command.
func reference(root *cobra.Command) string {
	var text strings.Builder
	for _, command := range root.Commands() {
		if command.GroupID == "" {
			continue
		}
		fmt.Fprintf(&text, "\n### %s\n\n```\nkubectl drainpolicy %s\n```\n\n%s\n", command.Name(), command.Use, stdcmp.Or(command.Long, command.Short+"."))
		if command.HasAvailableLocalFlags() {
			text.WriteString("\n| flag | |\n|---|---|\n")
		}
		command.LocalFlags().VisitAll(func(f *pflag.Flag) {
			name := "`--" + f.Name + "`"
			if f.Shorthand != "" {
				name = "`-" + f.Shorthand + "`, " + name
			}
			fmt.Fprintf(&text, "| %s | %s |\n", name, f.Usage)
		})
		if command.Example != "" {
			fmt.Fprintf(&text, "\n```\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(command.Example, "  "), "\n  ", "\n"))
		}
	}
	return text.String() + "\n"
}

// TestEveryExitCodeIsInTheHelp holds the page and the help text together.
func TestEveryExitCodeIsInTheHelp(t *testing.T) {
	var help bytes.Buffer
	root := cli.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &help, ErrOut: &help}, clock.RealClock{}, "v1")
	root.SetArgs([]string{"--help"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for line := range strings.Lines(help.String()) {
		if code, _, found := strings.Cut(strings.TrimSpace(line), "  "); found && len(code) == 1 {
			codes = append(codes, code)
			if !strings.Contains(string(data), "\n| "+code+" | ") {
				t.Errorf("%s has no row for exit code %s", page, code)
			}
		}
	}
	if want := []string{"0", "1", "2", "3", "4", "5"}; !slices.Equal(codes, want) {
		t.Errorf("the help has the exit codes %v", codes)
	}
}
