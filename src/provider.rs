//! The use cases: typed request in, typed response out.
//!
//! Nothing here knows HTTP or Kubernetes. The browser's half is [`authorize`] and its [`interaction`], the apps' half is
//! the token pipeline, userinfo,
//! revocation and introspection.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::keyring::live::LiveKeyring;
pub use crate::keyring::rotation::JWKS_MAX_AGE;
use crate::login::shares::Shares;
use crate::oidc::discovery;
use crate::oidc::issuer::Issuer;
use crate::oidc::password::PasswordHasher;
use crate::random::Random;
use crate::store::Store;
use notices::{Notices, Untold};

pub mod account;
pub mod answer;
pub mod audit;
pub mod authorize;
pub mod back_channel_logout;
pub mod browser;
pub mod client_request;
pub mod consent;
pub mod device;
pub mod dpop;
pub mod fault;
pub mod interaction;
pub mod introspection;
pub mod known_browser;
pub mod notices;
pub mod pushed_request;
pub mod resent;
pub mod revocation;
pub mod select_account;
pub mod sign_in;
pub mod sign_out;
pub mod token;
pub mod userinfo;

mod access_token;
mod audience;
mod client_authentication;
mod grant;
mod id_token_hint;
mod password;
mod sealed;
mod subject;

/// What every use case stands on. Cheap to clone.
#[derive(Clone)]
pub struct Provider {
    /// The configured issuer.
    pub(crate) issuer: Arc<Issuer>,
    /// Clients, users, sessions, grants.
    pub(crate) store: Arc<dyn Store>,
    /// Signatures and sealed browser state.
    pub(crate) keyring: LiveKeyring,
    /// Password verification.
    pub(crate) hasher: Arc<dyn PasswordHasher>,
    /// Who may keep the hasher busy.
    pub(crate) shares: Arc<Shares>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Randomness.
    pub(crate) random: Arc<dyn Random>,
    /// Set once the store is known to hold every client.
    pub(crate) provisioned: Arc<OnceLock<()>>,
    /// What owners of clients are told.
    pub(crate) notices: Arc<dyn Notices>,
    /// The discovery document, made once: nothing in it changes while the process runs.
    configuration: Bytes,
}

/// An authorization code lives this long (rule of ours; RFC 6749 section 4.1.2 allows ten minutes).
pub const AUTHORIZATION_CODE_LIFETIME: Duration = Duration::from_mins(1);
/// A device waits for a person's answer for this long (RFC 8628 section 3.2).
pub const DEVICE_CODE_LIFETIME: Duration = Duration::from_mins(10);
/// An authorization request idles out after this long.
pub const INTERACTION_LIFETIME: Duration = Duration::from_mins(10);
/// A session that is not used for this long ends.
pub const SESSION_IDLE: Duration = Duration::from_hours(8);
/// A session ends after this long, used or not.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(24);

impl Provider {
    /// Puts the parts together.
    pub fn new(
        issuer: Issuer,
        store: Arc<dyn Store>,
        keyring: LiveKeyring,
        hasher: Arc<dyn PasswordHasher>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            configuration: discovery::document(&issuer).into(),
            issuer: Arc::new(issuer),
            store,
            keyring,
            hasher,
            shares: Arc::default(),
            clock,
            random,
            provisioned: Arc::default(),
            notices: Arc::new(Untold),
        }
    }

    /// The same, with somebody who tells owners of clients what they should hear of.
    #[must_use]
    pub fn telling(self, notices: Arc<dyn Notices>) -> Self {
        Self { notices, ..self }
    }

    /// The configured issuer.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Time, for what the adapter itself has to measure.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Randomness, for what the adapter itself has to draw.
    pub fn random(&self) -> Arc<dyn Random> {
        self.random.clone()
    }

    /// The discovery document.
    pub fn configuration_document(&self) -> Bytes {
        self.configuration.clone()
    }

    /// The JWK Set, made once for each change of the keys.
    pub fn jwks_document(&self) -> Bytes {
        self.keyring.current().jwks()
    }

    /// Whether any client registered `origin` for its scripts.
    pub async fn origin_is_registered(&self, origin: &str) -> Result<bool, fault::Fault> {
        self.require_provisioned().await?;
        self.store
            .origin_is_registered(origin)
            .await
            .map_err(fault::Fault::store("look up an origin"))
    }
}
