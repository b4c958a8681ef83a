//! Why a use case gave no answer although the request was not at fault.

use thiserror::Error;

use super::Provider;
use crate::keyring::KeyringError;
use crate::oidc::password::HasherError;
use crate::store::StoreError;

/// What failed. Never shown to whoever asked; logged once, with the request's id.
#[derive(Debug, Error)]
pub enum Fault {
    /// The store: an error is never "not found", which would let a used code look unknown.
    #[error("failed to {step}")]
    Store {
        /// What was to be done.
        step: &'static str,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// The store does not know all clients and users yet; they would be refused for no reason.
    #[error("the first complete list of clients and users is not registered yet")]
    NotProvisioned,
    /// The keyring.
    #[error("failed to {step}")]
    Keyring {
        /// What was to be done.
        step: &'static str,
        /// Why not.
        #[source]
        source: KeyringError,
    },
    /// A token that would be longer than what we read, so that nobody could ever end it.
    #[error(
        "failed to sign an access token: it would be {0} bytes long, more than is read when it comes back"
    )]
    TokenTooLong(usize),
    /// The password hasher.
    #[error("failed to {step}")]
    Hasher {
        /// What was to be done.
        step: &'static str,
        /// Why not.
        #[source]
        source: HasherError,
    },
}

impl Fault {
    /// For `map_err` on an operation of the store.
    pub fn store(step: &'static str) -> impl FnOnce(StoreError) -> Self {
        move |source| Self::Store { step, source }
    }

    /// For `map_err` on an operation of the keyring.
    pub fn keyring(step: &'static str) -> impl FnOnce(KeyringError) -> Self {
        move |source| Self::Keyring { step, source }
    }

    /// For `map_err` on an operation of the hasher.
    pub fn hasher(step: &'static str) -> impl FnOnce(HasherError) -> Self {
        move |source| Self::Hasher { step, source }
    }

    /// The sentence with its cause, for the log of a task that answers nobody.
    pub fn with_source(&self) -> String {
        use std::error::Error;
        match self.source() {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store { .. } | Self::NotProvisioned => true,
            Self::Hasher { source, .. } => matches!(source, HasherError::QueueFull),
            Self::Keyring { .. } | Self::TokenTooLong(_) => false,
        }
    }
}

impl Provider {
    /// Fails until the first complete list is registered. Asked before anything that needs a client or a user: during a
    /// rebuild an unknown user would look deleted, and an app would throw its refresh token away.
    pub(crate) async fn require_provisioned(&self) -> Result<(), Fault> {
        // A store never becomes unprovisioned again, so one yes is enough.
        if self.provisioned.get().is_some() {
            return Ok(());
        }
        let provisioned = self
            .store
            .is_provisioned()
            .await
            .map_err(Fault::store("find whether all clients are registered"))?;
        if provisioned {
            self.provisioned.get_or_init(|| ());
            Ok(())
        } else {
            Err(Fault::NotProvisioned)
        }
    }
}
