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
	"fmt"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// document is the part of an OpenAPI v3 document that is read.
type document struct {
	Components struct {
		Schemas map[string]*property `json:"schemas"`
	} `json:"components"`
}

// property is the part of a schema that is read. The schemas of custom resources are written in full, without references.
type property struct {
	Kinds      []schema.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
	Properties map[string]*property      `json:"properties"`
	Items      *property                 `json:"items"`
}

// MissingFields returns the fields of DrainPolicy that this build knows and the served CustomResourceDefinition lacks, for example
// "spec.proof". The API server drops such fields from every object, so an operator with an older CRD would decide without them. Openapi is
// what the API server serves at OpenAPIPath.
func MissingFields(openapi []byte) ([]string, error) {
	var served document
	if err := json.Unmarshal(openapi, &served); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document of %s: %w", drainv1alpha1.GroupVersion, err)
	}
	for _, component := range served.Components.Schemas {
		for _, kind := range component.Kinds {
			if kind == drainv1alpha1.GroupVersion.WithKind("DrainPolicy") {
				return missing(component, reflect.TypeFor[drainv1alpha1.DrainPolicy](), ""), nil
			}
		}
	}
	return []string{"DrainPolicy"}, nil
}

// OpenAPIPath is where the API server describes the group and version of DrainPolicy. Every authenticated user may read it.
func OpenAPIPath() string {
	return "/openapi/v3/apis/" + drainv1alpha1.GroupVersion.String()
}

// missing compares the fields of the types of this API. The fields of Kubernetes' own types, such as a Pod template, are its business.
func missing(served *property, t reflect.Type, path string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice && served != nil {
			served = served.Items
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[drainv1alpha1.DrainPolicy]().PkgPath() {
		return nil
	}
	if served == nil {
		return []string{path}
	}
	var fields []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			continue // apiVersion and kind, which every object has.
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		if below, ok := served.Properties[name]; ok {
			fields = append(fields, missing(below, field.Type, at)...)
		} else {
			fields = append(fields, at)
		}
	}
	return fields
}
