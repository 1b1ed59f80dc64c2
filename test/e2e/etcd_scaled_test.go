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
	"os/exec"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// etcdScaledTimeout bounds the test as a whole: nine members leave and seven join, one after the other.
	etcdScaledTimeout = 20 * time.Minute
	// etcdStall bounds what a member that leaves costs its clients: another connection, and an election if it leads without handing over.
	etcdStall = 15 * time.Second
	// etcdOut is for how long a member must stay out that has left while its pod runs.
	etcdOut = 10 * time.Second
)

// etcdMember is a member as a majority knows it, or nil if it is none. One that was added and has not started has no name.
func etcdMember(ctx context.Context, c *clientv3.Client, ordinal int32) (*clientv3.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, visitorTimeout)
	defer cancel()
	list, err := c.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	for _, member := range list.Members {
		if strings.HasPrefix(member.PeerURLs[0], fmt.Sprintf("http://etcd-%d.", ordinal)) {
			return (*clientv3.Member)(member), nil
		}
	}
	return nil, nil
}

// letEtcdLead makes etcd-4 the leader of five members, so that the leader leaves first.
func (w *world) letEtcdLead(ctx context.Context) {
	GinkgoHelper()
	clients := make([]*clientv3.Client, 5)
	for i := range clients {
		clients[i] = w.etcdClient(ctx, int32(i))
	}
	Eventually(ctx, func(g Gomega) {
		bounded, cancel := context.WithTimeout(ctx, visitorTimeout)
		defer cancel()
		for i, c := range clients {
			status, err := c.Status(bounded, c.Endpoints()[0])
			g.Expect(err).NotTo(HaveOccurred())
			if status.Leader == status.Header.MemberId && i != 4 {
				heir, err := etcdMember(bounded, c, 4)
				g.Expect(err).NotTo(HaveOccurred())
				_, err = c.MoveLeader(bounded, heir.ID)
				g.Expect(err).NotTo(HaveOccurred())
			}
		}
		status, err := clients[4].Status(bounded, clients[4].Endpoints()[0])
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(status.Leader).To(Equal(status.Header.MemberId))
	}).Should(Succeed(), "etcd-4 must lead")
}

// etcdStops are the ends of members' pods.
func (w *world) etcdStops(ordinals ...int32) []<-chan change {
	var stops []<-chan change
	for _, ordinal := range ordinals {
		stops = append(stops, w.nextPod(func(pod *corev1.Pod) bool {
			return pod.Name == fmt.Sprintf("etcd-%d", ordinal) && pod.DeletionTimestamp != nil && !isLock(pod)
		}))
	}
	return stops
}

// expectEtcdLeft waits until a member's pod stops, and holds that the member has left before.
func (w *world) expectEtcdLeft(ctx context.Context, one *clientv3.Client, stop <-chan change, ordinal int32) {
	GinkgoHelper()
	Eventually(ctx, stop).WithTimeout(2*patience).Should(Receive(), "etcd-%d must leave, and stop", ordinal)
	// The first answer counts: later, the drain would have removed it.
	var member *clientv3.Member
	Eventually(ctx, func() (err error) {
		member, err = etcdMember(ctx, one, ordinal)
		return err
	}).Should(Succeed(), "a majority must answer")
	Expect(member).To(BeNil(), "etcd-%d stops, so it must have left", ordinal)
}

// expectEtcdFoundOut waits for the ends of drains, each of which has found that the member was removed.
func (w *world) expectEtcdFoundOut(ctx context.Context, ordinals ...int32) {
	GinkgoHelper()
	for _, ordinal := range ordinals {
		w.kubectl(ctx, "wait", fmt.Sprintf("pvc/data-etcd-%d", ordinal), "--for=delete", "--timeout=4m")
		entry := w.expectDrain(ctx, ordinal, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted)
		Expect(entry.Message).To(MatchRegexp(`^[0-9a-f]+ is not a member, \d members remain$`), "ordinal %d must have left before its drain", ordinal)
	}
}

// scaleEtcd scales the policy, and the operator the StatefulSet.
func (w *world) scaleEtcd(ctx context.Context, replicas int32) {
	GinkgoHelper()
	w.kubectl(ctx, "scale", "drainpolicy/etcd", fmt.Sprintf("--replicas=%d", replicas))
}

// expectEtcdScaled waits until the StatefulSet has the replicas of its policy, and the cluster these members.
func (w *world) expectEtcdScaled(ctx context.Context, one *clientv3.Client, ordinals ...int32) {
	GinkgoHelper()
	w.kubectl(ctx, "wait", "drainpolicy/etcd", "--for=condition=Scaled", "--timeout=5m")
	w.expectCondition(ctx, "etcd", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
	w.kubectl(ctx, "rollout", "status", "statefulset/etcd", "--timeout=5m")
	expectEtcdMembers(ctx, one, ordinals...)
}

var _ = Describe("etcd from five members to one", Label("recipes", "slow"), Serial, Ordered, func() {
	var base, scaling installation
	BeforeAll(func(ctx SpecContext) {
		base, scaling = render(ctx, "config/default"), render(ctx, "config/overlays/scaling")
		base.replaceWith(ctx, scaling)
	}, NodeTimeout(2*time.Minute))
	AfterAll(func(ctx SpecContext) { scaling.replaceWith(ctx, base) }, NodeTimeout(2*time.Minute))

	It("through the policy keeps its majority, every write, its watches and a lease", SpecTimeout(etcdScaledTimeout), func(ctx SpecContext) {
		w.startEtcd(ctx, "etcd-scaled")
		w.expectCondition(ctx, "etcd", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		one := w.etcdClient(ctx, 0)
		a := w.gatherEtcdAudience(ctx)
		expectEtcdMembers(ctx, one, 0, 1, 2, 3, 4)
		w.letEtcdLead(ctx)

		By("scaling to three, while a drain can reach no member, and deleting the first pod by which a member leaves half-way")
		w.changePolicy(ctx, "etcd", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Job.BackoffLimit = ptr.To[int32](0)
			p.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "DRAIN_PEERS", Value: "absent.etcd"}, {Name: "PATIENCE_SECONDS", Value: "5"}}
		})
		leaves := w.nextPod(func(pod *corev1.Pod) bool { return isLeavePod(pod) && pod.Status.Phase == corev1.PodRunning })
		stops := w.etcdStops(4, 3)
		w.scaleEtcd(ctx, 3)
		first := await(ctx, leaves, "a pod by which a member leaves").object
		Expect(first.GetLabels()).To(HaveKeyWithValue(drainv1alpha1.OrdinalLabel, "4"), "the highest ordinal goes first")
		Expect(cluster.Delete(ctx, first)).To(Succeed())
		w.expectEtcdLeft(ctx, one, stops[0], 4)
		seen("%s", w.expectMessage(ctx, 4, "none of the members that remain answers (absent.etcd)"))
		Expect(w.claimUID(ctx, "data-etcd-4")).NotTo(BeEmpty(), "the claim must be kept: its drain could not find out what became of the member")
		expectEtcdMembers(ctx, one, 0, 1, 2, 3)
		Expect(w.memberActions()).To(HaveEach("4 leave"), "etcd-3 must wait for the drain of ordinal 4")
		w.changePolicy(ctx, "etcd", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Job.BackoffLimit = ptr.To[int32](1)
			p.Spec.Template.Spec.Containers[0].Env = nil
		})
		w.expectEtcdLeft(ctx, one, stops[1], 3)
		w.expectEtcdFoundOut(ctx, 4, 3)
		w.expectEtcdScaled(ctx, one, 0, 1, 2)

		By("growing again")
		w.scaleEtcd(ctx, 5)
		w.expectEtcdScaled(ctx, one, 0, 1, 2, 3, 4)
		a.meet(ctx, w, 0, 1, 2, 3, 4)

		By("changing one's mind when a member has left and its pod still runs")
		claim := w.claimUID(ctx, "data-etcd-4")
		var before, after corev1.Pod
		Expect(cluster.Get(ctx, w.key("etcd-4"), &before)).To(Succeed())
		leaves = w.nextPod(func(pod *corev1.Pod) bool { return isLeavePod(pod) && pod.Status.Phase == corev1.PodRunning })
		w.scaleEtcd(ctx, 3)
		await(ctx, leaves, "a pod by which a member leaves")
		// The Job goes on, and the operator doesn't scale.
		w.changePolicy(ctx, "etcd", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = ptr.To(true) })
		gone := func() (*clientv3.Member, error) { return etcdMember(ctx, one, 4) }
		Eventually(ctx, gone).Should(BeNil(), "etcd-4 must leave")
		Eventually(ctx, func() error {
			return exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "exec", "etcd-4", "--", "test", "-e", "/var/lib/etcd/waiting").Run()
		}).Should(Succeed(), "its server must end, and its container start again and wait")
		Consistently(ctx, gone).WithTimeout(etcdOut).Should(BeNil(), "a member that has left must not join again by itself")
		w.changePolicy(ctx, "etcd", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Replicas, p.Spec.Suspend = ptr.To[int32](5), ptr.To(false) })
		w.expectEtcdScaled(ctx, one, 0, 1, 2, 3, 4)
		Expect(slices.Compact(w.memberActions())).To(Equal([]string{"4 leave", "3 leave", "4 leave", "4 rejoin"}))
		Expect(w.claimUID(ctx, "data-etcd-4")).To(Equal(claim), "the claim of a member that came back")
		Expect(cluster.Get(ctx, w.key("etcd-4"), &after)).To(Succeed())
		Expect(after.UID).To(Equal(before.UID), "the pod of a member that came back")

		By("scaling to one, the leader first")
		w.letEtcdLead(ctx)
		down := []int32{4, 3, 2, 1}
		stops = w.etcdStops(down...)
		scaled := time.Now()
		w.scaleEtcd(ctx, 1)
		for i, ordinal := range down {
			w.expectEtcdLeft(ctx, one, stops[i], ordinal)
			seen("ordinal %d stops after %.0f s", ordinal, time.Since(scaled).Seconds())
		}
		w.expectEtcdFoundOut(ctx, down...)
		took := time.Since(scaled)
		w.expectEtcdScaled(ctx, one, 0)
		a.meet(ctx, w, 0)
		a.leave(ctx, w, 0)
		for _, v := range []*visitor{a.writer, a.reader, a.keeper} {
			Expect(v.stall).To(BeNumerically("<", etcdStall), "a member that leaves costs a connection and an election, and no more")
		}
		seen("5 to 1 in %.0f s", took.Seconds())
		Expect(slices.Compact(w.memberActions())[4:]).To(Equal([]string{"4 leave", "3 leave", "2 leave", "1 leave"}))
		Expect(w.recorder.mostDrainsAtOnce()).To(Equal(1), "drains at once, in the whole history")
	})
})
