#!/bin/sh
# Founds the cluster, with this member as the first. This is for a person to say, once in the life of a StatefulSet: what a member can find out by
# itself, that it sees no others, is also what it sees when DNS fails or the others are down, and then it would found a second one.
# shellcheck shell=dash
set -eu
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "$0")/cluster.sh"

refuse() {
	echo "This founds no cluster: $1" >&2
	exit 1
}

# addresses prints where the Pods of all members are, be they ready or not. It fails if the lookup does. busybox's nslookup wants the whole name.
addresses() {
	local domain list
	domain=$(awk '$1 == "search" {print $2; exit}' /etc/resolv.conf)
	list=$(nslookup -type=A "etcd.$domain") || return 1
	echo "$list" | awk '/^Name:/ {name = 1} name && /^Address/ {print $NF}'
}

if identity >/dev/null || [ -e "$home/founded" ]; then
	echo "$HOSTNAME has a cluster"
	exit
fi
[ -e "$home/waiting" ] || refuse "$HOSTNAME does not wait for one"
list=$(addresses) || refuse "the members can't be looked up"
[ -n "$list" ] || refuse "the members can't be looked up"
for address in $list; do
	if ctl "http://$address:2379" endpoint status >/dev/null 2>&1; then
		refuse "the member at $address has one, and $HOSTNAME will join it"
	fi
done
touch "$home/founded"
echo "$HOSTNAME founds a cluster, and the others join it"
