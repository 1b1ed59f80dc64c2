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
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestOrphans(t *testing.T) {
	orphans := Orphans([]Set{{Namespace: "a", Name: "web", From: 3, To: 1}, {Namespace: "b", Name: "db", From: 2, To: 2}})
	if len(orphans) != 2 {
		t.Fatalf("got %v, want the ordinals 1 and 2 of web", orphans)
	}
	if got := orphans[1]; got.Pod() != "web-2" || got.Claim() != "data-web-2" || got.Namespace != "a" {
		t.Errorf("got %+v with the pod %s and the claim %s", got, got.Pod(), got.Claim())
	}
}

func TestDefaultPolicy(t *testing.T) {
	text, err := Set{Namespace: "a", Name: "web", Concurrency: 4}.Policy(DefaultPolicy)
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Metadata struct{ Name, Namespace string }
		Spec     struct {
			StatefulSetRef      struct{ Name string }
			WhenDrained         string
			MaxConcurrentDrains int
		}
	}
	if err := yaml.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	if policy.Metadata.Name != "web" || policy.Metadata.Namespace != "a" || policy.Spec.StatefulSetRef.Name != "web" ||
		policy.Spec.WhenDrained != "Delete" || policy.Spec.MaxConcurrentDrains != 4 {
		t.Errorf("got %+v of\n%s", policy, text)
	}
	if _, err := (Set{}).Policy("{{ .Nothing }}"); err == nil || !strings.Contains(err.Error(), "Nothing") {
		t.Errorf("got %v, want an error that names the field that there is not", err)
	}
}

// The bare client's Jobs must do what the operator's do.
func TestDrainTemplateMountsTheClaim(t *testing.T) {
	template, err := DrainTemplate()
	if err != nil {
		t.Fatal(err)
	}
	if len(template.Spec.Containers) != 1 || template.Spec.Containers[0].VolumeMounts[0].Name != claimTemplate {
		t.Errorf("got %+v", template.Spec)
	}
}
