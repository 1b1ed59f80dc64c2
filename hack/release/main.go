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

// Release makes and checks the parts of a release that hack/release/release.sh puts together:
//
//	go run -C hack/release . notes -changelog CHANGELOG.md -version v0.1.0 -output dist/release/RELEASE_NOTES.md
//	go run -C hack/release . check -version v0.1.0 dist/release
//
// Relative paths are read from the top of the repository, where the Makefile runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// commands are the subcommands, each of which takes its own flags.
var commands = map[string]func(ctx context.Context, args []string) error{
	"archive":   runArchive,
	"check":     runCheck,
	"checksums": runChecksums,
	"digest":    runDigest,
	"notes":     runNotes,
	"notices":   runNotices,
	"sbom":      runSBOM,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || commands[args[0]] == nil {
		names := make([]string, 0, len(commands))
		for name := range commands {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("say what to do: %s", strings.Join(names, ", "))
	}
	if err := commands[args[0]](ctx, args[1:]); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// fromTop makes a path of the command line absolute: "go run -C" changed the working folder to that of this module.
func fromTop(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join("..", "..", path)
}

// sourceDate is the time of SOURCE_DATE_EPOCH, the convention of reproducible builds.
func sourceDate() (time.Time, error) {
	value := os.Getenv("SOURCE_DATE_EPOCH")
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH must be seconds since 1970, not %q", value)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

var errNoFiles = errors.New("no files given")
