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
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// authorsPolicy is in the message of a denial by the admission policy that limits who may write a DrainPolicy.
const authorsPolicy = "drain-operator-policy-authors"

// checkInstallation is the command "check", which `helm test` runs. It writes nothing.
func checkInstallation(args []string) int {
	flags := flag.NewFlagSet("check", flag.ExitOnError)
	namespace := flags.String("namespace", "drain-operator-system", "Namespace of the operator.")
	admission := flags.Bool("admission-policies", true, "Whether the admission policies are installed.")
	timeout := flags.Duration("timeout", time.Minute, "How long to wait for a leader.")
	_ = flags.Parse(args) // It exits.

	ctx, cancel := context.WithTimeout(ctrl.SetupSignalHandler(), *timeout)
	defer cancel()
	if err := check(ctx, *namespace, *admission); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("A manager leads, and the API server checks policies as it should.")
	return 0
}

// check reports what is wrong with an installation, to an account that may create policies in the namespace, but no pods.
func check(ctx context.Context, namespace string, admission bool) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme()})
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	return checkWith(ctx, c, namespace, admission)
}

func checkWith(ctx context.Context, c client.Client, namespace string, admission bool) error {
	// The leader comes last: waiting for it takes the time that is left.
	return errors.Join(checkSchema(ctx, c, namespace), checkAdmission(ctx, c, namespace, admission), checkLeader(ctx, c, namespace))
}

// checkLeader waits until a manager holds the lease and renews it.
func checkLeader(ctx context.Context, c client.Client, namespace string) error {
	state := errors.New("not read yet")
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		var lease coordinationv1.Lease
		if state = c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: leaseName}, &lease); state != nil {
			return false, nil //nolint:nilerr // It is tried again until the time is over.
		}
		spec := lease.Spec
		if spec.HolderIdentity == nil || *spec.HolderIdentity == "" || spec.RenewTime == nil || spec.LeaseDurationSeconds == nil {
			state = errors.New("no manager holds it")
			return false, nil
		}
		if age := time.Since(spec.RenewTime.Time); age > time.Duration(*spec.LeaseDurationSeconds)*time.Second {
			state = fmt.Errorf("%s has not renewed it for %s", *spec.HolderIdentity, age.Round(time.Second))
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("lease %s/%s: %w", namespace, leaseName, state)
	}
	return nil
}

// checkSchema reports an error if the API server accepts a policy that the CRD's rules exclude.
func checkSchema(ctx context.Context, c client.Client, namespace string) error {
	policy := examplePolicy(namespace)
	policy.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
	if err := c.Create(ctx, policy, client.DryRunAll); !apierrors.IsInvalid(err) {
		return fmt.Errorf("a DrainPolicy with restartPolicy Always must be invalid, but the API server answered: %w", orNoError(err))
	}
	return nil
}

// checkAdmission reports an error if the API server answers a valid policy otherwise than it must, with the admission policies or without them.
func checkAdmission(ctx context.Context, c client.Client, namespace string, admission bool) error {
	err := c.Create(ctx, examplePolicy(namespace), client.DryRunAll)
	switch {
	case !admission && err != nil:
		return fmt.Errorf("the API server must accept a DrainPolicy, but it answered: %w", err)
	case admission && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), authorsPolicy)):
		return fmt.Errorf("the admission policy %s must deny a DrainPolicy of an account that may not create pods, but the API server answered: %w",
			authorsPolicy, orNoError(err))
	}
	return nil
}

func orNoError(err error) error {
	if err == nil {
		return errors.New("accepted")
	}
	return err
}

// examplePolicy is a valid policy for a StatefulSet that doesn't exist. It is for dry runs.
func examplePolicy(namespace string) *drainv1alpha1.DrainPolicy {
	return &drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "check-"},
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "check"},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "check", Image: "example.com/check"}},
			}},
		},
	}
}
