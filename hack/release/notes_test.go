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
	"strings"
	"testing"
)

const changelog = `# Changelog

## [Unreleased]

- Something new.

## [0.2.0] - 2026-02-01

### Added

- A [field](docs/a.md#b), as [asked](https://example.com/1) ([more](c.md)).

## [0.1.0] - Unreleased

First.

## [0.0.1] - 2026-01-01

[0.2.0]: https://example.com/v0.2.0
`

func TestNotesOf(t *testing.T) {
	for name, test := range map[string]struct {
		version string
		dated   bool
		want    string
		wantErr string
	}{
		"a section with headings": {version: "v0.2.0", dated: true, want: "### Added\n\n- A [field](" + homepage + "/blob/v0.2.0/docs/a.md#b), as [asked](https://example.com/1) ([more](" +
			homepage + "/blob/v0.2.0/c.md)).\n"},
		"a draft":                          {version: "v0.1.0", want: "First.\n"},
		"a draft where a date is needed":   {version: "v0.1.0", dated: true, wantErr: "no date"},
		"an empty section before a link":   {version: "v0.0.1", wantErr: "empty"},
		"no section":                       {version: "v0.3.0", wantErr: "no section"},
		"part of another version's number": {version: "v0.2", wantErr: "no section"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := notesOf(changelog, test.version, test.dated)
			if test.wantErr == "" && (err != nil || got != test.want) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
			if test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("got %q, %v, want an error with %q", got, err, test.wantErr)
			}
		})
	}
}

func TestUnwrap(t *testing.T) {
	got := unwrap("One\ntwo.\n\n- three\n  four\n- five\n### Six\nseven\n```sh\neight\nnine\n```\nten\n\n| a |\n|---|\n1. b\n   c")
	want := "One two.\n\n- three four\n- five\n### Six\nseven\n```sh\neight\nnine\n```\nten\n\n| a |\n|---|\n1. b c"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
