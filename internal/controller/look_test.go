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
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

var storeKey = client.ObjectKey{Namespace: "shop", Name: "store"}

// drainedStore is orphanedStore with the lock of ordinal 2, the Job that has just succeeded under it, and its pod.
func drainedStore(whenDrained drainv1alpha1.WhenDrained) (set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim, all []client.Object) {
	set, claim = &appsv1.StatefulSet{}, &corev1.PersistentVolumeClaim{}
	policy := &drainv1alpha1.DrainPolicy{}
	all = orphanedStore(func(p *drainv1alpha1.DrainPolicy) {
		p.Finalizers = []string{drainv1alpha1.PolicyFinalizer}
		p.Spec.WhenDrained = whenDrained
	})
	for _, object := range all {
		switch object := object.(type) {
		case *appsv1.StatefulSet:
			set = object
		case *corev1.PersistentVolumeClaim:
			claim = object
		case *drainv1alpha1.DrainPolicy:
			policy = object
		}
	}
	target := statefulset.Of(set)
	lock := objects.Lock(policy, &policy.Spec.Template, target, 2)
	lock.UID, lock.CreationTimestamp = "lock", metav1.Unix(900, 0)
	name := plan.JobName("store", policy.UID, 2, "lock", []types.UID{"claim"}, 1)
	job := objects.Job(policy, &policy.Spec.Template, target, objects.Attempt{Job: name, Ordinal: 2, Number: 1, LockUID: "lock"})
	job.UID, job.CreationTimestamp = "job", metav1.Unix(901, 0)
	pod := objects.Pod(job)
	pod.Name, pod.GenerateName, pod.UID, pod.Spec.SchedulingGates = name+"-x", "", "pod", nil
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
	start, end := metav1.Unix(901, 0), metav1.Unix(998, 0)
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "store", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: end}}}}
	job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: end}}
	job.Status.StartTime, job.Status.CompletionTime = &start, &end
	lock.Annotations[drainv1alpha1.JobAnnotation], lock.Annotations[drainv1alpha1.PodAnnotation] = "job", "pod"
	lock.Annotations[drainv1alpha1.AttemptAnnotation] = plan.Attempt{Number: 1, Asked: job.CreationTimestamp}.String()
	return set, claim, append(all, lock, job, pod)
}

func reconcileStore(t *testing.T, r *Reconciler) error {
	t.Helper()
	_, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: storeKey})
	return err
}

func read[T client.Object](t *testing.T, c client.Client, name string, into T) T {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, into); err != nil {
		t.Fatal(err)
	}
	return into
}

// scaleStore changes the replicas, as a person and then the StatefulSet controller do.
func scaleStore(t *testing.T, c client.Client, replicas int32) {
	t.Helper()
	set := read(t, c, "store", &appsv1.StatefulSet{})
	set.Generation++
	set.Spec.Replicas = &replicas
	if err := c.Update(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	set.Status.ObservedGeneration = set.Generation
	if err := c.Status().Update(t.Context(), set); err != nil {
		t.Fatal(err)
	}
}

// pass lets time pass for a reconciler.
func pass(t *testing.T, r *Reconciler, d time.Duration) {
	t.Helper()
	clock, ok := r.Clock.(*clocktesting.FakePassiveClock)
	if !ok {
		t.Fatal("the clock is a real one")
	}
	clock.SetTime(clock.Now().Add(d))
}

// userOf returns a pod that uses a claim.
func userOf(name, claim string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
	return pod
}

// TestALookThatHangsMarksNothingThatWasUsedMeanwhile lets a manager hang at every read of its look, while another one releases
// the lock, because the ordinal is wanted again, and the ordinal's own pod comes, writes and goes.
func TestALookThatHangsMarksNothingThatWasUsedMeanwhile(t *testing.T) {
	for hangsAt := range 12 {
		_, _, all := drainedStore(drainv1alpha1.WhenDrainedRetain)
		cluster := fakeCluster(t, interceptor.Funcs{}, all...)
		other := reconcilerOn(cluster)
		reads, used := 0, false
		meanwhile := func() {
			reads++
			if reads != hangsAt+1 {
				return
			}
			scaleStore(t, cluster, 2) // Ordinals 1 and 2.
			for range 5 {
				pass(t, other, 2*time.Second)
				if err := reconcileStore(t, other); err != nil {
					t.Log(err)
				}
			}
			own := userOf("store-2", "data-store-2")
			if err := cluster.Create(t.Context(), own); err != nil {
				t.Fatalf("the lock stands still: %v", err)
			}
			scaleStore(t, cluster, 1)
			if err := cluster.Delete(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			used = true
		}
		hanging := reconcilerOn(cluster)
		hanging.Order = inOrder
		hanging.Live = interceptor.NewClient(cluster, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
				meanwhile()
				return c.Get(ctx, key, o, options...)
			},
			List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, options ...client.ListOption) error {
				meanwhile()
				return c.List(ctx, l, options...)
			},
		})
		err := reconcileStore(t, hanging)
		if !used {
			if hangsAt < 5 {
				t.Errorf("the look made %d reads only: %v", reads, err)
			}
			return
		}
		set := read(t, cluster, "store", &appsv1.StatefulSet{})
		if mark := claims.ReadMark(read(t, cluster, "data-store-2", &corev1.PersistentVolumeClaim{})); mark.HoldsAt(set.UID, set.Generation) {
			t.Errorf("at read %d: the claim's mark holds although its pod has used it since: %s", hangsAt, mark)
		}
	}
	t.Error("the look makes more reads than this test lets hang")
}

// TestAFailedLookLetsNoPolicyGo has an ordinal that is drained and kept, whose mark is to be renewed, and another one whose lock
// the caches have not heard of.
func TestAFailedLookLetsNoPolicyGo(t *testing.T) {
	set, claim, all := drainedStore(drainv1alpha1.WhenDrainedRetain)
	kept := claim.DeepCopy()
	kept.Name, kept.UID = "data-store-3", "kept"
	mark := claims.Mark{ClaimUID: "kept", Job: "past", StatefulSetUID: set.UID, Generation: set.Generation - 1}
	metav1.SetMetaDataAnnotation(&kept.ObjectMeta, drainv1alpha1.DrainedAnnotation, mark.String())
	cluster := fakeCluster(t, interceptor.Funcs{}, append(all, kept)...)
	r := reconcilerOn(cluster)
	r.Client = interceptor.NewClient(cluster, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, options ...client.ListOption) error {
		switch l := l.(type) {
		case *corev1.PodList, *batchv1.JobList:
			return nil
		case *corev1.PersistentVolumeClaimList:
			err := c.List(ctx, l, options...)
			l.Items = slices.DeleteFunc(l.Items, func(item corev1.PersistentVolumeClaim) bool { return item.Name == claim.Name })
			return err
		}
		return c.List(ctx, l, options...)
	}})
	r.Live = interceptor.NewClient(cluster, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, options ...client.ListOption) error {
		if _, pods := l.(*corev1.PodList); pods {
			return errors.New("no connection")
		}
		return c.List(ctx, l, options...)
	}})
	if err := reconcileStore(t, r); err == nil {
		t.Error("the reconcile says nothing of the read that failed")
	}
	if policy := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{}); len(policy.Finalizers) == 0 {
		t.Error("the policy has lost its finalizer while lock store-2 stands")
	}
}

// TestARivalIsReadLiveWhereALockIsGone has caches that know a lock which is gone, and no older policy.
func TestARivalIsReadLiveWhereALockIsGone(t *testing.T) {
	_, _, all := drainedStore(drainv1alpha1.WhenDrainedRetain)
	lock := &corev1.Pod{}
	standing := slices.DeleteFunc(all, func(object client.Object) bool {
		switch object := object.(type) {
		case *corev1.Pod:
			if object.Name == "store-2" {
				lock = object
			}
			return true
		case *batchv1.Job:
			return true
		}
		return false
	})
	older := fullPolicy()
	older.Name, older.UID, older.CreationTimestamp = "older", "older", metav1.Unix(1, 0)
	older.ResourceVersion, older.ManagedFields, older.Finalizers = "", nil, nil
	cluster := fakeCluster(t, interceptor.Funcs{}, append(standing, older)...)
	r := reconcilerOn(cluster)
	r.Client = interceptor.NewClient(cluster, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, options ...client.ListOption) error {
		err := c.List(ctx, l, options...)
		switch l := l.(type) {
		case *corev1.PodList:
			l.Items = append(l.Items, *lock)
		case *drainv1alpha1.DrainPolicyList:
			l.Items = slices.DeleteFunc(l.Items, func(item drainv1alpha1.DrainPolicy) bool { return item.Name == "older" })
		}
		return err
	}})
	if err := reconcileStore(t, r); err != nil {
		t.Log(err)
	}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "store-2"}, &corev1.Pod{}); err == nil {
		t.Error("a lock is taken beside an older policy")
	}
}

// TestNoClaimIsMarkedOrDeletedOnAnOldLook has an API server that takes 50 seconds to list the pods, in which one comes that uses
// the claim.
func TestNoClaimIsMarkedOrDeletedOnAnOldLook(t *testing.T) {
	_, _, all := drainedStore(drainv1alpha1.WhenDrainedDelete)
	cluster := fakeCluster(t, interceptor.Funcs{}, all...)
	r := reconcilerOn(cluster)
	r.Order = inOrder
	slow := true
	r.Live = interceptor.NewClient(cluster, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, options ...client.ListOption) error {
		err := c.List(ctx, l, options...)
		if _, pods := l.(*corev1.PodList); pods && slow {
			pass(t, r, 50*time.Second)
			return errors.Join(err, client.IgnoreAlreadyExists(c.Create(ctx, userOf("backup", "data-store-2"))))
		}
		return err
	}})
	for range 3 {
		if err := reconcileStore(t, r); err != nil {
			t.Log(err)
		}
	}
	claim := read(t, cluster, "data-store-2", &corev1.PersistentVolumeClaim{})
	if mark := claims.ReadMark(claim); mark != nil {
		t.Errorf("the claim is marked on a look that was 50 s old: %s", mark)
	}
	// The next look is fast, and sees the pod.
	slow = false
	if err := reconcileStore(t, r); err != nil {
		t.Log(err)
	}
	policy := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{})
	if len(policy.Status.Drains) != 1 || !strings.Contains(policy.Status.Drains[0].Message, "backup") {
		t.Errorf("the status says %+v, want the pod that uses the claim", policy.Status.Drains)
	}
}

// TestTheStatusSaysThatLooksAreTooOld has an API server that always takes six seconds to list the pods.
func TestTheStatusSaysThatLooksAreTooOld(t *testing.T) {
	_, _, all := drainedStore(drainv1alpha1.WhenDrainedDelete)
	cluster := fakeCluster(t, interceptor.Funcs{}, all...)
	r := reconcilerOn(cluster)
	r.Order = inOrder
	r.Live = interceptor.NewClient(cluster, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, options ...client.ListOption) error {
		if _, pods := l.(*corev1.PodList); pods {
			pass(t, r, 6*time.Second)
		}
		return c.List(ctx, l, options...)
	}})
	for range 3 {
		if err := reconcileStore(t, r); !errors.Is(err, errOldLook) {
			t.Errorf("the reconcile ends with %v, want an error, for which the next one waits longer each time", err)
		}
	}
	status := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{}).Status
	if len(status.Drains) != 1 || !strings.Contains(status.Drains[0].Message, "not yet, because a look failed: the look at the cluster took longer than 5s") {
		t.Errorf("the status says %+v, want that looks take too long", status.Drains)
	}
}

// TestNoLookIsNotedAsOfAnEarlierTime has Kubernetes report a drained claim as used still, and an API server that lists the pods six seconds after
// it was asked. The lock is to remember of no look that it showed the claim unused before that.
func TestNoLookIsNotedAsOfAnEarlierTime(t *testing.T) {
	for name, tc := range map[string]struct {
		takes time.Duration
		noted bool
	}{"fast": {time.Second, true}, "slow": {maxLookAge + time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			_, claim, all := drainedStore(drainv1alpha1.WhenDrainedDelete)
			claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimUnused, Status: corev1.ConditionFalse}}
			cluster := fakeCluster(t, interceptor.Funcs{}, all...)
			r := reconcilerOn(cluster)
			r.Order = inOrder
			r.Live = interceptor.NewClient(cluster, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, options ...client.ListOption) error {
				if _, pods := l.(*corev1.PodList); pods {
					pass(t, r, tc.takes)
				}
				return c.List(ctx, l, options...)
			}})
			if err := reconcileStore(t, r); err != nil && !errors.Is(err, errOldLook) {
				t.Fatal(err)
			}
			lock := read(t, cluster, "store-2", &corev1.Pod{})
			if noted := strings.Contains(lock.Annotations[drainv1alpha1.AttemptAnnotation], "seenUnused"); noted != tc.noted {
				t.Errorf("the lock remembers %s", lock.Annotations[drainv1alpha1.AttemptAnnotation])
			}
		})
	}
}

// TestNoClaimIsDeletedThatAPodHasComeToUse has the write of the mark, or of the note on the lock, hang for four seconds, in which a
// pod comes that uses the claim.
func TestNoClaimIsDeletedThatAPodHasComeToUse(t *testing.T) {
	for name, hangs := range map[string]func(client.Object) bool{
		"mark": func(object client.Object) bool { _, claim := object.(*corev1.PersistentVolumeClaim); return claim },
		"note": func(object client.Object) bool {
			return object.GetAnnotations()[drainv1alpha1.DeletingAnnotation] != ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, all := drainedStore(drainv1alpha1.WhenDrainedDelete)
			cluster := fakeCluster(t, interceptor.Funcs{}, all...)
			r := reconcilerOn(cluster)
			came := false
			r.Client = interceptor.NewClient(cluster, interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
				if hangs(o) && !came {
					came = true
					pass(t, r, 4*time.Second)
					if err := c.Create(ctx, userOf("backup", "data-store-2")); err != nil {
						return err
					}
				}
				return c.Patch(ctx, o, p, options...)
			}})
			for range 3 {
				if err := reconcileStore(t, r); err != nil {
					t.Log(err)
				}
				pass(t, r, time.Second)
			}
			if !came {
				t.Fatal("nothing hung")
			}
			if claim := read(t, cluster, "data-store-2", &corev1.PersistentVolumeClaim{}); claim.DeletionTimestamp != nil {
				t.Error("the claim is deleted while a pod uses it that came after the look")
			}
		})
	}
}

// TestALockWithoutThePolicysLabelIsDiscarded has a lock that something took the label off.
func TestALockWithoutThePolicysLabelIsDiscarded(t *testing.T) {
	_, _, all := drainedStore(drainv1alpha1.WhenDrainedRetain)
	left := slices.DeleteFunc(all, func(object client.Object) bool {
		switch object := object.(type) {
		case *corev1.Pod:
			delete(object.Labels, drainv1alpha1.PolicyUIDLabel)
			object.Annotations = nil
			return object.Name != "store-2"
		case *batchv1.Job:
			return true
		}
		return false
	})
	cluster := fakeCluster(t, interceptor.Funcs{}, left...)
	r := reconcilerOn(cluster)
	for range 20 {
		if err := reconcileStore(t, r); err != nil {
			t.Log(err)
		}
		pass(t, r, 15*time.Second)
	}
	lock := &corev1.Pod{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "store-2"}, lock); err == nil && lock.UID == "lock" && lock.DeletionTimestamp == nil {
		t.Error("it stands after five minutes")
	}
}

// TestALockThatIsAlteredIsNotCreatedInHaste has a webhook that takes the finalizer off each lock, and events each second.
func TestALockThatIsAlteredIsNotCreatedInHaste(t *testing.T) {
	cluster := fakeCluster(t, interceptor.Funcs{}, orphanedStore(func(p *drainv1alpha1.DrainPolicy) { p.Finalizers = []string{drainv1alpha1.PolicyFinalizer} })...)
	r := reconcilerOn(cluster)
	made := 0
	r.Client = interceptor.NewClient(cluster, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
		if pod, ok := o.(*corev1.Pod); ok && len(options) == 0 {
			made++
			pod.Finalizers, pod.UID = nil, types.UID(pod.Name)
		}
		return c.Create(ctx, o, options...)
	}})
	for range 60 {
		if err := reconcileStore(t, r); err != nil {
			t.Log(err)
		}
		pass(t, r, time.Second)
	}
	if made < 2 || made > 8 {
		t.Errorf("the lock was created %d times in a minute, want once in %s", made, plan.RefusalRecheck)
	}
}

// TestHowADrainEndedIsToldInSpiteOfAnEdit edits the policy between the deletion of the claim and the write of the status.
func TestHowADrainEndedIsToldInSpiteOfAnEdit(t *testing.T) {
	_, _, all := drainedStore(drainv1alpha1.WhenDrainedDelete)
	edited := false
	cluster := fakeCluster(t, interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			err := c.Delete(ctx, object, options...)
			if _, isClaim := object.(*corev1.PersistentVolumeClaim); isClaim && err == nil {
				edited = true
				policy := read(t, c, "store", &drainv1alpha1.DrainPolicy{})
				policy.Generation++
				policy.Spec.Template.Spec.Containers[0].Image = "edited"
				err = c.Update(ctx, policy)
			}
			return err
		},
	}, all...)
	r := reconcilerOn(cluster)
	for range 4 {
		_ = reconcileStore(t, r)
		if edited {
			break
		}
		pass(t, r, 2*time.Second)
	}
	policy := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{})
	if !edited || len(policy.Status.Drains) != 1 || !plan.Concluded(&policy.Status.Drains[0]) {
		t.Fatalf("the claim was deleted: %t; the status says %+v, want how the drain of ordinal 2 ended", edited, policy.Status.Drains)
	}
	if policy.Status.ObservedGeneration == policy.Generation {
		t.Errorf("the status is about generation %d, which no plan was made for", policy.Generation)
	}
}
