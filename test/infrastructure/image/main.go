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
	"strings"

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
	var programs, files, packages, entrypoint, env list
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	imageName := flags.String("name", "", "name and tag of the image, for example localhost/drain-operator:dev")
	output := flags.String("output", "", "file that the archive is written to")
	user := flags.String("user", "", "uid:gid that the image runs as; root when empty")
	arch := flags.String("arch", runtime.GOARCH, "architecture of the image")
	flags.Var(&programs, "binary", "static program as <file>=<path in the image>; may be given several times")
	flags.Var(&files, "file", "any other file as <file>=<path in the image>; may be given several times")
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
	opts := archive.Options{Name: *imageName, Architecture: *arch, Entrypoint: entrypoint, User: *user, Env: env}
	for _, pair := range programs {
		file, err := parseFile(top, pair)
		if err != nil {
			return fmt.Errorf("--binary %w", err)
		}
		if err := archive.CheckStatic(file.Source, *arch); err != nil {
			return err
		}
		file.Executable = true
		opts.Files = append(opts.Files, file)
	}
	for _, pair := range files {
		file, err := parseFile(top, pair)
		if err != nil {
			return fmt.Errorf("--file %w", err)
		}
		opts.Files = append(opts.Files, file)
	}
	if len(packages) > 0 {
		cache, err := binaries.CacheFolder()
		if err != nil {
			return err
		}
		layer, err := debian.Layer(ctx, cache, *arch, packages)
		if err != nil {
			return fmt.Errorf("--deb: %w", err)
		}
		opts.Layers = append(opts.Layers, layer)
	}
	target := repo.Path(top, *output)
	if err := archive.Write(target, opts); err != nil {
		return err
	}
	fmt.Printf("%s: %s for linux/%s\n", target, *imageName, *arch)
	return nil
}

func parseFile(top, pair string) (archive.File, error) {
	source, target, found := strings.Cut(pair, "=")
	if !found || source == "" || target == "" {
		return archive.File{}, fmt.Errorf("%q must be <file>=<path in the image>", pair)
	}
	return archive.File{Source: repo.Path(top, source), Target: target}, nil
}
