//! A store with its clock, and the way to a code that most checks begin with.

use std::sync::Arc;
use std::time::Duration;

use claviger::clock::{Clock, Timestamp};
use claviger::oidc::identifier::{GrantId, ResourceUid};
use claviger::oidc::thumbprint::Thumbprint;
use claviger::store::memory::MemoryStore;
use claviger::store::records::{CodeBinding, GrantRecord, SessionRecord};
use claviger::store::sled::{SledSettings, SledStore};
use claviger::store::{
    IssueCode, RedeemCode, RegisterClient, RegisterUser, RotateRefreshToken, SignIn, Store,
};
use tempfile::TempDir;

use crate::clock::TestClock;
use crate::fixtures;

/// A store under test.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<TestClock>,
    _folder: Option<TempDir>,
}

pub(crate) const CLIENT: &str = "shop";
pub(crate) const USER: &str = "alice";
pub(crate) const COOKIE: &str = "cookie";
pub(crate) const HANDLE: &str = "handle";
pub(crate) const CODE: &str = "code";
pub(crate) const REFRESH: &str = "refresh";
pub(crate) const GRANT: &str = "the-grant-of-the-bench";

impl Bench {
    pub(crate) fn memory() -> Self {
        let clock = Arc::new(TestClock::new());
        Self {
            store: Arc::new(MemoryStore::new(clock.clone())),
            clock,
            _folder: None,
        }
    }

    pub(crate) fn sled() -> Self {
        let clock = Arc::new(TestClock::new());
        let folder = tempfile::tempdir().unwrap();
        let settings = SledSettings::at(folder.path().join("store"));
        let on_failure = Box::new(|reason: &str| panic!("the store failed: {reason}"));
        Self {
            store: Arc::new(SledStore::open(settings, clock.clone(), on_failure).unwrap()),
            clock,
            _folder: Some(folder),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) async fn register(&self) {
        register(&*self.store, self.now()).await;
    }

    /// Registers another client.
    pub(crate) async fn another_client(&self, name: &str) {
        let registration = fixtures::client_registration(name, self.now());
        let outcome = self.store.register_client(registration).await.unwrap();
        assert!(matches!(outcome, RegisterClient::Registered(_)));
    }

    /// Registers another user.
    pub(crate) async fn another_user(&self, name: &str) {
        let registration = fixtures::user_registration(name);
        let outcome = self.store.register_user(registration).await.unwrap();
        assert!(matches!(outcome, RegisterUser::Registered(_)));
    }

    /// Registers client and user and signs the user in, with an interaction.
    pub(crate) async fn signed_in(&self) -> SessionRecord {
        signed_in(&*self.store, self.now()).await
    }

    /// As [`Bench::signed_in`], with a code issued; `offline` says whether its grant outlives the session.
    pub(crate) async fn issued(&self, offline: bool) -> GrantRecord {
        self.issued_for_key(offline, None).await
    }

    /// As [`Bench::issued`], with a code that is bound to a key.
    pub(crate) async fn issued_for_key(&self, offline: bool, dpop_jkt: Option<Thumbprint>) -> GrantRecord {
        let session = self.signed_in().await;
        let grant = GrantRecord {
            offline,
            ..fixtures::grant(GRANT, &session, CLIENT, self.now())
        };
        let mut code = fixtures::authorization_code(CODE, &grant, CLIENT, self.now());
        code.binding.dpop_jkt = dpop_jkt;
        let issued = self
            .store
            .issue_authorization_code(Some(fixtures::hash(HANDLE)), grant.clone(), code, None)
            .await
            .unwrap();
        assert_eq!(issued, IssueCode::Issued);
        grant
    }

    /// As [`Bench::issued`], with the code redeemed for a refresh token.
    pub(crate) async fn redeemed(&self, offline: bool) -> GrantRecord {
        let grant = self.issued(offline).await;
        assert_eq!(self.redeem().await, "fresh");
        grant
    }

    /// Redeems the code as its client does.
    pub(crate) async fn redeem(&self) -> &'static str {
        self.redeem_with(fixtures::code_binding(CLIENT)).await
    }

    /// Redeems the code under a binding.
    pub(crate) async fn redeem_with(&self, binding: CodeBinding) -> &'static str {
        let token = fixtures::refresh_token(REFRESH, self.now());
        let outcome = self
            .store
            .redeem_authorization_code(&fixtures::hash(CODE), &binding, Some(token))
            .await
            .unwrap();
        name_of_redemption(&outcome)
    }

    /// Rotates a refresh token as its client does.
    pub(crate) async fn rotate(&self, token: &str, successor: &str) -> &'static str {
        self.rotate_as(CLIENT, token, successor).await
    }

    /// Rotates a refresh token as some client.
    pub(crate) async fn rotate_as(&self, client: &str, token: &str, successor: &str) -> &'static str {
        let outcome = self
            .store
            .rotate_refresh_token(
                &fixtures::hash(token),
                &uid(client),
                None,
                fixtures::refresh_token(successor, self.now()),
            )
            .await
            .unwrap();
        name_of_rotation(&outcome)
    }

    /// Whether the grant of [`Bench::issued`] is live.
    pub(crate) async fn grant_is_live(&self) -> bool {
        let grant = self.store.live_grant(&GrantId::new(GRANT)).await.unwrap();
        grant.is_some()
    }

    /// Whether the session of [`Bench::signed_in`] is live.
    pub(crate) async fn session_is_live(&self) -> bool {
        let session = self.store.session(&fixtures::hash(COOKIE)).await.unwrap();
        session.is_some()
    }
}

pub(crate) async fn register(store: &dyn Store, now: Timestamp) {
    let client = store
        .register_client(fixtures::client_registration(CLIENT, now))
        .await
        .unwrap();
    assert!(matches!(client, RegisterClient::Registered(_)));
    let user = store
        .register_user(fixtures::user_registration(USER))
        .await
        .unwrap();
    assert!(matches!(user, RegisterUser::Registered(_)));
}

pub(crate) async fn signed_in(store: &dyn Store, now: Timestamp) -> SessionRecord {
    register(store, now).await;
    let session = fixtures::session(COOKIE, USER, now);
    let interaction = fixtures::interaction(HANDLE, &session, CLIENT, now);
    let sign_in = store.sign_in(session.clone(), None, interaction).await.unwrap();
    assert_eq!(sign_in, SignIn::SignedIn);
    session
}

pub(crate) fn uid(name: &str) -> ResourceUid {
    ResourceUid::new(format!("uid-{name}"))
}

pub(crate) fn name_of_redemption(outcome: &RedeemCode) -> &'static str {
    match outcome {
        RedeemCode::Fresh(..) => "fresh",
        RedeemCode::Replayed(_) => "replayed",
        RedeemCode::Mismatch => "mismatch",
        RedeemCode::Unknown => "unknown",
        RedeemCode::Refused => "refused",
    }
}

pub(crate) fn name_of_rotation(outcome: &RotateRefreshToken) -> &'static str {
    match outcome {
        RotateRefreshToken::Rotated(_) => "rotated",
        RotateRefreshToken::Reused(_) => "reused",
        RotateRefreshToken::Mismatch => "mismatch",
        RotateRefreshToken::Unknown => "unknown",
        RotateRefreshToken::Refused => "refused",
    }
}
