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
		"one digit":                   {name: "data-web-0", wantBase: "data-web", wantOrdinal: 0, wantOK: true},
		"several digits":              {name: "data-web-120", wantBase: "data-web", wantOrdinal: 120, wantOK: true},
		"digits in the set's name":    {name: "data-web-1-2", wantBase: "data-web-1", wantOrdinal: 2, wantOK: true},
		"dots in the set's name":      {name: "data-web.v1-2", wantBase: "data-web.v1", wantOrdinal: 2, wantOK: true},
		"the greatest ordinal":        {name: "data-web-2147483647", wantBase: "data-web", wantOrdinal: math.MaxInt32, wantOK: true},
		"a base without dash":         {name: "web-3", wantBase: "web", wantOrdinal: 3, wantOK: true},
		"a double dash":               {name: "data--3", wantBase: "data-", wantOrdinal: 3, wantOK: true},
		"beyond int32":                {name: "data-web-2147483648"},
		"beyond uint64":               {name: "data-web-99999999999999999999999"},
		"a leading zero":              {name: "data-web-01"},
		"two zeros":                   {name: "data-web-00"},
		"a plus sign":                 {name: "data-web-+1"},
		"an underscore":               {name: "data-web-1_0"},
		"hexadecimal":                 {name: "data-web-0x1"},
		"digits of another script":    {name: "data-web-\u0663"},
		"no ordinal":                  {name: "data-web"},
		"nothing after the last dash": {name: "data-web-"},
		"nothing before the dash":     {name: "-1"},
		"no dash":                     {name: "data"},
		"empty":                       {name: ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			base, ordinal, ok := Parse(tc.name)
			if base != tc.wantBase || ordinal != tc.wantOrdinal || ok != tc.wantOK {
				t.Errorf("Parse(%q) = %q, %d, %t, want %q, %d, %t", tc.name, base, ordinal, ok, tc.wantBase, tc.wantOrdinal, tc.wantOK)
			}
		})
	}
}

func TestSetsListsEveryReadingOfABase(t *testing.T) {
	tests := map[string]struct {
		base string
		want []string
	}{
		"one dash":      {base: "data-web", want: []string{"web"}},
		"two dashes":    {base: "data-a-b", want: []string{"a-b", "b"}},
		"double dash":   {base: "data--b", want: []string{"-b", "b"}},
		"leading dash":  {base: "-data", want: nil},
		"trailing dash": {base: "data-", want: nil},
		"no dash":       {base: "data", want: nil},
		"empty":         {base: "", want: nil},
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
	for _, name := range []string{"data-web-0", "data-a-b-12", "d--1", "-1", "a-01", "data-web-2147483648", "x-y-", "\xff-1"} {
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
					t.Errorf("Sets(%q) has %q, but Name(%q, %q, %d) = %q, want %q", base, reading, template, reading, ordinal, again, name)
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
		"no owner":               {want: Own},
		"a pod":                  {owners: []metav1.OwnerReference{{Kind: "Pod", Name: "data", Controller: ptr.To(true)}}, want: Foreign},
		"the ordinal's own pod":  {owners: []metav1.OwnerReference{{Kind: "Pod", Name: "web-2", Controller: ptr.To(true)}}, want: Own},
		"the StatefulSet":        {owners: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "web", Controller: ptr.To(true)}}, want: Own},
		"a pod, without control": {owners: []metav1.OwnerReference{{Kind: "Pod", Name: "data"}}, want: Own},
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
		"a name without ordinal belongs to no StatefulSet": {claim: makeClaim("data-a-b").obj(), set: mine, wantVerdict: Foreign},
		"another template's claim is foreign":              {claim: makeClaim("logs-a-b-1").obj(), set: mine, wantVerdict: Foreign},
		"another set's claim is foreign":                   {claim: makeClaim("data-c-1").obj(), set: mine, wantVerdict: Foreign},
		"a longer set's claim is foreign":                  {claim: makeClaim("data-a-b-c-1").obj(), set: mine, wantVerdict: Foreign},
		"own labels, no other set":                         {claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: mine, wantTemplate: "data", wantOrdinal: 1, wantVerdict: Own},
		"unlabelled, no other set":                         {claim: makeClaim("data-a-b-1").obj(), set: mine, wantVerdict: Stranded},
		"labels that say nothing, no other set":            {claim: makeClaim("data-a-b-1").label("x", "y").obj(), set: mine, wantVerdict: Stranded},
		"half of the labels":                               {claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: two, wantVerdict: Stranded},
		"unlabelled, and the selector has no labels":       {claim: makeClaim("data-a-b-1").obj(), set: unknown(mine), wantTemplate: "data", wantOrdinal: 1, wantVerdict: Own},
		"labels that contradict, no other set":             {claim: makeClaim("data-a-b-1").label("app", "b").obj(), set: mine, wantVerdict: Stranded},
		"one of two labels contradicts":                    {claim: makeClaim("data-a-b-1").label("app", "a-b").label("tier", "web").obj(), set: two, wantVerdict: Stranded},
		"labels that contradict both":                      {claim: makeClaim("data-a-b-1").label("app", "c").obj(), set: mine, others: []Identity{other}, wantVerdict: Stranded},
		"labels that contradict, but fit an unknown set":   {claim: makeClaim("data-a-b-1").label("app", "c").obj(), set: mine, others: []Identity{unknown(other)}, wantVerdict: Foreign},
		"own labels, a template it has no longer":          {claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: mine, wantVerdict: Stranded},
		"half of the labels, a template it hasn't":         {claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: two, wantVerdict: Foreign},
		"own labels, a template that another one has":      {claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{unknown(makeIdentity("b", "logs-a"))}, wantVerdict: Foreign},
		"own labels, a template that another one hasn't":   {claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{other}, wantVerdict: Stranded},
		"own labels, itself among the others":              {claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{makeIdentity("a-b", "logs")}, wantVerdict: Stranded},
		"labels not known, a template it hasn't":           {claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: unknown(mine), wantVerdict: Foreign},
		"own labels, a set without templates":              {claim: makeClaim("logs-a-b-1").label("app", "a-b").obj(), set: makeIdentity("a-b"), wantVerdict: Stranded},
		"nothing is known of the set":                      {claim: makeClaim("data-a-b-1").label("app", "x").obj(), set: Identity{Name: "a-b"}, wantVerdict: Stranded},
		"nothing is known of the set, but of another":      {claim: makeClaim("data-a-b-1").obj(), set: Identity{Name: "a-b"}, others: []Identity{other}, wantVerdict: Foreign},
		"nothing is known of the set, the other's isn't":   {claim: makeClaim("data-a-b-1").label("app", "x").obj(), set: Identity{Name: "a-b"}, others: []Identity{other}, wantVerdict: Stranded},
		"no template in the name":                          {claim: makeClaim("a-b-1").label("app", "a-b").obj(), set: mine, wantVerdict: Foreign},
		"own labels beside another reading":                {claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{other}, wantTemplate: "data", wantOrdinal: 1, wantVerdict: Own},
		"the other's labels":                               {claim: makeClaim("data-a-b-1").label("app", "b").obj(), set: mine, others: []Identity{other}, wantVerdict: Foreign},
		"unlabelled beside another reading":                {claim: makeClaim("data-a-b-1").obj(), set: mine, others: []Identity{other}, wantTemplate: "data", wantOrdinal: 1, wantVerdict: Ambiguous},
		"unlabelled beside a set that doesn't fit":         {claim: makeClaim("data-a-b-1").obj(), set: mine, others: []Identity{makeIdentity("b", "data")}, wantVerdict: Stranded},
		"itself among the others":                          {claim: makeClaim("data-a-b-1").obj(), set: mine, others: []Identity{mine}, wantVerdict: Stranded},
		"labels that both selectors take":                  {claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{both}, wantTemplate: "data", wantOrdinal: 1, wantVerdict: Ambiguous},
		"own labels confirm, the other's are not known":    {claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: mine, others: []Identity{unknown(other)}, wantTemplate: "data", wantOrdinal: 1, wantVerdict: Own},
		"own labels not known, the other's confirm":        {claim: makeClaim("data-a-b-1").label("app", "b").obj(), set: unknown(mine), others: []Identity{other}, wantVerdict: Foreign},
		"own labels not known, the other's contradict":     {claim: makeClaim("data-a-b-1").label("app", "x").obj(), set: unknown(mine), others: []Identity{other}, wantTemplate: "data", wantOrdinal: 1, wantVerdict: Own},
		"half of the labels only, beside another":          {claim: makeClaim("data-a-b-1").label("app", "a-b").obj(), set: two, others: []Identity{unknown(other)}, wantTemplate: "data", wantOrdinal: 1, wantVerdict: Ambiguous},
		"the first other is out, the second isn't":         {claim: makeClaim("data-x-a-b-1").obj(), set: makeIdentity("a-b", "data-x"), others: []Identity{makeIdentity("q", "data"), makeIdentity("b", "data-x-a")}, wantTemplate: "data-x", wantOrdinal: 1, wantVerdict: Ambiguous},
		"the others contradict, whatever their number":     {claim: makeClaim("data-x-a-b-1").label("app", "a-b").obj(), set: makeIdentity("a-b", "data-x"), others: []Identity{makeIdentity("x-a-b", "data"), makeIdentity("b", "data-x-a")}, wantTemplate: "data-x", wantOrdinal: 1, wantVerdict: Own},
		"one of several templates":                         {claim: makeClaim("logs-web-7").label("app", "web").obj(), set: makeIdentity("web", "data", "logs"), wantTemplate: "logs", wantOrdinal: 7, wantVerdict: Own},
		"a set that is gone, of which labels are unknown":  {claim: makeClaim("data-web-7").label("app", "web").obj(), set: unknown(makeIdentity("web", "data")), wantTemplate: "data", wantOrdinal: 7, wantVerdict: Own},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			template, ordinal, verdict := Belongs(tc.claim, tc.set, tc.others)
			if template != tc.wantTemplate || ordinal != tc.wantOrdinal || verdict != tc.wantVerdict {
				t.Errorf("Belongs = %q, %d, %d, want %q, %d, %d", template, ordinal, verdict, tc.wantTemplate, tc.wantOrdinal, tc.wantVerdict)
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
		one, two := Identity{Name: name, Templates: []string{template}}, Identity{Name: otherName, Templates: []string{otherTemplate}}
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
					t.Errorf("%q is said to be %q's, whose selector asks for %s=%s and not %s", claim.Name, pair[0].Name, key, want, got)
				}
			}
		}
		if owners == 2 && name != otherName {
			t.Errorf("%q, with the labels %v, is both %+v's and %+v's own", claim.Name, claim.Labels, one, two)
		}
	})
}
