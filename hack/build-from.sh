#!/usr/bin/env bash
# Builds the operator of another commit, for tests of upgrades: its image as dist/images/drain-operator-from.tar, by the name
# localhost/drain-operator:from, and its manifests as dist/from.yaml.
#
#   hack/build-from.sh v0.1.0
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -ne 1 ]]; then
	echo "Usage: hack/build-from.sh COMMIT" >&2
	exit 2
fi
commit=$(git rev-parse --verify --quiet "$1^{commit}") || {
	echo "hack/build-from.sh: there is no commit $1; a shallow clone may lack it" >&2
	exit 1
}
here=$PWD
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
git archive "$commit" | tar -x -C "$dir"

mkdir -p dist/images
CGO_ENABLED=0 GOOS=linux go build -C "$dir" -trimpath -ldflags "-s -w -X main.version=$(git describe --tags --always "$commit")" -o "$dir/manager" ./cmd/manager
go run -C test/infrastructure ./image --name localhost/drain-operator:from --binary "$dir/manager=/manager" --entrypoint /manager \
	--user 65532:65532 --output "$here/dist/images/drain-operator-from.tar"
"$dir/hack/render.sh" config/default localhost/drain-operator:from >dist/from.yaml
echo "hack/build-from.sh: built $(git describe --tags --always "$commit")"
