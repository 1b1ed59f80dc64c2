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
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// Snapshot is what the cluster holds about one policy. What is absent from it is taken
// to be absent from the cluster, so a read that failed must never become a Snapshot.
type Snapshot struct {
	// Policy that is planned for.
	Policy *drainv1alpha1.DrainPolicy
	// Rival is the name of an older policy for the same StatefulSet, or empty.
	Rival string
	// Managed and RivalManaged say whether the operator keeps the policy, and that other one, for an
	// annotation. Such a policy gives way to one that isn't.
	Managed, RivalManaged bool
	// Target is the StatefulSet that the policy names.
	Target statefulset.Target
	// Others are the other StatefulSets of the namespace, which a claim may belong to too.
	Others []claims.Identity
	// Claims of the namespace whose names fit the StatefulSet, of its claim templates at least.
	Claims []corev1.PersistentVolumeClaim
	// Pods are at least the locks and drain pods of this policy; a live snapshot has every
	// pod of the namespace, so that others who use a claim are seen.
	Pods []corev1.Pod
	// Jobs of this policy.
	Jobs []batchv1.Job
	// Template that drain pods are made from: the policy's own, or the one that spec.templateFrom says. It is empty while that
	// can't be read or is refused for its size.
	Template corev1.PodTemplateSpec
	// TemplateHash is that of the pod that a Job created now would have; empty if its template
	// can't be read.
	TemplateHash string
	// Unreadable is why the template can't be read from where spec.templateFrom says, or empty.
	Unreadable string
	// Preflight is what the API server said about that pod. It counts only if it is about this snapshot's Subject.
	Preflight Preflight
	// Progress is what is known of running pods, by their UIDs. It is shown, and decides nothing.
	Progress map[types.UID]Progress
	// Lag is how late Kubernetes was lately, at most, to report claims as unused, as other drains showed. It makes a mark wait longer.
	Lag time.Duration
	// Taken is when a live look began; zero for what the caches show.
	Taken metav1.Time
	// Made is the UID of the pod that was created as a lock since the rest was read, or empty.
	Made types.UID
}

// Concerned returns those of a namespace's pods that can decide anything about the policy, in a slice of its own: the policy's pods
// by label or owner, those with a name that an ordinal of the StatefulSet can have, and those that use a claim of the snapshot.
func (s *Snapshot) Concerned(pods []corev1.Pod) []corev1.Pod {
	held := make(map[string]bool, len(s.Claims))
	for i := range s.Claims {
		held[s.Claims[i].Name] = true
	}
	var concerned []corev1.Pod
	for i := range pods {
		pod := &pods[i]
		uses := func(volume corev1.Volume) bool { return held[claimOf(pod, &volume)] }
		if strings.HasPrefix(pod.Name, s.Target.Name+"-") || pod.Labels[drainv1alpha1.PolicyUIDLabel] == string(s.Policy.UID) ||
			controls(s.Policy.UID, pod) || slices.ContainsFunc(pod.Spec.Volumes, uses) {
			concerned = append(concerned, *pod)
		}
	}
	return concerned
}

// About returns what of a snapshot is about one ordinal: its own claims, pods and Jobs, the users of those claims, claims of
// which it is not clear whose they are, and all locks, which count as slots. Which ordinals are about to take a lock is not in
// it, so no lock is taken by it.
func (s Snapshot) About(ordinal int32) Snapshot {
	own, name := strconv.Itoa(int(ordinal)), s.Target.PodName(ordinal)
	volumes, pods, jobs := s.Claims, s.Pods, s.Jobs
	s.Claims, s.Pods, s.Jobs = nil, nil, nil
	held, identity := map[string]bool{}, s.Target.Identity()
	for i := range volumes {
		if _, number, verdict := claims.Belongs(&volumes[i], identity, s.Others); verdict != claims.Own || number == ordinal {
			s.Claims = append(s.Claims, volumes[i])
			held[volumes[i].Name] = true
		}
	}
	for i := range pods {
		pod := &pods[i]
		uses := func(volume corev1.Volume) bool { return held[claimOf(pod, &volume)] }
		if pod.Labels[drainv1alpha1.OrdinalLabel] == own || pod.Name == name ||
			pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock || slices.ContainsFunc(pod.Spec.Volumes, uses) {
			s.Pods = append(s.Pods, *pod)
		}
	}
	for i := range jobs {
		if jobs[i].Labels[drainv1alpha1.OrdinalLabel] == own {
			s.Jobs = append(s.Jobs, jobs[i])
		}
	}
	return s
}

// Undrainable returns the claims of an ordinal's pod that the operator does not drain, because their labels are not those of the
// StatefulSet's selector, or because another StatefulSet may own them.
func (s *Snapshot) Undrainable(ordinal int32) []string {
	var names []string
	used := s.Target.ClaimNames(ordinal)
	for i := range s.Claims {
		if !slices.Contains(used, s.Claims[i].Name) {
			continue
		}
		switch _, _, verdict := claims.Belongs(&s.Claims[i], s.Target.Identity(), s.Others); verdict {
		case claims.Stranded, claims.Ambiguous:
			names = append(names, s.Claims[i].Name)
		case claims.Own, claims.Foreign:
		}
	}
	return names
}

// Subject is what a preflight is about: all that a drain pod is made from.
type Subject struct {
	// TemplateHash is that of the snapshot.
	TemplateHash string
	// StatefulSet is the UID of the target, and ClaimTemplates are the names of its volumes, separated by commas. What else a
	// drain takes from there is in the hash, but for its environment, which changes with each scaling: no webhook is asked
	// about that again.
	StatefulSet    types.UID
	ClaimTemplates string
}

// Subject returns what a preflight for a snapshot is about.
func (s *Snapshot) Subject() Subject {
	return Subject{TemplateHash: s.TemplateHash, StatefulSet: s.Target.UID, ClaimTemplates: strings.Join(s.Target.ClaimTemplates, ",")}
}

// Preflight is what the API server said, in dry runs, about the Job and the pod that a drain would start. The zero value
// says nothing: no drain starts on it.
type Preflight struct {
	// About is what was asked about. A live look sees what has become of it since: an answer about another template or
	// StatefulSet is no answer.
	About Subject
	// Refusal is why the pod can't be had, or why its success could not be believed, or empty.
	Refusal string
	// Unanswered is why the API server could not be asked, or empty.
	Unanswered string
	// Again is the time after which the API server is asked again; 0 if it isn't.
	Again time.Duration
}

// Plan is what to do next, and what to say about it.
type Plan struct {
	// Drains has one entry for each ordinal that there is something to say about, the
	// highest ordinal first.
	Drains []Drain
	// Ready, Drained and Stalled are the conditions' content.
	Ready, Drained, Stalled Condition
	// Scaled is the content of the condition about spec.replicas, which internal/scaling decides on; empty while that is unset.
	Scaled Condition
	// ScaleAfter is the time after which to look again at the replicas; 0 if there is none.
	ScaleAfter time.Duration
	// Policy is the step that the policy as a whole asks for, if there is one, and History the one about Jobs of the past.
	// The latter is decided on the caches: what it can cost is a log, or one more attempt.
	Policy, History Drain
	// Stranded are claims that look like the StatefulSet's and that the operator does not drain, by name.
	Stranded []corev1.PersistentVolumeClaim
	// Observed is the StatefulSet that the plan is about, as the status keeps it.
	Observed *drainv1alpha1.ObservedStatefulSet
	// TemplateHash and PreflightAfter are those of the snapshot.
	TemplateHash   string
	PreflightAfter time.Duration
	// Finalizer reports whether the policy needs its finalizer: a lock is held or about to be.
	Finalizer bool
	// Lag is how late Kubernetes is to report claims as unused, as the drains of the policy show it; 0 if they show nothing.
	Lag time.Duration

	// Target is the StatefulSet that the plan is about.
	Target statefulset.Target
}

// Condition is the content of a status condition.
type Condition struct {
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

// Drain is one ordinal: where it stands, why, and the next step if there is one.
type Drain struct {
	Ordinal int32
	// Rule is the name of the rule that applies.
	Rule string
	// InRange reports whether the StatefulSet wants the ordinal.
	InRange bool
	State   drainv1alpha1.DrainState
	Reason  string
	Message string
	// OrphanedSince is since when the ordinal is known to be out of range; zero if it isn't.
	OrphanedSince metav1.Time
	// Claims of the ordinal, sorted by name.
	Claims []corev1.PersistentVolumeClaim
	// Lock is the lock of the ordinal, or nil.
	Lock *corev1.Pod
	// Job is the Job of the latest attempt under the present lock, or nil.
	Job *batchv1.Job
	// Attempts is the number of that attempt, or of the latest that the lock remembers; 0 if there is none.
	Attempts int32
	// Failures is the number of attempts under the present lock that have failed, all of them in a row.
	Failures int32
	// Stalled records that the drain goes on only when a person acts, as far as can be told; StallsAfter is the time after
	// which that is so if nothing changes, or 0.
	Stalled     bool
	StallsAfter time.Duration
	// Mark is one of the ordinal's marks that hold, or nil.
	Mark *claims.Mark
	// Succeeded says that the Job is the latest attempt, complete, and believed.
	Succeeded bool
	// Outcome is what the drain said at its end, its termination message.
	Outcome string
	// Progress is what the drain last reported of itself, or nil, and Silent says that it should have reported since.
	Progress *drainv1alpha1.DrainProgress
	Silent   bool
	// Next is the step to take now, or nil.
	Next Step
	// Since is when the state or the reason last changed, to the second.
	Since metav1.Time
	// Overdue is since when a pod should have ended that keeps the ordinal waiting; zero if there is none.
	Overdue metav1.Time
	// RetryAfter is the time after which the step may be another although nothing in
	// the caches changes; 0 if there is no such time.
	RetryAfter time.Duration
}
