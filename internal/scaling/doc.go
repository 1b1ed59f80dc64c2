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

// Package scaling decides how the operator scales a StatefulSet to spec.replicas of its policy. Like internal/plan, it is pure
// and holds no memory. It decides twice for every step: on the caches, to find out whether there is something to do, and again on
// a live look, which also has the pods of the StatefulSet, to decide what that is.
//
// # Invariants
//
//   - S1: The operator lowers the replicas by one, and by no more.
//   - S2: It lowers them only while no orphaned ordinal awaits a drain, and all ordinals that remain are ready.
//   - S3: With spec.leave, it lowers them only when the highest ordinal's member has left, for the pod that lives now, or when that
//     pod is dead.
//   - S4: It never lowers them below spec.replicas as it was at the moment of the live look.
//   - S5: A member that began to leave and whose ordinal stays in range joins again.
//   - S6: At most one Job of an ordinal runs by which its member leaves or joins again.
//   - S7: A pod by which a member leaves or joins again is let run only while none runs for another ordinal, as a live look shows it.
//
// They add to the promises, and take nothing from them: a lowered ordinal is an orphan like any other, and its claims are drained
// by the protocol of internal/plan.
//
// # How it decides
//
// table.go is an ordered table, in the form of the protocol: the first rule that applies is what happens next. A step is one
// write. That of the replicas names the resourceVersion of the StatefulSet that was looked at, so any change of the
// StatefulSet in between makes it a conflict.
//
// # The Jobs of an ordinal
//
// The newest Job of an ordinal says where its member stands. A Job that is to leave takes the place of one that joins again, and the
// other way round: the new one is created first, with its pod gated, then the old one is deleted, and only then is the gate
// removed.
//
// Others may delete a Job, and its pod shows that it succeeded. So before a gate is removed, the policy notes the Job in an annotation,
// and the note stays until the member is seen to be back with the pod that lives then, or until the drain of its ordinal is over. A Job that
// is noted and gone is an attempt that has failed. An ordinal in range without a note has its member.
package scaling
