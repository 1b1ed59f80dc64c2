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

package binaries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Store gets programs and keeps them.
type Store struct {
	// folder is the cache, modules the folder of this package's source, where the modules to build are.
	folder, modules string
	goos, goarch    string
	kubernetes      Kubernetes
	downloads       *downloader
	build           func(ctx context.Context, module, target string, p Program) error
	report          func(format string, args ...any)
	// told is why the last download failed; one host's silence is told once.
	told string
}

// NewStore returns the user's store, with the programs of one minor of Kubernetes. modules is the folder that holds this
// package's source in the checkout; report hears of what takes long.
func NewStore(modules string, kubernetes Kubernetes, report func(format string, args ...any)) (*Store, error) {
	cache, err := CacheFolder()
	if err != nil {
		return nil, err
	}
	return &Store{
		folder: filepath.Join(cache, "binaries"), modules: modules,
		goos: runtime.GOOS, goarch: runtime.GOARCH, kubernetes: kubernetes,
		downloads: newDownloader(), build: goBuild, report: report,
	}, nil
}

// CacheFolder is the folder of everything that this project keeps outside its checkouts.
func CacheFolder() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder: set HOME or XDG_CACHE_HOME: %w", err)
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "drain-operator"), nil
}

// Ensure makes sure that the named programs are there and returns a folder that holds exactly these.
func (s *Store) Ensure(ctx context.Context, names ...string) (string, error) {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	key := sha256.New()
	files := map[string]string{}
	for _, name := range names {
		file, err := s.ensure(ctx, name)
		if err != nil {
			return "", err
		}
		files[name] = file
		fmt.Fprintln(key, file)
	}

	// Links in a folder named for what it holds: the same programs are always in the same place.
	set := filepath.Join(s.folder, "sets", hex.EncodeToString(key.Sum(nil))[:16])
	if _, err := os.Stat(set); err == nil {
		return set, nil
	}
	if err := os.MkdirAll(filepath.Dir(set), 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(set), ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil {
		return "", err
	}
	for name, file := range files {
		if err := os.Symlink(file, filepath.Join(temp, name)); err != nil {
			return "", err
		}
	}
	if err := os.Rename(temp, set); err != nil && !errors.Is(err, os.ErrExist) {
		if _, there := os.Stat(set); there != nil {
			return "", err
		}
	}
	return set, nil
}

// ensure returns the file of one program, and gets it when it isn't there.
func (s *Store) ensure(ctx context.Context, name string) (string, error) {
	program, err := s.kubernetes.find(name)
	if err != nil {
		return "", err
	}
	module := filepath.Join(s.modules, program.module)
	if program.Version == "" {
		if program.Version, err = sourceVersion(module); err != nil {
			return "", err
		}
	}
	folder := filepath.Join(s.folder, fmt.Sprintf("%s-%s-%s-%s", name, program.Version, s.goos, s.goarch))
	file := filepath.Join(folder, name)
	if exists(file) {
		return file, nil
	}

	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(folder, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(file) { // another run was faster
		return file, nil
	}
	// What runs that were killed left; under the lock no other run uses it.
	leftovers, err := filepath.Glob(filepath.Join(folder, ".new-*"))
	if err != nil {
		return "", err
	}
	for _, leftover := range leftovers {
		if err := os.RemoveAll(leftover); err != nil {
			return "", err
		}
	}
	temp, err := os.MkdirTemp(folder, ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	made := filepath.Join(temp, name)
	if err := s.get(ctx, program, module, made); err != nil {
		return "", err
	}
	return file, os.Rename(made, file)
}

// get downloads the program or, where there is nothing to download, builds it.
func (s *Store) get(ctx context.Context, program Program, module, target string) error {
	if program.release.url != "" {
		start := time.Now()
		err := s.downloads.fetch(ctx, program, s.goos, s.goarch, target)
		if err == nil {
			s.report("downloaded %s %s (%.0f s)", program.Name, program.Version, time.Since(start).Seconds())
			return nil
		}
		if !errors.Is(err, errUnreachable) {
			return err
		}
		if reason := err.Error(); reason != s.told {
			s.told = reason
			s.report("can't download: %s\nbuilding from Go modules instead, which takes minutes the first time", reason)
		}
	}
	start := time.Now()
	if err := s.build(ctx, module, target, program); err != nil {
		return err
	}
	s.report("built %s %s (%.0f s)", program.Name, program.Version, time.Since(start).Seconds())
	return nil
}

// goBuild builds the program in its module.
func goBuild(ctx context.Context, module, target string, p Program) error {
	arguments := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", strings.TrimSpace("-s -w " + p.ldflags), "-o", target, p.importPath}
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = module
	// No workspace or module flag of the caller's may reach into these modules.
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly", "PWD="+module)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", p.importPath, module, err, tail(output))
	}
	return nil
}

// sourceVersion names what the source of a module holds. A program that a person built in the folder is no source.
func sourceVersion(module string) (string, error) {
	entries, err := os.ReadDir(module)
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	for _, entry := range entries {
		name := entry.Name()
		source := strings.HasSuffix(name, ".go") || name == "go.mod" || name == "go.sum"
		if !source || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := os.Open(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(digest, name)
		_, err = io.Copy(digest, file)
		file.Close()
		if err != nil {
			return "", err
		}
	}
	fmt.Fprintln(digest, runtime.Version())
	return hex.EncodeToString(digest.Sum(nil))[:12], nil
}

// lock waits until it alone holds the file's lock.
func lock(ctx context.Context, file string) (func(), error) {
	handle, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(handle.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { handle.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			handle.Close()
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		select {
		case <-ctx.Done():
			handle.Close()
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

func exists(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}
