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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// TestAClaimThatAPersonDeletesIsNotCalledDrained has a drain whose success is not believed. A person gives up and deletes the claim.
func TestAClaimThatAPersonDeletesIsNotCalledDrained(t *testing.T) {
	for _, whenDrained := range []drainv1alpha1.WhenDrained{drainv1alpha1.WhenDrainedDelete, drainv1alpha1.WhenDrainedRetain} {
		t.Run(string(whenDrained), func(t *testing.T) {
			_, claim, all := drainedStore(whenDrained)
			for _, object := range all {
				if pod, ok := object.(*corev1.Pod); ok && pod.Name != "store-2" {
					pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue})
				}
			}
			cluster := fakeCluster(t, interceptor.Funcs{}, all...)
			r := reconcilerOn(cluster)
			round := func() {
				if err := reconcileStore(t, r); err != nil {
					t.Log(err)
				}
				pass(t, r, 2*time.Second)
				for _, entry := range read(t, cluster, "store", &drainv1alpha1.DrainPolicy{}).Status.Drains {
					if entry.State == drainv1alpha1.DrainDrained || entry.CompletionTime != nil {
						t.Errorf("the status says that ordinal %d is %s, %s, completed at %s, and no drain of it was believed", *entry.Ordinal, entry.State, entry.Reason, entry.CompletionTime)
					}
				}
			}
			for range 3 {
				round()
			}
			if err := cluster.Delete(t.Context(), claim.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			for range 6 {
				round()
			}
		})
	}
}

// TestALockThatCannotBeReadIsNotCreatedInHaste has a webhook that adds an annotation when pods are created, so that what the lock remembers
// can't be read from the start.
func TestALockThatCannotBeReadIsNotCreatedInHaste(t *testing.T) {
	cluster := fakeCluster(t, interceptor.Funcs{}, orphanedStore(func(p *drainv1alpha1.DrainPolicy) { p.Finalizers = []string{drainv1alpha1.PolicyFinalizer} })...)
	r := reconcilerOn(cluster)
	made := 0
	r.Client = interceptor.NewClient(cluster, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
		if pod, ok := o.(*corev1.Pod); ok && len(options) == 0 {
			made++
			pod.Annotations[drainv1alpha1.AttemptAnnotation] = "x"
			pod.UID, pod.CreationTimestamp.Time = types.UID("lock-"+pod.Name+string(rune('a'+made))), r.Clock.Now()
		}
		return c.Create(ctx, o, options...)
	}})
	for range 600 {
		if err := reconcileStore(t, r); err != nil {
			t.Log(err)
		}
		pass(t, r, 100*time.Millisecond)
	}
	if made < 1 || made > 3 {
		t.Errorf("the lock was created %d times in a minute, want one each half minute", made)
	}
	policy := read(t, cluster, "store", &drainv1alpha1.DrainPolicy{})
	if len(policy.Status.Drains) != 1 || policy.Status.Drains[0].Reason != drainv1alpha1.ReasonLockRefused {
		t.Errorf("the status says %+v, want LockRefused", policy.Status.Drains)
	}
}

// TestNoClaimIsDeletedAfterAFinalizerThatHung has a person take the policy's finalizer off before the claim is deleted. The write that puts it
// back hangs for four seconds, in which a pod comes that uses the claim.
func TestNoClaimIsDeletedAfterAFinalizerThatHung(t *testing.T) {
	_, _, all := drainedStore(drainv1alpha1.WhenDrainedDelete)
	cluster := fakeCluster(t, interceptor.Funcs{}, all...)
	r := reconcilerOn(cluster)
	noted, came := false, false
	r.Client = interceptor.NewClient(cluster, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if _, policy := o.(*drainv1alpha1.DrainPolicy); policy && noted && !came {
				came = true
				pass(t, r, 4*time.Second)
				if err := c.Create(ctx, userOf("backup", "data-store-2")); err != nil {
					return err
				}
			}
			if err := c.Patch(ctx, o, p, options...); err != nil || noted || o.GetAnnotations()[drainv1alpha1.DeletingAnnotation] == "" {
				return err
			}
			noted = true
			pass(t, r, 2*time.Second) // What is left of this look is too old.
			policy := read(t, c, "store", &drainv1alpha1.DrainPolicy{})
			policy.Finalizers = nil
			return c.Update(ctx, policy)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			if o.GetName() == "data-store-2" && came {
				t.Error("the claim is deleted beside a pod, on a look from before a write that hung")
			}
			return c.Delete(ctx, o, options...)
		},
	})
	for range 4 {
		if err := reconcileStore(t, r); err != nil {
			t.Log(err)
		}
		pass(t, r, time.Second)
	}
	if !came {
		t.Error("the finalizer was not put back")
	}
}
