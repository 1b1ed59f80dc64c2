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

package view

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

var now = time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// ours returns the metadata of an object of ordinal 2's drain.
func ours(name, role string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: "shop", CreationTimestamp: ago(time.Minute),
		Labels: map[string]string{
			drainv1alpha1.PolicyUIDLabel: "policy", drainv1alpha1.OrdinalLabel: "2", drainv1alpha1.RoleLabel: role, batchv1.JobNameLabel: name,
		},
		OwnerReferences: []metav1.OwnerReference{{Kind: "DrainPolicy", UID: "policy", Controller: ptr.To(true)}},
	}
}

func policy() *drainv1alpha1.DrainPolicy {
	p := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "policy", Generation: 1}}
	p.Spec.StatefulSetRef.Name = "web"
	p.Status = drainv1alpha1.DrainPolicyStatus{
		ObservedGeneration: 1, Undrained: ptr.To[int32](1), Draining: ptr.To[int32](1), OrphanedCapacity: ptr.To(resource.MustParse("1Gi")),
		Conditions: []metav1.Condition{
			{Type: "Ready", Status: "True", Reason: "Accepted", Message: "accepted"},
			{Type: "Drained", Status: "False", Reason: "JobRunning", Message: "Ordinal 2: the Job runs"},
		},
		Drains: []drainv1alpha1.DrainStatus{{
			Ordinal: ptr.To[int32](2), State: "Draining", Reason: "JobRunning", Message: "the Job runs", JobName: "job-2", Attempts: 2,
			LastTransitionTime: ptr.To(ago(50 * time.Second)), Claims: []drainv1alpha1.ClaimReference{{Name: "data-web-2", UID: "claim"}},
		}},
	}
	return p
}

func TestATreeHasAllThatBelongsToAnOrdinal(t *testing.T) {
	in := Objects{
		Sets: []appsv1.StatefulSet{{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}, Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](2)},
			Status: appsv1.StatefulSetStatus{ReadyReplicas: 1},
		}},
		Pods: []corev1.Pod{
			{ObjectMeta: ours("web-2", drainv1alpha1.RoleLock)},
			{ObjectMeta: ours("job-2", drainv1alpha1.RoleDrain), Spec: corev1.PodSpec{NodeName: "n1"}, Status: corev1.PodStatus{Phase: corev1.PodRunning}},
			{ObjectMeta: ours("job-1", drainv1alpha1.RoleDrain), Status: corev1.PodStatus{Phase: corev1.PodFailed}},
			{ObjectMeta: metav1.ObjectMeta{Name: "stranger", Namespace: "shop"}},
		},
		Jobs: []batchv1.Job{{ObjectMeta: ours("job-1", drainv1alpha1.RoleDrain)}, {ObjectMeta: ours("job-2", drainv1alpha1.RoleDrain)}},
		Claims: []corev1.PersistentVolumeClaim{
			{ObjectMeta: metav1.ObjectMeta{Name: "data-web-2", Namespace: "shop", UID: "claim", CreationTimestamp: ago(5 * 24 * time.Hour)}, Status: corev1.PersistentVolumeClaimStatus{
				Phase: corev1.ClaimBound, Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: ptr.To("fast")}},
			{ObjectMeta: metav1.ObjectMeta{Name: "data-web-2", Namespace: "other", UID: "another"}},
		},
	}
	in.Pods[1].Name, in.Pods[2].Name = "job-2-x", "job-1-x"
	p := Of(policy(), in)
	var out bytes.Buffer
	p.Write(&out, Style{Now: now})
	want := strings.TrimLeft(`
DrainPolicy shop/web (StatefulSet web: 2 replicas, 1 ready)
  Ready    True   Accepted    accepted
  Drained  False  JobRunning  Ordinal 2: the Job runs
  1 undrained, 1 draining, 0 failed, 0 drained and kept, 1Gi in claims of orphaned ordinals
NAME                 STATE     REASON      SINCE  ATTEMPT  MESSAGE
ordinal 2            Draining  JobRunning  50s    2        the Job runs
├─ lock web-2        held                  60s
├─ job job-2         Running               60s
├─ pod job-2-x       Running               60s             on node "n1"
└─ claim data-web-2  Bound                 5d              1Gi, fast
`, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	var colored bytes.Buffer
	p.Write(&colored, Style{Now: now, Color: true})
	plain := strings.NewReplacer("\x1b[1m", "", "\x1b[22m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[36m", "", "\x1b[0m", "", "\x1b[0;22m", "").Replace(colored.String())
	if diff := cmp.Diff(want, plain); diff != "" || plain == colored.String() {
		t.Errorf("colors change the columns, or there are none: %s", diff)
	}
}

// leaving returns a Job by which the member of an ordinal leaves or joins again, and its pod.
func leaving(ordinal, job, action, failures string, end batchv1.JobConditionType, said string) (batchv1.Job, corev1.Pod) {
	name := "web-" + ordinal + "-" + action + "-" + job
	j := batchv1.Job{ObjectMeta: ours(name, drainv1alpha1.RoleLeave)}
	j.UID, j.Labels[drainv1alpha1.OrdinalLabel], j.Labels[drainv1alpha1.AttemptLabel] = types.UID(name), ordinal, job
	j.Annotations = map[string]string{drainv1alpha1.ActionAnnotation: action, drainv1alpha1.FailuresAnnotation: failures}
	if end != "" {
		j.Status.Conditions = []batchv1.JobCondition{{
			Type: end, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", Message: "too often", LastTransitionTime: ago(20 * time.Second),
		}}
	}
	p := corev1.Pod{ObjectMeta: ours(name+"-x", drainv1alpha1.RoleLeave), Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	p.Labels[drainv1alpha1.OrdinalLabel] = ordinal
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: name, UID: j.UID, Controller: ptr.To(true)}}
	if said != "" {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: said}}}}
	}
	return j, p
}

func TestATreeHasTheMembersThatLeaveOrJoinAgain(t *testing.T) {
	in := Objects{}
	add := func(j batchv1.Job, pod corev1.Pod) { in.Jobs, in.Pods = append(in.Jobs, j), append(in.Pods, pod) }
	add(leaving("1", "3", drainv1alpha1.ActionLeave, "2", "", "no quorum"))
	add(leaving("1", "2", drainv1alpha1.ActionLeave, "1", batchv1.JobFailed, "an older one"))
	add(leaving("0", "2", drainv1alpha1.ActionRejoin, "0", batchv1.JobFailed, ""))
	add(leaving("2", "1", drainv1alpha1.ActionLeave, "0", batchv1.JobComplete, "")) // Its ordinal is drained.
	add(leaving("3", "1", drainv1alpha1.ActionLeave, "0", batchv1.JobComplete, "bye"))
	p := policy()
	p.Status.StatefulSet = &drainv1alpha1.ObservedStatefulSet{StartOrdinal: ptr.To[int32](0), Replicas: ptr.To[int32](2)}
	p.Annotations = map[string]string{drainv1alpha1.MembersAnnotation: `{"5":{"job":1,"action":"leave","template":"","time":"2026-11-26T02:59:00Z"},"1":{"job":2,"action":"leave","template":"","time":"2026-11-26T02:59:00Z"}}`}
	p.Status.Drains, p.Status.Undrained = nil, nil
	v := Of(p, in)
	var out bytes.Buffer
	v.Write(&out, Style{Now: now})
	want := strings.TrimLeft(`
NAME                     STATE         SINCE  ATTEMPT  MESSAGE
member 5                 NotBack       60s    1
member 1                 Leaving       60s    3        no quorum
├─ job web-1-leave-3     Running       60s
└─ pod web-1-leave-3-x   Running       60s
member 0                 RejoinFailed  20s    1        BackoffLimitExceeded: too often
├─ job web-0-rejoin-2    Failed        60s
└─ pod web-0-rejoin-2-x  Running       60s
`, "\n")
	if _, got, _ := strings.Cut(out.String(), "orphaned ordinals\n"); got != want {
		t.Error(cmp.Diff(want, got))
	}

	p.Status.StatefulSet.Replicas = ptr.To[int32](4)
	p.Status.Conditions = append(p.Status.Conditions, metav1.Condition{
		Type: drainv1alpha1.ConditionScaled, Status: metav1.ConditionFalse, Reason: drainv1alpha1.ReasonLeaveFailed, Message: `Job "web-2-leave-1" left no receipt`,
	})
	v = Of(p, in)
	_, lines := v.Lines()
	for key, want := range map[string]string{
		"shop/web member 2": `shop/web member 2 LeaveFailed (attempt 1): Job "web-2-leave-1" left no receipt`,
		"shop/web member 3": "shop/web member 3 Left (attempt 1): bye",
		"shop/web member 5": "shop/web member 5 NotBack (attempt 1)",
	} {
		if lines[key] != want {
			t.Errorf("the line is %q, want %q", lines[key], want)
		}
	}
}

func TestAThousandOrdinalsAreCountedNotListed(t *testing.T) {
	p := policy()
	p.Status.Undrained, p.Status.Drains = ptr.To[int32](1000), nil
	for i := range int32(100) {
		d := drainv1alpha1.DrainStatus{Ordinal: ptr.To(1000 - i), State: "Waiting", Reason: "WaitingForSlot", Message: "waiting"}
		if i >= 95 {
			d.State, d.Reason = "Failed", "JobFailed"
		}
		p.Status.Drains = append(p.Status.Drains, d)
	}
	v := Of(p, Objects{})
	var out bytes.Buffer
	v.Write(&out, Style{Now: now})
	text := out.String()
	for _, want := range []string{
		"ordinal 901   Failed", "80 more ordinals: 80 Waiting (WaitingForSlot); --all shows them", "900 more undrained ordinals, for which the status has no room",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if lines := strings.Count(text, "\n"); lines > Shown+8 {
		t.Errorf("the tree has %d lines", lines)
	}
	out.Reset()
	v.Write(&out, Style{Now: now, All: true})
	if got := strings.Count(out.String(), "\nordinal "); got != 100 {
		t.Errorf("--all shows %d ordinals", got)
	}
}

func TestLinesStayTheSameWhileNothingChanges(t *testing.T) {
	p := Of(policy(), Objects{})
	keys, lines := p.Lines()
	want := []string{"shop/web Ready=True Accepted: accepted", "shop/web Drained=False JobRunning: Ordinal 2: the Job runs", "shop/web ordinal 2 Draining JobRunning (attempt 2): the Job runs"}
	var got []string
	for _, key := range keys {
		got = append(got, lines[key])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPodAndJobStates(t *testing.T) {
	waiting := corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"},
	}}}}
	for want, pod := range map[string]corev1.Pod{
		"SchedulingGated": {Spec: corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: "g"}}}}, "ImagePullBackOff": {Status: waiting},
		"Terminating": {ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: ptr.To(ago(0))}}, "Pending": {},
	} {
		if got := podState(&pod); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	ended := func(kind batchv1.JobConditionType) batchv1.Job {
		return batchv1.Job{Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue}}}}
	}
	for want, job := range map[string]batchv1.Job{
		"Running": {}, "Suspended": {Spec: batchv1.JobSpec{Suspend: ptr.To(true)}}, "Complete": ended(batchv1.JobComplete), "Failed": ended(batchv1.JobFailed),
		"Terminating": {ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: ptr.To(ago(0))}},
	} {
		if got := jobState(&job); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func ExampleTable() {
	table := NewTable(Style{}, "NAME", "STATE", "UNUSED")
	table.Row(0, "ä", "x", "")
	table.Row(0, "bb", "yy", "")
	var out bytes.Buffer
	table.Write(&out)
	fmt.Print(out.String())
	// Output:
	// NAME  STATE
	// ä     x
	// bb    yy
}
