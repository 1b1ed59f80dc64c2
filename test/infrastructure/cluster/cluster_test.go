//go:build cluster

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
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/host"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/local"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/process"
)

// TestMain lets the test be what the cluster starts again: the first process of a node, and the look-up on a node.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "node-init" || os.Args[1] == "lookup") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestDownLeavesNothing starts and stops real clusters, whole ones and broken ones, and compares the machine before and
// after. It needs root, and no other cluster on the machine: kernel settings go back with the last one.
func TestDownLeavesNothing(t *testing.T) {
	alone(t)
	modules, err := filepath.Abs("binaries")
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(t *testing.T, p *local.Provider){
		"after a start": func(*testing.T, *local.Provider) {},
		"after node faults": func(t *testing.T, p *local.Provider) {
			for number, fault := range map[int]string{1: "partition", 2: "crash"} {
				if err := p.Node(t.Context(), number, fault); err != nil {
					t.Error(err)
				}
			}
		},
		"after half of it was killed": func(t *testing.T, p *local.Provider) {
			records, err := process.Records(layout.Layout{State: p.State}.Processes())
			if err != nil {
				t.Error(err)
			}
			for i, record := range records {
				if i%2 == 0 {
					if err := syscall.Kill(record.PID, syscall.SIGKILL); err != nil {
						t.Error(err)
					}
				}
			}
		},
		"after its folder was removed": func(t *testing.T, p *local.Provider) {
			// As far as that goes while it runs.
			if err := os.RemoveAll(layout.Layout{State: p.State}.Processes()); err != nil {
				t.Error(err)
			}
			if err := os.RemoveAll(layout.Layout{State: p.State}.Config()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := local.New(filepath.Join(t.TempDir(), ".cluster"), modules, t.Logf)
			before := look(t)
			if err := p.Up(t.Context(), 2, binaries.Newest()); err != nil {
				t.Fatal(err)
			}
			during := look(t)
			for _, kind := range []string{"cgroup", "link", "mount point", "namespace", "process", "rules"} {
				if len(difference(during, before, kind)) == 0 {
					t.Errorf("a running cluster shows as no %s: this test would not see one that is left", kind)
				}
			}
			damage(t, p)
			for range 2 { // the second finds nothing to do
				if err := p.Down(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			after := look(t)
			for _, line := range difference(after, before, "") {
				t.Errorf("left behind: %s", line)
			}
			for _, line := range difference(before, after, "") {
				t.Errorf("gone: %s", line)
			}
			if _, err := os.Stat(p.State); err == nil {
				t.Errorf("%s is left", p.State)
			}
		})
	}
}

// alone fails the test when there is a cluster on this machine: what it does couldn't be told from what the test's does.
func alone(t *testing.T) {
	t.Helper()
	owners, err := host.NewMachine().Owners()
	if err != nil {
		t.Fatal(err)
	}
	if len(owners) > 0 {
		t.Fatalf("clusters are running: %v; take them down first", slices.Collect(maps.Values(owners)))
	}
}

// look lists what a cluster could leave on the machine, each thing as "<kind>: <what>".
func look(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	add := func(kind string, what ...string) {
		for _, one := range what {
			found[kind+": "+one] = true
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	must(err)
	add("mount", host.MountsBelow(string(mountinfo), "")...)

	links, err := net.Interfaces()
	must(err)
	for _, link := range links {
		add("link", link.Name)
	}
	for kind, args := range map[string][]string{
		"rules": {"nft", "list", "tables"},
		"route": {"ip", "route", "show", "table", "all"},
	} {
		output, err := host.Output(t.Context(), args...)
		must(err)
		add(kind, strings.Split(strings.TrimSpace(output), "\n")...)
	}

	cgroups, err := host.Cgroups()
	must(err)
	for _, root := range slices.Concat(cgroups.Roots, cgroups.Beside) {
		must(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			// Others on this machine make cgroups too.
			if err == nil && entry.IsDir() && (strings.Contains(path, "/drain") || strings.Contains(path, "/kubepods")) {
				add("cgroup", path)
			}
			return nil
		}))
	}

	own, err := os.Readlink("/proc/self/ns/net")
	must(err)
	entries, err := os.ReadDir("/proc")
	must(err)
	for _, entry := range entries {
		if namespace, err := os.Readlink(filepath.Join("/proc", entry.Name(), "ns/net")); err == nil && namespace != own {
			add("namespace", namespace)
		}
		if env, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ")); err == nil && strings.Contains(string(env), "DRAIN_OPERATOR_CLUSTER=") {
			add("process", entry.Name())
		}
	}

	for _, name := range []string{"net/ipv4/ip_forward", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"} {
		value, err := os.ReadFile(filepath.Join("/proc/sys", name))
		must(err)
		add("kernel setting", fmt.Sprintf("%s = %s", name, strings.TrimSpace(string(value))))
	}
	for _, folder := range []string{"/run", "/run/lock", "/var/lib", "/var/log", "/var/run", "/etc", "/opt", "/usr/libexec", "/tmp"} {
		entries, err := os.ReadDir(folder)
		must(err)
		for _, entry := range entries {
			if folder == "/tmp" && !strings.Contains(entry.Name(), "kube") && !strings.Contains(entry.Name(), "containerd") {
				continue // others work there too
			}
			kind := "file"
			if folder == "/var/lib" || folder == "/var/log" {
				kind = "mount point"
			}
			add(kind, filepath.Join(folder, entry.Name()))
		}
	}
	return found
}

// difference lists what is in a and not in b.
func difference(a, b map[string]bool, kind string) []string {
	var lines []string
	for line := range a {
		if !b[line] && strings.HasPrefix(line, kind) {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestUpAfterUpWasKilled kills up in the middle, at several points, and starts again.
func TestUpAfterUpWasKilled(t *testing.T) {
	alone(t)
	program := filepath.Join(t.TempDir(), "cluster")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	// A checkout of its own, as far as the program looks at it.
	top := t.TempDir()
	modules, err := filepath.Abs("binaries")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(top, "test", "infrastructure", "cluster"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(top, "test", "infrastructure", "go.mod"), []byte("module infrastructure\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(top, "test", "infrastructure", "cluster", "binaries")); err != nil {
		t.Fatal(err)
	}
	cluster := func(args ...string) *exec.Cmd {
		command := exec.Command(program, append(args, "--provider=local")...)
		command.Dir = top
		command.Stdout, command.Stderr = t.Output(), t.Output()
		return command
	}
	before := look(t)
	state := layout.Layout{State: filepath.Join(top, ".cluster")}
	for _, sign := range []string{
		filepath.Join(state.Processes(), "etcd.json"),
		filepath.Join(state.Processes(), "node-1-init.json"),
		filepath.Join(state.Processes(), "node-2-containerd.json"),
		filepath.Join(state.Processes(), "kube-scheduler.json"),
	} {
		up := cluster("up")
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, sign)
		if err := up.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = up.Wait() // it was killed
	}
	for _, args := range [][]string{{"up"}, {"status"}, {"down"}} {
		if err := cluster(args...).Run(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, line := range difference(look(t), before, "") {
		t.Errorf("left behind: %s", line)
	}
}
