//go:build e2e

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

package e2e

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

const (
	// storeName is the name of the StatefulSet, its Service and, unless there are two, its policy.
	storeName  = "datastore"
	storeImage = "localhost/datastore:dev"
	storePort  = 8080
	// holdKey is the record that holds a drain half-way, see the package's comment.
	holdKey = "hold"
)

var storeLabels = map[string]string{"app.kubernetes.io/name": storeName}

// service is the headless Service that gives the replicas their names.
func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: storeName},
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone,
			Selector:  storeLabels,
			Ports:     []corev1.ServicePort{{Name: "http", Port: storePort}},
		},
	}
}

// statefulSet is the store, with one claim template "data" unless told otherwise. Its Pods start all at once, to save the tests' time.
func statefulSet(replicas int32, mutate ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: storeName},
		Spec: appsv1.StatefulSetSpec{
			ServiceName:         storeName,
			Replicas:            new(replicas),
			PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector:            &metav1.LabelSelector{MatchLabels: storeLabels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: storeLabels},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: new(int64(5)),
					AutomountServiceAccountToken:  new(false),
					SecurityContext: &corev1.PodSecurityContext{
						RunAsNonRoot:   new(true),
						RunAsUser:      new(int64(65532)),
						RunAsGroup:     new(int64(65532)),
						FSGroup:        new(int64(65532)),
						SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
					},
					Containers: []corev1.Container{{
						Name:  "datastore",
						Image: storeImage,
						Args:  []string{"serve"},
						Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: storePort}},
						ReadinessProbe: &corev1.Probe{
							ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http")}},
							PeriodSeconds: 1,
						},
						Resources:       corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5m")}},
						SecurityContext: restricted(),
					}},
				},
			},
		},
	}
	withClaimTemplates("data")(set)
	for _, m := range mutate {
		m(set)
	}
	return set
}

// withClaimTemplates gives the store a volume for each name; the records spread over all of them.
func withClaimTemplates(names ...string) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) {
		container := &set.Spec.Template.Spec.Containers[0]
		set.Spec.VolumeClaimTemplates, container.VolumeMounts = nil, mounts(names)
		container.Args = append([]string{"serve"}, dataArgs(names)...)
		for _, name := range names {
			set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("16Mi")},
					},
				},
			})
		}
	}
}

// withoutClaimTemplates keeps the records on a volume that goes with the Pod.
func withoutClaimTemplates() func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) {
		set.Spec.VolumeClaimTemplates = nil
		set.Spec.Template.Spec.Volumes = []corev1.Volume{emptyDir("data")}
	}
}

// withOrdinalsFrom lets the ordinals start at another number than 0.
func withOrdinalsFrom(start int32) func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) { set.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: start} }
}

// withOrderedPods starts the Pods one after the other, as StatefulSets do by default.
func withOrderedPods() func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) { set.Spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement }
}

// withClaimsDeletedOnScaleDown is what a policy can't live with.
func withClaimsDeletedOnScaleDown() func(*appsv1.StatefulSet) {
	return func(set *appsv1.StatefulSet) {
		set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
			WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			WhenScaled:  appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
		}
	}
}

// drainPolicy is a policy for the store that drains "data" with the datastore's own drain.
func drainPolicy(mutate ...func(*drainv1alpha1.DrainPolicy)) *drainv1alpha1.DrainPolicy {
	policy := &drainv1alpha1.DrainPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: storeName},
		Spec: drainv1alpha1.DrainPolicySpec{
			StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: storeName},
			Template: corev1.PodTemplateSpec{
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: new(int64(5)),
					Containers: []corev1.Container{{
						Name:            "drain",
						Image:           storeImage,
						Args:            append([]string{"drain", "--retry-interval=200ms"}, dataArgs([]string{"data"})...),
						VolumeMounts:    mounts([]string{"data"}),
						SecurityContext: restricted(),
					}},
				},
			},
		},
	}
	for _, m := range mutate {
		m(policy)
	}
	return policy
}

func named(name string) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Name = name }
}

func whenDrained(what drainv1alpha1.WhenDrained) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenDrained = what }
}

func provedBy(what drainv1alpha1.Proof) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Spec.Proof = what }
}

func whenScaledUp(what drainv1alpha1.WhenScaledUp) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Spec.WhenScaledUp = what }
}

func maxConcurrentDrains(n int32) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Spec.MaxConcurrentDrains = new(n) }
}

func suspended() func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) { p.Spec.Suspend = new(true) }
}

// drainArgs adds flags to the drain.
func drainArgs(args ...string) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) {
		container := &p.Spec.Template.Spec.Containers[0]
		container.Args = append(container.Args, args...)
	}
}

// held lets the drain stop half-way for as long as a replica has the record holdKey.
func held() func(*drainv1alpha1.DrainPolicy) { return drainArgs("--hold=" + holdKey) }

// draining names the volumes to drain.
func draining(templates ...string) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) {
		container := &p.Spec.Template.Spec.Containers[0]
		container.Args = append([]string{"drain", "--retry-interval=200ms"}, dataArgs(templates)...)
		container.VolumeMounts = mounts(templates)
	}
}

// asInitContainer runs the drain as a tool that knows nothing of receipts: as an init container, with a small container after it that writes one.
func asInitContainer() func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) {
		spec := &p.Spec.Template.Spec
		spec.InitContainers = spec.Containers
		if tool := &spec.InitContainers[0]; tool.Args[0] == "drain" {
			tool.Args = append(tool.Args, "--receipt=")
		}
		spec.Containers = []corev1.Container{{Name: "receipt", Image: storeImage, Args: []string{"receipt"}, SecurityContext: restricted()}}
	}
}

// inspecting stands for a drain that uploads: it reads all there is and needs no replica.
func inspecting(templates ...string) func(*drainv1alpha1.DrainPolicy) {
	return func(p *drainv1alpha1.DrainPolicy) {
		p.Spec.Template.Spec.Containers[0].Args = append([]string{"inspect"}, dataArgs(templates)...)
		p.Spec.Template.Spec.Containers[0].VolumeMounts = mounts(templates)
		p.Spec.MinReadyReplicas = new(int32(0))
		asInitContainer()(p)
	}
}

func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func emptyDir(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

func mountPath(template string) string { return "/var/lib/datastore/" + template }

func mounts(templates []string) []corev1.VolumeMount {
	all := make([]corev1.VolumeMount, 0, len(templates))
	for _, template := range templates {
		all = append(all, corev1.VolumeMount{Name: template, MountPath: mountPath(template)})
	}
	return all
}

func dataArgs(templates []string) []string {
	args := make([]string, 0, len(templates))
	for _, template := range templates {
		args = append(args, "--data="+mountPath(template))
	}
	return args
}

// replica is the name of the StatefulSet's Pod of an ordinal.
func replica(ordinal int32) string { return fmt.Sprintf("%s-%d", storeName, ordinal) }

// claim is the name of an ordinal's claim.
func claim(template string, ordinal int32) string {
	return fmt.Sprintf("%s-%s-%d", template, storeName, ordinal)
}
