#!/usr/bin/env bash
# Starts a member: again with what its volume knows, or as one that joins the cluster, or as the first one, if found.sh says so.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "$0")/cluster.sh"

node=$(node_of "$HOSTNAME")
export RABBITMQ_NODENAME=$node RABBITMQ_MNESIA_BASE=$data RABBITMQ_CONFIG_FILE=/etc/rabbitmq/rabbitmq.conf RABBITMQ_LOGS=- RABBITMQ_LOG_BASE=$run \
	RABBITMQ_PID_FILE=$run/pid RABBITMQ_ENABLED_PLUGINS_FILE=/etc/rabbitmq/enabled_plugins
peers=() cluster='' via=''
for seed in $RABBITMQ_SEEDS; do
	if [[ $seed != "$HOSTNAME" ]]; then peers+=("$seed"); fi
done

# fail is for a person to see.
fail() {
	last_words "$1"
	exit 1
}

# join takes this member, which has no data, into the cluster, and then serves. RabbitMQ starts as a cluster of its own, so it doesn't listen for clients
# before it has joined. It is not started again for that: with the new member down, one of two members would be a minority, and stop.
join() {
	local server said give_up=$((SECONDS + patience))
	if is_member; then
		[[ -n $again ]] || fail "the cluster has $node as a member, and this volume has no data. It is the wrong volume, or the data was lost. If it was lost: kubectl exec rabbitmq-0 -- /etc/rabbitmq/forget.sh $HOSTNAME"
		# It had begun to join, and was killed.
		ctl "$via" rabbitmqctl forget_cluster_node "$node" || true
	fi
	echo "Joining $via"
	RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="${RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS-} -rabbit tcp_listeners []" rabbitmq-server &
	server=$!
	trap 'kill $server; wait $server; exit 143' TERM
	until said=$(ctl "$node" rabbitmqctl await_startup --timeout 60 && ctl "$node" rabbitmqctl stop_app); do
		if ((SECONDS > give_up)) || ! kill -0 $server 2>/dev/null; then fail "$node doesn't start: ${said:0:300}"; fi
		sleep 1
	done
	# Members that join at the same time can be in each other's way.
	until said=$(ctl "$node" rabbitmqctl join_cluster "$via"); do
		echo "$said"
		if ((SECONDS > give_up)); then fail "it can't join $via: ${said:0:300}"; fi
		sleep 1
	done
	# From now on, it starts with what its volume knows.
	mv $home/joining $home/new
	sync $home
	said=$(ctl "$node" rabbitmqctl eval 'application:set_env(rabbit, tcp_listeners, [5672]).' && ctl "$node" rabbitmqctl start_app) ||
		fail "$node doesn't start as a member: ${said:0:300}"
	settle &
	wait $server
	exit $?
}

# settle notes which cluster the volume belongs to. A member that has just joined also takes replicas of the queues that have too few.
settle() {
	local give_up=$((SECONDS + patience)) peers=("$HOSTNAME")
	until look; do
		if ((SECONDS > give_up)); then return; fi
		sleep 1
	done
	if [[ "$(cat $home/.cluster 2>/dev/null)" != "$cluster" ]]; then note $home/.cluster "$cluster"; fi
	while [[ -e $home/new ]]; do
		if replicate; then rm $home/new; fi
		if ((SECONDS > give_up)); then return; fi
		sleep 1
		look || true
	done
}

own_volume || exit 1
again=
rm -f $home/waiting $home/.drained
if [[ -e $home/joining ]]; then
	# No client has ever been here.
	rm -rf $data
	again=yes
elif [[ -e $data && -e $home/.cluster ]] && look && [[ "$cluster" == "$(<$home/.cluster)" ]] && ! is_member; then
	# It has left, and has nothing that the cluster needs: RabbitMQ would refuse to start with it. The last such data is kept, for a person to look at.
	echo "The cluster has removed $node: setting its data aside"
	rm -rf $home/aside-*
	mv $data "$home/aside-$(date +%s)"
fi
if [[ ! -e $data ]]; then
	trap 'exit 143' TERM
	touch $home/waiting
	echo "Waiting for the cluster, to join it, or for found.sh"
	give_up=$((SECONDS + patience))
	until [[ -e $home/founded ]]; do
		if look; then
			touch $home/joining
			sync $home
			rm $home/waiting
			join
		fi
		if ((SECONDS > give_up)); then
			fail "there was no cluster to join for $patience s. If there is none yet, found it: kubectl exec rabbitmq-0 -- /etc/rabbitmq/found.sh"
		fi
		sleep 0.5 &
		wait $!
	done
	trap - TERM
	rm -f $home/waiting $home/founded
fi
settle &
exec rabbitmq-server
