//! The introspection endpoint.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use claviger::oidc::client::ClientAuthenticationMethod;
use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use http::header::{CONTENT_TYPE, ORIGIN};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::app::{ISSUER, Issue, TestApp, basic, client_request, secret};
use crate::faulty_store::Fault;
use crate::jwt::part;

const PATH: &str = "/api/introspect";
const SCOPE: &str = "openid profile offline_access";

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

fn inactive() -> Value {
    json!({"active": false})
}

/// An access token says what it is good for, in the words of its own claims; a refresh token what it may still give. The
/// person's name comes with the scope `profile` only.
#[tokio::test]
async fn rule_59_an_active_token_says_what_it_is_good_for() {
    let app = TestApp::with_shop_and_ada().await;
    let now = app.now().as_second();
    let tokens = app.tokens(SCOPE).await;
    let access_token = text(&tokens, "access_token");
    let claims = part(access_token, 1);
    assert_eq!(
        app.introspect("shop", access_token).await,
        json!({
            "active": true, "scope": "offline_access openid profile", "client_id": "team-a.shop", "username": "ada",
            "token_type": "Bearer", "exp": now + 600, "iat": now, "nbf": now, "sub": "subject-ada",
            "aud": ISSUER, "iss": ISSUER, "jti": claims["jti"], "auth_time": now,
        })
    );
    let mut expected = json!({
        "active": true, "scope": "offline_access openid profile", "client_id": "team-a.shop", "username": "ada",
        "exp": now + 14 * 24 * 3600, "iat": now, "nbf": now, "sub": "subject-ada", "iss": ISSUER,
    });
    assert_eq!(
        app.introspect("shop", text(&tokens, "refresh_token")).await,
        expected
    );

    let tokens = app.tokens("openid offline_access").await;
    expected["scope"] = json!("offline_access openid");
    expected.as_object_mut().unwrap().remove("username");
    assert_eq!(
        app.introspect("shop", text(&tokens, "refresh_token")).await,
        expected
    );
}

/// A client looks at its own tokens only; of others' it learns nothing, not even that they exist.
#[tokio::test]
async fn rule_59_the_tokens_of_others_are_inactive() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("other", |_| ()).await;
    let tokens = app.tokens(SCOPE).await;
    for name in ["access_token", "refresh_token"] {
        assert_eq!(app.introspect("other", text(&tokens, name)).await, inactive());
        assert_eq!(app.introspect("shop", text(&tokens, name)).await["active"], true);
    }
}

/// Whatever is no token that is good now is exactly `{"active":false}`: nonsense, other kinds, forged, truncated, spent,
/// expired.
#[tokio::test]
async fn rule_59_what_is_not_active_is_exactly_that() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens(SCOPE).await;
    let issued = app.issue(Issue::default()).await;
    let access_token = text(&tokens, "access_token");
    let refresh_token = text(&tokens, "refresh_token");
    let unknown = format!("clv_rt_{}", "A".repeat(43));
    for token in [
        "nonsense",
        &unknown,
        &issued.code,
        text(&tokens, "id_token"),
        &format!("{access_token}A"),
        &access_token[..access_token.len() - 1],
        &refresh_token[..refresh_token.len() - 1],
    ] {
        assert_eq!(app.introspect("shop", token).await, inactive(), "{token}");
    }
    let next = app.refresh("shop", refresh_token).await.json();
    assert_eq!(app.introspect("shop", refresh_token).await, inactive(), "spent");
    app.advance(Duration::from_secs(599));
    assert_eq!(app.introspect("shop", access_token).await["active"], true);
    app.advance(Duration::from_secs(1));
    assert_eq!(app.introspect("shop", access_token).await, inactive(), "expired");
    assert_eq!(
        app.introspect("shop", text(&next, "refresh_token")).await["active"],
        true
    );
    app.advance(Duration::from_hours(14 * 24));
    assert_eq!(
        app.introspect("shop", text(&next, "refresh_token")).await,
        inactive(),
        "idle"
    );
}

/// Whatever ends what a token hangs on ends the token, each of these alone: its session, its grant, the person, the consent.
#[tokio::test]
async fn rule_59_a_token_ends_with_what_it_hangs_on() {
    async fn assert_ended(app: &TestApp, tokens: &Value, why: &str) {
        for name in ["access_token", "refresh_token"] {
            assert_eq!(
                app.introspect("shop", text(tokens, name)).await,
                inactive(),
                "{why}"
            );
        }
    }
    async fn issued(scope: &str) -> (TestApp, crate::app::Issued, Value) {
        let app = TestApp::with_shop_and_ada().await;
        let issued = app
            .issue(Issue {
                scope,
                ..Issue::default()
            })
            .await;
        let tokens = app.redeem("shop", &issued.code).await.json();
        for name in ["access_token", "refresh_token"] {
            assert_eq!(app.introspect("shop", text(&tokens, name)).await["active"], true);
        }
        (app, issued, tokens)
    }
    let (app, issued_in, tokens) = issued("openid").await;
    app.store.end_session(&issued_in.session).await.unwrap();
    assert_ended(&app, &tokens, "session").await;

    let (app, _, tokens) = issued("openid").await;
    app.advance(Duration::from_hours(8));
    assert_ended(&app, &tokens, "idle session").await;

    let (app, issued_in, tokens) = issued(SCOPE).await;
    app.store.revoke_grant(&issued_in.grant).await.unwrap();
    assert_ended(&app, &tokens, "grant").await;

    let (app, _, tokens) = issued(SCOPE).await;
    app.revoke("shop", text(&tokens, "refresh_token")).await;
    assert_ended(&app, &tokens, "revocation").await;

    let (app, _, tokens) = issued(SCOPE).await;
    app.register_user_with("ada", |registration| registration.user.disabled = true)
        .await;
    assert_ended(&app, &tokens, "person").await;

    let (app, _, tokens) = issued(SCOPE).await;
    let (ada, shop) = (ResourceUid::new("uid-ada"), ResourceUid::new("uid-shop"));
    app.store.end_app(&ada, &shop).await.unwrap();
    assert_ended(&app, &tokens, "consent").await;

    let (app, _, tokens) = issued(SCOPE).await;
    app.register_client("shop", |registration| {
        registration.client.uid = ResourceUid::new("uid-again");
    })
    .await;
    assert_ended(&app, &tokens, "a client of the same name").await;
}

/// Only a client that authenticates with a secret introspects: not a public one, not one without its secret, nobody else; a
/// suspended one neither.
#[tokio::test]
async fn rule_33_only_confidential_clients_introspect() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("public", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.initial_secret_versions.clear();
    })
    .await;
    app.register_client("suspended", |registration| registration.client.suspended = true)
        .await;
    let tokens = app.tokens("openid").await;
    let token = ("token", text(&tokens, "access_token"));
    let right = basic("suspended", &secret("suspended"));
    for (authorization, form) in [
        (None, vec![token]),
        (None, vec![token, ("client_id", "team-a.public")]),
        (None, vec![token, ("client_id", "team-a.shop")]),
        (Some(basic("shop", "wrong")), vec![token]),
        (Some(right), vec![token]),
        (Some(format!("Bearer {}", token.1)), vec![token]),
    ] {
        let response = app
            .send(client_request(PATH, authorization.as_deref(), &form))
            .await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let form = [
        token,
        ("client_id", "team-a.shop"),
        ("client_secret", &secret("shop")),
        ("token_type_hint", "nonsense"),
    ];
    let response = app.send(client_request(PATH, None, &form)).await;
    assert_eq!(response.json()["active"], true);
}

/// POST of a form, with nothing in the query and no parameter twice (rules 6 and 24); no other origin reads the answer
/// (rule 79).
#[tokio::test]
async fn rule_24_introspection_is_the_post_of_a_form() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.allowed_origins = vec!["https://app.example.org".to_owned()];
    })
    .await;
    assert_eq!(app.get(PATH).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let header = basic("shop", &secret("shop"));
    let in_query = client_request(&format!("{PATH}?token=x"), Some(&header), &[]);
    let json = Request::post(PATH)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"token":"x"}"#))
        .unwrap();
    for request in [
        in_query,
        json,
        client_request(PATH, Some(&header), &[]),
        client_request(PATH, Some(&header), &[("token", "x"), ("token", "x")]),
    ] {
        let response = app.send(request).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let mut request = client_request(PATH, Some(&header), &[("token", "x")]);
    let preflight = Request::builder().method(Method::OPTIONS).uri(PATH);
    let mut preflight = preflight.body(Body::empty()).unwrap();
    for request in [&mut request, &mut preflight] {
        let origin = "https://app.example.org".parse().unwrap();
        request.headers_mut().insert(ORIGIN, origin);
    }
    for request in [request, preflight] {
        let response = app.send(request).await;
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
}

/// A store that is away is 503 and never `inactive`, which would sign people out.
#[tokio::test]
async fn rule_82_a_store_that_is_away_makes_no_token_inactive() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    for (name, operations) in [
        ("access_token", vec!["*", "client", "live_grant"]),
        (
            "refresh_token",
            vec!["*", "client", "refresh_token", "live_grant"],
        ),
    ] {
        for operation in operations {
            app.store.fail(operation, Fault::Unavailable);
            let response = app.ask(PATH, "shop", &[("token", text(&tokens, name))]).await;
            response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
            app.store.heal();
        }
    }
}
