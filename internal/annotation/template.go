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

package annotation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Read returns the template that an annotation holds. An annotation that is empty is as good as
// none, as it was to the controller that it is from.
func Read(object metav1.Object, key drainv1alpha1.TemplateAnnotation) (corev1.PodTemplateSpec, error) {
	text := object.GetAnnotations()[string(key)]
	if text == "" {
		return corev1.PodTemplateSpec{}, fmt.Errorf("StatefulSet %q has no annotation %s", object.GetName(), key)
	}
	template, err := Parse(text)
	if err != nil {
		return corev1.PodTemplateSpec{}, fmt.Errorf("annotation %s of StatefulSet %q, %w", key, object.GetName(), err)
	}
	return template, nil
}

// Parse returns the labels, the annotations and the spec of a Pod in JSON. Errors name the line and
// the column, counted from 1. It is strict where the old controller wasn't: a field that Kubernetes
// doesn't know, or a second one of the same name, would be something that its author meant and
// that silently doesn't happen.
func Parse(text string) (corev1.PodTemplateSpec, error) {
	if large := TooLarge(text); large != "" {
		return corev1.PodTemplateSpec{}, fmt.Errorf("line 1, column 1: %s", large)
	}
	// A YAML block ends in a newline, and an error at the end of the text belongs before it.
	text = strings.TrimRight(text, " \t\r\n")
	pod, err := decode(text)
	if ok, offset := strictjson.SyntaxErrorOffset(err); ok {
		at := int(offset)
		if !strings.Contains(err.Error(), "unexpected end") {
			at-- // It has read the character that it complains about.
		}
		return corev1.PodTemplateSpec{}, fmt.Errorf("%s: %w", position(text, at), err)
	}
	if err != nil {
		return corev1.PodTemplateSpec{}, locate(text)
	}
	for _, r := range refusals(pod) {
		if r.refused {
			return corev1.PodTemplateSpec{}, fmt.Errorf("%s: %s: %s", position(text, find(text, r.path)), r.path, r.why)
		}
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations},
		Spec:       pod.Spec,
	}, nil
}

// TooLarge says in what a template, as JSON, is larger than what the operator accepts, or "". It comes
// before decoding, which can take hundreds of times the memory of the text.
func TooLarge(text string) string {
	if len(text) > drainv1alpha1.MaxTemplateBytes {
		return fmt.Sprintf("the template is larger than %d bytes of JSON, the most that the operator accepts", drainv1alpha1.MaxTemplateBytes)
	}
	objects := 0
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '{':
			objects++
		case '"':
			// The text may be no JSON at all, so the string may have no end.
			for at++; at < len(text) && text[at] != '"'; at++ {
				if text[at] == '\\' {
					at++
				}
			}
		}
	}
	if objects > drainv1alpha1.MaxTemplateObjects {
		return fmt.Sprintf("the template has %d objects in it, and the operator accepts at most %d", objects, drainv1alpha1.MaxTemplateObjects)
	}
	return ""
}

type refusal struct {
	refused   bool
	path, why string
}

// refusals are what a policy's schema refuses in a template, and what isn't a Pod.
func refusals(pod *corev1.Pod) []refusal {
	return []refusal{
		{pod.Kind != "" && pod.Kind != "Pod", "kind", fmt.Sprintf("must be Pod, not %q", pod.Kind)},
		{pod.APIVersion != "" && pod.APIVersion != "v1", "apiVersion", fmt.Sprintf("must be v1, not %q", pod.APIVersion)},
		{len(pod.Spec.Containers) == 0, "spec.containers", "must have at least one container"},
		{pod.Spec.RestartPolicy == corev1.RestartPolicyAlways, "spec.restartPolicy", "must be OnFailure or Never: a drain has an end"},
		{pod.Spec.NodeName != "", "spec.nodeName", "may not be set: a drain must be able to run on any node; use nodeSelector or affinity"},
		{pod.Spec.ActiveDeadlineSeconds != nil, "spec.activeDeadlineSeconds", "may not be set: use spec.job.activeDeadlineSeconds of the DrainPolicy"},
	}
}

// decode decodes a Pod. Of the errors in what is valid JSON it returns one.
func decode(text string) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	strict, err := strictjson.UnmarshalStrict([]byte(text), pod)
	if err == nil && len(strict) > 0 {
		err = strict[0]
	}
	return pod, err
}
