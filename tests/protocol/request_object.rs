//! Request objects by value (RFC 9101): who may have signed one, what must stand in it, and that nothing else counts.

use std::time::Duration;

use claviger::oidc::client::ConsentPolicy;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{ISSUER, TestApp, TestResponse};
use crate::browser::{
    Browser, PASSWORD, REQUEST, answered, app_with_ada, assert_error_page, assert_redirected_error,
    assert_sign_in_page, authorize_path, location,
};
use crate::client_keys::{KEYS, OTHER_KEYS};
use crate::fixtures;
use crate::jwt::part;

const HEADER: &str = r#"{"alg":"ES256","typ":"oauth-authz-req+jwt"}"#;

async fn app_with_keys() -> TestApp {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| registration.client.jwks = KEYS.jwks())
        .await;
    app
}

/// The claims of an object that has nothing wrong with it: those of [`REQUEST`], and what says whose it is.
fn claims(app: &TestApp) -> Value {
    let now = app.now().as_second();
    let mut claims = json!({
        "iss": "team-a.shop", "aud": ISSUER, "iat": now, "nbf": now, "exp": now + 300, "jti": "1",
    });
    for (name, value) in REQUEST {
        claims[name] = json!(value);
    }
    claims
}

/// [`claims`] with one of them replaced, or (by null) left out.
fn claims_with(app: &TestApp, name: &str, value: &Value) -> Value {
    let mut claims = claims(app);
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value.clone();
    }
    claims
}

fn signed(claims: &Value) -> String {
    KEYS.sign(&serde_json::from_str(HEADER).unwrap(), claims)
}

/// What OpenID Connect Core wants outside an object, and where to send an error.
fn outside(object: &str) -> Vec<(&str, &str)> {
    vec![
        ("response_type", "code"),
        ("client_id", "team-a.shop"),
        ("scope", "openid"),
        ("redirect_uri", fixtures::REDIRECT_URI),
        ("state", "outside"),
        ("request", object),
    ]
}

async fn ask(app: &TestApp, object: &str) -> TestResponse {
    Browser::new(app).get(&authorize_path(&outside(object))).await
}

#[track_caller]
fn assert_refused(response: &TestResponse, why: &str) {
    assert_redirected_error(response, "invalid_request_object");
    let answer = answered(response);
    assert!(
        answer["error_description"].contains(why),
        "{}: {why}",
        answer["error_description"]
    );
    assert_eq!(answer["state"], "outside");
}

/// An object that is signed by any algorithm of a registered key is taken, with and without `kid`, whatever of the allowed
/// types its header names.
#[tokio::test]
async fn rule_19_an_object_of_a_registered_key_is_taken() {
    let app = app_with_keys().await;
    let object = claims(&app);
    for (alg, kid) in [
        ("RS256", "rsa"),
        ("PS256", "rsa"),
        ("ES256", "ec"),
        ("EdDSA", "ed25519"),
    ] {
        for header in [
            json!({"alg": alg, "kid": kid, "typ": "oauth-authz-req+jwt"}),
            json!({"alg": alg, "typ": "application/OAuth-Authz-Req+JWT"}),
            json!({"alg": alg, "typ": "JWT"}),
            json!({"alg": alg}),
        ] {
            assert_sign_in_page(&ask(&app, &KEYS.sign(&header, &object)).await);
        }
    }
}

/// `resource` may be a list in an object, as it may come more than once outside of one (RFC 8707 section 2); the token is for what
/// the list names. A list of another parameter is one that comes more than once.
#[tokio::test]
async fn rule_19_resources_may_be_a_list() {
    let app = app_with_keys().await;
    app.register_client("shop", |registration| {
        registration.client.jwks = KEYS.jwks();
        registration.client.audiences = vec!["urn:a".to_owned(), "urn:b".to_owned()];
        registration.client.consent = ConsentPolicy::Skip;
    })
    .await;
    let browser = Browser::new(&app);
    let page = browser
        .get(&authorize_path(&outside(&signed(&claims(&app)))))
        .await;
    answered(&browser.sign_in(&page, "ada", PASSWORD).await);
    for (name, value, aud) in [
        (
            "resource",
            json!(["urn:b", "urn:a"]),
            Some(json!(["urn:b", "urn:a"])),
        ),
        ("resource", json!(["urn:a"]), Some(json!("urn:a"))),
        ("resource", json!(["urn:a", "urn:c"]), None),
        ("state", json!(["a", "b"]), None),
    ] {
        let object = signed(&claims_with(&app, name, &value));
        let answer = answered(&browser.get(&authorize_path(&outside(&object))).await);
        match aud {
            None => assert!(answer.contains_key("error"), "{name} {value}: {answer:?}"),
            Some(aud) => {
                let tokens = app.redeem("shop", &answer["code"]).await.json();
                assert_eq!(part(tokens["access_token"].as_str().unwrap(), 1)["aud"], aud);
            }
        }
    }
}

/// A client that binds itself to signed requests (RFC 9101 section 10.5) is answered to those alone: what has no object is
/// refused, whatever else stands there, and one that is not signed by its keys as well.
#[tokio::test]
async fn rule_19_a_client_may_require_a_signed_request() {
    let app = app_with_keys().await;
    app.register_client("shop", |registration| {
        registration.client.jwks = KEYS.jwks();
        registration.client.require_signed_request_object = true;
    })
    .await;
    let browser = Browser::new(&app);
    for request in [REQUEST.to_vec(), [&REQUEST[..], &[("request", "")]].concat()] {
        let response = browser.get(&authorize_path(&request)).await;
        assert_redirected_error(&response, "invalid_request_object");
        assert_eq!(answered(&response)["state"], "state");
    }
    let foreign = OTHER_KEYS.sign(&serde_json::from_str(HEADER).unwrap(), &claims(&app));
    assert_redirected_error(&ask(&app, &foreign).await, "invalid_request_object");
    assert_sign_in_page(&ask(&app, &signed(&claims(&app))).await);
}

/// `client_id` and `request` alone are enough (RFC 9101 section 5), and the whole way goes by what stands inside.
#[tokio::test]
async fn rule_19_what_stands_inside_is_what_counts() {
    let app = app_with_keys().await;
    let browser = Browser::new(&app);
    let object = signed(&claims_with(&app, "max_age", &json!(60)));
    let page = browser
        .get(&authorize_path(&[
            ("client_id", "team-a.shop"),
            ("request", &object),
        ]))
        .await;
    assert_sign_in_page(&page);
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let answer = answered(&browser.answer_consent(&redirect, "allow").await);
    assert_eq!(answer["state"], "state");
    let tokens = app.redeem("shop", &answer["code"]).await.json();
    assert_eq!(tokens["scope"], "openid profile");
    let id_token = crate::jwt::part(tokens["id_token"].as_str().unwrap(), 1);
    assert_eq!(id_token["nonce"], "nonce");
    // `max_age` as a number, which asks for this too.
    assert_eq!(id_token["auth_time"], app.now().as_second());

    // Nothing outside is added to it or takes its place.
    let mut parameters = outside(&object);
    parameters.extend([
        ("prompt", "login"),
        ("nonce", "outside"),
        ("code_challenge", "outside"),
        ("response_mode", "form_post"),
        ("max_age", "0"),
        ("id_token_hint", "outside"),
    ]);
    let answer = answered(&browser.get(&authorize_path(&parameters)).await);
    assert_eq!(answer["state"], "state");
    let without = signed(&claims_with(&app, "code_challenge", &Value::Null));
    let mut parameters = outside(&without);
    parameters.extend(REQUEST.into_iter().skip(6));
    let response = browser.get(&authorize_path(&parameters)).await;
    assert_redirected_error(&response, "invalid_request");
    // Where the answer goes is decided inside too.
    for bad in [json!("https://evil.example/cb"), Value::Null] {
        let object = signed(&claims_with(&app, "redirect_uri", &bad));
        assert_error_page(&ask(&app, &object).await, StatusCode::BAD_REQUEST, &["evil"]);
    }
}

/// Unsigned, symmetric, of another key, of another client's key, altered: no object at all.
#[tokio::test]
async fn rule_49_only_a_registered_key_makes_an_object() {
    let app = app_with_keys().await;
    let object = claims(&app);
    let good = signed(&object);
    let parts: Vec<_> = good.split('.').collect();
    let altered = format!(
        "{}.{}.{}",
        parts[0],
        crate::jwt::encode_part(&claims_with(&app, "scope", &json!("openid email"))),
        parts[2]
    );
    for (forged, why) in [
        (KEYS.sign(&json!({"alg": "none"}), &object), "its alg"),
        (KEYS.sign(&json!({"alg": "HS256"}), &object), "its alg"),
        (KEYS.sign(&json!({"alg": "ES256K"}), &object), "its alg"),
        (OTHER_KEYS.sign(&json!({"alg": "RS256"}), &object), "signature"),
        (
            OTHER_KEYS.sign(&json!({"alg": "ES256", "kid": "ec"}), &object),
            "signature",
        ),
        (
            KEYS.sign(&json!({"alg": "RS256", "kid": "ec"}), &object),
            "signature",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "kid": "../ec"}), &object),
            "its kid",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "crit": ["x"]}), &object),
            "crit",
        ),
        (
            KEYS.sign(&json!({"alg": "ES256", "typ": "at+jwt"}), &object),
            "its typ",
        ),
        (
            KEYS.sign(
                &json!({"alg": "ES256", "typ": "client-authentication+jwt"}),
                &object,
            ),
            "its typ",
        ),
        (altered, "signature"),
        (good[..good.len() - 2].to_owned(), "signature"),
        (format!("{good}."), "JWS"),
        ("x".to_owned(), "JWS"),
    ] {
        assert_refused(&ask(&app, &forged).await, why);
    }
    // A key that comes with the object verifies nothing.
    let key = serde_json::to_value(&OTHER_KEYS.jwks()[1]).unwrap();
    let own = OTHER_KEYS.sign(&json!({"alg": "ES256", "jwk": key}), &object);
    assert_refused(&ask(&app, &own).await, "signature");
    // Nor does a client without keys have any.
    app.register_client("shop", |_| ()).await;
    assert_refused(&ask(&app, &good).await, "no registered keys");
}

/// An object is its client's, for this issuer, and says so; `sub` would make it a client assertion.
#[tokio::test]
async fn rule_19_an_object_says_whose_it_is_and_for_whom() {
    let app = app_with_keys().await;
    for (name, value, why) in [
        ("iss", Value::Null, "iss"),
        ("iss", json!("team-a.blog"), "iss"),
        ("iss", json!(1), "malformed"),
        ("client_id", Value::Null, "client_id"),
        ("client_id", json!("team-a.blog"), "client_id"),
        ("aud", Value::Null, "aud"),
        ("aud", json!("https://id.example.org/"), "aud"),
        ("aud", json!([]), "aud"),
        ("aud", json!(["https://other.example"]), "aud"),
        ("sub", json!("team-a.shop"), "sub"),
        ("request", json!("x"), "request"),
        ("request_uri", json!("https://shop.example.org/r"), "request_uri"),
        ("response_type", json!("token"), "response_type"),
    ] {
        let object = signed(&claims_with(&app, name, &value));
        assert_refused(&ask(&app, &object).await, why);
    }
    let several = signed(&claims_with(
        &app,
        "aud",
        &json!(["https://other.example", ISSUER]),
    ));
    assert_sign_in_page(&ask(&app, &several).await);
    // Beside it, `scope` contains openid where it is there at all (OpenID Connect Core section 6.1).
    let object = signed(&claims(&app));
    let mut parameters = outside(&object);
    parameters[2].1 = "profile";
    assert_refused(
        &Browser::new(&app).get(&authorize_path(&parameters)).await,
        "scope",
    );
}

/// An object ends, within an hour, and has begun; times of another type are no times.
#[tokio::test]
async fn rule_50_an_object_has_sane_times() {
    let app = app_with_keys().await;
    let now = app.now().as_second();
    for (name, value, why) in [
        ("exp", Value::Null, "exp"),
        ("exp", json!(now), "expired"),
        ("exp", json!(now - 1), "expired"),
        ("exp", json!(now + 3601), "longer than an hour"),
        ("exp", json!(i64::MAX), "longer than an hour"),
        ("exp", json!((now + 60).to_string()), "malformed"),
        ("exp", json!(1e30), "malformed"),
        ("iat", json!("now"), "malformed"),
        ("iat", json!(now - 3400), "longer than an hour"),
        ("iat", json!(now + 31), "future"),
        ("nbf", json!(now + 31), "future"),
        ("nbf", json!(i64::MIN), "longer than an hour"),
    ] {
        let object = signed(&claims_with(&app, name, &value));
        assert_refused(&ask(&app, &object).await, why);
    }
    for (name, value) in [
        ("iat", Value::Null),
        ("nbf", Value::Null),
        ("iat", json!(now + 30)),
        ("exp", json!(now + 1)),
    ] {
        assert_sign_in_page(&ask(&app, &signed(&claims_with(&app, name, &value))).await);
    }
    let object = signed(&claims(&app));
    app.advance(Duration::from_mins(5));
    assert_refused(&ask(&app, &object).await, "expired");
}

/// A bad object outside which no registered redirect URI stands gets a page: there is nowhere to send the error.
#[tokio::test]
async fn rule_01_a_bad_object_is_redirected_to_registered_uris_only() {
    let app = app_with_keys().await;
    let browser = Browser::new(&app);
    for redirect_uri in ["", "https://evil.example/cb"] {
        let mut parameters = outside("x");
        parameters.retain(|(name, _)| *name != "redirect_uri");
        if !redirect_uri.is_empty() {
            parameters.push(("redirect_uri", redirect_uri));
        }
        let response = browser.get(&authorize_path(&parameters)).await;
        assert_error_page(&response, StatusCode::BAD_REQUEST, &["evil"]);
        assert!(response.text().contains("request object"), "{}", response.text());
    }
}

/// `request_uri` is refused with its own code, beside an object too, and a repeated `request` is none.
#[tokio::test]
async fn rule_19_request_uri_is_refused_beside_an_object_too() {
    let app = app_with_keys().await;
    let object = signed(&claims(&app));
    let browser = Browser::new(&app);
    let mut parameters = outside(&object);
    parameters.push(("request_uri", "https://shop.example.org/r"));
    let response = browser.get(&authorize_path(&parameters)).await;
    assert_redirected_error(&response, "request_uri_not_supported");
    let mut parameters = outside(&object);
    parameters.push(("request", &object));
    let response = browser.get(&authorize_path(&parameters)).await;
    assert_redirected_error(&response, "invalid_request");
}

/// The object may come by POST, sealed with the rest.
#[tokio::test]
async fn rule_08_an_object_may_be_posted() {
    let app = app_with_keys().await;
    let browser = Browser::new(&app);
    let object = signed(&claims(&app));
    let redirect = browser.post("/authorize", &outside(&object)).await;
    assert!(location(&redirect).starts_with("/authorize?claviger_posted="));
    assert_sign_in_page(&browser.follow(&redirect).await);
}
