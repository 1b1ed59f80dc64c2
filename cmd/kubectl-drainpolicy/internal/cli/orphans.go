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

package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/view"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

func orphansCommand(s *session) *cobra.Command {
	everywhere, all, output := false, false, ""
	command := &cobra.Command{
		Use: "orphans", Short: "List the claims that no StatefulSet wants",
		Long: `Lists the claims outside the range of their StatefulSet, and those that are named like claims of a StatefulSet that does not exist. The latter
can be of anything: their StatefulSet has a question mark. Claims that a pod uses are left out. It needs no operator in the cluster.`,
		Args: cobra.NoArgs,
		RunE: s.run(func(ctx context.Context, _ []string) error {
			namespace := s.namespace
			if everywhere {
				namespace = ""
			}
			return s.orphans(ctx, namespace, output, everywhere, all)
		}),
	}
	command.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "List the claims of all namespaces")
	command.Flags().BoolVar(&all, "all", false, "List all claims, however many a StatefulSet has")
	outputFlag(command, &output, "json", "yaml", "name")
	return command
}

// Orphan is a claim that no StatefulSet wants.
type Orphan struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	StatefulSet string `json:"statefulSet"`
	// Known is false when no StatefulSet of that name exists, so that the name is a guess.
	Known   bool        `json:"statefulSetExists"`
	Ordinal int32       `json:"ordinal"`
	State   string      `json:"state"`
	Size    string      `json:"size,omitempty"`
	Class   string      `json:"storageClass,omitempty"`
	Created metav1.Time `json:"creationTimestamp"`
	// Unused is since when no pod has used the claim, where Kubernetes reports that.
	Unused *metav1.Time `json:"unusedSince,omitempty"`
}

func (s *session) orphans(ctx context.Context, namespace, output string, namespaces, all bool) error {
	var sets appsv1.StatefulSetList
	var volumes corev1.PersistentVolumeClaimList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&sets, &volumes, &pods} {
		if err := s.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return err
		}
	}
	found, total := orphansOf(sets.Items, volumes.Items, pods.Items)
	switch {
	case output == "name":
		for i := range found {
			fmt.Fprintln(s.Out, "persistentvolumeclaim/"+found[i].Name)
		}
		return nil
	case output != "":
		return s.encode(output, map[string]any{"items": found, "total": total.String()})
	case len(found) == 0:
		fmt.Fprintf(s.ErrOut, "No orphaned claims%s.\n", in(namespace))
		return nil
	}
	s.listOrphans(found, &total, namespaces, all)
	return nil
}

func (s *session) listOrphans(found []Orphan, total *resource.Quantity, namespaces, all bool) {
	style := s.style()
	table := view.NewTable(style, "NAMESPACE", "CLAIM", "STATEFULSET", "ORDINAL", "STATE", "SIZE", "STORAGECLASS", "AGE", "UNUSED")
	age := func(since metav1.Time) string { return duration.HumanDuration(style.Now.Sub(since.Time)) }
	more := map[string]int{}
	listed := map[string]int{}
	for i := range found {
		o := &found[i]
		set := o.StatefulSet
		if !o.Known {
			set += "?"
		}
		key := o.Namespace + "/" + set
		listed[key]++
		if !all && listed[key] > view.Shown {
			more[key]++
			continue
		}
		shown, unused := "", ""
		if namespaces {
			shown = o.Namespace
		}
		if o.Unused != nil {
			unused = age(*o.Unused)
		}
		table.Row(0, shown, o.Name, set, strconv.Itoa(int(o.Ordinal)), o.State, o.Size, o.Class, age(o.Created), unused)
	}
	table.Write(s.Out)
	for _, key := range slices.Sorted(maps.Keys(more)) {
		fmt.Fprintf(s.Out, "%d more of %s; --all lists them\n", more[key], key)
	}
	fmt.Fprintf(s.Out, "%d claims, %s\n", len(found), total.String())
}

// orphansOf returns the claims that no StatefulSet wants and no pod uses, sorted, and their total size.
func orphansOf(sets []appsv1.StatefulSet, volumes []corev1.PersistentVolumeClaim, pods []corev1.Pod) ([]Orphan, resource.Quantity) {
	targets, identities := map[string][]statefulset.Target{}, map[string][]claims.Identity{}
	for i := range sets {
		target := statefulset.Of(&sets[i])
		targets[target.Namespace] = append(targets[target.Namespace], target)
		identities[target.Namespace] = append(identities[target.Namespace], target.Identity())
	}
	used := map[string]bool{}
	for i := range pods {
		for j := range pods[i].Spec.Volumes {
			if source := pods[i].Spec.Volumes[j].PersistentVolumeClaim; source != nil && !over(&pods[i]) {
				used[pods[i].Namespace+"/"+source.ClaimName] = true
			}
		}
	}
	found, total := []Orphan{}, resource.Quantity{Format: resource.BinarySI}
	for i := range volumes {
		claim := &volumes[i]
		set, ordinal, known, wanted := wants(claim, targets[claim.Namespace], identities[claim.Namespace])
		if wanted || used[claim.Namespace+"/"+claim.Name] {
			continue
		}
		since, _ := claims.UnusedSince(claim)
		size := claim.Status.Capacity[corev1.ResourceStorage]
		total.Add(size)
		orphan := Orphan{
			Namespace: claim.Namespace, Name: claim.Name, StatefulSet: set, Known: known, Ordinal: ordinal, State: view.ClaimState(claim),
			Class: ptr.Deref(claim.Spec.StorageClassName, ""), Created: claim.CreationTimestamp, Unused: since,
		}
		if !size.IsZero() {
			orphan.Size = size.String()
		}
		found = append(found, orphan)
	}
	slices.SortFunc(found, func(a, b Orphan) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.StatefulSet, b.StatefulSet),
			cmp.Compare(b.Ordinal, a.Ordinal), strings.Compare(a.Name, b.Name))
	})
	return found, total
}

// over reports whether a pod has ended and uses its claims no more.
func over(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// wants returns the StatefulSet that a claim seems to belong to, and whether the claim is wanted: by it, or by something else than a
// StatefulSet, as far as the name tells.
func wants(claim *corev1.PersistentVolumeClaim, targets []statefulset.Target, identities []claims.Identity) (set string, ordinal int32, known, wanted bool) {
	base, ordinal, named := claims.Parse(claim.Name)
	if !named || metav1.GetControllerOfNoCopy(claim) != nil {
		return "", 0, false, true
	}
	for i := range targets {
		switch _, number, verdict := claims.Belongs(claim, identities[i], identities); verdict {
		case claims.Own:
			return targets[i].Name, number, true, targets[i].InRange(number)
		case claims.Ambiguous:
			return "", 0, false, true
		case claims.Stranded, claims.Foreign:
			if _, fits := identities[i].Template(base); fits && targets[i].InRange(ordinal) {
				// The StatefulSet's pod mounts what has the name, whatever its labels are.
				return "", 0, false, true
			}
		}
	}
	// A claim template's name has seldom a dash, so what follows the first one is the likeliest name.
	_, set, dashed := strings.Cut(base, "-")
	return set, ordinal, false, !dashed || set == ""
}
