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

package drains

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/durable"
)

// Marker is the file on a volume that names the Pod that it belongs to. It makes the difference between an empty volume and the wrong one:
// another folder of the same path on another node, or a claim that was bound to another volume by hand.
const Marker = ".drain-owner"

// ErrNotOwned is that of a volume that doesn't belong to the Pod.
var ErrNotOwned = errors.New("not the volume of this Pod")

// Own writes the marker. It is for the StatefulSet's Pod when it starts. A volume that belongs to another Pod is taken over if it is empty, as drains
// leave it, and refused if it isn't. A volume without a marker is taken over.
func Own(dir, pod string, empty bool) error {
	owner, err := owner(dir)
	switch {
	case err != nil:
		return err
	case owner == pod:
		return nil
	case owner != "" && !empty:
		return fmt.Errorf("%w: %s has the data of %s, not of %s", ErrNotOwned, dir, owner, pod)
	}
	path := filepath.Join(dir, Marker)
	file, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = file.WriteString(pod + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// CheckOwner is for the drain: the volume must belong to the Pod that the drain stands in for.
func CheckOwner(dir, pod string) error {
	owner, err := owner(dir)
	switch {
	case err != nil:
		return err
	case owner == "":
		return fmt.Errorf("%w: there is no %s, so %s has never started on it, or it is the wrong one; if it has never started, delete the claim",
			ErrNotOwned, filepath.Join(dir, Marker), pod)
	case owner != pod:
		return fmt.Errorf("%w: %s belongs to %s, not to %s", ErrNotOwned, dir, owner, pod)
	}
	return nil
}

func owner(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, Marker))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}
