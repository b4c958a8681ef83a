//! APIs of other teams: who may ask for tokens for them, and what the person is asked.

use claviger::oidc::client::{ANY_NAMESPACE, Client, ConsentPolicy};
use claviger::store::records::ClientRegistration;
use http::StatusCode;
use serde_json::json;

use crate::app::{Issue, TestApp};
use crate::browser::{
    Browser, Form, PASSWORD, answered, app_with_ada, assert_redirected_error, authorize_path, location,
    request_with,
};

const API: &str = "https://api.example.org/v1";
const REPORTS: &str = "urn:example:reports";

fn may_ask(client: &mut Client) {
    client.audiences = vec![API.to_owned(), REPORTS.to_owned()];
}

/// The API is another team's.
fn of_team_b(registration: &mut ClientRegistration) {
    "team-b".clone_into(&mut registration.resource.namespace);
    registration.client.resource_identifiers = vec![API.to_owned()];
}

async fn refresh_token(app: &TestApp, resources: &'static [&'static str]) -> String {
    let issue = Issue {
        resources,
        scope: "openid groups offline_access",
        ..Issue::default()
    };
    let code = app.issue(issue).await.code;
    let response = app.redeem("shop", &code).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    response.json()["refresh_token"].as_str().unwrap().to_owned()
}

/// Only whoever an API allows gets tokens for it: a client of another namespace that has listed it is refused at `/authorize`
/// and at each grant type from the moment at which the API is claimed, whatever was registered and allowed before.
#[tokio::test]
async fn rule_41_an_api_says_who_may_ask_for_it() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| may_ask(&mut registration.client))
        .await;
    let form = [("grant_type", "client_credentials"), ("resource", API)];
    let browser = Browser::new(&app);
    let path = authorize_path(&request_with(&[("resource", API)]));
    let asked = async || {
        let response = browser.get(&path).await;
        response.header("location").unwrap_or_default().to_owned()
    };
    // Nobody has claimed it: an API outside, for all that is known.
    let before = [
        refresh_token(&app, &[API]).await,
        refresh_token(&app, &[API, REPORTS]).await,
    ];
    assert_eq!(app.token("shop", &form).await.status, StatusCode::OK);
    let code = app
        .issue(Issue {
            resources: &[API],
            ..Issue::default()
        })
        .await
        .code;

    app.register_client("api", of_team_b).await;
    app.token("shop", &form)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_target");
    assert_redirected_error(&browser.get(&path).await, "invalid_target");
    app.redeem("shop", &code)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_target");
    app.refresh("shop", &before[0])
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_target");
    let rest = app.refresh("shop", &before[1]).await;
    assert_eq!(
        rest.status,
        StatusCode::OK,
        "the other API is not touched: {}",
        rest.text()
    );
    assert_eq!(
        crate::jwt::part(rest.json()["access_token"].as_str().unwrap(), 1)["aud"],
        REPORTS
    );

    for allowed in ["team-a", ANY_NAMESPACE] {
        app.register_client("api", |registration| {
            of_team_b(registration);
            registration.client.resource_namespaces = vec!["team-c".to_owned(), allowed.to_owned()];
        })
        .await;
        assert_eq!(app.token("shop", &form).await.status, StatusCode::OK, "{allowed}");
        assert!(!asked().await.contains("invalid_target"), "{allowed}");
        app.register_client("api", of_team_b).await;
        assert!(asked().await.contains("invalid_target"));
    }
    // The same namespace needs no word.
    app.register_client("neighbour", |registration| {
        "team-b".clone_into(&mut registration.resource.namespace);
        may_ask(&mut registration.client);
    })
    .await;
    assert_eq!(app.token("neighbour", &form).await.status, StatusCode::OK);
}

/// Whatever token is issued can be ended: groups that have no room are left out, and what would be too long for all that is not
/// issued.
#[tokio::test]
async fn rule_60_no_token_is_too_long_to_be_ended() {
    let app = TestApp::with_shop_and_ada().await;
    let many: Vec<String> = (0..1000).map(|number| format!("group number {number}")).collect();
    let few = many[..100].to_vec();
    for (groups, carried) in [(few, true), (many, false)] {
        app.register_user_with("ada", |registration| registration.user.groups = groups.clone())
            .await;
        let tokens = app.tokens("openid groups offline_access").await;
        let token = tokens["access_token"].as_str().unwrap();
        let claims = crate::jwt::part(token, 1);
        assert_eq!(claims["groups"] == json!(groups), carried, "{}", claims["groups"]);
        assert_eq!(claims.get("groups").is_some(), carried);
        assert_eq!(app.introspect("shop", token).await["groups"], json!(groups));
        assert_eq!(app.revoke("shop", token).await.status, StatusCode::OK);
        assert_eq!(app.introspect("shop", token).await, json!({"active": false}));
    }
    // More than the registration takes.
    let apis: Vec<String> = (0..32)
        .map(|number| format!("urn:{number}:{}", "x".repeat(500)))
        .collect();
    app.register_client("shop", |registration| {
        registration.client.audiences = apis.clone();
    })
    .await;
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(apis.iter().map(|api| ("resource", api.as_str())));
    let response = app.token("shop", &form).await;
    assert_eq!(
        response.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "{}",
        response.text()
    );
}

/// What the way to a code was allowed when it began counts no more when it ends.
#[tokio::test]
async fn rule_41_an_api_that_is_claimed_meanwhile_is_refused() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| may_ask(&mut registration.client))
        .await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[("resource", API)]).await;
    let consent = browser.sign_in(&page, "ada", PASSWORD).await;
    let form = Form::of(&browser.follow(&consent).await);
    app.register_client("api", of_team_b).await;
    let answer = browser.submit(&form, &[("answer", "allow")]).await;
    assert_redirected_error(&answer, "invalid_target");
}

/// The person reads for which APIs an app asks, and their answer is for those and no others: another one is asked about, the
/// same and fewer are not.
#[tokio::test]
async fn rule_40_the_person_is_asked_about_each_api() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| may_ask(&mut registration.client))
        .await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    answered(&browser.authorize(&[]).await);

    let asked = browser.authorize(&[("resource", API)]).await;
    assert!(location(&asked).starts_with("/consent"));
    let silent = browser.authorize(&[("resource", API), ("prompt", "none")]).await;
    assert_redirected_error(&silent, "consent_required");
    let text = browser.follow(&asked).await.text();
    assert!(
        text.contains("Act for you at https://api.example.org/v1"),
        "{text}"
    );
    assert!(!text.contains(REPORTS), "{text}");
    answered(&browser.answer_consent(&asked, "allow").await);

    answered(&browser.authorize(&[("resource", API)]).await);
    answered(&browser.authorize(&[]).await);
    for resources in [&[REPORTS][..], &[API, REPORTS]] {
        let mut request = request_with(&[]);
        request.extend(resources.iter().map(|resource| ("resource", *resource)));
        let response = browser.get(&authorize_path(&request)).await;
        assert!(location(&response).starts_with("/consent"), "{resources:?}");
    }
    let account = browser.get("/account").await.text();
    assert!(
        account.contains("Act for you at https://api.example.org/v1"),
        "{account}"
    );

    app.register_client("shop", |registration| {
        may_ask(&mut registration.client);
        registration.client.consent = ConsentPolicy::Skip;
    })
    .await;
    answered(&browser.authorize(&[("resource", REPORTS)]).await);
}
