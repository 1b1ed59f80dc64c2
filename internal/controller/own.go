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

package controller

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/statefulset-dev/drain-operator/internal/plan"
)

const (
	// awaitOwn is how long a policy waits for the caches to show the operator's own last writes. They show most of them within
	// milliseconds; what something else changed at once they may never show.
	awaitOwn = time.Second
	// awaitOwnStep is how often they are looked at meanwhile: not every write makes an event that is a reason to reconcile.
	awaitOwnStep = 20 * time.Millisecond
)

// ownWrites remembers what the operator wrote last for each policy, so that no reconcile starts on caches that don't show it
// yet: it would look live, only to find its own work. Nothing is decided by it. What is forgotten costs a look or a conflict.
type ownWrites struct {
	mu       sync.Mutex
	policies map[types.NamespacedName]map[types.UID]ownWrite
}

// ownWrite is one write that the caches may not show yet.
type ownWrite struct {
	// version is the resourceVersion that it made; empty for a deletion.
	version string
	// created says that the caches must show the object, and gone that they must not.
	created, gone bool
	when          time.Time
}

// note remembers a write. Without an object there is nothing to wait for.
func (o *ownWrites) note(policy types.NamespacedName, step plan.Step, object client.Object, now time.Time) {
	write := ownWrite{when: now}
	switch step := step.(type) {
	case plan.RemoveLockFinalizer:
		object, write.gone = step.Lock, true
	case plan.TakeLock, plan.StartJob:
		write.created = true
	}
	if object == nil {
		return
	}
	if object.GetDeletionTimestamp() == nil {
		write.version = object.GetResourceVersion()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.policies == nil {
		o.policies = map[types.NamespacedName]map[types.UID]ownWrite{}
	}
	if o.policies[policy] == nil {
		o.policies[policy] = map[types.UID]ownWrite{}
	}
	o.policies[policy][object.GetUID()] = write
}

// unseen returns the time after which to look at the caches again, because they don't show all of the operator's own writes; 0
// if they do, or if those have waited for long enough.
func (o *ownWrites) unseen(policy types.NamespacedName, cached plan.Snapshot, now time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	writes := o.policies[policy]
	if len(writes) == 0 {
		return 0
	}
	shown := map[types.UID]client.Object{cached.Policy.UID: cached.Policy}
	for i := range cached.Pods {
		shown[cached.Pods[i].UID] = &cached.Pods[i]
	}
	for i := range cached.Jobs {
		shown[cached.Jobs[i].UID] = &cached.Jobs[i]
	}
	for i := range cached.Claims {
		shown[cached.Claims[i].UID] = &cached.Claims[i]
	}
	maps.DeleteFunc(writes, func(uid types.UID, write ownWrite) bool {
		return write.shownBy(shown[uid]) || !now.Before(write.when.Add(awaitOwn))
	})
	if len(writes) == 0 {
		delete(o.policies, policy)
		return 0
	}
	return awaitOwnStep
}

// shownBy reports whether the caches have got as far as a write, given what they hold of its object, or nil.
func (w ownWrite) shownBy(object client.Object) bool {
	switch {
	case object == nil:
		return !w.created
	case w.gone:
		return false
	case w.version == "":
		return object.GetDeletionTimestamp() != nil
	}
	order, err := resourceversion.CompareResourceVersion(object.GetResourceVersion(), w.version)
	return err != nil || order >= 0
}

// forget forgets the writes for a policy that is gone.
func (o *ownWrites) forget(policy types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.policies, policy)
}
