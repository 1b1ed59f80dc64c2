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
	"os"
	"path/filepath"
	"syscall"
)

// snapshotter chooses how containerd lays images' layers over one another: by overlayfs, unless the disk can't carry one,
// as another overlayfs can't; then by copies.
func snapshotter(disk string) string {
	probe, err := os.MkdirTemp(disk, ".overlay-")
	if err != nil {
		return "native"
	}
	defer os.RemoveAll(probe)
	for _, folder := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(probe, folder), 0o755); err != nil {
			return "native"
		}
	}
	merged := filepath.Join(probe, "merged")
	options := "lowerdir=" + probe + "/lower,upperdir=" + probe + "/upper,workdir=" + probe + "/work"
	if err := syscall.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return "native"
	}
	if err := syscall.Unmount(merged, 0); err != nil {
		_ = syscall.Unmount(merged, syscall.MNT_DETACH)
	}
	return "overlayfs"
}
