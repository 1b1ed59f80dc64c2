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
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// withMetadata gives the template labels and annotations, some of them the operator's own.
func withMetadata(policy *drainv1alpha1.DrainPolicy) {
	policy.Spec.Template.Labels = map[string]string{
		"kueue.x-k8s.io/queue-name": "drains", drainv1alpha1.OrdinalLabel: "99", drainv1alpha1.PolicyUIDLabel: "x",
	}
	policy.Spec.Template.Annotations = map[string]string{"example.com/team": "shop", drainv1alpha1.LockAnnotation: "x"}
}

func TestTheTemplatesMetadataReachesJobAndPod(t *testing.T) {
	policy := makePolicy(withMetadata)
	job := jobOf(policy, makeTarget(), attempt)
	wantLabels := map[string]string{
		"kueue.x-k8s.io/queue-name":  "drains",
		drainv1alpha1.PolicyUIDLabel: "policy",
		drainv1alpha1.RoleLabel:      drainv1alpha1.RoleDrain,
		drainv1alpha1.OrdinalLabel:   "2",
		drainv1alpha1.AttemptLabel:   "3",
	}
	wantAnnotations := map[string]string{
		"example.com/team":                   "shop",
		drainv1alpha1.PolicyAnnotation:       "empty-web",
		drainv1alpha1.LockAnnotation:         "lock",
		drainv1alpha1.TemplateHashAnnotation: hashOf(policy, makeTarget()),
		drainv1alpha1.ProofAnnotation:        "Receipt",
	}
	pod := Pod(job)
	for what, got := range map[string]metav1.ObjectMeta{
		"Job": job.ObjectMeta, "template": job.Spec.Template.ObjectMeta, "pod": pod.ObjectMeta,
	} {
		if diff := cmp.Diff(wantLabels, got.Labels); diff != "" {
			t.Errorf("labels of the %s (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(wantAnnotations, got.Annotations); diff != "" {
			t.Errorf("annotations of the %s (-want +got):\n%s", what, diff)
		}
	}
	job.Labels["later"], job.Annotations["later"] = "x", "x"
	if job.Spec.Template.Labels["later"] != "" || job.Spec.Template.Annotations["later"] != "" {
		t.Error("the Job and its template share their maps")
	}
}

func TestJobIsThePolicysAndRunsOnePodAtATime(t *testing.T) {
	policy := makePolicy(func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Job = drainv1alpha1.JobOptions{
			BackoffLimit: ptr.To[int32](2), ActiveDeadlineSeconds: ptr.To[int64](60),
			PodFailurePolicy: &batchv1.PodFailurePolicy{
				Rules: []batchv1.PodFailurePolicyRule{{Action: batchv1.PodFailurePolicyActionFailJob}},
			},
		}
	})
	job := jobOf(policy, makeTarget(), attempt)
	owner := []metav1.OwnerReference{{
		APIVersion: "drain.statefulset.dev/v1alpha1", Kind: "DrainPolicy",
		Name: "empty-web", UID: "policy", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}}
	if diff := cmp.Diff(owner, job.OwnerReferences); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if job.Name != "web-2-drain-abc" || job.Namespace != "shop" {
		t.Errorf("the Job is %s/%s, want shop/web-2-drain-abc", job.Namespace, job.Name)
	}
	want := batchv1.JobSpec{
		Parallelism: ptr.To[int32](1), Completions: ptr.To[int32](1),
		BackoffLimit: ptr.To[int32](2), ActiveDeadlineSeconds: ptr.To[int64](60),
		PodFailurePolicy:     policy.Spec.Job.PodFailurePolicy,
		PodReplacementPolicy: ptr.To(batchv1.Failed), Template: job.Spec.Template,
	}
	if diff := cmp.Diff(want, job.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	*job.Spec.BackoffLimit, *job.Spec.ActiveDeadlineSeconds, job.Spec.PodFailurePolicy.Rules[0].Action = 9, 9, "x"
	if *policy.Spec.Job.BackoffLimit != 2 || *policy.Spec.Job.ActiveDeadlineSeconds != 60 ||
		policy.Spec.Job.PodFailurePolicy.Rules[0].Action == "x" {
		t.Error("what the API server answers about the Job would be written into the policy")
	}
}

func TestDrainPodsAreGatedBesideTheTemplatesOwnGates(t *testing.T) {
	policy := makePolicy(func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/later"}}
	})
	want := []corev1.PodSchedulingGate{{Name: "example.com/later"}, {Name: drainv1alpha1.DrainSchedulingGate}}
	if diff := cmp.Diff(want, jobOf(policy, makeTarget(), attempt).Spec.Template.Spec.SchedulingGates); diff != "" {
		t.Errorf("gates (-want +got):\n%s", diff)
	}
}

func TestTheGivenTemplateCountsAndNotThePolicys(t *testing.T) {
	policy, given := makePolicy(), makePolicy().Spec.Template
	given.Spec.Containers[0].Image = "annotation:1"
	policy.Spec.Template = corev1.PodTemplateSpec{}
	job := Job(policy, &given, makeTarget(), attempt)
	if got := job.Spec.Template.Spec.Containers[0].Image; got != "annotation:1" {
		t.Errorf("the Job's image = %q, want the given template's", got)
	}
	if got := Lock(policy, &given, makeTarget(), 2).Spec.Containers[0].Image; got != "annotation:1" {
		t.Errorf("the lock's image = %q, want the given template's", got)
	}
	want := TemplateHash(policy, &given, makeTarget())
	if got := job.Annotations[drainv1alpha1.TemplateHashAnnotation]; got != want || want == hashOf(policy, makeTarget()) {
		t.Errorf("the hash is %s, want that of the given template, %s", got, want)
	}
}

func TestPodIsWhatTheJobWouldMake(t *testing.T) {
	job := jobOf(makePolicy(), makeTarget(), attempt)
	pod := Pod(job)
	if pod.Namespace != "shop" || pod.Name != "" || pod.GenerateName != "web-2-drain-abc-" {
		t.Errorf("the pod is %s/%s, generated from %q, want shop/, from web-2-drain-abc-",
			pod.Namespace, pod.Name, pod.GenerateName)
	}
	if diff := cmp.Diff(job.Spec.Template.Spec, pod.Spec); diff != "" {
		t.Errorf("spec (-Job's +pod's):\n%s", diff)
	}
	pod.Spec.Containers[0].Image = "another"
	if job.Spec.Template.Spec.Containers[0].Image != "drain:1" {
		t.Error("the pod shares the Job's template")
	}
}

func TestEveryClaimTemplateIsAVolume(t *testing.T) {
	policy := makePolicy(func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template.Spec.Volumes = []corev1.Volume{{
			Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		}}
	})
	got := map[string]string{}
	for _, volume := range jobOf(policy, makeTarget(), attempt).Spec.Template.Spec.Volumes {
		got[volume.Name] = ""
		if volume.PersistentVolumeClaim != nil {
			got[volume.Name] = fmt.Sprintf("%s, read-only: %t",
				volume.PersistentVolumeClaim.ClaimName, volume.PersistentVolumeClaim.ReadOnly)
		}
	}
	want := map[string]string{
		"scratch": "", "data": "data-web-2, read-only: false", "logs": "logs-web-2, read-only: false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}

func TestEnvironmentComesFirstAndYieldsToTheTemplates(t *testing.T) {
	policy := makePolicy(func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "init"}}
		p.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{
			{Name: "TARGET", Value: "bucket/$(DRAIN_ORDINAL)"},
			{Name: "DRAIN_PEERS", Value: "elsewhere"}, {Name: "DRAIN_SERVICE", ValueFrom: &corev1.EnvVarSource{}},
		}
		p.Spec.Template.Spec.Containers = append(p.Spec.Template.Spec.Containers, corev1.Container{Name: "sidecar"})
	})
	set := makeTarget(func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 5} })
	spec := jobOf(policy, set, Attempt{Job: "web-7-drain-abc", Ordinal: 7, Number: 3}).Spec.Template.Spec

	full := []corev1.EnvVar{
		{Name: "DRAIN_STATEFULSET", Value: "web"},
		{Name: "DRAIN_NAMESPACE", Value: "shop"},
		{Name: "DRAIN_ORDINAL", Value: "7"},
		{Name: "DRAIN_POD_NAME", Value: "web-7"},
		{Name: "DRAIN_SERVICE", Value: "web-peers"},
		{Name: "DRAIN_REPLICAS", Value: "2"},
		{Name: "DRAIN_START_ORDINAL", Value: "5"},
		{Name: "DRAIN_PEERS", Value: "web-5.web-peers.shop.svc,web-6.web-peers.shop.svc"},
		{Name: "DRAIN_ATTEMPT", Value: "3"},
		{Name: "DRAIN_RECEIPT", Value: plan.Receipt("web-7-drain-abc")},
	}
	theirs := policy.Spec.Template.Spec.Containers[0].Env
	yielding := append(slices.DeleteFunc(slices.Clone(full),
		func(e corev1.EnvVar) bool { return e.Name == "DRAIN_PEERS" || e.Name == "DRAIN_SERVICE" }), theirs...)
	for name, tc := range map[string]struct{ got, want []corev1.EnvVar }{
		"init":    {spec.InitContainers[0].Env, full},
		"drain":   {spec.Containers[0].Env, yielding},
		"sidecar": {spec.Containers[1].Env, full},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("container %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheDrainTakesOverWhatTheTemplateLeavesOut(t *testing.T) {
	set := makeTarget()
	from := set.PodDefaults
	got := jobOf(makePolicy(), set, attempt).Spec.Template.Spec
	want := corev1.PodSpec{
		SecurityContext: from.SecurityContext, Tolerations: from.Tolerations,
		NodeSelector: from.NodeSelector, ImagePullSecrets: from.ImagePullSecrets,
		PriorityClassName: "high", SchedulerName: "mine", RuntimeClassName: ptr.To("gvisor"),
		RestartPolicy: corev1.RestartPolicyOnFailure,
		// The rest is tested elsewhere. No ServiceAccount: what a drain may do is for the policy to say.
		Containers: got.Containers, Volumes: got.Volumes, SchedulingGates: got.SchedulingGates,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	*got.RuntimeClassName, *got.SecurityContext.FSGroup, got.NodeSelector["disks"] = "x", 0, "x"
	got.Tolerations[0].Key, got.ImagePullSecrets[0].Name = "x", "x"
	if diff := cmp.Diff(makeTarget(), set); diff != "" {
		t.Errorf("the Job shares parts of the target (-before +after):\n%s", diff)
	}
}

func TestTheTemplateIsNeverOverridden(t *testing.T) {
	theirs := corev1.PodSpec{
		ServiceAccountName: "drainer",
		SecurityContext:    &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](1)},
		Tolerations:        []corev1.Toleration{},
		NodeSelector:       map[string]string{},
		ImagePullSecrets:   []corev1.LocalObjectReference{},
		PriorityClassName:  "low",
		SchedulerName:      "theirs",
		RuntimeClassName:   ptr.To("kata"),
		RestartPolicy:      corev1.RestartPolicyNever,
	}
	policy := makePolicy(func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec = *theirs.DeepCopy() })
	got := jobOf(policy, makeTarget(), attempt).Spec.Template.Spec
	got.Volumes, got.SchedulingGates = nil, nil
	if diff := cmp.Diff(theirs, got); diff != "" {
		t.Errorf("spec (-template's +Job's):\n%s", diff)
	}
}

func TestIdentityOfAStatefulSetPod(t *testing.T) {
	type change = func(*drainv1alpha1.DrainPolicy)
	identity := func(p *drainv1alpha1.DrainPolicy) { p.Spec.Identity = drainv1alpha1.IdentityStatefulSetPod }
	named := func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template.Spec.Hostname, p.Spec.Template.Spec.Subdomain = "mine", "ours"
	}
	tests := map[string]struct {
		changes                     []change
		wantHostname, wantSubdomain string
	}{
		"an unset identity sets no hostname": {},
		"identity Job sets no hostname": {
			changes: []change{func(p *drainv1alpha1.DrainPolicy) { p.Spec.Identity = drainv1alpha1.IdentityJob }},
		},
		"identity StatefulSetPod sets the ordinal's hostname": {
			changes: []change{identity}, wantHostname: "web-2", wantSubdomain: "web-peers",
		},
		"identity StatefulSetPod yields to the template's hostname": {
			changes: []change{identity, named}, wantHostname: "mine", wantSubdomain: "ours",
		},
		"identity Job keeps the template's hostname": {changes: []change{named}, wantHostname: "mine", wantSubdomain: "ours"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			spec := jobOf(makePolicy(tc.changes...), makeTarget(), attempt).Spec.Template.Spec
			if spec.Hostname != tc.wantHostname || spec.Subdomain != tc.wantSubdomain {
				t.Errorf("hostname, subdomain = %q, %q, want %q, %q",
					spec.Hostname, spec.Subdomain, tc.wantHostname, tc.wantSubdomain)
			}
		})
	}
}

func TestOnlyLabelsAndAnnotationsAreTheTemplatesToGive(t *testing.T) {
	policy := makePolicy(func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template.Name, p.Spec.Template.Namespace = "x", "elsewhere"
		p.Spec.Template.Finalizers = []string{"example.com/never"}
	})
	template := jobOf(policy, makeTarget(), attempt).Spec.Template
	if template.Name != "" || template.Namespace != "" || template.Finalizers != nil {
		t.Errorf("the pods would get name %q, namespace %q and finalizers %v",
			template.Name, template.Namespace, template.Finalizers)
	}
}

func TestRestartPolicyIsOneThatJobsTake(t *testing.T) {
	failurePolicy := &batchv1.PodFailurePolicy{}
	tests := map[string]struct {
		template corev1.RestartPolicy
		policy   *batchv1.PodFailurePolicy
		want     corev1.RestartPolicy
	}{
		"an unset restartPolicy becomes OnFailure": {want: corev1.RestartPolicyOnFailure},
		"an unset restartPolicy with a podFailurePolicy becomes Never": {
			policy: failurePolicy, want: corev1.RestartPolicyNever,
		},
		"restartPolicy Never stays": {template: corev1.RestartPolicyNever, want: corev1.RestartPolicyNever},
		"restartPolicy OnFailure with a podFailurePolicy stays": {
			template: corev1.RestartPolicyOnFailure, policy: failurePolicy, want: corev1.RestartPolicyOnFailure,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy := makePolicy(func(p *drainv1alpha1.DrainPolicy) {
				p.Spec.Template.Spec.RestartPolicy, p.Spec.Job.PodFailurePolicy = tc.template, tc.policy
			})
			if got := jobOf(policy, makeTarget(), attempt).Spec.Template.Spec.RestartPolicy; got != tc.want {
				t.Errorf("restartPolicy = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestTemplateHash(t *testing.T) {
	type policyChange = func(*drainv1alpha1.DrainPolicy)
	type setChange = func(*appsv1.StatefulSet)
	base := hashOf(makePolicy(), makeTarget())
	tests := map[string]struct {
		policy   policyChange
		set      setChange
		wantSame bool
	}{
		"no change keeps the hash": {wantSame: true},
		"a change of replicas keeps the hash": {
			set: func(s *appsv1.StatefulSet) { s.Spec.Replicas = ptr.To[int32](9) }, wantSame: true,
		},
		"a change of the first ordinal keeps the hash": {
			set:      func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 9} },
			wantSame: true,
		},
		"a change of the StatefulSet's image keeps the hash": {
			set:      func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers = []corev1.Container{{Image: "web:2"}} },
			wantSame: true,
		},
		"a change of the StatefulSet's ServiceAccount keeps the hash": {
			set: func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.ServiceAccountName = "x" }, wantSame: true,
		},
		"a change of the StatefulSet's generation keeps the hash": {
			set: func(s *appsv1.StatefulSet) { s.Generation = 9 }, wantSame: true,
		},
		"a change of spec.suspend keeps the hash": {
			policy: func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = ptr.To(true) }, wantSame: true,
		},
		"a change of spec.retry keeps the hash": {
			policy: func(p *drainv1alpha1.DrainPolicy) { p.Spec.Retry.MaxAttempts = ptr.To[int32](9) }, wantSame: true,
		},
		"a change of spec.whenDrained keeps the hash": {
			policy:   func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDrained = drainv1alpha1.WhenDrainedDelete },
			wantSame: true,
		},
		"a change of the image changes the hash": {
			policy: func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.Containers[0].Image = "drain:2" },
		},
		"a change of an annotation changes the hash": {policy: withMetadata},
		"a change of the ServiceAccount changes the hash": {
			policy: func(p *drainv1alpha1.DrainPolicy) { p.Spec.Template.Spec.ServiceAccountName = "x" },
		},
		"a change of spec.job changes the hash": {
			policy: func(p *drainv1alpha1.DrainPolicy) { p.Spec.Job.BackoffLimit = ptr.To[int32](1) },
		},
		"a change of spec.identity changes the hash": {
			policy: func(p *drainv1alpha1.DrainPolicy) { p.Spec.Identity = drainv1alpha1.IdentityStatefulSetPod },
		},
		"a podFailurePolicy changes the hash": {
			policy: func(p *drainv1alpha1.DrainPolicy) { p.Spec.Job.PodFailurePolicy = &batchv1.PodFailurePolicy{} },
		},
		"a change of the StatefulSet's securityContext changes the hash": {
			set: func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.SecurityContext = nil },
		},
		"a change of the StatefulSet's tolerations changes the hash": {
			set: func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Tolerations = nil },
		},
		"a change of the StatefulSet's runtimeClassName changes the hash": {
			set: func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.RuntimeClassName = nil },
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy, set := makePolicy(), makeTarget()
			if tc.set != nil {
				set = makeTarget(tc.set)
			}
			if tc.policy != nil {
				tc.policy(policy)
			}
			if got := hashOf(policy, set); (got == base) != tc.wantSame {
				t.Errorf("the hash stays the same: %t, want %t", got == base, tc.wantSame)
			}
		})
	}
	if got := hashOf(makePolicy(), statefulset.Target{}); got == base || len(got) != 16 {
		t.Errorf("the hash without a StatefulSet is %q, want another of 16 characters", got)
	}
}

func TestNothingWritesToItsInputs(t *testing.T) {
	fill := func(p *drainv1alpha1.DrainPolicy) {
		withMetadata(p)
		// Room for an append to write into.
		p.Spec.Template.Spec.Volumes = make([]corev1.Volume, 1, 8)
		p.Spec.Template.Spec.SchedulingGates = make([]corev1.PodSchedulingGate, 1, 8)
		p.Spec.Template.Spec.Containers[0].Env = append(make([]corev1.EnvVar, 0, 32), corev1.EnvVar{Name: "DRAIN_PEERS"})
	}
	policy, set := makePolicy(fill), makeTarget()
	job := jobOf(policy, set, attempt)
	Pod(job)
	lockOf(policy, set, 2)
	hashOf(policy, set)
	if diff := cmp.Diff(makePolicy(fill), policy); diff != "" {
		t.Errorf("the policy changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(makeTarget(), set); diff != "" {
		t.Errorf("the StatefulSet changed (-before +after):\n%s", diff)
	}
	spare := policy.Spec.Template.Spec
	if spare.Volumes[:2][1].Name != "" || spare.SchedulingGates[:2][1].Name != "" ||
		spare.Containers[0].Env[:2][1].Name != "" {
		t.Error("something was appended behind the policy's slices")
	}
	if diff := cmp.Diff(job, jobOf(policy, set, attempt)); diff != "" {
		t.Errorf("the same attempt makes two Jobs:\n%s", diff)
	}
}
