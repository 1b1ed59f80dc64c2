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
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	amqp "github.com/rabbitmq/amqp091-go"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// rabbitTimeout bounds the test as a whole: members start twice to join, on a machine that has more to do.
	rabbitTimeout = 20 * time.Minute
	// rabbitStall bounds how long a publisher waits when a member leaves: with a margin for a machine that has more to do.
	rabbitStall = 30 * time.Second
	// rabbitBacklog is the number of messages in each queue that no client consumes meanwhile.
	rabbitBacklog = 200
	// rabbitClassic is a queue that can't move.
	rabbitClassic = "classic, of rabbitmq-2"
)

// rabbitBacklogs are quorum queues that no client consumes, each with its replicas on the first members of its list.
var rabbitBacklogs = map[string][]int32{
	"backlog, of all members": {0, 1, 2}, "backlog (of rabbitmq-2 only)": {2}, "backlog.of.rabbitmq-1.only": {1},
}

// rabbits is RabbitMQ as its clients know it.
type rabbits struct {
	mu sync.Mutex
	// addresses are those of the members that clients may connect to, the first of them first.
	addresses []string
}

func (w *world) rabbits(ctx context.Context, ordinals ...int32) *rabbits {
	GinkgoHelper()
	r := &rabbits{}
	for _, ordinal := range ordinals {
		var pod corev1.Pod
		Expect(cluster.Get(ctx, w.key(fmt.Sprintf("rabbitmq-%d", ordinal)), &pod)).To(Succeed())
		r.addresses = append(r.addresses, net.JoinHostPort(pod.Status.PodIP, "5672"))
	}
	return r
}

// dial connects to the first of the members that answers.
func (r *rabbits) dial() (*amqp.Connection, error) {
	r.mu.Lock()
	addresses := slices.Clone(r.addresses)
	r.mu.Unlock()
	var all []error
	for _, address := range addresses {
		server := url.URL{Scheme: "amqp", User: url.UserPassword("app", "change-me"), Host: address, Path: "/"}
		conn, err := amqp.DialConfig(server.String(), amqp.Config{Heartbeat: visitorTimeout, Locale: "en_US", Dial: amqp.DefaultDial(time.Second)})
		if err == nil {
			return conn, nil
		}
		all = append(all, err)
	}
	return nil, errors.Join(all...)
}

// channel gives a channel for what the test does by itself.
func (r *rabbits) channel() *amqp.Channel {
	GinkgoHelper()
	conn, err := r.dial()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { _ = conn.Close() }) // It may have been closed.
	ch, err := conn.Channel()
	Expect(err).NotTo(HaveOccurred())
	Expect(ch.Confirm(false)).To(Succeed())
	return ch
}

// publish sends one message, and returns only if it was confirmed, and was not returned as one without a queue.
func publish(ctx context.Context, ch *amqp.Channel, returns <-chan amqp.Return, queue, body string) error {
	confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(body)})
	if err != nil {
		return err
	}
	ok, err := confirmation.WaitContext(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s was refused", body)
	}
	select {
	case back, open := <-returns:
		if open {
			return fmt.Errorf("%s came back: %s", back.Body, back.ReplyText)
		}
	default:
	}
	return nil
}

// declare declares a quorum queue with so many replicas, of which one is on the member that the channel is connected to.
func declare(ch *amqp.Channel, name string, size int) {
	GinkgoHelper()
	_, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-quorum-initial-group-size": size})
	Expect(err).NotTo(HaveOccurred(), name)
}

// fill publishes messages that no client consumes meanwhile.
func fill(ctx context.Context, ch *amqp.Channel, queue string) {
	GinkgoHelper()
	returns := ch.NotifyReturn(make(chan amqp.Return, 1))
	for i := range rabbitBacklog {
		Expect(publish(ctx, ch, returns, queue, fmt.Sprint(i))).To(Succeed())
	}
}

// drainQueue consumes all messages of a queue, and returns their bodies.
func drainQueue(ch *amqp.Channel, queue string) []string {
	GinkgoHelper()
	var bodies []string
	for {
		message, ok, err := ch.Get(queue, false)
		Expect(err).NotTo(HaveOccurred())
		if !ok {
			return bodies
		}
		bodies = append(bodies, string(message.Body))
		Expect(message.Ack(false)).To(Succeed())
	}
}

// flow is a publisher with confirms and a consumer with acknowledgements, of one queue, that work all along.
type flow struct {
	publisher *visitor
	confirmed []string

	mu       sync.Mutex
	consumed map[string]int
	// reconnects of the consumer.
	reconnects int
	cancel     context.CancelFunc
	done       sync.WaitGroup
}

// startFlow lets the clients begin.
func (r *rabbits) startFlow(ctx context.Context, queue string) *flow {
	f := &flow{consumed: map[string]int{}}
	var (
		conn    *amqp.Connection
		ch      *amqp.Channel
		returns chan amqp.Return
		sent    int
	)
	f.publisher = visit(ctx, func(ctx context.Context) (err error) {
		if ch == nil || ch.IsClosed() {
			if conn != nil {
				_ = conn.Close() // It is broken.
			}
			if conn, err = r.dial(); err != nil {
				return err
			}
			if ch, err = conn.Channel(); err != nil {
				return err
			}
			if err := ch.Confirm(false); err != nil {
				return err
			}
			returns = ch.NotifyReturn(make(chan amqp.Return, 1))
		}
		body := fmt.Sprintf("%06d", sent)
		sent++
		if err = publish(ctx, ch, returns, queue, body); err != nil {
			// What was not confirmed may have arrived all the same. The next message goes over another connection.
			_ = conn.Close()
			return err
		}
		f.confirmed = append(f.confirmed, body)
		return nil
	})
	consuming, cancel := context.WithCancel(ctx)
	f.cancel = cancel
	DeferCleanup(cancel)
	f.done.Go(func() {
		for consuming.Err() == nil {
			_ = f.consume(consuming, r, queue) // It begins again, and what was lost shows at the end.
			f.reconnects++
			select {
			case <-consuming.Done():
			case <-time.After(pollStep):
			}
		}
	})
	return f
}

// consume takes messages until the connection ends.
func (f *flow) consume(ctx context.Context, r *rabbits, queue string) error {
	conn, err := r.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Qos(10, 0, false); err != nil {
		return err
	}
	messages, err := ch.ConsumeWithContext(ctx, queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case message, ok := <-messages:
			if !ok {
				return amqp.ErrClosed
			}
			f.mu.Lock()
			f.consumed[string(message.Body)]++
			f.mu.Unlock()
			if err := message.Ack(false); err != nil {
				return err
			}
		}
	}
}

// end ends the flow, and holds that every message that was confirmed was consumed.
func (f *flow) end(ctx context.Context, what string) {
	GinkgoHelper()
	f.publisher.leave("publisher, " + what)
	missing := func() []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.DeleteFunc(slices.Clone(f.confirmed), func(body string) bool { return f.consumed[body] > 0 })
	}
	Eventually(ctx, missing).Should(BeEmpty(), "messages that were confirmed must be consumed")
	f.cancel()
	f.done.Wait()
	again := 0
	for _, times := range f.consumed {
		again += times - 1
	}
	seen("consumer, %s: all of %d confirmed messages, %d of them more than once, %d reconnects", what, len(f.confirmed), again, f.reconnects-1)
}

// rabbitMembers gives the members as rabbitmq-0 knows them.
func (w *world) rabbitMembers(ctx context.Context) ([]string, error) {
	members, _, err := w.rabbitReport(ctx)
	return members, err
}

// rabbitReport gives them, and the members that have each queue.
func (w *world) rabbitReport(ctx context.Context) (members []string, queues map[string][]string, err error) {
	command := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "exec", "rabbitmq-0", "--", "bash", "-c",
		`. /etc/rabbitmq/cluster.sh; ctl "$(node_of rabbitmq-0)" rabbitmqctl eval "$report"`)
	var problems bytes.Buffer
	command.Stderr = &problems
	text, err := command.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s%s", err, text, &problems)
	}
	queues = map[string][]string{}
	for line := range strings.Lines(string(text)) {
		switch fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); fields[0] {
		case "member":
			members = append(members, shortName(fields[1]))
		case "queue":
			var nodes []string
			for node := range strings.SplitSeq(fields[2], ",") {
				nodes = append(nodes, shortName(node))
			}
			slices.Sort(nodes)
			queues[strings.TrimSuffix(fields[5], " in /")] = nodes
		}
	}
	slices.Sort(members)
	return members, queues, nil
}

// shortName is the Pod of a member: rabbit@rabbitmq-2.rabbitmq is rabbitmq-2.
func shortName(node string) string {
	_, host, _ := strings.Cut(node, "@")
	name, _, _ := strings.Cut(host, ".")
	return name
}

// expectQuorum waits until each quorum queue has this many replicas, on members.
func (w *world) expectQuorum(ctx context.Context, ordinals ...int32) {
	GinkgoHelper()
	want := podNames(ordinals...)
	Eventually(ctx, func(g Gomega) {
		members, queues, err := w.rabbitReport(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(members).To(Equal(want))
		for name, nodes := range queues {
			g.Expect(nodes).To(Equal(want), name)
		}
	}).WithPolling(5*pollStep).WithTimeout(2*patience).Should(Succeed(), "the members of the cluster, and of each queue")
}

// lastPhase is the phase in which a Pod was seen last.
func (w *world) lastPhase(pod client.Object) corev1.PodPhase {
	GinkgoHelper()
	for _, last := range objectsOf[*corev1.Pod](w.recorder) {
		if last.UID == pod.GetUID() {
			return last.Status.Phase
		}
	}
	return ""
}

func podNames(ordinals ...int32) []string {
	names := make([]string, 0, len(ordinals))
	for _, ordinal := range ordinals {
		names = append(names, fmt.Sprintf("rabbitmq-%d", ordinal))
	}
	return names
}

// startRabbits applies the sample, founds the cluster and waits for all of its members.
func (w *world) startRabbits(ctx context.Context) {
	GinkgoHelper()
	w.applySample(ctx, "rabbitmq", "rabbitmq")
	By("founding the cluster")
	Eventually(ctx, func() error {
		output, err := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "exec", "rabbitmq-0", "--", "/etc/rabbitmq/found.sh").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	}).Should(Succeed())
	w.expectCondition(ctx, "rabbitmq", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
	w.kubectl(ctx, "rollout", "status", "statefulset/rabbitmq", "--timeout=5m")
	w.expectSample(ctx, 3)
}

var _ = Describe("RabbitMQ from three members to one", Label("recipes", "slow"), Serial, Ordered, func() {
	var base, scaling installation
	BeforeAll(func(ctx SpecContext) {
		base, scaling = render(ctx, "config/default"), render(ctx, "config/overlays/scaling")
		base.replaceWith(ctx, scaling)
	}, NodeTimeout(2*time.Minute))
	AfterAll(func(ctx SpecContext) { scaling.replaceWith(ctx, base) }, NodeTimeout(2*time.Minute))

	It("moves the replicas of its queues, keeps every confirmed message, and refuses to lose a classic queue", SpecTimeout(rabbitTimeout), func(ctx SpecContext) {
		w.startRabbits(ctx)
		r := w.rabbits(ctx, 2, 1, 0)
		By("filling queues whose replicas are on all members, and on one")
		for queue, members := range rabbitBacklogs {
			ch := w.rabbits(ctx, members[len(members)-1]).channel()
			declare(ch, queue, len(members))
			fill(ctx, ch, queue)
		}
		own := w.rabbits(ctx, 2).channel()
		_, err := own.QueueDeclare(rabbitClassic, true, false, false, false, nil)
		Expect(err).NotTo(HaveOccurred())
		fill(ctx, own, rabbitClassic)
		declare(own, "work of all", 3)
		declare(own, "work of rabbitmq-2", 1)
		flows := map[string]*flow{}
		for _, queue := range []string{"work of all", "work of rabbitmq-2"} {
			flows[queue] = r.startFlow(ctx, queue)
		}

		By("scaling down while a classic queue is in the way")
		w.kubectl(ctx, "scale", "drainpolicy/rabbitmq", "--replicas=1")
		Eventually(ctx, func(g Gomega) string {
			var p drainv1alpha1.DrainPolicy
			g.Expect(cluster.Get(ctx, w.key(w.set), &p)).To(Succeed())
			return describeCondition(&p, drainv1alpha1.ConditionScaled)
		}).WithTimeout(2 * patience).Should(And(HavePrefix("False "+drainv1alpha1.ReasonLeaveFailed+":"), ContainSubstring("has the only copy of "+rabbitClassic+" in / (classic)")))
		Expect(drainQueue(own, rabbitClassic)).To(HaveLen(rabbitBacklog), "rabbitmq-2 must serve as before")
		_, err = own.QueueDelete(rabbitClassic, false, true, false)
		Expect(err).NotTo(HaveOccurred())

		By("deleting the Pod by which rabbitmq-1 leaves half-way")
		stops := map[int32]<-chan change{}
		for _, ordinal := range []int32{2, 1} {
			stops[ordinal] = w.nextPod(func(pod *corev1.Pod) bool {
				return pod.Name == fmt.Sprintf("rabbitmq-%d", ordinal) && pod.DeletionTimestamp != nil && !isLock(pod)
			})
		}
		leaves := w.nextPod(func(pod *corev1.Pod) bool {
			return isLeavePod(pod) && pod.Labels[drainv1alpha1.OrdinalLabel] == "1" && pod.Status.Phase == corev1.PodRunning
		})
		scaled := time.Now()
		// After the failed attempt, the next one waits for half a minute.
		Eventually(ctx, stops[2]).WithTimeout(4*patience).Should(Receive(), "rabbitmq-2 must leave, and stop")
		members, err := w.rabbitMembers(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(members).To(Equal(podNames(0, 1)), "rabbitmq-2 stops, so it must have left")
		var leave change
		Eventually(ctx, leaves).WithTimeout(2*patience).Should(Receive(&leave), "rabbitmq-1 must begin to leave")
		first := leave.object
		Eventually(ctx, func() string { return w.kubectl(ctx, "logs", first.GetName()) }).Should(ContainSubstring("Taking the replicas of"), "it must be half-way")
		Expect(cluster.Delete(ctx, first)).To(Succeed())
		Eventually(ctx, stops[1]).WithTimeout(4*patience).Should(Receive(), "rabbitmq-1 must leave, and stop")
		members, err = w.rabbitMembers(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(members).To(Equal(podNames(0)), "rabbitmq-1 stops, so it must have left")
		Expect(w.lastPhase(first)).To(Equal(corev1.PodFailed), "the first Pod by which rabbitmq-1 leaves must not have ended by itself")
		w.expectCondition(ctx, "rabbitmq", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		for _, ordinal := range []int32{2, 1} {
			w.kubectl(ctx, "wait", fmt.Sprintf("pvc/data-rabbitmq-%d", ordinal), "--for=delete", "--timeout=2m")
		}
		took := time.Since(scaled)
		for queue, f := range flows {
			f.end(ctx, "of the queue "+queue+", first connected to rabbitmq-2")
			Expect(f.publisher.stall).To(BeNumerically("<", rabbitStall), "a member that leaves costs a connection and an election, and no more")
		}
		w.expectQuorum(ctx, 0)
		counts := map[string]int{}
		for queue := range rabbitBacklogs {
			info, err := w.rabbits(ctx, 0).channel().QueueDeclarePassive(queue, true, false, false, false, nil)
			Expect(err).NotTo(HaveOccurred())
			counts[queue] = info.Messages
			Expect(info.Messages).To(Equal(rabbitBacklog), "messages of %s", queue)
		}
		seen("3 to 1 in %.0f s after the classic queue was deleted; of %d queues with %d messages each, all are there: %v", took.Seconds(), len(rabbitBacklogs), rabbitBacklog, counts)
		Expect(slices.Compact(w.memberActions())).To(Equal([]string{"2 leave", "1 leave"}))

		By("growing again")
		w.kubectl(ctx, "scale", "drainpolicy/rabbitmq", "--replicas=3")
		w.expectCondition(ctx, "rabbitmq", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		w.kubectl(ctx, "rollout", "status", "statefulset/rabbitmq", "--timeout=5m")
		w.expectQuorum(ctx, 0, 1, 2)

		By("changing one's mind when a member has left")
		claim := w.claimUID(ctx, "data-rabbitmq-2")
		w.kubectl(ctx, "scale", "drainpolicy/rabbitmq", "--replicas=2")
		Eventually(ctx, func() ([]string, error) { return w.rabbitMembers(ctx) }).WithPolling(5*pollStep).WithTimeout(3*patience).
			Should(Equal(podNames(0, 1)), "rabbitmq-2 must leave")
		w.kubectl(ctx, "scale", "drainpolicy/rabbitmq", "--replicas=3")
		Eventually(ctx, w.memberActions).Should(ContainElement("2 rejoin"))
		w.kubectl(ctx, "wait", "drainpolicy/rabbitmq", "--for=condition=Scaled", "--timeout=5m")
		w.expectCondition(ctx, "rabbitmq", drainv1alpha1.ConditionScaled, "True "+drainv1alpha1.ReasonReplicasReached)
		w.kubectl(ctx, "rollout", "status", "statefulset/rabbitmq", "--timeout=5m")
		w.expectQuorum(ctx, 0, 1, 2)
		Expect(w.claimUID(ctx, "data-rabbitmq-2")).To(Equal(claim), "the claim of a member that came back")
		for queue := range rabbitBacklogs {
			bodies := drainQueue(w.rabbits(ctx, 2).channel(), queue)
			slices.Sort(bodies)
			Expect(slices.Compact(bodies)).To(HaveLen(rabbitBacklog), "messages of %s", queue)
		}
	})
})
