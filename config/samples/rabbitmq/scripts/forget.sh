#!/usr/bin/env bash
# Removes a member whose volume was lost from the cluster: forget.sh rabbitmq-2. This is for a person to say, because the durable classic queues that
# only that member had are deleted. It shows them, and does it with --yes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$(dirname "$0")/cluster.sh"

node=$(node_of "$1") peers=("$HOSTNAME")
look || {
	echo "$HOSTNAME doesn't answer" >&2
	exit 1
}
for entry in "${queues[@]}"; do
	IFS=$'\t' read -r kind nodes _ _ text <<<"$entry"
	if [[ $kind != quorum && $nodes == "$node" ]]; then echo "lost with $node: $text"; fi
done
if [[ "${2-}" != --yes ]]; then
	echo "To remove $node: $0 $1 --yes"
	exit 1
fi
ctl "$via" rabbitmq-queues shrink "$node"
ctl "$via" rabbitmqctl forget_cluster_node "$node"
