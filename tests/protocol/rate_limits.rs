//! How often one network, and one client, is answered.

use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use claviger::http::Settings;
use claviger::http::client_address::TrustedProxies;
use claviger::http::rate_limit::{Limit, RateLimits};
use claviger::oidc::client::ClientAuthenticationMethod;
use http::{Request, StatusCode};
use std::net::SocketAddr;

use crate::app::{TestApp, TestResponse, basic, client_request, secret, token_request};
use crate::browser::{Browser, PASSWORD, app_with_ada, assert_error_page};

/// Small limits: one a second and three at once, of clients five.
fn small() -> Settings {
    Settings {
        rate_limits: RateLimits {
            authorize: Limit::new(1, 3),
            login: Limit::new(1, 3),
            token: Limit::new(1, 3),
            client: Limit::new(1, 5),
            introspection: Limit::new(1, 7),
        },
        trusted_proxies: TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]),
    }
}

async fn limited_app() -> TestApp {
    let app = app_with_ada().await.with_settings(small());
    app.register_client("other", |_| ()).await;
    app
}

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let peer = SocketAddr::from((address.parse::<std::net::IpAddr>().unwrap(), 4711));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn refresh(client: &str, right: bool) -> Request<Body> {
    let secret = if right { secret(client) } else { "wrong".to_owned() };
    let form = [("grant_type", "refresh_token"), ("refresh_token", "unknown")];
    token_request(Some(&basic(client, &secret)), &form)
}

#[track_caller]
fn assert_limited(response: &TestResponse) {
    response.assert_error(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable");
    assert_eq!(response.header("retry-after"), Some("1"));
}

/// Authorization requests and sign-in forms of one network are answered so often and then refused with a page, 429 and
/// `Retry-After`; another network, discovery and JWKS are not refused.
#[tokio::test]
async fn rule_88_pages_are_limited_by_network() {
    let app = limited_app().await;
    let browser = Browser::at(&app, "192.0.2.1");
    let page = browser.authorize(&[]).await;
    for _ in 0..2 {
        assert_eq!(browser.authorize(&[]).await.status, StatusCode::OK);
    }
    let refused = browser.authorize(&[]).await;
    assert_error_page(&refused, StatusCode::TOO_MANY_REQUESTS, &[]);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        refused.text().contains("try again in 1 second."),
        "{}",
        refused.text()
    );

    for _ in 0..3 {
        let response = browser.sign_in(&page, "ada", "wrong").await;
        assert_eq!(response.status, StatusCode::FORBIDDEN);
    }
    let before = app.hasher.computed();
    let refused = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_error_page(&refused, StatusCode::TOO_MANY_REQUESTS, &[PASSWORD]);
    assert_eq!(app.hasher.computed(), before);
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        for _ in 0..20 {
            assert_eq!(browser.get(path).await.status, StatusCode::OK);
        }
    }
    assert_eq!(
        Browser::at(&app, "192.0.2.2").authorize(&[]).await.status,
        StatusCode::OK
    );
    app.advance(Duration::from_secs(1));
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(redirect.status, StatusCode::SEE_OTHER);
}

/// A client is limited by itself once it has authenticated: neither another client behind the same address nor a flood of
/// failures there makes it wait, and its own loop makes nobody else wait.
#[tokio::test]
async fn rule_88_a_client_is_limited_by_itself() {
    let app = limited_app().await;
    let send = async |request| app.send(from("192.0.2.1", request)).await;
    for _ in 0..3 {
        send(refresh("shop", false))
            .await
            .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    for _ in 0..20 {
        assert_limited(&send(refresh("shop", false)).await);
        assert_limited(&send(token_request(None, &[])).await);
    }
    for _ in 0..5 {
        send(refresh("shop", true))
            .await
            .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    assert_limited(&send(refresh("shop", true)).await);
    // From anywhere: the client is meant, not its address.
    assert_limited(&app.send(from("192.0.2.2", refresh("shop", true))).await);
    send(refresh("other", true))
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    app.send(from("192.0.2.2", refresh("shop", false)))
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    app.advance(Duration::from_secs(1));
    send(refresh("shop", true))
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// A public client proves nothing, so that its network pays: a stranger who sends its id makes nobody elsewhere wait, and no
/// client with a secret behind the same address.
#[tokio::test]
async fn rule_88_a_stranger_does_not_use_up_a_public_client() {
    let app = limited_app().await;
    app.register_client("native", |registration| {
        registration.client.token_endpoint_auth_methods = [ClientAuthenticationMethod::None].into();
    })
    .await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "nonsense"),
        ("client_id", "team-a.native"),
    ];
    let send = async |address: &str| app.send(from(address, token_request(None, &form))).await;
    for _ in 0..3 {
        send("192.0.2.1")
            .await
            .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    for _ in 0..20 {
        assert_limited(&send("192.0.2.1").await);
    }
    send("192.0.2.2")
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    app.send(from("192.0.2.1", refresh("shop", true)))
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// A flood of token requests or revocations does not keep a resource server from introspecting, and the other way round;
/// whoever does not authenticate pays with its network everywhere.
#[tokio::test]
async fn rule_88_introspection_is_not_starved() {
    let app = limited_app().await;
    let send = async |path: &str, right: bool| {
        let secret = if right { secret("shop") } else { "wrong".to_owned() };
        let request = client_request(path, Some(&basic("shop", &secret)), &[("token", "x")]);
        app.send(from("192.0.2.1", request)).await
    };
    for _ in 0..5 {
        assert_eq!(send("/api/revoke", true).await.status, StatusCode::OK);
    }
    assert_limited(&send("/api/revoke", true).await);
    assert_limited(&app.send(from("192.0.2.1", refresh("shop", true))).await);
    for _ in 0..7 {
        assert_eq!(send("/api/introspect", true).await.status, StatusCode::OK);
    }
    assert_limited(&send("/api/introspect", true).await);
    for path in ["/api/revoke", "/api/introspect", "/api/revoke"] {
        send(path, false)
            .await
            .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    for path in ["/api/revoke", "/api/introspect"] {
        assert_limited(&send(path, false).await);
    }
    assert_limited(&app.send(from("192.0.2.1", refresh("shop", false))).await);
}

/// Behind a trusted proxy each client has its own limits; who only claims to be behind one has not (rule 69).
#[tokio::test]
async fn rule_88_clients_behind_a_proxy_are_told_apart() {
    let app = limited_app().await;
    let statuses = async |peer: &str, forwarded: &str| {
        let mut statuses = Vec::new();
        for number in 0..4 {
            let mut request = from(peer, refresh("shop", false));
            let value = format!("198.51.100.{number}, {forwarded}").parse().unwrap();
            request.headers_mut().insert("x-forwarded-for", value);
            statuses.push(app.send(request).await.status.as_u16());
        }
        statuses
    };
    for client in ["192.0.2.1", "192.0.2.2", "2001:db8:0:1::1"] {
        assert_eq!(
            statuses("10.0.0.1", client).await,
            [401, 401, 401, 429],
            "{client}"
        );
    }
    assert_eq!(statuses("10.0.0.1", "2001:db8:0:1::2").await, [429; 4], "one /64");
    assert_eq!(statuses("203.0.113.1", "192.0.2.7").await, [401, 401, 401, 429]);
    assert_eq!(statuses("203.0.113.1", "192.0.2.8").await, [429; 4]);
}

/// A limit that is off refuses nobody.
#[tokio::test]
async fn rule_88_limits_can_be_turned_off() {
    let off = Settings {
        rate_limits: RateLimits::OFF,
        ..Settings::default()
    };
    let app = app_with_ada().await.with_settings(off);
    for _ in 0..300 {
        app.send(from("192.0.2.1", refresh("shop", false)))
            .await
            .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
}
