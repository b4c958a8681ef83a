//! A real store, that in memory mostly, with faults put in front of it: what a test sees of a store that is away, or of a bug below a
//! handler.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use claviger::clock::Timestamp;
use claviger::oidc::authorization_request::AuthorizationRequest;
use claviger::oidc::consent::Consent;
use claviger::oidc::identifier::{ClientId, GrantId, ResourceUid, Subject};
use claviger::oidc::opaque_token::TokenHash;
use claviger::oidc::password::PasswordHash;
use claviger::oidc::service_account_token::ClusterIssuer;
use claviger::oidc::thumbprint::Thumbprint;
use claviger::store::memory::MemoryStore;
use claviger::store::records::{
    AccessTokenRecord, AuthorizationCodeRecord, ClientRecord, ClientRegistration, ClusterIdentity,
    CodeBinding, DeviceCodeRecord, Digest, GrantRecord, InteractionRecord, LogoutNoticeRecord,
    NewRefreshToken, OwnPasswordRecord, PushedRequestRecord, RefreshTokenRecord, SecretRotation,
    SessionRecord, UserRecord, UserRegistration,
};
use claviger::store::throttle::{BeginAttempt, Forgiveness, ThrottleBucket};
use claviger::store::{
    Account, ChangePassword, ClaimedLogoutNotice, IssueCode, RedeemCode, RedeemDeviceCode, Redeemed,
    RegisterClient, RegisterUser, RevokeAccessToken, RotateClientSecret, RotateRefreshToken, SignIn,
    SpendJti, Store, StoreError,
};

/// What happens at an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It answers that the store is away.
    Unavailable,
    /// It panics.
    Panic,
}

/// The store.
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    fault: Mutex<Option<(&'static str, Fault)>>,
}

impl FaultyStore {
    /// Without a fault.
    pub(crate) fn new(inner: MemoryStore) -> Self {
        Self::over(Arc::new(inner))
    }

    /// Before any store.
    pub(crate) fn over(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            fault: Mutex::new(None),
        }
    }

    /// Puts a fault at the operation of this name; `*` means every operation.
    pub(crate) fn fail(&self, operation: &'static str, fault: Fault) {
        *self.fault.lock().unwrap() = Some((operation, fault));
    }

    /// Takes the fault away.
    pub(crate) fn heal(&self) {
        *self.fault.lock().unwrap() = None;
    }

    /// Copied out, so that a panic does not poison the lock.
    fn fault(&self) -> Option<(&'static str, Fault)> {
        *self.fault.lock().unwrap()
    }

    fn reach(&self, operation: &str) -> Result<(), StoreError> {
        match self.fault() {
            Some((name, fault)) if name == "*" || name == operation => match fault {
                Fault::Unavailable => Err(StoreError::Unavailable("the test took it away".to_owned())),
                Fault::Panic => panic!("the test made {operation} panic"),
            },
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn bind_cluster(&self, cluster: &ClusterIdentity) -> Result<Option<ClusterIdentity>, StoreError> {
        self.reach("bind_cluster")?;
        self.inner.bind_cluster(cluster).await
    }

    async fn bind_keyring(&self, keyring_id: &str) -> Result<String, StoreError> {
        self.reach("bind_keyring")?;
        self.inner.bind_keyring(keyring_id).await
    }

    async fn keyring_id(&self) -> Result<Option<String>, StoreError> {
        self.reach("keyring_id")?;
        self.inner.keyring_id().await
    }

    async fn mark_provisioned(&self) -> Result<(), StoreError> {
        self.reach("mark_provisioned")?;
        self.inner.mark_provisioned().await
    }

    async fn is_provisioned(&self) -> Result<bool, StoreError> {
        self.reach("is_provisioned")?;
        self.inner.is_provisioned().await
    }

    async fn note_cluster_issuer(&self, issuer: ClusterIssuer) -> Result<bool, StoreError> {
        self.reach("note_cluster_issuer")?;
        self.inner.note_cluster_issuer(issuer).await
    }

    async fn cluster_issuer(&self) -> Result<Option<ClusterIssuer>, StoreError> {
        self.reach("cluster_issuer")?;
        self.inner.cluster_issuer().await
    }

    async fn prove_writable(&self) -> Result<(), StoreError> {
        self.reach("prove_writable")?;
        self.inner.prove_writable().await
    }

    async fn tokens_valid_until(&self) -> Result<Timestamp, StoreError> {
        self.reach("tokens_valid_until")?;
        self.inner.tokens_valid_until().await
    }

    async fn register_client(&self, registration: ClientRegistration) -> Result<RegisterClient, StoreError> {
        self.reach("register_client")?;
        self.inner.register_client(registration).await
    }

    async fn complete_client(&self, uid: &ResourceUid, done: Digest) -> Result<(), StoreError> {
        self.reach("complete_client")?;
        self.inner.complete_client(uid, done).await
    }

    async fn rotate_client_secret(
        &self,
        uid: &ResourceUid,
        rotation: SecretRotation,
    ) -> Result<RotateClientSecret, StoreError> {
        self.reach("rotate_client_secret")?;
        self.inner.rotate_client_secret(uid, rotation).await
    }

    async fn retire_client_secrets(
        &self,
        uid: &ResourceUid,
        current: &str,
        retires_at: Timestamp,
    ) -> Result<Option<ClientRecord>, StoreError> {
        self.reach("retire_client_secrets")?;
        self.inner.retire_client_secrets(uid, current, retires_at).await
    }

    async fn forget_retired_client_secrets(
        &self,
        uid: &ResourceUid,
    ) -> Result<Option<ClientRecord>, StoreError> {
        self.reach("forget_retired_client_secrets")?;
        self.inner.forget_retired_client_secrets(uid).await
    }

    async fn client(&self, client_id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        self.reach("client")?;
        self.inner.client(client_id).await
    }

    async fn client_by_uid(&self, uid: &ResourceUid) -> Result<Option<ClientRecord>, StoreError> {
        self.reach("client_by_uid")?;
        self.inner.client_by_uid(uid).await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.reach("clients")?;
        self.inner.clients().await
    }

    async fn resource_server(&self, identifier: &str) -> Result<Option<ClientRecord>, StoreError> {
        self.reach("resource_server")?;
        self.inner.resource_server(identifier).await
    }

    async fn origin_is_registered(&self, origin: &str) -> Result<bool, StoreError> {
        self.reach("origin_is_registered")?;
        self.inner.origin_is_registered(origin).await
    }

    async fn mark_clients_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError> {
        self.reach("mark_clients_absent")?;
        self.inner.mark_clients_absent(uids).await
    }

    async fn remove_client(&self, uid: &ResourceUid) -> Result<(), StoreError> {
        self.reach("remove_client")?;
        self.inner.remove_client(uid).await
    }

    async fn register_user(&self, registration: UserRegistration) -> Result<RegisterUser, StoreError> {
        self.reach("register_user")?;
        self.inner.register_user(registration).await
    }

    async fn complete_user(&self, uid: &ResourceUid, done: Digest) -> Result<(), StoreError> {
        self.reach("complete_user")?;
        self.inner.complete_user(uid, done).await
    }

    async fn upgrade_password(
        &self,
        uid: &ResourceUid,
        old: &PasswordHash,
        new: PasswordHash,
    ) -> Result<(), StoreError> {
        self.reach("upgrade_password")?;
        self.inner.upgrade_password(uid, old, new).await
    }

    async fn user_by_username(&self, username: &str) -> Result<Option<UserRecord>, StoreError> {
        self.reach("user_by_username")?;
        self.inner.user_by_username(username).await
    }

    async fn user_by_subject(&self, subject: &Subject) -> Result<Option<UserRecord>, StoreError> {
        self.reach("user_by_subject")?;
        self.inner.user_by_subject(subject).await
    }

    async fn user_by_uid(&self, uid: &ResourceUid) -> Result<Option<UserRecord>, StoreError> {
        self.reach("user_by_uid")?;
        self.inner.user_by_uid(uid).await
    }

    async fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.reach("users")?;
        self.inner.users().await
    }

    async fn mark_users_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError> {
        self.reach("mark_users_absent")?;
        self.inner.mark_users_absent(uids).await
    }

    async fn remove_user(&self, uid: &ResourceUid) -> Result<(), StoreError> {
        self.reach("remove_user")?;
        self.inner.remove_user(uid).await
    }

    async fn sign_in(
        &self,
        session: SessionRecord,
        replaces: Option<TokenHash>,
        interaction: InteractionRecord,
    ) -> Result<SignIn, StoreError> {
        self.reach("sign_in")?;
        self.inner.sign_in(session, replaces, interaction).await
    }

    async fn session(&self, hash: &TokenHash) -> Result<Option<(SessionRecord, UserRecord)>, StoreError> {
        self.reach("session")?;
        self.inner.session(hash).await
    }

    async fn end_session(&self, hash: &TokenHash) -> Result<(), StoreError> {
        self.reach("end_session")?;
        self.inner.end_session(hash).await
    }

    async fn begin_interaction(&self, interaction: InteractionRecord) -> Result<(), StoreError> {
        self.reach("begin_interaction")?;
        self.inner.begin_interaction(interaction).await
    }

    async fn interaction(&self, hash: &TokenHash) -> Result<Option<InteractionRecord>, StoreError> {
        self.reach("interaction")?;
        self.inner.interaction(hash).await
    }

    async fn end_interaction(&self, hash: &TokenHash) -> Result<(), StoreError> {
        self.reach("end_interaction")?;
        self.inner.end_interaction(hash).await
    }

    async fn push_authorization_request(&self, pushed: PushedRequestRecord) -> Result<(), StoreError> {
        self.reach("push_authorization_request")?;
        self.inner.push_authorization_request(pushed).await
    }

    async fn take_pushed_request(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
    ) -> Result<Option<AuthorizationRequest>, StoreError> {
        self.reach("take_pushed_request")?;
        self.inner.take_pushed_request(hash, client).await
    }

    async fn consent(&self, user: &ResourceUid, client: &ResourceUid) -> Result<Consent, StoreError> {
        self.reach("consent")?;
        self.inner.consent(user, client).await
    }

    async fn begin_session(
        &self,
        session: SessionRecord,
        replaces: Option<TokenHash>,
    ) -> Result<SignIn, StoreError> {
        self.reach("begin_session")?;
        self.inner.begin_session(session, replaces).await
    }

    async fn account(&self, user: &ResourceUid) -> Result<Account, StoreError> {
        self.reach("account")?;
        self.inner.account(user).await
    }

    async fn end_session_of(&self, user: &ResourceUid, hash: &TokenHash) -> Result<bool, StoreError> {
        self.reach("end_session_of")?;
        self.inner.end_session_of(user, hash).await
    }

    async fn end_other_sessions(&self, user: &ResourceUid, keep: &TokenHash) -> Result<usize, StoreError> {
        self.reach("end_other_sessions")?;
        self.inner.end_other_sessions(user, keep).await
    }

    async fn end_app(&self, user: &ResourceUid, client: &ResourceUid) -> Result<bool, StoreError> {
        self.reach("end_app")?;
        self.inner.end_app(user, client).await
    }

    async fn change_password(
        &self,
        replaces: &TokenHash,
        session: SessionRecord,
        current: &PasswordHash,
        new: OwnPasswordRecord,
    ) -> Result<ChangePassword, StoreError> {
        self.reach("change_password")?;
        self.inner.change_password(replaces, session, current, new).await
    }

    async fn issue_authorization_code(
        &self,
        interaction: Option<TokenHash>,
        grant: GrantRecord,
        code: AuthorizationCodeRecord,
        remember: Option<Consent>,
    ) -> Result<IssueCode, StoreError> {
        self.reach("issue_authorization_code")?;
        self.inner
            .issue_authorization_code(interaction, grant, code, remember)
            .await
    }

    async fn redeem_authorization_code(
        &self,
        hash: &TokenHash,
        binding: &CodeBinding,
        refresh_token: Option<NewRefreshToken>,
    ) -> Result<RedeemCode, StoreError> {
        self.reach("redeem_authorization_code")?;
        self.inner
            .redeem_authorization_code(hash, binding, refresh_token)
            .await
    }

    async fn begin_device_authorization(&self, device: DeviceCodeRecord) -> Result<bool, StoreError> {
        self.reach("begin_device_authorization")?;
        self.inner.begin_device_authorization(device).await
    }

    async fn device_authorization(
        &self,
        user_code: &TokenHash,
    ) -> Result<Option<DeviceCodeRecord>, StoreError> {
        self.reach("device_authorization")?;
        self.inner.device_authorization(user_code).await
    }

    async fn approve_device(
        &self,
        interaction: TokenHash,
        device: &TokenHash,
        grant: GrantRecord,
        remember: Option<Consent>,
    ) -> Result<IssueCode, StoreError> {
        self.reach("approve_device")?;
        self.inner
            .approve_device(interaction, device, grant, remember)
            .await
    }

    async fn deny_device(&self, device: &TokenHash) -> Result<(), StoreError> {
        self.reach("deny_device")?;
        self.inner.deny_device(device).await
    }

    async fn redeem_device_code(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        refresh_token: Option<NewRefreshToken>,
    ) -> Result<RedeemDeviceCode, StoreError> {
        self.reach("redeem_device_code")?;
        self.inner.redeem_device_code(hash, client, refresh_token).await
    }

    async fn refresh_token(
        &self,
        hash: &TokenHash,
    ) -> Result<Option<(RefreshTokenRecord, GrantRecord)>, StoreError> {
        self.reach("refresh_token")?;
        self.inner.refresh_token(hash).await
    }

    async fn rotate_refresh_token(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        proven: Option<&Thumbprint>,
        successor: NewRefreshToken,
    ) -> Result<RotateRefreshToken, StoreError> {
        self.reach("rotate_refresh_token")?;
        self.inner
            .rotate_refresh_token(hash, client, proven, successor)
            .await
    }

    async fn use_refresh_token(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        proven: Option<&Thumbprint>,
        idle_until: Timestamp,
    ) -> Result<RotateRefreshToken, StoreError> {
        self.reach("use_refresh_token")?;
        self.inner
            .use_refresh_token(hash, client, proven, idle_until)
            .await
    }

    async fn live_grant(&self, id: &GrantId) -> Result<Option<Redeemed>, StoreError> {
        self.reach("live_grant")?;
        self.inner.live_grant(id).await
    }

    async fn revoke_grant(&self, id: &GrantId) -> Result<(), StoreError> {
        self.reach("revoke_grant")?;
        self.inner.revoke_grant(id).await
    }

    async fn begin_access_token(&self, token: AccessTokenRecord) -> Result<(), StoreError> {
        self.reach("begin_access_token")?;
        self.inner.begin_access_token(token).await
    }

    async fn access_token(&self, hash: &TokenHash) -> Result<Option<AccessTokenRecord>, StoreError> {
        self.reach("access_token")?;
        self.inner.access_token(hash).await
    }

    async fn client_of_access_token(
        &self,
        uid: &ResourceUid,
        jti: &TokenHash,
    ) -> Result<Option<ClientRecord>, StoreError> {
        self.reach("client_of_access_token")?;
        self.inner.client_of_access_token(uid, jti).await
    }

    async fn revoke_access_token(
        &self,
        client: &ResourceUid,
        jti: &TokenHash,
        expires_at: Timestamp,
    ) -> Result<RevokeAccessToken, StoreError> {
        self.reach("revoke_access_token")?;
        self.inner.revoke_access_token(client, jti, expires_at).await
    }

    async fn spend_jti(
        &self,
        client: &ResourceUid,
        jti: &TokenHash,
        forget_at: Timestamp,
        capacity: u64,
    ) -> Result<SpendJti, StoreError> {
        self.reach("spend_jti")?;
        self.inner.spend_jti(client, jti, forget_at, capacity).await
    }

    async fn claim_logout_notice(
        &self,
        after: Option<&ResourceUid>,
        busy: &[ResourceUid],
        pauses: &[Duration],
    ) -> Result<Option<ClaimedLogoutNotice>, StoreError> {
        self.reach("claim_logout_notice")?;
        self.inner.claim_logout_notice(after, busy, pauses).await
    }

    async fn end_logout_notice(&self, claimed: &LogoutNoticeRecord) -> Result<(), StoreError> {
        self.reach("end_logout_notice")?;
        self.inner.end_logout_notice(claimed).await
    }

    async fn waiting_logout_notices(&self) -> Result<u64, StoreError> {
        self.reach("waiting_logout_notices")?;
        self.inner.waiting_logout_notices().await
    }

    async fn begin_attempt(&self, buckets: &[ThrottleBucket]) -> Result<BeginAttempt, StoreError> {
        self.reach("begin_attempt")?;
        self.inner.begin_attempt(buckets).await
    }

    async fn forgive_attempt(
        &self,
        at: Timestamp,
        buckets: &[(ThrottleBucket, Forgiveness)],
    ) -> Result<(), StoreError> {
        self.reach("forgive_attempt")?;
        self.inner.forgive_attempt(at, buckets).await
    }

    async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        self.reach("sweep")?;
        self.inner.sweep(limit).await
    }
}
