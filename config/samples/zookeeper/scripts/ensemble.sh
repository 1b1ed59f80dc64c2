#!/usr/bin/env bash
# What the other scripts share: how to ask the members, how to change who is one, and whose a volume is.
# shellcheck disable=SC2034 # They use the variables.

# An image that was unpacked from Debian's packages has no alternatives, and so no awk by that name.
command -v awk >/dev/null || awk() { mawk "$@"; }

home=/var/lib/zookeeper
message=/dev/termination-log
# What takes longer than this ends, and says what it waited for.
patience=${PATIENCE_SECONDS:-300}
java=/usr/lib/jvm/default-java/bin/java
classpath=/etc/zk:/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-log4j12.jar:/usr/share/java/log4j-1.2.jar

# last_words leaves what the kubelet shows of a container that has ended; outside a Pod there is no such file.
last_words() {
	echo "$1"
	if [[ -w $message ]]; then echo "$1" >$message; fi
}

# ask HOST WORD sends one of ZooKeeper's four-letter words.
ask() {
	# shellcheck disable=SC2016 # The inner shell expands it.
	timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/2181" && printf "%s" "$1" >&3 && cat <&3' "$1" "$2" 2>/dev/null
}

# members_by HOST prints the members as that one knows them: nothing, unless it is part of a working majority.
members_by() {
	ask "$1" conf | sed -n '/^server\.[0-9]*=/p'
}

# client HOST… runs the commands on standard input as the superuser, in one session with one of the hosts.
# The password goes through a pipe, so that no list of processes shows it.
client() {
	local hosts
	hosts=$(printf ',%s:2181' "$@")
	{
		printf 'addauth digest super:%s\n' "$ZK_SUPERUSER_PASSWORD"
		cat
	} | timeout --foreground 60 "$java" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx64m -Dzookeeper.root.logger=WARN,CONSOLE \
		-Dsun.net.inetaddr.negative.ttl=1 -cp "$classpath" org.apache.zookeeper.ZooKeeperMain -server "${hosts#,}" -timeout 10000 2>&1
}

# others prints the hosts of the other members' Pods, be they ready or not. It fails if the lookup does.
others() {
	local list own
	own=$(hostname --ip-address) || return 1
	list=$(getent ahostsv4 zk-hs) || return 1
	awk -v own="$own" '$1 != own && !seen[$1]++ {print $1}' <<<"$list"
}

# The marker on a volume names the Pod that it belongs to. A drain that finds a volume without it, or with another name, has not found an
# empty volume but the wrong one.
marker=$home/.drain-owner

# own_volume writes the marker where there is none. It refuses a volume that has another Pod's data.
own_volume() {
	local owner=
	if [[ -e $marker ]]; then owner=$(<$marker); fi
	if [[ "$owner" == "$HOSTNAME" ]]; then return; fi
	if [[ -n "$owner" && -e $home/data/version-2 ]]; then
		last_words "this is not the volume of $HOSTNAME: it has the data of $owner"
		return 1
	fi
	echo "$HOSTNAME" >$marker.new
	sync $marker.new
	mv $marker.new $marker
	sync $home
}
