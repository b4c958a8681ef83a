//! A clock that is set while claviger serves: back by an hour, on by an hour, and there and back again.

use std::time::Duration;

use claviger::clock::{earlier, later};
use http::StatusCode;
use serde_json::Value;

use crate::app::{Issue, TestApp};
use crate::jwt::verified;

const HOUR: Duration = Duration::from_hours(1);
/// How long an access token lives.
const ACCESS_TOKEN: i64 = 600;
/// How long an ID token lives.
const ID_TOKEN: i64 = 3600;

/// Tokens that were made now have the lifetimes that were promised, whatever the clock has gone through.
async fn lifetimes_are_as_promised(app: &TestApp, tokens: &Value) {
    for (name, lifetime) in [("access_token", ACCESS_TOKEN), ("id_token", ID_TOKEN)] {
        let (_, claims) = verified(app, tokens[name].as_str().unwrap()).await;
        let (issued_at, expires_at) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!(issued_at, app.now().as_second(), "{name}");
        assert_eq!(expires_at - issued_at, lifetime, "{name}");
    }
    assert_eq!(tokens["expires_in"], ACCESS_TOKEN);
}

async fn userinfo(app: &TestApp, tokens: &Value) -> StatusCode {
    app.userinfo(tokens["access_token"].as_str().unwrap())
        .await
        .status
}

async fn refresh(app: &TestApp, tokens: &Value) -> Value {
    let response = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    response.json()
}

/// Moves the clock by hours and checks after each move: the keys that sign are published, new tokens have the promised
/// lifetimes, none negative, and refreshing goes on in one line.
#[tokio::test]
async fn rule_46_lifetimes_hold_whatever_the_clock_does() {
    let app = TestApp::with_shop_and_ada().await;
    let start = app.now();
    let mut tokens = app.tokens("openid offline_access").await;
    lifetimes_are_as_promised(&app, &tokens).await;
    for moment in [
        earlier(start, HOUR),
        start,
        later(start, HOUR),
        earlier(start, HOUR),
        later(start, HOUR * 3),
        start,
    ] {
        app.clock.set(moment);
        let spent = tokens.clone();
        tokens = refresh(&app, &tokens).await;
        lifetimes_are_as_promised(&app, &tokens).await;
        assert_eq!(userinfo(&app, &tokens).await, StatusCode::OK, "at {moment}");
        let again = app.tokens("openid").await;
        lifetimes_are_as_promised(&app, &again).await;
        assert_ne!(spent["refresh_token"], tokens["refresh_token"]);
    }
    // The order of rotation is kept: the line ends with its newest, and what was spent an hour "later" is spent.
    let newest = refresh(&app, &tokens).await;
    let reused = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await;
    reused.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    let ended = app
        .refresh("shop", newest["refresh_token"].as_str().unwrap())
        .await;
    ended.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// A clock that was set on ends what has ended by it, and nothing else: codes and access tokens are over, sessions and
/// refresh tokens, which live longer, are not.
#[tokio::test]
async fn rule_27_an_hour_on_ends_what_lives_less_than_an_hour() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid offline_access").await;
    let issued = app.issue(Issue::default()).await;
    app.clock.set(later(app.now(), HOUR));
    assert_eq!(userinfo(&app, &tokens).await, StatusCode::UNAUTHORIZED);
    let late = app.redeem("shop", &issued.code).await;
    late.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    refresh(&app, &tokens).await;
}

/// A clock that was set back lengthens nothing by more than it was set back, and what expired by it while it was ahead and
/// was refused is not good again where it is spent or removed.
#[tokio::test]
async fn rule_26_an_hour_back_makes_nothing_good_again() {
    let app = TestApp::with_shop_and_ada().await;
    let start = app.now();
    let issued = app.issue(Issue::default()).await;
    assert_eq!(app.redeem("shop", &issued.code).await.status, StatusCode::OK);
    let tokens = app.tokens("openid offline_access").await;
    app.clock.set(earlier(start, HOUR));
    // Spent is spent, although by the clock it was not issued yet.
    let replayed = app.redeem("shop", &issued.code).await;
    replayed.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    // By the clock the token lives to the very second that it was given.
    let end = later(start, Duration::from_mins(10));
    app.clock.set(earlier(end, Duration::from_secs(1)));
    assert_eq!(userinfo(&app, &tokens).await, StatusCode::OK);
    app.clock.set(end);
    assert_eq!(userinfo(&app, &tokens).await, StatusCode::UNAUTHORIZED);
}
