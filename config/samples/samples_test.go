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

// Package samples holds the policies of all recipes to the contract of docs/drain-images.md. Tests of a recipe's scripts and programs are in its folder.
package samples

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// TestPoliciesKeepTheContract asks every policy for what each must have, or must say why it hasn't.
func TestPoliciesKeepTheContract(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("*", "drainpolicy.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("found %q, %v, which can't be all", files, err)
	}
	for _, file := range append(files, "v1alpha1_drainpolicy.yaml") {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			var policy drainv1alpha1.DrainPolicy
			decode(t, file, &policy)
			spec := policy.Spec
			pod := spec.Template.Spec
			if spec.Proof == drainv1alpha1.ProofExitCode {
				t.Error("proof is ExitCode: no sample should recommend it")
			}
			expectBounded(t, &pod, spec.Job)
			if filepath.Base(file) != "drainpolicy.yaml" {
				return
			}
			expectClaimsMounted(t, filepath.Join(filepath.Dir(file), "statefulset.yaml"), &pod)
			if spec.WhenDrained == drainv1alpha1.WhenDrainedDelete && spec.MinOrphanedSeconds == nil {
				readme, err := os.ReadFile(filepath.Join(filepath.Dir(file), "README.md"))
				if err != nil || !strings.Contains(string(readme), "there is no `minOrphanedSeconds`") && !strings.Contains(string(readme), "There is no `minOrphanedSeconds`") {
					t.Errorf("claims are deleted without minOrphanedSeconds, and README.md doesn't say why (%v)", err)
				}
			}
		})
	}
}

// TestMembersLeaveByTheContract asks the same of the Jobs by which members leave, which a policy or a patch of one has.
func TestMembersLeaveByTheContract(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("*", "drainpolicy*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		var policy drainv1alpha1.DrainPolicy
		decode(t, file, &policy)
		leave := policy.Spec.Leave
		if leave == nil {
			continue
		}
		found++
		t.Run(filepath.Dir(file), func(t *testing.T) {
			if policy.Spec.Replicas == nil {
				t.Error("replicas is not set")
			}
			expectBounded(t, &leave.Template.Spec, leave.Job)
		})
	}
	if found == 0 {
		t.Error("no sample has members that leave")
	}
}

// expectBounded holds that a Job ends in time, in its resources, and without rights.
func expectBounded(t *testing.T, pod *corev1.PodSpec, job drainv1alpha1.JobOptions) {
	t.Helper()
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod gets a ServiceAccount's token")
	}
	if job.ActiveDeadlineSeconds == nil {
		t.Error("job.activeDeadlineSeconds is not set")
	}
	if pod.TerminationGracePeriodSeconds != nil && *pod.TerminationGracePeriodSeconds == 0 {
		t.Error("terminationGracePeriodSeconds is 0")
	}
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		if len(container.Resources.Requests) == 0 || container.Resources.Limits.Memory().IsZero() {
			t.Errorf("container %s has no requests or no memory limit", container.Name)
		}
		if container.LivenessProbe != nil || container.StartupProbe != nil {
			t.Errorf("container %s has a probe that ends it", container.Name)
		}
	}
}

// expectClaimsMounted holds that the drain sees every claim. Sidecars don't count.
func expectClaimsMounted(t *testing.T, file string, pod *corev1.PodSpec) {
	t.Helper()
	var set appsv1.StatefulSet
	decode(t, file, &set)
	mounted := map[string]bool{}
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		if container.RestartPolicy != nil {
			continue
		}
		for _, mount := range container.VolumeMounts {
			mounted[mount.Name] = true
		}
	}
	if len(set.Spec.VolumeClaimTemplates) == 0 {
		t.Errorf("%s has no claim templates", file)
	}
	for _, claim := range set.Spec.VolumeClaimTemplates {
		if !mounted[claim.Name] {
			t.Errorf("the claim template %s is mounted by no container of the drain", claim.Name)
		}
	}
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
