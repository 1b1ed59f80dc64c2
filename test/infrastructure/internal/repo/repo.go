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

// Package repo finds the top of the repository that a tool runs in.
//
// The tools are started with "go run -C test/infrastructure", which makes that folder their working folder, while the paths they are given
// are meant from the top, where the Makefile and the reader are.
package repo

import (
	"fmt"
	"os"
	"path/filepath"
)

// marker is a file that only a checkout of this project has.
var marker = filepath.Join("test", "infrastructure", "go.mod")

// Top returns the folder that holds the marker, searched from the working folder upwards.
func Top() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, marker)); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%s is not inside a checkout of drain-operator: no folder above it holds %s", start, marker)
		}
	}
}

// Path is a file that was named on the command line: absolute as it is, relative from the top of the repository.
func Path(top, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(top, file)
}
