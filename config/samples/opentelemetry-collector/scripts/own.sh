#!/bin/sh
# Takes the volume for this pod, before the collector starts.
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
