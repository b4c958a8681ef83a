//! Pushed authorization requests (RFC 9126): what is checked when one is pushed, and that its name is good once, for its
//! client, for a minute.

use std::collections::BTreeSet;
use std::time::Duration;

use claviger::http::Settings;
use claviger::http::rate_limit::{Limit, RateLimits};
use claviger::oidc::client::ClientAuthenticationMethod;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{ISSUER, TestApp, TestResponse, basic, client_request, secret};
use crate::browser::{
    Browser, PASSWORD, REQUEST, answered, app_with_ada, assert_error_page, assert_redirected_error,
    assert_sign_in_page, authorize_path, location, request_with,
};
use crate::client_keys::KEYS;
use crate::faulty_store::Fault;
use crate::fixtures;

const PAR: &str = "/api/par";

async fn push(app: &TestApp, changes: &[(&str, &str)]) -> TestResponse {
    app.ask(PAR, "shop", &request_with(changes)).await
}

#[track_caller]
fn pushed(response: &TestResponse) -> String {
    assert_eq!(response.status, StatusCode::CREATED, "{}", response.text());
    response.json()["request_uri"].as_str().unwrap().to_owned()
}

fn by_name(client: &str, request_uri: &str) -> String {
    authorize_path(&[("client_id", client), ("request_uri", request_uri)])
}

async fn register_public(app: &TestApp) {
    app.register_client("public", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.initial_secret_versions.clear();
    })
    .await;
}

/// A confidential client pushes its request and gets a name of 256 random bits for a minute, which no cache keeps; the
/// browser brings the name, and the whole way goes by what was pushed.
#[tokio::test]
async fn rule_44_a_pushed_request_is_answered_like_any_other() {
    let app = app_with_ada().await;
    let response = push(&app, &[("max_age", "60")]).await;
    let request_uri = pushed(&response);
    assert_eq!(response.json()["expires_in"], 60);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let name = request_uri.strip_prefix("urn:ietf:params:oauth:request_uri:clv_pr_");
    assert_eq!(name.unwrap().len(), 43);

    let browser = Browser::new(&app);
    let redirect = browser.get(&by_name("team-a.shop", &request_uri)).await;
    let page = browser.follow(&redirect).await;
    assert_sign_in_page(&page);
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let answer = answered(&browser.answer_consent(&redirect, "allow").await);
    assert_eq!(answer["state"], "state");
    let tokens = app.redeem("shop", &answer["code"]).await.json();
    let id_token = crate::jwt::part(tokens["id_token"].as_str().unwrap(), 1);
    assert_eq!(id_token["nonce"], "nonce");
    assert_eq!(id_token["auth_time"], app.now().as_second());

    // Whoever is signed in and has consented is sent on at once.
    let request_uri = pushed(&push(&app, &[("state", "another")]).await);
    let answer = answered(&browser.get(&by_name("team-a.shop", &request_uri)).await);
    assert_eq!(answer["state"], "another");
}

/// Nothing of a pushed request can be read in the browser: not in any address, page or cookie before the answer (`rule_44` of
/// CVE-2024-4540).
#[tokio::test]
async fn rule_44_the_browser_sees_nothing_of_a_pushed_request() {
    let app = app_with_ada().await;
    let marked = [
        ("state", "marked-state"),
        ("nonce", "marked-nonce"),
        ("login_hint", ""),
        ("ui_locales", "marked-locale"),
    ];
    let request_uri = pushed(&push(&app, &marked).await);
    let browser = Browser::new(&app);
    let redirect = browser.get(&by_name("team-a.shop", &request_uri)).await;
    let page = browser.follow(&redirect).await;
    assert_sign_in_page(&page);
    let consent = browser.sign_in(&page, "ada", PASSWORD).await;
    let question = browser.follow(&consent).await;
    let cookies = format!("{:?}", browser.cookies.borrow());
    for seen in [
        location(&redirect),
        page.text(),
        location(&consent),
        question.text(),
        cookies,
    ] {
        for secret in ["marked-", "callback", fixtures::CODE_CHALLENGE] {
            assert!(!seen.contains(secret), "{secret} in {seen}");
        }
    }
}

/// A name is good once: the second browser gets a page, and so does the first, while the sign-in form that it was shown can
/// be loaded again there, and nowhere else.
#[tokio::test]
async fn rule_44_a_name_is_good_once() {
    let app = app_with_ada().await;
    let request_uri = pushed(&push(&app, &[]).await);
    let path = by_name("team-a.shop", &request_uri);
    let (browser, other) = (Browser::new(&app), Browser::new(&app));
    let redirect = browser.get(&path).await;
    for browser in [&browser, &other] {
        assert_error_page(&browser.get(&path).await, StatusCode::BAD_REQUEST, &["clv_pr_"]);
    }
    for _ in 0..2 {
        assert_sign_in_page(&browser.follow(&redirect).await);
    }
    assert_error_page(&other.follow(&redirect).await, StatusCode::FORBIDDEN, &[]);
    let page = browser.follow(&redirect).await;
    let consent = browser.sign_in(&page, "ada", PASSWORD).await;
    answered(&browser.answer_consent(&consent, "allow").await);
    app.advance(Duration::from_mins(10));
    assert_error_page(&browser.follow(&redirect).await, StatusCode::BAD_REQUEST, &[]);
}

/// Of 64 browsers that come with one name at once, one is asked to sign in.
#[tokio::test]
async fn rule_44_a_name_is_good_once_for_64_at_once() {
    let app = app_with_ada().await;
    let request_uri = pushed(&push(&app, &[]).await);
    let path = by_name("team-a.shop", &request_uri);
    let visits: Vec<_> = (0..64)
        .map(|_| {
            let (router, path) = (app.router.clone(), path.clone());
            tokio::spawn(async move {
                let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
                tower::ServiceExt::oneshot(router, request)
                    .await
                    .unwrap()
                    .status()
            })
        })
        .collect();
    let mut led_on = 0;
    for visit in visits {
        match visit.await.unwrap() {
            StatusCode::SEE_OTHER => led_on += 1,
            other => assert_eq!(other, StatusCode::BAD_REQUEST),
        }
    }
    assert_eq!(led_on, 1);
}

/// A name is good for a minute.
#[tokio::test]
async fn rule_44_a_name_expires() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let (early, late) = (pushed(&push(&app, &[]).await), pushed(&push(&app, &[]).await));
    app.advance(Duration::from_millis(59_999));
    location(&browser.get(&by_name("team-a.shop", &early)).await);
    app.advance(Duration::from_millis(1));
    let response = browser.get(&by_name("team-a.shop", &late)).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &["clv_pr_"]);
}

/// Another client's name is nobody's, and stays good for its own; so is one that was altered, cut, or never given. A name of
/// another form than ours is refused as every other `request_uri` is (`rule_19`).
#[tokio::test]
async fn rule_44_a_name_is_its_clients() {
    let app = app_with_ada().await;
    app.register_client("blog", |_| ()).await;
    let browser = Browser::new(&app);
    let request_uri = pushed(&push(&app, &[]).await);
    let mut altered = request_uri.clone();
    let last = if altered.pop() == Some('A') { 'E' } else { 'A' };
    altered.push(last);
    let cut = &request_uri[..request_uri.len() - 1];
    let padded = format!("{request_uri}=");
    for (client, name) in [
        ("team-a.blog", request_uri.as_str()),
        ("team-a.shop", &altered),
        ("team-a.shop", cut),
        ("team-a.shop", &padded),
        ("team-a.shop", "urn:ietf:params:oauth:request_uri:clv_pr_"),
    ] {
        // Not even with a redirect URI beside it, which nothing vouches for.
        for path in [
            by_name(client, name),
            authorize_path(&request_with(&[("client_id", client), ("request_uri", name)])),
        ] {
            let response = browser.get(&path).await;
            assert_error_page(&response, StatusCode::BAD_REQUEST, &["clv_pr_"]);
        }
    }
    for foreign in [
        "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c",
        "https://shop.example.org/request",
        "urn:ietf:params:oauth:request_uri:clv_ac_",
    ] {
        let response = browser.authorize(&[("request_uri", foreign)]).await;
        assert_redirected_error(&response, "request_uri_not_supported");
    }
    location(&browser.get(&by_name("team-a.shop", &request_uri)).await);
}

/// Whatever stands beside a name is ignored (RFC 9126 section 4 with RFC 9101 section 6.3), but for `request`, which never
/// stands there (RFC 9101 section 5) and spends nothing.
#[tokio::test]
async fn rule_44_only_what_was_pushed_counts() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let request_uri = pushed(&push(&app, &[]).await);
    let beside = [
        ("request_uri", request_uri.as_str()),
        ("redirect_uri", "https://evil.example/cb"),
        ("state", "evil"),
        ("scope", "openid email"),
        ("prompt", "login"),
        ("response_mode", "form_post"),
        ("response_type", "token"),
        ("code_challenge", "evil"),
        ("id_token_hint", "evil"),
    ];
    let mut parameters = request_with(&beside);
    parameters.push(("request", "x"));
    let response = browser.get(&authorize_path(&parameters)).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &["evil"]);
    assert!(
        response.text().contains("request stands beside"),
        "{}",
        response.text()
    );
    let answer = answered(&browser.authorize(&beside).await);
    assert_eq!(answer["state"], "state");
    let tokens = app.redeem("shop", &answer["code"]).await.json();
    assert_eq!(tokens["scope"], "openid profile");
}

/// A name may come by POST from the app's site.
#[tokio::test]
async fn rule_08_a_name_may_be_posted() {
    let app = app_with_ada().await;
    let request_uri = pushed(&push(&app, &[]).await);
    let browser = Browser::new(&app);
    let fields = [
        ("client_id", "team-a.shop"),
        ("request_uri", request_uri.as_str()),
    ];
    let resent = browser.post("/authorize", &fields).await;
    let redirect = browser.follow(&resent).await;
    assert_sign_in_page(&browser.follow(&redirect).await);
}

/// Every check of the authorization endpoint is made when a request is pushed, and told to the client as JSON; nothing that
/// is refused gets a name.
#[tokio::test]
async fn rule_44_a_bad_request_is_refused_when_it_is_pushed() {
    let app = app_with_ada().await;
    for (name, value, error) in [
        ("redirect_uri", "https://evil.example/cb", "invalid_request"),
        ("redirect_uri", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "profile", "invalid_scope"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("prompt", "none login", "invalid_request"),
        ("max_age", "x", "invalid_request"),
        ("id_token_hint", "x", "invalid_request"),
        ("resource", "https://other.example", "invalid_target"),
        ("registration", "{}", "registration_not_supported"),
        ("request_uri", "https://shop.example.org/r", "invalid_request"),
        ("request", "x", "invalid_request_object"),
    ] {
        let response = push(&app, &[(name, value)]).await;
        response.assert_error(StatusCode::BAD_REQUEST, error);
        assert!(!response.text().contains("evil"), "{}", response.text());
    }
    // The name of a pushed request is no request to push either (RFC 9126 section 2.1).
    let request_uri = pushed(&push(&app, &[]).await);
    let response = push(&app, &[("request_uri", &request_uri)]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    let mut repeated = request_with(&[]);
    repeated.push(("state", "again"));
    let response = app.ask(PAR, "shop", &repeated).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    let too_long = "x".repeat(70_000);
    let response = push(&app, &[("state", &too_long)]).await;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// Clients authenticate as at the token endpoint: a confidential one does not push without its secret, for another, or while
/// it is suspended. A public one only names itself.
#[tokio::test]
async fn rule_33_who_pushes_is_authenticated() {
    let app = app_with_ada().await;
    register_public(&app).await;
    let form = request_with(&[]);
    for authorization in [None, Some(basic("shop", "wrong")), Some(basic("nobody", "x"))] {
        let is_basic = authorization.is_some();
        let mut form = form.clone();
        if is_basic {
            form.retain(|(name, _)| *name != "client_id");
        }
        let response = app
            .send(client_request(PAR, authorization.as_deref(), &form))
            .await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
        assert_eq!(response.headers.contains_key("www-authenticate"), is_basic);
    }
    let other = request_with(&[("client_id", "team-a.public")]);
    let response = app.ask(PAR, "shop", &other).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");

    let mut with_secret = form.clone();
    let right = secret("shop");
    with_secret.push(("client_secret", &right));
    pushed(&app.send(client_request(PAR, None, &with_secret)).await);
    let request_uri = pushed(&app.send(client_request(PAR, None, &other)).await);
    location(
        &Browser::new(&app)
            .get(&by_name("team-a.public", &request_uri))
            .await,
    );

    app.register_client("shop", |registration| registration.client.suspended = true)
        .await;
    push(&app, &[])
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
}

/// JSON, parameters in the query and other methods are refused as at the token endpoint.
#[tokio::test]
async fn rule_24_requests_are_pushed_as_forms() {
    let app = app_with_ada().await;
    assert_eq!(app.get(PAR).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let in_query = format!("{PAR}?{}", crate::app::encode(&REQUEST));
    let header = basic("shop", &secret("shop"));
    let response = app.send(client_request(&in_query, Some(&header), &[])).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    let request = http::Request::post(PAR)
        .header("authorization", header)
        .header("content-type", "application/json")
        .body(axum::body::Body::from("{}"))
        .unwrap();
    assert!(app.send(request).await.status.is_client_error());
}

/// A request object may be pushed: what stands inside counts, and nothing beside it (RFC 9126 section 3). Once it was taken,
/// it may expire.
#[tokio::test]
async fn rule_44_a_request_object_may_be_pushed() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| registration.client.jwks = KEYS.jwks())
        .await;
    let now = app.now().as_second();
    let mut claims = json!({"iss": "team-a.shop", "aud": ISSUER, "exp": now + 30});
    for (name, value) in REQUEST {
        claims[name] = json!(value);
    }
    let sign = |claims: &Value| KEYS.sign(&json!({"alg": "ES256", "kid": "ec"}), claims);
    let object = sign(&claims);
    let form = [("request", object.as_str()), ("state", "outside")];
    let request_uri = pushed(&app.ask(PAR, "shop", &form).await);
    app.advance(Duration::from_secs(40));
    let browser = Browser::new(&app);
    let redirect = browser.get(&by_name("team-a.shop", &request_uri)).await;
    let page = browser.follow(&redirect).await;
    let consent = browser.sign_in(&page, "ada", PASSWORD).await;
    let answer = answered(&browser.answer_consent(&consent, "allow").await);
    assert_eq!(answer["state"], "state");

    let response = app.ask(PAR, "shop", &form).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request_object");
    claims["exp"] = json!(now + 300);
    claims["client_id"] = json!("team-a.blog");
    let response = app.ask(PAR, "shop", &[("request", &sign(&claims))]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request_object");
    claims["client_id"] = json!("team-a.shop");
    claims["redirect_uri"] = json!("https://evil.example/cb");
    let response = app.ask(PAR, "shop", &[("request", &sign(&claims))]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
}

/// A client that always pushes is refused every request in the browser's address, signed or not, and told so at its redirect
/// URI; pushed ones work.
#[tokio::test]
async fn rule_44_a_client_may_have_to_push() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.jwks = KEYS.jwks();
        registration.client.require_pushed_authorization_requests = true;
    })
    .await;
    let browser = Browser::new(&app);
    let response = browser.authorize(&[]).await;
    assert_redirected_error(&response, "invalid_request");
    assert_eq!(answered(&response)["state"], "state");
    let mut claims = json!({"iss": "team-a.shop", "aud": ISSUER, "exp": app.now().as_second() + 30});
    for (name, value) in REQUEST {
        claims[name] = json!(value);
    }
    let object = KEYS.sign(&json!({"alg": "ES256"}), &claims);
    let response = browser.authorize(&[("request", &object)]).await;
    assert_redirected_error(&response, "invalid_request");
    let request_uri = pushed(&push(&app, &[]).await);
    location(&browser.get(&by_name("team-a.shop", &request_uri)).await);
}

/// A client that was suspended, or registered as another, after it pushed gets nothing (`rule_20`).
#[tokio::test]
async fn rule_44_a_name_ends_with_what_it_was_checked_against() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let request_uri = pushed(&push(&app, &[]).await);
    app.register_client("shop", |registration| {
        registration.client.redirect_uris = vec!["https://shop.example.org/other".to_owned()];
    })
    .await;
    let response = browser.get(&by_name("team-a.shop", &request_uri)).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &["callback"]);
    app.register_client("shop", |_| ()).await;
    let request_uri = pushed(&push(&app, &[]).await);
    app.register_client("shop", |registration| registration.client.suspended = true)
        .await;
    let response = browser.get(&by_name("team-a.shop", &request_uri)).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &["callback"]);
}

/// Whoever names a public client has shown nothing, so that their network pays for what is kept: in a burst of ten pushes
/// all are kept, and the next waits; a client with a secret goes on.
#[tokio::test]
async fn rule_88_a_public_client_pushes_at_the_expense_of_the_network() {
    let app = app_with_ada().await;
    register_public(&app).await;
    let app = app.with_settings(Settings {
        rate_limits: RateLimits {
            token: Limit::new(1, 10),
            ..RateLimits::OFF
        },
        ..Settings::default()
    });
    let form = request_with(&[("client_id", "team-a.public")]);
    for _ in 0..10 {
        pushed(&app.send(client_request(PAR, None, &form)).await);
    }
    let response = app.send(client_request(PAR, None, &form)).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(response.header("retry-after").is_some());
    pushed(&push(&app, &[]).await);
}

/// While the store is away nothing is pushed or taken, and nobody is told that a name is used.
#[tokio::test]
async fn rule_82_a_store_that_is_away_is_no_used_name() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let request_uri = pushed(&push(&app, &[]).await);
    app.store.fail("take_pushed_request", Fault::Unavailable);
    let response = browser.get(&by_name("team-a.shop", &request_uri)).await;
    assert_error_page(&response, StatusCode::SERVICE_UNAVAILABLE, &[]);
    app.store.fail("push_authorization_request", Fault::Unavailable);
    let response = push(&app, &[]).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    app.store.heal();
    location(&browser.get(&by_name("team-a.shop", &request_uri)).await);
}
