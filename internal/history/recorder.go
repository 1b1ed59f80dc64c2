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
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/podlog"
)

const (
	// workers is how many attempts are recorded at the same time, and timeout ends one that hangs. A record is not worth more.
	workers = 4
	timeout = 30 * time.Second
	// retries is how often a write is repeated that failed.
	retries = 5
)

// Recorder keeps the DrainRecords.
type Recorder struct {
	// Client reads Jobs and pods from the caches, and writes records.
	client.Client
	// Live reads records from the API server. They are in no cache: the logs would take memory.
	Live client.Reader
	// Logs reads logs; nil to record none.
	Logs podlog.Reader
	// Namespaces are those that the operator watches; none for all.
	Namespaces []string
	// Keep is how many records of a policy are kept.
	Keep int

	seen memory
}

// attempt is a Job. One that was deleted may be created again by its name.
type attempt struct {
	types.NamespacedName
	UID types.UID
}

// +kubebuilder:rbac:groups=drain.statefulset.dev,resources=drainrecords,verbs=get;list;create;update;delete

// SetupWithManager registers the watches.
func (r *Recorder) SetupWithManager(mgr ctrl.Manager) error {
	return builder.TypedControllerManagedBy[attempt](mgr).
		Named("drainrecord").
		Watches(&batchv1.Job{}, handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []attempt {
			return []attempt{{client.ObjectKeyFromObject(object), object.GetUID()}}
		})).
		Watches(&corev1.Pod{}, handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []attempt {
			owner := metav1.GetControllerOf(object)
			if owner == nil || owner.Kind != "Job" {
				return nil
			}
			return []attempt{{types.NamespacedName{Namespace: object.GetNamespace(), Name: owner.Name}, owner.UID}}
		})).
		WatchesRawSource(source.TypedFunc[attempt](func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[attempt]) error {
			// The workers don't wait for this list: a drain that ends meanwhile may take its Job with it.
			go func() {
				attempts, err := r.resume(ctx)
				if err != nil {
					ctrl.LoggerFrom(ctx).Info("Cannot look for records of attempts that went on before", "why", err.Error())
				}
				for _, attempt := range attempts {
					queue.Add(attempt)
				}
			}()
			return nil
		})).
		WithOptions(controller.TypedOptions[attempt]{
			MaxConcurrentReconciles: workers, ReconciliationTimeout: timeout,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[attempt](100*time.Millisecond, 5*time.Second),
		}).
		Complete(reconcile.TypedFunc[attempt](r.Reconcile))
}

// Reconcile records what is known of one attempt. It returns no error that the caller could do something about.
func (r *Recorder) Reconcile(ctx context.Context, attempt attempt) (ctrl.Result, error) {
	err := r.record(ctx, attempt)
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), meta.IsNoMatchError(err):
		// Without its CRD, a namespace or a policy that is being deleted: there is nothing to record on.
		r.seen.succeeded(attempt)
		if meta.IsNoMatchError(err) {
			ctrl.LoggerFrom(ctx).V(1).Info("Cannot record an attempt", "job", attempt.NamespacedName, "why", err.Error())
		}
		return ctrl.Result{}, nil
	case r.seen.failed(attempt) > retries:
		ctrl.LoggerFrom(ctx).Info("Gave up recording an attempt; its drain is not affected", "job", attempt.NamespacedName, "why", err.Error())
		r.seen.succeeded(attempt)
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, err
}

func (r *Recorder) record(ctx context.Context, attempt attempt) error {
	var job batchv1.Job
	if err := r.Get(ctx, attempt.NamespacedName, &job); client.IgnoreNotFound(err) != nil {
		return err
	}
	if job.UID != attempt.UID {
		return r.close(ctx, attempt)
	}
	draft := newRecord(&job)
	if draft == nil {
		return nil
	}
	var list corev1.PodList
	if err := r.List(ctx, &list, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.ControllerUidLabel: string(job.UID)}); err != nil {
		return err
	}
	pods := slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool { return !metav1.IsControlledBy(&pod, &job) })
	ended := endings(pods, plan.Receipt(job.Name))
	probe := draft.DeepCopy()
	conclude(probe, &job, pods)
	if len(ended) == 0 && (probe.Result == drainv1alpha1.DrainResultRunning || probe.Result == drainv1alpha1.DrainResultStopped) {
		return nil // Nothing ran that could have left a word.
	}
	if r.seen.knows(attempt, probe.Result, ended) {
		return nil
	}
	result, err := r.write(ctx, draft, &job, pods, ended)
	if err != nil {
		return err
	}
	r.seen.note(attempt, result, ended)
	return nil
}

// write brings the record in line with what is known now. The logs of containers that it has already are not read again.
func (r *Recorder) write(ctx context.Context, draft *drainv1alpha1.DrainRecord, job *batchv1.Job, pods []corev1.Pod, ended []ending) (drainv1alpha1.DrainResult, error) {
	var record drainv1alpha1.DrainRecord
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(draft), &record)
	if client.IgnoreNotFound(err) != nil {
		return "", err
	}
	exists := err == nil
	if !exists {
		record = *draft
	}
	before := record.DeepCopy()
	record.Containers = r.containers(ctx, before.Containers, ended)
	conclude(&record, job, pods)
	switch {
	case !exists:
		if err := r.Create(ctx, &record); err != nil {
			return "", err
		}
		return record.Result, r.trim(ctx, &record)
	case equality.Semantic.DeepEqual(before, &record):
		return record.Result, nil
	}
	return record.Result, r.Update(ctx, &record)
}

// containers returns the entries of containers that have ended, and of those whose pods are gone by now.
func (r *Recorder) containers(ctx context.Context, before []drainv1alpha1.ContainerRecord, ended []ending) []drainv1alpha1.ContainerRecord {
	find := func(list []drainv1alpha1.ContainerRecord, name string) int {
		return slices.IndexFunc(list, func(c drainv1alpha1.ContainerRecord) bool { return c.Name == name })
	}
	var after []drainv1alpha1.ContainerRecord
	for i := range ended {
		container := ended[i].container
		at := find(before, container.Name)
		switch {
		case at >= 0 && same(&before[at], &container):
			container.Log, container.LogMissing = before[at].Log, before[at].LogMissing
		case at >= 0 && container.FinishedTime.Before(before[at].FinishedTime):
			container = before[at]
		default:
			container.Log, container.LogMissing = r.log(ctx, &ended[i], logSize(len(ended)))
		}
		after = append(after, container)
	}
	for i := range before {
		if find(after, before[i].Name) < 0 && len(after) < drainv1alpha1.MaxRecordedContainers {
			after = append(after, before[i])
		}
	}
	return after
}

// log returns the end of a container's log, or why it is missing.
func (r *Recorder) log(ctx context.Context, e *ending, size int) (text, missing string) {
	if r.Logs == nil {
		return "", ""
	}
	text, err := podlog.Tail(ctx, r.Logs, podlog.Container{
		Pod: client.ObjectKeyFromObject(e.pod), Name: e.container.Name, Previous: e.previous,
	}, size)
	if err != nil {
		return "", truncate(podlog.WhyNot(err), maxLogMissing)
	}
	return text, ""
}

// close ends the record of a Job that is gone.
func (r *Recorder) close(ctx context.Context, attempt attempt) error {
	if r.seen.ended(attempt) {
		r.seen.forget(attempt)
		return nil
	}
	var record drainv1alpha1.DrainRecord
	if err := r.Live.Get(ctx, types.NamespacedName{Namespace: attempt.Namespace, Name: recordName(attempt.Name, attempt.UID)}, &record); err != nil {
		return client.IgnoreNotFound(err)
	}
	if record.Result == drainv1alpha1.DrainResultRunning {
		stop(&record)
		if err := r.Update(ctx, &record); err != nil {
			return err
		}
	}
	r.seen.forget(attempt)
	return nil
}

// resume returns the attempts that were recorded as running before a restart. Their Jobs may be gone by now, and then nothing tells of them.
func (r *Recorder) resume(ctx context.Context) ([]attempt, error) {
	namespaces := r.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	var attempts []attempt
	for _, namespace := range namespaces {
		var list drainv1alpha1.DrainRecordList
		running := client.MatchingFields{"result": string(drainv1alpha1.DrainResultRunning)}
		if err := r.Live.List(ctx, &list, client.InNamespace(namespace), running); err != nil {
			return attempts, err
		}
		for i := range list.Items {
			record := &list.Items[i]
			attempts = append(attempts, attempt{types.NamespacedName{Namespace: record.Namespace, Name: record.JobName}, types.UID(record.JobUID)})
		}
	}
	return attempts, nil
}

// trim deletes the oldest records of a policy that has more than are kept. Their content is not read.
func (r *Recorder) trim(ctx context.Context, added *drainv1alpha1.DrainRecord) error {
	list := metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(drainv1alpha1.GroupVersion.WithKind("DrainRecordList"))
	policy := client.MatchingLabels{drainv1alpha1.PolicyUIDLabel: added.Labels[drainv1alpha1.PolicyUIDLabel]}
	if err := r.Live.List(ctx, &list, client.InNamespace(added.Namespace), policy); err != nil {
		return err
	}
	slices.SortFunc(list.Items, func(a, b metav1.PartialObjectMetadata) int {
		if order := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	var failed []error
	for i := r.Keep; i < len(list.Items); i++ {
		old := &list.Items[i]
		err := r.Delete(ctx, &drainv1alpha1.DrainRecord{ObjectMeta: metav1.ObjectMeta{Namespace: old.Namespace, Name: old.Name}},
			client.Preconditions{UID: ptr.To(old.UID)})
		failed = append(failed, client.IgnoreNotFound(err))
	}
	return errors.Join(failed...)
}

// memory knows what was recorded, so that an event that says nothing new costs no request. It is lost with the process.
type memory struct {
	mu       sync.Mutex
	known    map[attempt]recorded
	failures map[attempt]int
}

// recorded is the result in a record, and the containers that it has.
type recorded struct {
	result     drainv1alpha1.DrainResult
	containers map[string]bool
}

// key names a container that has ended.
func (e *ending) key() string { return fmt.Sprintf("%s/%s/%s", e.pod.UID, e.container.Name, e.id) }

// over reports whether a result is the last one of an attempt.
func over(result drainv1alpha1.DrainResult) bool {
	return result != "" && result != drainv1alpha1.DrainResultRunning
}

// knows reports whether the record has all of that.
func (m *memory) knows(of attempt, result drainv1alpha1.DrainResult, ended []ending) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.known[of]
	for i := range ended {
		if !known.containers[ended[i].key()] {
			return false
		}
	}
	return known.result == result || over(known.result)
}

func (m *memory) note(of attempt, result drainv1alpha1.DrainResult, ended []ending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[attempt]recorded{}
	}
	containers := map[string]bool{}
	for i := range ended {
		containers[ended[i].key()] = true
	}
	m.known[of] = recorded{result, containers}
}

// ended reports whether the record has how the attempt ended.
func (m *memory) ended(of attempt) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return over(m.known[of].result)
}

func (m *memory) forget(of attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, of)
}

// failed counts a failure, and returns how many there were in a row.
func (m *memory) failed(of attempt) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures == nil {
		m.failures = map[attempt]int{}
	}
	m.failures[of]++
	return m.failures[of]
}

func (m *memory) succeeded(of attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.failures, of)
}
