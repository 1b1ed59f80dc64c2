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

package controller

import (
	"testing"
	"time"
)

func TestLateness(t *testing.T) {
	start := time.Date(2026, time.August, 1, 12, 0, 0, 0, time.UTC)
	l := &lateness{}
	for _, step := range []struct {
		after time.Duration
		note  time.Duration
		want  time.Duration
	}{
		{after: 0, want: 0},
		{after: time.Second, note: 7 * time.Second, want: 7 * time.Second},
		// Another drain was reported sooner, and a policy without drains shows nothing.
		{after: 2 * time.Second, note: 2 * time.Second, want: 7 * time.Second},
		{after: 3 * time.Second, note: 0, want: 7 * time.Second},
		{after: 30 * time.Second, note: 9 * time.Second, want: 9 * time.Second},
		{after: 90 * time.Second, want: 9 * time.Second},
		{after: 91 * time.Second, want: 0},
		{after: 92 * time.Second, note: time.Second, want: time.Second},
	} {
		now := start.Add(step.after)
		l.note(step.note, now)
		if got := l.recall(now); got != step.want {
			t.Errorf("after %s: late by %s, want %s", step.after, got, step.want)
		}
	}
}
