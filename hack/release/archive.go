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
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// checksumsFile is in the format of sha256sum.
const checksumsFile = "SHA256SUMS"

// entry is a file of an archive.
type entry struct {
	source, name string
}

func runArchive(_ context.Context, args []string) error {
	flags := flag.NewFlagSet("archive", flag.ContinueOnError)
	output := flags.String("output", "", "archive to write, a .tar.gz")
	repack := flags.String("repack", "", "archive whose files to take, instead of arguments; they get the time of SOURCE_DATE_EPOCH")
	if err := flags.Parse(args); err != nil {
		return err
	}
	modified, err := sourceDate()
	if err != nil {
		return err
	}
	if *repack != "" {
		folder, err := os.MkdirTemp("", "repack")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		entries, err := unpackGzip(fromTop(*repack), folder)
		if err != nil {
			return err
		}
		return writeArchive(fromTop(*output), modified, entries)
	}
	var entries []entry
	for _, pair := range flags.Args() {
		source, name, found := strings.Cut(pair, "=")
		if !found || source == "" || name == "" {
			return fmt.Errorf("%q must be <file>=<name in the archive>", pair)
		}
		entries = append(entries, entry{fromTop(source), name})
	}
	return writeArchive(fromTop(*output), modified, entries)
}

// writeArchive writes an archive with nothing in it of this machine but the content of the files and whether they can be run.
func writeArchive(output string, modified time.Time, entries []entry) (err error) {
	if len(entries) == 0 {
		return errNoFiles
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	file, err := os.Create(output)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			os.Remove(output)
		}
	}()
	compressed, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return err
	}
	writer := tar.NewWriter(compressed)
	for _, e := range entries {
		if err := addEntry(writer, modified, e); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func addEntry(writer *tar.Writer, modified time.Time, e entry) error {
	source, err := os.Open(e.source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: info.Size(), Mode: mode, ModTime: modified}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(writer, source)
	return err
}

// unpackGzip writes the files of a .tar.gz into a folder.
func unpackGzip(file, folder string) ([]entry, error) {
	source, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	uncompressed, err := gzip.NewReader(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return unpack(uncompressed, folder)
}

// unpack writes the files of a tar archive into a folder.
func unpack(source io.Reader, folder string) ([]entry, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var entries []entry
	for reader := tar.NewReader(source); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("%s is not a regular file", header.Name)
		}
		if err := root.MkdirAll(filepath.Dir(header.Name), 0o755); err != nil {
			return nil, err
		}
		if err := unpackFile(root, header, reader); err != nil {
			return nil, err
		}
		entries = append(entries, entry{filepath.Join(folder, header.Name), header.Name})
	}
}

func unpackFile(root *os.Root, header *tar.Header, content io.Reader) (err error) {
	file, err := root.OpenFile(header.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, header.FileInfo().Mode().Perm())
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
	}()
	_, err = io.CopyN(file, content, header.Size)
	return err
}

func runChecksums(_ context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name the folder")
	}
	folder := fromTop(args[0])
	sums, err := checksums(folder)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, checksumsFile), []byte(sums), 0o644) //nolint:gosec // everyone may read a release
}

// checksums returns the sums of all other files of a folder, as sha256sum prints them.
func checksums(folder string) (string, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	var sums strings.Builder
	for _, file := range files {
		if file.Name() == checksumsFile {
			continue
		}
		if !file.Type().IsRegular() {
			return "", fmt.Errorf("%s is not a regular file", file.Name())
		}
		sum, err := sumOf(filepath.Join(folder, file.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, file.Name())
	}
	if sums.Len() == 0 {
		return "", errNoFiles
	}
	return sums.String(), nil
}

func sumOf(file string) (string, error) {
	source, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer source.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, source); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
