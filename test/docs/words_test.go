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
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// banned are words that the project doesn't use, each with what to write instead. They hide who acts, are not American English, or have
// another word in the glossary.
//
// Some words that the glossary replaces have other, technical uses, so a pattern can't ban them: volume, replica, member, token, placeholder,
// admit, try, and "goes".
var banned = []struct{ pattern, instead string }{
	{`nobody|somebody|anybody|everybody|whoever|whomever`, "name the actor"},
	{`it is told|(is|are|was) told (of|so|in|as)|told of`, "name the actor, and use report, signal or observe"},
	{`mend|mends|mended|mending`, "fix"},
	{`armed|unarmed`, "accepted"},
	{`wanted back`, "back in range"},
	{`leaver|leavers`, "orphan, orphaned ordinal"},
	{`evacuation|evacuate|evacuates|evacuated`, "drain"},
	{`stamp|stamps|stamped|stamping`, "mark, record"},
	{`says whether`, "reports whether"},
	{`in another life|in the midst of|(is|are|was|were) no more`, "while, during, deleted, stale"},
	{`for ever`, "forever, without a limit"},
	{`anew`, "again"},
	{`learnt`, "learned"},
	{`behaviour|licence|cancelled|cancelling|labelled|labelling|recognised|recognise|favour|colour|honour`, "the American spelling"},
}

// exempt are files and directories whose text is not written for this project, or not rewritten yet.
var exempt = []string{
	"go.sum", "LICENSE", "*/go.sum",
	// Generated from the API types and from Kubernetes' own; the former are checked in api/.
	"config/crd/bases", "charts/drain-operator/templates/crd.yaml",
	// The list above.
	"test/docs/words_test.go",
	// To be rewritten; remove this when that is done.

}

// names are what others have named with such words.
var names = strings.NewReplacer("server cluster evacuate", "") // A command of NATS'.

// generated is the part of docs/simulation.md that a run of the simulation writes.
var generated = regexp.MustCompile(`(?s)<!-- mutations -->.*?<!-- /mutations -->`)

// TestTextUsesTheWordsOfTheGuide looks for banned words in all tracked files: in Go files in the comments and strings, in others everywhere.
func TestTextUsesTheWordsOfTheGuide(t *testing.T) {
	patterns := make([]*regexp.Regexp, 0, len(banned))
	for _, words := range banned {
		patterns = append(patterns, regexp.MustCompile(`(?i)\b(`+words.pattern+`)\b`))
	}
	list, err := exec.CommandContext(t.Context(), "git", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		if slices.ContainsFunc(exempt, func(pattern string) bool { return covers(pattern, name) }) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(top, name))
		if os.IsNotExist(err) || bytes.IndexByte(content, 0) >= 0 {
			continue // Deleted in the working tree, or no text.
		}
		if err != nil {
			t.Fatal(err)
		}
		checked++
		for i, line := range prose(t, name, content) {
			if strings.TrimSpace(line) == "" {
				continue
			}
			text := names.Replace(line)
			for j, pattern := range patterns {
				if found := pattern.FindString(text); found != "" {
					t.Errorf("%s:%d: %q; instead: %s", name, i+1, found, banned[j].instead)
				}
			}
		}
	}
	if checked < 200 {
		t.Errorf("checked %d files, which can't be all", checked)
	}
}

// covers reports whether an exemption is of a file: its name, its directory, or the same name in any directory.
func covers(pattern, name string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*/"); ok {
		return strings.HasSuffix(name, "/"+suffix)
	}
	return name == pattern || strings.HasPrefix(name, pattern+"/")
}

// prose returns the lines of a file, with all but comments and strings blanked out in Go files, and without generated parts.
func prose(t *testing.T, name string, content []byte) []string {
	t.Helper()
	if !strings.HasSuffix(name, ".go") {
		text := generated.ReplaceAllStringFunc(string(content), func(part string) string { return strings.Repeat("\n", strings.Count(part, "\n")) })
		return strings.Split(text, "\n")
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	lines := make([]string, bytes.Count(content, []byte("\n"))+1)
	add := func(pos token.Pos, text string) {
		for i, line := range strings.Split(text, "\n") {
			at := files.Position(pos).Line - 1 + i
			lines[at] = fmt.Sprint(lines[at], " ", line)
		}
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			add(comment.Pos(), comment.Text)
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			add(literal.Pos(), literal.Value)
		}
		return true
	})
	return lines
}
