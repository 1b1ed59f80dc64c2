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
	"path/filepath"
	"strings"
	"testing"
)

const (
	mit = `Copyright (c) 2026 %s

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`
	gpl = `This program is free software; you can redistribute it and/or modify it under the terms of the GNU General Public License as published
by the Free Software Foundation; either version 2 of the License, or (at your option) any later version.
`
	mpl = `This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was not distributed with this
file, You can obtain one at https://mozilla.org/MPL/2.0/.
`
)

// fakeModule is a module with files, whose packages are in its own folder and in the folders below it that are named.
func fakeModule(t *testing.T, files map[string]string, packages ...string) module {
	t.Helper()
	m := module{path: "example.com/m", version: "v1.0.0", dir: t.TempDir(), folders: map[string]bool{}}
	for name, content := range files {
		write(t, filepath.Join(m.dir, name), content, 0o600)
	}
	for _, p := range append(packages, ".") {
		m.folders[filepath.Join(m.dir, p)] = true
	}
	return m
}

func TestNotices(t *testing.T) {
	m := fakeModule(t, map[string]string{
		"LICENSE": mit, "NOTICE.txt": "Made by someone.", "license.go": "package m",
		"linked/LICENSE": mit + "\n" + mit, "linked/deep/code.go": "package deep", "other/LICENSE": gpl,
	}, "linked/deep")
	other := fakeModule(t, map[string]string{"COPYING": strings.ReplaceAll(mit, "\n", " \r\n")})
	other.path = "example.com/other"
	got, err := notices([]module{m, other})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nexample.com/m v1.0.0: MIT\n", "\nexample.com/other v1.0.0: MIT\n", "Made by someone.", "\nexample.com/m\nexample.com/other\n\nCopyright",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "GNU") {
		t.Error("the license of a package that isn't linked is among the notices")
	}
	if strings.Contains(got, "package m") {
		t.Error("code is among the notices")
	}
}

func TestNoticesRefuse(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no license":                        {map[string]string{"README.md": mit}, "no license file"},
		"a license of a package only":       {map[string]string{"linked/LICENSE": mit}, "no license file"},
		"copyleft":                          {map[string]string{"LICENSE": gpl}, "GPL-2.0-or-later is not one of the allowed"},
		"weak copyleft":                     {map[string]string{"LICENSE": mpl}, "is not one of the allowed"},
		"copyleft beside another license":   {map[string]string{"LICENSE": mit + "\n" + gpl}, "is not one of the allowed"},
		"copyleft in a second file":         {map[string]string{"LICENSE": mit, "COPYING": gpl}, "is not one of the allowed"},
		"copyleft of a linked package":      {map[string]string{"LICENSE": mit, "linked/LICENSE": gpl}, "is not one of the allowed"},
		"a text that is no license":         {map[string]string{"LICENSE": "All rights reserved."}, "isn't known"},
		"a license with further conditions": {map[string]string{"LICENSE": mit + strings.Repeat("Not for the use on weekends. ", 40)}, "isn't known"},
	} {
		t.Run(name, func(t *testing.T) {
			test.files["linked/code.go"] = "package linked"
			good := fakeModule(t, map[string]string{"LICENSE": mit})
			got, err := notices([]module{good, fakeModule(t, test.files, "linked")})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "example.com/m v1.0.0") {
				t.Errorf("got %v and %d bytes, want an error with %q", err, len(got), test.want)
			}
		})
	}
}

// TestTheReleaseCheckerLinksKnownModules reads the real graph of this very module, so that go list's answers are understood.
func TestTheReleaseCheckerLinksKnownModules(t *testing.T) {
	modules, err := linkedModules(t.Context(), ".", []string{"linux/amd64", "darwin/arm64"}, []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, m := range modules {
		paths[m.path] = true
		if m.version == "" || m.dir == "" || len(m.folders) == 0 {
			t.Errorf("%s has no version, folder or packages: %+v", m.path, m)
		}
	}
	if !paths["github.com/google/licensecheck"] || paths["github.com/docker/cli"] {
		t.Errorf("got %v, which must have what is linked, and not what only crane needs", paths)
	}
}
