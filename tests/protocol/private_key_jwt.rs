//! `private_key_jwt` (RFC 7523): what a client signs in place of a secret.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use claviger::oidc::client::ClientAuthenticationMethod;
use claviger::oidc::client_assertion::TYPE;
use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use claviger::store::sled::{SledSettings, SledStore};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::app::{ISSUER, TestApp, TestResponse, basic, client_request, secret, token_request};
use crate::browser::REQUEST;
use crate::client_keys::{ClientKeys, KEYS, OTHER_KEYS};
use crate::clock::TestClock;
use crate::faulty_store::FaultyStore;
use crate::log::Log;

/// A client that registers `keys` and nothing else.
async fn register(app: &TestApp, name: &str, keys: &ClientKeys) {
    app.register_client(name, |registration| {
        registration.client.token_endpoint_auth_methods =
            BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
        registration.client.jwks = keys.jwks();
        registration.initial_secret_versions.clear();
    })
    .await;
}

async fn app_with_keys() -> TestApp {
    let app = TestApp::new().await;
    register(&app, "shop", &KEYS).await;
    app
}

/// The claims of an assertion that has nothing wrong with it.
fn claims(app: &TestApp, jti: &str) -> Value {
    let now = app.now().as_second();
    json!({
        "iss": "team-a.shop", "sub": "team-a.shop", "aud": ISSUER, "jti": jti,
        "iat": now, "nbf": now, "exp": now + 60,
    })
}

/// [`claims`] with one of them replaced, or (by null) left out.
fn claims_with(app: &TestApp, jti: &str, name: &str, value: &Value) -> Value {
    let mut claims = claims(app, jti);
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value.clone();
    }
    claims
}

fn signed(claims: &Value) -> String {
    KEYS.sign(&json!({"alg": "ES256", "kid": "ec"}), claims)
}

fn form(assertion: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ]
}

fn request(assertion: &str) -> Request<Body> {
    token_request(None, &form(assertion))
}

async fn send(app: &TestApp, assertion: &str) -> TestResponse {
    app.send(request(assertion)).await
}

/// Why the last request was refused, as the log says it.
fn cause(log: &Log) -> String {
    log.lines()
        .iter()
        .rev()
        .find_map(|line| Some(line["fields"]["cause"].as_str()?.to_owned()))
        .unwrap()
}

/// Asserts that `assertion` is refused as one of `team-a.shop`, because of `why`, and tells the client nothing of it.
async fn assert_refused(app: &TestApp, log: &Log, assertion: &str, why: &str) {
    let mut form = form(assertion);
    form.push(("client_id", "team-a.shop"));
    let response = app.send(token_request(None, &form)).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    assert_eq!(
        response.json()["error_description"],
        "client authentication failed",
        "{why}"
    );
    assert_eq!(response.header("www-authenticate"), None);
    let cause = cause(log);
    assert!(cause.contains(why), "{cause}: {why}");
}

/// What a registered key has signed authenticates, by any algorithm of the key, with and without `kid`, `typ` and
/// `client_id`, at every endpoint at which clients do.
#[tokio::test]
async fn rule_32_an_assertion_of_a_registered_key_authenticates() {
    let app = app_with_keys().await;
    let headers = [
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "kid": "ec"}),
        json!({"alg": "ES256", "typ": "JWT"}),
        json!({"alg": "ES256", "typ": "client-authentication+jwt"}),
        json!({"alg": "RS256", "kid": "rsa"}),
        json!({"alg": "PS256", "kid": "rsa"}),
        json!({"alg": "EdDSA", "kid": "ed25519"}),
    ];
    for (number, header) in headers.iter().enumerate() {
        let assertion = KEYS.sign(header, &claims(&app, &number.to_string()));
        let response = send(&app, &assertion).await;
        assert_eq!(response.status, StatusCode::OK, "{header}: {}", response.text());
    }
    let endpoints = [
        ("/api/token/v2", StatusCode::OK),
        ("/api/introspect", StatusCode::OK),
        ("/api/revoke", StatusCode::OK),
        ("/api/par", StatusCode::CREATED),
        ("/api/device", StatusCode::OK),
    ];
    for (number, (path, status)) in endpoints.into_iter().enumerate() {
        let assertion = signed(&claims(&app, &format!("at {number}")));
        let mut form = form(&assertion);
        form.extend([("client_id", "team-a.shop"), ("token", "x")]);
        if ["/api/par", "/api/device"].contains(&path) {
            form.extend(REQUEST.into_iter().filter(|(name, _)| *name != "client_id"));
        }
        let response = app.send(client_request(path, None, &form)).await;
        assert_eq!(response.status, status, "{path}: {}", response.text());
    }
    let without = claims_with(&app, "no times", "iat", &Value::Null);
    assert_eq!(send(&app, &signed(&without)).await.status, StatusCode::OK);
}

/// Each claim alone can make an assertion worthless: `iss` and `sub` are the client, `aud` is the issuer as a single string,
/// `exp` is there and near, nothing begins in the future, and `jti` names it.
#[tokio::test]
async fn rule_32_each_claim_alone_is_fatal() {
    let (log, _guard) = Log::capture();
    let app = app_with_keys().await;
    register(&app, "blog", &KEYS).await;
    let now = app.now().as_second();
    let table = [
        ("iss", Value::Null, "its iss"),
        ("iss", json!("team-a.blog"), "its iss"),
        ("iss", json!(["team-a.shop"]), "malformed"),
        ("sub", json!("team-a.blog"), "its sub"),
        ("sub", Value::Null, "its sub"),
        ("aud", Value::Null, "no aud"),
        ("aud", json!("https://id.example.org/"), "its aud"),
        ("aud", json!("https://id.example.org/api/token/v2"), "its aud"),
        ("aud", json!("team-a.shop"), "its aud"),
        ("aud", json!([ISSUER]), "single string"),
        ("aud", json!([ISSUER, "https://other.example"]), "single string"),
        ("aud", json!({"0": ISSUER}), "single string"),
        ("exp", Value::Null, "no exp"),
        ("exp", json!(now), "expired"),
        ("exp", json!(now - 1), "expired"),
        ("exp", json!(i64::MIN), "expired"),
        ("exp", json!(now + 331), "five minutes"),
        ("exp", json!(i64::MAX), "five minutes"),
        ("exp", json!((now + 60).to_string()), "malformed"),
        ("exp", json!(1e30), "malformed"),
        ("nbf", json!(now + 31), "in the future"),
        ("nbf", json!("now"), "malformed"),
        ("iat", json!(now + 31), "in the future"),
        ("iat", json!(true), "malformed"),
        ("jti", Value::Null, "no jti"),
        ("jti", json!(""), "no jti"),
        ("jti", json!(1), "malformed"),
    ];
    for (name, value, why) in &table {
        let assertion = signed(&claims_with(&app, "1", name, value));
        assert_refused(&app, &log, &assertion, why).await;
    }
    // Without `client_id` the `sub` says which client it would be.
    for (sub, why) in [
        (json!("team-a.blog"), "its iss"),
        (Value::Null, "names no client"),
    ] {
        let assertion = signed(&claims_with(&app, "1", "sub", &sub));
        let response = send(&app, &assertion).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
        assert!(cause(&log).contains(why), "{}", cause(&log));
    }
    // What was refused was not spent; and the bounds are where they are said to be.
    assert_eq!(
        send(&app, &signed(&claims(&app, "1"))).await.status,
        StatusCode::OK
    );
    for (jti, name, value) in [
        ("2", "exp", json!(now + 1)),
        ("3", "exp", json!(now + 330)),
        ("4", "nbf", json!(now + 30)),
        ("5", "iat", json!(now - 86_400)),
    ] {
        let assertion = signed(&claims_with(&app, jti, name, &value));
        assert_eq!(send(&app, &assertion).await.status, StatusCode::OK, "{name}");
    }
}

/// No other key, algorithm or header makes an assertion: `none`, HMAC with the public key, another client's key under any
/// `kid`, a key that comes along or is pointed to, `crit`, the type of another token.
#[tokio::test]
async fn rule_32_only_a_registered_key_authenticates() {
    let (log, _guard) = Log::capture();
    let app = app_with_keys().await;
    register(&app, "blog", &OTHER_KEYS).await;
    let claims = claims(&app, "1");
    let good = signed(&claims);
    let other_key = serde_json::to_value(&OTHER_KEYS.jwks()[1]).unwrap();
    let parts: Vec<_> = good.split('.').collect();
    let longer = claims_with(&app, "1", "exp", &json!(app.now().as_second() + 90));
    let altered = format!("{}.{}.{}", parts[0], crate::jwt::encode_part(&longer), parts[2]);
    let table = [
        (KEYS.sign(&json!({"alg": "none"}), &claims), "its alg"),
        (KEYS.sign(&json!({"alg": "HS256"}), &claims), "its alg"),
        (
            KEYS.sign(&json!({"alg": "HS256", "kid": "rsa"}), &claims),
            "its alg",
        ),
        (KEYS.sign(&json!({"alg": "ES384"}), &claims), "its alg"),
        (OTHER_KEYS.sign(&json!({"alg": "ES256"}), &claims), "signature"),
        (
            OTHER_KEYS.sign(&json!({"alg": "ES256", "kid": "ec"}), &claims),
            "signature",
        ),
        // The algorithm of one key over the name of another.
        (
            KEYS.sign(&json!({"alg": "RS256", "kid": "ec"}), &claims),
            "signature",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "kid": "rsa"}), &claims),
            "signature",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "kid": "ec2"}), &claims),
            "its kid",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "kid": "../ec"}), &claims),
            "its kid",
        ),
        (
            OTHER_KEYS.sign(&json!({"alg": "ES256", "jwk": other_key}), &claims),
            "signature",
        ),
        (
            OTHER_KEYS.sign(
                &json!({"alg": "ES256", "jku": "https://evil.example/jwks"}),
                &claims,
            ),
            "signature",
        ),
        (
            OTHER_KEYS.sign(
                &json!({"alg": "ES256", "x5u": "https://evil.example/x5u"}),
                &claims,
            ),
            "signature",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "crit": ["x"]}), &claims),
            "crit",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "typ": "at+jwt"}), &claims),
            "its typ",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "typ": "oauth-authz-req+jwt"}), &claims),
            "its typ",
        ),
        (altered, "signature"),
        (good[..good.len() - 2].to_owned(), "signature"),
        (format!("{}.{}.", parts[0], parts[1]), "signature"),
    ];
    for (forged, why) in &table {
        assert_refused(&app, &log, forged, why).await;
    }
    // A key with an algorithm of its own is for that alone.
    app.register_client("shop", |registration| {
        registration.client.token_endpoint_auth_methods =
            BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
        let mut key = serde_json::to_value(&KEYS.jwks()[0]).unwrap();
        key["alg"] = json!("RS256");
        registration.client.jwks = vec![serde_json::from_value(key).unwrap()];
    })
    .await;
    let by = |algorithm: &str| KEYS.sign(&json!({"alg": algorithm}), &claims);
    assert_refused(&app, &log, &by("PS256"), "signature").await;
    assert_eq!(send(&app, &by("RS256")).await.status, StatusCode::OK);
}

/// An assertion counts once, for as long as it lives, whichever endpoint saw it first; a `jti` belongs to its client.
#[tokio::test]
async fn rule_32_an_assertion_counts_once() {
    let (log, _guard) = Log::capture();
    let app = app_with_keys().await;
    let assertion = signed(&claims(&app, "1"));
    assert_eq!(send(&app, &assertion).await.status, StatusCode::OK);
    assert_refused(&app, &log, &assertion, "presented before").await;
    for path in ["/api/introspect", "/api/revoke"] {
        let mut form = form(&assertion);
        form.push(("token", "x"));
        let response = app.send(client_request(path, None, &form)).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    // Another assertion under the same name.
    let resigned = signed(&claims_with(&app, "1", "exp", &json!(app.now().as_second() + 90)));
    assert_refused(&app, &log, &resigned, "presented before").await;
    app.advance(Duration::from_secs(59));
    app.store.sweep(100).await.unwrap();
    assert_refused(&app, &log, &assertion, "presented before").await;
    app.advance(Duration::from_secs(1));
    assert_refused(&app, &log, &assertion, "expired").await;

    register(&app, "blog", &KEYS).await;
    let mut claims = claims(&app, "1");
    claims["iss"] = json!("team-a.blog");
    claims["sub"] = json!("team-a.blog");
    assert_eq!(send(&app, &signed(&claims)).await.status, StatusCode::OK);
}

/// Of many that present the same assertion at once, one is authenticated.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_32_one_of_many_at_once_is_authenticated() {
    let app = app_with_keys().await;
    let assertion = signed(&claims(&app, "1"));
    let all = futures::future::join_all((0..32).map(|_| send(&app, &assertion))).await;
    let authenticated = all.iter().filter(|response| response.status == StatusCode::OK);
    assert_eq!(authenticated.count(), 1);
}

/// What was presented before a restart, or before a crash, is known after it.
#[tokio::test]
async fn rule_32_a_restart_forgets_no_assertion() {
    let (log, _guard) = Log::capture();
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::new());
    let open = || {
        let settings = SledSettings::at(folder.path().join("store"));
        let on_failure = Box::new(|reason: &str| panic!("the store failed: {reason}"));
        Arc::new(SledStore::open(settings, clock.clone(), on_failure).unwrap())
    };
    let store = open();
    let app = TestApp::over(ISSUER, clock.clone(), FaultyStore::over(store.clone()));
    app.store.mark_provisioned().await.unwrap();
    register(&app, "shop", &KEYS).await;
    let (first, second) = (signed(&claims(&app, "1")), signed(&claims(&app, "2")));
    assert_eq!(send(&app, &first).await.status, StatusCode::OK);
    store.close().await.unwrap();
    drop((app, store));

    let store = open();
    let app = TestApp::over(ISSUER, clock.clone(), FaultyStore::over(store.clone()));
    assert_refused(&app, &log, &first, "presented before").await;
    assert_eq!(send(&app, &second).await.status, StatusCode::OK);
    // Without a word of goodbye.
    drop((app, store));

    let app = TestApp::over(ISSUER, clock.clone(), FaultyStore::over(open()));
    assert_refused(&app, &log, &second, "presented before").await;
}

/// Only what a client registered is accepted: no assertion without the method, no secret with it alone, and whatever is
/// registered but not `private_key_jwt` verifies request objects only.
#[tokio::test]
async fn rule_29_an_assertion_needs_the_method_and_the_method_takes_no_secret() {
    let (log, _guard) = Log::capture();
    let app = TestApp::new().await;
    app.register_client("shop", |registration| registration.client.jwks = KEYS.jwks())
        .await;
    let assertion = signed(&claims(&app, "1"));
    assert_refused(&app, &log, &assertion, "did not register").await;
    let right = basic("shop", &secret("shop"));
    let form = [("grant_type", "client_credentials")];
    let by_secret = async || app.send(token_request(Some(&right), &form)).await.status;
    assert_eq!(by_secret().await, StatusCode::OK);

    // The versions of its secret stay in its record, and count no more.
    app.register_client("shop", |registration| {
        registration.client.jwks = KEYS.jwks();
        registration.client.token_endpoint_auth_methods =
            BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
    })
    .await;
    assert_eq!(by_secret().await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(&app, &assertion).await.status, StatusCode::OK);
    let only_named = [("grant_type", "client_credentials"), ("client_id", "team-a.shop")];
    let response = app.send(token_request(None, &only_named)).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
}

/// One proof in a request, whole, and of a type that is known.
#[tokio::test]
async fn rule_29_an_assertion_comes_alone() {
    let app = app_with_keys().await;
    let assertion = signed(&claims(&app, "1"));
    let header = basic("shop", "x");
    let invalid_request = [
        (Some(header.as_str()), form(&assertion)),
        (None, [form(&assertion), vec![("client_secret", "x")]].concat()),
        (None, [form(&assertion), vec![("client_assertion", "x")]].concat()),
        (
            None,
            [form(&assertion), vec![("client_assertion_type", TYPE)]].concat(),
        ),
        (None, form(&assertion)[..2].to_vec()),
        (None, vec![form(&assertion)[0], form(&assertion)[2]]),
    ];
    for (authorization, form) in &invalid_request {
        let response = app.send(token_request(*authorization, form)).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    }
    for unknown in ["urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "x"] {
        let mut form = form(&assertion);
        form[1].1 = unknown;
        let response = app.send(token_request(None, &form)).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    assert_eq!(
        send(&app, &assertion).await.status,
        StatusCode::OK,
        "it was spent"
    );
}

/// Nobody learns from an answer to an assertion which clients there are, or which of them are suspended.
#[tokio::test]
async fn rule_30_a_bad_assertion_and_an_unknown_client_look_the_same() {
    let app = app_with_keys().await;
    app.register_client("suspended", |registration| {
        registration.client.suspended = true;
        registration.client.jwks = KEYS.jwks();
        registration.client.token_endpoint_auth_methods =
            BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
    })
    .await;
    register(&app, "gone", &KEYS).await;
    app.register_client("by-secret", |_| ()).await;
    app.store
        .mark_clients_absent(&[ResourceUid::new("uid-gone")])
        .await
        .unwrap();
    let of = |name: &str| {
        let mut claims = claims(&app, name);
        claims["iss"] = json!(format!("team-a.{name}"));
        claims["sub"] = claims["iss"].clone();
        claims
    };
    let mut bodies = BTreeSet::new();
    for assertion in [
        signed(&of("nobody")),
        signed(&of("suspended")),
        signed(&of("gone")),
        signed(&of("by-secret")),
        OTHER_KEYS.sign(&json!({"alg": "ES256"}), &of("shop")),
        "x".to_owned(),
        "x.y.z".to_owned(),
    ] {
        let response = send(&app, &assertion).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
        bodies.insert(response.body);
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

/// A client remembers ten thousand assertions and no more, so that it cannot fill the store: the next one waits until the
/// first has expired, and none that was presented counts again.
#[tokio::test]
async fn rule_88_a_client_cannot_fill_the_store_with_assertions() {
    let app = app_with_keys().await;
    let uid = ResourceUid::new("uid-shop");
    let forget_at = claviger::clock::later(app.now(), Duration::from_secs(40));
    for number in 0..9_999_u32 {
        let jti = crate::fixtures::hash(&number.to_string());
        let spent = app.store.spend_jti(&uid, &jti, forget_at, 10_000).await.unwrap();
        assert_eq!(spent, claviger::store::SpendJti::Fresh);
    }
    let (last, next) = (signed(&claims(&app, "last")), signed(&claims(&app, "next")));
    assert_eq!(send(&app, &last).await.status, StatusCode::OK);
    let response = send(&app, &next).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.header("retry-after"), Some("40"));
    send(&app, &last)
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    app.advance(Duration::from_secs(40));
    assert_eq!(send(&app, &next).await.status, StatusCode::OK);
}

/// An assertion of which the store cannot say whether it was presented before authenticates nobody, and is not spent.
#[tokio::test]
async fn rule_82_without_the_store_nobody_is_authenticated() {
    let app = app_with_keys().await;
    let assertion = signed(&claims(&app, "1"));
    app.store
        .fail("spend_jti", crate::faulty_store::Fault::Unavailable);
    let response = send(&app, &assertion).await;
    response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    app.store.heal();
    assert_eq!(send(&app, &assertion).await.status, StatusCode::OK);
}
