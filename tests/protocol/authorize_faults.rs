//! The browser's way while the store is away or not complete.

use http::StatusCode;

use crate::app::{ISSUER, TestApp, TestResponse};
use crate::browser::{
    Browser, Form, PASSWORD, REQUEST, answered, app_with_ada, assert_error_page, authorize_path,
};
use crate::faulty_store::Fault;

/// A store that is away is a 503 page with `Retry-After` at every operation on the way, and nothing is mistaken for "not
/// found"; afterwards the same page goes on.
#[tokio::test]
async fn rule_82_a_store_that_is_away_is_a_503_page() {
    let app = app_with_ada().await;
    let assert_unavailable = |response: &TestResponse| {
        assert_error_page(response, StatusCode::SERVICE_UNAVAILABLE, &["test took it away"]);
        assert!(response.header("retry-after").is_some());
    };
    let browser = Browser::new(&app);
    let page = browser.authorize(&[]).await;
    app.store.fail("client", Fault::Unavailable);
    assert_unavailable(&browser.authorize(&[]).await);
    for operation in ["client", "user_by_username", "sign_in", "consent"] {
        app.store.fail(operation, Fault::Unavailable);
        assert_unavailable(&browser.sign_in(&page, "ada", PASSWORD).await);
    }
    app.store.heal();
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    let consent = browser.follow(&redirect).await;
    let form = Form::of(&consent);
    for operation in ["interaction", "session", "issue_authorization_code"] {
        app.store.fail(operation, Fault::Unavailable);
        assert_unavailable(&browser.submit(&form, &[("answer", "allow")]).await);
    }
    app.store.heal();
    answered(&browser.submit(&form, &[("answer", "allow")]).await);
    app.store.fail("session", Fault::Unavailable);
    for path in ["/", "/logout", &authorize_path(&REQUEST)] {
        assert_unavailable(&browser.get(path).await);
    }
}

/// Before the first complete list of resources is registered, nobody is told that an app is unknown.
#[tokio::test]
async fn rule_82_before_the_first_list_there_is_a_503_page() {
    let app = TestApp::unprovisioned(ISSUER);
    let response = Browser::new(&app).authorize(&[]).await;
    assert_error_page(&response, StatusCode::SERVICE_UNAVAILABLE, &[]);
    assert!(response.header("retry-after").is_some());
}
