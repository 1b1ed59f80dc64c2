{{- /* Written by "make chart" from config/. Do not edit. */ -}}
{{- define "drain-operator.managerRules" -}}
rules:
- apiGroups:
  - ""
  resources:
  - persistentvolumeclaims
  verbs:
  - delete
  - get
  - list
  - patch
  - watch
- apiGroups:
  - ""
  resources:
  - pods
  verbs:
  - create
  - delete
  - get
  - list
  - patch
  - watch
{{- if .Values.drainLogs }}
- apiGroups:
  - ""
  resources:
  - pods/log
  verbs:
  - get
{{- end }}
- apiGroups:
  - apps
  resources:
  - statefulsets
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - apps
  resources:
  - statefulsets/finalizers
  verbs:
  - update
- apiGroups:
  - batch
  resources:
  - jobs
  verbs:
  - create
  - delete
  - list
  - watch
- apiGroups:
  - drain.statefulset.dev
  resources:
  - drainpolicies
  verbs:
  - create
  - delete
  - get
  - list
  - patch
  - watch
- apiGroups:
  - drain.statefulset.dev
  resources:
  - drainpolicies/finalizers
  verbs:
  - update
- apiGroups:
  - drain.statefulset.dev
  resources:
  - drainpolicies/status
  verbs:
  - patch
- apiGroups:
  - drain.statefulset.dev
  resources:
  - drainrecords
  verbs:
  - create
  - delete
  - get
  - list
  - update
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
  - patch
{{- if .Values.scaling.enabled }}
- apiGroups:
  - apps
  resources:
  - statefulsets/scale
  verbs:
  - update
{{- end }}
{{- end -}}
