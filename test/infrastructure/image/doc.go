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

// Image makes a container image archive out of static programs, files and Debian packages, without a daemon and without a registry:
//
//	go run -C test/infrastructure ./image --name localhost/drain-operator:dev --binary bin/manager=/manager \
//	    --entrypoint /manager --user 65532:65532 --output drain-operator.tar
//
// With --deb, it has Debian packages in it too, with all that they depend on:
//
//	go run -C test/infrastructure ./image --name localhost/redis:dev --deb redis-server --user 65532:65532 --output redis.tar
//
// With --oci, it writes one image for several architectures, as the archive of an OCI image layout:
//
//	go run -C test/infrastructure ./image --oci --arch amd64,arm64 --name localhost/drain-operator:v1 \
//	    --binary bin/{arch}/manager=/manager --entrypoint /manager --output drain-operator.tar
//
// The image's time is that of SOURCE_DATE_EPOCH. docker load, kind load image-archive and ctr images import take the archive. Relative paths on this machine are
// read from the top of the repository, where the Makefile runs it.
package main
