#!/usr/bin/env bash
# Starts a member, and introduces it to the others: a new one, which has no slots then, or one that has come back at a new address.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=server.sh
. "$(dirname "$0")/server.sh"

pid=
give_up() {
	last_words "$1"
	if [[ -n "$pid" ]] && kill "$pid" 2>/dev/null; then wait "$pid" || true; fi
	exit 1
}

# has_slots reports whether any member of a table has slots.
has_slots() { [[ -n "$(awk '$9 != ""')" ]]; }

# share reports whether two tables have a member in common: whether they are of one cluster.
share() { [[ -n "$(comm -12 <(ids <<<"$1") <(ids <<<"$2"))" ]]; }

# one_to_meet prints the address of one Pod that this member may be introduced to and isn't connected to: one of this Service, by the name that it
# announces, and a member of the cluster that this one is of, or of the one that has slots if this one is new. It prints nothing if there is none, and fails if
# that can't be told. CLUSTER MEET itself asks for nothing of the kind.
one_to_meet() {
	local list address mine theirs self domain first='' choice=''
	domain=$(hostname --fqdn)
	domain=${domain#*.}
	list=$(addresses) || return 1
	mine=$(nodes "$POD_IP") || return 1
	for address in $list; do
		theirs=$(nodes "$address") || continue
		self=$(awk '$3 ~ /myself/ {print $1, $2}' <<<"$theirs")
		# An address is quickly another Pod's.
		[[ "$self" == *".$domain" ]] || continue
		if has_slots <<<"$theirs"; then
			if has_slots <<<"$mine" && ! share "$mine" "$theirs"; then
				echo "$address is a member of another cluster: none of its members is one of this" >&2
				return 1
			fi
			if [[ -n "$first" ]] && ! share "$first" "$theirs"; then
				echo "there are two clusters of the name $service, and this new member can't tell which one is its own" >&2
				return 1
			fi
			# Rather one of those than one that is new itself.
			if [[ -z "$first" ]]; then choice=; fi
			first=$theirs
		fi
		if [[ -z "$choice" ]] && ! grep -q "^${self%% *} $address:.* connected" <<<"$mine"; then
			if [[ -z "$first" ]] || has_slots <<<"$theirs"; then choice=$address; fi
		fi
	done
	echo "$choice"
}

own_volume || give_up "this is not the volume of $HOSTNAME"
if [[ -e /data/nodes.conf ]]; then
	mapfile -t hosts < <(awk '$3 !~ /myself/ && split($2, part, ",") > 1 {sub(/=.*/, "", part[2]); print part[2]}' /data/nodes.conf)
	find_again "${hosts[@]}"
fi
told=
trap 'told=yes; kill "$pid" 2>/dev/null || true' TERM INT
"${server[@]}" &
pid=$!

# It serves meanwhile. A member that it has met tells it of the others.
deadline=$((SECONDS + patience))
while kill -0 "$pid" 2>/dev/null && [[ -z "$told" ]]; do
	known=$(nodes "$POD_IP" | ids | wc -l) || known=0
	if address=$(one_to_meet); then
		if [[ -n "$address" ]]; then
			echo "Meeting $address"
			redis "$POD_IP" cluster meet "$address" 6379 || true
		elif ((known > $(addresses | wc -l))); then
			break
		fi
	fi
	if ((SECONDS > deadline)); then
		# A member that knows others is one, even if some can't be found. One that knows none would serve nothing.
		((known > 1)) || give_up "found no other member of the cluster in $patience s"
		echo "Knows $known members, and finds no more"
		break
	fi
	sleep 1 &
	wait $! || true
done
# A signal interrupts a wait, and the server has something to write yet.
status=0
wait "$pid" || status=$?
while kill -0 "$pid" 2>/dev/null; do
	status=0
	wait "$pid" || status=$?
done
exit "$status"
