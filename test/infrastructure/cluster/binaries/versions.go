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
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// KubernetesVersion is the newest release, which the cluster runs unless another one is asked for.
const KubernetesVersion = "v1.37.0"

// Kubernetes is a minor release of Kubernetes that the cluster can run. What differs between them belongs here.
type Kubernetes struct {
	// Minor is what people call it by, such as 1.37.
	Minor string
	// Version is the one patch release that is downloaded or built. Its module is kubernetes/<Minor>, which kubernetes/pin.sh writes.
	Version string
	// KindImage is the image of kind's nodes. kind publishes one for the first patch release of every minor, and for few others.
	KindImage string
	// Gates are the feature gates that a person sets, as --feature-gates takes them.
	Gates string
}

// minors lists the supported minors, oldest first.
var minors = []Kubernetes{
	{Minor: "1.33", Version: "v1.33.13", KindImage: "kindest/node:v1.33.0"},
	{Minor: "1.34", Version: "v1.34.4", KindImage: "kindest/node:v1.34.0"},
	{Minor: "1.35", Version: "v1.35.4", KindImage: "kindest/node:v1.35.0"},
	{Minor: "1.36", Version: "v1.36.3", KindImage: "kindest/node:v1.36.0"},
	{Minor: "1.37", Version: KubernetesVersion, KindImage: "kindest/node:v1.37.0"},
}

// Minors returns the supported minors, oldest first.
func Minors() []string {
	var names []string
	for _, k := range minors {
		names = append(names, k.Minor)
	}
	return names
}

// Newest returns the newest minor.
func Newest() Kubernetes { return minors[len(minors)-1] }

var isMinor = regexp.MustCompile(`^v?(1\.\d+)(\.(\d+|x))?$`)

// FindKubernetes returns the minor that a person asks for, by its name or by its patch release.
func FindKubernetes(name string) (Kubernetes, error) {
	match := isMinor.FindStringSubmatch(name)
	for _, k := range minors {
		if len(match) == 0 || match[1] != k.Minor {
			continue
		}
		if patch := match[3]; patch != "" && patch != "x" && "v"+strings.TrimPrefix(name, "v") != k.Version {
			return Kubernetes{}, fmt.Errorf("of Kubernetes %s there is only %s here, not %s: ask for %s", k.Minor, k.Version, name, k.Minor)
		}
		return k, nil
	}
	return Kubernetes{}, fmt.Errorf("Kubernetes %q can't be had here: there are %s", name, strings.Join(Minors(), ", "))
}

// String is what a person calls it, with the feature gates.
func (k Kubernetes) String() string {
	if k.Gates == "" {
		return k.Minor
	}
	return k.Minor + " with " + k.Gates
}

// Is reports whether a cluster that runs k is the one that is asked for.
func (k Kubernetes) Is(asked Kubernetes) bool {
	return k.Minor == asked.Minor && k.Gates == asked.Gates
}

// Save notes in a file which Kubernetes a cluster runs.
func (k Kubernetes) Save(file string) error {
	return os.WriteFile(file, []byte(k.Minor+" "+k.Gates+"\n"), 0o644)
}

// Saved returns which Kubernetes a cluster runs, and false where the file isn't there.
func Saved(file string) (Kubernetes, bool, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Kubernetes{}, false, nil
	}
	if err != nil {
		return Kubernetes{}, false, err
	}
	minor, gates, _ := strings.Cut(strings.TrimSpace(string(content)), " ")
	k, err := FindKubernetes(minor)
	k.Gates = gates
	return k, err == nil, err
}

// program returns one of the programs of the minor.
func (k Kubernetes) program(name string) Program {
	return Program{
		Name: name, Version: k.Version, release: kubernetesRelease,
		module: "kubernetes/" + k.Minor, importPath: "k8s.io/kubernetes/cmd/" + name,
		// Without it kubectl fails to parse the unset version, $Format.
		ldflags: "-X k8s.io/component-base/version.gitVersion=" + k.Version +
			" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=" + strings.TrimPrefix(k.Minor, "1."),
	}
}
