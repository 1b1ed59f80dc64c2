#!/bin/sh
# What own.sh and drain.sh know of the volume.

# The directory of the collector's file_storage, with a file for each queue.
queue=/data/queue
# A drain works on a copy of the queue, and puts the empty copy in its place at the end.
copy=/data/drain
sent=/data/sent
# The file with the name of the pod that the volume belongs to.
# shellcheck disable=SC2034 # The others use it.
owner=/data/.drain-owner

# recover undoes what a drain left when it was killed. A queue that a drain has sent, but not replaced yet, is sent once more.
recover() {
	if [ ! -e $queue ] && [ -e $sent ]; then
		mv $sent $queue
	fi
	rm -rf $copy $sent
}
