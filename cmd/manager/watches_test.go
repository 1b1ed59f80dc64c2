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
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// filling is an informer that fills.
type filling struct {
	cache.Informer

	synced bool
}

// HasSynced implements cache.Informer.
func (f *filling) HasSynced() bool { return f.synced }

// TestTheCachesCheckWaitsForEveryInformer has no answer of an API server that is refused: the caches just take their time.
func TestTheCachesCheckWaitsForEveryInformer(t *testing.T) {
	slow := &filling{}
	w := &watches{informers: []cache.Informer{&filling{synced: true}, slow}}
	if w.check() == nil {
		t.Error("the caches are ready while one of them fills")
	}
	slow.synced = true
	if err := w.check(); err != nil {
		t.Errorf("all caches are filled: %v", err)
	}
}
