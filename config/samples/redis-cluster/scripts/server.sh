#!/usr/bin/env bash
# What the other scripts share: how the server is started, and how it finds the others.
# shellcheck disable=SC2034 # They use the variables.

server=(redis-server /etc/redis-cluster/redis.conf --cluster-announce-ip "$POD_IP" --cluster-announce-hostname "$(hostname --fqdn)")

# addresses prints where the other members' Pods are, be they ready or not.
addresses() {
	{ getent ahostsv4 redis || true; } | while read -r address _; do
		[[ "$address" == "$POD_IP" ]] || echo "$address"
	done | sort -u
}

# meet introduces this member to all the others. To those that know it, it tells its new address.
meet() {
	local address
	for address in $(addresses); do
		redis-cli cluster meet "$address" 6379 >/dev/null || true
	done
}

# known prints how many members this one knows, itself included.
known() {
	redis-cli cluster info | tr -d '\r' | sed -n 's/^cluster_known_nodes://p'
}
