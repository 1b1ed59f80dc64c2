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
	"reflect"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const namespace = "shop"

// kind is one of the kinds that the model's API server knows.
type kind int

const (
	policies kind = iota
	sets
	claims
	pods
	jobs
	kinds
)

var kindNames = [kinds]string{"drainpolicies", "statefulsets", "persistentvolumeclaims", "pods", "jobs"}

func (k kind) String() string { return kindNames[k] }

func (k kind) resource() schema.GroupResource { return schema.GroupResource{Resource: kindNames[k]} }

// kindOf returns the kind of an object or a list.
func kindOf(object any) kind {
	switch object.(type) {
	case *drainv1alpha1.DrainPolicy, *drainv1alpha1.DrainPolicyList:
		return policies
	case *appsv1.StatefulSet, *appsv1.StatefulSetList:
		return sets
	case *corev1.PersistentVolumeClaim, *corev1.PersistentVolumeClaimList:
		return claims
	case *corev1.Pod, *corev1.PodList:
		return pods
	case *batchv1.Job, *batchv1.JobList:
		return jobs
	}
	panic(fmt.Sprintf("%T is not a kind of the model", object))
}

// event is a change of an object, as a watch delivers it.
type event struct {
	object client.Object
	gone   bool
}

// store is the model of etcd and of the API server's generic registry. The objects in it, and in
// its log, are never changed: every write puts a new one in the old one's place.
type store struct {
	now     func() time.Time
	objects [kinds]map[string]client.Object
	log     [kinds][]event
	version int64
	uids    int
	// born is the version at which an object was made, by its UID.
	born map[types.UID]int64
	// removed hears of every object that is gone from the store for good.
	removed func(kind, client.Object)
}

func newStore(now func() time.Time) *store {
	s := &store{now: now, born: map[types.UID]int64{}, removed: func(kind, client.Object) {}}
	for k := range s.objects {
		s.objects[k] = map[string]client.Object{}
	}
	return s
}

// get returns an object that must not be changed, or nil.
func get[T client.Object](s *store, name string) T {
	var none T
	object, ok := s.objects[kindOf(none)][name]
	if !ok {
		return none
	}
	return object.(T)
}

// list returns the objects of a kind, by name. They must not be changed.
func list[T client.Object](s *store) []T {
	var none T
	return sortedObjects[T](s.objects[kindOf(none)])
}

func sortedObjects[T client.Object](objects map[string]client.Object) []T {
	result := make([]T, 0, len(objects))
	for _, object := range objects {
		result = append(result, object.(T))
	}
	slices.SortFunc(result, func(a, b T) int { return strings.Compare(a.GetName(), b.GetName()) })
	return result
}

func (s *store) timestamp() metav1.Time { return metav1.NewTime(s.now().Truncate(time.Second)) }

// create adds an object and returns what the API server answers.
func (s *store) create(object client.Object) (client.Object, error) {
	k := kindOf(object)
	if object.GetName() == "" {
		object = copyOf(object)
		object.SetName(fmt.Sprintf("%s%d", object.GetGenerateName(), s.uids+1))
	}
	if _, exists := s.objects[k][object.GetName()]; exists {
		return nil, apierrors.NewAlreadyExists(k.resource(), object.GetName())
	}
	created := copyOf(object)
	s.uids++
	created.SetUID(types.UID(fmt.Sprintf("uid-%d", s.uids)))
	created.SetNamespace(namespace)
	created.SetCreationTimestamp(s.timestamp())
	if k != claims && k != pods {
		created.SetGeneration(1)
	}
	s.put(k, created)
	s.born[created.GetUID()] = s.version
	return created, nil
}

// update changes an object in place of its present state. Generation, resourceVersion and the
// removal of what has no finalizer left are the store's.
func update[T client.Object](s *store, name string, change func(T)) {
	old := get[T](s, name)
	if reflect.ValueOf(old).IsNil() {
		return
	}
	next := copyOf(old).(T)
	change(next)
	if !reflect.DeepEqual(old, next) { // Faster than replace finds it out.
		s.write(old, next)
	}
}

// replace writes an object over an older state of it, unless nothing has changed.
func (s *store) replace(old, next client.Object) {
	if !equality.Semantic.DeepEqual(old, next) {
		s.write(old, next)
	}
}

func (s *store) write(old, next client.Object) {
	k := kindOf(old)
	if old.GetGeneration() > 0 && !reflect.DeepEqual(spec(old), spec(next)) && !equality.Semantic.DeepEqual(spec(old), spec(next)) {
		next.SetGeneration(old.GetGeneration() + 1)
	}
	if next.GetDeletionTimestamp() != nil && len(next.GetFinalizers()) == 0 && zero(next.GetDeletionGracePeriodSeconds()) {
		s.remove(k, next)
		return
	}
	s.put(k, next)
}

func zero(seconds *int64) bool { return seconds == nil || *seconds == 0 }

func spec(object client.Object) any {
	switch object := object.(type) {
	case *drainv1alpha1.DrainPolicy:
		return object.Spec
	case *appsv1.StatefulSet:
		return object.Spec
	case *batchv1.Job:
		return object.Spec
	}
	return nil
}

func (s *store) put(k kind, object client.Object) {
	s.version++
	object.SetResourceVersion(fmt.Sprint(s.version))
	s.objects[k][object.GetName()] = object
	s.log[k] = append(s.log[k], event{object: object})
}

func (s *store) remove(k kind, object client.Object) {
	s.version++
	object.SetResourceVersion(fmt.Sprint(s.version))
	delete(s.objects[k], object.GetName())
	s.log[k] = append(s.log[k], event{object: object, gone: true})
	s.removed(k, object)
}

// deletion is what a delete asks for.
type deletion struct {
	uid         types.UID
	version     string
	propagation metav1.DeletionPropagation
	now         bool // gracePeriodSeconds 0
}

// delete deletes an object as the API server does: pods that may run go when their kubelet says
// so, and whatever has finalizers when the last one is off (BeforeDelete in
// apiserver/pkg/registry/rest and CheckGracefulDelete in kubernetes/pkg/registry/core/pod).
func (s *store) delete(k kind, name string, how deletion) error {
	old, exists := s.objects[k][name]
	if !exists {
		return apierrors.NewNotFound(k.resource(), name)
	}
	if how.uid != "" && how.uid != old.GetUID() {
		return apierrors.NewConflict(k.resource(), name, fmt.Errorf("the UID in the precondition is %s, that of the object %s", how.uid, old.GetUID()))
	}
	if how.version != "" && how.version != old.GetResourceVersion() {
		return apierrors.NewConflict(k.resource(), name, fmt.Errorf("the resourceVersion in the precondition is %s, that of the object %s", how.version, old.GetResourceVersion()))
	}
	next := copyOf(old)
	var grace int64
	if pod, ok := next.(*corev1.Pod); ok && !how.now && pod.Spec.NodeName != "" && !terminal(pod) {
		grace = ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, 30)
	}
	if k == jobs || k == sets || k == policies {
		switch {
		case how.propagation == metav1.DeletePropagationForeground:
			next.SetFinalizers(add(next.GetFinalizers(), metav1.FinalizerDeleteDependents))
		case how.propagation == metav1.DeletePropagationOrphan, how.propagation == "" && k == jobs:
			// A Job's default is from before there was garbage collection (jobStrategy).
			next.SetFinalizers(add(next.GetFinalizers(), metav1.FinalizerOrphanDependents))
		}
	}
	if next.GetDeletionTimestamp() == nil {
		next.SetDeletionTimestamp(new(s.timestamp()))
		next.SetDeletionGracePeriodSeconds(&grace)
		if next.GetGeneration() > 0 {
			next.SetGeneration(next.GetGeneration() + 1)
		}
	} else if before := next.GetDeletionGracePeriodSeconds(); before != nil && grace < *before {
		next.SetDeletionGracePeriodSeconds(&grace)
	}
	if k != pods {
		next.SetDeletionGracePeriodSeconds(nil)
	}
	s.replace(old, next)
	return nil
}

func add(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(slices.Clone(list), item)
}

func without(list []string, item string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(other string) bool { return other == item })
}

func copyOf(object client.Object) client.Object {
	return object.DeepCopyObject().(client.Object)
}

func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
