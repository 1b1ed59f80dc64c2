// Package archive makes a container image out of static programs and files, without a daemon and without a registry.
//
// The image has one layer on an empty base. Its archive is in the "docker save" format, which docker load,
// kind load image-archive and ctr images import all take. Equal input gives an equal archive, byte for byte:
// every file carries the same time and the entries are sorted.
package archive
