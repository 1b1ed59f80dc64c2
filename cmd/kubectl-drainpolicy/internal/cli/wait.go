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

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// poll is how often wait reads the StatefulSet and its policy. It reads them live, since an old True in a cache would end it.
const poll = time.Second

// settle is how long a policy must say that waiting is no use. What a person has just changed on a claim, such as the annotation that skips
// an ordinal, is in no generation.
const settle = 5 * time.Second

func waitCommand(s *session) *cobra.Command {
	replicas, timeout := int32(-1), time.Duration(0)
	command := &cobra.Command{
		Use: "wait NAME", Short: "Wait until the scale-down that was just asked for is drained",
		Long: `Waits until the operator has observed the StatefulSet as it is now, and all ordinals outside its range are drained. So it can be called
right after "kubectl scale": a condition from before does not end it. With spec.replicas, it also waits until the operator has scaled the
StatefulSet to that, up or down, and no member leaves or joins again.

It exits with 0 when all is drained, 3 when a person must act, the claims are kept undrained or the policy is suspended, 4 at the timeout, and 5 when the policy, the
StatefulSet or the scale-down is gone. It writes what it waits for to stderr.`,
		Example: `  kubectl scale statefulset/datastore --replicas=2 && kubectl drainpolicy wait datastore --timeout=30m
  kubectl scale drainpolicy/datastore --replicas=2 && kubectl drainpolicy wait datastore --timeout=1h
  kubectl drainpolicy wait datastore --replicas=0    # also waits for the scale-down itself, of an autoscaler for example`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completePolicies,
		RunE: s.run(func(ctx context.Context, args []string) error {
			if timeout > 0 {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, timeout)
				defer stop()
			}
			return s.wait(ctx, args[0], replicas, timeout)
		}),
	}
	command.Flags().Int32Var(&replicas, "replicas", replicas, "Number of replicas to wait for; unset, those that spec.replicas asks for, or else the StatefulSet has, when the command starts")
	command.Flags().DurationVar(&timeout, "timeout", 0, "Time after which to give up, such as 30m; 0 is no limit")
	return command
}

func (s *session) wait(ctx context.Context, name string, replicas int32, timeout time.Duration) error {
	first, err := s.policy(ctx, name)
	if err != nil {
		return err
	}
	w := waiting{policy: first, replicas: replicas}
	ticker := s.clock.NewTicker(poll)
	defer ticker.Stop()
	said, stuck := "", time.Time{}
	for {
		text, done, err := s.look(ctx, &w)
		if now := s.clock.Now(); ExitCode(err) != exitStalled {
			stuck = time.Time{}
		} else if stuck.IsZero() || now.Sub(stuck) < settle {
			stuck, text, err = cmp.Or(stuck, now), err.Error(), nil
		}
		switch {
		case ctx.Err() != nil:
			return s.waited(ctx, said, timeout)
		case done:
			fmt.Fprintf(s.Out, "drainpolicy/%s drained: %s\n", first.Name, text)
			return nil
		case err != nil:
			return err
		case text != said:
			fmt.Fprintln(s.ErrOut, text)
			said = text
		}
		select {
		case <-ctx.Done():
			return s.waited(ctx, said, timeout)
		case <-ticker.C():
		}
	}
}

// waited is what wait returns when its context has ended.
func (s *session) waited(ctx context.Context, said string, timeout time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &answer{exitTimeout, fmt.Sprintf("not drained after %s: %s", timeout, said)}
	}
	return ctx.Err()
}

// look reads the StatefulSet, then the policy, and judges them. Trouble on the way to the API server is something to wait for.
func (s *session) look(ctx context.Context, w *waiting) (text string, done bool, err error) {
	set, err := s.statefulSet(ctx, w.policy)
	policy := &drainv1alpha1.DrainPolicy{}
	if err == nil {
		err = s.client.Get(ctx, client.ObjectKeyFromObject(w.policy), policy)
	}
	switch {
	case apierrors.IsNotFound(err) && !noDrainPolicies(err):
		return "", false, &answer{exitGone, fmt.Sprintf("DrainPolicy %q was deleted, so the operator drains nothing", w.policy.Name)}
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err), meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		return "", false, err
	case err != nil:
		return fmt.Sprintf("can't reach the API server, trying again: %v", err), false, nil
	}
	return w.judge(set, policy)
}

// waiting is a scale-down that is waited for.
type waiting struct {
	// policy is as it was at the start.
	policy *drainv1alpha1.DrainPolicy
	// replicas is the number that the StatefulSet is scaled to; -1 is what is asked for at the first look. reached is set when that was asked
	// for once.
	replicas int32
	reached  bool
}

// judge returns what is waited for, or that all is drained, or why waiting is no use. policy was read after the StatefulSet, so a status
// that is about this generation is about the scale-down, and any other is from before it.
func (w *waiting) judge(set *appsv1.StatefulSet, policy *drainv1alpha1.DrainPolicy) (text string, done bool, err error) {
	if policy.UID != w.policy.UID || policy.DeletionTimestamp != nil {
		return "", false, &answer{exitGone, fmt.Sprintf("DrainPolicy %q was deleted, so the operator drains nothing", policy.Name)}
	}
	if set == nil && policy.Spec.WhenDeleted != drainv1alpha1.WhenDeletedDrain {
		return "", false, &answer{exitGone, fmt.Sprintf("StatefulSet %q does not exist, and spec.whenDeleted is not Drain", policy.Spec.StatefulSetRef.Name)}
	}
	if set != nil {
		if text, err := w.scaled(set, policy); text != "" || err != nil {
			return text, false, err
		}
	}
	var conditions []*metav1.Condition
	var scaled *metav1.Condition
	if set != nil && policy.Spec.Replicas != nil {
		scaled = meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionScaled)
		conditions = append(conditions, scaled)
	}
	drained := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionDrained)
	stalled := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionStalled)
	if !current(set, policy, append(conditions, drained, stalled)...) {
		return "waiting for the operator to observe the StatefulSet and the policy as they are now", false, nil
	}
	switch {
	case drained.Status == metav1.ConditionTrue && scaled == nil:
		return drained.Message, true, nil
	case drained.Status == metav1.ConditionTrue && scaled.Status == metav1.ConditionTrue:
		return scaled.Message + "; " + drained.Message, true, nil
	case stalled.Status == metav1.ConditionTrue:
		return "", false, &answer{exitStalled, fmt.Sprintf("a person must act: %s: %s", stalled.Reason, stalled.Message)}
	case scaled != nil && scaled.Reason == drainv1alpha1.ReasonSuspended:
		return "", false, &answer{exitStalled, fmt.Sprintf("%s; \"kubectl drainpolicy resume %s\" lets the operator scale it", scaled.Message, policy.Name)}
	case scaled != nil && scaled.Status != metav1.ConditionTrue:
		return fmt.Sprintf("%s: %s", scaled.Reason, scaled.Message), false, nil
	case drained.Reason == drainv1alpha1.ReasonSuspended:
		return "", false, &answer{exitStalled, fmt.Sprintf("no drain starts: spec.suspend of DrainPolicy %q is true; \"kubectl drainpolicy resume %s\" lets drains start", policy.Name, policy.Name)}
	case drained.Reason == drainv1alpha1.ReasonRetained, drained.Reason == drainv1alpha1.ReasonClaimsStranded:
		return "", false, &answer{exitStalled, fmt.Sprintf("no drain is under way, and claims are kept undrained: %s: %s", drained.Reason, drained.Message)}
	}
	return fmt.Sprintf("%s: %s", drained.Reason, drained.Message), false, nil
}

// scaled says what must be asked for first, and whether the StatefulSet controller has observed it. With spec.replicas, that asks for the
// replicas, and the operator takes the StatefulSet there.
func (w *waiting) scaled(set *appsv1.StatefulSet, policy *drainv1alpha1.DrainPolicy) (text string, err error) {
	asked, what := ptr.Deref(set.Spec.Replicas, 1), fmt.Sprintf("StatefulSet %q", set.Name)
	if policy.Spec.Replicas != nil {
		asked, what = *policy.Spec.Replicas, fmt.Sprintf("DrainPolicy %q", policy.Name)
	}
	if w.replicas < 0 {
		w.replicas = asked
	}
	switch {
	case asked == w.replicas:
		w.reached = true
	case w.reached:
		return "", &answer{exitGone, fmt.Sprintf("%s was scaled to %d replicas meanwhile, so there is no scale-down to %d to wait for", what, asked, w.replicas)}
	default:
		return fmt.Sprintf("waiting for %s to be scaled from %d to %d replicas", what, asked, w.replicas), nil
	}
	if set.Status.ObservedGeneration < set.Generation {
		return fmt.Sprintf("waiting for the StatefulSet controller to observe StatefulSet %q", set.Name), nil
	}
	return "", nil
}

// current reports whether a status describes the policy and the StatefulSet as they are now.
func current(set *appsv1.StatefulSet, policy *drainv1alpha1.DrainPolicy, conditions ...*metav1.Condition) bool {
	status := &policy.Status
	if status.ObservedGeneration != policy.Generation || status.StatefulSet == nil {
		return false
	}
	for _, c := range conditions {
		if c == nil || c.ObservedGeneration != policy.Generation {
			return false
		}
	}
	if set == nil {
		// What the status keeps of a StatefulSet that is gone has no range.
		return ptr.Deref(status.StatefulSet.Replicas, 0) == 0 && meta.IsStatusConditionFalse(status.Conditions, drainv1alpha1.ConditionReady)
	}
	return status.StatefulSet.UID == string(set.UID) && ptr.Deref(status.StatefulSet.Generation, 0) >= set.Generation
}
