#!/bin/sh
# What the two Jobs of a member share: the drain of its claim (drain.sh), and how it leaves while its server runs (member.sh).
# shellcheck shell=dash
# shellcheck disable=SC2034 # They use the variables.
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "$0")/cluster.sh"

own_url=$(peer_url "$DRAIN_POD_NAME")
peers=$(echo "${DRAIN_PEERS-}" | tr , ' ')

# ask_majority sets list to the members, as a majority knows them, and via to the member that was asked. It fails if none of those that remain answers.
ask_majority() {
	local peer
	for peer in $peers; do
		via=http://$peer:2379
		if list=$(members "$via" 2>/dev/null); then return; fi
	done
	return 1
}

# runs reports whether a member's server runs. Clients it answers only when it has found a majority; the other members can ask it for its version.
runs() { timeout 2 wget -q -O /dev/null "$(peer_url "$1")/version" 2>/dev/null; }

# hand_over URL makes one of those that remain the leader, if the member that clients reach there leads. It fails if that isn't sure. A leader that removes
# itself stops before the others know it for sure, and a single one that remains would then wait for a vote that never comes.
hand_over() {
	local leads peer url to
	leads=$(ctl "$1" endpoint status --write-out fields | awk '
		$1 == "\"MemberID\"" {id = $3 ""}
		$1 == "\"Leader\"" {leader = $3 ""}
		END {if (leader != "" && leader != "0") {if (leader == id) print "yes"; else print "no"}}')
	[ -n "$leads" ] || return 1
	[ "$leads" = yes ] || return 0
	for peer in $peers; do
		url=$(peer_url "${peer%%.*}")
		to=$(echo "$list" | voters | with_url "$url")
		if [ -n "$to" ] && ctl "$1" move-leader "${to%% *}"; then return; fi
	done
	return 1
}

# run does the work in a session of its own, so that this shell, the first of the container, hears a signal at once and can end it all.
# Told to end, etcd exits with 0. Nothing is removed by that, so this must not.
run() { # FUNCTION [work]
	if [ "${2-}" = work ]; then
		"$1"
		exit 1 # It has ended without words.
	fi
	setsid "$0" work &
	work=$!
	trap stop TERM INT
	status=0
	wait "$work" || status=$?
	if [ "$status" != 0 ]; then
		if [ -w "$message" ] && [ ! -s "$message" ]; then last_words "${0##*/} ended with $status"; fi
		kill -KILL -- "-$work" 2>/dev/null || true
		exit "$status"
	fi
	# The last act: only work that has ended by itself gets here.
	if [ -n "${DRAIN_RECEIPT-}" ]; then printf '%s\n' "$DRAIN_RECEIPT" >>"$message"; fi
}
stop() {
	trap '' TERM INT
	kill -TERM -- "-$work" 2>/dev/null || true
	# etcd hands over if it leads.
	n=0
	while kill -0 -- "-$work" 2>/dev/null && [ "$n" -lt 200 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	last_words "told to stop before it was done"
	exit 143
}
