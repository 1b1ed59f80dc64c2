#!/usr/bin/env bash
# Starts a member: again with what its volume knows, or as one that joins the ensemble, or as the first one, if found.sh says so.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=ensemble.sh
. "$(dirname "$0")/ensemble.sh"

name=$(hostname --fqdn) # zk-0.zk-hs.<namespace>.svc.<domain>
ordinal=${HOSTNAME##*-}
id=$((ordinal + 1))
me="server.$id=$name:2888:3888:participant;2181"

# known_members prints the members as the first of the others that answers knows them.
known_members() {
	local host list hosts
	hosts=$(others) || return 1
	for host in $hosts; do
		list=$(members_by "$host" | sed "/^server\.$id=/d" || true)
		if [[ -n "$list" ]]; then
			echo "$list"
			return
		fi
	done
	return 1
}

own_volume || exit 1
mkdir -p $home/data $home/members
echo "$id" >$home/data/myid

# The file with the members that this server was started with last; ZooKeeper writes a new one for every change.
list=$(sed -n 's/^dynamicConfigFile=//p' $home/members/zoo.cfg 2>/dev/null || true)
if [[ -z "$list" || ! -e "$list" ]] || ! grep -q "^server\.$id=" "$list"; then
	list=$home/members/list
	trap 'exit 143' TERM
	touch $home/waiting
	echo "Waiting for the ensemble, to join it, or for found.sh"
	deadline=$((SECONDS + patience))
	until [[ -e $home/members/founded ]]; do
		if known=$(known_members); then
			touch $home/joining
			break
		fi
		if ((SECONDS > deadline)); then
			last_words "there was no ensemble to join for $patience s. If there is none yet, found it: kubectl exec zk-0 -- /etc/zk/found.sh"
			exit 1
		fi
		sleep 0.5 &
		wait $!
	done
	trap - TERM
	# Never more than one newcomer in the list: together they could be a majority of their own.
	printf '%s\n' ${known:+"$known"} "$me" >$list
fi
{
	cat /etc/zk/zoo.cfg
	echo "dynamicConfigFile=$list"
} >$home/members/zoo.cfg.new
mv $home/members/zoo.cfg.new $home/members/zoo.cfg
rm -f $home/waiting $home/members/founded

# Until the others have it among them, it follows without a vote.
join() {
	local deadline=$((SECONDS + patience)) hosts host
	while [[ -e $home/joining ]]; do
		mapfile -t hosts < <(others || true)
		for host in "${hosts[@]}"; do
			if members_by "$host" | grep -q "^server\.$id="; then
				echo "Joined the ensemble: $me"
				rm -f $home/joining
				return
			fi
		done
		if ((SECONDS > deadline)); then
			last_words "the ensemble didn't take this member in for $patience s"
			kill $$
			return
		fi
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
