//! Authorization codes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use claviger::oidc::identifier::ClientId;
use claviger::oidc::scope::ScopeSet;
use claviger::store::records::CodeBinding;
use claviger::store::{IssueCode, RedeemCode};

use crate::bench::{Bench, CLIENT, CODE, COOKIE, GRANT, HANDLE, REFRESH, USER, name_of_redemption, uid};
use crate::fixtures;

const MINUTE: Duration = Duration::from_mins(1);

/// A fresh redemption gives the grant and the user, and stores the refresh token.
pub(crate) async fn a_code_is_redeemed(bench: &Bench) {
    let grant = bench.issued(false).await;
    let outcome = bench
        .store
        .redeem_authorization_code(
            &fixtures::hash(CODE),
            &fixtures::code_binding(CLIENT),
            Some(fixtures::refresh_token(REFRESH, bench.now())),
        )
        .await
        .unwrap();
    let RedeemCode::Fresh(redeemed, _) = outcome else {
        panic!("{}", name_of_redemption(&outcome));
    };
    assert_eq!(redeemed.grant, grant);
    assert_eq!(redeemed.user.user, fixtures::end_user(USER));
    let (token, _) = bench
        .store
        .refresh_token(&fixtures::hash(REFRESH))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(token.grant_id, grant.id);
    assert_eq!(token.spent_at, None);
}

/// A code is redeemed once. A second try, however late, revokes everything minted from it, and that stays.
pub(crate) async fn rule_26_a_replayed_code_revokes_the_grant(bench: &Bench) {
    bench.redeemed(true).await;
    assert!(bench.grant_is_live().await);
    bench.advance(Duration::from_hours(24 * 10));
    bench.store.sweep(100).await.unwrap();
    assert_eq!(bench.redeem().await, "replayed");
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "refused");
    assert_eq!(bench.redeem().await, "replayed");
}

/// Of 64 redemptions at once exactly one is fresh, the others are replays, and the grant is revoked.
pub(crate) async fn rule_26_a_code_is_redeemed_once_by_64_at_once(bench: &Bench) {
    bench.issued(true).await;
    let together = Arc::new(tokio::sync::Barrier::new(64));
    let tries: Vec<_> = (0..64)
        .map(|number| {
            let (store, together, now) = (Arc::clone(&bench.store), Arc::clone(&together), bench.now());
            tokio::spawn(async move {
                together.wait().await;
                let token = fixtures::refresh_token(&format!("refresh {number}"), now);
                let binding = fixtures::code_binding(CLIENT);
                let outcome = store
                    .redeem_authorization_code(&fixtures::hash(CODE), &binding, Some(token))
                    .await
                    .unwrap();
                name_of_redemption(&outcome)
            })
        })
        .collect();
    let mut outcomes = BTreeMap::new();
    for outcome in tries {
        *outcomes.entry(outcome.await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(outcomes, BTreeMap::from([("fresh", 1), ("replayed", 63)]));
    assert!(!bench.grant_is_live().await);
    let mut stored = 0;
    for number in 0..64 {
        let token = bench
            .store
            .refresh_token(&fixtures::hash(&format!("refresh {number}")))
            .await
            .unwrap();
        stored += usize::from(token.is_some());
    }
    assert_eq!(stored, 1);
}

/// A code that was asked for with a key needs a proof of that key: another or none neither spends it nor, once it is spent,
/// revokes what came of it. One that was asked for without is bound to none.
pub(crate) async fn rule_45_a_code_is_bound_to_its_key(bench: &Bench) {
    let jkt = |name: &str| Some(fixtures::thumbprint(name));
    let unbound = fixtures::code_binding(CLIENT);
    bench.issued_for_key(false, jkt("a")).await;
    let with = |key| CodeBinding {
        dpop_jkt: key,
        ..unbound.clone()
    };
    for wrong in [None, jkt("b")] {
        assert_eq!(bench.redeem_with(with(wrong)).await, "mismatch");
    }
    assert_eq!(bench.redeem_with(with(jkt("a"))).await, "fresh");
    for wrong in [None, jkt("b")] {
        assert_eq!(bench.redeem_with(with(wrong)).await, "mismatch");
    }
    assert!(bench.grant_is_live().await);
    assert_eq!(bench.redeem_with(with(jkt("a"))).await, "replayed");
    assert!(!bench.grant_is_live().await);
}

/// Client, redirect URI and challenge each alone refuse a code, whether they differ, are missing or are too many; none of
/// them burns it, before or after its redemption. Expiry alone refuses it too.
pub(crate) async fn rule_27_each_mismatch_alone_is_fatal(bench: &Bench) {
    bench.issued(false).await;
    let right = fixtures::code_binding(CLIENT);
    let wrong = [
        CodeBinding {
            client_uid: uid("other"),
            ..right.clone()
        },
        CodeBinding {
            redirect_uri: format!("{}/", right.redirect_uri),
            ..right.clone()
        },
        CodeBinding {
            redirect_uri: right.redirect_uri.to_uppercase(),
            ..right.clone()
        },
        CodeBinding {
            code_challenge: Some("another".to_owned()),
            ..right.clone()
        },
        CodeBinding {
            code_challenge: None,
            ..right.clone()
        },
    ];
    for binding in &wrong {
        assert_eq!(
            bench.redeem_with(binding.clone()).await,
            "mismatch",
            "{binding:?}"
        );
    }
    assert_eq!(bench.redeem_with(right.clone()).await, "fresh");
    for binding in &wrong {
        assert_eq!(
            bench.redeem_with(binding.clone()).await,
            "mismatch",
            "{binding:?}"
        );
        assert!(bench.grant_is_live().await, "revoked by {binding:?}");
    }
}

/// A verifier at a code that was issued without a challenge refuses the code.
pub(crate) async fn rule_12_a_verifier_without_a_challenge_is_a_mismatch(bench: &Bench) {
    let session = bench.signed_in().await;
    let grant = fixtures::grant(GRANT, &session, CLIENT, bench.now());
    let mut code = fixtures::authorization_code(CODE, &grant, CLIENT, bench.now());
    code.binding.code_challenge = None;
    let without = code.binding.clone();
    bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await
        .unwrap();
    assert_eq!(bench.redeem().await, "mismatch");
    assert_eq!(bench.redeem_with(without).await, "fresh");
}

/// Expiry alone is fatal: an expired code is unknown, with the right binding and with a wrong one, swept or not.
pub(crate) async fn rule_27_expiry_alone_is_fatal(bench: &Bench) {
    bench.issued(false).await;
    bench.advance(MINUTE);
    assert_eq!(bench.redeem().await, "unknown");
    let wrong = fixtures::code_binding("other");
    assert_eq!(bench.redeem_with(wrong).await, "unknown");
    bench.store.sweep(100).await.unwrap();
    assert_eq!(bench.redeem().await, "unknown");
    assert!(!bench.grant_is_live().await, "nothing was ever minted from it");
}

/// A code one moment before its expiry is good.
pub(crate) async fn a_code_is_good_until_its_expiry(bench: &Bench) {
    bench.issued(false).await;
    bench.advance(Duration::from_nanos(59_999_999_999));
    bench.store.sweep(100).await.unwrap();
    assert_eq!(bench.redeem().await, "fresh");
}

/// The wrong client neither succeeds nor burns the right client's code.
pub(crate) async fn rule_28_the_wrong_client_does_not_burn_a_code(bench: &Bench) {
    bench.issued(false).await;
    bench.another_client("other").await;
    for _ in 0..3 {
        assert_eq!(
            bench.redeem_with(fixtures::code_binding("other")).await,
            "mismatch"
        );
    }
    assert!(
        bench
            .store
            .refresh_token(&fixtures::hash(REFRESH))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(bench.redeem().await, "fresh");
}

/// A code is bound to its session: once that has ended, the code is dead.
pub(crate) async fn rule_27_a_code_dies_with_its_session(bench: &Bench) {
    bench.issued(false).await;
    bench.store.end_session(&fixtures::hash(COOKIE)).await.unwrap();
    assert_ne!(bench.redeem().await, "fresh");
}

/// Issuing a code consumes the interaction: a second try, by reload or from a second tab, gets none.
pub(crate) async fn rule_17_an_interaction_gives_one_code(bench: &Bench) {
    let session = bench.signed_in().await;
    let mut outcomes = Vec::new();
    for number in 0..2 {
        let grant = fixtures::grant(&format!("grant {number}"), &session, CLIENT, bench.now());
        let code = fixtures::authorization_code(&format!("code {number}"), &grant, CLIENT, bench.now());
        let handle = Some(fixtures::hash(HANDLE));
        outcomes.push(
            bench
                .store
                .issue_authorization_code(handle, grant, code, None)
                .await
                .unwrap(),
        );
    }
    assert_eq!(outcomes, [IssueCode::Issued, IssueCode::InteractionGone]);
}

/// Each thing that a code stands on is checked when it is issued, and a refusal writes nothing at all.
pub(crate) async fn rule_20_issuing_checks_everything_again(bench: &Bench) {
    let session = bench.signed_in().await;
    let store = &*bench.store;
    let other_session = fixtures::session("other cookie", USER, bench.now());
    let other_interaction = fixtures::interaction("other handle", &other_session, CLIENT, bench.now());
    store
        .sign_in(other_session, None, other_interaction)
        .await
        .unwrap();
    let now = bench.now();
    let good = fixtures::grant(GRANT, &session, CLIENT, now);
    let mut cases = Vec::new();
    let mut grant = good.clone();
    grant.client_uid = uid("nobody");
    cases.push((grant, None, IssueCode::ClientRefused));
    let mut grant = good.clone();
    grant.client_id = ClientId::new("replaced");
    cases.push((grant, None, IssueCode::ClientRefused));
    let mut grant = good.clone();
    grant.user_uid = uid("nobody");
    cases.push((grant, None, IssueCode::UserRefused));
    let mut grant = good.clone();
    grant.session = fixtures::hash("no session");
    cases.push((grant, None, IssueCode::SessionGone));
    cases.push((good.clone(), Some("other handle"), IssueCode::InteractionGone));
    cases.push((good.clone(), Some("no handle"), IssueCode::InteractionGone));
    for (grant, handle, expected) in cases {
        let code = fixtures::authorization_code(CODE, &grant, CLIENT, now);
        let remember = Some(ScopeSet::parse("openid").into());
        let refused = store
            .issue_authorization_code(handle.map(fixtures::hash), grant, code, remember)
            .await
            .unwrap();
        assert_eq!(refused, expected);
        assert_eq!(bench.redeem().await, "unknown");
        assert!(!bench.grant_is_live().await);
        assert!(store.consent(&uid(USER), &uid(CLIENT)).await.unwrap().is_empty());
    }
    assert!(
        store
            .interaction(&fixtures::hash("other handle"))
            .await
            .unwrap()
            .is_some()
    );

    bench.advance(Duration::from_hours(8));
    let code = fixtures::authorization_code(CODE, &good, CLIENT, bench.now());
    let refused = store
        .issue_authorization_code(None, good, code, None)
        .await
        .unwrap();
    assert_eq!(refused, IssueCode::SessionGone, "idle for too long");
}

/// Each kind has its own keys: a value of one kind presented as any other kind is unknown.
pub(crate) async fn rule_54_no_kind_passes_for_another(bench: &Bench) {
    let session = bench.redeemed(true).await.session;
    let (store, now) = (&*bench.store, bench.now());
    let record = store.session(&session).await.unwrap().unwrap().0;
    let begun = fixtures::interaction(HANDLE, &record, CLIENT, now);
    store.begin_interaction(begun).await.unwrap();
    for (name, kind) in [(CODE, 0), (REFRESH, 1), (COOKIE, 2), (HANDLE, 3)] {
        let hash = fixtures::hash(name);
        let binding = fixtures::code_binding("other");
        let code = store
            .redeem_authorization_code(&hash, &binding, None)
            .await
            .unwrap();
        let found = [
            name_of_redemption(&code) == "mismatch",
            store.refresh_token(&hash).await.unwrap().is_some(),
            store.session(&hash).await.unwrap().is_some(),
            store.interaction(&hash).await.unwrap().is_some(),
        ];
        let mut expected = [false; 4];
        expected[kind] = true;
        assert_eq!(found, expected, "{name}");
    }
}
