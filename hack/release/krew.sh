#!/usr/bin/env bash
# Prints the manifest that a krew index has of the plugin: hack/release/krew.sh VERSION FOLDER, where the folder has the archives of the release.
set -euo pipefail
version=$1 folder=$2
homepage=https://github.com/statefulset-dev/drain-operator

cat <<END
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: drainpolicy
spec:
  version: $version
  homepage: $homepage
  shortDescription: Show, check and steer the drains of StatefulSets
  description: |
    Shows what the drains of drain-operator wait for and how far they are, waits for
    a scale-down to be drained, and says before one whether it is safe. It also lists
    the claims that no StatefulSet wants, in any cluster.
  platforms:
END
found=false
for archive in "$folder"/kubectl-drainpolicy-"$version"-*.tar.gz; do
	platform=${archive##*/kubectl-drainpolicy-"$version"-} platform=${platform%.tar.gz}
	os=${platform%-*} arch=${platform##*-} suffix=''
	[[ "$os" != windows ]] || suffix=.exe
	cat <<END
  - selector:
      matchLabels:
        os: $os
        arch: $arch
    uri: $homepage/releases/download/$version/${archive##*/}
    sha256: $(sha256sum "$archive" | cut -d ' ' -f 1)
    bin: kubectl-drainpolicy$suffix
END
	found=true
done
[[ "$found" == true ]]
