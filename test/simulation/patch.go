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

package simulation

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// writeStatus writes the status of a policy alone.
func (s *store) writeStatus(object client.Object) (client.Object, error) {
	policy := object.(*drainv1alpha1.DrainPolicy)
	old := get[*drainv1alpha1.DrainPolicy](s, policy.Name)
	switch {
	case old == nil:
		return nil, apierrors.NewNotFound(policies.resource(), policy.Name)
	case old.UID != policy.UID || old.ResourceVersion != policy.ResourceVersion:
		return nil, conflict(policies, policy.Name)
	}
	update(s, policy.Name, func(next *drainv1alpha1.DrainPolicy) { next.Status = policy.Status })
	return s.objects[policies][policy.Name], nil
}

// patch applies a patch to an object, and returns what the API server
// answers.
func (s *store) patch(k kind, name string, data []byte, how types.PatchType) (client.Object, error) {
	old, exists := s.objects[k][name]
	if !exists {
		return nil, apierrors.NewNotFound(k.resource(), name)
	}
	before, err := fields(old)
	if err != nil {
		return nil, err
	}
	after, err := fields(old)
	if err != nil {
		return nil, err
	}
	switch how {
	case types.MergePatchType:
		var changes map[string]any
		if err := json.Unmarshal(data, &changes); err != nil {
			return nil, err
		}
		merge(after, changes)
	case types.JSONPatchType:
		if err := applyOperations(after, data); err != nil {
			return nil, apierrors.NewInvalid(old.GetObjectKind().GroupVersionKind().GroupKind(), name, nil)
		}
	default:
		return nil, fmt.Errorf("patches of type %s are not in the model", how)
	}
	after["status"] = before["status"]
	text, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	next := reflect.New(reflect.TypeOf(old).Elem()).Interface().(client.Object)
	if err := json.Unmarshal(text, next); err != nil {
		return nil, err
	}
	if next.GetUID() != old.GetUID() || next.GetResourceVersion() != old.GetResourceVersion() {
		return nil, conflict(k, name)
	}
	s.replace(old, next)
	if now, still := s.objects[k][name]; still {
		return now, nil
	}
	return next, nil
}

func conflict(k kind, name string) error {
	return apierrors.NewConflict(k.resource(), name, fmt.Errorf("the object has been modified"))
}

func fields(object client.Object) (map[string]any, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var result map[string]any
	err = json.Unmarshal(text, &result)
	return result, err
}

// merge applies a merge patch (RFC 7386).
func merge(into, changes map[string]any) {
	for key, change := range changes {
		switch change := change.(type) {
		case nil:
			delete(into, key)
		case map[string]any:
			inner, ok := into[key].(map[string]any)
			if !ok {
				inner = map[string]any{}
				into[key] = inner
			}
			merge(inner, change)
		default:
			into[key] = change
		}
	}
}

// applyOperations applies what the operator uses of a JSON patch (RFC 6902): test and remove.
func applyOperations(document map[string]any, data []byte) error {
	var operations []struct {
		Op, Path string
		Value    any
	}
	if err := json.Unmarshal(data, &operations); err != nil {
		return err
	}
	for _, operation := range operations {
		path := strings.Split(strings.TrimPrefix(operation.Path, "/"), "/")
		parent := document
		for _, key := range path[:len(path)-1] {
			if inner, ok := parent[key].(map[string]any); ok {
				parent = inner
				continue
			}
			items, ok := parent[key].([]any)
			at, err := strconv.Atoi(path[len(path)-1])
			if !ok || err != nil || at >= len(items) {
				return fmt.Errorf("there is nothing at %s", operation.Path)
			}
			switch operation.Op {
			case "test":
				if !reflect.DeepEqual(items[at], operation.Value) {
					return fmt.Errorf("the test of %s fails", operation.Path)
				}
			case "remove":
				parent[key] = append(append([]any{}, items[:at]...), items[at+1:]...)
			default:
				return fmt.Errorf("%s is not in the model", operation.Op)
			}
			parent = nil
			break
		}
		if parent == nil {
			continue
		}
		if operation.Op != "test" {
			return fmt.Errorf("%s of a field is not in the model", operation.Op)
		}
		if !reflect.DeepEqual(parent[path[len(path)-1]], operation.Value) {
			return fmt.Errorf("the test of %s fails", operation.Path)
		}
	}
	return nil
}
