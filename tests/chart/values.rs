//! Values are checked before anything is installed, and whoever mistyped one is told which.

use std::path::Path;

use serde_json::{Value, json};
use testbed::helm::{Helm, Major, Release};

use crate::{refusals, release, render};

/// Objects whose keys are the administrator's own.
const FREE: [&str; 17] = [
    "monitoring.service.annotations",
    "monitoring.serviceMonitor.labels",
    "monitoring.rules.labels",
    "monitoring.dashboard.labels",
    "monitoring.dashboard.annotations",
    "serviceAccount.annotations",
    "service.annotations",
    "ingress.annotations",
    "httpRoute.annotations",
    "commonLabels",
    "podLabels",
    "podAnnotations",
    "nodeSelector",
    "resources.requests",
    "resources.limits",
    "affinity",
    "affinity.nodeAffinity",
];

fn chart_file(name: &str) -> String {
    std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("charts/claviger")
            .join(name),
    )
    .unwrap()
}

fn defaults() -> Value {
    serde_yaml::from_str(&chart_file("values.yaml")).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&chart_file("values.schema.json")).unwrap()
}

/// Paths of all objects of the default values, the outermost as the empty path.
fn objects(value: &Value, path: &str) -> Vec<String> {
    let mut found = vec![path.to_owned()];
    for (key, value) in value.as_object().unwrap() {
        if value.is_object() {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            found.extend(objects(value, &path));
        }
    }
    found
}

fn at_path(path: &str, value: Value) -> Value {
    path.split('.')
        .filter(|key| !key.is_empty())
        .rev()
        .fold(value, |value, key| json!({ key: value }))
}

#[tokio::test]
async fn an_unknown_key_is_refused_everywhere() {
    let paths = objects(&defaults(), "")
        .into_iter()
        .filter(|path| path == "affinity" || !FREE.contains(&path.as_str()))
        .collect::<Vec<_>>();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        for said in refusals(&release(at_path(&path, json!({ "tpyo": 1 })))).await {
            let place = if path.is_empty() { "(root)" } else { &path };
            assert!(
                said.contains(&format!("- {place}: Additional property tpyo is not allowed")),
                "{path}: {said}"
            );
        }
    }
}

#[test]
fn every_object_of_the_schema_says_what_it_may_hold() {
    fn check(schema: &Value, path: &str) {
        if schema["type"] == "object" {
            let open = schema["additionalProperties"] != json!(false);
            let declared = path == "global"
                || path.starts_with("affinity.")
                || path == "definitions.strings"
                || path == "definitions.opaque"
                || path == "definitions.quantities";
            assert_eq!(open, declared, "{path}: {schema}");
        }
        let children = schema["properties"].as_object().into_iter().flatten();
        for (key, child) in children {
            check(
                child,
                &format!("{path}.{key}")
                    .trim_start_matches('.')
                    .replace("definitions.definitions", "definitions"),
            );
        }
        if schema["items"].is_object() {
            check(&schema["items"], &format!("{path}[]"));
        }
    }
    let schema = schema();
    check(&schema, "");
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        check(definition, &format!("definitions.{name}"));
    }
}

/// What the schema takes is what `values.yaml` documents, but for `global`, which is Helm's.
#[test]
fn every_value_is_documented() {
    let schema = schema();
    let defaults = defaults();
    for path in objects(&defaults, "") {
        if FREE.contains(&path.as_str()) {
            continue;
        }
        let pointer = |separator: &str| {
            path.split('.')
                .filter(|key| !key.is_empty())
                .fold(String::new(), |all, key| format!("{all}{separator}/{key}"))
        };
        let mut known = schema
            .pointer(&format!("{}/properties", pointer("/properties")))
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "global")
            .collect::<Vec<_>>();
        let mut documented = defaults
            .pointer(&pointer(""))
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>();
        known.sort();
        documented.sort();
        assert_eq!(known, documented, "{path}");
    }
}

#[tokio::test]
async fn issuers_are_refused_with_what_to_write_instead() {
    let https_only = "plain http is allowed only on 127.0.0.1, [::1] and localhost";
    for (issuer, words) in [
        (json!(""), "issuer is required"),
        (json!(null), "issuer is required"),
        (json!("http://id.example.org"), https_only),
        (json!("http://localhost.example.org"), https_only),
        (json!("http://127.0.0.1.example.org/"), https_only),
        (json!("http://127.0.0.1:"), https_only),
        (json!("ftp://id.example.org"), https_only),
        (json!("id.example.org"), https_only),
        (json!("https://"), https_only),
        (json!("https://user@id.example.org"), https_only),
        (json!("https://id.example.org?x=1"), https_only),
        (json!("https://id.example.org/#x"), https_only),
        (json!("https://id.example.org\n--store=memory:"), https_only),
        (json!("https://id.example.org/"), "without a slash at the end"),
        (json!("https://id.example.org/sso/"), "without a slash at the end"),
        (json!(["https://id.example.org"]), "issuer: Invalid type"),
    ] {
        for said in refusals(&release(json!({ "issuer": issuer }))).await {
            assert!(said.contains(words), "{issuer}: {said}");
        }
    }
}

#[tokio::test]
async fn issuers_are_taken() {
    for issuer in [
        "https://id.example.org",
        "https://id.example.org:8443/sso/eu",
        "https://[2001:db8::1]",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://localhost",
    ] {
        render(json!({ "issuer": issuer })).await;
    }
}

#[tokio::test]
async fn bad_values_are_refused_with_their_name() {
    for (values, words) in [
        (
            json!({ "replicaCount": 2 }),
            "replicaCount 2 is refused: the embedded store belongs to one process",
        ),
        (json!({ "replicaCount": -1 }), "replicaCount: Must be greater"),
        (json!({ "replicaCount": "1" }), "replicaCount: Invalid type"),
        (
            json!({ "watchNamespaces": ["Team"] }),
            "watchNamespaces.0: Does not match",
        ),
        (
            json!({ "watchNamespaces": "team-a" }),
            "watchNamespaces: Invalid type",
        ),
        (
            json!({ "keyring": { "secretName": "a/b" } }),
            "keyring.secretName: Does not match",
        ),
        (json!({ "crds": { "keep": "yes" } }), "crds.keep: Invalid type"),
        (
            json!({ "secretPolicy": { "allowedLabels": ["a\" || true || \""] } }),
            "secretPolicy.allowedLabels.0: Does not match",
        ),
        (
            json!({ "persistence": { "size": "much" } }),
            "persistence.size: Does not match",
        ),
        (
            json!({ "image": { "digest": "latest" } }),
            "image.digest: Does not match",
        ),
        (json!({ "logging": { "format": "xml" } }), "logging.format"),
        (
            json!({ "serviceAccount": { "create": false } }),
            "serviceAccount.name is required when serviceAccount.create is false",
        ),
        (
            json!({ "extraArgs": ["--issuer=https://other.example.org"] }),
            "extraArgs: --issuer is refused, since the chart sets it: use issuer",
        ),
        (
            json!({ "extraArgs": ["--log=debug"] }),
            "extraArgs: --log is refused, since the chart sets it: use logging.filter",
        ),
        (
            json!({ "trustedProxies": ["proxy.example.org"] }),
            "trustedProxies.0: Does not match",
        ),
        (
            json!({ "clients": { "healInterval": "often" } }),
            "clients.healInterval: Does not match",
        ),
        (
            json!({ "keyring": { "signingKeyRotation": "90 days" } }),
            "keyring.signingKeyRotation: Does not match",
        ),
        (
            json!({ "clients": { "healInterval": "often" } }),
            "clients.healInterval: Does not match",
        ),
        (
            json!({ "extraEnv": [{ "name": "CLAVIGER_ADMIN_SOCKET", "value": "/tmp/x" }] }),
            "extraEnv: CLAVIGER_ADMIN_SOCKET stands for --admin-socket, which the chart sets",
        ),
        (
            json!({ "rateLimits": { "login": "5 a second" } }),
            "rateLimits.login: Does not match",
        ),
        (json!({ "extraArgs": ["issuer"] }), "extraArgs.0: Does not match"),
        (
            json!({ "extraEnv": [{ "name": "CLAVIGER_LOG_FORMAT", "value": "text" }] }),
            "extraEnv: CLAVIGER_LOG_FORMAT stands for --log-format, which the chart sets: use logging.format",
        ),
        (
            json!({ "extraEnv": [{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }] }),
            "extraEnv: A is there twice",
        ),
        (
            json!({ "extraEnv": [{ "name": "A", "valeu": "1" }] }),
            "Additional property valeu is not allowed",
        ),
        (
            json!({ "tolerations": [{ "kee": "x" }] }),
            "Additional property kee is not allowed",
        ),
    ] {
        for said in refusals(&release(values.clone())).await {
            assert!(said.contains(words), "{values}: {said}");
        }
    }
}

#[tokio::test]
async fn a_namespace_of_kubernetes_is_no_home() {
    for namespace in ["kube-system", "kube-public", "kube-node-lease"] {
        let release = Release {
            namespace: namespace.to_owned(),
            ..release(json!({}))
        };
        for said in refusals(&release).await {
            assert!(
                said.contains(&format!("the namespace {namespace} is refused")),
                "{said}"
            );
        }
    }
}

#[tokio::test]
async fn lint_finds_nothing() {
    for major in Major::ALL {
        let helm = Helm::offline_of(major).unwrap();
        let said = helm.lint(&release(json!({})).values).await.unwrap();
        assert!(said.contains("0 chart(s) failed"), "{said}");
    }
}
