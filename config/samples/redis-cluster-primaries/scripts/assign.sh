#!/usr/bin/env bash
# Gives the slots of a new cluster to its first members, in equal parts: assign.sh 6. Does nothing if they have been given out.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=server.sh
. "$(dirname "$0")/server.sh"

members=$1
deadline=$((SECONDS + patience))

# until_true COMMAND… waits for a command to succeed.
until_true() {
	until "$@"; do
		if ((SECONDS > deadline)); then
			echo "waited $patience s for: $*" >&2
			exit 1
		fi
		sleep 0.2
	done
}
knows_all() {
	(($(nodes "$POD_IP" | ids | wc -l) >= members))
}
serves_all() { # HOST
	redis "$1" cluster info | tr -d '\n' | grep -q 'cluster_state:ok.*cluster_slots_ok:16384'
}

until_true knows_all
if redis "$POD_IP" cluster info | grep -q '^cluster_slots_assigned:0$'; then
	for ((i = 0; i < members; i++)); do
		redis "$service-$i.$service" cluster addslotsrange $((16384 * i / members)) $((16384 * (i + 1) / members - 1))
	done
fi
for ((i = 0; i < members; i++)); do
	until_true serves_all "$service-$i.$service"
done
redis-cli --cluster check "$POD_IP:6379"
