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
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// asManager is the environment variable that makes this test's binary the manager.
const asManager = "DRAIN_OPERATOR_TEST_AS_MANAGER"

func TestMain(m *testing.M) {
	if os.Getenv(asManager) != "" {
		namespaceDelay = time.Second
		main()
		return
	}
	ctrl.SetLogger(logr.Discard())
	code := m.Run()
	if sharedStarted {
		if environment, err := startShared(); err == nil && environment.Stop() != nil {
			code = 1
		}
	}
	os.Exit(code)
}

// TestStatefulSetAnnotationsFlag starts the manager as a process of its own, with its flags, on a real API server.
func TestStatefulSetAnnotationsFlag(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run this test with `make test`, which finds or builds kube-apiserver and etcd")
	}
	environment := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("..", "..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("starting kube-apiserver and etcd: %v", err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stopping kube-apiserver and etcd: %v", err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	create := func(object client.Object) {
		t.Helper()
		object.SetNamespace("default")
		if err := c.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	key := func(name string) client.ObjectKey { return client.ObjectKey{Namespace: "default", Name: name} }
	accepted := func(name string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			policy := &drainv1alpha1.DrainPolicy{}
			if err := c.Get(ctx, key(name), policy); err != nil {
				return false, client.IgnoreNotFound(err)
			}
			return meta.IsStatusConditionTrue(policy.Status.Conditions, drainv1alpha1.ConditionReady), nil
		}
	}
	gone := func(name string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			err := c.Get(ctx, key(name), &drainv1alpha1.DrainPolicy{})
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		}
	}
	await := func(what string, condition func(context.Context) (bool, error)) {
		t.Helper()
		if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, condition); err != nil {
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}

	create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	create(statefulSet("first"))
	stop := startManager(t, kubeconfig)
	await("the annotation is followed", accepted("first-managed"))
	stop()

	create(statefulSet("second"))
	stop = startManager(t, kubeconfig, "--statefulset-annotations=false")
	await("the policy that was kept is deleted", gone("first-managed"))
	// One that names an annotation itself is not a managed one, and works as before. When it does, the StatefulSet was seen.
	create(&drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Name: "own"}, Spec: drainv1alpha1.DrainPolicySpec{
		StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "second"},
		TemplateFrom:   drainv1alpha1.TemplateSource{StatefulSetAnnotation: drainv1alpha1.ScaledownPodTemplateAnnotation},
	}})
	await("a policy that the operator does not manage is accepted", accepted("own"))
	if err := c.Delete(ctx, &drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own"}}); err != nil {
		t.Fatal(err)
	}
	create(statefulSet("third"))
	create(&drainv1alpha1.DrainPolicy{ObjectMeta: metav1.ObjectMeta{Name: "last"}, Spec: drainv1alpha1.DrainPolicySpec{
		StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "third"},
		TemplateFrom:   drainv1alpha1.TemplateSource{StatefulSetAnnotation: drainv1alpha1.ScaledownPodTemplateAnnotation},
	}})
	await("the policy that was created last is accepted", accepted("last"))
	var list drainv1alpha1.DrainPolicyList
	if err := c.List(ctx, &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if name := list.Items[i].Name; name != "last" {
			t.Errorf("with --statefulset-annotations=false there is DrainPolicy %q", name)
		}
	}
	stop()

	stop = startManager(t, kubeconfig, "--statefulset-annotations=true")
	await("the annotation is followed again", accepted("second-managed"))
	stop()
}

// startManager starts the manager and returns what ends it.
func startManager(t *testing.T, kubeconfig string, flags ...string) func() {
	t.Helper()
	_, stop := startProcess(t, kubeconfig, flags...)
	return stop
}

// startProcess starts the manager as a process, and returns its ID and what ends it.
func startProcess(t *testing.T, kubeconfig string, flags ...string) (pid int, stop func()) {
	t.Helper()
	// The manager gets a signal, and must exit without an error.
	manager := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], append([]string{"--health-probe-bind-address=0", "--kubeconfig=" + kubeconfig}, flags...)...)
	manager.Env = append(os.Environ(), asManager+"=1")
	manager.Stdout, manager.Stderr = t.Output(), t.Output()
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		if err := manager.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("ending the manager: %v", err)
		}
		if err := manager.Wait(); err != nil {
			t.Errorf("the manager ended badly: %v", err)
		}
	}
	t.Cleanup(stop)
	return manager.Process.Pid, stop
}

func statefulSet(name string) *appsv1.StatefulSet {
	labels := map[string]string{"app": name}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
			string(drainv1alpha1.ScaledownPodTemplateAnnotation): `{"spec": {"containers": [{"name": "drain", "image": "drain", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}`,
		}},
		Spec: appsv1.StatefulSetSpec{
			ServiceName: name,
			Selector:    &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "store", Image: "store"}}},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
				},
			}},
		},
	}
}
