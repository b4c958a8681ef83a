//! `prompt=select_account`.

use std::time::Duration;

use http::StatusCode;

use crate::app::TestResponse;
use crate::browser::{
    Browser, Form, PASSWORD, answered, app_with_ada, assert_error_page, assert_redirected_error,
    assert_sign_in_page, location,
};

const SELECT: (&str, &str) = ("prompt", "select_account");

#[track_caller]
fn assert_question(page: &TestResponse, who: &str) {
    let text = page.text();
    assert_eq!(page.status, StatusCode::OK, "{text}");
    for expected in ["id=\"continue\"", "id=\"another-account\"", who] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
}

/// The page names the account that is signed in; whoever goes on as it is not asked for a password, and whoever uses
/// another account signs in with it, in a session of its own.
#[tokio::test]
async fn rule_16_select_account_lets_the_person_choose() {
    let app = app_with_ada().await;
    app.register_user_with_password("bob", PASSWORD).await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let page = browser.authorize(&[SELECT, ("login_hint", "carol")]).await;
    assert_question(&page, "ada Example (ada)");
    let answer = answered(&browser.submit(&Form::of(&page), &[("answer", "continue")]).await);
    assert_eq!(app.redeem("shop", &answer["code"]).await.status, StatusCode::OK);

    let page = browser.authorize(&[SELECT]).await;
    let form = browser.submit(&Form::of(&page), &[("answer", "another")]).await;
    assert_sign_in_page(&form);
    assert_eq!(Form::of(&form).field("username"), "");
    let redirect = browser.sign_in(&form, "bob", PASSWORD).await;
    answered(&browser.answer_consent(&redirect, "allow").await);
    assert_question(&browser.authorize(&[SELECT]).await, "bob Example (bob)");
}

/// Nothing but the button goes on with the account, and where nobody is signed in there is nothing to choose: signing in
/// is the choice.
#[tokio::test]
async fn rule_16_select_account_without_a_session_is_a_sign_in() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[SELECT]).await;
    assert_sign_in_page(&page);
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    answered(&browser.answer_consent(&redirect, "allow").await);
    let page = browser.authorize(&[SELECT]).await;
    for answer in ["", "CONTINUE", "yes"] {
        assert_sign_in_page(&browser.submit(&Form::of(&page), &[("answer", answer)]).await);
    }
    // Signed out since the page was shown.
    let sign_out = Form::of(&browser.get("/logout").await);
    browser.submit(&sign_out, &[]).await;
    assert_sign_in_page(&browser.submit(&Form::of(&page), &[("answer", "continue")]).await);
}

/// The choice is remembered through the consent that follows, and only in this interaction.
#[tokio::test]
async fn rule_16_the_choice_holds_until_the_answer() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for prompt in ["select_account consent", "consent select_account"] {
        let page = browser.authorize(&[("prompt", prompt)]).await;
        assert_question(&page, "ada Example (ada)");
        let redirect = browser.submit(&Form::of(&page), &[("answer", "continue")]).await;
        assert!(location(&redirect).starts_with("/consent"));
        answered(&browser.answer_consent(&redirect, "allow").await);
        assert_question(
            &browser.authorize(&[("prompt", prompt)]).await,
            "ada Example (ada)",
        );
    }
}

/// Choosing is not signing in: `login` and `max_age` beside it still want a password, and get it for the chosen account.
#[tokio::test]
async fn rule_17_choosing_an_account_is_no_sign_in() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    app.advance(Duration::from_mins(2));
    for changes in [
        &[("prompt", "select_account login")][..],
        &[SELECT, ("max_age", "60")],
        &[SELECT, ("max_age", "0")],
    ] {
        let page = browser.authorize(changes).await;
        assert_question(&page, "ada Example (ada)");
        let form = browser.submit(&Form::of(&page), &[("answer", "continue")]).await;
        assert_sign_in_page(&form);
        assert_eq!(Form::of(&form).field("username"), "ada");
        answered(&browser.sign_in(&form, "ada", PASSWORD).await);
        app.advance(Duration::from_mins(2));
    }
}

/// Whoever signed in since the page was shown is asked again: the page named somebody else.
#[tokio::test]
async fn rule_16_the_account_that_was_shown_is_the_one_that_is_used() {
    let app = app_with_ada().await;
    app.register_user_with_password("bob", PASSWORD).await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let shown = browser.authorize(&[SELECT]).await;
    let tab = browser.authorize(&[("prompt", "login")]).await;
    browser.sign_in(&tab, "bob", PASSWORD).await;
    let again = browser.submit(&Form::of(&shown), &[("answer", "continue")]).await;
    assert_question(&again, "bob Example (bob)");
}

/// The form works in the browser that was shown it, for ten minutes, and nobody can make or alter what it carries; the
/// sign-in form's content is none.
#[tokio::test]
async fn rule_22_the_question_belongs_to_one_browser() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let sign_in = Form::of(&browser.authorize(&[]).await);
    browser.sign_in_as_ada().await;
    let form = Form::of(&browser.authorize(&[SELECT]).await);
    let go_on = ("answer", "continue");

    let other = Browser::new(&app);
    let own = Form::of(&other.authorize(&[]).await);
    let filled = [("csrf_token", own.field("csrf_token")), go_on];
    let response = other.submit(&form, &filled).await;
    assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
    for sealed in ["", "x", sign_in.field("interaction")] {
        let response = browser.submit(&form, &[("interaction", sealed), go_on]).await;
        assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
    }
    let response = browser.submit(&form, &[("csrf_token", "x"), go_on]).await;
    assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
    assert_error_page(
        &browser.get("/select-account").await,
        StatusCode::BAD_REQUEST,
        &[],
    );
    app.advance(Duration::from_mins(10));
    let response = browser.submit(&form, &[go_on]).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
}

/// What the app may not have it does not get by a choice: the access rules hold, and a suspended client gets nothing.
#[tokio::test]
async fn rule_20_a_choice_does_not_help_a_suspended_client() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let form = Form::of(&browser.authorize(&[SELECT]).await);
    app.register_client("shop", |registration| {
        registration.client.access.allowed_users = vec!["bob".to_owned()];
    })
    .await;
    let response = browser.submit(&form, &[("answer", "continue")]).await;
    assert_redirected_error(&response, "access_denied");
    app.register_client("shop", |registration| registration.client.suspended = true)
        .await;
    let response = browser.submit(&form, &[("answer", "continue")]).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
}
