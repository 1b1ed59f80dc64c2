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
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// Reasons of events that aren't reasons of a condition or a drain.
const (
	eventDrainStarted = "DrainStarted"
	eventDrained      = "Drained"

	eventMemberLeft = "MemberLeft"
	eventMemberBack = "MemberBack"

	eventAnnotationIgnored = "AnnotationIgnored"
	eventPolicyCreated     = "DrainPolicyCreated"
	eventPolicyReverted    = "DrainPolicyReverted"
	eventPolicyDeleted     = "DrainPolicyDeleted"
)

// notice is what one transition of the status is worth telling.
type notice struct {
	eventType, reason, action, message string
	// part is what of the policy it is about, as the path of a field: "status.drains{2}". It is empty for the whole policy.
	part string
}

// announce tells the policy's and the StatefulSet's readers what has changed between two
// statuses. The status that was written is the memory, so a restart repeats nothing.
func (r *Reconciler) announce(policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, before, after drainv1alpha1.DrainPolicyStatus) {
	for _, n := range append(transitions(before, after), ignored(policy, before, after)...) {
		r.notify(policy, set, n)
	}
}

// notify makes an event on the policy and one on the StatefulSet if there is one.
func (r *Reconciler) notify(policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, n notice) {
	part, note := partOf(policy, n.part), clip(n.message)
	if set == nil {
		r.Recorder.Eventf(part, nil, n.eventType, n.reason, n.action, "%s", note)
		return
	}
	r.Recorder.Eventf(part, set, n.eventType, n.reason, n.action, "%s", note)
	// A drain that starts is told once: a burst of drains makes hundreds of events, and the ends say the same.
	if n.reason != eventDrainStarted {
		r.Recorder.Eventf(set, part, n.eventType, n.reason, n.action, "%s", note)
	}
}

// partOf returns what an event names of a policy. Events of six minutes that differ in nothing but their notes become one, which keeps the
// first note and counts (getKey and recordToSink in client-go/tools/events). One status can tell the same of many ordinals, so an event about
// one must name it outside its note.
func partOf(policy *drainv1alpha1.DrainPolicy, part string) runtime.Object {
	if part == "" {
		return policy
	}
	return &corev1.ObjectReference{
		APIVersion: drainv1alpha1.GroupVersion.String(), Kind: "DrainPolicy", Namespace: policy.Namespace, Name: policy.Name,
		UID: policy.UID, ResourceVersion: policy.ResourceVersion, FieldPath: part,
	}
}

// maxNote is the longest note that the API server takes, in bytes (noteLengthLimit in
// kubernetes/pkg/apis/core/validation).
const maxNote = 1024

// clip cuts a message to what an event takes.
func clip(message string) string {
	if len(message) <= maxNote {
		return message
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(message[:maxNote-len(ellipsis)], "") + ellipsis
}

// transitions returns the events between two statuses: one for Ready when its reason changes,
// and one for each ordinal that comes to something worth knowing.
func transitions(before, after drainv1alpha1.DrainPolicyStatus) []notice {
	var notices []notice
	was, is := condition(before.Conditions), condition(after.Conditions)
	if is.Reason != was.Reason && is.Reason != drainv1alpha1.ReasonPolicyDeleted {
		eventType := corev1.EventTypeWarning
		if is.Status == metav1.ConditionTrue || is.Reason == drainv1alpha1.ReasonSuspended || is.Reason == drainv1alpha1.ReasonManagedPolicyYielding {
			eventType = corev1.EventTypeNormal
		}
		notices = append(notices, notice{eventType: eventType, reason: is.Reason, action: "Validate", message: is.Message})
	}
	// Before the StatefulSet exists, its claim templates are not known.
	if found := after.StrandedClaims; len(found) > 0 && after.StatefulSet != nil && (len(before.StrandedClaims) == 0 || before.StatefulSet == nil) {
		notices = append(notices, notice{
			corev1.EventTypeWarning, drainv1alpha1.ReasonClaimsStranded, "Report",
			fmt.Sprintf("Claim %q is named like one of the StatefulSet's, but has another claim template or other labels (%d such claims, see status.strandedClaims): the operator does not drain it", found[0].Name, len(found)), "",
		})
	}
	known := map[int32]drainv1alpha1.DrainStatus{}
	for _, drain := range before.Drains {
		known[*drain.Ordinal] = drain
	}
	for _, drain := range after.Drains {
		old, part := known[*drain.Ordinal], fmt.Sprintf("status.drains{%d}", *drain.Ordinal)
		if drain.JobName != "" && drain.JobName != old.JobName && drain.State == drainv1alpha1.DrainDraining {
			notices = append(notices, notice{corev1.EventTypeNormal, eventDrainStarted, "Drain", fmt.Sprintf("Ordinal %d: Job %q drains it (attempt %d)", *drain.Ordinal, drain.JobName, drain.Attempts), part})
		}
		if drain.State == old.State && drain.Reason == old.Reason {
			continue
		}
		if e, ok := arrival(drain, old); ok {
			e.message, e.part = fmt.Sprintf("Ordinal %d: %s", *drain.Ordinal, drain.Message), part
			notices = append(notices, e)
		}
	}
	return notices
}

// ignored returns the event for annotations of the StatefulSet that a policy has come to ignore.
func ignored(policy *drainv1alpha1.DrainPolicy, before, after drainv1alpha1.DrainPolicyStatus) []notice {
	if policy.DeletionTimestamp != nil || after.StatefulSet == nil || len(after.StatefulSet.IgnoredAnnotations) == 0 ||
		before.StatefulSet != nil && slices.Equal(before.StatefulSet.IgnoredAnnotations, after.StatefulSet.IgnoredAnnotations) {
		return nil
	}
	return []notice{{
		corev1.EventTypeNormal, eventAnnotationIgnored, "Validate",
		fmt.Sprintf("StatefulSet %q: %s", policy.Spec.StatefulSetRef.Name, plan.Ignoring(policy, after.StatefulSet.IgnoredAnnotations)), "",
	}}
}

// arrival returns the event for a drain that has come to another state or reason.
func arrival(drain, old drainv1alpha1.DrainStatus) (notice, bool) {
	switch drain.State {
	case drainv1alpha1.DrainDrained:
		return notice{eventType: corev1.EventTypeNormal, reason: eventDrained, action: "Drain"}, old.State != drainv1alpha1.DrainDrained
	case drainv1alpha1.DrainFailed, drainv1alpha1.DrainBlocked:
		return notice{eventType: corev1.EventTypeWarning, reason: drain.Reason, action: "Drain"}, true
	}
	switch drain.Reason {
	case drainv1alpha1.ReasonImagePullFailed, drainv1alpha1.ReasonContainerConfigError, drainv1alpha1.ReasonClaimInUse,
		drainv1alpha1.ReasonProgressDeadlineExceeded:
		return notice{eventType: corev1.EventTypeWarning, reason: drain.Reason, action: "Drain"}, true
	case drainv1alpha1.ReasonBackInRange, drainv1alpha1.ReasonWaitingForReadyReplicas, drainv1alpha1.ReasonStoppingJob:
		return notice{eventType: corev1.EventTypeNormal, reason: drain.Reason, action: "Drain"}, true
	}
	return notice{}, false
}

// condition returns the Ready condition, or an empty one.
func condition(conditions []metav1.Condition) metav1.Condition {
	for _, c := range conditions {
		if c.Type == drainv1alpha1.ConditionReady {
			return c
		}
	}
	return metav1.Condition{}
}
