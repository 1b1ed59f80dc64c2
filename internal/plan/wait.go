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
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// unasked says why no drain of the ordinal is asked for, or why there can be none.
func (p *planner) unasked(o *ordinal, d *Drain) bool {
	switch {
	case skipped(o) != "":
		d.say(drainv1alpha1.DrainRetained, drainv1alpha1.ReasonSkipped, "Claim %q carries the annotation %s, so the ordinal is left alone", skipped(o), drainv1alpha1.SkipAnnotation)
		return true
	case p.drainsDeleted():
		// It is gone, and that is what asks for the drain.
	case p.Target.Deleting && p.Policy.Spec.WhenDeleted == drainv1alpha1.WhenDeletedDrain:
		d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonStatefulSetNotFound, "The StatefulSet is being deleted; the drain starts when it is gone, because spec.whenDeleted is Drain")
		return true
	case !p.Target.Stands():
		d.say(drainv1alpha1.DrainRetained, drainv1alpha1.ReasonStatefulSetNotFound, "The StatefulSet is gone; its claims are kept undrained")
		return true
	case p.Policy.Spec.WhenScaled == drainv1alpha1.WhenScaledRetain:
		d.say(drainv1alpha1.DrainRetained, drainv1alpha1.ReasonWhenScaledRetain, "The claims are kept undrained, because spec.whenScaled is Retain")
		return true
	}
	if p.neverBound(o) {
		d.say(drainv1alpha1.DrainRetained, drainv1alpha1.ReasonNeverBound, "The claims never had a volume, so they hold no data")
		return true
	}
	if p.ready.Reason == drainv1alpha1.ReasonAmbiguousClaims {
		// The claims that seem to be missing may be the ambiguous ones.
		return p.unarmed(d)
	}
	if len(o.claims) < len(p.Target.ClaimTemplates) {
		d.say(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimMissing, "Claim %q does not exist; restore it, or annotate the others with %s: \"true\"", p.missing(o), drainv1alpha1.SkipAnnotation)
		return true
	}
	for i := range o.claims {
		claim := &o.claims[i]
		if claim.DeletionTimestamp != nil {
			d.say(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimTerminating, "Claim %q is being deleted, and not by the operator; no new pod can mount it, and its data is lost undrained", claim.Name)
			return true
		}
		if claim.Status.Phase == corev1.ClaimLost {
			d.say(drainv1alpha1.DrainBlocked, drainv1alpha1.ReasonClaimLost, "Claim %q has lost its volume; restore the PersistentVolume %q, or annotate the claim with %s: \"true\"", claim.Name, claim.Spec.VolumeName, drainv1alpha1.SkipAnnotation)
			return true
		}
	}
	return false
}

// armed says whether the policy can start a drain: it is ready, or its StatefulSet is gone,
// which is what asks for the drain, and all else is well.
func (p *planner) armed() Condition {
	if p.drainsDeleted() && p.ready.Reason == drainv1alpha1.ReasonStatefulSetNotFound {
		if p.Target.ZeroGracePeriod() {
			return refuse(drainv1alpha1.ReasonGracePeriodZero,
				"StatefulSet %q had terminationGracePeriodSeconds: 0, so containers of its pods may still run; the claims are kept undrained", p.Policy.Spec.StatefulSetRef.Name)
		}
		return p.template
	}
	return p.ready
}

// unarmed says that the policy can't start a drain.
func (p *planner) unarmed(d *Drain) bool {
	condition := p.armed()
	if condition.Status == metav1.ConditionTrue {
		return false
	}
	d.say(drainv1alpha1.DrainWaiting, condition.Reason, "%s", condition.Message)
	return true
}

// awaitPreflight says whether all that keeps a drain from starting is that the API server was not asked about the template
// and the StatefulSet as this look sees them: one of them changed after the preflight. It is asked with the next reconcile,
// which the change brings about, so the lock is kept for as long.
func (p *planner) awaitPreflight(o *ordinal, d *Drain) bool {
	condition := p.armed()
	if p.asked() || condition.Reason != drainv1alpha1.ReasonPreflightFailed {
		return false
	}
	d.say(drainv1alpha1.DrainWaiting, condition.Reason, "%s", condition.Message)
	if o.lock != nil {
		d.say(drainv1alpha1.DrainDraining, drainv1alpha1.ReasonLocked, "%s", condition.Message)
	}
	d.RetryAfter = recheck
	return true
}

// orphanedSince returns since when the ordinal is known to be out of range. The status is the
// memory of it, for as long as the StatefulSet's generation shows that it didn't come back in
// the meantime; a claim that some pod used later says more. When in doubt, the time starts anew.
func (p *planner) orphanedSince(o *ordinal) metav1.Time {
	since := metav1.NewTime(p.now.UTC().Truncate(time.Second))
	last := p.Policy.Status.StatefulSet
	unbroken := last != nil && p.Target.Exists() && last.UID == string(p.Target.UID) && p.Target.Generation-ptr.Deref(last.Generation, 0) <= 1
	if !p.Target.Exists() || unbroken {
		if entry := find(p.Policy.Status.Drains, o.number); entry != nil && entry.OrphanedTime != nil {
			since = *entry.OrphanedTime
		}
	}
	if o.lock != nil {
		return since
	}
	for i := range o.claims {
		if unused, known := claims.UnusedSince(&o.claims[i]); known && unused != nil && unused.After(since.Time) {
			since = *unused
		}
	}
	return since
}

// awaitAge says whether the ordinal hasn't been out of range for long enough.
func (p *planner) awaitAge(d *Drain) bool {
	due := d.OrphanedSince.Add(time.Duration(ptr.Deref(p.Policy.Spec.MinOrphanedSeconds, 0)) * time.Second)
	if !p.now.Before(due) {
		return false
	}
	d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForMinOrphanedSeconds, "Its drain starts at %s; until then, scaling up undoes the scale-down", due.UTC().Format(time.RFC3339))
	d.RetryAfter = due.Sub(p.now)
	return true
}

// awaitMark says whether the ordinal was drained a moment ago, and only the StatefulSet's generation makes its marks
// void. It must be drained again, because it may have been in range in between; something that changes the StatefulSet again
// and again must not drain it again and again.
func (p *planner) awaitMark(o *ordinal, d *Drain) bool {
	for i := range o.claims {
		mark := claims.ReadMark(&o.claims[i])
		if mark == nil || !p.Target.Exists() || mark.StatefulSetUID != p.Target.UID || mark.Generation == 0 || p.holds(o, &o.claims[i]) {
			continue
		}
		if due := mark.Time.Add(Backoff(p.Policy.Spec.Retry, 1)); p.now.Before(due) {
			d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonDrainedBefore, "The StatefulSet has changed too often since the ordinal was drained at %s to tell that it stayed out of range; draining it again at %s", mark.Time.UTC().Format(time.RFC3339), due.UTC().Format(time.RFC3339))
			d.RetryAfter = due.Sub(p.now)
			return true
		}
	}
	return false
}

// awaitController says whether the StatefulSet controller may still act on a spec from before
// the present one, and make a pod for the ordinal once its name is free.
func (p *planner) awaitController(d *Drain) bool {
	if !p.Target.Behind() {
		return false
	}
	d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonStatefulSetNotObserved, "Waiting for the StatefulSet controller to see generation %d of the StatefulSet", p.Target.Generation)
	return true
}

// awaitReplicas says whether too few replicas are there to take the data. While a scale-down
// is under way, pods that are about to go still count as ready in the StatefulSet's status,
// hence the minimum.
func (p *planner) awaitReplicas(d *Drain) bool {
	least := ptr.Deref(p.Policy.Spec.MinReadyReplicas, 1)
	remaining := min(p.Target.ReadyReplicas, p.Target.Replicas)
	if remaining >= least {
		return false
	}
	d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForReadyReplicas,
		"Waiting for ready replicas: %d of those that remain are ready and spec.minReadyReplicas is %d; scale up, or set it to 0 if the drain takes the data elsewhere", remaining, least)
	return true
}

// maxNamed bounds how many ordinals a message names.
const maxNamed = 3

// awaitTurn says whether as many ordinals have a lock as may have one, and which: one of them
// that is stuck keeps the others waiting.
func (p *planner) awaitTurn(d *Drain) bool {
	most := int(ptr.Deref(p.Policy.Spec.MaxConcurrentDrains, 1))
	if len(p.locked) < most {
		return false
	}
	var names []string
	for _, number := range p.locked[:min(len(p.locked), maxNamed)] {
		names = append(names, strconv.Itoa(int(number)))
	}
	if more := len(p.locked) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonWaitingForSlot, "Waiting for its turn behind ordinal %s: spec.maxConcurrentDrains is %d, and the highest ordinal goes first", strings.Join(names, ", "), most)
	return true
}

// awaitOthers says whether pods other than the drain's stand in the way. Only a live
// snapshot shows them all.
func (p *planner) awaitOthers(o *ordinal, d *Drain) bool {
	name := p.Target.PodName(o.number)
	for i := range p.Pods {
		pod := &p.Pods[i]
		if pod.Name != name {
			continue
		}
		d.RetryAfter = recheck
		if pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock {
			d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonLockHeld, "Waiting for pod %q to be released, the lock of %s", pod.Name, holder(pod))
			return true
		}
		d.Overdue = overdueSince(pod)
		d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists, "Waiting for pod %q on node %q to terminate%s", pod.Name, pod.Spec.NodeName, p.ifItHangs(pod))
		return true
	}
	if user := p.user(o); user != nil {
		d.say(drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonClaimInUse, "Waiting for pod %q, which uses a claim of the ordinal, to terminate", user.Name)
		d.RetryAfter = recheck
		return true
	}
	return false
}

// holder names the policy whose lock a pod is.
func holder(lock *corev1.Pod) string {
	owner, ok := Holder(lock)
	if !ok {
		return "an unknown policy; if no operator runs that could release it, delete it and remove its finalizer"
	}
	return fmt.Sprintf("%s %q (UID %s), which is released when no drain runs under it", owner.Kind, owner.Name, owner.UID)
}

// overdueSince returns since when a pod should have ended, or zero. A StatefulSet's pod that is not ready and not deleted
// may be on a node that is down: an ordered StatefulSet's controller does not delete it then.
func overdueSince(pod *corev1.Pod) metav1.Time {
	if pod.DeletionTimestamp != nil {
		return *pod.DeletionTimestamp
	}
	for i := range pod.Status.Conditions {
		if ready := &pod.Status.Conditions[i]; ready.Type == corev1.PodReady && ready.Status == corev1.ConditionFalse {
			return ready.LastTransitionTime
		}
	}
	return metav1.Time{}
}

// ifItHangs returns what to do about the StatefulSet's pod of an ordinal that doesn't go. An ordered
// StatefulSet's controller deletes no pod while one before it isn't ready, so one on a node that is
// down may not even be told to go (kubernetes/pkg/controller/statefulset, processCondemned).
func (p *planner) ifItHangs(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil {
		return p.ifNodeIsDown(pod)
	}
	for i := range pod.Status.Conditions {
		ready := &pod.Status.Conditions[i]
		if ready.Type == corev1.PodReady && ready.Status == corev1.ConditionFalse && !p.now.Before(ready.LastTransitionTime.Add(overdue)) {
			return fmt.Sprintf("; it has not been ready since %s and was not deleted. If its node is down for good, say so: %s",
				ready.LastTransitionTime.UTC().Format(time.RFC3339), outOfService(pod))
		}
	}
	return ""
}

// controls reports whether a Job of the ordinal that has a controller, the policy, is a pod's.
func (o *ordinal) controls(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(pod)
	return owner != nil && (o.job != nil && o.job.UID == owner.UID ||
		slices.ContainsFunc(o.others, func(job batchv1.Job) bool { return job.UID == owner.UID && !orphaned(&job) }))
}

// user returns a pod that uses a claim of the ordinal, other than those of the ordinal's Jobs. A drain pod that lost its
// Job is a user too: any pod can bear the operator's labels.
func (p *planner) user(o *ordinal) *corev1.Pod {
	for i := range p.Pods {
		pod := &p.Pods[i]
		if terminal(pod) || o.controls(pod) {
			continue
		}
		for j := range pod.Spec.Volumes {
			name := claimOf(pod, &pod.Spec.Volumes[j])
			if slices.ContainsFunc(o.claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == name }) {
				return pod
			}
		}
	}
	return nil
}

// claimOf returns the name of the claim that a volume is of, or "". That of a generic ephemeral volume is named after the pod
// (kubernetes/component-helpers, ephemeral.VolumeClaimName).
func claimOf(pod *corev1.Pod, volume *corev1.Volume) string {
	switch {
	case volume.PersistentVolumeClaim != nil:
		return volume.PersistentVolumeClaim.ClaimName
	case volume.Ephemeral != nil:
		return pod.Name + "-" + volume.Name
	}
	return ""
}

func (p *planner) neverBound(o *ordinal) bool {
	for i := range o.claims {
		if o.claims[i].Spec.VolumeName != "" || o.claims[i].Status.Phase != corev1.ClaimPending {
			return false
		}
	}
	return true
}

// missing returns the name of a claim that the ordinal should have and hasn't.
func (p *planner) missing(o *ordinal) string {
	for _, name := range p.Target.ClaimNames(o.number) {
		if !slices.ContainsFunc(o.claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == name }) {
			return name
		}
	}
	return ""
}

// skipped returns the name of a claim that asks to be left alone, or "".
func skipped(o *ordinal) string {
	for i := range o.claims {
		if o.claims[i].Annotations[drainv1alpha1.SkipAnnotation] == "true" {
			return o.claims[i].Name
		}
	}
	return ""
}
