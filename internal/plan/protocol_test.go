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

package plan

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// phases are all parts of the protocol, and what failures call them.
var phases = []struct {
	phase
	name string
}{{unlocked, "unlocked"}, {underway, "underway"}, {locked, "locked"},
	{abandoned, "abandoned"}, {policy, "policy"}, {history, "history"}}

// rulesIn returns the rules of a phase, in their order.
func rulesIn(protocol Protocol, in phase) []rule {
	return slices.DeleteFunc(slices.Clone(protocol), func(r rule) bool { return r.in&in == 0 })
}

// holdsAlways reports whether a rule's condition is the one that always holds.
func holdsAlways(r *rule) bool {
	return reflect.ValueOf(r.when).Pointer() == reflect.ValueOf(always).Pointer()
}

// silent are the rules that give an ordinal no entry, although they are about one and release nothing.
var silent = []string{"no-claims"}

// TestTheProtocolIsTotal holds that some rule applies to everything, that each rule can be reached, and that each says
// what it must.
func TestTheProtocolIsTotal(t *testing.T) {
	for _, problem := range problemsOf(Rules()) {
		t.Error(problem)
	}
}

// TestAProtocolThatIsNotTotalIsReported shows that each part of the check can fail.
func TestAProtocolThatIsNotTotalIsReported(t *testing.T) {
	change := func(id string, with func(*rule)) Protocol {
		changed := Rules()
		with(&changed[slices.Index(changed.Names(), id)])
		return changed
	}
	for name, tc := range map[string]struct {
		protocol Protocol
		want     string
	}{
		"a phase without its last rule": {Rules().Without("start"),
			"phase locked does not end in a rule that always applies"},
		"a rule after the one that always applies": {append(Rules(),
			rule{id: "late", in: underway, given: "x", when: strayJob}),
			"phase underway does not end in a rule that always applies"},
		"a rule that always applies before the end of its phase": {change("cancel", func(r *rule) { r.when = always }),
			"no rule of phase underway after cancel can apply"},
		"two rules of one name": {change("cancel", func(r *rule) { r.id = "ungate" }), "two rules are named ungate"},
		"a name that is no word": {change("cancel", func(r *rule) { r.id = "Cancel it" }),
			`the name "Cancel it" is not of lower-case words`},
		"a rule without words": {change("cancel", func(r *rule) { r.given = "" }),
			"rule cancel lacks its condition, in words or as code"},
		"a rule without a phase": {change("cancel", func(r *rule) { r.in = 0 }), "rule cancel is in no phase"},
		"a rule without a state": {change("cancel", func(r *rule) { r.state = "" }), "rule cancel has no state"},
		"a rule with two reasons": {change("cancel", func(r *rule) { r.tell = progress }),
			"rule cancel must have either reason and say, or tell"},
		"a rule without a reason": {change("cancel", func(r *rule) { r.reason = "" }),
			"rule cancel must have either reason and say, or tell"},
		"a release that has a step of its own": {change("claims-gone", func(r *rule) { r.then = deleteJob }),
			"rule claims-gone releases, and has a step of its own"},
		"a rule that upholds what doc.go does not name": {change("mark", func(r *rule) { r.upholds = "9" }),
			`rule mark upholds "9", which is no invariant of doc.go`},
		"a rule that takes a step and looks again later": {change("mark", func(r *rule) { r.again = soon }),
			"rule mark takes a step, and looks again later"},
	} {
		t.Run(name, func(t *testing.T) {
			if problems := problemsOf(tc.protocol); !slices.Contains(problems, tc.want) {
				t.Errorf("the problems are %q, want %q among them", problems, tc.want)
			}
		})
	}
}

var (
	ruleName = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	upheld   = regexp.MustCompile(`^(I[1-8](, I[1-8])*)?$`)
)

func problemsOf(protocol Protocol) []string {
	var problems []string
	report := func(broken bool, format string, args ...any) {
		if broken {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	for _, p := range phases {
		rules := rulesIn(protocol, p.phase)
		report(!holdsAlways(&rules[len(rules)-1]), "phase %s does not end in a rule that always applies", p.name)
		for i := range rules[:len(rules)-1] {
			report(holdsAlways(&rules[i]), "no rule of phase %s after %s can apply", p.name, rules[i].id)
		}
	}
	seen := map[string]bool{}
	for i := range protocol {
		r := &protocol[i]
		report(seen[r.id], "two rules are named %s", r.id)
		seen[r.id] = true
		report(!ruleName.MatchString(r.id), "the name %q is not of lower-case words", r.id)
		report(r.given == "" || r.when == nil, "rule %s lacks its condition, in words or as code", r.id)
		report(r.in == 0, "rule %s is in no phase", r.id)
		report(!upheld.MatchString(r.upholds), "rule %s upholds %q, which is no invariant of doc.go", r.id, r.upholds)
		ordinals := r.in&anywhere != 0
		report(ordinals && r.state == "" && !r.releases && !slices.Contains(silent, r.id), "rule %s has no state", r.id)
		told, said := r.tell != nil, r.reason != "" && r.say != nil
		report(r.state != "" && (told == said || told && (r.reason != "" || r.say != nil)),
			"rule %s must have either reason and say, or tell", r.id)
		report(r.releases && r.then != nil, "rule %s releases, and has a step of its own", r.id)
		report(r.then != nil && r.again != nil, "rule %s takes a step, and looks again later", r.id)
	}
	return problems
}

// found is the evidence of one ordinal, or of the policy as a whole, somewhere in the corpus.
type found struct {
	*evidence
	in phase
}

// capturing returns the protocol with rules before it that note the evidence and never apply.
func capturing(note func(found)) Protocol {
	var capture Protocol
	for _, p := range phases {
		capture = append(capture, rule{in: p.phase, when: func(e *evidence) bool {
			note(found{e, p.phase})
			return false
		}})
	}
	return append(capture, Rules()...)
}

// worldsOfTheCorpus is the number of random worlds in it.
const worldsOfTheCorpus = 3000

// corpus returns the evidence of random worlds, of the stories, and of the tables of decisions.
func corpus(t *testing.T) []found {
	t.Helper()
	var all []found
	note := capturing(func(f found) { all = append(all, f) })
	see := func(m momentary) {
		if m.lock != nil {
			note.Abandoned(m.lock, m.owner, m.Snapshot, m.now)
			return
		}
		note.Make(m.Snapshot, m.now)
		for i := range m.Pods {
			if lock := &m.Pods[i]; IsLock(lock, m.Policy.UID) {
				note.Abandoned(lock, m.Policy.UID, m.Snapshot, m.now)
			}
		}
	}
	for seed := range uint64(worldsOfTheCorpus) {
		see(momentary{Snapshot: randomWorld(rand.New(rand.NewPCG(seed, 1))).snapshot(), now: now})
	}
	for _, tale := range tales {
		for _, look := range tale.play().looks {
			see(look)
		}
	}
	decidedOn = nil
	for name, table := range map[string]func(*testing.T){
		"without lock": TestDecideWithoutLock, "minOrphanedSeconds": TestDecideWaitsForMinOrphanedSeconds,
		"StatefulSet gone": TestDecideAboutAStatefulSetThatIsGone,
		"strays":           TestDecideAboutStrays, "lock without Job": TestDecideUnderALockWithoutJob,
		"running Job": TestDecideAboutARunningJob,
		"failed Job":  TestDecideAboutAFailedJob, "complete Job": TestDecideAboutACompleteJob,
		"late report": TestDecideAboutALateReport, "attempts": TestAttemptsOutliveTheirJobs, "proof": TestWhatASuccessMustProve,
		"endless Jobs":    TestJobsThatWouldNeverEndAreStopped,
		"another version": TestDecideAboutWhatAnotherVersionWrote,
	} {
		t.Run(name, table)
	}
	for _, snapshot := range decidedOn {
		see(momentary{Snapshot: snapshot, now: now})
	}
	for _, build := range rareWorlds {
		see(momentary{Snapshot: given(build).snapshot(), now: now})
	}
	return all
}

// Parts of rare worlds.

func withoutGate(pod *corev1.Pod) { pod.Spec.SchedulingGates = nil }

func ofAnother(pod *corev1.Pod) { pod.OwnerReferences[0].UID = "another" }

func withoutRole(pod *corev1.Pod) { delete(pod.Labels, drainv1alpha1.RoleLabel) }

func unheldPolicy(w *world) { w.Policy.Finalizers = nil }

func suspendedJob(job *batchv1.Job) { job.Spec.Suspend = ptr.To(true) }

func ownerlessPod(pod *corev1.Pod) { pod.OwnerReferences = nil }

// lockRefusedJustNow makes the status say that the lock of ordinal 2 was refused.
func lockRefusedJustNow(w *world) {
	w.Policy.Status.Drains = []drainv1alpha1.DrainStatus{{
		Ordinal: ptr.To[int32](2), State: drainv1alpha1.DrainBlocked,
		Reason: drainv1alpha1.ReasonLockRefused, Message: "no gate",
		LastTransitionTime: ptr.To(metav1.NewTime(now)),
	}}
}

// drainedForDeletion makes an ordinal whose claims are drained and are to be deleted.
func drainedForDeletion(w *world) {
	deleteClaims(w)
	w.claim("data", 2, markedUnder(2))
	w.lock(2)
}

// rareWorlds are worlds in which two rules that follow each other apply at once, or a rule applies that chance seldom
// finds.
var rareWorlds = []func(*world){
	// More finished Jobs than are kept.
	func(w *world) {
		for i := range keptJobs + 2 {
			w.job(2, 1, complete, named(fmt.Sprintf("old-%d", i)))
		}
	},
	// keep-policy, drained-job-going
	all(unheldPolicy, drainedForDeletion, func(w *world) { w.job(2, 1, complete, jobTerminating) }),
	// job-going, void-beside-stray
	func(w *world) {
		w.claim("data", 2, markedAt(4))
		w.job(2, 1, named("stray"), jobTerminating)
		w.pod("debug", "data-web-2")
	},
	// free-claim-of-job, free-claim-of-pod
	func(w *world) {
		w.claim("data", 2, claimTerminating)
		w.drainPod(2, ended(0, ""), ownerlessPod)
		w.job(2, 1, complete)
	},
	// free-claim-of-pod, discard-lock
	func(w *world) {
		w.claim("data", 2, claimTerminating)
		w.lock(2, withoutGate)
		w.drainPod(2, ended(0, ""), ownerlessPod)
	},
	// free-claim-of-pod, stop-for-policy
	all(deleted, func(w *world) {
		w.claim("data", 2, claimTerminating)
		w.lock(2)
		w.job(2, 1)
		w.drainPod(2, ended(0, ""), ownerlessPod)
	}),
	// discard-lock, claims-gone
	func(w *world) { w.lock(2, withoutGate) },
	// discard-lock, back-in-range
	func(w *world) { w.claim("data", 1); w.lock(1, withoutRole) },
	// cancel, stop-suspended
	all(cancel, scaledUp, func(w *world) {
		w.claim("data", 2)
		w.lock(2)
		w.job(2, 1, suspendedJob)
		w.drainPod(2, ended(1, ""))
	}),
	// stop-suspended, stop-without-claim
	all(scaledUp, func(w *world) {
		w.claim("data", 2, claimTerminating)
		w.lock(2)
		w.job(2, 1, suspendedJob)
		w.drainPod(2, ended(1, ""))
	}),
	// mark, free-undrained-claim
	func(w *world) {
		w.templates("data", "logs")
		w.claim("data", 2, claimTerminating)
		w.claim("logs", 2)
		w.lock(2)
		w.through(2, 1)
	},
	// free-undrained-claim, note-deletion
	all(deleteClaims, func(w *world) {
		w.templates("data", "logs")
		w.claim("data", 2, markedUnder(2))
		w.claim("logs", 2, bornAfterTheLock, claimTerminating)
		w.lock(2)
		w.through(2, 1)
	}),
	// outranked, void-kept
	all(rival, func(w *world) { w.claim("data", 2, markedAt(4)); w.pod("debug", "data-web-2") }),
	// outranked, skipped
	all(rival, func(w *world) { w.claim("data", 2, skip); w.lock(2) }),
	// never-bound, ambiguous
	func(w *world) {
		w.templates("data", "data-x")
		w.Others = []claims.Identity{{Name: "x-web", Templates: []string{"data"}, MatchLabels: map[string]string{"app": "web"}}}
		w.claim("data-x", 2)
		w.claim("data", 2, withoutVolume)
	},
	// void-beside-stray, drained-job-going
	all(deleteClaims, func(w *world) {
		w.claim("data", 2, markedAt(4))
		w.job(2, 1, complete, jobTerminating)
		w.pod("debug", "data-web-2")
	}),
	// doubt-beside-stray, drained-job-going
	all(deleteClaims, func(w *world) {
		w.claim("data", 2, markedUnder(2), claimTerminating)
		w.lock(2)
		w.job(2, 1, complete, jobTerminating)
		w.drainPod(2, ended(0, ""))
		w.pod("debug", "data-web-2")
	}),
	// discard-lock, await-unread
	func(w *world) {
		w.claim("data", 2)
		w.lock(2, notedByAnother, bornJustNow, func(pod *corev1.Pod) { pod.Finalizers = nil })
	},
	// await-unread, release-unread
	func(w *world) { w.claim("data", 2); w.lock(2, notedByAnother, bornJustNow) },
	// mark-awaits-unused, mark-awaits-report
	func(w *world) {
		w.templates("data", "logs")
		w.claim("data", 2, unusedSince(corev1.ConditionTrue, metav1.NewTime(noon.Add(-time.Second))))
		w.claim("logs", 2, unusedSince(corev1.ConditionFalse, noon))
		w.lock(2)
		w.through(2, 1)
		w.Jobs[0].Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-time.Second))
	},
	// give-up-mark, note-unused
	all(scaledUp, deleteClaims, func(w *world) {
		w.claim("data", 2, unusedSince(corev1.ConditionFalse, noon))
		w.lock(2)
		w.through(2, 1)
		w.Jobs[0].Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-lookFirst))
	}),
	// claim-in-use, await-lock
	all(lockRefusedJustNow, func(w *world) { w.claim("data", 2); w.pod("debug", "data-web-2") }),
	// await-lock, wait-for-slot
	all(lockRefusedJustNow, func(w *world) { w.claim("data", 2); w.claim("data", 3) }),
	// wait-for-slot, hold-policy-kept
	all(unheldPolicy, deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)); w.claim("data", 3) }),
	// hold-policy-kept, hold-policy
	all(unheldPolicy, deleteClaims, func(w *world) { w.claim("data", 2, markedAt(4)) }),
	// void-used, keep-policy
	all(unheldPolicy, deleteClaims, func(w *world) {
		w.claim("data", 2, markedUnder(2))
		w.lock(2)
		w.job(2, 1)
		w.pod("debug", "data-web-2")
	}),
	// doubt-used, keep-policy
	all(unheldPolicy, func(w *world) {
		w.claim("data", 2)
		w.lock(2)
		w.through(2, 1)
		w.pod("debug", "data-web-2")
	}),
	// free-claim-of-pod, stop-rerun
	all(deleteClaims, func(w *world) {
		w.templates("data", "logs")
		w.claim("data", 2, markedUnder(2))
		w.claim("logs", 2, claimTerminating)
		w.lock(2)
		w.job(2, 1)
		w.drainPod(2, ended(0, ""), ownerlessPod)
	}),
	// controller-behind, lock-of-another
	all(notObserved, func(w *world) { w.claim("data", 2); w.lock(2, ofAnother) }),
	// wait-for-slot, hold-policy
	all(unheldPolicy, func(w *world) { w.claim("data", 2); w.claim("data", 3) }),
	// start-awaits-user, job-vanished
	func(w *world) {
		w.claim("data", 2)
		w.lock(2, attempted(Attempt{Number: 1, Asked: metav1.NewTime(now)}))
		w.pod("debug", "data-web-2")
	},
	// void-used, void-unread
	func(w *world) {
		w.templates("data", "logs")
		w.claim("data", 2, markedUnder(2))
		w.claim("logs", 2, markedByAnother)
		w.lock(2)
		w.job(2, 1)
		w.pod("debug", "data-web-2")
	},
	// doubt-used, void-unread
	func(w *world) {
		w.claim("data", 2, markedByAnother)
		w.lock(2)
		w.through(2, 1)
		w.pod("debug", "data-web-2")
	},
	// void-unread, keep-policy
	all(unheldPolicy, func(w *world) { w.claim("data", 2, markedByAnother); w.lock(2) }),
	// free-claim-of-pod, stop-unread
	func(w *world) {
		w.claim("data", 2, claimTerminating)
		w.lock(2, notedByAnother)
		w.job(2, 1)
		w.drainPod(2, ended(0, ""), ownerlessPod)
	},
	// stop-unread, stop-rerun
	func(w *world) {
		w.claim("data", 2, markedUnder(2))
		w.lock(2, notedByAnother)
		w.job(2, 1)
	},
	// discard-lock, release-unread
	func(w *world) { w.claim("data", 2); w.lock(2, withoutGate, notedByAnother) },
	// release-unread, claims-gone
	func(w *world) { w.lock(2, notedByAnother) },
	// abandoned-job, abandoned-pod
	func(w *world) {
		w.claim("data", 2)
		w.lock(2)
		w.drainPod(2, running, ownerlessPod)
		w.job(2, 1, ownerless)
	},
}

// freePairs are rules that follow each other in a phase and may change places, with the reason.
var freePairs = map[[2]string]string{
	{"stop-changed-pod", "note-late-job"}:     "note-changed-pod comes before both: a noted failure is not late",
	{"claims-gone", "mark-awaits-controller"}: "no claim awaits its mark when there is none",
	{"mark-awaits-controller", "give-up-mark"}: "the first needs an ordinal out of range and a policy that stays, " +
		"the second lacks one of the two",
	{"retry", "not-asked"}:          "beside a failure, failed-not-asked comes before both",
	{"hold-policy", "lock-kept"}:    "when the claims are kept, hold-policy-kept comes before both",
	{"no-claims", "policy-deleted"}: "neither says anything about an ordinal without claims and without a lock",
}

// TestTheOrderMatters holds that two rules that follow each other can't change places without changing a decision, but
// for the pairs that are declared free. It also holds that each rule applies somewhere.
func TestTheOrderMatters(t *testing.T) {
	all := corpus(t)
	matters, neighbours := pairs{}, pairs{}
	applied := map[string]bool{}
	for _, p := range phases {
		rules := rulesIn(Rules(), p.phase)
		for i := range rules[1:] {
			neighbours[[2]string{rules[i].id, rules[i+1].id}] = true
		}
		for _, f := range all {
			if f.in != p.phase {
				continue
			}
			first := slices.IndexFunc(rules, func(r rule) bool { return r.when(f.evidence) })
			applied[rules[first].id] = true
			if first+1 < len(rules) && swapMatters(&rules[first], &rules[first+1], f.evidence) {
				matters[[2]string{rules[first].id, rules[first+1].id}] = true
			}
		}
	}
	for _, r := range Rules() {
		if !applied[r.id] {
			t.Errorf("rule %s applies nowhere in the corpus", r.id)
		}
	}
	for _, problem := range problemsOfOrder(neighbours, matters, freePairs) {
		t.Error(problem)
	}
}

type pairs = map[[2]string]bool

func problemsOfOrder(neighbours, matters pairs, free map[[2]string]string) []string {
	var problems []string
	for pair := range neighbours {
		why, isFree := free[pair]
		switch {
		case !matters[pair] && !isFree:
			problems = append(problems,
				fmt.Sprintf("%s and %s can change places without changing a decision of the corpus; "+
					"show a world in which they can't, or declare them free", pair[0], pair[1]))
		case matters[pair] && isFree:
			problems = append(problems,
				fmt.Sprintf("%s and %s are declared free (%s), and their order changes a decision of the corpus",
					pair[0], pair[1], why))
		}
	}
	for pair, why := range free {
		if !neighbours[pair] {
			problems = append(problems,
				fmt.Sprintf("%s and %s are declared free, and do not follow each other in a phase", pair[0], pair[1]))
		}
		if why == "" {
			problems = append(problems, fmt.Sprintf("%s and %s are declared free without a reason", pair[0], pair[1]))
		}
	}
	return problems
}

// TestAnOrderThatDoesNotMatterIsReported shows that each part of the check can fail.
func TestAnOrderThatDoesNotMatterIsReported(t *testing.T) {
	ab, bc := [2]string{"a", "b"}, [2]string{"b", "c"}
	for name, tc := range map[string]struct {
		neighbours, matters pairs
		free                map[[2]string]string
		want                string
	}{
		"a pair that neither matters nor is free": {pairs{ab: true}, nil, nil, "can change places"},
		"a free pair that matters": {pairs{ab: true},
			pairs{ab: true}, map[[2]string]string{ab: "why"}, "changes a decision"},
		"a free pair whose rules do not follow each other": {pairs{ab: true},
			pairs{ab: true}, map[[2]string]string{bc: "why"}, "do not follow each other"},
		"a free pair without a reason": {pairs{ab: true}, nil, map[[2]string]string{ab: ""}, "without a reason"},
		"a pair that matters beside one that is free": {pairs{ab: true, bc: true},
			pairs{ab: true}, map[[2]string]string{bc: "why"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			problems := strings.Join(problemsOfOrder(tc.neighbours, tc.matters, tc.free), "; ")
			if !strings.Contains(problems, tc.want) || tc.want == "" && problems != "" {
				t.Errorf("the problems are %q, want %q", problems, tc.want)
			}
		})
	}
}

// swapMatters reports whether the decision is another one if the second rule stood before the first, which applies. A
// rule that can't be carried out there shows that it must not be reached.
func swapMatters(first, second *rule, e *evidence) (matters bool) {
	defer func() {
		if recover() != nil {
			matters = true
		}
	}()
	if !second.when(e) {
		return false
	}
	a, b := first.apply(e), second.apply(e)
	a.Rule, b.Rule = "", ""
	return !equality.Semantic.DeepEqual(a, b)
}
