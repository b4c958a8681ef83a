//! Opens the configured store.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::config::StoreLocation;
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::sled::{SledSettings, SledStore};

/// An open store.
pub(super) struct OpenedStore {
    /// The port.
    pub(super) store: Arc<dyn Store>,
    sled: Option<Arc<SledStore>>,
    failure: Option<oneshot::Receiver<String>>,
}

impl OpenedStore {
    /// Opens the store. Blocks for as long as it recovers.
    pub(super) fn open(location: &StoreLocation, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        match location {
            StoreLocation::Memory => {
                tracing::warn!(
                    "the store is in memory: sessions, consents and tokens are forgotten at the end"
                );
                Ok(Self {
                    store: Arc::new(MemoryStore::new(clock)),
                    sled: None,
                    failure: None,
                })
            }
            StoreLocation::Sled(path) => {
                let (failed, failure) = oneshot::channel();
                let failed = Mutex::new(Some(failed));
                let on_failure = Box::new(move |reason: &str| {
                    if let Some(failed) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                        let _nobody_waits = failed.send(reason.to_owned());
                    }
                });
                // The error says which store, and what to do.
                let sled = Arc::new(SledStore::open(SledSettings::at(path), clock, on_failure)?);
                Ok(Self {
                    store: Arc::clone(&sled) as Arc<dyn Store>,
                    sled: Some(sled),
                    failure: Some(failure),
                })
            }
        }
    }

    /// Resolves when the store has failed: what the disk holds is then unknown, and only a new start finds out.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        if let Some(failure) = &mut self.failure
            && let Ok(reason) = failure.await
        {
            return anyhow::anyhow!(
                "the store failed and was left as it is: {reason}; look at the disk, then start again"
            );
        }
        std::future::pending().await
    }

    /// Marks a clean stop.
    pub(super) async fn close(&self) -> anyhow::Result<()> {
        match &self.sled {
            Some(sled) => sled.close().await.context("failed to close the store"),
            None => Ok(()),
        }
    }
}
