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

package claims

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

var (
	noon  = metav1.Date(2026, time.August, 1, 12, 0, 0, 0, time.UTC)
	later = metav1.NewTime(noon.Add(time.Second))
)

func TestMarkSurvivesTheAnnotation(t *testing.T) {
	mark := Mark{
		ClaimUID: "uid-of-data-web-2", LockUID: "lock", StatefulSetUID: "set", Generation: 3, UnusedSince: &noon,
		Job: "web-2-drain-x", Attempts: 4, Time: noon, Outcome: "moved 12 records",
	}
	claim := makeClaim("data-web-2").mark(mark).unused(corev1.ConditionTrue, noon).obj()
	if diff := cmp.Diff(&mark, ReadMark(claim)); diff != "" {
		t.Errorf("ReadMark (-want +got):\n%s", diff)
	}
}

func TestMarkStringBoundsWhatItSays(t *testing.T) {
	mark := Mark{
		ClaimUID: "uid-of-c-0", Time: metav1.NewTime(noon.Add(345 * time.Millisecond)),
		Outcome: strings.Repeat("ü", maxOutcome),
	}
	got := ParseMark(makeClaim("c-0").mark(mark).obj())
	if got == nil {
		t.Fatalf("ParseMark can't read %s", mark)
	}
	if len(got.Outcome) > maxOutcome || !utf8.ValidString(got.Outcome) ||
		!strings.HasPrefix(mark.Outcome, got.Outcome) || len(got.Outcome) < maxOutcome-utf8.UTFMax {
		t.Errorf("the outcome has %d bytes, want at most %d, in whole characters: %q",
			len(got.Outcome), maxOutcome, got.Outcome)
	}
	if !got.Time.Equal(&noon) {
		t.Errorf("time = %v, want %v, to the second", got.Time, noon)
	}
	odd := Mark{ClaimUID: "uid-of-c-0", Time: noon, Outcome: strings.Repeat("x", maxOutcome-1) + "ü"}
	if got := ParseMark(makeClaim("c-0").mark(odd).obj()); got.Outcome != strings.Repeat("x", maxOutcome-1) {
		t.Errorf("a character that is cut in half is left out; got ...%q", got.Outcome[maxOutcome-4:])
	}
}

func TestReadMark(t *testing.T) {
	const name = "data-web-2"
	plain := Mark{ClaimUID: "uid-of-data-web-2", LockUID: "lock", Time: noon}
	timed := plain
	timed.UnusedSince = &noon
	tests := map[string]struct {
		claim *corev1.PersistentVolumeClaim
		// wantParsed is what ParseMark says, which doesn't look at the claim's use.
		wantParsed, wantRead bool
	}{
		"a claim without the annotation is not marked":  {claim: makeClaim(name).obj()},
		"an empty annotation is no mark":                {claim: makeClaim(name).annotation("").obj()},
		"an annotation of true is no mark":              {claim: makeClaim(name).annotation("true").obj()},
		"an annotation that is not JSON is no mark":     {claim: makeClaim(name).annotation("{").obj()},
		"an annotation of another JSON type is no mark": {claim: makeClaim(name).annotation(`["uid-of-data-web-2"]`).obj()},
		"an annotation of null is no mark":              {claim: makeClaim(name).annotation("null").obj()},
		"a mark without a claim UID is no mark":         {claim: makeClaim(name).annotation("{}").obj()},
		"a mark copied to another claim is no mark":     {claim: makeClaim("data-web-3").mark(plain).obj()},
		"a mark whose generation is not a number is no mark": {
			claim: makeClaim(name).annotation(`{"claimUID":"uid-of-data-web-2","generation":"1"}`).obj(),
		},
		"a mark is read without the condition Unused": {
			claim: makeClaim(name).mark(plain).obj(), wantParsed: true, wantRead: true,
		},
		"a mark with fields of a later version is no mark": {
			claim: makeClaim(name).annotation(`{"claimUID":"uid-of-data-web-2","new":1,"time":null}`).obj(),
		},
		"a mark with something after it is no mark": {
			claim: makeClaim(name).annotation(`{"claimUID":"uid-of-data-web-2"} {}`).obj(),
		},
		"a mark of a claim unused since then is read": {
			claim: makeClaim(name).mark(timed).unused(corev1.ConditionTrue, noon).obj(), wantParsed: true,
			wantRead: true,
		},
		"a mark of a claim used and unused again does not hold": {
			claim: makeClaim(name).mark(timed).unused(corev1.ConditionTrue, later).obj(), wantParsed: true,
		},
		"a mark of a claim in use does not hold": {
			claim: makeClaim(name).mark(timed).unused(corev1.ConditionFalse, noon).obj(), wantParsed: true,
		},
		"a mark of a claim whose use is unknown does not hold": {
			claim: makeClaim(name).mark(timed).unused(corev1.ConditionUnknown, noon).obj(), wantParsed: true,
		},
		"a mark does not hold if the condition Unused has appeared since": {
			claim: makeClaim(name).mark(plain).unused(corev1.ConditionTrue, noon).obj(), wantParsed: true,
		},
		"a mark does not hold if the condition Unused has disappeared since": {
			claim: makeClaim(name).mark(timed).obj(), wantParsed: true,
		},
		"a mark without the condition does not hold for a claim in use": {
			claim: makeClaim(name).mark(plain).unused(corev1.ConditionFalse, noon).obj(), wantParsed: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ParseMark(tc.claim) != nil; got != tc.wantParsed {
				t.Errorf("ParseMark finds a mark: %t, want %t", got, tc.wantParsed)
			}
			if got := ReadMark(tc.claim) != nil; got != tc.wantRead {
				t.Errorf("ReadMark finds a mark: %t, want %t", got, tc.wantRead)
			}
		})
	}
	t.Run("a claim without UID has no mark", func(t *testing.T) {
		claim := makeClaim(name).mark(Mark{Time: noon}).obj()
		claim.UID = ""
		if got := ParseMark(claim); got != nil {
			t.Errorf("ParseMark = %+v, want nil", got)
		}
	})
}

func TestHoldsUnder(t *testing.T) {
	tests := map[string]struct {
		mark *Mark
		lock types.UID
		want bool
	}{
		"a mark holds under its own lock":                    {mark: &Mark{LockUID: "l1"}, lock: "l1", want: true},
		"a mark does not hold under another lock":            {mark: &Mark{LockUID: "l1"}, lock: "l2"},
		"a mark does not hold without a lock":                {mark: &Mark{LockUID: "l1"}},
		"a mark without a lock does not hold without a lock": {mark: &Mark{}},
		"a missing mark does not hold under a lock":          {lock: "l1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.mark.HoldsUnder(tc.lock); got != tc.want {
				t.Errorf("HoldsUnder = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestHoldsAt(t *testing.T) {
	mark := &Mark{StatefulSetUID: "set", Generation: 5}
	tests := map[string]struct {
		mark       *Mark
		set        types.UID
		generation int64
		wantHolds  bool
	}{
		"a mark holds at its generation":                         {mark: mark, set: "set", generation: 5, wantHolds: true},
		"a mark holds at the next generation":                    {mark: mark, set: "set", generation: 6, wantHolds: true},
		"a mark does not hold two generations later":             {mark: mark, set: "set", generation: 7},
		"a mark does not hold at an older generation":            {mark: mark, set: "set", generation: 4},
		"a mark does not hold for another StatefulSet":           {mark: mark, set: "other", generation: 5},
		"a mark does not hold without a StatefulSet":             {mark: mark, generation: 5},
		"a mark without a StatefulSet does not hold without one": {mark: &Mark{Generation: 5}, generation: 5},
		"a mark without a generation does not hold at generation 0": {
			mark: &Mark{StatefulSetUID: "set"}, set: "set", generation: 0,
		},
		"a mark without a generation does not hold at generation 1": {
			mark: &Mark{StatefulSetUID: "set"}, set: "set", generation: 1,
		},
		"a missing mark does not hold": {set: "set", generation: 5},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.mark.HoldsAt(tc.set, tc.generation); got != tc.wantHolds {
				t.Errorf("HoldsAt = %t, want %t", got, tc.wantHolds)
			}
		})
	}
}

func TestHoldsAbsent(t *testing.T) {
	tests := map[string]struct {
		mark *Mark
		last types.UID
		want bool
	}{
		"a missing mark does not hold": {},
		"a mark of a StatefulSet that existed does not hold": {
			mark: &Mark{StatefulSetUID: "set", Generation: 5, UnusedSince: &noon}, last: "set",
		},
		"a mark of a StatefulSet that was gone holds": {
			mark: &Mark{Absent: true, StatefulSetUID: "set"}, last: "set", want: true,
		},
		"a mark does not hold if another StatefulSet was seen since": {
			mark: &Mark{Absent: true, StatefulSetUID: "set", UnusedSince: &noon}, last: "another",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.mark.HoldsAbsent(tc.last); got != tc.want {
				t.Errorf("HoldsAbsent = %t, want %t", got, tc.want)
			}
		})
	}
	if (&Mark{Absent: true, StatefulSetUID: "set", Generation: 5}).HoldsAt("set", 5) {
		t.Error("a mark of a StatefulSet that was gone holds for one that is there")
	}
}

func TestUnusedSince(t *testing.T) {
	other := makeClaim("c-0").unused(corev1.ConditionTrue, noon).obj()
	other.Status.Conditions[0].Type = corev1.PersistentVolumeClaimResizing
	tests := map[string]struct {
		claim     *corev1.PersistentVolumeClaim
		wantSince *metav1.Time
		wantKnown bool
	}{
		"a claim without the condition Unused": {claim: makeClaim("c-0").obj(), wantKnown: true},
		"a claim with another condition":       {claim: other, wantKnown: true},
		"a claim that is unused": {
			claim: makeClaim("c-0").unused(corev1.ConditionTrue, noon).obj(), wantSince: &noon, wantKnown: true,
		},
		"a claim in use":               {claim: makeClaim("c-0").unused(corev1.ConditionFalse, noon).obj()},
		"a claim whose use is unknown": {claim: makeClaim("c-0").unused(corev1.ConditionUnknown, noon).obj()},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			since, known := UnusedSince(tc.claim)
			if !since.Equal(tc.wantSince) || known != tc.wantKnown {
				t.Errorf("UnusedSince = %v, %t, want %v, %t", since, known, tc.wantSince, tc.wantKnown)
			}
		})
	}
}

// FuzzReadMark reads whatever may stand in the annotation. It must never panic, and never
// take a mark that names another claim.
func FuzzReadMark(f *testing.F) {
	valid := Mark{
		ClaimUID: "uid-of-c-0", LockUID: "lock", StatefulSetUID: "set", Generation: 1, UnusedSince: &noon, Time: noon,
	}
	for _, text := range []string{
		"", "{}", "null", "[]", "true", `{"claimUID":"uid-of-c-0"}`,
		`{"claimUID":"uid-of-c-0","time":"x"}`, `{"CLAIMUID":"uid-of-c-0"}`, valid.String(),
	} {
		f.Add(text, "uid-of-c-0", true)
		f.Add(text, "", false)
	}
	f.Fuzz(func(t *testing.T, text, uid string, unused bool) {
		claim := makeClaim("c-0").annotation(text).obj()
		claim.UID = types.UID(uid)
		if unused {
			claim = (&claimBuilder{*claim}).unused(corev1.ConditionTrue, noon).obj()
		}
		parsed, read := ParseMark(claim), ReadMark(claim)
		if read != nil && parsed == nil {
			t.Errorf("ReadMark reads %q and ParseMark doesn't", text)
		}
		if parsed == nil {
			return
		}
		if uid == "" || parsed.ClaimUID != claim.UID {
			t.Errorf("the mark of claim %q was taken for claim %q", parsed.ClaimUID, uid)
		}
		if read != nil && read.UnusedSince.Equal(&noon) != unused {
			t.Errorf("the mark holds with unusedSince %v, which isn't the claim's", read.UnusedSince)
		}
		// What was read can be written again.
		claim.Annotations[drainv1alpha1.DrainedAnnotation] = parsed.String()
		if utf8.ValidString(uid) && ParseMark(claim) == nil {
			t.Errorf("a mark that was read can't be read again: %s", parsed)
		}
	})
}
