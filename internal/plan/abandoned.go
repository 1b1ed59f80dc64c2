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

package plan

import (
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Abandoned returns what to do about a lock whose policy, with the given UID, is gone. The snapshot holds the pods and Jobs
// that bear the policy's labels, and the claims of the namespace.
func (protocol Protocol) Abandoned(lock *corev1.Pod, owner types.UID, snapshot Snapshot, now time.Time) Drain {
	snapshot.Policy = &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: lock.Namespace, UID: owner}}
	e := &evidence{planner: &planner{Snapshot: snapshot, now: now}, lock: lock}
	label := lock.Labels[drainv1alpha1.OrdinalLabel]
	if number, err := strconv.ParseInt(label, 10, 32); err == nil {
		e.number = int32(number)
	}
	snapshot.Jobs = withoutLeaving(snapshot.Jobs)
	for i := range snapshot.Jobs {
		job := &snapshot.Jobs[i]
		if job.Labels[drainv1alpha1.OrdinalLabel] != label || !controls(owner, job) && !orphaned(job) {
			continue
		}
		e.others = append(e.others, *job)
		if e.ownerlessJob == nil && orphaned(job) && finished(job) == nil && job.DeletionTimestamp == nil {
			e.ownerlessJob = job
		}
	}
	for i := range snapshot.Pods {
		pod := &snapshot.Pods[i]
		if pod.Labels[drainv1alpha1.OrdinalLabel] != label || pod.Labels[drainv1alpha1.RoleLabel] != drainv1alpha1.RoleDrain {
			continue
		}
		e.pods = append(e.pods, *pod)
		if e.ownerlessPod == nil && orphaned(pod) && !terminal(pod) && pod.DeletionTimestamp == nil {
			e.ownerlessPod = pod
		}
	}
	// Without the policy, its claim templates are not known, but every claim of the ordinal is named
	// <template>-<name of the lock>. One more that is written to does no harm.
	e.claims = slices.DeleteFunc(slices.Clone(snapshot.Claims), func(claim corev1.PersistentVolumeClaim) bool {
		return !strings.HasSuffix(claim.Name, "-"+lock.Name)
	})
	slices.SortFunc(e.claims, func(a, b corev1.PersistentVolumeClaim) int { return strings.Compare(a.Name, b.Name) })
	return protocol.decide(e, abandoned)
}

// Abandoned returns what the protocol says of such a lock.
func Abandoned(lock *corev1.Pod, owner types.UID, snapshot Snapshot, now time.Time) Drain {
	return protocol.Abandoned(lock, owner, snapshot, now)
}
