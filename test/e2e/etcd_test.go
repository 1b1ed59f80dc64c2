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
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// etcdTimeout bounds a test as a whole: members join one after the other, on a machine that has more to do.
	etcdTimeout = 10 * time.Minute
	etcdKeys    = 1000
	// etcdLeaseSeconds is the time to live of the lease that a client keeps alive. A new leader starts its time again.
	etcdLeaseSeconds = 20
	etcdLeaseKey     = "/lease"
)

// etcdClient makes a client of the members with these ordinals, whatever runs them.
func (w *world) etcdClient(ctx context.Context, ordinals ...int32) *clientv3.Client {
	GinkgoHelper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: w.etcdEndpoints(ctx, ordinals...), DialTimeout: time.Second, DialKeepAliveTime: time.Second, DialKeepAliveTimeout: time.Second,
		// Each error is counted by who asked.
		Logger: zap.NewNop(),
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(c.Close)
	return c
}

func (w *world) etcdEndpoints(ctx context.Context, ordinals ...int32) []string {
	GinkgoHelper()
	endpoints := make([]string, 0, len(ordinals))
	for _, ordinal := range ordinals {
		var pod corev1.Pod
		Expect(cluster.Get(ctx, w.key(fmt.Sprintf("etcd-%d", ordinal)), &pod)).To(Succeed())
		endpoints = append(endpoints, "http://"+net.JoinHostPort(pod.Status.PodIP, "2379"))
	}
	return endpoints
}

// startEtcd applies a sample, founds the cluster and waits for all of its members.
func (w *world) startEtcd(ctx context.Context, folder string) {
	GinkgoHelper()
	w.applySample(ctx, folder, "etcd")
	By("founding the cluster")
	Eventually(ctx, func() error {
		output, err := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "exec", "etcd-0", "--", "/etc/etcd/found.sh").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	}).Should(Succeed())
	w.kubectl(ctx, "rollout", "status", "statefulset/etcd", "--timeout=5m")
	w.expectSample(ctx, 5)
}

// expectEtcdMembers holds that a majority knows exactly these voters, by their ordinals, now.
func expectEtcdMembers(ctx context.Context, c *clientv3.Client, ordinals ...int32) {
	GinkgoHelper()
	var want []string
	for _, ordinal := range ordinals {
		want = append(want, fmt.Sprintf("etcd-%d", ordinal))
	}
	Eventually(ctx, func(g Gomega) {
		bounded, cancel := context.WithTimeout(ctx, visitorTimeout)
		defer cancel()
		list, err := c.MemberList(bounded)
		g.Expect(err).NotTo(HaveOccurred())
		var got []string
		for _, member := range list.Members {
			g.Expect(member.IsLearner).To(BeFalse(), member.Name)
			got = append(got, member.Name)
		}
		slices.Sort(got)
		g.Expect(got).To(Equal(want))
	}).Should(Succeed(), "the members of the cluster")
}

// etcdAudience is the clients that work all along: a writer, a reader, a lease that is kept alive, and watchers.
type etcdAudience struct {
	// client is for what the test asks by itself, and clients are those of the others.
	client  *clientv3.Client
	clients []*clientv3.Client
	// sums are the checksums of what was there before, by key.
	sums map[string]string
	// acknowledged are the revisions of the writes that were acknowledged, by key.
	acknowledged           map[string]int64
	writer, reader, keeper *visitor
	lease                  clientv3.LeaseID
	leaseRevision          int64
	watchers               []*etcdWatcher
}

// etcdWatcher notes the revisions that a watch has shown, through all that ends it.
type etcdWatcher struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu         sync.Mutex
	first      int64
	revisions  []int64
	deleted    []string
	reconnects int
}

// watchEtcd watches all keys. When the watch ends, it begins again after the last revision that it has seen.
func watchEtcd(ctx context.Context, c *clientv3.Client, first int64) *etcdWatcher {
	ctx, cancel := context.WithCancel(ctx)
	watcher := &etcdWatcher{cancel: cancel, first: first}
	DeferCleanup(cancel)
	watcher.done.Go(func() {
		next := first
		for ctx.Err() == nil {
			// Without a leader, a server would be silent rather than end the watch.
			one, stop := context.WithCancel(clientv3.WithRequireLeader(ctx))
			for answer := range c.Watch(one, "\x00", clientv3.WithFromKey(), clientv3.WithRev(next)) {
				if answer.Err() != nil {
					break
				}
				watcher.mu.Lock()
				for _, event := range answer.Events {
					watcher.revisions = append(watcher.revisions, event.Kv.ModRevision)
					next = event.Kv.ModRevision + 1
					if event.Type == clientv3.EventTypeDelete {
						watcher.deleted = append(watcher.deleted, string(event.Kv.Key))
					}
				}
				watcher.mu.Unlock()
			}
			stop()
			watcher.mu.Lock()
			watcher.reconnects++
			watcher.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(pollStep):
			}
		}
	})
	return watcher
}

// expectAll holds that the watch has shown every revision up to the last one, in order and once.
func (watcher *etcdWatcher) expectAll(ctx context.Context, last int64) (events, reconnects int) {
	GinkgoHelper()
	Eventually(ctx, func() int64 {
		watcher.mu.Lock()
		defer watcher.mu.Unlock()
		if len(watcher.revisions) == 0 {
			return 0
		}
		return watcher.revisions[len(watcher.revisions)-1]
	}).Should(BeNumerically(">=", last), "the watch must come to the present")
	watcher.cancel()
	watcher.done.Wait()
	for i, revision := range watcher.revisions {
		Expect(revision).To(Equal(watcher.first+int64(i)), "the watch has a gap, or shows something twice")
	}
	Expect(watcher.deleted).To(BeEmpty(), "nothing was deleted, and so no lease has expired")
	return len(watcher.revisions), watcher.reconnects - 1 // The end is not one.
}

// gather fills the cluster, and lets the audience begin.
func (w *world) gatherEtcdAudience(ctx context.Context) *etcdAudience {
	GinkgoHelper()
	a := &etcdAudience{client: w.etcdClient(ctx, 0, 1, 2, 3, 4), sums: map[string]string{}, acknowledged: map[string]int64{}}
	another := func() *clientv3.Client {
		c := w.etcdClient(ctx, 0, 1, 2, 3, 4)
		a.clients = append(a.clients, c)
		return c
	}
	By(fmt.Sprintf("writing %d keys", etcdKeys))
	var last int64
	for i := range etcdKeys {
		key, content := fmt.Sprintf("/data/%04d", i), strings.Repeat(fmt.Sprintf("content of %d\n", i), i%50+1)
		answer, err := a.client.Put(ctx, key, content)
		Expect(err).NotTo(HaveOccurred(), key)
		sum := sha256.Sum256([]byte(content))
		a.sums[key], last = hex.EncodeToString(sum[:]), answer.Header.Revision
	}
	for range 4 {
		a.watchers = append(a.watchers, watchEtcd(ctx, another(), last+1))
	}
	granted, err := a.client.Grant(ctx, etcdLeaseSeconds)
	Expect(err).NotTo(HaveOccurred())
	leased, err := a.client.Put(ctx, etcdLeaseKey, "held", clientv3.WithLease(granted.ID))
	Expect(err).NotTo(HaveOccurred())
	a.lease, a.leaseRevision = granted.ID, leased.Header.Revision
	keeper := another()
	a.keeper = visit(ctx, func(ctx context.Context) error {
		// A member that was cut off would not answer before the lease is over.
		ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), 2*time.Second)
		defer cancel()
		_, err := keeper.KeepAliveOnce(ctx, a.lease)
		return err
	})
	writer, sent := another(), 0
	a.writer = visit(ctx, func(ctx context.Context) error {
		key := fmt.Sprintf("/late/%06d", sent)
		sent++
		answer, err := writer.Put(ctx, key, key)
		if err == nil {
			a.acknowledged[key] = answer.Header.Revision
		}
		return err
	})
	reader, asked := another(), 0
	a.reader = visit(ctx, func(ctx context.Context) error {
		key := fmt.Sprintf("/data/%04d", asked%etcdKeys)
		asked++
		answer, err := reader.Get(ctx, key)
		if err != nil {
			return err
		}
		return rightContent(answer, key, a.sums[key])
	})
	return a
}

// rightContent says what is wrong with a key's content.
func rightContent(answer *clientv3.GetResponse, key, want string) error {
	if len(answer.Kvs) != 1 {
		return fmt.Errorf("%s is not there", key)
	}
	if sum := sha256.Sum256(answer.Kvs[0].Value); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("%s has other content", key)
	}
	return nil
}

// leave ends the audience, and holds that each of these members has all of what it was told, and that the watches and the lease have seen no gap.
func (a *etcdAudience) leave(ctx context.Context, w *world, ordinals ...int32) {
	GinkgoHelper()
	a.writer.leave("writer to any of the members")
	a.reader.leave("reader from any of the members")
	a.keeper.leave("keeper of a lease")
	present, err := a.client.Get(ctx, etcdLeaseKey)
	Expect(err).NotTo(HaveOccurred())
	Expect(present.Kvs).To(HaveLen(1), "the key of the lease")
	Expect(present.Kvs[0].CreateRevision).To(Equal(a.leaseRevision), "the key of the lease must be the first one")
	left, err := a.client.TimeToLive(ctx, a.lease)
	Expect(err).NotTo(HaveOccurred())
	Expect(left.TTL).To(BeNumerically(">", 0), "the lease must not have expired")
	var shown []string
	for _, watcher := range a.watchers {
		events, reconnects := watcher.expectAll(ctx, present.Header.Revision)
		shown = append(shown, fmt.Sprintf("%d revisions with %d reconnects", events, reconnects))
	}
	for _, ordinal := range ordinals {
		c := w.etcdClient(ctx, ordinal)
		// Linear first, so that the member has caught up; then what it has itself.
		_, err := c.Get(ctx, etcdLeaseKey)
		Expect(err).NotTo(HaveOccurred())
		var lost []error
		for key, sum := range a.sums {
			answer, err := c.Get(ctx, key, clientv3.WithSerializable())
			Expect(err).NotTo(HaveOccurred())
			lost = append(lost, rightContent(answer, key, sum))
		}
		for key, revision := range a.acknowledged {
			answer, err := c.Get(ctx, key, clientv3.WithSerializable())
			Expect(err).NotTo(HaveOccurred())
			if len(answer.Kvs) != 1 || answer.Kvs[0].ModRevision != revision {
				lost = append(lost, fmt.Errorf("%s, acknowledged at revision %d, is %v", key, revision, answer.Kvs))
			}
		}
		Expect(errors.Join(lost...)).NotTo(HaveOccurred(), "keys that are lost or changed on etcd-%d", ordinal)
	}
	seen("%d keys before, %d after, the same checksums; all of the %d writes that were acknowledged meanwhile, at their revisions; the lease of %d s never expired; "+
		"the watches, each without a gap and without a repetition: %s", etcdKeys, etcdKeys, len(a.acknowledged), etcdLeaseSeconds, strings.Join(shown, ", "))
}

// meet lets the clients know where the members are that have come since.
func (a *etcdAudience) meet(ctx context.Context, w *world, ordinals ...int32) {
	GinkgoHelper()
	endpoints := w.etcdEndpoints(ctx, ordinals...)
	for _, c := range append(a.clients, a.client) {
		c.SetEndpoints(endpoints...)
	}
}

// expectEtcdDrained waits for the ends of drains, and holds what each says.
func (w *world) expectEtcdDrained(ctx context.Context, ordinals ...int32) {
	GinkgoHelper()
	for _, ordinal := range ordinals {
		w.kubectl(ctx, "wait", fmt.Sprintf("pvc/data-etcd-%d", ordinal), "--for=delete", "--timeout=4m")
		entry := w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
		// One that was killed may have been so after the removal.
		Expect(entry.Message).To(MatchRegexp(`^(removed the member [0-9a-f]+|[0-9a-f]+ is not a member), \d members remain$`))
	}
}

// drainPodsOf gives the drain Pods that an ordinal has had, in their order.
func (w *world) drainPodsOf(ordinal int32) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(w.recorder.drainPods()), func(pod *corev1.Pod) bool {
		return pod.Labels[drainv1alpha1.OrdinalLabel] != fmt.Sprint(ordinal)
	})
}

var _ = Describe("etcd", Label("recipes", "slow"), func() {
	It("shrinks from five members to three and to one, also without a majority, and grows again", SpecTimeout(etcdTimeout), func(ctx SpecContext) {
		w.startEtcd(ctx, "etcd")
		a := w.gatherEtcdAudience(ctx)
		expectEtcdMembers(ctx, a.client, 0, 1, 2, 3, 4)

		// With a majority: the first pod of the first drain is deleted while it works, and the next one has to find out what was done.
		started := w.recorder.next(func(c change) bool {
			pod, ok := c.object.(*corev1.Pod)
			return ok && isDrainPod(pod) && pod.Status.Phase == corev1.PodRunning
		})
		w.scale(ctx, 3)
		Expect(cluster.Delete(ctx, await(ctx, started, "a drain Pod that runs").object)).To(Succeed())
		w.expectEtcdDrained(ctx, 4, 3)
		expectEtcdMembers(ctx, a.client, 0, 1, 2)

		// Without one: of three members, one is left.
		w.scale(ctx, 1)
		one := w.etcdClient(ctx, 0)
		By("killing a drain while its member serves")
		Eventually(ctx, func(g Gomega) {
			var set corev1.Pod
			g.Expect(cluster.Get(ctx, w.key("etcd-2"), &set)).To(Succeed())
			g.Expect(set.Labels).To(HaveKeyWithValue(drainv1alpha1.RoleLabel, drainv1alpha1.RoleLock), "etcd-2 must be locked")
			// etcd-1 may end later, and until then there is a majority without the drains.
			pods := w.drainPodsOf(2)
			g.Expect(pods).NotTo(BeEmpty())
			logs, err := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "logs", pods[0].Name).CombinedOutput()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(logs)).To(ContainSubstring("so it serves again"))
			bounded, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			list, err := one.MemberList(bounded)
			g.Expect(err).NotTo(HaveOccurred(), "a majority must answer")
			g.Expect(list.Members).To(HaveLen(3))
		}).Should(Succeed(), "the drains' servers must bring the majority back")
		kill := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "exec", w.drainPodsOf(2)[0].Name, "--", "sh", "-c", "kill -KILL -1")
		output, err := kill.CombinedOutput()
		// The container may have ended before kubectl hears what became of the command.
		Expect(kill.ProcessState.ExitCode()).To(BeElementOf(0, 128+int(syscall.SIGKILL)), "%v: %s", err, output)
		w.expectEtcdDrained(ctx, 2, 1)
		Expect(w.drainPodsOf(2)).To(HaveLen(2), "the drain of ordinal 2 must have been killed and started again")
		expectEtcdMembers(ctx, one, 0)

		By("growing again")
		w.scale(ctx, 5)
		w.kubectl(ctx, "rollout", "status", "statefulset/etcd", "--timeout=5m")
		expectEtcdMembers(ctx, one, 0, 1, 2, 3, 4)
		a.meet(ctx, w, 0, 1, 2, 3, 4)

		// All but one at once: what is left is one of five.
		w.scale(ctx, 1)
		w.expectEtcdDrained(ctx, 4, 3, 2, 1)
		expectEtcdMembers(ctx, one, 0)
		a.meet(ctx, w, 0)
		a.leave(ctx, w, 0)
	})

	It("says what to do when the drains can't bring the majority back, and goes on when that is done", SpecTimeout(etcdTimeout), func(ctx SpecContext) {
		w.startEtcd(ctx, "etcd")
		// One vote at a time is too few for five members.
		w.changePolicy(ctx, "etcd", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.MaxConcurrentDrains = ptr.To[int32](1)
			// No drain may start while the members that leave still run, and are a majority.
			p.Spec.Suspend = ptr.To(true)
			p.Spec.Job.BackoffLimit = ptr.To[int32](0)
			p.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PATIENCE_SECONDS", Value: "20"}}
		})
		a := w.gatherEtcdAudience(ctx)

		w.scale(ctx, 1)
		Eventually(ctx, func(g Gomega) {
			var pods corev1.PodList
			g.Expect(cluster.List(ctx, &pods, client.InNamespace(w.namespace))).To(Succeed())
			g.Expect(pods.Items).To(HaveLen(1))
		}).Should(Succeed(), "only etcd-0 must be left")
		w.changePolicy(ctx, "etcd", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = ptr.To(false) })
		seen("%s", w.expectMessage(ctx, 4, "there is no majority: of 5 members, these run: etcd-0", "kubectl scale statefulset/etcd --replicas=3"))
		for ordinal := range 5 {
			Expect(w.claimUID(ctx, fmt.Sprintf("data-etcd-%d", ordinal))).NotTo(BeEmpty(), "claim of ordinal %d must be kept", ordinal)
		}

		By("doing what the message says")
		w.scale(ctx, 3)
		w.expectEtcdDrained(ctx, 4, 3)
		w.expectReplicas(ctx, 3)
		three := w.etcdClient(ctx, 0, 1, 2)
		expectEtcdMembers(ctx, three, 0, 1, 2)
		w.scale(ctx, 2)
		w.expectEtcdDrained(ctx, 2)
		w.scale(ctx, 1)
		w.expectEtcdDrained(ctx, 1)
		expectEtcdMembers(ctx, w.etcdClient(ctx, 0), 0)
		a.meet(ctx, w, 0)
		a.leave(ctx, w, 0)
	})
})
