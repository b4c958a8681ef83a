//! The authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1).
//!
//! [`validate`] is the only way to one from what a browser sent.

pub mod validate;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claims_request::RequestedClaims;
use super::consent::Consent;
use super::identifier::{ClientId, ResourceUid, Subject};
use super::opaque_token::TokenHash;
use super::response_mode::ResponseMode;
use super::scope::ScopeSet;
use super::thumbprint::Thumbprint;

/// A valid request: it exists only after every check has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The client that asks.
    pub client_uid: ResourceUid,
    /// `client_id`.
    pub client_id: ClientId,
    /// `redirect_uri`, exactly as received (it may differ from the registered one in a loopback port).
    pub redirect_uri: String,
    /// How the response travels.
    #[serde(default)]
    pub response_mode: ResponseMode,
    /// What was asked for and the client may ask for.
    pub scope: ScopeSet,
    /// `resource` (RFC 8707): for whom access tokens will be; none means the default audience.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Returned byte for byte.
    pub state: Option<String>,
    /// Returned unchanged in the ID token.
    pub nonce: Option<String>,
    /// `code_challenge` (RFC 7636), method S256.
    pub code_challenge: Option<String>,
    /// `dpop_jkt` (RFC 9449 section 10): the key whose proof the code will need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Thumbprint>,
    /// `prompt`.
    pub prompt: Prompt,
    /// `max_age` of the request, else the client's `default_max_age`.
    pub max_age: Option<Duration>,
    /// Whether `auth_time` was asked for, by `max_age` or by the registration.
    pub auth_time_requested: bool,
    /// `login_hint`: fills the username field.
    pub login_hint: Option<String>,
    /// `sub` of a verified `id_token_hint`: nobody else may answer this request.
    #[serde(default)]
    pub subject_hint: Option<Subject>,
    /// What `claims` asked for and the client may ask for.
    #[serde(default)]
    pub claims: RequestedClaims,
    /// The device that waits for the answer (RFC 8628), and gets it instead of a `redirect_uri`, which is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<WaitingDevice>,
    /// The values that `claims` allows for `sub`, if it names any: nobody else may answer this request.
    #[serde(default)]
    pub subjects: Option<BTreeSet<Subject>>,
}

impl AuthorizationRequest {
    /// Whether the request leaves it open, or names this person: by `id_token_hint` or by the `sub` of `claims` (OpenID
    /// Connect Core section 3.1.2.2).
    pub fn may_be_answered_by(&self, subject: &Subject) -> bool {
        self.subject_hint.as_ref().is_none_or(|hint| hint == subject)
            && self
                .subjects
                .as_ref()
                .is_none_or(|subjects| subjects.contains(subject))
    }

    /// What the person has to allow.
    pub fn asked(&self) -> Consent {
        Consent::new(self.scope.clone(), self.claims.all()).at(self.resources.iter().cloned())
    }
}

/// A device that waits for a person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingDevice {
    /// Hash of its `device_code`.
    pub code: TokenHash,
    /// The `user_code` as the device shows it, once somebody has typed it.
    #[serde(default)]
    pub user_code: Option<String>,
}

impl AuthorizationRequest {
    /// Where a form of ours leads in the end: with `form_post` no further than to a page of ours, whose own form goes on, and for a device to none.
    pub fn leads_to(&self) -> Option<&str> {
        (self.response_mode == ResponseMode::Query && self.device.is_none()).then_some(&self.redirect_uri)
    }
}

/// The values of `prompt` (OpenID Connect Core section 3.1.2.1), which may be combined except for `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set of four independent values of the specification"
)]
pub struct Prompt {
    /// Show nothing.
    pub none: bool,
    /// Authenticate again.
    pub login: bool,
    /// Ask for consent again.
    pub consent: bool,
    /// Let the person choose an account, the one that is signed in included.
    pub select_account: bool,
}
