#!/bin/sh
# Serves the notes of one replica: one file each, in /data/notes.
set -eu

# The volume remembers whose it is, so that a drain can tell an empty replica from an empty volume.
mkdir -p /data/notes
if [ ! -e /data/owner ]; then
	hostname >/data/.owner
	sync
	mv /data/.owner /data/owner
fi
if [ "$(cat /data/owner)" != "$(hostname)" ]; then
	echo "the volume belongs to $(cat /data/owner), and this is $(hostname)" >&2
	exit 1
fi
exec busybox httpd -f -p 8080 -h /www
