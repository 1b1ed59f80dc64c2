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
	"reflect"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/statefulset-dev/drain-operator/internal/controller"
)

// view is a cache that lags: of every kind it has seen the log up to some point.
type view struct {
	source  *store
	objects [kinds]map[string]client.Object
	at      [kinds]int
	// keep returns what the cache holds of an object, or nil.
	keep func(kind, client.Object) client.Object
}

func newView(source *store, keep func(kind, client.Object) client.Object) *view {
	v := &view{source: source, keep: keep}
	for k := range kinds {
		v.relist(k, 0)
	}
	return v
}

// deliver lets the cache see the next n events of a kind; it returns how many there were.
func (v *view) deliver(k kind, n int) int {
	log := v.source.log[k]
	end := min(len(log), v.at[k]+n)
	delivered := end - v.at[k]
	for ; v.at[k] < end; v.at[k]++ {
		v.see(k, log[v.at[k]])
	}
	return delivered
}

func (v *view) deliverAll() {
	for k := range kinds {
		v.deliver(k, len(v.source.log[k]))
	}
}

func (v *view) see(k kind, e event) {
	delete(v.objects[k], e.object.GetName())
	if e.gone {
		return
	}
	if kept := v.keep(k, e.object); kept != nil {
		v.objects[k][kept.GetName()] = kept
	}
}

// relist starts a kind again from what a replica of the API server holds that is some events
// behind. That may be further behind than what the cache had seen before.
func (v *view) relist(k kind, behind int) {
	v.objects[k], v.at[k] = map[string]client.Object{}, 0
	v.deliver(k, max(0, len(v.source.log[k])-behind))
}

// seen returns an object of a view that must not be changed, or nil.
func seen[T client.Object](v *view, name string) T {
	var none T
	object, ok := v.objects[kindOf(none)][name]
	if !ok {
		return none
	}
	return object.(T)
}

func seenAll[T client.Object](v *view) []T {
	var none T
	return sortedObjects[T](v.objects[kindOf(none)])
}

func keepAll(_ kind, object client.Object) client.Object { return object }

// managerCache is what the manager's caches hold: the very selectors, transforms and indexes
// that the operator is started with.
type managerCache struct {
	selectors  [kinds]labels.Selector
	transforms [kinds]func(any) (any, error)
	indexes    map[string]client.IndexerFunc
}

func newManagerCache() (*managerCache, error) {
	c := &managerCache{indexes: map[string]client.IndexerFunc{}}
	for object, options := range controller.CacheOptions().ByObject {
		c.selectors[kindOf(object)] = options.Label
		c.transforms[kindOf(object)] = options.Transform
	}
	return c, controller.AddIndexes(context.Background(), c)
}

// IndexField implements client.FieldIndexer.
func (c *managerCache) IndexField(_ context.Context, _ client.Object, field string, extract client.IndexerFunc) error {
	c.indexes[field] = extract
	return nil
}

func (c *managerCache) keep(k kind, object client.Object) client.Object {
	if selector := c.selectors[k]; selector != nil && !selector.Matches(labels.Set(object.GetLabels())) {
		return nil
	}
	if transform := c.transforms[k]; transform != nil {
		kept, err := transform(copyOf(object))
		if err != nil {
			panic(err)
		}
		return kept.(client.Object)
	}
	return object
}

// read answers a List from some objects, and notes which. A field selector asks an index.
func (c *managerCache) read(objects []client.Object, into client.ObjectList, options []client.ListOption, note func(client.Object)) {
	var how client.ListOptions
	how.ApplyOptions(options)
	items := reflect.ValueOf(into).Elem().FieldByName("Items")
	items.SetZero()
	for _, object := range objects {
		if how.LabelSelector != nil && !how.LabelSelector.Matches(labels.Set(object.GetLabels())) {
			continue
		}
		if how.FieldSelector != nil && !c.indexed(object, &how) {
			continue
		}
		note(object)
		items.Set(reflect.Append(items, reflect.ValueOf(copyOf(object)).Elem()))
	}
}

func (c *managerCache) indexed(object client.Object, how *client.ListOptions) bool {
	for _, requirement := range how.FieldSelector.Requirements() {
		extract, ok := c.indexes[requirement.Field]
		if !ok {
			panic("no index " + requirement.Field)
		}
		found := false
		for _, value := range extract(object) {
			found = found || value == requirement.Value
		}
		if !found {
			return false
		}
	}
	return true
}
