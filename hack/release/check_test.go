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
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const (
	testVersion = "v0.1.0"
	testCommit  = "0123456789abcdef0123456789abcdef01234567"
	testDate    = "2023-11-14T22:13:20Z"
	testImage   = "example.com/drain-operator:v0.1.0"
)

// parts are what a release is made of, for a test to break one of them.
type parts struct {
	// programs are the managers by architecture.
	programs map[string]string
	config   func(arch string, config *v1.ConfigFile)
	// platforms are what the index says; as many as images.
	platforms []v1.Platform
	install   string
	// extra are files beside those of a release.
	extra map[string]string
	// without are files that the release lacks.
	without []string
	// afterwards changes files that already have their checksums.
	afterwards func(folder string)
}

// programs are managers by architecture and version, built once for all tests.
var programs = map[string]string{}

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "programs")
	if err != nil {
		panic(err)
	}
	for arch := range architectures {
		for _, version := range []string{testVersion, "v0.0.9"} {
			programs[arch+version] = filepath.Join(folder, arch+version)
			if err := buildProgram(folder, arch, version); err != nil {
				panic(err)
			}
		}
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// buildProgram builds a program that says what the manager says.
func buildProgram(folder, arch, version string) error {
	for name, content := range map[string]string{
		"go.mod": "module example.com/manager\n\ngo 1.26\n",
		"main.go": fmt.Sprintf("package main\n\nimport \"runtime\"\n\nfunc main() { println(%q, %q, runtime.Version()) }\n",
			version, testCommit),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	command := exec.CommandContext(context.Background(), "go", "build", "-ldflags", "-s -w", "-o", arch+version, ".")
	command.Dir = folder
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// newParts are those of a good release.
func newParts(t *testing.T) *parts {
	t.Helper()
	p := &parts{
		programs:  map[string]string{},
		config:    func(string, *v1.ConfigFile) {},
		platforms: []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
		extra:     map[string]string{},
	}
	for arch := range architectures {
		p.programs[arch] = programs[arch+testVersion]
	}
	return p
}

func (p *parts) image(t *testing.T, arch string) v1.Image {
	t.Helper()
	layer := filepath.Join(t.TempDir(), "layer.tar.gz")
	text := write(t, filepath.Join(t.TempDir(), "text"), "text", 0o600)
	if err := writeArchive(layer, time.Unix(0, 0), []entry{
		{p.programs[arch], "manager"}, {text, "licenses/LICENSE"}, {text, "licenses/THIRD_PARTY_NOTICES.txt"},
	}); err != nil {
		t.Fatal(err)
	}
	content, err := tarball.LayerFromFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, content)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	created, err := time.Parse(time.RFC3339, testDate)
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: created}
	config.Config.Entrypoint, config.Config.User = []string{"/manager"}, "65532:65532"
	config.Config.Labels = map[string]string{}
	for key, value := range map[string]string{
		"title": "drain-operator", "description": "drains", "version": testVersion, "revision": testCommit, "created": testDate,
		"source": homepage, "url": homepage, "licenses": "Apache-2.0",
	} {
		config.Config.Labels["org.opencontainers.image."+key] = value
	}
	p.config(arch, config)
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

// release writes the release and returns what it is checked for.
func (p *parts) release(t *testing.T) wanted {
	t.Helper()
	w := wanted{folder: t.TempDir(), version: testVersion, commit: testCommit, image: testImage, date: testDate}
	put := func(name, content string) { write(t, filepath.Join(w.folder, name), content, 0o600) }

	var index v1.ImageIndex = empty.Index
	for _, platform := range p.platforms {
		arch := platform.Architecture
		if architectures[arch] == 0 {
			arch = "amd64"
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: p.image(t, arch), Descriptor: v1.Descriptor{Platform: &platform}})
	}
	folder := t.TempDir()
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), "tar", "-cf", filepath.Join(w.folder, w.imageFile()), "-C", folder, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}

	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if p.install == "" {
		p.install = testImage + "@" + digest.String()
	}
	var install strings.Builder
	for _, kind := range []string{
		"Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "ClusterRoleBinding",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	} {
		fmt.Fprintf(&install, "kind: %s\n---\n", kind)
	}
	fmt.Fprintf(&install, "kind: Deployment\nspec: {template: {spec: {containers: [{image: %q}]}}}\n", p.install)
	put("install.yaml", install.String())
	put("free.sh", "#!/usr/bin/env bash\n")

	for arch, program := range p.programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		type listed struct {
			Name        string `json:"name"`
			VersionInfo string `json:"versionInfo"`
		}
		text, err := json.Marshal(map[string]any{
			"spdxVersion": "SPDX-2.3", "packages": []listed{{mainModule, testVersion}, {"stdlib", info.GoVersion}},
		})
		if err != nil {
			t.Fatal(err)
		}
		put(w.sbomFile(arch), string(text))
	}
	put("THIRD_PARTY_NOTICES.txt", "notices")
	put("RELEASE_NOTES.md", "notes")
	for name, content := range p.extra {
		put(name, content)
	}
	for _, name := range p.without {
		if err := os.Remove(filepath.Join(w.folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := checksums(w.folder)
	if err != nil {
		t.Fatal(err)
	}
	put(checksumsFile, sums)
	if p.afterwards != nil {
		p.afterwards(w.folder)
	}
	return w
}

func TestCheckAcceptsAReleaseWithAllParts(t *testing.T) {
	p := newParts(t)
	p.extra["drain-operator-0.1.0.tgz"] = "chart"
	p.extra["plugin.tar.gz"] = "plugin"
	p.extra[krewFile] = krewManifest(testVersion, sha256.Sum256([]byte("plugin")))
	w := p.release(t)
	w.chart, w.plugins = true, []string{"plugin.tar.gz"}
	if err := w.check(t.Context()); err != nil {
		t.Error(err)
	}
}

func krewManifest(version string, sum [32]byte) string {
	return fmt.Sprintf("spec: {version: %s, platforms: [{uri: https://example.com/plugin.tar.gz, sha256: %x}]}", version, sum)
}

func TestCheckRefusesAManifestForKrew(t *testing.T) {
	sum := sha256.Sum256([]byte("plugin"))
	for name, test := range map[string]struct{ manifest, want string }{
		"of another version":   {krewManifest("v0.0.9", sum), `is of version "v0.0.9"`},
		"of another archive":   {krewManifest(testVersion, sha256.Sum256([]byte("other"))), "for plugin.tar.gz"},
		"of too many archives": {strings.Replace(krewManifest(testVersion, sum), "[", "[{uri: other.tar.gz}, ", 1), "has 2 platforms"},
		"that isn't YAML":      {"{", krewFile},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParts(t)
			p.extra["plugin.tar.gz"], p.extra[krewFile] = "plugin", test.manifest
			w := p.release(t)
			w.plugins = []string{"plugin.tar.gz"}
			if err := w.check(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	label := func(key string) func(string, *v1.ConfigFile) {
		return func(_ string, c *v1.ConfigFile) { delete(c.Config.Labels, "org.opencontainers.image."+key) }
	}
	for name, test := range map[string]struct {
		change func(p *parts)
		want   string
	}{
		"no notes":                  {func(p *parts) { p.without = []string{"RELEASE_NOTES.md"} }, "RELEASE_NOTES.md is missing"},
		"no image":                  {func(p *parts) { p.without = []string{"drain-operator-v0.1.0-image.tar"} }, "image.tar is missing"},
		"no SBOM":                   {func(p *parts) { p.without = []string{"drain-operator-v0.1.0-linux-arm64.spdx.json"} }, "arm64.spdx.json is missing"},
		"a chart that isn't wanted": {func(p *parts) { p.extra["drain-operator-0.1.0.tgz"] = "chart" }, "no part of a release"},
		"an empty file":             {func(p *parts) { p.extra["RELEASE_NOTES.md"] = "" }, "RELEASE_NOTES.md is empty"},
		"a file changed after its checksum": {func(p *parts) {
			p.afterwards = func(folder string) {
				if err := os.WriteFile(filepath.Join(folder, "RELEASE_NOTES.md"), []byte("others"), 0o600); err != nil {
					panic(err)
				}
			}
		}, "SHA256SUMS: the sums"},
		"one platform only":        {func(p *parts) { p.platforms = p.platforms[:1] }, "the image is for"},
		"one platform twice":       {func(p *parts) { p.platforms = append(p.platforms, p.platforms[0]) }, "the image is for"},
		"a platform too many":      {func(p *parts) { p.platforms = append(p.platforms, v1.Platform{OS: "linux", Architecture: "s390x"}) }, "the image is for"},
		"no entrypoint":            {func(p *parts) { p.config = func(_ string, c *v1.ConfigFile) { c.Config.Entrypoint = nil } }, "the entrypoint"},
		"root":                     {func(p *parts) { p.config = func(_ string, c *v1.ConfigFile) { c.Config.User = "" } }, "the user"},
		"no label with the commit": {func(p *parts) { p.config = label("revision") }, "label revision"},
		"no description":           {func(p *parts) { p.config = label("description") }, "label description"},
		"the platforms swapped": {func(p *parts) {
			p.programs["amd64"], p.programs["arm64"] = p.programs["arm64"], p.programs["amd64"]
		}, "the manager is built for"},
		"a tag without a digest": {func(p *parts) { p.install = testImage }, "install.yaml: the Deployment runs"},
		"no JSON":                {func(p *parts) { p.extra["drain-operator-v0.1.0-linux-amd64.spdx.json"] = "no" }, "amd64.spdx.json: invalid"},
		"an SBOM of something else": {func(p *parts) {
			p.extra["drain-operator-v0.1.0-linux-amd64.spdx.json"] = `{"spdxVersion": "SPDX-2.3", "packages": [{"name": "stdlib", "versionInfo": "go1"}]}`
		}, "not in the SBOM"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParts(t)
			test.change(p)
			w := p.release(t)
			if err := w.check(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestCheckRunsTheManagerOfThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" || architectures[runtime.GOARCH] == 0 {
		t.Skip("this machine can't run any of the managers")
	}
	p := newParts(t)
	p.programs[runtime.GOARCH] = programs[runtime.GOARCH+"v0.0.9"]
	if err := p.release(t).check(t.Context()); err == nil || !strings.Contains(err.Error(), `doesn't say "v0.1.0"`) {
		t.Errorf("got %v", err)
	}
}

func TestSettle(t *testing.T) {
	created := time.Unix(1700000000, 0).UTC()
	scan := func(random string) []byte {
		return []byte(`{"spdxVersion": "SPDX-2.3", "documentNamespace": "https://example.com/` + random + `",
			"creationInfo": {"created": "` + random + `", "creators": ["Tool: scanner"]},
			"packages": [{"name": "` + mainModule + `", "versionInfo": "UNKNOWN"}, {"name": "other", "versionInfo": "v1"}]}`)
	}
	first, err := settle(scan("1"), testVersion, "sum", created)
	if err != nil {
		t.Fatal(err)
	}
	second, err := settle(scan("2"), testVersion, "sum", created)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("two scans of one program give\n%s and\n%s", first, second)
	}
	for _, want := range []string{testDate, "/releases/v0.1.0/spdx/sum", `"Tool: scanner"`, `"versionInfo": "v0.1.0"`, `"versionInfo": "v1"`} {
		if !strings.Contains(string(first), want) {
			t.Errorf("%s is missing in %s", want, first)
		}
	}
	if _, err := settle([]byte(`{"bomFormat": "CycloneDX"}`), testVersion, "sum", created); err == nil {
		t.Error("a document of another format was taken")
	}
}
