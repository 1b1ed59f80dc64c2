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

package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// The generated part of the document is between these lines.
const (
	begin = "<!-- bench: make bench-docs -->\n"
	end   = "<!-- /bench -->\n"
)

// Render writes the tables of some files of results into a document, and their chart beside it.
func Render(files []string, document, chart string) error {
	var all []*Results
	for _, file := range files {
		results, err := Load(file)
		if err != nil {
			return err
		}
		all = append(all, results)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	if text, err = replace(text, []byte(Markdown(all))); err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	if err := os.WriteFile(document, text, 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(chart), 0o755); err != nil {
		return err
	}
	return os.WriteFile(chart, []byte(Chart(all)), 0o644)
}

// replace puts a text between the two lines.
func replace(document, text []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(document, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return nil, fmt.Errorf("the lines %q and %q are not both there", begin, end)
	}
	return bytes.Join([][]byte{before, []byte(begin), text, []byte(end), after}, nil), nil
}
