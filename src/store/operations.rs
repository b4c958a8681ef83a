//! The operations, written once: every engine that runs transactions over keys and values is a [`Store`].
//!
//! Each method only opens a transaction and calls a function of the submodule for its kind of record; those functions
//! are plain, synchronous and take the time as a value.

pub(super) mod access_tokens;
pub(super) mod accounts;
pub(super) mod authorization_codes;
pub(super) mod binding;
pub(super) mod clients;
mod counts;
pub(super) mod device_codes;
pub(super) mod epoch;
pub(super) mod expiry;
pub(super) mod grants;
pub(super) mod interactions;
pub(super) mod logout_notices;
pub(super) mod participants;
pub(super) mod pushed_requests;
pub(super) mod redeemed_grants;
pub(super) mod refresh_tokens;
pub(super) mod secret_versions;
pub(super) mod sessions;
pub(super) mod spent_jtis;
pub(super) mod throttle;
pub(super) mod token_lifetimes;
pub(super) mod users;
pub(super) mod writable;

use std::time::Duration;

use async_trait::async_trait;

use super::key_value::Engine;
use super::key_value::tables::SpentJti;
use super::records::{
    AccessTokenRecord, AuthorizationCodeRecord, ClientRecord, ClientRegistration, ClusterIdentity,
    CodeBinding, DeviceCodeRecord, Digest, GrantRecord, InteractionRecord, LogoutNoticeRecord,
    NewRefreshToken, OwnPasswordRecord, PushedRequestRecord, RefreshTokenRecord, SecretRotation,
    SessionRecord, UserRecord, UserRegistration,
};
use super::throttle::{BeginAttempt, Forgiveness, ThrottleBucket};
use super::{
    Account, ChangePassword, ClaimedLogoutNotice, IssueCode, RedeemCode, RedeemDeviceCode, Redeemed,
    RegisterClient, RegisterUser, RevokeAccessToken, RotateClientSecret, RotateRefreshToken, SignIn,
    SpendJti, Store, StoreError,
};
use crate::clock::Timestamp;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::{ClientId, GrantId, ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::password::PasswordHash;
use crate::oidc::service_account_token::ClusterIssuer;
use crate::oidc::thumbprint::Thumbprint;

#[async_trait]
impl<E: Engine> Store for E {
    async fn bind_cluster(&self, cluster: &ClusterIdentity) -> Result<Option<ClusterIdentity>, StoreError> {
        let cluster = cluster.clone();
        self.write(move |transaction, _| binding::bind_cluster(transaction, &cluster))
            .await
    }

    async fn bind_keyring(&self, keyring_id: &str) -> Result<String, StoreError> {
        let keyring_id = keyring_id.to_owned();
        self.write(move |transaction, _| binding::bind_keyring(transaction, keyring_id))
            .await
    }

    async fn keyring_id(&self) -> Result<Option<String>, StoreError> {
        self.read(|view, _| binding::keyring_id(view)).await
    }

    async fn mark_provisioned(&self) -> Result<(), StoreError> {
        self.write(|transaction, _| binding::mark_provisioned(transaction))
            .await
    }

    async fn is_provisioned(&self) -> Result<bool, StoreError> {
        self.read(|view, _| binding::is_provisioned(view)).await
    }

    async fn prove_writable(&self) -> Result<(), StoreError> {
        self.write(|transaction, _| writable::prove(transaction)).await
    }

    async fn note_cluster_issuer(&self, issuer: ClusterIssuer) -> Result<bool, StoreError> {
        self.write(move |transaction, _| binding::note_cluster_issuer(transaction, &issuer))
            .await
    }

    async fn cluster_issuer(&self) -> Result<Option<ClusterIssuer>, StoreError> {
        self.read(|view, _| binding::cluster_issuer(view)).await
    }

    async fn tokens_valid_until(&self) -> Result<Timestamp, StoreError> {
        self.read(token_lifetimes::valid_until).await
    }

    async fn register_client(&self, registration: ClientRegistration) -> Result<RegisterClient, StoreError> {
        self.write(move |transaction, now| clients::register(transaction, now, registration))
            .await
    }

    async fn complete_client(&self, uid: &ResourceUid, done: Digest) -> Result<(), StoreError> {
        let uid = uid.clone();
        self.write(move |transaction, _| clients::complete(transaction, &uid, done))
            .await
    }

    async fn rotate_client_secret(
        &self,
        uid: &ResourceUid,
        rotation: SecretRotation,
    ) -> Result<RotateClientSecret, StoreError> {
        let uid = uid.clone();
        self.write(move |transaction, now| secret_versions::rotate(transaction, now, &uid, rotation))
            .await
    }

    async fn retire_client_secrets(
        &self,
        uid: &ResourceUid,
        current: &str,
        retires_at: Timestamp,
    ) -> Result<Option<ClientRecord>, StoreError> {
        let (uid, current) = (uid.clone(), current.to_owned());
        self.write(move |transaction, _| secret_versions::retire(transaction, &uid, &current, retires_at))
            .await
    }

    async fn forget_retired_client_secrets(
        &self,
        uid: &ResourceUid,
    ) -> Result<Option<ClientRecord>, StoreError> {
        let uid = uid.clone();
        self.write(move |transaction, now| secret_versions::forget_retired(transaction, now, &uid))
            .await
    }

    async fn client(&self, client_id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        let client_id = client_id.clone();
        self.read(move |view, _| clients::by_client_id(view, &client_id))
            .await
    }

    async fn client_by_uid(&self, uid: &ResourceUid) -> Result<Option<ClientRecord>, StoreError> {
        let uid = uid.clone();
        self.read(move |view, _| clients::by_uid(view, &uid)).await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.read(|view, _| clients::all(view)).await
    }

    async fn resource_server(&self, identifier: &str) -> Result<Option<ClientRecord>, StoreError> {
        let identifier = identifier.to_owned();
        self.read(move |view, _| clients::resource_server(view, &identifier))
            .await
    }

    async fn origin_is_registered(&self, origin: &str) -> Result<bool, StoreError> {
        let origin = origin.to_owned();
        self.read(move |view, _| clients::origin_is_registered(view, &origin))
            .await
    }

    async fn mark_clients_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError> {
        let uids = uids.to_vec();
        self.write(move |transaction, now| clients::mark_absent(transaction, now, &uids))
            .await
    }

    async fn remove_client(&self, uid: &ResourceUid) -> Result<(), StoreError> {
        let uid = uid.clone();
        self.write(move |transaction, now| clients::remove(transaction, now, &uid))
            .await
    }

    async fn register_user(&self, registration: UserRegistration) -> Result<RegisterUser, StoreError> {
        self.write(move |transaction, now| users::register(transaction, now, registration))
            .await
    }

    async fn complete_user(&self, uid: &ResourceUid, done: Digest) -> Result<(), StoreError> {
        let uid = uid.clone();
        self.write(move |transaction, _| users::complete(transaction, &uid, done))
            .await
    }

    async fn upgrade_password(
        &self,
        uid: &ResourceUid,
        old: &PasswordHash,
        new: PasswordHash,
    ) -> Result<(), StoreError> {
        let (uid, old) = (uid.clone(), old.clone());
        self.write(move |transaction, _| users::upgrade_password(transaction, &uid, &old, new))
            .await
    }

    async fn user_by_username(&self, username: &str) -> Result<Option<UserRecord>, StoreError> {
        let username = username.to_owned();
        self.read(move |view, _| users::by_username(view, &username))
            .await
    }

    async fn user_by_subject(&self, subject: &Subject) -> Result<Option<UserRecord>, StoreError> {
        let subject = subject.clone();
        self.read(move |view, _| users::by_subject(view, &subject)).await
    }

    async fn user_by_uid(&self, uid: &ResourceUid) -> Result<Option<UserRecord>, StoreError> {
        let uid = uid.clone();
        self.read(move |view, _| users::by_uid(view, &uid)).await
    }

    async fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.read(|view, _| users::all(view)).await
    }

    async fn mark_users_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError> {
        let uids = uids.to_vec();
        self.write(move |transaction, now| users::mark_absent(transaction, now, &uids))
            .await
    }

    async fn remove_user(&self, uid: &ResourceUid) -> Result<(), StoreError> {
        let uid = uid.clone();
        self.write(move |transaction, now| users::remove(transaction, now, &uid))
            .await
    }

    async fn sign_in(
        &self,
        session: SessionRecord,
        replaces: Option<TokenHash>,
        interaction: InteractionRecord,
    ) -> Result<SignIn, StoreError> {
        self.write(move |transaction, now| {
            sessions::sign_in(transaction, now, session, replaces, Some(&interaction))
        })
        .await
    }

    async fn session(&self, hash: &TokenHash) -> Result<Option<(SessionRecord, UserRecord)>, StoreError> {
        let hash = *hash;
        let found = self
            .read(move |view, now| {
                let found = sessions::with_user(view, now, &hash)?;
                Ok(found.map(|found| (sessions::use_is_due(&found.0, now), found)))
            })
            .await?;
        match found {
            None => Ok(None),
            Some((false, found)) => Ok(Some(found)),
            Some((true, _)) => {
                self.write(move |transaction, now| sessions::note_use(transaction, now, &hash))
                    .await
            }
        }
    }

    async fn end_session(&self, hash: &TokenHash) -> Result<(), StoreError> {
        let hash = *hash;
        self.write(move |transaction, now| sessions::log_out(transaction, now, hash.as_bytes()))
            .await
    }

    async fn begin_interaction(&self, interaction: InteractionRecord) -> Result<(), StoreError> {
        self.write(move |transaction, _| interactions::begin(transaction, &interaction))
            .await
    }

    async fn interaction(&self, hash: &TokenHash) -> Result<Option<InteractionRecord>, StoreError> {
        let hash = *hash;
        self.read(move |view, now| interactions::live(view, now, &hash))
            .await
    }

    async fn end_interaction(&self, hash: &TokenHash) -> Result<(), StoreError> {
        let hash = *hash;
        self.write(move |transaction, _| interactions::end(transaction, &hash))
            .await
    }

    async fn push_authorization_request(&self, pushed: PushedRequestRecord) -> Result<(), StoreError> {
        self.write(move |transaction, _| pushed_requests::push(transaction, &pushed))
            .await
    }

    async fn take_pushed_request(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
    ) -> Result<Option<AuthorizationRequest>, StoreError> {
        let (hash, client) = (*hash, client.clone());
        self.write(move |transaction, now| pushed_requests::take(transaction, now, &hash, &client))
            .await
    }

    async fn consent(&self, user: &ResourceUid, client: &ResourceUid) -> Result<Consent, StoreError> {
        let (user, client) = (user.clone(), client.clone());
        self.read(move |view, _| grants::consent(view, &user, &client))
            .await
    }

    async fn begin_session(
        &self,
        session: SessionRecord,
        replaces: Option<TokenHash>,
    ) -> Result<SignIn, StoreError> {
        self.write(move |transaction, now| sessions::sign_in(transaction, now, session, replaces, None))
            .await
    }

    async fn account(&self, user: &ResourceUid) -> Result<Account, StoreError> {
        let user = user.clone();
        self.read(move |view, now| accounts::account(view, now, &user))
            .await
    }

    async fn end_session_of(&self, user: &ResourceUid, hash: &TokenHash) -> Result<bool, StoreError> {
        let (user, hash) = (user.clone(), *hash);
        self.write(move |transaction, now| accounts::end_session(transaction, now, &user, &hash))
            .await
    }

    async fn end_other_sessions(&self, user: &ResourceUid, keep: &TokenHash) -> Result<usize, StoreError> {
        let (user, keep) = (user.clone(), *keep);
        self.write(move |transaction, now| accounts::end_other_sessions(transaction, now, &user, &keep))
            .await
    }

    async fn end_app(&self, user: &ResourceUid, client: &ResourceUid) -> Result<bool, StoreError> {
        let (user, client) = (user.clone(), client.clone());
        self.write(move |transaction, now| accounts::end_app(transaction, now, &user, &client))
            .await
    }

    async fn change_password(
        &self,
        replaces: &TokenHash,
        session: SessionRecord,
        current: &PasswordHash,
        new: OwnPasswordRecord,
    ) -> Result<ChangePassword, StoreError> {
        let (replaces, current) = (*replaces, current.clone());
        self.write(move |transaction, now| {
            accounts::change_password(transaction, now, &replaces, session, &current, new)
        })
        .await
    }

    async fn issue_authorization_code(
        &self,
        interaction: Option<TokenHash>,
        grant: GrantRecord,
        code: AuthorizationCodeRecord,
        remember: Option<Consent>,
    ) -> Result<IssueCode, StoreError> {
        self.write(move |transaction, now| {
            authorization_codes::issue(transaction, now, interaction, &grant, code, remember)
        })
        .await
    }

    async fn redeem_authorization_code(
        &self,
        hash: &TokenHash,
        binding: &CodeBinding,
        refresh_token: Option<NewRefreshToken>,
    ) -> Result<RedeemCode, StoreError> {
        let (hash, binding) = (*hash, binding.clone());
        self.write(move |transaction, now| {
            authorization_codes::redeem(transaction, now, &hash, &binding, refresh_token)
        })
        .await
    }

    async fn begin_device_authorization(&self, device: DeviceCodeRecord) -> Result<bool, StoreError> {
        self.write(move |transaction, now| device_codes::begin(transaction, now, &device))
            .await
    }

    async fn device_authorization(
        &self,
        user_code: &TokenHash,
    ) -> Result<Option<DeviceCodeRecord>, StoreError> {
        let user_code = *user_code;
        self.read(move |view, now| device_codes::pending_of_user_code(view, now, &user_code))
            .await
    }

    async fn approve_device(
        &self,
        interaction: TokenHash,
        device: &TokenHash,
        grant: GrantRecord,
        remember: Option<Consent>,
    ) -> Result<IssueCode, StoreError> {
        let device = *device;
        self.write(move |transaction, now| {
            device_codes::approve(transaction, now, &interaction, &device, &grant, remember)
        })
        .await
    }

    async fn deny_device(&self, device: &TokenHash) -> Result<(), StoreError> {
        let device = *device;
        self.write(move |transaction, now| device_codes::deny(transaction, now, &device))
            .await
    }

    async fn redeem_device_code(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        refresh_token: Option<NewRefreshToken>,
    ) -> Result<RedeemDeviceCode, StoreError> {
        let (hash, client) = (*hash, client.clone());
        self.write(move |transaction, now| {
            device_codes::redeem(transaction, now, &hash, &client, refresh_token)
        })
        .await
    }

    async fn refresh_token(
        &self,
        hash: &TokenHash,
    ) -> Result<Option<(RefreshTokenRecord, GrantRecord)>, StoreError> {
        let hash = *hash;
        self.read(move |view, now| refresh_tokens::known(view, now, &hash))
            .await
    }

    async fn rotate_refresh_token(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        proven: Option<&Thumbprint>,
        successor: NewRefreshToken,
    ) -> Result<RotateRefreshToken, StoreError> {
        let (hash, client, proven) = (*hash, client.clone(), proven.cloned());
        self.write(move |transaction, now| {
            refresh_tokens::rotate(transaction, now, &hash, (&client, proven.as_ref()), successor)
        })
        .await
    }

    async fn use_refresh_token(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        proven: Option<&Thumbprint>,
        idle_until: Timestamp,
    ) -> Result<RotateRefreshToken, StoreError> {
        let (hash, client, proven) = (*hash, client.clone(), proven.cloned());
        self.write(move |transaction, now| {
            refresh_tokens::keep(transaction, now, &hash, (&client, proven.as_ref()), idle_until)
        })
        .await
    }

    async fn live_grant(&self, id: &GrantId) -> Result<Option<Redeemed>, StoreError> {
        let id = id.clone();
        self.read(move |view, now| grants::live(view, now, &id)).await
    }

    async fn revoke_grant(&self, id: &GrantId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |transaction, now| grants::revoke(transaction, now, &id))
            .await
    }

    async fn begin_access_token(&self, token: AccessTokenRecord) -> Result<(), StoreError> {
        self.write(move |transaction, _| access_tokens::begin(transaction, &token))
            .await
    }

    async fn access_token(&self, hash: &TokenHash) -> Result<Option<AccessTokenRecord>, StoreError> {
        let hash = *hash;
        self.read(move |view, now| access_tokens::unexpired(view, now, &hash))
            .await
    }

    async fn client_of_access_token(
        &self,
        uid: &ResourceUid,
        jti: &TokenHash,
    ) -> Result<Option<ClientRecord>, StoreError> {
        let (uid, jti) = (uid.clone(), *jti);
        self.read(move |view, _| access_tokens::client(view, &uid, &jti))
            .await
    }

    async fn revoke_access_token(
        &self,
        client: &ResourceUid,
        jti: &TokenHash,
        expires_at: Timestamp,
    ) -> Result<RevokeAccessToken, StoreError> {
        let (client, jti) = (client.clone(), *jti);
        self.write(move |transaction, now| access_tokens::revoke(transaction, now, &client, &jti, expires_at))
            .await
    }

    async fn spend_jti(
        &self,
        signer: &ResourceUid,
        jti: &TokenHash,
        forget_at: Timestamp,
        capacity: u64,
    ) -> Result<SpendJti, StoreError> {
        let spent = SpentJti {
            client_uid: signer.clone(),
            forget_at,
        };
        let jti = *jti;
        self.write(move |transaction, now| spent_jtis::spend(transaction, now, &jti, &spent, capacity))
            .await
    }

    async fn claim_logout_notice(
        &self,
        after: Option<&ResourceUid>,
        busy: &[ResourceUid],
        pauses: &[Duration],
    ) -> Result<Option<ClaimedLogoutNotice>, StoreError> {
        let (after, busy, pauses) = (after.cloned(), busy.to_vec(), pauses.to_vec());
        let looked_at = busy.clone();
        // It is asked all the time, and there is nothing nearly always.
        if !self
            .read(move |view, now| logout_notices::is_due(view, now, &looked_at))
            .await?
        {
            return Ok(None);
        }
        self.write(move |transaction, now| {
            logout_notices::claim(transaction, now, after.as_ref(), &busy, &pauses)
        })
        .await
    }

    async fn end_logout_notice(&self, claimed: &LogoutNoticeRecord) -> Result<(), StoreError> {
        let claimed = claimed.clone();
        self.write(move |transaction, _| logout_notices::end(transaction, &claimed))
            .await
    }

    async fn waiting_logout_notices(&self) -> Result<u64, StoreError> {
        self.read(|view, _| logout_notices::waiting(view)).await
    }

    async fn begin_attempt(&self, buckets: &[ThrottleBucket]) -> Result<BeginAttempt, StoreError> {
        let buckets = buckets.to_vec();
        self.write(move |transaction, now| throttle::begin(transaction, now, &buckets))
            .await
    }

    async fn forgive_attempt(
        &self,
        at: Timestamp,
        buckets: &[(ThrottleBucket, Forgiveness)],
    ) -> Result<(), StoreError> {
        let buckets = buckets.to_vec();
        self.write(move |transaction, now| throttle::forgive(transaction, now, at, &buckets))
            .await
    }

    async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        self.write(move |transaction, now| expiry::sweep(transaction, now, limit))
            .await
    }
}
