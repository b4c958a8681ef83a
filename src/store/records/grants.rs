//! The way to a grant, the grant itself, and what hangs on it: codes and tokens. An opaque access token is also what a client
//! has that acts for itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::oidc::access_token::AccessTokenClaims;
use crate::oidc::authentication::Authentication;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::claims_request::RequestedClaims;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::{ClientId, GrantId, ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::scope::ScopeSet;
use crate::oidc::thumbprint::Thumbprint;

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
    /// The session in which it was allowed; the grant ends with it, an `offline` one until its code is
    /// redeemed.
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
