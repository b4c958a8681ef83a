//! Users.

use std::time::Duration;

use claviger::oidc::identifier::Subject;
use claviger::oidc::password::PasswordHash;
use claviger::store::records::{Digest, UserRecord, UserRegistration};
use claviger::store::{IssueCode, RegisterUser, SignIn};

use crate::bench::{Bench, CLIENT, COOKIE, HANDLE, REFRESH, USER, uid};
use crate::fixtures;

async fn register(bench: &Bench, registration: UserRegistration) -> Result<UserRecord, String> {
    match bench.store.register_user(registration).await.unwrap() {
        RegisterUser::Registered(record) => Ok(*record),
        RegisterUser::UsernameHeld(holder) => Err(format!("username held by {holder}")),
        RegisterUser::SubjectHeld(holder) => Err(format!("subject held by {holder}")),
        RegisterUser::SubjectIsClientId(holder) => Err(format!("subject is the client id of {holder}")),
        RegisterUser::SubjectRetired => Err("subject retired".to_owned()),
    }
}

async fn everything_has_ended(bench: &Bench) {
    assert!(!bench.session_is_live().await);
    assert!(!bench.grant_is_live().await);
    assert_ne!(bench.rotate(REFRESH, "next").await, "rotated");
    assert!(
        bench
            .store
            .interaction(&fixtures::hash(HANDLE))
            .await
            .unwrap()
            .is_none()
    );
}

/// A registered user is found by username, subject, uid and among all; registering again replaces what is known.
pub(crate) async fn a_user_is_registered_and_replaced(bench: &Bench) {
    let store = &*bench.store;
    assert_eq!(store.user_by_username(USER).await.unwrap(), None);
    let mut registration = fixtures::user_registration(USER);
    let record = register(bench, registration.clone()).await.unwrap();
    let subject = record.user.subject.clone();
    assert_eq!(store.user_by_username(USER).await.unwrap(), Some(record.clone()));
    assert_eq!(
        store.user_by_subject(&subject).await.unwrap(),
        Some(record.clone())
    );
    assert_eq!(store.user_by_uid(&uid(USER)).await.unwrap(), Some(record.clone()));
    assert_eq!(store.users().await.unwrap(), [record]);

    let done = Digest("digest".to_owned());
    store.complete_user(&uid(USER), done.clone()).await.unwrap();
    registration.user.username = "alice.example".into();
    let record = register(bench, registration).await.unwrap();
    assert_eq!(record.done, Some(done));
    assert_eq!(store.user_by_username(USER).await.unwrap(), None);
    assert_eq!(
        store.user_by_username("alice.example").await.unwrap(),
        Some(record)
    );
}

/// A username and a subject stay with the resource that holds them.
pub(crate) async fn a_claim_that_is_held_stays(bench: &Bench) {
    register(bench, fixtures::user_registration(USER)).await.unwrap();
    let mut other = fixtures::user_registration("bob");
    other.user.username = USER.into();
    assert_eq!(
        register(bench, other).await.unwrap_err(),
        "username held by claviger/alice"
    );
    let mut other = fixtures::user_registration("bob");
    other.user.subject = Subject::new("subject-alice");
    assert_eq!(
        register(bench, other).await.unwrap_err(),
        "subject held by claviger/alice"
    );
    assert_eq!(bench.store.users().await.unwrap().len(), 1);
}

/// Nothing ends when what is known of a user changes but neither password nor `disabled` does.
pub(crate) async fn a_changed_name_ends_nothing(bench: &Bench) {
    bench.redeemed(false).await;
    let mut registration = fixtures::user_registration(USER);
    registration.user.groups = vec!["admins".to_owned()];
    register(bench, registration).await.unwrap();
    assert!(bench.session_is_live().await);
    assert!(bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "rotated");
}

/// A user is updated when anything of them becomes another, and by no registration that repeats what is known, nor by what
/// else happens to the record.
pub(crate) async fn a_change_of_a_user_is_noted(bench: &Bench) {
    let mut registration = fixtures::user_registration(USER);
    let at = bench.now();
    let record = register(bench, registration.clone()).await.unwrap();
    assert_eq!(record.updated_at, Some(at));
    bench.advance(Duration::from_secs(1));
    let done = Digest("digest".to_owned());
    bench.store.complete_user(&uid(USER), done).await.unwrap();
    bench.store.mark_users_absent(&[uid(USER)]).await.unwrap();
    let record = register(bench, registration.clone()).await.unwrap();
    assert_eq!(record.updated_at, Some(at));
    registration.user.standard_claims.nickname = Some("Al".to_owned());
    let record = register(bench, registration).await.unwrap();
    assert_eq!(record.updated_at, Some(bench.now()));
    assert_eq!(bench.store.user_by_uid(&uid(USER)).await.unwrap(), Some(record));
}

/// A disabled user loses all sessions, interactions and grants at once, offline ones too, and may not sign in; enabled
/// again, nothing of that comes back.
pub(crate) async fn rule_63_a_disabled_user_loses_everything_at_once(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    let mut registration = fixtures::user_registration(USER);
    registration.user.disabled = true;
    register(bench, registration.clone()).await.unwrap();
    everything_has_ended(bench).await;

    let session = fixtures::session(COOKIE, USER, bench.now());
    let interaction = fixtures::interaction(HANDLE, &session, CLIENT, bench.now());
    let refused = bench.store.sign_in(session, None, interaction).await.unwrap();
    assert_eq!(refused, SignIn::UserRefused);
    let code = fixtures::authorization_code("second", &grant, CLIENT, bench.now());
    let refused = bench
        .store
        .issue_authorization_code(None, grant, code, None)
        .await
        .unwrap();
    assert_eq!(refused, IssueCode::UserRefused);

    registration.user.disabled = false;
    register(bench, registration).await.unwrap();
    everything_has_ended(bench).await;
}

/// Another password ends all sessions and grants; so does the end of having one.
pub(crate) async fn rule_38_a_changed_password_ends_everything(bench: &Bench) {
    bench.redeemed(true).await;
    let mut registration = fixtures::user_registration(USER);
    let password = registration.password.as_mut().unwrap();
    password.source = "2".into();
    password.hash = PasswordHash::from_phc("$argon2id$another");
    let record = register(bench, registration.clone()).await.unwrap();
    assert_eq!(record.password, registration.password);
    everything_has_ended(bench).await;

    registration.password = None;
    assert_eq!(register(bench, registration).await.unwrap().password, None);
}

/// A hash is replaced only by one of the same password, and a registration from the same source does not bring the weak
/// one back.
pub(crate) async fn an_upgraded_hash_stays(bench: &Bench) {
    let store = &*bench.store;
    bench.redeemed(false).await;
    let old = fixtures::user_registration(USER).password.unwrap().hash;
    let new = PasswordHash::from_phc("$argon2id$stronger");
    let stale = PasswordHash::from_phc("$argon2id$stale");
    store
        .upgrade_password(&uid(USER), &stale, new.clone())
        .await
        .unwrap();
    let hash = async || {
        store
            .user_by_uid(&uid(USER))
            .await
            .unwrap()
            .unwrap()
            .password
            .unwrap()
            .hash
    };
    assert_eq!(hash().await, old);
    store
        .upgrade_password(&uid(USER), &old, new.clone())
        .await
        .unwrap();
    assert_eq!(hash().await, new);
    bench.register().await;
    assert_eq!(hash().await, new);
    assert!(bench.session_is_live().await);
}

/// An absent user is refused and everything of theirs ends at once; they may return within a day.
pub(crate) async fn an_absent_user_loses_everything_and_may_return(bench: &Bench) {
    bench.redeemed(true).await;
    bench
        .store
        .mark_users_absent(&[uid(USER), uid("unheard-of")])
        .await
        .unwrap();
    everything_has_ended(bench).await;
    let absent = bench.store.user_by_username(USER).await.unwrap().unwrap();
    assert_eq!(absent.absent_since, Some(bench.now()));
    assert!(!absent.is_live());

    bench.advance(Duration::from_hours(23));
    bench.store.sweep(100).await.unwrap();
    let record = register(bench, fixtures::user_registration(USER)).await.unwrap();
    assert!(record.is_live());
    bench.advance(Duration::from_hours(2));
    bench.store.sweep(100).await.unwrap();
    assert!(bench.store.user_by_username(USER).await.unwrap().is_some());
}

/// A user who is absent for 24 hours is purged, and the subject is never given to another.
pub(crate) async fn an_absent_user_is_purged_after_a_day(bench: &Bench) {
    bench.register().await;
    bench.store.mark_users_absent(&[uid(USER)]).await.unwrap();
    bench.advance(Duration::from_hours(24));
    assert_eq!(bench.store.sweep(100).await.unwrap(), 1);
    assert!(bench.store.users().await.unwrap().is_empty());
    let mut other = fixtures::user_registration("bob");
    other.user.subject = Subject::new("subject-alice");
    assert_eq!(register(bench, other).await.unwrap_err(), "subject retired");
}

/// Removing a user ends their sessions, grants and consents, frees the username and retires the subject for good, for the
/// same resource name too (OpenID Connect Core section 8: never reassigned).
pub(crate) async fn a_removed_user_leaves_a_tombstone(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    let session = fixtures::session(COOKIE, USER, bench.now());
    let second = fixtures::grant("second", &session, CLIENT, bench.now());
    let code = fixtures::authorization_code("second code", &second, CLIENT, bench.now());
    bench
        .store
        .issue_authorization_code(None, second, code, Some(grant.allowed()))
        .await
        .unwrap();
    assert_eq!(
        bench.store.consent(&uid(USER), &uid(CLIENT)).await.unwrap(),
        grant.allowed()
    );

    bench.store.remove_user(&uid(USER)).await.unwrap();
    bench.store.remove_user(&uid(USER)).await.unwrap();
    everything_has_ended(bench).await;
    assert_eq!(bench.store.user_by_uid(&uid(USER)).await.unwrap(), None);
    assert_eq!(bench.store.user_by_subject(&grant.subject).await.unwrap(), None);
    let consented = bench.store.consent(&uid(USER), &uid(CLIENT)).await.unwrap();
    assert!(consented.is_empty());

    let mut again = fixtures::user_registration(USER);
    again.user.uid = uid("alice-again");
    assert_eq!(
        register(bench, again.clone()).await.unwrap_err(),
        "subject retired"
    );
    let mut other = again.clone();
    other.user.subject = Subject::new("uid-alice-again");
    register(bench, other).await.unwrap();
    bench.store.remove_user(&uid("alice-again")).await.unwrap();

    // Whoever says that this is the same person gives them their subject back, and what had ended stays ended. Then it is
    // theirs, until they are removed again.
    again.restores_subject = true;
    let restored = register(bench, again.clone()).await.unwrap();
    assert_eq!(restored.user.subject, grant.subject);
    everything_has_ended(bench).await;
    again.restores_subject = false;
    register(bench, again.clone()).await.unwrap();
    bench.store.remove_user(&again.user.uid).await.unwrap();
    assert_eq!(register(bench, again).await.unwrap_err(), "subject retired");
}

/// A user whose resource is deleted and made again is another person, even if nobody has told the store of the deletion.
pub(crate) async fn a_recreated_resource_is_another_user(bench: &Bench) {
    bench.redeemed(true).await;
    let mut again = fixtures::user_registration(USER);
    again.user.uid = uid("alice-again");
    again.user.subject = Subject::new("uid-alice-again");
    let record = register(bench, again).await.unwrap();
    assert_eq!(bench.store.user_by_username(USER).await.unwrap(), Some(record));
    assert_eq!(bench.store.user_by_uid(&uid(USER)).await.unwrap(), None);
    everything_has_ended(bench).await;
}
