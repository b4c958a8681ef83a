//! Device codes (RFC 8628).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use claviger::clock::{Timestamp, later};
use claviger::oidc::authorization_request::{AuthorizationRequest, WaitingDevice};
use claviger::oidc::scope::ScopeSet;
use claviger::store::records::{DeviceAnswer, DeviceCodeRecord, GrantRecord, SessionRecord};
use claviger::store::{IssueCode, RedeemDeviceCode, Store};
use futures::future::join_all;

use crate::bench::{Bench, CLIENT, GRANT, HANDLE, REFRESH, USER, uid};
use crate::fixtures;

const DEVICE: &str = "device";
const USER_CODE: &str = "BCDFGHJK";

pub(crate) fn record(device: &str, user_code: &str, client: &str, now: Timestamp) -> DeviceCodeRecord {
    DeviceCodeRecord {
        hash: fixtures::hash(device),
        user_code: fixtures::hash(user_code),
        request: AuthorizationRequest {
            redirect_uri: String::new(),
            device: Some(WaitingDevice {
                code: fixtures::hash(device),
                user_code: None,
            }),
            ..fixtures::authorization_request(client)
        },
        expires_at: later(now, Duration::from_mins(10)),
        interval_seconds: 5,
        polled_at: None,
        answer: DeviceAnswer::Pending,
    }
}

async fn begin(bench: &Bench, device: &str, user_code: &str, client: &str) -> bool {
    let record = record(device, user_code, client, bench.now());
    bench.store.begin_device_authorization(record).await.unwrap()
}

async fn waits(bench: &Bench, user_code: &str) -> bool {
    let found = bench.store.device_authorization(&fixtures::hash(user_code)).await;
    found.unwrap().is_some()
}

fn grant(bench: &Bench, session: &SessionRecord) -> GrantRecord {
    GrantRecord {
        offline: true,
        ..fixtures::grant(GRANT, session, CLIENT, bench.now())
    }
}

async fn approve(bench: &Bench, grant: &GrantRecord) -> IssueCode {
    let (row, device) = (fixtures::hash(HANDLE), fixtures::hash(DEVICE));
    bench
        .store
        .approve_device(row, &device, grant.clone(), None)
        .await
        .unwrap()
}

async fn redeem(bench: &Bench) -> &'static str {
    redeem_as(&*bench.store, DEVICE, CLIENT, bench.now()).await
}

pub(crate) async fn redeem_as(store: &dyn Store, device: &str, client: &str, now: Timestamp) -> &'static str {
    let token = fixtures::refresh_token(&format!("refresh token of {device}"), now);
    let hash = fixtures::hash(device);
    match store
        .redeem_device_code(&hash, &uid(client), Some(token))
        .await
        .unwrap()
    {
        RedeemDeviceCode::Pending => "pending",
        RedeemDeviceCode::SlowDown => "slow down",
        RedeemDeviceCode::Denied => "denied",
        RedeemDeviceCode::Fresh(_, _) => "fresh",
        RedeemDeviceCode::Expired => "expired",
        RedeemDeviceCode::Mismatch => "mismatch",
        RedeemDeviceCode::Unknown => "unknown",
        RedeemDeviceCode::Refused => "refused",
    }
}

/// A device waits, is found by its user code, is allowed, and redeems its code for what was allowed: a grant with a refresh
/// token, and a consent where that is remembered.
pub(crate) async fn rule_43_a_device_waits_is_allowed_and_redeems(bench: &Bench) {
    let session = bench.signed_in().await;
    assert_eq!(redeem(bench).await, "unknown");
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    let found = bench.store.device_authorization(&fixtures::hash(USER_CODE)).await;
    assert_eq!(
        found.unwrap(),
        Some(record(DEVICE, USER_CODE, CLIENT, bench.now()))
    );
    assert_eq!(redeem(bench).await, "pending");

    let grant = grant(bench, &session);
    let (row, device) = (fixtures::hash(HANDLE), fixtures::hash(DEVICE));
    let allowed = claviger::oidc::consent::Consent::new(ScopeSet::parse("openid"), BTreeSet::new());
    let approved = bench
        .store
        .approve_device(row, &device, grant.clone(), Some(allowed.clone()))
        .await;
    assert_eq!(approved.unwrap(), IssueCode::Issued);
    assert!(!waits(bench, USER_CODE).await);
    assert!(bench.store.interaction(&row).await.unwrap().is_none());
    let consent = bench.store.consent(&uid(USER), &uid(CLIENT)).await.unwrap();
    assert_eq!(consent, allowed);

    let token = fixtures::refresh_token(REFRESH, bench.now());
    let redeemed = bench
        .store
        .redeem_device_code(&device, &uid(CLIENT), Some(token))
        .await;
    let RedeemDeviceCode::Fresh(redeemed, _) = redeemed.unwrap() else {
        panic!("it is not redeemed");
    };
    assert_eq!(redeemed.grant, grant);
    assert_eq!(redeemed.user.user.uid, uid(USER));
    assert!(bench.grant_is_live().await);
    assert_eq!(redeem(bench).await, "unknown");
    assert!(bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "successor").await, "rotated");
    // The letters may be drawn again.
    assert!(begin(bench, "another", USER_CODE, CLIENT).await);
}

/// Of 64 that redeem at once, one gets it.
pub(crate) async fn rule_43_a_device_code_is_redeemed_once_by_64_at_once(bench: &Bench) {
    let session = bench.signed_in().await;
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    assert_eq!(approve(bench, &grant(bench, &session)).await, IssueCode::Issued);
    let now = bench.now();
    let attempts: Vec<_> = (0..64)
        .map(|_| {
            let store: Arc<dyn Store> = bench.store.clone();
            tokio::spawn(async move { redeem_as(&*store, DEVICE, CLIENT, now).await })
        })
        .collect();
    let mut redeemed = 0;
    for attempt in attempts {
        redeemed += usize::from(attempt.await.unwrap() == "fresh");
    }
    assert_eq!(redeemed, 1);
}

/// The first answer counts.
pub(crate) async fn rule_43_a_device_is_answered_once(bench: &Bench) {
    let session = bench.signed_in().await;
    let device = fixtures::hash(DEVICE);
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    bench.store.deny_device(&device).await.unwrap();
    assert!(!waits(bench, USER_CODE).await);
    assert_eq!(
        approve(bench, &grant(bench, &session)).await,
        IssueCode::InteractionGone
    );
    assert!(!bench.grant_is_live().await);
    for _ in 0..2 {
        assert_eq!(redeem(bench).await, "denied");
    }

    bench.store.deny_device(&fixtures::hash("unknown")).await.unwrap();
}

/// A device that asks sooner than its interval waits for five seconds more each time.
pub(crate) async fn rule_43_a_device_that_asks_too_soon_slows_down(bench: &Bench) {
    bench.signed_in().await;
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    for (seconds, expected) in [
        (0, "pending"),
        (5, "pending"),
        (4, "slow down"),
        (9, "slow down"),
        (15, "pending"),
        (14, "slow down"),
        (20, "pending"),
    ] {
        bench.advance(Duration::from_secs(seconds));
        assert_eq!(redeem(bench).await, expected, "after {seconds}");
    }
    for _ in 0..100 {
        assert_eq!(redeem(bench).await, "slow down");
    }
    // It does not grow without end.
    bench.advance(Duration::from_mins(5));
    assert_eq!(redeem(bench).await, "pending");
}

/// While a device has a user code, no other one gets it; one whose time is over gives it up.
pub(crate) async fn rule_43_a_user_code_is_of_one_device(bench: &Bench) {
    bench.register().await;
    bench.another_client("blog").await;
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    assert!(!begin(bench, "another", USER_CODE, "blog").await);
    assert_eq!(redeem(bench).await, "pending");
    bench.advance(Duration::from_mins(10));
    assert!(begin(bench, "another", USER_CODE, "blog").await);
    assert_eq!(redeem(bench).await, "unknown");
    assert!(waits(bench, USER_CODE).await);
}

/// Another client learns nothing of a code, and changes nothing: not even how soon its device may ask again.
pub(crate) async fn rule_43_a_device_code_is_its_clients(bench: &Bench) {
    let session = bench.signed_in().await;
    bench.another_client("blog").await;
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    assert_eq!(redeem(bench).await, "pending");
    for _ in 0..3 {
        assert_eq!(
            redeem_as(&*bench.store, DEVICE, "blog", bench.now()).await,
            "mismatch"
        );
    }
    bench.advance(Duration::from_secs(5));
    assert_eq!(redeem(bench).await, "pending");
    assert_eq!(approve(bench, &grant(bench, &session)).await, IssueCode::Issued);
    assert_eq!(
        redeem_as(&*bench.store, DEVICE, "blog", bench.now()).await,
        "mismatch"
    );
    assert_eq!(redeem(bench).await, "fresh");
}

/// After ten minutes a code can be neither answered nor redeemed; for ten more it is known to have expired, and then it is
/// forgotten with whatever was allowed and never fetched.
pub(crate) async fn rule_43_a_device_code_expires_and_is_swept(bench: &Bench) {
    let session = bench.signed_in().await;
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    assert!(begin(bench, "late", "late code", CLIENT).await);
    bench.advance(Duration::from_secs(599));
    assert_eq!(approve(bench, &grant(bench, &session)).await, IssueCode::Issued);
    assert!(waits(bench, "late code").await);
    bench.advance(Duration::from_secs(1));
    assert!(!waits(bench, "late code").await);
    assert_eq!(redeem(bench).await, "expired");
    assert!(bench.grant_is_live().await);
    bench.store.sweep(100).await.unwrap();
    bench.advance(Duration::from_secs(599));
    bench.store.sweep(100).await.unwrap();
    assert_eq!(redeem(bench).await, "expired");
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 2);
    assert_eq!(redeem(bench).await, "unknown");
    assert!(!bench.grant_is_live().await);
}

/// Interaction, client, person and session are checked when a person allows, and the grant when a device redeems.
pub(crate) async fn rule_43_allowing_checks_everything_again(bench: &Bench) {
    let session = bench.signed_in().await;
    bench.another_client("blog").await;
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    let grant = grant(bench, &session);
    let of_another = GrantRecord {
        client_uid: uid("blog"),
        client_id: fixtures::client("blog").client_id,
        ..grant.clone()
    };
    assert_eq!(approve(bench, &of_another).await, IssueCode::InteractionGone);
    let in_another_session = GrantRecord {
        session: fixtures::hash("another"),
        ..grant.clone()
    };
    assert_eq!(
        approve(bench, &in_another_session).await,
        IssueCode::InteractionGone
    );
    let mut registration = fixtures::client_registration(CLIENT, bench.now());
    registration.client.suspended = true;
    bench.store.register_client(registration.clone()).await.unwrap();
    assert_eq!(approve(bench, &grant).await, IssueCode::ClientRefused);
    registration.client.suspended = false;
    bench.store.register_client(registration).await.unwrap();
    assert_eq!(redeem(bench).await, "pending");

    assert_eq!(approve(bench, &grant).await, IssueCode::Issued);
    assert_eq!(approve(bench, &grant).await, IssueCode::InteractionGone);
    bench.store.revoke_grant(&grant.id).await.unwrap();
    assert_eq!(redeem(bench).await, "refused");
}

/// A removed client takes its devices along, and one made again under its name does not have them.
pub(crate) async fn rule_43_a_device_ends_with_its_client(bench: &Bench) {
    bench.signed_in().await;
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    assert!(!waits(bench, USER_CODE).await);
    bench.register().await;
    assert_eq!(redeem(bench).await, "unknown");
}

/// Of one client ten thousand are kept: the next pushes out the one that would end first, never one that a person has allowed
/// while there is another, and nobody else's.
pub(crate) async fn rule_88_the_first_of_too_many_device_codes_makes_room(bench: &Bench) {
    let session = bench.signed_in().await;
    bench.another_client("blog").await;
    assert!(begin(bench, DEVICE, USER_CODE, CLIENT).await);
    assert!(begin(bench, "of another", "of another", "blog").await);
    assert_eq!(approve(bench, &grant(bench, &session)).await, IssueCode::Issued);
    let numbers: Vec<u64> = (1..10_000).collect();
    // A few at once, so that they share a commit.
    for some in numbers.chunks(20) {
        let begun = some.iter().map(|number| {
            let (name, began) = (
                number.to_string(),
                later(bench.now(), Duration::from_millis(*number)),
            );
            bench
                .store
                .begin_device_authorization(record(&name, &name, CLIENT, began))
        });
        assert!(join_all(begun).await.into_iter().all(|begun| begun.unwrap()));
    }
    assert!(waits(bench, "1").await);
    assert!(begin(bench, "last", "last", CLIENT).await);
    for (name, kept) in [("1", false), ("2", true), ("last", true), ("of another", true)] {
        assert_eq!(waits(bench, name).await, kept, "{name}");
    }
    assert_eq!(redeem(bench).await, "fresh");
}
