//! What a store keeps. Back ends write these as versioned JSON documents beside a few key columns, and read what earlier
//! versions wrote: a field that comes later is an `Option` or has `#[serde(default)]`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::oidc::access_token::AccessTokenClaims;
use crate::oidc::authentication::Authentication;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::claims::Person;
use crate::oidc::claims_request::RequestedClaims;
use crate::oidc::client::{ANY_NAMESPACE, Client};
use crate::oidc::consent::Consent;
use crate::oidc::end_user::EndUser;
use crate::oidc::identifier::{ClientId, GrantId, ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::password::PasswordHash;
use crate::oidc::scope::ScopeSet;
use crate::oidc::thumbprint::Thumbprint;

/// Which cluster a store belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIdentity {
    /// `metadata.uid` of the namespace `kube-system`.
    pub uid: ResourceUid,
    /// The watched namespaces, sorted; empty means all.
    pub watched_namespaces: Vec<String>,
}

/// Names a resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceRef {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl std::fmt::Display for ResourceRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// SHA-256 over everything that decided an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

/// A client as registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRecord {
    /// The metadata.
    pub client: Client,
    /// The resource.
    pub resource: ResourceRef,
    /// The name of the Secret that the resource claims in its namespace.
    pub secret_name: String,
    /// Live versions of the client secret, the newest last.
    pub secret_versions: Vec<SecretVersion>,
    /// Since when the resource is missing; refused while this is set.
    pub absent_since: Option<Timestamp>,
    /// What is done, see [`super::Store::complete_client`].
    pub done: Option<Digest>,
    /// Which requests to rotate the secret were carried out.
    #[serde(default)]
    pub observed_rotation: ObservedRotation,
}

impl ClientRecord {
    /// Whether the client may take part in anything now.
    pub fn is_live(&self) -> bool {
        !self.client.suspended && self.absent_since.is_none()
    }

    /// Whether clients of `namespace` may ask for tokens for what it holds of `resource_identifiers`.
    pub fn serves(&self, namespace: &str) -> bool {
        let allowed = &self.client.resource_namespaces;
        self.resource.namespace == namespace
            || allowed
                .iter()
                .any(|allowed| allowed == namespace || allowed == ANY_NAMESPACE)
    }
}

/// How many versions of a client secret are valid at once at most: every check of a secret costs this many comparisons,
/// however many there are.
pub const MAX_SECRET_VERSIONS: usize = 4;

/// How many `jti`s of one client are remembered at once, each for as long as what it names could be presented again.
pub const MAX_SPENT_JTIS: u64 = 10_000;

/// Which requests to rotate a client secret were carried out: the values of the annotations that asked for it. A value
/// that was carried out does nothing when it is seen again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObservedRotation {
    /// `claviger.dev/rotate`: the old versions stay valid for the overlap.
    #[serde(default)]
    pub rotate: Option<String>,
    /// `claviger.dev/rotate-now`: the old versions ended at once.
    #[serde(default)]
    pub rotate_now: Option<String>,
}

/// A rotation of a client secret.
#[derive(Debug, Clone)]
pub struct SecretRotation {
    /// The newest version as the caller knows it; another one means that somebody was quicker.
    pub current: String,
    /// The version that becomes the newest.
    pub next: SecretVersion,
    /// Which requests this carries out.
    pub observed: ObservedRotation,
    /// Ends all older versions with this operation. Otherwise they stay valid until [`super::Store::retire_client_secrets`]
    /// says when they end.
    pub ends_others: bool,
}

/// One version of a client secret. The secret itself is derived from the keyring; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVersion {
    /// `1` for the first, random for later ones.
    pub id: String,
    /// The master key that it is derived from.
    pub master_key_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops being accepted.
    pub retires_at: Option<Timestamp>,
    /// SHA-256 of the secret.
    pub hash: TokenHash,
}

/// A registration of a client.
#[derive(Debug, Clone)]
pub struct ClientRegistration {
    /// The metadata.
    pub client: Client,
    /// The resource.
    pub resource: ResourceRef,
    /// The claimed name of the Secret.
    pub secret_name: String,
    /// The versions to begin with, for a client that the store does not know (or knows without any).
    pub initial_secret_versions: Vec<SecretVersion>,
    /// The requests to rotate that need not be carried out any more, for a client that the store does not know.
    pub initial_rotation: ObservedRotation,
}

/// A user as registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Who they are.
    pub user: EndUser,
    /// When `user` last became another; not noted in the first version.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// The resource.
    pub resource: ResourceRef,
    /// The password that their resource gives, if it gives one.
    pub password: Option<PasswordRecord>,
    /// The password that they chose themselves, until the resource gives another.
    #[serde(default)]
    pub own_password: Option<OwnPasswordRecord>,
    /// Since when the resource is missing; refused while this is set.
    pub absent_since: Option<Timestamp>,
    /// What is done, see [`super::Store::complete_user`].
    pub done: Option<Digest>,
}

impl UserRecord {
    /// Whether the user may take part in anything now.
    pub fn is_live(&self) -> bool {
        !self.user.disabled && self.absent_since.is_none()
    }

    /// The hash of the password that lets them in: their own wins over the resource's.
    pub fn password_hash(&self) -> Option<&PasswordHash> {
        match (&self.own_password, &self.password) {
            (Some(own), _) => Some(&own.hash),
            (None, Some(password)) => Some(&password.hash),
            (None, None) => None,
        }
    }

    /// Whether `other` is let in by the same password, as far as is known: hashed anew or not.
    pub fn has_password_of(&self, other: &Self) -> bool {
        fn which(user: &UserRecord) -> (Option<Timestamp>, Option<&str>) {
            let own = user.own_password.as_ref().map(|password| password.set_at);
            (
                own,
                user.password.as_ref().map(|password| password.source.as_str()),
            )
        }
        which(self) == which(other)
    }

    /// Puts a hash of the same password in the place of `old`; false where that is not there any more.
    pub fn upgrade_hash(&mut self, old: &PasswordHash, new: PasswordHash) -> bool {
        match (&mut self.own_password, &mut self.password) {
            (Some(own), _) if own.hash == *old => own.hash = new,
            (_, Some(password)) if password.hash == *old => password.hash = new,
            _ => return false,
        }
        true
    }
}

impl<'a> From<&'a UserRecord> for Person<'a> {
    fn from(record: &'a UserRecord) -> Self {
        Self {
            user: &record.user,
            updated_at: record.updated_at,
        }
    }
}

/// A password as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordRecord {
    /// The hash.
    pub hash: PasswordHash,
    /// What it was made from: changes exactly when the password may have changed, so that nothing is hashed twice.
    pub source: String,
}

/// A password that a person chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPasswordRecord {
    /// The hash.
    pub hash: PasswordHash,
    /// When they chose it.
    pub set_at: Timestamp,
}

/// A registration of a user.
#[derive(Debug, Clone)]
pub struct UserRegistration {
    /// Who they are.
    pub user: EndUser,
    /// The resource.
    pub resource: ResourceRef,
    /// Their password.
    pub password: Option<PasswordRecord>,
    /// Whoever may write people says that this is the person whose subject was retired.
    pub restores_subject: bool,
}

/// A browser in which a person is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Hash of the cookie's value.
    pub hash: TokenHash,
    /// Who.
    pub user_uid: ResourceUid,
    /// When and how they signed in.
    pub authentication: Authentication,
    /// When it was last used.
    pub last_used_at: Timestamp,
    /// It ends when it is not used for this many seconds.
    pub idle_seconds: u64,
    /// It ends then, used or not.
    pub expires_at: Timestamp,
}

/// A client that was given an ID token in a session: whoever is to hear that the session ended (OpenID Connect Back-Channel
/// Logout section 2.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantRecord {
    /// The client.
    pub client_uid: ResourceUid,
    /// By which it knows the person.
    pub sub: Subject,
    /// What its ID tokens called the session, the newest last; another one after the person signed in again.
    pub sids: Vec<String>,
}

/// How many `sid`s of one client in one session are kept at most; the oldest goes.
pub const MAX_SIDS: usize = 8;

/// What a client is to be told: that a person's session ended. It is removed when the client was told, or nobody tries any
/// more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutNoticeRecord {
    /// The client.
    pub client_uid: ResourceUid,
    /// By which it knows the person.
    pub sub: Subject,
    /// What the client calls the session; `None` says that all of the person's ended.
    pub sid: Option<String>,
    /// How often somebody began to tell it.
    pub attempts: u32,
    /// Nobody begins before then.
    pub due_at: Timestamp,
    /// Nobody begins any more from then on.
    pub expires_at: Timestamp,
}

impl LogoutNoticeRecord {
    /// Names it among those of its client: the session, or the person.
    pub fn id(&self) -> TokenHash {
        match &self.sid {
            Some(sid) => TokenHash::of(format!("sid\0{sid}").as_bytes()),
            None => TokenHash::of(format!("sub\0{}", self.sub.as_str()).as_bytes()),
        }
    }
}

/// A person's way from sign-in to the redirect; see `provider::interaction`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InteractionRecord {
    /// Hash of the handle.
    pub hash: TokenHash,
    /// The session that it belongs to; another browser cannot continue it.
    pub session: TokenHash,
    /// Who.
    pub user_uid: ResourceUid,
    /// What the app asked for.
    pub request: AuthorizationRequest,
    /// When the request arrived; an authentication before this is not fresh.
    pub started_at: Timestamp,
    /// Whether the authentication happened in this interaction, which alone satisfies `prompt=login` and `max_age`.
    pub authenticated_here: bool,
    /// Whether the person chose to go on with the account of the session, which `prompt=select_account` asks for.
    #[serde(default)]
    pub account_chosen: bool,
    /// It ends then.
    pub expires_at: Timestamp,
}

/// An authorization request that waits for a browser to come with its `request_uri` (RFC 9126).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedRequestRecord {
    /// Hash of what the `request_uri` ends with.
    pub hash: TokenHash,
    /// What was asked for; its client alone may come with it.
    pub request: AuthorizationRequest,
    /// It cannot be used from then on.
    pub expires_at: Timestamp,
}

/// Who allowed what to which client. Codes and tokens hang on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Its id, part of the `jti` of access tokens.
    pub id: GrantId,
    /// The client.
    pub client_uid: ResourceUid,
    /// The client's id.
    pub client_id: ClientId,
    /// The user.
    pub user_uid: ResourceUid,
    /// The user's subject.
    pub subject: Subject,
    /// `sub` for a client with pairwise subjects. It is the grant's, so that it stays the same however the client is registered
    /// later (OpenID Connect Core section 12.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairwise_subject: Option<Subject>,
    /// What was allowed.
    pub scope: ScopeSet,
    /// For which resources (RFC 8707); none means the default audience.
    #[serde(default)]
    pub resources: Vec<String>,
    /// The session in which it was allowed; the grant ends with it unless it is `offline`.
    pub session: TokenHash,
    /// `offline_access` was allowed.
    pub offline: bool,
    /// When and how the person had signed in.
    pub authentication: Authentication,
    /// Whether ID tokens carry `auth_time`.
    pub auth_time_requested: bool,
    /// `nonce` of the request.
    pub nonce: Option<String>,
    /// The claims that were asked for by name and allowed.
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub claims: RequestedClaims,
    /// When it was made.
    pub created_at: Timestamp,
    /// It ends then at the latest.
    pub expires_at: Timestamp,
    /// Revoked: everything that hangs on it is dead.
    pub revoked_at: Option<Timestamp>,
}

impl GrantRecord {
    /// `sub`: by which the client knows the user.
    pub fn sub(&self) -> &Subject {
        self.pairwise_subject.as_ref().unwrap_or(&self.subject)
    }

    /// Everything that was allowed.
    pub fn allowed(&self) -> Consent {
        Consent::new(self.scope.clone(), self.claims.all()).at(self.resources.iter().cloned())
    }
}

/// What a code is bound to (RFC 6749 section 4.1.3, RFC 7636 section 4.6, RFC 9449 section 10), or what came with one. Compared
/// as a whole, by [`CodeBinding::is_met_by`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeBinding {
    /// The client.
    pub client_uid: ResourceUid,
    /// The redirect URI, byte for byte.
    pub redirect_uri: String,
    /// The S256 challenge; the redeemer computes it from its verifier, `None` without one, so that a verifier without
    /// a challenge fails like a challenge without a verifier.
    pub code_challenge: Option<String>,
    /// The key that was named with the request, or whose proof came with the code. Who named none may come with any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Thumbprint>,
}

impl CodeBinding {
    /// Whether what came with a code is what it is bound to.
    pub fn is_met_by(&self, presented: &Self) -> bool {
        let Self {
            client_uid,
            redirect_uri,
            code_challenge,
            dpop_jkt,
        } = self;
        *client_uid == presented.client_uid
            && *redirect_uri == presented.redirect_uri
            && *code_challenge == presented.code_challenge
            && (dpop_jkt.is_none() || *dpop_jkt == presented.dpop_jkt)
    }
}

/// An authorization code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationCodeRecord {
    /// Hash of the code.
    pub hash: TokenHash,
    /// What it hangs on.
    pub grant_id: GrantId,
    /// What it is bound to.
    pub binding: CodeBinding,
    /// It cannot be redeemed from then on.
    pub expires_at: Timestamp,
    /// When it was redeemed.
    pub redeemed_at: Option<Timestamp>,
}

/// A device that waits for a person's answer (RFC 8628).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCodeRecord {
    /// Hash of the device code.
    pub hash: TokenHash,
    /// Hash of the user code.
    pub user_code: TokenHash,
    /// What is asked for; its client alone redeems the code.
    pub request: AuthorizationRequest,
    /// It cannot be answered or redeemed from then on.
    pub expires_at: Timestamp,
    /// So many seconds lie between two of its questions at least.
    pub interval_seconds: u64,
    /// When it last asked.
    #[serde(default)]
    pub polled_at: Option<Timestamp>,
    /// What a person said.
    pub answer: DeviceAnswer,
}

/// What a person said to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceAnswer {
    /// Nothing yet.
    Pending,
    /// No.
    Denied,
    /// Yes: this is what it holds.
    Approved(GrantId),
}

/// A refresh token to be stored.
#[derive(Debug, Clone)]
pub struct NewRefreshToken {
    /// Hash of the token.
    pub hash: TokenHash,
    /// It dies when not used by then. Back ends cut it to the end of its grant.
    pub expires_at: Timestamp,
    /// The key whose proof it needs (RFC 9449 section 5).
    pub dpop_jkt: Option<Thumbprint>,
}

/// A refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokenRecord {
    /// Hash of the token.
    pub hash: TokenHash,
    /// What it hangs on.
    pub grant_id: GrantId,
    /// It dies when not used by then.
    pub expires_at: Timestamp,
    /// When it was rotated away.
    pub spent_at: Option<Timestamp>,
    /// When it was issued; the first version did not note it.
    #[serde(default)]
    pub issued_at: Option<Timestamp>,
    /// The key whose proof it needs (RFC 9449 section 5); any or none without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Thumbprint>,
}

impl RefreshTokenRecord {
    /// Whether whoever proved this key, or none, may use it.
    pub fn is_for_key(&self, proven: Option<&Thumbprint>) -> bool {
        self.dpop_jkt.is_none() || self.dpop_jkt.as_ref() == proven
    }
}

/// An opaque access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenRecord {
    /// Hash of the token.
    pub hash: TokenHash,
    /// The client that it was issued to, among whose tokens it counts; not noted in the first version.
    #[serde(default)]
    pub client_uid: Option<ResourceUid>,
    /// What it stands for; it is good until the `exp` of these.
    pub claims: AccessTokenClaims<'static>,
}

#[cfg(test)]
mod tests;
