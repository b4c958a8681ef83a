//! Loads the keyring at start, and makes one where that is allowed.

use thiserror::Error;

use super::{Keyring, KeyringError, KeyringStorage, KeyringStorageError};
use crate::clock::Timestamp;
use crate::random::Random;

/// Why there is no keyring to start with.
#[derive(Debug, Error)]
pub enum OpenKeyringError {
    /// The storage failed.
    #[error(transparent)]
    Storage(KeyringStorageError),
    /// There is none, and making a new one would change every secret that apps hold.
    #[error(
        "unable to find the keyring {place}, which a store or the status of a resource already refers to: restore it from a \
         backup; a new one would change every client's secret"
    )]
    Missing {
        /// Where it should be.
        place: String,
    },
    /// What is kept there is not a keyring.
    #[error("unable to use the keyring {place}: {reason}; restore it from a backup")]
    Malformed {
        /// Where.
        place: String,
        /// What is wrong with it.
        reason: KeyringError,
    },
    /// No new one could be made.
    #[error("unable to make the keyring {place}: {reason}")]
    Generate {
        /// Where.
        place: String,
        /// Why.
        reason: KeyringError,
    },
    /// Somebody made one at the same time and took it away again.
    #[error("unable to make the keyring {place}: somebody else makes and removes it; start again")]
    Contested {
        /// Where.
        place: String,
    },
}

impl Keyring {
    /// Loads the keyring, or makes one when there is none and `may_create` says that nothing refers to one yet.
    pub async fn load_or_create(
        storage: &dyn KeyringStorage,
        may_create: bool,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Self, OpenKeyringError> {
        if let Some(keyring) = Self::load(storage, now).await? {
            return Ok(keyring);
        }
        let place = storage.place();
        if !may_create {
            return Err(OpenKeyringError::Missing { place });
        }
        let keyring = match Self::generate(now, random) {
            Ok(keyring) => keyring,
            Err(reason) => return Err(OpenKeyringError::Generate { place, reason }),
        };
        let created = storage
            .create(&keyring.to_document())
            .await
            .map_err(OpenKeyringError::Storage)?;
        if created {
            tracing::info!(%place, keyring = keyring.id(), "made a new keyring");
            return Ok(keyring);
        }
        // Another process was quicker; its keys are the ones that count.
        Self::load(storage, now)
            .await?
            .ok_or(OpenKeyringError::Contested { place })
    }

    async fn load(storage: &dyn KeyringStorage, now: Timestamp) -> Result<Option<Self>, OpenKeyringError> {
        let Some(stored) = storage.load().await.map_err(OpenKeyringError::Storage)? else {
            return Ok(None);
        };
        let mut keyring =
            Self::from_document(&stored.document).map_err(|reason| OpenKeyringError::Malformed {
                place: storage.place(),
                reason,
            })?;
        keyring.forget_past(now);
        Ok(Some(keyring))
    }
}
