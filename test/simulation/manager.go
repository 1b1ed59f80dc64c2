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
	"fmt"
	"iter"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/controller"
)

// manager is one replica of the operator: its caches, and the reconcile that is under way.
type manager struct {
	name    string
	world   *world
	view    *view
	leading bool
	// asleep is the step until which the process doesn't get to run.
	asleep int
	// quiet is the store's version at which it had nothing to do, which it is sure of for a while.
	quiet      int64
	until      time.Time
	reconciler *controller.Reconciler
	// annotations keeps policies for annotations of StatefulSets.
	annotations *controller.AnnotationReconciler
	run         *run
}

// run is a reconcile that is under way. It stands before each of its calls until the scheduler lets it
// go on, so exactly one thing happens at a time.
type run struct {
	// number tells it from others.
	number int
	next   func() (*call, bool)
	stop   func()
	// pending is the call that it stands before.
	pending *call
	// looked is the store's version at the latest list of all pods, and lookedOwn at the latest
	// live list of any; a reconcile that doesn't look can't tell that there was no user.
	looked, lookedOwn int64
	// lookedAt is the time of the former, or zero.
	lookedAt time.Time
	// lookedLast is the store's version at the latest live list of pods or Jobs.
	lookedLast int64
	// standing holds what was read, by UID, and whether it was seen when it wasn't being deleted.
	standing map[types.UID]bool
	// held holds the policies, by UID, that were seen to have their finalizer.
	held map[types.UID]bool
	// set is the StatefulSet as it was read last from the API server itself, or nil, and policies are
	// those as they were read last, by UID.
	set      *appsv1.StatefulSet
	policies map[types.UID]*drainv1alpha1.DrainPolicy
	// skip says which claims, by UID, asked to be left alone when they were read last.
	skip   map[types.UID]bool
	failed bool
	// policy is the name of the policy that it is about.
	policy string
}

// crashed is what a reconcile panics with when its process ends.
type crashed struct{}

func newManager(w *world, name string) *manager {
	m := &manager{name: name, world: w}
	m.view = newView(w.store, w.cache.keep)
	m.boot()
	return m
}

// boot starts the process, which remembers nothing.
func (m *manager) boot() {
	m.reconciler = &controller.Reconciler{
		Client:   &apiClient{manager: m},
		Live:     &apiClient{manager: m, live: true},
		Recorder: silent{},
		Clock:    m.world.clock,
		Protocol: rules,
		Scaling:  scalingRules,
		Order:    m.world.order,
	}
	m.annotations = &controller.AnnotationReconciler{Client: m.reconciler.Client, Live: m.reconciler.Live, Recorder: silent{}}
}

// order returns in which order a reconcile makes requests that it would make at the same time: the API server may answer any of them first.
func (w *world) order(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if w.choices.chance(30) {
		slices.Reverse(order)
	}
	return order
}

// start begins a reconcile of a policy; it stands before its first call then.
func (m *manager) start(policy string) { m.begin(m.reconciler.Reconcile, policy) }

// startAnnotations begins a reconcile of the StatefulSet's annotations.
func (m *manager) startAnnotations() { m.begin(m.annotations.Reconcile, setName) }

func (m *manager) begin(reconcile func(context.Context, ctrl.Request) (ctrl.Result, error), name string) {
	m.world.runs++
	r := &run{number: m.world.runs, policy: name, looked: math.MaxInt64, lookedOwn: math.MaxInt64, standing: map[types.UID]bool{}, held: map[types.UID]bool{}, skip: map[types.UID]bool{}, policies: map[types.UID]*drainv1alpha1.DrainPolicy{}}
	m.run = r
	r.next, r.stop = iter.Pull(func(yield func(*call) bool) {
		defer func() {
			switch cause := recover().(type) {
			case nil, crashed:
			default:
				m.world.violate("the operator doesn't panic", "%v\n%s", cause, debug.Stack())
			}
		}()
		ctx := context.WithValue(context.Background(), yieldKey{}, yield)
		if m.world.tracing() {
			ctx = logr.NewContext(ctx, funcr.New(func(_, args string) { m.world.note("%s: %s", m.name, args) }, funcr.Options{}))
		}
		_, err := reconcile(ctx, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
		r.failed = err != nil
		if err != nil && m.world.tracing() {
			m.world.note("%s: the reconcile of %s ends: %v", m.name, name, err)
		}
	})
	m.advance()
}

// read notes what a reconcile has read.
func (r *run) read(object client.Object) {
	if slices.Contains(object.GetFinalizers(), drainv1alpha1.PolicyFinalizer) {
		r.held[object.GetUID()] = true
	}
	switch object := object.(type) {
	case *drainv1alpha1.DrainPolicy:
		r.policies[object.UID] = object
	case *corev1.PersistentVolumeClaim:
		r.skip[object.UID] = object.Annotations[drainv1alpha1.SkipAnnotation] == "true"
	}
	r.standing[object.GetUID()] = r.standing[object.GetUID()] || object.GetDeletionTimestamp() == nil
}

// readRival notes what the live list of policies has. The policy itself was read before, and is decided on as it was then.
func (r *run) readRival(object client.Object) {
	before, read := r.policies[object.GetUID()]
	r.read(object)
	if read {
		r.policies[object.GetUID()] = before
	}
}

// sees notes what a write has answered, for the reconcile that is under way if there is one.
func (m *manager) sees(object client.Object) {
	if m.run != nil {
		m.run.read(object)
	}
}

type yieldKey struct{}

// advance lets the reconcile make the call that it stands before, and go on to the next.
func (m *manager) advance() {
	var more bool
	m.run.pending, more = m.run.next()
	if !more {
		m.run = nil
	}
}

// finish lets the reconcile go on to its end.
func (m *manager) finish() {
	for m.awake() && m.world.broken == nil {
		m.goOn()
	}
}

// awake reports whether there is a reconcile under way that can go on.
func (m *manager) awake() bool { return m.run != nil && m.asleep <= m.world.step }

// goOn makes the call that the reconcile stands before, unless it is the one that tends to go wrong
// in this history.
func (m *manager) goOn() {
	w := m.world
	if m.run.pending.key == w.target && w.choices.chance(40) {
		w.fail(m, w.favourite)
		return
	}
	m.advance()
}

// crash ends the process. The next one begins with caches from a replica of the API server
// that may be behind.
func (m *manager) crash(behind int) {
	if m.run != nil {
		m.run.stop()
		m.run = nil
	}
	m.boot()
	for k := range kinds {
		m.view.relist(k, behind)
	}
}

// silent drops events.
type silent struct{}

// Eventf implements events.EventRecorder.
func (silent) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

// fault is what goes wrong at a call.
type fault int

const (
	noFault fault = iota
	// crashBefore ends the process before the call.
	crashBefore
	// crashAfter ends it when the call took effect.
	crashAfter
	// unavailable answers with an error, and nothing happens.
	unavailable
	// lostResponse answers with an error although the call took effect.
	lostResponse
	// conflicts answers a write with a conflict.
	conflicts
	// hangs answers with a timeout, and the write takes effect later, or never.
	hangs
	// hangsCrash is the same, and the process ends.
	hangsCrash
	// stalls has the whole process stand still before the call, and the other manager lead.
	stalls
	faults
)

var faultNames = [faults]string{"", "crash before", "crash after", "unavailable", "response lost", "conflict", "hangs", "hangs, and the process ends", "stalls"}

// call is a call to the API server that a reconcile stands before.
type call struct {
	by, what string // for people
	// key is the verb and the kind of a write; the removal of a lock's finalizer is a verb of its own.
	key string
	// remote is false for what the caches answer.
	remote, write bool
	fault         fault
	// until is the step before which it doesn't take effect if it hangs.
	until int
	do    func() (client.Object, error)
}

func (c *call) String() string { return fmt.Sprintf("%s: %s", c.by, c.what) }
