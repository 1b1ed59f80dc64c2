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
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// policy reads a policy. If there is none of the name, the error names those that are near.
func (s *session) policy(ctx context.Context, name string) (*drainv1alpha1.DrainPolicy, error) {
	name = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "drainpolicies/"), "drainpolicy/"), "dpol/")
	policy := &drainv1alpha1.DrainPolicy{}
	err := s.client.Get(ctx, types.NamespacedName{Namespace: s.namespace, Name: name}, policy)
	if !apierrors.IsNotFound(err) || noDrainPolicies(err) {
		return policy, err
	}
	return nil, fmt.Errorf("no DrainPolicy %q in namespace %q%s", name, s.namespace, s.suggest(ctx, name))
}

// suggest says what else there is. It is a courtesy: what can't be read is left out.
func (s *session) suggest(ctx context.Context, name string) string {
	var all drainv1alpha1.DrainPolicyList
	if s.client.List(ctx, &all) != nil && s.client.List(ctx, &all, client.InNamespace(s.namespace)) != nil {
		return ""
	}
	var here, elsewhere []string
	for i := range all.Items {
		p := &all.Items[i]
		switch {
		case p.Namespace == s.namespace && p.Spec.StatefulSetRef.Name == name:
			return fmt.Sprintf("; the DrainPolicy of StatefulSet %q is %q", name, p.Name)
		case p.Namespace == s.namespace:
			here = append(here, p.Name)
		case p.Name == name:
			elsewhere = append(elsewhere, p.Namespace)
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Sprintf("; namespace %q has one: add -n %s", elsewhere[0], elsewhere[0])
	}
	if similar := near(name, here); len(similar) > 0 {
		return "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	if len(here) == 0 {
		return "; the namespace has none"
	}
	return "; kubectl get drainpolicies lists those that exist"
}

// near returns the names that are most like one, at most three.
func near(name string, names []string) []string {
	const most = 3
	distance := func(other string) int { return levenshtein.Distance(name, other, nil) }
	similar := slices.DeleteFunc(slices.Clone(names), func(other string) bool {
		return distance(other) > max(2, len(name)/3) && !strings.HasPrefix(other, name) && !strings.HasPrefix(name, other)
	})
	slices.SortFunc(similar, func(a, b string) int { return cmp.Or(cmp.Compare(distance(a), distance(b)), cmp.Compare(a, b)) })
	return similar[:min(len(similar), most)]
}

// statefulSet reads the StatefulSet of a policy, or returns nil if it does not exist.
func (s *session) statefulSet(ctx context.Context, policy *drainv1alpha1.DrainPolicy) (*appsv1.StatefulSet, error) {
	set := &appsv1.StatefulSet{}
	err := s.client.Get(ctx, types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.StatefulSetRef.Name}, set)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // its absence is not an error
	}
	return set, err
}

// ordinal reads the argument that is an ordinal. The name of the StatefulSet's pod does as well.
func ordinal(argument string) (int32, error) {
	number := argument[strings.LastIndexByte(argument, '-')+1:]
	ordinal, err := strconv.ParseInt(number, 10, 32)
	if err != nil || ordinal < 0 {
		return 0, fmt.Errorf("%q is not an ordinal: give its number, such as 2", argument)
	}
	return int32(ordinal), nil
}

// drainOf returns what the status says of an ordinal, or nil.
func drainOf(policy *drainv1alpha1.DrainPolicy, ordinal int32) *drainv1alpha1.DrainStatus {
	for i := range policy.Status.Drains {
		if ptr.Deref(policy.Status.Drains[i].Ordinal, -1) == ordinal {
			return &policy.Status.Drains[i]
		}
	}
	return nil
}

// needDrain returns what the status says of an ordinal, or an answer that it says nothing.
func needDrain(policy *drainv1alpha1.DrainPolicy, ordinal int32) (*drainv1alpha1.DrainStatus, error) {
	if d := drainOf(policy, ordinal); d != nil {
		return d, nil
	}
	var known []string
	for i := range policy.Status.Drains[:min(len(policy.Status.Drains), 10)] {
		known = append(known, strconv.Itoa(int(*policy.Status.Drains[i].Ordinal)))
	}
	if len(known) == 0 {
		return nil, no("DrainPolicy %q reports no drain: no ordinal of StatefulSet %q is orphaned", policy.Name, policy.Spec.StatefulSetRef.Name)
	}
	return nil, no("DrainPolicy %q reports no drain of ordinal %d; it reports: %s", policy.Name, ordinal, strings.Join(known, ", "))
}

// completePolicies completes the first argument with the names of policies, and the second with ordinals.
func (s *session) completePolicies(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if s.connect() != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	switch len(args) {
	case 0:
		var list drainv1alpha1.DrainPolicyList
		if s.client.List(command.Context(), &list, client.InNamespace(s.namespace)) != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names := make([]string, 0, len(list.Items))
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	case 1:
		if !strings.Contains(command.Use, "ORDINAL") {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		policy, err := s.policy(command.Context(), args[0])
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var ordinals []string
		for i := range policy.Status.Drains {
			d := &policy.Status.Drains[i]
			ordinals = append(ordinals, fmt.Sprintf("%d\t%s %s", *d.Ordinal, d.State, d.Reason))
		}
		return ordinals, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeNamespace completes --namespace.
func (s *session) completeNamespace(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var list corev1.NamespaceList
	if s.connect() != nil || s.client.List(command.Context(), &list) != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
