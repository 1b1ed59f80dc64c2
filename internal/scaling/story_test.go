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

package scaling

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

var update = flag.Bool("update", false, "write the golden files of the stories")

// story is a world whose history is written down, one line a step.
type story struct {
	*world
	t    *testing.T
	text strings.Builder
}

func (s *story) say(format string, args ...any) {
	fmt.Fprintf(&s.text, "%s  "+format+"\n", append([]any{s.now.Sub(noon).Truncate(time.Second)}, args...)...)
}

// happens tells of something that is not the operator's doing, and does it.
func (s *story) happens(what string, do func()) {
	s.now = s.now.Add(time.Second)
	do()
	s.say("%s", what)
}

// operator lets the operator take steps until it waits, which it tells. The invariants of doc.go are asserted with each.
func (s *story) operator() {
	s.t.Helper()
	for range 20 {
		s.now = s.now.Add(time.Second)
		d := s.decide(table, false)
		if d.Look {
			d = s.decide(table, true)
		}
		if d.Next == nil {
			s.say("operator waits, %s: %s", d.Rule, d.Scaled.Message)
			return
		}
		s.say("operator, %s: %s: %s", d.Rule, StepName(d.Next), d.Scaled.Message)
		s.carryOut(d.Next)
	}
	s.t.Error("the operator never comes to rest")
}

// decided returns the step that the operator is about to take, for one that hangs.
func (s *story) decided() Step {
	d := s.decide(table, true)
	s.say("a manager decides %s, %s, and hangs", d.Rule, StepName(d.Next))
	return d.Next
}

// lands carries out a step that was decided before, as the API server would.
func (s *story) lands(step Step) {
	s.now = s.now.Add(time.Second)
	if lower, ok := step.(Lower); ok && lower.Target.ResourceVersion != s.set.ResourceVersion {
		s.say("%s lands: a conflict, because the StatefulSet has changed", StepName(step))
		return
	}
	s.say("%s lands", StepName(step))
	s.carryOut(step)
}

func (s *story) carryOut(step Step) {
	s.t.Helper()
	switch step := step.(type) {
	case Lower:
		if step.Target.ResourceVersion != s.set.ResourceVersion {
			s.t.Fatal("the StatefulSet is not as it was read")
		}
		if step.To() != *s.set.Spec.Replicas-1 {
			s.t.Errorf("S1 is broken: from %d to %d", *s.set.Spec.Replicas, step.To())
		}
		s.scaled(step.To())
		s.drains = append(s.drains, waiting(step.To()))
	case Raise:
		s.scaled(step.Replicas)
		s.set.Status.ObservedGeneration = s.set.Generation
		for ordinal := range step.Replicas {
			if s.pod(ordinal) == nil {
				s.startPod(ordinal)
			}
		}
		s.set.Status.ReadyReplicas = step.Replicas
	case StartJob:
		s.startJob(step.Leave)
	case NoteMember:
		if err := step.Note.Set(s.policy, step.Ordinal); err != nil {
			s.t.Fatal(err)
		}
	case ForgetMember:
		s.forget(step.Ordinal)
	case UngatePod:
		if notes, err := NotesOf(s.policy); err != nil || notes[number(step.Pod.Labels[drainv1alpha1.OrdinalLabel])].Job != number(step.Pod.Labels[drainv1alpha1.AttemptLabel]) {
			s.t.Errorf("S5 is broken: pod %s runs, and the policy remembers %v: %v", step.Pod.Name, notes, err)
		}
		s.run(s.jobs[strings.TrimSuffix(step.Pod.Name, "-pod")])
	case DeletePod:
		delete(s.pods, step.Pod.Name)
	case DeleteJob:
		s.deleteJob(s.jobs[step.Job.Name])
	}
}

// podGoes ends the pod of an ordinal that is out of range.
func (s *story) podGoes(ordinal int32) {
	s.happens(fmt.Sprintf("pod web-%d is gone", ordinal), func() {
		delete(s.pods, fmt.Sprintf("web-%d", ordinal))
		s.set.Status.ObservedGeneration, s.set.Status.ReadyReplicas = s.set.Generation, *s.set.Spec.Replicas
	})
}

// drainEnds ends the drain of an ordinal.
func (s *story) drainEnds(ordinal int32) {
	s.happens(fmt.Sprintf("ordinal %d is drained, and its claims are deleted", ordinal), func() { s.drains = nil })
}

func (s *story) wants(replicas int32) {
	s.happens(fmt.Sprintf("user: kubectl scale drainpolicy/web --replicas=%d", replicas), func() {
		s.policy.Spec.Replicas = &replicas
		s.policy.Generation++
	})
}

// member ends the Job of an ordinal.
func (s *story) member(ordinal int32, what string, kind batchv1.JobConditionType, receipt bool) {
	s.t.Helper()
	job := s.jobOf(ordinal)
	if job == nil {
		s.t.Fatalf("ordinal %d has no Job", ordinal)
	}
	s.happens(fmt.Sprintf("Job %s %s", job.Name, what), func() { s.end(job, kind, receipt) })
}

func (s *story) leaves(ordinal int32) {
	s.t.Helper()
	s.member(ordinal, "succeeds", batchv1.JobComplete, true)
}

// down lets the ordinal that was lowered end and be drained.
func (s *story) down(ordinal int32) {
	s.operator()
	s.podGoes(ordinal)
	s.operator()
	s.drainEnds(ordinal)
	s.operator()
}

var stories = []struct {
	file, shows string
	replicas    int32
	build       []func(*world)
	play        func(*story)
}{
	{"plain", "From 5 to 1 without leaving: one ordinal at a time, the next when the last is drained.", 5, nil, func(s *story) {
		s.wants(1)
		for ordinal := int32(4); ordinal > 0; ordinal-- {
			s.down(ordinal)
		}
	}},
	{"leave", "From 3 to 1: each member leaves while its pod lives, and only then are the replicas lowered.", 3, []func(*world){withLeave}, func(s *story) {
		s.wants(1)
		for ordinal := int32(2); ordinal > 0; ordinal-- {
			s.operator()
			s.leaves(ordinal)
			s.down(ordinal)
		}
	}},
	{"undo-while-leaving", "The user changes their mind while the member leaves: its Job is stopped, and it joins again.", 3, []func(*world){withLeave}, func(s *story) {
		s.wants(2)
		s.operator()
		s.wants(3)
		s.operator()
		s.leaves(2)
		s.operator()
		s.wants(2)
		s.operator()
	}},
	{"undo-after-leaving", "The user asks for more after the member has left: the replicas are raised first, so a lowering that hangs fails, and the member joins again.", 3, []func(*world){withLeave}, func(s *story) {
		s.wants(2)
		s.operator()
		s.leaves(2)
		late := s.decided()
		s.wants(4)
		s.operator()
		s.lands(late)
		s.leaves(2)
		s.operator()
	}},
	{"undo-with-late-lowering", "The user asks for as many as there are after the member has left, while a lowering hangs. Nothing orders the two: the lowering lands, " +
		"and is taken back at once. The member's pod is restarted, with its data.", 3, []func(*world){withLeave}, func(s *story) {
		s.wants(2)
		s.operator()
		s.leaves(2)
		late := s.decided()
		s.wants(3)
		s.operator()
		s.leaves(2)
		s.operator()
		s.lands(late)
		s.operator()
		s.happens("pod web-2 is gone, and made again with its claims", func() { s.drains = nil; s.startPod(2) })
		s.operator()
	}},
	{"undo-while-terminating", "The user changes their mind when the replicas are lowered and the pod ends: they are raised at once. The member had left, and its data is where it was, so it joins again.",
		3, []func(*world){withLeave}, func(s *story) {
			s.wants(2)
			s.operator()
			s.leaves(2)
			s.operator()
			s.wants(3)
			s.happens("pod web-2 is gone, and made again with its claims", func() { s.drains = nil; s.startPod(2) })
			s.operator()
			s.leaves(2)
			s.operator()
		}},
	{"dead-member", "The node of the highest ordinal is gone: after spec.leave.deadAfterSeconds, the replicas are lowered without leaving.", 3, []func(*world){withLeave, deadAfter(60)}, func(s *story) {
		s.wants(2)
		s.operator()
		s.happens("the node of pod web-2 is not heard of", func() { s.setReady(2, false); s.set.Status.ReadyReplicas = 2 })
		s.operator()
		s.happens("a minute passes", func() { s.now = s.now.Add(time.Minute) })
		s.down(2)
	}},
	{"leave-fails", "Leaving fails, then exits with 0 and without its receipt, and succeeds at the third attempt.", 2, []func(*world){withLeave}, func(s *story) {
		s.wants(1)
		s.operator()
		s.member(1, "fails", batchv1.JobFailed, false)
		s.operator()
		s.happens("the delay passes", func() { s.now = s.now.Add(30 * time.Second) })
		s.operator()
		s.member(1, "completes, and its pod left no receipt", batchv1.JobComplete, false)
		s.operator()
		s.happens("the delay passes", func() { s.now = s.now.Add(time.Minute) })
		s.operator()
		s.leaves(1)
		s.operator()
	}},
	{"leave-hangs", "The Job by which the member leaves never starts: the policy stalls, and an edit of the template replaces the Job.", 2, []func(*world){withLeave}, func(s *story) {
		s.wants(1)
		s.operator()
		s.happens("an hour passes, and the pod of the Job has not started", func() {
			s.pods[s.jobOf(1).Name+"-pod"].Status.ContainerStatuses = nil
			s.now = s.now.Add(time.Hour)
		})
		if d := s.decide(table, true); !d.Stalled {
			s.t.Error("nothing says that a person should look")
		}
		s.operator()
		s.happens("user: edits spec.leave.template", func() { editsLeave(s.world) })
		s.operator()
	}},
	{"pod-replaced", "The member has left, and its pod is replaced before the replicas are lowered: it leaves again.", 2, []func(*world){withLeave, unready(0)}, func(s *story) {
		s.wants(1)
		s.happens("pod web-0 is ready", func() { s.setReady(0, true) })
		s.operator()
		s.happens("pod web-0 is not ready", func() { s.setReady(0, false) })
		s.leaves(1)
		s.operator()
		s.happens("pod web-1 is replaced, and pod web-0 is ready", func() { s.startPod(1); s.setReady(0, true) })
		s.operator()
		s.leaves(1)
		s.operator()
	}},
	{"two-jobs", "A Job whose creation hung lands when the ordinal has a later one: it never runs, and is deleted.", 2, []func(*world){withLeave}, func(s *story) {
		s.wants(1)
		late := s.decided()
		s.operator()
		s.wants(2)
		s.operator()
		s.lands(late)
		s.operator()
	}},
	{"crash-at-every-step", "A manager crashes before and after every step. It remembers nothing, and goes on from what it finds.", 2, []func(*world){withLeave}, func(s *story) {
		s.wants(1)
		for range 3 {
			for range 2 { // The first one crashes before its write.
				if d := s.decide(table, true); d.Next != nil {
					s.say("a manager is about to: %s, %s", d.Rule, StepName(d.Next))
				}
			}
			if d := s.decide(table, true); d.Next != nil {
				s.carryOut(d.Next)
			}
		}
		s.leaves(1)
		s.operator()
		s.wants(2)
		s.happens("pod web-1 is gone, and made again with its claims", func() { s.drains = nil; s.startPod(1) })
		for range 5 {
			d := s.decide(table, true)
			s.say("a manager is about to: %s, %s", d.Rule, StepName(d.Next))
			if d.Next != nil {
				s.carryOut(d.Next)
			}
		}
	}},
	{"scaled-by-others", "Someone scales the StatefulSet itself: what is too much goes one by one, and what is too little comes back at once.", 2, nil, func(s *story) {
		s.happens("user: kubectl scale statefulset/web --replicas=4", func() {
			s.scaled(4)
			s.startPod(2)
			s.startPod(3)
			s.set.Status.ObservedGeneration, s.set.Status.ReadyReplicas = s.set.Generation, 4
		})
		s.down(3)
		s.podGoes(2)
		s.drainEnds(2)
		s.happens("user: kubectl scale statefulset/web --replicas=0", func() { s.scaled(0); s.drains = []plan.Drain{waiting(1), waiting(0)} })
		s.operator()
	}},
	{"scaled-away-while-leaving", "Someone scales the StatefulSet down, past the policy, while the member leaves, and its Job is stopped. The policy remembers the member. " +
		"When the ordinal is back, undrained, it joins again.", 3, []func(*world){withLeave}, func(s *story) {
		s.wants(2)
		s.operator()
		s.happens("user: kubectl scale statefulset/web --replicas=2", func() { s.scaled(2); s.drains = []plan.Drain{waiting(2)} })
		s.operator()
		s.wants(3)
		s.operator()
		s.happens("pod web-2 is gone, and made again with its claims", func() { s.drains = nil; s.startPod(2) })
		s.operator()
		s.leaves(2)
		s.operator()
	}},
	{"jobs-deleted", "Someone deletes each Job: that by which the member leaves when it has failed, and that by which it joins again while it runs. The policy remembers both, " +
		"so each is started again after its delay, and the member is not taken for back.", 3, []func(*world){withLeave}, func(s *story) {
		s.wants(2)
		s.operator()
		s.member(2, "fails", batchv1.JobFailed, false)
		s.happens("user: kubectl delete job "+s.jobOf(2).Name, func() { s.deleteJob(s.jobOf(2)) })
		s.operator()
		s.happens("the delay passes", func() { s.now = s.now.Add(30 * time.Second) })
		s.operator()
		s.wants(3)
		s.operator()
		s.happens("user: kubectl delete job "+s.jobOf(2).Name, func() { s.deleteJob(s.jobOf(2)) })
		s.operator()
		s.happens("the delay passes", func() { s.now = s.now.Add(30 * time.Second) })
		s.operator()
		s.leaves(2)
		s.operator()
	}},
	{"policy-deleted", "The policy is deleted while a member leaves: its Job is stopped, and nothing is lowered.", 2, []func(*world){withLeave}, func(s *story) {
		s.wants(1)
		s.operator()
		s.happens("user: kubectl delete drainpolicy web", func() {
			s.policy.DeletionTimestamp = &metav1.Time{Time: s.now}
			s.ready = plan.Condition{Status: metav1.ConditionFalse, Reason: drainv1alpha1.ReasonPolicyDeleted, Message: "The policy is being deleted"}
		})
		s.operator()
	}},
}

func TestStories(t *testing.T) {
	var files []string
	for _, tale := range stories {
		t.Run(tale.file, func(t *testing.T) {
			s := &story{world: given(tale.replicas, tale.replicas, tale.build...), t: t}
			tale.play(s)
			golden, got := filepath.Join("testdata", tale.file+".txt"), tale.shows+"\n\n"+s.text.String()
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("the story is not the one in %s; to accept it, run go test ./internal/scaling -run TestStories -update (-want +got):\n%s", golden, diff)
			}
		})
		files = append(files, tale.file+".txt")
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(files) {
		t.Errorf("testdata has %d files for %d stories", len(entries), len(files))
	}
}
