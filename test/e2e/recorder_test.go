//go:build e2e

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

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// change is one event of a watch.
type change struct {
	kind    watch.EventType
	object  client.Object
	version uint64
}

// recorder keeps everything that ever happened to the Pods, Jobs, claims and policies of a namespace. A promise that something never happens
// can't be tested by looking now and then; it can be tested by looking at all of it afterwards.
type recorder struct {
	namespace string
	cancel    context.CancelFunc
	done      sync.WaitGroup

	mu      sync.Mutex
	changes []change
	waiters []waiter
	// gaps are the times when a watch couldn't go on where it had ended, because the API server had forgotten what happened since.
	gaps    []string
	broken  error
	stopped bool
}

// waiter gets the first change that fits.
type waiter struct {
	fits func(change) bool
	told chan<- change
}

// startRecorder watches a namespace that is empty still. It outlives the test's context, which ends before the test's cleanup.
func startRecorder(namespace string) *recorder {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &recorder{namespace: namespace, cancel: cancel}
	for _, list := range []client.ObjectList{
		&corev1.PodList{}, &batchv1.JobList{}, &corev1.PersistentVolumeClaimList{}, &drainv1alpha1.DrainPolicyList{},
	} {
		Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		Expect(meta.LenList(list)).To(BeZero(), "the namespace %s is new, but has %T", namespace, list)
		r.done.Go(func() {
			if err := r.follow(ctx, list); err != nil && ctx.Err() == nil {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.broken = fmt.Errorf("watching %T: %w", list, err)
			}
		})
	}
	return r
}

// follow watches one kind from the list's version on, and goes on where a watch ended. While the API server is away, it tries again.
func (r *recorder) follow(ctx context.Context, list client.ObjectList) error {
	from := list.GetResourceVersion()
	ticker := time.NewTicker(pollStep)
	defer ticker.Stop()
	for lost := time.Now(); ctx.Err() == nil; {
		w, err := cluster.Watch(ctx, list, client.InNamespace(r.namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: from}})
		if err == nil {
			lost = time.Now()
			from, err = r.record(w, from)
		}
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			var at string
			if at, err = r.catchUp(ctx, list); err == nil {
				from = at
			}
		}
		// A kind whose CRD was removed may come back later than that.
		if err != nil && !apierrors.IsNotFound(err) && time.Since(lost) > patience {
			return err
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return nil
}

// record keeps the events of a watch until it ends, and gives the version it came to.
func (r *recorder) record(w watch.Interface, from string) (string, error) {
	defer w.Stop()
	for event := range w.ResultChan() {
		object, ok := event.Object.(client.Object)
		if event.Type == watch.Error || !ok {
			return from, apierrors.FromObject(event.Object)
		}
		from = object.GetResourceVersion()
		if err := r.add(event.Type, object, from); err != nil {
			return from, err
		}
	}
	return from, nil
}

func (r *recorder) add(kind watch.EventType, object client.Object, at string) error {
	version, err := strconv.ParseUint(at, 10, 64)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := change{kind: kind, object: object, version: version}
	r.changes = append(r.changes, c)
	r.waiters = slices.DeleteFunc(r.waiters, func(w waiter) bool {
		if !w.fits(c) {
			return false
		}
		w.told <- c
		return true
	})
	return nil
}

// catchUp adds the difference between what was recorded and what is there now, and notes that there is a gap.
func (r *recorder) catchUp(ctx context.Context, list client.ObjectList) (string, error) {
	if err := cluster.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
		return "", err
	}
	at := list.GetResourceVersion()
	kind := strings.TrimSuffix(fmt.Sprintf("%T", list), "List")
	r.mu.Lock()
	r.gaps = append(r.gaps, fmt.Sprintf("%s before version %s", kind, at))
	known := map[types.UID]client.Object{}
	for _, c := range r.changes {
		if fmt.Sprintf("%T", c.object) != kind {
			continue
		}
		known[c.object.GetUID()] = c.object
		if c.kind == watch.Deleted {
			delete(known, c.object.GetUID())
		}
	}
	r.mu.Unlock()
	items, err := meta.ExtractList(list)
	if err != nil {
		return "", err
	}
	for _, item := range items {
		object := item.DeepCopyObject().(client.Object) //nolint:forcetypeassert // Every list of ours has such items.
		last := known[object.GetUID()]
		delete(known, object.GetUID())
		switch {
		case last == nil:
			err = r.add(watch.Added, object, object.GetResourceVersion())
		case last.GetResourceVersion() != object.GetResourceVersion():
			err = r.add(watch.Modified, object, object.GetResourceVersion())
		}
		if err != nil {
			return "", err
		}
	}
	for _, object := range known {
		if err := r.add(watch.Deleted, object, at); err != nil {
			return "", err
		}
	}
	return at, nil
}

// next gives the first change from now on that fits, as soon as the recorder hears of it.
func (r *recorder) next(fits func(change) bool) <-chan change {
	told := make(chan change, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters = append(r.waiters, waiter{fits: fits, told: told})
	return told
}

// stop ends the recording, for good; what was recorded stays.
func (r *recorder) stop() {
	r.cancel()
	r.done.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}

// history is all that happened, over all kinds in the order it happened: resource versions grow over the whole of one etcd.
func (r *recorder) history() []change {
	GinkgoHelper()
	r.mu.Lock()
	defer r.mu.Unlock()
	Expect(r.broken).NotTo(HaveOccurred(), "the recorder must see everything")
	sorted := slices.Clone(r.changes)
	slices.SortStableFunc(sorted, func(a, b change) int {
		switch {
		case a.version < b.version:
			return -1
		case a.version > b.version:
			return 1
		}
		return 0
	})
	return sorted
}

// objectsOf is every object of a type that ever was, as it was last seen, in the order of creation.
func objectsOf[T client.Object](r *recorder) []T {
	GinkgoHelper()
	var order []string
	last := map[string]T{}
	for _, c := range r.history() {
		object, ok := c.object.(T)
		if !ok {
			continue
		}
		uid := string(object.GetUID())
		if _, known := last[uid]; !known {
			order = append(order, uid)
		}
		last[uid] = object
	}
	all := make([]T, 0, len(order))
	for _, uid := range order {
		all = append(all, last[uid])
	}
	return all
}

// drainJobs are all Jobs that ever were.
func (r *recorder) drainJobs() []*batchv1.Job {
	GinkgoHelper()
	return objectsOf[*batchv1.Job](r)
}

// drainPods are all drain Pods that ever were.
func (r *recorder) drainPods() []*corev1.Pod {
	GinkgoHelper()
	return slices.DeleteFunc(objectsOf[*corev1.Pod](r), func(pod *corev1.Pod) bool { return !isDrainPod(pod) })
}

// drainedOrdinals are the ordinals of the drain Jobs, in the order of their creation.
func (r *recorder) drainedOrdinals() []string {
	GinkgoHelper()
	jobs := r.drainJobs()
	ordinals := make([]string, 0, len(jobs))
	for _, job := range jobs {
		ordinals = append(ordinals, job.Labels[drainv1alpha1.OrdinalLabel])
	}
	return ordinals
}

// mostDrainsAtOnce is the largest number of ordinals that had a living drain Pod at the same moment.
func (r *recorder) mostDrainsAtOnce() int {
	GinkgoHelper()
	most := 0
	r.replay(func(pods map[string]*corev1.Pod, _ *corev1.Pod) {
		ordinals := map[string]bool{}
		for _, pod := range pods {
			if isDrainPod(pod) && isAlive(pod) {
				ordinals[pod.Labels[drainv1alpha1.OrdinalLabel]] = true
			}
		}
		most = max(most, len(ordinals))
	})
	return most
}

// replay shows the Pods as they were after each change of one, the changed one in addition.
func (r *recorder) replay(look func(pods map[string]*corev1.Pod, changed *corev1.Pod)) {
	GinkgoHelper()
	pods := map[string]*corev1.Pod{}
	for _, c := range r.history() {
		pod, ok := c.object.(*corev1.Pod)
		if !ok {
			continue
		}
		if c.kind == watch.Deleted {
			delete(pods, pod.Name)
		} else {
			pods[pod.Name] = pod
		}
		look(pods, pod)
	}
}

// brokenPromises looks for what must never happen to a StatefulSet, in all that happened.
func (r *recorder) brokenPromises(set string) []string {
	GinkgoHelper()
	var broken []string
	say := func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); !slices.Contains(broken, line) {
			broken = append(broken, line)
		}
	}
	r.replay(func(pods map[string]*corev1.Pod, _ *corev1.Pod) {
		drains := map[string][]string{}
		for _, pod := range pods {
			if !isDrainPod(pod) || !isAlive(pod) {
				continue
			}
			ordinal := pod.Labels[drainv1alpha1.OrdinalLabel]
			drains[ordinal] = append(drains[ordinal], pod.Name)
			name := set + "-" + ordinal
			switch other := pods[name]; {
			case other == nil:
				say("drain Pod %s lived without the lock %s", pod.Name, name)
			case !isLock(other):
				say("drain Pod %s lived beside the StatefulSet's own Pod %s: two writers", pod.Name, name)
			}
		}
		for ordinal, names := range drains {
			if len(names) > 1 {
				slices.Sort(names)
				say("ordinal %s had two drain Pods at once: %s", ordinal, strings.Join(names, ", "))
			}
		}
	})
	for _, line := range r.undrainedDeletions(set) {
		say("%s", line)
	}
	return broken
}

// undrainedDeletions are the deletions of claims without a drain that has succeeded since a Pod of the StatefulSet last had them.
func (r *recorder) undrainedDeletions(set string) []string {
	GinkgoHelper()
	var lines []string
	drained := map[string]bool{}
	deleted := map[string]bool{}
	var proof drainv1alpha1.Proof
	for _, c := range r.history() {
		switch object := c.object.(type) {
		case *drainv1alpha1.DrainPolicy:
			if object.Spec.StatefulSetRef.Name == set {
				proof = object.Spec.Proof
			}
		case *corev1.Pod:
			ordinal := object.Name[strings.LastIndex(object.Name, "-")+1:]
			switch {
			case isDrainPod(object) && isEvidence(object, proof):
				drained[object.Labels[drainv1alpha1.OrdinalLabel]] = true
			case object.Name == set+"-"+ordinal && !isLock(object) && c.kind == watch.Added:
				drained[ordinal] = false
			}
		case *corev1.PersistentVolumeClaim:
			if (c.kind != watch.Deleted && object.DeletionTimestamp == nil) || deleted[string(object.UID)] {
				continue
			}
			deleted[string(object.UID)] = true
			if !drained[object.Name[strings.LastIndex(object.Name, "-")+1:]] {
				lines = append(lines, fmt.Sprintf("claim %s was deleted, and no drain had succeeded since its Pod last used it", object.Name))
			}
			if object.Annotations[drainv1alpha1.DrainedAnnotation] == "" {
				lines = append(lines, fmt.Sprintf("claim %s was deleted without being marked as drained", object.Name))
			}
		}
	}
	return lines
}

// ends are the drain Pods that have ended, each as it was first seen so, in that order.
func (r *recorder) ends() []*corev1.Pod {
	GinkgoHelper()
	var ends []*corev1.Pod
	for _, c := range r.history() {
		pod, ok := c.object.(*corev1.Pod)
		if !ok || !isDrainPod(pod) || (pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed) {
			continue
		}
		if !slices.ContainsFunc(ends, func(known *corev1.Pod) bool { return known.UID == pod.UID }) {
			ends = append(ends, pod)
		}
	}
	return ends
}

// seen tells whether the recorder has caught up with everything that is there now, unless it was stopped.
func (r *recorder) seen(ctx context.Context) func(Gomega) {
	return func(g Gomega) {
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(r.namespace))).To(Succeed())
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stopped {
			return
		}
		latest := map[string]string{}
		for _, c := range r.changes {
			if pod, ok := c.object.(*corev1.Pod); ok {
				latest[string(pod.UID)] = pod.ResourceVersion
			}
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			g.Expect(latest).To(HaveKeyWithValue(string(pod.UID), pod.ResourceVersion), "the latest change of Pod %s", pod.Name)
		}
	}
}

func isDrainPod(pod *corev1.Pod) bool {
	return pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleDrain
}

// isEvidence tells whether a drain Pod shows that its drain was done: it succeeded, no one had told it to end, and, unless the policy believes
// exit codes, each of its containers left the receipt of its attempt.
func isEvidence(pod *corev1.Pod, proof drainv1alpha1.Proof) bool {
	if pod.Status.Phase != corev1.PodSucceeded || pod.DeletionTimestamp != nil || isDisrupted(pod) {
		return false
	}
	if proof == drainv1alpha1.ProofExitCode {
		return true
	}
	receipt := ""
	for _, env := range pod.Spec.Containers[0].Env {
		if env.Name == "DRAIN_RECEIPT" {
			receipt = env.Value
		}
	}
	return receipt != "" && len(pod.Status.ContainerStatuses) == len(pod.Spec.Containers) &&
		!slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
			return s.State.Terminated == nil || !strings.HasSuffix(strings.TrimSpace(s.State.Terminated.Message), receipt)
		})
}

// isDisrupted tells whether a Pod shows that it was told to end.
func isDisrupted(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue
	})
}

func isLock(pod *corev1.Pod) bool {
	return pod.Labels[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLock
}

// isAlive tells whether a Pod's containers run or may yet: it has passed its gates and has not ended.
func isAlive(pod *corev1.Pod) bool {
	return len(pod.Spec.SchedulingGates) == 0 && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}
