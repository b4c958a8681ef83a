//! How people and apps get to claviger: Ingress, `HTTPRoute`, TLS, and who may speak to the pod.

use serde_json::{Value, json};

use crate::{names, object, refusals, release, render};

/// Values with everything that the chart can make.
pub(crate) fn everything() -> Value {
    json!({
        "issuer": "https://id.example.org/sso",
        "ingress": {
            "enabled": true,
            "className": "nginx",
            "annotations": { "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS" },
            "hosts": ["id.example.org", "*.example.com"],
        },
        "httpRoute": {
            "enabled": true,
            "annotations": { "a": "b" },
            "parentRefs": [{ "name": "public", "namespace": "gateways", "sectionName": "https" }],
        },
        "trustedProxies": ["10.0.0.0/8"],
        "egress": {
            "allow": ["10.96.0.0/12", "192.0.2.7", "fd00:10:96::/112", "2001:db8::7"],
            "extraCa": { "configMap": "corporate-ca", "key": "bundle.pem" },
        },
        "tls": { "enabled": true },
        "certificate": {
            "enabled": true,
            "issuerRef": { "name": "letsencrypt" },
            "duration": "2160h",
            "renewBefore": "720h",
        },
        "service": { "type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerClass": "example.org/lb" },
        "networkPolicy": {
            "enabled": true,
            "ingressFrom": [{ "namespaceSelector": { "matchLabels": { "a": "b" } } }],
            "monitoringFrom": [
                { "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "monitoring" } } },
            ],
            "apiServerPorts": [6443],
            "apiServerTo": [{ "ipBlock": { "cidr": "10.0.0.1/32" } }],
            "appPorts": [443, 8443],
            "extraEgress": [{ "ports": [{ "port": 4317 }] }],
        },
        "commonLabels": { "team": "id" },
        "extraEnv": [{ "name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128" }],
        "extraVolumes": [{ "name": "more", "emptyDir": {} }],
        "extraVolumeMounts": [{ "name": "more", "mountPath": "/more" }],
        "extraObjects": [{ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "more" } }],
    })
}

/// The objects of [`everything`] that a release without values does not have.
pub(crate) fn paths() -> [&'static str; 5] {
    [
        "/apis/networking.k8s.io/v1/namespaces/claviger/ingresses/claviger",
        "/apis/networking.k8s.io/v1/namespaces/claviger/networkpolicies/claviger",
        "/apis/gateway.networking.k8s.io/v1/namespaces/claviger/httproutes/claviger",
        "/apis/cert-manager.io/v1/namespaces/claviger/certificates/claviger",
        "/api/v1/namespaces/claviger/configmaps/more",
    ]
}

#[tokio::test]
async fn everything_is_these_objects_more() {
    let few = names(&render(json!({})).await);
    let all = names(&render(everything()).await);
    let more = all.iter().filter(|name| !few.contains(name)).collect::<Vec<_>>();
    assert_eq!(
        more,
        [
            "Certificate/claviger",
            "ConfigMap/more",
            "HTTPRoute/claviger",
            "Ingress/claviger",
            "NetworkPolicy/claviger",
        ]
    );
    assert_eq!(all.len(), few.len() + more.len());
}

/// The Ingress sends the issuer's host to the Service's port by its name.
#[tokio::test]
async fn an_ingress_serves_the_issuer() {
    let values = json!({ "ingress": { "enabled": true } });
    let objects = render(values).await;
    let ingress = object(&objects, "Ingress", "claviger");
    let backend = json!({ "service": { "name": "claviger", "port": { "name": "http" } } });
    assert_eq!(
        ingress["spec"],
        json!({
            "tls": [{ "hosts": ["id.example.org"] }],
            "rules": [{ "host": "id.example.org", "http": { "paths": [
                { "path": "/", "pathType": "Prefix", "backend": backend },
            ] } }],
        })
    );
    assert_eq!(
        object(&objects, "Service", "claviger")["spec"]["ports"][0]["name"],
        "http"
    );
}

/// An issuer with a path has its well-known documents before the path too (RFC 8414 section 3.1).
#[tokio::test]
async fn a_path_of_the_issuer_is_routed_with_its_documents() {
    let objects = render(everything()).await;
    let ingress = &object(&objects, "Ingress", "claviger")["spec"];
    assert_eq!(ingress["ingressClassName"], "nginx");
    assert_eq!(
        ingress["tls"],
        json!([{ "hosts": ["id.example.org", "*.example.com"], "secretName": "claviger-tls" }])
    );
    let backend = json!({ "service": { "name": "claviger", "port": { "name": "https" } } });
    let paths = json!([
        { "path": "/sso", "pathType": "Prefix", "backend": backend },
        { "path": "/.well-known/openid-configuration/sso", "pathType": "Exact", "backend": backend },
        { "path": "/.well-known/oauth-authorization-server/sso", "pathType": "Exact", "backend": backend },
    ]);
    for (rule, host) in [(0, "id.example.org"), (1, "*.example.com")] {
        assert_eq!(ingress["rules"][rule]["host"], host);
        assert_eq!(ingress["rules"][rule]["http"]["paths"], paths);
    }
    let route = object(&objects, "HTTPRoute", "claviger");
    assert_eq!(route["metadata"]["annotations"], json!({ "a": "b" }));
    assert_eq!(
        route["spec"],
        json!({
            "parentRefs": [{ "name": "public", "namespace": "gateways", "sectionName": "https" }],
            "hostnames": ["id.example.org"],
            "rules": [{
                "matches": [
                    { "path": { "type": "PathPrefix", "value": "/sso" } },
                    { "path": { "type": "Exact", "value": "/.well-known/openid-configuration/sso" } },
                    { "path": { "type": "Exact", "value": "/.well-known/oauth-authorization-server/sso" } },
                ],
                "backendRefs": [{ "name": "claviger", "port": 443 }],
            }],
        })
    );
}

/// With TLS of its own, everything of the public port says https, and the second port stays what it was.
#[tokio::test]
async fn tls_of_its_own_is_told_everywhere() {
    let objects = render(json!({ "tls": { "enabled": true, "secretName": "mine" } })).await;
    assert_eq!(
        object(&objects, "Service", "claviger")["spec"]["ports"],
        json!([{ "name": "https", "port": 443, "targetPort": "https" }])
    );
    let pod = &object(&objects, "Deployment", "claviger")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        container["ports"],
        json!([{ "name": "https", "containerPort": 8080 }, { "name": "admin", "containerPort": 9090 }])
    );
    let arguments = container["args"].as_array().unwrap();
    for argument in [
        "--tls-cert=/etc/claviger/tls/tls.crt",
        "--tls-key=/etc/claviger/tls/tls.key",
    ] {
        assert!(arguments.contains(&argument.into()), "{arguments:?}");
    }
    assert_eq!(
        container["volumeMounts"][2],
        json!({ "name": "tls", "mountPath": "/etc/claviger/tls", "readOnly": true })
    );
    assert_eq!(
        pod["volumes"][2],
        json!({ "name": "tls", "secret": { "secretName": "mine", "defaultMode": 0o440 } })
    );
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "admin");
        assert_eq!(container[probe]["httpGet"].get("scheme"), None);
    }
    // Without it there is nothing of it.
    let objects = render(json!({})).await;
    let deployment = object(&objects, "Deployment", "claviger").to_string();
    assert!(!deployment.contains("tls"), "{deployment}");
}

/// cert-manager is asked for the issuer's host, and what it writes is what is mounted.
#[tokio::test]
async fn a_certificate_is_for_the_issuers_host() {
    let objects = render(everything()).await;
    assert_eq!(
        object(&objects, "Certificate", "claviger")["spec"],
        json!({
            "secretName": "claviger-tls",
            "issuerRef": { "name": "letsencrypt", "kind": "ClusterIssuer", "group": "cert-manager.io" },
            "dnsNames": ["id.example.org", "*.example.com"],
            "usages": ["digital signature", "server auth"],
            "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
            "duration": "2160h",
            "renewBefore": "720h",
        })
    );
    let pod = &object(&objects, "Deployment", "claviger")["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][2]["secret"]["secretName"], "claviger-tls");

    let objects = render(json!({
        "issuer": "https://[2001:db8::7]:8443",
        "tls": { "enabled": true },
        "certificate": {
            "enabled": true,
            "secretName": "other",
            "issuerRef": { "name": "own", "kind": "Issuer" },
        },
    }))
    .await;
    let certificate = &object(&objects, "Certificate", "claviger")["spec"];
    assert_eq!(certificate["ipAddresses"], json!(["2001:db8::7"]));
    assert_eq!(certificate.get("dnsNames"), None);
    let pod = &object(&objects, "Deployment", "claviger")["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][2]["secret"]["secretName"], "other");
}

/// The rule for what apps are told: what is public, and what is allowed.
fn apps(ports: &[u16], allowed: &[&str]) -> Value {
    const PRIVATE: [&str; 8] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
    ];
    let ports: Vec<_> = ports.iter().map(|port| json!({ "port": port })).collect();
    let mut to = vec![
        json!({ "ipBlock": { "cidr": "0.0.0.0/0", "except": PRIVATE } }),
        json!({ "ipBlock": { "cidr": "2000::/3" } }),
    ];
    to.extend(
        allowed
            .iter()
            .map(|range| json!({ "ipBlock": { "cidr": range } })),
    );
    json!({ "ports": ports, "to": to })
}

/// The guard of rule 83 is claviger's own; a policy holds where it failed. The flags and the
/// file are the chart's.
#[tokio::test]
async fn rule_84_where_apps_are_told_is_a_value_and_a_policy() {
    let objects = render(everything()).await;
    let pod = &object(&objects, "Deployment", "claviger")["spec"]["template"]["spec"];
    let arguments = pod["containers"][0]["args"].as_array().unwrap();
    for argument in [
        "--allow-egress=10.96.0.0/12,192.0.2.7,fd00:10:96::/112,2001:db8::7",
        "--extra-ca=/etc/claviger/extra-ca/bundle.pem",
    ] {
        assert!(arguments.contains(&json!(argument)), "{argument}: {arguments:?}");
    }
    let volume = json!({ "name": "extra-ca", "configMap": { "name": "corporate-ca" } });
    assert!(pod["volumes"].as_array().unwrap().contains(&volume));
    let mount = json!({ "name": "extra-ca", "mountPath": "/etc/claviger/extra-ca", "readOnly": true });
    let mounts = &pod["containers"][0]["volumeMounts"];
    assert!(mounts.as_array().unwrap().contains(&mount));
    let objects = render(json!({ "networkPolicy": { "enabled": true, "appPorts": [] } })).await;
    let egress = &object(&objects, "NetworkPolicy", "claviger")["spec"]["egress"];
    assert_eq!(egress.as_array().unwrap().len(), 2);
    let plain = render(json!({})).await;
    let pod = object(&plain, "Deployment", "claviger").to_string();
    assert!(
        !pod.contains("extra-ca") && !pod.contains("allow-egress"),
        "{pod}"
    );
    for (values, words) in [
        (
            json!({ "egress": { "allow": ["cluster"] } }),
            "egress.allow.0: Does not match",
        ),
        (
            json!({ "egress": { "extraCa": { "configMap": "A_B" } } }),
            "egress.extraCa.configMap: Does not match",
        ),
        (
            json!({ "extraArgs": ["--allow-egress=10.0.0.0/8"] }),
            "--allow-egress is refused, since the chart sets it: use egress.allow",
        ),
        (
            json!({ "extraEnv": [{ "name": "CLAVIGER_EXTRA_CA", "value": "x" }] }),
            "CLAVIGER_EXTRA_CA stands for --extra-ca, which the chart sets: use egress.extraCa",
        ),
    ] {
        for said in refusals(&release(values.clone())).await {
            assert!(said.contains(words), "{values}: {said}");
        }
    }
}

/// The public port is for everybody, the second port for whom the values name, and claviger reaches the API server and
/// DNS.
#[tokio::test]
async fn the_network_is_open_for_what_is_needed() {
    let objects = render(json!({ "networkPolicy": { "enabled": true } })).await;
    let policy = &object(&objects, "NetworkPolicy", "claviger")["spec"];
    let dns = json!({ "ports": [{ "port": 53, "protocol": "UDP" }, { "port": 53 }] });
    assert_eq!(
        policy,
        &json!({
            "podSelector": { "matchLabels": {
                "app.kubernetes.io/name": "claviger",
                "app.kubernetes.io/instance": "claviger",
            } },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{ "ports": [{ "port": "http" }] }],
            "egress": [{ "ports": [{ "port": 443 }, { "port": 6443 }] }, dns, apps(&[443], &[])],
        })
    );
    let objects = render(everything()).await;
    let policy = &object(&objects, "NetworkPolicy", "claviger")["spec"];
    assert_eq!(
        policy["ingress"],
        json!([
            {
                "ports": [{ "port": "https" }],
                "from": [
                    { "namespaceSelector": { "matchLabels": { "a": "b" } } },
                    { "podSelector": { "matchLabels": {
                        "app.kubernetes.io/name": "claviger-test",
                        "app.kubernetes.io/instance": "claviger",
                    } } },
                ],
            },
            {
                "ports": [{ "port": "admin" }],
                "from": [{ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "monitoring" } } }],
            },
        ])
    );
    assert_eq!(
        policy["egress"],
        json!([
            { "ports": [{ "port": 6443 }], "to": [{ "ipBlock": { "cidr": "10.0.0.1/32" } }] },
            dns,
            apps(
                &[443, 8443],
                &["10.96.0.0/12", "192.0.2.7/32", "fd00:10:96::/112", "2001:db8::7/128"],
            ),
            { "ports": [{ "port": 4317 }] },
        ])
    );
}

/// What would be installed and reach nobody is refused, with what to write instead.
#[tokio::test]
async fn what_would_not_be_reached_is_refused() {
    let route = |hostnames: Value| json!({ "enabled": true, "parentRefs": [{ "name": "g" }], "hostnames": hostnames });
    let certificate = json!({ "enabled": true, "issuerRef": { "name": "letsencrypt" } });
    for (values, words) in [
        (
            json!({ "ingress": { "enabled": true, "hosts": ["a.example.org", "b.example.org"] } }),
            "ingress.hosts (a.example.org, b.example.org) is refused: it does not serve id.example.org, the host of the \
             issuer https://id.example.org, so nobody would reach claviger; add it, or leave ingress.hosts empty",
        ),
        (
            json!({ "ingress": { "enabled": true, "hosts": ["*.id.example.org"] } }),
            "it does not serve id.example.org",
        ),
        (
            json!({ "httpRoute": route(json!(["*.org"])) }),
            "httpRoute.hostnames (*.org) is refused: it does not serve id.example.org",
        ),
        (
            json!({ "httpRoute": { "enabled": true } }),
            "httpRoute.parentRefs is required with httpRoute.enabled",
        ),
        (
            json!({ "issuer": "https://192.0.2.7", "ingress": { "enabled": true } }),
            "ingress.enabled is refused with the issuer https://192.0.2.7: an Ingress serves hosts by name",
        ),
        (
            json!({ "issuer": "http://127.0.0.1:8080", "httpRoute": route(json!([])) }),
            "httpRoute.enabled is refused with the issuer http://127.0.0.1:8080",
        ),
        (
            json!({ "issuer": "http://localhost:8080", "tls": { "enabled": true, "secretName": "x" } }),
            "tls.enabled is refused with the issuer http://localhost:8080",
        ),
        (
            json!({ "tls": { "enabled": true } }),
            "tls.secretName is required with tls.enabled",
        ),
        (
            json!({ "tls": { "secretName": "x" } }),
            "tls.secretName is refused without tls.enabled=true",
        ),
        (
            json!({ "tls": { "enabled": true }, "certificate": { "enabled": true } }),
            "certificate.issuerRef.name is required with certificate.enabled",
        ),
        (
            json!({ "tls": { "enabled": true, "secretName": "x" }, "certificate": certificate }),
            "tls.secretName \"x\" is refused with certificate.enabled, whose Secret is \"claviger-tls\"",
        ),
        (
            json!({ "certificate": certificate }),
            "certificate.enabled is refused without tls.enabled or ingress with TLS",
        ),
        (
            json!({ "ingress": { "enabled": true, "tls": { "enabled": false, "secretName": "x" } } }),
            "ingress.tls.secretName is refused with ingress.tls.enabled=false",
        ),
        (
            json!({ "ingress": { "enabled": true, "hosts": ["https://id.example.org"] } }),
            "ingress.hosts.0: Does not match",
        ),
        (
            json!({ "networkPolicy": { "apiServerPorts": ["https"] } }),
            "networkPolicy.apiServerPorts.0: Invalid type",
        ),
        (
            json!({ "networkPolicy": { "ingressFrom": [{ "nameSpaceSelector": {} }] } }),
            "Additional property nameSpaceSelector is not allowed",
        ),
    ] {
        for said in refusals(&release(values.clone())).await {
            assert!(said.contains(words), "{values}: {said}");
        }
    }
    for hosts in [
        json!(["*.example.org"]),
        json!(["www.example.org", "id.example.org"]),
    ] {
        render(json!({ "ingress": { "enabled": true, "hosts": hosts } })).await;
    }
}
