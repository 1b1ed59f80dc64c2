// Package host prepares the machine that the local cluster runs on and puts it back as it was: it names what is missing,
// installs Debian packages, saves and restores kernel settings, makes and removes cgroups and mount points, and gives
// each checkout's cluster a slot of its own.
package host
