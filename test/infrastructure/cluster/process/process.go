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

package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// marker is the environment variable that holds the state folder of the cluster that a process belongs to.
const marker = "DRAIN_OPERATOR_CLUSTER"

// Record identifies a process that was started.
type Record struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// Started is the process's start time in clock ticks since boot, as /proc has it.
	Started uint64 `json:"started"`
	Boot    string `json:"boot"`
}

// Spec says what to start.
type Spec struct {
	Name string
	// State is the cluster's state folder.
	State string
	// Records is the folder that the record is written to.
	Records string
	// Log is the file that the output is appended to.
	Log string
	// Path are the folders searched for programs before the usual ones.
	Path string
	Args []string
	// Env are NAME=value pairs beside the few that every program gets.
	Env []string
	// Extra files, from descriptor 3 on.
	Extra []*os.File
	// Attr may ask for namespaces.
	Attr *syscall.SysProcAttr
}

// Start starts a process that outlives this command and its terminal, with its output in its log.
func Start(spec Spec) (Record, error) {
	for _, folder := range []string{filepath.Dir(spec.Log), spec.Records} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return Record{}, err
		}
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Record{}, err
	}
	defer log.Close()

	attr := &syscall.SysProcAttr{}
	if spec.Attr != nil {
		*attr = *spec.Attr
	}
	attr.Setsid = true
	command := exec.Command(spec.Args[0], spec.Args[1:]...)
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = spec.Extra
	command.Env = environment(spec)
	command.Dir = "/"
	command.SysProcAttr = attr
	if err := command.Start(); err != nil {
		return Record{}, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	go func() { _ = command.Wait() }() // else it stays a zombie, and counts as running, while this command lasts

	record, err := Of(spec.Name, command.Process.Pid)
	if err != nil {
		return Record{}, fmt.Errorf("%s ended at once%s", spec.Name, LogTail(spec.Log))
	}
	content, err := json.Marshal(record)
	if err != nil {
		return Record{}, err
	}
	return record, os.WriteFile(filepath.Join(spec.Records, spec.Name+".json"), content, 0o644)
}

// environment is a short one: what the programs need, and the marker.
func environment(spec Spec) []string {
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if spec.Path != "" {
		path = spec.Path + ":" + path
	}
	return append([]string{"PATH=" + path, "HOME=/root", marker + "=" + spec.State}, spec.Env...)
}

// Of is the record of a running process.
func Of(name string, pid int) (Record, error) {
	started, err := startTime(pid)
	if err != nil {
		return Record{}, err
	}
	boot, err := bootID()
	if err != nil {
		return Record{}, err
	}
	return Record{Name: name, PID: pid, Started: started, Boot: boot}, nil
}

// Running reports whether this very process still runs.
func (r Record) Running() bool {
	boot, err := bootID()
	if err != nil || boot != r.Boot {
		return false
	}
	started, err := startTime(r.PID)
	return err == nil && started == r.Started
}

// Children are the processes that this one has started.
func (r Record) Children() ([]Record, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.PID))
	if err != nil {
		return nil, err
	}
	var children []Record
	for _, task := range tasks {
		content, err := os.ReadFile(task)
		if err != nil {
			continue // it ended meanwhile
		}
		for field := range strings.FieldsSeq(string(content)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			if child, err := Of(r.Name, pid); err == nil {
				children = append(children, child)
			}
		}
	}
	return children, nil
}

// Records reads the records of a folder, sorted by name. A record that can't be read is left out: the marker still finds
// its process.
func Records(folder string) ([]Record, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		var record Record
		if json.Unmarshal(content, &record) == nil && record.PID > 0 {
			records = append(records, record)
		}
	}
	return records, nil
}

// Read reads one record; ok is false when there is none or its process is gone.
func Read(folder, name string) (record Record, ok bool) {
	content, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if err != nil || json.Unmarshal(content, &record) != nil {
		return Record{}, false
	}
	return record, record.Running()
}

// Forget removes a record.
func Forget(folder, name string) error {
	if err := os.Remove(filepath.Join(folder, name+".json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Marked are all running processes that carry the state folder in their environment.
func Marked(state string) ([]Record, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	want := []byte(marker + "=" + state)
	var records []Record
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil {
			continue // it ended meanwhile
		}
		if !slices.ContainsFunc(bytes.Split(env, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) }) {
			continue
		}
		name, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "comm"))
		if err != nil {
			continue
		}
		if record, err := Of(strings.TrimSpace(string(name)), pid); err == nil {
			records = append(records, record)
		}
	}
	return records, nil
}

// Kill kills the processes at once and waits until they are gone.
func Kill(ctx context.Context, records []Record) error {
	for _, record := range records {
		if record.Running() {
			if err := syscall.Kill(record.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill %s (process %d): %w", record.Name, record.PID, err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		i := slices.IndexFunc(records, Record.Running)
		if i < 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s (process %d) doesn't die: %w", records[i].Name, records[i].PID, ctx.Err())
		case <-ticker.C:
		}
	}
}

// LogTail is the end of a log, to put behind an error.
func LogTail(log string) string {
	content, err := os.ReadFile(log)
	if err != nil || len(bytes.TrimSpace(content)) == 0 {
		return fmt.Sprintf(" (see %s)", log)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(lines) > 8 {
		lines = lines[len(lines)-8:]
	}
	return fmt.Sprintf("; the end of %s:\n  %s", log, strings.Join(lines, "\n  "))
}

// startTime is field 22 of /proc/<pid>/stat. A zombie counts as gone, unless it has further threads (field 20): these end after the first
// one, and hold its sockets until then.
func startTime(pid int) (uint64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses and may hold anything.
	end := bytes.LastIndexByte(content, ')')
	if end < 0 {
		return 0, fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	fields := strings.Fields(string(content[end+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	if fields[0] == "X" || fields[0] == "Z" && (fields[17] == "0" || fields[17] == "1") {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func bootID() (string, error) {
	content, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(content)), err
}
