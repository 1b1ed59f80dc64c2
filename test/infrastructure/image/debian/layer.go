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
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// merged are the folders that Debian has as links to those below /usr, while packages still name files by them.
var merged = []string{"bin", "lib", "lib64", "sbin"}

// configured are the files that packages put elsewhere when they are configured.
var configured = map[string]string{
	"usr/share/base-files/nsswitch.conf":  "etc/nsswitch.conf",
	"usr/share/base-passwd/group.master":  "etc/group",
	"usr/share/base-passwd/passwd.master": "etc/passwd",
}

// leftOut are the folders that debian:12-slim leaves out; the licences in usr/share/doc stay, as they do there.
var leftOut = []string{"usr/share/doc/", "usr/share/info/", "usr/share/lintian/", "usr/share/locale/", "usr/share/man/"}

// write makes the layer of the packages, whole or not at all. open hands over the content of a package, as a tar stream.
func write(layer string, archives []string, open func(archive string, unpack func(io.Reader) error) error) error {
	temp, err := os.CreateTemp(filepath.Dir(layer), ".layer-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	compressed, err := gzip.NewWriterLevel(temp, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := writer{out: tar.NewWriter(compressed), done: map[string]bool{}}
	for _, name := range merged {
		if err := w.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: "usr/" + name, Mode: 0o777}, nil); err != nil {
			return err
		}
	}
	if err := w.add(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, nil); err != nil {
		return err
	}
	for _, archive := range archives {
		if err := open(archive, w.unpack); err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
	}
	if err := errors.Join(w.out.Close(), compressed.Close(), temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), layer)
}

// writer writes a layer that depends on nothing but the packages: not on when they were built, nor on who unpacks them.
type writer struct {
	out  *tar.Writer
	done map[string]bool
}

// unpack adds the files of a package.
func (w *writer) unpack(content io.Reader) error {
	reader := tar.NewReader(content)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := place(header.Name)
		if name == "" || unwanted(name) {
			continue
		}
		entry := &tar.Header{Typeflag: header.Typeflag, Name: name, Linkname: header.Linkname, Mode: header.Mode & 0o1777, Size: header.Size}
		switch header.Typeflag {
		case tar.TypeDir:
			entry.Name += "/"
		case tar.TypeLink:
			entry.Linkname = place(header.Linkname)
		case tar.TypeReg, tar.TypeSymlink:
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", header.Name)
		}
		if target := configured[name]; target != "" {
			entry.Name = target
		}
		if err := w.add(entry, reader); err != nil {
			return err
		}
	}
}

// add writes an entry unless there is one of its name: folders come with every package that has files in them.
func (w *writer) add(header *tar.Header, content io.Reader) error {
	key := strings.TrimSuffix(header.Name, "/")
	if w.done[key] {
		return nil
	}
	w.done[key] = true
	header.ModTime = time.Unix(0, 0).UTC()
	if err := w.out.WriteHeader(header); err != nil {
		return err
	}
	if header.Typeflag != tar.TypeReg {
		return nil
	}
	_, err := io.Copy(w.out, content)
	return err
}

// place is where a file belongs on a merged /usr, relative to the root.
func place(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if first, _, _ := strings.Cut(name, "/"); slices.Contains(merged, first) {
		return "usr/" + name
	}
	return name
}

func unwanted(name string) bool {
	for _, folder := range leftOut {
		if strings.HasPrefix(name+"/", folder) {
			return path.Base(name) != "copyright"
		}
	}
	return false
}
