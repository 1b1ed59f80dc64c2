#!/usr/bin/env bash
# Writes those parts of the Helm chart that only repeat what kustomize builds: the CRD, the roles, the operator's rights, the admission policies,
# the alerts and the dashboard. What people configure is written by hand; a test compares all of it with kustomize's output.
#
# kubebuilder's plugin (helm/v2-alpha) is no alternative: it names files after objects, so that the binding of an admission policy
# overwrites the policy of the same name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

chart=charts/drain-operator
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go tool -modfile=hack/tools/go.mod kustomize build config/default --output "$tmp"

if grep -n '{{' "$tmp"/*.yaml; then
	echo "hack/chart.sh: Helm would take these braces for its own" >&2
	exit 1
fi
header='{{- /* Written by "make chart" from config/. Do not edit. */ -}}'

# objects prints objects with the labels and the namespace of the release.
objects() { # FILE…
	local file
	for file in "$@"; do
		echo "---"
		awk '
			/^    app\.kubernetes\.io\/(name: drain-operator|managed-by: kustomize)$/ { next }
			{ gsub(/drain-operator-system/, "{{ .Release.Namespace }}"); print }
			/^  labels:$/ { print "    {{- include \"drain-operator.labels\" . | nindent 4 }}" }
		' "$file"
	done
}

# template FILE CONDITION writes a template of what it reads; an empty condition is always true.
template() {
	{
		echo "$header"
		[[ -z "$2" ]] || echo "{{- if $2 }}"
		cat
		[[ -z "$2" ]] || echo "{{- end }}"
	} >"$chart/templates/$1"
}

objects "$tmp"/apiextensions*_customresourcedefinition_*.yaml | awk '
	{ print }
	/^  annotations:$/ { print "    # Without the CRD, all policies would be deleted.\n    helm.sh/resource-policy: keep" }
' | template crd.yaml .Values.crds.install
grep -q 'helm.sh/resource-policy: keep' $chart/templates/crd.yaml

# What the right to scale brings.
mkdir "$tmp/scaling"
go tool -modfile=hack/tools/go.mod kustomize build config/overlays/scaling-guarded --output "$tmp/scaling"
objects "$tmp"/scaling/admissionregistration*_drain-operator-fence-scale.yaml | template scaling.yaml 'and .Values.scaling.enabled .Values.admissionPolicies.enabled'
grep -q 'statefulsets/scale' $chart/templates/scaling.yaml
objects "$tmp"/scaling/admissionregistration*_drain-operator-scaling-guard.yaml |
	sed 's/^  - Deny$/  {{- if eq .Values.scaling.guard "Warn" }}\n  - Warn\n  - Audit\n  {{- else }}\n  - Deny\n  {{- end }}/' |
	template scaling-guard.yaml 'ne .Values.scaling.guard "Off"'
grep -q '^  - Warn$' $chart/templates/scaling-guard.yaml

objects "$tmp"/admissionregistration*.yaml | template admission.yaml .Values.admissionPolicies.enabled

roles=("$tmp"/rbac*.yaml)
for i in "${!roles[@]}"; do
	[[ "${roles[i]}" != *_drain-operator-manager-* ]] || unset "roles[i]"
done
objects "${roles[@]}" | template roles.yaml ''

{
	echo "$header"
	echo '{{- define "drain-operator.managerRules" -}}'
	# The right to read logs is the only one that can be left out.
	sed -n '/^rules:$/,$p' "$tmp"/rbac*_clusterrole_drain-operator-manager-role.yaml | awk '
		function flush() {
			if (rule ~ /\n  - pods\/log\n/) { rule = "{{- if .Values.drainLogs }}\n" rule "{{- end }}\n"; found = 1 }
			printf "%s", rule
			rule = ""
		}
		/^- / { flush() }
		{ rule = rule $0 "\n" }
		END { flush(); exit !found }
	'
	echo '{{- if .Values.scaling.enabled }}'
	sed -n '/^rules:$/,$p' "$tmp"/scaling/rbac*_clusterrole_drain-operator-manager-role.yaml |
		awk '/^- / { rule = "" } { rule = rule $0 "\n" } END { printf "%s", rule; exit rule !~ /statefulsets\/scale/ }'
	echo '{{- end }}'
	echo '{{- end -}}'
} >$chart/templates/_rules.tpl

# Files, because Helm would take the braces in them for its own.
mkdir -p $chart/files
cp config/grafana/dashboard.json $chart/files/dashboard.json
{
	echo "# Written by \"make chart\" from config/. Do not edit."
	go tool -modfile=hack/tools/go.mod kustomize build config/prometheus |
		awk '/^---$/ { found = 0 } /^kind: PrometheusRule$/ { rules = 1 } rules && /^  groups:$/ { found = 1 } found { print substr($0, 3) }'
} >$chart/files/alerts.yaml
grep -q '^groups:$' $chart/files/alerts.yaml
