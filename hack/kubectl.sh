#!/usr/bin/env bash
# Runs kubectl against the cluster in question: the one of KUBECONFIG if that is set, else the local cluster if it is there, else kubectl's
# own default. For the local cluster it is the kubectl of the cluster's own version, since the machine's may be missing or years older.
#
#   hack/kubectl.sh get nodes
#   hack/kubectl.sh --kubeconfig-path    prints the kubeconfig that would be used, and nothing where kubectl decides by itself
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
local_kubeconfig=$repo/.cluster/kubeconfig

if [[ -z "${KUBECONFIG:-}" && -f "$local_kubeconfig" ]]; then
	export KUBECONFIG=$local_kubeconfig
fi
if [[ "${1:-}" == --kubeconfig-path ]]; then
	echo "${KUBECONFIG:-}"
	exit
fi
if [[ "${KUBECONFIG:-}" == "$local_kubeconfig" ]]; then
	dir=$(go run -C "$repo/test/infrastructure" ./cluster binaries kubectl)
	exec "$dir/kubectl" "$@"
fi
if ! command -v kubectl >/dev/null; then
	echo "hack/kubectl.sh: kubectl is not on PATH, and there is no local cluster (make cluster-up) whose own could be used" >&2
	exit 1
fi
exec kubectl "$@"
