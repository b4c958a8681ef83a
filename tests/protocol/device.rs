//! The device authorization grant (RFC 8628): a device asks, a person answers elsewhere, and the device gets tokens once.

use std::collections::BTreeSet;
use std::time::Duration;

use claviger::http::Settings;
use claviger::http::rate_limit::{Limit, RateLimits};
use claviger::oidc::client::{ClientAuthenticationMethod, ConsentPolicy};
use claviger::oidc::grant_type::GrantType;
use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use http::StatusCode;
use serde_json::Value;

use crate::app::{ISSUER, TestApp, TestResponse, client_request, token_request};
use crate::browser::{
    Browser, Form, PASSWORD, app_with_ada, assert_error_page, assert_sign_in_page, location,
};
use crate::faulty_store::Fault;
use crate::jwt::{part, verified};

const DEVICE: &str = "/api/device";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const SCOPE: &str = "offline_access openid profile";

/// What a device was told.
struct Device {
    code: String,
    user_code: String,
    complete: String,
}

impl Device {
    /// A device of the confidential client `shop` begins.
    async fn begin(app: &TestApp) -> Self {
        Self::of(&app.ask(DEVICE, "shop", &[("scope", SCOPE)]).await)
    }

    #[track_caller]
    fn of(response: &TestResponse) -> Self {
        assert_eq!(response.status, StatusCode::OK, "{}", response.text());
        let told = response.json();
        let text = |member: &str| told[member].as_str().unwrap().to_owned();
        Self {
            code: text("device_code"),
            user_code: text("user_code"),
            complete: text("verification_uri_complete"),
        }
    }

    /// It asks for its tokens.
    async fn poll(&self, app: &TestApp) -> TestResponse {
        self.poll_as(app, "shop").await
    }

    async fn poll_as(&self, app: &TestApp, client: &str) -> TestResponse {
        app.token(client, &self.form()).await
    }

    fn form(&self) -> [(&'static str, &str); 2] {
        [("grant_type", DEVICE_CODE), ("device_code", &self.code)]
    }
}

/// Opens the page and types a code.
async fn type_code(browser: &Browser<'_>, user_code: &str) -> TestResponse {
    let page = browser.get("/device").await;
    browser
        .submit(&Form::of(&page), &[("user_code", user_code)])
        .await
}

/// From the code to the question, which is asked whoever is signed in.
async fn at_the_question(browser: &Browser<'_>, device: &Device) -> TestResponse {
    let mut redirect = type_code(browser, &device.user_code).await;
    if location(&redirect).starts_with("/login") {
        let page = browser.follow(&redirect).await;
        assert_sign_in_page(&page);
        redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    }
    let page = browser.follow(&redirect).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    page
}

async fn answer(browser: &Browser<'_>, device: &Device, answer: &str) -> TestResponse {
    let page = at_the_question(browser, device).await;
    browser.submit(&Form::of(&page), &[("answer", answer)]).await
}

#[track_caller]
fn assert_end(page: &TestResponse, status: StatusCode, id: &str) {
    assert_eq!(page.status, status, "{}", page.text());
    assert!(
        page.text().contains(&format!("id=\"{id}\"")),
        "no {id} in {}",
        page.text()
    );
}

async fn allow(browser: &Browser<'_>, device: &Device) {
    assert_end(
        &answer(browser, device, "allow").await,
        StatusCode::OK,
        "device-allowed",
    );
}

/// The tokens of a device of `shop` that the person in this browser allows.
pub(crate) async fn signed_in(app: &TestApp, browser: &Browser<'_>) -> Value {
    let device = Device::begin(app).await;
    allow(browser, &device).await;
    tokens(&device.poll(app).await)
}

fn tokens(response: &TestResponse) -> Value {
    assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    response.json()
}

/// A device gets a code of 256 random bits, and one of eight unambiguous letters for the person; what the person allows, it
/// gets once: an ID token, an access token and a refresh token as after a sign-in.
#[tokio::test]
async fn rule_43_a_device_is_signed_in() {
    let app = app_with_ada().await;
    let response = app.ask(DEVICE, "shop", &[("scope", SCOPE)]).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let told = response.json();
    assert_eq!(told["expires_in"], 600);
    assert_eq!(told["interval"], 5);
    assert_eq!(told["verification_uri"], format!("{ISSUER}/device"));
    let device = Device::of(&response);
    assert_eq!(
        device.complete,
        format!("{ISSUER}/device?user_code={}", device.user_code)
    );
    assert_eq!(device.code.strip_prefix("clv_dc_").unwrap().len(), 43);
    assert_eq!(device.user_code.len(), 9);
    let letters = device.user_code.replace('-', "");
    assert!(
        letters
            .chars()
            .all(|letter| "BCDFGHJKLMNPQRSTVWXZ".contains(letter)),
        "{letters}"
    );

    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "authorization_pending");
    let browser = Browser::new(&app);
    allow(&browser, &device).await;
    let told = tokens(&device.poll(&app).await);
    assert_eq!(told["scope"], SCOPE);
    let (_, id_token) = verified(&app, told["id_token"].as_str().unwrap()).await;
    assert_eq!(id_token["aud"], "team-a.shop");
    assert_eq!(id_token["sub"], "subject-ada");
    assert_eq!(id_token.get("nonce"), None);
    let userinfo = app.userinfo(told["access_token"].as_str().unwrap()).await;
    assert_eq!(userinfo.json()["sub"], "subject-ada");
    let refreshed = app.refresh("shop", told["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    // That was the device again, not a thief: its tokens go on.
    assert_eq!(
        app.userinfo(told["access_token"].as_str().unwrap()).await.status,
        StatusCode::OK
    );
}

/// Who answers sees the app's name, what it asks for, the code to compare, and that they should have started this themselves;
/// a code in the address only fills in the form, so that nobody is sent through by a link (RFC 8628 section 5.4).
#[tokio::test]
async fn rule_43_a_person_is_always_asked() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.consent = ConsentPolicy::Skip;
        "The Shop".clone_into(&mut registration.client.client_name);
    })
    .await;
    let browser = Browser::new(&app);
    for _ in 0..2 {
        let device = Device::begin(&app).await;
        let path = device.complete.strip_prefix(ISSUER).unwrap();
        let page = browser.get(path).await;
        assert_eq!(Form::of(&page).field("user_code"), device.user_code);
        assert!(page.text().contains("started this yourself"), "{}", page.text());
        device
            .poll(&app)
            .await
            .assert_error(StatusCode::BAD_REQUEST, "authorization_pending");
        app.advance(Duration::from_secs(5));

        // The second time they are signed in and have allowed the same before.
        let question = at_the_question(&browser, &device).await.text();
        for shown in [
            "The Shop",
            "See your profile",
            "Keep this access",
            &device.user_code,
            "started this yourself",
        ] {
            assert!(question.contains(shown), "{shown} is not in {question}");
        }
        device
            .poll(&app)
            .await
            .assert_error(StatusCode::BAD_REQUEST, "authorization_pending");
        allow(&browser, &device).await;
        tokens(&device.poll(&app).await);
    }
}

/// A code may be typed in any case and with any separators; nothing of another form is looked up, and what is typed is not
/// repeated.
#[tokio::test]
async fn rule_43_a_code_is_typed_as_people_type() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let device = Device::begin(&app).await;
    let typed = format!(" {} ", device.user_code.to_lowercase().replace('-', " "));
    assert!(location(&type_code(&browser, &typed).await).starts_with("/login?interaction="));
    for wrong in ["", "BCDF", "<script>BCDF-GHJK", "BCDFGHJK0", "BCDF-GHJK"] {
        let page = type_code(&browser, wrong).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.text().contains("id=\"error\""), "{}", page.text());
        assert!(!page.text().contains("script"), "{}", page.text());
        assert_eq!(Form::of(&page).field("user_code"), "");
    }
    let page = browser.get("/device?user_code=%3Cscript%3E").await;
    assert_eq!(Form::of(&page).field("user_code"), "");
    // Another site cannot type one.
    let form = Form::of(&page);
    let fields = [
        ("csrf_token", form.field("csrf_token")),
        ("user_code", device.user_code.as_str()),
    ];
    let response = browser
        .post_from(Some("https://evil.example"), "/device", &fields)
        .await;
    assert_error_page(&response, StatusCode::FORBIDDEN, &[]);
}

/// A device that asks too soon is told to slow down, and the interval grows; one that keeps to it is not.
#[tokio::test]
async fn rule_43_slow_down_is_obeyed() {
    let app = app_with_ada().await;
    let device = Device::begin(&app).await;
    let poll = async |seconds: u64, expected: &str| {
        app.advance(Duration::from_secs(seconds));
        device
            .poll(&app)
            .await
            .assert_error(StatusCode::BAD_REQUEST, expected);
    };
    poll(0, "authorization_pending").await;
    poll(5, "authorization_pending").await;
    poll(4, "slow_down").await;
    poll(5, "slow_down").await;
    poll(14, "slow_down").await;
    poll(20, "authorization_pending").await;
    // Once a person has answered, there is nothing to wait for.
    allow(&Browser::new(&app), &device).await;
    tokens(&device.poll(&app).await);
}

/// A person says no, and the device is told so; nobody can answer again.
#[tokio::test]
async fn rule_43_a_person_says_no() {
    let app = app_with_ada().await;
    let device = Device::begin(&app).await;
    let browser = Browser::new(&app);
    let question = at_the_question(&browser, &device).await;
    let other = Browser::new(&app);
    let same_question = at_the_question(&other, &device).await;
    let end = browser.submit(&Form::of(&question), &[("answer", "deny")]).await;
    assert_end(&end, StatusCode::OK, "device-denied");
    for _ in 0..2 {
        device
            .poll(&app)
            .await
            .assert_error(StatusCode::BAD_REQUEST, "access_denied");
    }
    let late = other
        .submit(&Form::of(&same_question), &[("answer", "allow")])
        .await;
    assert_error_page(&late, StatusCode::BAD_REQUEST, &[]);
    assert_eq!(
        type_code(&browser, &device.user_code).await.status,
        StatusCode::BAD_REQUEST
    );
    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "access_denied");
}

/// A person has ten minutes; afterwards the device is told that its code has expired, and at last that there is none.
#[tokio::test]
async fn rule_43_a_code_expires() {
    let app = app_with_ada().await;
    let device = Device::begin(&app).await;
    let browser = Browser::new(&app);
    app.advance(Duration::from_secs(1));
    let question = at_the_question(&browser, &device).await;
    app.advance(Duration::from_secs(599));
    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "expired_token");
    assert_eq!(
        type_code(&browser, &device.user_code).await.status,
        StatusCode::BAD_REQUEST
    );
    let late = browser.submit(&Form::of(&question), &[("answer", "allow")]).await;
    assert_error_page(&late, StatusCode::BAD_REQUEST, &[]);
    app.advance(Duration::from_mins(10));
    app.store.sweep(100).await.unwrap();
    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// What was allowed and not fetched in time is gone too, with the grant (`rule_75`: it is not on the account page any more).
#[tokio::test]
async fn rule_43_what_is_not_fetched_ends() {
    let app = app_with_ada().await;
    let device = Device::begin(&app).await;
    let browser = Browser::new(&app);
    allow(&browser, &device).await;
    let account = browser.get("/account").await.text();
    assert!(account.contains("Signed in on"), "{account}");
    app.advance(Duration::from_mins(20));
    app.store.sweep(100).await.unwrap();
    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    let account = browser.get("/account").await.text();
    assert!(account.contains("Not signed in at present"), "{account}");
}

/// A device code is its client's: another one learns nothing and changes nothing, and a code of another kind, cut or altered,
/// is none.
#[tokio::test]
async fn rule_43_a_code_is_bound_to_its_client() {
    let app = app_with_ada().await;
    app.register_client("blog", |_| ()).await;
    let device = Device::begin(&app).await;
    device
        .poll_as(&app, "blog")
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    allow(&Browser::new(&app), &device).await;
    device
        .poll_as(&app, "blog")
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    for wrong in [
        &device.code[..device.code.len() - 1],
        &device.code.replace("clv_dc_", "clv_ac_"),
        &device.user_code,
        "x",
    ] {
        let response = app
            .token("shop", &[("grant_type", DEVICE_CODE), ("device_code", wrong)])
            .await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let response = app.token("shop", &[("grant_type", DEVICE_CODE)]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    app.redeem("shop", &device.code)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    tokens(&device.poll(&app).await);
}

/// Of 64 that redeem one code at once, one gets tokens.
#[tokio::test]
async fn rule_43_a_code_is_redeemed_once_by_64_at_once() {
    let app = app_with_ada().await;
    let device = Device::begin(&app).await;
    allow(&Browser::new(&app), &device).await;
    let attempts: Vec<_> = (0..64)
        .map(|_| {
            let header = crate::app::basic("shop", &crate::app::secret("shop"));
            let request = token_request(Some(&header), &device.form());
            let router = app.router.clone();
            tokio::spawn(async move {
                tower::ServiceExt::oneshot(router, request)
                    .await
                    .unwrap()
                    .status()
            })
        })
        .collect();
    let mut redeemed = 0;
    for attempt in attempts {
        redeemed += usize::from(attempt.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(redeemed, 1);
}

/// Clients authenticate at both endpoints as at every other; a public one names itself, and one that did not register the
/// grant type gets nothing at either (`rule_33`).
#[tokio::test]
async fn rule_34_a_device_is_one_of_a_registered_client() {
    let app = app_with_ada().await;
    app.register_client("tv", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.client.grant_types = BTreeSet::from([GrantType::DeviceCode]);
        registration.client.redirect_uris.clear();
        registration.initial_secret_versions.clear();
    })
    .await;
    let named = [("client_id", "team-a.shop"), ("scope", SCOPE)];
    for (path, form) in [
        (DEVICE, named.to_vec()),
        (
            "/api/token/v2",
            vec![
                ("client_id", "team-a.shop"),
                ("grant_type", DEVICE_CODE),
                ("device_code", "x"),
            ],
        ),
    ] {
        let response = app.send(client_request(path, None, &form)).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let public = [("client_id", "team-a.tv"), ("scope", SCOPE)];
    let device = Device::of(&app.send(client_request(DEVICE, None, &public)).await);
    allow(&Browser::new(&app), &device).await;
    let mut form = device.form().to_vec();
    form.push(("client_id", "team-a.tv"));
    let told = tokens(&app.send(token_request(None, &form)).await);
    // Neither a refresh token, for which it is not registered, nor the scope that stands for one.
    assert_eq!(told.get("refresh_token"), None);
    assert_eq!(told["scope"], "openid profile");

    let device = Device::begin(&app).await;
    app.register_client("shop", |registration| {
        registration.client.grant_types.remove(&GrantType::DeviceCode);
    })
    .await;
    let response = app.ask(DEVICE, "shop", &[("scope", SCOPE)]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "unauthorized_client");
    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "unauthorized_client");
    let page = type_code(&Browser::new(&app), &device.user_code).await;
    assert_error_page(&page, StatusCode::BAD_REQUEST, &[]);
}

/// What a device asks for is checked as what an app asks for: `openid`, registered scopes, registered resources, no
/// parameter twice.
#[tokio::test]
async fn rule_43_what_a_device_asks_for_is_checked() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.audiences = vec!["https://api.example.org".to_owned()];
    })
    .await;
    for (form, error) in [
        (vec![], "invalid_scope"),
        (vec![("scope", "profile")], "invalid_scope"),
        (vec![("scope", "openid"), ("scope", "email")], "invalid_request"),
        (
            vec![("scope", "openid"), ("resource", "https://other.example")],
            "invalid_target",
        ),
    ] {
        let response = app.ask(DEVICE, "shop", &form).await;
        response.assert_error(StatusCode::BAD_REQUEST, error);
    }
    let form = [
        ("scope", "openid unknown"),
        ("resource", "https://api.example.org"),
    ];
    let device = Device::of(&app.ask(DEVICE, "shop", &form).await);
    allow(&Browser::new(&app), &device).await;
    let told = tokens(&device.poll(&app).await);
    assert_eq!(told["scope"], "openid");
    let access_token = part(told["access_token"].as_str().unwrap(), 1);
    assert_eq!(access_token["aud"], "https://api.example.org");
}

/// Who may not use the app is refused after the sign-in, and the device is told; who loses the right before the device has
/// fetched its tokens is refused then (`rule_39`).
#[tokio::test]
async fn rule_43_access_rules_hold_for_devices() {
    let app = app_with_ada().await;
    let only = |group: &'static str| {
        move |registration: &mut claviger::store::records::ClientRegistration| {
            registration.client.access.allowed_groups = vec![group.to_owned()];
        }
    };
    app.register_client("shop", only("admins")).await;
    let device = Device::begin(&app).await;
    let browser = Browser::new(&app);
    let redirect = type_code(&browser, &device.user_code).await;
    let page = browser.follow(&redirect).await;
    let end = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_end(&end, StatusCode::FORBIDDEN, "device-refused");
    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "access_denied");

    app.register_client("shop", only("staff")).await;
    let device = Device::begin(&app).await;
    allow(&browser, &device).await;
    app.register_client("shop", only("admins")).await;
    device
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// The client's `default_max_age` holds for whoever answers: an old session signs in again.
#[tokio::test]
async fn rule_17_freshness_holds_for_devices() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.default_max_age = Some(Duration::from_mins(1));
    })
    .await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    app.advance(Duration::from_secs(61));
    let device = Device::begin(&app).await;
    let redirect = type_code(&browser, &device.user_code).await;
    assert!(location(&redirect).starts_with("/login"));
    let page = browser.follow(&redirect).await;
    let consent = browser.sign_in(&page, "ada", PASSWORD).await;
    let end = browser.answer_consent(&consent, "allow").await;
    assert_end(&end, StatusCode::OK, "device-allowed");
    let told = tokens(&device.poll(&app).await);
    let id_token = part(told["id_token"].as_str().unwrap(), 1);
    assert_eq!(id_token["auth_time"], app.now().as_second());
}

/// A suspended or removed client, and a disabled person, end what a device waits for, whether it was allowed already or not.
#[tokio::test]
async fn rule_20_who_is_gone_signs_in_no_device() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let (waiting, allowed) = (Device::begin(&app).await, Device::begin(&app).await);
    allow(&browser, &allowed).await;
    app.register_client("shop", |registration| registration.client.suspended = true)
        .await;
    let page = type_code(&browser, &waiting.user_code).await;
    assert_error_page(&page, StatusCode::BAD_REQUEST, &[]);
    allowed
        .poll(&app)
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");

    app.register_client("shop", |_| ()).await;
    let question = at_the_question(&browser, &waiting).await;
    app.register_user_with("ada", |registration| registration.user.disabled = true)
        .await;
    let late = browser.submit(&Form::of(&question), &[("answer", "allow")]).await;
    assert!(!late.text().contains("device-allowed"), "{}", late.text());
    allowed
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    waiting
        .poll(&app)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "authorization_pending");

    app.store
        .remove_client(&ResourceUid::new("uid-shop"))
        .await
        .unwrap();
    app.register_client("shop", |_| ()).await;
    for device in [&waiting, &allowed] {
        device
            .poll(&app)
            .await
            .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
}

/// What a device holds is on the account page, and ends there.
#[tokio::test]
async fn rule_75_a_device_is_ended_on_the_account_page() {
    let app = app_with_ada().await;
    let device = Device::begin(&app).await;
    let browser = Browser::new(&app);
    allow(&browser, &device).await;
    let told = tokens(&device.poll(&app).await);
    let page = browser.get("/account").await;
    let form = &Form::to(&page, "/account/end-app")[0];
    assert_eq!(form.field("client_id"), "team-a.shop");
    location(&browser.submit(form, &[]).await);
    let refreshed = app.refresh("shop", told["refresh_token"].as_str().unwrap()).await;
    refreshed.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// Wrong codes of one network, and of one person wherever they are, are answered ever more slowly; a right one while it
/// waits is not even looked at, and somebody elsewhere is not held up.
#[tokio::test]
async fn rule_43_attempts_at_user_codes_are_limited() {
    let app = app_with_ada().await;
    let device = Device::begin(&app).await;
    let thief = Browser::at(&app, "192.0.2.1");
    for _ in 0..10 {
        assert_eq!(
            type_code(&thief, "BCDF-GHJK").await.status,
            StatusCode::BAD_REQUEST
        );
    }
    let page = type_code(&thief, &device.user_code).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header("retry-after"), Some("1"));
    let elsewhere = Browser::at(&app, "192.0.2.2");
    location(&type_code(&elsewhere, &device.user_code).await);

    // A person takes their attempts along to another network.
    elsewhere.sign_in_as_ada().await;
    // Who is signed in is not held up by the thief beside them.
    let neighbour = Browser::at(&app, "192.0.2.1");
    neighbour
        .cookies
        .borrow_mut()
        .clone_from(&elsewhere.cookies.borrow());
    location(&type_code(&neighbour, &device.user_code).await);
    for _ in 0..10 {
        assert_eq!(
            type_code(&elsewhere, "BCDF-GHJK").await.status,
            StatusCode::BAD_REQUEST
        );
    }
    let moved = Browser::at(&app, "192.0.2.3");
    moved.cookies.borrow_mut().clone_from(&elsewhere.cookies.borrow());
    let page = type_code(&moved, &device.user_code).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    app.advance(Duration::from_secs(1));
    location(&type_code(&moved, &device.user_code).await);
}

/// Whoever names a public client begins devices at the expense of their network.
#[tokio::test]
async fn rule_88_a_public_client_begins_devices_at_the_expense_of_the_network() {
    let app = app_with_ada().await;
    app.register_client("tv", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.initial_secret_versions.clear();
    })
    .await;
    let app = app.with_settings(Settings {
        rate_limits: RateLimits {
            token: Limit::new(1, 10),
            ..RateLimits::OFF
        },
        ..Settings::default()
    });
    let form = [("client_id", "team-a.tv"), ("scope", "openid")];
    for _ in 0..10 {
        Device::of(&app.send(client_request(DEVICE, None, &form)).await);
    }
    let response = app.send(client_request(DEVICE, None, &form)).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    Device::begin(&app).await;
}

/// While the store is away nothing is begun, answered or redeemed, and no code looks wrong.
#[tokio::test]
async fn rule_82_a_store_that_is_away_is_no_wrong_code() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let device = Device::begin(&app).await;
    for operation in ["begin_attempt", "device_authorization"] {
        app.store.fail(operation, Fault::Unavailable);
        let page = type_code(&browser, &device.user_code).await;
        assert_error_page(&page, StatusCode::SERVICE_UNAVAILABLE, &[]);
        app.store.heal();
    }
    let question = at_the_question(&browser, &device).await;
    app.store.fail("approve_device", Fault::Unavailable);
    let page = browser.submit(&Form::of(&question), &[("answer", "allow")]).await;
    assert_error_page(&page, StatusCode::SERVICE_UNAVAILABLE, &[]);
    app.store.heal();
    let end = browser.submit(&Form::of(&question), &[("answer", "allow")]).await;
    assert_end(&end, StatusCode::OK, "device-allowed");
    app.store.fail("redeem_device_code", Fault::Unavailable);
    assert_eq!(device.poll(&app).await.status, StatusCode::SERVICE_UNAVAILABLE);
    app.store.heal();
    tokens(&device.poll(&app).await);
}
