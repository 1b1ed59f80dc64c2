#!/usr/bin/env bash
# Shows a StatefulSet shrink, its data move and its claim go, on the local cluster: `make demo`.
#
# It starts the cluster if it isn't up, installs the operator from this tree and plays in the namespace drain-demo, which it creates again at
# every run. It ends with an error, and with what is needed to find the cause, if anything it announces does not happen.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

namespace=drain-demo
operator_namespace=drain-operator-system
keep=2     # replicas that remain
orphan=2   # the ordinal that goes
patience=180s

bold='' dim='' red='' green='' reset=''
if [[ (-t 1 || -n "${FORCE_COLOR:-}") && -z "${NO_COLOR:-}" ]]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' reset=$'\e[0m'
fi

say() { printf '\n%s# %s%s\n' "$bold" "$*" "$reset"; }
# show prints a command as it could be typed.
show() {
	local word words=''
	for word; do
		if [[ "$word" =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then
			words+=" $word"
		else
			words+=" '$word'"
		fi
	done
	printf '%s$%s%s\n' "$dim" "$words" "$reset"
}
run() {
	show "$@"
	"$@"
}
prefix() {
	local line
	while IFS= read -r line; do
		printf '  %s | %s\n' "$1" "$line"
	done
}
fail() {
	printf '%sdemo: %s%s\n' "$red" "$*" "$reset" >&2
	exit 1
}

work=$(mktemp -d)
started=$SECONDS
background=()
cluster_ready=''

# in_background starts a function with all it starts as a process group of its own, so that it can be ended as one.
in_background() {
	set -m
	"$@" &
	set +m
	background+=("$!")
}
stop_background() {
	local pid
	for pid in ${background[@]+"${background[@]}"}; do
		kill -- "-$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	background=()
}

diagnose() {
	printf '\n%s# What the cluster says%s\n' "$bold" "$reset"
	k get drainpolicies -o yaml || true
	k get statefulsets,pods,jobs,pvc -o wide || true
	k get events --sort-by=.lastTimestamp || true
	k logs --selector drain.statefulset.dev/role=drain --tail=50 --prefix || true
	kubectl -n "$operator_namespace" get pods -o wide || true
	kubectl -n "$operator_namespace" logs deployment/drain-operator-controller-manager --tail=80 || true
}

finish() {
	local code=$?
	trap - EXIT
	stop_background
	if ((code != 0)); then
		if [[ -n "$cluster_ready" ]]; then
			diagnose >&2
		fi
		printf '\n%sThe demo failed after %d s.%s\n' "$red" $((SECONDS - started)) "$reset" >&2
	fi
	rm -rf "$work"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build_images() { make image sample-image-datastore >"$work/images" 2>&1; }
install_operator() { make apply >"$work/apply" 2>&1; }
not_installed() {
	cat "$work/apply" >&2
	fail 'the operator could not be installed'
}

k() { kubectl --namespace "$namespace" "$@"; }
# krun shows a command as a person types it who has set the namespace for good, as the end of the demo tells.
krun() {
	show kubectl "$@"
	k "$@"
}

# records prints "replica key bytes checksum" for every record of the first $1 replicas.
records() {
	local i
	for ((i = 0; i < $1; i++)); do
		k exec "datastore-$i" -- /datastore list | sed "s/^/datastore-$i  /"
	done
}
table() {
	awk 'BEGIN {print "REPLICA      KEY       BYTES  SHA256"} {printf "%-11s  %-8s  %5d  %.12s\n", $1, $2, $3, $4}' "$1"
}
# inventory is what must be the same before and after: keys and checksums, wherever they are.
inventory() { awk '{print $2, $4}' "$1" | sort; }

# watch_policy prints the policy's columns whenever one of them changes, the age left out.
watch_policy() {
	k get drainpolicy datastore --watch 2>/dev/null | while IFS= read -r line; do
		columns=$(sed -E 's/ +[^ ]+ *$//' <<<"$line")
		if [[ "$columns" != "${last:-}" ]]; then
			echo "$columns"
		fi
		last=$columns
	done | prefix policy
}
# watch_drain follows the drain pod's log from its start; it is deleted with the pod.
watch_drain() {
	local pod=''
	while [[ -z "$pod" ]]; do
		pod=$(k get pods --selector "drain.statefulset.dev/role=drain,drain.statefulset.dev/ordinal=$orphan" -o name 2>/dev/null || true)
		[[ -n "$pod" ]] || sleep 0.2
	done
	until k logs --follow "$pod" 2>/dev/null; do
		k get "$pod" >/dev/null 2>&1 || break
		sleep 0.2
	done | prefix drain
}

say 'A cluster with the operator in it, from this tree'
# The images are built while the cluster starts.
show make image sample-image-datastore
in_background build_images
run make cluster-up
wait "${background[0]}" || {
	cat "$work/images" >&2
	fail 'the images could not be built'
}
background=()
run make cluster-load IMAGE='dist/images/drain-operator.tar dist/images/datastore.tar'
KUBECONFIG=$PWD/.cluster/kubeconfig
export KUBECONFIG
PATH=$(go run -C test/infrastructure ./cluster binaries kubectl):$PATH
# The store starts while the operator does.
show make apply
in_background install_operator
cluster_ready=yes
if kubectl get namespace "$namespace" >/dev/null 2>&1; then
	say 'Removing what an earlier demo left'
	run kubectl delete namespace "$namespace" --timeout="$patience"
fi

say 'A store of three replicas, each with a volume of its own, and a policy for those that leave'
crd=crd/drainpolicies.drain.statefulset.dev
kubectl wait "$crd" --for=create --timeout="$patience" >/dev/null || not_installed
kubectl wait "$crd" --for=condition=Established --timeout="$patience" >/dev/null || not_installed
run kubectl apply -k hack/demo
wait "${background[0]}" || not_installed
background=()
krun wait drainpolicy/datastore --for=condition=Ready --timeout="$patience"
krun rollout status statefulset/datastore --timeout="$patience"
echo
sed -n '/^spec:/,$p' config/samples/datastore/drainpolicy.yaml | prefix drainpolicy.yaml

say 'Each replica gets records that no other has'
krun exec datastore-0 -- /datastore put apple red cherry red plum blue
krun exec datastore-1 -- /datastore put lemon yellow banana yellow lime green
krun exec datastore-2 -- /datastore put grape blue fig purple kiwi green melon green pear green quince yellow
echo
records 3 >"$work/before"
table "$work/before"
count=$(wc -l <"$work/before")
((count == 12)) || fail "there are $count records, expected 12"
echo
krun get drainpolicy datastore
krun get pvc

say "One replica fewer: datastore-$orphan goes, and its claim data-datastore-$orphan is left behind with 6 records in it"
in_background watch_policy
in_background watch_drain
drain_log=${background[1]}
scaled=$SECONDS
krun scale statefulset datastore --replicas="$keep"
k wait "pvc/data-datastore-$orphan" --for=delete --timeout="$patience" >/dev/null ||
	fail "the claim data-datastore-$orphan was not seen to go (patience: $patience)"
k wait drainpolicy/datastore --for=condition=Drained --timeout="$patience" >/dev/null ||
	fail "the policy was not seen to be Drained (patience: $patience)"
took=$((SECONDS - scaled))
# The drain is over, so its log is; what follows the pod's end is a moment.
for ((i = 0; i < 50; i++)); do
	kill -0 "$drain_log" 2>/dev/null || break
	sleep 0.1
done
stop_background
printf '\nThe claim was drained and deleted %d s after the command.\n\n' "$took"
krun get drainpolicy datastore
krun get drainpolicy datastore -o 'jsonpath={range .status.drains[*]}{"ordinal "}{.ordinal}{": "}{.state}{", "}{.message}{"\n"}{end}'
echo
krun events --for drainpolicy/datastore

say 'Every record is answered by the two that are left'
records "$keep" >"$work/after"
table "$work/after"
echo
if ! diff <(inventory "$work/before") <(inventory "$work/after"); then
	fail 'the records or their checksums differ from before, see the lines above (< before, > after)'
fi
echo "$count records before, $(wc -l <"$work/after") after, the same keys and checksums."
echo
krun get pvc

cat <<END

${green}${bold}Done in $((SECONDS - started)) s: a StatefulSet shrank, its data moved, its claim went.${reset}

Go on playing:
  export KUBECONFIG=$PWD/.cluster/kubeconfig
  export PATH=$(go run -C test/infrastructure ./cluster binaries kubectl):\$PATH
  kubectl config set-context --current --namespace=$namespace
  kubectl get drainpolicy datastore --watch &
  kubectl scale statefulset datastore --replicas=4      # fresh volumes for the new ones
  kubectl exec datastore-3 -- /datastore put cocoa brown
  kubectl scale statefulset datastore --replicas=1      # one after the other, the highest first
  kubectl exec datastore-0 -- /datastore list
  kubectl describe drainpolicy datastore
Clean up:
  kubectl delete namespace $namespace                      # the sample
  make undeploy                                         # the operator
  make cluster-down                                     # everything
END
