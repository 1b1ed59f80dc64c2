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
	"go/parser"
	gotypes "go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"

	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// TestEveryGuardIsThere holds the list to the source: what takes a guard away must fit exactly once.
func TestEveryGuardIsThere(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	names := map[string]bool{}
	protocol := plan.Rules().Names()
	for _, g := range guards {
		if names[g.name] {
			t.Errorf("there are two guards of the name %q", g.name)
		}
		names[g.name] = true
		t.Run(g.name, func(t *testing.T) {
			for _, rule := range g.drops {
				if !slices.Contains(protocol, rule) {
					t.Errorf("the protocol has no rule %q", rule)
				}
			}
			for _, e := range g.edits {
				text, err := os.ReadFile(e.file)
				if err != nil {
					t.Fatal(err)
				}
				if n := strings.Count(string(text), e.old); n != 1 {
					t.Errorf("%s has the text %d times, not once:\n%s", e.file, n, e.old)
				}
			}
		})
	}
}

// TestTheSourceCompilesWithoutEachGuard holds that what is left without a guard is a program still.
func TestTheSourceCompilesWithoutEachGuard(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	const mode = packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax
	loaded, err := packages.Load(&packages.Config{Mode: mode, Context: t.Context()}, "./internal/...")
	if err != nil {
		t.Fatal(err)
	}
	if packages.PrintErrors(loaded) > 0 {
		t.Fatal("the operator does not compile as it is")
	}
	for _, g := range guards {
		t.Run(g.name, func(t *testing.T) {
			contents := map[string]string{}
			for _, e := range g.edits {
				path, err := filepath.Abs(e.file)
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := contents[path]; !ok {
					text, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					contents[path] = string(text)
				}
				contents[path] = strings.Replace(contents[path], e.old, e.new, 1)
			}
			edited := 0
			for _, p := range loaded {
				files := slices.Clone(p.Syntax)
				before := edited
				for i, path := range p.CompiledGoFiles {
					if text, ok := contents[path]; ok {
						edited++
						if files[i], err = parser.ParseFile(p.Fset, path, text, parser.SkipObjectResolution); err != nil {
							t.Fatal(err)
						}
					}
				}
				if edited == before {
					continue
				}
				check := gotypes.Config{Importer: importerOf(p), Error: func(err error) { t.Error(err) }}
				_, _ = check.Check(p.PkgPath, p.Fset, files, nil) // Each error has been told.
			}
			if edited != len(contents) {
				t.Errorf("%d of %d edited files are the operator's", edited, len(contents))
			}
		})
	}
}

// importerOf imports what a package imports, as it was loaded.
func importerOf(p *packages.Package) gotypes.Importer {
	return importer(func(path string) (*gotypes.Package, error) {
		if path == "unsafe" {
			return gotypes.Unsafe, nil
		}
		return p.Imports[path].Types, nil
	})
}

type importer func(path string) (*gotypes.Package, error)

func (i importer) Import(path string) (*gotypes.Package, error) { return i(path) }
