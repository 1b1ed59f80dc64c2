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
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// applySample applies a folder of config/samples just as it is. From then on the test is about the StatefulSet of that name, whose policy
// bears the same name.
func (w *world) applySample(ctx context.Context, folder, set string) {
	GinkgoHelper()
	w.set = set
	By("kubectl apply -k config/samples/" + folder)
	w.kubectl(ctx, "apply", "-k", filepath.Join(top, "config", "samples", folder))
}

// expectSample waits until so many replicas of a sample are ready and its policy is accepted.
func (w *world) expectSample(ctx context.Context, replicas int32) {
	GinkgoHelper()
	w.expectReplicas(ctx, replicas)
	w.expectCondition(ctx, w.set, drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)
}

// kubectl runs a command line in the test's namespace, on the suite's cluster, and gives what it printed.
func (w *world) kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "kubectl", append([]string{"--namespace=" + w.namespace}, args...)...)
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "kubectl %q: %s", args, output)
	return string(output)
}

// expectEnd waits for the end of an ordinal's drain, and tells the reader of the run how long it took and what it said.
func (w *world) expectEnd(ctx context.Context, ordinal int32, reason string) drainv1alpha1.DrainStatus {
	GinkgoHelper()
	entry := w.expectDrain(ctx, ordinal, drainv1alpha1.DrainDrained, reason)
	Expect(entry.StartTime).NotTo(BeNil())
	Expect(entry.CompletionTime).NotTo(BeNil())
	seen("ordinal %d: the drain took %.0f s and ended %.0f s after the scale-down: %s", ordinal,
		entry.CompletionTime.Sub(entry.StartTime.Time).Seconds(), entry.CompletionTime.Sub(w.scaled).Seconds(), entry.Message)
	return entry
}

// visitorTimeout is how long a visitor waits for an answer.
const visitorTimeout = 5 * time.Second

// visitor is a client that asks all along, one question after the other, and notes what it saw.
type visitor struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	questions, failed int
	stall             time.Duration
	firstError        error
}

// visit asks until the visitor is sent away. The stall is the longest time between two good answers.
func visit(ctx context.Context, ask func(context.Context) error) *visitor {
	ctx, cancel := context.WithCancel(ctx)
	v := &visitor{cancel: cancel}
	DeferCleanup(cancel)
	v.done.Go(func() {
		ticker := time.NewTicker(pollStep / 2)
		defer ticker.Stop()
		last := time.Now()
		for {
			bounded, giveUp := context.WithTimeout(ctx, visitorTimeout)
			err := ask(bounded)
			giveUp()
			if ctx.Err() != nil {
				// The test does not wait for this answer any more, and it may be no more than that.
				v.stall = max(v.stall, time.Since(last))
				return
			}
			v.questions++
			if err != nil {
				v.failed++
				if v.firstError == nil {
					v.firstError = err
				}
			} else {
				v.stall, last = max(v.stall, time.Since(last)), time.Now()
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	return v
}

// leave ends the visit and tells the reader of the run what the visitor saw.
func (v *visitor) leave(what string) {
	GinkgoHelper()
	v.cancel()
	v.done.Wait()
	Expect(v.questions-v.failed).To(BeNumerically(">", 0), "good answers; the first error: %v", v.firstError)
	text := fmt.Sprintf("%s: %d requests, %d errors, longest stall %.1f s", what, v.questions, v.failed, v.stall.Seconds())
	if v.firstError != nil {
		text += fmt.Sprintf("; the first error: %v", v.firstError)
	}
	seen("%s", text)
}
