#!/usr/bin/env bash
# Packs the Helm chart of a release, whose values run the image of that release, and checks what the packed chart installs.
#
#   SOURCE_DATE_EPOCH=… hack/release/chart.sh v0.1.0 example.com/drain-operator:v0.1.0@sha256:… dist/chart.tgz
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
	echo "hack/release/chart.sh: $*" >&2
	exit 1
}
(($# == 3)) || fail "Usage: hack/release/chart.sh VERSION IMAGE OUTPUT"
version=$1 image=$2 output=$3
chart=charts/drain-operator
module=hack/tools/helm/go.mod
[[ -f "$module" ]] || fail "$chart is there, but $module, which has helm, isn't"
helm() { go tool -modfile="$module" helm "$@"; }

digest='' tag=$version
if [[ "$image" == *@* ]]; then
	digest=${image#*@}
fi
repository=${image%%@*}
repository=${repository%":$tag"}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$chart" "$work/drain-operator"
values=$work/drain-operator/values.yaml
# The values under image:, and no others of these names.
sed -i -E '/^image:$/,/^[^ #]/{s|^  repository:.*|  repository: '"$repository"'|;s|^  tag:.*|  tag: "'"$tag"'"|;s|^  digest:.*|  digest: "'"$digest"'"|}' "$values"

helm package --version "${version#v}" --app-version "$version" --destination "$work" "$work/drain-operator" >/dev/null
# helm gives the files the times of this checkout.
go run -C hack/release . archive -repack "$work/drain-operator-${version#v}.tgz" -output "$output"
helm lint --strict "$output" >"$work/lint" || fail "helm lint: $(<"$work/lint")"
helm template release "$output" --namespace drain-operator-system >"$work/manifests" || fail "the packed chart renders nothing"
want=$repository${digest:+@$digest}
[[ -n "$digest" ]] || want+=:$tag
# Deployments only: the chart's own test may run another image.
got=$(awk '/^kind: /{kind=$2} kind=="Deployment" && $1=="image:"{gsub(/"/, "", $2); print $2}' "$work/manifests")
[[ "$got" == "$want" ]] || fail "the packed chart runs \"$got\", not $want"
