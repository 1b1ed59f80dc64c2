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

package statefulset

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// MaxClaimTemplates bounds status.statefulSet.claimTemplates and the claims of a drain. The schema has it as maxItems.
const MaxClaimTemplates = 100

// Presence is how the operator knows a StatefulSet.
type Presence string

const (
	// Unknown means that the StatefulSet does not exist and that the policy's status remembers none of its name.
	Unknown Presence = ""
	// Gone means that the StatefulSet does not exist and that the policy's status remembers it.
	Gone Presence = "Gone"
	// Present means that the StatefulSet exists. It may be on its way out: see Target.Deleting.
	Present Presence = "Present"
)

// Target is the StatefulSet that a policy names.
type Target struct {
	Namespace, Name string
	// Presence says where the rest comes from: the StatefulSet, the policy's status, or nowhere.
	Presence Presence
	// Deleting is true when the StatefulSet exists and has a deletion timestamp.
	Deleting bool
	// UID is that of the StatefulSet, or of the last one that was seen.
	UID types.UID
	// Generation of the StatefulSet's spec and ObservedGeneration, the one that its controller acts on. Both are 0 unless it
	// is Present.
	Generation, ObservedGeneration int64
	// Start and Replicas are the first ordinal of the range and the number of ordinals in it. Both are 0 unless it is Present.
	Start, Replicas int32
	// ResourceVersion is that of the StatefulSet as it was read, the precondition of a write to its scale. Empty unless it is Present.
	ResourceVersion string
	// Pods is the number of its pods, and Selector is the label selector by which to find them. Both are empty unless it is Present.
	Pods     int32
	Selector string
	// ReadyReplicas is the number of pods that are ready, whatever their ordinal.
	ReadyReplicas int32
	// ClaimTemplates are the names of its volumeClaimTemplates.
	ClaimTemplates []string
	// MatchLabels of its selector, which the StatefulSet controller gives to the claims that it makes.
	MatchLabels map[string]string
	// ServiceName is the name of its governing Service.
	ServiceName string
	// PodDefaults is what drain pods take over from its pod template.
	PodDefaults drainv1alpha1.PodDefaults
	// TerminationGracePeriodSeconds of its pod template; nil when unset.
	TerminationGracePeriodSeconds *int64
	// DeletesClaimsWhenScaled is true when the StatefulSet controller deletes the claims on scale-down. It deletes them with
	// their pods, and no pod can mount a claim that is being deleted.
	DeletesClaimsWhenScaled bool
	// DeletesClaimsWhenDeleted is true when the StatefulSet owns its claims, so that the garbage collector deletes them with it.
	DeletesClaimsWhenDeleted bool
	// TemplateAnnotations are the keys of its annotations that hold a template, in their order of preference.
	TemplateAnnotations []drainv1alpha1.TemplateAnnotation
}

// Of returns the Target of a StatefulSet that exists.
func Of(set *appsv1.StatefulSet) Target {
	identity, pod := claims.IdentityOf(set), &set.Spec.Template.Spec
	retention := ptr.Deref(set.Spec.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	defaults := drainv1alpha1.PodDefaults{
		SecurityContext:   pod.SecurityContext,
		Tolerations:       pod.Tolerations,
		NodeSelector:      pod.NodeSelector,
		ImagePullSecrets:  pod.ImagePullSecrets,
		PriorityClassName: pod.PriorityClassName,
		SchedulerName:     pod.SchedulerName,
		RuntimeClassName:  pod.RuntimeClassName,
	}
	target := Target{
		Namespace: set.Namespace, Name: set.Name, Presence: Present, Deleting: set.DeletionTimestamp != nil, UID: set.UID,
		Generation: set.Generation, ObservedGeneration: set.Status.ObservedGeneration, ResourceVersion: set.ResourceVersion,
		// Unset means one, as the API server defaults it.
		Replicas: ptr.Deref(set.Spec.Replicas, 1), ReadyReplicas: set.Status.ReadyReplicas,
		Pods: set.Status.Replicas, Selector: selectorOf(set),
		ClaimTemplates: identity.Templates, MatchLabels: maps.Clone(identity.MatchLabels), ServiceName: set.Spec.ServiceName,
		PodDefaults:              *defaults.DeepCopy(),
		DeletesClaimsWhenScaled:  retention.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
		DeletesClaimsWhenDeleted: retention.WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
	}
	if seconds := pod.TerminationGracePeriodSeconds; seconds != nil {
		target.TerminationGracePeriodSeconds = new(*seconds)
	}
	if set.Spec.Ordinals != nil {
		target.Start = set.Spec.Ordinals.Start
	}
	for _, key := range drainv1alpha1.TemplateAnnotations() {
		if set.Annotations[string(key)] != "" {
			target.TemplateAnnotations = append(target.TemplateAnnotations, key)
		}
	}
	return target
}

// selectorOf returns the selector of a StatefulSet's pods as a string, or "" if it can't be read.
func selectorOf(set *appsv1.StatefulSet) string {
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		// The API server validates it.
		return ""
	}
	return selector.String()
}

// Remembered returns the Target of a StatefulSet that does not exist, from what the policy's status remembers. Its range is
// not part of that: whatever the StatefulSet wanted, it wants no more.
func Remembered(policy *drainv1alpha1.DrainPolicy) Target {
	target := Target{Namespace: policy.Namespace, Name: policy.Spec.StatefulSetRef.Name}
	last := policy.Status.StatefulSet.DeepCopy()
	if last == nil {
		return target
	}
	target.Presence, target.UID = Gone, types.UID(last.UID)
	target.ClaimTemplates, target.MatchLabels, target.ServiceName = last.ClaimTemplates, last.MatchLabels, last.ServiceName
	target.PodDefaults = ptr.Deref(last.PodDefaults, drainv1alpha1.PodDefaults{})
	target.TerminationGracePeriodSeconds = last.TerminationGracePeriodSeconds
	return target
}

// Observed returns what a policy's status keeps of a StatefulSet that exists, for Remembered to read once it is gone.
func (t Target) Observed() *drainv1alpha1.ObservedStatefulSet {
	observed := (&drainv1alpha1.ObservedStatefulSet{
		UID: string(t.UID), Generation: &t.Generation, StartOrdinal: &t.Start, Replicas: &t.Replicas,
		ClaimTemplates: t.ClaimTemplates, MatchLabels: t.MatchLabels, ServiceName: t.ServiceName,
		TerminationGracePeriodSeconds: t.TerminationGracePeriodSeconds, PodDefaults: &t.PodDefaults,
	}).DeepCopy()
	if len(observed.ClaimTemplates) > MaxClaimTemplates {
		// Some of them would be worse than none: a drain of a part of the claims.
		observed.ClaimTemplates = nil
	}
	return observed
}

// Exists reports whether the StatefulSet is in the cluster, also while it is being deleted.
func (t Target) Exists() bool { return t.Presence == Present }

// Gone reports whether the StatefulSet is not in the cluster and the policy's status remembers it.
func (t Target) Gone() bool { return t.Presence == Gone }

// Stands reports whether the StatefulSet exists and is not being deleted, so that its range means something.
func (t Target) Stands() bool { return t.Exists() && !t.Deleting }

// InRange reports whether the StatefulSet wants an ordinal. One that does not exist, or is being deleted, wants none.
func (t Target) InRange(ordinal int32) bool {
	return t.Stands() && int64(ordinal) >= int64(t.Start) && int64(ordinal) < int64(t.Start)+int64(t.Replicas)
}

// Excludes reports whether the StatefulSet's present generation leaves an ordinal out of its range. A StatefulSet that does
// not exist, or is being deleted, has no generation that could say so.
func (t Target) Excludes(ordinal int32) bool { return t.Stands() && !t.InRange(ordinal) }

// Behind reports whether the StatefulSet controller may still act on a spec from before the present one.
func (t Target) Behind() bool { return t.Exists() && t.ObservedGeneration < t.Generation }

// ZeroGracePeriod reports whether the StatefulSet's pod objects disappear while their containers still run.
func (t Target) ZeroGracePeriod() bool { return ptr.Deref(t.TerminationGracePeriodSeconds, 1) == 0 }

// Identity returns what the StatefulSet's claims are recognized by.
func (t Target) Identity() claims.Identity {
	return claims.Identity{Name: t.Name, Templates: t.ClaimTemplates, MatchLabels: t.MatchLabels}
}

// PodName returns the name of an ordinal's pod, which is also that of its lock.
func (t Target) PodName(ordinal int32) string { return fmt.Sprintf("%s-%d", t.Name, ordinal) }

// Ordinal returns the ordinal whose pod has this name, and whether it is one's.
func (t Target) Ordinal(pod string) (ordinal int32, ok bool) {
	number, found := strings.CutPrefix(pod, t.Name+"-")
	n, err := strconv.ParseInt(number, 10, 32)
	return int32(n), found && err == nil && n >= 0 && t.PodName(int32(n)) == pod
}

// ClaimName returns the name of the claim that one claim template makes for an ordinal.
func (t Target) ClaimName(template string, ordinal int32) string {
	return claims.Name(template, t.Name, ordinal)
}

// ClaimNames returns the names of all claims that an ordinal should have, in the order of their claim templates.
func (t Target) ClaimNames(ordinal int32) []string {
	names := make([]string, 0, len(t.ClaimTemplates))
	for _, template := range t.ClaimTemplates {
		names = append(names, t.ClaimName(template, ordinal))
	}
	return names
}

// OwnsClaimName reports whether a claim's name is one that the StatefulSet gives.
func (t Target) OwnsClaimName(claim string) bool {
	base, _, ok := claims.Parse(claim)
	if !ok {
		return false
	}
	_, ok = t.Identity().Template(base)
	return ok
}

// IgnoredBy returns the annotations of the StatefulSet that hold a template that a policy does not read.
func (t Target) IgnoredBy(policy *drainv1alpha1.DrainPolicy) []drainv1alpha1.TemplateAnnotation {
	var ignored []drainv1alpha1.TemplateAnnotation
	for _, key := range t.TemplateAnnotations {
		if key != policy.Spec.TemplateFrom.StatefulSetAnnotation {
			ignored = append(ignored, key)
		}
	}
	return ignored
}

// maxPeers bounds the host names that Peers returns, in bytes. They become one environment variable, of which Linux takes at
// most 128 KiB (MAX_ARG_STRLEN); a container with a longer one never starts.
const maxPeers = 96 * 1024

// Peers returns the host names of the replicas in the StatefulSet's range, other than one of the given ordinal:
// <pod>.<service>.<namespace>.svc, which resolves through the pod's search list whatever the cluster's domain is. Without a
// governing Service they are pod names. What goes beyond 96 KiB, at some thousand replicas, is left out.
func (t Target) Peers(except int32) []string {
	var peers []string
	size := 0
	for ordinal := t.Start; size < maxPeers && t.InRange(ordinal); ordinal++ {
		if ordinal == except {
			continue
		}
		host := t.PodName(ordinal)
		if t.ServiceName != "" {
			host = fmt.Sprintf("%s.%s.%s.svc", host, t.ServiceName, t.Namespace)
		}
		peers = append(peers, host)
		size += len(host) + 1
	}
	return peers
}
