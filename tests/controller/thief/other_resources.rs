//! What the thief tries on everything else: whatever leads to a Secret by another way, or to more rights.

use serde_json::{Value, json};
use testbed::raw::Call;

use super::{Attempt, Expected, HOME, VAULT};
use crate::owned_secret::resources;

const MERGE: &str = "application/merge-patch+json";

pub(super) fn all() -> Vec<Attempt> {
    let refused = [
        other_objects(),
        more_rights(),
        other_identities(),
        pods(),
        its_own_resources(),
        events(),
    ];
    let mut attempts = refused
        .into_iter()
        .flatten()
        .map(|call| Attempt::new("leaves its lane", call, Expected::MissingRight))
        .collect::<Vec<_>>();
    attempts.extend(what_is_given());
    attempts
}

/// All verbs on one object and its collection.
fn every_verb(collection: &str, name: &str) -> Vec<Call> {
    let one = format!("{collection}/{name}");
    vec![
        Call::get(collection),
        Call::get(format!("{collection}?watch=1&timeoutSeconds=1")),
        Call::post(collection, json!({})),
        Call::delete(collection),
        Call::get(&*one),
        Call::put(&*one, json!({})),
        Call::patch(&*one, MERGE, json!({})),
        Call::patch(&*one, MERGE, json!({})).dry_run(),
        Call::delete(&*one),
    ]
}

fn other_objects() -> Vec<Call> {
    let mut calls = Vec::new();
    for (collection, name) in [
        ("/api/v1/namespaces/vault/configmaps", "config"),
        ("/api/v1/namespaces/vault/services", "web"),
        (
            "/api/v1/namespaces/kube-system/configmaps",
            "extension-apiserver-authentication",
        ),
        ("/apis/apps/v1/namespaces/claviger/deployments", "claviger"),
        (
            "/apis/coordination.k8s.io/v1/namespaces/claviger/leases",
            "claviger",
        ),
        ("/apis/networking.k8s.io/v1/namespaces/vault/ingresses", "web"),
        ("/api/v1/nodes", "node"),
        ("/api/v1/persistentvolumes", "volume"),
    ] {
        calls.extend(every_verb(collection, name));
    }
    // Of a ServiceAccount it may read that it is there, by name and no other way.
    let accounts = "/api/v1/namespaces/vault/serviceaccounts";
    calls.extend(
        every_verb(accounts, "default")
            .into_iter()
            .filter(|call| call.to_string() != format!("GET {accounts}/default")),
    );
    calls.push(Call::get("/api/v1/serviceaccounts"));
    calls.extend(["/openid/v1/", "/.well-known/"].map(Call::get));
    // Of all namespaces it may read one.
    calls.extend(every_verb("/api/v1/namespaces", VAULT).into_iter().chain([
        Call::put("/api/v1/namespaces/vault/finalize", json!({})),
        Call::patch("/api/v1/namespaces/kube-system", MERGE, json!({})),
        Call::delete("/api/v1/namespaces/kube-system"),
    ]));
    calls.extend(["/metrics", "/logs/", "/debug/pprof/", "/configz"].map(Call::get));
    calls
}

fn more_rights() -> Vec<Call> {
    let mut calls = Vec::new();
    for (collection, name) in [
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "claviger"),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "claviger",
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/claviger/roles",
            "claviger",
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/claviger/rolebindings",
            "claviger",
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            "claviger-secrets",
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
            "claviger-secrets",
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
            "any",
        ),
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "oidcclients.claviger.dev",
        ),
        ("/apis/apiregistration.k8s.io/v1/apiservices", "v1.any"),
        ("/apis/certificates.k8s.io/v1/certificatesigningrequests", "any"),
    ] {
        calls.extend(every_verb(collection, name));
    }
    calls
}

fn other_identities() -> Vec<Call> {
    let review =
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": "x" } });
    let token = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
    let as_somebody = |name: &'static str, value: &str| {
        Call::get("/api/v1/secrets")
            .header("Impersonate-User", "somebody")
            .header(name, value)
    };
    vec![
        Call::post(
            "/api/v1/namespaces/claviger/serviceaccounts/claviger/token",
            token.clone(),
        ),
        Call::post(
            "/api/v1/namespaces/vault/serviceaccounts/default/token",
            token.clone(),
        ),
        Call::post(
            "/api/v1/namespaces/kube-system/serviceaccounts/generic-garbage-collector/token",
            token,
        ),
        Call::post("/apis/authentication.k8s.io/v1/tokenreviews", review),
        Call::post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json!({})),
        Call::post(
            "/apis/authorization.k8s.io/v1/namespaces/vault/localsubjectaccessreviews",
            json!({}),
        ),
        Call::get("/api/v1/secrets").header("Impersonate-User", "system:admin"),
        Call::get("/api/v1/secrets").header("Impersonate-User", "system:serviceaccount:kube-system:default"),
        as_somebody("Impersonate-Group", "system:masters"),
        as_somebody("Impersonate-Extra-scopes", "all"),
    ]
}

/// Who can run something in a namespace can mount its Secrets.
fn pods() -> Vec<Call> {
    let mut calls = every_verb("/api/v1/namespaces/vault/pods", "app");
    for subresource in ["exec?command=env", "attach", "portforward", "eviction", "binding"] {
        calls.push(Call::post(
            format!("/api/v1/namespaces/vault/pods/app/{subresource}"),
            json!({}),
        ));
    }
    for path in [
        "/api/v1/namespaces/vault/pods/app/log",
        "/api/v1/namespaces/vault/pods/app/proxy/",
        "/api/v1/namespaces/vault/services/web/proxy/",
        "/api/v1/nodes/node/proxy/configz",
    ] {
        calls.push(Call::get(path));
    }
    calls.push(Call::patch(
        "/api/v1/namespaces/vault/pods/app/ephemeralcontainers",
        MERGE,
        json!({}),
    ));
    for (group, kind) in [
        ("apps", "deployments"),
        ("apps", "daemonsets"),
        ("apps", "statefulsets"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
    ] {
        calls.push(Call::post(
            format!("/apis/{group}/v1/namespaces/vault/{kind}"),
            json!({}),
        ));
    }
    calls
}

/// Its own kinds: it lists clients and writes their status, and the same of users at home.
fn its_own_resources() -> Vec<Call> {
    let mut calls = Vec::new();
    for (namespace, plural, name) in [(VAULT, "oidcclients", "shop"), (HOME, "oidcusers", "alice")] {
        let collection = resources(namespace, plural);
        calls.extend([
            Call::post(&*collection, json!({})),
            Call::delete(&*collection),
            Call::put(format!("{collection}/{name}"), json!({})),
            Call::patch(format!("{collection}/{name}"), MERGE, json!({ "spec": {} })),
            Call::delete(format!("{collection}/{name}")),
            Call::get(format!("{collection}/{name}")),
            Call::get(format!("{collection}/{name}/status")),
            Call::put(format!("{collection}/{name}/status"), json!({})),
        ]);
    }
    let elsewhere = resources(VAULT, "oidcusers");
    calls.extend(every_verb(&elsewhere, "any"));
    calls.push(Call::patch(format!("{elsewhere}/any/status"), MERGE, json!({})));
    calls.push(Call::get("/apis/claviger.dev/v1alpha1/oidcusers"));
    calls
}

/// Events tell what happens in a namespace: it leaves its own and reads nobody's.
fn events() -> Vec<Call> {
    let mut calls = every_verb("/api/v1/namespaces/vault/events", "any");
    calls.extend(
        every_verb("/apis/events.k8s.io/v1/namespaces/vault/events", "any")
            .into_iter()
            .filter(|call| !call.to_string().starts_with("POST ")),
    );
    calls.push(Call::get("/api/v1/events"));
    calls.push(Call::get(
        "/apis/events.k8s.io/v1/events?watch=1&timeoutSeconds=1",
    ));
    calls
}

/// What the roles give, used to the full. A status is no way to the rest of the object.
fn what_is_given() -> Vec<Attempt> {
    let status = format!("{}/shop/status", resources(VAULT, "oidcclients"));
    let everything: Value = json!({
        "metadata": {
            "labels": { "stolen": "yes" },
            "annotations": { "stolen": "yes" },
            "finalizers": ["claviger.dev/hold"],
            "ownerReferences": [{ "apiVersion": "v1", "kind": "ConfigMap", "name": "config", "uid": "1" }],
        },
        "spec": { "redirectUris": ["https://thief.example.org/"], "suspend": true },
        "status": { "clientId": "stolen" },
    });
    let event = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": { "name": "left-behind" },
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "claviger.dev/claviger",
        "reportingInstance": "thief",
        "action": "Steal",
        "reason": "Stolen",
        "type": "Normal",
        "regarding": { "kind": "OidcClient", "namespace": VAULT, "name": "shop" },
    });
    vec![
        Attempt::new(
            "writes a status, and more with it",
            Call::patch(status, MERGE, everything),
            Expected::Taken,
        ),
        Attempt::new(
            "leaves an Event",
            Call::post("/apis/events.k8s.io/v1/namespaces/vault/events", event),
            Expected::Taken,
        ),
        Attempt::new(
            "reads the clients",
            Call::get("/apis/claviger.dev/v1alpha1/oidcclients"),
            Expected::Taken,
        ),
        Attempt::new(
            "reads the users at home",
            Call::get(resources(HOME, "oidcusers")),
            Expected::Taken,
        ),
        Attempt::new(
            "reads whether a ServiceAccount is there",
            Call::get("/api/v1/namespaces/vault/serviceaccounts/default"),
            Expected::Taken,
        ),
        Attempt::new(
            "reads the cluster's public keys",
            Call::get("/openid/v1/jwks"),
            Expected::Taken,
        ),
        Attempt::new(
            "reads kube-system's name",
            Call::get("/api/v1/namespaces/kube-system"),
            Expected::Taken,
        ),
    ]
}
