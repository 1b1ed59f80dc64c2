#!/bin/sh
# Starts a member: again with what its volume knows, or as one that joins the cluster, or as the first one, if found.sh says so.
# shellcheck shell=dash
set -eu
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "$0")/cluster.sh"

# The members that serve with a majority.
service=http://etcd-client:2379
me=$(peer_url "$HOSTNAME")

# said prints what etcdctl has to say to people, without the log of its retries.
said() { sed -n '/^Member\|^Error/p'; }

# set_aside keeps data that the cluster has no use for, until this member has joined it.
set_aside() {
	echo "Setting the data on the volume aside: $1"
	mv "$data" "$home/aside-$(now)"
}

# stays_out reports whether the server of this very Pod was a member. If it isn't any more, it has left while its Pod runs: the policy is about to stop the
# Pod, or lets it join again (member.sh). It must not undo that by itself. Without POD_UID, members don't leave in this way.
stays_out() { [ -n "${POD_UID-}" ] && [ "$(cat "$home/member-pod" 2>/dev/null)" = "$POD_UID" ]; }

own_volume || exit 1
rm -f "$home/waiting"
flags='' useless=''
if ids=$(identity); then
	# A drain may have removed the member, and then this Pod is back. Data that the cluster is done with must not vote, and can't: etcd refuses.
	if list=$(members "$service") && [ "$(echo "$list" | cluster_of)" = "${ids#* }" ] && [ -z "$(echo "$list" | with_id "${ids% *}")" ]; then
		useless="the cluster has removed the member ${ids% *}"
	fi
elif [ -e "$data" ]; then
	useless="it has no write-ahead log, so its server has never served"
fi

if [ -n "$useless" ] || [ ! -e "$data" ]; then
	trap 'exit 143' TERM
	touch "$home/waiting" "$home/joining"
	echo "Waiting for the cluster, to join it, or for found.sh${useless:+: $useless}"
	deadline=$(($(now) + patience))
	until [ -e "$home/founded" ]; do
		if list=$(members "$service"); then
			own=$(echo "$list" | with_url "$me")
			case $own in
			'')
				# As a learner: it has no vote until it has the data, so the others need no majority with it. One at a time: etcd refuses a second one,
				# but notes each request that it refuses in its log.
				stays_out || echo "$list" | grep -q ' learner$' || ctl "$service" member add "$HOSTNAME" --learner --peer-urls "$me" 2>&1 | said
				;;
			*' - '*)
				flags="--initial-cluster-state existing --initial-cluster $(echo "$list" | all_members | awk -v me="$me" '
					{split($3, part, "[/.]+"); printf "%s%s=%s", n++ ? "," : "", part[2], $3}')"
				break
				;;
			*)
				# Its volume was lost, and is empty now: the vote that was given with the lost data must not be given again.
				echo "Removing the member ${own%% *}, which is this one with data that it doesn't have any more"
				ctl "$service" member remove "${own%% *}" 2>&1 | said
				;;
			esac
		fi
		if [ "$(now)" -gt "$deadline" ]; then
			if stays_out; then
				last_words "the cluster has removed this member while its Pod runs, and has not added it again for $patience s. It is for the policy to let it join again. If there is none, delete the Pod"
				exit 1
			fi
			last_words "there was no cluster to join for $patience s. If there is none yet, found it: kubectl exec etcd-0 -- /etc/etcd/found.sh"
			exit 1
		fi
		sleep 0.5 &
		wait $!
	done
	trap - TERM
	# Only now: a drain that comes first reads on the volume which member it has to ask for.
	if [ -e "$data" ]; then set_aside "$useless"; fi
	if [ -z "$flags" ]; then
		# The token makes the IDs of this cluster its own. Without it, a cluster of the same names that was there before had the same.
		flags="--initial-cluster-state new --initial-cluster $HOSTNAME=$me --initial-cluster-token $(cat /proc/sys/kernel/random/uuid)"
	fi
fi
rm -f "$home/waiting" "$home/founded"

# join makes a voter of this member as soon as it has the data, and notes the Pod that it is one in.
join() {
	local deadline list='' own
	deadline=$(($(now) + patience))
	while [ -e "$home/joining" ] || [ -n "${POD_UID-}" ]; do
		if own=$(identity) && list=$(members "$service"); then
			own=$(echo "$list" | with_id "${own% *}")
			case $own in
			*' voter')
				if [ -n "${POD_UID-}" ]; then echo "$POD_UID" >"$home/member-pod"; fi
				if [ -e "$home/joining" ]; then echo "Joined the cluster: $own"; fi
				rm -rf "$home/joining" "$home"/aside-*
				return
				;;
			*' learner') ctl "$service" member promote "${own%% *}" 2>&1 | said ;;
			esac
		fi
		if [ -e "$home/joining" ] && [ "$(now)" -gt "$deadline" ]; then
			last_words "the cluster didn't make a voter of this member for $patience s"
			kill $$
			return
		fi
		sleep 0.5
	done
}
join &

# shellcheck disable=SC2086 # They are several words, or none.
serve $flags
