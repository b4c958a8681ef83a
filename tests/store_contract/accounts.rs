//! What people see and end of their own, and the passwords that they choose.

use std::time::Duration;

use claviger::oidc::consent::Consent;
use claviger::oidc::identifier::GrantId;
use claviger::oidc::password::PasswordHash;
use claviger::store::records::{GrantRecord, OwnPasswordRecord, PasswordRecord, SessionRecord, UserRecord};
use claviger::store::{ChangePassword, IssueCode, RedeemCode, RegisterUser, SignIn};

use crate::bench::{Bench, CLIENT, COOKIE, GRANT, HANDLE, REFRESH, USER, uid};
use crate::fixtures;

const HOUR: Duration = Duration::from_hours(1);

/// Signs the user in somewhere else.
async fn another_session(bench: &Bench, cookie: &str, user: &str) -> SessionRecord {
    let session = fixtures::session(cookie, user, bench.now());
    let outcome = bench.store.begin_session(session.clone(), None).await.unwrap();
    assert_eq!(outcome, SignIn::SignedIn);
    session
}

/// Lets a client have a grant in a session, its code redeemed, and remembers the consent.
async fn grant(bench: &Bench, id: &str, session: &SessionRecord, client: &str, offline: bool) -> GrantRecord {
    let grant = GrantRecord {
        offline,
        ..fixtures::grant(id, session, client, bench.now())
    };
    let code = fixtures::authorization_code(&format!("code of {id}"), &grant, client, bench.now());
    let issued = bench
        .store
        .issue_authorization_code(None, grant.clone(), code, Some(grant.allowed()))
        .await
        .unwrap();
    assert_eq!(issued, IssueCode::Issued);
    let binding = fixtures::code_binding(client);
    let redeemed = bench
        .store
        .redeem_authorization_code(&fixtures::hash(&format!("code of {id}")), &binding, None)
        .await
        .unwrap();
    assert!(matches!(redeemed, RedeemCode::Fresh(..)));
    grant
}

async fn is_live(bench: &Bench, grant: &str) -> bool {
    bench
        .store
        .live_grant(&GrantId::new(grant))
        .await
        .unwrap()
        .is_some()
}

async fn session_is_live(bench: &Bench, cookie: &str) -> bool {
    bench
        .store
        .session(&fixtures::hash(cookie))
        .await
        .unwrap()
        .is_some()
}

async fn user(bench: &Bench) -> UserRecord {
    bench.store.user_by_uid(&uid(USER)).await.unwrap().unwrap()
}

fn own(bench: &Bench, hash: &str) -> OwnPasswordRecord {
    OwnPasswordRecord {
        hash: PasswordHash::from_phc(hash),
        set_at: bench.now(),
    }
}

/// The hash that the resource gives.
fn given() -> PasswordHash {
    fixtures::user_registration(USER).password.unwrap().hash
}

/// Changes the password in the session [`COOKIE`], which becomes `new cookie`.
async fn change(bench: &Bench, current: &PasswordHash, new: OwnPasswordRecord) -> ChangePassword {
    let session = fixtures::session("new cookie", USER, bench.now());
    bench
        .store
        .change_password(&fixtures::hash(COOKIE), session, current, new)
        .await
        .unwrap()
}

/// A session without an interaction begins and replaces another as one with an interaction does; a disabled user gets
/// none.
pub(crate) async fn rule_61_a_session_begins_without_an_interaction(bench: &Bench) {
    let old = bench.signed_in().await;
    grant(bench, GRANT, &old, CLIENT, false).await;
    let new = fixtures::session("new cookie", USER, bench.now());
    let outcome = bench.store.begin_session(new, Some(old.hash)).await.unwrap();
    assert_eq!(outcome, SignIn::SignedIn);
    assert!(!bench.session_is_live().await);
    assert!(session_is_live(bench, "new cookie").await);
    assert!(bench.grant_is_live().await);

    let mut registration = fixtures::user_registration(USER);
    registration.user.disabled = true;
    bench.store.register_user(registration).await.unwrap();
    let refused = fixtures::session("refused", USER, bench.now());
    let outcome = bench.store.begin_session(refused, None).await.unwrap();
    assert_eq!(outcome, SignIn::UserRefused);
    assert!(!session_is_live(bench, "refused").await);
}

/// An account shows the live sessions, the one used last first, and each client that was allowed something or holds
/// something; nobody else's.
pub(crate) async fn rule_75_an_account_shows_what_is_there(bench: &Bench) {
    let first = bench.signed_in().await;
    bench.another_client("mail").await;
    bench.another_user("bob").await;
    let bobs = another_session(bench, "bob's", "bob").await;
    grant(bench, "bob's", &bobs, CLIENT, false).await;
    let account = bench.store.account(&uid(USER)).await.unwrap();
    assert_eq!(account.sessions, std::slice::from_ref(&first));
    assert!(account.apps.is_empty());

    let shop = grant(bench, GRANT, &first, CLIENT, false).await;
    bench.advance(HOUR);
    let second = another_session(bench, "second", USER).await;
    let mail = grant(bench, "mail", &second, "mail", true).await;
    let account = bench.store.account(&uid(USER)).await.unwrap();
    assert_eq!(account.sessions, [second, first]);
    let [one, other] = account.apps.as_slice() else {
        panic!("{:?}", account.apps)
    };
    assert_eq!(one.client.client.client_name, "mail");
    assert_eq!(
        (&one.consented, &one.grants),
        (&mail.allowed(), &vec![mail.clone()])
    );
    assert_eq!(other.client.client.client_name, "shop");
    assert_eq!(
        (&other.consented, &other.grants),
        (&shop.allowed(), &vec![shop.clone()])
    );

    // What has ended is not shown, swept or not; a consent stays, and so does what needs no session.
    bench.store.revoke_grant(&shop.id).await.unwrap();
    bench.advance(HOUR * 8);
    let account = bench.store.account(&uid(USER)).await.unwrap();
    assert!(account.sessions.is_empty());
    assert_eq!(account.apps[0].grants, [mail]);
    assert_eq!(
        (&account.apps[1].consented, &account.apps[1].grants),
        (&shop.allowed(), &vec![])
    );
}

/// A person ends one session of their own with what hangs on it, and nobody else's.
pub(crate) async fn rule_75_one_session_ends(bench: &Bench) {
    let session = bench.redeemed(false).await.session;
    let other = another_session(bench, "other", USER).await;
    grant(bench, "other", &other, CLIENT, false).await;
    assert!(!bench.store.end_session_of(&uid("bob"), &session).await.unwrap());
    assert!(bench.session_is_live().await);

    assert!(bench.store.end_session_of(&uid(USER), &session).await.unwrap());
    assert!(!bench.store.end_session_of(&uid(USER), &session).await.unwrap());
    assert!(!bench.session_is_live().await);
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
    assert!(session_is_live(bench, "other").await);
    assert!(is_live(bench, "other").await);
}

/// A person ends every session but this one, with what hangs on them; offline grants stay, as at a sign-out.
pub(crate) async fn rule_75_all_other_sessions_end(bench: &Bench) {
    let keep = bench.redeemed(false).await.session;
    for cookie in ["second", "third"] {
        let session = another_session(bench, cookie, USER).await;
        grant(bench, cookie, &session, CLIENT, cookie == "third").await;
    }
    assert_eq!(
        bench.store.end_other_sessions(&uid(USER), &keep).await.unwrap(),
        2
    );
    assert_eq!(
        bench.store.end_other_sessions(&uid(USER), &keep).await.unwrap(),
        0
    );
    assert!(bench.session_is_live().await);
    assert!(bench.grant_is_live().await);
    assert!(!session_is_live(bench, "second").await && !session_is_live(bench, "third").await);
    assert!(!is_live(bench, "second").await);
    assert!(is_live(bench, "third").await);
}

/// A person ends what one app holds, offline or not, with the consent; other apps and people keep theirs.
pub(crate) async fn rule_38_an_apps_grants_end_with_its_consent(bench: &Bench) {
    let session = bench.redeemed(false).await.session;
    bench.another_client("mail").await;
    bench.another_user("bob").await;
    let session = bench.store.session(&session).await.unwrap().unwrap().0;
    grant(bench, "offline", &session, CLIENT, true).await;
    grant(bench, "mail", &session, "mail", false).await;
    let bobs = another_session(bench, "bob's", "bob").await;
    grant(bench, "bob's", &bobs, CLIENT, false).await;

    assert!(bench.store.end_app(&uid(USER), &uid(CLIENT)).await.unwrap());
    assert!(!bench.store.end_app(&uid(USER), &uid(CLIENT)).await.unwrap());
    assert!(!bench.grant_is_live().await && !is_live(bench, "offline").await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
    let consented = async |user: &str, client: &str| {
        let consented = bench.store.consent(&uid(user), &uid(client)).await;
        consented.unwrap()
    };
    assert_eq!(consented(USER, CLIENT).await, Consent::default());
    assert!(is_live(bench, "mail").await && is_live(bench, "bob's").await);
    assert!(!consented(USER, "mail").await.is_empty() && !consented("bob", CLIENT).await.is_empty());
    assert!(bench.session_is_live().await);
}

/// A password that the person chose lets them in instead of the resource's. The session has a new id; every other one ends,
/// and every grant with its tokens, those of this session and offline ones too. Consents stay, and so does what other people
/// hold.
pub(crate) async fn rule_38_a_password_that_the_person_chose_ends_the_rest(bench: &Bench) {
    let session = bench.redeemed(false).await.session;
    let session = bench.store.session(&session).await.unwrap().unwrap().0;
    grant(bench, "offline", &session, CLIENT, true).await;
    let other = another_session(bench, "other", USER).await;
    grant(bench, "other", &other, CLIENT, false).await;
    grant(bench, "other offline", &other, CLIENT, true).await;
    let pending = fixtures::interaction("pending", &session, CLIENT, bench.now());
    bench.store.begin_interaction(pending).await.unwrap();
    bench.another_user("bob").await;
    let bobs = another_session(bench, "bob's", "bob").await;
    grant(bench, "bob's", &bobs, CLIENT, false).await;

    let new = own(bench, "$argon2id$own");
    assert_eq!(
        change(bench, &given(), new.clone()).await,
        ChangePassword::Changed
    );
    assert_eq!(user(bench).await.own_password, Some(new.clone()));
    assert_eq!(user(bench).await.password_hash(), Some(&new.hash));
    assert!(!bench.session_is_live().await && !session_is_live(bench, "other").await);
    assert!(session_is_live(bench, "new cookie").await);
    for grant in [GRANT, "offline", "other", "other offline"] {
        assert!(!is_live(bench, grant).await, "{grant}");
    }
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
    let pending = bench.store.interaction(&fixtures::hash("pending")).await.unwrap();
    assert!(pending.is_none());
    let consented = bench.store.consent(&uid(USER), &uid(CLIENT)).await;
    assert!(!consented.unwrap().is_empty());
    assert!(session_is_live(bench, "bob's").await && is_live(bench, "bob's").await);
}

/// Nothing is written when the password that was verified is not the current one any more, when the session has ended, or
/// is another person's, or when the user is disabled.
pub(crate) async fn rule_38_a_password_is_changed_only_by_who_knows_it(bench: &Bench) {
    bench.redeemed(false).await;
    let stale = PasswordHash::from_phc("$argon2id$stale");
    let new = own(bench, "$argon2id$own");
    assert_eq!(
        change(bench, &stale, new.clone()).await,
        ChangePassword::NotCurrent
    );
    bench.another_user("bob").await;
    let bobs = fixtures::session("bob's", "bob", bench.now());
    let outcome = bench
        .store
        .change_password(&fixtures::hash(COOKIE), bobs, &given(), new.clone())
        .await
        .unwrap();
    assert_eq!(outcome, ChangePassword::SessionGone);
    assert_eq!(user(bench).await.own_password, None);
    assert!(bench.session_is_live().await && bench.grant_is_live().await);

    bench.store.end_session(&fixtures::hash(COOKIE)).await.unwrap();
    assert_eq!(
        change(bench, &given(), new.clone()).await,
        ChangePassword::SessionGone
    );
    assert_eq!(user(bench).await.own_password, None);

    let session = another_session(bench, COOKIE, USER).await;
    let mut registration = fixtures::user_registration(USER);
    registration.user.disabled = true;
    bench.store.register_user(registration).await.unwrap();
    assert_eq!(change(bench, &given(), new).await, ChangePassword::SessionGone);
    assert_eq!(user(bench).await.own_password, None);
    assert!(bench.store.session(&session.hash).await.unwrap().is_none());
}

/// Two changes from the same password at once: one counts.
pub(crate) async fn rule_38_two_changes_at_once_are_one(bench: &Bench) {
    bench.signed_in().await;
    another_session(bench, "other", USER).await;
    let attempt = |cookie: &'static str| {
        let (store, now) = (bench.store.clone(), bench.now());
        let new = own(bench, &format!("$argon2id$of {cookie}"));
        tokio::spawn(async move {
            let session = fixtures::session(&format!("new {cookie}"), USER, now);
            let changed = store
                .change_password(&fixtures::hash(cookie), session, &given(), new)
                .await;
            changed.unwrap() == ChangePassword::Changed
        })
    };
    let (one, other) = (attempt(COOKIE), attempt("other"));
    assert_ne!(one.await.unwrap(), other.await.unwrap());
}

/// The person's own password stays while the resource gives the same one as before, from wherever that is read, and a
/// stronger hash of it stays too. Another one is a reset: the own password is gone, and everything has ended.
pub(crate) async fn rule_38_a_reset_wins_over_the_persons_own_password(bench: &Bench) {
    bench.signed_in().await;
    let new = own(bench, "$argon2id$own");
    change(bench, &given(), new.clone()).await;
    let session = bench.store.session(&fixtures::hash("new cookie")).await.unwrap();
    grant(bench, GRANT, &session.unwrap().0, CLIENT, false).await;
    let stronger = PasswordHash::from_phc("$argon2id$stronger");
    bench
        .store
        .upgrade_password(&uid(USER), &new.hash, stronger.clone())
        .await
        .unwrap();
    assert_eq!(user(bench).await.password_hash(), Some(&stronger));

    let mut registration = fixtures::user_registration(USER);
    registration.user.groups = vec!["admins".to_owned()];
    bench.store.register_user(registration.clone()).await.unwrap();
    registration.password.as_mut().unwrap().source = "the same, read again".into();
    bench.store.register_user(registration.clone()).await.unwrap();
    assert_eq!(user(bench).await.password_hash(), Some(&stronger));
    assert_eq!(user(bench).await.password, registration.password);
    assert!(session_is_live(bench, "new cookie").await && bench.grant_is_live().await);

    registration.password = Some(PasswordRecord {
        hash: PasswordHash::from_phc("$argon2id$another"),
        source: "another".to_owned(),
    });
    let RegisterUser::Registered(record) = bench.store.register_user(registration.clone()).await.unwrap()
    else {
        panic!("the user is refused")
    };
    assert_eq!(
        (record.own_password, record.password),
        (None, registration.password.clone())
    );
    assert!(!session_is_live(bench, "new cookie").await && !bench.grant_is_live().await);

    // Without a password of the resource nobody signs in, with their own neither.
    let session = another_session(bench, COOKIE, USER).await;
    let current = registration.password.as_ref().unwrap().hash.clone();
    assert_eq!(change(bench, &current, new).await, ChangePassword::Changed);
    registration.password = None;
    bench.store.register_user(registration).await.unwrap();
    assert_eq!(user(bench).await.password_hash(), None);
    assert!(bench.store.session(&session.hash).await.unwrap().is_none());
    assert!(
        bench
            .store
            .interaction(&fixtures::hash(HANDLE))
            .await
            .unwrap()
            .is_none()
    );
}
