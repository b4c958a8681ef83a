{{/* The release's name with "claviger" in it. */}}
{{- define "claviger.fullname" -}}
{{- if contains "claviger" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-claviger" (.Release.Name | trunc 43 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/*
Policies are cluster-wide and keep a fixed beginning, since claviger tells a denial by its own policy from others by
the policy's name: "claviger-secrets", and for a release of another name "claviger-secrets-<name>".
*/}}
{{- define "claviger.policyname" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $fullname := include "claviger.fullname" $root -}}
{{- if eq $fullname "claviger" -}}{{ $name }}{{- else -}}{{ $name }}-{{ $fullname }}{{- end -}}
{{- end -}}

{{- define "claviger.serviceaccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "claviger.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | required "serviceAccount.name is required when serviceAccount.create is false" -}}
{{- end -}}
{{- end -}}

{{/* The account's name as the API server and the policies see it. */}}
{{- define "claviger.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "claviger.serviceaccount" . }}
{{- end -}}

{{- define "claviger.selector" -}}
app.kubernetes.io/name: claviger
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "claviger.labels" -}}
{{ include "claviger.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
