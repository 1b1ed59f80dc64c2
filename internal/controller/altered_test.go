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
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// TestAWebhookThatTakesBackAMarkDoesNotKeepAReconcileBusy has a webhook undo what the operator writes to a claim.
func TestAWebhookThatTakesBackAMarkDoesNotKeepAReconcileBusy(t *testing.T) {
	objects := orphanedStore(func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDrained = drainv1alpha1.WhenDrainedRetain })
	set := objects[0]
	mark := claims.Mark{ClaimUID: "claim", Job: "past", StatefulSetUID: set.GetUID(), Generation: set.GetGeneration() - 1}
	metav1.SetMetaDataAnnotation(&objects[2].(*corev1.PersistentVolumeClaim).ObjectMeta, drainv1alpha1.DrainedAnnotation, mark.String())
	writes := 0
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	undo := func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch,
		options ...client.PatchOption) error {
		claim, ok := object.(*corev1.PersistentVolumeClaim)
		if !ok {
			return c.Patch(ctx, object, patch, options...)
		}
		writes++
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return c.Get(ctx, client.ObjectKeyFromObject(claim), claim) // As it was, with its resourceVersion.
	}
	cluster := fakeCluster(t, interceptor.Funcs{Patch: undo}, objects...)
	result, err := reconcilerOn(cluster).Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "shop", Name: "store"}})
	if writes != 1 || err != nil || result.RequeueAfter != plan.RefusalRecheck {
		t.Errorf("the reconcile wrote to the claim %d times and ended with %+v and %v, want one write and another reconcile after %v",
			writes, result, err, plan.RefusalRecheck)
	}
	if got := conditionOf(t, cluster, drainv1alpha1.ConditionStalled); !strings.HasPrefix(got, "True/WriteRefused: ") {
		t.Errorf("Stalled is %q, want True/WriteRefused", got)
	}
}
