//! What clients are to be told of sessions that ended.

use std::time::Duration;

use claviger::clock::later;
use claviger::oidc::opaque_token::TokenHash;
use claviger::oidc::scope::ScopeSet;
use claviger::oidc::session_id::sid;
use claviger::store::records::{GrantRecord, OwnPasswordRecord, SessionRecord};
use claviger::store::{ChangePassword, ClaimedLogoutNotice, RotateRefreshToken, SignIn};

use crate::bench::{Bench, CLIENT, GRANT, REFRESH, USER, uid};
use crate::fixtures;

const HOUR: Duration = Duration::from_hours(1);
const PAUSES: [Duration; 2] = [Duration::from_mins(1), HOUR];

/// Registers a client that wants to be told.
async fn wants(bench: &Bench, name: &str, session_required: bool) {
    let mut registration = fixtures::client_registration(name, bench.now());
    registration.client.backchannel_logout_uri = Some("https://app.example.org/logout".to_owned());
    registration.client.backchannel_logout_session_required = session_required;
    bench.store.register_client(registration).await.unwrap();
}

/// A session in which a client was given an ID token, and that wants to be told.
async fn took_part(bench: &Bench, offline: bool) -> GrantRecord {
    let grant = bench.redeemed(offline).await;
    wants(bench, CLIENT, false).await;
    grant
}

async fn claim(bench: &Bench) -> Option<ClaimedLogoutNotice> {
    bench.store.claim_logout_notice(None, &[], &PAUSES).await.unwrap()
}

/// Client, `sub` and `sid` of everything that is due now.
async fn waiting(bench: &Bench) -> Vec<(String, String, Option<String>)> {
    let mut waiting = Vec::new();
    while let Some(ClaimedLogoutNotice { notice, client }) = claim(bench).await {
        assert_eq!(notice.client_uid, client.client.uid);
        bench.store.end_logout_notice(&notice).await.unwrap();
        waiting.push((
            client.client.client_id.to_string(),
            notice.sub.to_string(),
            notice.sid,
        ));
    }
    waiting.sort();
    waiting
}

/// What is told of the end of one session.
fn of_session(client: &str, session: &TokenHash) -> (String, String, Option<String>) {
    let sid = sid(session, &uid(client));
    (format!("team-a.{client}"), format!("subject-{USER}"), Some(sid))
}

fn of_everything(client: &str) -> (String, String, Option<String>) {
    (format!("team-a.{client}"), format!("subject-{USER}"), None)
}

/// Has another client take part in a session.
async fn joins(bench: &Bench, client: &str, session: &SessionRecord) {
    bench.another_client(client).await;
    let grant = fixtures::grant(&format!("grant of {client}"), session, client, bench.now());
    let code = fixtures::authorization_code(&format!("code of {client}"), &grant, client, bench.now());
    let hash = code.hash;
    bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await
        .unwrap();
    bench
        .store
        .redeem_authorization_code(&hash, &fixtures::code_binding(client), None)
        .await
        .unwrap();
    wants(bench, client, false).await;
}

/// Each way in which somebody ends a session has the client told in the same operation, once.
pub(crate) async fn rule_73_every_end_is_told(bench: &Bench) {
    for end in [
        "signed out",
        "ended on another device",
        "ended with all others",
        "app ended",
        "somebody else signed in",
        "password chosen",
        "password reset",
        "disabled",
        "another subject",
        "absent",
        "removed",
    ] {
        let session = took_part(bench, false).await.session;
        assert_eq!(waiting(bench).await, [], "before: {end}");
        let user = uid(USER);
        match end {
            "signed out" => bench.store.end_session(&session).await.unwrap(),
            "ended on another device" => {
                assert!(!bench.store.end_session_of(&uid("bob"), &session).await.unwrap());
                assert_eq!(waiting(bench).await, [], "nobody ends what is another's");
                assert!(bench.store.end_session_of(&user, &session).await.unwrap());
            }
            "ended with all others" => {
                let keep = fixtures::hash("keep");
                assert_eq!(bench.store.end_other_sessions(&user, &keep).await.unwrap(), 1);
            }
            "app ended" => assert!(bench.store.end_app(&user, &uid(CLIENT)).await.unwrap()),
            "somebody else signed in" => {
                bench.another_user("bob").await;
                let next = fixtures::session("next", "bob", bench.now());
                let signed_in = bench.store.begin_session(next, Some(session)).await.unwrap();
                assert_eq!(signed_in, SignIn::SignedIn);
            }
            "password chosen" => change_password(bench, &session).await,
            "absent" => bench.store.mark_users_absent(&[user]).await.unwrap(),
            "removed" => bench.store.remove_user(&user).await.unwrap(),
            other => {
                let mut registration = fixtures::user_registration(USER);
                match other {
                    "disabled" => registration.user.disabled = true,
                    "password reset" => registration.password = None,
                    _ => registration.user.subject = fixtures::end_user("other").subject,
                }
                bench.store.register_user(registration).await.unwrap();
            }
        }
        assert_eq!(waiting(bench).await, [of_session(CLIENT, &session)], "{end}");
        for hash in [session, fixtures::hash("next"), fixtures::hash("new")] {
            bench.store.end_session(&hash).await.unwrap();
        }
        assert_eq!(waiting(bench).await, [], "again: {end}");
        // The person of before: the same name, no mark of what happened to them.
        bench.store.remove_user(&uid(USER)).await.unwrap();
        let mut registration = fixtures::user_registration(USER);
        registration.restores_subject = true;
        bench.store.register_user(registration).await.unwrap();
    }
}

async fn change_password(bench: &Bench, session: &TokenHash) {
    let current = fixtures::user_registration(USER).password.unwrap().hash;
    let own = OwnPasswordRecord {
        hash: current.clone(),
        set_at: bench.now(),
    };
    let next = fixtures::session("new", USER, bench.now());
    let changed = bench
        .store
        .change_password(session, next, &current, own)
        .await
        .unwrap();
    assert_eq!(changed, ChangePassword::Changed);
}

/// A session that idles out, comes to its end, or makes room for newer ones was ended by nobody: no app is told, then or later.
pub(crate) async fn rule_74_a_session_that_nobody_ended_is_not_told(bench: &Bench) {
    for (wait, swept) in [(HOUR * 8, true), (HOUR * 8, false), (HOUR * 24, true)] {
        let session = took_part(bench, false).await.session;
        bench.advance(wait);
        if swept {
            bench.store.sweep(1_000).await.unwrap();
        }
        bench.store.end_session(&session).await.unwrap();
        assert_eq!(waiting(bench).await, []);
    }
    took_part(bench, false).await;
    for number in 0..100 {
        bench.advance(Duration::from_millis(1));
        let other = fixtures::session(&format!("other {number}"), USER, bench.now());
        bench.store.begin_session(other, None).await.unwrap();
    }
    assert!(!bench.session_is_live().await);
    assert_eq!(waiting(bench).await, []);
}

/// Told are the clients that were given an ID token in this session: not in another one, not without `openid`, not by a code
/// that nobody redeemed, and not those that have no address for it or are gone.
pub(crate) async fn rule_74_only_participants_are_told(bench: &Bench) {
    let session = bench.signed_in().await;
    for client in ["blog", "gone", "absent", "silent"] {
        joins(bench, client, &session).await;
    }
    bench.another_client("silent").await;
    bench.store.remove_client(&uid("gone")).await.unwrap();
    bench.store.mark_clients_absent(&[uid("absent")]).await.unwrap();
    // In another session of theirs.
    let elsewhere = fixtures::session("elsewhere", USER, bench.now());
    bench.store.begin_session(elsewhere.clone(), None).await.unwrap();
    joins(bench, "elsewhere", &elsewhere).await;
    // Without an ID token.
    wants(bench, "plain", false).await;
    let mut grant = fixtures::grant("plain", &session, "plain", bench.now());
    grant.scope = ScopeSet::parse("profile");
    let code = fixtures::authorization_code("plain", &grant, "plain", bench.now());
    bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await
        .unwrap();
    let binding = fixtures::code_binding("plain");
    bench
        .store
        .redeem_authorization_code(&fixtures::hash("plain"), &binding, None)
        .await
        .unwrap();
    wants(bench, "issued", false).await;
    let grant = fixtures::grant("issued", &session, "issued", bench.now());
    let code = fixtures::authorization_code("issued", &grant, "issued", bench.now());
    bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await
        .unwrap();
    bench.store.end_session(&session.hash).await.unwrap();
    assert_eq!(waiting(bench).await, [of_session("blog", &session.hash)]);
}

/// The person signs in again: clients keep what they call the session, a refresh tells them the new name, and its end is told by
/// all of them. Grants that were revoked meanwhile change nothing.
pub(crate) async fn rule_74_a_session_is_told_by_the_names_that_a_client_knows(bench: &Bench) {
    let old = took_part(bench, false).await.session;
    let new = fixtures::session("new", USER, bench.now());
    bench.store.begin_session(new.clone(), Some(old)).await.unwrap();
    assert_eq!(waiting(bench).await, []);
    assert_eq!(bench.rotate(REFRESH, "next").await, "rotated");
    let grant = claviger::oidc::identifier::GrantId::new(GRANT);
    bench.store.revoke_grant(&grant).await.unwrap();
    bench.store.end_session(&new.hash).await.unwrap();
    let mut expected = [of_session(CLIENT, &old), of_session(CLIENT, &new.hash)];
    expected.sort();
    assert_eq!(waiting(bench).await, expected);
}

/// The same of a client whose token stays as it is: it is given an ID token of the session that there is now.
pub(crate) async fn rule_74_a_session_is_told_by_its_new_name_to_who_keeps_a_token(bench: &Bench) {
    let old = took_part(bench, false).await.session;
    let new = fixtures::session("new", USER, bench.now());
    bench.store.begin_session(new.clone(), Some(old)).await.unwrap();
    let idle_until = later(bench.now(), HOUR);
    let used = bench
        .store
        .use_refresh_token(&fixtures::hash(REFRESH), &uid(CLIENT), None, idle_until)
        .await;
    assert!(matches!(used, Ok(RotateRefreshToken::Rotated(_))));
    bench.store.end_session(&new.hash).await.unwrap();
    let mut expected = [of_session(CLIENT, &old), of_session(CLIENT, &new.hash)];
    expected.sort();
    assert_eq!(waiting(bench).await, expected);
}

/// A client that got as far as a code was given no ID token, and is not told; for `offline_access` neither.
pub(crate) async fn rule_74_who_only_has_a_code_is_not_told(bench: &Bench) {
    for offline in [false, true] {
        bench.issued(offline).await;
        wants(bench, CLIENT, false).await;
        let mut registration = fixtures::user_registration(USER);
        registration.user.disabled = true;
        bench.store.register_user(registration).await.unwrap();
        assert_eq!(waiting(bench).await, [], "offline: {offline}");
        assert_eq!(bench.redeem().await, "unknown");
    }
}

/// Where everything of a person ends, a client that may stay signed in without a session here is told so by `sub` alone, and
/// once; one that needs `sid` hears of its sessions only. The end of one session leaves the offline grant, and is told as such.
pub(crate) async fn rule_73_the_end_of_everything_is_told_without_sid(bench: &Bench) {
    for (session_required, idle) in [(false, false), (true, false), (false, true), (true, true)] {
        let session = took_part(bench, true).await.session;
        wants(bench, CLIENT, session_required).await;
        if idle {
            bench.advance(HOUR * 9);
            bench.store.sweep(1_000).await.unwrap();
        }
        let mut registration = fixtures::user_registration(USER);
        registration.user.disabled = true;
        bench.store.register_user(registration).await.unwrap();
        let told = waiting(bench).await;
        match (session_required, idle) {
            (false, _) => assert_eq!(told, [of_everything(CLIENT)]),
            (true, false) => assert_eq!(told, [of_session(CLIENT, &session)]),
            (true, true) => assert_eq!(told, []),
        }
    }
    let session = took_part(bench, true).await.session;
    bench.store.end_session(&session).await.unwrap();
    assert_eq!(waiting(bench).await, [of_session(CLIENT, &session)]);
    assert!(bench.grant_is_live().await);
    // The app's own end: it may have sessions of before.
    bench.store.end_app(&uid(USER), &uid(CLIENT)).await.unwrap();
    assert_eq!(waiting(bench).await, [of_everything(CLIENT)]);
}

/// A claim is due again after its pause, whatever became of who claimed it, until it is ended as it was claimed.
pub(crate) async fn rule_73_a_claim_comes_back_until_it_is_ended(bench: &Bench) {
    let session = took_part(bench, false).await.session;
    bench.store.end_session(&session).await.unwrap();
    let mut claims = Vec::new();
    for (attempt, pause) in [PAUSES[0], PAUSES[1], PAUSES[1]].into_iter().enumerate() {
        let claimed = claim(bench).await.unwrap().notice;
        assert_eq!(usize::try_from(claimed.attempts), Ok(attempt + 1));
        assert_eq!(claimed.due_at, later(bench.now(), pause));
        assert!(claim(bench).await.is_none(), "it is claimed");
        bench.advance(pause.saturating_sub(Duration::from_millis(1)));
        assert!(claim(bench).await.is_none(), "before its pause is over");
        bench.advance(Duration::from_millis(1));
        claims.push(claimed);
    }
    let last = claim(bench).await.unwrap().notice;
    for old in &claims {
        bench.store.end_logout_notice(old).await.unwrap();
    }
    bench.advance(HOUR);
    let again = claim(bench).await.unwrap().notice;
    assert_eq!(again.attempts, last.attempts + 1, "an older claim ended it");
    bench.store.end_logout_notice(&again).await.unwrap();
    bench.advance(HOUR * 3);
    assert!(claim(bench).await.is_none());
}

/// Clients are served in turn, a busy one is passed over, and after a day nobody is told any more.
pub(crate) async fn rule_73_clients_are_told_in_turn(bench: &Bench) {
    for round in 0..2 {
        let session = fixtures::session(&format!("session {round}"), USER, bench.now());
        bench.register().await;
        bench.store.begin_session(session.clone(), None).await.unwrap();
        for client in ["a", "b", "long-name"] {
            bench.another_client(client).await;
            let name = format!("{client} {round}");
            let grant = fixtures::grant(&name, &session, client, bench.now());
            let code = fixtures::authorization_code(&name, &grant, client, bench.now());
            bench
                .store
                .issue_authorization_code(None, grant, code, None)
                .await
                .unwrap();
            let binding = fixtures::code_binding(client);
            bench
                .store
                .redeem_authorization_code(&fixtures::hash(&name), &binding, None)
                .await
                .unwrap();
            wants(bench, client, false).await;
        }
        bench.store.end_session(&session.hash).await.unwrap();
    }
    let mut last = None;
    let mut order = Vec::new();
    let busy = [uid("a")];
    for busy in [&[][..], &[], &[], &busy, &[], &[]] {
        let claimed = bench
            .store
            .claim_logout_notice(last.as_ref(), busy, &PAUSES)
            .await
            .unwrap()
            .unwrap();
        order.push(claimed.client.client.client_name);
        last = Some(claimed.notice.client_uid);
    }
    assert_eq!(order, ["a", "b", "long-name", "b", "long-name", "a"]);
    assert!(claim(bench).await.is_none());
    bench.advance(HOUR * 24);
    assert!(claim(bench).await.is_none(), "a day later nobody is told");
}

/// Of one client a thousand wait at most; those that would be tried first go. With the client, all go.
pub(crate) async fn rule_88_what_waits_for_a_client_is_bounded(bench: &Bench) {
    bench.register().await;
    for number in 0..1_010 {
        let name = format!("{number}");
        let session = fixtures::session(&name, USER, bench.now());
        bench.store.begin_session(session.clone(), None).await.unwrap();
        let grant = fixtures::grant(&name, &session, CLIENT, bench.now());
        let code = fixtures::authorization_code(&name, &grant, CLIENT, bench.now());
        bench
            .store
            .issue_authorization_code(None, grant, code, None)
            .await
            .unwrap();
        let binding = fixtures::code_binding(CLIENT);
        bench
            .store
            .redeem_authorization_code(&fixtures::hash(&name), &binding, None)
            .await
            .unwrap();
        if number == 0 {
            wants(bench, CLIENT, false).await;
        }
        bench.store.end_session(&session.hash).await.unwrap();
        bench.advance(Duration::from_millis(1));
    }
    assert_eq!(bench.store.waiting_logout_notices().await.unwrap(), 1_000);
    let waiting = waiting(bench).await;
    assert_eq!(waiting.len(), 1_000);
    assert_eq!(bench.store.waiting_logout_notices().await.unwrap(), 0);
    for number in 0..10 {
        let pushed_out = of_session(CLIENT, &fixtures::hash(&format!("{number}")));
        assert!(!waiting.contains(&pushed_out), "session {number}");
    }
    let session = took_part(bench, false).await.session;
    bench.store.end_session(&session).await.unwrap();
    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    assert!(claim(bench).await.is_none());
    wants(bench, CLIENT, false).await;
    assert!(claim(bench).await.is_none(), "another client of the same name");
}

/// A client that is suspended is told, one that no more wants to be is not.
pub(crate) async fn rule_74_a_client_is_asked_as_it_is_now(bench: &Bench) {
    let session = took_part(bench, false).await.session;
    bench.store.end_session(&session).await.unwrap();
    let mut registration = fixtures::client_registration(CLIENT, bench.now());
    registration.client.backchannel_logout_uri = Some("https://new.example.org/".to_owned());
    registration.client.suspended = true;
    bench.store.register_client(registration).await.unwrap();
    let client = claim(bench).await.unwrap().client.client;
    assert_eq!(
        client.backchannel_logout_uri.as_deref(),
        Some("https://new.example.org/")
    );
    bench.another_client(CLIENT).await;
    bench.advance(PAUSES[0]);
    assert!(claim(bench).await.is_none());
    wants(bench, CLIENT, false).await;
    assert!(
        claim(bench).await.is_none(),
        "it is forgotten, not only passed over"
    );
}
