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
	"regexp"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/podlog"
)

// form is what reports progress, at the start of a line, after a logger's own words, or as a quoted string in them.
var form = regexp.MustCompile(`(?:^|[\s"])drain-progress:[ \t]*(?:(\d{1,3})%)?[ \t,:]*(.*)$`)

// parse returns what a line of a log reports, or nil if it is none.
func parse(line podlog.Line) *drainv1alpha1.DrainProgress {
	found := form.FindStringSubmatchIndex(line.Text)
	if found == nil {
		return nil
	}
	reported := &drainv1alpha1.DrainProgress{Time: ptr.To(metav1.NewTime(line.Time))}
	if found[2] >= 0 {
		percent, err := strconv.Atoi(line.Text[found[2]:found[3]])
		if err != nil || percent > 100 {
			return nil
		}
		reported.Percent = ptr.To(int32(percent))
	}
	words := line.Text[found[4]:found[5]]
	if line.Text[found[0]] == '"' {
		words, _, _ = strings.Cut(words, `"`) // The rest is the logger's.
		words = strings.TrimRight(words, `\`)
	}
	reported.Message = shorten(strings.TrimSpace(words))
	return reported
}

// shorten cuts words to what the schema takes.
func shorten(words string) string {
	characters := []rune(words)
	if len(characters) <= drainv1alpha1.MaxProgressMessage {
		return words
	}
	return string(characters[:drainv1alpha1.MaxProgressMessage-1]) + "…"
}
