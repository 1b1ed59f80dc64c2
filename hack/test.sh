#!/usr/bin/env bash
# Runs the unit and envtest suites of every module, with the race detector where code of ours starts goroutines, and writes the coverage of
# the operator's module to $COVER. The API server is of the minor release KUBERNETES, else of the one that go.mod builds against.
# Every suite runs, even after one failed.
#
# GOTESTFLAGS are flags of `go test`, and run the operator's unit tests only. FOCUS is a regular expression, and runs the specs of the
# integration suite that it fits, only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cover=${COVER:-cover.out}
read -ra flags <<<"${GOTESTFLAGS:-}"
failed=() profiles=()

suite() { # NAME COMMAND…
	local name=$1
	shift
	echo "=== $name"
	"$@" || failed+=("$name")
}

KUBEBUILDER_ASSETS=$(hack/envtest.sh ${KUBERNETES:+"$KUBERNETES"})
export KUBEBUILDER_ASSETS
echo "envtest: $("$KUBEBUILDER_ASSETS/kube-apiserver" --version) in $KUBEBUILDER_ASSETS"

# The race detector has nothing to watch in packages without code of their own, whose tests read documents and manifests or run scripts, nor
# in these, where one goroutine runs at a time, but for histories of the simulation side by side; it makes them ten times slower.
sequential='/(internal/plan|internal/scaling|test/simulation)$'
raced=() plain=()
while read -r package files; do
	if [[ "$package" == */test/integration ]]; then
		continue
	elif [[ -z "$files" || "$files" == doc.go || "$package" =~ $sequential ]]; then
		plain+=("$package")
	else
		raced+=("$package")
	fi
done < <(go list -f '{{.ImportPath}} {{join .GoFiles " "}}' ./...)

if [[ -z "${FOCUS:-}" ]]; then
	suite "unit tests, with the race detector" go test -race -timeout 10m -coverprofile=cover.raced.out "${flags[@]}" "${raced[@]}"
	suite "unit tests of what is sequential" go test -covermode=atomic -timeout 10m -coverprofile=cover.plain.out "${flags[@]}" "${plain[@]}"
	profiles+=(cover.raced.out cover.plain.out)
	if ((${#flags[@]} == 0)); then
		suite "histories side by side, with the race detector" go test -race -timeout 10m ./test/simulation -run TestPromisesHold -sim.seeds=30
	fi
fi
if ((${#flags[@]} == 0)); then
	# What it exercises lies in other packages. Its specs wait more than they work, so two processes share them, each with an API server of its
	# own.
	suite "integration tests (envtest)" go tool ginkgo run --procs=2 --race --timeout=20m --randomize-all ${FOCUS:+--focus="$FOCUS"} \
		--coverprofile=cover.integration.out --coverpkg=./api/...,./cmd/...,./internal/... ./test/integration
	profiles+=(cover.integration.out)
fi
if [[ -z "${FOCUS:-}" ]] && ((${#flags[@]} == 0)); then
	for module in cmd/kubectl-drainpolicy hack/tools hack/release test/infrastructure test/bench; do
		suite "$module" go test -C "$module" -timeout 10m ./...
	done
	# It reads files of the operator's module, of which go's cache of test results knows nothing.
	suite test/health go test -C test/health -timeout 10m -count=1 ./...
fi

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
