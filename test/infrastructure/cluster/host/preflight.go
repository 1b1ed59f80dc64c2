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
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// requirement is a file the cluster needs, and the Debian package that holds it.
type requirement struct {
	// paths are the places it may be at; a bare name is searched on the PATH.
	paths []string
	pkg   string
	why   string
}

// CNIFolders are where CNI plugins are looked for, Debian's place first.
var CNIFolders = []string{"/usr/lib/cni", "/opt/cni/bin"}

var requirements = []requirement{
	{paths: []string{"runc"}, pkg: "runc", why: "starts containers"},
	{paths: []string{"ip"}, pkg: "iproute2", why: "wires the nodes"},
	{paths: []string{"nft"}, pkg: "nftables", why: "kube-proxy writes its rules with it"},
	{paths: []string{"nsenter"}, pkg: "util-linux", why: "starts programs on a node"},
	{paths: []string{"mount"}, pkg: "mount", why: "kubelet mounts volumes with it"},
	{paths: inFolders("ptp"), pkg: "containernetworking-plugins", why: "connects pods to their node"},
	{paths: inFolders("host-local"), pkg: "containernetworking-plugins", why: "gives pods their addresses"},
}

// capabilities that the cluster needs, by their bit.
var capabilities = []struct {
	bit  uint
	name string
}{
	{12, "CAP_NET_ADMIN"}, {21, "CAP_SYS_ADMIN"}, {18, "CAP_SYS_CHROOT"}, {5, "CAP_KILL"}, {0, "CAP_CHOWN"}, {27, "CAP_MKNOD"}, {19, "CAP_SYS_PTRACE"},
}

func inFolders(plugin string) []string {
	var paths []string
	for _, folder := range CNIFolders {
		paths = append(paths, filepath.Join(folder, plugin))
	}
	return paths
}

func (r requirement) met() bool {
	for _, path := range r.paths {
		if _, err := lookPath(path); err == nil {
			return true
		}
	}
	return false
}

// lookPath is exec.LookPath that also knows the folders of the administrator's programs.
func lookPath(name string) (string, error) {
	if found, err := exec.LookPath(name); err == nil {
		return found, nil
	}
	if filepath.IsAbs(name) {
		return "", os.ErrNotExist
	}
	for _, folder := range []string{"/usr/sbin", "/sbin"} {
		if found, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return found, nil
		}
	}
	return "", os.ErrNotExist
}

// Preflight returns an error that names everything this machine lacks. Debian packages that are missing are installed
// where that is possible; nothing else is changed.
func Preflight(ctx context.Context, report func(format string, args ...any)) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the local cluster runs on Linux only, this is %s: install Docker and kind, and the same command uses these", runtime.GOOS)
	}
	var problems []string
	if os.Geteuid() != 0 {
		problems = append(problems, "it starts containers and network namespaces, which takes root: run it as root, or install Docker and kind, which it uses without")
	} else {
		problems = append(problems, missingCapabilities()...)
	}
	if _, err := Cgroups(); err != nil {
		problems = append(problems, err.Error())
	}
	problems = append(problems, missingKernelParts()...)

	missing := missingRequirements()
	if len(missing) > 0 && len(problems) == 0 && canInstall() {
		if err := install(ctx, missing, report); err != nil {
			problems = append(problems, err.Error())
		}
		missing = missingRequirements()
	}
	for _, r := range missing {
		problems = append(problems, fmt.Sprintf("%s is missing (%s): apt-get install %s", filepath.Base(r.paths[0]), r.why, r.pkg))
	}
	if len(problems) > 0 {
		return errors.New("the local cluster can't run here:\n  - " + strings.Join(problems, "\n  - "))
	}
	return nil
}

func missingRequirements() []requirement {
	var missing []requirement
	for _, r := range requirements {
		if !r.met() {
			missing = append(missing, r)
		}
	}
	return missing
}

func canInstall() bool {
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		return false
	}
	_, err := exec.LookPath("apt-get")
	return err == nil && os.Geteuid() == 0
}

func install(ctx context.Context, missing []requirement, report func(format string, args ...any)) error {
	args := []string{"install", "--yes", "--no-install-recommends"}
	seen := map[string]bool{}
	var names []string
	for _, r := range missing {
		if !seen[r.pkg] {
			seen[r.pkg] = true
			names = append(names, r.pkg)
		}
	}
	args = append(args, names...)
	report("installing the Debian packages %s", strings.Join(names, ", "))
	run := func(args ...string) error {
		command := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=120", "-q"}, args...)...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		output, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(string(output)))
		}
		return nil
	}
	if run(args...) == nil {
		return nil
	}
	// The usual reason: the lists of packages are missing or old.
	if err := run("update"); err != nil {
		return err
	}
	return run(args...)
}

func missingCapabilities() []string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return []string{err.Error()}
	}
	effective, err := effectiveCapabilities(string(status))
	if err != nil {
		return []string{err.Error()}
	}
	var missing []string
	for _, capability := range capabilities {
		if effective&(1<<capability.bit) == 0 {
			missing = append(missing, capability.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return []string{"this user lacks " + strings.Join(missing, ", ") + ": in a container, start it with --privileged"}
}

func effectiveCapabilities(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		if value, found := strings.CutPrefix(line, "CapEff:"); found {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, errors.New("/proc/self/status names no capabilities")
}

// missingKernelParts names what the kernel can't do.
func missingKernelParts() []string {
	var problems []string
	for _, namespace := range []string{"mnt", "pid", "net", "uts", "ipc"} {
		if _, err := os.Stat("/proc/self/ns/" + namespace); err != nil {
			problems = append(problems, "the kernel has no "+namespace+" namespaces")
		}
	}
	// Asking for a list loads what is a module.
	if nft, err := lookPath("nft"); err == nil && os.Geteuid() == 0 {
		if output, err := exec.Command(nft, "list", "tables").CombinedOutput(); err != nil {
			problems = append(problems, "the kernel has no nf_tables: "+strings.TrimSpace(string(output)))
		}
	}
	return problems
}
