{{- /* All names are fixed: there is one operator in a cluster, and its admission policies name its account. */ -}}
{{- define "drain-operator.name" -}}
drain-operator-controller-manager
{{- end -}}

{{- define "drain-operator.metricsName" -}}
drain-operator-controller-manager-metrics
{{- end -}}

{{- define "drain-operator.labels" -}}
app.kubernetes.io/name: drain-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The same as kustomize's, so that Helm can take over its Deployment: a selector can't be changed. */ -}}
{{- define "drain-operator.selector" -}}
app.kubernetes.io/name: drain-operator
control-plane: controller-manager
{{- end -}}

{{- define "drain-operator.image" -}}
{{- $repository := required "set image.repository to the operator's image, for example example.com/drain-operator" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* Seven eighths of the memory limit, so that the garbage collector runs before the kernel kills the manager. Nothing if the unit isn't Mi or Gi. */ -}}
{{- define "drain-operator.memoryLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString -}}
{{- if regexMatch "^[0-9]+Mi$" $limit -}}
{{ div (mul (trimSuffix "Mi" $limit | int) 7) 8 }}MiB
{{- else if regexMatch "^[0-9]+Gi$" $limit -}}
{{ div (mul (trimSuffix "Gi" $limit | int) 7168) 8 }}MiB
{{- end -}}
{{- end -}}

{{- /* Stops where the operator would begin to follow annotations, which deletes claims, and the values don't say that this is meant. */ -}}
{{- define "drain-operator.guardAnnotations" -}}
{{- if kindIs "invalid" .Values.statefulSetAnnotations -}}
{{- $help := "Set statefulSetAnnotations to false to have them ignored, or to true to have them followed. See docs/migrating.md." -}}
{{- $installed := lookup "apps/v1" "Deployment" .Release.Namespace (include "drain-operator.name" .) -}}
{{- if $installed -}}
{{- if has "--statefulset-annotations=false" (index $installed.spec.template.spec.containers 0).args -}}
{{- fail (print "The operator that is installed ignores the annotations of StatefulSets. With these values it would follow them, which deletes claims. " $help) -}}
{{- end -}}
{{- else -}}
{{- $annotated := list -}}
{{- range (lookup "apps/v1" "StatefulSet" "" "").items -}}
{{- $annotations := .metadata.annotations | default dict -}}
{{- if or (hasKey $annotations "statefulsets.kubernetes.io/scaledown-pod-template") (hasKey $annotations "statefulsets.kubernetes.io/drainer-pod-template") -}}
{{- $annotated = append $annotated (print .metadata.namespace "/" .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- if $annotated -}}
{{- fail (printf "These StatefulSets have an annotation by which the operator would drain them and delete their drained claims, also those that are orphaned already: %s. %s" (join ", " $annotated) $help) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
