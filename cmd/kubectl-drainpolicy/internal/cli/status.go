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
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/view"
)

// statusOptions are the flags of status.
type statusOptions struct {
	everywhere, watch, all bool
	output                 string
}

func statusCommand(s *session) *cobra.Command {
	o := &statusOptions{}
	command := &cobra.Command{
		Use: "status [NAME]", Short: "Show what the drains of a policy wait for, and how far they are",
		Long: `Shows each policy with its ordinals, and each ordinal with its lock, Job, pods and claims. A policy with spec.leave also has
the members that leave or join again, each with its Job and pods.

With more than ` + fmt.Sprint(view.Shown) + ` ordinals, it shows the most urgent ones and counts the others. --watch redraws the tree in a terminal, and
writes a line for each change elsewhere.`,
		Example: `  kubectl drainpolicy status
  kubectl drainpolicy status datastore -w
  kubectl drainpolicy status -A -o json | jq '.items[] | select(.failed > 0)'`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: s.completePolicies,
		RunE: s.run(func(ctx context.Context, args []string) error { return s.status(ctx, o, strings.Join(args, "")) }),
	}
	command.Flags().BoolVarP(&o.everywhere, "all-namespaces", "A", false, "Show the policies of all namespaces")
	command.Flags().BoolVarP(&o.watch, "watch", "w", false, "Continue to show what changes, until interrupted")
	command.Flags().BoolVar(&o.all, "all", false, "Show all ordinals, however many there are")
	outputFlag(command, &o.output, "json", "yaml", "name")
	return command
}

func outputFlag(command *cobra.Command, output *string, formats ...string) {
	command.Flags().StringVarP(output, "output", "o", "", "Output format: "+strings.Join(formats, ", "))
	must(command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	command.PreRunE = func(*cobra.Command, []string) error {
		if *output != "" && !slices.Contains(formats, *output) {
			return fmt.Errorf("-o %q is not known; the formats are %s", *output, strings.Join(formats, ", "))
		}
		return nil
	}
}

func (s *session) status(ctx context.Context, o *statusOptions, name string) error {
	namespace := s.namespace
	switch {
	case o.everywhere && name != "":
		return fmt.Errorf("a name and --all-namespaces exclude each other: use -n NAMESPACE")
	case o.everywhere:
		namespace = ""
	}
	if name != "" {
		policy, err := s.policy(ctx, name)
		if err != nil {
			return err
		}
		name = policy.Name
	}
	scope := scope{namespace: namespace, name: name}
	if o.watch {
		return s.watch(ctx, o, scope)
	}
	policies, notes, err := scope.read(ctx, s.client)
	if err != nil {
		return err
	}
	s.note(notes)
	s.recall(ctx, policies)
	if o.output != "" {
		return s.print(o.output, name != "", policies)
	}
	if len(policies) == 0 {
		fmt.Fprintf(s.ErrOut, "No DrainPolicies%s.\n", in(namespace))
	}
	s.tree(o, policies)
	return nil
}

// recall adds the last words of the attempt before to members whose next one runs. The Job that failed is gone by then, but for its
// record. Without the right to read records, there are none.
func (s *session) recall(ctx context.Context, policies []view.Policy) {
	for i := range policies {
		for j := range policies[i].Members {
			m := &policies[i].Members[j]
			if m.State != view.MemberLeaving && m.State != view.MemberRejoining || m.Attempt < 2 || m.Message != "" {
				continue
			}
			var list drainv1alpha1.DrainRecordList
			if s.client.List(ctx, &list, client.InNamespace(policies[i].Namespace), client.MatchingFields{"policyName": policies[i].Name}, client.MatchingLabels{
				drainv1alpha1.OrdinalLabel: fmt.Sprint(m.Ordinal), drainv1alpha1.AttemptLabel: fmt.Sprint(m.Attempt - 1),
			}) != nil {
				return
			}
			var last metav1.Time
			for k := range list.Items {
				if record := &list.Items[k]; strings.EqualFold(string(record.Action), m.Action) && last.Before(&record.CreationTimestamp) {
					last, m.Message = record.CreationTimestamp, fmt.Sprintf("attempt %d: %s: %s", record.Attempt, record.Result, record.Message)
				}
			}
		}
	}
}

func in(namespace string) string {
	if namespace == "" {
		return " in any namespace"
	}
	return fmt.Sprintf(" in namespace %q", namespace)
}

func (s *session) note(notes []string) {
	for _, note := range notes {
		fmt.Fprintln(s.ErrOut, "note: "+note)
	}
}

func (s *session) tree(o *statusOptions, policies []view.Policy) {
	style := s.style()
	style.All = o.all
	for i := range policies {
		if i > 0 {
			fmt.Fprintln(s.Out)
		}
		policies[i].Write(s.Out, style)
	}
}

// print writes policies for programs: one alone, or all below items.
func (s *session) print(format string, one bool, policies []view.Policy) error {
	if format == "name" {
		for i := range policies {
			fmt.Fprintln(s.Out, "drainpolicy.drain.statefulset.dev/"+policies[i].Name)
		}
		return nil
	}
	var what any = map[string]any{"items": policies}
	if one && len(policies) == 1 {
		what = policies[0]
	}
	return s.encode(format, what)
}

func (s *session) encode(format string, what any) error {
	if format == "yaml" {
		text, err := yaml.Marshal(what)
		if err == nil {
			_, err = s.Out.Write(text)
		}
		return err
	}
	encoder := json.NewEncoder(s.Out)
	encoder.SetIndent("", "    ")
	return encoder.Encode(what)
}

// scope is which policies a status is about.
type scope struct {
	// namespace is empty for all, and name is empty for all of the namespace.
	namespace, name string
}

// read returns the views of the policies in scope, and what the user may not see of them.
func (sc scope) read(ctx context.Context, reader client.Reader) (views []view.Policy, notes []string, err error) {
	var policies drainv1alpha1.DrainPolicyList
	if err := reader.List(ctx, &policies, client.InNamespace(sc.namespace)); err != nil {
		return nil, nil, err
	}
	objects, notes, err := sc.objects(ctx, reader)
	if err != nil {
		return nil, nil, err
	}
	for i := range policies.Items {
		if sc.name == "" || sc.name == policies.Items[i].Name {
			views = append(views, view.Of(&policies.Items[i], objects))
		}
	}
	return views, notes, nil
}

// kind is a kind of object that belongs to policies. Reading it needs a right of its own.
type kind struct {
	object client.Object
	list   client.ObjectList
	names  string
	with   []client.ListOption
}

func kinds(read *lists) []kind {
	drains := []client.ListOption{client.HasLabels{drainv1alpha1.PolicyUIDLabel}}
	return []kind{
		{&appsv1.StatefulSet{}, &read.sets, "StatefulSets are", nil},
		{&corev1.Pod{}, &read.pods, "locks and pods are", drains},
		{&batchv1.Job{}, &read.jobs, "Jobs are", drains},
		{&corev1.PersistentVolumeClaim{}, &read.claims, "claims are", nil},
	}
}

func (k *kind) note(err error) string { return fmt.Sprintf("no %s shown: %v", k.names, err) }

type lists struct {
	sets   appsv1.StatefulSetList
	pods   corev1.PodList
	jobs   batchv1.JobList
	claims corev1.PersistentVolumeClaimList
}

// objects reads what belongs to policies. A kind that the user may not list is left out, with a note.
func (sc scope) objects(ctx context.Context, reader client.Reader) (view.Objects, []string, error) {
	var read lists
	var notes []string
	for _, kind := range kinds(&read) {
		err := reader.List(ctx, kind.list, append(kind.with, client.InNamespace(sc.namespace))...)
		switch {
		case apierrors.IsForbidden(err):
			notes = append(notes, kind.note(err))
		case err != nil:
			return view.Objects{}, nil, err
		}
	}
	return view.Objects{Sets: read.sets.Items, Pods: read.pods.Items, Jobs: read.jobs.Items, Claims: read.claims.Items}, notes, nil
}
