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

package addons

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/template"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/node"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/image/archive"
)

// CoreDNSImage is the image of the cluster's DNS server.
const CoreDNSImage = "localhost/coredns:cluster"

//go:embed manifests.yaml
var manifests string

// Manifests are the objects to apply. upstream reports whether a server resolves names outside the cluster.
func Manifests(l layout.Layout, nodes int, upstream bool) (string, error) {
	parsed, err := template.New("manifests").Parse(manifests)
	if err != nil {
		return "", err
	}
	var content strings.Builder
	err = parsed.Execute(&content, map[string]any{
		"CoreDNSImage":  CoreDNSImage,
		"DNSIP":         l.DNSIP(),
		"ClusterDomain": layout.ClusterDomain,
		"Provisioner":   layout.Provisioner,
		"DNSReplicas":   min(nodes, 2),
		"Upstream":      upstream,
	})
	return content.String(), err
}

// Images makes the archives of the cluster's own images in a folder of the cache, and returns them.
func Images(folder, programs string) ([]string, error) {
	var archives []string
	for _, image := range []struct{ program, name string }{
		{"pause", node.PauseImage},
		{"coredns", CoreDNSImage},
	} {
		// The program's folder in the cache is named for its version, and so is the archive.
		program, err := filepath.EvalSymlinks(filepath.Join(programs, image.program))
		if err != nil {
			return nil, err
		}
		target := filepath.Join(folder, filepath.Base(filepath.Dir(program))+".tar")
		archives = append(archives, target)
		if _, err := os.Stat(target); err == nil {
			continue
		}
		if err := archive.CheckStatic(program, runtime.GOARCH); err != nil {
			return nil, err
		}
		if err := archive.Write(target, archive.Options{
			Name: image.name, Architecture: runtime.GOARCH, User: "65532:65532",
			Files:      []archive.File{{Source: program, Target: "/" + image.program, Executable: true}},
			Entrypoint: []string{"/" + image.program},
		}); err != nil {
			return nil, fmt.Errorf("image of %s: %w", image.program, err)
		}
	}
	return archives, nil
}

// ResolvConf is what the machine resolves names by, without the servers that only the machine itself reaches.
func ResolvConf() string {
	// systemd-resolved keeps the real servers in a file of its own.
	for _, file := range []string{"/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"} {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var kept []string
		for line := range strings.Lines(string(content)) {
			fields := strings.Fields(line)
			if len(fields) < 2 || fields[0] != "nameserver" || strings.HasPrefix(fields[1], "127.") || strings.Contains(fields[1], ":") {
				continue
			}
			kept = append(kept, "nameserver "+fields[1])
		}
		if len(kept) > 0 {
			return strings.Join(kept, "\n") + "\n"
		}
	}
	return ""
}
