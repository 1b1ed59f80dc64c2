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
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// answers are what the API server says to the two dry runs of check; nil accepts.
type answers struct{ invalid, valid error }

func checkedClient(t *testing.T, a answers, lease *coordinationv1.Lease) client.Client {
	t.Helper()
	builder := fake.NewClientBuilder().WithScheme(scheme())
	if lease != nil {
		builder.WithObjects(lease.DeepCopy())
	}
	return builder.WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if dry := (&client.CreateOptions{}).ApplyOptions(options).DryRun; len(dry) != 1 || dry[0] != metav1.DryRunAll {
				t.Errorf("check must write nothing, but the dry run of %T is %q", object, dry)
			}
			if object.(*drainv1alpha1.DrainPolicy).Spec.Template.Spec.RestartPolicy == corev1.RestartPolicyAlways { //nolint:forcetypeassert // check creates nothing else.
				return a.invalid
			}
			return a.valid
		},
	}).Build()
}

func leaseRenewed(holder string, ago time.Duration) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: leaseName},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &holder, LeaseDurationSeconds: new(int32(15)), RenewTime: &metav1.MicroTime{Time: time.Now().Add(-ago)},
		},
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	policies := schema.GroupResource{Group: drainv1alpha1.GroupVersion.Group, Resource: "drainpolicies"}
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: policies.Group, Kind: "DrainPolicy"}, "", nil)
	denied := apierrors.NewForbidden(policies, "", errors.New("ValidatingAdmissionPolicy 'drain-operator-policy-authors' denied request"))
	unauthorized := apierrors.NewForbidden(policies, "", errors.New("cannot create resource"))
	noCRD := apierrors.NewNotFound(policies, "")
	fresh := leaseRenewed("manager-1", time.Second)
	for name, test := range map[string]struct {
		answers   answers
		lease     *coordinationv1.Lease
		admission bool
		want      string
	}{
		"a manager leads and the admission policies deny":     {answers{invalid, denied}, fresh, true, ""},
		"a manager leads and there are no admission policies": {answers{invalid, nil}, fresh, false, ""},
		"the admission policies don't work":                   {answers{invalid, nil}, fresh, true, "must deny a DrainPolicy"},
		"another rule forbids the policy":                     {answers{invalid, unauthorized}, fresh, true, "cannot create resource"},
		"the admission policies are there and shouldn't be":   {answers{invalid, denied}, fresh, false, "must accept a DrainPolicy"},
		"the CRD has lost its rules":                          {answers{nil, denied}, fresh, true, "must be invalid, but the API server answered: accepted"},
		"the CRD isn't there":                                 {answers{noCRD, noCRD}, fresh, true, "not found"},
		"no manager ever led":                                 {answers{invalid, denied}, nil, true, "lease here/manager.drain.statefulset.dev"},
		"the last manager gave the lease back":                {answers{invalid, denied}, leaseRenewed("", time.Second), true, "no manager holds it"},
		"the manager that leads doesn't renew the lease":      {answers{invalid, denied}, leaseRenewed("manager-1", time.Hour), true, "manager-1 has not renewed it for 1h"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := checkWith(ctx, checkedClient(t, test.answers, test.lease), "here", test.admission)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("check returns %v, want %q", err, test.want)
			}
		})
	}
}
