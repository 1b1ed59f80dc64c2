// Package local is the cluster made of this machine's own processes: no Docker, no registry.
package local
