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

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/durable"
)

const (
	lockFile      = "lock"
	violationFile = "VIOLATION"

	// fileMode lets the group in: the volume's fsGroup is what a server and the drain that stands in for it have in common.
	fileMode = 0o660
	dirMode  = 0o770
)

// ErrLocked is returned when another process holds the volume.
var ErrLocked = errors.New("the volume has another writer")

// lock holds a volume for this process alone.
type lock struct {
	file *os.File
	// previous is what the last holder left in the file; empty if it released the lock in good order.
	previous string
}

// acquire takes the lock of the volume at once or not at all: a second holder must not wait until the first is gone, it must never have
// been started. So it leaves a line in the VIOLATION file, too.
func acquire(dir, holder string) (*lock, error) {
	path := filepath.Join(dir, lockFile)
	file, err := openShared(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner := readHolder(file)
		err = fmt.Errorf("%w: %s is held by %s; refused %s", ErrLocked, path, owner, holder)
		return nil, errors.Join(err, file.Close(), recordViolation(dir, holder, owner))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	l := &lock{file: file, previous: readHolder(file)}
	err = l.write(fmt.Sprintf("%s since %s", holder, time.Now().UTC().Format(time.RFC3339Nano)))
	// A full volume must still open, or it could never be drained; its lock holds without a name in it.
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		return nil, errors.Join(err, file.Close())
	}
	return l, nil
}

// release empties the file first, so that the next holder knows this one left in good order. The file itself stays: removing it would let a
// process that has it open and one that creates it again hold two locks of the same name.
func (l *lock) release() error {
	return errors.Join(l.write(""), l.file.Close())
}

func (l *lock) write(content string) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("writing the lock: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(content), 0); err != nil {
		return fmt.Errorf("writing the lock: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("writing the lock: %w", err)
	}
	return nil
}

func readHolder(file *os.File) string {
	content, err := io.ReadAll(io.NewSectionReader(file, 0, 1024))
	if err != nil || len(content) == 0 {
		return ""
	}
	return string(content)
}

// recordViolation leaves a permanent trace of a second writer on the volume itself.
func recordViolation(dir, intruder, owner string) error {
	file, err := openShared(filepath.Join(dir, violationFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return fmt.Errorf("recording the violation: %w", err)
	}
	line := fmt.Sprintf("%s: %s came while the volume was held by %s\n", time.Now().UTC().Format(time.RFC3339Nano), intruder, owner)
	_, err = file.WriteString(line)
	if err := errors.Join(err, file.Sync(), file.Close(), durable.SyncDir(dir)); err != nil {
		return fmt.Errorf("recording the violation: %w", err)
	}
	return nil
}

func readViolations(dir string) ([]string, error) {
	content, err := os.ReadFile(filepath.Join(dir, violationFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the violations: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n"), nil
}

// openShared opens a file that a process of another user in the same group must be able to open, whatever the umask says.
func openShared(path string, flag int) (*os.File, error) {
	file, err := os.OpenFile(path, flag, fileMode)
	if err != nil {
		return nil, err
	}
	// Only its owner may change a file's mode, and has done so when it created the file.
	if err := file.Chmod(fileMode); err != nil && !errors.Is(err, os.ErrPermission) {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
