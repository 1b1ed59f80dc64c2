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

// Package chart compares the Helm chart with what kustomize builds, so that the two can't drift apart.
package chart

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/statefulset-dev/drain-operator/test/versions"
)

const (
	top       = "../.."
	namespace = "drain-operator-system"
)

// TestTheChartIsWhatKustomizeBuilds compares config/default with the default values, and each overlay with the values that docs/install.md gives for it.
func TestTheChartIsWhatKustomizeBuilds(t *testing.T) {
	t.Parallel()
	cases := overlaysOfThePage(t)
	folders, err := filepath.Glob(filepath.Join(top, "config", "overlays", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		// The overlay "local" only sets the image.
		if name := filepath.Base(folder); name != "local" && cases["config/overlays/"+name] == nil {
			t.Errorf("docs/install.md has no values for the overlay %s", name)
		}
	}
	cases["config/default"] = []string{}
	for folder, values := range cases {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			built, rendered := kustomize(t, folder), helm(t, values...)
			// Helm makes the namespace itself, with --create-namespace.
			delete(built, "Namespace /"+namespace)
			if len(built) < 25 {
				t.Fatalf("kustomize builds %d objects, which can't be all", len(built))
			}
			if diff := cmp.Diff(built, rendered); diff != "" {
				t.Errorf("with %q, the chart differs (-kustomize +helm):\n%s", values, diff)
			}
		})
	}
}

// TestTheRightToScaleIsInTheNamespaces combines scaling with rights in some namespaces, in both orders of the components.
func TestTheRightToScaleIsInTheNamespaces(t *testing.T) {
	t.Parallel()
	rendered := helm(t, "--set=namespaces={team-a,team-b},scaling.enabled=true")
	want := []string{"Role team-a/drain-operator-manager-role", "Role team-b/drain-operator-manager-role"}
	if diff := cmp.Diff(want, whoMayScale(rendered)); diff != "" {
		t.Errorf("roles of the chart that give the right to scale (-want +got):\n%s", diff)
	}
	for _, components := range [][]string{{"namespaced", "scaling"}, {"scaling", "namespaced"}} {
		built := kustomize(t, someNamespaces(t, components, "team-a", "team-b"))
		delete(built, "Namespace /"+namespace)
		if diff := cmp.Diff(built, rendered); diff != "" {
			t.Errorf("with the components %q, the chart differs (-kustomize +helm):\n%s", components, diff)
		}
	}
}

// whoMayScale returns the roles that give the right to scale StatefulSets.
func whoMayScale(objects map[string]map[string]any) []string {
	var roles []string
	for key, object := range objects {
		rules, _ := object["rules"].([]any)
		for _, rule := range rules {
			if resources, _ := rule.(map[string]any)["resources"].([]any); slices.Contains(resources, any("statefulsets/scale")) {
				roles = append(roles, key)
			}
		}
	}
	slices.Sort(roles)
	return roles
}

// someNamespaces writes the kustomization that docs/install.md has for some namespaces, with these components, and returns its folder.
func someNamespaces(t *testing.T, components []string, namespaces ...string) string {
	t.Helper()
	dist := filepath.Join(top, "dist")
	if err := os.MkdirAll(dist, 0o750); err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp(dist, "test-") //nolint:usetesting // kustomize takes bases by relative path only.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	files := map[string]string{"kustomization.yaml": "resources: [../../config/default, " + strings.Join(namespaces, ", ") + "]\n" +
		"components: [../../config/components/" + strings.Join(components, ", ../../config/components/") + "]\n" +
		"patches:\n- target: {kind: Deployment}\n  patch: '[{\"op\": \"add\", \"path\": \"/spec/template/spec/containers/0/args/-\", \"value\": \"--namespaces=" +
		strings.Join(namespaces, ",") + "\"}]'\n"}
	for _, name := range namespaces {
		files[name+"/kustomization.yaml"] = "namespace: " + name + "\nresources: [../../../config/components/namespaced/rights]\n"
		if err := os.Mkdir(filepath.Join(folder, name), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "dist/" + filepath.Base(folder)
}

// TestOnlyTheCRDsAreKept looks which objects Helm never deletes.
func TestOnlyTheCRDsAreKept(t *testing.T) {
	t.Parallel()
	var kept []string
	for _, object := range parse(t, template(t)) {
		annotations, _ := object["metadata"].(map[string]any)["annotations"].(map[string]any)
		if annotations["helm.sh/resource-policy"] == "keep" {
			kept = append(kept, key(object))
		}
	}
	want := []string{"CustomResourceDefinition /drainpolicies.drain.statefulset.dev", "CustomResourceDefinition /drainrecords.drain.statefulset.dev"}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("objects that are kept (-want +got):\n%s", diff)
	}
}

// TestTheAdmissionPoliciesFollowTheNamespace looks for the namespace that kustomize gives the operator in a chart that has another one.
func TestTheAdmissionPoliciesFollowTheNamespace(t *testing.T) {
	t.Parallel()
	text := template(t, "--namespace=elsewhere")
	if strings.Contains(text, namespace) {
		t.Errorf("the chart names %s in another namespace", namespace)
	}
	if got := strings.Count(text, "'system:serviceaccount:' + 'elsewhere'"); got != 3 {
		t.Errorf("%d admission policies name the operator's account, want 3", got)
	}
}

var (
	overlayRow = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (`[^|]*: [^|]*`) \\|$")
	quoted     = regexp.MustCompile("`([^`]+): ([^`]+)`")
)

// overlaysOfThePage are the overlays and their values in docs/install.md, in the form of --set.
func overlaysOfThePage(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(top, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	overlays := map[string][]string{}
	// The overlay is for one namespace, the page's example for two; in --set, a list is in braces.
	change := strings.NewReplacer("team-a, team-b", "default", "[", "{", "]", "}")
	for _, row := range overlayRow.FindAllStringSubmatch(string(page), -1) {
		values := []string{}
		for _, value := range quoted.FindAllStringSubmatch(row[2], -1) {
			values = append(values, "--set="+value[1]+"="+change.Replace(value[2]))
		}
		overlays["config/overlays/"+row[1]] = values
	}
	return overlays
}

func kustomize(t *testing.T, folder string) map[string]map[string]any {
	t.Helper()
	return index(t, run(t, "hack/tools/go.mod", "kustomize", "build", folder))
}

func helm(t *testing.T, args ...string) map[string]map[string]any {
	t.Helper()
	return index(t, template(t, args...))
}

func template(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "hack/tools/helm/go.mod", append([]string{
		"helm", "template", "drain-operator", "charts/drain-operator", "--namespace=" + namespace, "--skip-tests",
		"--set=image.repository=controller,image.tag=latest",
	}, args...)...)
}

// run runs a tool of a module at the top of the repository, and returns what it prints.
func run(t *testing.T, module string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=" + module}, args...)...)
	command.Dir = top
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, &problems)
	}
	return string(output)
}

func parse(t *testing.T, manifests string) []map[string]any {
	t.Helper()
	var objects []map[string]any
	for document := range strings.SplitSeq("\n"+manifests, "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		if len(object) > 0 {
			objects = append(objects, object)
		}
	}
	return objects
}

func key(object map[string]any) string {
	metadata := object["metadata"].(map[string]any) //nolint:forcetypeassert // Every object has metadata.
	where, _ := metadata["namespace"].(string)
	return fmt.Sprintf("%s %s/%s", object["kind"], where, metadata["name"])
}

// index returns the objects by kind, namespace and name, without what says by whom and from what they were installed.
func index(t *testing.T, manifests string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, object := range parse(t, manifests) {
		metadata := object["metadata"].(map[string]any) //nolint:forcetypeassert // Every object has metadata.
		drop(metadata, "labels", "app.kubernetes.io/", "helm.sh/")
		drop(metadata, "annotations", "helm.sh/resource-policy")
		if all[key(object)] != nil {
			t.Errorf("there are two objects %s", key(object))
		}
		all[key(object)] = object
	}
	return all
}

// drop deletes the keys with these prefixes from a map of the metadata, and the map if nothing is left.
func drop(metadata map[string]any, field string, prefixes ...string) {
	values, _ := metadata[field].(map[string]any)
	for name := range values {
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				delete(values, name)
			}
		}
	}
	if len(values) == 0 {
		delete(metadata, field)
	}
}

// TestTheChartRefusesWhatTheOperatorRefuses holds the chart's oldest release of Kubernetes to the one that is supported.
func TestTheChartRefusesWhatTheOperatorRefuses(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "charts", "drain-operator", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("kubeVersion: \">=1.%d.0-0\"\n", versions.Oldest); !strings.Contains(string(text), want) {
		t.Errorf("Chart.yaml must have %q", want)
	}
}
