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
