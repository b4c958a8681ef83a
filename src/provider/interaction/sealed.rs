//! The interaction as it travels in a form before anybody has signed in: unreadable, unalterable, ten minutes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BrowserError, Refusal};
use crate::clock::later;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::opaque_token::TokenHash;
use crate::provider::browser::Browser;
use crate::provider::{INTERACTION_LIFETIME, Provider};

const PURPOSE: &str = "browser/interaction";

#[derive(Serialize, Deserialize)]
struct SealedInteraction {
    request: AuthorizationRequest,
    started_at: Timestamp,
    sealed_at: Timestamp,
    browser: TokenHash,
}

impl Provider {
    pub(super) fn seal_interaction(
        &self,
        browser: &Browser,
        request: AuthorizationRequest,
        started_at: Timestamp,
    ) -> Result<String, BrowserError> {
        let interaction = SealedInteraction {
            request,
            started_at,
            sealed_at: self.clock.now(),
            browser: browser.nonce.hash(),
        };
        Ok(self.seal(PURPOSE, &interaction)?)
    }

    /// The request and when it arrived. A form that lies open for too long, or that was shown to another browser (login
    /// CSRF: somebody's own form in a stranger's browser), is refused.
    pub(in crate::provider) fn open_interaction(
        &self,
        browser: &Browser,
        sealed: &str,
    ) -> Result<(AuthorizationRequest, Timestamp), BrowserError> {
        let interaction: SealedInteraction = self
            .open(PURPOSE, sealed)
            .ok_or(BrowserError::Refused(Refusal::InteractionGone, None))?;
        if !interaction.browser.matches(&browser.nonce.hash()) {
            return Err(BrowserError::Refused(Refusal::OtherBrowser, None));
        }
        if self.clock.now() >= later(interaction.sealed_at, INTERACTION_LIFETIME) {
            return Err(BrowserError::Refused(Refusal::InteractionGone, None));
        }
        Ok((interaction.request, interaction.started_at))
    }
}
