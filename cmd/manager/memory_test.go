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
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

var memory = flag.Int("memory", 0, "Number of policies of 1.25 MB that TestMemory gives the manager; 0 skips it.")

// limit is the memory that config/manager gives the manager.
const limit = 256 << 20

// TestMemory measures what large policies cost the manager: those that are there when it starts, and those that are edited
// when it runs. It needs a gigabyte, so it runs only when asked: go test ./cmd/manager -run TestMemory -memory 150 -v.
func TestMemory(t *testing.T) {
	if *memory == 0 {
		t.Skip("-memory is 0")
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

	arguments := make([]string, 0, 1250)
	for range cap(arguments) {
		arguments = append(arguments, strings.Repeat("a", 1000))
	}
	for i := range *memory {
		if err := c.Create(t.Context(), &drainv1alpha1.DrainPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%d", i), Namespace: "default"},
			Spec: drainv1alpha1.DrainPolicySpec{
				StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: fmt.Sprintf("s%d", i)},
				Template:       corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "drain", Image: "drain", Args: arguments}}}},
			},
		}); err != nil {
			t.Fatal(err)
		}
	}
	pid, stop := startProcess(t, kubeconfig)
	defer stop()
	all := func() []drainv1alpha1.DrainPolicy {
		var list drainv1alpha1.DrainPolicyList
		if err := c.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	await := func(what string, generation int64) {
		t.Helper()
		if err := wait.PollUntilContextTimeout(t.Context(), time.Second, 5*time.Minute, true, func(context.Context) (bool, error) {
			for _, policy := range all() {
				ready := meta.FindStatusCondition(policy.Status.Conditions, drainv1alpha1.ConditionReady)
				if ready == nil || ready.ObservedGeneration < generation {
					return false, nil
				}
			}
			return true, nil
		}); err != nil {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		resident, peak := residentMemory(t, pid)
		t.Logf("%s: resident %d MiB, at most so far %d MiB", what, resident>>20, peak>>20)
		if peak > limit {
			t.Errorf("%s: the manager had %d MiB, and its limit is %d MiB", what, peak>>20, limit>>20)
		}
	}
	await("policies that were there at the start have a status", 1)
	for _, policy := range all() {
		before := policy.DeepCopy()
		policy.Spec.Template.Spec.Containers[0].Args[0] = "b"
		if err := c.Patch(t.Context(), &policy, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	await("policies that were edited have a status", 2)
}

// residentMemory returns what a process has in memory now, and the most that it had, in bytes.
func residentMemory(t *testing.T, pid int) (now, most int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); err == nil {
			now = kilobytes << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			most = kilobytes << 10
		}
	}
	if now == 0 || most == 0 {
		t.Fatalf("no memory in the status of process %d:\n%s", pid, status)
	}
	return now, most
}
