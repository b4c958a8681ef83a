//! `/logout` as apps use it: OpenID Connect RP-Initiated Logout.

use std::time::Duration;

use http::StatusCode;

use crate::app::{TestApp, TestResponse, encode};
use crate::browser::{
    Browser, Form, PASSWORD, REQUEST, answered, app_with_ada, assert_error_page, assert_redirected_error,
    location,
};

const AFTER: &str = "https://shop.example.org/signed-out?from=claviger";

async fn app_with_logout() -> TestApp {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.post_logout_redirect_uris = vec![AFTER.to_owned()];
    })
    .await;
    app
}

async fn id_token(app: &TestApp, code: &str) -> String {
    let tokens = app.redeem("shop", code).await.json();
    tokens["id_token"].as_str().unwrap().to_owned()
}

/// Signs ada in and gives the ID token that the app got.
async fn signed_in(app: &TestApp, browser: &Browser<'_>) -> String {
    let code = browser.sign_in_as_ada().await["code"].clone();
    id_token(app, &code).await
}

async fn log_out(browser: &Browser<'_>, parameters: &[(&str, &str)]) -> TestResponse {
    browser.get(&format!("/logout?{}", encode(parameters))).await
}

async fn is_signed_in(browser: &Browser<'_>) -> bool {
    let response = browser.authorize(&[("prompt", "none")]).await;
    let answer = answered(&response);
    if answer.contains_key("code") {
        return true;
    }
    assert_redirected_error(&response, "login_required");
    false
}

#[track_caller]
fn assert_asks(page: &TestResponse) {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert!(page.text().contains("id=\"confirm-logout\""), "{}", page.text());
}

/// An ID token of this very session ends it at once, and leads to a registered URI with `state`; the session's grants end
/// with it. Its expiry does not matter.
#[tokio::test]
async fn rule_71_an_id_token_of_the_session_ends_it() {
    let app = app_with_logout().await;
    let browser = Browser::new(&app);
    let code = browser.sign_in_as_ada().await["code"].clone();
    let tokens = app.redeem("shop", &code).await.json();
    let hint = tokens["id_token"].as_str().unwrap();
    app.advance(Duration::from_hours(2));
    let response = log_out(
        &browser,
        &[
            ("id_token_hint", hint),
            ("client_id", "team-a.shop"),
            ("post_logout_redirect_uri", AFTER),
            ("state", "a b&c"),
            ("ui_locales", "fr"),
            ("logout_hint", "ada"),
        ],
    )
    .await;
    assert_eq!(location(&response), format!("{AFTER}&state=a+b%26c"));
    assert_eq!(response.header("clear-site-data"), Some("\"cache\""));
    assert_eq!(browser.cookie("session"), None);
    assert!(!is_signed_in(&browser).await);
    let refresh = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await;
    refresh.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");

    // Without a URI the person stays, at an address that holds nothing of the request.
    let hint = signed_in(&app, &browser).await;
    let response = log_out(&browser, &[("id_token_hint", &hint)]).await;
    assert_eq!(location(&response), "/logout");
    assert!(
        browser
            .follow(&response)
            .await
            .text()
            .contains("id=\"signed-out\"")
    );
    // Where nobody is signed in, a hint still leads back.
    let parameters = [("id_token_hint", &*hint), ("post_logout_redirect_uri", AFTER)];
    assert_eq!(location(&log_out(&browser, &parameters).await), AFTER);
}

/// Without an ID token, with one of another session, another person or another client, with a forged one, or with a
/// `client_id` that is not its client, the person is asked, and nothing has happened before they answer.
#[tokio::test]
async fn rule_71_without_proof_the_person_is_asked() {
    let app = app_with_logout().await;
    app.register_user_with_password("bob", PASSWORD).await;
    app.register_client("blog", |registration| {
        registration.client.post_logout_redirect_uris = vec![AFTER.to_owned()];
    })
    .await;
    let other = Browser::new(&app);
    let of_another_browser = signed_in(&app, &other).await;
    let bob = Browser::new(&app);
    let page = bob.authorize(&[]).await;
    let redirect = bob.sign_in(&page, "bob", PASSWORD).await;
    let code = answered(&bob.answer_consent(&redirect, "allow").await)["code"].clone();
    let of_bob = id_token(&app, &code).await;

    let browser = Browser::new(&app);
    let earlier = signed_in(&app, &browser).await;
    let page = browser.authorize(&[("prompt", "login")]).await;
    let answer = answered(&browser.sign_in(&page, "ada", PASSWORD).await);
    let own = id_token(&app, &answer["code"]).await;
    let tokens = app.tokens("openid").await;
    let access_token = tokens["access_token"].as_str().unwrap();
    for parameters in [
        &[("client_id", "team-a.shop")][..],
        &[],
        &[("client_id", "nobody")],
        &[("logout_hint", "ada")],
        &[("id_token_hint", "x")],
        &[("id_token_hint", &own[..own.len() - 2])],
        &[("id_token_hint", access_token)],
        &[("id_token_hint", &*of_another_browser)],
        &[("id_token_hint", &*of_bob)],
        &[("id_token_hint", &*earlier)],
        &[("id_token_hint", &*own), ("client_id", "team-a.blog")],
    ] {
        let parameters = [parameters, &[("post_logout_redirect_uri", AFTER)]].concat();
        assert_asks(&log_out(&browser, &parameters).await);
        assert!(is_signed_in(&browser).await);
    }
}

/// A `client_id` without an ID token leads back to its app when the person has confirmed it (RP-Initiated Logout sections 2 and
/// 3): on a page that names the app, and to a URI that this client registered. Nothing leads there without their yes.
#[tokio::test]
async fn rule_71_a_client_id_leads_back_when_the_person_confirms() {
    let app = app_with_logout().await;
    let browser = Browser::new(&app);
    signed_in(&app, &browser).await;
    let page = log_out(
        &browser,
        &[
            ("client_id", "team-a.shop"),
            ("post_logout_redirect_uri", AFTER),
            ("state", "s"),
        ],
    )
    .await;
    assert!(
        page.text().contains("<strong>shop</strong> asks"),
        "{}",
        page.text()
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("form-action 'self' https://shop.example.org;"),
        "{policy}"
    );
    let response = browser.submit(&Form::of(&page), &[]).await;
    assert_eq!(location(&response), format!("{AFTER}&state=s"));
    assert!(!is_signed_in(&browser).await);
    // There is nobody left who could confirm a bare client_id.
    let page = log_out(
        &browser,
        &[("client_id", "team-a.shop"), ("post_logout_redirect_uri", AFTER)],
    )
    .await;
    assert!(page.text().contains("id=\"signed-out\""), "{}", page.text());
}

/// The browser is sent to a registered URI only, compared byte for byte, a loopback port included; everything else signs
/// out and stays.
#[tokio::test]
async fn rule_71_only_registered_uris_are_led_to() {
    let app = app_with_logout().await;
    app.register_client("shop", |registration| {
        registration.client.post_logout_redirect_uris =
            vec![AFTER.to_owned(), "http://127.0.0.1:5000/out".to_owned()];
    })
    .await;
    for (uri, state) in [
        ("https://evil.example/", "s"),
        ("https://shop.example.org/signed-out", "s"),
        ("https://shop.example.org/signed-out?from=claviger&x", "s"),
        ("HTTPS://shop.example.org/signed-out?from=claviger", "s"),
        ("http://127.0.0.1:5001/out", "s"),
        // Registered for signing in, not for this.
        (crate::fixtures::REDIRECT_URI, "s"),
        ("//evil.example", "s"),
        ("", "https://evil.example"),
    ] {
        let browser = Browser::new(&app);
        let hint = signed_in(&app, &browser).await;
        let parameters = [
            ("id_token_hint", &*hint),
            ("post_logout_redirect_uri", uri),
            ("state", state),
        ];
        assert_eq!(
            location(&log_out(&browser, &parameters).await),
            "/logout",
            "{uri}"
        );
        assert!(!is_signed_in(&browser).await);
        let page = log_out(&browser, &parameters).await;
        assert!(page.text().contains("id=\"signed-out\"") && !page.text().contains("evil"));
    }
    let browser = Browser::new(&app);
    let hint = signed_in(&app, &browser).await;
    let parameters = [
        ("id_token_hint", &*hint),
        ("post_logout_redirect_uri", "http://127.0.0.1:5000/out"),
    ];
    assert_eq!(
        location(&log_out(&browser, &parameters).await),
        "http://127.0.0.1:5000/out"
    );
}

/// A URI that was registered when the page was shown and is no more when the person answers is not led to; nor is one of a
/// client that is suspended. A form that lay open for too long still signs out.
#[tokio::test]
async fn rule_71_the_target_is_checked_when_the_person_answers() {
    let app = app_with_logout().await;
    let parameters = [("client_id", "team-a.shop"), ("post_logout_redirect_uri", AFTER)];
    for change in ["unregistered", "suspended", "old"] {
        let browser = Browser::new(&app);
        signed_in(&app, &browser).await;
        let form = Form::of(&log_out(&browser, &parameters).await);
        match change {
            "unregistered" => app.register_client("shop", |_| ()).await,
            "suspended" => {
                app.register_client("shop", |registration| registration.client.suspended = true)
                    .await;
            }
            _ => app.advance(Duration::from_mins(10)),
        }
        let response = browser.submit(&form, &[]).await;
        assert_eq!(location(&response), "/logout", "{change}");
        assert_eq!(browser.cookie("session"), None);
        app.register_client("shop", |registration| {
            registration.client.post_logout_redirect_uris = vec![AFTER.to_owned()];
        })
        .await;
        assert!(!is_signed_in(&browser).await);
    }
}

/// A POST of another site comes without cookies and is answered by a redirect to GET, with the parameters sealed.
#[tokio::test]
async fn rule_08_a_request_to_sign_out_may_be_posted() {
    let app = app_with_logout().await;
    let browser = Browser::new(&app);
    let hint = signed_in(&app, &browser).await;
    let parameters = [("id_token_hint", &*hint), ("post_logout_redirect_uri", AFTER)];
    let elsewhere = Browser::new(&app);
    let redirect = elsewhere
        .post_from(Some("https://shop.example.org"), "/logout", &parameters)
        .await;
    let path = location(&redirect);
    assert!(
        path.starts_with("/logout?claviger_posted=") && !path.contains(&hint),
        "{path}"
    );
    assert!(is_signed_in(&browser).await);
    assert_eq!(location(&browser.get(&path).await), AFTER);
    assert!(!is_signed_in(&browser).await);
}

/// What was sealed for one endpoint is nothing at the other, although the same parameters would be good there.
#[tokio::test]
async fn rule_54_sealed_parameters_are_of_one_endpoint() {
    let app = app_with_logout().await;
    let browser = Browser::new(&app);
    let hint = signed_in(&app, &browser).await;
    let mut parameters = REQUEST.to_vec();
    parameters.extend([("id_token_hint", &*hint), ("post_logout_redirect_uri", AFTER)]);
    let origin = Some("https://shop.example.org");
    for (endpoint, other, expected) in [
        ("/authorize", "/logout", "https://shop.example.org/callback?code="),
        ("/logout", "/authorize", AFTER),
    ] {
        let redirect = Browser::new(&app).post_from(origin, endpoint, &parameters).await;
        let sealed = location(&redirect);
        let elsewhere = sealed.replacen(endpoint, other, 1);
        assert!(
            elsewhere.starts_with(&format!("{other}?claviger_posted=")),
            "{elsewhere}"
        );
        let page = browser.get(&elsewhere).await;
        assert_error_page(&page, StatusCode::BAD_REQUEST, &[]);
        assert!(
            page.text().contains("This page is out of date"),
            "{}",
            page.text()
        );
        assert!(is_signed_in(&browser).await);
        // Where it was sealed for, it is good.
        let answer = location(&browser.get(&sealed).await);
        assert!(answer.starts_with(expected), "{answer}");
    }
}

/// A request to sign out that cannot be read is told as one to sign out, by GET and by POST.
#[tokio::test]
async fn rule_80_a_malformed_request_to_sign_out_is_told_so() {
    let app = app_with_logout().await;
    let browser = Browser::new(&app);
    let too_long = "x".repeat(9 * 1024);
    for (endpoint, title) in [
        ("/logout", "This app cannot sign you out"),
        ("/authorize", "This app cannot sign you in"),
    ] {
        let unread = browser.get(&format!("{endpoint}?state=%ff")).await;
        let posted = browser.post(endpoint, &[("state", &too_long)]).await;
        for (page, status) in [
            (unread, StatusCode::BAD_REQUEST),
            (posted, StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            assert_error_page(&page, status, &["xxxx"]);
            assert!(page.text().contains(title), "{}", page.text());
        }
    }
}

/// Nobody is signed out by a form of another site: the confirmation needs the token that was shown to this browser, and
/// the origin of our own page.
#[tokio::test]
async fn rule_64_the_confirmation_is_not_forged() {
    let app = app_with_logout().await;
    let browser = Browser::new(&app);
    signed_in(&app, &browser).await;
    let form = Form::of(&browser.get("/logout").await);
    assert_eq!(form.action, "/logout/confirm");
    let token = form.field("csrf_token").to_owned();
    for (origin, token) in [
        (Some("https://shop.example.org"), &*token),
        (None, &*token),
        (Some(crate::app::ISSUER), "x"),
        (Some(crate::app::ISSUER), ""),
    ] {
        let response = browser
            .post_from(origin, &form.action, &[("csrf_token", token)])
            .await;
        assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
        assert!(is_signed_in(&browser).await);
    }
    assert_error_page(
        &browser.get("/logout/confirm").await,
        StatusCode::BAD_REQUEST,
        &[],
    );
}

/// A repeated parameter is refused, on a page.
#[tokio::test]
async fn rule_06_a_request_to_sign_out_repeats_nothing() {
    let app = app_with_logout().await;
    let browser = Browser::new(&app);
    let hint = signed_in(&app, &browser).await;
    for name in ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"] {
        let mut parameters = vec![("id_token_hint", &*hint), ("post_logout_redirect_uri", AFTER)];
        parameters.extend([(name, "marker"), (name, "marker")]);
        let response = log_out(&browser, &parameters).await;
        assert_error_page(&response, StatusCode::BAD_REQUEST, &["marker"]);
        assert!(is_signed_in(&browser).await);
    }
}

/// ID tokens carry `sid`: the same through a session and its refreshes, another for another session or client, and nothing
/// that could be used as the cookie.
#[tokio::test]
async fn rule_46_the_sid_is_of_a_session_and_a_client() {
    let app = app_with_logout().await;
    app.register_client("blog", |_| ()).await;
    let browser = Browser::new(&app);
    let sid = |token: &str| crate::jwt::part(token, 1)["sid"].as_str().unwrap().to_owned();
    let code = browser.sign_in_as_ada().await["code"].clone();
    let tokens = app.redeem("shop", &code).await.json();
    let first = sid(tokens["id_token"].as_str().unwrap());
    let refreshed = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(sid(refreshed["id_token"].as_str().unwrap()), first);
    let again = answered(&browser.authorize(&[]).await)["code"].clone();
    assert_eq!(sid(&id_token(&app, &again).await), first);
    assert!(!browser.cookie("session").unwrap().contains(&first));

    let redirect = browser.authorize(&[("client_id", "team-a.blog")]).await;
    let code = answered(&browser.answer_consent(&redirect, "allow").await)["code"].clone();
    let blog = app.redeem("blog", &code).await.json();
    assert_ne!(sid(blog["id_token"].as_str().unwrap()), first);
    let other = Browser::new(&app);
    assert_ne!(sid(&signed_in(&app, &other).await), first);
}
