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
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/proof"
)

// decided is a step that the operator decided on, and what it needs to carry it out.
type decided struct {
	Drain
	policy *drainv1alpha1.DrainPolicy
	// template is the hash of the template at the time.
	template string
	// by is who decided, and of says what the step is about if that isn't an ordinal.
	by, of string
}

// decide looks, live, and returns the first decision with a step, or those without one.
func (s *story) decide() (next *decided, waits []Drain) {
	for _, pod := range s.pods {
		owner, ok := Holder(pod)
		if !ok ||
			slices.ContainsFunc(s.policies, func(policy *drainv1alpha1.DrainPolicy) bool { return policy.UID == owner.UID }) {
			continue
		}
		gone := s.own(owner.UID)
		s.looks = append(s.looks, momentary{Snapshot: gone, now: s.now, lock: pod.DeepCopy(), owner: owner.UID})
		decision := s.protocol.Abandoned(pod.DeepCopy(), owner.UID, gone, s.now)
		if decision.Next != nil {
			return &decided{Drain: decision}, nil
		}
		waits = append(waits, decision)
	}
	for _, policy := range s.policies {
		look := s.look(policy)
		plan := s.protocol.Make(look, s.now)
		for _, drain := range plan.Drains {
			if drain.Next != nil {
				return &decided{Drain: drain, policy: look.Policy, template: look.TemplateHash}, nil
			}
		}
		waits = append(waits, plan.Drains...)
		for _, drain := range []Drain{plan.History, plan.Policy} {
			if drain.Next != nil {
				return &decided{Drain: drain, policy: look.Policy, of: "policy"}, nil
			}
		}
	}
	return nil, waits
}

// operator takes the next step, or says what it waits for.
func (s *story) operator() { s.operate(false) }

// operate takes the next step, and reports whether there was one. It is silent when it has waited for the same before.
func (s *story) operate(quiet bool) bool {
	next, waits := s.decide()
	if next == nil {
		text := s.waiting(waits)
		if changed := s.writeStatus(); quiet && !changed && text == s.waitsFor {
			return false
		}
		s.waitsFor = text
		s.tell(byOperator, "%s", text)
		return false
	}
	s.waitsFor = ""
	text := s.decision(next)
	if problem := s.carryOut(next); problem != "" {
		text += " fails: " + problem
	}
	if s.forgets {
		s.tell(byOperator, "%s, then crashes", text)
		return true
	}
	s.writeStatus()
	s.tell(byOperator, "%s", text)
	return true
}

// hang has the operator, or a second manager, decide on a step whose request does not arrive yet.
func (s *story) hang(actor, step string) *decided {
	next, _ := s.decide()
	if next == nil || StepName(next.Next) != step {
		s.breaks("the operator does not decide on %s", step)
		return &decided{}
	}
	next.by = actor
	s.tell(actor, "%s hangs", s.decision(next))
	return next
}

// land has a request arrive that hung.
func (s *story) land(late *decided) {
	text := "the late " + s.stepWord(late.Next) + " lands"
	if problem := s.carryOut(late); problem != "" {
		text += " and fails: " + problem
	}
	s.tell(late.by, "%s", text)
}

// afterLook has the operator plan on what the caches held at an earlier time, and look live at what that asks for.
func (s *story) afterLook(cached Snapshot) {
	plan := s.protocol.Make(cached, s.now)
	for _, stale := range plan.Drains {
		if stale.Next == nil {
			continue
		}
		text := fmt.Sprintf("%s: %s, by a stale cache", stale.Rule, StepName(stale.Next))
		live := s.protocol.Make(s.look(s.policies[0]), s.now)
		switch again := live.Drain(stale.Ordinal); {
		case again == nil:
			s.tell(byOperator, "%s; live, nothing", text)
		case again.Next == nil:
			s.tell(byOperator, "%s; live, %s", text, again.Rule)
		default:
			s.tell(byOperator, "%s; live, %s", text, again.Rule)
			s.carryOut(&decided{Drain: *again, policy: s.policies[0].DeepCopy(), template: s.hash})
		}
		return
	}
	s.breaks("the stale cache asks for no step")
}

// writeStatus writes what the operator says of each policy, and reports whether a condition has changed.
func (s *story) writeStatus() (changed bool) {
	reasons := func(status drainv1alpha1.DrainPolicyStatus) (all []string) {
		for _, condition := range status.Conditions {
			all = append(all, string(condition.Status), condition.Reason)
		}
		return all
	}
	for _, policy := range s.policies {
		plan := s.protocol.Make(s.look(policy), s.now)
		before := policy.Status
		policy.Status = plan.Status(policy, metav1.NewTime(s.now))
		if !equality.Semantic.DeepEqual(before, policy.Status) {
			s.touch(policy)
		}
		changed = changed || !slices.Equal(reasons(before), reasons(policy.Status))
	}
	return changed
}

// carryOut takes a step, with what the actor has for preconditions. It returns why the API server refuses it, or "".
func (s *story) carryOut(d *decided) (problem string) {
	defer s.freeFinalizers()
	switch step := d.Next.(type) {
	case AddFinalizer:
		return s.change(&step.Policy.ObjectMeta, func(meta *metav1.ObjectMeta) {
			meta.Finalizers = append(meta.Finalizers, drainv1alpha1.PolicyFinalizer)
		})
	case RemoveFinalizer:
		return s.change(&step.Policy.ObjectMeta, func(meta *metav1.ObjectMeta) { meta.Finalizers = nil })
	case TakeLock:
		return s.createLock(d.policy, step.Ordinal)
	case StartJob:
		return s.createJob(d.policy, step, d.template)
	case NoteAttempt:
		return s.note(step.Lock, func(notes map[string]string) {
			notes[drainv1alpha1.AttemptAnnotation] = step.Attempt.String()
			if step.New {
				delete(notes, drainv1alpha1.JobAnnotation)
				delete(notes, drainv1alpha1.PodAnnotation)
			}
		})
	case NoteJob:
		return s.note(step.Lock, func(notes map[string]string) {
			notes[drainv1alpha1.AttemptAnnotation] = step.Attempt.String()
			notes[drainv1alpha1.JobAnnotation] = string(step.Job)
			notes[drainv1alpha1.PodAnnotation] = string(step.Pod)
		})
	case NoteUnused:
		return s.note(step.Lock, func(notes map[string]string) { notes[drainv1alpha1.AttemptAnnotation] = step.Attempt.String() })
	case NoteDeletion:
		return s.note(step.Lock, func(notes map[string]string) { notes[drainv1alpha1.DeletingAnnotation] = step.Note.String() })
	case DeleteJob:
		if job := s.jobByUID(step.Job.UID); job != nil && job.DeletionTimestamp == nil {
			job.DeletionTimestamp = s.going()
			s.touch(job)
		}
	case UngatePod:
		return s.change(&step.Pod.ObjectMeta, func(meta *metav1.ObjectMeta) {
			pod := s.podNamed(meta.Name)
			pod.Spec.SchedulingGates, pod.Status.Conditions = nil, nil
			metav1.SetMetaDataAnnotation(meta, drainv1alpha1.ImagesAnnotation, proof.Images(&pod.Spec))
		})
	case DeletePod:
		return s.change(&step.Pod.ObjectMeta, func(meta *metav1.ObjectMeta) { s.deletePod(s.podNamed(meta.Name)) })
	case WriteMark:
		return s.writeMark(step)
	case DeleteClaim:
		return s.change(&step.Claim.ObjectMeta, func(meta *metav1.ObjectMeta) {
			meta.DeletionTimestamp = s.going()
			s.require(!s.dirty[meta.UID], "claim %s is deleted, and a pod may have used it since its drain", meta.Name)
		})
	case DeleteLock:
		return s.change(&step.Lock.ObjectMeta, func(meta *metav1.ObjectMeta) { meta.DeletionTimestamp = s.going() })
	case RemoveLockFinalizer:
		lock := s.podNamed(step.Lock.Name)
		if lock == nil || lock.UID != step.Lock.UID || !slices.Contains(lock.Finalizers, drainv1alpha1.LockFinalizer) {
			return "the lock has changed"
		}
		lock.Finalizers = nil
		s.touch(lock)
	}
	return ""
}

func (s *story) writeMark(step WriteMark) (problem string) {
	return s.change(&step.Claim.ObjectMeta, func(meta *metav1.ObjectMeta) {
		metav1.SetMetaDataAnnotation(meta, drainv1alpha1.DrainedAnnotation, step.Mark.String())
		if (step.Purpose == MarkClaim || step.Purpose == RenewMark) && !s.refutes(step) {
			s.require(!s.dirty[meta.UID], "claim %s is marked, and a pod may have used it since its drain", meta.Name)
		}
	})
}

// refutes reports whether the lock remembers that the attempt of a mark failed. Such a mark is worth nothing.
func (s *story) refutes(step WriteMark) bool {
	lock := s.metaOf(&metav1.ObjectMeta{UID: step.Mark.LockUID})
	if lock == nil {
		return false
	}
	last, _ := attemptUnder(&corev1.Pod{ObjectMeta: *lock})
	return last.Failed != nil && step.Mark.Attempts <= last.Number
}

// note writes to the annotations of a lock that is as it was read.
func (s *story) note(lock *corev1.Pod, write func(notes map[string]string)) (problem string) {
	return s.change(&lock.ObjectMeta, func(meta *metav1.ObjectMeta) {
		if meta.Annotations == nil {
			meta.Annotations = map[string]string{}
		}
		write(meta.Annotations)
	})
}

// change changes the live object of what was read, provided that it is still the same. An object that is gone needs no
// change, but for a lock that is written to.
func (s *story) change(read *metav1.ObjectMeta, do func(*metav1.ObjectMeta)) (problem string) {
	live := s.metaOf(read)
	switch {
	case live == nil:
		return "the object is gone"
	case live.ResourceVersion != read.ResourceVersion:
		return "the object has changed"
	}
	do(live)
	s.touch(live)
	return ""
}

// metaOf returns the metadata of the object with a UID, or nil.
func (s *story) metaOf(read *metav1.ObjectMeta) *metav1.ObjectMeta {
	for _, policy := range s.policies {
		if policy.UID == read.UID {
			return &policy.ObjectMeta
		}
	}
	for _, pod := range s.pods {
		if pod.UID == read.UID {
			return &pod.ObjectMeta
		}
	}
	for _, claim := range s.claims {
		if claim.UID == read.UID {
			return &claim.ObjectMeta
		}
	}
	return nil
}

// The course of things.

// longestRun is the number of actions after which a story that does not come to rest is broken.
const longestRun = 150

// goOn lets everything take its course until nothing changes any more.
func (s *story) goOn() { s.course("") }

// until lets everything take its course until a line has this text.
func (s *story) until(text string) {
	if !s.course(text) {
		s.breaks("it never comes to %q", text)
	}
}

func (s *story) course(text string) bool {
	for range longestRun {
		told := s.told
		moved := s.operate(true) || s.setController() ||
			s.collector() || s.jobController() || s.claimProtection() || s.kubelet()
		if text != "" && s.told > told && strings.Contains(s.last, text) {
			return true
		}
		if !moved {
			return false
		}
	}
	s.breaks("it does not come to rest")
	return false
}

// passes lets time pass in which nothing happens.
func (s *story) passes(d time.Duration) {
	s.now = s.now.Add(d)
	word := fmt.Sprintf("%.0f minutes pass", d.Minutes())
	if d < 2*time.Minute {
		word = fmt.Sprintf("%.0f seconds pass", d.Seconds())
	}
	s.tell(byTime, "%s", word)
}

// What the user does.

func (s *story) userDoes(format string, args ...any) {
	s.freeFinalizers()
	s.tell(byUser, format, args...)
}

func (s *story) scale(replicas int32) {
	before := *s.set.Spec.Replicas
	s.set.Spec.Replicas = &replicas
	s.set.Generation++
	s.touch(s.set)
	s.userDoes("scales web from %d to %d", before, replicas)
}

// edit changes the spec of the policy.
func (s *story) edit(what string, change func(*drainv1alpha1.DrainPolicySpec)) {
	policy := s.policies[0]
	change(&policy.Spec)
	policy.Generation++
	s.touch(policy)
	s.userDoes("%s", what)
}

func (s *story) editTemplate() {
	s.hash += ", edited"
	s.edit("edits the template", func(*drainv1alpha1.DrainPolicySpec) {})
}

func (s *story) deletePolicy() {
	s.policies[0].DeletionTimestamp = s.going()
	s.touch(s.policies[0])
	s.userDoes("deletes the policy")
}

// dropPolicy takes the policy away although it has the operator's finalizer.
func (s *story) dropPolicy() {
	s.policies[0].Finalizers, s.policies[0].DeletionTimestamp = nil, s.going()
	s.freeFinalizers()
	s.userDoes("deletes the policy and its finalizer")
}

// createPolicy creates a policy for the StatefulSet.
func (s *story) createPolicy(name string) {
	policy := given().Policy
	policy.Name, policy.UID, policy.CreationTimestamp, policy.Finalizers = name, s.uid("policy"), s.stamp(), nil
	s.touch(policy)
	s.policies = append(s.policies, policy)
	s.userDoes("creates policy %s", name)
}

func (s *story) deleteSet() {
	s.set = nil
	s.userDoes("deletes the StatefulSet")
}

func (s *story) createSet(replicas int32) {
	s.set = given().StatefulSet
	s.set.UID, s.set.Generation, s.set.Status.ObservedGeneration = s.uid("set"), 1, 0
	s.set.Spec.Replicas = ptr.To(replicas)
	s.touch(s.set)
	s.userDoes("recreates StatefulSet web with %d replicas", replicas)
}

// debug creates a pod that uses a claim.
func (s *story) debug(claim string) {
	w := s.scratch()
	w.pod("debug", claim)
	s.addPod(w.Pods[0])
	s.userDoes("runs pod debug on claim %s", claim)
}

func (s *story) debugEnds() {
	s.removePod(s.podNamed("debug"))
	s.userDoes("ends pod debug")
}

func (s *story) deleteLock(ordinal int32) {
	s.deletePod(s.podNamed(ordinalNamed(ordinal)))
	s.userDoes("deletes the lock")
}

// stripLock takes from a lock all that keeps it.
func (s *story) stripLock(ordinal int32) {
	s.forced[ordinal] = true
	lock := s.podNamed(ordinalNamed(ordinal))
	lock.Finalizers, lock.Spec.SchedulingGates = nil, nil
	s.deletePod(lock)
	s.userDoes("deletes the lock, its finalizer and its gate")
}

// deleteJobByHand deletes a Job as kubectl does by default, in the background.
func (s *story) deleteJobByHand(n int) {
	job := s.jobs[n]
	s.removeJob(job)
	s.userDoes("deletes %s", s.jobWord(job))
}

func (s *story) suspendJob(suspend bool) {
	s.jobs[0].Spec.Suspend = &suspend
	s.touch(s.jobs[0])
	s.userDoes("%s %s", map[bool]string{true: "suspends", false: "resumes"}[suspend], s.jobWord(s.jobs[0]))
}

func (s *story) skipClaim(name string, skipped bool) {
	claim := s.claimNamed(name)
	delete(claim.Annotations, drainv1alpha1.SkipAnnotation)
	if skipped {
		skip(claim)
	}
	s.touch(claim)
	s.userDoes(map[bool]string{true: "annotates claim %s with skip", false: "takes skip off claim %s"}[skipped], name)
}

func (s *story) deleteClaim(name string) {
	s.claimNamed(name).DeletionTimestamp = s.going()
	s.touch(s.claimNamed(name))
	s.userDoes("deletes claim %s", name)
}

// crash ends the operator. It remembers nothing anyway, so this is only said.
func (s *story) crash() { s.tell(byOperator, "crashes and starts again") }

// hitLock is what a StatefulSet controller does whose cache has the ordinal's pod still: it deletes by name.
func (s *story) hitLock(ordinal int32) {
	s.deletePod(s.podNamed(ordinalNamed(ordinal)))
	s.tell(bySet, "deletes pod %s by a stale cache", ordinalNamed(ordinal))
}

// orphanJob deletes a Job as kubectl does with --cascade=orphan: its pods stay, without an owner.
func (s *story) orphanJob(n int) {
	job := s.jobs[n]
	for _, pod := range s.pods {
		if ownerUID(pod) == job.UID {
			pod.OwnerReferences = nil
			s.touch(pod)
		}
	}
	s.removeJob(job)
	s.userDoes("deletes %s with --cascade=orphan", s.jobWord(job))
}

// orphanPolicy takes the policy away by force, with --cascade=orphan: its lock and its Job stay, without an owner.
func (s *story) orphanPolicy() {
	for _, job := range s.jobs {
		job.OwnerReferences = nil
		s.touch(job)
	}
	for _, pod := range s.pods {
		if lockRole(pod) {
			pod.OwnerReferences = nil
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, drainv1alpha1.PolicyAnnotation, s.policies[0].Name)
			s.touch(pod)
		}
	}
	s.policies = nil
	s.userDoes("deletes the policy by force, with --cascade=orphan")
}

// deleteSetSlowly deletes the StatefulSet in the foreground: it stays until its pods are gone.
func (s *story) deleteSetSlowly() {
	s.set.DeletionTimestamp = s.going()
	s.touch(s.set)
	s.userDoes("deletes the StatefulSet in the foreground")
}

func (s *story) loseVolume(claim string, lost bool) {
	phase := corev1.ClaimBound
	if lost {
		phase = corev1.ClaimLost
	}
	s.claimNamed(claim).Status.Phase = phase
	s.touch(s.claimNamed(claim))
	s.userDoes(map[bool]string{true: "deletes the volume of claim %s", false: "restores the volume of claim %s"}[lost],
		claim)
}
