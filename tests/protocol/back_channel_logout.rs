//! OpenID Connect Back-Channel Logout: what apps are told when a session ends, over real TLS on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use claviger::oidc::client::SubjectType;
use claviger::oidc::profile::Profile;
use claviger::oidc::signing_algorithm::SigningAlgorithm;
use claviger::provider::back_channel_logout::{LogoutNotifier, PAUSES};
use claviger::provider::notices::Notices;
use claviger::store::Store;
use claviger::store::records::{ClientRecord, ClientRegistration};
use http::StatusCode;
use serde_json::{Value, json};
use testbed::poll;
use testbed::tls_receiver::{Answer, Posted, TlsReceiver};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app::{ISSUER, TestApp, TestResponse, encode};
use crate::browser::{Browser, Form, PASSWORD, answered, app_with_ada, location};
use crate::device;
use crate::egress::{Ca, Names};
use crate::jwt::{members, part, verified};
use crate::log::Log;

const PATIENCE: Duration = Duration::from_mins(1);
const LOOPBACK: &[&str] = &["127.0.0.0/8"];

/// Registers `name` with an address where it is told.
async fn register(app: &TestApp, name: &str, receiver: &TlsReceiver) {
    register_with(app, name, receiver, |_| ()).await;
}

async fn register_with(
    app: &TestApp,
    name: &str,
    receiver: &TlsReceiver,
    change: impl FnOnce(&mut ClientRegistration),
) {
    let uri = format!("https://{}/backchannel-logout", receiver.address());
    app.register_client(name, |registration| {
        registration.client.backchannel_logout_uri = Some(uri);
        change(registration);
    })
    .await;
}

/// The task that tells apps, until it is dropped.
fn notifier(app: &TestApp, ca: &Ca, allowed: &[&str]) -> AbortOnDropHandle<()> {
    telling(app, ca, allowed, &Arc::default())
}

fn telling(app: &TestApp, ca: &Ca, allowed: &[&str], told: &Arc<Told>) -> AbortOnDropHandle<()> {
    let egress = Arc::new(ca.egress(allowed, &Names::new([])));
    let notifier = LogoutNotifier::new(app.provider().telling(told.clone()), egress);
    AbortOnDropHandle::new(tokio::spawn(notifier.run(CancellationToken::new())))
}

/// The owners of clients that were told of a failure.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn clients(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Notices for Told {
    fn redirect_uri_rejected(&self, _: &ClientRecord, _: &str) {}

    fn client_assertion_rejected(&self, _: &ClientRecord, _: &'static str) {}

    fn logout_token_given_up(&self, client: &ClientRecord) {
        self.0.lock().unwrap().push(client.client.client_id.to_string());
    }
}

/// Signs ada in to an app, whether or not she is signed in here, and gives the tokens that it gets.
async fn sign_in(app: &TestApp, browser: &Browser<'_>, client: &str) -> Value {
    let client_id = format!("team-a.{client}");
    let mut response = browser.authorize(&[("client_id", &client_id)]).await;
    if response.status == StatusCode::OK {
        response = browser.sign_in(&response, "ada", PASSWORD).await;
    }
    if location(&response).starts_with("/consent") {
        response = browser.answer_consent(&response, "allow").await;
    }
    let tokens = app.redeem(client, &answered(&response)["code"]).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text());
    tokens.json()
}

/// The claims of the ID token, not verified.
fn id_token(tokens: &Value) -> Value {
    part(tokens["id_token"].as_str().unwrap(), 1)
}

async fn sign_out(browser: &Browser<'_>) -> TestResponse {
    let page = browser.get("/logout").await;
    browser.submit(&Form::of(&page), &[]).await
}

fn logout_token(posted: &Posted) -> String {
    assert_eq!(
        posted.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    posted.field("logout_token").unwrap()
}

/// Everything that waits to be told: client, `sub` and `sid`.
async fn waiting(app: &TestApp) -> Vec<(String, String, Option<String>)> {
    let mut waiting = Vec::new();
    while let Some(claimed) = app
        .store
        .claim_logout_notice(None, &[], &[Duration::from_hours(1)])
        .await
        .unwrap()
    {
        let notice = claimed.notice;
        waiting.push((
            claimed.client.client.client_id.to_string(),
            notice.sub.to_string(),
            notice.sid,
        ));
    }
    waiting.sort();
    waiting
}

/// Waits for the audit log to say something so often.
async fn heard(log: &Log, event: &str, times: usize) {
    poll::until(event, PATIENCE, async || {
        let audit = log.audit();
        let found = audit.iter().filter(|line| line["fields"]["event"] == event);
        Ok((found.count() >= times).then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {}", log.text()));
}

/// The logout token names issuer, client, person and session as the ID token does, is signed by the same algorithm, says by
/// its `typ` and `events` what it is, holds no `nonce`, and is good for two minutes at most (sections 2.4 and 4). Each has a `jti`
/// of its own.
#[tokio::test]
async fn rule_73_a_logout_token_says_which_session_ended() {
    let app = app_with_ada().await;
    let ca = Ca::new();
    let mut receiver = ca.receiver(Answer::Status(204)).await;
    let _notifier = notifier(&app, &ca, LOOPBACK);
    let (log, _guard) = Log::capture();
    let mut jtis = Vec::new();
    for (round, (algorithm, subject_type)) in [
        (SigningAlgorithm::Rs256, SubjectType::Public),
        (
            SigningAlgorithm::Es256,
            SubjectType::Pairwise {
                sector_identifier: "shop.example.org".to_owned(),
            },
        ),
    ]
    .into_iter()
    .enumerate()
    {
        register_with(&app, "shop", &receiver, |registration| {
            registration.client.signing.id_token = algorithm;
            registration.client.subject_type = subject_type;
        })
        .await;
        let browser = Browser::new(&app);
        let tokens = sign_in(&app, &browser, "shop").await;
        let hint = encode(&[("id_token_hint", tokens["id_token"].as_str().unwrap())]);
        assert_eq!(
            location(&browser.get(&format!("/logout?{hint}")).await),
            "/logout"
        );

        let token = logout_token(&receiver.next().await.unwrap());
        let (header, claims) = verified(&app, &token).await;
        assert_eq!(header.typ.as_deref(), Some("logout+jwt"));
        assert_eq!(format!("{:?}", header.alg), algorithm.name());
        assert_eq!(
            members(&claims),
            ["aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"]
        );
        let id_token = id_token(&tokens);
        for claim in ["iss", "aud", "sub", "sid"] {
            assert_eq!(claims[claim], id_token[claim], "{claim}");
        }
        assert_eq!(claims["iss"], ISSUER);
        assert_eq!(
            claims["events"],
            json!({"http://schemas.openid.net/event/backchannel-logout": {}})
        );
        let now = app.now().as_second();
        assert_eq!(
            (claims["iat"].as_i64(), claims["exp"].as_i64()),
            (Some(now), Some(now + 120))
        );
        jtis.push(claims["jti"].as_str().unwrap().to_owned());
        heard(&log, "logout_token_accepted", round + 1).await;
    }
    assert_ne!(jtis[0], jtis[1]);
    app.advance(Duration::from_hours(12));
    assert_eq!(waiting(&app).await, []);
    assert!(receiver.waiting().is_none());
    assert!(!log.text().contains("eyJ"), "a token is in the log");
}

/// Only apps hear of the end of a session that were given an ID token in it: none where the same person is signed in
/// elsewhere, none of another person, none that was never used, and none that did not ask to be told.
#[tokio::test]
async fn rule_74_only_clients_that_took_part_are_told() {
    let app = app_with_ada().await;
    let ca = Ca::new();
    let receiver = ca.receiver(Answer::Status(200)).await;
    for name in ["shop", "blog", "unused", "another-tenant"] {
        register(&app, name, &receiver).await;
    }
    app.register_client("silent", |_| ()).await;
    app.register_user_with_password("bob", PASSWORD).await;
    let browser = Browser::new(&app);
    let shop = id_token(&sign_in(&app, &browser, "shop").await);
    sign_in(&app, &browser, "silent").await;
    // A code that nobody redeems is no sign-in.
    let redirect = browser.authorize(&[("client_id", "team-a.unused")]).await;
    answered(&browser.answer_consent(&redirect, "allow").await);
    let elsewhere = Browser::new(&app);
    sign_in(&app, &elsewhere, "shop").await;
    sign_in(&app, &elsewhere, "blog").await;
    let bob = Browser::new(&app);
    let page = bob.authorize(&[("client_id", "team-a.another-tenant")]).await;
    let redirect = bob.sign_in(&page, "bob", PASSWORD).await;
    let answer = answered(&bob.answer_consent(&redirect, "allow").await);
    app.redeem("another-tenant", &answer["code"]).await;

    sign_out(&browser).await;
    let told = |client: &str, id_token: &Value| {
        (
            client.to_owned(),
            id_token["sub"].as_str().unwrap().to_owned(),
            Some(id_token["sid"].as_str().unwrap().to_owned()),
        )
    };
    assert_eq!(waiting(&app).await, [told("team-a.shop", &shop)]);
    // Signed out twice is told once.
    sign_out(&elsewhere).await;
    assert_eq!(waiting(&app).await.len(), 2);
    assert_eq!(waiting(&app).await, []);
}

/// Who signs in again in the same browser stays in the apps, and each hears of the end by every `sid` that it was given: those
/// of before, and that of a refresh since.
#[tokio::test]
async fn rule_74_apps_hear_of_the_session_by_the_sid_that_they_know() {
    let app = app_with_ada().await;
    let ca = Ca::new();
    let receiver = ca.receiver(Answer::Status(200)).await;
    for name in ["shop", "blog"] {
        register(&app, name, &receiver).await;
    }
    let browser = Browser::new(&app);
    let shop = sign_in(&app, &browser, "shop").await;
    let blog = sign_in(&app, &browser, "blog").await;
    let page = browser.authorize(&[("prompt", "login")]).await;
    answered(&browser.sign_in(&page, "ada", PASSWORD).await);
    assert_eq!(waiting(&app).await, []);
    let refreshed = app.refresh("shop", shop["refresh_token"].as_str().unwrap()).await;
    sign_out(&browser).await;
    let sid = |tokens: &Value| id_token(tokens)["sid"].as_str().unwrap().to_owned();
    let mut expected = [
        ("team-a.blog".to_owned(), sid(&blog)),
        ("team-a.shop".to_owned(), sid(&shop)),
        ("team-a.shop".to_owned(), sid(&refreshed.json())),
    ];
    expected.sort();
    let told: Vec<_> = waiting(&app)
        .await
        .into_iter()
        .map(|(client, _, sid)| (client, sid.unwrap()))
        .collect();
    assert_eq!(told, expected);
    assert_ne!(expected[1], expected[2]);
}

/// A device takes part in the session of whoever allowed it, and hears of its end.
#[tokio::test]
async fn rule_74_a_device_hears_of_the_session() {
    let app = app_with_ada().await;
    let ca = Ca::new();
    let receiver = ca.receiver(Answer::Status(200)).await;
    register(&app, "shop", &receiver).await;
    let browser = Browser::new(&app);
    let tokens = device::signed_in(&app, &browser).await;
    sign_out(&browser).await;
    let sid = id_token(&tokens)["sid"].as_str().unwrap().to_owned();
    let expected = ("team-a.shop".to_owned(), "subject-ada".to_owned(), Some(sid));
    assert_eq!(waiting(&app).await, [expected]);
}

/// A client of FAPI 2.0 is told by the algorithm of its ID tokens, which never is RS256.
#[tokio::test]
async fn fapi2_5_4_1_no_logout_token_is_signed_by_rs256() {
    let app = app_with_ada().await;
    let ca = Ca::new();
    let mut receiver = ca.receiver(Answer::Status(200)).await;
    register(&app, "shop", &receiver).await;
    let browser = Browser::new(&app);
    sign_in(&app, &browser, "shop").await;
    register_with(&app, "shop", &receiver, |registration| {
        registration.client.profile = Some(Profile::Fapi2);
    })
    .await;
    sign_out(&browser).await;
    let _notifier = notifier(&app, &ca, LOOPBACK);
    let posted = receiver.next().await.unwrap();
    assert_eq!(part(&logout_token(&posted), 0)["alg"], "ES256");
}

/// The person is answered before anybody is told, and an app that never answers delays neither them nor another app.
#[tokio::test]
async fn rule_73_nobody_waits_for_an_app_that_does_not_answer() {
    let app = app_with_ada().await;
    let ca = Ca::new();
    let mut deaf = ca.receiver(Answer::Never).await;
    let mut receiver = ca.receiver(Answer::Status(200)).await;
    register(&app, "shop", &deaf).await;
    register(&app, "blog", &receiver).await;
    let browsers = [Browser::new(&app), Browser::new(&app), Browser::new(&app)];
    for browser in &browsers {
        sign_in(&app, browser, "shop").await;
        sign_in(&app, browser, "blog").await;
        // Nobody tells anybody yet, and the person is signed out.
        assert_eq!(location(&sign_out(browser).await), "/logout");
        assert_eq!(browser.cookie("session"), None);
    }
    assert_eq!((deaf.connections(), receiver.connections()), (0, 0));
    let (log, _guard) = Log::capture();
    let _notifier = notifier(&app, &ca, LOOPBACK);
    deaf.next().await.unwrap();
    for _ in &browsers {
        receiver.next().await.unwrap();
    }
    heard(&log, "logout_token_accepted", 3).await;
    // One at a time: the app that does not answer holds one place, whatever waits for it.
    let failed = log
        .audit()
        .iter()
        .filter(|line| line["fields"]["event"] == "logout_token_not_accepted")
        .count();
    assert_eq!(deaf.connections(), failed + 1);
    assert_eq!(receiver.connections(), 3);
}

/// An app that fails, or whose address is refused, is tried five times in all, each time with a new token; then its owner is
/// told, without why. What it refuses for good it is not asked again.
#[tokio::test]
async fn rule_73_attempts_are_bounded() {
    for (answer, allowed, attempts, connections) in [
        (Answer::Status(503), LOOPBACK, PAUSES.len(), PAUSES.len()),
        (
            Answer::Redirect("https://shop.example.org/".to_owned()),
            LOOPBACK,
            PAUSES.len(),
            PAUSES.len(),
        ),
        (Answer::Status(200), &[], PAUSES.len(), 0),
        (Answer::Status(400), LOOPBACK, 1, 1),
    ] {
        let app = app_with_ada().await;
        let ca = Ca::new();
        let mut receiver = ca.receiver(answer.clone()).await;
        register(&app, "shop", &receiver).await;
        let browser = Browser::new(&app);
        sign_in(&app, &browser, "shop").await;
        sign_out(&browser).await;
        let (log, _guard) = Log::capture();
        let told = Arc::new(Told::default());
        let notifier = telling(&app, &ca, allowed, &told);
        for (attempt, pause) in PAUSES.iter().enumerate().take(attempts - 1) {
            heard(&log, "logout_token_not_accepted", attempt + 1).await;
            assert_eq!(told.clients(), [""; 0]);
            app.advance(*pause);
        }
        heard(&log, "logout_token_given_up", 1).await;
        assert_eq!(told.clients(), ["team-a.shop"], "{answer:?}");
        drop(notifier);
        app.advance(Duration::from_hours(12));
        assert_eq!(waiting(&app).await, [], "{answer:?}");
        assert_eq!(receiver.connections(), connections, "{answer:?}");
        let mut jtis = Vec::new();
        while let Some(posted) = receiver.waiting() {
            let claims = part(&logout_token(&posted), 1);
            jtis.push(claims["jti"].as_str().unwrap().to_owned());
        }
        assert_eq!(jtis.len(), connections);
        jtis.sort();
        jtis.dedup();
        assert_eq!(jtis.len(), connections, "a token was sent twice");
    }
}

/// A logout token is no ID token and no access token, and the others are none that this issuer takes for one: `typ` tells them
/// apart (section 4; RFC 9068 section 4).
#[tokio::test]
async fn rule_48_a_logout_token_is_nothing_else() {
    let app = app_with_ada().await;
    let ca = Ca::new();
    let mut receiver = ca.receiver(Answer::Status(200)).await;
    register(&app, "shop", &receiver).await;
    let browser = Browser::new(&app);
    let tokens = sign_in(&app, &browser, "shop").await;
    let offered = app.tokens("openid").await;
    let _notifier = notifier(&app, &ca, LOOPBACK);
    sign_out(&browser).await;
    let token = logout_token(&receiver.next().await.unwrap());
    app.userinfo(&token)
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_token");
    assert_eq!(app.introspect("shop", &token).await, json!({"active": false}));
    // As a hint it proves nothing: the person is asked, where an ID token of this session would end it.
    sign_in(&app, &browser, "shop").await;
    let hint = encode(&[("id_token_hint", &*token)]);
    let page = browser.get(&format!("/logout?{hint}")).await;
    assert!(page.text().contains("id=\"confirm-logout\""), "{}", page.text());
    let types: Vec<Value> = [
        &*token,
        tokens["id_token"].as_str().unwrap(),
        offered["access_token"].as_str().unwrap(),
    ]
    .map(|token| part(token, 0)["typ"].clone())
    .into();
    assert_eq!(types, ["logout+jwt", "JWT", "at+jwt"]);
}

/// A store that is away while somebody looks for what to tell ends nothing: it is told when the store is back.
#[tokio::test]
async fn rule_82_a_store_that_is_away_loses_no_notice() {
    let app = app_with_ada().await;
    let ca = Ca::new();
    let mut receiver = ca.receiver(Answer::Status(200)).await;
    register(&app, "shop", &receiver).await;
    let browser = Browser::new(&app);
    sign_in(&app, &browser, "shop").await;
    sign_out(&browser).await;
    app.store
        .fail("claim_logout_notice", crate::faulty_store::Fault::Unavailable);
    let (log, _guard) = Log::capture();
    let _notifier = notifier(&app, &ca, LOOPBACK);
    poll::until("the notifier to look", PATIENCE, async || {
        Ok(log.text().contains("trying again later").then_some(()))
    })
    .await
    .unwrap();
    app.store.heal();
    receiver.next().await.unwrap();
}
