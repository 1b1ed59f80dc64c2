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
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const top = "../.."

var (
	// goTest is a test's name, as a page cites it.
	goTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
	quoted = regexp.MustCompile("`([^`]+)`")
)

// TestEveryTestThatAPageNamesExists reads all pages for the names of Go tests, and the tables of docs/safety.md that say
// which test fails without a mechanism for those of specs, too: the texts of a spec and its containers, joined by spaces.
func TestEveryTestThatAPageNamesExists(t *testing.T) {
	tests := namesOfTests(t)
	if len(tests) < 100 {
		t.Fatalf("found %d tests in the tree, which can't be all", len(tests))
	}
	pages, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("found no pages: %v", err)
	}
	for _, page := range append(pages, filepath.Join(top, "README.md"), filepath.Join(top, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range goTest.FindAllStringSubmatch(string(text), -1) {
			if !tests[match[1]] {
				t.Errorf("%s names the test %q, which doesn't exist", page, match[1])
			}
		}
	}
	cited := citations(t)
	if len(cited) < 10 {
		t.Errorf("docs/safety.md names %d tests, which can't be all: %q", len(cited), cited)
	}
	for _, name := range cited {
		if !tests[name] {
			t.Errorf("docs/safety.md names the test %q, which doesn't exist", name)
		}
	}
}

// citations are what docs/safety.md has in its columns "test that fails without it".
func citations(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "docs", "safety.md"))
	if err != nil {
		t.Fatal(err)
	}
	var cited []string
	within := false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		switch {
		case len(cells) < 4:
			within = false
		case strings.Contains(line, "test that fails without it"):
			within = true
		case within:
			for _, match := range quoted.FindAllStringSubmatch(cells[2], -1) {
				cited = append(cited, match[1])
			}
		}
	}
	return cited
}

// namesOfTests are the names of all Go tests and fuzz targets of the tree, and the whole texts of all specs and their containers.
func namesOfTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() != ".." && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil {
				names[function.Name.Name] = true
			}
			ast.Walk(specs{names: names}, declaration)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// specs collects the texts of Ginkgo's nodes below the containers that it has come through.
type specs struct {
	names map[string]bool
	above string
}

// Visit implements ast.Visitor.
func (s specs) Visit(node ast.Node) ast.Visitor {
	call, ok := node.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return s
	}
	function, ok := call.Fun.(*ast.Ident)
	if !ok {
		return s
	}
	switch function.Name {
	case "Describe", "Context", "When", "It", "DescribeTable", "Entry":
	default:
		return s
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return s
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		return s
	}
	text = strings.TrimSpace(s.above + " " + text)
	s.names[text] = true
	return specs{names: s.names, above: text}
}
