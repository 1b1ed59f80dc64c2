#!/usr/bin/env bash
# What the two Jobs of a member share: how it leaves while its server runs (member.sh), and the drain of its claim (drain.sh).
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "$0")/cluster.sh"

node=$(node_of "$DRAIN_POD_NAME")
IFS=, read -ra peers <<<"${DRAIN_PEERS-}"
members=() running=() queues=() cluster='' via='' reason='' moved=0
# What a person does about a queue that would be lost.
advice=''

# finish ends the work with the words that the policy's status shows, and kubectl describe.
finish() { # STATUS WORDS
	trap - ERR
	last_words "$2"
	exit "$1"
}

# stuck prints the queues that would be lost with this member: classic ones whose only messages it has, and streams, which only RabbitMQ's
# own tools can move. To forget the member would delete them without a word.
stuck() {
	local entry kind nodes text words=''
	for entry in "${queues[@]}"; do
		IFS=$'\t' read -r kind nodes _ _ text <<<"$entry"
		case $kind in
		quorum) continue ;;
		classic) [[ $nodes == "$node" ]] || continue ;;
		*) [[ ",$nodes," == *",$node,"* ]] || continue ;;
		esac
		words+="${words:+, }$text ($kind)"
	done
	echo "$words"
}

# held prints how many queues still need this member: quorum queues with a replica here, and classic ones that it leads.
held() {
	local entry kind nodes count=0
	for entry in "${queues[@]}"; do
		IFS=$'\t' read -r kind nodes _ <<<"$entry"
		if [[ $kind == quorum && ",$nodes," == *",$node,"* || $kind == classic && ",$nodes" == ",$node"* ]]; then count=$((count + 1)); fi
	done
	echo $count
}

# move_replicas takes the replicas of quorum queues from this member, each only when enough of those that remain have one. It fails until there is none.
move_replicas() {
	local entry kind nodes vhost name others peer target count=0 wanted=0
	local -A lists=()
	for entry in "${queues[@]}"; do
		IFS=$'\t' read -r kind nodes vhost name _ <<<"$entry"
		[[ $kind == quorum && ",$nodes," == *",$node,"* ]] || continue
		count=$((count + 1)) others=0 target=''
		for peer in "${peers[@]}"; do
			peer=$(node_of "${peer%%.*}")
			if [[ ",$nodes," == *",$peer,"* ]]; then
				others=$((others + 1))
			elif [[ -z $target ]] || ((RANDOM % 2)); then
				target=$peer
			fi
		done
		if ((others < replicas)) && [[ -n $target ]]; then
			lists[$target]+=$vhost$'\t'$name$'\n'
			wanted=$((wanted + 1))
		fi
	done
	((count > 0)) || return 0
	if ((wanted > 0)); then
		echo "Giving $wanted of $count quorum queues another replica"
		for target in "${!lists[@]}"; do grow "$target" "${lists[$target]%$'\n'}"; done
		reason="$wanted quorum queues have too few replicas on the members that remain"
	else
		echo "Taking the replicas of $count quorum queues from $node"
		# It exits with 0 also if it couldn't. What is left shows.
		ctl "$via" rabbitmq-queues shrink "$node" --errors-only || true
		reason="$count quorum queues have a replica on $node"
		if ((moved < count)); then moved=$count; fi
	fi
	return 1
}

# rest_down prints those of the others that are down. They would not hear of it, and the queues need them.
rest_down() {
	local other words=''
	for other in "${members[@]}"; do
		if [[ $other != "$node" ]] && ! has "$other" "${running[@]}"; then words+="${words:+, }$other"; fi
	done
	echo "$words"
}

# remove_member takes this member out of the cluster, when no queue needs it any more. The function that it is given makes sure of its server first.
remove_member() { # FUNCTION
	local give_up words left before=''
	((${#peers[@]} > 0)) || finish 1 "no member remains: $DRAIN_STATEFULSET is scaled to 0. The data of the last member is the only copy, and is kept. Scale up to 1 or more"
	give_up=$((SECONDS + patience))
	while :; do
		if ! look; then
			reason="none of the members that remain answers"
		else
			"$1"
			words=$(rest_down)
			if [[ -n $words ]]; then
				reason="these members are down: $words"
			else
				words=$(stuck)
				[[ -z $words ]] || finish 1 "$node has the only copy of ${words:0:600}. $advice"
				left=$(held)
				# Where there is much, progress counts, and not time.
				if [[ $left != "$before" ]]; then give_up=$((SECONDS + patience)) before=$left; fi
				if move_replicas; then
					is_member || return 0
					reason="it is a member"
					if step_down; then said=$(ctl "$via" rabbitmqctl forget_cluster_node "$node") || reason="$via said: ${said:0:300}"; fi
				fi
			fi
		fi
		if ((SECONDS > give_up)); then finish 1 "the cluster still has $node after $patience s: $reason"; fi
		sleep 0.5
	done
}

# run does the work in a process group of its own, so that this shell, the first of the container, hears a signal at once and can end it all.
run() { # FUNCTION
	local status=0
	set -m
	(
		trap '((BASH_SUBSHELL > 1)) || finish 1 "line $LINENO of ${BASH_SOURCE[0]##*/} failed: $BASH_COMMAND"' ERR
		"$1"
	) &
	work=$!
	set +m
	trap stop TERM INT
	wait "$work" || status=$?
	if ((status != 0)); then
		[[ ! -w $message || -s $message ]] || last_words "${0##*/} ended with $status"
		exit "$status"
	fi
	# The last act: only work that has ended by itself gets here.
	if [[ -n "${DRAIN_RECEIPT-}" ]]; then printf '%s\n' "$DRAIN_RECEIPT" >>$message; fi
}
stop() {
	trap '' TERM INT
	kill -KILL -- "-$work" 2>/dev/null || true
	last_words "told to stop before it was done"
	exit 143
}
