#!/usr/bin/env bash
# What the two Jobs of a member share: the drain of its claim (leave.sh), and how it leaves while its server runs (member.sh).
# shellcheck source-path=SCRIPTDIR source=ensemble.sh
. "$(dirname "$0")/ensemble.sh"

id=$((DRAIN_ORDINAL + 1))
IFS=, read -ra peers <<<"$DRAIN_PEERS"
members=() version=

# finish ends the work with the words that the policy's status shows, and kubectl describe.
finish() { # STATUS WORDS
	trap - ERR
	last_words "$2"
	exit "$1"
}

# read_members takes the last list of members that ends with its version out of what a client has said.
read_members() {
	local line list=()
	members=() version=
	while read -r line; do
		case $line in
		server.*=*) list+=("$line") ;;
		version=*) members=("${list[@]}") version=${line#version=} list=() ;;
		esac
	done
}

# is_member reports whether the list has this member. An empty list tells nothing.
is_member() {
	((${#members[@]} == 0)) || [[ $'\n'$(printf '%s\n' "${members[@]}") == *$'\n'"server.$id="* ]]
}

# is_listed reports whether any of those that remain takes this one for a member. It is quick, and they may be wrong.
is_listed() {
	local peer
	for peer in "${peers[@]}"; do
		if members_by "$peer" | grep -q "^server\.$id="; then return; fi
	done
	((${#members[@]} > 0)) && is_member
}

# remove_member takes this member out of the ensemble. Those that remain must agree, so this is also the proof that there is a majority without it.
remove_member() {
	local give_up commands said
	((${#peers[@]} > 0)) || finish 1 "no member would remain beside server.$id"
	give_up=$((SECONDS + patience))
	while :; do
		# sync first: the one that answers may be behind the others.
		commands=$'sync /zookeeper/config\nconfig'
		if is_listed; then
			echo "Removing server.$id"
			commands="reconfig -remove $id"$'\n'$commands
		fi
		said=$(client "${peers[@]}" <<<"$commands" || true)
		read_members <<<"$said"
		is_member || break
		said=$(sed -n '/KeeperErr\|Exception/p' <<<"$said" | tail -n 1)
		if ((SECONDS > give_up)); then
			finish 1 "server.$id is still a member after $patience s: ${said:0:300}"
		fi
		echo "$said"
		sleep 0.5
	done
	echo "server.$id is not a member any more, as of version $version:"
	printf '%s\n' "${members[@]}"
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
