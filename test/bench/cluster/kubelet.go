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

package cluster

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// reapers is the number of pods that are removed at once.
const reapers = 32

// reap removes the pods of the fake nodes that are being deleted, as their kubelets would: by UID. kwok could do that too, but
// by name. Its second request for a pod can remove the lock of the same name, in spite of its finalizer: the API server checks
// the finalizers of the pod that it read first, and deletes the one that is there by then.
func reap(ctx context.Context, client kubernetes.Interface) {
	bound := cache.NewFilteredListWatchFromClient(client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	})
	pods := make(chan *corev1.Pod, 10_000)
	var mu sync.Mutex
	known := map[types.UID]bool{}
	see := func(object any) {
		pod, ok := object.(*corev1.Pod)
		if !ok || pod.DeletionTimestamp == nil {
			return
		}
		mu.Lock()
		again := known[pod.UID]
		known[pod.UID] = true
		mu.Unlock()
		if !again {
			pods <- pod
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: bound, ObjectType: &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, object any) { see(object) }},
	})
	go informer.RunWithContext(ctx)
	for range reapers {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case pod := <-pods:
					remove(ctx, client, pod)
				}
			}
		}()
	}
}

// remove removes a pod. One of the same name that was created since has another UID, which is a conflict.
func remove(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) {
	options := metav1.DeleteOptions{GracePeriodSeconds: new(int64), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))}
	// An error means that the benchmark ends.
	_ = wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, options)
		return err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err), nil
	})
}
