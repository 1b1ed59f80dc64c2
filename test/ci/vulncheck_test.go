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

package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vulncheck runs hack/vulncheck.sh on a small module that calls os.Getenv, and returns its exit code and its output.
func vulncheck(t *testing.T, env ...string) (code int, output string) {
	t.Helper()
	module := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.com/small\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"os\"\n\nfunc main() { os.Exit(len(os.Getenv(\"HOME\"))) }\n",
	} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), filepath.Join(top, "hack", "vulncheck.sh"), module)
	command.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false"), env...)
	text, err := command.CombinedOutput()
	if err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(text)
}

// database writes a vulnerability database, with one entry for a function of package os, and returns its URL.
func database(t *testing.T, function string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"index/db.json":      `{"modified": "2026-01-01T00:00:00Z"}`,
		"index/modules.json": `[{"path": "stdlib", "vulns": [{"id": "GO-2026-0001", "modified": "2026-01-01T00:00:00Z"}]}]`,
		"ID/GO-2026-0001.json": `{"schema_version": "1.3.1", "id": "GO-2026-0001", "modified": "2026-01-01T00:00:00Z", "summary": "A test",
			"affected": [{"package": {"name": "stdlib", "ecosystem": "Go"},
			"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
			"ecosystem_specific": {"imports": [{"path": "os", "symbols": ["` + function + `"]}]}}],
			"database_specific": {"url": "https://example.com"}}`,
	} {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + filepath.ToSlash(folder)
}

func TestVulncheck(t *testing.T) {
	const nowhere = "http://127.0.0.1:1"
	for name, test := range map[string]struct {
		env  []string
		code int
		want string
	}{
		"code that calls a vulnerable function": {[]string{"VULNDB=" + database(t, "Getenv")}, 1, "GO-2026-0001"},
		"code that doesn't call it":             {[]string{"VULNDB=" + database(t, "Chroot")}, 0, "vulncheck: no known vulnerabilities"},
		"no database":                           {[]string{"VULNDB=" + nowhere}, 0, "NOT CHECKED"},
		"no database where one is required":     {[]string{"VULNDB=" + nowhere, "VULNCHECK_REQUIRED=1"}, 1, "NOT CHECKED"},
		"an error that isn't the database's":    {[]string{"VULNDB=" + database(t, "Chroot"), "GOFLAGS=-mod=nonsense"}, 1, "exited with"},
	} {
		t.Run(name, func(t *testing.T) {
			code, output := vulncheck(t, test.env...)
			if code != test.code || !strings.Contains(output, test.want) {
				t.Errorf("exited with %d, want %d and %q, and said:\n%s", code, test.code, test.want, output)
			}
			if test.code == 0 && test.want == "NOT CHECKED" && strings.Contains(output, "no known vulnerabilities") {
				t.Errorf("says that there are no vulnerabilities, which it couldn't know:\n%s", output)
			}
		})
	}
}
