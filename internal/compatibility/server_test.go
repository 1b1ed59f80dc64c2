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
	"testing"

	apiversion "k8s.io/apimachinery/pkg/version"
)

func TestCheckServer(t *testing.T) {
	const (
		fits    = ""
		tooOld  = "too old"
		unknown = "unknown"
	)
	for name, test := range map[string]struct {
		info apiversion.Info
		want string
	}{
		"the oldest supported version":                  {apiversion.Info{Major: "1", Minor: "33", GitVersion: "v1.33.0"}, fits},
		"a newer minor":                                 {apiversion.Info{Major: "1", Minor: "37", GitVersion: "v1.37.2"}, fits},
		"a newer major":                                 {apiversion.Info{Major: "2", Minor: "0", GitVersion: "v2.0.0"}, fits},
		"the minor before the oldest":                   {apiversion.Info{Major: "1", Minor: "32", GitVersion: "v1.32.9"}, tooOld},
		"a minor of one digit":                          {apiversion.Info{Major: "1", Minor: "9", GitVersion: "v1.9.11"}, tooOld},
		"a pre-release of the oldest":                   {apiversion.Info{Major: "1", Minor: "33+", GitVersion: "v1.33.0-rc.1"}, fits},
		"a vendor's suffix":                             {apiversion.Info{Major: "1", Minor: "33", GitVersion: "v1.33.1-gke.100"}, fits},
		"a vendor's build":                              {apiversion.Info{Major: "1", Minor: "33+", GitVersion: "v1.33.4-eks-113cf36"}, fits},
		"a vendor's build metadata":                     {apiversion.Info{Major: "1", Minor: "35", GitVersion: "v1.35.2+k3s1"}, fits},
		"an old version with a vendor's suffix":         {apiversion.Info{Major: "1", Minor: "32+", GitVersion: "v1.32.7-gke.2000"}, tooOld},
		"only major and minor":                          {apiversion.Info{Major: "1", Minor: "34+"}, fits},
		"only major and minor, and old":                 {apiversion.Info{Major: "1", Minor: "20+"}, tooOld},
		"a gitVersion that isn't one":                   {apiversion.Info{Major: "1", Minor: "34", GitVersion: "unknown"}, fits},
		"a version without a patch":                     {apiversion.Info{GitVersion: "v1.33"}, fits},
		"a new server that emulates the oldest version": {apiversion.Info{GitVersion: "v1.36.0", EmulationMajor: "1", EmulationMinor: "33"}, fits},
		"a new server that emulates an old version":     {apiversion.Info{GitVersion: "v1.35.0", EmulationMajor: "1", EmulationMinor: "32"}, tooOld},
		"a build without a version":                     {apiversion.Info{GitVersion: "v0.0.0-master+$Format:%H$"}, unknown},
		"nothing":                                       {apiversion.Info{}, unknown},
		"words":                                         {apiversion.Info{Major: "one", Minor: "new", GitVersion: "main"}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			got := fits
			switch err := CheckServer(&test.info); {
			case errors.Is(err, ErrTooOld):
				got = tooOld
			case err != nil:
				got = unknown
			}
			if got != test.want {
				t.Errorf("CheckServer(%v): %q, want %q", test.info, got, test.want)
			}
		})
	}
}
