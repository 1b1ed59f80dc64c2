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
	"regexp"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// otelcolTimeout bounds the test as a whole: each drain waits until the storage has all on disk.
const otelcolTimeout = 10 * time.Minute

// otlp makes a request of OTLP out of samples in the text format of Prometheus.
func otlp(text []byte) ([]byte, error) {
	var list []any
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var name string
		var value float64
		var at int64
		if _, err := fmt.Sscan(lines.Text(), &name, &value, &at); err != nil {
			return nil, err
		}
		list = append(list, map[string]any{"timeUnixNano": strconv.FormatInt(at*1_000_000, 10), "asDouble": value})
	}
	return json.Marshal(map[string]any{"resourceMetrics": []any{map[string]any{"scopeMetrics": []any{map[string]any{
		"metrics": []any{map[string]any{"name": "e2e_sample", "gauge": map[string]any{"dataPoints": list}}},
	}}}}})
}

// exportTo sends samples to a replica of the collector, or to its Service, which chooses one.
func (w *world) exportTo(ctx context.Context, s *samples, resource, name string, n int) error {
	return s.push(n, func(text []byte) error {
		body, err := otlp(text)
		if err != nil {
			return err
		}
		return clientset.CoreV1().RESTClient().Post().Namespace(w.namespace).Resource(resource).Name(name).SubResource("proxy").
			Suffix("v1/metrics").SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
	})
}

// export sends samples to one replica.
func (w *world) export(ctx context.Context, s *samples, ordinal int32, n int) {
	GinkgoHelper()
	Expect(w.exportTo(ctx, s, "pods", fmt.Sprintf("otelcol-%d:4318", ordinal), n)).To(Succeed(), "sending to otelcol-%d", ordinal)
}

// expectBatches waits until a replica has so many batches in its queue on the volume.
func (w *world) expectBatches(ctx context.Context, ordinal int32, atLeast int) {
	GinkgoHelper()
	size := regexp.MustCompile(`(?m)^otelcol_exporter_queue_size\{.*\} (\d+)$`)
	Eventually(ctx, func(g Gomega) {
		text, err := w.vmGet(ctx, "pods", fmt.Sprintf("otelcol-%d:8888", ordinal), "metrics", nil)
		g.Expect(err).NotTo(HaveOccurred())
		found := size.FindSubmatch(text)
		g.Expect(found).NotTo(BeNil())
		n, err := strconv.Atoi(string(found[1]))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(n).To(BeNumerically(">=", atLeast))
	}).Should(Succeed(), "otelcol-%d must have a queue on its volume while the storage is away", ordinal)
}

var _ = Describe("The recipe opentelemetry-collector", Label("recipes", "slow"), func() {
	It("sends what is left in a queue, to the last batch that was acknowledged, down to zero", SpecTimeout(otelcolTimeout), func(ctx SpecContext) {
		w.applySample(ctx, "opentelemetry-collector", "otelcol")
		w.expectSample(ctx, 3)
		w.scaleStorage(ctx, 1)
		w.changePolicy(ctx, "otelcol", func(p *drainv1alpha1.DrainPolicy) {
			drain := &p.Spec.Template.Spec.Containers[0]
			drain.Env = append(drain.Env, corev1.EnvVar{Name: "PATIENCE_SECONDS", Value: "30"})
		})
		w.expectCondition(ctx, "otelcol", drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)
		all := newSamples()
		for ordinal := range int32(3) {
			w.export(ctx, all, ordinal, 100)
		}
		w.expectSamples(ctx, all)

		By("taking the storage away, and filling the queues")
		w.scaleStorage(ctx, 0)
		client := visit(ctx, func(ctx context.Context) error {
			return w.exportTo(ctx, all, "services", "otelcol-ingest:otlp-http", 5)
		})
		for range 30 {
			for ordinal := range int32(3) {
				w.export(ctx, all, ordinal, 100)
			}
		}
		for ordinal := range int32(3) {
			w.expectBatches(ctx, ordinal, 20)
		}
		w.scale(ctx, 2)
		seen("without the storage: %s", w.expectMessage(ctx, 2, "the remote storage doesn't answer at http://vmsingle:8428/metrics"))
		for _, pvc := range objectsOf[*corev1.PersistentVolumeClaim](w.recorder) {
			Expect(pvc.DeletionTimestamp).To(BeNil(), "claim %s", pvc.Name)
			Expect(pvc.Annotations).NotTo(HaveKey(drainv1alpha1.DrainedAnnotation), "claim %s", pvc.Name)
		}

		By("bringing a slow storage back, and deleting the drain's pod half-way")
		w.kubectl(ctx, "patch", "deployment/vmsingle", "--type=json",
			`--patch=[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"-maxIngestionRate=500"}]`)
		w.scaleStorage(ctx, 1)
		Expect(cluster.Delete(ctx, w.expectHalfSent(ctx, 2))).To(Succeed())
		w.expectNoClaim(ctx, "data-otelcol-2")
		message := MatchRegexp(`^sent [1-9]\d* items in [1-9]\d* batches, nothing is left\n`)
		w.expectEnd(ctx, 2, drainv1alpha1.ReasonClaimsDeleted)
		Expect(w.lastWords(2)).To(message)
		client.leave("a client that sends to any replica")

		By("taking the storage away once more, and scaling to zero")
		w.scaleStorage(ctx, 0)
		for range 10 {
			for _, ordinal := range []int32{1, 0} {
				w.export(ctx, all, ordinal, 100)
			}
		}
		w.scale(ctx, 0)
		for _, ordinal := range []int32{1, 0} {
			w.expectTerminated(ctx, fmt.Sprintf("otelcol-%d", ordinal))
		}
		w.scaleStorage(ctx, 1)
		for _, ordinal := range []int32{1, 0} {
			w.expectNoClaim(ctx, fmt.Sprintf("data-otelcol-%d", ordinal))
			w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
			Expect(w.lastWords(ordinal)).To(message)
		}
		w.expectSamples(ctx, all)

		By("starting again from zero")
		w.scale(ctx, 1)
		w.expectReplicas(ctx, 1)
		w.export(ctx, all, 0, 100)
		w.expectSamples(ctx, all)
	})
})
