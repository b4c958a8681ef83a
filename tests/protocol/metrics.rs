//! What is counted while apps and browsers are answered.

use std::collections::BTreeSet;

use axum::body::Body;
use claviger::http::Settings;
use claviger::http::rate_limit::{Limit, RateLimits};
use http::{Method, Request, StatusCode};

use crate::app::{Issue, TestApp, basic, code_form, token_request};
use crate::faulty_store::Fault;

fn series(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series.to_owned())
        .collect()
}

/// Requests are counted by the pattern of their route, token requests by grant type and outcome.
#[tokio::test]
async fn requests_are_counted_by_route_and_token_requests_by_outcome() {
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let tokens = app.redeem("shop", &issued.code).await.json();
    let refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
    app.refresh("shop", &refresh_token).await;
    app.refresh("shop", &refresh_token).await;
    app.redeem("shop", &issued.code).await;
    app.send(token_request(Some(&basic("shop", "wrong")), &code_form("x")))
        .await;
    app.token("shop", &[("grant_type", "password")]).await;
    app.store.fail("client", Fault::Unavailable);
    app.redeem("shop", "clv_ac_x").await;
    app.store.heal();
    app.get("/.well-known/jwks.json?marked-query").await;

    let text = app.metrics.render();
    let expected = r#"
claviger_http_requests_total{method="POST",route="/api/token/v2",status="200"} 2
claviger_http_requests_total{method="POST",route="/api/token/v2",status="401"} 1
claviger_http_requests_total{method="POST",route="/api/token/v2",status="503"} 1
claviger_http_requests_total{method="GET",route="/.well-known/jwks.json",status="200"} 1
claviger_http_request_duration_seconds_count{method="POST",route="/api/token/v2"} 7
claviger_token_requests_total{grant_type="authorization_code",outcome="issued"} 1
claviger_token_requests_total{grant_type="authorization_code",outcome="invalid_grant"} 1
claviger_token_requests_total{grant_type="authorization_code",outcome="invalid_client"} 1
claviger_token_requests_total{grant_type="authorization_code",outcome="fault"} 1
claviger_token_requests_total{grant_type="refresh_token",outcome="issued"} 1
claviger_token_requests_total{grant_type="refresh_token",outcome="invalid_grant"} 1
claviger_token_requests_total{grant_type="unknown",outcome="unsupported_grant_type"} 1
"#;
    for line in expected.trim().lines() {
        assert!(text.lines().any(|told| told == line), "{line} in\n{text}");
    }
}

/// A token request that has to wait is counted as that.
#[tokio::test]
async fn a_token_request_that_is_limited_is_counted() {
    let app = TestApp::with_shop_and_ada().await.with_settings(Settings {
        rate_limits: RateLimits {
            client: Limit::new(1, 1),
            ..RateLimits::OFF
        },
        ..Settings::default()
    });
    let form = [("grant_type", "refresh_token"), ("refresh_token", "unknown")];
    app.token("shop", &form).await;
    let response = app.token("shop", &form).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    let text = app.metrics.render();
    let expected = r#"claviger_token_requests_total{grant_type="refresh_token",outcome="limited"} 1"#;
    assert!(text.lines().any(|told| told == expected), "{text}");
}

/// Whatever strangers send, metrics hold none of it and do not grow with it: no client id, no path, no method of theirs.
#[tokio::test]
async fn rule_89_labels_stay_bounded_under_hostile_input() {
    let app = TestApp::with_shop_and_ada().await;
    let attack = async |round: usize| {
        let method = Method::from_bytes(format!("MARKED{round}").as_bytes()).unwrap();
        for path in [
            "/",
            "/authorize",
            "/login",
            "/api/token/v2",
            "/api/userinfo",
            "/marked",
        ] {
            let request = Request::builder()
                .method(method.clone())
                .uri(format!("{path}?marked={round}"))
                .header("host", format!("marked-{round}.example.org"))
                .header("origin", format!("https://marked-{round}.example.org"))
                .body(Body::empty())
                .unwrap();
            app.send(request).await;
        }
        app.get(&format!("/marked-path-{round}/marked?marked-query"))
            .await;
        app.get(&format!(
            "/authorize?client_id=marked-{round}&redirect_uri=https://marked-{round}.example.org&response_type=code"
        ))
        .await;
        let marked = format!("marked\"}} 1\n{round}");
        let form = [("grant_type", marked.as_str()), ("client_id", marked.as_str())];
        app.send(token_request(Some(&basic("marked", &marked)), &form))
            .await;
        let answer = app.token("shop", &form[..1]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    };
    for round in 0..5 {
        attack(round).await;
    }
    let before = series(&app.metrics.render());
    for round in 5..300 {
        attack(round).await;
    }
    let text = app.metrics.render();
    assert_eq!(series(&text), before);
    assert!(!text.to_lowercase().contains("marked"), "{text}");
    assert!(!text.contains("team-a"), "{text}");
}
