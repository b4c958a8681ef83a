//! Opens the configured store.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::config::StoreLocation;
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::sled::{OpenError, SledSettings, SledStore};

/// An open store.
pub(super) struct OpenedStore {
    /// The port.
    pub(super) store: Arc<dyn Store>,
    /// Whether it takes the place of a damaged one.
    pub(super) recovered: bool,
    sled: Option<Arc<SledStore>>,
    failure: Option<oneshot::Receiver<String>>,
}

impl OpenedStore {
    /// Opens the store; with `recover`, a damaged one is moved aside first. Blocks for as long as it recovers.
    pub(super) fn open(
        location: &StoreLocation,
        recover: bool,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        match location {
            StoreLocation::Memory => {
                tracing::warn!(
                    "the store is in memory: sessions, consents and tokens are forgotten at the end"
                );
                Ok(Self {
                    store: Arc::new(MemoryStore::new(clock)),
                    recovered: false,
                    sled: None,
                    failure: None,
                })
            }
            StoreLocation::Sled(path) => Self::open_sled(path, recover, &clock),
        }
    }

    fn open_sled(path: &Path, recover: bool, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let (failed, failure) = oneshot::channel();
        let failed = Arc::new(Mutex::new(Some(failed)));
        let open = || {
            let failed = Arc::clone(&failed);
            let on_failure = Box::new(move |reason: &str| {
                if let Some(failed) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    let _nobody_waits = failed.send(reason.to_owned());
                }
            });
            SledStore::open(SledSettings::at(path), Arc::clone(clock), on_failure)
        };
        // The error says which store, and what to do.
        let (sled, recovered) = match open() {
            Err(OpenError::Damaged { reason, .. }) if recover => {
                let aside = SledStore::move_aside(path, clock.now())?;
                tracing::error!(
                    store = %path.display(), %reason, aside = %aside.display(),
                    "the store was damaged and is begun anew: sessions, grants and consents are lost, clients and users \
                     are registered again; keep what was moved aside until you know why, and leave --recover-store out \
                     from the next start on"
                );
                (open()?, true)
            }
            opened => (opened?, false),
        };
        let sled = Arc::new(sled);
        Ok(Self {
            store: Arc::clone(&sled) as Arc<dyn Store>,
            recovered,
            sled: Some(sled),
            failure: Some(failure),
        })
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

    /// Asks whether the store has failed.
    pub(super) fn has_failed(&self) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let sled = self.sled.clone();
        Arc::new(move || sled.as_ref().is_some_and(|sled| sled.has_failed()))
    }

    /// Marks a clean stop.
    pub(super) async fn close(&self) -> anyhow::Result<()> {
        match &self.sled {
            Some(sled) => sled.close().await.context("failed to close the store"),
            None => Ok(()),
        }
    }
}
