//! Tells the store once the first complete list of every kind is registered; until then what needs clients or users
//! answers 503.

use std::sync::Arc;

use super::Health;
use crate::store::{Store, StoreError};

/// Shared by the watches of both kinds.
pub(super) struct Provisioning {
    store: Arc<dyn Store>,
    health: Health,
    /// How many kinds there are.
    kinds: usize,
}

impl Provisioning {
    pub(super) fn new(store: Arc<dyn Store>, health: Health, kinds: usize) -> Self {
        Self { store, health, kinds }
    }

    /// The first complete list of `kind` is registered.
    pub(super) async fn registered(&self, kind: &'static str) -> Result<(), StoreError> {
        self.health.kind_registered(kind);
        if self.health.registered() < self.kinds {
            return Ok(());
        }
        if !self.store.is_provisioned().await? {
            self.store.mark_provisioned().await?;
        }
        self.health.set_started();
        tracing::info!("the first list of clients and users is registered");
        Ok(())
    }
}
