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

/// A keyspace holds as many buckets as it may: the one that was used longest ago makes way, and those of another kind stay.
pub(crate) async fn rule_68_a_full_keyspace_forgets_the_oldest(bench: &Bench) {
    let here = bucket(ThrottleKind::Network, "here");
    counted(bench, &[here], 3).await;
    for name in ["first", "second", "third", "fourth"] {
        bench.advance(SECOND);
        counted(bench, &[account(name)], 3).await;
    }
    // Used again, so that the second is the oldest now.
    bench.advance(SECOND);
    assert_eq!(attempt(bench, &[account("first")]).await, Duration::ZERO);
    for flood in 0..2 {
        bench.advance(Duration::from_millis(10));
        counted(bench, &[account(&format!("flood {flood}"))], 1).await;
    }
    assert!(attempt(bench, &[account("first")]).await > Duration::ZERO);
    bench.advance(Duration::from_millis(10));
    counted(bench, &[account("second")], 3).await;
    counted(bench, &[here], 1).await;
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
