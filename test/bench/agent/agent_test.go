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

package agent

import (
	"testing"
)

func TestKibibytes(t *testing.T) {
	status := "Name:\tmanager\nVmHWM:\t   65536 kB\nVmRSS:\t   32768 kB\n"
	for field, want := range map[string]float64{"VmHWM": 64, "VmRSS": 32} {
		if got, err := kibibytes(status, field); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v MiB", field, got, err, want)
		}
	}
	if _, err := kibibytes(status, "VmSwap"); err == nil {
		t.Error("a field that is not there has no error")
	}
}

func TestProfileAddress(t *testing.T) {
	for arg, want := range map[string]string{
		"--pprof-bind-address=:6060":          "127.0.0.1:6060",
		"-pprof-bind-address=127.0.0.1:6060":  "127.0.0.1:6060",
		"--pprof-bind-address=localhost:6060": "localhost:6060",
	} {
		if got, err := profileAddress([]string{"--leader-elect", arg}); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", arg, got, err, want)
		}
	}
	if _, err := profileAddress([]string{"--leader-elect"}); err == nil {
		t.Error("arguments without the address have no error")
	}
}
