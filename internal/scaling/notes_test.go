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

package scaling

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func TestNotesKeepWhatTheyDoNotKnow(t *testing.T) {
	policy := &drainv1alpha1.DrainPolicy{}
	metav1.SetMetaDataAnnotation(&policy.ObjectMeta, drainv1alpha1.MembersAnnotation, `{"3":{"job":2,"action":"leave","template":"x","time":"2026-08-01T12:00:00Z","later":"version"}}`)
	note := &Note{Job: 1, Action: leaves, Template: "y", Time: metav1.NewTime(noon)}
	if err := note.Set(policy, 2); err != nil {
		t.Fatal(err)
	}
	text := policy.Annotations[drainv1alpha1.MembersAnnotation]
	if !strings.Contains(text, `"later":"version"`) {
		t.Errorf("what another version noted is lost: %s", text)
	}
	notes, err := NotesOf(policy)
	if err != nil {
		t.Fatal(err)
	}
	want := Notes{2: *note, 3: {Job: 2, Action: leaves, Template: "x", Time: metav1.NewTime(noon)}}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	for ordinal := range notes {
		if err := (*Note)(nil).Set(policy, ordinal); err != nil {
			t.Fatal(err)
		}
	}
	if len(policy.Annotations) > 0 {
		t.Errorf("nothing is noted, and the policy has %v", policy.Annotations)
	}
}

func TestNotesThatCantBeReadAreAnError(t *testing.T) {
	for _, text := range []string{"no", `[]`, `{"-1":{"job":1}}`, `{"a":{"job":1}}`, `{"1":{"job":-1}}`, `{"1":{"job":2147483647}}`, `{"1":{"failures":-2}}`, `{"1":7}`} {
		policy := &drainv1alpha1.DrainPolicy{}
		metav1.SetMetaDataAnnotation(&policy.ObjectMeta, drainv1alpha1.MembersAnnotation, text)
		if notes, err := NotesOf(policy); err == nil {
			t.Errorf("%s is read as %v", text, notes)
		}
	}
}

// TestNoteIsWrittenAsBefore holds the text that other versions read. docs/upgrade.md has the rule for a change.
func TestNoteIsWrittenAsBefore(t *testing.T) {
	policy := &drainv1alpha1.DrainPolicy{}
	noon := metav1.NewTime(time.Date(2026, time.August, 1, 12, 0, 0, 0, time.UTC))
	note := &Note{Job: 2, Action: drainv1alpha1.ActionLeave, Failures: 1, Template: "hash", Time: noon}
	if err := note.Set(policy, 3); err != nil {
		t.Fatal(err)
	}
	want := `{"3":{"job":2,"action":"leave","failures":1,"template":"hash","time":"2026-08-01T12:00:00Z"}}`
	if got := policy.Annotations["drain.statefulset.dev/members"]; got != want {
		t.Errorf("the annotation is\n%s\nbut other versions expect\n%s", got, want)
	}
}
