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
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// vmagentTimeout bounds the test as a whole: an autoscaler looks every 15 seconds, and each drain waits until the storage has all on disk.
	vmagentTimeout = 11 * time.Minute
	// pushedMetric is that of the autoscaler in the recipe.
	pushedMetric = "pushed_samples_per_second"
)

// samples are all that a vmagent has acknowledged, by their time: none of them may be lost.
type samples struct {
	mu           sync.Mutex
	next         int64
	acknowledged map[int64]float64
}

func newSamples() *samples {
	return &samples{next: time.Now().Add(-time.Hour).UnixMilli(), acknowledged: map[int64]float64{}}
}

// draw makes samples of one series that there never were before, each with a time of its own.
func (s *samples) draw(n int) map[int64]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	drawn := map[int64]float64{}
	for range n {
		s.next++
		drawn[s.next] = float64(s.next * 7919 % 1_000_003)
	}
	return drawn
}

// push lets a request carry new samples, and notes them if it is answered with success.
func (s *samples) push(n int, request func(body []byte) error) error {
	drawn := s.draw(n)
	var body bytes.Buffer
	for at, value := range drawn {
		fmt.Fprintf(&body, "e2e_sample %.0f %d\n", value, at)
	}
	if err := request(body.Bytes()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.acknowledged, drawn)
	return nil
}

// pushTo pushes samples to one replica.
func (w *world) pushTo(ctx context.Context, s *samples, ordinal int32, n int) {
	GinkgoHelper()
	Expect(s.push(n, func(body []byte) error {
		return clientset.CoreV1().RESTClient().Post().Namespace(w.namespace).Resource("pods").Name(fmt.Sprintf("vmagent-%d:8429", ordinal)).
			SubResource("proxy").Suffix("api/v1/import/prometheus").Body(body).Do(ctx).Error()
	})).To(Succeed(), "pushing to vmagent-%d", ordinal)
}

// visitVmagent lets a client push all along, to whichever replica the Service chooses.
func (w *world) visitVmagent(ctx context.Context, s *samples) *visitor {
	return visit(ctx, func(ctx context.Context) error {
		return s.push(5, func(body []byte) error {
			return clientset.CoreV1().RESTClient().Post().Namespace(w.namespace).Resource("services").Name("vmagent-ingest:http").
				SubResource("proxy").Suffix("api/v1/import/prometheus").Body(body).Do(ctx).Error()
		})
	})
}

// vmGet asks VictoriaMetrics or a vmagent.
func (w *world) vmGet(ctx context.Context, resource, name, path string, query url.Values) ([]byte, error) {
	request := clientset.CoreV1().RESTClient().Get().Namespace(w.namespace).Resource(resource).Name(name).SubResource("proxy").Suffix(path)
	for key, values := range query {
		request = request.Param(key, values[0])
	}
	return request.DoRaw(ctx)
}

// expectQueued waits until a replica has so many bytes in its queue on the volume.
func (w *world) expectQueued(ctx context.Context, ordinal int32, bytesAtLeast int) {
	GinkgoHelper()
	pending := regexp.MustCompile(`(?m)^vm_persistentqueue_bytes_pending\{.*\} (\S+)$`)
	Eventually(ctx, func(g Gomega) {
		text, err := w.vmGet(ctx, "pods", fmt.Sprintf("vmagent-%d:8429", ordinal), "metrics", nil)
		g.Expect(err).NotTo(HaveOccurred())
		found := pending.FindSubmatch(text)
		g.Expect(found).NotTo(BeNil())
		quantity, err := resource.ParseQuantity(string(found[1]))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(quantity.Value()).To(BeNumerically(">=", bytesAtLeast))
	}).Should(Succeed(), "vmagent-%d must have a queue on its volume while the storage is away", ordinal)
}

// expectSamples holds that VictoriaMetrics has every sample that was acknowledged, with its value, and none that no client has sent.
func (w *world) expectSamples(ctx context.Context, s *samples) {
	GinkgoHelper()
	s.mu.Lock()
	defer s.mu.Unlock()
	By(fmt.Sprintf("looking for %d samples", len(s.acknowledged)))
	var stored map[int64]float64
	Eventually(ctx, func(g Gomega) {
		stored = map[int64]float64{}
		missing, twice, strange := 0, 0, 0
		text, err := w.vmGet(ctx, "services", "vmsingle:http", "api/v1/export", url.Values{"match[]": {"e2e_sample"}})
		g.Expect(err).NotTo(HaveOccurred())
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, len(text)+1)
		for lines.Scan() {
			var series struct {
				Values     []float64
				Timestamps []int64
			}
			g.Expect(json.Unmarshal(lines.Bytes(), &series)).To(Succeed())
			for i, at := range series.Timestamps {
				if _, there := stored[at]; there {
					twice++
				}
				if at > s.next {
					strange++
				}
				stored[at] = series.Values[i]
			}
		}
		g.Expect(lines.Err()).NotTo(HaveOccurred())
		for at, value := range s.acknowledged {
			if got, there := stored[at]; !there || got != value {
				missing++
			}
		}
		g.Expect(missing).To(BeZero(), "samples that were acknowledged and are not stored, of %d", len(s.acknowledged))
		g.Expect(twice).To(BeZero(), "samples that are there twice")
		// What was not acknowledged may have arrived all the same.
		g.Expect(strange).To(BeZero(), "samples that no client has sent")
		// What has just arrived can be queried within seconds.
	}).WithTimeout(15*time.Second).Should(Succeed(), "VictoriaMetrics must have every sample that was acknowledged")
	seen("%d samples acknowledged, all of them stored, of %d that are", len(s.acknowledged), len(stored))
}

// expectHalfSent waits until a running drain pod of an ordinal has sent a part of the queue, and returns its name.
func (w *world) expectHalfSent(ctx context.Context, ordinal int32) *corev1.Pod {
	GinkgoHelper()
	half := regexp.MustCompile(`drain-progress: ([1-9]\d?)% sent (.*)`)
	var found *corev1.Pod
	Eventually(ctx, func(g Gomega) {
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace), client.MatchingLabels{
			drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain, drainv1alpha1.OrdinalLabel: fmt.Sprint(ordinal),
		})).To(Succeed())
		found = nil
		for i := range pods.Items {
			if pod := &pods.Items[i]; pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
				log, err := clientset.CoreV1().Pods(w.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
				g.Expect(err).NotTo(HaveOccurred())
				if said := half.Find(log); said != nil {
					found = pod
					seen("the pod %s is deleted after: %s", pod.Name, said)
				}
			}
		}
		g.Expect(found).NotTo(BeNil())
	}).Should(Succeed(), "a drain pod of ordinal %d must have sent a part of the queue", ordinal)
	return found
}

// scaleStorage starts or stops VictoriaMetrics.
func (w *world) scaleStorage(ctx context.Context, replicas int) {
	GinkgoHelper()
	w.kubectl(ctx, "scale", "deployment/vmsingle", fmt.Sprintf("--replicas=%d", replicas))
	if replicas == 0 {
		w.kubectl(ctx, "wait", "pod", "--selector=app.kubernetes.io/name=vmsingle", "--for=delete", "--timeout=90s")
		return
	}
	w.kubectl(ctx, "rollout", "status", "deployment/vmsingle", "--timeout=90s")
}

// expectTerminated waits until a replica's pod is gone. The lock, which has its name, may be there.
func (w *world) expectTerminated(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		var pod corev1.Pod
		err := cluster.Get(ctx, w.key(name), &pod)
		g.Expect(client.IgnoreNotFound(err)).To(Succeed())
		g.Expect(err != nil || pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock).To(BeTrue(), "phase %s", pod.Status.Phase)
	}).Should(Succeed(), "the pod %s must terminate", name)
}

// externalMetrics stands in for an adapter such as that of Prometheus: it serves one metric, whose value the test sets, to the autoscaler's
// controller.
type externalMetrics struct{ value atomic.Int64 }

func (m *externalMetrics) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	const groupVersion = "external.metrics.k8s.io/v1beta1"
	response.Header().Set("Content-Type", "application/json")
	var answer any
	switch {
	case strings.HasSuffix(request.URL.Path, "/"+groupVersion):
		answer = metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: groupVersion,
			APIResources: []metav1.APIResource{{Name: pushedMetric, Namespaced: true, Kind: "ExternalMetricValueList", Verbs: metav1.Verbs{"get"}}},
		}
	case strings.HasSuffix(request.URL.Path, "/"+pushedMetric):
		answer = map[string]any{"kind": "ExternalMetricValueList", "apiVersion": groupVersion, "metadata": map[string]any{}, "items": []any{
			map[string]any{"metricName": pushedMetric, "metricLabels": map[string]any{}, "timestamp": metav1.Now(), "value": fmt.Sprint(m.value.Load())},
		}}
	default:
		http.NotFound(response, request)
		return
	}
	_ = json.NewEncoder(response).Encode(answer) // A client that is gone asks again.
}

// serveExternalMetrics makes the test's process an aggregated API server. The API server must reach it, so it listens where the API server of
// the local cluster does.
func (w *world) serveExternalMetrics(ctx context.Context) *externalMetrics {
	GinkgoHelper()
	address, err := url.Parse(serverAddress)
	Expect(err).NotTo(HaveOccurred())
	if ip := net.ParseIP(address.Hostname()); ip == nil || ip.IsLoopback() {
		Skip("the API server at " + serverAddress + " can't reach this process, which stands in for the adapter of the autoscaler's metric")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address.Hostname(), "0"))
	Expect(err).NotTo(HaveOccurred())
	port := int32(listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert,gosec // A TCP listener has a TCP address, whose port has 16 bits.
	m := &externalMetrics{}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}}
	server.StartTLS()
	DeferCleanup(server.Close)

	labels := map[string]string{discoveryv1.LabelServiceName: "external-metrics"}
	w.create(ctx,
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "external-metrics"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}},
		},
		&discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "external-metrics", Labels: labels}, AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address.Hostname()}}},
			Ports:     []discoveryv1.EndpointPort{{Name: new("https"), Port: new(port)}},
		})
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1beta1.external.metrics.k8s.io"},
		"spec": map[string]any{
			"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": w.namespace, "name": "external-metrics"},
		},
	}}
	Expect(cluster.Create(ctx, service)).To(Succeed())
	// Before the server ends: no namespace can be deleted while a group of the API doesn't answer.
	DeferCleanup(func(ctx SpecContext) { Expect(cluster.Delete(ctx, service)).To(Succeed()) }, NodeTimeout(time.Minute))
	w.kubectl(ctx, "wait", "apiservice/v1beta1.external.metrics.k8s.io", "--for=condition=Available", "--timeout=60s")
	return m
}

// autoscaleTo waits until the autoscaler has scaled the StatefulSet, after the metric has changed.
func (w *world) autoscaleTo(ctx context.Context, m *externalMetrics, replicas int32) {
	GinkgoHelper()
	By(fmt.Sprintf("letting the autoscaler scale to %d", replicas))
	m.value.Store(int64(replicas) * 10_000)
	Eventually(ctx, func() string {
		return w.kubectl(ctx, "get", "statefulset/vmagent", "--output=jsonpath={.spec.replicas}")
	}).Should(Equal(fmt.Sprint(replicas)), "the autoscaler must scale the StatefulSet; kubectl describe hpa tells why not")
	w.scaled = time.Now()
}

var _ = Describe("The recipe vmagent", Label("recipes", "slow"), func() {
	const story = "sends what is left in a queue, to the last sample that was acknowledged, while an autoscaler shrinks it to zero"
	It(story, SpecTimeout(vmagentTimeout), func(ctx SpecContext) {
		metric := w.serveExternalMetrics(ctx)
		metric.value.Store(30_000)
		w.applySample(ctx, "vmagent", "vmagent")
		w.expectSample(ctx, 3)
		w.scaleStorage(ctx, 1)
		w.kubectl(ctx, "apply", "--filename="+top+"/config/samples/vmagent/horizontalpodautoscaler.yaml")
		// No test waits for five minutes to see that nothing has changed.
		w.kubectl(ctx, "patch", "hpa/vmagent", "--type=merge", `--patch={"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":0}}}}`)
		// A slow link, so that there is a half-way, and less patience.
		w.changePolicy(ctx, "vmagent", func(p *drainv1alpha1.DrainPolicy) {
			drain := &p.Spec.Template.Spec.Containers[0]
			drain.Args = append(drain.Args, "-remoteWrite.rateLimit=1000")
			drain.Env = append(drain.Env, corev1.EnvVar{Name: "PATIENCE_SECONDS", Value: "30"})
		})
		w.expectCondition(ctx, "vmagent", drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)
		all := newSamples()
		for ordinal := range int32(3) {
			w.pushTo(ctx, all, ordinal, 100)
		}
		w.expectSamples(ctx, all)

		By("taking the storage away, and filling the queues")
		w.scaleStorage(ctx, 0)
		writer := w.visitVmagent(ctx, all)
		for range 10 {
			for ordinal := range int32(3) {
				w.pushTo(ctx, all, ordinal, 500)
			}
		}
		for _, ordinal := range []int32{2, 1} {
			w.expectQueued(ctx, ordinal, 10_000)
		}

		w.autoscaleTo(ctx, metric, 2)
		seen("without the storage: %s", w.expectMessage(ctx, 2, "the remote storage doesn't answer at http://vmsingle:8428/metrics"))
		for _, pvc := range objectsOf[*corev1.PersistentVolumeClaim](w.recorder) {
			Expect(pvc.DeletionTimestamp).To(BeNil(), "claim %s", pvc.Name)
			Expect(pvc.Annotations).NotTo(HaveKey(drainv1alpha1.DrainedAnnotation), "claim %s", pvc.Name)
		}

		By("bringing the storage back, and deleting the drain's pod half-way")
		w.scaleStorage(ctx, 1)
		Expect(cluster.Delete(ctx, w.expectHalfSent(ctx, 2))).To(Succeed())
		w.expectNoClaim(ctx, "data-vmagent-2")
		entry := w.expectEnd(ctx, 2, drainv1alpha1.ReasonClaimsDeleted)
		Expect(entry.Message).To(MatchRegexp(`^sent \d+ bytes in [1-9]\d* blocks, nothing is left$`))

		By("taking the storage away once more, so that the next replicas have something to leave")
		w.scaleStorage(ctx, 0)
		for _, ordinal := range []int32{1, 0} {
			w.pushTo(ctx, all, ordinal, 1000)
		}
		w.autoscaleTo(ctx, metric, 1)
		w.expectTerminated(ctx, "vmagent-1")
		writer.leave("a client that pushes to any replica")
		w.pushTo(ctx, all, 0, 1000)
		w.autoscaleTo(ctx, metric, 0)
		w.expectTerminated(ctx, "vmagent-0")
		w.scaleStorage(ctx, 1)
		for _, ordinal := range []int32{1, 0} {
			w.expectNoClaim(ctx, fmt.Sprintf("data-vmagent-%d", ordinal))
			w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
		}
		w.expectSamples(ctx, all)

		By("letting the autoscaler start again from zero")
		w.autoscaleTo(ctx, metric, 1)
		w.expectReplicas(ctx, 1)
		w.pushTo(ctx, all, 0, 100)
		w.expectSamples(ctx, all)
	})
})
