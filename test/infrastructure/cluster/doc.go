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

// Cluster starts and stops a real Kubernetes cluster on this machine and does to its nodes what happens to real ones:
//
//	go run -C test/infrastructure ./cluster up [--nodes 2] [--kubernetes 1.37] [--provider auto|kind|local]
//	go run -C test/infrastructure ./cluster down
//	go run -C test/infrastructure ./cluster load IMAGE.tar...
//	go run -C test/infrastructure ./cluster node N crash|partition|heal
//	go run -C test/infrastructure ./cluster status
//	go run -C test/infrastructure ./cluster binaries [--kubernetes 1.37] NAME...
//	go run -C test/infrastructure ./cluster releases
//
// README.md beside this file says what it starts and what it needs.
package main
