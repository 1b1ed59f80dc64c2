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
	"os"
	"path/filepath"
)

// Inspection is what can be seen of a volume from outside.
type Inspection struct {
	Dir string `json:"dir"`
	// Holder is what the lock file says; after a kill it names the dead.
	Holder     string   `json:"holder,omitempty"`
	Violations []string `json:"violations"`
	Records    []Record `json:"records"`
}

// Inspect looks at a volume without taking its lock and without changing anything on it, so it can be run beside a writer.
func Inspect(dir string) (Inspection, error) {
	seen := Inspection{Dir: dir, Violations: []string{}, Records: []Record{}}
	holder, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return seen, fmt.Errorf("inspecting volume %s: %w", dir, err)
	}
	seen.Holder = string(holder)
	violations, err := readViolations(dir)
	if err != nil {
		return seen, fmt.Errorf("inspecting volume %s: %w", dir, err)
	}
	seen.Violations = append(seen.Violations, violations...)
	records, err := list(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return seen, fmt.Errorf("inspecting volume %s: %w", dir, err)
	}
	seen.Records = append(seen.Records, records...)
	return seen, nil
}
