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

// Package cli is the commands of `kubectl drainpolicy`. Each is a function of a session, in a file of its own.
package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/view"
)

// session is what a command has of its caller and of the cluster.
type session struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
	clock clock.WithTicker
	color string

	// The rest is set by connect.
	config    *rest.Config
	client    client.WithWatch
	namespace string
}

const long = `Answers the questions that a person on call asks about the drains of StatefulSets:

  status    what is a drain waiting for, and how far is it?
  check     is it safe to scale down now?
  wait      is the scale-down that I asked for drained?
  logs      what does a drain say?
  undo      can I have the ordinal back?

Exit codes:
  0  yes, or done
  1  an error: no cluster, no right, no such name, wrong usage
  2  the answer is no: check found an objection, or the change that was asked for is not possible now
  3  wait: the drain stalled, or the claims are kept undrained, so waiting longer does not help
  4  wait: the timeout is over
  5  wait: the policy or its StatefulSet is gone`

// New returns the root command. version is what --version prints.
func New(streams genericiooptions.IOStreams, clock clock.WithTicker, version string) *cobra.Command {
	// Its libraries log for operators of a controller; what a person needs to know is in errors and notes.
	log.SetLogger(logr.Discard())
	s := &session{IOStreams: streams, clock: clock, flags: genericclioptions.NewConfigFlags(true), color: "auto"}
	root := &cobra.Command{
		Use: "kubectl-drainpolicy", Short: "Show, check and steer the drains of StatefulSets", Long: long, Version: version,
		Annotations:  map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl drainpolicy"},
		SilenceUsage: true, SilenceErrors: true, DisableAutoGenTag: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if s.color != "auto" && s.color != "always" && s.color != "never" {
				return fmt.Errorf("--color is %q; it must be auto, always or never", s.color)
			}
			return nil
		},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetVersionTemplate("{{.Version}}\n")
	s.flags.AddFlags(root.PersistentFlags())
	root.PersistentFlags().StringVar(&s.color, "color", s.color, "When to use colors: auto (in a terminal), always or never")
	must(root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp)))
	must(root.RegisterFlagCompletionFunc("namespace", s.completeNamespace))
	look, change := &cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "change", Title: "Change:"}
	root.AddGroup(look, change)
	add := func(to *cobra.Group, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = to.ID
			root.AddCommand(command)
		}
	}
	add(look, statusCommand(s), checkCommand(s), waitCommand(s), logsCommand(s), orphansCommand(s), initCommand(s), reportCommand(s))
	add(change, suspendCommand(s, true), suspendCommand(s, false), skipCommand(s, true), skipCommand(s, false),
		retryCommand(s), cancelCommand(s), undoCommand(s))
	return root
}

// must is for what only a mistake in this package can make fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// connect finds the cluster, and makes the client. It sends no request.
func (s *session) connect() error {
	loader := s.flags.ToRawKubeConfigLoader()
	config, err := s.flags.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("can't read the kubeconfig: %w; set KUBECONFIG, or --kubeconfig and --context", err)
	}
	if s.namespace, _, err = loader.Namespace(); err != nil {
		return fmt.Errorf("can't read the namespace of the kubeconfig: %w", err)
	}
	// A command of a person may send its few requests at once.
	config.QPS, config.Burst = 50, 100
	s.config = config
	s.client, err = client.NewWithWatch(config, client.Options{Scheme: Scheme()})
	return err
}

// Scheme returns the kinds that the plugin reads and writes.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	must(drainv1alpha1.AddToScheme(scheme))
	return scheme
}

// run returns what a command does: connect, act, and explain what went wrong.
func (s *session) run(act func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		if err := s.connect(); err != nil {
			return err
		}
		return s.explain(act(command.Context(), args))
	}
}

// style returns how trees and tables are written.
func (s *session) style() view.Style {
	return view.Style{Now: s.clock.Now(), Color: s.color == "always" || s.color == "auto" && s.terminal() && os.Getenv("NO_COLOR") == ""}
}

// terminal reports whether a person reads the output as it is written.
func (s *session) terminal() bool {
	file, ok := s.Out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
