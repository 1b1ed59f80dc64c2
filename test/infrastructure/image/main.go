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
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/image/archive"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/image/debian"
	"github.com/statefulset-dev/drain-operator/test/infrastructure/internal/repo"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var programs, files, links, packages, entrypoint, env, labels list
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	imageName := flags.String("name", "", "name and tag of the image, for example localhost/drain-operator:dev")
	output := flags.String("output", "", "file that the archive is written to")
	user := flags.String("user", "", "uid:gid that the image runs as; root when empty")
	arch := flags.String("arch", runtime.GOARCH, "architecture of the image; with --oci, several separated by commas")
	oci := flags.Bool("oci", false, "write the archive of an OCI image layout, with an image for each architecture")
	flags.Var(&programs, "binary", "static program as <file>=<path in the image>; {arch} in it is the architecture; may be given several times")
	flags.Var(&files, "file", "any other file as <file>=<path in the image>; may be given several times")
	flags.Var(&links, "link", "symbolic link as <path that it leads to>=<path in the image>; may be given several times")
	flags.Var(&labels, "label", "label of the image as NAME=value; may be given several times")
	flags.Var(&packages, "deb", "Debian package that the image has, with all that it depends on; may be given several times")
	flags.Var(&entrypoint, "entrypoint", "program that the image starts; given several times, the rest are its arguments")
	flags.Var(&env, "env", "environment variable as NAME=value; may be given several times")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *imageName == "":
		return fmt.Errorf("--name is required")
	case *output == "":
		return fmt.Errorf("--output is required")
	}

	top, err := repo.Top()
	if err != nil {
		return err
	}
	opts := archive.Options{Name: *imageName, Entrypoint: entrypoint, User: *user, Env: env}
	if opts.Labels, err = parseLabels(labels); err != nil {
		return err
	}
	if opts.Created, err = sourceDate(); err != nil {
		return err
	}
	for _, pair := range files {
		file, err := parseFile(top, pair)
		if err != nil {
			return fmt.Errorf("--file %w", err)
		}
		opts.Files = append(opts.Files, file)
	}
	for _, pair := range links {
		to, link, found := strings.Cut(pair, "=")
		if !found || to == "" {
			return fmt.Errorf("--link %q must be <path that it leads to>=<path in the image>", pair)
		}
		opts.Files = append(opts.Files, archive.File{Target: link, Link: to})
	}
	target := repo.Path(top, *output)
	if !*oci {
		if opts, err = forArchitecture(ctx, opts, *arch, top, programs, packages); err != nil {
			return err
		}
		err = archive.Write(target, opts)
	} else {
		var platforms []archive.Options
		for a := range strings.SplitSeq(*arch, ",") {
			platform, err := forArchitecture(ctx, opts, a, top, programs, packages)
			if err != nil {
				return err
			}
			platforms = append(platforms, platform)
		}
		err = archive.WriteLayout(target, platforms)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s for linux/%s\n", target, *imageName, strings.ReplaceAll(*arch, ",", ", linux/"))
	return nil
}

// forArchitecture returns the options with all that depends on the architecture.
func forArchitecture(ctx context.Context, opts archive.Options, arch, top string, programs, packages []string) (archive.Options, error) {
	opts.Architecture = arch
	opts.Files = slices.Clone(opts.Files)
	for _, pair := range programs {
		file, err := parseFile(top, strings.ReplaceAll(pair, "{arch}", arch))
		if err != nil {
			return opts, fmt.Errorf("--binary %w", err)
		}
		if err := archive.CheckStatic(file.Source, arch); err != nil {
			return opts, err
		}
		file.Executable = true
		opts.Files = append(opts.Files, file)
	}
	if len(packages) > 0 {
		cache, err := binaries.CacheFolder()
		if err != nil {
			return opts, err
		}
		layer, err := debian.Layer(ctx, cache, arch, packages)
		if err != nil {
			return opts, fmt.Errorf("--deb: %w", err)
		}
		opts.Layers = append(slices.Clone(opts.Layers), layer)
	}
	return opts, nil
}

// sourceDate is the time of SOURCE_DATE_EPOCH, the convention of reproducible builds, and zero without it.
func sourceDate() (time.Time, error) {
	value := os.Getenv("SOURCE_DATE_EPOCH")
	if value == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH must be seconds since 1970, not %q", value)
	}
	return time.Unix(seconds, 0), nil
}

func parseLabels(pairs []string) (map[string]string, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	labels := map[string]string{}
	for _, pair := range pairs {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" || value == "" {
			return nil, fmt.Errorf("--label %q must be NAME=value", pair)
		}
		labels[key] = value
	}
	return labels, nil
}

func parseFile(top, pair string) (archive.File, error) {
	source, target, found := strings.Cut(pair, "=")
	if !found || source == "" || target == "" {
		return archive.File{}, fmt.Errorf("%q must be <file>=<path in the image>", pair)
	}
	return archive.File{Source: repo.Path(top, source), Target: target}, nil
}
