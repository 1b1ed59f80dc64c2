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
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// zkElection bounds an election on a machine that has more to do. Without a majority, clients wait for longer than that: until a person acts.
const zkElection = 15 * time.Second

// mode is what a member says that it is: leader, follower, or nothing without a majority.
func (e *ensemble) mode(ordinal int32) string {
	conn, err := net.DialTimeout("tcp", e.addresses[ordinal], time.Second)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }() // What it said counts.
	if conn.SetDeadline(time.Now().Add(visitorTimeout)) != nil {
		return ""
	}
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return ""
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if mode, found := strings.CutPrefix(line, "Mode: "); found {
			return strings.TrimSpace(mode)
		}
	}
	return ""
}

// expectLeader waits until a member leads, and returns its ordinal.
func (e *ensemble) expectLeader(ctx context.Context) int32 {
	GinkgoHelper()
	leader := int32(-1)
	Eventually(ctx, func() bool {
		for ordinal := range e.addresses {
			if e.mode(ordinal) == "leader" {
				leader = ordinal
				return true
			}
		}
		return false
	}).Should(BeTrue(), "a member must lead")
	return leader
}

// isMember reports whether the ensemble has a member, as far as the client's server knows.
func isMember(conn *zk.Conn, ordinal int32) (bool, error) {
	text, _, err := conn.Get("/zookeeper/config")
	return strings.Contains(string(text), fmt.Sprintf("server.%d=", ordinal+1)), err
}

// nextPod waits for the next change of a Pod that fits.
func (w *world) nextPod(fits func(*corev1.Pod) bool) <-chan change {
	return w.recorder.next(func(c change) bool {
		pod, ok := c.object.(*corev1.Pod)
		return ok && fits(pod)
	})
}

func isLeavePod(pod *corev1.Pod) bool {
	return pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLeave
}

// memberActions are the Jobs by which members left or joined again, in their order: "4 leave".
func (w *world) memberActions() []string {
	GinkgoHelper()
	var actions []string
	for _, job := range objectsOf[*batchv1.Job](w.recorder) {
		if job.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLeave {
			actions = append(actions, job.Labels[drainv1alpha1.OrdinalLabel]+" "+job.Annotations[drainv1alpha1.ActionAnnotation])
		}
	}
	return actions
}

var _ = Describe("ZooKeeper from five members to one", Label("recipes", "slow"), Serial, Ordered, func() {
	var base, scaling installation
	BeforeAll(func(ctx SpecContext) {
		base, scaling = render(ctx, "config/default"), render(ctx, "config/overlays/scaling")
		base.replaceWith(ctx, scaling)
	}, NodeTimeout(2*time.Minute))
	AfterAll(func(ctx SpecContext) { scaling.replaceWith(ctx, base) }, NodeTimeout(2*time.Minute))

	It("through the policy keeps its majority, and every write", SpecTimeout(zkTimeout), func(ctx SpecContext) {
		e := w.startEnsemble(ctx, "zookeeper-scaled")
		if e.expectLeader(ctx) == 0 {
			By("letting another one than zk-0 lead, so that a leader leaves")
			w.kubectl(ctx, "delete", "pod", "zk-0")
			w.kubectl(ctx, "rollout", "status", "statefulset/zk", "--timeout=5m")
			e = w.ensemble(ctx, 0, 1, 2, 3, 4)
		}
		leader := e.expectLeader(ctx)
		conn := e.connect(0)
		e.expectMembers(ctx, conn, 0, 1, 2, 3, 4)
		znodes := fillZooKeeper(conn)

		var written []string
		reader := visit(ctx, readAll(e.connect(4, 3, 2, 1, 0), znodes))
		writer := visit(ctx, writeMore(e.connect(3, 2, 1, 0), &written))
		// The first Pod by which a member leaves is deleted while it works: the next one has to find out what was done.
		started := w.nextPod(func(pod *corev1.Pod) bool { return isLeavePod(pod) && pod.Status.Phase == corev1.PodRunning })
		stops := map[int32]<-chan change{}
		for _, ordinal := range []int32{4, 3, 2, 1} {
			stops[ordinal] = w.nextPod(func(pod *corev1.Pod) bool {
				return pod.Name == fmt.Sprintf("zk-%d", ordinal) && pod.DeletionTimestamp != nil && !isLock(pod)
			})
		}
		scaled := time.Now()
		w.kubectl(ctx, "scale", "drainpolicy/zk", "--replicas=1")
		first := await(ctx, started, "a Pod by which a member leaves").object
		Expect(first.GetLabels()).To(HaveKeyWithValue(drainv1alpha1.OrdinalLabel, "4"), "the highest ordinal goes first")
		Expect(cluster.Delete(ctx, first)).To(Succeed())
		for _, ordinal := range []int32{4, 3, 2, 1} {
			await(ctx, stops[ordinal], fmt.Sprintf("the end of zk-%d", ordinal))
			// The first answer counts: later, the drain has taken it out.
			var member bool
			Eventually(ctx, func() (err error) {
				member, err = isMember(conn, ordinal)
				return err
			}).Should(Succeed(), "zk-0 must serve")
			Expect(member).To(BeFalse(), "zk-%d stops, so it must have left", ordinal)
			seen("ordinal %d stops after %.0f s", ordinal, time.Since(scaled).Seconds())
		}
		w.expectCondition(ctx, "zk", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		for _, ordinal := range []int32{4, 3, 2, 1} {
			w.kubectl(ctx, "wait", fmt.Sprintf("pvc/datadir-zk-%d", ordinal), "--for=delete", "--timeout=2m")
		}
		took := time.Since(scaled)
		writer.leave("writer, first connected to zk-3")
		reader.leave("reader, first connected to zk-4")
		Expect(writer.stall).To(BeNumerically("<", zkElection), "a leader that leaves costs an election, and no more")
		seen("zk-%d led at first; 5 to 1 in %.0f s; %d writes acknowledged", leader, took.Seconds(), len(written))
		// The operator believes no Pod that was deleted, even if it had finished: then another Job takes its place.
		Expect(slices.Compact(w.memberActions())).To(Equal([]string{"4 leave", "3 leave", "2 leave", "1 leave"}))
		Expect(w.recorder.mostDrainsAtOnce()).To(Equal(1), "drains at once, in the whole history")
		e.expectMembers(ctx, conn, 0)
		e.expectZnodes(ctx, 0, znodes)
		expectWritten(conn, written)

		By("growing again")
		w.kubectl(ctx, "scale", "drainpolicy/zk", "--replicas=5")
		w.expectCondition(ctx, "zk", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		w.kubectl(ctx, "rollout", "status", "statefulset/zk", "--timeout=5m")
		e = w.ensemble(ctx, 0, 1, 2, 3, 4)
		e.expectMembers(ctx, conn, 0, 1, 2, 3, 4)
		e.expectZnodes(ctx, 4, znodes)

		By("changing one's mind when a member has left")
		claim := w.claimUID(ctx, "datadir-zk-4")
		w.kubectl(ctx, "scale", "drainpolicy/zk", "--replicas=3")
		Eventually(ctx, func(g Gomega) {
			member, err := isMember(conn, 4)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(member).To(BeFalse())
		}).WithPolling(pollStep/4).Should(Succeed(), "zk-4 must leave")
		w.kubectl(ctx, "scale", "drainpolicy/zk", "--replicas=5")
		Eventually(ctx, w.memberActions).Should(ContainElement("4 rejoin"))
		e.expectMembers(ctx, conn, 0, 1, 2, 3, 4)
		w.expectCondition(ctx, "zk", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		w.kubectl(ctx, "rollout", "status", "statefulset/zk", "--timeout=5m")
		Expect(w.claimUID(ctx, "datadir-zk-4")).To(Equal(claim), "the claim of a member that came back")
		w.ensemble(ctx, 4).expectZnodes(ctx, 4, znodes)
	})

	It("through the policy lets a member leave whose node is powered off", Label("faults"), SpecTimeout(faultTimeout), func(ctx SpecContext) {
		l := newLab(ctx)
		l.placing(ctx, l.steady, func() { w.startEnsemble(ctx, "zookeeper-scaled") })
		l.placing(ctx, l.shaky, func() {
			w.kubectl(ctx, "delete", "pod", "zk-4")
			w.kubectl(ctx, "rollout", "status", "statefulset/zk", "--timeout=5m")
		})
		e := w.ensemble(ctx, 0, 1, 2, 3, 4)
		conn := e.connect(0, 1, 2)
		e.expectMembers(ctx, conn, 0, 1, 2, 3, 4)
		znodes := fillZooKeeper(conn)
		var written []string
		writer := visit(ctx, writeMore(e.connect(4, 3, 2, 1, 0), &written))

		l.powerOff(ctx, l.shaky)
		w.kubectl(ctx, "scale", "drainpolicy/zk", "--replicas=3")
		w.expectDrain(ctx, 4, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists)
		e.expectMembers(ctx, conn, 0, 1, 2, 3)
		said := w.expectMessage(ctx, 4, `"`+l.shaky+`"`, "kubectl taint node "+l.shaky+" node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
		seen("%s", said)
		Expect(w.memberActions()).To(Equal([]string{"4 leave"}), "zk-3 stays until zk-4 is drained")

		l.outOfService(ctx, l.shaky)
		for _, ordinal := range []int32{4, 3} {
			w.kubectl(ctx, "wait", fmt.Sprintf("pvc/datadir-zk-%d", ordinal), "--for=delete", "--timeout=5m")
		}
		w.expectCondition(ctx, "zk", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		writer.leave("writer, first connected to zk-4, whose node was powered off")
		e.expectMembers(ctx, conn, 0, 1, 2)
		for _, ordinal := range []int32{0, 1, 2} {
			e.expectZnodes(ctx, ordinal, znodes)
		}
		expectWritten(conn, written)
	})

	It("by the StatefulSet loses its majority, until it is scaled up again", SpecTimeout(zkTimeout), func(ctx SpecContext) {
		e := w.startEnsemble(ctx, "zookeeper")
		conn := e.connect(0)
		e.expectMembers(ctx, conn, 0, 1, 2, 3, 4) // Until then, those that joined elect a leader once more.
		znodes := fillZooKeeper(conn)
		var written []string
		reader := visit(ctx, readAll(e.connect(4, 3, 2, 1, 0), znodes))
		writer := visit(ctx, writeMore(e.connect(3, 2, 1, 0), &written))

		w.scale(ctx, 1)
		entry := w.expectDrain(ctx, 4, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForReadyReplicas)
		seen("the policy says: %s", entry.Message)
		alone := func() string { return e.mode(0) }
		Eventually(ctx, alone).Should(BeEmpty(), "zk-0 is alone, of five members")
		Consistently(ctx, alone).WithTimeout(zkElection).Should(BeEmpty(), "it is no election that is to end")
		w.expectNothingStarted()

		By("scaling up to what the policy's minReadyReplicas says")
		lost := time.Since(w.scaled)
		w.scale(ctx, 3)
		for _, ordinal := range []int32{4, 3} {
			w.kubectl(ctx, "wait", fmt.Sprintf("pvc/datadir-zk-%d", ordinal), "--for=delete", "--timeout=5m")
			w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
		}
		w.kubectl(ctx, "rollout", "status", "statefulset/zk", "--timeout=5m")
		writer.leave("writer, first connected to zk-3")
		reader.leave("reader, first connected to zk-4")
		Expect(writer.stall).To(BeNumerically(">", zkElection), "clients must notice, or the comparison is worth nothing")
		seen("scaled up again after %.0f s without a majority; %d writes acknowledged", lost.Seconds(), len(written))
		e = w.ensemble(ctx, 0, 1, 2)
		conn = e.connect(0, 1, 2)
		e.expectMembers(ctx, conn, 0, 1, 2)
		for _, ordinal := range []int32{0, 1, 2} {
			e.expectZnodes(ctx, ordinal, znodes)
		}
		expectWritten(conn, written)
	})
})
