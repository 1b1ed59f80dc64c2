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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

var noon = metav1.NewTime(time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))

const (
	jobName = "web-2-drain-0123456789abcdef"
	jobUID  = types.UID("12345678-job")
	kept    = 3
)

// kubelet has the logs of containers by "pod/container", or "pod/container/previous".
type kubelet struct {
	logs  map[string]string
	err   error
	asked int
}

func (k *kubelet) Stream(_ context.Context, pod types.NamespacedName, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	k.asked++
	key := pod.Name + "/" + options.Container
	if options.Previous {
		key += "/previous"
	}
	if k.err != nil {
		return nil, k.err
	}
	text, ok := k.logs[key]
	if !ok {
		return nil, fmt.Errorf("no log of %s", key)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// scene is a cluster with one attempt.
type scene struct {
	*testing.T
	client   client.Client
	kubelet  *kubelet
	recorder *Recorder
	job      *batchv1.Job
	pod      *corev1.Pod
	// requests counts those for records.
	requests int
	refuse   func(verb string) error
}

func newScene(t *testing.T) *scene {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), drainv1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	s := &scene{T: t, kubelet: &kubelet{logs: map[string]string{}}, refuse: func(string) error { return nil }}
	count := func(verb string, object any) error {
		switch object.(type) {
		case *drainv1alpha1.DrainRecord, *metav1.PartialObjectMetadataList:
			s.requests++
			return s.refuse(verb)
		}
		return nil
	}
	s.client = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&batchv1.Job{}, &corev1.Pod{}).
		WithIndex(&drainv1alpha1.DrainRecord{}, "result", func(object client.Object) []string {
			return []string{string(object.(*drainv1alpha1.DrainRecord).Result)}
		}).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			return errors.Join(count("get", object), c.Get(ctx, key, object, options...))
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			return errors.Join(count("list", list), c.List(ctx, list, options...))
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if err := count("create", object); err != nil {
				return err
			}
			return c.Create(ctx, object, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if err := count("update", object); err != nil {
				return err
			}
			return c.Update(ctx, object, options...)
		},
	}).Build()
	s.recorder = &Recorder{Client: s.client, Live: s.client, Logs: s.kubelet, Keep: kept}
	s.job = s.newJob(jobName, jobUID, 1)
	s.pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: jobName + "-abcde", UID: "pod", Labels: map[string]string{batchv1.ControllerUidLabel: string(jobUID)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s.job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: *s.job.Spec.Template.Spec.DeepCopy(),
	}
	s.pod.Spec.NodeName = "n1"
	s.must(s.client.Create(t.Context(), s.pod))
	return s
}

func (s *scene) newJob(name string, uid types.UID, attempt int) *batchv1.Job {
	s.Helper()
	policy := &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "policy"}}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: uid, Annotations: map[string]string{drainv1alpha1.ProofAnnotation: "Receipt"},
			Labels: map[string]string{
				drainv1alpha1.PolicyUIDLabel: "policy", drainv1alpha1.OrdinalLabel: "2", drainv1alpha1.AttemptLabel: fmt.Sprint(attempt),
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(policy, drainv1alpha1.GroupVersion.WithKind("DrainPolicy"))},
		},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "drain", Env: []corev1.EnvVar{{Name: "DRAIN_RECEIPT", Value: plan.Receipt(name)}}}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-web-2"},
			}}},
		}}},
		Status: batchv1.JobStatus{StartTime: &noon},
	}
	s.must(s.client.Create(s.Context(), job))
	return job
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// reconcile has the Recorder hear of the attempt, as often as it asks for.
func (s *scene) reconcile() {
	s.Helper()
	for range 2 * retries {
		if _, err := s.recorder.Reconcile(s.Context(), attempt{client.ObjectKeyFromObject(s.job), s.job.UID}); err == nil {
			return
		}
	}
	s.Fatal("the Recorder never gives up")
}

func (s *scene) records() []drainv1alpha1.DrainRecord {
	s.Helper()
	var list drainv1alpha1.DrainRecordList
	before := s.requests
	s.must(s.client.List(s.Context(), &list))
	s.requests = before
	return list.Items
}

// record returns the only record.
func (s *scene) record() drainv1alpha1.DrainRecord {
	s.Helper()
	records := s.records()
	if len(records) != 1 {
		s.Fatalf("there are %d records, want 1", len(records))
	}
	return records[0]
}

func (s *scene) save() {
	s.Helper()
	s.must(s.client.Status().Update(s.Context(), s.pod))
	s.must(s.client.Status().Update(s.Context(), s.job))
}

func terminated(code int32, reason, message string, after time.Duration) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message, FinishedAt: metav1.NewTime(noon.Add(after)), ContainerID: fmt.Sprint("run", after),
	}
}

// ends has the drain's container, and with it the pod, end.
func (s *scene) ends(code int32, message string) {
	s.pod.Status.Phase = corev1.PodSucceeded
	reason := "Completed"
	if code != 0 {
		s.pod.Status.Phase, reason = corev1.PodFailed, "Error"
	}
	s.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "drain", State: corev1.ContainerState{Terminated: terminated(code, reason, message, time.Minute)},
	}}
}

// crashes has the container end and be started again by the kubelet, for the n-th time.
func (s *scene) crashes(n int32, message string) {
	s.pod.Status.Phase = corev1.PodRunning
	s.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "drain", RestartCount: n, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		LastTerminationState: corev1.ContainerState{Terminated: terminated(1, "Error", message, time.Duration(n)*time.Minute)},
	}}
}

func (s *scene) jobEnds(kind batchv1.JobConditionType, reason string) {
	end := metav1.NewTime(noon.Add(2 * time.Minute))
	s.job.Status.Conditions = []batchv1.JobCondition{{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: "says the Job controller", LastTransitionTime: end,
	}}
	if kind == batchv1.JobComplete {
		s.job.Status.CompletionTime = &end
	}
}

// losesPod has the pod go, as the Job controller deletes pods of a Job that has failed.
func (s *scene) losesPod() {
	s.Helper()
	s.must(s.client.Delete(s.Context(), s.pod))
}

func TestASuccessIsRecordedWithItsLog(t *testing.T) {
	s := newScene(t)
	s.reconcile()
	if got := s.records(); len(got) != 0 {
		t.Fatalf("there are records before anything has ended: %+v", got)
	}
	s.kubelet.logs[s.pod.Name+"/drain"] = "moving\nmoved 17 records\n"
	s.ends(0, "moved 17 records\n"+plan.Receipt(jobName))
	s.jobEnds(batchv1.JobComplete, "")
	s.save()
	s.reconcile()
	got := s.record()
	want := drainv1alpha1.DrainRecord{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: jobName + "-12345", ResourceVersion: "1",
			Labels: map[string]string{
				drainv1alpha1.PolicyUIDLabel: "policy", drainv1alpha1.OrdinalLabel: "2", drainv1alpha1.AttemptLabel: "1",
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "drain.statefulset.dev/v1alpha1", Kind: "DrainPolicy", Name: "web", UID: "policy", Controller: ptr.To(true),
			}},
		},
		PolicyName: "web", Ordinal: ptr.To[int32](2), Action: drainv1alpha1.RecordedDrain, Attempt: 1, JobName: jobName, JobUID: string(jobUID), ClaimNames: []string{"data-web-2"},
		Result: drainv1alpha1.DrainResultSucceeded, Message: "moved 17 records",
		StartTime: &noon, CompletionTime: ptr.To(metav1.NewTime(noon.Add(2 * time.Minute))),
		Containers: []drainv1alpha1.ContainerRecord{{
			Name: "drain", PodName: s.pod.Name, NodeName: "n1", RestartCount: ptr.To[int32](0), ExitCode: ptr.To[int32](0), Reason: "Completed",
			Message: "moved 17 records", FinishedTime: ptr.To(metav1.NewTime(noon.Add(time.Minute))), Log: "moving\nmoved 17 records",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// TestAMemberThatLeavesOrJoinsAgainIsRecorded has Jobs whose number is not that of the attempt: it counts the Jobs of both actions.
func TestAMemberThatLeavesOrJoinsAgainIsRecorded(t *testing.T) {
	for name, test := range map[string]struct {
		action, failures string
		want             drainv1alpha1.RecordedAction
		attempt          int32
	}{
		"the first attempt to leave":           {drainv1alpha1.ActionLeave, "0", drainv1alpha1.RecordedLeave, 1},
		"the third attempt to join again":      {drainv1alpha1.ActionRejoin, "2", drainv1alpha1.RecordedRejoin, 3},
		"a number of failures no one can have": {drainv1alpha1.ActionLeave, "2147483647", drainv1alpha1.RecordedLeave, 2147483647},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.job.Labels[drainv1alpha1.RoleLabel], s.job.Labels[drainv1alpha1.AttemptLabel] = drainv1alpha1.RoleLeave, "7"
			s.job.Annotations[drainv1alpha1.ActionAnnotation], s.job.Annotations[drainv1alpha1.FailuresAnnotation] = test.action, test.failures
			s.must(s.client.Update(t.Context(), s.job))
			s.job.Status.StartTime = &noon
			s.ends(1, "no quorum")
			s.jobEnds(batchv1.JobFailed, "BackoffLimitExceeded")
			s.save()
			s.reconcile()
			got := s.record()
			if got.Action != test.want || got.Attempt != test.attempt || got.Labels[drainv1alpha1.AttemptLabel] != fmt.Sprint(test.attempt) ||
				got.Result != drainv1alpha1.DrainResultFailed || got.Message != "BackoffLimitExceeded: says the Job controller; no quorum" {
				t.Errorf("the record is %+v", got)
			}
		})
	}
}

// TestAFailedAttemptKeepsTheLogOfItsLastRun has restartPolicy OnFailure: when the Job has failed, its controller has deleted the pod.
func TestAFailedAttemptKeepsTheLogOfItsLastRun(t *testing.T) {
	s := newScene(t)
	for n := range int32(3) {
		s.kubelet.logs[s.pod.Name+"/drain/previous"] = fmt.Sprintf("run %d\ndisk on fire\n", n+1)
		s.crashes(n+1, fmt.Sprintf("failed %d times", n+1))
		s.save()
		s.reconcile()
		got := s.record()
		if got.Result != drainv1alpha1.DrainResultRunning || got.Containers[0].Log != fmt.Sprintf("run %d\ndisk on fire", n+1) || *got.Containers[0].RestartCount != n {
			t.Errorf("after %d runs, the record is %+v", n+1, got)
		}
	}
	s.losesPod()
	s.jobEnds(batchv1.JobFailed, "BackoffLimitExceeded")
	s.must(s.client.Status().Update(t.Context(), s.job))
	s.kubelet.err = errors.New("the pod is gone")
	s.reconcile()
	got := s.record()
	if got.Result != drainv1alpha1.DrainResultFailed || got.Message != "BackoffLimitExceeded: says the Job controller; failed 3 times" ||
		got.Containers[0].Log != "run 3\ndisk on fire" || got.CompletionTime == nil {
		t.Errorf("the record of the failed attempt is %+v", got)
	}
}

func TestTheNewestEndOfAContainerIsRecorded(t *testing.T) {
	s := newScene(t)
	older := s.pod.DeepCopy()
	older.Name, older.UID, older.ResourceVersion = jobName+"-older", "older", ""
	s.must(s.client.Create(t.Context(), older))
	older.Status.Phase = corev1.PodFailed
	older.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "drain", State: corev1.ContainerState{Terminated: terminated(1, "Error", "first", time.Second)},
	}}
	s.must(s.client.Status().Update(t.Context(), older))
	s.ends(1, "second")
	s.kubelet.logs[s.pod.Name+"/drain"], s.kubelet.logs[older.Name+"/drain"] = "log of the second", "log of the first"
	s.save()
	s.reconcile()
	if got := s.record(); len(got.Containers) != 1 || got.Containers[0].Log != "log of the second" || got.Containers[0].Message != "second" {
		t.Errorf("the record has %+v, want the second pod's end", got.Containers)
	}
	s.losesPod()
	s.jobEnds(batchv1.JobFailed, "BackoffLimitExceeded")
	s.must(s.client.Status().Update(t.Context(), s.job))
	s.reconcile()
	if got := s.record(); got.Containers[0].Log != "log of the second" || got.Result != drainv1alpha1.DrainResultFailed {
		t.Errorf("the record has %+v, want the second pod's end still", got)
	}
}

func TestWhatACompleteJobProvedStays(t *testing.T) {
	for name, tc := range map[string]struct {
		message  string
		want     drainv1alpha1.DrainResult
		wantSays string
	}{
		"a success without a receipt": {"stopped", drainv1alpha1.DrainResultNotProven, "left no receipt"},
		"a success with a receipt":    {"moved it\n" + plan.Receipt(jobName), drainv1alpha1.DrainResultSucceeded, "moved it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			check := func(when string) {
				t.Helper()
				if got := s.record(); got.Result != tc.want || !strings.Contains(got.Message, tc.wantSays) {
					t.Errorf("%s, the record is %s: %s", when, got.Result, got.Message)
				}
			}
			s.ends(0, tc.message)
			s.jobEnds(batchv1.JobComplete, "")
			s.save()
			s.reconcile()
			check("with its pod")
			s.losesPod()
			s.job.Finalizers = []string{metav1.FinalizerDeleteDependents}
			s.must(s.client.Update(t.Context(), s.job))
			s.must(s.client.Delete(t.Context(), s.job))
			s.recorder.seen = memory{}
			s.reconcile()
			check("while the Job is being deleted")
			s.must(s.client.Get(t.Context(), client.ObjectKeyFromObject(s.job), s.job))
			s.job.Finalizers = nil
			s.must(s.client.Update(t.Context(), s.job))
			s.reconcile()
			check("without the Job")
		})
	}
}

// TestACompleteJobIsRecordedWhenItsPodIsSeenToHaveEnded has a cache of pods that is behind that of Jobs.
func TestACompleteJobIsRecordedWhenItsPodIsSeenToHaveEnded(t *testing.T) {
	s := newScene(t)
	s.jobEnds(batchv1.JobComplete, "")
	s.pod.Status.Phase = corev1.PodRunning
	s.save()
	s.reconcile()
	if got := s.records(); len(got) != 0 {
		t.Errorf("recorded too soon: %+v", got)
	}
	s.ends(0, plan.Receipt(jobName))
	s.save()
	s.reconcile()
	if got := s.record(); got.Result != drainv1alpha1.DrainResultSucceeded {
		t.Errorf("the record is %s: %s", got.Result, got.Message)
	}
}

func TestAJobThatIsDeletedIsRecordedAsStopped(t *testing.T) {
	s := newScene(t)
	s.crashes(1, "failed once")
	s.save()
	s.reconcile()
	s.losesPod()
	s.must(s.client.Delete(t.Context(), s.job))
	s.reconcile()
	if got := s.record(); got.Result != drainv1alpha1.DrainResultStopped || !strings.Contains(got.Message, "was deleted") || len(got.Containers) != 1 {
		t.Errorf("the record is %+v", got)
	}
}

// TestAnAttemptOfBeforeARestartIsClosed has a Job that was deleted while no operator ran.
func TestAnAttemptOfBeforeARestartIsClosed(t *testing.T) {
	s := newScene(t)
	s.crashes(1, "failed once")
	s.save()
	s.reconcile()
	s.must(s.client.Create(t.Context(), &drainv1alpha1.DrainRecord{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ended"}, Result: drainv1alpha1.DrainResultFailed,
	}))
	s.losesPod()
	s.must(s.client.Delete(t.Context(), s.job))
	s.recorder.seen = memory{}
	attempts, err := s.recorder.resume(t.Context())
	if err != nil || len(attempts) != 1 || attempts[0] != (attempt{client.ObjectKeyFromObject(s.job), jobUID}) {
		t.Fatalf("resumes %v, %v", attempts, err)
	}
	s.reconcile()
	var got drainv1alpha1.DrainRecord
	s.must(s.client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: recordName(jobName, jobUID)}, &got))
	if got.Result != drainv1alpha1.DrainResultStopped {
		t.Errorf("the record is %s: %s", got.Result, got.Message)
	}
}

// TestAFailureWithoutARunIsRecorded has an image that can't be pulled, and a deadline.
func TestAFailureWithoutARunIsRecorded(t *testing.T) {
	s := newScene(t)
	s.losesPod()
	s.jobEnds(batchv1.JobFailed, "DeadlineExceeded")
	s.must(s.client.Status().Update(t.Context(), s.job))
	s.reconcile()
	if got := s.record(); got.Result != drainv1alpha1.DrainResultFailed || got.Message != "DeadlineExceeded: says the Job controller" || got.Containers != nil {
		t.Errorf("the record is %+v", got)
	}
}

func TestWithoutTheLogARecordSaysWhy(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"without the right": {apierrors.NewForbidden(pods, "web", errors.New("no")), "lacks the right"},
		"without the pod":   {apierrors.NewNotFound(pods, "web"), "was gone"},
		"without the node":  {errors.New(strings.Repeat("unreachable ", 100)), "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.kubelet.err = tc.err
			s.ends(1, "disk on fire")
			s.save()
			s.reconcile()
			got := s.record().Containers[0]
			if got.Log != "" || !strings.Contains(got.LogMissing, tc.want) || len(got.LogMissing) > maxLogMissing || got.Message != "disk on fire" {
				t.Errorf("the record has %+v", got)
			}
			s.jobEnds(batchv1.JobFailed, "BackoffLimitExceeded")
			s.save()
			s.reconcile()
			if s.kubelet.asked != 1 {
				t.Errorf("the log was asked for %d times", s.kubelet.asked)
			}
		})
	}
	s := newScene(t)
	s.recorder.Logs = nil
	s.ends(1, "disk on fire")
	s.save()
	s.reconcile()
	if got := s.record().Containers[0]; got.Log != "" || got.LogMissing != "" || got.Message != "disk on fire" {
		t.Errorf("with --drain-logs=false, the record has %+v", got)
	}
}

func TestWhatIsRecordedAlreadyCostsNoRequest(t *testing.T) {
	s := newScene(t)
	s.ends(1, "disk on fire")
	s.save()
	s.reconcile()
	if s.requests != 3 {
		t.Errorf("the first record took %d requests, want 3: get, create, list", s.requests)
	}
	s.requests = 0
	s.reconcile()
	if s.requests != 0 {
		t.Errorf("%d requests were sent for what is recorded", s.requests)
	}
	s.jobEnds(batchv1.JobFailed, "BackoffLimitExceeded")
	s.save()
	s.reconcile()
	s.losesPod()
	s.reconcile()
	s.must(s.client.Delete(t.Context(), s.job))
	s.reconcile()
	if s.requests != 2 {
		t.Errorf("the end of the attempt, and what follows, took %d requests, want 2: get, update", s.requests)
	}
	s = newScene(t)
	s.ends(1, "disk on fire")
	s.save()
	s.reconcile()
	s.requests, s.recorder.seen = 0, memory{} // A restart.
	s.reconcile()
	if s.requests != 1 || s.kubelet.asked != 1 {
		t.Errorf("after a restart, %d requests were sent and the log was read %d times, want 1 and 1", s.requests, s.kubelet.asked)
	}
}

func TestTheOldestRecordsOfAPolicyAreDeleted(t *testing.T) {
	s := newScene(t)
	for i := range 5 {
		for _, policy := range []string{"policy", "other"} {
			s.must(s.client.Create(t.Context(), &drainv1alpha1.DrainRecord{ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: fmt.Sprintf("%s-%d", policy, i), UID: types.UID(fmt.Sprint(policy, i)),
				Labels: map[string]string{drainv1alpha1.PolicyUIDLabel: policy}, CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(i) * time.Hour)),
			}}))
		}
	}
	s.job.CreationTimestamp = noon
	s.ends(1, "")
	s.save()
	s.reconcile()
	var names []string
	for _, record := range s.records() {
		names = append(names, record.Name)
	}
	slices.Sort(names)
	// The fake client leaves the new record without a time of creation, so it is the oldest here; the API server does not.
	want := []string{"other-0", "other-1", "other-2", "other-3", "other-4", "policy-2", "policy-3", "policy-4"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestAJobThatIsCreatedAgainHasARecordOfItsOwn(t *testing.T) {
	s := newScene(t)
	s.ends(1, "first")
	s.save()
	s.reconcile()
	s.losesPod()
	s.must(s.client.Delete(t.Context(), s.job))
	s.job = s.newJob(jobName, "98765432-job", 1)
	s.jobEnds(batchv1.JobFailed, "DeadlineExceeded")
	s.must(s.client.Status().Update(t.Context(), s.job))
	s.reconcile()
	if got := s.records(); len(got) != 2 {
		t.Errorf("there are %d records, want 2", len(got))
	}
}

func TestARecordIsBounded(t *testing.T) {
	s := newScene(t)
	s.pod.Status.Phase = corev1.PodFailed
	for i := range 12 {
		name := fmt.Sprintf("c%02d", i)
		s.kubelet.logs[s.pod.Name+"/"+name] = strings.Repeat("äöü 12345678901234567890\n", 10000)
		s.pod.Status.ContainerStatuses = append(s.pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: name, State: corev1.ContainerState{Terminated: terminated(int32(i%2), "Error", strings.Repeat("ß", 5000), time.Minute)},
		})
	}
	for i := range 200 {
		s.job.Spec.Template.Spec.Volumes = append(s.job.Spec.Template.Spec.Volumes, corev1.Volume{VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: fmt.Sprintf("data%d-web-2", i)},
		}})
	}
	s.must(s.client.Update(t.Context(), s.job))
	s.jobEnds(batchv1.JobFailed, strings.Repeat("x", 2000))
	s.save()
	s.reconcile()
	got, logs := s.record(), 0
	for i := range got.Containers {
		c := &got.Containers[i]
		logs += len(c.Log)
		if len(c.Log) > drainv1alpha1.MaxRecordedLog || len(c.Message) > drainv1alpha1.MaxRecordedMessage || c.Log == "" || c.Message == "" {
			t.Errorf("container %s has a log of %d bytes and a message of %d", c.Name, len(c.Log), len(c.Message))
		}
		if failed := i < 6; failed != (*c.ExitCode != 0) {
			t.Errorf("container %s with exit code %d is number %d; those that failed come first", c.Name, *c.ExitCode, i)
		}
	}
	if len(got.Containers) != drainv1alpha1.MaxRecordedContainers || logs > drainv1alpha1.MaxRecordedLogs || len(got.ClaimNames) != 100 || len(got.Message) > maxMessage {
		t.Errorf("%d containers, %d bytes of logs, %d claims, a message of %d bytes", len(got.Containers), logs, len(got.ClaimNames), len(got.Message))
	}
	if text, err := json.Marshal(&got); err != nil || len(text) > 60<<10 {
		t.Errorf("the record takes %d bytes: %v", len(text), err)
	}
}

// TestTheRecorderGivesUp has an API server that takes no record, for example without the CRD or the right.
func TestTheRecorderGivesUp(t *testing.T) {
	records := schema.GroupResource{Group: "drain.statefulset.dev", Resource: "drainrecords"}
	for name, err := range map[string]error{
		"without the CRD":             &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "DrainRecord"}},
		"without the right":           apierrors.NewForbidden(records, "web", errors.New("no")),
		"while the namespace goes":    apierrors.NewNotFound(records, "web"),
		"while the API server is out": apierrors.NewServiceUnavailable("out"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.refuse = func(verb string) error {
				if verb == "create" {
					return err
				}
				return nil
			}
			s.ends(1, "disk on fire")
			s.save()
			s.reconcile() // It fails if this does not end.
			if s.requests > 2*(retries+1) {
				t.Errorf("%d requests were sent", s.requests)
			}
			s.refuse = func(string) error { return nil }
			s.jobEnds(batchv1.JobFailed, "BackoffLimitExceeded")
			s.save()
			s.reconcile()
			if got := s.record(); got.Result != drainv1alpha1.DrainResultFailed {
				t.Errorf("the next event leads to the record %+v", got)
			}
		})
	}
}
