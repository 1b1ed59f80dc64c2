#!/usr/bin/env bash
# Takes a member out of the ensemble while its server runs, or in again: as DRAIN_ACTION says, leave or rejoin. It runs before the operator scales the
# StatefulSet down, without the member's volume. Each action looks first whether it was done before.
set -Eeuo pipefail
# shellcheck source-path=SCRIPTDIR source=job.sh
. "$(dirname "$0")/job.sh"

leave() {
	remove_member
	finish 0 "removed server.$id, ${#members[@]} members remain, and the server of $DRAIN_POD_NAME still runs"
}

# serves reports whether the member itself says that it leads or follows as one of them.
serves() { # HOST
	local host=$1 mode
	mode=$(ask "$host" srvr | sed -n 's/^Mode: //p')
	[[ "$mode" == leader || "$mode" == follower ]] && members_by "$host" | grep -q "^server\.$id="
}

# peer_line prints a line of the list of members, as one of those that remain knows it.
peer_line() {
	local peer list
	for peer in "${peers[@]}"; do
		list=$(members_by "$peer" | sed "/^server\.$id=/d" || true)
		if [[ -n "$list" ]]; then
			head -n 1 <<<"$list"
			return
		fi
	done
	return 1
}

# rejoin undoes leave. A server that has left still follows, without a vote. A pod that was replaced meanwhile joins by itself (start.sh), and is
# only waited for.
rejoin() {
	local give_up commands line said reason='' host=$DRAIN_POD_NAME.$DRAIN_SERVICE
	give_up=$((SECONDS + patience))
	until serves "$host"; do
		if ((SECONDS > give_up)); then
			finish 1 "server.$id doesn't serve as a member after $patience s: ${reason:0:300}"
		fi
		reason="its server doesn't answer"
		# A member without a server would cost the others a part of their majority.
		if [[ "$(ask "$host" ruok)" == imok ]]; then
			reason="the members don't answer"
			if line=$(peer_line); then
				# Its address is that of the others, but for the name of the pod.
				line="server.$id=$DRAIN_POD_NAME.${line#*.*.}"
				commands=$'sync /zookeeper/config\nconfig'
				if ! is_listed; then
					echo "Adding $line"
					commands="reconfig -add $line"$'\n'$commands
				fi
				said=$(client "${peers[@]}" <<<"$commands" || true)
				said=$(sed -n '/KeeperErr\|Exception/p' <<<"$said" | tail -n 1)
				reason=${said:-"it has not caught up"}
				echo "$reason"
			fi
		fi
		sleep 0.5
	done
	finish 0 "server.$id is a member again, and serves"
}

case $DRAIN_ACTION in
leave | rejoin) run "$DRAIN_ACTION" ;;
*) finish 1 "there is no action $DRAIN_ACTION" ;;
esac
