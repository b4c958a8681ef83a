//! Failed attempts: counted exactly, forgiven in time, in keyspaces that are capped.

use std::sync::Arc;
use std::time::Duration;

use claviger::store::throttle::{BeginAttempt, Forgiveness, ThrottleBucket, ThrottleKind, ThrottlePolicy};

use crate::bench::Bench;
use crate::fixtures;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Three attempts are free, the next wait 1, 2, 4 seconds, at most 10; one is forgiven a minute.
fn bucket(kind: ThrottleKind, key: &str) -> ThrottleBucket {
    ThrottleBucket {
        kind,
        key: fixtures::hash(key),
        policy: ThrottlePolicy {
            free: 3,
            first_wait: SECOND,
            longest_wait: SECOND * 10,
            forgive_one: MINUTE,
            capacity: 4,
        },
    }
}

fn account(key: &str) -> ThrottleBucket {
    bucket(ThrottleKind::Account, key)
}

/// How long the bucket says to wait; zero when it counted the attempt.
async fn attempt(bench: &Bench, buckets: &[ThrottleBucket]) -> Duration {
    match bench.store.begin_attempt(buckets).await.unwrap() {
        BeginAttempt::Counted(at) => {
            assert_eq!(at, bench.now());
            Duration::ZERO
        }
        BeginAttempt::Wait(_, until) => until.duration_since(bench.now()).try_into().unwrap(),
    }
}

async fn counted(bench: &Bench, buckets: &[ThrottleBucket], times: usize) {
    for _ in 0..times {
        assert_eq!(attempt(bench, buckets).await, Duration::ZERO);
    }
}

/// The wait doubles with each failure up to its bound, an attempt that waits is not counted, and in the end everything is
/// forgiven.
pub(crate) async fn rule_68_the_wait_grows_and_ends(bench: &Bench) {
    let ada = [account("ada")];
    counted(bench, &ada, 3).await;
    for wait in [1, 2, 4, 8, 10, 10] {
        for _ in 0..5 {
            assert_eq!(attempt(bench, &ada).await, SECOND * wait);
        }
        bench.advance(SECOND * wait);
        assert_eq!(attempt(bench, &ada).await, Duration::ZERO);
    }
    assert_eq!(
        attempt(bench, &[account("eve")]).await,
        Duration::ZERO,
        "another key"
    );
    let other = bucket(ThrottleKind::Network, "ada");
    assert_eq!(attempt(bench, &[other]).await, Duration::ZERO, "another kind");
    bench.advance(MINUTE * 10);
    counted(bench, &ada, 3).await;
    assert_eq!(attempt(bench, &ada).await, SECOND);
}

/// When one of several buckets says to wait, none of them counts the attempt.
pub(crate) async fn rule_68_an_attempt_is_counted_in_all_buckets_or_in_none(bench: &Bench) {
    let ada = account("ada");
    let (here, there) = (
        bucket(ThrottleKind::Network, "here"),
        bucket(ThrottleKind::Network, "there"),
    );
    counted(bench, &[ada, here], 3).await;
    for _ in 0..10 {
        assert_eq!(attempt(bench, &[ada, there]).await, SECOND);
    }
    counted(bench, &[there], 3).await;
    let outcome = bench.store.begin_attempt(&[ada, there]).await.unwrap();
    assert!(matches!(outcome, BeginAttempt::Wait(ThrottleKind::Account, _)));
}

/// An attempt that turned out well is taken back with the wait that it began; with everything, the bucket is as new.
pub(crate) async fn rule_68_what_turned_out_well_is_taken_back(bench: &Bench) {
    let (ada, here) = (account("ada"), bucket(ThrottleKind::Network, "here"));
    counted(bench, &[ada, here], 2).await;
    bench.advance(SECOND);
    counted(bench, &[ada, here], 1).await;
    let forgiven = [(ada, Forgiveness::Everything), (here, Forgiveness::Attempt)];
    bench.store.forgive_attempt(bench.now(), &forgiven).await.unwrap();
    counted(bench, &[here], 1).await;
    assert_eq!(attempt(bench, &[here]).await, SECOND);
    counted(bench, &[ada], 3).await;
    assert_eq!(attempt(bench, &[ada]).await, SECOND);
    // What nobody counted is taken back from nobody.
    let forgiven = [(account("nobody"), Forgiveness::Attempt)];
    bench.store.forgive_attempt(bench.now(), &forgiven).await.unwrap();
    counted(bench, &[account("nobody")], 3).await;
}

/// Of a thousand attempts at once exactly as many go on as the bucket allows.
pub(crate) async fn rule_68_a_thousand_at_once_are_counted_exactly(bench: &Bench) {
    let together = Arc::new(tokio::sync::Barrier::new(1000));
    let tries: Vec<_> = (0..1000)
        .map(|number| {
            let (store, together) = (Arc::clone(&bench.store), Arc::clone(&together));
            tokio::spawn(async move {
                let own = bucket(
                    ThrottleKind::Network,
                    if number % 2 == 0 { "even" } else { "odd" },
                );
                together.wait().await;
                store.begin_attempt(&[account("ada"), own]).await.unwrap()
            })
        })
        .collect();
    let mut counted = 0;
    for outcome in tries {
        match outcome.await.unwrap() {
            BeginAttempt::Counted(_) => counted += 1,
            BeginAttempt::Wait(kind, until) => {
                assert_eq!((kind, until), (ThrottleKind::Account, bench.now() + SECOND));
            }
        }
    }
    assert_eq!(counted, 3);
}

/// A keyspace holds as many buckets as it may: the one that has least left to remember makes way. So a flood pushes out its
/// own, and none that is full, while that refuses or after its wait, and none of another kind.
pub(crate) async fn rule_68_a_flood_pushes_out_no_full_bucket(bench: &Bench) {
    let here = bucket(ThrottleKind::Network, "here");
    counted(bench, &[here, account("ada")], 3).await;
    let flood = async |from: usize| {
        for number in from..from + 20 {
            bench.advance(Duration::from_millis(10));
            counted(bench, &[account(&format!("flood {number}"))], 1).await;
        }
    };
    flood(0).await;
    assert!(attempt(bench, &[account("ada")]).await > Duration::ZERO);
    bench.advance(SECOND * 30);
    flood(20).await;
    counted(bench, &[account("ada")], 1).await;
    assert_eq!(attempt(bench, &[account("ada")]).await, SECOND * 2);
    counted(bench, &[here], 1).await;
    assert_eq!(attempt(bench, &[here]).await, SECOND * 2);

    counted(bench, &[account("flood 39")], 2).await;
    assert_eq!(attempt(bench, &[account("flood 39")]).await, SECOND);
    counted(bench, &[account("flood 20")], 3).await;
}

/// What was taken back of a bucket does not count when one of them has to make way.
pub(crate) async fn rule_68_what_was_taken_back_keeps_no_bucket(bench: &Bench) {
    counted(bench, &[account("ada")], 3).await;
    for _ in 0..2 {
        let forgiven = [(account("ada"), Forgiveness::Attempt)];
        bench.store.forgive_attempt(bench.now(), &forgiven).await.unwrap();
    }
    for name in ["first", "second", "third", "fourth"] {
        bench.advance(Duration::from_millis(10));
        counted(bench, &[account(name)], 2).await;
    }
    counted(bench, &[account("first")], 1).await;
    assert_eq!(attempt(bench, &[account("first")]).await, SECOND);
    counted(bench, &[account("ada")], 3).await;
}

/// The sweep forgets buckets that have forgiven everything, and no others.
pub(crate) async fn rule_68_forgiven_buckets_are_swept(bench: &Bench) {
    counted(bench, &[account("ada"), bucket(ThrottleKind::Network, "here")], 1).await;
    bench.advance(Duration::from_millis(1));
    counted(bench, &[account("eve")], 3).await;
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
    bench.advance(MINUTE);
    assert_eq!(bench.store.sweep(1).await.unwrap(), 1);
    assert_eq!(bench.store.sweep(100).await.unwrap(), 1);
    assert_eq!(bench.store.sweep(100).await.unwrap(), 0);
    counted(bench, &[account("eve")], 1).await;
    assert_eq!(attempt(bench, &[account("eve")]).await, SECOND);
    bench.advance(MINUTE * 3);
    assert_eq!(bench.store.sweep(100).await.unwrap(), 1);
}
