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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOwner(t *testing.T) {
	dir := t.TempDir()
	if err := CheckOwner(dir, "web-2"); !errors.Is(err, ErrNotOwned) || !strings.Contains(err.Error(), "web-2 has never started on it") {
		t.Errorf("a drain on a volume without a marker: %v", err)
	}
	for range 2 { // A Pod that restarts finds its own marker.
		if err := Own(dir, "web-2", false); err != nil {
			t.Fatal(err)
		}
	}
	if err := CheckOwner(dir, "web-2"); err != nil {
		t.Errorf("a drain on its volume: %v", err)
	}
	if err := CheckOwner(dir, "web-20"); !errors.Is(err, ErrNotOwned) || !strings.Contains(err.Error(), "belongs to web-2, not to web-20") {
		t.Errorf("a drain on another Pod's volume: %v", err)
	}
	if err := Own(dir, "web-1", false); !errors.Is(err, ErrNotOwned) {
		t.Errorf("a Pod on a volume with another Pod's data: %v", err)
	}
	if err := CheckOwner(dir, "web-2"); err != nil {
		t.Errorf("a refused Pod has changed the marker: %v", err)
	}
	if err := Own(dir, "web-1", true); err != nil {
		t.Errorf("a Pod on another Pod's empty volume: %v", err)
	}
	if err := CheckOwner(dir, "web-1"); err != nil {
		t.Error(err)
	}
}

func TestLeaveWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "termination-log")
	if err := LeaveWords(path, "done", ""); err != nil {
		t.Errorf("outside a Pod: %v", err)
	}
	if err := LeaveWords(path, "done", "receipt-1"); err == nil {
		t.Error("a receipt that can't be written is no error")
	}
	long := strings.Repeat("ä", 5000)
	for _, test := range []struct{ words, receipt, want string }{
		{"it failed", "", "it failed"},
		{"moved 3 records", "receipt-1", "moved 3 records\nreceipt-1\n"},
		{"", "receipt-1", "receipt-1\n"},
		{"short", "", "short"}, // Nothing of what was there before is left.
		{long, "receipt-1", ""},
	} {
		if _, err := os.OpenFile(path, os.O_CREATE, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := LeaveWords(path, test.words, test.receipt); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case test.want != "" && string(got) != test.want:
			t.Errorf("message = %q, want %q", got, test.want)
		case len(got) > 1024 || !utf8.Valid(got) || !strings.HasSuffix(strings.TrimSpace(string(got)), test.receipt):
			t.Errorf("message of %d bytes ends with %q, want less than 1 KiB of text and the receipt", len(got), got[max(0, len(got)-50):])
		}
	}
}
