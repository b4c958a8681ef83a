//! What is written to the log while apps are answered.

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use serde_json::Value;

use crate::app::{CODE_VERIFIER, Issue, TestApp, basic, code_form, encode, secret, token_request};
use crate::browser::{Browser, app_with_ada};
use crate::faulty_store::Fault;
use crate::log::Log;

/// No secret, code, token, verifier, header or query is written, whatever succeeds or fails, at any level.
#[tokio::test]
async fn rule_85_the_log_holds_no_secrets() {
    let (log, _guard) = Log::capture();
    let app = TestApp::with_shop_and_ada().await;
    let code = app.issue(Issue::default()).await.code;
    let tokens = app.redeem("shop", &code).await.json();
    let mut marked = vec![
        code.clone(),
        secret("shop"),
        CODE_VERIFIER.to_owned(),
        basic("shop", &secret("shop")),
    ];
    for name in ["access_token", "id_token", "refresh_token"] {
        let token = tokens[name].as_str().unwrap();
        marked.push(token.to_owned());
        // The header of a token tells nothing; each of the other parts does.
        marked.extend(token.split('.').skip(1).map(ToOwned::to_owned));
    }
    let access_token = tokens["access_token"].as_str().unwrap();
    assert_eq!(app.userinfo(access_token).await.status, StatusCode::OK);
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(app.refresh("shop", refresh_token).await.status, StatusCode::OK);

    // What fails may tempt to log more.
    app.refresh("shop", refresh_token).await;
    app.redeem("shop", &code).await;
    app.send(token_request(
        Some(&basic("shop", "marked-wrong-secret")),
        &code_form(&code),
    ))
    .await;
    let unknown = [
        ("grant_type", "marked-grant-type"),
        ("marked-name", "marked-value"),
    ];
    app.token("shop", &unknown).await;
    app.send(token_request(Some("Basic marked-header"), &unknown))
        .await;
    app.get(&format!("/api/userinfo?access_token={access_token}"))
        .await;
    app.get("/marked-path?marked-query").await;
    app.send(
        Request::post("/api/userinfo")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, "Bearer marked-bearer")
            .header("cookie", "marked-cookie")
            .body(Body::from(encode(&[("access_token", "marked-token")])))
            .unwrap(),
    )
    .await;
    app.store.fail("*", Fault::Unavailable);
    app.redeem("shop", &code).await;
    app.store.heal();

    let text = log.text();
    assert!(
        text.contains("the test took it away"),
        "the cause of a fault is not logged"
    );
    for secret in &marked {
        assert!(!text.contains(secret.as_str()), "{secret} is in the log");
    }
    assert!(!text.contains("marked-"), "raw input is in the log");
}

/// Every line of a request carries its id, the one that the response has, and a failure is logged once, with its cause and
/// the route's pattern.
#[tokio::test]
async fn rule_85_a_failure_is_one_line_with_the_requests_id() {
    let (log, _guard) = Log::capture();
    let app = TestApp::with_shop_and_ada().await;
    app.store.fail("client", Fault::Unavailable);
    let response = app.redeem("shop", "clv_ac_x").await;
    let id = response.header("x-request-id").unwrap();
    let lines = log.lines();
    let failures: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    let fields = &failures[0]["fields"];
    assert_eq!(fields["path"], "/api/token/v2");
    assert_eq!(fields["method"], "POST");
    assert_eq!(fields["status"], 503);
    assert_eq!(
        fields["cause"],
        "failed to look up a client: the store is unavailable: the test took it away"
    );
    assert_eq!(failures[0]["span"]["request_id"], id);
}

/// A refusal that the browser takes to the app is a line too, with its reason, for the redirect and the form alike: few apps
/// show what they are told.
#[tokio::test]
async fn a_refusal_that_goes_to_the_app_is_logged_with_its_reason() {
    let (log, _guard) = Log::capture();
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    for (mode, status) in [("query", 303), ("form_post", 200)] {
        let missing = ("code_challenge", "");
        let response = browser.authorize(&[missing, ("response_mode", mode)]).await;
        let id = response.header("x-request-id").unwrap();
        let lines = log.lines();
        let line = lines
            .iter()
            .find(|line| line["fields"]["message"] == "request refused" && line["span"]["request_id"] == id)
            .unwrap_or_else(|| panic!("no line for {mode}: {lines:?}"));
        assert_eq!(line["level"], "INFO");
        let fields = &line["fields"];
        assert_eq!(
            (&fields["path"], &fields["status"]),
            (&"/authorize".into(), &status.into())
        );
        let cause = fields["cause"].as_str().unwrap();
        assert!(cause.starts_with("invalid_request: "), "{cause}");
        assert!(cause.contains("code_challenge"), "{cause}");
    }
}

/// No input forges a line: whatever holds line breaks or terminal codes.
#[tokio::test]
async fn rule_86_no_input_forges_a_line() {
    let (log, _guard) = Log::capture();
    let app = TestApp::with_shop_and_ada().await;
    let forged = "x\r\n{\"level\":\"ERROR\",\"forged\":true}\n\u{1b}[31m";
    for name in [
        "client_id",
        "grant_type",
        "code",
        "redirect_uri",
        "scope",
        "refresh_token",
        forged,
    ] {
        let mut form = code_form("clv_ac_x").to_vec();
        form.push((name, forged));
        app.token("shop", &form).await;
        app.send(token_request(None, &form)).await;
    }
    app.get("/%0d%0aforged").await;
    assert!(!log.lines().is_empty());
    assert!(!log.text().contains("forged"));
}

/// Redemption, refresh, replay, reuse and failed authentication are audit events, with ids and nothing else.
#[tokio::test]
async fn rule_87_what_happens_to_grants_is_audited() {
    let (log, _guard) = Log::capture();
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let tokens = app.redeem("shop", &issued.code).await.json();
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    app.refresh("shop", refresh_token).await;
    app.refresh("shop", refresh_token).await;
    app.redeem("shop", &issued.code).await;
    app.send(token_request(
        Some(&basic("shop", "wrong")),
        &code_form("clv_ac_x"),
    ))
    .await;
    app.send(token_request(
        Some(&basic("nobody", "wrong")),
        &code_form("clv_ac_x"),
    ))
    .await;

    let events = log.audit();
    let names: Vec<_> = events
        .iter()
        .map(|line| line["fields"]["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "code_redeemed",
            "refreshed",
            "refresh_token_reused_grant_revoked",
            "code_replayed_grant_revoked",
            "client_authentication_failed",
            "client_authentication_failed",
        ]
    );
    let grant = issued.grant.as_str();
    for event in &events[..4] {
        assert_eq!(event["fields"]["client_id"], "team-a.shop");
        assert_eq!(event["fields"]["grant"], grant);
        assert!(event["span"]["request_id"].is_string());
    }
    assert_eq!(events[0]["fields"]["subject"], "subject-ada");
    assert_eq!(events[4]["fields"]["client_id"], "team-a.shop");
    assert_eq!(events[5]["fields"]["client_id"], Value::Null);
}

/// Every request is one line with method, route, status, duration and id, whatever came of it, and no line has a query.
#[tokio::test]
async fn every_request_is_one_line() {
    let (log, _guard) = Log::capture();
    let app = TestApp::with_shop_and_ada().await;
    let mut expected = Vec::new();
    for (path, route, status, level) in [
        ("/.well-known/jwks.json", "/.well-known/jwks.json", 200, "DEBUG"),
        ("/", "/", 200, "DEBUG"),
        ("/authorize?marked-query", "/authorize", 400, "INFO"),
        ("/api/token/v2?marked-query", "/api/token/v2", 405, "INFO"),
        ("/api/userinfo", "/api/userinfo", 401, "INFO"),
        ("/marked-path", "(no route)", 404, "INFO"),
    ] {
        let response = app.get(path).await;
        assert_eq!(response.status.as_u16(), status, "{path}");
        let id = response.header("x-request-id").unwrap().to_owned();
        expected.push((id, route, status, level));
    }
    let lines = log.lines();
    let access: Vec<_> = lines
        .iter()
        .filter(|line| line["fields"]["microseconds"].is_u64())
        .collect();
    assert_eq!(access.len(), expected.len(), "{access:#?}");
    for (line, (id, route, status, level)) in access.into_iter().zip(expected) {
        assert_eq!(line["level"], level, "{line}");
        assert_eq!(line["span"]["request_id"], id, "{line}");
        assert_eq!(line["fields"]["method"], "GET", "{line}");
        assert_eq!(line["fields"]["path"], route, "{line}");
        assert_eq!(line["fields"]["status"], status, "{line}");
    }
    assert!(!log.text().contains("marked"));
}
