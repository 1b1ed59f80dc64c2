#!/usr/bin/env bash
# What the other scripts share: how the server is started, how the members are asked, and how they find each other.
# shellcheck disable=SC2034 # They use the variables.

# An image that was unpacked from Debian's packages has no alternatives, and so no awk by that name.
command -v awk >/dev/null || awk() { mawk "$@"; }

service=redis-primaries
message=/dev/termination-log
# A loop that makes no progress for this long ends, and says what it waited for.
patience=${PATIENCE_SECONDS:-300}
server=(redis-server /etc/redis-cluster/redis.conf --cluster-announce-ip "$POD_IP" --cluster-announce-hostname "$(hostname --fqdn)")

# last_words leaves what the kubelet shows of a container that has ended; outside a Pod there is no such file.
last_words() {
	echo "$1"
	if [[ -w $message ]]; then echo "$1" >$message; fi
}

# redis HOST COMMAND… asks a server, and gives up on one that doesn't answer within three seconds.
redis() {
	local host=$1
	shift
	timeout --foreground 3 redis-cli -h "$host" "$@" | tr -d '\r'
}

# nodes HOST prints the members as that one knows them: id, address, flags and slots, one a line.
nodes() {
	local list
	list=$(redis "$1" cluster nodes) && [[ "$list" == *myself* ]] && printf '%s\n' "$list"
}

# ids prints the ids in a table of members, itself included, but for those that it has only heard of.
ids() {
	awk '$3 !~ /handshake/ && length($1) == 40 {print $1}' | sort
}

# own_slots counts the slots of the table's own member. One that is on its way, which looks like [93-<-id], is among the others.
own_slots() {
	awk '$3 ~ /myself/ {
		for (i = 9; i <= NF; i++) if ($i !~ /^\[/) n += split($i, range, "-") > 1 ? range[2] - range[1] + 1 : 1
	} END {print n + 0}'
}

# addresses prints where the other members' Pods are, be they ready or not. It fails if the lookup does.
addresses() {
	local list
	list=$(getent ahostsv4 "$service") || return 1
	awk -v own="$POD_IP" '$1 != own && !seen[$1]++ {print $1}' <<<"$list"
}

# find_again writes the present addresses of these Pods into nodes.conf, before the server starts: those that answer under an id that is in
# nodes.conf. Redis then connects to them and checks their ids itself. CLUSTER MEET would check nothing: the server that has the
# address by then becomes a member, and if it is one of another cluster, the two clusters merge.
find_again() { # HOST…
	local host found id address
	found=$(for host; do where "$host" & done; wait)
	cp /data/nodes.conf /data/nodes.conf.new
	while read -r id address; do
		sed -i "s/^\($id\) [^ ,]*/\1 $address:6379@16379/" /data/nodes.conf.new
	done <<<"$found"
	sync /data/nodes.conf.new
	mv /data/nodes.conf.new /data/nodes.conf
}

# where prints a member's id and address, if it answers.
where() { # HOST
	local address id
	address=$(getent ahostsv4 "$1" | awk 'NR == 1 {print $1}') || return 0
	id=$(nodes "$address" | awk '$3 ~ /myself/ {print $1}') || return 0
	[[ -z "$id" ]] || echo "$id $address"
}

# The marker on a volume names the Pod that it belongs to. A drain that finds a volume without it, or with another name, has not found an
# empty volume but the wrong one.
marker=/data/.drain-owner

# own_volume writes the marker where there is none. It refuses a volume that has another Pod's data.
own_volume() {
	local owner=
	if [[ -e $marker ]]; then owner=$(<$marker); fi
	if [[ "$owner" == "$HOSTNAME" ]]; then return; fi
	if [[ -n "$owner" && -e /data/nodes.conf ]]; then
		echo "this volume has the data of $owner" >&2
		return 1
	fi
	echo "$HOSTNAME" >$marker.new
	sync $marker.new
	mv $marker.new $marker
	sync /data
}
