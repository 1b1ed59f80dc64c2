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

// Package integration runs the operator against a real kube-apiserver and etcd (envtest).
//
// There is no kube-controller-manager: the tests play the StatefulSet and Job
// controllers by hand, so that they can stop the world between any two steps, and
// stand_ins_test.go plays garbage collection and claim protection. The operator's
// client goes through a gate that counts its writes and can lose their responses.
package integration
