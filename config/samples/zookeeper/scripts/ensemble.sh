#!/usr/bin/env bash
# What the other scripts share: how to ask the members, and how to change who is one.
# shellcheck disable=SC2034 # They use the variables.

home=/var/lib/zookeeper
java=/usr/lib/jvm/default-java/bin/java
classpath=/etc/zk:/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-log4j12.jar:/usr/share/java/log4j-1.2.jar

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
	} | timeout 60 "$java" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx64m -Dzookeeper.root.logger=WARN,CONSOLE \
		-Dsun.net.inetaddr.negative.ttl=1 -cp "$classpath" org.apache.zookeeper.ZooKeeperMain -server "${hosts#,}" -timeout 10000 2>&1
}
