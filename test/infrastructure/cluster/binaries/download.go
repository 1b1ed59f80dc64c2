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
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// connectTimeout is how long a host may take to answer at all; a machine that can't reach it should not wait for long.
const connectTimeout = 3 * time.Second

// errUnreachable says that a host didn't answer, or doesn't have the file; the program is built instead.
var errUnreachable = errors.New("unreachable")

// downloader gets releases, and remembers which hosts could not be reached.
type downloader struct {
	client *http.Client

	mu   sync.Mutex
	dead map[string]error
}

func newDownloader() *downloader {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   2 * connectTimeout,
		ResponseHeaderTimeout: 5 * connectTimeout,
	}
	return &downloader{client: &http.Client{Transport: transport}, dead: map[string]error{}}
}

// fetch writes the program's release to target after checking its published checksum. An error that wraps
// errUnreachable means that there is no release to be had; any other, that what came can't be trusted.
func (d *downloader) fetch(ctx context.Context, p Program, goos, goarch, target string) error {
	if p.release.url == "" {
		return fmt.Errorf("%s has no release: %w", p.Name, errUnreachable)
	}
	address := p.fill(p.release.url, goos, goarch)
	want, err := d.checksum(ctx, p.fill(p.release.checksums, goos, goarch), path.Base(address))
	if err != nil {
		return err
	}
	body, err := d.get(ctx, address)
	if err != nil {
		return err
	}
	defer body.Close()

	temp, err := os.CreateTemp(path.Dir(target), ".download.*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	digest := sha256.New()
	if _, err := io.Copy(io.MultiWriter(temp, digest), body); err != nil {
		return fmt.Errorf("download %s: %w: %w", address, errUnreachable, err)
	}
	if got := sum(digest); got != want {
		return fmt.Errorf("%s has the sha256 checksum %s, published is %s: refusing to run it", address, got, want)
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if p.release.member == "" {
		return writeProgram(target, temp)
	}
	return extract(target, temp, p.fill(p.release.member, goos, goarch))
}

// checksum reads the published sha256 checksum of a file.
func (d *downloader) checksum(ctx context.Context, address, file string) (string, error) {
	body, err := d.get(ctx, address)
	if err != nil {
		return "", err
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("download %s: %w: %w", address, errUnreachable, err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		bare := len(fields) == 1
		named := len(fields) == 2 && path.Base(strings.TrimPrefix(fields[1], "*")) == file
		if bare || named {
			if _, err := hex.DecodeString(fields[0]); err != nil || len(fields[0]) != 2*sha256.Size {
				return "", fmt.Errorf("%s holds no sha256 checksum for %s", address, file)
			}
			return strings.ToLower(fields[0]), nil
		}
	}
	return "", fmt.Errorf("%s holds no sha256 checksum for %s", address, file)
}

// get opens an address. A host that could not be reached once is not tried again.
func (d *downloader) get(ctx context.Context, address string) (io.ReadCloser, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	dead := d.dead[parsed.Host]
	d.mu.Unlock()
	if dead != nil {
		return nil, dead
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := d.client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failure := fmt.Errorf("%s is %w: %w", parsed.Host, errUnreachable, rootCause(err))
		d.mu.Lock()
		d.dead[parsed.Host] = failure
		d.mu.Unlock()
		return nil, failure
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s answers %s: %w", address, response.Status, errUnreachable)
	}
	return response.Body, nil
}

// rootCause leaves out the address, which has its own place in the message.
func rootCause(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}

func sum(digest hash.Hash) string { return hex.EncodeToString(digest.Sum(nil)) }

func extract(target string, archive io.Reader, member string) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	reader := tar.NewReader(unzipped)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the release holds no file %s", member)
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeReg && path.Clean(header.Name) == member {
			return writeProgram(target, reader)
		}
	}
}

func writeProgram(target string, content io.Reader) error {
	file, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, content); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// tail is the end of a command's output, enough to see why it failed.
func tail(output []byte) string {
	lines := bytes.Split(bytes.TrimSpace(output), []byte("\n"))
	if len(lines) > 20 {
		lines = lines[len(lines)-20:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}
