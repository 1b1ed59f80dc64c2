#!/usr/bin/env bash
# Runs what shows that the operator keeps its promises with another minor release of Kubernetes: the integration suite against its API
# server, and the end-to-end specs with the label "versions" on a local cluster of it. It takes down any local cluster of this checkout
# before and after. docs/compatibility.md says what is known about each release.
#
#   hack/test-version.sh [1.36]    without a release it is the oldest that is supported
#   hack/test-version.sh all
#
# FEATURE_GATES are the feature gates of the cluster's control plane.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

make() { command make --no-print-directory "$@"; }
mapfile -t releases < <(go run -C test/infrastructure ./cluster releases)

one() { # RELEASE [FEATURE_GATES]
	local release=$1 gates=${2:-} assets status=0
	assets=$(KUBEBUILDER_ASSETS='' hack/envtest.sh "$release") || return
	echo "=== Kubernetes $release${gates:+ with $gates}: integration suite, $("$assets/kube-apiserver" --version)"
	# Without the race detector, which `make test` has: what differs here is the API server.
	KUBEBUILDER_ASSETS=$assets go tool ginkgo run --procs=2 --timeout=20m --randomize-all ./test/integration || status=1
	echo "=== Kubernetes $release${gates:+ with $gates}: drains on a cluster"
	make cluster-down || return
	make test-e2e KUBERNETES="$release" FEATURE_GATES="$gates" E2E_IMAGES='drain-operator datastore' LABELS='versions && !faults' || status=1
	make cluster-down || return
	return "$status"
}

trap 'make cluster-down' EXIT
if [[ "${1:-}" != all ]]; then
	one "${1:-${releases[0]}}" "${FEATURE_GATES:-}"
	exit
fi
failed=()
for release in "${releases[@]}"; do
	one "$release" || failed+=("$release")
done
# Alpha in 1.36, off by default.
gates=PersistentVolumeClaimUnusedSinceTime=true
one 1.36 "$gates" || failed+=("1.36 with $gates")
if ((${#failed[@]})); then
	printf 'test-versions: FAILED with Kubernetes %s\n' "${failed[@]}" >&2
	exit 1
fi
