#!/usr/bin/env bash
# Founds the ensemble, with this member as the first. This is for a person to say, once in the life of a StatefulSet: what a member can find out by
# itself, that it sees no others, is also what it sees when DNS fails or the others are down, and then it would found a second one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=ensemble.sh
. "$(dirname "$0")/ensemble.sh"

refuse() {
	echo "This founds no ensemble: $1" >&2
	exit 1
}

if [[ -e $home/members/zoo.cfg || -e $home/members/founded ]]; then
	echo "$HOSTNAME has an ensemble"
	exit
fi
[[ ! -e $home/data/version-2 ]] || refuse "there is data on the volume of $HOSTNAME"
hosts=$(others) || refuse "the members can't be looked up"
for host in $hosts; do
	[[ -z "$(members_by "$host")" ]] || refuse "$host is a member of one, and $HOSTNAME will join it"
done
touch $home/members/founded
echo "$HOSTNAME founds an ensemble, and the others join it"
