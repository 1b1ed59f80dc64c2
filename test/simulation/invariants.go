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
	"encoding/json"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/test/conditions"
)

// The names under which a broken invariant is reported.
const (
	invariantData     = "nothing is lost: no undrained data is deleted"
	invariantWriters  = "never two writers: no drain pod beside another pod of the ordinal"
	invariantLock     = "the lock is held while a drain pod runs"
	invariantMark     = "a mark is written only on a claim that was drained since a pod last used it"
	invariantDelete   = "a claim is deleted only while it bears the mark of a drain, and isn't to be left alone"
	invariantStands   = "a lock that isn't going has its finalizer"
	invariantStart    = "no drain starts on claims that another pod uses"
	invariantParts    = "no claim of an ordinal is deleted before all of them are drained"
	invariantStray    = "a Job without its lock is stopped"
	invariantRead     = "only what was looked at is deleted, and once"
	invariantFresh    = "a claim is deleted, or a drain let run, on a look that is younger than the claim's mark, and not old"
	invariantWanted   = "no drain starts for an ordinal that is wanted"
	invariantObserved = "no lock is taken before the StatefulSet controller has seen the spec"
	invariantPolicy   = "a policy stays for as long as locks and Jobs of it can be seen"
	invariantAsked    = "no drain starts that the policy does not ask for"
	invariantHeld     = "no lock is taken for a policy that isn't held in place"
	invariantBackoff  = "no drain is repeated without a delay"
	invariantStatus   = "the status calls drained only what is"
	invariantAlarm    = "Stalled is True when a person is needed"
	invariantSound    = "the conditions fit each other"
	invariantLiveness = "liveness"
)

// check asserts what must hold at every moment, from the containers that run.
func (w *world) check() {
	for _, pod := range list[*corev1.Pod](w.store) {
		if isLock(pod) && !w.maimed[pod.UID] && pod.DeletionTimestamp == nil && !slices.Contains(pod.Finalizers, drainv1alpha1.LockFinalizer) {
			w.violate(invariantStands, "lock %s has lost its finalizer", pod.Name)
		}
	}
	for _, c := range w.running() {
		if c.role != roleDrain || c.ghost {
			continue
		}
		name := lockName(c.ordinal)
		if _, stripped := w.sabotaged[name]; stripped {
			continue
		}
		for _, other := range w.running() {
			if other != c && !other.ghost && other.role != roleDebug && shares(c, other) {
				w.violate(invariantWriters, "pods %s and %s run on the claims of ordinal %d", c.pod, other.pod, c.ordinal)
			}
		}
		lock := get[*corev1.Pod](w.store, name)
		if lock == nil || !isLock(lock) {
			w.violate(invariantLock, "drain pod %s runs and there is no lock %s", c.pod, name)
		} else if lock.UID != c.lock {
			w.violate(invariantLock, "drain pod %s runs under lock %s, and that of now is %s", c.pod, c.lock, lock.UID)
		}
	}
}

func shares(a, b *container) bool {
	return slices.ContainsFunc(a.claims, func(uid types.UID) bool { return slices.Contains(b.claims, uid) })
}

// afterOperatorCreates asserts what must hold when the operator has made a lock or a Job.
func (w *world) afterOperatorCreates(r *run, object client.Object, decided time.Time) {
	switch object := object.(type) {
	case *drainv1alpha1.DrainPolicy:
		return
	case *batchv1.Job:
		if isLeaveJob(object) {
			w.checkLeaveStart(r, object, decided)
			return
		}
		w.checkBackoff(r, object, decided)
	}
	number, _ := strconv.ParseInt(object.GetLabels()[drainv1alpha1.OrdinalLabel], 10, 32)
	if _, ok := object.(*corev1.Pod); ok { // A webhook may have taken its labels off.
		_, ordinal, _ := cutOrdinal(object.GetName())
		number = int64(ordinal)
	}
	if r.set != nil && r.set.DeletionTimestamp == nil && wanted(r.set, int32(number)) {
		w.violate(invariantWanted, "%s was made although ordinal %d was seen to be wanted", object.GetName(), number)
	}
	if _, ok := object.(*corev1.Pod); ok && !r.held[ownerOf(object)] {
		w.violate(invariantHeld, "lock %s is taken, and its policy was not seen to have its finalizer", object.GetName())
	}
	if lock, ok := object.(*corev1.Pod); ok && r.set != nil && r.set.Status.ObservedGeneration < r.set.Generation {
		w.violate(invariantObserved, "lock %s was taken at generation %d of the StatefulSet, and its controller had seen %d", lock.Name, r.set.Generation, r.set.Status.ObservedGeneration)
	}
	mounted := &container{}
	for _, claim := range list[*corev1.PersistentVolumeClaim](w.store) {
		if _, ordinal, _ := cutOrdinal(claim.Name); int64(ordinal) == number {
			mounted.claims = append(mounted.claims, claim.UID)
		}
	}
	w.checkStrangers(r, mounted, object.GetName(), "was made")
	w.checkAsked(r, object, mounted)
}

// checkStrangers asserts that no pod was to be seen that uses the claims of a drain that starts.
func (w *world) checkStrangers(r *run, mounted *container, name, what string) {
	for _, c := range w.running() {
		if c.role == roleDebug && !c.ghost && c.created <= r.looked && shares(mounted, c) {
			w.violate(invariantStart, "%s %s although pod %s, which was there to be seen, runs on the claims", name, what, c.pod)
		}
	}
}

// checkAsked asserts that the policy, as it was read, asks for a drain that starts.
func (w *world) checkAsked(r *run, object client.Object, mounted *container) {
	policy := r.policies[ownerOf(object)]
	if policy == nil {
		return
	}
	spec := &policy.Spec
	refuse := func(why string) { w.violate(invariantAsked, "%s was made although %s", object.GetName(), why) }
	switch {
	case policy.DeletionTimestamp != nil:
		refuse("the policy was seen to be deleted")
	case ptr.Deref(spec.Suspend, false):
		refuse("the policy is suspended")
	case r.set == nil && spec.WhenDeleted != drainv1alpha1.WhenDeletedDrain:
		refuse("there is no StatefulSet, and spec.whenDeleted is " + string(spec.WhenDeleted))
	case r.set != nil && r.set.DeletionTimestamp != nil:
		refuse("the StatefulSet is being deleted")
	case r.set != nil && spec.WhenScaled == drainv1alpha1.WhenScaledRetain:
		refuse("spec.whenScaled is Retain")
	}
	for _, uid := range mounted.claims {
		if r.skip[uid] {
			refuse("a claim asks to be left alone")
		}
	}
	lock, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	if r.set != nil && min(r.set.Status.ReadyReplicas, ptr.Deref(r.set.Spec.Replicas, 1)) < ptr.Deref(spec.MinReadyReplicas, 1) {
		refuse("too few replicas are ready")
	}
	others := int32(0)
	for _, pod := range list[*corev1.Pod](w.store) {
		if isLock(pod) && !w.maimed[pod.UID] && pod.UID != lock.UID && ownerOf(pod) == policy.UID && w.store.born[pod.UID] <= r.lookedOwn {
			others++
		}
	}
	if others >= ptr.Deref(spec.MaxConcurrentDrains, 1) {
		refuse("as many ordinals have locks as spec.maxConcurrentDrains allows")
	}
}

// checkUngated asserts what must hold when the operator has let a drain pod run.
func (w *world) checkUngated(r *run, pod *corev1.Pod) {
	number, _ := strconv.ParseInt(pod.Labels[drainv1alpha1.OrdinalLabel], 10, 32)
	last := w.attempts[types.UID(pod.Annotations[drainv1alpha1.LockAnnotation])]
	if last != nil && !last.ran && r.set != nil && r.set.DeletionTimestamp == nil && wanted(r.set, int32(number)) {
		w.violate(invariantWanted, "pod %s was let run although ordinal %d was seen to be wanted", pod.Name, number)
	}
	claims := w.claimsOf(claimNames(&pod.Spec))
	for _, uid := range claims {
		if v := w.volumes[uid]; v != nil && v.markedBy == r.number && v.marked > r.looked {
			w.violate(invariantFresh, "pod %s was let run after a mark was written on claim %s, and what uses it was not looked at in between", pod.Name, uid)
		}
	}
	w.checkStrangers(r, &container{claims: claims}, pod.Name, "was let run")
}

// attempt is a Job that the operator has decided to make.
type attempt struct {
	job, template string
	made          time.Time
	// ran says that a pod of it has run.
	ran bool
	// late is when a Job came late that may take its place, or zero.
	late time.Time
}

// checkBackoff asserts that a drain isn't repeated in haste, whatever has become of the last attempt: under one lock, from
// one template, the first delay of spec.retry passes between two Jobs at least, if any pod of the first one ran. What
// was decided before the first one was there is none of a repetition. (Times in conditions are in whole seconds.)
func (w *world) checkBackoff(r *run, job *batchv1.Job, decided time.Time) {
	lock := types.UID(job.Annotations[drainv1alpha1.LockAnnotation])
	now := &attempt{job: job.Name, template: job.Annotations[drainv1alpha1.TemplateHashAnnotation], made: w.clock.now}
	w.made[lock]++
	last, repeated := w.attempts[lock]
	if repeated && !decided.After(last.made) {
		// It comes late, and may be the one whose pods run. Until one does, it counts for nothing.
		if now.ran = last.ran; last.ran {
			now.late, now.made = now.made, last.made
		}
		w.attempts[lock] = now
		return
	}
	w.attempts[lock] = now
	delay := int32(30)
	number, _ := strconv.ParseInt(job.Labels[drainv1alpha1.AttemptLabel], 10, 32)
	if policy := r.policies[ownerOf(job)]; policy != nil {
		delay = ptr.Deref(policy.Spec.Retry.InitialDelaySeconds, delay)
		if most := policy.Spec.Retry.MaxAttempts; most != nil && repeated && last.job != now.job && last.template == now.template && number > int64(*most) {
			w.violate(invariantAsked, "Job %s is attempt %d, and spec.retry.maxAttempts is %d", job.Name, number, *most)
		}
	}
	if !repeated || !last.ran || last.template != now.template {
		return
	}
	if passed := decided.Sub(last.made); passed < time.Duration(delay-1)*time.Second {
		w.violate(invariantBackoff, "Job %s is made %s after Job %s of the same lock, and %d s have to pass", now.job, passed, last.job, delay)
	}
}

// afterOperatorDeletes asserts what must hold when the operator has deleted something.
func (w *world) afterOperatorDeletes(r *run, object client.Object, decided time.Time) {
	if standing, read := r.standing[object.GetUID()]; !read || !standing {
		w.violate(invariantRead, "%s (%s) is deleted; read before: %t, not going yet: %t", object.GetName(), object.GetUID(), read, standing)
	}
	if c := w.containers[object.GetUID()]; c != nil && c.role == roleDebug {
		for _, uid := range c.used { // What the operator deletes it has seen.
			if v := w.volumes[uid]; v != nil {
				v.observed[c.uid] = true
			}
		}
	}
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok || claim.DeletionTimestamp != nil {
		return
	}
	_, ordinal, _ := cutOrdinal(claim.Name)
	if stripped, ok := w.sabotaged[lockName(ordinal)]; ok && stripped > r.looked {
		return // It was decided under a lock that was stripped then, and came late.
	}
	w.checkSiblings(r, claim)
	if claim.Annotations[drainv1alpha1.SkipAnnotation] == "true" {
		w.violate(invariantDelete, "claim %s is annotated to be left alone", claim.Name)
	}
	mark := markOf(claim)
	if mark.ClaimUID != claim.UID {
		w.violate(invariantDelete, "claim %s bears no mark of its own", claim.Name)
	}
	if age := decided.Sub(mark.Time.Time); age > markLasts+time.Second {
		w.violate(invariantDelete, "claim %s was marked %s before its deletion was decided", claim.Name, age)
	}
	w.checkMarkedSoon(claim, mark)
	v := w.volumes[claim.UID]
	if v == nil {
		return
	}
	if age := decided.Sub(r.lookedAt); !r.lookedAt.IsZero() && age > lookLasts {
		w.violate(invariantFresh, "the deletion of claim %s (%s) was decided %s after the look that it rests on", claim.Name, claim.UID, age)
		return
	}
	if v.markedBy == r.number && v.marked > r.looked {
		w.violate(invariantFresh, "claim %s (%s) is deleted after a mark was written on it, and not looked at in between", claim.Name, claim.UID)
		return
	}
	for _, record := range v.records {
		if !w.excused(r, v, record.by) {
			w.violate(invariantData, "claim %s (%s) is deleted with %d records on it; record %d is of pod %s", claim.Name, claim.UID, len(v.records), record.id, record.by.pod)
			return
		}
	}
	w.checkUsers(r, claim, v, invariantData, "is deleted")
}

// afterOperatorPatches asserts what must hold when the operator has written a mark, or has let a
// policy go.
func (w *world) afterOperatorPatches(r *run, before, after client.Object) {
	if policy, ok := after.(*drainv1alpha1.DrainPolicy); ok && slices.Contains(before.GetFinalizers(), drainv1alpha1.PolicyFinalizer) && !slices.Contains(policy.Finalizers, drainv1alpha1.PolicyFinalizer) {
		w.checkLettingGo(r, policy)
	}
	if policy, ok := after.(*drainv1alpha1.DrainPolicy); ok {
		w.afterOperatorForgets(r, before.(*drainv1alpha1.DrainPolicy), policy)
	}
	if pod, ok := after.(*corev1.Pod); ok && isLeaveJob(pod) && len(pod.Spec.SchedulingGates) < len(before.(*corev1.Pod).Spec.SchedulingGates) {
		w.checkLeaveAsked(r, pod)
		w.checkTurn(r, pod)
	}
	if pod, ok := after.(*corev1.Pod); ok && isDrain(pod) && len(pod.Spec.SchedulingGates) < len(before.(*corev1.Pod).Spec.SchedulingGates) {
		w.checkUngated(r, pod)
	}
	if pod, ok := after.(*corev1.Pod); ok && isLock(pod) {
		w.checkSeenUnused(r, before.(*corev1.Pod), pod)
	}
	claim, ok := after.(*corev1.PersistentVolumeClaim)
	if !ok || before.GetAnnotations()[drainv1alpha1.DrainedAnnotation] == claim.Annotations[drainv1alpha1.DrainedAnnotation] {
		return
	}
	w.marked = claim.Name
	v := w.volumes[claim.UID]
	if v != nil {
		v.marked, v.markedBy = w.store.version, r.number
	}
	m := markOf(claim)
	if v != nil && m.LockUID == "" && m.StatefulSetUID == "" && !m.Absent {
		// It is void: the use that made it so is on record. A write that hung knows nothing of those who came since its look.
		for _, user := range v.users {
			if user.created <= r.looked {
				v.observed[user.uid] = true
			}
		}
	}
	if conditions := claim.Status.Conditions; m.LockUID != "" && len(conditions) > 0 && conditions[0].Status != corev1.ConditionTrue {
		w.violate(invariantMark, "claim %s is marked as drained while it is reported as used", claim.Name)
	}
	if !w.holds(claim) {
		return // It says nothing about now: it is void, or came late, or is written so that others come too late.
	}
	if v == nil {
		w.violate(invariantMark, "claim %s has no volume that could have been drained", claim.Name)
		return
	}
	w.tolerate(claim, v)
	w.checkUsers(r, claim, v, invariantMark, "is marked as drained")
}

// writeStatus writes the status of a policy and asserts that it is sound.
func (w *world) writeStatus(asked *drainv1alpha1.DrainPolicy) (client.Object, error) {
	before := get[*drainv1alpha1.DrainPolicy](w.store, asked.Name)
	written, err := w.store.writeStatus(asked)
	if after, ok := written.(*drainv1alpha1.DrainPolicy); ok && err == nil {
		if unsound := conditions.CheckWrite(before, after); unsound != nil {
			w.violate(invariantSound, "policy %s: %v", after.Name, unsound)
		}
	}
	return written, err
}

// checkLettingGo asserts that nothing was to be seen of what a policy is kept for.
func (w *world) checkLettingGo(r *run, policy *drainv1alpha1.DrainPolicy) {
	for _, k := range []kind{pods, jobs} {
		for _, object := range sortedObjects[client.Object](w.store.objects[k]) {
			job, isJob := object.(*batchv1.Job)
			if ownerOf(object) == policy.UID && !isLeaveJob(object) && !w.maimed[object.GetUID()] && w.store.born[object.GetUID()] <= r.lookedOwn && (!isJob || !finished(job)) {
				w.violate(invariantPolicy, "policy %s is let go, and there is %s", policy.Name, object.GetName())
			}
		}
	}
}

// checkSiblings asserts that the other claims of an ordinal can be spared too when one is deleted:
// they are drained as well, or new.
func (w *world) checkSiblings(r *run, claim *corev1.PersistentVolumeClaim) {
	_, ordinal, _ := cutOrdinal(claim.Name)
	for _, sibling := range list[*corev1.PersistentVolumeClaim](w.store) {
		_, number, _ := cutOrdinal(sibling.Name)
		v := w.volumes[sibling.UID]
		if number != ordinal || sibling.UID == claim.UID || v == nil || v.restored || sibling.DeletionTimestamp != nil {
			continue
		}
		for _, user := range v.users {
			if !w.excused(r, v, user) {
				w.violate(invariantParts, "claim %s is deleted and %s isn't drained since pod %s used it", claim.Name, sibling.Name, user.pod)
			}
		}
	}
}

// checkUsers asserts that no pod has used a claim since it was drained.
func (w *world) checkUsers(r *run, claim *corev1.PersistentVolumeClaim, v *volume, invariant, what string) {
	if !v.drained {
		w.violate(invariant, "claim %s (%s) %s and no drain of it has ever succeeded", claim.Name, claim.UID, what)
		return
	}
	for _, user := range v.users {
		if !w.excused(r, v, user) {
			w.violate(invariant, "claim %s (%s) %s although pod %s has used it since its drain", claim.Name, claim.UID, what, user.pod)
			return
		}
	}
}

// excused reports whether the operator could not know of a pod's use of a claim: the pod was deleted
// by force while it ran, or it is a stranger's that came after the operator's look, or that
// Kubernetes has not reported on the claim.
func (w *world) excused(r *run, v *volume, user *container) bool {
	if user.ghost {
		return true
	}
	if user.role != roleDebug {
		return false
	}
	return user.created > r.looked || v.tolerated[user.uid] || w.hidden(v, user)
}

// hidden reports whether nothing that Kubernetes holds shows, or has ever shown, a pod's use of a claim.
func (w *world) hidden(v *volume, user *container) bool {
	if user.ghost {
		return true
	}
	if user.role != roleDebug {
		return false
	}
	pod := get[*corev1.Pod](w.store, user.pod)
	there := pod != nil && pod.UID == user.uid && !terminal(pod)
	return !there && !v.observed[user.uid]
}

// unusedLag is how long after the end of a Job its claims may be reported as unused and still count
// as not used by another pod. Every attempt under the same lock that wasn't believed because of that allows
// twice as long, up to the maximum (usedLate in internal/plan).
const (
	unusedLag    = 10 * time.Second
	maxUnusedLag = 10 * time.Minute
)

// lookLasts is how long after a look of all pods the deletion of a claim may be decided (maxLookAge in internal/controller).
const lookLasts = 5 * time.Second

// markLasts is how long after its mark a claim may be deleted. (Times in marks are in whole seconds.)
const markLasts = time.Minute

// remembered is what a lock says of the latest attempt, as far as it decides which report comes too late.
type remembered struct {
	Number, Late           int
	Failed                 *metav1.Time
	UnusedFrom, SeenUnused metav1.Time
}

func rememberedOn(lock client.Object) (attempt remembered) {
	if lock != nil {
		_ = json.Unmarshal([]byte(lock.GetAnnotations()[drainv1alpha1.AttemptAnnotation]), &attempt)
	}
	return attempt
}

// checkMarkedSoon asserts that a claim which is deleted was marked soon after its drain, or after a look that showed it unused since: a pod that
// used it later than that may have left no trace.
func (w *world) checkMarkedSoon(claim *corev1.PersistentVolumeClaim, m mark) {
	job := w.complete[m.JobUID]
	if job == nil {
		return
	}
	// The first look may come unusedLag after the Job's end, and times in annotations are in whole seconds.
	latest := w.latestReport(claim, job, m.Repeats).Add(unusedLag + markLasts + 2*time.Second)
	if m.Time.After(latest) {
		w.violate(invariantDelete, "claim %s is deleted, and was marked %s after the end of Job %s", claim.Name, m.Time.Sub(job.Status.CompletionTime.Time), job.Name)
	}
}

// latestReport is until when a claim that a Job drained may be reported as unused and still count as not used by another pod.
// It may take as much longer as looks have shown meanwhile that no pod uses it. The drain may have been repeated late times because of late reports
// under earlier locks.
func (w *world) latestReport(claim *corev1.PersistentVolumeClaim, job *batchv1.Job, late int) time.Time {
	_, ordinal, _ := cutOrdinal(claim.Name)
	var attempt remembered
	if lock := get[*corev1.Pod](w.store, lockName(ordinal)); lock != nil {
		attempt = rememberedOn(lock)
	}
	lag, watched := unusedLag, time.Duration(0)
	if number := strconv.Itoa(attempt.Number); job.Labels[drainv1alpha1.AttemptLabel] == number {
		watched = max(0, attempt.SeenUnused.Sub(attempt.UnusedFrom.Time))
	}
	for late = max(late, attempt.Late); late > 0 && lag < maxUnusedLag; late-- {
		lag *= 2
	}
	return job.Status.CompletionTime.Add(min(lag, maxUnusedLag) + watched)
}

// checkSeenUnused asserts that what a lock says a look has shown is what there was to see, and that the looks before it were
// close enough.
func (w *world) checkSeenUnused(r *run, before, lock *corev1.Pod) {
	was, is := rememberedOn(before), rememberedOn(lock)
	if is.SeenUnused.IsZero() || is.SeenUnused.Equal(&was.SeenUnused) {
		return
	}
	number, _ := strconv.ParseInt(lock.Labels[drainv1alpha1.OrdinalLabel], 10, 32)
	for _, claim := range list[*corev1.PersistentVolumeClaim](w.store) {
		if _, ordinal, _ := cutOrdinal(claim.Name); int64(ordinal) != number || w.volumes[claim.UID] == nil {
			continue
		}
		for _, user := range w.volumes[claim.UID].users {
			pod := get[*corev1.Pod](w.store, user.pod)
			if pod != nil && pod.UID == user.uid && !terminal(pod) && user.role != roleDrain && user.created <= r.looked {
				w.violate(invariantMark, "lock %s says that no pod used claim %s, and pod %s does", lock.Name, claim.Name, pod.Name)
			}
		}
	}
	if was.Number == is.Number && !was.SeenUnused.IsZero() && (is.SeenUnused.After(was.SeenUnused.Add(unusedLag)) || !is.UnusedFrom.Equal(&was.UnusedFrom)) {
		w.violate(invariantMark, "lock %s says that no pod has used its claims from %s until %s, and the look before was at %s",
			lock.Name, is.UnusedFrom.Format(time.TimeOnly), is.SeenUnused.Format(time.TimeOnly), was.SeenUnused.Format(time.TimeOnly))
	}
}

// tolerate notes the strangers that are gone and that the operator takes for the drain itself.
func (w *world) tolerate(claim *corev1.PersistentVolumeClaim, v *volume) {
	if len(claim.Status.Conditions) == 0 {
		return
	}
	since := claim.Status.Conditions[0].LastTransitionTime
	// One that is gone was there when the mark was decided.
	for _, job := range w.complete {
		if !slices.Contains(claimNames(&job.Spec.Template.Spec), claim.Name) || since.After(w.latestReport(claim, job, 0)) {
			continue
		}
		for _, user := range v.users {
			pod := get[*corev1.Pod](w.store, user.pod)
			if user.role == roleDebug && (pod == nil || pod.UID != user.uid || terminal(pod)) {
				v.tolerated[user.uid] = true
			}
		}
	}
}

// mark is what matters of the annotation that says that a claim is drained.
type mark struct {
	ClaimUID, LockUID, StatefulSetUID types.UID
	JobUID                            types.UID
	Generation                        int64
	Attempts, Repeats                 int
	Absent                            bool
	UnusedSince                       *metav1.Time
	Time                              metav1.Time
}

// holds reports whether the mark on a claim can be taken to hold now.
func (w *world) holds(claim *corev1.PersistentVolumeClaim) bool {
	m := markOf(claim)
	var since *metav1.Time
	if conditions := claim.Status.Conditions; len(conditions) > 0 {
		if conditions[0].Status != corev1.ConditionTrue {
			return false
		}
		since = &conditions[0].LastTransitionTime
	}
	_, ordinal, _ := cutOrdinal(claim.Name)
	if m.ClaimUID != claim.UID || !m.UnusedSince.Equal(since) {
		return false
	}
	if lock := get[*corev1.Pod](w.store, lockName(ordinal)); lock != nil && isLock(lock) && lock.UID == m.LockUID {
		// A mark that hung comes after the lock was told that its attempt has failed.
		last := rememberedOn(lock)
		return m.Attempts > last.Number || m.Attempts == last.Number && last.Failed == nil
	}
	set := get[*appsv1.StatefulSet](w.store, setName)
	if set == nil {
		return m.Absent && m.StatefulSetUID == w.lastSet
	}
	return !wanted(set, ordinal) && set.UID == m.StatefulSetUID && (set.Generation == m.Generation || set.Generation == m.Generation+1)
}

// markOf returns the mark on a claim; it is read here independently of the operator's own code.
func markOf(claim *corev1.PersistentVolumeClaim) mark {
	var m mark
	if json.Unmarshal([]byte(claim.Annotations[drainv1alpha1.DrainedAnnotation]), &m) != nil {
		return mark{}
	}
	return m
}
