// Package pki makes the cluster's certificates and the kubeconfigs that carry them. All of it lives as long as the
// cluster does and is removed with it.
package pki
