//! The account page: what a person sees and ends of their own.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::Value;

use crate::app::{ISSUER, TestApp, TestResponse, encode};
use crate::browser::{
    Browser, Form, PASSWORD, answered, app_with_ada, assert_error_page, assert_redirected_error,
    assert_sign_in_page, location,
};
use crate::log::Log;

const END_SESSION: &str = "/account/end-session";
const END_OTHERS: &str = "/account/end-other-sessions";
const END_APP: &str = "/account/end-app";

/// What an app has got through this browser.
async fn tokens(app: &TestApp, browser: &Browser<'_>) -> Value {
    let code = browser.sign_in_as_ada().await["code"].clone();
    app.redeem("shop", &code).await.json()
}

async fn is_refreshed(app: &TestApp, tokens: &Value) -> bool {
    let token = tokens["refresh_token"].as_str().unwrap();
    let response = app.refresh("shop", token).await;
    if response.status != StatusCode::OK {
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    response.status == StatusCode::OK
}

async fn knows(app: &TestApp, tokens: &Value) -> bool {
    let token = tokens["access_token"].as_str().unwrap();
    app.userinfo(token).await.status == StatusCode::OK
}

/// The only form of the account page that leads to `action`.
async fn form(browser: &Browser<'_>, action: &str) -> Form {
    let mut forms = Form::to(&browser.get("/account").await, action);
    assert_eq!(forms.len(), 1, "forms to {action}");
    forms.pop().unwrap()
}

/// Submits a form of the account page and gives the page that follows.
async fn submit(browser: &Browser<'_>, form: &Form) -> TestResponse {
    let response = browser.submit(form, &[]).await;
    assert!(
        location(&response).starts_with("/account?done="),
        "{}",
        location(&response)
    );
    browser.follow(&response).await
}

/// Who is not signed in signs in and is led to the account: no app is needed, and no parameter of a URL or form says where
/// to (`rule_75`).
#[tokio::test]
async fn rule_70_signing_in_for_the_account_leads_to_the_account() {
    let app = app_with_ada().await;
    for target in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/logout",
    ] {
        let browser = Browser::new(&app);
        let names = [
            "next",
            "return_to",
            "redirect",
            "done",
            "continue",
            "redirect_uri",
            "interaction",
        ];
        let targets: Vec<_> = names.into_iter().map(|name| (name, target)).collect();
        let page = browser.get(&format!("/account?{}", encode(&targets))).await;
        assert_sign_in_page(&page);
        assert!(!page.text().contains(target), "{}", page.text());
        assert_eq!(Form::of(&page).action, "/login");

        let refused = browser.sign_in(&page, "ada", "wrong").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert_eq!(Form::of(&refused).field("username"), "ada");
        let mut filled: Vec<_> = targets
            .iter()
            .copied()
            .filter(|(name, _)| *name != "interaction")
            .collect();
        filled.extend([("username", "ada"), ("password", PASSWORD)]);
        let redirect = browser.submit(&Form::of(&refused), &filled).await;
        assert_eq!(location(&redirect), "/account");
        let text = browser.follow(&redirect).await.text();
        assert!(text.contains("ada Example (ada)"), "{text}");
        assert!(!text.contains("evil"), "{text}");
        // And the session is good for apps.
        assert!(location(&browser.authorize(&[]).await).starts_with("/consent"));
    }
}

/// A sign-in form of the account page belongs to one browser and ten minutes, like any other, and finishes nothing else.
#[tokio::test]
async fn rule_22_an_accounts_sign_in_is_bound_to_its_browser() {
    let app = app_with_ada().await;
    app.register_user_with_password("mallory", PASSWORD).await;
    let attacker = Browser::new(&app);
    let foreign = attacker.get("/account").await;
    let victim = Browser::new(&app);
    let own = Form::of(&victim.get("/account").await);
    assert_error_page(
        &victim.sign_in(&foreign, "mallory", PASSWORD).await,
        StatusCode::FORBIDDEN,
        &[],
    );
    let fields = [
        ("csrf_token", own.field("csrf_token")),
        ("interaction", Form::of(&foreign).field("interaction")),
        ("username", "mallory"),
        ("password", PASSWORD),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_error_page(&victim.post("/login", &fields).await, StatusCode::FORBIDDEN, &[]);
    assert_eq!(victim.cookie("session"), None);

    app.advance(Duration::from_mins(10));
    assert_error_page(
        &attacker.sign_in(&foreign, "ada", PASSWORD).await,
        StatusCode::BAD_REQUEST,
        &[],
    );
    assert_eq!(attacker.cookie("session"), None);
}

/// The page says who is signed in, where, and which apps have what.
#[tokio::test]
async fn rule_75_the_account_shows_sessions_and_apps() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.client_name = "The Shop".to_owned();
    })
    .await;
    let elsewhere = Browser::new(&app);
    elsewhere.sign_in_as_ada().await;
    app.advance(Duration::from_hours(3));
    let browser = Browser::new(&app);
    let page = browser.get("/account").await;
    browser.sign_in(&page, "ada", PASSWORD).await;
    let text = browser.get("/account").await.text();
    for expected in [
        "ada Example (ada)",
        "ada@example.org",
        "This browser",
        "Another browser",
        "used within the last hour",
        "used about 3 hours ago. Apps: The Shop.",
        "id=\"end-app-team-a.shop\"",
        "See your profile: your name, username, picture, birthdate and the like",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    assert!(!text.contains("e-mail address"), "{text}");
    let (here, there) = (text.find("This browser"), text.find("Another browser"));
    assert!(here < there, "this browser is not the first");
    // No value of the page is one that opens anything.
    for secret in [browser.cookie("session"), elsewhere.cookie("session")] {
        assert!(!text.contains(&secret.unwrap()));
    }
    // After signing out, the page shows nobody's.
    browser
        .submit(&Form::of(&browser.get("/logout").await), &[])
        .await;
    let page = browser.get("/account").await;
    assert_sign_in_page(&page);
    assert!(!page.text().contains("ada"), "{}", page.text());
}

/// Ending a session ends it at once, and with it what apps got through it; this browser stays signed in.
#[tokio::test]
async fn rule_75_one_session_is_ended() {
    let app = app_with_ada().await;
    let (browser, elsewhere, third) = (Browser::new(&app), Browser::new(&app), Browser::new(&app));
    let lost = tokens(&app, &elsewhere).await;
    app.advance(Duration::from_mins(5));
    let kept = tokens(&app, &browser).await;
    app.advance(Duration::from_mins(5));
    let others = tokens(&app, &third).await;

    let page = browser.get("/account").await;
    let forms = Form::to(&page, END_SESSION);
    assert_eq!(forms.len(), 2);
    // The one used last first.
    let page = submit(&browser, &forms[1]).await;
    assert!(page.text().contains("id=\"done\""), "{}", page.text());
    assert!(!is_refreshed(&app, &lost).await && !knows(&app, &lost).await);
    assert_sign_in_page(&elsewhere.authorize(&[]).await);
    assert!(knows(&app, &others).await && is_refreshed(&app, &others).await);
    assert!(knows(&app, &kept).await && is_refreshed(&app, &kept).await);
    answered(&browser.authorize(&[]).await);

    // Again: there is nothing to end, and nothing happens.
    submit(&browser, &forms[1]).await;
    assert_eq!(Form::to(&browser.get("/account").await, END_SESSION).len(), 1);
}

/// All other sessions end at once, and this one stays.
#[tokio::test]
async fn rule_75_all_other_sessions_are_ended() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let kept = tokens(&app, &browser).await;
    let elsewhere = [Browser::new(&app), Browser::new(&app)];
    let mut lost = Vec::new();
    for browser in &elsewhere {
        lost.push(tokens(&app, browser).await);
    }
    submit(&browser, &form(&browser, END_OTHERS).await).await;
    for (browser, tokens) in elsewhere.iter().zip(&lost) {
        assert!(!is_refreshed(&app, tokens).await && !knows(&app, tokens).await);
        assert_redirected_error(&browser.authorize(&[("prompt", "none")]).await, "login_required");
    }
    assert!(is_refreshed(&app, &kept).await && knows(&app, &kept).await);
    // Nothing is left to end.
    let page = browser.get("/account").await;
    assert!(Form::to(&page, END_OTHERS).is_empty() && Form::to(&page, END_SESSION).is_empty());
}

/// Ending an app ends everything that it holds, in every browser and beyond sessions, and it has to ask again.
#[tokio::test]
async fn rule_38_an_apps_access_is_ended() {
    let app = app_with_ada().await;
    let (browser, elsewhere) = (Browser::new(&app), Browser::new(&app));
    let mut held = vec![tokens(&app, &browser).await, tokens(&app, &elsewhere).await];
    let redirect = browser.authorize(&[("scope", "openid offline_access")]).await;
    let code = answered(&browser.answer_consent(&redirect, "allow").await)["code"].clone();
    held.push(app.redeem("shop", &code).await.json());
    let text = browser.get("/account").await.text();
    assert!(text.contains("keeps access while you are away"), "{text}");

    let page = submit(&browser, &form(&browser, END_APP).await).await;
    assert!(page.text().contains("No app has access"), "{}", page.text());
    for tokens in &held {
        assert!(!is_refreshed(&app, tokens).await && !knows(&app, tokens).await);
    }
    for browser in [&browser, &elsewhere] {
        assert!(location(&browser.authorize(&[]).await).starts_with("/consent"));
        assert_redirected_error(
            &browser.authorize(&[("prompt", "none")]).await,
            "consent_required",
        );
    }
}

/// What the form of another person names is not theirs to end.
#[tokio::test]
async fn rule_75_nobody_ends_anything_of_somebody_else() {
    let app = app_with_ada().await;
    app.register_user_with_password("mallory", PASSWORD).await;
    let (ada, elsewhere, mallory) = (Browser::new(&app), Browser::new(&app), Browser::new(&app));
    let kept = tokens(&app, &elsewhere).await;
    ada.sign_in_as_ada().await;
    let page = mallory.get("/account").await;
    mallory.sign_in(&page, "mallory", PASSWORD).await;
    let own = Form::of(&mallory.get("/logout").await);
    let handle = form(&ada, END_SESSION).await.field("session").to_owned();
    for (path, name, value) in [
        (END_SESSION, "session", handle.as_str()),
        (END_OTHERS, "x", "x"),
        (END_APP, "client_id", "team-a.shop"),
    ] {
        let fields = [("csrf_token", own.field("csrf_token")), (name, value)];
        assert_eq!(mallory.post(path, &fields).await.status, StatusCode::SEE_OTHER);
    }
    assert!(is_refreshed(&app, &kept).await && knows(&app, &kept).await);
    answered(&ada.authorize(&[]).await);
    answered(&elsewhere.authorize(&[]).await);
}

/// Every form of the account is accepted only from a page of this origin that this browser was shown.
#[tokio::test]
async fn rule_64_nobody_ends_anything_from_elsewhere() {
    let app = app_with_ada().await;
    let (browser, elsewhere) = (Browser::new(&app), Browser::new(&app));
    let kept = tokens(&app, &elsewhere).await;
    browser.sign_in_as_ada().await;
    let password = Form::of(&browser.get("/account/password").await);
    let foreign = Form::of(&Browser::new(&app).get("/account").await);
    let mut forms = vec![password];
    for action in [END_SESSION, END_OTHERS, END_APP] {
        forms.push(form(&browser, action).await);
    }
    let computed = app.hasher.computed();
    for form in &forms {
        let filled = [
            ("current_password", PASSWORD),
            ("new_password", "another good password"),
            ("repeated_password", "another good password"),
        ];
        for token in ["", "x", foreign.field("csrf_token")] {
            let mut filled = filled.to_vec();
            filled.push(("csrf_token", token));
            assert_error_page(&browser.submit(form, &filled).await, StatusCode::FORBIDDEN, &[]);
        }
        for headers in [
            &[][..],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("sec-fetch-site", "same-site"), ("origin", ISSUER)],
        ] {
            let mut request =
                Request::post(&form.action).header("content-type", "application/x-www-form-urlencoded");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut fields: Vec<_> = form
                .fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            fields.retain(|(name, _)| filled.iter().all(|(other, _)| other != name));
            fields.extend(filled);
            let response = browser.send(request, Body::from(encode(&fields))).await;
            assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
        }
    }
    assert_eq!(app.hasher.computed(), computed, "a password was looked at");
    assert!(is_refreshed(&app, &kept).await && knows(&app, &kept).await);
    answered(&elsewhere.authorize(&[]).await);
}

/// Whoever is signed out meanwhile ends nothing and is asked to sign in; a link says that something was done only with our
/// seal, for this browser, for a while.
#[tokio::test]
async fn rule_75_what_was_done_is_said_once_and_truly() {
    let app = app_with_ada().await;
    let (browser, elsewhere) = (Browser::new(&app), Browser::new(&app));
    elsewhere.sign_in_as_ada().await;
    browser.sign_in_as_ada().await;
    let others = form(&browser, END_OTHERS).await;
    let done = location(&browser.submit(&others, &[]).await);
    assert!(browser.get(&done).await.text().contains("id=\"done\""));
    elsewhere.sign_in_as_ada().await;
    for (browser, path) in [
        (&elsewhere, done.as_str()),
        (&browser, "/account?done=Password"),
        (&browser, "/account"),
    ] {
        assert!(!browser.get(path).await.text().contains("id=\"done\""), "{path}");
    }
    app.advance(Duration::from_mins(10));
    assert!(!browser.get(&done).await.text().contains("id=\"done\""));

    let confirm = Form::of(&browser.get("/logout").await);
    browser.submit(&confirm, &[]).await;
    let response = browser.submit(&others, &[]).await;
    assert_eq!(location(&response), "/account");
    assert_sign_in_page(&browser.follow(&response).await);
    answered(&elsewhere.authorize(&[]).await);
}

/// What a person ends is audited, with ids and nothing else; what was gone already is not.
#[tokio::test]
async fn rule_87_what_a_person_ends_is_audited() {
    let app = app_with_ada().await;
    let (browser, elsewhere, third) = (Browser::new(&app), Browser::new(&app), Browser::new(&app));
    for browser in [&browser, &elsewhere, &third] {
        browser.sign_in_as_ada().await;
    }
    let page = browser.get("/account").await;
    let (log, _guard) = Log::capture();
    for form in [
        &Form::to(&page, END_SESSION)[0],
        &Form::to(&page, END_OTHERS)[0],
        &Form::to(&page, END_APP)[0],
    ] {
        for _ in 0..2 {
            submit(&browser, form).await;
        }
    }
    let told: Vec<_> = log
        .audit()
        .iter()
        .map(|line| {
            let field = |name: &str| line["fields"][name].as_str().map(ToOwned::to_owned);
            (
                field("event").unwrap(),
                field("subject").unwrap(),
                field("client_id"),
            )
        })
        .collect();
    let event = |name: &str, client: Option<&str>| {
        (
            name.to_owned(),
            "subject-ada".to_owned(),
            client.map(ToOwned::to_owned),
        )
    };
    assert_eq!(
        told,
        [
            event("session_ended", None),
            event("other_sessions_ended", None),
            event("app_access_ended", Some("team-a.shop")),
        ]
    );
    assert!(!log.text().contains(&browser.cookie("session").unwrap()));
}
