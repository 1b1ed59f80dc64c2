#!/usr/bin/env bash
# Runs the unit and envtest suites of every module, with the race detector, and writes the coverage of the operator's module to $COVER. The
# API server is of the minor release KUBERNETES, else of the one that go.mod builds against.
# Every suite runs, even after one failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cover=${COVER:-cover.out}
read -ra flags <<<"${GOTESTFLAGS:-}"
failed=()

suite() { # NAME COMMAND…
	local name=$1
	shift
	echo "=== $name"
	"$@" || failed+=("$name")
}

KUBEBUILDER_ASSETS=$(hack/envtest.sh ${KUBERNETES:+"$KUBERNETES"})
export KUBEBUILDER_ASSETS
echo "envtest: $("$KUBEBUILDER_ASSETS/kube-apiserver" --version) in $KUBEBUILDER_ASSETS"

# Only packages that use ginkgo know its flags.
unit=() integration=()
while read -r package imports; do
	if [[ " $imports " == *" github.com/onsi/ginkgo/v2 "* ]]; then
		integration+=("$package")
	else
		unit+=("$package")
	fi
done < <(go list -f '{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}}' ./...)

profiles=()
if ((${#unit[@]})); then
	suite "unit tests" go test -race -timeout 10m -coverprofile=cover.unit.out "${flags[@]}" "${unit[@]}"
	profiles+=(cover.unit.out)
fi
if ((${#integration[@]})); then
	# What these exercise lies in other packages. One at a time: each starts an API server.
	suite "integration tests (envtest)" go test -race -timeout 20m -p 1 -coverprofile=cover.integration.out \
		-coverpkg=./api/...,./cmd/...,./internal/... "${flags[@]}" "${integration[@]}" -ginkgo.randomize-all
	profiles+=(cover.integration.out)
fi
for module in cmd/kubectl-drainpolicy hack/tools hack/release test/infrastructure test/bench; do
	suite "$module" go test -C "$module" -timeout 10m ./...
done
# It reads files of the operator's module, of which go's cache of test results knows nothing.
suite test/health go test -C test/health -timeout 10m -count=1 ./...

# go tool cover adds up blocks that several profiles hold.
{
	echo "mode: atomic"
	cat "${profiles[@]}" 2>/dev/null | grep -v '^mode: ' || true
} >"$cover"
go tool cover -func="$cover" | tail -n 1

if ((${#failed[@]})); then
	printf 'FAILED: %s\n' "${failed[@]}" >&2
	exit 1
fi
