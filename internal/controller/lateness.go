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
	"sync"
	"time"
)

// latenessForgotten is how long a drain shows how late Kubernetes is.
const latenessForgotten = time.Minute

// lateness remembers how late Kubernetes was at most, in the last minute, to report that a claim is unused after its drain. The
// kube-controller-manager takes claims one after another, so all drains have to wait alike. It only makes marks wait longer, and the
// planner bounds that, because the operator doesn't look at the pods meanwhile. What is forgotten costs a second drain.
type lateness struct {
	mu   sync.Mutex
	lag  time.Duration
	seen time.Time
}

// note remembers what the drains of a policy show.
func (l *lateness) note(lag time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lag > 0 && (lag >= l.lag || now.Sub(l.seen) > latenessForgotten) {
		l.lag, l.seen = lag, now
	}
}

// recall returns how late Kubernetes is, as far as is known.
func (l *lateness) recall(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.seen) > latenessForgotten {
		return 0
	}
	return l.lag
}
