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
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

// fakeCluster returns a client that has the indexes of the caches, for reads from the caches and live ones alike.
func fakeCluster(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, drainv1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).
		WithObjects(objects...).WithInterceptorFuncs(funcs).WithStatusSubresource(&drainv1alpha1.DrainPolicy{})
	if err := AddIndexes(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	return builder.Build()
}

type indexer struct{ *fake.ClientBuilder }

// IndexField implements client.FieldIndexer.
func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

// orphanedStore is fullSet's StatefulSet with a grace period, its policy, and the claim of an ordinal out of range.
func orphanedStore(change ...func(*drainv1alpha1.DrainPolicy)) []client.Object {
	set, policy := fullSet(), fullPolicy()
	set.Spec.Template.Spec.TerminationGracePeriodSeconds = nil
	set.Spec.PersistentVolumeClaimRetentionPolicy = nil
	set.Annotations = nil
	policy.Labels, policy.OwnerReferences, policy.Finalizers = nil, nil, nil
	policy.Spec.Proof = drainv1alpha1.ProofExitCode
	policy.Spec.Template.Spec.TerminationGracePeriodSeconds = nil
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "data-store-2", UID: "claim", Labels: map[string]string{"app": "store"},
		},
		Spec:   corev1.PersistentVolumeClaimSpec{VolumeName: "volume"},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
	for _, c := range change {
		c(policy)
	}
	objects := []client.Object{set, policy, claim}
	for _, object := range objects {
		object.SetResourceVersion("")
		object.SetManagedFields(nil)
	}
	return objects
}

// reconcilerOn returns a reconciler that reads a cluster as if its caches never lagged.
func reconcilerOn(cluster client.Client) *Reconciler {
	return &Reconciler{
		Client: cluster, Live: cluster, Recorder: events.NewFakeRecorder(100),
		Clock: clocktesting.NewFakePassiveClock(time.Unix(1000, 0)),
	}
}

// inOrder is the order of requests one after another, as the source has them.
func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// backwards is the opposite order.
func backwards(n int) []int {
	order := inOrder(n)
	slices.Reverse(order)
	return order
}

// look returns what a reconcile has in hand before it plans.
func look(t *testing.T, r *Reconciler) plan.Snapshot {
	t.Helper()
	policy := &drainv1alpha1.DrainPolicy{}
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "store"}, policy); err != nil {
		t.Fatal(err)
	}
	snapshot, _, err := r.gather(t.Context(), policy)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Preflight = r.preflight(t.Context(), snapshot)
	return snapshot
}

// TestALiveLookStartsNothingOnWhatTheCachesSaid changes the cluster between a look at the caches and the live one.
func TestALiveLookStartsNothingOnWhatTheCachesSaid(t *testing.T) {
	updatePolicy := func(change func(*drainv1alpha1.DrainPolicy)) func(*testing.T, client.Client) {
		return func(t *testing.T, c client.Client) {
			t.Helper()
			policy := &drainv1alpha1.DrainPolicy{}
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "store"}, policy); err != nil {
				t.Fatal(err)
			}
			change(policy)
			if err := c.Update(t.Context(), policy); err != nil {
				t.Fatal(err)
			}
		}
	}
	updateSet := func(change func(*appsv1.StatefulSet)) func(*testing.T, client.Client) {
		return func(t *testing.T, c client.Client) {
			t.Helper()
			set := &appsv1.StatefulSet{}
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "store"}, set); err != nil {
				t.Fatal(err)
			}
			set.Generation++
			change(set)
			if err := c.Update(t.Context(), set); err != nil {
				t.Fatal(err)
			}
			set.Status.ObservedGeneration = set.Generation
			if err := c.Status().Update(t.Context(), set); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*testing.T, client.Client)
		// wantStep is the next one; wantReason is why there is none. Both are empty where the ordinal isn't spoken of.
		wantStep   string
		wantReason string
	}{
		"the step is taken if nothing changes": {func(*testing.T, client.Client) {},
			"AddFinalizer", drainv1alpha1.ReasonStarting},
		"the step is taken if the policy changes and its template does not": {
			updatePolicy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.MaxConcurrentDrains = ptr.To[int32](3) }),
			"AddFinalizer", drainv1alpha1.ReasonStarting,
		},
		"no step is taken if the template changes": {
			updatePolicy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].Image = "drain:2" }),
			"", drainv1alpha1.ReasonPreflightFailed,
		},
		"the step is taken if the StatefulSet is scaled": {
			updateSet(func(*appsv1.StatefulSet) {}), "AddFinalizer", drainv1alpha1.ReasonStarting,
		},
		"no step is taken if what a drain takes over from the StatefulSet changes": {
			updateSet(func(set *appsv1.StatefulSet) { set.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "slow"} }),
			"", drainv1alpha1.ReasonPreflightFailed,
		},
		"no step is taken if the StatefulSet has another claim template": {
			updateSet(func(set *appsv1.StatefulSet) {
				other := set.Spec.VolumeClaimTemplates[0].DeepCopy()
				other.Name = "wal"
				set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, *other)
			}), "", drainv1alpha1.ReasonClaimMissing,
		},
		"no step is taken if an older policy appears": {
			func(t *testing.T, c client.Client) {
				t.Helper()
				older := fullPolicy()
				older.Name, older.UID, older.CreationTimestamp = "older", "older", metav1.Unix(1, 0)
				older.ResourceVersion, older.ManagedFields = "", nil
				if err := c.Create(t.Context(), older); err != nil {
					t.Fatal(err)
				}
			}, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fakeCluster(t, interceptor.Funcs{}, orphanedStore(func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.Template.Spec.NodeSelector = nil
			})...)
			r := reconcilerOn(cluster)
			cached := look(t, r)
			planned := plan.Make(cached, r.Clock.Now())
			if planned.Drain(2) == nil || plan.StepName(planned.Drain(2).Next) != "AddFinalizer" {
				t.Fatalf("the caches ask for %+v, want the first step to a lock; the policy is %+v",
					planned.Drain(2), planned.Ready)
			}
			tc.change(t, cluster)
			live, _, err := r.look(t.Context(), cached, 2)
			if err != nil {
				t.Fatal(err)
			}
			planned = plan.Make(live, r.Clock.Now())
			decision := planned.Drain(2)
			if decision == nil {
				decision = &plan.Drain{}
			}
			if plan.StepName(decision.Next) != tc.wantStep || decision.Reason != tc.wantReason {
				t.Errorf("the live look decides on %q (%s: %s), want %q (%s)",
					plan.StepName(decision.Next), decision.Reason, decision.Message, tc.wantStep, tc.wantReason)
			}
		})
	}
}

func TestTheSnapshotSharesNoTemplateWithThePolicyInHand(t *testing.T) {
	r := reconcilerOn(fakeCluster(t, interceptor.Funcs{}, orphanedStore()...))
	snapshot := look(t, r)
	snapshot.Policy.Spec.Template.Spec.Containers[0].Image = "of the answer to a patch"
	if got := snapshot.Template.Spec.Containers[0].Image; got != template().Spec.Containers[0].Image {
		t.Errorf("the snapshot's image became %q", got)
	}
}
