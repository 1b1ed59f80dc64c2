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

// Package metrics makes the operator's own metrics. What a policy is like is read at each scrape from what the operator has in its
// caches, so nothing of a policy stays after it is deleted. What has happened is counted by Events, and shown while its policy exists.
//
// A series is about a policy at most, never about a pod, a claim or a Job: their number has no bound.
package metrics
