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
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// labelsTables has the keys of labels, annotations, finalizers and gates, with their comments in api/v1alpha1/metadata.go. Names of constants
// become their values.
func labelsTables(t *testing.T) string {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, "api", "v1alpha1", "metadata.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	type key struct{ name, value, comment string }
	var keys []key
	var values []string
	for _, declaration := range source.Decls {
		constants, ok := declaration.(*ast.GenDecl)
		if !ok || constants.Tok != token.CONST {
			continue
		}
		for _, spec := range constants.Specs {
			constant := spec.(*ast.ValueSpec)
			literal, ok := constant.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			comment := constant.Doc
			if comment == nil {
				comment = constants.Doc
			}
			keys = append(keys, key{constant.Names[0].Name, value, strings.Join(strings.Fields(comment.Text()), " ")})
			values = append(values, constant.Names[0].Name, "`"+value+"`")
		}
	}
	var tables strings.Builder
	for _, kind := range []struct{ title, suffix string }{
		{"Labels", "Label"}, {"Annotations", "Annotation"}, {"Finalizers", "Finalizer"}, {"Scheduling gates", "SchedulingGate"},
	} {
		fmt.Fprintf(&tables, "\n## %s\n\n| key | what it is |\n|---|---|\n", kind.title)
		for _, k := range keys {
			says, has := strings.CutPrefix(k.comment, k.name+" ")
			if !strings.HasSuffix(k.name, kind.suffix) || !has {
				continue
			}
			says = strings.NewReplacer(values...).Replace(strings.TrimPrefix(strings.TrimPrefix(says, "is "), "is, "))
			fmt.Fprintf(&tables, "| `%s` | %s |\n", k.value, says)
		}
	}
	return tables.String() + "\n"
}
