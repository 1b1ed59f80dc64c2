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
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, args ...string) (Spec, Record) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	folder := t.TempDir()
	spec := Spec{Name: "thing", State: folder, Records: filepath.Join(folder, "records"), Log: filepath.Join(folder, "logs", "thing.log"), Args: args}
	record, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Kill(t.Context(), []Record{record}); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return spec, record
}

func TestStartAndKill(t *testing.T) {
	spec, record := start(t, "sleep", "1000")
	if read, running := Read(spec.Records, "thing"); !running || read != record {
		t.Errorf("got record %+v, running %v, want %+v", read, running, record)
	}
	// The kernel reports that a program was started a moment before its environment can be read.
	marked, err := Marked(spec.State)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for tries := 0; tries < 500 && err == nil && len(marked) == 0; tries++ {
		<-poll.C
		marked, err = Marked(spec.State)
	}
	if err != nil || len(marked) != 1 || marked[0].PID != record.PID {
		t.Errorf("got %+v, %v by the mark, want process %d", marked, err, record.PID)
	}
	if err := Kill(t.Context(), []Record{record}); err != nil {
		t.Fatal(err)
	}
	if record.Running() {
		t.Error("still runs")
	}
	if _, running := Read(spec.Records, "thing"); running {
		t.Error("the record says it still runs")
	}
	if err := Forget(spec.Records, "thing"); err != nil {
		t.Fatal(err)
	}
	if records, err := Records(spec.Records); err != nil || len(records) != 0 {
		t.Errorf("got %v, %v after forgetting", records, err)
	}
}

// What enters a node stays outside and has the program that was meant as its child.
func TestChildren(t *testing.T) {
	_, parent := start(t, "sh", "-c", "sleep 1000; true")
	var children []Record
	var err error
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for tries := 0; tries < 500 && err == nil && len(children) == 0; tries++ {
		<-poll.C
		children, err = parent.Children()
	}
	if err != nil || len(children) != 1 || !children[0].Running() || children[0].PID == parent.PID {
		t.Fatalf("got %+v, %v, want the one child of process %d", children, err, parent.PID)
	}
	if err := Kill(t.Context(), append(children, parent)); err != nil {
		t.Fatal(err)
	}
	if children[0].Running() {
		t.Error("the child still runs")
	}
}

// An id that the kernel gave to another process since must not be signalled.
func TestKillSparesAnotherProcess(t *testing.T) {
	_, record := start(t, "sleep", "1000")
	for name, change := range map[string]func(*Record){
		"started at another time": func(r *Record) { r.Started++ },
		"before this boot":        func(r *Record) { r.Boot = "another" },
	} {
		other := record
		change(&other)
		if other.Running() {
			t.Errorf("%s: counts as running", name)
		}
		if err := Kill(t.Context(), []Record{other}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !record.Running() {
		t.Error("it was killed in another's stead")
	}
}

func TestMarkedTakesTheWholePath(t *testing.T) {
	spec, _ := start(t, "sleep", "1000")
	for _, state := range []string{spec.State[:len(spec.State)-1], spec.State + "1", ""} {
		if marked, err := Marked(state); err != nil || len(marked) != 0 {
			t.Errorf("%q: got %v, %v, want nothing", state, marked, err)
		}
	}
}

func TestOutputGoesToTheLog(t *testing.T) {
	spec, record := start(t, "sh", "-c", "echo out; echo err >&2; exec sleep 1000")
	deadline := time.After(10 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		content, err := os.ReadFile(spec.Log)
		if err == nil && strings.Contains(string(content), "out\n") && strings.Contains(string(content), "err\n") {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("process %d runs: %v; its log holds %q, %v", record.PID, record.Running(), content, err)
		case <-ticker.C:
		}
	}
	if tail := LogTail(spec.Log); !strings.Contains(tail, "err") || !strings.Contains(tail, spec.Log) {
		t.Errorf("got the end %q", tail)
	}
}

func TestStartNamesWhatIsMissing(t *testing.T) {
	folder := t.TempDir()
	_, err := Start(Spec{Name: "thing", State: folder, Records: folder, Log: filepath.Join(folder, "log"), Args: []string{"/none"}})
	if err == nil || !strings.Contains(err.Error(), "thing") {
		t.Errorf("got %v, want an error that names it", err)
	}
}
