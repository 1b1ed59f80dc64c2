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
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/metrics"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// scrapeTimeout bounds how long a scrape waits for the caches, which answer at once when they are filled.
const scrapeTimeout = 5 * time.Second

// Seen returns what the metrics show of the caches. It makes no request.
func (r *Reconciler) Seen(ctx context.Context) (*metrics.Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	var policies drainv1alpha1.DrainPolicyList
	if err := r.List(ctx, &policies, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("reading DrainPolicies: %w", err)
	}
	var pods corev1.PodList
	if err := r.List(ctx, &pods, client.UnsafeDisableDeepCopy, client.MatchingLabels{drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock}); err != nil {
		return nil, fmt.Errorf("reading locks: %w", err)
	}
	seen := &metrics.Seen{Policies: policies.Items, Locks: map[metrics.Key][]int32{}}
	for i := range pods.Items {
		lock := &pods.Items[i]
		owner, ok := plan.Holder(lock)
		ordinal, err := strconv.ParseInt(lock.Labels[drainv1alpha1.OrdinalLabel], 10, 32)
		if !ok || err != nil {
			continue
		}
		holder := metrics.Key{NamespacedName: types.NamespacedName{Namespace: lock.Namespace, Name: owner.Name}, UID: owner.UID}
		seen.Locks[holder] = append(seen.Locks[holder], int32(ordinal))
	}
	return seen, nil
}

// count counts a step that was carried out. Without an answer, its object was gone already.
func (r *Reconciler) count(policy *drainv1alpha1.DrainPolicy, decision *plan.Drain, answer client.Object) {
	r.Metrics.Decided(decision.Rule)
	if answer == nil {
		return
	}
	key := metrics.KeyOf(policy)
	switch step := decision.Next.(type) {
	case plan.NoteAttempt:
		// A lock remembers each attempt that failed once.
		if step.Attempt.Failed != nil {
			r.Metrics.AttemptFailed(key, step.Attempt.Reason)
		}
	case plan.WriteMark:
		if step.Purpose == plan.MarkClaim && firstMark(decision, &step) {
			r.Metrics.AttemptSucceeded(key, duration(decision))
		}
	case plan.DeleteClaim:
		r.Metrics.ClaimDeleted(key)
	}
}

// firstMark reports whether a mark is the first of its Job: the Job drained all claims of the ordinal.
func firstMark(decision *plan.Drain, step *plan.WriteMark) bool {
	return !slices.ContainsFunc(decision.Claims, func(claim corev1.PersistentVolumeClaim) bool {
		mark := claims.ParseMark(&claim)
		return mark != nil && mark.JobUID == step.Mark.JobUID
	})
}

// duration returns how long the Job of a drain took.
func duration(decision *plan.Drain) time.Duration {
	if decision.Job == nil || decision.Job.Status.StartTime == nil || decision.Job.Status.CompletionTime == nil {
		return 0
	}
	return decision.Job.Status.CompletionTime.Sub(decision.Job.Status.StartTime.Time)
}
