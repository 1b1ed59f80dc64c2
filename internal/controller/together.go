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
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

// podLists lists the pods of namespaces for several looks at once. A look gets a list that began after the look did, so the
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

// list returns all pods of a namespace.
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
	var list corev1.PodList
	mine.err = reader.List(ctx, &list, client.InNamespace(namespace))
	mine.pods = list.Items
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
