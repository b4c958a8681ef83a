//! What clients signed that counts once.

use std::time::Duration;

use claviger::clock::{Timestamp, later};
use claviger::store::SpendJti;
use futures::future::join_all;

use crate::bench::{Bench, CLIENT, uid};
use crate::fixtures;

async fn spend(bench: &Bench, client: &str, jti: &str, forget_at: Timestamp, capacity: u64) -> SpendJti {
    bench
        .store
        .spend_jti(&uid(client), &fixtures::hash(jti), forget_at, capacity)
        .await
        .unwrap()
}

/// A `jti` is fresh once until it is forgotten, and then again; others are not touched.
pub(crate) async fn rule_32_a_jti_counts_once(bench: &Bench) {
    bench.register().await;
    let minute = later(bench.now(), Duration::from_mins(1));
    let hour = later(bench.now(), Duration::from_hours(1));
    assert_eq!(spend(bench, CLIENT, "a", minute, 9).await, SpendJti::Fresh);
    assert_eq!(spend(bench, CLIENT, "b", hour, 9).await, SpendJti::Fresh);
    for _ in 0..2 {
        // A later end of what is presented again changes nothing.
        assert_eq!(spend(bench, CLIENT, "a", hour, 9).await, SpendJti::Replayed);
    }
    bench.advance(Duration::from_millis(59_999));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
    assert_eq!(spend(bench, CLIENT, "a", hour, 9).await, SpendJti::Replayed);
    bench.advance(Duration::from_millis(1));
    assert_eq!(spend(bench, CLIENT, "a", hour, 9).await, SpendJti::Fresh);
    assert_eq!(spend(bench, CLIENT, "a", hour, 9).await, SpendJti::Replayed);
    assert_eq!(spend(bench, CLIENT, "b", hour, 9).await, SpendJti::Replayed);
}

/// Of any number at once one is fresh.
pub(crate) async fn rule_32_a_jti_counts_once_for_64_at_once(bench: &Bench) {
    bench.register().await;
    let end = later(bench.now(), Duration::from_mins(1));
    let all = join_all((0..64).map(|_| spend(bench, CLIENT, "a", end, 99))).await;
    let fresh = all.iter().filter(|one| **one == SpendJti::Fresh).count();
    let replayed = all.iter().filter(|one| **one == SpendJti::Replayed).count();
    assert_eq!((fresh, replayed), (1, 63));
}

/// A client has room for as many as it is told, and none makes room before its time; other clients have their own.
pub(crate) async fn rule_88_a_client_has_room_for_so_many_jtis(bench: &Bench) {
    bench.register().await;
    bench.another_client("other").await;
    let first = later(bench.now(), Duration::from_secs(10));
    let second = later(bench.now(), Duration::from_secs(20));
    assert_eq!(spend(bench, CLIENT, "b", second, 2).await, SpendJti::Fresh);
    assert_eq!(spend(bench, CLIENT, "a", first, 2).await, SpendJti::Fresh);
    for _ in 0..2 {
        assert_eq!(spend(bench, CLIENT, "c", second, 2).await, SpendJti::Full(first));
        // What is known already is said to be, however full it is.
        assert_eq!(spend(bench, CLIENT, "a", second, 2).await, SpendJti::Replayed);
    }
    assert_eq!(spend(bench, "other", "d", second, 2).await, SpendJti::Fresh);
    bench.advance(Duration::from_secs(10));
    assert_eq!(spend(bench, CLIENT, "c", second, 2).await, SpendJti::Fresh);
    assert_eq!(spend(bench, CLIENT, "e", second, 2).await, SpendJti::Full(second));

    // Swept or made room for by the next, all room comes back.
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 3);
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
    let third = later(bench.now(), Duration::from_secs(10));
    for jti in ["a", "b"] {
        assert_eq!(spend(bench, CLIENT, jti, third, 2).await, SpendJti::Fresh);
    }
    assert_eq!(spend(bench, CLIENT, "c", third, 2).await, SpendJti::Full(third));
}

/// What a removed client had spent takes no room from the one that comes after it, and leaves nothing to sweep.
pub(crate) async fn a_removed_client_takes_its_jtis_with_it(bench: &Bench) {
    bench.register().await;
    let end = later(bench.now(), Duration::from_secs(10));
    for jti in ["a", "b"] {
        assert_eq!(spend(bench, CLIENT, jti, end, 2).await, SpendJti::Fresh);
    }
    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    bench.register().await;
    for jti in ["c", "d"] {
        assert_eq!(spend(bench, CLIENT, jti, end, 2).await, SpendJti::Fresh);
    }
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 2);
}
