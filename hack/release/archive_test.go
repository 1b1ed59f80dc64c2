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
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, file, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestArchiveIsReproducible(t *testing.T) {
	var archives [][]byte
	for i, group := range []os.FileMode{0o000, 0o077} {
		folder := t.TempDir()
		program := write(t, filepath.Join(folder, "program"), "program", 0o700|group)
		text := write(t, filepath.Join(folder, "text"), "text", 0o600|group&0o066)
		if err := os.Chtimes(text, time.Time{}, time.Unix(int64(i)*1000, 0)); err != nil {
			t.Fatal(err)
		}
		entries := []entry{{text, "b/text"}, {program, "a"}}
		if i > 0 {
			entries[0], entries[1] = entries[1], entries[0]
		}
		output := filepath.Join(folder, "out.tar.gz")
		if err := writeArchive(output, time.Unix(1700000000, 0), entries); err != nil {
			t.Fatal(err)
		}
		archives = append(archives, read(t, output))

		// What another program archived comes out the same.
		repacked, err := unpackGzip(output, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := writeArchive(output, time.Unix(1700000000, 0), repacked); err != nil {
			t.Fatal(err)
		}
		archives = append(archives, read(t, output))
	}
	for i, archive := range archives[1:] {
		if !bytes.Equal(archives[0], archive) {
			t.Errorf("archive %d differs from the first one", i+1)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestArchiveLeavesNothingBehind(t *testing.T) {
	output := filepath.Join(t.TempDir(), "out.tar.gz")
	if err := writeArchive(output, time.Unix(0, 0), []entry{{filepath.Join(t.TempDir(), "none"), "none"}}); err == nil {
		t.Error("a missing file was archived")
	}
	if err := writeArchive(output, time.Unix(0, 0), nil); err == nil {
		t.Error("an archive without files was written")
	}
	if _, err := os.Stat(output); err == nil {
		t.Error("an archive that failed was left behind")
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, header := range map[string]tar.Header{
		"a path above the folder": {Typeflag: tar.TypeReg, Name: "../escaped", Mode: 0o644},
		"a link":                  {Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/etc"},
	} {
		t.Run(name, func(t *testing.T) {
			var archive bytes.Buffer
			writer := tar.NewWriter(&archive)
			if err := writer.WriteHeader(&header); err != nil {
				t.Fatal(err)
			}
			if err := writer.Close(); err != nil {
				t.Fatal(err)
			}
			folder := filepath.Join(t.TempDir(), "folder")
			if err := os.Mkdir(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			if entries, err := unpack(&archive, folder); err == nil {
				t.Errorf("got %v", entries)
			}
		})
	}
}

func TestChecksums(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "b"), "", 0o600)
	write(t, filepath.Join(folder, "a"), "abc", 0o600)
	write(t, filepath.Join(folder, checksumsFile), "old", 0o600)
	got, err := checksums(folder)
	if err != nil {
		t.Fatal(err)
	}
	want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n" +
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := checksums(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no files") {
		t.Errorf("got %v for an empty folder", err)
	}
}
