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

package integration

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/controller"
	"github.com/statefulset-dev/drain-operator/internal/history"
	"github.com/statefulset-dev/drain-operator/internal/metrics"
	"github.com/statefulset-dev/drain-operator/internal/podlog"
	"github.com/statefulset-dev/drain-operator/internal/progress"
)

var (
	scheme = runtime.NewScheme()
	// k8s is the tests' own client: it reads from the API server, and is never disturbed.
	k8s client.Client
	// restConfig is of the tests' own client, a member of system:masters.
	restConfig *rest.Config
	// kubeConfig is the same for kubectl.
	kubeConfig []byte
	// auditLog is the file that the API server of this process writes its requests to, and auditLogs the folder of all of them.
	auditLog, auditLogs string
	// managers are the operator and what stands in for other controllers.
	managers sync.WaitGroup
	// operatorGate is what the operator's client goes through.
	operatorGate = newGate()
	// operatorMetrics has the operator's own metrics.
	operatorMetrics = prometheus.NewPedanticRegistry()
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(15 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	SetDefaultConsistentlyDuration(time.Second)
	RunSpecs(t, "Integration")
}

// Every process of the suite has an API server of its own, and they share a folder for the audit logs.
var _ = SynchronizedBeforeSuite(func() []byte { return []byte(GinkgoT().TempDir()) }, func(shared []byte) {
	auditLogs = string(shared)
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		Fail("KUBEBUILDER_ASSETS is not set: run these tests with `make test`, which finds or builds kube-apiserver and etcd")
	}
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(drainv1alpha1.AddToScheme(scheme)).To(Succeed())

	environment := &envtest.Environment{
		Scheme:                scheme,
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	auditLog = audit(environment, auditLogs)
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred(), "starting kube-apiserver and etcd")
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) })

	k8s, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	ctx, stop := context.WithCancel(context.Background())
	// The API server waits for open watches before it ends.
	DeferCleanup(func() {
		stop()
		managers.Wait()
	})
	restConfig, kubeConfig = config, environment.KubeConfig
	startStandIns(ctx, config)
	install(ctx)
	startOperator(ctx, as(operatorUser, serviceAccountGroups("drain-operator-system")...))
})

// The first process is here when the others have ended.
var _ = SynchronizedAfterSuite(func() {}, func() {
	logs, err := filepath.Glob(filepath.Join(auditLogs, "*.log"))
	Expect(err).NotTo(HaveOccurred())
	suite, _ := GinkgoConfiguration()
	Expect(logs).To(HaveLen(suite.ParallelTotal))
	expectRightsUsed(logs)
})

// startOperator runs the operator as cmd/manager does, but for the gate.
func startOperator(ctx context.Context, config *rest.Config) {
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   controller.CacheOptions(),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		NewClient:               operatorGate.newClient,
		LeaderElection:          true,
		LeaderElectionID:        "manager.drain.statefulset.dev",
		LeaderElectionNamespace: "drain-operator-system",
	})
	Expect(err).NotTo(HaveOccurred())
	reconciler := &controller.Reconciler{
		Client:   mgr.GetClient(),
		Live:     &gatedReader{Reader: mgr.GetAPIReader(), gate: operatorGate},
		Recorder: mgr.GetEventRecorder("drain-operator"),
		Clock:    clock.RealClock{},
		Metrics:  &metrics.Events{},
	}
	core, err := corev1client.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	Expect(err).NotTo(HaveOccurred())
	logs := &podlog.Client{Pods: core}
	poller := progress.NewPoller(reconciler.Client, logs, reconciler.Clock)
	Expect(poller.SetupWithManager(mgr)).To(Succeed())
	reconciler.Progress = poller
	seen := func() (*metrics.Seen, error) { return reconciler.Seen(ctx) }
	Expect(operatorMetrics.Register(metrics.NewCollector(seen, reconciler.Metrics, mgr.Elected()))).To(Succeed())
	Expect(reconciler.SetupWithManager(ctx, mgr, 4)).To(Succeed())
	annotations := &controller.AnnotationReconciler{
		Client: reconciler.Client, Live: reconciler.Live, Recorder: reconciler.Recorder,
	}
	Expect(annotations.SetupWithManager(mgr, 4)).To(Succeed())
	recorder := &history.Recorder{Client: reconciler.Client, Live: reconciler.Live, Logs: logs, Keep: keptRecords}
	Expect(recorder.SetupWithManager(mgr)).To(Succeed())
	managers.Go(func() {
		defer GinkgoRecover()
		Expect(mgr.Start(ctx)).To(Succeed())
	})
	Expect(mgr.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
	Eventually(mgr.Elected()).Should(BeClosed(), "with the rights that it has, the operator becomes the leader")
}
