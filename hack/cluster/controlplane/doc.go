// Package controlplane starts etcd, the API server, the controller manager, the scheduler and the storage provisioner.
// They run on the machine itself, beside the nodes, and listen on the machine's address in the cluster's network.
package controlplane
