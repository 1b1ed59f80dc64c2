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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReplaceRow puts rows into a table that has others already.
func TestReplaceRow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	all := tables()
	list := all[slices.IndexFunc(all, func(t table) bool { return t.marker == "mutations" })]
	first, second := list.guards[0].name, list.guards[1].name
	text := "before\n<!-- mutations -->\n| guard taken away | file | histories until found | invariant broken |\n|---|---|---|---|\n" +
		"| " + second + " | f | 2 | b |\n| one that is gone | f | 3 | c |\n<!-- /mutations -->\nafter\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{"| " + first + " | f | 9 | a |", "| " + first + " | f | 1 | a |"} {
		if err := list.replaceRow(file, first, row); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(data)
	at := func(part string) int { return strings.Index(got, part) }
	if at("before\n") != 0 || at("| "+first+" | f | 1 |") < at("|---|") || at("| "+second+" | f | 2 |") < at("| "+first+" |") || at("<!-- /mutations -->\nafter\n") < 0 ||
		at(" 9 ") >= 0 || at("one that is gone") >= 0 || strings.Count(got, "|---|---|---|---|") != 1 {
		t.Errorf("the page is\n%s", got)
	}
}
