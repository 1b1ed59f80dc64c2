//go:build e2e

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

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	operatorNamespace  = "drain-operator-system"
	operatorDeployment = "drain-operator-controller-manager"

	// namespaceLabel marks the namespaces of this suite.
	namespaceLabel = "drain.statefulset.dev/e2e"

	// patience is how long a step may take on a busy machine. Nothing waits that long when all is well.
	patience = 90 * time.Second
	pollStep = 100 * time.Millisecond
	// specTimeout bounds one test as a whole.
	specTimeout = 4 * time.Minute
)

var (
	// cluster is the client for typed objects, watches included.
	cluster client.WithWatch
	// clientset is for what the other can't do: logs, and requests through a Pod's proxy.
	clientset *kubernetes.Clientset
	// serverAddress is that of the API server.
	serverAddress string
)

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(pollStep)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "drain-operator on a real cluster")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	if os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		// Without KUBECONFIG it is the local cluster, never by accident the cluster that the user last worked on; for kubectl as well.
		local, err := filepath.Abs(filepath.Join(top, ".cluster", "kubeconfig"))
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Setenv(clientcmd.RecommendedConfigPathEnvVar, local)).To(Succeed())
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	Expect(err).NotTo(HaveOccurred(), "there is no cluster to test on; `make test-e2e` brings one up")
	config.QPS, config.Burst = 200, 400
	serverAddress = config.Host

	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(drainv1alpha1.AddToScheme(scheme)).To(Succeed())
	cluster, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	clientset, err = kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())

	Eventually(ctx, operatorIsReady(ctx)).Should(Succeed(), "the operator must run before the tests; `make deploy` installs it")
}, NodeTimeout(3*time.Minute))

// The first process is here when the others have ended.
var _ = SynchronizedAfterSuite(func() {}, func(ctx SpecContext) {
	if cluster == nil {
		return // BeforeSuite found none.
	}
	Eventually(ctx, func(g Gomega) {
		var left corev1.NamespaceList
		g.Expect(cluster.List(ctx, &left, client.HasLabels{namespaceLabel})).To(Succeed())
		names := make([]string, 0, len(left.Items))
		for _, ns := range left.Items {
			names = append(names, ns.Name)
		}
		g.Expect(names).To(BeEmpty())
	}).WithTimeout(2*time.Minute).Should(Succeed(), "every namespace can be deleted, whatever was going on in it")
}, NodeTimeout(3*time.Minute))

func operatorIsReady(ctx context.Context) func(Gomega) {
	return func(g Gomega) {
		var deployment appsv1.Deployment
		g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorDeployment}, &deployment)).To(Succeed())
		g.Expect(deployment.Status.ObservedGeneration).To(Equal(deployment.Generation))
		g.Expect(deployment.Status.UpdatedReplicas).To(BeNumerically(">", 0))
		g.Expect(deployment.Status.ReadyReplicas).To(Equal(deployment.Status.Replicas), "ready replicas")
		g.Expect(deployment.Status.UnavailableReplicas).To(BeZero(), "unavailable replicas")
	}
}

// The world of one test.
var _ = BeforeEach(func(ctx SpecContext) {
	w = newWorld(ctx)
})

// What must be true after every test.
var _ = AfterEach(func(ctx SpecContext) {
	failures := InterceptGomegaFailures(func() { w.checkHistory(ctx) })
	if len(failures) > 0 || CurrentSpecReport().Failed() {
		w.diagnose(ctx)
	}
	Expect(failures).To(BeEmpty(), "the history of the namespace must keep the operator's promises")
}, NodeTimeout(time.Minute))

func newWorld(ctx context.Context) *world {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "e2e-",
		Labels:       map[string]string{"pod-security.kubernetes.io/enforce": "restricted", namespaceLabel: ""},
	}}
	Expect(cluster.Create(ctx, ns)).To(Succeed())
	fresh := &world{namespace: ns.Name, set: storeName, recorder: startRecorder(ns.Name)}
	DeferCleanup(func(ctx SpecContext) {
		fresh.recorder.stop()
		// The test does not wait for it: the next test has another one, and the suite's end looks that all are gone.
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, ns))).To(Succeed())
	}, NodeTimeout(time.Minute))
	// The first Pod would be refused until then.
	Eventually(ctx, func() error {
		return cluster.Get(ctx, client.ObjectKey{Namespace: ns.Name, Name: "default"}, &corev1.ServiceAccount{})
	}).Should(Succeed(), "the namespace must get its ServiceAccount")
	return fresh
}
