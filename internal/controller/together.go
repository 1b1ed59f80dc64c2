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
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// sideBySide is how many requests a reconcile makes at the same time.
const sideBySide = 16

// each calls a function for each index, side by side unless the reconciler has an order. It returns the first error.
func (r *Reconciler) each(n int, do func(i int) error) error {
	if n == 1 {
		return do(0)
	}
	if r.Order != nil {
		for _, i := range r.Order(n) {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

// together calls functions as each does.
func (r *Reconciler) together(all ...func() error) error {
	return r.each(len(all), func(i int) error { return all[i]() })
}

// errListEnded is what those get who wait for a list that ends without an answer, in a panic.
var errListEnded = errors.New("the list of pods did not end")

// listTimeout ends a list that hangs. It is no reconcile's own: others wait for it too.
const listTimeout = 30 * time.Second

// podLists lists the pods of namespaces, but for those that decide nothing, for several looks at once. A look gets a list that began after the look did, so the
// list is as good as its own. While one list is under way, those who come wait for the next: at most one per namespace is
// under way, however many policies drain there. What it returns must not be changed.
type podLists struct {
	mu   sync.Mutex
	next map[string]*podList
	busy map[string]*podList
}

// podList is one list of the pods of a namespace.
type podList struct {
	// done is closed when it has ended.
	done chan struct{}
	pods []corev1.Pod
	err  error
}

// list returns the pods of a namespace, but for those that decide nothing.
func (l *podLists) list(ctx context.Context, reader client.Reader, namespace string) ([]corev1.Pod, error) {
	l.mu.Lock()
	if l.next == nil {
		l.next, l.busy = map[string]*podList{}, map[string]*podList{}
	}
	mine, before := l.next[namespace], l.busy[namespace]
	if mine != nil {
		l.mu.Unlock()
		return mine.wait(ctx)
	}
	mine = &podList{done: make(chan struct{}), err: errListEnded}
	l.next[namespace] = mine
	l.mu.Unlock()
	if before != nil {
		// Those who come until then join.
		<-before.done
	}
	l.mu.Lock()
	delete(l.next, namespace)
	l.busy[namespace] = mine
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.busy, namespace)
		l.mu.Unlock()
		close(mine.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listTimeout)
	defer cancel()
	mine.pods, mine.err = listPages(ctx, reader, namespace)
	return mine.pods, mine.err
}

func (p *podList) wait(ctx context.Context) ([]corev1.Pod, error) {
	select {
	case <-p.done:
		return p.pods, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// podsPerPage is how many pods one answer of a list has at most. Only those are decoded at the same time, whatever else runs in the namespace.
const podsPerPage = 1000

// listPages lists the pods of a namespace that can decide anything. The first page is as consistent a read as a list without pages is
// (ShouldDelegateList in apiserver/pkg/storage/cacher/delegator), and all others show its resourceVersion, so they are one look. The API
// server refuses a page (410, Expired) when it can't give that version any more.
func listPages(ctx context.Context, reader client.Reader, namespace string) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	for next := ""; ; {
		var page corev1.PodList
		if err := reader.List(ctx, &page, client.InNamespace(namespace), client.Limit(podsPerPage), client.Continue(next)); err != nil {
			return nil, err
		}
		for i := range page.Items {
			if pod := &page.Items[i]; !decidesNothing(pod) {
				pods = append(pods, *trimmed(pod))
			}
		}
		if next = page.Continue; next == "" {
			return pods, nil
		}
	}
}

// decidesNothing reports whether a pod is a Deployment's or a DaemonSet's, and no rule asks for it: it uses no claim, bears none of the
// operator's labels, and has no name that an ordinal could have. A namespace can have very many of them.
func decidesNothing(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil || owner.APIVersion != appsv1.SchemeGroupVersion.String() || (owner.Kind != "ReplicaSet" && owner.Kind != "DaemonSet") {
		return false
	}
	if labeled(pod) {
		return false
	}
	if slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil || v.Ephemeral != nil }) {
		return false
	}
	return strings.Trim(pod.Name[strings.LastIndex(pod.Name, "-")+1:], "0123456789") != ""
}

// labeled reports whether a pod bears a label of the operator's.
func labeled(pod *corev1.Pod) bool {
	for key := range pod.Labels {
		if strings.HasPrefix(key, drainv1alpha1.GroupVersion.Group+"/") {
			return true
		}
	}
	return false
}

// trimmed takes out of a pod what no rule reads: of a pod without the operator's labels, rules don't ask what runs in it, only who it is, which
// claims it uses, what holds it back, and whether it has ended.
func trimmed(pod *corev1.Pod) *corev1.Pod {
	pod.ManagedFields = nil
	if !labeled(pod) {
		pod.Spec.Containers, pod.Spec.InitContainers, pod.Spec.EphemeralContainers = nil, nil, nil
		pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses = nil, nil, nil
	}
	return pod
}
