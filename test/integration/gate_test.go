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

package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// gate stands between the operator and its client. Everything it does is by namespace, so
// that tests don't disturb each other.
type gate struct {
	mutex sync.Mutex
	// writes are the operator's writes, as "verb Kind", dry runs and the status included.
	writes map[string][]string
	// lives are the operator's reads past its caches, as "verb Kind".
	lives map[string][]string
	// lost says of which writes the response is lost after they happened.
	lost map[string]func(write string) bool
	// stale holds what the operator's cache says of a StatefulSet instead of the truth.
	stale map[string]*appsv1.StatefulSet
}

var errResponseLost = errors.New("the response was lost")

func newGate() *gate {
	return &gate{
		writes: map[string][]string{}, lives: map[string][]string{}, lost: map[string]func(string) bool{},
		stale: map[string]*appsv1.StatefulSet{},
	}
}

// written returns the operator's writes in a namespace so far.
func (g *gate) written(namespace string) []string {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return append([]string(nil), g.writes[namespace]...)
}

// reads returns the operator's live reads in a namespace so far.
func (g *gate) reads(namespace string) []string {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return append([]string(nil), g.lives[namespace]...)
}

// loseResponses loses the responses of the writes that the function picks.
func (g *gate) loseResponses(namespace string, pick func(write string) bool) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.lost[namespace] = pick
}

// freeze makes the operator's cache go on saying this of a StatefulSet; nil thaws it.
func (g *gate) freeze(namespace string, set *appsv1.StatefulSet) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.stale[namespace] = set
}

func (g *gate) newClient(config *rest.Config, options client.Options) (client.Client, error) {
	c, err := client.New(config, options)
	if err != nil {
		return nil, err
	}
	return &gatedClient{Client: c, gate: g}, nil
}

// gatedClient is the operator's client with a gate before it.
type gatedClient struct {
	client.Client
	gate *gate
}

func (c *gatedClient) after(verb string, object client.Object, err error) error {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", object), "*")
	kind = kind[strings.LastIndexByte(kind, '.')+1:]
	write := verb + " " + kind
	c.gate.mutex.Lock()
	defer c.gate.mutex.Unlock()
	namespace := object.GetNamespace()
	c.gate.writes[namespace] = append(c.gate.writes[namespace], write)
	if pick := c.gate.lost[namespace]; err == nil && pick != nil && pick(write) {
		return errResponseLost
	}
	return err
}

func (c *gatedClient) Get(ctx context.Context, key client.ObjectKey, object client.Object,
	options ...client.GetOption,
) error {
	if err := c.Client.Get(ctx, key, object, options...); err != nil {
		return err
	}
	if set, ok := object.(*appsv1.StatefulSet); ok {
		c.gate.mutex.Lock()
		defer c.gate.mutex.Unlock()
		if stale := c.gate.stale[key.Namespace]; stale != nil && stale.Name == key.Name {
			stale.DeepCopyInto(set)
		}
	}
	return nil
}

func (c *gatedClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	verb := "create"
	for _, option := range options {
		if option == client.DryRunAll {
			verb = "try"
		}
	}
	return c.after(verb, object, c.Client.Create(ctx, object, options...))
}

func (c *gatedClient) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	return c.after("delete", object, c.Client.Delete(ctx, object, options...))
}

func (c *gatedClient) Patch(ctx context.Context, object client.Object, patch client.Patch,
	options ...client.PatchOption,
) error {
	return c.after("patch", object, c.Client.Patch(ctx, object, patch, options...))
}

func (c *gatedClient) Status() client.SubResourceWriter {
	return &gatedStatus{SubResourceWriter: c.Client.Status(), gate: c}
}

type gatedStatus struct {
	client.SubResourceWriter
	gate *gatedClient
}

func (s *gatedStatus) Patch(ctx context.Context, object client.Object, patch client.Patch,
	options ...client.SubResourcePatchOption,
) error {
	return s.gate.after("patch status", object, s.SubResourceWriter.Patch(ctx, object, patch, options...))
}

// gatedReader is what the operator reads live with.
type gatedReader struct {
	client.Reader
	gate *gate
}

func (r *gatedReader) note(namespace, verb string, object any) {
	kind := fmt.Sprintf("%T", object)
	r.gate.mutex.Lock()
	defer r.gate.mutex.Unlock()
	r.gate.lives[namespace] = append(r.gate.lives[namespace], verb+" "+kind[strings.LastIndexByte(kind, '.')+1:])
}

func (r *gatedReader) Get(ctx context.Context, key client.ObjectKey, object client.Object,
	options ...client.GetOption,
) error {
	r.note(key.Namespace, "get", object)
	return r.Reader.Get(ctx, key, object, options...)
}

func (r *gatedReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	asked := client.ListOptions{}
	asked.ApplyOptions(options)
	r.note(asked.Namespace, "list", list)
	return r.Reader.List(ctx, list, options...)
}
