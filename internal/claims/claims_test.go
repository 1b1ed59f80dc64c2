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
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestNameIsTheStatefulSetControllersOwn(t *testing.T) {
	if got, want := Name("data", "web", 12), "data-web-12"; got != want {
		t.Errorf("Name = %q, want %q", got, want)
	}
	if got, want := Base("data", "web"), "data-web"; got != want {
		t.Errorf("Base = %q, want %q", got, want)
	}
}

func TestParseTakesOnlyWhatNameMakes(t *testing.T) {
	tests := map[string]struct {
		name        string
		wantBase    string
		wantOrdinal int32
		wantOK      bool
	}{
		"a name with a one-digit ordinal": {name: "data-web-0", wantBase: "data-web", wantOrdinal: 0, wantOK: true},
		"a name with an ordinal of several digits": {
			name: "data-web-120", wantBase: "data-web", wantOrdinal: 120, wantOK: true,
		},
		"digits in the set's name": {name: "data-web-1-2", wantBase: "data-web-1", wantOrdinal: 2, wantOK: true},
		"dots in the set's name":   {name: "data-web.v1-2", wantBase: "data-web.v1", wantOrdinal: 2, wantOK: true},
		"the greatest ordinal": {
			name: "data-web-2147483647", wantBase: "data-web", wantOrdinal: math.MaxInt32, wantOK: true,
		},
		"a base without dash":                    {name: "web-3", wantBase: "web", wantOrdinal: 3, wantOK: true},
		"a double dash":                          {name: "data--3", wantBase: "data-", wantOrdinal: 3, wantOK: true},
		"an ordinal beyond int32":                {name: "data-web-2147483648"},
		"an ordinal beyond uint64":               {name: "data-web-99999999999999999999999"},
		"an ordinal with a leading zero":         {name: "data-web-01"},
		"an ordinal of two zeros":                {name: "data-web-00"},
		"an ordinal with a plus sign":            {name: "data-web-+1"},
		"an ordinal with an underscore":          {name: "data-web-1_0"},
		"a hexadecimal ordinal":                  {name: "data-web-0x1"},
		"an ordinal in digits of another script": {name: "data-web-\u0663"},
		"no ordinal":                             {name: "data-web"},
		"nothing after the last dash":            {name: "data-web-"},
		"nothing before the dash":                {name: "-1"},
		"no dash":                                {name: "data"},
		"an empty name":                          {name: ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			base, ordinal, ok := Parse(tc.name)
			if base != tc.wantBase || ordinal != tc.wantOrdinal || ok != tc.wantOK {
				t.Errorf("Parse(%q) = %q, %d, %t, want %q, %d, %t",
					tc.name, base, ordinal, ok, tc.wantBase, tc.wantOrdinal, tc.wantOK)
			}
		})
	}
}

func TestSetsListsEveryReadingOfABase(t *testing.T) {
	tests := map[string]struct {
		base string
		want []string
	}{
		"a base with one dash":        {base: "data-web", want: []string{"web"}},
		"a base with two dashes":      {base: "data-a-b", want: []string{"a-b", "b"}},
		"a base with a double dash":   {base: "data--b", want: []string{"-b", "b"}},
		"a base with a leading dash":  {base: "-data", want: nil},
		"a base with a trailing dash": {base: "data-", want: nil},
		"a base without a dash":       {base: "data", want: nil},
		"an empty base":               {base: "", want: nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Sets(tc.base)); diff != "" {
				t.Errorf("Sets(%q) (-want +got):\n%s", tc.base, diff)
			}
		})
	}
}

// FuzzParse holds Parse and Sets against Name and Base: what Parse takes, Name makes again,
// and one of Sets is the StatefulSet that made it.
func FuzzParse(f *testing.F) {
	for _, name := range []string{
		"data-web-0", "data-a-b-12", "d--1", "-1", "a-01", "data-web-2147483648", "x-y-", "\xff-1",
	} {
		f.Add(name, "web", int32(3))
	}
	f.Fuzz(func(t *testing.T, name, set string, n int32) {
		if base, ordinal, ok := Parse(name); ok {
			if ordinal < 0 || base == "" {
				t.Errorf("Parse(%q) = %q, %d", name, base, ordinal)
			}
			for _, reading := range Sets(base) {
				template := base[:len(base)-len(reading)-1]
				if again := Name(template, reading, ordinal); again != name {
					t.Errorf("Sets(%q) has %q, but Name(%q, %q, %d) = %q, want %q",
						base, reading, template, reading, ordinal, again, name)
				}
			}
		}
		if name == "" || set == "" || n < 0 {
			return
		}
		made := Name(name, set, n)
		base, ordinal, ok := Parse(made)
		if !ok || base != Base(name, set) || ordinal != n {
			t.Errorf("Parse(%q) = %q, %d, %t, want what Name made it of: %q, %d", made, base, ordinal, ok, Base(name, set), n)
		}
		if !slices.Contains(Sets(base), set) {
			t.Errorf("Sets(%q) = %q, want %q among them", base, Sets(base), set)
		}
	})
}

func TestAClaimOfAnEphemeralVolumeIsForeign(t *testing.T) {
	set := Identity{Name: "web", Templates: []string{"data"}}
	for name, tc := range map[string]struct {
		owners []metav1.OwnerReference
		want   Verdict
	}{
		"a claim without an owner": {want: Own},
		"a claim that a pod owns": {
			owners: []metav1.OwnerReference{{Kind: "Pod", Name: "data", Controller: ptr.To(true)}}, want: Foreign,
		},
		"a claim that the ordinal's own pod owns": {
			owners: []metav1.OwnerReference{{Kind: "Pod", Name: "web-2", Controller: ptr.To(true)}}, want: Own,
		},
		"a claim that the StatefulSet owns": {
			owners: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "web", Controller: ptr.To(true)}}, want: Own,
		},
		"a claim that a pod owns but does not control": {
			owners: []metav1.OwnerReference{{Kind: "Pod", Name: "data"}}, want: Own,
		},
	} {
		t.Run(name, func(t *testing.T) {
			claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data-web-2", OwnerReferences: tc.owners}}
			if _, _, got := Belongs(claim, set, nil); got != tc.want {
				t.Errorf("Belongs = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestIdentityOfTakesTemplatesAndMatchLabels(t *testing.T) {
	set := makeSet("web", "data", "logs")
	if diff := cmp.Diff(Identity{Name: "web", Templates: []string{"data", "logs"}}, IdentityOf(set)); diff != "" {
		t.Errorf("without a selector (-want +got):\n%s", diff)
	}
	set.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	if diff := cmp.Diff(makeIdentity("web", "data", "logs"), IdentityOf(set)); diff != "" {
		t.Errorf("with a selector (-want +got):\n%s", diff)
	}
}

func TestBelongs(t *testing.T) {
	// The claim data-a-b-1 is read as data + a-b or as data-a + b.
	mine, other := makeIdentity("a-b", "data"), makeIdentity("b", "data-a")
	unknown := func(id Identity) Identity { id.MatchLabels = nil; return id }
	both := makeIdentity("b", "data-a")
	both.MatchLabels = map[string]string{"app": "a-b"}
	two := makeIdentity("a-b", "data")
	two.MatchLabels["tier"] = "db"

	tests := map[string]struct {
		claim        *corev1.PersistentVolumeClaim
		set          Identity
		others       []Identity
		wantTemplate string
		wantOrdinal  int32
		wantVerdict  Verdict
	}{
		"a name without ordinal belongs to no StatefulSet": {
			claim: makeClaim("data-a-b").obj(), set: mine, wantVerdict: Foreign,
		},
		"another template's claim is foreign": {claim: makeClaim("logs-a-b-1").obj(), set: mine, wantVerdict: Foreign},
		"another set's claim is foreign":      {claim: makeClaim("data-c-1").obj(), set: mine, wantVerdict: Foreign},
		"a longer set's claim is foreign":     {claim: makeClaim("data-a-b-c-1").obj(), set: mine, wantVerdict: Foreign},
		"own labels make a claim the StatefulSet's": {
			claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: mine, wantTemplate: "data", wantOrdinal: 1,
			wantVerdict: Own,
		},
		"a claim without labels is stranded": {claim: makeClaim("data-a-b-1").obj(), set: mine, wantVerdict: Stranded},
		"a claim without labels of the selector is stranded": {
			claim: makeClaim("data-a-b-1").label("x", "y").obj(), set: mine, wantVerdict: Stranded,
		},
		"a claim with half of the labels is stranded": {
			claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: two, wantVerdict: Stranded,
		},
		"a claim without labels is the StatefulSet's if the selector has none": {
			claim: makeClaim("data-a-b-1").obj(), set: unknown(mine), wantTemplate: "data", wantOrdinal: 1,
			wantVerdict: Own,
		},
		"labels that contradict make a claim stranded": {
			claim: makeClaim("data-a-b-1").label("app", "b").obj(), set: mine, wantVerdict: Stranded,
		},
		"one contradicting label of two makes a claim stranded": {
			claim: makeClaim("data-a-b-1").label("app", "a-b").label("tier", "web").obj(), set: two,
			wantVerdict: Stranded,
		},
		"labels that contradict both StatefulSets make a claim stranded": {
			claim: makeClaim("data-a-b-1").label("app", "c").obj(), set: mine, others: []Identity{other},
			wantVerdict: Stranded,
		},
		"labels that contradict make a claim foreign beside an unknown StatefulSet": {
			claim: makeClaim("data-a-b-1").label("app", "c").obj(), set: mine, others: []Identity{unknown(other)},
			wantVerdict: Foreign,
		},
		"own labels with a removed template make a claim stranded": {
			claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: mine, wantVerdict: Stranded,
		},
		"half of the labels with an unknown template make a claim foreign": {
			claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: two, wantVerdict: Foreign,
		},
		"own labels with another StatefulSet's template make a claim foreign": {
			claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: mine,
			others: []Identity{unknown(makeIdentity("b", "logs-a"))}, wantVerdict: Foreign,
		},
		"own labels with a template that no StatefulSet has make a claim stranded": {
			claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{other},
			wantVerdict: Stranded,
		},
		"own labels with a removed template make a claim stranded beside itself": {
			claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: mine,
			others: []Identity{makeIdentity("a-b", "logs")}, wantVerdict: Stranded,
		},
		"an unknown template makes a claim foreign if the selector is unknown": {
			claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: unknown(mine), wantVerdict: Foreign,
		},
		"own labels make a claim stranded if the StatefulSet has no templates": {
			claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: makeIdentity("a-b"), wantVerdict: Stranded,
		},
		"a claim of a StatefulSet of which only the name is known is stranded": {
			claim: makeClaim("data-a-b-1").label("app", "x").obj(), set: Identity{Name: "a-b"}, wantVerdict: Stranded,
		},
		"a claim that fits only another StatefulSet is foreign": {
			claim: makeClaim("data-a-b-1").obj(), set: Identity{Name: "a-b"}, others: []Identity{other},
			wantVerdict: Foreign,
		},
		"a claim that contradicts another StatefulSet is stranded": {
			claim: makeClaim("data-a-b-1").label("app", "x").obj(), set: Identity{Name: "a-b"},
			others: []Identity{other}, wantVerdict: Stranded,
		},
		"a claim without a template in its name is foreign": {
			claim: makeClaim("a-b-1").label("app", "a-b").obj(), set: mine, wantVerdict: Foreign,
		},
		"own labels make a claim the StatefulSet's beside another reading": {
			claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{other},
			wantTemplate: "data", wantOrdinal: 1, wantVerdict: Own,
		},
		"another StatefulSet's labels make a claim foreign": {
			claim: makeClaim("data-a-b-1").label("app", "b").obj(), set: mine, others: []Identity{other},
			wantVerdict: Foreign,
		},
		"a claim without labels is ambiguous beside another reading": {
			claim: makeClaim("data-a-b-1").obj(), set: mine, others: []Identity{other}, wantTemplate: "data",
			wantOrdinal: 1, wantVerdict: Ambiguous,
		},
		"a claim without labels is stranded beside a StatefulSet that does not fit": {
			claim: makeClaim("data-a-b-1").obj(), set: mine, others: []Identity{makeIdentity("b", "data")},
			wantVerdict: Stranded,
		},
		"a claim without labels is stranded beside the StatefulSet itself": {
			claim: makeClaim("data-a-b-1").obj(), set: mine, others: []Identity{mine}, wantVerdict: Stranded,
		},
		"labels that both selectors match make a claim ambiguous": {
			claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{both},
			wantTemplate: "data", wantOrdinal: 1, wantVerdict: Ambiguous,
		},
		"own labels win over an unknown selector": {
			claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{unknown(other)},
			wantTemplate: "data", wantOrdinal: 1, wantVerdict: Own,
		},
		"another StatefulSet's labels win over an unknown selector": {
			claim: makeClaim("data-a-b-1").label("app", "b").obj(), set: unknown(mine), others: []Identity{other},
			wantVerdict: Foreign,
		},
		"an unknown selector wins over a contradicting one": {
			claim: makeClaim("data-a-b-1").label("app", "x").obj(), set: unknown(mine), others: []Identity{other},
			wantTemplate: "data", wantOrdinal: 1, wantVerdict: Own,
		},
		"half of the labels make a claim ambiguous beside another reading": {
			claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: two, others: []Identity{unknown(other)},
			wantTemplate: "data", wantOrdinal: 1, wantVerdict: Ambiguous,
		},
		"a claim is ambiguous if only the second of two others fits": {
			claim: makeClaim("data-x-a-b-1").obj(), set: makeIdentity("a-b", "data-x"),
			others: []Identity{makeIdentity("q", "data"), makeIdentity("b", "data-x-a")}, wantTemplate: "data-x",
			wantOrdinal: 1, wantVerdict: Ambiguous,
		},
		"own labels win over two others that contradict": {
			claim: makeClaim("data-x-a-b-1").label("app", "a-b").obj(), set: makeIdentity("a-b", "data-x"),
			others: []Identity{makeIdentity("x-a-b", "data"), makeIdentity("b", "data-x-a")}, wantTemplate: "data-x",
			wantOrdinal: 1, wantVerdict: Own,
		},
		"a claim of the second template is the StatefulSet's": {
			claim: makeClaim("logs-web-7").label("app", "web").obj(), set: makeIdentity("web", "data", "logs"),
			wantTemplate: "logs", wantOrdinal: 7, wantVerdict: Own,
		},
		"a claim of a StatefulSet that is gone is its own without known labels": {
			claim: makeClaim("data-web-7").label("app", "web").obj(), set: unknown(makeIdentity("web", "data")),
			wantTemplate: "data", wantOrdinal: 7, wantVerdict: Own,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			template, ordinal, verdict := Belongs(tc.claim, tc.set, tc.others)
			if template != tc.wantTemplate || ordinal != tc.wantOrdinal || verdict != tc.wantVerdict {
				t.Errorf("Belongs = %q, %d, %d, want %q, %d, %d",
					template, ordinal, verdict, tc.wantTemplate, tc.wantOrdinal, tc.wantVerdict)
			}
		})
	}
}

// FuzzBelongs asks two StatefulSets for one claim. It never belongs to both, and what belongs to one was made by one of
// its claim templates and doesn't contradict its selector.
func FuzzBelongs(f *testing.F) {
	f.Add("data", "a-b", "data-a", "b", int32(1), uint8(0))
	f.Add("data", "a-b", "data-a", "b", int32(1), uint8(0b0101))
	f.Add("data", "a-b", "data-a", "b", int32(1), uint8(0b1111))
	f.Add("data", "web", "data", "web2", int32(0), uint8(0b0001))
	f.Add("old", "web", "data", "web", int32(7), uint8(0b110001))
	f.Fuzz(func(t *testing.T, template, name, otherTemplate, otherName string, ordinal int32, how uint8) {
		// The bits decide whether the claim bears two labels, with which values, and whether each selector asks for them.
		claim := makeClaim(Name(template, name, ordinal))
		labels := map[string]string{"app": "x", "tier": "y"}
		one := Identity{Name: name, Templates: []string{template}}
		two := Identity{Name: otherName, Templates: []string{otherTemplate}}
		for i, key := range []string{"app", "tier"} {
			if how>>i&1 == 1 {
				claim.label(key, []string{"x", "y"}[how>>(6+i)&1])
			}
			for j, id := range []*Identity{&one, &two} {
				if how>>(2+2*j+i)&1 == 1 {
					if id.MatchLabels == nil {
						id.MatchLabels = map[string]string{}
					}
					id.MatchLabels[key] = labels[key]
				}
			}
		}
		owners := 0
		for _, pair := range [][2]Identity{{one, two}, {two, one}} {
			by, n, verdict := Belongs(claim.obj(), pair[0], []Identity{pair[1]})
			if verdict != Own {
				continue
			}
			owners++
			if Name(by, pair[0].Name, n) != claim.Name || !slices.Contains(pair[0].Templates, by) {
				t.Errorf("%q is said to be of template %q of StatefulSet %q and ordinal %d", claim.Name, by, pair[0].Name, n)
			}
			for key, want := range pair[0].MatchLabels {
				if got, has := claim.Labels[key]; has && got != want {
					t.Errorf("%q is said to be %q's, whose selector asks for %s=%s and not %s",
						claim.Name, pair[0].Name, key, want, got)
				}
			}
		}
		if owners == 2 && name != otherName {
			t.Errorf("%q, with the labels %v, is both %+v's and %+v's own", claim.Name, claim.Labels, one, two)
		}
	})
}
