//! Sessions and interactions.

use std::time::Duration;

use claviger::oidc::identifier::GrantId;
use claviger::store::records::{GrantRecord, SessionRecord};
use claviger::store::{IssueCode, RedeemCode, SignIn};

use crate::bench::{Bench, CLIENT, COOKIE, GRANT, HANDLE, REFRESH, USER};
use crate::fixtures;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// What is stored at sign-in is found again, to the nanosecond.
pub(crate) async fn a_session_is_found_with_its_user(bench: &Bench) {
    bench.advance(Duration::from_nanos(123_456_789));
    let session = bench.signed_in().await;
    let (found, user) = bench
        .store
        .session(&fixtures::hash(COOKIE))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found, session);
    assert_eq!(user.user, fixtures::end_user(USER));
    let interaction = bench
        .store
        .interaction(&fixtures::hash(HANDLE))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        interaction,
        fixtures::interaction(HANDLE, &session, CLIENT, bench.now())
    );
}

/// A session ends when it is idle for too long, and at its absolute end however much it is used.
pub(crate) async fn rule_63_a_session_ends_idle_or_old(bench: &Bench) {
    bench.signed_in().await;
    for _ in 0..3 {
        bench.advance(HOUR * 7);
        assert!(bench.session_is_live().await);
    }
    bench.advance(HOUR * 3);
    assert!(!bench.session_is_live().await, "24 hours old");

    let other = fixtures::session("other", USER, bench.now());
    let interaction = fixtures::interaction("other handle", &other, CLIENT, bench.now());
    bench.store.sign_in(other, None, interaction).await.unwrap();
    bench.advance(HOUR * 8);
    let idle = bench.store.session(&fixtures::hash("other")).await.unwrap();
    assert!(idle.is_none(), "idle for eight hours");
}

/// A person holds a hundred sessions at most: the one that was used longest ago makes room, and nobody else's does.
pub(crate) async fn the_oldest_of_too_many_sessions_makes_room(bench: &Bench) {
    let first = bench.signed_in().await;
    for number in 0..100 {
        // All of it within a minute: to look at a session is a use, which is noted once a minute.
        bench.advance(MINUTE / 600);
        let other = fixtures::session(&format!("other {number}"), USER, bench.now());
        bench.store.begin_session(other, None).await.unwrap();
        let still = bench.store.session(&first.hash).await.unwrap().is_some();
        assert_eq!(still, number < 99, "after {} sessions", number + 2);
    }
    for number in [0, 99] {
        let hash = fixtures::hash(&format!("other {number}"));
        assert!(
            bench.store.session(&hash).await.unwrap().is_some(),
            "other {number}"
        );
    }
}

/// A use is noted, at most once a minute.
pub(crate) async fn a_use_is_noted_once_a_minute(bench: &Bench) {
    let session = bench.signed_in().await;
    let found = async || bench.store.session(&session.hash).await.unwrap().unwrap().0;
    bench.advance(MINUTE / 2);
    assert_eq!(found().await.last_used_at, session.last_used_at);
    bench.advance(MINUTE / 2);
    let noted = found().await.last_used_at;
    assert_eq!(noted, bench.now());
    bench.advance(MINUTE / 2);
    assert_eq!(found().await.last_used_at, noted);
}

/// The session that a sign-in replaces is dead with its interactions. The same person's grants move to the new session and
/// end with that one.
pub(crate) async fn rule_61_a_replaced_session_is_dead(bench: &Bench) {
    let old = bench.signed_in().await;
    let pending = fixtures::interaction("pending", &old, CLIENT, bench.now());
    bench.store.begin_interaction(pending).await.unwrap();
    let grant = fixtures::grant(GRANT, &old, CLIENT, bench.now());
    let code = fixtures::authorization_code("code", &grant, CLIENT, bench.now());
    bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await
        .unwrap();
    assert!(bench.grant_is_live().await);

    let new = fixtures::session("new cookie", USER, bench.now());
    let interaction = fixtures::interaction("new handle", &new, CLIENT, bench.now());
    let sign_in = bench
        .store
        .sign_in(new.clone(), Some(old.hash), interaction)
        .await
        .unwrap();
    assert_eq!(sign_in, SignIn::SignedIn);
    assert!(!bench.session_is_live().await);
    assert!(bench.grant_is_live().await);
    for handle in ["pending", HANDLE] {
        assert!(
            bench
                .store
                .interaction(&fixtures::hash(handle))
                .await
                .unwrap()
                .is_none()
        );
    }
    assert!(bench.store.session(&new.hash).await.unwrap().is_some());
    assert!(
        bench
            .store
            .interaction(&fixtures::hash("new handle"))
            .await
            .unwrap()
            .is_some()
    );
    bench.store.end_session(&new.hash).await.unwrap();
    assert!(!bench.grant_is_live().await);
}

/// Somebody else's sign-in in the same browser ends the grants of whoever was signed in before.
pub(crate) async fn rule_61_another_person_ends_what_the_replaced_session_held(bench: &Bench) {
    let old = bench.signed_in().await;
    let grant = fixtures::grant(GRANT, &old, CLIENT, bench.now());
    let code = fixtures::authorization_code("code", &grant, CLIENT, bench.now());
    bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await
        .unwrap();
    assert!(bench.grant_is_live().await);

    bench.another_user("somebody else").await;
    let new = fixtures::session("new cookie", "somebody else", bench.now());
    let interaction = fixtures::interaction("new handle", &new, CLIENT, bench.now());
    let sign_in = bench
        .store
        .sign_in(new, Some(old.hash), interaction)
        .await
        .unwrap();
    assert_eq!(sign_in, SignIn::SignedIn);
    assert!(!bench.grant_is_live().await);
}

/// After sign-out the session is gone, and with it the grants without `offline_access`.
pub(crate) async fn rule_72_a_session_that_ended_is_gone(bench: &Bench) {
    bench.redeemed(false).await;
    bench.store.end_session(&fixtures::hash(COOKIE)).await.unwrap();
    bench.store.end_session(&fixtures::hash(COOKIE)).await.unwrap();
    assert!(!bench.session_is_live().await);
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
}

/// A grant with `offline_access` outlives its session.
pub(crate) async fn rule_38_an_offline_grant_outlives_the_session(bench: &Bench) {
    bench.redeemed(true).await;
    bench.store.end_session(&fixtures::hash(COOKIE)).await.unwrap();
    assert!(bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "rotated");
}

/// Until its code is redeemed it does not: a sign-out that comes before leaves the app nothing.
pub(crate) async fn rule_38_an_offline_grant_whose_code_waits_ends_with_the_session(bench: &Bench) {
    bench.issued(true).await;
    bench.store.end_session(&fixtures::hash(COOKIE)).await.unwrap();
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.redeem().await, "unknown");
}

/// Nor does one whose session is over, swept or not.
pub(crate) async fn rule_38_a_code_of_an_idle_session_is_refused(bench: &Bench) {
    for offline in [true, false] {
        let session = bench.signed_in().await;
        bench.advance(HOUR * 7 + MINUTE * 59 + SECOND * 50);
        let name = format!("offline {offline}");
        let grant = GrantRecord {
            offline,
            ..fixtures::grant(&name, &session, CLIENT, bench.now())
        };
        let code = fixtures::authorization_code(&name, &grant, CLIENT, bench.now());
        let hash = code.hash;
        let issued = bench
            .store
            .issue_authorization_code(None, grant, code, None)
            .await;
        assert_eq!(issued.unwrap(), IssueCode::Issued);
        bench.advance(SECOND * 20);
        let binding = fixtures::code_binding(CLIENT);
        let outcome = bench.store.redeem_authorization_code(&hash, &binding, None).await;
        assert!(matches!(outcome.unwrap(), RedeemCode::Refused), "{name}");
    }
}

/// Such a code goes along when the same person signs in again, and ends with the new session until it is redeemed.
pub(crate) async fn rule_38_an_offline_grant_whose_code_waits_follows_a_new_sign_in(bench: &Bench) {
    let old = bench.issued(true).await.session;
    let new = fixtures::session("new cookie", USER, bench.now());
    let hash = new.hash;
    let sign_in = bench.store.begin_session(new, Some(old)).await.unwrap();
    assert_eq!(sign_in, SignIn::SignedIn);
    assert_eq!(bench.redeem().await, "fresh");
    let grant = bench
        .store
        .live_grant(&GrantId::new(GRANT))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(grant.grant.session, hash);
    bench.store.end_session(&hash).await.unwrap();
    assert!(bench.grant_is_live().await);
}

/// A grant without `offline_access` is dead when its session is idle for too long, swept or not.
pub(crate) async fn rule_38_a_grant_ends_with_an_idle_session(bench: &Bench) {
    bench.issued(false).await;
    assert_eq!(bench.redeem().await, "fresh");
    bench.advance(HOUR * 8);
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "refused");
    bench.store.sweep(100).await.unwrap();
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
}

/// What died with an idle session stays dead when the same person signs in again before the sweep.
pub(crate) async fn rule_38_a_sign_in_revives_nothing(bench: &Bench) {
    let old = bench.redeemed(false).await.session;
    bench.advance(HOUR * 8);
    assert!(!bench.grant_is_live().await);
    let new = fixtures::session("new cookie", USER, bench.now());
    let interaction = fixtures::interaction("new handle", &new, CLIENT, bench.now());
    let sign_in = bench.store.sign_in(new, Some(old), interaction).await.unwrap();
    assert_eq!(sign_in, SignIn::SignedIn);
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
}

/// A rotation is a use of the session that the grant hangs on.
pub(crate) async fn a_rotation_is_a_use_of_the_session(bench: &Bench) {
    bench.redeemed(false).await;
    bench.advance(HOUR * 7);
    assert_eq!(bench.rotate(REFRESH, "second").await, "rotated");
    bench.advance(HOUR * 7);
    assert_eq!(bench.rotate("second", "third").await, "rotated");
    assert!(bench.session_is_live().await);
    bench.advance(HOUR * 10);
    assert_eq!(
        bench.rotate("third", "fourth").await,
        "refused",
        "the session is 24 hours old"
    );
}

/// An interaction ends by itself after its time, or when it is ended.
pub(crate) async fn an_interaction_ends(bench: &Bench) {
    let session: SessionRecord = bench.signed_in().await;
    let begun = fixtures::interaction("begun", &session, CLIENT, bench.now());
    bench.store.begin_interaction(begun.clone()).await.unwrap();
    let found = async |handle: &str| bench.store.interaction(&fixtures::hash(handle)).await.unwrap();
    assert_eq!(found("begun").await, Some(begun));
    bench
        .store
        .end_interaction(&fixtures::hash("begun"))
        .await
        .unwrap();
    bench
        .store
        .end_interaction(&fixtures::hash("begun"))
        .await
        .unwrap();
    assert_eq!(found("begun").await, None);
    assert!(found(HANDLE).await.is_some());
    bench.advance(MINUTE * 10);
    assert_eq!(found(HANDLE).await, None);
}

/// A session has at most a hundred interactions: the one that would expire first makes room, and those of another session
/// stay.
pub(crate) async fn rule_22_a_session_has_a_hundred_interactions(bench: &Bench) {
    let session = bench.signed_in().await;
    let other = fixtures::session("other", USER, bench.now());
    bench.store.begin_session(other.clone(), None).await.unwrap();
    let begin = async |name: &str, session: &SessionRecord| {
        let interaction = fixtures::interaction(name, session, CLIENT, bench.now());
        bench.store.begin_interaction(interaction).await.unwrap();
    };
    let is_there = async |name: &str| {
        let found = bench.store.interaction(&fixtures::hash(name)).await.unwrap();
        found.is_some()
    };
    begin("other", &other).await;
    for number in 0..100 {
        bench.advance(Duration::from_millis(1));
        begin(&number.to_string(), &session).await;
        // The sign-in began one too.
        assert_eq!(is_there(HANDLE).await, number < 99, "{number}");
    }
    bench.advance(Duration::from_millis(1));
    begin("100", &session).await;
    assert!(!is_there("0").await && is_there("1").await && is_there("100").await);
    assert!(is_there("other").await);
}
