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

{{/* Of the pod of `helm test`, which must not be taken for claviger by the Service. */}}
{{- define "claviger.testselector" -}}
app.kubernetes.io/name: claviger-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "claviger.labels" -}}
{{ include "claviger.selector" . }}
{{ include "claviger.otherlabels" . }}
{{- end -}}

{{- define "claviger.otherlabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- include "claviger.commonlabels" . }}
{{- end -}}

{{/* The administrator's, each in a line of its own; those that are ours stay ours. */}}
{{- define "claviger.commonlabels" -}}
{{- range $key, $value := omit .Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "claviger.image" -}}
{{- with .Values.image -}}
image: {{ if .digest }}{{ printf "%s@%s" .repository .digest | quote }}{{ else }}{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) | quote }}{{ end }}
imagePullPolicy: {{ .pullPolicy }}
{{- end -}}
{{- end -}}

{{/* The issuer's host without a port, its path without a slash at the end. */}}
{{- define "claviger.issuerhost" -}}
{{- (urlParse .Values.issuer).hostname -}}
{{- end -}}
{{- define "claviger.issuerpath" -}}
{{- (urlParse .Values.issuer).path | trimSuffix "/" -}}
{{- end -}}

{{/* Addresses are no names of hosts, to an Ingress, a Gateway or a certificate. */}}
{{- define "claviger.isaddress" -}}
{{- if regexMatch `^([0-9.]+|.*:.*)$` (include "claviger.issuerhost" .) -}}yes{{- end -}}
{{- end -}}

{{/* What leads to claviger under the issuer's host: type and path, one a line. */}}
{{- define "claviger.paths" -}}
{{- $path := include "claviger.issuerpath" . -}}
Prefix {{ $path | default "/" }}
{{- if $path }}
Exact /.well-known/openid-configuration{{ $path }}
Exact /.well-known/oauth-authorization-server{{ $path }}
{{- end }}
{{- end -}}

{{/* Of the public port: its name says what it speaks. */}}
{{- define "claviger.scheme" -}}
{{- ternary "https" "http" .Values.tls.enabled -}}
{{- end -}}
{{- define "claviger.serviceport" -}}
{{- .Values.service.port | default (ternary 443 80 .Values.tls.enabled) -}}
{{- end -}}

{{/* The Secret that cert-manager writes. */}}
{{- define "claviger.certificatesecret" -}}
{{- .Values.certificate.secretName | default (printf "%s-tls" (include "claviger.fullname" .)) -}}
{{- end -}}

{{/* The Secret with claviger's own certificate. */}}
{{- define "claviger.tlssecret" -}}
{{- .Values.tls.secretName | default (include "claviger.certificatesecret" .) -}}
{{- end -}}
