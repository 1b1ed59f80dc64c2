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

package debian

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pack is a package's content as dpkg-deb hands it over.
func pack(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, header := range headers {
		text := "content of " + header.Name
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(text))
		}
		header.ModTime = time.Now()
		header.Uname, header.Gname = "builder", "builder"
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func opener(packages map[string][]byte) func(string, func(io.Reader) error) error {
	return func(name string, unpack func(io.Reader) error) error { return unpack(bytes.NewReader(packages[name])) }
}

// entries reads a layer as "name mode" or "name -> target", with the files' content.
func entries(t *testing.T, layer string) map[string]string {
	t.Helper()
	file, err := os.Open(layer)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	compressed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for reader := tar.NewReader(compressed); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := got[header.Name]; twice {
			t.Errorf("%s is there twice", header.Name)
		}
		if !header.ModTime.Equal(time.Unix(0, 0)) || header.Uname != "" || header.Gname != "" {
			t.Errorf("%s depends on more than its package: %+v", header.Name, header)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		switch header.Typeflag {
		case tar.TypeSymlink:
			got[header.Name] = "-> " + header.Linkname
		case tar.TypeLink:
			got[header.Name] = "= " + header.Linkname
		default:
			got[header.Name] = header.FileInfo().Mode().String() + " " + string(text)
		}
	}
}

func TestWrite(t *testing.T) {
	packages := map[string][]byte{
		"a": pack(t,
			tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
			tar.Header{Typeflag: tar.TypeDir, Name: "./bin/", Mode: 0o755},
			tar.Header{Typeflag: tar.TypeReg, Name: "./bin/su", Mode: 0o4755},
			tar.Header{Typeflag: tar.TypeSymlink, Name: "./bin/sh", Linkname: "dash"},
			tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/base-passwd/passwd.master", Mode: 0o644},
			tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/doc/a/copyright", Mode: 0o644},
			tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/doc/a/README", Mode: 0o644},
		),
		"b": pack(t,
			tar.Header{Typeflag: tar.TypeDir, Name: "./usr/bin/", Mode: 0o700},
			tar.Header{Typeflag: tar.TypeLink, Name: "./usr/bin/other", Linkname: "./bin/su"},
			tar.Header{Typeflag: tar.TypeDir, Name: "./usr/share/man/", Mode: 0o755},
			tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/man/b.1", Mode: 0o644},
			tar.Header{Typeflag: tar.TypeReg, Name: "./library", Mode: 0o644},
		),
	}
	layer := filepath.Join(t.TempDir(), "layer.tar.gz")
	if err := write(layer, []string{"a", "b"}, opener(packages)); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"bin": "-> usr/bin", "sbin": "-> usr/sbin", "lib": "-> usr/lib", "lib64": "-> usr/lib64",
		"tmp/":                      "dtrwxrwxrwx ",
		"usr/bin/":                  "drwxr-xr-x ",
		"usr/bin/su":                "-rwxr-xr-x content of ./bin/su",
		"usr/bin/sh":                "-> dash",
		"usr/bin/other":             "= usr/bin/su",
		"etc/passwd":                "-rw-r--r-- content of ./usr/share/base-passwd/passwd.master",
		"usr/share/doc/a/copyright": "-rw-r--r-- content of ./usr/share/doc/a/copyright",
		"library":                   "-rw-r--r-- content of ./library",
	}
	if diff := cmp.Diff(want, entries(t, layer)); diff != "" {
		t.Error(diff)
	}
}

func TestWriteLeavesNothingBehindWhenItFails(t *testing.T) {
	for name, content := range map[string][]byte{
		"a device":      pack(t, tar.Header{Typeflag: tar.TypeChar, Name: "./dev/null"}),
		"half a stream": pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "./usr/bin/a"})[:520],
	} {
		t.Run(name, func(t *testing.T) {
			layer := filepath.Join(t.TempDir(), "layer.tar.gz")
			if err := write(layer, []string{"a"}, opener(map[string][]byte{"a": content})); err == nil {
				t.Error("no error")
			}
			if left, err := os.ReadDir(filepath.Dir(layer)); err != nil || len(left) > 0 {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

// The key stands for what is in the layer: neither the order nor the mirror is, every version and checksum is.
func TestParse(t *testing.T) {
	const list = "'http://a/dash.deb' dash_0.5_amd64.deb 97436 SHA256:aa\n'http://a/bash.deb' bash_5.2_amd64.deb 1490652 SHA256:bb\n"
	key, names, err := parse(list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"bash_5.2_amd64.deb", "dash_0.5_amd64.deb"}, names); diff != "" {
		t.Error(diff)
	}
	lines := slices.Collect(strings.Lines(list))
	slices.Reverse(lines)
	if same, _, err := parse(strings.ReplaceAll(strings.Join(lines, ""), "http://a/", "http://b/")); err != nil || same != key {
		t.Errorf("got %s, %v for another order and mirror, want %s", same, err, key)
	}
	for _, change := range []string{"5.2", "bb"} {
		if other, _, err := parse(strings.Replace(list, change, "other", 1)); err != nil || other == key {
			t.Errorf("got the same key, %v, for another %s", err, change)
		}
	}
	for _, bad := range []string{"", "E: Unable to locate package none\n", "'http://a/dash.deb' dash_0.5_amd64.deb 97436\n"} {
		if _, _, err := parse(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

// programs puts stand-ins for Debian's programs first on PATH. The apt-get knows no package until it is updated, and all of them have a log.
func programs(t *testing.T) (log string) {
	t.Helper()
	folder := t.TempDir()
	log = filepath.Join(folder, "log")
	content := filepath.Join(folder, "content.tar")
	if err := os.WriteFile(content, pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "./usr/bin/thing", Mode: 0o755}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"dpkg":     "echo amd64",
		"dpkg-deb": `echo "dpkg-deb ${2##*/}" >>"` + log + `"; cat "` + content + `"`,
		"apt-get": `
echo "apt-get $1 $2" >>"` + log + `"
case "$1" in
update) touch "` + folder + `/updated"; exit ;;
esac
[ -e "` + folder + `/updated" ] || { echo "E: Unable to locate package thing" >&2; exit 100; }
case "$2" in
--print-uris) echo "'http://debian/thing.deb' thing_1_all.deb 1 SHA256:aa" ;;
--download-only) for arg; do case "$arg" in Dir::Cache::archives=*) touch "${arg#*=}/thing_1_all.deb" ;; esac; done ;;
esac`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil { //nolint:gosec // A program.
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	return log
}

func TestLayer(t *testing.T) {
	log := programs(t)
	cache := t.TempDir()
	layer, err := Layer(t.Context(), cache, "amd64", []string{"thing"})
	if err != nil {
		t.Fatal(err)
	}
	if got := entries(t, layer); !slices.Contains(slices.Collect(maps.Keys(got)), "usr/bin/thing") {
		t.Errorf("the package is not in the layer: %v", got)
	}
	again, err := Layer(t.Context(), cache, "amd64", []string{"thing"})
	if err != nil || again != layer {
		t.Errorf("got %s, %v, want %s from the cache", again, err, layer)
	}
	calls, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"apt-get install --print-uris", "apt-get update -qq",
		"apt-get install --print-uris", "apt-get install --download-only", "dpkg-deb thing_1_all.deb",
		"apt-get install --print-uris",
	}, strings.Split(strings.TrimSpace(string(calls)), "\n")); diff != "" {
		t.Error(diff)
	}
	if left, err := os.ReadDir(filepath.Dir(layer)); err != nil || len(left) != 1 {
		t.Errorf("the cache must hold the layer and nothing else: %v, %v", left, err)
	}
	if _, err := Layer(t.Context(), cache, "arm64", []string{"thing"}); err == nil || !strings.Contains(err.Error(), "arm64") {
		t.Errorf("got %v for another machine's architecture", err)
	}
}
