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
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

var (
	pods      = schema.GroupResource{Resource: "pods"}
	forbidden = apierrors.NewForbidden(pods, "store-2", errors.New("exceeded quota"))
)

// errorsOf are the errors of every outcome.
var errorsOf = map[plan.Outcome][]error{
	plan.Done: {nil},
	plan.Conflict: {
		apierrors.NewConflict(pods, "x", errors.New("newer")), apierrors.NewAlreadyExists(pods, "x"),
		fmt.Errorf("%w: it is gone", errChanged),
	},
	plan.Refused: {
		forbidden, apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "x", nil),
		apierrors.NewBadRequest("a webhook says no"),
		apierrors.NewRequestEntityTooLargeError("too much"), failedRead(forbidden, "listing pods"),
	},
	plan.Lost: {
		apierrors.NewTimeoutError("no answer", 1),
		apierrors.NewServerTimeout(pods, "list", 1), apierrors.NewTooManyRequestsError("later"),
		apierrors.NewInternalError(errors.New("etcd")),
		apierrors.NewServiceUnavailable("gone"), apierrors.NewUnauthorized("who?"),
		apierrors.NewNotFound(pods, "x"), context.DeadlineExceeded, errors.New("connection refused"),
	},
}

var outcomes = []plan.Outcome{plan.Done, plan.Conflict, plan.Refused, plan.Lost}

func TestClassifyOneError(t *testing.T) {
	for _, want := range outcomes {
		for _, err := range errorsOf[want] {
			if got := classify(err); got != want {
				t.Errorf("classify(%v) = %d, want %d", err, got, want)
			}
			if err == nil {
				continue
			}
			if got := classify(fmt.Errorf("ordinal 2: %w", err)); got != want {
				t.Errorf("classify(a wrapped %v) = %d, want %d", err, got, want)
			}
		}
	}
}

// TestOutcomeGoesByTheWorstClass takes every pair of classes, in both orders and joined in every way.
func TestOutcomeGoesByTheWorstClass(t *testing.T) {
	const next = time.Minute
	want := map[plan.Outcome]ctrl.Result{
		plan.Done: {RequeueAfter: next}, plan.Conflict: {RequeueAfter: cacheLag},
		plan.Refused: {RequeueAfter: plan.RefusalRecheck},
		plan.Lost:    {},
	}
	for _, one := range outcomes {
		for _, other := range outcomes {
			worst := max(one, other)
			for _, a := range errorsOf[one] {
				for _, b := range errorsOf[other] {
					for name, errs := range map[string][]error{
						"side by side": {a, b},
						"joined":       {errors.Join(a, b)},
						"joined twice": {errors.Join(nil, errors.Join(a), errors.Join(b, nil))},
					} {
						result, err := outcome(t.Context(), next, errs...)
						if result != want[worst] || (err != nil) != (worst == plan.Lost) {
							t.Errorf("%v and %v, %s: %+v and error %v, want %+v, and an error: %t",
								a, b, name, result, err, want[worst], worst == plan.Lost)
						}
					}
					if a == nil || b == nil {
						continue
					}
					if got := classify(fmt.Errorf("looking: %w", errors.Join(fmt.Errorf("one: %w", a), b))); got != worst {
						t.Errorf("%v and %v, joined and wrapped: outcome %v, want %v", a, b, got, worst)
					}
				}
			}
		}
	}
}

func TestOutcomeOfARefusalLooksAgainEarlierIfSomethingIsDue(t *testing.T) {
	for next, want := range map[time.Duration]time.Duration{
		0: plan.RefusalRecheck, time.Second: time.Second, time.Hour: plan.RefusalRecheck,
	} {
		if result, err := outcome(t.Context(), next, forbidden); err != nil || result.RequeueAfter != want {
			t.Errorf("next in %v: %+v and %v, want %v", next, result, err, want)
		}
	}
}

func TestDrainsThatHaveBegunGoFirst(t *testing.T) {
	waiting, begun := plan.Drain{Ordinal: 1}, plan.Drain{Ordinal: 2, Lock: &corev1.Pod{}}
	succeeded := plan.Drain{Ordinal: 3, Lock: &corev1.Pod{}, Succeeded: true}
	for name, tc := range map[string]struct {
		drains []plan.Drain
		after  time.Duration
		err    error

		wantPriority int
		wantAfter    time.Duration
	}{
		"nothing to drain":                        {},
		"no drain has begun":                      {drains: []plan.Drain{waiting}, after: time.Hour, wantAfter: time.Hour},
		"a drain has begun":                       {drains: []plan.Drain{waiting, begun}, after: time.Second, wantPriority: 1, wantAfter: time.Second},
		"a drain waits for an event":              {drains: []plan.Drain{begun}, wantPriority: 1, wantAfter: turnKept},
		"a drain waits for long":                  {drains: []plan.Drain{begun}, after: time.Hour, wantPriority: 1, wantAfter: turnKept},
		"a drain has succeeded":                   {drains: []plan.Drain{succeeded, begun}, after: time.Second, wantPriority: 2, wantAfter: time.Second},
		"a drain's lock meets a conflict":         {drains: []plan.Drain{begun}, err: errChanged, wantPriority: 1, wantAfter: turnKept},
		"a drain has begun and a read is refused": {drains: []plan.Drain{begun}, err: forbidden},
		"a drain's Job is refused":                {drains: []plan.Drain{{Lock: &corev1.Pod{}, State: drainv1alpha1.DrainBlocked}}},
		"a drain has begun and a request fails":   {drains: []plan.Drain{begun}, err: context.DeadlineExceeded},
	} {
		got := prioritized(ctrl.Result{RequeueAfter: tc.after}, &plan.Plan{Drains: tc.drains}, tc.err)
		if got.Priority == nil || *got.Priority != tc.wantPriority || got.RequeueAfter != tc.wantAfter {
			t.Errorf("%s: priority %v after %s, want %d after %s", name, ptr.Deref(got.Priority, -1), got.RequeueAfter, tc.wantPriority, tc.wantAfter)
		}
	}
}

// request is for the policy of fullPolicy.
var request = ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "shop", Name: "store"}}

// statusWrites counts patches of the status of policies.
func statusWrites(count *int) interceptor.Funcs {
	return interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch,
			options ...client.SubResourcePatchOption,
		) error {
			*count++
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	}
}

// conditionOf returns a condition of the policy, in words.
func conditionOf(t *testing.T, c client.Client, name string) string {
	t.Helper()
	policy := &drainv1alpha1.DrainPolicy{}
	if err := c.Get(t.Context(), request.NamespacedName, policy); err != nil {
		t.Fatal(err)
	}
	condition := meta.FindStatusCondition(policy.Status.Conditions, name)
	if condition == nil {
		return ""
	}
	return fmt.Sprintf("%s/%s: %s", condition.Status, condition.Reason, condition.Message)
}

func TestAReadThatFailsIsShownInReady(t *testing.T) {
	kept := metav1.Condition{
		Type: drainv1alpha1.ConditionDrained, Status: metav1.ConditionTrue, Reason: drainv1alpha1.ReasonNoOrphans,
		LastTransitionTime: metav1.Unix(5, 0),
	}
	for name, tc := range map[string]struct {
		fails client.ObjectList
		// live is true for a read past the caches.
		live bool
		err  error
		// wantReady is a part of the condition, or empty if it says nothing of the read.
		wantReady  string
		wantResult ctrl.Result
	}{
		"a forbidden list of claims is Unknown in Ready": {&corev1.PersistentVolumeClaimList{}, false, forbidden,
			"Unknown/LookFailed: The operator can't tell whether a scale-down would be drained, because a read failed: " +
				`listing the claims that StatefulSet "store" may have made: pods "store-2" is forbidden: exceeded quota; ` +
				"restore the operator's ClusterRole",
			ctrl.Result{RequeueAfter: plan.RefusalRecheck}},
		"a failed list of claims is tried again": {&corev1.PersistentVolumeClaimList{},
			false, errors.New("no answer"), "may have made: no answer; the operator tries again", ctrl.Result{}},
		"a forbidden list of policies is Unknown in Ready": {&drainv1alpha1.DrainPolicyList{},
			false, forbidden, "Unknown/LookFailed", ctrl.Result{RequeueAfter: plan.RefusalRecheck}},
		"a forbidden live list of pods is Unknown in Ready": {&corev1.PodList{},
			true, forbidden, "Unknown/LookFailed", ctrl.Result{RequeueAfter: plan.RefusalRecheck}},
		"a failed live list of pods leaves Ready as it is": {&corev1.PodList{},
			true, errors.New("no answer"), "True/Accepted", ctrl.Result{}},
	} {
		t.Run(name, func(t *testing.T) {
			writes := 0
			cluster := fakeCluster(t, statusWrites(&writes), orphanedStore(func(p *drainv1alpha1.DrainPolicy) {
				p.Status.Conditions = []metav1.Condition{kept}
			})...)
			failing := interceptor.NewClient(cluster,
				interceptor.Funcs{
					List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
						if fmt.Sprintf("%T", list) == fmt.Sprintf("%T", tc.fails) {
							return tc.err
						}
						return c.List(ctx, list, options...)
					},
				})
			r := reconcilerOn(cluster)
			if tc.live {
				r.Live = failing
			} else {
				r.Client = failing
			}
			for range 2 {
				result, err := r.Reconcile(t.Context(), request)
				if result.RequeueAfter != tc.wantResult.RequeueAfter || (err != nil) != (tc.wantResult == ctrl.Result{}) {
					t.Errorf("the reconcile ends with %+v and %v, want %+v", result, err, tc.wantResult)
				}
			}
			if got := conditionOf(t, cluster, drainv1alpha1.ConditionReady); !strings.Contains(got, tc.wantReady) {
				t.Errorf("Ready is %s, want %s in it", got, tc.wantReady)
			}
			want := fmt.Sprintf("%s/%s: ", kept.Status, kept.Reason)
			if got := conditionOf(t, cluster, drainv1alpha1.ConditionDrained); !tc.live && got != want {
				t.Errorf("Drained is %s, want %s, which was known last", got, want)
			} else if tc.live && classify(tc.err) == plan.Lost && !strings.Contains(got, "not yet, because a look failed: listing pods: no answer") {
				t.Errorf("Drained is %s, want what keeps the drain waiting", got)
			}
			if writes > 1 {
				t.Errorf("the status is written %d times for two reconciles that see the same", writes)
			}
			r.Client, r.Live = cluster, cluster
			if _, err := r.Reconcile(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			if got := conditionOf(t, cluster, drainv1alpha1.ConditionReady); !strings.HasPrefix(got, "True/Accepted") {
				t.Errorf("Ready is %s when all can be read again", got)
			}
		})
	}
}

func TestAWriteToThePolicyThatIsRefusedIsShownInStalled(t *testing.T) {
	allowed := false
	cluster := fakeCluster(t,
		interceptor.Funcs{
			Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch,
				options ...client.PatchOption,
			) error {
				if _, ok := object.(*drainv1alpha1.DrainPolicy); ok && !allowed {
					return forbidden
				}
				return c.Patch(ctx, object, patch, options...)
			},
		}, orphanedStore()...)
	r := reconcilerOn(cluster)
	result, err := r.Reconcile(t.Context(), request)
	if err != nil || result.RequeueAfter != plan.RefusalRecheck {
		t.Errorf("the reconcile ends with %+v and %v, want another one after %v", result, err, plan.RefusalRecheck)
	}
	got := conditionOf(t, cluster, drainv1alpha1.ConditionStalled)
	if !strings.HasPrefix(got, "True/WriteRefused: ") || !strings.Contains(got, "AddFinalizer") {
		t.Errorf("Stalled is %q, want True/WriteRefused and what was refused", got)
	}
	allowed = true
	if _, err := r.Reconcile(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if got := conditionOf(t, cluster, drainv1alpha1.ConditionStalled); !strings.HasPrefix(got, "False/") {
		t.Errorf("Stalled is %q when the write is allowed again", got)
	}
}
