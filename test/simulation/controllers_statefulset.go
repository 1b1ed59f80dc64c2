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

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// setController is the StatefulSet controller (kubernetes/pkg/controller/statefulset), which
// acts on caches that lag.
type setController struct {
	world *world
	view  *view
	// blind is the step until which its watch of StatefulSets is stuck.
	blind int
}

func (s *setController) step(c *choices) {
	switch c.pick(4) {
	case 0, 1:
		for k := range kinds {
			switch {
			case k == sets && s.blind > s.world.step:
			case k == sets && s.world.slow:
				s.view.deliver(k, 1)
			default:
				s.view.deliver(k, len(s.world.store.log[k]))
			}
		}
	case 2:
		if s.blind > s.world.step {
			break
		}
		s.view.deliver(kind(c.pick(int(kinds))), 1+c.pick(5))
	}
	s.sync()
}

// behind reports whether there are StatefulSets that its cache has not seen yet.
func (s *setController) behind() bool { return s.view.at[sets] < len(s.world.store.log[sets]) }

func (s *setController) sync() {
	set := seen[*appsv1.StatefulSet](s.view, setName)
	if set == nil {
		return
	}
	owned, ordinals := s.ownPods(set)
	defer s.writeStatus(set, owned)
	if set.DeletionTimestamp != nil {
		return
	}
	monotonic := set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
	start := startOf(set)
	end := start + ptr.Deref(set.Spec.Replicas, 1)
	for ordinal := start; ordinal < end; ordinal++ {
		pod := owned[ordinal]
		switch {
		case pod == nil:
			if !s.createPod(set, ordinal) || monotonic {
				return
			}
		case terminal(pod):
			if pod.DeletionTimestamp == nil {
				s.deletePod(pod)
			}
			return
		case pod.Status.Phase != corev1.PodRunning && pod.DeletionTimestamp == nil && !s.createClaims(set, pod.Name):
			return
		case monotonic && (pod.DeletionTimestamp != nil || !isReady(pod)):
			return
		}
	}
	slices.Reverse(ordinals)
	for _, ordinal := range ordinals {
		if ordinal >= start && ordinal < end {
			continue
		}
		if pod := owned[ordinal]; pod.DeletionTimestamp == nil {
			s.deletePod(pod)
		}
		if monotonic {
			return
		}
	}
}

// ownPods returns the StatefulSet's pods that the cache holds, and adopts those without an owner.
func (s *setController) ownPods(set *appsv1.StatefulSet) (owned map[int32]*corev1.Pod, ordinals []int32) {
	owned = map[int32]*corev1.Pod{}
	for _, pod := range seenAll[*corev1.Pod](s.view) {
		suffix, fits := strings.CutPrefix(pod.Name, setName+"-")
		number, err := strconv.ParseInt(suffix, 10, 32)
		if !fits || err != nil || pod.Labels["app"] != setName {
			continue
		}
		if ownerOf(pod) == "" && set.DeletionTimestamp == nil && pod.DeletionTimestamp == nil {
			now, live := get[*corev1.Pod](s.world.store, pod.Name), get[*appsv1.StatefulSet](s.world.store, setName)
			if now == nil || now.UID != pod.UID || live == nil || live.UID != set.UID || live.DeletionTimestamp != nil {
				continue
			}
			s.world.note("StatefulSet controller: adopts pod %s", pod.Name)
			update(s.world.store, pod.Name, func(pod *corev1.Pod) { pod.OwnerReferences = []metav1.OwnerReference{setReference(set)} })
		} else if ownerOf(pod) != set.UID {
			continue
		}
		owned[int32(number)] = pod
	}
	return owned, slices.Sorted(maps.Keys(owned))
}

// createPod creates the claims that the cache doesn't hold, then the pod. It reports whether it got
// that far.
func (s *setController) createPod(set *appsv1.StatefulSet, ordinal int32) bool {
	w := s.world
	name := fmt.Sprintf("%s-%d", setName, ordinal)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"app": setName},
			OwnerReferences: []metav1.OwnerReference{setReference(set)},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{{Name: "main", Image: imageStore}},
			TerminationGracePeriodSeconds: set.Spec.Template.Spec.TerminationGracePeriodSeconds,
		},
	}
	for i := range set.Spec.VolumeClaimTemplates {
		template := set.Spec.VolumeClaimTemplates[i].Name
		claimName := fmt.Sprintf("%s-%s", template, name)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: template, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName},
		}})
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: template})
	}
	if !s.createClaims(set, name) {
		return false
	}
	if _, err := w.store.create(pod); err != nil {
		return false
	}
	w.note("StatefulSet controller: creates pod %s", name)
	return true
}

// createClaims creates the claims of a pod that the cache doesn't hold.
func (s *setController) createClaims(set *appsv1.StatefulSet, pod string) bool {
	for i := range set.Spec.VolumeClaimTemplates {
		name := fmt.Sprintf("%s-%s", set.Spec.VolumeClaimTemplates[i].Name, pod)
		if claim := seen[*corev1.PersistentVolumeClaim](s.view, name); claim != nil {
			if claim.DeletionTimestamp != nil {
				return false
			}
			continue
		}
		if err := s.world.createClaim(name); err != nil {
			return false
		}
		s.world.note("StatefulSet controller: creates claim %s", name)
	}
	return true
}

func (w *world) createClaim(name string) error {
	_, err := w.store.create(&corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": setName}, Finalizers: []string{claimProtection}},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	})
	return err
}

// deletePod deletes by name alone, as the StatefulSet controller does
// (realStatefulPodControlObjectManager): on a cache that lags, that may hit the lock.
func (s *setController) deletePod(pod *corev1.Pod) {
	s.world.note("StatefulSet controller: deletes pod %s", pod.Name)
	_ = s.world.store.delete(pods, pod.Name, deletion{})
}

func (s *setController) writeStatus(set *appsv1.StatefulSet, owned map[int32]*corev1.Pod) {
	if live := get[*appsv1.StatefulSet](s.world.store, setName); live == nil || live.UID != set.UID {
		return
	}
	var ready int32
	for _, pod := range owned {
		if isReady(pod) {
			ready++
		}
	}
	live := get[*appsv1.StatefulSet](s.world.store, setName).Status
	if live.ObservedGeneration >= set.Generation && live.Replicas == int32(len(owned)) && live.ReadyReplicas == ready {
		return
	}
	update(s.world.store, setName, func(live *appsv1.StatefulSet) {
		live.Status.ObservedGeneration = max(live.Status.ObservedGeneration, set.Generation)
		live.Status.Replicas, live.Status.ReadyReplicas = int32(len(owned)), ready
	})
}

func setReference(set *appsv1.StatefulSet) metav1.OwnerReference {
	return *metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))
}

func startOf(set *appsv1.StatefulSet) int32 {
	if set.Spec.Ordinals == nil {
		return 0
	}
	return set.Spec.Ordinals.Start
}
