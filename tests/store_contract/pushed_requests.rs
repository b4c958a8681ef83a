//! Pushed authorization requests (RFC 9126).

use std::sync::Arc;
use std::time::Duration;

use claviger::clock::{Timestamp, later};
use claviger::oidc::authorization_request::AuthorizationRequest;
use claviger::store::Store;
use claviger::store::records::PushedRequestRecord;

use crate::bench::{Bench, CLIENT, uid};
use crate::fixtures;

pub(crate) fn record(name: &str, client: &str, now: Timestamp) -> PushedRequestRecord {
    PushedRequestRecord {
        hash: fixtures::hash(name),
        request: AuthorizationRequest {
            state: Some(name.to_owned()),
            ..fixtures::authorization_request(client)
        },
        expires_at: later(now, Duration::from_mins(1)),
    }
}

async fn push(bench: &Bench, name: &str, client: &str) {
    let record = record(name, client, bench.now());
    bench.store.push_authorization_request(record).await.unwrap();
}

async fn take(bench: &Bench, name: &str, client: &str) -> Option<AuthorizationRequest> {
    let hash = fixtures::hash(name);
    bench
        .store
        .take_pushed_request(&hash, &uid(client))
        .await
        .unwrap()
}

/// A pushed request comes back as it was, once; another one stays.
pub(crate) async fn rule_44_a_pushed_request_is_taken_once(bench: &Bench) {
    bench.register().await;
    push(bench, "first", CLIENT).await;
    push(bench, "second", CLIENT).await;
    assert_eq!(take(bench, "unknown", CLIENT).await, None);
    let taken = take(bench, "first", CLIENT).await;
    assert_eq!(taken, Some(record("first", CLIENT, bench.now()).request));
    assert_eq!(take(bench, "first", CLIENT).await, None);
    assert!(take(bench, "second", CLIENT).await.is_some());
}

/// Of 64 that come at once, one gets it.
pub(crate) async fn rule_44_a_pushed_request_is_taken_once_by_64_at_once(bench: &Bench) {
    bench.register().await;
    push(bench, "first", CLIENT).await;
    let attempts: Vec<_> = (0..64)
        .map(|_| {
            let store: Arc<dyn Store> = bench.store.clone();
            tokio::spawn(async move {
                let hash = fixtures::hash("first");
                store.take_pushed_request(&hash, &uid(CLIENT)).await.unwrap()
            })
        })
        .collect();
    let mut taken = 0;
    for attempt in attempts {
        taken += usize::from(attempt.await.unwrap().is_some());
    }
    assert_eq!(taken, 1);
}

/// Another client gets nothing, and takes nothing away.
pub(crate) async fn rule_44_a_pushed_request_is_its_clients(bench: &Bench) {
    bench.register().await;
    bench.another_client("blog").await;
    push(bench, "first", CLIENT).await;
    assert_eq!(take(bench, "first", "blog").await, None);
    assert!(take(bench, "first", CLIENT).await.is_some());
}

/// It can be used until its end, and is then forgotten.
pub(crate) async fn rule_44_a_pushed_request_expires_and_is_swept(bench: &Bench) {
    bench.register().await;
    let begun = bench.now();
    push(bench, "used", CLIENT).await;
    push(bench, "late", CLIENT).await;
    bench.advance(Duration::from_millis(59_999));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
    assert!(take(bench, "used", CLIENT).await.is_some());
    bench.advance(Duration::from_millis(1));
    assert_eq!(take(bench, "late", CLIENT).await, None);
    // The used one left nothing to look at.
    assert_eq!(bench.store.sweep(100).await.unwrap(), 1);
    bench.clock.set(begun);
    assert_eq!(take(bench, "late", CLIENT).await, None, "it was not removed");
}

/// A client that is registered as another than before, or removed, has none of the requests any more that were checked
/// against what it was; registering it as it is changes nothing.
pub(crate) async fn rule_44_a_pushed_request_ends_with_what_it_was_checked_against(bench: &Bench) {
    bench.register().await;
    push(bench, "first", CLIENT).await;
    bench.register().await;
    assert!(take(bench, "first", CLIENT).await.is_some());

    push(bench, "second", CLIENT).await;
    let mut registration = fixtures::client_registration(CLIENT, bench.now());
    registration.client.consent = claviger::oidc::client::ConsentPolicy::Always;
    bench.store.register_client(registration).await.unwrap();
    assert_eq!(take(bench, "second", CLIENT).await, None);

    push(bench, "third", CLIENT).await;
    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    assert_eq!(take(bench, "third", CLIENT).await, None);
}

/// Of one client a thousand are kept: the next pushes the oldest out, and nobody else's.
pub(crate) async fn rule_88_the_oldest_of_too_many_pushed_requests_makes_room(bench: &Bench) {
    bench.register().await;
    bench.another_client("blog").await;
    push(bench, "of another", "blog").await;
    for number in 0..1000 {
        push(bench, &number.to_string(), CLIENT).await;
        bench.advance(Duration::from_millis(10));
    }
    push(bench, "last", CLIENT).await;
    assert_eq!(take(bench, "0", CLIENT).await, None);
    for name in ["1", "999", "last"] {
        assert!(take(bench, name, CLIENT).await.is_some(), "{name}");
    }
    assert!(take(bench, "of another", "blog").await.is_some());
}
