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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// record is what the store says about a record.
type record struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// proxied is a request to a replica through the API server, which needs no way into the cluster's network.
func (w *world) proxied(ctx context.Context, verb string, ordinal int32, path []string, body []byte) ([]byte, error) {
	return clientset.CoreV1().RESTClient().Verb(verb).Namespace(w.namespace).Resource("pods").
		Name(fmt.Sprintf("%s-%d:%d", w.set, ordinal, storePort)).SubResource("proxy").Suffix(path...).Body(body).DoRaw(ctx)
}

func (w *world) put(ctx context.Context, ordinal int32, key string, body []byte) {
	GinkgoHelper()
	Eventually(ctx, func() error {
		_, err := w.proxied(ctx, "PUT", ordinal, []string{"records", key}, body)
		return err
	}).Should(Succeed(), "writing record %s to %s", key, replica(ordinal))
}

// putRecord writes a record and gives its checksum.
func (w *world) putRecord(ctx context.Context, ordinal int32, key, body string) string {
	GinkgoHelper()
	w.put(ctx, ordinal, key, []byte(body))
	return checksum([]byte(body))
}

func checksum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// fill writes n records to a replica that no other has, and gives their names and checksums.
func (w *world) fill(ctx context.Context, ordinal int32, n int) map[string]string {
	GinkgoHelper()
	written := map[string]string{}
	for i := range n {
		key := fmt.Sprintf("%s-record-%02d", replica(ordinal), i)
		written[key] = w.putRecord(ctx, ordinal, key, strings.Repeat(key+"\n", i+1))
	}
	return written
}

// fillAll fills the replicas [0, replicas) and gives everything that is in the store then.
func (w *world) fillAll(ctx context.Context, replicas int32, each int) map[string]string {
	GinkgoHelper()
	By(fmt.Sprintf("writing %d records to each of %d replicas", each, replicas))
	all := map[string]string{}
	for ordinal := range replicas {
		maps.Copy(all, w.fill(ctx, ordinal, each))
	}
	return all
}

// recordsOf is what one replica has: names and checksums, the one that holds drains left out.
func (w *world) recordsOf(ctx context.Context, ordinal int32) (map[string]string, error) {
	answer, err := w.proxied(ctx, "GET", ordinal, []string{"records"}, nil)
	if err != nil {
		return nil, err
	}
	var list []record
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, err
	}
	records := map[string]string{}
	for _, r := range list {
		if r.Name != holdKey {
			records[r.Name] = r.SHA256
		}
	}
	return records, nil
}

// expectRecords holds that the given replicas have exactly these records between them, none lost, none changed, none twice.
func (w *world) expectRecords(ctx context.Context, want map[string]string, ordinals ...int32) {
	GinkgoHelper()
	By(fmt.Sprintf("counting the %d records on %v", len(want), ordinals))
	got := map[string]string{}
	for _, ordinal := range ordinals {
		records, err := w.recordsOf(ctx, ordinal)
		Expect(err).NotTo(HaveOccurred())
		for name, sum := range records {
			Expect(got).NotTo(HaveKey(name), "record %s is there twice", name)
			got[name] = sum
		}
	}
	missing := slices.DeleteFunc(slices.Sorted(maps.Keys(want)), func(name string) bool { return got[name] == want[name] })
	Expect(missing).To(BeEmpty(), "records that are lost or changed")
	Expect(got).To(HaveLen(len(want)), "records")
}

// hold stops drains half-way, see held.
func (w *world) hold(ctx context.Context) {
	GinkgoHelper()
	w.put(ctx, 0, holdKey, nil)
}

// release lets held drains go on.
func (w *world) release(ctx context.Context) {
	GinkgoHelper()
	By("letting the drain go on")
	_, err := w.proxied(ctx, "DELETE", 0, []string{"records", holdKey}, nil)
	Expect(err).NotTo(HaveOccurred())
}

// expectHalfWay waits until a held drain has moved half of the records of a replica that had n to the given ones, so that it is half done.
func (w *world) expectHalfWay(ctx context.Context, leaver int32, n int, to ...int32) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		moved := 0
		for _, ordinal := range to {
			records, err := w.recordsOf(ctx, ordinal)
			g.Expect(err).NotTo(HaveOccurred())
			for name := range records {
				if strings.HasPrefix(name, replica(leaver)+"-") {
					moved++
				}
			}
		}
		g.Expect(moved).To(Equal(n/2), "records moved so far")
		// A busy kubelet says so only later. Until then the operator stops the drain of an ordinal that is back in range.
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace), client.MatchingLabels{
			drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain, drainv1alpha1.OrdinalLabel: fmt.Sprint(leaver),
		})).To(Succeed())
		running := slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool {
			// A Pod is Pending while its init containers run.
			return pod.Status.Phase == corev1.PodRunning || slices.ContainsFunc(pod.Status.InitContainerStatuses, func(s corev1.ContainerStatus) bool { return s.State.Running != nil })
		})
		g.Expect(running).To(BeTrue(), "the drain Pod must be known to run")
	}).Should(Succeed(), "the drain of ordinal %d must be half-way", leaver)
}

// expectNoViolation holds that no volume of the running replicas has ever seen a second writer. A drain looks at its own volumes itself.
func (w *world) expectNoViolation(ctx context.Context) {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace), client.MatchingLabels(storeLabels))).To(Succeed())
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		answer, err := clientset.CoreV1().RESTClient().Get().Namespace(w.namespace).Resource("pods").
			Name(fmt.Sprintf("%s:%d", pod.Name, storePort)).SubResource("proxy").Suffix("stats").DoRaw(ctx)
		if err != nil {
			continue // It is starting or stopping; its volume is asked by the next reader.
		}
		var stats struct {
			Violations []string `json:"violations"`
		}
		Expect(json.Unmarshal(answer, &stats)).To(Succeed())
		Expect(stats.Violations).To(BeEmpty(), "the volume of %s has seen a second writer", pod.Name)
	}
}
