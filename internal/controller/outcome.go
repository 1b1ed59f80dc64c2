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
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// errChanged is a conflict that the operator finds itself.
var errChanged = errors.New("the object changed since the step was decided")

// errAltered is a refusal that the operator finds itself: something takes back what it writes.
var errAltered = errors.New("a webhook or an admission policy changes what the operator writes")

// errTaken is a refusal that the operator finds itself: a live look did not show an object, and one of its name exists.
var errTaken = errors.New("the name is taken")

// unaltered returns an error if an object lacks annotations as they were written.
func unaltered(object client.Object, written map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(written)) {
		if object.GetAnnotations()[key] != written[key] {
			return fmt.Errorf("%w: annotation %s of %q", errAltered, key, object.GetName())
		}
	}
	return nil
}

// classify returns what an error says of a request, and the worst of several that are joined. That an object is not found is lost:
// where its absence is what was asked for, the caller says so.
func classify(err error) plan.Outcome {
	worst := plan.Done
	for _, single := range split(err) {
		worst = max(worst, classifyOne(single))
	}
	return worst
}

func classifyOne(err error) plan.Outcome {
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), errors.Is(err, errChanged):
		return plan.Conflict
	case errors.Is(err, errAltered), errors.Is(err, errTaken), apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return plan.Refused
	}
	return plan.Lost
}

// split returns the errors that an error joins, or the error alone. Functions like IsConflict see only the first one.
func split(err error) []error {
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &joined):
		return []error{err}
	}
	var all []error
	for _, part := range joined.Unwrap() {
		all = append(all, split(part)...)
	}
	return all
}

// outcome returns what a reconcile ends in, given when to look again if all went well.
func outcome(ctx context.Context, next time.Duration, errs ...error) (ctrl.Result, error) {
	err := errors.Join(errs...)
	switch classify(err) {
	case plan.Done:
		return ctrl.Result{RequeueAfter: next}, nil
	case plan.Conflict:
		log.FromContext(ctx).V(1).Info("Deciding again", "why", err.Error())
		return ctrl.Result{RequeueAfter: cacheLag}, nil
	case plan.Refused:
		log.FromContext(ctx).Info("The API server refuses a request", "why", err.Error())
		return ctrl.Result{RequeueAfter: soonest(plan.RefusalRecheck, next)}, nil
	default:
		return ctrl.Result{}, err
	}
}

// The priorities of policies in the queue, beside 0.
const (
	priorityBegun     = 1
	prioritySucceeded = 2
)

// turnKept is how long a policy with priority stays in the queue at least. An event finds it there, and it keeps its priority: the
// handlers of events know none.
const turnKept = time.Minute

// prioritized returns what a reconcile ends in with the priority of the next one. Drains that have succeeded come first, because looks at
// them must not be far apart while Kubernetes is late, and those that have begun before those that haven't: the fewer are under way at
// once, the less late Kubernetes is. What failed or was refused has no priority, so that a policy whose requests hang keeps no other from
// its turn.
func prioritized(result ctrl.Result, p *plan.Plan, err error) ctrl.Result {
	priority := 0
	for i := range p.Drains {
		switch d := &p.Drains[i]; {
		case classify(err) > plan.Conflict || d.Lock == nil || d.State == drainv1alpha1.DrainBlocked:
		case d.Succeeded:
			priority = prioritySucceeded
		default:
			priority = max(priority, priorityBegun)
		}
	}
	if result.Priority = &priority; priority > 0 {
		result.RequeueAfter = soonest(result.RequeueAfter, turnKept)
	}
	return result
}

// soonest returns the shortest of some times; 0 is none.
func soonest(times ...time.Duration) time.Duration {
	times = slices.DeleteFunc(times, func(after time.Duration) bool { return after == 0 })
	if len(times) == 0 {
		return 0
	}
	return slices.Min(times)
}

// readError is a read that failed, without which nothing can be decided.
type readError struct {
	// what is a participle and its object, "listing pods" for example.
	what string
	err  error
}

func (e *readError) Error() string { return e.what + ": " + e.err.Error() }

func (e *readError) Unwrap() error { return e.err }

// failedRead returns the readError of a read.
func failedRead(err error, format string, args ...any) error {
	return &readError{what: fmt.Sprintf(format, args...), err: err}
}

// blind returns the Ready condition of a policy about which a read failed.
func blind(err error) plan.Condition {
	advice := "the operator tries again"
	if apierrors.IsForbidden(err) {
		advice = "restore the operator's ClusterRole and its binding"
	}
	return plan.Condition{
		Status: metav1.ConditionUnknown, Reason: drainv1alpha1.ReasonLookFailed,
		Message: fmt.Sprintf("The operator can't tell whether a scale-down would be drained, because a read failed: %v; %s", err, advice),
	}
}

// showRefusals puts into the plan what the API server refused, where no entry of a drain tells of it: a read into Ready, and
// a write into Stalled, because a person must act.
func showRefusals(p *plan.Plan, err error) {
	for _, single := range split(err) {
		var read *readError
		switch {
		case classifyOne(single) != plan.Refused:
		case errors.As(single, &read):
			p.Ready = blind(single)
		case p.Stalled.Status != metav1.ConditionTrue:
			p.Stalled = plan.Condition{
				Status: metav1.ConditionTrue, Reason: drainv1alpha1.ReasonWriteRefused,
				Message: fmt.Sprintf("The API server refuses a write of the operator: %v", single),
			}
		}
	}
}
