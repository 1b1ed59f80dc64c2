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

package simulation

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
)

// The names under which a broken invariant of scaling is reported.
const (
	invariantByOne      = "the operator lowers the replicas by one"
	invariantAbove      = "the operator never lowers the replicas below what the policy asks for"
	invariantSettled    = "the operator lowers the replicas only when no orphan is undrained and those that remain are ready"
	invariantLeft       = "the operator lowers the replicas only when the member has left, or is dead"
	invariantScaleAsked = "nothing is scaled, and no member leaves or joins again, while the policy is suspended or being deleted"
	invariantLiving     = "a Job by which a member leaves or joins again is for a pod that lives"
	invariantAlone      = "one Job at a time takes a member out or in"
	invariantTurn       = "one member at a time is taken out or in"
	invariantOnce       = "what a member was seen to have done, it is not asked to do again"
	invariantNoted      = "the policy remembers each member that has begun to leave, until it is back or its ordinal is drained"
)

// imageLeave and imageLeaveOther take a member out, or in again, and write the receipt.
const (
	imageLeave      = "leave-1"
	imageLeaveOther = "leave-2"
)

// membership is what the application believes of the member of an ordinal.
type membership struct {
	// out says that it has begun to leave, and left that it has, and pod was its pod then.
	out, left bool
	pod       types.UID
	// changed is the version of the store when that was so last.
	changed int64
	// forgotten says that its ordinal was out of range, and drained: nothing is left of it.
	forgotten bool
}

func (w *world) member(ordinal int32) *membership {
	if w.members[ordinal] == nil {
		w.members[ordinal] = &membership{}
	}
	return w.members[ordinal]
}

func isLeaveJob(object client.Object) bool {
	return object.GetLabels()[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLeave
}

func ordinalLabel(object client.Object) int32 {
	number, _ := strconv.ParseInt(object.GetLabels()[drainv1alpha1.OrdinalLabel], 10, 32)
	return int32(number)
}

// startLeave is the beginning of a container that takes a member out, or in again.
func (w *world) startLeave(c *container) {
	m := w.member(c.ordinal)
	for _, other := range w.running() {
		if other != c && other.role == roleLeave && other.ordinal == c.ordinal && !other.ghost && !c.ghost {
			w.violate(invariantAlone, "pods %s and %s run for the member of ordinal %d", other.pod, c.pod, c.ordinal)
		}
	}
	w.checkNoted(c)
	if try := w.tries[c.ordinal]; try != nil && strings.HasPrefix(c.pod, try.job.Name+"-") {
		try.ran = true
	}
	m.changed, m.left = w.store.version, false
	if c.action == drainv1alpha1.ActionLeave {
		m.out, m.forgotten = true, false
	}
}

// checkLeaveAsked asserts that the policy, as it was read, asks for a Job or a pod by which a member leaves or joins again.
func (w *world) checkLeaveAsked(r *run, object client.Object) {
	for uid, policy := range r.policies {
		if string(uid) == object.GetLabels()[drainv1alpha1.PolicyUIDLabel] && (ptr.Deref(policy.Spec.Suspend, false) || policy.DeletionTimestamp != nil || policy.Spec.Leave == nil) {
			w.violate(invariantScaleAsked, "%s starts, and the policy does not ask for it", object.GetName())
		}
	}
}

// checkTurn asserts that no pod was seen to run that takes another member out or in, when one is let run.
func (w *world) checkTurn(r *run, pod *corev1.Pod) {
	for _, other := range list[*corev1.Pod](w.store) {
		since, ungated := w.letRun[other.UID]
		if ungated && since <= r.looked && isLeaveJob(other) && !terminal(other) && ordinalLabel(other) != ordinalLabel(pod) {
			w.violate(invariantTurn, "pod %s is let run beside %s", pod.Name, other.Name)
		}
	}
	w.letRun[pod.UID] = w.store.version
}

// leaveTry is the last Job of an ordinal by which its member leaves or joins again.
type leaveTry struct {
	job *batchv1.Job
	// ran says that a pod of it has run, and worked that it did what it is there for.
	ran, worked bool
}

// checkLeaveStart asserts that a Job by which a member leaves or joins again is for a pod that lives, and follows a failed one after its delay.
func (w *world) checkLeaveStart(r *run, job *batchv1.Job, decided time.Time) {
	w.checkLeaveAsked(r, job)
	ordinal, pod := ordinalLabel(job), types.UID(job.Annotations[drainv1alpha1.PodAnnotation])
	if !r.standing[pod] {
		w.violate(invariantLiving, "Job %s is for pod %q of ordinal %d", job.Name, pod, ordinal)
	}
	last := w.tries[ordinal]
	if last != nil && decided.Before(last.job.CreationTimestamp.Time) {
		return // Its creation hung, and others were decided on since.
	}
	w.tries[ordinal] = &leaveTry{job: job}
	if last == nil || !last.ran || ownerOf(last.job) != ownerOf(job) {
		return
	}
	for _, same := range []string{drainv1alpha1.ActionAnnotation, drainv1alpha1.PodAnnotation, drainv1alpha1.TemplateHashAnnotation} {
		if last.job.Annotations[same] != job.Annotations[same] {
			return
		}
	}
	before := get[*batchv1.Job](w.store, last.job.Name)
	if before == nil || before.UID != last.job.UID || !finished(before) {
		before = nil
	}
	if last.worked {
		if before != nil && w.sawSuccess(r, before) {
			w.violate(invariantOnce, "Job %s is made, and Job %s of the same pod was seen to succeed", job.Name, before.Name)
		}
		return
	}
	since := last.job.CreationTimestamp.Time
	if before != nil {
		since = before.Status.Conditions[len(before.Status.Conditions)-1].LastTransitionTime.Time
	}
	for _, policy := range r.policies {
		delay := time.Duration(ptr.Deref(policy.Spec.Retry.InitialDelaySeconds, 0)) * time.Second
		if passed := decided.Sub(since); policy.UID == ownerOf(job) && passed < delay-time.Second {
			w.violate(invariantBackoff, "Job %s is made %s after Job %s was made or ended, and the delay is %s", job.Name, passed, last.job.Name, delay)
		}
	}
}

// sawSuccess reports whether a Job and a pod of it had succeeded when a reconcile last listed objects of either kind.
func (w *world) sawSuccess(r *run, job *batchv1.Job) bool {
	seen := func(object client.Object) bool {
		version, _ := strconv.ParseInt(object.GetResourceVersion(), 10, 64)
		return version <= r.lookedLast && object.GetDeletionTimestamp() == nil
	}
	return seen(job) && hasCondition(job, batchv1.JobComplete) && slices.ContainsFunc(list[*corev1.Pod](w.store), func(pod *corev1.Pod) bool {
		return metav1.IsControlledBy(pod, job) && seen(pod) && pod.Status.Phase == corev1.PodSucceeded
	})
}

// checkNoted asserts that the policy remembers a Job before a pod of it runs.
func (w *world) checkNoted(c *container) {
	pod := get[*corev1.Pod](w.store, c.pod)
	if pod == nil {
		return
	}
	for _, policy := range list[*drainv1alpha1.DrainPolicy](w.store) {
		if string(policy.UID) != pod.Labels[drainv1alpha1.PolicyUIDLabel] {
			continue
		}
		notes, err := scaling.NotesOf(policy)
		if err != nil || notes[c.ordinal].Action == "" {
			w.violate(invariantNoted, "pod %s runs, and the policy remembers nothing of ordinal %d: %v", c.pod, c.ordinal, err)
		}
	}
}

// afterOperatorForgets asserts that what the operator forgets of members is over.
func (w *world) afterOperatorForgets(r *run, before, after *drainv1alpha1.DrainPolicy) {
	had, _ := scaling.NotesOf(before)
	has, _ := scaling.NotesOf(after)
	for ordinal := range had {
		if _, still := has[ordinal]; still {
			continue
		}
		m, pod := w.member(ordinal), get[*corev1.Pod](w.store, lockName(ordinal))
		if r.set != nil && wanted(r.set, ordinal) {
			there := pod != nil && !isLock(pod) && w.store.born[pod.UID] <= r.looked
			if m.changed <= r.looked && (m.out || there && m.pod != pod.UID) {
				w.violate(invariantNoted, "ordinal %d stays and is forgotten: out %t, with pod %s", ordinal, m.out, m.pod)
			}
			continue
		}
		if claim := w.undrained(r, ordinal); claim != "" {
			w.violate(invariantNoted, "ordinal %d is forgotten, and claim %s is undrained", ordinal, claim)
		}
		m.forgotten = true
	}
}

// undrained returns a claim of an ordinal that was to be seen and on which something is that a pod of the StatefulSet wrote which was to be
// seen too, or "".
func (w *world) undrained(r *run, ordinal int32) string {
	for _, claim := range list[*corev1.PersistentVolumeClaim](w.store) {
		_, number, _ := cutOrdinal(claim.Name)
		v := w.volumes[claim.UID]
		if number != ordinal || v == nil || w.store.born[claim.UID] > r.looked || claim.DeletionTimestamp != nil {
			continue
		}
		for _, record := range v.records {
			if record.by.role == roleSet && record.by.created <= r.looked && !w.excused(r, v, record.by) {
				return claim.Name
			}
		}
	}
	return ""
}

// leave lets such a container do what it is there for.
func (w *world) leave(c *container) {
	w.progress++
	m := w.member(c.ordinal)
	switch {
	case c.told > 0: // It is slow to end.
		return
	case w.choices.chance(60):
		w.note("pod %s is at it: %s", c.pod, c.action)
		return
	case w.choices.chance(10):
		w.note("pod %s fails", c.pod)
		c.finish(1, "")
		return
	}
	w.note("the member of ordinal %d: %s", c.ordinal, c.action)
	m.out, m.left, m.changed, m.pod = c.action == drainv1alpha1.ActionLeave, c.action == drainv1alpha1.ActionLeave, w.store.version, ""
	if pod := get[*corev1.Pod](w.store, lockName(c.ordinal)); pod != nil && !isLock(pod) {
		m.pod = pod.UID
	}
	if try := w.tries[c.ordinal]; try != nil && strings.HasPrefix(c.pod, try.job.Name+"-") {
		try.worked = true
	}
	c.finish(0, "done\n"+c.receipt+"\n")
}

// leaveOptions draws the Job by which members leave.
func (w *world) leaveOptions() *drainv1alpha1.LeaveOptions {
	leave := &drainv1alpha1.LeaveOptions{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "leave", Image: []string{imageLeave, imageLeaveOther}[w.choices.pick(2)]}}}},
		Job:      drainv1alpha1.JobOptions{BackoffLimit: ptr.To(int32(w.choices.pick(3)))},
	}
	if w.choices.pick(2) == 1 {
		leave.DeadAfterSeconds = ptr.To[int32](60)
	}
	return leave
}

// scalePolicy is a user, or an autoscaler, who scales the policy.
func (w *world) scalePolicy(replicas int32) {
	w.note("user: scales the policy to %d", replicas)
	update(w.store, w.policyNames()[0], func(policy *drainv1alpha1.DrainPolicy) {
		if policy.Spec.Replicas != nil {
			w.asked = *policy.Spec.Replicas
			policy.Spec.Replicas = &replicas
		}
	})
}

// editLeave adds, edits or removes the Job by which members leave.
func (w *world) editLeave() {
	w.editPolicy("leave", func(spec *drainv1alpha1.DrainPolicySpec) {
		if spec.Replicas == nil || w.choices.chance(20) {
			spec.Leave = nil
			return
		}
		spec.Leave = w.leaveOptions()
	})
}

// endLeave evicts a pod by which a member leaves.
func (w *world) endLeave() {
	if pod, ok := some(w, func(pod *corev1.Pod) bool { return roleOf(&pod.Spec) == roleLeave }); ok {
		w.note("user: evicts pod %s", pod.Name)
		_ = w.store.delete(pods, pod.Name, deletion{})
	}
}

// killMember has the node of the highest pod fail. The node controller finds its pods not ready, and evicts none for a while.
func (w *world) killMember() {
	set := get[*appsv1.StatefulSet](w.store, setName)
	if set == nil {
		return
	}
	pod := get[*corev1.Pod](w.store, lockName(startOf(set)+ptr.Deref(set.Spec.Replicas, 1)-1))
	if pod == nil || pod.Spec.NodeName == "" {
		return
	}
	w.powerOff(pod.Spec.NodeName)
	for _, other := range list[*corev1.Pod](w.store) {
		if other.Spec.NodeName == pod.Spec.NodeName {
			update(w.store, other.Name, func(pod *corev1.Pod) { w.setReady(pod, false) })
		}
	}
	for range 1 + w.choices.pick(4) {
		w.goOn()
		w.settleManager(w.leader())
		w.clock.now = w.clock.now.Add(30 * time.Second)
	}
}

// SubResource implements client.Client, for the scale.
func (c *apiClient) SubResource(name string) client.SubResourceClient {
	if name != "scale" {
		panic("the model has no subresource " + name)
	}
	return &scaleClient{client: c}
}

type scaleClient struct {
	client.SubResourceClient
	client *apiClient
}

// Update is that of the scale (ScaleREST in kubernetes/pkg/registry/apps/statefulset/storage).
func (s *scaleClient) Update(ctx context.Context, object client.Object, options ...client.SubResourceUpdateOption) error {
	var how client.SubResourceUpdateOptions
	how.ApplyOptions(options)
	scale := how.SubResourceBody.(*autoscalingv1.Scale)
	c := s.client
	w, run, decided := c.manager.world, c.asItIs(), c.manager.world.clock.now
	dry := len(how.DryRun) > 0
	return c.call(ctx, nil, &call{remote: true, write: !dry, key: map[bool]string{false: "scale statefulsets"}[dry], do: func() (client.Object, error) {
		before := get[*appsv1.StatefulSet](w.store, object.GetName())
		switch {
		case before == nil:
			return nil, apierrors.NewNotFound(sets.resource(), object.GetName())
		case before.UID != scale.UID || before.ResourceVersion != scale.ResourceVersion:
			return nil, apierrors.NewConflict(sets.resource(), object.GetName(), fmt.Errorf("it is at %s, and was looked at at %s", before.ResourceVersion, scale.ResourceVersion))
		}
		if dry {
			return nil, nil
		}
		update(w.store, setName, func(set *appsv1.StatefulSet) { set.Spec.Replicas = ptr.To(scale.Spec.Replicas) })
		w.afterOperatorScales(run, before, scale.Spec.Replicas, decided)
		return nil, nil
	}}, "scale %s to %d", object.GetName(), scale.Spec.Replicas)
}

// afterOperatorScales asserts what must hold when the operator has changed the replicas.
func (w *world) afterOperatorScales(r *run, before *appsv1.StatefulSet, to int32, decided time.Time) {
	had := ptr.Deref(before.Spec.Replicas, 1)
	var policy *drainv1alpha1.DrainPolicy
	for _, read := range r.policies {
		if read.Name == r.policy {
			policy = read
		}
	}
	switch {
	case policy == nil || policy.Spec.Replicas == nil:
		w.violate(invariantAbove, "the replicas are changed from %d to %d, and the policy has no spec.replicas", had, to)
		return
	case ptr.Deref(policy.Spec.Suspend, false) || policy.DeletionTimestamp != nil:
		w.violate(invariantScaleAsked, "the replicas are changed from %d to %d although the policy is suspended or being deleted", had, to)
	case to > had:
		if to != *policy.Spec.Replicas {
			w.violate(invariantAbove, "the replicas are raised to %d, and spec.replicas is %d", to, *policy.Spec.Replicas)
		}
	case to != had-1:
		w.violate(invariantByOne, "the replicas are changed from %d to %d", had, to)
	case to < *policy.Spec.Replicas:
		w.violate(invariantAbove, "the replicas are lowered to %d, and spec.replicas is %d", to, *policy.Spec.Replicas)
	}
	if to > had {
		return
	}
	top := startOf(before) + had - 1
	w.checkSettled(r, policy, before, top)
	if policy.Spec.Leave != nil {
		w.checkLeft(r, policy, top, decided)
	}
}

// checkSettled asserts that no orphan was undrained at the moment of the look, and that the replicas that remain were ready.
func (w *world) checkSettled(r *run, policy *drainv1alpha1.DrainPolicy, before *appsv1.StatefulSet, top int32) {
	for _, pod := range list[*corev1.Pod](w.store) {
		_, ordinal, _ := cutOrdinal(pod.Name)
		if isLock(pod) && !wanted(before, ordinal) && pod.DeletionTimestamp == nil && w.store.born[pod.UID] <= r.looked && ownerOf(pod) == policy.UID {
			w.violate(invariantSettled, "the replicas are lowered while the lock of ordinal %d stands", ordinal)
		}
	}
	for _, claim := range list[*corev1.PersistentVolumeClaim](w.store) {
		_, ordinal, _ := cutOrdinal(claim.Name)
		v := w.volumes[claim.UID]
		if v == nil || wanted(before, ordinal) || w.store.born[claim.UID] > r.looked || policy.Spec.WhenScaled == drainv1alpha1.WhenScaledRetain || r.skip[claim.UID] || w.skips(ordinal) {
			continue
		}
		for _, record := range v.records {
			if record.by.role == roleSet && !w.excused(r, v, record.by) && claim.DeletionTimestamp == nil {
				w.violate(invariantSettled, "the replicas are lowered while claim %s has %d records", claim.Name, len(v.records))
				return
			}
		}
	}
	for ordinal := startOf(before); ordinal < top; ordinal++ {
		pod := get[*corev1.Pod](w.store, lockName(ordinal))
		if pod == nil || w.store.born[pod.UID] > r.looked {
			continue // It was replaced since the look.
		}
		if version, _ := strconv.ParseInt(pod.ResourceVersion, 10, 64); version <= r.looked && !isReady(pod) {
			w.violate(invariantSettled, "the replicas are lowered and pod %s was not ready", pod.Name)
		}
	}
}

// skips reports whether a claim of an ordinal asks to be left alone now.
func (w *world) skips(ordinal int32) bool {
	return slices.ContainsFunc(list[*corev1.PersistentVolumeClaim](w.store), func(claim *corev1.PersistentVolumeClaim) bool {
		_, number, _ := cutOrdinal(claim.Name)
		return number == ordinal && claim.Annotations[drainv1alpha1.SkipAnnotation] == "true"
	})
}

// checkLeft asserts that the member of the highest ordinal had left at the moment of the look, or was dead.
func (w *world) checkLeft(r *run, policy *drainv1alpha1.DrainPolicy, top int32, decided time.Time) {
	m, pod := w.member(top), get[*corev1.Pod](w.store, lockName(top))
	if m.changed > r.looked || pod == nil || w.store.born[pod.UID] > r.looked {
		return
	}
	if m.left && m.pod == pod.UID {
		return
	}
	if after := policy.Spec.Leave.DeadAfterSeconds; after != nil && !isReady(pod) {
		since := pod.CreationTimestamp.Time
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady {
				since = condition.LastTransitionTime.Time
			}
		}
		if !decided.Before(since.Add(time.Duration(*after) * time.Second)) {
			return
		}
	}
	w.violate(invariantLeft, "the replicas are lowered and the member of pod %s (%s) has not left: begun %t, left %t, with pod %s", pod.Name, pod.UID, m.out, m.left, m.pod)
}

// checkScaled asserts that in the end the StatefulSet has what the policy asks for, and that all members that stay are back.
func (w *world) checkScaled() {
	policy, set := w.inCharge(), get[*appsv1.StatefulSet](w.store, setName)
	if policy == nil || set == nil || policy.DeletionTimestamp != nil || set.DeletionTimestamp != nil || policy.Spec.Replicas == nil {
		return
	}
	scaled := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionScaled)
	if scaled == nil {
		w.violate(invariantLiveness, "spec.replicas is set and there is no condition Scaled")
		return
	}
	if had := ptr.Deref(set.Spec.Replicas, 1); had != *policy.Spec.Replicas && !w.mayStay(policy, scaled) {
		w.violate(invariantLiveness, "the StatefulSet has %d replicas and spec.replicas is %d: %s: %s", had, *policy.Spec.Replicas, scaled.Reason, scaled.Message)
	}
	if job, ok := some(w, func(job *batchv1.Job) bool { return isLeaveJob(job) && ownerOf(job) == policy.UID }); ok && policy.Spec.Leave == nil {
		w.violate(invariantLiveness, "Job %s is left, and the policy does not ask for it any more", job.Name)
	}
	left := func(ordinal int32) bool {
		return slices.ContainsFunc(list[*corev1.PersistentVolumeClaim](w.store), func(claim *corev1.PersistentVolumeClaim) bool {
			_, number, _ := cutOrdinal(claim.Name)
			return number == ordinal
		})
	}
	for _, job := range list[*batchv1.Job](w.store) {
		if ordinal := ordinalLabel(job); isLeaveJob(job) && ownerOf(job) == policy.UID && !wanted(set, ordinal) && !left(ordinal) {
			w.violate(invariantLiveness, "Job %s is left, and its ordinal is drained and gone", job.Name)
		}
	}
	notes, _ := scaling.NotesOf(policy)
	for ordinal := range notes {
		if !wanted(set, ordinal) && !left(ordinal) {
			w.violate(invariantLiveness, "ordinal %d is drained and gone, and the policy remembers its member", ordinal)
		}
	}
	if w.policiesMade > 1 || scaled.Status != metav1.ConditionTrue {
		return
	}
	for ordinal, m := range w.members {
		if m.out && !m.forgotten && wanted(set, ordinal) {
			w.violate(invariantLiveness, "the member of ordinal %d has begun to leave, and never joined again", ordinal)
		}
	}
}

// missesMember reports whether a member that began to leave has no way back, because a user has removed the Job by which it would join again.
func (w *world) missesMember() bool {
	policy := w.inCharge()
	if policy == nil || policy.DeletionTimestamp != nil {
		return false
	}
	scaled := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionScaled)
	if scaled == nil || scaled.Reason != drainv1alpha1.ReasonMemberNotBack {
		return false
	}
	if policy.Spec.Leave != nil || !meta.IsStatusConditionTrue(policy.Status.Conditions, drainv1alpha1.ConditionStalled) {
		w.violate(invariantAlarm, "a member has no way back: spec.leave set %t, and Stalled isn't True", policy.Spec.Leave != nil)
	}
	return true
}

// mayStay reports whether the replicas may differ from what the policy asks for.
func (w *world) mayStay(policy *drainv1alpha1.DrainPolicy, scaled *metav1.Condition) bool {
	if scaled.Reason == drainv1alpha1.ReasonWaitingForDrains {
		return slices.ContainsFunc(policy.Status.Drains, func(d drainv1alpha1.DrainStatus) bool {
			return d.State != drainv1alpha1.DrainDrained && d.State != drainv1alpha1.DrainRetained
		})
	}
	if scaled.Reason == drainv1alpha1.ReasonReplicasContested {
		return meta.IsStatusConditionTrue(policy.Status.Conditions, drainv1alpha1.ConditionStalled)
	}
	if scaled.Reason == drainv1alpha1.ReasonLeaveFailed {
		return policy.Spec.Retry.MaxAttempts != nil
	}
	ready := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady)
	return scaled.Reason == drainv1alpha1.ReasonTooFewReplicas || scaled.Reason == drainv1alpha1.ReasonSuspended || ready.Status != metav1.ConditionTrue && scaled.Reason == ready.Reason
}
