#!/bin/sh
# Takes a member out of the cluster while its server runs, or in again: as DRAIN_ACTION says, leave or rejoin. It runs before the operator scales the
# StatefulSet down, without the member's volume. Each action looks first whether it was done before.
# shellcheck shell=dash
set -eu
# shellcheck source-path=SCRIPTDIR source=job.sh
. "$(dirname "$0")/job.sh"

own_client=$(client_url "$DRAIN_POD_NAME")
said=''

# finish ends the work with the words that the policy's status shows.
finish() { # STATUS WORDS
	last_words "$2"
	exit "$1"
}

# look sets own to this member, as a majority knows it: nothing if it is none. It fails if no majority answers. Pods of the same names may be those of
# another cluster, so a server of this member that answers must be of the same.
look() {
	local mine
	if ! ask_majority; then
		said="none of these answers with a majority: $peers. Look at their Pods"
		return 1
	fi
	theirs=$(echo "$list" | cluster_of)
	mine=$(members "$own_client" --consistency s 2>/dev/null | cluster_of) || true
	[ -z "$mine" ] || [ "$mine" = "$theirs" ] || finish 1 "$via is a member of the cluster $theirs, and $DRAIN_POD_NAME is one of the cluster $mine"
	own=$(echo "$list" | with_url "$own_url")
}

# note prints what is new of what was said last.
note() {
	if [ "$said" != "$noted" ]; then echo "$DRAIN_POD_NAME: $said"; fi
	noted=$said
}

leave() {
	local give_up own='' theirs noted='' found=0 count
	[ -n "$peers" ] || finish 1 "no member would remain beside $DRAIN_POD_NAME"
	give_up=$(($(now) + patience))
	while :; do
		if look; then
			[ -n "$own" ] || break
			# A server that doesn't run doesn't lead, and the others can remove it as well.
			if hand_over "$own_client" || ! runs "$DRAIN_POD_NAME"; then
				found=1
				echo "Removing $DRAIN_POD_NAME, the member ${own%% *}"
				# "unhealthy cluster" is what etcd says until all that serve have been connected for five seconds.
				said="etcd said last: $(ctl "$via" member remove "${own%% *}" 2>&1 | tail -n 1 | cut -c 1-200)"
			else
				said="it leads, and none of those that remain takes over"
			fi
		fi
		note
		[ "$(now)" -le "$give_up" ] || finish 1 "$DRAIN_POD_NAME has not left after $patience s: $said"
		sleep 0.5
	done
	count=$(echo "$list" | all_members | wc -l)
	if [ "$found" = 0 ]; then finish 0 "$DRAIN_POD_NAME is not a member, $count members remain"; fi
	finish 0 "removed $DRAIN_POD_NAME, $count members remain"
}

# serves reports whether the server of this member itself answers with a majority, which has it as a voter.
serves() {
	local seen
	seen=$(members "$own_client" 2>/dev/null) && [ "$(echo "$seen" | voters | with_url "$own_url")" = "$own" ]
}

# rejoin undoes leave. etcd never takes a member back that was removed: its ID is used up, and what it has promised with its data must not be denied. So
# this adds a new member, as a learner, which costs the others no vote. start.sh, which waits for that, sets the data aside, joins, and gets the vote.
rejoin() {
	local give_up own='' theirs noted=''
	# The last one can't have left. It says so itself.
	peers=${peers:-$DRAIN_POD_NAME.etcd}
	give_up=$(($(now) + patience))
	while :; do
		if look; then
			case $own in
			'')
				# One at a time: etcd refuses a second learner.
				said="another member is joining"
				if ! echo "$list" | grep -q ' learner$'; then
					said=$(ctl "$via" member add "$DRAIN_POD_NAME" --learner --peer-urls "$own_url" 2>&1 | sed -n '/^Member\|^Error/p' | cut -c 1-200)
				fi
				;;
			*' voter')
				if serves; then break; fi
				said="it is a member, and its server doesn't answer"
				;;
			*' - '*) said="it is added, and its Pod has not started its server" ;;
			*) said="it has not caught up" ;;
			esac
		fi
		note
		[ "$(now)" -le "$give_up" ] || finish 1 "$DRAIN_POD_NAME doesn't serve as a member after $patience s: $said"
		sleep 0.5
	done
	finish 0 "$DRAIN_POD_NAME is the member ${own%% *}, and serves"
}

case $DRAIN_ACTION in
leave | rejoin) run "$DRAIN_ACTION" "$@" ;;
*) finish 1 "there is no action $DRAIN_ACTION" ;;
esac
