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

// Package history keeps a DrainRecord of each attempt to drain an ordinal, or to let its member leave or join again: how it went, and the
// end of its log. Under whenDrained: Delete, the Job and its pods are deleted seconds after the drain has ended.
//
// A record is for people. It is not evidence: no decision rests on it, the planner and the actor never read one, and a record may be
// missing, late or incomplete. Nothing waits for it either. The Recorder has a queue of its own, and whatever goes wrong there is noted in
// the record, or in the operator's log if there is no record.
//
// The outcome is in the status of the Job and its pods, which are in the caches. The log is read from the kubelet when a container ends,
// with the right to get pods/log. Without the right, the record has the termination message alone.
package history
