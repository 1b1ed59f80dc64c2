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

// Package conditions says what must hold of the status of a DrainPolicy after every write, for the simulation and the
// integration suite.
package conditions

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// shownDrains is the number of entries from which on status.drains may lack some.
const shownDrains = 100

// pending are the states of a drain that is asked for or under way.
var pending = []drainv1alpha1.DrainState{drainv1alpha1.DrainWaiting, drainv1alpha1.DrainDraining, drainv1alpha1.DrainFailed, drainv1alpha1.DrainBlocked}

// forPersons are the reasons of Ready that only a person can remove.
var forPersons = []string{
	drainv1alpha1.ReasonNoClaimTemplates, drainv1alpha1.ReasonTooManyClaimTemplates, drainv1alpha1.ReasonGracePeriodZero, drainv1alpha1.ReasonNoMatchLabels,
	drainv1alpha1.ReasonClaimsDeletedOnScaleDown, drainv1alpha1.ReasonClaimsDeletedWithStatefulSet,
	drainv1alpha1.ReasonPolicyConflict, drainv1alpha1.ReasonInvalidTemplate, drainv1alpha1.ReasonAmbiguousClaims,
}

// Check returns what is unsound about the status of a policy, or nil. It compares the status with an earlier one of the same
// policy, unless that is nil or of another policy. A policy that the operator has not looked at yet is sound.
func Check(before, after *drainv1alpha1.DrainPolicy) error {
	if after.Status.ObservedGeneration <= 0 && len(after.Status.Conditions) == 0 {
		return nil
	}
	return errors.Join(append(checkContent(after), checkChange(before, after)...)...)
}

// CheckWrite is Check for the status right before a write and the one that was written: the time of a condition changes with
// its status only.
func CheckWrite(before, after *drainv1alpha1.DrainPolicy) error {
	problems := []error{Check(before, after)}
	for i := range after.Status.Conditions {
		now := &after.Status.Conditions[i]
		then := meta.FindStatusCondition(before.Status.Conditions, now.Type)
		if then != nil && before.UID == after.UID && then.Status == now.Status && then.LastTransitionTime.Before(&now.LastTransitionTime) {
			problems = append(problems, fmt.Errorf("the time of condition %s changed although it stayed %s", now.Type, now.Status))
		}
	}
	return errors.Join(problems...)
}

// checkContent returns what is unsound about a status whatever was before.
func checkContent(policy *drainv1alpha1.DrainPolicy) []error {
	c := &content{status: &policy.Status}
	c.refuseIf(c.status.ObservedGeneration > policy.Generation, "status.observedGeneration is %d and the generation %d", c.status.ObservedGeneration, policy.Generation)
	others := slices.DeleteFunc(slices.Clone(c.status.Conditions), func(c metav1.Condition) bool { return c.Type == drainv1alpha1.ConditionScaled })
	c.refuseIf(len(others) != 3, "there are %d conditions, and not Ready, Drained and Stalled, and perhaps Scaled", len(others))
	if len(others) < len(c.status.Conditions) {
		c.find(drainv1alpha1.ConditionScaled)
	}
	c.ready, c.drained, c.stalled = c.find(drainv1alpha1.ConditionReady), c.find(drainv1alpha1.ConditionDrained), c.find(drainv1alpha1.ConditionStalled)
	c.checkConditions()
	c.checkDrains()
	return c.problems
}

// content is a status that is being checked.
type content struct {
	status                  *drainv1alpha1.DrainPolicyStatus
	ready, drained, stalled metav1.Condition
	problems                []error
}

func (c *content) refuseIf(unsound bool, format string, args ...any) {
	if unsound {
		c.problems = append(c.problems, fmt.Errorf(format, args...))
	}
}

// find returns a condition, and refuses one that lacks something.
func (c *content) find(name string) metav1.Condition {
	found := meta.FindStatusCondition(c.status.Conditions, name)
	if found == nil {
		c.refuseIf(true, "condition %s is missing", name)
		return metav1.Condition{}
	}
	c.refuseIf(found.Reason == "" || found.Message == "" || found.LastTransitionTime.IsZero(), "condition %s lacks its reason, its message or its time: %+v", name, found)
	c.refuseIf(found.ObservedGeneration != c.status.ObservedGeneration, "condition %s is about generation %d and the status about %d", name, found.ObservedGeneration, c.status.ObservedGeneration)
	return *found
}

// is reports whether a condition has a status.
func is(c metav1.Condition, wanted metav1.ConditionStatus) bool { return c.Status == wanted }

// checkConditions holds the conditions to each other and to the counters.
func (c *content) checkConditions() {
	ready, drained, stalled := c.ready, c.drained, c.stalled
	// A suspended policy is accepted, and a drain that had failed three times in a row before that stalls for the suspension.
	c.refuseIf(is(stalled, metav1.ConditionTrue) && stalled.Reason == ready.Reason && is(ready, metav1.ConditionTrue) && ready.Reason != drainv1alpha1.ReasonSuspended,
		"Stalled and Ready are True for the same reason, %s", ready.Reason)
	c.refuseIf(is(ready, metav1.ConditionFalse) && slices.Contains(forPersons, ready.Reason) && (!is(stalled, metav1.ConditionTrue) || stalled.Reason != ready.Reason),
		"Ready is False for %s, and Stalled is %s for %s", ready.Reason, stalled.Status, stalled.Reason)
	c.refuseIf(is(ready, metav1.ConditionTrue) && is(drained, metav1.ConditionUnknown), "Ready is True and Drained is Unknown for %s", drained.Reason)
	c.refuseIf(is(drained, metav1.ConditionUnknown) && drained.Reason != ready.Reason,
		"Drained is Unknown for %s and Ready is %s for %s", drained.Reason, ready.Status, ready.Reason)
	c.refuseIf(is(drained, metav1.ConditionTrue) && ptr.Deref(c.status.Undrained, 0) > 0,
		"Drained is True and %d ordinals hold undrained data", ptr.Deref(c.status.Undrained, 0))
}

// checkDrains holds the entries of drains to the conditions.
func (c *content) checkDrains() {
	named := c.drained.Reason == drainv1alpha1.ReasonClaimsStranded && len(c.status.StrandedClaims) > 0
	for i := range c.status.Drains {
		e := &c.status.Drains[i]
		waits := slices.Contains(pending, e.State)
		c.refuseIf(e.Reason == "" || e.Message == "", "ordinal %d, %s, lacks its reason or its message", *e.Ordinal, e.State)
		c.refuseIf(is(c.drained, metav1.ConditionTrue) && waits, "Drained is True and ordinal %d is %s, %s", *e.Ordinal, e.State, e.Reason)
		c.refuseIf(is(c.stalled, metav1.ConditionFalse) && e.State == drainv1alpha1.DrainBlocked, "Stalled is False and ordinal %d is Blocked, %s", *e.Ordinal, e.Reason)
		c.refuseIf(waits && slices.Contains(forPersons, e.Reason) && !is(c.stalled, metav1.ConditionTrue),
			"Stalled is %s and ordinal %d waits for a person, %s", c.stalled.Status, *e.Ordinal, e.Reason)
		named = named || waits && e.Reason == c.drained.Reason ||
			e.State == drainv1alpha1.DrainRetained && c.drained.Reason == drainv1alpha1.ReasonRetained
	}
	c.refuseIf(is(c.drained, metav1.ConditionFalse) && !named && len(c.status.Drains) < shownDrains,
		"Drained is False for %s, and nothing else in the status says so", c.drained.Reason)
}

// checkChange returns what is unsound about the way from one status of a policy to a later one.
func checkChange(before, after *drainv1alpha1.DrainPolicy) (problems []error) {
	if before == nil || before.UID != after.UID {
		return nil
	}
	if before.Status.ObservedGeneration > after.Status.ObservedGeneration {
		problems = append(problems, fmt.Errorf("status.observedGeneration went back from %d to %d", before.Status.ObservedGeneration, after.Status.ObservedGeneration))
	}
	for i := range after.Status.Conditions {
		now := &after.Status.Conditions[i]
		then := meta.FindStatusCondition(before.Status.Conditions, now.Type)
		switch {
		case then == nil:
		case then.ObservedGeneration > now.ObservedGeneration:
			problems = append(problems, fmt.Errorf("the generation of condition %s went back from %d to %d", now.Type, then.ObservedGeneration, now.ObservedGeneration))
		case now.LastTransitionTime.Before(&then.LastTransitionTime):
			problems = append(problems, fmt.Errorf("the time of condition %s went back", now.Type))
		}
	}
	return problems
}
