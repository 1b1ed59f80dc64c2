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

// Package store keeps records as files on one or more volumes.
//
// A volume looks like this:
//
//	records/<name>   one record: its content is the record's content, its name is the percent-encoded key
//	lock             held with flock(2) by the one process that may write; its content names that process
//	VIOLATION        only there if a second writer ever tried; one line a try, never removed by the store
//
// A record is written to a temporary file, synced, renamed and its folder synced, so a record is there whole or not at all, whenever the
// power goes.
//
// The lock decides by flock, which the kernel drops with the process that held it, so a writer that was killed leaves no stale lock behind.
// The content of the lock file is there for people: it names the holder in the error message of the writer that came second.
package store
