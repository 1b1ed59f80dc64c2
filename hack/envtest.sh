#!/usr/bin/env bash
# Prints the folder with kube-apiserver, etcd and kubectl for envtest (KUBEBUILDER_ASSETS), of the Kubernetes release that go.mod builds
# against. They are downloaded with setup-envtest where that can be reached, and built from Go modules where it can't.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -n "${KUBEBUILDER_ASSETS:-}" ]]; then
	echo "$KUBEBUILDER_ASSETS"
	exit
fi

# k8s.io/api v0.37.2 is of Kubernetes 1.37; envtest has its own patch releases.
api=$(go list -m -f '{{.Version}}' k8s.io/api)
if [[ ! "$api" =~ ^v0\.([0-9]+)\. ]]; then
	echo "hack/envtest.sh: can't tell Kubernetes' version from k8s.io/api $api in go.mod; set KUBEBUILDER_ASSETS" >&2
	exit 1
fi
kubernetes=1.${BASH_REMATCH[1]}.x

# reachable tells within seconds, where setup-envtest would wait for minutes if packets to the index are dropped.
reachable() {
	[[ -n "${HTTPS_PROXY:-${https_proxy:-}}" ]] || timeout 4 bash -c '</dev/tcp/raw.githubusercontent.com/443' 2>/dev/null
}

setup_envtest=(go tool -modfile=hack/tools/go.mod setup-envtest)
if "${setup_envtest[@]}" use --installed-only --print path "$kubernetes" 2>/dev/null; then
	exit
fi
if reachable; then
	echo "Downloading the API server and etcd for Kubernetes $kubernetes" >&2
	if timeout 300 "${setup_envtest[@]}" use --print path "$kubernetes"; then
		exit
	fi
fi
go run -C test/infrastructure ./cluster binaries kube-apiserver etcd kubectl
