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
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/durable"
)

const (
	// ownFile is the book's.
	ownFile    = "kubia.txt"
	adoptedDir = "adopted"
	// scratch is what is being written, and not there yet for any reader.
	scratch = ".new"
)

var petName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// keepsake is the data of one pet: this one's own, or that of one that left.
type keepsake struct {
	Pet string `json:"pet"`
	// Adopted says that the pet it is from has left; a pet of the same name may have come since, with data of its own.
	Adopted bool   `json:"adopted"`
	SHA256  string `json:"sha256"`
	Data    []byte `json:"data"`
}

// path is where it lies on the volume. What was adopted has its checksum in its name: nothing is ever overwritten by an adoption, a pet that left
// twice has left two of them, and adopting the same again changes nothing.
func (k keepsake) path() string {
	if !k.Adopted {
		return ownFile
	}
	return filepath.Join(adoptedDir, k.Pet+"."+k.SHA256+".txt")
}

func newKeepsake(pet string, adopted bool, data []byte) keepsake {
	sum := sha256.Sum256(data)
	return keepsake{Pet: pet, Adopted: adopted, SHA256: hex.EncodeToString(sum[:]), Data: data}
}

// volume is the folder of one pet.
type volume struct {
	dir, pet string
	mu       sync.Mutex
}

func openVolume(dir, pet string) (*volume, error) {
	if err := os.MkdirAll(filepath.Join(dir, adoptedDir), 0o770); err != nil {
		return nil, err
	}
	return &volume{dir: dir, pet: pet}, nil
}

// own takes the volume for this pet, and refuses one that has another pet's data.
func (v *volume) own() error {
	all, err := v.list()
	if err != nil {
		return err
	}
	return drains.Own(v.dir, v.pet, len(all) == 0)
}

// keep writes a keepsake, and returns when it would survive a power cut.
func (v *volume) keep(k keepsake) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	path := filepath.Join(v.dir, scratch)
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(k.Data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	target := filepath.Join(v.dir, k.path())
	if err := os.Rename(path, target); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(target))
}

// drop removes a keepsake, for good.
func (v *volume) drop(k keepsake) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	path := filepath.Join(v.dir, k.path())
	if err := os.Remove(path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// list is everything on the volume, this pet's own first.
func (v *volume) list() ([]keepsake, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []keepsake
	own, err := os.ReadFile(filepath.Join(v.dir, ownFile))
	switch {
	case err == nil:
		all = append(all, newKeepsake(v.pet, false, own))
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(v.dir, adoptedDir))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(v.dir, adoptedDir, entry.Name()))
		if err != nil {
			return nil, err
		}
		pet, _, _ := strings.Cut(entry.Name(), ".")
		k := newKeepsake(pet, true, data)
		if want := filepath.Base(k.path()); entry.Name() != want {
			return nil, fmt.Errorf("%s has changed since it was adopted: by its content it would be %s", filepath.Join(v.dir, adoptedDir, entry.Name()), want)
		}
		all = append(all, k)
	}
	return all, nil
}
