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

// Package drain moves every record of orphaned volumes to the replicas that remain, so that nothing is lost, whenever it is interrupted:
//
//   - It holds the volumes' locks, so it never runs beside a server of the same volume; a volume that has ever seen a second writer is not
//     drained at all: a person must look at it first and remove its VIOLATION file.
//   - A record's way: ask every remaining replica whether it has the key; if none has, create it, create only, at the replica that comes first
//     in the key's own order of replicas; read it back and compare checksums; only then delete it here. A drain that runs again finds half of
//     the records gone, perhaps one at its new place with the old not yet deleted, and goes on.
//   - A conflict, a replica that has the key with other content, can't be decided here: clocks don't say which one is wanted, and an
//     invented second name would be found by no reader. The record stays where it is, all others are moved, and the drain fails and names it.
//   - A replica that does not answer is left out after some tries, as long as another one answers. It may have become an orphan itself in the
//     meantime: the drain of its own volume will bring its records to where these are now, and will meet any conflict there.
package drain
