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

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// The actors of the stories.
const (
	byUser      = "user"
	byOperator  = "operator"
	bySecond    = "second manager"
	bySet       = "StatefulSet controller"
	byJobs      = "Job controller"
	byKubelet   = "kubelet"
	byClaims    = "claim protection"
	byCollector = "garbage collector"
	byTime      = "time"
)

// story is a small cluster in which a tale is played, and the text that tells it. Every action of an actor is one line.
type story struct {
	teller

	// protocol is what the operator decides by.
	protocol Protocol
	now      time.Time
	// versions and uids count up: the resourceVersion that was given last, and the UIDs of each kind.
	versions int
	uids     map[string]int

	// set is nil when there is no StatefulSet. policies are the oldest first.
	set      *appsv1.StatefulSet
	policies []*drainv1alpha1.DrainPolicy
	claims   []*corev1.PersistentVolumeClaim
	pods     []*corev1.Pod
	jobs     []*batchv1.Job
	// hash is that of the template of today.
	hash string
	// ordinals are those that the story is about, the highest first. Other ordinals have no objects.
	ordinals []int32

	// blind says that the StatefulSet controller does not see what changes.
	blind bool
	// webhook changes locks and drain pods when they are created, or is nil.
	webhook func(*corev1.Pod)
	// reportsUnused says that the cluster keeps the Unused condition of claims.
	reportsUnused bool
	// forgets says that the operator crashes after each step, before it writes the status.
	forgets bool
	// unready is how many of the replicas that remain are not ready.
	unready int32

	// dirty are the claims that some pod may have written to since a drain of them ended well.
	dirty map[types.UID]bool
	// forced are the ordinals whose lock the user took away by force.
	forced map[int32]bool
	// looks are the snapshots that the operator planned on.
	looks []momentary
}

// momentary is a snapshot and its time.
type momentary struct {
	Snapshot
	now time.Time
	// lock and owner are those of a lock whose policy is gone.
	lock  *corev1.Pod
	owner types.UID
}

// begin makes a cluster in which StatefulSet web runs ordinals 0 and 1, which have no claims, and those of the story.
func begin(change func(*world), ordinals ...int32) *story {
	w := given(change)
	s := &story{
		protocol: Rules(), now: now, uids: map[string]int{}, ordinals: ordinals, hash: hash,
		dirty: map[types.UID]bool{}, forced: map[int32]bool{},
	}
	slices.Sort(s.ordinals)
	slices.Reverse(s.ordinals)
	w.Policy.Finalizers = nil
	w.Policy.CreationTimestamp = noon
	s.set, s.policies = w.StatefulSet, []*drainv1alpha1.DrainPolicy{w.Policy}
	s.set.Spec.Replicas = ptr.To(s.ordinals[0] + 1)
	for _, ordinal := range ordinals {
		s.createClaims(ordinal)
		s.createOwnPod(ordinal).Status.Phase = corev1.PodRunning
	}
	s.reportUnused()
	s.teller.story = s
	s.head()
	return s
}

// orphanedOrdinals makes a cluster in which the ordinals of the story were scaled away a while ago.
func orphanedOrdinals(change func(*world), ordinals ...int32) *story {
	s := begin(change, ordinals...)
	s.set.Spec.Replicas, s.pods = ptr.To[int32](2), nil
	s.policies[0].Finalizers = []string{drainv1alpha1.PolicyFinalizer}
	s.reportReady()
	return s
}

// Parts of objects.

func (s *story) uid(kind string) types.UID {
	s.uids[kind]++
	return types.UID(fmt.Sprintf("%s-%d", kind, s.uids[kind]))
}

// touch gives an object the next resourceVersion.
func (s *story) touch(object metav1.Object) {
	s.versions++
	object.SetResourceVersion(strconv.Itoa(s.versions))
}

func (s *story) stamp() metav1.Time { return metav1.NewTime(s.now) }

func (s *story) going() *metav1.Time { return ptr.To(s.stamp()) }

// scratch returns a world in which the builders find what they name objects after.
func (s *story) scratch() *world {
	w := given()
	for _, claim := range s.claims {
		w.Claims = append(w.Claims, *claim.DeepCopy())
	}
	return w
}

func ordinalNamed(ordinal int32) string { return fmt.Sprintf("web-%d", ordinal) }

// templatesOfSet returns the names of the claim templates, also of a StatefulSet that is gone.
func (s *story) templatesOfSet() []string {
	if s.set == nil {
		return s.policies[0].Status.StatefulSet.ClaimTemplates
	}
	names := make([]string, 0, len(s.set.Spec.VolumeClaimTemplates))
	for i := range s.set.Spec.VolumeClaimTemplates {
		names = append(names, s.set.Spec.VolumeClaimTemplates[i].Name)
	}
	return names
}

// wants reports whether the StatefulSet wants an ordinal.
func (s *story) wants(ordinal int32) bool {
	return s.set != nil && s.set.DeletionTimestamp == nil && ordinal < *s.set.Spec.Replicas
}

func pick[T any](list []T, fits func(T) bool) (found T) {
	for _, object := range list {
		if fits(object) {
			return object
		}
	}
	return found
}

func (s *story) podNamed(name string) *corev1.Pod {
	return pick(s.pods, func(pod *corev1.Pod) bool { return pod.Name == name })
}

func (s *story) claimNamed(name string) *corev1.PersistentVolumeClaim {
	return pick(s.claims, func(claim *corev1.PersistentVolumeClaim) bool { return claim.Name == name })
}

func (s *story) jobByUID(uid types.UID) *batchv1.Job {
	return pick(s.jobs, func(job *batchv1.Job) bool { return job.UID == uid })
}

func ownerUID(object metav1.Object) types.UID {
	if owner := metav1.GetControllerOfNoCopy(object); owner != nil {
		return owner.UID
	}
	return ""
}

func isDrain(pod *corev1.Pod) bool {
	return pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleDrain
}
func lockRole(pod *corev1.Pod) bool {
	return pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock
}

// uses reports whether a pod mounts a claim.
func uses(pod *corev1.Pod, claim string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

// look returns what the API server holds for a policy.
func (s *story) look(policy *drainv1alpha1.DrainPolicy) Snapshot {
	snapshot := s.own(policy.UID)
	snapshot.Policy, snapshot.TemplateHash, snapshot.Template = policy.DeepCopy(), s.hash, *policy.Spec.Template.DeepCopy()
	snapshot.Target = statefulset.Remembered(policy)
	if s.set != nil {
		snapshot.Target = statefulset.Of(s.set)
	}
	snapshot.Preflight.About = snapshot.Subject()
	if oldest := s.policies[0]; oldest != policy {
		snapshot.Rival = oldest.Name
	}
	snapshot.Pods = nil
	for _, pod := range s.pods {
		snapshot.Pods = append(snapshot.Pods, *pod.DeepCopy())
	}
	s.looks = append(s.looks, momentary{Snapshot: snapshot, now: s.now})
	return snapshot
}

// own returns what bears the labels of the policy with this UID, and the claims.
func (s *story) own(policy types.UID) Snapshot {
	var snapshot Snapshot
	for _, claim := range s.claims {
		snapshot.Claims = append(snapshot.Claims, *claim.DeepCopy())
	}
	for _, pod := range s.pods {
		if pod.Labels[drainv1alpha1.PolicyUIDLabel] == string(policy) {
			snapshot.Pods = append(snapshot.Pods, *pod.DeepCopy())
		}
	}
	for _, job := range s.jobs {
		if job.Labels[drainv1alpha1.PolicyUIDLabel] == string(policy) {
			snapshot.Jobs = append(snapshot.Jobs, *job.DeepCopy())
		}
	}
	return snapshot
}

// What actors do to objects.

func (s *story) createClaims(ordinal int32) {
	for _, template := range s.templatesOfSet() {
		if s.claimNamed(claims.Name(template, "web", ordinal)) != nil {
			continue
		}
		w := s.scratch()
		w.claim(template, ordinal, func(claim *corev1.PersistentVolumeClaim) {
			claim.UID, claim.CreationTimestamp = s.uid("claim"), s.stamp()
		})
		claim := w.Claims[len(w.Claims)-1].DeepCopy()
		s.touch(claim)
		s.claims = append(s.claims, claim)
		s.dirty[claim.UID] = true
	}
}

// createOwnPod creates the StatefulSet's pod of an ordinal.
func (s *story) createOwnPod(ordinal int32) *corev1.Pod {
	w := s.scratch()
	w.pod(ordinalNamed(ordinal), "", podPhase(corev1.PodPending), func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{
			Kind: "StatefulSet", Name: "web", UID: s.set.UID, Controller: ptr.To(true),
		}}
		for _, template := range s.templatesOfSet() {
			pod.Spec.Volumes = append(pod.Spec.Volumes, mountOf(claims.Name(template, "web", ordinal)))
		}
	})
	return s.addPod(w.Pods[0])
}

func mountOf(claim string) corev1.Volume {
	return corev1.Volume{
		Name:         claim,
		VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}},
	}
}

func (s *story) addPod(pod corev1.Pod) *corev1.Pod {
	pod.UID, pod.CreationTimestamp = s.uid("pod"), s.stamp()
	s.touch(&pod)
	s.pods = append(s.pods, &pod)
	return &pod
}

// createLock creates the lock of an ordinal, or fails because its name is taken.
func (s *story) createLock(policy *drainv1alpha1.DrainPolicy, ordinal int32) (problem string) {
	if taken := s.podNamed(ordinalNamed(ordinal)); taken != nil {
		return "the name is taken"
	}
	w := s.scratch()
	w.lock(ordinal, ownedBy(policy))
	if s.webhook != nil {
		s.webhook(&w.Pods[0])
	}
	s.addPod(w.Pods[0])
	return ""
}

func ownedBy(policy *drainv1alpha1.DrainPolicy) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.OwnerReferences[0].Name, pod.OwnerReferences[0].UID = policy.Name, policy.UID
		pod.Labels[drainv1alpha1.PolicyUIDLabel] = string(policy.UID)
	}
}

// createJob creates the Job of an attempt, or fails because its name is taken.
func (s *story) createJob(policy *drainv1alpha1.DrainPolicy, step StartJob, template string) (problem string) {
	if slices.ContainsFunc(s.jobs, func(job *batchv1.Job) bool { return job.Name == step.Job }) {
		return "the name is taken"
	}
	w := s.scratch()
	w.job(step.Ordinal, step.Attempt, named(step.Job), func(job *batchv1.Job) {
		job.UID, job.CreationTimestamp = s.uid("Job"), s.stamp()
		job.OwnerReferences[0].Name, job.OwnerReferences[0].UID = policy.Name, policy.UID
		job.Labels[drainv1alpha1.PolicyUIDLabel] = string(policy.UID)
		job.Annotations[drainv1alpha1.LockAnnotation] = string(step.LockUID)
		job.Annotations[drainv1alpha1.TemplateHashAnnotation] = template
	})
	job := &w.Jobs[0]
	s.touch(job)
	s.jobs = append(s.jobs, job)
	return ""
}

// createDrainPod creates the gated pod of a Job.
func (s *story) createDrainPod(job *batchv1.Job) {
	w := s.scratch()
	w.Jobs = []batchv1.Job{*job}
	ordinal, _ := ordinalOf(job.Labels)
	w.drainPod(ordinal, gated, func(pod *corev1.Pod) {
		pod.Name = job.Name + "-pod"
		pod.Labels = job.Labels
		if s.webhook != nil {
			s.webhook(pod)
		}
	})
	s.addPod(w.Pods[0])
}

func (s *story) removePod(pod *corev1.Pod) {
	s.pods = slices.DeleteFunc(s.pods, func(other *corev1.Pod) bool { return other == pod })
}

func (s *story) removeJob(job *batchv1.Job) {
	s.jobs = slices.DeleteFunc(s.jobs, func(other *batchv1.Job) bool { return other == job })
}

// deletePod has the API server delete a pod: at once if no node knows it, or else when its node has ended it.
func (s *story) deletePod(pod *corev1.Pod) {
	s.touch(pod)
	if (pod.Spec.NodeName == "" || terminal(pod)) && len(pod.Finalizers) == 0 {
		s.removePod(pod)
	} else if pod.DeletionTimestamp == nil {
		pod.DeletionTimestamp = s.going()
	}
}

// freeFinalizers lets objects go that are being deleted and that no finalizer keeps.
func (s *story) freeFinalizers() {
	s.policies = slices.DeleteFunc(s.policies, func(policy *drainv1alpha1.DrainPolicy) bool {
		return policy.DeletionTimestamp != nil && len(policy.Finalizers) == 0
	})
	s.pods = slices.DeleteFunc(s.pods, func(pod *corev1.Pod) bool {
		return pod.DeletionTimestamp != nil && len(pod.Finalizers) == 0 && pod.Spec.NodeName == ""
	})
}

// The controllers. Each takes one action if it has one to take, and reports whether it did.

// setController is the StatefulSet controller.
func (s *story) setController() bool {
	if s.set == nil || s.set.DeletionTimestamp != nil || s.blind {
		return false
	}
	if s.set.Status.ObservedGeneration < s.set.Generation {
		s.set.Status.ObservedGeneration = s.set.Generation
		s.touch(s.set)
		s.tell(bySet, "sees generation %d", s.set.Generation)
		return true
	}
	for _, ordinal := range s.ordinals {
		pod := s.podNamed(ordinalNamed(ordinal))
		if pod != nil && ownerUID(pod) == s.set.UID && pod.DeletionTimestamp == nil && !s.wants(ordinal) {
			s.deletePod(pod)
			s.tell(bySet, "deletes pod %s", pod.Name)
			return true
		}
	}
	for _, ordinal := range slices.Backward(s.ordinals) {
		if s.createOwn(ordinal) {
			return true
		}
	}
	return false
}

// createOwn creates what an ordinal in range lacks.
func (s *story) createOwn(ordinal int32) bool {
	if !s.wants(ordinal) {
		return false
	}
	for _, template := range s.templatesOfSet() {
		switch claim := s.claimNamed(claims.Name(template, "web", ordinal)); {
		case claim == nil:
			s.createClaims(ordinal)
			s.tell(bySet, "creates the claims of ordinal %d", ordinal)
			return true
		case claim.DeletionTimestamp != nil:
			return false
		}
	}
	if s.podNamed(ordinalNamed(ordinal)) != nil {
		return false
	}
	s.createOwnPod(ordinal)
	s.tell(bySet, "creates pod %s", ordinalNamed(ordinal))
	return true
}

// jobController is the Job controller, for Jobs whose backoffLimit is 0.
func (s *story) jobController() bool {
	for _, job := range s.jobs {
		if finished(job) != nil || job.DeletionTimestamp != nil {
			continue
		}
		var succeeded, lost, busy *corev1.Pod
		for _, pod := range s.pods {
			switch {
			case ownerUID(pod) != job.UID:
			case pod.Status.Phase == corev1.PodSucceeded:
				succeeded = pod
			case pod.Status.Phase == corev1.PodFailed:
				lost = pod
			default:
				busy = pod
			}
		}
		switch held := ptr.Deref(job.Spec.Suspend, false); {
		case busy != nil && held && busy.DeletionTimestamp == nil:
			s.deletePod(busy)
			s.tell(byJobs, "deletes the pod of %s, which is suspended", s.jobWord(job))
		case busy != nil, held && succeeded == nil && lost == nil:
			continue
		case succeeded != nil:
			s.endJob(job, batchv1.JobComplete, "CompletionsReached", "Reached expected number of succeeded pods")
		case lost != nil || job.Status.Failed > 0:
			s.endJob(job, batchv1.JobFailed, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
		default:
			s.createDrainPod(job)
			s.tell(byJobs, "creates the pod of %s, gated", s.jobWord(job))
		}
		return true
	}
	return false
}

func (s *story) endJob(job *batchv1.Job, end batchv1.JobConditionType, reason, message string) {
	job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
		Type: end, Status: corev1.ConditionTrue, LastTransitionTime: s.stamp(), Reason: reason, Message: message,
	})
	job.Status.StartTime = ptr.To(job.CreationTimestamp)
	if end == batchv1.JobComplete {
		job.Status.CompletionTime = ptr.To(s.stamp())
	}
	s.touch(job)
	s.tell(byJobs, "says that %s is %s", s.jobWord(job), end)
}

// kubelet starts pods that are on a node, ends those that are to end, and lets drains end well.
func (s *story) kubelet() bool {
	for _, pod := range s.pods {
		switch {
		case terminal(pod), lockRole(pod), len(pod.Spec.SchedulingGates) > 0:
			continue
		case pod.DeletionTimestamp != nil:
			s.end(pod)
		case pod.Status.Phase == corev1.PodPending:
			if slices.ContainsFunc(s.claims, func(claim *corev1.PersistentVolumeClaim) bool {
				return claim.DeletionTimestamp != nil && uses(pod, claim.Name)
			}) {
				continue
			}
			s.start(pod)
		case isDrain(pod):
			s.drainEnds("ends with its receipt", ended(0, "moved 12 records"))
		default:
			continue
		}
		return true
	}
	return false
}

func (s *story) start(pod *corev1.Pod) {
	pod.Spec.NodeName, pod.Status.Phase = "node-1", corev1.PodRunning
	if isDrain(pod) {
		running(pod)
	}
	s.touch(pod)
	s.tell(byKubelet, "starts %s", s.podWord(pod))
}

// end ends a pod that is being deleted.
func (s *story) end(pod *corev1.Pod) {
	if job := s.jobByUID(ownerUID(pod)); job != nil && job.DeletionTimestamp == nil {
		job.Status.Failed++
	}
	word := s.podWord(pod)
	s.removePod(pod)
	s.tell(byKubelet, "ends %s, which was deleted", word)
}

// drainEnds ends the drain pod that runs, as a change of the pod says.
func (s *story) drainEnds(how string, changes ...func(*corev1.Pod)) {
	pod := pick(s.pods, func(pod *corev1.Pod) bool { return isDrain(pod) && pod.Status.Phase == corev1.PodRunning })
	pod.Status.ContainerStatuses = nil
	for _, change := range changes {
		change(pod)
	}
	for i := range pod.Status.ContainerStatuses {
		if end := pod.Status.ContainerStatuses[i].State.Terminated; end != nil {
			end.FinishedAt = s.stamp()
		}
	}
	if strings.Contains(how, "with its receipt") {
		for _, claim := range s.claims {
			if uses(pod, claim.Name) {
				s.dirty[claim.UID] = false
			}
		}
	}
	s.touch(pod)
	s.tell(byKubelet, "%s %s", s.podWord(pod), how)
}

// claimProtection lets claims go that no pod on a node refers to, and keeps the Unused condition.
func (s *story) claimProtection() bool {
	for _, claim := range s.claims {
		if claim.DeletionTimestamp == nil ||
			slices.ContainsFunc(s.pods, func(pod *corev1.Pod) bool { return pod.Spec.NodeName != "" && uses(pod, claim.Name) }) {
			continue
		}
		s.claims = slices.DeleteFunc(s.claims, func(other *corev1.PersistentVolumeClaim) bool { return other == claim })
		s.tell(byClaims, "lets claim %s go", claim.Name)
		return true
	}
	if changed := s.reportUnused(); changed != "" {
		s.tell(byClaims, "%s", changed)
		return true
	}
	return false
}

func (s *story) reportUnused() (changed string) {
	if !s.reportsUnused {
		return ""
	}
	for _, claim := range s.claims {
		status, word := corev1.ConditionTrue, "unused"
		if slices.ContainsFunc(s.pods, func(pod *corev1.Pod) bool { return !terminal(pod) && uses(pod, claim.Name) }) {
			status, word = corev1.ConditionFalse, "used"
		}
		if len(claim.Status.Conditions) == 1 && claim.Status.Conditions[0].Status == status {
			continue
		}
		unusedSince(status, s.stamp())(claim)
		s.touch(claim)
		return fmt.Sprintf("reports claim %s as %s", claim.Name, word)
	}
	return ""
}

// reportsUnusedNow lets claim protection report a claim as unused from now on, be it after a use that it has noticed only now: the
// kube-controller-manager has much to do.
func (s *story) reportsUnusedNow(name string) {
	claim := s.claimNamed(name)
	unusedSince(corev1.ConditionTrue, s.stamp())(claim)
	s.touch(claim)
	s.tell(byClaims, "reports claim %s as unused since now", name)
}

// collector is the garbage collector.
func (s *story) collector() bool {
	for _, job := range s.jobs {
		pod := pick(s.pods, func(pod *corev1.Pod) bool { return ownerUID(pod) == job.UID })
		switch {
		case job.DeletionTimestamp != nil && pod == nil:
			s.removeJob(job)
			s.tell(byCollector, "deletes %s, whose pods are gone", s.jobWord(job))
			return true
		case job.DeletionTimestamp != nil && pod.DeletionTimestamp == nil:
			s.deletePod(pod)
			s.tell(byCollector, "deletes the pod of %s, which is going", s.jobWord(job))
			return true
		case job.DeletionTimestamp == nil && s.ownerGone(job):
			s.removeJob(job)
			s.tell(byCollector, "deletes %s, whose policy is gone", s.jobWord(job))
			return true
		}
	}
	for _, pod := range s.pods {
		if pod.DeletionTimestamp == nil && s.ownerGone(pod) {
			word := s.podWord(pod)
			s.deletePod(pod)
			s.tell(byCollector, "deletes %s, whose owner is gone", word)
			return true
		}
	}
	return false
}

func (s *story) ownerGone(object metav1.Object) bool {
	uid := ownerUID(object)
	return uid != "" && (s.set == nil || s.set.UID != uid) && s.jobByUID(uid) == nil &&
		!slices.ContainsFunc(s.policies, func(policy *drainv1alpha1.DrainPolicy) bool { return policy.UID == uid })
}

// reportReady has the status of the StatefulSet say how many replicas are ready. Those outside the story are.
func (s *story) reportReady() {
	if s.set == nil {
		return
	}
	ready := *s.set.Spec.Replicas
	for _, ordinal := range s.ordinals {
		pod := s.podNamed(ordinalNamed(ordinal))
		if s.wants(ordinal) && (pod == nil || pod.Status.Phase != corev1.PodRunning) {
			ready--
		}
	}
	s.set.Status.ReadyReplicas = max(0, ready-s.unready)
}
