//! The task that removes what has expired.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::Store;

const INTERVAL: Duration = Duration::from_secs(30);
/// Records of one operation: small enough that requests in between do not wait.
const BATCH: usize = 500;

/// Sweeps until `shutdown`.
pub(super) async fn run(store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => sweep(store.as_ref(), &shutdown).await,
        }
    }
}

async fn sweep(store: &dyn Store, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match store.sweep(BATCH).await {
            Ok(looked_at) if looked_at == BATCH => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "unable to remove expired records; trying again later");
                return;
            }
        }
    }
}
