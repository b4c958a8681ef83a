//! `id_token_hint`: an ID token of ours that an app brings back (OpenID Connect Core section 3.1.2.1, OpenID Connect
//! RP-Initiated Logout section 2).

use serde::Deserialize;

use super::Provider;
use crate::oidc::id_token;
use crate::oidc::identifier::{ClientId, Subject};

/// What is read of a hint. Its expiry is not: both specifications have a provider accept hints that have expired.
#[derive(Deserialize)]
pub(super) struct IdTokenHint {
    iss: String,
    /// The person that the token was about.
    pub(super) sub: Subject,
    /// The client that it was issued to.
    pub(super) aud: ClientId,
    /// The session that it was issued in; ID tokens of the first version have none.
    #[serde(default)]
    pub(super) sid: Option<String>,
}

impl Provider {
    /// The claims of an ID token that this issuer signed, with a key that is published still; `None` for anything else.
    pub(super) fn verify_id_token_hint(&self, hint: &str) -> Option<IdTokenHint> {
        self.keyring
            .current()
            .verify::<IdTokenHint>(hint, id_token::TYP)
            .ok()
            .filter(|claims| claims.iss == self.issuer.as_str())
    }
}
