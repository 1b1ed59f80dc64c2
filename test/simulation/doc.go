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

// Package simulation tries to break the operator's promises. It runs the operator's own
// reconciler against a model of the API server, with caches that lag, calls that fail, hang and
// land late, processes that crash at any call, and two managers at a leader change; beside models of
// Kubernetes' own controllers, of nodes and of the data on the volumes; and among users who do what
// users do. Every step is drawn from a seed, exactly one thing happens at a time, and after
// each step the invariants of docs/design.md are asserted, the data's included. When the faults
// stop, everything must come to rest as it should.
//
//	go test ./test/simulation                                # a thousand fixed seeds
//	go test ./test/simulation -sim.fresh=200                 # and some that are new
//	go test ./test/simulation -v -sim.seeds=100000           # more of them
//	go test ./test/simulation -v -sim.seed=7 -sim.trace      # one, step by step
//
// A history that breaks an invariant is made as short as can be and printed. What is in the
// model and what isn't, and which guards of the operator it is known to need, stands in
// docs/simulation.md.
package simulation
