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
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Name returns the name that the StatefulSet controller gives to the claim of one
// volumeClaimTemplate and ordinal: <template>-<set>-<ordinal>
// (getPersistentVolumeClaimName in kubernetes/pkg/controller/statefulset).
func Name(template, set string, ordinal int32) string {
	return fmt.Sprintf("%s-%s-%d", template, set, ordinal)
}

// Base returns Name without its ordinal, which is what claims are indexed by.
func Base(template, set string) string {
	return template + "-" + set
}

// Parse splits a claim's name into its base and its ordinal. It takes only what Name
// can have made: a decimal int32 without sign or leading zeros.
func Parse(name string) (base string, ordinal int32, ok bool) {
	dash := strings.LastIndexByte(name, '-')
	if dash <= 0 {
		return "", 0, false
	}
	digits := name[dash+1:]
	if digits == "" || digits[0] < '0' || digits[0] > '9' || (digits[0] == '0' && len(digits) > 1) {
		return "", 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return "", 0, false
	}
	return name[:dash], int32(n), true
}

// Sets returns every name that the StatefulSet of a claim with this base may have: the
// base can be split at each of its dashes, since template and set may both have some.
func Sets(base string) []string {
	var sets []string
	for i := range len(base) {
		if base[i] == '-' && i > 0 && i < len(base)-1 {
			sets = append(sets, base[i+1:])
		}
	}
	return sets
}

// Identity is what a StatefulSet's claims are recognized by, also after it is gone.
type Identity struct {
	// Name of the StatefulSet.
	Name string
	// Templates are the names of its volumeClaimTemplates.
	Templates []string
	// MatchLabels of its selector, which its controller adds to every claim that it
	// creates (getPersistentVolumeClaims in kubernetes/pkg/controller/statefulset). Nil if
	// not known.
	MatchLabels map[string]string
}

// IdentityOf returns the identity of a StatefulSet that exists.
func IdentityOf(set *appsv1.StatefulSet) Identity {
	identity := Identity{Name: set.Name}
	for i := range set.Spec.VolumeClaimTemplates {
		identity.Templates = append(identity.Templates, set.Spec.VolumeClaimTemplates[i].Name)
	}
	if set.Spec.Selector != nil {
		identity.MatchLabels = set.Spec.Selector.MatchLabels
	}
	return identity
}

// Template returns the claim template that makes a claim's base fit this identity.
// At most one does, since the set's name is a fixed suffix.
func (id Identity) Template(base string) (string, bool) {
	for _, template := range id.Templates {
		if Base(template, id.Name) == base {
			return template, true
		}
	}
	return "", false
}

// ephemeral reports whether a claim is that of a pod's generic ephemeral volume: the pod is its controller, and not the
// StatefulSet's pod of the ordinal, which the StatefulSet controller makes the owner when it is to delete the claim.
func ephemeral(claim *corev1.PersistentVolumeClaim, set string, ordinal int32) bool {
	owner := metav1.GetControllerOfNoCopy(claim)
	return owner != nil && owner.Kind == "Pod" && owner.Name != fmt.Sprintf("%s-%d", set, ordinal)
}

// Verdict is whether a claim belongs to a StatefulSet.
type Verdict int

const (
	// Foreign: the name doesn't fit, or the labels say that it is another's.
	Foreign Verdict = iota
	// Own: the name fits, and no other StatefulSet can have made it.
	Own
	// Ambiguous: the name fits more than one StatefulSet and the labels don't decide.
	Ambiguous
	// Stranded: the name ends like those of the StatefulSet's claims and is no other StatefulSet's, but
	// no claim template makes it, or it lacks labels that the StatefulSet controller gives to what it makes.
	Stranded
)

// Belongs reports whether a claim is the StatefulSet's, given the other StatefulSets of
// its namespace. Own comes with the claim's template and ordinal.
func Belongs(claim *corev1.PersistentVolumeClaim, set Identity, others []Identity) (template string, ordinal int32, verdict Verdict) {
	base, ordinal, ok := Parse(claim.Name)
	if !ok || !slices.Contains(Sets(base), set.Name) || ephemeral(claim, set.Name, ordinal) {
		return "", 0, Foreign
	}
	template, fits := set.Template(base)
	mine := agreement(claim.Labels, set.MatchLabels)
	if !fits || mine == contradicts {
		return "", 0, stranded(claim, base, set, others)
	}
	for _, other := range others {
		if other.Name == set.Name {
			continue
		}
		if _, fits := other.Template(base); !fits {
			continue
		}
		// The other one is out of the question if the labels contradict it, and if they
		// bear all of our selector and not all of its.
		theirs := agreement(claim.Labels, other.MatchLabels)
		if theirs == contradicts || (mine == confirms && theirs == silent) {
			continue
		}
		if mine == silent && theirs == confirms {
			return "", 0, Foreign
		}
		return template, ordinal, Ambiguous
	}
	if mine == silent && len(set.MatchLabels) > 0 {
		// Its controller did not make it: another workload's may have such a name.
		return "", 0, Stranded
	}
	return template, ordinal, Own
}

// stranded reports whether a claim that isn't the StatefulSet's looks as if it had been: of a
// claim template that the StatefulSet has no longer, of one before it with another selector, or
// of one that was gone before the operator looked. A name alone says so only of a StatefulSet of
// which nothing else is known.
func stranded(claim *corev1.PersistentVolumeClaim, base string, set Identity, others []Identity) Verdict {
	_, fits := set.Template(base)
	known := len(set.Templates) > 0 || len(set.MatchLabels) > 0
	if !fits && known && agreement(claim.Labels, set.MatchLabels) != confirms {
		return Foreign
	}
	for _, other := range others {
		if _, fits := other.Template(base); fits && other.Name != set.Name && agreement(claim.Labels, other.MatchLabels) != contradicts {
			return Foreign
		}
	}
	return Stranded
}

type labelAgreement int

const (
	silent labelAgreement = iota
	confirms
	contradicts
)

// agreement compares a claim's labels with a selector's: any other value contradicts,
// all values present confirm, and anything less says nothing.
func agreement(labels, matchLabels map[string]string) labelAgreement {
	found := 0
	for key, want := range matchLabels {
		got, has := labels[key]
		if has && got != want {
			return contradicts
		}
		if has {
			found++
		}
	}
	if found > 0 && found == len(matchLabels) {
		return confirms
	}
	return silent
}
