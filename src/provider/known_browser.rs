//! The proof that a browser is one in which certain accounts have signed in before (a "device cookie").
//!
//! It gives no access to anything: it only has the browser's attempts counted apart from everybody else's, so that an
//! attack on an account does not meet the person at their own machine. It is sealed, and names accounts by pseudonym.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Provider;
use super::fault::Fault;
use crate::clock::later;
use crate::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};

/// A browser is forgotten when nobody has signed in there for this long.
pub const KNOWN_BROWSER_LIFETIME: Duration = Duration::from_hours(90 * 24);

/// The people of a shared machine; whoever signed in longest ago makes way.
const MOST_ACCOUNTS: usize = 4;

const PURPOSE: &str = "browser/known";

/// What the cookie proves.
#[derive(Serialize, Deserialize)]
pub struct KnownBrowser {
    /// Which browser; a copy of the cookie shares its bucket.
    id: TokenHash,
    /// Pseudonyms of the accounts that have signed in here, the last one last.
    accounts: Vec<String>,
    sealed_at: Timestamp,
}

impl KnownBrowser {
    /// The browser's id, if this account has signed in here.
    pub(super) fn id_for(&self, account: &str) -> Option<&TokenHash> {
        self.accounts
            .iter()
            .any(|known| known == account)
            .then_some(&self.id)
    }
}

impl Provider {
    /// Reads the cookie; `None` for one that is not ours or too old.
    pub fn open_known_browser(&self, cookie: &str) -> Option<KnownBrowser> {
        let known: KnownBrowser = self.open(PURPOSE, cookie)?;
        (self.clock.now() < later(known.sealed_at, KNOWN_BROWSER_LIFETIME)).then_some(known)
    }

    /// The cookie after a sign-in to the account of this canonical username.
    pub(super) fn know_browser(&self, known: Option<&KnownBrowser>, username: &str) -> Result<String, Fault> {
        let account = self.keyring.current().pseudonym(username);
        let mut accounts: Vec<_> = known.map(|known| known.accounts.clone()).unwrap_or_default();
        accounts.retain(|known| *known != account);
        accounts.push(account);
        accounts.drain(..accounts.len().saturating_sub(MOST_ACCOUNTS));
        let id = known.map_or_else(
            || OpaqueToken::generate(TokenKind::Browser, &*self.random).hash(),
            |known| known.id,
        );
        let known = KnownBrowser {
            id,
            accounts,
            sealed_at: self.clock.now(),
        };
        self.seal(PURPOSE, &known)
    }
}

#[cfg(test)]
mod tests {
    use super::KNOWN_BROWSER_LIFETIME;
    use crate::keyring::rotation::SEALED_LIFETIME;

    /// Nothing that is sealed lives for longer than this cookie; while it lives the key that opens it is there.
    #[test]
    fn the_sealing_key_is_kept_for_as_long_as_the_cookie_lives() {
        assert_eq!(SEALED_LIFETIME, KNOWN_BROWSER_LIFETIME);
    }
}
