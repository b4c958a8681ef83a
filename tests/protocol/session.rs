//! The session of a browser: its cookie, its life and its end.

use std::time::Duration;

use axum::body::Body;
use http::header::SET_COOKIE;
use http::{Request, StatusCode};

use crate::app::{ISSUER, TestApp, encode};
use crate::browser::{
    Browser, Form, PASSWORD, answered, app_with_ada, assert_redirected_error, assert_sign_in_page,
    authorize_path, location, request_with,
};

/// A session id has 256 random bits, is new at every sign-in, and the old one is dead from then on.
#[tokio::test]
async fn rule_61_the_session_id_is_new_at_every_sign_in() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let first = browser.cookie("session").unwrap();
    assert_eq!(first.len(), "clv_se_".len() + 43);
    let old = Browser::new(&app);
    *old.cookies.borrow_mut() = browser.cookies.borrow().clone();
    answered(&old.authorize(&[]).await);

    let page = browser.authorize(&[("prompt", "login")]).await;
    browser.sign_in(&page, "ada", PASSWORD).await;
    let second = browser.cookie("session").unwrap();
    assert_ne!(first, second);
    assert_sign_in_page(&old.authorize(&[]).await);
    answered(&browser.authorize(&[]).await);
}

/// A session id that somebody planted before the sign-in is worth nothing after it.
#[tokio::test]
async fn rule_61_a_planted_session_id_is_not_taken() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let name = browser
        .cookies
        .borrow()
        .keys()
        .next()
        .unwrap()
        .replace("browser", "session");
    let planted = format!("clv_se_{}", "A".repeat(43));
    browser.cookies.borrow_mut().insert(name, planted.clone());
    browser.sign_in(&page, "ada", PASSWORD).await;
    assert_ne!(browser.cookie("session").unwrap(), planted);
}

async fn cookies_of_a_sign_in(issuer: &str) -> Vec<String> {
    let app = TestApp::with_issuer(issuer).await;
    app.register_client("shop", |_| ()).await;
    app.register_user_with_password("ada", PASSWORD).await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let form = Form::of(&page);
    let mut fields: Vec<_> = form
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    fields.retain(|(name, _)| !["username", "password"].contains(name));
    fields.extend([("username", "ada"), ("password", PASSWORD)]);
    let response = browser.post_from(Some(issuer), "/login", &fields).await;
    page.headers
        .get_all(SET_COOKIE)
        .iter()
        .chain(response.headers.get_all(SET_COOKIE))
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect()
}

/// Cookies are `__Host-`, `Secure`, `HttpOnly`, `SameSite=Lax`, with path `/` and no domain, and end with the browser. On a
/// loopback issuer of plain http they have neither prefix nor Secure.
#[tokio::test]
async fn rule_62_cookies_are_tied_to_the_host() {
    let cookies = cookies_of_a_sign_in(ISSUER).await;
    // Only the one that says that somebody has signed in here before outlives the browser.
    let kinds = [("browser", ""), ("session", ""), ("known", "Max-Age=7776000; ")];
    assert_eq!(cookies.len(), 3, "{cookies:?}");
    for (cookie, (what, lifetime)) in cookies.iter().zip(kinds) {
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        assert!(pair.starts_with(&format!("__Host-claviger-{what}-")), "{cookie}");
        assert_eq!(
            attributes,
            format!("{lifetime}Path=/; Secure; HttpOnly; SameSite=Lax")
        );
    }
    let cookies = cookies_of_a_sign_in("http://127.0.0.1:8080").await;
    assert_eq!(cookies.len(), 3, "{cookies:?}");
    for (cookie, (what, lifetime)) in cookies.iter().zip(kinds) {
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        assert!(pair.starts_with(&format!("claviger-{what}-")), "{cookie}");
        assert_eq!(attributes, format!("{lifetime}Path=/; HttpOnly; SameSite=Lax"));
    }
}

/// Two issuers on one host do not sign each other out: their cookies have different names.
#[tokio::test]
async fn rule_62_two_issuers_on_one_host_have_cookies_of_their_own() {
    let name = |cookies: &[String]| cookies[1].split_once('=').unwrap().0.to_owned();
    let one = cookies_of_a_sign_in("http://localhost:8080").await;
    let two = cookies_of_a_sign_in("http://localhost:8081").await;
    assert_ne!(name(&one), name(&two));
}

/// A session that is not used for eight hours ends, and every session ends after a day.
#[tokio::test]
async fn rule_63_sessions_idle_out_and_end() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for _ in 0..3 {
        app.advance(Duration::from_secs(8 * 3600 - 61));
        answered(&browser.authorize(&[]).await);
    }
    app.advance(Duration::from_secs(183));
    assert_sign_in_page(&browser.authorize(&[]).await);

    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    app.advance(Duration::from_hours(8));
    assert_sign_in_page(&browser.authorize(&[]).await);
}

/// A user who is disabled loses all sessions at once, and does not get them back when enabled again.
#[tokio::test]
async fn rule_63_a_disabled_user_loses_all_sessions() {
    let app = app_with_ada().await;
    let browsers = [Browser::new(&app), Browser::new(&app)];
    for browser in &browsers {
        browser.sign_in_as_ada().await;
    }
    for disabled in [true, false] {
        app.register_user_with("ada", |registration| registration.user.disabled = disabled)
            .await;
        for browser in &browsers {
            assert_sign_in_page(&browser.authorize(&[]).await);
            assert_redirected_error(&browser.authorize(&[("prompt", "none")]).await, "login_required");
        }
    }
}

/// Signing out needs a confirmation: a GET alone changes nothing.
#[tokio::test]
async fn rule_71_a_link_alone_signs_nobody_out() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let page = browser.get("/logout").await;
    assert!(page.text().contains("id=\"confirm-logout\""));
    assert!(page.text().contains("ada Example"));
    assert!(browser.cookie("session").is_some());
    answered(&browser.authorize(&[]).await);
    // No parameter makes it redirect anywhere.
    let path = "/logout?post_logout_redirect_uri=https%3A%2F%2Fevil.example&id_token_hint=x";
    let page = browser.get(path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text().contains("evil"));
}

/// After a sign-out the session is gone (also for a copy of its cookie), the cookie is cleared, silent sign-in fails, and
/// no page was kept that the back button could show.
#[tokio::test]
async fn rule_72_after_a_sign_out_nothing_is_left() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let code = browser.sign_in_as_ada().await["code"].clone();
    let tokens = app.redeem("shop", &code).await.json();
    let copy = Browser::new(&app);
    *copy.cookies.borrow_mut() = browser.cookies.borrow().clone();

    let home = browser.get("/").await;
    assert!(home.text().contains("ada Example"));
    let confirm = browser.get("/logout").await;
    let response = browser.submit(&Form::of(&confirm), &[]).await;
    assert_eq!(response.header("clear-site-data"), Some("\"cache\""));
    let cleared = response.header("set-cookie").unwrap();
    assert!(
        cleared.contains("claviger-session-") && cleared.contains("Max-Age=0"),
        "{cleared}"
    );
    let signed_out = browser.follow(&response).await;
    assert!(
        signed_out.text().contains("id=\"signed-out\""),
        "{}",
        signed_out.text()
    );
    for page in [&home, &confirm, &response, &signed_out] {
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
    for browser in [&browser, &copy] {
        assert_redirected_error(&browser.authorize(&[("prompt", "none")]).await, "login_required");
        assert!(!browser.get("/").await.text().contains("ada"));
    }
    let refresh = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await;
    refresh.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// Without a session the sign-out page says that nobody is signed in, and a cookie of a session that ended is cleared.
#[tokio::test]
async fn rule_72_signing_out_twice_is_no_error() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let form = Form::of(&browser.get("/logout").await);
    let copy = Browser::new(&app);
    *copy.cookies.borrow_mut() = browser.cookies.borrow().clone();
    for browser in [&browser, &copy] {
        let response = browser.submit(&form, &[]).await;
        assert!(
            browser
                .follow(&response)
                .await
                .text()
                .contains("id=\"signed-out\"")
        );
        assert_eq!(browser.cookie("session"), None);
    }
}

/// Nothing is taken from forwarded headers, forged, unparsable or written with an underscore: not the origin that a form
/// must come from, not whether cookies are Secure, not where a redirect leads.
#[tokio::test]
async fn rule_69_forwarded_headers_change_nothing() {
    const EVIL: &str = "https://evil.example";
    const FORGED: [(&str, &str); 10] = [
        ("host", "evil.example"),
        ("forwarded", "for=127.0.0.1;host=evil.example;proto=http"),
        ("forwarded", "for=\"[::1"),
        ("x-forwarded-for", "127.0.0.1, , nonsense"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x_forwarded_proto", "http"),
        ("x-forwarded-uri", "/logout"),
        ("x-forwarded-prefix", "//evil.example"),
        ("x-real-ip", "127.0.0.1"),
    ];
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let with_forged = |mut request: http::request::Builder| {
        for (name, value) in FORGED {
            request = request.header(name, value);
        }
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    let path = authorize_path(&request_with(&[]));
    let page = browser.send(with_forged(Request::get(path)), Body::empty()).await;
    assert_sign_in_page(&page);
    assert!(page.header("set-cookie").unwrap().contains("; Secure;"));
    assert!(!page.text().contains("evil.example"));

    let form = Form::of(&page);
    let mut fields: Vec<_> = form
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    fields.retain(|(name, _)| !["username", "password"].contains(name));
    fields.extend([("username", "ada"), ("password", PASSWORD)]);
    let post = |origin: &'static str| with_forged(Request::post("/login")).header("origin", origin);
    let refused = browser.send(post(EVIL), Body::from(encode(&fields))).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let signed_in = browser.send(post(ISSUER), Body::from(encode(&fields))).await;
    assert!(location(&signed_in).starts_with("/consent?interaction="));
    let cookies: Vec<_> = signed_in.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2);
    for cookie in cookies {
        assert!(cookie.to_str().unwrap().contains("; Secure;"));
    }
}
