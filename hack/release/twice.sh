#!/usr/bin/env bash
# Builds a release of the last commit twice, in two clones in folders of different lengths, under different settings of the machine, and
# compares all files. If they are the same, dist/release has them. The second build compiles the shipped programs without the compiler's cache, which would hand out the first one's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

top=$PWD
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
first=$dir/a second=$dir/a/much/longer/path/than/the/first

build() { # FOLDER
	git clone --quiet "$top" "$1"
	mkdir -p "$1/bin"
	# Only a tool: it needs not be built twice where it has been built.
	[[ ! -x bin/syft ]] || cp bin/syft "$1/bin/syft"
	# The make that runs this script passes its variables on, by name or in MAKEFLAGS.
	env -u MAKEFLAGS -u MAKELEVEL -u VERSION_FLAGS make --no-print-directory -C "$1" release VERSION="$VERSION" REPOSITORY="${REPOSITORY:-}"
}
(build "$first/release")
(
	umask 077
	export RELEASE_GOCACHE=$dir/cache TZ=Asia/Tokyo GOAMD64=v3 GOFLAGS=-buildvcs=true
	build "$second"
)
if ! diff --recursive "$first/release/dist/release" "$second/dist/release"; then
	echo "release: two builds of one commit differ, see above" >&2
	exit 1
fi
rm -rf dist/release
mkdir -p dist
mv "$first/release/dist/release" dist/release
echo "release: two builds of $(git rev-parse HEAD) are the same, byte for byte"
