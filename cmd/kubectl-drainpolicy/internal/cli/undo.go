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
	"context"
	"fmt"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

func undoCommand(s *session) *cobra.Command {
	now := false
	command := changeCommand(s, &cobra.Command{
		Use: "undo NAME ORDINAL", Short: "Scale the StatefulSet up, so that an orphaned ordinal is back", Args: cobra.ExactArgs(2),
		Long: `Says what can be had back of an ordinal now, and scales the StatefulSet up to it; with spec.replicas, it scales the policy, or the operator would
scale the StatefulSet down again. Before the drain of the ordinal starts, that is everything. A running drain finishes
first, and the pod starts on what it leaves; with --now, spec.whenScaledUp becomes Cancel, and the pod starts on partly drained claims. When the
claims are deleted or being deleted, nothing can be had back, and undo changes nothing.`,
	}, func(ctx context.Context, c *change, args []string) error {
		policy, number, err := c.target(ctx, args)
		if err != nil {
			return err
		}
		return c.undo(ctx, policy, number, now)
	})
	command.Flags().BoolVar(&now, "now", false, "Stop a running drain instead of waiting for its end")
	return command
}

// undoing is what an undo does, and what it gives back.
type undoing struct {
	replicas int32
	// cancel reports whether spec.whenScaledUp must become Cancel first.
	cancel bool
	back   string
}

func (c *change) undo(ctx context.Context, policy *drainv1alpha1.DrainPolicy, ordinal int32, now bool) error {
	set, err := c.statefulSet(ctx, policy)
	if err != nil {
		return err
	}
	u, err := undo(policy, set, ordinal, now)
	if err != nil {
		return err
	}
	if u.cancel {
		if err := c.letCancel(ctx, policy, ordinal); err != nil {
			return err
		}
	}
	if u.replicas > 0 {
		if err := c.scale(ctx, scaledBy(policy, set), u.replicas); err != nil {
			return err
		}
		if others := u.replicas - ptr.Deref(set.Spec.Replicas, 1) - 1; others > 0 {
			fmt.Fprintf(c.ErrOut, "note: %d lower ordinals are back as well\n", others)
		}
	}
	fmt.Fprintf(c.Out, "ordinal %d: %s\n", ordinal, u.back)
	c.warnOfAutoscaler(ctx, policy, set)
	return nil
}

// scalable is what people scale: a StatefulSet, or its policy where that has spec.replicas, or the operator would scale down again.
type scalable struct {
	client.Object
	// kind as people type it, and the replicas that it asks for.
	kind     string
	replicas int32
}

func scaledBy(policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet) scalable {
	if policy.Spec.Replicas != nil {
		return scalable{policy, "drainpolicy", *policy.Spec.Replicas}
	}
	return scalable{set, "statefulset", ptr.Deref(set.Spec.Replicas, 1)}
}

// undo decides what can be had back of an ordinal.
func undo(policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, ordinal int32, now bool) (undoing, error) {
	if set == nil {
		return undoing{}, no("StatefulSet %q does not exist: create it again with the same volumeClaimTemplates, and its pods mount the claims that are left", policy.Spec.StatefulSetRef.Name)
	}
	target, d := statefulset.Of(set), drainOf(policy, ordinal)
	switch {
	case target.Deleting:
		return undoing{}, no("StatefulSet %q is being deleted", set.Name)
	case ordinal < target.Start:
		return undoing{}, no("ordinal %d is below the first ordinal of StatefulSet %q, %d: lower spec.ordinals.start to have it back", ordinal, set.Name, target.Start)
	case target.InRange(ordinal) && d != nil && running(d) && now:
		return undoing{cancel: true, back: "the operator stops the drain, and the pod starts on the partly drained claims"}, nil
	case target.InRange(ordinal) && d != nil && running(d):
		return undoing{}, no("ordinal %d is back in range already; its pod waits for the running drain: --now stops that", ordinal)
	case target.InRange(ordinal):
		return undoing{}, no("ordinal %d is in the range of StatefulSet %q, so there is nothing to undo", ordinal, set.Name)
	}
	if _, err := needDrain(policy, ordinal); err != nil {
		return undoing{}, err
	}
	up, by := undoing{replicas: ordinal - target.Start + 1}, scaledBy(policy, set)
	if lost(policy, d) {
		return undoing{}, no("the claims of ordinal %d are drained and deleted, or about to be (%s); that can't be undone. The data is where the drain moved it. "+
			"An empty replica can be had: kubectl -n %s scale %s/%s --replicas=%d", ordinal, d.Reason, policy.Namespace, by.kind, by.GetName(), up.replicas)
	}
	if by.replicas >= up.replicas {
		// Only a policy can ask for more than the StatefulSet has.
		return undoing{}, no("the policy asks for %d replicas already, so the operator brings ordinal %d back; condition Scaled says what that waits for", by.replicas, ordinal)
	}
	up.cancel, up.back = whatIsLeft(policy, d, now)
	return up, nil
}

// running reports whether a drain is under way that has not succeeded.
func running(d *drainv1alpha1.DrainStatus) bool {
	return d.State == drainv1alpha1.DrainDraining && !settled(d)
}

// lost reports whether the claims of a drain are deleted or about to be.
func lost(policy *drainv1alpha1.DrainPolicy, d *drainv1alpha1.DrainStatus) bool {
	switch d.Reason {
	case drainv1alpha1.ReasonClaimsDeleted, drainv1alpha1.ReasonDeletingClaims:
		return true
	case drainv1alpha1.ReasonReleasingLock:
		return d.CompletionTime != nil && policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete
	}
	return false
}

// whatIsLeft says on what the pod of an orphaned ordinal would start, and whether spec.whenScaledUp must become Cancel for that.
func whatIsLeft(policy *drainv1alpha1.DrainPolicy, d *drainv1alpha1.DrainStatus, now bool) (cancel bool, back string) {
	cancels := policy.Spec.WhenScaledUp == drainv1alpha1.WhenScaledUpCancel
	switch {
	case d.State == drainv1alpha1.DrainDrained, settled(d) && d.CompletionTime != nil:
		return false, "its pod starts on the drained claims, with what the drain left there; the data is where the drain moved it"
	case running(d) && d.Attempts <= 1 && notStarted(d.Reason):
		return false, "the drain has not started, so the operator stops it, and the pod starts with all its data"
	case running(d) && (now || cancels):
		return !cancels, "the operator stops the drain, and the pod starts on the partly drained claims"
	case running(d):
		return false, "the running drain finishes first, then the pod starts on what the drain leaves; --now stops the drain instead"
	case d.Attempts > 0:
		return false, "no drain runs; its pod starts on claims that failed attempts may have drained in part"
	}
	return false, "no drain has run; its pod starts with all its data"
}

// notStarted reports whether the reason of a drain that is under way says that no container of it has started.
func notStarted(reason string) bool {
	switch reason {
	case drainv1alpha1.ReasonLocked, drainv1alpha1.ReasonPodNotStarted, drainv1alpha1.ReasonQueued, drainv1alpha1.ReasonPodUnschedulable,
		drainv1alpha1.ReasonImagePullFailed, drainv1alpha1.ReasonContainerConfigError:
		return true
	}
	return false
}

// scale writes a scale subresource, which is the right of people who scale. It fails if the replicas were changed since; the status of a
// policy changes all the time.
func (c *change) scale(ctx context.Context, of scalable, replicas int32) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		scale := &autoscalingv1.Scale{}
		if err := c.client.SubResource("scale").Get(ctx, of.Object, scale); err != nil {
			return err
		}
		if scale.Spec.Replicas != of.replicas {
			return fmt.Errorf("%s/%s was scaled to %d meanwhile: try again", of.kind, of.GetName(), scale.Spec.Replicas)
		}
		scale.Spec.Replicas = replicas
		options := &client.SubResourceUpdateOptions{SubResourceBody: scale}
		if c.dryRun {
			options.DryRun = []string{metav1.DryRunAll}
		}
		return c.client.SubResource("scale").Update(ctx, of.Object, options)
	})
	if err == nil {
		c.done("%s/%s scaled from %d to %d", of.kind, of.GetName(), of.replicas, replicas)
	}
	return err
}

// warnOfAutoscaler says that a HorizontalPodAutoscaler may scale down again. It is a courtesy: without the right to read them, it says nothing.
func (s *session) warnOfAutoscaler(ctx context.Context, policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet) {
	if name := s.autoscaler(ctx, policy, set); name != "" {
		fmt.Fprintf(s.ErrOut, "note: HorizontalPodAutoscaler %q also scales StatefulSet %q, and can scale it down again: raise its minReplicas\n", name, set.Name)
	}
}

// autoscaler returns the name of the HorizontalPodAutoscaler that scales a StatefulSet, by itself or through its policy, or "".
func (s *session) autoscaler(ctx context.Context, policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet) string {
	var list autoscalingv2.HorizontalPodAutoscalerList
	if s.client.List(ctx, &list, client.InNamespace(set.Namespace)) != nil {
		return ""
	}
	for i := range list.Items {
		of := list.Items[i].Spec.ScaleTargetRef
		if of.Kind == "StatefulSet" && of.Name == set.Name || of.Kind == "DrainPolicy" && of.Name == policy.Name {
			return list.Items[i].Name
		}
	}
	return ""
}
