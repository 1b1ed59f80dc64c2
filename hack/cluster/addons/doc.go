// Package addons is what a cluster has from its start beside the control plane: the images of its own pods, CoreDNS, the
// default StorageClass, and the permissions of the programs that run on the machine itself.
package addons
