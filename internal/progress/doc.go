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

// Package progress reads in the logs of running drains how far they are, for the status of policies that ask for it with
// spec.progressDeadlineSeconds. A drain reports its progress by lines of one form, which need no rights and no port:
//
//	drain-progress: 40% moved 12 of 30 files
//
// What is read is for people: nothing but the words and the Stalled condition of a status follows from it.
package progress
