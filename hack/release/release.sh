#!/usr/bin/env bash
# Builds all that a release page holds into dist/release, without Docker and without a registry. One commit gives the same bytes in every
# folder and at any time. What is missing or wrong fails the release, and leaves no dist/release behind.
#
#   make release VERSION=v0.1.0
#   make release VERSION=v0.1.0 REPOSITORY=example.com/drain-operator    the manifests pin the image of that repository by its digest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
	echo "release: $*" >&2
	exit 1
}
step() { echo "release: $*" >&2; }

: "${VERSION:?}" "${VERSION_FLAGS:?start it by make release, which says how the version gets into a program}"
repository=${REPOSITORY:-}
[[ "$VERSION" =~ ^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$ ]] ||
	fail "VERSION must be like v0.1.0 or v0.1.0-rc.1, not \"$VERSION\": make release VERSION=v0.1.0"
[[ -z "$(git status --porcelain)" ]] || fail "the checkout has changes that aren't committed, and a release is made of a commit"

# The bytes of a program depend on the compiler.
toolchain=$(awk '$1 == "toolchain" { print $2 }' go.mod)
[[ "$(go env GOVERSION)" == "$toolchain" ]] || fail "go is $(go env GOVERSION), and go.mod asks for $toolchain: install that, or unset GOTOOLCHAIN"

commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
date=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
export SOURCE_DATE_EPOCH
# Only a tagged commit is published, so only that needs the date of its release.
dated=false
if tagged=$(git rev-parse --quiet --verify "refs/tags/$VERSION^{commit}"); then
	[[ "$tagged" == "$commit" ]] || fail "the tag $VERSION is on commit $tagged, and this is $commit"
	dated=true
fi

# Nothing of what this machine sets for Go gets into a program.
export GOFLAGS='-mod=readonly -buildvcs=false' GOWORK=off GOEXPERIMENT='' GOAMD64=v1 GOARM64=v8.0 LC_ALL=C TZ=UTC
unset GOOS GOARCH GO_EXTLINK_ENABLED
umask 022

final=dist/release work=dist/release.work out=dist/release.work/release
rm -rf "$final" "$work"
mkdir -p "$out"
trap 'rm -rf "$work"' EXIT

release() { go run -C hack/release . "$@"; }
build() { # OS ARCHITECTURE OUTPUT PACKAGE
	GOCACHE=${RELEASE_GOCACHE:-$(go env GOCACHE)} CGO_ENABLED=0 GOOS=$1 GOARCH=$2 \
		go build -C "$4" -trimpath -ldflags "-s -w $VERSION_FLAGS" -o "$PWD/$3" .
}

architectures=(amd64 arm64)
for arch in "${architectures[@]}"; do
	step "the manager for linux/$arch"
	build linux "$arch" "$work/$arch/manager" cmd/manager
done

step "third-party notices"
release notices -platforms linux/amd64,linux/arm64 -output "$out/THIRD_PARTY_NOTICES.txt" ./cmd/manager

plugin_archives=()
plugin_platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64)
release notices -dir cmd/kubectl-drainpolicy -platforms "$(IFS=,; echo "${plugin_platforms[*]}")" -output "$work/PLUGIN_NOTICES.txt" .
for platform in "${plugin_platforms[@]}"; do
	os=${platform%/*} arch=${platform#*/} suffix=''
	[[ "$os" != windows ]] || suffix=.exe
	step "the kubectl plugin for $platform"
	build "$os" "$arch" "$work/plugin/$os-$arch/kubectl-drainpolicy$suffix" cmd/kubectl-drainpolicy
	archive=kubectl-drainpolicy-$VERSION-$os-$arch.tar.gz
	release archive -output "$out/$archive" "$work/plugin/$os-$arch/kubectl-drainpolicy$suffix=kubectl-drainpolicy$suffix" \
		LICENSE=LICENSE "$work/PLUGIN_NOTICES.txt=THIRD_PARTY_NOTICES.txt"
	plugin_archives+=("$archive")
done

step "the krew manifest"
hack/release/krew.sh "$VERSION" "$out" >"$out/drainpolicy.yaml"

step "the image"
name=${repository:-localhost/drain-operator}:$VERSION
image=$out/drain-operator-$VERSION-image.tar
homepage=https://github.com/statefulset-dev/drain-operator
go run -C test/infrastructure ./image --oci --arch "$(IFS=,; echo "${architectures[*]}")" --name "$name" --output "$image" \
	--binary "$work/{arch}/manager=/manager" --entrypoint /manager --user 65532:65532 \
	--file LICENSE=/licenses/LICENSE --file "$out/THIRD_PARTY_NOTICES.txt=/licenses/THIRD_PARTY_NOTICES.txt" \
	--label org.opencontainers.image.title=drain-operator \
	--label org.opencontainers.image.description="Drains the data of StatefulSet pods that a scale-down removed" \
	--label org.opencontainers.image.url="$homepage" --label org.opencontainers.image.source="$homepage" \
	--label org.opencontainers.image.version="$VERSION" --label org.opencontainers.image.revision="$commit" \
	--label org.opencontainers.image.created="$date" --label org.opencontainers.image.licenses=Apache-2.0
pinned=$name
[[ -z "$repository" ]] || pinned=$name@$(release digest "$image")

step "install.yaml"
hack/render.sh config/default "$pinned" >"$out/install.yaml"
install -m 0644 hack/free.sh "$out/free.sh"

chart=false
if [[ -d charts/drain-operator ]]; then
	step "the Helm chart"
	chart=true
	hack/release/chart.sh "$VERSION" "$pinned" "$out/drain-operator-${VERSION#v}.tgz"
fi

for arch in "${architectures[@]}"; do
	step "the SBOM for linux/$arch"
	SYFT_CHECK_FOR_APP_UPDATE=false SYFT_GOLANG_SEARCH_LOCAL_MOD_CACHE_LICENSES=true bin/syft scan --quiet "file:$work/$arch/manager" \
		--source-name drain-operator --source-version "$VERSION" --output "spdx-json=$work/$arch/scanned.json"
	release sbom -scanned "$work/$arch/scanned.json" -program "$work/$arch/manager" -version "$VERSION" \
		-output "$out/drain-operator-$VERSION-linux-$arch.spdx.json"
done

step "release notes"
release notes -changelog CHANGELOG.md -version "$VERSION" -dated="$dated" -output "$out/RELEASE_NOTES.md"

step "checksums"
release checksums "$out"
step "reading all of it back"
release check -version "$VERSION" -commit "$commit" -date "$date" -image "$name" -chart="$chart" -plugins "${plugin_archives[*]}" "$out"
mv "$out" "$final"
cat "$final/SHA256SUMS"
