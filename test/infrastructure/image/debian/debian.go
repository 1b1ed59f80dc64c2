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

package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// format is part of the layers' names; it changes with what is written for equal packages.
const format = "1"

// Layer returns the file of a compressed layer with the packages, and makes it if it isn't in the cache folder yet.
func Layer(ctx context.Context, cache, architecture string, packages []string) (string, error) {
	own, err := run(ctx, "dpkg", "--print-architecture")
	if err != nil {
		return "", fmt.Errorf("packages come from this machine's apt, and it must be Debian's: %w", err)
	}
	if own = strings.TrimSpace(own); own != architecture {
		return "", fmt.Errorf("this machine's packages are for %s, the image is for %s", own, architecture)
	}
	layers := filepath.Join(cache, "debian")
	if err := os.MkdirAll(layers, 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(layers, ".work-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)

	a := apt{folder: temp, packages: packages}
	layer, archives, err := a.fetch(ctx, layers)
	if err != nil {
		// The machine may be new, or the archive has moved on since apt last looked.
		if _, update := run(ctx, "apt-get", "update", "-qq"); update != nil {
			return "", errors.Join(err, update)
		}
		layer, archives, err = a.fetch(ctx, layers)
	}
	if err != nil || archives == nil {
		return layer, err
	}
	return layer, write(layer, archives, func(archive string, unpack func(io.Reader) error) error { return open(ctx, archive, unpack) })
}

// apt is a question to apt: what does it take to install these packages on a machine that has none?
type apt struct {
	folder   string
	packages []string
}

// fetch returns the file of the layer and, if it isn't there yet, the downloaded packages that it is to be made of.
func (a apt) fetch(ctx context.Context, layers string) (string, []string, error) {
	list, err := a.install(ctx, "--print-uris")
	if err != nil {
		return "", nil, err
	}
	key, names, err := parse(list)
	if err != nil {
		return "", nil, err
	}
	layer := filepath.Join(layers, key+".tar.gz")
	if _, err := os.Stat(layer); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return layer, nil, err
	}
	if _, err := a.install(ctx, "--download-only"); err != nil {
		return "", nil, err
	}
	for i, name := range names {
		names[i] = filepath.Join(a.folder, name)
		if _, err := os.Stat(names[i]); err != nil {
			return "", nil, fmt.Errorf("apt-get didn't download it: %w", err)
		}
	}
	return layer, names, nil
}

func (a apt) install(ctx context.Context, how string) (string, error) {
	args := []string{
		"install", how, "--yes", "-qq", "--no-install-recommends",
		// Nothing is installed yet, whatever this machine has; and what apt remembers of that must not reach its caches.
		"-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
		"-o", "Dir::Cache::archives=" + a.folder,
		// The user that apt downloads as can't get into folders below a home.
		"-o", "APT::Sandbox::User=root",
		// Debian and its security archive both have it; of MD5, which is what apt prints by itself, only one does.
		"-o", "Acquire::ForceHash=SHA256",
		// What debian:12-slim has. Without usr-is-merged, apt takes usrmerge instead, and Perl with it.
		"?essential", "usr-is-merged",
	}
	return run(ctx, "apt-get", append(args, a.packages...)...)
}

// parse reads lines like
//
//	'http://deb.debian.org/debian/pool/main/d/dash/dash_0.5.12-2_amd64.deb' dash_0.5.12-2_amd64.deb 97436 MD5Sum:…
//
// and returns the packages' file names, sorted, and a key for them with their checksums.
func parse(list string) (string, []string, error) {
	var names, entries []string
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) != 4 || !strings.HasSuffix(fields[1], ".deb") {
			return "", nil, fmt.Errorf("apt-get --print-uris printed %q", line)
		}
		names = append(names, fields[1])
		entries = append(entries, strings.Join(fields[1:], " "))
	}
	if len(names) == 0 {
		return "", nil, fmt.Errorf("apt-get knows nothing to install")
	}
	slices.Sort(names)
	slices.Sort(entries)
	sum := sha256.Sum256([]byte(format + "\n" + strings.Join(entries, "\n")))
	return hex.EncodeToString(sum[:16]), names, nil
}

// open hands over the files of a package as a tar stream.
func open(ctx context.Context, archive string, unpack func(io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", archive)
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	err = unpack(stdout)
	if err != nil {
		cancel() // It would wait for a reader forever.
	} else {
		_, err = io.Copy(io.Discard, stdout)
	}
	if ended := command.Wait(); err == nil && ended != nil {
		return fmt.Errorf("dpkg-deb: %w: %s", ended, bytes.TrimSpace(stderr.Bytes()))
	}
	return err
}

func run(ctx context.Context, program string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
