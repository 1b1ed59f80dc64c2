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
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/proof"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

const (
	policyUID = types.UID("policy")
	setUID    = types.UID("set")
	hash      = "hash-of-the-template"
)

// now is the time of every plan, noon the end of every Job: a minute before.
var (
	now  = time.Date(2026, time.August, 1, 12, 1, 0, 0, time.UTC)
	noon = metav1.NewTime(now.Add(-time.Minute))
)

// world is a snapshot to be: StatefulSet web of two replicas, with one claim template, and the
// policy that drains it. Its methods add what a test is about.
type world struct {
	Snapshot
	// StatefulSet that the target is made of, or nil if it is gone.
	StatefulSet *appsv1.StatefulSet
	// changedSince is true when the preflight was about something else than the snapshot has now.
	changedSince bool
}

// snapshot returns the snapshot of a world as it is now.
func (w *world) snapshot() Snapshot {
	s := w.Snapshot
	s.Template = w.Policy.Spec.Template
	s.Target = statefulset.Remembered(w.Policy)
	if w.StatefulSet != nil {
		s.Target = statefulset.Of(w.StatefulSet)
	}
	if s.Preflight.About = s.Subject(); w.changedSince {
		s.Preflight.About = Subject{TemplateHash: "of-another-template"}
	}
	return s
}

// given returns a world as the functions make it.
func given(build ...func(*world)) *world {
	w := &world{}
	w.StatefulSet = &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: setUID, Generation: 4},
		Spec:       appsv1.StatefulSetSpec{Replicas: ptr.To[int32](2)},
		Status:     appsv1.StatefulSetStatus{ObservedGeneration: 4, ReadyReplicas: 2},
	}
	w.Snapshot = Snapshot{
		Policy: &drainv1alpha1.DrainPolicy{
			ObjectMeta: metav1.ObjectMeta{
				Name: "web", Namespace: "shop", UID: policyUID, Generation: 7,
				Finalizers: []string{drainv1alpha1.PolicyFinalizer},
			},
			Spec: drainv1alpha1.DrainPolicySpec{
				StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "web"},
				Template: corev1.PodTemplateSpec{
					Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "drain", Image: "drain"}}},
				},
				WhenScaled:   drainv1alpha1.WhenScaledDrain,
				WhenDrained:  drainv1alpha1.WhenDrainedRetain,
				WhenScaledUp: drainv1alpha1.WhenScaledUpWait,
			},
		},
		TemplateHash: hash,
	}
	w.templates("data")
	w.selector("web")
	for _, b := range build {
		if b != nil {
			b(w)
		}
	}
	if w.Preflight.Refusal != "" || w.Preflight.Unanswered != "" {
		w.Preflight.Again = 30 * time.Second
	}
	return w
}

// fromAnnotation has the template read from an annotation of the StatefulSet.
func fromAnnotation(w *world) {
	w.Policy.Spec.TemplateFrom.StatefulSetAnnotation = drainv1alpha1.ScaledownPodTemplateAnnotation
}

// unreadable is such an annotation with a mistake in it.
func unreadable(w *world) {
	fromAnnotation(w)
	w.Policy.Spec.Template = corev1.PodTemplateSpec{}
	w.Unreadable, w.TemplateHash = "line 1, column 2: unexpected end of JSON input", ""
}

// annotated gives the StatefulSet both annotations.
func annotated(w *world) {
	for _, key := range drainv1alpha1.TemplateAnnotations() {
		metav1.SetMetaDataAnnotation(&w.StatefulSet.ObjectMeta, string(key), "{}")
	}
}

func (w *world) templates(names ...string) {
	w.StatefulSet.Spec.VolumeClaimTemplates = nil
	for _, name := range names {
		w.StatefulSet.Spec.VolumeClaimTemplates = append(w.StatefulSet.Spec.VolumeClaimTemplates,
			corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
}

// selector gives the StatefulSet a selector, app=<value>.
func (w *world) selector(value string) {
	w.StatefulSet.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": value}}
}

// expressionsOnly gives the StatefulSet a selector that selects its pods and leaves no labels on its claims.
func expressionsOnly(w *world) {
	w.StatefulSet.Spec.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"web"}},
	}}
}

func ordinals(start int32) *appsv1.StatefulSetOrdinals {
	return &appsv1.StatefulSetOrdinals{Start: start}
}

// claim adds a bound claim.
func (w *world) claim(template string, ordinal int32, change ...func(*corev1.PersistentVolumeClaim)) {
	name := claims.Name(template, "web", ordinal)
	claim := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "shop", UID: types.UID("uid-of-" + name), ResourceVersion: "1", Labels: map[string]string{"app": "web"},
			CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour)),
		},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "volume-of-" + name},
		Status: corev1.PersistentVolumeClaimStatus{
			Phase:    corev1.ClaimBound,
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		},
	}
	for _, c := range change {
		c(&claim)
	}
	w.Claims = append(w.Claims, claim)
}

// Changes of claims.

func markedBy(mark claims.Mark) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		mark := mark
		if mark.ClaimUID == "" {
			mark.ClaimUID = claim.UID
		}
		mark.Time = noon
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.DrainedAnnotation, mark.String())
	}
}

// markedAt marks a claim at a generation of the StatefulSet, under a lock that is gone.
func markedAt(generation int64) func(*corev1.PersistentVolumeClaim) {
	return markedBy(claims.Mark{
		LockUID: "past-lock", StatefulSetUID: setUID, Generation: generation, Job: "past-job", Attempts: 2,
		Outcome: "moved all",
	})
}

// usedSinceRelease gives a claim a mark that its lock's release has kept, and a use that was reported since; there were some before.
func usedSinceRelease(repeats int32) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		markedBy(claims.Mark{
			ReleasedUID: "past-lock", StatefulSetUID: setUID, Generation: 4, Job: "past-job", Attempts: 1, Repeats: repeats,
		})(claim)
		unusedSince(corev1.ConditionTrue, noon)(claim)
	}
}

// markedUnder marks a claim under the lock of an ordinal.
func markedUnder(ordinal int32) func(*corev1.PersistentVolumeClaim) {
	return markedBy(claims.Mark{LockUID: lockUID(ordinal), Job: "past-job", Attempts: 1})
}

// markedAgo changes when the mark on a claim was written.
func markedAgo(ago time.Duration) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		mark := claims.ParseMark(claim)
		mark.Time = metav1.NewTime(now.Add(-ago))
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.DrainedAnnotation, mark.String())
	}
}

func withLabel(value string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) { claim.Labels = map[string]string{"app": value} }
}

func unlabeled(claim *corev1.PersistentVolumeClaim) { claim.Labels = nil }

func skip(claim *corev1.PersistentVolumeClaim) {
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.SkipAnnotation, "true")
}

func claimTerminating(claim *corev1.PersistentVolumeClaim) { claim.DeletionTimestamp = &noon }

func volumeLost(claim *corev1.PersistentVolumeClaim) { claim.Status.Phase = corev1.ClaimLost }

func withoutVolume(claim *corev1.PersistentVolumeClaim) {
	claim.Spec.VolumeName, claim.Status.Phase, claim.Status.Capacity = "", corev1.ClaimPending, nil
}

func bornAfterTheLock(claim *corev1.PersistentVolumeClaim) {
	claim.UID = "new"
	claim.CreationTimestamp = metav1.NewTime(noon.Add(30 * time.Second))
}

func bornWithTheLock(claim *corev1.PersistentVolumeClaim) {
	claim.UID = "new"
	claim.CreationTimestamp = metav1.NewTime(noon.Add(-time.Minute))
}

func unusedSince(status corev1.ConditionStatus, since metav1.Time) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
			Type: corev1.PersistentVolumeClaimUnused, Status: status, LastTransitionTime: since,
		}}
	}
}

func lockUID(ordinal int32) types.UID { return types.UID(fmt.Sprintf("lock-of-%d", ordinal)) }

// pod adds a pod that is not the operator's, and that mounts a claim.
func (w *world) pod(name, claim string, change ...func(*corev1.Pod)) {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID("uid-of-" + name)},
		Spec:       corev1.PodSpec{NodeName: "node-1"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if claim != "" {
		pod.Spec.Volumes = []corev1.Volume{
			{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{
				Name: "claim",
				VolumeSource: corev1.VolumeSource{
					PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
				},
			},
		}
	}
	for _, c := range change {
		c(&pod)
	}
	w.Pods = append(w.Pods, pod)
}

func ours(ordinal int32, role string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Labels = map[string]string{
			drainv1alpha1.PolicyUIDLabel: string(policyUID),
			drainv1alpha1.RoleLabel:      role,
			drainv1alpha1.OrdinalLabel:   strconv.Itoa(int(ordinal)),
		}
	}
}

// lock adds the lock of an ordinal.
func (w *world) lock(ordinal int32, change ...func(*corev1.Pod)) {
	w.pod(fmt.Sprintf("web-%d", ordinal), "",
		append([]func(*corev1.Pod){ours(ordinal, drainv1alpha1.RoleLock), func(pod *corev1.Pod) {
			pod.UID = lockUID(ordinal)
			pod.CreationTimestamp = metav1.NewTime(noon.Add(-time.Minute))
			pod.OwnerReferences = []metav1.OwnerReference{{
				Kind: "DrainPolicy", Name: "web", UID: policyUID, Controller: ptr.To(true),
			}}
			pod.Finalizers = []string{drainv1alpha1.LockFinalizer}
			pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: drainv1alpha1.LockSchedulingGate}}
			pod.Spec.NodeName, pod.Status.Phase = "", corev1.PodPending
		}}, change...)...)
}

func podTerminating(pod *corev1.Pod) { pod.DeletionTimestamp = &noon }

// readySince gives a pod the condition Ready with a status that it has had for a while.
func readySince(status corev1.ConditionStatus, ago time.Duration) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(now.Add(-ago)),
		}}
	}
}

func podPhase(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Status.Phase = phase }
}

// attempted makes a lock remember an attempt.
func attempted(attempt Attempt) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, drainv1alpha1.AttemptAnnotation, attempt.String())
	}
}

// note makes the lock of an ordinal remember an attempt.
func (w *world) note(ordinal int32, attempt Attempt) {
	for i := range w.Pods {
		if w.Pods[i].UID == lockUID(ordinal) {
			attempted(attempt)(&w.Pods[i])
		}
	}
}

// failedAttempt is an attempt that failed a while ago.
func failedAttempt(number int32, ago time.Duration) Attempt {
	return Attempt{
		Number: number, TemplateHash: hash, Failed: ptr.To(metav1.NewTime(now.Add(-ago))),
		Reason: drainv1alpha1.ReasonJobFailed, Why: "the words of the drain",
	}
}

// ungatedJob makes a lock name a Job whose pods it lets run.
func ungatedJob(pod *corev1.Pod) {
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, drainv1alpha1.JobAnnotation, "uid-of-a-job")
}

// deletionNoted makes a lock name the versions of its claims that are about to be deleted.
func deletionNoted(pod *corev1.Pod) {
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, drainv1alpha1.DeletingAnnotation, fmt.Sprintf("data-%[1]s=1,logs-%[1]s=1", pod.Name))
}

// jobName is the name of the Job of an attempt on the claims that were added before.
func (w *world) jobName(ordinal, attempt int32) string {
	var uids []types.UID
	for i := range w.Claims {
		if _, n, ok := claims.Parse(w.Claims[i].Name); ok && n == ordinal {
			uids = append(uids, w.Claims[i].UID)
		}
	}
	return JobName("web", policyUID, ordinal, lockUID(ordinal), uids, attempt)
}

// job adds the Job of an attempt, under the lock of the ordinal and on the claims that were
// added before.
func (w *world) job(ordinal, attempt int32, change ...func(*batchv1.Job)) {
	job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: w.jobName(ordinal, attempt), Namespace: "shop", CreationTimestamp: noon,
		Labels: map[string]string{
			drainv1alpha1.PolicyUIDLabel: string(policyUID), drainv1alpha1.RoleLabel: drainv1alpha1.RoleDrain,
			drainv1alpha1.OrdinalLabel: strconv.Itoa(int(ordinal)), drainv1alpha1.AttemptLabel: strconv.Itoa(int(attempt)),
		},
		Annotations: map[string]string{drainv1alpha1.TemplateHashAnnotation: hash},
		OwnerReferences: []metav1.OwnerReference{{
			Kind: "DrainPolicy", Name: "web", UID: policyUID, Controller: ptr.To(true),
		}},
	}}
	job.Spec.PodReplacementPolicy = ptr.To(batchv1.Failed)
	job.Spec.Template.Spec = corev1.PodSpec{
		Containers:      []corev1.Container{{Name: "drain", Image: "drain"}},
		SchedulingGates: []corev1.PodSchedulingGate{{Name: drainv1alpha1.DrainSchedulingGate}},
	}
	job.UID = types.UID("uid-of-" + job.Name)
	for _, c := range change {
		c(&job)
	}
	w.Jobs = append(w.Jobs, job)
}

// Changes of Jobs.

func jobOver(outcome batchv1.JobConditionType) func(*batchv1.Job) {
	return func(job *batchv1.Job) {
		job.Status.StartTime = ptr.To(metav1.NewTime(noon.Add(-time.Minute)))
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: outcome, Status: corev1.ConditionTrue,
			LastTransitionTime: noon, Reason: "SomeReason", Message: "words of the Job controller",
		})
		if outcome == batchv1.JobComplete {
			job.Status.CompletionTime = &noon
		}
	}
}

var (
	complete = jobOver(batchv1.JobComplete)
	failed   = jobOver(batchv1.JobFailed)
)

func jobTerminating(job *batchv1.Job) { job.DeletionTimestamp = &noon }

func underExitCode(job *batchv1.Job) {
	job.Annotations[drainv1alpha1.ProofAnnotation] = string(drainv1alpha1.ProofExitCode)
}

// forged makes a Job one that only bears the policy's labels.
func forged(job *batchv1.Job) { job.OwnerReferences[0].UID = "another" }

// ownerless makes a Job one that its policy left behind, or that only bears the policy's labels.
func ownerless(job *batchv1.Job) { job.OwnerReferences = nil }

func jobReady(job *batchv1.Job) { job.Status.Ready = ptr.To[int32](1) }

func otherTemplate(job *batchv1.Job) {
	job.Annotations[drainv1alpha1.TemplateHashAnnotation] = "of-another-template"
}

func named(name string) func(*batchv1.Job) {
	return func(job *batchv1.Job) { job.Name, job.UID = name, types.UID("uid-of-"+name) }
}

// drainPod adds a pod of the Job that was added last.
func (w *world) drainPod(ordinal int32, change ...func(*corev1.Pod)) {
	var owners []metav1.OwnerReference
	name := "orphan"
	if len(w.Jobs) > 0 {
		job := &w.Jobs[len(w.Jobs)-1]
		name = job.Name
		owners = []metav1.OwnerReference{{Kind: "Job", Name: job.Name, UID: job.UID, Controller: ptr.To(true)}}
	}
	w.pod(fmt.Sprintf("%s-%d", name, len(w.Pods)), claims.Name("data", "web", ordinal), append([]func(*corev1.Pod){
		ours(ordinal, drainv1alpha1.RoleDrain), func(pod *corev1.Pod) {
			pod.OwnerReferences = owners
			w.asked(pod, name, ordinal)
		},
	}, change...)...)
}

// asked makes a pod the one that the operator asks for: its container mounts every claim of the ordinal and knows the
// receipt.
func (w *world) asked(pod *corev1.Pod, job string, ordinal int32) {
	drain := corev1.Container{
		Name: "drain", Image: "drain", Env: []corev1.EnvVar{{Name: proof.ReceiptVariable, Value: Receipt(job)}},
	}
	pod.Spec.Volumes = nil
	for i := range w.Claims {
		if base, n, ok := claims.Parse(w.Claims[i].Name); ok && n == ordinal {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: base, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: w.Claims[i].Name},
			}})
			drain.VolumeMounts = append(drain.VolumeMounts, corev1.VolumeMount{Name: base, MountPath: "/" + base})
		}
	}
	pod.Spec.Containers = []corev1.Container{drain}
}

// through adds a Job that is complete, and its pod, which ended well by itself.
func (w *world) through(ordinal, attempt int32) {
	w.job(ordinal, attempt, complete)
	w.drainPod(ordinal, ended(0, ""))
}

// noReceipt makes a pod that has ended end without its receipt.
func noReceipt(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].State.Terminated.Message = "killed" }

// disrupted makes a pod one that the kubelet evicted.
func disrupted(pod *corev1.Pod) {
	pod.Status.Conditions = append(pod.Status.Conditions,
		corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonTerminationByKubelet,
		})
}

// unmounted makes a pod one whose container mounts none of the claims.
func unmounted(pod *corev1.Pod) { pod.Spec.Containers[0].VolumeMounts = nil }

func gated(pod *corev1.Pod) {
	pod.Spec.NodeName, pod.Status.Phase = "", corev1.PodPending
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: drainv1alpha1.DrainSchedulingGate}}
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated,
	}}
}

func unschedulable(pod *corev1.Pod) {
	pod.Spec.NodeName, pod.Status.Phase = "", corev1.PodPending
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/3 nodes are available",
	}}
}

// container gives the drain pod's container a state.
func container(state corev1.ContainerState) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses,
			corev1.ContainerStatus{Name: "drain", Image: "drain", State: state})
	}
}

var running = container(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})

// outlived is a drain pod whose container of the template has ended, and whose other one runs.
func outlived(pod *corev1.Pod) {
	container(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})(pod)
	pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses,
		corev1.ContainerStatus{Name: "proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
}

func waiting(reason string) func(*corev1.Pod) {
	return container(corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "words of the kubelet"},
	})
}

func ended(code int32, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodSucceeded
		if code != 0 {
			pod.Status.Phase = corev1.PodFailed
		}
		if owner := metav1.GetControllerOf(pod); code == 0 && owner != nil {
			message += "\n" + Receipt(owner.Name)
		}
		container(corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", Message: message, FinishedAt: noon},
		})(pod)
	}
}

// observedBefore makes the status remember the StatefulSet as it is.
func (w *world) observedBefore() {
	plan := Make(w.snapshot(), now)
	w.Policy.Status.StatefulSet = plan.Observed
}

// as returns a step as the type that it should be, or an empty one.
func as[T Step](step Step) T {
	typed, _ := step.(T)
	return typed
}

// noted makes the world what it is after steps that only write to a lock or to the policy, as far as they are taken
// before the one that a row is about.
func (w *world) noted(step Step) bool {
	switch step := step.(type) {
	case AddFinalizer:
		w.Policy.Finalizers = append(w.Policy.Finalizers, drainv1alpha1.PolicyFinalizer)
	case NoteAttempt:
		w.annotate(step.Lock, drainv1alpha1.AttemptAnnotation, step.Attempt.String())
	case NoteJob:
		w.annotate(step.Lock, drainv1alpha1.JobAnnotation, string(step.Job))
		w.annotate(step.Lock, drainv1alpha1.PodAnnotation, string(step.Pod))
	case NoteUnused:
		w.annotate(step.Lock, drainv1alpha1.AttemptAnnotation, step.Attempt.String())
	case NoteDeletion:
		w.annotate(step.Lock, drainv1alpha1.DeletingAnnotation, step.Note.String())
	default:
		return false
	}
	return true
}

func (w *world) annotate(lock *corev1.Pod, key, value string) {
	for i := range w.Pods {
		if w.Pods[i].UID == lock.UID {
			metav1.SetMetaDataAnnotation(&w.Pods[i].ObjectMeta, key, value)
		}
	}
}
