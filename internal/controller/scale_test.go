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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/metrics"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/proof"
	"github.com/statefulset-dev/drain-operator/internal/scaling"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// scaledStore is orphanedStore without an orphan: three replicas that are ready, of which the policy wants some.
func scaledStore(wanted int32) []client.Object {
	var all []client.Object
	for _, object := range orphanedStore(func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Replicas, p.Spec.MinReadyReplicas = &wanted, ptr.To[int32](0)
	}) {
		switch object := object.(type) {
		case *corev1.PersistentVolumeClaim:
			continue
		case *appsv1.StatefulSet:
			object.Spec.Replicas, object.Spec.Ordinals = ptr.To[int32](3), nil
			object.Status = appsv1.StatefulSetStatus{ObservedGeneration: object.Generation, Replicas: 3, ReadyReplicas: 3}
			for ordinal := range 3 {
				name := fmt.Sprintf("store-%d", ordinal)
				all = append(all, &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: "shop", Name: name, UID: types.UID(name),
						OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(object, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
					},
					Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
				})
			}
		}
		all = append(all, object)
	}
	return all
}

// TestAFailedLookLeavesScaledInTheStatus has the live look fail, or take too long, while there is something to scale.
func TestAFailedLookLeavesScaledInTheStatus(t *testing.T) {
	for name, look := range map[string]func(*Reconciler) error{
		"it fails":          func(*Reconciler) error { return errors.New("the API server is away") },
		"it takes too long": func(r *Reconciler) error { pass(t, r, maxLookAge+time.Second); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fakeCluster(t, interceptor.Funcs{}, scaledStore(1)...)
			r := reconcilerOn(cluster)
			r.Live = interceptor.NewClient(cluster, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
					if _, set := o.(*appsv1.StatefulSet); set {
						if err := look(r); err != nil {
							return err
						}
					}
					return c.Get(ctx, key, o, options...)
				},
			})
			for range 3 {
				if err := reconcileStore(t, r); err != nil {
					t.Log(err)
				}
				pass(t, r, 2*time.Second)
			}
			policy := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{})
			if scaled := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionScaled); scaled == nil || scaled.Status != metav1.ConditionFalse {
				t.Errorf("spec.replicas is %d, and the condition Scaled is %+v", *policy.Spec.Replicas, scaled)
			}
		})
	}
}

// TestAJobThatAnotherOwnsIsNotAskedForInHaste has a Job of someone else that has the name of the one by which the member is to leave.
func TestAJobThatAnotherOwnsIsNotAskedForInHaste(t *testing.T) {
	all := scaledStore(1)
	for _, object := range all {
		if policy, ok := object.(*drainv1alpha1.DrainPolicy); ok {
			policy.Spec.Leave = &drainv1alpha1.LeaveOptions{Template: *policy.Spec.Template.DeepCopy()}
			policy.Spec.Leave.Template.Spec.Volumes = nil
			name := objects.LeaveName("store", policy.UID, objects.Leave{Ordinal: 2, Number: 1, Action: drainv1alpha1.ActionLeave})
			all = append(all, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "other"}})
		}
	}
	cluster := fakeCluster(t, interceptor.Funcs{}, all...)
	r := reconcilerOn(cluster)
	asked := 0
	r.Client = interceptor.NewClient(cluster, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
		if _, job := o.(*batchv1.Job); job && len(options) == 0 {
			asked++
		}
		return c.Create(ctx, o, options...)
	}})
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: storeKey})
	if err != nil || asked != 1 || result.RequeueAfter < plan.RefusalRecheck {
		t.Errorf("the Job was asked for %d times, and is asked for again after %s: %v", asked, result.RequeueAfter, err)
	}
	policy := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{})
	stalled := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionStalled)
	if stalled == nil || stalled.Reason != drainv1alpha1.ReasonWriteRefused || !strings.Contains(stalled.Message, "exists already") {
		t.Errorf("the condition Stalled is %+v", stalled)
	}
}

// TestAWebhookThatTakesBackTheReplicasStalls has a webhook that keeps the StatefulSet at three replicas against all users.
func TestAWebhookThatTakesBackTheReplicasStalls(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		t.Run(fmt.Sprintf("leaves: %t", leaves), func(t *testing.T) {
			all := scaledStore(1)
			for _, object := range all {
				if policy, ok := object.(*drainv1alpha1.DrainPolicy); ok && leaves {
					policy.Spec.Leave = &drainv1alpha1.LeaveOptions{Template: *policy.Spec.Template.DeepCopy()}
					policy.Spec.Leave.Template.Spec.Volumes = nil
				}
			}
			cluster := fakeCluster(t, interceptor.Funcs{}, all...)
			r := reconcilerOn(cluster)
			r.Client = interceptor.NewClient(cluster, interceptor.Funcs{
				SubResourceUpdate: func(_ context.Context, _ client.Client, _ string, _ client.Object, options ...client.SubResourceUpdateOption) error {
					how := client.SubResourceUpdateOptions{}
					how.ApplyOptions(options)
					scale, ok := how.SubResourceBody.(*autoscalingv1.Scale)
					if !ok {
						return errors.New("no scale")
					}
					scale.Spec.Replicas = 3
					return nil
				},
			})
			if err := reconcileStore(t, r); err != nil {
				t.Error(err)
			}
			stalled := meta.FindStatusCondition(read(t, cluster, "store", &drainv1alpha1.DrainPolicy{}).Status.Conditions, drainv1alpha1.ConditionStalled)
			if stalled == nil || stalled.Reason != drainv1alpha1.ReasonWriteRefused {
				t.Errorf("the condition Stalled is %+v", stalled)
			}
			var jobs batchv1.JobList
			if err := cluster.List(t.Context(), &jobs); err != nil || len(jobs.Items) > 0 {
				t.Errorf("a member leaves in vain by %d Jobs: %v", len(jobs.Items), err)
			}
		})
	}
}

// TestScaledIsNotTrueOfAnOldStatefulSet has a cache of StatefulSets that lags behind that of policies: a person undoes a scale-down of which
// the operator has taken the first step.
func TestScaledIsNotTrueOfAnOldStatefulSet(t *testing.T) {
	cluster := fakeCluster(t, interceptor.Funcs{}, scaledStore(3)...)
	r := reconcilerOn(cluster)
	old := read(t, cluster, "store", &appsv1.StatefulSet{})
	scaleStore(t, cluster, 2)
	r.Client = interceptor.NewClient(cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if set, ok := o.(*appsv1.StatefulSet); ok {
				old.DeepCopyInto(set)
				return nil
			}
			return c.Get(ctx, key, o, options...)
		},
	})
	if err := reconcileStore(t, r); err != nil {
		t.Error(err)
	}
	scaled := meta.FindStatusCondition(read(t, cluster, "store", &drainv1alpha1.DrainPolicy{}).Status.Conditions, drainv1alpha1.ConditionScaled)
	if scaled == nil || scaled.Status != metav1.ConditionFalse {
		t.Errorf("the StatefulSet had 2 replicas, 3 were asked for, and the condition is %+v", scaled)
	}
	if set := read(t, cluster, "store", &appsv1.StatefulSet{}); *set.Spec.Replicas != 3 {
		t.Errorf("the StatefulSet has %d replicas", *set.Spec.Replicas)
	}
}

// TestASlowAPIServerKeepsNothingFromScalingUp has each look take longer than one may for a step that takes something away.
func TestASlowAPIServerKeepsNothingFromScalingUp(t *testing.T) {
	for wanted, want := range map[int32]int32{5: 5, 1: 3} {
		cluster := fakeCluster(t, interceptor.Funcs{}, scaledStore(wanted)...)
		r := reconcilerOn(cluster)
		r.Live = interceptor.NewClient(cluster, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
				pass(t, r, maxLookAge)
				return c.Get(ctx, key, o, options...)
			},
		})
		if err := reconcileStore(t, r); err != nil {
			t.Log(err)
		}
		if set := read(t, cluster, "store", &appsv1.StatefulSet{}); *set.Spec.Replicas != want {
			t.Errorf("%d replicas are asked for, and there are %d, want %d", wanted, *set.Spec.Replicas, want)
		}
	}
}

// TestNoMemberLeavesByATemplateThatWasNotAskedAbout has caches that lack the last edit of spec.leave.
func TestNoMemberLeavesByATemplateThatWasNotAskedAbout(t *testing.T) {
	for _, edited := range []bool{false, true} {
		all := scaledStore(1)
		for _, object := range all {
			if policy, ok := object.(*drainv1alpha1.DrainPolicy); ok {
				policy.Spec.Leave = &drainv1alpha1.LeaveOptions{Template: *policy.Spec.Template.DeepCopy()}
				policy.Spec.Leave.Template.Spec.Volumes = nil
			}
		}
		cluster := fakeCluster(t, interceptor.Funcs{}, all...)
		r := reconcilerOn(cluster)
		r.Live = interceptor.NewClient(cluster, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
				err := c.Get(ctx, key, o, options...)
				if policy, ok := o.(*drainv1alpha1.DrainPolicy); ok && edited {
					policy.Spec.Leave.Template.Spec.Containers[0].Image = "edited"
				}
				return err
			},
		})
		_ = reconcileStore(t, r)
		var jobs batchv1.JobList
		if err := cluster.List(t.Context(), &jobs); err != nil || len(jobs.Items) > 0 == edited {
			t.Errorf("edited: %t, and there are %d Jobs: %v", edited, len(jobs.Items), err)
		}
	}
}

// TestAMemberThatLeavesDuringTheLookLeavesOnce has the pod of the Job by which a member leaves succeed, and the Job complete, between the
// two lists that show it, whichever of them the API server answers first.
func TestAMemberThatLeavesDuringTheLookLeavesOnce(t *testing.T) {
	for name, order := range map[string]func(int) []int{"as the source has them": inOrder, "the other way round": backwards} {
		t.Run(name, func(t *testing.T) {
			cluster, job, pod := leavingStore(t)
			r := reconcilerOn(cluster)
			r.Order = order
			lists := 0
			r.Live = interceptor.NewClient(cluster, interceptor.Funcs{
				List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, options ...client.ListOption) error {
					err := c.List(ctx, l, options...)
					switch l.(type) {
					case *corev1.PodList, *batchv1.JobList:
						lists++
						if lists == 1 {
							err = errors.Join(err, c.Status().Update(ctx, pod), c.Status().Update(ctx, job))
						}
					}
					return err
				},
			})
			for range 2 {
				if err := reconcileStore(t, r); err != nil {
					t.Error(err)
				}
			}
			var jobs batchv1.JobList
			if err := cluster.List(t.Context(), &jobs); err != nil || len(jobs.Items) != 1 {
				t.Errorf("there are %d Jobs by which the member leaves, want the one that has succeeded: %v", len(jobs.Items), err)
			}
			if set := read(t, cluster, "store", &appsv1.StatefulSet{}); *set.Spec.Replicas != 2 {
				t.Errorf("the member has left, and there are %d replicas, want 2", *set.Spec.Replicas)
			}
		})
	}
}

// leavingStore is scaledStore with the Job by which the member of ordinal 2 leaves and its pod, which runs. It returns both as they are when
// they have succeeded, so long ago that another attempt would be due.
func leavingStore(t *testing.T) (client.WithWatch, *batchv1.Job, *corev1.Pod) {
	t.Helper()
	all := scaledStore(2)
	var job *batchv1.Job
	var pod *corev1.Pod
	for _, object := range all {
		policy, ok := object.(*drainv1alpha1.DrainPolicy)
		if !ok {
			continue
		}
		policy.Spec.Leave = &drainv1alpha1.LeaveOptions{Template: *policy.Spec.Template.DeepCopy()}
		policy.Spec.Leave.Template.Spec.Volumes = nil
		policy.Spec.Retry.InitialDelaySeconds = ptr.To[int32](1)
		for _, object := range all {
			if set, ok := object.(*appsv1.StatefulSet); ok {
				job = objects.LeaveJob(policy, statefulset.Of(set), objects.Leave{Ordinal: 2, Number: 1, Action: drainv1alpha1.ActionLeave, PodUID: "store-2"})
			}
		}
		note := &scaling.Note{Job: 1, Action: drainv1alpha1.ActionLeave, Template: job.Annotations[drainv1alpha1.TemplateHashAnnotation], Time: metav1.Unix(900, 0)}
		if err := note.Set(policy, 2); err != nil {
			t.Fatal(err)
		}
	}
	job.UID, job.CreationTimestamp = "leave", metav1.Unix(900, 0)
	pod = objects.Pod(job)
	pod.Name, pod.GenerateName, pod.UID, pod.Spec.SchedulingGates = job.Name+"-x", "", "leave-pod", nil
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
	pod.Status.Phase = corev1.PodRunning
	cluster := fakeCluster(t, interceptor.Funcs{}, append(all, job, pod)...)
	pod, job = read(t, cluster, pod.Name, &corev1.Pod{}), read(t, cluster, job.Name, &batchv1.Job{})
	end := metav1.Unix(990, 0)
	receipt := ""
	for _, variable := range pod.Spec.Containers[0].Env {
		if variable.Name == proof.ReceiptVariable {
			receipt = variable.Value
		}
	}
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: end, Message: receipt}},
	}}
	job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: end}}
	job.Status.CompletionTime = &end
	return cluster, job, pod
}

// TestAMemberThatIsOutCallsAPersonWithoutReplicas has a policy that neither scales nor lets members leave any more, and remembers one.
func TestAMemberThatIsOutCallsAPersonWithoutReplicas(t *testing.T) {
	all := scaledStore(3)
	for _, object := range all {
		if policy, ok := object.(*drainv1alpha1.DrainPolicy); ok {
			policy.Spec.Replicas = nil
			note := &scaling.Note{Job: 1, Action: drainv1alpha1.ActionLeave, Time: metav1.Unix(900, 0)}
			if err := note.Set(policy, 2); err != nil {
				t.Fatal(err)
			}
		}
	}
	cluster := fakeCluster(t, interceptor.Funcs{}, all...)
	if err := reconcileStore(t, reconcilerOn(cluster)); err != nil {
		t.Error(err)
	}
	conditions := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{}).Status.Conditions
	stalled := meta.FindStatusCondition(conditions, drainv1alpha1.ConditionStalled)
	if stalled == nil || stalled.Status != metav1.ConditionTrue || stalled.Reason != drainv1alpha1.ReasonMemberNotBack || !strings.Contains(stalled.Message, "set both") {
		t.Errorf("the condition Stalled is %+v", stalled)
	}
	if scaled := meta.FindStatusCondition(conditions, drainv1alpha1.ConditionScaled); scaled != nil {
		t.Errorf("spec.replicas is unset, and the condition Scaled is %+v", scaled)
	}
}

// TestAFightForTheReplicasCallsAPerson has something else set the replicas again, at once, each time when the operator has.
func TestAFightForTheReplicasCallsAPerson(t *testing.T) {
	cluster := fakeCluster(t, interceptor.Funcs{}, scaledStore(5)...)
	r := reconcilerOn(cluster)
	raised := 0
	for range 10 {
		if err := reconcileStore(t, r); err != nil {
			t.Error(err)
		}
		if *read(t, cluster, "store", &appsv1.StatefulSet{}).Spec.Replicas == 5 {
			raised++
			scaleStore(t, cluster, 3)
		}
		pass(t, r, 2*time.Second)
	}
	conditions := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{}).Status.Conditions
	scaled := meta.FindStatusCondition(conditions, drainv1alpha1.ConditionScaled)
	if raised != 3 || scaled == nil || scaled.Reason != drainv1alpha1.ReasonReplicasContested || !meta.IsStatusConditionTrue(conditions, drainv1alpha1.ConditionStalled) {
		t.Errorf("the replicas were raised %d times, and the conditions are %+v", raised, conditions)
	}
	pass(t, r, 30*time.Second)
	if err := reconcileStore(t, r); err != nil {
		t.Error(err)
	}
	if replicas := *read(t, cluster, "store", &appsv1.StatefulSet{}).Spec.Replicas; replicas != 5 {
		t.Errorf("after the delay, the StatefulSet has %d replicas", replicas)
	}
}

// TestAPodThatIsNeverCreatedCallsAPerson has no pod of an ordinal that remains, for longer and longer.
func TestAPodThatIsNeverCreatedCallsAPerson(t *testing.T) {
	var all []client.Object
	for _, object := range scaledStore(1) {
		if object.GetName() != "store-0" {
			all = append(all, object)
		}
	}
	cluster := fakeCluster(t, interceptor.Funcs{}, all...)
	r := reconcilerOn(cluster)
	start := r.Clock.Now()
	for minutes, want := range []metav1.ConditionStatus{0: metav1.ConditionFalse, 14: metav1.ConditionFalse, 15: metav1.ConditionTrue} {
		if want == "" {
			continue
		}
		pass(t, r, start.Add(time.Duration(minutes)*time.Minute).Sub(r.Clock.Now()))
		if err := reconcileStore(t, r); err != nil {
			t.Error(err)
		}
		stalled := meta.FindStatusCondition(read(t, cluster, "store", &drainv1alpha1.DrainPolicy{}).Status.Conditions, drainv1alpha1.ConditionStalled)
		if stalled == nil || stalled.Status != want {
			t.Errorf("after %d minutes, the condition Stalled is %+v, want %s", minutes, stalled, want)
		}
	}
}

// TestEachAttemptOfAMemberIsReportedOnce has the member leave at the second attempt, and another manager take over after the first has failed.
func TestEachAttemptOfAMemberIsReportedOnce(t *testing.T) {
	all := scaledStore(2)
	for _, object := range all {
		if policy, ok := object.(*drainv1alpha1.DrainPolicy); ok {
			policy.Spec.Leave = &drainv1alpha1.LeaveOptions{Template: *policy.Spec.Template.DeepCopy()}
			policy.Spec.Leave.Template.Spec.Volumes = nil
			policy.Spec.Retry = drainv1alpha1.RetryOptions{InitialDelaySeconds: ptr.To[int32](30), MaxDelaySeconds: ptr.To[int32](30)}
		}
	}
	cluster := fakeCluster(t, interceptor.Funcs{}, all...)
	r := reconcilerOn(cluster)
	r.Metrics = &metrics.Events{}
	told := func(r *Reconciler) []string {
		t.Helper()
		for range 5 {
			if err := reconcileStore(t, r); err != nil {
				t.Error(err)
			}
			pass(t, r, 2*time.Second)
		}
		var about []string
		for recorder := r.Recorder.(*events.FakeRecorder); ; {
			select {
			case event := <-recorder.Events:
				if strings.Contains(event, "store-2") {
					about = append(about, event)
				}
				continue
			default:
			}
			return about
		}
	}
	end := func(number int32, phase corev1.PodPhase, kind batchv1.JobConditionType, r *Reconciler) string {
		t.Helper()
		policy := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{})
		name := objects.LeaveName("store", policy.UID, objects.Leave{Ordinal: 2, Number: number, Action: drainv1alpha1.ActionLeave})
		job := read(t, cluster, name, &batchv1.Job{})
		pod := objects.Pod(job)
		pod.Name, pod.GenerateName, pod.Spec.SchedulingGates = name+"-pod", "", nil
		pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
		pod.Status.Phase = phase
		exit := map[corev1.PodPhase]int32{corev1.PodFailed: 1}[phase]
		for i := range pod.Spec.Containers {
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: pod.Spec.Containers[i].Name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Message: "bye"}},
			})
		}
		if err := cluster.Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		now := metav1.NewTime(r.Clock.Now())
		job.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue, Reason: "Because", LastTransitionTime: now}}
		if err := cluster.Status().Update(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		return name
	}
	twice := func(events ...string) []string {
		var both []string
		for _, event := range events {
			both = append(both, event, event)
		}
		return both
	}
	expect := func(when string, got, want []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, the policy and the StatefulSet are told (-want +got):\n%s", when, diff)
		}
	}

	begun := told(r)
	first := end(1, corev1.PodFailed, batchv1.JobFailed, r)
	expect("at the start", begun, twice(fmt.Sprintf(`Normal Leaving The member of pod "store-2" leaves by Job %q (attempt 1)`, first)))
	expect("after a failure", told(r), twice(fmt.Sprintf(`Warning LeaveFailed Job %q, by which the member of pod "store-2" leaves, failed (attempt 1): Because: bye`, first)))

	next := reconcilerOn(cluster)
	next.Clock, next.Metrics = r.Clock, r.Metrics
	expect("by another manager", told(next), nil)
	pass(t, next, time.Minute)
	begun = told(next)
	second := end(2, corev1.PodSucceeded, batchv1.JobComplete, next)
	expect("after the delay", begun, twice(fmt.Sprintf(`Normal Leaving The member of pod "store-2" leaves by Job %q (attempt 2)`, second)))
	expect("at the end", told(next), twice(
		fmt.Sprintf(`Normal MemberLeft The member of pod "store-2" has left by Job %q: bye`, second),
		`Normal ScalingDown Lowering the replicas of StatefulSet "store" from 3 to 2: the member of pod "store-2" has left`,
	))

	registry := prometheus.NewPedanticRegistry()
	leading := make(chan struct{})
	close(leading)
	registry.MustRegister(metrics.NewCollector(func() (*metrics.Seen, error) {
		return &metrics.Seen{Policies: []drainv1alpha1.DrainPolicy{*read(t, cluster, "store", &drainv1alpha1.DrainPolicy{})}}, nil
	}, next.Metrics, leading))
	counted, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]float64{}
	for _, family := range counted {
		for _, series := range family.GetMetric() {
			if family.GetName() == "drain_operator_member_attempts_total" && series.GetCounter().GetValue() > 0 {
				// Labels are sorted by name: action, namespace, policy, result.
				results[series.GetLabel()[0].GetValue()+" "+series.GetLabel()[3].GetValue()] = series.GetCounter().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{"leave JobFailed": 1, "leave Succeeded": 1}, results); diff != "" {
		t.Errorf("attempts are counted (-want +got):\n%s", diff)
	}
}

// TestAJobWhoseNumberWasUsedBeforeIsReported has an ordinal drained between two attempts, after which its Jobs are numbered from 1 again.
func TestAJobWhoseNumberWasUsedBeforeIsReported(t *testing.T) {
	var p pasts
	policy, now := &drainv1alpha1.DrainPolicy{}, time.Unix(1000, 0)
	left := &scaling.Attempt{Ordinal: 2, Number: 1, Action: drainv1alpha1.ActionLeave}
	if !p.news(storeKey, policy, left, now) || p.news(storeKey, policy, left, now) {
		t.Error("the end of an attempt is not reported once")
	}
	p.started(storeKey, policy, 2, now)
	if !p.news(storeKey, policy, left, now) {
		t.Error("the end of an attempt is not reported, because an earlier one had its number")
	}
}
