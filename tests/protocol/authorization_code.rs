//! `grant_type=authorization_code`.

use std::sync::Arc;
use std::time::Duration;

use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use http::StatusCode;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::app::{CODE_VERIFIER, Issue, TestApp, code_form};
use crate::fixtures;

/// A code is redeemed once. The second try is `invalid_grant`, and everything that was minted from it is dead.
#[tokio::test]
async fn rule_26_a_replayed_code_kills_what_was_minted_from_it() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let tokens = app.redeem("shop", &issued.code).await.json();
    let access_token = tokens["access_token"].as_str().unwrap();
    assert_eq!(app.userinfo(access_token).await.status, StatusCode::OK);

    let replay = app.redeem("shop", &issued.code).await;
    replay.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    assert_eq!(app.userinfo(access_token).await.status, StatusCode::UNAUTHORIZED);
    let refreshed = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await;
    refreshed.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// 64 redemptions of one code at once: one succeeds, the others are replays, and the grant ends revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn rule_26_one_of_64_redemptions_at_once_succeeds() {
    let app = Arc::new(TestApp::with_shop_and_ada().await);
    let issued = app.issue(Issue::default()).await;
    let barrier = Arc::new(Barrier::new(64));
    let mut redemptions = JoinSet::new();
    for _ in 0..64 {
        let (app, barrier, code) = (app.clone(), barrier.clone(), issued.code.clone());
        redemptions.spawn(async move {
            barrier.wait().await;
            app.redeem("shop", &code).await
        });
    }
    let mut succeeded = Vec::new();
    for response in redemptions.join_all().await {
        if response.status == StatusCode::OK {
            succeeded.push(response.json());
        } else {
            response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
        }
    }
    assert_eq!(succeeded.len(), 1);
    assert!(app.store.live_grant(&issued.grant).await.unwrap().is_none());
    let response = app.userinfo(succeeded[0]["access_token"].as_str().unwrap()).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
}

/// Each mismatch alone is fatal: client, redirect URI, verifier. None of them consumes the code.
#[tokio::test]
async fn rule_27_each_mismatch_alone_is_fatal() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("other", |_| ()).await;
    let code = app.issue(Issue::default()).await.code;
    let other_verifier = "a".repeat(43);
    let table = [
        ("other", "redirect_uri", fixtures::REDIRECT_URI),
        ("shop", "redirect_uri", "https://shop.example.org/callback/"),
        ("shop", "redirect_uri", "https://shop.example.org/Callback"),
        ("shop", "redirect_uri", "https://shop.example.org/callback?"),
        ("shop", "code_verifier", other_verifier.as_str()),
        ("shop", "code_verifier", &CODE_VERIFIER[..42]),
        ("shop", "code_verifier", fixtures::CODE_CHALLENGE),
        ("shop", "code_verifier", ""),
    ];
    for (client, name, value) in table {
        let mut form = code_form(&code);
        for parameter in &mut form {
            if parameter.0 == name {
                parameter.1 = value;
            }
        }
        let response = app.token(client, &form).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    assert_eq!(app.redeem("shop", &code).await.status, StatusCode::OK);
}

/// Expiry alone is fatal, at the very second.
#[tokio::test]
async fn rule_27_expiry_alone_is_fatal() {
    let app = TestApp::with_shop_and_ada().await;
    let code = app.issue(Issue::default()).await.code;
    app.advance(Duration::from_secs(59));
    assert_eq!(app.redeem("shop", &code).await.status, StatusCode::OK);

    let code = app.issue(Issue::default()).await.code;
    app.advance(Duration::from_mins(1));
    let response = app.redeem("shop", &code).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// The end of the session in which the person agreed is fatal, and so is that of the person or their being disabled.
#[tokio::test]
async fn rule_27_the_end_of_session_or_person_alone_is_fatal() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    app.store.end_session(&issued.session).await.unwrap();
    let response = app.redeem("shop", &issued.code).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");

    let issued = app.issue(Issue::default()).await;
    app.register_user_with("ada", |registration| registration.user.disabled = true)
        .await;
    let response = app.redeem("shop", &issued.code).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");

    app.register_user("ada").await;
    let issued = app.issue(Issue::default()).await;
    app.store.remove_user(&ResourceUid::new("uid-ada")).await.unwrap();
    let response = app.redeem("shop", &issued.code).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// A verifier at a code that was minted without a challenge is an error, like a missing one at a code with a challenge.
#[tokio::test]
async fn rule_12_a_verifier_without_a_challenge_is_refused() {
    let app = TestApp::with_shop_and_ada().await;
    let issue = || Issue {
        code_challenge: None,
        ..Issue::default()
    };
    let code = app.issue(issue()).await.code;
    let response = app.redeem("shop", &code).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    let without_verifier = &code_form(&code)[..3];
    assert_eq!(app.token("shop", without_verifier).await.status, StatusCode::OK);
}

/// A wrong client neither redeems a code nor burns it, and it learns nothing.
#[tokio::test]
async fn rule_28_a_wrong_client_does_not_burn_the_code() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("thief", |_| ()).await;
    let issued = app.issue(Issue::default()).await;
    let stolen = app.redeem("thief", &issued.code).await;
    stolen.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    let nonsense = app
        .redeem("thief", &issued.code.replace("clv_ac_", "clv_ac_A")[..50])
        .await;
    assert_eq!(stolen.body, nonsense.body);
    let tokens = app.redeem("shop", &issued.code).await;
    assert_eq!(tokens.status, StatusCode::OK);

    // Nor does a wrong client that comes late revoke anything.
    let late = app.redeem("thief", &issued.code).await;
    late.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    let access_token = tokens.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(app.userinfo(&access_token).await.status, StatusCode::OK);
}

/// Access rules are checked again when the code is redeemed; the grant ends when they fail.
#[tokio::test]
async fn rule_39_access_rules_are_checked_at_the_redemption() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    app.register_client("shop", |registration| {
        registration.client.access.allowed_groups = vec!["board".to_owned()];
    })
    .await;
    let response = app.redeem("shop", &issued.code).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    assert!(app.store.live_grant(&issued.grant).await.unwrap().is_none());
}
