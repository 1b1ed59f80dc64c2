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
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// platforms are the options of one image for two architectures.
func platforms(t *testing.T) []Options {
	t.Helper()
	var all []Options
	for _, architecture := range []string{"amd64", "arm64"} {
		opts := options(t)
		opts.Architecture = architecture
		opts.Files[0].Source = write(t, t.TempDir(), "thing", "program for "+architecture)
		opts.Labels = map[string]string{"org.opencontainers.image.version": "v1"}
		opts.Created = time.Unix(1700000000, 0)
		all = append(all, opts)
	}
	return all
}

// readLayout unpacks the archive of a layout and returns the descriptor of its only index, and the index.
func readLayout(t *testing.T, file string) (v1.Descriptor, v1.ImageIndex) {
	t.Helper()
	folder := t.TempDir()
	archive, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(epoch) {
			t.Errorf("%s has the time %s, which makes each build another archive", header.Name, header.ModTime)
		}
		target := filepath.Join(folder, filepath.FromSlash(header.Name))
		if header.Typeflag == tar.TypeDir {
			if err := os.Mkdir(target, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the layout has %d images, want 1", len(manifest.Manifests))
	}
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Manifests[0], index
}

func TestWriteLayout(t *testing.T) {
	output := filepath.Join(t.TempDir(), "below", "thing.tar")
	if err := WriteLayout(output, platforms(t)); err != nil {
		t.Fatal(err)
	}
	descriptor, index := readLayout(t, output)
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	wantNames := map[string]string{ociName: "dev", containerdName: "localhost/thing:dev"}
	if diff := cmp.Diff(wantNames, descriptor.Annotations); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.MediaType != types.OCIImageIndex || manifest.Annotations["org.opencontainers.image.version"] != "v1" {
		t.Errorf("got index %+v", manifest)
	}
	var got []string
	for _, m := range manifest.Manifests {
		got = append(got, m.Platform.String())
		image, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != m.Platform.Architecture || config.Created.Unix() != 1700000000 ||
			config.Config.Labels["org.opencontainers.image.version"] != "v1" || m.MediaType != types.OCIManifestSchema1 {
			t.Errorf("%s: got config %+v, media type %s", m.Platform, config, m.MediaType)
		}
		if content := entries(t, image)["bin/thing"].content; content != "program for "+config.Architecture {
			t.Errorf("%s: got %q as the program", m.Platform, content)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, got); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
}

func TestWriteLayoutIsReproducible(t *testing.T) {
	var archives [][]byte
	for range 2 {
		output := filepath.Join(t.TempDir(), "thing.tar")
		if err := WriteLayout(output, platforms(t)); err != nil { // the files are new each time
			t.Fatal(err)
		}
		content, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, content)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("equal input gave two archives")
	}
}

func TestWriteLayoutRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func([]Options) []Options
		want   string
	}{
		"no architecture at all": {func([]Options) []Options { return nil }, "no architecture"},
		"one architecture twice": {func(o []Options) []Options { return []Options{o[0], o[0]} }, "twice"},
		"a missing file":         {func(o []Options) []Options { o[1].Files[0].Source += "none"; return o }, "no such file"},
		"a bad name":             {func(o []Options) []Options { o[0].Name = "Not A Name"; return o }, "image name"},
	} {
		t.Run(name, func(t *testing.T) {
			output := filepath.Join(t.TempDir(), "thing.tar")
			err := WriteLayout(output, test.change(platforms(t)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if _, err := os.Stat(output); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("left an archive behind: %v", err)
			}
		})
	}
}
