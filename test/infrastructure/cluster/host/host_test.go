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

package host

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
)

func TestParseCgroups(t *testing.T) {
	v1 := func(controllers ...string) string {
		var lines strings.Builder
		for _, controller := range controllers {
			lines.WriteString("30 29 0:26 / /sys/fs/cgroup/" + controller + " rw,relatime shared:9 - cgroup cgroup rw," + controller + "\n")
		}
		return lines.String()
	}
	v2 := func(point string) string {
		return "30 29 0:26 / " + point + " rw,relatime - cgroup2 cgroup2 rw\n"
	}
	for name, test := range map[string]struct {
		mounts string
		v2     bool
		roots  int
		beside int
		want   string
	}{
		"version 1":              {v1("cpu", "cpuset", "memory", "pids"), false, 4, 0, ""},
		"version 1, joint":       {v1("cpu,cpuacct", "cpuset", "memory", "pids", "systemd"), false, 5, 0, ""},
		"version 1 and unified":  {v1("cpu", "cpuset", "memory", "pids") + v2("/sys/fs/cgroup/unified"), false, 4, 1, ""},
		"version 2":              {v2("/sys/fs/cgroup"), true, 1, 0, ""},
		"version 2 seen again":   {v2("/sys/fs/cgroup") + v2("/var/other"), true, 1, 0, ""},
		"none":                   {"22 1 254:0 / / rw - ext4 /dev/vda rw\n", false, 0, 0, "no cgroups"},
		"version 1, none for it": {v1("cpu", "cpuset", "pids"), false, 0, 0, "memory"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseCgroups(test.mounts)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want an error with %q", err, test.want)
				}
				return
			}
			if err != nil || got.V2 != test.v2 || len(got.Roots) != test.roots || len(got.Beside) != test.beside {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// Version 2, played by folders: the kernel's files don't fill themselves, but who may hand what down is seen.
func TestCreateHandsControllersDown(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{"cgroup.controllers": "cpu memory", "cgroup.subtree_control": "cpu"} {
		for _, folder := range []string{root, filepath.Join(root, "drain0"), filepath.Join(root, "drain0", "node-1")} {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := (Hierarchies{V2: true, Roots: []string{root}}).Create("drain0/node-1"); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"", "drain0", "drain0/node-1"} {
		got, err := os.ReadFile(filepath.Join(root, folder, "cgroup.subtree_control"))
		if err != nil || string(got) != "+memory" {
			t.Errorf("%q: wrote %q, %v, want +memory", folder, got, err)
		}
	}
}

func TestCreateFillsCpuset(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "drain0"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"cpuset.cpus": "0-1\n", "drain0/cpuset.cpus": "\n", "cpuset.mems": "0\n", "drain0/cpuset.mems": "0\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Hierarchies{Roots: []string{root}}).Create("drain0"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(root, "drain0/cpuset.cpus")); err != nil || string(got) != "0-1\n" {
		t.Errorf("got cpus %q, %v", got, err)
	}
}

func TestProcesses(t *testing.T) {
	root := t.TempDir()
	for folder, pids := range map[string]string{"drain1/node-2/pods/a": "12\n13\n", "drain1/node-2": "1\n14\n", "drain1/node-1/pods": "15\n"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, folder, "cgroup.procs"), []byte(pids), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h := Hierarchies{Roots: []string{root}}
	pids, err := h.Processes("drain1/node-2")
	slices.Sort(pids)
	if want := []int{12, 13, 14}; err != nil || !slices.Equal(pids, want) {
		t.Errorf("got %v, %v, want %v: all below, and never the first process", pids, err, want)
	}
	if pids, err := h.Processes("drain1/node-3"); err != nil || len(pids) != 0 {
		t.Errorf("got %v, %v of a cgroup that isn't there", pids, err)
	}
}

func TestMountsBelow(t *testing.T) {
	mountinfo := `22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:30 / /a/.cluster rw - tmpfs tmpfs rw
41 40 0:31 / /a/.cluster/with\040space rw - tmpfs tmpfs rw
42 22 0:32 / /a/.cluster-other rw - tmpfs tmpfs rw
`
	got := MountsBelow(mountinfo, "/a/.cluster")
	if want := []string{"/a/.cluster", "/a/.cluster/with space"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEffectiveCapabilities(t *testing.T) {
	got, err := effectiveCapabilities("Name:\tx\nCapPrm:\t0\nCapEff:\t000001fffeffffff\n")
	if err != nil || got != 0x1fffeffffff {
		t.Errorf("got %x, %v", got, err)
	}
	if _, err := effectiveCapabilities("Name:\tx\n"); err == nil {
		t.Error("no capabilities were taken for some")
	}
}

func TestOverlaps(t *testing.T) {
	address := func(cidr string) net.Addr {
		ip, network, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		return &net.IPNet{IP: ip, Mask: network.Mask}
	}
	for cidr, want := range map[string]bool{
		"10.100.3.4/24": true, "10.0.0.1/8": true, "10.101.0.1/16": false, "192.168.0.1/16": false,
	} {
		if got := overlaps([]net.Addr{address("127.0.0.1/8"), address(cidr)}, "10.100.0.0/16"); got != want {
			t.Errorf("%s: got %v, want %v", cidr, got, want)
		}
	}
}

// newMachine returns one with kernel settings of its own.
func newMachine(t *testing.T) *Machine {
	t.Helper()
	m := &Machine{folder: filepath.Join(t.TempDir(), "clusters"), proc: t.TempDir()}
	set(t, m, "kernel/random/boot_id", "this boot")
	for _, name := range settings {
		set(t, m, name, "0\n")
	}
	return m
}

func set(t *testing.T, m *Machine, name, value string) {
	t.Helper()
	file := filepath.Join(m.proc, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, m *Machine, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(m.proc, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

func claim(t *testing.T, m *Machine, state string) int {
	t.Helper()
	slot, err := m.Claim(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SaveSettings(); err != nil {
		t.Fatal(err)
	}
	return slot
}

func TestSettingsGoBackWithTheLastCluster(t *testing.T) {
	m := newMachine(t)
	first := claim(t, m, "/first")
	if err := m.Forward(); err != nil {
		t.Fatal(err)
	}
	set(t, m, "kernel/panic", "10") // as kubelet does
	second := claim(t, m, "/second")
	if first == second {
		t.Fatalf("both clusters have slot %d", first)
	}
	if slot, found, err := m.SlotOf("/second"); err != nil || !found || slot != second {
		t.Errorf("got slot %d, %v, %v, want %d", slot, found, err, second)
	}

	if err := m.Release(first); err != nil {
		t.Fatal(err)
	}
	if got := get(t, m, "net/ipv4/ip_forward"); got != "1" {
		t.Errorf("forwarding is %s while a cluster runs", got)
	}
	if err := m.Release(second); err != nil {
		t.Fatal(err)
	}
	for _, name := range settings {
		if got := get(t, m, name); got != "0" {
			t.Errorf("%s is %s, want 0 again", name, got)
		}
	}
	if _, err := os.Stat(m.folder); err == nil {
		t.Error("the folder is left")
	}
}

func TestSettingsOfAnotherBootAreLeft(t *testing.T) {
	m := newMachine(t)
	slot := claim(t, m, "/first")
	set(t, m, "kernel/random/boot_id", "the next boot")
	set(t, m, "kernel/panic", "1")
	if err := m.Release(slot); err != nil {
		t.Fatal(err)
	}
	if got := get(t, m, "kernel/panic"); got != "1" {
		t.Errorf("kernel/panic is %s, want the 1 of this boot", got)
	}
}

func TestClaimEndsWithTheSlots(t *testing.T) {
	m := newMachine(t)
	if err := os.MkdirAll(m.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for slot := range layout.Slots {
		if err := os.WriteFile(m.slotFile(slot), []byte("/other\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Claim("/one-more"); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("got %v", err)
	}
}

func TestMountPoints(t *testing.T) {
	m := newMachine(t)
	slot := claim(t, m, "/first")
	top := t.TempDir()
	used, unused, old := filepath.Join(top, "a", "used"), filepath.Join(top, "b", "c", "unused"), filepath.Join(top, "old")
	if err := os.Mkdir(old, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.MountPoints([]string{used, unused, old}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(used, "another's"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := m.Release(slot); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{used: true, unused: false, filepath.Dir(unused): false, filepath.Join(top, "b"): false, old: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: there is %v, want %v", path, err == nil, want)
		}
	}
}

func TestLockWaits(t *testing.T) {
	m := newMachine(t)
	if err := os.MkdirAll(m.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := m.Lock(t.Context(), func() { t.Error("waits although no other run has the lock") })
	if err != nil {
		t.Fatal(err)
	}
	waiting, locked := make(chan struct{}), make(chan error, 1)
	go func() {
		again, err := m.Lock(t.Context(), func() { close(waiting) })
		if err == nil {
			again()
		}
		locked <- err
	}()
	<-waiting
	select {
	case err := <-locked:
		t.Fatalf("two hold the lock, %v", err)
	default:
	}
	unlock()
	select {
	case err := <-locked:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the lock is never handed over")
	}
}

func TestRequirementsNamePackages(t *testing.T) {
	missing := requirement{paths: []string{"no-such-program", "/no/such/file"}, pkg: "something", why: "tests"}
	if missing.met() {
		t.Error("what isn't there counts as there")
	}
	if !(requirement{paths: []string{"/no/such/file", "sh"}}).met() {
		t.Error("the second place isn't searched")
	}
	for _, r := range requirements {
		if r.pkg == "" || r.why == "" || len(r.paths) == 0 {
			t.Errorf("%+v doesn't say what to install, or why", r)
		}
	}
}
