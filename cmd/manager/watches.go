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

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// watched returns a list of each kind that the operator keeps in its caches.
func watched() map[client.Object]client.ObjectList {
	return map[client.Object]client.ObjectList{
		&drainv1alpha1.DrainPolicy{}:    &drainv1alpha1.DrainPolicyList{},
		&appsv1.StatefulSet{}:           &appsv1.StatefulSetList{},
		&corev1.PersistentVolumeClaim{}: &corev1.PersistentVolumeClaimList{},
		&corev1.Pod{}:                   &corev1.PodList{},
		&batchv1.Job{}:                  &batchv1.JobList{},
	}
}

// watches knows the state of the caches from the answers to their own requests.
type watches struct {
	informers []cache.Informer

	mu      sync.Mutex
	refused map[*toolscache.Reflector]*refusal
}

// refusal is an answer to a list or watch that stays the same until a person does something.
type refusal struct {
	err error
	log repeater
	// seen is what the reflector had read by then. It has more as soon as an answer is good again.
	seen string
}

// start makes the cache fill itself with all kinds when the manager starts: a replica that stands by is ready to take over.
func (w *watches) start(ctx context.Context, c cache.Cache) error {
	for object := range watched() {
		informer, err := c.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return err
		}
		w.informers = append(w.informers, informer)
	}
	return nil
}

// synced reports whether every object has been read.
func (w *watches) synced() bool {
	for _, informer := range w.informers {
		if !informer.HasSynced() {
			return false
		}
	}
	return true
}

// failed is called when a list or watch has failed, before it is tried again after up to 30 seconds.
func (w *watches) failed(ctx context.Context, r *toolscache.Reflector, err error) {
	what := "Waiting for the right to read "
	var advice string
	switch {
	case apierrors.IsForbidden(err):
		advice = "grant the right with the roles of this version (config/rbac), or set --namespaces to the namespaces that the operator may read"
	case apierrors.IsUnauthorized(err):
		advice = "check the credentials of the operator"
	case apierrors.IsNotFound(err):
		what, advice = "Waiting until the API server serves ", crdAdvice
	default:
		toolscache.DefaultWatchErrorHandler(ctx, r, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused == nil {
		w.refused = map[*toolscache.Reflector]*refusal{}
	}
	if w.refused[r] == nil {
		w.refused[r] = &refusal{}
	}
	refused := w.refused[r]
	refused.err, refused.seen = err, r.LastSyncResourceVersion()
	if refused.log.due(what) {
		ctrl.Log.Info(what+kind(r), "why", err.Error(), "fix", advice)
	}
}

// check returns why the caches aren't what the API server has. It sends no request.
func (w *watches) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var wrong []error
	for r, refused := range w.refused {
		if r.LastSyncResourceVersion() != refused.seen {
			ctrl.Log.Info("Reading " + kind(r) + " again")
			delete(w.refused, r)
			continue
		}
		wrong = append(wrong, fmt.Errorf("reading %s: %w", kind(r), refused.err))
	}
	if len(wrong) == 0 && !w.synced() {
		return errors.New("the caches are not filled yet")
	}
	return errors.Join(wrong...)
}

// kind returns the kind that a reflector reads, which it knows as "*v1.Pod".
func kind(r *toolscache.Reflector) string {
	description := r.TypeDescription()
	return description[strings.LastIndex(description, ".")+1:]
}
