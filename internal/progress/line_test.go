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

package progress

import (
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/google/go-cmp/cmp"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/podlog"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		line    string
		none    bool
		percent int32 // -1 for none
		message string
	}{
		"a percentage and words":          {line: "drain-progress: 40% moved 12 of 30 files", percent: 40, message: "moved 12 of 30 files"},
		"a percentage alone":              {line: "drain-progress: 0%", percent: 0},
		"one hundred percent":             {line: "drain-progress: 100%, done", percent: 100, message: "done"},
		"words alone":                     {line: "drain-progress: 12 files moved", percent: -1, message: "12 files moved"},
		"a sign of life":                  {line: "drain-progress:", percent: -1},
		"no space":                        {line: "drain-progress:7%", percent: 7},
		"a number that is no percentage":  {line: "drain-progress: 40 files", percent: -1, message: "40 files"},
		"after a logger's time and level": {line: "2026/08/01 12:00:00 INFO drain-progress: 40% x", percent: 40, message: "x"},
		"slog's text handler":             {line: `time=2026-08-01T12:00:00Z level=INFO msg="drain-progress: 40% of \"a\"" record=7`, percent: 40, message: "of"},
		"slog's text handler, in part":    {line: `level=INFO msg="drain-progress: 40% moved 12" record=7`, percent: 40, message: "moved 12"},
		"a JSON logger":                   {line: `{"level":"info","msg":"drain-progress: 40% moved 12 of 30","n":1}`, percent: 40, message: "moved 12 of 30"},
		"more than one hundred percent":   {line: "drain-progress: 101% x", none: true},
		"another word that ends like it":  {line: "my-drain-progress: 40%", none: true},
		"without a colon":                 {line: "drain-progress 40%", none: true},
		"an empty line":                   {line: "", none: true},
		"words that are too long":         {line: "drain-progress: 1% " + strings.Repeat("ß", 300), percent: 1, message: strings.Repeat("ß", 255) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			at := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
			got := parse(podlog.Line{Time: at, Text: tc.line})
			if tc.none {
				if got != nil {
					t.Errorf("parse = %+v, want none", got)
				}
				return
			}
			if got == nil {
				t.Fatal("parse found no report")
			}
			want := drainv1alpha1.DrainProgress{Time: got.Time, Message: tc.message}
			if tc.percent >= 0 {
				want.Percent = ptr.To(tc.percent)
			}
			if diff := cmp.Diff(want, *got); diff != "" || !got.Time.Time.Equal(at) {
				t.Errorf("at %v (-want +got):\n%s", got.Time, diff)
			}
		})
	}
}
