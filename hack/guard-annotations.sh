#!/usr/bin/env bash
# Refuses manifests with which the operator would begin to follow the annotations of StatefulSets and delete claims, unless FOLLOW_ANNOTATIONS
# says that this is meant: where the operator that is installed ignores them, and where it isn't installed yet and some have been left over.
#
#   KUBECTL=hack/kubectl.sh hack/guard-annotations.sh dist/apply.yaml
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ignored=--statefulset-annotations=false
if [[ -n "${FOLLOW_ANNOTATIONS:-}" ]] || grep -q -e "- $ignored\$" "$1"; then
	exit
fi
# KUBECTL may have arguments in it.
read -ra kubectl <<<"${KUBECTL:-kubectl}"

help() {
	echo "To have them ignored, write \"OVERLAY = config/overlays/ignore-annotations\" into deploy.mk; to have them followed: make deploy FOLLOW_ANNOTATIONS=yes."
	echo "See docs/migrating.md."
}

installed=$("${kubectl[@]}" -n drain-operator-system get deployment drain-operator-controller-manager --ignore-not-found \
	-o jsonpath='{.metadata.name} {.spec.template.spec.containers[*].args}')
if [[ "$installed" == *"$ignored"* ]]; then
	{
		echo "The operator that is installed ignores the annotations of StatefulSets. With these manifests it would follow them, which deletes claims."
		help
	} >&2
	exit 1
fi
if [[ -n "${installed// /}" ]]; then
	exit
fi
# shellcheck disable=SC2016 # The variables are the template's.
annotated=$("${kubectl[@]}" get statefulsets --all-namespaces -o go-template='{{range .items}}{{$set := .metadata}}{{with .metadata.annotations -}}
{{if or (index . "statefulsets.kubernetes.io/scaledown-pod-template") (index . "statefulsets.kubernetes.io/drainer-pod-template")}}{{$set.namespace}}/{{$set.name}}
{{end}}{{end}}{{end}}')
if [[ -n "$annotated" ]]; then
	{
		echo "These StatefulSets have an annotation by which the operator would drain them and delete their drained claims, also those that are orphaned already:"
		# shellcheck disable=SC2001 # It is one line each.
		sed 's/^/  /' <<<"$annotated"
		help
	} >&2
	exit 1
fi
