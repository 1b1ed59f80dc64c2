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

package compatibility

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// served returns the OpenAPI document of the CRD in config/crd, as an API server would serve it, after an edit of its schema.
func served(t *testing.T, edit func(schema map[string]any)) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "drain.statefulset.dev_drainpolicies.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &crd); err != nil {
		t.Fatal(err)
	}
	schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	schema["x-kubernetes-group-version-kind"] = []any{map[string]any{
		"group": "drain.statefulset.dev", "version": "v1alpha1", "kind": "DrainPolicy",
	}}
	edit(schema)
	document, err := json.Marshal(map[string]any{"components": map[string]any{"schemas": map[string]any{
		"dev.statefulset.drain.v1alpha1.DrainPolicy":   schema,
		"io.k8s.apimachinery.pkg.apis.meta.v1.Another": map[string]any{},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// properties returns the properties at a path of a schema; "[]" is an item of a list.
func properties(t *testing.T, schema map[string]any, path ...string) map[string]any {
	t.Helper()
	for _, name := range path {
		if name == "[]" {
			schema = schema["items"].(map[string]any)
		} else {
			schema = schema["properties"].(map[string]any)[name].(map[string]any)
		}
	}
	return schema["properties"].(map[string]any)
}

func TestMissingFields(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(schema map[string]any)
		want []string
	}{
		"the CRD of this build": {func(map[string]any) {}, nil},
		"a CRD with a field of a later build": {func(schema map[string]any) {
			properties(t, schema, "spec")["later"] = map[string]any{"type": "string"}
		}, nil},
		"a CRD without a field of the spec": {func(schema map[string]any) {
			delete(properties(t, schema, "spec"), "proof")
		}, []string{"spec.proof"}},
		"a CRD without a struct and its fields": {func(schema map[string]any) {
			delete(properties(t, schema, "spec"), "retry")
		}, []string{"spec.retry"}},
		"a CRD without a nested field": {func(schema map[string]any) {
			delete(properties(t, schema, "spec", "retry"), "maxAttempts")
		}, []string{"spec.retry.maxAttempts"}},
		"a CRD without a field of the items of a list": {func(schema map[string]any) {
			delete(properties(t, schema, "status", "drains", "[]"), "reason")
		}, []string{"status.drains.reason"}},
		"a CRD without a status": {func(schema map[string]any) {
			delete(properties(t, schema), "status")
		}, []string{"status"}},
		"another kind": {func(schema map[string]any) {
			delete(schema, "x-kubernetes-group-version-kind")
		}, []string{"DrainPolicy"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := MissingFields(served(t, test.edit))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("missing fields (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := MissingFields([]byte("<html>")); err == nil {
		t.Error("what isn't an OpenAPI document is accepted")
	}
}
