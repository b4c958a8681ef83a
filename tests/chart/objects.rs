//! What runs: Deployment, Service, volume and account.

use std::process::Command;

use serde_json::{Value, json};
use testbed::helm::Release;

use crate::{names, object, release, render, render_release};

fn pod(objects: &[Value]) -> Value {
    object(objects, "Deployment", "claviger")["spec"]["template"]["spec"].clone()
}

fn container(objects: &[Value]) -> Value {
    let pod = pod(objects);
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
    pod["containers"][0].clone()
}

fn arguments(objects: &[Value]) -> Vec<String> {
    serde_json::from_value(container(objects)["args"].clone()).unwrap()
}

#[tokio::test]
async fn a_release_is_these_objects() {
    assert_eq!(
        names(&render(json!({})).await),
        [
            "ClusterRole/claviger",
            "ClusterRole/claviger-oidcclients-edit",
            "ClusterRole/claviger-oidcclients-view",
            "ClusterRole/claviger-servicebinding",
            "ClusterRoleBinding/claviger",
            "CustomResourceDefinition/oidcclients.claviger.dev",
            "CustomResourceDefinition/oidcusers.claviger.dev",
            "Deployment/claviger",
            "PersistentVolumeClaim/claviger",
            "Pod/claviger-test",
            "Role/claviger",
            "RoleBinding/claviger",
            "Service/claviger",
            "ServiceAccount/claviger",
            "ValidatingAdmissionPolicy/claviger-secrets",
            "ValidatingAdmissionPolicy/claviger-users",
            "ValidatingAdmissionPolicyBinding/claviger-secrets",
            "ValidatingAdmissionPolicyBinding/claviger-users",
        ]
    );
}

/// Helm makes all objects at once: one of a kind that the same release brings would fail.
#[tokio::test]
async fn no_custom_resource_is_among_them() {
    for object in render(json!({})).await {
        let version = object["apiVersion"].as_str().unwrap().to_owned();
        assert!(!version.starts_with("claviger.dev/"), "{object}");
    }
}

/// A cluster-wide object of one release never has the name of another release's.
#[tokio::test]
async fn another_release_has_names_of_its_own() {
    let cluster_wide = [
        "ClusterRole/",
        "ClusterRoleBinding/",
        "ValidatingAdmissionPolicy/",
        "ValidatingAdmissionPolicyBinding/",
    ];
    let default = names(&render(json!({})).await);
    let other = Release {
        name: "id".to_owned(),
        namespace: "sso".to_owned(),
        ..release(json!({}))
    };
    let objects = render_release(&other).await;
    for name in names(&objects) {
        if cluster_wide.iter().any(|kind| name.starts_with(kind)) {
            assert!(!default.contains(&name), "{name}");
        }
    }
    // claviger tells its own policy by the beginning of its name, whatever the release is called.
    object(
        &objects,
        "ValidatingAdmissionPolicy",
        "claviger-secrets-id-claviger",
    );
    let policy = object(
        &objects,
        "ValidatingAdmissionPolicyBinding",
        "claviger-secrets-id-claviger",
    );
    assert_eq!(policy["spec"]["policyName"], "claviger-secrets-id-claviger");
    assert_eq!(
        object(&objects, "Deployment", "id-claviger")["metadata"]["namespace"],
        "sso"
    );
}

#[tokio::test]
async fn claviger_is_started_with_the_values() {
    assert_eq!(
        arguments(&render(json!({})).await),
        [
            "serve",
            "--issuer=https://id.example.org",
            "--listen=0.0.0.0:8080",
            "--admin-listen=0.0.0.0:9090",
            "--store=sled:/var/lib/claviger/store",
            "--keyring=secret:claviger-keyring",
            "--namespace=claviger",
            "--log-format=json",
            "--log=info",
        ]
    );
    let objects = render(json!({
        "issuer": "https://example.org/sso",
        "watchNamespaces": ["team-a", "team-b"],
        "keyring": { "secretName": "keys", "signingKeyRotation": "30d" },
        "persistence": { "recover": true },
        "trustedProxies": ["10.0.0.0/8", "fd00::/8"],
        "rateLimits": { "login": "5/s:20", "client": "off" },
        "clients": { "allowOwnClientIds": true, "allowConsentSkip": true, "healInterval": "10m" },
        "logging": { "format": "text", "filter": "info,claviger=debug" },
    }))
    .await;
    let arguments = arguments(&objects);
    for argument in [
        "--issuer=https://example.org/sso",
        "--keyring=secret:keys",
        "--recover-store",
        "--signing-key-rotation=30d",
        "--heal-interval=10m",
        "--allow-own-client-ids",
        "--allow-consent-skip",
        "--trusted-proxies=10.0.0.0/8,fd00::/8",
        "--rate-limit-client=off",
        "--rate-limit-login=5/s:20",
        "--watch-namespaces=team-a,team-b",
        "--log-format=text",
        "--log=info,claviger=debug",
    ] {
        assert!(
            arguments.iter().any(|given| given == argument),
            "{argument} in {arguments:?}"
        );
    }
}

/// The binary knows every flag that the chart uses and takes every value; `--help` at the end keeps it from serving.
#[tokio::test]
async fn the_binary_takes_these_arguments() {
    let objects = render(json!({
        "watchNamespaces": ["team-a", "team-b"],
        "keyring": { "signingKeyRotation": "30d" },
        "clients": { "allowOwnClientIds": true, "allowConsentSkip": true, "healInterval": "10m" },
        "trustedProxies": ["10.0.0.0/8", "fd00::/8"],
        "rateLimits": { "authorize": "5/s:20", "login": "5/s:20", "token": "5/s:20", "client": "off", "introspection": "off" },
        "persistence": { "recover": true },
        "tls": { "enabled": true, "secretName": "mine" },
    }))
    .await;
    let run = |arguments: &[String]| {
        let output = Command::new(env!("CARGO_BIN_EXE_claviger"))
            .args(arguments)
            .arg("--help")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), errors)
    };
    let mut arguments = arguments(&objects);
    let (taken, errors) = run(&arguments);
    assert!(taken, "{errors}");
    arguments.push("--no-such-flag".to_owned());
    let (taken, errors) = run(&arguments);
    assert!(!taken && errors.contains("--no-such-flag"), "{errors}");
}

#[tokio::test]
async fn the_pod_has_no_more_rights_than_it_needs() {
    let objects = render(json!({})).await;
    let pod = pod(&objects);
    assert_eq!(
        pod["securityContext"],
        json!({
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        })
    );
    assert_eq!(
        container(&objects)["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        })
    );
    assert_eq!(pod["serviceAccountName"], "claviger");
    // The variables of Services would be taken for settings.
    assert_eq!(pod["enableServiceLinks"], false);
    let account = object(&objects, "ServiceAccount", "claviger");
    assert_eq!(account["automountServiceAccountToken"], false);
    assert_eq!(pod["automountServiceAccountToken"], true);
}

#[tokio::test]
async fn one_process_at_a_time_has_the_store() {
    let objects = render(json!({})).await;
    let spec = &object(&objects, "Deployment", "claviger")["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["strategy"], json!({ "type": "Recreate" }));
    assert_eq!(
        container(&objects)["volumeMounts"],
        json!([
            { "name": "store", "mountPath": "/var/lib/claviger" },
            { "name": "run", "mountPath": "/run/claviger" },
        ])
    );
    assert_eq!(
        pod(&objects)["volumes"],
        json!([
            { "name": "store", "persistentVolumeClaim": { "claimName": "claviger" } },
            { "name": "run", "emptyDir": {} },
        ])
    );
    let none = render(json!({ "replicaCount": 0 })).await;
    assert_eq!(object(&none, "Deployment", "claviger")["spec"]["replicas"], 0);
}

#[tokio::test]
async fn probes_ask_the_second_port() {
    let container = container(&render(json!({})).await);
    let port = |name: &str| {
        let ports = container["ports"].as_array().unwrap();
        ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].clone()
    };
    assert_eq!((port("http"), port("admin")), (json!(8080), json!(9090)));
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        assert_eq!(
            container[probe]["httpGet"],
            json!({ "path": path, "port": "admin" })
        );
    }
}

#[tokio::test]
async fn the_service_reaches_the_public_port_of_the_pod_only() {
    let objects = render(json!({ "service": { "port": 8000, "annotations": { "a": "b" } } })).await;
    let service = object(&objects, "Service", "claviger");
    assert_eq!(
        service["spec"]["ports"],
        json!([{ "name": "http", "port": 8000, "targetPort": "http" }])
    );
    assert_eq!(service["spec"]["type"], "ClusterIP");
    assert_eq!(service["metadata"]["annotations"], json!({ "a": "b" }));
    let deployment = object(&objects, "Deployment", "claviger");
    let labels = deployment["spec"]["template"]["metadata"]["labels"]
        .as_object()
        .unwrap();
    for selector in [
        &service["spec"]["selector"],
        &deployment["spec"]["selector"]["matchLabels"],
    ] {
        let selector = selector.as_object().unwrap();
        assert!(!selector.is_empty());
        assert!(
            selector.iter().all(|(key, value)| labels.get(key) == Some(value)),
            "{selector:?}"
        );
    }
}

#[tokio::test]
async fn the_volume_is_the_administrators_choice() {
    let claim = |objects: &[Value]| object(objects, "PersistentVolumeClaim", "claviger")["spec"].clone();
    let objects = render(json!({ "persistence": { "size": "5Gi", "storageClass": "fast" } })).await;
    assert_eq!(
        claim(&objects),
        json!({
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": { "requests": { "storage": "5Gi" } },
        })
    );
    let objects = render(json!({})).await;
    assert_eq!(claim(&objects).get("storageClassName"), None);
    let objects = render(json!({ "persistence": { "storageClass": "-" } })).await;
    assert_eq!(claim(&objects)["storageClassName"], "");

    let no_claim = |objects: &[Value]| {
        objects
            .iter()
            .all(|object| object["kind"] != "PersistentVolumeClaim")
    };
    let objects = render(json!({ "persistence": { "existingClaim": "mine" } })).await;
    assert!(no_claim(&objects));
    assert_eq!(
        pod(&objects)["volumes"][0]["persistentVolumeClaim"]["claimName"],
        "mine"
    );
    let objects = render(json!({ "persistence": { "enabled": false } })).await;
    assert!(no_claim(&objects));
    assert_eq!(
        pod(&objects)["volumes"],
        json!([{ "name": "store", "emptyDir": {} }, { "name": "run", "emptyDir": {} }])
    );
}

#[tokio::test]
async fn the_image_is_the_administrators_choice() {
    let image = async |values: Value| container(&render(values).await)["image"].clone();
    assert_eq!(image(json!({})).await, "claviger:0.1.0");
    assert_eq!(
        image(json!({ "image": { "repository": "registry.example.org/claviger", "tag": "edge" } })).await,
        "registry.example.org/claviger:edge"
    );
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(
        image(json!({ "image": { "tag": "edge", "digest": digest } })).await,
        format!("claviger@{digest}")
    );
}

/// Image and chart are of the same version as the binary.
#[test]
fn the_chart_is_of_the_binarys_version() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/claviger/Chart.yaml");
    let chart: Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn pods_are_placed_as_wanted() {
    let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [] } } });
    let objects = render(json!({
        "nodeSelector": { "disk": "ssd" },
        "tolerations": [{ "key": "infra", "operator": "Exists", "effect": "NoSchedule" }],
        "affinity": affinity,
        "priorityClassName": "high",
        "imagePullSecrets": [{ "name": "registry" }],
        "podLabels": { "team": "id", "app.kubernetes.io/name": "other" },
        "podAnnotations": { "note": "x" },
        "resources": { "limits": { "memory": "1Gi" } },
    }))
    .await;
    let pod = pod(&objects);
    assert_eq!(pod["nodeSelector"], json!({ "disk": "ssd" }));
    assert_eq!(
        pod["tolerations"],
        json!([{ "key": "infra", "operator": "Exists", "effect": "NoSchedule" }])
    );
    assert_eq!(pod["affinity"], affinity);
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "registry" }]));
    assert_eq!(pod["containers"][0]["resources"]["limits"]["memory"], "1Gi");
    let metadata = &object(&objects, "Deployment", "claviger")["spec"]["template"]["metadata"];
    assert_eq!(metadata["labels"]["team"], "id");
    assert_eq!(
        metadata["labels"]["app.kubernetes.io/name"], "claviger",
        "the selector's labels are not to be changed"
    );
    assert_eq!(metadata["annotations"], json!({ "note": "x" }));
}

/// What no value of its own stands for can still be said.
#[tokio::test]
async fn a_release_can_be_added_to() {
    let objects = render(json!({
        "commonLabels": { "team": "id", "app.kubernetes.io/name": "other" },
        "podLabels": { "team": "pods" },
        "extraArgs": ["--some-flag=a b"],
        "extraEnv": [{ "name": "HTTPS_PROXY", "value": "http://proxy:3128" }],
        "extraVolumes": [{ "name": "more", "emptyDir": {} }],
        "extraVolumeMounts": [{ "name": "more", "mountPath": "/more" }],
        "extraObjects": [
            { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "{{ verbatim }}" } },
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'of-{{ .Release.Name }}'}",
        ],
    }))
    .await;
    let container = container(&objects);
    assert_eq!(arguments(&objects).last().unwrap(), "--some-flag=a b");
    assert_eq!(
        container["env"],
        json!([
            { "name": "CLAVIGER_ADMIN_SOCKET", "value": "/run/claviger/admin.sock" },
            { "name": "HTTPS_PROXY", "value": "http://proxy:3128" },
        ])
    );
    assert_eq!(
        container["volumeMounts"][2],
        json!({ "name": "more", "mountPath": "/more" })
    );
    assert_eq!(
        pod(&objects)["volumes"][2],
        json!({ "name": "more", "emptyDir": {} })
    );
    object(&objects, "ConfigMap", "{{ verbatim }}");
    object(&objects, "ConfigMap", "of-claviger");
    for object in &objects {
        let kind = object["kind"].as_str().unwrap();
        if kind == "CustomResourceDefinition" || kind == "ConfigMap" {
            continue;
        }
        assert_eq!(object["metadata"]["labels"]["team"], "id", "{object}");
        // The pod of `helm test` is none of claviger's.
        let name = if kind == "Pod" {
            "claviger-test"
        } else {
            "claviger"
        };
        assert_eq!(
            object["metadata"]["labels"]["app.kubernetes.io/name"], name,
            "{object}"
        );
    }
    let deployment = object(&objects, "Deployment", "claviger");
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["labels"]["team"],
        "pods"
    );
    assert_eq!(
        deployment["spec"]["selector"]["matchLabels"]
            .as_object()
            .unwrap()
            .len(),
        2
    );
}
