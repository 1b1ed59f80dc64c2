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

package cli

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/redact"
)

// operatorLabels select the operator's Deployment and pods, in whichever namespace they are.
var operatorLabels = client.MatchingLabels{"app.kubernetes.io/name": "drain-operator"}

const (
	// reportLogs bounds how much of a log a report has, in lines and bytes.
	reportLogs     = 5000
	reportLogBytes = 5 << 20
)

func reportCommand(s *session) *cobra.Command {
	file := ""
	command := &cobra.Command{
		Use: "report [NAME]", Short: "Write a zip file for a bug report, without Secrets or data",
		Long: `Writes what a bug report needs into a zip file: the policies, StatefulSets, locks, Jobs, pods, claims and events of the namespace, and the operator's
version and log as far as you may read them. It reads no Secrets, no ConfigMaps and no logs of drains. It replaces the values of environment variables, the
arguments of containers, and all annotations but the operator's by their length. Look at the file before you send it: names and messages stay.`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: s.completePolicies,
		RunE: s.run(func(ctx context.Context, args []string) error { return s.report(ctx, strings.Join(args, ""), file) }),
	}
	command.Flags().StringVar(&file, "file", "", "File to write; it must not exist. Defaults to drainpolicy-report-TIME.zip")
	return command
}

func (s *session) report(ctx context.Context, name, file string) (err error) {
	if name != "" {
		policy, err := s.policy(ctx, name)
		if err != nil {
			return err
		}
		name = policy.Name
	}
	if file == "" {
		file = fmt.Sprintf("drainpolicy-report-%s.zip", s.clock.Now().UTC().Format("20060102T150405Z"))
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	archive := &reporter{session: s, zip: zip.NewWriter(out)}
	err = archive.fill(ctx, name)
	if closed := archive.zip.Close(); err == nil {
		err = closed
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(file)
		return err
	}
	fmt.Fprintf(s.Out, "%s written; look at it before you send it\n", file)
	return nil
}

// reporter writes a report. What can't be read is a note in the report, not an error.
type reporter struct {
	*session
	zip   *zip.Writer
	notes []string
}

func (r *reporter) fill(ctx context.Context, name string) error {
	var policies drainv1alpha1.DrainPolicyList
	if err := r.client.List(ctx, &policies, client.InNamespace(r.namespace)); err != nil {
		return err
	}
	sets := map[string]bool{}
	for i := range policies.Items {
		p := &policies.Items[i]
		if name != "" && p.Name != name {
			continue
		}
		sets[p.Spec.StatefulSetRef.Name] = true
		if err := r.object("policies", p); err != nil {
			return err
		}
	}
	related := func(object client.Object) bool {
		if name == "" || sets[object.GetName()] {
			return true
		}
		for set := range sets {
			// Pods, claims and events of the StatefulSet and of its drains have its name in theirs.
			if strings.Contains(object.GetName(), set) {
				return true
			}
		}
		return false
	}
	for _, kind := range []struct {
		folder string
		list   client.ObjectList
	}{
		{"statefulsets", &appsv1.StatefulSetList{}}, {"pods", &corev1.PodList{}}, {"jobs", &batchv1.JobList{}},
		{"claims", &corev1.PersistentVolumeClaimList{}}, {"events", &eventsv1.EventList{}},
	} {
		if err := r.list(ctx, kind.folder, kind.list, related); err != nil {
			return err
		}
	}
	if err := r.operator(ctx); err != nil {
		return err
	}
	return r.file("notes.txt", strings.Join(r.notes, "\n")+"\n")
}

func (r *reporter) list(ctx context.Context, folder string, list client.ObjectList, related func(client.Object) bool) error {
	if err := r.client.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
		return r.missing(folder, err)
	}
	return meta.EachListItem(list, func(item runtime.Object) error {
		if object := item.(client.Object); related(object) {
			return r.object(folder, object)
		}
		return nil
	})
}

// missing notes what could not be read. Without the API server, there is no report.
func (r *reporter) missing(what string, err error) error {
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		r.notes = append(r.notes, what+": "+err.Error())
		return nil
	}
	return err
}

// object writes a redacted object.
func (r *reporter) object(folder string, object client.Object) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return err
	}
	redact.Object(fields)
	text, err := yaml.Marshal(fields)
	if err != nil {
		return err
	}
	return r.file(folder+"/"+object.GetName()+".yaml", string(text))
}

func (r *reporter) file(name, text string) error {
	out, err := r.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: r.clock.Now().UTC().Truncate(time.Second)})
	if err == nil {
		_, err = io.WriteString(out, text)
	}
	return err
}

// operator writes the versions of the cluster and of the operator, and the operator's log.
func (r *reporter) operator(ctx context.Context) error {
	pipes, err := kubernetes.NewForConfig(r.config)
	if err != nil {
		return err
	}
	if version, err := pipes.Discovery().ServerVersion(); err == nil {
		r.notes = append(r.notes, "Kubernetes "+version.GitVersion)
	}
	var deployments appsv1.DeploymentList
	if err := r.client.List(ctx, &deployments, operatorLabels); err != nil {
		return r.missing("the operator", err)
	}
	if len(deployments.Items) == 0 {
		r.notes = append(r.notes, "the operator: no Deployment has the label app.kubernetes.io/name=drain-operator")
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		if err := r.object("operator", d); err != nil {
			return err
		}
		for j := range d.Spec.Template.Spec.Containers {
			r.notes = append(r.notes, fmt.Sprintf("the operator: %s/%s runs %s", d.Namespace, d.Name, d.Spec.Template.Spec.Containers[j].Image))
		}
		var pods corev1.PodList
		if err := r.client.List(ctx, &pods, client.InNamespace(d.Namespace), operatorLabels); err != nil {
			return r.missing("the operator's pods", err)
		}
		for j := range pods.Items {
			if err := r.log(ctx, pipes, &pods.Items[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reporter) log(ctx context.Context, pipes kubernetes.Interface, pod *corev1.Pod) error {
	if err := r.object("operator", pod); err != nil {
		return err
	}
	options := &corev1.PodLogOptions{TailLines: ptr.To[int64](reportLogs), LimitBytes: ptr.To[int64](reportLogBytes)}
	text, err := pipes.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).DoRaw(ctx)
	if err == nil {
		return r.file("operator/"+pod.Name+".log", string(text))
	}
	r.notes = append(r.notes, "the log of "+pod.Name+": "+err.Error())
	return nil
}
