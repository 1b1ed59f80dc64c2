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

package redact

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestObjectTakesOutWhatIsData(t *testing.T) {
	const given = `
metadata:
  name: web
  managedFields: [{manager: kubectl}]
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: secret
    drain.statefulset.dev/skip: "true"
spec:
  template:
    metadata:
      annotations: {vault: secret}
    spec:
      containers:
      - name: drain
        command: [sh, -c, secret]
        args: [secret]
        image: example.com/drain:v1
        env:
        - {name: PASSWORD, value: secret}
        - name: FROM
          valueFrom: {secretKeyRef: {name: credentials, key: password}}
        lifecycle: {preStop: {httpGet: {httpHeaders: [{name: Authorization, value: secret}]}}}
`
	const want = `
metadata:
  name: web
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: REDACTED (6 bytes)
    drain.statefulset.dev/skip: "true"
spec:
  template:
    metadata:
      annotations: {vault: REDACTED (6 bytes)}
    spec:
      containers:
      - name: drain
        command: [REDACTED (2 bytes), REDACTED (2 bytes), REDACTED (6 bytes)]
        args: [REDACTED (6 bytes)]
        image: example.com/drain:v1
        env:
        - {name: PASSWORD, value: REDACTED (6 bytes)}
        - name: FROM
          valueFrom: {secretKeyRef: {name: credentials, key: password}}
        lifecycle: {preStop: {httpGet: {httpHeaders: [{name: Authorization, value: REDACTED (6 bytes)}]}}}
`
	var fields, expected map[string]any
	for text, into := range map[string]*map[string]any{given: &fields, want: &expected} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	Object(fields)
	if diff := cmp.Diff(expected, fields); diff != "" {
		t.Error(diff)
	}
}
