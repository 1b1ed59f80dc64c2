// Image makes a container image archive out of static programs and files, without a daemon and without a registry:
//
//	go run -C hack ./image --name localhost/drain-operator:dev --binary bin/manager=/manager \
//	    --entrypoint /manager --user 65532:65532 --output drain-operator.tar
//
// docker load, kind load image-archive and ctr images import take the archive. Relative paths on this machine are
// read from the top of the repository, where the Makefile runs it.
package main
