#!/usr/bin/env bash
# What the other scripts share: how RabbitMQ and its tools are started, what the members say about the cluster, and whose a volume is.
# shellcheck disable=SC2034 # They use the variables.

home=/var/lib/rabbitmq
data=$home/mnesia
run=/run/rabbitmq
message=/dev/termination-log
# What takes longer than this ends, and says what it waited for.
patience=${PATIENCE_SECONDS:-300}
# How many replicas a quorum queue should have, as far as there are members.
replicas=${QUORUM_REPLICAS:-3}
service=${DRAIN_SERVICE:-rabbitmq}
# The Pods that are asked for the cluster.
peers=()

# The scripts in Debian's /usr/sbin want to be started by root.
export PATH=/usr/lib/rabbitmq/bin:$PATH HOME=$run LANG=C.UTF-8 RABBITMQ_USE_LONGNAME=true ERL_CRASH_DUMP=/dev/null
# The cookie must be in a file that only its owner can read. The files of a Secret aren't that.
if [[ "$(cat $run/.erlang.cookie 2>/dev/null)" != "$RABBITMQ_COOKIE" ]]; then
	(
		umask 077
		printf '%s' "$RABBITMQ_COOKIE" >$run/.erlang.cookie.$$
		mv $run/.erlang.cookie.$$ $run/.erlang.cookie
	)
fi

# last_words leaves what the kubelet shows of a container that has ended; outside a Pod there is no such file.
last_words() {
	echo "$1"
	if [[ -w $message ]]; then echo "$1" >$message; fi
}

node_of() { echo "rabbit@$1.$service"; } # POD

# ctl asks a member by one of RabbitMQ's tools. Each call ends in time.
ctl() { # NODE TOOL ARGUMENT…
	local node=$1 tool=$2
	shift 2
	timeout --foreground 120 "$tool" --node "$node" --quiet "$@" 2>&1
}

# The report of a member, one fact a line: the cluster's ID, each member, and each durable queue with the members that have its messages. These are the
# leader of a classic queue first, and then its synchronized mirrors. list_queues would leave out the queues of members that are down, which are
# the ones that matter here. Names are also given as regular expressions, so that any name goes through.
report=$(
	cat <<'ERLANG'
Pattern = fun(B) -> [case (C >= $0 andalso C =< $9) orelse (C >= $A andalso C =< $Z) orelse (C >= $a andalso C =< $z) of
    true -> C; false -> io_lib:format("\\x~2.16.0b", [C]) end || <<C>> <= B] end,
Plain = fun(B) -> [case C < 32 of true -> $?; false -> C end || <<C>> <= B] end,
Running = rabbit_mnesia:cluster_nodes(running),
Nodes = fun(Q) ->
    L = case amqqueue:get_type(Q) of
        rabbit_classic_queue -> [node(P) || P <- [amqqueue:get_pid(Q) | amqqueue:get_sync_slave_pids(Q)], is_pid(P)];
        _ -> maps:get(nodes, amqqueue:get_type_state(Q))
    end,
    case L of [] -> "-"; _ -> lists:join(",", [atom_to_list(N) || N <- L]) end end,
Kind = fun(Q) -> case amqqueue:get_type(Q) of rabbit_quorum_queue -> quorum; rabbit_classic_queue -> classic; T -> T end end,
io:format("cluster\t~s~n", [rabbit_runtime_parameters:value_global(internal_cluster_id)]),
[io:format("member\t~s\t~s~n", [N, case lists:member(N, Running) of true -> up; false -> down end]) || N <- rabbit_mnesia:cluster_nodes(all)],
[begin
    {resource, V, queue, N} = amqqueue:get_name(Q),
    io:format("queue\t~s\t~s\t~s\t~s\t~s in ~s~n", [Kind(Q), Nodes(Q), Pattern(V), Pattern(N), Plain(N), Plain(V)])
end || Q <- mnesia:dirty_match_object(rabbit_durable_queue, amqqueue:pattern_match_all()), amqqueue:get_exclusive_owner(Q) =:= none],
io:format("end~n"), ok.
ERLANG
)

# listens reports whether a server is there. To ask one that isn't there by a tool would take a second of a processor.
listens() { # HOST
	# shellcheck disable=SC2016 # The inner shell expands it.
	timeout --foreground 3 bash -c 'exec 3<>"/dev/tcp/$0/25672"' "$1" 2>/dev/null
}

# look sets via to the first of the peers that answers, and cluster, members, running and queues to what it says. It fails if none does.
look() {
	local peer said kind first rest ended
	for peer in "${peers[@]}"; do
		via=$(node_of "${peer%%.*}")
		listens "${via#*@}" || continue
		said=$(ctl "$via" rabbitmqctl eval "$report") || continue
		cluster='' members=() running=() queues=() ended=''
		while IFS=$'\t' read -r kind first rest; do
			case $kind in
			cluster) cluster=$first ;;
			member)
				members+=("$first")
				[[ $rest != up ]] || running+=("$first")
				;;
			queue) queues+=("$first"$'\t'"$rest") ;;
			end) ended=yes ;;
			esac
		done <<<"$said"
		if [[ -n $ended && -n $cluster ]]; then return; fi
	done
	return 1
}

has() { # WORD WORD…
	local wanted=$1 word
	shift
	for word; do
		if [[ $word == "$wanted" ]]; then return; fi
	done
	return 1
}
is_member() { has "$node" "${members[@]}"; }
is_running() { has "$node" "${running[@]}"; }

# grow gives every queue of a list one replica more, on a member. A line of the list is the pattern of a virtual host and that of a queue.
grow() { # NODE LIST
	local vhost name
	local -A patterns=() counts=()
	while IFS=$'\t' read -r vhost name; do
		# A command line has its limits. The rest follows after the next look.
		if ((${counts[$vhost]:-0} < 100)); then
			patterns[$vhost]+=${patterns[$vhost]:+|}$name
			counts[$vhost]=$((${counts[$vhost]:-0} + 1))
		fi
	done <<<"$2"
	for vhost in "${!patterns[@]}"; do
		ctl "$1" rabbitmq-queues grow "$1" all --vhost-pattern "^$vhost\$" --queue-pattern "^(${patterns[$vhost]})\$" --errors-only || true
	done
}

# replicate gives this member a replica of every quorum queue that has too few. It fails until there is none.
replicate() {
	local entry kind nodes vhost name text list=''
	for entry in "${queues[@]}"; do
		IFS=$'\t' read -r kind nodes vhost name text <<<"$entry"
		if [[ $kind == quorum && ",$nodes," != *",$node,"* ]] && (($(tr , '\n' <<<"$nodes" | wc -l) < replicas)); then
			list+=$vhost$'\t'$name$'\n'
		fi
	done
	[[ -n $list ]] || return 0
	grow "$node" "${list%$'\n'}"
	return 1
}

# The marker on a volume names the Pod that it belongs to. A drain that finds a volume without it, or with another name, has not found an
# empty volume but the wrong one.
marker=$home/.drain-owner

# note writes a file durably.
note() { # FILE TEXT
	echo "$2" >"$1.new"
	sync "$1.new"
	mv "$1.new" "$1"
	sync $home
}

# own_volume writes the marker where there is none. It refuses a volume that has another Pod's data.
own_volume() {
	local owner=
	if [[ -e $marker ]]; then owner=$(<$marker); fi
	if [[ "$owner" == "$HOSTNAME" ]]; then return; fi
	if [[ -e $data ]]; then
		last_words "this is not the volume of $HOSTNAME: it has the data of ${owner:-an unknown Pod}"
		return 1
	fi
	note $marker "$HOSTNAME"
}
