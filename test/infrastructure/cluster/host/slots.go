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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
)

// Machine is what the clusters of all checkouts on this machine share.
type Machine struct {
	// folder of the shared notes.
	folder string
	// proc is where the kernel's settings are, for tests to have some of their own.
	proc string
}

// NewMachine returns this machine.
func NewMachine() *Machine {
	return &Machine{folder: "/run/drain-operator-clusters", proc: "/proc/sys"}
}

// Lock keeps other runs, of any checkout, from changing the machine at the same time. wait is called once when another
// run holds the lock.
func (m *Machine) Lock(ctx context.Context, wait func()) (func(), error) {
	// Beside the folder and not in it: the folder goes with the last cluster.
	file, err := os.OpenFile(m.folder+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for told := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			// Who removed the file meanwhile holds another one than who opens it next.
			if current, err := os.Stat(m.folder + ".lock"); err == nil {
				if own, err := file.Stat(); err == nil && os.SameFile(current, own) {
					return func() {
						if _, err := os.Stat(m.folder); errors.Is(err, fs.ErrNotExist) {
							_ = os.Remove(m.folder + ".lock") // nothing is left to guard; a leftover is harmless
						}
						file.Close()
					}, nil
				}
			}
			file.Close()
			return m.Lock(ctx, wait)
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, err
		}
		if !told {
			told = true
			wait()
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// Owners maps the slots in use to the state folders of their clusters.
func (m *Machine) Owners() (map[int]string, error) {
	owners := map[int]string{}
	for slot := range layout.Slots {
		content, err := os.ReadFile(m.slotFile(slot))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		owners[slot] = strings.TrimSpace(string(content))
	}
	return owners, nil
}

// SlotOf is the slot of a state folder.
func (m *Machine) SlotOf(state string) (slot int, found bool, err error) {
	owners, err := m.Owners()
	if err != nil {
		return 0, false, err
	}
	for slot, owner := range owners {
		if owner == state {
			return slot, true, nil
		}
	}
	return 0, false, nil
}

// Claim takes the first free slot whose addresses nothing on this machine uses.
func (m *Machine) Claim(state string) (int, error) {
	owners, err := m.Owners()
	if err != nil {
		return 0, err
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return 0, err
	}
	for slot := range layout.Slots {
		if _, taken := owners[slot]; taken || overlaps(addresses, layout.Layout{Slot: slot}.Network()) {
			continue
		}
		if err := os.MkdirAll(m.folder, 0o755); err != nil {
			return 0, err
		}
		return slot, os.WriteFile(m.slotFile(slot), []byte(state+"\n"), 0o644)
	}
	return 0, fmt.Errorf("all %d places for a cluster on this machine are taken, see %s: take one down with cluster-down in its checkout", layout.Slots, m.folder)
}

// Release gives the slot back, and the folder with the last one.
func (m *Machine) Release(slot int) error {
	if err := os.Remove(m.slotFile(slot)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	owners, err := m.Owners()
	if err != nil || len(owners) > 0 {
		return err
	}
	if err := m.restoreSettings(); err != nil {
		return err
	}
	if err := m.removeMountPoints(); err != nil {
		return err
	}
	return os.RemoveAll(m.folder)
}

func (m *Machine) slotFile(slot int) string {
	return filepath.Join(m.folder, "slot-"+strconv.Itoa(slot))
}

func overlaps(addresses []net.Addr, network string) bool {
	_, wanted, err := net.ParseCIDR(network)
	if err != nil {
		return true
	}
	for _, address := range addresses {
		if used, ok := address.(*net.IPNet); ok && (wanted.Contains(used.IP) || used.Contains(wanted.IP)) {
			return true
		}
	}
	return false
}

// settings are the kernel's, machine-wide, that the cluster changes: forwarding for the pods' way out, the rest is kubelet's
// doing.
var settings = []string{"net/ipv4/ip_forward", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"}

type savedSettings struct {
	Boot   string            `json:"boot"`
	Values map[string]string `json:"values"`
}

// SaveSettings notes the kernel's settings as they are before the first cluster.
func (m *Machine) SaveSettings() error {
	file := filepath.Join(m.folder, "sysctls.json")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	boot, err := m.boot()
	if err != nil {
		return err
	}
	saved := savedSettings{Boot: boot, Values: map[string]string{}}
	for _, name := range settings {
		value, err := os.ReadFile(filepath.Join(m.proc, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without it
		}
		if err != nil {
			return err
		}
		saved.Values[name] = strings.TrimSpace(string(value))
	}
	content, err := json.MarshalIndent(saved, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(file, content)
}

func (m *Machine) restoreSettings() error {
	content, err := os.ReadFile(filepath.Join(m.folder, "sysctls.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var saved savedSettings
	if err := json.Unmarshal(content, &saved); err != nil {
		return err
	}
	if boot, err := m.boot(); err != nil || boot != saved.Boot {
		return err // the machine was restarted since, and has its own settings back
	}
	for name, want := range saved.Values {
		file := filepath.Join(m.proc, name)
		current, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(current)) == want {
			continue // writing some settings has effects of its own
		}
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			return fmt.Errorf("restore %s to %s: %w", name, want, err)
		}
	}
	return nil
}

// Forward lets this machine pass packets on.
func (m *Machine) Forward() error {
	return os.WriteFile(filepath.Join(m.proc, "net/ipv4/ip_forward"), []byte("1"), 0o644)
}

func (m *Machine) boot() (string, error) {
	content, err := os.ReadFile(filepath.Join(m.proc, "kernel/random/boot_id"))
	return strings.TrimSpace(string(content)), err
}

// MountPoints makes the folders that a node mounts its own over, and notes which of them are new.
func (m *Machine) MountPoints(folders []string) error {
	for _, folder := range folders {
		var made []string
		for missing := folder; ; missing = filepath.Dir(missing) {
			if _, err := os.Stat(missing); err == nil {
				break
			}
			made = append(made, missing)
		}
		if len(made) == 0 {
			continue
		}
		// Noted before it is made: to remove too little is what can't be put right later.
		note, err := os.OpenFile(filepath.Join(m.folder, "mount-points"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = note.WriteString(strings.Join(made, "\n") + "\n")
		if err := errors.Join(err, note.Close()); err != nil {
			return err
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// removeMountPoints removes those that are still empty.
func (m *Machine) removeMountPoints() error {
	content, err := os.ReadFile(filepath.Join(m.folder, "mount-points"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(content)) {
		if err := os.Remove(strings.TrimSpace(line)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return err
}

// MountsBelow lists the mount points at or below a folder, in the order they were made.
func MountsBelow(mountinfo, folder string) []string {
	var points []string
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescape.Replace(fields[4])
		if point == folder || strings.HasPrefix(point, folder+"/") {
			points = append(points, point)
		}
	}
	return points
}

func writeWhole(file string, content []byte) error {
	temp := file + ".new"
	if err := os.WriteFile(temp, content, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, file)
}
