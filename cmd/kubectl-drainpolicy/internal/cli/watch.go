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

package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/cmd/kubectl-drainpolicy/internal/view"
)

const (
	// redraw is the least time between two drawings, and tick the longest, since ages grow.
	redraw = 200 * time.Millisecond
	tick   = time.Second
)

// watch shows the policies in scope, and what changes, until the context ends.
func (s *session) watch(ctx context.Context, o *statusOptions, scope scope) error {
	if o.output != "" {
		return fmt.Errorf("--watch writes a tree or lines; it can't be combined with -o")
	}
	reader, notes, changed, err := s.follow(ctx, scope)
	if err != nil {
		return err
	}
	s.note(notes)
	show := s.lines()
	var age <-chan time.Time
	if s.terminal() {
		show = s.screen(o)
		ticker := s.clock.NewTicker(tick)
		defer ticker.Stop()
		age = ticker.C()
	}
	for {
		policies, _, err := scope.read(ctx, reader)
		if err != nil {
			return err
		}
		show(policies)
		drawn := s.clock.NewTimer(redraw)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-age:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-drawn.C():
		}
	}
}

// screen returns what draws policies over what it drew before.
func (s *session) screen(o *statusOptions) func([]view.Policy) {
	return func(policies []view.Policy) {
		var frame bytes.Buffer
		// Home and clear, in one write with the text, so that nothing flickers.
		frame.WriteString("\x1b[H\x1b[2J")
		screen := *s
		screen.Out = &frame
		if s.style().Color {
			screen.color = "always"
		}
		screen.tree(o, policies)
		s.Out.Write(frame.Bytes()) //nolint:errcheck // as with every other write to a terminal
	}
}

// lines returns what writes a line for each line of the policies that is new or another than before.
func (s *session) lines() func([]view.Policy) {
	before := map[string]string{}
	return func(policies []view.Policy) {
		var seen []string
		for i := range policies {
			keys, lines := policies[i].Lines()
			for _, key := range keys {
				if before[key] != lines[key] {
					fmt.Fprintln(s.Out, s.clock.Now().UTC().Format(time.RFC3339)+" "+lines[key])
					before[key] = lines[key]
				}
			}
			seen = append(seen, keys...)
		}
		for key := range before {
			if !slices.Contains(seen, key) {
				fmt.Fprintln(s.Out, s.clock.Now().UTC().Format(time.RFC3339)+" "+key+" is no longer reported")
				delete(before, key)
			}
		}
	}
}

// follow returns a reader of caches that follow the objects in scope, and a channel that says when one has changed. Kinds that the user may
// not list are left out, with notes.
func (s *session) follow(ctx context.Context, scope scope) (client.Reader, []string, <-chan struct{}, error) {
	drains, err := labels.NewRequirement(drainv1alpha1.PolicyUIDLabel, selection.Exists, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	selector := labels.NewSelector().Add(*drains)
	options := cache.Options{
		Scheme: s.client.Scheme(), Mapper: s.client.RESTMapper(),
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject:         map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: selector}, &batchv1.Job{}: {Label: selector}},
	}
	if scope.namespace != "" {
		options.DefaultNamespaces = map[string]cache.Config{scope.namespace: {}}
	}
	caches, err := cache.New(s.config, options)
	if err != nil {
		return nil, nil, nil, err
	}
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { notify() }, UpdateFunc: func(any, any) { notify() }, DeleteFunc: func(any) { notify() },
	}
	reader := &permitted{Reader: caches, refused: map[string]error{}}
	var notes []string
	var read lists
	go caches.Start(ctx) //nolint:errcheck // it returns when the context ends
	follow := func(object client.Object) error {
		informer, err := caches.GetInformer(ctx, object)
		if err == nil {
			_, err = informer.AddEventHandler(handler)
		}
		return err
	}
	if err := s.client.List(ctx, &drainv1alpha1.DrainPolicyList{}, client.InNamespace(scope.namespace), client.Limit(1)); err != nil {
		return nil, nil, nil, err
	}
	if err := follow(&drainv1alpha1.DrainPolicy{}); err != nil {
		return nil, nil, nil, err
	}
	for _, kind := range kinds(&read) {
		// A cache would wait for the right forever.
		switch err := s.client.List(ctx, kind.list, client.InNamespace(scope.namespace), client.Limit(1)); {
		case apierrors.IsForbidden(err):
			notes = append(notes, kind.note(err))
			reader.refused[fmt.Sprintf("%T", kind.list)] = err
			continue
		case err != nil:
			return nil, nil, nil, err
		}
		if err := follow(kind.object); err != nil {
			return nil, nil, nil, err
		}
	}
	return reader, notes, changed, nil
}

// permitted is a reader of caches that exist only for the kinds that the user may list.
type permitted struct {
	client.Reader
	refused map[string]error
}

func (p *permitted) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := p.refused[fmt.Sprintf("%T", list)]; err != nil {
		return err
	}
	return p.Reader.List(ctx, list, options...)
}
