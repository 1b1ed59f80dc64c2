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

package main

const (
	act       = "internal/controller/act.go"
	look      = "internal/controller/look.go"
	preflight = "internal/preflight/preflight.go"

	buildJob = "internal/objects/job.go"
	lockFile = "internal/objects/lock.go"

	markFile  = "internal/claims/mark.go"
	proofFile = "internal/proof/proof.go"

	actions  = "internal/plan/actions.go"
	attempts = "internal/plan/attempt.go"
	evidence = "internal/plan/evidence.go"
	marks    = "internal/plan/marks.go"
	objects  = "internal/plan/objects.go"
	planFile = "internal/plan/plan.go"
	setFile  = "internal/statefulset/target.go"
	status   = "internal/plan/status.go"
	steps    = "internal/plan/step.go"
	types    = "internal/plan/types.go"
	words    = "internal/plan/words.go"
)

// Edits that more than one guard is made of.
var (
	deleteInBackground = edit{act, "client.PropagationPolicy(metav1.DeletePropagationForeground)", "client.PropagationPolicy(metav1.DeletePropagationBackground)"}
	replaceAtOnce      = edit{buildJob, "PodReplacementPolicy: ptr.To(batchv1.Failed),", ""}
	acceptAnyReplacer  = edit{proofFile, `return ptr.Deref(job.Spec.PodReplacementPolicy, "") != batchv1.Failed`, "return job == nil"}
	ungateBesideOthers = edit{evidence, "return e.run.gated != nil && !e.run.alive && !e.run.succeeded &&", "return e.run.gated != nil && !e.run.succeeded &&"}
	ungateUnseen       = edit{marks, "if e.run.gated == nil || e.run.alive || e.run.succeeded {", "if e != nil || e.run.alive {"}
	believeAnyPod      = edit{proofFile, "if problems := Pod(&pod.Spec, want); len(problems) > 0 {", "if problems := Pod(&pod.Spec, want); len(problems) > 1000 {"}
	ownAnyJob          = edit{planFile, "ok && (controls(p.Policy.UID, &p.Jobs[i]) || orphaned(&p.Jobs[i])) {", "ok {"}
	ownAnyJobsPod      = edit{planFile, `return owner.Kind == "Job" && !p.forged[owner.UID]`, `return owner.Kind == "Job"`}
	lockWithoutStay    = edit{lockFile, "Finalizers:      []string{drainv1alpha1.LockFinalizer},", ""}
	freshForever       = edit{act, "(writes > 0 || seen.wrote) && r.Clock.Since(seen.taken) > maxFreshAge", "(writes > 0 || seen.wrote) && r.Clock.Since(seen.taken) > time.Hour"}
	followForever      = edit{act, "!plan.FollowsOn(decision.Next) || r.Clock.Since(seen.taken) > maxLookAge),", "!plan.FollowsOn(decision.Next)),"}
	makeWithoutGate    = edit{buildJob, "template.Spec.SchedulingGates = append(template.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: drainv1alpha1.DrainSchedulingGate})", ""}
	answerWithoutGate  = []edit{
		{proofFile, "return !gated(&job.Spec.Template.Spec) }", "return job == nil }"},
		{proofFile, "	if gated(spec) {\n		return nil", "	if spec != nil {\n		return nil"},
	}
	deleteWhileReleasing = edit{evidence, ` && skipped(e) == "" && !released(e)`, ` && skipped(e) == ""`}
	releaseHeld          = edit{markFile, `m.LockUID, m.ReleasedUID = "", lock`, "m.ReleasedUID = lock"}
	markUnseenSpec       = edit{actions, "case e.Target.Excludes(e.number) && !behind(e):", "case e.Target.Excludes(e.number):"}
)

// guards are what keeps the promises beside the rules of the protocol, each with what takes it away.
var guards = []guard{
	// The actor's preconditions.
	{name: "resourceVersion precondition of a claim's deletion", edits: []edit{{act, "answer, err = r.delete(ctx, step.Claim.DeepCopy())", "err = client.IgnoreNotFound(r.Delete(ctx, step.Claim.DeepCopy(), client.Preconditions{UID: &step.Claim.UID}))"}}},
	{name: "both preconditions of a claim's deletion", edits: []edit{{act, "answer, err = r.delete(ctx, step.Claim.DeepCopy())", "err = client.IgnoreNotFound(r.Delete(ctx, step.Claim.DeepCopy()))"}}},
	{name: "resourceVersion precondition of a release", edits: []edit{{act, "	if err := r.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version}); err != nil {", "	preconditions := client.Preconditions{UID: &uid, ResourceVersion: &version}\n	if _, pod := object.(*corev1.Pod); pod {\n		preconditions.ResourceVersion = nil\n	}\n	if err := r.Delete(ctx, object, preconditions); err != nil {"}}},
	{name: "both preconditions of a release", edits: []edit{{act, "answer, err = r.delete(ctx, step.Lock.DeepCopy())", "err = client.IgnoreNotFound(r.Delete(ctx, step.Lock.DeepCopy()))"}}},
	{name: "UID test in the removal of the lock's finalizer", edits: []edit{{act, `		{"op": "test", "path": "/metadata/uid", "value": lock.UID},
`, ""}}},
	{name: "optimistic lock of a mark", edits: []edit{{act, "client.MergeFromWithOptions(step.Claim.DeepCopy(), client.MergeFromWithOptimisticLock{})", "client.MergeFrom(step.Claim.DeepCopy())"}}},
	{name: "optimistic lock of a note", about: "drains that the kubelet ends", rare: true, edits: []edit{{act, "client.MergeFromWithOptions(lock, client.MergeFromWithOptimisticLock{})", "client.MergeFrom(lock)"}}},
	{name: "optimistic lock of the ungating", unneeded: "a lock is released only when no drain pod is left, gated or not; kept because the patch names the whole list of gates, and others may have taken theirs off", edits: []edit{{act, "client.MergeFromWithOptions(pod, client.MergeFromWithOptimisticLock{})", "client.MergeFrom(pod)"}}},
	{name: "UID precondition of a Job's deletion", edits: []edit{{act, "client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationForeground)", "client.PropagationPolicy(metav1.DeletePropagationForeground)"}, {act, "	uid := job.UID\n", ""}}},
	{name: "foreground deletion of Jobs", unneeded: "backed up by the rules that await drain pods; all away: see below", edits: []edit{deleteInBackground}},
	{name: "preconditions of a drain pod's deletion", unneeded: "such a name is never used again, and the pod is told to end, whatever it has become", edits: []edit{{act, "answer, err = r.delete(ctx, step.Pod.DeepCopy())", "err = client.IgnoreNotFound(r.Delete(ctx, step.Pod.DeepCopy()))"}}},

	// The actor's looks.
	{name: "live look before a step", edits: []edit{{act, "seen.live, seen.unsettled, err = r.look(ctx, snapshot, ordinals...)", "seen.live = snapshot"}}},
	{name: "live look before the policy's finalizer is removed", about: "policies that go", edits: []edit{{act, "live, _, err = r.look(ctx, learned.snapshot)", "live = learned.snapshot"}}},
	{name: "the policy that is looked at live is the same", unneeded: "the plan is made of what was looked at live alone, and the lock's policy gets its finalizer first", edits: []edit{{look, "if policy.UID != cached.Policy.UID {", "if policy == nil {"}}},
	{name: "the policy of an abandoned lock is looked for live", unneeded: "costs a lock: what runs under it is looked for all the same", edits: []edit{{look, "client.IgnoreNotFound(err) != nil || policy.UID == owner.UID {", "client.IgnoreNotFound(err) != nil {"}}},
	{name: "locks of policies that are gone are released", liveness: true, edits: []edit{{act, "owner.Name != policy.Name || owner.UID == present {", "owner.Name != policy.Name || true {"}}},
	{name: "a lock that came or went during the look makes it good for nothing", unneeded: "backed up: a Job counts only under the lock in its name, and a mark names the generation that the look saw", about: "looks that stall", edits: []edit{{look, "if listed[name] != read {", "if listed[name] != read && live.Policy == nil {"}}},
	{name: "a lock is as it was before the Jobs and pods were listed", unneeded: "backed up: a list of pods that shows a later lock shows the drain pod too that it names", about: "looks that stall", edits: []edit{{look, "			pods[i] = *lock\n", "			_ = lock\n"}}},
	{name: "a look that finds claims lists all pods", edits: []edit{{look, "all := !locked || len(live.Claims) > 0", "all := !locked"}}},
	{name: "a look shows the users of the claims", edits: []edit{{types, "controls(s.Policy.UID, pod) || slices.ContainsFunc(pod.Spec.Volumes, uses) {", "controls(s.Policy.UID, pod) || held[pod.Name] {"}, {types, "		uses := func(volume corev1.Volume) bool { return held[claimOf(pod, &volume)] }\n		if strings", "		if strings"}}},
	{name: "a rival is read live before a lock is taken", unneeded: "two policies can't hold one lock; costs a drain by the policy that gives way", edits: []edit{{look, "			if locked {\n", "			if locked || !all || all {\n"}}},
	{name: "a look before a lock is taken", unneeded: "costs a slot: at a leader change, one more drain than spec.maxConcurrentDrains may run; the lock's name excludes everything else", edits: []edit{{steps, "var followsOn = map[string]bool{\n", "var followsOn = map[string]bool{\n	\"TakeLock\": true,\n"}}},
	{name: "a look before a Job is stopped", unneeded: "costs a drain: one that has just succeeded is stopped and repeated", edits: []edit{{steps, "var followsOn = map[string]bool{\n", "var followsOn = map[string]bool{\n	\"DeleteJob\": true,\n"}}},
	{name: "a look before the lock notes what is deleted", edits: []edit{{steps, "var followsOn = map[string]bool{\n", "var followsOn = map[string]bool{\n	\"NoteDeletion\": true,\n"}}},
	{name: "a look before a drain pod is ended", unneeded: "costs an attempt: a drain pod that may not run is ended as it is", edits: []edit{{steps, "var followsOn = map[string]bool{\n", "var followsOn = map[string]bool{\n	\"DeletePod\": true,\n"}}},
	{name: "a look before the lock notes the Job", unneeded: "the pod that it names is seen only by a look; narrows the time in which a pod that comes goes unseen", edits: []edit{{steps, "var followsOn = map[string]bool{\n", "var followsOn = map[string]bool{\n	\"NoteJob\": true,\n"}}},
	{name: "what must be fresh follows a write within a second of the look", unneeded: "backed up by the five seconds of every step; both away: see below", edits: []edit{freshForever}},
	{name: "every step follows a write within five seconds of the look", unneeded: "backed up by the second of what must be fresh; both away: see below", edits: []edit{followForever}},
	{name: "both of these", edits: []edit{freshForever, followForever}},
	{name: "what must be fresh is not the first step after a slow look", unneeded: "a deletion seldom is: its note on the lock comes first; a mark that rests on such a look is looked at again before the deletion", edits: []edit{{act, "			return errOldLook\n", "			_ = errOldLook\n"}}},

	// What the Job and the lock are made of.
	{name: "the lock has the pod's name", edits: []edit{
		{lockFile, "Name:      target.PodName(ordinal),", `Name:      "lock-" + target.PodName(ordinal),`},
		{evidence, "e.namesake = p.named[p.Target.PodName(e.number)]", `e.namesake = p.named["lock-"+p.Target.PodName(e.number)]`},
		{planFile, "if pod.Name == p.Target.PodName(number) {", `if pod.Name == "lock-"+p.Target.PodName(number) {`},
	}},
	{name: "the lock's finalizer", edits: []edit{lockWithoutStay}},
	{name: "the lock's finalizer, and a lock that lacks it is discarded", edits: []edit{lockWithoutStay}, drops: []string{"discard-lock"}},
	{name: "the drain pod's gate", unneeded: "the answer to the dry run lacks it then, and no drain starts; both away: see below", edits: []edit{makeWithoutGate}},
	{name: "the drain pod's gate, and its being there in the answer to a dry run", edits: append([]edit{makeWithoutGate}, answerWithoutGate...)},
	{name: "podReplacementPolicy Failed", unneeded: "backed up by letting one pod run at a time; both away: see below", edits: []edit{replaceAtOnce, acceptAnyReplacer}},
	{name: "the lock's UID in the Job's name", edits: []edit{{objects, `fmt.Fprintf(hash, "%s/%d/%s/%d", policy, ordinal, lock, attempt)`, `fmt.Fprintf(hash, "%s/%d/%d", policy, ordinal, attempt)`}}},
	{name: "the claims' UIDs in the Job's name", edits: []edit{{objects, `fmt.Fprintf(hash, "/%s", uid)`, `_ = uid`}}},
	{name: "the Job's name as evidence", edits: []edit{{planFile, "if attempt == 0 || orphaned(job) || job.Name != p.jobName(e, attempt) {", "if attempt == 0 {"}}},

	// The mark.
	{name: "the mark names its claim", about: "tampering", edits: []edit{{markFile, "if !ok || mark.ClaimUID != claim.UID {", "if !ok {"}}},
	{name: "the generation rule", edits: []edit{{markFile, "return generation == m.Generation || generation == m.Generation+1", "return generation >= m.Generation"}}},
	{name: "the mark names its StatefulSet", about: "StatefulSets that come again", edits: []edit{{markFile, `set == "" || m.StatefulSetUID != set`, `set == ""`}}},
	{name: "the mark names its lock", edits: []edit{{markFile, `return m != nil && lock != "" && m.LockUID == lock`, `return m != nil && lock != ""`}}},
	{name: "the Unused time of the mark", edits: []edit{{markFile, "return m.UnusedSince.Equal(since)", "return since == nil || true"}}},
	{name: "marks don't hold while the claim is in use", edits: []edit{{markFile, `	if !known {
		return false
	}
	return m`, `	if !known {
		return true
	}
	return m`}}},
	{name: "a mark without a StatefulSet names the last one", edits: []edit{{markFile, "return m != nil && m.Absent && m.StatefulSetUID == last", "return m != nil && m.Absent"}}},
	{name: "marks don't hold for an ordinal in range", edits: []edit{{setFile, "return t.Stands() && !t.InRange(ordinal) }", "return t.Stands() }"}}},
	{name: "a mark names a generation only when the controller has seen it", unneeded: "backed up by mark-awaits-controller; both away: see below", edits: []edit{markUnseenSpec}},
	{name: "a mark names a generation only when the controller has seen it, and mark-awaits-controller", edits: []edit{markUnseenSpec}, drops: []string{"mark-awaits-controller"}},
	{name: "a use after the Job's end is drained again", edits: []edit{{marks, "known && since != nil && since.After(latest) {", "known && e == nil && since.After(latest) {"}}},
	{name: "nothing is marked while another pod uses a claim", edits: []edit{{marks, "	if e.user != nil {\n		return fmt.Sprintf(\"pod %q uses", "	if e.user != nil && e == nil {\n		return fmt.Sprintf(\"pod %q uses"}}},
	{name: "the lock names each pod before it is ungated", unneeded: "needs two lists of one look that are apart, and a Job deleted in between; unit rows and the invariants' test hold it", edits: []edit{{evidence, "|| noted[drainv1alpha1.PodAnnotation] != string(e.run.gated.UID))", "|| e == nil)"}}},
	{name: "a release writes to the claims that a deletion was noted of", unneeded: "needs a StatefulSet that changes its selector while a deletion hangs; stories deletion-lands-after-rename and -discard hold it", edits: []edit{{actions, "kept := slices.Concat(e.claims, e.notedElsewhere(lock))", "kept := slices.Clone(e.claims)"}}},
	{name: "a mark that is void makes its Job void", about: "strangers on what is to be deleted", edits: []edit{{marks, "mark != nil && mark.JobUID == e.job.UID {", "mark == nil && e == nil {"}}},
	{name: "a void mark names the Job of the present lock", about: "strangers on what is to be deleted", edits: []edit{{actions, "	if e.job != nil {\n		void.Job", "	if e == nil {\n		void.Job"}}},
	{name: "a mark is void when the lock is released while another pod uses the claim", about: "strangers while drains are called off", edits: []edit{{actions, "return e.release(e.lock, e.user != nil || e.unread)", "return e.release(e.lock, e.unread)"}}},
	{name: "a mark is void when an abandoned lock is released", about: "policies that go while strangers look", edits: []edit{{actions, "return e.release(e.lock, true)", "return e.release(e.lock, false)"}}},
	{name: "writing to kept claims before a release", edits: []edit{{actions, "if mark == nil || mark.ReleasedUID == lock.UID ||", "if mark != nil ||"}, {actions, "			*mark = e.voided(mark)", "			_ = mark"}}},
	{name: "a claim is deleted only under the lock that it was drained under", edits: []edit{{marks, "	if e.mayDelete {\n		return false", "	if e == nil {\n		return false"}}},
	{name: "a claim is deleted on a mark of the last minute only", edits: []edit{{marks, "e.now.Sub(mark.Time.Time).Abs() > markLasts", "e.now.Sub(mark.Time.Time).Abs() > 10000*markLasts"}}},
	{name: "a claim that is to be deleted is marked soon after its drain", edits: []edit{{marks, "return e.now.Sub(e.lastLook()).Abs() > e.markWithin()", "return e == nil"}}},
	{name: "a mark of an attempt that failed is void", edits: []edit{{marks, "return !refuted(e, mark) && !markExpired(e, claim)", "return !markExpired(e, claim)"}}},
	{name: "nothing is deleted under a lock whose release has begun", unneeded: "backed up: what a release has written to bears no mark that holds, and is drained again first; both away: see below", edits: []edit{deleteWhileReleasing}},
	{name: "a mark holds no longer once a release has written to it, and nothing is deleted under such a lock", about: "releases that come late while the policy is edited", edits: []edit{deleteWhileReleasing, releaseHeld}},
	{name: "nothing is deleted under a lock that is being deleted", edits: []edit{{evidence, `e.lock.DeletionTimestamp == nil && skipped(e) == ""`, `skipped(e) == ""`}}},
	{name: "a claim to be left alone is not deleted", edits: []edit{{evidence, `e.lock.DeletionTimestamp == nil && skipped(e) == ""`, `e.lock.DeletionTimestamp == nil`}}},
	{name: "all claims of an ordinal are drained before one is deleted", about: "strangers", edits: []edit{{evidence, "return e.mayDelete && len(e.held) > 0 && restIsNew(e)", "return e.mayDelete && len(e.held) > 0"}}},
	{name: "a claim is new only if the lock is older", unneeded: "needs a claim that comes with data in the second in which the lock is created; a unit row holds it", edits: []edit{{marks, "!holds(e, &claim) && !claim.CreationTimestamp.After(e.lock.CreationTimestamp.Time)", "!holds(e, &claim) && claim.CreationTimestamp.Before(&e.lock.CreationTimestamp)"}}},

	// What a success must prove.
	{name: "the success of a pod that was told to end isn't believed", about: "drains that are told to end", edits: []edit{{proofFile, "case pod.DeletionTimestamp != nil:", `case pod.Name == "":`}}},
	{name: "a pod with DisruptionTarget isn't believed", edits: []edit{{proofFile, `case disrupted(pod) != "":`, `case disrupted(pod) == "never":`}}},
	{name: "the receipt", edits: []edit{{proofFile, `want.Receipt == "" || !strings.HasSuffix(message, want.Receipt) {`, `message == "never" {`}}},
	{name: "all claims are mounted", edits: []edit{{proofFile, "	mounted := map[string]bool{}\n", "	mounted := map[string]bool{}\n	if spec != nil {\n		return nil\n	}\n"}}},
	{name: "sidecars' mounts don't count", edits: []edit{{proofFile, "if !sidecar(&spec.InitContainers[i]) {", "if spec != nil {"}}},
	{name: "no probes when exit codes are believed", about: "webhooks", rare: true, edits: []edit{{proofFile, "		true, probes,", "		true, deadline,"}}},
	{name: "no limits of local storage when exit codes are believed", about: "templates that are not what they should be", edits: []edit{{proofFile, "		true, sizeLimits,", "		true, deadline,"}}},
	{name: "drain pods have a grace period", edits: []edit{{proofFile, "		false, zeroGracePeriod,", "		true, deadline,"}}},
	{name: "the StatefulSet's pods have a grace period", edits: []edit{{planFile, "case p.Target.ZeroGracePeriod():", "case p == nil:"}}},
	{name: "the pods of a StatefulSet that is gone had a grace period", edits: []edit{{words, "if p.Target.ZeroGracePeriod() {", "if p == nil {"}}},
	{name: "containers that something adds are refused", unneeded: "one that never ends keeps the pod from ending, and leaves no receipt", edits: []edit{{proofFile, "		false, addedContainers,", "		true, deadline,"}}},
	{name: "the answer to a dry run is read", unneeded: "backed up by looks at the pod before it is ungated and once it has succeeded; what a missing gate does: see below", edits: []edit{
		{preflight, "; len(problems) > 0 {\n		return \"A webhook changes", "; len(problems) > 1000 {\n		return \"A webhook changes"},
		{preflight, "; len(problems) > 0 {\n		return \"A webhook or a LimitRange changes the drain", "; len(problems) > 1000 {\n		return \"A webhook or a LimitRange changes the drain"},
	}},
	{name: "the gate is there in the answer to a dry run", about: "gates that a webhook strips", edits: answerWithoutGate},
	{name: "a pod is looked at before it is ungated", edits: []edit{ungateUnseen}},
	{name: "the pod that succeeded is looked at", unneeded: "backed up by the look before it is ungated, since a pod's spec doesn't change; both away: see below", edits: []edit{believeAnyPod}},
	{name: "a pod is looked at before it is ungated, and the pod that succeeded", edits: []edit{ungateUnseen, believeAnyPod}},

	// Who is who.
	{name: "a Job is the policy's by its controller", unneeded: "backed up by the next one, whose pods are strangers; both away: see below", edits: []edit{ownAnyJob}},
	{name: "a pod of a forged Job is a stranger", unneeded: "backed up by the one before, which makes the Job no evidence; both away: see below", edits: []edit{ownAnyJobsPod}},
	{name: "a Job is the policy's by its controller, and a pod of a forged Job is a stranger", about: "forged labels and Jobs", edits: []edit{ownAnyJob, ownAnyJobsPod}},
	{name: "a Job without a controller proves nothing", edits: []edit{{planFile, "if attempt == 0 || orphaned(job) || job.Name", "if attempt == 0 || job.Name"}}},
	{name: "a pod that only bears the operator's labels uses the claims", edits: []edit{{evidence, "			if !e.controls(pod) {\n", "			if pod.Labels[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleDrain {\n"}}},
	{name: "a Job of an earlier attempt than the lock's proves nothing", about: "Jobs that are gone before they run", edits: []edit{{evidence, "e.failure == nil && e.attempt >= e.last.Number", "e.failure == nil"}}},

	// How often a drain is repeated, and who hears of it.
	{name: "attempts outlive their Jobs", edits: []edit{{attempts, "	if !ok {\n		return Attempt{}, true", "	if ok || !ok {\n		return Attempt{}, true"}}},
	{name: "a Job that is gone after its pod was ungated has failed", edits: []edit{{attempts, `case e.lock.Annotations[drainv1alpha1.JobAnnotation] != "" && len(e.held) < len(e.claims):`, `case e.lock.Annotations[drainv1alpha1.JobAnnotation] == "never":`}}},
	{name: "looks at unused claims follow one another closely", edits: []edit{{evidence, "passed >= e.lookEvery() && passed <= unusedLag", "passed >= e.lookEvery()"}}},
	{name: "each attempt allows the reports of Unused more time", unneeded: "the drain is repeated until a report happens to come in time; unit rows hold how long each attempt waits", about: "reports of use that come late or not at all", liveness: true, edits: []edit{{marks, "i < late && lag < maxUnusedLag", "i < 0 && lag < maxUnusedLag"}}},
	{name: "a drain that fails three times in a row stalls", liveness: true, edits: []edit{{status, "d.pending() && d.Failures >= stalledAttempts && !settling[d.Reason]", "d.pending() && d.Failures < 0"}}},
	{name: "a drain that waits for too long stalls", liveness: true, edits: []edit{{status, "	case !due.IsZero():\n", "	case d.Failures < 0:\n"}}},

	// What is let run.
	{name: "one drain pod at a time is let run", unneeded: "backed up by podReplacementPolicy; both away: see below", edits: []edit{ungateBesideOthers}},
	{name: "podReplacementPolicy Failed, and one drain pod at a time is let run", edits: []edit{replaceAtOnce, acceptAnyReplacer, ungateBesideOthers}},
	{name: "no pod is let run under a lock that is being deleted", edits: []edit{{evidence, "!e.run.succeeded && e.lock.DeletionTimestamp == nil &&", "!e.run.succeeded &&"}}, drops: []string{"stop-without-lock"}},

	// Rules that back each other up, or a guard.
	{name: "foreground deletion of Jobs, stop-stray-pod and await-stray-pod", edits: []edit{deleteInBackground}, drops: []string{"stop-stray-pod", "await-stray-pod"}},
	{name: "stop-stray-job and stop-stray-pod", liveness: true, drops: []string{"stop-stray-job", "stop-stray-pod"}},
	{name: "stop-stray-pod and await-stray-pod", drops: []string{"stop-stray-pod", "await-stray-pod"}},
	{name: "ungate-awaits-user and start-awaits-user", drops: []string{"ungate-awaits-user", "start-awaits-user"}},
	{name: "pod-exists and claim-in-use", drops: []string{"pod-exists", "claim-in-use"}},
}
