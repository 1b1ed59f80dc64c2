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

import "testing"

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
