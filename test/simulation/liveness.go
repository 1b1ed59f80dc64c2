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
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// rounds is how often everything gets a turn after the faults have stopped, and quietRounds
// after how many without a change nothing more is expected.
const (
	rounds      = 240
	quietRounds = 4
	// keptJobs is how many finished Jobs are kept for their logs.
	keptJobs  = 10
	roundTime = 30 * time.Second
	// preflightRounds is how long the operator waits at most before it asks about a template once more, 10 minutes.
	preflightRounds = 21
	// troubledRounds is how often before a person puts right what only a person can.
	troubledRounds = 40
	// repeatedJobs is how many Jobs under one lock no person need hear of.
	repeatedJobs = 8
	// patience is how long a person may not be called.
	patience = 30 * time.Minute
)

// settleKubernetes gives each of Kubernetes' own controllers a turn.
func (w *world) settleKubernetes() {
	c := w.choices
	overlooked := c.chance(w.sloth)
	if w.cruel > 0 && c.chance(w.cruel) {
		w.disturbSome()
	}
	w.choices = &choices{}
	defer func() { w.choices = c }()
	w.sets.step(w.choices)
	w.jobs.step(w.choices)
	w.stepScheduler()
	if w.impatient > 0 && c.chance(w.impatient) {
		w.discardUnderDrain()
	}
	w.stepKubelets()
	w.garbage.step(w.choices)
	w.protectClaims()
	w.collectPods()
	if !overlooked {
		w.unuser.step()
	}
}

// settle stops all faults, lets everything come to rest, and asserts what must then be so.
func (w *world) settle() {
	w.note("the faults stop")
	w.target, w.patience, w.sets.blind, w.jobs.stuck, w.cruel, w.impatient = "", 0, 0, 0, 0, 0
	w.managers[0].asleep, w.managers[1].asleep = 0, 0
	for _, m := range w.managers {
		m.finish()
	}
	for _, c := range w.hanging {
		w.land(c)
	}
	w.hanging = nil
	for node := range w.nodes {
		w.nodes[node] = nodeUp
	}
	clear(w.unregistered)
	if w.troubled() {
		quiet := w.getNowhere()
		if w.broken == nil {
			w.checkAlarm(quiet)
			w.checkSuspended(quiet)
		}
		w.repair()
	}
	w.removeStrangers()
	quiet := w.goQuiet(rounds)
	if w.broken != nil {
		return
	}
	if !quiet {
		w.violate(invariantLiveness, "after %d rounds there is still no rest", rounds)
		return
	}
	if w.missesMember() && w.broken == nil {
		w.note("a person adds the Job by which members leave and join again")
		update(w.store, w.inCharge().Name, func(policy *drainv1alpha1.DrainPolicy) { policy.Spec.Leave = w.leaveOptions() })
		if quiet = w.goQuiet(rounds); !quiet && w.broken == nil {
			w.violate(invariantLiveness, "after %d rounds there is still no rest", rounds)
		}
	}
	if w.broken != nil {
		return
	}
	w.checkPolicies()
	w.checkOrdinals()
	w.checkScaled()
}

// getNowhere lets everything come to rest, and then time pass until a person is called. It reports whether nothing was tried
// again in that time: the delay of a retry can end in it.
func (w *world) getNowhere() bool {
	for range repeatedJobs {
		if !w.goQuiet(troubledRounds) {
			return false
		}
		before := maps.Clone(w.made)
		w.clock.now = w.clock.now.Add(patience)
		w.goQuiet(quietRounds)
		if maps.Equal(before, w.made) {
			return w.broken == nil
		}
	}
	return false
}

// goQuiet gives everything a turn, this often at most, and reports whether nothing happens any more. In a history that lags,
// everything goes on lagging: the operator's caches, the controllers and the nodes.
func (w *world) goQuiet(rounds int) bool {
	m := w.leader()
	enough := quietRounds + int(w.unusedLag/roundTime)
	if w.lagging {
		rounds, enough = 3*rounds, 3*enough
	}
	for round, quiet := 0, 0; round < rounds && w.broken == nil; round++ {
		before, seen := w.store.version+w.progress, w.lengths()
		if !w.lagging || round%3 == 0 {
			w.settleKubernetes()
		}
		w.letClaimsGo()
		w.clearOrphans()
		w.check()
		w.settleRound(m, seen)
		w.clock.now = w.clock.now.Add(roundTime)
		w.step++
		quiet++
		if w.store.version+w.progress != before || w.sets.behind() {
			quiet = 0
		}
		if quiet >= enough && (quiet >= preflightRounds || !w.awaitsPreflight()) {
			return true
		}
	}
	return false
}

// awaitsPreflight reports whether a policy waits to ask the API server once more about its template, which could not be asked: that comes by
// itself, and later after each failure.
func (w *world) awaitsPreflight() bool {
	return slices.ContainsFunc(list[*drainv1alpha1.DrainPolicy](w.store), func(policy *drainv1alpha1.DrainPolicy) bool {
		ready := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady)
		return ready != nil && ready.Reason == drainv1alpha1.ReasonPreflightFailed
	})
}

// settleRound has the operator look at everything that there is, on caches that lack nothing, or nothing older than the
// last round.
func (w *world) settleRound(m *manager, seen [kinds]int) {
	catchUp := func() {
		for k := range kinds {
			if w.lagging {
				m.view.deliver(k, max(0, seen[k]-m.view.at[k]))
			} else {
				m.view.deliver(k, len(w.store.log[k]))
			}
		}
	}
	if w.annotated {
		catchUp()
		if m.run == nil {
			m.startAnnotations()
		}
		m.finish()
	}
	for _, name := range w.policyNames() {
		if name == rivalPolicy && get[*drainv1alpha1.DrainPolicy](w.store, name) == nil && !w.hasLocks(name) {
			continue
		}
		catchUp()
		if m.run == nil {
			m.start(name)
		}
		m.finish()
		w.check()
	}
}

// lengths are those of the logs.
func (w *world) lengths() (lengths [kinds]int) {
	for k := range kinds {
		lengths[k] = len(w.store.log[k])
	}
	return lengths
}

// removeStrangers ends what users have started, forged Jobs included.
func (w *world) removeStrangers() {
	for _, job := range list[*batchv1.Job](w.store) {
		if job.Labels["app"] == debugRole {
			_ = w.store.delete(jobs, job.Name, deletion{propagation: metav1.DeletePropagationBackground})
		}
	}
	for _, pod := range list[*corev1.Pod](w.store) {
		if isDebug(pod) {
			_ = w.store.delete(pods, pod.Name, deletion{})
		}
	}
}

// troubled reports whether something is wrong that only a person can change.
func (w *world) troubled() bool {
	_, lost := some(w, isLost)
	return lost || get[*appsv1.StatefulSet](w.store, otherSet) != nil || len(w.webhooks) > 0 || w.oddTemplates() || w.unuser.off || slices.ContainsFunc(list[*batchv1.Job](w.store), func(job *batchv1.Job) bool {
		return (ptr.Deref(job.Spec.Suspend, false) || job.Spec.ManagedBy != nil) && !finished(job)
	}) || slices.ContainsFunc(list[*corev1.Pod](w.store), func(pod *corev1.Pod) bool {
		c := w.containers[pod.UID]
		return c != nil && c.beside && c.live || c != nil && stays(pod, c)
	})
}

// repair is what a person does about that: Jobs that were made in the meantime may never end.
func (w *world) repair() {
	w.note("a person puts right what is wrong")
	w.webhooks, w.unuser.off = nil, false
	_ = w.store.delete(sets, otherSet, deletion{propagation: metav1.DeletePropagationBackground})
	for _, claim := range list[*corev1.PersistentVolumeClaim](w.store) {
		if isLost(claim) {
			w.setPhaseOfClaim(claim.Name, corev1.ClaimBound)
		}
	}
	good := w.goodTemplate(imageDrain)
	if w.annotated {
		w.annotate(asAnnotation(good))
	}
	for _, name := range []string{ownPolicy, rivalPolicy} {
		update(w.store, name, func(policy *drainv1alpha1.DrainPolicy) {
			good.Spec.RestartPolicy = policy.Spec.Template.Spec.RestartPolicy
			policy.Spec.Template = good
			if believesNever(policy) {
				policy.Spec.Proof = drainv1alpha1.ProofReceipt
			}
		})
	}
	for _, job := range list[*batchv1.Job](w.store) {
		if !finished(job) {
			_ = w.store.delete(jobs, job.Name, deletion{propagation: metav1.DeletePropagationBackground})
		}
	}
}

// checkAlarm asserts that Stalled says so when a drain gets nowhere for as long as no person acts: when nothing happens any
// more, or when it fails again and again.
func (w *world) checkAlarm(quiet bool) {
	policy := w.inCharge()
	if policy == nil || w.unusedLag > 0 || policy.DeletionTimestamp != nil || ptr.Deref(policy.Spec.Suspend, false) {
		return
	}
	stalled := meta.IsStatusConditionTrue(policy.Status.Conditions, drainv1alpha1.ConditionStalled)
	for i := range policy.Status.Drains {
		e := &policy.Status.Drains[i]
		if lock := get[*corev1.Pod](w.store, lockName(*e.Ordinal)); lock != nil && w.made[lock.UID] > repeatedJobs && !stalled {
			w.violate(invariantAlarm, "%d Jobs were made for ordinal %d under one lock, and Stalled isn't True: %s", w.made[lock.UID], *e.Ordinal, entryOf(policy, *e.Ordinal))
		}
		suspended := slices.ContainsFunc(list[*batchv1.Job](w.store), func(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Suspend, false) })
		stuck := e.State == drainv1alpha1.DrainFailed && e.Attempts > 4
		if quiet {
			stuck = e.State == drainv1alpha1.DrainDraining || e.State == drainv1alpha1.DrainBlocked || e.State == drainv1alpha1.DrainFailed && !awaitsRetry(e)
		}
		if stuck && !stalled && !suspended {
			w.violate(invariantAlarm, "ordinal %d gets nowhere and Stalled isn't True: %s", *e.Ordinal, entryOf(policy, *e.Ordinal))
		}
	}
}

// checkSuspended asserts that no pod of the StatefulSet waits for a suspended Job that nothing runs of.
func (w *world) checkSuspended(quiet bool) {
	set := get[*appsv1.StatefulSet](w.store, setName)
	if !quiet || set == nil || w.inCharge() == nil {
		return
	}
	for _, job := range list[*batchv1.Job](w.store) {
		number, _ := strconv.ParseInt(job.Labels[drainv1alpha1.OrdinalLabel], 10, 32)
		live := slices.ContainsFunc(list[*corev1.Pod](w.store), func(pod *corev1.Pod) bool { return ownerOf(pod) == job.UID && !terminal(pod) })
		if ownerOf(job) == w.inCharge().UID && wanted(set, int32(number)) && ptr.Deref(job.Spec.Suspend, false) && !finished(job) && !live {
			w.violate(invariantLiveness, "ordinal %d is wanted and waits for Job %s, which is suspended", number, job.Name)
		}
	}
}

// awaitsRetry reports whether a drain that failed waits for its next attempt, and has failed too few times to call a person.
// The delay between two attempts can be longer than it takes to come to rest.
func awaitsRetry(e *drainv1alpha1.DrainStatus) bool {
	retried := []string{drainv1alpha1.ReasonJobFailed, drainv1alpha1.ReasonNotProven, drainv1alpha1.ReasonJobDeleted, drainv1alpha1.ReasonPodChanged}
	return e.Attempts < 3 && slices.Contains(retried, e.Reason)
}

// inCharge returns the policy that counts, or nil.
func (w *world) inCharge() *drainv1alpha1.DrainPolicy {
	policy := get[*drainv1alpha1.DrainPolicy](w.store, w.policyNames()[0])
	if rival := get[*drainv1alpha1.DrainPolicy](w.store, rivalPolicy); policy == nil || (rival != nil && (w.annotated || rival.CreationTimestamp.Before(&policy.CreationTimestamp))) {
		policy = rival
	}
	return policy
}

// hasLocks reports whether there are locks of a policy with this name.
func (w *world) hasLocks(policy string) bool {
	return slices.ContainsFunc(list[*corev1.Pod](w.store), func(pod *corev1.Pod) bool {
		return isLock(pod) && pod.Annotations[drainv1alpha1.PolicyAnnotation] == policy
	})
}

// letClaimsGo is what a user does whose deletion of a claim waits for a pod of the StatefulSet that
// can't start because of it. The operator's own pods are the operator's to clear, but for
// those that a user took from their Job and whose policy a user removed too.
func (w *world) letClaimsGo() {
	for _, pod := range list[*corev1.Pod](w.store) {
		policy := pod.Labels[drainv1alpha1.PolicyUIDLabel]
		abandoned := policy != "" && !w.exists(policies, types.UID(policy)) && ownerOf(pod) == ""
		if c := w.containers[pod.UID]; (c != nil && c.live) || pod.DeletionTimestamp != nil || (policy != "" && !abandoned) {
			continue
		}
		for _, name := range claimNames(&pod.Spec) {
			if claim := get[*corev1.PersistentVolumeClaim](w.store, name); (claim == nil && policy == "") || (claim != nil && claim.DeletionTimestamp != nil && (abandoned || w.discarded[claim.UID])) {
				w.note("user: deletes pod %s, which holds claim %s", pod.Name, name)
				_ = w.store.delete(pods, pod.Name, deletion{})
				break
			}
		}
	}
}

// clearOrphans is a user who deletes the Jobs and pods that are left of a policy that was deleted without what it owned. While
// the lock of such a Job stands, the operator stops it. One whose creation hung until after that never runs.
func (w *world) clearOrphans() {
	for _, k := range []kind{jobs, pods} {
		for _, object := range sortedObjects[client.Object](w.store.objects[k]) {
			policy, lock := types.UID(object.GetLabels()[drainv1alpha1.PolicyUIDLabel]), types.UID(object.GetAnnotations()[drainv1alpha1.LockAnnotation])
			if policy == "" || lock == "" || ownerOf(object) != "" || object.GetDeletionTimestamp() != nil || w.exists(policies, policy) || w.exists(pods, lock) {
				continue
			}
			w.note("user: deletes %s, which is left of a policy", object.GetName())
			_ = w.store.delete(k, object.GetName(), deletion{propagation: metav1.DeletePropagationBackground})
		}
	}
}

func (w *world) checkPolicies() {
	for _, policy := range list[*drainv1alpha1.DrainPolicy](w.store) {
		if policy.DeletionTimestamp != nil {
			w.violate(invariantLiveness, "policy %s is not gone", policy.Name)
		}
	}
	past := 0
	for _, job := range list[*batchv1.Job](w.store) {
		if policy := w.inCharge(); policy != nil && !isLeaveJob(job) && ownerOf(job) == policy.UID && finished(job) && !w.exists(pods, types.UID(job.Annotations[drainv1alpha1.LockAnnotation])) {
			past++
		}
	}
	if past > keptJobs {
		w.violate(invariantLiveness, "%d Jobs of the past are kept", past)
	}
	for _, job := range list[*batchv1.Job](w.store) {
		if lock := types.UID(job.Annotations[drainv1alpha1.LockAnnotation]); !finished(job) && !isLeaveJob(job) && !slices.ContainsFunc(list[*corev1.Pod](w.store), func(pod *corev1.Pod) bool { return pod.UID == lock }) {
			w.violate(invariantStray, "Job %s is not stopped", job.Name)
		}
	}
}

// checkOrdinals asserts that wanted pods run, that no lock is left without need, and that every
// orphan is drained or says why not.
func (w *world) checkOrdinals() {
	set := get[*appsv1.StatefulSet](w.store, setName)
	policy := w.inCharge()
	for ordinal := range int32(8) {
		wanted := set != nil && wanted(set, ordinal)
		pod := get[*corev1.Pod](w.store, lockName(ordinal))
		locked := pod != nil && isLock(pod)
		switch {
		case wanted && locked:
			w.violate(invariantLiveness, "ordinal %d is wanted and its lock still stands; the policy says: %s", ordinal, entryOf(policy, ordinal))
		case wanted && (pod == nil || !isReady(pod)):
			w.violate(invariantLiveness, "the pod of ordinal %d is wanted and doesn't run", ordinal)
		case locked && policy == nil:
			w.violate(invariantLiveness, "there is no policy, and the lock of ordinal %d still stands", ordinal)
		case locked && entry(policy, ordinal) == nil:
			w.violate(invariantLiveness, "the lock of ordinal %d stands and the policy doesn't say why", ordinal)
		case locked && entry(policy, ordinal).State != drainv1alpha1.DrainFailed && entry(policy, ordinal).Reason != drainv1alpha1.ReasonJobRefused:
			w.violate(invariantLiveness, "the lock of ordinal %d still stands: %s", ordinal, entryOf(policy, ordinal))
		}
		if !wanted && policy != nil && (set != nil || w.knowsTheLast(policy)) {
			w.checkOrphan(policy, ordinal, set != nil)
		}
	}
}

// wanted reports whether an ordinal is in the StatefulSet's range.
func wanted(set *appsv1.StatefulSet, ordinal int32) bool {
	return ordinal >= startOf(set) && ordinal < startOf(set)+ptr.Deref(set.Spec.Replicas, 1)
}

// knowsTheLast reports whether a policy drains what a deleted StatefulSet leaves behind, and has seen the
// last one.
func (w *world) knowsTheLast(policy *drainv1alpha1.DrainPolicy) bool {
	last := policy.Status.StatefulSet
	return policy.Spec.WhenDeleted == drainv1alpha1.WhenDeletedDrain && last != nil && last.UID == string(w.lastSet)
}

// checkOrphan asserts that an orphan is drained, or waits for something that is so. Without a
// StatefulSet what is said to be drained must be, and no more is asked.
func (w *world) checkOrphan(policy *drainv1alpha1.DrainPolicy, ordinal int32, all bool) {
	var undrained []string
	there := 0
	for _, claim := range list[*corev1.PersistentVolumeClaim](w.store) {
		if _, number, ok := cutOrdinal(claim.Name); !ok || number != ordinal {
			continue
		}
		there++
		if v := w.volumes[claim.UID]; v != nil && (!v.drained || slices.ContainsFunc(v.users, func(user *container) bool { return !w.hidden(v, user) && !v.tolerated[user.uid] })) {
			undrained = append(undrained, claim.Name)
		}
	}
	if there == 0 {
		return
	}
	e := entry(policy, ordinal)
	if !all && (e == nil || e.State != drainv1alpha1.DrainDrained) {
		return
	}
	if e == nil {
		w.violate(invariantLiveness, "orphan %d has %d claims and no entry in the status", ordinal, there)
		return
	}
	switch e.State {
	case drainv1alpha1.DrainDrained:
		if len(undrained) > 0 {
			w.violate(invariantStatus, "the status says that ordinal %d is drained and %v are not", ordinal, undrained)
		}
	case drainv1alpha1.DrainBlocked, drainv1alpha1.DrainRetained, drainv1alpha1.DrainFailed:
		if e.Message == "" {
			w.violate(invariantLiveness, "orphan %d doesn't say what it waits for: %s", ordinal, entryOf(policy, ordinal))
		}
	case drainv1alpha1.DrainWaiting:
		legitimate := []string{
			drainv1alpha1.ReasonWaitingForReadyReplicas, drainv1alpha1.ReasonWaitingForSlot, drainv1alpha1.ReasonSuspended,
			drainv1alpha1.ReasonInvalidTemplate, drainv1alpha1.ReasonPolicyConflict,
		}
		if w.graceless {
			legitimate = append(legitimate, "GracePeriodZero")
		}
		if !slices.Contains(legitimate, e.Reason) {
			w.violate(invariantLiveness, "orphan %d waits for what has come: %s", ordinal, entryOf(policy, ordinal))
		}
	default:
		w.violate(invariantLiveness, "orphan %d never gets anywhere: %s", ordinal, entryOf(policy, ordinal))
	}
}

func entry(policy *drainv1alpha1.DrainPolicy, ordinal int32) *drainv1alpha1.DrainStatus {
	if policy == nil {
		return nil
	}
	for i := range policy.Status.Drains {
		if *policy.Status.Drains[i].Ordinal == ordinal {
			return &policy.Status.Drains[i]
		}
	}
	return nil
}

func entryOf(policy *drainv1alpha1.DrainPolicy, ordinal int32) string {
	e := entry(policy, ordinal)
	if e == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s, %s: %s", e.State, e.Reason, e.Message)
}

// cutOrdinal splits the ordinal off a claim's name.
func cutOrdinal(name string) (base string, ordinal int32, ok bool) {
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return "", 0, false
	}
	number, err := strconv.ParseInt(name[at+1:], 10, 32)
	return name[:at], int32(number), err == nil
}
