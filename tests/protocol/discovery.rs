//! Discovery and JWKS.

use std::collections::BTreeSet;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::oidc::client::ClientAuthenticationMethod;
use claviger::oidc::client_assertion::TYPE;
use http::{Request, StatusCode};
use serde_json::json;

use crate::app::{ISSUER, TestApp, basic, client_request, secret};
use crate::client_keys::KEYS;
use crate::faulty_store::Fault;

const CONFIGURATION: &str = "/.well-known/openid-configuration";
const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
const JWKS: &str = "/.well-known/jwks.json";

/// The issuer comes from configuration, never from what a request says about hosts.
#[tokio::test]
async fn rule_55_the_issuer_is_the_configured_one_whatever_the_request_says() {
    let app = TestApp::new().await;
    let plain = app.get(CONFIGURATION).await;
    assert_eq!(plain.status, StatusCode::OK);
    assert_eq!(plain.json()["issuer"], ISSUER);
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "host=evil.example;proto=http"),
    ] {
        let request = Request::get(CONFIGURATION).header(name, value);
        let response = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.body, plain.body, "{name}");
    }
}

/// An issuer with a path: everything hangs under it, and the well-known part may also come before it (RFC 8414 section 3.1).
#[tokio::test]
async fn rule_55_an_issuer_with_a_path_answers_both_forms() {
    let issuer = "https://id.example.org/tenant/a";
    let app = TestApp::with_issuer(issuer).await;
    let under = app.get("/tenant/a/.well-known/openid-configuration").await;
    assert_eq!(under.json()["issuer"], issuer);
    for path in [
        "/tenant/a/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration/tenant/a",
        "/.well-known/oauth-authorization-server/tenant/a",
    ] {
        assert_eq!(app.get(path).await.body, under.body, "{path}");
    }
    for path in [
        CONFIGURATION,
        AUTHORIZATION_SERVER,
        JWKS,
        "/api/userinfo",
        "/tenant",
    ] {
        assert_eq!(app.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(
        app.get("/tenant/a/.well-known/jwks.json").await.status,
        StatusCode::OK
    );
}

/// What routers take for patterns is plain text in an issuer's path.
#[tokio::test]
async fn rule_55_an_issuer_path_is_no_pattern() {
    let app = TestApp::with_issuer("https://id.example.org/:a/*b").await;
    for path in [
        "/:a/*b/.well-known/openid-configuration",
        "/.well-known/openid-configuration/:a/*b",
    ] {
        assert_eq!(app.get(path).await.status, StatusCode::OK, "{path}");
    }
    let other = app.get("/x/y/.well-known/openid-configuration").await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

/// What claviger does not have, peers have had trouble with, or both, is advertised by nothing: session management by an
/// iframe, front-channel logout, registration of clients by themselves, token exchange.
#[tokio::test]
async fn rule_55_what_claviger_does_not_have_is_not_advertised() {
    let app = TestApp::new().await;
    let document = app.get(CONFIGURATION).await.json();
    for member in [
        "check_session_iframe",
        "frontchannel_logout_supported",
        "registration_endpoint",
        "service_documentation",
        "userinfo_signing_alg_values_supported",
        "id_token_encryption_alg_values_supported",
    ] {
        assert_eq!(document.get(member), None, "{member}");
    }
    let grant_types = document["grant_types_supported"].as_array().unwrap();
    for grant_type in [
        "implicit",
        "password",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ] {
        assert!(!grant_types.contains(&json!(grant_type)), "{grant_type}");
    }
}

/// Every endpoint that is advertised is there, and nothing is advertised that does not work.
#[tokio::test]
async fn rule_55_discovery_advertises_what_works() {
    let app = TestApp::new().await;
    let document = app.get(CONFIGURATION).await.json();
    assert_eq!(app.get(AUTHORIZATION_SERVER).await.json(), document);
    for (member, value) in [
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query", "form_post"])),
        (
            "grant_types_supported",
            json!([
                "authorization_code",
                "refresh_token",
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:device_code"
            ]),
        ),
        ("subject_types_supported", json!(["public", "pairwise"])),
        (
            "id_token_signing_alg_values_supported",
            json!(["RS256", "ES256", "PS256", "EdDSA"]),
        ),
        (
            "token_endpoint_auth_methods_supported",
            json!([
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
                "none"
            ]),
        ),
        (
            "revocation_endpoint_auth_methods_supported",
            json!([
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
                "none"
            ]),
        ),
        (
            "introspection_endpoint_auth_methods_supported",
            json!(["client_secret_basic", "client_secret_post", "private_key_jwt"]),
        ),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("request_parameter_supported", json!(true)),
        (
            "request_object_signing_alg_values_supported",
            json!(["RS256", "PS256", "ES256", "EdDSA"]),
        ),
        (
            "dpop_signing_alg_values_supported",
            json!(["RS256", "PS256", "ES256", "EdDSA"]),
        ),
        ("request_uri_parameter_supported", json!(false)),
        ("require_pushed_authorization_requests", json!(false)),
        (
            "prompt_values_supported",
            json!(["none", "login", "consent", "select_account"]),
        ),
        ("display_values_supported", json!(["page"])),
        ("ui_locales_supported", json!(["en"])),
        ("claims_parameter_supported", json!(true)),
        ("backchannel_logout_supported", json!(true)),
        ("backchannel_logout_session_supported", json!(true)),
        (
            "acr_values_supported",
            json!(["urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"]),
        ),
    ] {
        assert_eq!(document[member], value, "{member}");
    }
    for member in [
        "token_endpoint",
        "userinfo_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "pushed_authorization_request_endpoint",
        "device_authorization_endpoint",
        "jwks_uri",
        "authorization_endpoint",
        "end_session_endpoint",
    ] {
        let path = document[member].as_str().unwrap().strip_prefix(ISSUER).unwrap();
        assert_ne!(app.get(path).await.status, StatusCode::NOT_FOUND, "{member}");
    }
}

/// Every endpoint of the document answers, and every path of an endpoint that answers is in the document.
#[tokio::test]
async fn rule_55_every_endpoint_is_advertised_and_answers() {
    let app = TestApp::with_shop_and_ada().await;
    let document = app.get(AUTHORIZATION_SERVER).await.json();
    let advertised: BTreeSet<&str> = document
        .as_object()
        .unwrap()
        .iter()
        .filter(|(member, _)| member.ends_with("_endpoint") || *member == "jwks_uri")
        .map(|(_, url)| url.as_str().unwrap().strip_prefix(ISSUER).unwrap())
        .collect();
    assert!(advertised.len() >= 6, "{advertised:?}");
    for path in &advertised {
        assert_ne!(app.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in [
        "/authorize",
        JWKS,
        "/api/token/v2",
        "/api/userinfo",
        "/api/introspect",
        "/api/revoke",
        "/api/par",
        "/api/device",
        "/api/register",
    ] {
        let answers = app.get(path).await.status != StatusCode::NOT_FOUND;
        assert_eq!(answers, advertised.contains(path), "{path}");
    }
}

/// A grant type works exactly when it is advertised, and so does a way to authenticate, at each endpoint that has one.
#[tokio::test]
async fn rule_55_grant_types_and_methods_are_those_that_work() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("public", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.initial_secret_versions.clear();
    })
    .await;
    app.register_client("signing", |registration| {
        registration.client.token_endpoint_auth_methods =
            BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
        registration.client.jwks = KEYS.jwks();
    })
    .await;
    let document = app.get(AUTHORIZATION_SERVER).await.json();
    let lists = |member: &str, value: &str| {
        document[member]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one == value)
    };
    for grant_type in [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "implicit",
        "password",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:openid:params:grant-type:ciba",
    ] {
        let response = app.token("shop", &[("grant_type", grant_type)]).await;
        let exists = response.text().find("unsupported_grant_type").is_none();
        assert_eq!(exists, lists("grant_types_supported", grant_type), "{grant_type}");
    }
    let header = basic("shop", &secret("shop"));
    let right = secret("shop");
    let ways = [
        ("client_secret_basic", Some(header.as_str()), vec![]),
        (
            "client_secret_post",
            None,
            vec![("client_id", "team-a.shop"), ("client_secret", right.as_str())],
        ),
        ("none", None, vec![("client_id", "team-a.public")]),
    ];
    for endpoint in ["token", "revocation", "introspection"] {
        let path = document[format!("{endpoint}_endpoint")].as_str().unwrap();
        let path = path.strip_prefix(ISSUER).unwrap();
        let algorithms = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        for algorithm in ["RS256", "PS256", "ES256", "EdDSA", "HS256", "none"] {
            let now = app.now().as_second();
            let claims = json!({
                "iss": "team-a.signing", "sub": "team-a.signing", "aud": ISSUER, "exp": now + 60,
                "jti": format!("{endpoint} {algorithm}"),
            });
            let assertion = KEYS.sign(&json!({"alg": algorithm}), &claims);
            let form = [
                ("client_assertion_type", TYPE),
                ("client_assertion", assertion.as_str()),
                ("token", "x"),
                ("grant_type", "refresh_token"),
            ];
            let response = app.send(client_request(path, None, &form)).await;
            assert_eq!(
                response.status != StatusCode::UNAUTHORIZED,
                lists(&algorithms, algorithm),
                "{algorithm} at {path}"
            );
            assert!(lists(
                &format!("{endpoint}_endpoint_auth_methods_supported"),
                "private_key_jwt"
            ));
        }
        for (method, header, credentials) in &ways {
            let mut form = credentials.clone();
            form.extend([("token", "x"), ("grant_type", "refresh_token")]);
            let response = app.send(client_request(path, *header, &form)).await;
            let member = format!("{endpoint}_endpoint_auth_methods_supported");
            assert_eq!(
                response.status != StatusCode::UNAUTHORIZED,
                lists(&member, method),
                "{method} at {path}"
            );
        }
    }
}

/// Discovery and JWKS answer at once, without the store: before it is provisioned and while it is away.
#[tokio::test]
async fn rule_82_discovery_and_jwks_need_no_store() {
    let app = TestApp::unprovisioned(ISSUER);
    app.store.fail("*", Fault::Unavailable);
    for path in [CONFIGURATION, AUTHORIZATION_SERVER, JWKS] {
        let response = app.get(path).await;
        assert_eq!(response.status, StatusCode::OK, "{path}");
        assert_eq!(
            response.header("cache-control"),
            Some("public, max-age=3600"),
            "{path}"
        );
    }
}

/// The key set has public members only, unique `kid`s, `use` and `alg`; RSA keys have at least 2048 bits, EC keys are on
/// P-256.
#[tokio::test]
async fn rule_51_the_key_set_is_public_and_strong() {
    let app = TestApp::new().await;
    let response = app.get(JWKS).await;
    assert_eq!(response.header("content-type"), Some("application/jwk-set+json"));
    let set = response.json();
    let keys = set["keys"].as_array().unwrap();
    let mut kids = Vec::new();
    let mut algorithms = Vec::new();
    for key in keys {
        for (member, _) in key.as_object().unwrap() {
            let public = ["kty", "kid", "use", "alg", "key_ops", "n", "e", "crv", "x", "y"];
            assert!(public.contains(&member.as_str()), "{member}");
        }
        assert_eq!(key["use"], "sig");
        kids.push(key["kid"].as_str().unwrap());
        algorithms.push(key["alg"].as_str().unwrap());
        match key["kty"].as_str().unwrap() {
            "RSA" => {
                let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
                assert!(modulus.len() >= 256 && modulus[0] >= 0x80, "fewer than 2048 bits");
            }
            "EC" => assert_eq!(key["crv"], "P-256"),
            "OKP" => assert_eq!(key["crv"], "Ed25519"),
            other => panic!("a key of type {other}"),
        }
    }
    kids.sort_unstable();
    kids.dedup();
    assert_eq!(kids.len(), keys.len(), "a kid is repeated");
    algorithms.sort_unstable();
    algorithms.dedup();
    assert_eq!(algorithms, ["ES256", "EdDSA", "PS256", "RS256"]);
}
