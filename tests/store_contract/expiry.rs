//! The sweeper.

use std::time::Duration;

use crate::bench::{Bench, CLIENT, COOKIE, USER};
use crate::fixtures;

/// A sweep removes what has expired, at most as many as it is told, and ends when nothing is left.
pub(crate) async fn a_sweep_removes_what_has_expired(bench: &Bench) {
    let session = bench.signed_in().await;
    for number in 0..25 {
        let interaction = fixtures::interaction(&format!("handle {number}"), &session, CLIENT, bench.now());
        bench.store.begin_interaction(interaction).await.unwrap();
    }
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
    bench.advance(Duration::from_mins(10));
    let mut removed = Vec::new();
    for _ in 0..4 {
        removed.push(bench.store.sweep(10).await.unwrap());
    }
    assert_eq!(removed, [10, 10, 6, 0]);
    assert!(bench.session_is_live().await);
}

/// A session that is used is not swept at its first end.
pub(crate) async fn a_used_session_is_not_swept(bench: &Bench) {
    bench.signed_in().await;
    for _ in 0..3 {
        bench.advance(Duration::from_hours(7));
        assert!(bench.session_is_live().await);
        bench.store.sweep(100).await.unwrap();
    }
    bench.advance(Duration::from_hours(8));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 1);
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
}

/// A spent code stays until its grant's end; then the sweep takes grant, code and tokens.
pub(crate) async fn a_spent_code_stays_until_its_grant_ends(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    bench.advance(Duration::from_hours(24 * 89));
    bench.store.sweep(100).await.unwrap();
    assert_eq!(bench.redeem().await, "replayed");
    bench.clock.set(grant.expires_at);
    assert_eq!(bench.redeem().await, "unknown");
    assert_eq!(bench.store.sweep(100).await.unwrap(), 1);
    bench.clock.set(grant.created_at);
    assert_eq!(bench.redeem().await, "unknown", "the sweep has removed it");
    assert!(bench.store.user_by_username(USER).await.unwrap().is_some());
}

/// What needs no removal any more (a spent code stays with its grant) does not end a sweep early.
pub(crate) async fn a_sweep_goes_on_behind_what_stays(bench: &Bench) {
    bench.redeemed(true).await;
    let session = fixtures::session(COOKIE, USER, bench.now());
    let interaction = fixtures::interaction("late", &session, CLIENT, bench.now());
    bench.store.begin_interaction(interaction).await.unwrap();
    let begun = bench.now();
    bench.advance(Duration::from_mins(10));
    while bench.store.sweep(1).await.unwrap() == 1 {}
    bench.clock.set(begun);
    let late = bench.store.interaction(&fixtures::hash("late")).await.unwrap();
    assert!(late.is_none(), "the sweep has come to it");
}
