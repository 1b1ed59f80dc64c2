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

// Package node starts nodes and does to them what happens to real ones.
//
// A node is a set of namespaces: network, mount, process, host name and IPC. Its first process (Init) does nothing but
// hold them and reap orphans; containerd, kubelet and kube-proxy are started into them, and every pod is their
// descendant. So when the first process is killed, the kernel kills all of the node at once and drops its mounts and its
// network, as a power cut does, while the node's disk, folders of the cluster's state, stays. Healing is booting again.
package node
