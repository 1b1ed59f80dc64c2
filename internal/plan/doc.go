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
// reordered events, and two managers during a leader change:
//
//  1. DeleteClaims names only claims whose mark holds: it bears the claim's UID, it
//     was written under the lock that still stands or the StatefulSet's generation
//     shows that the ordinal stayed out of range, and the claim's Unused condition is
//     the one it was written under. The actor adds UID and resourceVersion preconditions.
//  2. MarkClaims follows only a complete Job that the policy controls, whose name is derived
//     from the lock, the attempt and exactly the UIDs that the claims have now, and whose
//     successful pod package proof believes: it ended by itself, mounted every claim and left the
//     receipt of the attempt. A Job of another lock or of other claims is evidence of nothing, and
//     what only bears the operator's labels is a stranger.
//  3. From a drain's first Job until its last Job pod is gone, the lock is held:
//     ReleaseLock comes only when no Job of the ordinal is unfinished and no drain pod
//     of it is alive. A Job that runs without its lock is stopped before anything else.
//  4. StartJob comes only under a lock, for an ordinal out of range. The pods of a Job
//     are made with a scheduling gate, and AdmitPod, which lifts it, comes only when the
//     Job's own lock is seen to stand, and not to be going, after the pod was made. So a Job that comes late,
//     because its creation hung in a slow webhook or in a manager that lost its lease,
//     makes only pods that never run. Before the first pod is admitted, the lock is
//     written to, so that a release that hung since before the Job fails.
//  5. StartJob comes only when no other Job of the ordinal is unfinished and no drain
//     pod of it is alive: at most one drain pod an ordinal.
//  6. No attempt follows another one without its delay: NoteAttempt writes to the lock how an
//     attempt failed, and AdmitPod that it may run, so that both outlive the Job.
//  7. What can't be read never reaches this package: the caller gives up instead.
//
// # The lock
//
// A pod named like the StatefulSet's own pod of the ordinal, which never runs. Pod
// names are unique in etcd, so creating it is the test that the StatefulSet's pod is
// gone, and while it stands the StatefulSet controller can't create that pod.
package plan
