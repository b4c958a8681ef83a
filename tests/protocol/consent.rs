//! Consent.

use claviger::oidc::client::{ClientAuthenticationMethod, ConsentPolicy};
use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use http::StatusCode;

use crate::browser::{
    Browser, Form, PASSWORD, answered, app_with_ada, assert_error_page, assert_redirected_error, location,
};

/// The page names the app and says in plain words what it asks for, and only that.
#[tokio::test]
async fn rule_40_the_consent_page_says_what_is_asked() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.client_name = "The Shop".to_owned();
        registration.client.description = Some("Buys things.".to_owned());
    })
    .await;
    let browser = Browser::new(&app);
    let page = browser
        .authorize(&[("scope", "openid email unknown-scope")])
        .await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let text = browser.follow(&redirect).await.text();
    for expected in [
        "Allow The Shop?",
        "Buys things.",
        "ada Example (ada)",
        "e-mail address",
        "id=\"allow\"",
        "id=\"deny\"",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    for unexpected in [
        "groups",
        "your name and username",
        "unknown-scope",
        "while you are away",
    ] {
        assert!(!text.contains(unexpected), "{unexpected} in {text}");
    }
}

/// Denying tells the app `access_denied`, remembers nothing, and the page cannot be answered again.
#[tokio::test]
async fn rule_15_denying_is_access_denied() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let form = Form::of(&browser.follow(&redirect).await);
    let denied = browser.submit(&form, &[("answer", "deny")]).await;
    assert_redirected_error(&denied, "access_denied");
    assert_eq!(answered(&denied)["state"], "state");
    let again = browser.submit(&form, &[("answer", "allow")]).await;
    assert_error_page(&again, StatusCode::BAD_REQUEST, &[]);
    assert!(location(&browser.authorize(&[]).await).starts_with("/consent"));
}

/// Only the button says yes: a form without an answer denies.
#[tokio::test]
async fn rule_40_no_answer_is_no() {
    let app = app_with_ada().await;
    for answer in ["", "yes", "ALLOW"] {
        let browser = Browser::new(&app);
        let page = browser.authorize(&[]).await;
        let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
        let response = browser.answer_consent(&redirect, answer).await;
        assert_redirected_error(&response, "access_denied");
    }
}

/// `Remember` asks once for a set of scopes and again for more; `prompt=consent` asks anyway; `Always` asks every time.
#[tokio::test]
async fn rule_40_consent_is_remembered_as_the_client_says() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    answered(&browser.authorize(&[]).await);
    answered(&browser.authorize(&[("scope", "openid")]).await);
    for changes in [&[("scope", "openid email")], &[("prompt", "consent")]] {
        assert!(location(&browser.authorize(changes).await).starts_with("/consent"));
    }
    app.register_client("shop", |registration| {
        registration.client.consent = ConsentPolicy::Always;
    })
    .await;
    for _ in 0..2 {
        let redirect = browser.authorize(&[]).await;
        answered(&browser.answer_consent(&redirect, "allow").await);
    }
}

/// `Skip` asks nobody, unless the request wants it; what was skipped is not remembered for a later `Remember`.
#[tokio::test]
async fn rule_40_consent_is_skipped_as_the_client_says() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.consent = ConsentPolicy::Skip;
    })
    .await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    answered(&browser.sign_in(&page, "ada", PASSWORD).await);
    answered(&browser.authorize(&[("prompt", "none")]).await);
    let asked = browser.authorize(&[("prompt", "consent")]).await;
    assert!(location(&asked).starts_with("/consent"));

    app.register_client("shop", |_| ()).await;
    let asked = browser.authorize(&[]).await;
    assert!(location(&asked).starts_with("/consent"));
}

/// What a person allowed under `Always` is not remembered for a later `Remember`.
#[tokio::test]
async fn rule_40_what_is_asked_every_time_is_not_remembered() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.consent = ConsentPolicy::Always;
    })
    .await;
    Browser::new(&app).sign_in_as_ada().await;
    let user = ResourceUid::new("uid-ada");
    let client = ResourceUid::new("uid-shop");
    assert!(app.store.consent(&user, &client).await.unwrap().is_empty());
}

/// Any app on a device may listen at a native app's redirect URI (RFC 8252 section 8.6): a consent that was remembered
/// counts there only where the person has just signed in for that app, and never silently.
#[tokio::test]
async fn rule_40_a_native_app_is_never_answered_silently() {
    let app = app_with_ada().await;
    for (redirect_uri, public, silent) in [
        ("http://127.0.0.1:5000/cb", true, false),
        ("http://[::1]:5000/cb", true, false),
        ("org.example.shop:/cb", true, false),
        // An https URI belongs to whoever holds the host, and a secret proves who redeems the code.
        ("https://shop.example.org/cb", true, true),
        ("http://127.0.0.1:5000/cb", false, true),
    ] {
        app.register_client("shop", |registration| {
            let client = &mut registration.client;
            client.redirect_uris = vec![redirect_uri.to_owned()];
            if public {
                client.token_endpoint_auth_methods = [ClientAuthenticationMethod::None].into();
            }
        })
        .await;
        let browser = Browser::new(&app);
        let to = ("redirect_uri", redirect_uri);
        let page = browser.authorize(&[to]).await;
        let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
        // Remembered from the first round on.
        let mut answer = location(&redirect);
        if answer.starts_with("/consent") {
            answer = location(&browser.answer_consent(&redirect, "allow").await);
        }
        assert!(
            answer.starts_with(redirect_uri) && answer.contains("code="),
            "{answer}"
        );

        let again = location(&browser.authorize(&[to]).await);
        let none = location(&browser.authorize(&[to, ("prompt", "none")]).await);
        if silent {
            assert!(
                again.contains("code=") && none.contains("code="),
                "{again} {none}"
            );
        } else {
            assert!(again.starts_with("/consent"), "{again}");
            assert!(none.contains("error=consent_required"), "{none}");
        }
    }
}

/// An answer counts once: sent twice, the second finds the interaction gone.
#[tokio::test]
async fn rule_22_an_interaction_gives_one_code() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let form = Form::of(&browser.follow(&redirect).await);
    assert!(answered(&browser.submit(&form, &[("answer", "allow")]).await).contains_key("code"));
    let again = browser.submit(&form, &[("answer", "allow")]).await;
    assert_error_page(&again, StatusCode::BAD_REQUEST, &[]);
}

/// Who may use the app is checked at sign-in and at silent sign-in.
#[tokio::test]
async fn rule_39_access_is_checked_at_every_sign_in() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let allow = |groups: &'static [&'static str], users: &'static [&'static str]| {
        app.register_client("shop", move |registration| {
            let access = &mut registration.client.access;
            access.allowed_groups = groups.iter().map(|group| (*group).to_owned()).collect();
            access.allowed_users = users.iter().map(|user| (*user).to_owned()).collect();
        })
    };
    allow(&["admins"], &["bob"]).await;
    for prompt in ["", "none", "consent"] {
        let response = browser.authorize(&[("prompt", prompt)]).await;
        assert_redirected_error(&response, "access_denied");
    }
    let fresh = Browser::new(&app);
    let page = fresh.authorize(&[]).await;
    let response = fresh.sign_in(&page, "ada", PASSWORD).await;
    assert_redirected_error(&response, "access_denied");
    allow(&["admins", "staff"], &[]).await;
    assert!(answered(&browser.authorize(&[]).await).contains_key("code"));
    allow(&[], &["ada"]).await;
    assert!(answered(&browser.authorize(&[]).await).contains_key("code"));
}
