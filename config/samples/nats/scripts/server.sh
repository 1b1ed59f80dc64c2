#!/bin/sh
# What the other scripts share: how the server is started, how the servers are asked, and whose a volume is. busybox runs them.
# shellcheck shell=dash
# shellcheck disable=SC2034 # They use the variables.

store=/data/jetstream
message=/dev/termination-log
# A loop that makes no progress for this long ends, and says what it waited for.
patience=${PATIENCE_SECONDS:-300}
: "${HOSTNAME:=$(hostname)}"

# last_words leaves what the kubelet shows of a container that has ended; outside a Pod there is no such file.
last_words() {
	echo "$1"
	if [ -w "$message" ]; then echo "$1" >"$message"; fi
}

now() { date +%s; }

# serve becomes the server under the name of this Pod.
serve() {
	export SERVER_NAME="$HOSTNAME"
	exec nats-server --config /etc/nats/nats.conf
}

# The marker on a volume names the Pod that it belongs to. A drain that finds a volume without it, or with another name, has not found an
# empty volume but the wrong one.
marker=/data/.drain-owner

# own_volume writes the marker where there is none. It refuses a volume that has another Pod's data.
own_volume() {
	local owner=
	if [ -e "$marker" ]; then owner=$(cat "$marker"); fi
	if [ "$owner" = "$HOSTNAME" ]; then return; fi
	if [ -e "$store" ]; then
		last_words "this is not the volume of $HOSTNAME: it has the data of ${owner:-an unknown Pod}"
		return 1
	fi
	echo "$HOSTNAME" >"$marker.new"
	sync "$marker.new"
	mv "$marker.new" "$marker"
	sync /data
}
