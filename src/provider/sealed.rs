//! Values that travel through a browser sealed: it can neither read nor alter them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::Provider;
use super::fault::Fault;
use crate::keyring::KeyringError;

impl Provider {
    /// Seals `value` for one purpose.
    pub(super) fn seal(&self, purpose: &'static str, value: &impl Serialize) -> Result<String, Fault> {
        let plain = serde_json::to_vec(value)
            .map(Zeroizing::new)
            .map_err(|_| KeyringError::Crypto("write a value as JSON"))
            .map_err(Fault::keyring("seal a value"))?;
        self.keyring
            .current()
            .seal(purpose, &plain, &*self.random)
            .map_err(Fault::keyring("seal a value"))
    }

    /// Opens what was sealed for the same purpose.
    pub(super) fn open<T: DeserializeOwned>(&self, purpose: &'static str, sealed: &str) -> Option<T> {
        let plain = self.keyring.current().open(purpose, sealed)?;
        serde_json::from_slice(&plain).ok()
    }
}
