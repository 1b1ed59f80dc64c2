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

package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
)

// maxMessage and maxLogMissing are the schema's maxLength of these fields.
const (
	maxMessage    = 1024
	maxLogMissing = 512
)

// uidLength is how many characters of the Job's UID are in the name of a record: a Job that was deleted may be created again by its name.
const uidLength = 5

func recordName(job string, uid types.UID) string {
	return job + "-" + string(uid[:min(len(uid), uidLength)])
}

// ending is how a container ended.
type ending struct {
	pod       *corev1.Pod
	container drainv1alpha1.ContainerRecord
	// id is the container runtime's.
	id string
	// previous says that a container of the same name has been started or is about to be.
	previous bool
	// init says that it is an init container.
	init bool
}

// endings returns how each container of a Job's pods ended last, those that failed first. At most MaxRecordedContainers are returned.
func endings(pods []corev1.Pod, receipt string) []ending {
	latest := map[string]ending{}
	for i := range pods {
		pod := &pods[i]
		for _, kind := range []struct {
			init     bool
			statuses []corev1.ContainerStatus
		}{{true, pod.Status.InitContainerStatuses}, {false, pod.Status.ContainerStatuses}} {
			for j := range kind.statuses {
				found, ok := endingOf(pod, &kind.statuses[j], receipt)
				if before, known := latest[found.container.Name]; ok && (!known || before.container.FinishedTime.Before(found.container.FinishedTime)) {
					found.init = kind.init
					latest[found.container.Name] = found
				}
			}
		}
	}
	var all []ending
	for _, found := range latest {
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b ending) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.container.Name, b.container.Name))
	})
	return all[:min(len(all), drainv1alpha1.MaxRecordedContainers)]
}

// rank orders endings by how much they say about the attempt.
func rank(e ending) int {
	switch {
	case *e.container.ExitCode != 0:
		return 0
	case !e.init:
		return 1
	}
	return 2
}

// endingOf returns how a container ended last, if it ever did.
func endingOf(pod *corev1.Pod, status *corev1.ContainerStatus, receipt string) (ending, bool) {
	state, previous, restarts := status.State.Terminated, false, status.RestartCount
	if state == nil {
		state, previous, restarts = status.LastTerminationState.Terminated, true, status.RestartCount-1
	}
	if state == nil {
		return ending{}, false
	}
	message := proof.WithoutReceipt(state.Message, receipt)
	return ending{
		pod: pod, id: state.ContainerID, previous: previous,
		container: drainv1alpha1.ContainerRecord{
			Name: status.Name, PodName: pod.Name, NodeName: pod.Spec.NodeName, RestartCount: ptr.To(max(0, restarts)),
			ExitCode: &state.ExitCode, Reason: truncate(state.Reason, 256), Message: truncate(message, drainv1alpha1.MaxRecordedMessage),
			FinishedTime: state.FinishedAt.DeepCopy(),
		},
	}, true
}

// same reports whether two entries are about one container.
func same(a, b *drainv1alpha1.ContainerRecord) bool {
	return a.Name == b.Name && a.PodName == b.PodName && *a.RestartCount == *b.RestartCount && a.FinishedTime.Equal(b.FinishedTime)
}

// logSize is how much of the log of one container a record takes, if it has several.
func logSize(containers int) int {
	return min(drainv1alpha1.MaxRecordedLog, drainv1alpha1.MaxRecordedLogs/max(1, containers))
}

// newRecord returns the record of a Job without what became of it, or nil if its labels don't say that it is the operator's.
func newRecord(job *batchv1.Job) *drainv1alpha1.DrainRecord {
	ordinal, errOrdinal := strconv.ParseInt(job.Labels[drainv1alpha1.OrdinalLabel], 10, 32)
	action, attempt, errAttempt := purpose(job)
	owner := metav1.GetControllerOf(job)
	if errOrdinal != nil || errAttempt != nil || ordinal < 0 || attempt < 1 || owner == nil || string(owner.UID) != job.Labels[drainv1alpha1.PolicyUIDLabel] {
		return nil
	}
	// The record is deleted with the policy, and doesn't hold up its deletion.
	controller := metav1.OwnerReference{
		APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: owner.UID, Controller: ptr.To(true),
	}
	var claims []string
	for i := range job.Spec.Template.Spec.Volumes {
		if source := job.Spec.Template.Spec.Volumes[i].PersistentVolumeClaim; source != nil {
			claims = append(claims, source.ClaimName)
		}
	}
	slices.Sort(claims)
	claims = slices.Compact(claims)
	return &drainv1alpha1.DrainRecord{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: recordName(job.Name, job.UID),
			Labels: map[string]string{
				drainv1alpha1.PolicyUIDLabel: string(owner.UID),
				drainv1alpha1.OrdinalLabel:   job.Labels[drainv1alpha1.OrdinalLabel],
				drainv1alpha1.AttemptLabel:   strconv.Itoa(int(attempt)),
			},
			OwnerReferences: []metav1.OwnerReference{controller},
		},
		PolicyName: owner.Name, Ordinal: ptr.To(int32(ordinal)), Action: action, Attempt: attempt, JobName: job.Name, JobUID: string(job.UID),
		ClaimNames: claims[:min(len(claims), drainv1alpha1.MaxRecordedClaims)],
	}
}

// purpose returns what a Job does, and which attempt to do that it is. The Jobs by which the member of an ordinal leaves and joins again are
// numbered together, so it is their failures that say which attempt one is.
func purpose(job *batchv1.Job) (drainv1alpha1.RecordedAction, int32, error) {
	action, text, before := drainv1alpha1.RecordedDrain, job.Labels[drainv1alpha1.AttemptLabel], int64(0)
	if job.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLeave {
		action, text, before = drainv1alpha1.RecordedLeave, job.Annotations[drainv1alpha1.FailuresAnnotation], 1
		if job.Annotations[drainv1alpha1.ActionAnnotation] == drainv1alpha1.ActionRejoin {
			action = drainv1alpha1.RecordedRejoin
		}
	}
	number, err := strconv.ParseInt(text, 10, 32)
	return action, int32(min(number+before, math.MaxInt32)), err
}

// conclude writes into a record how the attempt stands, by the Job and its pods. What was said of a complete Job stays: its pods, which
// proved it, may be gone.
func conclude(record *drainv1alpha1.DrainRecord, job *batchv1.Job, pods []corev1.Pod) {
	if record.Result == drainv1alpha1.DrainResultSucceeded || record.Result == drainv1alpha1.DrainResultNotProven {
		return
	}
	record.Result, record.StartTime, record.CompletionTime = drainv1alpha1.DrainResultRunning, job.Status.StartTime, nil
	words := ""
	for i := range job.Status.Conditions {
		condition := &job.Status.Conditions[i]
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
			result, why, known := judge(job, pods)
			if !known {
				return // The cache of pods is behind that of Jobs.
			}
			record.Result, record.CompletionTime, words = result, job.Status.CompletionTime, why
		case batchv1.JobFailed:
			record.Result, record.CompletionTime = drainv1alpha1.DrainResultFailed, &condition.LastTransitionTime
			words = condition.Reason + ": " + condition.Message
		case batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet:
		}
	}
	if record.Result == drainv1alpha1.DrainResultRunning && job.DeletionTimestamp != nil {
		stop(record)
		return
	}
	for i := range record.Containers {
		if said := record.Containers[i].Message; said != "" {
			words = strings.TrimPrefix(words+"; "+said, "; ")
			break
		}
	}
	record.Message = truncate(words, maxMessage)
}

func stop(record *drainv1alpha1.DrainRecord) {
	record.Result = drainv1alpha1.DrainResultStopped
	record.Message = fmt.Sprintf("Job %q was deleted before the operator saw how it ended", record.JobName)
}

// judge returns whether the success of a complete Job is believed, and why not, if the pods tell yet. The planner asks the same, and looks at
// more.
func judge(job *batchv1.Job, pods []corev1.Pod) (result drainv1alpha1.DrainResult, why string, known bool) {
	want := proof.Expected{Proof: drainv1alpha1.Proof(job.Annotations[drainv1alpha1.ProofAnnotation]), Receipt: plan.Receipt(job.Name)}
	for i := range job.Spec.Template.Spec.Containers {
		want.Containers = append(want.Containers, job.Spec.Template.Spec.Containers[i].Name)
	}
	for i := range pods {
		if pods[i].Status.Phase != corev1.PodSucceeded {
			continue
		}
		if why = proof.Doubt(&pods[i], want); why == "" {
			return drainv1alpha1.DrainResultSucceeded, "", true
		}
	}
	if why == "" && len(pods) > 0 && job.DeletionTimestamp == nil {
		return "", "", false
	}
	return drainv1alpha1.DrainResultNotProven, cmp.Or(why, "the pod was gone before the operator saw how it had ended"), true
}

// truncate cuts a text to so many bytes, in whole characters.
func truncate(text string, size int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) <= size {
		return text
	}
	const ellipsis = "…"
	cut := text[:size-len(ellipsis)]
	for !utf8.ValidString(cut) {
		cut = cut[:len(cut)-1]
	}
	return cut + ellipsis
}
