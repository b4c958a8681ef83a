//! `response_mode`: answers in the query, and in a form that the browser posts to the app.

use std::collections::BTreeMap;

use http::StatusCode;

use crate::app::{ISSUER, TestResponse};
use crate::browser::{Browser, Form, PASSWORD, answered, app_with_ada, assert_redirected_error};
use crate::fixtures;

const FORM_POST: (&str, &str) = ("response_mode", "form_post");

/// What the browser posts to the app.
#[track_caller]
fn posted(page: &TestResponse) -> BTreeMap<String, String> {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert_eq!(page.header("location"), None);
    let form = Form::of(page);
    assert_eq!(form.action, fixtures::REDIRECT_URI);
    let map: BTreeMap<_, _> = form.fields.iter().cloned().collect();
    assert_eq!(
        map.len(),
        form.fields.len(),
        "a field is repeated in {}",
        page.text()
    );
    map
}

/// `response_mode` is `query`, `form_post` or absent; others are refused, and the refusal itself comes in the query.
#[tokio::test]
async fn rule_10_the_response_modes_are_query_and_form_post() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for response_mode in [
        "fragment",
        "query.jwt",
        "form_post.jwt",
        "web_message",
        "QUERY",
        "query form_post",
    ] {
        let response = browser.authorize(&[("response_mode", response_mode)]).await;
        assert_redirected_error(&response, "invalid_request");
    }
    let answer = answered(&browser.authorize(&[("response_mode", "query")]).await);
    assert!(answer.contains_key("code"));
    let answer = posted(&browser.authorize(&[FORM_POST]).await);
    assert_eq!(answer.keys().collect::<Vec<_>>(), ["code", "iss", "state"]);
    assert_eq!(
        (answer["state"].as_str(), answer["iss"].as_str()),
        ("state", ISSUER)
    );
    assert_eq!(app.redeem("shop", &answer["code"]).await.status, StatusCode::OK);
}

/// The whole way, sign-in and consent included, ends at the form; the pages before it lead to claviger alone.
#[tokio::test]
async fn rule_10_form_post_goes_through_sign_in_and_consent() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[FORM_POST]).await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let consent = browser.follow(&redirect).await;
    for page in [&page, &consent] {
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("; form-action 'self'; "), "{policy}");
    }
    let answer = posted(&browser.submit(&Form::of(&consent), &[("answer", "allow")]).await);
    assert_eq!(app.redeem("shop", &answer["code"]).await.status, StatusCode::OK);
}

/// Errors travel in the mode that the request asks for, with `state` and `iss`.
#[tokio::test]
async fn rule_15_errors_are_posted_where_form_post_is_asked_for() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    for (changes, error) in [
        (&[("prompt", "none")][..], "login_required"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("scope", "profile")], "invalid_scope"),
        (&[("id_token_hint", "x")], "invalid_request"),
    ] {
        let answer = posted(&browser.authorize(&[changes, &[FORM_POST]].concat()).await);
        assert_eq!(answer["error"], error);
        assert_eq!(
            (answer["state"].as_str(), answer["iss"].as_str()),
            ("state", ISSUER)
        );
        assert_eq!(answer.get("code"), None);
    }
    let page = browser.authorize(&[FORM_POST]).await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(
        posted(&browser.answer_consent(&redirect, "deny").await)["error"],
        "access_denied"
    );
}

/// A repeated `response_mode` says nothing about how to answer, so the answer comes in the query.
#[tokio::test]
async fn rule_06_a_repeated_response_mode_is_not_followed() {
    let app = app_with_ada().await;
    let mut parameters = crate::browser::REQUEST.to_vec();
    parameters.extend([FORM_POST, FORM_POST]);
    let path = crate::browser::authorize_path(&parameters);
    assert_redirected_error(&Browser::new(&app).get(&path).await, "invalid_request");
}

/// `state` comes back byte for byte in the form too. What a form cannot carry, control characters, is refused, and not
/// returned.
#[tokio::test]
async fn rule_14_the_state_comes_back_byte_for_byte_in_a_form() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let every_character: String = (0x20..0x7f).map(char::from).collect();
    let longest = "s".repeat(2048);
    for state in [&every_character, &longest, "a+b c%2Bd&amp;e=f", " \u{202e}中é "] {
        let answer = posted(&browser.authorize(&[FORM_POST, ("state", state)]).await);
        assert_eq!(answer["state"], *state);
        assert!(answer.contains_key("code"));
    }
    for state in ["\t", "a\rb", "a\nb", "a\0b", "a\u{7f}b"] {
        let answer = posted(&browser.authorize(&[FORM_POST, ("state", state)]).await);
        assert_eq!(answer["error"], "invalid_request");
        assert_eq!(answer.get("state"), None);
    }
}

/// Browsers post to https and http only, so an app's own scheme cannot have `form_post`.
#[tokio::test]
async fn rule_10_form_post_needs_a_redirect_uri_that_takes_forms() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.redirect_uris = vec!["org.example.shop:/cb".to_owned()];
    })
    .await;
    let response = Browser::new(&app)
        .authorize(&[FORM_POST, ("redirect_uri", "org.example.shop:/cb")])
        .await;
    let location = crate::browser::location(&response);
    assert!(
        location.starts_with("org.example.shop:/cb?error=invalid_request&"),
        "{location}"
    );
}

/// The page may run the one script that has its nonce and post to the app, and nothing else; the nonce is new each time.
/// It is never stored and nobody frames it.
#[tokio::test]
async fn rule_76_the_form_post_page_submits_and_does_nothing_else() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let mut nonces = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let page = browser.authorize(&[FORM_POST]).await;
        let text = page.text();
        let (_, nonce) = text.split_once("<script nonce=\"").unwrap();
        let (nonce, _) = nonce.split_once('"').unwrap();
        let policy = page.header("content-security-policy").unwrap();
        let mut directives: Vec<_> = policy.split("; ").collect();
        assert!(directives.remove(1).starts_with("style-src 'sha256-"));
        let script = format!("script-src 'nonce-{}'", nonce.replace("&#43;", "+"));
        let expected = [
            "default-src 'none'",
            &script,
            "form-action https://shop.example.org",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ];
        assert_eq!(directives, expected);
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            // The app may see which origin the form comes from, and nothing of the address.
            ("referrer-policy", "strict-origin"),
        ] {
            assert_eq!(page.header(name), Some(value));
        }
        assert_eq!(text.matches("<script").count(), 1, "{text}");
        assert!(
            text.contains("<noscript>") && text.contains("id=\"continue\""),
            "{text}"
        );
        nonces.insert(nonce.to_owned());
    }
    assert_eq!(nonces.len(), 2, "a nonce came twice");
}

/// Every value is escaped as an attribute of HTML: quotes, tags, the end of a script.
#[tokio::test]
async fn rule_78_the_form_post_page_escapes_every_value() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.redirect_uris = vec![
            fixtures::REDIRECT_URI.to_owned(),
            format!("{}?a='b'&c=d", fixtures::REDIRECT_URI),
        ];
    })
    .await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for state in [
        "\"><script>alert(1)</script>",
        "' onfocus='x",
        "</form></script><b>",
        "&quot;><b>",
    ] {
        let page = browser.authorize(&[FORM_POST, ("state", state)]).await;
        assert_eq!(posted(&page)["state"], state);
        let text = page.text();
        assert_eq!(text.matches("<script").count(), 1, "{text}");
        assert_eq!(text.matches("</script>").count(), 1, "{text}");
        for raw in ["<b>", "' onfocus='"] {
            assert!(!text.contains(raw), "{raw} in {text}");
        }
    }
    let uri = format!("{}?a='b'&c=d", fixtures::REDIRECT_URI);
    let page = browser.authorize(&[FORM_POST, ("redirect_uri", &uri)]).await;
    assert_eq!(Form::of(&page).action, uri);
    assert!(!page.text().contains("'b'"), "{}", page.text());
}
