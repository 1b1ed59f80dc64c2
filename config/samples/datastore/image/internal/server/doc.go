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

// Package server answers for a store over HTTP.
//
//	PUT    /records/<key>   store a record: 201 if it is new, 204 if not; with "If-None-Match: *" only if the key is free or has the same
//	                        content already, else 412
//	GET    /records/<key>   the record's content, its checksum as the ETag; HEAD gives the checksum alone
//	DELETE /records/<key>   204, or 404
//	GET    /records         every record's name, size and checksum, as JSON
//	GET    /stats           counts, volumes and violations, as JSON
//	GET    /healthz         200
//
// Keys are percent-encoded into one path segment; a write is answered when it is on the disk.
package server
