//! The revocation endpoint.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use claviger::oidc::client::ClientAuthenticationMethod;
use http::header::{CONTENT_TYPE, ORIGIN};
use http::{Request, StatusCode};
use serde_json::Value;

use crate::app::{Issue, TestApp, TestResponse, basic, client_request, code_form, secret, token_request};
use crate::faulty_store::Fault;
use crate::log::Log;

const PATH: &str = "/api/revoke";

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

#[track_caller]
fn assert_done(response: &TestResponse) {
    assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    assert_eq!(response.text(), "");
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

async fn is_alive(app: &TestApp, tokens: &Value) -> bool {
    let userinfo = app.userinfo(text(tokens, "access_token")).await;
    userinfo.status == StatusCode::OK
}

/// Whichever token of a grant is presented, the grant ends: its refresh tokens, and its access tokens at userinfo, also
/// those that other refreshes gave. Another grant of the same person to the same app stays.
#[tokio::test]
async fn rule_60_a_revoked_token_ends_its_grant() {
    for name in ["refresh_token", "access_token"] {
        for spent in [false, true] {
            let app = TestApp::with_shop_and_ada().await;
            let first = app.tokens("openid offline_access").await;
            let second = app.refresh("shop", text(&first, "refresh_token")).await.json();
            let other = app.tokens("openid").await;
            let presented = if spent { &first } else { &second };
            assert_done(&app.revoke("shop", text(presented, name)).await);

            for tokens in [&first, &second] {
                assert!(!is_alive(&app, tokens).await, "{name}");
            }
            let refreshed = app.refresh("shop", text(&second, "refresh_token")).await;
            refreshed.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
            assert!(is_alive(&app, &other).await);
        }
    }
}

/// Unknown, malformed, expired and revoked tokens are answered with 200, since they are as dead as was asked for.
#[tokio::test]
async fn rule_60_a_dead_token_is_no_error() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    let live = app.tokens("openid offline_access").await;
    let unknown = format!("clv_rt_{}", "A".repeat(43));
    let forged = format!("{}A", text(&live, "access_token"));
    for token in ["nonsense", unknown.as_str(), &forged, "a.b.c", "clv_rt_"] {
        assert_done(&app.revoke("shop", token).await);
    }
    for _ in 0..2 {
        assert_done(&app.revoke("shop", text(&tokens, "refresh_token")).await);
        assert_done(&app.revoke("shop", text(&tokens, "access_token")).await);
    }
    assert!(is_alive(&app, &live).await);
    app.advance(Duration::from_mins(10));
    assert_done(&app.revoke("shop", text(&live, "access_token")).await);
    let refreshed = app.refresh("shop", text(&live, "refresh_token")).await;
    assert_eq!(
        refreshed.status,
        StatusCode::OK,
        "an expired access token ended it"
    );
}

/// A token of another client is refused and stays as it is, whether the client has a secret or not.
#[tokio::test]
async fn rule_60_the_token_of_another_client_is_untouched() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("thief", |_| ()).await;
    app.register_client("public", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.initial_secret_versions.clear();
    })
    .await;
    let tokens = app.tokens("openid").await;
    for name in ["refresh_token", "access_token"] {
        let token = text(&tokens, name);
        let response = app.revoke("thief", token).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
        let form = [("client_id", "team-a.public"), ("token", token)];
        let response = app.send(client_request(PATH, None, &form)).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    assert!(is_alive(&app, &tokens).await);
    let refreshed = app.refresh("shop", text(&tokens, "refresh_token")).await;
    assert_eq!(refreshed.status, StatusCode::OK);
}

/// A public client revokes its own tokens by its id alone; nobody revokes anything without a client, with a wrong secret,
/// or as a client that has one and does not show it (rule 33).
#[tokio::test]
async fn rule_33_whose_tokens_may_be_revoked_is_known() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("public", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.initial_secret_versions.clear();
    })
    .await;
    let issued = app
        .issue(Issue {
            client: "public",
            ..Issue::default()
        })
        .await;
    let mut form = code_form(&issued.code).to_vec();
    form.push(("client_id", "team-a.public"));
    let public = app.send(token_request(None, &form)).await.json();
    let tokens = app.tokens("openid").await;
    let token = text(&tokens, "refresh_token");
    let wrong = basic("shop", "wrong");
    for (authorization, form) in [
        (None, vec![("token", token)]),
        (None, vec![("token", token), ("client_id", "team-a.shop")]),
        (Some(wrong.as_str()), vec![("token", token)]),
        (Some("Bearer x"), vec![("token", token)]),
    ] {
        let response = app.send(client_request(PATH, authorization, &form)).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
        assert_eq!(
            response.header("www-authenticate").is_some(),
            authorization.is_some()
        );
    }
    assert!(is_alive(&app, &tokens).await);

    let form = [
        ("token", text(&public, "refresh_token")),
        ("client_id", "team-a.public"),
    ];
    assert_done(&app.send(client_request(PATH, None, &form)).await);
    assert!(!is_alive(&app, &public).await);
}

/// `token_type_hint` is a hint: right, wrong or unknown, the answer is the same.
#[tokio::test]
async fn rule_60_a_wrong_hint_changes_nothing() {
    let app = TestApp::with_shop_and_ada().await;
    for hint in ["refresh_token", "access_token", "nonsense"] {
        for name in ["refresh_token", "access_token"] {
            let tokens = app.tokens("openid").await;
            let form = [("token", text(&tokens, name)), ("token_type_hint", hint)];
            assert_done(&app.ask(PATH, "shop", &form).await);
            assert!(!is_alive(&app, &tokens).await, "{name} as {hint}");
        }
    }
}

/// An ID token and an authorization code are no tokens that can be revoked, and the client is told so; an ID token that
/// somebody else made is nonsense.
#[tokio::test]
async fn rule_60_other_kinds_cannot_be_revoked() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    let issued = app.issue(Issue::default()).await;
    for other in [text(&tokens, "id_token"), &issued.code] {
        let response = app.revoke("shop", other).await;
        response.assert_error(StatusCode::BAD_REQUEST, "unsupported_token_type");
    }
    assert_done(
        &app.revoke("shop", &format!("{}A", text(&tokens, "id_token")))
            .await,
    );
    assert!(is_alive(&app, &tokens).await);
    assert_eq!(app.redeem("shop", &issued.code).await.status, StatusCode::OK);
}

/// A store that is away is 503 and never 200: whoever asks must know that nothing was revoked.
#[tokio::test]
async fn rule_60_a_store_that_is_away_is_503() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    for (name, operations) in [
        ("refresh_token", ["*", "client", "refresh_token", "revoke_grant"]),
        ("access_token", ["*", "client", "live_grant", "revoke_grant"]),
    ] {
        for operation in operations {
            app.store.fail(operation, Fault::Unavailable);
            let response = app.revoke("shop", text(&tokens, name)).await;
            response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
            app.store.heal();
            assert!(is_alive(&app, &tokens).await, "{operation}");
        }
    }
}

/// POST of a form, with nothing in the query and no parameter twice, as at the token endpoint (rules 6 and 24).
#[tokio::test]
async fn rule_24_revocation_is_the_post_of_a_form() {
    let app = TestApp::with_shop_and_ada().await;
    let tokens = app.tokens("openid").await;
    let token = text(&tokens, "refresh_token");
    assert_eq!(app.get(PATH).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let in_query = client_request(
        &format!("{PATH}?token={token}"),
        Some(&basic("shop", &secret("shop"))),
        &[],
    );
    let json = Request::post(PATH)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(format!(r#"{{"token":"{token}"}}"#)))
        .unwrap();
    for request in [in_query, json] {
        let response = app.send(request).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    }
    for form in [
        vec![],
        vec![("token", "")],
        vec![("token", token), ("token", token)],
        vec![
            ("token", token),
            ("token_type_hint", "a"),
            ("token_type_hint", "b"),
        ],
    ] {
        let response = app.ask(PATH, "shop", &form).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    }
    assert!(is_alive(&app, &tokens).await);
}

/// The answer can be read by scripts of the origins that this client registered (CORS).
#[tokio::test]
async fn rule_79_revocation_is_for_the_origins_of_that_client() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.allowed_origins = vec!["https://app.example.org".to_owned()];
    })
    .await;
    for (secret, origin, allowed) in [
        (secret("shop"), "https://app.example.org", true),
        (secret("shop"), "https://evil.example", false),
        ("wrong".to_owned(), "https://app.example.org", false),
    ] {
        let mut request = client_request(PATH, Some(&basic("shop", &secret)), &[("token", "x")]);
        request.headers_mut().insert(ORIGIN, origin.parse().unwrap());
        let response = app.send(request).await;
        let header = response.header("access-control-allow-origin");
        assert_eq!(header, allowed.then_some(origin));
    }
}

/// A revocation is an audit event, once; one that ends nothing is none, and a failed authentication is one as everywhere.
#[tokio::test]
async fn rule_87_revocations_are_audited() {
    let (log, _guard) = Log::capture();
    let app = TestApp::with_shop_and_ada().await;
    let issued = app.issue(Issue::default()).await;
    let tokens = app.redeem("shop", &issued.code).await.json();
    for _ in 0..2 {
        app.revoke("shop", text(&tokens, "refresh_token")).await;
        app.revoke("shop", text(&tokens, "access_token")).await;
    }
    app.revoke("shop", "nonsense").await;
    app.send(client_request(
        PATH,
        Some(&basic("shop", "wrong")),
        &[("token", "x")],
    ))
    .await;
    let events = log.audit();
    let names: Vec<_> = events
        .iter()
        .map(|line| line["fields"]["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["code_redeemed", "grant_revoked", "client_authentication_failed"]
    );
    let fields = &events[1]["fields"];
    assert_eq!(fields["client_id"], "team-a.shop");
    assert_eq!(fields["subject"], "subject-ada");
    assert_eq!(fields["grant"], issued.grant.as_str());
    for name in ["refresh_token", "access_token"] {
        assert!(!log.text().contains(text(&tokens, name)));
    }
}
