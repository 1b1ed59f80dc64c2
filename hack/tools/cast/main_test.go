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
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestARecordingHasTheLinesThatAreShownWithBoundedPauses(t *testing.T) {
	at := time.Unix(0, 0)
	pauses := []time.Duration{0, time.Second, time.Minute, 500 * time.Millisecond, time.Second}
	now := func() time.Time {
		at = at.Add(pauses[0])
		pauses = pauses[1:]
		return at
	}
	r := recording{from: regexp.MustCompile("^begin"), to: regexp.MustCompile("^end"), idle: 2 * time.Second, width: 80, height: 24}
	var output strings.Builder
	if err := r.write(&output, strings.NewReader("before\nbegin\n\"wait\"\nlast\nend\n"), now); err != nil {
		t.Fatal(err)
	}
	want := `{"height":24,"version":2,"width":80}
[0,"o","begin\r\n"]
[2,"o","\"wait\"\r\n"]
[2.5,"o","last\r\n"]
`
	if output.String() != want {
		t.Errorf("got\n%s\nwant\n%s", output.String(), want)
	}
}

func TestARecordingOfNothingIsAnError(t *testing.T) {
	r := recording{from: regexp.MustCompile("never")}
	if err := r.write(&strings.Builder{}, strings.NewReader("a\n"), time.Now); err == nil {
		t.Error("there is no error")
	}
}
