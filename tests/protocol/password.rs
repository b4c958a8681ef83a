//! Another password, chosen by the person.

use std::time::Duration;

use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use claviger::store::records::UserRecord;
use http::StatusCode;

use crate::app::{TestApp, TestResponse};
use crate::browser::{
    Browser, Form, PASSWORD, answered, app_with_ada, assert_redirected_error, assert_sign_in_page, location,
};
use crate::log::Log;

const NEW: &str = "another good password";

async fn change(browser: &Browser<'_>, current: &str, new: &str, repeated: &str) -> TestResponse {
    let form = Form::of(&browser.get("/account/password").await);
    let filled = [
        ("current_password", current),
        ("new_password", new),
        ("repeated_password", repeated),
    ];
    browser.submit(&form, &filled).await
}

async fn user(app: &TestApp) -> UserRecord {
    app.store
        .user_by_uid(&ResourceUid::new("uid-ada"))
        .await
        .unwrap()
        .unwrap()
}

/// Whether a new browser gets in with this password.
async fn gets_in(app: &TestApp, password: &str) -> bool {
    let browser = Browser::new(app);
    let page = browser.get("/account").await;
    browser.sign_in(&page, "ada", password).await.status == StatusCode::SEE_OTHER
}

/// The session goes on under another id, and the old one is dead (`rule_38`): every other session ends, and whatever apps
/// hold, through this browser's session and beyond sessions too. Apps get it again in this browser without a question.
#[tokio::test]
async fn rule_61_a_changed_password_renews_the_session_and_ends_the_rest() {
    let app = app_with_ada().await;
    let (browser, elsewhere) = (Browser::new(&app), Browser::new(&app));
    let code = elsewhere.sign_in_as_ada().await["code"].clone();
    let lost = app.redeem("shop", &code).await.json();
    let code = browser.sign_in_as_ada().await["code"].clone();
    let held_here = app.redeem("shop", &code).await.json();
    let redirect = browser.authorize(&[("scope", "openid offline_access")]).await;
    let code = answered(&browser.answer_consent(&redirect, "allow").await)["code"].clone();
    let offline = app.redeem("shop", &code).await.json();
    let before = browser.cookie("session").unwrap();
    let copy = Browser::new(&app);
    *copy.cookies.borrow_mut() = browser.cookies.borrow().clone();

    let response = change(&browser, PASSWORD, NEW, NEW).await;
    assert!(location(&response).starts_with("/account?done="));
    let text = browser.follow(&response).await.text();
    assert!(text.contains("Your password is changed"), "{text}");
    assert!(text.contains("You chose your password on"), "{text}");
    assert_ne!(browser.cookie("session").unwrap(), before);
    for browser in [&copy, &elsewhere] {
        assert_sign_in_page(&browser.authorize(&[]).await);
        assert_redirected_error(&browser.authorize(&[("prompt", "none")]).await, "login_required");
    }
    for tokens in [&lost, &offline, &held_here] {
        let userinfo = app.userinfo(tokens["access_token"].as_str().unwrap()).await;
        assert_eq!(userinfo.status, StatusCode::UNAUTHORIZED);
        app.refresh("shop", tokens["refresh_token"].as_str().unwrap())
            .await
            .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let code = answered(&browser.authorize(&[("prompt", "none")]).await)["code"].clone();
    let again = app.redeem("shop", &code).await.json();
    let userinfo = app.userinfo(again["access_token"].as_str().unwrap()).await;
    assert_eq!(userinfo.status, StatusCode::OK);
    assert!(!gets_in(&app, PASSWORD).await);
    assert!(gets_in(&app, NEW).await);
}

/// The current password is asked for again, whoever sits there: without it nothing changes, at the cost of one hash.
#[tokio::test]
async fn rule_67_the_current_password_is_asked_for() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let too_long = "p".repeat(513);
    for wrong in ["", "wrong", "Correct horse battery staple", NEW, &too_long] {
        let before = app.hasher.computed();
        let response = change(&browser, wrong, NEW, NEW).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{wrong}");
        assert_eq!(app.hasher.computed(), before + 1, "{wrong}");
        let text = response.text();
        assert!(text.contains("The current password is not right"), "{text}");
        // Nothing that was typed comes back.
        assert!(!text.contains(NEW) && !text.contains("wrong"), "{text}");
    }
    assert_eq!(user(&app).await.own_password, None);
    answered(&browser.authorize(&[]).await);
}

/// The new password is taken as typed, of 8 to 128 characters, not among the common ones, typed twice; whatever is refused
/// costs no hash.
#[tokio::test]
async fn rule_66_the_new_password_keeps_the_rules() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let (long, too_long, far_too_long) = ("q".repeat(128), "q".repeat(129), "q".repeat(513));
    for (new, repeated, said) in [
        ("", "", "shorter than 8"),
        ("x7#kQ2!", "x7#kQ2!", "shorter than 8"),
        (&too_long, &too_long, "longer than 128"),
        (&far_too_long, &far_too_long, "longer than 128"),
        ("PassWord", "PassWord", "most common"),
        (NEW, "another good Password", "differ"),
        (NEW, "", "differ"),
        (NEW, "another good password ", "differ"),
    ] {
        let before = app.hasher.computed();
        let response = change(&browser, PASSWORD, new, repeated).await;
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY, "{new}");
        assert!(response.text().contains(said), "{said}: {}", response.text());
        assert_eq!(app.hasher.computed(), before);
        assert_eq!(user(&app).await.own_password, None);
    }
    let mut current = PASSWORD.to_owned();
    for new in [" Pässwörd+%20&=e\u{301} ", &long, "        "] {
        let response = change(&browser, &current, new, new).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER, "{}", response.text());
        assert!(gets_in(&app, new).await);
        assert!(!gets_in(&app, &current).await);
        new.clone_into(&mut current);
    }
    assert!(!gets_in(&app, current.trim()).await);
}

/// Wrong current passwords count as failed sign-ins: after ten of them nothing is looked at for a while, the right one
/// neither, here and at the sign-in form, and the page says for how long.
#[tokio::test]
async fn rule_68_the_current_password_cannot_be_guessed() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for _ in 0..10 {
        let response = change(&browser, "wrong", NEW, NEW).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN);
    }
    let before = app.hasher.computed();
    let response = change(&browser, PASSWORD, NEW, NEW).await;
    assert_eq!(
        response.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{}",
        response.text()
    );
    assert_eq!(response.header("retry-after"), Some("1"));
    assert!(response.text().contains("Please try again in 1 second."));
    let page = browser.authorize(&[("prompt", "login")]).await;
    let response = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(app.hasher.computed(), before, "a password was looked at");
    app.advance(Duration::from_secs(1));
    let response = change(&browser, PASSWORD, NEW, NEW).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER, "{}", response.text());
    assert!(gets_in(&app, NEW).await);
}

/// When as many hashes wait as may wait, nothing is changed, and the answer is 503 with `Retry-After`.
#[tokio::test]
async fn rule_65_a_full_queue_changes_nothing() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    app.hasher.set_full(true);
    let busy = change(&browser, PASSWORD, NEW, NEW).await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(busy.header("retry-after").is_some());
    app.hasher.set_full(false);
    assert_eq!(user(&app).await.own_password, None);
    assert!(location(&change(&browser, PASSWORD, NEW, NEW).await).starts_with("/account?done="));
}

/// A hash of the person's own password is made stronger at sign-in like any other.
#[tokio::test]
async fn rule_65_an_own_passwords_hash_is_upgraded_at_sign_in() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    change(&browser, PASSWORD, NEW, NEW).await;
    app.hasher.set_outdated(true);
    let before = app.hasher.computed();
    assert!(gets_in(&app, NEW).await);
    assert_eq!(app.hasher.computed(), before + 2);
    // A change right at such a moment works too.
    let response = change(&browser, NEW, PASSWORD, PASSWORD).await;
    assert_eq!(response.status, StatusCode::SEE_OTHER, "{}", response.text());
    assert!(gets_in(&app, PASSWORD).await);
}

/// Until the resource gives another password, the person's own counts; then that is a reset, and every session ends.
#[tokio::test]
async fn rule_38_a_reset_by_the_administrator_wins() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    change(&browser, PASSWORD, NEW, NEW).await;
    // A restart registers everything again.
    app.register_user_with_password("ada", PASSWORD).await;
    assert!(gets_in(&app, NEW).await && !gets_in(&app, PASSWORD).await);
    answered(&browser.authorize(&[]).await);

    let given = "what the administrator gives";
    app.reset_password("ada", given).await;
    assert!(gets_in(&app, given).await);
    assert!(!gets_in(&app, NEW).await && !gets_in(&app, PASSWORD).await);
    assert_sign_in_page(&browser.authorize(&[]).await);
}

/// A sign-in whose password is changed or reset right after it was found to be right gets no session.
#[tokio::test]
async fn rule_38_a_sign_in_is_not_faster_than_a_change() {
    for reset in [true, false] {
        let app = app_with_ada().await;
        let (browser, slow) = (Browser::new(&app), Browser::new(&app));
        browser.sign_in_as_ada().await;
        let page = slow.authorize(&[]).await;
        let pause = app.hasher.pause();
        let overtaking = async {
            pause.reached().await;
            if reset {
                app.reset_password("ada", NEW).await;
            } else {
                let response = change(&browser, PASSWORD, NEW, NEW).await;
                assert!(location(&response).starts_with("/account?done="));
            }
            pause.go_on();
        };
        let (response, ()) = tokio::join!(slow.sign_in(&page, "ada", PASSWORD), overtaking);
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{}", response.text());
        assert_eq!(slow.cookie("session"), None);
        assert!(gets_in(&app, NEW).await);
        let sessions = app
            .store
            .account(&ResourceUid::new("uid-ada"))
            .await
            .unwrap()
            .sessions;
        assert_eq!(sessions.len(), if reset { 1 } else { 2 }, "a session is left");
    }
}

/// Who is not signed in, or not any more, is asked to sign in.
#[tokio::test]
async fn rule_75_a_password_is_changed_by_who_is_signed_in() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    assert_eq!(location(&browser.get("/account/password").await), "/account");
    browser.sign_in_as_ada().await;
    let form = Form::of(&browser.get("/account/password").await);
    let confirm = Form::of(&browser.get("/logout").await);
    browser.submit(&confirm, &[]).await;
    let before = app.hasher.computed();
    let filled = [
        ("current_password", PASSWORD),
        ("new_password", NEW),
        ("repeated_password", NEW),
    ];
    assert_eq!(location(&browser.submit(&form, &filled).await), "/account");
    assert_eq!(app.hasher.computed(), before);
    assert!(gets_in(&app, PASSWORD).await);
}

/// A change and a failed attempt are audited, with ids; no password is in the log (`rule_85`).
#[tokio::test]
async fn rule_87_a_changed_password_is_audited() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let (log, _guard) = Log::capture();
    change(
        &browser,
        "marked-wrong",
        "marked-new-password",
        "marked-new-password",
    )
    .await;
    change(&browser, PASSWORD, "marked-new-password", "marked-other").await;
    change(&browser, PASSWORD, "marked-new-password", "marked-new-password").await;
    let told: Vec<_> = log
        .audit()
        .iter()
        .map(|line| {
            let field = |name: &str| line["fields"][name].as_str().map(ToOwned::to_owned);
            (field("event").unwrap(), field("subject"))
        })
        .filter(|(name, _)| name != "sign_in_failed")
        .collect();
    let event = |name: &str| (name.to_owned(), Some("subject-ada".to_owned()));
    assert_eq!(told, [event("password_change_failed"), event("password_changed")]);
    let text = log.text();
    assert!(
        !text.contains("marked-") && !text.contains(PASSWORD),
        "a password is in the log"
    );
}
