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
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	mainModule = "github.com/statefulset-dev/drain-operator"
	// homepage is where the source of the programs is.
	homepage = "https://" + mainModule
)

func runSBOM(_ context.Context, args []string) error {
	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	raw := flags.String("scanned", "", "SPDX document of the scanner")
	program := flags.String("program", "", "program that was scanned")
	version := flags.String("version", "", "version of the release, for example v0.1.0")
	output := flags.String("output", "", "file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	created, err := sourceDate()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(fromTop(*raw))
	if err != nil {
		return err
	}
	sum, err := sumOf(fromTop(*program))
	if err != nil {
		return err
	}
	document, err := settle(text, *version, sum, created)
	if err != nil {
		return fmt.Errorf("%s: %w", *raw, err)
	}
	return os.WriteFile(fromTop(*output), document, 0o644) //nolint:gosec // everyone may read a release
}

// settle replaces what differs between two scans of the same program, the time and the random part of the namespace, and adds the version,
// which no linker flag tells the scanner. SPDX wants the namespace to be unique for a document, and the sum of the program is.
func settle(scanned []byte, version, sum string, created time.Time) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(scanned, &document); err != nil {
		return nil, err
	}
	info, ok := document["creationInfo"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no creationInfo: not an SPDX 2 document")
	}
	info["created"] = created.Format(time.RFC3339)
	document["documentNamespace"] = fmt.Sprintf("%s/releases/%s/spdx/%s", homepage, version, sum)
	packages, _ := document["packages"].([]any)
	for _, p := range packages {
		if fields, ok := p.(map[string]any); ok && fields["name"] == mainModule {
			fields["versionInfo"] = version
		}
	}
	settled, err := json.MarshalIndent(document, "", "  ")
	return append(settled, '\n'), err
}

// checkSBOM returns an error unless the document lists the program and all modules that it was linked from.
func checkSBOM(document []byte, program, version string) error {
	var spdx struct {
		SPDXVersion       string `json:"spdxVersion"`
		DocumentNamespace string `json:"documentNamespace"`
		Packages          []struct {
			Name        string `json:"name"`
			VersionInfo string `json:"versionInfo"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(document, &spdx); err != nil {
		return err
	}
	if !strings.HasPrefix(spdx.SPDXVersion, "SPDX-") {
		return fmt.Errorf("spdxVersion %q is no version of SPDX", spdx.SPDXVersion)
	}
	listed := map[string]bool{}
	for _, p := range spdx.Packages {
		listed[p.Name+" "+p.VersionInfo] = true
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	want := []string{mainModule + " " + version, "stdlib " + info.GoVersion}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		want = append(want, m.Path+" "+m.Version)
	}
	for _, w := range want {
		if !listed[w] {
			return fmt.Errorf("%s is in the program, but not in the SBOM", w)
		}
	}
	return nil
}
