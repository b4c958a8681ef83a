//! Resource indicators (RFC 8707): for whom an access token is.

use claviger::oidc::client::Client;
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{ISSUER, Issue, TestApp, TestResponse, code_form};
use crate::browser::{
    Browser, REQUEST, answered, app_with_ada, assert_redirected_error, authorize_path, location,
};
use crate::jwt::part;

const API: &str = "https://api.example.org";
const REPORTS: &str = "urn:example:reports";

fn may_ask(client: &mut Client) {
    client.audiences = vec![API.to_owned(), REPORTS.to_owned(), ISSUER.to_owned()];
}

async fn app() -> TestApp {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| may_ask(&mut registration.client))
        .await;
    app
}

fn with_resources<'a>(form: &[(&'a str, &'a str)], resources: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let resources = resources.iter().map(|resource| ("resource", *resource));
    form.iter().copied().chain(resources).collect()
}

async fn code(app: &TestApp, resources: &'static [&'static str]) -> String {
    let issue = Issue {
        resources,
        scope: "openid offline_access",
        ..Issue::default()
    };
    app.issue(issue).await.code
}

fn aud(response: &TestResponse) -> Value {
    assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    part(response.json()["access_token"].as_str().unwrap(), 1)["aud"].clone()
}

/// At the authorization endpoint each `resource` must be one that the client registered, byte for byte; it may come more than
/// once, and what was asked for is what the token is for.
#[tokio::test]
async fn rule_41_a_resource_is_on_the_clients_list() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| may_ask(&mut registration.client))
        .await;
    let browser = Browser::new(&app);
    for bad in [
        "https://other.example.org",
        "https://api.example.org/",
        "https://API.example.org",
        "https://api.example.org#x",
        "api",
    ] {
        for resources in [vec![bad], vec![API, bad]] {
            let request = with_resources(&REQUEST, &resources);
            let response = browser.get(&authorize_path(&request)).await;
            assert_redirected_error(&response, "invalid_target");
        }
    }
    browser.sign_in_as_ada().await;
    for (resources, expected) in [
        (vec![], json!(ISSUER)),
        (vec![""], json!(ISSUER)),
        (vec![API], json!(API)),
        (vec![API, API], json!(API)),
        (vec![REPORTS, API], json!([REPORTS, API])),
    ] {
        let request = with_resources(&REQUEST, &resources);
        let mut response = browser.get(&authorize_path(&request)).await;
        if location(&response).starts_with("/consent") {
            response = browser.answer_consent(&response, "allow").await;
        }
        let code = answered(&response)["code"].clone();
        assert_eq!(aud(&app.redeem("shop", &code).await), expected, "{resources:?}");
        assert!(location(&response).starts_with("https://shop.example.org/callback"));
    }
}

/// A client without a list asks for nothing, and one that asks for nothing gets the default audience, at each grant type.
#[tokio::test]
async fn rule_41_without_a_list_there_is_the_default_audience() {
    let app = TestApp::with_shop_and_ada().await;
    let first = app.redeem("shop", &code(&app, &[]).await).await;
    assert_eq!(aud(&first), ISSUER);
    let refresh_token = first.json()["refresh_token"].as_str().unwrap().to_owned();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.as_str()),
    ];
    let client = [("grant_type", "client_credentials")];
    for form in [&refresh[..], &client[..]] {
        let response = app.token("shop", &with_resources(form, &[API])).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_target");
        assert_eq!(aud(&app.token("shop", form).await), ISSUER);
    }
}

/// A code gives a token for a part of what was allowed, or for all of it; asking for more ends it.
#[tokio::test]
async fn rule_41_a_code_gives_a_part_of_what_was_allowed() {
    let app = app().await;
    for (resources, expected) in [
        (vec![], json!([API, REPORTS])),
        (vec![API], json!(API)),
        (vec![REPORTS, API], json!([REPORTS, API])),
    ] {
        let code = code(&app, &[API, REPORTS]).await;
        let form = with_resources(&code_form(&code), &resources);
        assert_eq!(aud(&app.token("shop", &form).await), expected);
    }
    for resources in [vec![ISSUER], vec![API, ISSUER], vec!["https://other.example.org"]] {
        let code = code(&app, &[API, REPORTS]).await;
        let form = with_resources(&code_form(&code), &resources);
        let response = app.token("shop", &form).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_target");
        let again = app.redeem("shop", &code).await;
        again.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
}

/// A refresh may ask for another part each time, of what was allowed at first; asking for more is refused and does not spend
/// the token.
#[tokio::test]
async fn rule_41_a_refresh_may_ask_for_another_part() {
    let app = app().await;
    let code = code(&app, &[API, REPORTS]).await;
    let form = with_resources(&code_form(&code), &[API]);
    let mut tokens = app.token("shop", &form).await.json();
    for (resources, expected) in [
        (vec![REPORTS], Some(json!(REPORTS))),
        (vec![ISSUER], None),
        (vec![REPORTS, ISSUER], None),
        (vec![], Some(json!([API, REPORTS]))),
        (vec![API], Some(json!(API))),
    ] {
        let refresh = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
        ];
        let response = app.token("shop", &with_resources(&refresh, &resources)).await;
        match expected {
            Some(expected) => {
                assert_eq!(aud(&response), expected);
                tokens = response.json();
            }
            None => response.assert_error(StatusCode::BAD_REQUEST, "invalid_target"),
        }
    }
}

/// What the registration lists no more is left out of later tokens, and where nothing else was allowed there is no token:
/// never one for the default audience instead.
#[tokio::test]
async fn rule_41_a_shorter_list_counts_at_once() {
    let app = app().await;
    let both = app
        .redeem("shop", &code(&app, &[API, REPORTS]).await)
        .await
        .json();
    let one = app.redeem("shop", &code(&app, &[API]).await).await.json();
    app.register_client("shop", |registration| {
        registration.client.audiences = vec![REPORTS.to_owned()];
    })
    .await;
    let refresh = async |tokens: &Value| {
        app.refresh("shop", tokens["refresh_token"].as_str().unwrap())
            .await
    };
    assert_eq!(aud(&refresh(&both).await), REPORTS);
    let response = refresh(&one).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_target");
    refresh(&one)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// A client that acts for itself asks for what it registered.
#[tokio::test]
async fn rule_41_a_client_asks_in_its_own_name() {
    let app = app().await;
    for (resources, expected) in [
        (vec![], Some(json!(ISSUER))),
        (vec![API], Some(json!(API))),
        (vec![API, REPORTS], Some(json!([API, REPORTS]))),
        (vec!["https://other.example.org"], None),
    ] {
        let form = with_resources(&[("grant_type", "client_credentials")], &resources);
        let response = app.token("shop", &form).await;
        match expected {
            Some(expected) => assert_eq!(aud(&response), expected),
            None => response.assert_error(StatusCode::BAD_REQUEST, "invalid_target"),
        }
    }
}

/// Userinfo takes a token that is for the issuer, alone or among others, and no other; revocation takes whatever is the
/// client's own (RFC 9068 section 4).
#[tokio::test]
async fn rule_48_a_token_for_another_audience_is_refused_at_userinfo() {
    let app = app().await;
    for (resources, taken) in [
        (&[][..], true),
        (&[ISSUER], true),
        (&[API, ISSUER], true),
        (&[API], false),
    ] {
        let tokens = app.redeem("shop", &code(&app, resources).await).await.json();
        let token = tokens["access_token"].as_str().unwrap();
        let userinfo = app.userinfo(token).await;
        if taken {
            assert_eq!(userinfo.status, StatusCode::OK);
        } else {
            userinfo.assert_error(StatusCode::UNAUTHORIZED, "invalid_token");
        }
        assert_eq!(app.introspect("shop", token).await["active"], true);
        assert_eq!(app.revoke("shop", token).await.status, StatusCode::OK);
        assert_eq!(app.introspect("shop", token).await, json!({"active": false}));
    }
}

/// A resource server looks at access tokens that are for it, whoever they were issued to, and at no others; refresh tokens
/// are nobody's business but their client's. It cannot end what it may look at.
#[tokio::test]
async fn rule_59_a_resource_server_looks_at_tokens_for_it() {
    let app = app().await;
    app.register_client("api", |registration| {
        registration.client.resource_identifiers =
            vec!["https://api.example.org/v2".to_owned(), API.to_owned()];
    })
    .await;
    // It may ask for tokens for the API, which does not make it the API.
    app.register_client("consumer", |registration| may_ask(&mut registration.client))
        .await;
    let inactive = json!({"active": false});
    for (resources, seen) in [
        (&[API][..], true),
        (&[REPORTS, API], true),
        (&[REPORTS], false),
        (&[], false),
    ] {
        let tokens = app.redeem("shop", &code(&app, resources).await).await.json();
        let token = tokens["access_token"].as_str().unwrap();
        let answer = app.introspect("api", token).await;
        assert_eq!(answer["active"], seen);
        if seen {
            assert_eq!(answer["client_id"], "team-a.shop");
            assert_eq!(answer, app.introspect("shop", token).await);
            let response = app.revoke("api", token).await;
            response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
        }
        assert_eq!(app.introspect("consumer", token).await, inactive);
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        assert_eq!(app.introspect("api", refresh_token).await, inactive);
    }
}
