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

package simulation

import (
	"encoding/json"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

func mounts(names []string) []corev1.VolumeMount {
	var mounts []corev1.VolumeMount
	for _, name := range names {
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: "/" + name})
	}
	return mounts
}

// goodTemplate is a drain that moves everything and writes its receipt.
func (w *world) goodTemplate(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: image, VolumeMounts: mounts(w.templates)}}}}
}

var oddities = [8]string{
	"writes no receipt", "mounts not all claims", "mounts a claim in a sidecar alone", "has a grace period of 0", "has a liveness probe",
	"has a volume with a size limit", "has a limit of ephemeral storage", "has a liveness probe and a limit",
}

// oddAnnotation is on a template that is not what it should be.
const oddAnnotation = "example.com/odd"

// oddTemplates reports whether there is such a template.
func (w *world) oddTemplates() bool {
	for _, policy := range list[*drainv1alpha1.DrainPolicy](w.store) {
		if policy.Spec.Template.Annotations[oddAnnotation] != "" || believesNever(policy) {
			return true
		}
	}
	set := get[*appsv1.StatefulSet](w.store, setName)
	if set == nil {
		return false
	}
	text := set.Annotations[string(drainv1alpha1.ScaledownPodTemplateAnnotation)]
	return text == "{" || strings.Contains(text, oddAnnotation)
}

// believesNever reports whether a policy believes exit codes of pods that are never restarted, which is refused.
func believesNever(policy *drainv1alpha1.DrainPolicy) bool {
	return policy.Spec.Proof == drainv1alpha1.ProofExitCode && policy.Spec.Template.Spec.RestartPolicy == corev1.RestartPolicyNever
}

// drawTemplate is what a user takes for a drain.
func (w *world) drawTemplate() corev1.PodTemplateSpec {
	c := w.choices
	template := w.goodTemplate(imageDrain)
	spec := &template.Spec
	main := &spec.Containers[0]
	worker := main
	if w.outOfTen(w.tools) { // A program that writes no receipt, and something after it that does.
		spec.InitContainers = []corev1.Container{{Name: "tool", Image: imageDrain, VolumeMounts: main.VolumeMounts}}
		main.Image, main.VolumeMounts = imageReceipt, nil
		worker = &spec.InitContainers[0]
	}
	what := 3
	if !w.outOfTen(w.hasty) {
		if !w.outOfTen(w.odd) {
			return template
		}
		what = c.pick(8)
	}
	template.Annotations = map[string]string{oddAnnotation: oddities[what]}
	w.note("user: takes a template for a drain that %s", oddities[what])
	switch what {
	case 0:
		if worker == main {
			main.Image = imageMute
		}
	case 1:
		worker.VolumeMounts = worker.VolumeMounts[:len(worker.VolumeMounts)-1]
	case 2:
		last := worker.VolumeMounts[len(worker.VolumeMounts)-1:]
		worker.VolumeMounts = worker.VolumeMounts[:len(worker.VolumeMounts)-1]
		spec.InitContainers = append(spec.InitContainers, corev1.Container{
			Name: "sidecar", Image: imageEndless, RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways), VolumeMounts: last,
		})
	case 3:
		spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
	case 4:
		main.LivenessProbe = &corev1.Probe{}
	case 5:
		spec.Volumes = append(spec.Volumes, scratch())
	case 6:
		limit(main)
	case 7:
		main.LivenessProbe = &corev1.Probe{}
		limit(main)
	}
	return template
}

// editTemplate changes the policy's template, or the annotation that it is read from.
func (w *world) editTemplate() {
	c := w.choices
	template := w.drawTemplate()
	worker := &template.Spec.Containers[0]
	if len(template.Spec.InitContainers) > 0 && !isSidecar(&template.Spec.InitContainers[0]) {
		worker = &template.Spec.InitContainers[0]
	}
	if image := []string{imageDrain, imageOther, refusedImage}[c.pick(3)]; worker.Image != imageMute {
		worker.Image = image
	}
	if image := worker.Image; image == refusedImage {
		template.Spec.Containers[0].Image = image
	}
	if w.annotated {
		text := asAnnotation(template)
		switch c.pick(6) {
		case 1:
			text = "{"
		case 2:
			text = ""
		}
		w.annotate(text)
		return
	}
	w.editPolicy("template", func(spec *drainv1alpha1.DrainPolicySpec) {
		template.Spec.RestartPolicy = spec.Template.Spec.RestartPolicy
		spec.Template = template
	})
}

func (w *world) annotate(text string) {
	w.note("user: annotates the StatefulSet: %s", text)
	update(w.store, setName, func(set *appsv1.StatefulSet) {
		metav1.SetMetaDataAnnotation(&set.ObjectMeta, string(drainv1alpha1.ScaledownPodTemplateAnnotation), text)
	})
}

func asAnnotation(template corev1.PodTemplateSpec) string {
	text, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: template.Annotations}, Spec: template.Spec})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// editSet changes the StatefulSet's spec, without any effect on the data, or takes its pods' grace period away for good.
func (w *world) editSet() {
	if w.profile.graceless > 0 && w.choices.chance(30) {
		w.note("user: sets the StatefulSet's grace period to 0")
		w.graceless = true
		update(w.store, setName, func(set *appsv1.StatefulSet) { set.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0) })
		return
	}
	w.note("user: edits the StatefulSet")
	update(w.store, setName, func(set *appsv1.StatefulSet) { set.Spec.MinReadySeconds++ })
}
