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
	"maps"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// prometheusTimeout bounds the test as a whole: the server, its sidecar, the store and Thanos all have to start.
const prometheusTimeout = 10 * time.Minute

// points are all that a Prometheus has acknowledged, by the writer and their time: none of them may be lost.
type points struct {
	mu           sync.Mutex
	last         int64
	acknowledged map[string]map[int64]float64
}

// now are the times of n new points.
func (p *points) now(n int) []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = max(p.last, time.Now().UnixMilli())
	times := make([]int64, 0, n)
	for range n {
		p.last++
		times = append(times, p.last)
	}
	return times
}

// push lets a request carry points, and notes them if it is answered with success. Prometheus takes the points of a series in order only, so each
// writer has a series of its own.
func (p *points) push(ctx context.Context, writer string, times []int64, request *rest.Request) error {
	drawn := map[int64]float64{}
	list := make([]any, 0, len(times))
	for _, at := range times {
		drawn[at] = float64(at * 7919 % 1_000_003)
		list = append(list, map[string]any{
			"timeUnixNano": fmt.Sprint(at * 1_000_000), "asDouble": drawn[at],
			"attributes": []any{map[string]any{"key": "writer", "value": map[string]any{"stringValue": writer}}},
		})
	}
	body, err := json.Marshal(map[string]any{"resourceMetrics": []any{map[string]any{"scopeMetrics": []any{map[string]any{
		"metrics": []any{map[string]any{"name": "e2e_sample", "gauge": map[string]any{"dataPoints": list}}},
	}}}}})
	if err != nil {
		return err
	}
	err = request.SubResource("proxy").Suffix("api/v1/otlp/v1/metrics").SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.acknowledged[writer] == nil {
		p.acknowledged[writer] = map[int64]float64{}
	}
	maps.Copy(p.acknowledged[writer], drawn)
	return nil
}

// pushPoints pushes points to one replica.
func (w *world) pushPoints(ctx context.Context, p *points, ordinal int32, writer string, times []int64) {
	GinkgoHelper()
	Expect(p.push(ctx, fmt.Sprintf("%s-%d", writer, ordinal), times,
		clientset.CoreV1().RESTClient().Post().Namespace(w.namespace).Resource("pods").Name(fmt.Sprintf("prometheus-%d:9090", ordinal)))).
		To(Succeed(), "pushing to prometheus-%d", ordinal)
}

// visitPrometheus lets a client push all along, to whichever replica the Service chooses.
func (w *world) visitPrometheus(ctx context.Context, p *points) *visitor {
	return visit(ctx, func(ctx context.Context) error {
		return p.push(ctx, "client", p.now(5),
			clientset.CoreV1().RESTClient().Post().Namespace(w.namespace).Resource("services").Name("prometheus-ingest:http"))
	})
}

// expectPoints holds that Thanos has every point that was acknowledged, with its value, and each once, and returns how many there are.
func (w *world) expectPoints(ctx context.Context, p *points) int {
	GinkgoHelper()
	p.mu.Lock()
	defer p.mu.Unlock()
	all, stored := 0, 0
	for _, acknowledged := range p.acknowledged {
		all += len(acknowledged)
	}
	By(fmt.Sprintf("looking for %d points", all))
	Eventually(ctx, func(g Gomega) {
		text, err := clientset.CoreV1().RESTClient().Get().Namespace(w.namespace).Resource("services").Name("thanos-query:http").SubResource("proxy").
			Suffix("api/v1/query").Param("query", "e2e_sample[6h]").Param("dedup", "false").
			Param("time", fmt.Sprint(time.Now().Add(5*time.Minute).Unix())).DoRaw(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		var answer struct {
			Warnings []string
			Data     struct {
				Result []struct {
					Metric map[string]string
					Values [][2]any
				}
			}
		}
		g.Expect(json.Unmarshal(text, &answer)).To(Succeed())
		stored = 0
		missing, twice := 0, 0
		got := map[string]map[int64]float64{}
		for _, series := range answer.Data.Result {
			writer := series.Metric["writer"]
			if got[writer] == nil {
				got[writer] = map[int64]float64{}
			}
			for _, pair := range series.Values {
				seconds, ok := pair[0].(float64)
				g.Expect(ok).To(BeTrue())
				value, err := strconv.ParseFloat(fmt.Sprint(pair[1]), 64)
				g.Expect(err).NotTo(HaveOccurred())
				at := int64(seconds*1000 + 0.5)
				if _, there := got[writer][at]; there {
					twice++
				}
				got[writer][at] = value
				stored++
			}
		}
		for writer, acknowledged := range p.acknowledged {
			for at, value := range acknowledged {
				if found, there := got[writer][at]; !there || found != value {
					missing++
				}
			}
		}
		g.Expect(missing).To(BeZero(), "points that were acknowledged and can't be queried, of %d; warnings: %q", all, answer.Warnings)
		g.Expect(twice).To(BeZero(), "points that are there twice")
	}).Should(Succeed(), "Thanos must have every point that was acknowledged")
	seen("%d points acknowledged, all of them in Thanos, of %d that are", all, stored)
	return stored
}

// storedBlock is a block that the store gateway serves.
type storedBlock struct {
	Stats  struct{ NumSamples int }
	Thanos struct{ Labels map[string]string }
}

// blocks are those that the store gateway serves of a replica, or of all.
func (w *world) blocks(ctx context.Context, g Gomega, replica string) []storedBlock {
	text, err := clientset.CoreV1().RESTClient().Get().Namespace(w.namespace).Resource("services").Name("thanos-store:http").SubResource("proxy").
		Suffix("api/v1/blocks").Param("view", "loaded").DoRaw(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	var answer struct {
		Data struct{ Blocks []storedBlock }
	}
	g.Expect(json.Unmarshal(text, &answer)).To(Succeed())
	return slices.DeleteFunc(answer.Data.Blocks, func(b storedBlock) bool { return replica != "" && b.Thanos.Labels["prometheus"] != replica })
}

// expectShipped waits until the sidecar of a replica has uploaded a block.
func (w *world) expectShipped(ctx context.Context, replica string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		g.Expect(w.blocks(ctx, g, replica)).NotTo(BeEmpty())
	}).WithTimeout(3*time.Minute).Should(Succeed(), "the sidecar must upload a block of the oldest points of %s", replica)
}

// lastWords is what the last drain pod of an ordinal has left as its message. The policy's status has it too, unless the operator has waited for the
// Job's end when the claim was gone.
func (w *world) lastWords(ordinal int32) string {
	words := ""
	for _, pod := range w.recorder.drainPods() {
		for _, container := range pod.Status.ContainerStatuses {
			if ended := container.State.Terminated; ended != nil && pod.Labels[drainv1alpha1.OrdinalLabel] == fmt.Sprint(ordinal) {
				words = ended.Message
			}
		}
	}
	return words
}

// expectUploaded waits for the end of a replica's drain, and holds that the store has the blocks that it has uploaded and those of the sidecar, and
// no others.
func (w *world) expectUploaded(ctx context.Context, ordinal int32) {
	GinkgoHelper()
	w.expectNoClaim(ctx, fmt.Sprintf("data-prometheus-%d", ordinal))
	w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
	words := w.lastWords(ordinal)
	counts := regexp.MustCompile(`^uploaded and verified [1-9]\d* samples in ([1-9]\d*) blocks; (\d+) blocks were uploaded before\n`).
		FindStringSubmatch(words)
	Expect(counts).To(HaveLen(3), "the last words %q", words)
	want := 0
	for _, count := range counts[1:] {
		n, err := strconv.Atoi(count)
		Expect(err).NotTo(HaveOccurred())
		want += n
	}
	Eventually(ctx, func(g Gomega) {
		g.Expect(w.blocks(ctx, g, fmt.Sprintf("prometheus-%d", ordinal))).To(HaveLen(want))
	}).Should(Succeed(), "the store must have the blocks of prometheus-%d", ordinal)
}

var _ = Describe("The recipe prometheus-thanos", Label("recipes", "slow"), func() {
	const story = "uploads the head and all blocks of a replica that leaves, and of a StatefulSet that is deleted"
	It(story, SpecTimeout(prometheusTimeout), func(ctx SpecContext) {
		w.applySample(ctx, "prometheus-thanos", "prometheus")
		w.expectSample(ctx, 3)
		for _, name := range []string{"prometheus-store", "thanos-store", "thanos-query"} {
			w.kubectl(ctx, "rollout", "status", "deployment/"+name, "--timeout=90s")
		}
		// The points of five hours, of which Prometheus keeps the last two to three in its head, and makes blocks of the others.
		all := &points{acknowledged: map[string]map[int64]float64{}}
		var hours []int64
		for at := time.Now().Add(-5 * time.Hour); at.Before(time.Now().Add(-time.Minute)); at = at.Add(10 * time.Second) {
			hours = append(hours, at.UnixMilli())
		}
		for ordinal := range int32(3) {
			w.pushPoints(ctx, all, ordinal, "hours", hours)
		}
		for range 5 {
			for ordinal := range int32(3) {
				w.pushPoints(ctx, all, ordinal, "bulk", all.now(200))
			}
		}
		w.expectPoints(ctx, all)
		client := w.visitPrometheus(ctx, all)
		w.expectShipped(ctx, "prometheus-2")

		By("deleting the drain's pod when it has made its blocks")
		made := w.recorder.next(func(c change) bool {
			pod, ok := c.object.(*corev1.Pod)
			if !ok || !isDrainPod(pod) || len(pod.Status.InitContainerStatuses) == 0 {
				return false
			}
			ended := pod.Status.InitContainerStatuses[0].State.Terminated
			return ended != nil && ended.ExitCode == 0
		})
		w.scale(ctx, 2)
		Expect(cluster.Delete(ctx, await(ctx, made, "a drain pod that has made its blocks").object)).To(Succeed())
		w.expectUploaded(ctx, 2)
		Expect(len(w.recorder.drainPods())).To(BeNumerically(">=", 2))
		w.expectPoints(ctx, all)
		client.leave("a client that pushes to any replica")

		By("deleting the StatefulSet, as prometheus-operator does with a shard")
		for ordinal := range int32(2) {
			w.pushPoints(ctx, all, ordinal, "bulk", all.now(200))
		}
		w.scaled = time.Now()
		w.kubectl(ctx, "delete", "statefulset/prometheus")
		for _, ordinal := range []int32{1, 0} {
			w.expectUploaded(ctx, ordinal)
		}
		stored := w.expectPoints(ctx, all)
		// A query takes a point that two blocks have for one.
		samples := 0
		for _, block := range w.blocks(ctx, Default, "") {
			samples += block.Stats.NumSamples
		}
		Expect(samples).To(Equal(stored), "samples in all blocks, and points that a query finds")
	})
})
