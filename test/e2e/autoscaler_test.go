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
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	metricsGroup = "external.metrics.k8s.io/v1beta1"
	// queueLength is the external metric that the autoscaler asks for.
	queueLength = "queue_length"
)

// serveQueueLength makes this process the cluster's API server of external metrics, with one metric, whose value is the number that is
// returned. The aggregation layer calls it at the address of this machine in the cluster's network.
func (w *world) serveQueueLength(ctx context.Context) *atomic.Int64 {
	GinkgoHelper()
	value := &atomic.Int64{}
	answer := func(response http.ResponseWriter, object map[string]any) {
		response.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(response).Encode(object) // The autoscaler asks again.
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis/"+metricsGroup, func(response http.ResponseWriter, _ *http.Request) {
		answer(response, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": metricsGroup, "resources": []any{}})
	})
	mux.HandleFunc("GET /apis/"+metricsGroup+"/namespaces/"+w.namespace+"/"+queueLength, func(response http.ResponseWriter, _ *http.Request) {
		answer(response, map[string]any{"kind": "ExternalMetricValueList", "apiVersion": metricsGroup, "items": []any{map[string]any{
			"metricName": queueLength, "timestamp": time.Now().UTC().Format(time.RFC3339), "value": fmt.Sprint(value.Load()),
		}}})
	})
	address, err := url.Parse(serverAddress)
	Expect(err).NotTo(HaveOccurred())
	server := httptest.NewUnstartedServer(mux)
	Expect(server.Listener.Close()).To(Succeed())
	server.Listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address.Hostname(), "0"))
	Expect(err).NotTo(HaveOccurred(), "the address of this machine in the cluster's network")
	server.StartTLS()
	DeferCleanup(server.Close)
	port := int32(server.Listener.Addr().(*net.TCPAddr).Port)

	const name = "queue-length"
	w.create(ctx,
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}},
		},
		&discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{address.Hostname()}}},
			Ports:       []discoveryv1.EndpointPort{{Name: new("https"), Port: &port}},
		})
	group, version, _ := strings.Cut(metricsGroup, "/")
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": version + "." + group},
		"spec": map[string]any{
			"group": group, "version": version, "groupPriorityMinimum": int64(100), "versionPriority": int64(100), "insecureSkipTLSVerify": true,
			"service": map[string]any{"name": name, "namespace": w.namespace},
		},
	}}
	Expect(cluster.Create(ctx, service)).To(Succeed())
	// A group without a server would keep namespaces from being deleted.
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, service))).To(Succeed()) }, NodeTimeout(time.Minute))
	w.kubectl(ctx, "wait", "apiservice/"+service.GetName(), "--for=condition=Available", "--timeout=60s")
	return value
}

var _ = Describe("A policy under an autoscaler", Label("scaling"), Serial, Ordered, func() {
	mayScale()

	It("follows an external metric down one ordinal at a time, and up at once", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3), drainPolicy(wanting(3), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 3, 12)
		replicas := w.watchReplicas(ctx)
		queue := w.serveQueueLength(ctx)
		queue.Store(30)
		w.create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: storeName},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: drainv1alpha1.GroupVersion.String(), Kind: "DrainPolicy", Name: storeName},
				MinReplicas:    new(int32(1)), MaxReplicas: 5,
				Metrics: []autoscalingv2.MetricSpec{{
					Type: autoscalingv2.ExternalMetricSourceType,
					External: &autoscalingv2.ExternalMetricSource{
						Metric: autoscalingv2.MetricIdentifier{Name: queueLength},
						Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: new(resource.MustParse("10"))},
					},
				}},
				// It waits for five minutes otherwise.
				Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
					ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: new(int32(0))},
				},
			},
		})
		Eventually(ctx, func(g Gomega) {
			var autoscaler autoscalingv2.HorizontalPodAutoscaler
			g.Expect(cluster.Get(ctx, w.key(storeName), &autoscaler)).To(Succeed())
			g.Expect(autoscaler.Status.DesiredReplicas).To(BeEquivalentTo(3))
			g.Expect(autoscaler.Status.CurrentMetrics).To(HaveLen(1))
		}).Should(Succeed(), "the autoscaler must see the metric, and status.replicas of the policy")

		By("letting the queue shrink")
		shrunk := time.Now()
		queue.Store(10)
		w.expectNoClaim(ctx, claim("data", 2))
		w.expectNoClaim(ctx, claim("data", 1))
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		seen("3 to 1 in %.0f s after the metric fell", time.Since(shrunk).Seconds())
		w.expectRecords(ctx, records, 0)
		Expect(w.recorder.mostDrainsAtOnce()).To(Equal(1), "drains at once, in the whole history")

		By("letting the queue grow")
		grown := time.Now()
		queue.Store(30)
		w.expectReplicas(ctx, 3)
		seen("1 to 3 in %.0f s after the metric rose", time.Since(grown).Seconds())
		w.expectRecords(ctx, records, 0, 1, 2)
		Expect(replicas()).To(Equal([]int32{3, 2, 1, 3}), "the replicas that the StatefulSet was given")
	})
})
