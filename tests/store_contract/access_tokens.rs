//! Access tokens that hang on no grant, and whose subjects they carry.

use std::ops::Range;
use std::time::Duration;

use claviger::clock::later;
use claviger::oidc::access_token::AccessTokenClaims;
use claviger::oidc::audience::Audience;
use claviger::oidc::identifier::{ClientId, Subject};
use claviger::store::records::AccessTokenRecord;
use claviger::store::{RegisterClient, RegisterUser, RevokeAccessToken};
use futures::future::join_all;

use crate::bench::{Bench, CLIENT, GRANT, USER, uid};
use crate::fixtures;

/// A token of the client `shop` that hangs on `basis` and is good for that long.
fn token(bench: &Bench, basis: &str, handle: &str, seconds: i64) -> AccessTokenRecord {
    AccessTokenRecord {
        hash: fixtures::hash(handle),
        client_uid: Some(uid(CLIENT)),
        claims: AccessTokenClaims {
            iss: "https://id.example.org".into(),
            sub: "subject".into(),
            aud: Audience::of(&["urn:a".to_owned(), "urn:b".to_owned()], ""),
            exp: bench.now().as_second() + seconds,
            iat: bench.now().as_second(),
            jti: format!("{basis}.{handle}").into(),
            client_id: "team-a.shop".into(),
            scope: "openid".into(),
            auth_time: Some(1),
            groups: None,
            cnf: None,
        },
    }
}

/// An opaque access token is found by its hash and by nothing else until its expiry, and is then swept.
pub(crate) async fn rule_54_an_opaque_access_token_is_kept_until_its_expiry(bench: &Bench) {
    let record = |handle: &str, seconds: i64| token(bench, GRANT, handle, seconds);
    let found = async |handle: &str| bench.store.access_token(&fixtures::hash(handle)).await.unwrap();
    for (handle, seconds) in [("short", 10), ("long", 20)] {
        assert_eq!(found(handle).await, None);
        bench
            .store
            .begin_access_token(record(handle, seconds))
            .await
            .unwrap();
        assert_eq!(found(handle).await, Some(record(handle, seconds)));
    }
    let long = found("long").await;
    assert!(
        bench
            .store
            .refresh_token(&fixtures::hash("long"))
            .await
            .unwrap()
            .is_none()
    );
    bench.advance(Duration::from_millis(9_999));
    assert!(found("short").await.is_some());
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
    bench.advance(Duration::from_millis(1));
    assert!(found("short").await.is_none());
    assert_eq!(found("long").await, long);
    assert_eq!(bench.store.sweep(100).await.unwrap(), 1);
    let begun = later(bench.now(), Duration::ZERO);
    bench.clock.set(claviger::clock::Timestamp::UNIX_EPOCH);
    assert!(found("short").await.is_none(), "the sweep has removed it");
    bench.clock.set(begun);
    assert_eq!(found("long").await, long);
}

/// Stores tokens whose expiries are in the order of their numbers.
async fn begin_many(bench: &Bench, basis: &str, numbers: Range<i64>) {
    together(numbers, async |number| {
        let token = token(bench, basis, &format!("{basis} {number}"), 1000 + number);
        bench.store.begin_access_token(token).await.unwrap();
    })
    .await;
}

/// A few at once, so that they share a commit; all of them would be more than one commit should take.
async fn together(numbers: Range<i64>, each: impl AsyncFn(i64)) {
    let numbers: Vec<i64> = numbers.collect();
    for some in numbers.chunks(20) {
        join_all(some.iter().map(|number| each(*number))).await;
    }
}

async fn is_kept(bench: &Bench, basis: &str, number: i64) -> bool {
    let hash = fixtures::hash(&format!("{basis} {number}"));
    bench.store.access_token(&hash).await.unwrap().is_some()
}

/// A grant has a hundred opaque tokens: the one that would expire first makes room, and those of others stay. They go with the
/// grant.
pub(crate) async fn rule_54_a_grant_has_a_hundred_opaque_access_tokens(bench: &Bench) {
    bench.redeemed(true).await;
    begin_many(bench, "other", 0..100).await;
    begin_many(bench, GRANT, 0..100).await;
    assert!(is_kept(bench, GRANT, 0).await);
    // Even where the newest would expire before all others.
    begin_many(bench, GRANT, -1..0).await;
    for (number, kept) in [(-1, true), (0, false), (1, true), (99, true)] {
        assert_eq!(is_kept(bench, GRANT, number).await, kept, "{number}");
    }
    begin_many(bench, GRANT, 100..102).await;
    for (number, kept) in [(-1, false), (1, false), (2, true), (101, true)] {
        assert_eq!(is_kept(bench, GRANT, number).await, kept, "{number}");
    }
    bench.store.end_app(&uid(USER), &uid(CLIENT)).await.unwrap();
    assert!(!is_kept(bench, GRANT, 101).await);
    for number in 0..100 {
        assert!(is_kept(bench, "other", number).await, "{number}");
    }
}

/// A client has ten thousand opaque tokens, those that are over not counted; they go with the client.
pub(crate) async fn rule_54_a_client_has_ten_thousand_opaque_access_tokens(bench: &Bench) {
    bench.register().await;
    let basis = format!("client:{}", uid(CLIENT));
    begin_many(bench, &basis, 0..10_000).await;
    assert!(is_kept(bench, &basis, 0).await);
    begin_many(bench, &basis, 10_000..10_001).await;
    assert!(!is_kept(bench, &basis, 0).await && is_kept(bench, &basis, 1).await);
    bench.advance(Duration::from_secs(1010));
    assert!(bench.store.sweep(100).await.unwrap() >= 10);
    begin_many(bench, &basis, 20_000..20_010).await;
    assert!(is_kept(bench, &basis, 11).await, "there was room");
    begin_many(bench, &basis, 20_010..20_011).await;
    assert!(!is_kept(bench, &basis, 11).await && is_kept(bench, &basis, 12).await);
    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    assert!(!is_kept(bench, &basis, 20_010).await);
}

/// Of one client a thousand revoked tokens are remembered: then it has to wait until one of them has expired, and none comes
/// back to life. Another client is not concerned.
pub(crate) async fn rule_60_so_many_revoked_access_tokens_are_remembered(bench: &Bench) {
    bench.register().await;
    bench.another_client("other").await;
    let expires_at = |number: i64| later(bench.now(), Duration::from_secs(100 + number.unsigned_abs()));
    let revoke = async |client: &str, number: i64| {
        let (client, jti) = (uid(client), fixtures::hash(&format!("{client} {number}")));
        let revoked = bench.store.revoke_access_token(&client, &jti, expires_at(number));
        revoked.await.unwrap()
    };
    let first = expires_at(0);
    together(0..1000, async |number| {
        assert_eq!(revoke(CLIENT, number).await, RevokeAccessToken::Revoked);
    })
    .await;
    assert_eq!(revoke(CLIENT, 1000).await, RevokeAccessToken::Full(first));
    assert!(is_good(bench, &format!("{CLIENT} 1000")).await && !is_good(bench, &format!("{CLIENT} 0")).await);
    assert_eq!(revoke(CLIENT, 0).await, RevokeAccessToken::Revoked, "once more");
    assert_eq!(revoke("other", 0).await, RevokeAccessToken::Revoked);
    bench.advance(Duration::from_millis(100_001));
    assert_eq!(revoke(CLIENT, 1000).await, RevokeAccessToken::Revoked);
    assert!(matches!(revoke(CLIENT, 1001).await, RevokeAccessToken::Full(_)));
}

async fn is_good(bench: &Bench, jti: &str) -> bool {
    let found = bench
        .store
        .client_of_access_token(&uid(CLIENT), &fixtures::hash(jti))
        .await
        .unwrap();
    if let Some(record) = &found {
        assert_eq!(record.client.uid, uid(CLIENT));
    }
    found.is_some()
}

/// A revoked token stays revoked for as long as it would have been good, and is then forgotten; others stay good.
pub(crate) async fn rule_60_a_revoked_access_token_stays_revoked(bench: &Bench) {
    bench.register().await;
    let expires_at = later(bench.now(), Duration::from_mins(10));
    assert!(is_good(bench, "first").await && is_good(bench, "second").await);
    let first = fixtures::hash("first");
    for _ in 0..2 {
        let revoked = bench
            .store
            .revoke_access_token(&uid(CLIENT), &first, expires_at)
            .await;
        assert_eq!(revoked.unwrap(), RevokeAccessToken::Revoked);
        assert!(!is_good(bench, "first").await && is_good(bench, "second").await);
    }
    bench.advance(Duration::from_secs(599));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
    assert!(!is_good(bench, "first").await);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 1);
    assert!(is_good(bench, "first").await, "it was not forgotten");
}

/// A client that is suspended, absent or removed stands behind no token.
pub(crate) async fn rule_20_a_token_is_dead_without_its_client(bench: &Bench) {
    assert!(!is_good(bench, "token").await);
    bench.register().await;
    assert!(is_good(bench, "token").await);
    let mut registration = fixtures::client_registration(CLIENT, bench.now());
    registration.client.suspended = true;
    bench.store.register_client(registration.clone()).await.unwrap();
    assert!(!is_good(bench, "token").await);
    registration.client.suspended = false;
    bench.store.register_client(registration.clone()).await.unwrap();
    assert!(is_good(bench, "token").await);
    bench.store.mark_clients_absent(&[uid(CLIENT)]).await.unwrap();
    assert!(!is_good(bench, "token").await);
    bench.store.register_client(registration).await.unwrap();
    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    assert!(!is_good(bench, "token").await);
}

/// No client gets an id that is or was a person's subject, and no person a subject that is a client's id: in tokens of
/// clients that act for themselves the one would pass for the other.
pub(crate) async fn rule_56_a_client_id_is_nobodys_subject(bench: &Bench) {
    bench.register().await;
    let subject = fixtures::end_user(USER).subject;
    let taken = async |name: &str, client_id: &str| {
        let mut registration = fixtures::client_registration(name, bench.now());
        registration.client.client_id = ClientId::new(client_id);
        let answer = bench.store.register_client(registration).await.unwrap();
        matches!(answer, RegisterClient::ClientIdIsSubject)
    };
    assert!(taken("thief", subject.as_str()).await);
    assert!(bench.store.client_by_uid(&uid("thief")).await.unwrap().is_none());

    let client_id = fixtures::client(CLIENT).client_id;
    let mut person = fixtures::user_registration("bob");
    person.user.subject = Subject::new(client_id.as_str());
    let answer = bench.store.register_user(person).await.unwrap();
    assert!(
        matches!(&answer, RegisterUser::SubjectIsClientId(holder) if holder.name == CLIENT),
        "{answer:?}"
    );
    assert!(bench.store.user_by_uid(&uid("bob")).await.unwrap().is_none());

    // Tokens of a client outlive it, by a day at most.
    let named = async |name: &str| {
        let mut person = fixtures::user_registration(name);
        person.user.subject = Subject::new("team-a.gone");
        bench.store.register_user(person).await.unwrap()
    };
    bench.another_client("gone").await;
    bench.store.remove_client(&uid("gone")).await.unwrap();
    let answer = named("bob").await;
    assert!(
        matches!(&answer, RegisterUser::SubjectIsClientId(holder) if holder.name == "gone"),
        "{answer:?}"
    );
    assert!(!taken("again", "team-a.gone").await, "the id itself is free");
    bench.store.remove_client(&uid("again")).await.unwrap();
    bench.advance(Duration::from_hours(24));
    bench.store.sweep(100).await.unwrap();
    assert!(matches!(named("bob").await, RegisterUser::Registered(_)));

    bench.store.remove_user(&uid(USER)).await.unwrap();
    assert!(taken("thief", subject.as_str()).await, "a retired subject");
    assert!(!taken("honest", "team-a.honest").await);
}
