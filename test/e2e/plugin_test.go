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
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// drainpolicy runs the plugin as kubectl does, and returns all that it writes and its exit code.
func (w *world) drainpolicy(ctx context.Context, args ...string) (output string, code int) {
	GinkgoHelper()
	bin, err := filepath.Abs(filepath.Join(top, "bin"))
	Expect(err).NotTo(HaveOccurred())
	command := exec.CommandContext(ctx, "kubectl", append([]string{"drainpolicy", "--namespace=" + w.namespace}, args...)...)
	command.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	var both bytes.Buffer
	command.Stdout, command.Stderr = &both, &both
	var exit *exec.ExitError
	if err := command.Run(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		Expect(err).NotTo(HaveOccurred(), "`make plugin` builds it")
	}
	seen("$ kubectl drainpolicy %s\n%s(exit code %d)", strings.Join(args, " "), &both, code)
	return both.String(), code
}

var _ = Describe("The kubectl plugin", func() {
	It("answers the five questions during a drain", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.startStore(ctx, statefulSet(3, withOrderedPods()), drainPolicy(held()))
		records := w.fillAll(ctx, 3, 6)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)

		By("is it safe to scale down now?")
		output, code := w.drainpolicy(ctx, "check", storeName)
		Expect(code).To(BeZero())
		Expect(output).To(And(ContainSubstring("from 3 to 2 replicas"), ContainSubstring("2 of the 2 replicas that remain are ready"),
			ContainSubstring("the API server accepts the drain's Job and pod"), ContainSubstring("a pod of this namespace runs it"), ContainSubstring("Safe")))
		w.drainpolicy(ctx, "init", "sts/"+storeName)

		By("what is it waiting for, and how far is it?")
		w.hold(ctx)
		watch, stop := context.WithCancel(ctx)
		defer stop()
		lines := make(chan string, 1)
		go func() {
			defer GinkgoRecover()
			// The context ends it, so its exit code says nothing.
			command := exec.CommandContext(watch, filepath.Join(top, "bin", "kubectl-drainpolicy"), "status", "-w", "--namespace="+w.namespace)
			text, _ := command.Output()
			lines <- string(text)
		}()
		w.scale(ctx, 2)
		w.expectHalfWay(ctx, 2, 6, 0, 1)
		w.expectDrain(ctx, 2, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
		output, code = w.drainpolicy(ctx, "status", storeName)
		Expect(code).To(BeZero())
		Expect(output).To(And(MatchRegexp(`ordinal 2 +Draining +JobRunning`), ContainSubstring("├─ lock datastore-2"), ContainSubstring("├─ pod datastore-2-"),
			ContainSubstring("└─ claim data-datastore-2"), ContainSubstring("16Mi")))
		output, code = w.drainpolicy(ctx, "status", storeName, "-o", "json")
		Expect(code).To(BeZero())
		var status struct{ Ordinals []struct{ Reason string } }
		Expect(json.Unmarshal([]byte(output), &status)).To(Succeed())
		Expect(status.Ordinals).To(HaveLen(1))
		w.drainpolicy(ctx, "logs", storeName, "2")
		output, code = w.drainpolicy(ctx, "wait", storeName, "--timeout=2s")
		Expect(code).To(Equal(4))
		Expect(output).To(ContainSubstring("JobRunning"))

		By("can I undo it?")
		output, code = w.drainpolicy(ctx, "undo", storeName, "2", "--dry-run")
		Expect(code).To(BeZero())
		Expect(output).To(ContainSubstring("the running drain finishes first"))
		output, code = w.drainpolicy(ctx, "undo", storeName, "2", "--now")
		Expect(code).To(BeZero())
		Expect(output).To(ContainSubstring("statefulset/datastore scaled from 2 to 3"))
		// A record that is on its way when the drain is told to end would be on both sides.
		w.expectNoLocks(ctx)
		w.release(ctx)
		w.expectReplicas(ctx, 3)
		w.expectRecords(ctx, records, 0, 1, 2)

		By("waiting for another scale-down right after it was asked for, and what became of it")
		w.scale(ctx, 2)
		output, code = w.drainpolicy(ctx, "wait", storeName, "--timeout="+time.Minute.String())
		Expect(code).To(BeZero())
		Expect(output).To(ContainSubstring("drainpolicy/datastore drained"))
		w.expectDrain(ctx, 2, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectRecords(ctx, records, 0, 1)
		output, code = w.drainpolicy(ctx, "orphans")
		Expect(code).To(BeZero())
		Expect(output).To(And(ContainSubstring("data-datastore-2"), ContainSubstring("Drained"), ContainSubstring("1 claims, 16Mi")))
		stop()
		var watched string
		Eventually(ctx, lines).Should(Receive(&watched))
		Expect(watched).To(And(ContainSubstring("ordinal 2 Draining JobRunning (attempt 1)"), ContainSubstring("ordinal 2 Drained ClaimsKept")))
		seen("status -w, meanwhile:\n%s", watched)

		By("canceling a drain keeps its claims, and lets it start again")
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
		output, code = w.drainpolicy(ctx, "cancel", storeName, "1")
		Expect(code).To(BeZero(), output)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainRetained, drainv1alpha1.ReasonSkipped)
		w.release(ctx)
		_, code = w.drainpolicy(ctx, "unskip", storeName, "1")
		Expect(code).To(BeZero())
		_, code = w.drainpolicy(ctx, "wait", storeName, "--timeout="+time.Minute.String())
		Expect(code).To(BeZero())
		w.expectRecords(ctx, records, 0)

		By("reporting a bug")
		file := filepath.Join(GinkgoT().TempDir(), "report.zip")
		_, code = w.drainpolicy(ctx, "report", storeName, "--file="+file)
		Expect(code).To(BeZero())
		Expect(file).To(BeARegularFile())
	})
})
