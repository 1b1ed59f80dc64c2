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
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const claimProtection = "kubernetes.io/pvc-protection"

// collector is the garbage collector (kubernetes/pkg/controller/garbagecollector). Its graph of
// who owns whom lags; that an owner is absent it asks the API server.
type collector struct {
	world *world
	view  *view
}

func (g *collector) step(c *choices) {
	if c.pick(2) == 0 {
		g.view.deliverAll()
	} else {
		g.view.deliver(kind(c.pick(int(kinds))), 1+c.pick(5))
	}
	for _, k := range []kind{policies, sets, jobs, pods} {
		for _, object := range sortedObjects[client.Object](g.view.objects[k]) {
			if !c.chance(25) {
				g.attend(k, object)
			}
		}
	}
}

// collectPods fails and removes pods that are being deleted and that no kubelet knows
// (gcUnscheduledTerminating in kubernetes/pkg/controller/podgc).
func (w *world) collectPods() {
	w.collectOrphans()
	for _, pod := range list[*corev1.Pod](w.store) {
		if pod.DeletionTimestamp == nil || pod.Spec.NodeName != "" || terminal(pod) || w.choices.chance(30) {
			continue
		}
		w.note("pod garbage collector: pod %s is Failed", pod.Name)
		update(w.store, pod.Name, func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed })
		_ = w.store.delete(pods, pod.Name, deletion{uid: pod.UID, now: true})
	}
}

func (g *collector) attend(k kind, object client.Object) {
	s := g.world.store
	switch {
	case slices.Contains(object.GetFinalizers(), metav1.FinalizerOrphanDependents):
		for _, dependent := range g.dependents(object.GetUID()) {
			g.disown(dependent, object.GetUID())
		}
		g.dropFinalizer(k, object, metav1.FinalizerOrphanDependents)
		return
	case slices.Contains(object.GetFinalizers(), metav1.FinalizerDeleteDependents):
		blocked := false
		for _, dependent := range g.dependents(object.GetUID()) {
			blocked = true
			if dependent.GetDeletionTimestamp() == nil {
				g.world.note("garbage collector: deletes %s", dependent.GetName())
				_ = s.delete(kindOf(dependent), dependent.GetName(), deletion{uid: dependent.GetUID(), propagation: metav1.DeletePropagationBackground})
			}
		}
		if !blocked {
			g.dropFinalizer(k, object, metav1.FinalizerDeleteDependents)
		}
		return
	}
	// Its graph says what to look at, and the API server who the owner is (attemptToDeleteItem).
	live, there := s.objects[k][object.GetName()]
	if !there || live.GetUID() != object.GetUID() {
		return
	}
	owner := ownerOf(live)
	if owner == "" || live.GetDeletionTimestamp() != nil || g.exists(owner) {
		return
	}
	if err := s.delete(k, object.GetName(), deletion{uid: object.GetUID(), propagation: metav1.DeletePropagationBackground}); err == nil {
		g.world.note("garbage collector: deletes %s, whose owner is gone", object.GetName())
	}
}

func (g *collector) exists(uid types.UID) bool {
	for k := range kinds {
		if g.world.exists(k, uid) {
			return true
		}
	}
	return false
}

func (w *world) exists(k kind, uid types.UID) bool {
	for _, object := range w.store.objects[k] {
		if object.GetUID() == uid {
			return true
		}
	}
	return false
}

func (g *collector) dependents(uid types.UID) []client.Object {
	var found []client.Object
	for _, k := range []kind{policies, jobs, pods} {
		for _, object := range sortedObjects[client.Object](g.view.objects[k]) {
			if ownerOf(object) == uid {
				found = append(found, object)
			}
		}
	}
	return found
}

func (g *collector) disown(object client.Object, uid types.UID) {
	live, there := g.world.store.objects[kindOf(object)][object.GetName()]
	if !there || live.GetUID() != object.GetUID() || ownerOf(live) != uid {
		return
	}
	next := copyOf(live)
	next.SetOwnerReferences(nil)
	g.world.store.replace(live, next)
}

func (g *collector) dropFinalizer(k kind, object client.Object, finalizer string) {
	live, there := g.world.store.objects[k][object.GetName()]
	if !there || live.GetUID() != object.GetUID() {
		return
	}
	next := copyOf(live)
	next.SetFinalizers(without(next.GetFinalizers(), finalizer))
	g.world.note("garbage collector: takes finalizer %s off %s %s", finalizer, k, object.GetName())
	g.world.store.replace(live, next)
}

// protectClaims lets claims that are being deleted go once no scheduled pod refers to them
// (podUsesPVCForDeletion in kubernetes/pkg/controller/volume/pvcprotection).
func (w *world) protectClaims() {
	for _, claim := range list[*corev1.PersistentVolumeClaim](w.store) {
		if claim.DeletionTimestamp == nil || w.choices.chance(20) || slices.ContainsFunc(list[*corev1.Pod](w.store), func(pod *corev1.Pod) bool {
			return pod.Spec.NodeName != "" && slices.Contains(claimNames(&pod.Spec), claim.Name)
		}) {
			continue
		}
		w.note("claim protection: claim %s goes", claim.Name)
		update(w.store, claim.Name, func(claim *corev1.PersistentVolumeClaim) {
			claim.Finalizers = without(claim.Finalizers, claimProtection)
		})
	}
}

// unusedController keeps the Unused condition of bound claims (updateUnusedCondition in the same
// package, from Kubernetes 1.37 on). It comes late: what came and went between two of its looks it
// never sees.
type unusedController struct {
	world *world
	// off says that the feature gate is off: what the conditions say stays as it is.
	off bool
	// next is when it looks again. It may be minutes behind.
	next time.Time
}

func (u *unusedController) step() {
	w := u.world
	if !w.unused || u.off || w.clock.now.Before(u.next) {
		return
	}
	u.next = w.clock.now.Add(w.unusedLag)
	for _, claim := range list[*corev1.PersistentVolumeClaim](w.store) {
		if claim.DeletionTimestamp != nil || claim.Status.Phase != corev1.ClaimBound || w.choices.chance(w.sloth) {
			continue
		}
		used := false
		for _, pod := range list[*corev1.Pod](w.store) {
			if !terminal(pod) && slices.Contains(claimNames(&pod.Spec), claim.Name) {
				used = true
				if v := w.volumes[claim.UID]; v != nil {
					v.observed[pod.UID] = true
				}
			}
		}
		status := corev1.ConditionTrue
		if used {
			status = corev1.ConditionFalse
		}
		if len(claim.Status.Conditions) == 1 && claim.Status.Conditions[0].Status == status {
			continue
		}
		w.note("claim protection: claim %s: Unused=%s", claim.Name, status)
		update(w.store, claim.Name, func(claim *corev1.PersistentVolumeClaim) {
			claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
				Type: corev1.PersistentVolumeClaimUnused, Status: status, LastTransitionTime: w.store.timestamp(),
			}}
		})
	}
}
