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

// Package statefulset describes the StatefulSet that a policy names, as one value that the
// planner and the makers of objects share: what it is called, which ordinals it wants, how its
// pods and claims are named, and what its drain pods take over. It is pure: no client, no clock.
//
// It promises that a Target can be used whatever became of the StatefulSet. One that is gone
// wants no ordinal, has no replicas and no peers, and keeps what the policy's status remembers
// of it. One that was never seen is the same with nothing to remember. So no caller needs a
// check for nil, and the zero Target wants nothing.
//
// A Target shares no memory with the object that it was made of.
package statefulset
