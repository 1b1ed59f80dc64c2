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

package samples

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const receipt = "receipt-1"

// stage is where a script of a sample runs: its own paths in a temporary folder, and stand-ins before all other programs.
type stage struct {
	t *testing.T
	// dir has the volume, the stand-ins and what they know.
	dir string
	env []string
}

// newStage copies a sample's scripts with other paths in them, and its stand-ins, each a shell script.
func newStage(t *testing.T, sample string, paths, standIns map[string]string) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	for _, sub := range []string{"bin", "scripts", "volume", "archive", "state"} {
		if err := os.Mkdir(s.path(sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("message", "")
	var pairs []string
	for from, to := range paths {
		pairs = append(pairs, from, s.path(to))
	}
	replace := strings.NewReplacer(append(pairs, "/dev/termination-log", s.path("message"))...)
	files, err := filepath.Glob(filepath.Join(folder, sample, "scripts", "*.sh"))
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts of %s: %v", sample, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.program(filepath.Join("scripts", filepath.Base(file)), replace.Replace(string(text)))
	}
	for name, text := range standIns {
		s.program(filepath.Join("bin", name), "#!/usr/bin/env bash\nset -u\nstate="+s.path("state")+"\n"+text)
	}
	s.env = append(os.Environ(), "PATH="+s.path("bin")+":"+os.Getenv("PATH"), "DRAIN_RECEIPT="+receipt, "PATIENCE_SECONDS=1", "HOSTNAME=web-5",
		"DRAIN_STATEFULSET=web", "DRAIN_ORDINAL=5", "DRAIN_POD_NAME=web-5", "DRAIN_PEERS=127.1.0.1,127.1.0.2")
	return s
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) program(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(text)
}

// run runs a script to its end, or tells it to end as soon as a file is there, and gives its exit code and its termination message. A script that has not
// ended after half a minute fails the test.
func (s *stage) run(script, stopAt string) (code int, message string) {
	s.t.Helper()
	s.write("message", "")
	command := exec.CommandContext(s.t.Context(), s.path(filepath.Join("scripts", script)))
	var output bytes.Buffer
	command.Env, command.Stdout, command.Stderr, command.WaitDelay = s.env, &output, &output, time.Second
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = command.Wait() // Its exit code is looked at below.
		close(done)
	}()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline, told := time.Now().Add(30*time.Second), false; ; {
		select {
		case <-done:
			if s.t.Failed() {
				s.t.Logf("%s printed:\n%s", script, &output)
			}
			return command.ProcessState.ExitCode(), s.read("message")
		case <-ticker.C:
		}
		if time.Now().After(deadline) {
			_ = command.Process.Kill() // It may just have ended.
			<-done
			s.t.Fatalf("%s has not ended; it printed:\n%s", script, &output)
		}
		if _, err := os.Stat(s.path(stopAt)); stopAt != "" && err == nil && !told {
			told = true
			if err := command.Process.Signal(syscall.SIGTERM); err != nil {
				s.t.Fatal(err)
			}
			deadline = time.Now().Add(5 * time.Second)
		}
	}
}

// output runs a script that leaves no message, and gives its exit code and what it printed.
func (s *stage) output(script string) (code int, output string) {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), s.path(filepath.Join("scripts", script)))
	command.Env, command.WaitDelay = s.env, time.Second
	text, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(text)
}

// expect holds that a script ended with this code and these words, and left the receipt only if it succeeded.
func (s *stage) expect(script, stopAt string, wantCode int, want string) {
	s.t.Helper()
	code, message := s.run(script, stopAt)
	if code != wantCode || !strings.Contains(message, want) {
		s.t.Errorf("%s exited with %d and said %q, want %d and %q", script, code, message, wantCode, want)
	}
	if left := strings.HasSuffix(message, "\n"+receipt+"\n"); left != (wantCode == 0) {
		s.t.Errorf("%s exited with %d; the receipt is there: %t (%q)", script, code, left, message)
	}
}
