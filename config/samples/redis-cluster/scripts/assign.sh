#!/usr/bin/env bash
# Gives the slots of a new cluster to its first members, in equal parts: assign.sh 6. Does nothing if they have been given out.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=server.sh
. "$(dirname "$0")/server.sh"

members=$1
until (($(known) >= members)); do sleep 0.2; done
if redis-cli cluster info | grep -q '^cluster_slots_assigned:0'; then
	for ((i = 0; i < members; i++)); do
		redis-cli -h "redis-$i.redis" cluster addslotsrange $((16384 * i / members)) $((16384 * (i + 1) / members - 1))
	done
fi
for ((i = 0; i < members; i++)); do
	until redis-cli -h "redis-$i.redis" cluster info | tr -d '\r\n' | grep -q 'cluster_state:ok.*cluster_slots_ok:16384'; do sleep 0.2; done
done
redis-cli --cluster check "$POD_IP:6379"
