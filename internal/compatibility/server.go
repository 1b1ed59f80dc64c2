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

package compatibility

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"
)

// MinimumVersion is the oldest Kubernetes that the operator runs on.
//
// The protocol needs Jobs that finish only when their pods have terminated (1.31; assumption A4 of docs/safety.md): on an older server, a
// Job is complete while its pod still writes. The CRD has selectable fields (1.32, where they can't be turned off). Between 1.32 and this
// version nothing is missing, but nothing is tested.
var MinimumVersion = version.MajorMinor(1, 33)

// ErrTooOld means that the API server is older than MinimumVersion.
var ErrTooOld = errors.New("the Kubernetes API server is too old")

// CheckServer returns an error that wraps ErrTooOld if the API server is too old, and another error if its version can't be read.
func CheckServer(info *apiversion.Info) error {
	server, err := serverVersion(info)
	if err != nil {
		return err
	}
	if server.LessThan(MinimumVersion) {
		return fmt.Errorf("%w: it is %s, and drain-operator requires %s or newer. Upgrade Kubernetes, or uninstall drain-operator",
			ErrTooOld, server, MinimumVersion)
	}
	return nil
}

// serverVersion returns the version whose API the server offers. A server that emulates an older version has that version's behavior.
// Vendors append to each part: "33+", "v1.33.1-gke.100". A build of an API server that sets no version says "v0.0.0".
func serverVersion(info *apiversion.Info) (*version.Version, error) {
	for _, text := range []string{
		info.EmulationMajor + "." + info.EmulationMinor,
		info.GitVersion,
		info.Major + "." + info.Minor,
	} {
		if v, err := version.ParseGeneric(text); err == nil && v.Major() > 0 {
			return version.MajorMinor(v.Major(), v.Minor()), nil
		}
	}
	return nil, fmt.Errorf("unknown version of the Kubernetes API server: gitVersion %q, major %q, minor %q",
		info.GitVersion, info.Major, info.Minor)
}
