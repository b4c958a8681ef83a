//! Forms and where they may come from.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};

use crate::app::{ISSUER, TestApp, TestResponse, encode};
use crate::browser::{
    Browser, Form, PASSWORD, answered, app_with_ada, assert_error_page, assert_sign_in_page, location,
};

/// Every redirect after a form is a 303, so that a browser never sends the form on (RFC 9700 section 4.12).
#[tokio::test]
async fn rule_21_redirects_after_a_form_are_303() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let after_sign_in = browser.sign_in(&page, "ada", PASSWORD).await;
    let after_consent = browser.answer_consent(&after_sign_in, "allow").await;
    let form = Form::of(&browser.get("/logout").await);
    let after_sign_out = browser.submit(&form, &[]).await;
    let after_post = browser.post("/authorize", &[]).await;
    for response in [after_sign_in, after_consent, after_sign_out, after_post] {
        assert_eq!(response.status, StatusCode::SEE_OTHER);
    }
}

/// A sign-in form that lies open for ten minutes is out of date.
#[tokio::test]
async fn rule_22_a_request_idles_out_after_ten_minutes() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    app.advance(Duration::from_secs(10 * 60 - 1));
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    assert!(location(&redirect).starts_with("/consent?interaction="));
    app.advance(Duration::from_mins(10));
    let response = browser.get(&location(&redirect)).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);

    let page = browser.authorize(&[("prompt", "login")]).await;
    app.advance(Duration::from_mins(10));
    let response = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
}

/// A sign-in form belongs to the browser that it was shown to, and a consent page to the session: nobody finishes them in
/// another browser, whether that has no cookies, its own, or a session of its own.
#[tokio::test]
async fn rule_22_an_interaction_is_bound_to_the_browser_that_began_it() {
    let app = app_with_ada().await;
    app.register_user_with_password("mallory", PASSWORD).await;
    let attacker = Browser::new(&app);
    let page = attacker.authorize(&[]).await;

    let empty = Browser::new(&app);
    let victim = Browser::new(&app);
    let own = Form::of(&victim.authorize(&[]).await);
    assert_error_page(
        &empty.sign_in(&page, "mallory", PASSWORD).await,
        StatusCode::FORBIDDEN,
        &[],
    );
    assert_error_page(
        &victim.sign_in(&page, "mallory", PASSWORD).await,
        StatusCode::FORBIDDEN,
        &[],
    );
    // Not even with the token that was shown to the victim.
    let foreign = Form::of(&page);
    let fields = [
        ("csrf_token", own.field("csrf_token")),
        ("interaction", foreign.field("interaction")),
        ("username", "mallory"),
        ("password", PASSWORD),
    ];
    assert_error_page(&victim.post("/login", &fields).await, StatusCode::FORBIDDEN, &[]);
    assert_eq!(victim.cookie("session"), None);
    assert_eq!(app.hasher.computed(), 2, "a password was looked at");

    let redirect = attacker.sign_in(&page, "mallory", PASSWORD).await;
    let consent = location(&redirect);
    victim.sign_in_as_ada().await;
    for browser in [&empty, &victim] {
        assert_error_page(&browser.get(&consent).await, StatusCode::FORBIDDEN, &[]);
        let form = Form::of(&browser.authorize(&[("prompt", "login")]).await);
        let handle = consent.split_once('=').unwrap().1;
        let fields = [
            ("csrf_token", form.field("csrf_token")),
            ("interaction", handle),
            ("answer", "allow"),
        ];
        assert_error_page(
            &browser.post("/consent", &fields).await,
            StatusCode::FORBIDDEN,
            &[],
        );
    }
    answered(&attacker.answer_consent(&redirect, "allow").await);
}

/// Every value that travels through the browser is refused when a character of it is changed or missing, and where it
/// stands for another kind of value.
#[tokio::test]
async fn rule_22_values_that_travel_through_the_browser_cannot_be_altered() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let form = Form::of(&browser.authorize(&[]).await);
    let good = |name: &str| form.field(name).to_owned();
    for name in ["interaction", "csrf_token"] {
        let value = good(name);
        let mut flipped = value.clone().into_bytes();
        let middle = flipped.len() / 2;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        let other = if name == "interaction" {
            good("csrf_token")
        } else {
            good("interaction")
        };
        for bad in [
            String::from_utf8(flipped).unwrap(),
            value[..value.len() - 1].to_owned(),
            value[..20].to_owned(),
            format!("{value}A"),
            other,
            String::new(),
        ] {
            let filled = [(name, bad.as_str()), ("username", "ada"), ("password", PASSWORD)];
            let response = browser.submit(&form, &filled).await;
            assert!(response.status.is_client_error(), "{name}={bad}");
            assert_eq!(browser.cookie("session"), None);
        }
    }
}

/// Sends a form with these headers and none other.
async fn post_with(
    browser: &Browser<'_>,
    headers: &[(&str, &str)],
    form: &Form,
    filled: &[(&str, &str)],
) -> TestResponse {
    let mut request = Request::post(&form.action).header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut fields: Vec<_> = form
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    fields.extend(filled);
    browser.send(request, Body::from(encode(&fields))).await
}

const FOREIGN: [&[(&str, &str)]; 9] = [
    &[],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("origin", "http://id.example.org")],
    &[("origin", "https://id.example.org:444")],
    &[("origin", "https://id.example.org.evil.example")],
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site"), ("origin", ISSUER)],
    &[
        ("sec-fetch-site", "same-origin"),
        ("origin", "https://evil.example"),
    ],
];

/// The sign-in form is accepted only from a page of this origin that this browser was shown: without the right `Origin` or
/// `Sec-Fetch-Site`, or without the token, nobody is signed in (login CSRF).
#[tokio::test]
async fn rule_64_nobody_signs_a_browser_in_from_elsewhere() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let form = Form::of(&browser.authorize(&[]).await);
    let credentials = [("username", "ada"), ("password", PASSWORD)];
    for headers in FOREIGN {
        let response = post_with(&browser, headers, &form, &credentials).await;
        assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
        assert_eq!(browser.cookie("session"), None, "{headers:?}");
    }
    assert_eq!(app.hasher.computed(), 1, "a password was looked at");
    for headers in [&[("origin", ISSUER)][..], &[("sec-fetch-site", "same-origin")]] {
        let response = post_with(&browser, headers, &form, &credentials).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER);
    }
}

/// Nobody allows an app from elsewhere.
#[tokio::test]
async fn rule_64_nobody_consents_from_elsewhere() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let form = Form::of(&browser.follow(&redirect).await);
    for headers in FOREIGN {
        let response = post_with(&browser, headers, &form, &[("answer", "allow")]).await;
        assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
    }
    let token = tokens_of_another_browser(&app).await;
    for bad in ["", "x", &token] {
        let response = browser
            .submit(&form, &[("csrf_token", bad), ("answer", "allow")])
            .await;
        assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
    }
    answered(&browser.submit(&form, &[("answer", "allow")]).await);
}

/// Nobody is signed out from elsewhere.
#[tokio::test]
async fn rule_64_nobody_signs_a_browser_out_from_elsewhere() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let form = Form::of(&browser.get("/logout").await);
    for headers in FOREIGN {
        let response = post_with(&browser, headers, &form, &[]).await;
        assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
    }
    let token = tokens_of_another_browser(&app).await;
    for bad in ["", "x", &token] {
        let response = browser.submit(&form, &[("csrf_token", bad)]).await;
        assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
    }
    assert!(browser.get("/").await.text().contains("ada Example"));
}

async fn tokens_of_another_browser(app: &TestApp) -> String {
    let form = Form::of(&Browser::new(app).authorize(&[]).await);
    form.field("csrf_token").to_owned()
}

/// Where a person goes after the sign-in is part of the sealed interaction: no parameter of a URL or form changes it.
#[tokio::test]
async fn rule_70_the_target_after_sign_in_is_never_a_parameter() {
    let app = app_with_ada().await;
    for target in [
        "//evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "https://id.example.org@evil.example",
        "https://evil.example",
        "/x\r\nLocation: https://evil.example",
        "javascript:alert(1)",
    ] {
        let browser = Browser::new(&app);
        let names = [
            "next",
            "return_to",
            "redirect",
            "redirect_to",
            "target",
            "url",
            "continue",
        ];
        let targets: Vec<_> = names.into_iter().map(|name| (name, target)).collect();
        let page = browser.authorize(&targets).await;
        assert_sign_in_page(&page);
        let mut filled = targets.clone();
        filled.extend([
            ("username", "ada"),
            ("password", PASSWORD),
            ("redirect_uri", target),
        ]);
        let redirect = browser.submit(&Form::of(&page), &filled).await;
        let response = if location(&redirect).starts_with("/consent?interaction=clv_in_") {
            let form = Form::of(&browser.follow(&redirect).await);
            let mut filled = targets.clone();
            filled.extend([("answer", "allow"), ("redirect_uri", target)]);
            browser.submit(&form, &filled).await
        } else {
            redirect
        };
        assert!(answered(&response).contains_key("code"), "{target}");
    }
}
