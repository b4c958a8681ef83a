//! The task that rotates keys when they are due.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::keyring::rotation::{RotationError, Rotator};
use crate::store::{Store, StoreError};

/// A rotation has a day to spare; a minute is for whoever asked for one and looks.
const INTERVAL: Duration = Duration::from_mins(1);

/// Looks until `shutdown`. What is due and fails is tried again at every look, and told when the reason changes.
pub(super) async fn run(rotator: Arc<Rotator>, store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if !rotator.is_due() {
            continue;
        }
        match keep_up(&rotator, store.as_ref()).await {
            Ok(()) => told.clear(),
            Err(reason) if reason == told => {}
            Err(reason) => {
                tracing::warn!(%reason, "unable to rotate keys; those in use stay in use, trying again every minute");
                told = reason;
            }
        }
    }
}

async fn keep_up(rotator: &Rotator, store: &dyn Store) -> Result<(), String> {
    let valid_until = tokens_valid_until(store).await;
    let valid_until = valid_until.map_err(|error: StoreError| error.to_string())?;
    let done = rotator.keep_up(valid_until).await;
    done.map(|_| ()).map_err(|error: RotationError| error.to_string())
}

/// Only a store that knows every client knows how long their tokens live.
async fn tokens_valid_until(store: &dyn Store) -> Result<Option<crate::clock::Timestamp>, StoreError> {
    if store.is_provisioned().await? {
        store.tokens_valid_until().await.map(Some)
    } else {
        Ok(None)
    }
}
