//! Refresh tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use claviger::clock::later;
use claviger::oidc::thumbprint::Thumbprint;
use claviger::store::records::NewRefreshToken;

use crate::bench::{Bench, CLIENT, REFRESH, name_of_rotation, uid};
use crate::fixtures;

const DAY: Duration = Duration::from_hours(24);

/// A rotation spends the token and stores its one successor.
pub(crate) async fn a_token_is_rotated(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    bench.advance(DAY);
    assert_eq!(bench.rotate(REFRESH, "second").await, "rotated");
    let (spent, of) = bench
        .store
        .refresh_token(&fixtures::hash(REFRESH))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((spent.spent_at, of), (Some(bench.now()), grant.clone()));
    let (live, _) = bench
        .store
        .refresh_token(&fixtures::hash("second"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((live.spent_at, live.grant_id), (None, grant.id));
    assert_eq!(bench.rotate("second", "third").await, "rotated");
}

/// A token of another client is refused, and neither spent nor revoked by the attempt.
pub(crate) async fn rule_36_a_token_is_bound_to_its_client(bench: &Bench) {
    bench.redeemed(true).await;
    assert_eq!(bench.rotate_as("other", REFRESH, "stolen").await, "mismatch");
    assert!(
        bench
            .store
            .refresh_token(&fixtures::hash("stolen"))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(bench.rotate(REFRESH, "second").await, "rotated");
    assert_eq!(bench.rotate_as("other", REFRESH, "stolen").await, "mismatch");
    assert!(bench.grant_is_live().await);
}

/// A token that is bound to a key needs a proof of it, and its successor does too: whoever has another or none neither spends
/// the token nor, once it is spent, ends its grant. A token that is bound to none takes any.
pub(crate) async fn rule_45_a_token_is_bound_to_its_key(bench: &Bench) {
    bench.redeemed(true).await;
    let key = |name: &str| Some(fixtures::thumbprint(name));
    let rotate = async |proven: Option<Thumbprint>, token: &str, successor: &str, binds: bool| {
        let successor = NewRefreshToken {
            dpop_jkt: proven.clone().filter(|_| binds),
            ..fixtures::refresh_token(successor, bench.now())
        };
        let outcome = bench
            .store
            .rotate_refresh_token(&fixtures::hash(token), &uid(CLIENT), proven.as_ref(), successor)
            .await;
        name_of_rotation(&outcome.unwrap())
    };
    assert_eq!(rotate(key("a"), REFRESH, "unbound", false).await, "rotated");
    assert_eq!(rotate(key("b"), "unbound", "bound", true).await, "rotated");
    for wrong in [None, key("a")] {
        assert_eq!(rotate(wrong, "bound", "stolen", true).await, "mismatch");
    }
    assert_eq!(rotate(key("b"), "bound", "next", false).await, "rotated");
    for token in ["bound", "next"] {
        for wrong in [None, key("a")] {
            assert_eq!(rotate(wrong, token, "stolen", true).await, "mismatch");
        }
    }
    assert!(bench.grant_is_live().await);
    assert_eq!(rotate(key("b"), "bound", "stolen", true).await, "reused");
    assert!(!bench.grant_is_live().await);
}

/// A token that is used without a successor is good again, for its client and key, until it was not used for its idle time or
/// its grant ends; one that was spent before is known to be.
pub(crate) async fn a_token_may_stay_the_one_that_it_is(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    let use_it = async |client: &str, token: &str| {
        let idle_until = later(bench.now(), DAY * 14);
        let outcome = bench
            .store
            .use_refresh_token(&fixtures::hash(token), &uid(client), None, idle_until)
            .await;
        name_of_rotation(&outcome.unwrap())
    };
    for _ in 0..6 {
        bench.advance(DAY * 13);
        bench.store.sweep(100).await.unwrap();
        assert_eq!(use_it("other", REFRESH).await, "mismatch");
        assert_eq!(use_it(CLIENT, REFRESH).await, "rotated");
        assert_eq!(use_it(CLIENT, REFRESH).await, "rotated");
    }
    let hash = fixtures::hash(REFRESH);
    let (token, _) = bench.store.refresh_token(&hash).await.unwrap().unwrap();
    assert_eq!((token.spent_at, token.expires_at), (None, grant.expires_at));
    assert_eq!(bench.rotate(REFRESH, "second").await, "rotated");
    assert_eq!(use_it(CLIENT, "second").await, "rotated");
    assert_eq!(use_it(CLIENT, REFRESH).await, "reused");
    assert_eq!(use_it(CLIENT, "second").await, "refused");
    bench.clock.set(grant.expires_at);
    assert_eq!(use_it(CLIENT, "second").await, "unknown");
}

/// A reused ancestor revokes the whole family, however old it is.
pub(crate) async fn rule_36_a_reused_ancestor_revokes_the_family(bench: &Bench) {
    bench.redeemed(true).await;
    for (token, successor) in [(REFRESH, "second"), ("second", "third"), ("third", "fourth")] {
        bench.advance(DAY * 10);
        bench.store.sweep(100).await.unwrap();
        assert_eq!(bench.rotate(token, successor).await, "rotated");
    }
    bench.advance(DAY);
    bench.store.sweep(100).await.unwrap();
    assert_eq!(bench.rotate(REFRESH, "thief").await, "reused");
    assert!(
        bench
            .store
            .refresh_token(&fixtures::hash("thief"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate("fourth", "fifth").await, "refused");
    assert_eq!(bench.rotate("second", "thief").await, "reused");
}

async fn rotate_at_once(bench: &Bench, callers: usize) {
    bench.redeemed(true).await;
    let together = Arc::new(tokio::sync::Barrier::new(callers));
    let tries: Vec<_> = (0..callers)
        .map(|number| {
            let (store, together, now) = (Arc::clone(&bench.store), Arc::clone(&together), bench.now());
            tokio::spawn(async move {
                together.wait().await;
                let successor = fixtures::refresh_token(&format!("successor {number}"), now);
                let outcome = store
                    .rotate_refresh_token(&fixtures::hash(REFRESH), &uid(CLIENT), None, successor)
                    .await
                    .unwrap();
                name_of_rotation(&outcome)
            })
        })
        .collect();
    let mut outcomes = BTreeMap::new();
    for outcome in tries {
        *outcomes.entry(outcome.await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(
        outcomes,
        BTreeMap::from([("reused", callers - 1), ("rotated", 1)])
    );
    assert!(!bench.grant_is_live().await);
    let mut successors = 0;
    for number in 0..callers {
        let name = format!("successor {number}");
        if bench
            .store
            .refresh_token(&fixtures::hash(&name))
            .await
            .unwrap()
            .is_some()
        {
            successors += 1;
            assert_eq!(bench.rotate(&name, "next").await, "refused");
        }
    }
    assert_eq!(successors, 1);
}

/// Two rotations of one token at once: one successor, and then the family is revoked.
pub(crate) async fn rule_37_two_rotations_at_once_revoke_the_family(bench: &Bench) {
    rotate_at_once(bench, 2).await;
}

/// So with 64 at once.
pub(crate) async fn rule_37_64_rotations_at_once_revoke_the_family(bench: &Bench) {
    rotate_at_once(bench, 64).await;
}

/// A token that is not used for its idle time is dead.
pub(crate) async fn rule_38_a_token_dies_idle(bench: &Bench) {
    bench.redeemed(true).await;
    bench.advance(DAY * 14);
    assert!(
        bench
            .store
            .refresh_token(&fixtures::hash(REFRESH))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(bench.rotate(REFRESH, "second").await, "unknown");
    bench.store.sweep(100).await.unwrap();
    assert_eq!(bench.rotate(REFRESH, "second").await, "unknown");
}

/// However often it is rotated, a family dies at its grant's end, and no successor is given a longer life.
pub(crate) async fn rule_38_a_family_dies_at_its_absolute_end(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    let mut token = REFRESH.to_owned();
    for number in 0..8 {
        bench.advance(DAY * 11);
        let successor = format!("successor {number}");
        assert_eq!(bench.rotate(&token, &successor).await, "rotated");
        token = successor;
    }
    let (last, _) = bench
        .store
        .refresh_token(&fixtures::hash(&token))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(last.expires_at, grant.expires_at);
    bench.clock.set(grant.expires_at);
    assert_eq!(bench.rotate(&token, "too late").await, "unknown");
    assert_eq!(bench.rotate(REFRESH, "too late").await, "unknown");
}

/// A first token is cut to its grant's end as well.
pub(crate) async fn a_first_token_is_cut_to_its_grant(bench: &Bench) {
    let grant = bench.issued(true).await;
    let token = NewRefreshToken {
        expires_at: later(grant.expires_at, DAY),
        ..fixtures::refresh_token(REFRESH, bench.now())
    };
    let binding = fixtures::code_binding(CLIENT);
    bench
        .store
        .redeem_authorization_code(&fixtures::hash("code"), &binding, Some(token))
        .await
        .unwrap();
    let (token, _) = bench
        .store
        .refresh_token(&fixtures::hash(REFRESH))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(token.expires_at, grant.expires_at);
}

/// A client that refreshes in a loop does not fill the store: of the tokens that it spent within a minute the first and
/// the last ninety-nine are kept, and any of those still revokes the family. A token that lived longer is never forgotten.
pub(crate) async fn rule_88_a_loop_of_refreshes_is_bounded(bench: &Bench) {
    bench.redeemed(true).await;
    bench.advance(Duration::from_mins(1));
    assert_eq!(bench.rotate(REFRESH, "loop 0").await, "rotated");
    for number in 0..150 {
        bench.advance(Duration::from_millis(1));
        let (token, successor) = (format!("loop {number}"), format!("loop {}", number + 1));
        assert_eq!(bench.rotate(&token, &successor).await, "rotated");
    }
    let mut kept = Vec::new();
    for number in 0..=150 {
        let hash = fixtures::hash(&format!("loop {number}"));
        if bench.store.refresh_token(&hash).await.unwrap().is_some() {
            kept.push(number);
        }
    }
    assert_eq!(kept, std::iter::once(0).chain(51..=150).collect::<Vec<_>>());
    for number in [1, 50] {
        assert_eq!(bench.rotate(&format!("loop {number}"), "thief").await, "unknown");
    }
    assert!(bench.grant_is_live().await);
    assert_eq!(bench.rotate("loop 0", "thief").await, "reused");
    assert!(!bench.grant_is_live().await);
    assert_eq!(
        bench.rotate(REFRESH, "thief").await,
        "reused",
        "it was not spent in haste"
    );
    assert_eq!(bench.rotate("loop 51", "thief").await, "reused");
    bench.advance(Duration::from_hours(15 * 24));
    let looked_at = bench.store.sweep(1000).await.unwrap();
    assert!(looked_at < 10, "spent tokens left {looked_at} things to look at");
}
