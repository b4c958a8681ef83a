//! What travels in a form before anything is stored: unreadable, unalterable, bound to one browser, ten minutes.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{BrowserError, Refusal};
use crate::clock::later;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::opaque_token::TokenHash;
use crate::provider::browser::Browser;
use crate::provider::{INTERACTION_LIFETIME, Provider};

const ERRAND: &str = "browser/interaction";

/// What a person signs in for. It decides where they are led afterwards; no parameter does.
#[derive(Serialize, Deserialize)]
pub(in crate::provider) enum Errand {
    /// To answer an app's request, which arrived then.
    App(Box<AuthorizationRequest>, Timestamp),
    /// To see their account.
    Account,
}

#[derive(Serialize)]
struct Sealing<'a, T> {
    errand: &'a T,
    at: Timestamp,
    browser: TokenHash,
}

#[derive(Deserialize)]
struct Sealed<T> {
    errand: T,
    at: Timestamp,
    browser: TokenHash,
}

impl Provider {
    pub(in crate::provider) fn seal_errand(
        &self,
        browser: &Browser,
        errand: &Errand,
    ) -> Result<String, BrowserError> {
        self.seal_in_form(ERRAND, browser, errand)
    }

    pub(in crate::provider) fn open_errand(
        &self,
        browser: &Browser,
        sealed: &str,
    ) -> Result<Errand, BrowserError> {
        self.open_from_form(ERRAND, browser, sealed)
    }

    /// Seals what a form that is shown to this browser is to bring back, for one purpose.
    pub(in crate::provider) fn seal_in_form(
        &self,
        purpose: &'static str,
        browser: &Browser,
        errand: &impl Serialize,
    ) -> Result<String, BrowserError> {
        let sealing = Sealing {
            errand,
            at: self.clock.now(),
            browser: browser.nonce.hash(),
        };
        Ok(self.seal(purpose, &sealing)?)
    }

    /// Opens what a form brought back. A form that lies open for too long, or that was shown to another browser (login
    /// CSRF: somebody's own form in a stranger's browser), is refused.
    pub(in crate::provider) fn open_from_form<T: DeserializeOwned>(
        &self,
        purpose: &'static str,
        browser: &Browser,
        sealed: &str,
    ) -> Result<T, BrowserError> {
        let form: Sealed<T> = self
            .open(purpose, sealed)
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
