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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/build"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// preflight asks the API server, in a dry run, whether it would take the Job of this policy
// and that Job's pod, and returns its refusal, or why it could not be asked. A template must not
// turn out to be wrong when the data is at stake.
func (r *Reconciler) preflight(ctx context.Context, snapshot plan.Snapshot) (refused, unanswered string) {
	policy, set := snapshot.Policy, snapshot.StatefulSet
	if set == nil || set.DeletionTimestamp != nil || policy.DeletionTimestamp != nil ||
		len(policy.Spec.Template.Spec.Containers) == 0 || preflown(snapshot) {
		return "", ""
	}
	ordinal := plan.Start(set) + plan.Replicas(set)
	job := build.Job(policy, set, build.Attempt{
		Job:     plan.JobName(set.Name, policy.UID, ordinal, "", []types.UID{"preflight"}, 1),
		Ordinal: ordinal,
		Number:  1,
	})
	for _, object := range []client.Object{job, build.Pod(job)} {
		err := r.Create(ctx, object, client.DryRunAll)
		switch {
		case err == nil:
		case refusal(err):
			return err.Error(), ""
		default:
			return "", err.Error()
		}
	}
	return "", ""
}

// preflown says whether the template was accepted before and nothing has changed since in
// what it is made from.
func preflown(snapshot plan.Snapshot) bool {
	policy, set := snapshot.Policy, snapshot.StatefulSet
	ready := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration != policy.Generation ||
		(ready.Reason != drainv1alpha1.ReasonArmed && ready.Reason != drainv1alpha1.ReasonSuspended) {
		return false
	}
	last := policy.Status.StatefulSet
	return last != nil && last.UID == string(set.UID) && last.Generation != nil && *last.Generation == set.Generation &&
		// An annotation changes without a generation.
		policy.Status.TemplateHash == snapshot.TemplateHash
}

// refusal says whether an error is the API server's judgement on an object, as opposed to
// trouble on the way to it.
func refusal(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
}
