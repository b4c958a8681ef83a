//! claviger killed in the middle of a reconcile, as by `kill -9`: the real binary, built with the feature `fail-points`
//! (`cargo test --features fail-points --test crashes`).
#![expect(
    clippy::unwrap_used,
    reason = "what fails here is a failed test, in a function of its own or not"
)]

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use testbed::{Installation, InstallationOptions, poll};

const PATIENCE: Duration = Duration::from_mins(1);
const FAIL_POINT: &str = "CLAVIGER_FAIL_POINT";

/// Wherever claviger is killed, the next start finishes the work: one Secret, whose value authenticates, and a status that
/// says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_reconcile_leaves_one_secret_that_authenticates() {
    let options = InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"));
    let mut installation = Installation::start(options).await.unwrap();
    let namespace = installation.cluster.temp_namespace("crash").await.unwrap();
    let clients = clients(&installation, &namespace);
    for point in [
        "before-register",
        "after-register",
        "after-secret",
        "after-status",
    ] {
        let claviger = &mut installation.claviger;
        claviger.options().environment = vec![(FAIL_POINT.to_owned(), point.to_owned())];
        claviger.restart().await.unwrap();
        create(&clients, point).await;
        let died = claviger.process().wait_for_exit(PATIENCE).unwrap();
        assert!(!died.success(), "{point}: {died}");

        claviger.options().environment.clear();
        claviger.restart().await.unwrap();
        let resource = poll::until("the client to be ready", PATIENCE, async || {
            let resource = clients.get(point).await?;
            Ok(is_ready(&resource).then_some(resource))
        })
        .await
        .unwrap();

        let uid = resource.metadata.uid.unwrap();
        let owned = owned_secrets(&installation, &namespace, &uid).await;
        assert_eq!(owned.len(), 1, "{point}");
        let secret_ref = &resource.data["status"]["secretRef"];
        assert_eq!(secret_ref["uid"], json!(owned[0].metadata.uid), "{point}");
        assert!(authenticates(&installation, &owned[0]).await, "{point}");
    }
}

fn clients(installation: &Installation, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("claviger.dev", "v1alpha1", "OidcClient"));
    Api::namespaced_with(installation.cluster.client().unwrap(), namespace, &resource)
}

async fn create(clients: &Api<DynamicObject>, name: &str) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("claviger.dev", "v1alpha1", "OidcClient"));
    let mut client = DynamicObject::new(name, &resource);
    client.data = json!({"spec": {"redirectUris": ["https://app.example.org/callback"]}});
    clients.create(&PostParams::default(), &client).await.unwrap();
}

fn is_ready(resource: &DynamicObject) -> bool {
    resource.data["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        })
}

async fn owned_secrets(installation: &Installation, namespace: &str, uid: &str) -> Vec<Secret> {
    let secrets: Api<Secret> = Api::namespaced(installation.cluster.client().unwrap(), namespace);
    let all = secrets.list(&ListParams::default()).await.unwrap();
    all.into_iter()
        .filter(|secret| {
            let owners = secret.metadata.owner_references.iter().flatten();
            owners.into_iter().any(|owner| owner.uid == uid)
        })
        .collect()
}

/// A code that nobody issued is `invalid_grant` for a client that has authenticated, and `invalid_client` (RFC 6749 section
/// 5.2) for one that has not; the second is tried too, so that the first says something.
async fn authenticates(installation: &Installation, secret: &Secret) -> bool {
    let value = |key: &str| {
        let data = secret.data.as_ref().unwrap();
        String::from_utf8(data[key].0.clone()).unwrap()
    };
    let (client_id, client_secret) = (value("client-id"), value("client-secret"));
    let right = token_error(installation, &client_id, &client_secret).await;
    let wrong = token_error(installation, &client_id, &format!("{client_secret}x")).await;
    assert_eq!(wrong, "invalid_client");
    right == "invalid_grant"
}

async fn token_error(installation: &Installation, client_id: &str, client_secret: &str) -> String {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", "nobody-issued-this"),
        ("redirect_uri", "https://app.example.org/callback"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer: Value = http
        .post(installation.claviger.url("/api/token/v2"))
        .basic_auth(client_id, Some(client_secret))
        .form(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    answer["error"].as_str().unwrap_or_default().to_owned()
}
