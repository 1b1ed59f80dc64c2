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

import "slices"

// lateWrite is what most of the protocol's holes have in common: a write is decided and comes late, or a read of what it rests
// on, from a manager that stands still or from a request that hangs, while a user changes their
// mind, the other manager goes on, and a pod starts. Another one may come late in the meantime.
func (w *world) lateWrite(writes, then []string) {
	c := w.choices
	target, stalled := writes[c.pick(len(writes))], c.pick(2) == 0
	if c.chance(30) {
		w.scale(int32(c.pick(maxReplicas)))
	}
	m := w.driveTo(target, 1+c.pick(30))
	if m == nil {
		return
	}
	late := m.run.pending
	if stalled || !late.write {
		w.fail(m, stalls)
	} else {
		w.fail(m, hangs)
	}
	if len(w.turn) > 0 || c.chance(50) {
		w.react(late)
	}
	if len(w.turn) > 0 && len(then) > 0 {
		w.lateWrite(then, nil)
	}
	started := len(w.containers)
	for range 1 + c.pick(20) {
		if w.broken != nil {
			return
		}
		if c.chance(35) {
			w.stepUser()
		}
		if len(then) > 0 && c.chance(35) {
			w.lateWrite(then, nil)
		} else if c.chance(10) {
			w.wake(late)
		}
		w.goOn()
		w.settleManager(w.leader())
		w.clock.now = w.clock.now.Add(w.pause())
		if len(w.containers) > started {
			started = len(w.containers)
			if c.chance(60) {
				break
			}
		}
	}
	if at := slices.Index(w.hanging, late); at >= 0 {
		w.hanging = slices.Delete(w.hanging, at, at+1)
		w.land(late)
	}
	m.asleep = w.step
	m.finish()
}

// react is what happens at once when a write comes late. If another one is late already, that one comes
// now, or a user undoes the last scaling.
func (w *world) react(late *call) {
	c := w.choices
	second := slices.ContainsFunc(w.hanging, func(other *call) bool { return other != late })
	for _, m := range w.managers {
		second = second || (m.asleep > w.step && m.run != nil && m.run.pending != late)
	}
	switch {
	case second && c.chance(60):
		w.wake(late)
	case second || len(w.turn) == 0:
		w.changeMind()
	default:
		w.do(w.turn[c.pick(len(w.turn))])
	}
}

// wake has all that is late come now, but for one call.
func (w *world) wake(except *call) {
	for _, m := range w.managers {
		if m.asleep > w.step && m.run != nil && m.run.pending != except {
			m.asleep = w.step
			m.finish()
		}
	}
	for _, c := range slices.Clone(w.hanging) {
		if at := slices.Index(w.hanging, c); c != except && at >= 0 {
			w.hanging = slices.Delete(w.hanging, at, at+1)
			w.land(c)
		}
	}
}

// changeMind undoes the last scaling.
func (w *world) changeMind() { w.scale(w.before) }

// changeUnseen scales down, and while the drain runs up and down again. The StatefulSet controller sees
// both later, one after the other, and until then only the generation says that they were.
func (w *world) changeUnseen() {
	c := w.choices
	w.sets.blind = 0
	w.scale(maxReplicas)
	w.goOn()
	w.scale(int32(c.pick(maxReplicas)))
	if w.driveTo("patch pods", 20) == nil {
		return
	}
	w.sets.blind = w.step + 1 + c.pick(8)
	w.note("StatefulSet controller: its watch of StatefulSets is stuck")
	w.changeMind()
	w.changeMind()
}

// driveTo lets everything go on until the leader stands before a write, and returns the leader, or
// nil if it doesn't come to that.
func (w *world) driveTo(target string, rounds int) *manager {
	for range rounds {
		m := w.leader()
		if m.asleep > w.step || w.broken != nil {
			return nil
		}
		switch w.choices.weighted(95-w.fickle, 5, w.fickle) {
		case 1:
			w.stepUser()
		case 2:
			w.changeMind()
		}
		w.goOn()
		m.view.deliverAll()
		if m.run == nil {
			w.reconcile(m)
		}
		for m.run != nil && w.broken == nil {
			if m.run.pending.key == target && !w.choices.chance(30) {
				return m
			}
			m.advance()
		}
		w.clock.now = w.clock.now.Add(w.pause())
		w.check()
	}
	return nil
}
