//! Tokens of Kubernetes ServiceAccounts as client assertions. Here their shape; that real ones have it, and that deleted accounts
//! end, is in `tests/controller/`.

use std::collections::BTreeSet;
use std::time::Duration;

use claviger::oidc::client::{ClientAuthenticationMethod, ServiceAccount};
use claviger::oidc::client_assertion::TYPE;
use claviger::oidc::service_account_token::ClusterIssuer;
use claviger::store::Store;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{ISSUER, TestApp, TestResponse, token_request};
use crate::client_keys::{KEYS, OTHER_KEYS};
use crate::log::Log;

const CLUSTER: &str = "https://kubernetes.default.svc";
const UID: &str = "5d8e3c4e-7b1f-4a57-9c3a-6f5d2b1e8a90";

/// `team-a.shop`, whose ServiceAccounts are `shop`, which exists, and `later`, which does not.
async fn app_with_account() -> TestApp {
    let app = TestApp::new().await;
    app.store
        .note_cluster_issuer(ClusterIssuer {
            issuer: CLUSTER.to_owned(),
            jwks: KEYS.jwks(),
        })
        .await
        .unwrap();
    register(&app).await;
    app
}

async fn register(app: &TestApp) {
    app.register_client("shop", |registration| {
        registration.client.token_endpoint_auth_methods =
            BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
        registration.client.service_accounts = [("shop", Some(UID)), ("later", None)]
            .map(|(name, uid)| ServiceAccount {
                name: name.to_owned(),
                uid: uid.map(str::to_owned),
            })
            .to_vec();
        registration.initial_secret_versions.clear();
    })
    .await;
}

/// What an API server signs for a pod.
fn claims(app: &TestApp) -> Value {
    let now = app.now().as_second();
    json!({
        "iss": CLUSTER, "sub": "system:serviceaccount:team-a:shop", "aud": [ISSUER],
        "iat": now, "nbf": now, "exp": now + 3600, "jti": "1",
        "kubernetes.io": {
            "namespace": "team-a",
            "node": {"name": "node", "uid": "2"},
            "pod": {"name": "shop-0", "uid": "3"},
            "serviceaccount": {"name": "shop", "uid": UID},
            "warnafter": now + 3607,
        },
    })
}

fn signed(claims: &Value) -> String {
    KEYS.sign(&json!({"alg": "RS256", "kid": "rsa"}), claims)
}

async fn send(app: &TestApp, client_id: Option<&str>, token: &str) -> TestResponse {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", token),
    ];
    form.extend(client_id.map(|client_id| ("client_id", client_id)));
    app.send(token_request(None, &form)).await
}

async fn assert_refused(app: &TestApp, log: &Log, token: &str, why: &str) {
    let response = send(app, Some("team-a.shop"), token).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    assert_eq!(
        response.json()["error_description"],
        "client authentication failed"
    );
    let cause = log
        .lines()
        .iter()
        .rev()
        .find_map(|line| Some(line["fields"]["cause"].as_str()?.to_owned()))
        .unwrap();
    assert!(cause.contains(why), "{cause}: {why}");
}

/// A token authenticates the client that `client_id` names, as often as the app reads its file, for an hour at most.
#[tokio::test]
async fn rule_32b_a_token_of_a_service_account_authenticates_while_it_lives() {
    let (log, _guard) = Log::capture();
    let app = app_with_account().await;
    let token = signed(&claims(&app));
    for _ in 0..2 {
        let response = send(&app, Some("team-a.shop"), &token).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    }
    // It does not say itself which client it is for.
    let nameless = send(&app, None, &token).await;
    nameless.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    let told = nameless.json()["error_description"].as_str().unwrap().to_owned();
    assert!(told.starts_with("client_id is missing"), "{told}");
    send(&app, Some("team-a.nobody"), &token)
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    app.advance(Duration::from_secs(3599));
    assert_eq!(
        send(&app, Some("team-a.shop"), &token).await.status,
        StatusCode::OK
    );
    app.advance(Duration::from_secs(1));
    assert_refused(&app, &log, &token, "expired").await;
}

/// Each claim alone can make a token worthless: another issuer, audience or account, another uid, another namespace, a life of
/// more than an hour.
#[tokio::test]
async fn rule_32b_each_claim_of_a_service_accounts_token_alone_is_fatal() {
    let (log, _guard) = Log::capture();
    let app = app_with_account().await;
    let now = app.now().as_second();
    let account = |namespace: &str, name: &str, uid: &str| json!({"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}});
    let table = [
        // Not the cluster's, so it would have to be the client's own, which has no keys.
        (
            "iss",
            json!("https://other.example"),
            "its iss is not the cluster",
        ),
        ("iss", Value::Null, "its iss is not the cluster"),
        ("sub", json!("system:serviceaccount:team-b:shop"), "its sub"),
        ("sub", json!("system:serviceaccount:team-a:other"), "its sub"),
        ("sub", json!("team-a.shop"), "its sub"),
        ("sub", Value::Null, "malformed"),
        ("aud", json!([CLUSTER]), "its aud"),
        ("aud", json!([ISSUER, CLUSTER]), "its aud"),
        ("aud", json!([]), "its aud"),
        ("aud", json!(["https://id.example.org/"]), "its aud"),
        ("aud", Value::Null, "malformed"),
        ("exp", json!(now), "expired"),
        ("exp", json!(now + 3601), "longer than an hour"),
        ("exp", json!(i64::MAX), "longer than an hour"),
        ("exp", Value::Null, "malformed"),
        ("iat", json!(now - 1), "longer than an hour"),
        ("iat", json!(i64::MIN), "longer than an hour"),
        ("iat", json!(now + 31), "in the future"),
        ("iat", Value::Null, "malformed"),
        ("nbf", json!(now + 31), "in the future"),
        ("kubernetes.io", Value::Null, "malformed"),
        (
            "kubernetes.io",
            account("team-a", "shop", "other"),
            "does not exist any more",
        ),
        (
            "kubernetes.io",
            account("team-a", "shop", ""),
            "does not exist any more",
        ),
        ("kubernetes.io", account("team-b", "shop", UID), "its sub"),
        ("kubernetes.io", account("team-a", "other", UID), "its sub"),
    ];
    for (name, value, why) in &table {
        let mut claims = claims(&app);
        claims[*name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(*name);
        }
        assert_refused(&app, &log, &signed(&claims), why).await;
    }
    // The account as a whole: of another namespace, not named, named and not there.
    for (namespace, name, why) in [
        ("team-b", "shop", "another namespace"),
        ("team-a", "other", "none of spec.serviceAccounts"),
        ("team-a", "default", "none of spec.serviceAccounts"),
        ("team-a", "later", "does not exist any more"),
    ] {
        let mut claims = claims(&app);
        claims["sub"] = json!(format!("system:serviceaccount:{namespace}:{name}"));
        claims["kubernetes.io"] = account(namespace, name, UID);
        assert_refused(&app, &log, &signed(&claims), why).await;
    }
}

/// Before the controller has seen the cluster's keys nobody is authenticated, and the log says what is missing.
#[tokio::test]
async fn rule_32b_without_the_clusters_keys_nobody_is_authenticated() {
    let (log, _guard) = Log::capture();
    let app = TestApp::new().await;
    register(&app).await;
    assert_refused(
        &app,
        &log,
        &signed(&claims(&app)),
        "does not know the cluster's keys yet",
    )
    .await;
}

/// Only the cluster's keys sign such a token: not the client's own, nor a key that comes along, nor `none`.
#[tokio::test]
async fn rule_32b_only_the_cluster_signs_for_its_accounts() {
    let (log, _guard) = Log::capture();
    let app = app_with_account().await;
    let claims = claims(&app);
    let other_key = serde_json::to_value(&OTHER_KEYS.jwks()[1]).unwrap();
    for (forged, why) in [
        (
            OTHER_KEYS.sign(&json!({"alg": "RS256", "kid": "rsa"}), &claims),
            "signature",
        ),
        (
            OTHER_KEYS.sign(&json!({"alg": "ES256", "jwk": other_key}), &claims),
            "signature",
        ),
        (
            KEYS.sign(&json!({"alg": "RS256", "kid": "old"}), &claims),
            "its kid",
        ),
        (
            KEYS.sign(&json!({"alg": "HS256", "kid": "rsa"}), &claims),
            "its alg",
        ),
        (KEYS.sign(&json!({"alg": "none"}), &claims), "its alg"),
        (
            KEYS.sign(&json!({"alg": "RS256", "crit": ["x"]}), &claims),
            "crit",
        ),
        (
            KEYS.sign(&json!({"alg": "RS256", "typ": "at+jwt"}), &claims),
            "its typ",
        ),
    ] {
        assert_refused(&app, &log, &forged, why).await;
    }
    // With keys of its own a client may use both ways, and neither key makes what the other must have made.
    app.register_client("shop", |registration| {
        registration.client.token_endpoint_auth_methods =
            BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
        registration.client.service_accounts = vec![ServiceAccount {
            name: "shop".to_owned(),
            uid: Some(UID.to_owned()),
        }];
        registration.client.jwks = OTHER_KEYS.jwks();
    })
    .await;
    let now = app.now().as_second();
    let own = json!({"iss": "team-a.shop", "sub": "team-a.shop", "aud": ISSUER, "jti": "1", "exp": now + 60});
    let header = json!({"alg": "ES256"});
    assert_refused(&app, &log, &OTHER_KEYS.sign(&header, &claims), "signature").await;
    assert_refused(&app, &log, &KEYS.sign(&header, &own), "signature").await;
    for good in [KEYS.sign(&header, &claims), OTHER_KEYS.sign(&header, &own)] {
        let response = send(&app, Some("team-a.shop"), &good).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    }
}

/// A client that names no ServiceAccount is authenticated by none, whatever its keys; the cluster's keys change with the cluster.
#[tokio::test]
async fn rule_32b_accounts_and_keys_are_those_of_now() {
    let (log, _guard) = Log::capture();
    let app = app_with_account().await;
    let token = signed(&claims(&app));
    let rotated = ClusterIssuer {
        issuer: CLUSTER.to_owned(),
        jwks: OTHER_KEYS.jwks(),
    };
    assert!(app.store.note_cluster_issuer(rotated.clone()).await.unwrap());
    assert!(!app.store.note_cluster_issuer(rotated).await.unwrap());
    assert_refused(&app, &log, &token, "signature").await;
    let by_new = OTHER_KEYS.sign(&json!({"alg": "RS256"}), &claims(&app));
    assert_eq!(
        send(&app, Some("team-a.shop"), &by_new).await.status,
        StatusCode::OK
    );
    app.register_client("shop", |registration| {
        registration.client.token_endpoint_auth_methods =
            BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
        registration.client.jwks = OTHER_KEYS.jwks();
    })
    .await;
    assert_refused(&app, &log, &by_new, "its iss").await;
}
