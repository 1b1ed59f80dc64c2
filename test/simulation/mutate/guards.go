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
	markFile  = "internal/claims/mark.go"
	decide    = "internal/plan/decide.go"
	evidence  = "internal/plan/evidence.go"
	gather    = "internal/controller/gather.go"
	jobFile   = "internal/plan/job.go"
	marks     = "internal/plan/marks.go"
	planFile  = "internal/plan/plan.go"
	jobObject = "internal/objects/job.go"
	lockFile  = "internal/objects/lock.go"

	attempts  = "internal/plan/attempt.go"
	preflight = "internal/controller/preflight.go"
	proofFile = "internal/proof/proof.go"
	status    = "internal/plan/status.go"
	wait      = "internal/plan/wait.go"
)

// guards are what keeps the promises, each with the edit that takes it away.
var guards = []guard{
	// The actor's preconditions.
	{name: "resourceVersion precondition of a claim's deletion", edits: []edit{{act, "client.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion}", "client.Preconditions{UID: &claim.UID}"}}},
	{name: "both preconditions of a claim's deletion", edits: []edit{{act, ", client.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion}", ""}}},
	{name: "resourceVersion precondition of a release", edits: []edit{{act, "client.Preconditions{UID: &lock.UID, ResourceVersion: &lock.ResourceVersion}", "client.Preconditions{UID: &lock.UID}"}}},
	{name: "both preconditions of a release", edits: []edit{{act, ", client.Preconditions{UID: &lock.UID, ResourceVersion: &lock.ResourceVersion}", ""}}},
	{name: "UID test in the removal of the lock's finalizer", edits: []edit{{act, `		{"op": "test", "path": "/metadata/uid", "value": lock.UID},
`, ""}}},
	{name: "optimistic lock of a mark", edits: []edit{{act, "return r.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))", "return r.Patch(ctx, claim, client.MergeFrom(before))"}}},
	{name: "optimistic lock of the lifted gate", unneeded: "a lock is released only when no drain pod is left, gated or not; kept because the patch names the whole list of gates, and others may have taken theirs off", edits: []edit{{act, "err := r.Patch(ctx, pod, client.MergeFromWithOptions(step.Pod, client.MergeFromWithOptimisticLock{}))", "err := r.Patch(ctx, pod, client.MergeFrom(step.Pod))"}}},
	{name: "UID precondition of a Job's deletion", edits: []edit{{act, "client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationForeground)", "client.PropagationPolicy(metav1.DeletePropagationForeground)"}}},
	{name: "foreground deletion of Jobs", unneeded: "backed up by awaiting the drain pods; both away: see below", edits: []edit{{act, "client.PropagationPolicy(metav1.DeletePropagationForeground)", "client.PropagationPolicy(metav1.DeletePropagationBackground)"}}},
	{name: "live look before a step", edits: []edit{{act, "live, err := r.gatherLive(ctx, snapshot, ordinals...)", "live, err := snapshot, error(nil)"}}},
	{name: "writing to the lock before a pod is let run", edits: []edit{{act, "if lock.Annotations[drainv1alpha1.JobAnnotation] != string(step.JobUID) {", "if lock == nil {"}}},
	{name: "live look before the policy's finalizer goes", edits: []edit{{act, `if busy := plan.Busy(live, ""); busy != "" {`, `if busy := plan.Busy(live, ""); busy == "never" {`}}},
	{name: "look for Jobs before an abandoned lock is released", edits: []edit{{act, `if busy := plan.Busy(gone, ordinal); busy != "" {`, `if busy := plan.Busy(gone, ordinal); busy == "never" {`}}},

	{name: "preconditions of a drain pod's deletion", unneeded: "such a name is never used again, and the pod is told to end, whatever it has become", edits: []edit{{act, "r.Delete(ctx, pod.DeepCopy(), client.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion})", "r.Delete(ctx, pod.DeepCopy())"}}},
	{name: "the policy that is looked at live is the same", unneeded: "the plan is made of what was looked at live alone, and the lock's policy gets its finalizer first", edits: []edit{{gather, "if policy.UID != cached.Policy.UID {", "if policy == nil {"}}},
	{name: "the policy has its finalizer before a lock is taken", edits: []edit{{act, "if p.Finalizer && policy.DeletionTimestamp == nil {", "if policy == nil {"}, {act, "r.addFinalizer(ctx, live.Policy)", "error(nil)"}}},
	{name: "the policy of an abandoned lock is looked for live", unneeded: "costs a lock: what runs under it is looked for all the same", edits: []edit{{act, "client.IgnoreNotFound(err) != nil || policy.UID == owner.UID {", "client.IgnoreNotFound(err) != nil {"}}},
	{name: "writing to kept claims before an abandoned lock is released", edits: []edit{{act, "	if err := r.releaseMarks(ctx, lock); err != nil {", "	if err := error(nil); err != nil {"}}},
	{name: "locks of policies that are gone are released", liveness: true, edits: []edit{{act, "owner.Name != policy.Name || owner.UID == present {", "owner.Name != policy.Name || true {"}}},

	// What the Job and the lock are made of.
	{name: "the lock has the pod's name", edits: []edit{
		{lockFile, "Name:      target.PodName(ordinal),", `Name:      "lock-" + target.PodName(ordinal),`},
		{planFile, "if pod.Name == p.Target.PodName(number) {", `if pod.Name == "lock-"+p.Target.PodName(number) {`},
	}},
	{name: "the lock's finalizer", edits: []edit{{lockFile, "Finalizers:      []string{drainv1alpha1.LockFinalizer},", ""}}},
	{name: "the drain pod's gate", edits: []edit{{jobObject, "template.Spec.SchedulingGates = append(template.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: drainv1alpha1.DrainSchedulingGate})", ""}}},
	{name: "podReplacementPolicy Failed", unneeded: "backed up by letting one pod run at a time; both away: see below", edits: []edit{{jobObject, "PodReplacementPolicy: ptr.To(batchv1.Failed),", ""}}},
	{name: "the lock's UID in the Job's name", edits: []edit{{evidence, `fmt.Fprintf(hash, "%s/%d/%s/%d", policy, ordinal, lock, attempt)`, `fmt.Fprintf(hash, "%s/%d/%d", policy, ordinal, attempt)`}}},
	{name: "the claims' UIDs in the Job's name", edits: []edit{{evidence, `fmt.Fprintf(hash, "/%s", uid)`, `_ = uid`}}},
	{name: "the Job's name as evidence", edits: []edit{{planFile, "if attempt == 0 || orphaned(job) || job.Name != p.jobName(o, attempt) {", "if attempt == 0 {"}}},

	// The mark.
	{name: "the mark names its claim", edits: []edit{{markFile, `mark.ClaimUID == "" || mark.ClaimUID != claim.UID`, `mark.ClaimUID == ""`}}},
	{name: "the generation rule", edits: []edit{{markFile, "return generation == m.Generation || generation == m.Generation+1", "return generation >= m.Generation"}}},
	{name: "the mark names its StatefulSet", edits: []edit{{markFile, `set == "" || m.StatefulSetUID != set`, `set == ""`}}},
	{name: "the mark names its lock", edits: []edit{{markFile, `return m != nil && lock != "" && m.LockUID == lock`, `return m != nil && lock != ""`}}},
	{name: "the Unused time of the mark", edits: []edit{{markFile, "return m.UnusedSince.Equal(since)", "return since == nil || true"}}},
	{name: "marks don't hold while the claim is in use", edits: []edit{{markFile, `	if !known {
		return false
	}
	return m`, `	if !known {
		return true
	}
	return m`}}},
	{name: "marks don't hold for an ordinal in range", edits: []edit{{marks, "return p.Target.Excludes(o.number)", "return p.Target.Stands()"}}},
	{name: "the controller has seen the generation on a mark", edits: []edit{
		{marks, "if stays && p.Policy.DeletionTimestamp == nil && p.awaitController(d) {", "if false {"},
		{marks, "case stays && !p.Target.Behind():", "case stays:"},
	}},
	{name: "a use after the Job's end is drained again", edits: []edit{{marks, "known && since != nil && since.After(latest) {", "known && o == nil && since.After(latest) {"}}},
	{name: "the success of a pod that was told to end isn't believed", edits: []edit{{proofFile, "case pod.DeletionTimestamp != nil:", `case pod.Name == "":`}}},
	{name: "nothing is marked while another pod uses a claim", edits: []edit{{marks, "if user := p.user(o); user != nil {\n		return fmt.Sprintf(\"pod %q uses", "if user := p.user(o); user != nil && o == nil {\n		return fmt.Sprintf(\"pod %q uses"}}},
	{name: "a mark is void once another pod uses the claim", edits: []edit{{marks, "	if len(step.Marks) == 0 {\n		return false", "	if len(step.Marks) >= 0 {\n		return false"}}},
	{name: "a mark that is void makes its Job void", edits: []edit{{marks, "mark != nil && mark.JobUID == o.job.UID {", "mark == nil && o == nil {"}}},
	{name: "a mark is void when the lock is released while another pod uses the claim", edits: []edit{{decide, "		if used {", "		if used && d == nil {"}}},
	{name: "a claim is deleted only under the lock that it was drained under", edits: []edit{{marks, "if o.lock != nil && p.deletes(o) {", "if o == nil {"}}},
	{name: "a mark of an attempt that failed is void", edits: []edit{{marks, "return !refuted(o, mark)", "return true"}}},
	{name: "a mark without a StatefulSet names the last one", edits: []edit{{markFile, "return m != nil && m.Absent && m.StatefulSetUID == last", "return m != nil && m.Absent"}}},
	{name: "nothing is deleted under a lock whose release has begun", edits: []edit{{decide, ` && skipped(o) == "" && !released(o)`, ` && skipped(o) == ""`}}},
	{name: "claims are marked only when reported as unused", edits: []edit{{marks, `		if !known {
			p.wait`, `		if !known && d == nil {
			p.wait`}}},
	{name: "all claims of an ordinal are drained before one is deleted", edits: []edit{{decide, "case deleting && len(held) > 0 && p.restIsNew(o):", "case deleting && len(held) > 0:"}}},
	{name: "nothing is deleted under a lock that is going", edits: []edit{{decide, `
		o.lock.DeletionTimestamp == nil && skipped(o) == ""`, `
		skipped(o) == ""`}}},
	{name: "a claim to be left alone is not deleted", edits: []edit{{decide, `
		o.lock.DeletionTimestamp == nil && skipped(o) == ""`, `
		o.lock.DeletionTimestamp == nil`}}},
	{name: "the Job goes before the claims", liveness: true, edits: []edit{{marks, `	if leftover(o, d) {
		return
	}
	if o.job != nil {
		d.Next = deleteJob(o.job)
		return
	}
`, ""}}},

	// What a success must prove.
	{name: "a pod with DisruptionTarget isn't believed", edits: []edit{{proofFile, `case disrupted(pod) != "":`, `case disrupted(pod) == "never":`}}},
	{name: "the receipt", edits: []edit{{proofFile, `want.Receipt == "" || !strings.HasSuffix(message, want.Receipt) {`, `message == "never" {`}}},
	{name: "all claims are mounted", edits: []edit{{proofFile, "	mounted := map[string]bool{}\n", "	mounted := map[string]bool{}\n	if spec != nil {\n		return nil\n	}\n"}}},
	{name: "sidecars' mounts don't count", edits: []edit{{proofFile, "if !sidecar(&spec.InitContainers[i]) {", "if spec != nil {"}}},
	{name: "no probes when exit codes are believed", edits: []edit{{proofFile, "		true, probes,", "		true, deadline,"}}},
	{name: "no limits of local storage when exit codes are believed", edits: []edit{{proofFile, "		true, sizeLimits,", "		true, deadline,"}}},
	{name: "drain pods have a grace period", edits: []edit{{proofFile, "		false, zeroGracePeriod,", "		true, deadline,"}}},
	{name: "the StatefulSet's pods have a grace period", edits: []edit{{planFile, "case p.Target.ZeroGracePeriod():", "case !p.Target.Exists():"}}},
	{name: "the pods of a StatefulSet that is gone had a grace period", edits: []edit{{wait, "if p.Target.ZeroGracePeriod() {", "if p == nil {"}}},
	{name: "containers that something adds are refused", unneeded: "one that never ends keeps the pod from ending, and leaves no receipt", edits: []edit{{proofFile, "		false, addedContainers,", "		true, deadline,"}}},
	{name: "the answer to a dry run is read", unneeded: "backed up by looks at the pod before it is ungated and once it has succeeded; what a gate that is gone does: see below", edits: []edit{
		{preflight, "; len(problems) > 0 {\n		return \"A webhook changes", "; len(problems) > 1000 {\n		return \"A webhook changes"},
		{preflight, "; len(problems) > 0 {\n		return \"A webhook or", "; len(problems) > 1000 {\n		return \"A webhook or"},
	}},
	{name: "the gate is there in the answer to a dry run", edits: []edit{
		{proofFile, "return !gated(&job.Spec.Template.Spec) }", "return job == nil }"},
		{proofFile, "	if gated(spec) {\n		return nil", "	if spec != nil {\n		return nil"},
	}},
	{name: "a pod is looked at before it is ungated", edits: []edit{{marks, "	pods := p.podsOfJob(o)\n	if pods.gated == nil", "	pods := p.podsOfJob(o)\n	if o != nil || pods.gated == nil"}}},
	{name: "the pod that succeeded is looked at", unneeded: "backed up by the look before it is ungated, since a pod's spec doesn't change; both away: see below", edits: []edit{{proofFile, "if problems := Pod(&pod.Spec, want); len(problems) > 0 {", "if problems := Pod(&pod.Spec, want); len(problems) > 1000 {"}}},
	{name: "a pod is looked at before it is ungated, and the pod that succeeded", edits: []edit{
		{marks, "	pods := p.podsOfJob(o)\n	if pods.gated == nil", "	pods := p.podsOfJob(o)\n	if o != nil || pods.gated == nil"},
		{proofFile, "if problems := Pod(&pod.Spec, want); len(problems) > 0 {", "if problems := Pod(&pod.Spec, want); len(problems) > 1000 {"},
	}},
	{name: "a Job is the policy's by its controller", edits: []edit{{planFile, "if number, ok := ordinalOf(p.Jobs[i].Labels); ok && (controls(p.Policy.UID, &p.Jobs[i]) || orphaned(&p.Jobs[i])) {", "if number, ok := ordinalOf(p.Jobs[i].Labels); ok {"}}},
	{name: "a Job without a controller proves nothing", edits: []edit{{planFile, "if attempt == 0 || orphaned(job) || job.Name", "if attempt == 0 || job.Name"}}},
	{name: "a pod of a forged Job is a stranger", edits: []edit{{planFile, "return job.UID == owner.UID && !controls(p.Policy.UID, &job) && !orphaned(&job)", "return false"}}},
	{name: "each attempt allows the reports of Unused more time", liveness: true, edits: []edit{{marks, "i < late && lag < maxUnusedLag", "i < 0 && lag < maxUnusedLag"}}},

	// How often a drain is repeated, and who hears of it.
	{name: "attempts outlive their Jobs", edits: []edit{{attempts, "	if !ok || json.Unmarshal", "	if ok || json.Unmarshal"}}},
	{name: "a Job that is gone after its pod was ungated has failed", edits: []edit{{attempts, `case o.lock.Annotations[drainv1alpha1.JobAnnotation] != "":`, `case o.lock.Annotations[drainv1alpha1.JobAnnotation] == "never":`}}},
	{name: "a drain that fails three times in a row stalls", liveness: true, edits: []edit{{status, "d.pending() && d.Failures >= stalledAttempts && !settling[d.Reason]", "d == nil"}}},
	{name: "a drain that waits for too long stalls", liveness: true, edits: []edit{{status, "	case !due.IsZero():\n", "	case d == nil:\n"}}},
	{name: "a suspended Job stops when its ordinal is back in range", liveness: true, edits: []edit{{jobFile, "case o.inRange && ptr.Deref(o.job.Spec.Suspend, false) &&", "case o == nil && ptr.Deref(o.job.Spec.Suspend, false) &&"}}},
	{name: "a drain pod without a Job is told to end", liveness: true, edits: []edit{{decide, "if pod.DeletionTimestamp == nil && (orphaned(pod) || o.controls(pod)) {", "if pod.DeletionTimestamp == nil && o == nil {"}}},

	// When a drain starts, and when it ends.
	{name: "the controller has seen the present spec", edits: []edit{{decide, "if p.awaitController(d) || p.awaitOthers(o, d) {", "if p.awaitOthers(o, d) {"}}},
	{name: "no lock is taken while the pod or another one is there", edits: []edit{{decide, "if p.awaitController(d) || p.awaitOthers(o, d) {", "if p.awaitController(d) {"}}},
	{name: "no Job is started while another pod uses a claim", edits: []edit{{attempts, "if user := p.user(o); user != nil {", "if user := p.user(o); user != nil && d == nil {"}}},
	{name: "no Job is started for an ordinal that is wanted", edits: []edit{{jobFile, `	case o.inRange:
		return "The ordinal is back in range and no drain runs"
`, ""}}},
	{name: "stray Jobs are stopped", liveness: true, edits: []edit{{decide, "if finished(&o.others[i]) == nil {", "if finished(&o.others[i]) == nil && o == nil {"}}},
	{name: "Jobs that are going are awaited", edits: []edit{{decide, "if all[i].DeletionTimestamp != nil {", "if all[i].DeletionTimestamp != nil && o == nil {"}}},
	{name: "drain pods of Jobs that are over are awaited", edits: []edit{{decide, "if terminal(pod) || (o.job != nil", "if o != nil || terminal(pod) || (o.job != nil"}}},
	{name: "one drain pod at a time is let run", unneeded: "backed up by podReplacementPolicy; both away: see below", edits: []edit{{jobFile, "if pods.gated != nil && !pods.alive && !pods.succeeded &&", "if pods.gated != nil && !pods.succeeded &&"}}},
	{name: "no pod is let run under a lock that is going", edits: []edit{
		{jobFile, "case o.lock.DeletionTimestamp != nil && !pods.alive && !pods.succeeded:", "case o.lock == nil:"},
		{jobFile, "!pods.succeeded && o.lock.DeletionTimestamp == nil {", "!pods.succeeded {"},
	}},

	// Guards that back each other up.
	{name: "foreground deletion of Jobs, and drain pods of Jobs that are over are awaited", edits: []edit{
		{act, "client.PropagationPolicy(metav1.DeletePropagationForeground)", "client.PropagationPolicy(metav1.DeletePropagationBackground)"},
		{decide, "if terminal(pod) || (o.job != nil", "if o != nil || terminal(pod) || (o.job != nil"},
	}},
	{name: "podReplacementPolicy Failed, and one drain pod at a time is let run", edits: []edit{
		{jobObject, "PodReplacementPolicy: ptr.To(batchv1.Failed),", ""},
		{jobFile, "if pods.gated != nil && !pods.alive && !pods.succeeded &&", "if pods.gated != nil && !pods.succeeded &&"},
	}},
	{name: "writing to the lock before a claim is deleted", edits: []edit{{act, "		if err := r.noteDeletion(ctx, drain.Lock, step.Delete); err != nil {", "		if err := error(nil); err != nil {"}}},
	{name: "writing to kept claims before a release", edits: []edit{{decide, "	if len(kept) > 0 {", "	if len(kept) > 0 && d == nil {"}}},
}
