#!/usr/bin/env bash
# Takes a member out of the cluster while its server runs, or in again: as DRAIN_ACTION says, leave or rejoin. It runs before the operator scales the
# StatefulSet down, without the member's volume. Each action looks first whether it was done before.
set -Eeuo pipefail
# shellcheck source-path=SCRIPTDIR source=job.sh
. "$(dirname "$0")/job.sh"
advice="Empty and delete it, or move it to a quorum queue. Nothing has changed"

# step_down ends the work of this member's server: no clients, no queues, no part of the cluster. It fails if a client was quicker.
step_down() {
	local said
	if is_running; then
		echo "$node ends its connections, and steps down"
		said=$(ctl "$node" rabbitmq-upgrade drain && ctl "$node" rabbitmqctl stop_app) || {
			reason="$node said: ${said:0:300}"
			return 1
		}
	fi
	# A client may have declared a queue until then.
	look || return 1
	if (($(held) > 0)); then
		reason="clients have declared queues on $node meanwhile"
		ctl "$node" rabbitmqctl start_app || true
		return 1
	fi
}

leave() {
	remove_member true
	finish 0 "removed $node, ${#members[@]} members remain; moved $moved quorum queues"
}

# rejoin undoes leave. A server that has left has data that the cluster is done with. It starts again and joins, as start.sh says, and this waits for it.
rejoin() {
	local give_up=$((SECONDS + patience)) started=''
	while :; do
		if ! look; then
			reason="none of the other members answers"
		elif is_member && is_running; then
			reason="it doesn't end its maintenance"
			# It does nothing if there is no maintenance.
			if ctl "$node" rabbitmq-upgrade revive; then
				reason="quorum queues have too few replicas"
				if replicate; then finish 0 "$node is a member again, and serves"; fi
			fi
		elif [[ "$(ctl "$node" rabbitmqctl eval 'rabbit:is_running().')" != false ]]; then
			reason="its server doesn't answer"
		elif is_member; then
			reason=$(ctl "$node" rabbitmqctl start_app) || true
		elif [[ -z $started ]]; then
			# Once: afterwards, a server without RabbitMQ in it is one that joins.
			echo "$node starts again, to join the cluster"
			ctl "$node" rabbitmqctl stop || true
			started=yes
		fi
		if ((SECONDS > give_up)); then finish 1 "$node doesn't serve as a member after $patience s: ${reason:0:300}"; fi
		sleep 0.5
	done
}

case $DRAIN_ACTION in
leave | rejoin) run "$DRAIN_ACTION" ;;
*) finish 1 "there is no action $DRAIN_ACTION" ;;
esac
