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
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// trim returns the CRD with its descriptions as paragraphs and, in every version, those that lie more than levels below path dropped, and
// its size as JSON. It works on the YAML nodes rather than on Go types, so that whatever controller-gen writes is kept, in its order.
func trim(crd []byte, path []string, levels int) (trimmed []byte, size int, err error) {
	var doc yamlv3.Node
	if err := yamlv3.Unmarshal(crd, &doc); err != nil {
		return nil, 0, err
	}
	if doc.Kind != yamlv3.DocumentNode || len(doc.Content) != 1 {
		return nil, 0, errors.New("is not one YAML document")
	}
	root := doc.Content[0]
	if kind := lookup(root, "kind"); kind == nil || kind.Value != "CustomResourceDefinition" {
		return nil, 0, errors.New("is not a CustomResourceDefinition")
	}
	versions := lookup(root, "spec", "versions")
	if versions == nil || len(versions.Content) == 0 {
		return nil, 0, errors.New("has no spec.versions")
	}
	for _, version := range versions.Content {
		schema := lookup(version, "schema", "openAPIV3Schema")
		field := schema
		for _, name := range path {
			field = lookup(field, "properties", name)
		}
		if field == nil {
			return nil, 0, fmt.Errorf("has no field %s in version %s: if it was renamed, rename it in the Makefile too",
				strings.Join(path, "."), lookup(version, "name").Value)
		}
		// The field's own description is ours.
		dropDescriptions(field, levels+1)
		joinDescriptions(schema)
	}

	var out bytes.Buffer
	out.WriteString("---\n")
	enc := yamlv3.NewEncoder(&out)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(&doc); err != nil {
		return nil, 0, err
	}
	if err := enc.Close(); err != nil {
		return nil, 0, err
	}
	size, err = jsonSize(out.Bytes())
	return out.Bytes(), size, err
}

// dropDescriptions removes the descriptions of a schema and of all schemas in it, except those of the first levels of fields, where its
// own is the first.
func dropDescriptions(schema *yamlv3.Node, levels int) {
	if levels <= 0 {
		remove(schema, "description")
	}
	forEachSchema(schema, func(inner *yamlv3.Node, isField bool) {
		if isField {
			dropDescriptions(inner, levels-1)
		} else {
			// Of list items and the like: the field that holds them says it.
			dropDescriptions(inner, 0)
		}
	})
}

// joinDescriptions makes one line of every paragraph in the descriptions of a schema and of all schemas in it. controller-gen keeps the
// lines of the source, and kubectl explain breaks them once more at the width of the terminal.
func joinDescriptions(schema *yamlv3.Node) {
	if description := lookup(schema, "description"); description != nil {
		description.Value = joinLines(description.Value)
		if !strings.Contains(description.Value, "\n") {
			description.Style = 0
		}
	}
	forEachSchema(schema, func(inner *yamlv3.Node, _ bool) { joinDescriptions(inner) })
}

// joinLines joins the lines of each paragraph. Blank lines, list items and indented lines stay as they are.
func joinLines(text string) string {
	var joined []string
	open := false // whether the next line may continue the last one
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		switch {
		case line == "" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
			joined, open = append(joined, line), false
		case open && !strings.HasPrefix(line, "- ") && !strings.HasPrefix(line, "* "):
			joined[len(joined)-1] += " " + line
		default:
			joined, open = append(joined, line), true
		}
	}
	return strings.Join(joined, "\n")
}

// forEachSchema calls visit with every schema directly in schema, and whether it is that of a field. Defaults, enums and examples are
// data, whatever words they hold.
func forEachSchema(schema *yamlv3.Node, visit func(inner *yamlv3.Node, isField bool)) {
	if schema == nil || schema.Kind != yamlv3.MappingNode {
		return
	}
	for i := 0; i+1 < len(schema.Content); i += 2 {
		keyword, value := schema.Content[i].Value, schema.Content[i+1]
		switch keyword {
		case "properties":
			for j := 1; j < len(value.Content); j += 2 {
				visit(value.Content[j], true)
			}
		case "allOf", "anyOf", "oneOf":
			for _, inner := range value.Content {
				visit(inner, false)
			}
		case "items", "additionalProperties", "not":
			visit(value, false)
		}
	}
}

// remove takes a key out of a mapping.
func remove(node *yamlv3.Node, key string) {
	if node.Kind != yamlv3.MappingNode {
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			node.Content = slices.Delete(node.Content, i, i+2)
			return
		}
	}
}

// lookup follows keys through nested mappings; nil when one is missing.
func lookup(node *yamlv3.Node, keys ...string) *yamlv3.Node {
	for _, key := range keys {
		var found *yamlv3.Node
		if node != nil && node.Kind == yamlv3.MappingNode {
			for i := 0; i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == key {
					found = node.Content[i+1]
				}
			}
		}
		node = found
	}
	return node
}

// jsonSize is the size kubectl's last-applied annotation would have.
func jsonSize(doc []byte) (int, error) {
	j, err := yaml.YAMLToJSON(doc)
	if err != nil {
		return 0, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, j); err != nil {
		return 0, err
	}
	return compact.Len(), nil
}
