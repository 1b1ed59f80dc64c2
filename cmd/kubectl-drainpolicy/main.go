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

// Command kubectl-drainpolicy is the kubectl plugin of drain-operator. kubectl runs it as `kubectl drainpolicy`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the authentication plugins that a kubeconfig can name
	"k8s.io/utils/clock"

	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/cli"
)

// These are set by the linker (-X main.version=…). Without them, they come from what Go records about the build.
var (
	version = ""
	commit  = "unknown"
)

func main() {
	if info, ok := debug.ReadBuildInfo(); version == "" && ok {
		version = info.Main.Version
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	about := fmt.Sprintf("kubectl-drainpolicy %s, commit %s, %s, %s/%s", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	err := cli.New(streams, clock.RealClock{}, about).ExecuteContext(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "error: "+err.Error())
	}
	os.Exit(cli.ExitCode(err))
}
