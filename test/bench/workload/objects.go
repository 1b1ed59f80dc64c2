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

package workload

import (
	"bytes"
	_ "embed" // For the default policy.
	"fmt"
	"text/template"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

const (
	// storageClass is the class of all claims. Their volumes are created beforehand, so that no provisioner is part of what is
	// measured.
	storageClass = "bench"
	// claimTemplate is the name of the only claim template.
	claimTemplate = "data"
	image         = "localhost/store:dev"
)

// DefaultPolicy is the template of the policy that each StatefulSet has, unless the user gives another one.
//
//go:embed policy.yaml
var DefaultPolicy string

// Set is a StatefulSet that shrinks.
type Set struct {
	Namespace, Name string
	// From and To are the numbers of replicas before and after.
	From, To int32
	// Concurrency is the number of its ordinals that the policy lets the operator drain at once.
	Concurrency int
	// Parallel creates and deletes the pods at once, not one after another.
	Parallel bool
}

// Orphan is an ordinal that the scale-down leaves without a pod.
type Orphan struct {
	Namespace, Set string
	Ordinal        int32
}

// Pod is the name of the ordinal's pod, and of its lock.
func (o Orphan) Pod() string { return fmt.Sprintf("%s-%d", o.Set, o.Ordinal) }

// Claim is the name of the ordinal's claim.
func (o Orphan) Claim() string { return ClaimName(o.Set, o.Ordinal) }

// ClaimName is the name of the claim of an ordinal.
func ClaimName(set string, ordinal int32) string {
	return fmt.Sprintf("%s-%s-%d", claimTemplate, set, ordinal)
}

// Orphans returns the ordinals that the sets lose.
func Orphans(sets []Set) []Orphan {
	var orphans []Orphan
	for _, set := range sets {
		for ordinal := set.To; ordinal < set.From; ordinal++ {
			orphans = append(orphans, Orphan{set.Namespace, set.Name, ordinal})
		}
	}
	return orphans
}

// Policy returns the policy of a set, as YAML.
func (s Set) Policy(text string) ([]byte, error) {
	parsed, err := template.New("policy").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, s)
	return out.Bytes(), err
}

// DrainTemplate returns the pod template of the default policy.
func DrainTemplate() (corev1.PodTemplateSpec, error) {
	var policy struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	text, err := Set{Concurrency: 1}.Policy(DefaultPolicy)
	if err != nil {
		return corev1.PodTemplateSpec{}, err
	}
	err = yaml.Unmarshal(text, &policy)
	return policy.Spec.Template, err
}

func (s Set) labels() map[string]string { return map[string]string{"app.kubernetes.io/name": s.Name} }

func (s Set) statefulSet() *appsv1.StatefulSet {
	management := appsv1.OrderedReadyPodManagement
	if s.Parallel {
		management = appsv1.ParallelPodManagement
	}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace, Labels: s.labels()},
		Spec: appsv1.StatefulSetSpec{
			ServiceName:         s.Name,
			Replicas:            ptr.To(s.From),
			PodManagementPolicy: management,
			Selector:            &metav1.LabelSelector{MatchLabels: s.labels()},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: s.labels()},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: ptr.To[int64](10),
					AutomountServiceAccountToken:  ptr.To(false),
					SecurityContext: &corev1.PodSecurityContext{
						RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65532), FSGroup: ptr.To[int64](65532),
						SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
					},
					Containers: []corev1.Container{{
						Name: "store", Image: image, Args: []string{"serve", "--data=/var/lib/store"},
						VolumeMounts: []corev1.VolumeMount{{Name: claimTemplate, MountPath: "/var/lib/store"}},
					}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: claimTemplate},
				Spec:       claimSpec(""),
			}},
		},
	}
}

// claim returns the claim that the StatefulSet controller would create for an ordinal, bound to its volume.
func (s Set) claim(ordinal int32) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: ClaimName(s.Name, ordinal), Namespace: s.Namespace, Labels: s.labels()},
		Spec:       claimSpec(s.volumeName(ordinal)),
	}
}

func claimSpec(volume string) corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		StorageClassName: ptr.To(storageClass),
		VolumeName:       volume,
		Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}
}

func (s Set) volumeName(ordinal int32) string {
	return fmt.Sprintf("%s-%s-%d", s.Namespace, s.Name, ordinal)
}

// volume returns a volume that only the claim of an ordinal can be bound to.
func (s Set) volume(ordinal int32) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: s.volumeName(ordinal)},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			StorageClassName:              storageClass,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: s.Namespace, Name: ClaimName(s.Name, ordinal)},
			// No kubelet ever mounts it.
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/nonexistent"}},
		},
	}
}

func class() *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: storageClass},
		Provisioner:       "kubernetes.io/no-provisioner",
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingImmediate),
	}
}

// foreignPod returns a pod of another owner, which waits behind a gate of its own so that no node and no scheduler has work
// with it. It mounts a claim, as most pods of a namespace with StatefulSets do.
func foreignPod(namespace string, n int) *corev1.Pod {
	name := fmt.Sprintf("foreign-%d", n)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace,
			Labels:      map[string]string{"app.kubernetes.io/name": "foreign", "app.kubernetes.io/instance": name},
			Annotations: map[string]string{"example.com/checksum": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
		},
		Spec: corev1.PodSpec{
			SchedulingGates:              []corev1.PodSchedulingGate{{Name: "example.com/foreign"}},
			AutomountServiceAccountToken: ptr.To(false),
			Containers: []corev1.Container{{
				Name: "main", Image: image, Args: []string{"serve"},
				Env:          []corev1.EnvVar{{Name: "MODE", Value: "foreign"}, {Name: "INSTANCE", Value: name}},
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
			}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
			}}},
		},
	}
}
