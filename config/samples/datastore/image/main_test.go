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
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statefulset-dev/drain-operator/config/samples/datastore/image/internal/store"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/cli"
	"github.com/statefulset-dev/drain-operator/config/samples/internal/drains"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		args     []string
		operands []string
		url      string
	}{
		{[]string{"k", "v"}, []string{"k", "v"}, "default"},
		{[]string{"--url", "u", "k", "v"}, []string{"k", "v"}, "u"},
		{[]string{"k", "v", "--url=u"}, []string{"k", "v"}, "u"},
		{[]string{"k", "--url", "u", "-"}, []string{"k", "-"}, "u"},
		{[]string{"--url=u", "--", "--k", "-v"}, []string{"--k", "-v"}, "u"},
		{nil, nil, "default"},
	} {
		flags := flag.NewFlagSet("test", flag.ContinueOnError)
		url := flags.String("url", "default", "")
		operands, err := parse(flags, tc.args)
		if err != nil || !slices.Equal(operands, tc.operands) || *url != tc.url {
			t.Errorf("parse(%q) = %q, %v with url %q; want %q with %q", tc.args, operands, err, *url, tc.operands, tc.url)
		}
	}
}

func TestSplitList(t *testing.T) {
	if got, want := splitList(" a.b, ,c,"), []string{"a.b", "c"}; !slices.Equal(got, want) {
		t.Errorf("splitList = %q, want %q", got, want)
	}
}

func TestRunRefusesWrongUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"nonsense"}, {"put", "key"}, {"get"}, {"get", "a", "b"}, {"delete"}, {"list", "x"}, {"serve", "x"}, {"drain", "x"}} {
		if err := run(t.Context(), args, strings.NewReader(""), &bytes.Buffer{}); !errors.Is(err, cli.ErrUsage) {
			t.Errorf("run(%q) = %v, want cli.ErrUsage", args, err)
		}
	}
}

// syncBuffer is written by a server and read by the test.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startServer runs the serve command until stop is called, and gives its address.
func startServer(t *testing.T, dirs ...string) (address string, stop func()) {
	t.Helper()
	args := []string{"serve", "--listen", "127.0.0.1:0"}
	for _, dir := range dirs {
		args = append(args, "--data", dir)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out := &syncBuffer{}
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, nil, out) }()
	pattern := regexp.MustCompile(`msg=Serving address=(\S+)`)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for address == "" {
		select {
		case err := <-done:
			t.Fatalf("the server ended: %v\n%s", err, out)
		case <-tick.C:
			if match := pattern.FindStringSubmatch(out.String()); match != nil {
				address = match[1]
			}
		}
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v\n%s", err, out)
		}
	})
	t.Cleanup(stop)
	return address, stop
}

// do runs a client's command.
func do(t *testing.T, in string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, strings.NewReader(in), &out); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return out.String()
}

// TestStory is the whole program once round: two replicas, one leaves, its volumes are drained to the other.
func TestStory(t *testing.T) {
	keep, leave := t.TempDir(), []string{t.TempDir(), t.TempDir()}
	keepAddress, _ := startServer(t, keep)
	leaveAddress, stop := startServer(t, leave...)
	keepURL, leaveURL := "http://"+keepAddress, "http://"+leaveAddress

	do(t, "", "put", "a", "1", "b", "2", "--url", keepURL)
	do(t, "from stdin", "put", "--url", leaveURL, "c/d", "-", "e", "3", "f", "4", "g", "5", "gone", "6")
	do(t, "", "delete", "gone", "--url", leaveURL)
	if got := do(t, "", "get", "c/d", "--url", leaveURL); got != "from stdin" {
		t.Errorf("get = %q", got)
	}
	if got := strings.Count(do(t, "", "list", "--url", leaveURL), "\n"); got != 4 {
		t.Errorf("list has %d lines, want 4", got)
	}

	message := filepath.Join(t.TempDir(), "termination-log")
	if err := os.WriteFile(message, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	drain := []string{"drain", "--data", leave[0], "--data", leave[1], "--peers", keepAddress, "--termination-log", message}
	word := func() string {
		t.Helper()
		content, err := os.ReadFile(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}

	stop()
	drain = append(drain, "--receipt=r-1", "--exit-0-on-sigterm")
	if err := run(t.Context(), append(drain, "--fail-attempts=1"), nil, &bytes.Buffer{}); err == nil {
		t.Error("the first run did not fail")
	}
	if want := "failing on request: run 1 of the 1 that are to fail, after 2 of 4 records"; word() != want {
		t.Errorf("the termination message is %q, want %q", word(), want)
	}
	do(t, "", append(drain, "--fail-attempts=1")...)
	if !strings.HasPrefix(word(), "moved 2 records, ") || !strings.HasSuffix(word(), "\nr-1\n") {
		t.Errorf("the termination message is %q, want what was moved, and the receipt as its end", word())
	}

	if got := strings.Count(do(t, "", "list", "--url", keepURL), "\n"); got != 6 {
		t.Errorf("list has %d lines, want 6", got)
	}
	if got := do(t, "", "get", "c/d", "--url", keepURL); got != "from stdin" {
		t.Errorf("get = %q", got)
	}
	if got := do(t, "", "inspect", "--data", leave[0], "--data", leave[1]); strings.Contains(got, "sha256") {
		t.Errorf("records stay: %s", got)
	}
	if got := do(t, "", "stats", "--url", keepURL); !strings.Contains(got, `"records": 6`) || !strings.Contains(got, `"violations": []`) {
		t.Errorf("stats = %s", got)
	}
}

// TestDrainToldToEnd holds that a drain that gets SIGTERM leaves no receipt, whatever its exit code is.
func TestDrainToldToEnd(t *testing.T) {
	for _, zero := range []bool{false, true} {
		keep, leave := t.TempDir(), t.TempDir()
		address, _ := startServer(t, keep)
		leaveAddress, stop := startServer(t, leave)
		do(t, "", "put", "hold", "1", "--url", "http://"+address)
		do(t, "", "put", "a", "1", "b", "2", "c", "3", "d", "4", "--url", "http://"+leaveAddress)
		stop()
		message := filepath.Join(t.TempDir(), "termination-log")
		if err := os.WriteFile(message, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{
			"drain", "--data", leave, "--peers", address, "--termination-log", message, "--receipt=r-1",
			"--hold=hold", "--retry-interval=5ms", "--fill", filepath.Join(t.TempDir(), "fill"), "--fill-bytes=10",
		}
		if zero {
			args = append(args, "--exit-0-on-sigterm")
		}
		ctx, cancel := context.WithCancel(t.Context())
		out := &syncBuffer{}
		done := make(chan error, 1)
		go func() { done <- run(ctx, args, nil, out) }()
		tick := time.NewTicker(5 * time.Millisecond)
		t.Cleanup(tick.Stop)
		for !strings.Contains(out.String(), "Held half-way") {
			select {
			case err := <-done:
				t.Fatalf("the drain ended: %v\n%s", err, out)
			case <-tick.C:
			}
		}
		cancel()
		if err := <-done; (err == nil) != zero {
			t.Errorf("with --exit-0-on-sigterm=%v, the drain ended with %v", zero, err)
		}
		content, err := os.ReadFile(message)
		if err != nil || strings.Contains(string(content), "r-1") || !strings.Contains(string(content), "stopped after 2 of 4 records") {
			t.Errorf("the termination message is %q, %v; want what was left, and no receipt", content, err)
		}
	}
}

func TestReceipt(t *testing.T) {
	message := filepath.Join(t.TempDir(), "termination-log")
	if err := os.WriteFile(message, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, "", "receipt", "--receipt=r-2", "--termination-log", message)
	if content, err := os.ReadFile(message); err != nil || string(content) != "r-2\n" {
		t.Errorf("the termination message is %q, %v", content, err)
	}
	t.Setenv("DRAIN_RECEIPT", "")
	if err := run(t.Context(), []string{"receipt", "--termination-log", message}, nil, &bytes.Buffer{}); !errors.Is(err, cli.ErrUsage) {
		t.Errorf("without a receipt to write: %v, want cli.ErrUsage", err)
	}
}

// A volume is drained only for the Pod that has left its name on it.
func TestOwner(t *testing.T) {
	dir, message := t.TempDir(), filepath.Join(t.TempDir(), "termination-log")
	if err := os.WriteFile(message, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	drainFor := func(pod string) error {
		return run(t.Context(), []string{"drain", "--data", dir, "--check-owner", pod, "--peers", "nowhere.invalid", "--receipt=r-1", "--termination-log", message}, nil, &bytes.Buffer{})
	}
	mark := func(pod string, put ...string) error {
		t.Helper()
		s, err := store.Open([]string{dir}, "test")
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range put {
			if _, err := s.Put(key, []byte("content")); err != nil {
				t.Fatal(err)
			}
		}
		return errors.Join(markOwner(s.Volumes()[0], pod), s.Close())
	}
	if err := drainFor("web-2"); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("an empty folder that no Pod has ever used: %v", err)
	}
	if content, err := os.ReadFile(message); err != nil || !strings.Contains(string(content), "web-2 has never started on it") {
		t.Errorf("the termination message is %q, %v", content, err)
	}
	if err := mark("web-2"); err != nil {
		t.Fatal(err)
	}
	if err := drainFor("web-1"); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("the volume of another Pod: %v", err)
	}
	if err := drainFor("web-2"); err != nil {
		t.Errorf("its own volume, without records: %v", err)
	}
	if content, err := os.ReadFile(message); err != nil || !strings.HasSuffix(string(content), "\nr-1\n") {
		t.Errorf("the termination message is %q, %v", content, err)
	}
	if err := mark("web-2", "key"); err != nil {
		t.Fatal(err)
	}
	if err := mark("web-1"); !errors.Is(err, drains.ErrNotOwned) {
		t.Errorf("a server on a volume with another Pod's records: %v", err)
	}
}

func TestServeRefusesBesideAServer(t *testing.T) {
	dir := t.TempDir()
	startServer(t, dir)
	err := run(t.Context(), []string{"serve", "--listen", "127.0.0.1:0", "--data", dir}, nil, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "is held by server ") {
		t.Errorf("the second server got %v, want a refusal that names the first", err)
	}
}

func TestLastWordIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "termination-log")
	if err := lastWord(path, "outside a Pod"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file was made outside a Pod")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := lastWord(path, strings.Repeat("x", 2*maxTerminationMessage)); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || len(content) != maxTerminationMessage {
		t.Errorf("the message has %d bytes, %v", len(content), err)
	}
}
