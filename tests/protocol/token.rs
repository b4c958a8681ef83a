//! The token endpoint: its form, what it gives out, and what is common to all grant types.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use claviger::oidc::grant_type::GrantType;
use claviger::provider::client_request::AUTHENTICATION_PARAMETERS;
use claviger::provider::token::PARAMETERS;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use serde_json::json;

use crate::app::{ISSUER, Issue, TestApp, basic, code_form, encode, secret, token_request};
use crate::jwt::{members, verified};

const PATH: &str = "/api/token/v2";

/// Only POST, only a form, nothing in the query.
#[tokio::test]
async fn rule_24_only_a_posted_form_is_read() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let form = code_form(&issued.code);
    let authorization = basic("shop", &secret("shop"));
    let request = |method: Method, uri: &str, content_type: &str, body: String| {
        Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", &authorization)
            .header(CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .unwrap()
    };
    let form_type = "application/x-www-form-urlencoded";

    let in_query = format!("{PATH}?{}", encode(&form));
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        let response = app
            .send(request(method, &in_query, form_type, String::new()))
            .await;
        response.assert_error(StatusCode::METHOD_NOT_ALLOWED, "invalid_request");
        assert!(response.header("allow").unwrap().contains("POST"));
    }
    let refused = [
        request(Method::POST, &in_query, form_type, String::new()),
        request(
            Method::POST,
            &format!("{PATH}?code={}", issued.code),
            form_type,
            encode(&form),
        ),
        request(
            Method::POST,
            PATH,
            "application/json",
            json!({"grant_type": "authorization_code", "code": issued.code}).to_string(),
        ),
        request(Method::POST, PATH, "text/plain", encode(&form)),
        request(
            Method::POST,
            PATH,
            "multipart/form-data; boundary=x",
            encode(&form),
        ),
    ];
    for request in refused {
        let response = app.send(request).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    }
    // None of these touched the code, and a charset does not matter.
    let accepted = request(
        Method::POST,
        PATH,
        "application/x-www-form-urlencoded; charset=UTF-8",
        encode(&form),
    );
    assert_eq!(app.send(accepted).await.status, StatusCode::OK);
}

/// No response of the endpoint is stored by caches (errors: see `assert_error`, which every test uses).
#[tokio::test]
async fn rule_25_tokens_are_never_cached() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let response = app.redeem("shop", &issued.code).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("pragma"), Some("no-cache"));
    assert_eq!(response.header("content-type"), Some("application/json"));
}

/// A repeated parameter is `invalid_request`, whatever it is: those by which a client authenticates, which every endpoint of
/// theirs has, and the endpoint's own.
#[tokio::test]
async fn rule_06_a_repeated_parameter_is_refused() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let sent = code_form(&issued.code);
    for name in AUTHENTICATION_PARAMETERS.into_iter().chain(PARAMETERS) {
        let value = match sent.iter().find(|(sent, _)| *sent == name) {
            Some((_, value)) => value,
            None if name == "client_id" => "team-a.shop",
            None => "openid",
        };
        let mut form = sent.to_vec();
        form.extend([(name, value), (name, value)]);
        let error = app.token("shop", &form).await;
        error.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
        let description = error.json()["error_description"].to_string();
        assert!(
            description.contains(name) && description.contains("repeated"),
            "{name}: {description}"
        );
    }
    assert_eq!(app.redeem("shop", &issued.code).await.status, StatusCode::OK);
}

/// Unknown parameters are ignored, and an empty value counts as absent.
#[tokio::test]
async fn rule_07_unknown_parameters_are_ignored_and_empty_ones_absent() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let mut form = code_form(&issued.code).to_vec();
    form.extend([("unknown", "a"), ("unknown", "b"), ("scope", ""), ("scope", "")]);
    assert_eq!(app.token("shop", &form).await.status, StatusCode::OK);

    for missing in ["grant_type", "code", "redirect_uri"] {
        let mut form = code_form("clv_ac_x").to_vec();
        for (name, value) in &mut form {
            if *name == missing {
                *value = "";
            }
        }
        let response = app.token("shop", &form).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    }
}

/// A client uses only the grant types that it registered.
#[tokio::test]
async fn rule_33_a_grant_type_that_the_client_did_not_register_is_refused() {
    let app = TestApp::with_shop_and_ada().await;
    let refresh_token = app.tokens("openid").await["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    app.register_client("shop", |registration| {
        registration.client.grant_types = BTreeSet::from([GrantType::AuthorizationCode]);
    })
    .await;
    let response = app.refresh("shop", &refresh_token).await;
    response.assert_error(StatusCode::BAD_REQUEST, "unauthorized_client");

    // Without the grant type there is no refresh token either.
    let tokens = app.tokens("openid offline_access").await;
    assert!(tokens.get("refresh_token").is_none());

    app.register_client("shop", |registration| {
        registration.client.grant_types = BTreeSet::from([GrantType::RefreshToken]);
    })
    .await;
    let issued = app.issue(Issue::default()).await;
    let response = app.redeem("shop", &issued.code).await;
    response.assert_error(StatusCode::BAD_REQUEST, "unauthorized_client");
}

/// `password`, implicit and grants of others do not exist.
#[tokio::test]
async fn rule_34_other_grant_types_do_not_exist() {
    let app = TestApp::with_shop_and_ada().await;
    for grant_type in [
        "password",
        "implicit",
        "token",
        "CLIENT_CREDENTIALS",
        "urn:ietf:params:oauth:grant-type:DEVICE_CODE",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "AUTHORIZATION_CODE",
        "authorization_code ",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ] {
        let form = [("grant_type", grant_type), ("username", "ada"), ("password", "x")];
        let response = app.token("shop", &form).await;
        response.assert_error(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
}

/// The ID token: `iss` as in discovery, `aud` the client, `exp`, `iat`, `nonce`; no claims about the person but `groups`,
/// which has a scope of its own; signed with RS256.
#[tokio::test]
async fn rule_46_the_id_token_says_what_it_must_and_no_more() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid profile email").await;
    let (header, claims) = verified(&app, tokens["id_token"].as_str().unwrap()).await;
    assert_eq!(header.alg, jsonwebtoken::Algorithm::RS256);
    assert_eq!(
        members(&claims),
        [
            "acr", "amr", "at_hash", "aud", "exp", "iat", "iss", "nonce", "sid", "sub"
        ]
    );
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], "team-a.shop");
    assert_eq!(claims["sub"], "subject-ada");
    assert_eq!(claims["nonce"], "nonce");
    let now = app.now().as_second();
    assert_eq!(claims["iat"], now);
    assert_eq!(claims["exp"], now + 3600);

    let tokens = app.tokens("openid groups").await;
    let (_, claims) = verified(&app, tokens["id_token"].as_str().unwrap()).await;
    assert_eq!(claims["groups"], json!(["staff"]));
}

/// `auth_time` is there when it was asked for, and stays that of the sign-in at every refresh; `nonce` does not.
#[tokio::test]
async fn rule_46_auth_time_is_the_time_of_the_sign_in() {
    let app = TestApp::with_shop_and_ada().await;
    let signed_in = app.now().as_second();
    let issued = app
        .issue(Issue {
            auth_time_requested: true,
            ..Issue::default()
        })
        .await;
    app.advance(Duration::from_secs(30));
    let tokens = app.redeem("shop", &issued.code).await.json();
    let (_, claims) = verified(&app, tokens["id_token"].as_str().unwrap()).await;
    assert_eq!(claims["auth_time"], signed_in);
    assert_eq!(claims["iat"], signed_in + 30);

    app.advance(Duration::from_secs(30));
    let tokens = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await
        .json();
    let (_, claims) = verified(&app, tokens["id_token"].as_str().unwrap()).await;
    assert_eq!(
        members(&claims),
        [
            "acr",
            "amr",
            "at_hash",
            "aud",
            "auth_time",
            "exp",
            "iat",
            "iss",
            "sid",
            "sub"
        ]
    );
    assert_eq!(claims["auth_time"], signed_in);
    assert_eq!(claims["iat"], signed_in + 60);
}

/// ID tokens and access tokens are signed as the client registered it, and userinfo takes the access tokens of every
/// algorithm.
#[tokio::test]
async fn a_client_chooses_how_its_tokens_are_signed() {
    use claviger::oidc::signing_algorithm::SigningAlgorithm;
    let app = TestApp::with_shop_and_ada().await;
    for (algorithm, name) in [
        (SigningAlgorithm::Rs256, jsonwebtoken::Algorithm::RS256),
        (SigningAlgorithm::Es256, jsonwebtoken::Algorithm::ES256),
        (SigningAlgorithm::Ps256, jsonwebtoken::Algorithm::PS256),
        (SigningAlgorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
    ] {
        app.register_client("shop", |registration| {
            registration.client.signing.id_token = algorithm;
        })
        .await;
        app.register_client("api", |registration| {
            registration.client.signing.access_token = algorithm;
        })
        .await;
        for (client, id_token, access_token) in [
            ("shop", name, jsonwebtoken::Algorithm::ES256),
            ("api", jsonwebtoken::Algorithm::RS256, name),
        ] {
            let issued = app
                .issue(Issue {
                    client,
                    ..Issue::default()
                })
                .await;
            let tokens = app.redeem(client, &issued.code).await.json();
            let (header, _) = verified(&app, tokens["id_token"].as_str().unwrap()).await;
            assert_eq!(header.alg, id_token);
            let token = tokens["access_token"].as_str().unwrap();
            let (header, _) = verified(&app, token).await;
            assert_eq!(header.alg, access_token);
            assert_eq!(app.userinfo(token).await.status, StatusCode::OK);
        }
    }
}

/// Without the scope `openid` there is no ID token.
#[tokio::test]
async fn rule_46_without_openid_there_is_no_id_token() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("profile").await;
    assert!(tokens.get("id_token").is_none());
    assert_eq!(tokens["scope"], "profile");
}

/// The access token is a JWT of RFC 9068, signed with ES256.
#[tokio::test]
async fn rule_48_the_access_token_is_an_at_jwt() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let tokens = app.redeem("shop", &issued.code).await.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 600);
    assert_eq!(tokens["scope"], "openid profile");
    let (header, claims) = verified(&app, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(header.alg, jsonwebtoken::Algorithm::ES256);
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(
        members(&claims),
        [
            "aud",
            "auth_time",
            "client_id",
            "exp",
            "iat",
            "iss",
            "jti",
            "scope",
            "sub"
        ]
    );
    let now = app.now().as_second();
    let jti = claims["jti"].as_str().unwrap();
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "sub": "subject-ada", "aud": ISSUER, "client_id": "team-a.shop",
            "scope": "openid profile", "iat": now, "exp": now + 600, "jti": jti, "auth_time": now,
        })
    );
    assert!(jti.starts_with(&format!("{}.", issued.grant)));

    let again = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await
        .json();
    let (_, again) = verified(&app, again["access_token"].as_str().unwrap()).await;
    assert_ne!(again["jti"], jti, "a jti is unique");
}

/// An access token does not outlive its grant.
#[tokio::test]
async fn rule_48_an_access_token_ends_with_its_grant() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.lifetimes.refresh_token = Duration::from_mins(5);
    })
    .await;
    let tokens = app.tokens("openid").await;
    assert_eq!(tokens["expires_in"], 300);
    let (_, claims) = verified(&app, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(claims["exp"], app.now().as_second() + 300);
}

/// A scope that the client lost since the person agreed is not given any more.
#[tokio::test]
async fn rule_35_a_scope_that_the_client_lost_is_gone() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid profile groups").await;
    app.register_client("shop", |registration| {
        registration.client.scopes = ["openid", "profile"].into_iter().collect();
    })
    .await;
    let tokens = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(tokens["scope"], "openid profile");
    let (_, claims) = verified(&app, tokens["id_token"].as_str().unwrap()).await;
    assert!(claims.get("groups").is_none());
}

/// Codes, refresh tokens, session ids and interaction handles hold 256 bits behind the prefix of their kind; none passes
/// for another, and a truncated, padded or altered one passes for nothing.
#[tokio::test]
async fn rule_54_each_kind_of_opaque_token_is_its_own() {
    let app = TestApp::with_shop_and_ada().await;
    let code = app.issue(Issue::default()).await.code;
    let refresh_token = app.tokens("openid").await["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(code.strip_prefix("clv_ac_").unwrap().len(), 43);
    assert_eq!(refresh_token.strip_prefix("clv_rt_").unwrap().len(), 43);

    let mut wrong = Vec::new();
    for (token, own, others) in [
        (&code, "clv_ac_", ["clv_rt_", "clv_se_", "clv_in_", "clv_br_", ""]),
        (
            &refresh_token,
            "clv_rt_",
            ["clv_ac_", "clv_se_", "clv_in_", "clv_br_", ""],
        ),
    ] {
        wrong.extend((1..token.len()).map(|length| token[..length].to_owned()));
        wrong.extend(["=", "A", " ", "\0", "\n"].map(|padding| format!("{token}{padding}")));
        wrong.extend(others.map(|other| token.replace(own, other)));
        wrong.push(token.to_uppercase());
    }
    for text in &wrong {
        let response = app.redeem("shop", text).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
        let response = app.refresh("shop", text).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    for response in [
        app.redeem("shop", &refresh_token).await,
        app.refresh("shop", &code).await,
    ] {
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    assert_eq!(app.redeem("shop", &code).await.status, StatusCode::OK);
    assert_eq!(app.refresh("shop", &refresh_token).await.status, StatusCode::OK);
}

/// A client whose resource was deleted and made again under the same name is a new client: codes and tokens of the old one
/// are dead.
#[tokio::test]
async fn rule_56_a_client_made_again_is_another_client() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid offline_access").await;
    let issued = app.issue(Issue::default()).await;
    app.register_client("shop", |registration| {
        registration.client.uid = claviger::oidc::identifier::ResourceUid::new("uid-shop-made-again");
    })
    .await;
    let response = app.redeem("shop", &issued.code).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    let response = app
        .refresh("shop", tokens["refresh_token"].as_str().unwrap())
        .await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    let response = app.userinfo(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
}

/// A header that comes twice is refused rather than half read.
#[tokio::test]
async fn rule_29_two_authorization_headers_are_refused() {
    let app = TestApp::with_shop_and_ada().await;
    let mut request = token_request(Some(&basic("shop", &secret("shop"))), &code_form("clv_ac_x"));
    request
        .headers_mut()
        .append("authorization", basic("other", "x").parse().unwrap());
    let response = app.send(request).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
}
