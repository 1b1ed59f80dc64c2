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
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/view"
	"github.com/statefulset-dev/drain-operator/internal/plan"
)

func checkCommand(s *session) *cobra.Command {
	replicas, file, output := int32(-1), "", ""
	command := &cobra.Command{
		Use: "check [NAME]", Short: "Say whether it is safe to scale down now, and what would happen",
		Long: `Plans the scale-down as the operator would, from what is in the cluster now, and says what speaks against it. It writes nothing: it creates the drain's
Job and pod, and the policy of a file, in dry runs only, with your own rights.

The result of each check is ok, no, warning, or unknown if you may not read what it needs. It exits with 2 if the result of one is no.`,
		Example: `  kubectl drainpolicy check datastore                # one replica less
  kubectl drainpolicy check datastore --replicas=0
  kubectl drainpolicy check -f drainpolicy.yaml      # a policy that is not applied yet`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: s.completePolicies,
		RunE: s.run(func(ctx context.Context, args []string) error {
			policy, applied, err := s.checked(ctx, strings.Join(args, ""), file)
			if err != nil {
				return err
			}
			r, err := s.check(ctx, policy, applied, replicas)
			if err != nil {
				return err
			}
			if output != "" {
				err = s.encode(output, r)
			} else {
				r.write(s.Out, s.style())
			}
			if err == nil && !r.Safe {
				return no("not safe now: %d objections", r.count(bad))
			}
			return err
		}),
	}
	outputFlag(command, &output, "json", "yaml")
	command.Flags().Int32Var(&replicas, "replicas", replicas, "Number of replicas to scale to; unset, one less than now")
	command.Flags().StringVarP(&file, "filename", "f", "", "File with the policy, or - for stdin, instead of NAME")
	return command
}

// The results of a check.
const (
	good    = "ok"
	bad     = "no"
	warning = "warning"
	unknown = "unknown"
)

// Finding is the result of one check.
type Finding struct {
	Result  string `json:"result"`
	Check   string `json:"check"`
	Message string `json:"message"`
}

// Planned is what the operator would do with one ordinal.
type Planned struct {
	Ordinal int32                    `json:"ordinal"`
	State   drainv1alpha1.DrainState `json:"state"`
	Reason  string                   `json:"reason"`
	Message string                   `json:"message"`
	// Rule is that of the operator's protocol which applies; docs/design.md has them.
	Rule   string       `json:"rule"`
	Claims []view.Claim `json:"claims,omitempty"`
}

// Review is the answer of check.
type Review struct {
	Policy      string    `json:"policy"`
	StatefulSet string    `json:"statefulSet"`
	Replicas    int32     `json:"replicas"`
	After       int32     `json:"replicasAfter"`
	Safe        bool      `json:"safe"`
	Findings    []Finding `json:"findings"`
	Plan        []Planned `json:"plan,omitempty"`
	// Deleted are the claims that would be deleted when they are drained, and Final is what can't be undone.
	Deleted []string `json:"deletedWhenDrained,omitempty"`
	Final   []string `json:"final,omitempty"`
}

func (r *Review) add(result, check, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{result, check, fmt.Sprintf(format, args...)})
}

func (r *Review) count(result string) (n int) {
	for i := range r.Findings {
		if r.Findings[i].Result == result {
			n++
		}
	}
	return n
}

// checked returns the policy to check: the one of a name, or the one in a file as the API server would have it.
func (s *session) checked(ctx context.Context, name, file string) (policy *drainv1alpha1.DrainPolicy, applied bool, err error) {
	switch {
	case (name == "") == (file == ""):
		return nil, false, errors.New("give a NAME, or -f FILE for a policy that is not applied")
	case name != "":
		policy, err = s.policy(ctx, name)
		return policy, true, err
	}
	policy, err = s.load(file)
	if err != nil {
		return nil, false, err
	}
	policy.Status = drainv1alpha1.DrainPolicyStatus{}
	existing := &drainv1alpha1.DrainPolicy{}
	switch err := s.client.Get(ctx, client.ObjectKeyFromObject(policy), existing); {
	case err == nil:
		spec := policy.Spec
		policy = existing
		policy.Spec = spec
		err = s.client.Update(ctx, policy, client.DryRunAll)
		return policy, false, err
	case !apierrors.IsNotFound(err) || noDrainPolicies(err):
		return nil, false, err
	}
	return policy, false, s.client.Create(ctx, policy, client.DryRunAll)
}

// load reads a policy from a file. A field that is not known is a mistake.
func (s *session) load(file string) (*drainv1alpha1.DrainPolicy, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(s.In)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	policy := &drainv1alpha1.DrainPolicy{}
	if err := yaml.UnmarshalStrict(text, policy); err != nil {
		return nil, fmt.Errorf("%s has no DrainPolicy: %w", file, err)
	}
	if policy.Kind != "DrainPolicy" {
		return nil, fmt.Errorf("%s has a %q, and one DrainPolicy is expected", file, policy.Kind)
	}
	if policy.Namespace == "" {
		policy.Namespace = s.namespace
	}
	return policy, nil
}

func (s *session) check(ctx context.Context, policy *drainv1alpha1.DrainPolicy, applied bool, replicas int32) (*Review, error) {
	snapshot, set, err := s.snapshot(ctx, policy)
	if err != nil {
		return nil, err
	}
	r := &Review{Policy: policy.Namespace + "/" + policy.Name, StatefulSet: policy.Spec.StatefulSetRef.Name}
	s.checkOperator(r, policy, applied, &snapshot)
	after := snapshot
	if set != nil {
		r.Replicas = ptr.Deref(set.Spec.Replicas, 1)
		if r.After = replicas; replicas < 0 {
			r.After = max(0, r.Replicas-1)
		}
		after = scaled(snapshot, set, r.After)
		s.checkReplicas(ctx, r, policy, set, after)
	}
	planned := plan.Make(after, s.clock.Now())
	if result := good; planned.Ready.Status != metav1.ConditionTrue || planned.Ready.Reason == drainv1alpha1.ReasonSuspended {
		r.add(bad, "policy", "%s: %s", planned.Ready.Reason, planned.Ready.Message)
	} else {
		if planned.Ready.Reason == drainv1alpha1.ReasonRetainsClaims {
			result = warning
		}
		r.add(result, "policy", "%s: %s", planned.Ready.Reason, planned.Ready.Message)
	}
	s.checkReferences(ctx, r, &snapshot)
	s.consequences(ctx, r, &planned, policy)
	r.Safe = r.count(bad) == 0
	return r, nil
}

// checkOperator reports whether the operator works, and whether the API server accepts its drains.
func (s *session) checkOperator(r *Review, policy *drainv1alpha1.DrainPolicy, applied bool, snapshot *plan.Snapshot) {
	condition, known := accepted(policy, snapshot)
	switch {
	case !applied:
		r.add(warning, "operator", "the policy is not applied, so the operator does not know it")
	case condition == nil || policy.Status.ObservedGeneration != policy.Generation:
		r.add(bad, "operator", "the operator has not observed this policy; look whether it runs: kubectl get deployments -A -l app.kubernetes.io/name=drain-operator")
	default:
		r.add(good, "operator", "the operator has observed this policy")
	}
	switch said := &snapshot.Preflight; {
	case said.Refusal != "":
		r.add(bad, "dry run", "%s", said.Refusal)
	case said.Unanswered == "":
		if snapshot.Target.Stands() {
			r.add(good, "dry run", "the API server accepts the drain's Job and pod")
		}
	case applied && known && condition.Status == metav1.ConditionTrue:
		r.add(good, "dry run", "you can't try it (%s), but the API server accepted the operator's own dry run of this template", said.Unanswered)
		said.Unanswered = ""
	default:
		r.add(unknown, "dry run", "%s", said.Unanswered)
	}
}

// checkReplicas reports whether the replicas that remain can take the data.
func (s *session) checkReplicas(ctx context.Context, r *Review, policy *drainv1alpha1.DrainPolicy, set *appsv1.StatefulSet, after plan.Snapshot) {
	ready, least := after.Target.ReadyReplicas, ptr.Deref(policy.Spec.MinReadyReplicas, 1)
	text := fmt.Sprintf("%d of the %d replicas that remain are ready, and spec.minReadyReplicas is %d", ready, r.After, least)
	switch {
	case r.After > r.Replicas:
		r.add(warning, "replicas", "this is a scale-up, from %d to %d", r.Replicas, r.After)
	case ready < least:
		r.add(bad, "replicas", "%s: the drains would wait", text)
	case ready < r.After:
		r.add(warning, "replicas", "%s", text)
	default:
		r.add(good, "replicas", "%s", text)
	}
	if name := s.autoscaler(ctx, policy, set); name != "" {
		r.add(warning, "autoscaler", "HorizontalPodAutoscaler %q also scales the StatefulSet, and can undo this", name)
	}
}

// checkReferences reports whether what the drain pod refers to exists, and whether its images are known to this cluster. It reads no data.
func (s *session) checkReferences(ctx context.Context, r *Review, snapshot *plan.Snapshot) {
	spec, namespace := &snapshot.Template.Spec, snapshot.Policy.Namespace
	exists := func(kind, name string) {
		object := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}}
		switch err := s.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object); {
		case err == nil:
			r.add(good, strings.ToLower(kind), "%s %q exists", kind, name)
		case apierrors.IsNotFound(err):
			r.add(bad, strings.ToLower(kind), "%s %q does not exist, and the template refers to it", kind, name)
		default:
			r.add(unknown, strings.ToLower(kind), "%v", err)
		}
	}
	exists("ServiceAccount", cmp.Or(spec.ServiceAccountName, "default"))
	maps, secrets := references(spec)
	for _, name := range maps {
		exists("ConfigMap", name)
	}
	for _, name := range append(secrets, pullSecrets(spec, snapshot)...) {
		exists("Secret", name)
	}
	s.checkImages(ctx, r, spec, snapshot.Pods)
}

// pullSecrets are the names of the Secrets that the kubelet pulls the images with.
func pullSecrets(spec *corev1.PodSpec, snapshot *plan.Snapshot) []string {
	from := spec.ImagePullSecrets
	if from == nil {
		from = snapshot.Target.PodDefaults.ImagePullSecrets
	}
	names := make([]string, 0, len(from))
	for i := range from {
		names = append(names, from[i].Name)
	}
	return names
}

// references returns the names of the ConfigMaps and Secrets without which no container starts.
func references(spec *corev1.PodSpec) (configMaps, secrets []string) {
	add := func(to *[]string, name string, optional *bool) {
		if name != "" && !ptr.Deref(optional, false) && !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	for i := range spec.Volumes {
		if source := spec.Volumes[i].ConfigMap; source != nil {
			add(&configMaps, source.Name, source.Optional)
		}
		if source := spec.Volumes[i].Secret; source != nil {
			add(&secrets, source.SecretName, source.Optional)
		}
	}
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, from := range container.EnvFrom {
			if from.ConfigMapRef != nil {
				add(&configMaps, from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
			}
			if from.SecretRef != nil {
				add(&secrets, from.SecretRef.Name, from.SecretRef.Optional)
			}
		}
		for _, variable := range container.Env {
			if variable.ValueFrom == nil {
				continue
			}
			if ref := variable.ValueFrom.ConfigMapKeyRef; ref != nil {
				add(&configMaps, ref.Name, ref.Optional)
			}
			if ref := variable.ValueFrom.SecretKeyRef; ref != nil {
				add(&secrets, ref.Name, ref.Optional)
			}
		}
	}
	return configMaps, secrets
}

// checkImages says which images a pod of the namespace runs or a node has. The API can't tell whether a registry has them.
func (s *session) checkImages(ctx context.Context, r *Review, spec *corev1.PodSpec, pods []corev1.Pod) {
	var images []string
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		if !slices.Contains(images, container.Image) {
			images = append(images, container.Image)
		}
	}
	var nodes corev1.NodeList
	listed := s.client.List(ctx, &nodes)
	for _, image := range images {
		switch {
		case slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return runs(&pod, image) }):
			r.add(good, "image", "%s: a pod of this namespace runs it", image)
		case slices.ContainsFunc(nodes.Items, func(node corev1.Node) bool { return has(&node, image) }):
			r.add(good, "image", "%s: a node has it", image)
		case listed != nil:
			r.add(unknown, "image", "%s: no pod of this namespace runs it, and you may not list nodes", image)
		default:
			r.add(warning, "image", "%s: no pod of this namespace runs it and no node reports it, so try to pull it", image)
		}
	}
}

// runs reports whether a container of the pod that has this image has started.
func runs(pod *corev1.Pod, image string) bool {
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if container.Image != image {
			continue
		}
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if status.Name == container.Name && (status.State.Running != nil || status.State.Terminated != nil) {
				return true
			}
		}
	}
	return false
}

// has reports whether a node lists an image. It lists the 50 largest ones.
func has(node *corev1.Node, image string) bool {
	return slices.ContainsFunc(node.Status.Images, func(on corev1.ContainerImage) bool {
		return slices.ContainsFunc(on.Names, func(name string) bool { return name == image || strings.HasSuffix(name, "/"+image) })
	})
}

// consequences says what the operator would do, what it would delete, and what can't be undone.
func (s *session) consequences(ctx context.Context, r *Review, planned *plan.Plan, policy *drainv1alpha1.DrainPolicy) {
	deletes := policy.Spec.WhenDrained == drainv1alpha1.WhenDrainedDelete
	drains := false
	for i := range planned.Drains {
		d := &planned.Drains[i]
		p := Planned{Ordinal: d.Ordinal, State: d.State, Reason: d.Reason, Message: d.Message, Rule: d.Rule}
		for j := range d.Claims {
			p.Claims = append(p.Claims, view.ClaimOf(&d.Claims[j]))
		}
		r.Plan = append(r.Plan, p)
		switch d.State {
		case drainv1alpha1.DrainBlocked, drainv1alpha1.DrainFailed:
			r.add(bad, "ordinal "+strconv.Itoa(int(d.Ordinal)), "%s: %s", d.Reason, d.Message)
		case drainv1alpha1.DrainRetained:
			r.add(warning, "ordinal "+strconv.Itoa(int(d.Ordinal)), "%s: %s", d.Reason, d.Message)
		case drainv1alpha1.DrainWaiting, drainv1alpha1.DrainDraining:
			drains = true
			for j := range d.Claims {
				if deletes {
					r.Deleted = append(r.Deleted, s.deletion(ctx, &d.Claims[j]))
				}
			}
		case drainv1alpha1.DrainDrained:
		}
	}
	if seconds := ptr.Deref(policy.Spec.MinOrphanedSeconds, 0); drains && seconds > 0 {
		r.Final = append(r.Final, fmt.Sprintf("For %d seconds, a scale-up has everything back (spec.minOrphanedSeconds).", seconds))
	} else if drains {
		r.Final = append(r.Final, "The drains start as soon as the pods have terminated: spec.minOrphanedSeconds is 0, so there is no time to undo the scale-down.")
	}
	switch {
	case drains && deletes:
		r.Final = append(r.Final, "When an ordinal is drained, its claims are deleted. A later scale-up starts with empty claims.")
	case drains:
		r.Final = append(r.Final, "When an ordinal is drained, its claims are kept. A later scale-up starts on what the drain leaves there.")
	}
}

// deletion says of a claim that would be deleted what becomes of its volume. Volumes are not everyone's to read.
func (s *session) deletion(ctx context.Context, claim *corev1.PersistentVolumeClaim) string {
	size := claim.Status.Capacity[corev1.ResourceStorage]
	text := fmt.Sprintf("%s (%s)", claim.Name, size.String())
	volume := &corev1.PersistentVolume{}
	if claim.Spec.VolumeName == "" || s.client.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, volume) != nil {
		return text
	}
	if volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		return text + ", and its volume with it"
	}
	return text + fmt.Sprintf("; its volume %q stays (persistentVolumeReclaimPolicy %s)", volume.Name, volume.Spec.PersistentVolumeReclaimPolicy)
}

var resultColors = map[string]color.Attribute{good: color.FgGreen, bad: color.FgRed, warning: color.FgYellow, unknown: color.FgYellow}

// write writes the answer for people.
func (r *Review) write(out io.Writer, style view.Style) {
	fmt.Fprintf(out, "DrainPolicy %s: StatefulSet %s from %d to %d replicas\n\n", r.Policy, r.StatefulSet, r.Replicas, r.After)
	findings := view.NewTable(style, "CHECK", "RESULT", "MESSAGE")
	shown, more := 0, map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if strings.HasPrefix(f.Check, "ordinal ") {
			shown++
			if shown > view.Shown {
				more[f.Result]++
				continue
			}
		}
		findings.Row(resultColors[f.Result], f.Check, f.Result, f.Message)
	}
	findings.Write(out)
	for _, result := range []string{bad, warning} {
		if more[result] > 0 {
			fmt.Fprintf(out, "%d more ordinals: %s\n", more[result], result)
		}
	}
	r.writePlan(out, style)
	if len(r.Deleted) > 0 {
		fmt.Fprintf(out, "\nDeleted when drained: %d claims\n", len(r.Deleted))
		for _, claim := range r.Deleted[:min(len(r.Deleted), view.Shown)] {
			fmt.Fprintln(out, "  "+claim)
		}
		if rest := len(r.Deleted) - view.Shown; rest > 0 {
			fmt.Fprintf(out, "  and %d more; -o json has them\n", rest)
		}
	}
	if len(r.Final) > 0 {
		fmt.Fprintln(out, "\nWhat can't be undone:\n  "+strings.Join(r.Final, "\n  "))
	}
	verdict := "Safe: nothing speaks against it."
	if n := r.count(unknown); n > 0 {
		verdict = fmt.Sprintf("Nothing speaks against it, but %d checks could not be made.", n)
	}
	if !r.Safe {
		verdict = fmt.Sprintf("Not safe now: %d objections.", r.count(bad))
	}
	fmt.Fprintln(out, "\n"+verdict)
}

func (r *Review) writePlan(out io.Writer, style view.Style) {
	if len(r.Plan) == 0 {
		fmt.Fprintln(out, "\nThe operator would do nothing.")
		return
	}
	fmt.Fprintln(out, "\nWhat the operator would do first:")
	table := view.NewTable(style, "ORDINAL", "STATE", "REASON", "MESSAGE")
	for i := range r.Plan[:min(len(r.Plan), view.Shown)] {
		p := &r.Plan[i]
		table.Row(0, strconv.Itoa(int(p.Ordinal)), string(p.State), p.Reason, p.Message)
	}
	table.Write(out)
	if rest := len(r.Plan) - view.Shown; rest > 0 {
		fmt.Fprintf(out, "and %d more ordinals; -o json has them\n", rest)
	}
}
