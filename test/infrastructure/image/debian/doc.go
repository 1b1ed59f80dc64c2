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

// Package debian makes an image layer out of Debian packages with all that they depend on, for machines that reach Debian's archive but
// no registry. What comes out is close to debian:12-slim with the same packages installed: the essential packages are in it, manuals and
// translations are not, and of what packages do when they are configured only what every program needs is done.
//
// apt resolves, downloads and verifies; nothing is installed on this machine. Layers are kept in the cache folder, by the versions and
// checksums of all their packages.
package debian
