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
	"fmt"
	"slices"
	"strings"
)

// Versions of the other programs. Each is also in the go.mod of the module it is built in; a test compares the two.
const (
	EtcdVersion       = "v3.7.3"
	ContainerdVersion = "v2.4.2"
	CoreDNSVersion    = "v1.14.7"
	KwokVersion       = "v0.8.0"
)

// Program is one executable and both ways to it.
type Program struct {
	Name    string
	Version string

	// release is where it is published.
	release release
	// module is the folder, below this package's, of the Go module that builds it, and importPath its main package.
	module, importPath string
	// ldflags are added to the linker's.
	ldflags string
}

// release says where a program is published. {version}, {number} (the version without its v), {os}, {arch} and {name}
// are filled in.
type release struct {
	// url is the program itself, or the archive that holds it.
	url string
	// member is the program's path in the archive; empty where the url is the program.
	member string
	// checksums is the file with the published checksum: a bare checksum, or lines of "<checksum>  <file>".
	checksums string
}

var (
	kubernetesRelease = release{
		url:       "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/{name}",
		checksums: "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/{name}.sha256",
	}
	etcdRelease = release{
		url:       "https://github.com/etcd-io/etcd/releases/download/{version}/etcd-{version}-{os}-{arch}.tar.gz",
		member:    "etcd-{version}-{os}-{arch}/{name}",
		checksums: "https://github.com/etcd-io/etcd/releases/download/{version}/SHA256SUMS",
	}
	// The static build: the other one needs the C library of a distribution newer than Debian's.
	containerdRelease = release{
		url:       "https://github.com/containerd/containerd/releases/download/{version}/containerd-static-{number}-{os}-{arch}.tar.gz",
		member:    "bin/{name}",
		checksums: "https://github.com/containerd/containerd/releases/download/{version}/containerd-static-{number}-{os}-{arch}.tar.gz.sha256sum",
	}
	corednsRelease = release{
		url:       "https://github.com/coredns/coredns/releases/download/{version}/coredns_{number}_{os}_{arch}.tgz",
		member:    "coredns",
		checksums: "https://github.com/coredns/coredns/releases/download/{version}/coredns_{number}_{os}_{arch}.tgz.sha256",
	}
)

func containerd(name string) Program {
	return Program{
		Name: name, Version: ContainerdVersion, release: containerdRelease,
		module: "containerd", importPath: "github.com/containerd/containerd/v2/cmd/" + name,
		ldflags: "-X github.com/containerd/containerd/v2/version.Version=" + ContainerdVersion,
	}
}

// kubernetesPrograms are the programs that each minor of Kubernetes has, the first build first.
var kubernetesPrograms = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet", "kube-proxy"}

// others lists the programs that are the same with every minor, the first build of each module first.
var others = []Program{
	{Name: "etcd", Version: EtcdVersion, release: etcdRelease, module: "etcd", importPath: "go.etcd.io/etcd/server/v3"},
	containerd("containerd"),
	containerd("containerd-shim-runc-v2"),
	containerd("ctr"),
	{Name: "coredns", Version: CoreDNSVersion, release: corednsRelease, module: "coredns", importPath: "."},
	// Fake nodes, for the benchmark. Always built: its release has no checksums, and a Go module has.
	{Name: "kwok", Version: KwokVersion, module: "kwok", importPath: "sigs.k8s.io/kwok/cmd/kwok"},
	// The project's own: no release anywhere, always built. Their version is what their source hashes to.
	{Name: "volume-provisioner", module: "volume-provisioner", importPath: "."},
	{Name: "pause", module: "pause", importPath: "."},
}

// Names of all programs.
func Names() []string {
	names := slices.Clone(kubernetesPrograms)
	for _, program := range others {
		names = append(names, program.Name)
	}
	return names
}

// find returns the program of a name, as it goes with a minor of Kubernetes.
func (k Kubernetes) find(name string) (Program, error) {
	if slices.Contains(kubernetesPrograms, name) {
		return k.program(name), nil
	}
	i := slices.IndexFunc(others, func(p Program) bool { return p.Name == name })
	if i < 0 {
		return Program{}, fmt.Errorf("no program is called %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return others[i], nil
}

// fill replaces the placeholders of a release's template.
func (p Program) fill(template, goos, goarch string) string {
	return strings.NewReplacer(
		"{version}", p.Version,
		"{number}", strings.TrimPrefix(p.Version, "v"),
		"{os}", goos,
		"{arch}", goarch,
		"{name}", p.Name,
	).Replace(template)
}
