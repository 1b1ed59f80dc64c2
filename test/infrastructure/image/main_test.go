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
	"strings"
	"testing"
)

func TestRunRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(t.TempDir(), "out.tar")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no name":            {[]string{"--output", output}, "--name"},
		"no output":          {[]string{"--name", "localhost/a:dev"}, "--output"},
		"a stray argument":   {[]string{"--name", "localhost/a:dev", "--output", output, "more"}, `"more"`},
		"half a pair":        {[]string{"--name", "localhost/a:dev", "--output", output, "--file", text}, "<file>=<path"},
		"half a label":       {[]string{"--name", "localhost/a:dev", "--output", output, "--file", text + "=/a", "--label", "a"}, "NAME=value"},
		"text as a program":  {[]string{"--name", "localhost/a:dev", "--output", output, "--binary", text + "=/a"}, "not a Linux program"},
		"nothing to put in":  {[]string{"--name", "localhost/a:dev", "--output", output}, "no files"},
		"oci without a file": {[]string{"--name", "localhost/a:dev", "--output", output, "--oci", "--arch", "amd64,arm64"}, "no files"},
		"half a link":        {[]string{"--name", "localhost/a:dev", "--output", output, "--file", text + "=/a", "--link", "/a"}, "--link"},
		"a relative in-path": {[]string{"--name", "localhost/a:dev", "--output", output, "--file", text + "=a"}, "absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), test.args); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestRun(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("some text"), 0o600); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(t.TempDir(), "out.tar")
	if err := run(t.Context(), []string{"--name", "localhost/a:dev", "--output", output, "--file", text + "=/text", "--user", "1:1"}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(output); err != nil || info.Size() == 0 {
		t.Errorf("got %v, %v", info, err)
	}
}

func TestRunRefusesABadSourceDate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	err := run(t.Context(), []string{"--name", "localhost/a:dev", "--output", filepath.Join(t.TempDir(), "out.tar")})
	if err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("got %v", err)
	}
}
