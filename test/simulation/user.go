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
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	setName      = "web"
	refusedImage = "refused"
	lockGate     = drainv1alpha1.LockSchedulingGate
	maxReplicas  = 3
	// otherSet is a StatefulSet with the same selector, whose claim template otherTemplate gives its claims the names of
	// those of overlapTemplate.
	otherSet, otherTemplate, overlapTemplate = "data-" + setName, "my", "my-data"
)

// The policies of the StatefulSet: a user's, or the one that the operator keeps for an annotation, and a rival of
// either that a user makes.
const (
	ownPolicy     = "drain"
	managedPolicy = setName + "-managed"
	rivalPolicy   = "rival"
)

// policyNames are the policies that there may be in this history; the second one is a rival of the first.
func (w *world) policyNames() []string {
	if w.annotated {
		return []string{managedPolicy, rivalPolicy}
	}
	return []string{ownPolicy, rivalPolicy}
}

func (k kind) groupKind() schema.GroupKind { return schema.GroupKind{Kind: kindNames[k]} }

// begin makes the StatefulSet, its policy and their pods.
func (w *world) begin() {
	c := w.choices
	often := make([]int, len(profiles))
	for i := range profiles {
		often[i] = profiles[i].often
	}
	w.profile = &profiles[c.weighted(often...)]
	w.takes = w.profile.takes
	pace := []int{100, 40, 250}[c.pick(3)]
	for _, easy := range []taking{takeKubernetes, takeOperator, takeWhile} {
		w.takes[easy] = w.takes[easy] * pace / 100
	}
	w.unused = !w.outOfTen(10 - w.profile.unused)
	w.parallel = c.pick(2) == 1
	w.target = append([]string{"", "create pods"}, w.late...)[c.pick(len(w.late)+2)]
	w.favourite = []fault{hangs, stalls, hangsCrash, lostResponse, crashAfter}[c.weighted(4, 5, 1, 1, 1)]
	w.eager, w.patience, w.docile = c.chance(40), 3*(c.pick(3)/2), c.chance(40)
	if w.stubborn {
		w.patience = 4
	}
	w.unmounts = c.pick(4) * c.pick(2)
	w.templates = []string{"data"}
	if w.outOfTen(w.overlap) {
		w.templates = []string{overlapTemplate}
	}
	if w.outOfTen(w.twoTemplates) {
		w.templates = append(w.templates, "logs")
	}
	w.cruel, w.impatient = w.profile.cruel, w.profile.impatient
	w.graceless = w.outOfTen(w.profile.graceless)
	w.annotated = w.outOfTen(w.profile.annotated)
	w.lagging = w.outOfTen(w.profile.lags)
	if w.outOfTen(w.profile.tardy) {
		w.unusedLag = []time.Duration{40 * time.Second, 70 * time.Second, 100 * time.Second, 4 * time.Minute}[c.pick(4)]
	}
	w.note("a history of %s; Unused condition: %t, parallel: %t, templates: %v", w.name, w.unused, w.parallel, w.templates)
	if w.outOfTen(w.hooked) {
		w.installWebhook(true)
	}
	if w.unusedLag > 0 || w.lagging {
		w.note("reports of Unused are %s behind; it stays so at the end: %t", w.unusedLag, w.lagging)
	}
	w.createSet(int32(1 + c.pick(maxReplicas)))
	if !w.annotated {
		w.createPolicy(ownPolicy)
	}
	for range 3 * maxReplicas {
		w.settleKubernetes()
	}
}

// outOfTen is true in n of 10 cases, and never in a list of choices that is cut short.
func (w *world) outOfTen(n int) bool { return w.choices.pick(10) >= 10-n }

func (w *world) createSet(replicas int32) {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: setName},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To(replicas),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": setName}},
		},
	}
	if w.parallel {
		set.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	}
	if w.graceless {
		set.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
	}
	if w.annotated {
		set.Annotations = map[string]string{string(drainv1alpha1.ScaledownPodTemplateAnnotation): asAnnotation(w.drawTemplate())}
	}
	for _, name := range w.templates {
		set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	if created, err := w.store.create(set); err == nil {
		w.lastSet = created.GetUID()
		w.note("user: creates StatefulSet %s with %d replicas", setName, replicas)
	}
}

func (w *world) createPolicy(name string) {
	c := w.choices
	policy := &drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef:      drainv1alpha1.StatefulSetReference{Name: setName},
			Template:            w.drawTemplate(),
			Proof:               drainv1alpha1.ProofReceipt,
			WhenScaled:          drainv1alpha1.WhenScaledDrain,
			WhenDrained:         drainv1alpha1.WhenDrainedDelete,
			WhenScaledUp:        drainv1alpha1.WhenScaledUpWait,
			MaxConcurrentDrains: ptr.To(int32(1 + c.pick(2))),
			MinReadyReplicas:    ptr.To(int32(c.pick(2))),
			MinOrphanedSeconds:  ptr.To(int32(c.pick(3) / 2 * 20)),
			Suspend:             ptr.To(false),
			Job:                 drainv1alpha1.JobOptions{BackoffLimit: ptr.To(int32(c.pick(3)))},
			Retry:               drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](5), MaxDelaySeconds: ptr.To[int32](60)},
		},
	}
	if w.prompt {
		policy.Spec.MinReadyReplicas, policy.Spec.MinOrphanedSeconds = ptr.To[int32](0), ptr.To[int32](0)
	}
	if w.outOfTen(w.slowRetry) {
		policy.Spec.Retry.InitialDelaySeconds = ptr.To[int32](60)
	}
	w.policiesMade++
	if w.scaled > 0 && w.outOfTen(w.scaled) {
		policy.Spec.Replicas = ptr.To(int32(c.pick(maxReplicas + 1)))
		if w.outOfTen(w.leaves) {
			policy.Spec.Leave = w.leaveOptions()
		}
	}
	if w.outOfTen(w.exitCode) {
		policy.Spec.Proof = drainv1alpha1.ProofExitCode
	}
	if w.outOfTen(w.limited) {
		policy.Spec.Retry.MaxAttempts = ptr.To(int32(1 + c.pick(3)))
	}
	if w.outOfTen(w.retain) {
		policy.Spec.WhenDrained = drainv1alpha1.WhenDrainedRetain
	}
	policy.Spec.WhenDeleted = []drainv1alpha1.WhenDeleted{drainv1alpha1.WhenDeletedRetain, drainv1alpha1.WhenDeletedDrain}[c.pick(2)]
	if w.outOfTen(10 - w.wait) {
		policy.Spec.WhenScaledUp = drainv1alpha1.WhenScaledUpCancel
	}
	if c.pick(2) == 1 {
		policy.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	if _, err := w.store.create(policy); err == nil {
		w.note("user: creates policy %s: %s, %s, %s", name, policy.Spec.WhenDrained, policy.Spec.WhenScaledUp, policy.Spec.Proof)
	}
}

// stepUser is a user with kubectl.
func (w *world) stepUser() {
	w.do(action(w.choices.weighted(w.users[:]...)))
}

func (w *world) do(what action) {
	c := w.choices
	switch what {
	case doScale:
		if c.chance(50) {
			w.changeMind()
			return
		}
		w.scale(int32(c.pick(maxReplicas + 1)))
	case doScaleTwice: // Back and forth at once.
		w.scale(int32(c.pick(maxReplicas + 1)))
		w.scale(int32(c.pick(maxReplicas + 1)))
	case doSetStart:
		start := int32(c.pick(3))
		w.note("user: sets ordinals.start to %d", start)
		update(w.store, setName, func(set *appsv1.StatefulSet) { set.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: start} })
	case doEditSet:
		w.editSet()
	case doDeleteSet:
		w.deleteSet()
	case doCreateSet:
		w.createSet(int32(c.pick(maxReplicas + 1)))
	case doDeletePolicy:
		w.deletePolicy()
	case doCreatePolicy:
		if name := w.policyNames()[c.weighted(9, 1)]; name != managedPolicy {
			w.createPolicy(name)
		} else {
			w.createPolicy(rivalPolicy)
		}
	case doWhenDrained:
		w.editPolicy("whenDrained", func(spec *drainv1alpha1.DrainPolicySpec) {
			if spec.WhenDrained == drainv1alpha1.WhenDrainedDelete {
				spec.WhenDrained = drainv1alpha1.WhenDrainedRetain
			} else {
				spec.WhenDrained = drainv1alpha1.WhenDrainedDelete
			}
		})
	case doWhenScaledUp:
		w.editPolicy("whenScaledUp", func(spec *drainv1alpha1.DrainPolicySpec) {
			spec.WhenScaledUp = []drainv1alpha1.WhenScaledUp{drainv1alpha1.WhenScaledUpWait, drainv1alpha1.WhenScaledUpCancel}[c.pick(2)]
		})
	case doTemplate:
		w.editTemplate()
	case doSuspend:
		w.editPolicy("suspend", func(spec *drainv1alpha1.DrainPolicySpec) { spec.Suspend = ptr.To(c.pick(2) == 1) })
	case doDeletePod:
		w.deletePod()
	case doDeleteJob:
		w.deleteJob()
	case doDebug:
		w.debug()
	case doVisit:
		w.visit()
	case doDeleteClaim:
		w.deleteClaim()
	case doRestoreClaim:
		w.restoreClaim()
	case doStripLock:
		w.stripLock()
	case doTamper:
		w.tamperWithMarks()
	case doSkip:
		w.skip()
	case doStripPolicy:
		w.stripPolicy()
	case doWhenDeleted:
		w.editPolicy("whenDeleted", func(spec *drainv1alpha1.DrainPolicySpec) {
			spec.WhenDeleted = []drainv1alpha1.WhenDeleted{drainv1alpha1.WhenDeletedRetain, drainv1alpha1.WhenDeletedDrain}[c.pick(2)]
		})
	case doLimits:
		w.editPolicy("limits", func(spec *drainv1alpha1.DrainPolicySpec) {
			spec.MaxConcurrentDrains, spec.MinReadyReplicas = ptr.To(int32(1+c.pick(3))), ptr.To(int32(c.pick(2)))
		})
	case doEndDrain:
		if pod, ok := some(w, isDrain); ok {
			w.note("user: evicts drain pod %s", pod.Name)
			_ = w.store.delete(pods, pod.Name, deletion{})
		}
	case doWebhook:
		w.installWebhook(false)
	case doForge:
		w.forge()
	case doSuspendJob:
		w.suspendJob()
	case doUnused:
		w.unuser.off = !w.unuser.off
		w.note("claim protection: reports Unused: %t", !w.unuser.off)
	case doProof:
		w.editPolicy("proof", func(spec *drainv1alpha1.DrainPolicySpec) {
			spec.Proof = []drainv1alpha1.Proof{drainv1alpha1.ProofReceipt, drainv1alpha1.ProofExitCode}[c.pick(2)]
		})
	case doWhenScaled:
		w.editPolicy("whenScaled", func(spec *drainv1alpha1.DrainPolicySpec) {
			spec.WhenScaled = []drainv1alpha1.WhenScaled{drainv1alpha1.WhenScaledDrain, drainv1alpha1.WhenScaledRetain}[c.pick(2)]
		})
	case doOrphanPods:
		w.orphanPods()
	case doTakeClaim:
		w.takeClaim()
	case doLoseVolume:
		w.loseVolume()
	case doOtherSet:
		w.toggleOtherSet()
	case doPreempt:
		w.preempt()
	case doReplaceSet:
		w.replaceSet()
	case doScalePolicy:
		if c.chance(40) {
			w.scalePolicy(w.asked) // As it was before.
			return
		}
		w.scalePolicy(int32(c.pick(maxReplicas + 1)))
	case doFlap: // An autoscaler that can't decide.
		for range 2 + c.pick(4) {
			w.scalePolicy(int32(c.pick(maxReplicas + 1)))
			w.goOn()
			w.settleManager(w.leader())
		}
	case doLeave:
		w.editLeave()
	case doEndLeave:
		w.endLeave()
	case doMemberDies:
		w.killMember()
	case doComeAndGo:
		w.comeAndGo()
	}
}

func (w *world) scale(replicas int32) {
	w.note("user: scales to %d", replicas)
	if set := get[*appsv1.StatefulSet](w.store, setName); set != nil {
		w.before = ptr.Deref(set.Spec.Replicas, 1)
	}
	update(w.store, setName, func(set *appsv1.StatefulSet) { set.Spec.Replicas = ptr.To(replicas) })
}

func (w *world) deleteSet() {
	how := []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan}[w.choices.pick(3)]
	if w.store.delete(sets, setName, deletion{propagation: how}) == nil {
		w.note("user: deletes the StatefulSet, %s", how)
	}
	if w.choices.chance(50) {
		w.createSet(int32(w.choices.pick(maxReplicas + 1)))
	}
}

// replaceSet deletes the StatefulSet and creates it again, with all its ordinals at first. It ends
// as it was: the same size, and as many changes of its spec.
func (w *world) replaceSet() {
	old := get[*appsv1.StatefulSet](w.store, setName)
	if old == nil {
		return
	}
	w.note("user: replaces the StatefulSet")
	_ = w.store.delete(sets, setName, deletion{propagation: metav1.DeletePropagationBackground})
	w.goOn()
	w.createSet(maxReplicas)
	w.goOnFor(5 + w.choices.pick(8))
	for set := get[*appsv1.StatefulSet](w.store, setName); set != nil && set.Generation < old.Generation-1; set = get[*appsv1.StatefulSet](w.store, setName) {
		update(w.store, setName, func(set *appsv1.StatefulSet) { set.Spec.MinReadySeconds++ })
	}
	w.scale(ptr.Deref(old.Spec.Replicas, 1))
	w.goOnFor(w.choices.pick(8))
}

// comeAndGo deletes the StatefulSet, or creates another one for a short while, which the operator may
// miss.
func (w *world) comeAndGo() {
	if get[*appsv1.StatefulSet](w.store, setName) == nil {
		w.createSet(maxReplicas)
		w.goOnFor(2 + w.choices.pick(8))
		if w.choices.chance(50) {
			w.settleManager(w.leader())
		}
	}
	w.note("user: deletes the StatefulSet")
	_ = w.store.delete(sets, setName, deletion{propagation: metav1.DeletePropagationBackground})
	w.goOnFor(w.choices.pick(8))
}

func (w *world) goOnFor(times int) {
	for range times {
		w.goOn()
	}
}

func (w *world) deletePolicy() {
	name := w.policyNames()[w.choices.weighted(7, 3)]
	how := []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground}[w.choices.weighted(8, 2)]
	if w.choices.chance(w.orphaning) {
		how = metav1.DeletePropagationOrphan
	}
	if w.store.delete(policies, name, deletion{propagation: how}) == nil {
		w.note("user: deletes policy %s, %s", name, how)
	}
	if w.choices.chance(30) && name != managedPolicy {
		w.createPolicy(name)
	}
}

func (w *world) editPolicy(what string, edit func(*drainv1alpha1.DrainPolicySpec)) {
	w.note("user: edits the policy's %s", what)
	update(w.store, w.policyNames()[0], func(policy *drainv1alpha1.DrainPolicy) { edit(&policy.Spec) })
}

// any returns an object of a kind at random, or nil.
func some[T client.Object](w *world, fits func(T) bool) (object T, ok bool) {
	objects := slices.DeleteFunc(list[T](w.store), func(object T) bool { return !fits(object) })
	if len(objects) == 0 {
		return object, false
	}
	return objects[w.choices.pick(len(objects))], true
}

func everything[T any](T) bool { return true }

// deletePod deletes a pod, the lock too, mostly without waiting for its node.
func (w *world) deletePod() {
	if pod, ok := some(w, everything[*corev1.Pod]); ok {
		force := !w.stubborn && w.choices.pick(3) != 1
		w.note("user: deletes pod %s (force: %t)", pod.Name, force)
		if c := w.containers[pod.UID]; c != nil && c.live && force {
			c.ghost = true
		}
		_ = w.store.delete(pods, pod.Name, deletion{now: force})
	}
}

func (w *world) deleteJob() {
	if job, ok := some(w, everything[*batchv1.Job]); ok {
		how := []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan}[w.choices.pick(3)]
		w.note("user: deletes Job %s, %s", job.Name, how)
		_ = w.store.delete(jobs, job.Name, deletion{propagation: how})
	}
}

// orphanPods deletes a Job without its pods, which may have ended.
func (w *world) orphanPods() {
	if job, ok := some(w, everything[*batchv1.Job]); ok {
		w.note("user: deletes Job %s, %s", job.Name, metav1.DeletePropagationOrphan)
		_ = w.store.delete(jobs, job.Name, deletion{propagation: metav1.DeletePropagationOrphan})
	}
}

// takeClaim deletes a claim that a drain pod holds, which may have ended.
func (w *world) takeClaim() {
	claim, ok := some(w, func(claim *corev1.PersistentVolumeClaim) bool {
		return slices.ContainsFunc(list[*corev1.Pod](w.store), func(pod *corev1.Pod) bool {
			return isDrain(pod) && slices.Contains(claimNames(&pod.Spec), claim.Name)
		})
	})
	if ok {
		w.note("user: deletes claim %s", claim.Name)
		w.discarded[claim.UID] = true
		_ = w.store.delete(claims, claim.Name, deletion{})
	}
}

// loseVolume is an administrator who deletes the PersistentVolume of a claim, or creates it again.
func (w *world) loseVolume() {
	if claim, ok := some(w, isLost); ok {
		w.note("user: creates the volume of claim %s again", claim.Name)
		w.setPhaseOfClaim(claim.Name, corev1.ClaimBound)
		return
	}
	if claim, ok := some(w, func(claim *corev1.PersistentVolumeClaim) bool { return claim.Status.Phase == corev1.ClaimBound }); ok {
		w.note("user: deletes the volume of claim %s", claim.Name)
		w.setPhaseOfClaim(claim.Name, corev1.ClaimLost)
	}
}

func isLost(claim *corev1.PersistentVolumeClaim) bool { return claim.Status.Phase == corev1.ClaimLost }

func (w *world) setPhaseOfClaim(name string, phase corev1.PersistentVolumeClaimPhase) {
	update(w.store, name, func(claim *corev1.PersistentVolumeClaim) { claim.Status.Phase = phase })
}

// toggleOtherSet creates a StatefulSet to which claims of this one may belong too, or deletes it. It has no replicas.
func (w *world) toggleOtherSet() {
	if get[*appsv1.StatefulSet](w.store, otherSet) != nil {
		w.note("user: deletes StatefulSet %s", otherSet)
		_ = w.store.delete(sets, otherSet, deletion{propagation: metav1.DeletePropagationBackground})
		return
	}
	w.note("user: creates StatefulSet %s, whose claims would have the names of others", otherSet)
	_, _ = w.store.create(&appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: otherSet},
		Spec: appsv1.StatefulSetSpec{
			Replicas:             ptr.To[int32](0),
			Selector:             &metav1.LabelSelector{MatchLabels: map[string]string{"app": setName}},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: otherTemplate}}},
		},
	})
}

// preempt is a queueing system that suspends a Job whose pod has failed, on a node that it takes for something else, while a
// user wants the ordinal back.
func (w *world) preempt() {
	hasFailed := func(job *batchv1.Job) bool {
		return !finished(job) && slices.ContainsFunc(list[*corev1.Pod](w.store), func(pod *corev1.Pod) bool {
			return ownerOf(pod) == job.UID && pod.Status.Phase == corev1.PodFailed
		})
	}
	if _, ok := some(w, hasFailed); !ok {
		w.disturbSome()
		w.goOnFor(2)
	}
	if job, ok := some(w, hasFailed); ok {
		w.note("queueing system: suspends Job %s", job.Name)
		update(w.store, job.Name, func(job *batchv1.Job) { job.Spec.Suspend = ptr.To(true) })
		w.scale(maxReplicas)
	}
}

const debugRole = "debug"

func isDebug(pod *corev1.Pod) bool { return pod.Labels["app"] == debugRole }

// debug starts a pod that uses and writes to a claim that the StatefulSet has left behind, or
// ends one.
func (w *world) debug() {
	if pod, ok := some(w, isDebug); ok && w.choices.chance(65) {
		w.note("user: deletes debug pod %s", pod.Name)
		_ = w.store.delete(pods, pod.Name, deletion{})
		return
	}
	w.startDebug()
}

// visit is a debug pod that is there for a short while. Kubernetes sees it come, and not yet go.
func (w *world) visit() {
	name := w.startDebug()
	if name == "" {
		return
	}
	c := w.choices
	w.choices = &choices{}
	defer func() { w.choices = c }()
	w.stepScheduler()
	w.stepKubelets()
	w.unuser.step()
	w.note("user: deletes debug pod %s", name)
	_ = w.store.delete(pods, name, deletion{})
	for range 3 {
		w.stepKubelets()
		w.clock.now = w.clock.now.Add(time.Second)
	}
}

// startDebug returns the name of the pod, or "" if there is nothing that it could use.
func (w *world) startDebug() string {
	claim, ok := some(w, func(claim *corev1.PersistentVolumeClaim) bool {
		_, ordinal, _ := cutOrdinal(claim.Name)
		pod := get[*corev1.Pod](w.store, lockName(ordinal))
		return pod == nil || pod.Labels["app"] != setName
	})
	if !ok {
		return ""
	}
	return w.debugOn(claim.Name)
}

// look starts a pod on the claim that was marked last, or ends one.
func (w *world) look() {
	if pod, ok := some(w, isDebug); ok {
		w.note("user: deletes debug pod %s", pod.Name)
		_ = w.store.delete(pods, pod.Name, deletion{})
		w.goOn()
		return
	}
	w.debugOn(w.marked)
}

// debugOn starts a pod that uses and writes to a claim, and returns its name.
func (w *world) debugOn(claim string) string { return w.debugWith(claim, nil) }

// debugWith starts one that bears other labels too.
func (w *world) debugWith(claim string, forged map[string]string) string {
	name := fmt.Sprintf("debug-%d", w.store.uids+1)
	w.note("user: starts debug pod %s on claim %s", name, claim)
	labels := map[string]string{"app": debugRole}
	maps.Copy(labels, forged)
	_, _ = w.store.create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: labels,
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "main", Image: imageShell, VolumeMounts: mounts([]string{"data"})}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}}},
		},
	})
	return name
}

// deleteClaim is the user's own loss. Some don't wait for the pods that hold the claim.
func (w *world) deleteClaim() {
	if claim, ok := some(w, everything[*corev1.PersistentVolumeClaim]); ok {
		w.discard(claim)
		if w.choices.chance(30) {
			w.note("user: strips the finalizer of claim %s", claim.Name)
			update(w.store, claim.Name, func(claim *corev1.PersistentVolumeClaim) { claim.Finalizers = nil })
			if w.users[doRestoreClaim] > 0 && w.choices.chance(60) {
				w.restore(w.backups[claim.Name])
			}
		}
	}
}

// discardUnderDrain has a user delete a claim of a drain pod that has a node and has not started.
func (w *world) discardUnderDrain() {
	pod, ok := some(w, func(pod *corev1.Pod) bool {
		return isDrain(pod) && pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil && w.containers[pod.UID] == nil
	})
	if !ok {
		return
	}
	if claim := get[*corev1.PersistentVolumeClaim](w.store, claimNames(&pod.Spec)[0]); claim != nil {
		w.discard(claim)
	}
}

func (w *world) discard(claim *corev1.PersistentVolumeClaim) {
	w.note("user: deletes claim %s", claim.Name)
	w.discarded[claim.UID] = true
	_ = w.store.delete(claims, claim.Name, deletion{})
}

// stripLock takes a lock away from under the operator, which nothing can be said about but that
// no undrained data is deleted.
func (w *world) stripLock() {
	lock, ok := some(w, isLock)
	if !ok {
		return
	}
	w.note("user: strips the finalizer of lock %s and deletes it", lock.Name)
	w.sabotaged[lock.Name] = w.store.version
	update(w.store, lock.Name, func(pod *corev1.Pod) { pod.Finalizers = nil })
	_ = w.store.delete(pods, lock.Name, deletion{now: true})
}

// stripPolicy deletes a policy without letting the operator release its locks.
func (w *world) stripPolicy() {
	if policy, ok := some(w, everything[*drainv1alpha1.DrainPolicy]); ok {
		how := metav1.DeletePropagationBackground
		if w.choices.chance(w.orphaning) {
			how = metav1.DeletePropagationOrphan
		}
		if w.choices.chance(w.orphaning) {
			w.orphanPods()
		}
		w.note("user: deletes policy %s, %s, and strips its finalizer", policy.Name, how)
		_ = w.store.delete(policies, policy.Name, deletion{propagation: how})
		update(w.store, policy.Name, func(policy *drainv1alpha1.DrainPolicy) {
			policy.Finalizers = without(policy.Finalizers, drainv1alpha1.PolicyFinalizer)
		})
	}
}

func isDrain(pod *corev1.Pod) bool { return roleOf(&pod.Spec) == roleDrain }

// isLock tells a lock by its owner too, or by its finalizer if the garbage collector took the owner, because labels can be
// forged.
func isLock(pod *corev1.Pod) bool {
	return pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock && (ownerOf(pod) != "" || slices.Contains(pod.Finalizers, drainv1alpha1.LockFinalizer))
}

// tamperWithMarks strips a mark, or copies one to another claim as a backup tool does.
func (w *world) tamperWithMarks() {
	from, ok := some(w, everything[*corev1.PersistentVolumeClaim])
	if !ok {
		return
	}
	if w.choices.pick(3) < 2 {
		to, _ := some(w, everything[*corev1.PersistentVolumeClaim])
		w.note("user: copies the annotations of claim %s to %s", from.Name, to.Name)
		update(w.store, to.Name, func(claim *corev1.PersistentVolumeClaim) {
			for key, value := range from.Annotations {
				metav1.SetMetaDataAnnotation(&claim.ObjectMeta, key, value)
			}
		})
		return
	}
	w.note("user: strips the annotations of claim %s", from.Name)
	update(w.store, from.Name, func(claim *corev1.PersistentVolumeClaim) { claim.Annotations = nil })
}

// skip asks for a claim to be left alone, or no longer.
func (w *world) skip() {
	claim, ok := some(w, everything[*corev1.PersistentVolumeClaim])
	if !ok {
		return
	}
	if _, asked := claim.Annotations[drainv1alpha1.SkipAnnotation]; asked {
		w.note("user: has claim %s left alone no longer", claim.Name)
		update(w.store, claim.Name, func(claim *corev1.PersistentVolumeClaim) { delete(claim.Annotations, drainv1alpha1.SkipAnnotation) })
		return
	}
	w.note("user: has claim %s left alone", claim.Name)
	update(w.store, claim.Name, func(claim *corev1.PersistentVolumeClaim) {
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.SkipAnnotation, "true")
	})
}

// restoreClaim brings back a claim that is gone from a backup, with its data and annotations as they
// were.
func (w *world) restoreClaim() {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(w.backups)) {
		if get[*corev1.PersistentVolumeClaim](w.store, name) == nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	w.restore(w.backups[names[w.choices.pick(len(names))]])
}

func (w *world) restore(backup *corev1.PersistentVolumeClaim) {
	restored, err := w.store.create(&corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: backup.Name, Labels: backup.Labels, Annotations: backup.Annotations, Finalizers: []string{claimProtection}},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv-restored-" + string(backup.UID)},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	})
	if err != nil {
		return
	}
	w.records++
	by := &container{pod: "of the backup", role: roleSet}
	v := newVolume()
	v.records, v.users, v.restored = []record{{id: w.records, by: by}}, []*container{by}, true
	w.volumes[restored.GetUID()] = v
	w.note("user: restores claim %s with record %d", backup.Name, w.records)
}
