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
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licenses that a module linked into a program of a release may have. All of them are permissive: they ask for their text
// and their notices, which THIRD_PARTY_NOTICES.txt has. Whatever else comes up, a copyleft license above all, a person must decide on.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PostgreSQL", "Unlicense", "Zlib"}

// minCoverage is the share of a license file, in percent, that must be the text of known licenses. The rest is copyright lines.
const minCoverage = 75

var (
	licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([._-].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents|copyright)([._-].*)?$`)
	codeFile    = regexp.MustCompile(`\.(go|s|c|h|py|sh|tmpl|tpl)$`)
)

// module is a Go module with those of its folders whose packages are linked.
type module struct {
	path, version, dir string
	folders            map[string]bool
}

// notice is a text that must go with a program.
type notice struct {
	module, license, text string
}

// listedPackage is what go list says about a package.
type listedPackage struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
}

func runNotices(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("notices", flag.ContinueOnError)
	output := flags.String("output", "", "file to write")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "platforms that the programs are built for")
	dir := flags.String("dir", ".", "folder of the module that the programs are in")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("name the packages of the programs")
	}
	modules, err := linkedModules(ctx, fromTop(*dir), strings.Split(*platforms, ","), flags.Args())
	if err != nil {
		return err
	}
	standard, err := standardLibrary(ctx, fromTop("."))
	if err != nil {
		return err
	}
	modules = append(modules, standard)
	text, err := notices(modules)
	if err != nil {
		return err
	}
	return os.WriteFile(fromTop(*output), []byte(text), 0o644) //nolint:gosec // everyone may read a release
}

// linkedModules returns the modules other than those of this repository whose packages the programs import, directly or not.
func linkedModules(ctx context.Context, dir string, platforms, programs []string) ([]module, error) {
	found := map[string]module{}
	for _, platform := range platforms {
		goos, goarch, _ := strings.Cut(platform, "/")
		command := exec.CommandContext(ctx, "go", append([]string{"list", "-deps", "-json=ImportPath,Dir,Standard,Module"}, programs...)...)
		command.Dir = dir
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		list, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("go list for %s: %w: %s", platform, err, stderr.String())
		}
		for decoder := json.NewDecoder(bytes.NewReader(list)); ; {
			var p listedPackage
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			if p.Standard || p.Module != nil && (p.Module.Main || p.Module.Replace != nil && p.Module.Replace.Version == "") {
				// A module that a folder replaces is this repository's.
				continue
			}
			if p.Module == nil {
				return nil, fmt.Errorf("package %s belongs to no module", p.ImportPath)
			}
			m := module{p.Module.Path, p.Module.Version, p.Module.Dir, map[string]bool{}}
			if r := p.Module.Replace; r != nil {
				m.version, m.dir = cmp.Or(r.Version, m.version), r.Dir
			}
			if known, ok := found[m.path]; ok {
				m = known
			}
			m.folders[p.Dir] = true
			found[m.path] = m
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%v import no module, which can't be", programs)
	}
	modules := slices.Collect(maps.Values(found))
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return modules, nil
}

// standardLibrary returns what the programs have from the Go distribution that the module in dir is built with.
func standardLibrary(ctx context.Context, dir string) (module, error) {
	command := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOVERSION")
	command.Dir = dir
	output, err := command.Output()
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	if err != nil || len(lines) != 2 {
		return module{}, fmt.Errorf("go env GOROOT GOVERSION: %w: %q", err, output)
	}
	root := lines[0]
	return module{path: "Go standard library", version: lines[1], dir: root, folders: map[string]bool{root: true}}, nil
}

// notices returns the texts that the licenses of the modules ask for, or an error that names every module with a license that isn't allowed.
func notices(modules []module) (string, error) {
	var (
		table   strings.Builder
		refused []error
		texts   []string
		holders = map[string][]string{}
	)
	for _, m := range modules {
		found, err := noticesOf(m)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		var licenses []string
		for _, n := range found {
			if n.license != "" && !slices.Contains(licenses, n.license) {
				licenses = append(licenses, n.license)
			}
			if holders[n.text] == nil {
				texts = append(texts, n.text)
			}
			if !slices.Contains(holders[n.text], n.module) {
				holders[n.text] = append(holders[n.text], n.module)
			}
		}
		slices.Sort(licenses)
		fmt.Fprintf(&table, "%s %s: %s\n", m.path, m.version, strings.Join(licenses, ", "))
	}
	if err := errors.Join(refused...); err != nil {
		return "", err
	}
	var all strings.Builder
	all.WriteString("The programs of this release contain the following third-party modules.\n\n")
	all.WriteString(table.String())
	for _, text := range texts {
		fmt.Fprintf(&all, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(holders[text], "\n"), text)
	}
	return all.String(), nil
}

// noticesOf returns the licenses and notices of a module: those in its own folder, and those in or above the linked packages.
func noticesOf(m module) ([]notice, error) {
	folders := map[string]bool{}
	for folder := range m.folders {
		for ; ; folder = filepath.Dir(folder) {
			relative, err := filepath.Rel(m.dir, folder)
			if err != nil || strings.HasPrefix(relative, "..") {
				return nil, fmt.Errorf("%s: package folder %s is outside the module", m.path, folder)
			}
			folders[relative] = true
			if relative == "." {
				break
			}
		}
	}
	var found []notice
	licensed := false
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		files, err := os.ReadDir(filepath.Join(m.dir, folder))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			isLicense, isNotice := licenseFile.MatchString(file.Name()), noticeFile.MatchString(file.Name())
			if file.IsDir() || codeFile.MatchString(file.Name()) || !isLicense && !isNotice {
				continue
			}
			text, err := os.ReadFile(filepath.Join(m.dir, folder, file.Name()))
			if err != nil {
				return nil, err
			}
			n := notice{module: m.path, text: normalize(text)}
			if isLicense {
				if n.license, err = licenseOf(text); err != nil {
					return nil, fmt.Errorf("%s %s: %s: %w", m.path, m.version, filepath.Join(folder, file.Name()), err)
				}
				licensed = licensed || folder == "."
			}
			found = append(found, n)
		}
	}
	if !licensed {
		return nil, fmt.Errorf("%s %s has no license file", m.path, m.version)
	}
	return found, nil
}

// licenseOf returns the licenses of a text, or an error unless it is made of allowed ones.
func licenseOf(text []byte) (string, error) {
	coverage := licensecheck.Scan(text)
	var ids []string
	for _, match := range coverage.Match {
		id := match.ID
		if match.IsURL {
			continue
		}
		if !slices.Contains(allowed, id) {
			return "", fmt.Errorf("license %s is not one of the allowed ones, %s", id, strings.Join(allowed, ", "))
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || coverage.Percent < minCoverage {
		return "", fmt.Errorf("the license isn't known: %.0f%% of the text is %s", coverage.Percent, cmp.Or(strings.Join(ids, ", "), "of any license"))
	}
	slices.Sort(ids)
	return strings.Join(ids, ", "), nil
}

// normalize makes texts that differ only in their line ends and margins equal.
func normalize(text []byte) string {
	var lines []string
	for line := range strings.Lines(string(text)) {
		lines = append(lines, strings.TrimRight(line, " \t\r\n"))
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
