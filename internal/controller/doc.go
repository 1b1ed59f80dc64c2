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

// Package controller watches DrainPolicies and what they are about, and carries out
// what internal/plan decides. It is the only package with a client.
//
// One reconcile is: gather what the caches hold, ask the API server about the template in
// a preflight, plan, act, write the status, and map what went wrong to a result. The
// caches only say where there is something to do. Before each step the ordinal is
// gathered again by live reads, the same planner decides again, and only that decision
// is carried out, with the UIDs and resourceVersions it was made from as preconditions.
package controller
