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
{{- include "claviger.checks.reach" . -}}
{{- include "claviger.checks.tls" . -}}
{{- if and .Values.egress.extraCa.configMap (not .Values.egress.extraCa.key) -}}
{{- fail "egress.extraCa.key is required with egress.extraCa.configMap: the key of the ConfigMap with the certificates" -}}
{{- end -}}
{{- include "claviger.checks.extra" . -}}
{{- end -}}

{{/* That what leads to claviger serves the issuer's host. */}}
{{- define "claviger.checks.reach" -}}
{{- $host := include "claviger.issuerhost" . -}}
{{- range list (list "ingress" "an Ingress" "hosts") (list "httpRoute" "an HTTPRoute" "hostnames") -}}
{{- $name := index . 0 -}}
{{- $kind := index . 1 -}}
{{- $key := index . 2 -}}
{{- $values := index $.Values $name -}}
{{- $hosts := index $values $key -}}
{{- if $values.enabled -}}
{{- if include "claviger.isaddress" $ -}}
{{- fail (printf "%s.enabled is refused with the issuer %s: %s serves hosts by name, and %s is an address; give the issuer a name, or leave %s out" $name $.Values.issuer $kind $host $name) -}}
{{- end -}}
{{- $served := empty $hosts -}}
{{- range $hosts -}}
{{- if or (eq . $host) (and (hasPrefix "*." .) (eq (trimPrefix "*" .) (regexReplaceAll "^[^.]+" $host ""))) -}}
{{- $served = true -}}
{{- end -}}
{{- end -}}
{{- if not $served -}}
{{- fail (printf "%s.%s (%s) is refused: it does not serve %s, the host of the issuer %s, so nobody would reach claviger; add it, or leave %s.%s empty, which means the issuer's host" $name $key (join ", " $hosts) $host $.Values.issuer $name $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is required with httpRoute.enabled: the Gateway that serves the route, for example [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (hasPrefix "https:" .Values.issuer) (not .Values.ingress.tls.enabled) .Values.ingress.tls.secretName -}}
{{- fail "ingress.tls.secretName is refused with ingress.tls.enabled=false: it would not be used" -}}
{{- end -}}
{{- end -}}

{{/* That the certificate comes from somewhere and is used by somebody. */}}
{{- define "claviger.checks.tls" -}}
{{- with .Values.tls -}}
{{- if .enabled -}}
{{- if hasPrefix "http:" $.Values.issuer -}}
{{- fail (printf "tls.enabled is refused with the issuer %s: claviger would speak https only; write the issuer with https" $.Values.issuer) -}}
{{- end -}}
{{- if not (or .secretName $.Values.certificate.enabled) -}}
{{- fail "tls.secretName is required with tls.enabled: the Secret with tls.crt and tls.key; or let cert-manager make it with certificate.enabled" -}}
{{- end -}}
{{- else if .secretName -}}
{{- fail "tls.secretName is refused without tls.enabled=true: it would not be used; for the Ingress it is ingress.tls.secretName" -}}
{{- end -}}
{{- end -}}
{{- with .Values.certificate -}}
{{- if .enabled -}}
{{- if not .issuerRef.name -}}
{{- fail "certificate.issuerRef.name is required with certificate.enabled: the Issuer or ClusterIssuer of cert-manager that signs it" -}}
{{- end -}}
{{- $secret := include "claviger.certificatesecret" $ -}}
{{- if and $.Values.tls.enabled (ne (include "claviger.tlssecret" $) $secret) -}}
{{- fail (printf "tls.secretName %q is refused with certificate.enabled, whose Secret is %q: leave tls.secretName empty, or name the same in certificate.secretName" $.Values.tls.secretName $secret) -}}
{{- end -}}
{{- if not (or $.Values.tls.enabled (and $.Values.ingress.enabled $.Values.ingress.tls.enabled)) -}}
{{- fail "certificate.enabled is refused without tls.enabled or ingress with TLS: nobody would use the certificate (a Gateway's listener names its own)" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* That what is added to the container does not say what a value says already: claviger would refuse to start. */}}
{{- define "claviger.checks.extra" -}}
{{- $values := fromYaml (include "claviger.flags" .) -}}
{{- range .Values.extraArgs -}}
{{- $flag := regexFind "^--[a-z0-9-]+" . -}}
{{- with get $values $flag -}}
{{- fail (printf "extraArgs: %s is refused, since the chart sets it: use %s" $flag .) -}}
{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.extraEnv -}}
{{- if has .name $names -}}
{{- fail (printf "extraEnv: %s is there twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $name := .name -}}
{{- if hasPrefix "CLAVIGER_" .name -}}
{{- $flag := printf "--%s" (trimPrefix "CLAVIGER_" .name | lower | replace "_" "-") -}}
{{- with get $values $flag -}}
{{- fail (printf "extraEnv: %s stands for %s, which the chart sets: use %s" $name $flag .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The flags that the chart sets, and the values that they come from. */}}
{{- define "claviger.flags" -}}
--issuer: issuer
--listen: service.port, the pod's own port is fixed
--admin-listen: nothing, the pod's own port is fixed
--store: persistence
--recover-store: persistence.recover
--keyring: keyring.secretName
--namespace: the release's namespace
--watch-namespaces: watchNamespaces
--log-format: logging.format
--log: logging.filter
--heal-interval: clients.healInterval
--allow-own-client-ids: clients.allowOwnClientIds
--allow-consent-skip: clients.allowConsentSkip
--admin-socket: nothing, its place in the pod is fixed
--signing-key-rotation: keyring.signingKeyRotation
--trusted-proxies: trustedProxies
--allow-egress: egress.allow
--extra-ca: egress.extraCa
--rate-limit-authorize: rateLimits.authorize
--rate-limit-login: rateLimits.login
--rate-limit-token: rateLimits.token
--rate-limit-client: rateLimits.client
--rate-limit-introspection: rateLimits.introspection
--tls-cert: tls
--tls-key: tls
{{- end -}}
