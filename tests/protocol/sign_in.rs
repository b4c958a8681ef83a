//! Sign-in with username and password.

use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use http::StatusCode;
use serde_json::Value;

use crate::app::TestResponse;
use crate::browser::{
    Browser, Form, PASSWORD, app_with_ada, assert_error_page, assert_sign_in_page, location,
};
use crate::log::Log;

/// The page without what is different each time: the sealed values.
fn text_without_tokens(response: &TestResponse) -> String {
    let form = Form::of(response);
    response
        .text()
        .replace(form.field("csrf_token"), "")
        .replace(form.field("interaction"), "")
}

/// A hash that was made with weaker parameters is made again at sign-in, in one more computation, and a wrong password
/// changes nothing.
#[tokio::test]
async fn rule_65_an_outdated_hash_is_upgraded_at_sign_in() {
    let app = app_with_ada().await;
    app.hasher.set_outdated(true);
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let before = app.hasher.computed();
    browser.sign_in(&page, "ada", "wrong").await;
    assert_eq!(app.hasher.computed(), before + 1);
    browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(app.hasher.computed(), before + 3);
    let user = app
        .store
        .user_by_uid(&ResourceUid::new("uid-ada"))
        .await
        .unwrap()
        .unwrap();
    assert!(user.password.is_some());
}

/// When as many hashes wait as may wait, the answer is 503 with `Retry-After`; the form is kept and works afterwards.
#[tokio::test]
async fn rule_65_a_full_queue_keeps_the_form() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    app.hasher.set_full(true);
    let busy = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(busy.header("retry-after").is_some());
    assert_eq!(Form::of(&busy).field("username"), "ada");
    app.hasher.set_full(false);
    let redirect = browser.sign_in(&busy, "ada", PASSWORD).await;
    assert!(location(&redirect).starts_with("/consent"));
}

/// A password counts exactly as typed: no trimming, no change of case, no Unicode normalisation.
#[tokio::test]
async fn rule_66_a_password_counts_exactly_as_typed() {
    let app = app_with_ada().await;
    let password = " Pässwörd+%20&=e\u{301} ";
    app.register_user_with_password("eve", password).await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    for wrong in [
        password.trim(),
        &password.to_lowercase(),
        &password.replace("e\u{301}", "é"),
        &format!("{password} "),
        "",
    ] {
        let response = browser.sign_in(&page, "eve", wrong).await;
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{wrong}");
    }
    let redirect = browser.sign_in(&page, "eve", password).await;
    assert_eq!(redirect.status, StatusCode::SEE_OTHER);
}

/// A password of more than 512 bytes is never hashed, and is refused like any wrong one, at the same cost.
#[tokio::test]
async fn rule_66_there_is_a_bound_before_hashing() {
    let app = app_with_ada().await;
    let longest = "p".repeat(512);
    app.register_user_with_password("eve", &longest).await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let before = app.hasher.computed();
    let response = browser.sign_in(&page, "eve", &format!("{longest}p")).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert_eq!(app.hasher.computed(), before + 1);
    let redirect = browser.sign_in(&page, "eve", &longest).await;
    assert_eq!(redirect.status, StatusCode::SEE_OTHER);
}

/// An unknown user, a wrong password, a user without password and a disabled user with the right one cost one hash each and
/// get the same page and status.
#[tokio::test]
async fn rule_67_nobody_learns_who_exists() {
    let app = app_with_ada().await;
    app.register_user_with_password("eve", PASSWORD).await;
    app.register_user_with("eve", |registration| {
        registration.user.disabled = true;
    })
    .await;
    app.register_user_with_password("gone", PASSWORD).await;
    app.store
        .mark_users_absent(&[ResourceUid::new("uid-gone")])
        .await
        .unwrap();
    app.register_user_with("nopassword", |registration| registration.password = None)
        .await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let mut texts = Vec::new();
    for (username, password) in [
        ("ada", "wrong"),
        ("nobody", PASSWORD),
        ("eve", PASSWORD),
        ("gone", PASSWORD),
        ("nopassword", PASSWORD),
        ("nopassword", ""),
        ("", PASSWORD),
    ] {
        let before = app.hasher.computed();
        let response = browser.sign_in(&page, username, password).await;
        assert_eq!(app.hasher.computed(), before + 1, "{username}");
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{username}");
        assert_eq!(response.header("set-cookie"), None);
        let typed = format!("value=\"{username}\"");
        assert!(response.text().contains(&typed), "the username is not kept");
        texts.push(text_without_tokens(&response).replace(&typed, "value=\"\""));
    }
    // An empty username moves the cursor to its field; nothing else differs.
    let last = texts.pop().unwrap();
    assert!(texts.iter().all(|text| *text == texts[0]));
    assert_eq!(last.replace(" autofocus", ""), texts[0].replace(" autofocus", ""));
}

/// A refused sign-in says so where assistive technology finds it, keeps the username and never the password.
#[tokio::test]
async fn rule_67_a_refusal_is_announced() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[("login_hint", "ada")]).await;
    assert_sign_in_page(&page);
    assert_eq!(Form::of(&page).field("username"), "ada");
    let response = browser.sign_in(&page, "Ada ", "wrong-marker").await;
    let text = response.text();
    assert!(
        text.contains("id=\"error\" class=\"alert\" role=\"alert\""),
        "{text}"
    );
    assert_eq!(text.matches("aria-describedby=\"error\"").count(), 2);
    assert_eq!(Form::of(&response).field("username"), "Ada ");
    assert!(!text.contains("wrong-marker"));
}

/// The username is looked up in its canonical form: case and surrounding white space do not matter.
#[tokio::test]
async fn rule_67_the_username_is_canonical() {
    let app = app_with_ada().await;
    for typed in ["ada", "ADA", " Ada\t"] {
        let browser = Browser::new(&app);
        let page = browser.authorize(&[]).await;
        let response = browser.sign_in(&page, typed, PASSWORD).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER, "{typed}");
    }
}

/// The sign-in page is not a page to come to without a request.
#[tokio::test]
async fn rule_70_the_sign_in_page_needs_a_request() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    assert_error_page(&browser.get("/login").await, StatusCode::BAD_REQUEST, &[]);
    assert_error_page(&browser.get("/consent").await, StatusCode::BAD_REQUEST, &[]);
    let response = browser.get("/consent?interaction=https://evil.example").await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &["evil"]);
}

/// People type passwords into the username field: a failed username is never in the log, only a pseudonym of it, the same
/// for the same name. Control characters forge no line.
#[tokio::test]
async fn rule_86_failed_usernames_are_logged_as_pseudonyms() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    let (log, _guard) = Log::capture();
    for username in [
        "hunter2-marker",
        "hunter2-marker",
        "other\nINFO claviger::audit: marker\u{1b}[2K",
    ] {
        browser.sign_in(&page, username, "password-marker").await;
    }
    let audit = log.audit();
    assert_eq!(audit.len(), 3, "{audit:?}");
    assert!(!log.text().contains("marker"), "{}", log.text());
    assert!(!log.text().contains('\u{1b}'));
    let pseudonym = |line: &Value| line["fields"]["username_pseudonym"].as_str().unwrap().to_owned();
    assert!(!pseudonym(&audit[0]).is_empty());
    assert_eq!(pseudonym(&audit[0]), pseudonym(&audit[1]));
    assert_ne!(pseudonym(&audit[0]), pseudonym(&audit[2]));
}

/// Nothing that a person or an app keeps secret is logged on the way, at any level.
#[tokio::test]
async fn rule_85_the_way_through_the_browser_logs_no_secret() {
    let app = app_with_ada().await;
    let (log, _guard) = Log::capture();
    let browser = Browser::new(&app);
    let page = browser
        .authorize(&[
            ("state", "marker-state"),
            ("nonce", "marker-nonce"),
            ("login_hint", "marker-hint"),
        ])
        .await;
    browser.sign_in(&page, "ada", "marker-wrong").await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let handle = location(&redirect);
    let response = browser.answer_consent(&redirect, "allow").await;
    let code = crate::browser::answered(&response)["code"].clone();
    let text = log.text();
    let cookies: Vec<_> = browser.cookies.borrow().values().cloned().collect();
    for secret in [PASSWORD, &code, handle.split_once('=').unwrap().1]
        .into_iter()
        .chain(cookies.iter().map(String::as_str))
        .chain([
            "marker",
            Form::of(&page).field("interaction"),
            Form::of(&page).field("csrf_token"),
        ])
    {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
    assert!(!text.is_empty());
}

/// Sign-in, refused sign-in, grant, denial and sign-out are audit events of ids only.
#[tokio::test]
async fn rule_87_the_audit_log_says_what_happened() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let (log, _guard) = Log::capture();
    let page = browser.authorize(&[]).await;
    browser.sign_in(&page, "ada", "wrong").await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    browser.answer_consent(&redirect, "allow").await;
    let redirect = browser.authorize(&[("prompt", "consent")]).await;
    browser.answer_consent(&redirect, "deny").await;
    let form = Form::of(&browser.get("/logout").await);
    browser.submit(&form, &[]).await;
    let audit = log.audit();
    let expected = ["sign_in_failed", "sign_in", "grant", "consent_denied", "sign_out"];
    assert_eq!(audit.len(), expected.len(), "{audit:#?}");
    for (line, event) in audit.iter().zip(expected) {
        assert_eq!(line["fields"]["event"], event, "{line}");
        for (name, value) in line["fields"].as_object().unwrap() {
            let ids = [
                "message",
                "event",
                "client_id",
                "subject",
                "grant",
                "username_pseudonym",
            ];
            assert!(ids.contains(&name.as_str()), "{name} in {line}");
            for personal in ["Example", "example.org"] {
                assert!(!value.to_string().contains(personal), "{personal} in {line}");
            }
            assert_ne!(value, "ada", "{line}");
        }
    }
}
