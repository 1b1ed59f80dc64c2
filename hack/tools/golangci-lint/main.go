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
