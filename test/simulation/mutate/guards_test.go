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
