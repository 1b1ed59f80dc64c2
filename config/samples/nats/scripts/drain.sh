#!/bin/sh
# Starts the server of a Pod that was scaled away on its data, lets JetStream move all streams and consumers to the servers that remain, and removes the
# server from them. Run again after it was killed, it starts from what it finds.
# shellcheck shell=dash
set -eu
# shellcheck source-path=SCRIPTDIR source=server.sh
. "$(dirname "$0")/server.sh"

peers=$(echo "${DRAIN_PEERS-}" | tr , ' ')
pid='' said=''

# finish ends the work with the words that the policy's status shows.
finish() { # STATUS WORDS
	last_words "$2"
	stop_server
	exit "$1"
}

# stop_server lets the server write what it has, and kills it if that takes too long.
stop_server() {
	[ -n "$pid" ] || return 0
	local deadline
	deadline=$(($(now) + 20))
	kill "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do
		if [ "$(now)" -gt "$deadline" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
		sleep 0.1
	done
	wait "$pid" || true
	pid=
}

# progress restarts the time, and in_time ends the work when there was no progress for too long.
progress() { give_up=$(($(now) + patience)); }
in_time() { # WHAT IT WAITS FOR
	if [ -n "$pid" ]; then kill -0 "$pid" 2>/dev/null || finish 1 "nats-server has ended, while waiting $1"; fi
	[ "$(now)" -le "$give_up" ] || finish 1 "no progress for $patience s, while waiting $1"
}

# monitor HOST PATH prints what a server says about itself.
monitor() { timeout 3 wget -q -O - "http://$1:8222/$2" 2>/dev/null; }

# system HOST COMMAND… runs a command of the system account.
system() {
	local host=$1
	shift
	# Without a user and a home it panics, though it keeps nothing.
	USER=nats HOME=/tmp NATS_URL="nats://$host:4222" NATS_USER=system NATS_PASSWORD=$SYSTEM_PASSWORD timeout 30 nats "$@"
}

# servers HOST prints the servers that JetStream counts, as one of them knows them, itself included. It fails if that one knows no leader, or isn't current.
servers() {
	local text
	monitor "$1" 'healthz?js-server-only=true' >/dev/null || return 1
	text=$(monitor "$1" jsz) || return 1
	text=$(echo "$text" | sed -n '/"meta_cluster"/,$p')
	echo "$text" | grep -q '^ *"leader": "..*"' || return 1
	{
		echo "${1%%.*}"
		# The first name is that of the cluster.
		echo "$text" | sed -n 's/^ *"name": "\(.*\)".*/\1/p' | sed 1d
	} | sort -u
}

# counted reports whether those that remain count this server: 0 if one does, 1 if none of those that answer does, 2 if none answers.
counted() {
	local peer list answer=2
	for peer in $peers; do
		if list=$(servers "$peer"); then
			if echo "$list" | grep -qx "$DRAIN_POD_NAME"; then return 0; fi
			answer=1
		fi
	done
	return "$answer"
}

# has prints how many streams, consumers and messages the server has here.
has() {
	monitor 127.0.0.1 jsz | awk '
		{gsub(/[",:]/, "")}
		$1 == "streams" {streams = $2; found = 1}
		$1 == "consumers" {consumers = $2}
		$1 == "messages" {messages = $2}
		END {if (!found) exit 1; printf "%d streams, %d consumers and %d messages\n", streams, consumers, messages}'
}

# on_volume counts the streams on the volume, whether a server knows them or not.
on_volume() { find "$store" -mindepth 3 -maxdepth 3 -type d -path '*/streams/*' | wc -l; }

# goes_first prints the Pod of a higher ordinal that leaves, too, and whose server a drain runs, or will soon: streams would move to it otherwise.
# It fails while this server doesn't know.
goes_first() {
	local list name ordinal
	list=$(servers 127.0.0.1) || return 1
	for name in $list; do
		ordinal=${name##*-}
		if [ "$ordinal" != "$name" ] && [ "$name" = "$DRAIN_STATEFULSET-$ordinal" ] && [ "$ordinal" -gt "$DRAIN_ORDINAL" ] &&
			{ monitor "$name.nats" varz >/dev/null || [ "$(now)" -lt "$((started + 30))" ]; }; then
			echo "$name"
			return
		fi
	done
}

drain() {
	local give_up left before='' moved='' first answer list started

	[ -n "$peers" ] || finish 1 "no server remains that could take the streams: $DRAIN_STATEFULSET is scaled to 0. They are kept. Scale up to 3 or more"

	# 1. The volume, and whose it is.
	[ -e "$marker" ] || finish 1 "there is no $marker on this volume: $DRAIN_POD_NAME has never started on it, or it is the wrong one. If it has never started, delete the claim"
	[ "$(cat "$marker")" = "$DRAIN_POD_NAME" ] || finish 1 "this is the volume of $(cat "$marker")"
	[ -d "$store/\$SYS/_js_/_meta_" ] || finish 1 "there is nothing of JetStream on this volume, and a server that has started leaves something. It is the wrong volume, its data was lost, or its server has never been ready. If you are sure, delete the claim"

	# 2. A run before this one may have done all.
	progress
	while :; do
		answer=0
		counted || answer=$?
		if [ "$answer" = 1 ] && [ "$(on_volume)" = 0 ]; then
			list=$(for peer in $peers; do servers "$peer" && break; done | wc -l)
			finish 0 "$DRAIN_POD_NAME has no streams and is not counted, $list servers remain"
		fi

		# 3. The server, on its data and under its name. With it, JetStream has as many servers as before the scale-down.
		if [ -z "$pid" ]; then
			serve &
			pid=$!
		fi
		if counted && monitor 127.0.0.1 'healthz?js-server-only=true' >/dev/null && left=$(has); then break; fi
		in_time "for JetStream to have a leader and take $DRAIN_POD_NAME in. Most of the servers that it counts must run"
		sleep 0.5
	done
	echo "Serving $left"

	# 4. All that is here goes to the others, which JetStream does itself: a new replica first, then this one goes.
	moved=$left started=$(now)
	progress
	while :; do
		if ! first=$(goes_first); then
			in_time "for $DRAIN_POD_NAME to be current"
			sleep 0.5
			continue
		fi
		if [ -n "$first" ]; then
			if [ "$first" != "$before" ]; then
				progress
				echo "Serving, while $first goes first"
			fi
			before=$first
			in_time "for $first to go first"
			sleep 0.5
			continue
		fi
		if left=$(has); then
			if [ "$left" != "$before" ]; then progress; fi
			before=$left
			case $left in "0 streams, 0 consumers"*) break ;; esac
		fi
		in_time "for $left to move. A stream needs as many servers as it has replicas${said:+. nats said last: $said}"
		said=$(system 127.0.0.1 server cluster evacuate "$DRAIN_POD_NAME" --force 2>&1 | tail -n 1 | cut -c 1-200)
		echo "$said"
		sleep 0.5
	done
	stop_server
	# JetStream may have given it a new stream meanwhile. The next attempt moves that, too.
	left=$(on_volume)
	[ "$left" = 0 ] || finish 1 "$left streams are on the volume again: $(find "$store" -mindepth 3 -maxdepth 3 -type d -path '*/streams/*' | sed 's|.*/||' | head -n 3 | tr '\n' ' ')"

	# 5. Those that remain forget it, so that it doesn't count for their majority.
	progress
	while :; do
		answer=0
		counted || answer=$?
		[ "$answer" != 1 ] || break
		in_time "for those that remain to remove $DRAIN_POD_NAME${said:+. nats said last: $said}"
		for peer in $peers; do
			if said=$(system "$peer" server cluster peer-remove "$DRAIN_POD_NAME" --force 2>&1 | tail -n 1 | cut -c 1-200); then break; fi
		done
		sleep 0.5
	done
	list=$(for peer in $peers; do servers "$peer" && break; done | wc -l)
	finish 0 "moved $moved; removed $DRAIN_POD_NAME, $list servers remain"
}

if [ "${1-}" = work ]; then drain; fi
# The work is done by a session of its own, so that this shell, the first of the container, hears a signal at once and can end it all.
# A server that is told to end has moved nothing by that, so this must not succeed.
setsid "$0" work &
work=$!
stop() {
	trap '' TERM INT
	kill -TERM -- "-$work" 2>/dev/null || true
	# The server writes what clients were told is written.
	n=0
	while kill -0 -- "-$work" 2>/dev/null && [ "$n" -lt 200 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	last_words "told to stop before it was done"
	exit 143
}
trap stop TERM INT
status=0
wait "$work" || status=$?
if [ "$status" != 0 ]; then
	if [ -w "$message" ] && [ ! -s "$message" ]; then last_words "drain.sh ended with $status"; fi
	kill -KILL -- "-$work" 2>/dev/null || true
	exit "$status"
fi
# The last act: only a drain that has ended by itself gets here.
if [ -n "${DRAIN_RECEIPT-}" ]; then printf '%s\n' "$DRAIN_RECEIPT" >>"$message"; fi
