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
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// openDir has the segment that is written to, readyDir those that nobody writes to any more.
	openDir  = "open"
	readyDir = "ready"
	// sums is in the format of sha256sum.
	sums = "SHA256SUMS"
	// maxBody bounds one request.
	maxBody = 1 << 20
)

// spool appends to one segment after the other. A segment is never opened again once it was closed, and no two ever bear the same name, so that
// a segment is the same wherever it is found: on the volume, or in the store from an upload that was interrupted.
type spool struct {
	dir     string
	limit   int64
	mu      sync.Mutex
	segment *os.File
	size    int64
}

// openSpool closes what a predecessor left open, and opens a new segment.
func openSpool(dir string, limit int64) (*spool, error) {
	if _, err := closeSegments(dir); err != nil {
		return nil, err
	}
	s := &spool{dir: dir, limit: limit}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, nil
}

func newName() string {
	return time.Now().UTC().Format("20060102T150405.000000Z") + "-" + rand.Text()[:8] + ".log"
}

func (s *spool) begin() (err error) {
	s.size = 0
	s.segment, err = os.OpenFile(filepath.Join(s.dir, openDir, newName()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o660)
	if err != nil {
		return err
	}
	return syncDir(filepath.Join(s.dir, openDir))
}

// write returns when the lines would survive a power cut.
func (s *spool) write(lines []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size > 0 && s.size+int64(len(lines)) > s.limit {
		if err := s.next(); err != nil {
			return err
		}
	}
	_, err := s.segment.Write(lines)
	if err := errors.Join(err, s.segment.Sync()); err != nil {
		// Nobody was told that they are safe; a half line would spoil the next one.
		return errors.Join(err, s.segment.Truncate(s.size), seekEnd(s.segment))
	}
	s.size += int64(len(lines))
	return nil
}

func seekEnd(file *os.File) error {
	_, err := file.Seek(0, io.SeekEnd)
	return err
}

// rotate closes the segment if there is anything in it.
func (s *spool) rotate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == 0 {
		return nil
	}
	return s.next()
}

func (s *spool) next() error {
	if err := errors.Join(s.segment.Close(), ready(s.dir, filepath.Base(s.segment.Name()))); err != nil {
		return err
	}
	return s.begin()
}

func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segment.Close()
}

func ready(dir, name string) error {
	if err := os.Rename(filepath.Join(dir, openDir, name), filepath.Join(dir, readyDir, name)); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Join(dir, openDir)), syncDir(filepath.Join(dir, readyDir)))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// closeSegments makes open segments ready, and gives the names of all that are ready then. The last line of a segment whose server was killed may be
// half a line; it was acknowledged to nobody, and is cut off.
func closeSegments(dir string) ([]string, error) {
	for _, sub := range []string{openDir, readyDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o770); err != nil {
			return nil, err
		}
	}
	open, err := os.ReadDir(filepath.Join(dir, openDir))
	if err != nil {
		return nil, err
	}
	for _, entry := range open {
		if err := errors.Join(cutHalfLine(filepath.Join(dir, openDir, entry.Name())), ready(dir, entry.Name())); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, readyDir))
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

func cutHalfLine(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if whole := bytes.LastIndexByte(content, '\n') + 1; whole < len(content) {
		return os.Truncate(path, int64(whole))
	}
	return nil
}

// seal makes an orphaned volume ready for an upload: no segment is open, there is at least one, be it empty, since in a store there are no empty
// folders to verify, and SHA256SUMS has the checksum of each.
func seal(dir string) (segments int, size int64, err error) {
	names, err := closeSegments(dir)
	if err != nil {
		return 0, 0, err
	}
	if len(names) == 0 {
		names = []string{newName()}
		if err := os.WriteFile(filepath.Join(dir, readyDir, names[0]), nil, 0o660); err != nil {
			return 0, 0, err
		}
	}
	var list bytes.Buffer
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, readyDir, name))
		if err != nil {
			return 0, 0, err
		}
		size += int64(len(content))
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(content), name)
	}
	// A seal that is killed here is repeated before anything is uploaded or verified.
	return len(names), size, os.WriteFile(filepath.Join(dir, sums), list.Bytes(), 0o660)
}
