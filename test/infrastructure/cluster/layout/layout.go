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

package layout

import (
	"fmt"
	"path/filepath"
)

const (
	// Slots is how many clusters one machine can hold.
	Slots = 8
	// MaxNodes is how many nodes one cluster can have.
	MaxNodes = 16
	// ClusterDomain is the domain of the cluster's DNS names.
	ClusterDomain = "cluster.local"
	// Provisioner is the name of the storage provisioner.
	Provisioner = "drain-operator.local/shared-folder"
)

// Layout is where one cluster's things are.
type Layout struct {
	// State is the folder of all files that the cluster writes.
	State string
	Slot  int
}

// Kubeconfig is the administrator's.
func (l Layout) Kubeconfig() string { return filepath.Join(l.State, "kubeconfig") }

// AuditLog is where the API server notes every request.
func (l Layout) AuditLog() string { return filepath.Join(l.State, "audit.log") }

// Logs is the folder of the programs' logs.
func (l Layout) Logs() string { return filepath.Join(l.State, "logs") }

// PKI is the folder of keys, certificates and the components' kubeconfigs.
func (l Layout) PKI() string { return filepath.Join(l.State, "pki") }

// Etcd is etcd's data folder.
func (l Layout) Etcd() string { return filepath.Join(l.State, "etcd") }

// Volumes is the folder of the persistent volumes.
func (l Layout) Volumes() string { return filepath.Join(l.State, "volumes") }

// Config is the folder of the control plane's configuration files.
func (l Layout) Config() string { return filepath.Join(l.State, "config") }

// Processes is the folder of the records of what was started.
func (l Layout) Processes() string { return filepath.Join(l.State, "processes") }

// Provider is the file that names the provider of the running cluster.
func (l Layout) Provider() string { return filepath.Join(l.State, "provider") }

// Kubernetes is the file that says which Kubernetes the cluster runs.
func (l Layout) Kubernetes() string { return filepath.Join(l.State, "kubernetes") }

// Name is what this cluster's devices, tables and cgroups on the machine are called by.
func (l Layout) Name() string { return fmt.Sprintf("drain%d", l.Slot) }

// Bridge is the network device that joins the nodes.
func (l Layout) Bridge() string { return l.Name() }

// CgroupRoot is the cgroup that holds those of the nodes.
func (l Layout) CgroupRoot() string { return l.Name() }

// Network holds the nodes' and the pods' addresses and the services'.
func (l Layout) Network() string { return fmt.Sprintf("10.%d.0.0/16", l.octet()) }

// HostIP is this machine's address among the nodes; the control plane listens there.
func (l Layout) HostIP() string { return fmt.Sprintf("10.%d.0.1", l.octet()) }

// PodCIDR holds all pods' addresses.
func (l Layout) PodCIDR() string { return fmt.Sprintf("10.%d.128.0/17", l.octet()) }

// ServiceCIDR holds all services' addresses.
func (l Layout) ServiceCIDR() string { return fmt.Sprintf("10.%d.64.0/20", l.octet()) }

// KubernetesIP is the address of the Service kubernetes.
func (l Layout) KubernetesIP() string { return fmt.Sprintf("10.%d.64.1", l.octet()) }

// DNSIP is the address of the Service kube-dns.
func (l Layout) DNSIP() string { return fmt.Sprintf("10.%d.64.10", l.octet()) }

// Server is the API server's URL.
func (l Layout) Server() string { return fmt.Sprintf("https://%s:6443", l.HostIP()) }

func (l Layout) octet() int { return 100 + l.Slot }

// Node is where the things of node number n (from 1) are.
func (l Layout) Node(n int) Node { return Node{Layout: l, Number: n} }

// Node is where one node's things are.
type Node struct {
	Layout
	Number int
}

// NodeName is the Node's name in Kubernetes.
func (n Node) NodeName() string { return fmt.Sprintf("node-%d", n.Number) }

// Folder holds all of the node's files.
func (n Node) Folder() string { return filepath.Join(n.State, "nodes", n.NodeName()) }

// Disk holds what stays on the node through a crash.
func (n Node) Disk() string { return filepath.Join(n.Folder(), "disk") }

// NodeConfig is the folder of the node's configuration files.
func (n Node) NodeConfig() string { return filepath.Join(n.Folder(), "config") }

// KubeletDropIns is the folder of files (*.conf) that change the kubelet's configuration from its next start on, until the node is healed.
func (n Node) KubeletDropIns() string { return filepath.Join(n.NodeConfig(), "kubelet.conf.d") }

// StaticPods is the folder of manifests of pods that the kubelet runs without being told by the API server.
func (n Node) StaticPods() string { return filepath.Join(n.NodeConfig(), "static-pods") }

// Fault is the file that says which fault the node was given.
func (n Node) Fault() string { return filepath.Join(n.Folder(), "fault") }

// IP is the node's address.
func (n Node) IP() string { return fmt.Sprintf("10.%d.0.%d", n.octet(), 10+n.Number) }

// PodCIDR holds the addresses of the node's pods.
func (n Node) PodCIDR() string { return fmt.Sprintf("10.%d.%d.0/24", n.octet(), 128+n.Number) }

// Link is the machine's end of the node's cable.
func (n Node) Link() string { return fmt.Sprintf("%sn%d", n.Name(), n.Number) }

// Cgroup is the cgroup that holds those of the node's pods.
func (n Node) Cgroup() string { return n.CgroupRoot() + "/" + n.NodeName() }

// ProcessName is what a program that runs on the node is called in records and logs.
func (n Node) ProcessName(program string) string { return n.NodeName() + "-" + program }
