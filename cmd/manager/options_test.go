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

package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const address = "must be HOST:PORT or :PORT with a port from 1 to 65535, or 0 to serve none"
	for name, test := range map[string]struct {
		arguments string
		// refused are parts of the error, or none if the arguments are right.
		refused []string
	}{
		"no arguments":                     {"", nil},
		"the arguments of config/manager":  {"--leader-elect --health-probe-bind-address=:8081 --metrics-bind-address=:8443", nil},
		"everything off":                   {"--leader-elect=false --health-probe-bind-address=0 --metrics-bind-address=0 --pprof-bind-address=0", nil},
		"an IPv6 address":                  {"--metrics-bind-address=[::1]:8443", nil},
		"two hosts with one port":          {"--metrics-bind-address=127.0.0.1:8081 --health-probe-bind-address=10.0.0.1:8081", nil},
		"a limit of requests":              {"--kube-api-qps=0.5 --kube-api-burst=1", nil},
		"namespaces with spaces":           {"--namespaces=a,\tb", nil},
		"all namespaces, by an empty list": {"--namespaces=", nil},

		"an unknown flag":                   {"--leader-election", []string{"flag provided but not defined: -leader-election"}},
		"a positional argument":             {"run", []string{`unexpected argument "run"`}},
		"a boolean flag without =":          {"--leader-elect false", []string{`unexpected argument "false"`, "--leader-elect=false"}},
		"a boolean that isn't one":          {"--metrics-secure=maybe", []string{`invalid boolean value "maybe" for -metrics-secure`}},
		"a number that isn't one":           {"--max-concurrent-reconciles=many", []string{`invalid value "many" for flag -max-concurrent-reconciles`}},
		"no reconciles":                     {"--max-concurrent-reconciles=0", []string{"--max-concurrent-reconciles=0: must be 1 or more"}},
		"a negative number of reconciles":   {"--max-concurrent-reconciles=-3", []string{"--max-concurrent-reconciles=-3: must be 1 or more"}},
		"no requests":                       {"--kube-api-qps=0", []string{"--kube-api-qps=0: must be more than 0, or -1 for no limit"}},
		"a negative limit of requests":      {"--kube-api-qps=-2", []string{"--kube-api-qps=-2: must be more than 0, or -1 for no limit"}},
		"an infinite limit of requests":     {"--kube-api-qps=+Inf", []string{"--kube-api-qps=+Inf: must be more than 0, or -1 for no limit"}},
		"a limit of requests that isn't":    {"--kube-api-qps=NaN", []string{"--kube-api-qps=NaN: must be more than 0, or -1 for no limit"}},
		"no burst":                          {"--kube-api-qps=5 --kube-api-burst=0", []string{"--kube-api-burst=0: must be 1 or more"}},
		"a port without a colon":            {"--health-probe-bind-address=8081", []string{"--health-probe-bind-address=8081: " + address}},
		"a port by name":                    {"--metrics-bind-address=:https", []string{"--metrics-bind-address=:https: " + address}},
		"a port that is too high":           {"--pprof-bind-address=:65536", []string{"--pprof-bind-address=:65536: " + address}},
		"a port that changes at each start": {"--health-probe-bind-address=:0", []string{"--health-probe-bind-address=:0: " + address}},
		"no address":                        {"--metrics-bind-address=", []string{"--metrics-bind-address=: " + address}},
		"metrics and probes on one address": {"--metrics-bind-address=:8081", []string{"--metrics-bind-address=:8081 and --health-probe-bind-address=:8081"}},
		"profiles on the port of all hosts": {"--pprof-bind-address=127.0.0.1:8081", []string{"two servers can't use one address"}},
		"an empty name in the namespaces":   {"--namespaces=a,,b", []string{`--namespaces=a,,b: "" isn't the name of a namespace`}},
		"only a comma for the namespaces":   {"--namespaces=,", []string{`"" isn't the name of a namespace`}},
		"a bad name of a namespace":         {"--namespaces=default,My_Namespace", []string{`"My_Namespace" isn't the name of a namespace`}},
		"a wildcard for the namespaces":     {"--namespaces=*", []string{`"*" isn't the name of a namespace`}},
		"a bad namespace of the Lease":      {"--leader-elect-resource-namespace=A.b", []string{"--leader-elect-resource-namespace=A.b: not the name of a namespace"}},
		"a bad log level":                   {"--zap-log-level=loud", []string{`invalid value "loud" for flag -zap-log-level`}},
		"several mistakes at once":          {"--kube-api-qps=0 --namespaces=_", []string{"--kube-api-qps=0", "--namespaces=_"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(slices.DeleteFunc(strings.Split(test.arguments, " "), func(s string) bool { return s == "" }), io.Discard)
			if (err != nil) != (len(test.refused) > 0) {
				t.Fatalf("parse(%q): %v, want %q", test.arguments, err, test.refused)
			}
			for _, words := range test.refused {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("parse(%q): %v, want %q in it", test.arguments, err, words)
				}
			}
		})
	}
}

func TestParseNamespaces(t *testing.T) {
	o, err := parse([]string{"--namespaces=b, a,b"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "a"}, o.namespaces); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

func TestHelp(t *testing.T) {
	var help bytes.Buffer
	if _, err := parse([]string{"--help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("parse(--help): %v, want %v", err, flag.ErrHelp)
	}
	new(options).flags().VisitAll(func(f *flag.Flag) {
		if !strings.Contains(help.String(), "\n  -"+f.Name) {
			t.Errorf("--help doesn't say --%s", f.Name)
		}
	})
}

// TestExitCodes runs the manager as a process that ends by itself.
func TestExitCodes(t *testing.T) {
	for name, test := range map[string]struct {
		arguments      []string
		code           int
		stdout, stderr string
	}{
		"the version": {[]string{"--version"}, 0,
			`^drain-operator \S+, commit \S+, go1\.\d+\S*, [a-z]+/[a-z0-9]+\n$`, `^$`},
		"help": {[]string{"--help"}, 0, `^Usage: manager \[flags\]\n`, `^$`},
		"wrong flags": {[]string{"--kube-api-qps=0", "--version"}, exitUsage,
			`^$`, `^manager: --kube-api-qps=0: must be more than 0, or -1 for no limit\nRun "manager --help" for the flags\.\n$`},
		"a kubeconfig that doesn't exist": {[]string{"--kubeconfig=/nonexistent", "--health-probe-bind-address=0"}, exitFailed,
			`^$`, `(?s)drain-operator failed.*finding the cluster: .*/nonexistent`},
	} {
		t.Run(name, func(t *testing.T) {
			manager := exec.CommandContext(t.Context(), os.Args[0], test.arguments...)
			manager.Env = append(os.Environ(), asManager+"=1")
			var stdout, stderr bytes.Buffer
			manager.Stdout, manager.Stderr = &stdout, &stderr
			var exit *exec.ExitError
			if err := manager.Run(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := manager.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, stream := range []struct{ name, got, want string }{
				{"stdout", stdout.String(), test.stdout}, {"stderr", stderr.String(), test.stderr},
			} {
				if !regexp.MustCompile(stream.want).MatchString(stream.got) {
					t.Errorf("%s is %q, want %s", stream.name, stream.got, stream.want)
				}
			}
		})
	}
}
