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

// Package plan decides what to do next about every ordinal of a StatefulSet, from a
// snapshot of what the cluster holds and the time. It is pure: no client, no clock,
// no memory of what it decided before. The same planner runs twice for every step:
// on the caches, to find out where there is something to do, and again on live reads,
// to decide what that is.
//
// # Promises
//
// Nothing is lost: no claim is deleted unless a drain of that very claim has
// succeeded since a pod last used it. Never two writers: a drain pod and the
// StatefulSet's own pod of the same ordinal never run at the same time.
//
// # Invariants
//
// They hold at every step, under crashes at any point, stale caches, duplicated and
// reordered events, and two managers during a leader change. The argument for each of
// them is in docs/safety.md, with a table of the rules that uphold it.
//
//   - I1: Every running drain pod holds its ordinal's lock.
//   - I2: No lock is released while a drain pod runs.
//   - I3: While the lock exists, the StatefulSet's pod can't be created.
//   - I4: At most one drain pod runs per ordinal.
//   - I5: A claim is deleted only with a mark that holds.
//   - I6: A mark is written only for a drain that succeeded on this very claim, by itself.
//   - I7: A mark holds only while no pod can have used the claim since.
//   - I8: No attempt follows another one without its delay.
//
// What can't be read never reaches this package: the caller gives up instead.
//
// # How it decides
//
// protocol.go is an ordered table: the first rule that applies to an ordinal is what
// happens next. A rule reads the evidence (evidence.go), which is computed once, before
// the first rule is tried. It says what the status says (words.go) and makes at most one
// step (actions.go, step.go), which is one write. No rule calls another one.
//
// # The lock
//
// A pod named like the StatefulSet's own pod of the ordinal, which never runs. Pod
// names are unique in etcd, so creating it is the test that the StatefulSet's pod is
// gone, and while it stands the StatefulSet controller can't create that pod.
package plan
