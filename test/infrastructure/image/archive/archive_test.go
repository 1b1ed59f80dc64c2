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

package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func write(t *testing.T, folder, name, content string) string {
	t.Helper()
	file := filepath.Join(folder, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func options(t *testing.T) Options {
	t.Helper()
	folder := t.TempDir()
	return Options{
		Name: "localhost/thing:dev", Architecture: "arm64", User: "65532:65532", Entrypoint: []string{"/bin/thing"},
		Files: []File{
			{Source: write(t, folder, "thing", "program"), Target: "/bin/thing", Executable: true},
			{Source: write(t, folder, "certs", "certificates"), Target: "/etc/ssl/certs.pem"},
			{Link: "thing", Target: "/bin/other"},
		},
	}
}

// entry is a file of an image.
type entry struct {
	mode    int64
	content string
	link    string
}

// entries returns the files of an image by their names.
func entries(t *testing.T, image v1.Image) map[string]entry {
	t.Helper()
	got := map[string]entry{}
	for reader := tar.NewReader(mutate.Extract(image)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(epoch) {
			t.Errorf("%s has the time %s, which makes each build another image", header.Name, header.ModTime)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		got[header.Name] = entry{header.Mode, string(content), header.Linkname}
	}
}

func TestWrite(t *testing.T) {
	output := filepath.Join(t.TempDir(), "below", "thing.tar")
	if err := Write(output, options(t)); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("localhost/thing:dev")
	if err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(output, &tag)
	if err != nil {
		t.Fatalf("the archive doesn't hold the image by its name: %v", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != "arm64" || config.Config.User != "65532:65532" ||
		!slices.Equal(config.Config.Entrypoint, []string{"/bin/thing"}) {
		t.Errorf("got config %+v", config)
	}

	got := entries(t, image)
	want := map[string]entry{
		"bin": {mode: 0o755, content: ""}, "bin/thing": {mode: 0o755, content: "program"}, "bin/other": {mode: 0o777, link: "thing"},
		"etc": {mode: 0o755, content: ""}, "etc/ssl": {mode: 0o755, content: ""}, "etc/ssl/certs.pem": {mode: 0o644, content: "certificates"},
	}
	for name, wanted := range want {
		if got[name] != wanted {
			t.Errorf("%s: got %+v, want %+v", name, got[name], wanted)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d entries, want %d: %v", len(got), len(want), got)
	}
}

// The files come on top of the layers, so that they win.
func TestWriteOnLayers(t *testing.T) {
	opts := options(t)
	content, err := layerContent([]File{
		{Source: write(t, t.TempDir(), "old", "old program"), Target: "/bin/thing"},
		{Source: write(t, t.TempDir(), "lib", "library"), Target: "/lib/lib"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	opts.Layers = []string{write(t, t.TempDir(), "layer.tar.gz", compressed.String())}
	output := filepath.Join(t.TempDir(), "thing.tar")
	if err := Write(output, opts); err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(output, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := entries(t, image)
	if got["bin/thing"].content != "program" || got["lib/lib"].content != "library" {
		t.Errorf("got %v", got)
	}
}

func TestWriteIsReproducible(t *testing.T) {
	var archives [][]byte
	for range 2 {
		opts := options(t) // the files are new each time
		slices.Reverse(opts.Files)
		output := filepath.Join(t.TempDir(), "thing.tar")
		if err := Write(output, opts); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, content)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("equal input gave two archives")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no architecture":    {func(o *Options) { o.Architecture = "" }, "architecture"},
		"no files":           {func(o *Options) { o.Files = nil }, "no files"},
		"a relative target":  {func(o *Options) { o.Files[0].Target = "thing" }, "absolute"},
		"an unclean target":  {func(o *Options) { o.Files[0].Target = "/bin/../thing" }, "clean"},
		"one target twice":   {func(o *Options) { o.Files[1].Target = o.Files[0].Target }, "twice"},
		"a missing file":     {func(o *Options) { o.Files[0].Source += "none" }, "no such file"},
		"a folder as a file": {func(o *Options) { o.Files[0].Source = filepath.Dir(o.Files[0].Source) }, "regular file"},
		"a bad name":         {func(o *Options) { o.Name = "Not A Name" }, "image name"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t)
			test.change(&opts)
			output := filepath.Join(t.TempDir(), "thing.tar")
			err := Write(output, opts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if entries, err := os.ReadDir(filepath.Dir(output)); err != nil || len(entries) > 0 {
				t.Fatalf("left %v, %v behind", entries, err)
			}
		})
	}
}

func TestCheckStatic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("programs of this machine are not Linux programs")
	}
	folder := t.TempDir()
	source := write(t, folder, "main.go", "package main\n\nfunc main() {}\n")
	program := filepath.Join(folder, "program")
	build := exec.Command("go", "build", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOARCH="+runtime.GOARCH)
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if err := CheckStatic(program, runtime.GOARCH); err != nil {
		t.Error(err)
	}
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	if err := CheckStatic(program, other); err == nil || !strings.Contains(err.Error(), "GOARCH="+other) {
		t.Errorf("got %v for the wrong architecture", err)
	}
	if err := CheckStatic(source, runtime.GOARCH); err == nil {
		t.Error("a text was taken for a program")
	}
	if shell, err := exec.LookPath("sh"); err == nil {
		if err := CheckStatic(shell, runtime.GOARCH); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
			t.Errorf("got %v for a program with a dynamic linker", err)
		}
	}
}
