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

package proof

import (
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const theReceipt = "receipt-0123456789abcdef"

func expected(proof drainv1alpha1.Proof) Expected {
	return Expected{
		Proof: proof, Receipt: theReceipt, Containers: []string{"drain"}, Claims: []string{"data-web-2", "wal-web-2"},
	}
}

// spec returns the spec of a drain pod as the operator asks for it: one container that mounts two claims.
func spec(change ...func(*corev1.PodSpec)) *corev1.PodSpec {
	claim := func(template string) corev1.Volume {
		return corev1.Volume{Name: template, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: template + "-web-2"},
		}}
	}
	s := &corev1.PodSpec{
		Containers: []corev1.Container{{
			Name:         "drain",
			Env:          []corev1.EnvVar{{Name: ReceiptVariable, Value: theReceipt}},
			VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}, {Name: "wal", MountPath: "/wal"}},
		}},
		Volumes:         []corev1.Volume{claim("data"), claim("wal")},
		SchedulingGates: []corev1.PodSchedulingGate{{Name: drainv1alpha1.DrainSchedulingGate}},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func ephemeral() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Limits: corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")},
	}
}

// moveMount moves the mount of claim wal from the drain to an init container.
func moveMount(restart *corev1.ContainerRestartPolicy) func(*corev1.PodSpec) {
	return func(s *corev1.PodSpec) {
		s.InitContainers = []corev1.Container{{
			Name: "init", RestartPolicy: restart, VolumeMounts: s.Containers[0].VolumeMounts[1:],
		}}
		s.Containers[0].VolumeMounts = s.Containers[0].VolumeMounts[:1]
	}
}

func TestPodNamesWhatCouldNotBeBelieved(t *testing.T) {
	const receipt, exitCode = drainv1alpha1.ProofReceipt, drainv1alpha1.ProofExitCode
	tests := map[string]struct {
		change func(*corev1.PodSpec)
		// want are the fields with a receipt, and wantExitCode those without one.
		want, wantExitCode []string
	}{
		"a pod as asked for": {},
		"no grace period": {
			change: func(s *corev1.PodSpec) { s.TerminationGracePeriodSeconds = ptr.To[int64](0) },
			want:   []string{"terminationGracePeriodSeconds"}, wantExitCode: []string{"terminationGracePeriodSeconds"},
		},
		"a grace period": {change: func(s *corev1.PodSpec) { s.TerminationGracePeriodSeconds = ptr.To[int64](1) }},
		"an added container": {
			change:       func(s *corev1.PodSpec) { s.Containers = append(s.Containers, corev1.Container{Name: "proxy"}) },
			want:         []string{`containers[1] ("proxy")`, "containers[1].env (DRAIN_RECEIPT)"},
			wantExitCode: []string{`containers[1] ("proxy")`},
		},
		"an added sidecar": {change: func(s *corev1.PodSpec) {
			s.InitContainers = []corev1.Container{{Name: "proxy", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}}
		}},
		"a removed container": {
			change:       func(s *corev1.PodSpec) { s.Containers[0].Name = "other" },
			want:         []string{`containers[0] ("other")`, "containers"},
			wantExitCode: []string{`containers[0] ("other")`, "containers"},
		},
		"a claim that nothing mounts": {
			change: func(s *corev1.PodSpec) { s.Containers[0].VolumeMounts = s.Containers[0].VolumeMounts[:1] },
			want:   []string{`volumes[1] ("wal")`}, wantExitCode: []string{`volumes[1] ("wal")`},
		},
		"a claim without a volume": {
			change: func(s *corev1.PodSpec) { s.Volumes = s.Volumes[:1] },
			want:   []string{`volumes: claim "wal-web-2"`}, wantExitCode: []string{`volumes: claim "wal-web-2"`},
		},
		"a claim that an init container mounts": {change: moveMount(nil)},
		"a claim that only a sidecar mounts": {
			change: moveMount(ptr.To(corev1.ContainerRestartPolicyAlways)),
			want:   []string{`volumes[1] ("wal")`}, wantExitCode: []string{`volumes[1] ("wal")`},
		},
		"a block device": {change: func(s *corev1.PodSpec) {
			s.Containers[0].VolumeMounts = s.Containers[0].VolumeMounts[:1]
			s.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "wal", DevicePath: "/dev/wal"}}
		}},
		"a receipt of the template's own": {
			change: func(s *corev1.PodSpec) { s.Containers[0].Env[0].Value = "mine" },
			want:   []string{"containers[0].env (DRAIN_RECEIPT)"},
		},
		"a receipt that was removed": {
			change: func(s *corev1.PodSpec) { s.Containers[0].Env = nil },
			want:   []string{"containers[0].env (DRAIN_RECEIPT)"},
		},
		"a liveness probe": {
			change:       func(s *corev1.PodSpec) { s.Containers[0].LivenessProbe = &corev1.Probe{} },
			wantExitCode: []string{"containers[0].livenessProbe"},
		},
		"a startup probe": {
			change:       func(s *corev1.PodSpec) { s.Containers[0].StartupProbe = &corev1.Probe{} },
			wantExitCode: []string{"containers[0].startupProbe"},
		},
		"a container that is always restarted": {
			change: func(s *corev1.PodSpec) { s.Containers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways) },
			want:   []string{"containers[0].restartPolicy"}, wantExitCode: []string{"containers[0].restartPolicy"},
		},
		"a container that is restarted on failure": {change: func(s *corev1.PodSpec) {
			s.Containers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyOnFailure)
		}},
		"rules of restarts": {
			change: func(s *corev1.PodSpec) { s.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{}} },
			want:   []string{"containers[0].restartPolicyRules"}, wantExitCode: []string{"containers[0].restartPolicyRules"},
		},
		"a pod that is never restarted": {
			change:       func(s *corev1.PodSpec) { s.RestartPolicy = corev1.RestartPolicyNever },
			wantExitCode: []string{"restartPolicy"},
		},
		"a pod that is restarted": {change: func(s *corev1.PodSpec) { s.RestartPolicy = corev1.RestartPolicyOnFailure }},
		"a hook that can fail": {change: func(s *corev1.PodSpec) {
			s.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}}
		}, wantExitCode: []string{"containers[0].lifecycle.postStart"}},
		"a hook before the end": {change: func(s *corev1.PodSpec) {
			s.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}
		}},
		"a resize that restarts": {change: func(s *corev1.PodSpec) {
			s.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{
				ResourceName: corev1.ResourceCPU, RestartPolicy: corev1.NotRequired,
			}, {ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer}}
		}, wantExitCode: []string{"containers[0].resizePolicy (memory)"}},
		"a readiness probe": {change: func(s *corev1.PodSpec) { s.Containers[0].ReadinessProbe = &corev1.Probe{} }},
		"a liveness probe of a sidecar": {change: func(s *corev1.PodSpec) {
			s.InitContainers = []corev1.Container{{
				Name: "proxy", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways),
				LivenessProbe: &corev1.Probe{},
			}}
		}},
		"an emptyDir with a size limit": {change: func(s *corev1.PodSpec) {
			s.Volumes = append(s.Volumes,
				corev1.Volume{
					Name: "tmp",
					VolumeSource: corev1.VolumeSource{
						EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(1, resource.BinarySI)},
					},
				})
		}, wantExitCode: []string{"volumes[2].emptyDir.sizeLimit"}},
		"a limit on ephemeral storage": {
			change:       func(s *corev1.PodSpec) { s.Containers[0].Resources = ephemeral() },
			wantExitCode: []string{"containers[0].resources.limits.ephemeral-storage"},
		},
		"a limit on an init container": {
			change: func(s *corev1.PodSpec) {
				s.InitContainers = []corev1.Container{{Name: "init", Resources: ephemeral()}}
			},
			wantExitCode: []string{"initContainers[0].resources.limits.ephemeral-storage"},
		},
		"a limit on the pod's ephemeral storage": {
			change:       func(s *corev1.PodSpec) { s.Resources = ptr.To(ephemeral()) },
			wantExitCode: []string{"resources.limits.ephemeral-storage"},
		},
		"a deadline of the pod": {
			change:       func(s *corev1.PodSpec) { s.ActiveDeadlineSeconds = ptr.To[int64](60) },
			wantExitCode: []string{"activeDeadlineSeconds"},
		},
		"a volume that hides the claim from mounts": {
			change: func(s *corev1.PodSpec) { s.Volumes[1].PersistentVolumeClaim = nil },
			want:   []string{`volumes: claim "wal-web-2"`}, wantExitCode: []string{`volumes: claim "wal-web-2"`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			change := tc.change
			if change == nil {
				change = func(*corev1.PodSpec) {}
			}
			for proof, want := range map[drainv1alpha1.Proof][]string{receipt: tc.want, "": tc.want, exitCode: tc.wantExitCode} {
				var got []string
				for _, problem := range Pod(spec(change), expected(proof)) {
					got = append(got, problem.Field)
					if !strings.Contains(problem.Why, ";") {
						t.Errorf("problem %q does not say what to do", problem)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("with proof %q the fields are %q, want %q", proof, got, want)
				}
			}
		})
	}
}

func TestJobNamesWhatCouldNotBeBelieved(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*batchv1.Job)
		want   string
	}{
		"a Job as asked for": {change: func(*batchv1.Job) {}},
		"a TTL": {
			change: func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = ptr.To[int32](100) },
			want:   "ttlSecondsAfterFinished",
		},
		"another controller": {
			change: func(j *batchv1.Job) { j.Spec.ManagedBy = ptr.To("example.com/queue") },
			want:   "managedBy",
		},
		"the built-in controller": {change: func(j *batchv1.Job) { j.Spec.ManagedBy = ptr.To(batchv1.JobControllerName) }},
		"early replacement": {
			change: func(j *batchv1.Job) { j.Spec.PodReplacementPolicy = ptr.To(batchv1.TerminatingOrFailed) },
			want:   "podReplacementPolicy",
		},
		"no replacement policy": {
			change: func(j *batchv1.Job) { j.Spec.PodReplacementPolicy = nil },
			want:   "podReplacementPolicy",
		},
		"several pods at once": {change: func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](2) }, want: "parallelism"},
		"several completions":  {change: func(j *batchv1.Job) { j.Spec.Completions = ptr.To[int32](2) }, want: "completions"},
		"a lost scheduling gate": {
			change: func(j *batchv1.Job) { j.Spec.Template.Spec.SchedulingGates = nil },
			want:   "template.spec.schedulingGates",
		},
		"a gate of another as well": {change: func(j *batchv1.Job) {
			j.Spec.Template.Spec.SchedulingGates = append(j.Spec.Template.Spec.SchedulingGates,
				corev1.PodSchedulingGate{Name: "example.com/quota"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			job := &batchv1.Job{
				Spec: batchv1.JobSpec{
					Parallelism: ptr.To[int32](1), Completions: ptr.To[int32](1),
					PodReplacementPolicy: ptr.To(batchv1.Failed), Template: corev1.PodTemplateSpec{Spec: *spec()},
				},
			}
			tc.change(job)
			var fields []string
			for _, problem := range Job(job) {
				fields = append(fields, problem.Field)
			}
			if got := strings.Join(fields, ","); got != tc.want {
				t.Errorf("the fields are %q, want %q", got, tc.want)
			}
		})
	}
}

// succeeded returns a pod that ended well, with these last words.
func succeeded(message string, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-2-drain-x"},
		Spec:       *spec(),
		Status: corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "drain", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: message}},
		}}},
	}
	for _, c := range change {
		c(pod)
	}
	return pod
}

func TestDoubt(t *testing.T) {
	disruption := func(status corev1.ConditionStatus) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{
				Type: corev1.DisruptionTarget, Status: status, Reason: corev1.PodReasonTerminationByKubelet,
			}}
		}
	}
	twoContainers := func(second string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, p.Spec.Containers[0])
			p.Spec.Containers[1].Name = "verify"
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: "verify", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: second}},
			})
		}
	}
	for name, tc := range map[string]struct {
		pod *corev1.Pod
		// want is a part of the doubt with a receipt asked for, and wantExitCode without.
		want, wantExitCode string
		containers         []string
	}{
		"a receipt alone is believed":                    {pod: succeeded(theReceipt)},
		"a message before the receipt is believed":       {pod: succeeded("moved 3 records\n" + theReceipt + "\n")},
		"a message that ends in the receipt is believed": {pod: succeeded("moved 3 records " + theReceipt)},
		"a receipt before other text is not believed": {
			pod: succeeded(theReceipt + "\nand then some"), want: "left no receipt",
		},
		"an empty message is not believed":             {pod: succeeded(""), want: "left no receipt"},
		"a receipt of another attempt is not believed": {pod: succeeded("receipt-fedcba9876543210"), want: "left no receipt"},
		"a truncated receipt is not believed": {
			pod: succeeded(theReceipt[:len(theReceipt)-1]), want: "left no receipt",
		},
		"a container without a status is not believed": {
			pod: succeeded("", func(p *corev1.Pod) { p.Status.ContainerStatuses = nil }), want: "left no receipt",
		},
		"receipts of both containers are believed": {
			pod: succeeded(theReceipt, twoContainers(theReceipt)), containers: []string{"drain", "verify"},
		},
		"a second container without a receipt is not believed": {
			pod: succeeded(theReceipt, twoContainers("fine")), containers: []string{"drain", "verify"},
			want: `container "verify"`,
		},
		"a pod that was deleted is not believed": {
			pod:  succeeded(theReceipt, func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }),
			want: "was deleted", wantExitCode: "was deleted",
		},
		"a pod that was disrupted is not believed": {
			pod: succeeded(theReceipt, disruption(corev1.ConditionTrue)), want: "TerminationByKubelet",
			wantExitCode: "TerminationByKubelet",
		},
		"a disruption that did not happen does not matter": {pod: succeeded(theReceipt, disruption(corev1.ConditionFalse))},
		"a pod that failed is not believed": {
			pod:  succeeded(theReceipt, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }),
			want: "did not succeed", wantExitCode: "did not succeed",
		},
		"a pod with the requested images is believed": {pod: succeeded(theReceipt, func(p *corev1.Pod) {
			p.Annotations = map[string]string{drainv1alpha1.ImagesAnnotation: Images(&p.Spec)}
		})},
		"a pod with a changed image is believed only with a receipt": {pod: succeeded(theReceipt, func(p *corev1.Pod) {
			p.Annotations = map[string]string{drainv1alpha1.ImagesAnnotation: Images(&p.Spec)}
			p.Spec.Containers[0].Image = "drian:1"
		}), wantExitCode: "was changed while it ran"},
		"a pod that did not mount a claim is not believed": {
			pod:  succeeded(theReceipt, func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts = nil }),
			want: "mounted by no container", wantExitCode: "mounted by no container",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for proof, want := range map[drainv1alpha1.Proof]string{
				drainv1alpha1.ProofReceipt: tc.want, "": tc.want, drainv1alpha1.ProofExitCode: tc.wantExitCode,
			} {
				expected := expected(proof)
				if tc.containers != nil {
					expected.Containers = tc.containers
				}
				if got := Doubt(tc.pod, expected); (got == "") != (want == "") || !strings.Contains(got, want) {
					t.Errorf("with proof %q the doubt is %q, want %q", proof, got, want)
				}
			}
		})
	}
	if Doubt(succeeded("anything"), Expected{Containers: []string{"drain"}}) == "" {
		t.Error("without a receipt to compare with, none is found")
	}
}

func TestWithoutReceipt(t *testing.T) {
	for message, want := range map[string]string{
		"moved 3\n" + theReceipt + "\n": "moved 3",
		theReceipt:                      "",
		"":                              "",
	} {
		if got := WithoutReceipt(message, theReceipt); got != want {
			t.Errorf("WithoutReceipt(%q) = %q, want %q", message, got, want)
		}
	}
}
