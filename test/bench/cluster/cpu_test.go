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

package cluster

import (
	"testing"
	"time"
)

func TestCPU(t *testing.T) {
	stat := "4711 (a ) program) S 1 4711 4711 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 9 0 12345 0 0"
	if got, err := cpu(stat); err != nil || got != 3250*time.Millisecond {
		t.Errorf("got %s, %v, want 3.25s", got, err)
	}
	for _, stat := range []string{"", "1 (x) S 1", "no parenthesis at all"} {
		if _, err := cpu(stat); err == nil {
			t.Errorf("%q has no error", stat)
		}
	}
}
