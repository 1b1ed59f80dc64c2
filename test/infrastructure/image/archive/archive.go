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
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time that every file carries, and the image itself unless it has a time of its own, for the archive to depend on nothing but
// its content.
var epoch = time.Unix(0, 0).UTC()

// File is one file of the image.
type File struct {
	// Source is the file on this machine.
	Source string
	// Target is its absolute path in the image.
	Target string
	// Executable lets every user run it.
	Executable bool
	// Link makes it a symbolic link to this path in the image, without a Source.
	Link string
}

// Options say what the image holds and how it starts.
type Options struct {
	// Name is the image's name with its tag, for example localhost/drain-operator:dev.
	Name string
	// Architecture is the platform's architecture; the operating system is always linux.
	Architecture string
	// Layers are the files of compressed layers that the image's own files come on top of.
	Layers     []string
	Files      []File
	Entrypoint []string
	// User is uid:gid; empty means root.
	User string
	// Env are NAME=value pairs beside PATH.
	Env []string
	// Labels describe the image.
	Labels map[string]string
	// Created is the time of the image. Defaults to the start of 1970.
	Created time.Time
}

// Write makes the image and writes its archive to output, whole or not at all.
func Write(output string, opts Options) error {
	tag, err := name.NewTag(opts.Name)
	if err != nil {
		return fmt.Errorf("image name %q: %w", opts.Name, err)
	}
	image, err := build(opts, dockerFormat)
	if err != nil {
		return fmt.Errorf("image %s: %w", opts.Name, err)
	}
	err = writeWhole(output, func(w io.Writer) error { return tarball.Write(tag, image, w) })
	if err != nil {
		return fmt.Errorf("write image %s to %s: %w", opts.Name, output, err)
	}
	return nil
}

// writeWhole writes a file whole or not at all.
func writeWhole(output string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(output), "."+filepath.Base(output)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if err := write(temp); err != nil {
		temp.Close()
		return err
	}
	if err := temp.Chmod(0o644); err != nil {
		temp.Close()
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), output)
}

// format is what an image is encoded as.
type format struct {
	manifest, config, layer types.MediaType
	compression             int
}

var (
	// dockerFormat is for loads on this machine only, where time matters more than size.
	dockerFormat = format{types.DockerManifestSchema2, types.DockerConfigJSON, types.DockerLayer, gzip.BestSpeed}
	ociFormat    = format{types.OCIManifestSchema1, types.OCIConfigJSON, types.OCILayer, gzip.BestCompression}
)

func build(opts Options, format format) (v1.Image, error) {
	if opts.Architecture == "" {
		return nil, fmt.Errorf("no architecture given: containerd skips an image that names none")
	}
	if len(opts.Files)+len(opts.Layers) == 0 {
		return nil, fmt.Errorf("no files given")
	}
	var layers []v1.Layer
	for _, file := range opts.Layers {
		layer, err := tarball.LayerFromFile(file)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", file, err)
		}
		layers = append(layers, layer)
	}
	if len(opts.Files) > 0 {
		content, err := layerContent(opts.Files)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(content)), nil
		}, tarball.WithCompressionLevel(format.compression), tarball.WithMediaType(format.layer))
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	created := opts.Created.UTC()
	if opts.Created.IsZero() {
		created = epoch
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, format.manifest), format.config)
	for _, layer := range layers {
		var err error
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:   layer,
			History: v1.History{CreatedBy: "drain-operator test/infrastructure/image", Created: v1.Time{Time: created}},
		})
		if err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS = "linux"
	config.Architecture = opts.Architecture
	config.Created = v1.Time{Time: created}
	config.Config.Entrypoint = opts.Entrypoint
	config.Config.User = opts.User
	config.Config.Labels = opts.Labels
	config.Config.WorkingDir = "/"
	config.Config.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, opts.Env...)
	return mutate.ConfigFile(image, config)
}

// layerContent is the uncompressed layer: the files and, once each, the folders above them.
func layerContent(files []File) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Target, b.Target) })

	var content bytes.Buffer
	writer := tar.NewWriter(&content)
	folders := map[string]bool{}
	for i, file := range files {
		if !path.IsAbs(file.Target) || path.Clean(file.Target) != file.Target || file.Target == "/" {
			return nil, fmt.Errorf("target %q of %s must be a clean absolute path", file.Target, file.Source)
		}
		if i > 0 && files[i-1].Target == file.Target {
			return nil, fmt.Errorf("target %s is given twice: %s and %s", file.Target, files[i-1].Source, file.Source)
		}
		if err := addFolders(writer, folders, path.Dir(file.Target)); err != nil {
			return nil, err
		}
		if err := addFile(writer, file); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

func addFolders(writer *tar.Writer, done map[string]bool, folder string) error {
	if folder == "/" || done[folder] {
		return nil
	}
	if err := addFolders(writer, done, path.Dir(folder)); err != nil {
		return err
	}
	done[folder] = true
	return writer.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir,
		Name:     strings.TrimPrefix(folder, "/") + "/",
		Mode:     0o755,
		ModTime:  epoch,
	})
}

func addFile(writer *tar.Writer, file File) error {
	if file.Link != "" {
		return writer.WriteHeader(&tar.Header{
			Typeflag: tar.TypeSymlink,
			Name:     strings.TrimPrefix(file.Target, "/"),
			Linkname: file.Link,
			Mode:     0o777,
			ModTime:  epoch,
		})
	}
	source, err := os.Open(file.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", file.Source)
	}
	mode := int64(0o644)
	if file.Executable {
		mode = 0o755
	}
	if err := writer.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Name:     strings.TrimPrefix(file.Target, "/"),
		Size:     info.Size(),
		Mode:     mode,
		ModTime:  epoch,
	}); err != nil {
		return err
	}
	_, err = io.Copy(writer, source)
	return err
}
