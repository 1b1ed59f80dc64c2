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
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

const (
	// keptJobs is the number of finished Jobs that are kept for their logs.
	keptJobs = 10
	// recheck is how often something is looked at that the caches don't hold, a pod of
	// another owner for example, and longestRecheck how often when that has been so for long.
	recheck        = 10 * time.Second
	longestRecheck = time.Minute
	// overdue is how long after the end of its grace period a pod's node is thought to be in trouble.
	overdue = 30 * time.Second
	// unusedLag is how long the kube-controller-manager may take to report a claim as unused
	// after the last pod that used it has ended. Too short a time costs a second drain.
	unusedLag = 10 * time.Second
	// lookFirst is how soon after the end of a Job the operator looks whether a pod uses the claims, because Kubernetes is late to
	// report that none does. lookAgain is how soon a further look follows, and maxLooks how many do. They cost a write each, on a
	// control plane that has too much to do.
	lookFirst = 2 * time.Second
	lookAgain = 6 * time.Second
	maxLooks  = 50
	// noticeLag is how long a mark waits for the kube-controller-manager to report the drain's own use of a claim. Of 100 drains
	// at once on a busy machine, those that it reported after the Job's end came within a second, and some never did.
	noticeLag = 3 * time.Second
	// lagShown is how long after its end a Job shows how late Kubernetes is. A claim that has not been reported by then may never be.
	lagShown = 30 * time.Second
	// markLasts is how long after a mark its claim may be deleted. That follows within a second, unless the operator is away or the
	// deletion is refused. A pod that uses the claim meanwhile is noticed by the kube-controller-manager, unless that is away too.
	markLasts = time.Minute
	// clockSkew is how far the clocks of managers and of Kubernetes may be apart. What is said to have happened later than that from
	// now was written by a clock that was wrong, and delays nothing.
	clockSkew = time.Minute
	// maxUnusedLag is the longest time that a later attempt allows it.
	maxUnusedLag = 10 * time.Minute
)

// planner is a snapshot with what follows from it for every ordinal.
type planner struct {
	Snapshot
	now time.Time
	// ready is whether a scale-down would be drained, and template whether a drain could be started at all, whatever
	// becomes of the StatefulSet.
	ready, template Condition
	// stranded are claims that look like the StatefulSet's and are not known to be its own.
	stranded []corev1.PersistentVolumeClaim
	// named are the pods by name, and users those that have not ended by the name of each claim that they mount, in the
	// order of the snapshot.
	named map[string]*corev1.Pod
	users map[string][]*corev1.Pod
	// forged are the UIDs of Jobs that bear the policy's labels and have another controller.
	forged map[types.UID]bool
}

// Make returns the plan for a snapshot, by the protocol. It is deterministic.
func Make(snapshot Snapshot, now time.Time) Plan { return protocol.Make(snapshot, now) }

// Rules returns the protocol by which Make plans.
func Rules() Protocol { return slices.Clone(protocol) }

// Make returns the plan for a snapshot. It is deterministic.
func (protocol Protocol) Make(snapshot Snapshot, now time.Time) Plan {
	snapshot.Jobs = withoutLeaving(snapshot.Jobs)
	p := &planner{Snapshot: snapshot, now: now}
	p.index()
	ordinals, ambiguous := p.gather()
	p.template = p.templateCondition(ambiguous)
	p.ready = p.readiness()

	plan := Plan{Ready: shownReady(p.ready), Observed: p.observed(), TemplateHash: p.TemplateHash, Target: p.Target, Stranded: p.stranded, PreflightAfter: p.Preflight.Again}
	var slots []int32
	for _, e := range ordinals {
		if e.lock != nil {
			slots = append(slots, e.number)
		}
	}
	for _, e := range ordinals {
		// Slots are given out from the highest ordinal down: one that is about to take its lock counts for those after it.
		e.ahead = slots
		e.observe(p)
		drain := p.aged(protocol.decide(e, e.phase()), e)
		takes := strings.HasPrefix(drain.Rule, "hold-policy") || drain.Next != nil && StepName(drain.Next) == takeLock.step
		if takes {
			slots = append(slots, e.number)
		}
		plan.Lag = max(plan.Lag, e.lag())
		plan.Finalizer = plan.Finalizer || e.lock != nil || takes || e.busy() || drain.Rule == "discard-lock"
		if drain.State != "" {
			plan.Drains = append(plan.Drains, drain)
		}
	}
	plan.Policy = protocol.decide(&evidence{planner: p, needed: plan.Finalizer}, policy)
	plan.History = protocol.decide(&evidence{planner: p, surplus: p.surplusJobs(ordinals)}, history)
	plan.Drained = p.drainedCondition(plan.Drains)
	plan.Stalled = p.stalledCondition(plan.Drains)
	return plan
}

// Drain returns the entry of an ordinal, or nil.
func (p *Plan) Drain(ordinal int32) *Drain {
	for i := range p.Drains {
		if p.Drains[i].Ordinal == ordinal {
			return &p.Drains[i]
		}
	}
	return nil
}

// index finds pods by their names and claims, and forged Jobs by their UIDs, once for all ordinals.
func (p *planner) index() {
	p.forged = map[types.UID]bool{}
	for i := range p.Jobs {
		if job := &p.Jobs[i]; !controls(p.Policy.UID, job) && !orphaned(job) {
			p.forged[job.UID] = true
		}
	}
	p.named, p.users = make(map[string]*corev1.Pod, len(p.Pods)), map[string][]*corev1.Pod{}
	for i := range p.Pods {
		pod := &p.Pods[i]
		p.named[pod.Name] = pod
		if terminal(pod) {
			continue
		}
		for j := range pod.Spec.Volumes {
			if claim := claimOf(pod, &pod.Spec.Volumes[j]); claim != "" {
				p.users[claim] = append(p.users[claim], pod)
			}
		}
	}
}

// gather sorts the snapshot by ordinal, the highest first.
func (p *planner) gather() (ordinals []*evidence, ambiguous []string) {
	byNumber := map[int32]*evidence{}
	at := func(number int32) *evidence {
		if byNumber[number] == nil {
			byNumber[number] = &evidence{number: number}
		}
		return byNumber[number]
	}
	identity := p.Target.Identity()
	for i := range p.Claims {
		switch _, number, verdict := claims.Belongs(&p.Claims[i], identity, p.Others); verdict {
		case claims.Own:
			o := at(number)
			o.claims = append(o.claims, p.Claims[i])
		case claims.Ambiguous:
			ambiguous = append(ambiguous, p.Claims[i].Name)
		case claims.Stranded:
			p.stranded = append(p.stranded, p.Claims[i])
		case claims.Foreign:
		}
	}
	slices.SortFunc(p.stranded, func(a, b corev1.PersistentVolumeClaim) int { return strings.Compare(a.Name, b.Name) })
	for i := range p.Pods {
		pod := &p.Pods[i]
		number, ok := ordinalOf(pod.Labels)
		if !ok || pod.Labels[drainv1alpha1.PolicyUIDLabel] != string(p.Policy.UID) {
			if number, named := p.Target.Ordinal(pod.Name); named && controls(p.Policy.UID, pod) {
				// A lock that lacks its labels holds up the ordinal's pod, also of an ordinal without claims.
				at(number)
			}
			continue
		}
		switch {
		case IsLock(pod, p.Policy.UID):
			// A lock protects the name that it has, whatever its label says.
			if pod.Name == p.Target.PodName(number) {
				at(number).lock = pod
			}
		case p.isDrainPod(pod):
			o := at(number)
			o.pods = append(o.pods, *pod)
		}
	}
	for i := range p.Jobs {
		if number, ok := ordinalOf(p.Jobs[i].Labels); ok && (controls(p.Policy.UID, &p.Jobs[i]) || orphaned(&p.Jobs[i])) {
			o := at(number)
			o.others = append(o.others, p.Jobs[i])
		}
	}
	for _, o := range byNumber {
		slices.SortFunc(o.claims, func(a, b corev1.PersistentVolumeClaim) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(o.pods, func(a, b corev1.Pod) int {
			return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
		})
		p.findJob(o)
		ordinals = append(ordinals, o)
	}
	slices.SortFunc(ordinals, func(a, b *evidence) int { return int(b.number) - int(a.number) })
	slices.Sort(ambiguous)
	return ordinals, ambiguous
}

// RetryAfter returns the time after which the plan may be another although nothing in the
// caches changes; 0 if there is no such time.
func (p *Plan) RetryAfter() time.Duration {
	var soonest time.Duration
	if p.Ready.Reason == drainv1alpha1.ReasonInvalidTemplate || p.Ready.Reason == drainv1alpha1.ReasonPreflightFailed {
		// What refuses a pod may be a quota, a webhook or a ServiceAccount, none of which is watched.
		soonest = p.PreflightAfter
	}
	for i := range p.Drains {
		for _, after := range []time.Duration{p.Drains[i].RetryAfter, p.Drains[i].StallsAfter} {
			if after > 0 && (soonest == 0 || after < soonest) {
				soonest = after
			}
		}
	}
	return soonest
}

// IsLock reports whether a pod is a lock of the policy with this UID. Labels can be copied; the
// controller reference can't be had by accident.
func IsLock(pod *corev1.Pod, policy types.UID) bool {
	if pod.Labels[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleLock {
		return false
	}
	return controls(policy, pod) || orphaned(pod) && pod.Labels[drainv1alpha1.PolicyUIDLabel] == string(policy) &&
		slices.Contains(pod.Finalizers, drainv1alpha1.LockFinalizer) && holdsGate(pod, drainv1alpha1.LockSchedulingGate)
}

// Holder returns the policy whose lock a pod is, and whether it is one's.
func Holder(pod *corev1.Pod) (policy metav1.OwnerReference, ok bool) {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return *owner, owner.Kind == "DrainPolicy" && IsLock(pod, owner.UID)
	}
	policy = metav1.OwnerReference{
		Kind: "DrainPolicy", Name: pod.Annotations[drainv1alpha1.PolicyAnnotation], UID: types.UID(pod.Labels[drainv1alpha1.PolicyUIDLabel]),
	}
	return policy, policy.UID != "" && IsLock(pod, policy.UID)
}

// orphaned reports whether an object has no controller. The garbage collector takes it off what a policy leaves that is
// deleted with --cascade=orphan. A Job without one proves nothing, and is stopped; a pod without one is a lock still if it
// has all that makes a pod one.
func orphaned(object metav1.Object) bool { return metav1.GetControllerOfNoCopy(object) == nil }

// holdsGate reports whether a pod has a scheduling gate.
func holdsGate(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool { return gate.Name == name })
}

// LockLacks returns what a pod lacks to be a lock of the policy with this UID, or "".
func LockLacks(pod *corev1.Pod, policy types.UID) string {
	_, numbered := ordinalOf(pod.Labels)
	switch {
	case !IsLock(pod, policy) || !controls(policy, pod) || !numbered || pod.Labels[drainv1alpha1.PolicyUIDLabel] != string(policy):
		return "the operator's labels or its owner"
	case !slices.Contains(pod.Finalizers, drainv1alpha1.LockFinalizer):
		return "the finalizer " + drainv1alpha1.LockFinalizer
	case !holdsGate(pod, drainv1alpha1.LockSchedulingGate):
		return "the scheduling gate " + drainv1alpha1.LockSchedulingGate
	}
	return ""
}

// controls reports whether the policy with this UID is an object's controller. Labels can be copied; what only bears
// them is evidence of nothing.
func controls(policy types.UID, object metav1.Object) bool {
	owner := metav1.GetControllerOfNoCopy(object)
	return owner != nil && owner.UID == policy
}

// isDrainPod reports whether a pod with the policy's labels is one of its Jobs', or was: a Job that is deleted without
// its pods leaves them without a controller. Any other pod is a stranger, and a user of the claims that it mounts.
func (p *planner) isDrainPod(pod *corev1.Pod) bool {
	if pod.Labels[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleDrain {
		return false
	}
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return true
	}
	return owner.Kind == "Job" && !p.forged[owner.UID]
}

// findJob picks the Job of the latest attempt under the present lock on the present claims:
// the name says so, and can't say so of any other.
func (p *planner) findJob(e *evidence) {
	if e.lock == nil {
		return
	}
	var rest []batchv1.Job
	for i := range e.others {
		job := &e.others[i]
		attempt := attemptOf(job)
		if attempt == 0 || orphaned(job) || job.Name != p.jobName(e, attempt) {
			rest = append(rest, *job)
			continue
		}
		if e.job != nil && attempt < e.attempt {
			rest = append(rest, *job)
			continue
		}
		if e.job != nil {
			rest = append(rest, *e.job)
		}
		e.job, e.attempt = job, attempt
	}
	e.others = rest
}

// jobName returns the name of the Job of an attempt under the present lock on the claims of today.
func (p *planner) jobName(e *evidence, attempt int32) string {
	uids := make([]types.UID, 0, len(e.claims))
	for i := range e.claims {
		uids = append(uids, e.claims[i].UID)
	}
	return JobName(p.Target.Name, p.Policy.UID, e.number, e.lock.UID, uids, attempt)
}

// observed returns what the status keeps of the StatefulSet.
func (p *planner) observed() *drainv1alpha1.ObservedStatefulSet {
	last, now := p.Policy.Status.StatefulSet, metav1.NewTime(p.now.UTC().Truncate(time.Second))
	if !p.Target.Exists() {
		if last == nil || *last.Replicas == 0 {
			return last
		}
		gone := last.DeepCopy()
		gone.Replicas, gone.LastScaleDownTime = ptr.To[int32](0), &now
		return gone
	}
	observed := p.Target.Observed()
	observed.IgnoredAnnotations = p.Target.IgnoredBy(p.Policy)
	observed.LastScaleDownTime = &now
	if p.unbroken() && last.LastScaleDownTime != nil && !p.ahead(last.LastScaleDownTime.Time) && !shrunk(last, observed) {
		observed.LastScaleDownTime = last.LastScaleDownTime
	}
	return observed
}

// unbroken reports whether the StatefulSet had no generation between the present one and the one in the status, so that no
// ordinal left the range and came back unseen.
func (p *planner) unbroken() bool {
	last := p.Policy.Status.StatefulSet
	return last != nil && p.Target.Exists() && last.UID == string(p.Target.UID) && p.Target.Generation-ptr.Deref(last.Generation, 0) <= 1
}

// shrunk reports whether an ordinal of one range is not in another one.
func shrunk(before, after *drainv1alpha1.ObservedStatefulSet) bool {
	end := func(set *drainv1alpha1.ObservedStatefulSet) int64 {
		return int64(*set.StartOrdinal) + int64(*set.Replicas)
	}
	return *before.Replicas > 0 && (*after.StartOrdinal > *before.StartOrdinal || end(after) < end(before))
}

// drainsDeleted reports whether the StatefulSet is gone and its ordinals are to be drained.
func (p *planner) drainsDeleted() bool {
	return p.Target.Gone() && p.Policy.Spec.WhenDeleted == drainv1alpha1.WhenDeletedDrain
}

// surplusJobs returns the finished Jobs that belong to no drain under way, beyond the newest
// keptJobs. Marks, not Jobs, say what is drained once a lock is released.
func (p *planner) surplusJobs(ordinals []*evidence) []batchv1.Job {
	var past []batchv1.Job
	for _, e := range ordinals {
		for i := range e.others {
			if finished(&e.others[i]) != nil && e.others[i].DeletionTimestamp == nil {
				past = append(past, e.others[i])
			}
		}
	}
	slices.SortFunc(past, func(a, b batchv1.Job) int {
		if c := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	if len(past) <= keptJobs {
		return nil
	}
	return past[keptJobs:]
}

func refuse(reason, format string, args ...any) Condition {
	return Condition{Status: metav1.ConditionFalse, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// readiness reports whether a scale-down now would be drained, and if not, why.
func (p *planner) readiness() Condition {
	name := p.Policy.Spec.StatefulSetRef.Name
	switch {
	case p.Policy.DeletionTimestamp != nil:
		return refuse(drainv1alpha1.ReasonPolicyDeleted, "The policy is being deleted: running drains are stopped and locks released")
	case p.Rival != "" && p.Managed && !p.RivalManaged:
		return refuse(drainv1alpha1.ReasonManagedPolicyYielding, "This policy, which was kept for an annotation of StatefulSet %q, gives way to DrainPolicy %q", name, p.Rival)
	case p.Rival != "" && p.RivalManaged && !p.Managed:
		return refuse(drainv1alpha1.ReasonManagedPolicyYielding, "DrainPolicy %q, which was kept for an annotation of StatefulSet %q, stops its drains and gives way to this one", p.Rival, name)
	case p.Rival != "":
		return refuse(drainv1alpha1.ReasonPolicyConflict, "DrainPolicy %q is older and names StatefulSet %q too; delete one of the two", p.Rival, name)
	case !p.Target.Exists():
		missing := refuse(drainv1alpha1.ReasonStatefulSetNotFound, "StatefulSet %q does not exist in namespace %q; create it, or name another one in a new policy", name, p.Policy.Namespace)
		if len(p.stranded) > 0 {
			missing.Message += fmt.Sprintf(". %d claims named like its own are there, see status.strandedClaims; they are drained when it is created with replicas: 0 and their claim templates", len(p.stranded))
		}
		return missing
	case p.Target.Deleting:
		return refuse(drainv1alpha1.ReasonStatefulSetNotFound, "StatefulSet %q is being deleted", name)
	case len(p.Target.ClaimTemplates) == 0:
		return refuse(drainv1alpha1.ReasonNoClaimTemplates, "StatefulSet %q has no volumeClaimTemplates, so a scale-down leaves no claims behind; delete the policy", name)
	case len(p.Target.ClaimTemplates) > statefulset.MaxClaimTemplates:
		return refuse(drainv1alpha1.ReasonTooManyClaimTemplates, "StatefulSet %q has %d volumeClaimTemplates; a policy can drain at most %d", name, len(p.Target.ClaimTemplates), statefulset.MaxClaimTemplates)
	case len(p.Target.MatchLabels) == 0:
		return refuse(drainv1alpha1.ReasonNoMatchLabels,
			"StatefulSet %q has no spec.selector.matchLabels, so its claims bear no labels that tell them from another workload's; create it again with matchLabels", name)
	case p.Target.ZeroGracePeriod():
		return refuse(drainv1alpha1.ReasonGracePeriodZero,
			"StatefulSet %q has spec.template.spec.terminationGracePeriodSeconds: 0, so its pod objects disappear while their containers still run, and a drain could start beside them; set it to 1 or more", name)
	case p.Target.DeletesClaimsWhenScaled:
		return refuse(drainv1alpha1.ReasonClaimsDeletedOnScaleDown,
			"StatefulSet %q deletes its claims on scale-down before a drain could mount them; set its spec.persistentVolumeClaimRetentionPolicy.whenScaled to Retain and let this policy's whenDrained delete them", name)
	case p.Policy.Spec.WhenDeleted == drainv1alpha1.WhenDeletedDrain && p.Target.DeletesClaimsWhenDeleted:
		return refuse(drainv1alpha1.ReasonClaimsDeletedWithStatefulSet,
			"StatefulSet %q takes its claims with it when it is deleted, before a drain could mount them, but spec.whenDeleted is Drain; set its spec.persistentVolumeClaimRetentionPolicy.whenDeleted to Retain and let this policy's whenDrained delete them", name)
	}
	if p.template.Status != metav1.ConditionTrue {
		return p.template
	}
	reason := drainv1alpha1.ReasonAccepted
	if p.Policy.Spec.WhenScaled == drainv1alpha1.WhenScaledRetain {
		reason = drainv1alpha1.ReasonRetainsClaims
	}
	return Condition{Status: metav1.ConditionTrue, Reason: reason, Message: p.readyMessage()}
}

// shownReady returns the Ready condition that a status shows. A suspended policy starts no drain, as its author asked: it is accepted, and
// tools that wait for True must not wait for a person's decision.
func shownReady(ready Condition) Condition {
	if ready.Reason == drainv1alpha1.ReasonSuspended {
		ready.Status = metav1.ConditionTrue
	}
	return ready
}

// readyMessage says what a scale-down of the StatefulSet brings, and what its author should know.
func (p *planner) readyMessage() string {
	name := p.Policy.Spec.StatefulSetRef.Name
	message := fmt.Sprintf("A scale-down of StatefulSet %q will be drained", name)
	if p.Policy.Spec.WhenScaled == drainv1alpha1.WhenScaledRetain {
		message = fmt.Sprintf("A scale-down of StatefulSet %q retains the claims without draining them, because spec.whenScaled is Retain", name)
	}
	if p.Policy.Spec.Proof == drainv1alpha1.ProofExitCode {
		message += "; spec.proof is ExitCode, so a drain that the kubelet ends before it is done counts as a success if it exits with 0"
		if p.Policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete {
			message += ", and its claims are deleted with what it left on them"
		}
	}
	if ignored := p.Target.IgnoredBy(p.Policy); len(ignored) > 0 {
		message += "; " + Ignoring(p.Policy, ignored)
	}
	return message
}

// Ignoring says in words that annotations are ignored, and why.
func Ignoring(policy *drainv1alpha1.DrainPolicy, annotations []drainv1alpha1.TemplateAnnotation) string {
	keys := make([]string, 0, len(annotations))
	for _, key := range annotations {
		keys = append(keys, string(key))
	}
	names := "its annotation " + keys[0] + " is"
	if len(keys) > 1 {
		names = "its annotations " + strings.Join(keys, " and ") + " are"
	}
	if from := policy.Spec.TemplateFrom.StatefulSetAnnotation; from != "" {
		return fmt.Sprintf("%s ignored, because %s counts", names, from)
	}
	return fmt.Sprintf("%s ignored, because DrainPolicy %q has a template of its own", names, policy.Name)
}

// templateName names the template for people, where they can edit it.
func (p *planner) templateName() string {
	if from := p.Policy.Spec.TemplateFrom.StatefulSetAnnotation; from != "" {
		return fmt.Sprintf("annotation %s", from)
	}
	return "spec.template"
}

// inTemplate names a field of the template.
func (p *planner) inTemplate(field string) string {
	if p.Policy.Spec.TemplateFrom.StatefulSetAnnotation != "" {
		return field + " in " + p.templateName()
	}
	return p.templateName() + "." + field
}

// asked reports whether the API server was asked about the template and the StatefulSet as this snapshot has them.
func (p *planner) asked() bool { return p.Preflight.About == p.Subject() }

// templateCondition reports whether the template can become a drain pod now.
func (p *planner) templateCondition(ambiguous []string) Condition {
	if p.Unreadable != "" {
		return refuse(drainv1alpha1.ReasonInvalidTemplate, "The template can't be read: %s", p.Unreadable)
	}
	if why := p.Policy.Annotations[drainv1alpha1.TemplateTooLargeAnnotation]; why != "" {
		return refuse(drainv1alpha1.ReasonInvalidTemplate, "%s is refused: %s; move what makes it large into a ConfigMap", p.templateName(), why)
	}
	if len(p.Template.Spec.Containers) == 0 {
		return refuse(drainv1alpha1.ReasonInvalidTemplate, "%s is empty, so nothing would drain", p.inTemplate("spec.containers"))
	}
	for i, volume := range p.Template.Spec.Volumes {
		if slices.Contains(p.Target.ClaimTemplates, volume.Name) {
			return refuse(drainv1alpha1.ReasonInvalidTemplate,
				"%s is named %q like a volumeClaimTemplate of StatefulSet %q and would hide its data from the drain; remove or rename the volume", p.inTemplate(fmt.Sprintf("spec.volumes[%d]", i)), volume.Name, p.Target.Name)
		}
		if source := volume.PersistentVolumeClaim; source != nil && p.Target.OwnsClaimName(source.ClaimName) {
			return refuse(drainv1alpha1.ReasonInvalidTemplate,
				"%s mounts claim %q of StatefulSet %q; a drain gets the claims of its own ordinal, under their templates' names, and no other's", p.inTemplate(fmt.Sprintf("spec.volumes[%d]", i)), source.ClaimName, p.Target.Name)
		}
	}
	if problem := LeaveProblem(&p.Snapshot); problem != "" {
		return refuse(drainv1alpha1.ReasonInvalidTemplate, "%s", problem)
	}
	switch {
	case !p.asked():
		return Condition{Status: metav1.ConditionUnknown, Reason: drainv1alpha1.ReasonPreflightFailed, Message: fmt.Sprintf("The API server has not been asked yet whether it accepts the drain that %s would become", p.templateName())}
	case p.Preflight.Refusal != "":
		return refuse(drainv1alpha1.ReasonInvalidTemplate, "%s is refused. %s", p.templateName(), p.Preflight.Refusal)
	case p.Preflight.Unanswered != "":
		return Condition{Status: metav1.ConditionUnknown, Reason: drainv1alpha1.ReasonPreflightFailed, Message: fmt.Sprintf("The API server could not be asked whether it accepts the drain that %s would become: %s", p.templateName(), p.Preflight.Unanswered)}
	case len(ambiguous) > 0:
		return refuse(drainv1alpha1.ReasonAmbiguousClaims,
			"The operator can't tell which StatefulSet claim %q belongs to (%d such claims); label it like the volumeClaimTemplates' claims of its StatefulSet", ambiguous[0], len(ambiguous))
	case ptr.Deref(p.Policy.Spec.Suspend, false):
		return refuse(drainv1alpha1.ReasonSuspended, "No drain is started while spec.suspend is true")
	}
	return Condition{Status: metav1.ConditionTrue}
}

// LeaveProblem says why members can't leave or join again by spec.leave, or "".
func LeaveProblem(s *Snapshot) string {
	if s.Policy.Spec.Leave == nil {
		return ""
	}
	template := &s.Policy.Spec.Leave.Template
	if len(template.Spec.Containers) == 0 {
		return "spec.leave.template has no containers, or is larger than 64 KiB: give it what it lacks, or move what makes it large into a ConfigMap"
	}
	for i, volume := range template.Spec.Volumes {
		if source := volume.PersistentVolumeClaim; source != nil && s.Target.OwnsClaimName(source.ClaimName) {
			return fmt.Sprintf("spec.leave.template.spec.volumes[%d] mounts claim %q of StatefulSet %q, which a pod of it uses while its member leaves; remove the volume", i, source.ClaimName, s.Target.Name)
		}
	}
	return ""
}
