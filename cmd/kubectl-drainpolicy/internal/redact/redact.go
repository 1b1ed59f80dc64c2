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

// Package redact takes out of objects what a bug report must not have. It is pure.
package redact

import (
	"fmt"
	"strings"
)

// kept are the prefixes of annotations that stay: the operator's own, and those by which the StatefulSet controller works. Others can hold
// anything, such as the last applied configuration with its environment variables.
var kept = []string{"drain.statefulset.dev/", "statefulset.kubernetes.io/", "pv.kubernetes.io/", "volume.kubernetes.io/", "batch.kubernetes.io/"}

// hidden are the fields whose strings are data of the user, wherever they are.
var hidden = map[string]bool{"command": true, "args": true, "value": true}

// Object redacts an object in place: the values of environment variables, what containers are started with, and annotations.
func Object(fields map[string]any) {
	if metadata, ok := fields["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	walk(fields)
}

func walk(fields map[string]any) {
	for key, value := range fields {
		switch value := value.(type) {
		case map[string]any:
			if key == "annotations" {
				annotations(value)
				continue
			}
			walk(value)
		case []any:
			for i := range value {
				switch item := value[i].(type) {
				case map[string]any:
					walk(item)
				case string:
					if hidden[key] {
						value[i] = omitted(item)
					}
				}
			}
		case string:
			if hidden[key] {
				fields[key] = omitted(value)
			}
		}
	}
}

func annotations(all map[string]any) {
	for key, value := range all {
		text, ok := value.(string)
		stays := func() bool {
			for _, prefix := range kept {
				if strings.HasPrefix(key, prefix) {
					return true
				}
			}
			return false
		}
		if ok && !stays() {
			all[key] = omitted(text)
		}
	}
}

// omitted takes the place of a text. Its length often tells enough.
func omitted(text string) string { return fmt.Sprintf("REDACTED (%d bytes)", len(text)) }
