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
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// clock is the virtual time.
type clock struct{ now time.Time }

// Now implements clock.PassiveClock.
func (c *clock) Now() time.Time { return c.now }

// Since implements clock.PassiveClock.
func (c *clock) Since(t time.Time) time.Duration { return c.now.Sub(t) }

// options is what a history has from its beginning to its end.
type options struct {
	*profile
	// takes is how often each step is taken.
	takes [takings]int
	// unused says that claims have the Unused condition, as from Kubernetes 1.37 on.
	unused bool
	// parallel is the StatefulSet's podManagementPolicy.
	parallel bool
	// templates are the names of its volumeClaimTemplates.
	templates []string
	// patience is how often containers have to be told to end.
	patience int
	// unmounts is how many turns the kubelet takes to unmount the volumes of a pod that has ended. Until then it does not delete the pod
	// (SyncTerminatedPod in kubernetes/pkg/kubelet/kubelet.go).
	unmounts int
	// docile says that drains exit 0 when they are told to end, as many a program does.
	docile bool
	// eager says that a lock whose creation hangs is made as soon as a pod is gone.
	eager bool
	// cruel is in how many of 100 cases a kubelet ends what was not told to end.
	cruel int
	// impatient is the profile's, until the faults stop.
	impatient int
	// graceless says that the pods of the StatefulSet have no grace period.
	graceless bool
	// unusedLag is how far the reports of Unused are behind.
	unusedLag time.Duration
	// lagging says that nothing becomes prompt at the end of the history.
	lagging bool
	// annotated says that the StatefulSet has its drain in an annotation, and that there is no policy of a user's at first.
	annotated bool
	// target is the write that tends to go wrong, and favourite is how.
	target    string
	favourite fault
}

// world is one history: the cluster, the managers, the nodes and what became of the data.
type world struct {
	options
	choices *choices
	clock   *clock
	store   *store
	cache   *managerCache
	// runs counts the reconciles.
	runs int

	managers [2]*manager
	hanging  []*call

	sets    *setController
	jobs    *jobController
	garbage *collector
	unuser  *unusedController

	nodes map[string]nodeState
	// unregistered is since when a node has no Node object.
	unregistered map[string]time.Time
	// webhooks change Jobs and pods when they are created.
	webhooks []webhook
	// attempts are the latest Jobs of the operator, by the lock that they are for, and made is how many there were.
	attempts map[types.UID]*attempt
	made     map[types.UID]int
	// complete are the Jobs that have completed, also those that are gone.
	complete   map[types.UID]*batchv1.Job
	containers map[types.UID]*container
	volumes    map[types.UID]*volume
	records    int
	// progress counts what happens on the nodes and isn't seen in the store.
	progress int64
	// sabotaged are the locks that a user has stripped, with the store's version at that time.
	sabotaged map[string]int64
	// lastSet is the UID of the StatefulSet that there is, or was last.
	lastSet types.UID
	// marked is the claim that was marked last, until a user has had the occasion to look at it.
	marked string
	// maimed are the locks that a webhook took the finalizer or a label off.
	maimed map[types.UID]bool
	// before is the number of replicas before the last scaling.
	before int32
	// backups are the claims that are gone, by name, as they were last.
	backups map[string]*corev1.PersistentVolumeClaim
	// discarded are the claims that a user has deleted.
	discarded map[types.UID]bool

	// members are what the application believes of its members, by ordinal.
	members map[int32]*membership
	// tries are the last Jobs by which they leave or join again.
	tries map[int32]*leaveTry
	// letRun is the version of the store at which the operator let a pod run by which a member leaves or joins again.
	letRun map[types.UID]int64
	// asked is what the policy was scaled to before, and policiesMade is how many there were.
	asked        int32
	policiesMade int

	step   int
	trace  *strings.Builder
	broken *violation
}

// violation is an invariant that broke.
type violation struct {
	step      int
	invariant string
	detail    string
}

func (v *violation) String() string {
	return fmt.Sprintf("step %d: broken: %s: %s", v.step, v.invariant, v.detail)
}

func (w *world) violate(invariant, format string, args ...any) {
	if w.broken == nil {
		w.broken = &violation{step: w.step, invariant: invariant, detail: fmt.Sprintf(format, args...)}
		if w.tracing() {
			w.note("BROKEN: %s: %s", invariant, w.broken.detail)
		}
	}
}

func (w *world) tracing() bool { return w.trace != nil }

func (w *world) note(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%4d %s  ", w.step, w.clock.now.Format("15:04:05"))
		fmt.Fprintf(w.trace, format+"\n", args...)
	}
}

func newWorld(cache *managerCache, trace *strings.Builder) *world {
	w := &world{
		cache: cache, trace: trace,
		clock:        &clock{now: time.Date(2026, time.August, 1, 12, 0, 0, 0, time.UTC)},
		nodes:        map[string]nodeState{"n1": nodeUp, "n2": nodeUp},
		unregistered: map[string]time.Time{},
		attempts:     map[types.UID]*attempt{},
		made:         map[types.UID]int{},
		complete:     map[types.UID]*batchv1.Job{},
		containers:   map[types.UID]*container{},
		volumes:      map[types.UID]*volume{},
		sabotaged:    map[string]int64{},
		discarded:    map[types.UID]bool{},
		maimed:       map[types.UID]bool{},
		tries:        map[int32]*leaveTry{},
		letRun:       map[types.UID]int64{},
		members:      map[int32]*membership{},
		backups:      map[string]*corev1.PersistentVolumeClaim{},
	}
	w.store = newStore(func() time.Time { return w.clock.now })
	w.store.removed = w.removed
	for i, name := range []string{"manager A", "manager B"} {
		w.managers[i] = newManager(w, name)
	}
	w.managers[0].leading = true
	w.sets = &setController{world: w, view: newView(w.store, keepAll)}
	w.jobs = &jobController{world: w, view: newView(w.store, keepAll)}
	w.garbage = &collector{world: w, view: newView(w.store, keepAll)}
	w.unuser = &unusedController{world: w}
	return w
}

// simulate runs a history: a recorded one, or one with new choices, which it returns.
func simulate(cache *managerCache, history schedule, draw func(step int) *choices, trace *strings.Builder) (*world, schedule) {
	w := newWorld(cache, trace)
	defer w.close()
	record := schedule{}
	n := 1
	if draw == nil {
		draw = func(step int) *choices { return &choices{list: history[step]} }
	}
	for w.step = 0; w.step < n && w.broken == nil; w.step++ {
		w.choices = draw(w.step)
		if w.step == 0 {
			w.begin()
			n = w.steps + 1
			if history != nil {
				n = len(history)
			}
		} else {
			w.take()
		}
		record = append(record, w.choices.list)
		w.check()
	}
	if w.broken == nil {
		w.choices = &choices{}
		w.settle()
	}
	return w, record
}

// close ends the reconciles that are under way.
func (w *world) close() {
	for _, m := range w.managers {
		if m.run != nil {
			m.run.stop()
		}
	}
}

// take takes one step of a history.
func (w *world) take() {
	c := w.choices
	w.clock.now = w.clock.now.Add(time.Second)
	how := w.takes
	if len(w.hanging) > 0 || w.managers[0].asleep > w.step || w.managers[1].asleep > w.step {
		how[takeUser] = how[takeUser] * 8 / 3 // The more happens before a late write comes, the more it can break.
	}
	switch taking(c.weighted(how[:]...)) {
	case takeTime:
		w.tick()
	case takeManager:
		w.stepManager()
	case takeEvents:
		w.deliverSome()
	case takeSets:
		w.sets.step(c)
	case takeJobs:
		w.jobs.step(c)
	case takeScheduler:
		w.stepScheduler()
	case takeGarbage:
		w.garbage.step(c)
	case takeProtection:
		w.protectClaims()
		w.collectPods()
	case takeKubelets:
		w.stepKubelets()
	case takeLeader:
		w.changeLeader()
	case takeHanging:
		w.landHanging()
	case takeNodes:
		w.stepNodes()
	case takeUnused:
		w.unuser.step()
	case takeUser:
		w.stepUser()
	case takeKubernetes: // A while in which Kubernetes does what it should.
		w.settleKubernetes()
	case takeOperator: // And one in which the operator does.
		w.settleManager(w.leader())
	case takeWhile: // A longer one, in which a drain can come to its end.
		for range 2 + c.pick(8) {
			w.goOn()
			w.settleManager(w.leader())
			if w.marked != "" && c.chance(w.nosy) {
				w.look()
			}
			w.marked = ""
			if w.prompt && c.chance(8) {
				w.stepUser()
			}
		}
	case takeLate:
		w.lateWrite(w.late, w.then)
	case takeBlind:
		if w.slow {
			w.changeUnseen()
			return
		}
		w.sets.blind = w.step + 10 + c.pick(60)
		w.note("StatefulSet controller: its watch of StatefulSets is stuck")
	case takeOutage:
		w.outage()
	case takeStuck:
		w.jobs.stuck = w.step + 3 + c.pick(20)
		w.note("Job controller: stands still")
	case takeDrain:
		w.whileDraining()
	}
}

// whileDraining lets everything go on until a drain pod runs, and users do something then.
func (w *world) whileDraining() {
	draining := func(c *container) bool { return c.role == roleDrain }
	for range 12 {
		if slices.ContainsFunc(w.running(), draining) {
			w.stepUser()
			break
		}
		w.goOn()
		w.settleManager(w.leader())
	}
	for range w.choices.pick(8) {
		w.goOn()
		w.settleManager(w.leader())
	}
}

// outage is a time without any manager.
func (w *world) outage() {
	until := w.step + 3 + w.choices.pick(12)
	w.note("the managers are gone for a while")
	for _, m := range w.managers {
		m.crash(0)
		m.asleep = max(m.asleep, until)
	}
}

// pause is a short time.
func (w *world) pause() time.Duration {
	return []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}[w.choices.weighted(6, 2, 1)]
}

// goOn lets Kubernetes do what it should for a short time.
func (w *world) goOn() {
	for range 1 + w.choices.pick(3) {
		w.settleKubernetes()
		w.check()
		w.clock.now = w.clock.now.Add(time.Second)
	}
}

// settleManager lets a manager reconcile on caches that lack nothing, unless nothing has happened
// since it did.
func (w *world) settleManager(m *manager) {
	m.view.deliverAll()
	if m.run == nil && m.quiet == w.store.version && w.clock.now.Before(m.until) {
		return
	}
	if w.annotated && m.run == nil && m.asleep <= w.step {
		m.startAnnotations()
		m.finish()
		m.view.deliverAll()
	}
	if m.run == nil && m.asleep <= w.step {
		w.reconcile(m)
	}
	before := w.store.version
	m.finish()
	if m.run == nil && before == w.store.version && get[*drainv1alpha1.DrainPolicy](w.store, rivalPolicy) == nil {
		m.quiet, m.until = before, w.clock.now.Add(recheck)
	}
}

// recheck is how long a manager to whom nothing happens does nothing.
const recheck = 10 * time.Second

// tick lets time pass.
func (w *world) tick() {
	passed := []time.Duration{time.Second, 10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}[w.choices.pick(5)]
	w.clock.now = w.clock.now.Add(passed)
	w.note("%s pass", passed)
}

// stepManager lets one of the managers see something, and go on.
func (w *world) stepManager() {
	c := w.choices
	m := w.managers[0]
	if c.pick(2) == 1 {
		m = w.managers[1]
	}
	if m.asleep > w.step || (m.run == nil && !m.leading) {
		m = w.leader()
	}
	if m.asleep > w.step {
		return
	}
	switch c.pick(4) {
	case 0:
		m.view.deliverAll()
	case 1:
		m.view.deliver(kind(c.pick(int(kinds))), 1+c.pick(3))
	case 2:
		for k := range kinds {
			m.view.deliver(k, c.pick(6))
		}
	}
	if m.run == nil {
		if !m.leading {
			return
		}
		w.reconcile(m)
	}
	switch c.weighted(6, 4, 3, 6) {
	case 0:
		m.finish()
	case 1:
		w.untilWrite(m)
	case 2:
		for n := 1 + c.pick(15); n > 0 && m.awake(); n-- {
			m.goOn()
		}
	case 3:
		if c.chance(70) {
			w.untilWrite(m)
		} else {
			for n := c.pick(15); n > 0 && m.awake(); n-- {
				m.goOn()
			}
		}
		w.fail(m, fault(c.pick(int(faults))))
	}
}

// reconcile starts a reconcile of one of the policies there are, or were.
func (w *world) reconcile(m *manager) {
	if w.annotated && w.choices.chance(30) {
		w.note("%s looks for annotations", m.name)
		m.startAnnotations()
		return
	}
	name := w.policyNames()[0]
	if rival := get[*drainv1alpha1.DrainPolicy](w.store, rivalPolicy); rival != nil || w.choices.chance(2) {
		name = w.policyNames()[w.choices.pick(2)]
	}
	w.note("%s reconciles %s", m.name, name)
	m.start(name)
}

func (w *world) untilWrite(m *manager) {
	for m.awake() && !m.run.pending.write && w.broken == nil {
		m.goOn()
	}
	if m.run != nil && w.tracing() {
		w.note("%s stands before: %s", m.name, m.run.pending.what)
	}
}

// fail has the next call of a manager go wrong.
func (w *world) fail(m *manager, f fault) {
	if !m.awake() {
		return
	}
	next := m.run.pending
	if !next.remote {
		f = min(f, crashBefore)
	}
	if !next.write && f > unavailable && f != stalls {
		f = unavailable
	}
	if f == stalls {
		m.asleep = w.step + 5 + w.choices.pick(100)
		other := w.managers[0]
		if other == m {
			other = w.managers[1]
		}
		m.leading, other.leading = false, true
		w.note("%s stalls before: %s; %s leads", m.name, next.what, other.name)
		return
	}
	behind := 0
	if f == crashBefore || f == crashAfter || f == hangsCrash {
		behind = w.choices.pick(4) * w.choices.pick(4)
	}
	if f == crashBefore {
		w.note("%s crashes before: %s", m.name, next.what)
		m.crash(behind)
		return
	}
	if f == hangs || f == hangsCrash {
		next.until = w.step + w.choices.pick(2)*w.choices.pick(120)
	}
	next.fault = f
	m.advance()
	if f == crashAfter || f == hangsCrash {
		m.crash(behind)
	}
}

// hurry has what is late come now, perhaps: when a pod has just started it can do most harm.
func (w *world) hurry() {
	for _, m := range w.managers {
		if m.asleep > w.step && w.choices.chance(40) {
			m.asleep = w.step + w.choices.pick(3)
		}
	}
	for _, c := range w.hanging {
		if c.until > w.step && w.choices.chance(40) {
			c.until = w.step + w.choices.pick(3)
		}
	}
}

func (w *world) leader() *manager {
	if w.managers[1].leading && !w.managers[0].leading {
		return w.managers[1]
	}
	return w.managers[0]
}

// deliverSome lets caches see events while their reconciles stand still.
func (w *world) deliverSome() {
	m := w.managers[w.choices.pick(2)]
	k := kind(w.choices.pick(int(kinds)))
	if w.choices.chance(5) {
		behind := w.choices.pick(8)
		m.view.relist(k, behind)
		w.note("%s lists %s again, %d events behind", m.name, k, behind)
		return
	}
	m.view.deliver(k, 1+w.choices.pick(10))
}

// changeLeader makes the other manager the leader. The old one learns of it later; what it had
// under way goes on until then.
func (w *world) changeLeader() {
	from := w.leader()
	to := w.managers[0]
	if from == to {
		to = w.managers[1]
	}
	switch w.choices.pick(3) {
	case 0: // Both lead for a while.
		to.leading = true
		w.note("%s leads too", to.name)
	case 1: // The old one has lost its lease, and only ends what it is at.
		to.leading, from.leading = true, false
		w.note("%s leads; %s ends what it is at", to.name, from.name)
	case 2:
		to.leading, from.leading = true, false
		from.crash(0)
		w.note("%s leads; %s is gone", to.name, from.name)
	}
}

// landHanging lets a write that hung take effect at last.
func (w *world) landHanging() {
	if len(w.hanging) == 0 {
		return
	}
	at := w.choices.pick(len(w.hanging))
	c := w.hanging[at]
	if c.until > w.step {
		return
	}
	w.hanging = append(w.hanging[:at:at], w.hanging[at+1:]...)
	if w.choices.chance(10) {
		w.note("what hung of %s is lost", c)
		return
	}
	w.land(c)
}

func (w *world) land(c *call) {
	w.note("what hung takes effect: %s", c)
	_, _ = w.make(c)
}
