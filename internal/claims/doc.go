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

// Package claims answers whose a PersistentVolumeClaim is: which ordinal of which
// StatefulSet a claim's name and labels make it belong to, and whether the mark on
// it still says that its data is drained. It is pure: no client, no clock.
//
// It promises to err on the side of "not ours": a claim that can be read in more
// than one way belongs to none, and a mark that can't be understood is no mark.
package claims
