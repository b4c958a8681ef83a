//! What the chart gives to people who may edit or view a namespace.

use anyhow::Result;
use serde_json::json;
use testbed::poll;
use testbed::raw::Call;

use crate::{PATIENCE, installed, make};

/// Asks whether somebody may do something in a namespace.
fn review(user: &str, namespace: &str, verb: &str, resource: &str) -> Call {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Call::post(
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "resourceAttributes": {
                    "group": "claviger.dev",
                    "resource": resource,
                    "subresource": subresource,
                    "namespace": namespace,
                    "verb": verb,
                },
            },
        }),
    )
}

/// Who may edit a namespace registers apps there and never writes their status; users are nobody's by default.
#[tokio::test(flavor = "multi_thread")]
async fn editors_write_clients_and_viewers_read_them() -> Result<()> {
    let cluster = installed()?;
    let admin = cluster.client()?;
    let namespace = cluster.temp_namespace("people").await?;
    for role in ["admin", "edit", "view"] {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": { "name": role },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role }],
        });
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings");
        make(&admin, Call::post(path, binding)).await?;
    }
    let allowed = async |user: &str, verb: &str, resource: &str| -> Result<bool> {
        let answer = review(user, &namespace, verb, resource).send(&admin).await?;
        anyhow::ensure!(answer.status == 201, "{answer}");
        Ok(answer.json()["status"]["allowed"] == true)
    };
    // Aggregation is done by a controller.
    for user in ["admin", "edit", "view"] {
        poll::until(
            &format!("{user} to be allowed to list clients"),
            PATIENCE,
            async || Ok(allowed(user, "list", "oidcclients").await?.then_some(())),
        )
        .await?;
    }
    for verb in ["get", "list", "watch"] {
        for user in ["admin", "edit", "view"] {
            assert!(allowed(user, verb, "oidcclients").await?, "{user} {verb}");
            assert!(!allowed(user, verb, "oidcusers").await?, "{user} {verb}");
        }
    }
    for verb in ["create", "update", "patch", "delete", "deletecollection"] {
        for user in ["admin", "edit"] {
            assert!(allowed(user, verb, "oidcclients").await?, "{user} {verb}");
        }
        assert!(!allowed("view", verb, "oidcclients").await?, "view {verb}");
        for user in ["admin", "edit", "view"] {
            assert!(!allowed(user, verb, "oidcclients/status").await?, "{user} {verb}");
            assert!(!allowed(user, verb, "oidcusers").await?, "{user} {verb}");
            assert!(!allowed(user, verb, "oidcusers/status").await?, "{user} {verb}");
        }
    }
    cluster.delete_namespace(&namespace).await
}
