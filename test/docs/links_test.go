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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// link is the target of a Markdown link that isn't a URL, with its anchor if it has one.
	link    = regexp.MustCompile(`\]\(([^)\s:]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	// code is a piece of code in a line, which may look like a link.
	code = regexp.MustCompile("`[^`\n]+`")
)

// TestEveryLinkLeadsSomewhere follows the links between the pages of this repository, anchors included.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	list, err := exec.CommandContext(t.Context(), "git", "-C", top, "ls-files", "*.md").Output()
	if err != nil {
		t.Fatal(err)
	}
	followed := 0
	for page := range strings.Lines(string(list)) {
		page = filepath.Join(top, strings.TrimSpace(page))
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), "code"), -1) {
			followed++
			file, anchor, _ := strings.Cut(match[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which isn't there", page, match[1])
			} else if anchor != "" && !anchors(t, target)[anchor] {
				t.Errorf("%s links to %s, and there is no such heading", page, match[1])
			}
		}
	}
	if followed < 30 {
		t.Errorf("followed %d links, which can't be all", followed)
	}
}

// anchors are those that GitHub makes of a page's headings.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(string(text), -1) {
		made[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
				return r
			}
			return -1
		}, strings.ToLower(match[1]))] = true
	}
	return made
}
