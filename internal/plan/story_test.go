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

package plan

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of the stories")

// tale is one story: what it shows, and the script that plays it.
type tale struct {
	// file is the name of its golden file, and shows says what it is about, with the promise.
	file, shows string
	play        func() *story
}

// TestStories plays every story, and compares its lines with the golden file.
func TestStories(t *testing.T) {
	files := []string{"README.md"}
	for _, tale := range tales {
		t.Run(tale.file, func(t *testing.T) {
			s := tale.play()
			for _, broken := range s.broken {
				t.Error(broken)
			}
			compareWithGolden(t, tale, s.text.String())
		})
		files = append(files, tale.file+".txt")
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(files, entry.Name()) {
			t.Errorf("testdata/%s is of no story; delete it", entry.Name())
		}
	}
}

func compareWithGolden(t *testing.T, tale tale, text string) {
	t.Helper()
	got := wrapped(tale.shows) + "\n" + text
	golden := filepath.Join("testdata", tale.file+".txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the story is another than that in %s; if that is as it should be, run go test ./internal/plan -run TestStories -update (-want +got):\n%s", golden, diff)
	}
}

// wrapped returns a text in lines of at most 120 characters.
func wrapped(text string) string {
	var lines strings.Builder
	width := 0
	for _, word := range strings.Fields(text) {
		switch {
		case width > 0 && width+1+len(word) > 120:
			lines.WriteString("\n")
			width = 0
		case width > 0:
			lines.WriteString(" ")
			width++
		}
		lines.WriteString(word)
		width += len(word)
	}
	lines.WriteString("\n")
	return lines.String()
}
