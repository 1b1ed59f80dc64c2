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
