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
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// soakTime is how long the tight loop goes on; FAULTS_SOAK says.
func soakTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("FAULTS_SOAK")); err == nil {
		return d
	}
	return time.Minute
}

// writer writes record after record for as long as it runs, to whatever replica takes it.
type writer struct {
	replicas atomic.Int32
	done     sync.WaitGroup

	mu sync.Mutex
	// written are the records that a replica has said to have; unsure those whose request failed, which may be there or not.
	written map[string]string
	unsure  map[string]bool
}

func (s *writer) run(ctx context.Context) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		key := fmt.Sprintf("soak-%06d", n)
		sum := sha256.Sum256([]byte(key))
		// A request that was begun is ended: whether the record is there must be known.
		_, err := w.proxied(context.WithoutCancel(ctx), "PUT", rand.Int32N(s.replicas.Load()), []string{"records", key}, []byte(key))
		s.mu.Lock()
		if err == nil {
			s.written[key] = hex.EncodeToString(sum[:])
		} else {
			s.unsure[key] = true
		}
		s.mu.Unlock()
	}
}

var _ = Describe("Fault", Label("faults"), Serial, func() {
	const most = 4

	It("scale up and down in a tight loop, with a client that writes all along", SpecTimeout(soakTime()+6*time.Minute), func(ctx SpecContext) {
		newLab(ctx)
		w.startStore(ctx, statefulSet(most), drainPolicy(
			whenScaledUp(drainv1alpha1.WhenScaledUpCancel), whenDrained(drainv1alpha1.WhenDrainedDelete), maxConcurrentDrains(2), retriedSoon,
			// A replica that is asked to take records may be gone by then; the test does not wait a minute for it.
			drainArgs("--delay=20ms", "--peer-timeout=10s"),
		))
		records := w.fillAll(ctx, most, each)
		w.expectRecords(ctx, records, 0, 1, 2, 3)

		user := &writer{written: map[string]string{}, unsure: map[string]bool{}}
		user.replicas.Store(most)
		writing, stop := context.WithCancel(ctx)
		user.done.Go(func() { user.run(writing) })
		DeferCleanup(func() {
			stop()
			user.done.Wait()
		})

		scales, replicas := 0, int32(most)
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for end := time.Now().Add(soakTime()); time.Now().Before(end); {
			// Every replica but the first comes and goes.
			replicas = 1 + (replicas+rand.Int32N(most-1))%most
			user.replicas.Store(replicas)
			w.scale(ctx, replicas)
			scales++
			if scales%8 == 0 {
				// Now and then there is time for what is orphaned to be drained and deleted.
				w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
				continue
			}
			// From a moment to a few seconds.
			for range rand.IntN(6) {
				select {
				case <-ctx.Done():
				case <-ticker.C:
				}
			}
		}
		stop()
		user.done.Wait()

		By("letting it come to rest")
		w.scale(ctx, 1)
		w.expectReplicas(ctx, 1)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectNoLocks(ctx)
		maps.Copy(records, user.written)
		got, err := w.recordsOf(ctx, 0)
		Expect(err).NotTo(HaveOccurred())
		lost := slices.DeleteFunc(slices.Sorted(maps.Keys(records)), func(key string) bool { return got[key] == records[key] })
		Expect(lost).To(BeEmpty(), "records that are lost or changed")
		for key := range got {
			Expect(records[key] != "" || user.unsure[key]).To(BeTrue(), "record %s was never written", key)
		}

		claims := 0
		for _, c := range w.recorder.history() {
			if _, ok := c.object.(*corev1.PersistentVolumeClaim); ok && c.kind == watch.Deleted {
				claims++
			}
		}
		Expect(claims).To(BeNumerically(">", 0), "claims must have been drained and deleted")
		seen("in %s: scaled %d times; %d drain Jobs, %d drain Pods, %d claims deleted; %d records acknowledged, %d requests refused, all %d records there",
			soakTime(), scales, len(w.recorder.drainJobs()), len(w.recorder.drainPods()), claims, len(user.written), len(user.unsure), len(records))
	})
})
