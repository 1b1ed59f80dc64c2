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

// Command golangci-lint is golangci-lint with the linters that Kubernetes projects add to it compiled in: the Kubernetes API linter
// (kubeapilinter) and logcheck. It is what "golangci-lint custom" would generate, kept here so that every version is pinned in one go.sum.
package main

import (
	"fmt"
	"os"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter"
	_ "sigs.k8s.io/logtools/logcheck/gclplugin"
)

// version is set by the linker to the version of golangci-lint in go.mod, because golangci-lint reports it and checks the
// configuration against it.
var version = "unknown"

func main() {
	if err := commands.Execute(commands.BuildInfo{Version: version, GoVersion: "unknown", Commit: "?", Date: "(unknown)"}); err != nil {
		fmt.Fprintf(os.Stderr, "The command is terminated due to an error: %v\n", err)
		os.Exit(exitcodes.Failure)
	}
}
