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

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"sigs.k8s.io/yaml"
)

// architectures are those of the operator's image, and the machines that the headers of their programs name.
var architectures = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// wanted says what a release holds.
type wanted struct {
	folder, version, commit, image, date string
	// chart and plugins say whether this tree has a Helm chart, and which archives of a kubectl plugin.
	chart   bool
	plugins []string
}

func runCheck(ctx context.Context, args []string) error {
	var w wanted
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.StringVar(&w.version, "version", "", "version, for example v0.1.0")
	flags.StringVar(&w.commit, "commit", "", "commit that the release is made of")
	flags.StringVar(&w.image, "image", "", "image that install.yaml runs, without its digest")
	flags.StringVar(&w.date, "date", "", "time of the commit, in RFC 3339")
	flags.BoolVar(&w.chart, "chart", false, "the release has a Helm chart")
	plugins := flags.String("plugins", "", "archives of the kubectl plugin, separated by spaces")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("name the folder")
	}
	w.plugins = strings.Fields(*plugins)
	w.folder = fromTop(flags.Arg(0))
	return w.check(ctx)
}

// krewFile is the manifest of the plugin for krew, which wants it named like the plugin.
const krewFile = "drainpolicy.yaml"

// The names of a release's files.
func (w wanted) imageFile() string { return "drain-operator-" + w.version + "-image.tar" }
func (w wanted) sbomFile(arch string) string {
	return "drain-operator-" + w.version + "-linux-" + arch + ".spdx.json"
}
func (w wanted) chartFile() string {
	return "drain-operator-" + strings.TrimPrefix(w.version, "v") + ".tgz"
}

// check returns an error that names everything that the folder lacks, has too much or has wrong.
func (w wanted) check(ctx context.Context) error {
	temp, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	digest, imageErr := w.checkImage(ctx, temp)
	errs := []error{w.checkFiles(), imageErr, w.checkInstall(digest)}
	for arch := range architectures {
		program := filepath.Join(temp, arch, "manager")
		errs = append(errs, w.inFile(w.sbomFile(arch), func(text []byte) error { return checkSBOM(text, program, w.version) }))
	}
	if len(w.plugins) > 0 {
		errs = append(errs, w.inFile(krewFile, w.checkKrew))
	}
	errs = append(errs, w.inFile("THIRD_PARTY_NOTICES.txt", func(text []byte) error {
		return checkNotices(text, filepath.Join(temp, "amd64", "manager"))
	}))
	return errors.Join(errs...)
}

// checkKrew returns an error if the manifest for krew does not have every archive with its checksum.
func (w wanted) checkKrew(text []byte) error {
	var manifest struct {
		Spec struct {
			Version   string
			Platforms []struct{ URI, Sha256, Bin string }
		}
	}
	if err := yaml.Unmarshal(text, &manifest); err != nil {
		return err
	}
	if manifest.Spec.Version != w.version {
		return fmt.Errorf("is of version %q", manifest.Spec.Version)
	}
	sums := map[string]string{}
	for _, p := range manifest.Spec.Platforms {
		sums[path.Base(p.URI)] = p.Sha256
	}
	for _, archive := range w.plugins {
		content, err := os.ReadFile(filepath.Join(w.folder, archive))
		if err != nil {
			return err
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(content)); sums[archive] != sum {
			return fmt.Errorf("has checksum %q for %s, which has %s", sums[archive], archive, sum)
		}
	}
	if len(sums) != len(w.plugins) {
		return fmt.Errorf("has %d platforms, and there are %d archives", len(sums), len(w.plugins))
	}
	return nil
}

// inFile checks the content of one file of the release.
func (w wanted) inFile(name string, check func(text []byte) error) error {
	text, err := os.ReadFile(filepath.Join(w.folder, name))
	if err == nil {
		err = check(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (w wanted) checkFiles() error {
	want := []string{checksumsFile, "RELEASE_NOTES.md", "THIRD_PARTY_NOTICES.txt", "install.yaml", "free.sh", w.imageFile()}
	for arch := range architectures {
		want = append(want, w.sbomFile(arch))
	}
	if w.chart {
		want = append(want, w.chartFile())
	}
	want = append(want, w.plugins...)
	if len(w.plugins) > 0 {
		want = append(want, krewFile)
	}
	entries, err := os.ReadDir(w.folder)
	if err != nil {
		return err
	}
	var errs []error
	got := map[string]bool{}
	for _, e := range entries {
		got[e.Name()] = true
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			errs = append(errs, fmt.Errorf("%s is empty", e.Name()))
		}
		if !slices.Contains(want, e.Name()) {
			errs = append(errs, fmt.Errorf("%s is no part of a release", e.Name()))
		}
	}
	for _, name := range want {
		if !got[name] {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	sums, err := checksums(w.folder)
	errs = append(errs, err, w.inFile(checksumsFile, func(text []byte) error {
		if string(text) != sums {
			return fmt.Errorf("the sums aren't those of the files")
		}
		return nil
	}))
	return errors.Join(errs...)
}

// openImage unpacks the archive of the image into a folder and returns its only index, with its digest.
func openImage(file, folder string) (v1.ImageIndex, v1.Hash, error) {
	archive, err := os.Open(file)
	if err != nil {
		return nil, v1.Hash{}, err
	}
	defer archive.Close()
	if _, err := unpack(archive, folder); err != nil {
		return nil, v1.Hash{}, err
	}
	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, v1.Hash{}, err
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		return nil, v1.Hash{}, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, v1.Hash{}, fmt.Errorf("the layout has %d images, not one", len(manifest.Manifests))
	}
	digest := manifest.Manifests[0].Digest
	index, err := outer.ImageIndex(digest)
	return index, digest, err
}

func runDigest(_ context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name the archive of the image")
	}
	temp, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	_, digest, err := openImage(fromTop(args[0]), temp)
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}

// checkImage checks the operator's image, and leaves the manager of each architecture in <temp>/<architecture>/manager.
func (w wanted) checkImage(ctx context.Context, temp string) (digest v1.Hash, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", w.imageFile(), err)
		}
	}()
	folder := filepath.Join(temp, "layout")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return digest, err
	}
	index, digest, err := openImage(filepath.Join(w.folder, w.imageFile()), folder)
	if err != nil {
		return digest, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return digest, err
	}
	var got []string
	for _, m := range manifest.Manifests {
		if m.Platform == nil {
			return digest, fmt.Errorf("the index doesn't say what platform %s is for", m.Digest)
		}
		got = append(got, m.Platform.String())
	}
	slices.Sort(got)
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(got, want) {
		return digest, fmt.Errorf("the image is for %v, not %v", got, want)
	}
	if err := validate.Index(index); err != nil {
		return digest, err
	}
	for _, m := range manifest.Manifests {
		arch := m.Platform.Architecture
		image, err := index.Image(m.Digest)
		if err != nil {
			return digest, err
		}
		if err := errors.Join(w.checkConfig(image, arch), w.checkProgram(ctx, image, arch, filepath.Join(temp, arch))); err != nil {
			return digest, fmt.Errorf("linux/%s: %w", arch, err)
		}
	}
	return digest, nil
}

func (w wanted) checkConfig(image v1.Image, arch string) error {
	file, err := image.ConfigFile()
	if err != nil {
		return err
	}
	var errs []error
	expect := func(name, got, want string) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s is %q, not %q", name, got, want))
		}
	}
	expect("the platform", file.OS+"/"+file.Architecture, "linux/"+arch)
	expect("the entrypoint", strings.Join(file.Config.Entrypoint, " "), "/manager")
	expect("the user", file.Config.User, "65532:65532")
	expect("the time", file.Created.UTC().Format("2006-01-02T15:04:05Z07:00"), w.date)
	for key, want := range map[string]string{
		"title": "drain-operator", "version": w.version, "revision": w.commit, "created": w.date,
		"source": homepage, "url": homepage, "licenses": "Apache-2.0",
	} {
		expect("label "+key, file.Config.Labels["org.opencontainers.image."+key], want)
	}
	if file.Config.Labels["org.opencontainers.image.description"] == "" {
		errs = append(errs, fmt.Errorf("label description is missing"))
	}
	return errors.Join(errs...)
}

// checkProgram takes the files out of the image and checks the manager: by running it where this machine can, and by reading it.
func (w wanted) checkProgram(ctx context.Context, image v1.Image, arch, folder string) error {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	content := mutate.Extract(image)
	defer content.Close()
	entries, err := unpack(content, folder)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.name)
	}
	slices.Sort(names)
	if want := []string{"licenses/LICENSE", "licenses/THIRD_PARTY_NOTICES.txt", "manager"}; !slices.Equal(names, want) {
		return fmt.Errorf("the image has %v, not %v", names, want)
	}
	manager := filepath.Join(folder, "manager")
	program, err := elf.Open(manager)
	if err != nil {
		return err
	}
	defer program.Close()
	if program.Machine != architectures[arch] {
		return fmt.Errorf("the manager is built for %s", program.Machine)
	}
	if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("the manager is linked dynamically")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != arch {
		return nil
	}
	info, err := buildinfo.ReadFile(manager)
	if err != nil {
		return err
	}
	output, err := exec.CommandContext(ctx, manager, "--version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("manager --version: %w: %s", err, output)
	}
	for _, want := range []string{w.version, w.commit, info.GoVersion} {
		if !bytes.Contains(output, []byte(want)) {
			return fmt.Errorf("manager --version doesn't say %q, but %q", want, output)
		}
	}
	return nil
}

// checkInstall checks that install.yaml has all kinds that the operator needs, and runs the image of this release.
func (w wanted) checkInstall(digest v1.Hash) error {
	return w.inFile("install.yaml", func(text []byte) error {
		image := w.image
		// An image of a registry is pinned by its digest; without one, the name is that of the image's archive.
		if !strings.HasPrefix(image, "localhost/") {
			image += "@" + digest.String()
		}
		missing := map[string]bool{
			"Namespace": true, "CustomResourceDefinition": true, "ServiceAccount": true, "ClusterRole": true, "ClusterRoleBinding": true,
			"Deployment": true, "ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true,
		}
		for part := range strings.SplitSeq(string(text), "\n---\n") {
			var object struct {
				Kind string `json:"kind"`
				Spec struct {
					Template struct {
						Spec struct {
							Containers []struct {
								Image string `json:"image"`
							} `json:"containers"`
						} `json:"spec"`
					} `json:"template"`
				} `json:"spec"`
			}
			if err := yaml.Unmarshal([]byte(part), &object); err != nil && missing[object.Kind] {
				return err
			}
			delete(missing, object.Kind)
			if object.Kind != "Deployment" {
				continue
			}
			if got := object.Spec.Template.Spec.Containers; len(got) != 1 || got[0].Image != image {
				return fmt.Errorf("the Deployment runs %v, not %s", got, image)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("it has no object of the kinds %v", missing)
		}
		return nil
	})
}

// checkNotices returns an error unless the text names all modules that the program was linked from.
func checkNotices(text []byte, program string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	for _, m := range info.Deps {
		want := m.Path + " " + m.Version + ": "
		if m.Replace != nil {
			want = m.Path + " " + m.Replace.Version + ": "
		}
		if !bytes.Contains(text, []byte("\n"+want)) {
			return fmt.Errorf("%s is in the program, but not in the notices", strings.TrimSuffix(want, ": "))
		}
	}
	return nil
}
