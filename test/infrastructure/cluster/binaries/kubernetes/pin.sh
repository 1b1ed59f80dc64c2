#!/usr/bin/env bash
# Writes the Go module that builds the Kubernetes programs of one release into the folder of its minor, for example 1.36/ for v1.36.3.
# k8s.io/kubernetes replaces its staging modules by folders of its own tree, which a dependency can't see, so they are replaced by the
# published versions of the same release. The release also goes into the table in ../versions.go; a test compares the two.
#
#   test/infrastructure/cluster/binaries/kubernetes/pin.sh v1.36.3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [[ ! "${1:-}" =~ ^v(1\.([0-9]+))\.([0-9]+)$ ]]; then
	echo "pin.sh: give it a release of Kubernetes, e.g. v1.36.3" >&2
	exit 2
fi
release=$1 minor=${BASH_REMATCH[1]} staging=v0.${BASH_REMATCH[2]}.${BASH_REMATCH[3]}
module=github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries/kubernetes/$minor

# Outside of any module of ours, whose requirements would have a say.
source=$(cd / && GOWORK=off GOFLAGS=-mod=mod go mod download -json "k8s.io/kubernetes@$release" | sed -n 's/^\t"GoMod": "\(.*\)",*$/\1/p')
rm -rf "$minor"
mkdir "$minor"
cd "$minor"
{
	echo "// The programs of Kubernetes $release, built where release downloads can't be reached. pin.sh writes this file."
	echo "module $module"
	echo
	# What the release itself is built with: the language version, and what Go's runtime keeps as it was.
	sed -n '/^go /p; /^godebug /p' "$source"
	echo
	echo 'replace ('
	sed -nE "s|^\t(k8s\.io/[a-z-]+) => \./staging/src/.*|\t\1 => \1 $staging|p" "$source"
	echo ')'
} >go.mod
export GOWORK=off GOFLAGS=-mod=mod
tools=()
for program in kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet; do
	tools+=("k8s.io/kubernetes/cmd/$program@$release")
done
go get -tool "${tools[@]}"
go mod edit -fmt
