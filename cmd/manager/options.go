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
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// maxRecords bounds what one policy can have in etcd: a record takes up to 50 kB.
const maxRecords = 200

type options struct {
	metricsAddress    string
	metricsSecure     bool
	metricsCert       string
	probeAddress      string
	pprofAddress      string
	leaderElect       bool
	electionNamespace string
	namespaceList     string
	annotations       bool
	records           int
	drainLogs         bool
	concurrency       int
	qps               float64
	burst             int
	version           bool
	zap               zap.Options

	// namespaces is what namespaceList names.
	namespaces []string
}

// flags returns the flags that set o.
func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0",
		"Address that serves metrics, for example :8443. Set to 0 to serve none.")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", true,
		"Serve metrics over HTTPS, to clients that RBAC allows to get /metrics. Set to false for HTTP without authentication.")
	flags.StringVar(&o.metricsCert, "metrics-cert-path", "",
		"Folder of the certificate that metrics are served with, in the files tls.crt and tls.key. Defaults to a certificate that the manager signs itself.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address that serves /healthz and /readyz. Set to 0 to serve none.")
	flags.StringVar(&o.pprofAddress, "pprof-bind-address", "0",
		"Address that serves profiles, without authentication, for example 127.0.0.1:6060. Set to 0 to serve none.")
	flags.BoolVar(&o.leaderElect, "leader-elect", false,
		"Work only while holding a Lease, so that several managers can stand by for each other. "+
			"Managers that work at the same time are safe: without the Lease, they only send more requests.")
	flags.StringVar(&o.electionNamespace, "leader-elect-resource-namespace", "",
		"Namespace of the Lease. Defaults to the namespace of the manager's Pod. Required with --leader-elect outside a cluster.")
	flags.StringVar(&o.namespaceList, "namespaces", "", "Namespaces to watch, separated by commas. Defaults to all namespaces.")
	flags.BoolVar(&o.annotations, "statefulset-annotations", true,
		"Keep a DrainPolicy for every StatefulSet with an annotation of statefulset-scaledown-controller. "+
			"Set to false to ignore the annotations and delete these policies.")
	flags.IntVar(&o.records, "drain-records", 20,
		"Number of DrainRecords to keep for each policy: how the latest attempts went. Set to 0 to keep none.")
	flags.BoolVar(&o.drainLogs, "drain-logs", true,
		"Read the logs of drain pods, for the end of the log in DrainRecords and for the progress of drains. "+
			"Set to false to read none; the operator then needs no right to get pods/log.")
	flags.IntVar(&o.concurrency, "max-concurrent-reconciles", 32, "Maximum number of policies that are reconciled at the same time.")
	flags.Float64Var(&o.qps, "kube-api-qps", -1,
		"Maximum average number of requests per second to the API server, for each kind of object. "+
			"Set to -1 to leave the limit to the API server's priority and fairness.")
	flags.IntVar(&o.burst, "kube-api-burst", 400, "Maximum burst of requests to the API server. Applies when --kube-api-qps sets a limit.")
	flags.BoolVar(&o.version, "version", false, "Print the version, commit, Go version and platform, and exit.")
	o.zap.BindFlags(flags)
	ctrl.RegisterFlags(flags)
	flags.Lookup("kubeconfig").Usage =
		"Path of a kubeconfig. Defaults to $KUBECONFIG, then to the ServiceAccount of the manager's Pod, then to $HOME/.kube/config."
	return flags
}

// parse returns the options that the arguments set. For --help, it writes the flags to help and returns flag.ErrHelp.
func parse(arguments []string, help io.Writer) (options, error) {
	var o options
	flags := o.flags()
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(help, "Usage: manager [flags]\n\nRuns drain-operator.\n\nFlags:")
			flags.SetOutput(help)
			flags.PrintDefaults()
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: the manager takes only flags, and a boolean flag needs \"=\", as in --leader-elect=false",
			flags.Arg(0))
	}
	err := o.validate()
	return o, err
}

// validate returns everything that is wrong with the options.
func (o *options) validate() error {
	var wrong []error
	refuse := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	addresses := []struct{ flag, value string }{
		{"--metrics-bind-address", o.metricsAddress},
		{"--health-probe-bind-address", o.probeAddress},
		{"--pprof-bind-address", o.pprofAddress},
	}
	for i, a := range addresses {
		if err := checkAddress(a.value); err != nil {
			refuse("%s=%s: %w", a.flag, a.value, err)
			continue
		}
		for _, b := range addresses[:i] {
			if sameAddress(a.value, b.value) {
				refuse("%s=%s and %s=%s: two servers can't use one address", b.flag, b.value, a.flag, a.value)
			}
		}
	}
	if o.metricsCert != "" {
		// The metrics server would sign one itself, which no client trusts.
		if _, err := tls.LoadX509KeyPair(filepath.Join(o.metricsCert, "tls.crt"), filepath.Join(o.metricsCert, "tls.key")); err != nil {
			refuse("--metrics-cert-path=%s: %w", o.metricsCert, err)
		}
	}
	if o.concurrency < 1 {
		refuse("--max-concurrent-reconciles=%d: must be 1 or more", o.concurrency)
	}
	if o.records < 0 || o.records > maxRecords {
		refuse("--drain-records=%d: must be between 0 and %d", o.records, maxRecords)
	}
	if o.qps != -1 && (!(o.qps > 0) || math.IsInf(o.qps, 0)) {
		refuse("--kube-api-qps=%v: must be more than 0, or -1 for no limit", o.qps)
	}
	if o.burst < 1 {
		refuse("--kube-api-burst=%d: must be 1 or more", o.burst)
	}
	if o.namespaceList != "" {
		for namespace := range strings.SplitSeq(o.namespaceList, ",") {
			namespace = strings.TrimSpace(namespace)
			for _, why := range validation.IsDNS1123Label(namespace) {
				refuse("--namespaces=%s: %q isn't the name of a namespace: %s", o.namespaceList, namespace, why)
			}
			if !slices.Contains(o.namespaces, namespace) {
				o.namespaces = append(o.namespaces, namespace)
			}
		}
	}
	if o.electionNamespace != "" {
		for _, why := range validation.IsDNS1123Label(o.electionNamespace) {
			refuse("--leader-elect-resource-namespace=%s: not the name of a namespace: %s", o.electionNamespace, why)
		}
	}
	return errors.Join(wrong...)
}

// checkAddress returns an error unless a server can listen on the address, or it is off.
func checkAddress(address string) error {
	if address == "0" {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		if n, notANumber := strconv.ParseUint(port, 10, 16); notANumber == nil && n > 0 {
			return nil
		}
	}
	return errors.New("must be HOST:PORT or :PORT with a port from 1 to 65535, or 0 to serve none")
}

// sameAddress reports whether two servers on these addresses are in each other's way.
func sameAddress(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	everywhere := []string{"", "0.0.0.0", "::"}
	return errA == nil && errB == nil && portA == portB &&
		(hostA == hostB || slices.Contains(everywhere, hostA) || slices.Contains(everywhere, hostB))
}
