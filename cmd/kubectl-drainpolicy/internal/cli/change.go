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
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/annotation"
)

// retriedAnnotation on a policy's template changes its hash, as `kubectl rollout restart` does with a Deployment's. A template that was
// edited starts an attempt at once.
const retriedAnnotation = "kubectl.kubernetes.io/restartedAt"

// change is a command that writes. It uses only what the API documents for people: fields of the policy, the annotation that skips an ordinal,
// the StatefulSet's scale, and the deletion of a Job. Locks and marks are the operator's.
type change struct {
	*session
	dryRun bool
}

// changeCommand returns a command with --dry-run.
func changeCommand(s *session, command *cobra.Command, act func(ctx context.Context, c *change, args []string) error) *cobra.Command {
	c := &change{session: s}
	command.ValidArgsFunction = s.completePolicies
	command.RunE = s.run(func(ctx context.Context, args []string) error { return act(ctx, c, args) })
	command.Flags().BoolVar(&c.dryRun, "dry-run", false, "Ask the API server whether it would accept the change, without making it")
	return command
}

// done says what was done.
func (c *change) done(format string, args ...any) {
	suffix := ""
	if c.dryRun {
		suffix = " (dry run)"
	}
	fmt.Fprintf(c.Out, format+suffix+"\n", args...)
}

// patch writes what edit changes of an object, and only of that very object. It doesn't mind what else was changed since it was read: the
// operator writes the status all the time.
func (c *change) patch(ctx context.Context, object client.Object, edit func()) error {
	before := object.DeepCopyObject().(client.Object)
	edit()
	data, err := client.MergeFrom(before).Data(object)
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	if err := unstructured.SetNestedField(fields, string(before.GetUID()), "metadata", "uid"); err != nil {
		return err
	}
	if data, err = json.Marshal(fields); err != nil {
		return err
	}
	var options []client.PatchOption
	if c.dryRun {
		options = append(options, client.DryRunAll)
	}
	return c.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, data), options...)
}

// editable returns an answer why a policy's spec can't be changed, or nil.
func editable(policy *drainv1alpha1.DrainPolicy) error {
	if annotation.IsManaged(policy) {
		return no("DrainPolicy %q is managed: the operator created it for an annotation of StatefulSet %q, and reverts edits. "+
			"Edit the annotation, or create a policy of your own for the StatefulSet", policy.Name, policy.Spec.StatefulSetRef.Name)
	}
	if policy.DeletionTimestamp != nil {
		return no("DrainPolicy %q is being deleted: the operator stops its drains and releases its locks", policy.Name)
	}
	return nil
}

func suspendCommand(s *session, suspend bool) *cobra.Command {
	command := &cobra.Command{
		Use: "resume NAME", Short: "Let drains start again", Args: cobra.ExactArgs(1),
	}
	if suspend {
		command.Use, command.Short = "suspend NAME", "Start no new drains and no further attempts"
		command.Long = `Sets spec.suspend, so no new drain and no further attempt starts. Running drains continue: "cancel" stops them.`
	}
	return changeCommand(s, command, func(ctx context.Context, c *change, args []string) error {
		policy, err := c.policy(ctx, args[0])
		if err != nil {
			return err
		}
		done := map[bool]string{true: "suspended", false: "resumed"}[suspend]
		if ptr.Deref(policy.Spec.Suspend, false) == suspend {
			fmt.Fprintf(c.Out, "drainpolicy/%s is already %s\n", policy.Name, done)
			return nil
		}
		if err := editable(policy); err != nil {
			return err
		}
		if err := c.patch(ctx, policy, func() { policy.Spec.Suspend = &suspend }); err != nil {
			return err
		}
		c.done("drainpolicy/%s %s", policy.Name, done)
		if running := ptr.Deref(policy.Status.Draining, 0); suspend && running > 0 {
			fmt.Fprintf(c.ErrOut, "note: %d drains are under way. A running attempt continues; \"kubectl drainpolicy cancel %s\" stops it\n", running, policy.Name)
		}
		return nil
	})
}

func skipCommand(s *session, skip bool) *cobra.Command {
	command := &cobra.Command{
		Use: "unskip NAME ORDINAL", Short: "Let an ordinal be drained that was skipped", Args: cobra.ExactArgs(2),
	}
	if skip {
		command.Use, command.Short = "skip NAME ORDINAL", "Keep the claims of an ordinal undrained"
		command.Long = `Annotates the claims of the ordinal with ` + drainv1alpha1.SkipAnnotation + `=true, so no further attempt starts. A running attempt continues: "cancel" stops it.`
	}
	return changeCommand(s, command, func(ctx context.Context, c *change, args []string) error {
		policy, number, err := c.target(ctx, args)
		if err != nil {
			return err
		}
		if err := c.mark(ctx, policy, number, skip); err != nil {
			return err
		}
		if d := drainOf(policy, number); skip && d != nil && d.State == drainv1alpha1.DrainDraining {
			fmt.Fprintf(c.ErrOut, "note: an attempt is under way (%s) and continues; \"kubectl drainpolicy cancel %s %d\" stops it\n", d.Reason, policy.Name, number)
		}
		return nil
	})
}

// target reads the policy and the ordinal of the arguments.
func (s *session) target(ctx context.Context, args []string) (*drainv1alpha1.DrainPolicy, int32, error) {
	policy, err := s.policy(ctx, args[0])
	if err != nil {
		return nil, 0, err
	}
	number, err := ordinal(args[1])
	return policy, number, err
}

// claimsOf reads the claims of an ordinal that the status lists. One with another UID is another claim.
func (s *session) claimsOf(ctx context.Context, policy *drainv1alpha1.DrainPolicy, ordinal int32) ([]corev1.PersistentVolumeClaim, error) {
	d, err := needDrain(policy, ordinal)
	if err != nil {
		return nil, err
	}
	var found []corev1.PersistentVolumeClaim
	for i := range d.Claims {
		claim := corev1.PersistentVolumeClaim{}
		err := s.client.Get(ctx, client.ObjectKey{Namespace: policy.Namespace, Name: d.Claims[i].Name}, &claim)
		switch {
		case client.IgnoreNotFound(err) != nil:
			return nil, err
		case err == nil && string(claim.UID) == d.Claims[i].UID:
			found = append(found, claim)
		}
	}
	return found, nil
}

// mark adds the annotation that skips an ordinal to its claims, or removes it.
func (c *change) mark(ctx context.Context, policy *drainv1alpha1.DrainPolicy, ordinal int32, skip bool) error {
	found, err := c.claimsOf(ctx, policy, ordinal)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return no("the claims of ordinal %d are gone", ordinal)
	}
	changed := 0
	for i := range found {
		claim := &found[i]
		value, has := claim.Annotations[drainv1alpha1.SkipAnnotation]
		if skip == (value == "true") && (skip || !has) {
			continue
		}
		if err := c.patch(ctx, claim, func() {
			if skip {
				metav1.SetMetaDataAnnotation(&claim.ObjectMeta, drainv1alpha1.SkipAnnotation, "true")
			} else {
				delete(claim.Annotations, drainv1alpha1.SkipAnnotation)
			}
		}); err != nil {
			return err
		}
		changed++
		c.done("persistentvolumeclaim/%s %s", claim.Name, map[bool]string{true: "skipped", false: "no longer skipped"}[skip])
	}
	if changed == 0 {
		fmt.Fprintf(c.Out, "ordinal %d is already %s\n", ordinal, map[bool]string{true: "skipped", false: "not skipped"}[skip])
	}
	return nil
}

func retryCommand(s *session) *cobra.Command {
	return changeCommand(s, &cobra.Command{
		Use: "retry NAME ORDINAL", Short: "Start the next attempt of a failed drain now", Args: cobra.ExactArgs(2),
		Long: `Starts the next attempt without its delay, also after spec.retry.maxAttempts attempts. It sets the annotation ` + retriedAnnotation + ` on
spec.template, because an edited template is what the API has for this. So the attempts of all failed ordinals of the policy start, and Jobs whose pod
has not started are replaced.`,
	}, func(ctx context.Context, c *change, args []string) error {
		policy, number, err := c.target(ctx, args)
		if err != nil {
			return err
		}
		if err := retriable(policy, number); err != nil {
			return err
		}
		if err := c.patch(ctx, policy, func() {
			metav1.SetMetaDataAnnotation(&policy.Spec.Template.ObjectMeta, retriedAnnotation, c.clock.Now().UTC().Format(time.RFC3339))
		}); err != nil {
			return err
		}
		c.done("drainpolicy/%s: the next attempt of ordinal %d starts now", policy.Name, number)
		if failed := ptr.Deref(policy.Status.Failed, 0); failed > 1 {
			fmt.Fprintf(c.ErrOut, "note: so do those of %d other failed ordinals, as spec.maxConcurrentDrains allows\n", failed-1)
		}
		return nil
	})
}

// retriable returns an answer why an attempt can't be started now, or nil.
func retriable(policy *drainv1alpha1.DrainPolicy, ordinal int32) error {
	d, err := needDrain(policy, ordinal)
	if err != nil {
		return err
	}
	if err := editable(policy); err != nil {
		return err
	}
	ready := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady)
	switch {
	case d.State != drainv1alpha1.DrainFailed:
		return no("ordinal %d is %s (%s), so no attempt has failed that could be retried: %s", ordinal, d.State, d.Reason, d.Message)
	case ptr.Deref(policy.Spec.Suspend, false):
		return no("DrainPolicy %q is suspended: \"kubectl drainpolicy resume %s\" lets attempts start", policy.Name, policy.Name)
	case policy.Spec.TemplateFrom.StatefulSetAnnotation != "":
		return no("the template of DrainPolicy %q is the annotation %s of StatefulSet %q: edit that to start an attempt",
			policy.Name, policy.Spec.TemplateFrom.StatefulSetAnnotation, policy.Spec.StatefulSetRef.Name)
	case ready != nil && ready.Status != metav1.ConditionTrue:
		return no("DrainPolicy %q is not accepted, so no attempt starts: %s: %s", policy.Name, ready.Reason, ready.Message)
	case d.Reason == drainv1alpha1.ReasonClaimInUse:
		return no("ordinal %d waits for another pod, not for time: %s", ordinal, d.Message)
	}
	return nil
}

func cancelCommand(s *session) *cobra.Command {
	return changeCommand(s, &cobra.Command{
		Use: "cancel NAME [ORDINAL]", Short: "Stop a running drain, and keep its claims", Args: cobra.RangeArgs(1, 2),
		Long: `Stops the running attempt of an ordinal, or of all ordinals. It skips the ordinal, so that no other attempt follows, and deletes the Job; the operator
releases the lock when the drain pod has terminated. The claims stay, partly drained. "unskip" lets the drain start again, which continues where it was
if the drain can run again on partly drained data, as it must.

When the ordinal is back in range, it sets spec.whenScaledUp to Cancel instead, and the operator stops the drain.`,
	}, func(ctx context.Context, c *change, args []string) error {
		policy, err := c.policy(ctx, args[0])
		if err != nil {
			return err
		}
		if len(args) == 2 {
			number, err := ordinal(args[1])
			if err != nil {
				return err
			}
			return c.cancel(ctx, policy, number)
		}
		stopped := 0
		for i := range policy.Status.Drains {
			if d := &policy.Status.Drains[i]; stoppable(d) == nil {
				if err := c.cancel(ctx, policy, *d.Ordinal); err != nil {
					return err
				}
				stopped++
			}
		}
		if stopped == 0 {
			return no("DrainPolicy %q has no running drain", policy.Name)
		}
		return nil
	})
}

// stoppable returns an answer why a drain can't be stopped, or nil.
func stoppable(d *drainv1alpha1.DrainStatus) error {
	switch {
	case d.State != drainv1alpha1.DrainDraining:
		return no("ordinal %d is %s (%s), so no drain runs that could be stopped; \"skip\" keeps its claims undrained: %s", *d.Ordinal, d.State, d.Reason, d.Message)
	case d.Reason == drainv1alpha1.ReasonStoppingJob:
		return no("the drain of ordinal %d is being stopped already: %s", *d.Ordinal, d.Message)
	case settled(d):
		return no("the drain of ordinal %d has succeeded (%s), so there is nothing to stop: %s", *d.Ordinal, d.Reason, d.Message)
	}
	return nil
}

// settled reports whether a drain that holds its lock has succeeded.
func settled(d *drainv1alpha1.DrainStatus) bool {
	switch d.Reason {
	case drainv1alpha1.ReasonMarkingClaims, drainv1alpha1.ReasonDeletingClaims, drainv1alpha1.ReasonReleasingLock:
		return true
	}
	return false
}

func (c *change) cancel(ctx context.Context, policy *drainv1alpha1.DrainPolicy, ordinal int32) error {
	d, err := needDrain(policy, ordinal)
	if err != nil {
		return err
	}
	if err := stoppable(d); err != nil {
		return err
	}
	if d.Reason == drainv1alpha1.ReasonBackInRange {
		return c.letCancel(ctx, policy, ordinal)
	}
	if err := c.mark(ctx, policy, ordinal, true); err != nil {
		return err
	}
	return c.deleteJob(ctx, policy, d)
}

// letCancel has the operator stop the drains of ordinals that are back in range.
func (c *change) letCancel(ctx context.Context, policy *drainv1alpha1.DrainPolicy, ordinal int32) error {
	if policy.Spec.WhenScaledUp == drainv1alpha1.WhenScaledUpCancel {
		return no("spec.whenScaledUp is Cancel already: the operator stops the drain of ordinal %d", ordinal)
	}
	if err := editable(policy); err != nil {
		return err
	}
	if err := c.patch(ctx, policy, func() { policy.Spec.WhenScaledUp = drainv1alpha1.WhenScaledUpCancel }); err != nil {
		return err
	}
	c.done("drainpolicy/%s: spec.whenScaledUp is Cancel, so the operator stops the drain of ordinal %d, and its pod starts on the partly drained claims", policy.Name, ordinal)
	return nil
}

// deleteJob deletes the Job of a running attempt, and only that one, with its pods. In the foreground, so that the Job lasts as long as they do.
func (c *change) deleteJob(ctx context.Context, policy *drainv1alpha1.DrainPolicy, d *drainv1alpha1.DrainStatus) error {
	if d.JobName == "" {
		return nil
	}
	job := &batchv1.Job{}
	err := c.client.Get(ctx, client.ObjectKey{Namespace: policy.Namespace, Name: d.JobName}, job)
	if err != nil || !metav1.IsControlledBy(job, policy) {
		return client.IgnoreNotFound(err)
	}
	if slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Status == corev1.ConditionTrue }) {
		// How it ended is evidence, which the operator may not have read yet.
		return no("job/%s has ended or is ending, so there is nothing to stop", job.Name)
	}
	options := []client.DeleteOption{
		client.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion}, client.PropagationPolicy(metav1.DeletePropagationForeground),
	}
	if c.dryRun {
		options = append(options, client.DryRunAll)
	}
	if err := c.client.Delete(ctx, job, options...); err != nil {
		return client.IgnoreNotFound(err)
	}
	c.done("job/%s deleted; the operator releases the lock when its pod has terminated", job.Name)
	return nil
}
