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

// Package archive makes a container image out of static programs and files, without a daemon and without a registry.
//
// The image has a layer of the files, on top of those that it is given, or on nothing. Its archive is in the "docker save" format, which docker load,
// kind load image-archive and ctr images import all take. Equal input gives an equal archive, byte for byte:
// every file carries the same time and the entries are sorted.
package archive
