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

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// crd has a description wherever one can stand, and the word in every place where it is not one.
const crd = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.example.com
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: Thing is ours.
        properties:
          spec:
            description: spec is ours.
            properties:
              after:
                description: |-
                  after is ours,
                  in lines.

                  - a list
                  - stays one
                    whatever: is in it
                type: string
              template:
                description: |-
                  template
                  is ours.
                properties:
                  metadata:
                    description: one level below
                    properties:
                      labels:
                        additionalProperties:
                          description: dropped
                          type: string
                        type: object
                    type: object
                  spec:
                    description: |-
                      one level below:
                      kept
                    properties:
                      containers:
                        description: dropped
                        items:
                          description: dropped
                          properties:
                            description:
                              description: dropped; the field stays
                              type: string
                            port:
                              anyOf:
                              - description: dropped
                                type: integer
                              - type: string
                              x-kubernetes-int-or-string: true
                          required:
                          - description
                          type: object
                        maxItems: 8
                        type: array
                        x-kubernetes-list-map-keys:
                        - name
                        x-kubernetes-list-type: map
                      options:
                        default:
                          description: kept, it is data
                        type: object
                        x-kubernetes-map-type: atomic
                    type: object
                type: object
                x-kubernetes-validations:
                - message: must be
                  rule: self.spec != null
            type: object
        type: object
`

const want = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.example.com
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: Thing is ours.
        properties:
          spec:
            description: spec is ours.
            properties:
              after:
                description: |-
                  after is ours, in lines.

                  - a list
                  - stays one
                    whatever: is in it
                type: string
              template:
                description: template is ours.
                properties:
                  metadata:
                    description: one level below
                    properties:
                      labels:
                        additionalProperties:
                          type: string
                        type: object
                    type: object
                  spec:
                    description: 'one level below: kept'
                    properties:
                      containers:
                        items:
                          properties:
                            description:
                              type: string
                            port:
                              anyOf:
                              - type: integer
                              - type: string
                              x-kubernetes-int-or-string: true
                          required:
                          - description
                          type: object
                        maxItems: 8
                        type: array
                        x-kubernetes-list-map-keys:
                        - name
                        x-kubernetes-list-type: map
                      options:
                        default:
                          description: kept, it is data
                        type: object
                        x-kubernetes-map-type: atomic
                    type: object
                type: object
                x-kubernetes-validations:
                - message: must be
                  rule: self.spec != null
            type: object
        type: object
`

func TestTrim(t *testing.T) {
	got, size, err := trim([]byte(crd), []string{"spec", "template"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("Unexpected CRD (-want,+got):\n%s", diff)
	}
	if size < 100 || size >= len(got) {
		t.Errorf("The size as compact JSON is %d, of YAML with %d bytes", size, len(got))
	}

	again, _, err := trim(got, []string{"spec", "template"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(again)); diff != "" {
		t.Errorf("A second run changed the CRD (-want,+got):\n%s", diff)
	}
}

func TestTrimRefuses(t *testing.T) {
	tests := map[string]struct {
		crd, wantErr string
	}{
		"another kind":                 {crd: "kind: Deployment\n", wantErr: "is not a CustomResourceDefinition"},
		"no versions":                  {crd: "kind: CustomResourceDefinition\n", wantErr: "has no spec.versions"},
		"nothing":                      {crd: "", wantErr: "is not one YAML document"},
		"the field has another name":   {crd: strings.ReplaceAll(crd, "template:", "podTemplate:"), wantErr: "has no field spec.template in version v1"},
		"one of two versions lacks it": {crd: crd + "  - name: v2\n    schema: {}\n", wantErr: "has no field spec.template in version v2"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := trim([]byte(tc.crd), []string{"spec", "template"}, 1)
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("trim() returned the error %v, want one with %q", err, tc.wantErr)
			}
		})
	}
}

func TestTrimFileAboveLimit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "crd.yaml")
	if err := os.WriteFile(file, []byte(crd), 0o600); err != nil {
		t.Fatal(err)
	}
	path := []string{"spec", "template"}
	size, err := trimFile(file, path, 1, len(crd))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(crd), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trimFile(file, path, 1, size-1); err == nil || !strings.Contains(err.Error(), "more than the") {
		t.Errorf("trimFile() returned the error %v for a CRD of %d bytes and a limit of one less", err, size)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(crd, string(got)); diff != "" {
		t.Errorf("A refused CRD was changed (-want,+got):\n%s", diff)
	}
	if _, err := trimFile(file, path, 1, size); err != nil {
		t.Errorf("trimFile() returned the error %v for a CRD of just the limit", err)
	}
}
