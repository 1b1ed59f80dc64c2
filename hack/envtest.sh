#!/usr/bin/env bash
# Prints the folder with kube-apiserver, etcd and kubectl for envtest (KUBEBUILDER_ASSETS): of the minor release of Kubernetes that is asked
# for, else of the one that go.mod builds against. They are downloaded with setup-envtest where that can be reached, and built from Go
# modules where it can't.
#
#   hack/envtest.sh [1.36]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kubernetes=${1:-}
if [[ -n "${KUBEBUILDER_ASSETS:-}" ]]; then
	version=$("$KUBEBUILDER_ASSETS/kube-apiserver" --version)
	if [[ -n "$kubernetes" && "$version" != "Kubernetes v$kubernetes."* ]]; then
		echo "hack/envtest.sh: KUBEBUILDER_ASSETS has $version, not $kubernetes: unset it, or ask for no version" >&2
		exit 1
	fi
	echo "$KUBEBUILDER_ASSETS"
	exit
fi
if [[ -z "$kubernetes" ]]; then
	# k8s.io/api v0.37.2 is of Kubernetes 1.37; envtest has its own patch releases.
	api=$(go list -m -f '{{.Version}}' k8s.io/api)
	if [[ ! "$api" =~ ^v0\.([0-9]+)\. ]]; then
		echo "hack/envtest.sh: can't tell Kubernetes' version from k8s.io/api $api in go.mod; say which, or set KUBEBUILDER_ASSETS" >&2
		exit 1
	fi
	kubernetes=1.${BASH_REMATCH[1]}
fi
# Refuses what isn't supported.
go run -C test/infrastructure ./cluster releases "$kubernetes" >/dev/null

# reachable tells within seconds, where setup-envtest would wait for minutes if packets to the index are dropped.
reachable() {
	[[ -n "${HTTPS_PROXY:-${https_proxy:-}}" ]] || timeout 4 bash -c '</dev/tcp/raw.githubusercontent.com/443' 2>/dev/null
}

setup_envtest=(go tool -modfile=hack/tools/go.mod setup-envtest)
if "${setup_envtest[@]}" use --installed-only --print path "$kubernetes.x" 2>/dev/null; then
	exit
fi
if reachable; then
	echo "Downloading the API server and etcd for Kubernetes $kubernetes" >&2
	if timeout 300 "${setup_envtest[@]}" use --print path "$kubernetes.x"; then
		exit
	fi
fi
go run -C test/infrastructure ./cluster binaries --kubernetes "$kubernetes" kube-apiserver etcd kubectl
