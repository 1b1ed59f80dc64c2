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

package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// writers is the number of requests that a setup has under way at once.
const writers = 64

// Workload creates objects as the administrator.
type Workload struct {
	Client kubernetes.Interface
	// Apply creates the objects of a YAML document.
	Apply func(ctx context.Context, document []byte) error
	// Patch merges a patch into the object of a YAML document.
	Patch func(ctx context.Context, document, patch []byte) error
	// Policy is the template of the policies; empty means that the sets have none.
	Policy string
}

// Namespaces creates namespaces, and waits until pods can be created in them.
func (w Workload) Namespaces(ctx context.Context, names ...string) error {
	if _, err := w.Client.StorageV1().StorageClasses().Create(ctx, class(), metav1.CreateOptions{}); ignoreExists(err) != nil {
		return err
	}
	return parallel(ctx, len(names), func(ctx context.Context, i int) error {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names[i]}}
		if _, err := w.Client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); ignoreExists(err) != nil {
			return err
		}
		return poll(ctx, func(ctx context.Context) (bool, error) {
			_, err := w.Client.CoreV1().ServiceAccounts(names[i]).Get(ctx, "default", metav1.GetOptions{})
			return err == nil, nil
		})
	})
}

// Sets creates the sets with their volumes, waits until all of their replicas are ready, and creates their policies.
func (w Workload) Sets(ctx context.Context, sets []Set) error {
	if err := parallel(ctx, len(sets), func(ctx context.Context, i int) error {
		for ordinal := range sets[i].From {
			if _, err := w.Client.CoreV1().PersistentVolumes().Create(ctx, sets[i].volume(ordinal), metav1.CreateOptions{}); err != nil {
				return err
			}
		}
		_, err := w.Client.AppsV1().StatefulSets(sets[i].Namespace).Create(ctx, sets[i].statefulSet(), metav1.CreateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("creating the StatefulSets: %w", err)
	}
	if err := w.ready(ctx, sets); err != nil {
		return fmt.Errorf("waiting for the StatefulSets: %w", err)
	}
	return w.Policies(ctx, sets)
}

// Policies creates the policies of the sets.
func (w Workload) Policies(ctx context.Context, sets []Set) error {
	if w.Policy == "" {
		return nil
	}
	err := parallel(ctx, len(sets), func(ctx context.Context, i int) error {
		text, err := sets[i].Policy(w.Policy)
		if err != nil {
			return err
		}
		return w.Apply(ctx, text)
	})
	if err != nil {
		return fmt.Errorf("creating the policies: %w", err)
	}
	return nil
}

// ready waits until all replicas of all sets are ready.
func (w Workload) ready(ctx context.Context, sets []Set) error {
	wanted := map[types.NamespacedName]int32{}
	for _, set := range sets {
		wanted[types.NamespacedName{Namespace: set.Namespace, Name: set.Name}] = set.From
	}
	return poll(ctx, func(ctx context.Context) (bool, error) {
		list, err := w.Client.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return false, err
		}
		ready := 0
		for i := range list.Items {
			set := &list.Items[i]
			if want, ours := wanted[types.NamespacedName{Namespace: set.Namespace, Name: set.Name}]; ours && set.Status.ReadyReplicas == want {
				ready++
			}
		}
		return ready == len(wanted), nil
	})
}

// Idle creates sets of no replica whose claims exist, as after a scale-down without a policy. The claims are bound to volumes
// that do not exist, so no controller may bind claims.
func (w Workload) Idle(ctx context.Context, sets []Set, claims int32) error {
	err := parallel(ctx, len(sets), func(ctx context.Context, i int) error {
		set := sets[i].statefulSet()
		set.Spec.Replicas = new(int32)
		if _, err := w.Client.AppsV1().StatefulSets(set.Namespace).Create(ctx, set, metav1.CreateOptions{}); err != nil {
			return err
		}
		for ordinal := range claims {
			claim, err := w.Client.CoreV1().PersistentVolumeClaims(set.Namespace).Create(ctx, sets[i].claim(ordinal), metav1.CreateOptions{})
			if err != nil {
				return err
			}
			patch := []byte(`{"status":{"phase":"Bound","accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"}}}`)
			if _, err := w.Client.CoreV1().PersistentVolumeClaims(set.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch,
				metav1.PatchOptions{}, "status"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("creating idle StatefulSets: %w", err)
	}
	return nil
}

// Foreign creates pods of others in a namespace.
func (w Workload) Foreign(ctx context.Context, namespace string, number int) error {
	err := parallel(ctx, number, func(ctx context.Context, i int) error {
		_, err := w.Client.CoreV1().Pods(namespace).Create(ctx, foreignPod(namespace, i), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("creating pods of others: %w", err)
	}
	return nil
}

// Settled waits until all claims are bound and reported as used or unused. Then the controllers have nothing left to do.
func (w Workload) Settled(ctx context.Context) error {
	return poll(ctx, func(ctx context.Context) (bool, error) {
		list, err := w.Client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return false, err
		}
		for i := range list.Items {
			if status := &list.Items[i].Status; status.Phase != corev1.ClaimBound || len(status.Conditions) == 0 {
				return false, sleepFor(ctx, 2*time.Second)
			}
		}
		return true, nil
	})
}

// Touch changes the claim of a set's first ordinal, or its policy. The change means nothing, but a controller has to look.
func (w Workload) Touch(ctx context.Context, set Set, n int, policy bool) error {
	if policy {
		text, err := set.Policy(w.Policy)
		if err != nil {
			return err
		}
		return w.Patch(ctx, text, fmt.Appendf(nil, `{"spec":{"retry":{"initialDelaySeconds":%d}}}`, 30+n%100))
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{"example.com/touched":"%d"}}}`, n)
	_, err := w.Client.CoreV1().PersistentVolumeClaims(set.Namespace).Patch(ctx, ClaimName(set.Name, 0), types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// Scale scales all sets down at once.
func (w Workload) Scale(ctx context.Context, sets []Set) error {
	err := parallel(ctx, len(sets), func(ctx context.Context, i int) error {
		patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, sets[i].To)
		_, err := w.Client.AppsV1().StatefulSets(sets[i].Namespace).Patch(ctx, sets[i].Name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("scaling down: %w", err)
	}
	return nil
}

// parallel calls a function for the numbers below n, several at once, until one fails.
func parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var group sync.WaitGroup
	for range min(writers, n) {
		group.Go(func() {
			for i := range numbers {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case numbers <- i:
		case <-ctx.Done():
		}
	}
	close(numbers)
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// poll asks until the answer is yes. What it waits for takes seconds or minutes, and is no part of a measurement.
func poll(ctx context.Context, done func(context.Context) (bool, error)) error {
	return wait.PollUntilContextCancel(ctx, 500*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		ok, err := done(ctx)
		if err != nil && ctx.Err() != nil {
			return false, errors.Join(ctx.Err(), err)
		}
		return ok, err
	})
}

func sleepFor(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
