#!/usr/bin/env bash
# Starts the server of a member that was scaled away on its data, moves its slots to those that remain, and lets the others forget it.
# Run again after it was killed, it starts from what it finds.
set -Eeuo pipefail
# shellcheck source-path=SCRIPTDIR source=server.sh
. "$(dirname "$0")/server.sh"

IFS=, read -ra peers <<<"$DRAIN_PEERS"
pid=

# finish ends the work with the words that the policy's status shows.
finish() { # STATUS WORDS
	trap - ERR
	last_words "$2"
	if [[ -n "$pid" ]]; then stop_server; fi
	exit "$1"
}

# stop_server lets the server write what it has, and kills it if that takes too long.
stop_server() {
	local deadline=$((SECONDS + 20))
	kill "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do
		if ((SECONDS > deadline)); then kill -KILL "$pid" || true; fi
		sleep 0.1
	done
	wait "$pid" || true
	pid=
}

# progress restarts the time, and in_time ends the work when there was no progress for too long.
progress() { deadline=$((SECONDS + patience)); }
in_time() { # WHAT IT WAITS FOR
	if [[ -n "$pid" ]]; then kill -0 "$pid" 2>/dev/null || finish 1 "redis-server has ended, while waiting $1"; fi
	((SECONDS <= deadline)) || finish 1 "no progress for $patience s, while waiting $1"
}

# own_line prints what a table says about this member, and fails if it doesn't know it.
own_line() { grep "^$me "; }
# as_own makes a line of a table look like that of its own member.
as_own() { sed 's/ [^ ]*/ myself/2'; }

# of_the_same_cluster ends the work unless those that remain are members of the cluster that this volume is of, and unless the slots that it has are
# still its own: a server that comes back with slots that have a new home deletes the keys in them. One that answers is enough to serve again.
of_the_same_cluster() {
	local peer id list slots theirs answered=
	slots=$(own_slots </data/nodes.conf)
	progress
	while [[ -z "$answered" ]]; do
		in_time "for any of the members that remain to answer"
		for peer in "${peers[@]}"; do
			list=$(nodes "$peer") || continue
			answered=yes
			id=$(awk '$3 ~ /myself/ {print $1}' <<<"$list")
			if ! grep -q "^$id " /data/nodes.conf && ! own_line <<<"$list" >/dev/null; then
				finish 1 "$peer is a member of another cluster: it doesn't know this member, $me, nor does this one know it, $id"
			fi
			# One that has joined since may not have heard of it. Once it has no slots, all may have forgotten it.
			theirs=$(own_line <<<"$list" | as_own | own_slots) || continue
			# The one that was on its way when a run was killed may be in one table and not in the other.
			if ((slots > theirs + 1)); then
				finish 1 "$((slots - theirs)) of the $slots slots on this volume are another member's by now, as $peer knows it. Started, redis-server would delete their keys. Look whether the keys are elsewhere"
			fi
		done
		[[ -n "$answered" ]] || sleep 0.5
	done
}

# have_room ends the work unless each of those that remain has the room for its part of the data. It fails if one of them doesn't tell.
have_room() {
	local peer max used need
	need=$(memory "$POD_IP" used_memory_dataset) || return 1
	# Slots are not equally large: a quarter more than the average.
	need=$((need * 5 / 4 / ${#peers[@]}))
	for peer in "${peers[@]}"; do
		max=$(memory "$peer" maxmemory) || return 1
		used=$(memory "$peer" used_memory) || return 1
		((max > 0)) || finish 1 "$peer has no maxmemory, so nothing says how much it can take. Set it below the container's memory limit"
		((used + need <= max)) || finish 1 "$peer has no room: it uses $used of $max bytes, and its part of this member's data is about $need. Raise maxmemory, or remove keys"
	done
}
memory() { # HOST FIELD
	local value
	value=$(redis "$1" info memory | sed -n "s/^$2://p")
	[[ "$value" =~ ^[0-9]+$ ]] && echo "$value"
}

# accepted reports whether those that remain know this member at its new address, and can reach it.
accepted() {
	local peer
	for peer in "${peers[@]}"; do
		nodes "$peer" | grep "^$me $POD_IP:" | grep -v 'fail\|handshake\|noaddr' | grep -q ' connected' || return 1
	done
}

# go_first prints the members that leave, too, and go first, with the number of their slots: those that have any and a higher ordinal.
go_first() {
	local list line name ordinal n
	list=$(nodes "$POD_IP") || return 1
	while read -r line; do
		name=${line#*,} name=${name%%[. ]*}
		ordinal=${name##*-}
		if [[ "$name" == "$DRAIN_STATEFULSET-$ordinal" ]] && ((ordinal > DRAIN_ORDINAL)); then
			n=$(as_own <<<"$line" | own_slots)
			((n == 0)) || echo "$name ($n slots)"
		fi
	done <<<"$list"
}

# half_moved reports whether a slot is between two members. Each is told for itself, so a run that was killed may have told only one of them.
half_moved() {
	local host
	for host in "$POD_IP" "${peers[@]}"; do
		if nodes "$host" | awk '$3 ~ /myself/' | grep -q '\['; then return; fi
	done
	return 1
}

# cluster runs a command of redis-cli's that changes the cluster, for as long as there may be no progress, and keeps what it said about an error.
said=
cluster() {
	local output
	if ! output=$(timeout --foreground "$patience" redis-cli --cluster "$@" </dev/null 2>&1 | grep -v '^ *Moving slot'); then :; fi
	printf '%s\n' "$output"
	output=$(sed -n '/replied with error:$/{n;p}; /ERR\|OOM\|ould not/p' <<<"$output" | tail -n 1)
	if [[ -n "$output" ]]; then said="; redis-cli said last: ${output:0:300}"; fi
}

drain() {
	local moved keys now before share to first left others list peer host i n=${#peers[@]}

	((n > 0)) || finish 1 "no member remains that could take the data"
	# 1. The volume, and whose it is.
	[[ -e $marker ]] || finish 1 "there is no $marker on this volume: $DRAIN_POD_NAME has never started on it, or it is the wrong one. If it has never started, delete the claim"
	[[ "$(<$marker)" == "$DRAIN_POD_NAME" ]] || finish 1 "this is the volume of $(<$marker)"
	if [[ ! -e /data/nodes.conf ]]; then
		left=$(find /data -type f ! -name '.*')
		[[ -z "$left" ]] || finish 1 "there is data on the volume, but no nodes.conf that says whose it is: ${left:0:300}"
		finish 0 "nothing is on the volume"
	fi
	me=$(awk '$3 ~ /myself/ {print $1}' /data/nodes.conf)
	[[ -n "$me" ]] || finish 1 "nodes.conf names no member"
	of_the_same_cluster

	# 2. The server, on the data and under the identity that are on the volume.
	find_again "${peers[@]}"
	"${server[@]}" &
	pid=$!
	progress
	until [[ "$(redis "$POD_IP" ping 2>/dev/null)" == PONG ]]; do
		in_time "for redis-server to load its data"
		sleep 0.2
	done
	moved=$(nodes "$POD_IP" | own_slots)
	keys=$(redis "$POD_IP" dbsize)
	echo "Serving $moved slots with $keys keys as $me"

	# 3. The slots. With none left, and all keys gone with them, a run before this one has moved them.
	if ((moved + keys > 0)); then
		progress
		until accepted; do
			in_time "for those that remain to accept this member at $POD_IP"
			sleep 0.5
		done
		progress
		until have_room; do
			in_time "for those that remain to tell what room they have"
			sleep 0.5
		done
		before=
		progress
		while :; do
			if first=$(go_first); then
				if [[ -z "$first" ]]; then break; fi
				first=${first//$'\n'/, }
				if [[ "$first" != "$before" ]]; then
					progress
					echo "Serving, while $first goes first"
				fi
				before=$first
			fi
			in_time "for $before to go first"
			sleep 0.5
		done
		before=$moved
		progress
		while :; do
			if now=$(nodes "$POD_IP" | own_slots); then
				if ((now == 0)); then break; fi
				if ((now < before)); then progress; fi
				before=$now
			fi
			in_time "for $before slots to move$said"
			# A slot that a killed run has left half-way is brought to its end. Slots of members that are down are never touched by that.
			if half_moved; then
				cluster fix "$POD_IP:6379"
			fi
			for ((i = 0; i < n; i++)); do
				# Others write meanwhile.
				have_room || break
				now=$(nodes "$POD_IP" | own_slots) || break
				share=$(((now + n - i - 1) / (n - i)))
				to=$(nodes "${peers[i]}" | awk '$3 ~ /myself/ {print $1}') || continue
				((share == 0)) || cluster reshard "$POD_IP:6379" --cluster-from "$me" --cluster-to "$to" --cluster-slots "$share" \
					--cluster-yes --cluster-pipeline 100
			done
			sleep 0.5
		done
	fi
	now=$(redis "$POD_IP" dbsize)
	((now == 0)) || finish 1 "no slots are left here, but $now keys are"

	# 4. The others forget it: all that it knows, and all that are asked for by name, for a run before this one may have been killed here.
	mapfile -t others < <(nodes "$POD_IP" | awk '$3 !~ /myself/ {sub(/:.*/, "", $2); if ($2 != "") print $2}')
	stop_server
	for host in "${others[@]}" "${peers[@]}"; do
		redis "$host" cluster forget "$me" >/dev/null 2>&1 || true
	done
	for peer in "${peers[@]}"; do
		list=$(nodes "$peer") || finish 1 "$peer doesn't answer, and may know it still"
		if own_line <<<"$list"; then
			finish 1 "$peer still knows it"
		fi
	done
	# A volume that is kept and used again is a new member's. nodes.conf goes last: it says whose the rest is.
	rm -rf /data/appendonlydir /data/dump.rdb
	rm -f /data/nodes.conf
	sync /data
	finish 0 "moved $moved slots with $keys keys to ${#peers[@]} members, which have forgotten $me"
}

# The work is done by a process group of its own, so that this shell, the first of the container, hears a signal at once and can end it all.
# Told to end, redis-server exits with 0. Its data is not moved by that, so this must not.
set -m
(
	trap '((BASH_SUBSHELL > 1)) || finish 1 "line $LINENO of drain.sh failed: $BASH_COMMAND"' ERR
	drain
) &
work=$!
set +m
stop() {
	trap '' TERM INT
	kill -TERM -- "-$work" 2>/dev/null || true
	# redis-server writes what clients were told is written.
	for ((i = 0; i < 200; i++)); do
		kill -0 -- "-$work" 2>/dev/null || break
		sleep 0.1
	done
	last_words "told to stop before it was done"
	exit 143
}
trap stop TERM INT
status=0
wait "$work" || status=$?
if ((status != 0)); then
	[[ ! -w $message || -s $message ]] || last_words "drain.sh ended with $status"
	kill -KILL -- "-$work" 2>/dev/null || true
	exit "$status"
fi
# The last act: only a drain that has ended by itself gets here.
if [[ -n "${DRAIN_RECEIPT-}" ]]; then printf '%s\n' "$DRAIN_RECEIPT" >>$message; fi
