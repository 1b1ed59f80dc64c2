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

package binaries

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// server serves one program both as it is and in an archive, and counts the requests.
type server struct {
	*httptest.Server
	requests atomic.Int32
	// checksum is published instead of the right one when it is set.
	checksum string
}

const content = "#!/bin/sh\necho a program\n"

func newServer(t *testing.T) *server {
	t.Helper()
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	writer := tar.NewWriter(zipped)
	for name, text := range map[string]string{"etcd-v1-linux-amd64/README": "read me", "./etcd-v1-linux-amd64/etcd": content} {
		if err := writer.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(writer.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}

	s := &server{}
	sumOf := func(data []byte) string {
		if s.checksum != "" {
			return s.checksum
		}
		digest := sha256.Sum256(data)
		return hex.EncodeToString(digest[:])
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/program", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) })
	mux.HandleFunc("/program.sha256", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, sumOf([]byte(content))) })
	mux.HandleFunc("/etcd.tar.gz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive.Bytes()) })
	mux.HandleFunc("/SHA256SUMS", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s  other.tar.gz\n%s  etcd.tar.gz\n", strings.Repeat("0", 64), sumOf(archive.Bytes()))
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) plain() Program {
	return Program{Name: "program", Version: "v1", release: release{url: s.URL + "/program", checksums: s.URL + "/program.sha256"}}
}

func (s *server) archived() Program {
	return Program{Name: "etcd", Version: "v1", release: release{
		url: s.URL + "/etcd.tar.gz", member: "etcd-{version}-{os}-{arch}/{name}", checksums: s.URL + "/SHA256SUMS",
	}}
}

func TestFetch(t *testing.T) {
	s := newServer(t)
	for name, program := range map[string]Program{"the program itself": s.plain(), "from an archive": s.archived()} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), program.Name)
			if err := newDownloader().fetch(t.Context(), program, "linux", "amd64", target); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(target)
			if err != nil || string(got) != content {
				t.Fatalf("got %q, %v", got, err)
			}
			if info, err := os.Stat(target); err != nil || info.Mode().Perm()&0o111 == 0 {
				t.Fatalf("%v is not executable, %v", info, err)
			}
		})
	}
}

func TestFetchRefusesWrongChecksum(t *testing.T) {
	s := newServer(t)
	s.checksum = strings.Repeat("a", 64)
	for _, program := range []Program{s.plain(), s.archived()} {
		target := filepath.Join(t.TempDir(), program.Name)
		err := newDownloader().fetch(t.Context(), program, "linux", "amd64", target)
		if err == nil || errors.Is(err, errUnreachable) || !strings.Contains(err.Error(), "refusing") {
			t.Fatalf("%s: got %v, want a refusal that is not taken for an absent release", program.Name, err)
		}
		if _, err := os.Stat(target); err == nil {
			t.Fatalf("%s was written in spite of its checksum", program.Name)
		}
	}
}

func TestFetchRefusesMissingChecksum(t *testing.T) {
	s := newServer(t)
	s.checksum = "<html>not a checksum</html>"
	err := newDownloader().fetch(t.Context(), s.plain(), "linux", "amd64", filepath.Join(t.TempDir(), "program"))
	if err == nil || errors.Is(err, errUnreachable) {
		t.Fatalf("got %v, want an error that is not taken for an absent release", err)
	}
}

func TestFetchCountsAbsentFileAsUnreachable(t *testing.T) {
	s := newServer(t)
	program := s.plain()
	program.release.url, program.release.checksums = s.URL+"/none", s.URL+"/none.sha256"
	err := newDownloader().fetch(t.Context(), program, "linux", "amd64", filepath.Join(t.TempDir(), "program"))
	if !errors.Is(err, errUnreachable) {
		t.Fatalf("got %v, want errUnreachable", err)
	}
}

func TestUnreachableHostIsAskedOnce(t *testing.T) {
	s := newServer(t)
	program := s.plain()
	s.Close()
	d := newDownloader()
	for range 2 {
		if err := d.fetch(t.Context(), program, "linux", "amd64", filepath.Join(t.TempDir(), "program")); !errors.Is(err, errUnreachable) {
			t.Fatalf("got %v, want errUnreachable", err)
		}
	}
	if len(d.dead) != 1 {
		t.Fatalf("remembers %d hosts, want 1", len(d.dead))
	}
	// A host that would answer again is not tried in this run.
	d.client.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
		t.Fatal("asked a host that was unreachable")
		return nil, nil
	})
	if _, err := d.get(t.Context(), program.release.url); !errors.Is(err, errUnreachable) {
		t.Fatalf("got %v, want errUnreachable", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newStore returns a store of its own whose downloads all fail and whose builds write the program's name.
func newStore(t *testing.T) (*Store, *atomic.Int32) {
	t.Helper()
	var builds atomic.Int32
	downloads := newDownloader()
	downloads.client.Transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") })
	return &Store{
		folder: t.TempDir(), modules: ".", goos: "linux", goarch: "amd64", kubernetes: Newest(), downloads: downloads, report: t.Logf,
		build: func(_ context.Context, _, folder string, programs []Program) error {
			builds.Add(1)
			for _, p := range programs {
				if err := os.WriteFile(filepath.Join(folder, p.Name), []byte(p.Name), 0o755); err != nil {
					return err
				}
			}
			return nil
		},
	}, &builds
}

func TestEnsureBuildsWhatCannotBeDownloaded(t *testing.T) {
	s, builds := newStore(t)
	folder, err := s.Ensure(t.Context(), "kubectl", "etcd", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubectl", "etcd"} {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(got) != name {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v, want the two programs", entries, err)
	}
	again, err := s.Ensure(t.Context(), "etcd", "kubectl")
	if err != nil || again != folder {
		t.Errorf("got %s, %v the second time, want %s", again, err, folder)
	}
	if got := builds.Load(); got != 2 {
		t.Errorf("built %d times, want 2", got)
	}
}

// What is built together compiles once what it shares, and the machine doesn't idle while a program is linked.
func TestEnsureBuildsTheProgramsOfAModuleTogether(t *testing.T) {
	s, builds := newStore(t)
	names := []string{"etcd", "kube-apiserver", "kubectl", "kubelet"}
	folder, err := s.Ensure(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(got) != name {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if got := builds.Load(); got != 2 {
		t.Errorf("built %d times, want once for etcd and once for Kubernetes", got)
	}
}

func TestEnsureAtOnceBuildsOnce(t *testing.T) {
	s, builds := newStore(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := s.Ensure(t.Context(), "kubelet"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := builds.Load(); got != 1 {
		t.Errorf("built %d times, want 1", got)
	}
}

func TestEnsureLeavesNothingOfAFailedBuild(t *testing.T) {
	s, _ := newStore(t)
	s.build = func(_ context.Context, _, folder string, programs []Program) error {
		if err := os.WriteFile(filepath.Join(folder, programs[0].Name), []byte("half"), 0o755); err != nil {
			return err
		}
		return errors.New("compiler says no")
	}
	if _, err := s.Ensure(t.Context(), "etcd"); err == nil || !strings.Contains(err.Error(), "compiler says no") {
		t.Fatalf("got %v, want the compiler's error", err)
	}
	err := filepath.WalkDir(s.folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != ".lock" {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEnsureNamesWhatThereIs(t *testing.T) {
	s, _ := newStore(t)
	if _, err := s.Ensure(t.Context(), "kubeadm"); err == nil || !strings.Contains(err.Error(), "kube-apiserver") {
		t.Fatalf("got %v, want the names that there are", err)
	}
}

// The version that is downloaded and the one that is built must be the same.
func TestSourceVersionIsThatOfTheSource(t *testing.T) {
	module := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	version := func() string {
		t.Helper()
		version, err := sourceVersion(module)
		if err != nil {
			t.Fatal(err)
		}
		return version
	}
	write("go.mod", "module program\n")
	write("main.go", "package main\n")
	first := version()
	write("program", "what go build leaves")
	write("main_test.go", "package main\n")
	if version() != first {
		t.Error("a built program and a test change the version")
	}
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		before := version()
		write(name, "other text")
		if version() == before {
			t.Errorf("another %s leaves the version as it was", name)
		}
	}
}

func TestCatalogueMatchesModules(t *testing.T) {
	required := map[string]string{
		"etcd":       "go.etcd.io/etcd/server/v3 " + EtcdVersion,
		"containerd": "github.com/containerd/containerd/v2 " + ContainerdVersion,
		"coredns":    "github.com/coredns/coredns " + CoreDNSVersion,
		"kwok":       "sigs.k8s.io/kwok " + KwokVersion,
	}
	catalogue := others
	for _, k := range minors {
		required["kubernetes/"+k.Minor] = "k8s.io/kubernetes " + k.Version
		for _, name := range kubernetesPrograms {
			catalogue = append(catalogue, k.program(name))
		}
	}
	for _, program := range catalogue {
		goMod, err := os.ReadFile(filepath.Join(program.module, "go.mod"))
		if err != nil {
			t.Errorf("%s: %v", program.Name, err)
			continue
		}
		if program.Version == "" {
			continue
		}
		if want := required[program.module]; !strings.HasSuffix(want, " "+program.Version) || !strings.Contains(string(goMod), "\t"+want) {
			t.Errorf("%s: %s/go.mod doesn't require %q", program.Name, program.module, want)
		}
		if program.importPath != "." && !strings.Contains(string(goMod), program.importPath+"\n") {
			t.Errorf("%s: %s/go.mod has no tool %s", program.Name, program.module, program.importPath)
		}
	}
}

// What two modules need in the same version is compiled once for both.
func TestCoreDNSSharesItsModulesWithKubernetes(t *testing.T) {
	kubernetes, coredns := versionsIn(t, filepath.Join("kubernetes", Newest().Minor)), versionsIn(t, "coredns")
	shared := 0
	for path, version := range coredns {
		if theirs, both := kubernetes[path]; both {
			shared++
			if version != theirs {
				t.Errorf("coredns/go.mod has %s %s, Kubernetes %s: run go get in its folder, or replace it there if Kubernetes' is older", path, version, theirs)
			}
		}
	}
	if shared == 0 {
		t.Error("they share no module")
	}
}

// TestCoreDNSHasThePluginsOfTheCorefile holds the program to the file that the local cluster starts it with.
func TestCoreDNSHasThePluginsOfTheCorefile(t *testing.T) {
	manifests, err := os.ReadFile(filepath.Join("..", "addons", "manifests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, corefile, found := strings.Cut(string(manifests), "Corefile: |\n    .:53 {\n")
	corefile, _, closed := strings.Cut(corefile, "\n    }\n")
	if !found || !closed {
		t.Fatal("no server block found in the Corefile")
	}
	var want []string
	for _, line := range regexp.MustCompile(`(?m)^ {8}([a-z]+)`).FindAllStringSubmatch(corefile, -1) {
		// The one directive that has another name than its package.
		want = append(want, strings.Replace(line[1], "prometheus", "metrics", 1))
	}
	program, err := parser.ParseFile(token.NewFileSet(), filepath.Join("coredns", "main.go"), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, imported := range program.Imports {
		if plugin, is := strings.CutPrefix(strings.Trim(imported.Path.Value, `"`), "github.com/coredns/coredns/plugin/"); is {
			got = append(got, plugin)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the program has the plugins %v, the Corefile names %v", got, want)
	}
}

// versionsIn returns the versions of the modules that a folder's go.mod requires, with what it replaces them by.
func versionsIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	command.Dir = folder
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	type module struct{ Path, Version string }
	var file struct {
		Require []module
		Replace []struct{ Old, New module }
	}
	if err := json.Unmarshal(output, &file); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, m := range file.Require {
		versions[m.Path] = m.Version
	}
	for _, r := range file.Replace {
		if _, required := versions[r.Old.Path]; required {
			versions[r.Old.Path] = r.New.Version
		}
	}
	return versions
}

func TestFindKubernetes(t *testing.T) {
	for name, want := range map[string]string{
		"1.33": minors[0].Version, "v1.33": minors[0].Version, "1.33.x": minors[0].Version, minors[0].Version: minors[0].Version,
		Newest().Minor: KubernetesVersion,
	} {
		if got, err := FindKubernetes(name); err != nil || got.Version != want {
			t.Errorf("FindKubernetes(%q) = %q, %v, want %s", name, got.Version, err, want)
		}
	}
	for _, name := range []string{"", "1.3", "1.32", "1.333", "2.33", "1.33.999", "latest"} {
		if got, err := FindKubernetes(name); err == nil || !strings.Contains(err.Error(), "1.33") {
			t.Errorf("FindKubernetes(%q) = %q, %v, want an error that says what there is", name, got.Version, err)
		}
	}
}

func TestSavedKubernetes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubernetes")
	if _, found, err := Saved(file); found || err != nil {
		t.Fatalf("got %t, %v without a file", found, err)
	}
	for _, gates := range []string{"", "A=true,B=false"} {
		k := minors[0]
		k.Gates = gates
		if err := k.Save(file); err != nil {
			t.Fatal(err)
		}
		if got, found, err := Saved(file); !found || err != nil || got != k {
			t.Errorf("got %v, %t, %v, want %v", got, found, err, k)
		}
	}
	gated := Newest()
	gated.Gates = "A=true"
	if other := Newest(); other.Is(minors[0]) || other.Is(gated) || !other.Is(Newest()) {
		t.Error("a minor is itself and no other, with the same feature gates")
	}
}

func TestEachMinorHasPrograms(t *testing.T) {
	s, _ := newStore(t)
	folders := map[string]bool{}
	for _, k := range minors {
		s.kubernetes = k
		folder, err := s.Ensure(t.Context(), "kubectl", "etcd")
		if err != nil {
			t.Fatal(err)
		}
		folders[folder] = true
	}
	if len(folders) != len(minors) {
		t.Errorf("%d minors have %d folders", len(minors), len(folders))
	}
	if etcd, err := filepath.Glob(filepath.Join(s.folder, "etcd-*")); err != nil || len(etcd) != 1 {
		t.Errorf("etcd was built as %v, %v, want once for all minors", etcd, err)
	}
}
