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
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// apiClient is what the operator calls: the cache for what it reads, or the API server itself
// if it is live. Whatever isn't in the model panics.
type apiClient struct {
	client.Client
	manager *manager
	live    bool
}

// call stands before a call until it may be made, and has it go wrong as it was told.
// What it answers goes into the caller's object, if it answers.
func (c *apiClient) call(ctx context.Context, into client.Object, this *call, format string, args ...any) error {
	m := c.manager
	this.by = m.name
	if m.world.tracing() {
		this.what = fmt.Sprintf(format, args...)
	}
	yield := ctx.Value(yieldKey{}).(func(*call) bool)
	if !yield(this) {
		panic(crashed{})
	}
	answer, err := m.world.perform(this)
	if err == nil && into != nil {
		decode(answer, into)
	}
	return err
}

// Get implements client.Reader.
func (c *apiClient) Get(ctx context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	k := kindOf(into)
	run := c.manager.run
	return c.call(ctx, into, &call{remote: c.live, key: c.looks("get", k), do: func() (client.Object, error) {
		objects := c.manager.view.objects[k]
		if c.live {
			objects = c.manager.world.store.objects[k]
		}
		object, ok := objects[key.Name]
		if c.live && key.Name == setName && k == sets {
			run.set, _ = object.(*appsv1.StatefulSet)
		}
		if !ok || key.Namespace != namespace {
			return nil, apierrors.NewNotFound(k.resource(), key.Name)
		}
		run.read(object)
		return object, nil
	}}, "%s %s %s", c.reads(), k, key.Name)
}

// List implements client.Reader.
func (c *apiClient) List(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	k := kindOf(into)
	run := c.manager.run
	return c.call(ctx, nil, &call{remote: c.live, key: c.looks("list", k), do: func() (client.Object, error) {
		w := c.manager.world
		objects := c.manager.view.objects[k]
		if c.live {
			objects = w.store.objects[k]
			if k == pods || k == jobs {
				run.lookedLast = w.store.version
			}
			if k == pods {
				run.lookedOwn = w.store.version
				var how client.ListOptions
				how.ApplyOptions(options)
				if how.LabelSelector == nil {
					run.looked, run.lookedAt = w.store.version, w.clock.now
				}
			}
		}
		seen := run.read
		if c.live && k == policies {
			seen = run.readRival
		}
		w.cache.read(sortedObjects[client.Object](objects), into, options, seen)
		return nil, nil
	}}, "%s list of %s", c.reads(), k)
}

// asItIs returns the reconcile with what it has seen until now, for a write that may come late.
func (c *apiClient) asItIs() *run {
	now := *c.manager.run
	now.standing, now.held, now.skip, now.policies = maps.Clone(now.standing), maps.Clone(now.held), maps.Clone(now.skip), maps.Clone(now.policies)
	return &now
}

// looks names a live read, so that a manager can be driven to it and stall before it.
func (c *apiClient) looks(verb string, k kind) string {
	if !c.live {
		return ""
	}
	return verb + " " + k.String()
}

func (c *apiClient) reads() string {
	if c.live {
		return "live"
	}
	return "cached"
}

// Create implements client.Writer.
func (c *apiClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	var how client.CreateOptions
	how.ApplyOptions(options)
	w, asked, k := c.manager.world, copyOf(object), kindOf(object)
	if len(how.DryRun) > 0 {
		return c.call(ctx, object, &call{remote: true, do: func() (client.Object, error) {
			admitted, err := w.admit(asked, true)
			if err == nil && w.store.objects[k][asked.GetName()] != nil {
				// A dry run goes as far as the storage, which knows the names.
				err = apierrors.NewAlreadyExists(k.resource(), asked.GetName())
			}
			return admitted, err
		}}, "dry run of a create in %s", k)
	}
	run, decided := c.asItIs(), w.clock.now
	return c.call(ctx, object, &call{remote: true, write: true, key: "create " + k.String(), do: func() (client.Object, error) {
		admitted, err := w.admit(asked, false)
		if err != nil {
			return nil, err
		}
		created, err := w.store.create(admitted)
		if err == nil {
			w.maimed[created.GetUID()] = k == pods && (len(created.GetFinalizers()) < len(asked.GetFinalizers()) || len(created.GetLabels()) < len(asked.GetLabels()))
			c.manager.sees(created)
			w.afterOperatorCreates(run, created, decided)
		}
		return created, err
	}}, "create %s %s", k, object.GetName())
}

// Delete implements client.Writer.
func (c *apiClient) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	var how client.DeleteOptions
	how.ApplyOptions(options)
	asked := deletion{now: how.GracePeriodSeconds != nil && *how.GracePeriodSeconds == 0}
	if how.PropagationPolicy != nil {
		asked.propagation = *how.PropagationPolicy
	}
	if how.Preconditions != nil {
		if how.Preconditions.UID != nil {
			asked.uid = *how.Preconditions.UID
		}
		if how.Preconditions.ResourceVersion != nil {
			asked.version = *how.Preconditions.ResourceVersion
		}
	}
	w, k, name, run := c.manager.world, kindOf(object), object.GetName(), c.asItIs()
	decided := w.clock.now
	return c.call(ctx, nil, &call{remote: true, write: true, key: "delete " + k.String(), do: func() (client.Object, error) {
		before := w.store.objects[k][name]
		err := w.store.delete(k, name, asked)
		if err == nil {
			w.afterOperatorDeletes(run, before, decided)
		}
		return nil, err
	}}, "delete %s %s %s", k, name, asked.propagation)
}

// Patch implements client.Writer.
func (c *apiClient) Patch(ctx context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return c.patch(ctx, object, patch, false)
}

func (c *apiClient) patch(ctx context.Context, object client.Object, patch client.Patch, status bool) error {
	if status {
		// The whole status, with the resourceVersion that it was made from, comes to the same.
		patch = client.RawPatch(types.MergePatchType, nil)
	}
	data, err := patch.Data(object)
	if err != nil {
		return err
	}
	asked := copyOf(object)
	w, k, name, run := c.manager.world, kindOf(object), object.GetName(), c.asItIs()
	key := "patch " + k.String()
	if patch.Type() == types.JSONPatchType {
		key = "finalize " + k.String()
	}
	return c.call(ctx, object, &call{remote: true, write: true, key: key, do: func() (client.Object, error) {
		before := w.store.objects[k][name]
		if status {
			return w.writeStatus(asked.(*drainv1alpha1.DrainPolicy))
		}
		patched, err := w.store.patch(k, name, data, patch.Type())
		if err == nil {
			c.manager.sees(patched)
			w.afterOperatorPatches(run, before, patched)
		}
		return patched, err
	}}, "patch %s %s: %s", k, name, shown(data, status))
}

// shown is what a trace says of a patch.
func shown(data []byte, status bool) string {
	if status {
		return "status"
	}
	return string(data)
}

// Status implements client.StatusClient.
func (c *apiClient) Status() client.SubResourceWriter { return &statusClient{client: c} }

type statusClient struct {
	client.SubResourceWriter
	client *apiClient
}

// Patch implements client.SubResourceWriter.
func (s *statusClient) Patch(ctx context.Context, object client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	return s.client.patch(ctx, object, patch, true)
}

// perform makes a call, or has it go wrong.
func (w *world) perform(c *call) (client.Object, error) {
	timeout := apierrors.NewTimeoutError("the answer did not come in time", 0)
	if w.tracing() && (c.write || c.fault != noFault) {
		if c.fault == noFault {
			w.note("%s", c)
		} else {
			w.note("%s [%s]", c, faultNames[c.fault])
		}
	}
	switch c.fault {
	case crashAfter:
		_, _ = w.make(c)
		panic(crashed{})
	case unavailable:
		return nil, apierrors.NewServiceUnavailable("the API server is not there")
	case conflicts:
		return nil, apierrors.NewConflict(claims.resource(), "", errors.New("another client came first"))
	case lostResponse:
		_, _ = w.make(c)
		return nil, timeout
	case hangs:
		w.hanging = append(w.hanging, c)
		return nil, timeout
	case hangsCrash:
		w.hanging = append(w.hanging, c)
		panic(crashed{})
	}
	return w.make(c)
}

// make has a call take effect.
func (w *world) make(c *call) (client.Object, error) {
	answer, err := c.do()
	if err != nil && c.write && w.tracing() {
		w.note("    → %v", err)
	}
	return answer, err
}

// decode puts an object of the API server's into the caller's.
func decode(from, into client.Object) {
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(copyOf(from)).Elem())
}

// ownerOf returns the UID of an object's controller.
func ownerOf(object client.Object) types.UID {
	for _, owner := range object.GetOwnerReferences() {
		if owner.Controller != nil && *owner.Controller {
			return owner.UID
		}
	}
	return ""
}
