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
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// redisTimeout bounds the test as a whole, on a machine that has more to do.
	redisTimeout = 6 * time.Minute
	redisKeys    = 3000
	redisSlots   = 16384
)

// redisAddress is the address of a member, also of one that a drain runs.
func (w *world) redisAddress(ctx context.Context, pod string) string {
	GinkgoHelper()
	var found corev1.Pod
	Expect(cluster.Get(ctx, w.key(pod), &found)).To(Succeed())
	return net.JoinHostPort(found.Status.PodIP, "6379")
}

// redisClient is a client of the whole cluster, as programs use it: it follows the slots to where they are.
func (w *world) redisClient(ctx context.Context, ordinals ...int) *redis.ClusterClient {
	GinkgoHelper()
	addresses := make([]string, 0, len(ordinals))
	for _, ordinal := range ordinals {
		addresses = append(addresses, w.redisAddress(ctx, fmt.Sprintf("redis-primaries-%d", ordinal)))
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second})
	DeferCleanup(c.Close)
	return c
}

// redisHome is the ordinal that has a key's slot when six members have equal parts, as assign.sh gives them out.
func redisHome(ctx context.Context, c *redis.ClusterClient, key string) int {
	GinkgoHelper()
	slot, err := c.ClusterKeySlot(ctx, key).Result()
	Expect(err).NotTo(HaveOccurred())
	ordinal := 0
	for slot >= int64(redisSlots*(ordinal+1)/6) {
		ordinal++
	}
	return ordinal
}

// slotsOf counts the slots of every member, by its name, as one of them sees it.
func slotsOf(ctx context.Context, g Gomega, c *redis.Client) map[string]int {
	text, err := c.ClusterNodes(ctx).Result()
	g.Expect(err).NotTo(HaveOccurred())
	slots := map[string]int{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		g.Expect(len(fields)).To(BeNumerically(">=", 8), line)
		_, name, _ := strings.Cut(fields[1], ",")
		name, _, _ = strings.Cut(name, ".")
		slots[name] += 0
		for _, word := range fields[8:] {
			if strings.HasPrefix(word, "[") {
				continue // On its way; it is among the others still.
			}
			from, to, isRange := strings.Cut(word, "-")
			if !isRange {
				to = from
			}
			first, err := strconv.Atoi(from)
			g.Expect(err).NotTo(HaveOccurred(), line)
			last, err := strconv.Atoi(to)
			g.Expect(err).NotTo(HaveOccurred(), line)
			slots[name] += last - first + 1
		}
	}
	return slots
}

// fillRedis writes the keys and gives their checksums, and the keys by the ordinal of their home.
func fillRedis(ctx context.Context, c *redis.ClusterClient) (map[string]string, map[int][]string) {
	GinkgoHelper()
	By(fmt.Sprintf("writing %d keys", redisKeys))
	sums, homes := map[string]string{}, map[int][]string{}
	_, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range redisKeys {
			key, content := fmt.Sprintf("key:%d", i), strings.Repeat(fmt.Sprintf("content of %d\n", i), i%100+1)
			pipe.Set(ctx, key, content, 0)
			sum := sha256.Sum256([]byte(content))
			sums[key] = hex.EncodeToString(sum[:])
		}
		return nil
	})
	Expect(err).NotTo(HaveOccurred())
	for i := range 120 {
		key := fmt.Sprintf("key:%d", i)
		home := redisHome(ctx, c, key)
		homes[home] = append(homes[home], key)
	}
	return sums, homes
}

// readKeys is a client's question: the content of the next of some keys, which must be right.
func readKeys(c *redis.ClusterClient, keys []string, sums map[string]string) func(context.Context) error {
	i := 0
	return func(ctx context.Context) error {
		key := keys[i%len(keys)]
		i++
		content, err := c.Get(ctx, key).Result()
		if err != nil {
			return err
		}
		if sum := sha256.Sum256([]byte(content)); hex.EncodeToString(sum[:]) != sums[key] {
			return fmt.Errorf("%s has other content", key)
		}
		return nil
	}
}

// expectKeys holds that every key is there with its content.
func expectKeys(ctx context.Context, c *redis.ClusterClient, sums, written map[string]string) {
	GinkgoHelper()
	var lost []string
	for key, sum := range sums {
		content, err := c.Get(ctx, key).Result()
		if got := sha256.Sum256([]byte(content)); err != nil || hex.EncodeToString(got[:]) != sum {
			lost = append(lost, fmt.Sprintf("%s: %v", key, err))
		}
	}
	for key, want := range written {
		if got, err := c.Get(ctx, key).Result(); err != nil || got != want {
			lost = append(lost, fmt.Sprintf("%s: %q, %v, want %q", key, got, err, want))
		}
	}
	Expect(lost).To(BeEmpty(), "keys that are lost or changed")
}

var _ = Describe("Redis Cluster", Label("recipes", "slow"), func() {
	It("shrinks from six primaries to four without losing a key, and grows again", SpecTimeout(redisTimeout), func(ctx SpecContext) {
		w.applySample(ctx, "redis-cluster-primaries", "redis-primaries")
		w.expectSample(ctx, 6)
		w.kubectl(ctx, "exec", "redis-primaries-0", "--", "/etc/redis-cluster/assign.sh", "6")
		client := w.redisClient(ctx, 0, 1, 2, 3)
		sums, homes := fillRedis(ctx, client)
		for ordinal := range 6 {
			Expect(homes[ordinal]).NotTo(BeEmpty(), "keys whose home is redis-primaries-%d", ordinal)
		}

		written := map[string]string{}
		sent := 0
		writer := visit(ctx, func(ctx context.Context) error {
			key, value := fmt.Sprintf("late:%d", sent), strconv.Itoa(sent)
			sent++
			err := client.Set(ctx, key, value, 0).Err()
			if err == nil {
				written[key] = value
			}
			return err
		})
		var stay []string
		for ordinal := range 4 {
			stay = append(stay, homes[ordinal]...)
		}
		steady := visit(ctx, readKeys(client, stay, sums))
		fourth := visit(ctx, readKeys(client, homes[4], sums))
		fifth := visit(ctx, readKeys(client, homes[5], sums))

		w.scale(ctx, 4)
		By("killing the first drain while it moves slots")
		one := redis.NewClient(&redis.Options{Addr: w.redisAddress(ctx, "redis-primaries-0")})
		DeferCleanup(one.Close)
		Eventually(ctx, func(g Gomega) {
			g.Expect(slotsOf(ctx, g, one)["redis-primaries-5"]).To(And(BeNumerically(">", 0), BeNumerically("<", redisSlots/6-100)))
		}).WithPolling(pollStep/4).Should(Succeed(), "redis-primaries-5 must have moved some of its slots, and not all")
		// Where it is killed is chance. This is as if it were after it had told the one that takes a slot, and before the one that gives it.
		homesOfSlots, err := one.ClusterSlots(ctx).Result()
		Expect(err).NotTo(HaveOccurred())
		last := slices.IndexFunc(homesOfSlots, func(s redis.ClusterSlot) bool { return s.End == redisSlots-1 })
		Expect(last).NotTo(Equal(-1), "no member has the last slot: %v", homesOfSlots)
		Expect(one.Do(ctx, "cluster", "setslot", redisSlots-1, "importing", homesOfSlots[last].Nodes[0].ID).Err()).To(Succeed())
		first := slices.IndexFunc(w.recorder.drainPods(), func(pod *corev1.Pod) bool { return pod.Labels[drainv1alpha1.OrdinalLabel] == "5" })
		kill := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "exec", w.recorder.drainPods()[first].Name, "--", "bash", "-c", "kill -KILL -1")
		output, err := kill.CombinedOutput()
		// The container may have ended before kubectl hears what became of the command.
		Expect(kill.ProcessState.ExitCode()).To(BeElementOf(0, 128+int(syscall.SIGKILL)), "%v: %s", err, output)

		for _, ordinal := range []int32{5, 4} {
			w.kubectl(ctx, "wait", fmt.Sprintf("pvc/data-redis-primaries-%d", ordinal), "--for=delete", "--timeout=4m")
			entry := w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
			Expect(entry.Message).To(MatchRegexp(`^moved \d+ slots with \d+ keys to 4 members, which have forgotten [0-9a-f]+$`))
		}
		writer.leave("writer of all slots")
		steady.leave("reader of slots that stay")
		fifth.leave("reader of redis-primaries-5's slots")
		fourth.leave("reader of redis-primaries-4's slots")

		By("looking at what the four have")
		for ordinal := range 4 {
			c := redis.NewClient(&redis.Options{Addr: w.redisAddress(ctx, fmt.Sprintf("redis-primaries-%d", ordinal))})
			DeferCleanup(c.Close)
			Eventually(ctx, func(g Gomega) {
				slots := slotsOf(ctx, g, c)
				g.Expect(slices.Sorted(maps.Keys(slots))).To(Equal([]string{"redis-primaries-0", "redis-primaries-1", "redis-primaries-2", "redis-primaries-3"}))
				total := 0
				for _, n := range slots {
					total += n
				}
				g.Expect(total).To(Equal(redisSlots))
			}).Should(Succeed(), "the members as redis-primaries-%d knows them", ordinal)
		}
		fresh := w.redisClient(ctx, 0)
		expectKeys(ctx, fresh, sums, written)
		seen("%d keys before, %d after, the same checksums; and all of the %d that were acknowledged meanwhile", redisKeys, redisKeys, len(written))

		By("growing again")
		w.scale(ctx, 6)
		w.expectReplicas(ctx, 6)
		Eventually(ctx, func(g Gomega) {
			slots := slotsOf(ctx, g, one)
			g.Expect(slots).To(HaveLen(6))
			g.Expect(slots).To(And(HaveKeyWithValue("redis-primaries-4", 0), HaveKeyWithValue("redis-primaries-5", 0)), "new members have no slots")
		}).Should(Succeed())
		// A member takes no slots in its first two seconds (CLUSTER_WRITABLE_DELAY in redis/src/cluster.c), however ready it is.
		// And each member must know all others by their ids before slots are moved between them.
		for ordinal := range 6 {
			w.kubectl(ctx, "exec", fmt.Sprintf("redis-primaries-%d", ordinal), "--", "sh", "-c",
				"until redis-cli cluster info | grep cluster_state:ok && test $(redis-cli cluster nodes | grep -v handshake | grep -vc fail) -ge 6; do sleep 1; done")
		}
		w.kubectl(ctx, "exec", "redis-primaries-0", "--", "bash", "-c", "redis-cli --cluster rebalance $POD_IP:6379 --cluster-use-empty-masters --cluster-pipeline 100")
		Eventually(ctx, func(g Gomega) {
			g.Expect(slotsOf(ctx, g, one)).To(HaveKeyWithValue("redis-primaries-5", BeNumerically(">", 2000)))
		}).Should(Succeed())
		expectKeys(ctx, fresh, sums, written)
	})
})
