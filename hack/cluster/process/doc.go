// Package process starts the cluster's programs so that they outlive the command that started them, knows which still
// run, and kills them.
//
// A process is known by its id and the time it started at, so that an id which the kernel gave to somebody else is never
// signalled. And every process that is started carries the cluster's state folder in its environment: what lost its
// record, because the command that started it was killed, is found by that.
package process
