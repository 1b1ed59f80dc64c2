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

// Command bench measures what drains cost: the time, the requests, the processor time and the memory of the operator, beside
// those of a client that makes only the writes that a drain cannot do without.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/statefulset-dev/drain-operator/test/bench/report"
	"github.com/statefulset-dev/drain-operator/test/bench/scenario"
	"github.com/statefulset-dev/drain-operator/test/bench/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	scenarios list
	repeat    int
	label     string
	out       string
	render    list
	document  string
	chart     string
	policy    string
	revision  string
	bench     scenario.Bench
	plan      scenario.Plan
}

func parse(args []string) (*options, error) {
	o := &options{scenarios: list(scenario.Names())}
	o.bench.Binary.Env = []string{"GOMEMLIMIT=224MiB", "GOGC=60"}
	o.bench.Binary.Args = []string{"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0"}
	o.bench.Manifests = []string{
		"config/crd/bases/drain.statefulset.dev_drainpolicies.yaml", "config/crd/bases/drain.statefulset.dev_drainrecords.yaml", "config/rbac/role.yaml",
	}
	o.plan = scenario.DefaultPlan()

	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Var(&o.scenarios, "scenarios", "what to measure, separated by commas: "+strings.Join(scenario.Names(), ", "))
	flags.Var((*ints)(&o.plan.Sizes), "sizes", "numbers of StatefulSets of the bursts")
	flags.Var((*ints)(&o.plan.Ordinals), "ordinals", "numbers of ordinals of the one StatefulSet in the scenario ordinals")
	flags.Float64Var(&o.plan.Scale, "scale", 1, "factor for the numbers of objects of defaults, foreign, tenants, steady and restart")
	flags.IntVar(&o.repeat, "repeat", 1, "how often each measurement is made; the fastest one counts")
	flags.BoolVar(&o.bench.WithBare, "bare", true, "measure the bare client too")

	flags.StringVar(&o.bench.Binary.File, "binary", "bin/manager", "operator under test")
	flags.Var((*words)(&o.bench.Binary.Args), "args", "its arguments, separated by spaces")
	flags.Var((*words)(&o.bench.Binary.Env), "env", "its environment beside KUBECONFIG, NAME=value separated by spaces; config/manager sets the same")
	flags.StringVar(&o.policy, "policy", "", "file with a template of the object that makes the operator drain a StatefulSet; empty for a DrainPolicy")
	flags.Var((*list)(&o.bench.Manifests), "manifests", "files of its CRDs and of its ClusterRole manager-role")
	flags.StringVar(&o.bench.Binary.Profiles, "profile", "", "folder for CPU and heap profiles; needs --pprof-bind-address among -args")

	flags.IntVar(&o.bench.Nodes, "nodes", 10, "number of fake nodes")
	flags.IntVar(&o.bench.Concurrency, "max-concurrent-drains", 1, "spec.maxConcurrentDrains of the policies")
	flags.DurationVar(&o.bench.Timeout, "timeout", 20*time.Minute, "limit for the drains of one burst")
	flags.DurationVar(&o.bench.Rest, "rest", time.Minute, "how long the operator is watched at rest")

	flags.StringVar(&o.label, "label", "now", "name of the run in tables and in the chart")
	flags.StringVar(&o.revision, "revision", "", "revision of the operator under test")
	flags.StringVar(&o.out, "out", "", "file for the results as JSON; measurements are added to those that it has of the same revision")
	flags.Var(&o.render, "render", "files of results to render; nothing is measured then")
	flags.StringVar(&o.document, "document", "docs/performance.md", "document whose tables -render writes")
	flags.StringVar(&o.chart, "chart", "docs/images/performance.svg", "chart that -render writes")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if len(o.render) > 0 {
		return report.Render(o.render, o.document, o.chart)
	}
	if o.bench.Top, err = top(); err != nil {
		return err
	}
	for i, file := range o.bench.Manifests {
		if !filepath.IsAbs(file) {
			o.bench.Manifests[i] = filepath.Join(o.bench.Top, file)
		}
	}
	o.bench.Policy = workload.DefaultPolicy
	if o.policy != "" {
		content, err := os.ReadFile(o.policy)
		if err != nil {
			return err
		}
		o.bench.Policy = string(content)
	}
	o.plan.Concurrency = o.bench.Concurrency
	begun := time.Now()
	o.bench.Report = func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
	}
	return measure(ctx, o)
}

// measure makes all measurements, saves each as soon as it is there, and prints a table at the end.
func measure(ctx context.Context, o *options) error {
	results, err := results(o)
	if err != nil {
		return err
	}
	var failed []error
	for range o.repeat {
		for _, scenario := range o.plan.Scenarios(&o.bench, o.scenarios) {
			measured, err := scenario.Measure(ctx, scenario.Shape)
			if ctx.Err() != nil {
				return errors.Join(context.Cause(ctx), err)
			}
			if err != nil {
				o.bench.Report("%s failed: %v", scenario.Shape.Scenario, err)
				failed = append(failed, err)
			}
			results.Measurements = append(results.Measurements, measured...)
			if o.out != "" {
				if err := results.Save(o.out); err != nil {
					return err
				}
			}
		}
	}
	fmt.Print(report.Markdown([]*report.Results{results}))
	return errors.Join(failed...)
}

func results(o *options) (*report.Results, error) {
	results := &report.Results{}
	if o.out != "" {
		if _, err := os.Stat(o.out); err == nil {
			kept, err := report.Load(o.out)
			if err != nil {
				return nil, err
			}
			// Measurements of another revision are no part of this run.
			if kept.Revision == o.revision {
				results = kept
			}
		}
	}
	results.Label, results.Revision, results.Time = o.label, o.revision, time.Now().UTC().Truncate(time.Second)
	results.Kubernetes, results.Machine = scenario.KubernetesVersion, report.ThisMachine()
	results.Args, results.Env = o.bench.Binary.Args, o.bench.Binary.Env
	return results, nil
}

// top is the folder of the checkout, above the working folder.
func top() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "test", "bench", "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%s is not inside a checkout of drain-operator", start)
		}
	}
}

// list is a flag of values that are separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set replaces the values.
func (l *list) Set(text string) error {
	*l = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	return nil
}

// words is a flag of values that are separated by spaces.
type words []string

func (w *words) String() string { return strings.Join(*w, " ") }

// Set replaces the values.
func (w *words) Set(text string) error {
	*w = strings.Fields(text)
	return nil
}

// ints is a flag of numbers that are separated by commas.
type ints []int

func (n *ints) String() string {
	texts := make([]string, 0, len(*n))
	for _, number := range *n {
		texts = append(texts, strconv.Itoa(number))
	}
	return strings.Join(texts, ",")
}

// Set replaces the numbers.
func (n *ints) Set(text string) error {
	var l list
	if err := l.Set(text); err != nil {
		return err
	}
	*n = nil
	for _, value := range l {
		number, err := strconv.Atoi(value)
		if err != nil {
			return err
		}
		*n = append(*n, number)
	}
	return nil
}
