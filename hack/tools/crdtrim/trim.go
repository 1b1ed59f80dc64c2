package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// trim returns the CRD with the descriptions below path dropped in every version, and its size as JSON. It works on the YAML nodes
// rather than on Go types, so that whatever controller-gen writes is kept, in its order.
func trim(crd []byte, path []string) (trimmed []byte, size int, err error) {
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
		field := lookup(version, "schema", "openAPIV3Schema")
		for _, name := range path {
			field = lookup(field, "properties", name)
		}
		if field == nil {
			return nil, 0, fmt.Errorf("has no field %s in version %s: if it was renamed, rename it in the Makefile too",
				strings.Join(path, "."), lookup(version, "name").Value)
		}
		// The field's own description is ours.
		for _, key := range []string{"properties", "items", "additionalProperties"} {
			dropDescriptions(lookup(field, key), key == "properties")
		}
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

// dropDescriptions removes every description below node, which is a schema, or with isProperties a map of field names to schemas: there
// a key "description" is a field of that name and stays.
func dropDescriptions(node *yamlv3.Node, isProperties bool) {
	if node == nil {
		return
	}
	if node.Kind == yamlv3.SequenceNode {
		for _, item := range node.Content {
			dropDescriptions(item, false)
		}
		return
	}
	if node.Kind != yamlv3.MappingNode {
		return
	}
	kept := node.Content[:0]
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if !isProperties && key.Value == "description" {
			continue
		}
		// Defaults, enums and examples are data and may well hold the word.
		if isProperties || holdsSchemas(key.Value) {
			dropDescriptions(value, !isProperties && key.Value == "properties")
		}
		kept = append(kept, key, value)
	}
	node.Content = kept
}

// holdsSchemas tells whether a schema's keyword holds schemas in turn.
func holdsSchemas(keyword string) bool {
	switch keyword {
	case "properties", "items", "additionalProperties", "allOf", "anyOf", "oneOf", "not":
		return true
	default:
		return false
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
