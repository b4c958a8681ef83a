//! `prompt`, `max_age` and `id_token_hint`: what may be shown, and who must have signed in how recently.

use std::time::Duration;

use claviger::oidc::client::ConsentPolicy;
use http::StatusCode;

use crate::app::TestApp;
use crate::browser::{
    Browser, Form, PASSWORD, answered, app_with_ada, assert_redirected_error, assert_sign_in_page, location,
};

async fn id_token(app: &TestApp, code: &str) -> String {
    let tokens = app.redeem("shop", code).await.json();
    tokens["id_token"].as_str().unwrap().to_owned()
}

async fn auth_time(app: &TestApp, code: &str) -> i64 {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let id_token = id_token(app, code).await;
    let payload = URL_SAFE_NO_PAD
        .decode(id_token.split('.').nth(1).unwrap())
        .unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    claims["auth_time"].as_i64().unwrap()
}

/// `prompt=none` never shows anything: `login_required` when nobody is signed in, `consent_required` when somebody would
/// have to be asked, a code when there is nothing to ask.
#[tokio::test]
async fn rule_16_prompt_none_shows_nothing() {
    const NONE: (&str, &str) = ("prompt", "none");
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    assert_redirected_error(&browser.authorize(&[NONE]).await, "login_required");
    browser.sign_in_as_ada().await;
    assert!(answered(&browser.authorize(&[NONE]).await).contains_key("code"));
    let more = browser
        .authorize(&[NONE, ("scope", "openid profile email")])
        .await;
    assert_redirected_error(&more, "consent_required");
    app.register_client("strict", |registration| {
        registration.client.consent = ConsentPolicy::Always;
    })
    .await;
    let always = browser.authorize(&[NONE, ("client_id", "team-a.strict")]).await;
    assert_redirected_error(&always, "consent_required");
    app.advance(Duration::from_secs(61));
    let stale = browser.authorize(&[NONE, ("max_age", "60")]).await;
    assert_redirected_error(&stale, "login_required");
}

/// `none` with another value is `invalid_request`.
#[tokio::test]
async fn rule_16_prompt_none_goes_with_nothing_else() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for prompt in ["none login", "consent none", "none select_account"] {
        assert_redirected_error(&browser.authorize(&[("prompt", prompt)]).await, "invalid_request");
    }
}

/// `prompt=login` shows the sign-in form to a person who is signed in, and the code comes only after an authentication in
/// this very interaction: not after a reload, not by going back, not from a second tab.
#[tokio::test]
async fn rule_17_prompt_login_cannot_be_skipped() {
    let app = app_with_ada().await;
    for prompt in ["login", "login consent"] {
        let browser = Browser::new(&app);
        browser.sign_in_as_ada().await;
        app.advance(Duration::from_secs(100));
        let page = browser.authorize(&[("prompt", prompt)]).await;
        assert_sign_in_page(&page);
        // Reload.
        assert_sign_in_page(&browser.authorize(&[("prompt", prompt)]).await);
        // A second tab signs in for a request of its own; that does not count for this one.
        let second = browser
            .authorize(&[("prompt", "login"), ("state", "second")])
            .await;
        let answer = answered(&browser.sign_in(&second, "ada", PASSWORD).await);
        assert_eq!(answer["state"], "second");
        assert_sign_in_page(&browser.authorize(&[("prompt", prompt)]).await);
        // A wrong password does not count either.
        let wrong = browser.sign_in(&page, "ada", "wrong").await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN);
        assert_sign_in_page(&browser.authorize(&[("prompt", prompt)]).await);
        // The consent page of another interaction is no way around it.
        let other = browser
            .authorize(&[("prompt", "consent"), ("state", "other")])
            .await;
        let answer = answered(&browser.answer_consent(&other, "allow").await);
        assert_eq!(answer["state"], "other");

        let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
        let answer = if prompt.contains("consent") {
            answered(&browser.answer_consent(&redirect, "allow").await)
        } else {
            answered(&redirect)
        };
        assert_eq!(answer["state"], "state");
    }
}

/// `max_age` wants an authentication that is no older; a younger one counts. The ID token says when it was.
#[tokio::test]
async fn rule_17_max_age_is_kept() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let signed_in_at = app.now().as_second();
    app.advance(Duration::from_mins(1));
    let answer = answered(&browser.authorize(&[("max_age", "60")]).await);
    assert_eq!(auth_time(&app, &answer["code"]).await, signed_in_at);
    app.advance(Duration::from_secs(1));
    let page = browser.authorize(&[("max_age", "60")]).await;
    assert_sign_in_page(&page);
    let answer = answered(&browser.sign_in(&page, "ada", PASSWORD).await);
    assert_eq!(auth_time(&app, &answer["code"]).await, app.now().as_second());
    assert_sign_in_page(&browser.authorize(&[("max_age", "0")]).await);
}

/// The registration's `default_max_age` counts where the request says nothing.
#[tokio::test]
async fn rule_17_the_registered_max_age_is_kept() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    app.register_client("shop", |registration| {
        registration.client.default_max_age = Some(Duration::from_mins(1));
    })
    .await;
    let answer = answered(&browser.authorize(&[]).await);
    assert_eq!(auth_time(&app, &answer["code"]).await, app.now().as_second());
    app.advance(Duration::from_secs(61));
    assert_sign_in_page(&browser.authorize(&[]).await);
    assert!(answered(&browser.authorize(&[("max_age", "3600")]).await).contains_key("code"));
}

/// Freshness is checked when the code is minted: an authentication that was young enough when the consent page appeared
/// is asked for again when it has aged on that page.
#[tokio::test]
async fn rule_17_freshness_is_checked_when_the_code_is_minted() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    app.advance(Duration::from_secs(50));
    let redirect = browser
        .authorize(&[("max_age", "60"), ("prompt", "consent")])
        .await;
    let form = Form::of(&browser.follow(&redirect).await);
    app.advance(Duration::from_secs(11));
    let page = browser.submit(&form, &[("answer", "allow")]).await;
    assert_sign_in_page(&page);
    // The person signs in, is asked again, and only then is there a code.
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let answer = answered(&browser.answer_consent(&redirect, "allow").await);
    assert_eq!(auth_time(&app, &answer["code"]).await, app.now().as_second());
}

/// A session that ended while the consent page was open does not answer it.
#[tokio::test]
async fn rule_17_a_session_that_ended_does_not_consent() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let form = Form::of(&browser.follow(&redirect).await);
    let session = browser.cookie("session").unwrap();
    let sign_out = Form::of(&browser.get("/logout").await);
    browser.submit(&sign_out, &[]).await;
    assert_eq!(browser.cookie("session"), None);
    let response = browser.submit(&form, &[("answer", "allow")]).await;
    assert!(response.status.is_client_error());
    // Nor does the old cookie, put back.
    let name = browser
        .cookies
        .borrow()
        .keys()
        .next()
        .unwrap()
        .replace("browser", "session");
    browser.cookies.borrow_mut().insert(name, session);
    let response = browser.submit(&form, &[("answer", "allow")]).await;
    assert_ne!(response.status, StatusCode::SEE_OTHER);
}

/// `id_token_hint` is verified by issuer and signature, whatever its expiry; when somebody else is signed in, the answer is
/// `login_required` where nothing may be shown, and otherwise the person of the hint may sign in, and nobody else.
#[tokio::test]
async fn rule_18_the_id_token_hint_names_who_may_answer() {
    let app = app_with_ada().await;
    app.register_user_with_password("bob", PASSWORD).await;
    let ada = Browser::new(&app);
    let code = ada.sign_in_as_ada().await["code"].clone();
    let hint = id_token(&app, &code).await;
    app.advance(Duration::from_hours(2));
    let answer = answered(
        &ada.authorize(&[("id_token_hint", &hint), ("prompt", "none")])
            .await,
    );
    assert!(answer.contains_key("code"));

    let bob = Browser::new(&app);
    let page = bob.authorize(&[]).await;
    let redirect = bob.sign_in(&page, "bob", PASSWORD).await;
    answered(&bob.answer_consent(&redirect, "allow").await);
    let silent = bob
        .authorize(&[("id_token_hint", &hint), ("prompt", "none")])
        .await;
    assert_redirected_error(&silent, "login_required");
    for prompt in ["", "select_account", "consent"] {
        let page = bob
            .authorize(&[("id_token_hint", &hint), ("prompt", prompt)])
            .await;
        assert_sign_in_page(&page);
        assert_eq!(
            Form::of(&page).field("username"),
            "",
            "somebody else's name is in the field"
        );
    }
    let page = bob.authorize(&[("id_token_hint", &hint)]).await;
    let answer = answered(&bob.sign_in(&page, "ada", PASSWORD).await);
    assert!(answer.contains_key("code"));
    // Signing in as somebody else does not help either.
    let stranger = Browser::new(&app);
    let page = stranger.authorize(&[("id_token_hint", &hint)]).await;
    let response = stranger.sign_in(&page, "bob", PASSWORD).await;
    assert_redirected_error(&response, "login_required");
    let page = Browser::new(&app);
    let form = page.authorize(&[("id_token_hint", &hint)]).await;
    assert!(location(&page.sign_in(&form, "ada", PASSWORD).await).starts_with(crate::fixtures::REDIRECT_URI));
}

/// A hint that was issued to another client is refused: what one app knows of a person is not for the next.
#[tokio::test]
async fn rule_18_a_hint_of_another_client_is_refused() {
    let app = app_with_ada().await;
    app.register_client("blog", |_| ()).await;
    let browser = Browser::new(&app);
    let code = browser.sign_in_as_ada().await["code"].clone();
    let hint = id_token(&app, &code).await;
    for prompt in ["none", ""] {
        let response = browser
            .authorize(&[
                ("client_id", "team-a.blog"),
                ("id_token_hint", &hint),
                ("prompt", prompt),
            ])
            .await;
        assert_redirected_error(&response, "invalid_request");
    }
}

/// A hint that is not an ID token of this issuer is refused: altered, truncated, unsigned, an access token.
#[tokio::test]
async fn rule_18_forged_hints_are_refused() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let code = browser.sign_in_as_ada().await["code"].clone();
    let tokens = app.redeem("shop", &code).await.json();
    let hint = tokens["id_token"].as_str().unwrap();
    let parts: Vec<_> = hint.split('.').collect();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    for forged in [
        "x",
        &hint[..hint.len() - 4],
        &unsigned,
        &format!("{}.eyJzdWIiOiJzdWJqZWN0LWFkYSJ9.{}", parts[0], parts[2]),
        tokens["access_token"].as_str().unwrap(),
    ] {
        let response = browser.authorize(&[("id_token_hint", forged)]).await;
        assert_redirected_error(&response, "invalid_request");
    }
}
