#!/usr/bin/env bash
# Starts the server of a member that was scaled away on its data, moves its slots to those that remain, and lets everybody forget it.
# Run again after it was killed, it starts from what it finds.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=server.sh
. "$(dirname "$0")/server.sh"

IFS=, read -ra peers <<<"$DRAIN_PEERS"
pid=

# The last word is what the policy's status shows.
finish() { # STATUS WORDS
	trap - ERR
	echo "$2"
	if [[ -w /dev/termination-log ]]; then echo -n "$2" >/dev/termination-log; fi
	if [[ -n "$pid" ]] && kill "$pid" 2>/dev/null; then wait "$pid" || true; fi
	exit "$1"
}
trap 'finish 1 "line $LINENO of drain.sh failed: $BASH_COMMAND"' ERR
# Told to end, redis-server exits with 0. Its data is not moved by that, so this must not.
trap 'finish 143 "told to stop before it was done"' TERM

# alive fails if the server has ended.
alive() {
	kill -0 "$pid" 2>/dev/null || finish 1 "redis-server has ended"
}

# nodes HOST prints the members as that one knows them: id, address, flags and slots, one a line.
nodes() {
	redis-cli -h "$1" cluster nodes | tr -d '\r'
}

# slots counts the slots that a line of CLUSTER NODES names, half-moved ones included, which look like [93-<-id].
slots() {
	local word n=0
	for word in "${@:9}"; do
		case $word in
		\[*) n=$((n + 1)) ;;
		*-*) n=$((n + ${word#*-} - ${word%-*} + 1)) ;;
		*) n=$((n + 1)) ;;
		esac
	done
	echo $n
}

# own_slots is how many slots this member has, by its own account.
own_slots() {
	local line
	line=$(nodes 127.0.0.1 | grep myself)
	# shellcheck disable=SC2086 # The words of the line.
	slots $line
}

# 1. The server, on the data and under the identity that are on the volume.
if [[ ! -e /data/nodes.conf ]]; then
	left=$(find /data -type f)
	[[ -z "$left" ]] || finish 1 "there is data on the volume, but no nodes.conf that says whose it is: $left"
	finish 0 "nothing is on the volume"
fi
"${server[@]}" &
pid=$!
until [[ "$(redis-cli ping 2>/dev/null)" == PONG ]]; do
	alive
	sleep 0.2
done
me=$(redis-cli cluster myid)
moved=$(own_slots)
keys=$(redis-cli dbsize)
echo "Serving $moved slots with $keys keys as $me"

# accepted tells whether those that remain know this member at its new address, and can reach it.
accepted() {
	local peer
	for peer in "${peers[@]}"; do
		nodes "$peer" 2>/dev/null | grep "^$me $POD_IP:" | grep -v 'fail\|handshake\|noaddr' | grep -q ' connected' || return 1
	done
}

# waits_for prints the members that leave, too, and go first: those with slots and a higher ordinal.
waits_for() {
	local line name ordinal
	while read -r line; do
		name=${line#*,} name=${name%%[. ]*}
		ordinal=${name##*-}
		# shellcheck disable=SC2086 # The words of the line.
		if [[ "$name" == "$DRAIN_STATEFULSET-$ordinal" ]] && ((ordinal > DRAIN_ORDINAL)) && (($(slots $line) > 0)); then
			echo "$name"
		fi
	done < <(nodes 127.0.0.1)
}

# half_moved tells whether a slot is between two members. Each is told for itself, so a run that was killed may have told only one of them.
half_moved() {
	local host line
	for host in 127.0.0.1 "${peers[@]}"; do
		line=$(nodes "$host" 2>/dev/null | grep myself || true)
		[[ "$line" != *\[* ]] || return 0
	done
	return 1
}

# 2. The slots. With none left, and all keys gone with them, a run before this one has moved them.
if ((moved + keys > 0)); then
	meet
	until accepted; do
		alive
		sleep 0.5
		meet
	done
	said=
	while :; do
		alive
		first=$(waits_for)
		if [[ -z "$first" ]]; then break; fi
		[[ "$said" == "$first" ]] || echo "Serving, while ${first//$'\n'/, } goes first"
		said=$first
		sleep 0.5
	done
	while (($(own_slots) > 0)); do
		alive
		# A slot that a killed run has left half-way is brought to its end. Slots of members that are down are never touched by that.
		if half_moved; then
			redis-cli --cluster fix "$POD_IP:6379" </dev/null || true
		fi
		n=${#peers[@]}
		for ((i = 0; i < n; i++)); do
			share=$((($(own_slots) + n - i - 1) / (n - i)))
			to=$(redis-cli -h "${peers[i]}" cluster myid) || continue
			((share == 0)) || redis-cli --cluster reshard "$POD_IP:6379" --cluster-from "$me" --cluster-to "$to" --cluster-slots "$share" \
				--cluster-yes --cluster-pipeline 100 </dev/null | grep -v '^Moving slot\|^ *Moving slot' || true
		done
		sleep 0.5
	done
fi
keys_left=$(redis-cli dbsize)
((keys_left == 0)) || finish 1 "no slots are left here, but $keys_left keys are"

# 3. Everybody forgets it: all that it knows, and all that are asked for by name, for a run before this one may have been killed here.
mapfile -t others < <(nodes 127.0.0.1 | grep -v myself | sed -n 's/^[^ ]* \([0-9.]*\):.*/\1/p')
kill "$pid"
wait "$pid" || true
pid=
for host in "${others[@]}" "${peers[@]}"; do
	redis-cli -h "$host" cluster forget "$me" >/dev/null 2>&1 || true
done
for peer in "${peers[@]}"; do
	list=$(nodes "$peer")
	if grep "^$me " <<<"$list"; then
		finish 1 "$peer still knows it"
	fi
done
# A volume that is kept and used again is a new member's. nodes.conf goes last: it says whose the rest is.
rm -rf /data/appendonlydir /data/dump.rdb
rm -f /data/nodes.conf

finish 0 "moved $moved slots with $keys keys to ${#peers[@]} members, which have forgotten $me"
