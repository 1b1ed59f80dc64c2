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

// Package e2e holds the stories that the operator must tell on a real cluster: real StatefulSet and Job controllers, real kubelets, real
// volumes with real records in them. `make test-e2e` runs it on the local cluster.
//
// Every test has a namespace of its own, which enforces the restricted Pod Security Standard, and a recorder that watches the namespace from
// its first moment. When a test ends, whatever it was about, the whole history is held against the operator's two promises: never two writers
// on a volume, and no claim deleted that was not drained.
//
// A drain is looked at half-way without racing against it: the datastore's drain stops there for as long as a replica has the record "hold".
//
// The tests with the label "faults" break the cluster itself: nodes, managers, the control plane. They are for the local cluster alone, and
// `make test-faults` runs them; `make test-e2e` leaves them out. It also leaves out the test with the label "upgrade", which needs another
// version of the operator (`make test-upgrade`), and of those with the label "removal" all that are "slow" (`make test-removal`).
package e2e
