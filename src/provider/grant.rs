//! Grant types: each reduces a request to one [`Authorization`] and does nothing else. Which client asks, whether it may
//! use the grant type, scope and access policy, and minting are the pipeline's (`provider::token`), so that no grant can
//! skip a step.

use crate::oidc::opaque_token::OpaqueToken;
use crate::oidc::scope::ScopeSet;
use crate::store::records::{GrantRecord, UserRecord};

pub(super) mod authorization_code;
pub(super) mod refresh_token;

/// What every grant type reduces to.
pub(super) struct Authorization {
    /// Who allowed what to which client.
    pub(super) grant: GrantRecord,
    /// The user as registered now.
    pub(super) user: UserRecord,
    /// What this request asks for of what was allowed; never more than the grant has.
    pub(super) scope: ScopeSet,
    /// For the ID token.
    pub(super) nonce: Option<String>,
    /// Already stored with the grant's own operation.
    pub(super) refresh_token: Option<OpaqueToken>,
}
