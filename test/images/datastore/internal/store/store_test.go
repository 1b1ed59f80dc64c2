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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, dirs ...string) *Store {
	t.Helper()
	s, err := Open(dirs, "server test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func TestEncodeKeyRoundTrip(t *testing.T) {
	for _, key := range []string{
		"a", "Z9-_", "a.b", ".", "..", "...", ".tmp-1", "a/b", "../../etc/passwd", "per%cent", "%2F", "space and\ttab", "new\nline", "\x00", "\xff\xfe",
		"größe", "🦆", strings.Repeat("x", MaxKeyBytes), strings.Repeat("/", MaxKeyBytes),
	} {
		name, err := EncodeKey(key)
		if err != nil {
			t.Errorf("EncodeKey(%q): %v", key, err)
			continue
		}
		if len(name) > 255 || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
			t.Errorf("EncodeKey(%q) = %q, which is no safe file name", key, name)
		}
		if back, err := DecodeKey(name); err != nil || back != key {
			t.Errorf("DecodeKey(%q) = %q, %v, want %q", name, back, err, key)
		}
	}
}

func TestEncodeKeyRefuses(t *testing.T) {
	for _, key := range []string{"", strings.Repeat("x", MaxKeyBytes+1)} {
		if name, err := EncodeKey(key); !errors.Is(err, ErrInvalidKey) {
			t.Errorf("EncodeKey(%q) = %q, %v, want ErrInvalidKey", key, name, err)
		}
	}
	for _, name := range []string{"", ".", "..", ".tmp-1", "%2f", "%41", "%", "%zz", "a b"} {
		if key, err := DecodeKey(name); !errors.Is(err, ErrInvalidKey) {
			t.Errorf("DecodeKey(%q) = %q, %v, want ErrInvalidKey", name, key, err)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, seed := range []string{"a", "..", "%2F", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		if name, err := EncodeKey(input); err == nil {
			if back, err := DecodeKey(name); err != nil || back != input {
				t.Errorf("DecodeKey(EncodeKey(%q)) = %q, %v", input, back, err)
			}
		}
		if key, err := DecodeKey(input); err == nil {
			if back, err := EncodeKey(key); err != nil || back != input {
				t.Errorf("EncodeKey(DecodeKey(%q)) = %q, %v", input, back, err)
			}
		}
	})
}

func TestRecordsSurviveReopening(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	bodies := map[string]string{"empty": "", "a/b": "slash", "..": "dots", "binary": "\x00\xff", "k1": "1", "k2": "2", "k3": "3", "k4": "4"}

	s := open(t, dirs...)
	for key, body := range bodies {
		if created, err := s.Put(key, []byte(body)); err != nil || !created {
			t.Fatalf("Put(%q) = %v, %v, want true", key, created, err)
		}
	}
	if created, err := s.Put("k1", []byte("one")); err != nil || created {
		t.Fatalf("the second Put = %v, %v, want false", created, err)
	}
	bodies["k1"] = "one"
	if err := s.Delete("k2"); err != nil {
		t.Fatal(err)
	}
	delete(bodies, "k2")
	if err := s.Delete("k2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleting it again: %v, want ErrNotFound", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// The other way round: a record is found wherever it lies.
	slices.Reverse(dirs)
	s = open(t, dirs...)
	for key, body := range bodies {
		if got, err := s.Get(key); err != nil || string(got) != body {
			t.Errorf("Get(%q) = %q, %v, want %q", key, got, err, body)
		}
	}
	stats, err := s.Stats()
	if err != nil || stats.Records != len(bodies) {
		t.Errorf("Stats() = %+v, %v, want %d records", stats, err, len(bodies))
	}
	for _, v := range s.Volumes() {
		if records, err := v.List(); err != nil || len(records) == 0 {
			t.Errorf("volume %s has %d records, %v; want some on each", v.Dir(), len(records), err)
		}
		if v.Previous() != "" {
			t.Errorf("volume %s was released, but names %q", v.Dir(), v.Previous())
		}
	}
}

func TestPutRefuses(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Put("big", make([]byte, MaxBodyBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Put of too much: %v, want ErrTooLarge", err)
	}
	if _, err := s.Put("", nil); !errors.Is(err, ErrInvalidKey) {
		t.Errorf("Put without key: %v, want ErrInvalidKey", err)
	}
	if _, err := s.Get("big"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of what was refused: %v, want ErrNotFound", err)
	}
}

func TestCreateHasOneWinner(t *testing.T) {
	s := open(t, t.TempDir(), t.TempDir())
	var mu sync.Mutex
	var created []string
	var wg sync.WaitGroup
	for _, body := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			isNew, err := s.Create("key", []byte(body))
			if err != nil && !errors.Is(err, ErrExists) {
				t.Error(err)
			}
			if isNew {
				mu.Lock()
				defer mu.Unlock()
				created = append(created, body)
			}
		})
	}
	wg.Wait()
	if len(created) != 1 {
		t.Fatalf("%d writers created the record, want 1", len(created))
	}
	if isNew, err := s.Create("key", []byte(created[0])); err != nil || isNew {
		t.Errorf("Create with the same content = %v, %v, want false and no error", isNew, err)
	}
	if got, err := s.Get("key"); err != nil || string(got) != created[0] {
		t.Errorf("Get = %q, %v, want %q", got, err, created[0])
	}
}

func TestOpenRefusesSecondWriter(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	_, err := OpenVolume(dir, "drain orphan-2")
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "server test") || !strings.Contains(err.Error(), "drain orphan-2") {
		t.Fatalf("the second writer got %v, want ErrLocked naming both", err)
	}
	if _, err := s.Put("still", []byte("writable")); err != nil {
		t.Errorf("the holder is disturbed: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// The trace stays, over releases and for later readers.
	s = open(t, dir)
	stats, err := s.Stats()
	if err != nil || len(stats.Violations) != 1 || !strings.Contains(stats.Violations[0], "drain orphan-2") {
		t.Errorf("Stats().Violations = %q, %v, want the one", stats.Violations, err)
	}
	seen, err := Inspect(dir)
	if err != nil || len(seen.Violations) != 1 || len(seen.Records) != 1 || !strings.Contains(seen.Holder, "server test") {
		t.Errorf("Inspect() = %+v, %v", seen, err)
	}
}

func TestOpenIsAllOrNothing(t *testing.T) {
	free, held := t.TempDir(), t.TempDir()
	open(t, held)
	if _, err := Open([]string{free, held}, "second"); !errors.Is(err, ErrLocked) {
		t.Fatalf("Open = %v, want ErrLocked", err)
	}
	open(t, free)
}

// TestOpenAfterKill runs itself as a process that takes the lock, half-writes a record and is killed.
func TestOpenAfterKill(t *testing.T) {
	if dir := os.Getenv("STORE_TEST_VICTIM"); dir != "" {
		v, err := OpenVolume(dir, "victim")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Put("whole", []byte("record")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, recordsDir, tempPrefix+"half"), []byte("rec"), fileMode); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stdout.WriteString("ready\n"); err != nil {
			t.Fatal(err)
		}
		select {} // Until it is killed.
	}

	dir := t.TempDir()
	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenAfterKill$")
	victim.Env = append(os.Environ(), "STORE_TEST_VICTIM="+dir)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenVolume(dir, "too early"); !errors.Is(err, ErrLocked) {
		t.Errorf("while it lives: %v, want ErrLocked", err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := victim.Wait(); err == nil {
		t.Fatal("the victim was not killed")
	}

	s := open(t, dir)
	if previous := s.Volumes()[0].Previous(); !strings.HasPrefix(previous, "victim since ") {
		t.Errorf("Previous() = %q, want the victim", previous)
	}
	records, err := s.List()
	if err != nil || len(records) != 1 || records[0].Name != "whole" {
		t.Errorf("List() = %v, %v, want the whole record only", records, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, recordsDir, tempPrefix+"*")); len(left) > 0 {
		t.Errorf("half-written files stay: %v", left)
	}
}

func TestOpenNeedsTheVolume(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "not-mounted")
	if _, err := OpenVolume(missing, "server"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenVolume of a missing folder: %v, want ErrNotExist", err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Error("the missing folder was made")
	}
	if _, err := Open(nil, "server"); err == nil {
		t.Error("a store without a folder was opened")
	}
}

func TestInspectChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if seen, err := Inspect(dir); err != nil || len(seen.Records) != 0 || len(seen.Violations) != 0 || seen.Holder != "" {
		t.Errorf("Inspect of an empty volume = %+v, %v", seen, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

func TestListRefusesForeignFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := os.WriteFile(filepath.Join(dir, recordsDir, "not a name"), nil, fileMode); err != nil {
		t.Fatal(err)
	}
	// A drain that skipped it would call the volume empty.
	if _, err := s.List(); !errors.Is(err, ErrInvalidKey) {
		t.Errorf("List() = %v, want ErrInvalidKey", err)
	}
}
