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
	"fmt"
	"runtime/debug"

	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	buildversion "github.com/prometheus/common/version"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// These are set by the linker (-X main.version=…). Without them, they come from what Go records about the build.
var (
	version = ""
	commit  = ""
)

func init() {
	if info, ok := debug.ReadBuildInfo(); version == "" && ok && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	if version == "" {
		version = "unknown"
	}
	buildversion.Version, buildversion.Revision = version, commit
	// The metric drain_operator_build_info.
	metrics.Registry.MustRegister(versioncollector.NewCollector("drain_operator"))
}

// buildLine is what --version prints.
func buildLine() string {
	return fmt.Sprintf("drain-operator %s, commit %s, %s, %s/%s",
		version, buildversion.GetRevision(), buildversion.GoVersion, buildversion.GoOS, buildversion.GoArch)
}
