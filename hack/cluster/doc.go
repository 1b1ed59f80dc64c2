// Cluster starts and stops a real Kubernetes cluster on this machine and does to its nodes what happens to real ones:
//
//	go run -C hack ./cluster up [--nodes 2] [--provider auto|kind|local]
//	go run -C hack ./cluster down
//	go run -C hack ./cluster load IMAGE.tar...
//	go run -C hack ./cluster node N crash|partition|heal
//	go run -C hack ./cluster status
//	go run -C hack ./cluster binaries NAME...
//
// README.md beside this file says what it starts and what it needs.
package main
