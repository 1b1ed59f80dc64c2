#!/bin/sh
# Removes a member that was scaled away from the cluster. The members that remain do that, if they have a majority. If not, this runs the member's
# own server until they have. Each step looks first whether it was done before.
# shellcheck shell=dash
set -eu
# shellcheck source-path=SCRIPTDIR source=job.sh
. "$(dirname "$0")/job.sh"

pid='' said=''

# finish ends the work with the words that the policy's status shows.
finish() { # STATUS WORDS
	last_words "$2"
	stop_server
	exit "$1"
}

# stop_server lets the server hand over and write what it has, and kills it if that takes too long.
stop_server() {
	[ -n "$pid" ] || return 0
	local deadline
	deadline=$(($(now) + 20))
	kill "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do
		if [ "$(now)" -gt "$deadline" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
		sleep 0.1
	done
	wait "$pid" || true
	pid=
}

# majority_lost says which members run, how many must, and how many replicas these are at least.
majority_lost() {
	local peer known='' url name up='' n need replicas
	for peer in $peers; do
		if known=$(members "http://$peer:2379" --consistency s 2>/dev/null); then break; fi
	done
	if [ -z "$known" ]; then
		echo "none of the members that remain answers ($peers). Look why their Pods don't run"
		return
	fi
	for url in $(echo "$known" | voters | cut -d ' ' -f 3 | sort); do
		name=${url#*//} name=${name%%.*}
		if runs "$name"; then up="$up $name"; fi
	done
	n=$(echo "$known" | voters | wc -l)
	need=$((n / 2 + 1))
	# The ordinals in order, from the lowest: with this many replicas, a majority is in range.
	replicas=$(($(echo "$known" | voters | cut -d ' ' -f 3 | sed 's|^.*//[^.]*-\([0-9]*\)\..*|\1|' | sort -n | sed -n "${need}p") + 1))
	echo "there is no majority: of $n members, these run:${up:- none}; and $need must. Nothing is lost, as the claims are kept until they are" \
		"drained. Bring members back: kubectl scale statefulset/$DRAIN_STATEFULSET --replicas=$replicas, then scale down one by one"
}

# goes_first prints the Pod of a higher ordinal that leaves, too, and whose member's server a drain runs. Each of them has a vote that this one needs.
goes_first() {
	local url name ordinal
	for url in $(echo "$list" | all_members | cut -d ' ' -f 3); do
		name=${url#*//} name=${name%%.*} ordinal=${name##*-}
		if [ "$ordinal" -gt "$DRAIN_ORDINAL" ] && runs "$name"; then
			echo "$name"
			return
		fi
	done
}

drain() {
	local ids member='' cluster='' theirs own found=0 lost=0 size='' give_up count first before=''

	[ -n "$peers" ] || finish 1 "no member remains: $DRAIN_STATEFULSET is scaled to 0. The last member's data is the only copy, and is kept. Scale up to 1 or more"

	# 1. The volume, and whose it is.
	[ -e "$marker" ] || finish 1 "there is no $marker on this volume: $DRAIN_POD_NAME has never started on it, or it is the wrong one. If it has never started, delete the claim"
	[ "$(cat "$marker")" = "$DRAIN_POD_NAME" ] || finish 1 "this is the volume of $(cat "$marker")"
	if ids=$(identity); then
		member=${ids% *} cluster=${ids#* }
	elif [ -e "$data/member/wal" ]; then
		finish 1 "the write-ahead log on this volume can't be read. If the data is damaged, ask the others to remove $DRAIN_POD_NAME (etcdctl member remove), and delete the claim"
	fi

	give_up=$(($(now) + patience))
	while :; do
		if [ -n "$pid" ] && ! kill -0 "$pid" 2>/dev/null; then
			# It ends by itself when it was removed. Anything else shows below.
			wait "$pid" || true
			pid=
			echo "etcd has ended"
		fi
		if ask_majority; then
			lost=0
			# 2. Is it the same cluster, and the same member? Pods of the same names may be another one.
			theirs=$(echo "$list" | cluster_of)
			[ -z "$cluster" ] || [ "$cluster" = "$theirs" ] || finish 1 "$via is a member of the cluster $theirs, and this volume has data of the cluster $cluster"
			own=$(echo "$list" | with_url "$own_url")
			if [ -z "$own" ] && [ -n "$member" ]; then own=$(echo "$list" | with_id "$member"); fi
			[ -n "$own" ] || break
			case $own in
			"$member "*) ;;
			*' - '*) ;; # It was added, and has never started.
			*)
				finish 1 "the cluster has $DRAIN_POD_NAME as the member ${own%% *}, and this volume has ${member:-no data}. It is the wrong volume, or its data was lost. If it was lost: kubectl exec etcd-0 -- etcdctl member remove ${own%% *}, and delete the claim"
				;;
			esac

			# 3. Remove it. A member that serves is removed only if the others have a majority without it; etcd checks that, too.
			count=$(echo "$list" | all_members | wc -l)
			if [ "$count" != "$size" ]; then
				size=$count
				give_up=$(($(now) + patience))
			fi
			first=
			if [ -n "$pid" ]; then first=$(goes_first); fi
			if [ -n "$first" ]; then
				said="$first goes first"
			elif [ -z "$pid" ] || hand_over http://127.0.0.1:2379; then
				found=1
				# "unhealthy cluster" is what etcd says until all that serve have been connected for five seconds.
				said="etcd said last: $(ctl "$via" member remove "${own%% *}" 2>&1 | tail -n 1 | cut -c 1-200)"
			else
				said="it leads, and none of those that remain takes over"
			fi
			if [ "$said" != "$before" ]; then echo "Removing $DRAIN_POD_NAME, the member ${own%% *} of $count: $said"; fi
			before=$said
		else
			lost=$((lost + 1)) said=
			# 4. No majority, not only for a moment as when a leader stops. This member's vote may be what is missing, so it serves again: on its own data and
			# under its own name, as its Pod did. The lock keeps the Pod from coming back meanwhile.
			if [ "$lost" -ge 2 ] && [ -z "$pid" ] && [ -n "$member" ]; then
				echo "There is no majority without $DRAIN_POD_NAME, so it serves again"
				# shellcheck disable=SC2119 # It needs no flags.
				serve &
				pid=$!
			fi
		fi
		if [ "$(now)" -gt "$give_up" ]; then
			if [ -n "$said" ]; then finish 1 "$DRAIN_POD_NAME is still a member after $patience s: $said"; fi
			finish 1 "$(majority_lost)"
		fi
		sleep 0.5
	done

	# 5. It has left. Without its server, the others must have a majority still.
	stop_server
	give_up=$(($(now) + patience))
	until ask_majority; do
		[ "$(now)" -le "$give_up" ] || finish 1 "$DRAIN_POD_NAME is removed, and $(majority_lost)"
		sleep 0.5
	done
	count=$(echo "$list" | all_members | wc -l)
	if [ "$found" = 0 ]; then
		finish 0 "${member:-$DRAIN_POD_NAME} is not a member, $count members remain"
	fi
	finish 0 "removed the member ${member:-$DRAIN_POD_NAME}, $count members remain"
}

run drain "$@"
