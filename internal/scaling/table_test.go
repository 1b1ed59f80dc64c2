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

package scaling

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

const (
	leaves  = drainv1alpha1.ActionLeave
	rejoins = drainv1alpha1.ActionRejoin
)

// waiting is a drain that is not over.
func waiting(ordinal int32) plan.Drain {
	return plan.Drain{Ordinal: ordinal, State: drainv1alpha1.DrainWaiting, Reason: drainv1alpha1.ReasonPodStillExists, Message: "Waiting for the pod"}
}

// has gives an ordinal a Job, and does something with it.
func has(ordinal, number int32, action string, then ...func(*world, *batchv1.Job)) func(*world) {
	return func(w *world) {
		pod := w.pod(ordinal)
		l := leave(ordinal, number, action, "gone")
		if pod != nil {
			l.PodUID = pod.UID
		}
		job := w.startJob(l)
		for _, do := range then {
			do(w, job)
		}
	}
}

func runs(w *world, job *batchv1.Job)        { w.run(job) }
func succeeds(w *world, job *batchv1.Job)    { w.end(job, batchv1.JobComplete, true) }
func fails(w *world, job *batchv1.Job)       { w.end(job, batchv1.JobFailed, false) }
func unproven(w *world, job *batchv1.Job)    { w.end(job, batchv1.JobComplete, false) }
func going(_ *world, job *batchv1.Job)       { job.DeletionTimestamp = &metav1.Time{Time: noon} }
func neverStarts(w *world, job *batchv1.Job) { w.pods[job.Name+"-pod"].Status.ContainerStatuses = nil }
func hangs(w *world, job *batchv1.Job) {
	w.pods[job.Name+"-pod"].DeletionTimestamp = &metav1.Time{Time: noon}
}
func loses(w *world, job *batchv1.Job) { delete(w.pods, job.Name+"-pod") }
func noted(w *world, job *batchv1.Job) { w.note(job) }

// anothers makes a Job and its pod those of another policy. Only the pod is seen.
func anothers(w *world, job *batchv1.Job) {
	w.pods[job.Name+"-pod"].Labels[drainv1alpha1.PolicyUIDLabel] = "another"
	delete(w.jobs, job.Name)
	w.forget(number(job.Labels[drainv1alpha1.OrdinalLabel]))
}

func vanishes(w *world, job *batchv1.Job) { w.deleteJob(job) }

// forgotten is a Job of a member of which the policy remembers nothing any more.
func forgotten(w *world, job *batchv1.Job) { w.forget(number(job.Labels[drainv1alpha1.OrdinalLabel])) }

func failedTimes(n string) func(*world, *batchv1.Job) {
	return func(w *world, job *batchv1.Job) {
		job.Annotations[drainv1alpha1.FailuresAnnotation] = n
		w.note(job)
	}
}

// claimOf gives the pod of an ordinal a claim with another label than the StatefulSet's selector has.
func claimOf(ordinal int32, app string) func(*world) {
	return func(w *world) {
		w.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
		w.claims = append(w.claims, corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("data-web-%d", ordinal), Namespace: "shop", Labels: map[string]string{"app": app},
		}})
	}
}

func suspends(w *world) { w.policy.Spec.Suspend = ptr.To(true) }

// wrote makes the operator have given the StatefulSet a number of replicas so many times, and the last time some time ago.
func wrote(replicas int32, times int, ago time.Duration) func(*world) {
	return func(w *world) { w.past.Writes, w.past.Last = map[int32]int{replicas: times}, w.now.Add(-ago) }
}

// waits makes a rule have applied for some time.
func waits(rule string, since time.Duration) func(*world) {
	return func(w *world) { w.past.Rule, w.past.Since = rule, w.now.Add(-since) }
}

// garbled makes what the policy remembers of members unreadable.
func garbled(w *world) {
	metav1.SetMetaDataAnnotation(&w.policy.ObjectMeta, drainv1alpha1.MembersAnnotation, "2")
}

func later(d time.Duration) func(*world) { return func(w *world) { w.now = w.now.Add(d) } }

func unready(ordinal int32) func(*world) { return func(w *world) { w.setReady(ordinal, false) } }

func deadAfter(seconds int32) func(*world) {
	return func(w *world) { w.policy.Spec.Leave.DeadAfterSeconds = &seconds }
}

func replacedPod(ordinal int32) func(*world) { return func(w *world) { w.startPod(ordinal) } }

func removesLeave(w *world) { w.policy.Spec.Leave = nil }

func editsLeave(w *world) { w.policy.Spec.Leave.Template.Spec.Containers[0].Image = "better" }

// mountsClaim edits the template so that it mounts a claim that the member's own pod uses, for which the policy is refused.
func mountsClaim(w *world) {
	w.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	w.policy.Spec.Leave.Template.Spec.Volumes = []corev1.Volume{{Name: "other", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-web-2"},
	}}}
	w.ready = plan.Condition{Status: metav1.ConditionFalse, Reason: drainv1alpha1.ReasonInvalidTemplate, Message: "It mounts a claim"}
}

func drainsPending(ordinal int32) func(*world) {
	return func(w *world) { w.drains = append(w.drains, waiting(ordinal)) }
}

func retained(ordinal int32) func(*world) {
	return func(w *world) {
		w.drains = append(w.drains, plan.Drain{Ordinal: ordinal, State: drainv1alpha1.DrainRetained, Reason: drainv1alpha1.ReasonSkipped})
	}
}

// isBack raises the replicas by one, as the operator does, and starts the pod. What was dropped until then is gone.
func isBack(w *world) {
	if step, drops := w.decide(table, true).Next.(DeleteJob); drops {
		w.deleteJob(step.Job)
	}
	w.scaled(*w.set.Spec.Replicas + 1)
	w.drains = nil
	w.set.Status.ObservedGeneration = w.set.Generation
	w.startPod(*w.set.Spec.Replicas - 1)
}

// cases lead to each rule of the table.
var cases = map[string]struct {
	world *world
	rule  string
	step  string
	// to is what a step gives the StatefulSet.
	to int32
	// stalls says that a person should look.
	stalls bool
	// cached says that the caches decide the same.
	cached bool
}{
	"spec.replicas is unset":                  {world: given(3, 0, func(w *world) { w.policy.Spec.Replicas = nil }), rule: "unset", cached: true},
	"enough replicas":                         {world: given(3, 3), rule: "reached", cached: true},
	"too few replicas are raised at once":     {world: given(2, 5), rule: "raise", step: "Raise", to: 5, cached: true},
	"a suspended policy does not raise":       {world: given(2, 5, suspends), rule: "suspended", cached: true},
	"a suspended policy without replicas":     {world: given(3, 0, suspends, func(w *world) { w.policy.Spec.Replicas = nil }), rule: "unset", cached: true},
	"a suspended policy, and a fight":         {world: given(2, 5, suspends, wrote(5, 3, 0)), rule: "suspended", cached: true},
	"enough replicas, and not accepted":       {world: given(3, 3, func(w *world) { w.ready.Status = metav1.ConditionFalse }), rule: "reached", cached: true},
	"a suspended policy has its replicas":     {world: given(2, 2, suspends), rule: "reached", cached: true},
	"too many replicas are lowered by one":    {world: given(5, 1), rule: "lower", step: "Lower", to: 4, cached: true},
	"a suspended policy does not lower":       {world: given(5, 1, suspends), rule: "suspended", cached: true},
	"a policy that is refused does not lower": {world: given(5, 1, func(w *world) { w.ready.Status = metav1.ConditionFalse }), rule: "await-acceptance", cached: true},
	"a policy that is being deleted":          {world: given(5, 1, func(w *world) { w.policy.DeletionTimestamp = &metav1.Time{Time: noon} }), rule: "no-target", cached: true},
	"another policy counts":                   {world: given(2, 5, func(w *world) { w.rival = "older" }), rule: "no-target", cached: true},
	"no StatefulSet":                          {world: given(2, 5, func(w *world) { w.set = nil }), rule: "no-target", cached: true},
	"an orphan is not drained yet":            {world: given(3, 1, drainsPending(3)), rule: "await-drains", cached: true},
	"an orphan that is drained does not hinder": {
		world: given(3, 1, func(w *world) { w.drains = []plan.Drain{{Ordinal: 3, State: drainv1alpha1.DrainDrained}} }), rule: "lower", step: "Lower", to: 2,
	},
	"an orphan that is retained does not hinder": {
		world: given(3, 1, func(w *world) { w.drains = []plan.Drain{{Ordinal: 3, State: drainv1alpha1.DrainRetained}} }), rule: "lower", step: "Lower", to: 2,
	},
	"an orphan with a lock": {
		world: given(3, 1, func(w *world) {
			w.drains = []plan.Drain{{Ordinal: 3, State: drainv1alpha1.DrainDrained, Lock: &corev1.Pod{}}}
		}), rule: "await-drains", cached: true,
	},
	"the StatefulSet controller is behind": {world: given(3, 1, func(w *world) { w.set.Generation++ }), rule: "await-controller", cached: true},
	"too few would remain":                 {world: given(1, 0, func(w *world) { w.policy.Spec.MinReadyReplicas = ptr.To[int32](1) }), rule: "too-few-remain", stalls: true, cached: true},
	"too few would remain, undrained": {
		world: given(1, 0, func(w *world) {
			w.policy.Spec.MinReadyReplicas, w.policy.Spec.WhenScaled = ptr.To[int32](1), drainv1alpha1.WhenScaledRetain
		}), rule: "lower", step: "Lower",
	},
	"a pod that is out of range":                     {world: given(3, 1, func(w *world) { w.startPod(3) }), rule: "await-past-pod"},
	"a replica that is not ready":                    {world: given(3, 1, unready(1)), rule: "await-ready"},
	"a replica that is never ready":                  {world: given(3, 1, unready(1), later(time.Hour)), rule: "await-ready", stalls: true},
	"a replica that has not been ready for a moment": {world: given(3, 1, unready(1), later(time.Minute)), rule: "await-ready"},
	"a replica that is not there":                    {world: given(3, 1, func(w *world) { delete(w.pods, "web-0") }), rule: "await-ready"},
	"more replicas than anything has pods":           {world: given(3, 1, func(w *world) { w.set.Spec.Replicas = ptr.To[int32](1<<31 - 1) }), rule: "await-ready", cached: true},
	"few ready replicas":                             {world: given(3, 1, func(w *world) { w.set.Status.ReadyReplicas = 1; w.setReady(0, false) }), rule: "await-ready", cached: true},
	"the highest ordinal isn't ready":                {world: given(3, 1, unready(2)), rule: "lower", step: "Lower", to: 2},

	"a member leaves first":           {world: given(3, 1, withLeave), rule: "leave", step: "StartJob", cached: true},
	"its Job is gated":                {world: given(3, 1, withLeave, has(2, 1, leaves)), rule: "note-leave", step: "NoteMember", cached: true},
	"its Job is gated, and is edited": {world: given(3, 1, withLeave, has(2, 1, leaves), editsLeave), rule: "leave", step: "StartJob", cached: true},
	"its pod is dead, and being deleted": {
		world: given(3, 1, withLeave, deadAfter(60), unready(2), later(time.Minute), func(w *world) { w.pod(2).DeletionTimestamp = &metav1.Time{Time: noon} }), rule: "lower-dead", step: "Lower", to: 2,
	},
	"its Job is gated, and noted": {world: given(3, 1, withLeave, has(2, 1, leaves, noted)), rule: "ungate-leave", step: "UngatePod", cached: true},
	"its Job is gated, and the one before is noted": {
		world: given(3, 1, withLeave, has(2, 1, leaves, noted, vanishes), has(2, 2, leaves)), rule: "note-leave", step: "NoteMember", cached: true,
	},
	"its Job was deleted":             {world: given(3, 1, withLeave, has(2, 1, leaves, runs, vanishes)), rule: "leave-backoff", cached: true},
	"its Job was deleted a while ago": {world: given(3, 1, withLeave, has(2, 1, leaves, runs, vanishes), later(30*time.Second)), rule: "leave", step: "StartJob", cached: true},
	"its Job was deleted after it had failed": {
		world: given(3, 1, withLeave, has(2, 3, leaves, fails, failedTimes("1"), vanishes), later(30*time.Second)), rule: "leave-backoff", cached: true,
	},
	"its Job was deleted for the third time":     {world: given(3, 1, withLeave, has(2, 3, leaves, fails, failedTimes("2"), vanishes)), rule: "leave-backoff", stalls: true, cached: true},
	"its Job was deleted, and is edited":         {world: given(3, 1, withLeave, has(2, 1, leaves, runs, vanishes), editsLeave), rule: "leave", step: "StartJob", cached: true},
	"a Job by which it joined again was deleted": {world: given(3, 1, withLeave, has(2, 1, rejoins, runs, vanishes)), rule: "leave", step: "StartJob", cached: true},
	"its Job was deleted too often": {
		world: given(3, 1, withLeave, has(2, 1, leaves, fails, failedTimes("1"), vanishes), func(w *world) { w.policy.Spec.Retry.MaxAttempts = ptr.To[int32](2) }), rule: "leave-exhausted", stalls: true, cached: true,
	},
	"its Job runs":                      {world: given(3, 1, withLeave, has(2, 1, leaves, runs)), rule: "leaving", cached: true},
	"its Job does not start":            {world: given(3, 1, withLeave, has(2, 1, leaves, runs, func(w *world, j *batchv1.Job) { w.pods[j.Name+"-pod"].Status.ContainerStatuses = nil }), later(time.Hour)), rule: "leaving", stalls: true, cached: true},
	"it has left":                       {world: given(3, 1, withLeave, has(2, 1, leaves, succeeds)), rule: "lower-left", step: "Lower", to: 2, cached: true},
	"it has left without a proof":       {world: given(3, 1, withLeave, has(2, 1, leaves, unproven)), rule: "leave-backoff", cached: true},
	"its Job failed":                    {world: given(3, 1, withLeave, has(2, 1, leaves, fails)), rule: "leave-backoff", cached: true},
	"its Job failed a while ago":        {world: given(3, 1, withLeave, has(2, 1, leaves, fails), later(time.Hour)), rule: "leave", step: "StartJob", cached: true},
	"its Job failed for the third time": {world: given(3, 1, withLeave, has(2, 1, leaves, fails, failedTimes("2"))), rule: "leave-backoff", stalls: true, cached: true},
	"its Job failed too often": {
		world: given(3, 1, withLeave, has(2, 1, leaves, fails, failedTimes("1")), func(w *world) { w.policy.Spec.Retry.MaxAttempts = ptr.To[int32](2) }), rule: "leave-exhausted", stalls: true, cached: true,
	},
	"its Job failed, and is edited":      {world: given(3, 1, withLeave, has(2, 1, leaves, fails), editsLeave), rule: "leave", step: "StartJob", cached: true},
	"its Job runs, and is edited":        {world: given(3, 1, withLeave, has(2, 1, leaves, runs), editsLeave), rule: "leave", step: "StartJob", cached: true},
	"it has left, and the Job is edited": {world: given(3, 1, withLeave, has(2, 1, leaves, succeeds), editsLeave), rule: "lower-left", step: "Lower", to: 2, cached: true},
	"it has left, and a container is renamed": {
		world: given(3, 1, withLeave, has(2, 1, leaves, succeeds), func(w *world) { w.policy.Spec.Leave.Template.Spec.Containers[0].Name = "renamed" }), rule: "lower-left", step: "Lower", to: 2, cached: true,
	},
	"it has left, and its pod was replaced": {world: given(3, 1, withLeave, has(2, 1, leaves, succeeds), replacedPod(2)), rule: "leave", step: "StartJob"},
	"it leaves, and its pod was replaced":   {world: given(3, 1, withLeave, has(2, 1, leaves, runs), replacedPod(2)), rule: "leave", step: "StartJob"},
	"its pod is not there":                  {world: given(3, 1, withLeave, func(w *world) { delete(w.pods, "web-2") }), rule: "await-pod"},
	"its pod is being deleted":              {world: given(3, 1, withLeave, func(w *world) { w.pod(2).DeletionTimestamp = &metav1.Time{Time: noon} }), rule: "await-pod"},
	"its pod is not ready":                  {world: given(3, 1, withLeave, unready(2), later(time.Hour)), rule: "leave", step: "StartJob"},
	"its pod is dead":                       {world: given(3, 1, withLeave, deadAfter(60), unready(2), later(time.Minute)), rule: "lower-dead", step: "Lower", to: 2},
	"its pod dies while its Job runs":       {world: given(3, 1, withLeave, deadAfter(60), has(2, 1, leaves, runs), unready(2), later(time.Minute)), rule: "lower-dead", step: "Lower", to: 2},
	"its pod dies after its Job failed":     {world: given(3, 1, withLeave, deadAfter(60), has(2, 1, leaves), unready(2), later(time.Minute), func(w *world) { w.end(w.jobOf(2), batchv1.JobFailed, false) }), rule: "lower-dead", step: "Lower", to: 2},
	"nothing says since when its pod isn't ready": {
		world: given(3, 1, withLeave, deadAfter(60), unready(2), func(w *world) { w.pod(2).Status.Conditions[0].LastTransitionTime = metav1.Time{} }), rule: "leave", step: "StartJob",
	},
	"its pod is not dead yet":              {world: given(3, 1, withLeave, deadAfter(60), unready(2), later(59*time.Second)), rule: "leave", step: "StartJob"},
	"it was back, and is to leave again":   {world: given(3, 1, withLeave, has(2, 1, rejoins, succeeds)), rule: "leave", step: "StartJob", cached: true},
	"it joins again, and is to leave":      {world: given(3, 1, withLeave, has(2, 1, rejoins, runs)), rule: "leave", step: "StartJob", cached: true},
	"a later Job stops the one before":     {world: given(3, 1, withLeave, has(2, 1, rejoins, runs), has(2, 2, leaves)), rule: "stop-replaced", step: "DeleteJob", cached: true},
	"a later Job waits for the one before": {world: given(3, 1, withLeave, has(2, 1, rejoins, runs, going), has(2, 2, leaves)), rule: "await-replaced", cached: true},
	"one waits, and more are asked for":    {world: given(3, 5, withLeave, has(2, 1, leaves, runs, going), has(2, 2, rejoins)), rule: "raise", step: "Raise", to: 5, cached: true},
	"the one before never ends":            {world: given(3, 1, withLeave, has(2, 1, rejoins, runs, going), has(2, 2, leaves), later(time.Hour)), rule: "await-replaced", stalls: true, cached: true},
	"its pod never ends":                   {world: given(3, 1, withLeave, func(w *world) { w.pod(2).DeletionTimestamp = &metav1.Time{Time: noon} }, later(time.Hour)), rule: "await-pod", stalls: true},
	"a pod whose Job is gone never ends": {
		world: given(3, 1, withLeave, has(2, 1, leaves, runs, func(w *world, j *batchv1.Job) {
			delete(w.jobs, j.Name)
			w.pods[j.Name+"-pod"].DeletionTimestamp = &metav1.Time{Time: noon}
		}), later(time.Hour)), rule: "await-loose-pod", stalls: true, cached: true,
	},
	"a pod whose Job is gone":              {world: given(3, 1, withLeave, has(2, 1, leaves, runs, func(w *world, j *batchv1.Job) { delete(w.jobs, j.Name) })), rule: "stop-loose-pod", step: "DeletePod", cached: true},
	"a pod of another policy that is gone": {world: given(3, 1, withLeave, has(1, 1, leaves, runs, anothers)), rule: "stop-loose-pod", step: "DeletePod", cached: true},
	"a pod of another policy that counts":  {world: given(3, 1, withLeave, has(1, 1, leaves, runs, anothers), func(w *world) { w.rival = "older" }), rule: "no-target", cached: true},
	"a pod of another StatefulSet's policy": {
		world: given(3, 1, withLeave, has(1, 1, leaves, runs, anothers, func(w *world, j *batchv1.Job) {
			env := w.pods[j.Name+"-pod"].Spec.Containers[0].Env
			for i := range env {
				if env[i].Name == "DRAIN_STATEFULSET" {
					env[i].Value = "other"
				}
			}
		})), rule: "leave", step: "StartJob", cached: true,
	},
	"a gated pod whose Job is gone is none": {world: given(3, 1, withLeave, has(2, 1, leaves, func(w *world, j *batchv1.Job) { delete(w.jobs, j.Name) })), rule: "leave", step: "StartJob", cached: true},
	"a pod whose Job is gone, and that goes": {
		world: given(3, 1, withLeave, has(2, 1, leaves, runs, func(w *world, j *batchv1.Job) {
			delete(w.jobs, j.Name)
			w.pods[j.Name+"-pod"].DeletionTimestamp = &metav1.Time{Time: noon}
		})), rule: "await-loose-pod", cached: true,
	},

	"undone while it leaves":                          {world: given(3, 3, withLeave, has(2, 1, leaves, runs)), rule: "rejoin", step: "StartJob", cached: true},
	"undone when it has left":                         {world: given(3, 3, withLeave, has(2, 1, leaves, succeeds)), rule: "rejoin", step: "StartJob", cached: true},
	"undone before it began":                          {world: given(3, 3, withLeave, has(2, 1, leaves)), rule: "rejoin", step: "StartJob", cached: true},
	"undone and more: up comes first":                 {world: given(3, 4, withLeave, has(2, 1, leaves, succeeds)), rule: "raise", step: "Raise", to: 4, cached: true},
	"undone, and the template mounts a claim":         {world: given(3, 3, withLeave, has(2, 1, leaves, runs), mountsClaim), rule: "rejoin-refused", stalls: true, cached: true},
	"it joins again, and the template mounts a claim": {world: given(3, 3, withLeave, has(2, 1, rejoins, runs), mountsClaim), rule: "rejoin-refused", stalls: true, cached: true},
	"the Job to join again is gated":                  {world: given(3, 3, withLeave, has(2, 1, rejoins)), rule: "note-rejoin", step: "NoteMember", cached: true},
	"the Job to join again is gated, and noted":       {world: given(3, 3, withLeave, has(2, 1, rejoins, noted)), rule: "ungate-rejoin", step: "UngatePod", cached: true},
	"the Job to join again is gated, and its pod is gone": {
		world: given(3, 3, withLeave, has(2, 1, rejoins, noted), func(w *world) { delete(w.pods, "web-2") }), rule: "await-rejoin-pod",
	},
	"undone, and its pod is gone":          {world: given(3, 3, withLeave, has(2, 1, leaves, runs), func(w *world) { delete(w.pods, "web-2") }), rule: "await-rejoin-pod"},
	"undone, and its pod is being deleted": {world: given(3, 3, withLeave, has(2, 1, leaves, runs), func(w *world) { w.pod(2).DeletionTimestamp = &metav1.Time{Time: noon} }), rule: "await-rejoin-pod"},
	"undone without spec.leave, and its pod is gone": {
		world: given(3, 3, withLeave, has(2, 1, leaves, runs, vanishes), removesLeave, func(w *world) { delete(w.pods, "web-2") }), rule: "cannot-rejoin", stalls: true, cached: true,
	},
	"the Job to join again failed, and its pod is gone": {world: given(3, 3, withLeave, has(2, 1, rejoins, fails), func(w *world) { delete(w.pods, "web-2") }), rule: "await-rejoin-pod"},
	"one joins again, and another one is back":          {world: given(4, 4, withLeave, has(3, 1, rejoins, runs), has(1, 1, rejoins, succeeds)), rule: "rejoining", cached: true},
	"undone, and its Job was deleted":                   {world: given(3, 3, withLeave, has(2, 1, leaves, runs, vanishes)), rule: "rejoin", step: "StartJob", cached: true},
	"undone, and spec.leave was removed":                {world: given(3, 3, withLeave, has(2, 1, leaves, runs, vanishes), removesLeave), rule: "cannot-rejoin", stalls: true, cached: true},
	"spec.leave was removed, and the ordinal goes anyway": {
		world: given(3, 1, withLeave, has(2, 1, leaves, runs, vanishes), removesLeave), rule: "lower", step: "Lower", to: 2, cached: true,
	},
	"the annotation can't be read":                                  {world: given(3, 3, withLeave, garbled), rule: "unread-members", stalls: true, cached: true},
	"the annotation can't be read, and more are asked for":          {world: given(3, 4, withLeave, garbled), rule: "raise", step: "Raise", to: 4, cached: true},
	"the Job to join again was deleted":                             {world: given(3, 3, withLeave, has(2, 1, rejoins, runs, vanishes)), rule: "rejoin-backoff", cached: true},
	"the Job to join again was deleted a while ago":                 {world: given(3, 3, withLeave, has(2, 1, rejoins, runs, vanishes), later(time.Minute)), rule: "rejoin", step: "StartJob", cached: true},
	"the Job to join again was deleted after it had succeeded":      {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds, vanishes)), rule: "rejoin-backoff", cached: true},
	"it is back, and its pod was replaced":                          {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds), replacedPod(2)), rule: "rejoin", step: "StartJob"},
	"it is back, and its pod is gone":                               {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds), func(w *world) { delete(w.pods, "web-2") }), rule: "await-rejoin-pod"},
	"one fails to join again, and a lower one is to":                {world: given(4, 4, withLeave, has(3, 1, rejoins, fails), has(1, 1, leaves, succeeds)), rule: "rejoin", step: "StartJob", cached: true},
	"one does not start, and a lower one is to":                     {world: given(4, 4, withLeave, has(3, 1, rejoins, runs, neverStarts), has(1, 1, leaves, succeeds), later(time.Hour)), rule: "rejoining", stalls: true, cached: true},
	"one leaves that is to stay, and a higher one is to join again": {world: given(4, 4, withLeave, has(3, 1, leaves, succeeds), has(1, 1, leaves, runs)), rule: "rejoin", step: "StartJob", cached: true},
	"one joins again and is to leave, and a lower one is to join again": {
		world: given(4, 3, withLeave, has(3, 1, rejoins, runs), has(1, 1, rejoins)), rule: "await-turn", cached: true,
	},
	"one never ends for which a lower one waits": {
		world: given(4, 3, withLeave, has(3, 1, rejoins, runs, hangs), has(1, 1, rejoins), later(time.Hour)), rule: "await-turn", stalls: true, cached: true,
	},
	"one is to leave, and the pod of one that was scaled away runs": {
		world: given(3, 1, withLeave, has(3, 1, leaves, runs, going), has(2, 1, leaves)), rule: "await-turn-to-leave", cached: true,
	},
	"its pod is on a node that is down": {
		world: given(3, 3, withLeave, has(2, 1, rejoins, runs, hangs), later(time.Hour)), rule: "rejoining", stalls: true, cached: true,
	},
	"its pod was told to end a moment ago": {
		world: given(3, 3, withLeave, has(2, 1, rejoins, runs, hangs), later(time.Minute)), rule: "rejoining", cached: true,
	},
	"it is back without proof, and the note was taken off": {
		world: given(3, 3, withLeave, has(2, 1, rejoins, unproven, forgotten)), rule: "rejoin-backoff", cached: true,
	},
	"one joins again, and a higher one is to": {world: given(4, 4, withLeave, has(3, 1, leaves, succeeds), has(1, 1, rejoins, runs)), rule: "rejoining", cached: true},
	"one waits for its pod, and a lower one is to": {
		world: given(4, 4, withLeave, has(3, 1, leaves, succeeds), has(1, 1, leaves, succeeds), func(w *world) { delete(w.pods, "web-3") }), rule: "rejoin", step: "StartJob",
	},
	"the Job to join again runs":                    {world: given(3, 3, withLeave, has(2, 1, rejoins, runs)), rule: "rejoining", cached: true},
	"it is back":                                    {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds)), rule: "forget-back", step: "ForgetMember", cached: true},
	"it is back, which is noted":                    {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds, forgotten)), rule: "drop-back", step: "DeleteJob", cached: true},
	"it is back, and the pod of its Job is gone":    {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds, forgotten, loses)), rule: "drop-back", step: "DeleteJob", cached: true},
	"it is back, and its Job goes":                  {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds, forgotten, going, loses)), rule: "reached", cached: true},
	"its Job goes before it was seen to be back":    {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds, going, loses)), rule: "rejoin-backoff", cached: true},
	"it is back, and another is to leave":           {world: given(4, 3, withLeave, has(2, 1, rejoins, succeeds)), rule: "forget-back", step: "ForgetMember", cached: true},
	"its pod is gone before it was seen to be back": {world: given(3, 3, withLeave, has(2, 1, rejoins, succeeds, loses)), rule: "rejoin-backoff", cached: true},
	"it joins again, and its Job is deleted":        {world: given(3, 3, withLeave, has(2, 1, rejoins, runs, going)), rule: "rejoin", step: "StartJob", cached: true},
	"the Job to join again failed":                  {world: given(3, 3, withLeave, has(2, 1, rejoins, fails)), rule: "rejoin-backoff", cached: true},
	"it failed for the third time":                  {world: given(3, 3, withLeave, has(2, 1, rejoins, fails, failedTimes("2"))), rule: "rejoin-backoff", stalls: true, cached: true},
	"it failed a while ago":                         {world: given(3, 3, withLeave, has(2, 1, rejoins, fails), later(time.Hour)), rule: "rejoin", step: "StartJob", cached: true},
	"another member leaves than the last":           {world: given(4, 1, withLeave, has(2, 1, leaves, succeeds)), rule: "rejoin", step: "StartJob", cached: true},

	"the ordinal of a Job is out of range":         {world: given(2, 1, withLeave, has(2, 1, leaves, runs)), rule: "stop-past", step: "DeleteJob", cached: true},
	"the drain of such an ordinal is not over":     {world: given(2, 1, withLeave, has(2, 1, leaves, succeeds), drainsPending(2)), rule: "await-drains", cached: true},
	"the claims of such an ordinal stay undrained": {world: given(2, 2, withLeave, has(2, 1, leaves, succeeds), retained(2)), rule: "reached", cached: true},
	"such an ordinal is back, undrained":           {world: given(2, 3, withLeave, has(2, 1, leaves, succeeds), retained(2), isBack), rule: "rejoin", step: "StartJob", cached: true},
	"the drain of such an ordinal is over, and its Job is gone": {
		world: given(2, 1, withLeave, has(2, 1, leaves, succeeds, vanishes)), rule: "forget-past", step: "ForgetMember", cached: true,
	},
	"the drain of such an ordinal is over, and spec.replicas is unset": {
		world: given(2, 1, withLeave, has(2, 1, leaves, succeeds, vanishes), func(w *world) { w.policy.Spec.Replicas = nil }), rule: "forget-past", step: "ForgetMember", cached: true,
	},
	"the drain of such an ordinal is over, and the policy is being deleted": {
		world: given(2, 1, withLeave, has(2, 1, leaves, succeeds), func(w *world) { w.policy.DeletionTimestamp = &metav1.Time{Time: noon} }), rule: "no-target", cached: true,
	},
	"the Job of such an ordinal was deleted, and its drain is not over": {world: given(2, 2, withLeave, has(2, 1, leaves, runs, vanishes), retained(2)), rule: "reached", cached: true},
	"such an ordinal is back, and its Job is gone":                      {world: given(2, 3, withLeave, has(2, 1, leaves, runs, vanishes), retained(2), isBack), rule: "rejoin", step: "StartJob", cached: true},
	"the StatefulSet of a Job that runs is gone":                        {world: given(3, 1, withLeave, has(2, 1, leaves, runs), func(w *world) { w.set = nil }), rule: "stop-past", step: "DeleteJob", cached: true},
	"the drain of such an ordinal is over":                              {world: given(2, 1, withLeave, has(2, 1, leaves, succeeds)), rule: "drop-past", step: "DeleteJob", cached: true},
	"members do not leave any more":                                     {world: given(3, 1, withLeave, has(2, 1, leaves, succeeds), removesLeave), rule: "stop-unasked", step: "DeleteJob", cached: true},
	"the policy is being deleted while one leaves":                      {world: given(3, 1, withLeave, has(2, 1, leaves, runs), func(w *world) { w.policy.DeletionTimestamp = &metav1.Time{Time: noon} }), rule: "stop-unasked", step: "DeleteJob", cached: true},
	"one has begun to leave, and the policy neither scales nor lets leave any more": {
		world: given(3, 3, withLeave, has(2, 1, leaves, runs, vanishes), removesLeave, func(w *world) { w.policy.Spec.Replicas = nil }), rule: "left-behind", stalls: true, cached: true,
	},
	"the drain of such an ordinal is not over, because its claim is another's by its labels": {world: given(2, 2, withLeave, has(2, 1, leaves, runs, vanishes), claimOf(2, "other")), rule: "reached", cached: true},
	"a claim of the next ordinal would not be drained":                                       {world: given(3, 1, claimOf(2, "other")), rule: "stranded", stalls: true, cached: true},
	"a claim of the ordinal after the next would not be drained":                             {world: given(3, 1, claimOf(1, "other")), rule: "lower", step: "Lower", to: 2},
	"a claim of the next ordinal would be kept anyway":                                       {world: given(3, 1, claimOf(2, "other"), func(w *world) { w.policy.Spec.WhenScaled = drainv1alpha1.WhenScaledRetain }), rule: "lower", step: "Lower", to: 2},
	"a Job that runs has lost the label with its ordinal": {
		world: given(3, 3, withLeave, has(2, 1, leaves, runs, func(_ *world, job *batchv1.Job) { delete(job.Labels, drainv1alpha1.OrdinalLabel) })), rule: "stop-loose-pod", step: "DeletePod", cached: true,
	},
	"a suspended policy lets a member go on leaving":        {world: given(3, 1, withLeave, has(2, 1, leaves, runs), suspends), rule: "suspended", cached: true},
	"a suspended policy lets no member begin to join again": {world: given(3, 3, withLeave, has(2, 1, leaves, succeeds), suspends), rule: "suspended", cached: true},
	"a suspended policy lets no member run to join again":   {world: given(3, 3, withLeave, has(2, 1, rejoins), suspends), rule: "suspended", cached: true},
	"a suspended policy lets a member go on joining again":  {world: given(3, 3, withLeave, has(2, 1, rejoins, runs), suspends), rule: "rejoining", cached: true},
	"a suspended policy stops what must not run":            {world: given(2, 1, withLeave, has(2, 1, leaves, runs), suspends), rule: "stop-past", step: "DeleteJob", cached: true},

	"something else lowers again and again":     {world: given(2, 5, wrote(5, 3, 0)), rule: "contested", stalls: true, cached: true},
	"something else raises again and again":     {world: given(5, 1, wrote(4, 3, 0)), rule: "contested", stalls: true, cached: true},
	"it lowers for the third time":              {world: given(2, 5, wrote(5, 2, 0)), rule: "raise", step: "Raise", to: 5, cached: true},
	"it lowers again, and the delay is over":    {world: given(2, 5, wrote(5, 3, 30*time.Second)), rule: "raise", step: "Raise", to: 5, cached: true},
	"it lowers again, and the delay has grown":  {world: given(2, 5, wrote(5, 4, 59*time.Second)), rule: "contested", stalls: true, cached: true},
	"it lowers again, and the delay is longest": {world: given(2, 5, wrote(5, 99, 10*time.Minute)), rule: "raise", step: "Raise", to: 5, cached: true},
	"another number was written often":          {world: given(2, 5, wrote(4, 9, 0)), rule: "raise", step: "Raise", to: 5, cached: true},

	"the pod that is to leave is never created": {world: given(3, 1, withLeave, func(w *world) { delete(w.pods, "web-2") }, waits("await-pod", 15*time.Minute)), rule: "await-pod", stalls: true},
	"it was not created for a while":            {world: given(3, 1, withLeave, func(w *world) { delete(w.pods, "web-2") }, waits("await-pod", 14*time.Minute)), rule: "await-pod"},
	"another rule applied until now":            {world: given(3, 1, withLeave, func(w *world) { delete(w.pods, "web-2") }, waits("leaving", time.Hour)), rule: "await-pod"},
	"a pod that remains is never created":       {world: given(3, 1, func(w *world) { delete(w.pods, "web-0") }, waits("await-ready", 15*time.Minute)), rule: "await-ready", stalls: true},
	"the controller never observes the spec":    {world: given(3, 1, func(w *world) { w.set.Generation++ }, waits("await-controller", time.Hour)), rule: "await-controller", stalls: true, cached: true},
	"a pod to join again is never created": {
		world: given(3, 3, withLeave, has(2, 1, leaves, runs), func(w *world) { delete(w.pods, "web-2") }, waits("await-rejoin-pod", time.Hour)), rule: "await-rejoin-pod", stalls: true,
	},
}

func TestDecide(t *testing.T) {
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := tc.world.decide(table, true)
			if d.Rule != tc.rule || StepName(d.Next) != tc.step || d.Stalled != tc.stalls {
				t.Errorf("rule %s with step %q (stalls: %t), want %s with %q (%t): %s", d.Rule, StepName(d.Next), d.Stalled, tc.rule, tc.step, tc.stalls, d.Scaled.Message)
			}
			if to, scales := Replicas(d.Next); scales && to != tc.to {
				t.Errorf("the StatefulSet gets %d replicas, want %d", to, tc.to)
			}
			if cached := tc.world.decide(table, false); tc.cached && (cached.Rule != tc.rule || StepName(cached.Next) != tc.step) {
				t.Errorf("the caches decide %s with %q", cached.Rule, StepName(cached.Next))
			} else if d.Next != nil && !cached.Look {
				t.Errorf("the caches decide %s, so nothing looks live", cached.Rule)
			}
		})
	}
}

var (
	ruleName = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	upheld   = regexp.MustCompile(`^(S[1-7](, S[1-7])*)?$`)
)

// TestTheTableIsTotal holds that some rule always applies, that each one is reached, and that each says what it must.
func TestTheTableIsTotal(t *testing.T) {
	reached := map[string]bool{}
	for _, tc := range cases {
		reached[tc.rule] = true
	}
	for i := range table {
		r := &table[i]
		if !ruleName.MatchString(r.id) || !upheld.MatchString(r.upholds) || r.given == "" || r.when == nil {
			t.Errorf("rule %q lacks something, or upholds what doc.go does not name", r.id)
		}
		if slices.Contains(plan.Rules().Names(), r.id) {
			t.Errorf("rule %s has the name of one of the protocol's", r.id)
		}
		if r.then != nil && r.again != nil {
			t.Errorf("rule %s takes a step, and looks again later", r.id)
		}
		if (r.say != nil) == (r.tell != nil) && r.id != "unset" {
			t.Errorf("rule %s must have either say or tell", r.id)
		}
		if !reached[r.id] {
			t.Errorf("no case leads to rule %s", r.id)
		}
	}
	last := given(3, 1, withLeave, has(2, 1, leaves, succeeds))
	if d := last.decide(table, true); d.Rule != table[len(table)-1].id {
		t.Errorf("the last rule is %s, and what no other applies to gets %s", table[len(table)-1].id, d.Rule)
	}
}

// free are neighbors whose order does not matter, with the reason.
var free = map[[2]string]string{
	{"stop-replaced", "stop-loose-pod"}:    bothStop,
	{"stop-loose-pod", "stop-unasked"}:     bothStop,
	{"stop-unasked", "stop-past"}:          bothStop,
	{"drop-past", "forget-past"}:           "either is removed first, and each is of another ordinal",
	{"await-replaced", "await-loose-pod"}:  bothWait,
	{"await-loose-pod", "unread-members"}:  bothWait,
	{"unread-members", "cannot-rejoin"}:    "without notes that can be read, no member is known to be out",
	{"rejoin-backoff", "rejoin-refused"}:   bothWait,
	{"rejoin", "await-turn"}:               underWay,
	{"leave", "await-turn-to-leave"}:       underWay,
	{"await-acceptance", "await-drains"}:   bothWait,
	{"await-drains", "await-controller"}:   bothWait,
	{"await-controller", "too-few-remain"}: bothWait,
	{"too-few-remain", "stranded"}:         bothWait,
	{"stranded", "await-past-pod"}:         bothWait,
	{"forget-past", "left-behind"}:         "each is of another ordinal",
	{"await-past-pod", "await-ready"}:      bothWait,
	{"lower", "lower-dead"}:                "one is without spec.leave, and the other one with it",
	{"await-pod", "leave-exhausted"}:       bothWait,
}

const (
	bothStop = "each stops what must not run, and the other one follows"
	bothWait = "both only wait; the order decides what is said"
	underWay = "a gated Job is under way, so no other is to be created"
)

// TestNeighborsMatter holds that no two neighbors can change places: some case is decided otherwise.
func TestNeighborsMatter(t *testing.T) {
	for i := range len(table) - 1 {
		swapped := slices.Clone(table)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		changes := false
		for _, tc := range cases {
			changes = changes || tc.world.decide(swapped, true).Rule != tc.rule
		}
		if pair := [2]string{table[i].id, table[i+1].id}; changes == (free[pair] != "") {
			t.Errorf("rules %s and %s: swapping them changes a decision: %t, and the reason why it need not is %q", pair[0], pair[1], changes, free[pair])
		}
	}
}

// TestTheOrderMatters holds that each rule changes a decision where it is: without it, some case is decided otherwise.
func TestTheOrderMatters(t *testing.T) {
	for i := range table {
		without := table.Without(table[i].id)
		changes := false
		for _, tc := range cases {
			if tc.rule == table[i].id && i < len(table)-1 {
				changes = changes || tc.world.decide(without, true).Rule != tc.rule
			}
		}
		if !changes && i < len(table)-1 {
			t.Errorf("rule %s can go", table[i].id)
		}
	}
}

// TestTheMemberWhoseJobRunsHasItsTurn holds that one that leaves and is to stay is stopped before another one joins again.
func TestTheMemberWhoseJobRunsHasItsTurn(t *testing.T) {
	d := given(4, 4, withLeave, has(3, 1, leaves, succeeds), has(1, 1, leaves, runs)).decide(table, true)
	if start, ok := d.Next.(StartJob); !ok || start.Leave.Ordinal != 1 || start.Leave.Action != drainv1alpha1.ActionRejoin {
		t.Errorf("rule %s takes the step %+v, want member 1 to join again", d.Rule, d.Next)
	}
}

func TestRefusedSaysWhatIsMissing(t *testing.T) {
	refused := errors.New("no")
	for _, tc := range []struct {
		name      string
		step      Step
		forbidden bool
		reason    string
	}{
		{"the right to scale is missing", Lower{}, true, drainv1alpha1.ReasonScaleForbidden},
		{"an admission policy refuses to scale", Lower{}, false, drainv1alpha1.ReasonWriteRefused},
		{"a quota refuses the Job", StartJob{}, false, drainv1alpha1.ReasonWriteRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := Decision{Next: tc.step}
			d.Refused(tc.forbidden, refused)
			if d.Scaled.Reason != tc.reason || d.Scaled.Status != metav1.ConditionFalse || !d.Stalled || d.RetryAfter == 0 {
				t.Errorf("decision %+v, want reason %s, stalled, and another try", d, tc.reason)
			}
		})
	}
}

func TestTheTemplateOfALeavingMemberHasNoClaims(t *testing.T) {
	w := given(3, 1, withLeave)
	w.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	job := w.startJob(leave(2, 1, leaves, "pod"))
	if volumes := job.Spec.Template.Spec.Volumes; len(volumes) > 0 {
		t.Errorf("the pod has the volumes %v", volumes)
	}
	var action string
	for _, variable := range job.Spec.Template.Spec.Containers[0].Env {
		if variable.Name == "DRAIN_ACTION" {
			action = variable.Value
		}
	}
	if action != leaves || !strings.HasPrefix(job.Name, "web-2-leave-") {
		t.Errorf("the Job %s has DRAIN_ACTION %q", job.Name, action)
	}
}
