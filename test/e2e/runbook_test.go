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
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// runbook has the commands of the runbook's pages by the headings above them, and knows which of them have run.
type runbook struct {
	commands map[string][]string
	ran      map[string]bool
}

var (
	// commandOf is a block of commands, or one command in a line of text.
	commandOf = regexp.MustCompile("(?s)```sh\n(.*?)```|`(kubectl [^`\n]+)`")
	headingOf = regexp.MustCompile(`(?m)^#+ (.+)$`)
	// elsewhere are commands of the pages that this test can't run, and why.
	elsewhere = map[string]string{
		"kubectl taint node NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute":                       "takes a node away: the faults run it",
		"kubectl --namespace drain-operator-system logs deployment/drain-operator-controller-manager --previous": "needs a manager that has crashed",
		"kubectl --namespace NAMESPACE label persistentvolumeclaim CLAIM KEY=VALUE":                              "needs a stranded claim",
	}
)

// readRunbook reads all pages of the runbook.
func readRunbook() *runbook {
	GinkgoHelper()
	pages, err := filepath.Glob(filepath.Join(top, "docs", "runbooks", "*.md"))
	Expect(err).NotTo(HaveOccurred())
	Expect(pages).NotTo(BeEmpty())
	b := &runbook{commands: map[string][]string{}, ran: map[string]bool{}}
	for _, page := range pages {
		content, err := os.ReadFile(page)
		Expect(err).NotTo(HaveOccurred())
		text := string(content)
		headings := headingOf.FindAllStringSubmatchIndex(text, -1)
		for i, heading := range headings {
			end := len(text)
			if i+1 < len(headings) {
				end = headings[i+1][0]
			}
			title := filepath.Base(page) + ": " + text[heading[2]:heading[3]]
			for _, found := range commandOf.FindAllStringSubmatch(text[heading[1]:end], -1) {
				command := found[1] + found[2]
				if _, ok := elsewhere[command]; !ok {
					b.commands[title] = append(b.commands[title], command)
				}
			}
		}
	}
	return b
}

// run runs the commands under a heading, or those of them that the words pick, as the page has them but for the names in capitals. It returns
// what they print.
func (b *runbook) run(ctx context.Context, title string, replace *strings.Replacer, picks ...string) string {
	GinkgoHelper()
	Expect(b.commands).To(HaveKey(title))
	var printed strings.Builder
	var filtered bool
	for _, command := range b.commands[title] {
		if len(picks) > 0 && !slices.ContainsFunc(picks, func(words string) bool { return strings.Contains(command, words) }) {
			continue
		}
		// A watch ends when the reader has seen enough. A log without a match is no failure.
		script := "set -euo pipefail\ngrep() { command grep \"$@\" || [ $? = 1 ]; }\n"
		typed := strings.TrimSpace(replace.Replace(command))
		if strings.Contains(command, "--watch") {
			script += "timeout --signal=INT 3 " + typed + " || [ $? = 124 ]"
		} else {
			script += typed
		}
		bin, err := filepath.Abs(filepath.Join(top, "bin"))
		Expect(err).NotTo(HaveOccurred())
		shell := exec.CommandContext(ctx, "bash", "-c", script)
		shell.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		output, err := shell.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s\n%s", script, output)
		seen("$ %s\n%s", typed, output)
		printed.Write(output)
		filtered = filtered || strings.Contains(command, "| grep")
		b.ran[title+"\n"+command] = true
	}
	// An operator that has just been started may have met no error yet.
	if !filtered {
		Expect(printed.String()).NotTo(BeEmpty(), "%s must print something", title)
	}
	return printed.String()
}

// missed are the commands that have not run.
func (b *runbook) missed() []string {
	var missed []string
	for title, commands := range b.commands {
		for _, command := range commands {
			if !b.ran[title+"\n"+command] {
				missed = append(missed, title+"\n"+command)
			}
		}
	}
	return missed
}

var _ = Describe("The runbook", func() {
	// Serial, because it stops the operator.
	It("has commands that say and do what it tells", Serial, SpecTimeout(2*specTimeout), func(ctx SpecContext) {
		const each = 6
		book := readRunbook()
		as := func(ordinal string) *strings.Replacer {
			return strings.NewReplacer("NAMESPACE", w.namespace, "POLICY", storeName, "ORDINAL", ordinal, "CLAIM", "data-"+storeName+"-"+ordinal)
		}
		w.startStore(ctx, statefulSet(4), drainPolicy(held(), whenDrained(drainv1alpha1.WhenDrainedDelete)))
		records := w.fillAll(ctx, 4, each)
		w.expectCondition(ctx, storeName, drainv1alpha1.ConditionReady, "True "+drainv1alpha1.ReasonAccepted)
		Expect(book.run(ctx, "README.md: Is it safe to scale down now?", as("3"))).To(And(ContainSubstring("Safe: nothing speaks against it."), ContainSubstring("True")))

		By("suspending the policy: nothing starts")
		const suspension = "README.md: No more drains of one policy"
		w.hold(ctx)
		book.run(ctx, suspension, as("3"), "--patch")
		w.scale(ctx, 3)
		w.expectDrain(ctx, 3, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonSuspended)
		Expect(book.run(ctx, "README.md: Can I undo it?", as("3"))).To(ContainSubstring("statefulset/datastore scaled from 3 to 4 (dry run)"))
		book.run(ctx, suspension, as("3"), "drainpolicy resume")

		By("suspending it during a drain: the drain goes on, to the deletion of its claim")
		w.expectHalfWay(ctx, 3, each, 0, 1, 2)
		w.expectDrain(ctx, 3, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
		Expect(book.run(ctx, "README.md: What is it waiting for?", as("3"))).To(And(
			ContainSubstring("lock datastore-3"), ContainSubstring("claim data-datastore-3"), MatchRegexp(`(?m)^datastore .*JobRunning`)))
		Expect(book.run(ctx, "README.md: How far is it?", as("3"))).To(And(ContainSubstring("ordinal 3 Draining JobRunning"), MatchRegexp(`(?m)^3\tDraining\t`)))
		Expect(book.run(ctx, "README.md: What went wrong?", as("3"))).To(ContainSubstring("msg=Moved"))
		Expect(book.run(ctx, "README.md: Can I undo it?", as("3"))).To(ContainSubstring("the running drain finishes first"))
		Expect(book.run(ctx, "README.md: Stalled", as("3"))).To(MatchRegexp(w.namespace + ` +datastore +Progressing`))
		for title := range maps.Keys(book.commands) {
			if !strings.HasPrefix(title, "README.md") && strings.HasSuffix(title, ": Diagnosis") {
				book.run(ctx, title, as("3"))
			}
		}
		book.run(ctx, suspension, as("3"), "drainpolicy suspend")
		w.release(ctx)
		w.expectNoClaim(ctx, claim("data", 3))
		w.expectRecords(ctx, records, 0, 1, 2)
		book.run(ctx, "DrainOrphanedDataOld.md: Mitigation", as("3"))
		Expect(w.policy(ctx, storeName).Spec.Suspend).To(HaveValue(BeFalse()))

		By("keeping claims from now on, during a drain")
		w.hold(ctx)
		w.scale(ctx, 2)
		// Not all of its records are of its own by now, so they are not counted.
		w.expectDrain(ctx, 2, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
		book.run(ctx, "README.md: No more deletion of claims", as("2"))
		w.release(ctx)
		w.expectDrain(ctx, 2, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectRecords(ctx, records, 0, 1)

		By("stopping the operator during a drain: the drain ends, and nothing is decided")
		const whole = "README.md: The whole operator"
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
		pods := operatorPods(ctx)
		book.run(ctx, whole, as("1"), "--replicas 0")
		expectGone(ctx, pods)
		w.release(ctx)
		Eventually(ctx, func(g Gomega) {
			var jobs batchv1.JobList
			g.Expect(cluster.List(ctx, &jobs, client.InNamespace(w.namespace))).To(Succeed())
			g.Expect(jobs.Items).To(ContainElement(HaveField("Status.Succeeded", BeEquivalentTo(1))))
		}).Should(Succeed(), "the drain must end without the operator")
		Expect(w.locks(ctx)).To(Equal([]string{replica(1)}), "locks stay")
		book.run(ctx, whole, as("1"), "--replicas 1")
		Eventually(ctx, operatorIsReady(ctx)).Should(Succeed(), "the operator must run again")
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectRecords(ctx, records, 0)

		By("stopping the drain of one ordinal")
		const one = "README.md: The drain of one ordinal, now"
		w.scale(ctx, 2)
		w.expectReplicas(ctx, 2)
		maps.Copy(records, w.fill(ctx, 1, each))
		book.run(ctx, "DrainScaleUpBlocked.md: Mitigation", as("1"))
		Expect(w.policy(ctx, storeName).Spec.WhenScaledUp).To(Equal(drainv1alpha1.WhenScaledUpCancel))
		w.hold(ctx)
		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDraining, drainv1alpha1.ReasonJobRunning)
		book.run(ctx, one, as("1"), "drainpolicy cancel")
		w.expectDrain(ctx, 1, drainv1alpha1.DrainRetained, drainv1alpha1.ReasonSkipped)
		w.expectNoLocks(ctx)
		w.release(ctx)
		book.run(ctx, one, as("1"), "drainpolicy unskip")
		w.expectDrain(ctx, 1, drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsKept)
		w.expectRecords(ctx, records, 0)

		Expect(book.missed()).To(BeEmpty(), "commands of the runbook that this test has not tried")
	})
})
