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

package annotation

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Key returns the annotation that says how a StatefulSet is drained, or "".
func Key(set *appsv1.StatefulSet) drainv1alpha1.TemplateAnnotation {
	for _, key := range drainv1alpha1.TemplateAnnotations() {
		if set.Annotations[string(key)] != "" {
			return key
		}
	}
	return ""
}

// IsManaged reports whether the operator keeps a policy for an annotation. One that lost its owner is
// one still: deleting a StatefulSet without its pods, to create it again, removes the owner.
func IsManaged(policy *drainv1alpha1.DrainPolicy) bool {
	if policy.Labels[drainv1alpha1.ManagedByLabel] != drainv1alpha1.ManagedByOperator {
		return false
	}
	owner := metav1.GetControllerOf(policy)
	return owner == nil || owner.Kind == "StatefulSet" && owner.Name == policy.Spec.StatefulSetRef.Name
}

// maxName is the longest name that an object of a custom resource can have.
const maxName = 253

// Names returns the names that the managed policy of a StatefulSet may have, the first one if it is free. It
// isn't the StatefulSet's own name: that is what people call a policy of theirs, and it must be
// theirs to create while there is a managed one.
func Names(set *appsv1.StatefulSet) []string {
	const suffix = "-managed"
	unique := suffix + "-" + string(set.UID)
	return []string{
		set.Name[:min(len(set.Name), maxName-len(suffix))] + suffix,
		set.Name[:min(len(set.Name), maxName-len(unique))] + unique,
	}
}

// Evidence is what is known of a StatefulSet and its policies.
type Evidence struct {
	// StatefulSet, or nil if there is none.
	StatefulSet *appsv1.StatefulSet
	// Policies that name it.
	Policies []drainv1alpha1.DrainPolicy
	// NameTaken says that a policy for another StatefulSet has the first of the names.
	NameTaken bool
	// Ignored says that annotations are not to be followed.
	Ignored bool
}

// Step is what to do about a managed policy: create, change or delete it. All is nil when nothing
// is to be done.
type Step struct {
	Create, Change, Delete *drainv1alpha1.DrainPolicy
	// Before is what Change was.
	Before *drainv1alpha1.DrainPolicy
	// Why is for people.
	Why string
}

// Next returns the next step. It never touches a policy that isn't managed.
func Next(e Evidence) Step {
	set := e.StatefulSet
	if set == nil || set.DeletionTimestamp != nil {
		// The garbage collector deletes what the StatefulSet owns. Where it was told to leave it, the
		// StatefulSet is about to be created again.
		return Step{}
	}
	var managed []*drainv1alpha1.DrainPolicy
	var others []string
	for i := range e.Policies {
		if policy := &e.Policies[i]; IsManaged(policy) {
			managed = append(managed, policy)
		} else {
			others = append(others, policy.Name)
		}
	}
	slices.SortFunc(managed, func(a, b *drainv1alpha1.DrainPolicy) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	slices.Sort(others)

	key := Key(set)
	kept := 0
	for _, policy := range managed {
		why := surplus(e, key, others, kept, policy)
		switch {
		case why == "":
			kept++
		case policy.DeletionTimestamp == nil:
			return Step{Delete: policy, Why: why}
		}
	}
	switch {
	case e.Ignored || key == "" || len(others) > 0:
		return Step{}
	case len(managed) == 0:
		policy := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: set.Namespace, Name: Names(set)[0]}}
		if e.NameTaken {
			policy.Name = Names(set)[1]
		}
		keep(policy, set, key)
		return Step{Create: policy, Why: fmt.Sprintf("the StatefulSet has the annotation %s", key)}
	case len(managed) > 1 || managed[0].DeletionTimestamp != nil:
		// What is being deleted may still have locks. Its end is waited for.
		return Step{}
	}
	before := managed[0]
	after := before.DeepCopy()
	keep(after, set, key)
	if equality.Semantic.DeepEqual(before, after) {
		return Step{}
	}
	return Step{Change: after, Before: before, Why: fmt.Sprintf("it is to follow the annotation %s of the StatefulSet", key)}
}

// surplus says why a managed policy has to go, or "". There is one too many when the cache lagged
// behind as it was created.
func surplus(e Evidence, key drainv1alpha1.TemplateAnnotation, others []string, kept int, policy *drainv1alpha1.DrainPolicy) string {
	owner := metav1.GetControllerOf(policy)
	switch {
	case e.Ignored:
		return "the manager runs with --statefulset-annotations=false"
	case key == "":
		return "the StatefulSet has no annotation with a template any more"
	case len(others) > 0:
		return fmt.Sprintf("DrainPolicy %q names the StatefulSet too, and wins over its annotation %s", others[0], key)
	case owner != nil && owner.UID != e.StatefulSet.UID:
		return "it was of a StatefulSet that was deleted, and of whose name there is another one now"
	case kept > 0:
		return "there is another one for the same StatefulSet"
	}
	return ""
}

// keep writes into a policy what the operator decides. The semantics are those of the controller
// that the annotation is from: the claims go after a drain that succeeded, no replica needs to be ready
// to take the data, and the pod is known by the name of the StatefulSet's. What isn't written here
// is for people to change: spec.suspend, spec.minOrphanedSeconds, spec.job and spec.retry, and spec.replicas with spec.leave, by which they
// can scale it as any policy.
func keep(policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, key drainv1alpha1.TemplateAnnotation) {
	metav1.SetMetaDataLabel(&policy.ObjectMeta, drainv1alpha1.ManagedByLabel, drainv1alpha1.ManagedByOperator)
	metav1.SetMetaDataAnnotation(&policy.ObjectMeta, drainv1alpha1.DescriptionAnnotation, fmt.Sprintf(
		"Kept by drain-operator for the annotation %s of StatefulSet %s. Edits are reverted, but for spec.suspend, spec.minOrphanedSeconds, spec.job, spec.retry, spec.replicas and spec.leave. "+
			"A DrainPolicy of your own that names the StatefulSet replaces this one.", key, set.Name))
	if metav1.GetControllerOf(policy) == nil {
		policy.OwnerReferences = append(policy.OwnerReferences, *metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet")))
	}
	spec := &policy.Spec
	spec.StatefulSetRef = drainv1alpha1.StatefulSetReference{Name: set.Name}
	spec.Template = corev1.PodTemplateSpec{}
	spec.TemplateFrom = drainv1alpha1.TemplateSource{StatefulSetAnnotation: key}
	spec.WhenScaled = drainv1alpha1.WhenScaledDrain
	spec.WhenDeleted = drainv1alpha1.WhenDeletedRetain
	spec.WhenDrained = drainv1alpha1.WhenDrainedDelete
	// Images of 2018 know nothing of receipts.
	spec.Proof = drainv1alpha1.ProofExitCode
	spec.WhenScaledUp = drainv1alpha1.WhenScaledUpWait
	spec.Identity = drainv1alpha1.IdentityStatefulSetPod
	spec.MaxConcurrentDrains = ptr.To[int32](1)
	spec.MinReadyReplicas = ptr.To[int32](0)
}
