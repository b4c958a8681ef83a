//! Pairwise subjects (OpenID Connect Core section 8.1).

use claviger::oidc::client::SubjectType;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::browser::{Browser, PASSWORD, answered, app_with_ada, assert_redirected_error, location};
use crate::jwt::{part, verified};

async fn register(app: &TestApp, name: &str, sector: Option<&str>) {
    app.register_client(name, |registration| {
        if let Some(sector) = sector {
            registration.client.subject_type = SubjectType::Pairwise {
                sector_identifier: sector.to_owned(),
            };
        }
    })
    .await;
}

/// The tokens that a signed-in person's consent gives a client.
async fn tokens(app: &TestApp, browser: &Browser<'_>, client: &str) -> Value {
    let client_id = format!("team-a.{client}");
    let asked = browser.authorize(&[("client_id", &client_id)]).await;
    let answer = if location(&asked).starts_with("/consent") {
        browser.answer_consent(&asked, "allow").await
    } else {
        asked
    };
    let code = answered(&answer)["code"].clone();
    app.redeem(client, &code).await.json()
}

/// `sub`, which is the same wherever a client can see it.
async fn sub(app: &TestApp, tokens: &Value) -> String {
    let (_, id_token) = verified(app, tokens["id_token"].as_str().unwrap()).await;
    let access_token = tokens["access_token"].as_str().unwrap();
    let userinfo = app.userinfo(access_token).await.json();
    assert_eq!(userinfo["sub"], id_token["sub"]);
    assert_eq!(part(access_token, 1)["sub"], id_token["sub"]);
    id_token["sub"].as_str().unwrap().to_owned()
}

/// ID token, access token, userinfo and every refresh say the same `sub`; clients of another sector know the person by
/// another, and none of them is the public one.
#[tokio::test]
async fn rule_57_a_pairwise_sub_is_the_same_everywhere() {
    let app = app_with_ada().await;
    app.register_user_with_password("bob", PASSWORD).await;
    register(&app, "one", Some("a.example")).await;
    register(&app, "twin", Some("a.example")).await;
    register(&app, "other", Some("b.example")).await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let public = tokens(&app, &browser, "shop").await;
    assert_eq!(sub(&app, &public).await, "subject-ada");

    let given = tokens(&app, &browser, "one").await;
    let one = sub(&app, &given).await;
    let text = given.to_string() + &part(given["access_token"].as_str().unwrap(), 1).to_string();
    assert!(!text.contains("subject-ada"), "{text}");
    let refreshed = app
        .refresh("one", given["refresh_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(sub(&app, &refreshed).await, one);
    for token in ["access_token", "refresh_token"] {
        let introspected = app.introspect("one", refreshed[token].as_str().unwrap()).await;
        assert_eq!(introspected["sub"], *one, "{token}");
    }
    assert_eq!(sub(&app, &tokens(&app, &browser, "twin").await).await, one);
    let other = sub(&app, &tokens(&app, &browser, "other").await).await;
    assert!(other != one && other != "subject-ada" && one != "subject-ada");
    assert_eq!(one.len(), 43);

    let bobs = Browser::new(&app);
    let page = bobs.authorize(&[]).await;
    bobs.sign_in(&page, "bob", PASSWORD).await;
    assert_ne!(sub(&app, &tokens(&app, &bobs, "one").await).await, one);
}

/// A client that becomes pairwise keeps, for what it holds, the `sub` that it was told (OpenID Connect Core section 12.2), and
/// is told the other from the next sign-in on.
#[tokio::test]
async fn a_grant_keeps_its_sub() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let before = tokens(&app, &browser, "shop").await;
    register(&app, "shop", Some("a.example")).await;
    let refreshed = app
        .refresh("shop", before["refresh_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(sub(&app, &refreshed).await, "subject-ada");
    let pairwise = sub(&app, &tokens(&app, &browser, "shop").await).await;
    assert_ne!(pairwise, "subject-ada");
    register(&app, "shop", None).await;
    assert_eq!(
        sub(&app, &tokens(&app, &browser, "shop").await).await,
        "subject-ada"
    );
}

/// What a client says about a person is compared with the `sub` by which it knows them: its own hints are good, and the
/// public subject names nobody to it.
#[tokio::test]
async fn rule_18_hints_name_people_by_their_pairwise_sub() {
    let app = app_with_ada().await;
    register(&app, "shop", Some("a.example")).await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let given = tokens(&app, &browser, "shop").await;
    let pairwise = sub(&app, &given).await;
    let hint = given["id_token"].as_str().unwrap();
    let silent = ("prompt", "none");
    answered(&browser.authorize(&[silent, ("id_token_hint", hint)]).await);
    let named = |sub: &str| json!({"id_token": {"sub": {"value": sub}}}).to_string();
    answered(&browser.authorize(&[silent, ("claims", &named(&pairwise))]).await);
    let public = browser
        .authorize(&[silent, ("claims", &named("subject-ada"))])
        .await;
    assert_redirected_error(&public, "login_required");
    // Typed in another browser, it is the same person.
    let elsewhere = Browser::new(&app);
    let page = elsewhere.authorize(&[("id_token_hint", hint)]).await;
    let typed = elsewhere.sign_in(&page, "ada", PASSWORD).await;
    assert!(answered(&typed).contains_key("code"));
}
