//! Cross-origin reads.

use axum::body::Body;
use http::header::{AUTHORIZATION, ORIGIN};
use http::{Method, Request, StatusCode};

use crate::app::{Issue, TestApp, TestResponse, basic, code_form, secret, token_request};

const OWN: &str = "https://app.example.org";
const OTHER: &str = "https://other.example.org";

async fn app() -> TestApp {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.allowed_origins = vec![OWN.to_owned()];
    })
    .await;
    app.register_client("other", |registration| {
        registration.client.allowed_origins = vec![OTHER.to_owned()];
    })
    .await;
    app
}

async fn preflight(app: &TestApp, path: &str, origin: &str) -> TestResponse {
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri(path)
        .header(ORIGIN, origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    app.send(request.body(Body::empty()).unwrap()).await
}

fn allowed(response: &TestResponse) -> Option<&str> {
    assert_eq!(response.header("access-control-allow-credentials"), None);
    response.header("access-control-allow-origin")
}

/// Discovery and JWKS: any origin, without credentials.
#[tokio::test]
async fn rule_79_documents_are_for_every_origin() {
    let app = app().await;
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
    ] {
        assert_eq!(allowed(&app.get(path).await), Some("*"));
        let response = preflight(&app, path, "https://anyone.example").await;
        assert_eq!(
            (response.status, allowed(&response)),
            (StatusCode::NO_CONTENT, Some("*"))
        );
    }
}

/// A preflight is granted to origins that some client registered, byte for byte.
#[tokio::test]
async fn rule_79_a_preflight_is_for_registered_origins() {
    let app = app().await;
    app.register_client("suspended", |registration| {
        registration.client.allowed_origins = vec!["https://suspended.example.org".to_owned()];
        registration.client.suspended = true;
    })
    .await;
    for path in ["/api/token/v2", "/api/revoke", "/api/userinfo"] {
        for origin in [OWN, OTHER] {
            let response = preflight(&app, path, origin).await;
            assert_eq!(
                (response.status, allowed(&response)),
                (StatusCode::NO_CONTENT, Some(origin))
            );
            assert_eq!(
                response.header("access-control-allow-headers"),
                Some("authorization, content-type, dpop")
            );
            assert_eq!(response.header("vary"), Some("origin"));
        }
        for origin in [
            "null",
            "https://evil.example",
            "https://app.example.org.evil.example",
            "https://APP.example.org",
            "http://app.example.org",
            "https://app.example.org/",
            "https://app.example.org:8443",
            "https://suspended.example.org",
        ] {
            let response = preflight(&app, path, origin).await;
            assert_eq!(
                (response.status, allowed(&response)),
                (StatusCode::NO_CONTENT, None),
                "{origin}"
            );
            assert_eq!(response.header("access-control-allow-methods"), None);
        }
    }
}

/// An answer of the token endpoint can be read by the origins of the very client that asked, errors included; as long as no
/// client is authenticated, by none.
#[tokio::test]
async fn rule_79_tokens_are_for_the_origins_of_that_client() {
    let app = app().await;
    let request = |secret: &str, code: &str, origin: &str| {
        let mut request = token_request(Some(&basic("shop", secret)), &code_form(code));
        request.headers_mut().insert(ORIGIN, origin.parse().unwrap());
        request
    };
    let right = secret("shop");
    let code = app.issue(Issue::default()).await.code;
    for (secret, origin, expected) in [
        (right.as_str(), OWN, Some(OWN)),
        (right.as_str(), OTHER, None),
        (right.as_str(), "null", None),
        ("wrong", OWN, None),
    ] {
        let response = app.send(request(secret, "clv_ac_x", origin)).await;
        assert_ne!(response.status, StatusCode::OK);
        assert_eq!(allowed(&response), expected, "{origin}");
        assert_eq!(response.header("vary"), Some("origin"));
    }
    let response = app.send(request(&right, &code, OWN)).await;
    assert_eq!((response.status, allowed(&response)), (StatusCode::OK, Some(OWN)));
    assert_eq!(allowed(&app.redeem("shop", &code).await), None);
}

/// Userinfo can be read by the origins of the client that the token was issued to.
#[tokio::test]
async fn rule_79_userinfo_is_for_the_origins_of_the_tokens_client() {
    let app = app().await;
    let tokens = app.tokens("openid").await;
    for (token, origin, expected) in [
        (tokens["access_token"].as_str().unwrap(), OWN, Some(OWN)),
        (tokens["access_token"].as_str().unwrap(), OTHER, None),
        ("nonsense", OWN, None),
    ] {
        let request = Request::get("/api/userinfo")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(ORIGIN, origin);
        let response = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(allowed(&response), expected, "{origin}");
    }
}

/// The authorization endpoint has no CORS headers, for nobody.
#[tokio::test]
async fn rule_79_the_authorization_endpoint_has_none() {
    let app = app().await;
    let response = preflight(&app, "/authorize", OWN).await;
    assert_eq!(allowed(&response), None);
    let request = Request::get("/authorize?client_id=team-a.shop").header(ORIGIN, OWN);
    let response = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(allowed(&response), None);
}
