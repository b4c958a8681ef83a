//! What an app asks for by name (the `claims` parameter), and what the ID token says of the sign-in.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::oidc::scope::ScopeSet;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::browser::{Browser, Form, PASSWORD, answered, app_with_ada, assert_redirected_error, location};
use crate::jwt::{members, verified};

const PASSWORD_ACR: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";

/// Asks as a signed-in person who allows it, and redeems the code.
async fn tokens_for(app: &TestApp, browser: &Browser<'_>, scope: &str, claims: &Value) -> Value {
    let claims = claims.to_string();
    let asked = browser.authorize(&[("scope", scope), ("claims", &claims)]).await;
    let answer = if location(&asked).starts_with("/consent") {
        browser.answer_consent(&asked, "allow").await
    } else {
        asked
    };
    app.redeem("shop", &answered(&answer)["code"]).await.json()
}

async fn id_token(app: &TestApp, tokens: &Value) -> Value {
    verified(app, tokens["id_token"].as_str().unwrap()).await.1
}

async fn userinfo(app: &TestApp, tokens: &Value) -> Value {
    app.userinfo(tokens["access_token"].as_str().unwrap())
        .await
        .json()
}

/// OpenID Connect Core section 5.5: a claim that is asked for by name comes where it is asked for, without its scope, and so
/// it does after a refresh; claims that nobody knows are ignored.
#[tokio::test]
async fn claims_come_where_they_are_asked_for_by_name() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let claims = json!({
        "userinfo": {"email": {"essential": true}, "phone_number": {"value": "+1 000 0000"}, "favourite_colour": null},
        "id_token": {"given_name": null, "address": {"essential": true}, "picture": null, "http://x.example/y": null},
    });
    let tokens = tokens_for(&app, &browser, "openid", &claims).await;
    let refreshed = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await
        .json();
    for tokens in [tokens, refreshed] {
        let at_userinfo = userinfo(&app, &tokens).await;
        let email = "ada@example.org";
        assert_eq!(
            at_userinfo,
            json!({"sub": "subject-ada", "email": email, "phone_number": "+44 20 7946 0000"})
        );
        let in_id_token = id_token(&app, &tokens).await;
        assert_eq!(in_id_token["given_name"], "ada");
        assert_eq!(in_id_token["address"], json!({"locality": "London"}));
        for absent in ["email", "name", "picture", "phone_number"] {
            assert_eq!(in_id_token[absent], Value::Null, "{absent}");
        }
    }
}

/// A client gets by name nothing that its scopes would not give it, neither now nor when its registration has become
/// stricter.
#[tokio::test]
async fn a_client_gets_nothing_by_name_that_its_scopes_would_not_give() {
    let app = app_with_ada().await;
    let narrow = |scopes: &'static str| {
        app.register_client("shop", move |registration| {
            registration.client.scopes = ScopeSet::parse(scopes);
        })
    };
    narrow("openid profile email offline_access").await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let claims = json!({
        "userinfo": {"email": null, "phone_number": null, "groups": {"essential": true}},
        "id_token": {"name": null, "groups": null, "address": null},
    });
    let text = claims.to_string();
    let asked = browser.authorize(&[("scope", "openid"), ("claims", &text)]).await;
    let page = browser.follow(&asked).await.text();
    assert!(
        page.contains("See your e-mail address") && page.contains("See your name"),
        "{page}"
    );
    for never in ["phone", "groups", "postal"] {
        assert!(!page.contains(never), "{never}: {page}");
    }
    let tokens = tokens_for(&app, &browser, "openid", &claims).await;
    assert_eq!(members(&userinfo(&app, &tokens).await), ["email", "sub"]);
    let in_id_token = id_token(&app, &tokens).await;
    assert_eq!(in_id_token["name"], "ada Example");
    assert_eq!(
        (&in_id_token["groups"], &in_id_token["address"]),
        (&Value::Null, &Value::Null)
    );

    narrow("openid").await;
    assert_eq!(members(&userinfo(&app, &tokens).await), ["sub"]);
    let refreshed = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(id_token(&app, &refreshed).await["name"], Value::Null);
}

/// The person is asked for what is asked for by name, in plain words; what they allowed is remembered, and covers no more
/// than that. The account page shows it.
#[tokio::test]
async fn rule_40_consent_covers_claims_that_are_asked_for_by_name() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let email = json!({"userinfo": {"email": null, "email_verified": null}}).to_string();
    let silently = [("prompt", "none"), ("claims", &*email)];
    assert_redirected_error(&browser.authorize(&silently).await, "consent_required");
    let asked = browser.authorize(&[("claims", &email)]).await;
    let page = browser.follow(&asked).await;
    assert_eq!(
        page.text().matches("See your e-mail address").count(),
        1,
        "{}",
        page.text()
    );
    answered(&browser.submit(&Form::of(&page), &[("answer", "allow")]).await);

    answered(&browser.authorize(&silently).await);
    // In another place it is the same to the person; another claim and the whole scope are not.
    let in_id_token = json!({"id_token": {"email": null}}).to_string();
    answered(
        &browser
            .authorize(&[("prompt", "none"), ("claims", &in_id_token)])
            .await,
    );
    let more = json!({"userinfo": {"email": null, "birthdate": null, "phone_number": null}}).to_string();
    for more in [("claims", &*more), ("scope", "openid profile email")] {
        let answer = browser.authorize(&[("prompt", "none"), more]).await;
        assert_redirected_error(&answer, "consent_required");
    }
    // The scope `profile` was allowed, so its claims are.
    let name = json!({"id_token": {"name": null}}).to_string();
    answered(
        &browser
            .authorize(&[("prompt", "none"), ("scope", "openid"), ("claims", &name)])
            .await,
    );

    let account = browser.get("/account").await.text();
    assert!(account.contains("See your e-mail address"), "{account}");
}

/// OpenID Connect Core sections 3.1.2.2 and 5.5.1: with a value for `sub`, nobody else answers, signed in or signing in.
#[tokio::test]
async fn rule_18_nobody_answers_for_another_subject() {
    let app = app_with_ada().await;
    let signed_in = Browser::new(&app);
    signed_in.sign_in_as_ada().await;
    for (sub, answers) in [
        (json!({"value": "subject-ada"}), true),
        (json!({"values": ["subject-bob", "subject-ada"]}), true),
        (json!({"essential": true}), true),
        (json!({"value": "subject-bob"}), false),
        (json!({"values": ["subject-bob"]}), false),
        (json!({"values": []}), false),
        (json!({"value": 7}), false),
        (json!({"value": "subject-ad"}), false),
    ] {
        for member in ["id_token", "userinfo"] {
            let claims = json!({member: {"sub": sub}}).to_string();
            let silent = signed_in
                .authorize(&[("claims", &claims), ("prompt", "none")])
                .await;
            let other = Browser::new(&app);
            let page = other.authorize(&[("claims", &claims)]).await;
            let typed = other.sign_in(&page, "ada", PASSWORD).await;
            for answer in [silent, typed] {
                if answers {
                    assert!(answered(&answer).contains_key("code"), "{claims}");
                } else {
                    assert_redirected_error(&answer, "login_required");
                }
            }
        }
    }
}

/// What is no `claims` parameter is `invalid_request`, and so is one that is too long or repeated.
#[tokio::test]
async fn malformed_claims_are_an_invalid_request() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let long = format!(r#"{{"userinfo": {{"{}": null}}}}"#, "x".repeat(4096));
    for claims in [
        "email",
        "[]",
        "{",
        r#"{"userinfo": ["email"]}"#,
        r#"{"id_token": {"email": 1}}"#,
        &long,
    ] {
        assert_redirected_error(&browser.authorize(&[("claims", claims)]).await, "invalid_request");
    }
    let twice = browser.authorize(&[("claims", "{}"), ("claims", "{}")]).await;
    assert_redirected_error(&twice, "invalid_request");
}

/// Every ID token says how the person signed in. An essential `acr` that no sign-in gives is refused (section 5.5.1.1); one
/// that is only wished for, by `claims` or by `acr_values`, is not.
#[tokio::test]
async fn an_essential_acr_is_met_or_refused() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for acr in [
        json!({"essential": true}),
        json!({"essential": true, "values": ["phr", PASSWORD_ACR]}),
        json!({"values": ["phr"]}),
    ] {
        let tokens = tokens_for(&app, &browser, "openid", &json!({"id_token": {"acr": acr}})).await;
        let claims = id_token(&app, &tokens).await;
        assert_eq!(
            (&claims["acr"], &claims["amr"]),
            (&json!(PASSWORD_ACR), &json!(["pwd"]))
        );
    }
    let answer = browser.authorize(&[("acr_values", "phr phrh")]).await;
    let tokens = app.redeem("shop", &answered(&answer)["code"]).await.json();
    assert_eq!(id_token(&app, &tokens).await["acr"], PASSWORD_ACR);

    let unmet = json!({"id_token": {"acr": {"essential": true, "values": ["phr"]}}}).to_string();
    for prompt in ["", "none", "login"] {
        let answer = browser.authorize(&[("claims", &unmet), ("prompt", prompt)]).await;
        assert_redirected_error(&answer, "unmet_authentication_requirements");
    }
}

/// `auth_time` comes when `claims` asks for it, as it does with `max_age`.
#[tokio::test]
async fn rule_46_auth_time_comes_when_claims_asks_for_it() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let at = app.now().as_second();
    browser.sign_in_as_ada().await;
    app.advance(std::time::Duration::from_secs(5));
    for (claims, expected) in [
        (json!({"id_token": {"auth_time": {"essential": true}}}), json!(at)),
        (json!({"id_token": {"auth_time": null}}), json!(at)),
        (json!({"userinfo": {"auth_time": null}}), Value::Null),
    ] {
        let tokens = tokens_for(&app, &browser, "openid", &claims).await;
        assert_eq!(id_token(&app, &tokens).await["auth_time"], expected, "{claims}");
    }
}

/// `at_hash` is the left half of the access token's hash, by the hash of the ID token's `alg` (section 3.1.3.6): SHA-512 for
/// Ed25519, SHA-256 for the others.
#[tokio::test]
async fn rule_47_at_hash_is_by_the_hash_of_the_signing_alg() {
    use claviger::oidc::signing_algorithm::SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};
    let app = TestApp::with_shop_and_ada().await;
    for (algorithm, hash) in [
        (Rs256, &SHA256),
        (Es256, &SHA256),
        (Ps256, &SHA256),
        (EdDsa, &SHA512),
    ] {
        app.register_client("shop", |registration| {
            registration.client.signing.id_token = algorithm;
        })
        .await;
        let tokens = app.tokens("openid").await;
        let refreshed = app
            .refresh("shop", tokens["refresh_token"].as_str().unwrap())
            .await
            .json();
        for tokens in [tokens, refreshed] {
            let hash = digest(hash, tokens["access_token"].as_str().unwrap().as_bytes());
            let left_half = &hash.as_ref()[..hash.as_ref().len() / 2];
            let expected = URL_SAFE_NO_PAD.encode(left_half);
            assert_eq!(
                id_token(&app, &tokens).await["at_hash"],
                expected,
                "{algorithm:?}"
            );
        }
    }
}
