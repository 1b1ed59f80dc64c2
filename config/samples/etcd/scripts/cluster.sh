#!/bin/sh
# What the other scripts share: how the server is started, how the members are asked, and whose a volume is. busybox runs them.
# shellcheck shell=dash
# shellcheck disable=SC2034 # They use the variables.

home=/var/lib/etcd
data=$home/data
message=/dev/termination-log
# What takes longer than this ends, and says what it waited for.
patience=${PATIENCE_SECONDS:-300}
: "${HOSTNAME:=$(hostname)}"

# last_words leaves what the kubelet shows of a container that has ended; outside a Pod there is no such file.
last_words() {
	echo "$1"
	if [ -w "$message" ]; then echo "$1" >"$message"; fi
}

now() { date +%s; }

# peer_url and client_url are how members reach a Pod, and how clients do.
peer_url() { echo "http://$1.etcd:2380"; }
client_url() { echo "http://$1.etcd:2379"; }

# serve FLAG… becomes etcd under the name of this Pod. A volume with data needs no flags: it knows its cluster.
serve() {
	exec etcd --name "$HOSTNAME" --data-dir "$data" --listen-client-urls http://0.0.0.0:2379 --listen-peer-urls http://0.0.0.0:2380 \
		--listen-metrics-urls http://0.0.0.0:2381 --advertise-client-urls "$(client_url "$HOSTNAME")" \
		--initial-advertise-peer-urls "$(peer_url "$HOSTNAME")" "$@"
}

# ctl URL COMMAND… asks a server, and gives up after three seconds: one without a majority doesn't answer.
ctl() {
	local url=$1
	shift
	etcdctl --endpoints "$url" --dial-timeout 2s --command-timeout 3s "$@"
}

# members URL [FLAG…] prints the cluster's ID and its members: ID, name, peer URL, and voter or learner. The answer is that of a majority, unless the
# flags say otherwise.
members() {
	local url=$1
	shift
	ctl "$url" member list "$@" --write-out json --hex | tr '{' '\n' | awk '
		function field(key,  text) {
			if (!match($0, "\"" key "\":\\[?\"[^\"]*")) return "-"
			text = substr($0, RSTART, RLENGTH)
			sub(/.*"/, "", text)
			return text == "" ? "-" : text
		}
		/^"cluster_id"/ {print "cluster", field("cluster_id"); found++}
		/^"ID"/ {print field("ID"), field("name"), field("peerURLs"), /"isLearner":true/ ? "learner" : "voter"; found++}
		END {exit found < 2}'
}

# cluster_of, all_members and voters print parts of such a list.
cluster_of() { sed -n 's/^cluster //p'; }
all_members() { sed '/^cluster /d'; }
voters() { sed -n '/^cluster /d; / voter$/p'; }
# with_id and with_url print the member that has an ID or a peer URL. One that has never started has - for a name.
with_id() { awk -v id="$1" '$1 == id {print; exit}'; }
with_url() { awk -v url="$1" '$3 == url {print; exit}'; }

# varint reads the number at the beginning of a list of bytes.
varint() {
	number=0 taken=0
	while :; do
		number=$((number | ($1 & 127) << (7 * taken)))
		taken=$((taken + 1))
		[ "$1" -ge 128 ] || break
		shift
	done
}

# identity prints the IDs of the member and of the cluster that the volume has the data of, as its write-ahead log has them. It fails if there is
# no log. Each file of a log begins with a checksum and then these two: https://github.com/etcd-io/etcd/blob/v3.7.0/server/storage/wal/wal.go
identity() (
	file=$(find "$data/member/wal" -name '*.wal' 2>/dev/null | sort | head -n 1)
	[ -n "$file" ] || exit 1
	# shellcheck disable=SC2046 # Each byte is a word.
	set -- $(od -A n -v -t u1 -N 96 "$file") end
	[ $# -ge 64 ] || exit 1
	shift 24 # The first record, of 16 bytes with its length and padding, and the length of the second one.
	[ "$1 $2 $3" = "8 1 16" ] || exit 1
	shift 3
	varint "$@"
	shift "$taken"
	[ "$1 $3" = "26 8" ] || exit 1
	shift 3
	varint "$@"
	member=$number
	shift "$taken"
	[ "$1" = 16 ] || exit 1
	shift
	varint "$@"
	printf '%x %x\n' "$member" "$number"
)

# The marker on a volume names the Pod that it belongs to. A drain that finds a volume without it, or with another name, has not found an
# empty volume but the wrong one.
marker=$home/.drain-owner

# own_volume writes the marker where there is none. It refuses a volume that has another Pod's data.
own_volume() {
	local owner=
	if [ -e "$marker" ]; then owner=$(cat "$marker"); fi
	if [ "$owner" = "$HOSTNAME" ]; then return; fi
	if [ -e "$data/member" ]; then
		last_words "this is not the volume of $HOSTNAME: it has the data of ${owner:-an unknown Pod}"
		return 1
	fi
	echo "$HOSTNAME" >"$marker.new"
	sync "$marker.new"
	mv "$marker.new" "$marker"
	sync "$home"
}
