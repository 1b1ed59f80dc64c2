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

package versions

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheMinorsAreThoseOfTheCluster compares what is supported with what the local cluster can run, and with what CI runs.
func TestTheMinorsAreThoseOfTheCluster(t *testing.T) {
	var want []string
	for minor := Oldest; minor <= Newest; minor++ {
		want = append(want, fmt.Sprintf("1.%d", minor))
	}
	modules, err := filepath.Glob("../infrastructure/cluster/binaries/kubernetes/1.*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range modules {
		modules[i] = filepath.Base(modules[i])
	}
	if diff := cmp.Diff(want, modules); diff != "" {
		t.Errorf("the local cluster runs other minors (-want +got):\n%s", diff)
	}
	targets, err := os.ReadFile("../../.ci/targets")
	if err != nil {
		t.Fatal(err)
	}
	if oldest := fmt.Sprintf(" test-version KUBERNETES=1.%d\n", Oldest); !strings.Contains(string(targets), oldest) {
		t.Errorf(".ci/targets doesn't have%s", oldest)
	}
}

func TestIn(t *testing.T) {
	for minor, want := range map[int]Stage{33: Absent, 35: Absent, 36: Alpha, 37: Beta, 38: Beta} {
		if got := Unused.In(minor); got != want {
			t.Errorf("In(%d) = %q, want %q", minor, got, want)
		}
	}
	replaced := Feature{Alpha: 28, Beta: 29, GA: 34}
	for minor, want := range map[int]Stage{27: Absent, 28: Alpha, 33: Beta, 34: GA} {
		if got := replaced.In(minor); got != want {
			t.Errorf("In(%d) = %q, want %q", minor, got, want)
		}
		if on := replaced.On(minor); on != (minor >= 29) {
			t.Errorf("On(%d) = %t", minor, on)
		}
	}
}

func TestMinor(t *testing.T) {
	for said, want := range map[string]int{"33": 33, "35+": 35} {
		if got, err := Minor(said); got != want || err != nil {
			t.Errorf("Minor(%q) = %d, %v", said, got, err)
		}
	}
	if _, err := Minor("master"); err == nil {
		t.Error(`Minor("master") is a number`)
	}
}

func TestGatesRefusesWhatIsNotTheMetrics(t *testing.T) {
	if gates, err := Gates("404 page not found\n"); err == nil {
		t.Errorf("got %v", gates)
	}
}
