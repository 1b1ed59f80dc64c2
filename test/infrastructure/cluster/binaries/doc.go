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

// Package binaries gets the programs that the cluster is made of: it downloads each program's release, checks the
// published checksum, and where the release can't be reached builds the same version from its Go module.
//
// Every program is kept outside the checkout, under the user's cache folder and keyed by version, operating system and
// architecture. It is put there by a rename, under a lock, so that a program in the cache is whole and two runs at once
// get it once. The folders below this one are the modules that the builds run in: each one's go.mod pins a program's
// version and, for Kubernetes, replaces its staging modules.
package binaries
