//! The pod of `helm test`: it asks the Service for the issuer's documents. `tests/node/` runs it.

use std::process::Command;

use serde_json::{Value, json};

use crate::{object, render};

fn arguments(pod: &Value) -> Vec<String> {
    serde_json::from_value(pod["spec"]["containers"][0]["args"].clone()).unwrap()
}

/// It runs the same image, and asks the Service under its own name and port for the issuer of the values.
#[tokio::test]
async fn it_asks_the_service_for_the_issuer() {
    let objects = render(json!({ "issuer": "https://example.org/sso", "service": { "port": 8000 } })).await;
    let pod = object(&objects, "Pod", "claviger-test");
    assert_eq!(
        arguments(pod),
        [
            "check-issuer",
            "https://example.org/sso",
            "--at=http://claviger.claviger.svc:8000",
        ]
    );
    assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
    assert_eq!(
        pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"],
        "before-hook-creation,hook-succeeded"
    );
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
    let deployment = object(&objects, "Deployment", "claviger");
    assert_eq!(
        pod["spec"]["containers"][0]["image"],
        deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    );
    // Where no pod runs there is nothing to ask.
    let none = render(json!({ "replicaCount": 0 })).await;
    assert!(none.iter().all(|object| object["kind"] != "Pod"));
}

/// With TLS of its own it trusts the CA that the Secret names, and does not see the private key.
#[tokio::test]
async fn it_sees_no_private_key() {
    let objects = render(json!({ "tls": { "enabled": true, "secretName": "mine" } })).await;
    let pod = object(&objects, "Pod", "claviger-test");
    assert_eq!(
        arguments(pod)[2..],
        [
            "--at=https://claviger.claviger.svc:443",
            "--ca-certificate=/etc/claviger/ca/ca.crt",
        ]
    );
    assert_eq!(
        pod["spec"]["volumes"],
        json!([{ "name": "ca", "secret": {
            "secretName": "mine",
            "optional": true,
            "items": [{ "key": "ca.crt", "path": "ca.crt" }],
        } }])
    );
}

/// Neither the Service, the Deployment nor the network policy takes it for claviger, and it has no account.
#[tokio::test]
async fn it_is_not_taken_for_claviger() {
    let values = json!({ "networkPolicy": { "enabled": true }, "commonLabels": { "app.kubernetes.io/name": "claviger" } });
    let objects = render(values).await;
    let pod = object(&objects, "Pod", "claviger-test");
    let labels = pod["metadata"]["labels"].as_object().unwrap();
    for selector in [
        &object(&objects, "Service", "claviger")["spec"]["selector"],
        &object(&objects, "Deployment", "claviger")["spec"]["selector"]["matchLabels"],
        &object(&objects, "NetworkPolicy", "claviger")["spec"]["podSelector"]["matchLabels"],
    ] {
        let selector = selector.as_object().unwrap();
        assert!(
            selector.iter().any(|(key, value)| labels.get(key) != Some(value)),
            "{selector:?}"
        );
    }
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    assert_eq!(pod["spec"]["serviceAccountName"], Value::Null);
}

/// The binary takes the arguments; where nobody listens, one line says so.
#[tokio::test]
async fn the_binary_takes_its_arguments() {
    for values in [
        json!({}),
        json!({ "tls": { "enabled": true, "secretName": "mine" } }),
    ] {
        let objects = render(values).await;
        let mut arguments = arguments(object(&objects, "Pod", "claviger-test"));
        let place = arguments[2].clone();
        arguments[2] = format!("{}127.0.0.1:9", &place[..place.find("claviger").unwrap()]);
        let output = Command::new(env!("CARGO_BIN_EXE_claviger"))
            .args(&arguments)
            .env_clear()
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("unable to connect to 127.0.0.1, port 9"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
