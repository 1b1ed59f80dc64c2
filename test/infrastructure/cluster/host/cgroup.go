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
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Hierarchies are the machine's cgroup trees.
type Hierarchies struct {
	// V2 says that there is the one unified tree that holds all controllers.
	V2 bool
	// Roots are the folders of the trees.
	Roots []string
	// Beside is the unified tree next to version 1: it holds no controllers, but runc enters it too.
	Beside []string
}

// Cgroups finds the machine's cgroup trees.
func Cgroups() (Hierarchies, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Hierarchies{}, err
	}
	return parseCgroups(string(content))
}

func parseCgroups(mountinfo string) (Hierarchies, error) {
	var v1, v2 []string
	for line := range strings.Lines(mountinfo) {
		before, after, found := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(kind) < 1 {
			continue
		}
		point := fields[4]
		if !strings.HasPrefix(point, "/sys/fs/cgroup") {
			continue
		}
		switch kind[0] {
		case "cgroup":
			v1 = append(v1, point)
		case "cgroup2":
			v2 = append(v2, point)
		}
	}
	switch {
	case len(v1) > 0: // a unified tree beside these holds no controllers
		for _, controller := range []string{"cpu", "cpuset", "memory", "pids"} {
			if !slices.ContainsFunc(v1, func(root string) bool {
				return slices.Contains(strings.Split(filepath.Base(root), ","), controller)
			}) {
				return Hierarchies{}, fmt.Errorf("the cgroup controller %s is not mounted under /sys/fs/cgroup", controller)
			}
		}
		return Hierarchies{Roots: v1, Beside: v2}, nil
	case len(v2) > 0:
		return Hierarchies{V2: true, Roots: v2[:1]}, nil
	}
	return Hierarchies{}, errors.New("no cgroups are mounted under /sys/fs/cgroup")
}

// Create makes a cgroup in every tree, with all that kubelet wants to find in it.
func (h Hierarchies) Create(cgroup string) error {
	for _, root := range h.Roots {
		folder := root
		for part := range strings.SplitSeq(cgroup, "/") {
			if h.V2 {
				if err := enableControllers(folder); err != nil {
					return err
				}
			}
			parent := folder
			folder = filepath.Join(folder, part)
			if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("create cgroup: %w", err)
			}
			if err := inheritCpuset(parent, folder); err != nil {
				return err
			}
		}
		if h.V2 {
			if err := enableControllers(folder); err != nil {
				return err
			}
		}
	}
	return nil
}

// enableControllers lets the cgroups below have all controllers.
func enableControllers(folder string) error {
	content, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return err
	}
	enabled, err := os.ReadFile(filepath.Join(folder, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	for controller := range strings.FieldsSeq(string(content)) {
		if slices.Contains(strings.Fields(string(enabled)), controller) {
			continue
		}
		err := os.WriteFile(filepath.Join(folder, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		if err != nil && slices.Contains([]string{"cpu", "cpuset", "memory", "pids"}, controller) {
			return fmt.Errorf("the cgroup controller %s can't be handed down from %s (in a container, it needs a cgroup namespace whose root holds no process): %w", controller, folder, err)
		}
	}
	return nil
}

// inheritCpuset fills what version 1 leaves empty in a new cgroup; no process can enter it before.
func inheritCpuset(parent, folder string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || strings.TrimSpace(string(own)) != "" {
			continue
		}
		value, err := os.ReadFile(filepath.Join(parent, name))
		if err != nil || strings.TrimSpace(string(value)) == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, name), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Remove kills what runs in a cgroup and in those below it, and removes them from every tree.
func (h Hierarchies) Remove(ctx context.Context, cgroup string) error {
	for _, root := range slices.Concat(h.Roots, h.Beside) {
		if err := removeTree(ctx, filepath.Join(root, cgroup)); err != nil {
			return err
		}
	}
	return nil
}

func removeTree(ctx context.Context, top string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := tryRemoveTree(top)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroup %s: %w", top, err)
		case <-ticker.C:
		}
	}
}

func tryRemoveTree(top string) error {
	var folders []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Reverse(folders) // the deepest first
	for _, folder := range folders {
		killAll(folder)
		if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func killAll(folder string) {
	for _, pid := range processes(folder) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is as good; the removal tells whether it worked
	}
}

// Processes are those that run in a cgroup and in those below it.
func (h Hierarchies) Processes(cgroup string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(filepath.Join(h.Roots[0], cgroup), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			pids = append(pids, processes(path)...)
		}
		return err
	})
	return pids, err
}

// processes are those in a cgroup itself, without this one.
func processes(folder string) []int {
	content, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for field := range strings.FieldsSeq(string(content)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
