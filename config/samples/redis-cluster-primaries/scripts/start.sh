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

# one_to_meet prints the address of one member that this one doesn't know and may be introduced to: one of this Service, by the name that it announces, of
# the cluster that this one is in, or of the one that has slots if this one is new. It prints nothing if there is none, and fails if that can't be told.
one_to_meet() {
	local list address mine theirs known others slots first='' choice='' domain
	domain=$(hostname --fqdn)
	domain=${domain#*.}
	list=$(addresses) || return 1
	mine=$(nodes "$POD_IP") || return 1
	known=$(ids <<<"$mine")
	slots=$(awk '$9 != ""' <<<"$mine")
	for address in $list; do
		theirs=$(nodes "$address") || continue
		# An address is quickly another Pod's.
		[[ "$(awk '$3 ~ /myself/ {print $2}' <<<"$theirs")" == *".$domain" ]] || continue
		others=$(ids <<<"$theirs")
		if [[ -n "$(awk '$9 != ""' <<<"$theirs")" ]]; then
			if [[ -n "$slots" && -z "$(comm -12 <(echo "$known") <(echo "$others"))" ]]; then
				echo "$address is a member of another cluster: none of its members is one of this" >&2
				return 1
			fi
			if [[ -n "$first" && -z "$(comm -12 <(echo "$first") <(echo "$others"))" ]]; then
				echo "there are two clusters of the name $service, and this new member can't tell which one is its own" >&2
				return 1
			fi
			if [[ -z "$first" ]]; then choice=; fi
			first=$others
		fi
		if [[ -z "$choice" && -z "$(comm -12 <(echo "$known") <(awk '$3 ~ /myself/ {print $1}' <<<"$theirs"))" ]]; then
			if [[ -z "$first" || -n "$(awk '$9 != ""' <<<"$theirs")" ]]; then choice=$address; fi
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

# It serves meanwhile. Whoever it has met tells it of the others.
deadline=$((SECONDS + patience))
while kill -0 "$pid" 2>/dev/null && [[ -z "$told" ]]; do
	if known=$(nodes "$POD_IP" | ids | wc -l) && list=$(addresses) && ((known > $(wc -w <<<"$list"))); then break; fi
	if ((SECONDS > deadline)); then
		# A member that knows others is one, even if some can't be found. One that knows none would serve nothing.
		((${known:-0} > 1)) || give_up "found no other member of the cluster in $patience s"
		echo "Knows ${known:-0} members, and finds no more"
		break
	fi
	if address=$(one_to_meet) && [[ -n "$address" ]]; then
		echo "Meeting $address"
		redis "$POD_IP" cluster meet "$address" 6379 || true
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
