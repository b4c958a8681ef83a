//! The port behind which everything durable lives: records and atomic, intention-named operations.
//!
//! Callers never read, decide and write: each decision that must hold under concurrency is one operation here, so that a
//! back end makes it atomic in its own way. No open transaction crosses the port. Every operation says in a line `SQL:`
//! which one statement or short transaction will implement it in PostgreSQL.
//!
//! Back ends own time: the clock is injected where one is built, and every operation sees expired records as absent.
//! An error is never "not found": callers answer 503.

mod key_value;
pub mod memory;
mod operations;
mod outcomes;
pub mod records;
pub mod sled;
pub mod throttle;

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::clock::Timestamp;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::{ClientId, GrantId, ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::password::PasswordHash;
use crate::oidc::service_account_token::ClusterIssuer;
use crate::oidc::thumbprint::Thumbprint;
pub use outcomes::{
    Account, AccountApp, ChangePassword, ClaimedLogoutNotice, IssueCode, RedeemCode, RedeemDeviceCode,
    Redeemed, RegisterClient, RegisterUser, RevokeAccessToken, RotateClientSecret, RotateRefreshToken,
    SignIn, SpendJti,
};
use records::{
    AccessTokenRecord, AuthorizationCodeRecord, ClientRecord, ClientRegistration, ClusterIdentity,
    CodeBinding, DeviceCodeRecord, Digest, GrantRecord, InteractionRecord, LogoutNoticeRecord,
    NewRefreshToken, OwnPasswordRecord, PushedRequestRecord, RefreshTokenRecord, SecretRotation,
    SessionRecord, UserRecord, UserRegistration,
};
use throttle::{BeginAttempt, Forgiveness, ThrottleBucket};

/// Why an operation was not carried out.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The back end cannot be reached or refuses work; whether the operation took effect is unknown.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A record cannot be read: damaged, or written by a newer version.
    #[error("failed to read the record `{key}` from the store: {reason}")]
    Record {
        /// Which record, without secrets.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The port. See the module documentation; all operations are atomic and durable when they return.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // --- what this store belongs to ---

    /// Remembers the cluster and watched namespaces at first use. `Some` with what is remembered when that differs.
    ///
    /// SQL: `INSERT INTO facts (name, value) VALUES ('cluster', $1) ON CONFLICT DO NOTHING`, then `SELECT value`.
    async fn bind_cluster(&self, cluster: &ClusterIdentity) -> Result<Option<ClusterIdentity>, StoreError>;

    /// Remembers the keyring's id at first use; gives the id that is remembered.
    ///
    /// SQL: `INSERT INTO facts (name, value) VALUES ('keyring', $1) ON CONFLICT DO NOTHING`, then `SELECT value`.
    async fn bind_keyring(&self, keyring_id: &str) -> Result<String, StoreError>;

    /// The id of the keyring that this store's hashes were made with, if any.
    ///
    /// SQL: `SELECT value FROM facts WHERE name = 'keyring'`.
    async fn keyring_id(&self) -> Result<Option<String>, StoreError>;

    /// Notes that the first complete list of resources is registered.
    ///
    /// SQL: `INSERT INTO facts (name, value) VALUES ('provisioned', 'true') ON CONFLICT DO NOTHING`.
    async fn mark_provisioned(&self) -> Result<(), StoreError>;

    /// Whether a complete list was ever registered. Until then, what needs clients or users answers 503.
    ///
    /// SQL: `SELECT EXISTS (SELECT FROM facts WHERE name = 'provisioned')`.
    async fn is_provisioned(&self) -> Result<bool, StoreError>;

    /// Writes something that means nothing, as durably as anything else: whoever asks wants to know that it can be done.
    ///
    /// SQL: `INSERT INTO facts (name, value) VALUES ('proof', now()) ON CONFLICT (name) DO UPDATE SET value = excluded.value`.
    async fn prove_writable(&self) -> Result<(), StoreError>;

    /// Notes who signs the tokens of ServiceAccounts, in place of what was noted before. Gives whether that was another.
    ///
    /// SQL: `INSERT INTO facts (name, value) VALUES ('cluster issuer', $1) ON CONFLICT (name) DO UPDATE SET value =
    /// excluded.value WHERE facts.value <> excluded.value RETURNING name`.
    async fn note_cluster_issuer(&self, issuer: ClusterIssuer) -> Result<bool, StoreError>;

    /// Who signs the tokens of ServiceAccounts, if that was ever noted.
    ///
    /// SQL: `SELECT value FROM facts WHERE name = 'cluster issuer'`.
    async fn cluster_issuer(&self) -> Result<Option<ClusterIssuer>, StoreError>;

    // --- clients ---

    /// No token that was signed until now is valid after this instant, whatever the lifetimes of its client have become
    /// since; tokens of removed clients are not counted.
    ///
    /// SQL: `SELECT greatest(now() + max(greatest(access_token_lifetime, id_token_lifetime)), (SELECT value FROM facts WHERE
    /// name = 'tokens valid until')) FROM clients`, where the fact is raised by the `UPDATE` that shortens a lifetime.
    async fn tokens_valid_until(&self) -> Result<Timestamp, StoreError>;

    /// Registers a client or replaces its metadata, keyed by its uid. The secret versions of a client that is known stay
    /// as they are; those given are for one that is not. Ends an absence. A claim that is held by another uid stays, unless
    /// its resource has the very namespace and name of this one: then it was deleted and made again, and the old client is
    /// removed here. An id that is a person's subject is refused to a client that is new or acts for itself.
    ///
    /// SQL: `SELECT FROM users WHERE subject = $4` and the same of `retired_subjects`; `DELETE FROM clients WHERE namespace =
    /// $2 AND name = $3 AND uid <> $1`; `INSERT INTO clients … ON CONFLICT (uid) DO
    /// UPDATE SET … , absent_since = NULL`; `DELETE FROM resource_identifiers WHERE client_uid = $1` and `INSERT INTO
    /// resource_identifiers`; a violation of `UNIQUE (client_id)`, of `UNIQUE (namespace, secret_name)` or of
    /// `resource_identifiers`' primary key `identifier` rolls back, and a `SELECT` names the holder.
    async fn register_client(&self, registration: ClientRegistration) -> Result<RegisterClient, StoreError>;

    /// Notes the digest of what is done for a client, after its status was written.
    ///
    /// SQL: `UPDATE clients SET done = $2 WHERE uid = $1`.
    async fn complete_client(&self, uid: &ResourceUid, done: Digest) -> Result<(), StoreError>;

    /// Makes a version the newest of a client's secret, if the newest is the one that the caller knows. Versions whose time
    /// is over go, and with `ends_others` all older ones do.
    ///
    /// SQL: `UPDATE clients SET secret_versions = …, observed_rotation = $4 WHERE uid = $1 AND secret_versions -> -1 ->> 'id' = $2
    /// RETURNING …`; none and `EXISTS (… WHERE uid = $1 AND …)` tell the other answers apart.
    async fn rotate_client_secret(
        &self,
        uid: &ResourceUid,
        rotation: SecretRotation,
    ) -> Result<RotateClientSecret, StoreError>;

    /// Says when the older versions of a client's secret end that have no end yet, if `current` is the newest. Gives the
    /// record as it now stands; `None` when there is no such client or another version is the newest.
    ///
    /// SQL: `UPDATE clients SET secret_versions = … WHERE uid = $1 AND secret_versions -> -1 ->> 'id' = $2 RETURNING …`.
    async fn retire_client_secrets(
        &self,
        uid: &ResourceUid,
        current: &str,
        retires_at: Timestamp,
    ) -> Result<Option<ClientRecord>, StoreError>;

    /// Forgets the versions of a client's secret whose time is over. Gives the record as it now stands.
    ///
    /// SQL: `UPDATE clients SET secret_versions = (SELECT jsonb_agg(…) … WHERE retires_at IS NULL OR retires_at > now()) WHERE uid
    /// = $1 RETURNING …`.
    async fn forget_retired_client_secrets(
        &self,
        uid: &ResourceUid,
    ) -> Result<Option<ClientRecord>, StoreError>;

    /// The client that holds `client_id`, suspended and absent ones included.
    ///
    /// SQL: `SELECT … FROM clients WHERE client_id = $1`.
    async fn client(&self, client_id: &ClientId) -> Result<Option<ClientRecord>, StoreError>;

    /// The client of a resource.
    ///
    /// SQL: `SELECT … FROM clients WHERE uid = $1`.
    async fn client_by_uid(&self, uid: &ResourceUid) -> Result<Option<ClientRecord>, StoreError>;

    /// All clients.
    ///
    /// SQL: `SELECT … FROM clients`.
    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError>;

    /// The client that holds one of its `resource_identifiers`, suspended and absent ones included.
    ///
    /// SQL: `SELECT … FROM clients JOIN resource_identifiers ON client_uid = uid WHERE identifier = $1`.
    async fn resource_server(&self, identifier: &str) -> Result<Option<ClientRecord>, StoreError>;

    /// Whether any live client registered `origin` for its scripts: a CORS preflight does not say which client asks.
    ///
    /// SQL: `SELECT EXISTS (SELECT FROM clients WHERE allowed_origins @> ARRAY[$1] AND NOT suspended AND absent_since IS NULL)`.
    async fn origin_is_registered(&self, origin: &str) -> Result<bool, StoreError>;

    /// Marks clients whose resource is gone from a complete list: refused from now on, purged by [`Store::sweep`] 24 h
    /// later unless registered again.
    ///
    /// SQL: `UPDATE clients SET absent_since = now() WHERE uid = ANY ($1) AND absent_since IS NULL`.
    async fn mark_clients_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError>;

    /// Removes a client with its claims, grants, codes, refresh tokens and consents.
    ///
    /// SQL: `DELETE FROM clients WHERE uid = $1 RETURNING client_id` into `retired_client_ids`; grants and consents reference it `ON DELETE CASCADE`, codes and tokens their
    /// grant.
    async fn remove_client(&self, uid: &ResourceUid) -> Result<(), StoreError>;

    // --- users ---

    /// Registers a user or replaces what is known of them, keyed by uid. Becoming disabled, or another password than the
    /// resource gave before (another source and another hash), ends all sessions and grants, and the password that the
    /// person chose. A retired subject is given to nobody but who `restores_subject`, which ends its retirement; that of a
    /// client is given to nobody, nor is that of one that was removed within 24 h, whose tokens may still be good. `updated_at` becomes now when the registered person differs from before in anything.
    ///
    /// SQL: `SELECT FROM clients WHERE client_id = $4` and `SELECT FROM retired_client_ids WHERE client_id = $4 AND until > now()`; `DELETE FROM retired_subjects WHERE subject = $4 AND $5`; `DELETE FROM users WHERE namespace = $2 AND name = $3 AND uid <> $1 RETURNING subject` into `retired_subjects`;
    /// `SELECT … FROM users WHERE uid = $1 FOR UPDATE`; `INSERT INTO users … SELECT … WHERE NOT EXISTS (SELECT FROM
    /// retired_subjects WHERE subject = $4) ON CONFLICT (uid) DO UPDATE SET …, updated_at = CASE WHEN users.person =
    /// excluded.person THEN users.updated_at ELSE now() END`; on a change that ends things `DELETE FROM
    /// sessions` and `DELETE FROM grants WHERE user_uid = $1`; a violation of `UNIQUE (username)` or `UNIQUE (subject)`
    /// rolls back.
    async fn register_user(&self, registration: UserRegistration) -> Result<RegisterUser, StoreError>;

    /// Notes the digest of what is done for a user, after its status was written.
    ///
    /// SQL: `UPDATE users SET done = $2 WHERE uid = $1`.
    async fn complete_user(&self, uid: &ResourceUid, done: Digest) -> Result<(), StoreError>;

    /// Replaces a hash by a stronger one of the same password, if `old` is still the hash of the resource's password or of
    /// the person's own.
    ///
    /// SQL: `UPDATE users SET password_hash = $3 WHERE uid = $1 AND password_hash = $2`, and the same of `own_password_hash`.
    async fn upgrade_password(
        &self,
        uid: &ResourceUid,
        old: &PasswordHash,
        new: PasswordHash,
    ) -> Result<(), StoreError>;

    /// The user of a canonical username, disabled and absent ones included.
    ///
    /// SQL: `SELECT … FROM users WHERE username = $1`.
    async fn user_by_username(&self, username: &str) -> Result<Option<UserRecord>, StoreError>;

    /// The user of a subject.
    ///
    /// SQL: `SELECT … FROM users WHERE subject = $1`.
    async fn user_by_subject(&self, subject: &Subject) -> Result<Option<UserRecord>, StoreError>;

    /// The user of a resource.
    ///
    /// SQL: `SELECT … FROM users WHERE uid = $1`.
    async fn user_by_uid(&self, uid: &ResourceUid) -> Result<Option<UserRecord>, StoreError>;

    /// All users.
    ///
    /// SQL: `SELECT … FROM users`.
    async fn users(&self) -> Result<Vec<UserRecord>, StoreError>;

    /// As [`Store::mark_clients_absent`]; sessions and grants end at once.
    ///
    /// SQL: `UPDATE users SET absent_since = now() WHERE uid = ANY ($1) AND absent_since IS NULL RETURNING uid`; `DELETE FROM
    /// sessions` and `DELETE FROM grants` of those.
    async fn mark_users_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError>;

    /// Removes a user with their sessions, grants and consents, and retires the subject for good.
    ///
    /// SQL: `WITH gone AS (DELETE FROM users WHERE uid = $1 RETURNING subject, uid) INSERT INTO retired_subjects SELECT * FROM
    /// gone`; sessions, grants and consents cascade.
    async fn remove_user(&self, uid: &ResourceUid) -> Result<(), StoreError>;

    // --- sessions and interactions ---

    /// Stores a new session and the interaction that it continues. The session that it replaces ends; grants that hang on
    /// it move to the new one when the same person signed in again, and end with it otherwise. One person holds at most 100
    /// sessions; the one that was used longest ago makes room.
    ///
    /// SQL: `SELECT FROM users WHERE uid = $1 AND NOT disabled AND absent_since IS NULL FOR SHARE`; `INSERT INTO sessions`;
    /// `UPDATE grants SET session = $3 WHERE session = $2 AND user_uid = $1`; `DELETE FROM sessions WHERE hash = $2`
    /// (interactions and grants cascade, see [`Store::end_session`]); `DELETE FROM sessions WHERE hash IN (SELECT hash FROM
    /// sessions WHERE user_uid = $1 ORDER BY last_used_at DESC OFFSET 99)`; `INSERT INTO interactions`.
    async fn sign_in(
        &self,
        session: SessionRecord,
        replaces: Option<TokenHash>,
        interaction: InteractionRecord,
    ) -> Result<SignIn, StoreError>;

    /// A live session with its enabled user; notes the use, at most once a minute.
    ///
    /// SQL: `SELECT … FROM sessions JOIN users … WHERE hash = $1 AND expires_at > now() AND last_used_at + idle > now() AND NOT
    /// disabled AND absent_since IS NULL`; if due `UPDATE sessions SET last_used_at = now() WHERE hash = $1 AND
    /// last_used_at <= now() - interval '1 minute'`.
    async fn session(&self, hash: &TokenHash) -> Result<Option<(SessionRecord, UserRecord)>, StoreError>;

    /// Ends a session and the grants that hang on it.
    ///
    /// SQL: `DELETE FROM sessions WHERE hash = $1`; interactions cascade, and grants through `ending_session`, which becomes NULL
    /// when the code of an offline one is redeemed, and when a person allows it to a device.
    async fn end_session(&self, hash: &TokenHash) -> Result<(), StoreError>;

    /// Stores an interaction of a person who is signed in already. One session has at most 100; the one that would expire first
    /// makes room.
    ///
    /// SQL: `DELETE FROM interactions WHERE hash IN (SELECT hash FROM interactions WHERE session = $2 ORDER BY expires_at DESC
    /// OFFSET 99)`; `INSERT INTO interactions …`.
    async fn begin_interaction(&self, interaction: InteractionRecord) -> Result<(), StoreError>;

    /// A live interaction.
    ///
    /// SQL: `SELECT … FROM interactions WHERE hash = $1 AND expires_at > now()`.
    async fn interaction(&self, hash: &TokenHash) -> Result<Option<InteractionRecord>, StoreError>;

    /// Removes an interaction, for instance when the person denies.
    ///
    /// SQL: `DELETE FROM interactions WHERE hash = $1`.
    async fn end_interaction(&self, hash: &TokenHash) -> Result<(), StoreError>;

    // --- pushed authorization requests ---

    /// Stores a pushed authorization request. One client holds at most 1,000 that nobody has come with yet; the one that
    /// ends first makes room. Registering the client as another than before ends them: they were checked against what it
    /// was.
    ///
    /// SQL: `DELETE FROM pushed_requests WHERE hash IN (SELECT hash FROM pushed_requests WHERE client_uid = $2 ORDER BY
    /// expires_at DESC OFFSET 999)`; `INSERT INTO pushed_requests (hash, client_uid, request, expires_at) …`.
    async fn push_authorization_request(&self, pushed: PushedRequestRecord) -> Result<(), StoreError>;

    /// Takes a pushed authorization request away, exactly once, if it is this client's and has not expired. Whoever names
    /// another client's changes nothing.
    ///
    /// SQL: `DELETE FROM pushed_requests WHERE hash = $1 AND client_uid = $2 AND expires_at > now() RETURNING request`.
    async fn take_pushed_request(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
    ) -> Result<Option<AuthorizationRequest>, StoreError>;

    /// What the user has allowed this client before.
    ///
    /// SQL: `SELECT scopes, claims FROM consents WHERE user_uid = $1 AND client_uid = $2`.
    async fn consent(&self, user: &ResourceUid, client: &ResourceUid) -> Result<Consent, StoreError>;

    // --- what people see and end of their own ---

    /// Stores a new session that continues no interaction: the person signed in to see their account. Otherwise as
    /// [`Store::sign_in`].
    ///
    /// SQL: as [`Store::sign_in`], without the interaction.
    async fn begin_session(
        &self,
        session: SessionRecord,
        replaces: Option<TokenHash>,
    ) -> Result<SignIn, StoreError>;

    /// What hangs on a user's account.
    ///
    /// SQL: in one snapshot `SELECT … FROM sessions WHERE user_uid = $1 AND …live`; `SELECT … FROM grants JOIN clients … LEFT
    /// JOIN sessions … WHERE grants.user_uid = $1 AND revoked_at IS NULL AND grants.expires_at > now() AND (offline OR
    /// sessions…live)`; `SELECT … FROM consents JOIN clients … WHERE user_uid = $1`.
    async fn account(&self, user: &ResourceUid) -> Result<Account, StoreError>;

    /// Ends one session of a user, and the grants that hang on it. False when the user has no such session.
    ///
    /// SQL: `DELETE FROM sessions WHERE hash = $2 AND user_uid = $1`, cascading as [`Store::end_session`].
    async fn end_session_of(&self, user: &ResourceUid, hash: &TokenHash) -> Result<bool, StoreError>;

    /// Ends every session of a user but one, and the grants that hang on them. Gives how many ended.
    ///
    /// SQL: `DELETE FROM sessions WHERE user_uid = $1 AND hash <> $2`, cascading as [`Store::end_session`].
    async fn end_other_sessions(&self, user: &ResourceUid, keep: &TokenHash) -> Result<usize, StoreError>;

    /// Ends every grant of a user to a client, and forgets the consent. False when there was neither.
    ///
    /// SQL: `DELETE FROM grants WHERE user_uid = $1 AND client_uid = $2`; `DELETE FROM consents WHERE user_uid = $1 AND
    /// client_uid = $2`.
    async fn end_app(&self, user: &ResourceUid, client: &ResourceUid) -> Result<bool, StoreError>;

    /// Sets the password that a person chose, if `current` is still the hash that lets them in. `session` takes the place
    /// of `replaces`; every other session ends, and every grant, those of this browser too: who knew the old password, or
    /// got at an app's tokens, may hold them.
    ///
    /// SQL: `SELECT FROM sessions JOIN users … WHERE hash = $2 AND …live FOR UPDATE`; `UPDATE users SET own_password_hash = $4,
    /// own_password_set_at = $5 WHERE uid = $1 AND COALESCE(own_password_hash, password_hash) = $3`; `DELETE FROM grants WHERE
    /// user_uid = $1`; `INSERT INTO sessions`; `DELETE FROM sessions WHERE user_uid = $1 AND hash <> $6`; any empty answer
    /// rolls back.
    async fn change_password(
        &self,
        replaces: &TokenHash,
        session: SessionRecord,
        current: &PasswordHash,
        new: OwnPasswordRecord,
    ) -> Result<ChangePassword, StoreError>;

    // --- grants, codes, tokens ---

    /// Consumes the interaction, if one is given, and stores grant and code, and `remember` as consent. Client, user and
    /// session are checked in the same transaction.
    ///
    /// SQL: `DELETE FROM interactions WHERE hash = $1 AND session = $2 AND user_uid = $3 AND expires_at > now() RETURNING hash`;
    /// `SELECT … FROM clients, users, sessions … FOR SHARE` with the conditions; `INSERT INTO grants`, `INSERT INTO
    /// authorization_codes`, `INSERT INTO consents … ON CONFLICT DO UPDATE`; any empty answer rolls back.
    async fn issue_authorization_code(
        &self,
        interaction: Option<TokenHash>,
        grant: GrantRecord,
        code: AuthorizationCodeRecord,
        remember: Option<Consent>,
    ) -> Result<IssueCode, StoreError>;

    /// Redeems a code exactly once. The binding is compared before the state is looked at, and a mismatch neither consumes
    /// nor revokes. The session must be alive, whether the grant is offline or not; from then on an offline one outlives it. Spent
    /// codes are kept until their grant's end, or a replay could not be told from nonsense. Of one user
    /// one client holds at most 100 grants whose code was redeemed; the oldest of the same session ends to make room, or else the
    /// oldest.
    ///
    /// SQL: `UPDATE authorization_codes SET redeemed_at = now() FROM grants, clients, users WHERE hash = $1 AND redeemed_at IS
    /// NULL AND authorization_codes.expires_at > now() AND client_uid = $2 AND redirect_uri = $3 AND code_challenge IS NOT
    /// DISTINCT FROM $4 AND (dpop_jkt IS NULL OR dpop_jkt = $8) AND …live RETURNING …`, then `UPDATE grants SET ending_session =
    /// NULL WHERE id = $5 AND offline`, `INSERT INTO refresh_tokens` and `DELETE FROM grants WHERE id IN (SELECT grants.id FROM
    /// grants JOIN authorization_codes … WHERE user_uid = $6 AND client_uid = $2 AND redeemed_at IS NOT NULL AND grants.id <> $5
    /// ORDER BY session = $7, created_at DESC OFFSET 99) RETURNING id`; no row: look it up, binding first, and if it was redeemed
    /// `UPDATE grants SET revoked_at = now()` in this transaction, which commits.
    async fn redeem_authorization_code(
        &self,
        hash: &TokenHash,
        binding: &CodeBinding,
        refresh_token: Option<NewRefreshToken>,
    ) -> Result<RedeemCode, StoreError>;

    /// Stores what a device asks for. False, and nothing is stored, while another device has the user code. One client holds at
    /// most 10,000; the one that ends first makes room.
    ///
    /// SQL: `DELETE FROM device_codes WHERE hash IN (SELECT hash FROM device_codes WHERE client_uid = $3 ORDER BY expires_at
    /// DESC OFFSET 9999)`; `INSERT INTO device_codes (hash, user_code, client_uid, …) … ON CONFLICT (user_code) DO NOTHING`.
    async fn begin_device_authorization(&self, device: DeviceCodeRecord) -> Result<bool, StoreError>;

    /// What the device with this user code asks for, if it has not expired and nobody has answered yet.
    ///
    /// SQL: `SELECT … FROM device_codes WHERE user_code = $1 AND state = 'pending' AND expires_at > now()`.
    async fn device_authorization(
        &self,
        user_code: &TokenHash,
    ) -> Result<Option<DeviceCodeRecord>, StoreError>;

    /// Consumes the interaction in which a person said yes, and stores the grant, for the device to fetch, and `remember` as
    /// consent. As [`Store::issue_authorization_code`] otherwise; a device that has expired or was answered before is an
    /// interaction that is gone.
    ///
    /// SQL: `DELETE FROM interactions …` and the checks as [`Store::issue_authorization_code`]; `UPDATE device_codes SET state =
    /// 'approved', grant_id = $4 WHERE hash = $2 AND state = 'pending' AND expires_at > now() AND client_uid = $3`; `INSERT
    /// INTO grants`, `INSERT INTO consents … ON CONFLICT DO UPDATE`; any empty answer rolls back.
    async fn approve_device(
        &self,
        interaction: TokenHash,
        device: &TokenHash,
        grant: GrantRecord,
        remember: Option<Consent>,
    ) -> Result<IssueCode, StoreError>;

    /// Notes that a person said no, unless the device has expired or was answered before.
    ///
    /// SQL: `UPDATE device_codes SET state = 'denied' WHERE hash = $1 AND state = 'pending' AND expires_at > now()`.
    async fn deny_device(&self, device: &TokenHash) -> Result<(), StoreError>;

    /// Redeems a device code exactly once. The client is compared before the state is looked at. While nobody has answered, a
    /// device that asks sooner than its interval after the last time waits for five seconds more each time from then on.
    ///
    /// SQL: `SELECT … FROM device_codes WHERE hash = $1 FOR UPDATE`; while pending `UPDATE device_codes SET polled_at = now(),
    /// interval = interval + CASE WHEN polled_at + interval > now() THEN 5 ELSE 0 END WHERE hash = $1`; approved:
    /// `SELECT … FROM grants, clients, users, sessions …live`, `DELETE FROM device_codes WHERE hash = $1`, and the rest as
    /// [`Store::redeem_authorization_code`].
    async fn redeem_device_code(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        refresh_token: Option<NewRefreshToken>,
    ) -> Result<RedeemDeviceCode, StoreError>;

    /// A refresh token, spent ones included, with its grant: for checks before the rotation, never instead of it.
    ///
    /// SQL: `SELECT … FROM refresh_tokens JOIN grants … WHERE hash = $1 AND (spent_at IS NOT NULL OR refresh_tokens.expires_at >
    /// now()) AND grants.expires_at > now()`.
    async fn refresh_token(
        &self,
        hash: &TokenHash,
    ) -> Result<Option<(RefreshTokenRecord, GrantRecord)>, StoreError>;

    /// Spends a refresh token and stores its one successor, bound to the same key if there is one. Client and key are compared
    /// before the state is looked at, so that whoever holds a token alone neither spends it nor ends its grant. A token whose
    /// grant hangs on a session counts as use of it.
    ///
    /// SQL: `UPDATE refresh_tokens SET spent_at = now() FROM grants, clients, users WHERE hash = $1 AND spent_at IS NULL AND
    /// refresh_tokens.expires_at > now() AND client_uid = $2 AND (dpop_jkt IS NULL OR dpop_jkt = $3) AND …live RETURNING …`, then `INSERT INTO refresh_tokens` and
    /// `UPDATE sessions SET last_used_at`, and `DELETE` those of the grant that were spent within a minute, but for
    /// the first and the last ninety-nine; no row: look it up, client and key first, and if it was spent `UPDATE grants SET
    /// revoked_at = now()` in this transaction, which commits.
    async fn rotate_refresh_token(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        proven: Option<&Thumbprint>,
        successor: NewRefreshToken,
    ) -> Result<RotateRefreshToken, StoreError>;

    /// Uses a refresh token that stays the one that it is, and dies when it is not used again by `idle_until`. Otherwise as
    /// [`Store::rotate_refresh_token`], one that was spent before included; the answer `Rotated` means that it was used.
    ///
    /// SQL: `UPDATE refresh_tokens SET expires_at = least($4, grants.expires_at) FROM grants, clients, users WHERE …` as
    /// [`Store::rotate_refresh_token`]; `UPDATE sessions SET last_used_at`; no row: as there.
    async fn use_refresh_token(
        &self,
        hash: &TokenHash,
        client: &ResourceUid,
        proven: Option<&Thumbprint>,
        idle_until: Timestamp,
    ) -> Result<RotateRefreshToken, StoreError>;

    /// A grant that is neither revoked nor expired, whose client, user and (unless offline) session are live.
    ///
    /// SQL: `SELECT … FROM grants JOIN clients … JOIN users … LEFT JOIN sessions … WHERE id = $1 AND revoked_at IS NULL AND
    /// grants.expires_at > now() AND …live AND (offline OR sessions.expires_at > now() AND …)`.
    async fn live_grant(&self, id: &GrantId) -> Result<Option<Redeemed>, StoreError>;

    /// Revokes a grant: every code and token that hangs on it is dead.
    ///
    /// SQL: `UPDATE grants SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL`.
    async fn revoke_grant(&self, id: &GrantId) -> Result<(), StoreError>;

    /// Stores an opaque access token. It hangs on what its `jti` names, which whoever looks it up asks for; it is forgotten
    /// at its expiry, and with its grant or client. A grant has at most 100 and a client at most 10,000; the one that would
    /// expire first makes room.
    ///
    /// SQL: `DELETE FROM access_tokens WHERE hash IN (SELECT hash FROM access_tokens WHERE grant_id = $4 ORDER BY expires_at DESC
    /// OFFSET 99)`, the same of `client_uid = $5` with 9999; `INSERT INTO access_tokens (hash, claims, expires_at, grant_id,
    /// client_uid) VALUES ($1, $2, $3, $4, $5)`.
    async fn begin_access_token(&self, token: AccessTokenRecord) -> Result<(), StoreError>;

    /// An opaque access token that has not expired.
    ///
    /// SQL: `SELECT claims FROM access_tokens WHERE hash = $1 AND expires_at > now()`.
    async fn access_token(&self, hash: &TokenHash) -> Result<Option<AccessTokenRecord>, StoreError>;

    /// The client that an access token without a grant hangs on, if it is live and the token was not revoked. `jti` is the
    /// hash of the token's.
    ///
    /// SQL: `SELECT … FROM clients WHERE uid = $1 AND NOT suspended AND absent_since IS NULL AND NOT EXISTS (SELECT FROM
    /// revoked_access_tokens WHERE jti = $2)`.
    async fn client_of_access_token(
        &self,
        uid: &ResourceUid,
        jti: &TokenHash,
    ) -> Result<Option<ClientRecord>, StoreError>;

    /// Revokes an access token of a client that hangs on no grant. It is remembered until the token would have expired; of one
    /// client at most 1,000 are, and none is forgotten before its time to make room.
    ///
    /// SQL: `INSERT INTO revoked_access_tokens (jti, client_uid, expires_at) SELECT $2, $1, $3 WHERE (SELECT count(*) FROM
    /// revoked_access_tokens WHERE client_uid = $1 AND expires_at > now()) < 1000 ON CONFLICT DO NOTHING`; no row and none of
    /// this `jti`: `SELECT min(expires_at)`.
    async fn revoke_access_token(
        &self,
        client: &ResourceUid,
        jti: &TokenHash,
        expires_at: Timestamp,
    ) -> Result<RevokeAccessToken, StoreError>;

    /// Notes the `jti` of what was signed and counts once (RFC 7523 section 3, RFC 9449 section 11.1): of any number at once one
    /// is fresh. It is remembered until `forget_at`. Of one signer at most `capacity` are remembered, and none is forgotten to
    /// make room: it could be presented again. A signer is the uid of a client, or the name of a key that came with what it
    /// signed, with a space in it as no uid has. `jti` is a hash over the signer too.
    ///
    /// SQL: `SELECT pg_advisory_xact_lock(hashtext($1))`; `INSERT INTO spent_jtis (jti, client_uid, forget_at) SELECT $2, $1, $3
    /// WHERE (SELECT count(*) FROM spent_jtis WHERE client_uid = $1 AND forget_at > now()) < $4 ON CONFLICT (jti) DO UPDATE SET
    /// forget_at = $3 WHERE spent_jtis.forget_at <= now()`; no row: a `SELECT … WHERE jti = $2 AND forget_at > now()` tells a replay
    /// from too many, whose `min(forget_at)` is the answer.
    async fn spend_jti(
        &self,
        signer: &ResourceUid,
        jti: &TokenHash,
        forget_at: Timestamp,
        capacity: u64,
    ) -> Result<SpendJti, StoreError>;

    // --- what clients are told of sessions that ended ---

    // Sessions that idle out or come to their absolute end are not told. Whatever else ends one (`end_session`,
    // `end_session_of`, `end_other_sessions`, `end_app` for its own client, a sign-in of somebody else, `change_password`, a user
    // who is disabled, absent or removed, or has another password or subject) writes in the same transaction a notice for each
    // client that was given an ID token in it and has a `backchannel_logout_uri`. Where everything of a person ends, a client
    // with an offline grant gets one without `sid` instead, unless it needs one. A code's redemption and a refresh token's
    // rotation note that the client takes part. At most 1 000 wait for a client, 24 hours at most.
    //
    // SQL of those: `INSERT INTO logout_notices SELECT client_uid, sub, unnest(sids), 0, now(), now() + interval '24 hours' FROM
    // participants JOIN clients … WHERE session = $1 AND backchannel_logout_uri IS NOT NULL ON CONFLICT DO UPDATE`; participants
    // reference their session `ON DELETE CASCADE`.

    /// Claims the notice that is due first, of the first client after `after` that is none of `busy`, beginning anew after the
    /// last client. It counts as an attempt, and is due again after the pause of this attempt (the last one of `pauses` if
    /// there were more), so that nothing is lost with whoever claimed it.
    ///
    /// SQL: `UPDATE logout_notices SET attempts = attempts + 1, due_at = now() + ($3::interval[])[least(attempts + 1,
    /// cardinality($3))] WHERE (client_uid, id) = (SELECT client_uid, id FROM logout_notices WHERE due_at <= now() AND client_uid <>
    /// ALL ($2) ORDER BY client_uid <= $1, client_uid, due_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING …`.
    async fn claim_logout_notice(
        &self,
        after: Option<&ResourceUid>,
        busy: &[ResourceUid],
        pauses: &[Duration],
    ) -> Result<Option<ClaimedLogoutNotice>, StoreError>;

    /// Removes a notice, if it still stands as it was claimed.
    ///
    /// SQL: `DELETE FROM logout_notices WHERE client_uid = $1 AND id = $2 AND attempts = $3 AND due_at = $4`.
    async fn end_logout_notice(&self, claimed: &LogoutNoticeRecord) -> Result<(), StoreError>;

    /// How many notices wait, of all clients together, due or not.
    ///
    /// SQL: `SELECT count(*) FROM logout_notices`.
    async fn waiting_logout_notices(&self) -> Result<u64, StoreError>;

    // --- failed attempts ---

    /// Counts an attempt in each of `buckets`, before anything is known of its outcome, so that of any number at once
    /// exactly as many go on as the buckets allow. If any of them says to wait, none counts it.
    ///
    /// SQL: `SELECT … FROM throttles WHERE (kind, key) IN … FOR UPDATE` in the order of kind and key; if all `wait_until <=
    /// now()`, `INSERT INTO throttles … ON CONFLICT (kind, key) DO UPDATE SET forgiven_at, wait_until, counted_at`; for a
    /// kind above its capacity `DELETE … WHERE ctid = (SELECT ctid … ORDER BY greatest(forgiven_at, wait_until) LIMIT 1)`.
    async fn begin_attempt(&self, buckets: &[ThrottleBucket]) -> Result<BeginAttempt, StoreError>;

    /// Takes back an attempt that was counted at `at`, or everything that a bucket holds.
    ///
    /// SQL: `UPDATE throttles SET forgiven_at = forgiven_at - $3, wait_until = CASE WHEN counted_at = $2 THEN $2 ELSE
    /// wait_until END WHERE (kind, key) = $1`, or `DELETE FROM throttles WHERE (kind, key) = $1`.
    async fn forgive_attempt(
        &self,
        at: Timestamp,
        buckets: &[(ThrottleBucket, Forgiveness)],
    ) -> Result<(), StoreError>;

    // --- upkeep ---

    /// Looks at up to `limit` records whose time may have come: removes those that have expired, and purges clients and
    /// users that have been absent for 24 h. Forgets buckets of failed attempts that have forgiven everything. Gives how many it looked at; fewer than `limit` means that no more are due.
    ///
    /// SQL: for each table `DELETE … WHERE ctid IN (SELECT ctid FROM … WHERE expires_at <= now() LIMIT $1)`, and the same over
    /// `absent_since <= now() - interval '24 hours'`.
    async fn sweep(&self, limit: usize) -> Result<usize, StoreError>;
}
