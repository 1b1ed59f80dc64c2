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

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
	"github.com/statefulset-dev/drain-operator/internal/metrics"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// scale takes the StatefulSet one step further towards spec.replicas, and puts into the plan what there is to say about that. It
// looks live where the caches show that there is something to do. It returns the policy as it is after the operator's own writes to it,
// for the status to be written on.
func (r *Reconciler) scale(ctx context.Context, snapshot plan.Snapshot, policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, p *plan.Plan) (*drainv1alpha1.DrainPolicy, error) {
	key := client.ObjectKeyFromObject(policy)
	past := r.pasts.recall(key, policy, r.Clock.Now())
	decision := r.scaling().Decide(snapshot, p, past, r.Clock.Now())
	if !decision.Look && (decision.Scaled.Status != metav1.ConditionTrue || saysScaled(snapshot.Policy)) {
		r.pasts.applied(key, policy, decision.Rule, r.Clock.Now())
		r.tellEnded(snapshot.Policy, set, &decision)
		showScaling(p, &decision)
		return policy, nil
	}
	taken := r.Clock.Now()
	live, err := r.lookToScale(ctx, snapshot)
	if err != nil {
		// What the caches say is shown. Without a word of it the condition would go, as if spec.replicas were unset.
		showScaling(p, &decision)
		return policy, fmt.Errorf("looking at the replicas: %w", err)
	}
	live.Taken = metav1.NewTime(taken)
	drains := r.protocol().Make(live, r.Clock.Now())
	decision = r.scaling().Decide(live, &drains, past, r.Clock.Now())
	r.pasts.applied(key, policy, decision.Rule, r.Clock.Now())
	r.tellEnded(live.Policy, set, &decision)
	if decision.Next != nil {
		// To scale up rests on the StatefulSet alone, whose version the write names. An API server that is slow must not keep that back.
		_, raises := decision.Next.(scaling.Raise)
		_, starts := decision.Next.(scaling.StartJob)
		err = errOldLook
		if starts && objects.LeaveHash(live.Policy, live.Target) != objects.LeaveHash(snapshot.Policy, snapshot.Target) {
			// The API server was asked about the template that the caches hold, and about no later one.
			err = fmt.Errorf("%w: spec.leave, or what it takes over from the StatefulSet, was edited", errChanged)
		} else if raises || r.Clock.Since(taken) <= maxLookAge {
			var written *drainv1alpha1.DrainPolicy
			written, err = r.takeScaling(ctx, live.Policy, &decision)
			// The status is that of the policy that was planned for, and another manager's must not be written over.
			if written != nil && written.Generation == policy.Generation && equality.Semantic.DeepEqual(written.Status, policy.Status) {
				policy = written
			}
		}
	}
	refused := err != nil && classify(err) == plan.Refused
	if refused {
		log.FromContext(ctx).Info("A step was not carried out", "rule", decision.Rule, "step", scaling.StepName(decision.Next), "why", err.Error())
		var scale *scaleError
		decision.Refused(errors.As(err, &scale) && apierrors.IsForbidden(err), err)
	}
	showScaling(p, &decision)
	switch {
	case refused:
		// The status says it, and the step is taken again after a while.
		return policy, nil
	case err != nil:
		return policy, fmt.Errorf("%s: %w", scaling.StepName(decision.Next), err)
	}
	r.tellScaled(live.Policy, set, &decision)
	return policy, nil
}

// showScaling puts a decision into the plan.
func showScaling(p *plan.Plan, d *scaling.Decision) {
	p.Scaled, p.ScaleAfter = d.Scaled, d.RetryAfter
	if d.Stalled && p.Stalled.Status != metav1.ConditionTrue {
		p.Stalled = plan.Condition{Status: metav1.ConditionTrue, Reason: d.Scaled.Reason, Message: d.Scaled.Message}
	}
}

// saysScaled reports whether the status says of the present spec that the StatefulSet has its replicas. Where it does not yet, the caches
// are not enough to say so: that of policies can be ahead of those of StatefulSets and Jobs, and people wait for the condition.
func saysScaled(policy *drainv1alpha1.DrainPolicy) bool {
	scaled := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionScaled)
	return scaled != nil && scaled.Status == metav1.ConditionTrue && scaled.ObservedGeneration == policy.Generation
}

// lookToScale returns what the API server holds about a policy, with all claims and all pods of its namespace. The StatefulSet is
// read first: a write to its scale names this version, so all else is at least as new as what the write changes. The pods are listed last:
// of a Job that is over, its pods must be seen to be, or a member that has left would be asked to leave once more.
func (r *Reconciler) lookToScale(ctx context.Context, cached plan.Snapshot) (plan.Snapshot, error) {
	policy := &drainv1alpha1.DrainPolicy{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(cached.Policy), policy); apierrors.IsNotFound(err) || err == nil && policy.UID != cached.Policy.UID {
		return plan.Snapshot{}, fmt.Errorf("%w: the policy is gone", errChanged)
	} else if err != nil {
		return plan.Snapshot{}, failedRead(err, "reading the policy")
	}
	if err := boundTemplate(policy); err != nil {
		return plan.Snapshot{}, err
	}
	live := plan.Snapshot{Policy: policy, Managed: annotation.IsManaged(policy), Preflight: cached.Preflight}
	if _, err := r.gatherTarget(ctx, r.Live, &live); err != nil {
		return live, err
	}
	var claims corev1.PersistentVolumeClaimList
	var jobs batchv1.JobList
	if err := r.together(
		func() error {
			return failedList(r.Live.List(ctx, &claims, client.InNamespace(policy.Namespace)), "claims")
		},
		func() error {
			return failedList(r.Live.List(ctx, &jobs, ownLabels(policy), client.InNamespace(policy.Namespace)), "Jobs")
		},
		func() error { return gatherRival(ctx, r.Live, &live) },
	); err != nil {
		return live, err
	}
	pods, err := r.listPods(ctx, policy, true)
	live.Claims, live.Jobs, live.Pods = claims.Items, jobs.Items, pods
	return live, err
}

// takeScaling takes a step that was decided on a live look, and returns the policy if it has written to that. It decides nothing.
func (r *Reconciler) takeScaling(ctx context.Context, policy *drainv1alpha1.DrainPolicy, decision *scaling.Decision) (written *drainv1alpha1.DrainPolicy, err error) {
	logger := log.FromContext(ctx).WithValues("statefulSet", policy.Spec.StatefulSetRef.Name, "rule", decision.Rule, "step", scaling.StepName(decision.Next))
	if step, deletes := decision.Next.(scaling.DeleteJob); deletes {
		logger = logger.WithValues("job", klog.KObj(step.Job))
	}
	logger.Info("Taking a step", "why", decision.Scaled.Message)
	switch step := decision.Next.(type) {
	case scaling.Lower:
		err = r.writeScale(ctx, step.Target, step.To())
	case scaling.Raise:
		err = r.writeScale(ctx, step.Target, step.Replicas)
	case scaling.StartJob:
		// A member must not leave in vain, so the API server is asked whether the operator may lower the replicas then.
		if step.Leave.Action == drainv1alpha1.ActionLeave {
			err = r.writeScale(ctx, step.Target, step.Target.Replicas-1, client.DryRunAll)
		}
		if err == nil {
			job := objects.LeaveJob(policy, step.Target, step.Leave)
			if err = r.Create(ctx, job); apierrors.IsAlreadyExists(err) {
				// The look would have shown it, but for another manager's that is a moment older. To look again in haste changes nothing.
				err = fmt.Errorf("%w: Job %q exists already; if the policy is not its controller, or it lacks the policy's labels, delete it", errTaken, job.Name)
			}
		}
	case scaling.NoteMember:
		written, err = r.noteMember(ctx, step.Policy, step.Ordinal, step.Note)
	case scaling.ForgetMember:
		written, err = r.noteMember(ctx, step.Policy, step.Ordinal, nil)
	case scaling.UngatePod:
		_, err = r.ungate(ctx, step.Pod)
	case scaling.DeletePod:
		_, err = r.delete(ctx, step.Pod.DeepCopy())
	case scaling.DeleteJob:
		_, err = r.deleteJob(ctx, step.Job)
	}
	if err == nil {
		r.Metrics.Decided(decision.Rule)
		if to, scales := scaling.Replicas(decision.Next); scales {
			r.pasts.wrote(client.ObjectKeyFromObject(policy), policy, to, r.Clock.Now())
		}
	}
	return written, err
}

// noteMember writes to a policy what is noted of a member, or removes it, provided that the policy is still as it was read.
func (r *Reconciler) noteMember(ctx context.Context, policy *drainv1alpha1.DrainPolicy, ordinal int32, note *scaling.Note) (*drainv1alpha1.DrainPolicy, error) {
	after := policy.DeepCopy()
	if err := note.Set(after, ordinal); err != nil {
		return nil, err
	}
	text := after.Annotations[drainv1alpha1.MembersAnnotation]
	if err := r.Patch(ctx, after, client.MergeFromWithOptions(policy, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("noting a member in DrainPolicy %q: %w", policy.Name, err)
	}
	r.own.note(client.ObjectKeyFromObject(after), nil, after, r.Clock.Now())
	return after, unaltered(after, map[string]string{drainv1alpha1.MembersAnnotation: text})
}

// scaleError is the error of a write to the scale of a StatefulSet.
type scaleError struct{ err error }

func (e *scaleError) Error() string { return "scaling the StatefulSet: " + e.err.Error() }

func (e *scaleError) Unwrap() error { return e.err }

// writeScale gives a StatefulSet a number of replicas, provided that it is still as it was read. It writes nothing else, so that
// the right to the scale subresource is enough.
func (r *Reconciler) writeScale(ctx context.Context, target statefulset.Target, replicas int32, options ...client.SubResourceUpdateOption) error {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, Name: target.Name}}
	scale := &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, Name: target.Name, UID: target.UID, ResourceVersion: target.ResourceVersion},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}
	if err := r.SubResource("scale").Update(ctx, set, append(options, client.WithSubResourceBody(scale))...); err != nil {
		return &scaleError{err}
	}
	// The client leaves the answer in it. What changes nothing makes no event, so nothing else would tell.
	if scale.Spec.Replicas != replicas {
		return &scaleError{fmt.Errorf("%w: asked for %d replicas, it has %d", errAltered, replicas, scale.Spec.Replicas)}
	}
	return nil
}

// tellScaled tells the policy's and the StatefulSet's readers of a change of the replicas, and of a member that begins to leave or to join
// again.
func (r *Reconciler) tellScaled(policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, decision *scaling.Decision) {
	if _, scales := scaling.Replicas(decision.Next); scales {
		r.notify(policy, set, notice{eventType: corev1.EventTypeNormal, reason: decision.Scaled.Reason, action: "Scale", message: decision.Scaled.Message})
	}
	step, starts := decision.Next.(scaling.StartJob)
	if !starts {
		return
	}
	r.pasts.started(client.ObjectKeyFromObject(policy), policy, step.Leave.Ordinal, r.Clock.Now())
	what, action := "leaves", "Leave"
	if step.Leave.Action == drainv1alpha1.ActionRejoin {
		what, action = "joins again", "Rejoin"
	}
	message := fmt.Sprintf("The member of pod %q %s by Job %q (attempt %d)",
		step.Target.PodName(step.Leave.Ordinal), what, objects.LeaveName(step.Target.Name, policy.UID, step.Leave), step.Leave.Failures+1)
	r.notify(policy, set, notice{eventType: corev1.EventTypeNormal, reason: decision.Scaled.Reason, action: action, message: message})
}

// tellEnded tells them once that an attempt of a member is over, and counts it.
func (r *Reconciler) tellEnded(policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, decision *scaling.Decision) {
	attempt := decision.Ended
	if attempt == nil || !r.pasts.news(client.ObjectKeyFromObject(policy), policy, attempt, r.Clock.Now()) {
		return
	}
	action, reason, failed := "Leave", eventMemberLeft, drainv1alpha1.ReasonLeaveFailed
	if attempt.Action == drainv1alpha1.ActionRejoin {
		action, reason, failed = "Rejoin", eventMemberBack, drainv1alpha1.ReasonRejoinFailed
	}
	key := metrics.KeyOf(policy)
	if attempt.Failed != "" {
		r.Metrics.MemberFailed(key, attempt.Action, attempt.Failed)
		r.notify(policy, set, notice{eventType: corev1.EventTypeWarning, reason: failed, action: action, message: attempt.Message})
		return
	}
	r.Metrics.MemberSucceeded(key, attempt.Action, attempt.Took)
	r.notify(policy, set, notice{eventType: corev1.EventTypeNormal, reason: reason, action: action, message: attempt.Message})
}

// scaling returns the rules to scale by.
func (r *Reconciler) scaling() scaling.Table {
	if r.Scaling != nil {
		return r.Scaling
	}
	return scalingRules
}
