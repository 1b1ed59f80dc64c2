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

// Package process starts the cluster's programs so that they outlive the command that started them, knows which still
// run, and kills them.
//
// A process is known by its id and the time it started at, so that an id which the kernel gave to another process is never
// signalled. And every process that is started carries the cluster's state folder in its environment: what lost its
// record, because the command that started it was killed, is found by that.
package process
