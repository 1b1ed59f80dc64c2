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
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

func open(t *testing.T, dir string, limit int64) *spool {
	t.Helper()
	s, err := openSpool(dir, "spool-2", limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() }) // The test may have closed it.
	return s
}

func write(t *testing.T, s *spool, lines string) {
	t.Helper()
	if err := s.write([]byte(lines)); err != nil {
		t.Fatal(err)
	}
}

// entry is how SHA256SUMS names a segment.
func entry(t *testing.T, dir, content string) string {
	t.Helper()
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	names, err := filepath.Glob(filepath.Join(dir, readyDir, "*."+sum+".log"))
	if err != nil || len(names) != 1 {
		t.Fatalf("segments with the checksum of %q: %q, %v", content, names, err)
	}
	return sum + "  " + filepath.Base(names[0]) + "\n"
}

// contents are the segments of a folder in the order of their names, which is that of their creation.
func contents(t *testing.T, dir, sub string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, sub, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(content))
	}
	return all
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestSegments(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 4)
	write(t, s, "a\n")
	write(t, s, "b\n")
	write(t, s, "more than a segment\n")
	expect(t, "ready", contents(t, dir, readyDir), []string{"a\nb\n"})
	expect(t, "open", contents(t, dir, openDir), []string{"more than a segment\n"})
	for range 2 { // There is nothing to close the second time.
		if err := s.rotate(); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "ready", contents(t, dir, readyDir), []string{"a\nb\n", "more than a segment\n"})
	expect(t, "open", contents(t, dir, openDir), []string{""})
}

func TestSealAfterAKill(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	write(t, s, "first\nsecond\n")
	if _, err := s.segment.WriteString("hal"); err != nil { // That far it came.
		t.Fatal(err)
	}
	var said []string
	for range 2 { // A second run finds the same.
		segments, size, err := seal(dir, "spool-2")
		if err != nil || segments != 1 || size != 13 {
			t.Fatalf("seal = %d segments, %d bytes, %v", segments, size, err)
		}
		list, err := os.ReadFile(filepath.Join(dir, sums))
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(list))
	}
	expect(t, "ready", contents(t, dir, readyDir), []string{"first\nsecond\n"})
	expect(t, "open", contents(t, dir, openDir), []string(nil))
	want := entry(t, dir, "first\nsecond\n")
	expect(t, "SHA256SUMS", said, []string{want, want})
}

func TestSealOfAnEmptyVolume(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir, 1<<20).close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if segments, size, err := seal(dir, "spool-2"); err != nil || segments != 1 || size != 0 {
			t.Fatalf("seal = %d segments, %d bytes, %v", segments, size, err)
		}
	}
	expect(t, "ready", contents(t, dir, readyDir), []string{""})
	entry(t, dir, "")
	// Another Pod may have the volume now: there is no line on it.
	if s, err := openSpool(dir, "spool-1", 1<<20); err != nil {
		t.Error(err)
	} else if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestSealOfAnotherVolume(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := seal(dir, "spool-2"); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("an empty folder that no Pod has ever used: %v", err)
	}
	s := open(t, dir, 1<<20)
	write(t, s, "of spool-2\n")
	if _, _, err := seal(dir, "spool-1"); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("the volume of another Pod: %v", err)
	}
	if _, err := openSpool(dir, "spool-1", 1<<20); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("a server on the volume of another Pod: %v", err)
	}
	expect(t, "open", contents(t, dir, openDir), []string{"of spool-2\n"})
}

// What was acknowledged is what counts, and not what can be read later.
func TestSealOfADamagedSegment(t *testing.T) {
	for name, damage := range map[string]func(content []byte) []byte{
		"a flipped bit":  func(content []byte) []byte { content[3] ^= 1; return content },
		"a lost line":    func([]byte) []byte { return []byte("first\n") },
		"nothing left":   func([]byte) []byte { return nil },
		"one line twice": func(content []byte) []byte { return append(content, "second\n"...) },
	} {
		dir := t.TempDir()
		s := open(t, dir, 1<<20)
		write(t, s, "first\n")
		write(t, s, "second\n")
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		names, err := filepath.Glob(filepath.Join(dir, readyDir, "*"))
		if err != nil || len(names) != 1 {
			t.Fatalf("closed segments = %q, %v", names, err)
		}
		want := entry(t, dir, "first\nsecond\n")
		if err := os.WriteFile(names[0], damage([]byte("first\nsecond\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := seal(dir, "spool-2"); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("%s: err = %v", name, err)
		}
		list, err := os.ReadFile(filepath.Join(dir, sums))
		if err != nil || string(list) != want {
			t.Errorf("%s: SHA256SUMS = %q, %v, want what was acknowledged: %q", name, list, err, want)
		}
	}
}

// A write that failed was not acknowledged, so it isn't in the checksum.
func TestAFailedWriteIsNotAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	write(t, s, "first\n")
	good := s.segment
	readOnly, err := os.Open(good.Name())
	if err != nil {
		t.Fatal(err)
	}
	s.segment = readOnly
	if err := s.write([]byte("refused\n")); err == nil {
		t.Fatal("written to a file that can't be written to")
	}
	if err := readOnly.Close(); err != nil {
		t.Fatal(err)
	}
	s.segment = good
	write(t, s, "second\n")
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if segments, size, err := seal(dir, "spool-2"); err != nil || segments != 1 || size != 13 {
		t.Errorf("seal = %d segments, %d bytes, %v", segments, size, err)
	}
	entry(t, dir, "first\nsecond\n")
}

func TestAClosedSegmentIsNeverWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	write(t, open(t, dir, 1<<20), "of the first life\n")
	if _, _, err := seal(dir, "spool-2"); err != nil { // A drain that was canceled then.
		t.Fatal(err)
	}
	write(t, open(t, dir, 1<<20), "of the second life\n")
	expect(t, "ready", contents(t, dir, readyDir), []string{"of the first life\n"})
	expect(t, "open", contents(t, dir, openDir), []string{"of the second life\n"})
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		seen[newName()] = true
	}
	expect(t, "names", len(seen), 1000)
}

func TestServer(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewServer(newServer(open(t, dir, 1<<20), "spool-0", slog.New(slog.DiscardHandler)))
	defer server.Close()
	post := func(body string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/lines", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(answer)
	}
	if code, answer := post("a\nb\n"); code != http.StatusOK || answer != "spool-0\n" {
		t.Errorf("answer = %d %q", code, answer)
	}
	for body, want := range map[string]int{"half": http.StatusBadRequest, "": http.StatusBadRequest, strings.Repeat("x", maxBody) + "\n": http.StatusRequestEntityTooLarge} {
		if code, _ := post(body); code != want {
			t.Errorf("%d bytes: %d, want %d", len(body), code, want)
		}
	}
	expect(t, "open", contents(t, dir, openDir), []string{"a\nb\n"})
}

func TestRun(t *testing.T) {
	for name, test := range map[string]struct {
		script, wantMessage string
		wantErr             string
	}{
		"success": {"echo one; echo two >&2", "one\ntwo\nreceipt-1\n", ""},
		"failure": {"echo can not; exit 3", "can not\nsh: exit status 3", "exit status 3"},
		"much":    {"for i in $(seq 1000); do echo line $i; done", "", ""},
		"long":    {"exec sleep 60", "sh: signal: terminated\nnot done within 2s", "not done within 2s"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			log, message := filepath.Join(dir, "log"), filepath.Join(dir, "message")
			if err := os.WriteFile(message, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := run(t.Context(), []string{"run", "--timeout=2s", "--log=" + log, "--termination-log=" + message, "--receipt=receipt-1", "sh", "-c", test.script}, &out)
			if (test.wantErr == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("err = %v, want %q", err, test.wantErr)
			}
			logged, err := os.ReadFile(log)
			if err != nil || string(logged) != out.String() {
				t.Errorf("log = %q, %v; printed %q", logged, err, out.String())
			}
			said, err := os.ReadFile(message)
			if err != nil {
				t.Fatal(err)
			}
			if test.wantMessage != "" {
				expect(t, "message", string(said), test.wantMessage)
			} else if len(said) > 1024 || !strings.HasPrefix(string(said), "line ") || !strings.HasSuffix(string(said), "line 1000\nreceipt-1\n") {
				t.Errorf("message = %q, want the last lines, whole, and the receipt", said)
			}
		})
	}
}

// TestRunTellsHowFarItIs has what rclone says with --stats-one-line, and what it doesn't say of progress.
func TestRunTellsHowFarItIs(t *testing.T) {
	message := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(message, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		first  = "2026/11/26 07:35:51 NOTICE:     5.984 MiB / 17.166 MiB, 35%, 5.982 MiB/s, ETA 1s (xfr#0/6)"
		last   = "2026/11/26 07:35:56 NOTICE:    17.166 MiB / 17.166 MiB, 100%, 3.260 MiB/s, ETA 0s"
		nought = "2026/11/26 07:35:56 NOTICE:          0 B / 0 B, -, 0 B/s, ETA -"
		done   = "6 matching files"
	)
	var out bytes.Buffer
	script := fmt.Sprintf("printf '%%s\\n' '%s'; printf '%%s\\n' '%s'; printf '%%s\\n' '%s' '%s'", nought, first, done, last)
	err := run(t.Context(), []string{"run", "--termination-log=" + message, "--receipt=receipt-1", "sh", "-c", script}, &out)
	if err != nil {
		t.Fatal(err)
	}
	var reports []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "drain-progress:") {
			reports = append(reports, line)
		}
	}
	// What comes in one piece may get one report.
	expect(t, "the last report", reports[len(reports)-1], "drain-progress: 100% 17.166 MiB of 17.166 MiB, 3.260 MiB/s, ETA 0s\n")
	for _, line := range []string{nought, first, done, last} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("%q is missing in %q", line, out.String())
		}
	}
	said, err := os.ReadFile(message)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "message", string(said), done+"\nreceipt-1\n")
}

// TestAReportBreaksNoLine writes a line in two pieces after one that is a report.
func TestAReportBreaksNoLine(t *testing.T) {
	var out bytes.Buffer
	r := &reporter{out: &out}
	for _, piece := range []string{"1 MiB / 2 MiB, 50%, x\nhalf of", " a line\n", "2 MiB / 2 MiB, 100%, x", "\n"} {
		if n, err := r.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	expect(t, "output", out.String(), "1 MiB / 2 MiB, 50%, x\nhalf of a line\n2 MiB / 2 MiB, 100%, x\ndrain-progress: 100% 2 MiB of 2 MiB, x\n")
}

// A program that takes SIGTERM for a good end must not make a success of it.
func TestRunThatIsToldToEndHasNotSucceeded(t *testing.T) {
	dir := t.TempDir()
	started, message := filepath.Join(dir, "started"), filepath.Join(dir, "message")
	if err := os.WriteFile(message, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"run", "--termination-log=" + message, "--receipt=receipt-1", "sh", "-c", "trap 'exit 0' TERM; touch " + started + "; while :; do sleep 0.05; done"}, io.Discard)
	}()
	waitFor(t, func() bool { _, err := os.Stat(started); return err == nil })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if said, err := os.ReadFile(message); err != nil || strings.Contains(string(said), "receipt-1") {
		t.Errorf("message = %q, %v, want no receipt", said, err)
	}
}

func TestShipRunsOnceMoreWhenToldToEnd(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("early"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	// It fails as well, which must not end it.
	go func() {
		done <- run(ctx, []string{"ship", "--every=1h", "sh", "-c", "cp " + from + " " + to + "; exit 1"}, io.Discard)
	}()
	shipped := func(want string) bool {
		got, err := os.ReadFile(to)
		return err == nil && string(got) == want
	}
	waitFor(t, func() bool { return shipped("early") })
	if err := os.WriteFile(from, []byte("late"), 0o600); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("the last run failed, and ship has not said so")
	}
	if !shipped("late") {
		t.Error("what came last was not shipped")
	}
}

func waitFor(t *testing.T, met func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(10 * time.Second); !met(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatal("it has not happened in time")
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{nil, {"flood"}, {"run"}, {"ship"}} {
		if err := run(t.Context(), args, io.Discard); !errors.Is(err, cli.ErrUsage) {
			t.Errorf("spool %q: err = %v, want wrong usage", args, err)
		}
	}
	dir := t.TempDir()
	if err := run(t.Context(), []string{"seal", "--data=" + dir}, io.Discard); !errors.Is(err, cli.ErrUsage) {
		t.Errorf("seal without a Pod: %v", err)
	}
	message := filepath.Join(dir, "message")
	if err := os.WriteFile(message, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"seal", "--data=" + dir, "--pod=spool-2", "--termination-log=" + message}
	if err := run(t.Context(), args, io.Discard); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("seal of an empty folder: %v", err)
	}
	if said, err := os.ReadFile(message); err != nil || !strings.Contains(string(said), "spool-2 has never started on it") {
		t.Errorf("message = %q, %v", said, err)
	}
	if err := open(t, dir, 1<<20).close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err != nil || out.String() != "1 segments, 0 bytes\n" {
		t.Errorf("seal: %q, %v", out.String(), err)
	}
}
