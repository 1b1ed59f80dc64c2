#!/bin/sh
# Starts vmagent on the volume. The arguments are further flags of vmagent's.
set -eu
# shellcheck source-path=SCRIPTDIR source=volume.sh
. "${0%/*}/volume.sh"

pod=$(hostname)

# The volume remembers whose it is, so that a drain can tell an empty queue from an empty volume.
if [ ! -e $owner ]; then
	echo "$pod" >$owner.new
	sync
	mv $owner.new $owner
	sync
fi
if [ "$(cat $owner)" != "$pod" ]; then
	echo "the volume belongs to $(cat $owner), and this is $pod" >&2
	exit 1
fi
recover

# Without keepDanglingQueues, vmagent deletes the queue of a URL that was changed, with all that is in it.
exec vmagent -httpListenAddr=:8429 -remoteWrite.url="$REMOTE_WRITE_URL" -remoteWrite.tmpDataPath=$queue -remoteWrite.keepDanglingQueues "$@"
