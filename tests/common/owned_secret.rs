//! Secrets as claviger writes them, for tests that play its account by hand.

use serde_json::{Value, json};
use testbed::raw::Call;

/// The collection of a namespace's Secrets.
pub(crate) fn secrets(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

/// One Secret.
pub(crate) fn secret(namespace: &str, name: &str) -> String {
    format!("{}/{name}", secrets(namespace))
}

/// The collection of a namespace's resources of claviger.
pub(crate) fn resources(namespace: &str, plural: &str) -> String {
    format!("/apis/claviger.dev/v1alpha1/namespaces/{namespace}/{plural}")
}

/// The Secret of an `OidcClient`, complete.
pub(crate) fn owned_by_client(name: &str, client: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/managed-by": "claviger", "claviger.dev/client": client },
            "ownerReferences": [{
                "apiVersion": "claviger.dev/v1alpha1",
                "kind": "OidcClient",
                "name": client,
                "uid": uid,
                "controller": true,
            }],
        },
        "type": "servicebinding.io/oidc",
        "data": { "client-id": "YQ==" },
    })
}

/// The Secret with the generated password of an `OidcUser`, complete.
pub(crate) fn owned_by_user(name: &str, user: &str, uid: &str) -> Value {
    let mut secret = owned_by_client(name, user, uid);
    secret["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "claviger" });
    secret["metadata"]["ownerReferences"][0]["kind"] = "OidcUser".into();
    secret["type"] = "kubernetes.io/basic-auth".into();
    secret["data"] = json!({ "username": "YQ==", "password": "YQ==" });
    secret
}

/// The keyring, empty.
pub(crate) fn keyring(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "claviger" } },
        "type": "claviger.dev/keyring",
        "data": {},
    })
}

/// An `OidcClient`, to be made by an administrator.
pub(crate) fn make_client(namespace: &str, name: &str) -> Call {
    Call::post(
        resources(namespace, "oidcclients"),
        json!({
            "apiVersion": "claviger.dev/v1alpha1",
            "kind": "OidcClient",
            "metadata": { "name": name },
            "spec": { "redirectUris": ["https://app.example.org/callback"] },
        }),
    )
}

/// An `OidcUser`, to be made by an administrator.
pub(crate) fn make_user(namespace: &str, name: &str) -> Call {
    Call::post(
        resources(namespace, "oidcusers"),
        json!({
            "apiVersion": "claviger.dev/v1alpha1",
            "kind": "OidcUser",
            "metadata": { "name": name },
            "spec": {},
        }),
    )
}
