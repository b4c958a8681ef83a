{{/*
What the schema cannot say in words that help. The first template that needs one of these values includes this.
*/}}
{{- define "claviger.checks" -}}
{{- $issuer := .Values.issuer -}}
{{- if not $issuer -}}
{{- fail "issuer is required: the URL under which people and apps reach claviger, for example --set issuer=https://id.example.org" -}}
{{- end -}}
{{- if not (regexMatch `^(https://[^/?#@\s]+|http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]+)?)(/[^?#@\s]*)?$` $issuer) -}}
{{- fail (printf "issuer %q is refused: write it like https://id.example.org or https://example.org/id, without query, fragment or user name; plain http is allowed only on 127.0.0.1, [::1] and localhost" $issuer) -}}
{{- end -}}
{{- if hasSuffix "/" $issuer -}}
{{- fail (printf "issuer %q is refused: apps compare it byte for byte, write it without a slash at the end" $issuer) -}}
{{- end -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- fail (printf "replicaCount %d is refused: the embedded store belongs to one process, so it must be 1 (or 0, to install everything but a pod)" (int .Values.replicaCount)) -}}
{{- end -}}
{{- if has .Release.Namespace (list "kube-system" "kube-public" "kube-node-lease") -}}
{{- fail (printf "the namespace %s is refused: claviger never writes a Secret there; install it into one of its own, for example --namespace claviger --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- end -}}
