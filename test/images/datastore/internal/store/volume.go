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
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

const (
	recordsDir = "records"
	tempPrefix = ".tmp-"

	// MaxBodyBytes bounds a record's content.
	MaxBodyBytes = 1 << 20
)

var (
	// ErrNotFound is returned for a record that isn't there.
	ErrNotFound = errors.New("no such record")
	// ErrExists is returned by Create for a key that has other content already.
	ErrExists = errors.New("the record exists with other content")
	// ErrTooLarge is returned for content beyond MaxBodyBytes.
	ErrTooLarge = errors.New("the record is too large")
	// ErrFull is what a client gets from a replica that has no room for a record.
	ErrFull = errors.New("the replica is full")
)

// Record describes a record without its content.
type Record struct {
	// Name is the percent-encoded key, see EncodeKey: keys are any bytes, JSON strings are not.
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Checksum is the checksum records are compared by.
func Checksum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Volume is a folder with records, held by this process alone.
type Volume struct {
	dir  string
	lock *lock
	// mu makes Create's look-then-write one step.
	mu sync.RWMutex
}

// OpenVolume takes the lock of the volume in the given folder, for the named holder. The folder itself must be there: it is a mount point, and
// creating it would hide a volume that was not mounted.
func OpenVolume(dir, holder string) (*Volume, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("opening volume %s: %w", dir, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("opening volume %s: it is not a folder", dir)
	}
	l, err := acquire(dir, holder)
	if err != nil {
		return nil, fmt.Errorf("opening volume %s: %w", dir, err)
	}
	v := &Volume{dir: dir, lock: l}
	if err := v.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening volume %s: %w", dir, err), l.release())
	}
	return v, nil
}

// prepare makes the records' folder and removes what a killed writer left half-written: those records were never acknowledged.
func (v *Volume) prepare() error {
	records := filepath.Join(v.dir, recordsDir)
	if err := os.Mkdir(records, dirMode); err == nil {
		if err := errors.Join(os.Chmod(records, dirMode), syncDir(v.dir)); err != nil {
			return err
		}
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	entries, err := os.ReadDir(records)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			if err := os.Remove(filepath.Join(records, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close gives the volume back.
func (v *Volume) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lock.release()
}

// Dir is the volume's folder.
func (v *Volume) Dir() string { return v.dir }

// Previous names the last holder if it went without releasing the lock, as a killed process does.
func (v *Volume) Previous() string { return v.lock.previous }

// Violations lists the second writers this volume has ever seen.
func (v *Volume) Violations() ([]string, error) { return readViolations(v.dir) }

// Put stores a record, replacing what was there; it tells whether the record is new.
func (v *Volume) Put(key string, body []byte) (created bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, err = v.get(key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	return errors.Is(err, ErrNotFound), v.write(key, body)
}

// Create stores a record unless its key is taken: by the same content, which is as good, or by other content, which is ErrExists.
func (v *Volume) Create(key string, body []byte) (created bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old, err := v.get(key)
	if err == nil {
		if Checksum(old) != Checksum(body) {
			return false, ErrExists
		}
		return false, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return false, err
	}
	return true, v.write(key, body)
}

// Get reads a record.
func (v *Volume) Get(key string) ([]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.get(key)
}

// Delete removes a record for good.
func (v *Volume) Delete(key string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	path, err := v.path(key)
	if err != nil {
		return err
	}
	if err := os.Remove(path); errors.Is(err, os.ErrNotExist) {
		return ErrNotFound
	} else if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// List describes every record, in the order of their names.
func (v *Volume) List() ([]Record, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return list(v.dir)
}

func (v *Volume) path(key string) (string, error) {
	name, err := EncodeKey(key)
	if err != nil {
		return "", err
	}
	return filepath.Join(v.dir, recordsDir, name), nil
}

func (v *Volume) get(key string) ([]byte, error) {
	path, err := v.path(key)
	if err != nil {
		return nil, err
	}
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotFound
	}
	return body, err
}

func (v *Volume) write(key string, body []byte) error {
	if len(body) > MaxBodyBytes {
		return fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrTooLarge, len(body), MaxBodyBytes)
	}
	path, err := v.path(key)
	if err != nil {
		return err
	}
	return writeFile(path, body)
}

// writeFile replaces a file in one step that survives a power cut: a reader finds the old content or the new.
func writeFile(path string, body []byte) (err error) {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(body)
	if err := errors.Join(err, temp.Chmod(fileMode), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func list(dir string) ([]Record, error) {
	entries, err := os.ReadDir(filepath.Join(dir, recordsDir))
	if err != nil {
		return nil, err
	}
	records := make([]Record, 0, len(entries))
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		if _, err := DecodeKey(entry.Name()); err != nil {
			return nil, fmt.Errorf("volume %s has a file that is not a record: %w", dir, err)
		}
		body, err := os.ReadFile(filepath.Join(dir, recordsDir, entry.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // Deleted since the folder was read; only an inspection, which holds no lock, can meet this.
		}
		if err != nil {
			return nil, err
		}
		records = append(records, Record{Name: entry.Name(), Bytes: int64(len(body)), SHA256: Checksum(body)})
	}
	sort.Slice(records, func(i, j int) bool { return records[i].Name < records[j].Name })
	return records, nil
}
