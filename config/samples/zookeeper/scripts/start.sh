#!/usr/bin/env bash
# Starts a member: again with what its volume knows, or as one that joins the ensemble.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=ensemble.sh
. "$(dirname "$0")/ensemble.sh"

name=$(hostname --fqdn) # zk-0.zk-hs.<namespace>.svc.<domain>
ordinal=${HOSTNAME##*-}
id=$((ordinal + 1))
me="server.$id=$name:2888:3888:participant;2181"

# others prints the hosts of the other members' Pods, be they ready or not.
others() {
	local address own
	own=$(hostname --ip-address)
	{ getent ahostsv4 zk-hs || true; } | while read -r address _; do
		[[ "$address" == "$own" ]] || echo "$address"
	done | sort -u
}

# known_members prints the members as the first of the others that answers knows them.
known_members() {
	local host list
	for host in $(others); do
		list=$(members_by "$host" | sed "/^server\.$id=/d" || true)
		if [[ -n "$list" ]]; then
			echo "$list"
			return
		fi
	done
}

mkdir -p $home/data $home/members
echo "$id" >$home/data/myid

# The file with the members that this server was started with last; ZooKeeper writes a new one for every change.
list=$(sed -n 's/^dynamicConfigFile=//p' $home/members/zoo.cfg 2>/dev/null || true)
if [[ -z "$list" || ! -e "$list" ]] || ! grep -q "^server\.$id=" "$list"; then
	list=$home/members/list
	if ((ordinal == 0)) && [[ -z "$(others)" ]]; then
		echo "There is nobody else: starting an ensemble"
		echo "$me" >$list
	else
		echo "Waiting for the ensemble, to join it"
		touch $home/joining
		until known=$(known_members) && [[ -n "$known" ]]; do sleep 0.5; done
		# Never more than one newcomer in the list: together they could be a majority of their own.
		printf '%s\n%s\n' "$known" "$me" >$list
	fi
fi
{
	cat /etc/zk/zoo.cfg
	echo "dynamicConfigFile=$list"
} >$home/members/zoo.cfg.new
mv $home/members/zoo.cfg.new $home/members/zoo.cfg

# Until the others have it among them, it follows without a vote.
join() {
	while [[ -e $home/joining ]]; do
		mapfile -t hosts < <(others)
		for host in "${hosts[@]}"; do
			if members_by "$host" | grep -q "^server\.$id="; then
				echo "Joined the ensemble: $me"
				rm -f $home/joining
				return
			fi
		done
		if [[ "$(ask 127.0.0.1 ruok)" == imok ]] && ((${#hosts[@]} > 0)); then
			echo "reconfig -add $me" | client "${hosts[@]}" | sed -n '/^Committed\|KeeperErr\|Exception/p' || true
		fi
		sleep 0.5
	done
}
join &

# The superuser's name and password as ZooKeeper wants them: super:base64(sha1("super:password")).
sum=$(printf 'super:%s' "$ZK_SUPERUSER_PASSWORD" | sha1sum)
# shellcheck disable=SC2001,SC2059 # The format is made of the bytes.
digest=$(printf "$(sed 's/../\\x&/g' <<<"${sum%% *}")" | base64)

read -ra flags <<<"${ZK_JVM_FLAGS-}"
exec "$java" -XX:+UseSerialGC "${flags[@]}" -Dzookeeper.root.logger=INFO,CONSOLE \
	-Dsun.net.inetaddr.ttl=5 -Dsun.net.inetaddr.negative.ttl=1 \
	"-Dzookeeper.DigestAuthenticationProvider.superDigest=super:$digest" \
	-cp "$classpath" org.apache.zookeeper.server.quorum.QuorumPeerMain $home/members/zoo.cfg
