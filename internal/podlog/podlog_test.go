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

package podlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// fake answers every request with a text, and remembers what it was asked for.
type fake struct {
	text  string
	err   error
	asked *corev1.PodLogOptions
}

func (f *fake) Stream(_ context.Context, _ types.NamespacedName, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	f.asked = options
	return io.NopCloser(strings.NewReader(f.text)), f.err
}

func TestTailIsTheEndInWholeLines(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, tc := range map[string]struct {
		log  string
		want string
	}{
		"an empty log":                   {"", ""},
		"a log that fits":                {"one\ntwo\n", "one\ntwo"},
		"a log that fits exactly":        {"no\n" + strings.Repeat("y", 9) + "\n", strings.Repeat("y", 9)},
		"a log of which one line fits":   {"first\nsecond\nthird\n", "third"},
		"a last line that is too long":   {"first\n" + long + "the end", "xxxthe end"},
		"a cut at the start of a line":   {"first\n0123456789\n", "0123456789"},
		"colors, and a bell":             {"\x1b[31mred\a\x1b[0m\n", "[31mred[0m"},
		"a line that overwrites itself":  {"10%\r20%\n", "10%20%"},
		"bytes that are no text":         {"a\xff\xfeb\n", "ab"},
		"a character that is cut in two": {strings.Repeat("ß", 20), strings.Repeat("ß", 5)},
		"a tab":                          {"a\tb\n", "a\tb"},
	} {
		t.Run(name, func(t *testing.T) {
			reader := &fake{text: tc.log}
			got, err := Tail(t.Context(), reader, Container{Name: "drain", Previous: true}, 10)
			if err != nil || got != tc.want {
				t.Errorf("Tail = %q, %v, want %q", got, err, tc.want)
			}
			if reader.asked.Container != "drain" || !reader.asked.Previous || *reader.asked.TailLines != 100 || *reader.asked.LimitBytes != 2<<20 {
				t.Errorf("asked for %+v", reader.asked)
			}
		})
	}
}

// TestTailReadsNoMoreThanItAskedFor has an answer without an end, as of a kubelet that ignores the limit.
func TestTailReadsNoMoreThanItAskedFor(t *testing.T) {
	endless := &endless{}
	got, err := Tail(t.Context(), endless, Container{}, 10)
	if err != nil || len(got) != 10 || endless.read > maxRead+64<<10 {
		t.Errorf("%d bytes were read, and Tail = %q, %v", endless.read, got, err)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'z'
	}
	e.read += len(p)
	return len(p), nil
}

func (*endless) Close() error { return nil }

func (e *endless) Stream(context.Context, types.NamespacedName, *corev1.PodLogOptions) (io.ReadCloser, error) {
	return e, nil
}

func TestSinceTellsTheTimeOfEachLine(t *testing.T) {
	from := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	reader := &fake{text: "2026-08-01T12:00:01.5Z one two\n2026-08-01T12:00:02Z \nof a line that was cut\n2026-08-01T12:00:03Z \x1b[1mthree\n"}
	got, err := Since(t.Context(), reader, Container{Name: "drain"}, from)
	if err != nil {
		t.Fatal(err)
	}
	want := []Line{{from.Add(1500 * time.Millisecond), "one two"}, {from.Add(2 * time.Second), ""}, {from.Add(3 * time.Second), "[1mthree"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if !reader.asked.Timestamps || *reader.asked.TailLines != 2000 || !reader.asked.SinceTime.Time.Equal(from) {
		t.Errorf("asked for %+v", reader.asked)
	}
	if _, err := Since(t.Context(), reader, Container{}, time.Time{}); err != nil || reader.asked.SinceTime != nil {
		t.Errorf("asked for %+v without a time: %v", reader.asked, err)
	}
}

func TestWhyNotSaysWhatToDo(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods/log"}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{apierrors.NewForbidden(pods, "web-2", errors.New("no")), "grant it get on pods/log"},
		{fmt.Errorf("reading: %w", apierrors.NewNotFound(pods, "web-2")), "the pod was gone"},
		{fmt.Errorf("reading: %w", context.DeadlineExceeded), "did not answer in 5s"},
		{errors.New("no route to host"), "no route to host"},
	} {
		if got := WhyNot(tc.err); !strings.Contains(got, tc.want) {
			t.Errorf("WhyNot(%v) = %q, want %q in it", tc.err, got, tc.want)
		}
	}
}
