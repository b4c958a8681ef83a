//! Measures the operations of any store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::{ClientId, GrantId, ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::password::PasswordHash;
use crate::oidc::service_account_token::ClusterIssuer;
use crate::oidc::thumbprint::Thumbprint;
use crate::store::records::{
    AccessTokenRecord, AuthorizationCodeRecord, ClientRecord, ClientRegistration, ClusterIdentity,
    CodeBinding, DeviceCodeRecord, Digest, GrantRecord, InteractionRecord, LogoutNoticeRecord,
    NewRefreshToken, OwnPasswordRecord, PushedRequestRecord, RefreshTokenRecord, SecretRotation,
    SessionRecord, UserRecord, UserRegistration,
};
use crate::store::throttle::{BeginAttempt, Forgiveness, ThrottleBucket};
use crate::store::{
    Account, ChangePassword, ClaimedLogoutNotice, IssueCode, RedeemCode, RedeemDeviceCode, Redeemed,
    RegisterClient, RegisterUser, RevokeAccessToken, RotateClientSecret, RotateRefreshToken, SignIn,
    SpendJti, Store, StoreError,
};
use crate::telemetry::metrics::Metrics;

/// A store whose operations are measured.
pub(super) struct MeasuredStore {
    inner: Arc<dyn Store>,
    metrics: Metrics,
}

impl MeasuredStore {
    pub(super) fn new(inner: Arc<dyn Store>, metrics: Metrics) -> Self {
        for operation in OPERATIONS {
            metrics.store_operation(operation);
        }
        Self { inner, metrics }
    }

    async fn measure<T>(
        &self,
        operation: &'static str,
        run: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let waiting = Waiting::begin(&self.metrics);
        let result = run.await;
        self.metrics
            .store_operation_took(operation, waiting.since.elapsed(), result.is_err());
        result
    }
}

/// An operation that is waited for, until it is dropped: callers may go away at any await.
struct Waiting<'a> {
    metrics: &'a Metrics,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(metrics: &'a Metrics) -> Self {
        metrics.store_operation_begins();
        Self {
            metrics,
            since: Instant::now(),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.metrics.store_operation_ends();
    }
}

/// Each operation in a line: passed on, under its own name.
macro_rules! measured {
    ($($operation:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {
        const OPERATIONS: &[&str] = &[$(stringify!($operation)),*];

        #[async_trait]
        impl Store for MeasuredStore {
            $(async fn $operation(&self, $($argument: $type),*) -> Result<$output, StoreError> {
                self.measure(stringify!($operation), self.inner.$operation($($argument),*)).await
            })*
        }
    };
}

measured! {
    bind_cluster(cluster: &ClusterIdentity) -> Option<ClusterIdentity>;
    bind_keyring(keyring_id: &str) -> String;
    keyring_id() -> Option<String>;
    mark_provisioned() -> ();
    is_provisioned() -> bool;
    note_cluster_issuer(issuer: ClusterIssuer) -> bool;
    cluster_issuer() -> Option<ClusterIssuer>;
    register_client(registration: ClientRegistration) -> RegisterClient;
    complete_client(uid: &ResourceUid, done: Digest) -> ();
    rotate_client_secret(uid: &ResourceUid, rotation: SecretRotation) -> RotateClientSecret;
    retire_client_secrets(uid: &ResourceUid, current: &str, retires_at: Timestamp) -> Option<ClientRecord>;
    forget_retired_client_secrets(uid: &ResourceUid) -> Option<ClientRecord>;
    client(client_id: &ClientId) -> Option<ClientRecord>;
    client_by_uid(uid: &ResourceUid) -> Option<ClientRecord>;
    clients() -> Vec<ClientRecord>;
    resource_server(identifier: &str) -> Option<ClientRecord>;
    origin_is_registered(origin: &str) -> bool;
    begin_access_token(token: AccessTokenRecord) -> ();
    access_token(hash: &TokenHash) -> Option<AccessTokenRecord>;
    client_of_access_token(uid: &ResourceUid, jti: &TokenHash) -> Option<ClientRecord>;
    revoke_access_token(client: &ResourceUid, jti: &TokenHash, expires_at: Timestamp) -> RevokeAccessToken;
    spend_jti(signer: &ResourceUid, jti: &TokenHash, forget_at: Timestamp, capacity: u64) -> SpendJti;
    mark_clients_absent(uids: &[ResourceUid]) -> ();
    remove_client(uid: &ResourceUid) -> ();
    register_user(registration: UserRegistration) -> RegisterUser;
    complete_user(uid: &ResourceUid, done: Digest) -> ();
    upgrade_password(uid: &ResourceUid, old: &PasswordHash, new: PasswordHash) -> ();
    user_by_username(username: &str) -> Option<UserRecord>;
    user_by_subject(subject: &Subject) -> Option<UserRecord>;
    user_by_uid(uid: &ResourceUid) -> Option<UserRecord>;
    users() -> Vec<UserRecord>;
    mark_users_absent(uids: &[ResourceUid]) -> ();
    remove_user(uid: &ResourceUid) -> ();
    sign_in(session: SessionRecord, replaces: Option<TokenHash>, interaction: InteractionRecord) -> SignIn;
    session(hash: &TokenHash) -> Option<(SessionRecord, UserRecord)>;
    begin_session(session: SessionRecord, replaces: Option<TokenHash>) -> SignIn;
    end_session(hash: &TokenHash) -> ();
    account(user: &ResourceUid) -> Account;
    end_session_of(user: &ResourceUid, hash: &TokenHash) -> bool;
    end_other_sessions(user: &ResourceUid, keep: &TokenHash) -> usize;
    end_app(user: &ResourceUid, client: &ResourceUid) -> bool;
    change_password(
        replaces: &TokenHash,
        session: SessionRecord,
        current: &PasswordHash,
        new: OwnPasswordRecord
    ) -> ChangePassword;
    claim_logout_notice(
        after: Option<&ResourceUid>,
        busy: &[ResourceUid],
        pauses: &[Duration]
    ) -> Option<ClaimedLogoutNotice>;
    end_logout_notice(claimed: &LogoutNoticeRecord) -> ();
    waiting_logout_notices() -> u64;
    begin_interaction(interaction: InteractionRecord) -> ();
    interaction(hash: &TokenHash) -> Option<InteractionRecord>;
    end_interaction(hash: &TokenHash) -> ();
    consent(user: &ResourceUid, client: &ResourceUid) -> Consent;
    push_authorization_request(pushed: PushedRequestRecord) -> ();
    take_pushed_request(hash: &TokenHash, client: &ResourceUid) -> Option<AuthorizationRequest>;
    issue_authorization_code(
        interaction: Option<TokenHash>,
        grant: GrantRecord,
        code: AuthorizationCodeRecord,
        remember: Option<Consent>
    ) -> IssueCode;
    redeem_authorization_code(
        hash: &TokenHash,
        binding: &CodeBinding,
        refresh_token: Option<NewRefreshToken>
    ) -> RedeemCode;
    refresh_token(hash: &TokenHash) -> Option<(RefreshTokenRecord, GrantRecord)>;
    rotate_refresh_token(
        hash: &TokenHash,
        client: &ResourceUid,
        proven: Option<&Thumbprint>,
        successor: NewRefreshToken
    ) -> RotateRefreshToken;
    use_refresh_token(
        hash: &TokenHash,
        client: &ResourceUid,
        proven: Option<&Thumbprint>,
        idle_until: Timestamp
    ) -> RotateRefreshToken;
    begin_device_authorization(device: DeviceCodeRecord) -> bool;
    device_authorization(user_code: &TokenHash) -> Option<DeviceCodeRecord>;
    approve_device(
        interaction: TokenHash,
        device: &TokenHash,
        grant: GrantRecord,
        remember: Option<Consent>
    ) -> IssueCode;
    deny_device(device: &TokenHash) -> ();
    redeem_device_code(
        hash: &TokenHash,
        client: &ResourceUid,
        refresh_token: Option<NewRefreshToken>
    ) -> RedeemDeviceCode;
    tokens_valid_until() -> Timestamp;
    prove_writable() -> ();
    live_grant(id: &GrantId) -> Option<Redeemed>;
    revoke_grant(id: &GrantId) -> ();
    begin_attempt(buckets: &[ThrottleBucket]) -> BeginAttempt;
    forgive_attempt(at: Timestamp, buckets: &[(ThrottleBucket, Forgiveness)]) -> ();
    sweep(limit: usize) -> usize;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::memory::MemoryStore;

    /// What is waited for counts until it is answered or nobody waits any more, and what was answered is measured.
    #[tokio::test]
    async fn operations_are_measured_and_seen_while_they_are_waited_for() {
        let metrics = Metrics::default();
        let memory = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let store = MeasuredStore::new(memory, metrics.clone());
        store.mark_provisioned().await.unwrap();

        let never = store.measure::<()>("client", std::future::pending());
        let waits = tokio::time::timeout(std::time::Duration::from_millis(5), never);
        let (waited, seen) = tokio::join!(waits, async {
            tokio::task::yield_now().await;
            metrics.render()
        });
        waited.unwrap_err();
        assert!(
            seen.contains("claviger_store_operations_in_flight 1\n"),
            "{}",
            seen
        );

        let failed = store.measure("client", async {
            Err::<(), _>(StoreError::Unavailable("gone".to_owned()))
        });
        failed.await.unwrap_err();
        let text = metrics.render();
        for line in [
            "claviger_store_operations_in_flight 0\n",
            "claviger_store_operation_errors_total{operation=\"client\"} 1\n",
            "claviger_store_operation_errors_total{operation=\"mark_provisioned\"} 0\n",
            "claviger_store_operation_duration_seconds_count{operation=\"mark_provisioned\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
