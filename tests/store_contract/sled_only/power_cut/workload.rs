//! What the store is made to do: many lives of clients, users, sessions and grants at once, with a note before each
//! operation and after it was acknowledged.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use claviger::clock::Clock;
use claviger::oidc::identifier::GrantId;
use claviger::store::records::GrantRecord;
use claviger::store::sled::{SledSettings, SledStore};
use claviger::store::{IssueCode, RegisterClient, RegisterUser, SignIn, Store};

use crate::bench::{self, CLIENT, COOKIE, USER, name_of_redemption, name_of_rotation, uid};
use crate::clock::TestClock;
use crate::fixtures;

/// How many lives go on at once.
const AT_ONCE: usize = 8;
/// How many clients share the grants, so that none holds so many that its oldest end.
const CLIENTS: usize = 16;

/// What a life of a number is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A code is redeemed, and its refresh token rotated again and again.
    Refreshed,
    /// A code is redeemed twice, which revokes the grant.
    Replayed,
    /// A spent refresh token is used again, which revokes the grant.
    Reused,
    /// A grant is revoked.
    Revoked,
    /// A session begins and ends.
    Session,
    /// A client is registered, suspended and removed.
    Client,
    /// A user is registered and disabled.
    User,
}

impl Kind {
    pub(super) fn of(number: usize) -> Self {
        [
            Self::Refreshed,
            Self::Replayed,
            Self::Reused,
            Self::Revoked,
            Self::Refreshed,
            Self::Session,
            Self::Client,
            Self::User,
        ][number % 8]
    }

    fn steps(self) -> usize {
        match self {
            Self::Refreshed => 5,
            Self::Reused => 4,
            Self::Replayed | Self::Revoked | Self::Client => 3,
            Self::Session | Self::User => 2,
        }
    }
}

/// The names of what a number is about.
pub(super) fn code(number: usize) -> String {
    format!("code {number}")
}

pub(super) fn token(number: usize, generation: usize) -> String {
    format!("token {number} {generation}")
}

pub(super) fn grant(number: usize) -> GrantId {
    GrantId::new(format!("grant {number}"))
}

pub(super) fn name(number: usize) -> String {
    format!("name-{number}")
}

/// The client that holds the grant of a number.
fn client(number: usize) -> String {
    format!("client-{}", number % CLIENTS)
}

/// Lives through numbers from `first` on, which no earlier run has used.
pub(super) async fn run(path: &Path, notes: &Path, first: usize, synced: bool) {
    let mut settings = SledSettings::at(path);
    if !synced {
        settings.sync = Box::new(|_| Ok(()));
    }
    let on_failure = Box::new(|reason: &str| panic!("the store failed: {reason}"));
    let store = SledStore::open(settings, Arc::new(TestClock::new()), on_failure).unwrap();
    let store: Arc<SledStore> = Arc::new(store);
    if store.session(&fixtures::hash(COOKIE)).await.unwrap().is_none() {
        let now = TestClock::new().now();
        bench::signed_in(&*store, now).await;
    }
    // Each time: a life may have ended before it had registered them all.
    for number in 0..CLIENTS {
        let registration = fixtures::client_registration(&client(number), TestClock::new().now());
        store.register_client(registration).await.unwrap();
    }
    let count = testbed::scale::count(160, 600);
    let next = Arc::new(AtomicUsize::new(first));
    let notes = Arc::new(OpenOptions::new().create(true).append(true).open(notes).unwrap());
    let mut lives = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (store, next, notes) = (Arc::clone(&store), Arc::clone(&next), Arc::clone(&notes));
        lives.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= first + count {
                    return;
                }
                for step in 0..Kind::of(number).steps() {
                    say(&notes, "begin", number, step);
                    take(&*store, number, step).await;
                    say(&notes, "done", number, step);
                }
            }
        });
    }
    lives.join_all().await;
}

fn say(notes: &File, what: &str, number: usize, step: usize) {
    let line = format!("{what} {number} {step}\n");
    let mut notes = notes;
    assert_eq!(notes.write(line.as_bytes()).unwrap(), line.len());
}

async fn take(store: &dyn Store, number: usize, step: usize) {
    let now = TestClock::new().now();
    match (Kind::of(number), step) {
        (Kind::Session, 0) => {
            let session = fixtures::session(&name(number), USER, now);
            let interaction = fixtures::interaction(&name(number), &session, CLIENT, now);
            let signed_in = store.sign_in(session, None, interaction).await.unwrap();
            assert_eq!(signed_in, SignIn::SignedIn);
        }
        (Kind::Session, _) => store.end_session(&fixtures::hash(&name(number))).await.unwrap(),
        (Kind::Client, 2) => store.remove_client(&uid(&name(number))).await.unwrap(),
        (Kind::Client, _) => {
            let mut registration = fixtures::client_registration(&name(number), now);
            registration.client.suspended = step == 1;
            let outcome = store.register_client(registration).await.unwrap();
            assert!(matches!(outcome, RegisterClient::Registered(_)));
        }
        (Kind::User, _) => {
            let mut registration = fixtures::user_registration(&name(number));
            registration.user.disabled = step == 1;
            let outcome = store.register_user(registration).await.unwrap();
            assert!(matches!(outcome, RegisterUser::Registered(_)));
        }
        (_, 0) => {
            let session = fixtures::session(COOKIE, USER, now);
            let grant = GrantRecord {
                offline: true,
                ..fixtures::grant(grant(number).as_str(), &session, &client(number), now)
            };
            let code = fixtures::authorization_code(&code(number), &grant, &client(number), now);
            let issued = store.issue_authorization_code(None, grant, code, None).await;
            assert_eq!(issued.unwrap(), IssueCode::Issued);
        }
        (_, 1) => assert_eq!(redeem(store, number).await, "fresh"),
        (Kind::Refreshed, _) | (Kind::Reused, 2) => {
            assert_eq!(rotate(store, number, step - 2).await, "rotated");
        }
        (Kind::Reused, _) => assert_eq!(rotate(store, number, 0).await, "reused"),
        (Kind::Replayed, _) => assert_eq!(redeem(store, number).await, "replayed"),
        (Kind::Revoked, _) => store.revoke_grant(&grant(number)).await.unwrap(),
    }
}

pub(super) async fn redeem(store: &dyn Store, number: usize) -> &'static str {
    let first = fixtures::refresh_token(&token(number, 0), TestClock::new().now());
    let binding = fixtures::code_binding(&client(number));
    let hash = fixtures::hash(&code(number));
    let outcome = store
        .redeem_authorization_code(&hash, &binding, Some(first))
        .await;
    name_of_redemption(&outcome.unwrap())
}

pub(super) async fn rotate(store: &dyn Store, number: usize, generation: usize) -> &'static str {
    let successor = fixtures::refresh_token(&token(number, generation + 1), TestClock::new().now());
    let hash = fixtures::hash(&token(number, generation));
    let outcome = store
        .rotate_refresh_token(&hash, &uid(&client(number)), None, successor)
        .await;
    name_of_rotation(&outcome.unwrap())
}
