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

package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
)

// act looks again, live, at every ordinal that the plan has a step for, and takes the step
// that the live view asks for. What it learns goes into the plan. An error about one ordinal
// doesn't keep it from the others.
func (r *Reconciler) act(ctx context.Context, snapshot plan.Snapshot, p *plan.Plan) error {
	policy := snapshot.Policy
	if p.Finalizer && policy.DeletionTimestamp == nil {
		if err := r.addFinalizer(ctx, policy); err != nil {
			return err
		}
	}
	var errs []error
	queue := looks(p)
	for len(queue) > 0 {
		ordinals := queue[0]
		queue = queue[1:]
		live, err := r.gatherLive(ctx, snapshot, ordinals...)
		if err != nil {
			errs = append(errs, fmt.Errorf("looking at ordinals %d: %w", ordinals, err))
			continue
		}
		again := plan.Make(live, r.Clock.Now())
		for _, ordinal := range ordinals {
			decision := again.Drain(ordinal)
			if decision == nil {
				// The caches are behind; what they lack is on its way.
				continue
			}
			if len(ordinals) > 1 && decision.Next.Kind != plan.RenewMarks && decision.Next.Kind != "" {
				queue = append(queue, []int32{ordinal})
				continue
			}
			err := r.take(ctx, live, decision)
			if classify(err) == refused {
				log.FromContext(ctx).Info("A step was refused", "ordinal", ordinal, "step", decision.Next.Kind, "why", err.Error())
				refuse(decision, drainv1alpha1.ReasonWriteRefused, fmt.Sprintf("The API server refuses step %s of the operator", decision.Next.Kind), err)
			} else if err != nil {
				errs = append(errs, fmt.Errorf("ordinal %d: %s: %w", ordinal, decision.Next.Kind, err))
			}
			p.Replace(snapshot, *decision, r.Clock.Now())
		}
	}
	for i := range p.SurplusJobs {
		job := &p.SurplusJobs[i]
		errs = append(errs, r.deleteJob(ctx, job.Namespace, job.Name, job.UID))
	}
	if !p.Finalizer {
		errs = append(errs, r.removeFinalizer(ctx, policy))
	}
	return errors.Join(errs...)
}

// looks returns the ordinals that the plan has a step for, those together that one live look is enough for. Marks are
// renewed from one look: what is written on a claim names the StatefulSet's generation that was read, and the claim's
// resourceVersion, so that a look that has grown old costs a conflict or another renewal and never a wrong mark. An
// autoscaler makes many of them at once. Every other step has a look of its own, right before it.
func looks(p *plan.Plan) [][]int32 {
	var together []int32
	var each [][]int32
	for i := range p.Drains {
		switch p.Drains[i].Next.Kind {
		case "":
		case plan.RenewMarks:
			together = append(together, p.Drains[i].Ordinal)
		default:
			each = append(each, []int32{p.Drains[i].Ordinal})
		}
	}
	if len(together) > 0 {
		// First, because marks hold for one more generation only.
		return append([][]int32{together}, each...)
	}
	return each
}

// take takes the step of a drain, which was decided on a live snapshot. Conflicts are errors:
// the step was decided on something that is no more, and is decided again.
func (r *Reconciler) take(ctx context.Context, live plan.Snapshot, drain *plan.Drain) error {
	step := drain.Next
	namespace := live.Policy.Namespace
	logger := log.FromContext(ctx).WithValues("statefulSet", live.Policy.Spec.StatefulSetRef.Name, "ordinal", drain.Ordinal)
	switch step.Kind {
	case plan.TakeLock:
		logger.Info("Taking the lock")
		return r.takeLock(ctx, live, drain)
	case plan.StartJob:
		logger.Info("Starting a drain", "job", klog.KRef(namespace, step.Job), "attempt", step.Attempt)
		return r.startJob(ctx, live, drain)
	case plan.AdmitPod:
		logger.Info("Ungating a drain pod", "pod", klog.KObj(step.Pod))
		return r.admitPod(ctx, drain.Lock, step)
	case plan.NoteAttempt:
		logger.Info("Noting a failed attempt", "attempt", step.Note.Number, "reason", step.Note.Reason, "why", step.Note.Why)
		return r.noteAttempt(ctx, drain.Lock, step.Note)
	case plan.DeletePod:
		logger.Info("Deleting a drain pod that has no Job", "pod", klog.KObj(step.Pod))
		return r.deletePod(ctx, step.Pod)
	case plan.DeleteJob:
		logger.Info("Deleting a Job", "job", klog.KRef(namespace, step.Job), "why", drain.Message)
		return r.deleteJob(ctx, namespace, step.Job, step.JobUID)
	case plan.MarkClaims, plan.RenewMarks, plan.VoidMarks, plan.ReleaseMarks:
		for i := range step.Marks {
			logger.Info("Writing a mark", "step", step.Kind, "claim", klog.KObj(&step.Marks[i].Claim))
			if err := r.mark(ctx, &step.Marks[i]); err != nil {
				return err
			}
		}
	case plan.DeleteClaims:
		if err := r.noteDeletion(ctx, drain.Lock, step.Delete); err != nil {
			return err
		}
		for i := range step.Delete {
			logger.Info("Deleting a drained claim", "claim", klog.KObj(&step.Delete[i]))
			if err := r.deleteClaim(ctx, &step.Delete[i]); err != nil {
				return err
			}
		}
	case plan.ReleaseLock:
		logger.Info("Releasing the lock", "why", drain.Message)
		return r.releaseLock(ctx, drain.Lock)
	}
	return nil
}

// takeLock creates the lock, once the policy is sure to stay: the caches may not have asked for a lock
// yet, so that nobody has seen to that. That its name is taken means that somebody came first: the
// StatefulSet's pod, or this operator in another life.
func (r *Reconciler) takeLock(ctx context.Context, live plan.Snapshot, drain *plan.Drain) error {
	lock := objects.Lock(live.Policy, &live.Template, live.Target, drain.Ordinal)
	if err := r.addFinalizer(ctx, live.Policy); err != nil {
		return err
	}
	err := r.Create(ctx, lock)
	switch {
	case apierrors.IsAlreadyExists(err):
		drain.State, drain.Reason = drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists
		drain.Message = "Waiting for the pod of the ordinal to terminate"
		drain.RetryAfter = refusalRecheck
		return nil
	case classify(err) == refused:
		refuse(drain, drainv1alpha1.ReasonLockRefused, "The API server refuses the lock, a pod that never runs", err)
		return nil
	case err != nil:
		return err
	}
	if missing := plan.LockLacks(lock, live.Policy.UID); missing != "" {
		// It would protect nothing, or stay for ever.
		refuse(drain, drainv1alpha1.ReasonLockRefused, "A webhook changes the lock, a pod that never runs", fmt.Errorf("it lacks %s; exempt pods with the label %s=%s from it", missing, drainv1alpha1.RoleLabel, drainv1alpha1.RoleLock))
		return r.releaseLock(ctx, lock)
	}
	return nil
}

// startJob creates the Job of an attempt, and has the lock remember it where that is asked for. The Job's name says which
// attempt it is, so one that exists already is this one, or a stranger's.
func (r *Reconciler) startJob(ctx context.Context, live plan.Snapshot, drain *plan.Drain) error {
	err := r.Create(ctx, objects.Job(live.Policy, &live.Template, live.Target, objects.Attempt{
		Job:     drain.Next.Job,
		Ordinal: drain.Ordinal,
		Number:  drain.Next.Attempt,
		LockUID: drain.Lock.UID,
	}))
	switch {
	case apierrors.IsAlreadyExists(err):
		drain.Message = fmt.Sprintf("Job %q exists already; if DrainPolicy %q is not its controller, delete it", drain.Next.Job, live.Policy.Name)
		drain.RetryAfter = refusalRecheck
		return nil
	case classify(err) == refused:
		refuse(drain, drainv1alpha1.ReasonJobRefused, "The API server refuses the drain's Job", err)
		return nil
	case err != nil || drain.Next.Note == nil:
		return err
	}
	return r.noteAttempt(ctx, drain.Lock, drain.Next.Note)
}

// noteAttempt writes to the lock what it is to remember of the latest attempt, and forgets the Job of the one before.
func (r *Reconciler) noteAttempt(ctx context.Context, lock *corev1.Pod, note *plan.Attempt) error {
	after := lock.DeepCopy()
	if note.Failed == nil {
		delete(after.Annotations, drainv1alpha1.JobAnnotation)
	}
	metav1.SetMetaDataAnnotation(&after.ObjectMeta, drainv1alpha1.AttemptAnnotation, note.String())
	if err := r.Patch(ctx, after, client.MergeFromWithOptions(lock, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing to the lock: %w", err)
	}
	return nil
}

// admitPod lifts the gate of a drain pod whose lock was just seen to stand. The lock is written
// to first: a release that was decided before the Job existed, and hung, then fails.
func (r *Reconciler) admitPod(ctx context.Context, lock *corev1.Pod, step plan.Step) error {
	if lock.Annotations[drainv1alpha1.JobAnnotation] != string(step.JobUID) {
		after := lock.DeepCopy()
		metav1.SetMetaDataAnnotation(&after.ObjectMeta, drainv1alpha1.JobAnnotation, string(step.JobUID))
		metav1.SetMetaDataAnnotation(&after.ObjectMeta, drainv1alpha1.AttemptAnnotation, step.Note.String())
		if err := r.Patch(ctx, after, client.MergeFromWithOptions(lock, client.MergeFromWithOptimisticLock{})); err != nil {
			return fmt.Errorf("writing to the lock: %w", err)
		}
	}
	pod := step.Pod.DeepCopy()
	pod.Spec.SchedulingGates = slices.DeleteFunc(pod.Spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool {
		return gate.Name == drainv1alpha1.DrainSchedulingGate
	})
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, drainv1alpha1.ImagesAnnotation, proof.Images(&pod.Spec))
	err := r.Patch(ctx, pod, client.MergeFromWithOptions(step.Pod, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}

// refuse records a refusal on a drain. It isn't an error to retry with haste: somebody must
// change the template, a quota or a right first.
func refuse(drain *plan.Drain, reason, what string, err error) {
	drain.State, drain.Reason = drainv1alpha1.DrainBlocked, reason
	drain.Message = fmt.Sprintf("%s: %v", what, err)
	drain.RetryAfter = refusalRecheck
}

// deleteJob deletes a Job in the foreground: the Job stays until its pods are gone, so that
// its absence means theirs.
func (r *Reconciler) deleteJob(ctx context.Context, namespace, name string, uid types.UID) error {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := r.Delete(ctx, job, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationForeground))
	return client.IgnoreNotFound(err)
}

// deletePod deletes a drain pod, provided that it is still as it was read.
func (r *Reconciler) deletePod(ctx context.Context, pod *corev1.Pod) error {
	err := r.Delete(ctx, pod.DeepCopy(), client.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion})
	return client.IgnoreNotFound(err)
}

// mark writes a mark on a claim, provided that the claim is still as it was read.
func (r *Reconciler) mark(ctx context.Context, mark *plan.ClaimMark) error {
	claim := mark.Claim.DeepCopy()
	before := mark.Claim.DeepCopy()
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.DrainedAnnotation, mark.Mark.String())
	return r.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// noteDeletion writes to the lock before claims are deleted under it: a release of the lock that
// was decided before, and hung, then fails. One that is decided later writes to the claims first.
func (r *Reconciler) noteDeletion(ctx context.Context, lock *corev1.Pod, deleted []corev1.PersistentVolumeClaim) error {
	versions := make([]string, 0, len(deleted))
	for i := range deleted {
		versions = append(versions, deleted[i].ResourceVersion)
	}
	after := lock.DeepCopy()
	metav1.SetMetaDataAnnotation(&after.ObjectMeta, drainv1alpha1.DeletingAnnotation, strings.Join(versions, ","))
	if err := r.Patch(ctx, after, client.MergeFromWithOptions(lock, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing to the lock: %w", err)
	}
	return nil
}

// deleteClaim deletes a claim, provided that it is still as it was read, mark and all.
func (r *Reconciler) deleteClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	err := r.Delete(ctx, claim.DeepCopy(), client.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion})
	return client.IgnoreNotFound(err)
}

// releaseLock deletes a lock and takes its finalizer off. The deletion comes first: a lock
// that lost its finalizer and stayed would be one that anybody can delete.
func (r *Reconciler) releaseLock(ctx context.Context, lock *corev1.Pod) error {
	if lock.DeletionTimestamp == nil {
		err := r.Delete(ctx, lock.DeepCopy(), client.Preconditions{UID: &lock.UID, ResourceVersion: &lock.ResourceVersion})
		if err != nil {
			return client.IgnoreNotFound(err)
		}
	}
	at := slices.Index(lock.Finalizers, drainv1alpha1.LockFinalizer)
	if at < 0 {
		return nil
	}
	path := fmt.Sprintf("/metadata/finalizers/%d", at)
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": lock.UID},
		{"op": "test", "path": path, "value": drainv1alpha1.LockFinalizer},
		{"op": "remove", "path": path},
	})
	if err != nil {
		return fmt.Errorf("encoding the patch: %w", err)
	}
	err = r.Patch(ctx, lock.DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
	if apierrors.IsInvalid(err) {
		// A test in the patch failed, which is no refusal. What changed is not known, so it is tried again with backoff.
		return errors.New(err.Error())
	}
	return client.IgnoreNotFound(err)
}

// releaseAbandonedLocks releases the locks of a policy that is gone, of this name and with
// another UID than the present one. They can only come of a policy whose finalizer a person
// removed by hand, or of two managers at a leader change; nothing else would release them. It returns the time after which
// to look again at those that must wait. A lock that can't be released blocks its own ordinal, and no other.
func (r *Reconciler) releaseAbandonedLocks(ctx context.Context, policy types.NamespacedName, present types.UID) (after time.Duration, err error) {
	var locks corev1.PodList
	if err := r.List(ctx, &locks, client.InNamespace(policy.Namespace), client.MatchingLabels{drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock}); err != nil {
		return 0, fmt.Errorf("listing locks: %w", err)
	}
	var errs []error
	for i := range locks.Items {
		owner, ok := plan.Holder(&locks.Items[i])
		if !ok || owner.Name != policy.Name || owner.UID == present {
			continue
		}
		busy, err := r.releaseAbandonedLock(ctx, &locks.Items[i], owner)
		if err != nil {
			errs = append(errs, fmt.Errorf("releasing the abandoned lock %q: %w", locks.Items[i].Name, err))
		}
		if busy {
			after = refusalRecheck
		}
	}
	return after, errors.Join(errs...)
}

// releaseAbandonedLock releases a lock unless something still runs under it, which it then tells to end where nothing
// else does.
func (r *Reconciler) releaseAbandonedLock(ctx context.Context, cached *corev1.Pod, owner metav1.OwnerReference) (busy bool, err error) {
	lock, policy := &corev1.Pod{}, &drainv1alpha1.DrainPolicy{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(cached), lock); err != nil || lock.UID != cached.UID {
		return false, client.IgnoreNotFound(err)
	}
	key := types.NamespacedName{Namespace: lock.Namespace, Name: owner.Name}
	if err := r.Live.Get(ctx, key, policy); client.IgnoreNotFound(err) != nil || policy.UID == owner.UID {
		return false, err
	}
	gone := plan.Snapshot{Policy: &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: lock.Namespace, UID: owner.UID}}}
	if err := gatherOwn(ctx, r.Live, &gone, ownLabels(gone.Policy)); err != nil {
		return false, err
	}
	ordinal := lock.Labels[drainv1alpha1.OrdinalLabel]
	if job := plan.OrphanedJob(gone, ordinal); job != nil {
		return true, r.deleteJob(ctx, job.Namespace, job.Name, job.UID)
	}
	if pod := plan.Orphan(gone, ordinal); pod != nil {
		return true, r.deletePod(ctx, pod)
	}
	logger := log.FromContext(ctx).WithValues("lock", klog.KObj(lock), "policyUID", owner.UID)
	if busy := plan.Busy(gone, ordinal); busy != "" {
		logger.Info("Waiting to release the lock of a policy that is gone", "why", busy+" is not over")
		return true, nil
	}
	if err := r.releaseMarks(ctx, lock); err != nil {
		return false, err
	}
	logger.Info("Releasing the lock of a policy that is gone")
	return false, r.releaseLock(ctx, lock)
}

// releaseMarks writes to the marked claims of a lock's ordinal, as plan.ReleaseMarks does, and voids the marks: whether a
// pod uses the claims by now is for the next policy to find out, which drains them again. Without
// the policy nobody knows the claim templates, but every claim of the ordinal is named
// <template>-<name of the lock>; one more that is written to does no harm.
func (r *Reconciler) releaseMarks(ctx context.Context, lock *corev1.Pod) error {
	var list corev1.PersistentVolumeClaimList
	if err := r.Live.List(ctx, &list, client.InNamespace(lock.Namespace)); err != nil {
		return fmt.Errorf("listing claims: %w", err)
	}
	for i := range list.Items {
		claim := &list.Items[i]
		mark := claims.ParseMark(claim)
		if mark == nil || mark.ReleasedUID == lock.UID || claim.DeletionTimestamp != nil || !strings.HasSuffix(claim.Name, "-"+lock.Name) {
			continue
		}
		if err := r.mark(ctx, &plan.ClaimMark{Claim: *claim, Mark: mark.Void().Release(lock.UID)}); err != nil {
			return fmt.Errorf("writing to claim %q: %w", claim.Name, err)
		}
	}
	return nil
}

// addFinalizer keeps the policy in place for as long as it has locks.
func (r *Reconciler) addFinalizer(ctx context.Context, policy *drainv1alpha1.DrainPolicy) error {
	before := policy.DeepCopy()
	if !controllerutil.AddFinalizer(policy, drainv1alpha1.PolicyFinalizer) {
		return nil
	}
	if err := r.Patch(ctx, policy, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer to the policy: %w", err)
	}
	return nil
}

// removeFinalizer lets the policy be deleted at any time, unless the API server knows of a lock or of an
// unfinished Job that the caches haven't heard of.
func (r *Reconciler) removeFinalizer(ctx context.Context, policy *drainv1alpha1.DrainPolicy) error {
	if !controllerutil.ContainsFinalizer(policy, drainv1alpha1.PolicyFinalizer) {
		return nil
	}
	live := plan.Snapshot{Policy: policy}
	if err := gatherOwn(ctx, r.Live, &live, ownLabels(policy)); err != nil {
		return err
	}
	if busy := plan.Busy(live, ""); busy != "" {
		// The caches will hear of it, and the policy is looked at again then.
		return nil
	}
	before := policy.DeepCopy()
	controllerutil.RemoveFinalizer(policy, drainv1alpha1.PolicyFinalizer)
	err := r.Patch(ctx, policy, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}
