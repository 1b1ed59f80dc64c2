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
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// act looks again, live, at every ordinal that the plan has a step for, and takes the steps that the live look asks for. What
// it learns goes into the plan. An error about one ordinal doesn't keep it from the others. It returns the policy as it is
// after the operator's own writes to it, for the status to be written on.
func (r *Reconciler) act(ctx context.Context, snapshot plan.Snapshot, p *plan.Plan) (*drainv1alpha1.DrainPolicy, error) {
	tellDecisions(ctx, p)
	learned := &lessons{snapshot: snapshot, plan: p, policy: snapshot.Policy, clock: r.Clock}
	var errs []error
	var seen liveLook
	for left := ordinalsWithSteps(p); len(left) > 0; {
		var err error
		seen, err = r.lookFor(ctx, snapshot, left)
		if err != nil {
			learned.failed(left, err)
			errs = append(errs, fmt.Errorf("looking at ordinals %d: %w", left, err))
			// What a look that failed lacks may be there: it is good for nothing.
			seen = liveLook{}
			break
		}
		// The finalizer of the policy is added once for all: each write to it would make the next one a conflict.
		first, err := r.hold(ctx, &seen, left, learned)
		if err != nil {
			errs = append(errs, err)
			break
		}
		failed, late := make([]error, len(left)), make([]bool, len(left))
		_ = r.each(len(left), func(i int) error {
			// A look that has grown old while others were followed is good for nothing: the rest gets another.
			if late[i] = i != first && r.Clock.Since(seen.taken) > maxLookAge; !late[i] {
				failed[i] = r.follow(ctx, seen, left[i], learned)
			}
			return nil
		})
		var rest []int32
		for i, ordinal := range left {
			switch {
			case late[i]:
				rest = append(rest, ordinal)
			case failed[i] != nil:
				if errors.Is(failed[i], errOldLook) {
					learned.failed(left[i:i+1], failed[i])
				}
				errs = append(errs, fmt.Errorf("ordinal %d: %w", ordinal, failed[i]))
			}
		}
		left = rest
	}
	errs = append(errs, r.tidy(ctx, seen, learned))
	return learned.policy, errors.Join(errs...)
}

// lessons are what a reconcile learns while it acts.
type lessons struct {
	mu sync.Mutex
	// snapshot and plan are those on the caches; what is learned of an ordinal goes into the plan.
	snapshot plan.Snapshot
	plan     *plan.Plan
	clock    clock.PassiveClock
	// policy is as it is after the operator's own writes, and answers are all that was written.
	policy  *drainv1alpha1.DrainPolicy
	answers []client.Object
}

// learn notes what became of a decision. A quiet one has nothing to say.
func (l *lessons) learn(decision *plan.Drain, answer client.Object, quiet bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if answer != nil {
		l.answers = append(l.answers, answer)
	}
	if policy, ok := answer.(*drainv1alpha1.DrainPolicy); ok && policy.Generation == l.snapshot.Policy.Generation {
		l.policy = policy
	}
	if !quiet {
		l.plan.Replace(l.snapshot, *decision, l.clock.Now())
	}
}

// failed adds to what the status says of some ordinals that a look at them was good for nothing. Without it, the status only names the
// step that waits for the look.
func (l *lessons) failed(ordinals []int32, err error) {
	if classify(err) != plan.Lost {
		return
	}
	for _, ordinal := range ordinals {
		if drain := l.plan.Drain(ordinal); drain != nil {
			waits := *drain
			waits.Message = fmt.Sprintf("%s; not yet, because a look failed: %v", drain.Message, err)
			l.learn(&waits, nil, false)
		}
	}
}

// after returns a snapshot as the operator's own writes have changed it.
func (l *lessons) after(snapshot plan.Snapshot) plan.Snapshot {
	for _, answer := range l.answers {
		snapshot = snapshot.Seen(answer)
	}
	return snapshot
}

// tellDecisions logs what the plan on the caches says.
func tellDecisions(ctx context.Context, p *plan.Plan) {
	logger := log.FromContext(ctx).V(1)
	if !logger.Enabled() {
		return
	}
	for i := range p.Drains {
		d := &p.Drains[i]
		logger.Info("Decided", "ordinal", d.Ordinal, "rule", d.Rule, "step", plan.StepName(d.Next), "state", d.State, "reason", d.Reason)
	}
}

// ordinalsWithSteps returns the ordinals that the plan has a step for. Marks are renewed first, because they hold for one more
// generation only.
func ordinalsWithSteps(p *plan.Plan) []int32 {
	var renewed, others []int32
	for i := range p.Drains {
		switch d := &p.Drains[i]; {
		case d.Next == nil:
		case plan.StepName(d.Next) == string(plan.RenewMark):
			renewed = append(renewed, d.Ordinal)
		default:
			others = append(others, d.Ordinal)
		}
	}
	return append(renewed, others...)
}

// liveLook is a live look, and the plan that it makes. One is enough for all ordinals: the preconditions of each write hold
// what the write rests on, and what they can't hold is as old for the first ordinal as for the last.
type liveLook struct {
	live plan.Snapshot
	plan plan.Plan
	// unsettled are the ordinals for which it is good for nothing.
	unsettled []int32
	// taken is when it began.
	taken time.Time
	// wrote says that a write has followed on it already, which may have hung.
	wrote bool
}

// maxLookAge is how old a look may be for a write to follow on it. A write can hang in a webhook, and what the look showed is
// not what there is then. The first step on a look that was slow itself is taken all the same, unless it must be fresh, so that
// a slow API server doesn't keep the operator from all work. The preconditions of the writes hold however late they arrive.
const maxLookAge = 5 * time.Second

// maxFreshAge is the same for a step that must be fresh and that follows another write, which may have hung. Without that write,
// it has a look of its own.
const maxFreshAge = time.Second

// errOldLook is what becomes of a step that must not rest on a look that took longer than that. The next look may take as long, so
// it follows with backoff.
var errOldLook = fmt.Errorf("the look at the cluster took longer than %s, so the API server is slow, or the namespace has very many pods", maxLookAge)

// mustBeFresh reports whether a step rests on no other pod having used a claim lately, which no precondition holds before
// Kubernetes reports such a use on the claim.
func mustBeFresh(step plan.Step) bool {
	switch step := step.(type) {
	case plan.DeleteClaim, plan.NoteUnused:
		return true
	case plan.WriteMark:
		return step.Purpose == plan.MarkClaim
	}
	return false
}

// maxWrites bounds how many writes follow on one look, should something take each of them back at once. As many claims as a
// drain can have need no more.
const maxWrites = 4 * statefulset.MaxClaimTemplates

// lookFor looks at some ordinals and plans.
func (r *Reconciler) lookFor(ctx context.Context, snapshot plan.Snapshot, ordinals []int32) (liveLook, error) {
	seen := liveLook{taken: r.Clock.Now()}
	var err error
	if seen.live, seen.unsettled, err = r.look(ctx, snapshot, ordinals...); err != nil {
		return seen, err
	}
	seen.live.Taken = metav1.NewTime(seen.taken)
	seen.plan = r.protocol().Make(seen.live, r.Clock.Now())
	return seen, nil
}

// hold adds the policy's finalizer if an ordinal asks for that, and plans again for all of them. It returns the index of the
// ordinal that is followed however old the look is by then, so that each look is good for something.
func (r *Reconciler) hold(ctx context.Context, seen *liveLook, ordinals []int32, learned *lessons) (first int, err error) {
	for i, ordinal := range ordinals {
		decision := seen.plan.Drain(ordinal)
		if decision == nil {
			continue
		}
		if _, holds := decision.Next.(plan.AddFinalizer); !holds || slices.Contains(seen.unsettled, ordinal) {
			continue
		}
		answer, err := r.carryOut(ctx, seen.live, decision, false, learned)
		if err != nil {
			return 0, fmt.Errorf("ordinal %d: %w", ordinal, err)
		}
		if answer != nil {
			seen.live = seen.live.Seen(answer)
			seen.plan = r.protocol().Make(seen.live, r.Clock.Now())
			seen.wrote = true
		}
		return i, nil
	}
	return 0, nil
}

// follow takes the step that a live look asks for, and those after it that need no look of their own.
func (r *Reconciler) follow(ctx context.Context, seen liveLook, ordinal int32, learned *lessons) error {
	if slices.Contains(seen.unsettled, ordinal) {
		return errUnsettled
	}
	live, decision := seen.live, seen.plan.Drain(ordinal)
	for writes := range maxWrites {
		switch {
		case decision == nil:
			// The caches are behind; what they lack is on its way.
			return nil
		case decision.Next == nil:
			if writes == 0 {
				learned.learn(decision, nil, false)
			}
			return nil
		case writes == 0 && r.Clock.Since(seen.taken) > maxLookAge && mustBeFresh(decision.Next):
			return errOldLook
		case writes > 0 && (!plan.FollowsOn(decision.Next) || r.Clock.Since(seen.taken) > maxLookAge),
			(writes > 0 || seen.wrote) && r.Clock.Since(seen.taken) > maxFreshAge && mustBeFresh(decision.Next):
			return nil
		}
		// Why a lock is released is what its deletion said.
		_, last := decision.Next.(plan.RemoveLockFinalizer)
		answer, err := r.carryOut(ctx, live, decision, last && writes > 0, learned)
		if err != nil || answer == nil || last {
			return err
		}
		if writes == 0 {
			live = live.About(ordinal)
		}
		live = live.Seen(answer)
		if _, takes := decision.Next.(plan.TakeLock); takes {
			live.Made = answer.GetUID()
		}
		again := r.protocol().Make(live, r.Clock.Now())
		decision = again.Drain(ordinal)
	}
	return nil
}

// carryOut takes the step of a decision, and learns what became of it, unless it is quiet and all went well. What the status
// says of a step that failed is no error: it is taken again after a while.
func (r *Reconciler) carryOut(ctx context.Context, live plan.Snapshot, decision *plan.Drain, quiet bool, learned *lessons) (client.Object, error) {
	answer, outcome, err := r.take(ctx, live, decision)
	said := err != nil && decision.Answer(outcome, err)
	learned.learn(decision, answer, quiet && !said)
	if said {
		log.FromContext(ctx).Info("A step was not carried out", "ordinal", decision.Ordinal, "rule", decision.Rule, "step", plan.StepName(decision.Next), "outcome", outcome, "why", err.Error())
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", plan.StepName(decision.Next), err)
	}
	return answer, nil
}

// tidy takes the steps that are about no ordinal: the oldest Job of the past is deleted, and the policy let go. What was
// seen last, as it is after the operator's own writes, is good for that while it is fresh.
func (r *Reconciler) tidy(ctx context.Context, seen liveLook, learned *lessons) error {
	var errs []error
	if history := &learned.plan.History; history.Next != nil {
		_, _, err := r.take(ctx, learned.snapshot, history)
		errs = append(errs, err)
	}
	cached := r.protocol().Make(learned.after(learned.snapshot), r.Clock.Now())
	if cached.Policy.Next == nil {
		return errors.Join(errs...)
	}
	// The caches may not have heard of a lock or an unfinished Job yet. When they do, the policy is looked at again.
	live := learned.after(seen.live)
	if seen.live.Policy == nil || r.Clock.Since(seen.taken) > maxLookAge {
		var err error
		if live, _, err = r.look(ctx, learned.snapshot); err != nil {
			return errors.Join(append(errs, client.IgnoreNotFound(err))...)
		}
	}
	again := r.protocol().Make(live, r.Clock.Now())
	if again.Policy.Next != nil {
		answer, _, err := r.take(ctx, live, &again.Policy)
		learned.learn(&again.Policy, answer, true)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// The rules as they are. A copy of them for each plan was a twentieth of what a burst left to the garbage collector.
var (
	drainRules   = plan.Rules()
	scalingRules = scaling.Rules()
)

// protocol returns the rules to plan by.
func (r *Reconciler) protocol() plan.Protocol {
	if r.Protocol != nil {
		return r.Protocol
	}
	return drainRules
}

// take takes the step of a decision that was made on a live look, and returns the object that it wrote as the API server has
// it now, if it is there still. It decides nothing: each step is one write, with what the step was decided on as its
// preconditions.
func (r *Reconciler) take(ctx context.Context, live plan.Snapshot, decision *plan.Drain) (answer client.Object, outcome plan.Outcome, err error) {
	r.tell(ctx, live.Policy, decision)
	switch step := decision.Next.(type) {
	case plan.AddFinalizer:
		answer, err = r.changePolicy(ctx, step.Policy, controllerutil.AddFinalizer)
	case plan.RemoveFinalizer:
		answer, err = r.changePolicy(ctx, step.Policy, controllerutil.RemoveFinalizer)
		err = client.IgnoreNotFound(err)
	case plan.TakeLock:
		lock := objects.Lock(live.Policy, &live.Template, live.Target, step.Ordinal)
		answer, err = lock, r.Create(ctx, lock)
	case plan.StartJob:
		job := objects.Job(live.Policy, &live.Template, live.Target, objects.Attempt{Job: step.Job, Ordinal: step.Ordinal, Number: step.Attempt, LockUID: step.LockUID})
		answer, err = job, r.Create(ctx, job)
	case plan.NoteAttempt:
		answer, err = r.note(ctx, step.Lock, func(annotations map[string]string) {
			annotations[drainv1alpha1.AttemptAnnotation] = step.Attempt.String()
			if step.New {
				delete(annotations, drainv1alpha1.JobAnnotation)
				delete(annotations, drainv1alpha1.PodAnnotation)
			}
		})
	case plan.NoteJob:
		answer, err = r.note(ctx, step.Lock, func(annotations map[string]string) {
			annotations[drainv1alpha1.AttemptAnnotation] = step.Attempt.String()
			annotations[drainv1alpha1.JobAnnotation] = string(step.Job)
			annotations[drainv1alpha1.PodAnnotation] = string(step.Pod)
		})
	case plan.NoteUnused:
		answer, err = r.note(ctx, step.Lock, func(annotations map[string]string) {
			annotations[drainv1alpha1.AttemptAnnotation] = step.Attempt.String()
		})
	case plan.NoteDeletion:
		answer, err = r.note(ctx, step.Lock, func(annotations map[string]string) {
			annotations[drainv1alpha1.DeletingAnnotation] = step.Note.String()
		})
	case plan.UngatePod:
		answer, err = r.ungate(ctx, step.Pod)
	case plan.DeleteJob:
		answer, err = r.deleteJob(ctx, step.Job)
	case plan.DeletePod:
		answer, err = r.delete(ctx, step.Pod.DeepCopy())
	case plan.WriteMark:
		answer, err = r.mark(ctx, &step)
	case plan.DeleteClaim:
		answer, err = r.delete(ctx, step.Claim.DeepCopy())
	case plan.DeleteLock:
		answer, err = r.delete(ctx, step.Lock.DeepCopy())
	case plan.RemoveLockFinalizer:
		answer, err = r.removeLockFinalizer(ctx, step.Lock)
	}
	if err != nil {
		return nil, outcomeOf(decision.Next, err), err
	}
	r.own.note(client.ObjectKeyFromObject(live.Policy), decision.Next, answer, r.Clock.Now())
	r.count(live.Policy, decision, answer)
	return answer, plan.Done, nil
}

// tell logs a decision that is about to be carried out.
func (r *Reconciler) tell(ctx context.Context, policy *drainv1alpha1.DrainPolicy, decision *plan.Drain) {
	logger := log.FromContext(ctx).WithValues("statefulSet", policy.Spec.StatefulSetRef.Name, "rule", decision.Rule, "step", plan.StepName(decision.Next))
	if decision.State != "" {
		logger = logger.WithValues("ordinal", decision.Ordinal)
	}
	switch step := decision.Next.(type) {
	case plan.StartJob:
		logger = logger.WithValues("job", klog.KRef(policy.Namespace, step.Job), "attempt", step.Attempt)
	case plan.DeleteJob:
		logger = logger.WithValues("job", klog.KObj(step.Job))
	case plan.UngatePod:
		logger = logger.WithValues("pod", klog.KObj(step.Pod))
	case plan.DeletePod:
		logger = logger.WithValues("pod", klog.KObj(step.Pod))
	case plan.WriteMark:
		logger = logger.WithValues("claim", klog.KObj(&step.Claim))
	case plan.DeleteClaim:
		logger = logger.WithValues("claim", klog.KObj(&step.Claim))
	}
	logger.Info("Taking a step", "why", decision.Message)
}

// outcomeOf returns what an error says of a step.
func outcomeOf(step plan.Step, err error) plan.Outcome {
	if _, patches := step.(plan.RemoveLockFinalizer); patches && apierrors.IsInvalid(err) {
		// The tests of a JSON patch take the place of preconditions.
		return plan.Conflict
	}
	return classify(err)
}

// changePolicy changes the finalizers of a policy, provided that it is still as it was read.
func (r *Reconciler) changePolicy(ctx context.Context, policy *drainv1alpha1.DrainPolicy, change func(client.Object, string) bool) (client.Object, error) {
	after := policy.DeepCopy()
	change(after, drainv1alpha1.PolicyFinalizer)
	if err := r.Patch(ctx, after, client.MergeFromWithOptions(policy, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("changing the finalizers of DrainPolicy %q: %w", policy.Name, err)
	}
	return after, nil
}

// note writes to the annotations of a lock, provided that it is still as it was read.
func (r *Reconciler) note(ctx context.Context, lock *corev1.Pod, change func(annotations map[string]string)) (client.Object, error) {
	after := lock.DeepCopy()
	if after.Annotations == nil {
		after.Annotations = map[string]string{}
	}
	change(after.Annotations)
	written := maps.Clone(after.Annotations)
	if err := r.Patch(ctx, after, client.MergeFromWithOptions(lock, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("writing to the lock: %w", err)
	}
	return after, unaltered(after, written)
}

// ungate removes the operator's gate from a drain pod, provided that the pod is still as it was read: the patch names the
// whole list of gates.
func (r *Reconciler) ungate(ctx context.Context, pod *corev1.Pod) (client.Object, error) {
	after := pod.DeepCopy()
	after.Spec.SchedulingGates = slices.DeleteFunc(after.Spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool {
		return gate.Name == drainv1alpha1.DrainSchedulingGate
	})
	metav1.SetMetaDataAnnotation(&after.ObjectMeta, drainv1alpha1.ImagesAnnotation, proof.Images(&after.Spec))
	if err := r.Patch(ctx, after, client.MergeFromWithOptions(pod, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return after, nil
}

// deleteJob deletes a Job in the foreground: it stays until its pods are gone, so that its absence means theirs.
func (r *Reconciler) deleteJob(ctx context.Context, job *batchv1.Job) (client.Object, error) {
	uid := job.UID
	job = job.DeepCopy()
	if err := r.Delete(ctx, job, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return r.going(job), nil
}

// going returns an object that was deleted as one that is being deleted.
func (r *Reconciler) going(object client.Object) client.Object {
	object.SetDeletionTimestamp(&metav1.Time{Time: r.Clock.Now().UTC().Truncate(time.Second)})
	return object
}

// delete deletes an object, provided that it is still as it was read, and returns it as one that is being deleted.
func (r *Reconciler) delete(ctx context.Context, object client.Object) (client.Object, error) {
	uid, version := object.GetUID(), object.GetResourceVersion()
	if err := r.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version}); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return r.going(object), nil
}

// mark writes a mark on a claim, provided that the claim is still as it was read.
func (r *Reconciler) mark(ctx context.Context, step *plan.WriteMark) (client.Object, error) {
	claim := step.Claim.DeepCopy()
	mark := step.Mark.String()
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.DrainedAnnotation, mark)
	if err := r.Patch(ctx, claim, client.MergeFromWithOptions(step.Claim.DeepCopy(), client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, err
	}
	return claim, unaltered(claim, map[string]string{drainv1alpha1.DrainedAnnotation: mark})
}

// removeLockFinalizer lets go of a lock that is being deleted. The deletion comes first: a lock that lost its finalizer and
// stayed would be one that anything can delete.
func (r *Reconciler) removeLockFinalizer(ctx context.Context, lock *corev1.Pod) (client.Object, error) {
	at := slices.Index(lock.Finalizers, drainv1alpha1.LockFinalizer)
	if at < 0 {
		return nil, nil
	}
	path := fmt.Sprintf("/metadata/finalizers/%d", at)
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": lock.UID},
		{"op": "test", "path": path, "value": drainv1alpha1.LockFinalizer},
		{"op": "remove", "path": path},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the patch: %w", err)
	}
	after := lock.DeepCopy()
	err = r.Patch(ctx, after, client.RawPatch(types.JSONPatchType, patch))
	switch {
	case apierrors.IsInvalid(err):
		// A test in the patch failed, which is no refusal. What changed is not known, so it is tried again with backoff.
		return nil, errors.New(err.Error())
	case err != nil:
		return nil, client.IgnoreNotFound(err)
	}
	return after, nil
}

// releaseAbandonedLocks releases the locks of policies that are gone, of this name and with another UID than the present
// one. It returns the time after which to look again at those that must wait. A lock that can't be released blocks its own
// ordinal, and no other.
func (r *Reconciler) releaseAbandonedLocks(ctx context.Context, policy types.NamespacedName, present types.UID) (after time.Duration, err error) {
	var locks corev1.PodList
	if err := r.List(ctx, &locks, client.InNamespace(policy.Namespace), client.MatchingFields{holderIndex: policy.Name}); err != nil {
		return 0, fmt.Errorf("listing locks: %w", err)
	}
	var errs []error
	for i := range locks.Items {
		owner, ok := plan.Holder(&locks.Items[i])
		if !ok || owner.Name != policy.Name || owner.UID == present {
			continue
		}
		wait, err := r.releaseAbandonedLock(ctx, &locks.Items[i], owner)
		if err != nil {
			errs = append(errs, fmt.Errorf("releasing the abandoned lock %q: %w", locks.Items[i].Name, err))
		}
		if wait {
			after = plan.RefusalRecheck
		}
	}
	return after, errors.Join(errs...)
}

// releaseAbandonedLock takes the steps that the protocol asks for, as far as one live look is good for. It reports whether
// the lock must wait for something that no watch tells of.
func (r *Reconciler) releaseAbandonedLock(ctx context.Context, cached *corev1.Pod, owner metav1.OwnerReference) (wait bool, err error) {
	lock, live, err := r.lookAtAbandoned(ctx, cached, owner)
	if err != nil || lock == nil {
		return false, err
	}
	for first := true; ; first = false {
		decision := r.protocol().Abandoned(lock, owner.UID, live, r.Clock.Now())
		if decision.Next == nil {
			log.FromContext(ctx).Info(decision.Message, "lock", klog.KObj(lock), "policyUID", owner.UID, "rule", decision.Rule)
			return true, nil
		}
		if !first && !plan.FollowsOn(decision.Next) {
			return false, nil
		}
		answer, _, err := r.take(ctx, live, &decision)
		if _, last := decision.Next.(plan.RemoveLockFinalizer); last || err != nil || answer == nil {
			// A Job or pod that is being deleted is looked for again.
			return !plan.FollowsOn(decision.Next), err
		}
		live = live.Seen(answer)
		if answer.GetUID() == lock.UID {
			lock = lock.DeepCopy()
			lock.DeletionTimestamp = answer.GetDeletionTimestamp()
		}
	}
}
