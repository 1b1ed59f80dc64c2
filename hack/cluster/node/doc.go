// Package node starts nodes and does to them what happens to real ones.
//
// A node is a set of namespaces: network, mount, process, host name and IPC. Its first process (Init) does nothing but
// hold them and reap orphans; containerd, kubelet and kube-proxy are started into them, and every pod is their
// descendant. So when the first process is killed, the kernel kills all of the node at once and drops its mounts and its
// network, as a power cut does, while the node's disk, folders of the cluster's state, stays. Healing is booting again.
package node
