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

package preflight

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/objects"
	"github.com/statefulset-dev/drain-operator/internal/plan"
	"github.com/statefulset-dev/drain-operator/internal/statefulset"
)

// TestAskMissesTheOperatorsLabels holds that a webhook that takes one of the operator's labels away is noticed, also where only the pods of
// the Job would lack it.
func TestAskMissesTheOperatorsLabels(t *testing.T) {
	for name, c := range map[string]struct {
		change func(Object)
		want   string
	}{
		"nothing is changed": {func(Object) {}, ""},
		"a label of the Job": {func(object Object) {
			if job, ok := object.(*batchv1.Job); ok {
				delete(job.Labels, drainv1alpha1.OrdinalLabel)
			}
		}, `changes the drain's Job: metadata.labels[drain.statefulset.dev/ordinal] is ""`},
		"an annotation of the Job": {func(object Object) {
			if job, ok := object.(*batchv1.Job); ok {
				job.Annotations[drainv1alpha1.LockAnnotation] = "another"
			}
		}, `changes the drain's Job: metadata.annotations[drain.statefulset.dev/lock] is "another"`},
		"a label of the Job's template": {func(object Object) {
			if job, ok := object.(*batchv1.Job); ok {
				delete(job.Spec.Template.Labels, drainv1alpha1.RoleLabel)
			}
		}, `changes the drain pod: metadata.labels[drain.statefulset.dev/role] is ""`},
		"a label of the pod": {func(object Object) {
			if pod, ok := object.(*corev1.Pod); ok {
				delete(pod.Labels, drainv1alpha1.RoleLabel)
			}
		}, `changes the drain pod: metadata.labels[drain.statefulset.dev/role] is ""`},
		"a label of someone else": {func(object Object) { object.GetLabels()["team"] = "shop" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			refusal, err := Ask(accepted(), func(object Object) error { c.change(object); return nil })
			if err != nil || c.want == "" && refusal != "" || !strings.Contains(refusal, c.want) {
				t.Errorf("the answer is %q, %v; want %q in it", refusal, err, c.want)
			}
		})
	}
}

// accepted returns a snapshot whose drains can be had.
func accepted() plan.Snapshot {
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyOnFailure,
		Containers: []corev1.Container{{
			Name: "drain", Image: "drain", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
		}},
	}}
	return plan.Snapshot{
		Policy: &drainv1alpha1.DrainPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "policy"},
			Spec:       drainv1alpha1.DrainPolicySpec{StatefulSetRef: drainv1alpha1.StatefulSetReference{Name: "web"}, Template: template},
		},
		Template: template, TemplateHash: "hash",
		Target: statefulset.Target{
			Namespace: "shop", Name: "web", Presence: statefulset.Present, UID: "set", Replicas: 1,
			ClaimTemplates: []string{"data"}, MatchLabels: map[string]string{"app": "web"},
		},
	}
}

// TestTheTrialOfALeavingMemberHasNoRealName holds that the Job by which the ordinal that was lowered last has left, which is there until its
// drain is over, does not make the API server refuse the trial: a dry run knows the names.
func TestTheTrialOfALeavingMemberHasNoRealName(t *testing.T) {
	snapshot := accepted()
	snapshot.Policy.Spec.Leave = &drainv1alpha1.LeaveOptions{Template: *snapshot.Template.DeepCopy()}
	leave := objects.Leave{Ordinal: snapshot.Target.Start + snapshot.Target.Replicas, Number: 1, Action: drainv1alpha1.ActionLeave}
	taken := objects.LeaveName(snapshot.Target.Name, snapshot.Policy.UID, leave)
	leaves := 0
	refusal, err := Ask(snapshot, func(object Object) error {
		if object.GetName() == taken {
			return apierrors.NewAlreadyExists(schema.GroupResource{Group: "batch", Resource: "jobs"}, taken)
		}
		if object.GetLabels()[drainv1alpha1.RoleLabel] == drainv1alpha1.RoleLeave {
			leaves++
		}
		return nil
	})
	if refusal != "" || err != nil || leaves != 2 {
		t.Errorf("the answer is %q, %v, and %d objects of a leaving member were tried", refusal, err, leaves)
	}
}
