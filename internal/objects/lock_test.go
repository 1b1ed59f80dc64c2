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

package objects

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

func TestLockHasTheNameOfTheOrdinalsPod(t *testing.T) {
	policy, set := makePolicy(withMetadata), makeTarget()
	lock := lockOf(policy, set, 2)
	if lock.Name != "web-2" || lock.Namespace != "shop" {
		t.Errorf("the lock is %s/%s, want shop/web-2", lock.Namespace, lock.Name)
	}
	if !plan.IsLock(lock, policy.UID) {
		t.Error("the planner doesn't take it for a lock")
	}
	want := map[string]string{
		drainv1alpha1.PolicyUIDLabel: "policy", drainv1alpha1.RoleLabel: drainv1alpha1.RoleLock,
		drainv1alpha1.OrdinalLabel: "2",
	}
	if diff := cmp.Diff(want, lock.Labels); diff != "" {
		t.Errorf("labels (-want +got); the template's would select it:\n%s", diff)
	}
	if lock.Annotations[drainv1alpha1.PolicyAnnotation] != "empty-web" {
		t.Errorf("annotations are %v, want the policy's name", lock.Annotations)
	}
}

func TestTheStatefulSetNeitherSelectsNorAdoptsTheLock(t *testing.T) {
	set := makeTarget(func(s *appsv1.StatefulSet) {
		s.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	})
	lock := lockOf(makePolicy(func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template.Labels = map[string]string{"app": "web"}
	}), set, 2)
	if labels.SelectorFromSet(set.MatchLabels).Matches(labels.Set(lock.Labels)) {
		t.Errorf("labels %v match the StatefulSet's selector", lock.Labels)
	}
	if owner := metav1.GetControllerOf(lock); owner == nil || owner.Kind != "DrainPolicy" || owner.UID != "policy" {
		t.Errorf("the controller is %+v, want the policy, which keeps the StatefulSet from adopting it", owner)
	}
}

func TestLockNeverRunsAndGoesOnlyWhenItIsLetGo(t *testing.T) {
	lock := lockOf(makePolicy(), makeTarget(), 2)
	if diff := cmp.Diff([]string{drainv1alpha1.LockFinalizer}, lock.Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.PodSchedulingGate{{Name: drainv1alpha1.LockSchedulingGate}},
		lock.Spec.SchedulingGates); diff != "" {
		t.Errorf("gates (-want +got):\n%s", diff)
	}
	if command := lock.Spec.Containers[0].Command; len(command) != 1 || command[0] != "/drain-operator-lock-never-runs" {
		t.Errorf("command = %q, want one that no image has", command)
	}
	if lock.Spec.NodeName != "" {
		t.Errorf("the lock is bound to node %q", lock.Spec.NodeName)
	}
	if seconds := lock.Spec.TerminationGracePeriodSeconds; seconds == nil || *seconds != 0 {
		t.Errorf("terminationGracePeriodSeconds = %v, want 0", seconds)
	}
	if len(lock.Spec.Volumes) > 0 {
		t.Errorf("the lock has volumes %v, and a pod holds its claims", lock.Spec.Volumes)
	}
}

// TestLockPassesTheRestrictedStandard asks what Pod Security's restricted level asks of a pod
// (k8s.io/pod-security-admission/policy).
func TestLockPassesTheRestrictedStandard(t *testing.T) {
	spec := lockOf(makePolicy(), makeTarget(), 2).Spec
	if len(spec.Containers) != 1 || len(spec.InitContainers)+len(spec.EphemeralContainers) > 0 {
		t.Fatalf("the lock has containers %v, want one", spec.Containers)
	}
	pod, container := spec.SecurityContext, spec.Containers[0].SecurityContext
	if pod == nil || container == nil {
		t.Fatal("there is no securityContext")
	}
	for promise, kept := range map[string]bool{
		"allowPrivilegeEscalation is false": container.AllowPrivilegeEscalation != nil &&
			!*container.AllowPrivilegeEscalation,
		"all capabilities are dropped": container.Capabilities != nil &&
			len(container.Capabilities.Add) == 0 && cmp.Equal(container.Capabilities.Drop, []corev1.Capability{"ALL"}),
		"runAsNonRoot":      pod.RunAsNonRoot != nil && *pod.RunAsNonRoot && container.RunAsNonRoot == nil,
		"runAsUser isn't 0": pod.RunAsUser != nil && *pod.RunAsUser != 0 && container.RunAsUser == nil,
		"seccompProfile is RuntimeDefault": pod.SeccompProfile != nil &&
			pod.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"not privileged":     container.Privileged == nil,
		"no host namespaces": !spec.HostNetwork && !spec.HostPID && !spec.HostIPC && len(spec.Containers[0].Ports) == 0,
		"no token":           spec.AutomountServiceAccountToken != nil && !*spec.AutomountServiceAccountToken,
	} {
		if !kept {
			t.Errorf("broken: %s", promise)
		}
	}
}

func TestLockAsksForNextToNothing(t *testing.T) {
	policy := makePolicy()
	container := lockOf(policy, makeTarget(), 2).Spec.Containers[0]
	if container.Image != "drain:1" {
		t.Errorf("image = %q, want the template's own, which image policies let in", container.Image)
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := container.Resources.Requests[name], container.Resources.Limits[name]
		if request.IsZero() || request.Cmp(limit) != 0 {
			t.Errorf("%s: request %s, limit %s, want the same little", name, request.String(), limit.String())
		}
	}
}
