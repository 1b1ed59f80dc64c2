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

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// isolated has a process run in namespaces of its own.
func isolated() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
}

// Init is the first process of a node. It runs in the node's namespaces, gives the node its own file systems, and stays
// to reap orphans until it is killed.
func Init(hostname, disk, resolvConf string) error {
	if os.Getpid() != 1 {
		return errors.New("this is started by the cluster, as the first process of a node")
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	if err := ownFileSystems(disk, resolvConf); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	// These belong to the network namespace.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	parent := os.NewFile(ready, "ready")
	if _, err := parent.WriteString("ready\n"); err != nil {
		return err
	}
	if err := parent.Close(); err != nil {
		return err
	}
	for range children {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if err != nil || pid <= 0 {
				break
			}
		}
	}
	return nil
}

func ownFileSystems(disk, resolvConf string) error {
	// First cut the ties to the machine's mounts; then share within the node, which mount propagation into pods needs.
	for _, flag := range []uintptr{syscall.MS_PRIVATE, syscall.MS_SHARED} {
		if err := syscall.Mount("", "/", "", flag|syscall.MS_REC, ""); err != nil {
			return fmt.Errorf("change propagation of /: %w", err)
		}
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, point := range MountPoints {
		own := filepath.Join(disk, point)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(own, point, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", point, err)
		}
	}
	names, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// What belongs to one boot: sockets, containers' states, addresses in use.
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for _, folder := range []string{"/run/lock", "/run/netns"} {
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return useResolvConf(resolvConf, names)
}

// useResolvConf makes programs on the node ask the servers that the node reaches. What resolv.conf says on this machine may
// be a server that listens on this machine alone, and its file may be a link into the /run that the node doesn't see.
func useResolvConf(resolvConf, names string) error {
	content, err := os.ReadFile(resolvConf)
	if err != nil {
		return err
	}
	if len(content) == 0 || names == "" {
		return nil
	}
	if strings.HasPrefix(names, "/run/") {
		if err := os.MkdirAll(filepath.Dir(names), 0o755); err != nil {
			return err
		}
		return os.WriteFile(names, content, 0o644)
	}
	if err := syscall.Mount(resolvConf, names, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", names, err)
	}
	return nil
}
