//! `grant_type=client_credentials`: a client that acts for itself.

use std::collections::BTreeSet;
use std::time::Duration;

use claviger::oidc::client::ClientAuthenticationMethod;
use claviger::oidc::grant_type::GrantType;
use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{ISSUER, TestApp, TestResponse, token_request};
use crate::faulty_store::Fault;
use crate::jwt::{members, verified};
use crate::log::Log;

const GRANT_TYPE: (&str, &str) = ("grant_type", "client_credentials");

async fn ask(app: &TestApp, client: &str, more: &[(&str, &str)]) -> TestResponse {
    app.token(client, &[&[GRANT_TYPE], more].concat()).await
}

async fn access_token(app: &TestApp, client: &str) -> String {
    let response = ask(app, client, &[]).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    response.json()["access_token"].as_str().unwrap().to_owned()
}

/// The token says that the client acts for itself: `sub` is its id. There is neither a refresh token nor an ID token nor a
/// scope (RFC 6749 section 4.4.3).
#[tokio::test]
async fn rule_48_a_client_that_acts_for_itself_is_its_own_subject() {
    let app = TestApp::with_shop_and_ada().await;
    let response = ask(&app, "shop", &[]).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let answer = response.json();
    assert_eq!(members(&answer), ["access_token", "expires_in", "token_type"]);
    assert_eq!(answer["expires_in"], 600);
    let (header, claims) = verified(&app, answer["access_token"].as_str().unwrap()).await;
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(
        members(&claims),
        ["aud", "client_id", "exp", "iat", "iss", "jti", "sub"]
    );
    assert_eq!(claims["sub"], "team-a.shop");
    assert_eq!(claims["client_id"], "team-a.shop");
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(ISSUER)));
    let now = app.now().as_second();
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(now), &json!(now + 600)));
}

/// Only a client that registered the grant type uses it, and never a public one, whatever its registration says.
#[tokio::test]
async fn rule_33_only_confidential_clients_act_for_themselves() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("people", |registration| {
        registration
            .client
            .grant_types
            .remove(&GrantType::ClientCredentials);
    })
    .await;
    app.register_client("public", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.initial_secret_versions.clear();
    })
    .await;
    let response = ask(&app, "people", &[]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "unauthorized_client");
    let form = [GRANT_TYPE, ("client_id", "team-a.public")];
    let response = app.send(token_request(None, &form)).await;
    response.assert_error(StatusCode::BAD_REQUEST, "unauthorized_client");
    let form = [GRANT_TYPE, ("client_id", "team-a.shop")];
    let response = app.send(token_request(None, &form)).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
}

/// Every scope asks for something about a person, so each is refused here; an empty one counts as absent.
#[tokio::test]
async fn rule_34_a_client_that_acts_for_itself_gets_no_scope() {
    let app = TestApp::with_shop_and_ada().await;
    for scope in ["openid", "profile", "openid profile", "nonsense"] {
        let response = ask(&app, "shop", &[("scope", scope)]).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_scope");
    }
    let response = ask(&app, "shop", &[("scope", "")]).await;
    assert_eq!(response.status, StatusCode::OK);
    let userinfo = app.userinfo(&access_token(&app, "shop").await).await;
    userinfo.assert_error(StatusCode::FORBIDDEN, "insufficient_scope");
}

/// A token of a client that acts for itself is known to introspection, and ends with its expiry, with its client, and by
/// revocation, alone; another client neither sees nor ends it (rules 59 and 60).
#[tokio::test]
async fn rule_59_a_clients_own_token_can_be_looked_at_and_ended() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("other", |_| ()).await;
    let (first, second) = (access_token(&app, "shop").await, access_token(&app, "shop").await);
    let now = app.now().as_second();
    let mut seen = app.introspect("shop", &first).await;
    assert!(seen["jti"].as_str().unwrap().starts_with("client:uid-shop."));
    seen.as_object_mut().unwrap().remove("jti");
    assert_eq!(
        seen,
        json!({
            "active": true, "client_id": "team-a.shop", "sub": "team-a.shop", "token_type": "Bearer",
            "exp": now + 600, "iat": now, "nbf": now, "aud": ISSUER, "iss": ISSUER,
        })
    );
    let inactive = json!({"active": false});
    let active = async |token: &str| app.introspect("shop", token).await["active"] == Value::Bool(true);
    assert_eq!(app.introspect("other", &first).await, inactive);
    let response = app.revoke("other", &first).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    assert!(active(&first).await);

    for _ in 0..2 {
        assert_eq!(app.revoke("shop", &first).await.status, StatusCode::OK);
        assert_eq!(app.introspect("shop", &first).await, inactive);
        assert!(active(&second).await, "one token ends, not all");
    }
    // It stays revoked when the sweeper has come by.
    app.advance(Duration::from_secs(599));
    app.store.sweep(100).await.unwrap();
    assert!(!active(&first).await && active(&second).await);
    app.advance(Duration::from_secs(1));
    assert!(!active(&second).await);

    let token = access_token(&app, "shop").await;
    app.register_client("shop", |registration| {
        registration.client.uid = ResourceUid::new("uid-again");
    })
    .await;
    assert_eq!(
        app.introspect("shop", &token).await,
        inactive,
        "another client of the name"
    );
}

/// A suspended client gets no token, and those that it has are dead while it is suspended.
#[tokio::test]
async fn rule_20_a_suspended_client_does_not_act_for_itself() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("other", |_| ()).await;
    let token = access_token(&app, "shop").await;
    app.register_client("shop", |registration| registration.client.suspended = true)
        .await;
    let response = ask(&app, "shop", &[]).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    let userinfo = app.userinfo(&token).await;
    userinfo.assert_error(StatusCode::UNAUTHORIZED, "invalid_token");
}

/// A store that is away is 503, whether the token is looked at or revoked.
#[tokio::test]
async fn rule_82_a_store_that_is_away_ends_no_clients_token() {
    let app = TestApp::with_shop_and_ada().await;
    let token = access_token(&app, "shop").await;
    for (path, operations) in [
        ("/api/introspect", vec!["*", "client", "client_of_access_token"]),
        (
            "/api/revoke",
            vec!["*", "client_of_access_token", "revoke_access_token"],
        ),
    ] {
        for operation in operations {
            app.store.fail(operation, Fault::Unavailable);
            let response = app.ask(path, "shop", &[("token", &token)]).await;
            response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
            app.store.heal();
            assert_eq!(app.introspect("shop", &token).await["active"], true);
        }
    }
}

/// Issue and revocation are audit events of the client, about nobody.
#[tokio::test]
async fn rule_87_what_a_client_does_for_itself_is_audited() {
    let (log, _guard) = Log::capture();
    let app = TestApp::with_shop_and_ada().await;
    let token = access_token(&app, "shop").await;
    app.revoke("shop", &token).await;
    let events = log.audit();
    let names: Vec<_> = events
        .iter()
        .map(|line| line["fields"]["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["client_token_issued", "access_token_revoked"]);
    for event in &events {
        assert_eq!(event["fields"]["client_id"], "team-a.shop");
        assert_eq!(event["fields"]["subject"], Value::Null);
        assert_eq!(event["fields"]["grant"], Value::Null);
    }
    assert!(!log.text().contains(&token));
}
