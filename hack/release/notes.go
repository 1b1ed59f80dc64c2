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
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
)

var (
	sectionHeading = regexp.MustCompile(`^## \[([^\]]+)\](?: - (.+))?$`)
	// block starts a line that doesn't continue the line before it.
	block          = regexp.MustCompile(`^\s*(- |\d+\. |#|\||\x60{3}|$)`)
	isoDate        = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	linkDefinition = regexp.MustCompile(`^\[[^\]]+\]: `)
	// relativeLink is a link that isn't a URL: on the page of a release, it would lead nowhere.
	relativeLink = regexp.MustCompile(`\]\(([^):#]+)(#[^)]*)?\)`)
)

func runNotes(_ context.Context, args []string) error {
	flags := flag.NewFlagSet("notes", flag.ContinueOnError)
	changelog := flags.String("changelog", "CHANGELOG.md", "file with a section for each version")
	version := flags.String("version", "", "version, for example v0.1.0")
	dated := flags.Bool("dated", false, "refuse a version without a date")
	output := flags.String("output", "", "file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(fromTop(*changelog))
	if err != nil {
		return err
	}
	notes, err := notesOf(string(text), *version, *dated)
	if err != nil {
		return fmt.Errorf("%s: %w", *changelog, err)
	}
	return os.WriteFile(fromTop(*output), []byte(notes), 0o644) //nolint:gosec // everyone may read a release
}

// notesOf returns what a changelog says about a version, without its heading.
func notesOf(changelog, version string, dated bool) (string, error) {
	want := strings.TrimPrefix(version, "v")
	var section strings.Builder
	found, within := false, false
	for line := range strings.Lines(changelog) {
		match := sectionHeading.FindStringSubmatch(strings.TrimSpace(line))
		switch {
		case len(match) > 1 && match[1] == want:
			if dated && !isoDate.MatchString(match[2]) {
				return "", fmt.Errorf("the section of %s has no date: write \"## [%s] - YYYY-MM-DD\"", version, want)
			}
			found, within = true, true
		case match != nil || linkDefinition.MatchString(line):
			within = false
		case within:
			section.WriteString(line)
		}
	}
	notes := strings.TrimSpace(section.String())
	switch {
	case !found:
		return "", fmt.Errorf("no section \"## [%s]\": write what %s brings", want, version)
	case notes == "":
		return "", fmt.Errorf("the section of %s is empty", version)
	}
	return relativeLink.ReplaceAllString(unwrap(notes), "]("+homepage+"/blob/"+version+"/$1$2)") + "\n", nil
}

// unwrap puts each paragraph on one line: on the page of a release, every end of a line is one in the text.
func unwrap(text string) string {
	var lines []string
	code := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		last := len(lines) - 1
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if code || fence || last < 0 || block.MatchString(line) || lines[last] == "" || strings.HasPrefix(strings.TrimSpace(lines[last]), "#") ||
			strings.HasPrefix(strings.TrimSpace(lines[last]), "```") {
			lines = append(lines, line)
		} else {
			lines[last] += " " + strings.TrimSpace(line)
		}
		code = code != fence
	}
	return strings.Join(lines, "\n")
}
