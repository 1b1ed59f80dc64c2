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
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/durable"
)

const (
	// openDir has the segment that is written to, readyDir those that are not written to any more.
	openDir  = "open"
	readyDir = "ready"
	// sums is in the format of sha256sum.
	sums = "SHA256SUMS"
	// maxBody bounds one request.
	maxBody = 1 << 20
)

// spool appends to one segment after the other. A segment is never opened again once it was closed, and no two ever bear the same name, so that
// a segment is the same wherever it is found: on the volume, or in the store from an upload that was interrupted.
//
// When a segment is closed, its name gets the checksum of what was acknowledged, which the server has kept in memory: not of what can be read from
// the volume later. So what is in a segment can be proved wherever it is found.
type spool struct {
	dir     string
	limit   int64
	mu      sync.Mutex
	segment *os.File
	size    int64
	sum     hash.Hash
}

// closed is the name of a closed segment, which has its checksum in it.
var closed = regexp.MustCompile(`^[^.]+\.[^.]+\.([0-9a-f]{64})\.log$`)

// openSpool takes the volume for this Pod, closes what a predecessor left open, and opens a new segment.
func openSpool(dir, pod string, limit int64) (*spool, error) {
	for _, sub := range []string{openDir, readyDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o770); err != nil {
			return nil, err
		}
	}
	empty, err := isEmpty(dir)
	if err != nil {
		return nil, err
	}
	if err := drains.Own(dir, pod, empty); err != nil {
		return nil, err
	}
	if _, err := closeSegments(dir); err != nil {
		return nil, err
	}
	s := &spool{dir: dir, limit: limit}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, nil
}

// isEmpty reports whether there is no line on a volume.
func isEmpty(dir string) (bool, error) {
	for _, sub := range []string{openDir, readyDir} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			return false, err
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil || info.Size() > 0 {
				return false, err
			}
		}
	}
	return true, nil
}

func newName() string {
	return time.Now().UTC().Format("20060102T150405.000000Z") + "-" + rand.Text()[:8] + ".log"
}

func (s *spool) begin() (err error) {
	s.size, s.sum = 0, sha256.New()
	s.segment, err = os.OpenFile(filepath.Join(s.dir, openDir, newName()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o660)
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Join(s.dir, openDir))
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
		// They were not acknowledged; a half line would spoil the next one.
		return errors.Join(err, s.segment.Truncate(s.size), seekEnd(s.segment))
	}
	s.size += int64(len(lines))
	s.sum.Write(lines) // It never fails, hash.Hash says so.
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
	if err := errors.Join(s.segment.Close(), ready(s.dir, filepath.Base(s.segment.Name()), s.sum.Sum(nil))); err != nil {
		return err
	}
	return s.begin()
}

// close ends the last segment, too, with its checksum. It is for a server that ends in order.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.segment.Close(); err != nil || s.size == 0 {
		return err
	}
	return ready(s.dir, filepath.Base(s.segment.Name()), s.sum.Sum(nil))
}

// ready makes an open segment a closed one.
func ready(dir, name string, sum []byte) error {
	target := strings.TrimSuffix(name, ".log") + "." + hex.EncodeToString(sum) + ".log"
	if err := os.Rename(filepath.Join(dir, openDir, name), filepath.Join(dir, readyDir, target)); err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(filepath.Join(dir, openDir)), durable.SyncDir(filepath.Join(dir, readyDir)))
}

// closeSegments makes open segments ready, and gives the names of all that are ready then. Only a server that was killed leaves one open. Its last line may be
// half a line; it was never acknowledged, and is cut off. The checksum is that of what is on the volume now, the first time that it is closed.
func closeSegments(dir string) ([]string, error) {
	open, err := os.ReadDir(filepath.Join(dir, openDir))
	if err != nil {
		return nil, err
	}
	for _, entry := range open {
		sum, err := cutHalfLine(filepath.Join(dir, openDir, entry.Name()))
		if err != nil {
			return nil, err
		}
		if err := ready(dir, entry.Name(), sum); err != nil {
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

// cutHalfLine gives the checksum of what is left.
func cutHalfLine(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	sum := sha256.Sum256(whole)
	if len(whole) < len(content) {
		return sum[:], os.Truncate(path, int64(len(whole)))
	}
	return sum[:], nil
}

// seal makes an orphaned volume ready for an upload: no segment is open, there is at least one, be it empty, since in a store there are no empty
// folders to verify, and SHA256SUMS has the checksum of each, as its name has it. It fails if the volume isn't that of the Pod, or if a segment isn't what its
// checksum says: what was acknowledged is not there any more, and a person has to know.
func seal(dir, pod string) (segments int, size int64, err error) {
	if err := drains.CheckOwner(dir, pod); err != nil {
		return 0, 0, err
	}
	names, err := closeSegments(dir)
	if err != nil {
		return 0, 0, err
	}
	if len(names) == 0 {
		names = []string{strings.TrimSuffix(newName(), "log") + hex.EncodeToString(sha256.New().Sum(nil)) + ".log"}
		if err := os.WriteFile(filepath.Join(dir, readyDir, names[0]), nil, 0o660); err != nil {
			return 0, 0, err
		}
	}
	var list bytes.Buffer
	var damaged []error
	for _, name := range names {
		acknowledged := closed.FindStringSubmatch(name)
		if acknowledged == nil {
			return 0, 0, fmt.Errorf("%s is not the name of a closed segment", filepath.Join(dir, readyDir, name))
		}
		content, err := os.ReadFile(filepath.Join(dir, readyDir, name))
		if err != nil {
			return 0, 0, err
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != acknowledged[1] {
			damaged = append(damaged, fmt.Errorf("segment %s is damaged: it has %d bytes with the checksum %x", name, len(content), sum))
		}
		size += int64(len(content))
		fmt.Fprintf(&list, "%s  %s\n", acknowledged[1], name)
	}
	// A seal that is killed here is repeated before anything is uploaded or verified.
	return len(names), size, errors.Join(append(damaged, os.WriteFile(filepath.Join(dir, sums), list.Bytes(), 0o660))...)
}
