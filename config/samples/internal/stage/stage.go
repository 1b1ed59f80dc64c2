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

// Package stage runs the scripts of a recipe in a test, with stand-ins for the programs that they start.
package stage

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

// Stage is where a script of a recipe runs: its own paths in a temporary folder, and stand-ins before all other programs.
type Stage struct {
	t *testing.T
	// dir has the volume, the stand-ins and what they know.
	dir string
	// Env is the environment of the scripts.
	Env []string
}

// New copies the scripts of the recipe whose folder the test runs in, with other paths in them, and its stand-ins, each a shell script.
func New(t *testing.T, paths, standIns map[string]string) *Stage {
	t.Helper()
	s := &Stage{t: t, dir: t.TempDir()}
	for _, sub := range []string{"bin", "scripts", "volume", "archive", "state"} {
		if err := os.Mkdir(s.Path(sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.Write("message", "")
	var pairs []string
	for from, to := range paths {
		pairs = append(pairs, from, s.Path(to))
	}
	replace := strings.NewReplacer(append(pairs, "/dev/termination-log", s.Path("message"))...)
	files, err := filepath.Glob(filepath.Join("scripts", "*.sh"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no scripts in scripts/: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.Program(filepath.Join("scripts", filepath.Base(file)), replace.Replace(string(text)))
	}
	for name, text := range standIns {
		s.Program(filepath.Join("bin", name), "#!/usr/bin/env bash\nset -u\nstate="+s.Path("state")+"\n"+text)
	}
	s.Env = append(os.Environ(), "PATH="+s.Path("bin")+":"+os.Getenv("PATH"), "DRAIN_RECEIPT="+receipt, "PATIENCE_SECONDS=1", "HOSTNAME=web-5",
		"DRAIN_STATEFULSET=web", "DRAIN_ORDINAL=5", "DRAIN_POD_NAME=web-5", "DRAIN_PEERS=127.1.0.1,127.1.0.2")
	return s
}

// Path returns the absolute path of a file on the stage.
func (s *Stage) Path(name string) string { return filepath.Join(s.dir, name) }

// Write writes a file.
func (s *Stage) Write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.Path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Program writes a file that can be executed.
func (s *Stage) Program(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.Path(name), []byte(text), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// Read returns what is in a file, which is nothing where the file is missing.
func (s *Stage) Read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.Path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(text)
}

// run runs a script to its end, or terminates it as soon as a file is there, and returns its exit code and its termination message. A script that has not
// ended after half a minute fails the test.
func (s *Stage) run(script, stopAt string) (code int, message string) {
	s.t.Helper()
	s.Write("message", "")
	command := exec.CommandContext(s.t.Context(), s.Path(filepath.Join("scripts", script)))
	var output bytes.Buffer
	command.Env, command.Stdout, command.Stderr, command.WaitDelay = s.Env, &output, &output, time.Second
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
			return command.ProcessState.ExitCode(), s.Read("message")
		case <-ticker.C:
		}
		if time.Now().After(deadline) {
			_ = command.Process.Kill() // It may just have ended.
			<-done
			s.t.Fatalf("%s has not ended; it printed:\n%s", script, &output)
		}
		if _, err := os.Stat(s.Path(stopAt)); stopAt != "" && err == nil && !told {
			told = true
			if err := command.Process.Signal(syscall.SIGTERM); err != nil {
				s.t.Fatal(err)
			}
			deadline = time.Now().Add(5 * time.Second)
		}
	}
}

// Output runs a script that leaves no message, and returns its exit code and what it printed.
func (s *Stage) Output(script string) (code int, output string) {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), s.Path(filepath.Join("scripts", script)))
	command.Env, command.WaitDelay = s.Env, time.Second
	text, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(text)
}

// Expect fails the test unless a script ends with this code and these words, and leaves the receipt exactly if it succeeds. With stopAt, the script is
// terminated as soon as that file is there.
func (s *Stage) Expect(script, stopAt string, wantCode int, want string) {
	s.t.Helper()
	code, message := s.run(script, stopAt)
	if code != wantCode || !strings.Contains(message, want) {
		s.t.Errorf("%s exited with %d and said %q, want %d and %q", script, code, message, wantCode, want)
	}
	if left := strings.HasSuffix(message, "\n"+receipt+"\n"); left != (wantCode == 0) {
		s.t.Errorf("%s exited with %d; the receipt is there: %t (%q)", script, code, left, message)
	}
}

// ExpectNot fails the test if a file is there.
func (s *Stage) ExpectNot(name, why string) {
	s.t.Helper()
	if _, err := os.Stat(s.Path(name)); err == nil {
		s.t.Error(why)
	}
}
