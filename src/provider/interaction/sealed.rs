//! What a person signs in for, as it travels in a form before anybody has signed in: unreadable, unalterable, ten minutes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BrowserError, Refusal};
use crate::clock::later;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::opaque_token::TokenHash;
use crate::provider::browser::Browser;
use crate::provider::{INTERACTION_LIFETIME, Provider};

const PURPOSE: &str = "browser/interaction";

/// What a person signs in for. It decides where they are led afterwards; no parameter does.
#[derive(Serialize, Deserialize)]
pub(in crate::provider) enum Errand {
    /// To answer an app's request, which arrived then.
    App(Box<AuthorizationRequest>, Timestamp),
    /// To see their account.
    Account,
}

#[derive(Serialize)]
struct Sealing<'a> {
    errand: &'a Errand,
    at: Timestamp,
    browser: TokenHash,
}

#[derive(Deserialize)]
struct SealedErrand {
    errand: Errand,
    at: Timestamp,
    browser: TokenHash,
}

impl Provider {
    pub(in crate::provider) fn seal_errand(
        &self,
        browser: &Browser,
        errand: &Errand,
    ) -> Result<String, BrowserError> {
        let sealing = Sealing {
            errand,
            at: self.clock.now(),
            browser: browser.nonce.hash(),
        };
        Ok(self.seal(PURPOSE, &sealing)?)
    }

    /// The errand of a form. A form that lies open for too long, or that was shown to another browser (login CSRF:
    /// somebody's own form in a stranger's browser), is refused.
    pub(in crate::provider) fn open_errand(
        &self,
        browser: &Browser,
        sealed: &str,
    ) -> Result<Errand, BrowserError> {
        let form: SealedErrand = self
            .open(PURPOSE, sealed)
            .ok_or(BrowserError::Refused(Refusal::InteractionGone, None))?;
        if !form.browser.matches(&browser.nonce.hash()) {
            return Err(BrowserError::Refused(Refusal::OtherBrowser, None));
        }
        if self.clock.now() >= later(form.at, INTERACTION_LIFETIME) {
            return Err(BrowserError::Refused(Refusal::InteractionGone, None));
        }
        Ok(form.errand)
    }
}
