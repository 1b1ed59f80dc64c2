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
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// natsTimeout bounds the test as a whole, on a machine that has more to do.
	natsTimeout = 8 * time.Minute
	// natsMessages is the number of messages in each stream beforehand.
	natsMessages = 100
)

// natsGroup is what a server says about the servers that JetStream counts.
type natsGroup struct {
	Streams int `json:"streams"`
	Meta    *struct {
		Leader   string `json:"leader"`
		Size     int    `json:"cluster_size"`
		Replicas []struct {
			Name string `json:"name"`
		} `json:"replicas"`
	} `json:"meta_cluster"`
}

// natsMonitor asks the server at an address about JetStream.
func natsMonitor(ctx context.Context, address string) (natsGroup, error) {
	var group natsGroup
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(address, "8222")+"/jsz", http.NoBody)
	if err != nil {
		return group, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return group, err
	}
	defer func() { _ = answer.Body.Close() }() // It has been read by then.
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return group, err
	}
	err = json.Unmarshal(text, &group)
	return group, err
}

// expectNATSServers waits until each of these servers counts these, and no others.
func (w *world) expectNATSServers(ctx context.Context, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		Eventually(ctx, func(g Gomega) {
			var pod corev1.Pod
			g.Expect(cluster.Get(ctx, w.key(name), &pod)).To(Succeed())
			group, err := natsMonitor(ctx, pod.Status.PodIP)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(group.Meta).NotTo(BeNil())
			got := []string{name}
			for _, replica := range group.Meta.Replicas {
				got = append(got, replica.Name)
			}
			slices.Sort(got)
			g.Expect(slices.Compact(got)).To(Equal(names))
			g.Expect(group.Meta.Size).To(Equal(len(names)))
		}).Should(Succeed(), "the servers as %s counts them", name)
	}
}

// natsClient connects to any of the servers, as programs do: it learns of the others, and connects again for as long as it takes.
func (w *world) natsClient(ctx context.Context) jetstream.JetStream {
	GinkgoHelper()
	var servers []string
	for ordinal := range 5 {
		var pod corev1.Pod
		Expect(cluster.Get(ctx, w.key(fmt.Sprintf("nats-%d", ordinal)), &pod)).To(Succeed())
		servers = append(servers, "nats://"+net.JoinHostPort(pod.Status.PodIP, "4222"))
	}
	conn, err := nats.Connect(strings.Join(servers, ","), nats.UserInfo("application", "change-me-too"), nats.MaxReconnects(-1),
		nats.ReconnectWait(pollStep), nats.PingInterval(time.Second))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(2*time.Second))
	Expect(err).NotTo(HaveOccurred())
	return js
}

// natsLedger is what was acknowledged to publishers, and what was delivered to consumers, by message ID.
type natsLedger struct {
	mu                      sync.Mutex
	acknowledged, delivered map[string]int
}

// publisher publishes to these streams in turn. A message that is not acknowledged is sent again under its ID.
func (l *natsLedger) publisher(js jetstream.JetStream, streams []string) func(context.Context) error {
	n := 0
	return func(ctx context.Context) error {
		stream := streams[n%len(streams)]
		id := fmt.Sprintf("%s-late-%d", stream, n)
		if _, err := js.Publish(ctx, stream+".late", []byte(id), jetstream.WithMsgID(id), jetstream.WithRetryAttempts(0)); err != nil {
			return err
		}
		n++
		l.mu.Lock()
		defer l.mu.Unlock()
		l.acknowledged[id]++
		return nil
	}
}

// consume takes messages from a stream until the test ends, and acknowledges each.
func (l *natsLedger) consume(ctx context.Context, consumer jetstream.Consumer) {
	for ctx.Err() == nil {
		batch, err := consumer.Fetch(50, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(pollStep):
			}
			continue
		}
		for message := range batch.Messages() {
			// A message whose acknowledgment is lost comes once more.
			if err := message.DoubleAck(ctx); err == nil {
				l.mu.Lock()
				l.delivered[string(message.Data())]++
				l.mu.Unlock()
			}
		}
	}
}

// missing are the acknowledged messages that no consumer has had, and twice those that one has acknowledged more than once.
func (l *natsLedger) missing() (missing, twice []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.acknowledged {
		switch l.delivered[id] {
		case 0:
			missing = append(missing, id)
		case 1:
		default:
			twice = append(twice, id)
		}
	}
	return missing, twice
}

// natsContent counts the messages of a stream by what is in them.
func natsContent(ctx context.Context, js jetstream.JetStream, stream string) map[string]int {
	GinkgoHelper()
	s, err := js.Stream(ctx, stream)
	Expect(err).NotTo(HaveOccurred(), stream)
	got := map[string]int{}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		message, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		Expect(err).NotTo(HaveOccurred(), "message %d of %s", seq, stream)
		got[string(message.Data)]++
	}
	return got
}

var _ = Describe("NATS", Label("recipes", "slow"), func() {
	It("shrinks from five servers to three without losing a message, also of streams with one replica", SpecTimeout(natsTimeout), func(ctx SpecContext) {
		w.applySample(ctx, "nats", "nats")
		w.expectSample(ctx, 5)
		js := w.natsClient(ctx)

		By("creating streams, until both servers that leave have some with one replica")
		ledger := &natsLedger{acknowledged: map[string]int{}, delivered: map[string]int{}}
		homes := map[string][]string{}
		var streams, staying, leaving []string
		create := func(stream string, replicas int) string {
			var home string
			Eventually(ctx, func(g Gomega) {
				s, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{stream + ".>"}, Replicas: replicas})
				g.Expect(err).NotTo(HaveOccurred())
				home = s.CachedInfo().Cluster.Leader
			}).Should(Succeed(), "stream %s", stream)
			consumer, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 10 * time.Second})
			Expect(err).NotTo(HaveOccurred())
			streams = append(streams, stream)
			go ledger.consume(ctx, consumer)
			return home
		}
		for i := range 2 {
			stream := fmt.Sprintf("three%d", i)
			create(stream, 3)
			staying = append(staying, stream)
		}
		for i := 0; len(homes["nats-3"]) < 2 || len(homes["nats-4"]) < 2; i++ {
			Expect(i).To(BeNumerically("<", 40), "streams with one replica are on %v", homes)
			stream := fmt.Sprintf("one%d", i)
			home := create(stream, 1)
			homes[home] = append(homes[home], stream)
			if home == "nats-3" || home == "nats-4" {
				leaving = append(leaving, stream)
			} else {
				staying = append(staying, stream)
			}
		}
		// Not sooner: JetStream places a stream where there is the most room.
		for _, stream := range streams {
			for i := range natsMessages {
				id := fmt.Sprintf("%s-early-%d", stream, i)
				_, err := js.Publish(ctx, stream+".early", []byte(id), jetstream.WithMsgID(id))
				Expect(err).NotTo(HaveOccurred(), id)
				ledger.mu.Lock()
				ledger.acknowledged[id]++
				ledger.mu.Unlock()
			}
		}
		steady := visit(ctx, ledger.publisher(w.natsClient(ctx), staying))
		moving := visit(ctx, ledger.publisher(w.natsClient(ctx), leaving))

		w.scale(ctx, 3)
		By("killing the first drain while its server serves")
		Eventually(ctx, func(g Gomega) {
			pods := w.drainPodsOf(4)
			g.Expect(pods).To(HaveLen(1))
			group, err := natsMonitor(ctx, pods[0].Status.PodIP)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(group.Streams).To(BeNumerically(">", 0))
		}).Should(Succeed(), "the drain of nats-4 must serve its streams")
		kill := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "exec", w.drainPodsOf(4)[0].Name, "--", "sh", "-c", "kill -KILL -1")
		output, err := kill.CombinedOutput()
		// The container may have ended before kubectl hears what became of the command.
		Expect(kill.ProcessState.ExitCode()).To(BeElementOf(0, 128+int(syscall.SIGKILL)), "%v: %s", err, output)
		for _, ordinal := range []int32{4, 3} {
			w.kubectl(ctx, "wait", fmt.Sprintf("pvc/data-nats-%d", ordinal), "--for=delete", "--timeout=4m")
			entry := w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
			Expect(entry.Message).To(MatchRegexp(`^(moved \d+ streams, \d+ consumers and \d+ messages; removed nats-%d|nats-%d has no streams and is not counted), \d servers remain$`,
				ordinal, ordinal))
		}
		Expect(w.drainPodsOf(4)).To(HaveLen(2), "the drain of ordinal 4 must have been killed and started again")
		w.expectNATSServers(ctx, "nats-0", "nats-1", "nats-2")
		steady.leave("publisher to streams with three replicas, and to those with one that stay")
		moving.leave("publisher to streams with one replica on nats-3 and nats-4")

		By("counting the messages")
		Eventually(ctx, func() []string {
			missing, _ := ledger.missing()
			return missing
		}).Should(BeEmpty(), "messages that were acknowledged, and no consumer has had")
		_, twice := ledger.missing()
		content := map[string]int{}
		for _, stream := range streams {
			for text, n := range natsContent(ctx, js, stream) {
				content[text] += n
			}
		}
		ledger.mu.Lock()
		defer ledger.mu.Unlock()
		var wrong []string
		for id := range ledger.acknowledged {
			if content[id] != 1 {
				wrong = append(wrong, fmt.Sprintf("%s: %d times", id, content[id]))
			}
		}
		Expect(wrong).To(BeEmpty(), "messages that were acknowledged, and are not in their stream once")
		seen("%d messages in %d streams, %d of them with one replica on a server that left; %d before and %d acknowledged meanwhile, each in its stream once; "+
			"%d were delivered more than once", len(ledger.acknowledged), len(streams), len(leaving), natsMessages*len(streams),
			len(ledger.acknowledged)-natsMessages*len(streams), len(twice))
	})
})
