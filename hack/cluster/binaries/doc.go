// Package binaries gets the programs that the cluster is made of: it downloads each program's release, checks the
// published checksum, and where the release can't be reached builds the same version from its Go module.
//
// Every program is kept outside the checkout, under the user's cache folder and keyed by version, operating system and
// architecture. It is put there by a rename, under a lock, so that a program in the cache is whole and two runs at once
// get it once. The folders below this one are the modules that the builds run in: each one's go.mod pins a program's
// version and, for Kubernetes, replaces its staging modules.
package binaries
