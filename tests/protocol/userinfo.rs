//! The userinfo endpoint.

use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::app::{ISSUER, TestApp, TestResponse, encode};
use crate::jwt::{encode_part, part, verified};

const PATH: &str = "/api/userinfo";
const FORM: &str = "application/x-www-form-urlencoded";

#[track_caller]
fn assert_invalid_token(response: &TestResponse) {
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_token");
    let challenge = response.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
}

fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

/// `sub` is that of the ID token, and each scope gives its claims.
#[tokio::test]
async fn rule_57_sub_equals_that_of_the_id_token() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid profile email address phone groups").await;
    let (_, id_token) = verified(&app, tokens["id_token"].as_str().unwrap()).await;
    let response = app.userinfo(access_token(&tokens)).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("content-type"), Some("application/json"));
    let claims = response.json();
    assert_eq!(claims["sub"], id_token["sub"]);
    assert_eq!(
        claims,
        json!({
            "sub": "subject-ada", "name": "ada Example", "given_name": "ada", "family_name": "Example",
            "middle_name": "Middle", "preferred_username": "ada", "birthdate": "1815-12-10",
            "updated_at": app.now().as_second(),
            "email": "ada@example.org", "email_verified": true,
            "address": {"locality": "London"},
            "phone_number": "+44 20 7946 0000", "phone_number_verified": true,
            "groups": ["staff"],
        })
    );
    let tokens = app.tokens("openid").await;
    let claims = app.userinfo(access_token(&tokens)).await.json();
    assert_eq!(claims, json!({"sub": "subject-ada"}));
}

/// `updated_at` is the second in which something of the person last changed, and not that of every registration.
#[tokio::test]
async fn updated_at_is_when_something_of_the_person_last_changed() {
    let app = TestApp::with_shop_and_ada().await;
    let registered_at = app.now().as_second();
    let tokens = app.tokens("openid profile").await;
    let updated_at = async || app.userinfo(access_token(&tokens)).await.json()["updated_at"].clone();
    app.advance(Duration::from_secs(10));
    app.register_user("ada").await;
    assert_eq!(updated_at().await, json!(registered_at));
    app.register_user_with("ada", |registration| {
        registration.user.standard_claims.nickname = Some("Countess".to_owned());
    })
    .await;
    assert_eq!(updated_at().await, json!(registered_at + 10));
}

/// The token comes in the header or in a form body, by GET and POST, never in the query and never twice.
#[tokio::test]
async fn rule_57_the_token_comes_by_header_or_body_and_never_by_query() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    let token = access_token(&tokens);
    let bearer = format!("Bearer {token}");
    let form = encode(&[("access_token", token)]);

    let accepted = [
        Request::get(PATH)
            .header(AUTHORIZATION, &bearer)
            .body(Body::empty()),
        Request::get(PATH)
            .header(AUTHORIZATION, format!("bearer {token}"))
            .body(Body::empty()),
        Request::post(PATH)
            .header(AUTHORIZATION, &bearer)
            .body(Body::empty()),
        Request::post(PATH)
            .header(CONTENT_TYPE, FORM)
            .body(Body::from(form.clone())),
        Request::post(PATH)
            .header(AUTHORIZATION, &bearer)
            .header(CONTENT_TYPE, FORM)
            .body(Body::empty()),
    ];
    for request in accepted {
        assert_eq!(app.send(request.unwrap()).await.status, StatusCode::OK);
    }

    let in_query = format!("{PATH}?access_token={token}");
    let twice = format!("{form}&{form}");
    let refused = [
        Request::get(&in_query).body(Body::empty()),
        Request::get(&in_query)
            .header(AUTHORIZATION, &bearer)
            .body(Body::empty()),
        Request::get(format!("{PATH}?acc%65ss_token=x"))
            .header(AUTHORIZATION, &bearer)
            .body(Body::empty()),
        Request::post(&in_query)
            .header(CONTENT_TYPE, FORM)
            .body(Body::from(form.clone())),
        Request::post(PATH)
            .header(AUTHORIZATION, &bearer)
            .header(CONTENT_TYPE, FORM)
            .body(Body::from(form.clone())),
        Request::post(PATH)
            .header(CONTENT_TYPE, FORM)
            .body(Body::from(twice)),
        Request::get(PATH)
            .header(AUTHORIZATION, &bearer)
            .header(AUTHORIZATION, &bearer)
            .body(Body::empty()),
    ];
    for request in refused {
        let response = app.send(request.unwrap()).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    }

    // A form body of another media type is not read, and neither is the body of a GET.
    let unread = [
        Request::post(PATH)
            .header(CONTENT_TYPE, "text/plain")
            .body(Body::from(form.clone())),
        Request::get(PATH)
            .header(CONTENT_TYPE, FORM)
            .body(Body::from(form)),
    ];
    for request in unread {
        let response = app.send(request.unwrap()).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    }
}

/// 401 with a bare challenge without a token, 401 `invalid_token` for a bad one, 403 `insufficient_scope` without `openid`.
#[tokio::test]
async fn rule_58_refusals_carry_a_challenge() {
    let app = TestApp::with_shop_and_ada().await;
    for request in [
        Request::get(PATH),
        Request::get(PATH).header(AUTHORIZATION, "Basic eDp5"),
    ] {
        let response = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            response.header("www-authenticate"),
            Some(r#"Bearer realm="claviger", DPoP algs="RS256 PS256 ES256 EdDSA""#)
        );
    }
    assert_invalid_token(&app.userinfo("nonsense").await);

    let tokens = app.tokens("profile").await;
    let response = app.userinfo(access_token(&tokens)).await;
    response.assert_error(StatusCode::FORBIDDEN, "insufficient_scope");
    let challenge = response.header("www-authenticate").unwrap();
    assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
}

/// A token is refused from the second of its expiry.
#[tokio::test]
async fn rule_48_an_expired_access_token_is_refused() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    app.advance(Duration::from_secs(599));
    assert_eq!(app.userinfo(access_token(&tokens)).await.status, StatusCode::OK);
    app.advance(Duration::from_secs(1));
    assert_invalid_token(&app.userinfo(access_token(&tokens)).await);
}

/// An ID token is refused where an access token is wanted, and so is every opaque token.
#[tokio::test]
async fn rule_48_other_tokens_are_no_access_tokens() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    for other in ["id_token", "refresh_token"] {
        assert_invalid_token(&app.userinfo(tokens[other].as_str().unwrap()).await);
    }
    assert_eq!(app.userinfo(access_token(&tokens)).await.status, StatusCode::OK);
}

/// A token of another issuer is refused, although the same key signed it.
#[tokio::test]
async fn rule_48_a_token_of_another_issuer_is_refused() {
    let here = TestApp::with_shop_and_ada().await;
    let elsewhere = TestApp::with_issuer("https://other.example.org").await;
    elsewhere.register_client("shop", |_| ()).await;
    elsewhere.register_user("ada").await;
    let tokens = elsewhere.tokens("openid").await;
    assert_eq!(
        elsewhere.userinfo(access_token(&tokens)).await.status,
        StatusCode::OK
    );
    assert_invalid_token(&here.userinfo(access_token(&tokens)).await);
    assert_ne!(part(access_token(&tokens), 1)["iss"], ISSUER);
}

/// The algorithm is the key's and never the header's; `kid` is an opaque name; headers that bring a key are ignored and an
/// unknown `crit` is refused.
#[tokio::test]
async fn rule_49_a_forged_header_gains_nothing() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    let token = access_token(&tokens);
    let header = part(token, 0);
    let claims = part(token, 1);
    let signature = token.rsplit('.').next().unwrap();
    let with = |changes: Value| {
        let mut header = header.clone();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };

    for alg in ["none", "None", "NONE", "HS256", "RS256", "ES384", "ES256K", ""] {
        let signed_part = format!(
            "{}.{}",
            encode_part(&with(json!({"alg": alg}))),
            encode_part(&claims)
        );
        assert_invalid_token(&app.userinfo(&format!("{signed_part}.")).await);
        assert_invalid_token(&app.userinfo(&format!("{signed_part}.{signature}")).await);
    }

    // HS256 with the public key as secret.
    let keys = app.get("/.well-known/jwks.json").await;
    let signed_part = format!(
        "{}.{}",
        encode_part(&with(json!({"alg": "HS256"}))),
        encode_part(&claims)
    );
    for secret in [keys.body.clone(), keys.json()["keys"][0].to_string().into_bytes()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed_part.as_bytes()));
        assert_invalid_token(&app.userinfo(&format!("{signed_part}.{tag}")).await);
    }

    for changes in [
        json!({"kid": "../../etc/passwd"}),
        json!({"kid": "' OR 1=1 --"}),
        json!({"kid": ""}),
        json!({"kid": null}),
        json!({"crit": ["exp"]}),
        json!({"jku": "https://evil.example/jwks", "kid": "evil"}),
        json!({"jwk": {"kty": "oct", "k": "AA"}}),
        json!({"typ": "JWT"}),
        json!({"typ": "at+jwt; x"}),
    ] {
        let forged = format!(
            "{}.{}.{signature}",
            encode_part(&with(changes)),
            encode_part(&claims)
        );
        assert_invalid_token(&app.userinfo(&forged).await);
    }
}

/// A token with altered claims, a truncated or a padded one is refused: every prefix of it.
#[tokio::test]
async fn rule_54_an_altered_or_truncated_access_token_is_refused() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    let token = access_token(&tokens);
    let mut parts = token.split('.');
    let (header, _, signature) = (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    );
    let mut claims = part(token, 1);
    claims["sub"] = json!("subject-eve");
    let altered = format!("{header}.{}.{signature}", encode_part(&claims));
    assert_invalid_token(&app.userinfo(&altered).await);
    for length in 1..token.len() {
        assert_invalid_token(&app.userinfo(&token[..length]).await);
    }
    for padded in [
        format!("{token}="),
        format!("{token}."),
        format!("{token}A"),
        format!("{token}.{token}"),
    ] {
        assert_invalid_token(&app.userinfo(&padded).await);
    }
    assert_eq!(app.userinfo(token).await.status, StatusCode::OK);
}

/// Wrongly typed times fail, in a token that our own key signed.
#[tokio::test]
async fn rule_50_wrongly_typed_times_fail() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    let claims = part(access_token(&tokens), 1);
    let sign = |claims: &Value| {
        let algorithm = claviger::keyring::SigningAlgorithm::Es256;
        app.keyring.sign(algorithm, "at+jwt", claims, app.now()).unwrap()
    };
    assert_eq!(app.userinfo(&sign(&claims)).await.status, StatusCode::OK);
    for name in ["exp", "iat"] {
        let wrong = [
            json!(claims[name].to_string()),
            json!(null),
            json!(1e300),
            json!([claims[name]]),
            json!(true),
            json!(claims[name].as_f64().unwrap() + 0.5),
        ];
        for value in wrong {
            let mut claims = claims.clone();
            claims[name] = value;
            assert_invalid_token(&app.userinfo(&sign(&claims)).await);
        }
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        assert_invalid_token(&app.userinfo(&sign(&claims)).await);
    }
}

/// A person made again under the same name has another `sub`, and nothing of the old one opens anything.
#[tokio::test]
async fn rule_56_a_person_made_again_is_another_person() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    app.register_user_with("ada", |registration| {
        registration.user.uid = claviger::oidc::identifier::ResourceUid::new("uid-ada-made-again");
        registration.user.subject = claviger::oidc::identifier::Subject::new("uid-ada-made-again");
    })
    .await;
    assert_invalid_token(&app.userinfo(access_token(&tokens)).await);
}
