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
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/controller"
	"github.com/statefulset-dev/drain-operator/internal/history"
	"github.com/statefulset-dev/drain-operator/internal/metrics"
	"github.com/statefulset-dev/drain-operator/internal/podlog"
	"github.com/statefulset-dev/drain-operator/internal/progress"
)

// leaseName is the name of the Lease that a manager holds while it works.
const leaseName = "manager.drain.statefulset.dev"

// errStopped ends what runs beside the manager when the manager has stopped.
var errStopped = errors.New("the manager has stopped")

// run serves the probes, waits until the cluster has what the operator needs, and then works until the context ends.
func run(ctx context.Context, o *options) error {
	ctrl.Log.Info("Starting drain-operator", "build", buildLine())
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	config.QPS, config.Burst = float32(o.qps), o.burst
	config.UserAgent = "drain-operator/" + version
	// Lists of pods are large and many. Compressing them takes the API server more time than a cluster's network does, which is why
	// the kube-controller-manager doesn't ask for it either.
	config.DisableCompression = true

	cluster, err := newCluster(config, o)
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	ready := newReadiness()
	if o.probeAddress != "0" {
		probes, err := listenForProbes(ctx, o.probeAddress, ready)
		if err != nil {
			return err
		}
		group.Go(func() error { return probes.Start(ctx) })
	}
	group.Go(func() error {
		if err := ready.await(ctx, cluster.requirements()); err != nil {
			return err
		}
		group.Go(func() error { return cluster.awaitNamespaces(ctx) })
		if err := operate(ctx, config, o, cluster.namespaces, ready); err != nil {
			return err
		}
		return errStopped
	})
	if err := group.Wait(); !errors.Is(err, errStopped) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// operate runs the controllers. The cluster has what they need.
func operate(ctx context.Context, config *rest.Config, o *options, namespaces []string, ready *readiness) error {
	watches := &watches{}
	mgr, err := ctrl.NewManager(config, managerOptions(o, namespaces, watches))
	if err != nil {
		return fmt.Errorf("setting up the manager: %w", err)
	}
	events := &metrics.Events{}
	reconciler := &controller.Reconciler{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Recorder: mgr.GetEventRecorder("drain-operator"),
		Clock:    clock.RealClock{},
		Metrics:  events,
	}
	seen := func() (*metrics.Seen, error) { return reconciler.Seen(ctx) }
	if err := ctrlmetrics.Registry.Register(metrics.NewCollector(seen, events, mgr.Elected())); err != nil {
		return fmt.Errorf("setting up the metrics: %w", err)
	}
	logs, err := logReader(mgr, o)
	if err != nil {
		return err
	}
	if logs != nil {
		poller := progress.NewPoller(mgr.GetClient(), logs, clock.RealClock{})
		if err := poller.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("setting up the controller of progress: %w", err)
		}
		reconciler.Progress = poller
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
	if err := setUpRecords(mgr, logs, namespaces, o); err != nil {
		return err
	}
	if err := watches.start(ctx, mgr.GetCache()); err != nil {
		return fmt.Errorf("setting up the caches: %w", err)
	}
	ready.follow(cachesCheck, watches.check)
	return start(ctx, mgr, watches)
}

// logReader returns what reads the logs of drain pods, or nil if none are to be read.
func logReader(mgr manager.Manager, o *options) (podlog.Reader, error) {
	if !o.drainLogs {
		return nil, nil
	}
	core, err := corev1client.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("setting up the client of logs: %w", err)
	}
	return &podlog.Client{Pods: core}, nil
}

// setUpRecords registers what keeps the records, if any are to be kept.
func setUpRecords(mgr manager.Manager, logs podlog.Reader, namespaces []string, o *options) error {
	if o.records == 0 {
		return nil
	}
	recorder := &history.Recorder{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Logs: logs, Namespaces: namespaces, Keep: o.records}
	if err := recorder.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the controller of records: %w", err)
	}
	return nil
}

// start runs the manager until the context ends. The manager doesn't return when it is stopped while its caches fill, which can take
// forever without the right to read them. Nothing else has started then, so there is nothing to wait for.
func start(ctx context.Context, mgr manager.Manager, watches *watches) error {
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		if !watches.synced() {
			return nil
		}
		return <-ended
	}
}

func managerOptions(o *options, namespaces []string, watches *watches) manager.Options {
	served := metricsserver.Options{
		BindAddress:   o.metricsAddress,
		SecureServing: o.metricsSecure,
		CertDir:       o.metricsCert,
		// HTTP/2 has let clients exhaust servers before (CVE-2023-44487); metrics need none of it.
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if o.metricsSecure {
		served.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	caches := controller.CacheOptions(namespaces...)
	caches.DefaultWatchErrorHandler = watches.failed
	return manager.Options{
		Scheme:  scheme(),
		Cache:   caches,
		Metrics: served,
		// The probes are served from the start, before there is a manager.
		HealthProbeBindAddress:  "0",
		PprofBindAddress:        o.pprofAddress,
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.electionNamespace,
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
