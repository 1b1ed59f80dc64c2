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

// Command manager runs drain-operator.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/controller"
)

// version is set when the manager is built.
var version = "unknown"

type options struct {
	metricsAddress string
	metricsSecure  bool
	probeAddress   string
	pprofAddress   string
	leaderElect    bool
	namespaces     string
	annotations    bool
	concurrency    int
	qps            float64
	burst          int
	zap            zap.Options
}

func main() {
	var o options
	flag.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "Address that metrics are served on, for example :8443; 0 serves none.")
	flag.BoolVar(&o.metricsSecure, "metrics-secure", true, "Serve metrics over HTTPS, to those who may read them.")
	flag.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address that /healthz and /readyz are served on; 0 serves none.")
	flag.StringVar(&o.pprofAddress, "pprof-bind-address", "0", "Address that profiles are served on, without authentication, for example 127.0.0.1:6060; 0 serves none.")
	flag.BoolVar(&o.leaderElect, "leader-elect", false, "Work only while holding the leader's lease, so that several managers can stand by for each other.")
	flag.StringVar(&o.namespaces, "namespaces", "", "Namespaces to watch, separated by commas; empty watches all.")
	flag.BoolVar(&o.annotations, "statefulset-annotations", true, "Keep a DrainPolicy for every StatefulSet with an annotation of statefulset-scaledown-controller; false deletes those that were kept.")
	flag.IntVar(&o.concurrency, "max-concurrent-reconciles", 32, "Number of policies that are worked on at the same time.")
	flag.Float64Var(&o.qps, "kube-api-qps", -1, "Requests per second and kind of object that are sent to the API server at most, on average; -1 leaves that to the API server's priority and fairness.")
	flag.IntVar(&o.burst, "kube-api-burst", 400, "Maximum burst of requests to the API server, if kube-api-qps limits them.")
	o.zap.BindFlags(flag.CommandLine)
	flag.Parse()

	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.zap)))
	if err := run(o); err != nil {
		ctrl.Log.Error(err, "The manager ends")
		os.Exit(1)
	}
}

func run(o options) error {
	ctrl.Log.Info("Starting drain-operator", "version", version)
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	config.QPS, config.Burst = float32(o.qps), o.burst
	config.UserAgent = "drain-operator/" + version

	mgr, err := ctrl.NewManager(config, managerOptions(o))
	if err != nil {
		return fmt.Errorf("setting up the manager: %w", err)
	}
	ctx := ctrl.SetupSignalHandler()
	reconciler := &controller.Reconciler{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Recorder: mgr.GetEventRecorder("drain-operator"),
		Clock:    clock.RealClock{},
	}
	if err := reconciler.SetupWithManager(ctx, mgr, o.concurrency); err != nil {
		return fmt.Errorf("setting up the controller: %w", err)
	}
	annotations := &controller.AnnotationReconciler{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Recorder: mgr.GetEventRecorder("drain-operator"),
		Ignore:   !o.annotations,
	}
	if err := annotations.SetupWithManager(mgr, o.concurrency); err != nil {
		return fmt.Errorf("setting up the controller of annotations: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	return mgr.Start(ctx)
}

func managerOptions(o options) manager.Options {
	metrics := metricsserver.Options{
		BindAddress:   o.metricsAddress,
		SecureServing: o.metricsSecure,
		// HTTP/2 has let clients exhaust servers before (CVE-2023-44487); metrics need none of it.
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if o.metricsSecure {
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	var namespaces []string
	for namespace := range strings.SplitSeq(o.namespaces, ",") {
		if namespace = strings.TrimSpace(namespace); namespace != "" {
			namespaces = append(namespaces, namespace)
		}
	}
	return manager.Options{
		Scheme:                 scheme(),
		Cache:                  controller.CacheOptions(namespaces...),
		Metrics:                metrics,
		HealthProbeBindAddress: o.probeAddress,
		PprofBindAddress:       o.pprofAddress,
		LeaderElection:         o.leaderElect,
		LeaderElectionID:       "manager.drain.statefulset.dev",
		// The manager does nothing after it has given the lease back.
		LeaderElectionReleaseOnCancel: true,
	}
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, drainv1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err) // Two types of one name: a mistake in this program.
		}
	}
	return s
}
