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
	"context"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func initCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "init sts/NAME", Short: "Print a policy to start from for a StatefulSet",
		Long: `Prints a DrainPolicy for a StatefulSet, whose template mounts each of its claims where the StatefulSet's own containers do. The policy is suspended, and
its drain fails, until you have written the part that moves the data.`,
		Example: `  kubectl drainpolicy init sts/datastore >drainpolicy.yaml
  kubectl apply --dry-run=server -f drainpolicy.yaml`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeSets,
		RunE: s.run(func(ctx context.Context, args []string) error { return s.initialize(ctx, args[0]) }),
	}
}

// setName takes the forms that kubectl takes for a StatefulSet.
func setName(argument string) string {
	kind, name, found := strings.Cut(argument, "/")
	if !found {
		return argument
	}
	if slices.Contains([]string{"sts", "statefulset", "statefulsets", "statefulset.apps", "statefulsets.apps"}, kind) {
		return name
	}
	return argument
}

func (s *session) initialize(ctx context.Context, argument string) error {
	name := setName(argument)
	set := &appsv1.StatefulSet{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, set)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("no StatefulSet %q in namespace %q%s", name, s.namespace, s.suggestSets(ctx, name))
	}
	if err != nil {
		return err
	}
	if len(set.Spec.VolumeClaimTemplates) == 0 {
		return no("StatefulSet %q has no volumeClaimTemplates, so a scale-down leaves no claims that could be drained", name)
	}
	text, err := starter(set)
	if err == nil {
		_, err = fmt.Fprint(s.Out, text)
	}
	return err
}

func (s *session) suggestSets(ctx context.Context, name string) string {
	var list appsv1.StatefulSetList
	if s.client.List(ctx, &list, client.InNamespace(s.namespace)) != nil {
		return ""
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	if similar := near(name, names); len(similar) > 0 {
		return "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return ""
}

func (s *session) completeSets(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var list appsv1.StatefulSetList
	if len(args) > 0 || s.connect() != nil || s.client.List(command.Context(), &list, client.InNamespace(s.namespace)) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range list.Items {
		names = append(names, "sts/"+list.Items[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// mount is a claim in the container of a drain.
type mount struct {
	Name, Path string
	Block      bool
}

// starter returns a policy for a StatefulSet, as text with comments.
func starter(set *appsv1.StatefulSet) (string, error) {
	var mounts []mount
	for i := range set.Spec.VolumeClaimTemplates {
		volume := &set.Spec.VolumeClaimTemplates[i]
		m := mount{Name: volume.Name, Path: "/" + volume.Name, Block: ptr.Deref(volume.Spec.VolumeMode, "") == corev1.PersistentVolumeBlock}
		if m.Block {
			m.Path = "/dev/" + volume.Name
		}
		if own := ownPath(set, m); own != "" {
			m.Path = own
		}
		mounts = append(mounts, m)
	}
	image := set.Spec.Template.Spec.Containers[0].Image
	var text strings.Builder
	err := starterTemplate.Execute(&text, map[string]any{"Name": set.Name, "Namespace": set.Namespace, "Image": image, "Mounts": mounts})
	return text.String(), err
}

// ownPath returns where the StatefulSet's containers have a claim. Part of a volume is not enough for a drain, which needs all of it.
func ownPath(set *appsv1.StatefulSet, m mount) string {
	for i := range set.Spec.Template.Spec.Containers {
		container := &set.Spec.Template.Spec.Containers[i]
		for j := range container.VolumeDevices {
			if device := &container.VolumeDevices[j]; m.Block && device.Name == m.Name {
				return device.DevicePath
			}
		}
		for j := range container.VolumeMounts {
			if own := &container.VolumeMounts[j]; !m.Block && own.Name == m.Name && own.SubPath == "" && own.SubPathExpr == "" {
				return own.MountPath
			}
		}
	}
	return ""
}

var starterTemplate = template.Must(template.New("policy").Funcs(template.FuncMap{"quote": func(s string) string { return fmt.Sprintf("%q", s) }}).Parse(
	`apiVersion: drain.statefulset.dev/v1alpha1
kind: DrainPolicy
metadata:
  name: {{.Name}}
  namespace: {{.Namespace}}
spec:
  statefulSetRef:
    name: {{.Name}}
  suspend: true              # no drain starts; set it to false when the drain below is written
  whenDrained: Retain        # keeps the drained claims; Delete deletes exactly the claims that were drained
  minReadyReplicas: 1        # replicas that must be ready to take the data; 0 for a drain that uploads it
  template:
    spec:
      containers:
        - name: drain
          image: {{quote .Image}}   # the StatefulSet's own; any image with the tools that the drain needs
          command:
            - sh
            - -c
            - |
              set -eu
              trap 'exit 143' TERM
              # Move the data of ordinal $DRAIN_ORDINAL to safety here. $DRAIN_PEERS are the replicas that remain.
              # The drain must be able to run again on partly drained data.
              echo "the drain is not written yet" >&2
              exit 1
              # The receipt is the last act: without it, the operator believes no success.
              printf '%s\n' "$DRAIN_RECEIPT" >>/dev/termination-log
{{- $block := false}}{{$files := false}}
{{- range .Mounts}}{{if .Block}}{{if not $block}}{{$block = true}}
          volumeDevices:{{end}}
            - name: {{.Name}}
              devicePath: {{quote .Path}}{{end}}{{end}}
{{- range .Mounts}}{{if not .Block}}{{if not $files}}{{$files = true}}
          volumeMounts:{{end}}
            - name: {{.Name}}
              mountPath: {{quote .Path}}{{end}}{{end}}
`))
