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

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTroubleshootingExplainsEveryReason holds docs/troubleshooting.md to the reasons of the API and of the events: each has a row that
// says what it means and what to do.
func TestTroubleshootingExplainsEveryReason(t *testing.T) {
	reasons := constants(t, filepath.Join(top, "api", "v1alpha1", "conditions.go"), "Reason")
	events, err := filepath.Glob(filepath.Join(top, "internal", "controller", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range events {
		for name, reason := range constants(t, file, "event") {
			found++
			reasons[name] = reason
		}
	}
	if found < 5 || len(reasons) < 60 {
		t.Fatalf("found %d reasons, %d of them of events, which can't be all", len(reasons), found)
	}
	explained := explanations(t)
	for name, reason := range reasons {
		if !explained[reason] {
			t.Errorf("docs/troubleshooting.md has no row that says what %q means and what to do (%s)", reason, name)
		}
	}
}

// constants returns the string constants of a Go file whose names have a prefix.
func constants(t *testing.T, file, prefix string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, declaration := range parsed.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			if !strings.HasPrefix(value.Names[0].Name, prefix) || len(value.Values) == 0 {
				continue
			}
			literal, ok := value.Values[0].(*ast.BasicLit)
			if !ok {
				t.Fatalf("%s: constant %s is not a literal", file, value.Names[0].Name)
			}
			if values[value.Names[0].Name], err = strconv.Unquote(literal.Value); err != nil {
				t.Fatal(err)
			}
		}
	}
	return values
}

// word is a reason in a cell.
var word = regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`)

// explanations are the words in the first cells of the tables of docs/troubleshooting.md that have the columns "reason", "what it means"
// and "what to do".
func explanations(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	within := false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		switch {
		case len(cells) < 5:
			within = false
		case strings.HasPrefix(line, "| reason | what it means | what to do |"):
			within = true
		case within && strings.TrimSpace(cells[2]) != "" && strings.TrimSpace(cells[3]) != "":
			for _, reason := range word.FindAllString(cells[1], -1) {
				explained[reason] = true
			}
		}
	}
	return explained
}
