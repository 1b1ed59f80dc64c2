#!/usr/bin/env bash
# Founds the cluster, with this member as the first. This is for a person to say, once in the life of a StatefulSet: what a member can find out by
# itself, that it sees no others, is also what it sees when DNS fails or the others are down, and then it would found a second one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "$0")/cluster.sh"

refuse() {
	echo "This founds no cluster: $1" >&2
	exit 1
}

if [[ -e $data || -e $home/founded ]]; then
	echo "$HOSTNAME has a cluster"
	exit
fi
[[ -e $home/waiting ]] || refuse "$HOSTNAME does not wait for one"
list=$(getent ahostsv4 "$service") || refuse "the members can't be looked up"
own=$(hostname --ip-address)
while read -r address _; do
	# A member that waits has no server.
	if [[ $address != "$own" ]] && listens "$address"; then
		refuse "the member at $address has one, and $HOSTNAME will join it"
	fi
done <<<"$list"
touch $home/founded
echo "$HOSTNAME founds a cluster, and the others join it"
