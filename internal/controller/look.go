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
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// errUnsettled is what a look says of an ordinal whose lock came or went while the operator looked.
var errUnsettled = fmt.Errorf("%w: the lock came or went during the look", errChanged)

// look returns what the API server holds about some ordinals, and about the locks and Jobs of all. It has all pods of the
// namespace, so that others who use the claims are seen, unless all ordinals have locks and no claims. The look is good for no
// step of the ordinals that are unsettled.
func (r *Reconciler) look(ctx context.Context, cached plan.Snapshot, ordinals ...int32) (live plan.Snapshot, unsettled []int32, err error) {
	policy := &drainv1alpha1.DrainPolicy{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(cached.Policy), policy); apierrors.IsNotFound(err) {
		return live, nil, fmt.Errorf("%w: the policy is gone", errChanged)
	} else if err != nil {
		return live, nil, failedRead(err, "reading the policy")
	}
	if policy.UID != cached.Policy.UID {
		return live, nil, fmt.Errorf("%w: the policy with UID %s became one with UID %s", errChanged, cached.Policy.UID, policy.UID)
	}
	// The caches leave a template that is too large out, so this look does too.
	if err := boundTemplate(policy); err != nil {
		return live, nil, err
	}
	// The preflight is carried over: dry runs go through webhooks, and the rest of the look would grow old meanwhile. It names
	// what it is about, and the planner starts nothing on an answer about another template or StatefulSet than this look sees.
	// No promise rests on it. The planner looks at each drain pod again before it is ungated and when it has succeeded.
	live = plan.Snapshot{Policy: policy, Managed: annotation.IsManaged(policy), Preflight: cached.Preflight, Lag: cached.Lag}

	// The locks come first. The Job of each pod that a lock names is older than that version of the lock, so the list of Jobs
	// shows it, unless it was deleted. A pod that is ungated later changes the lock, and a release of this version fails.
	//
	// The StatefulSet and the claims come before the list of pods, which shows the locks once more: the same lock stood all the
	// time in between. A look that hangs could see the StatefulSet as it is long after the lock was released otherwise, and a mark
	// would name a generation at which the ordinal's pod had run.
	var locks map[string]*corev1.Pod
	if err := r.together(
		func() (err error) { locks, err = r.readLocks(ctx, cached, ordinals); return err },
		func() error { return r.readTarget(ctx, &live, ordinals) },
	); err != nil {
		return live, nil, err
	}
	standing := 0
	for _, lock := range locks {
		if lock != nil {
			standing++
		}
	}
	locked := standing == len(ordinals)
	var jobs batchv1.JobList
	var listed []corev1.Pod
	// When only locks are left to release, the operator's own pods are enough, however many others the namespace has.
	all := !locked || len(live.Claims) > 0
	if err := r.together(
		func() error {
			return failedList(r.Live.List(ctx, &jobs, ownLabels(policy), client.InNamespace(policy.Namespace)), "Jobs")
		},
		func() (err error) {
			listed, err = r.listPods(ctx, policy, all)
			return err
		},
		// Before a lock is taken, a rival is read live, like all else that forbids that: a cache may not have seen an older policy
		// yet. It can't take a lock that stands.
		func() error {
			if locked {
				live.Rival, live.RivalManaged = cached.Rival, cached.RivalManaged
				return nil
			}
			return gatherRival(ctx, r.Live, &live)
		},
	); err != nil {
		return live, nil, err
	}
	live.Jobs = jobs.Items
	live.Pods, unsettled = settled(live.Concerned(listed), locks, live, ordinals)
	err = r.readNoted(ctx, &live, ordinals)
	return live, unsettled, err
}

// listPods returns all pods of a policy's namespace that can decide anything, or only those with the policy's label.
func (r *Reconciler) listPods(ctx context.Context, policy *drainv1alpha1.DrainPolicy, all bool) ([]corev1.Pod, error) {
	if all {
		pods, err := r.pods.list(ctx, r.Live, policy.Namespace)
		return pods, failedList(err, "pods")
	}
	var list corev1.PodList
	err := r.Live.List(ctx, &list, ownLabels(policy), client.InNamespace(policy.Namespace))
	return list.Items, failedList(err, "pods")
}

// failedList returns the readError of a list of all objects of a kind, or nil.
func failedList(err error, what string) error {
	if err == nil {
		return nil
	}
	return failedRead(err, "listing %s", what)
}

// readLocks reads the locks of some ordinals that the caches know, by name; one that is gone is nil.
func (r *Reconciler) readLocks(ctx context.Context, cached plan.Snapshot, ordinals []int32) (map[string]*corev1.Pod, error) {
	var names []string
	for i := range cached.Pods {
		pod := &cached.Pods[i]
		if plan.IsLock(pod, cached.Policy.UID) && slices.ContainsFunc(ordinals, func(ordinal int32) bool { return cached.Target.PodName(ordinal) == pod.Name }) {
			names = append(names, pod.Name)
		}
	}
	read := make([]*corev1.Pod, len(names))
	err := r.each(len(names), func(i int) (err error) {
		read[i], err = readOne(ctx, r.Live, cached.Policy.Namespace, names[i], &corev1.Pod{})
		return err
	})
	locks := make(map[string]*corev1.Pod, len(names))
	for i, name := range names {
		locks[name] = read[i]
	}
	return locks, err
}

// readOne reads one object; nil if it is not there.
func readOne[T client.Object](ctx context.Context, reader client.Reader, namespace, name string, into T) (T, error) {
	var none T
	switch err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, into); {
	case err == nil:
		return into, nil
	case apierrors.IsNotFound(err):
		return none, nil
	default:
		return none, failedRead(err, "reading %T %q", into, name)
	}
}

// settled puts the locks as they were read before a list of pods into it, and returns it with the ordinals whose lock is another
// one, or was not read.
func settled(pods []corev1.Pod, locks map[string]*corev1.Pod, live plan.Snapshot, ordinals []int32) ([]corev1.Pod, []int32) {
	listed := map[string]types.UID{}
	for i := range pods {
		if lock := locks[pods[i].Name]; lock != nil && lock.UID == pods[i].UID {
			pods[i] = *lock
		}
		// One that lost the policy's label is in no cache, so it was not read: the planner sees it as a pod that lacks what makes it
		// a lock.
		if plan.IsLock(&pods[i], live.Policy.UID) && pods[i].Labels[drainv1alpha1.PolicyUIDLabel] == string(live.Policy.UID) {
			listed[pods[i].Name] = pods[i].UID
		}
	}
	var unsettled []int32
	for _, ordinal := range ordinals {
		name := live.Target.PodName(ordinal)
		var read types.UID
		if lock := locks[name]; lock != nil {
			read = lock.UID
		}
		if listed[name] != read {
			unsettled = append(unsettled, ordinal)
		}
	}
	return pods, unsettled
}

// readTarget reads the StatefulSet, and then the claims of some ordinals.
func (r *Reconciler) readTarget(ctx context.Context, live *plan.Snapshot, ordinals []int32) error {
	if _, err := r.gatherTarget(ctx, r.Live, live); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, ordinal := range ordinals {
		for _, name := range live.Target.ClaimNames(ordinal) {
			wanted[name] = true
		}
	}
	return r.readClaims(ctx, live, slices.Sorted(maps.Keys(wanted)))
}

// fewReads is the number of objects up to which they are read one by one. A list of all objects of the kind in the
// namespace is one request, whose cost others decide.
const fewReads = 32

// readClaims adds claims to a look, those that are there.
func (r *Reconciler) readClaims(ctx context.Context, live *plan.Snapshot, names []string) error {
	namespace := live.Policy.Namespace
	if len(names) > fewReads {
		var list corev1.PersistentVolumeClaimList
		if err := r.Live.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return failedList(err, "claims")
		}
		for i := range list.Items {
			if slices.Contains(names, list.Items[i].Name) {
				live.Claims = append(live.Claims, list.Items[i])
			}
		}
		return nil
	}
	read := make([]*corev1.PersistentVolumeClaim, len(names))
	if err := r.each(len(names), func(i int) (err error) {
		read[i], err = readOne(ctx, r.Live, namespace, names[i], &corev1.PersistentVolumeClaim{})
		return err
	}); err != nil {
		return err
	}
	for _, claim := range read {
		if claim != nil {
			live.Claims = append(live.Claims, *claim)
		}
	}
	return nil
}

// readNoted reads the claims that a deletion was noted of under the locks of some ordinals and that are not among those that
// were read, because they are not the StatefulSet's any more.
func (r *Reconciler) readNoted(ctx context.Context, live *plan.Snapshot, ordinals []int32) error {
	noted := slices.DeleteFunc(plan.NotedClaims(*live, ordinals), func(name string) bool {
		return slices.ContainsFunc(live.Claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == name })
	})
	return r.readClaims(ctx, live, noted)
}

// lookAtAbandoned returns what the API server holds about a lock whose policy is gone; no lock if it is gone too, or if the
// policy is there.
func (r *Reconciler) lookAtAbandoned(ctx context.Context, cached *corev1.Pod, owner metav1.OwnerReference) (*corev1.Pod, plan.Snapshot, error) {
	lock, policy := &corev1.Pod{}, &drainv1alpha1.DrainPolicy{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(cached), lock); err != nil || lock.UID != cached.UID {
		return nil, plan.Snapshot{}, client.IgnoreNotFound(err)
	}
	key := types.NamespacedName{Namespace: lock.Namespace, Name: owner.Name}
	if err := r.Live.Get(ctx, key, policy); client.IgnoreNotFound(err) != nil || policy.UID == owner.UID {
		return nil, plan.Snapshot{}, err
	}
	gone := plan.Snapshot{Policy: &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: lock.Namespace, Name: owner.Name, UID: owner.UID}}}
	var pods corev1.PodList
	if err := r.Live.List(ctx, &pods, ownLabels(gone.Policy), client.InNamespace(lock.Namespace)); err != nil {
		return nil, gone, failedList(err, "pods")
	}
	var jobs batchv1.JobList
	if err := r.Live.List(ctx, &jobs, ownLabels(gone.Policy), client.InNamespace(lock.Namespace)); err != nil {
		return nil, gone, failedList(err, "Jobs")
	}
	var claims corev1.PersistentVolumeClaimList
	if err := r.Live.List(ctx, &claims, client.InNamespace(lock.Namespace)); err != nil {
		return nil, gone, failedList(err, "claims")
	}
	gone.Pods, gone.Jobs, gone.Claims = pods.Items, jobs.Items, claims.Items
	return lock, gone, nil
}

func ownLabels(policy *drainv1alpha1.DrainPolicy) client.MatchingLabels {
	return client.MatchingLabels{drainv1alpha1.PolicyUIDLabel: string(policy.UID)}
}
