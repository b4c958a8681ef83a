//! Grants and consents.

use std::time::Duration;

use claviger::oidc::claims::Claim;
use claviger::oidc::consent::Consent;
use claviger::oidc::identifier::GrantId;
use claviger::oidc::scope::ScopeSet;
use claviger::store::records::{GrantRecord, SessionRecord};
use claviger::store::{IssueCode, RedeemCode};

use crate::bench::{Bench, CLIENT, GRANT, REFRESH, USER, name_of_redemption, uid};
use crate::fixtures;

/// A live grant comes with its user as registered now.
pub(crate) async fn a_live_grant_comes_with_the_user_of_now(bench: &Bench) {
    let grant = bench.redeemed(false).await;
    let mut registration = fixtures::user_registration(USER);
    registration.user.groups = vec!["admins".to_owned()];
    bench.store.register_user(registration).await.unwrap();
    let live = bench.store.live_grant(&grant.id).await.unwrap().unwrap();
    assert_eq!(live.grant, grant);
    assert_eq!(live.user.user.groups, ["admins"]);
    assert!(
        bench
            .store
            .live_grant(&GrantId::new("other"))
            .await
            .unwrap()
            .is_none()
    );
}

/// What hangs on a revoked grant is dead.
pub(crate) async fn a_revoked_grant_is_dead(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    bench.store.revoke_grant(&grant.id).await.unwrap();
    bench.store.revoke_grant(&GrantId::new("other")).await.unwrap();
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "refused");
    let (_, kept) = bench
        .store
        .refresh_token(&fixtures::hash(REFRESH))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.revoked_at, Some(bench.now()));
}

/// A code that was not redeemed is dead when its grant is revoked.
pub(crate) async fn a_code_of_a_revoked_grant_is_refused(bench: &Bench) {
    bench.issued(false).await;
    bench.store.revoke_grant(&GrantId::new(GRANT)).await.unwrap();
    assert_eq!(bench.redeem().await, "refused");
}

/// A grant ends at its end, with everything on it.
pub(crate) async fn a_grant_ends_at_its_end(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    for at in [grant.expires_at, bench.now()] {
        bench.clock.set(at);
        let live = at < grant.expires_at;
        assert_eq!(bench.grant_is_live().await, live);
        let token = bench.store.refresh_token(&fixtures::hash(REFRESH)).await.unwrap();
        assert_eq!(token.is_some(), live);
    }
}

/// Consents add up, per user and client.
pub(crate) async fn consents_add_up(bench: &Bench) {
    let session = bench.signed_in().await;
    for (number, (scopes, claims)) in [
        ("openid", vec![Claim::Address]),
        ("profile email", vec![Claim::PhoneNumber, Claim::Name]),
    ]
    .into_iter()
    .enumerate()
    {
        let grant = fixtures::grant(&format!("grant {number}"), &session, CLIENT, bench.now());
        let code = fixtures::authorization_code(&format!("code {number}"), &grant, CLIENT, bench.now());
        let remember = Some(consent(scopes, &claims));
        bench
            .store
            .issue_authorization_code(None, grant, code, remember)
            .await
            .unwrap();
    }
    let consented = async |user: &str, client: &str| {
        let allowed = bench.store.consent(&uid(user), &uid(client)).await;
        allowed.unwrap()
    };
    // A claim that one of the scopes gives is part of the scope.
    let both = consent("openid profile email", &[Claim::Address, Claim::PhoneNumber]);
    assert_eq!(consented(USER, CLIENT).await, both);
    assert_eq!(consented(USER, "other").await, Consent::default());
    assert_eq!(consented("bob", CLIENT).await, Consent::default());
    bench.advance(Duration::from_hours(24 * 365));
    bench.store.sweep(100).await.unwrap();
    assert_eq!(consented(USER, CLIENT).await, both);
}

fn consent(scopes: &str, claims: &[Claim]) -> Consent {
    Consent::new(ScopeSet::parse(scopes), claims.iter().copied().collect())
}

/// As long as the ids that claviger makes.
fn id_of(name: &str) -> GrantId {
    GrantId::new(format!("{name:.<22}"))
}

/// Lets a client have one more grant in a session, by a code that is redeemed or not.
async fn one_more(bench: &Bench, id: &str, session: &SessionRecord, client: &str, redeemed: bool) {
    bench.advance(Duration::from_millis(1));
    let grant = GrantRecord {
        offline: true,
        ..fixtures::grant(id_of(id).as_str(), session, client, bench.now())
    };
    begin(bench, id, grant, client, redeemed).await;
}

async fn begin(bench: &Bench, id: &str, grant: GrantRecord, client: &str, redeemed: bool) {
    let code = fixtures::authorization_code(&format!("code of {id}"), &grant, client, bench.now());
    let (hash, binding) = (code.hash, code.binding.clone());
    let issued = bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await;
    assert_eq!(issued.unwrap(), IssueCode::Issued);
    if redeemed {
        let token = fixtures::refresh_token(&format!("token of {id}"), bench.now());
        let outcome = bench
            .store
            .redeem_authorization_code(&hash, &binding, Some(token))
            .await;
        assert_eq!(name_of_redemption(&outcome.unwrap()), "fresh");
    }
}

/// A client holds at most a hundred grants of one person whose code was redeemed: the oldest ends with its code and tokens to
/// make room. Codes that nobody redeems end nothing, and what other clients hold, or this one of other people, stays.
pub(crate) async fn rule_88_the_oldest_of_too_many_grants_ends(bench: &Bench) {
    let first = bench.redeemed(true).await;
    let session = bench.store.session(&first.session).await.unwrap().unwrap().0;
    bench.another_client("mail").await;
    bench.another_user("bob").await;
    let bobs = fixtures::session("bob's", "bob", bench.now());
    bench.store.begin_session(bobs.clone(), None).await.unwrap();
    one_more(bench, "at mail", &session, "mail", true).await;
    one_more(bench, "bob's", &bobs, CLIENT, true).await;
    for number in 0..100 {
        one_more(bench, &format!("unredeemed {number}"), &session, CLIENT, false).await;
    }
    for number in 2..=100 {
        one_more(bench, &format!("number {number}"), &session, CLIENT, true).await;
    }
    assert!(bench.grant_is_live().await, "a hundred");

    one_more(bench, "number 101", &session, CLIENT, true).await;
    assert!(!bench.grant_is_live().await, "a hundred and one");
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
    assert_eq!(bench.redeem().await, "unknown");
    for id in ["number 2", "number 101", "unredeemed 0", "at mail", "bob's"] {
        let live = bench.store.live_grant(&id_of(id)).await.unwrap();
        assert!(live.is_some(), "{id}");
    }
    assert_eq!(bench.rotate("token of number 2", "next").await, "rotated");
}

/// What ends is the oldest of the session that signs in again and again, and it is told: the person stays signed in to the app
/// in other browsers, until there is nothing else left.
pub(crate) async fn rule_88_a_session_ends_its_own_grants_first(bench: &Bench) {
    let elsewhere = bench.redeemed(true).await;
    let here = fixtures::session("here", USER, bench.now());
    bench.store.begin_session(here.clone(), None).await.unwrap();
    for number in 1..=99 {
        one_more(bench, &format!("number {number}"), &here, CLIENT, true).await;
    }
    let live = async |id: &str| bench.store.live_grant(&id_of(id)).await.unwrap().is_some();
    for number in 1..=10 {
        assert!(live(&format!("number {number}")).await);
        one_more(bench, &format!("again {number}"), &here, CLIENT, true).await;
        assert!(!live(&format!("number {number}")).await && bench.grant_is_live().await);
    }
    let third = fixtures::session("third", USER, bench.now());
    bench.store.begin_session(third.clone(), None).await.unwrap();
    one_more(bench, "third", &third, CLIENT, true).await;
    assert!(!bench.grant_is_live().await, "the oldest of all");
    assert!(live("number 11").await && live("third").await);

    let grant = fixtures::grant("told", &here, CLIENT, bench.now());
    let code = fixtures::authorization_code("told", &grant, CLIENT, bench.now());
    let (hash, binding) = (code.hash, code.binding.clone());
    let issued = bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await;
    assert_eq!(issued.unwrap(), IssueCode::Issued);
    let redeemed = bench.store.redeem_authorization_code(&hash, &binding, None).await;
    let RedeemCode::Fresh(_, ended) = redeemed.unwrap() else {
        panic!("it was refused");
    };
    assert_eq!(ended, [id_of("number 11")]);
    assert_ne!(elsewhere.session, here.hash);
}

/// A grant that ended does not count, and one that was moved to another session is one of that.
pub(crate) async fn rule_88_grants_count_while_they_live_where_they_are(bench: &Bench) {
    let one_in = async |id: String, session: &SessionRecord| {
        bench.advance(Duration::from_millis(1));
        let grant = fixtures::grant(id_of(&id).as_str(), session, CLIENT, bench.now());
        begin(bench, &id, grant, CLIENT, true).await;
    };
    let live = async |id: &str| bench.store.live_grant(&id_of(id)).await.unwrap().is_some();
    let elsewhere = bench.signed_in().await;
    one_in("elsewhere".to_owned(), &elsewhere).await;
    let mut here = fixtures::session("here", USER, bench.now());
    bench.store.begin_session(here.clone(), None).await.unwrap();
    for number in 1..=60 {
        one_in(format!("here {number}"), &here).await;
    }
    let again = fixtures::session("again", USER, bench.now());
    let signed_in = bench.store.begin_session(again.clone(), Some(here.hash)).await;
    signed_in.unwrap();
    here = again;
    for number in 61..=99 {
        one_in(format!("here {number}"), &here).await;
    }
    assert!(live("elsewhere").await && live("here 1").await, "a hundred");
    one_in("here 100".to_owned(), &here).await;
    assert!(live("elsewhere").await && !live("here 1").await && live("here 2").await);

    bench.store.end_session(&here.hash).await.unwrap();
    assert!(!live("here 2").await);
    let third = fixtures::session("third", USER, bench.now());
    bench.store.begin_session(third.clone(), None).await.unwrap();
    for number in 1..=99 {
        one_in(format!("third {number}"), &third).await;
    }
    assert!(
        live("elsewhere").await && live("third 1").await,
        "a hundred again"
    );
    one_in("third 100".to_owned(), &third).await;
    assert!(live("elsewhere").await && !live("third 1").await && live("third 2").await);
}

/// Grants that made room leave nothing in the store, not even something to look at later.
pub(crate) async fn rule_88_what_made_room_leaves_nothing_behind(bench: &Bench) {
    let session = bench.signed_in().await;
    for number in 1..=150 {
        one_more(bench, &format!("number {number}"), &session, CLIENT, true).await;
    }
    // Codes are looked at a minute after they were issued.
    bench.advance(Duration::from_mins(2));
    bench.store.sweep(1000).await.unwrap();
    bench.advance(Duration::from_hours(15 * 24));
    let looked_at = bench.store.sweep(1000).await.unwrap();
    assert!(
        (100..110).contains(&looked_at),
        "{looked_at}, with 100 refresh tokens"
    );
}

/// After the clock was set back the newest grant looks older than those before it, and is not what makes room.
pub(crate) async fn a_grant_does_not_make_room_for_itself(bench: &Bench) {
    let session = bench.signed_in().await;
    for number in 1..=100 {
        one_more(bench, &format!("number {number}"), &session, CLIENT, true).await;
    }
    bench.clock.set(session.last_used_at);
    one_more(bench, "newest", &session, CLIENT, true).await;
    assert_eq!(bench.rotate("token of newest", "next").await, "rotated");
    assert_eq!(bench.rotate("token of number 1", "next").await, "unknown");
}
