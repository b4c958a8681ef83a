//! A client that is suspended, gone or changed while a person is signing in.

use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use http::StatusCode;

use crate::browser::{Browser, Form, PASSWORD, app_with_ada, assert_error_page};
use crate::fixtures;

/// A suspended client gets no code, even when the sign-in page, or the consent page, was open already; nor does a client
/// whose resource is gone or was made again under the same name.
#[tokio::test]
async fn rule_20_a_disabled_client_gets_no_code() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let suspend = |suspended| {
        app.register_client("shop", move |registration| {
            registration.client.suspended = suspended;
        })
    };
    let sign_in_page = browser.authorize(&[]).await;
    suspend(true).await;
    assert_error_page(&browser.authorize(&[]).await, StatusCode::BAD_REQUEST, &[]);
    let response = browser.sign_in(&sign_in_page, "ada", PASSWORD).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
    assert_eq!(app.hasher.computed(), 1, "the password was looked at");

    suspend(false).await;
    let redirect = browser.sign_in(&sign_in_page, "ada", PASSWORD).await;
    let consent_page = browser.follow(&redirect).await;
    suspend(true).await;
    let form = Form::of(&consent_page);
    for answer in ["allow", "deny"] {
        let response = browser.submit(&form, &[("answer", answer)]).await;
        assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
    }
    suspend(false).await;

    let uid = fixtures::client("shop").uid;
    let sign_in_page = Browser::new(&app);
    let page = sign_in_page.authorize(&[]).await;
    app.store
        .mark_clients_absent(std::slice::from_ref(&uid))
        .await
        .unwrap();
    assert_error_page(
        &sign_in_page.sign_in(&page, "ada", PASSWORD).await,
        StatusCode::BAD_REQUEST,
        &[],
    );
    app.store.remove_client(&uid).await.unwrap();
    app.register_client("shop", |registration| {
        registration.client.uid = ResourceUid::new("uid-another");
    })
    .await;
    assert_error_page(
        &sign_in_page.sign_in(&page, "ada", PASSWORD).await,
        StatusCode::BAD_REQUEST,
        &[],
    );
}

/// A redirect URI that is taken away while the sign-in page is open gets nothing either.
#[tokio::test]
async fn rule_20_a_redirect_uri_that_is_no_longer_registered_gets_nothing() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    app.register_client("shop", |registration| {
        registration.client.redirect_uris = vec!["https://shop.example.org/new".to_owned()];
    })
    .await;
    let response = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
}
