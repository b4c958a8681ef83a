//! What is answered when something of ours fails.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};

use crate::app::{ISSUER, Issue, TestApp, TestResponse};
use crate::faulty_store::Fault;

#[track_caller]
fn assert_unavailable(response: &TestResponse) {
    response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    assert_eq!(response.header("retry-after"), Some("5"));
}

/// A store that is away is 503 at whichever operation it fails, never "no such code", and costs nothing: the same code and
/// the same refresh token work afterwards.
#[tokio::test]
async fn rule_82_a_store_that_is_away_is_503_and_spends_nothing() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.access.allowed_groups = vec!["staff".to_owned()];
    })
    .await;
    let code = app.issue(Issue::default()).await.code;
    for operation in ["*", "is_provisioned", "client", "redeem_authorization_code"] {
        app.store.fail(operation, Fault::Unavailable);
        assert_unavailable(&app.redeem("shop", &code).await);
        app.store.heal();
        // The yes of `is_provisioned` is remembered, so it has to be asked before anything succeeds.
    }
    let tokens = app.redeem("shop", &code).await.json();

    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    for operation in [
        "*",
        "client",
        "refresh_token",
        "live_grant",
        "rotate_refresh_token",
    ] {
        app.store.fail(operation, Fault::Unavailable);
        assert_unavailable(&app.refresh("shop", refresh_token).await);
        app.store.heal();
    }
    assert_eq!(app.refresh("shop", refresh_token).await.status, StatusCode::OK);

    app.store.fail("live_grant", Fault::Unavailable);
    let access_token = tokens["access_token"].as_str().unwrap();
    assert_unavailable(&app.userinfo(access_token).await);
    app.store.heal();
    assert_eq!(app.userinfo(access_token).await.status, StatusCode::OK);
}

/// Until the first complete list of clients and users is registered, nobody is told that a client does not exist.
#[tokio::test]
async fn rule_82_before_everything_is_registered_the_answer_is_503() {
    let app = TestApp::unprovisioned(ISSUER);
    assert_unavailable(&app.redeem("shop", "clv_ac_x").await);
    assert_unavailable(&app.userinfo("nonsense").await);
    claviger::store::Store::mark_provisioned(&*app.store)
        .await
        .unwrap();
    app.redeem("shop", "clv_ac_x")
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
}

/// A panic in a handler is a 500 with the request's id; the next request is answered as if nothing had happened.
#[tokio::test]
async fn rule_81_a_panic_is_a_500_with_an_id() {
    let app = TestApp::with_shop_and_ada().await;
    let code = app.issue(Issue::default()).await.code;
    for operation in ["client", "redeem_authorization_code"] {
        app.store.fail(operation, Fault::Panic);
        let response = app.redeem("shop", &code).await;
        response.assert_error(StatusCode::INTERNAL_SERVER_ERROR, "server_error");
        let id = response.header("x-request-id").unwrap();
        assert!(response.text().contains(id), "{}", response.text());
        assert!(!response.text().contains("the test made"), "the payload is shown");
    }
    app.store.heal();
    assert_eq!(app.redeem("shop", &code).await.status, StatusCode::OK);
}

/// Every response has an id of its own, which whoever asks cannot choose, and the headers that keep browsers from guessing,
/// framing and telling.
#[tokio::test]
async fn rule_77_every_response_has_an_id_and_safe_headers() {
    let app = TestApp::with_shop_and_ada().await;
    let mut ids = std::collections::BTreeSet::new();
    for path in [
        "/.well-known/jwks.json",
        "/api/userinfo",
        "/api/token/v2",
        "/nowhere",
    ] {
        let request = Request::get(path).header("x-request-id", "chosen");
        let response = app.send(request.body(Body::empty()).unwrap()).await;
        ids.insert(response.header("x-request-id").unwrap().to_owned());
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(response.header("x-frame-options"), Some("DENY"));
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(response.header("cache-control").is_some());
    }
    assert_eq!(ids.len(), 4);
    assert!(!ids.contains("chosen"));
    app.advance(Duration::ZERO);
}
