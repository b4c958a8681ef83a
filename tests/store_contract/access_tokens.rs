//! Access tokens that hang on no grant, and whose subjects they carry.

use std::time::Duration;

use claviger::clock::later;
use claviger::oidc::access_token::AccessTokenClaims;
use claviger::oidc::audience::Audience;
use claviger::oidc::identifier::{ClientId, Subject};
use claviger::store::records::AccessTokenRecord;
use claviger::store::{RegisterClient, RegisterUser};

use crate::bench::{Bench, CLIENT, USER, uid};
use crate::fixtures;

/// An opaque access token is found by its hash and by nothing else until its expiry, and is then swept.
pub(crate) async fn rule_54_an_opaque_access_token_is_kept_until_its_expiry(bench: &Bench) {
    let record = |handle: &str, seconds: i64| AccessTokenRecord {
        hash: fixtures::hash(handle),
        claims: AccessTokenClaims {
            iss: "https://id.example.org".into(),
            sub: "subject".into(),
            aud: Audience::of(&["urn:a".to_owned(), "urn:b".to_owned()], ""),
            exp: bench.now().as_second() + seconds,
            iat: bench.now().as_second(),
            jti: format!("grant.{handle}").into(),
            client_id: "team-a.shop".into(),
            scope: "openid".into(),
            auth_time: Some(1),
            groups: None,
        },
    };
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
        bench.store.revoke_access_token(&first, expires_at).await.unwrap();
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

    bench.store.remove_user(&uid(USER)).await.unwrap();
    assert!(taken("thief", subject.as_str()).await, "a retired subject");
    assert!(!taken("honest", "team-a.honest").await);
}
