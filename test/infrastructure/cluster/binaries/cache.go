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
	// build builds programs of one module into a folder, each under its name.
	build  func(ctx context.Context, module, folder string, programs []Program) error
	report func(format string, args ...any)
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
	var missing []Program
	key := sha256.New()
	files := map[string]string{}
	for _, name := range names {
		program, err := s.find(name)
		if err != nil {
			return "", err
		}
		files[name] = s.file(program)
		fmt.Fprintln(key, files[name])
		if !exists(files[name]) {
			missing = append(missing, program)
		}
	}
	if err := s.get(ctx, missing); err != nil {
		return "", err
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

// find returns a program with its version, which of the project's own programs is known only here.
func (s *Store) find(name string) (Program, error) {
	program, err := s.kubernetes.find(name)
	if err == nil && program.Version == "" {
		program.Version, err = sourceVersion(filepath.Join(s.modules, program.module))
	}
	return program, err
}

// file is where a program is kept.
func (s *Store) file(p Program) string {
	return filepath.Join(s.folder, fmt.Sprintf("%s-%s-%s-%s", p.Name, p.Version, s.goos, s.goarch), p.Name)
}

// get downloads programs, and builds those that can't be downloaded. They are sorted by name, so each run takes the locks in the
// same order, and no two runs can wait for one another forever.
func (s *Store) get(ctx context.Context, programs []Program) error {
	var locks []func()
	defer func() {
		for _, unlock := range locks {
			unlock()
		}
	}()
	var order []string
	toBuild := map[string][]Program{}
	for _, program := range programs {
		folder := filepath.Dir(s.file(program))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		unlock, err := lock(ctx, filepath.Join(folder, ".lock"))
		if err != nil {
			return err
		}
		locks = append(locks, unlock)
		if exists(s.file(program)) { // another run was faster
			continue
		}
		downloaded, err := s.download(ctx, program)
		if err != nil {
			return err
		}
		if !downloaded {
			if _, there := toBuild[program.module]; !there {
				order = append(order, program.module)
			}
			toBuild[program.module] = append(toBuild[program.module], program)
		}
	}
	for _, module := range order {
		if err := s.make(ctx, filepath.Join(s.modules, module), toBuild[module]); err != nil {
			return err
		}
	}
	return nil
}

// download returns false when a program's release can't be reached, or there is none.
func (s *Store) download(ctx context.Context, p Program) (bool, error) {
	if p.release.url == "" {
		return false, nil
	}
	temp, err := s.scratch(p)
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(temp)
	start := time.Now()
	made := filepath.Join(temp, p.Name)
	switch err := s.downloads.fetch(ctx, p, s.goos, s.goarch, made); {
	case err == nil:
		s.report("downloaded %s %s (%.0f s)", p.Name, p.Version, time.Since(start).Seconds())
		return true, os.Rename(made, s.file(p))
	case !errors.Is(err, errUnreachable):
		return false, err
	case err.Error() != s.told:
		s.told = err.Error()
		s.report("can't download: %s\nbuilding from Go modules instead, which takes minutes the first time", s.told)
	}
	return false, nil
}

// make builds programs of one module, in one run of the compiler: it doesn't idle while a program is linked.
func (s *Store) make(ctx context.Context, module string, programs []Program) error {
	temp, err := s.scratch(programs[0])
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	start := time.Now()
	if err := s.build(ctx, module, temp, programs); err != nil {
		return err
	}
	var names []string
	for _, program := range programs {
		if err := os.Rename(filepath.Join(temp, program.Name), s.file(program)); err != nil {
			return err
		}
		names = append(names, program.Name)
	}
	s.report("built %s %s (%.0f s)", strings.Join(names, ", "), programs[0].Version, time.Since(start).Seconds())
	return nil
}

// scratch is a new folder beside a program, whose lock is held. Others there are what runs that were killed left.
func (s *Store) scratch(p Program) (string, error) {
	folder := filepath.Dir(s.file(p))
	leftovers, err := filepath.Glob(filepath.Join(folder, ".new-*"))
	if err != nil {
		return "", err
	}
	for _, leftover := range leftovers {
		if err := os.RemoveAll(leftover); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(folder, ".new-")
}

// goBuild builds programs of one module, and with the same flags of the linker, into a folder.
func goBuild(ctx context.Context, module, folder string, programs []Program) error {
	target := folder + string(filepath.Separator)
	if len(programs) == 1 { // whose package may have another name
		target += programs[0].Name
	}
	// Without debug information, these programs compile and link faster. Paths are not trimmed: then modules of the
	// same version are compiled once for all modules here that use them, also where a go.mod replaces others by them.
	arguments := []string{
		"build", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags", strings.TrimSpace("-s -w " + programs[0].ldflags), "-o", target,
	}
	for _, program := range programs {
		arguments = append(arguments, program.importPath)
	}
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = module
	// No workspace or module flag of the caller's may reach into these modules. The compiler is a short process for each package: it is a
	// tenth faster if it doesn't collect its garbage before it has two GiB.
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly", "PWD="+module, "GOGC=off", "GOMEMLIMIT=2GiB")
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, tail(output))
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
