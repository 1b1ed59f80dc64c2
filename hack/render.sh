#!/usr/bin/env bash
# Prints the manifests of an overlay with the operator's image set, without editing any tracked file.
#
#   hack/render.sh config/default example.com/drain-operator:v1
#
# For an image that `make image` built here, the Pod template is annotated with the content's digest: the tag stays the same when the
# code changes, and the Deployment must roll all the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -ne 2 ]]; then
	echo "Usage: hack/render.sh OVERLAY IMAGE" >&2
	exit 2
fi
overlay=$1 image=$2
if [[ ! -f "$overlay/kustomization.yaml" ]]; then
	echo "hack/render.sh: $overlay has no kustomization.yaml; take config/default or a folder of config/overlays" >&2
	exit 1
fi

# In the checkout, because kustomize takes bases by relative path only.
dir=dist/render
mkdir -p "$dir"
trap 'rm -rf "$dir"' EXIT
cat >"$dir/kustomization.yaml" <<EOF
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../${overlay%/}
EOF
tarball=dist/images/drain-operator.tar
if [[ "$image" == localhost/drain-operator:dev && -f "$tarball" ]]; then
	digest=$(sha256sum "$tarball" | cut -d' ' -f1)
	cat >>"$dir/kustomization.yaml" <<EOF
patches:
- target:
    kind: Deployment
    name: .*controller-manager
  patch: |-
    - op: add
      path: /spec/template/metadata/annotations/drain.statefulset.dev~1image-digest
      value: sha256:$digest
EOF
fi
kustomize=(go tool "-modfile=$PWD/hack/tools/go.mod" kustomize)
(cd "$dir" && "${kustomize[@]}" edit set image "controller=$image")
"${kustomize[@]}" build "$dir"
