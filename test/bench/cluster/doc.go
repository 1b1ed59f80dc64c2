// Package cluster runs the control plane that the benchmark measures on: real etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler, and fake nodes by kwok. All of it listens on free ports of 127.0.0.1
// and lives in one temporary folder, so that several benchmarks and a local cluster can run side by side.
package cluster
