//! The browser at the other end: what its cookies say, and the proof that a form was shown to it.

use super::Provider;
use super::fault::Fault;
use super::interaction::BrowserError;
use super::known_browser::KnownBrowser;
use crate::login::network::Network;
use crate::oidc::end_user::EndUser;
use crate::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};
use crate::store::records::{SessionRecord, UserRecord};

/// What a browser's cookies say.
pub struct Browser {
    /// Binds forms and interactions to this browser. It says nothing about who sits there.
    pub nonce: OpaqueToken,
    /// The session that somebody has here, if it is still live.
    pub session: Option<OpaqueToken>,
    /// Who has signed in here before, if the browser proves it.
    pub known: Option<KnownBrowser>,
    /// Where it is.
    pub network: Network,
}

impl Browser {
    /// This browser's id, if the account of this pseudonym has signed in here before.
    pub(super) fn known_for(&self, account: &str) -> Option<&TokenHash> {
        self.known.as_ref()?.id_for(account)
    }
}

/// The purpose under which synchronizer tokens are sealed.
const CSRF: &str = "browser/csrf";

impl Provider {
    /// A nonce for a browser that has none.
    pub fn new_browser_nonce(&self) -> OpaqueToken {
        OpaqueToken::generate(TokenKind::Browser, &*self.random)
    }

    /// The synchronizer token of every form that is shown to this browser.
    pub fn csrf_token(&self, browser: &Browser) -> Result<String, BrowserError> {
        Ok(self.seal(CSRF, &browser.nonce.hash())?)
    }

    /// Whether a form with this token was shown to this browser.
    pub fn is_csrf_token(&self, browser: &Browser, token: &str) -> bool {
        self.open::<TokenHash>(CSRF, token)
            .is_some_and(|hash| hash.matches(&browser.nonce.hash()))
    }

    /// Who is signed in in this browser.
    pub async fn signed_in(&self, browser: &Browser) -> Result<Option<EndUser>, BrowserError> {
        Ok(self.session(browser).await?.map(|(_, user)| user.user))
    }

    pub(super) async fn session(
        &self,
        browser: &Browser,
    ) -> Result<Option<(SessionRecord, UserRecord)>, BrowserError> {
        let Some(session) = &browser.session else {
            return Ok(None);
        };
        let session = self.store.session(&session.hash()).await;
        Ok(session.map_err(Fault::store("read a session"))?)
    }
}
