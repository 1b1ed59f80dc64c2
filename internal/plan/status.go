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

package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

const (
	// shownDrains and keptDrains bound status.drains: all entries, and those of drains that
	// have ended. The schema has the former as maxItems.
	shownDrains = 100
	keptDrains  = 10
	// shownStranded bounds status.strandedClaims; the schema has it as maxItems.
	shownStranded = 100
	// shownClaims bounds the claims that all entries name together. A StatefulSet can have 100 claim templates, and an object in
	// etcd 1.5 MiB.
	shownClaims = 1000
	// maxMessage is the schema's maxLength of a drain's message, in characters.
	maxMessage = 1024
)

// urgency orders the states by how much they matter to a person who looks at the policy.
var urgency = map[drainv1alpha1.DrainState]int{
	drainv1alpha1.DrainDraining: 0,
	drainv1alpha1.DrainFailed:   1,
	drainv1alpha1.DrainBlocked:  2,
	drainv1alpha1.DrainWaiting:  3,
	drainv1alpha1.DrainRetained: 4,
	drainv1alpha1.DrainDrained:  5,
}

// pending reports whether a drain is under way or asked for.
func (d *Drain) pending() bool {
	return urgency[d.State] <= urgency[drainv1alpha1.DrainWaiting]
}

func (p *planner) drainedCondition(drains []Drain) Condition {
	var head *Drain
	retained, kept := 0, 0
	for i := range drains {
		d := &drains[i]
		switch {
		case d.pending():
			if head == nil || urgency[d.State] < urgency[head.State] {
				head = d
			}
		case d.State == drainv1alpha1.DrainDrained:
			kept++
		case d.undrained():
			retained++
		}
	}
	switch {
	case head != nil:
		others := others(drains, func(d *Drain) bool { return d != head && d.pending() })
		return Condition{Status: metav1.ConditionFalse, Reason: head.Reason, Message: withOthers(fmt.Sprintf("Ordinal %d: %s", head.Ordinal, head.Message), others)}
	case !p.Target.Exists() && !p.drainsDeleted() || p.Target.Deleting || p.Rival != "" || p.Policy.DeletionTimestamp != nil:
		return Condition{Status: metav1.ConditionUnknown, Reason: p.ready.Reason, Message: p.ready.Message}
	case retained > 0:
		return Condition{Status: metav1.ConditionFalse, Reason: drainv1alpha1.ReasonRetained, Message: fmt.Sprintf("Retaining the undrained claims of %d ordinals, as requested; status.drains has the reason for each ordinal", retained)}
	case len(p.stranded) > 0:
		return Condition{Status: metav1.ConditionFalse, Reason: drainv1alpha1.ReasonClaimsStranded, Message: fmt.Sprintf("No drain is pending, but the operator does not drain %d claims that are named like the StatefulSet's and have another claim template or other labels; see status.strandedClaims", len(p.stranded))}
	case kept > 0:
		return Condition{Status: metav1.ConditionTrue, Reason: drainv1alpha1.ReasonAllDrained, Message: fmt.Sprintf("The claims of %d ordinals are drained and kept", kept)}
	default:
		return Condition{Status: metav1.ConditionTrue, Reason: drainv1alpha1.ReasonNoOrphans, Message: "No undrained data is outside the StatefulSet's range"}
	}
}

// maxReasons bounds how many reasons a message counts.
const maxReasons = 5

// others says how many other drains there are, by their reasons: the most frequent ones first.
func others(drains []Drain, counts func(*Drain) bool) string {
	byReason, total := map[string]int{}, 0
	for i := range drains {
		if counts(&drains[i]) {
			byReason[drains[i].Reason]++
			total++
		}
	}
	if total == 0 {
		return ""
	}
	reasons := slices.SortedFunc(maps.Keys(byReason), func(a, b string) int {
		return cmp.Or(cmp.Compare(byReason[b], byReason[a]), cmp.Compare(a, b))
	})
	var texts []string
	rest := total
	for _, reason := range reasons[:min(len(reasons), maxReasons)] {
		texts = append(texts, fmt.Sprintf("%d %s", byReason[reason], reason))
		rest -= byReason[reason]
	}
	if rest > 0 {
		texts = append(texts, fmt.Sprintf("%d with other reasons", rest))
	}
	return fmt.Sprintf(" (and %d more: %s)", total, strings.Join(texts, ", "))
}

// withOthers returns a message that ends with what others said, however long it is.
func withOthers(message, others string) string {
	return truncateTo(message, maxMessage-utf8.RuneCountInString(others)) + others
}

// undrained reports whether claims of the ordinal may hold data that no drain has moved. Claims that never had a volume hold none.
func (d *Drain) undrained() bool {
	return d.State != drainv1alpha1.DrainDrained && slices.ContainsFunc(d.Claims, func(claim corev1.PersistentVolumeClaim) bool { return !unbound(&claim) })
}

// forPersons are the reasons for which drains don't start until a person changes something. An ordinal can have one that Ready lacks: of
// a StatefulSet that is gone, Ready says only that, and an ordinal that was just looked at live can know more than the caches.
var forPersons = map[string]bool{
	drainv1alpha1.ReasonNoClaimTemplates:             true,
	drainv1alpha1.ReasonTooManyClaimTemplates:        true,
	drainv1alpha1.ReasonGracePeriodZero:              true,
	drainv1alpha1.ReasonNoMatchLabels:                true,
	drainv1alpha1.ReasonClaimsDeletedOnScaleDown:     true,
	drainv1alpha1.ReasonClaimsDeletedWithStatefulSet: true,
	drainv1alpha1.ReasonPolicyConflict:               true,
	drainv1alpha1.ReasonInvalidTemplate:              true,
	drainv1alpha1.ReasonAmbiguousClaims:              true,
}

func (p *planner) stalledCondition(drains []Drain) Condition {
	if forPersons[p.ready.Reason] {
		return Condition{Status: metav1.ConditionTrue, Reason: p.ready.Reason, Message: p.ready.Message}
	}
	if first := slices.IndexFunc(drains, func(d Drain) bool { return d.Stalled }); first >= 0 {
		d := &drains[first]
		message := fmt.Sprintf("Ordinal %d: %s", d.Ordinal, d.Message)
		if d.State != drainv1alpha1.DrainFailed && d.Failures >= stalledAttempts {
			message = fmt.Sprintf("Ordinal %d: %d attempts in a row have failed. %s", d.Ordinal, d.Failures, d.Message)
		}
		others := others(drains, func(other *Drain) bool { return other != d && other.Stalled })
		return Condition{Status: metav1.ConditionTrue, Reason: d.Reason, Message: withOthers(message, others)}
	}
	return Condition{Status: metav1.ConditionFalse, Reason: drainv1alpha1.ReasonProgressing, Message: "No action is required"}
}

// patience is how long a drain may have a reason before a person should look, for those that something else than the
// drain itself is expected to end. Reasons that are missing here wait for what a person or a policy asked for.
var patience = map[string]time.Duration{
	drainv1alpha1.ReasonImagePullFailed:         0,
	drainv1alpha1.ReasonContainerConfigError:    0,
	drainv1alpha1.ReasonAttemptsExhausted:       0,
	drainv1alpha1.ReasonMarkingClaims:           3 * time.Minute,
	drainv1alpha1.ReasonPodUnschedulable:        5 * time.Minute,
	drainv1alpha1.ReasonSidecarRunning:          5 * time.Minute,
	drainv1alpha1.ReasonLockHeld:                5 * time.Minute,
	drainv1alpha1.ReasonStarting:                5 * time.Minute,
	drainv1alpha1.ReasonLocked:                  5 * time.Minute,
	drainv1alpha1.ReasonReleasingLock:           5 * time.Minute,
	drainv1alpha1.ReasonPodNotStarted:           10 * time.Minute,
	drainv1alpha1.ReasonStatefulSetNotObserved:  10 * time.Minute,
	drainv1alpha1.ReasonWaitingForReadyReplicas: 15 * time.Minute,
	drainv1alpha1.ReasonClaimInUse:              15 * time.Minute,
	drainv1alpha1.ReasonDeletingClaims:          15 * time.Minute,
	drainv1alpha1.ReasonPreflightFailed:         15 * time.Minute,
	drainv1alpha1.ReasonStatefulSetNotFound:     30 * time.Minute,
	drainv1alpha1.ReasonPodStillExists:          30 * time.Minute,
	drainv1alpha1.ReasonStoppingJob:             30 * time.Minute,
	drainv1alpha1.ReasonPodsFailing:             0,
	// The policy's own patience is over.
	drainv1alpha1.ReasonProgressDeadlineExceeded: 0,
}

// lockPatience is how long a lock may stand before the operator ungates the first drain pod under it. Reasons that alternate start
// their own time again with each change.
const lockPatience = 30 * time.Minute

// overduePatience is how long after the end of its grace period a pod may keep an ordinal waiting before a person should
// look. Its node may be down, and only a person can tell.
const overduePatience = 5 * time.Minute

// patienceEnds returns when a drain stalls that stays where it is, or zero.
func patienceEnds(d *Drain, e *evidence) time.Time {
	due := time.Time{}
	if limit, limited := patience[d.Reason]; limited {
		due = d.Since.Add(limit)
	}
	if e != nil && limitOfLock(d, e) {
		if stuck := e.lock.CreationTimestamp.Add(lockPatience); due.IsZero() || stuck.Before(due) {
			due = stuck
		}
	}
	if overdue := d.Overdue.Add(overduePatience); !d.Overdue.IsZero() && (due.IsZero() || overdue.Before(due)) {
		due = overdue
	}
	return due
}

// aged returns a drain with since when it has been where it is, whether a person should look, and when that may change.
func (p *planner) aged(d Drain, e *evidence) Drain {
	d.Stalled, d.StallsAfter = false, 0
	if e != nil {
		d = p.withProgress(d, e)
	}
	d.Since = metav1.NewTime(p.now.UTC().Truncate(time.Second))
	// A lock that was refused once more, which is learned after the plan was made, is asked for after the same time again.
	refused := e == nil && d.Reason == drainv1alpha1.ReasonLockRefused
	if old := find(p.Policy.Status.Drains, d.Ordinal); !refused && old != nil && old.State == d.State && old.Reason == d.Reason && old.LastTransitionTime != nil && !p.ahead(old.LastTransitionTime.Time) {
		d.Since = *old.LastTransitionTime
	}
	if d.RetryAfter == recheck {
		// What has not come for a while is asked for less often.
		d.RetryAfter = min(max(recheck, p.now.Sub(d.Since.Time)), longestRecheck)
	}
	if e != nil {
		d.Failures = failures(e)
	}
	due := patienceEnds(&d, e)
	switch {
	case d.Silent, d.State == drainv1alpha1.DrainBlocked, d.pending() && forPersons[d.Reason], d.pending() && d.Failures >= stalledAttempts && !settling[d.Reason]:
		d.Stalled = true
	case !due.IsZero():
		d.Stalled, d.StallsAfter = !p.now.Before(due), max(0, due.Sub(p.now))
	}
	return d
}

// limitOfLock reports whether a drain has a lock under which the operator has ungated no pod yet, for no reason that a person or a queue
// gave.
func limitOfLock(d *Drain, e *evidence) bool {
	if e.lock == nil || e.lock.Annotations[drainv1alpha1.JobAnnotation] != "" || d.State != drainv1alpha1.DrainDraining {
		return false
	}
	_, limited := patience[d.Reason]
	return limited && !settling[d.Reason]
}

// failures returns how many attempts under the present lock are known to have failed.
func failures(e *evidence) int32 {
	if e.lock == nil {
		return 0
	}
	if e.last.Failed == nil {
		return max(0, e.last.Number-1)
	}
	return e.last.Number
}

// longestOverdue returns since when a drain pod of the ordinal should have ended, or zero.
func (e *evidence) longestOverdue() metav1.Time {
	var since metav1.Time
	for i := range e.pods {
		if hanging(e.pods[i]) && (since.IsZero() || e.pods[i].DeletionTimestamp.Before(&since)) {
			since = *e.pods[i].DeletionTimestamp
		}
	}
	return since
}

// settling are the reasons of a drain whose latest attempt has succeeded.
var settling = map[string]bool{
	drainv1alpha1.ReasonMarkingClaims:  true,
	drainv1alpha1.ReasonDeletingClaims: true,
	drainv1alpha1.ReasonReleasingLock:  true,
}

// Replace puts what was learned about an ordinal after the plan was made in the place of the
// plan's entry, and brings the conditions in line. The snapshot is the plan's own.
func (p *Plan) Replace(snapshot Snapshot, learned Drain, now time.Time) {
	planner := planner{Snapshot: snapshot, now: now, ready: p.Ready, stranded: p.Stranded}
	learned = planner.aged(learned, nil)
	if entry := p.Drain(learned.Ordinal); entry != nil {
		*entry = learned
	} else {
		p.Drains = append(p.Drains, learned)
		slices.SortFunc(p.Drains, func(a, b Drain) int { return cmp.Compare(b.Ordinal, a.Ordinal) })
	}
	p.Drained = planner.drainedCondition(p.Drains)
	p.Stalled = planner.stalledCondition(p.Drains)
}

// Status returns the status that a plan makes of the previous one. Times of conditions are
// kept where nothing changed; drains that have ended stay, the newest ten of them.
func (p *Plan) Status(policy *drainv1alpha1.DrainPolicy, now metav1.Time) drainv1alpha1.DrainPolicyStatus {
	previous := policy.Status
	status := p.counts()
	status.ObservedGeneration, status.StatefulSet, status.TemplateHash = policy.Generation, p.Observed, p.TemplateHash
	status.Conditions = slices.Clone(previous.Conditions)
	if p.Target.Exists() {
		status.Replicas, status.Selector = &p.Target.Pods, p.Target.Selector
	}
	for i := range p.Stranded[:min(len(p.Stranded), shownStranded)] {
		status.StrandedClaims = append(status.StrandedClaims, drainv1alpha1.ClaimReference{Name: p.Stranded[i].Name, UID: string(p.Stranded[i].UID)})
	}

	var live, ended []drainv1alpha1.DrainStatus
	for i := range p.Drains {
		entry := p.Drains[i].status(find(previous.Drains, p.Drains[i].Ordinal))
		if entry.State == drainv1alpha1.DrainDrained {
			ended = append(ended, entry)
		} else {
			live = append(live, entry)
		}
	}
	for _, old := range previous.Drains {
		if p.Drain(*old.Ordinal) == nil && !p.Target.InRange(*old.Ordinal) {
			if Concluded(&old) {
				old.State, old.Reason = drainv1alpha1.DrainDrained, drainv1alpha1.ReasonClaimsDeleted
				ended = append(ended, old)
			}
		}
	}
	// The most urgent are kept, and shown by ordinal.
	slices.SortStableFunc(live, func(a, b drainv1alpha1.DrainStatus) int { return cmp.Compare(urgency[a.State], urgency[b.State]) })
	slices.SortStableFunc(ended, func(a, b drainv1alpha1.DrainStatus) int {
		return ptr.Deref(b.CompletionTime, metav1.Time{}).Compare(ptr.Deref(a.CompletionTime, metav1.Time{}).Time)
	})
	ended = ended[:min(len(ended), keptDrains)]
	live = live[:min(len(live), shownDrains-len(ended))]
	status.Drains = slices.Concat(live, ended)
	slices.SortFunc(status.Drains, func(a, b drainv1alpha1.DrainStatus) int { return cmp.Compare(*b.Ordinal, *a.Ordinal) })
	for i := range status.Drains {
		entry := &status.Drains[i]
		entry.Claims = entry.Claims[:min(len(entry.Claims), shownClaims/len(status.Drains))]
	}

	for _, c := range []struct {
		conditionType string
		content       Condition
	}{
		{drainv1alpha1.ConditionReady, p.Ready},
		{drainv1alpha1.ConditionDrained, p.Drained},
		{drainv1alpha1.ConditionStalled, p.Stalled},
		{drainv1alpha1.ConditionScaled, p.Scaled},
	} {
		if c.content.Status == "" {
			meta.RemoveStatusCondition(&status.Conditions, c.conditionType)
			continue
		}
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: c.conditionType, Status: c.content.Status, Reason: c.content.Reason, Message: truncate(c.content.Message),
			ObservedGeneration: policy.Generation, LastTransitionTime: now,
		})
	}
	return status
}

// counts returns a status that has the counters alone.
func (p *Plan) counts() drainv1alpha1.DrainPolicyStatus {
	var undrained, draining, kept, failed int32
	capacity := resource.Quantity{Format: resource.BinarySI}
	var oldest *metav1.Time
	for i := range p.Drains {
		d := &p.Drains[i]
		if d.State == drainv1alpha1.DrainFailed {
			failed++
		}
		if d.Lock != nil {
			draining++
		}
		if since := d.pendingSince(); d.pending() && (oldest == nil || since.Before(oldest)) {
			oldest = &since
		}
		if d.InRange {
			continue
		}
		switch {
		case d.State == drainv1alpha1.DrainDrained:
			kept++
		case d.undrained():
			undrained++
		}
		for j := range d.Claims {
			capacity.Add(d.Claims[j].Status.Capacity[corev1.ResourceStorage])
		}
	}
	return drainv1alpha1.DrainPolicyStatus{
		Undrained: &undrained, Draining: &draining, Kept: &kept, Failed: &failed, OrphanedCapacity: &capacity, OldestPendingTime: oldest,
	}
}

// pendingSince returns since when the drain is asked for: since when the ordinal is out of range, or has been where it is.
func (d *Drain) pendingSince() metav1.Time {
	if !d.OrphanedSince.IsZero() && d.OrphanedSince.Before(&d.Since) {
		return d.OrphanedSince
	}
	return d.Since
}

// status returns a drain's entry. Once the claims are gone, no evidence of the drain is
// left but the previous entry; it is shown on, and nothing is decided by it.
func (d *Drain) status(previous *drainv1alpha1.DrainStatus) drainv1alpha1.DrainStatus {
	entry := drainv1alpha1.DrainStatus{Ordinal: ptr.To(d.Ordinal)}
	switch {
	case len(d.Claims) == 0 && previous != nil:
		entry = *previous.DeepCopy()
	case d.Job != nil:
		entry.JobName, entry.Attempts = d.Job.Name, d.Attempts
		entry.StartTime = d.Job.Status.StartTime
		if d.Succeeded {
			entry.CompletionTime = d.Job.Status.CompletionTime
		}
	case d.Mark != nil:
		entry.JobName, entry.Attempts = d.Mark.Job, d.Mark.Attempts
		if previous != nil && previous.JobName == entry.JobName {
			// The Job is gone; how long it took is worth knowing still.
			entry.StartTime = previous.StartTime
		}
	}
	entry.State, entry.Reason = d.State, d.Reason
	entry.LastTransitionTime = &d.Since
	entry.Progress = shownProgress(d.Progress)
	entry.Attempts = max(entry.Attempts, d.Attempts)
	entry.OrphanedTime = nil
	if !d.OrphanedSince.IsZero() {
		entry.OrphanedTime = &d.OrphanedSince
	}
	// The words of a drain whose claims are gone are on no object any more, so what is waited for since must not take their place.
	said := len(d.Claims) == 0 && previous != nil && previous.CompletionTime != nil &&
		(Concluded(previous) || previous.Reason == drainv1alpha1.ReasonStoppingJob)
	if entry.Message == "" || !said && d.Reason != drainv1alpha1.ReasonReleasingLock {
		entry.Message = truncate(d.Message)
	}
	if d.Mark != nil && entry.CompletionTime == nil {
		entry.CompletionTime = &d.Mark.Time
	}
	if len(d.Claims) > 0 {
		entry.Claims = d.claims(previous)
	}
	return entry
}

// claims returns the claims of an entry. While they are being deleted, those that went first
// are named on.
func (d *Drain) claims(previous *drainv1alpha1.DrainStatus) []drainv1alpha1.ClaimReference {
	var references []drainv1alpha1.ClaimReference
	for i := range d.Claims {
		references = append(references, drainv1alpha1.ClaimReference{Name: d.Claims[i].Name, UID: string(d.Claims[i].UID)})
	}
	if previous == nil || d.Reason != drainv1alpha1.ReasonDeletingClaims {
		return references[:min(len(references), statefulset.MaxClaimTemplates)]
	}
	for _, old := range previous.Claims {
		if !slices.ContainsFunc(references, func(r drainv1alpha1.ClaimReference) bool { return r.Name == old.Name }) {
			references = append(references, old)
		}
	}
	slices.SortFunc(references, func(a, b drainv1alpha1.ClaimReference) int { return cmp.Compare(a.Name, b.Name) })
	return references[:min(len(references), statefulset.MaxClaimTemplates)]
}

// Concluded reports whether an entry says all that is known of a drain that has ended: its claims were drained, and are being
// deleted, or gone. Then no evidence is left in the cluster, and the entry is shown on.
func Concluded(entry *drainv1alpha1.DrainStatus) bool {
	switch entry.Reason {
	case drainv1alpha1.ReasonDeletingClaims, drainv1alpha1.ReasonReleasingLock:
		return entry.CompletionTime != nil
	case drainv1alpha1.ReasonClaimsDeleted:
		return entry.State == drainv1alpha1.DrainDrained
	}
	return false
}

func find(drains []drainv1alpha1.DrainStatus, ordinal int32) *drainv1alpha1.DrainStatus {
	for i := range drains {
		if *drains[i].Ordinal == ordinal {
			return &drains[i]
		}
	}
	return nil
}

// truncate cuts a message to what the schema takes, in whole characters.
func truncate(message string) string { return truncateTo(message, maxMessage) }

func truncateTo(message string, characters int) string {
	if utf8.RuneCountInString(message) <= characters {
		return message
	}
	return string([]rune(message)[:max(0, characters-1)]) + "…"
}
