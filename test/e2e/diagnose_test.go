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
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// logLines is how much of each log a failed test looks at.
const logLines = 300

// diagnose shows all that is needed to find out why a test failed, before its namespace goes.
func (w *world) diagnose(ctx context.Context) {
	var report strings.Builder
	section := func(format string, args ...any) { fmt.Fprintf(&report, "\n== "+format+"\n", args...) }

	for _, list := range []client.ObjectList{
		&drainv1alpha1.DrainPolicyList{}, &batchv1.JobList{}, &corev1.PersistentVolumeClaimList{},
	} {
		if err := cluster.List(ctx, list, client.InNamespace(w.namespace)); err != nil {
			section("%T: %v", list, err)
			continue
		}
		_ = meta.EachListItem(list, func(object runtime.Object) error {
			item := object.(client.Object) //nolint:forcetypeassert // Every list of ours has such items.
			item.SetManagedFields(nil)
			text, err := yaml.Marshal(item)
			section("%T %s\n%s", item, item.GetName(), text)
			return err
		})
	}

	section("events")
	var events corev1.EventList
	if err := cluster.List(ctx, &events, client.InNamespace(w.namespace)); err != nil {
		section("events: %v", err)
	}
	slices.SortStableFunc(events.Items, func(a, b corev1.Event) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for i := range events.Items {
		e := &events.Items[i]
		fmt.Fprintf(&report, "%s %s %s/%s %s: %s\n", e.CreationTimestamp.Format("15:04:05"), e.Type, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
	}

	section("every change of a Pod or claim")
	for _, c := range w.recorder.history() {
		switch object := c.object.(type) {
		case *corev1.Pod:
			fmt.Fprintf(&report, "%d %-8s Pod %s %s role=%q deleting=%t\n", c.version, c.kind, object.Name, object.Status.Phase,
				object.Labels[drainv1alpha1.RoleLabel], object.DeletionTimestamp != nil)
		case *corev1.PersistentVolumeClaim:
			fmt.Fprintf(&report, "%d %-8s claim %s %s marked=%t deleting=%t\n", c.version, c.kind, object.Name, object.Status.Phase,
				object.Annotations[drainv1alpha1.DrainedAnnotation] != "", object.DeletionTimestamp != nil)
		}
	}

	for _, namespace := range []string{w.namespace, operatorNamespace} {
		var pods corev1.PodList
		if err := cluster.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
			section("Pods of %s: %v", namespace, err)
			continue
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			section("Pod %s/%s: %s on %q", namespace, pod.Name, pod.Status.Phase, pod.Spec.NodeName)
			for j := range pod.Status.ContainerStatuses {
				status := &pod.Status.ContainerStatuses[j]
				fmt.Fprintf(&report, "%s: ready=%t restarts=%d state=%+v last=%+v\n", status.Name, status.Ready, status.RestartCount, status.State, status.LastTerminationState)
			}
			for line := range strings.Lines(logOf(ctx, pod)) {
				// The operator's log is about all the namespaces.
				if namespace == w.namespace || strings.Contains(line, w.namespace) {
					report.WriteString(line)
				}
			}
		}
	}
	AddReportEntry("cluster state at the failure", report.String(), ReportEntryVisibilityFailureOrVerbose)
	GinkgoWriter.Println(report.String())
}

func logOf(ctx context.Context, pod *corev1.Pod) string {
	stream, err := clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: new(int64(logLines))}).Stream(ctx)
	if err != nil {
		return fmt.Sprintf("no log: %v\n", err)
	}
	defer stream.Close()
	text, err := io.ReadAll(stream)
	if err != nil {
		return fmt.Sprintf("no log: %v\n", err)
	}
	return string(text)
}
