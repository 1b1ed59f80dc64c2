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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// shellBlock is a block of commands in a page.
var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// shellBlocks are the blocks of commands of a page, at least as many as are asked for.
func shellBlocks(page string, atLeast int) []string {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(top, page))
	Expect(err).NotTo(HaveOccurred())
	var blocks []string
	for _, found := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, found[1])
	}
	Expect(len(blocks)).To(BeNumerically(">=", atLeast), "blocks of commands in %s", page)
	return blocks
}

// runPage runs the blocks of commands of a page in the test's namespace, word for word but for the replacements, and returns what they print.
func (w *world) runPage(ctx context.Context, page string, blocks int, replace *strings.Replacer) string {
	GinkgoHelper()
	script := "set -euo pipefail\nkubectl() { command kubectl --namespace=" + w.namespace + " \"$@\"; }\n"
	for _, block := range shellBlocks(page, blocks)[:blocks] {
		script += replace.Replace(block)
	}
	By("running the commands of " + page)
	command := exec.CommandContext(ctx, "bash", "-c", script)
	command.Dir = top
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", script, output)
	return string(output)
}

var _ = Describe("The recipe notes", Label("recipes"), func() {
	It("moves the notes of an orphaned replica, with the commands of its README", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.set = "notes"
		printed := w.runPage(ctx, "config/samples/notes/README.md", 1, strings.NewReplacer("config/samples/notes\n", "config/samples/notes-local\n"))
		Expect(printed).To(And(ContainSubstring("buy milk"), ContainSubstring("2: moved 1 notes")), "what the page's reader sees")

		By("two notes of one name, which no drain may choose between")
		w.changePolicy(ctx, "notes", func(p *drainv1alpha1.DrainPolicy) {
			p.Spec.Job.BackoffLimit, p.Spec.Retry.InitialDelaySeconds = new(int32(0)), new(int32(5))
		})
		post := func(ordinal, note, text string) {
			w.kubectl(ctx, "exec", "notes-"+ordinal, "--", "busybox", "wget", "-q", "-O-", "--post-data", text, "http://localhost:8080/cgi-bin/note?"+note)
		}
		post("1", "tea", "green tea")
		post("1", "milk", "drink milk")
		w.scale(ctx, 1)
		w.expectDrain(ctx, 1, drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed)
		seen("%s", w.expectMessage(ctx, 1, "no replica took the note 'milk'"))
		Expect(w.kubectl(ctx, "exec", "notes-0", "--", "busybox", "cat", "/data/notes/milk")).To(Equal("buy milk"))

		By("the person renames the one at the replica that remains, and the next attempt moves the other")
		w.kubectl(ctx, "exec", "notes-0", "--", "busybox", "mv", "/data/notes/milk", "/data/notes/milk-of-notes-2")
		w.expectNoClaim(ctx, "data-notes-1")
		for note, want := range map[string]string{"milk-of-notes-2": "buy milk", "milk": "drink milk", "tea": "green tea"} {
			Expect(w.kubectl(ctx, "exec", "notes-0", "--", "busybox", "cat", "/data/notes/"+note)).To(Equal(want))
		}
		w.expectCondition(ctx, "notes", drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
	})
})
