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
	"net"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// zkTimeout bounds a test as a whole: five members that start one after the other take minutes on a machine that has more to do.
	zkTimeout = 10 * time.Minute
	// zkNodes is the number of znodes, each with content of its own.
	zkNodes = 100
)

// inOrder lets a ZooKeeper client try the servers in the order they are given in, and not at random.
type inOrder struct {
	servers []string
	next    int
}

func (h *inOrder) Init(servers []string) error {
	h.servers = servers
	return nil
}

func (h *inOrder) Len() int { return len(h.servers) }

func (h *inOrder) Next() (string, bool) {
	server := h.servers[h.next%len(h.servers)]
	h.next++
	return server, h.next%len(h.servers) == 0
}

func (h *inOrder) Connected() {}

// ensemble is ZooKeeper as its clients know it.
type ensemble struct {
	// addresses are those of the Pods, by ordinal.
	addresses map[int32]string
}

func (w *world) ensemble(ctx context.Context, ordinals ...int32) *ensemble {
	GinkgoHelper()
	e := &ensemble{addresses: map[int32]string{}}
	for _, ordinal := range ordinals {
		var pod corev1.Pod
		Expect(cluster.Get(ctx, w.key(fmt.Sprintf("%s-%d", w.set, ordinal)), &pod)).To(Succeed())
		e.addresses[ordinal] = net.JoinHostPort(pod.Status.PodIP, "2181")
	}
	return e
}

// connect makes a client of the given members, the first of them first.
func (e *ensemble) connect(ordinals ...int32) *zk.Conn {
	GinkgoHelper()
	servers := make([]string, 0, len(ordinals))
	for _, ordinal := range ordinals {
		servers = append(servers, e.addresses[ordinal])
	}
	conn, _, err := zk.Connect(servers, 10*time.Second, zk.WithHostProvider(&inOrder{}), zk.WithLogInfo(false), zk.WithLogger(quiet{}))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(conn.Close)
	return conn
}

// quiet is a logger for a client whose errors are counted elsewhere.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

func zkPath(i int) string { return fmt.Sprintf("/e2e/node-%03d", i) }

// fillZooKeeper creates the znodes and gives their checksums.
func fillZooKeeper(conn *zk.Conn) map[string]string {
	GinkgoHelper()
	By(fmt.Sprintf("creating %d znodes", zkNodes))
	create := func(path, content string) {
		_, err := conn.Create(path, []byte(content), 0, zk.WorldACL(zk.PermAll))
		Expect(err).NotTo(HaveOccurred(), path)
	}
	create("/e2e", "")
	create("/late", "")
	all := map[string]string{}
	for i := range zkNodes {
		content := strings.Repeat(fmt.Sprintf("content of %d\n", i), i+1)
		create(zkPath(i), content)
		sum := sha256.Sum256([]byte(content))
		all[zkPath(i)] = hex.EncodeToString(sum[:])
	}
	return all
}

// expectZnodes holds that a member has all the znodes itself, once it has caught up with the leader.
func (e *ensemble) expectZnodes(ctx context.Context, ordinal int32, want map[string]string) {
	GinkgoHelper()
	conn := e.connect(ordinal)
	defer conn.Close()
	Eventually(ctx, func() error {
		_, err := conn.Sync("/e2e")
		return err
	}).Should(Succeed(), "member %d must serve", ordinal)
	names, _, err := conn.Children("/e2e")
	Expect(err).NotTo(HaveOccurred())
	Expect(names).To(HaveLen(len(want)))
	got := map[string]string{}
	for _, name := range names {
		content, _, err := conn.Get("/e2e/" + name)
		Expect(err).NotTo(HaveOccurred())
		sum := sha256.Sum256(content)
		got["/e2e/"+name] = hex.EncodeToString(sum[:])
	}
	Expect(got).To(Equal(want), "the znodes as member %d has them", ordinal)
}

// expectMembers waits until the ensemble has exactly these members, by their ordinals.
func (e *ensemble) expectMembers(ctx context.Context, conn *zk.Conn, ordinals ...int32) {
	GinkgoHelper()
	var want []string
	for _, ordinal := range ordinals {
		want = append(want, fmt.Sprintf("server.%d", ordinal+1))
	}
	Eventually(ctx, func(g Gomega) {
		_, err := conn.Sync("/zookeeper/config")
		g.Expect(err).NotTo(HaveOccurred())
		text, _, err := conn.Get("/zookeeper/config")
		g.Expect(err).NotTo(HaveOccurred())
		var got []string
		for line := range strings.Lines(string(text)) {
			if name, _, found := strings.Cut(line, "="); found && strings.HasPrefix(name, "server.") {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		g.Expect(got).To(Equal(want))
	}).Should(Succeed(), "the members of the ensemble")
}

// readAll is a client's question: the content of the next znode, which must be right.
func readAll(conn *zk.Conn, want map[string]string) func(context.Context) error {
	i := 0
	return func(context.Context) error {
		path := zkPath(i % zkNodes)
		i++
		content, _, err := conn.Get(path)
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want[path] {
			return fmt.Errorf("%s has other content", path)
		}
		return nil
	}
}

// writeMore is a client's request: one more znode. Those that were acknowledged are noted.
func writeMore(conn *zk.Conn, written *[]string) func(context.Context) error {
	i := 0
	return func(context.Context) error {
		path := fmt.Sprintf("/late/node-%04d", i)
		i++
		_, err := conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
		if err == nil {
			*written = append(*written, path)
		}
		return err
	}
}

// expectWritten holds that every znode that was acknowledged is there.
func expectWritten(conn *zk.Conn, written []string) {
	GinkgoHelper()
	names, _, err := conn.Children("/late")
	Expect(err).NotTo(HaveOccurred())
	there := map[string]bool{}
	for _, name := range names {
		there["/late/"+name] = true
	}
	missing := slices.DeleteFunc(slices.Clone(written), func(path string) bool { return there[path] })
	Expect(missing).To(BeEmpty(), "writes that were acknowledged and are lost")
}

// startEnsemble applies a sample, founds the ensemble and waits for all of its members.
func (w *world) startEnsemble(ctx context.Context, folder string) *ensemble {
	GinkgoHelper()
	w.applySample(ctx, folder, "zk")
	By("founding the ensemble")
	Eventually(ctx, func() error {
		output, err := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "exec", "zk-0", "--", "/etc/zk/found.sh").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	}).Should(Succeed())
	// Where the operator scales, the StatefulSet starts with one replica.
	Eventually(ctx, func(g Gomega) {
		var set appsv1.StatefulSet
		g.Expect(cluster.Get(ctx, w.key(w.set), &set)).To(Succeed())
		g.Expect(set.Spec.Replicas).To(HaveValue(BeEquivalentTo(5)))
	}).Should(Succeed(), "the replicas")
	w.kubectl(ctx, "rollout", "status", "statefulset/zk", "--timeout=5m")
	w.expectSample(ctx, 5)
	return w.ensemble(ctx, 0, 1, 2, 3, 4)
}

var _ = Describe("ZooKeeper", Label("recipes", "slow"), func() {
	It("shrinks from five members to three, archives their logs, serves all along, and grows again", SpecTimeout(zkTimeout), func(ctx SpecContext) {
		e := w.startEnsemble(ctx, "zookeeper")
		conn := e.connect(0, 1, 2)
		e.expectMembers(ctx, conn, 0, 1, 2, 3, 4)
		znodes := fillZooKeeper(conn)
		e.expectZnodes(ctx, 4, znodes)

		var written []string
		reader := visit(ctx, readAll(e.connect(4, 3, 2, 1, 0), znodes))
		writer := visit(ctx, writeMore(e.connect(3, 2, 1, 0), &written))
		// The first pod of the first drain is deleted while it works: the next one has to find out what was done.
		started := w.recorder.next(func(c change) bool {
			pod, ok := c.object.(*corev1.Pod)
			return ok && isDrainPod(pod) && pod.Status.Phase == corev1.PodRunning
		})
		w.scale(ctx, 3)
		first := await(ctx, started, "a drain Pod that runs").object
		Expect(first.GetLabels()).To(HaveKeyWithValue(drainv1alpha1.OrdinalLabel, "4"), "the highest ordinal goes first")
		Expect(cluster.Delete(ctx, first)).To(Succeed())
		for _, ordinal := range []int32{4, 3} {
			w.kubectl(ctx, "wait", fmt.Sprintf("pvc/datadir-zk-%d", ordinal), "--for=delete", "--timeout=5m")
			entry := w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
			Expect(entry.Message).To(MatchRegexp(`^removed server\.%d, %d members remain; archived \d+ files in zk-%d-`, ordinal+1, ordinal, ordinal))
		}
		writer.leave("writer, first connected to zk-3, which leaves")
		reader.leave("reader, first connected to zk-4, which leaves")
		Expect(w.recorder.drainPods()).To(HaveLen(3), "two for ordinal 4, one for ordinal 3")

		By("looking at what the three have")
		e.expectMembers(ctx, conn, 0, 1, 2)
		for _, ordinal := range []int32{0, 1, 2} {
			e.expectZnodes(ctx, ordinal, znodes)
		}
		expectWritten(conn, written)
		_, err := conn.Create("/after", []byte("the drains"), 0, zk.WorldACL(zk.PermAll))
		Expect(err).NotTo(HaveOccurred(), "the ensemble must accept writes")
		seen("%d znodes before, %d after on each of the three members, the same checksums; and all of the %d that were acknowledged meanwhile",
			zkNodes, zkNodes, len(written))

		By("looking into the archive")
		w.kubectl(ctx, "apply", "-f", top+"/config/samples/zookeeper/archive-reader.yaml")
		w.kubectl(ctx, "wait", "pod/zk-archive-reader", "--for=condition=Ready", "--timeout=90s")
		checked := strings.Fields(w.kubectl(ctx, "exec", "zk-archive-reader", "--", "sh", "-c", "sha256sum --check *.sha256"))
		Expect(checked).To(HaveExactElements(MatchRegexp(`^zk-3-.*\.tar\.gz:`), "OK", MatchRegexp(`^zk-4-.*\.tar\.gz:`), "OK"))
		for _, member := range []string{"zk-3", "zk-4"} {
			// A log is 64 MiB, most of them zeros: one line of more than the Pod may have in memory.
			logged := w.kubectl(ctx, "exec", "zk-archive-reader", "--", "sh", "-c",
				"tar -xzOf "+member+"-*.tar.gz --wildcards 'version-2/log.*' | tr '\\000' '\\n' | grep --text --only-matching '/e2e/node-[0-9]*' | sort -u | wc -l")
			Expect(strings.TrimSpace(logged)).To(Equal(fmt.Sprint(zkNodes)), "transactions about the znodes in the archived log of %s", member)
		}

		By("growing again")
		w.scale(ctx, 5)
		w.kubectl(ctx, "rollout", "status", "statefulset/zk", "--timeout=5m")
		e = w.ensemble(ctx, 0, 1, 2, 3, 4)
		e.expectMembers(ctx, conn, 0, 1, 2, 3, 4)
		e.expectZnodes(ctx, 4, znodes)
	})

	It("when the node of a member that leaves is powered off", Label("faults"), Serial, SpecTimeout(faultTimeout), func(ctx SpecContext) {
		l := newLab(ctx)
		l.placing(ctx, l.steady, func() {
			w.startEnsemble(ctx, "zookeeper")
		})
		l.placing(ctx, l.shaky, func() {
			w.kubectl(ctx, "delete", "pod", "zk-4")
			w.kubectl(ctx, "rollout", "status", "statefulset/zk", "--timeout=5m")
		})
		e := w.ensemble(ctx, 0, 1, 2, 3, 4)
		conn := e.connect(0, 1, 2)
		e.expectMembers(ctx, conn, 0, 1, 2, 3, 4)
		znodes := fillZooKeeper(conn)
		reader := visit(ctx, readAll(e.connect(4, 3, 2, 1, 0), znodes))

		l.powerOff(ctx, l.shaky)
		w.scale(ctx, 3)
		w.expectDrain(ctx, 4, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists)
		said := w.expectMessage(ctx, 4, `"`+l.shaky+`"`, "kubectl taint node "+l.shaky+" node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
		seen("%s", said)
		w.expectNothingStarted()
		_, err := conn.Create("/meanwhile", nil, 0, zk.WorldACL(zk.PermAll))
		Expect(err).NotTo(HaveOccurred(), "four of five are a majority")

		l.outOfService(ctx, l.shaky)
		for _, ordinal := range []int32{4, 3} {
			w.kubectl(ctx, "wait", fmt.Sprintf("pvc/datadir-zk-%d", ordinal), "--for=delete", "--timeout=5m")
			w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
		}
		reader.leave("reader, first connected to zk-4, whose node was powered off")
		e.expectMembers(ctx, conn, 0, 1, 2)
		for _, ordinal := range []int32{0, 1, 2} {
			e.expectZnodes(ctx, ordinal, znodes)
		}
	})
})
