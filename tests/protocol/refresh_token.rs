//! `grant_type=refresh_token`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use claviger::oidc::client::ClientAuthenticationMethod;
use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use http::StatusCode;
use serde_json::Value;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::app::{Issue, TestApp, TestResponse, code_form, token_request};

const DAY: Duration = Duration::from_hours(24);

fn refresh_token(tokens: &Value) -> &str {
    tokens["refresh_token"].as_str().unwrap()
}

#[track_caller]
fn assert_invalid_grant(response: &TestResponse) {
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// A narrower scope is allowed, a wider one refused without spending the token, and the grant's scope is kept.
#[tokio::test]
async fn rule_35_scope_may_be_narrowed_but_not_widened() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid profile").await;
    let ask = async |token: &str, scope: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        app.token("shop", &form).await
    };
    for wider in ["openid profile email", "email", "openid nonsense"] {
        let response = ask(refresh_token(&tokens), wider).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_scope");
    }
    let narrowed = ask(refresh_token(&tokens), "profile").await.json();
    assert_eq!(narrowed["scope"], "profile");
    assert!(narrowed.get("id_token").is_none());

    let whole = app.refresh("shop", refresh_token(&narrowed)).await.json();
    assert_eq!(whole["scope"], "openid profile");
    assert!(whole.get("id_token").is_some());
}

/// A refresh token is bound to its client; another client neither uses nor spends it, whether it names a scope or not.
#[tokio::test]
async fn rule_36_a_refresh_token_is_bound_to_its_client() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("thief", |_| ()).await;
    let tokens = app.tokens("openid").await;
    assert_invalid_grant(&app.refresh("thief", refresh_token(&tokens)).await);
    for scope in ["openid", "openid profile email groups"] {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token(&tokens)),
            ("scope", scope),
        ];
        assert_invalid_grant(&app.token("thief", &form).await);
    }
    assert_eq!(
        app.refresh("shop", refresh_token(&tokens)).await.status,
        StatusCode::OK
    );
}

/// Every refresh rotates, for public clients too, and a token that was used before revokes the whole family.
#[tokio::test]
async fn rule_36_a_reused_ancestor_revokes_the_family() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("public", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.initial_secret_versions.clear();
    })
    .await;
    let public = async |form: &[(&str, &str)]| {
        let mut form = form.to_vec();
        form.push(("client_id", "team-a.public"));
        app.send(token_request(None, &form)).await
    };
    let refresh =
        async |token: &str| public(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    let issued = app
        .issue(Issue {
            client: "public",
            ..Issue::default()
        })
        .await;
    let first = public(&code_form(&issued.code)).await.json();
    let second = refresh(refresh_token(&first)).await.json();
    let third = refresh(refresh_token(&second)).await.json();
    let all: BTreeSet<_> = [&first, &second, &third].map(refresh_token).into();
    assert_eq!(all.len(), 3, "each refresh gives another token");
    let access_token = third["access_token"].as_str().unwrap();
    assert_eq!(app.userinfo(access_token).await.status, StatusCode::OK);

    assert_invalid_grant(&refresh(refresh_token(&first)).await);
    assert_invalid_grant(&refresh(refresh_token(&third)).await);
    assert_eq!(app.userinfo(access_token).await.status, StatusCode::UNAUTHORIZED);
}

/// Rotation is one compare-and-set: of 64 at once one wins, there is one successor, and since the others were reuse the
/// family is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn rule_37_one_of_64_rotations_at_once_wins() {
    let app = Arc::new(TestApp::with_shop_and_ada().await);
    let tokens = app.tokens("openid").await;
    let barrier = Arc::new(Barrier::new(64));
    let mut rotations = JoinSet::new();
    for _ in 0..64 {
        let (app, barrier) = (app.clone(), barrier.clone());
        let token = refresh_token(&tokens).to_owned();
        rotations.spawn(async move {
            barrier.wait().await;
            app.refresh("shop", &token).await
        });
    }
    let mut succeeded = Vec::new();
    for response in rotations.join_all().await {
        if response.status == StatusCode::OK {
            succeeded.push(response.json());
        } else {
            assert_invalid_grant(&response);
        }
    }
    assert_eq!(succeeded.len(), 1);
    assert_invalid_grant(&app.refresh("shop", refresh_token(&succeeded[0])).await);
}

/// A refresh token dies when it is not used for its idle lifetime; use keeps it alive until the absolute end.
#[tokio::test]
async fn rule_38_refresh_tokens_expire_idle_and_absolutely() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid offline_access").await;
    app.advance(14 * DAY);
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);

    let mut tokens = app.tokens("openid offline_access").await;
    for _ in 0..8 {
        app.advance(11 * DAY);
        let response = app.refresh("shop", refresh_token(&tokens)).await;
        assert_eq!(response.status, StatusCode::OK);
        tokens = response.json();
    }
    app.advance(2 * DAY);
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);
}

/// Whatever ends person, client, grant or session ends the refresh tokens: each of these alone.
#[tokio::test]
async fn rule_38_refresh_tokens_end_with_what_they_hang_on() {
    let scope = "openid offline_access";

    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens(scope).await;
    app.register_user_with("ada", |registration| registration.user.disabled = true)
        .await;
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);
    app.register_user("ada").await;
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);

    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens(scope).await;
    app.register_user_with_password("ada", "another password").await;
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);

    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens(scope).await;
    app.store.remove_user(&ResourceUid::new("uid-ada")).await.unwrap();
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);

    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens(scope).await;
    app.store
        .remove_client(&ResourceUid::new("uid-shop"))
        .await
        .unwrap();
    let response = app.refresh("shop", refresh_token(&tokens)).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    app.register_client("shop", |_| ()).await;
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);

    let app = TestApp::with_shop_and_ada().await;
    let issued = app
        .issue(Issue {
            scope,
            ..Issue::default()
        })
        .await;
    let tokens = app.redeem("shop", &issued.code).await.json();
    app.store.revoke_grant(&issued.grant).await.unwrap();
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);
}

/// A person whom the access rules admit no more is nobody at userinfo and introspection, at once and whatever they hold; when
/// they are admitted again it is good again, unless the app has ended it meanwhile, which it still may.
#[tokio::test]
async fn rule_39_access_rules_are_checked_at_userinfo_and_introspection() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid offline_access").await;
    let access_token = tokens["access_token"].as_str().unwrap();
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let admit = async |group: &str| {
        app.register_client("shop", |registration| {
            registration.client.access.allowed_groups = vec![group.to_owned()];
        })
        .await;
    };
    let is_good = async || {
        let userinfo = app.userinfo(access_token).await;
        let good = userinfo.status == StatusCode::OK;
        if !good {
            userinfo.assert_error(StatusCode::UNAUTHORIZED, "invalid_token");
        }
        for token in [access_token, refresh_token] {
            let answer = app.introspect("shop", token).await;
            assert_eq!(answer["active"], good);
            assert!(good || answer == serde_json::json!({"active": false}), "{answer}");
        }
        good
    };
    assert!(is_good().await);
    admit("board").await;
    assert!(!is_good().await);
    admit("staff").await;
    assert!(is_good().await);
    admit("board").await;
    assert_eq!(app.revoke("shop", access_token).await.status, StatusCode::OK);
    admit("staff").await;
    assert!(!is_good().await);
}

/// Without `offline_access` a refresh token ends with the session in which it was allowed; with it, it does not.
#[tokio::test]
async fn rule_40_only_offline_access_outlives_the_session() {
    let app = TestApp::with_shop_and_ada().await;
    for (scope, outlives) in [("openid", false), ("openid offline_access", true)] {
        let issued = app
            .issue(Issue {
                scope,
                ..Issue::default()
            })
            .await;
        let tokens = app.redeem("shop", &issued.code).await.json();
        app.store.end_session(&issued.session).await.unwrap();
        let response = app.refresh("shop", refresh_token(&tokens)).await;
        let userinfo = app.userinfo(tokens["access_token"].as_str().unwrap()).await;
        if outlives {
            assert_eq!(
                (response.status, userinfo.status),
                (StatusCode::OK, StatusCode::OK)
            );
        } else {
            assert_invalid_grant(&response);
            assert_eq!(userinfo.status, StatusCode::UNAUTHORIZED);
        }
    }
}

/// Access rules are checked at every refresh, against the person's groups of now; a refusal does not spend the token.
#[tokio::test]
async fn rule_39_access_rules_are_checked_at_every_refresh() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.access.allowed_groups = vec!["staff".to_owned()];
    })
    .await;
    let tokens = app.tokens("openid").await;
    let tokens = app.refresh("shop", refresh_token(&tokens)).await.json();

    let groups = async |groups: &[&str]| {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        app.register_user_with("ada", |registration| registration.user.groups = groups)
            .await;
    };
    groups(&["visitors"]).await;
    assert_invalid_grant(&app.refresh("shop", refresh_token(&tokens)).await);
    groups(&["staff"]).await;
    assert_eq!(
        app.refresh("shop", refresh_token(&tokens)).await.status,
        StatusCode::OK
    );
}

/// A suspended client gets nothing, and what it had works again afterwards.
#[tokio::test]
async fn rule_20_a_suspended_client_gets_no_tokens() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    app.register_client("shop", |registration| registration.client.suspended = true)
        .await;
    let response = app.refresh("shop", refresh_token(&tokens)).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    let access_token = tokens["access_token"].as_str().unwrap();
    assert_eq!(app.userinfo(access_token).await.status, StatusCode::UNAUTHORIZED);

    app.register_client("shop", |_| ()).await;
    assert_eq!(app.userinfo(access_token).await.status, StatusCode::OK);
    assert_eq!(
        app.refresh("shop", refresh_token(&tokens)).await.status,
        StatusCode::OK
    );
}
