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

package archive

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Keys of the annotations that docker load and ctr images import read the name of an image of a layout from.
const (
	ociName        = "org.opencontainers.image.ref.name"
	containerdName = "io.containerd.image.name"
)

// WriteLayout makes one image for several architectures, one of the options each, and writes it to output, whole or not at all, as the
// archive of an OCI image layout. The options agree on name and labels.
func WriteLayout(output string, platforms []Options) error {
	if len(platforms) == 0 {
		return fmt.Errorf("no architecture given")
	}
	imageName := platforms[0].Name
	tag, err := name.NewTag(imageName)
	if err != nil {
		return fmt.Errorf("image name %q: %w", imageName, err)
	}
	index, err := buildIndex(platforms)
	if err != nil {
		return fmt.Errorf("image %s: %w", imageName, err)
	}
	// The format of a layout is a folder; the archive is that folder as it is.
	folder, err := os.MkdirTemp("", "layout")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		ociName:        tag.TagStr(),
		containerdName: tag.Name(),
	})); err != nil {
		return fmt.Errorf("write image %s: %w", imageName, err)
	}
	return writeWhole(output, func(w io.Writer) error { return archiveFolder(w, folder) })
}

func buildIndex(platforms []Options) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	seen := map[string]bool{}
	for _, opts := range platforms {
		if seen[opts.Architecture] {
			return nil, fmt.Errorf("architecture %s is given twice", opts.Architecture)
		}
		seen[opts.Architecture] = true
		image, err := build(opts, ociFormat)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: opts.Architecture}},
		})
	}
	if labels := platforms[0].Labels; len(labels) > 0 {
		// Registries show these of an image for several architectures, since its index has no configuration with labels.
		index = mutate.Annotations(index, labels).(v1.ImageIndex)
	}
	return index, nil
}

// archiveFolder writes the files of a folder in the order of their names, with nothing of this machine but their content.
func archiveFolder(w io.Writer, folder string) error {
	writer := tar.NewWriter(w)
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || file == folder {
			return err
		}
		relative, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		target := filepath.ToSlash(relative)
		if entry.IsDir() {
			return writer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: target + "/", Mode: 0o755, ModTime: epoch})
		}
		return addFile(writer, File{Source: file, Target: target})
	})
	if err != nil {
		return err
	}
	return writer.Close()
}
