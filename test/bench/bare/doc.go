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

// Package bare is the least that a drain costs: a client with the caches of an operator, without a client-side rate limit and
// without any check. For each orphan it makes seven writes: it creates the lock and the Job, marks the claim, deletes the Job in
// the foreground, deletes the claim and the lock, and removes the lock's finalizer. It is a measure, and not safe.
package bare
