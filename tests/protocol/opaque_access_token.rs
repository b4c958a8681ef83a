//! Opaque access tokens: the same answers as with JWTs, of which nothing can be read.

use std::time::Duration;

use claviger::oidc::client::AccessTokenFormat;
use claviger::oidc::identifier::ResourceUid;
use claviger::oidc::opaque_token::TokenHash;
use claviger::store::Store;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{ISSUER, Issue, TestApp};
use crate::faulty_store::Fault;

async fn app() -> TestApp {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.access_token_format = AccessTokenFormat::Opaque;
    })
    .await;
    app
}

fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

/// An opaque token has 256 random bits after a prefix of its own; the store keeps its hash; no prefix of it, nothing longer
/// and no other kind passes for it.
#[tokio::test]
async fn rule_54_an_opaque_access_token_is_random_and_stored_as_its_hash() {
    let app = app().await;
    let tokens = app.tokens("openid").await;
    let token = access_token(&tokens);
    assert!(
        token.starts_with("clv_at_") && token.len() == "clv_at_".len() + 43,
        "{token}"
    );
    assert_ne!(token, access_token(&app.tokens("openid").await));
    let record = app
        .store
        .access_token(&TokenHash::of(token.as_bytes()))
        .await
        .unwrap()
        .unwrap();
    assert!(!serde_json::to_string(&record).unwrap().contains(token));

    assert_eq!(app.userinfo(token).await.status, StatusCode::OK);
    let others = [
        format!("{token}A"),
        format!("{token}="),
        token.replace("clv_at_", "clv_rt_"),
        tokens["refresh_token"]
            .as_str()
            .unwrap()
            .replace("clv_rt_", "clv_at_"),
        format!("clv_at_{}", "A".repeat(43)),
    ];
    for other in others
        .iter()
        .map(String::as_str)
        .chain((1..token.len()).map(|end| &token[..end]))
    {
        let response = app.userinfo(other).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_token");
    }
    // As a refresh token it is nothing either.
    let response = app.refresh("shop", token).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// Userinfo and introspection take it as they take a JWT, until its expiry; introspection tells what an API cannot read.
#[tokio::test]
async fn rule_59_an_opaque_access_token_is_looked_up() {
    let app = app().await;
    let now = app.now().as_second();
    let tokens = app.tokens("openid profile groups").await;
    let token = access_token(&tokens);
    assert_eq!(tokens["expires_in"], 600);
    assert_eq!(app.userinfo(token).await.json()["preferred_username"], "ada");
    let mut seen = app.introspect("shop", token).await;
    assert!(seen.as_object_mut().unwrap().remove("jti").is_some());
    let mut expected = json!({
        "active": true, "scope": "groups openid profile", "client_id": "team-a.shop", "username": "ada",
        "token_type": "Bearer", "exp": now + 600, "iat": now, "nbf": now, "sub": "subject-ada",
        "aud": ISSUER, "iss": ISSUER, "auth_time": now, "groups": ["staff"],
    });
    assert_eq!(seen, expected);
    // The groups of now, not those of when it was issued.
    app.register_user_with("ada", |registration| {
        registration.user.groups = vec!["admins".to_owned()];
    })
    .await;
    expected["groups"] = json!(["admins"]);
    let mut seen = app.introspect("shop", token).await;
    seen.as_object_mut().unwrap().remove("jti");
    assert_eq!(seen, expected);

    app.advance(Duration::from_secs(599));
    assert_eq!(app.userinfo(token).await.status, StatusCode::OK);
    app.advance(Duration::from_secs(1));
    app.userinfo(token)
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_token");
    assert_eq!(app.introspect("shop", token).await, json!({"active": false}));
}

/// It ends with its grant, its person and its client, and by revocation, as a JWT does at our own endpoints; a client's own
/// ends alone.
#[tokio::test]
async fn rule_60_an_opaque_access_token_can_be_ended() {
    let ended = async |app: &TestApp, token: &str| {
        let userinfo = app.userinfo(token).await;
        userinfo.assert_error(StatusCode::UNAUTHORIZED, "invalid_token");
        assert_eq!(app.introspect("shop", token).await, json!({"active": false}));
    };
    let app1 = app().await;
    let tokens = app1.tokens("openid").await;
    assert_eq!(
        app1.revoke("shop", access_token(&tokens)).await.status,
        StatusCode::OK
    );
    ended(&app1, access_token(&tokens)).await;

    let app2 = app().await;
    let issued = app2.issue(Issue::default()).await;
    let tokens = app2.redeem("shop", &issued.code).await.json();
    app2.store.end_session(&issued.session).await.unwrap();
    ended(&app2, access_token(&tokens)).await;

    let app3 = app().await;
    let tokens = app3.tokens("openid").await;
    app3.store
        .remove_user(&ResourceUid::new("uid-ada"))
        .await
        .unwrap();
    ended(&app3, access_token(&tokens)).await;

    let app4 = app().await;
    let form = [("grant_type", "client_credentials")];
    let (first, second) = (
        app4.token("shop", &form).await.json(),
        app4.token("shop", &form).await.json(),
    );
    assert_eq!(
        app4.introspect("shop", access_token(&first)).await["sub"],
        "team-a.shop"
    );
    assert_eq!(
        app4.revoke("shop", access_token(&first)).await.status,
        StatusCode::OK
    );
    assert_eq!(
        app4.introspect("shop", access_token(&first)).await,
        json!({"active": false})
    );
    assert_eq!(
        app4.introspect("shop", access_token(&second)).await["active"],
        true
    );
}

/// A store that is away is 503, when a token is to be issued and when one is looked at.
#[tokio::test]
async fn rule_82_a_store_that_is_away_issues_and_ends_no_opaque_token() {
    let app = app().await;
    let code = app.issue(Issue::default()).await.code;
    app.store.fail("begin_access_token", Fault::Unavailable);
    let response = app.redeem("shop", &code).await;
    response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    app.store.heal();
    let tokens = app.tokens("openid").await;
    for operation in ["access_token", "live_grant"] {
        app.store.fail(operation, Fault::Unavailable);
        let response = app.userinfo(access_token(&tokens)).await;
        response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
        app.store.heal();
    }
    assert_eq!(app.userinfo(access_token(&tokens)).await.status, StatusCode::OK);
}
