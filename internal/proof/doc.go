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

// Package proof says when the success of a drain can be believed. It is pure: no client, no clock.
//
// An exit code of 0 does not prove that a drain finished. The kubelet can end a container without a trace in the API:
// on eviction by local storage, on preemption by a critical pod, on a failed probe, on shutdown. Many programs exit
// with 0 when they are told to end, and the pod's phase is then Succeeded.
//
// It promises that a pod is believed only if
//
//   - it was not told to end: it has no deletion timestamp and no condition DisruptionTarget;
//   - it is the pod that the operator asked for, whatever webhooks and LimitRanges made of it, and it mounts every
//     claim in a container that must end before the pod can succeed;
//   - each of its containers left the receipt of the attempt, or spec.proof is ExitCode and nothing in the pod lets the
//     kubelet end a container by itself, as far as a pod can say that.
//
// The same rules are applied to the API server's answer to a dry run, before a policy becomes ready, to a drain pod
// before it is ungated, and to the pod that succeeded.
package proof
